"""kill -9 of the keeper at each point on the way of new revocation lists: what is in use is whole at any moment, and in the end it is the new set."""
import os
import shutil

import pytest
from installation import ROOT, wait_for
from keeper_host import KeeperHost, temporary

SETTLED = 1
FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
ENV = {"VCC_PROBE_MS": "1500", "VCC_HEAL_MS": "300", "VCC_CRL_PACE_MS": "100", "VCC_CRL_RETRY_MS": "200"}
POINTS = ["keeper.crl.ask", "keeper.crl.asked", "keeper.crl.piece", "keeper.crl.judge", "keeper.crl.save", "keeper.crl.saved", "keeper.care.write",
          "keeper.care.write.done", "keeper.care.flip", "keeper.care.flip.done", "keeper.care.reported"]


@pytest.fixture(scope="module")
def host():
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    h = KeeperHost(temporary(), FAULTS)
    h.settings["verify"] += "[trust]\ncrl = yes\n"
    h.number = 0
    try:
        h.start_nginx()
        h.write_target()
        assert h.join()["code"] == 0
        h.start_hook()
        h.start_keeper(ENV)
        h.link.announce(next_lists(h))
        h.link.receipt(h.renew(), SETTLED)
        yield h
    finally:
        h.stop()
        shutil.rmtree(h.dir, ignore_errors=True)


def next_lists(host):
    cas = host.link.cas
    host.number += 1
    return cas.service.crl(host.number, (), "http://pki.vcc.internal/crl/service-1/0.crl") + cas.root.crl(host.number)


def on_host(host):
    with open(f"{host.tls}/current/crl.pem", "rb") as f:
        return f.read()


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_on_the_way(host, point):
    before, served, new = on_host(host), host.served(), next_lists(host)
    host.restart_keeper(dict(ENV, VCC_FAILPOINT=f"{point}=kill"))
    host.link.announce(new)
    wait_for("it is dead", lambda: not host.processes["keeper"].running())
    assert on_host(host) in (before, new) and host.check_set() == served
    host.restart_keeper(ENV)
    host.link.announce(new)
    wait_for("the new lists are in use", lambda: on_host(host) == new, 30)
    assert host.served() == served == host.check_set()


def test_a_kill_at_any_piece(host):
    """A large set comes in many pieces; the keeper dies at the n-th."""
    cas = host.link.cas
    for n in (1, 2, 5):
        before = on_host(host)
        host.number += 1
        new = cas.service.crl(host.number, range(1 << 100, (1 << 100) + 4000), "http://pki.vcc.internal/crl/service-1/0.crl") + cas.root.crl(host.number)
        assert len(new) > 5 * 30000
        host.restart_keeper(dict(ENV, VCC_FAILPOINT=f"keeper.crl.piece@{n}=kill"))
        host.link.announce(new)
        wait_for("it is dead", lambda: not host.processes["keeper"].running())
        assert on_host(host) == before
        host.restart_keeper(ENV)
        host.link.announce(new)
        wait_for("the new lists are in use", lambda: on_host(host) == new, 30)
