"""Can the controller's database be copied while it renews, is the copy one whole moment, and does nobody wait for it?"""
import os
import sqlite3
import stat
import subprocess
import threading

import pytest
from installation import wait_for
from one_service import one_service, order

ROUNDS = 10 if os.environ.get("VCC_LONG") == "1" else 3


@pytest.fixture(scope="module")
def estate():
    with one_service("nginx") as (inst, host):
        yield inst, host


def rows(db, sql, *values):
    base = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
    try:
        return base.execute(sql, values).fetchall()
    finally:
        base.close()


def live(inst):
    return os.path.join(inst.state, "controller", "vcc.db")


def backup(inst, *words):
    return inst.vccctl("backup", *words)


def test_copy_is_one_private_whole_file(estate, tmp_path):
    inst, _ = estate
    copy = str(tmp_path / "vcc.bak")
    answer = backup(inst, copy)
    assert answer["status"] == "done" and answer["path"] == copy and answer["bytes"] == os.path.getsize(copy)
    assert stat.S_IMODE(os.stat(copy).st_mode) == 0o600
    assert os.listdir(tmp_path) == ["vcc.bak"]
    assert rows(copy, "PRAGMA integrity_check") == [("ok",)]
    assert rows(copy, "SELECT count(*) FROM audit")[0][0] >= answer["audit_size"] > 0


def test_copies_under_renewals_hold_whole_changes(estate, tmp_path):
    """Renewals go on meanwhile; in each copy every signed certificate has its order, and every order that ended its record."""
    inst, host = estate
    failed, stop = [], threading.Event()

    def renew_on():
        while not stop.is_set():
            status, renewal = order(inst, host)
            if status != 0:
                failed.append(renewal)

    load = threading.Thread(target=renew_on)
    load.start()
    try:
        last = 0
        for n in range(ROUNDS):
            before = len(rows(live(inst), "SELECT 1 FROM issuances"))
            wait_for("a renewal meanwhile", lambda: len(rows(live(inst), "SELECT 1 FROM issuances")) > before)
            sure = len(rows(live(inst), "SELECT 1 FROM audit"))
            copy = str(tmp_path / f"copy{n}")
            backup(inst, copy)
            assert rows(copy, "PRAGMA integrity_check") == [("ok",)]
            size = len(rows(copy, "SELECT 1 FROM audit"))
            assert size >= sure and size > last
            last = size
            assert rows(copy, "SELECT max(seq) + 1 FROM audit") == [(size,)]
            assert rows(copy, "SELECT serial FROM issuances WHERE renewal_id IS NOT NULL AND renewal_id NOT IN (SELECT renewal_id FROM orders)") == []
            assert rows(copy, "SELECT count(*) FROM issuances WHERE renewal_id IN (SELECT renewal_id FROM orders)")[0][0] > n
    finally:
        stop.set()
        load.join()
    assert failed == []


def test_is_in_the_trail(estate, tmp_path):
    inst, _ = estate
    count = "SELECT count(*) FROM audit WHERE event = 'backup_made'"
    before = rows(live(inst), count)[0][0]
    backup(inst, str(tmp_path / "copy"))
    wait_for("the record", lambda: rows(live(inst), count)[0][0] == before + 1)


def test_newest_stays_with_the_controller(estate, tmp_path):
    inst, _ = estate
    first, second = backup(inst), backup(inst)
    assert first["path"] == second["path"] and second["audit_size"] > first["audit_size"]
    assert os.listdir(os.path.dirname(second["path"])) == [os.path.basename(second["path"])]
    assert os.path.getsize(second["path"]) == second["bytes"]


def test_nothing_is_overwritten(estate, tmp_path):
    inst, _ = estate
    copy = tmp_path / "mine"
    copy.write_text("something else")
    done = subprocess.run([*inst.vccctl_argv, "backup", str(copy)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "VCC-1007" in done.stderr, done
    assert copy.read_text() == "something else"


def test_only_those_who_manage_the_authorities(estate):
    inst, _ = estate
    argv = [w.replace("admin.token", "approver.token") for w in inst.vccctl_argv]
    done = subprocess.run([*argv, "backup"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 4 and "VCC-3101" in done.stderr, done


def test_half_made_one_is_cleared_away(estate):
    """What a killed controller left behind is no backup, and the next one is not hindered by it."""
    inst, _ = estate
    folder = os.path.dirname(backup(inst)["path"])
    with open(os.path.join(folder, "making.db"), "w") as f:
        f.write("half")
    path = backup(inst)["path"]
    assert os.listdir(folder) == [os.path.basename(path)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
