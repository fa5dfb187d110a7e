"""Peer proof with liars: a captured controller cannot make a host look at what its owner has not named, a captured link cannot speak for the host, and a
captured host can hold up only what its service is declared to rely on, says nothing that it was not asked, and moves nobody else's order."""
import hashlib
import os
import shutil
import socket
import threading
import time

import pytest
from campaign_fleet import CampaignFleet
from conftest import new_folder
from cryptography.hazmat.primitives.asymmetric import ec
from fake_ca import verify
from installation import free_port, wait_for, write
from keeper_host import KeeperHost, temporary
from wire_tables import body_decode, decode, encode, frame_read, frame_write

SETTLED = 1
CONNECT, STALE, OTHER, CHAIN, NAME, UNDECLARED = -2040, -2041, -2042, -2043, -2044, -2045


class Trap:
    """A port that counts who comes."""

    def __init__(self):
        self.port, self.came = free_port(), 0
        self.sock = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        try:
            while True:
                peer = self.sock.accept()[0]
                self.came += 1
                peer.close()
        except OSError:
            pass


# ---- the keeper, with a captured controller and link ----

@pytest.fixture(scope="module")
def host():
    h = KeeperHost(temporary())
    h.looks, h.saws = h.link.looks, []
    write(h.config, open(h.config).read() + f"[peer]\nrelies = other-web 127.0.0.1:{free_port()} other.vcc.internal, third-web 127.0.0.1:{free_port()} x.y\n")
    take = h.link.take

    def heard(kind, number, fields):
        if kind == "peer_saw":
            verify(h.link.host_key, "vcc peer saw v1", fields["body"], fields["signature"])
            h.saws.append(body_decode("peer_saw", fields["body"]))
        elif kind == "relies":
            verify(h.link.host_key, "vcc relies v1", fields["body"], fields["signature"])
            h.relies = body_decode("relies", fields["body"])
        take(kind, number, fields)
    h.link.take = heard
    h.start()
    h.link.receipt(h.renew(), SETTLED)
    yield h
    h.stop()
    shutil.rmtree(h.dir, ignore_errors=True)


@pytest.fixture(autouse=True)
def nothing_yet(request):
    if "host" in request.fixturenames:
        h = request.getfixturevalue("host")
        h.link.close()   # whatever was asked before is forgotten
        h.link.connect(h.socket)
        h.link.wait("it has told anew", lambda: hasattr(h, "relies"))
        h.looks.clear()
        h.saws.clear()


def look(host, cert_id="other-web", **more):
    fields = {"renewal_id": os.urandom(16), "attempt": 1, "cert_id": cert_id, "fingerprint": os.urandom(32), "old_serial": bytes(16), **more}
    host.link.send("peer_look", **fields)
    return fields


def link_saw(host, request, n=20, code=0, chain=b"", last=True):
    for i in range(n):
        frame_write(host.link.stream, encode("ipc-link", "peer_saw", 0, request=request, last=last and i == n - 1, code=code, text="", chain=chain))


def the_look(host, n=1):
    return host.link.wait("the link is asked", lambda: host.looks[n - 1] if len(host.looks) >= n else None, 30)


def the_answer(host, n=1):
    return host.link.wait("the host answers", lambda: host.saws[n - 1] if len(host.saws) >= n else None, 30)


def test_it_tells_what_its_owner_wrote(host):
    assert [r["cert_id"] for r in host.relies["rows"]] == ["other-web", "third-web"] and host.relies["rows"][0]["name"] == "other.vcc.internal"


def test_what_is_not_declared_is_refused(host):
    for n, cert_id in enumerate(("elsewhere-web", host.cert_id, "", "other-web2"), 1):
        asked = look(host, cert_id)
        said = the_answer(host, n)
        assert said["code"] == UNDECLARED and said["renewal_id"] == asked["renewal_id"] and said["handshakes"] == 0
    assert host.looks == [], "the link heard nothing of it"


def test_the_message_cannot_name_a_place(host):
    """There is no field for it, up to the link."""
    look(host)
    assert set(the_look(host)) == {"request", "cert_id", "handshakes"}


def test_a_link_that_lies(host):
    """Another certificate, half of one, noise, and words for questions that nobody asked. It can claim that nobody answered, and nothing better."""
    cas, key = host.link.cas, ec.generate_private_key(ec.SECP256R1())
    good = cas.leaf(key.public_key(), ["other.vcc.internal"], "other.vcc.internal")
    foreign = cas.leaf(key.public_key(), ["third.vcc.internal"], "third.vcc.internal")
    cases = [(good + cas.service.der, 0), (good, CHAIN), (good[:-9], OTHER), (b"\x30\x03\x02\x01\x01", OTHER), (b"", OTHER), (foreign + cas.service.der, OTHER),
             (good + good * 20, CHAIN)]
    for chain, code in cases:
        host.looks.clear()
        host.saws.clear()
        look(host, fingerprint=hashlib.sha256(good).digest())
        asked = the_look(host)
        link_saw(host, asked["request"] + 7, chain=good + cas.service.der)
        link_saw(host, asked["request"], n=asked["handshakes"], chain=chain)
        if code != 0:   # what is wrong is looked at twice
            again = the_look(host, 2)
            assert again["request"] != asked["request"]
            link_saw(host, asked["request"], chain=good + cas.service.der)   # late
            link_saw(host, again["request"], n=20, chain=chain)
        said = the_answer(host)
        assert said["code"] == code and said["handshakes"] == 20 and said["others"] == (0 if code == 0 else 20), (chain[:8], said)


def test_the_same_question_again_changes_nothing(host):
    asked = look(host)
    first = the_look(host)
    for _ in range(50):
        host.link.send("peer_look", **asked)
    link_saw(host, first["request"], code=CONNECT)
    link_saw(host, the_look(host, 2)["request"], code=CONNECT)
    assert the_answer(host)["code"] == CONNECT
    time.sleep(0.3)
    assert len(host.looks) == 2 and len(host.saws) == 1


def test_questions_do_not_wait_for_a_link_that_is_silent(host):
    """A newer question about the same replaces the older one; the host goes on renewing meanwhile."""
    look(host)
    the_look(host)
    newer = look(host)
    asked = the_look(host, 2)
    host.link.receipt(host.renew(), SETTLED)
    link_saw(host, asked["request"], code=CONNECT)
    link_saw(host, the_look(host, 3)["request"], code=CONNECT)
    assert the_answer(host)["renewal_id"] == newer["renewal_id"]


# ---- the link, with a captured keeper ----

def test_the_link_looks_only_at_what_its_file_says():
    """Even the keeper cannot send it elsewhere, nor make it come more often than it should."""
    folder, trap = new_folder("peer-link"), Trap()
    fleet = CampaignFleet(folder)
    try:
        fleet.init()
        fleet.start()
        host = fleet.prepare_echo(0)
        host.enrol({"agent.peer.relies": f"there-web 127.0.0.1:{trap.port} there.vcc.internal"})
        fleet.wait_served(host)
        host.processes["keeper"].stop()
        path = os.path.join(host.dir, "run", "keeper.sock")
        if os.path.exists(path):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(4)
            listener.settimeout(30)
            peer, _ = listener.accept()
            peer.settimeout(30)
            with peer, peer.makefile("rwb") as stream:
                def ask(cert_id, handshakes):
                    frame_write(stream, encode("ipc-link", "peer_look", 0, request=ask.n, cert_id=cert_id, handshakes=handshakes))
                    said = []
                    while not said or not said[-1]["last"]:
                        kind, _, fields = decode("ipc-link", frame_read(stream))
                        if kind == "peer_saw" and fields["request"] == ask.n:
                            said.append(fields)
                    ask.n += 1
                    return said
                ask.n = 1
                for cert_id in ("elsewhere-web", "", f"127.0.0.1:{trap.port}"):
                    assert [s["code"] for s in ask(cert_id, 20)] == [UNDECLARED]
                assert trap.came == 0
                said = ask("there-web", 3)
                assert [s["code"] for s in said] == [CONNECT] * 3
                wait_for("three came", lambda: trap.came >= 3)
                assert trap.came == 3
                assert len(ask("there-web", 4_000_000_000)) == 1, "too many are none of its business"
    finally:
        fleet.end()


# ---- the controller, with a captured host ----

@pytest.fixture(scope="module")
def fleet():
    f = CampaignFleet(new_folder("peer-liars"), settings={"controller.bulk.pause": "0s", "controller.bulk.peer_wait": "60s", "controller.supersede.grace": "1h",
                                                          "controller.limits.approval_share": "100%"})
    try:
        f.begin()
        assert f.admin("POST", "/api/v1/services", {"name": "covina", "depends_on": ["clara"]})[0] == 202
        f.web, f.peer, f.liar = f.host_of("web01"), f.host_of("covina01", "covina"), f.host_of("vpb01", "vpb")
        yield f
    finally:
        f.end()


def parties(fleet, cert_id="web01-web"):
    return {p["agent"]: p for p in fleet.admin.get(f"certificates/{cert_id}")["relying_parties"]}


def begin(fleet):
    status, answer = fleet.bulk(service_pattern="web01.clara.vcc.internal", peer_proof=True)
    assert status == 202, answer
    return answer["campaign_id"]


def order_of(fleet, campaign_id):
    return next((m["renewal_id"] for m in fleet.members(campaign_id) if m["renewal_id"]), None)


def waits(fleet, campaign_id):
    return wait_for("the order waits", lambda: (i := order_of(fleet, campaign_id)) and (o := fleet.admin.get(f"renewals/{i}"))["phase"] == "settled" and o, 30, 0.1)


def test_only_declared_words_count(fleet):
    """A host whose service relies on nothing of clara's, words about what it never declared, of another order, with another key, without a meaning."""
    web, peer, liar = fleet.web, fleet.peer, fleet.liar
    peer.relies(("web01-web", "127.0.0.1:443", "web01.clara.vcc.internal"))
    liar.relies(("web01-web", "127.0.0.1:443", "web01.clara.vcc.internal"))
    wait_for("both are known", lambda: len(parties(fleet)) == 2, 30, 0.1)
    assert parties(fleet)["covina01"]["counts"] and not parties(fleet)["vpb01"]["counts"]
    peer.sees = lambda h, m: None
    campaign_id = begin(fleet)
    order = waits(fleet, campaign_id)
    asked = peer.wait("it is asked", lambda: next((m for m in peer.looks), None))
    assert asked["cert_id"] == "web01-web" and asked["fingerprint"].hex() == order["new_certificate"]["fingerprint"]
    assert liar.looks == []
    liar.saw(asked, STALE)                                          # nobody asked it
    web.saw(asked, STALE)                                           # it never declared anything
    peer.saw(asked, STALE, key=ec.generate_private_key(ec.SECP256R1()))
    peer.saw(asked, -3700)                                          # no such verdict
    peer.saw(asked, STALE, attempt=asked["attempt"] + 1)
    peer.saw(asked, STALE, fingerprint=os.urandom(32))
    peer.saw(asked, STALE, renewal_id=os.urandom(16))
    peer.saw(asked, STALE, renewal_id=bytes(16))                    # as if a person had asked
    peer.saw(asked, STALE, cert_id="vpb01-web")
    peer.send("peer_saw", 1, body=b"\x80", signature=b"x")
    time.sleep(1)
    assert fleet.admin.get(f"renewals/{order['renewal_id']}")["phase"] == "settled"
    assert parties(fleet)["covina01"]["judged_at"] is None, "of all that nothing is kept"
    refused = fleet.admin("POST", f"/api/v1/renewals/{order['renewal_id']}/cancel", {})
    assert refused[0] == 409 and refused[1]["code"] == "VCC-3016", "what cannot be called off any more is refused, not passed over"
    peer.saw(asked)
    fleet.wait_state(campaign_id, "completed")
    order = fleet.admin.get(f"renewals/{order['renewal_id']}")
    assert order["status"] == "completed" and [p["agent"] for p in order["relying_parties"]] == ["covina01", "vpb01"][:len(order["relying_parties"])]
    refused = fleet.rows("SELECT count(*) FROM audit WHERE event = 'agent_message_refused' AND object IN ('covina01', 'web01')")[0][0]
    assert refused >= 1


def test_late_words_move_nothing(fleet):
    peer = fleet.peer
    peer.sees = lambda h, m: 0
    campaign_id = begin(fleet)
    fleet.wait_state(campaign_id, "completed")
    asked, before = peer.looks[-1], fleet.cert("web01-web")["fingerprint"]
    peer.saw(asked, STALE)
    time.sleep(1)
    assert fleet.cert("web01-web")["fingerprint"] == before
    assert fleet.admin.get(f"renewals/{order_of(fleet, campaign_id)}")["status"] == "completed"
    assert parties(fleet)["covina01"]["proved"] is True


def test_both_must_have_seen_it(fleet):
    """A second host of the same service relies on it, too: the first one's word is not enough."""
    second = fleet.host_of("web02")
    second.sees = lambda h, m: None
    second.relies(("web01-web", "127.0.0.1:443", "web01.clara.vcc.internal"))
    wait_for("it is known", lambda: "web02" in parties(fleet), 30, 0.1)
    fleet.peer.sees = lambda h, m: 0
    campaign_id = begin(fleet)
    order = waits(fleet, campaign_id)
    wait_for("the first has seen it", lambda: parties(fleet)["covina01"]["renewal_id"] == order["renewal_id"], 30, 0.1)
    time.sleep(0.5)
    assert fleet.admin.get(f"renewals/{order['renewal_id']}")["phase"] == "settled"
    second.saw(second.wait("it is asked", lambda: next((m for m in second.looks if m["renewal_id"].hex() == order["renewal_id"].replace("-", "")), None)))
    fleet.wait_state(campaign_id, "completed")
    second.relies()
    wait_for("it withdraws", lambda: "web02" not in parties(fleet), 30, 0.1)


def ask(fleet, host):
    """A person asks; the question as it comes to the host."""
    seen = len(host.looks)
    status, answer = fleet.post("/api/v1/certificates/web01-web/peer-proof", {})
    assert status == 202, answer
    return host.wait("it is asked", lambda: host.looks[-1] if len(host.looks) > seen else None)


def test_an_answer_is_to_one_question(fleet):
    """Who kept a good answer on the way has none for the next question of a person."""
    peer = fleet.peer
    peer.sees = lambda h, m: None
    first = ask(fleet, peer)
    peer.saw(first)
    told = wait_for("it is told", lambda: (p := parties(fleet)["covina01"])["proved"] and p["renewal_id"] is None and p, 30, 0.1)
    second = ask(fleet, peer)
    assert second["renewal_id"] != first["renewal_id"] and second["fingerprint"] == first["fingerprint"]
    peer.saw(first, OTHER)
    peer.saw(second, renewal_id=os.urandom(16))
    peer.saw(second, cert_id="vpb01-web")
    time.sleep(0.5)
    assert parties(fleet)["covina01"]["judged_at"] == told["judged_at"]
    peer.saw(second, OTHER)
    peer.saw(second)                                                # the first word to a question is the one
    wait_for("the second answer is told", lambda: (p := parties(fleet)["covina01"])["proved"] is False and p["code"] == "VCC-2042", 30, 0.1)
    seen = len(peer.looks)
    fleet.processes["controller"].kill()
    fleet.processes["controller"].start()
    fleet.wait_up()
    fleet.gateways[0].connect()
    peer.saw(second)
    time.sleep(0.5)
    assert parties(fleet)["covina01"]["proved"] is False and len(peer.looks) == seen, "nobody asks any more"


def test_a_person_takes_no_answer_from_an_order(fleet):
    """Asked while an order waits for others, who has answered already answers for the order."""
    second = fleet.host_of("web03")
    second.sees = lambda h, m: None
    second.relies(("web01-web", "127.0.0.1:443", "web01.clara.vcc.internal"))
    wait_for("it is known", lambda: "web03" in parties(fleet), 30, 0.1)
    fleet.peer.sees = lambda h, m: 0
    campaign_id = begin(fleet)
    order = waits(fleet, campaign_id)
    wait_for("the first has seen it", lambda: parties(fleet)["covina01"]["renewal_id"] == order["renewal_id"], 30, 0.1)
    asked = ask(fleet, fleet.peer)
    assert asked["renewal_id"].hex() == order["renewal_id"].replace("-", "")
    time.sleep(0.5)
    assert parties(fleet)["covina01"]["renewal_id"] == order["renewal_id"]
    second.saw(next(m for m in second.looks if m["renewal_id"] == asked["renewal_id"]))
    fleet.wait_state(campaign_id, "completed")
    second.relies()
    wait_for("it withdraws", lambda: "web03" not in parties(fleet), 30, 0.1)


@pytest.mark.parametrize("incident", ["other", "key_compromise"])
def test_an_emergency_does_not_wait_for_them(fleet, incident):
    """What is proved on its host counts, and what is to have a fresh key gets it at once; of the two that were in use nothing bad is left."""
    fleet.peer.sees = lambda h, m: None
    before = fleet.cert("web01-web")["serial"]
    campaign_id = begin(fleet)
    order = waits(fleet, campaign_id)
    brought = fleet.cert("web01-web")["serial"]
    status, e = fleet.emergency(certificate_ids=["web01-web"], incident_type=incident, revoke_old="now")
    assert status == 200 and e["status"] == "completed" and e["successful_count"] == 1, e
    told = fleet.admin.get(f"renewals/{order['renewal_id']}")
    assert told["status"] == "completed" and "peer_unproved" in told["flags"] and told["error"]["code"] == "VCC-2046", told
    assert fleet.wait_state(campaign_id, "completed")["peer_unproved_count"] == 1
    cert = fleet.cert("web01-web")
    assert cert["status"] == "active" and (cert["serial"] == brought) == (incident == "other"), cert
    states = dict(fleet.rows("SELECT hex(serial), state FROM issuances WHERE owner_id = 'web01-web'"))
    assert states[before] == "revoked" and states[brought] == ("active" if incident == "other" else "revoked")


def test_evicted_and_it_counts_no_more(fleet):
    fleet.peer.sees = lambda h, m: None
    campaign_id = begin(fleet)
    order = waits(fleet, campaign_id)
    assert fleet.admin("POST", "/api/v1/agents/covina01/evict", {})[0] == 200
    wait_for("it counts no more", lambda: not parties(fleet)["covina01"]["counts"], 30, 0.1)
    assert fleet.admin.get(f"renewals/{order['renewal_id']}")["phase"] == "settled", "nobody's silence is a proof"
