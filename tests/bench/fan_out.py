"""Rows about a fleet: an emergency over all of it, idle connections, a gateway and a controller that die. The fleet is vcc-fleet: real
connections, frames, keys and decisions; its own CPU is told apart, because on this machine it costs as much as what is measured."""
import os
import signal
import sqlite3
import statistics
import time

from fleet_run import FleetRun
from installation import wait_for
from kernel import cpu_us, rollup_kib
from signing import tool

PARTS = ("gateway", "controller", "signer")
SERVICES = ("clara", "covina", "argus", "vpb")
ROWS, ROW_BATCH, MESSAGE = 20000, 500, 600


def row_us(folder):
    """CPU of one row with four indexes, durable in batches of 500: what SQLite itself takes."""
    path = os.path.join(folder, "floor.db")
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (id BLOB PRIMARY KEY, a TEXT, b TEXT, c INTEGER, d INTEGER, e BLOB)"
                     " WITHOUT ROWID; CREATE INDEX t1 ON t (a, b); CREATE INDEX t2 ON t (c); CREATE INDEX t3 ON t (d)")
    rows = [(os.urandom(16), f"name-{i}", "clara", i, i * 7, os.urandom(400)) for i in range(ROWS)]
    begun = time.process_time()
    for i in range(0, ROWS, ROW_BATCH):
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", rows[i:i + ROW_BATCH])
        db.execute("COMMIT")
    took = time.process_time() - begun
    db.close()
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.unlink(path + suffix)
    return took * 1e6 / ROWS


class Floor:
    """What each part of an order costs raw, in this run; microseconds of CPU."""

    def __init__(self, folder):
        parts = {r["id"]: r["value"] for r in tool("bench_sign", "raw-sign")}
        self.sign, self.verify = parts["raw-sign"], parts["raw-verify"]
        self.message = tool("bench_seal", str(MESSAGE))[0]["value"]
        self.row = row_us(folder)

    def staged(self):
        """One signature; receipts verified and settled; certificate down, two receipts up; three rows."""
        return self.sign + 2 * self.verify + 3 * self.message + 3 * self.row

    def fresh(self):
        """And the request: the host's signature and the proof of possession, order down and request up, one row."""
        return self.staged() + 2 * self.verify + 2 * self.message + self.row

    def told(self):
        return {k: round(v, 1) for k, v in vars(self).items()}


def pids(inst):
    return {p: inst.processes[p].pid for p in PARTS}


def cpu_of(inst, fleet):
    used = {p: cpu_us(pid) for p, pid in pids(inst).items()}
    used["fleet"] = sum(cpu_us(pid) for pid in fleet.report()["pids"])
    return used


def one_emergency(inst, fleet, fresh):
    """Wall seconds until the last proof is durable, until all have settled; CPU per certificate by process, settled receipts included."""
    n = fleet.agents
    fleet.mark()
    before, begun = cpu_of(inst, fleet), time.time()
    status, answer = fleet.emergency(fresh=fresh, wait=0)
    if status not in (200, 202):
        raise RuntimeError(f"the emergency is refused: {status} {answer}")
    r = fleet.wait("every certificate is replaced and settled", lambda r: r["counts"]["settled_acked"] >= n, 600)
    after = cpu_of(inst, fleet)
    wait_for("the campaign is closed", lambda: inst.get(f"campaigns/{answer['campaign_id']}")["status"].startswith("completed"), 120, 0.2)
    return {"wall_s": r["last_verified_at_ms"] / 1000 - begun, "settled_s": r["last_settled_at_ms"] / 1000 - begun,
            "cpu_us": {k: (after[k] - before[k]) / n for k in after}, "times": r["times"], "counts": r["counts"]}


def fan_out(table, inst, fleet, kind, rounds):
    """One row; gives CPU of the three per certificate. Every host has its next key ready when the order comes."""
    n, floor, runs = fleet.agents, Floor(inst.dir), []
    for _ in range(rounds):
        fleet.wait("every host has a next key", lambda r: r["keys_staged"] == n, 300)
        runs.append(one_emergency(inst, fleet, kind == "fresh"))
    sums = [sum(r["cpu_us"][p] for p in PARTS) for r in runs]
    wall, cpu = statistics.median(r["wall_s"] for r in runs), statistics.median(sums)
    last = runs[sums.index(min(sums))]
    raw = getattr(floor, kind)()
    seconds = {"fresh": 14, "staged": 10}[kind] * n / 10000
    table.add(f"fanout-{n}-{kind}", cpu, "us", raw, f"<= 2 x, wall <= {seconds:g} s", cpu <= 2 * raw and wall <= seconds, wall_s=round(wall, 2),
              settled_s=round(statistics.median(r["settled_s"] for r in runs), 2), all_wall_s=[round(r["wall_s"], 2) for r in runs],
              per_second=round(n / wall), cpu_us={k: round(v) for k, v in last["cpu_us"].items()}, all_cpu_us=[round(s) for s in sums],
              times=last["times"], counts={k: v for k, v in last["counts"].items() if v}, parts_us=floor.told(), load=round(os.getloadavg()[0], 2),
              value_is="CPU of gateway, controller and signer per certificate, until all have settled, the next keys that come in meanwhile included; wall_s: order "
                       "accepted until the last receipt verified is durable",
              floor_is="signature, verifications, messages sealed and opened, rows stored, each measured raw in this run")
    return cpu


def loop_of(inst):
    return inst.get("status")["loop"]


def loop_stall(table, before, after, n):
    """From the counts of turns before and after the emergencies of one row."""
    turns = after["turns"] - before["turns"]
    over = {int(k[5:-2]): after[k] - before[k] for k in after if k.startswith("over_")}
    value = next((limit for limit in sorted(over) if over[limit] <= turns / 1000), after["longest_us"] / 1000)
    table.add("loop-stall", value, "ms", None, "p99.9 <= 10, max <= 50 ms", value <= 10 and over[50] == 0, n=n, turns=turns, over_ms=over,
              longest_ms_since_start=round(after["longest_us"] / 1000, 2),
              value_is="processor time of a turn of the controller's loop: the smallest of 1, 5, 10, 20, 50 ms that 99.9 % stay below during emergencies over all")


def slope(table, few, many):
    """CPU by kind."""
    x = {kind: many[kind] / few[kind] for kind in many}
    table.add("fanout-slope", x["staged"], "x", 1.0, "<= 1.15", max(x.values()) <= 1.15, fresh=round(x["fresh"], 2), few_us=rounded(few), many_us=rounded(many),
              value_is="CPU of gateway, controller and signer per certificate with 10,000 agents over that with 1,000: orders over staged keys")


def rounded(figures):
    return {k: round(v) for k, v in figures.items()}


def no_news(fleet):
    """Lists that the last emergency has changed are made, and told to everybody each 20 s, for a while; then nothing but pings."""
    for _ in range(8):
        fleet.mark()
        time.sleep(45)
        if fleet.report()["counts"]["frames_in"] < fleet.agents / 4:
            return


def idle(table, inst, fleet, raw_bytes, seconds, *options, processes=1):
    """Memory of connections that do nothing, and what it costs to keep them. The fleet connects anew for it."""
    n = fleet.agents
    fleet.wait("every host has a next key", lambda r: r["keys_staged"] == n, 300)
    fleet.stop()
    for name in ("controller", "gateway"):  # what earlier rows have freed would be filled first
        inst.processes[name].stop()
        inst.processes[name].start()
    wait_for("the controller is ready", inst.ready)
    time.sleep(2)
    empty = {p: rollup_kib(pid) for p, pid in list(pids(inst).items())[:2]}
    fleet.start(*options, processes=processes)
    fleet.wait("all are back", lambda r: r["connected"] == n, 300)
    no_news(fleet)
    per_agent = {p: (rollup_kib(pid) - empty[p]) * 1024 / n for p, pid in list(pids(inst).items())[:2]}
    size = sum(per_agent.values())
    table.add("idle-bytes", size, "bytes", raw_bytes, "<= 1.25 x", size <= 1.25 * raw_bytes, n=n, bytes={k: round(v) for k, v in per_agent.items()},
              value_is="growth of vcc-gateway and vcc-controller together (PSS) when all connect to new processes, per agent",
              floor_is="idle connections of a raw OpenSSL loop")
    fleet.mark()
    before, begun = {p: cpu_us(pid) for p, pid in pids(inst).items()}, time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begun
    share = {p: (cpu_us(pid) - before[p]) / 1e4 / took for p, pid in pids(inst).items()}
    value = share["gateway"] + share["controller"]
    table.add("idle-cpu", value, "%", None, "<= 2 % of a core", value <= 2 * n / 10000, n=n, seconds=round(took), percent={k: round(v, 2) for k, v in share.items()},
              counts={k: v for k, v in fleet.report()["counts"].items() if v},
              value_is="vcc-gateway and vcc-controller while all are idle; the goal is for 10,000")


def status_kib(pid, field):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(field + ":"))


def herd(table, inst, fleet, raw_us):
    """The gateway dies; all agents come back to the next one while an emergency is under way."""
    n, p = fleet.agents, inst.processes["gateway"]
    fleet.mark()
    with open(f"/proc/{inst.processes['controller'].pid}/clear_refs", "w") as f:
        f.write("5")  # its peak is that of this row
    p.kill(signal.SIGKILL)
    time.sleep(2)
    begun = time.time()
    p.start()
    status, answer = fleet.emergency(wait=0)
    r = fleet.wait("all are welcomed", lambda r: r["connected"] == n and r["counts"]["connects"] >= n, 300)
    wall, proved = r["last_welcome_at_ms"] / 1000 - begun, r["counts"]["verified_acked"]
    handshakes = cpu_us(p.pid) / n
    fleet.wait("the emergency is over", lambda r: r["counts"]["settled_acked"] >= n, 300)
    time.sleep(2)
    peak = {k: round(status_kib(pid, "VmHWM") / status_kib(pid, "VmRSS"), 2) for k, pid in list(pids(inst).items())[:2]}
    floor = n * raw_us / 1e6
    met = wall <= 60 and (wall <= 2 * floor or n < 10000) and max(peak.values()) <= 1.3 and proved > 0  # of few, most of it is their own waiting
    table.add("herd", wall, "s", floor, "<= 2 x, <= 60 s", met, n=n, spread_s=10, proved_meanwhile=proved, memory_peak=peak, gateway_cpu_us=round(handshakes),
              connect=r["times"]["connect"], counts={k: v for k, v in r["counts"].items() if v},
              value_is="from the new gateway's start until all are welcomed, while an emergency over all is sent; agents wait up to 10 s of their own accord first",
              floor_is="as many raw handshakes on one core, the gateway's; the fleet's side of them takes as much of the other")


def controller_restart(table, inst, fleet):
    """Killed in the middle of an emergency, started again at once, as systemd does."""
    n, p = fleet.agents, inst.processes["controller"]
    fleet.mark()
    status, answer = fleet.emergency(wait=0)
    fleet.wait("a fifth is proved", lambda r: r["counts"]["verified_acked"] >= n / 5, 120)
    p.kill(signal.SIGKILL)
    time.sleep(0.1)
    told = fleet.report()["counts"]["verified_acked"]
    time.sleep(0.6)  # the report is written each half second
    told = max(told, fleet.report()["counts"]["verified_acked"])
    begun = time.time()
    p.start()
    r = fleet.wait("it goes on", lambda r: r["counts"]["verified_acked"] > told, 120)
    value = r["now_at_ms"] / 1000 - begun
    r = fleet.wait("the emergency is over", lambda r: r["counts"]["settled_acked"] >= n, 600)
    lost = r["counts"]["connections_lost"]
    table.add("controller-restart", value, "s", None, "0 lost, <= 2 s", lost == 0 and value <= 2, connections_lost=lost, n=n, proved_before=told,
              all_done_s=round(r["last_verified_at_ms"] / 1000 - begun, 2), counts={k: v for k, v in r["counts"].items() if v},
              value_is="from the start of the process until the next receipt is acknowledged; seen at half seconds, so up to 0.5 s too much")


def rows(table, inst, floors, quick):
    """`floors`: of agents_port.gateway()."""
    raw_us, raw_bytes = floors
    fleet = FleetRun(inst, 1000, SERVICES)
    try:
        fleet.start("--spread", "1s", "--joins", "128", "--stage-after", "10s")
        fleet.ready()
        before = loop_of(inst)
        few = {kind: fan_out(table, inst, fleet, kind, 3) for kind in ("staged", "fresh")}
        if not quick:
            fleet.stop()
            fleet.agents = 10000
            fleet.start("--joins", "128", "--stage-after", "60s", processes=2)
            fleet.ready(1800)
            before = loop_of(inst)
            slope(table, few, {kind: fan_out(table, inst, fleet, kind, 2) for kind in ("staged", "fresh")})
        loop_stall(table, before, loop_of(inst), fleet.agents)
        controller_restart(table, inst, fleet)
        idle(table, inst, fleet, raw_bytes, 10 if quick else 40, processes=1 if quick else 2)
        herd(table, inst, fleet, raw_us)
    finally:
        fleet.stop()
