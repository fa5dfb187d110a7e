"""Joining, the keeper's half: what a lying server, a wrong pin or a kill in the middle leave behind."""
import os
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fake_ca import Authorities, spki
from fake_link import FakeLink, Failed
from installation import ROOT
from keeper_host import temporary
from wire_tables import body_encode, decode, encode, frame_read, frame_write

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
KEEPER = os.path.join(FAULTS, "vcc-keeper")


@pytest.fixture
def folder():
    if not os.path.exists(KEEPER):
        pytest.skip("make faults has not been run")
    path = temporary()
    yield path
    shutil.rmtree(path, ignore_errors=True)


def join(link, folder, **more):
    return link.join(KEEPER, "--state-dir", folder, **more)


def host_key(folder):
    path = f"{folder}/keeper/host.key"
    return open(path).read() if os.path.exists(path) else None


def test_join_writes_its_state_once(folder):
    link = FakeLink()
    done = join(link, folder)
    assert done["code"] == 0 and done["agent"] == "clara01" and done["root"] == link.cas.root.der
    key = host_key(folder)
    assert "PRIVATE KEY" in key and os.stat(f"{folder}/keeper/host.key").st_mode & 0o777 == 0o600
    assert os.stat(f"{folder}/keeper").st_mode & 0o777 == 0o700
    # not welcomed yet: the link may have lost the answer, so the same host may repeat
    assert join(link, folder)["code"] == 0
    assert host_key(folder) == key, "the host key stays"
    other = FakeLink(link.cas, "clara02")
    assert join(other, folder)["code"] == -3205, "another name is another host"


def test_wrong_pin(folder):
    link = FakeLink()
    link.cas.root.der, good = Authorities().root.der, link.cas.root.der
    pin = __import__("hashlib").sha256(good).digest()
    type(link.cas).pin, kept = property(lambda self: pin), type(link.cas).pin
    try:
        assert join(link, folder)["code"] == -2300
    finally:
        type(link.cas).pin = kept
    assert host_key(folder) is None, "nothing was made for a stranger"


@pytest.mark.parametrize("token", ["", "vcc_join_AAAA", "vcc_pat_" + "A" * 48, "vcc_join_" + "é" * 20])
def test_wrong_token(folder, token):
    link = FakeLink()
    p = subprocess.Popen([KEEPER, "join", "--state-dir", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    frame_write(p.stdin, encode("ipc-link", "join_start", 0, token=token, pin=link.cas.pin, root=link.cas.root.der, link_spki=spki(link.link_key),
                                link_version="test"))
    _, _, done = decode("ipc-link", frame_read(p.stdout))
    p.communicate(timeout=20)
    assert done["code"] == -3200 and host_key(folder) is None


def other_name(link, reply, host_hash):
    reply["agent"] = "clara02"


def other_identity_name(link, reply, host_hash):
    reply["certificate"] = link.cas.identity(link.link_key.public_key(), "clara02", host_hash)


def other_link_key(link, reply, host_hash):
    reply["certificate"] = link.cas.identity(ec.generate_private_key(ec.SECP256R1()).public_key(), link.name, host_hash)


def other_host_key(link, reply, host_hash):
    reply["certificate"] = link.cas.identity(link.link_key.public_key(), link.name, b"h" * 32)


def foreign_identity(link, reply, host_hash):
    foreign = Authorities()
    reply["certificate"], reply["chain"] = foreign.identity(link.link_key.public_key(), link.name, host_hash), foreign.agent.der


def foreign_bundle(link, reply, host_hash):
    reply["bundle"] = Authorities().bundle()


def unsigned_bundle(link, reply, host_hash):
    reply["bundle"] = link.cas.bundle(signers=[link.cas.service])


def bundle_of_two(link, reply, host_hash):
    """A second root that the pinned one did not sign for."""
    foreign = Authorities()
    body = body_encode("bundle", epoch=1, threshold=1, made_at=1, roots=[{"certificate": link.cas.root.der}, {"certificate": foreign.root.der}])
    reply["bundle"] = link.cas.bundle(body, signers=[foreign.root])


def refused(link, reply, host_hash):
    reply["code"], reply["text"] = -3202, "the agent's name is taken"


LIES = [(other_name, 3202), (other_identity_name, 1407), (other_link_key, 1405), (other_host_key, 1405), (foreign_identity, 1404), (foreign_bundle, 2300),
        (unsigned_bundle, 2011), (bundle_of_two, 2300), (refused, 3202)]


@pytest.mark.parametrize("lie,code", LIES, ids=[f.__name__ for f, _ in LIES])
def test_a_lying_server_leaves_no_identity(folder, lie, code):
    link = FakeLink()
    done = join(link, folder, tamper=lambda reply, host_hash: lie(link, reply, host_hash))
    assert done["code"] == -code and done["text"]
    assert not os.path.exists(f"{folder}/keeper/identity")
    key = host_key(folder)
    assert join(link, folder)["code"] == 0, "the true server may follow"
    assert host_key(folder) == key


@pytest.mark.parametrize("point", ["keeper.join.key", "keeper.join.trust", "file_write", "file_sync", "file_rename", "dir_sync"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_killed_in_the_middle(folder, point, nth):
    link = FakeLink()
    try:
        join(link, folder, env={"VCC_FAILPOINT": f"{point}@{nth}=kill"})
    except Failed:
        pass
    key = host_key(folder)
    assert join(link, folder)["code"] == 0
    assert key is None or host_key(folder) == key
    assert join(link, folder)["code"] == 0


def test_keeper_without_identity_does_not_start(folder):
    for d in ("targets.d", "run"):
        os.makedirs(f"{folder}/{d}")
    with open(f"{folder}/agent.conf", "w") as f:
        f.write(f"[agent]\nkeeper_socket = {folder}/run/k\n[keeper]\nstate_dir = {folder}/keeper\ntargets_dir = {folder}/targets.d\n")
    p = subprocess.run([KEEPER, "--config", f"{folder}/agent.conf"], capture_output=True, text=True, timeout=20)
    assert p.returncode == 1 and "VCC-2303" in p.stderr
