"""The OCSP responder: do OpenSSL, GnuTLS and Python cryptography take its answers, is each status the stored one at once, and what does somebody get
who asks for nonsense, for what was never issued, or for more than can be signed?"""
import base64
import datetime
import os
import shutil
import subprocess
import threading
import time
import urllib.parse

import checks
import pytest
from conftest import new_folder
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from installation import ROOT, wait_for
from played_fleet import PlayedFleet
from revocation import chain_files, get, listed, ocsp_ask, ocsp_check, ocsp_post, ocsp_request

NAMES = "DNS:{0}.clara.vcc.internal"
FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
RATE = 40
GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
Status = ocsp.OCSPResponseStatus


class World:
    def __init__(self, inst):
        self.inst, self.gw = inst, inst.gateways[0]
        self.files = chain_files(inst, os.path.join(inst.dir, "cas"))
        self.cas = {name: load(path) for name, path in self.files.items()}
        self.issuer = self.cas["service-1"]

    def issued(self, name):
        """(host, certificate in force)"""
        host = self.inst.host(self.gw, name)
        host.target(f"{name}-web", "clara", "clara_service_auth", NAMES.format(name))
        self.inst.wait_done(f"{name}-web")
        return host, host.served[f"{name}-web"]

    def ask(self, cert, **more):
        return ocsp_ask(self.inst, cert, self.issuer, **more)

    def save(self, cert):
        path = os.path.join(self.inst.dir, f"{cert.serial_number:x}.pem")
        with open(path, "wb") as f:
            f.write(cert.public_bytes(serialization.Encoding.PEM))
        return path


def load(path):
    with open(path, "rb") as f:
        return x509.load_pem_x509_certificate(f.read())


@pytest.fixture(scope="module")
def world():
    path = new_folder("ocsp")
    inst = PlayedFleet(path, settings={"controller.supersede.grace": "1h", "controller.ocsp.signatures": str(RATE)})
    try:
        inst.init()
        inst.start_both()
        inst.gateway()
        yield World(inst)
    finally:
        for g in inst.gateways:
            g.close()
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def certs(world):
    """Of each status one: (good, revoked, held)."""
    good, revoked, held = (world.issued(f"ocsp{i:02d}")[1] for i in range(3))
    begun = time.monotonic()
    world.inst.vccctl("cert", "revoke", "ocsp01-web", "--reason", "keyCompromise")
    world.inst.vccctl("cert", "suspend", "ocsp02-web")
    assert wait_for("the revocation shows", lambda: world.ask(revoked).certificate_status == REVOKED, 50)
    print(f"revoked for OCSP after {time.monotonic() - begun:.1f} s, two commands included (goal 5 s)")
    return good, revoked, held


def openssl_says(world, cert, *more):
    argv = ["openssl", "ocsp", "-issuer", world.files["service-1"], "-cert", world.save(cert), "-url", f"{world.inst.public_url}/ocsp",
            "-CAfile", world.files["root"], "-verify_other", world.files["service-1"], *more]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Response verify OK" in done.stderr, done.stdout + done.stderr
    return done


# ---- who takes them ----

def test_openssl_takes_the_answers(world, certs):
    for cert, word in zip(certs, ("good", "revoked", "revoked")):
        done = openssl_says(world, cert)
        assert f".pem: {word}" in done.stdout and "WARNING" not in done.stderr, done.stdout + done.stderr  # no "no nonce in response"
    assert "Reason: keyCompromise" in openssl_says(world, certs[1]).stdout
    assert "Reason: certificateHold" in openssl_says(world, certs[2]).stdout
    assert ".pem: good" in openssl_says(world, certs[0], "-no_nonce").stdout


def test_gnutls_takes_the_answers(world, certs):
    for cert, word in zip(certs, ("good", "revoked", "revoked")):
        done = subprocess.run(["ocsptool", f"--ask={world.inst.public_url}/ocsp", "--load-cert", world.save(cert), "--load-issuer", world.files["service-1"],
                               "--load-trust", world.files["service-1"]], capture_output=True, text=True, timeout=60)
        out = done.stdout + done.stderr
        assert f"Certificate Status: {word}" in out and "Signature status: Success" in out or "Verifying OCSP Response: Success" in out, out


def test_cryptography_takes_the_answers(world, certs):
    good, revoked, held = certs
    answer = world.ask(good)
    assert answer.certificate_status == GOOD and answer.serial_number == good.serial_number
    life = answer.next_update - answer.this_update
    assert datetime.timedelta(minutes=59) <= life <= datetime.timedelta(minutes=62)
    assert answer.this_update <= datetime.datetime.utcnow() <= answer.next_update
    answer = world.ask(revoked)
    assert answer.certificate_status == REVOKED and answer.revocation_reason == x509.ReasonFlags.key_compromise
    assert answer.revocation_time <= answer.this_update
    answer = world.ask(held, algorithm="sha256")
    assert answer.certificate_status == REVOKED and answer.revocation_reason == x509.ReasonFlags.certificate_hold


def test_lists_say_the_same_to_each_verifier(world, certs):
    """What OCSP says the lists say, to `openssl verify`, `certtool` and cryptography."""
    good, revoked, held = certs
    wait_for("the list is published", lambda: listed(world.inst, f"{held.serial_number:032X}") == "certificateHold", 50)
    assert listed(world.inst, f"{revoked.serial_number:032X}") == "keyCompromise" and listed(world.inst, f"{good.serial_number:032X}") is None
    _, lists, _ = get(f"{world.inst.public_url}/crl/all.pem")
    path = os.path.join(world.inst.dir, "all.pem")
    with open(path, "wb") as f:
        f.write(open(world.files["root"], "rb").read() + lists)
    for cert, error in ((good, None), (revoked, "certificate revoked"), (held, "certificate revoked")):
        done = subprocess.run(["openssl", "verify", "-crl_check_all", "-CAfile", path, "-untrusted", world.files["service-1"], world.save(cert)],
                              capture_output=True, text=True)
        assert (done.returncode == 0) if error is None else (error in done.stdout + done.stderr), done.stdout + done.stderr
    shard = os.path.join(world.inst.dir, "shard.pem")
    with open(shard, "wb") as f:
        f.write(x509.load_der_x509_crl(get(f"{world.inst.public_url}/crl/service-1/0.crl")[1]).public_bytes(serialization.Encoding.PEM))
    done = subprocess.run(["certtool", "--verify-crl", "--load-ca-certificate", world.files["service-1"], "--infile", shard], capture_output=True, text=True)
    assert done.returncode == 0 and "Verified" in done.stdout, done.stdout + done.stderr


def test_certificates_name_the_responder(world, certs):
    for cert in (certs[0], *ocsp_ask(world.inst, certs[0], world.issuer).certificates):
        places = cert.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        found = {p.access_method: p.access_location.value for p in places}
        assert found[x509.AuthorityInformationAccessOID.OCSP] == f"{world.inst.public_url}/ocsp"
        assert found[x509.AuthorityInformationAccessOID.CA_ISSUERS] == f"{world.inst.public_url}/ca/service-1.cer"


def test_every_issuing_ca_has_its_responder(world, certs):
    host, _ = world.issued("ocsp10")
    answer = ocsp_ask(world.inst, host.identity, world.cas["agent-1"])
    assert answer.certificate_status == GOOD
    for issuer in ("agent-1", "code-signing-1"):
        answer = ocsp_ask(world.inst, 0x1234, world.cas[issuer])
        assert answer.certificate_status == UNKNOWN and answer.certificates[0].issuer == world.cas[issuer].subject


# ---- status ----

def test_hold_and_back(world):
    _, cert = world.issued("ocsp20")
    assert world.ask(cert).certificate_status == GOOD
    world.inst.vccctl("cert", "suspend", "ocsp20-web")
    assert world.ask(cert).certificate_status == REVOKED, "what was signed before is not given out any more"
    world.inst.vccctl("cert", "resume", "ocsp20-web")
    assert world.ask(cert).certificate_status == GOOD


def test_never_issued_is_unknown(world, certs):
    for serial in (1, 2**126 + 12345, 2**158 + 1):  # the last one is longer than ours are
        answer = world.ask(serial)
        assert answer.certificate_status == UNKNOWN and answer.serial_number == serial
    # issued, but by another CA
    assert world.ask(world.gw.sessions[world.issued("ocsp21")[0].session].identity.serial_number).certificate_status == UNKNOWN


def test_others_are_not_answered_for(world, certs):
    stranger = world.cas["root"]
    assert ocsp_ask(world.inst, 77, stranger).response_status == Status.UNAUTHORIZED
    mixed = ocsp_request(certs[0], world.issuer)
    broken = bytearray(mixed)
    at = mixed.index(world_name_hash(world))
    broken[at] ^= 1
    status, der = ocsp_post(world.inst, bytes(broken))
    assert status == 200 and ocsp.load_der_ocsp_response(der).response_status == Status.UNAUTHORIZED


def world_name_hash(world):
    h = hashes.Hash(hashes.SHA1())
    h.update(world.issuer.subject.public_bytes())
    return h.finalize()


# ---- nonces ----

def test_nonces_come_back(world, certs):
    for n in (1, 16, 32, 128):
        nonce = os.urandom(n)
        answer = world.ask(certs[0], nonce=nonce)
        assert answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
    status, der = ocsp_post(world.inst, ocsp_request(certs[0], world.issuer, nonce=os.urandom(129)))
    assert status == 200 and ocsp.load_der_ocsp_response(der).response_status == Status.MALFORMED_REQUEST
    assert world.ask(certs[0]).extensions is not None and not list(world.ask(certs[0]).extensions), "no nonce where none was sent"


def figures(world):
    return world.inst.get("crls")["ocsp"]


def test_a_known_answer_is_not_signed_again(world, certs):
    world.ask(certs[0])
    before = figures(world)
    answers = {ocsp_post(world.inst, ocsp_request(certs[0], world.issuer))[1] for _ in range(20)}
    after = figures(world)
    assert len(answers) == 1 and after["from_cache"] == before["from_cache"] + 20 and after["signed"] == before["signed"]


def test_more_nonces_than_can_be_signed(world, certs):
    """The known answer without its nonce, not an error; and who asks without one is served all the time."""
    world.ask(certs[0])
    results, others = [], []

    def flood():
        for _ in range(40):
            results.append(ocsp_post(world.inst, ocsp_request(certs[0], world.issuer, nonce=os.urandom(16)))[1])
    threads = [threading.Thread(target=flood) for _ in range(4)]
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        others.append(ocsp_post(world.inst, ocsp_request(certs[0], world.issuer))[1])
    for t in threads:
        t.join()
    read = [ocsp.load_der_ocsp_response(r) for r in results]
    kinds = [r.response_status == Status.SUCCESSFUL and len(list(r.extensions)) for r in read]
    assert all(r.response_status == Status.SUCCESSFUL for r in read) and 0 in kinds and 1 in kinds
    assert all(ocsp.load_der_ocsp_response(r).certificate_status == GOOD for r in others)


def test_more_unknown_numbers_than_can_be_signed(world, certs):
    world.ask(certs[0])
    bad = [ocsp_request(1000 + i, world.issuer) for i in range(4 * RATE)]
    read = [ocsp.load_der_ocsp_response(ocsp_post(world.inst, r)[1]) for r in bad]
    assert {r.response_status for r in read} <= {Status.SUCCESSFUL, Status.TRY_LATER}
    assert figures(world)["cached"] < 100, "they take no room"
    assert world.ask(certs[0]).certificate_status == GOOD
    wait_for("it answers again", lambda: world.ask(999999).response_status == Status.SUCCESSFUL, 20)


# ---- HTTP ----

def test_get_is_for_caches(world, certs):
    der = ocsp_request(certs[0], world.issuer)
    url = f"{world.inst.public_url}/ocsp/" + urllib.parse.quote(base64.b64encode(der).decode(), safe="")
    status, body, headers = get(url)
    assert status == 200 and headers["Content-Type"] == "application/ocsp-response"
    answer = ocsp.load_der_ocsp_response(body)
    ocsp_check(answer, world.issuer)
    assert answer.certificate_status == GOOD
    assert "max-age=60" in headers["Cache-Control"] and headers["ETag"] and headers["Last-Modified"] and headers["Expires"]
    assert datetime.datetime.strptime(headers["Expires"], "%a, %d %b %Y %H:%M:%S GMT") == answer.next_update
    again = get(url, If_None_Match=headers["ETag"])
    assert again[0] == 304 and again[1] == b"" and again[2]["ETag"] == headers["ETag"]
    assert ocsp_post(world.inst, der)[1] == body, "POST and GET have the same signed answer"
    for wrong in ("x", "%00", "====", "a" * 400, base64.b64encode(der[:-1]).decode().replace("/", "%2F")):
        status, body, headers = get(f"{world.inst.public_url}/ocsp/{wrong}")
        assert status in (200, 400, 404) and (status != 200 or ocsp.load_der_ocsp_response(body).response_status == Status.MALFORMED_REQUEST)
        assert status != 200 or headers["Cache-Control"] == "no-store"


def test_slashes_in_get(world):
    """Base64 may hold a slash after a slash, which the HTTP parser takes for one: the right answer, or none; never that of another number."""
    right = 0
    for i in range(40):
        serial = int.from_bytes(b"\x3f" + os.urandom(6) + (b"\xff" * 9 if i % 2 else os.urandom(8) + b"\xff"), "big")
        text = base64.b64encode(ocsp_request(serial, world.issuer)).decode()
        status, body, _ = get(f"{world.inst.public_url}/ocsp/" + urllib.parse.quote(text, safe=""))
        answer = ocsp.load_der_ocsp_response(body)
        assert status == 200 and answer.response_status in (Status.SUCCESSFUL, Status.TRY_LATER, Status.MALFORMED_REQUEST)
        assert answer.response_status != Status.MALFORMED_REQUEST or "//" in text, text
        if answer.response_status == Status.SUCCESSFUL:
            assert answer.serial_number == serial
            right += 1
        time.sleep(1.5 / RATE)
    assert right >= 20


def test_methods_and_types(world, certs):
    der = ocsp_request(certs[0], world.issuer)
    assert ocsp_post(world.inst, der, content_type="text/plain")[0] == 415
    assert ocsp_post(world.inst, b"x" * 5000)[0] == 413
    assert get(f"{world.inst.public_url}/ocsp")[0] == 405
    assert world.ask(certs[0]).certificate_status == GOOD


# ---- the responder itself ----

def test_it_outlives_a_restart_without_the_signer(world, certs):
    responder, = world.ask(certs[0]).certificates
    world.inst.processes["signer"].stop()
    world.inst.processes["controller"].stop()
    world.inst.processes["controller"].start()
    try:
        def again():
            try:
                return world.ask(certs[0]).certificates
            except OSError:
                return None
        assert wait_for("it answers", again, 60) == [responder], "its key and certificate are kept"
    finally:
        world.inst.processes["signer"].start()
        world.inst.wait_up()
        world.gw.connect()


def test_a_responder_lives_for_days_and_is_no_other(world, certs):
    one, = world.ask(certs[0]).certificates
    other, = ocsp_ask(world.inst, 77, world.cas["agent-1"]).certificates
    assert one.not_valid_after - one.not_valid_before <= datetime.timedelta(days=8)
    assert one.public_key().public_numbers() != other.public_key().public_numbers()
    for issuer in ("service-1", "agent-1", "code-signing-1"):
        path = os.path.join(world.inst.state, "controller", f"ocsp-{issuer}.key")
        assert os.stat(path).st_mode & 0o777 == 0o600
    assert ("ocsp-service-1",) in checks.rows(world.inst.facts_db(), "SELECT owner_id FROM issuances WHERE owner = 'controller'")


@pytest.mark.skipif(not os.path.exists(os.path.join(FAULTS, "vcc-controller")), reason="make faults has not been run")
def test_responders_are_renewed_with_new_keys(folder):
    inst = PlayedFleet(folder, binaries=FAULTS)
    try:
        inst.init()
        inst.start_both()
        issuer = load(chain_files(inst, os.path.join(inst.dir, "cas"))["service-1"])

        def responder():
            try:
                answer = ocsp_ask(inst, 4711, issuer)
            except OSError:
                return None
            return answer.certificates[0] if answer.response_status == Status.SUCCESSFUL else None
        first = wait_for("the first", responder, 30)
        for name in ("controller", "signer"):
            inst.processes[name].stop()
        for name in ("signer", "controller"):
            inst.processes[name].env = {"VCC_CLOCK_OFFSET_MS": str(4 * 86400 * 1000)}  # past half of its life
            inst.processes[name].start()
        later = wait_for("the next", lambda: (r := responder()) and r != first and r, 60)
        assert later.public_key().public_numbers() != first.public_key().public_numbers()
        assert later.not_valid_after > first.not_valid_after
    finally:
        inst.stop()
