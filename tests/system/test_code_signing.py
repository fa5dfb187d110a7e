"""Code signing: does the key stay on its host, does every certificate wait for a second person, once, and do the commands of docs/code-signing.md do what it says?"""
import os
import re
import shutil
import sqlite3
import subprocess
import time

import pytest
from conftest import new_folder
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from installation import ROOT, current_group, current_user, wait_for, write
from rights_estate import Estate

PAGE = os.path.join(ROOT, "docs", "code-signing.md")
CERT = "model-signing"
AFTER = 3  # seconds in which nothing more may happen


def block(kind):
    """The lines of the page's block with this mark, as written."""
    with open(PAGE) as f:
        found = re.search(rf"^<!-- {re.escape(kind)} -->\n((?:    .*\n)+)", f.read(), re.M)
    assert found, kind
    return [line[4:] for line in found[1].splitlines()]


def run(folder, kind, good=True, **variables):
    for line in block(f"run: {kind}"):
        done = subprocess.run(["sh", "-c", line], cwd=folder, env=dict(os.environ, **variables), capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            assert not good, (line, done.stdout, done.stderr)
            return line, done.stdout + done.stderr
    assert good, f"{kind}: nothing was refused"
    return None


@pytest.fixture(scope="module")
def estate():
    folder = new_folder("code-signing")
    e = Estate(folder)
    try:
        e.host = e.inst.prepare_echo(0)
        e.host.enrol()
        e.inst.wait_served(e.host)
        yield e
    finally:
        e.stop()
        shutil.rmtree(folder, ignore_errors=True)


def target(estate, cert_id=CERT, template="clara_model_signing"):
    """The page's target file, with this test's user."""
    text = "".join(line + "\n" for line in block("file: target")).replace("model-signer", f"{current_user()}\ngroup = {current_group()}")
    text = text.replace("model-signing", cert_id).replace("clara_model_signing", template)
    write(os.path.join(estate.host.dir, "targets.d", f"{cert_id}.conf"), text)
    return os.path.join(estate.host.dir, "targets", cert_id, "current")


def requests(estate, cert_id=CERT):
    return [a for a in estate.approver.get("approvals?state=all")["items"] if a["object"] == cert_id]


def waiting(estate, cert_id=CERT):
    return wait_for(f"{cert_id} waits for a person", lambda: next((a for a in requests(estate, cert_id) if a["status"] == "waiting"), None))


def agree(estate, cert_id=CERT):
    request = waiting(estate, cert_id)
    assert request["what"]["purpose"] == "code_signing" and request["requester"] != "approver"
    assert estate.decide(request, "approve")[0] == 200
    wait_for(f"{cert_id} is there", lambda: estate.admin.get(f"renewals/{request['approval_id']}")["status"] == "completed")


def issuances(estate, cert_id=CERT):
    return estate.admin.get(f"certificates/{cert_id}/issuances")["items"]


@pytest.fixture(scope="module")
def signer(estate):
    """The folder of the pair, after somebody agreed to it."""
    folder = target(estate)
    assert waiting(estate) and not os.path.exists(os.path.join(folder, "key.pem"))
    agree(estate)
    wait_for("the files are there", lambda: os.path.exists(os.path.join(folder, "key.pem")))
    return folder


@pytest.fixture(scope="module")
def work(estate, signer):
    """Where the page's commands run: a model, its signature, and the root."""
    folder = os.path.join(estate.inst.dir, "work")
    os.makedirs(folder)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(b"\r\n\0weights\n" * 10000)
    shutil.copy(os.path.join(estate.inst.state, "ca.pem"), folder)
    run(folder, "sign", T=signer)
    run(folder, "trust", PUBLIC=estate.inst.public_url)
    return folder


def test_the_certificate_is_for_code_alone(estate, signer):
    with open(os.path.join(signer, "cert.pem"), "rb") as f:
        cert = x509.load_pem_x509_certificate(f.read())
    assert cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
    usage = cert.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_cert_sign and not usage.key_agreement
    with pytest.raises(x509.ExtensionNotFound):
        cert.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert issuances(estate)[0]["issuer"] == "code-signing-1" and oct(os.stat(os.path.join(signer, "key.pem")).st_mode & 0o777) == "0o400"
    with open(os.path.join(signer, "key.pem")) as f:
        secret = f.read().splitlines()[1]
    for name in ("controller", "gateway", "signer"):
        with open(os.path.join(estate.inst.dir, "log", f"{name}.log")) as f:
            assert secret not in f.read()


def test_the_page_signs_and_verifies(estate, work):
    run(work, "verify")
    with open(os.path.join(work, "model.safetensors"), "r+b") as f:
        first = f.read(1)
        f.seek(0)
        f.write(b"X")
    try:
        assert "content verify error" in run(work, "verify", good=False)[1]
    finally:
        with open(os.path.join(work, "model.safetensors"), "r+b") as f:
            f.write(first)
    run(work, "verify")


def test_what_a_service_signs_is_no_signature_of_code(estate, work, tmp_path):
    """The page's second line is what refuses it."""
    shutil.copytree(work, tmp_path / "tls")
    current = os.path.join(estate.host.target_dir, "current")
    run(tmp_path / "tls", "sign", T=current)
    line, _ = run(tmp_path / "tls", "verify", good=False)
    assert "extendedKeyUsage" in line


def test_a_time_stamp(estate, work, tmp_path):
    """With an authority for time of the test's own in the place of the page's curl."""
    tsa = tmp_path / "tsa"
    os.makedirs(tsa)
    write(str(tsa / "tsa.cnf"), "[tsa]\ndefault_tsa=t\n[t]\nserial=serial\nsigner_digest=sha256\ndefault_policy=1.2.3\ndigests=sha256\ness_cert_id_alg=sha256\n[req]\n"
          "distinguished_name=dn\n[dn]\n[ext]\nextendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n")
    write(str(tsa / "serial"), "01\n")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=TSA",
                    "-config", "tsa.cnf", "-extensions", "ext"], cwd=tsa, check=True, capture_output=True)
    shutil.copy(tsa / "cert.pem", os.path.join(work, "tsa.pem"))
    run(work, "stamp")
    assert any("$TSA" in line for line in block("ask"))
    subprocess.run(["openssl", "ts", "-reply", "-config", "tsa.cnf", "-queryfile", os.path.join(work, "model.safetensors.tsq"), "-signer", "cert.pem", "-inkey", "key.pem",
                    "-out", os.path.join(work, "model.safetensors.tsr")], cwd=tsa, check=True, capture_output=True)
    run(work, "verify stamp")
    now = int(time.time())
    run(work, "verify then", AT=str(now))
    six_years = 6 * 365 * 86400
    assert "expired" in run(work, "verify then", good=False, AT=str(now + six_years))[1]


def test_the_next_one_waits_again_and_the_old_one_stays_good(estate, signer, work):
    old = issuances(estate)[0]
    assert estate.admin("POST", f"/api/v1/certificates/lifecycle/renew/{CERT}", {"force": True})[1]["status"] == "awaiting_approval"
    before = open(os.path.join(signer, "cert.pem")).read()
    agree(estate)
    assert open(os.path.join(signer, "cert.pem")).read() != before
    time.sleep(AFTER)  # in this installation the grace of what is superseded is over at once
    after = {i["serial"]: i for i in issuances(estate)}
    assert len(after) == 2 and after[old["serial"]]["state"] == "renewed" and after[old["serial"]]["revoked_at"] is None and after[old["serial"]]["supersede_at"] is None
    run(work, "trust", PUBLIC=estate.inst.public_url)
    run(work, "verify")


def test_at_the_threshold_one_person_is_asked_once(estate):
    estate.inst.edit_template("clara_model_signing", validity_period="20s", renewal_threshold="12s", emergency_threshold="2s")
    cert_id = "short-signing"
    target(estate, cert_id)
    agree(estate, cert_id)
    assert estate.inst.certificate(cert_id)["renew_at"]
    request = waiting(estate, cert_id)
    assert request["requester"] == "scheduler" and request["what"]["trigger"] == "scheduled"
    assert estate.decide(request, "reject")[0] == 200
    time.sleep(AFTER)
    assert len(requests(estate, cert_id)) == 2 and estate.inst.certificate(cert_id)["renew_at"] is None
    host = estate.host.processes["agent"]
    host.stop()  # nor when the host comes again
    host.start()
    wait_for("the host is back", lambda: estate.admin.get(f"agents/{estate.host.name}")["connected"])
    time.sleep(AFTER)
    assert len(requests(estate, cert_id)) == 2
    # but a person may ask anew
    assert estate.admin("POST", f"/api/v1/certificates/lifecycle/renew/{cert_id}", {"force": True})[1]["status"] == "awaiting_approval"
    assert len(requests(estate, cert_id)) == 3


def test_a_first_one_that_was_refused_is_not_asked_for_again(estate):
    estate.inst.edit_template("clara_model_signing", validity_period="100d", renewal_threshold="10d", emergency_threshold="7d")
    cert_id = "refused-signing"
    target(estate, cert_id)
    assert estate.decide(waiting(estate, cert_id), "reject")[0] == 200
    agent = estate.host.processes["agent"]
    agent.stop()
    agent.start()
    wait_for("the host is back", lambda: estate.admin.get(f"agents/{estate.host.name}")["connected"])
    time.sleep(AFTER)
    assert [a["status"] for a in requests(estate, cert_id)] == ["rejected"]


def test_it_does_not_outlive_its_ca(estate, signer):
    """Refused when it is asked for, by whoever asks; nobody is asked to agree to it (F68)."""
    estate.inst.edit_template("clara_model_signing", validity_period="1825d", renewal_threshold="90d")
    controller = estate.inst.processes["controller"]
    controller.stop()
    db = sqlite3.connect(os.path.join(estate.inst.state, "controller", "vcc.db"))
    with db:  # the CA of somebody who let it grow old: fewer than the template's 1825 days are left
        db.execute("UPDATE issuers SET not_after_at = not_after_at - 400 * 86400000 WHERE role = 'code-signing'")
    db.close()
    controller.start()
    wait_for("ready", estate.inst.ready)
    before = requests(estate, CERT)
    answer = estate.admin("POST", f"/api/v1/certificates/lifecycle/renew/{CERT}", {"force": True})
    assert answer[0] == 422 and answer[1]["code"] == "VCC-3653", answer
    target(estate, "long-signing")
    wait_for("the target is refused", lambda: any(e["event"] == "target_refused" and e["detail"]["code"] == "VCC-3653" for e in estate.admin.get("audit?object=long-signing")["items"]))
    assert requests(estate, CERT) == before and requests(estate, "long-signing") == []
    assert estate.admin("GET", "/api/v1/certificates/long-signing")[0] == 404


def test_what_was_revoked_is_refused(estate, work):
    run(work, "verify")
    assert estate.admin("POST", f"/api/v1/certificates/{CERT}/revoke", {"reason": "keyCompromise"})[0] == 200

    def refused():
        run(work, "trust", PUBLIC=estate.inst.public_url)
        return subprocess.run(["sh", "-c", block("run: verify")[0]], cwd=work, capture_output=True, text=True).stderr.count("certificate revoked") > 0
    wait_for("the lists say so", refused)
