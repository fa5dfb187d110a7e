"""Is what people have to be told queued with what caused it: troubles, emergencies, campaigns, requests, limits; and is routine told to nobody?"""
import json

import pytest
from campaign_fleet import LIFE, CampaignFleet, refused
from conftest import new_folder
from installation import wait_for
from rights_estate import Api

PEOPLE = {"notification_recipients": ["ops@vcc.internal"], "escalation_recipients": ["boss@vcc.internal"]}


@pytest.fixture(scope="module")
def fleet():
    f = CampaignFleet(new_folder("notices"), settings={"controller.limits.max_renewals_default": "0", "controller.limits.approval_share": "100%",
                                                       "controller.supersede.grace": "1s"})
    try:
        f.begin()
        for name in ("clara_service_auth", "vpb_service"):
            f.edit_template(name, "--force", retry_interval="1s", max_renewal_attempts=2, renewal_threshold="30d", emergency_threshold="7d", **PEOPLE)
        f.c1, f.c2, f.v1 = f.host_of("c1"), f.host_of("c2"), f.host_of("v1", "vpb")
        yield f
    finally:
        f.end()


def notices(fleet, as_=None, **args):
    return (as_ or fleet.admin).get("notifications?limit=500" + "".join(f"&{k}={v}" for k, v in args.items()))["items"]


def of(fleet, event, **args):
    return [n for n in notices(fleet, **args) if n["event"] == event]


def renew(fleet, name):
    status, answer = fleet.post(f"{LIFE}/renew/{name}-web", {"force": True})
    assert status == 202, answer
    return answer["renewal_id"]


def renewal(fleet, renewal_id):
    return fleet.admin.get(f"renewals/{renewal_id}")


def wait_status(fleet, renewal_id, status):
    return wait_for(f"it is {status}", lambda: (r := renewal(fleet, renewal_id))["status"] == status and r, 60, 0.1)


def told(order):
    return [s["detail"].split(",")[0] for s in order["steps"] if s["step"] == "notify"]


def test_routine_is_told_to_nobody(fleet):
    before = notices(fleet, service="clara")
    order = wait_status(fleet, renew(fleet, "c1"), "completed")
    assert told(order) == ["nothing to tell"] and notices(fleet, service="clara") == before


def test_a_trouble_from_its_first_failure_to_its_last(fleet):
    fleet.c1.outcome = fleet.c2.outcome = lambda h, m: "failed"
    first = renew(fleet, "c1")
    paused = wait_status(fleet, first, "paused")
    assert told(paused) == ["queued renewal_failed", "raised renewal_paused to 2"]
    trouble, = of(fleet, "renewal_paused")
    assert (trouble["level"], trouble["state"], trouble["service"], trouble["object"]) == ("error", "queued", "clara", "c1-web")
    assert trouble["count"] == 2 and trouble["renewal_id"] == first and trouble["code"] == paused["error"]["code"] and trouble["error"]
    assert trouble["recipients"] == ["role:admin", "ops@vcc.internal", "boss@vcc.internal"]
    assert trouble["detail"]["agent"] == "c1" and trouble["detail"]["status"] == "paused" and trouble["closed_at"] is None
    second = wait_status(fleet, renew(fleet, "c2"), "paused")  # another host of the same cause: the same trouble
    assert told(second) == ["raised renewal_failed to 3", "raised renewal_paused to 4"]
    assert [n["notification_id"] for n in notices(fleet, state="queued", service="clara")] == [trouble["notification_id"]]

    fleet.c1.outcome = fleet.c2.outcome = lambda h, m: "ok"
    assert told(wait_status(fleet, renew(fleet, "c1"), "completed")) == ["nothing to tell"] and not of(fleet, "trouble_resolved")
    assert told(wait_status(fleet, renew(fleet, "c2"), "completed")) == ["queued trouble_resolved"]
    resolved, = of(fleet, "trouble_resolved", level="success")
    assert resolved["detail"]["trouble"] == trouble["notification_id"] and resolved["detail"]["count"] == 4
    assert resolved["recipients"] == trouble["recipients"] and resolved["code"] == trouble["code"]
    over, = [n for n in notices(fleet, state="closed") if n["notification_id"] == trouble["notification_id"]]
    assert over["closed_at"] and over["count"] == 4
    assert told(wait_status(fleet, renew(fleet, "c2"), "completed")) == ["nothing to tell"]  # once


def test_a_revoked_certificate_is_in_no_trouble(fleet):
    host = fleet.host_of("c3")
    host.outcome = lambda h, m: "failed"
    wait_status(fleet, renew(fleet, "c3"), "paused")
    open_, = [n for n in notices(fleet, state="queued") if n["object"] == "c3-web"]
    resolved = len(of(fleet, "trouble_resolved"))
    fleet.vccctl("cert", "revoke", "c3-web", "--reason", "cessationOfOperation", "--yes")
    closed = wait_for("it is over", lambda: next((n for n in notices(fleet, state="closed") if n["notification_id"] == open_["notification_id"]), None))
    assert closed["closed_at"] and len(of(fleet, "trouble_resolved")) == resolved  # nothing got well


def test_an_emergency_begins_and_ends(fleet):
    status, e = fleet.emergency(certificate_ids=["v1-web", "no-such"], incident_type="exercise")
    assert status == 200 and e["status"] == "completed_with_failures"
    began, = [n for n in of(fleet, "emergency_started") if n["object"] == e["campaign_id"]]
    ended, = [n for n in of(fleet, "emergency_failed") if n["object"] == e["campaign_id"]]
    assert began["level"] == "critical" and began["recipients"] == ended["recipients"] == ["role:security"] and ended["level"] == "error"
    assert began["state"] == "closed" and ended["detail"]["failed_count"] == 1 and ended["detail"]["successful_count"] == 1
    assert ended["detail"]["incident_id"] == "INC-1"
    status, e = fleet.emergency(certificate_ids=["v1-web"], incident_type="exercise")
    ended, = [n for n in of(fleet, "emergency_ended") if n["object"] == e["campaign_id"]]
    assert status == 200 and ended["level"] == "success" and not [n for n in of(fleet, "emergency_failed") if n["object"] == e["campaign_id"]]


def test_a_campaign_tells_its_end(fleet):
    status, c = fleet.bulk(service_pattern="*.vpb.vcc.internal")
    assert status == 202
    fleet.wait_state(c["campaign_id"], "completed")
    n, = [n for n in notices(fleet) if n["object"] == c["campaign_id"]]
    assert (n["event"], n["level"], n["service"], n["recipients"]) == ("campaign_ended", "success", "vpb", ["role:admin"])
    assert n["detail"]["successful_count"] == n["detail"]["total_certificates"] == 1
    fleet.v1.outcome = lambda h, m: "failed"
    status, c = fleet.bulk(service_pattern="*.vpb.vcc.internal")
    fleet.wait_state(c["campaign_id"], "halted", "completed_with_failures")
    wait_for("its end is told", lambda: [n for n in notices(fleet) if n["object"] == c["campaign_id"] and n["level"] == "error"])
    fleet.v1.outcome = lambda h, m: "ok"
    wait_status(fleet, renew(fleet, "v1"), "completed")


def test_the_emergency_threshold_and_the_end(fleet):
    """Two certificates of a service cross it: one trouble, told critical; it ends with the last of them that gets a new one."""
    fleet.edit_template("covina_orchestrator", "--force", validity_period="16s", renewal_threshold="9s", emergency_threshold="8s", retry_interval="1h",
                        max_renewals=0, max_renewal_attempts=1, **PEOPLE)
    hosts = [fleet.host_of(name, "covina") for name in ("k1", "k2")]
    for h in hosts:
        h.outcome = lambda h, m: "failed"
    n = wait_for("both are told", lambda: next((n for n in of(fleet, "emergency_threshold_reached", state="queued") if n["count"] >= 2), None), 90, 0.2)
    assert (n["level"], n["service"], n["key"]) == ("critical", "covina", "covina emergency_threshold")
    assert n["recipients"] == ["role:admin", "ops@vcc.internal", "boss@vcc.internal"] and n["detail"]["expired"] is False
    assert fleet.rows("SELECT count(*) FROM audit WHERE event = 'certificate_emergency_threshold_reached' AND object = 'k1-web'")[0][0] >= 1
    wait_for("and once more at the end", lambda: (m := of(fleet, "emergency_threshold_reached", state="queued")) and m[0]["count"] == 4, 60, 0.2)
    assert len(fleet.rows("SELECT 1 FROM audit WHERE event = 'certificate_emergency_threshold_reached'")) == 4
    for h in hosts:
        h.outcome = lambda h, m: "ok"
    fleet.edit_template("covina_orchestrator", "--force", validity_period="100d", renewal_threshold="30d", emergency_threshold="7d", max_renewals=0, **PEOPLE)

    def ended(name):  # the change itself has them renewed, or the order that waited is tried again
        order = fleet.admin.get(f"renewals?cert_id={name}-web&limit=1")["items"][0]
        return order["status"] == "completed" and fleet.cert(f"{name}-web")["days_until_expiry"] > 50
    for name in ("k1", "k2"):
        wait_for("it is renewed", lambda n=name: ended(n), 60, 0.2)
    orders = [o for name in ("k1", "k2") for o in fleet.admin.get(f"renewals?cert_id={name}-web")["items"] if o["status"] == "completed"]
    said = [told(renewal(fleet, o["renewal_id"]))[-1] for o in orders]  # of both orders of a host where both went out
    assert said.count("queued trouble_resolved") == 1 and set(said) == {"nothing to tell", "queued trouble_resolved"}, said
    over, = [m for m in of(fleet, "emergency_threshold_reached") if m["notification_id"] == n["notification_id"]]
    assert over["state"] == "closed"
    events = sorted(m["detail"]["event"] for m in of(fleet, "trouble_resolved") if m["service"] == "covina")
    assert events == ["emergency_threshold_reached", "renewal_paused"]


def test_max_renewals_near_and_reached(fleet):
    """One before: told; reached: the order waits, and who may approve is told until somebody decides."""
    short = {"validity_period": "12s", "renewal_threshold": "7s", "emergency_threshold": "1s", "max_renewals": 2, "retry_interval": "1s"}
    fleet.edit_template("vpb_service", "--force", **short, **PEOPLE)
    fleet.host_of("v2", "vpb")
    reached = wait_for("the third waits", lambda: next((n for n in of(fleet, "max_renewals_reached") if n["object"] == "v2-web"), None), 90, 0.2)
    near, = [n for n in of(fleet, "max_renewals_near") if n["object"] == "v2-web"]
    assert near["level"] == "info" and near["recipients"] == ["role:admin", "ops@vcc.internal"]
    assert told(renewal(fleet, near["renewal_id"])) == ["queued max_renewals_near"]
    assert reached["level"] == "error" and reached["recipients"] == ["role:admin", "role:approver", "ops@vcc.internal"]
    a = next(a for a in fleet.admin.get("approvals")["items"] if a["object"] == "v2-web")
    assert reached["detail"]["approval_id"] == a["approval_id"] and reached["state"] == "queued"
    assert fleet.post(f"/api/v1/approvals/{a['approval_id']}/approve", {"hash": a["hash"]}, fleet.approver)[0] == 200
    assert next(n for n in of(fleet, "max_renewals_reached") if n["object"] == "v2-web" and n["notification_id"] == reached["notification_id"])["state"] == "closed"


def while_nothing_comes(fleet, read):
    """(what `read` gives, all notices): nothing was told while it read."""
    for _ in range(20):
        before, got = notices(fleet), read()
        if notices(fleet) == before:
            return got, before
    raise AssertionError("there is no rest")


def pages_of(fleet):
    pages, cursor = [], ""
    while True:
        page = fleet.admin.get(f"notifications?limit=3{cursor and '&cursor=' + cursor}")
        pages += page["items"]
        if not page["next_cursor"]:
            return pages
        cursor = page["next_cursor"]


def test_who_reads_what(fleet):
    def principal(name, **more):
        assert fleet.post("/api/v1/principals", {"name": name, **more})[0] == 201
        return Api(fleet, fleet.post("/api/v1/tokens", {"principal": name, "ttl": "1h"})[1]["token"])
    viewer, of_vpb = principal("reads", roles=["viewer"]), principal("reads-vpb", roles=["viewer"], services=["vpb"])
    read, there = while_nothing_comes(fleet, lambda: notices(fleet, viewer))
    assert read == there
    seen = notices(fleet, of_vpb)
    assert seen and {n["service"] for n in seen} == {"vpb"}
    assert notices(fleet, of_vpb, service="clara") == []
    for wrong in ("level=fatal", "state=open", "cursor=zz", "limit=0", "surprise=1"):
        refused(fleet.admin("GET", f"/api/v1/notifications?{wrong}"), 422, "VCC-3104")
    pages, there = while_nothing_comes(fleet, lambda: pages_of(fleet))
    assert pages == there
    shown, there = while_nothing_comes(fleet, lambda: json.loads(fleet.cli("notify", "list", "--all", "-o", "json").stdout))
    assert shown == there
    assert {n["state"] for n in json.loads(fleet.cli("notify", "list", "--service", "clara", "-o", "json").stdout)} <= {"queued"}
    assert fleet.cli("notify", "list", "--level", "loud").returncode == 2


def test_no_person_is_named(fleet):
    text = json.dumps(notices(fleet))
    assert all(f'"{name}"' not in text for name in ("admin", "approver", "reads-vpb"))
