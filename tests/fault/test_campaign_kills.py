"""Is nothing of a campaign done twice or forgotten, wherever the controller is killed: when it is made, while it sends, drops, or is told something?"""
import os

import pytest
from campaign_fleet import LIFE, CampaignFleet
from conftest import new_folder
from installation import ROOT, wait_for
from sampling import sample

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
NAMES = ("a1", "a2", "a3", "a4")
# point, at which passage, what leads there
POINTS = [(f"controller.{point}{when}", n, story)
          for point, n, story in (("campaign_new", 1, "bulk"), ("campaign_send", 1, "bulk"), ("campaign_send", 2, "bulk"), ("campaign_send", 1, "emergency"),
                                  ("campaign", 1, "bulk"), ("campaign", 3, "bulk"), ("intent", 2, "bulk"), ("issued", 2, "emergency"),
                                  ("campaign_drop", 1, "cancel"), ("campaign_word", 1, "cancel"), ("campaign_send", 2, "waves"), ("campaign", 1, "waves"),
                                  ("campaign", 2, "waves"))
          for when in ("", {"campaign_send": "", "campaign_drop": ""}.get(point, "_stored"))]
AFTER = {"controller.campaign_send": "controller.campaign_sent", "controller.campaign_drop": "controller.campaign_dropped"}
POINTS = sorted({*POINTS, *((AFTER[p], n, s) for p, n, s in POINTS if p in AFTER)})


@pytest.fixture(scope="module")
def fleet():
    f = CampaignFleet(new_folder("campaign-kills"), settings={"controller.bulk.batch": "2", "controller.bulk.pause": "100ms", "controller.supersede.grace": "1h"},
                      binaries=FAULTS)
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


def ask(fleet, path, body):
    """The answer, or None when the controller died of it."""
    try:
        return fleet.post(path, body)[1]
    except Exception:  # noqa: BLE001 - whatever a dying server gives
        return None


def begin(fleet, story):
    if story == "emergency":
        return ask(fleet, f"{LIFE}/emergency-recertification", {"selector": {"service": "clara"}, "incident_id": "I", "reason": "r"})
    answer = ask(fleet, f"{LIFE}/bulk-renewal", {"canary": "1", "waves": ["1"]} if story == "waves" else {})
    if story == "cancel" and answer:
        ask(fleet, f"/api/v1/campaigns/{answer['campaign_id']}/cancel", {})
    return answer


def newest(fleet):
    rows = fleet.rows("SELECT hex(campaign_id) FROM campaigns ORDER BY campaign_id DESC LIMIT 1")
    return rows[0][0] if rows else None


def consistent(fleet):
    """What the rows say of each other, at any moment between two changes."""
    names = ("waiting", "held", "following", "ordered", "done", "failed", "skipped", "dropped", "going_back", "rolled_back", "kept")
    for campaign, total, *counts in fleet.rows(f"SELECT campaign_id, total, {', '.join(names)} FROM campaigns"):
        members = dict(fleet.rows("SELECT state, count(*) FROM campaign_members WHERE campaign_id = ? GROUP BY state", campaign))
        assert sum(members.values()) == total, "a campaign has all of its members"
        assert counts == [members.get(n, 0) for n in names], "and counts them as they are"
        orders = fleet.rows("SELECT cert_id, count(*) FROM orders WHERE campaign_id = ? GROUP BY cert_id", campaign)
        assert all(n == 1 for _, n in orders), f"nothing was ordered twice: {orders}"
        linked = fleet.rows("SELECT m.cert_id FROM campaign_members m JOIN orders o ON o.renewal_id = m.renewal_id WHERE m.campaign_id = ? AND o.campaign_id = ?",
                            campaign, campaign)
        assert len(linked) == len(orders), "every order belongs to its member"
        started = fleet.rows("SELECT count(*) FROM audit WHERE event IN ('campaign_started', 'emergency_recertification_started') AND object = ?",
                             "-".join((h := campaign.hex(), h[:8], h[8:12], h[12:16], h[16:20], h[20:])[1:]))
        assert started == [(1,)], "with its record"


BACK = [("controller.campaign_word", 1), ("controller.campaign_word_stored", 1), ("controller.campaign_back", 1), ("controller.campaign_back_stored", 1),
        ("controller.receipt", 2), ("controller.receipt_stored", 2), ("controller.receipt", 4), ("controller.receipt_stored", 6)]


@pytest.mark.parametrize("point, n", BACK, ids=lambda v: str(v))
def test_killed_on_the_way_back(fleet, point, n):
    """Every certificate goes back once, and every host serves what it is told to."""
    old = {h: fleet.cert(f"{h}-web")["fingerprint"] for h in NAMES}
    answer = fleet.post(f"{LIFE}/bulk-renewal", {"canary": "1", "waves": ["1"]})[1]
    campaign = answer["campaign_id"]
    wait_for("it is closed", lambda: fleet.campaign(campaign)["status"] == "completed", 60)
    restart(fleet, {"VCC_FAILPOINT": f"{point}@{n}=kill"})
    controller = fleet.processes["controller"]
    ask(fleet, f"/api/v1/campaigns/{campaign}/rollback", {})
    wait_for(f"killed at {point}", lambda: not controller.running(), 60)
    consistent(fleet)
    restart(fleet, None)
    c = fleet.campaign(campaign)
    if c["rolled_back_count"] == 0 and c["completed_at"]:
        assert point == "controller.campaign_word", "only what was never stored is asked for again"
        fleet.post(f"/api/v1/campaigns/{campaign}/rollback", {})
    c = wait_for("all are back", lambda: (c := fleet.campaign(campaign))["rolled_back_count"] == len(NAMES) and c["completed_at"] and c, 60)
    consistent(fleet)
    assert c["kept_count"] == 0 and c["status"] == "completed_with_failures"
    for h in NAMES:
        cert = fleet.cert(f"{h}-web")
        assert cert["fingerprint"] == old[h] and cert["open_order"] is None
        assert fleet.hosts_by[h].served_serial(f"{h}-web").hex().upper() == cert["serial"].upper()
    assert fleet.rows("SELECT count(*) FROM audit WHERE event = 'certificate_renewal_rolled_back' AND renewal_id IN (SELECT renewal_id FROM orders WHERE campaign_id = ?)",
                      bytes.fromhex(campaign.replace("-", ""))) == [(len(NAMES),)], "each once"
    assert fleet.rows("SELECT count(*) FROM outbox") == [(0,)]


@pytest.mark.parametrize("point, n, story", sample(POINTS, 4), ids=lambda v: str(v))
def test_killed_in_a_campaign(fleet, point, n, story):
    before = newest(fleet)
    restart(fleet, {"VCC_FAILPOINT": f"{point}@{n}=kill"})
    controller = fleet.processes["controller"]
    begin(fleet, story)
    wait_for(f"killed at {point}", lambda: not controller.running(), 60)
    consistent(fleet)
    restart(fleet, None)
    if newest(fleet) == before:
        assert point == "controller.campaign_new", "only what was never stored is asked for again"
        begin(fleet, story)
    campaign = fleet.admin.get("campaigns")["items"][0]["campaign_id"]
    if story == "cancel" and fleet.campaign(campaign)["status"] != "cancelled":
        fleet.post(f"/api/v1/campaigns/{campaign}/cancel", {})
    c = wait_for("the campaign is closed", lambda: (c := fleet.campaign(campaign))["completed_at"] and c, 60)
    consistent(fleet)
    assert c["pending_count"] == 0 and c["failed_count"] == 0
    if story == "cancel":
        assert c["status"] in ("cancelled", "completed") and c["successful_count"] + c["dropped_count"] == len(NAMES)
    else:
        assert c["status"] == "completed" and c["successful_count"] == len(NAMES)
    wait_for("no order is open", lambda: all(fleet.cert(f"{h}-web")["open_order"] is None for h in NAMES))


@pytest.mark.parametrize("point", ["controller.campaign_new", "controller.campaign_new_stored"])
def test_a_plan_that_died_with_the_controller_is_applied_once(fleet, point):
    """Nothing was stored and it may be applied again; or the campaign was, and is named."""
    plan = fleet.post(f"{LIFE}/bulk-renewal", {"dry_run": True})[1]["plan_hash"]
    restart(fleet, {"VCC_FAILPOINT": f"{point}@1=kill"})
    controller = fleet.processes["controller"]
    ask(fleet, f"{LIFE}/bulk-renewal", {"plan_hash": plan})
    wait_for(f"killed at {point}", lambda: not controller.running(), 60)
    restart(fleet, None)
    answers = [fleet.post(f"{LIFE}/bulk-renewal", {"plan_hash": plan}) for _ in range(2)]
    campaign = fleet.admin.get("campaigns")["items"][0]
    assert campaign["plan_hash"] == plan and fleet.rows("SELECT count(*) FROM campaigns WHERE plan_hash = ?", bytes.fromhex(plan)) == [(1,)], "one campaign of it"
    assert [s for s, _ in answers] == ([202, 409] if point == "controller.campaign_new" else [409, 409]), answers
    assert answers[1][1]["code"] == "VCC-3670" and campaign["campaign_id"] in answers[1][1]["detail"], answers
    wait_for("the campaign is closed", lambda: fleet.campaign(campaign["campaign_id"])["completed_at"], 60)
    wait_for("no order is open", lambda: all(fleet.cert(f"{h}-web")["open_order"] is None for h in NAMES))
