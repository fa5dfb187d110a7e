"""Is a change of rights whole or not there, with its record, wherever the controller is killed?"""
import http.client
import os
import shutil
import sqlite3
import subprocess

import pytest
from conftest import new_folder
from installation import ROOT, wait_for
from rights_estate import Estate

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
LONG = os.environ.get("VCC_LONG") == "1"
POINTS = [f"controller.{name}{when}" for name in ("decision", "approval", "principal", "token", "token_revoke", "break_glass") for when in ("", "_stored")]


@pytest.fixture(scope="module")
def estate():
    folder = new_folder("rights-kills")
    e = Estate(folder, binaries=FAULTS)
    try:
        yield e
    finally:
        e.stop()
        shutil.rmtree(folder, ignore_errors=True)


def rows(estate, sql, *values):
    db = sqlite3.connect(f"file:{os.path.join(estate.inst.state, 'controller', 'vcc.db')}?mode=ro", uri=True, timeout=20)
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def restart(estate, env):
    controller = estate.inst.processes["controller"]
    controller.stop()
    controller.env = env
    controller.start()
    wait_for("ready", estate.inst.ready)


def ask(api, *words):
    """The answer, or None when the controller died of it."""
    try:
        return api(*words)
    except (OSError, http.client.HTTPException):
        return None


def story(estate, name):
    """Every change of rights once; each may be asked again after a kill, and ends the same. Gives what a person does next when one gets no answer."""
    admin, approver = estate.admin, estate.approver
    waiting = [a for a in estate.approver.get("approvals")["items"] if a["object"] == name]
    known = ask(admin, "GET", f"/api/v1/principals/{name}")
    if known is None:
        return False
    if known[0] == 404 and not waiting:
        return ask(admin, "POST", "/api/v1/principals", {"name": name, "roles": ["approver"]}) and None
    if known[0] == 404:
        return ask(approver, "POST", f"/api/v1/approvals/{waiting[0]['approval_id']}/approve", {"hash": waiting[0]["hash"]}) and None
    if known[1]["roles"] != ["viewer"]:
        return ask(admin, "POST", f"/api/v1/principals/{name}", {"roles": ["viewer"]}) and None
    tokens = ask(admin, "GET", f"/api/v1/tokens?principal={name}")
    if not tokens or not tokens[1]["items"]:
        return ask(admin, "POST", "/api/v1/tokens", {"principal": name}) and None
    if not any(t["revoked_at"] for t in tokens[1]["items"]):
        return ask(admin, "POST", f"/api/v1/tokens/{tokens[1]['items'][0]['token_id']}/revoke") and None
    return True


def consistent(estate):
    """Rows and records came in one transaction, or neither did."""
    for state, event in (("approved", "approval_granted"), ("rejected", "approval_rejected")):
        assert rows(estate, "SELECT count(*) FROM approvals WHERE state = ?", state) == rows(estate, "SELECT count(*) FROM audit WHERE event = ?", event)
    assert rows(estate, "SELECT count(*) FROM approvals") == rows(estate, "SELECT count(*) FROM audit WHERE event = 'approval_requested'")
    assert rows(estate, "SELECT count(*) FROM principals") == rows(estate, "SELECT count(*) FROM audit WHERE event = 'principal_created'")
    assert rows(estate, "SELECT count(*) FROM tokens") == rows(estate, "SELECT count(*) FROM audit WHERE event = 'token_created'")
    assert rows(estate, "SELECT count(*) FROM tokens WHERE revoked_at IS NOT NULL") == rows(estate, "SELECT count(*) FROM audit WHERE event = 'token_revoked'")
    for (name,) in rows(estate, "SELECT object FROM approvals WHERE kind = 'principal' AND state = 'approved'"):
        assert rows(estate, "SELECT 1 FROM principals WHERE name = ?", name)


@pytest.mark.parametrize("point", [p for p in POINTS if "break_glass" not in p] if LONG else POINTS[:2] + POINTS[4:6], ids=str)
def test_killed_while_rights_change(estate, point):
    name = point.replace(".", "-").replace("controller", "k")
    restart(estate, {"VCC_FAILPOINT": f"{point}@1=kill"})
    controller = estate.inst.processes["controller"]
    for _ in range(30):
        try:
            if story(estate, name):
                break
        except (AssertionError, OSError, http.client.HTTPException):
            pass  # it died between two questions
        if not controller.running():
            break
    wait_for(f"killed at {point}", lambda: not controller.running(), 60)
    consistent(estate)
    restart(estate, None)
    for _ in range(30):
        if story(estate, name):
            break
    assert story(estate, name) is True
    consistent(estate)


@pytest.mark.parametrize("point", POINTS[-2:], ids=str)
def test_killed_at_break_glass(estate, point):
    """The record is there before what it is about."""
    restart(estate, {"VCC_FAILPOINT": f"{point}@1=kill"})
    controller = estate.inst.processes["controller"]
    inst = estate.inst
    done = subprocess.run([inst.bin("vccctl"), "--socket", os.path.join(inst.state, "run", "admin.sock"), "principal", "create", "glass" + point[-3:].replace("_", ""),
                           "--roles", "viewer"], capture_output=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 5, done.stderr
    wait_for("killed", lambda: not controller.running(), 60)
    consistent(estate)
    made = rows(estate, "SELECT count(*) FROM principals WHERE maker LIKE 'local:%'")[0][0]
    assert rows(estate, "SELECT count(*) FROM audit WHERE event = 'break_glass_access'")[0][0] >= made
    restart(estate, None)
