"""Staged keys: the host makes its next key in quiet time, and a renewal begins with its certificate. First with a played host, whose messages are
counted; then with a real one, whose processes are started again in between."""
import hashlib
import json
import os
import shutil
import subprocess

import pytest
from campaign_fleet import CampaignFleet
from conftest import new_folder
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from fake_gateway import request
from fake_pki import spki as public_spki
from installation import Installation, wait_for

NAMES = "DNS:{0}.clara.vcc.internal"


def spki(key):
    return public_spki(key.public_key())


def key_hash(certificate_der):
    return hashlib.sha256(public_spki(x509.load_der_x509_certificate(certificate_der).public_key())).digest()


# ---- played: what is said ----

@pytest.fixture(scope="module")
def fleet():
    f = CampaignFleet(new_folder("staged"), settings={"controller.limits.max_renewals_default": "0", "controller.supersede.grace": "1h"})
    try:
        f.begin()
        yield f
    finally:
        f.end()


@pytest.fixture
def host(fleet, request):
    name = "s" + hashlib.sha256(request.node.name.encode()).hexdigest()[:8]
    h = fleet.host_of(name, "clara")
    h.cert_id = f"{name}-web"
    h.first = fleet.wait_done(h.cert_id)
    h.said.clear()
    h.heard.clear()
    return h


def renew(fleet, host):
    old = fleet.cert(host.cert_id)["fingerprint"]
    renewal_id = fleet.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    fleet.wait_done(host.cert_id, old)
    host.wait("receipts are acked", lambda: not host.receipts)
    return fleet.get(f"renewals/{renewal_id}")


def test_one_message_down_and_none_asked(fleet, host):
    assert fleet.cert(host.cert_id)["next_key_since"] is None
    staged = host.stage_ready(host.cert_id)
    assert fleet.cert(host.cert_id)["next_key_since"] is not None
    host.said.clear()
    host.heard.clear()
    order = renew(fleet, host)
    assert [m for m in host.heard if m not in ("ack", "crl")] == ["certificate"]
    assert host.said == ["agent_ack", "receipt", "receipt"]
    assert "staged" in order["flags"] and order["attempt"] == 1
    assert key_hash(host.certificates[-1]["certificate"]) == staged != key_hash(host.certificates[0]["certificate"])
    assert host.certificates[-1]["names"] == NAMES.format(host.name) and host.certificates[-1]["staged"]
    assert fleet.cert(host.cert_id)["next_key_since"] is None, "a key serves once"
    host.heard.clear()
    assert "staged" not in renew(fleet, host)["flags"]
    assert "order" in host.heard


def test_an_offer_that_is_repeated_while_its_order_runs_is_no_second_one(fleet, host):
    """The ack of the offer was lost; the order has begun meanwhile, and the certificate for the key is under way."""
    host.stage_ready(host.cert_id)
    key, old = host.staged[host.cert_id], fleet.cert(host.cert_id)["fingerprint"]
    host.outcome = lambda *_: "silent"
    fleet.vccctl("cert", "renew", host.cert_id, "--force")
    host.wait("the certificate is there", lambda: len(host.certificates) == 2)
    assert host.acked(host.stage(host.cert_id, key))["code"] == 0, "the host keeps the key that the certificate is for"
    assert fleet.rows("SELECT spki_hash FROM stages WHERE cert_id = ?", host.cert_id) == [], "a key serves once"
    assert host.restages == []
    m = host.certificates[-1]
    host.served[m["cert_id"]] = x509.load_der_x509_certificate(m["certificate"])
    host.receipt(m, 0, m["certificate"])
    host.receipt(m, 1, m["certificate"])
    fleet.wait_done(host.cert_id, old)
    assert "order" not in host.heard


def test_a_lost_key_is_asked_for_in_the_same_order(fleet, host):
    host.stage_ready(host.cert_id)
    lost = host.staged.pop(host.cert_id)
    host.said.clear()
    host.heard.clear()
    order = renew(fleet, host)
    assert [m for m in host.heard if m not in ("ack", "crl")] == ["certificate", "order", "certificate"]
    assert order["attempt"] == 2 and order["retry_count"] == 0 and order["status"] == "completed" and "staged" not in order["flags"]
    assert key_hash(host.certificates[-1]["certificate"]) != hashlib.sha256(spki(lost)).digest()
    states = fleet.rows("SELECT state, count(*) FROM issuances WHERE owner_id = ? GROUP BY state ORDER BY state", host.cert_id)
    assert states == [("active", 1), ("renewed", 1), ("revoked", 1)], "what was made for the lost key is revoked"
    assert fleet.rows("SELECT event FROM notices WHERE object = ?", host.cert_id) == [], "nobody has to act"


def test_a_fresh_key_is_another_one(fleet, host):
    staged = host.stage_ready(host.cert_id)
    kept = host.staged[host.cert_id]
    status, e = fleet.emergency(certificate_ids=[host.cert_id], incident_type="key_compromise")
    assert status == 200 and e["successful_count"] == 1, e
    assert key_hash(host.certificates[-1]["certificate"]) != staged and "order" in host.heard
    host.wait("the host is told to make another", lambda: host.restages)
    assert host.restages[-1]["cert_id"] == host.cert_id and host.restages[-1]["wanted"]
    assert fleet.cert(host.cert_id)["next_key_since"] is None
    assert kept not in host.keys.values()


def test_a_replacement_after_a_compromise_has_a_fresh_key(fleet, host):
    staged = host.stage_ready(host.cert_id)
    old = fleet.cert(host.cert_id)["fingerprint"]
    host.heard.clear()
    order = fleet.vccctl("cert", "revoke", host.cert_id, "--reason", "keyCompromise", "--replace")
    fleet.wait_done(host.cert_id, old)
    assert "fresh_key" in fleet.get(f"renewals/{order['renewal_id']}")["flags"]
    assert key_hash(host.certificates[-1]["certificate"]) != staged and "order" in host.heard
    host.wait("the host is told to make another", lambda: host.restages)
    assert host.restages[-1]["wanted"]


def test_a_revoked_certificate_has_no_next_key(fleet, host):
    host.stage_ready(host.cert_id)
    fleet.vccctl("cert", "revoke", host.cert_id, "--reason", "keyCompromise", "--yes")
    host.wait("the host is told to keep none", lambda: host.restages)
    assert not host.restages[-1]["wanted"]
    assert fleet.rows("SELECT spki_hash FROM stages WHERE cert_id = ?", host.cert_id) == []


def test_another_emergency_uses_it(fleet, host):
    staged = host.stage_ready(host.cert_id)
    host.heard.clear()
    status, e = fleet.emergency(certificate_ids=[host.cert_id], incident_type="algorithm")
    assert status == 200 and e["successful_count"] == 1, e
    assert key_hash(host.certificates[-1]["certificate"]) == staged and "order" not in host.heard


def test_what_is_refused(fleet, host):
    other = fleet.host_of("s-other", "clara")
    fleet.wait_done("s-other-web")
    assert host.acked(host.stage("s-other-web"))["code"] < 0, "another host's certificate"
    assert host.acked(host.stage(host.cert_id, sign_with=other.host_key))["code"] == -1402, "another host's signature"
    key, mine = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    lie = request(mine).replace(spki(mine), spki(key))
    assert host.acked(host.stage(host.cert_id, csr=lie))["code"] < 0, "no proof of possession"
    used = next(iter(host.keys.values()))
    assert host.acked(host.stage(host.cert_id, used))["code"] == -3014, "the key in use is no next one"
    assert fleet.cert(host.cert_id)["next_key_since"] is None


def test_the_newest_offer_counts_and_ends_with_its_target(fleet, host):
    first, second = host.stage_ready(host.cert_id), host.stage_ready(host.cert_id)
    assert first != second
    rows = fleet.rows("SELECT spki_hash FROM stages WHERE cert_id = ?", host.cert_id)
    assert rows == [(second,)]
    host.acked(host.target(host.cert_id, "clara", "clara_service_auth", NAMES.format(host.name), retired=True, last=True))
    assert fleet.rows("SELECT spki_hash FROM stages WHERE cert_id = ?", host.cert_id) == []


def test_an_evicted_host_has_none(fleet, host):
    host.stage_ready(host.cert_id)
    fleet.vccctl("agent", "evict", host.name)
    assert fleet.rows("SELECT spki_hash FROM stages WHERE cert_id = ?", host.cert_id) == []


def test_a_host_that_is_away_finds_its_certificate(fleet, host):
    staged = host.stage_ready(host.cert_id)
    gateway = host.gateway
    gateway.down(host.session)
    old = fleet.cert(host.cert_id)["fingerprint"]
    fleet.vccctl("cert", "renew", host.cert_id, "--force")
    host.heard.clear()
    gateway.up(host)
    fleet.wait_done(host.cert_id, old)
    assert "order" not in host.heard and key_hash(host.certificates[-1]["certificate"]) == staged


def test_a_key_that_is_being_used_is_not_staged_again(fleet, host):
    """Its offer was not acknowledged in time, and comes once more after an order has taken the key."""
    host.stage_ready(host.cert_id)
    key = host.staged[host.cert_id]
    host.respond = False
    fleet.vccctl("cert", "renew", host.cert_id, "--force")
    host.wait("the certificate", lambda: host.certificates[-1]["staged"])
    number = host.stage(host.cert_id, key)
    other = host.stage(host.cert_id, ec.generate_private_key(ec.SECP256R1()))
    assert host.acked(other)["code"] == 0 and host.acked(number)["code"] == 0, "the host keeps the key that the certificate is for"
    rows = fleet.rows("SELECT spki_hash FROM stages WHERE cert_id = ?", host.cert_id)
    assert rows == [(hashlib.sha256(spki(host.staged[host.cert_id])).digest(),)]
    host.staged[host.cert_id], host.respond = key, True
    old = fleet.cert(host.cert_id)["fingerprint"]
    host.certificates.clear()
    host.gateway.down(host.session)
    host.gateway.up(host)
    fleet.wait_done(host.cert_id, old)


def test_another_key_type_restages(fleet, host):
    host.stage_ready(host.cert_id)
    try:
        fleet.edit_template("clara_service_auth", "--force", key_size=384)
        host.wait("the host is told", lambda: host.restages)
        assert host.restages[-1]["key_type"] == 1
        assert fleet.cert(host.cert_id)["next_key_since"] is None
        assert host.acked(host.stage(host.cert_id))["code"] == -3014, "the old type is refused"
        assert host.acked(host.stage(host.cert_id, ec.generate_private_key(ec.SECP384R1())))["code"] == 0
    finally:
        fleet.edit_template("clara_service_auth", "--force", key_size=256)


def test_while_no_ca_signs_an_offer_waits(fleet, host):
    """The CA was revoked and its successor is not there yet. The last one with this fleet."""
    def agree(path, **body):
        asked = fleet.admin("POST", f"/api/v1/ca/service-1/{path}", body)[1]["approval"]
        assert fleet.approver("POST", f"/api/v1/approvals/{asked['approval_id']}/approve", {"hash": asked["hash"]})[0] == 200

    def phase():
        return fleet.admin.get("ca/service-1/rollover")["phase"]
    agree("revoke", reason="keyCompromise", force=True)
    offer = host.stage(host.cert_id)
    key = host.staged[host.cert_id]
    for _ in range(5):  # by then the answer to the first would be here
        assert host.acked(host.stage("nobody-web"))["code"] < 0
    assert not [a for a in host.acks if a["id"] == offer], "neither taken nor refused: the host keeps it and offers it again"
    agree("rollover")
    wait_for("the successor is there", lambda: phase() == "trust")
    assert fleet.admin("POST", "/api/v1/ca/service-1/rollover/advance", {})[0] == 200
    assert host.acked(host.stage(host.cert_id, key))["code"] == 0


# ---- real ----

@pytest.fixture(scope="module")
def real():
    folder = new_folder("staged-real")
    inst = Installation(folder, {"agent.keeper.stage_after": "0s"})
    try:
        inst.init()
        inst.start()
        inst.real = inst.add_echo(0)
        inst.wait_served(inst.real)
        yield inst
    finally:
        inst.stop()
        shutil.rmtree(folder, ignore_errors=True)


def staged_files(host):
    return sorted(n for n in os.listdir(os.path.join(host.dir, "keeper", "keys")) if n.endswith("-0.pem"))


def ready(inst):
    host = inst.real
    wait_for("a next key is ready", lambda: inst.certificate(host.cert_id)["next_key_since"] and len(staged_files(host)) == 1)
    path = os.path.join(host.dir, "keeper", "keys", staged_files(host)[0])
    with open(path, "rb") as f:
        return path, hashlib.sha256(spki(load_pem_private_key(f.read(), None))).digest()


def served_key(inst):
    with open(os.path.join(inst.real.target_dir, "current", "cert.pem"), "rb") as f:
        return hashlib.sha256(public_spki(x509.load_pem_x509_certificate(f.read()).public_key())).digest()


def asked_for_a_key(host):
    with open(host.processes["keeper"].log) as f:
        return f.read().count("key -> csr")


def renew_real(inst):
    old = inst.certificate(inst.real.cert_id)["fingerprint"]
    renewal_id = inst.vccctl("cert", "renew", inst.real.cert_id, "--force")["renewal_id"]
    inst.wait_renewed(inst.real, old)
    return inst.renewal(renewal_id)


def test_a_real_host_stages_and_uses_it(real):
    host = real.real
    path, staged = ready(real)
    assert os.stat(path).st_mode & 0o777 == 0o600
    before, old = asked_for_a_key(host), served_key(real)
    order = renew_real(real)
    assert "staged" in order["flags"] and asked_for_a_key(host) == before
    assert served_key(real) == staged != old and not os.path.exists(path)
    assert ready(real)[1] not in (staged, old), "the next one is another"


@pytest.mark.parametrize("name", ["keeper", "agent", "controller", "gateway", "signer"])
def test_each_process_may_start_again(real, name):
    host = real.real
    _, staged = ready(real)
    process = host.processes[name] if name in host.processes else real.processes[name]
    process.kill()
    process.start()
    wait_for("all is connected again", lambda: real.ready() and real.get(f"agents/{host.name}")["connected"])
    assert "staged" in renew_real(real)["flags"] and served_key(real) == staged


def test_a_real_host_that_lost_its_key(real):
    path, staged = ready(real)
    os.unlink(path)
    order = renew_real(real)
    assert order["attempt"] == 2 and "staged" not in order["flags"] and served_key(real) != staged
    assert ready(real)[1] != staged


def test_cancelled_before_the_host_has_heard_of_it(real):
    """The certificate of a staged order is all that its host hears of it. Given up before that, as by a suspension, the order still needs the host's
    word to end."""
    host = real.real
    ready(real)
    old = real.certificate(host.cert_id)["fingerprint"]
    host.processes["agent"].stop()
    wait_for("the host is away", lambda: not real.get(f"agents/{host.name}")["connected"])
    renewal_id = real.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    wait_for("the certificate waits for its host", lambda: real.renewal(renewal_id)["phase"] == "issued")
    real.vccctl("cert", "suspend", host.cert_id)
    host.processes["agent"].start()
    wait_for("the order has ended", lambda: real.renewal(renewal_id)["status"] == "cancelled")
    real.vccctl("cert", "resume", host.cert_id)
    cert = real.certificate(host.cert_id)
    assert cert["open_order"] is None and cert["fingerprint"] == old and cert["served"]
    assert renew_real(real)["status"] == "completed"


def test_the_status_shows_it(real):
    host = real.real
    ready(real)
    done = subprocess.run([real.bin("vcc-agent"), "status", "--config", host.config, "-o", "json"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    target, = json.loads(done.stdout)["targets"]
    assert target["next_key"] == "ready" and target["next_key_since"]
