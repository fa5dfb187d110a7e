"""Templates and services are changed: does a dry run show what would happen and change nothing, does a change reach exactly what it concerns, is a change
refused that would end renewals, is a lost update refused, and does a second person have to agree?"""
import hashlib
import json
import os
import shutil
import subprocess
import time

import checks
import pytest
from conftest import new_folder
from installation import wait_for, write
from played_fleet import PlayedFleet
from rights_estate import Api

NAMES = "DNS:{0}.clara.vcc.internal"
LIFE = "/api/v1/certificates/lifecycle"
DERIVED = ("validity_period_days", "validity_seconds", "renewal_threshold_days", "emergency_threshold_days", "version", "created_at", "update")


@pytest.fixture(scope="module")
def ctl():
    path = new_folder("policy")
    inst = PlayedFleet(path, settings={"controller.supersede.grace": "1h"})
    try:
        inst.init()
        inst.start_both()
        inst.gateway()
        inst.admin = Api(inst, open(os.path.join(inst.state, "admin.token")).read().strip())
        yield inst
    finally:
        for g in inst.gateways:
            g.close()
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def run(ctl, *words):
    done = subprocess.run([*ctl.vccctl_argv, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def template(ctl, base="vpb_service", **fields):
    """A template as a file has it, with fields changed."""
    t = {k: v for k, v in json.loads(run(ctl, "template", "export", base)[1]).items() if k not in DERIVED}
    t.update(fields)
    return t


def new_template(ctl, name, **fields):
    base = {"template_id": name, "name": name, "validity_period": "100d", "renewal_threshold": "30d", "emergency_threshold": "7d",
            "key_type": "ECDSA", "key_size": 256, "key_usage": ["digitalSignature"], "extended_key_usage": ["serverAuth", "clientAuth"],
            "subject_alt_names": ["*.clara.vcc.internal"], "vcc_service_type": "clara", "max_renewals": 0}
    base.update(fields)
    answer = apply(ctl, "template", base)
    assert answer["version"] == 1, answer
    return base


def apply(ctl, noun, content, *words):
    path = os.path.join(ctl.dir, f"{content.get('template_id') or content['name']}.json")
    write(path, json.dumps(content))
    return ctl.vccctl(noun, "apply", path, *words)


def refused(ctl, noun, content, *words, code):
    path = os.path.join(ctl.dir, "refused.json")
    write(path, json.dumps(content))
    status, out, err = run(ctl, noun, "apply", path, *words)
    assert status != 0 and code in err, out + err
    return err


def issued(ctl, name, template_id):
    host = ctl.host(ctl.gateways[-1], name)
    host.target(f"{name}-web", "clara", template_id, NAMES.format(name))
    return host, ctl.wait_done(f"{name}-web")


def orders(ctl, cert_id):
    return [(t, p) for t, p in checks.rows(ctl.facts_db(), 'SELECT "trigger", phase FROM orders WHERE cert_id = ? ORDER BY renewal_id', cert_id)]


def walked(ctl, object_):
    wait_for(f"the change of {object_} has reached everything",
             lambda: not checks.rows(ctl.facts_db(), "SELECT object FROM policy_walks WHERE object = ?", object_))


def ended(ctl, campaign_id):
    return wait_for("its campaign is over", lambda: (c := ctl.get(f"campaigns/{campaign_id}"))["completed_at"] and c, 60)


# ---- templates ----

def test_dry_run_changes_nothing(ctl):
    base = new_template(ctl, "dry")
    _, cert = issued(ctl, "dry01", "dry")
    shown = apply(ctl, "template", {**base, "validity_period": "90d", "max_renewals": 4}, "--dry-run")
    assert shown["dry_run"] is True and shown["status"] == "dry_run" and shown["current_version"] == 1 and shown["version"] == 2
    assert {c["field"]: (c["from"], c["to"]) for c in shown["changes"]} == {"validity_period": ("100d", "90d"), "max_renewals": (0, 4)}
    assert (shown["certificates_affected"], shown["renewals"], shown["blocked"]) == (1, 1, 0) and shown["certificate_list"] == ["dry01-web"]
    weak = apply(ctl, "template", {**base, "key_type": "RSA", "key_size": 2048, "compliance_profiles": ["BSI_TR"]}, "--dry-run")
    assert [(v["profile"], v["field"]) for v in weak["compliance"]] == [("BSI_TR", "key_size")]
    time.sleep(0.6)
    assert ctl.get("certificates/lifecycle/templates/dry")["version"] == 1
    after = ctl.cert("dry01-web")
    assert after["serial"] == cert["serial"] and len(after["renewals"]) == 1
    path = os.path.join(ctl.dir, "dry.json")
    write(path, json.dumps({**base, "validity_period": "90d"}))
    status, out, _ = run(ctl, "template", "apply", path, "--dry-run")
    assert status == 0 and "validity_period: 100d -> 90d" in out and "affected: 1, renewed: 1, blocked: 0" in out, out


def test_what_is_issued_is_renewed(ctl):
    base = new_template(ctl, "content")
    hosts = [issued(ctl, f"cont{i:02d}", "content")[0] for i in range(3)]
    answer = apply(ctl, "template", {**base, "validity_period": "50d", "renewal_threshold": "10d"})
    assert (answer["status"], answer["version"], answer["renewals"]) == ("processing", 2, 3)
    for host in hosts:
        cert_id = f"{host.name}-web"
        wait_for(f"{cert_id} is renewed", lambda: orders(ctl, cert_id)[1:] == [("policy_update", "completed")])
        cert = ctl.cert(cert_id)
        assert cert["template_version"] == 2 and 49 < cert["days_until_expiry"] <= 50, cert
    walked(ctl, "template:content")
    c = ended(ctl, answer["campaign_id"])
    assert (c["kind"], c["trigger"], c["status"], c["selector"]) == ("policy", "policy_update", "completed", "template content")
    assert (c["total_certificates"], c["successful_count"], c["collecting"]) == (3, 3, False) and c["reason"].startswith("version 2")
    assert sorted(c["successful_renewals"]) == [f"{h.name}-web" for h in hosts]
    assert checks.rows(ctl.facts_db(), "SELECT count(DISTINCT cert_id), count(*) FROM orders WHERE hex(campaign_id) = ?",
                       c["campaign_id"].replace("-", "").upper()) == [(3, 3)], "every order is the campaign's"
    (detail,), = checks.rows(ctl.facts_db(), "SELECT detail FROM audit WHERE event = 'policy_update_completed' AND object = 'content' ORDER BY seq DESC LIMIT 1")
    assert json.loads(detail) == {"version": 2, "ordered": 3, "skipped": 0}
    again = apply(ctl, "template", {**base, "validity_period": "50d", "renewal_threshold": "10d"})
    assert (again["status"], again["version"], again["changes"]) == ("completed", 2, []), "the same again is no new version"
    assert again["campaign_id"] is None
    first = ctl.get("certificates/lifecycle/templates/content?version=1")
    assert first["validity_period"] == "100d" and first["version"] == 1


def test_how_it_is_renewed_holds_at_once(ctl):
    base = new_template(ctl, "manner")
    _, cert = issued(ctl, "mann01", "manner")
    answer = apply(ctl, "template", {**base, "renewal_threshold": "60d"})
    assert (answer["certificates_affected"], answer["renewals"]) == (1, 0)
    walked(ctl, "template:manner")
    c = ended(ctl, answer["campaign_id"])
    assert (c["status"], c["total_certificates"]) == ("completed", 0), "a campaign that nothing belongs to"
    status, out, err = run(ctl, "campaign", "watch", answer["campaign_id"])
    assert status == 0 and "0 of 0 renewed" in out, out + err
    after = ctl.cert("mann01-web")
    assert after["serial"] == cert["serial"] and len(after["renewals"]) == 1 and after["renew_at"] < cert["renew_at"]
    apply(ctl, "template", {**base, "renewal_threshold": "60d", "auto_renewal_enabled": False})
    walked(ctl, "template:manner")
    assert ctl.cert("mann01-web")["renew_at"] is None


def test_no_edit_ends_renewals_unless_forced(ctl):
    """F74: the dry run on the live set."""
    base = new_template(ctl, "block")
    _, cert = issued(ctl, "block01", "block")
    narrow = {**base, "subject_alt_names": ["elsewhere.clara.vcc.internal"]}
    shown = run(ctl, "template", "apply", write_file(ctl, narrow), "--dry-run")
    assert shown[0] == 1 and "blocked: block01-web: subject_alt_names" in shown[1], shown
    assert "block01-web" in refused(ctl, "template", narrow, code="VCC-3853")
    assert "vcc_service_type" in refused(ctl, "template", {**base, "vcc_service_type": "argus"}, code="VCC-3853")
    admin = {**base, "certificate_purpose": "admin", "extended_key_usage": ["clientAuth"], "validity_period": "80d", "subject_alt_names": []}
    assert "certificate_purpose" in refused(ctl, "template", admin, code="VCC-3853")
    for field, value, word in (("validity_period", "900d", "validity_period"), ("renewal_threshold", "80d", "renewal_threshold"),
                               ("key_usage", ["keyCertSign"], "key_usage"), ("issuer", "nobody", "issuer"), ("issuer", "agent-1", "issuer"),
                               ("hash_algorithm", "MD5", "hash_algorithm"), ("key_size", 1024, "key_size")):
        err = refused(ctl, "template", {**base, field: value}, code="VCC-")
        assert word in err and "block" in err, err
    assert ctl.get("certificates/lifecycle/templates/block")["version"] == 1

    assert apply(ctl, "template", narrow, "--force")["version"] == 2
    walked(ctl, "template:block")
    after = ctl.cert("block01-web")
    assert after["approved"] is False and after["serial"] == cert["serial"]
    assert "VCC-" in run(ctl, "cert", "renew", "block01-web", "--force")[2], "its name waits for a person"


def write_file(ctl, content):
    path = os.path.join(ctl.dir, "content.json")
    write(path, json.dumps(content))
    return path


def test_lost_update(ctl):
    base = new_template(ctl, "lost")
    def post(body, if_match=None):
        api = Api(ctl, open(os.path.join(ctl.state, "admin.token")).read().strip())
        if if_match:
            api.headers["If-Match"] = if_match
        return api("POST", f"{LIFE}/templates/lost", body)

    assert post({**base, "max_renewal_attempts": 4}, '"1"')[0] == 202
    status, problem = post({**base, "max_renewal_attempts": 5}, '"1"')
    assert status == 412 and problem["code"] == "VCC-3852", problem
    assert post({**base, "max_renewal_attempts": 5}, "nonsense")[0] == 412
    assert post({**base, "max_renewal_attempts": 5}, '"2"')[0] == 202
    assert refused(ctl, "template", base, "--if-version", "1", code="VCC-3852")
    assert refused(ctl, "template", {**base, "template_id": "lost2"}, "--if-version", "1", code="VCC-3852")
    assert ctl.get("certificates/lifecycle/templates/lost")["max_renewal_attempts"] == 5


# ---- campaigns ----

def deaf(ctl, template_id, *names):
    """Certificates whose hosts answer nothing: what is sent to them stays under way."""
    hosts = [issued(ctl, n, template_id)[0] for n in names]
    for h in hosts:
        h.respond = False
    return hosts


def answering(ctl, hosts):
    for h in hosts:
        h.respond = True
        h.gateway.down(h.session)
        h.gateway.up(h)


def member(ctl, campaign_id, cert_id):
    return next(m for m in ctl.get(f"campaigns/{campaign_id}/members?limit=500")["items"] if m["cert_id"] == cert_id)


def test_a_person_halts_and_cancels_it(ctl):
    """Twelve certificates are two batches: what was not sent keeps what it has, and no later change of a service renews it, either."""
    base = new_template(ctl, "halted")
    hosts = deaf(ctl, "halted", *(f"halt{i:02d}" for i in range(12)))
    begun = apply(ctl, "template", {**base, "validity_period": "70d"})["campaign_id"]
    wait_for("the first batch is sent", lambda: (c := ctl.get(f"campaigns/{begun}"))["in_progress_count"] == 10 and not c["collecting"])
    assert run(ctl, "campaign", "halt", begun, "--reason", "not now")[0] == 0
    answering(ctl, hosts)
    wait_for("what was sent finishes", lambda: ctl.get(f"campaigns/{begun}")["successful_count"] == 10)
    c = ctl.get(f"campaigns/{begun}")
    assert (c["status"], c["waiting_count"]) == ("halted", 2)
    assert run(ctl, "campaign", "watch", begun)[0] == 6
    assert run(ctl, "campaign", "cancel", begun)[0] == 0
    c = ended(ctl, begun)
    assert (c["status"], c["dropped_count"], c["successful_count"]) == ("cancelled", 2, 10)
    apply(ctl, "service", {"name": "clara", "policy": {"max_renewals": 8}})
    walked(ctl, "service:clara")
    apply(ctl, "service", {"name": "clara"})
    walked(ctl, "service:clara")
    kept = [h.name for h in hosts if ctl.cert(f"{h.name}-web")["template_version"] == 1]
    assert len(kept) == 2 and all(len(orders(ctl, f"{n}-web")) == 1 for n in kept)


def test_a_later_version_takes_over(ctl):
    """What the earlier one did not send is renewed once, by the later one."""
    base = new_template(ctl, "twice")
    hosts = deaf(ctl, "twice", *(f"twic{i:02d}" for i in range(11)))
    first = apply(ctl, "template", {**base, "validity_period": "70d"})["campaign_id"]
    wait_for("the first batch is sent", lambda: ctl.get(f"campaigns/{first}")["in_progress_count"] == 10)
    second = apply(ctl, "template", {**base, "validity_period": "60d"})["campaign_id"]
    wait_for("all are the later one's", lambda: ctl.get(f"campaigns/{second}")["total_certificates"] == 11)
    answering(ctl, hosts)
    c, d = ended(ctl, first), ended(ctl, second)
    assert (c["status"], c["cause"], c["dropped_count"]) == ("cancelled", "a later change took its place", 1), c
    assert (d["status"], d["total_certificates"], d["successful_count"]) == ("completed", 11, 11), d
    for h in hosts:
        cert = ctl.cert(f"{h.name}-web")
        assert cert["template_version"] == 3 and len(orders(ctl, f"{h.name}-web")) == 2, "what was under way is made by the later version, and counts for both"


def test_it_says_what_it_leaves(ctl):
    base = new_template(ctl, "leaves")
    for name in ("leav01", "leav02", "leav03"):
        issued(ctl, name, "leaves")
    ctl.vccctl("cert", "suspend", "leav01-web")
    ctl.vccctl("agent", "evict", "leav02")
    answer = apply(ctl, "template", {**base, "validity_period": "70d"})
    c = ended(ctl, answer["campaign_id"])
    assert (c["status"], c["total_certificates"], c["successful_count"], c["failed_count"], c["skipped_count"]) == ("completed_with_failures", 3, 1, 1, 1), c
    assert c["failed_renewals"][0]["cert_id"] == "leav02-web" and c["skipped_renewals"][0]["cert_id"] == "leav01-web"


def test_an_order_says_which_window_it_waits_for(ctl):
    base = new_template(ctl, "windowed")
    host, _ = issued(ctl, "wind01", "windowed")
    host.outcome = lambda *_: "the host waits"
    hour = (time.gmtime().tm_hour + 12) % 24
    window = f"* {hour:02d}:00-{(hour + 1) % 24:02d}:00 Etc/UTC"
    apply(ctl, "service", {"name": "clara", "windows": window})
    begun = apply(ctl, "template", {**base, "validity_period": "70d"})["campaign_id"]
    m = wait_for("its member waits", lambda: (ms := ctl.get(f"campaigns/{begun}/members")["items"]) and ms[0].get("next_at") and ms[0], 60)
    renewal = ctl.get(f"renewals/{m['renewal_id']}")
    for shown in (m, renewal, ctl.cert("wind01-web")["renewals"][0], ctl.get(f"campaigns/{begun}")["renewal_processes"][0]):
        assert shown["waits_for"] == "the window of service clara" and shown["next_at"][11:16] == f"{hour:02d}:00", shown
    out = run(ctl, "cert", "show", "wind01-web")[1]
    assert "waits for the window of service clara from " + renewal["next_at"][:16] in out and "--now" in out, out
    out = run(ctl, "campaign", "show", begun)[1]
    assert "the window of service clara" in out and f"{hour:02d}:00" in out, out
    ctl.vccctl("cert", "renew", "wind01-web", "--now")
    wait_for("it waits no more", lambda: "waits_for" not in ctl.get(f"renewals/{m['renewal_id']}"))
    apply(ctl, "service", {"name": "clara"})
    walked(ctl, "service:clara")


# ---- services ----

def test_service_overrides(ctl):
    new_template(ctl, "served", renewal_threshold="30d", max_renewals=3)
    _, cert = issued(ctl, "serv01", "served")
    assert cert["policy_overrides"] is None and cert["policy"]["max_renewals"] == 3
    shown = apply(ctl, "service", {"name": "clara", "policy": {"renewal_threshold": "39d", "max_renewals": 9}}, "--dry-run")
    assert shown["certificates_affected"] >= 1 and shown["renewals"] == 0 and ctl.cert("serv01-web")["renew_at"] == cert["renew_at"]
    answer = apply(ctl, "service", {"name": "clara", "policy": {"renewal_threshold": "39d", "max_renewals": 9}, "windows": "* 22:00-04:00 Europe/Berlin"})
    assert answer["status"] == "processing"
    walked(ctl, "service:clara")
    c = ended(ctl, answer["campaign_id"])
    assert (c["kind"], c["selector"], c["services"], c["total_certificates"]) == ("policy", "service clara", ["clara"], 0)
    after = ctl.cert("serv01-web")
    assert after["policy_overrides"] == {"renewal_threshold": "39d", "max_renewals": 9}
    assert after["policy"]["renewal_threshold_days"] == 39 and after["policy"]["max_renewals"] == 9
    assert after["renew_at"] < cert["renew_at"] and after["serial"] == cert["serial"]
    service = ctl.vccctl("service", "show", "clara")
    assert service["windows"] == ["* 22:00-04:00 Europe/Berlin"] and service["policy"]["max_renewals"] == 9
    assert "max_renewals = 9" in run(ctl, "service", "show", "clara")[1] and "max_renewals" in run(ctl, "cert", "show", "serv01-web")[1]
    assert "clara" in [s["name"] for s in ctl.vccctl("service", "list")]
    assert refused(ctl, "service", {"name": "clara"}, "--if-version", str(service["version"] - 1), code="VCC-3852")
    back = apply(ctl, "service", {k: v for k, v in service.items() if k not in ("policy", "windows")}, "--if-version", str(service["version"]))
    assert back["version"] == service["version"] + 1
    walked(ctl, "service:clara")
    assert ctl.cert("serv01-web")["renew_at"] == cert["renew_at"] and ctl.cert("serv01-web")["policy_overrides"] is None


def test_service_refused(ctl):
    for content, code, word in (
            ({"name": "clara", "policy": {"key_type": "RSA"}}, "VCC-38", "key_type"),
            ({"name": "clara", "policy": {"renewal_threshold": "99d"}}, "VCC-3850", "renewal_threshold"),
            ({"name": "clara", "windows": "someday"}, "VCC-3854", "windows"),
            ({"name": "clara", "windows": "* 22:00-04:00 Mars/Olympus"}, "VCC-3854", "Mars/Olympus"),
            ({"name": "clara", "depends_on": ["nobody"]}, "VCC-3854", "nobody"),
            ({"name": "clara", "depends_on": ["clara"]}, "VCC-3851", "clara -> clara"),
            ({"name": "clara", "colour": "red"}, "VCC-3104", "colour")):
        assert word in refused(ctl, "service", content, code=code), content
    for name, on in (("argus", ["covina"]), ("vpb", ["argus"])):
        apply(ctl, "service", {"name": name, "depends_on": on})
    assert "covina -> vpb -> argus -> covina" in refused(ctl, "service", {"name": "covina", "depends_on": ["vpb"]}, code="VCC-3851")
    assert next(s for s in ctl.vccctl("service", "list") if s["name"] == "argus")["needed_by"] == ["vpb"]


# ---- many services ----

def test_every_service_is_listed_and_judged(ctl):
    """More than a page: none is left out of the list, of what needs it, or of the search for a circle."""
    names = [f"many-{i:03d}" for i in range(230)]
    for i, name in enumerate(names):
        status, answer = ctl.admin("POST", "/api/v1/services", {"name": name, "depends_on": [names[i - 1]] if i >= 225 else []})
        assert status == 202 and answer["version"] == 1, answer
    page, cursor, listed = 100, "", []
    while cursor is not None:
        answer = ctl.get(f"services?limit={page}{cursor and '&cursor=' + cursor}")
        listed += answer["items"]
        cursor = answer["next_cursor"]
    by = {s["name"]: s for s in listed}
    assert len(listed) == len(by) and set(names) <= set(by) and [s["name"] for s in listed] == sorted(by)
    assert by["many-224"]["needed_by"] == ["many-225"] and ctl.get("services/many-228")["needed_by"] == ["many-229"]
    assert len(ctl.get("services?limit=500")["items"]) == len(by)
    assert "many-225" in refused(ctl, "service", {"name": "many-224", "depends_on": ["many-229"]}, code="VCC-3851")
    assert "many-230" in refused(ctl, "service", {"name": "many-000", "depends_on": ["many-230"]}, code="VCC-3854")


# ---- killed on the way ----

def test_goes_on_after_a_kill(ctl):
    base = new_template(ctl, "killed")
    names = [f"kill{i:02d}" for i in range(4)]
    for name in names:
        issued(ctl, name, "killed")
    apply(ctl, "template", {**base, "validity_period": "40d", "renewal_threshold": "10d"})
    ctl.processes["controller"].kill()
    for g in ctl.gateways:
        g.close()
    ctl.processes["controller"].start()
    ctl.wait_up()
    gateway = ctl.gateways.pop()
    hosts = list(gateway.sessions.values())
    gateway.sessions.clear()
    ctl.gateway()
    for host in hosts:
        ctl.gateways[-1].up(host)
    for name in names:
        wait_for(f"{name} is renewed once", lambda: orders(ctl, f"{name}-web")[1:] == [("policy_update", "completed")])
    walked(ctl, "template:killed")


# ---- a second person ----

def check_what_is_shown(inst, admin, t):
    """Whole values, or what they are: never a part that passes for the whole."""
    def changes(**fields):
        status, waits = admin("POST", f"{LIFE}/templates/vpb_service", {**t, "max_renewal_attempts": 7, **fields})
        assert status == 202, waits
        return waits["approval"]["what"]["changes"]

    # the 64th character and those after it are the ones that differ
    people = [f"somebody-with-a-long-name-{i:02d}@a-long-department.vcc.internal" for i in range(4)]
    long = changes(notification_recipients=people)["notification_recipients"]
    assert long == f"[] -> {json.dumps(people, separators=(',', ':'))}", long
    # more than fits: the short ones whole, the others by length and hash
    names = [f"a-very-long-name-of-a-service-{i:02d}.and-a-department-below-it.vpb.vcc.internal" for i in range(20)]
    fields = {"description": "d" * 100, "notification_recipients": people, "subject_alt_names": names}
    shown = changes(**fields, escalation_recipients=people, name="n" * 60)
    cut = {k: v for k, v in shown.items() if "sha256" in v}
    assert cut and shown["name"].endswith(f'-> "{"n" * 60}"'), shown
    for field, text in cut.items():
        value = {**fields, "escalation_recipients": people}[field]
        value = json.dumps([f"DNS:{v}" for v in value] if field == "subject_alt_names" else value, separators=(",", ":"))
        assert f"-> ({len(value)} characters, sha256 {hashlib.sha256(value.encode()).hexdigest()})" in text, (field, text)
    assert "..." not in json.dumps(shown)


def test_a_second_person_agrees():
    path = new_folder("policy-two")
    inst = PlayedFleet(path, settings={"controller.limits.approval_share": "25%"})
    try:
        inst.init()
        inst.start_both()
        token = {who: open(os.path.join(inst.state, f"{who}.token")).read().strip() for who in ("admin", "approver")}
        admin, approver = Api(inst, token["admin"]), Api(inst, token["approver"])
        t = template(inst, "vpb_service", renewal_threshold="1/3", max_renewal_attempts=7)
        status, waits = admin("POST", f"{LIFE}/templates/vpb_service", t)
        assert status == 202 and waits["status"] == "awaiting_approval", waits
        a = waits["approval"]
        assert a["kind"] == "template" and a["what"]["changes"] == {"max_renewal_attempts": "3 -> 7"} and a["what"]["base_version"] == 1
        assert inst.get("certificates/lifecycle/templates/vpb_service")["version"] == 1
        assert admin("POST", f"/api/v1/approvals/{a['approval_id']}/approve", {"hash": a["hash"]})[0] == 403
        status, second = admin("POST", f"{LIFE}/templates/vpb_service", {**t, "max_renewal_attempts": 8})
        assert status == 202
        status, agreed = approver("POST", f"/api/v1/approvals/{a['approval_id']}/approve", {"hash": a["hash"]})
        assert status == 200 and ended(inst, agreed["campaign_id"])["selector"] == "template vpb_service", agreed
        now = inst.get("certificates/lifecycle/templates/vpb_service")
        assert now["version"] == 2 and now["max_renewal_attempts"] == 7
        b = second["approval"]
        status, problem = approver("POST", f"/api/v1/approvals/{b['approval_id']}/approve", {"hash": b["hash"]})
        assert status == 409 and problem["code"] == "VCC-3711", "it was shown as a change of version 1"
        check_what_is_shown(inst, admin, t)
        path = os.path.join(inst.dir, "argus.json")
        write(path, json.dumps({"name": "argus", "policy": {"max_renewals": 3}}))
        for words in (("service", "apply", path), ("ca", "revoke", "service-1", "--reason", "superseded", "--force")):
            status, out, err = run(inst, *words)
            assert status == 4 and err == "", "one rule for all verbs: it waits for a second person"
            assert any(a["approval_id"] in out for a in approver.get("approvals")["items"]), out
        status, waits = admin("POST", "/api/v1/services/vpb", {"depends_on": ["covina"]})
        assert status == 202 and waits["approval"]["kind"] == "service", waits
        s = waits["approval"]
        assert approver("POST", f"/api/v1/approvals/{s['approval_id']}/approve", {"hash": s["hash"]})[0] == 200
        assert inst.get("services/vpb")["depends_on"] == ["covina"]
        both = [admin("POST", f"/api/v1/services/{a}", {"depends_on": [b]})[1]["approval"] for a, b in (("clara", "argus"), ("argus", "clara"))]
        answers = [approver("POST", f"/api/v1/approvals/{x['approval_id']}/approve", {"hash": x["hash"]}) for x in both]
        assert [s for s, _ in answers] == [200, 422] and answers[1][1]["code"] == "VCC-3851", "each was right alone; both are a circle"
        assert admin("POST", f"{LIFE}/templates/vpb_service", {**t, "dry_run": True, "max_renewal_attempts": 9})[1]["approval_required"] is True
    finally:
        for g in inst.gateways:
            g.close()
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)
