"""vccctl restore FILE --drill: does it prove that this backup and this copy of the signer's folder could be the installation again, find what stands
against that, leave no trace but a record, and disturb nothing that runs?"""
import contextlib
import glob
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess

import pytest
from conftest import new_folder
from installation import Installation, wait_for


@pytest.fixture(scope="module")
def inst():
    folder = new_folder("restore-drill")
    i = Installation(folder, settings={"controller.limits.audit_head_interval": "200ms"})
    try:
        i.init()
        i.start()
        wait_for("it is ready", i.ready)
        wait_for("a head", lambda: i.get("audit/heads?limit=1")["items"])
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def backup(inst, tmp_path):
    path = str(tmp_path / "vcc.bak")
    inst.vccctl("backup", path)
    return path


@pytest.fixture
def keys(inst, tmp_path):
    """What an operator keeps apart: a copy of the signer's folder."""
    return shutil.copytree(os.path.join(inst.state, "signer"), tmp_path / "signer", ignore=lambda folder, names: [n for n in names if n.endswith(".sock")])


def drill(inst, backup, *words):
    return subprocess.run([*inst.vccctl_argv, "restore", backup, "--drill", "--config", inst.conf("controller"), "--signer-config", inst.conf("signer"), "-o", "json",
                           *words], capture_output=True, text=True, timeout=120)


def records(inst):
    return inst.get("audit?event=store_restore_drilled&limit=100")["items"]


def no_trace(inst):
    return not os.path.exists(os.path.join(inst.state, "controller", "drill"))


def test_it_is_proved_and_recorded(inst, backup, keys):
    doctor = [f for f in json.loads(subprocess.run([*inst.vccctl_argv, "doctor", "-o", "json"], capture_output=True, text=True).stdout) if f["check"] == "restore"]
    assert len(records(inst)) > 0 or (len(doctor) == 1 and "--drill" in doctor[0]["next"]), doctor
    live, pid = os.path.join(inst.state, "controller", "vcc.db"), inst.processes["controller"].pid
    before = os.stat(live).st_ino
    signed = hashlib.sha256(open(glob.glob(str(keys / "ca" / "service-1.key"))[0], "rb").read()).digest()
    n = len(records(inst))
    done = drill(inst, backup, "--signer", str(keys))
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    assert told["recorded"] and told["keys"] == 4 and told["offline"] == [] and told["heads"] > 0 and told["audit_size"] > 0, told
    assert told["agents"] == 0 and told["certificates"] == 0
    assert len(records(inst)) == n + 1
    detail = json.loads(records(inst)[0]["detail"]) if isinstance(records(inst)[0]["detail"], str) else records(inst)[0]["detail"]
    assert detail["audit_size"] == told["audit_size"] and detail["keys"] == 4
    state = inst.vccctl("restore")
    assert state["status"] == "never" and state["drilled_at"] is not None and state["drilled_backup_of"] == told["backup_of"]
    assert os.stat(live).st_ino == before and inst.processes["controller"].pid == pid and inst.ready() and no_trace(inst)
    assert hashlib.sha256(open(keys / "ca" / "service-1.key", "rb").read()).digest() == signed
    doctor = json.loads(subprocess.run([*inst.vccctl_argv, "doctor", "-o", "json"], capture_output=True, text=True).stdout)
    assert [f for f in doctor if f["check"] == "restore"] == []


def test_an_older_backup_is_still_one_of_this_trail(inst, backup):
    inst.vccctl("agent", "invite", f"h{os.urandom(4).hex()}", "--service", "clara")
    assert drill(inst, backup).returncode == 0  # with the signer's folder itself


def change(path, *statements):
    with contextlib.closing(sqlite3.connect(path)) as db:
        for s in statements:
            db.execute(s)
        db.commit()


DAMAGE = {
    "cut": lambda path: os.truncate(path, os.path.getsize(path) // 2),
    "a record was changed": lambda path: change(path, "UPDATE audit SET detail = detail || ' ' WHERE seq = 3"),
    "a head's signature was changed": lambda path: change(path, "UPDATE audit_heads SET signature = zeroblob(length(signature))"),
    "a head of another trail": lambda path: change(path, "UPDATE audit_heads SET root = zeroblob(32) WHERE size = (SELECT min(size) FROM audit_heads)"),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_what_could_not_be_restored(inst, backup, how):
    n = len(records(inst))
    DAMAGE[how](backup)
    done = drill(inst, backup)
    assert done.returncode == 1 and "VCC-3903" in done.stderr, done
    assert len(records(inst)) == n and no_trace(inst) and inst.ready()


def test_a_key_that_is_missing(inst, backup, keys):
    os.unlink(keys / "ca" / "service-1.key")
    done = drill(inst, backup, "--signer", str(keys))
    assert done.returncode == 1 and "service-1.key" in done.stderr and no_trace(inst), done


def test_a_ca_that_is_missing(inst, backup, keys):
    for path in (keys / "ca").glob("service-1.*"):
        path.unlink()
    done = drill(inst, backup, "--signer", str(keys))
    assert done.returncode == 1 and "VCC-3989" in done.stderr and "service-1" in done.stderr, done


def test_a_root_in_a_safe_is_told(inst, backup, keys):
    os.unlink(keys / "ca" / "root-1.key")
    done = drill(inst, backup, "--signer", str(keys))
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["offline"] == ["root-1"] and json.loads(done.stdout)["keys"] == 3


def test_a_passphrase_that_opens_nothing(inst, backup, keys, tmp_path):
    conf = tmp_path / "signer.conf"
    wrong = tmp_path / "passphrase"
    wrong.write_text("something else")
    wrong.chmod(0o600)
    lines = [f"passphrase_file = {wrong}\n" if line.startswith("passphrase_file") else line for line in open(inst.conf("signer"))]
    conf.write_text("".join(lines))
    done = drill(inst, backup, "--signer", str(keys), "--signer-config", str(conf))
    assert done.returncode == 1 and "passphrase" in done.stderr, done


def test_what_somebody_only_says_is_not_recorded(inst):
    """The controller compares the tree with its own."""
    n = len(records(inst))
    past, future = "2026-01-02T03:04:05Z", "2999-01-02T03:04:05Z"
    for size, root, at, code, where in ((3, "0" * 64, past, "VCC-3988", None), (10**9, "1" * 64, past, "VCC-3988", None), (3, "0" * 63, past, "VCC-3104", "audit_root"),
                                        (3, "0" * 64, "yesterday", "VCC-3104", "backup_of"), (3, "0" * 64, future, "VCC-3104", "backup_of")):
        body = {"backup_of": at, "audit_size": size, "audit_root": root, "keys": 4}
        done = subprocess.run(["curl", "-sS", "--cacert", os.path.join(inst.state, "ca.pem"), "-H", "Content-Type: application/json", "-H",
                               "Authorization: Bearer " + open(os.path.join(inst.state, "admin.token")).read().strip(), "-d", json.dumps(body),
                               f"{inst.admin_url}/api/v1/restore/drill"], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["code"] == code and (where is None or json.loads(done.stdout)["object"] == where), done.stdout
    assert len(records(inst)) == n


def test_without_a_controller_it_is_proved_and_not_recorded(inst, backup):
    inst.processes["controller"].stop()
    try:
        done = drill(inst, backup)
        assert done.returncode == 6 and json.loads(done.stdout)["recorded"] is False and "VCC-" in done.stderr, done
        left = os.path.join(inst.state, "controller", "drill")
        os.mkdir(left, 0o700)  # as of one that was killed
        shutil.copy(backup, os.path.join(left, "vcc.db"))
    finally:
        inst.processes["controller"].start()
        wait_for("the controller", inst.ready)
    assert no_trace(inst), "the controller clears it away at its start"


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_one_that_is_interrupted_leaves_no_copy(inst, backup, number):
    done = subprocess.Popen([inst.bin("vcc-controller"), "restore", "--drill", backup, "--config", inst.conf("controller")], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)
    while no_trace(inst) and done.poll() is None:
        pass
    done.send_signal(number)
    said = done.communicate(timeout=60)
    assert done.returncode in (0, 128 + number, -number) and no_trace(inst), (done.returncode, said)
