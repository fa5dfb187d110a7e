"""A backup killed or failing at each of its points: is the last whole one still there, does nothing half made pass for one, and does everything go on?"""
import os
import shutil
import sqlite3
import subprocess

import pytest
from installation import ROOT, wait_for
from one_service import one_service, renew

FAULTS = os.path.join(ROOT, "build-faults", "bin")
POINTS = ("store_copy", "controller.backup_made")


@pytest.fixture(scope="module")
def estate():
    if not os.path.exists(os.path.join(FAULTS, "vcc-controller")):
        pytest.skip("make faults has not been run")
    with one_service("nginx", binaries=FAULTS) as (inst, host):
        inst.vccctl("backup")
        yield inst, host


def folder(inst):
    return os.path.join(inst.state, "controller", "backup")


def again(inst, env):
    """The controller, started anew with these faults."""
    p = inst.processes["controller"]
    p.stop()
    p.env = env
    p.start()
    wait_for("the controller", inst.ready, 60)
    return p


def asked(inst, *words):
    return subprocess.run([*inst.vccctl_argv, "backup", *words], capture_output=True, text=True, timeout=120)


def check_whole(path):
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return base.execute("SELECT count(*) FROM audit").fetchone()[0]
    finally:
        base.close()


@pytest.mark.parametrize("point", POINTS)
def test_killed(estate, tmp_path, point):
    inst, host = estate
    last = os.path.join(folder(inst), "vcc.db")
    size = check_whole(last)
    p = again(inst, {"VCC_FAILPOINT": f"{point}=kill"})
    done = asked(inst, str(tmp_path / "copy"))
    assert done.returncode != 0 and not os.path.exists(tmp_path / "copy"), done
    wait_for("its death", lambda: not p.running(), 30)
    assert check_whole(last) == size, "the last whole one stays"
    again(inst, {})
    renew(inst, host)
    assert inst.vccctl("backup", str(tmp_path / "copy"))["status"] == "done"
    assert os.listdir(folder(inst)) == ["vcc.db"] and check_whole(last) > size
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("point", POINTS)
def test_failing_disk(estate, tmp_path, point):
    inst, host = estate
    last = os.path.join(folder(inst), "vcc.db")
    size = check_whole(last)
    again(inst, {"VCC_FAILPOINT": f"{point}=err:ENOSPC"})
    done = asked(inst, str(tmp_path / "copy"))
    assert done.returncode == 1 and not os.path.exists(tmp_path / "copy"), done
    assert "failed" in done.stdout and "VCC-" in done.stdout, done
    assert check_whole(last) == size
    renew(inst, host)
    again(inst, {})
    inst.vccctl("backup")
    assert os.listdir(folder(inst)) == ["vcc.db"]
