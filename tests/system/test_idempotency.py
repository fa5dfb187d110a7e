"""Is a repeated request with an Idempotency-Key done once, answered alike, and never mistaken for another one?"""
import json
import os
import shutil
import sqlite3
import threading

import pytest
from conftest import new_folder
from contract import Caller, Contract
from installation import wait_for
from rights_estate import OWN, Estate

LIFE = "/api/v1/certificates/lifecycle"


class Site:
    def __init__(self, folder):
        self.estate = Estate(folder, {"controller.limits.max_renewals_default": "0"})
        self.inst = self.estate.inst
        self.contract = Contract(self.estate.admin.get("openapi.json"))
        self.admin = self.caller("admin")

    def caller(self, who):
        return Caller(self.inst, self.contract, self.estate.tokens.get(who, who))

    def post(self, path, body, key, caller=None):
        """(status, body, replayed)"""
        headers = {"Idempotency-Key": key} if key is not None else {}
        status, got, text = (caller or self.admin).raw("POST", path, json.dumps(body) if not isinstance(body, str) else body, headers)
        return status, json.loads(text), got.get("Idempotency-Replayed") == "true"

    def rows(self, sql, *values):
        db = sqlite3.connect(f"file:{os.path.join(self.inst.state, 'controller', 'vcc.db')}?mode=ro", uri=True, timeout=20)
        try:
            return db.execute(sql, values).fetchall()
        finally:
            db.close()


@pytest.fixture(scope="module")
def site():
    folder = new_folder("idempotency")
    s = Site(folder)
    try:
        yield s
    finally:
        s.estate.stop()
        shutil.rmtree(folder, ignore_errors=True)


def made(site):
    return site.rows("SELECT count(*) FROM audit WHERE event = 'principal_created'")[0][0]


def test_the_same_request_is_done_once(site):
    before = made(site)
    first = site.post("/api/v1/principals", {"name": "robot-1", "roles": ["viewer"]}, "k-1")
    again = [site.post("/api/v1/principals", {"name": "robot-1", "roles": ["viewer"]}, "k-1") for _ in range(3)]
    assert first[0] == 201 and not first[2] and all(a == (201, first[1], True) for a in again), (first, again)
    assert made(site) == before + 1
    # without the key it is what it always was
    assert site.post("/api/v1/principals", {"name": "robot-1", "roles": ["viewer"]}, None)[0] == 409


def test_another_request_is_refused(site):
    body = {"name": "robot-2", "roles": ["viewer"]}
    assert site.post("/api/v1/principals", body, "k-2")[0] == 201
    for path, other in (("/api/v1/principals", dict(body, roles=["auditor"])), ("/api/v1/principals", '{"name":"robot-2", "roles":["viewer"]} '),
                        ("/api/v1/principals/robot-2", {"roles": ["auditor"]})):
        status, answer, replayed = site.post(path, other, "k-2")
        assert (status, answer["code"], replayed) == (422, "VCC-3151", False), (path, other, answer)
    assert site.estate.admin.get("principals/robot-2")["roles"] == ["viewer"]


def test_a_key_is_its_principals(site):
    token = site.estate.principal("other-admin", ["admin"])
    assert site.post("/api/v1/principals", {"name": "robot-3", "roles": ["viewer"]}, "k-3")[0] == 201
    status, answer, replayed = site.post("/api/v1/principals", {"name": "robot-4", "roles": ["viewer"]}, "k-3", site.caller(token))
    assert status == 201 and answer["name"] == "robot-4" and not replayed
    # the right is asked for each time
    viewer = site.estate.principal("no-more", ["admin"])
    caller = site.caller(viewer)
    assert site.post("/api/v1/principals", {"name": "robot-5", "roles": ["viewer"]}, "k-5", caller)[0] == 201
    assert site.post("/api/v1/principals/no-more", {"roles": ["viewer"]}, None)[0] == 200
    assert site.post("/api/v1/principals", {"name": "robot-5", "roles": ["viewer"]}, "k-5", caller)[1]["code"] == "VCC-3101"


def test_an_answer_is_for_the_token_that_asked(site):
    """Another token of the same principal, which may be a weaker one, reads nothing of the answer; and nothing is done twice."""
    first = site.caller(site.estate.principal("two-tokens", ["admin"]))
    second = site.caller(site.post("/api/v1/tokens", {"label": "second", "ttl": "1h"}, None, first)[1]["token"])
    asked = {"name": "robot-9", "roles": ["viewer"], "person": "said-to-the-first"}
    status, answer, _ = site.post("/api/v1/principals", asked, "k-cred", first)
    assert status == 201 and answer["person"] == "said-to-the-first"
    before = made(site)
    again = site.post("/api/v1/principals", asked, "k-cred", second)
    assert again[0] == 409 and again[1]["code"] == "VCC-3153" and "another token" in again[1]["detail"] and not again[2]
    assert "said-to-the-first" not in json.dumps(again[1])
    assert site.post("/api/v1/principals", {**asked, "name": "robot-10"}, "k-cred", second)[1]["code"] == "VCC-3151"
    assert site.post("/api/v1/principals", asked, "k-cred", first) == (201, answer, True)
    assert made(site) == before


def test_refusals_and_what_changes_nothing_are_not_kept(site):
    for _ in range(2):
        assert site.post("/api/v1/principals", {"name": "Robot", "roles": ["viewer"]}, "k-6")[0] == 422
    assert site.post("/api/v1/principals", {"name": "robot-6", "roles": ["viewer"]}, "k-6")[0] == 201
    assert site.post(f"{LIFE}/renew/nothing", {}, "k-7")[0] == 404 and site.post(f"{LIFE}/renew/nothing", {"force": True}, "k-7")[0] == 404


def test_secrets_are_not_kept(site):
    for path, body, key in (("/api/v1/tokens", {"label": "once"}, "k-8"), ("/api/v1/invites", {"name": "h-8", "service": OWN}, "k-9")):
        status, answer, _ = site.post(path, body, key)
        assert status == 201 and answer["token"].startswith("vcc_")
        status, again, replayed = site.post(path, body, key)
        assert (status, again["code"], replayed) == (409, "VCC-3153", False) and "secret" in again["detail"], again
        for name in ("vcc.db", "vcc.db-wal"):
            with open(os.path.join(site.inst.state, "controller", name), "rb") as f:
                assert answer["token"].encode() not in f.read(), name
    assert len([t for t in site.estate.admin.get("tokens?principal=admin")["items"] if t["label"] == "once"]) == 1


@pytest.mark.parametrize("key,status", [("a b", 422), ("ä", 422), ("x" * 95, 201), ("x" * 96, 413)])
def test_keys_are_checked(site, key, status):
    assert site.post("/api/v1/principals", {"name": f"key-{len(key)}", "roles": ["viewer"]}, key)[0] == status


def test_many_at_once_are_one(site):
    answers, callers = [], [site.caller("admin") for _ in range(8)]
    for n in range(5):
        body, before = {"name": f"race-{n}", "roles": ["viewer"]}, made(site)
        threads = [threading.Thread(target=lambda c=c: answers.append((n, site.post("/api/v1/principals", body, f"race-{n}", c)))) for c in callers]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        mine = [a for k, a in answers if k == n]
        assert len([a for a in mine if a[0] == 201 and not a[2]]) == 1, mine
        assert all(a[0] == 201 or (a[0], a[1]["code"]) == (409, "VCC-3152") for a in mine), mine
        assert site.post("/api/v1/principals", body, f"race-{n}")[2]
        assert made(site) == before + 1


def test_keys_are_bounded_and_end_after_a_day(site):
    db = sqlite3.connect(os.path.join(site.inst.state, "controller", "vcc.db"), timeout=20)
    (who, at), = db.execute("SELECT who, at FROM kept_answers WHERE key = 'k-1'").fetchall()
    db.close()
    site.inst.processes["controller"].stop()
    db = sqlite3.connect(os.path.join(site.inst.state, "controller", "vcc.db"), timeout=20)
    n, = db.execute("SELECT count(*) FROM kept_answers WHERE who = ?", (who,)).fetchone()
    db.executemany("INSERT INTO kept_answers VALUES (?, ?, NULL, NULL, ?, 200, 0, '', x'', NULL)", [(who, f"fill-{i}", at) for i in range(1000 - n)])
    db.executemany("INSERT INTO kept_answers VALUES (?, ?, NULL, NULL, ?, 200, 0, '', x'', NULL)", [(b"\x01" * 32, f"old-{i}", at - 86400000) for i in range(30)])
    db.commit()
    db.close()
    site.inst.processes["controller"].start()
    wait_for("ready", site.inst.ready)
    wait_for("yesterday's answers end", lambda: site.rows("SELECT count(*) FROM kept_answers WHERE key LIKE 'old-%'") == [(0,)])
    status, answer, _ = site.post("/api/v1/principals", {"name": "one-more", "roles": ["viewer"]}, "one-more")
    assert (status, answer["code"], answer["retryable"]) == (429, "VCC-3154", True)
    assert site.post("/api/v1/principals", {"name": "robot-1", "roles": ["viewer"]}, "k-1")[2], "what was asked before is still answered"
    assert site.post("/api/v1/principals", {"name": "one-more", "roles": ["viewer"]}, None)[0] == 201
