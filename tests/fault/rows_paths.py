"""F12, F13 and T10: what stands in the way of a swap: links, pipes, devices, before and during it; more events than the kernel keeps."""
import ctypes
import hashlib
import os
import signal
import stat
import threading
import time

from installation import wait_for, write
from scene import FAILED, KEPT, REFUSED, SETTLED, ends, refused, renewed

LONG = os.environ.get("VCC_LONG") == "1"
AT_FDCWD, RENAME_EXCHANGE = -100, 2
_libc = ctypes.CDLL(None, use_errno=True)


def exchange(a, b):
    """Both names change places in one step; False when one of them is not there."""
    return _libc.renameat2(AT_FDCWD, a.encode(), AT_FDCWD, b.encode(), RENAME_EXCHANGE) == 0


def account(folder):
    """name -> everything that a writer would change."""
    found = {}
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(base, name)
            st = os.lstat(path)
            data = b""
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    data = f.read()
            found[os.path.relpath(path, folder)] = (st.st_mode, st.st_uid, st.st_gid, st.st_nlink, st.st_mtime_ns, hashlib.sha256(data).hexdigest(),
                                                    os.readlink(path) if stat.S_ISLNK(st.st_mode) else "")
    return found


def foreign_folder(host, folder="foreign", inner="web/"):
    """Somebody else's: with names that a swap would write."""
    folder = f"{host.dir}/{folder}"
    for name in (f"{inner}g000001", f"{inner}g000002", f"{inner}.new-g000002", "secret"):
        os.makedirs(f"{folder}/{name}", exist_ok=True)
        for file in ("key.pem", "cert.pem", "shadow"):
            with open(f"{folder}/{name}/{file}", "w") as f:
                f.write("of somebody else\n")
    if not os.path.lexists(f"{folder}/{inner}current"):
        os.symlink("g000001", f"{folder}/{inner}current")
    return folder


# ---- F12 ----

def link_to_folder(path, foreign):
    os.symlink(foreign, path)


def link_to_file(path, foreign):
    os.symlink(f"{foreign}/secret/shadow", path)


def hard_link(path, foreign):
    os.link(f"{foreign}/secret/key.pem", path)


def fifo(path, _):
    os.mkfifo(path)


def device(path, _):
    os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 250))


KINDS = (link_to_folder, link_to_file, hard_link, fifo, device)


def number(host):
    return max(int(n[1:]) for n in os.listdir(host.tls) if n.startswith("g") and n[1:].isdigit())


def drop(path):
    if os.path.islink(path) or not os.path.isdir(path):
        if os.path.lexists(path):
            os.unlink(path)


def planted_before(scene):
    """In the place of what the next swap makes (its folder, its staging, the new link): nothing behind it is touched, and the swap does without."""
    host = scene.host
    foreign = foreign_folder(host)
    places = ("g{:06d}", ".new-g{:06d}", ".current.new")
    for i, kind in enumerate(KINDS):
        for name in places if LONG else [places[i % len(places)]]:
            path = os.path.join(host.tls, name.format(number(host) + 1))
            kind(path, foreign)
            before = account(foreign)
            renewed(host)
            after = account(foreign)
            if kind is hard_link:  # it counts one name more while it stands
                before, after = ({k: v[:3] + v[4:] for k, v in a.items()} for a in (before, after))
            assert after == before, f"{kind.__name__} at {name}"
            drop(path)
    renewed(host)


def parent_is_a_link(scene):
    """The way to the target leads through a link, or past a folder that others may change: refused, named, nothing touched."""
    host = scene.make()
    renewed(host)
    foreign = foreign_folder(host)
    before = account(foreign)
    targets = f"{host.dir}/targets"
    with scene.unseen():
        os.rename(targets, f"{host.dir}/elsewhere")
        os.symlink(foreign, targets)
        key = host.renew()
        receipt = host.link.receipt(key, REFUSED)
        assert receipt["code"] == -1302, receipt
        host.errors.append((receipt["code"], receipt["cause"], targets))
        os.unlink(targets)
        os.rename(f"{host.dir}/elsewhere", targets)
    assert account(foreign) == before
    os.chmod(targets, 0o777)
    refused(host, REFUSED, 1302, targets)
    os.chmod(targets, 0o755)
    renewed(host)


# ---- T10 ----

class Racer:
    """Exchanges a part of the path to the target with a link to somebody else's folder, as fast as it can until `until`."""

    def __init__(self, *pairs):
        self.pairs, self.rounds, self.stop, self.until = pairs, 0, threading.Event(), 0
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stop.is_set():
            if time.monotonic() > self.until:
                self.stop.wait(0.01)
                continue
            for a, b in self.pairs:
                if exchange(a, b):
                    exchange(a, b)
                    self.rounds += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def parts_of_the_path_change(scene):
    """While swaps and repairs go on: every file of other folders stays as it is, whatever the orders come to. One of them is another target's, which
    the keeper has locked itself in with. Ten minutes in the long run."""
    def before_start(host):
        other = foreign_folder(host, "targets/other", "")
        write(f"{host.dir}/targets.d/other.conf", f"[target]\ncert_id = {host.cert_id}-other\ntemplate = clara_service_auth\nnames = {host.names[1]}\n"
              f"dir = {other}\n[reload]\nkind = none\n[verify]\nkind = none\n")
    host = scene.make(before_start)
    host.link.wait("both targets are told", lambda: len({t["stem"] for t in host.link.targets}) == 2)
    renewed(host)
    foreign, other = foreign_folder(host), f"{host.dir}/targets/other"
    decoys = f"{host.dir}/decoys"
    os.mkdir(decoys)
    os.symlink(foreign, f"{decoys}/targets")
    os.symlink(other, f"{decoys}/web")

    def account_of_both():
        return account(foreign), account(other)
    before = account_of_both()
    end = time.monotonic() + (600 if LONG else 6)
    orders, good = 0, 0
    with scene.unseen():
        with Racer((f"{host.dir}/targets", f"{decoys}/targets"), (host.tls, f"{decoys}/web")) as racer:
            while time.monotonic() < end or orders < 3:
                # the keeper waits longer from try to try, and each may meet a path that is not its own
                racer.until = time.monotonic() + (20 if LONG and orders % 2 else 2)
                receipt = ends(host, host.renew())
                orders, good = orders + 1, good + (receipt["outcome"] == SETTLED)
                assert account(foreign) == before[0], "a foreign file was touched"
        time.sleep(1.5)  # what the care still does
    assert racer.rounds > 1000, racer.rounds
    assert account_of_both() == before, "a foreign file was touched"
    assert os.path.isdir(host.tls) and not os.path.islink(host.tls)
    wait_for("one goes well again", lambda: ends(host, host.renew())["outcome"] == SETTLED)  # on a slow machine nginx may take longer than a proof waits
    assert host.served() == host.check_set()
    assert not [r for r in host.link.receipts if r["outcome"] not in (0, SETTLED, FAILED, REFUSED, KEPT)], f"{good} of {orders} went well"


# ---- F13 ----

def more_events_than_the_kernel_keeps(scene):
    """The queue of the watch overflows while the keeper stands still: a change among the lost events is found and undone all the same."""
    host = scene.make()
    renewed(host)
    time.sleep(1.2)
    with open("/proc/sys/fs/inotify/max_queued_events") as f:
        limit = int(f.read())
    wanted = open(f"{host.tls}/current/chain.pem").read()
    pid = host.processes["keeper"].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        for i in range(limit // 2 + 1000):  # created, and gone
            os.close(os.open(f"{host.tls}/storm", os.O_CREAT | os.O_WRONLY))
            os.unlink(f"{host.tls}/storm")
        with open(f"{host.tls}/current/chain.pem", "a") as f:
            f.write("\n# edited\n")
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for("undone", lambda: open(f"{host.tls}/current/chain.pem").read() == wanted, 30)
    drift = host.link.wait("told", lambda: next((d for d in host.link.drifts if d["file"] == "chain.pem"), None))
    assert drift["stem"] == "web"
    renewed(host)
