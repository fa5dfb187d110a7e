"""Old workers that hold connections with the old certificate: are exactly they counted, told, and ended when the target file says so?"""
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest
from installation import ROOT, free_port, wait_for, write
from keeper_host import KeeperHost, temporary
from lone_hook import LoneHook

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
VERIFIED, SETTLED, FAILED, REFUSED, KEPT = range(5)
DRAIN, DRAIN_END = 2, 3
PID, NO_DRAIN = -2203, -2213
DRAINING = 2

# A service as a test wants it: `+ID` starts a worker, `-ID` ends it; each worker accepts what comes and never closes.
SERVICE = r"""
import os, signal, socket, sys
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen(64)
workers = {}
open(sys.argv[2], "w").write(f"{os.getpid()}\n")
print("up", flush=True)
for line in sys.stdin:
    what, name = line[0], line[1:].strip()
    if what == "+":
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            kept = []
            os.close(w)
            while True:
                import select
                ready, _, _ = select.select([listener, r], [], [])
                if r in ready and not os.read(r, 1):
                    os._exit(0)
                if listener in ready:
                    listener.setblocking(False)
                    try:
                        kept.append(listener.accept()[0])
                    except BlockingIOError:
                        continue
        workers[name] = (pid, w)
        os.close(r)
        print(pid, flush=True)
    elif what == "p":
        os.kill(workers[name][0], signal.SIGSTOP)
        print("stopped", flush=True)
"""


def boot_ms():
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)


class Service:
    """Workers that accept while they are running; stopped ones keep what they have."""

    def __init__(self, folder):
        self.port = free_port()
        self.pidfile = f"{folder}/service.pid"
        self.p = subprocess.Popen(["/usr/bin/python3", "-c", SERVICE, str(self.port), self.pidfile], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.p.stdout.readline() == "up\n"
        self.clients, self.workers = [], []

    def tell(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()
        return self.p.stdout.readline().strip()

    def worker(self, name, connections=0):
        """A new worker with so many connections of its own."""
        pid = int(self.tell(f"+{name}"))
        for _ in range(connections):
            self.clients.append(socket.create_connection(("127.0.0.1", self.port), 5))
        if connections:
            wait_for("the worker has them", lambda: self.sockets(pid) > connections)
        self.tell(f"p{name}")
        wait_for("it is stopped", lambda: state(pid) == "T")
        self.workers.append(pid)
        return pid

    @staticmethod
    def sockets(pid):
        def what(fd):
            try:
                return os.readlink(f"/proc/{pid}/fd/{fd}")
            except FileNotFoundError:  # closed since it was listed
                return ""
        return sum(what(fd).startswith("socket:") for fd in os.listdir(f"/proc/{pid}/fd"))

    def close(self):
        for c in self.clients:
            c.close()
        self.p.kill()
        self.p.wait()
        self.p.stdin.close()
        self.p.stdout.close()
        for pid in self.workers:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


@pytest.fixture
def hook(folder):
    with LoneHook(folder) as h:
        yield h


@pytest.fixture
def service(folder):
    s = Service(folder)
    yield s
    s.close()


def target(hook, service, more=""):
    write(f"{hook.dir}/targets.d/web.conf", f"[target]\ntemplate = t\nnames = a.vcc.internal\ndir = {hook.tls}\n[reload]\nkind = exec\ncommand = /bin/true\n"
          f"pidfile = {service.pidfile}\ntimeout = 2s\n{more}[verify]\nkind = tls\nconnect = 127.0.0.1:{service.port}\n")


def ask(hook, verb, reloaded_ms):
    from wire_tables import decode, encode, frame_read, frame_write
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(hook.socket)
        stream = s.makefile("rwb")
        frame_write(stream, encode("ipc-hook", "request", 5, stem="web", verb=verb, reloaded_ms=reloaded_ms))
        return decode("ipc-hook", frame_read(stream))[2]


def state(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


def pause():
    """Start times are told in hundredths of a second."""
    time.sleep(0.1)
    now = boot_ms()
    time.sleep(0.1)
    return now


def test_only_old_workers_with_connections_count(hook, service):
    target(hook, service)
    service.worker("old with two", 2)
    service.worker("old with one", 1)
    service.worker("old with none")
    reload = pause()
    service.worker("new with one", 1)
    reply = ask(hook, DRAIN, reload)
    assert reply["code"] == 0 and reply["old_workers"] == 2, reply
    assert 100 <= reply["oldest_ms"] < 60_000, reply
    service.clients[2].close()
    wait_for("a client that left holds nobody", lambda: ask(hook, DRAIN, reload)["old_workers"] == 1)
    reload = pause()
    service.worker("newest")
    assert ask(hook, DRAIN, reload)["old_workers"] == 2, "after the next reload the new one is old, too"


def test_a_service_that_takes_its_files_in_place_has_no_old_workers(hook, service):
    """Its workers are from before the reload, and serve the new certificate."""
    target(hook, service)
    service.worker("one", 1)
    service.worker("two", 1)
    reply = ask(hook, DRAIN, pause())
    assert reply["code"] == 0 and reply["old_workers"] == 0 and "newer" in reply["output"], reply


def test_another_port_is_another_service(hook, service):
    service.worker("old", 1)
    reload = pause()
    service.worker("new")
    target(hook, service)
    assert ask(hook, DRAIN, reload)["old_workers"] == 1
    service.port += 1
    target(hook, service)
    service.port -= 1
    reply = ask(hook, DRAIN, reload)
    assert reply["code"] == 0 and reply["old_workers"] == 0


def test_only_they_are_ended(hook, service, folder):
    target(hook, service)
    old = service.worker("old", 2)
    idle = service.worker("idle")
    beside = Service(f"{folder}/tls")  # the same kind of process, of another main one
    try:
        other = beside.worker("old, but not ours", 1)
        reload = pause()
        new = service.worker("new", 1)
        reply = ask(hook, DRAIN_END, reload)
        assert reply["code"] == 0 and reply["old_workers"] == 1 and "1 of 1" in reply["output"], reply
        os.kill(old, signal.SIGCONT)  # a stopped process takes the signal when it goes on
        wait_for("the old one is gone", lambda: state(old) == "Z")
        assert {state(p) for p in (idle, new, other, service.p.pid)} <= {"T", "S"}
    finally:
        beside.close()
    reply = ask(hook, DRAIN, reload)
    assert reply["old_workers"] == 0


def test_none_is_ended_when_none_is_newer(hook, service):
    """Without one process from after the reload, either the reload had no effect or the time is wrong: ending all would end the service."""
    target(hook, service)
    old = service.worker("old", 1)
    reload = pause()
    reply = ask(hook, DRAIN_END, reload)
    assert reply["code"] == NO_DRAIN and "newer" in reply["output"], reply
    os.kill(old, signal.SIGCONT)
    time.sleep(0.3)
    assert state(old) in "SR"


@pytest.mark.parametrize("reloaded", [0, -1, "future"])
def test_times_that_cannot_be(hook, service, reloaded):
    target(hook, service)
    old = service.worker("old", 1)
    reply = ask(hook, DRAIN_END, boot_ms() + 3_600_000 if reloaded == "future" else reloaded)
    assert reply["code"] == NO_DRAIN, reply
    assert state(old) == "T"


def test_targets_that_cannot_tell(hook, service):
    target(hook, service)
    path = f"{hook.dir}/targets.d/web.conf"
    with open(path) as f:
        text = f.read()
    write(path, text.replace(f"pidfile = {service.pidfile}\n", ""))
    assert ask(hook, DRAIN, boot_ms())["code"] == NO_DRAIN
    write(path, text)
    service.p.kill()
    service.p.wait()
    reply = ask(hook, DRAIN, boot_ms())
    assert reply["code"] == PID, reply


# ---- a whole swap, on a real nginx that lets its old workers wait ----
class PatientHost(KeeperHost):
    def start_nginx(self):
        super().start_nginx()
        path = f"{self.base}/nginx.conf"
        with open(path) as f:
            text = f.read().replace("worker_shutdown_timeout 5s;\n", "")
        write(path, text.replace("return 200", "add_header Connection keep-alive; return 200"))
        self.processes["nginx"].stop()
        self.processes["nginx"].start()
        wait_for("nginx serves", self.served)


@pytest.fixture(scope="module")
def host():
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    folder = temporary()
    h = PatientHost(folder, FAULTS)
    h.settings["reload"] += f"pidfile = {h.base}/nginx.pid\n"
    h.good = dict(h.settings)
    try:
        h.start()
        yield h
    finally:
        h.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Connection:
    """In the middle of a request: nginx keeps its worker for it."""

    def __init__(self, host):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.tls = context.wrap_socket(socket.create_connection(("127.0.0.1", host.port), 10))
        self.tls.sendall(b"GET / HTTP/1.1\r\n")

    def finish(self):
        """The answer, or b"" when the connection was ended."""
        try:
            self.tls.sendall(b"Host: x\r\n\r\n")
            return self.tls.recv(100)
        except OSError:
            return b""
        finally:
            self.tls.close()

    def ended(self):
        self.tls.settimeout(0.2)
        try:
            return self.tls.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True


def renew(host):
    return host.link.receipt(host.renew(), SETTLED)


def draining(host):
    return host.link.status(host.socket)["targets"][0]["draining"]


def change(host, reload):
    host.write_target(reload=reload)
    time.sleep(0.6)  # changes of an edit are collected for 200 ms


def test_without_old_connections_nothing_drains(host):
    receipt = renew(host)
    assert receipt["old_workers"] == 0 and receipt["oldest_ms"] == 0 and receipt["flags"] & DRAINING == 0
    assert draining(host) is None


def test_old_workers_stand_in_the_receipt_and_are_seen_to_go(host):
    connection = Connection(host)
    receipt = renew(host)
    assert receipt["old_workers"] == 1 and receipt["flags"] & DRAINING, receipt
    assert 0 < receipt["oldest_ms"] < 3_600_000
    assert draining(host)["old_workers"] == 1
    # one more renewal: the worker of the one before has gone, the older one is still there
    assert renew(host)["old_workers"] == 1
    assert connection.finish().startswith(b"HTTP/1.1 200"), "nothing was ended without being asked to"
    wait_for("the last one is seen to go", lambda: draining(host) is None)
    assert "the last old workers are gone" in host.log("keeper")


def test_after_max_drain_they_are_reported(host):
    change(host, host.good["reload"] + "max_drain = 2s\n")
    connection = Connection(host)
    renew(host)
    wait_for("the limit is told", lambda: "VCC-2019" in host.log("keeper"))
    assert not connection.ended()
    assert connection.finish().startswith(b"HTTP/1.1 200")
    assert host.log("keeper").count("VCC-2019") == 1, "once"
    change(host, host.good["reload"])


def test_after_max_drain_they_are_ended(host):
    change(host, host.good["reload"] + "max_drain = 3s\non_drain_timeout = terminate\n")
    connection = Connection(host)
    receipt = renew(host)
    assert receipt["old_workers"] == 1
    fresh = Connection(host)
    wait_for("the old connection is ended", connection.ended, 30)
    wait_for("nothing drains any more", lambda: draining(host) is None)
    assert "1 of 1 old workers were asked to end" in host.log("keeper")
    assert host.served() == host.check_set() and fresh.finish().startswith(b"HTTP/1.1 200"), "new workers and their connections stay"
    change(host, host.good["reload"])


def test_the_limit_outlives_a_restart_of_the_keeper(host):
    change(host, host.good["reload"] + "max_drain = 4s\non_drain_timeout = terminate\n")
    connection = Connection(host)
    renew(host)
    host.restart_keeper()
    wait_for("the old connection is ended", connection.ended)
    assert host.served() == host.check_set()
    change(host, host.good["reload"])


def test_a_rollback_is_counted_like_any_reload(host):
    """What held connections before the failed swap is old afterwards, and nobody is ended by it."""
    host.restart_keeper({"VCC_PROBE_MS": "1500", "VCC_HEAL_MS": "300"})
    connection = Connection(host)
    script = f"{host.dir}/once.sh"
    write(script, f"#!/bin/sh\n[ -e {host.dir}/done ] && exec {host.good['reload'].split('command = ')[1].splitlines()[0]}\ntouch {host.dir}/done\nexit 7\n", 0o755)
    change(host, f"kind = exec\ncommand = {script}\ntimeout = 10s\npidfile = {host.base}/nginx.pid\n")
    host.link.receipt(host.renew(), FAILED, 120)
    assert connection.finish().startswith(b"HTTP/1.1 200")
    os.unlink(f"{host.dir}/done")
    change(host, host.good["reload"])
    renew(host)
