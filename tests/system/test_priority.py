"""Who is signed first when all wait for the signer? An emergency that comes last overtakes a bulk renewal that came first."""
import shutil
import signal

import checks
import pytest
from campaign_fleet import CampaignFleet
from conftest import new_folder
from installation import wait_for

HOSTS, TARGETS, AT_ONCE = 6, 50, 256  # AT_ONCE: what the signer has been given already (signer_client.c)

ROUTINE = HOSTS * TARGETS


@pytest.fixture
def fleet():
    f = CampaignFleet(new_folder("priority"), settings={"controller.bulk.batch": str(ROUTINE), "controller.limits.approval_share": "100%"})
    try:
        f.begin()
        yield f
    finally:
        f.end()
        shutil.rmtree(f.dir, ignore_errors=True)


def issued(fleet):
    """cert_ids in the order in which their certificates were stored."""
    return [o for o, in checks.rows(fleet.facts_db(), "SELECT object FROM audit WHERE event = 'certificate_issued' ORDER BY seq")]


def test_an_emergency_overtakes_a_bulk_renewal(fleet):
    hosts = [fleet.host_of(f"many{n}", "vpb") for n in range(HOSTS)]
    for h in hosts:
        for i in range(TARGETS - 1):
            h.target(f"{h.name}-{i}", "vpb", "vpb_service", f"DNS:{h.name}.vpb.vcc.internal")
    fleet.host_of("one", "clara")
    done = "SELECT count(*) FROM orders WHERE phase = 'completed'"
    wait_for("all are served", lambda: checks.rows(fleet.facts_db(), done) == [(ROUTINE + 1,)], 120)
    before = len(issued(fleet))
    asked = sum(len(h.orders) for h in hosts)
    signer = fleet.processes["signer"].popen
    signer.send_signal(signal.SIGSTOP)
    try:
        assert fleet.bulk(service_pattern="*.vpb.vcc.internal")[0] == 202
        wait_for("each host has sent its request", lambda: sum(len(h.orders) for h in hosts) == asked + ROUTINE, 120)
        status, _ = fleet.emergency(certificate_ids=["one-web"], wait=0)
        assert status == 202
        intents = "SELECT count(*) FROM issuances WHERE state = 'intent'"
        wait_for("all wait for the signer", lambda: checks.rows(fleet.facts_db(), intents) == [(ROUTINE + 1,)], 120)
    finally:
        signer.send_signal(signal.SIGCONT)
    wait_for("all are issued", lambda: len(issued(fleet)) == before + ROUTINE + 1, 120)
    assert issued(fleet).index("one-web", before) - before <= AT_ONCE, issued(fleet)[before:]
