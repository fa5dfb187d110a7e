"""Is a list that is read page by page right while others write: nothing twice, and nothing left out that was there all the time?"""
import os
import random
import shutil
import sqlite3
import threading
import uuid

import pytest
from conftest import new_folder
from contract import Caller, Contract
from installation import wait_for
from rights_estate import OWN, Estate

ROWS = 300
AWAY = 2600  # more than a page of the store, and than one answer looks at


class Site:
    def __init__(self, folder):
        self.estate = Estate(folder)
        self.inst = self.estate.inst
        self.contract = Contract(self.estate.admin.get("openapi.json"))

    def caller(self, who="admin"):
        return Caller(self.inst, self.contract, self.estate.tokens[who])

    def read(self, caller, path, limit):
        """Every item of a list, following its cursors."""
        operation, cursor, items, pages = self.contract.find("GET", "/api/v1/" + path.split("?")[0]), "", [], 0
        while cursor is not None:
            query = ("&" if "?" in path else "?") + f"limit={limit}" + (f"&cursor={cursor}" if cursor else "")
            status, page = caller(operation, f"/api/v1/{path}{query}")
            assert status == 200 and len(page["items"]) <= limit, page
            items += page["items"]
            cursor = page["next_cursor"]
            pages += 1
            assert pages <= 4000, "the list has no end"
        return items


@pytest.fixture(scope="module")
def site():
    folder = new_folder("cursors")
    s = Site(folder)
    try:
        s.inst.processes["controller"].stop()
        db = sqlite3.connect(os.path.join(s.inst.state, "controller", "vcc.db"), timeout=20)
        db.executemany("INSERT INTO principals (name, roles, services, person, disabled, created_at, maker) VALUES (?, 1, '', '', 0, 1, 'init')", [(f"stays-{i:04}",) for i in range(ROWS)])
        db.executemany("INSERT INTO agents (name, service, patterns, state, host_hash, host_spki, identity_not_after_at, receipt_seq, version, address, joined_at, seen_at, skew_ms)"
                       " VALUES (?, ?, '', ?, ?, ?, 1900000000000, 0, '1', '', 1700000000000, 1700000000000, 0)",
                       [(f"away-{i:04}", OWN, "removed" if i % 10 == 0 else "active", os.urandom(32), os.urandom(91)) for i in range(AWAY)])
        db.commit()
        db.close()
        s.inst.processes["controller"].start()
        wait_for("ready", s.inst.ready)
        yield s
    finally:
        s.estate.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Writer(threading.Thread):
    """Makes principals, tokens and invites all over the range of names, as fast as it may, and takes tokens back."""

    def __init__(self, site):
        super().__init__()
        self.site, self.over, self.made = site, threading.Event(), 0

    def run(self):
        caller = self.site.caller()
        make, token, invite, revoke = (self.site.contract.find("POST", "/api/v1/" + p) for p in ("principals", "tokens", "invites", "tokens/{token_id}/revoke"))
        while not self.over.is_set():
            name = f"{random.choice('az')}-{uuid.uuid4().hex[:12]}"
            status, _ = caller(make, "/api/v1/principals", {"name": name, "roles": ["viewer"]})
            assert status == 201
            _, made = caller(token, "/api/v1/tokens", {"principal": name, "ttl": "1h"})
            caller(revoke, f"/api/v1/tokens/{made['token_id']}/revoke")
            caller(invite, "/api/v1/invites", {"name": name, "service": OWN})
            self.made += 1


@pytest.mark.parametrize("path,key", [("principals", "name"), ("tokens", "token_id"), ("invites", "invite_id"), ("audit", "seq")])
def test_a_list_is_right_while_others_write(site, path, key):
    caller = site.caller()
    before = {row[key] for row in site.read(caller, path, 500)}
    writer = Writer(site)
    writer.start()
    try:
        for limit in (1, 7, 100) if len(before) < 1000 else (7, 100):
            seen = [row[key] for row in site.read(caller, path, limit)]
            assert len(seen) == len(set(seen)), "a row came twice"
            assert before <= set(seen), "a row that was there all the time is missing"
    finally:
        writer.over.set()
        writer.join()
    assert writer.made > 0
    after = [row[key] for row in site.read(caller, path, 500)]
    assert len(after) == len(set(after)) and before <= set(after)


def test_all_that_are_away_are_listed(site):
    """However many there are: also those behind the first page of the store, and behind what one answer looks at."""
    caller, there = site.caller(), [f"away-{i:04}" for i in range(AWAY) if i % 10 > 0]
    operation = site.contract.find("GET", "/api/v1/agents")
    for limit in (500, 300):
        assert [row["name"] for row in site.read(caller, "agents?connected=no", limit)] == there, limit
        page = caller(operation, f"/api/v1/agents?connected=no&limit={limit}")[1]
        assert [row["name"] for row in page["items"]] == there[:limit] and page["next_cursor"], "a page is full when there are enough"
    assert [row["name"] for row in site.read(caller, "agents", 500)] == there


def test_a_cursor_outlives_its_row_and_a_restart(site):
    """It names a place in the order, not a row."""
    operation, caller = site.contract.find("GET", "/api/v1/principals"), site.caller()
    page = caller(operation, "/api/v1/principals?limit=5")[1]
    last = page["items"][-1]["name"]
    site.inst.processes["controller"].stop()
    db = sqlite3.connect(os.path.join(site.inst.state, "controller", "vcc.db"), timeout=20)
    db.execute("DELETE FROM principals WHERE name = ?", (last,))
    db.commit()
    db.close()
    site.inst.processes["controller"].start()
    wait_for("ready", site.inst.ready)
    after = caller(operation, f"/api/v1/principals?limit=5&cursor={page['next_cursor']}")[1]["items"]
    assert len(after) == 5 and all(row["name"] > last for row in after)


def test_a_cursor_is_of_one_list_and_selection(site):
    """A key means nothing elsewhere: neither in another list nor among other rows of this one."""
    operations = {path: site.contract.find("GET", "/api/v1/" + path) for path in ("principals", "tokens", "agents", "targets", "services", "certificates", "audit")}
    caller = site.caller()

    def ask(path, query):
        return caller(operations[path], f"/api/v1/{path}?limit=1{query}")

    for path in operations:
        of_principals = ask("principals", "")[1]["next_cursor"]
        for cursor in ("abc", "YQ", "A" * 200, *([of_principals] if path != "principals" else [])):
            status, body = ask(path, f"&cursor={cursor}")
            assert (status, body.get("code")) == (422, "VCC-3104") and "cursor" in body["detail"], (path, cursor, body)
    page = ask("audit", "&event=principal_created")[1]["next_cursor"]
    assert page and ask("audit", f"&event=principal_created&cursor={page}")[0] == 200
    for other in ("", "&event=token_created", "&event=principal_created&actor=admin"):
        assert ask("audit", f"{other}&cursor={page}")[0] == 422, other
    assert caller(operations["audit"], f"/api/v1/audit?cursor={page}&event=principal_created&limit=7")[0] == 200, "how many at once is no selection"
