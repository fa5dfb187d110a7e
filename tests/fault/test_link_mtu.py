"""F41: What happens to connections and orders when the way to the gateway swallows large packets without a word?"""
import json
import shutil
import subprocess

import black_hole
import checks
import pytest
from black_hole import BlackHole
from conftest import new_folder
from installation import Installation, wait_for

WAYS = pytest.mark.parametrize("way", ["up", "down"])
REASONS = {"up": "ended before it stood", "down": "Timed out"}  # the gateway waits for 5 s, we wait for 25 s


@pytest.fixture(scope="module")
def world():
    """(installation, host behind the hole, undisturbed host, network)"""
    if reason := black_hole.cannot():
        pytest.skip(reason)
    path = new_folder("mtu")
    inst = Installation(path, {"agent.agent.reconnect_spread": "100ms"})
    try:
        with BlackHole() as net:
            try:
                yield inst, *start(inst, net), net
            finally:
                inst.stop()
    finally:
        shutil.rmtree(path, ignore_errors=True)


def start(inst, net):
    inst.init(agents_ip=net.address)
    inst.start()
    behind, beside = inst.prepare_echo(0, ip=net.host_address, inside=net.inside), inst.prepare_echo(1)
    for host in (behind, beside):
        host.enrol({"agent.agent.controller": inst.agents_address})
        inst.wait_served(host)
    return behind, beside


@pytest.fixture
def hole(world):
    """The world with an open way, and the way open again behind the test."""
    inst, behind, _, net = world
    wait_for("connected", lambda: connected(inst, behind), 60)
    try:
        yield world
    finally:
        net.open()


def connected(inst, host):
    return inst.get(f"agents/{host.name}")["connected"]


def status(inst, host, *form):
    done = subprocess.run([inst.bin("vcc-agent"), "status", "--config", host.config, *form], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout


def status_json(inst, host):
    return json.loads(status(inst, host, "-o", "json"))


def log(host):
    with open(host.processes["agent"].log) as f:
        return f.read()


def order(inst, host):
    return inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]


def undisturbed(inst, host):
    assert connected(inst, host)
    before = checks.served_is_issued(inst, host)
    order(inst, host)
    inst.wait_renewed(host, before)
    checks.served_is_issued(inst, host)


def back_again(inst, host, before, renewal):
    """Connected, and what was ordered meanwhile is done, once."""
    wait_for("connected again", lambda: connected(inst, host) and status_json(inst, host)["connected"], 120)
    inst.wait_renewed(host, before)
    done = wait_for("completed", lambda: (r := inst.renewal(renewal))["status"] == "completed" and r)
    assert (done["attempt"], done["retry_count"]) == (1, 0), done
    checks.served_is_issued(inst, host)
    now = status_json(inst, host)
    assert "link_code" not in now and "link_error" not in now


@WAYS
def test_tries_through_the_hole_end_and_are_repeated(hole, way):
    inst, host, beside, net = hole
    agent = host.processes["agent"]
    before, vanished, said = checks.served_is_issued(inst, host), net.vanished(), len(log(host))
    agent.stop()
    net.close_up(way)
    agent.start()
    wait_for("two tries end", lambda: log(host)[said:].count("no connection to") >= 2, 600, 0.2)
    assert net.vanished() > vanished and not connected(inst, host)
    now = status_json(inst, host)
    assert not now["connected"] and now["link_code"] == "VCC-2302" and REASONS[way] in now["link_error"], now
    text = status(inst, host)
    assert "NOT connected" in text and "VCC-2302" in text and now["link_error"] in text
    renewal = order(inst, host)
    undisturbed(inst, beside)
    net.open()
    back_again(inst, host, before, renewal)


@WAYS
def test_a_hole_below_a_standing_connection(hole, way):
    """Small packets pass, and so do pings, until a large one waits in front of them."""
    inst, host, beside, net = hole
    before, vanished = checks.served_is_issued(inst, host), net.vanished()
    net.close_up(way)
    renewal = order(inst, host)
    wait_for("the controller sees a dead peer", lambda: not connected(inst, host), 300, 0.2)
    wait_for("so does the host", lambda: not status_json(inst, host)["connected"], 300, 0.2)
    assert net.vanished() > vanished
    undisturbed(inst, beside)
    net.open()
    back_again(inst, host, before, renewal)
