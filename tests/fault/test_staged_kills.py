"""kill -9 of the keeper at every fault point of its next key. After the restart there is one staged key and no other file is left behind, the
controller has it, the next renewal begins with it, and no certificate was issued twice."""
import hashlib
import os
import shutil

import checks
import pytest
from conftest import new_folder
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from fake_pki import spki
from installation import ROOT, Installation, wait_for

FAULTS = os.path.join(ROOT, "build-faults", "bin")
POINTS = ["keeper.stage.made", "keeper.stage.offer", "keeper.stage.forgotten", "keeper.stage.taken"]


@pytest.fixture(scope="module")
def inst():
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    folder = new_folder("staged-kills")
    inst = Installation(folder, {"agent.keeper.stage_after": "0s", "controller.supersede.grace": "0s"}, binaries=FAULTS)
    try:
        inst.init()
        inst.start()
        inst.real = inst.add_echo(0)
        inst.wait_served(inst.real)
        yield inst
    finally:
        inst.stop()
        shutil.rmtree(folder, ignore_errors=True)


def key_files(host, staged):
    folder = os.path.join(host.dir, "keeper", "keys")
    return [os.path.join(folder, n) for n in sorted(os.listdir(folder)) if n.endswith("-0.pem") == staged]


def public_hash(path):
    try:
        with open(path, "rb") as f:
            return hashlib.sha256(spki(load_pem_private_key(f.read(), None).public_key())).digest()
    except FileNotFoundError:
        return None


def database(inst):
    return os.path.join(inst.state, "controller", "vcc.db")


def ready(inst):
    def settled():
        rows = checks.rows(database(inst), "SELECT spki_hash FROM stages WHERE renewal_id IS NULL")
        files = key_files(inst.real, True)
        return len(files) == 1 and rows == [(public_hash(files[0]),)]
    wait_for("a next key is ready", settled)


def renew(inst):
    old = inst.certificate(inst.real.cert_id)["fingerprint"]
    renewal_id = inst.vccctl("cert", "renew", inst.real.cert_id, "--force")["renewal_id"]
    return old, renewal_id


@pytest.mark.parametrize("point", POINTS)
def test_kill_keeper(inst, point):
    host, keeper = inst.real, inst.real.processes["keeper"]
    ready(inst)
    keeper.stop()
    keeper.env = {"VCC_FAILPOINT": f"{point}=kill"}
    keeper.start()
    renewed = None
    wait_for("the host is back", lambda: inst.get(f"agents/{host.name}")["connected"] or not keeper.running())
    if point.endswith("taken"):
        renewed = renew(inst)
    else:
        os.unlink(key_files(host, True)[0])
    wait_for("the keeper died there", lambda: not keeper.running())
    keeper.env = None
    keeper.start()
    if renewed:
        inst.wait_renewed(host, renewed[0])
        assert "staged" in inst.renewal(renewed[1])["flags"], "its key was not lost"
    ready(inst)
    with open(key_files(host, True)[0], "rb") as f:
        staged = hashlib.sha256(f.read()).digest()
    old, renewal_id = renew(inst)
    inst.wait_renewed(host, old)
    assert inst.renewal(renewal_id)["flags"].count("staged") == 1
    with open(os.path.join(host.target_dir, "current", "key.pem"), "rb") as f:
        assert hashlib.sha256(f.read()).digest() == staged
    wait_for("only the key in use is left of the orders'", lambda: len(key_files(host, False)) == 1)
    twice = checks.rows(database(inst), "SELECT renewal_id, count(*) FROM issuances WHERE owner = 'certificate' AND state NOT IN ('void') "
                                        "GROUP BY renewal_id HAVING count(*) > 1")
    assert twice == [], "one order, one certificate"
