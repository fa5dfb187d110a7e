"""Does what ended long ago leave the database for the archive, once and whole, and does everything that is in use stay?"""
import base64
import contextlib
import glob
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import checks
import pytest
from conftest import new_folder
from cryptography import x509
from handshakes import Load
from installation import ROOT, Failed, Installation, wait_for
from one_service import addresses, renew
from rights_estate import Api

FAULTS = os.path.join(ROOT, "build-faults", "bin")
SETTINGS = {"controller.schedule.prune": "1s", "controller.limits.keep_orders": "2s", "controller.limits.keep_issuances": "2s", "controller.limits.keep_drills": "2s",
            "controller.crl.validity": "60s",
            "controller.crl.refresh": "20s", "controller.schedule.tick": "100ms"}


@contextlib.contextmanager
def estate_of(binaries=None):
    path = new_folder("prune")
    inst = Installation(path, settings=SETTINGS, binaries=binaries)
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


@pytest.fixture(scope="module")
def estate():
    with estate_of() as e:
        yield e


@pytest.fixture(scope="module")
def faulty():
    if not os.path.exists(os.path.join(FAULTS, "vcc-controller")):
        pytest.skip("make faults has not been run")
    with estate_of(FAULTS) as e:
        yield e


def live(inst):
    return os.path.join(inst.state, "controller", "vcc.db")


def rows(inst, sql, *values):
    with contextlib.closing(sqlite3.connect(f"file:{live(inst)}?mode=ro", uri=True, timeout=20)) as base:
        return base.execute(sql, values).fetchall()


def archive(inst):
    """{file: bytes}"""
    found = {}
    for path in sorted(glob.glob(os.path.join(inst.state, "controller", "archive", "*.jsonl"))):
        with open(path, "rb") as f:
            found[os.path.basename(path)] = f.read()
    return found


def lines(inst, kind):
    return [o for data in archive(inst).values() for o in map(json.loads, data.decode().splitlines()) if o["kind"] == kind]


def quiet(inst):
    """Everything that may go has gone."""
    wait_for("the walks", lambda: rows(inst, "SELECT count(*) FROM orders WHERE completed_at IS NOT NULL") == [(0,)])


def age(inst, days):
    """Superseded issuances that ended so long ago, as a year of renewals leaves them."""
    inst.processes["controller"].stop()
    with contextlib.closing(sqlite3.connect(live(inst))) as db:
        n = db.execute("UPDATE issuances SET not_after_at = not_after_at - ? WHERE state = 'revoked' AND owner = 'certificate'",
                       (days * 86400000,)).rowcount
        db.commit()
    inst.processes["controller"].start()
    wait_for("the controller", inst.ready)
    return n


def check_trail(inst):
    """Each record names bytes of a file that hash to what it says; nothing else is in the files but what a kill left."""
    named = 0
    for detail, in rows(inst, "SELECT detail FROM audit WHERE event = 'store_pruned'"):
        d = json.loads(detail)
        if "file" in d:
            piece = archive(inst)[d["file"]][d["offset"]:d["offset"] + d["bytes"]]
            assert hashlib.sha256(piece).hexdigest() == d["sha256"].lower() and piece.count(b"\n") == d["rows"], d
            named += d["bytes"]
    return named


def test_orders_go_with_their_evidence(estate):
    inst, host = estate
    done = [renew(inst, host) for _ in range(3)]
    quiet(inst)
    archived = {o["renewal_id"]: o for o in lines(inst, "order")}
    for renewal in done:
        line = archived[renewal["renewal_id"]]
        assert line["status"] == "completed" and len(line["steps"]) > 5
        assert {s["step"] for s in line["steps"]} <= {s["step"] for s in renewal["steps"]}
        assert len(line["receipts"]) == len(renewal["receipts"]) > 0
        assert all(base64.b64decode(r["body"]) and base64.b64decode(r["signature"]) for r in line["receipts"])
    for table in ("order_steps", "order_histories"):
        assert rows(inst, f"SELECT count(*) FROM {table} WHERE renewal_id NOT IN (SELECT renewal_id FROM orders)") == [(0,)]
    assert rows(inst, "SELECT count(*) FROM receipts WHERE renewal_id IS NOT NULL AND renewal_id NOT IN (SELECT renewal_id FROM orders)") == [(0,)]
    shown = inst.certificate(host.cert_id)["archived"]
    assert shown["orders"] == len(archived) and shown["first_file"] == "000001.jsonl" and shown["first_file"] in archive(inst)
    assert check_trail(inst) == sum(map(len, archive(inst).values()))
    renew(inst, host)


def test_issuances_go_and_what_is_in_use_stays(estate):
    inst, host = estate
    for _ in range(3):
        renew(inst, host)
    current = inst.certificate(host.cert_id)["serial"]
    wait_for("all but one are revoked", lambda: rows(inst, "SELECT count(*) FROM issuances WHERE owner = 'certificate' AND state != 'revoked'") == [(1,)])
    before = {s.hex(): bytes(der) for s, der in rows(inst, "SELECT serial, der FROM issuances WHERE owner = 'certificate' AND state = 'revoked'")}
    n = age(inst, 900)
    assert n == len(before) > 2
    wait_for("they are gone", lambda: rows(inst, "SELECT count(*) FROM issuances WHERE owner = 'certificate'") == [(1,)])
    archived = {o["serial"].lower(): o for o in lines(inst, "issuance") if o["owner"] == host.cert_id}
    assert set(before) <= set(archived)
    for serial, der in before.items():
        assert base64.b64decode(archived[serial]["certificate"]) == der
        assert x509.load_der_x509_certificate(der).serial_number == int(serial, 16) and archived[serial]["revoked_at"] is not None
    shown = inst.certificate(host.cert_id)
    assert shown["archived"]["issuances"] == n and shown["serial"] == current
    page = inst.get(f"certificates/{host.cert_id}/issuances")
    assert [i["serial"] for i in page["items"]] == [current] and page["archived"]["issuances"] == n
    checks.served_is_issued(inst, host)
    renew(inst, host)


def test_campaigns_go_with_their_members(estate):
    """Also one with more members than a piece; one that is open stays."""
    inst, host = estate
    done = inst.vccctl("bulk", "apply", "--pattern", "*.vcc.internal")
    wait_for("it ends", lambda: rows(inst, "SELECT count(*) FROM campaigns WHERE completed_at IS NULL") == [(0,)], 60)
    wait_for("it goes", lambda: rows(inst, "SELECT count(*) FROM campaigns") == [(0,)] and rows(inst, "SELECT count(*) FROM campaign_members") == [(0,)])
    line, = (o for o in lines(inst, "campaign") if o["campaign_id"] == done["campaign_id"])
    assert line["status"] == "completed" and line["campaign_kind"] == "bulk"
    assert [m["cert_id"] for m in lines(inst, "campaign_member") if m["campaign_id"] == done["campaign_id"]] == [host.cert_id]
    inst.processes["controller"].stop()
    with contextlib.closing(sqlite3.connect(live(inst))) as db:
        names = [c[1] for c in db.execute("PRAGMA table_info(campaigns)")]
        kinds = {c[1]: c[2] for c in db.execute("PRAGMA table_info(campaigns)")}
        row = {c: "" if kinds[c] == "TEXT" else 0 for c in names}
        row.update(kind="bulk", state="completed", trigger="manual", incident="other", revoke_old="proved", confirmation="none", plan_hash=None, content_hash=None, revoke_by_at=None,
                   invalidity_at=None, remind_at=None, next_at=None, started_at=1000)
        for n, completed in ((1, 1500000000000), (2, None)):
            row.update(campaign_id=bytes([0, 0, n]) + os.urandom(13), completed_at=completed, total=250, state="completed" if completed else "halted")
            db.execute(f"INSERT INTO campaigns VALUES ({','.join('?' * len(names))})", [row[c] for c in names])
            members = [c[1] for c in db.execute("PRAGMA table_info(campaign_members)")]
            types = {c[1]: c[2] for c in db.execute("PRAGMA table_info(campaign_members)")}
            for i in range(250):
                m = {c: None if types[c] == "BLOB" else "" if types[c] == "TEXT" else 0 for c in members}
                m.update(campaign_id=row["campaign_id"], position=i + 1, state="done" if completed else "dropped", cert_id=f"m{i}")
                db.execute(f"INSERT INTO campaign_members VALUES ({','.join('?' * len(members))})", [m[c] for c in members])
        db.commit()
    inst.processes["controller"].start()
    wait_for("the controller", inst.ready)
    wait_for("it goes", lambda: rows(inst, "SELECT count(*) FROM campaigns WHERE completed_at = 1500000000000") == [(0,)], 60)
    gone = [m["cert_id"] for m in lines(inst, "campaign_member") if m["cert_id"].startswith("m")]
    assert len(gone) == len(set(gone)) == 250
    assert rows(inst, "SELECT count(*) FROM campaign_members WHERE state = 'dropped'")[0][0] in (0, 250), "open ones stay whole"
    check_trail(inst)


def test_drills_go_with_their_reports_and_the_last_one_stays(estate):
    """The last that came to its end tells that its services were rehearsed; one that was called off does not."""
    inst, _ = estate
    with open(os.path.join(inst.state, "admin.token")) as token:
        api = Api(inst, token.read().strip())

    def drill(service="clara"):
        begun = api("POST", "/api/v1/drills", {"selector": {"service": service}, "reason": "rehearsed"})
        assert begun[0] == 202, begun
        wait_for("its report", lambda: rows(inst, "SELECT count(*) FROM drills WHERE lower(hex(campaign_id)) = ? AND reported_at IS NOT NULL", begun[1]["drill_id"].replace("-", "")) == [(1,)], 90)
        return begun[1]["drill_id"]

    def there():
        return [d["drill_id"] for d in inst.get("drills")["items"]]
    first = drill()
    report = inst.get(f"drills/{first}/report")
    time.sleep(4)  # two walks
    assert there() == [first]
    second = drill()
    wait_for("the first one goes", lambda: there() == [second], 60)
    line, = lines(inst, "drill")
    assert line["drill_id"] == first and line["status"] == "completed" and line["requester"] == "admin" and line["tested_count"] == 1
    data = base64.b64decode(line["report"])
    assert data == report["report"].encode() and hashlib.sha256(data).hexdigest() == line["report_sha256"] == report["report_sha256"]
    assert rows(inst, "SELECT count(*) FROM drill_reports") == [(1,)]
    inst.processes["controller"].stop()
    with contextlib.closing(sqlite3.connect(live(inst))) as db:
        names = [c[1] for c in db.execute("PRAGMA table_info(drills)")]
        row = dict(zip(names, db.execute("SELECT * FROM drills").fetchone()))
        for byte, change in ((0xf1, {"state": "cancelled"}), (0xf2, {"services": "vpb"}), (0xf3, {"reported_at": None, "ended_at": None, "created_at": 1500000000000})):
            new = dict(row, campaign_id=bytes([byte]) * 16, **change)
            db.execute(f"INSERT INTO drills VALUES ({','.join('?' * len(names))})", [new[n] for n in names])
            if new["reported_at"]:
                db.execute("INSERT INTO drill_reports VALUES (?, ?)", (new["campaign_id"], report["report"].encode()))
        db.commit()
    inst.processes["controller"].start()
    wait_for("the controller", inst.ready)
    wait_for("those that prove nothing go", lambda: rows(inst, "SELECT count(*) FROM drills WHERE state = 'cancelled' OR reported_at IS NULL") == [(0,)], 60)
    time.sleep(2)
    assert sorted(there()) == sorted([second, "f2" * 4 + "-" + "f2" * 2 + "-" + "f2" * 2 + "-" + "f2" * 2 + "-" + "f2" * 6]), "each the last of its services"
    check_trail(inst)


def test_the_last_one_of_a_certificate_stays(estate):
    """However long ago it ended: an unplugged host comes back to what it was."""
    inst, host = estate
    inst.processes["controller"].stop()
    with contextlib.closing(sqlite3.connect(live(inst))) as db:
        db.execute("UPDATE issuances SET not_after_at = not_after_at - 90000000000 WHERE owner = 'agent'")
        db.commit()
    inst.processes["controller"].start()
    wait_for("the controller", inst.ready)
    quiet(inst)
    assert rows(inst, "SELECT count(*) FROM agents WHERE identity NOT IN (SELECT serial FROM issuances)") == [(0,)]


def test_rights_that_are_over_go(estate):
    inst, _ = estate
    token = inst.vccctl("token", "create", "--label", "short", "--ttl", "2s")
    kept = inst.vccctl("token", "create", "--label", "kept", "--ttl", "2h")
    inst.vccctl("agent", "invite", "never", "--service", "clara", "--ttl", "2s")
    open_ = inst.vccctl("agent", "invite", "open", "--service", "clara", "--ttl", "2h")
    assert token["token_id"] != kept["token_id"]
    wait_for("they go", lambda: rows(inst, "SELECT label FROM tokens WHERE label IN ('short', 'kept')") == [("kept",)])
    wait_for("they go", lambda: rows(inst, "SELECT name FROM invites WHERE name IN ('never', 'open')") == [(open_["name"],)])


def test_nobody_waits_while_much_goes(estate):
    """20,000 ended issuances leave under renewals and handshakes; the API answers meanwhile, and the file stops growing."""
    inst, host = estate
    inst.processes["controller"].stop()
    total = 20000 if os.environ.get("VCC_LONG") == "1" else 1500
    with contextlib.closing(sqlite3.connect(live(inst))) as db:
        columns = [c[1] for c in db.execute("PRAGMA table_info(issuances)")]
        row = dict(zip(columns, db.execute("SELECT * FROM issuances WHERE owner = 'certificate' LIMIT 1").fetchone()))
        for i in range(total):
            row.update(serial=bytes([0, 0, 0, 0, 0, 0, 1]) + i.to_bytes(9, "big"), state="revoked", revoked_at=1500000000000, not_after_at=1600000000000 + i // 700,
                       owner_id=f"gone{i % 50:02d}", renewal_id=None)
            db.execute(f"INSERT INTO issuances VALUES ({','.join('?' * len(columns))})", [row[c] for c in columns])
        db.commit()
    inst.processes["controller"].start()
    wait_for("the controller", inst.ready)
    slowest, stop = [0.0], threading.Event()

    def ask_on():
        while not stop.is_set():
            began = time.monotonic()
            inst.get("status")
            slowest[0] = max(slowest[0], time.monotonic() - began)

    asking = threading.Thread(target=ask_on)
    asking.start()
    try:
        with Load(addresses(host), host.names[0], clients=2, how=host.handshake.trusting(os.path.join(inst.state, "ca.pem"))) as load:
            while rows(inst, "SELECT count(*) FROM issuances WHERE owner_id LIKE 'gone%'") != [(0,)]:
                renew(inst, host)
    finally:
        stop.set()
        asking.join()
    assert load.failed == 0
    print(f"{total} rows went; the slowest answer meanwhile took {slowest[0] * 1000:.0f} ms")
    archived = [o["serial"] for o in lines(inst, "issuance") if o["owner"].startswith("gone")]
    assert len(archived) == len(set(archived)) == total
    check_trail(inst)


@pytest.mark.parametrize("point", ("controller.archive_written", "controller.prune", "controller.prune_stored"))
def test_killed(faulty, point):
    """A row is in the database or in the archive, or in both; a line is never half of one."""
    inst, host = faulty
    p = inst.processes["controller"]
    renewal = renew(inst, host)["renewal_id"]
    p.kill(signal.SIGKILL)
    p.env = {"VCC_FAILPOINT": f"{point}=kill"}
    with contextlib.suppress(Failed):
        p.start()
    wait_for("its death", lambda: not p.running(), 60)
    archived = [o["renewal_id"] for o in lines(inst, "order")]
    assert rows(inst, "SELECT count(*) FROM orders WHERE lower(hex(renewal_id)) = ?", renewal.replace("-", "")) == [(1,)] or renewal in archived
    p.env = {}
    p.start()
    wait_for("the controller", inst.ready)
    quiet(inst)
    archived = [o["renewal_id"] for o in lines(inst, "order")]
    assert renewal in archived
    assert rows(inst, "SELECT count(*) FROM orders WHERE lower(hex(renewal_id)) = ?", renewal.replace("-", "")) == [(0,)]
    assert inst.certificate(host.cert_id)["archived"]["orders"] == len(set(archived))
    check_trail(inst)


def test_a_full_or_missing_disk_keeps_the_rows(faulty):
    inst, host = faulty
    p = inst.processes["controller"]
    p.stop()
    p.env = {"VCC_FAILPOINT": "controller.archive_written=err:ENOSPC"}
    p.start()
    wait_for("the controller", inst.ready)
    renewal = renew(inst, host)["renewal_id"]
    wait_for("it is told", lambda: "VCC-13" in "".join(p.tail(200)))
    assert inst.renewal(renewal)["status"] == "completed"
    p.stop()
    shutil.rmtree(os.path.join(inst.state, "controller", "archive"))  # carried away
    p.env = {}
    p.start()
    wait_for("the controller", inst.ready)
    quiet(inst)
    assert renewal in [o["renewal_id"] for o in lines(inst, "order")]
    assert "000001.jsonl" not in archive(inst), "a name is used once"


def test_settings_are_checked(estate):
    inst, _ = estate
    conf = os.path.join(inst.dir, "bad.conf")
    shutil.copy(inst.conf("controller"), conf)
    with open(conf, "a") as f:
        f.write("\n[limits]\nkeep_orders = soon\n")
    done = subprocess.run([inst.bin("vcc-controller"), "--config", conf, "--check"], capture_output=True, text=True)
    assert done.returncode != 0 and "keep_orders" in done.stdout + done.stderr
