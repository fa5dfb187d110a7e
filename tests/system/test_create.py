"""`cert create`: a certificate made by a person waits for its target file, which takes it up as it is or not at all."""
import json

import pytest
from campaign_fleet import LIFE, CampaignFleet, refused
from conftest import new_folder
from fake_gateway import FakeHost
from installation import wait_for

T = "clara_service_auth"


@pytest.fixture(scope="module")
def fleet():
    f = CampaignFleet(new_folder("create"))
    try:
        f.begin()
        f.host = f.host_of("c1", "clara")
        yield f
    finally:
        f.end()


def create(fleet, cert_id, as_=None, **body):
    return fleet.post("/api/v1/certificates", {"cert_id": cert_id, "agent": "c1", "template_id": T, "names": ["clara.vcc.internal"], **body}, as_)


def certificate(fleet, cert_id):
    return fleet.admin.get(f"certificates/{cert_id}")


def orders(fleet, cert_id):
    return fleet.admin.get(f"renewals?cert_id={cert_id}")["items"]


def answered(fleet, number):
    """What the host was told about its file: (code, text)."""
    ack = fleet.host.acked(number)
    return ack["code"], ack["text"]


def test_what_is_not_created(fleet):
    for body, status, code in (({"agent": "nobody"}, 404, "VCC-1006"), ({"agent": 7}, 422, "VCC-3104"), ({"template_id": "none"}, 422, "VCC-3010"),
                               ({"cert_id": "No Id"}, 422, "VCC-1004"), ({"names": ["not a name"]}, 422, "VCC-3104"), ({"csr": "x"}, 422, "VCC-3104"),
                               ({"renew": "c1-web"}, 422, "VCC-3104"), ({"service": "vpb"}, 422, "VCC-3012"), ({"template_id": "vpb_service"}, 422, "VCC-3012"),
                               ({"cert_id": "c1-web"}, 409, "VCC-1007"), ({"surprise": 1}, 422, "VCC-3104")):
        answer = create(fleet, **{"cert_id": "refused", **body})
        assert answer[0] == status and answer[1]["code"] == code, (body, answer)
    refused(create(fleet, "refused", fleet.approver), 403, "VCC-3101")
    assert fleet.cli("cert", "create", "refused", "--agent", "c1").returncode == 2
    assert [c["cert_id"] for c in fleet.admin.get("certificates")["items"]] == ["c1-web"] and orders(fleet, "refused") == []


def test_it_waits_for_its_file_and_is_taken_up(fleet):
    status, made = create(fleet, "c1-new")
    assert status == 201 and made["status"] == "requested" and made["approved"] and made["agent"] == "c1" and made["names"] == ["DNS:clara.vcc.internal"], made
    assert fleet.rows("SELECT count(*) FROM orders WHERE cert_id = 'c1-new'") == [(0,)], "no order before the file"
    refused(fleet.post(f"{LIFE}/renew/c1-new", {"force": True}), 409, "VCC-3018")
    status, plan = fleet.bulk(dry_run=True, service_pattern="*.vcc.internal")
    assert "c1-new" not in plan["certificate_list"]
    number = fleet.host.target("c1-new", "clara", T, "DNS:clara.vcc.internal", stem="new")
    assert answered(fleet, number)[0] == 0
    assert fleet.wait_done("c1-new")["status"] == "active"
    events = [a["event"] for a in fleet.admin.get("audit?object=c1-new&limit=500")["items"]][::-1]
    assert events.index("certificate_created") < events.index("target_accepted") < events.index("certificate_issued"), events
    refused(create(fleet, "c1-new", names=["other.clara.vcc.internal"]), 409, "VCC-1007")


@pytest.mark.parametrize("field,file", [("names", {"names": "DNS:c1.clara.vcc.internal"}), ("template", {"template": "clara_model_signing", "names": ""})])
def test_a_file_that_differs_is_refused_and_says_in_what(fleet, field, file):
    cert_id = f"c1-{field}"
    assert create(fleet, cert_id)[0] == 201
    file = {"template": T, "names": "DNS:clara.vcc.internal", **file}
    code, text = answered(fleet, fleet.host.target(cert_id, "clara", file["template"], file["names"], stem=field))
    assert code != 0 and text.startswith(field) and "made for" in text, text
    assert certificate(fleet, cert_id)["status"] == "requested" and orders(fleet, cert_id) == []
    refusal = next(a for a in fleet.admin.get(f"audit?object={cert_id}&limit=50")["items"] if a["event"] == "target_refused")
    assert "VCC-3019" in json.dumps(refusal)
    if field == "names":  # the person agrees with the host
        assert create(fleet, cert_id, names=["c1.clara.vcc.internal"])[0] == 201
        answered(fleet, fleet.host.target(cert_id, "clara", T, "DNS:c1.clara.vcc.internal", stem=field))
        assert fleet.wait_done(cert_id)["names"] == ["DNS:c1.clara.vcc.internal"]


def test_another_host_does_not_take_it(fleet):
    assert create(fleet, "c1-mine")[0] == 201
    thief = FakeHost("thief")
    invite = fleet.vccctl("agent", "invite", "thief", "--service", "clara")
    assert thief.join(fleet.gateways[0], invite)["code"] == 0
    fleet.gateways[0].up(thief)
    thief.wait("welcome", lambda: thief.welcomes)
    number = thief.target("c1-mine", "clara", T, "DNS:clara.vcc.internal")
    assert thief.acked(number)["code"] != 0
    assert certificate(fleet, "c1-mine")["agent"] == "c1" and orders(fleet, "c1-mine") == []


@pytest.mark.parametrize("file_first", [False, True])
def test_outside_the_patterns_a_second_person_decides(fleet, file_first):
    cert_id, name = f"c1-far{int(file_first)}", f"far{int(file_first)}.clara.vcc.internal"
    done = fleet.cli("cert", "create", cert_id, "--agent", "c1", "--template", T, "--names", name)
    assert done.returncode == 4 and "second person" in done.stdout, done
    assert certificate(fleet, cert_id)["approved"] is False
    def write():
        return answered(fleet, fleet.host.target(cert_id, "clara", T, f"DNS:{name}", stem=cert_id))
    if file_first:
        assert "approval" in write()[1]
    refused(fleet.post(f"/api/v1/approvals/{(a := request(fleet, cert_id))['approval_id']}/approve", {"hash": a["hash"]}), 403, "VCC-3101")
    fleet.approve(cert_id)
    assert certificate(fleet, cert_id)["approved"] is True
    if not file_first:
        assert orders(fleet, cert_id) == [], "nothing is ordered before the file is there"
        write()
    assert fleet.wait_done(cert_id)["names"] == [f"DNS:{name}"]
    assert len(orders(fleet, cert_id)) == 1


def request(fleet, cert_id):
    return wait_for("a request", lambda: next((a for a in fleet.approver.get("approvals")["items"] if a["object"] == cert_id), None))


def test_the_command_tells_what_is_next(fleet):
    done = fleet.cli("cert", "create", "c1-cli", "--agent", "c1", "--template", T, "--names", "clara.vcc.internal")
    assert done.returncode == 0 and "target file on c1" in done.stdout, done
    assert json.loads(fleet.cli("cert", "show", "c1-cli", "-o", "json").stdout)["status"] == "requested"
