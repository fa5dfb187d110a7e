"""More hosts say that they rely on a certificate than one page holds, most of them without being believed: whoever counts is found behind them, asked, waited
for and shown. And who is asked again, when somebody else answers or comes back: nobody but who has not answered."""
import pytest
from campaign_fleet import CampaignFleet
from conftest import new_folder
from fake_gateway import FakeHost
from installation import wait_for

STRANGERS = 70   # a page has 64
PLACE = ("web01-web", "127.0.0.1:443", "web01.clara.vcc.internal")


class Fleet(CampaignFleet):
    def strangers(self, names, service):
        """Hosts without certificates, that say they rely on web01's."""
        rows = [{"name": n, "service": service, "names": [f"{n}.{service}.vcc.internal"]} for n in names]
        status, answer = self.post("/api/v1/invites/batch", {"invites": rows})
        assert status == 201, answer
        hosts = []
        for invite in answer["items"]:
            host = FakeHost(invite["name"])
            assert host.join(self.gateways[0], invite)["code"] == 0
            self.gateways[0].up(host)
            host.wait("welcome", lambda h=host: h.welcomes)
            host.sees = lambda h, m: None
            host.relies(PLACE)
            hosts.append(host)
        return hosts


@pytest.fixture(scope="module")
def fleet():
    f = Fleet(new_folder("peer-many"), settings={"controller.bulk.pause": "0s", "controller.bulk.peer_wait": "10m", "controller.supersede.grace": "1h",
                                                 "controller.limits.approval_share": "100%"})
    try:
        f.begin()
        assert f.admin("POST", "/api/v1/services", {"name": "covina", "depends_on": ["clara"]})[0] == 202
        f.web = f.host_of("web01")
        f.others = f.strangers([f"a{i:03}" for i in range(STRANGERS)], "vpb")
        f.peers = f.strangers(["z01", "z02"], "covina")
        wait_for("all are known", lambda: len(parties(f)) == STRANGERS + 2, 60, 0.2)
        yield f
    finally:
        f.end()


def parties(fleet):
    return {p["agent"]: p for p in fleet.admin.get("certificates/web01-web")["relying_parties"]}


def begin(fleet):
    """(campaign, its order, which waits for them)."""
    status, answer = fleet.bulk(service_pattern="web01.clara.vcc.internal", peer_proof=True)
    assert status == 202, answer
    campaign = answer["campaign_id"]

    def order():
        renewal_id = next((m["renewal_id"] for m in fleet.members(campaign) if m["renewal_id"]), None)
        return renewal_id and fleet.admin.get(f"renewals/{renewal_id}")
    return campaign, wait_for("the order waits", lambda: (o := order()) and o["phase"] in ("settled", "completed") and o, 60, 0.1)


def asked_of(host, order):
    return [m for m in host.looks if m["renewal_id"].hex() == order["renewal_id"].replace("-", "")]


def test_who_counts_is_found_behind_the_others(fleet):
    shown = parties(fleet)
    assert [n for n, p in shown.items() if p["counts"]] == ["z01", "z02"]
    campaign, order = begin(fleet)
    assert order["phase"] == "settled", "it waits for them"
    looks = [h.wait("it is asked", lambda h=h: asked_of(h, order))[0] for h in fleet.peers]
    assert not any(asked_of(h, order) for h in fleet.others)
    fleet.peers[0].saw(looks[0])
    wait_for("its word is kept", lambda: parties(fleet)["z01"]["proved"], 30, 0.1)
    assert fleet.admin.get(f"renewals/{order['renewal_id']}")["phase"] == "settled", "one of two"
    fleet.peers[1].saw(looks[1])
    c = fleet.wait_state(campaign, "completed")
    assert c["peer_unproved_count"] == 0
    status, answer = fleet.post("/api/v1/certificates/web01-web/peer-proof", {})
    assert status == 202 and (answer["asked"], answer["away"]) == (2, 0)
    assert fleet.admin.get("services/clara")["peer_proof"]["proved_count"] == 1


def test_a_bad_word_is_heard_from_behind_the_others(fleet):
    campaign, order = begin(fleet)
    look = fleet.peers[1].wait("it is asked", lambda: asked_of(fleet.peers[1], order))[0]
    fleet.peers[1].saw(look, -2041)
    fleet.wait_state(campaign, "completed_with_failures")
    assert "peer_refused" in fleet.admin.get(f"renewals/{order['renewal_id']}")["flags"]


@pytest.mark.parametrize("how", ["comes back", "answers"])
def test_nobody_else_is_asked_again(fleet, how):
    """The order itself asks anew after ten seconds, then after twice as long, and so on: eight times within ten minutes."""
    silent, other = fleet.peers
    campaign, order = begin(fleet)
    for h in fleet.peers:
        h.wait("it is asked", lambda h=h: asked_of(h, order))
    before = len(asked_of(silent, order))
    for i in range(25):
        n = len(asked_of(other, order))
        if how == "comes back":
            fleet.again(other)
            other.wait("it is asked again", lambda: len(asked_of(other, order)) > n)
        else:
            told = parties(fleet)["z02"]["judged_at"]
            other.saw(asked_of(other, order)[0], -2045)   # it does not rely on it, it says: no answer
            wait_for("its word is kept", lambda: parties(fleet)["z02"]["judged_at"] != told, 30, 0.02)
    assert len(asked_of(silent, order)) - before < 15
    other.saw(asked_of(other, order)[0])
    wait_for("its word is kept", lambda: parties(fleet)["z02"]["proved"], 30, 0.1)
    n = len(asked_of(other, order))
    fleet.again(other)
    wait_for("it is back", lambda: fleet.admin.get("agents/z02")["connected"], 30, 0.1)
    silent.saw(asked_of(silent, order)[0])
    fleet.wait_state(campaign, "completed")
    assert len(asked_of(other, order)) == n, "who has answered is not asked again"
