"""Campaigns in waves: canary, waves, rest; halted by themselves; back to the certificates before, also where a host was away or has no key any more."""
import time
import uuid

import pytest
from cryptography.hazmat.primitives import hashes
from campaign_fleet import LIFE, CampaignFleet, refused
from conftest import new_folder
from installation import wait_for

HOSTS = 20
SETTINGS = {"controller.bulk.batch": "10", "controller.bulk.pause": "100ms", "controller.supersede.grace": "1h", "controller.bulk.priority": "covina",
            "controller.limits.approval_share": "100%"}


def id_bytes(text):
    return uuid.UUID(text).bytes


def fingerprint(certificate):
    return certificate.fingerprint(hashes.SHA256()).hex()


@pytest.fixture(scope="module")
def fleet():
    f = CampaignFleet(new_folder("waves"), settings=SETTINGS)
    try:
        f.begin()
        f.hosts_by = {f"h{i:02}": f.host_of(f"h{i:02}") for i in range(HOSTS)}
        yield f
    finally:
        f.end()


@pytest.fixture(autouse=True)
def well_again(fleet):
    for host in fleet.hosts_by.values():
        host.outcome = lambda h, m: "ok"
    yield
    for host in fleet.hosts_by.values():
        host.outcome = lambda h, m: "ok"
    for c in fleet.admin.get("campaigns")["items"]:
        if not c["completed_at"]:
            fleet.post(f"/api/v1/campaigns/{c['campaign_id']}/rollback", {})   # ends what is still to be tried
            fleet.post(f"/api/v1/campaigns/{c['campaign_id']}/cancel", {})
            wait_for("it is closed", lambda: fleet.campaign(c["campaign_id"])["completed_at"], 60)


def prints(fleet):
    return {n: fleet.cert(f"{n}-web")["fingerprint"] for n in fleet.hosts_by}


def wave_of(plan_list, sizes):
    at, waves = 0, []
    for size in sizes:
        waves.append([c.removesuffix("-web") for c in plan_list[at:at + size]])
        at += size
    return waves


def plan(fleet, **body):
    status, answer = fleet.bulk(dry_run=True, **body)
    assert status == 200, answer
    return answer, wave_of(answer["certificate_list"], [w["total"] for w in answer["plan"]["waves"]])


def states(fleet, campaign_id):
    return {m["agent"]: m["state"] for m in fleet.members(campaign_id)}


def revoked_of(fleet, name):
    return fleet.rows("SELECT count(*) FROM issuances WHERE owner_id = ? AND state = 'revoked'", f"{name}-web")[0][0]


# ---- what is asked for ----

def test_what_is_no_wave(fleet):
    for waves in (["0"], ["101%"], ["x"], ["service:"], ["pattern:*"], ["rest=3"], ["1"] * 16):
        answer = fleet.bulk(waves=waves, dry_run=True)
        assert answer[0] == 422 and answer[1]["code"] in ("VCC-3613", "VCC-3600"), answer
    for body in ({"waves": "10%"}, {"waves": [1]}, {"halt_share": "3"}, {"halt_share": "101%"}, {"halt_count": -1}, {"halt_count": "3"},
                 {"rollback_on_halt": "yes"}, {"canary": 5}):
        refused(fleet.bulk(dry_run=True, **body), 422, "VCC-3104")
    refused(fleet.emergency(selector={"all": True}, rollback_on_halt=True, dry_run=True), 422, "VCC-3104")
    answer = refused(fleet.bulk(canary="service:vpb", waves=["25%"], dry_run=True), 422, "VCC-3613")
    assert answer["object"] == "canary" and "vpb" in answer["detail"], "else the next wave would be taken for it"
    done = fleet.cli("bulk", "plan", "--waves", "10%,nonsense")
    assert done.returncode != 0 and "VCC-3613" in done.stderr


def test_the_plan_holds_the_waves(fleet):
    answer, waves = plan(fleet, canary="2", waves=["25%", "rest"])
    assert [(w["wave"], w["canary"], w["total"]) for w in answer["plan"]["waves"]] == [(1, True, 2), (2, False, 5), (3, False, 13)]
    assert sorted(sum(waves, [])) == sorted(fleet.hosts_by), "nobody is forgotten, nobody comes twice"
    assert waves[0] == ["h00", "h10"], "a canary is spread over all"
    same = plan(fleet, canary="2", waves=["25%"])[0]
    assert same["plan_hash"] == answer["plan_hash"], "what no wave takes is one more"
    for other in ({"canary": "3", "waves": ["25%", "rest"]}, {"canary": "2", "waves": ["30%", "rest"]}, {},
                  {"canary": "2", "waves": ["25%", "rest"], "halt_share": "3%"}, {"canary": "2", "waves": ["25%", "rest"], "rollback_on_halt": True}):
        assert plan(fleet, **other)[0]["plan_hash"] != answer["plan_hash"], other
    refused(fleet.bulk(canary="3", waves=["25%"], plan_hash=answer["plan_hash"]), 409, "VCC-3601")
    named = plan(fleet, canary="pattern:h07.clara.vcc.internal", waves=["service:clara=50%"])[1]
    assert named[0] == ["h07"] and [len(w) for w in named] == [1, 10, 9]
    done = fleet.cli("bulk", "apply", "--canary", "3", "--waves", "25%", "--plan-hash", answer["plan_hash"])
    assert done.returncode == 8 and "VCC-3601" in done.stderr


# ---- released one after the other ----

def test_each_wave_waits_for_the_one_before(fleet):
    old = prints(fleet)
    answer, waves = plan(fleet, canary="2", waves=["25%"])
    begun = fleet.bulk(canary="2", waves=["25%"], plan_hash=answer["plan_hash"])[1]
    c = fleet.wait_state(begun["campaign_id"], "completed")
    assert [(w["total"], w["done"], w["status"]) for w in c["waves"]] == [(2, 2, "over"), (5, 5, "over"), (13, 13, "over")]
    assert all(fleet.cert(f"{n}-web")["fingerprint"] != old[n] for n in old)
    orders = {a: (begin, end) for a, begin, end in
              fleet.rows("SELECT agent, created_at, completed_at FROM orders WHERE campaign_id = ?", id_bytes(begun["campaign_id"]))}
    assert len(orders) == HOSTS
    for before, after in zip(waves, waves[1:]):
        assert max(orders[n][1] for n in before) <= min(orders[n][0] for n in after), "a wave begins when the one before has ended"
    assert len(fleet.audited("campaign_wave_released", begun["campaign_id"])) == 2
    assert fleet.audited("campaign_started", begun["campaign_id"])[0]["waves"] == "2,5,13"


def test_a_canary_that_fails_halts_it(fleet):
    _, waves = plan(fleet, canary="2", waves=["25%"])
    fleet.hosts_by[waves[0][1]].outcome = lambda h, m: "failed"
    begun = fleet.bulk(canary="2", waves=["25%"], halt_share="90%")[1]
    c = fleet.wait_state(begun["campaign_id"], "halted")
    assert "canary" in c["cause"] and not c["cause_by_person"] and c["failed_count"] == 1 and c["waiting_count"] == 18
    time.sleep(1)
    c = fleet.campaign(begun["campaign_id"])
    assert c["waiting_count"] == 18 and [w["status"] for w in c["waves"]] == ["released", "waiting", "waiting"]
    fleet.post(f"/api/v1/campaigns/{begun['campaign_id']}/cancel", {})
    c = wait_for("it is closed", lambda: (c := fleet.campaign(begun["campaign_id"]))["completed_at"] and c)
    assert [(w["status"], w["waiting"]) for w in c["waves"]] == [("over", 0), ("dropped", 0), ("dropped", 0)], "nothing of it waits any more"
    again = fleet.rows("SELECT hex(renewal_id) FROM orders WHERE campaign_id = ? AND agent = ? AND phase = 'retry_wait'", id_bytes(begun["campaign_id"]), waves[0][1])
    assert len(again) == 1, "what was sent and failed is tried again by its policy, until a person ends that"
    assert fleet.post(f"/api/v1/renewals/{uuid.UUID(again[0][0])}/cancel", {})[0] == 200


def test_five_per_cent_broken_touch_the_canary_and_one_wave(fleet):
    """And all of those go back by themselves."""
    old = prints(fleet)
    body = {"canary": "2", "waves": ["50%"], "rollback_on_halt": True}
    _, waves = plan(fleet, **body)
    broken = waves[1][3]
    fleet.hosts_by[broken].outcome = lambda h, m: "failed"
    begun = fleet.bulk(**body)[1]
    c = fleet.wait_state(begun["campaign_id"], "halted")
    c = wait_for("all that was renewed is back", lambda: (c := fleet.campaign(begun["campaign_id"]))["in_progress_count"] == 0 and c["rolled_back_count"] and c, 60)
    untouched = set(waves[2])
    now = states(fleet, begun["campaign_id"])
    assert all(now[n] == "waiting" for n in untouched) and len(untouched) == 8
    assert now[broken] == "failed" and all(now[n] in ("rolled_back", "waiting") for n in waves[0] + waves[1] if n != broken)
    assert fleet.rows("SELECT phase FROM orders WHERE campaign_id = ? AND agent = ?", id_bytes(begun["campaign_id"]), broken) == [("cancelled",)], \
        "what failed is not tried again either"
    assert prints(fleet) == old, "every host serves what it served before"
    for n in waves[0]:
        host = fleet.hosts_by[n]
        assert host.rollbacks and fingerprint(host.served[f"{n}-web"]) == old[n]
        renewed = fleet.rows("SELECT state, revoke_reason FROM issuances WHERE renewal_id = (SELECT renewal_id FROM orders WHERE campaign_id = ? AND agent = ?)",
                             id_bytes(begun["campaign_id"]), n)
        assert renewed == [("revoked", 4)], "the new one is revoked at once, as superseded"
        assert fleet.rows("SELECT phase FROM orders WHERE campaign_id = ? AND agent = ?", id_bytes(begun["campaign_id"]), n) == [("rolled_back",)]
    assert fleet.audited("campaign_rollback", begun["campaign_id"])


# ---- back by a person's word ----

def test_one_wave_goes_back(fleet):
    old = prints(fleet)
    body = {"canary": "2", "waves": ["25%"]}
    _, waves = plan(fleet, **body)
    campaign_id = fleet.bulk(**body)[1]["campaign_id"]
    fleet.wait_state(campaign_id, "completed")
    new = prints(fleet)
    refused(fleet.post(f"/api/v1/campaigns/{campaign_id}/rollback", {"wave": 4}), 422, "VCC-3104")
    fleet.hosts_by[waves[1][0]].keys.clear()                                   # one host has lost the key
    away = fleet.hosts_by[waves[1][2]]
    away.gateway.down(away.session)                                            # one is away
    done = fleet.cli("campaign", "rollback", campaign_id, "--wave", "2")
    assert done.returncode == 0, done.stderr
    wait_for("who is there is back", lambda: fleet.campaign(campaign_id)["rolled_back_count"] == 3, 60)
    now = states(fleet, campaign_id)
    assert now[waves[1][0]] == "kept" and now[waves[1][2]] == "going_back"
    kept = next(m for m in fleet.members(campaign_id) if m["agent"] == waves[1][0])
    assert kept["code"] == "VCC-3618" and kept["error"]
    assert not fleet.campaign(campaign_id)["completed_at"], "it is open again until the last host is back"
    assert all(now[n] == "done" for n in waves[0] + waves[2])
    away.gateway.up(away)                                                      # in its first exchange
    c = wait_for("the one that was away is back", lambda: (c := fleet.campaign(campaign_id))["rolled_back_count"] == 4 and c["completed_at"] and c, 60)
    assert c["status"] == "completed_with_failures" and [w["rolled_back"] for w in c["waves"]] == [0, 4, 0] and c["kept_count"] == 1
    after = prints(fleet)
    for n in fleet.hosts_by:
        assert after[n] == (old[n] if n in waves[1][1:] else new[n]), n
    shown = fleet.cert(f"{waves[1][1]}-web")
    assert shown["status"] == "active" and shown["served"] is True
    refused(fleet.post(f"/api/v1/campaigns/{campaign_id}/halt", {}), 409, "VCC-3603")


def test_what_stands_against_it(fleet):
    """Refused with its reason for each: a later renewal, an old certificate that is revoked."""
    campaign_id = fleet.bulk(service_pattern="*.clara.vcc.internal")[1]["campaign_id"]
    fleet.wait_state(campaign_id, "completed")
    fleet.vccctl("cert", "renew", "h01-web", "--force")
    fleet.wait_done("h01-web")
    wait_for("it was renewed once more", lambda: fleet.rows("SELECT count(*) FROM orders WHERE cert_id = 'h01-web' AND phase = 'completed' AND campaign_id IS NULL")[0][0] >= 2)
    fleet.vccctl("cert", "suspend", "h02-web")
    fleet.post(f"/api/v1/campaigns/{campaign_id}/rollback", {})
    c = wait_for("it is closed again", lambda: (c := fleet.campaign(campaign_id))["completed_at"] and c["rolled_back_count"] and c, 60)
    kept = {m["agent"]: m["code"] for m in fleet.members(campaign_id, state="kept")}
    assert kept == {"h01": "VCC-3614", "h02": "VCC-3004"} or set(kept) == {"h01", "h02"}, kept
    assert c["rolled_back_count"] == HOSTS - 2
    fleet.vccctl("cert", "resume", "h02-web")
    again = fleet.post(f"/api/v1/campaigns/{campaign_id}/rollback", {})
    assert again[0] == 200
    c = wait_for("nothing is left", lambda: (c := fleet.campaign(campaign_id))["completed_at"] and c, 60)
    assert c["rolled_back_count"] == HOSTS - 2, "nothing goes back twice"


def test_an_emergency_skips_waves_and_says_so(fleet):
    answer = fleet.emergency(selector={"agent": "h03"}, wait=60)
    assert answer[0] == 200, answer
    assert fleet.audited("emergency_recertification_started", answer[1]["campaign_id"])[0]["waves"] == "skipped"
    before = fleet.campaign(answer[1]["campaign_id"])
    refused(fleet.post(f"/api/v1/campaigns/{answer[1]['campaign_id']}/rollback", {}), 409, "VCC-3616")   # what it replaced was revoked at the proof
    assert fleet.campaign(answer[1]["campaign_id"]) == before
    answer = fleet.emergency(selector={"all": True}, wait=60, canary="2", incident_id="INC-2")
    assert fleet.audited("emergency_recertification_started", answer[1]["campaign_id"])[0]["waves"] == "2,18"


# ---- what a plan says, and what is seen of a campaign ----

def test_the_plan_says_how_long_and_whom(fleet):
    answer, waves = plan(fleet, canary="2", waves=["25%"])
    p = answer["plan"]["prediction"]
    assert p["past_orders"] >= HOSTS and 0 < p["order_seconds_p50"] <= p["order_seconds_p99"] and p["duration_seconds"] > 0
    assert p["batches"] == 4 and p["orders_in_flight"] == 10, "2, 5, and 13 in two"
    assert abs(p["pauses_seconds"] - 0.3) < 0.001
    assert answer["plan"]["blast_radius"] == {"clara": {"certificates": HOSTS, "hosts": HOSTS, "targets": HOSTS, "offline": 0, "loses_service": 0}}
    rules = {(v.get("profile"), v["field"]) for v in answer["plan"]["violations"]}
    assert all(v["certificates"] <= HOSTS for v in answer["plan"]["violations"]) and all(f for _, f in rules)
    gone = fleet.emergency(selector={"all": True}, revoke_old="now", dry_run=True)[1]
    assert gone["plan"]["blast_radius"]["clara"]["loses_service"] == HOSTS and gone["plan"]["prediction"]["batches"] == 1
    shown = fleet.cli("bulk", "plan", "--canary", "2", "--waves", "25%")
    assert shown.returncode == 0 and "canary, wave 1: 2 certificates" in shown.stdout and f"service clara: {HOSTS} certificates on {HOSTS} hosts" in shown.stdout


def test_a_plan_is_stale_when_the_inventory_changed(fleet):
    body = {"service_pattern": "*.clara.vcc.internal", "canary": "2"}
    answer = plan(fleet, **body)[0]
    host = fleet.hosts_by["h04"]
    host.target("h04-web", "clara", "clara_service_auth", "DNS:h04.clara.vcc.internal", stem="second")  # one more place of it
    wait_for("it is known", lambda: fleet.rows("SELECT count(*) FROM targets WHERE cert_id = 'h04-web'") == [(2,)])
    refused(fleet.bulk(plan_hash=answer["plan_hash"], **body), 409, "VCC-3601")
    done = fleet.cli("bulk", "apply", "--pattern", "*.clara.vcc.internal", "--canary", "2", "--plan-hash", answer["plan_hash"])
    assert done.returncode == 8 and "VCC-3601" in done.stderr
    assert plan(fleet, **body)[0]["plan"]["blast_radius"]["clara"]["targets"] == HOSTS + 1


def test_policy_violations_are_in_the_plan(fleet):
    fleet.edit_template("clara_service_auth", "--force", audit_level="minimal")
    try:
        violations = plan(fleet, service_pattern="h05.clara.vcc.internal")[0]["plan"]["violations"]
    finally:
        fleet.edit_template("clara_service_auth", "--force", audit_level="enhanced")
    assert [(v["template_id"], v["profile"], v["certificates"]) for v in violations if v["field"] == "audit_level"] == [("clara_service_auth", "AI_ACT", 1)]


def test_one_screen(fleet):
    """80 columns, 24 lines, with every figure, while it runs and when it is halted."""
    answer, waves = plan(fleet, canary="2", waves=["10%", "rest"])
    assert len(waves) == 3, answer["plan"]
    for n in waves[1]:
        fleet.hosts_by[n].outcome = lambda h, m: "failed"
    campaign_id = fleet.bulk(canary="2", waves=["10%", "rest"])[1]["campaign_id"]
    fleet.wait_state(campaign_id, "halted")
    shown = fleet.cli("campaign", "watch", campaign_id, "--once")
    lines = shown.stdout.splitlines()
    assert shown.returncode == 6 and len(lines) <= 24 and max(map(len, lines)) <= 80, shown.stdout
    for word in ("halted", "bulk.wave_halt_share", "rate", "p50", "p99", "left", "1 canary", "released", "waiting", "FAILED (", "VCC-2201"):
        assert word in shown.stdout, (word, shown.stdout)
    figures = fleet.campaign(campaign_id)["figures"]
    assert figures["order_seconds_p50"] > 0 and figures["seconds_left"] is None, "nothing moves while it is halted"



# ---- the grace of a campaign ----

@pytest.fixture(scope="module")
def few():
    f = CampaignFleet(new_folder("grace"), settings={**SETTINGS, "controller.bulk.batch": "1", "controller.supersede.grace": "3s"})
    try:
        f.begin()
        f.hosts_by = {n: f.host_of(n) for n in ("g1", "g2", "g3")}
        yield f
    finally:
        f.end()


def test_the_grace_begins_when_nothing_is_in_flight(few):
    """The first is done long before the second answers: until then it can go back, however short the grace is."""
    slow = few.hosts_by["g2"]
    slow.respond = False
    campaign_id = few.bulk()[1]["campaign_id"]
    wait_for("the first is done", lambda: few.campaign(campaign_id)["successful_count"] == 1)
    wait_for("the second is under way", lambda: few.campaign(campaign_id)["in_progress_count"] == 1)
    time.sleep(5)
    assert revoked_of(few, "g1") == 0, "its grace is over by itself, and the campaign keeps it"
    slow.respond = True
    few.again(slow)
    few.wait_state(campaign_id, "completed")
    wait_for("all that was replaced is revoked", lambda: [revoked_of(few, n) for n in few.hosts_by] == [1, 1, 1], 60)
    before = few.campaign(campaign_id)
    refused(few.post(f"/api/v1/campaigns/{campaign_id}/rollback", {}), 409, "VCC-3616")
    assert few.campaign(campaign_id) == before, "after the grace it is refused, and what the campaign says stays"


def test_an_old_certificate_does_not_end_while_its_host_is_asked(few):
    """A host is away for longer than the grace lasts: in its first exchange it goes back all the same."""
    old = few.cert("g1-web")["fingerprint"]
    campaign_id = few.bulk(service_pattern="g1.clara.vcc.internal")[1]["campaign_id"]
    few.wait_state(campaign_id, "completed")
    host = few.hosts_by["g1"]
    before = revoked_of(few, "g1")
    host.gateway.down(host.session)
    few.post(f"/api/v1/campaigns/{campaign_id}/rollback", {})
    time.sleep(5)
    assert revoked_of(few, "g1") == before and not few.campaign(campaign_id)["completed_at"]
    host.gateway.up(host)
    wait_for("it is back", lambda: few.campaign(campaign_id)["rolled_back_count"] == 1, 60)
    cert = few.cert("g1-web")
    assert cert["fingerprint"] == old and cert["status"] == "active" and cert["served"] is True


def test_an_emergency_finds_one_that_goes_back(few):
    """It waits for the host's word and orders its own then."""
    campaign_id = few.bulk(service_pattern="g3.clara.vcc.internal")[1]["campaign_id"]
    few.wait_state(campaign_id, "completed")
    host = few.hosts_by["g3"]
    host.respond = False
    few.post(f"/api/v1/campaigns/{campaign_id}/rollback", {})
    host.wait("the rollback", lambda: host.rollbacks)
    status, answer = few.emergency(certificate_ids=["g3-web"], wait=0)
    assert status == 202 and answer["pending_count"] == 1
    host.respond = True
    host.rollbacks.clear()
    few.again(host)
    c = few.wait_state(answer["campaign_id"], "completed")
    assert c["successful_count"] == 1
    assert few.campaign(campaign_id)["rolled_back_count"] == 1
    few.wait_done("g3-web")
