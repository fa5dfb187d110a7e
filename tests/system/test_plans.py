"""Does one plan become one campaign, does the second person see what is agreed to, and does whoever looks at a campaign see whom it waits for?"""
import json
import threading

import pytest
from campaign_fleet import LIFE, CampaignFleet, refused
from conftest import new_folder
from contract import Caller, Contract
from installation import wait_for
from rights_estate import Api

SETTINGS = {"controller.bulk.batch": "10", "controller.bulk.pause": "100ms", "controller.supersede.grace": "1h", "controller.emergency.approval": "before",
            "controller.limits.approval_share": "100%"}
NAMES = (("p1", "clara"), ("p2", "clara"), ("p3", "clara"), ("q1", "vpb"))
DRILLS = "/api/v1/drills"


@pytest.fixture(scope="module")
def fleet():
    f = CampaignFleet(new_folder("plans"), settings=SETTINGS)
    try:
        f.begin()
        empty_lists(f)
        f.hosts_by = {n: f.host_of(n, s) for n, s in NAMES}
        yield f
    finally:
        f.end()


def empty_lists(f):
    """Nothing is there yet: a person is told so, a program gets what it always gets."""
    for words, what in ((("campaign", "list"), "no campaigns"), (("agent", "list"), "no agents"), (("cert", "list"), "no certificates"), (("target", "list"), "no targets"),
                        (("approval", "list"), "no approvals"), (("drill", "list"), "no drills"), (("cert", "expiring"), "no certificates that expire soon"),
                        (("audit", "list", "--actor", "nobody"), "no records")):
        done = f.cli(*words)
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", what + "\n"), (words, done)
        for form in ("json", "csv"):
            done = f.cli(*words, "-o", form)
            assert done.returncode == 0 and done.stderr == "" and done.stdout.strip(), (words, form, done)


def closed(fleet, campaign_id):
    return fleet.wait_state(campaign_id, "completed", "completed_with_failures", "cancelled")


def drill(fleet, **body):
    return fleet.post(DRILLS, body)


PLANNED = {
    "bulk": lambda f, **b: f.bulk(**b),
    "service": lambda f, **b: f.post(f"{LIFE}/vcc-service/clara/renew-all", b),
    "emergency": lambda f, **b: f.emergency(selector={"service": "clara"}, wait=0, **b),
    "drill": lambda f, **b: drill(f, selector={"service": "clara"}, **b),
}


def campaign_of(answer):
    return answer.get("campaign_id") or answer["drill_id"]


@pytest.mark.parametrize("kind", PLANNED)
def test_a_plan_becomes_one_campaign(fleet, kind):
    ask = PLANNED[kind]
    plan = ask(fleet, dry_run=True)[1]
    begun = ask(fleet, plan_hash=plan["plan_hash"])
    assert begun[0] == 202, begun
    campaign = campaign_of(begun[1])
    for _ in range(2):  # while it runs, and again
        why = refused(ask(fleet, plan_hash=plan["plan_hash"]), 409, "VCC-3670")
        assert f"vccctl {'drill' if kind == 'drill' else 'campaign'} show {campaign}" in why["detail"] and why["object"] == "plan_hash", why
    closed(fleet, campaign)
    why = refused(ask(fleet, plan_hash=plan["plan_hash"]), 409, "VCC-3670")
    assert "completed" in why["detail"]
    again = ask(fleet, dry_run=True)[1]
    assert again["plan_hash"] != plan["plan_hash"] and again["certificate_list"] == plan["certificate_list"]
    assert ask(fleet, dry_run=True)[1]["plan_hash"] == again["plan_hash"], "and it stays that until it is applied"
    second = ask(fleet, plan_hash=again["plan_hash"])
    assert second[0] == 202 and campaign_of(second[1]) != campaign, second
    closed(fleet, campaign_of(second[1]))
    assert campaign in refused(ask(fleet, plan_hash=plan["plan_hash"]), 409, "VCC-3670")["detail"], "the first one is not taken for the second"


def test_from_the_command_line(fleet):
    emergency = ("emergency", "apply", "--incident", "I", "--reason", "r", "--type", "exercise", "--service", "vpb")
    for words in (("bulk", "apply", "--pattern", "*.vpb.vcc.internal"), emergency):
        plan = json.loads(fleet.cli(words[0], "plan", *words[2:], "-o", "json").stdout)["plan_hash"]
        first = fleet.cli(*words, "--plan-hash", plan)
        assert first.returncode == 0, first
        campaign = closed(fleet, fleet.admin.get("campaigns")["items"][0]["campaign_id"])["campaign_id"]
        again = fleet.cli(*words, "--plan-hash", plan)
        assert again.returncode == 8 and "VCC-3670" in again.stderr and campaign in again.stderr, again
        assert fleet.cli(*words, "--yes").returncode == 0, "who plans anew may"
        closed(fleet, fleet.admin.get("campaigns")["items"][0]["campaign_id"])


def test_of_many_at_once_one_is_made(fleet):
    plan = fleet.bulk(dry_run=True)[1]["plan_hash"]
    apis = [Api(fleet, fleet.admin.headers["Authorization"].split()[1]) for _ in range(8)]
    for api in apis:
        api.get("whoami")
    answers, start = [], threading.Barrier(len(apis))

    def ask(api):
        start.wait()
        answers.append(api("POST", f"{LIFE}/bulk-renewal", {"plan_hash": plan}))
    threads = [threading.Thread(target=ask, args=(api,)) for api in apis]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    made = [a for status, a in answers if status == 202]
    assert len(made) == 1 and [a["code"] for s, a in answers if s == 409] == ["VCC-3670"] * 7, answers
    assert all(made[0]["campaign_id"] in a["detail"] for s, a in answers if s == 409)
    closed(fleet, made[0]["campaign_id"])


def test_a_repeated_request_is_answered_as_the_first(fleet):
    """An Idempotency-Key says that it is the same request, not a second one."""
    caller = Caller(fleet, Contract(fleet.admin.get("openapi.json")), fleet.admin.headers["Authorization"].split()[1])
    plan = fleet.bulk(dry_run=True)[1]["plan_hash"]
    answers = []
    for _ in range(2):
        status, headers, text = caller.raw("POST", f"{LIFE}/bulk-renewal", json.dumps({"plan_hash": plan}), {"Idempotency-Key": "plans-1"})
        answers.append((status, json.loads(text)))
    assert answers[0][0] == 202 and answers[0] == answers[1] and headers.get("Idempotency-Replayed") == "true", answers
    refused(fleet.bulk(plan_hash=plan), 409, "VCC-3670")
    closed(fleet, answers[0][1]["campaign_id"])


def test_a_restart_forgets_nothing(fleet):
    plan = fleet.bulk(dry_run=True)[1]["plan_hash"]
    campaign = fleet.bulk(plan_hash=plan)[1]["campaign_id"]
    closed(fleet, campaign)
    before = fleet.bulk(dry_run=True)[1]["plan_hash"]
    controller = fleet.processes["controller"]
    controller.stop()
    controller.start()
    fleet.wait_up()
    fleet.gateways[0].connect()
    assert campaign in refused(fleet.bulk(plan_hash=plan), 409, "VCC-3670")["detail"]
    assert fleet.bulk(dry_run=True)[1]["plan_hash"] == before, "a plan outlives a restart"


def test_the_same_while_it_runs_is_warned_of(fleet):
    fleet.hosts_by["q1"].respond = False
    begun = fleet.bulk(service_pattern="*.vpb.vcc.internal")[1]["campaign_id"]
    plan = fleet.bulk(service_pattern="*.vpb.vcc.internal", dry_run=True)[1]["plan"]
    assert [w for w in plan["warnings"] if begun in w and "not over" in w], plan["warnings"]
    assert begun in fleet.cli("bulk", "plan", "--pattern", "*.vpb.vcc.internal").stdout
    # whom it waits for has a name
    slowest = wait_for("it is sent", lambda: fleet.campaign(begun)["slowest"], 60)
    assert [(s["cert_id"], s["agent"], s["state"], s["waits_for"]) for s in slowest] == [("q1-web", "q1", "ordered", "a certificate request of the host")], slowest
    assert "a certificate request of the host" in fleet.cli("campaign", "show", begun).stdout
    assert fleet.members(begun)[0]["waits_for"] == "a certificate request of the host"
    wait_for("it takes long", lambda: fleet.campaign(begun)["slowest"][0]["seconds"] >= 5, 60)
    for words in (("--once",), ("--wait", "1s")):
        said = fleet.cli("campaign", "watch", begun, *words).stdout
        assert "q1: q1-web" in said and "a certificate request of the host" in said and max(map(len, said.splitlines())) <= 80, said
    fleet.hosts_by["q1"].gateway.down(fleet.hosts_by["q1"].session)
    wait_for("it is away", lambda: fleet.campaign(begun)["slowest"][0]["waits_for"] == "a certificate request of the host, which is away", 60)
    fleet.hosts_by["q1"].respond = True
    fleet.hosts_by["q1"].gateway.up(fleet.hosts_by["q1"])
    assert closed(fleet, begun)["slowest"] == []


# ---- waves that mean nothing ----

@pytest.mark.parametrize("waves, named", [(["rest", "10%"], "10%"), (["100%", "rest"], "rest"), (["10%", "rest", "service:vpb"], "service:vpb"), (["10%", ""], "entry 2"), ([""], "entry 1")])
def test_a_wave_that_nobody_could_be_in_is_refused(fleet, waves, named):
    why = refused(fleet.bulk(waves=waves, dry_run=True), 422, "VCC-3613")
    assert named in (why["object"], why["detail"][:len(named)]), why
    done = fleet.cli("bulk", "plan", "--waves", ",".join(waves))
    assert done.returncode != 0 and "VCC-3613" in done.stderr and named in done.stderr, done


def test_what_is_written_into_waves_by_mistake(fleet):
    for waves in (",", "10%,,rest", "10%,", ",10%", ""):
        done = fleet.cli("bulk", "plan", "--waves", waves)
        assert done.returncode != 0 and "VCC-3613" in done.stderr and "is empty" in done.stderr, (waves, done)
    assert refused(fleet.bulk(canary="rest", waves=["10%"], dry_run=True), 422, "VCC-3613")["object"] == "10%"
    assert refused(fleet.bulk(halt_count=0, waves=["1"], dry_run=True), 422, "VCC-3104")["object"] == "halt_count"
    done = fleet.cli("bulk", "plan", "--waves", "1", "--halt-count", "0")
    assert done.returncode != 0 and "halt_count" in done.stderr
    assert [w["total"] for w in fleet.bulk(waves=["service:vpb", "rest"], halt_count=1, dry_run=True)[1]["plan"]["waves"]] == [1, 3]
    assert fleet.cli("bulk", "plan", "--waves", " 1 , rest").returncode == 0


# ---- what is shown ----

def test_how_long_the_old_one_stays(fleet):
    begun = fleet.emergency(selector={"service": "vpb"}, incident_type="key_compromise", revoke_old="after:90m", wait=0)[1]
    closed(fleet, begun["campaign_id"])
    shown = fleet.campaign(begun["campaign_id"])
    assert shown["started_at"] and shown["revoke_old"] == "after:90m" and shown["revoke_by"], "how long, and until when"
    assert "after:90m" in fleet.cli("campaign", "show", begun["campaign_id"]).stdout


def test_ages_do_not_run_backwards(fleet):
    campaign = fleet.bulk(service_pattern="*.vpb.vcc.internal")[1]["campaign_id"]
    line = next(x for x in fleet.cli("campaign", "list").stdout.splitlines() if x.startswith(campaign))
    assert line.split()[-1].endswith("s") and not line.split()[-1].startswith("-"), line
    closed(fleet, campaign)


# ---- the second person ----

@pytest.fixture(scope="module")
def asking():
    """A fleet in which most campaigns wait for a second person."""
    f = CampaignFleet(new_folder("asking"), settings={**SETTINGS, "controller.limits.approval_share": "1%"})
    try:
        f.begin()
        f.hosts_by = {f"a{i:02}": f.host_of(f"a{i:02}", "vpb" if i % 5 == 0 else "clara") for i in range(22)}
        yield f
    finally:
        f.end()


def test_waves_hosts_services_and_options_of_a_request(asking):
    f = asking
    begun = f.emergency(selector={"all": True}, incident_type="key_compromise", revoke_old="after:90m", canary="1", waves=["50%", "rest"], halt_count=2, peer_proof=True, wait=0)[1]
    assert begun["status"] == "awaiting_approval", begun
    shown = f.approver.get(f"approvals/{begun['campaign_id']}")
    c = shown["campaign"]
    assert c["waves"] == [{"wave": 1, "canary": True, "total": 1}, {"wave": 2, "canary": False, "total": 11}, {"wave": 3, "canary": False, "total": 10}]
    assert c["hosts"] == 22 and c["total_certificates"] == c["renewed"] == 22
    assert c["blast_radius"] == {"vpb": {"certificates": 5, "hosts": 5, "targets": 5}, "clara": {"certificates": 17, "hosts": 17, "targets": 17}}
    assert c["fresh_keys"] is True and c["revoke_old"] == "after:90m" and c["peer_proof"] is True and c["halt_count"] == 2 and c["rollback_on_halt"] is False
    assert shown["what"]["plan_hash"] == f.campaign(begun["campaign_id"])["plan_hash"], "what is hashed names the plan, and the plan all of this"
    out = f.cli("approval", "show", begun["campaign_id"], token="approver").stdout
    for words in ("canary, wave 1: 1 certificates", "wave 2: 11 certificates", "service vpb: 5 certificates on 5 hosts, 5 targets", "after:90m", "fresh keys"):
        assert words in out, out
    assert "campaign" not in f.approver.get("approvals")["items"][0], "not in lists"
    why = refused(f.emergency(selector={"all": True}, incident_type="key_compromise", revoke_old="after:90m", canary="1", waves=["50%", "rest"], halt_count=2, peer_proof=True,
                              plan_hash=shown["what"]["plan_hash"], wait=0), 409, "VCC-3670")
    assert "awaiting_approval" in why["detail"]
    assert f.approve(begun["campaign_id"])[0] == 200
    closed(f, begun["campaign_id"])
    assert f.campaign(begun["campaign_id"])["revoke_old"] == "after:90m", "counted from when it was agreed to"
    after = f.approver.get(f"approvals/{begun['campaign_id']}")
    assert after["status"] == "approved" and after["campaign"]["blast_radius"] == c["blast_radius"]
