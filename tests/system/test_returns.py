"""The controller's side of a return: who is given a new identity for a host key's signature, and with which code everybody else is refused."""
import hashlib
import os
import shutil
import signal
import time

import checks
import pytest
from conftest import new_folder
from cryptography.hazmat.primitives.asymmetric import ec
from fake_ca import signed, spki
from fake_gateway import FakeHost, now_ms
from installation import wait_for
from played_fleet import PlayedFleet
from wire_tables import body_encode, encode

UNKNOWN, STALE, SIGNATURE, PIN, EVICTED, BANNED, RATE = -3230, -3231, -3232, -2300, -3206, -3207, -3204
PAUSE = 5.2  # a host gets no second certificate for another link key sooner


@pytest.fixture(scope="module")
def ctl():
    path = new_folder("returns")
    inst = PlayedFleet(path)
    try:
        inst.init()
        inst.start_both()
        yield inst
    finally:
        for g in inst.gateways:
            g.close()
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def gw(ctl):
    return ctl.gateway()


@pytest.fixture(scope="module")
def hosts(ctl, gw):
    """Three that joined, longer ago than the pause."""
    all = [FakeHost(name) for name in ("back01", "back02", "back03")]
    for host in all:
        assert host.join(gw, ctl.invite(host.name))["code"] == 0
    time.sleep(PAUSE)
    return all


def key():
    return ec.generate_private_key(ec.SECP256R1())


def issued(ctl):
    return checks.rows(ctl.facts_db(), "SELECT count(*) FROM issuances WHERE owner = 'agent'")[0][0]


def audited(ctl, host):
    return checks.rows(ctl.facts_db(), "SELECT count(*) FROM audit WHERE event = 'agent_returned' AND object = ?", host.name)[0][0]


def test_nobody_else_gets_one(ctl, gw, hosts):
    """Each row: what is said, and the code. Nothing is issued, nothing changes."""
    host, other, _ = hosts
    stranger = FakeHost("nobody01")
    before = issued(ctl)
    rows = [
        ("another host key signs", {"host_key": key()}, UNKNOWN),
        ("another agent's host key signs", {"host_key": other.host_key}, UNKNOWN),
        ("the link key signs for the host key", {"host_key": host.link_key}, UNKNOWN),
        ("another agent is named outside", {"agent": other.name}, UNKNOWN),
        ("another agent is named inside", {"name": other.name}, UNKNOWN),
        ("another host key is named inside", {"host_hash": other.host_hash}, UNKNOWN),
        ("an agent that is not there", {"agent": "nobody99", "name": "nobody99"}, UNKNOWN),
        ("no name at all", {"agent": "No Name!"}, UNKNOWN),
        ("another link key is named than signs", {"link_spki": spki(key())}, SIGNATURE),
        ("another link key signs", {"link_key": key()}, SIGNATURE),
        ("a link key that is none", {"link_spki": b"0" * 91}, SIGNATURE),
        ("a link key of another type", {"link_spki": spki(ec.generate_private_key(ec.SECP384R1()))}, SIGNATURE),
        ("another root is trusted", {"pin": "sha256:" + "5a" * 32}, PIN),
        ("no challenge", {"challenge": b"x"}, STALE),
        ("one of nobody", {"challenge": os.urandom(40)}, STALE),
        ("one that another agent was given", {"challenge": other.challenge(gw)}, STALE),
    ]
    pin = ctl.pin
    for what, lies, code in rows:
        lies = dict(lies)
        reply = host.come_back(gw, lies.pop("pin", pin), **lies)
        assert reply["code"] == code and not reply["certificate"] and not reply["bundle"], (what, reply["code"])
    assert stranger.come_back(gw, pin)["code"] == UNKNOWN
    assert issued(ctl) == before and audited(ctl, host) == 0


def test_what_was_signed_for_something_else(ctl, gw, hosts):
    """The host key's signature under a join, a request or a receipt is no request to return."""
    host = hosts[0]
    challenge = host.challenge(gw)
    body = body_encode("return", pin=bytes.fromhex(ctl.pin.removeprefix("sha256:")), name=host.name, host_hash=host.host_hash,
                       link_spki=spki(host.link_key), challenge=challenge, made_at=now_ms(), version="test")
    for label in ("vcc join v1", "vcc csr v1", "vcc identity v1", "vcc receipt v1"):
        frame = encode("ipc-join", "return", 0, agent=host.name, body=body, host_signature=signed(host.host_key, label, body),
                       link_signature=signed(host.link_key, "vcc return v1", body))
        assert gw.join_reply(gw.post_join(frame))["code"] == UNKNOWN
    frame = encode("ipc-join", "return", 0, agent=host.name, body=b"\x80", host_signature=signed(host.host_key, "vcc return v1", b"\x80"), link_signature=b"")
    assert gw.join_reply(gw.post_join(frame))["code"] == SIGNATURE, "signed by the host, and still no request"


def test_one_identity_and_its_repeats(ctl, gw, hosts):
    """A lost reply: the same link key gets the same certificate, however often it is asked. A replay gets no more than that."""
    host = hosts[1]
    before, first = issued(ctl), host.identity.serial_number
    host.link_key = key()
    challenge = host.challenge(gw)
    frame = host.return_body(ctl.pin, challenge)
    replies = [gw.join_reply(gw.post_join(frame)) for _ in range(3)]
    assert [r["code"] for r in replies] == [0, 0, 0]
    assert len({r["certificate"] for r in replies}) == 1 and issued(ctl) == before + 1
    host.joined(replies[0])
    assert host.identity.serial_number != first and spki(host.identity.public_key()) == spki(host.link_key)
    assert replies[0]["agent"] == host.name and replies[0]["address"] and replies[0]["bundle"]
    assert audited(ctl, host) == 1
    # another link key at once: later
    own = host.link_key
    host.link_key = key()
    assert host.come_back(gw, ctl.pin)["code"] == RATE
    time.sleep(PAUSE)
    assert host.come_back(gw, ctl.pin)["code"] == 0
    # the first request once more, with another link key as current: the challenge is still young, so what it gets is for the key of that
    # request, of which the private half is gone or the sender's own
    time.sleep(PAUSE)
    again = gw.join_reply(gw.post_join(frame))
    assert again["code"] == 0 and spki(own) in again["certificate"]
    gw.up(host)
    host.wait("hello is welcome", lambda: host.welcomes)


def test_a_request_of_the_past_is_worth_nothing(ctl, gw, hosts):
    """The controller was started anew: what was signed for its last run does not count."""
    host = hosts[2]
    frame = host.return_body(ctl.pin, host.challenge(gw))
    ctl.processes["controller"].kill()
    ctl.processes["controller"].start()
    ctl.wait_up()
    gw.connect()
    assert gw.join_reply(gw.post_join(frame))["code"] == STALE
    host.link_key = key()
    assert host.come_back(gw, ctl.pin)["code"] == 0


def test_evicted_and_banned(ctl, gw, hosts):
    """F35: the code says what can be done; a host that took the name does not let the old one in."""
    gone, bad = hosts[0], hosts[1]
    ctl.vccctl("agent", "evict", gone.name)
    ctl.vccctl("agent", "ban", bad.name)
    before = issued(ctl)
    for host, code in ((gone, EVICTED), (bad, BANNED)):
        host.link_key = key()
        for _ in range(2):
            assert host.come_back(gw, ctl.pin)["code"] == code
        assert host.come_back(gw, ctl.pin, host_key=key())["code"] == UNKNOWN, "who is not the host learns nothing of its state"
    new = FakeHost(gone.name)
    assert new.join(gw, ctl.invite(gone.name))["code"] == 0
    assert gone.come_back(gw, ctl.pin)["code"] == UNKNOWN
    assert issued(ctl) == before + 1
    time.sleep(PAUSE)
    new.link_key = key()
    assert new.come_back(gw, ctl.pin)["code"] == 0
    assert hashlib.sha256(spki(new.host_key)).digest() == new.host_hash


def test_evicted_while_the_signer_works(ctl, gw, hosts):
    """The eviction wins: the certificate that was under way is revoked, and nobody gets it."""
    host, signer = hosts[2], ctl.processes["signer"]
    time.sleep(PAUSE)
    host.link_key = key()
    signer.kill(signal.SIGSTOP, wait=False)
    try:
        number = gw.post_join(host.return_body(ctl.pin, host.challenge(gw)))
        wait_for("the intent is stored", lambda: audited(ctl, host) >= 2, 20)
        later = host.come_back(gw, ctl.pin)
        assert later["code"] == RATE, "one at a time"
        ctl.vccctl("agent", "evict", host.name)
    finally:
        signer.kill(signal.SIGCONT, wait=False)
    assert gw.join_reply(number)["code"] == EVICTED
    assert checks.rows(ctl.facts_db(), "SELECT count(*) FROM issuances WHERE owner_id = ? AND state NOT IN ('revoked', 'void')", host.name) == [(0,)]
