"""What happens to orders and connections when the network between agent and gateway cuts, stalls, swallows or repeats?"""
import os
import shutil
import time

import checks
import pytest
from conftest import new_folder
from installation import Failed, Installation, wait_for
from proxy import Proxy

LONG = os.environ.get("VCC_LONG") == "1"


@pytest.fixture(scope="module")
def world():
    """(installation, host behind the proxy, undisturbed host, proxy)"""
    path = new_folder("link")
    inst = Installation(path)
    proxy = None
    try:
        inst.init()
        inst.start()
        proxy = Proxy(inst.agents_address)
        behind, beside = inst.prepare_echo(0), inst.prepare_echo(1)
        behind.enrol({"agent.agent.controller": proxy.address, "agent.agent.reconnect_spread": "100ms"})
        beside.enrol()
        for host in (behind, beside):
            inst.wait_served(host)
        yield inst, behind, beside, proxy
    finally:
        inst.stop()
        if proxy:
            proxy.close()
        shutil.rmtree(path, ignore_errors=True)


def connected(inst, host):
    return inst.vccctl("agent", "show", host.name)["connected"]


def orders_of(inst, host):
    return inst.vccctl("cert", "show", host.cert_id)["renewals"]


def heal(proxy):
    proxy.cut_after = proxy.swallow = proxy.rate = None
    proxy.cut_now()


def applied_once(inst, host, renewal_id):
    db = inst.facts()["controller"]["db"]
    order = checks.rows(db, "SELECT phase, attempt, failures FROM orders WHERE lower(hex(renewal_id)) = ?", renewal_id.replace("-", ""))
    assert order == [("completed", 1, 0)], order
    issued = checks.rows(db, "SELECT count(*) FROM issuances WHERE lower(hex(renewal_id)) = ? AND state <> 'void'", renewal_id.replace("-", ""))
    assert issued[0][0] == 1, f"{issued[0][0]} certificates for one order"


def exchange_size(inst, host, proxy):
    """Bytes of a reconnect and one whole renewal."""
    heal(proxy)
    wait_for("connected", lambda: connected(inst, host), 30)
    before = checks.served_is_issued(inst, host)
    inst.vccctl("cert", "renew", host.cert_id, "--force")
    inst.wait_renewed(host, before)
    time.sleep(0.5)
    return proxy.passed


def test_an_order_is_applied_once_wherever_the_link_is_cut(world):
    inst, host, _, proxy = world
    total = exchange_size(inst, host, proxy)
    assert total > 2000
    step = 1 if LONG else max(total // 24, 1)
    for k in range(1, total + step, step):
        before = checks.served_is_issued(inst, host)
        proxy.cut_after = k
        proxy.cut_now()
        renewal = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
        time.sleep(0.4)
        heal(proxy)
        inst.wait_renewed(host, before, 90)
        wait_for("completed", lambda: orders_of(inst, host)[0]["status"] == "completed", 30)
        applied_once(inst, host, renewal)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_half_dead_connection_is_noticed(world, direction):
    """F39, F41: the peer is gone, the connection is not."""
    inst, host, beside, proxy = world
    heal(proxy)
    wait_for("connected", lambda: connected(inst, host), 30)
    proxy.swallow = direction
    wait_for("the dead peer is seen", lambda: not connected(inst, host), 45 if direction == "up" else 100, 0.5)
    assert connected(inst, beside)
    heal(proxy)
    wait_for("connected again", lambda: connected(inst, host), 60)


def test_a_slow_link_disturbs_nobody_else(world):
    """F40: one byte a second."""
    inst, host, beside, proxy = world
    proxy.rate = 1
    proxy.cut_now()
    time.sleep(1)
    before = checks.served_is_issued(inst, beside)
    inst.vccctl("cert", "renew", beside.cert_id, "--force")
    inst.wait_renewed(beside, before, 30)
    heal(proxy)
    wait_for("connected again", lambda: connected(inst, host), 60)


def test_the_controller_restarts_and_nobody_reconnects(world):
    """Renewals in flight end, and the gateway keeps every connection."""
    inst, host, beside, proxy = world
    heal(proxy)
    wait_for("connected", lambda: connected(inst, host), 30)
    time.sleep(1)
    connections = proxy.connections
    for _ in range(5 if LONG else 3):
        before = {h: checks.served_is_issued(inst, h) for h in (host, beside)}
        for h in (host, beside):
            inst.vccctl("cert", "renew", h.cert_id, "--force")
        inst.processes["controller"].kill()
        inst.processes["controller"].start()
        wait_for("ready", inst.ready, 30)
        for h in (host, beside):
            inst.wait_renewed(h, before[h], 60)
    assert proxy.connections == connections, "the agent connected again"


def test_results_wait_while_the_controller_is_away(world):
    """F37: the swap is done, the link is cut before the result: it is sent later, nothing is swapped twice."""
    inst, host, _, proxy = world
    heal(proxy)
    wait_for("connected", lambda: connected(inst, host), 30)
    before = checks.served_is_issued(inst, host)
    renewal = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    end = time.monotonic() + 20
    while checks.fingerprint_of(f"{host.target_dir}/current/cert.pem") == before:
        assert time.monotonic() < end
        time.sleep(0.005)
    proxy.swallow = "up"
    time.sleep(2)
    heal(proxy)
    inst.wait_renewed(host, before, 60)
    applied_once(inst, host, renewal)


def test_evicted_and_banned(world):
    """Kicked within a second; F44: no welcome, so never called connected; ban is final."""
    inst, _, beside, _ = world
    wait_for("connected", lambda: connected(inst, beside), 30)
    inst.vccctl("agent", "ban", beside.name)
    begun = time.monotonic()
    wait_for("kicked", lambda: not connected(inst, beside), 5, 0.02)
    assert time.monotonic() - begun < 10
    time.sleep(3)
    assert not connected(inst, beside)
    with pytest.raises(Failed, match="VCC-3"):
        inst.vccctl("agent", "invite", beside.name, "--service", beside.service)
        beside.join()
    assert checks.matching_set(beside.target_dir), "the service keeps its certificate"
