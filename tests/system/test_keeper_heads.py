"""One host as a witness of the audit trail: which heads it keeps, what it says of one that contradicts, and that a kill or a damaged file does not
silence it."""
import hashlib
import os
import shutil
import struct

import pytest
from fake_ca import Authorities, now, signed
from installation import wait_for
from keeper_host import KeeperHost, temporary

CONTRADICTS = -3752


@pytest.fixture(scope="module")
def host():
    h = KeeperHost(temporary())
    assert h.join()["code"] == 0
    h.start_keeper()
    yield h
    h.stop()
    shutil.rmtree(h.dir, ignore_errors=True)


def root(text):
    return hashlib.sha256(text.encode()).digest()


def show(host, signed_size, text, by=None, **lies):
    """Sends a head; the keeper's answer."""
    by = by or host.link.cas.agent
    at = int(now() * 1000)
    body = struct.pack(">Q", signed_size) + root(text) + struct.pack(">Q", at)
    fields = {"size": signed_size, "root": root(text), "at": at, "certificate": by.der, "signature": signed(by.key, "vcc audit head v1", body)}
    fields.update(lies)
    number = host.link.send("head", **fields)
    return host.link.wait("the keeper answers", lambda: host.link.acks.get(number), 20)["code"]


def kept(host):
    return [(h["size"], h["root"]) for h in host.link.status(host.socket)["audit_heads"]]


def test_good_heads_are_kept_and_told_in_the_hello(host):
    assert kept(host) == []
    for size in (10, 12, 19, 30, 31):
        assert show(host, size, f"tree {size}") == 0
    assert kept(host) == [(s, root(f"tree {s}").hex()) for s in (31, 30, 19, 12)]
    assert show(host, 30, "tree 30") == 0
    host.restart_keeper()
    host.link.wait("hello", lambda: host.link.hello and host.link.hello["head_size"] == 31)
    assert host.link.hello["head_root"] == root("tree 31")
    assert kept(host)[0][0] == 31
    assert "audit_code" not in host.link.status(host.socket)


@pytest.mark.parametrize("size,text", [(31, "another"), (19, "another"), (29, "tree 29"), (1, "tree 1")])
def test_a_contradiction_is_told_and_changes_nothing(host, size, text):
    before = kept(host)
    assert show(host, size, text) == CONTRADICTS
    assert kept(host) == before
    assert host.link.status(host.socket)["audit_code"] == "VCC-3752"


def test_what_nobody_signed_is_not_believed(host):
    before = kept(host)
    assert show(host, 40, "tree 40", by=Authorities().agent) not in (0, CONTRADICTS)
    assert show(host, 40, "tree 40", size=41) not in (0, CONTRADICTS)
    assert show(host, 40, "tree 40", root=root("other")) not in (0, CONTRADICTS)
    assert show(host, 40, "tree 40", signature=b"\0" * 70) not in (0, CONTRADICTS)
    assert show(host, 40, "tree 40", certificate=b"") not in (0, CONTRADICTS)
    assert show(host, 40, "tree 40", certificate=host.link.cas.agent.der[:-1]) not in (0, CONTRADICTS)
    leaf = host.link.cas.identity(host.link.cas.service.key.public_key(), "clara01", b"\1" * 32)

    class Leaf:  # a host's own certificate is no authority
        der, key = leaf, host.link.cas.service.key
    assert show(host, 40, "tree 40", by=Leaf) not in (0, CONTRADICTS)
    assert kept(host) == before


def test_a_damaged_file_is_told_and_costs_only_the_memory(host):
    path = next(os.path.join(d, "heads") for d, _, files in os.walk(host.dir) if "heads" in files)
    host.link.close()
    host.processes["keeper"].stop()
    with open(path, "r+b") as f:
        f.seek(50)
        f.write(b"\xff\xff")
    host.start_keeper()
    host.link.wait("hello", lambda: host.link.hello and host.link.hello["head_size"] == 0)
    assert "heads" in host.log("keeper")
    assert show(host, 50, "tree 50") == 0
    wait_for("it is kept", lambda: kept(host) == [(50, root("tree 50").hex())])
