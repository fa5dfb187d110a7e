"""One renewal by itself: who may cancel it and until when, and how long an answer waits for its end (Prefer: wait)."""
import signal
import uuid

import pytest
from campaign_fleet import LIFE, CampaignFleet, refused
from conftest import new_folder
from installation import wait_for
from rights_estate import Api


@pytest.fixture(scope="module")
def fleet():
    f = CampaignFleet(new_folder("single"), settings={"controller.limits.max_renewals_default": "0"})
    try:
        f.begin()
        f.clara, f.vpb = f.host_of("c1", "clara"), f.host_of("v1", "vpb")
        yield f
    finally:
        f.end()


def renew(fleet, cert_id="c1-web", **body):
    status, answer = fleet.post(f"{LIFE}/renew/{cert_id}", {"force": True, **body})
    assert status == 202, answer
    return answer["renewal_id"]


def renewal(fleet, renewal_id):
    return fleet.admin.get(f"renewals/{renewal_id}")


def cancel(fleet, renewal_id, as_=None):
    return fleet.post(f"/api/v1/renewals/{renewal_id}/cancel", {}, as_)


def principal(fleet, name, role, services):
    assert fleet.post("/api/v1/principals", {"name": name, "roles": [role], "services": services})[0] == 201
    return Api(fleet, fleet.post("/api/v1/tokens", {"principal": name, "ttl": "1h"})[1]["token"])


@pytest.fixture
def waiting(fleet):
    """An order that the host has and does not answer."""
    fleet.clara.respond = False
    before = len(fleet.clara.orders)
    renewal_id = renew(fleet)
    fleet.clara.wait("the order is there", lambda: len(fleet.clara.orders) > before)
    yield renewal_id
    fleet.clara.respond = True
    cancel(fleet, renewal_id)


@pytest.fixture
def signing(fleet):
    """An order whose request is at a signer that stands still."""
    signer = fleet.processes["signer"].popen
    signer.send_signal(signal.SIGSTOP)
    try:
        renewal_id = renew(fleet)
        wait_for("it is at the signer", lambda: renewal(fleet, renewal_id)["phase"] == "signing", 60, 0.1)
        yield renewal_id
    finally:
        signer.send_signal(signal.SIGCONT)
    fleet.wait_done("c1-web")


# ---- cancel ----

def test_what_is_not_cancelled(fleet, signing):
    refused(cancel(fleet, uuid.UUID(int=7)), 404, "VCC-1006")
    refused(cancel(fleet, "no-id"), 404, "VCC-1006")
    refused(fleet.post(f"/api/v1/renewals/{signing}/cancel", {"surprise": 1}), 422, "VCC-3104")
    problem = refused(cancel(fleet, signing), 409, "VCC-3016")
    assert problem["object"] == signing and "signing" in problem["detail"]
    done = fleet.cli("cert", "cancel", "c1-web")
    assert done.returncode == 1 and "VCC-3016" in done.stderr and "signing" in done.stderr
    assert renewal(fleet, signing)["phase"] == "signing" and not fleet.clara.cancels


def test_what_has_ended_stays_as_it_ended(fleet):
    renewal_id = renew(fleet)
    fleet.wait_done("c1-web")
    wait_for("it ends", lambda: renewal(fleet, renewal_id)["status"] == "completed", 60, 0.1)
    problem = refused(cancel(fleet, renewal_id), 409, "VCC-3017")
    assert "completed" in problem["detail"] and renewal(fleet, renewal_id)["status"] == "completed"
    done = fleet.cli("cert", "cancel", "c1-web")
    assert done.returncode == 0 and "nothing to cancel" in done.stdout, done
    assert fleet.cli("cert", "cancel", "nobody").returncode == 3
    assert fleet.cli("cert", "cancel", str(uuid.UUID(int=7))).returncode == 3


def test_who_may_not(fleet, waiting):
    viewer, other = principal(fleet, "looker", "viewer", None), principal(fleet, "vpb-only", "operator", ["vpb"])
    refused(cancel(fleet, waiting, viewer), 403, "VCC-3101")
    refused(cancel(fleet, waiting, other), 404, "VCC-1006")
    refused(cancel(fleet, waiting, fleet.approver), 403, "VCC-3101")
    assert renewal(fleet, waiting)["status"] == "in_progress"


def test_before_the_signer_it_ends_at_once_and_the_host_is_told(fleet, waiting):
    old, told = fleet.cert("c1-web")["fingerprint"], len(fleet.clara.cancels)
    status, answer = cancel(fleet, waiting)
    assert status == 200 and answer["status"] == "cancelled" and answer["renewal_id"] == waiting and answer["error"]["code"] == "VCC-2012", answer
    assert "admin" in answer["error"]["message"], "it says who"
    fleet.clara.wait("the host is told", lambda: len(fleet.clara.cancels) > told)
    assert str(uuid.UUID(bytes=fleet.clara.cancels[-1]["renewal_id"])) == waiting
    c = fleet.cert("c1-web")
    assert c["open_order"] is None and c["fingerprint"] == old
    last = fleet.admin.get(f"audit?renewal_id={waiting}")["items"]
    assert [a["actor"] for a in last if a["event"] == "certificate_renewal_cancelled"] == ["admin"], last
    refused(cancel(fleet, waiting), 409, "VCC-3017")
    fleet.clara.respond = True
    renew(fleet)
    fleet.wait_done("c1-web", old)


def test_the_command_takes_certificate_or_renewal(fleet, waiting):
    done = fleet.cli("cert", "cancel", "c1-web")
    assert done.returncode == 0 and waiting in done.stdout and "cancelled" in done.stdout, done
    again = renew(fleet)
    done = fleet.cli("cert", "cancel", again, "-o", "json")
    assert done.returncode == 0 and '"cancelled"' in done.stdout, done


def test_a_cancelled_order_takes_its_request_along(fleet):
    """It waited for a second person; nobody decides about what is gone."""
    fleet.edit_template("vpb_service", "--force", max_renewals=1)
    fleet.wait_done("v1-web")
    for _ in range(3):
        status, answer = fleet.post(f"{LIFE}/renew/v1-web", {"trigger": "service_update"})
        assert status == 202, answer
        if answer["status"] == "awaiting_approval":
            break
        wait_for("it ends", lambda: renewal(fleet, answer["renewal_id"])["status"] == "completed", 60, 0.1)
    assert answer["status"] == "awaiting_approval"
    assert cancel(fleet, answer["renewal_id"])[1]["status"] == "cancelled"
    assert fleet.approver.get(f"approvals/{answer['renewal_id']}")["status"] == "cancelled"
