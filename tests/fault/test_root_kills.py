"""Does a person's `vcc-signer new-root` come whole through a kill or a full disk at every step, and only while no signer runs; and is its bundle
stored and handed on once, wherever the controller is killed?"""
import os
import shutil
import subprocess
import sys

import checks
import pytest
from conftest import new_folder
from installation import wait_for
from played_fleet import PlayedFleet

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.append(os.path.join(ROOT, "tests", "system"))
from test_signer import Signer  # noqa: E402

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
LONG = os.environ.get("VCC_LONG") == "1"
POINTS = ["signer.successor_key@1", "signer.successor_certificate@1", "signer.cross@1", "signer.root_list@1", "signer.successor_key@2",
          "signer.successor_certificate@2", "signer.successor_key@3", "signer.successor_certificate@3", "signer.successor_key@4",
          "signer.successor_certificate@4", "signer.bundle@1"]
WHOLE = ["agent-1", "agent-2", "code-signing-1", "code-signing-2", "root-1", "root-2", "service-1", "service-2"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    s = Signer(str(tmp_path_factory.mktemp("signer") / "s"))
    s.init()
    return s.folder


@pytest.fixture
def signer(made, folder):
    s = Signer(f"{folder}/s")
    shutil.copytree(f"{made}/signer", f"{s.folder}/signer", dirs_exist_ok=True)
    shutil.copytree(f"{made}/etc/ca", f"{s.folder}/etc/ca")
    shutil.copy(f"{made}/etc/ca-passphrase", f"{s.folder}/etc/ca-passphrase")
    yield s
    s.stop()


def run(signer, *words, faults=None):
    env = dict(os.environ, **({"VCC_FAILPOINT": faults} if faults else {}))
    at = FAULTS if faults else signer.binaries
    return subprocess.run([f"{at}/vcc-signer", *words, "--config", signer.config], capture_output=True, text=True, timeout=120, env=env)


def cas(signer):
    return sorted(f[:-4] for f in os.listdir(f"{signer.folder}/signer/ca") if f.endswith(".cer"))


def whole(signer):
    assert cas(signer) == WHOLE
    ca = f"{signer.folder}/signer/ca"
    for f in ("root-2.cer", "service-2.cer", "root-2.cross"):
        subprocess.run(["openssl", "x509", "-inform", "DER", "-in", f"{ca}/{f}", "-out", f"{ca}/../{f}.pem"], check=True)
    subprocess.run(["openssl", "x509", "-inform", "DER", "-in", f"{ca}/root-1.cer", "-out", f"{ca}/../root-1.pem"], check=True)
    for words in (["-CAfile", "root-2.cer.pem"], ["-CAfile", "root-1.pem", "-untrusted", "root-2.cross.pem"]):
        done = subprocess.run(["openssl", "verify", *words, "service-2.cer.pem"], cwd=f"{signer.folder}/signer", capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    signer.start()
    assert signer.tool("hello")["issuers"] == WHOLE
    signer.stop()


@pytest.mark.parametrize("point", POINTS if LONG else POINTS[2::8])
@pytest.mark.parametrize("how", ["kill", "err:ENOSPC"] if LONG else ["kill"])
def test_cut_at_every_step(signer, point, how):
    first = run(signer, "new-root", faults=f"{point}={how}")
    assert first.returncode == (-9 if how == "kill" else 1), first.stdout + first.stderr
    assert not os.path.exists(f"{signer.folder}/signer/ca/bundle-2")
    known = {f: os.stat(f"{signer.folder}/signer/ca/{f}.cer").st_ino for f in cas(signer)}
    signer.start()  # what is half made keeps nobody from work
    assert signer.issue(7)["code"] == ""
    signer.stop()
    again = run(signer, "new-root")
    assert again.returncode == 0 and "trust bundle 2 holds root-2\n" in again.stdout, again.stdout + again.stderr
    assert {f: os.stat(f"{signer.folder}/signer/ca/{f}.cer").st_ino for f in known} == known  # none was made twice
    whole(signer)


def test_a_person_and_a_stopped_signer(signer):
    signer.start()
    said = run(signer, "new-root")
    assert said.returncode == 1 and "stop it for this" in said.stderr, said.stderr
    assert cas(signer) == WHOLE[::2]
    signer.stop()
    assert run(signer, "drop-root").returncode == 2
    assert run(signer, "new-root", "root-2").returncode == 2
    said = run(signer, "drop-root", "root-1")
    assert said.returncode == 1 and "VCC-3400" in said.stderr, said.stderr
    said = run(signer, "new-root")
    assert said.returncode == 0 and "systemctl start vcc-signer" in said.stdout, said.stderr
    whole(signer)
    again = run(signer, "new-root")
    assert again.returncode == 0 and "trust bundle 2 holds root-2 already; nothing was done" in again.stdout
    cut = run(signer, "drop-root", "root-1", faults="signer.bundle=kill")
    assert cut.returncode == -9 and not os.path.exists(f"{signer.folder}/signer/ca/bundle-3")
    wish = f"{signer.folder}/signer/ca/root-1.list-request"
    with open(wish, "w"):
        pass
    said = run(signer, "drop-root", "root-1")
    assert said.returncode == 0 and "trust bundle 3 is without root-1\n" in said.stdout, said.stderr
    assert cas(signer) == WHOLE and not os.path.exists(wish), "its key need not be fetched for a list any more"


def test_init_again_keeps_the_first_bundle_beside_the_keys(signer):
    """An installation from before has it in the public folder alone; its content is one for ever, hosts know its hash."""
    kept, told = f"{signer.folder}/signer/ca/bundle-1", f"{signer.folder}/etc/ca/bundle"
    with open(told, "rb") as f:
        bundle = f.read()
    os.remove(kept)
    said = run(signer, "new-root")
    assert said.returncode == 1 and "vccctl init" in said.stderr and cas(signer) == WHOLE[::2], said.stderr
    signer.init()
    for path in (kept, told):
        with open(path, "rb") as f:
            assert f.read() == bundle
    os.remove(told)
    signer.init()
    with open(told, "rb") as f:
        assert f.read() == bundle


@pytest.fixture(scope="module")
def site():
    folder = new_folder("root-kills")
    inst = PlayedFleet(folder, binaries=FAULTS)
    try:
        inst.init()
        inst.start_both()
        inst.gw = inst.gateway()
        inst.played = inst.host(inst.gw, "root01")
        yield inst
    finally:
        for g in inst.gateways:
            g.close()
        inst.stop()
        shutil.rmtree(folder, ignore_errors=True)


def restart(inst, process, env=None):
    p = inst.processes[process]
    p.stop()
    p.env = env
    p.start()


@pytest.mark.parametrize("point,epoch", [("controller.bundle", 2), ("controller.bundle_stored", 3)])
def test_a_bundle_is_stored_once_and_comes_one_after_the_other(site, point, epoch):
    """One is killed before the bundle is stored, one after; the next one is the way back, so it is kept back."""
    inst = site
    restart(inst, "controller", {"VCC_FAILPOINT": f"{point}@1=kill"})
    inst.wait_up()
    inst.processes["signer"].stop()
    words = ["new-root"] if epoch == 2 else ["drop-root", "root-2"]
    subprocess.run([inst.bin("vcc-signer"), *words, "--config", inst.conf("signer")], check=True, capture_output=True, timeout=120)
    inst.processes["signer"].start()
    wait_for("the controller is killed", lambda: not inst.processes["controller"].running())
    restart(inst, "controller")
    inst.wait_up()
    stored = "SELECT count(*) FROM audit WHERE event = 'trust_bundle_stored' AND object = ?"
    wait_for("it is stored", lambda: checks.rows(inst.facts_db(), stored, f"bundle-{epoch}") == [(1,)])
    inst.gw.connect()
    inst.gw.up(inst.played)
    wait_for("the host has what it is to have", lambda: inst.played.bundles and inst.gw.alive())
    restart(inst, "signer")
    inst.wait_up()
    for e in range(2, epoch + 1):
        assert checks.rows(inst.facts_db(), stored, f"bundle-{e}") == [(1,)]
    names = {row[0] for row in checks.rows(inst.facts_db(), "SELECT name FROM settings WHERE name LIKE 'bundle%'")}
    assert names == {"bundle"} | {f"bundle-{e}" for e in range(1, epoch + 1)}
    assert {m["body"] for m in inst.played.bundles} == {inst.played.bundles[0]["body"]}  # of epoch 2 alone: the other is kept back
