"""vccctl doctor: is each finding found where it is so, and not where it is not; does it fit 80 columns, and does it end with 7 when something is wrong?"""
import json
import os
import pty
import shutil
import sqlite3
import subprocess

import pytest
from conftest import new_folder
from installation import Installation, wait_for

CHECKS = ["controller", "clock", "contacts", "channels", "people", "tokens", "authorities", "lists", "public", "agents", "certificates", "requests", "backup", "restore", "trail"]


@pytest.fixture(scope="module")
def inst():
    folder = new_folder("ctl-doctor")
    i = Installation(folder)
    try:
        i.init()
        i.start()
        wait_for("it is ready", i.ready)
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


def run(inst, *words):
    return subprocess.run([*inst.vccctl_argv, "doctor", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)


def found(inst):
    """{check: [finding]} and the exit code."""
    done = run(inst, "-o", "json")
    by = {}
    for f in json.loads(done.stdout):
        assert set(f) == {"verdict", "check", "object", "what", "next"} and f["what"] and f["next"], f
        by.setdefault(f["check"], []).append(f)
    assert set(by) <= set(CHECKS)
    errors = any(f["verdict"] == "error" for all_of in by.values() for f in all_of)
    assert done.returncode == (7 if errors else 0), done.stdout
    return by


def admin(inst, method, path, body):
    words = ["curl", "-sS", "--cacert", os.path.join(inst.state, "ca.pem"), "-X", method, "-H", "Content-Type: application/json", "-H",
             "Authorization: Bearer " + open(os.path.join(inst.state, "admin.token")).read().strip(), "-d", json.dumps(body), f"{inst.admin_url}/api/v1/{path}"]
    return json.loads(subprocess.run(words, capture_output=True, check=True).stdout)


def test_every_check_is_told(inst):
    out = run(inst).stdout
    assert [line.split()[1].rstrip(":") for line in out.splitlines() if not line.startswith(" ")] == CHECKS, out
    assert "controller" not in found(inst) and "public" not in found(inst) and "lists" not in found(inst)


def test_people(inst):
    people = inst.get("principals")["items"]
    many = {p["person"] or p["name"] for p in people if {"admin", "approver"} & set(p["roles"]) and not p["disabled"] and p["services"] is None}
    assert ("people" in found(inst)) == (len(many) < 2)
    for n in range(2 - len(many)):
        admin(inst, "POST", "principals", {"name": f"second-{n}", "roles": ["approver"]})
    assert "people" not in found(inst)


def test_a_backup(inst):
    assert found(inst)["backup"][0]["verdict"] == "warning"
    inst.vccctl("backup", os.path.join(inst.dir, "doctor.vccbackup"))
    assert "backup" not in found(inst)


def test_a_token_that_ends_soon(inst):
    made = admin(inst, "POST", "tokens", {"principal": "admin", "ttl": "3d", "label": "short"})
    assert [f["object"] for f in found(inst)["tokens"]] == ["admin"]
    inst.vccctl("token", "revoke", made["token_id"])
    assert "tokens" not in found(inst)


def test_agents_that_are_away(inst):
    host = inst.add_nginx()
    inst.wait_served(host)
    assert "agents" not in found(inst)
    host.processes["agent"].stop()
    told = wait_for("it is missed", lambda: found(inst).get("agents"), 120)
    assert told[0]["verdict"] == "error" and "1 of 1" in told[0]["what"]
    host.processes["agent"].start()
    wait_for("it is back", lambda: "agents" not in found(inst), 120)


def test_a_part_that_fails(inst):
    inst.processes["signer"].stop()
    told = wait_for("it is missed", lambda: [f for f in found(inst).get("controller", []) if f["object"] == "signer"], 120)
    assert told[0]["verdict"] == "error"
    inst.processes["signer"].start()
    wait_for("all is well", lambda: "controller" not in found(inst), 120)


def test_authorities_and_public_address(inst):
    """By hand in store and settings, while nobody has them open."""
    elsewhere = os.path.join(inst.state, "etc", "controller.conf.d", "90-elsewhere.conf")
    db = os.path.join(inst.state, "controller", "vcc.db")
    inst.processes["controller"].stop()
    with sqlite3.connect(db) as c:
        before = c.execute("SELECT not_after_at FROM issuers WHERE issuer_id = 'code-signing-1'").fetchone()[0]
        c.execute("UPDATE issuers SET not_after_at = strftime('%s', 'now') * 1000 + 10 * 86400000 WHERE issuer_id = 'code-signing-1'")
    with open(elsewhere, "w") as f:
        f.write("[public]\nurl = http://127.0.0.1:1\n")
    inst.processes["controller"].start()
    told = wait_for("it answers", lambda: run(inst).returncode == 7 and found(inst), 120)
    assert [(f["object"], f["verdict"]) for f in told["authorities"]] == [("code-signing-1", "error")]
    assert told["public"][0]["object"].startswith("http://127.0.0.1:1/") and told["public"][0]["verdict"] == "error"
    inst.processes["controller"].stop()
    os.unlink(elsewhere)
    with sqlite3.connect(db) as c:
        c.execute("UPDATE issuers SET not_after_at = ? WHERE issuer_id = 'code-signing-1'", (before,))
    inst.processes["controller"].start()
    wait_for("it is ready", inst.ready)


def test_who_may_not_read_is_told_so(inst):
    admin(inst, "POST", "principals", {"name": "onlooker", "roles": ["viewer"]})
    path = os.path.join(inst.dir, "onlooker.token")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
        f.write(admin(inst, "POST", "tokens", {"principal": "onlooker", "ttl": "30d"})["token"])
    argv = [inst.bin("vccctl"), "--url", inst.admin_url, "--ca", os.path.join(inst.state, "ca.pem"), "--token-file", path, "doctor", "-o", "json"]
    rows = json.loads(subprocess.run(argv, capture_output=True, text=True).stdout)
    assert {"people", "trail"} <= {r["check"] for r in rows if r["verdict"] == "skipped"}, rows


def test_eighty_columns(inst):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update({"COLUMNS": "80", "TERM": "xterm"})
        os.execv(inst.vccctl_argv[0], [*inst.vccctl_argv, "doctor"])
    text = b""
    try:
        while piece := os.read(fd, 4096):
            text += piece
    except OSError:
        pass
    os.waitpid(pid, 0)
    assert max(len(line) for line in text.decode().splitlines()) <= 80, text.decode()


def test_nobody_answers(inst):
    done = subprocess.run([inst.bin("vccctl"), "--url", "https://127.0.0.1:1", "--ca", os.path.join(inst.state, "ca.pem"), "--token-file",
                           os.path.join(inst.state, "admin.token"), "doctor"], capture_output=True, text=True)
    assert done.returncode == 5 and "VCC-3501" in done.stderr
