"""Emergency re-certification: what each incident does to keys, hosts and old certificates, takeover of open orders, hosts that are away, failures, waiting,
second persons, and the whole on real hosts."""
import datetime
import json
import os
import shutil
import subprocess
import threading
import time

import checks
import pytest
from campaign_fleet import LIFE, CampaignFleet, refused
from conftest import new_folder
from installation import Installation, wait_for, write
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from revocation import crl, listed
from rights_estate import Api

FIELDS = {"incident_id", "total_certificates", "successful_count", "failed_count", "pending_count", "skipped_count", "duration_minutes", "status",
          "campaign_id", "failures"}


@pytest.fixture(scope="module")
def fleet():
    f = CampaignFleet(new_folder("emergency"), settings={"controller.supersede.grace": "1h"})
    try:
        f.begin()
        yield f
    finally:
        f.end()


def fresh(fleet, *names, service="clara"):
    return [fleet.host_of(n, service) for n in names]


def ids(*names):
    return [f"{n}-web" for n in names]


def issuances(fleet, cert_id):
    """{serial: (state, reason)} of a certificate."""
    return {s.hex().upper(): (state, reason) for s, state, reason in
            fleet.rows("SELECT serial, state, revoke_reason FROM issuances WHERE owner_id = ? ORDER BY serial", cert_id)}


def wait_revoked(fleet, cert_id, serial, reason):
    wait_for(f"{serial} of {cert_id} is revoked", lambda: issuances(fleet, cert_id)[serial] == ("revoked", reason), 30, 0.1)


# ---- refused ----

def test_refused(fleet):
    fresh(fleet, "ref1")
    one = {"certificate_ids": ids("ref1")}
    refused(fleet.emergency(), 422, "VCC-3104")
    refused(fleet.emergency(**one, selector={"all": True}), 422, "VCC-3104")
    for selector in ({}, {"all": False}, {"some": True}, {"service": "clara", "agent": "a"}, {"service": 7}, "all", {"pattern": "*"}, {"service": "X Y"}):
        refused(fleet.emergency(selector=selector), 422, "VCC-3600")
    for wrong in ([], ["x y"], [7], "ref1-web", ["ref1-web"] * 100001):
        refused(fleet.emergency(certificate_ids=wrong), 422, "VCC-3104")
    for field, value in (("incident_id", ""), ("incident_id", None), ("reason", ""), ("incident_type", "fire"), ("revoke_old", "later"),
                         ("revoke_old", "after:1s"), ("revoke_old", "after:99w"), ("fresh_keys", "yes"), ("invalidity_date", "2999-01-01T00:00:00Z"),
                         ("plan_hash", "x"), ("surprise", 1)):
        refused(fleet.emergency(**{**one, field: value}), 422, "VCC-3104")
    for when, why in (("1969-12-31T23:59:59Z", "1970"), ("1970-01-01T00:00:00Z", "1970"), ("1970-01-01T00:00:00+01:00", "1970"), ("2026-02-30T00:00:00Z", "that there is"),
                      ("2999-01-01T00:00:00Z", "in the future"), ("yesterday", "RFC 3339"), ("2026-01-01", "RFC 3339"), ("", "RFC 3339")):
        said = fleet.emergency(**one, invalidity_date=when, dry_run=True)
        refused(said, 422, "VCC-3104")
        assert said[1]["object"] == "invalidity_date" and why in said[1]["detail"], said
    refused(fleet.emergency(**one, plan_hash="0" * 64), 409, "VCC-3601")
    refused(fleet.emergency(**one, incident_type="ca_compromise"), 422, "VCC-3604")
    assert fleet.rows("SELECT count(*) FROM campaigns") == [(0,)]


# ---- the usual way ----

def test_all_at_once_with_what_cannot_be(fleet):
    """Unknown and ineligible ones are failures, suspended ones skipped, the rest is done: 200 with the brief's fields."""
    fresh(fleet, "use1", "use2", "use3", "use4")
    old = {n: fleet.cert(f"{n}-web") for n in ("use1", "use2", "use3", "use4")}
    fleet.vccctl("cert", "suspend", "use3-web")
    fleet.vccctl("cert", "revoke", "use4-web", "--reason", "superseded", "--yes")
    status, e = fleet.emergency(certificate_ids=[*ids("use1", "use2", "use3", "use4"), "no-such", "use1-web"])
    assert status == 200 and set(e) == FIELDS, e
    assert (e["total_certificates"], e["successful_count"], e["failed_count"], e["skipped_count"], e["pending_count"]) == (5, 2, 2, 1, 0)
    assert e["status"] == "completed_with_failures" and e["incident_id"] == "INC-1" and 0 < e["duration_minutes"] < 1
    assert {(f["cert_id"], f["code"]) for f in e["failures"]} == {("no-such", "VCC-3606"), ("use4-web", "VCC-3003")}
    assert all(f["error"] for f in e["failures"])
    for n in ("use1", "use2"):
        assert fleet.cert(f"{n}-web")["serial"] != old[n]["serial"]
        wait_revoked(fleet, f"{n}-web", old[n]["serial"], 4)  # revoke_old = proved: no grace, though the grace is 1 h
    assert fleet.cert("use3-web")["serial"] == old["use3"]["serial"]
    refused(fleet.post(f"/api/v1/campaigns/{e['campaign_id']}/rollback", {}), 409, "VCC-3616")
    shown = fleet.campaign(e["campaign_id"])
    assert (shown["successful_count"], shown["kept_count"]) == (2, 0), "a way back that there is not changes nothing of what it says"
    orders = fleet.rows('SELECT "trigger" FROM orders WHERE hex(campaign_id) = ?', e["campaign_id"].replace("-", "").upper())
    assert orders == [("emergency",)] * 2
    done = fleet.audited("emergency_recertification_completed", e["campaign_id"])
    assert len(done) == 1 and {"incident_id", "total_certificates", "successful_count", "failed_count", "duration_minutes"} <= set(done[0])
    assert (done[0]["incident_id"], done[0]["total_certificates"], done[0]["successful_count"], done[0]["failed_count"]) == ("INC-1", 5, 2, 2)
    for event in ("emergency_recertification_started", "emergency_recertification_failed"):
        assert len(fleet.audited(event, e["campaign_id"])) == 1
    fleet.vccctl("cert", "resume", "use3-web")


@pytest.mark.parametrize("selector", [{"service": "vpb"}, {"template": "vpb_service"}, {"agent": "sel1"}, {"pattern": "*.vpb.vcc.internal"},
                                      {"ids": ["sel1-web"]}, {"pattern": "sel1.vpb.vcc.internal"}], ids=lambda s: next(iter(s)))
def test_selectors(fleet, selector):
    if not fleet.rows("SELECT 1 FROM agents WHERE name = 'sel1'"):
        fresh(fleet, "sel1", service="vpb")
    status, plan = fleet.emergency(selector=selector, incident_type="exercise", dry_run=True)
    assert status == 200 and plan["certificate_list"] == ["sel1-web"] and plan["matching_certificates"] == 1
    status, e = fleet.emergency(selector=selector, plan_hash=plan["plan_hash"], incident_type="exercise")
    assert status == 200 and e["status"] == "completed" and e["successful_count"] == 1


def test_as_bulk_trigger_needs_the_right(fleet):
    status, body = fleet.post("/api/v1/principals", {"name": "bulk-only", "roles": ["operator"]})
    token = fleet.post("/api/v1/tokens", {"principal": "bulk-only"})[1]["token"]
    assert Api(fleet, token)("POST", f"{LIFE}/bulk-renewal", {"trigger": "emergency", "dry_run": True})[0] == 200
    fleet.post("/api/v1/principals", {"name": "only-looks", "roles": ["auditor"]})
    looks = Api(fleet, fleet.post("/api/v1/tokens", {"principal": "only-looks"})[1]["token"])
    refused(looks("POST", f"{LIFE}/emergency-recertification", {"selector": {"all": True}, "incident_id": "I", "reason": "r"}), 403, "VCC-3101")


# ---- open orders ----

def test_an_order_before_its_signature_is_taken_over(fleet):
    host, = fresh(fleet, "tak1")
    host.respond = False
    n = len(host.orders)
    fleet.vccctl("cert", "renew", "tak1-web", "--force")
    host.wait("order", lambda: len(host.orders) > n)
    host.respond = True
    status, e = fleet.emergency(certificate_ids=ids("tak1"))
    assert status == 200 and e["successful_count"] == 1
    first, second = fleet.rows('SELECT phase, "trigger", code FROM orders WHERE cert_id = ? ORDER BY renewal_id', "tak1-web")[-2:]
    assert first == ("cancelled", "manual", -3607) and second[:2] == ("completed", "emergency")


def after_the_signature(fleet, name):
    """A host that holds a certificate and says nothing yet."""
    host, = fresh(fleet, name)
    old = fleet.cert(f"{name}-web")["serial"]

    def silent_once(h, m):  # not set back from here: the host may not have come to it yet
        h.outcome = lambda h, m: "ok"
        return "silent"
    host.outcome = silent_once
    n = len(host.certificates)
    fleet.vccctl("cert", "renew", f"{name}-web", "--force")
    m = host.wait("certificate", lambda: len(host.certificates) > n and host.certificates[-1])
    return host, m, old


def finish(host, m):
    from cryptography import x509
    host.served[m["cert_id"]] = x509.load_der_x509_certificate(m["certificate"])
    host.receipt(m, 0, m["certificate"])
    host.receipt(m, 1, m["certificate"])


def test_an_order_after_its_signature_counts(fleet):
    host, m, old = after_the_signature(fleet, "fol1")
    status, e = fleet.emergency(certificate_ids=ids("fol1"), wait=1)
    assert status == 202 and e["status"] == "processing" and e["pending_count"] == 1
    assert "now" in fleet.admin.get("renewals?cert_id=fol1-web")["items"][0]["flags"], "what it waits for waits for no maintenance window"
    finish(host, m)
    c = fleet.wait_state(e["campaign_id"], "completed")
    assert c["successful_count"] == 1
    assert fleet.rows("SELECT count(*) FROM orders WHERE cert_id = 'fol1-web'") == [(2,)], "no second order"
    wait_revoked(fleet, "fol1-web", old, 4)


def test_with_fresh_keys_a_second_order_follows(fleet):
    host, m, old = after_the_signature(fleet, "fol2")
    status, e = fleet.emergency(certificate_ids=ids("fol2"), fresh_keys=True, wait=1)
    assert status == 202
    between = [s for s in issuances(fleet, "fol2-web") if s != old][0]
    finish(host, m)
    assert fleet.wait_state(e["campaign_id"], "completed")["successful_count"] == 1
    assert fleet.rows("SELECT count(*) FROM orders WHERE cert_id = 'fol2-web'") == [(3,)]
    for serial in (old, between):
        wait_revoked(fleet, "fol2-web", serial, 4)
    assert fleet.cert("fol2-web")["serial"] not in (old, between)


def test_an_emergency_takes_the_orders_of_a_bulk_campaign(fleet):
    host, = fresh(fleet, "blk1")
    host.respond = False
    n = len(host.orders)
    bulk = fleet.bulk(service_pattern="blk1.clara.vcc.internal")[1]["campaign_id"]
    host.wait("order", lambda: len(host.orders) > n)
    host.respond = True
    assert fleet.emergency(certificate_ids=ids("blk1"))[1]["successful_count"] == 1
    c = fleet.wait_state(bulk, "completed")
    assert c["skipped_count"] == 1 and c["skipped_renewals"][0]["code"] == "VCC-3607"


# ---- keys and old certificates ----

def test_key_compromise(fleet):
    """Reason keyCompromise, at the proof; what was replaced before is revoked at once."""
    host, = fresh(fleet, "key1")
    first = fleet.cert("key1-web")
    fleet.vccctl("cert", "renew", "key1-web", "--force")
    second = fleet.wait_done("key1-web", first["fingerprint"])
    host.outcome = lambda h, m: "silent"
    n = len(host.certificates)
    status, e = fleet.emergency(certificate_ids=ids("key1"), incident_type="key_compromise", wait=1)
    assert status == 202
    m = host.wait("certificate", lambda: len(host.certificates) > n and host.certificates[-1])
    wait_revoked(fleet, "key1-web", first["serial"], 1)
    assert issuances(fleet, "key1-web")[second["serial"]][0] == "active", "it is served until the new one is proved"
    due = fleet.rows("SELECT supersede_at - ? FROM issuances WHERE hex(serial) = ?", int(time.time() * 1000), second["serial"])[0][0]
    assert 3.9 * 3600e3 < due <= 4 * 3600e3, "after 4 h at the latest"
    host.outcome = lambda h, m: "ok"
    finish(host, m)
    fleet.wait_state(e["campaign_id"], "completed")
    wait_revoked(fleet, "key1-web", second["serial"], 1)
    wait_for("the list says so", lambda: listed(fleet, second["serial"]) == "keyCompromise", 50)
    keys = fleet.rows("SELECT count(DISTINCT spki_hash), count(*) FROM issuances WHERE owner_id = 'key1-web'")
    assert keys == [(3, 3)], "each with a key of its own"


def test_a_host_that_offers_an_old_key(fleet):
    """Fresh keys are the controller's word, not the host's; neither one that got out nor another certificate's comes by an order."""
    host, other = fresh(fleet, "old1", "old2")
    cert = fleet.cert("old1-web")
    first, = [k for (renewal, _), k in host.keys.items()]
    host.make_key = lambda order: first
    e = fleet.emergency(certificate_ids=ids("old1"), fresh_keys=True)[1]
    assert (e["successful_count"], e["failed_count"]) == (0, 1), e
    failed, = fleet.members(e["campaign_id"])
    assert failed["code"] == "VCC-3022", failed
    assert fleet.cert("old1-web")["serial"] == cert["serial"] and len(issuances(fleet, "old1-web")) == 1
    theirs, = other.keys.values()
    host.make_key = lambda order: theirs
    status, e = fleet.emergency(certificate_ids=ids("old1"))
    assert fleet.members(e["campaign_id"])[0]["code"] == "VCC-3021" and e["failed_count"] == 1
    host.make_key = lambda order: first
    status, e = fleet.emergency(certificate_ids=ids("old1"), incident_type="key_compromise")
    assert fleet.members(e["campaign_id"])[0]["code"] == "VCC-3020" and e["failed_count"] == 1
    host.make_key = other.make_key
    status, e = fleet.emergency(certificate_ids=ids("old1"), incident_type="key_compromise")
    assert e["successful_count"] == 1 and e["status"] == "completed", e
    wait_revoked(fleet, "old1-web", cert["serial"], 1)


def looks_revoked(fleet, cert_id):
    """The certificate shows its current issuance, wherever one looks."""
    c = fleet.cert(cert_id)
    now, = [i for i in fleet.admin.get(f"certificates/{cert_id}/issuances")["items"] if i["serial"] == c["serial"]]
    assert (c["status"], c["revoked_at"], c["alerts"]) == ("revoked", now["revoked_at"], ["issuance_revoked"]) and c["revoked_at"], c
    listed = next(i for i in fleet.admin.get("certificates?limit=500")["items"] if i["cert_id"] == cert_id)
    assert listed["status"] == "revoked"
    service = fleet.admin.get(f"certificates/lifecycle/vcc-service/{c['service']}/certificates")
    assert "revoked" in [i["status"] for i in service["certificates"] if cert_id in i.values()]
    ending = fleet.admin.get("certificates/lifecycle/expiring?days_ahead=3650")["certificates"]
    assert cert_id not in [i["cert_id"] for i in ending["critical"] + ending["warning"]]
    check = fleet.cli("check")
    assert check.returncode == 7 and any(line.split()[:3] == ["critical", "certificate", cert_id] and "revoked" in line
                                         for line in check.stdout.splitlines()), check.stdout
    assert fleet.cli("check", "--nagios").returncode == 2


def test_revoked_now(fleet):
    """The plan says who loses service."""
    host, = fresh(fleet, "now1")
    old = fleet.cert("now1-web")["serial"]
    plan = fleet.emergency(certificate_ids=ids("now1"), revoke_old="now", dry_run=True)[1]
    assert plan["plan"]["loses_service"] == ["now1-web"] and plan["plan"]["offline"] == []
    assert fleet.emergency(certificate_ids=ids("now1"), dry_run=True)[1]["plan"]["loses_service"] == []
    host.respond = False
    status, e = fleet.emergency(certificate_ids=ids("now1"), revoke_old="now", wait=0)
    assert status == 202
    wait_revoked(fleet, "now1-web", old, 4)
    looks_revoked(fleet, "now1-web")
    fleet.processes["controller"].kill()
    fleet.processes["controller"].start()
    fleet.wait_up()
    fleet.gateways[0].connect()
    looks_revoked(fleet, "now1-web")
    host.respond = True
    fleet.again(host)
    fleet.wait_state(e["campaign_id"], "completed")
    c = fleet.cert("now1-web")
    assert (c["status"], c["revoked_at"], c["alerts"]) == ("active", None, []) and c["serial"] != old
    assert "now1-web" not in fleet.cli("check").stdout


def test_revoked_after_a_while_though_unproved(fleet):
    host, = fresh(fleet, "aft1")
    old = fleet.cert("aft1-web")["serial"]
    host.respond = False
    status, e = fleet.emergency(certificate_ids=ids("aft1"), revoke_old="after:1m", wait=0)
    by = fleet.campaign(e["campaign_id"])["revoke_by"]
    assert by and issuances(fleet, "aft1-web")[old][0] == "active"
    fleet.processes["controller"].kill()  # the date outlives everything
    fleet.processes["controller"].start()
    fleet.wait_up()
    fleet.gateways[0].connect()
    fleet.rows("SELECT 1")
    due = fleet.rows("SELECT supersede_at, revoke_asked_at FROM issuances WHERE hex(serial) = ?", old)[0]
    assert 59e3 <= due[0] - due[1] <= 61e3
    if os.environ.get("VCC_LONG") == "1":
        wait_for("it is revoked", lambda: issuances(fleet, "aft1-web")[old] == ("revoked", 4), 90)
    host.respond = True
    fleet.again(host)
    fleet.wait_state(e["campaign_id"], "completed")


@pytest.mark.parametrize("incident", ["other", "key_compromise"])
@pytest.mark.parametrize("when", ["now", "after:1m"])
def test_what_is_just_being_brought_is_no_old_one(fleet, when, incident):
    """An order that is proved and not yet at its end counts as done: what it replaced goes, and not what took its place. Unless its key is to go, too."""
    name = f"bro{len(when)}{len(incident)}"
    host, = fresh(fleet, name)
    old = fleet.cert(f"{name}-web")["serial"]

    def proved(h, m):
        h.receipt(m, 0, m["certificate"])
        return "nothing"
    host.outcome = proved
    fleet.vccctl("cert", "renew", f"{name}-web", "--force")
    new = wait_for("it is proved", lambda: (c := fleet.cert(f"{name}-web"))["serial"] != old and c["serial"])
    m = host.certificates[-1]
    host.outcome = lambda h, m: "ok"
    status, e = fleet.emergency(certificate_ids=ids(name), revoke_old=when, incident_type=incident, wait=0)
    assert status == 202, e
    wait_for("it is waited for", lambda: fleet.campaign(e["campaign_id"])["in_progress_count"] == 1)
    if when == "now":
        wait_revoked(fleet, f"{name}-web", old, 1 if incident == "key_compromise" else 4)
    assert issuances(fleet, f"{name}-web")[new][0] == "active"
    assert fleet.rows("SELECT revoke_asked_at FROM issuances WHERE hex(serial) = ?", new) in ([(None,)], [(0,)])
    host.receipt(m, 1, m["certificate"])
    fleet.wait_state(e["campaign_id"], "completed")
    wait_revoked(fleet, f"{name}-web", old, 1 if incident == "key_compromise" else 4)
    cert = fleet.cert(f"{name}-web")
    if incident == "other":
        assert cert["serial"] == new and cert["status"] == "active" and issuances(fleet, f"{name}-web")[new][0] == "active"
    else:
        assert cert["serial"] not in (old, new) and cert["status"] == "active"
        wait_revoked(fleet, f"{name}-web", new, 1)


# ---- failures, absence, waiting ----

def test_failures_and_a_later_success(fleet):
    bad, good = fresh(fleet, "bad1", "gut1")
    bad.outcome = lambda h, m: "failed"
    status, e = fleet.emergency(certificate_ids=ids("bad1", "gut1"))
    assert status == 200 and e["status"] == "completed_with_failures" and (e["successful_count"], e["failed_count"]) == (1, 1)
    assert e["failures"] == [{"cert_id": "bad1-web", "error": "the hook failed", "code": "VCC-2201"}]
    bad.outcome = lambda h, m: "ok"
    status, e = fleet.emergency(certificate_ids=ids("bad1"))
    assert status == 200 and e["status"] == "completed", "it passes the back-off"


def test_a_host_that_is_away_is_pending(fleet):
    here, away = fresh(fleet, "her1", "awa1")
    away.gateway.down(away.session)
    time.sleep(0.5)
    plan = fleet.emergency(certificate_ids=ids("her1", "awa1"), dry_run=True)[1]
    assert plan["plan"]["offline"] == ["awa1-web"]
    begun = time.monotonic()
    status, e = fleet.emergency(certificate_ids=ids("her1", "awa1"))
    assert status == 200 and e["status"] == "processing" and (e["successful_count"], e["pending_count"]) == (1, 1), e
    assert time.monotonic() - begun < 50, "the answer comes when nothing is in flight"
    done = fleet.cli("campaign", "watch", e["campaign_id"])
    assert done.returncode == 6
    away.gateway.up(away)
    assert fleet.wait_state(e["campaign_id"], "completed")["successful_count"] == 2


def test_a_host_that_is_removed_is_waited_for_no_more(fleet):
    """Evicted it may still come back for its order; removed it is a failure, and what it held up comes to its end."""
    here, away = fresh(fleet, "her2", "gone1")
    away.gateway.down(away.session)
    time.sleep(0.5)
    status, e = fleet.emergency(certificate_ids=ids("her2", "gone1"))
    assert status == 200 and e["status"] == "processing" and e["pending_count"] == 1, e
    refused(fleet.post("/api/v1/agents/gone1/remove", {}), 409, "VCC-1007")
    assert fleet.cert("gone1-web")["open_order"], "a refused word ends nothing"
    assert fleet.post("/api/v1/agents/gone1/evict", {})[0] == 200
    assert fleet.campaign(e["campaign_id"])["status"] == "processing" and fleet.cert("gone1-web")["open_order"]
    assert fleet.post("/api/v1/agents/gone1/remove", {})[0] == 200
    c = fleet.wait_state(e["campaign_id"], "completed_with_failures")
    assert (c["successful_count"], c["failed_count"], c["pending_count"]) == (1, 1, 0) and c["completed_at"], c
    assert [(f["cert_id"], f["code"]) for f in c["failed_renewals"]] == [("gone1-web", "VCC-3006")], c["failed_renewals"]
    assert fleet.cert("gone1-web")["open_order"] is None


def test_what_is_held_and_ends_is_waited_for_no_more(fleet):
    """A captured host that nobody replaces: when its certificate is revoked for good nothing is left to be renewed."""
    fresh(fleet, "capt9")
    status, e = fleet.emergency(selector={"agent": "capt9"}, incident_type="host_compromise", wait=0)
    wait_for("it is held", lambda: fleet.campaign(e["campaign_id"])["held_count"] == 1)
    assert fleet.cli("cert", "revoke", "capt9-web", "--reason", "keyCompromise", "--yes").returncode == 0
    c = fleet.wait_state(e["campaign_id"], "completed_with_failures")
    assert (c["held_count"], c["failed_count"], c["failed_renewals"][0]["code"]) == (0, 1, "VCC-3003"), c


def test_the_controller_ends_while_a_call_waits(fleet):
    """It ends at once and cleanly (below a leak checker that is an exit code), and the campaign goes on after the start."""
    host, = fresh(fleet, "wai0")
    host.respond = False
    token = fleet.admin.headers["Authorization"].split()[1]

    def call():
        try:
            Api(fleet, token)("POST", f"{LIFE}/emergency-recertification", {"selector": {"agent": "wai0"}, "incident_id": "WAI-0", "reason": "r"})
        except Exception:  # noqa: BLE001 - its connection ends with the controller
            pass
    waits = threading.Thread(target=call)
    waits.start()
    begun = wait_for("the campaign runs", lambda: next((c["campaign_id"] for c in fleet.admin.get("campaigns?limit=5")["items"]
                                                        if "wai0" in c["selector"] and c["in_progress_count"] == 1), None))
    controller = fleet.processes["controller"]
    controller.stop()
    assert controller.popen.returncode == 0, controller.tail()
    waits.join(60)
    assert not waits.is_alive()
    controller.start()
    fleet.wait_up()
    fleet.gateways[0].connect()
    host.respond = True
    fleet.again(host)
    fleet.wait_state(begun, "completed")


def test_prefer_wait(fleet):
    host, = fresh(fleet, "wai1")
    host.respond = False
    begun = time.monotonic()
    status, e = fleet.emergency(certificate_ids=ids("wai1"), wait=2)
    assert status == 202 and e["pending_count"] == 1 and 2 <= time.monotonic() - begun < 30
    host.respond = True
    fleet.again(host)
    fleet.wait_state(e["campaign_id"], "completed")
    done = fleet.cli("emergency", "apply", "--incident", "I", "--reason", "r", "--type", "exercise", "--agent", "wai1")
    assert done.returncode == 0 and "completed: 1 of 1 renewed" in done.stdout and "1 of " in done.stderr, done
    for words in (("--incident", "I", "--reason", "r", "--agent", "x"), ("--incident", "I", "--reason", "r", "--type", "other"),
                  ("--incident", "I", "--reason", "r", "--type", "other", "--all", "--agent", "x")):
        assert fleet.cli("emergency", "plan", *words).returncode == 2
    path = os.path.join(fleet.dir, "ids")
    write(path, "# those\nwai1-web\n\nno-such\n")
    done = fleet.cli("emergency", "apply", "--incident", "I", "--reason", "r", "--type", "exercise", "--ids-file", path, "-o", "json")
    assert done.returncode == 6 and json.loads(done.stdout)["failed_renewals"][0]["code"] == "VCC-3606", done


# ---- a captured host ----

def test_host_compromise(fleet):
    """Banned, everything on it revoked at once, and nothing ordered until a new host is there: also what was not named."""
    host, other = fresh(fleet, "hos1", "hos2")
    host.target("hos1-more", "clara", "clara_service_auth", "DNS:hos1.clara.vcc.internal", stem="more")
    fleet.wait_done("hos1-more")
    old = {c: fleet.cert(c)["serial"] for c in ("hos1-web", "hos1-more")}
    plan = fleet.emergency(certificate_ids=ids("hos1"), incident_type="host_compromise", dry_run=True)[1]
    assert plan["certificate_list"] == ["hos1-more", "hos1-web"] and plan["plan"]["banned_agents"] == ["hos1"]
    assert sorted(plan["plan"]["loses_service"]) == ["hos1-more", "hos1-web"] and "intruder" in plan["plan"]["warnings"][0]
    done = fleet.cli("emergency", "plan", "--incident", "I", "--reason", "r", "--type", "host_compromise", "--agent", "hos1")
    assert "warning: " in done.stdout and "hos1-more" in done.stdout
    orders = len(host.orders)
    status, e = fleet.emergency(certificate_ids=ids("hos1"), incident_type="host_compromise")
    assert status == 200 and e["status"] == "processing" and (e["pending_count"], e["successful_count"], e["failed_count"]) == (2, 0, 0), e
    for c, serial in old.items():
        wait_revoked(fleet, c, serial, 1)
        looks_revoked(fleet, c)
    agent = fleet.admin.get("agents/hos1")
    assert agent["state"] == "banned" and not agent["connected"] and len(host.orders) == orders
    assert fleet.admin.get("agents/hos2")["state"] == "active"
    assert fleet.campaign(e["campaign_id"])["held_count"] == 2
    assert {m["code"] for m in fleet.members(e["campaign_id"], state="held")} == {"VCC-3608"}
    assert fleet.cli("campaign", "cancel", e["campaign_id"]).returncode == 0
    c = wait_for("it is closed", lambda: (c := fleet.campaign(e["campaign_id"]))["completed_at"] and c)
    assert c["status"] == "cancelled" and c["dropped_count"] == 2


def change_agents(fleet, statement):
    """By hand, while the controller is down."""
    fleet.processes["controller"].stop()
    subprocess.run(["/usr/bin/python3", "-c", "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()", fleet.facts_db(),
                    statement], check=True)
    fleet.processes["controller"].start()
    fleet.wait_up()
    fleet.gateways[0].connect()


def test_a_host_of_another_service_is_not_banned(fleet):
    """Its name was invited anew for another service: who is limited to that of its old certificate may not end it."""
    fresh(fleet, "hos3")
    change_agents(fleet, "UPDATE agents SET service = 'vpb' WHERE name = 'hos3'")
    fleet.post("/api/v1/principals", {"name": "only-clara", "roles": ["operator"], "services": ["clara"]})
    limited = Api(fleet, fleet.post("/api/v1/tokens", {"principal": "only-clara"})[1]["token"])
    plan = fleet.emergency(as_=limited, certificate_ids=ids("hos3"), incident_type="host_compromise", dry_run=True)[1]
    assert plan["plan"]["banned_agents"] == [] and plan["plan"]["failures"][0]["cert_id"] == "hos3-web", plan
    status, e = fleet.emergency(as_=limited, certificate_ids=ids("hos3"), incident_type="host_compromise")
    assert status == 200 and e["failed_count"] == 1 and fleet.admin.get("agents/hos3")["state"] == "active", e
    assert fleet.emergency(certificate_ids=ids("hos3"), incident_type="host_compromise", dry_run=True)[1]["plan"]["banned_agents"] == ["hos3"]


def test_a_host_that_comes_back_with_a_new_key(fleet):
    """What was held is ordered as soon as the name belongs to another host: here it is put back by hand, as a return by invite would."""
    host, = fresh(fleet, "bak1")
    status, e = fleet.emergency(certificate_ids=ids("bak1"), incident_type="host_compromise")
    assert e["pending_count"] == 1
    change_agents(fleet, "UPDATE agents SET state = 'active' WHERE name = 'bak1'")
    fleet.gateways[0].up(host)
    c = fleet.wait_state(e["campaign_id"], "completed")
    assert c["successful_count"] == 1 and c["held_count"] == 0
    assert fleet.cert("bak1-web")["status"] == "active"


# ---- code signing ----

def test_code_signing_needs_a_date_and_a_second_person(fleet):
    host, = fresh(fleet, "sig1")
    host.target("sig1-models", "clara", "clara_model_signing", "", stem="models", verify_kind="none", listeners="")
    order = wait_for("its first issue waits", lambda: next((a for a in fleet.approver.get("approvals")["items"] if a["object"] == "sig1-models"), None))
    fleet.post(f"/api/v1/approvals/{order['approval_id']}/approve", {"hash": order["hash"]}, fleet.approver)
    wait_for("it is issued", lambda: (c := fleet.cert("sig1-models"))["serial"] and not c["open_order"], 60)
    assert "sig1-models" not in fleet.emergency(selector={"agent": "sig1"}, dry_run=True)[1]["certificate_list"], "only when it is named"
    assert fleet.bulk(cert_type_filter="clara_model_signing", dry_run=True)[1]["plan"]["approval"] == "before"
    named = {"certificate_ids": ["sig1-models"], "incident_type": "key_compromise"}
    refused(fleet.emergency(**named), 422, "VCC-3605")
    named["invalidity_date"] = "2026-01-01T00:00:00Z"
    plan = fleet.emergency(**named, dry_run=True)[1]["plan"]
    assert plan["approval"] == "before" and "trusted time" in plan["warnings"][0]
    status, e = fleet.emergency(**named)
    assert status == 202 and e["status"] == "awaiting_approval" and e["pending_count"] == 1
    assert fleet.campaign(e["campaign_id"])["invalidity_date"] == "2026-01-01T00:00:00Z"
    old = fleet.cert("sig1-models")["serial"]
    assert fleet.approve(e["campaign_id"])[0] == 200
    fleet.wait_state(e["campaign_id"], "completed")
    wait_revoked(fleet, "sig1-models", old, 1)
    # the date is for those who judge old signatures: it stands in the list (RFC 5280, 5.3.2), as both read it
    shard = fleet.rows("SELECT crl_shard FROM issuances WHERE hex(serial) = ?", old)[0][0]
    wait_for("it is listed", lambda: listed(fleet, old, "code-signing-1", shard) == "keyCompromise", 60, 0.1)
    entry = crl(fleet, "code-signing-1", shard).get_revoked_certificate_by_serial_number(int(old, 16))
    assert entry.extensions.get_extension_for_class(x509.InvalidityDate).value.invalidity_date == datetime.datetime(2026, 1, 1)
    shown = subprocess.run(["openssl", "crl", "-inform", "DER", "-noout", "-text"], input=crl(fleet, "code-signing-1", shard).public_bytes(Encoding.DER),
                           capture_output=True, check=True).stdout.decode()
    assert "Invalidity Date:" in shown and "Jan  1 00:00:00 2026 GMT" in shown.split("Invalidity Date:")[1].split("Signature")[0]
    assert fleet.cert("sig1-models")["invalidity_date"] == "2026-01-01T00:00:00Z" and fleet.cert("use1-web")["invalidity_date"] is None
    assert "2026-01-01" in fleet.cli("cert", "show", "sig1-models").stdout
    by = {i["serial"]: i["invalidity_date"] for i in fleet.admin.get("certificates/sig1-models/issuances")["items"]}
    assert by.pop(old) == "2026-01-01T00:00:00Z" and set(by.values()) == {None}
    old = fleet.admin.get("certificates/use1-web/issuances")["items"][0]["serial"]
    assert listed(fleet, old) and not [e for e in crl(fleet) for x in e.extensions if x.oid == x509.CRLEntryExtensionOID.INVALIDITY_DATE]


# ---- second persons afterwards ----

@pytest.fixture(scope="module")
def crowd():
    f = CampaignFleet(new_folder("emergency-crowd"), settings={"controller.limits.approval_share": "25%"})
    try:
        f.begin()
        host = f.host_of("big01")
        for i in range(21):
            host.target(f"big01-t{i:02d}", "clara", "clara_service_auth", "DNS:big01.clara.vcc.internal", stem=f"t{i:02d}")
        wait_for("all are issued", lambda: len(i := f.admin.get("certificates?limit=500")["items"]) == 22 and all(c["served"] and not c["open_order"] for c in i))
        yield f
    finally:
        f.end()


def test_above_the_limit_it_runs_and_is_confirmed_afterwards(crowd):
    assert crowd.emergency(selector={"all": True}, dry_run=True)[1]["plan"]["approval"] == "after"
    status, e = crowd.emergency(selector={"all": True})
    assert status == 200 and e["successful_count"] == 22 and e["status"] == "completed"
    assert crowd.campaign(e["campaign_id"])["confirmation"] == "asked"
    a = next(a for a in crowd.approver.get("approvals")["items"] if a["object"] == e["campaign_id"])
    assert a["what"]["when"] == "after" and crowd.post(f"/api/v1/approvals/{a['approval_id']}/approve", {"hash": a["hash"]})[0] == 403
    crowd.processes["controller"].kill()
    crowd.processes["controller"].start()
    crowd.wait_up()
    crowd.gateways[0].connect()
    assert crowd.approve(e["campaign_id"])[0] == 200, "asked for over a restart, though the campaign is closed"
    assert crowd.campaign(e["campaign_id"])["confirmation"] == "given"


def test_refused_afterwards_undoes_nothing(crowd):
    old = {c["cert_id"]: c["serial"] for c in crowd.admin.get("certificates?limit=500")["items"]}
    status, e = crowd.emergency(selector={"all": True})
    now = {c["cert_id"]: c["serial"] for c in crowd.admin.get("certificates?limit=500")["items"]}
    assert all(now[c] != old[c] for c in old)
    assert crowd.approve(e["campaign_id"], "reject", "that was nothing")[0] == 200
    c = crowd.campaign(e["campaign_id"])
    assert c["confirmation"] == "refused" and c["status"] == "completed"
    assert {c["cert_id"]: c["serial"] for c in crowd.admin.get("certificates?limit=500")["items"]} == now


def test_as_a_setting_it_waits_beforehand(crowd):
    write(os.path.join(crowd.conf("controller") + ".d", "60-before.conf"), "[emergency]\napproval = before\n")
    crowd.processes["controller"].stop()
    crowd.processes["controller"].start()
    crowd.wait_up()
    crowd.gateways[0].connect()
    assert crowd.emergency(selector={"all": True}, dry_run=True)[1]["plan"]["approval"] == "before"
    status, e = crowd.emergency(selector={"all": True})
    assert status == 202 and e["status"] == "awaiting_approval" and e["pending_count"] == 22
    assert crowd.approve(e["campaign_id"])[0] == 200
    assert crowd.wait_state(e["campaign_id"], "completed")["successful_count"] == 22


# ---- real hosts ----

def test_on_real_hosts():
    """Four hosts with their services: every key and certificate is another one afterwards, and no handshake failed."""
    from handshakes import Load
    folder = new_folder("emergency-real")
    inst = Installation(folder)
    try:
        inst.init()
        inst.start()
        hosts = [inst.add_echo(i) for i in range(4)]
        old = {h.cert_id: inst.wait_served(h)["fingerprint"] for h in hosts}
        keys = {h.cert_id: open(os.path.join(h.target_dir, "current", "key.pem")).read() for h in hosts}
        with Load([(h.ip, h.port) for h in hosts[:1]], hosts[0].names[0]) as load:
            done = subprocess.run([*inst.vccctl_argv, "emergency", "apply", "--incident", "INC-9", "--reason", "a drill", "--type", "key_compromise", "--all"],
                                  capture_output=True, text=True, stdin=subprocess.DEVNULL)
            time.sleep(0.5)
        assert done.returncode == 0 and "completed: 4 of 4 renewed, 0 failed" in done.stdout, done
        print(done.stdout.splitlines()[-1], "(goal: seconds)")
        assert load.failed == 0 and load.ok > 0
        for h in hosts:
            assert checks.served_is_issued(inst, h) != old[h.cert_id]
            assert open(os.path.join(h.target_dir, "current", "key.pem")).read() != keys[h.cert_id]
    finally:
        inst.stop()
        shutil.rmtree(folder, ignore_errors=True)
