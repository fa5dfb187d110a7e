"""The stories of docs/operations.md, "When it has to come back": has each fault its story and each story its test, do the programs say what stands
there, and do its commands, as they are printed, bring back a damaged database and a lost disk?"""
import ast
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess

import checks
import pytest
import story
from conftest import new_folder
from cryptography import x509
from installation import ROOT, Installation, wait_for
from one_service import renew

FAULTS = {"F28", "F33", "F34", "F35", "F53", "F64", "F79"}
STORIES = story.stories()


def codes():
    with open(os.path.join(ROOT, "shared", "base", "err.def")) as f:
        return {f"VCC-{n}": what for n, what in re.findall(r'^ERR\((\d+), \w+, \w+, "((?:[^"\\]|\\.)*)"', f.read(), re.M)}


def test_each_fault_has_its_story():
    assert set(STORIES) == FAULTS


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_story_is_true(fault):
    """Its tests are there, the words of the programs are theirs, and what it tells people to type is a verb."""
    s = STORIES[fault]
    for test in s.tests:
        path, name = test.split("::")
        with open(os.path.join(ROOT, path)) as f:
            assert name in {n.name for n in ast.walk(ast.parse(f.read())) if isinstance(n, ast.FunctionDef)}, test
    known = codes()
    assert all(line.split()[0] in known for line in s.said), s.said
    assert all(known[line.split()[0]] in line for line in s.said), (s.said, [known[line.split()[0]] for line in s.said])
    assert set(re.findall(r"VCC-\d+", s.text)) <= set(known)
    verbs = subprocess.run([os.path.join(ROOT, "build", "bin", "vccctl"), "--help"], capture_output=True, text=True).stdout
    typed = [c for c in [*s.commands, *story.NAMED.findall(s.text)] if c.startswith("vccctl")]
    assert typed
    for command in typed:
        words = [w for w in command.split()[1:] if re.fullmatch("[a-z]+", w)][:2]
        assert re.search(rf"^\s+{words[0]}\b", verbs, re.M), command
        assert len(words) < 2 or re.search(rf"^\s+{words[0]} {words[1]}\b", verbs, re.M), command


# ---- two that are played ----

def live(inst):
    return os.path.join(inst.state, "controller", "vcc.db")


def rows(db, sql, *values):
    with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as base:
        return base.execute(sql, values).fetchall()


@pytest.fixture(scope="module")
def inst():
    folder = new_folder("recovery")
    i = Installation(folder, settings={"controller.limits.audit_head_interval": "200ms"})
    try:
        i.init()
        i.start()
        wait_for("it is ready", i.ready)
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


def local(inst, *words):
    """As root on the controller's machine: no token is needed."""
    done = subprocess.run([inst.bin("vccctl"), "--socket", os.path.join(inst.state, "run", "admin.sock"), *words, "-o", "json"], capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout) if done.stdout.startswith("{") else None  # `status` ends with another code while something is amiss


def answers(inst):
    return local(inst, "restore")


def new_token(inst):
    """Every token may be over: the last command of a story, for the test's own questions."""
    with open(os.path.join(inst.state, "admin.token"), "w") as f:
        f.write(local(inst, "token", "create", "admin")["token"] + "\n")
    inst.api = None


def killed_after(inst, n=3):
    """Dead in the middle of its work, with a log beside the database; the invites that it had acknowledged."""
    names = [f"h{os.urandom(4).hex()}" for _ in range(n)]
    for name in names:
        inst.vccctl("agent", "invite", name, "--service", "clara")
    inst.processes["controller"].kill(signal.SIGKILL)
    assert os.path.getsize(live(inst) + "-wal") > 0
    return names


def invited(inst):
    return {i["name"] for i in inst.get("invites?limit=500")["items"]}


def comes_back(inst):
    inst.processes["controller"].start()
    wait_for("the controller", lambda: answers(inst))
    assert rows(live(inst), "PRAGMA integrity_check") == [("ok",)]


def test_a_lost_index_is_made_anew(inst):
    names = killed_after(inst)
    os.unlink(live(inst) + "-shm")
    comes_back(inst)
    assert set(names) <= invited(inst)


@pytest.mark.parametrize("keep", ["half", "nothing"])
def test_a_cut_log_ends_at_a_whole_change(inst, keep):
    """What is left is the state after some change, with the trail that goes with it; that something is missing is told."""
    killed_after(inst)
    log = live(inst) + "-wal"
    os.truncate(log, os.path.getsize(log) // 2 if keep == "half" else 0)
    comes_back(inst)
    size = rows(live(inst), "SELECT max(seq) + 1 FROM audit")[0][0]
    assert rows(live(inst), "SELECT count(*) FROM audit") == [(size,)]
    left = invited(inst)
    assert rows(live(inst), "SELECT count(*) FROM audit WHERE event = 'agent_invited'")[0][0] == len(left), "an invite without its record, or the other way round"
    wait_for("the signer was heard", lambda: local(inst, "status")["checks"]["signer"] == "ok")
    if answers(inst)["status"] == "waiting":
        assert any(d["kind"] == "head" and d["host"] == "signer" for d in answers(inst)["differences"])
        bring_back(inst, story.Player(inst, ""), ["vcc-signer audit-restart", "vccctl restore --accept"])


def bring_back(inst, player, commands):
    """The commands of a story one after the other; returns what the last one said."""
    done = None
    for command in commands:
        if command == "vcc-signer audit-restart":
            wait_for("the signer was heard", lambda: local(inst, "status")["checks"]["signer"] == "ok")
            if not answers(inst)["signer_contradicts"]:
                continue
            player.play("systemctl stop vcc-signer")
            done = player.play(command)
            player.play("systemctl start vcc-signer")
            wait_for("the signer begins anew", lambda: not answers(inst)["signer_contradicts"])
        elif "--accept" in command and answers(inst)["status"] != "waiting":
            continue  # the signer alone remembered more, and has begun anew
        elif "token create" in command:
            new_token(inst)
        else:
            if command.startswith("vccctl") and "FILE" not in command:
                wait_for("the controller", lambda: answers(inst))
            done = player.play(command)
        assert done is None or done.returncode == 0, (command, done)
    return done


def test_a_damaged_database(inst, tmp_path):
    """F53: a torn page after a crash. It does not start, says what stands in the story, and the story's commands bring the backup back."""
    s, backup = STORIES["F53"], str(tmp_path / "b")
    inst.vccctl("backup", backup)
    names = killed_after(inst)
    with open(live(inst), "r+b") as f:
        size = os.path.getsize(live(inst)) // 4096 * 4096
        for at in range(4096 * 2, size, 4096 * 2):
            f.seek(at)
            f.write(os.urandom(64))
    conf = inst.conf("controller")
    for _ in range(2):  # and a second start is no better
        done = subprocess.run([inst.bin("vcc-controller"), "--config", conf], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1, done
        for line in s.said:
            code, rest = line.split(" ", 1)
            assert code in done.stderr and live(inst) in done.stderr and "Next: Restore a backup" in done.stderr, (line, done.stderr)
    player = story.Player(inst, backup)
    assert s.commands[0].startswith("cp -a")
    bring_back(inst, player, s.commands)
    assert os.path.exists(os.path.join(inst.state, "controller.damaged", "vcc.db"))
    bring_back(inst, player, [c for c in STORIES["F64"].commands if "audit-restart" in c or "--accept" in c or "token create" in c])
    assert not set(names) & invited(inst), "they came after the backup"
    assert answers(inst)["status"] == "accepted" and wait_for("it is ready", inst.ready)
    assert rows(live(inst), "PRAGMA integrity_check") == [("ok",)]
    shutil.rmtree(os.path.join(inst.state, "controller.damaged"))


# ---- the disk is gone ----

@pytest.fixture
def estate():
    folder = new_folder("lost-disk")
    i = Installation(folder, settings={"controller.limits.audit_head_interval": "200ms"})
    try:
        i.init()
        i.start()
        host = i.prepare_service("nginx")
        host.join()
        host.write_target()
        host.start_agent()
        i.wait_served(host)
        yield i, host
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


def list_numbers(inst):
    found = {}
    for path in glob.glob(os.path.join(inst.state, "controller", "public", "crl", "service-1", "*.crl")):
        with open(path, "rb") as f:
            found[os.path.basename(path)] = x509.load_der_x509_crl(f.read()).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    return found


def test_a_lost_disk(estate, tmp_path):
    """F64: nothing is left but yesterday's backup and yesterday's copy of the signer's folder. What the host holds beyond them is listed before
    anybody accepts; afterwards it has a new certificate, no serial number is used twice, and no list has a lower number."""
    inst, host = estate
    s, backup = STORIES["F64"], str(tmp_path / "b")
    renew(inst, host)
    inst.vccctl("backup", backup)
    inst.processes["signer"].stop()
    signer = os.path.join(inst.state, "signer")
    kept = shutil.copytree(signer, tmp_path / "signer", ignore=lambda d, names: [n for n in names if n.endswith(".sock")])
    inst.processes["signer"].start()
    wait_for("the signer is back", lambda: inst.status()["checks"]["signer"] == "ok")
    later = inst.prepare_echo(1)
    later.join()
    later.start_agent()
    wait_for("a host that joined after the backup", lambda: inst.agent(later.name)["connected"])
    renew(inst, host)
    renew(inst, host)
    served = checks.served_is_issued(inst, host)
    issued = {r[0] for r in rows(live(inst), "SELECT serial FROM issuances")}
    lost = issued - {r[0] for r in rows(backup, "SELECT serial FROM issuances")}
    assert len(lost) >= 2
    size = inst.get("audit?limit=1")["items"][0]["seq"]
    wait_for("a head of it, at the host", lambda: inst.get("audit/heads?limit=1")["items"][0]["size"] > size and host_head(inst, host) > size)
    numbers = list_numbers(inst)
    player = story.Player(inst, backup)
    first = [c for c in s.commands[:s.commands.index("vcc-signer audit-restart")]]
    assert first[0] == "systemctl stop vcc-controller vcc-signer"
    player.play(first[0])
    for path in glob.glob(live(inst) + "*") + [os.path.join(inst.state, "controller", "public", "crl")]:
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    shutil.rmtree(signer)
    shutil.copytree(kept, signer)

    bring_back(inst, player, first[1:])
    wait_for("the host is back", lambda: local(inst, "agent", "show", host.name)["connected"], 120)
    wait_for("what it holds is listed", lambda: {d["kind"] for d in answers(inst)["differences"]} >= {"certificate", "host", "head"}, 60)
    state = answers(inst)
    assert state["status"] == "waiting"
    served_now = next(d for d in state["differences"] if d["kind"] == "certificate")
    assert served_now["object"] == host.cert_id and served_now["host"] == host.name and served_now["next"]
    assert served_now["what"].removeprefix("serves ") in {r.hex().upper() for r in lost}
    assert [d["object"] for d in state["differences"] if d["kind"] == "host"] == [later.name]
    table = player.play("vccctl restore").stdout
    assert "Not in this database" in table and host.cert_id in table
    done = player.play(f"vccctl cert renew {host.cert_id} --force")
    assert done.returncode != 0 and "VCC-3905" in done.stderr

    bring_back(inst, player, s.commands[len(first):])
    wait_for("it gets another one", lambda: inst.certificate(host.cert_id)["open_order"] is None and checks.served_is_issued(inst, host) != served, 120)
    now = {r[0] for r in rows(live(inst), "SELECT serial FROM issuances WHERE created_at > (SELECT max(at) FROM audit WHERE event = 'store_restored')")}
    assert now and not now & issued, "a serial number was used twice"
    wait_for("lists", lambda: (n := list_numbers(inst)) and all(n.get(k, 0) > numbers[k] for k in numbers))
    assert answers(inst)["status"] == "accepted"
    renew(inst, host)


def host_head(inst, host):
    done = subprocess.run([inst.bin("vcc-agent"), "status", "--config", host.config, "-o", "json"], capture_output=True, text=True, timeout=20)
    found = re.findall(r'"size": ?(\d+)', done.stdout)
    return max((int(x) for x in found), default=0)
