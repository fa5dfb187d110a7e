"""A backup becomes the database again (F64): is nothing undone that was taken away since, and is nothing ordered before a person has looked?"""
import contextlib
import glob
import os
import pathlib
import shutil
import sqlite3
import subprocess

import checks
import pytest
from conftest import new_folder
from cryptography import x509
from installation import Failed, Installation, wait_for
from one_service import renew

DAMAGE = {"empty": lambda b: b"", "cut": lambda b: b[:len(b) // 2], "not ours": lambda b: b"something else" * 1000,
          "torn page": lambda b: b[:len(b) // 2] + b"\xa5" * 4096 + b[len(b) // 2 + 4096:]}


@pytest.fixture(scope="module")
def estate():
    path = new_folder("restore")
    inst = Installation(path, settings={"controller.limits.audit_head_interval": "200ms"})
    try:
        inst.init()
        inst.start()
        host = inst.prepare_service("nginx")
        host.join()
        host.write_target()
        host.start_agent()
        inst.wait_served(host)
        yield inst, host
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def live(inst):
    return os.path.join(inst.state, "controller", "vcc.db")


def rows(db, sql, *values):
    with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as base:
        return base.execute(sql, values).fetchall()


def lists(inst):
    """{(issuer, shard): list} as published on disk."""
    found = {}
    for path in glob.glob(os.path.join(inst.state, "controller", "public", "crl", "*", "*.crl")):
        with open(path, "rb") as f:
            found[tuple(path.split("/")[-2:])] = x509.load_der_x509_crl(f.read())
    return found


def number(crl):
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def serials(crl):
    return {entry.serial_number for entry in crl}


def restore(inst, *words):
    return subprocess.run([*inst.vccctl_argv, "restore", *words, "--config", inst.conf("controller")], capture_output=True, text=True, timeout=120)


def refused(inst, *words):
    done = subprocess.run([*inst.vccctl_argv, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0, done.stdout
    return done.stderr


def controller(inst, on):
    p = inst.processes["controller"]
    if on:
        p.start()
        wait_for("the controller", lambda: b"ok" in (inst_ok(inst) or b""))
    else:
        p.stop()


def inst_ok(inst):
    with contextlib.suppress(Failed):
        return b"ok" if inst.vccctl("restore") else b""


def forget_head(inst):
    """What FAULTS F64 asks a person for: the signer begins a new trail."""
    inst.processes["signer"].stop()
    done = subprocess.run([inst.bin("vcc-signer"), "audit-restart", "--config", inst.conf("signer")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    inst.processes["signer"].start()


def accept(inst):
    """As the operations page has it: the signer first, if it has signed more."""
    wait_for("the signer", lambda: inst.status()["checks"]["signer"] == "ok")
    state = inst.vccctl("restore")
    if state["signer_contradicts"]:
        assert "VCC-3906" in refused(inst, "restore", "--accept")
        forget_head(inst)
        wait_for("the signer", lambda: not inst.vccctl("restore")["signer_contradicts"])
    return inst.vccctl("restore", "--accept")


def test_a_running_controller_is_not_restored_under(estate, tmp_path):
    inst, _ = estate
    inst.vccctl("backup", str(tmp_path / "b"))
    before = os.stat(live(inst)).st_ino
    done = restore(inst, str(tmp_path / "b"))
    assert done.returncode == 1 and "VCC-1" in done.stderr, done
    assert os.stat(live(inst)).st_ino == before and not glob.glob(live(inst) + ".restore*")


@pytest.mark.parametrize("how", DAMAGE)
def test_what_is_no_whole_backup_changes_nothing(estate, tmp_path, how):
    inst, _ = estate
    inst.vccctl("backup", str(tmp_path / "b"))
    with open(tmp_path / "b", "rb") as f:
        good = f.read()
    (tmp_path / "bad").write_bytes(DAMAGE[how](good))
    controller(inst, False)
    try:
        before = open(live(inst), "rb").read()
        done = restore(inst, str(tmp_path / "bad"))
        assert done.returncode == 1 and "VCC-3903" in done.stderr, done
        assert open(live(inst), "rb").read() == before and not glob.glob(live(inst) + ".restore*")
    finally:
        controller(inst, True)


def test_a_file_copied_by_hand_or_rewritten_is_refused(estate, tmp_path):
    inst, _ = estate
    inst.vccctl("backup", str(tmp_path / "b"))
    changed = str(tmp_path / "changed")
    shutil.copy(tmp_path / "b", changed)
    with contextlib.closing(sqlite3.connect(changed)) as db:
        db.execute("UPDATE audit SET detail = detail || ' ' WHERE seq = 3")
        db.commit()
    newer = str(tmp_path / "newer")
    shutil.copy(tmp_path / "b", newer)
    with contextlib.closing(sqlite3.connect(newer)) as db:
        db.execute("PRAGMA user_version = 999")
        db.commit()
    controller(inst, False)
    try:
        shutil.copy(live(inst), tmp_path / "hand")
        for path, code in ((str(tmp_path / "hand"), "VCC-3903"), (changed, "VCC-3903"), (newer, "VCC-15")):
            done = restore(inst, path)
            assert done.returncode == 1 and code in done.stderr, done
    finally:
        controller(inst, True)
    renew(inst, estate[1])


def test_what_a_restore_put_aside_stays(estate, tmp_path):
    """Each restore takes a free name; where there is none it is refused before anything happens."""
    inst, host = estate
    inst.vccctl("backup", str(tmp_path / "b"))
    controller(inst, False)
    names = [live(inst) + ".before", *(f"{live(inst)}.before.{i}" for i in range(2, 10))]
    for name in names:
        pathlib.Path(name).write_text(f"kept {name}")
    try:
        before = open(live(inst), "rb").read()
        done = restore(inst, str(tmp_path / "b"))
        assert done.returncode == 1 and "VCC-3909" in done.stderr and ".before.9" in done.stderr, done
        assert open(live(inst), "rb").read() == before and not glob.glob(live(inst) + ".restore*")
        os.unlink(names[4])
        pathlib.Path(names[4] + "-wal").write_text("of one that was carried away without its log")
        done = restore(inst, str(tmp_path / "b"))
        assert done.returncode == 0 and f"the database before it is {names[4]}\n" in done.stdout, done
        assert open(names[4], "rb").read(15) == b"SQLite format 3" and not os.path.exists(names[4] + "-wal")
        assert all(open(n).read() == f"kept {n}" for n in names if n != names[4])
    finally:
        for name in glob.glob(live(inst) + ".before*"):
            os.unlink(name)
        controller(inst, True)
    accept(inst)
    wait_for("the host is well", lambda: checks.served_is_issued(inst, host))


def test_nothing_that_was_taken_away_comes_back(estate, tmp_path):
    inst, host = estate
    renew(inst, host)
    invite = inst.vccctl("agent", "invite", "later", "--service", "clara", "--ttl", "2h")
    token = inst.vccctl("token", "create", "--label", "old")
    inst.vccctl("backup", str(tmp_path / "b"))
    inst.vccctl("token", "revoke", token["token_id"])
    renew(inst, host)
    renew(inst, host)  # the first one after the backup is revoked as superseded by now, and the backup knows nothing of it
    served = checks.served_is_issued(inst, host)
    generation = os.readlink(os.path.join(host.target_dir, "current"))
    known = {int.from_bytes(s, "big") for s, in rows(live(inst), "SELECT serial FROM issuances WHERE state = 'revoked' AND issuer_id = 'service-1'")}
    wait_for("the lists", lambda: known <= set().union(*(serials(c) for (issuer, _), c in lists(inst).items() if issuer == "service-1")))
    before = lists(inst)
    highest = max(rows(live(inst), "SELECT max(serial) FROM issuances"))
    heads = inst.get("audit/heads?limit=1")["items"][0]["size"]

    controller(inst, False)
    done = restore(inst, str(tmp_path / "b"))
    assert done.returncode == 0, done
    assert rows(live(inst), "SELECT count(*) FROM settings WHERE name = 'restore'") == [(1,)]
    assert os.path.exists(live(inst) + ".before") and not glob.glob(live(inst) + ".restore*")
    controller(inst, True)

    assert any("VCC-3905" in w for w in inst.status()["warnings"])
    assert "VCC-3905" in refused(inst, "cert", "renew", host.cert_id, "--force")
    assert inst.vccctl("restore")["status"] == "waiting"
    assert rows(live(inst), "SELECT revoked_at IS NOT NULL FROM tokens WHERE label = 'old'") == [(1,)]
    row = next(i for i in inst.get("invites?limit=100")["items"] if i["name"] == invite["name"])
    assert row["expires_at"] <= inst.vccctl("restore")["restored_at"], "an invite of before may have been redeemed"

    wait_for("new lists", lambda: all(number(lists(inst)[k]) > number(crl) for k, crl in before.items() if k[0] != "root-1"))
    after = lists(inst)
    for key, crl in before.items():
        assert serials(crl) <= serials(after[key]), (key, "what was revoked stays revoked")

    wait_for("the signer says what it knows", lambda: inst.vccctl("restore")["signer_contradicts"])
    waiting = "SELECT count(*) FROM orders WHERE phase = 'planned'"
    wait_for("the host tells what it serves", lambda: rows(live(inst), waiting) == [(1,)])
    assert "VCC-3905" in refused(inst, "cert", "renew", host.cert_id, "--now"), "an order that waits does not go out by hand either"
    assert os.readlink(os.path.join(host.target_dir, "current")) == generation, "nothing has been ordered"
    state = accept(inst)
    assert state["status"] == "accepted" and state["accepted_by"] is not None
    wait_for("the host is asked anew", lambda: os.readlink(os.path.join(host.target_dir, "current")) != generation)
    wait_for("its order ends", lambda: rows(live(inst), "SELECT count(*) FROM certificates WHERE open_order IS NOT NULL") == [(0,)])
    assert checks.served_is_issued(inst, host) != served
    assert rows(live(inst), "SELECT min(serial) FROM issuances WHERE created_at > (SELECT max(at) FROM audit WHERE event = 'store_restored')")[0][0] > highest[0]
    wait_for("heads go on", lambda: inst.get("audit/heads?limit=1")["items"][0]["at"] > state["accepted_at"])
    assert inst.get("audit/heads?limit=1")["items"][0]["size"] != heads
    assert "VCC-3908" in refused(inst, "restore", "--accept")
    renew(inst, host)


def test_a_campaign_that_was_open_is_over(estate, tmp_path):
    """Its host may have done it since: what of it was sent counts as failed, and its certificate can be renewed again."""
    inst, host = estate
    host.processes["agent"].stop()
    began = inst.vccctl("bulk", "apply", "--pattern", "*.vcc.internal")
    wait_for("its order", lambda: rows(live(inst), "SELECT count(*) FROM campaign_members WHERE state = 'ordered'") == [(1,)])
    inst.vccctl("backup", str(tmp_path / "b"))
    controller(inst, False)
    done = restore(inst, str(tmp_path / "b"))
    assert done.returncode == 0 and "1 open orders, 1 campaigns" in done.stdout, done
    controller(inst, True)
    shown = inst.get(f"campaigns/{began['campaign_id']}")
    assert shown["status"] == "cancelled" and shown["failed_count"] == 1 and shown["pending_count"] == 0, shown
    assert rows(live(inst), "SELECT state FROM campaign_members") == [("failed",)]
    host.processes["agent"].start()
    accept(inst)
    wait_for("the host is back", lambda: inst.agent(host.name)["connected"])
    renew(inst, host)


def change(path, *statements):
    with contextlib.closing(sqlite3.connect(path)) as db:
        for s in statements:
            db.execute(s)
        db.commit()


@pytest.mark.parametrize("banned", (True, False))
def test_a_host_whose_name_went_on_stays_out(estate, tmp_path, banned):
    """Since the backup another host took its name; and a campaign of the backup that nobody confirmed asks nobody any more, nor does one that was
    going back go on with that."""
    inst, host = estate
    campaigns = rows(live(inst), "SELECT count(*) FROM campaigns")[0][0]
    assert campaigns > 0
    inst.vccctl("backup", str(tmp_path / "b"))
    change(tmp_path / "b", "UPDATE campaigns SET confirmation = 'asked', remind_at = 1")
    first = "(SELECT campaign_id FROM campaigns LIMIT 1)"
    change(tmp_path / "b", f"UPDATE campaigns SET state = 'halted', completed_at = NULL, failed = 0, kept = 0, going_back = 1 WHERE campaign_id = {first}",
           f"UPDATE campaign_members SET state = 'going_back' WHERE campaign_id = {first}")
    controller(inst, False)
    ban = [f"INSERT INTO bans SELECT host_hash, name, 1 FROM agents WHERE name = '{host.name}'"] if banned else []
    change(live(inst), *ban, f"UPDATE agents SET host_hash = zeroblob(32) WHERE name = '{host.name}'")
    done = restore(inst, str(tmp_path / "b"))
    assert done.returncode == 0 and "1 hosts sent away" in done.stdout, done
    assert rows(live(inst), f"SELECT state FROM agents WHERE name = '{host.name}'") == [("banned" if banned else "evicted",)]
    assert rows(live(inst), "SELECT count(*) FROM campaigns WHERE confirmation = 'refused'") == [(campaigns,)]
    assert rows(live(inst), f"SELECT state, going_back, kept FROM campaigns WHERE campaign_id = {first}") == [("cancelled", 0, 1)]
    assert rows(live(inst), f"SELECT state FROM campaign_members WHERE campaign_id = {first}") == [("kept",)]
    change(live(inst), f"UPDATE agents SET state = 'active' WHERE name = '{host.name}'")
    controller(inst, True)
    accept(inst)
    wait_for("the host is back", lambda: inst.agent(host.name)["connected"])


def test_an_old_database_put_back_by_hand_is_noticed(estate, tmp_path):
    """Past `vccctl restore`: the signer remembers more, and nothing is ordered until a person has accepted that (F64, T24)."""
    inst, host = estate
    controller(inst, False)
    old = str(tmp_path / "old")
    with contextlib.closing(sqlite3.connect(live(inst))) as a, contextlib.closing(sqlite3.connect(old)) as b:
        a.backup(b)
    controller(inst, True)
    renew(inst, host)
    size = inst.get("audit?limit=1")["items"][0]["seq"]
    wait_for("a head of it", lambda: inst.get("audit/heads?limit=1")["items"][0]["size"] > size)
    generation = os.readlink(os.path.join(host.target_dir, "current"))
    controller(inst, False)
    for path in glob.glob(live(inst) + "-*"):
        os.unlink(path)
    shutil.copy(old, live(inst))
    controller(inst, True)
    wait_for("it is noticed", lambda: inst.vccctl("restore")["status"] == "waiting")
    assert inst.vccctl("restore")["longest_trail_claimed"] >= 0 and "VCC-3905" in refused(inst, "cert", "renew", host.cert_id, "--force")
    assert os.readlink(os.path.join(host.target_dir, "current")) == generation
    state = inst.vccctl("restore")
    assert state["signer_contradicts"] and "VCC-3906" in refused(inst, "restore", "--accept")
    forget_head(inst)
    wait_for("the signer", lambda: not inst.vccctl("restore")["signer_contradicts"])
    if inst.vccctl("restore")["status"] == "waiting":  # the host says the same, unless it has not said hello since
        inst.vccctl("restore", "--accept")
    wait_for("orders go out", lambda: inst.vccctl("restore")["status"] != "waiting")
    wait_for("what was open ends", lambda: rows(live(inst), "SELECT count(*) FROM certificates WHERE open_order IS NOT NULL") == [(0,)], 60)
    renew(inst, host)


def test_without_the_database_every_token_is_over(estate, tmp_path):
    """The disk is gone; only the published lists are left to say what was revoked."""
    inst, host = estate
    inst.vccctl("backup", str(tmp_path / "b"))
    renew(inst, host)
    renew(inst, host)
    known = {int.from_bytes(s, "big") for s, in rows(live(inst), "SELECT serial FROM issuances WHERE state = 'revoked' AND issuer_id = 'service-1'")}
    wait_for("the lists", lambda: known <= set().union(*(serials(c) for (issuer, _), c in lists(inst).items() if issuer == "service-1")))
    controller(inst, False)
    for path in glob.glob(live(inst) + "*"):
        os.unlink(path)
    done = restore(inst, str(tmp_path / "b"))
    assert done.returncode == 0 and "every token is over" in done.stdout, done
    assert rows(live(inst), "SELECT count(*) FROM tokens WHERE revoked_at IS NULL") == [(0,)]
    revoked = {int.from_bytes(s, "big") for s, in rows(live(inst), "SELECT serial FROM issuances WHERE state = 'revoked'")}
    assert known <= revoked
    done = restore(inst, str(tmp_path / "b"), "--keep-tokens")
    assert done.returncode == 0, done  # the store in force is read: its revocations count
    assert rows(live(inst), "SELECT count(*) FROM tokens WHERE revoked_at IS NULL") == [(0,)]
    for path in glob.glob(live(inst) + "*"):
        os.unlink(path)
    done = restore(inst, str(tmp_path / "b"), "--keep-tokens")
    assert done.returncode == 0, done
    assert rows(live(inst), "SELECT count(*) FROM tokens WHERE revoked_at IS NULL")[0][0] > 0
    controller(inst, True)
    accept(inst)
    inst.wait_served(host)
    wait_for("what the restored controller ordered by itself has ended", lambda: rows(live(inst), "SELECT count(*) FROM orders WHERE completed_at IS NULL") == [(0,)])
    renew(inst, host)
