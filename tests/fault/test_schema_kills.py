"""A database of the first release meets this program (F65, F66): killed or failing at a migration it has the old or the new schema, and keeps what it had.
Each sixth migration, the last one among them; with VCC_LONG=1 all."""
import contextlib
import os
import shutil
import sqlite3

import checks
import first_release
import pytest
from conftest import new_folder
from installation import ROOT, Installation, wait_for
from one_service import renew

FAULTS = os.path.join(ROOT, "build-faults", "bin")
NUMBERS = first_release.numbers()
STEPS = range(1, len(NUMBERS)) if os.environ.get("VCC_LONG") == "1" else range(len(NUMBERS) - 1, 0, -6)
DUE = {"state", "revoked_at", "revoke_reason", "supersede_at"}  # of issuances: the controller that starts does at once what was due


@pytest.fixture(scope="module")
def inst():
    if not os.path.exists(os.path.join(FAULTS, "vcc-controller")):
        pytest.skip("make faults has not been run")
    path = new_folder("schema-kills")
    inst = Installation(path, binaries=FAULTS)
    try:
        inst.init()
        yield inst
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def live(inst):
    return os.path.join(inst.state, "controller", "vcc.db")


def put(inst, make):
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(live(inst) + end)
    make(live(inst))


def state(inst):
    with contextlib.closing(sqlite3.connect(live(inst))) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return db.execute("PRAGMA user_version").fetchone()[0], first_release.layout(db)


def whole(number):
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(first_release.schema(number))
        return number, first_release.layout(db)


def controller(inst, fault=""):
    """The controller alone; when it has ended, or serves."""
    p = inst.processes.get("controller") or inst.process("controller", [inst.bin("vcc-controller"), "--config", inst.conf("controller")])
    p.env = {"VCC_FAILPOINT": fault} if fault else {}
    begin = os.path.getsize(p.log) if os.path.exists(p.log) else 0
    p.start()

    def text():
        with open(p.log) as f:
            f.seek(begin)
            return f.read()

    wait_for("its end or start", lambda: not p.running() or "started:" in text(), 60)
    return p, text()


def kept(before, after):
    """Every value of the first release, where it is now."""
    for table, old in before.items():
        if table == "counters":
            continue
        assert len(old) <= len(after[table]), table
        for row in old:
            if table == "principals" and isinstance(after[table][0]["person"], str):  # a person has had a name since schema 003
                row = {**row, "person": row["name"] if row["person"] else ""}
            same = {c: v for c, v in row.items() if table != "issuances" or c not in DUE}
            assert any(all(new[c] == v for c, v in same.items()) for new in after[table]), (table, row)


@pytest.mark.parametrize("how", ("kill", "err:ENOSPC"))
@pytest.mark.parametrize("step", STEPS)
def test_old_or_new_never_between(inst, step, how):
    put(inst, first_release.stored)
    before = first_release.rows(live(inst))
    assert sum(map(len, before.values())) > 80
    p, text = controller(inst, f"store_migrate@{step}={how}")
    assert not p.running()
    if how != "kill":
        assert "VCC-15" in text, text
    assert state(inst) == whole(NUMBERS[step - 1])
    kept(before, first_release.rows(live(inst)))
    p, text = controller(inst)
    assert p.running(), text
    p.stop()
    assert state(inst) == whole(NUMBERS[-1])
    kept(before, first_release.rows(live(inst)))
    with contextlib.closing(sqlite3.connect(live(inst))) as db:
        targets = db.execute("SELECT target_id, cert_id, stem FROM targets").fetchall()
    assert targets == [(t[1], t[1], t[2]) for t in targets] and len(targets) == len(before["targets"])


def test_killed_at_each_in_turn(inst):
    """Each start gets one migration further and dies in the next."""
    put(inst, first_release.stored)
    for number in NUMBERS[1:-1]:
        p, _ = controller(inst, "store_migrate@2=kill")
        assert not p.running()
        assert state(inst) == whole(number)
    p, _ = controller(inst)
    assert p.running()
    p.stop()
    assert state(inst) == whole(NUMBERS[-1])


def test_newer_one_is_refused_and_not_touched(inst):
    put(inst, first_release.stored)
    p, _ = controller(inst)
    p.stop()
    with contextlib.closing(sqlite3.connect(live(inst))) as db:
        db.execute(f"PRAGMA user_version={NUMBERS[-1] + 1}")
    with open(live(inst), "rb") as f:
        before = f.read()
    p, text = controller(inst)
    assert not p.running() and "VCC-1502" in text and str(NUMBERS[-1] + 1) in text, text
    with open(live(inst), "rb") as f:
        assert f.read() == before


def test_an_upgraded_installation_works(inst):
    """From the first release's form of its own database to a certificate that is issued, proved and renewed."""
    put_back = live(inst) + ".first"
    fresh = Installation(new_folder("schema-work"), binaries=FAULTS)
    try:
        fresh.init()
        first_release.go_back(live(fresh), put_back)
        put(fresh, lambda path: shutil.move(put_back, path))
        fresh.start()
        host = fresh.prepare_service("nginx")
        host.join()
        host.write_target()
        host.start_agent()
        fresh.wait_served(host)
        renew(fresh, host)
        checks.served_is_issued(fresh, host)
        assert fresh.vccctl("whoami")["principal"] == "admin"
        fresh.vccctl("backup")
    finally:
        fresh.stop()
        shutil.rmtree(fresh.dir, ignore_errors=True)
