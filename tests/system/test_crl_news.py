"""Do hosts hear that other revocation lists are published, once for a burst and after each welcome, and can they get exactly the ones that they heard of?"""
import hashlib
import shutil
import time
import urllib.error
import urllib.request

import pytest
from conftest import new_folder
from cryptography.hazmat.primitives.serialization import Encoding
from fake_gateway import FakeHost
from installation import wait_for
from played_fleet import PlayedFleet

NAMES = "DNS:{0}.clara.vcc.internal"
MANY = 110  # more than are told in one turn


@pytest.fixture(scope="module")
def ctl():
    path = new_folder("crl-news")
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


def get(ctl, path):
    """Bytes, or the HTTP status."""
    try:
        return urllib.request.urlopen(ctl.public_url + path, timeout=10).read()
    except urllib.error.HTTPError as e:
        return e.code


def quiet(ctl, *hosts, seconds=6):
    """Until nothing is told any more; gives the lists as they are then."""
    def count():
        return sum(len(h.lists) for h in hosts)
    wait_for("something was told", count, 30)
    n, since = count(), time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.1)
        if count() != n:
            n, since = count(), time.monotonic()
    return get(ctl, "/crl/all.pem")


def hash_of(data):
    return hashlib.sha256(data).digest()


def certificate(ctl, gw, name):
    host = ctl.host(gw, name)
    host.target(f"{name}-web", "clara", "clara_service_auth", NAMES.format(name))
    ctl.wait_done(f"{name}-web")
    host.wait("receipts are acked", lambda: not host.receipts)
    return host


def test_told_after_the_welcome(ctl, gw):
    first = certificate(ctl, gw, "news01")
    lists = quiet(ctl, first)
    told = first.lists[-1]
    assert told["hash"] == hash_of(lists) and told["size"] == len(lists) and abs(told["made_at"] / 1000 - time.time()) < 60
    later = ctl.host(gw, "news02")
    assert later.wait("told", lambda: later.lists)[0]["hash"] == told["hash"]
    n = len(later.lists)
    gw.up(later)  # a new connection has its own welcome
    later.wait("told again", lambda: len(later.lists) > n)
    assert later.lists[-1]["hash"] == told["hash"] and later.lists[-1]["spread_ms"] <= 2


def test_what_was_told_can_be_had(ctl, gw):
    host = certificate(ctl, gw, "had01")
    lists = quiet(ctl, host)
    assert get(ctl, f"/crl/all.pem?sha256={hash_of(lists).hex()}") == lists
    for wrong in ("0" * 64, hash_of(lists).hex()[:-1], hash_of(lists).hex() + "0", "", "x" * 64):
        assert get(ctl, f"/crl/all.pem?sha256={wrong}") == 404
    ctl.vccctl("cert", "revoke", "had01-web", "--reason", "superseded")
    host.wait("told", lambda: host.lists[-1]["hash"] != hash_of(lists))
    told = host.lists[-1]
    assert hash_of(get(ctl, f"/crl/all.pem?sha256={told['hash'].hex()}")) == told["hash"]
    assert get(ctl, f"/crl/all.pem?sha256={hash_of(lists).hex()}") == lists, "who heard of them a moment ago still gets them"


def test_a_burst_is_one_piece_of_news(ctl, gw):
    hosts = [certificate(ctl, gw, f"burst{i:02d}") for i in range(4)]
    quiet(ctl, *hosts)
    before, begun = [len(h.lists) for h in hosts], time.monotonic()
    for h in hosts:
        ctl.vccctl("cert", "revoke", f"{h.name}-web", "--reason", "superseded")
    took = time.monotonic() - begun
    lists = quiet(ctl, *hosts)
    for h, n in zip(hosts, before):
        assert 1 <= len(h.lists) - n <= 2 + took / 5, "not one for each list that changed"
        assert h.lists[-1]["hash"] == hash_of(lists)


def test_the_api_knows_who_has_the_newest(ctl, gw):
    host = certificate(ctl, gw, "api01")
    lists = quiet(ctl, host)
    fields = {"renewal_id": bytes(16), "attempt": 0, "cert_id": "api01-web"}

    def current(name="api01-web"):
        return ctl.vccctl("target", "show", name)["crl_current"]

    assert current() is None
    host.receipt(fields, 1, host.served["api01-web"].public_bytes(Encoding.DER), stem="web", reason=2, trust_epoch=1, trust_proof=1, crl_hash=hash_of(lists))
    wait_for("they are the newest", lambda: current() is True, 20)
    listed = next(t for t in ctl.vccctl("target", "list") if t["target_id"] == "api01-web")
    assert listed["crl_current"] is True and ctl.cert("api01-web")["targets"][0]["crl_current"] is True
    assert ctl.vccctl("agent", "show", "api01")["targets"][0]["crl_current"] is True
    ctl.vccctl("cert", "revoke", "news01-web", "--reason", "superseded")
    wait_for("there are newer ones", lambda: current() is False, 20)


def test_everybody_is_told(ctl, gw):
    """In turns, and named a time to spread over."""
    hosts = []
    for i in range(MANY):
        host = FakeHost(f"many{i:03d}")
        assert host.join(gw, ctl.invite(host.name))["code"] == 0
        gw.up(host)
        hosts.append(host)
    for h in hosts:
        h.wait("welcome", lambda h=h: h.welcomes and h.lists)
    victim = certificate(ctl, gw, "victim")
    quiet(ctl, victim)
    before = victim.lists[-1]["hash"]
    ctl.vccctl("cert", "revoke", "victim-web", "--reason", "keyCompromise")
    victim.wait("told", lambda: victim.lists[-1]["hash"] != before)
    told = victim.lists[-1]
    for h in hosts:
        h.wait("told", lambda h=h: h.lists[-1]["hash"] == told["hash"])
    assert all(MANY // 2 <= h.lists[-1]["spread_ms"] <= 5000 for h in hosts)
    gw.down(hosts[0].session)
    hosts[0].session = None
    n = len(hosts[0].lists)
    other = certificate(ctl, gw, "victim2")
    ctl.vccctl("cert", "revoke", "victim2-web", "--reason", "keyCompromise")
    other.wait("told", lambda: other.lists[-1]["hash"] not in (told["hash"], before))
    assert len(hosts[0].lists) == n, "who is away hears it after the welcome"
    gw.up(hosts[0])
    hosts[0].wait("told", lambda: hosts[0].lists[-1]["hash"] == other.lists[-1]["hash"])


def test_told_again_after_a_restart(ctl, gw):
    """What is told is not stored: it is told again to everybody who is there. The lists are still the same, down to the last byte."""
    host = certificate(ctl, gw, "again01")
    lists = quiet(ctl, host)
    n = len(host.lists)
    ctl.processes["controller"].kill()
    ctl.processes["controller"].start()
    ctl.wait_up()
    gw.connect()
    host.wait("told again", lambda: len(host.lists) > n)
    assert quiet(ctl, host) == lists, "a restart reloads no service for nothing"
    assert {m["hash"] for m in host.lists[n:]} == {hash_of(lists)}
    assert get(ctl, f"/crl/all.pem?sha256={hash_of(lists).hex()}") == lists
