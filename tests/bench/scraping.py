"""Rows metrics-scrape and issue-scraped: GET /metrics with 10,000 certificates, each on a host of its own, and what issuing costs meanwhile. The rows are
copies of one real certificate, target and host, as in estate.py. Each scrape that is measured reads the database anew."""
import http.client
import threading
import time

import estate
from installation import wait_for
from kernel import cpu_us

COUNT = 10_000
PER_SECOND = 100
ISSUING = ("controller", "signer", "gateway")
COLUMNS = {"certificates": "cert_id, template_id, service, agent, serial, not_before_at, not_after_at, proved, suspended_at, revoked_at, retired_at, serial_revoked_at",
           "targets": "target_id, cert_id, agent, served, proved_at, stale_since_at, rehearsed_at",
           "agents": "name, service, state, identity_not_after_at, version, seen_at, skew_ms"}


def fill(inst, host):
    db = estate.database(inst)
    db.executescript("PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;")
    estate.fill(inst, host.cert_id, COUNT, 0)
    with db:
        db.execute(f"CREATE TEMP TABLE given AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {COUNT}) SELECT i FROM n")
        db.execute("UPDATE certificates SET agent = printf('h%07d', substr(cert_id, 8)) WHERE cert_id LIKE 'estate-%'")
        place = {"target_id": "printf('estate-%07d', g.i - 1)", "cert_id": "printf('estate-%07d', g.i - 1)", "agent": "printf('h%07d', g.i - 1)",
                 "served": "(SELECT serial FROM certificates WHERE cert_id = printf('estate-%07d', g.i - 1))"}
        db.execute("DELETE FROM targets WHERE cert_id != ?", (host.cert_id,))  # the estate's are all on one host
        db.execute(f"INSERT INTO targets SELECT {estate.columns(db, 'targets', **place)} FROM targets AS c, given AS g WHERE c.cert_id = ?", (host.cert_id,))
        db.execute(f"INSERT INTO agents SELECT {estate.columns(db, 'agents', name=place['agent'], host_hash='randomblob(32)')} FROM agents AS c, given AS g"
                   " WHERE c.name = ?", (host.name,))
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def floor_ms(inst):
    """The same columns of the same rows, once, by SQLite alone."""
    db = estate.database(inst, "ro")
    begun = time.monotonic()
    for table, columns in COLUMNS.items():
        db.execute(f"SELECT count(*), {', '.join(f'max({c.strip()})' for c in columns.split(','))} FROM {table}").fetchone()
    took = (time.monotonic() - begun) * 1000
    db.close()
    return took


def scrape(inst, connection, token):
    begun = time.monotonic()
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {token}", "Accept": "application/openmetrics-text;version=1.0.0"})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200 and text.endswith(b"# EOF\n"), text[:300]
    return (time.monotonic() - begun) * 1000, text


def read_ms(text):
    return next(float(line.split()[1]) * 1000 for line in text.decode().splitlines() if line.startswith("vcc_pki_figures_duration_seconds "))


def rows(table, inst, host, quick):
    """`host`: served already, with serials above estate.leave_room's. Stops and starts the controller."""
    inst.processes["controller"].stop()
    fill(inst, host)
    inst.processes["controller"].start()
    wait_for("the controller is ready", lambda: estate.ready(inst))
    session = estate.Session(inst)
    connection = http.client.HTTPSConnection(inst.admin_url.removeprefix("https://"), context=estate.context(inst), timeout=60)
    estate.at_rest(inst)
    scrapes(table, inst, connection, session.token, quick)
    issue_scraped(table, inst, host, session.token, 10 if quick else 30)


def scrapes(table, inst, connection, token, quick):
    took, again, floor, cpu, read, pid = [], [], [], [], [0], inst.processes["controller"].pid
    for _ in range(5 if quick else 20):
        time.sleep(max(2, 20 * read[-1] / 1000) + 0.2)  # so long what was read is given again
        before = cpu_us(pid)
        ms, text = scrape(inst, connection, token)
        cpu.append((cpu_us(pid) - before) / 1000)
        took.append(ms)
        read.append(read_ms(text))
        again.append(scrape(inst, connection, token)[0])
        floor.append(floor_ms(inst))
    value = estate.percentile(took, 0.5)
    table.add("metrics-scrape", value, "ms", estate.percentile(floor, 0.5), "<= 50 ms", value <= 50, all_ms=[round(x, 1) for x in took],
              again_ms=round(estate.percentile(again, 0.5), 2), read_ms=[round(x, 1) for x in read[1:]],
              cpu_ms=round(estate.percentile(cpu, 0.5), 1), bytes=len(text), certificates=COUNT, hosts=COUNT,
              value_is="median of GET /metrics over HTTPS that reads the database anew, client in Python included; again_ms: the next one within a second; cpu_ms: processor time of the controller for one",
              floor_is="median of SQLite going once through the same columns")


class Scraper(threading.Thread):
    """100 scrapes a second over one connection, until it is told to stop."""

    def __init__(self, inst, token):
        super().__init__(daemon=True)
        self.inst, self.token, self.over, self.made, self.wrong = inst, token, threading.Event(), 0, None

    def run(self):
        connection = http.client.HTTPSConnection(self.inst.admin_url.removeprefix("https://"), context=estate.context(self.inst), timeout=60)
        due = time.monotonic()
        try:
            while not self.over.wait(max(0, due - time.monotonic())):
                scrape(self.inst, connection, self.token)
                self.made += 1
                due += 1 / PER_SECOND
        except Exception as e:  # told by the one who waits
            self.wrong = e

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join(60)
        if self.wrong:
            raise self.wrong


def spent(inst, act):
    """Processor time of the programs that issue while `act` runs, in us."""
    before = {n: cpu_us(inst.processes[n].pid) for n in ISSUING}
    act()
    return sum(cpu_us(inst.processes[n].pid) - before[n] for n in ISSUING)


def issue_scraped(table, inst, host, token, count):
    """A renewal's processor time while everybody asks, and in the quiet; what the scrapes and the quiet cost by themselves is taken off."""
    db = estate.database(inst, "ro")

    def renewals():  # the controller is not asked how they go: that would be measured, too
        for _ in range(count):
            inst.vccctl("cert", "renew", host.cert_id, "--force")
            wait_for("the renewal has ended", lambda: db.execute("SELECT count(*) FROM orders WHERE completed_at IS NULL").fetchone() == (0,), 60, 0.1)

    def of_one(done):
        """`done`: how far that has come which goes on beside it, time or scrapes."""
        begun = done()
        each = spent(inst, lambda: time.sleep(count)) / (done() - begun)
        begun = done()
        return (spent(inst, renewals) - each * (done() - begun)) / count

    quiet = of_one(time.monotonic)
    with Scraper(inst, token) as scraper:
        begun = time.monotonic()
        scraped = of_one(lambda: scraper.made)
        rate = scraper.made / (time.monotonic() - begun)
    db.close()
    table.add("issue-scraped", scraped, "us", quiet, "<= 1.15 x", scraped <= 1.15 * quiet, scrapes=scraper.made, scrapes_per_s=round(rate, 1), renewals=count,
              value_is=f"processor time of {', '.join(ISSUING)} for one renewal while {PER_SECOND} scrapes a second are asked for, without the scrapes' own: a difference of larger numbers, so that only one well above the floor says something",
              floor_is="the same without scrapes")
