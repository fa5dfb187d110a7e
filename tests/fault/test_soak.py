"""Ten minutes of everything that is real (VCC_LONG=1; else one): renewals without pause, and every few seconds one of the six programs is killed. Nothing
that was acknowledged is lost, each order ends once, no moment shows half a pair; and when the kills are over, memory stays flat and no descriptor leaks."""
import os
import random
import subprocess
import threading
import time

import checks
import invariants
import pytest
from fresh_installation import fresh_installation
from installation import Failed, wait_for

SECONDS = 600 if os.environ.get("VCC_LONG") == "1" else 60
KILLED = SECONDS * 0.6  # then it is left in peace, and measured
HOSTS = 2
SEED = 8
GROWTH = 1 << 20  # octets of a heap that goes on working
PAGES_KEPT = 2  # of the database, by the one who writes and by those who read: with small caches the controller's heap is flat


@pytest.fixture(scope="module")
def inst():
    with fresh_installation("soak") as i:
        i.edit_template("clara_service_auth", retry_interval="2s", max_renewal_attempts=100)
        for n in range(1, HOSTS + 1):
            i.wait_served(i.add_nginx(n))
        yield i


class Killer(threading.Thread):
    """Ends one program after the other without a word, and starts what is down, as systemd does."""

    def __init__(self, inst):
        super().__init__(daemon=True)
        self.inst, self.random, self.kills, self.over = inst, random.Random(SEED), [], threading.Event()

    def run(self):
        ours = [(name, p) for name, p in self.inst.processes.items()]
        ours += [(name, p) for h in self.inst.hosts for name, p in h.processes.items() if "nginx" not in name]
        while not self.over.wait(self.random.uniform(1, 8)):
            name, p = self.random.choice(ours)
            p.kill()
            self.kills.append(name)
            time.sleep(self.random.uniform(0, 0.5))
            self.inst.supervise()
        self.inst.supervise()


def order(inst, host):
    """renewal_id of an order that was acknowledged; None = nobody was there to take it."""
    try:
        return inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    except (Failed, KeyError):
        return None


def ended(inst, renewal_id):
    try:
        r = inst.renewal(renewal_id)
    except Failed:
        return None
    return r if r["completed_at"] else None


def all_ended(inst, taken, seconds):
    """Waits; else names those that have not, with what they say."""
    left = list(taken)

    def some_are_left():
        left[:] = [i for i in left if not ended(inst, i)]
        return not left

    try:
        wait_for("what was ordered has ended", some_are_left, seconds, 1)
    except Failed:
        raise Failed("\n".join(str(inst.renewal(i)) for i in left))


def renewals(inst, host, until, taken):
    while time.monotonic() < until:
        renewal_id = order(inst, host)
        if renewal_id is None:
            time.sleep(0.3)
            continue
        taken.append(renewal_id)
        while not ended(inst, renewal_id) and time.monotonic() < until:
            time.sleep(0.2)


def both(inst, seconds, taken):
    """Renewals of all hosts at the same time."""
    until, wrong = time.monotonic() + seconds, []

    def one(host):
        try:
            renewals(inst, host, until, taken)
        except Exception as e:  # told by the caller's thread
            wrong.append(e)

    threads = [threading.Thread(target=one, args=(h,)) for h in inst.hosts]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong


def sizes(inst):
    """{program: (pid, descriptors, octets of the heap)}"""
    found = {}
    for p in inst.all_processes():
        if "nginx" in p.name:
            continue
        with open(f"/proc/{p.pid}/status") as f:
            heap = next(int(line.split()[1]) << 10 for line in f if line.startswith("RssAnon:"))
        found[p.name] = (p.pid, len(os.listdir(f"/proc/{p.pid}/fd")), heap)
    return found


def database_size(inst):
    return checks.rows(os.path.join(inst.state, "controller", "vcc.db"), "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")[0][0]


def test_a_long_time_with_kills(inst):
    taken = []
    killer = Killer(inst)
    with invariants.Watched(*(h.target_dir for h in inst.hosts)) as watch:
        killer.start()
        try:
            both(inst, KILLED, taken)
        finally:
            killer.over.set()
            killer.join(30)
        assert len(set(killer.kills)) >= 3 and len(taken) >= HOSTS, (killer.kills, taken)
        wait_for("it is ready", inst.ready)
        all_ended(inst, taken, 240)
        peace = len(taken)
        both(inst, (SECONDS - KILLED) / 2, taken)
        before, halfway, written = sizes(inst), len(taken), database_size(inst)
        both(inst, (SECONDS - KILLED) / 2, taken)
        after, written = sizes(inst), database_size(inst) - written
        all_ended(inst, taken, 120)
    print(f"{len(killer.kills)} kills, {len(taken)} renewals, {watch.looks} looks", {n: (after[n][1], after[n][2] >> 10) for n in after})

    assert peace + HOSTS <= halfway and halfway + HOSTS <= len(taken), "both halves of the peace saw renewals"
    for name, (pid, files, heap) in after.items():
        was = before[name]
        assert pid == was[0], f"{name} ended by itself"
        assert files <= was[1] + 2, f"{name}: {was[1]} descriptors, then {files}"
        allowed = GROWTH + (PAGES_KEPT * written if name == "controller" else 0)
        assert heap <= was[2] + allowed, f"{name}: {was[2] >> 10} KiB, then {heap >> 10} KiB"

    db = os.path.join(inst.state, "controller", "vcc.db")
    known = {r["renewal_id"]: r for r in (inst.renewal(i) for i in taken)}
    assert len(known) == len(set(taken)) == len(taken) and all(r["completed_at"] for r in known.values())
    assert all(known[i]["status"] == "completed" for i in taken[peace:]), "in peace nothing fails"
    invariants.check("I1 I2 I3 I4 I5 I6 I7", invariants.InstallationWorld(inst, *inst.hosts), watch)
    assert checks.rows(db, "PRAGMA integrity_check") == [("ok",)]
    path = os.path.join(inst.dir, "trail.jsonl")
    subprocess.run([*inst.vccctl_argv, "audit", "export", path], check=True, timeout=120)
    done = subprocess.run([*inst.vccctl_argv, "audit", "verify", path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
