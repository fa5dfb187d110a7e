"""What is told of CAs, and is one revoked only by force and two persons, with everything that follows (F71)?"""
import os
import shutil
import subprocess
import urllib.request

import pytest
from conftest import new_folder
from cryptography import x509
from installation import Installation, wait_for
from rights_estate import Api


@pytest.fixture(scope="module")
def inst():
    folder = new_folder("ca")
    i = Installation(folder)
    try:
        i.init()
        i.start()
        i.host = i.add_echo(0)
        i.wait_served(i.host)
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


def api(inst, who):
    with open(os.path.join(inst.state, f"{who}.token")) as f:
        return Api(inst, f.read().strip())


def problem(answer, status, code):
    assert answer[0] == status and answer[1]["code"] == code, answer
    return answer[1]


def root_list(inst):
    with urllib.request.urlopen(f"{inst.public_url}/crl/root-1/0.crl", timeout=10) as answer:
        return x509.load_der_x509_crl(answer.read())


def vccctl(inst, *words):
    done = subprocess.run([*inst.vccctl_argv, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def test_what_a_ca_may_issue_is_shown(inst):
    by_id = {ca["issuer_id"]: ca for ca in api(inst, "admin").get("ca")["items"]}
    assert {ca["role"] for ca in by_id.values()} == {"root", "agent", "service", "code-signing"}
    assert by_id["service-1"]["permitted"] == ["DNS:vcc.internal", "IP:127.0.0.0/8"] and by_id["service-1"]["parent_id"] == "root-1"
    assert by_id["agent-1"]["permitted"] == ["URI:vcc.internal"] and by_id["root-1"]["permitted"] is None
    for ca in by_id.values():
        pem = x509.load_pem_x509_certificate(ca["pem"].encode())
        assert ca["state"] == "active" and int(ca["serial"], 16) == pem.serial_number
    live = api(inst, "admin").get("ca/service-1")["live"]
    assert live["complete"] and {"service": inst.host.service, "certificates": 1} in live["services"]
    status, out, _ = vccctl(inst, "ca", "list")
    assert status == 0 and "service-1" in out and "DNS:vcc.internal" in out and max(map(len, out.splitlines())) <= 120
    assert vccctl(inst, "ca", "show", "agent-1")[0] == 0 and vccctl(inst, "ca", "show", "nobody")[0] == 3


def test_one_person_cannot_revoke_a_ca_and_force_is_asked_for(inst):
    admin = api(inst, "admin")
    problem(admin("POST", "/api/v1/ca/root-1/revoke", {"reason": "keyCompromise", "force": True}), 409, "VCC-3806")
    problem(admin("POST", "/api/v1/ca/nobody/revoke", {"reason": "keyCompromise"}), 404, "VCC-1006")
    problem(admin("POST", "/api/v1/ca/service-1/revoke", {"reason": "certificateHold"}), 422, "VCC-3104")
    refused = problem(admin("POST", "/api/v1/ca/service-1/revoke", {"reason": "keyCompromise"}), 409, "VCC-3808")
    assert "certificates" in refused["detail"] and "--force" in refused["next"]
    status, out, err = vccctl(inst, "ca", "revoke", "service-1", "--reason", "keyCompromise")
    assert status == 4 and inst.host.service in out and "VCC-3808" in err
    problem(api(inst, "approver")("POST", "/api/v1/ca/service-1/revoke", {"reason": "keyCompromise"}), 403, "VCC-3101")


def test_two_persons_and_force_end_it_all(inst):
    admin, approver = api(inst, "admin"), api(inst, "approver")
    served = inst.certificate(inst.host.cert_id)
    status, asked = admin("POST", "/api/v1/ca/service-1/revoke", {"reason": "keyCompromise", "force": True})
    assert status == 202 and asked["status"] == "awaiting_approval" and asked["approval"]["kind"] == "ca_revocation"
    where = f"/api/v1/approvals/{asked['approval_id']}/approve"
    assert admin("POST", where, {"hash": asked["approval"]["hash"]})[0] == 403
    assert root_list(inst).get_revoked_certificate_by_serial_number(int(admin.get("ca/service-1")["serial"], 16)) is None
    assert approver("POST", where, {"hash": asked["approval"]["hash"]})[0] == 200

    shown = admin.get("ca/service-1")
    assert shown["state"] == "revoked" and shown["revocation_reason"] == "keyCompromise"
    entry = wait_for("the root's list names the CA", lambda: root_list(inst).get_revoked_certificate_by_serial_number(int(shown["serial"], 16)))
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason == x509.ReasonFlags.key_compromise
    record = next(r for r in admin.get("audit?event=ca_revoked")["items"])
    assert record["object"] == "service-1"

    # who checks lists refuses what it signed; nothing more is signed
    all_lists = os.path.join(inst.dir, "all.pem")
    urllib.request.urlretrieve(f"{inst.public_url}/crl/all.pem", all_lists)
    tls = os.path.join(inst.host.target_dir, "current")
    check = ["openssl", "verify", "-CAfile", os.path.join(inst.state, "ca.pem"), "-untrusted", f"{tls}/chain.pem"]
    assert subprocess.run([*check, f"{tls}/cert.pem"], capture_output=True).returncode == 0
    done = subprocess.run([*check, "-crl_check_all", "-CRLfile", all_lists, f"{tls}/cert.pem"], capture_output=True, text=True)
    assert done.returncode != 0 and "revoked" in done.stderr, done.stderr
    order = inst.vccctl("cert", "renew", inst.host.cert_id, "--force")["renewal_id"]
    said = wait_for("the order tells why", lambda: next((s for s in inst.renewal(order)["steps"] if s.get("code") == "VCC-3008"), None)
                    or (inst.renewal(order).get("error") or {}).get("code") == "VCC-3008")
    assert said and inst.certificate(inst.host.cert_id)["serial"] == served["serial"]

    # it is kept, and done once
    controller = inst.processes["controller"]
    controller.kill()
    controller.start()
    wait_for("ready", inst.ready)
    assert admin.get("ca/service-1")["state"] == "revoked"
    problem(admin("POST", "/api/v1/ca/service-1/revoke", {"reason": "keyCompromise", "force": True}), 409, "VCC-3807")
