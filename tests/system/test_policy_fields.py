"""Each field of a template (LIFECYCLE 1) is flipped, and what it promises is seen: in the certificate, the order, the schedule, the trail.

The hosts are played where the field ends at the controller; a real agent and keeper where it ends on the host. What a field means to a changed template on
the live set is in test_policy_edit.py; the table of the fields is docs/brief-coverage.md."""
import datetime
import json
import os
import shutil
import time

import checks
import pytest
from conftest import new_folder
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from installation import Failed, Installation, wait_for, write
from played_fleet import PlayedFleet

NAMES = "DNS:{0}.clara.vcc.internal"
BASE = {"validity_period": "100d", "renewal_threshold": "30d", "emergency_threshold": "7d", "key_type": "ECDSA", "key_size": 256, "key_usage": ["digitalSignature"],
        "extended_key_usage": ["serverAuth", "clientAuth"], "subject_alt_names": ["*.clara.vcc.internal"], "vcc_service_type": "clara", "max_renewals": 0}
KEPT, STEP_FLIP = 4, 6


@pytest.fixture(scope="module")
def ctl():
    path = new_folder("fields")
    inst = PlayedFleet(path, settings={"controller.supersede.grace": "1h"})
    inst.counter = 0
    try:
        inst.init()
        inst.start_both()
        inst.gateway()
        yield inst
    finally:
        for g in inst.gateways:
            g.close()
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def apply(ctl, template_id, *words, **fields):
    content = {**BASE, "template_id": template_id, "name": template_id, **fields}
    path = os.path.join(ctl.dir, f"{template_id}.json")
    write(path, json.dumps(content))
    return ctl.vccctl("template", "apply", path, *words)


def refused(ctl, template_id, **fields):
    with pytest.raises(Failed) as e:
        apply(ctl, template_id, **fields)
    return str(e.value)


def host_of(ctl):
    ctl.counter += 1
    return ctl.host(ctl.gateways[0], f"f{ctl.counter:02d}")


def target(ctl, template_id, names=None, **more):
    """(host, its first certificate as the API shows it)"""
    host = host_of(ctl)
    host.target(f"{host.name}-web", "clara", template_id, NAMES.format(host.name) if names is None else names, **more)
    return host, ctl.wait_done(f"{host.name}-web")


def leaf(ctl, template_id, names=None, **fields):
    """The X.509 certificate that this template gives."""
    apply(ctl, template_id, **fields)
    host, _ = target(ctl, template_id, names)
    return x509.load_der_x509_certificate(host.certificates[-1]["certificate"])


def order_of(ctl, cert_id):
    return ctl.get(f"renewals?cert_id={cert_id}&limit=1")["items"][0]


def audited(ctl, cert_id):
    return [e for e, in checks.rows(ctl.facts_db(), "SELECT event FROM audit WHERE object = ? ORDER BY seq", cert_id)]


# ---- what is issued ----

def test_identity(ctl):
    apply(ctl, "ident", description="first words")
    t = ctl.vccctl("template", "show", "ident")
    assert (t["template_id"], t["name"], t["description"], t["version"]) == ("ident", "ident", "first words", 1)
    assert apply(ctl, "ident", name="Other", description="other words")["version"] == 2
    t = ctl.vccctl("template", "show", "ident")
    assert (t["name"], t["description"]) == ("Other", "other words")


@pytest.mark.parametrize("period,days", (("90d", 90), ("30d", 30)))
def test_validity_period(ctl, period, days):
    cert = leaf(ctl, f"valid{days}", validity_period=period, renewal_threshold="1/3")
    assert abs(cert.not_valid_after - cert.not_valid_before - datetime.timedelta(days=days)) <= datetime.timedelta(minutes=6)


def test_validity_in_days_and_seconds(ctl):
    for name, field in (("vdays", {"validity_period_days": 0.5}), ("vsecs", {"validity_seconds": 43200})):
        content = {k: v for k, v in BASE.items() if k != "validity_period"}
        path = os.path.join(ctl.dir, f"{name}.json")
        write(path, json.dumps({**content, "template_id": name, "renewal_threshold": "1/3", "emergency_threshold": "1h", **field}))
        ctl.vccctl("template", "apply", path)
        t = ctl.vccctl("template", "show", name)
        assert (t["validity_period"], t["validity_period_days"], t["validity_seconds"]) == ("12h", 0.5, 43200)


def test_key_type_and_size(ctl):
    asked = {}
    for name, kind, size in (("kp256", "ECDSA", 256), ("kp384", "ECDSA", 384), ("krsa3", "RSA", 3072), ("ked", "Ed25519", 0)):
        apply(ctl, name, key_type=kind, **({"key_size": size} if size else {"key_size": 256}))
        host = host_of(ctl)
        host.target(f"{host.name}-web", "clara", name, NAMES.format(host.name))
        asked[name] = host.wait("an order", lambda h=host: h.orders and h.orders[-1])["key_type"]
        if name != "kp256":  # the played host has another key: it is refused
            wait_for("the request is refused", lambda h=host: (e := order_of(ctl, f"{h.name}-web")["error"]) and e["code"].startswith("VCC-"))
    assert len(set(asked.values())) == 4, asked


@pytest.mark.parametrize("name", ("SHA256", "SHA384", "SHA512"))
def test_hash_algorithm(ctl, name):
    assert leaf(ctl, f"hash{name.lower()}", hash_algorithm=name).signature_hash_algorithm.name == name.lower()


def test_key_usage_and_extended_key_usage(ctl):
    for name, usage, extended in (("ku1", ["digitalSignature"], ["serverAuth"]), ("ku2", ["digitalSignature", "keyAgreement", "keyEncipherment"], ["clientAuth"])):
        cert = leaf(ctl, name, key_usage=usage, extended_key_usage=extended)
        ku = cert.extensions.get_extension_for_oid(ExtensionOID.KEY_USAGE).value
        assert ku.digital_signature and ku.key_agreement == ("keyAgreement" in usage) and not ku.key_encipherment, "dropped for EC keys (RFC 8813)"
        eku = cert.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
        assert list(eku) == [ExtendedKeyUsageOID.SERVER_AUTH if extended == ["serverAuth"] else ExtendedKeyUsageOID.CLIENT_AUTH]


def test_subject_alt_names(ctl):
    apply(ctl, "sans", subject_alt_names=["*.clara.vcc.internal"])
    inside, cert = target(ctl, "sans")
    assert cert["names"] == [NAMES.format(inside.name)]
    apply(ctl, "sans-narrow", subject_alt_names=["only.clara.vcc.internal"])
    host = host_of(ctl)
    host.target(f"{host.name}-web", "clara", "sans-narrow", NAMES.format(host.name))
    cert = wait_for("it is asked for", lambda: show(ctl, f"{host.name}-web"))
    assert cert["status"] == "requested" and cert["approved"] is False and not host.orders
    cert = leaf(ctl, "sans-none", names="", subject_alt_names=[], extended_key_usage=["clientAuth"])
    with pytest.raises(x509.ExtensionNotFound):
        cert.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)


def show(ctl, cert_id):
    try:
        return ctl.certificate(cert_id)
    except Failed:
        return None


def test_vcc_service_type(ctl):
    apply(ctl, "svc-argus", vcc_service_type="argus")
    host = host_of(ctl)
    ack = host.acked(host.target(f"{host.name}-web", "clara", "svc-argus", NAMES.format(host.name)))
    assert ack["code"] != 0 and "argus" in ack["text"], ack
    apply(ctl, "svc-any", vcc_service_type=None)
    assert target(ctl, "svc-any")[1]["status"] == "active"


def test_certificate_purpose(ctl):
    signing = {"extended_key_usage": ["codeSigning"], "subject_alt_names": []}
    apply(ctl, "signing", certificate_purpose="code_signing", auto_renewal_enabled=False, **signing)
    host = host_of(ctl)
    host.target(f"{host.name}-web", "clara", "signing", "")
    wait_for("a second person is asked", lambda: show(ctl, f"{host.name}-web") and order_of(ctl, f"{host.name}-web")["status"] == "awaiting_approval")
    assert not host.orders
    assert "certificate_purpose" in refused(ctl, "signing2", **signing) and "VCC-3010" in refused(ctl, "purpose", certificate_purpose="other")


def test_issuer(ctl):
    cert = leaf(ctl, "iss", issuer="service-1")
    assert show(ctl, f"f{ctl.counter:02d}-web")["status"] == "active" and cert.issuer
    assert "issuer" in refused(ctl, "iss2", issuer="code-signing-1")


# ---- when and how it is renewed ----

def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_auto_renewal_enabled(ctl):
    apply(ctl, "auto")
    apply(ctl, "manual", auto_renewal_enabled=False)
    assert target(ctl, "auto")[1]["renew_at"] and target(ctl, "manual")[1]["renew_at"] is None


@pytest.mark.parametrize("name,field,days", (("t20", {"renewal_threshold_days": 20}, 20), ("t8h", {"renewal_threshold": "8h"}, 1 / 3),
                                             ("tthird", {"renewal_threshold": "1/3"}, 100 / 3)))
def test_renewal_threshold(ctl, name, field, days):
    content = {k: v for k, v in BASE.items() if k not in ("renewal_threshold", "emergency_threshold")}
    path = os.path.join(ctl.dir, f"{name}.json")
    write(path, json.dumps({**content, "template_id": name, **field}))
    ctl.vccctl("template", "apply", path)
    _, cert = target(ctl, name)
    before_end = (seconds(cert["expires_at"]) - seconds(cert["renew_at"])) / 86400
    assert days * 0.9 - 0.001 <= before_end <= days, "the threshold, at most a tenth of it later"
    assert "80 %" in refused(ctl, "toolong", renewal_threshold="80d")


def test_emergency_threshold_days(ctl):
    apply(ctl, "emerg", emergency_threshold="7d")
    host, cert = target(ctl, "emerg")
    assert cert["alerts"] == []
    assert host.orders[-1]["any_time"] is False
    apply(ctl, "emerg", emergency_threshold="101d")
    assert wait_for("alert", lambda: show(ctl, cert["cert_id"])["alerts"]) == ["emergency_threshold"]
    apply(ctl, "emerg", emergency_threshold="101d", hash_algorithm="SHA384")
    order = host.wait("an order", lambda: len(host.orders) > 1 and host.orders[-1])
    assert order["any_time"] is True, "windows no longer count"


def test_max_renewals_and_what_comes_before(ctl):
    """The first unattended renewal goes by itself with a warning, the second waits; auto renewal in seconds, each due time once."""
    apply(ctl, "limit", validity_period="12s", renewal_threshold="7s", emergency_threshold="1s", max_renewals=2)
    _, cert = target(ctl, "limit")
    cert_id = cert["cert_id"]
    waiting = wait_for("the third waits", lambda: (o := order_of(ctl, cert_id))["status"] == "awaiting_approval" and o, 90)
    assert waiting["renewal_trigger"] == "scheduled"
    orders = ctl.get(f"renewals?cert_id={cert_id}")["items"]
    assert [o["renewal_trigger"] for o in orders] == ["scheduled", "scheduled", "scheduled", "manual"]
    assert "max_renewals_reached" in show(ctl, cert_id)["alerts"]
    assert audited(ctl, cert_id).count("certificate_renewal_limit_near") == 1
    assert show(ctl, cert_id)["unattended_renewals"] == 2


def test_max_renewal_attempts_and_retry_interval(ctl):
    apply(ctl, "one-try", max_renewal_attempts=1)
    apply(ctl, "two-tries", max_renewal_attempts=2, retry_interval="2h")
    for name in ("one-try", "two-tries"):
        host, cert = target(ctl, name)
        host.outcome = lambda h, m: "failed"
        ctl.vccctl("cert", "renew", cert["cert_id"], "--force")
        o = wait_for("it failed", lambda c=cert: (o := order_of(ctl, c["cert_id"]))["retry_count"] == 1 and o)
        wait = seconds(o["next_at"]) - time.time()
        if name == "one-try":
            assert o["status"] == "paused" and 86000 < wait < 87100, o
            paused = cert["cert_id"]
        else:
            assert o["status"] == "in_progress" and o["phase"] == "retry_wait" and 7100 < wait < 2 * 3600 * 1.11, o
            waiting = cert["cert_id"]
    rows = ctl.vccctl("cert", "list", "--paused")
    assert [r["cert_id"] for r in rows] == [paused] and rows[0]["error"]["code"] == "VCC-2201", rows
    assert ctl.get("renewals?status=paused")["items"][0]["cert_id"] == paused
    # a change of the template is an occasion to try again, for both
    for name, cert_id in (("one-try", paused), ("two-tries", waiting)):
        attempt = order_of(ctl, cert_id)["attempt"]
        apply(ctl, name, max_renewal_attempts=9)
        wait_for(f"{cert_id} is tried", lambda: order_of(ctl, cert_id)["attempt"] > attempt)


def test_a_new_agent_version_tries_what_is_paused(ctl):
    apply(ctl, "version", max_renewal_attempts=1)
    host, cert = target(ctl, "version")
    host.outcome = lambda h, m: "failed"
    ctl.vccctl("cert", "renew", cert["cert_id"], "--force")
    wait_for("it is paused", lambda: order_of(ctl, cert["cert_id"])["status"] == "paused")
    host.outcome = lambda h, m: "ok"
    host.say_hello(version="newer")
    ctl.wait_done(cert["cert_id"], cert["fingerprint"])


def test_post_deployment_validation(ctl):
    """Kept though unproved: with validation it is waited for, without it the order is completed and says so."""
    for name, required in (("post", True), ("nopost", False)):
        apply(ctl, name, post_deployment_validation=required)
        host, cert = target(ctl, name)
        host.outcome = lambda h, m: "silent"
        known = len(host.certificates)
        ctl.vccctl("cert", "renew", cert["cert_id"], "--force")
        m = host.wait("a certificate", lambda: len(host.certificates) > known and host.certificates[-1])
        assert m["post_validation"] is required and host.orders[-1]["post_validation"] is required
        host.receipt(m, KEPT, m["certificate"], code=-2005, cause="nobody answers")
        if required:
            wait_for("the failure is noted", lambda: order_of(ctl, cert["cert_id"])["error"])
            assert order_of(ctl, cert["cert_id"])["status"] == "in_progress"
        else:
            o = wait_for("it is completed", lambda: (o := order_of(ctl, cert["cert_id"]))["status"] == "completed" and o)
            assert "unverified" in o["flags"]
            assert checks.rows(ctl.facts_db(), "SELECT supersede_at FROM issuances WHERE serial = ?", bytes.fromhex(cert["serial"]))[0][0] is None


# ---- what is said about it ----

def test_compliance_profiles(ctl):
    for profiles, fields in (([], []), (["BSI_TR"], ["key_size"]), (["BSI_TR", "GDPR"], ["key_size", "key_size"])):
        shown = apply(ctl, f"comp{len(profiles)}", "--dry-run", key_type="RSA", key_size=2048, compliance_profiles=profiles)
        assert [v["field"] for v in shown["compliance"]] == fields


def test_audit_level(ctl):
    count = {}
    for level in ("minimal", "standard", "enhanced"):
        apply(ctl, f"audit-{level}", audit_level=level, retry_interval="1s")
        host = host_of(ctl)
        host.outcome = lambda h, m: "failed" if m["attempt"] == 1 else "silent"
        host.target(f"{host.name}-web", "clara", f"audit-{level}", NAMES.format(host.name))
        m = host.wait("a certificate after one that failed", lambda h=host: next((c for c in h.certificates if c["attempt"] == 2), None))
        step = {"step": STEP_FLIP, "code": 0, "at": int(time.time() * 1000), "took_ms": 3, "detail": "g000001"}
        host.receipt(m, 0, m["certificate"], steps=[step, dict(step, step=STEP_FLIP + 1)])
        host.receipt(m, 1, m["certificate"])
        ctl.wait_done(f"{host.name}-web")
        events = audited(ctl, f"{host.name}-web")
        count[level] = {e: events.count(e) for e in ("certificate_intent", "certificate_issued", "certificate_renewal_completed", "certificate_renewal_step")}
    for level, steps in (("minimal", 0), ("standard", 1), ("enhanced", 3)):  # the attempt that failed; with each step of the one that did not
        assert count[level] == {"certificate_intent": 2, "certificate_issued": 2, "certificate_renewal_completed": 1, "certificate_renewal_step": steps}, level


def test_recipients(ctl):
    """Kept and shown; who is told is the business of notifications."""
    apply(ctl, "told", notification_recipients=["ops@example.org"], escalation_recipients=["lead@example.org", "duty@example.org"])
    t = ctl.vccctl("template", "show", "told")
    assert t["notification_recipients"] == ["ops@example.org"] and t["escalation_recipients"] == ["lead@example.org", "duty@example.org"]
    assert "escalation_recipients" in refused(ctl, "told2", escalation_recipients=["a,b"])


# ---- due times that were missed ----

def test_missed_due_times_are_caught_up_once(ctl):
    """F63: the controller was down over several due times of each."""
    apply(ctl, "missed", validity_period="30s", renewal_threshold="22s", emergency_threshold="1s", auto_renewal_enabled=False)
    certs = [target(ctl, "missed")[1] for _ in range(3)]
    apply(ctl, "missed", validity_period="30s", renewal_threshold="22s", emergency_threshold="1s")
    ctl.processes["controller"].kill()
    time.sleep(12)
    ctl.processes["controller"].start()
    ctl.wait_up()
    before = {c["cert_id"]: len(ctl.get(f"renewals?cert_id={c['cert_id']}")["items"]) for c in certs}
    for c in certs:
        orders = wait_for("one order", lambda c=c: len(o := ctl.get(f"renewals?cert_id={c['cert_id']}")["items"]) > 1 and o, 60)
        assert len(orders) == 2 and before[c["cert_id"]] <= 2, orders
    path = os.path.join(ctl.dir, "missed.json")
    write(path, json.dumps({**BASE, "template_id": "missed", "name": "missed", "auto_renewal_enabled": False}))
    ctl.vccctl("template", "apply", path)


# ---- on a real host ----

@pytest.fixture(scope="module")
def real():
    path = new_folder("fields-host")
    inst = Installation(path, {"controller.schedule.tick": "200ms"})
    try:
        inst.init()
        inst.start()
        host = inst.add_echo(0)
        inst.wait_served(host)
        yield inst, host
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def issuances(inst, host):
    return checks.rows(os.path.join(inst.state, "controller", "vcc.db"), "SELECT count(*) FROM issuances WHERE owner_id = ?", host.cert_id)[0][0]


def finding_while_away(inst, host):
    """What a host finds before an attempt while the target's folder is not there, as the order's steps tell it. Read before the folder is back: the next
    attempt, which may begin at once, takes its place."""
    away = host.target_dir + ".away"
    os.rename(host.target_dir, away)
    write(host.target_dir, "this is no folder\n")
    try:
        inst.vccctl("cert", "renew", host.cert_id, "--force")
        order = wait_for("the attempt failed", lambda: (o := inst.get(f"renewals?cert_id={host.cert_id}&limit=1")["items"][0])["retry_count"] > 0 and o)
        return wait_for("the finding stands in the steps", lambda: {s["step"]: s["code"] for s in inst.renewal(order["renewal_id"])["steps"]}["pre_validation"])
    finally:
        os.unlink(host.target_dir)
        os.rename(away, host.target_dir)


def test_pre_validation_required(real):
    """A folder that cannot be written to: required, the host says so before anything is signed; else after."""
    inst, host = real
    for required in (True, False):
        inst.edit_template(host.template, pre_validation_required=required, retry_interval="1s")
        before, old = issuances(inst, host), inst.certificate(host.cert_id)["fingerprint"]
        assert finding_while_away(inst, host) == "VCC-1302"
        inst.wait_renewed(host, old)
        assert (issuances(inst, host) - before == 1) == required, "required: nothing was signed for the attempt that could not succeed"


def test_windows_of_the_service_and_now(real):
    """A window that opens in hours: the certificate waits on the host, until a person says now."""
    inst, host = real
    inst.edit_template(host.template, retry_interval="1s")
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=5)
    path = os.path.join(inst.dir, "service.json")
    write(path, json.dumps({"name": host.service, "windows": f"* {soon:%H}:00-{(soon + datetime.timedelta(hours=1)):%H}:00 Etc/UTC"}))
    inst.vccctl("service", "apply", path)
    old = inst.certificate(host.cert_id)
    inst.edit_template(host.template, validity_period="500d", retry_interval="1s")
    order = wait_for("an order", lambda: (o := inst.get(f"renewals?cert_id={host.cert_id}&limit=1")["items"][0])["renewal_trigger"] == "policy_update" and o)
    wait_for("the certificate is on the host", lambda: inst.renewal(order["renewal_id"])["phase"] in ("issued", "delivered"))
    time.sleep(3)
    assert inst.certificate(host.cert_id)["serial"] == old["serial"] and checks.served_is_issued(inst, host) == old["fingerprint"]
    assert inst.vccctl("cert", "renew", host.cert_id, "--now")["renewal_id"] == order["renewal_id"]
    inst.wait_renewed(host, old["fingerprint"])
    done = inst.renewal(order["renewal_id"])
    assert done["status"] == "completed" and "now" in done["flags"]
    write(path, json.dumps({"name": host.service}))
    inst.vccctl("service", "apply", path)
