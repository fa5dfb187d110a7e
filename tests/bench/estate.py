"""Rows about an estate of a million certificates: start, one page of a list, the monthly report, a revocation and its list.

The estate is one real certificate, copied row by row in the controller's store while no program runs: other identities, serials, due times and
list shards, the same sizes. Its serials lie below those that the controller gives out."""
import http.client
import json
import os
import sqlite3
import ssl
import time
import urllib.request

from cryptography import x509
from installation import wait_for
from kernel import cpu_us

SHARD = 10000  # issuances of one revocation list
ROOM = 10_000_000  # serial counters that are left free below the real ones
PAGE = 100
HOSTS = 1000
ORDERS_SHARE = 12  # of a certificate that lasts a year and more, one in twelve is renewed in a month
SUPERSEDED = 4  # RFC 5280, 5.3.1


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def database(inst, mode="rw"):
    return sqlite3.connect(f"file:{os.path.join(inst.state, 'controller', 'vcc.db')}?mode={mode}", uri=True, timeout=20)


def leave_room(inst):
    """Before the first certificate: the controller's serials begin above the estate's."""
    db = database(inst)
    with db:
        db.execute("INSERT INTO counters (name, value) VALUES ('serial', ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value", (ROOM,))
    db.close()


def columns(db, table, **changed):
    """SELECT list of a copied row: every column as it is, except these."""
    return ", ".join(f"({changed[name]})" if name in changed else f'c."{name}"' for _, name, *_ in db.execute(f"PRAGMA table_info({table})"))


def fill(inst, cert_id, count, revoked):
    """`count` certificates like `cert_id`, each with its issuance, and `revoked` earlier issuances of theirs that were revoked."""
    db, now = database(inst), int(time.time() * 1000)
    db.executescript("PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;")
    db.create_function("serial", 1, lambda i: i.to_bytes(7, "big") + os.urandom(9))
    with db:
        db.execute("CREATE TEMP TABLE given (i INTEGER PRIMARY KEY, serial BLOB NOT NULL)")
        db.execute(f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count + revoked}) INSERT INTO given SELECT i, serial(i) FROM n")
        same = {"serial": "g.serial", "owner_id": f"printf('estate-%07d', (g.i - 1) % {count})", "crl_shard": f"g.i % {-(-(count + revoked) // SHARD)}"}
        gone = {**same, "state": "'revoked'", "revoked_at": str(now - 60000), "revoke_reason": str(SUPERSEDED)}
        due = {"cert_id": same["owner_id"], "serial": "g.serial", "renew_at": f"{now} + 86400000 + g.i * 60"}
        for table, own, changed, which in (("certificates", "c.cert_id = ?", due, f"g.i <= {count}"),
                                           ("issuances", "c.owner = 'certificate' AND c.owner_id = ?", same, f"g.i <= {count}"),
                                           ("issuances", "c.owner = 'certificate' AND c.owner_id = ?", gone, f"g.i > {count}")):
            db.execute(f"INSERT INTO {table} SELECT {columns(db, table, **changed)} FROM {table} AS c, given AS g WHERE {own} AND {which}", (cert_id,))
        host = {"target_id": same["owner_id"], "cert_id": same["owner_id"], "agent": f"printf('estate-%04d', g.i % {HOSTS})", "served": "g.serial"}
        db.execute(f"INSERT INTO targets SELECT {columns(db, 'targets', **host)} FROM targets AS c, given AS g WHERE c.cert_id = ? AND g.i <= {count}", (cert_id,))
        ended = f"{now} - (g.i % 2500000) * 1000"
        order = {"renewal_id": "randomblob(16)", "cert_id": same["owner_id"], "old_serial": "g.serial", "created_at": f"{ended} - 3000", "completed_at": ended}
        db.execute(f"INSERT INTO orders SELECT {columns(db, 'orders', **order)} FROM orders AS c, given AS g WHERE c.renewal_id = (SELECT renewal_id FROM orders"
                   f" WHERE cert_id = ? AND phase = 'completed' LIMIT 1) AND g.i <= {count // ORDERS_SHARE}", (cert_id,))
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def report(table, inst, count):
    """The monthly report, over every certificate, the place where each is served, and the renewals of a month."""
    ask, took = Session(inst), []
    for _ in range(3):
        ms, answer = ask("GET", "/api/v1/reports/compliance?period=monthly")
        took.append(ms / 1000)
    assert answer["summary"]["total_certificates"] >= count and answer["summary"]["renewals_completed"] >= count // ORDERS_SHARE
    value = sorted(took)[1]
    table.add("report-1m", value, "s", None, "<= 5 s", value <= 5, all_s=[round(x, 2) for x in took], renewals=answer["summary"]["renewals_completed"],
              high_risk=answer["risk_assessment"]["high_risk_count"], value_is="GET reports/compliance?period=monthly over HTTPS, median of three")


def restart(table, inst, rounds):
    """From the start of the process to the first answer of /readyz that says yes; signer and gateway run on."""
    took, floor = [], []
    for _ in range(rounds):
        begun = time.monotonic()
        db = database(inst, "ro")
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        floor.append(time.monotonic() - begun)
        db.close()
        controller = inst.processes["controller"]
        controller.stop()
        begun = time.monotonic()
        controller.start()
        wait_for("the controller is ready", lambda: ready(inst), step=0.01)
        took.append(time.monotonic() - begun)
    value = sorted(took)[len(took) // 2]
    table.add("restart-1m", value, "s", None, "<= 2 s", value <= 2, all_s=[round(x, 3) for x in took], open_s=[round(x, 4) for x in floor],
              value_is="start of vcc-controller to /readyz = 200, median; open_s: opening the same file and reading its schema")


def ready(inst):
    try:
        return request(inst, "GET", "/readyz")[0] == 200
    except OSError:
        return False


def at_rest(inst):
    """What a start leaves to be done beside the answers (lists of a hundred thousand revocations are made) is over."""
    pid = inst.processes["controller"].pid
    for _ in range(60):
        before = cpu_us(pid)
        time.sleep(1)
        if cpu_us(pid) - before < 20000:
            return


def context(inst):
    return ssl.create_default_context(cafile=os.path.join(inst.state, "ca.pem"))


def request(inst, method, path, body=None, connection=None, token=""):
    c = connection or http.client.HTTPSConnection(inst.admin_url.removeprefix("https://"), context=context(inst), timeout=30)
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    c.request(method, path, None if body is None else json.dumps(body), headers)
    answer = c.getresponse()
    return answer.status, answer.read()


class Session:
    """One kept connection with the admin's token."""

    def __init__(self, inst):
        self.inst = inst
        self.connection = http.client.HTTPSConnection(inst.admin_url.removeprefix("https://"), context=context(inst), timeout=60)
        with open(os.path.join(inst.state, "admin.token")) as f:
            self.token = f.read().strip()

    def __call__(self, method, path, body=None):
        begun = time.monotonic()
        status, text = request(self.inst, method, path, body, self.connection, self.token)
        assert status in (200, 202), (method, path, status, text[:300])
        return (time.monotonic() - begun) * 1000, json.loads(text)


def list_page(table, inst, pages):
    ask, took, floor, cursor = Session(inst), [], [], ""
    db = database(inst, "ro")
    for n in range(pages):
        ms, answer = ask("GET", f"/api/v1/certificates?limit={PAGE}{cursor}")
        assert len(answer["items"]) == PAGE
        took.append(ms)
        cursor = f"&cursor={answer['next_cursor']}"
        begun = time.monotonic()
        rows = db.execute("SELECT * FROM certificates WHERE cert_id > ? ORDER BY cert_id LIMIT ?", (answer["items"][-1]["cert_id"], PAGE)).fetchall()
        floor.append((time.monotonic() - begun) * 1000)
        assert len(rows) == PAGE
    db.close()
    value = percentile(took, 0.99)
    table.add("list-page-1m", value, "ms", percentile(floor, 0.99), "<= 5 ms", value <= 5, p50_ms=round(percentile(took, 0.5), 3), pages=pages,
              value_is=f"p99 of pages of {PAGE} rows over HTTPS, one after another, client in Python included",
              floor_is="p99 of the same rows by key from SQLite")


def commits(folder, n):
    """A durable commit of one small row: milliseconds, the floor of every change."""
    path = os.path.join(folder, "floor.db")
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")
    took = []
    for i in range(n):
        begun = time.monotonic()
        db.execute("INSERT INTO t (b) VALUES (zeroblob(600))")
        took.append((time.monotonic() - begun) * 1000)
    db.close()
    os.unlink(path)
    return took


def on_list(inst, issuer, shard, serial):
    with urllib.request.urlopen(f"{inst.public_url}/crl/{issuer}/{shard}.crl", timeout=10) as answer:
        return x509.load_der_x509_crl(answer.read()).get_revoked_certificate_by_serial_number(serial) is not None


def revoke(table, inst, count, revoked, n):
    """One after another: the answer, then the list of the last one."""
    ask, took, visible = Session(inst), [], []
    db = database(inst, "ro")
    for k in range(n):
        cert_id = f"estate-{(k * 7919 + 13) % count:07d}"
        ms, _ = ask("POST", f"/api/v1/certificates/{cert_id}/revoke", {"reason": "keyCompromise"})
        took.append(ms)
        if k % (n // 4) == 0:
            begun = time.monotonic()
            issuer, shard, serial = db.execute("SELECT i.issuer_id, i.crl_shard, i.serial FROM issuances AS i JOIN certificates AS c ON c.serial = i.serial"
                                               " WHERE c.cert_id = ?", (cert_id,)).fetchone()
            wait_for("the list shows the revocation", lambda: on_list(inst, issuer, shard, int.from_bytes(serial, "big")))
            visible.append(time.monotonic() - begun)
    db.close()
    value, floor = percentile(took, 0.99), percentile(commits(inst.dir, n), 0.99)
    table.add("revoke-1m", value, "ms", floor, "<= 5 ms, <= 5 s", value <= 5 and max(visible) <= 5, p50_ms=round(percentile(took, 0.5), 3),
              visible_s=[round(x, 2) for x in visible], revocations=n, revoked_before=revoked,
              value_is="p99 of the answer over HTTPS, client in Python included; visible_s: until the published list names it",
              floor_is="p99 of one durable commit of SQLite on the same disk")


def rows(table, inst, host, quick):
    """`host`: served already, with serials above `leave_room`'s. Stops and starts the controller."""
    count, revoked = (100_000, 10_000) if quick else (1_000_000, 100_000)
    inst.processes["controller"].stop()
    fill(inst, host.cert_id, count, revoked)
    inst.processes["controller"].start()
    wait_for("the controller is ready", lambda: ready(inst))
    restart(table, inst, 3)
    at_rest(inst)
    list_page(table, inst, 200)
    report(table, inst, count)
    revoke(table, inst, count, revoked, 40 if quick else 200)
    for row in table.rows[-4:]:
        row["details"].update(certificates=count, issuances=count + revoked)
