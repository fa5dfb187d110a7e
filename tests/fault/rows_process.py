"""F01-F03, F15, F28-F32, T11: the keeper killed, started twice, with damaged state, without memory, descriptors or entropy, replaced in the middle."""
import os
import random
import resource
import signal
import subprocess
import time

from installation import ROOT, wait_for
from scene import ENV, FAILED, KEPT, REFUSED, SETTLED, change, ends, renewed, restart, unread
from test_keeper_groups import NO_EFFECT

LONG = os.environ.get("VCC_LONG") == "1"
PLAIN = os.environ.get("VCC_KEEPER_BIN", os.path.join(ROOT, "build", "bin"))


def dies(host, what):
    wait_for(what, lambda: not host.processes["keeper"].running(), 60)


# ---- F01-F03 ----

def killed_before_the_certificate(scene):
    """The key is there, the certificate is not: the old pair serves, the start takes the staging away, the order ends."""
    host = scene.host
    for point in ("keeper.key.done", "keeper.write.rename"):
        before = host.check_set()
        restart(host, {"VCC_FAILPOINT": f"{point}@1=kill"})
        key = host.renew()
        dies(host, point)
        assert host.check_set() == host.served() == before
        restart(host)
        host.link.receipt(key, SETTLED)
        assert not [n for n in os.listdir(host.tls) if n.startswith(".new-")]
        assert host.served() == host.check_set() == host.link.orders[key]["fingerprint"]


def killed_behind_the_flip(scene):
    """The link leads to the new pair, the service does not know yet: the restart reloads it and looks."""
    host = scene.host
    before = host.served()
    restart(host, {"VCC_FAILPOINT": "keeper.flip.done@1=kill"})
    key = host.renew()
    dies(host, "behind the flip")
    assert host.served() == before and host.check_set() == host.link.orders[key]["fingerprint"]
    restart(host)
    host.link.receipt(key, SETTLED)
    assert host.served() == host.check_set()


def killed_on_the_way_back(scene):
    host = scene.host
    before = host.check_set()
    change(host, reload=NO_EFFECT)
    restart(host, {"VCC_FAILPOINT": "keeper.rollback.flip@1=kill"})
    key = host.renew()
    dies(host, "on the way back")
    restart(host)
    receipt = host.link.receipt(key, FAILED)
    host.errors.append((receipt["code"], receipt["cause"]))
    assert host.check_set() == before == host.served()


# ---- F15 ----

def second_keeper(scene):
    """Refused while the first one lives; the lock of a killed one is in nobody's way."""
    host = scene.host
    argv = [os.path.join(host.binaries, "vcc-keeper"), "--config", host.config]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1, done
    host.errors.append((1305, done.stderr, f"{host.dir}/keeper", "Next:"))
    renewed(host)
    host.processes["keeper"].kill()
    restart(host)
    renewed(host)


# ---- F28 ----

def damaged(data, how):
    if how == "cut":
        return data[:len(data) // 2]
    if how == "empty":
        return b""
    at = len(data) // 3
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:]


def damaged_state(scene):
    """Cut, emptied, one bit flipped: it stops and says which file; it never begins a new life. With the file back it goes on."""
    host = scene.host
    state = f"{host.dir}/keeper"
    host.link.close()
    host.processes["keeper"].stop()
    identity = open(f"{state}/identity", "rb").read()
    for name in ("host.key", "identity", "bundle", "journal"):
        for how in ("cut", "empty", "flipped"):
            if name == "journal" and how != "flipped":
                continue  # a torn tail is what a power cut leaves; a lost one is told: test_keeper_wrong.py::test_lost_journal_is_told
            path = f"{state}/{name}"
            good = open(path, "rb").read()
            with open(path, "r+b") as f:
                f.write(damaged(good, how))
                f.truncate(len(damaged(good, how)))
            done = subprocess.run([os.path.join(host.binaries, "vcc-keeper"), "--config", host.config], capture_output=True, text=True, timeout=20)
            line = next((x for x in done.stderr.splitlines() if "VCC-" in x), "")
            assert done.returncode == 1 and line, (name, how, done)
            host.errors.append((line.split("VCC-")[1][:4], line, name, "Next:"))
            with open(path, "r+b") as f:
                f.write(good)
                f.truncate(len(good))
    assert open(f"{state}/identity", "rb").read() == identity
    host.start_keeper(ENV)
    renewed(host)


# ---- F29 ----

def no_memory(scene):
    """One allocation of an order fails, each in its turn: the order ends, the set is whole, nothing is stuck."""
    host = scene.make(shim=True)
    renewed(host)
    host.shim.set(mallocs=0)
    renewed(host)
    total = host.shim.get("mallocs")
    assert total > 100, total
    tries = range(1, total + 1, 7) if LONG else [1, *sorted(random.Random(29).sample(range(2, total + 1), 4))]  # the first is that of the frame itself
    seen, lost = set(), unread(host)
    for n in tries:
        if not host.processes["keeper"].running():
            restart(host)
        host.shim.set(failed=0, malloc_fails=n)
        key = host.renew()
        receipt = ends(host, key)
        host.shim.set(malloc_fails=0)
        seen.add(receipt["outcome"])
        if n == 1:
            assert unread(host) == lost + 1, "the frame was not read, and the order came again"
        if receipt["outcome"] == KEPT:
            host.link.receipt(key, SETTLED)
        wait_for(f"allocation {n}: a whole set is served", lambda: host.served() == host.check_set(), 20)
    if not host.processes["keeper"].running():
        restart(host)
    assert host.shim.get("failed") <= 1 and seen <= {SETTLED, FAILED, REFUSED, KEPT}
    renewed(host)


# ---- F30 ----

def no_descriptors(scene):
    """All descriptors are used up: the link to the controller stays, an order ends with a clear error or goes well, and all is well afterwards."""
    host = scene.host
    pid = host.processes["keeper"].pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = max(int(n) for n in os.listdir(f"/proc/{pid}/fd")) + 1
    for more in (0, 2, 4):
        served = host.served()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + more, before[1]))
        key = host.renew()
        try:
            receipt = host.link.wait("an end", lambda: next((r for r in list(host.link.receipts) if (r["renewal_id"], r["attempt"]) == key and
                                                              r["outcome"] in (SETTLED, FAILED, REFUSED, KEPT)), None))
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        assert host.processes["keeper"].pid == pid and host.processes["keeper"].running(), "it lives"
        if receipt["outcome"] != SETTLED:
            host.errors.append((receipt["code"], receipt["cause"], "Too many open files"))
        if receipt["outcome"] in (FAILED, REFUSED):
            assert host.check_set() == served == host.served()
        if receipt["outcome"] == KEPT:
            host.link.receipt(key, SETTLED)
        renewed(host)
    assert host.errors


# ---- F31 ----

def no_entropy(scene):
    """The kernel's generator is not seeded when the keeper starts: it stands and waits, unready, and no key is made; then it goes on."""
    host = scene.make(shim=True, start=False)
    host.shim.set(no_entropy=1)
    host.start_keeper(host.env, connect=False)
    wait_for("it asks in vain", lambda: host.shim.get("entropy_asked") > 0, 20)
    time.sleep(1)
    assert host.processes["keeper"].running(), "it waits, as its unit's start does"
    assert not os.listdir(f"{host.dir}/keeper/keys") and not os.path.exists(host.socket), "nothing is made, nobody is told that it runs"
    host.shim.set(no_entropy=0)
    host.link.connect(host.socket)
    host.link.wait("the target is told", lambda: host.link.targets)
    renewed(host)


# ---- F32 ----

def replaced_in_the_middle(scene):
    """Killed in the middle of a swap and started again as another build, and back: it finishes what the other one began."""
    host = scene.host
    faulty = host.binaries
    for point in ("keeper.write.done", "keeper.flip.done", "keeper.reload.done") if LONG else ("keeper.flip.done",):
        restart(host, {"VCC_FAILPOINT": f"{point}@1=kill"})
        key = host.renew()
        dies(host, point)
        host.binaries = PLAIN
        try:
            restart(host)
            host.link.receipt(key, SETTLED)
            assert host.served() == host.check_set() == host.link.orders[key]["fingerprint"]
        finally:
            host.binaries = faulty
            restart(host)
        renewed(host)


# ---- T11 ----

def dumped_core(pid):
    """Ends the child by SIGABRT; did the kernel write a core?"""
    os.kill(pid, signal.SIGABRT)
    return os.WCOREDUMP(os.waitpid(pid, 0)[1])


def no_core_of_a_key(scene):
    """Killed by a signal that would leave a core: none is left, the limit is 0. Key files are closed to others, and no other user reads the keeper's memory."""
    host = scene.host
    renewed(host)
    keeper = host.processes["keeper"]
    with open(f"/proc/{keeper.pid}/limits") as f:
        core = next(line for line in f if line.startswith("Max core file size")).split()
    assert core[4:6] == ["0", "0"], core
    asked = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/bin/cat", f"/proc/{keeper.pid}/environ"], capture_output=True)
    assert asked.returncode != 0
    for base, _, files in os.walk(f"{host.dir}/keeper"):
        for name in files:
            mode = os.stat(os.path.join(base, name)).st_mode
            assert mode & 0o077 == 0 or not name.endswith((".key", ".pem")), (name, oct(mode))
    assert os.stat(f"{host.tls}/current/key.pem").st_mode & 0o007 == 0
    assert not dumped_core(keeper.pid), "a core of the keeper"
    restart(host)
    renewed(host)
