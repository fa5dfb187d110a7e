"""Suspend, resume, replace: is what is on hold on the list and nothing else, does it come back, what becomes of an order under way, and is nobody left
without a certificate by one careless command?"""
import datetime
import json
import os
import pty
import shutil
import subprocess
import time

import checks
import pytest
from conftest import new_folder
from installation import wait_for, write
from played_fleet import PlayedFleet
from revocation import listed

NAMES = "DNS:{0}.clara.vcc.internal"


@pytest.fixture(scope="module")
def ctl():
    path = new_folder("suspend")
    inst = PlayedFleet(path, settings={"controller.supersede.grace": "1h"})
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


def issued(ctl, name):
    """(host, certificate) of a service that is served."""
    host = ctl.host(ctl.gateways[0], name)
    host.target(f"{name}-web", "clara", "clara_service_auth", NAMES.format(name))
    return host, ctl.wait_done(f"{name}-web")


def fails(ctl, *words, code):
    done = subprocess.run([*ctl.vccctl_argv, *words, "-o", "json"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode != 0 and code in done.stderr, done.stdout + done.stderr
    return done.returncode


def wait_listed(ctl, serial, reason):
    begun = time.monotonic()
    wait_for(f"the list says {reason} of {serial}", lambda: listed(ctl, serial) == reason, 50)
    print(f"{reason} on the list after {time.monotonic() - begun:.1f} s (goal 5 s)")


def audited(ctl, event, cert_id):
    return [json.loads(d) for d, in checks.rows(ctl.facts_db(), "SELECT detail FROM audit WHERE event = ? AND object = ?", event, cert_id)]


def issuance(ctl, serial):
    return checks.rows(ctl.facts_db(), "SELECT state, revoke_reason, held_at, revoked_at FROM issuances WHERE serial = ?", bytes.fromhex(serial))[0]


# ---- hold ----

def test_on_hold_and_back(ctl):
    _, cert = issued(ctl, "hold01")
    answer = ctl.vccctl("cert", "suspend", "hold01-web")
    assert answer["status"] == "suspended" and answer["suspended_at"] and answer["renew_at"] is None
    wait_listed(ctl, cert["serial"], "certificateHold")
    fails(ctl, "cert", "suspend", "hold01-web", code="VCC-3004")
    fails(ctl, "cert", "renew", "hold01-web", "--force", code="VCC-3004")
    assert audited(ctl, "certificate_suspended", "hold01-web") == [{"serial": cert["serial"], "reason": "certificateHold", "issuances": 1}]
    back = ctl.vccctl("cert", "resume", "hold01-web")
    assert back["status"] == "active" and back["suspended_at"] is None and back["renew_at"] == cert["renew_at"] and "renewal_id" not in back
    wait_listed(ctl, cert["serial"], None)
    fails(ctl, "cert", "resume", "hold01-web", code="VCC-3801")
    assert len(audited(ctl, "certificate_resumed", "hold01-web")) == 1
    assert issuance(ctl, cert["serial"])[:3] == ("active", 0, None)
    assert ctl.vccctl("cert", "renew", "hold01-web", "--force")["status"] == "processing"
    ctl.wait_done("hold01-web", cert["fingerprint"])


def test_a_hold_that_ends_in_revocation_keeps_its_date(ctl):
    _, cert = issued(ctl, "hold02")
    ctl.vccctl("cert", "suspend", "hold02-web")
    held_at = issuance(ctl, cert["serial"])[2]
    wait_listed(ctl, cert["serial"], "certificateHold")
    assert ctl.vccctl("cert", "revoke", "hold02-web", "--reason", "keyCompromise", "--yes")["status"] == "revoked"
    wait_listed(ctl, cert["serial"], "keyCompromise")
    assert issuance(ctl, cert["serial"]) == ("revoked", 1, None, held_at)
    fails(ctl, "cert", "resume", "hold02-web", code="VCC-3003")
    fails(ctl, "cert", "suspend", "hold02-web", code="VCC-3003")


def test_hold_outlives_a_restart(ctl):
    _, cert = issued(ctl, "hold03")
    ctl.vccctl("cert", "suspend", "hold03-web")
    ctl.processes["controller"].kill()
    ctl.processes["controller"].start()
    ctl.wait_up()
    ctl.gateways[0].connect()
    assert ctl.cert("hold03-web")["status"] == "suspended"
    wait_listed(ctl, cert["serial"], "certificateHold")
    ctl.vccctl("cert", "resume", "hold03-web")
    wait_listed(ctl, cert["serial"], None)


def test_everything_in_use_is_held(ctl):
    """Within its grace the old issuance would still be taken by relying parties."""
    _, first = issued(ctl, "hold04")
    ctl.vccctl("cert", "renew", "hold04-web", "--force")
    second = ctl.wait_done("hold04-web", first["fingerprint"])
    ctl.vccctl("cert", "suspend", "hold04-web")
    for c in (first, second):
        wait_listed(ctl, c["serial"], "certificateHold")
    assert audited(ctl, "certificate_suspended", "hold04-web")[0]["issuances"] == 2
    ctl.vccctl("cert", "resume", "hold04-web")
    for c in (first, second):
        wait_listed(ctl, c["serial"], None)
    assert issuance(ctl, first["serial"])[0] == "renewed" and issuance(ctl, second["serial"])[0] == "active"


# ---- orders ----

def test_an_order_before_the_flip_is_cancelled(ctl):
    host, cert = issued(ctl, "flip01")
    host.respond = False
    orders = len(host.orders)
    ctl.vccctl("cert", "renew", "flip01-web", "--force")
    host.wait("order", lambda: len(host.orders) > orders)
    ctl.vccctl("cert", "suspend", "flip01-web")
    host.wait("cancel", lambda: host.cancels)
    shown = ctl.cert("flip01-web")
    assert shown["open_order"] is None and shown["renewals"][0]["status"] == "cancelled" and shown["renewals"][0]["error"]["code"] == "VCC-3004"
    assert shown["serial"] == cert["serial"] and shown["renew_at"] is None


def test_an_order_after_the_flip_finishes_and_is_held(ctl):
    host, first = issued(ctl, "flip02")
    host.outcome = lambda h, m: "silent"
    known = len(host.certificates)
    ctl.vccctl("cert", "renew", "flip02-web", "--force")
    m = host.wait("certificate", lambda: len(host.certificates) > known and host.certificates[-1])
    host.receipt(m, 0, m["certificate"])
    wait_for("it is flipped and proved", lambda: ctl.cert("flip02-web")["renewals"][0]["phase"] == "verified", 30)
    ctl.vccctl("cert", "suspend", "flip02-web")
    assert ctl.cert("flip02-web")["open_order"]
    host.receipt(m, 1, m["certificate"])
    second = ctl.wait_done("flip02-web", first["fingerprint"])
    assert second["status"] == "suspended" and second["renewals"][0]["status"] == "completed" and second["renew_at"] is None
    for c in (first, second):
        wait_listed(ctl, c["serial"], "certificateHold")
    ctl.vccctl("cert", "resume", "flip02-web")
    wait_listed(ctl, second["serial"], None)


def test_what_the_host_flips_all_the_same_is_held(ctl):
    """It holds the certificate when the cancel comes, and is faster."""
    host, first = issued(ctl, "flip03")
    host.outcome = lambda h, m: "silent"
    known = len(host.certificates)
    ctl.vccctl("cert", "renew", "flip03-web", "--force")
    m = host.wait("certificate", lambda: len(host.certificates) > known and host.certificates[-1])
    ctl.vccctl("cert", "suspend", "flip03-web")
    host.wait("cancel", lambda: host.cancels)
    host.receipt(m, 0, m["certificate"])
    host.receipt(m, 1, m["certificate"])
    second = ctl.wait_done("flip03-web", first["fingerprint"])
    assert second["status"] == "suspended"
    wait_listed(ctl, second["serial"], "certificateHold")


def test_resume_renews_what_is_due(ctl):
    template = json.loads(subprocess.run([*ctl.vccctl_argv, "template", "export", "clara_service_auth"], capture_output=True, text=True).stdout)
    for derived in ("validity_period_days", "validity_seconds", "renewal_threshold_days", "emergency_threshold_days", "version", "created_at"):
        template.pop(derived, None)
    template.update(template_id="short", name="short", validity_period="20s", renewal_threshold="8s", emergency_threshold="2s")
    path = os.path.join(ctl.dir, "short.json")
    write(path, json.dumps(template))
    ctl.vccctl("template", "apply", path)
    host = ctl.host(ctl.gateways[0], "due01")
    host.target("due01-web", "clara", "short", NAMES.format("due01"))
    first = ctl.wait_done("due01-web")
    ctl.vccctl("cert", "suspend", "due01-web")
    wait_for("it is due", lambda: audited(ctl, "certificate_suspended", "due01-web") and expires_in(ctl, "due01-web") < 6, 60, 0.5)
    assert ctl.cert("due01-web")["serial"] == first["serial"] and len(ctl.cert("due01-web")["renewals"]) == 1, "nothing is scheduled meanwhile"
    back = ctl.vccctl("cert", "resume", "due01-web")
    assert back["renewal_id"] and back["open_order"] == back["renewal_id"]
    ctl.wait_done("due01-web", first["fingerprint"])
    ctl.vccctl("cert", "revoke", "due01-web", "--reason", "cessationOfOperation", "--yes")


def expires_in(ctl, cert_id):
    end = datetime.datetime.fromisoformat(ctl.cert(cert_id)["expires_at"].replace("Z", "+00:00"))
    return (end - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


# ---- replace ----

def test_replace_renews_first(ctl):
    host, first = issued(ctl, "repl01")
    host.outcome = lambda h, m: "silent"
    known = len(host.certificates)
    answer = ctl.vccctl("cert", "revoke", "repl01-web", "--reason", "keyCompromise", "--replace")
    assert answer["status"] == "active" and answer["renewal_id"] == answer["open_order"]
    m = host.wait("certificate", lambda: len(host.certificates) > known and host.certificates[-1])
    time.sleep(1)
    assert listed(ctl, first["serial"]) is None and issuance(ctl, first["serial"])[0] == "active", "it is served until the new one is proved"
    host.receipt(m, 0, m["certificate"])
    host.receipt(m, 1, m["certificate"])
    second = ctl.wait_done("repl01-web", first["fingerprint"])
    wait_listed(ctl, first["serial"], "keyCompromise")  # and not after the hour of grace
    assert second["status"] == "active" and listed(ctl, second["serial"]) is None
    assert audited(ctl, "certificate_revocation_asked", "repl01-web")[0]["reason"] == "keyCompromise"


def test_replace_survives_a_failed_attempt(ctl):
    host, first = issued(ctl, "repl02")
    host.outcome = lambda h, m: "failed"
    ctl.vccctl("cert", "revoke", "repl02-web", "--reason", "affiliationChanged", "--replace")
    wait_for("the attempt failed", lambda: ctl.cert("repl02-web")["renewals"][0]["phase"] == "retry_wait", 30)
    assert issuance(ctl, first["serial"])[0] == "active"
    host.outcome = lambda h, m: "ok"
    ctl.vccctl("cert", "renew", "repl02-web", "--force")  # another order: the wish stands with the issuance
    ctl.wait_done("repl02-web", first["fingerprint"])
    wait_listed(ctl, first["serial"], "affiliationChanged")


def test_replace_ends_what_was_replaced_before_at_once(ctl):
    host, first = issued(ctl, "repl03")
    ctl.vccctl("cert", "renew", "repl03-web", "--force")
    second = ctl.wait_done("repl03-web", first["fingerprint"])
    host.respond = False
    ctl.vccctl("cert", "revoke", "repl03-web", "--reason", "keyCompromise", "--replace")
    wait_listed(ctl, first["serial"], "keyCompromise")
    assert listed(ctl, second["serial"]) is None


def test_replace_of_what_was_never_issued(ctl):
    host = ctl.host(ctl.gateways[0], "repl04")
    host.acked(host.target("repl04-web", "clara", "clara_service_auth", "DNS:other.clara.vcc.internal"))
    assert ctl.cert("repl04-web")["status"] == "requested"
    fails(ctl, "cert", "revoke", "repl04-web", "--reason", "superseded", "--replace", code="VCC-3015")
    fails(ctl, "cert", "revoke", "no-such", "--reason", "superseded", "--replace", code="VCC-1006")


# ---- the last one ----

@pytest.fixture(scope="module")
def alone(ctl):
    """A service with one certificate."""
    invite = ctl.vccctl("agent", "invite", "last01", "--service", "covina", "--names", "covina.vcc.internal")
    from fake_gateway import FakeHost
    host = FakeHost("last01")
    assert host.join(ctl.gateways[0], invite)["code"] == 0
    ctl.gateways[0].up(host)
    host.wait("welcome", lambda: host.welcomes)
    host.target("last01-web", "covina", "covina_orchestrator", "DNS:covina.vcc.internal")
    return ctl.wait_done("last01-web")


def at_terminal(ctl, typed):
    """vccctl with a person at it, who types this when asked."""
    master, slave = pty.openpty()
    p = subprocess.Popen([*ctl.vccctl_argv, "cert", "revoke", "last01-web", "--reason", "superseded", "-o", "json"], stdin=slave, stderr=slave,
                         stdout=subprocess.PIPE, text=True)
    os.close(slave)
    seen = b""
    while b"all the same: " not in seen:
        seen += os.read(master, 1000)
    os.write(master, typed.encode() + b"\n")
    out = p.stdout.read()
    p.wait(30)
    os.close(master)
    return p.returncode, out


def test_the_last_listener_is_asked_for_twice(ctl, alone):
    assert fails(ctl, "cert", "revoke", "last01-web", "--reason", "superseded", code="VCC-3800") == 4
    assert ctl.cert("last01-web")["status"] == "active"
    code, _ = at_terminal(ctl, "yes")
    assert code == 4 and ctl.cert("last01-web")["status"] == "active"
    code, out = at_terminal(ctl, "last01-web")
    assert code == 0 and json.loads(out)["status"] == "revoked"


def test_one_of_many_is_not_asked_for(ctl):
    _, cert = issued(ctl, "many01")
    issued(ctl, "many02")
    assert ctl.vccctl("cert", "revoke", "many01-web", "--reason", "superseded")["status"] == "revoked"
    wait_listed(ctl, cert["serial"], "superseded")
