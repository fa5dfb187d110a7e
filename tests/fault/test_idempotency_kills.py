"""Is a request with an Idempotency-Key done exactly once, wherever the controller is killed, when it is repeated until it is answered?"""
import http.client
import json
import os
import shutil
import sqlite3

import pytest
from conftest import new_folder
from contract import Caller
from installation import ROOT, wait_for
from rights_estate import Estate

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))


@pytest.fixture(scope="module")
def estate():
    folder = new_folder("idempotency-kills")
    e = Estate(folder, binaries=FAULTS)
    try:
        yield e
    finally:
        e.stop()
        shutil.rmtree(folder, ignore_errors=True)


def count(estate, sql, *values):
    db = sqlite3.connect(f"file:{os.path.join(estate.inst.state, 'controller', 'vcc.db')}?mode=ro", uri=True, timeout=20)
    try:
        return db.execute(sql, values).fetchone()[0]
    finally:
        db.close()


def restart(estate, env):
    controller = estate.inst.processes["controller"]
    controller.stop()
    controller.env = env
    controller.start()
    wait_for("ready", estate.inst.ready)


def post(estate, path, body, key):
    """(status, body), or None when the controller died of it. One attempt: repeating is what is tried here."""
    caller = Caller(estate.inst, None, estate.tokens["admin"])
    c = http.client.HTTPSConnection(caller.address, context=caller.context, timeout=30)
    try:
        c.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "Authorization": f"Bearer {caller.token}", "Idempotency-Key": key})
        answer = c.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, http.client.HTTPException):
        return None
    finally:
        c.close()


# point, the first answer after the kill: before the change is stored nothing was done, afterwards nothing is done again
ROWS = [("principal", "/api/v1/principals", lambda n: {"name": n, "roles": ["viewer"]}, "principal_created", 201, None),
        ("principal_stored", "/api/v1/principals", lambda n: {"name": n, "roles": ["viewer"]}, "principal_created", 409, "VCC-3153"),
        ("token", "/api/v1/tokens", lambda n: {"label": n}, "token_created", 201, None),
        ("token_stored", "/api/v1/tokens", lambda n: {"label": n}, "token_created", 409, "VCC-3153"),
        ("kept", "/api/v1/principals", lambda n: {"name": n, "roles": ["viewer"]}, "principal_created", 409, "VCC-3153"),
        ("kept_stored", "/api/v1/principals", lambda n: {"name": n, "roles": ["viewer"]}, "principal_created", 201, None)]


@pytest.mark.parametrize("point,path,body,event,status,code", ROWS, ids=[r[0] for r in ROWS])
def test_killed_between(estate, point, path, body, event, status, code):
    name = f"killed-{point.replace('_', '-')}"
    restart(estate, {"VCC_FAILPOINT": f"controller.{point}@1=kill"})
    before = count(estate, "SELECT count(*) FROM audit WHERE event = ?", event)
    assert post(estate, path, body(name), name) is None
    controller = estate.inst.processes["controller"]
    wait_for("the controller is dead", lambda: not controller.running())
    restart(estate, {})
    got, answer = post(estate, path, body(name), name)
    assert got == status and answer.get("code") == code, answer
    assert count(estate, "SELECT count(*) FROM audit WHERE event = ?", event) == before + 1
    assert post(estate, path, body(name), name)[0] == (409 if "token" in point else status)
    assert count(estate, "SELECT count(*) FROM audit WHERE event = ?", event) == before + 1
    assert count(estate, "SELECT count(*) FROM kept_answers WHERE key = ?", name) == 1
