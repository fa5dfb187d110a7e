"""Certificates without an agent: is one issued for the key of a request and for nothing else of it, and does whoever opens the admin port need a second person?"""
import os
import shutil
import subprocess
import threading
import time

import pytest
from conftest import new_folder
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from installation import Installation, wait_for, write
from rights_estate import Api

NAME = "partner.external.vcc.internal"


@pytest.fixture(scope="module")
def inst():
    folder = new_folder("issue")
    i = Installation(folder)
    try:
        i.init()
        i.start()
        i.admin, i.approver = (Api(i, open(os.path.join(i.state, f"{who}.token")).read().strip()) for who in ("admin", "approver"))
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


def csr_for(key, subject="CN=whoever", *extensions):
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name.from_rfc4514_string(subject))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.PEM).decode()


def p256():
    return ec.generate_private_key(ec.SECP256R1())


def spki(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def ask(inst, csr, by=None, **fields):
    return (by or inst.admin)("POST", "/api/v1/certificates", dict(fields, csr=csr))


def problem(answer, status, code):
    assert answer[0] == status and answer[1]["code"] == code, answer
    return answer[1]


def ended(inst, answer):
    """The order, when it is over."""
    status, body = answer
    assert status == 202, answer
    return wait_for("the order ends", lambda: (lambda r: r if r["status"] in ("completed", "failed", "cancelled") else None)(inst.admin.get(f"renewals/{body['renewal_id']}")))


def fetched(inst, cert_id):
    return x509.load_pem_x509_certificate(inst.admin.get(f"certificates/{cert_id}/pem")["certificate"].encode())


def decide(inst, answer, verb="approve", by=None):
    request = inst.approver.get(f"approvals/{answer[1]['approval_id']}")
    return (by or inst.approver)("POST", f"/api/v1/approvals/{request['approval_id']}/{verb}", {"hash": request["hash"]})


def vccctl(inst, *words):
    done = subprocess.run([*inst.vccctl_argv, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def events(inst, cert_id):
    return [e["event"] for e in reversed(inst.admin.get(f"audit?object={cert_id}")["items"])]


def test_only_the_key_is_taken(inst):
    key = p256()
    csr = csr_for(key, "CN=evil.example,O=Evil,OU=Evil", x509.BasicConstraints(True, None),
                  x509.SubjectAlternativeName([x509.DNSName("evil.example"), x509.RFC822Name("root@evil.example")]))
    order = ended(inst, ask(inst, csr, template_id="external_service", names=[NAME]))
    assert order["status"] == "completed" and order["renewal_trigger"] == "manual" and order["agent"] in ("", None) and {s["step"] for s in order["steps"]} <= {"issue", "notify", "pre_validation"}
    cert_id = NAME.replace(".", "-")
    cert = fetched(inst, cert_id)
    assert spki(cert.public_key()) == spki(key.public_key())
    assert {(a.oid, a.value) for a in cert.subject} == {(NameOID.COMMON_NAME, NAME), (NameOID.ORGANIZATION_NAME, "VCC Sandbox")}
    assert cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName) == [NAME]
    assert not cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert b"evil" not in cert.public_bytes(serialization.Encoding.DER)
    shown = inst.certificate(cert_id)
    assert shown["status"] == "issued" and shown["renew_at"] is None and shown["open_order"] is None and shown["service"] == "external"
    assert events(inst, cert_id) == ["certificate_requested", "certificate_renewal_scheduled", "certificate_intent", "certificate_issued", "certificate_renewal_completed"]
    # the chain leads to the root
    pem = inst.admin.get(f"certificates/{cert_id}/pem")
    for name, text in (("leaf", pem["certificate"]), ("chain", pem["chain"])):
        write(os.path.join(inst.dir, f"{name}.pem"), text)
    subprocess.run(["openssl", "verify", "-CAfile", os.path.join(inst.state, "ca.pem"), "-untrusted", os.path.join(inst.dir, "chain.pem"),
                    os.path.join(inst.dir, "leaf.pem")], check=True, capture_output=True)


def test_the_next_one_leaves_the_old_one_good(inst):
    first, second = p256(), p256()
    assert ended(inst, ask(inst, csr_for(first), template_id="external_service", names=["renewed.external.vcc.internal"], cert_id="renewed"))["status"] == "completed"
    old = fetched(inst, "renewed")
    problem(ask(inst, csr_for(second), template_id="external_service", names=["renewed.external.vcc.internal"], cert_id="renewed"), 409, "VCC-1007")
    problem(ask(inst, csr_for(second), renew="renewed", names=["other.external.vcc.internal"]), 422, "VCC-3104")
    problem(ask(inst, csr_for(second), renew="nobody"), 404, "VCC-1006")
    order = ended(inst, ask(inst, csr_for(second), renew="renewed"))
    assert order["status"] == "completed" and order["original_certificate"]["serial"] == f"{old.serial_number:032X}"
    new = fetched(inst, "renewed")
    assert spki(new.public_key()) == spki(second.public_key()) and new.subject == old.subject
    issuances = inst.admin.get("certificates/renewed/issuances")["items"]
    assert len(issuances) == 2 and {i["revoked_at"] for i in issuances} == {None} and {i["supersede_at"] for i in issuances} == {None}
    # no host: what needs one says so
    assert "--renew" in problem(inst.admin("POST", "/api/v1/certificates/lifecycle/renew/renewed", {"force": True}), 409, "VCC-3006")["next"]
    # revoked is the end, also of what is still good
    assert inst.admin("POST", "/api/v1/certificates/renewed/revoke", {"reason": "keyCompromise"})[0] == 200
    assert all(i["revoked_at"] for i in inst.admin.get("certificates/renewed/issuances")["items"])
    problem(ask(inst, csr_for(p256()), renew="renewed"), 409, "VCC-3003")


def test_a_key_is_never_shared(inst):
    """Neither with another certificate, whatever became of it, nor with a host or an authority."""
    first, own = p256(), p256()
    assert ended(inst, ask(inst, csr_for(first), template_id="external_service", names=["one.external.vcc.internal"], cert_id="share-1"))["status"] == "completed"
    problem(ask(inst, csr_for(first), template_id="external_service", names=["two.external.vcc.internal"], cert_id="share-2"), 422, "VCC-3021")
    assert ended(inst, ask(inst, csr_for(own), template_id="external_service", names=["two.external.vcc.internal"], cert_id="share-2"))["status"] == "completed"
    problem(ask(inst, csr_for(first), renew="share-2"), 422, "VCC-3021")
    assert ended(inst, ask(inst, csr_for(own), renew="share-2"))["status"] == "completed", "its own it may keep"
    assert inst.admin("POST", "/api/v1/certificates/share-1/revoke", {"reason": "cessationOfOperation"})[0] == 200
    problem(ask(inst, csr_for(first), renew="share-2"), 422, "VCC-3021")
    # asked at the same time, one is first
    both, answers, token = p256(), [], open(os.path.join(inst.state, "admin.token")).read().strip()
    threads = [threading.Thread(target=lambda n=n: answers.append(ask(inst, csr_for(both), Api(inst, token), template_id="external_service",
                                                                      names=[f"at-once-{n}.external.vcc.internal"], cert_id=f"at-once-{n}"))) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(a[0] for a in answers) == [202, 422, 422, 422] and {a[1]["code"] for a in answers if a[0] == 422} == {"VCC-3021"}, answers


def test_a_key_that_got_out_is_never_certified_again(inst):
    key, other = p256(), p256()
    assert ended(inst, ask(inst, csr_for(key), template_id="external_service", names=["out.external.vcc.internal"], cert_id="out-1"))["status"] == "completed"
    assert ended(inst, ask(inst, csr_for(other), renew="out-1"))["status"] == "completed"
    assert ended(inst, ask(inst, csr_for(key), renew="out-1"))["status"] == "completed", "as long as nothing is known against it"
    assert inst.admin("POST", "/api/v1/certificates/out-1/revoke", {"reason": "keyCompromise"})[0] == 200
    for k in (key, other):
        problem(ask(inst, csr_for(k), template_id="external_service", names=["out.external.vcc.internal"], cert_id="out-2"), 422, "VCC-3020")
    inst.processes["controller"].kill()
    inst.processes["controller"].start()
    wait_for("the controller answers", lambda: vccctl(inst, "status")[0] == 0)
    write(os.path.join(inst.dir, "out.csr"), csr_for(key))
    status, out, err = vccctl(inst, "cert", "issue", "--csr", os.path.join(inst.dir, "out.csr"), "--template", "external_service", "--names", "out.external.vcc.internal", "--cert-id", "out-2")
    assert status == 1 and "VCC-3020" in err and "Make a new key" in err and out == "", (status, out, err)
    assert ended(inst, ask(inst, csr_for(p256()), template_id="external_service", names=["out.external.vcc.internal"], cert_id="out-2"))["status"] == "completed"


def test_a_suspended_one_waits(inst):
    assert ended(inst, ask(inst, csr_for(p256()), template_id="external_service", names=["held.external.vcc.internal"], cert_id="held"))["status"] == "completed"
    assert inst.admin("POST", "/api/v1/certificates/held/suspend", None)[0] == 200
    problem(ask(inst, csr_for(p256()), renew="held"), 409, "VCC-3004")
    assert inst.admin("POST", "/api/v1/certificates/held/resume", None)[0] == 200
    assert inst.certificate("held")["renew_at"] is None and inst.certificate("held")["open_order"] is None
    assert ended(inst, ask(inst, csr_for(p256()), renew="held"))["status"] == "completed"


@pytest.mark.parametrize("fields, code", [
    ({"names": ["web.clara.vcc.internal"]}, "VCC-3011"), ({"names": ["external.vcc.internal.evil.example"]}, "VCC-3011"), ({"names": []}, "VCC-1004"),
    ({"names": ["IP:127.0.0.1"]}, "VCC-3011"), ({"names": [f"{NAME},evil.example"]}, "VCC-3104"), ({"names": [f"{NAME}\0.evil.example"]}, "VCC-3104"),
    ({"names": ["a..external.vcc.internal"]}, "VCC-3104"), ({"names": ["URI:https://external.vcc.internal"]}, "VCC-3104"),
    ({"names": ["ü.external.vcc.internal"]}, "VCC-3104"), ({"names": ["*.*.vcc.internal"]}, "VCC-3104"), ({"names": NAME}, "VCC-3104"),
    ({"names": [NAME], "service": "clara"}, "VCC-3012"), ({"names": [NAME], "template_id": "nothing"}, "VCC-3010"),
    ({"names": [NAME], "cert_id": "../etc"}, "VCC-1004"), ({"names": [NAME], "ca": True}, "VCC-3104"), ({"names": [NAME] * 40}, "VCC-3104")])
def test_names_come_from_the_request_and_the_template(inst, fields, code):
    before = len(inst.admin.get("certificates")["items"])
    problem(ask(inst, csr_for(p256()), **{"template_id": "external_service", "cert_id": "refused" if fields.get("names") else "", **fields}), 422, code)
    assert len(inst.admin.get("certificates")["items"]) == before


def test_names_are_compared_as_dns_does(inst):
    order = ended(inst, ask(inst, csr_for(p256()), template_id="external_service", names=["DNS:UPPER.External.VCC.internal.", "upper.external.vcc.internal"]))
    assert order["cert_id"] == "upper-external-vcc-internal" and inst.certificate(order["cert_id"])["names"] == ["DNS:upper.external.vcc.internal"]
    wildcard = ended(inst, ask(inst, csr_for(p256()), template_id="external_service", names=["*.external.vcc.internal"]))  # as the template spells it
    assert wildcard["cert_id"] == "external-vcc-internal" and inst.certificate(wildcard["cert_id"])["names"] == ["DNS:*.external.vcc.internal"]


def test_the_key_is_the_templates(inst):
    for key in (ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()):
        problem(ask(inst, csr_for(key), template_id="external_service", names=[NAME], cert_id="other-key"), 422, "VCC-3014")


def test_who_may_ask(inst):
    for role in ("viewer", "operator", "auditor"):
        assert inst.admin("POST", "/api/v1/principals", {"name": f"just-{role}", "roles": [role]})[0] == 201
        token = inst.admin("POST", "/api/v1/tokens", {"principal": f"just-{role}"})[1]["token"]
        problem(ask(inst, csr_for(p256()), Api(inst, token), template_id="external_service", names=[NAME]), 403, "VCC-3101")
    assert inst.admin("POST", "/api/v1/principals", {"name": "narrow", "roles": ["admin"], "services": ["clara"]})[0] == 201
    narrow = Api(inst, inst.admin("POST", "/api/v1/tokens", {"principal": "narrow"})[1]["token"])
    problem(ask(inst, csr_for(p256()), narrow, template_id="external_service", names=[NAME]), 403, "VCC-3101")
    problem(ask(inst, csr_for(p256()), narrow, template_id="operator_admin", cert_id="narrow"), 403, "VCC-3700")
    problem(ask(inst, csr_for(p256()), narrow, renew="renewed"), 404, "VCC-1006")


# ---- persons ----

def test_a_persons_certificate_needs_a_second_person(inst):
    key = p256()
    problem(ask(inst, csr_for(key), template_id="operator_admin", cert_id="nobody-known"), 422, "VCC-3652")
    problem(ask(inst, csr_for(key), template_id="operator_admin", cert_id="olga", names=["olga.vcc.internal"]), 422, "VCC-3011")
    assert inst.admin("POST", "/api/v1/principals", {"name": "olga", "roles": ["operator"]})[0] == 201
    answer = ask(inst, csr_for(key), template_id="operator_admin", cert_id="olga")
    assert answer[0] == 202 and answer[1]["status"] == "awaiting_approval"
    problem(inst.admin("GET", "/api/v1/certificates/olga/pem"), 404, "VCC-3651")
    what = inst.approver.get(f"approvals/{answer[1]['approval_id']}")["what"]
    digest = hashes.Hash(hashes.SHA256())
    digest.update(spki(key.public_key()))
    assert what["purpose"] == "admin" and what["key_sha256"] == digest.finalize().hex()
    problem(ask(inst, csr_for(p256()), template_id="operator_admin", cert_id="olga"), 409, "VCC-3001")
    problem(decide(inst, answer, by=inst.admin), 403, "VCC-3101")
    inst.processes["controller"].stop()  # the key waits with the request
    inst.processes["controller"].start()
    wait_for("the controller is ready", inst.ready)
    assert decide(inst, answer)[0] == 200
    order = ended(inst, answer)
    assert order["status"] == "completed"
    folder = os.path.join(inst.dir, "olga")
    write(os.path.join(folder, "key.pem"), key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode())
    pem = inst.admin.get("certificates/olga/pem")
    write(os.path.join(folder, "cert.pem"), pem["certificate"] + pem["chain"])
    olga = Api(inst, certificate=(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")))
    assert olga.get("whoami")["principal"] == "olga"
    assert fetched(inst, "olga").extensions.get_extension_for_class(x509.ExtendedKeyUsage).value == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    # each key is agreed to anew
    assert ask(inst, csr_for(p256()), renew="olga")[1]["status"] == "awaiting_approval"
    # and what ends it ends at once
    assert inst.admin("POST", "/api/v1/certificates/olga/revoke", {"reason": "keyCompromise"})[0] == 200
    problem(olga("GET", "/api/v1/whoami"), 401, "VCC-3100")


def test_a_no_ends_it_and_may_be_asked_again(inst):
    assert inst.admin("POST", "/api/v1/principals", {"name": "otto", "roles": ["viewer"]})[0] == 201
    answer = ask(inst, csr_for(p256()), template_id="operator_admin", cert_id="otto")
    assert decide(inst, answer, "reject")[0] == 200
    assert ended(inst, answer)["status"] == "cancelled" and inst.certificate("otto")["status"] == "requested"
    again = ask(inst, csr_for(p256()), template_id="operator_admin", cert_id="otto")
    assert again[1]["status"] == "awaiting_approval" and decide(inst, again)[0] == 200 and ended(inst, again)["status"] == "completed"


# ---- the command line, the signer ----

def test_the_command_line(inst):
    folder = os.path.join(inst.dir, "line")
    os.makedirs(folder)
    key, csr = os.path.join(folder, "key.pem"), os.path.join(folder, "csr.pem")
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj", "/CN=x", "-text", "-out", csr],
                   check=True, capture_output=True)
    text = open(csr).read()
    write(csr, "Bag Attributes\n" + text.replace("BEGIN CERT", "BEGIN NEW CERT").replace("END CERT", "END NEW CERT").replace("\n", "\r\n"))
    status, out, err = vccctl(inst, "cert", "issue", "--csr", csr, "--template", "external_service", "--names", "line.external.vcc.internal", "--cert-id", "line")
    assert status == 0 and "vccctl cert show line --pem" in out, (out, err)
    status, out, _ = vccctl(inst, "cert", "show", "line", "--pem")
    assert status == 0 and out.count("BEGIN CERTIFICATE") == 2
    write(os.path.join(folder, "cert.pem"), out)
    pair = [subprocess.run(["openssl", *words], check=True, capture_output=True, text=True).stdout for words in
            (["x509", "-in", os.path.join(folder, "cert.pem"), "-noout", "-pubkey"], ["pkey", "-in", key, "-pubout"])]
    assert pair[0] == pair[1]
    assert vccctl(inst, "cert", "issue", "--csr", csr, "--renew", "line")[0] == 0
    assert vccctl(inst, "cert", "issue", "--csr", csr)[0] == 2
    status, _, err = vccctl(inst, "cert", "issue", "--csr", key, "--renew", "line")
    assert status == 2 and "VCC-1401" in err, err
    der = os.path.join(folder, "line.der")
    subprocess.run(["openssl", "req", "-in", csr, "-outform", "DER", "-out", der], check=True, capture_output=True)
    with open(csr, "rb") as f:
        good = f.read()
    spoilt = os.path.join(folder, "spoilt.csr")
    for bytes_, word in ((b"\xff\xfe\xfa" * 9, "holds no"), (good.replace(b"REQUEST-----", b"REQUEST-----\xe4", 1), "byte 0xe4"), (good.decode().encode("utf-16"), "not PEM"), (b"", "holds no")):
        with open(spoilt, "wb") as f:
            f.write(bytes_)
        status, out, err = vccctl(inst, "cert", "issue", "--csr", spoilt, "--renew", "line")
        assert status == 2 and "VCC-1401" in err and word in " ".join(err.split()) and "spoilt.csr" in err and out == "", (bytes_, status, out, err)
    status, _, err = vccctl(inst, "cert", "issue", "--csr", der, "--renew", "line")
    assert status == 2 and "VCC-1401" in err and "line.der" in err, err
    with open(spoilt, "wb") as f:  # words of another character set before the block harm nothing
        f.write(b"Antrag f\xfcr die Leitstelle\n" + good)
    assert vccctl(inst, "cert", "issue", "--csr", spoilt, "--renew", "line")[0] == 0
    assert inst.admin("POST", "/api/v1/principals", {"name": "lena", "roles": ["viewer"]})[0] == 201
    write(csr, csr_for(p256()))  # a key of hers alone
    status, out, _ = vccctl(inst, "cert", "issue", "--csr", csr, "--template", "operator_admin", "--cert-id", "lena")
    assert status == 4 and "vccctl approval show" in out


def test_the_signer_is_away_for_a_while(inst):
    inst.processes["signer"].stop()
    answer = ask(inst, csr_for(p256()), template_id="external_service", names=["away.external.vcc.internal"], cert_id="away")
    assert answer[0] == 202
    time.sleep(1)
    assert inst.admin.get(f"renewals/{answer[1]['renewal_id']}")["phase"] == "signing"
    inst.processes["signer"].start()
    assert ended(inst, answer)["status"] == "completed"
