"""One renewal by itself: who may cancel it and until when, and how long an answer waits for its end (Prefer: wait)."""
import http.client
import json
import os
import select
import signal
import socket
import time
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


# ---- Prefer: wait ----

class Local(http.client.HTTPConnection):
    """The local socket, where the headers of an answer are seen, too."""

    def __init__(self, fleet):
        super().__init__("localhost", timeout=120)
        self.path = os.path.join(fleet.state, "run", "admin.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect(self.path)

    def ask(self, method, path, body=None, prefer=None, **headers):
        self.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json", **({"Prefer": prefer} if prefer else {}), **headers})
        answer = self.getresponse()
        return answer.status, json.loads(answer.read()), answer.getheader("Preference-Applied"), answer.getheader("Location")


def test_an_answer_waits_for_the_end(fleet):
    old = fleet.cert("c1-web")["fingerprint"]
    status, answer, applied, location = Local(fleet).ask("POST", f"{LIFE}/renew/c1-web", {"force": True}, "respond-async, wait=50")
    assert (status, answer["status"], applied) == (200, "completed", "wait=50") and location == f"/api/v1/renewals/{answer['renewal_id']}", answer
    assert answer["estimated_completion"] is None and fleet.cert("c1-web")["fingerprint"] != old
    status, again, applied, _ = Local(fleet).ask("GET", location, prefer="wait=50")
    assert status == 200 and again["status"] == "completed" and applied == "wait=50", "what has ended is not waited for"


@pytest.mark.parametrize("prefer,applied", [(None, None), ("respond-async", None), ("wait=soon", None), ("wait=-1", None), ("wait=0", "wait=0"), ("WAIT=0", "wait=0"),
                                            ("wait=1", "wait=1")])
def test_an_answer_comes_when_the_time_is_over(fleet, waiting, prefer, applied):
    status, answer, said, _ = Local(fleet).ask("GET", f"/api/v1/renewals/{waiting}", prefer=prefer)
    assert (status, answer["status"], said) == (200, "in_progress", applied)
    refused(Local(fleet).ask("POST", f"{LIFE}/renew/c1-web", {"force": True}, "wait=50")[:2], 409, "VCC-3001")


def test_more_than_a_minute_is_not_waited(fleet):
    assert Local(fleet).ask("GET", f"/api/v1/renewals/{renew(fleet)}", prefer="wait=86400")[2] == "wait=60"
    fleet.wait_done("c1-web")


def test_what_one_may_not_see_is_not_waited_for(fleet, waiting):
    other = principal(fleet, "vpb-eye", "viewer", ["vpb"])
    other.headers["Prefer"] = "wait=60"  # longer than the connection would live
    refused(other("GET", f"/api/v1/renewals/{waiting}"), 404, "VCC-1006")


def test_a_campaign_is_waited_for(fleet):
    campaign = fleet.bulk(service_pattern="*.clara.vcc.internal")[1]["campaign_id"]
    status, answer, applied, _ = Local(fleet).ask("GET", f"/api/v1/campaigns/{campaign}", prefer="wait=55")
    assert (status, answer["status"], applied) == (200, "completed", "wait=55") and answer["successful_renewals"] == ["c1-web"]


def test_an_emergency_says_how_long_it_waits(fleet):
    body = {"incident_id": "INC-7", "reason": "a test", "certificate_ids": ["c1-web"]}
    assert Local(fleet).ask("POST", f"{LIFE}/emergency-recertification", body, "wait=50")[2] == "wait=50"


def test_who_waits_holds_up_nobody(fleet, waiting):
    """More than may wait: the rest is answered at once and says so by saying nothing; who hangs up makes room; the listener answers others."""
    path, crowd = f"/api/v1/renewals/{waiting}", []
    try:
        for _ in range(56):
            c = Local(fleet)
            c.request("GET", path, headers={"Prefer": "wait=60"})
            crowd.append(c)
        early = wait_for("those without room are answered", lambda: len(e := [c for c in crowd if select.select([c.sock], [], [], 0)[0]]) >= 8 and e, 30, 0.1)
        assert len(early) == 8
        for c in early:
            answer = c.getresponse()
            assert answer.status == 200 and answer.getheader("Preference-Applied") is None and json.loads(answer.read())["status"] == "in_progress"
        assert fleet.vccctl("cert", "show", "c1-web")["open_order"] == waiting
        for c in crowd:
            c.close()
        wait_for("there is room again", lambda: Local(fleet).ask("GET", path, prefer="wait=1")[2] == "wait=1", 30, 0.2)
        late = Local(fleet)
        late.request("GET", path, headers={"Prefer": "wait=60"})
        time.sleep(0.3)
        assert cancel(fleet, waiting)[0] == 200
        assert json.loads(late.getresponse().read())["status"] == "cancelled"
    finally:
        for c in crowd:
            c.close()


def test_a_controller_that_ends_does_not_wait(fleet, waiting):
    late = Local(fleet)
    late.request("GET", f"/api/v1/renewals/{waiting}", headers={"Prefer": "wait=60"})
    time.sleep(0.3)
    controller = fleet.processes["controller"]
    controller.popen.terminate()
    assert controller.popen.wait(50) == 0
    controller.start()
    fleet.wait_up()
    for g in fleet.gateways:
        g.connect()
