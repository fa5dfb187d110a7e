"""PostgreSQL by SIGHUP: is every certificate taken by new connections while old ones live on, and does the probe find out when it is not?"""
import os
import re
import socket
import ssl
import struct
import subprocess
import time

import checks
import pytest
from handshakes import STARTUP
from installation import ROOT, wait_for, write
from lone_hook import LoneHook, make_pair
from one_service import addresses, impatient_keeper, one_service, order, renew, renew_under_load
from service_kinds import PostgreSQL

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
PID, UNIT = -2203, -2204


@pytest.fixture(scope="module")
def installation():
    with one_service("postgresql") as pair:
        yield pair


def data(host):
    return os.path.join(host.dir, "service", "data")


def log(host):
    with open(os.path.join(host.dir, "log", "postgresql.log"), errors="replace") as f:
        return f.read()


class Session:
    """A client that stays: TLS, startup, queries."""

    def __init__(self, host):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = socket.create_connection(addresses(host)[0], 10)
        host.handshake.before(raw)
        self.tls = context.wrap_socket(raw)
        self.tls.sendall(STARTUP)
        self.until(b"Z")

    def exactly(self, n):
        data = b""
        while len(data) < n:
            piece = self.tls.recv(n - len(data))
            if not piece:
                raise OSError("closed")
            data += piece
        return data

    def until(self, kind):
        rows = []
        while True:
            tag, size = struct.unpack("!ci", self.exactly(5))
            body = self.exactly(size - 4)
            assert tag != b"E", body
            if tag == b"D":
                rows.append(body[6:].decode())
            if tag == kind:
                return rows

    def ask(self, query):
        self.tls.sendall(b"Q" + struct.pack("!i", len(query) + 5) + query.encode() + b"\0")
        return self.until(b"Z")

    def close(self):
        self.tls.close()


def test_renewals_without_a_failed_handshake(installation):
    inst, host = installation
    pid = host.processes["postgresql"].pid
    lines = log(host).count("\n")
    session = Session(host)
    renew_under_load(inst, host)
    assert host.processes["postgresql"].pid == pid and host.processes["postgresql"].running()
    assert session.ask("select 41 + 1") == ["42"], "a connection with the first certificate goes on"
    session.close()
    new = "\n".join(log(host).splitlines()[lines:])
    assert "SIGHUP" in new and "not reloaded" not in new


def test_probes_leave_nothing_in_the_log(installation):
    """Dozens of handshakes, and not one line that an operator would have to explain."""
    inst, host = installation
    lines = -1
    while lines != (lines := len(log(host).splitlines())):
        time.sleep(2)  # what the test's own clients left is written late on a busy machine
    renew(inst, host)
    new = log(host).splitlines()[lines:]
    assert len(new) == 1 and "received SIGHUP" in new[0], new


def test_a_pair_that_postgresql_refuses_is_rolled_back(installation):
    """PostgreSQL keeps the old certificate and tells only its log: the probe finds out, and the old pair comes back."""
    inst, host = installation
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    inst.edit_template(host.template, max_renewal_attempts=1)
    before = checks.served_is_issued(inst, host)
    target = os.path.join(host.dir, "targets.d", "web.conf")
    with open(target) as f:
        text = f.read()
    with impatient_keeper(host, FAULTS, {"VCC_PROBE_MS": "1500", "VCC_HEAL_MS": "300"}):
        # the key of another owner: the keeper's access test passes, but PostgreSQL is strict about it
        write(target, text.replace("owner = root", "owner = www-data"))
        time.sleep(1)
        lines = len(log(host).splitlines())
        status, renewal = order(inst, host)
        assert status != 0 and renewal["status"] == "paused", renewal
        assert renewal["error"]["code"] == "VCC-2004", renewal["error"]
        assert "not reloaded" in "\n".join(log(host).splitlines()[lines:])
        assert checks.matching_set(host.target_dir) == before
        for address in addresses(host):
            assert host.handshake(*address, host.names[0]) == before
    write(target, text)  # with the cause mended the order goes on by itself
    inst.wait_renewed(host, before, 90)
    assert checks.served_is_issued(inst, host) != before


# ---- connections with the old certificate ----
def watched(inst, host):
    done = subprocess.run([*inst.vccctl_argv, "cert", "renew", host.cert_id, "--force", "--watch"], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_old_sessions_are_told_to_whoever_watches(installation):
    inst, host = installation
    assert "draining" not in "\n".join(watched(inst, host))
    sessions = [Session(host), Session(host)]
    lines = watched(inst, host)
    assert re.fullmatch(r"completed, draining: 2 old workers, oldest \d+ (s|min)", lines[-1]), lines
    renewal = renew(inst, host)
    assert renewal["status"] == "completed" and "draining" in renewal["flags"], renewal
    last = renewal["receipts"][-1]
    assert last["old_workers"] == 2 and 0 < last["oldest_worker_seconds"] < 600, last
    assert all(r["old_workers"] == 0 for r in renewal["receipts"][:-1])
    for s in sessions:
        assert s.ask("select 7") == ["7"]
        s.close()


def test_old_sessions_are_ended_after_their_time(installation):
    """SIGTERM to a backend is what pg_terminate_backend() does; the server and new sessions go on."""
    inst, host = installation
    target = os.path.join(host.dir, "targets.d", "web.conf")
    with open(target) as f:
        text = f.read()
    write(target, text.replace("timeout = 20s", "timeout = 20s\nmax_drain = 3s\non_drain_timeout = terminate"))
    time.sleep(1)
    old = Session(host)
    renew(inst, host)
    new = Session(host)
    wait_for("the old session is ended", lambda: "terminating connection due to administrator command" in log(host), 30)
    with pytest.raises((OSError, AssertionError)):
        old.ask("select 1")
    assert new.ask("select 2") == ["2"] and host.processes["postgresql"].running()
    new.close()
    write(target, text)
    time.sleep(1)


# ---- whom root signals ----
@pytest.fixture
def hook(folder):
    with LoneHook(folder) as h:
        yield h


def postmaster_pid(h, pid, owner=None):
    path = f"{h.dir}/postmaster.pid"
    write(path, f"{pid}\n/var/lib/postgresql\n1700000000\n5432\n", 0o600)
    if owner is not None:
        os.chown(path, owner, owner)
    h.target(f"kind = postgresql\npidfile = {path}\ntimeout = 2s\n", "")
    return path


def test_another_program_is_not_signalled(hook):
    with subprocess.Popen(["/usr/bin/sleep", "60"]) as other:
        postmaster_pid(hook, other.pid)
        reply = hook.ask()
        assert reply["code"] == PID and "another program" in reply["output"], reply
        assert other.poll() is None
        other.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_a_service_user_cannot_choose_whom_root_signals(installation, hook):
    """A real postmaster, but the pid file was written by somebody else."""
    _, host = installation
    before = log(host).count("SIGHUP")
    path = postmaster_pid(hook, host.processes["postgresql"].pid, owner=65534)
    reply = hook.ask()
    assert reply["code"] == PID and "belongs to uid" in reply["output"], reply
    os.chown(path, os.stat(data(host)).st_uid, -1)
    assert hook.ask()["code"] == 0
    wait_for("the postmaster was asked", lambda: log(host).count("SIGHUP") == before + 1)


@pytest.mark.parametrize("text", ["", "x\n", "1\n", "-5\n", "99999999999\n"])
def test_a_pid_file_without_a_process(hook, text):
    path = postmaster_pid(hook, 2)
    write(path, text, 0o600)
    assert hook.ask()["code"] == PID


def test_by_unit_without_a_system_bus(hook):
    hook.target("kind = postgresql\nunit = postgresql@15-main.service\ntimeout = 2s\n", "")
    assert hook.ask()["code"] == UNIT


def test_the_program_of_the_target_file_counts(hook, installation):
    _, host = installation
    path = os.path.join(data(host), "postmaster.pid")
    for program, code in ((PostgreSQL.program("postgres"), 0), ("/usr/bin/sleep", PID), ("/no/such/program", PID)):
        hook.target(f"kind = postgresql\npidfile = {path}\ncommand = {program}\ntimeout = 2s\n", "")
        assert hook.ask()["code"] == code, program
