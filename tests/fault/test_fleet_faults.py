"""Faults that only a fleet shows, with vcc-fleet's hosts (real connections, frames, keys and decisions): all come back at once, one host fails without
end, everybody asks how it goes, the controller has no memory left. And a host whose keeper dies of each order."""
import http.client
import os
import resource
import sys
import threading
import time

import checks
import pytest
from fleet_run import FleetRun
from fresh_installation import fresh_installation
from installation import ROOT, Failed, Installation, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
from kernel import cpu_us  # noqa: E402

LONG = os.environ.get("VCC_LONG") == "1"
AGENTS = 2000 if LONG else 150
LIFE = "certificates/lifecycle"
SERVICES = ("clara", "covina", "argus", "vpb")
FAULTS = os.path.join(ROOT, "build-faults", "bin")
CALM_S = 12  # longer than an agent waits before it connects
BUSY = (409, 429)


@pytest.fixture(scope="module")
def inst():
    with fresh_installation("fleet-faults") as i:
        yield i


@pytest.fixture(scope="module")
def herd(inst):
    f = FleetRun(inst, AGENTS, SERVICES, "herd")
    try:
        f.start("--spread", "2s", "--joins", "128", "--settle-time", "200ms", "--deploy-time", "0-1s", "--for", "1d")
        f.ready(600)
        yield f
    finally:
        f.stop()


def rows(inst, sql, *values):
    return checks.rows(os.path.join(inst.state, "controller", "vcc.db"), sql, *values)


def emergency(fleet):
    """One over the fleet; its campaign."""
    status, answer = fleet.emergency(wait=0, selector={"ids": [f"{n}-web" for n in fleet.names()]})
    assert status in (200, 202), answer
    return answer["campaign_id"]


def closed(inst, campaign, seconds=600):
    def done():
        try:
            c = inst.get(f"campaigns/{campaign}")
        except (Failed, http.client.HTTPException):
            return None
        return c if c["completed_at"] else None
    return wait_for("the emergency has ended", done, seconds, 0.2)


def each_once(inst, fleet, campaign):
    """I7: one order each, completed."""
    c, own = closed(inst, campaign), campaign.replace("-", "").upper()
    ended = rows(inst, "SELECT state, code, cause, count(*) FROM campaign_members WHERE hex(campaign_id) = ? GROUP BY state, code, cause", own)
    assert (c["status"], c["successful_count"]) == ("completed", fleet.agents), ended
    found = rows(inst, "SELECT phase, count(*), count(DISTINCT cert_id) FROM orders WHERE hex(campaign_id) = ? GROUP BY phase", own)
    assert found == [("completed", fleet.agents, fleet.agents)], found


def memory_kib(pid, field):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(field + ":"))


# ---- F45 -----------------------------------------------------------------------------------------------------------------------

def test_the_whole_fleet_comes_back_at_once(inst, herd):
    """The gateway dies; all come back to the next one while an emergency is under way: nobody is left outside, orders flow meanwhile, memory stays what it
    was, and one interval later nobody comes once more."""
    gateway, controller = inst.processes["gateway"], inst.processes["controller"]
    before = memory_kib(gateway.pid, "VmRSS")
    with open(f"/proc/{controller.pid}/clear_refs", "w") as f:
        f.write("5")
    herd.mark()
    gateway.kill()
    herd.wait("all have noticed", lambda r: r["connected"] == 0, 60)
    gateway.start()
    campaign = emergency(herd)
    herd.wait("all are back", lambda r: r["connected"] == AGENTS and r["counts"]["connects"] >= AGENTS, 600)
    each_once(inst, herd, campaign)
    peak = memory_kib(gateway.pid, "VmHWM")
    assert peak < 2 * before + 8192, f"the gateway had {before} KiB before, and {peak} at most"
    assert memory_kib(controller.pid, "VmHWM") < 1.5 * memory_kib(controller.pid, "VmRSS") + 16384
    herd.mark()
    time.sleep(CALM_S)
    counts = herd.report()["counts"]
    assert (counts["connects"], counts["connections_lost"], counts["connects_failed"]) == (0, 0, 0), "no echo"


# ---- F77 -----------------------------------------------------------------------------------------------------------------------

class Scraper(threading.Thread):
    """Asks as monitors do, a hundred times a second in all."""
    PATHS = ("status", "campaigns?limit=10", "renewals?limit=50")

    def __init__(self, fleet, number):
        super().__init__(daemon=True)
        self.fleet, self.number, self.stop = fleet, number, threading.Event()
        self.answers, self.wrong = 0, []

    def run(self):
        while not self.stop.is_set():
            begun = time.monotonic()
            try:
                status, _ = self.fleet.call("GET", self.PATHS[self.answers % len(self.PATHS)])
                self.answers += 1
                if status not in (200, 429):
                    self.wrong.append(status)
            except OSError as e:
                self.wrong.append(repr(e))
            self.stop.wait(max(0, 0.1 - (time.monotonic() - begun)))


def spent(inst, herd):
    """Seconds of CPU of the controller for an emergency over all."""
    before = cpu_us(inst.processes["controller"].pid)
    each_once(inst, herd, emergency(herd))
    return (cpu_us(inst.processes["controller"].pid) - before) / 1e6


def test_everybody_asks_how_it_goes(inst, herd):
    """Reads are read-only and on threads of their own: an emergency goes on as without them. What they cost is shown, and measured by scripts/bench."""
    alone = spent(inst, herd)
    scrapers = [Scraper(herd, i) for i in range(10)]
    for s in scrapers:
        s.start()
    try:
        wait_for("they ask", lambda: all(s.answers for s in scrapers), 60)
        asked = [spent(inst, herd) for _ in range(3)]
        print(f"CPU of an emergency: {alone:.2f} s, with {sum(s.answers for s in scrapers)} questions meanwhile {asked}")
    finally:
        for s in scrapers:
            s.stop.set()
        for s in scrapers:
            s.join(60)
    assert not any(s.wrong for s in scrapers), [s.wrong[:3] for s in scrapers]
    assert sum(s.answers for s in scrapers) > 100


# ---- F78 -----------------------------------------------------------------------------------------------------------------------

def test_requests_without_end_for_one_that_fails(inst, herd):
    """One host cannot reload. However often somebody asks for it, its order is tried as often as its template says and then rests; the others go on."""
    inst.edit_template("clara_service_auth", "--force", retry_interval="2s", max_renewal_attempts=3)
    f = FleetRun(inst, 1, ("clara",), "broken")
    wanted = 10000 if LONG else 300
    answers = []

    def ask():
        while len(answers) < wanted:
            status, answer = f.call("POST", f"{LIFE}/renew/broken-00000-web", {"reason": "once more"})
            answers.append((status, (answer or {}).get("code")))
    try:
        f.start("--spread", "1s", "--fail-share", "100%", "--probe-time", "300ms")
        f.ready(120)
        before = inst.certificate("broken-00000-web")["fingerprint"]
        status, answer = f.call("POST", f"{LIFE}/renew/broken-00000-web", {"force": True, "reason": "the first"})
        assert status in (200, 202), answer
        order = answer["renewal_id"]
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for t in threads:
            t.start()
        campaign = emergency(herd)
        each_once(inst, herd, campaign)
        for t in threads:
            t.join(600)
        assert {s for s, _ in answers} <= set(BUSY), "each is told that one is open, or to ask less often"
        shown = wait_for("it rests", lambda: (r := inst.renewal(order))["status"] == "paused" and r, 120, 0.2)
        assert (shown["attempt"], shown["retry_count"]) == (3, 3) and shown["error"], shown
        assert rows(inst, "SELECT count(*) FROM orders WHERE cert_id = 'broken-00000-web'")[0][0] == 2, "the first issue, and the one that rests"
        assert rows(inst, "SELECT count(*) FROM issuances WHERE owner_id = 'broken-00000-web'")[0][0] == 4, "one certificate each attempt, and none each request"
        assert inst.certificate("broken-00000-web")["fingerprint"] == before
        f.wait("three attempts have failed there", lambda r: r["counts"]["failed"] == 3, 30)
    finally:
        assert f.stop() == 0


# ---- F79 -----------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("how", ["no memory", "killed by the kernel"])
def test_the_controller_has_no_memory(inst, herd, how):
    """In the middle of an emergency: it may fail or die, whatever is easier; started again it knows everything and goes on."""
    controller = inst.processes["controller"]
    herd.mark()
    campaign = emergency(herd)
    if how == "no memory":
        resource.prlimit(controller.pid, resource.RLIMIT_AS, (1 << 20, resource.RLIM_INFINITY))
        time.sleep(2)
    controller.kill()
    kept = set(rows(inst, "SELECT host_hash, seq, signature FROM receipts"))
    begun = time.monotonic()
    controller.start()
    wait_for("it is back", inst.ready, 60, 0.05)
    print(f"back after {time.monotonic() - begun:.1f} s")
    each_once(inst, herd, campaign)
    assert kept and kept <= set(rows(inst, "SELECT host_hash, seq, signature FROM receipts")), "I3: what was durable before is there"
    r = herd.wait("every receipt is durable", lambda r: r["counts"]["settled_acked"] == AGENTS, 120)
    assert r["counts"]["connections_lost"] == 0, "the gateway keeps them"


# ---- F62 -----------------------------------------------------------------------------------------------------------------------

def test_an_order_that_always_kills_its_agent(folder):
    """The keeper dies whenever it has checked this order's certificate, and is started again. Each attempt is given up after some starts, the order rests
    after three attempts, the service serves what it did, and another host's order goes its way. Mended, it is renewed."""
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    inst = Installation(folder, binaries=FAULTS)
    try:
        inst.init()
        inst.start()
        inst.edit_template("clara_service_auth", "--force", retry_interval="1s", max_renewal_attempts=3)
        bad, good = inst.add_echo(0), inst.add_echo(3)
        for h in (bad, good):
            inst.wait_served(h)
        before, other = checks.served_is_issued(inst, bad), checks.served_is_issued(inst, good)
        keeper = bad.processes["keeper"]
        keeper.stop()
        keeper.env = {"VCC_FAILPOINT": "keeper.check.done=kill"}
        keeper.start()
        order = inst.vccctl("cert", "renew", bad.cert_id, "--force")["renewal_id"]
        inst.vccctl("cert", "renew", good.cert_id, "--force")

        def rests():
            if not keeper.running():
                keeper.start()
            return (r := inst.renewal(order))["status"] == "paused" and r
        shown = wait_for("the order rests", rests, 300, 0.1)
        assert shown["attempt"] == 3 and keeper.starts > 6, (keeper.starts, shown)
        inst.wait_renewed(good, other)
        keeper.stop()
        keeper.env = None
        keeper.start()
        wait_for("its host is back", lambda: inst.get(f"agents/{bad.name}")["connected"])
        assert checks.served_is_issued(inst, bad) == before
        inst.vccctl("cert", "renew", bad.cert_id, "--force")
        inst.wait_renewed(bad, before)
        assert checks.served_is_issued(inst, bad) != before
    finally:
        inst.stop()
