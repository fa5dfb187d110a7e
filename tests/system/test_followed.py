"""A campaign that is rolled back takes back what it did itself. An order of somebody else's that it only waited for goes on, and the member's record says so."""
import time

import pytest
from campaign_fleet import LIFE, CampaignFleet
from conftest import new_folder
from installation import wait_for

AWAY_S = 16   # the controller is up for long enough to know who is away


@pytest.fixture(scope="module")
def fleet():
    f = CampaignFleet(new_folder("followed"), settings={"controller.bulk.pause": "0s", "controller.supersede.grace": "1h", "controller.limits.approval_share": "100%"})
    try:
        f.begin()
        f.started = time.time()
        yield f
    finally:
        f.end()


def order_of_a_person(fleet, host):
    """Its host has the certificate and does not come to the end of it."""
    host.outcome = lambda h, m: "nothing"
    status, answer = fleet.post(f"{LIFE}/renew/{host.name}-web", {"force": True})
    assert status == 202, answer
    wait_for("its host has it", lambda: fleet.admin.get(f"renewals/{answer['renewal_id']}")["phase"] in ("issued", "delivered") and any(c["renewal_id"].hex() == answer["renewal_id"].replace("-", "") for c in host.certificates), 60, 0.1)
    return answer["renewal_id"]


def away(fleet, host):
    wait_for("the controller is up for long enough", lambda: time.time() - fleet.started > AWAY_S, 60)
    host.gateway.down(host.session)
    wait_for("it is known to be away", lambda: not fleet.admin.get(f"agents/{host.name}")["connected"], 60, 0.1)


def member(fleet, campaign, name):
    return next(m for m in fleet.members(campaign) if m["agent"] == name)


def comes_to_its_end(fleet, host, renewal_id):
    """The host is back and tells what became of the order."""
    m = next(c for c in reversed(host.certificates) if c["renewal_id"].hex() == renewal_id.replace("-", ""))
    host.receipt(m, 0, m["certificate"])
    host.receipt(m, 1, m["certificate"])
    return wait_for("the order ends", lambda: (o := fleet.admin.get(f"renewals/{renewal_id}"))["completed_at"] and o, 60, 0.1)


def emergency(fleet, *hosts):
    """One that follows what is past the point where it can be replaced."""
    status, answer = fleet.emergency(wait=0, selector={"ids": [f"{h.name}-web" for h in hosts]}, revoke_old="after:4h")
    assert status == 202, answer
    return answer["campaign_id"]


def test_an_order_of_a_person_is_not_cancelled(fleet):
    host, own = fleet.host_of("f1"), fleet.host_of("f2")
    renewal_id = order_of_a_person(fleet, host)
    own.respond = False
    campaign = emergency(fleet, host, own)
    wait_for("it waits for the order", lambda: member(fleet, campaign, "f1")["state"] == "following" and member(fleet, campaign, "f2")["state"] == "ordered", 60, 0.1)
    ours = member(fleet, campaign, "f2")["renewal_id"]
    away(fleet, host)
    away(fleet, own)
    status, answer = fleet.post(f"/api/v1/campaigns/{campaign}/rollback", {"reason": "a mistake"})
    assert status == 200, answer
    kept = wait_for("it is let go", lambda: (m := member(fleet, campaign, "f1"))["state"] == "kept" and m, 60, 0.1)
    assert kept["code"] == "VCC-3681" and "not of this campaign" in kept["error"] and kept["renewal_id"] == renewal_id
    order = fleet.admin.get(f"renewals/{renewal_id}")
    assert order["status"] == "in_progress" and order["error"] is None and order["campaign_id"] is None, order
    wait_for("its own order is ended", lambda: fleet.admin.get(f"renewals/{ours}")["status"] == "cancelled", 60, 0.1)
    host.gateway.up(host)
    own.respond = True
    own.gateway.up(own)
    assert comes_to_its_end(fleet, host, renewal_id)["status"] == "completed"
    assert not any(c["renewal_id"].hex() == renewal_id.replace("-", "") for c in host.cancels)
    later = member(fleet, campaign, "f1")
    assert {k: later[k] for k in ("state", "code", "error")} == {k: kept[k] for k in ("state", "code", "error")}, "what becomes of it is not the campaign's any more"
    c = wait_for("the campaign is closed", lambda: (c := fleet.campaign(campaign))["completed_at"] and c, 60, 0.1)
    assert (c["kept_count"], c["successful_count"], c["in_progress_count"]) == (1, 0, 0), c


def test_what_such_an_order_brought_stays(fleet):
    host = fleet.host_of("f3")
    renewal_id = order_of_a_person(fleet, host)
    campaign = emergency(fleet, host)
    wait_for("it waits for the order", lambda: member(fleet, campaign, "f3")["state"] == "following", 60, 0.1)
    comes_to_its_end(fleet, host, renewal_id)
    fleet.wait_state(campaign, "completed")
    assert member(fleet, campaign, "f3")["state"] == "done"
    brought = fleet.cert("f3-web")["serial"]
    assert fleet.post(f"/api/v1/campaigns/{campaign}/rollback", {})[0] == 200
    kept = wait_for("it stays", lambda: (m := member(fleet, campaign, "f3"))["state"] == "kept" and m, 60, 0.1)
    assert kept["code"] == "VCC-3681"
    assert fleet.cert("f3-web")["serial"] == brought and host.rollbacks == []
