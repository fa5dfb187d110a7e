"""kill -9 of the agent and the gateway before each single message of a reconnect and a renewal, and of the agent while it takes a new identity."""
import os
import shutil
import time

import checks
import pytest
from conftest import new_folder
from installation import ROOT, Failed, Installation, wait_for

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
STEP = 1 if os.environ.get("VCC_LONG") == "1" else 3


@pytest.fixture(scope="module")
def world():
    if not os.path.exists(os.path.join(FAULTS, "vcc-agent")):
        pytest.skip("make faults has not been run")
    path = new_folder("kills")
    inst = Installation(path, {"controller.identity.agent": "40s", "agent.agent.reconnect_spread": "100ms"}, binaries=FAULTS)
    try:
        inst.init()
        inst.start()
        host = inst.add_echo(0)
        inst.wait_served(host)
        yield inst, host
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def armed(process, point):
    process.stop()
    process.env = {"VCC_FAILPOINT": f"{point}=kill"}
    process.start()


def disarmed(process):
    process.stop()
    process.env = None
    process.start()


def renewal(inst, host):
    """None while an order is open or the controller is not asked now."""
    try:
        return inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    except Failed:
        return None


def renewed(inst, host, before):
    c = inst.certificate(host.cert_id)
    return c.get("served") and not c.get("open_order") and c.get("fingerprint") != before


def applied_once(inst, renewal_id):
    plain = renewal_id.replace("-", "")
    db = inst.facts()["controller"]["db"]
    assert checks.rows(db, "SELECT phase, attempt FROM orders WHERE lower(hex(renewal_id)) = ?", plain) == [("completed", 1)]
    assert checks.rows(db, "SELECT count(*) FROM issuances WHERE lower(hex(renewal_id)) = ? AND state <> 'void'", plain) == [(1,)]


@pytest.mark.parametrize("name,point", [("agent", "link.frame.up"), ("agent", "link.frame.down"), ("gateway", "gateway_frame")])
def test_killed_before_each_message(world, name, point):
    inst, host = world
    process = inst.processes[name] if name in inst.processes else host.processes[name]
    kills = 0
    for n in range(1, 300, STEP):
        before = checks.served_is_issued(inst, host)
        armed(process, f"{point}@{n}")
        order = wait_for("the renewal is ordered", lambda: renewal(inst, host), 30)
        wait_for("a kill or a whole renewal", lambda: not process.running() or renewed(inst, host, before), 60)
        died = not process.running()
        disarmed(process)
        inst.wait_renewed(host, before, 90)
        applied_once(inst, order)
        checks.served_is_issued(inst, host)
        if not died:
            break
        kills += 1
    assert kills >= 3, f"only {kills} kills at {point}"
    assert not died, "no renewal passed as a whole"


@pytest.mark.sampled(2)
@pytest.mark.parametrize("point", ["link.identity", "link.identity.done", "file_write", "file_sync", "file_rename", "dir_sync"])
def test_killed_while_taking_a_new_identity(world, point):
    """Key, certificate and chain are one file: the old identity or the new one, and it connects."""
    inst, host = world
    agent = host.processes["agent"]
    old = inst.agent(host.name)["identity_serial"]
    armed(agent, f"{point}@1")
    wait_for("killed at the renewal", lambda: not agent.running(), 60, 0.1)
    disarmed(agent)
    wait_for("connected", lambda: inst.agent(host.name)["connected"], 30)
    wait_for("another identity", lambda: inst.agent(host.name)["identity_serial"] != old, 60, 0.2)
    before = checks.served_is_issued(inst, host)
    inst.vccctl("cert", "renew", host.cert_id, "--force")
    inst.wait_renewed(host, before)
    text = open(os.path.join(host.dir, "link", "identity.pem")).read()
    assert text.count("PRIVATE KEY") == 2 and text.count("BEGIN CERTIFICATE") == 2
    assert not os.path.exists(os.path.join(host.dir, "link", ".identity.pem.new"))


@pytest.mark.parametrize("days", [30, -30])
def test_a_wrong_clock_neither_asks_for_ever_nor_forgets(world, days):
    """The host's clock is a month off: renewed by the controller's time."""
    inst, host = world
    agent = host.processes["agent"]
    db = inst.facts()["controller"]["db"]

    def issued():
        return checks.rows(db, "SELECT count(*) FROM issuances WHERE owner = 'agent' AND owner_id = ? AND state <> 'void'", host.name)[0][0]

    agent.stop()
    agent.env = {"VCC_CLOCK_OFFSET_MS": str(days * 86400000)}
    before = issued()
    agent.start()
    wait_for("one more identity", lambda: issued() > before, 60, 0.2)
    time.sleep(5)  # many requests, if each look found the new one too old as well
    assert issued() <= before + 2
    wait_for("connected", lambda: inst.agent(host.name)["connected"], 30)
    disarmed(agent)


def test_a_full_disk_keeps_the_old_identity(world):
    """The new one cannot be written: said, tried again, and the connection stays."""
    inst, host = world
    agent = host.processes["agent"]
    agent.stop()
    agent.env = {"VCC_FAILPOINT": "file_write=err:ENOSPC"}
    said = len(open(agent.log).read())
    agent.start()
    wait_for("it is said", lambda: "VCC-1301" in open(agent.log).read()[said:], 60, 0.2)
    assert agent.running()
    before = checks.served_is_issued(inst, host)
    inst.vccctl("cert", "renew", host.cert_id, "--force")
    inst.wait_renewed(host, before)
    old = inst.agent(host.name)["identity_serial"]
    disarmed(agent)
    wait_for("another identity", lambda: inst.agent(host.name)["identity_serial"] != old, 60, 0.2)
    time.sleep(0.5)
    assert inst.agent(host.name)["connected"]
