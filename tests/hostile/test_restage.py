"""A captured gateway asks a host for one next key after the other (no signature covers that word). Does the host make them only as often as its own file says,
leave nothing of them behind, and renew meanwhile?"""
import hashlib
import os
import shutil
import time

import pytest
from cryptography import x509
from fake_ca import spki, verify
from keeper_host import KeeperHost, temporary
from wire_tables import body_decode

SETTLED = 1
APART_S = 3       # keeper.stage_after
FLOOD_S = 10
P256, P384 = 0, 1


@pytest.fixture(scope="module")
def host():
    h = KeeperHost(temporary())
    h.offers = {}     # key hash -> when it came
    with open(h.config, "a") as f:
        f.write(f"stage_after = {APART_S}s\n")
    take = h.link.take

    def heard(kind, number, fields):
        if kind == "stage":
            verify(h.link.host_key, "vcc stage v1", fields["body"], fields["signature"])
            csr = x509.load_der_x509_csr(body_decode("stage", fields["body"])["csr"])
            h.offers.setdefault(hashlib.sha256(spki(csr)).digest(), time.monotonic())
            h.link.send("ack", id=number)
        take(kind, number, fields)
    h.link.take = heard
    h.start()
    h.link.receipt(h.renew(), SETTLED)
    h.link.wait("a next key is offered", lambda: h.offers, 60)
    yield h
    h.stop()
    shutil.rmtree(h.dir, ignore_errors=True)


def staged_files(host):
    return [n for n in os.listdir(f"{host.dir}/keeper/keys") if n.endswith("-0.pem")]


def flood(host, seconds, words):
    """How many other keys came, and how long it took."""
    before, began, n = set(host.offers), time.monotonic(), 0
    while time.monotonic() < began + seconds:
        host.link.send("restage", cert_id=host.cert_id, spread_ms=0, **words(n))
        n += 1
        time.sleep(0.05)
    return len(set(host.offers) - before), time.monotonic() - began


@pytest.mark.parametrize("words", [lambda n: {"wanted": True, "key_type": P256}, lambda n: {"wanted": True, "key_type": (P256, P384)[n % 2]},
                                   lambda n: {"wanted": n % 2 == 0, "key_type": P256}], ids=["again", "another type", "none, and one again"])
def test_keys_are_made_apart(host, words):
    keys, took = flood(host, FLOOD_S, words)
    assert keys <= took / APART_S + 2, f"{keys} keys in {took:.1f} s"
    assert len(staged_files(host)) <= 2, "one that is kept, and one that is being made"


def test_it_renews_meanwhile_and_stages_afterwards(host):
    host.link.send("restage", cert_id=host.cert_id, wanted=True, key_type=P256, spread_ms=0)
    key = host.renew()
    flood(host, 2, lambda n: {"wanted": True, "key_type": P256})
    host.link.receipt(key, SETTLED)
    assert host.check_set() == host.served() == host.link.orders[key]["fingerprint"]
    before = set(host.offers)
    host.link.send("restage", cert_id=host.cert_id, wanted=True, key_type=P256, spread_ms=0)
    host.link.wait("the next key is offered", lambda: set(host.offers) - before, 60)
    assert len(staged_files(host)) == 1
