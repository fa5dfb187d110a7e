"""Bulk campaigns: the plan and its hash, batches by priority, halting, resuming, cancelling, the limit, what each role may, and the command line."""
import concurrent.futures
import http.client
import json
import subprocess
import time

import pytest
from campaign_fleet import LIFE, CampaignFleet, refused
from conftest import new_folder
from installation import wait_for
from rights_estate import Api

MSG_CANCEL, FAILED = 42, 2  # docs/wire.md


@pytest.fixture(scope="module")
def fleet():
    f = CampaignFleet(new_folder("bulk"), settings={"controller.bulk.batch": "2", "controller.bulk.pause": "1s", "controller.bulk.halt_share": "50%"})
    try:
        f.begin()
        f.hosts_by = {n: f.host_of(n, s) for n, s in (("c1", "clara"), ("c2", "clara"), ("c3", "clara"), ("v1", "vpb"), ("k1", "covina"))}
        yield f
    finally:
        f.end()


# ---- plans ----

def test_what_is_no_selection(fleet):
    for pattern in ("*", "*.*", "a.*", "", "x y"):
        refused(fleet.bulk(service_pattern=pattern, dry_run=True), 422, "VCC-3600")
    refused(fleet.bulk(surprise=1), 422, "VCC-3104")
    refused(fleet.bulk(trigger="nonsense"), 422, "VCC-3104")
    refused(fleet.bulk(plan_hash="no hash"), 422, "VCC-3104")
    refused(fleet.post(f"{LIFE}/vcc-service/none/renew-all", {}), 404, "VCC-1006")
    assert fleet.rows("SELECT count(*) FROM campaigns") == [(0,)]


def test_dry_run_shows_and_changes_nothing(fleet):
    status, plan = fleet.bulk(dry_run=True)
    assert status == 200 and plan["dry_run"] is True and plan["matching_certificates"] == 5
    assert plan["certificate_list"] == ["k1-web", "c1-web", "c2-web", "c3-web", "v1-web"], "covina, clara, vpb: by priority"
    assert plan["plan"]["renewed"] == 5 and plan["plan"]["all_certificates"] == 5 and plan["plan"]["batch"] == 2 and plan["plan"]["approval"] == "none"
    assert plan["plan"]["services"] == {"covina": 1, "clara": 3, "vpb": 1}
    assert fleet.bulk(dry_run=True)[1]["plan_hash"] == plan["plan_hash"], "the same selection has the same hash"
    assert fleet.bulk(dry_run=True, trigger="policy_update")[1]["plan_hash"] != plan["plan_hash"]
    assert fleet.bulk(dry_run=True, trigger="emergency")[1]["plan"]["batch"] == 0, "it goes all at once, and the plan says so"
    some = fleet.bulk(dry_run=True, service_pattern="*.clara.vcc.internal")[1]
    assert some["certificate_list"] == ["c1-web", "c2-web", "c3-web"] and some["plan_hash"] != plan["plan_hash"]
    one = fleet.bulk(dry_run=True, service_pattern="c1.clara.vcc.internal")[1]
    assert one["certificate_list"] == ["c1-web"]
    assert fleet.bulk(dry_run=True, cert_type_filter="vpb_service")[1]["certificate_list"] == ["v1-web"]
    refused(fleet.bulk(dry_run=True, service_pattern="*.c1.clara.vcc.internal"), 422, "VCC-3611")
    assert fleet.rows("SELECT count(*) FROM campaigns") == [(0,)]


def test_a_stale_plan_is_refused(fleet):
    plan = fleet.bulk(dry_run=True, service_pattern="*.clara.vcc.internal")[1]
    refused(fleet.bulk(plan_hash=plan["plan_hash"]), 409, "VCC-3601")
    done = fleet.cli("bulk", "apply", "--plan-hash", plan["plan_hash"])
    assert done.returncode == 8 and "VCC-3601" in done.stderr
    assert fleet.rows("SELECT count(*) FROM campaigns") == [(0,)]


# ---- campaigns ----

def test_in_batches_by_priority(fleet):
    old = {n: fleet.cert(f"{n}-web")["fingerprint"] for n in fleet.hosts_by}
    plan = fleet.bulk(dry_run=True)[1]
    status, begun = fleet.bulk(plan_hash=plan["plan_hash"])
    assert status == 202 and begun["status"] == "processing" and begun["service_pattern"] == "*.vcc.internal" and begun["campaign_id"]
    c = fleet.wait_state(begun["campaign_id"], "completed")
    assert (c["total_certificates"], c["successful_count"], c["failed_count"], c["pending_count"], c["skipped_count"]) == (5, 5, 0, 0, 0)
    assert c["affected_certificates"] == plan["certificate_list"] == [m["cert_id"] for m in fleet.members(begun["campaign_id"])]
    assert sorted(c["successful_renewals"]) == sorted(plan["certificate_list"]) and c["failed_renewals"] == [] and c["renewal_processes"] == []
    assert c["started_at"] and c["completed_at"] and c["plan_hash"] == plan["plan_hash"]
    for n in fleet.hosts_by:
        assert fleet.cert(f"{n}-web")["fingerprint"] != old[n]
    orders = fleet.rows('SELECT cert_id, "trigger", created_at, completed_at FROM orders WHERE campaign_id IS NOT NULL ORDER BY created_at')
    assert [o[0] for o in orders] == plan["certificate_list"] and {o[1] for o in orders} == {"manual"}
    for batch in (1, 2):
        before, after = orders[2 * batch - 2:2 * batch], orders[2 * batch]
        assert max(o[3] for o in before) + 1000 <= after[2] + 50, "a batch begins a pause after the end of the one before"
    for event in ("campaign_started", "campaign_completed"):
        assert len(fleet.audited(event, begun["campaign_id"])) == 1
    assert fleet.audited("campaign_completed", begun["campaign_id"])[0]["successful_count"] == 5


def test_the_whole_service_and_who_is_in_the_way(fleet):
    """Suspended ones and those with an order under way are left out and said to be."""
    c1 = fleet.hosts_by["c1"]
    fleet.vccctl("cert", "suspend", "c2-web")
    c1.respond = False
    fleet.vccctl("cert", "renew", "c1-web", "--force")
    c1.wait("order", lambda: c1.orders)
    status, begun = fleet.post(f"{LIFE}/vcc-service/clara/renew-all", {})
    assert status == 202 and begun["service_name"] == "clara" and begun["status"] == "processing"
    c = fleet.wait_state(begun["campaign_id"], "completed")
    assert c["successful_renewals"] == ["c3-web"] and c["skipped_count"] == 2
    assert {(s["cert_id"], s["code"]) for s in c["skipped_renewals"]} == {("c2-web", "VCC-3004"), ("c1-web", "VCC-3001")}
    c1.respond = True
    fleet.again(c1)
    fleet.vccctl("cert", "resume", "c2-web")
    fleet.wait_done("c1-web")


def test_halts_when_too_much_fails(fleet):
    for n in ("c1", "c2"):
        fleet.hosts_by[n].outcome = lambda h, m: "failed"
    begun = fleet.bulk(service_pattern="*.clara.vcc.internal")[1]
    c = fleet.wait_state(begun["campaign_id"], "halted")
    assert c["failed_count"] == 2 and c["waiting_count"] == 1 and {f["code"] for f in c["failed_renewals"]} == {"VCC-2201"}
    time.sleep(2.5)
    assert fleet.campaign(begun["campaign_id"])["waiting_count"] == 1, "nothing is sent while it is halted"
    shown = fleet.cli("campaign", "watch", begun["campaign_id"])
    assert shown.returncode == 6 and "halted" in shown.stdout and "bulk.halt_share" in shown.stdout
    for n in ("c1", "c2"):
        fleet.hosts_by[n].outcome = lambda h, m: "ok"
    assert fleet.cli("campaign", "resume", begun["campaign_id"]).returncode == 0
    c = fleet.wait_state(begun["campaign_id"], "completed_with_failures")
    assert c["successful_count"] == 1 and c["failed_count"] == 2
    assert len(fleet.audited("campaign_halted", begun["campaign_id"])) == 1 and len(fleet.audited("campaign_resumed", begun["campaign_id"])) == 1
    assert fleet.cli("campaign", "watch", begun["campaign_id"]).returncode == 6
    for n in ("c1", "c2"):
        fleet.vccctl("cert", "renew", f"{n}-web", "--force")
        wait_for("it is mended", lambda: fleet.cert(f"{n}-web")["open_order"] is None, 60)


def test_halt_and_cancel_by_a_person(fleet):
    for n in ("c1", "k1"):
        fleet.hosts_by[n].respond = False
    begun = fleet.bulk()[1]["campaign_id"]
    wait_for("the first batch is sent", lambda: fleet.campaign(begun)["in_progress_count"] == 2)
    assert fleet.cli("campaign", "halt", begun, "--reason", "looks odd").returncode == 0
    c = fleet.campaign(begun)
    assert c["status"] == "halted" and c["cause"] == "looks odd" and c["cause_by_person"] and c["waiting_count"] == 3
    assert refused(fleet.post(f"/api/v1/campaigns/{begun}/halt", {}), 409, "VCC-3603")["detail"] == "it is halted"
    assert fleet.post(f"/api/v1/campaigns/{begun}/cancel", {"reason": "not today"})[1]["status"] == "cancelled"
    for n in ("c1", "k1"):  # what was sent finishes
        fleet.hosts_by[n].respond = True
        fleet.again(fleet.hosts_by[n])
    c = wait_for("it is closed", lambda: (c := fleet.campaign(begun))["completed_at"] and c)
    assert (c["status"], c["successful_count"], c["dropped_count"], c["pending_count"]) == ("cancelled", 2, 3, 0)
    assert [(n["event"], n["level"]) for n in fleet.admin.get("notifications?limit=500")["items"] if n["object"] == begun and n["event"] != "campaign_halted"] == \
        [("campaign_cancelled", "info")]
    assert refused(fleet.post(f"/api/v1/campaigns/{begun}/resume", {}), 409, "VCC-3603")["detail"] == "it is cancelled"
    refused(fleet.post(f"/api/v1/campaigns/{begun}/cancel", {}), 409, "VCC-3603")
    refused(fleet.post("/api/v1/campaigns/01a21aa4-df01-768f-ae94-0a3b72219980/cancel", {}), 404, "VCC-1006")


def test_a_host_that_is_away_holds_up_nobody(fleet):
    """The next batches go on; the campaign stays open until it is back."""
    away = fleet.hosts_by["k1"]
    away.gateway.down(away.session)
    begun = fleet.bulk()[1]["campaign_id"]
    wait_for("all the others are done", lambda: fleet.campaign(begun)["successful_count"] == 4)
    c = fleet.campaign(begun)
    assert (c["status"], c["pending_count"], c["failed_count"]) == ("processing", 1, 0)
    shown = fleet.cli("campaign", "watch", begun)
    assert shown.returncode == 6 and "1 pending" in shown.stdout, shown.stdout
    away.gateway.up(away)
    assert fleet.wait_state(begun, "completed")["successful_count"] == 5


def test_cancelled_while_a_host_is_away(fleet):
    """Nobody knows when it comes back: its order was not begun, and is dropped with the rest. Not in progress for ever."""
    away = fleet.hosts_by["v1"]
    away.gateway.down(away.session)
    begun = fleet.bulk(service_pattern="*.vpb.vcc.internal")[1]["campaign_id"]
    wait_for("it is sent, and its host is missed", lambda: (c := fleet.campaign(begun))["offline_count"] == 1 and c["in_progress_count"] == 1, 60)
    serial = fleet.cert("v1-web")["serial"]
    fleet.post(f"/api/v1/campaigns/{begun}/cancel", {"reason": "not today"})
    c = wait_for("it is closed", lambda: (c := fleet.campaign(begun))["completed_at"] and c, 60)
    assert (c["status"], c["dropped_count"], c["in_progress_count"], c["pending_count"]) == ("cancelled", 1, 0, 0), c
    (m,) = fleet.members(begun)
    assert (m["state"], m["code"]) == ("dropped", "VCC-3612"), m
    assert fleet.cert("v1-web")["open_order"] is None
    away.gateway.up(away)
    away.wait("welcome", lambda: away.welcomes)
    time.sleep(1)
    assert fleet.cert("v1-web")["serial"] == serial, "the host has nothing to do when it is back"


def test_cancelled_while_a_host_with_a_staged_key_is_away(fleet):
    """Its certificate was made without asking it. It is called back before the host hears of it."""
    away = fleet.hosts_by["v1"]
    away.stage_ready("v1-web")
    away.gateway.down(away.session)
    begun = fleet.bulk(service_pattern="*.vpb.vcc.internal")[1]["campaign_id"]
    wait_for("it is sent, and its host is missed", lambda: (c := fleet.campaign(begun))["offline_count"] == 1 and c["in_progress_count"] == 1, 60)
    serial, certificates = fleet.cert("v1-web")["serial"], len(away.certificates)
    (phase, renewal), = fleet.rows("SELECT phase, renewal_id FROM orders ORDER BY created_at DESC LIMIT 1")
    assert phase == "issued"
    fleet.post(f"/api/v1/campaigns/{begun}/cancel", {"reason": "not today"})
    wait_for("it is called back", lambda: fleet.rows("SELECT type FROM outbox WHERE agent = 'v1'") == [(MSG_CANCEL,)], 60)
    away.gateway.up(away)
    called = away.wait("it is told so", lambda: next((m for m in away.cancels if m["renewal_id"] == renewal), None))
    away.receipt(called, FAILED, code=-2012, cause="cancelled before the order was known here")
    c = wait_for("it is closed", lambda: (c := fleet.campaign(begun))["completed_at"] and c, 60)
    assert (c["status"], c["dropped_count"], c["in_progress_count"]) == ("cancelled", 1, 0), c
    assert fleet.cert("v1-web")["serial"] == serial and fleet.cert("v1-web")["open_order"] is None
    assert len(away.certificates) == certificates, "it never saw what it is not to have"


def test_a_certificate_that_moved_is_left_out(fleet):
    """Who asked meant what it was then."""
    other = json.loads(fleet.cli("template", "export", "vpb_service").stdout)
    other = {k: v for k, v in other.items() if not k.endswith("_days") and k not in ("version",)}
    assert fleet.post(f"{LIFE}/templates/vpb_two", {**other, "template_id": "vpb_two", "name": "vpb two"})[0] == 202
    for n in ("k1", "c1"):
        fleet.hosts_by[n].respond = False
    shown = fleet.bulk(dry_run=True, service_pattern="*.vpb.vcc.internal")[1]["plan_hash"]
    begun = fleet.bulk()[1]["campaign_id"]
    wait_for("the first batch is sent", lambda: fleet.campaign(begun)["in_progress_count"] == 2)
    assert fleet.members(begun, state="waiting")[-1]["cert_id"] == "v1-web"
    fleet.hosts_by["v1"].target("v1-web", "vpb", "vpb_two", "DNS:v1.vpb.vcc.internal")
    cert = wait_for("it has another template", lambda: (c := fleet.cert("v1-web"))["template_id"] == "vpb_two" and not c["open_order"] and c, 60)
    for n in ("k1", "c1"):
        fleet.hosts_by[n].respond = True
        fleet.again(fleet.hosts_by[n])
    c = fleet.wait_state(begun, "completed")
    assert (c["successful_count"], c["skipped_count"]) == (4, 1) and c["skipped_renewals"][0]["code"] == "VCC-3609", c
    assert fleet.cert("v1-web")["serial"] == cert["serial"]
    refused(fleet.bulk(service_pattern="*.vpb.vcc.internal", plan_hash=shown), 409, "VCC-3601")  # nobody looked at what it is now
    fleet.hosts_by["v1"].target("v1-web", "vpb", "vpb_service", "DNS:v1.vpb.vcc.internal")
    wait_for("it is back", lambda: (c := fleet.cert("v1-web"))["template_id"] == "vpb_service" and not c["open_order"], 60)


def test_declared_dependencies_go_first(fleet):
    """A stage begins only when everything of the one before is through, whatever its priority."""
    db = fleet.facts_db()
    fleet.processes["controller"].stop()
    subprocess.run(["/usr/bin/python3", "-c", "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
                    "c.execute(\"UPDATE services SET depends_on = 'vpb' WHERE name = 'covina'\"); c.commit()", db], check=True)
    fleet.processes["controller"].start()
    fleet.wait_up()
    fleet.gateways[0].connect()
    plan = fleet.bulk(dry_run=True)[1]
    assert plan["certificate_list"] == ["c1-web", "c2-web", "c3-web", "v1-web", "k1-web"] and plan["plan"]["stages"] == 2
    begun = fleet.bulk()[1]["campaign_id"]
    fleet.wait_state(begun, "completed")
    times = {c: (a, b) for c, a, b in fleet.rows("SELECT cert_id, created_at, completed_at FROM orders ORDER BY renewal_id DESC LIMIT 5")}
    assert times["k1-web"][0] >= times["v1-web"][1]


def test_where_the_campaign_is(fleet):
    """202 with Location."""
    connection = http.client.HTTPSConnection(fleet.admin.address, context=fleet.admin.context, timeout=30)
    connection.request("POST", f"{LIFE}/bulk-renewal", json.dumps({"service_pattern": "*.vpb.vcc.internal"}),
                       dict(fleet.admin.headers, **{"Content-Type": "application/json"}))
    answer = connection.getresponse()
    body = json.loads(answer.read())
    assert answer.status == 202 and answer.headers["Location"] == f"/api/v1/campaigns/{body['campaign_id']}"
    assert fleet.admin("GET", answer.headers["Location"])[1]["kind"] == "bulk"
    fleet.wait_state(body["campaign_id"], "completed")


def test_a_mistyped_name_is_no_success(fleet):
    """The second F73: nothing is meant, and whoever reads "completed" goes home."""
    for dry_run in (True, False):
        for pattern, word in (("*.clarra.vcc.internal", "`*.clara.vcc.internal` is near"), ("c11.clara.vcc.internal", "`c1.clara.vcc.internal` is near")):
            problem = refused(fleet.bulk(service_pattern=pattern, dry_run=dry_run), 422, "VCC-3611")
            assert word in problem["detail"] and problem["object"] == pattern, problem
        problem = refused(fleet.bulk(cert_type_filter="vpb_servise", dry_run=dry_run), 404, "VCC-1006")
        assert "no such template; `vpb_service` is near" in problem["detail"], problem
        refused(fleet.bulk(cert_type_filter="argus_api", dry_run=dry_run), 422, "VCC-3611")
        refused(fleet.emergency(selector={"pattern": "*.elsewhere.example"}, dry_run=dry_run), 422, "VCC-3611")
    done = fleet.cli("bulk", "apply", "--pattern", "*.clarra.vcc.internal")
    assert done.returncode == 1 and "VCC-3611" in done.stderr and "*.clara.vcc.internal" in done.stderr, done
    before = fleet.admin.get("campaigns?limit=1")["items"]
    for selector, value, near in (("service", "clarra", "clara"), ("agent", "c11", "c1"), ("template", "clara_service_aut", "clara_service_auth")):
        problem = refused(fleet.emergency(selector={selector: value}), 404, "VCC-1006")
        assert f"no such {selector}" in problem["detail"] and f"`{near}` is near" in problem["detail"], problem
        done = fleet.cli("emergency", "apply", "--incident", "I", "--reason", "r", "--type", "other", f"--{selector}", value)
        assert done.returncode == 3 and near in done.stderr, done
    assert "near" not in refused(fleet.emergency(selector={"service": "quite-another"}), 404, "VCC-1006")["detail"]
    assert fleet.admin.get("campaigns?limit=1")["items"] == before, "there is no campaign of it"


def test_a_pattern_of_nothing_at_all_is_nothing_to_do(fleet):
    """No name is near: the plan says that nothing is meant, and its campaign is over at once."""
    status, plan = fleet.bulk(service_pattern="*.elsewhere.example", dry_run=True)
    assert status == 200 and plan["matching_certificates"] == 0 and plan["certificate_list"] == []
    status, answer = fleet.bulk(service_pattern="*.elsewhere.example")
    assert status == 202 and answer["service_pattern"] == "*.elsewhere.example" and answer["message"], answer
    assert fleet.wait_state(answer["campaign_id"], "completed")["total_certificates"] == 0
    done = fleet.cli("bulk", "apply", "--pattern", "*.elsewhere.example")
    assert done.returncode == 0, done


# ---- command line ----

def test_command_line(fleet):
    plan = json.loads(fleet.cli("bulk", "plan", "--pattern", "*.clara.vcc.internal", "-o", "json").stdout)
    assert plan["matching_certificates"] == 3
    table = fleet.cli("bulk", "plan").stdout
    assert "k1-web" in table and "plan hash" in table
    done = fleet.cli("bulk", "apply", "--pattern", "*.clara.vcc.internal", "--plan-hash", plan["plan_hash"], "--watch")
    assert done.returncode == 0 and "completed: 3 of 3 renewed" in done.stdout and done.stderr == "", done
    done = fleet.cli("service", "renew-all", "vpb", "--watch", "-o", "json")
    assert done.returncode == 0 and json.loads(done.stdout)["successful_renewals"] == ["v1-web"], done
    assert fleet.cli("service", "renew-all", "nobody").returncode == 3
    listed = json.loads(fleet.cli("campaign", "list", "-o", "json").stdout)
    assert listed[0]["kind"] == "service" and [c["campaign_id"] for c in listed] == sorted((c["campaign_id"] for c in listed), reverse=True)
    shown = fleet.cli("campaign", "show", listed[0]["campaign_id"]).stdout
    assert "v1-web" in shown and "completed" in shown
    assert fleet.cli("campaign", "show", "nonsense").returncode == 3


# ---- the limit (F73) ----

@pytest.fixture(scope="module")
def crowd():
    """More certificates than one person may renew by one order: the files of one host are enough."""
    f = CampaignFleet(new_folder("crowd"), settings={"controller.limits.approval_share": "25%", "controller.bulk.batch": "30", "controller.bulk.pause": "0s"})
    try:
        f.begin()
        host = f.host_of("big01")
        for i in range(21):
            host.target(f"big01-t{i:02d}", "clara", "clara_service_auth", "DNS:big01.clara.vcc.internal", stem=f"t{i:02d}")
        wait_for("all are issued", lambda: [c["served"] and not c["open_order"] for c in f.admin.get("certificates?limit=500")["items"]] == [True] * 22)
        f.crowd_host = host
        yield f
    finally:
        f.end()


def test_a_selection_of_everything_needs_a_second_person(crowd):
    """F73: the plan says how many, the command line applies only what was counted, and nothing is sent before somebody else agrees."""
    plan = crowd.bulk(dry_run=True)[1]
    assert plan["matching_certificates"] == 22 and plan["plan"]["limit"] == 20 and plan["plan"]["approval"] == "before"
    done = crowd.cli("bulk", "apply", "--watch")
    assert done.returncode == 4 and "22 of 22 certificates" in done.stderr and "awaiting_approval" in done.stdout and "approval approve" in done.stdout, done
    waiting = crowd.admin.get("campaigns")["items"][0]
    assert waiting["status"] == "awaiting_approval" and waiting["plan_hash"] == plan["plan_hash"] and waiting["started_at"] is None
    time.sleep(1.5)
    assert crowd.rows("SELECT count(*) FROM orders WHERE campaign_id IS NOT NULL") == [(0,)]
    approval = next(a for a in crowd.approver.get("approvals")["items"] if a["object"] == waiting["campaign_id"])
    assert approval["kind"] == "campaign" and approval["what"]["total_certificates"] == 22 and approval["what"]["plan_hash"] == plan["plan_hash"]
    path = f"/api/v1/approvals/{approval['approval_id']}/approve"
    assert crowd.post(path, {"hash": approval["hash"]})[0] == 403, "not by the one who asked"
    refused(crowd.post(path, {"hash": "0" * 64}, crowd.approver), 409, "VCC-3711")
    assert crowd.post(path, {"hash": approval["hash"]}, crowd.approver)[0] == 200
    c = crowd.wait_state(waiting["campaign_id"], "completed")
    assert c["successful_count"] == 22
    refused(crowd.post(path, {"hash": approval["hash"]}, crowd.approver), 409, "VCC-3712")


def test_refused_by_the_second_person(crowd):
    status, begun = crowd.bulk()
    assert status == 202 and begun["status"] == "awaiting_approval"
    approval = next(a for a in crowd.approver.get("approvals")["items"] if a["object"] == begun["campaign_id"])
    assert crowd.post(f"/api/v1/approvals/{approval['approval_id']}/reject", {"hash": approval["hash"], "comment": "why all?"}, crowd.approver)[0] == 200
    c = wait_for("it is closed", lambda: (c := crowd.campaign(begun["campaign_id"]))["completed_at"] and c)
    assert c["status"] == "cancelled" and c["dropped_count"] == 22 and c["cause"] == "why all?" and c["cause_by_person"]


def test_waves_do_not_lead_around_the_second_person(crowd):
    """It is asked by what the campaign touches as a whole, and the one agreement is for all of its waves."""
    plan = crowd.bulk(dry_run=True, canary="1", waves=["5"])[1]
    assert [w["total"] for w in plan["plan"]["waves"]] == [1, 5, 16] and plan["plan"]["approval"] == "before"
    begun = crowd.bulk(canary="1", waves=["5"], plan_hash=plan["plan_hash"])[1]
    assert begun["status"] == "awaiting_approval"
    time.sleep(1)
    assert crowd.campaign(begun["campaign_id"])["waiting_count"] == 22, "not even the canary"
    refused(crowd.post(f"/api/v1/campaigns/{begun['campaign_id']}/rollback", {}), 409, "VCC-3603")
    crowd.approve(begun["campaign_id"])
    assert crowd.wait_state(begun["campaign_id"], "completed")["successful_count"] == 22


def test_cancelled_before_anybody_decided(crowd):
    begun = crowd.bulk()[1]["campaign_id"]
    assert crowd.cli("campaign", "cancel", begun).returncode == 0
    wait_for("its request ends with it", lambda: not [a for a in crowd.approver.get("approvals")["items"] if a["object"] == begun])
    assert wait_for("it is closed", lambda: (c := crowd.campaign(begun))["completed_at"] and c)["dropped_count"] == 22


def test_below_the_limit_nobody_is_asked(crowd):
    assert crowd.bulk(service_pattern="big01-t01.clara.vcc.internal", dry_run=True)[1]["plan"]["approval"] == "none"


def test_many_small_ones_are_a_large_one(crowd):
    """Twenty of one certificate each, at once, are what one person may do in a day; of what was approved or cancelled nothing counts."""
    assert crowd.bulk(service_pattern="big01-t00.clara.vcc.internal", dry_run=True)[1]["plan"]["recent"] == 0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        token = crowd.admin.headers["Authorization"].split()[1]
        answers = list(pool.map(lambda i: Api(crowd, token)("POST", f"{LIFE}/bulk-renewal", {"service_pattern": f"big01-t{i:02d}.clara.vcc.internal"}), range(21)))
    assert sorted(a["status"] for _, a in answers) == ["awaiting_approval"] + ["processing"] * 20, answers
    waits = next(a["campaign_id"] for _, a in answers if a["status"] == "awaiting_approval")
    plan = crowd.bulk(service_pattern="big01-t00.clara.vcc.internal", dry_run=True)[1]["plan"]
    assert (plan["recent"], plan["limit"], plan["approval"]) == (20, 20, "before")
    assert crowd.emergency(selector={"pattern": "big01-t00.clara.vcc.internal"}, dry_run=True)[1]["plan"]["approval"] == "none", "that has a rule of its own"
    crowd.processes["controller"].stop()
    crowd.processes["controller"].start()
    crowd.wait_up()
    crowd.gateways[0].connect()
    assert crowd.bulk(service_pattern="big01-t00.clara.vcc.internal", dry_run=True)[1]["plan"]["recent"] == 20, "a restart forgets nothing"
    assert crowd.approve(waits)[0] == 200
    crowd.wait_state(waits, "completed")
    assert crowd.bulk(service_pattern="big01-t00.clara.vcc.internal", dry_run=True)[1]["plan"]["recent"] == 20, "somebody agreed to that one"




# ---- roles ----

def test_roles(fleet):
    def token(role, services=None):
        fields = {"name": f"r-{role}-{'s' if services else 'a'}", "roles": [role]}
        status, body = fleet.post("/api/v1/principals", dict(fields, services=services) if services else fields)
        if status == 202:
            fleet.post(f"/api/v1/approvals/{body['approval']['approval_id']}/approve", {"hash": body["approval"]["hash"]}, fleet.approver)
        return Api(fleet, fleet.post("/api/v1/tokens", {"principal": fields["name"]})[1]["token"])
    viewer, operator, limited = token("viewer"), token("operator"), token("operator", ["clara"])
    for path, body in ((f"{LIFE}/bulk-renewal", {"dry_run": True}), (f"{LIFE}/vcc-service/clara/renew-all", {"dry_run": True}),
                       (f"{LIFE}/emergency-recertification", {"selector": {"all": True}, "incident_id": "I", "reason": "r", "dry_run": True})):
        refused(viewer("POST", path, body), 403, "VCC-3101")
        assert operator("POST", path, body)[0] == 200
    assert limited("POST", f"{LIFE}/bulk-renewal", {"dry_run": True})[1]["certificate_list"] == ["c1-web", "c2-web", "c3-web"]
    refused(limited("POST", f"{LIFE}/vcc-service/vpb/renew-all", {}), 404, "VCC-1006")
    status, e = limited("POST", f"{LIFE}/emergency-recertification", {"certificate_ids": ["v1-web"], "incident_id": "I", "reason": "r"})
    assert status == 200 and [f["code"] for f in e["failures"]] == ["VCC-3606"], "of another service: it does not exist"
    everything = fleet.bulk()[1]["campaign_id"]
    own = limited("POST", f"{LIFE}/vcc-service/clara/renew-all", {})[1]["campaign_id"]
    assert own in json.dumps(limited.get("campaigns")) and everything not in json.dumps(limited.get("campaigns"))
    for verb in ("halt", "cancel"):
        refused(limited("POST", f"/api/v1/campaigns/{everything}/{verb}", {}), 404, "VCC-1006")
        refused(viewer("POST", f"/api/v1/campaigns/{everything}/{verb}", {}), 403, "VCC-3101")
    assert viewer("GET", f"/api/v1/campaigns/{everything}")[0] == 200
    for c in (everything, own):
        wait_for("it is over", lambda: fleet.campaign(c)["completed_at"])
