"""Does a drill come to its end, with one report and one record of it, wherever the controller is killed; and what becomes of hosts that are lost in the middle,
or never come to the end?"""
import hashlib
import json
import os

import pytest
from campaign_fleet import CampaignFleet
from conftest import new_folder
from installation import ROOT, wait_for
from revocation import listed

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
LONG = os.environ.get("VCC_LONG") == "1"
NAMES = ("k1", "k2", "k3")
POINTS = [("controller.campaign_new", 1), ("controller.campaign_new_stored", 1), ("controller.campaign_send", 1), ("controller.campaign_sent", 1),
          ("controller.intent", 2), ("controller.intent_stored", 2), ("controller.issued", 1), ("controller.issued_stored", 3), ("controller.receipt", 2),
          ("controller.receipt_stored", 3), ("controller.drill_report", 1), ("controller.drill_report_stored", 1)]
SOON = {"VCC_DRILL_MS": "6000", "VCC_DRILL_AWAY_MS": "1000"}


@pytest.fixture(scope="module")
def fleet():
    f = CampaignFleet(new_folder("drill-kills"), binaries=FAULTS)
    try:
        f.begin()
        f.hosts_by = {n: f.host_of(n) for n in NAMES}
        yield f
    finally:
        f.end()


def restart(fleet, env):
    controller = fleet.processes["controller"]
    controller.stop()
    controller.env = env
    controller.start()
    fleet.wait_up()
    fleet.gateways[0].connect()


def begin(fleet):
    """None when the controller died of it."""
    try:
        return fleet.post("/api/v1/drills", {"selector": {"service": "clara"}})[1]
    except Exception:  # noqa: BLE001 - whatever a dying server gives
        return None


def wait_over(fleet, drill):
    return wait_for("the drill is over and told", lambda: (d := fleet.admin.get(f"drills/{drill}"))["reported_at"] and d, 60, 0.1)


def told_once(fleet, drill):
    """Row, report and record say the same, and each is there once."""
    report = fleet.admin.get(f"drills/{drill}/report")
    started, ended = fleet.audited("drill_started", drill), fleet.audited("drill_ended", drill)
    assert len(started) == 1 and len(ended) == 1
    assert hashlib.sha256(report["report"].encode()).hexdigest() == report["report_sha256"] == ended[0]["report_sha256"]
    return {c["cert_id"]: c for c in json.loads(report["report"])["certificates"]}


def test_one_that_gets_no_report_holds_up_no_other(fleet):
    slow = fleet.hosts_by["k3"]
    slow.respond = False
    drill = begin(fleet)["drill_id"]
    slow.wait("the drill came", lambda: slow.drills)
    restart(fleet, {"VCC_FAILPOINT": f"controller.drill_make:{drill}=err:EIO"})
    slow.respond = True
    fleet.again(slow)
    wait_for("it is over", lambda: fleet.admin.get(f"drills/{drill}")["ended_at"], 60, 0.1)
    later = begin(fleet)["drill_id"]
    assert wait_over(fleet, later)["tested_count"] == len(NAMES) and told_once(fleet, later)
    assert fleet.admin.get(f"drills/{drill}")["reported_at"] is None
    restart(fleet, None)
    assert wait_over(fleet, drill)["tested_count"] == len(NAMES) and told_once(fleet, drill), "it gets it when it can be made"


@pytest.mark.parametrize("read", ["after a restart", "soon"])
def test_an_emergency_ends_a_drill_that_cannot_be_read(fleet, read):
    """The first change of the drill was lost, and it is to be read again, when the emergency begins."""
    unread = "controller.campaign_read=err:EIO" if read == "after a restart" else ";".join(12 * ["controller.campaign_read@1=err:EIO"])  # so many times
    slow = fleet.hosts_by["k3"]
    restart(fleet, {"VCC_FAILPOINT": f"controller.campaign_send@1=err:EIO;{unread}"})
    drill = begin(fleet)["drill_id"]
    slow.respond = False   # the emergency goes on
    status, emergency = fleet.emergency(selector={"service": "clara"}, wait=0)
    assert status == 202, emergency
    if read == "after a restart":
        assert fleet.admin.get(f"drills/{drill}")["ended_at"] is None
        restart(fleet, None)
    d = wait_over(fleet, drill)
    assert d["status"] == "cancelled" and "emergency" in d["cause"] and d["tested_count"] == 0, d
    told_once(fleet, drill)
    slow.respond = True
    fleet.again(slow)
    assert fleet.wait_state(emergency["campaign_id"], "completed")["successful_count"] == len(NAMES)
    restart(fleet, None)


@pytest.mark.parametrize("point, n", POINTS if LONG else POINTS[::2] + POINTS[-1:], ids=lambda v: str(v))
def test_killed_in_a_drill(fleet, point, n):
    before = {h: fleet.cert(f"{h}-web")["serial"] for h in NAMES}
    drills = fleet.rows("SELECT count(*) FROM drills")[0][0]
    restart(fleet, {"VCC_FAILPOINT": f"{point}@{n}=kill"})
    begin(fleet)
    wait_for(f"killed at {point}", lambda: not fleet.processes["controller"].running(), 60)
    restart(fleet, None)
    if fleet.rows("SELECT count(*) FROM drills")[0][0] == drills:
        assert point == "controller.campaign_new", "only what was never stored is asked for again"
        begin(fleet)
    drill = fleet.admin.get("drills")["items"][0]["drill_id"]
    d = wait_over(fleet, drill)
    assert (d["status"], d["tested_count"], d["failed_count"]) == ("completed", len(NAMES), 0), d
    rows = told_once(fleet, drill)
    orders = fleet.rows("SELECT cert_id, count(*) FROM orders WHERE campaign_id = ? GROUP BY cert_id", bytes.fromhex(drill.replace("-", "")))
    assert sorted(orders) == [(f"{h}-web", 1) for h in NAMES], "nothing was ordered twice"
    assert all(r["state"] == "tested" for r in rows.values())
    assert {h: fleet.cert(f"{h}-web")["serial"] for h in NAMES} == before
    assert fleet.rows("SELECT count(*) FROM outbox") == [(0,)] and fleet.rows("SELECT count(*) FROM issuances WHERE state = 'intent'") == [(0,)]


def test_a_host_that_is_lost_or_never_ends(fleet):
    restart(fleet, SOON)
    lost, mute, well = (fleet.hosts_by[n] for n in NAMES)
    lost.respond = False
    mute.outcome = lambda host, m: "nothing"  # it has the certificate, and says no more
    try:
        seen = len(lost.drills)
        drill = begin(fleet)["drill_id"]
        lost.wait("the drill came", lambda: len(lost.drills) > seen)
        lost.gateway.down(lost.session)
        d = wait_over(fleet, drill)
    finally:
        lost.respond, mute.outcome = True, lambda host, m: "ok"
        lost.gateway.up(lost)
    assert (d["status"], d["tested_count"], d["failed_count"], d["not_reached_count"]) == ("completed_with_failures", 1, 2, 2), d
    rows = told_once(fleet, drill)
    assert {c: r["code"] for c, r in rows.items()} == {"k1-web": "VCC-3620", "k2-web": "VCC-3621", "k3-web": None}
    for host in (lost, mute):
        host.wait("it is told that this is over", lambda: any(c["renewal_id"] == host.drills[-1]["renewal_id"] for c in host.cancels))
    wait_for("what nobody told to be destroyed is revoked", lambda: listed(fleet, rows["k2-web"]["serial"]) == "superseded", 30, 0.1)
    assert listed(fleet, rows["k3-web"]["serial"]) is None
