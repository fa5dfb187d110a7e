"""The controller and signer as they are, behind a gateway and hosts that the tests play: who gets in, what is issued, what a lie is worth, and what a
restart in the middle of anything leaves behind."""
import hashlib
import os
import shutil
import subprocess
import time

import checks
import pytest
from conftest import new_folder
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from fake_ca import signed, spki
from fake_gateway import FakeHost, request
from installation import Failed, wait_for
from played_fleet import PlayedFleet
from wire_tables import body_encode

NAMES = "DNS:{0}.clara.vcc.internal"


@pytest.fixture(scope="module")
def ctl():
    path = new_folder("controller")
    inst = PlayedFleet(path)
    try:
        inst.init()
        inst.start_both()
        yield inst
    finally:
        for g in inst.gateways:
            g.close()
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def gw(ctl):
    return ctl.gateway()


# ---- joining ----

def test_join_gives_an_identity_of_the_host(ctl, gw):
    host = FakeHost("join01")
    reply = host.join(gw, ctl.invite("join01"))
    assert reply["code"] == 0 and reply["agent"] == "join01" and reply["service"] == "clara"
    cert = host.identity
    uri = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.UniformResourceIdentifier)
    assert uri == ["spiffe://vcc.internal/agent/join01"]
    assert cert.subject.get_attributes_for_oid(x509.NameOID.SERIAL_NUMBER)[0].value == host.host_hash.hex()
    assert spki(cert.public_key()) == spki(host.link_key)
    assert reply["bundle"] and "join01.clara.vcc.internal" in reply["names"]


def test_one_winner_of_64(ctl, gw):
    for turn in range(3):
        invite = ctl.invite(f"race{turn}")
        hosts = [FakeHost(f"race{turn}") for _ in range(64)]
        numbers = [gw.post_join(h.join_body(invite["token"], invite["pin"])) for h in hosts]
        replies = [gw.join_reply(n) for n in numbers]
        winners = [h for h, r in zip(hosts, replies) if r["code"] == 0]
        assert len(winners) == 1
        assert all(r["code"] in (-3200, -3202) and not r["certificate"] for r in replies if r["code"] != 0)
        again = winners[0].join(gw, invite)  # its reply was lost
        assert again["code"] == 0


def test_forged_join_is_refused(ctl, gw):
    invite = ctl.invite("forge01")
    other = ec.generate_private_key(ec.SECP256R1())
    host = FakeHost("forge01")
    lies = [{"host_signature": lambda h, body: signed(other, "vcc join v1", body)}, {"link_signature": lambda h, body: signed(other, "vcc join v1", body)},
            {"token_signature": b"\0" * 64}, {"host_signature": lambda h, body: signed(h.host_key, "vcc csr v1", body)}]
    for lie in lies:
        assert host.join(gw, invite, **lie)["code"] == -3201
    assert host.join(gw, invite, token_key=b"\1" * 32)["code"] == -3200
    assert host.join(gw, dict(invite, pin="sha256:" + "0" * 64))["code"] == -2300
    assert host.join(gw, invite, name="forge02")["code"] == -3201
    assert host.join(gw, invite)["code"] == 0


def test_name_of_an_active_agent_is_taken(ctl, gw):
    ctl.host(gw, "taken01")
    with pytest.raises(Failed):
        ctl.invite("taken01")


# ---- first issue, renewal ----

def test_first_issue_and_renewal(ctl, gw):
    host = ctl.host(gw, "first01")
    assert host.acked(host.target("first01-web", "clara", "clara_service_auth", NAMES.format("first01")))["code"] == 0
    first = ctl.wait_done("first01-web")
    cert = host.served["first01-web"]
    assert first["fingerprint"] == hashlib.sha256(cert.public_bytes(x509.base.serialization.Encoding.DER)).hexdigest()
    host.wait("receipts are acked", lambda: not host.receipts)
    answer = ctl.vccctl("cert", "renew", "first01-web", "--force")
    second = ctl.wait_done("first01-web", first["fingerprint"])
    assert second["serial"] != first["serial"] and answer["renewal_id"]
    assert len({c["renewal_id"] for c in host.certificates}) == 2


def test_superseded_certificate_is_on_the_list(ctl, gw):
    host = ctl.host(gw, "super01")
    host.target("super01-web", "clara", "clara_service_auth", NAMES.format("super01"))
    first = ctl.wait_done("super01-web")
    ctl.vccctl("cert", "renew", "super01-web", "--force")
    ctl.wait_done("super01-web", first["fingerprint"])

    def listed():
        der = subprocess.run(["curl", "-sf", f"{ctl.public_url}/crl/service-1/0.crl"], capture_output=True).stdout
        crl = x509.load_der_x509_crl(der) if der else []
        return any(r.serial_number == int(first["serial"], 16) for r in crl)
    wait_for("the old serial is on the CRL", listed, 30)


def test_same_target_again_changes_nothing(ctl, gw):
    host = ctl.host(gw, "same01")
    host.target("same01-web", "clara", "clara_service_auth", NAMES.format("same01"))
    before = ctl.wait_done("same01-web")
    orders = len(host.orders)
    for _ in range(3):
        assert host.acked(host.target("same01-web", "clara", "clara_service_auth", NAMES.format("same01")))["code"] == 0
    time.sleep(0.5)
    assert ctl.cert("same01-web")["fingerprint"] == before["fingerprint"] and len(host.orders) == orders


def metrics(ctl):
    done = subprocess.run(["curl", "-s", "--unix-socket", os.path.join(ctl.state, "run", "admin.sock"), "http://local/metrics"], capture_output=True, text=True, timeout=60)
    return done.stdout


def test_served_is_what_was_seen(ctl, gw):
    """On disk is not served: a host whose service is down says so, and where nothing is asked nobody knows."""
    host = ctl.host(gw, "seen01")
    words = ("seen01-web", "clara", "clara_service_auth", NAMES.format("seen01"))
    host.target(*words)
    assert ctl.wait_done("seen01-web")["served"] is True
    assert host.acked(host.target(*words, code=-2005))["code"] == 0
    assert ctl.cert("seen01-web")["served"] is False
    assert host.acked(host.target(*words, code=-2005, served=b"\x11" * 16))["code"] == 0
    assert ctl.cert("seen01-web")["served"] is False, "what lies there was never proved, and nobody answers"
    wait_for("it is counted as such", lambda: 'vcc_pki_targets{service_name="clara",state="unanswered"} 1\n' in metrics(ctl))
    check = subprocess.run([*ctl.vccctl_argv, "check"], capture_output=True, text=True)
    assert check.returncode == 7 and "seen01-web what was issued is not served" in check.stdout, check.stdout + check.stderr
    assert host.acked(host.target(*words, code=0))["code"] == 0
    assert ctl.cert("seen01-web")["served"] is True
    for kind in ("none", "file"):
        assert host.acked(host.target(*words, verify_kind=kind, digest=kind.ljust(32).encode()))["code"] == 0
        assert ctl.cert("seen01-web")["served"] is None


def test_changed_names_make_one_order(ctl, gw):
    host = ctl.host(gw, "names01")
    host.target("names01-web", "clara", "clara_service_auth", NAMES.format("names01"))
    before = ctl.wait_done("names01-web")
    both = "DNS:clara.vcc.internal," + NAMES.format("names01")
    host.target("names01-web", "clara", "clara_service_auth", both)
    after = ctl.wait_done("names01-web", before["fingerprint"])
    assert len(after["names"]) == 2


def failed_first_attempt(ctl, gw, name):
    """A host whose first order failed once; the template's next attempt is an hour away."""
    host = ctl.host(gw, name)
    host.outcome = lambda h, m: "failed"
    host.acked(host.target(f"{name}-web", "clara", "clara_service_auth", NAMES.format(name)))
    wait_for("the first attempt failed", lambda: (r := ctl.cert(f"{name}-web")["renewals"]) and r[0]["phase"] == "retry_wait", 30)
    host.outcome = lambda h, m: "ok"
    return host


def test_an_edited_file_is_tried_at_once(ctl, gw):
    host = failed_first_attempt(ctl, gw, "mend01")
    host.acked(host.target("mend01-web", "clara", "clara_service_auth", NAMES.format("mend01")))
    time.sleep(0.5)
    assert ctl.cert("mend01-web")["renewals"][0]["phase"] == "retry_wait", "the same file again is no news"
    host.target("mend01-web", "clara", "clara_service_auth", NAMES.format("mend01"), digest=b"\1" * 32)
    ctl.wait_done("mend01-web")
    assert [r["attempt"] for r in ctl.cert("mend01-web")["renewals"]] == [2]


def test_force_passes_the_back_off(ctl, gw):
    failed_first_attempt(ctl, gw, "back01")
    with pytest.raises(Failed, match="VCC-3001"):
        ctl.vccctl("cert", "renew", "back01-web")
    ctl.vccctl("cert", "renew", "back01-web", "--force")
    ctl.wait_done("back01-web")
    assert [r["status"] for r in ctl.cert("back01-web")["renewals"]] == ["completed", "cancelled"]


def test_names_outside_the_invite_wait(ctl, gw):
    host = ctl.host(gw, "wide01")
    host.acked(host.target("wide01-web", "clara", "clara_service_auth", "DNS:other.clara.vcc.internal"))
    assert ctl.cert("wide01-web")["status"] == "requested"
    assert not host.orders


def test_refused_targets(ctl, gw):
    host = ctl.host(gw, "refuse01")
    other = ctl.host(gw, "refuse02")
    host.acked(host.target("refuse01-web", "clara", "clara_service_auth", NAMES.format("refuse01")))
    assert other.acked(other.target("refuse01-web", "clara", "clara_service_auth", NAMES.format("refuse02")))["code"] == -3013
    assert host.acked(host.target("refuse01-x", "clara", "no_such_template", NAMES.format("refuse01")))["code"] == -3010
    assert host.acked(host.target("refuse01-y", "covina", "covina_orchestrator", "DNS:covina.vcc.internal"))["code"] == -3012


# ---- lies (FAULTS T3, T5, T21) ----

def test_forged_request_gets_no_certificate(ctl, gw):
    host = ctl.host(gw, "lies01")
    host.respond = False
    host.target("lies01-web", "clara", "clara_service_auth", NAMES.format("lies01"))
    order = host.wait("order", lambda: host.orders and host.orders[-1])
    key = ec.generate_private_key(ec.SECP256R1())
    fields = {"renewal_id": order["renewal_id"], "attempt": order["attempt"], "cert_id": "lies01-web", "made_at": 1, "csr": request(key)}
    body = body_encode("csr", **fields)
    assert host.acked(host.send_signed("csr", "vcc csr v1", body, key=key))["code"] == -1402  # the link's word alone
    assert host.acked(host.send_signed("csr", "vcc receipt v1", body))["code"] == -1402       # another label
    good = signed(host.host_key, "vcc csr v1", body)
    number = host.number()
    host.send("csr", number, body=body_encode("csr", **dict(fields, cert_id="other-web")), signature=good)
    assert host.acked(number)["code"] == -1402
    broken = bytearray(request(key))
    broken[-1] ^= 1
    assert host.acked(host.send_signed("csr", "vcc csr v1", body_encode("csr", **dict(fields, csr=bytes(broken)))))["code"] in (-1401, -1402)
    time.sleep(0.5)
    assert not host.certificates
    assert host.acked(host.send_signed("csr", "vcc csr v1", body))["code"] == 0
    host.wait("certificate", lambda: host.certificates)


def test_forged_receipt_proves_nothing(ctl, gw):
    host = ctl.host(gw, "lies02")
    host.outcome = lambda h, m: "silent"
    host.target("lies02-web", "clara", "clara_service_auth", NAMES.format("lies02"))
    m = host.wait("certificate", lambda: host.certificates and host.certificates[-1])
    fields = {"seq": 1, "renewal_id": m["renewal_id"], "attempt": m["attempt"], "cert_id": "lies02-web", "outcome": 0,
              "fingerprint": hashlib.sha256(m["certificate"]).digest()}
    body = body_encode("receipt", **fields)
    assert host.acked(host.send_signed("receipt", "vcc receipt v1", body, key=ec.generate_private_key(ec.SECP256R1())))["code"] == -1402
    assert not ctl.cert("lies02-web").get("served")
    host.receipt(m, 0, m["certificate"], fingerprint=b"\7" * 32)  # another certificate than ours
    host.wait("ack", lambda: any(a["seq"] == 1 for a in host.acks))
    assert not ctl.cert("lies02-web").get("served")
    host.receipt(m, 0, m["certificate"])
    host.receipt(m, 1, m["certificate"])
    ctl.wait_done("lies02-web")


def test_receipts_are_taken_in_sequence_and_once(ctl, gw):
    host = ctl.host(gw, "seq01")
    host.outcome = lambda h, m: "silent"
    host.target("seq01-web", "clara", "clara_service_auth", NAMES.format("seq01"))
    m = host.wait("certificate", lambda: host.certificates and host.certificates[-1])
    fields = {"renewal_id": m["renewal_id"], "attempt": m["attempt"], "cert_id": "seq01-web", "fingerprint": hashlib.sha256(m["certificate"]).digest()}
    settled = body_encode("receipt", seq=2, outcome=1, **fields)
    verified = body_encode("receipt", seq=1, outcome=0, **fields)
    early = host.send_signed("receipt", "vcc receipt v1", settled)  # the first one was lost
    for body in (verified, verified, settled, settled):
        host.send_signed("receipt", "vcc receipt v1", body)
    host.wait("acks", lambda: len([a for a in host.acks if a["seq"]]) >= 4)
    assert [a["seq"] for a in host.acks if a["seq"]] == [1, 1, 2, 2]
    assert not any(a["id"] == early for a in host.acks)
    ctl.wait_done("seq01-web")
    rows = checks.rows(ctl.facts_db(), "SELECT seq, outcome FROM receipts WHERE agent = 'seq01' ORDER BY seq")
    assert rows == [(1, 0), (2, 1)]


def test_certificate_may_not_come_back_by_a_late_receipt(ctl, gw):
    host = ctl.host(gw, "late01")
    host.outcome = lambda h, m: "silent"
    host.target("late01-web", "clara", "clara_service_auth", NAMES.format("late01"))
    m = host.wait("certificate", lambda: host.certificates and host.certificates[-1])
    ctl.vccctl("cert", "revoke", "late01-web", "--reason", "keyCompromise", "--yes")
    host.receipt(m, 0, m["certificate"])
    host.receipt(m, 1, m["certificate"])
    host.wait("receipts are acked", lambda: not host.receipts)
    assert ctl.cert("late01-web")["status"] == "revoked"
    assert checks.rows(ctl.facts_db(), "SELECT state, revoke_reason FROM issuances WHERE owner_id = 'late01-web'") == [("revoked", 1)]


def test_order_of_another_agent_is_out_of_reach(ctl, gw):
    host, thief = ctl.host(gw, "own01"), ctl.host(gw, "own02")
    host.respond = False
    host.target("own01-web", "clara", "clara_service_auth", NAMES.format("own01"))
    order = host.wait("order", lambda: host.orders and host.orders[-1])
    body = body_encode("csr", renewal_id=order["renewal_id"], attempt=order["attempt"], cert_id="own01-web", made_at=1,
                       csr=request(ec.generate_private_key(ec.SECP256R1())))
    assert thief.acked(thief.send_signed("csr", "vcc csr v1", body))["code"] == -1006
    assert not thief.certificates


# ---- sessions ----

def test_unknown_and_foreign_hosts_are_kicked(ctl, gw):
    host = ctl.host(gw, "kick01")
    stranger = FakeHost("kick01")
    stranger.identity = host.identity
    kicks = len(gw.kicks)
    gw.up(stranger)  # its certificate names another host key
    gw.wait("kick", lambda: len(gw.kicks) > kicks)
    assert not stranger.welcomes
    nobody = FakeHost("nobody01")
    nobody.identity = host.identity
    gw.up(nobody)
    gw.wait("kick", lambda: len(gw.kicks) > kicks + 1)


def test_newer_connection_wins(ctl, gw):
    host = ctl.host(gw, "clone01")
    old = host.session
    copy = FakeHost("clone01")
    copy.host_key, copy.link_key, copy.host_hash, copy.identity = host.host_key, host.link_key, host.host_hash, host.identity
    gw.up(copy)
    gw.wait("kick", lambda: any(k["session"] == old for k in gw.kicks))
    copy.wait("welcome", lambda: copy.welcomes)


def test_ban_cuts_and_is_final(ctl, gw):
    host = ctl.host(gw, "ban01")
    session, start = host.session, time.monotonic()
    ctl.vccctl("agent", "ban", "ban01")
    kick = gw.wait("kick", lambda: next((k for k in gw.kicks if k["session"] == session), None))
    assert kick["code"] == -3207
    print(f"kicked after {time.monotonic() - start:.3f} s, the command included")
    gw.up(host)
    gw.wait("kick again", lambda: [k for k in gw.kicks if k["code"] == -3207 and k["session"] != session])
    with pytest.raises(Failed):
        ctl.invite("ban01")
    again = FakeHost("ban02")
    again.host_key, again.host_hash = host.host_key, host.host_hash
    assert again.join(gw, ctl.invite("ban02"))["code"] == -3203


def test_evicted_name_may_come_back(ctl, gw):
    host = ctl.host(gw, "evict01")
    ctl.vccctl("agent", "evict", "evict01")
    gw.wait("kick", lambda: any(k["code"] == -3206 for k in gw.kicks))
    assert host.session is None
    ctl.host(gw, "evict01")


# ---- identities ----

def test_link_identity_needs_the_host_key(ctl, gw):
    host = ctl.host(gw, "link01")
    new_link = ec.generate_private_key(ec.SECP256R1())
    body = body_encode("identity", name="link01", made_at=1, csr=request(new_link))
    assert host.acked(host.send_signed("agent_identity", "vcc identity v1", body, key=host.link_key))["code"] == -1402
    stolen = body_encode("identity", name="link02", made_at=1, csr=request(new_link))
    assert host.acked(host.send_signed("agent_identity", "vcc identity v1", stolen))["code"] == -3301
    host.send_signed("agent_identity", "vcc identity v1", body)
    m = host.wait("identity", lambda: host.identities and host.identities[-1])
    assert spki(x509.load_der_x509_certificate(m["certificate"]).public_key()) == spki(new_link)
    host.send_signed("agent_identity", "vcc identity v1", body)
    again = host.wait("the same once more", lambda: len(host.identities) > 1 and host.identities[-1])
    assert again["certificate"] == m["certificate"]


def test_gateway_gets_its_certificate(ctl, gw):
    key = ec.generate_private_key(ec.SECP256R1())
    reply = gw.identity(request(key))
    assert reply["code"] == 0
    cert = x509.load_der_x509_certificate(reply["certificate"])
    uri = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.UniformResourceIdentifier)
    assert uri == ["spiffe://vcc.internal/gateway/gw1"]
    assert hashlib.sha256(reply["chain"][-len(ctl_root(ctl)):]).hexdigest() == ctl.pin.removeprefix("sha256:")


def test_a_gateway_cannot_ask_for_certificates_without_end(ctl):
    """A captured gateway: what is under way is not begun again, and a burst is all it gets; what else comes through it is served."""
    greedy, csr = ctl.gateway("greedy"), request(ec.generate_private_key(ec.SECP256R1()))
    count = "SELECT count(*) FROM issuances WHERE owner_id = 'greedy'"
    started, number = time.monotonic(), 1000
    while not any(r["code"] for r in list(greedy.replies.values())):
        assert time.monotonic() < started + 60, f"{checks.rows(ctl.facts_db(), count)[0][0]} certificates and no end"
        for _ in range(20):
            number += 1
            greedy.out("identity", number, csr=csr)
        time.sleep(0.005)
    assert {r["code"] for r in greedy.replies.values()} == {0, -3106}
    for _ in range(2000):
        number += 1
        greedy.out("identity", number, csr=csr)
    reply = FakeHost("behind01").join(greedy, ctl.invite("behind01"))
    assert reply["code"] == 0 and greedy.alive()
    assert 1 <= checks.rows(ctl.facts_db(), count)[0][0] <= 130 + (time.monotonic() - started) / 10
    greedy.close()


def test_a_cut_signing_log_is_told(ctl, gw):
    """A cut at a record's end looks like a log that was never longer; the controller knows better. Nothing stops, no number comes twice."""
    status = ctl.status()
    assert status["status"] == "ready" and status["warnings"] == []
    host = ctl.host(gw, "cut01")
    host.target("cut01-web", "clara", "clara_service_auth", NAMES.format("cut01"))
    before = ctl.wait_done("cut01-web")
    signer = ctl.processes["signer"]
    signer.stop()
    log = os.path.join(ctl.state, "signer", "signing.log")
    os.truncate(log, os.path.getsize(log) // 2)
    signer.start()
    warning, = wait_for("the warning", lambda: ctl.status()["warnings"])
    assert warning.startswith("VCC-3408 ")
    with open(ctl.processes["controller"].log, errors="replace") as f:
        assert "VCC-3408 signer: its log ends at counter" in f.read()
    wait_for("its record", lambda: checks.rows(ctl.facts_db(), "SELECT 1 FROM audit WHERE event = 'signer_log_behind'"))
    wait_for("ready all the same", lambda: ctl.status()["status"] == "ready")
    ctl.vccctl("cert", "renew", "cut01-web", "--force")
    after = ctl.wait_done("cut01-web", before["fingerprint"])
    assert int(after["serial"][:14], 16) > int(before["serial"][:14], 16)
    ctl.processes["controller"].stop()
    ctl.processes["controller"].start()
    ctl.wait_up()
    gw.connect()
    assert ctl.status()["warnings"] == [], "the log is ahead again"


def ctl_root(ctl):
    return subprocess.run(["openssl", "x509", "-in", os.path.join(ctl.state, "ca.pem"), "-outform", "DER"], capture_output=True, check=True).stdout
