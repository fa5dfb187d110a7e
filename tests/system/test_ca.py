"""What is told of CAs, and is one revoked only by force and two persons, with everything that follows (F71)?"""
import os
import shutil
import subprocess
import urllib.request

import pytest
from conftest import new_folder
from cryptography import x509
from installation import ROOT, Installation, wait_for
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


def test_a_ca_is_revoked_while_the_roots_key_is_elsewhere(inst, folder):
    """The controller's wish is carried to the root's machine and the signed list back; published and recorded it is like any other."""
    admin, approver = api(inst, "admin"), api(inst, "approver")
    key, = [os.path.join(d, "root-1.key") for d, _, names in os.walk(inst.dir) if "root-1.key" in names and os.path.basename(d) == "ca"]
    here = os.path.dirname(os.path.dirname(key))
    there = f"{folder}/there"
    shutil.copytree(here, there)
    for name in os.listdir(f"{there}/ca"):
        if not name.startswith("root-1.") and not name.endswith(".cer"):
            os.remove(f"{there}/ca/{name}")
    for name in ("agent-1.cer", "service-1.cer", "code-signing-1.cer"):
        os.remove(f"{there}/ca/{name}")
    config, = [os.path.join(d, "signer.conf") for d, _, names in os.walk(inst.dir) if "signer.conf" in names]
    with open(config) as f, open(f"{folder}/signer.conf", "w") as to:
        text = f.read()
        assert here in text
        to.write(text.replace(f"state_dir = {here}", f"state_dir = {there}"))

    def at(conf, *words):
        done = subprocess.run([os.path.join(os.path.dirname(inst.vccctl_argv[0]), "vcc-signer"), *words, "--config", conf], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done

    inst.processes["signer"].stop()
    os.rename(key, f"{folder}/root-1.key")
    inst.processes["signer"].start()
    wait_for("ready", inst.ready)
    before = root_list(inst)
    _, asked = admin("POST", "/api/v1/ca/code-signing-1/revoke", {"reason": "superseded", "force": True})
    assert approver("POST", f"/api/v1/approvals/{asked['approval_id']}/approve", {"hash": asked["approval"]["hash"]})[0] == 200
    serial = admin.get("ca/code-signing-1")["serial"]
    wait_for("the wish is there", lambda: os.path.exists(f"{here}/ca/root-1.list-request"))
    inst.processes["signer"].stop()
    done = at(config, "root-request", "list")
    with open(f"{folder}/request", "w") as f:
        f.write(done.stdout)
    digits = done.stderr.split("SHA-256 ")[1].splitlines()[0]
    done = at(f"{folder}/signer.conf", "root-sign", f"{folder}/request", "--hash", digits)
    assert serial.upper().zfill(32) in done.stderr
    with open(f"{folder}/answer", "w") as f:
        f.write(done.stdout)
    at(config, "root-import", f"{folder}/answer")
    assert root_list(inst).get_revoked_certificate_by_serial_number(int(serial, 16)) is None
    controller = inst.processes["controller"]
    controller.stop()
    own = controller.argv, controller.env
    controller.argv = [os.path.join(ROOT, "build-faults", "bin", "vcc-controller"), *controller.argv[1:]]
    controller.env = dict(controller.env or {}, VCC_FAILPOINT="controller.crl@1=err:EIO")
    controller.start()
    controller.argv, controller.env = own
    inst.processes["signer"].start()
    wait_for("ready", inst.ready)
    wait_for("not stored at first, it is tried again without another connection",
             lambda: root_list(inst).get_revoked_certificate_by_serial_number(int(serial, 16)))
    with open(controller.log, errors="replace") as f:
        assert "CRL root-1/0 could not be made: VCC-1500" in f.read()
    number = x509.CRLNumber
    now = root_list(inst).extensions.get_extension_for_class(number).value.crl_number
    assert now > before.extensions.get_extension_for_class(number).value.crl_number
    records = [r for r in admin.get("audit?event=crl_published&limit=500")["items"] if r["object"] == "root-1"]
    assert any(r["detail"]["number"] == now for r in records), records
    # told again with each connection it is the same list, and nothing new is asked for
    inst.processes["signer"].stop()
    controller.stop()
    controller.start()  # after a start each list is due until it was compared with what it has to say
    inst.processes["signer"].start()
    wait_for("ready", inst.ready)
    wait_for("the list was looked at", lambda: not any(row["due"] for row in admin.get("crls?limit=100")["items"] if row["issuer"] == "root-1"))
    assert root_list(inst).extensions.get_extension_for_class(number).value.crl_number == now
    assert not os.path.exists(f"{here}/ca/root-1.list-request")
