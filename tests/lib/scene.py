"""One scenario of the fault table with its world: hosts are looked at from their start to the end of the scenario, then the row's invariants are checked."""
import contextlib
import os
import shutil

import fake_link
import invariants
import mounts
from installation import ROOT, wait_for
from keeper_host import KeeperHost, temporary
from shim import Shim

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
VERIFIED, SETTLED, FAILED, REFUSED, KEPT = range(5)
ENV = {"VCC_PROBE_MS": "1500", "VCC_HEAL_MS": "300"}


class Scene:
    """`names`: the invariants of the row, "I1 I2 ...". The scenario gets its host from `host` (one that many rows share) or from `make`."""

    def __init__(self, names, shared=None):
        self.names, self.shared = names, shared
        self.worlds, self.watches, self.made, self.closing = [], [], [], []

    @property
    def host(self):
        """The shared host, at rest and as it was set up."""
        host = self.shared.get()
        if not any(w.host is host for w in self.worlds):
            self.look_at(invariants.KeeperWorld(host), self.shared.watch)
            self.shared.watch.ask()
            self.shared.watch.broken = []
            self.shared.watch.looks = 0
            host.errors.clear()
        return host

    def make(self, before=None, env=None, shim=False, binaries=FAULTS, start=True, **settings):
        """A host of this scenario alone. `before(host)` is called when its folders are there and nothing runs; `settings`: sections of the target file."""
        host = KeeperHost(temporary(), binaries)
        self.made.append(host)
        host.settings["verify"] = f"kind = tls\nconnect = 127.0.0.1:{host.port}\n"
        host.settings.update(settings)
        host.good = dict(host.settings)
        host.shim = Shim(os.path.join(host.dir, "shim")) if shim else None
        host.env = {**ENV, **(host.shim.env if shim else {}), **(env or {})}
        if before:
            before(host)
        host.start_nginx()
        host.write_target()
        done = host.join()
        assert done["code"] == 0, done
        host.start_hook()
        self.look_at(invariants.KeeperWorld(host))
        if start:
            host.start_keeper(host.env)
            host.link.wait("the target is told", lambda: host.link.targets)
        return host

    def later(self, close):
        """Called when the scene closes, whatever came of it."""
        self.closing.append(close)

    def look_at(self, world, watch=None):
        self.worlds.append(world)
        if watch is None:
            watch = invariants.Watched(*world.folders()).start()
            self.watches.append(watch)
        world.watch = watch

    @contextlib.contextmanager
    def unseen(self):
        """While a test itself takes the folders away, what the watch sees there is nobody's fault."""
        for world in self.worlds:
            world.watch.ask()
        kept = [list(w.watch.broken) for w in self.worlds]
        yield
        for world, broken in zip(self.worlds, kept):
            world.watch.ask()
            world.watch.broken = broken

    def end(self):
        """What the row says must hold."""
        for world in self.worlds:
            world.watch.ask()
            invariants.check(self.names, world, world.watch)

    def close(self):
        for watch in self.watches:
            watch.end()
        for close in self.closing:
            close()
        for host in self.made:
            if getattr(host, "shim", None):
                host.shim.calm()
            try:
                host.stop()
            finally:
                mounts.clear(host.dir)
                shutil.rmtree(host.dir, ignore_errors=True)


class Shared:
    """One host for all rows that leave it as they found it; made anew behind a row that failed."""

    def __init__(self, make):
        self.make, self.host, self.watch = make, None, None

    def get(self):
        if self.host is None:
            self.host = self.make()
            self.watch = invariants.Watched(self.host.tls).start()
        return self.host

    def drop(self):
        if self.host is None:
            return
        host, self.host = self.host, None
        self.watch.end()
        try:
            host.stop()
        finally:
            shutil.rmtree(host.dir, ignore_errors=True)


def shared_host():
    """A standard host that has swapped once."""
    host = KeeperHost(temporary(), FAULTS)
    host.settings["verify"] = f"kind = tls\nconnect = 127.0.0.1:{host.port}\n"
    host.good, host.env = dict(host.settings), ENV
    host.start_nginx()
    host.write_target()
    done = host.join()
    assert done["code"] == 0, done
    host.start_hook()
    host.start_keeper(ENV)
    host.link.wait("the target is told", lambda: host.link.targets)
    renewed(host)
    return host


def calm(host):
    """As a scenario found it."""
    host.link.answer = host.link.issue
    change(host, **host.good)


# ---- what scenarios on a KeeperHost have in common ----

def read_anew(host, write, stem="web"):
    """`write` changes a target file; waits until the keeper has read it. A target is told anew also when its state changes, so its digest counts."""
    def digest():
        return [t["digest"] for t in host.link.targets if t["stem"] == stem][-1]
    before = digest()
    write()
    host.link.wait("the target file is read", lambda: digest() != before)


def change(host, **sections):
    """Other settings in the target file, read by the keeper when this returns."""
    if any(host.settings.get(k) != v for k, v in sections.items()):
        read_anew(host, lambda: host.write_target(**sections))


def script(host, text):
    path = f"{host.dir}/hook.sh"
    with open(path, "w") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return f"kind = exec\ncommand = {path} {os.urandom(4).hex()}\n"


def renewed(host, **changes):
    """One order that goes well."""
    key = host.renew(**changes)
    receipt = host.link.receipt(key, SETTLED)
    assert host.served() == host.check_set() == host.link.orders[key]["fingerprint"] == receipt["fingerprint"]
    return receipt


def refused(host, outcome, code, *words, key=None):
    """An order that ends with this outcome and code and leaves everything as it was; the receipt's words name `words`."""
    before, served = host.current(), host.check_set()
    key = key or host.renew()
    receipt = host.link.receipt(key, outcome)
    assert receipt["code"] == -code, receipt
    host.errors.append((receipt["code"], receipt["cause"], *words))
    assert host.current() == before and host.check_set() == served == host.served()
    left = [n for n in os.listdir(f"{host.dir}/keeper/keys") if n.startswith(key_name(key))]
    assert not left, f"the key of the refused order is gone: {left}"
    return receipt


def key_name(key):
    import uuid
    return str(uuid.UUID(bytes=key[0]))


def restart(host, env=None):
    host.restart_keeper({**getattr(host, "env", ENV), **(env or {})})


def unread(host):
    """Frames for which the keeper had no memory."""
    with open(host.processes["keeper"].log) as f:
        return f.read().count("a frame of the controller cannot be read")


def ends(host, key, env=None):
    """Keeps the keeper running and connected, as systemd and vcc-agent would, until the order has ended; its receipt."""
    def ended():
        if not host.processes["keeper"].running():
            restart(host, env)
        elif host.link.lost:
            try:
                host.link.connect(host.socket, seconds=0)
            except (OSError, fake_link.Failed):  # it is about to end: the next look sees that
                host.link.lost = True
        return next((r for r in list(host.link.receipts) if (r["renewal_id"], r["attempt"]) == key and r["outcome"] in (SETTLED, FAILED, REFUSED, KEPT)), None)
    return wait_for(f"the order ends\n{host.processes['keeper'].tail(20)}", ended, 60)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
