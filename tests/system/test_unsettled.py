"""A certificate whose host, or whose last place there, is removed after its renewal was proved and before it had settled: the order ends as done, what it
replaced is revoked after the grace, and what is in use stays good. Nothing of a host that is gone stays open."""
import pytest
from campaign_fleet import LIFE, CampaignFleet
from conftest import new_folder
from cryptography import x509
from fake_gateway import FakeHost
from installation import wait_for

VERIFIED = 0


@pytest.fixture(scope="module")
def fleet():
    f = CampaignFleet(new_folder("unsettled"), settings={"controller.supersede.grace": "1s"})
    try:
        f.begin()
        yield f
    finally:
        f.end()


def id_bytes(text):
    return bytes.fromhex(text.replace("-", ""))


def renew(fleet, host, outcome):
    """An order that has come as far as `outcome` lets it: its renewal_id."""
    host.outcome = outcome
    status, answer = fleet.post(f"{LIFE}/renew/{host.name}-web", {"force": True})
    assert status == 202, answer
    return answer["renewal_id"]


def proved_alone(host, m):
    """The last handshakes showed the new one; nobody knows yet whether an old worker still answers."""
    host.served[m["cert_id"]] = x509.load_der_x509_certificate(m["certificate"])
    host.receipt(m, VERIFIED, m["certificate"])
    return "nothing"


def phase(fleet, renewal_id, *phases):
    return wait_for(f"the order is {phases}", lambda: (o := fleet.admin.get(f"renewals/{renewal_id}"))["phase"] in phases and o, 60, 0.1)


def unsettled(fleet, name):
    """(host, renewal_id, serial before, serial proved)."""
    host = fleet.host_of(name)
    before = fleet.cert(f"{name}-web")["serial"]
    renewal_id = renew(fleet, host, proved_alone)
    phase(fleet, renewal_id, "verified")
    now = fleet.cert(f"{name}-web")["serial"]
    assert now != before
    return host, renewal_id, before, now


def retire(fleet, host):
    """Its owner takes the only target file away."""
    fields = dict(host.targets.pop(f"{host.name}-web"), retired=True, last=True)
    host.send("target", host.number(), **fields)


def state_of(fleet, serial):
    return fleet.rows("SELECT state, revoke_reason FROM issuances WHERE hex(serial) = ?", serial.upper())[0]


def ends_well(fleet, renewal_id, before, now):
    order = phase(fleet, renewal_id, "completed")
    assert order["status"] == "completed" and order["error"]["code"] == "VCC-3680" and order["error"]["message"], order
    wait_for("what it replaced is revoked", lambda: state_of(fleet, before) == ("revoked", 4), 60, 0.1)
    assert fleet.rows("SELECT count(*) FROM certificates WHERE open_order = ?", id_bytes(renewal_id)) == [(0,)]
    audit = [e for e, in fleet.rows("SELECT event FROM audit WHERE renewal_id = ?", id_bytes(renewal_id))]
    assert audit.count("certificate_renewal_completed") == 1 and "certificate_renewal_cancelled" not in audit


def test_its_last_place_is_removed(fleet):
    host, renewal_id, before, now = unsettled(fleet, "u1")
    retire(fleet, host)
    wait_for("it is retired", lambda: fleet.admin.get("certificates/u1-web")["retired_at"], 60, 0.1)
    ends_well(fleet, renewal_id, before, now)
    assert state_of(fleet, now)[0] == "active", "it ends by itself"


def test_its_host_is_removed(fleet):
    host, renewal_id, before, now = unsettled(fleet, "u2")
    assert fleet.post("/api/v1/agents/u2/evict", {})[0] == 200
    assert fleet.admin.get(f"renewals/{renewal_id}")["phase"] == "verified", "it may come back"
    assert fleet.post("/api/v1/agents/u2/remove", {})[0] == 200
    ends_well(fleet, renewal_id, before, now)
    assert state_of(fleet, now)[0] == "active", "what its host may still serve is listed as orphaned, not revoked behind a person's back"


def test_its_host_is_replaced(fleet):
    host, renewal_id, before, now = unsettled(fleet, "u3")
    invite = fleet.vccctl("agent", "replace", "u3")
    new = FakeHost("u3")
    assert new.join(fleet.gateways[0], invite)["code"] == 0
    ends_well(fleet, renewal_id, before, now)
    fleet.gateways[0].up(new)
    new.wait("welcome", lambda: new.welcomes)
    new.target("u3-web", "clara", "clara_service_auth", "DNS:u3.clara.vcc.internal")
    wait_for("the new host serves its own", lambda: (c := fleet.cert("u3-web"))["served"] and c["serial"] not in (before, now), 60, 0.1)
    wait_for("what the lost host holds is revoked", lambda: state_of(fleet, now)[0] == "revoked", 60, 0.1)


def test_a_retired_certificate_of_a_removed_host(fleet):
    """Its order waits for a host that does not answer its cancellation, and is not forgotten because the certificate is over."""
    host = fleet.host_of("u4")
    renewal_id = renew(fleet, host, lambda h, m: "nothing")
    phase(fleet, renewal_id, "issued", "delivered")
    retire(fleet, host)
    wait_for("it is retired", lambda: fleet.admin.get("certificates/u4-web")["retired_at"], 60, 0.1)
    assert fleet.admin.get(f"renewals/{renewal_id}")["status"] == "in_progress"
    assert fleet.post("/api/v1/agents/u4/evict", {})[0] == 200
    assert fleet.post("/api/v1/agents/u4/remove", {})[0] == 200
    assert phase(fleet, renewal_id, "cancelled")["status"] == "cancelled"
    assert fleet.rows("SELECT count(*) FROM outbox WHERE agent = 'u4'") == [(0,)]
