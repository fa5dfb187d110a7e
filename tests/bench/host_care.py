"""Rows about a host with many targets: memory and idle CPU of agent and keeper, and how soon a changed file is told and undone."""
import ctypes
import json
import math
import os
import statistics
import subprocess
import threading
import time

import many_targets
import peers
from checks import rows
from installation import ROOT, wait_for, write
from kernel import cpu_us, group_exact_kib, group_kib, rollup_kib
from tamper import TAMPER, safely, whole

TARGETS = 50
APART = 0.3  # seconds: the controller takes no two live reports of a host within 200 ms
IN_CREATE = 0x100


class Empty:
    """Processes with an agent's libraries that do nothing."""

    def __enter__(self):
        tool = os.path.join(ROOT, "build", "tests", "bench_empty")
        self.all = [subprocess.Popen([tool, role], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for role in ("link", "keeper")]
        if any(p.stdout.readline() != "ready\n" for p in self.all):
            raise RuntimeError("bench_empty does not start")
        return [p.pid for p in self.all]

    def __exit__(self, *_):
        for p in self.all:
            p.stdin.close()
            p.wait(20)
            p.stdout.close()


def pids(host):
    """Of a host's two programs, and of the keeper's dialer."""
    found = {name: host.processes[name].pid for name in ("agent", "keeper")}
    with open(f"/proc/{found['keeper']}/task/{found['keeper']}/children") as f:
        found.update(dialer=int(f.read()))
    return found


def size(host):
    """MiB of agent and keeper as one, and what it is made of."""
    who = pids(host)
    exact = group_exact_kib(who.values())
    return group_kib(who.values()) / 1024, {"by_frames_mib": exact and round(exact / 1024, 2), "rss_kib": {n: rollup_kib(p, "Rss") for n, p in who.items()},
                                            "pss_kib": {n: rollup_kib(p) for n, p in who.items()}}


def memory(table, one, host, folder):
    """`one`: what size() said of a host with one target, after its renewals."""
    value, details = size(host)
    with Empty() as empty:
        floor = group_kib(empty) / 1024
    peer = peers.certmonger_mib(folder)
    table.add("agent-memory", value, "MiB", floor, "<= 12 MiB, 1 target <= 10", value <= 12 and one[0] <= 10, targets=TARGETS, **details,
              one_target_mib=round(one[0], 2), one_target=one[1],
              certmonger_mib="not installable" if peer is None else round(peer, 2),
              value_is="vcc-agent and vcc-keeper with 50 targets that were issued and proved minutes ago; smaps over these alone",
              floor_is="two processes with the same TLS libraries that do nothing; certmonger_mib: certmonger with one certificate in this run, counted alike")


def idle_cpu(table, host, seconds):
    """Looks at what is served come each 150 s for so many targets, comparisons each minute: a window that holds them, or a part of it."""
    who = pids(host)
    before, from_at = {n: cpu_us(p) for n, p in who.items()}, time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - from_at
    share = {n: (cpu_us(p) - before[n]) / took / 1e4 for n, p in who.items()}
    value = sum(share.values())
    table.add("agent-idle-cpu", value, "%", None, "<= 0.1 % of a core", value <= 0.1, targets=TARGETS, seconds=round(took),
              cpu_seconds_an_hour=round(value * 36, 2), share={n: round(s, 4) for n, s in share.items()},
              value_is="user and system time of vcc-agent and vcc-keeper while nothing happens; every target compared and its listener asked meanwhile")


# ---- tamper ----

def event_latency(folder, n):
    """Milliseconds from a new name in a folder until somebody who waits for it in inotify runs: what no watcher can be faster than."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_CLOEXEC)
    if fd < 0 or libc.inotify_add_watch(fd, folder.encode(), IN_CREATE) < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    seen = []

    def wait():
        for _ in range(n):
            os.read(fd, 4096)
            seen.append(time.monotonic())

    thread, made = threading.Thread(target=wait, daemon=True), []
    thread.start()
    for i in range(n):
        time.sleep(0.02)
        made.append(time.monotonic())
        write(os.path.join(folder, f"floor-{i}"), "")
    thread.join(10)
    os.close(fd)
    return [(s - m) * 1000 for s, m in zip(seen, made)]


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * share) - 1)]


def change(host, stem, kind, nth):
    """(file, when it was changed in ms, ms until all was as before)."""
    current = os.path.join(many_targets.folder_of(host, stem), "current")
    wanted = whole(current)
    name = sorted(wanted)[nth % len(wanted)]
    at, begun = time.time() * 1000, time.monotonic()
    TAMPER[kind](os.path.join(current, name))
    wait_for(f"{stem}/{name} is as it was", lambda: safely(whole, current) == wanted, 20, 0.001)
    return name, at, (time.monotonic() - begun) * 1000


def told(inst, changes):
    """Milliseconds until the controller had each change in its audit log; one that it does not have is missing."""
    found = [(target, json.loads(detail)["file"], at) for target, detail, at in
             rows(inst.facts()["controller"]["db"], "SELECT object, detail, at FROM audit WHERE event = 'target_changed_by_somebody' ORDER BY seq")]
    after = []
    for target, name, at in changes:
        hit = next((f[2] for f in found if f[:2] == (target, name) and f[2] >= int(at)), None)
        if hit is not None:
            after.append(max(0.0, hit - at))
    return after


def tamper(table, inst, host, each):
    changes, repaired, stems, kinds = [], [], many_targets.stems(TARGETS), list(TAMPER)
    for i in range(each * len(kinds)):
        stem = stems[i % TARGETS]
        name, at, took = change(host, stem, kinds[i % len(kinds)], i // len(kinds))
        changes.append((f"{host.name}-{stem}", name, at))
        repaired.append(took)
        time.sleep(max(0.0, APART - took / 1000))
    time.sleep(1)
    reported, floor = told(inst, changes), event_latency(os.path.join(host.dir, "service", "logs"), 200)
    value, whole_after = percentile(reported, 0.99), percentile(repaired, 0.99)
    table.add("tamper", value, "ms", percentile(floor, 0.99), "<= 200 ms, whole <= 1 s", value <= 200 and whole_after <= 1000 and len(reported) == len(changes),
              n=len(changes), told=len(reported), told_p50_ms=round(statistics.median(reported), 1), repaired_p50_ms=round(statistics.median(repaired), 1),
              repaired_p99_ms=round(whole_after, 1), repaired_max_ms=round(max(repaired), 1), floor_p50_ms=round(statistics.median(floor), 3),
              kinds=kinds, targets=TARGETS, value_is="p99 from a file's change to the durable audit record of the controller, six kinds of change in turn",
              floor_is="p99 of an inotify event: from a new name until the waiting thread runs")
