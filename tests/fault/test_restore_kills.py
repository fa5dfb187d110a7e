"""A restore killed or failing at each of its points: is the database the old one or the new one, whole, with nothing of the other's log in it?"""
import contextlib
import glob
import os
import shutil
import signal
import sqlite3
import subprocess

import pytest
from conftest import new_folder
from installation import ROOT, Failed, Installation, wait_for

FAULTS = os.path.join(ROOT, "build-faults", "bin")
BEFORE = ("store_restore_copy", "store_commit", "store_committed", "store_restore_ready")
AFTER = ("store_restore_named", "store_restore_log_away", "store_restore_old_away")


@pytest.fixture(scope="module")
def inst():
    if not os.path.exists(os.path.join(FAULTS, "vcc-controller")):
        pytest.skip("make faults has not been run")
    path = new_folder("restore-kills")
    inst = Installation(path, binaries=FAULTS)
    try:
        inst.init()
        inst.start()
        inst.vccctl("backup", os.path.join(path, "b"))
        yield inst
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def live(inst):
    return os.path.join(inst.state, "controller", "vcc.db")


def restore(inst, fault):
    return subprocess.run([*inst.vccctl_argv, "restore", os.path.join(inst.dir, "b"), "--keep-tokens", "--config", inst.conf("controller")], capture_output=True,
                          text=True, timeout=120, env={**os.environ, "VCC_FAILPOINT": fault})


def answers(inst):
    with contextlib.suppress(Failed):
        return inst.vccctl("restore")


def restores(inst):
    with contextlib.closing(sqlite3.connect(f"file:{live(inst)}?mode=ro", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return db.execute("SELECT count(*) FROM audit WHERE event = 'store_restored'").fetchone()[0]


def marked(inst):
    """An invite that the backup does not know, in the log of a controller that was killed."""
    for put_aside in glob.glob(live(inst) + ".before*"):
        os.unlink(put_aside)
    name = f"h{os.urandom(4).hex()}"
    p = inst.processes["controller"]
    p.start()
    wait_for("the controller", lambda: answers(inst))
    state = answers(inst)
    if state["status"] == "waiting":
        with contextlib.suppress(Failed):
            inst.vccctl("restore", "--accept")
    inst.vccctl("agent", "invite", name, "--service", "clara")
    p.kill(signal.SIGKILL)
    assert os.path.getsize(live(inst) + "-wal") > 0
    return name


def knows(inst, name):
    """After the next start of the controller."""
    p = inst.processes["controller"]
    p.start()
    wait_for("the controller", lambda: answers(inst))
    names = {i["name"] for i in inst.get("invites?limit=500")["items"]}
    p.stop()
    assert not glob.glob(live(inst) + ".restored")
    return name in names


@pytest.mark.sampled(3)
@pytest.mark.parametrize("how", ("kill", "err:EIO"))
@pytest.mark.parametrize("point", BEFORE + AFTER)
def test_the_old_or_the_new_one(inst, point, how):
    inst.processes["controller"].stop()
    name = marked(inst)
    done = restore(inst, f"{point}={how}")
    assert (done.returncode == 0) == (point == "store_committed" and how != "kill"), done
    if how != "kill" and point != "store_committed":
        assert "VCC-" in done.stderr, done
    old = knows(inst, name)
    assert old == (point in BEFORE and not (point == "store_committed" and how != "kill")), (point, how)
    assert restores(inst) == (0 if old else 1) or old
    assert restore(inst, "").returncode == 0, "and it can be repeated"
    aside = sorted(f for f in glob.glob(live(inst) + ".before*") if not f.endswith("-wal"))
    assert len(aside) == (1 if old else 2), "every database that was put aside is there, also that of the restore that was killed"
    assert not glob.glob(live(inst) + ".restore*") and restores(inst) == 1 and not knows(inst, name)


def test_accepted_or_not(inst):
    """Killed while it is accepted: it waits, or it goes on; never half."""
    p = inst.processes["controller"]
    for point, status in (("controller.restore_accept", "waiting"), ("controller.restore_accept_stored", "accepted")):
        p.stop()
        assert restore(inst, "").returncode == 0
        inst.processes["signer"].stop()
        subprocess.run([inst.bin("vcc-signer"), "audit-restart", "--config", inst.conf("signer")], check=True, capture_output=True)
        inst.processes["signer"].start()
        p.env = {"VCC_FAILPOINT": f"{point}=kill"}
        p.start()
        wait_for("the controller", lambda: answers(inst))
        with pytest.raises(Failed):
            inst.vccctl("restore", "--accept")
        wait_for("its death", lambda: not p.running(), 30)
        p.env = {}
        p.start()
        wait_for("the controller", lambda: answers(inst))
        assert answers(inst)["status"] == status, point
