"""A certificate for a request, and the controller killed at every point of its way: refused or issued once, never lost and never doubled."""
import http.client
import os
import shutil

import pytest
from conftest import new_folder
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from installation import ROOT, wait_for
from rights_estate import Estate

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
LONG = os.environ.get("VCC_LONG") == "1"
POINTS = [f"controller.{name}{when}" for name in ("issue", "approved", "issued") for when in ("", "_stored")]


@pytest.fixture(scope="module")
def estate():
    folder = new_folder("issue-kills")
    e = Estate(folder, binaries=FAULTS)
    try:
        yield e
    finally:
        e.stop()
        shutil.rmtree(folder, ignore_errors=True)


def restart(estate, env):
    controller = estate.inst.processes["controller"]
    controller.stop()
    controller.env = env
    controller.start()
    wait_for("ready", lambda: estate.inst.ready() or not controller.running())


def ask(api, *words):
    """The answer, or None when the controller died of it."""
    try:
        return api(*words)
    except (OSError, http.client.HTTPException):
        return None


def push(estate, cert_id, csr):
    """What people do next, with what they see."""
    cert = ask(estate.admin, "GET", f"/api/v1/certificates/{cert_id}")
    if cert is None:
        return
    if cert[0] == 404:
        ask(estate.admin, "POST", "/api/v1/certificates", {"csr": csr, "template_id": "operator_admin", "cert_id": cert_id})
        return
    waiting = ask(estate.approver, "GET", "/api/v1/approvals")
    for request in waiting[1]["items"] if waiting else ():
        if request["object"] == cert_id:
            ask(estate.approver, "POST", f"/api/v1/approvals/{request['approval_id']}/approve", {"hash": request["hash"]})


@pytest.mark.parametrize("point", POINTS if LONG else POINTS[:4], ids=str)
def test_killed_on_the_way(estate, point):
    cert_id = point.replace(".", "-").replace("_", "-")
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    csr = csr.public_bytes(serialization.Encoding.PEM).decode()
    assert estate.admin("POST", "/api/v1/principals", {"name": cert_id, "roles": ["viewer"]})[0] == 201
    restart(estate, {"VCC_FAILPOINT": f"{point}@1=kill"})
    controller = estate.inst.processes["controller"]

    def died():
        push(estate, cert_id, csr)
        return not controller.running()
    wait_for(f"killed at {point}", died)
    restart(estate, {})

    def done():
        push(estate, cert_id, csr)
        cert = ask(estate.admin, "GET", f"/api/v1/certificates/{cert_id}")
        return cert and cert[0] == 200 and cert[1]["status"] == "issued" and not cert[1]["open_order"]
    wait_for(f"{cert_id} is issued", done)
    assert [i["state"] for i in estate.admin.get(f"certificates/{cert_id}/issuances")["items"]] == ["issued"]
    orders = estate.admin.get(f"renewals?cert_id={cert_id}")["items"]
    assert [o["status"] for o in orders] == ["completed"]
    answer = [a for a in estate.approver.get("approvals?state=all")["items"] if a["object"] == cert_id]
    assert [a["status"] for a in answer] == ["approved"]
