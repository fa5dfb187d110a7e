"""The whole way of revocation lists with somebody between host and public listener: whatever he answers, the host keeps its old lists, says why to its own
people and to the controller, tries again, and has the new ones as soon as he is gone."""
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest
from conftest import new_folder
from installation import ROOT, Installation, free_port, wait_for, write

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
KEEPER = {"VCC_CRL_PACE_MS": "200", "VCC_CRL_RETRY_MS": "500"}
AGENT = {"VCC_FETCH_MS": "2000"}


class Between:
    """Everything on the installation's public address goes through here."""

    def __init__(self, port, behind):
        self.behind, self.play, self.asked = behind, None, []
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.socket.listen(50)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    part = connection.recv(4096)
                    if not part:
                        return
                    request += part
                self.asked.append(request.split()[1].decode())
                if self.play is not None:
                    self.play(connection, self.real(request))
                else:
                    connection.sendall(self.real(request))
        except OSError:
            pass

    def real(self, request):
        answer = b""
        with socket.create_connection(self.behind, 10) as s:
            s.sendall(request)
            while part := s.recv(65536):
                answer += part
        return answer

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture(scope="module")
def world():
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    path, behind = new_folder("crl-captured"), free_port()
    inst = Installation(path, {"controller.public.listen": f"127.0.0.1:{behind}"}, binaries=FAULTS)
    between = None
    try:
        inst.init()
        between = Between(urllib.parse.urlparse(inst.public_url).port, ("127.0.0.1", behind))
        inst.start()
        host = inst.prepare_echo(0)
        host.join()
        inst.drop_in("agent", host.config)
        write(os.path.join(host.dir, "targets.d", f"{host.stem}.conf"), host.target_file() + "[trust]\ncrl = yes\n")
        host.start_agent({**KEEPER, **AGENT})
        other = inst.add_echo(1)
        for h in (host, other):
            inst.wait_served(h)
        yield inst, host, other, between
    finally:
        inst.stop()
        if between:
            between.close()
        shutil.rmtree(path, ignore_errors=True)


def status(inst, host):
    done = subprocess.run([inst.bin("vcc-agent"), "status", "--config", host.config, "-o", "json"], capture_output=True, text=True, timeout=20)
    return json.loads(done.stdout)["lists"]


def lists_of(host):
    with open(os.path.join(host.target_dir, "current", "crl.pem"), "rb") as f:
        return f.read()


def newest(inst, host):
    return inst.target(host.cert_id)["crl_current"] is True


def answer(head, body=b""):
    return lambda connection, real: connection.sendall(head.encode() + body)


def other_bytes(connection, real):
    head, body = real.split(b"\r\n\r\n", 1)
    connection.sendall(head + b"\r\n\r\n" + body[:-100] + b"A" * 99 + b"\n")


def longer(connection, real):
    body = real.split(b"\r\n\r\n", 1)[1] * 2
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def shorter(connection, real):
    connection.sendall(real[:-200])


def endless(connection, real):
    connection.sendall(real[:-500])
    while True:
        connection.sendall(b"x")
        time.sleep(0.2)


def old_ones(first):
    def play(connection, real):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(first) + first)
    return play


PLAYS = {
    "404": (answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), ("VCC-2020",)),
    "redirect": (answer("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"), ("VCC-2020",)),
    "chunked": (answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"80000000\r\nx"), ("VCC-2020",)),
    "other-bytes": (other_bytes, ("VCC-2021",)),
    "old-ones": (old_ones, ("VCC-2021", "VCC-2025")),
    "longer": (longer, ("VCC-2025",)),
    "shorter": (shorter, ("VCC-2020",)),
    "endless": (endless, ("VCC-2020",)),
}


@pytest.mark.parametrize("name", list(PLAYS))
def test_whatever_he_answers(world, name):
    inst, host, other, between = world
    play, codes = PLAYS[name]
    wait_for("the newest lists", lambda: newest(inst, host), 60)
    before, pids = lists_of(host), [host.processes[p].pid for p in ("agent", "keeper")]
    between.play = play(before) if play is old_ones else play
    try:
        issued = inst.certificate(other.cert_id)["fingerprint"]
        inst.vccctl("cert", "renew", other.cert_id, "--force")  # its old certificate is revoked as superseded: other lists
        inst.wait_renewed(other, issued)
        told = wait_for("the host says why", lambda: (s := status(inst, host)).get("code") in codes and s, 60)
        assert told["error"] and told["next"]
        wait_for("the controller knows", lambda: inst.target(host.cert_id)["error"] in codes, 30)
        assert not newest(inst, host)
        n = len(between.asked)
        wait_for("it tries again", lambda: len(between.asked) > n + 1, 30)
        assert lists_of(host) == before
    finally:
        between.play = None
    wait_for("the newest lists", lambda: newest(inst, host), 60)
    assert lists_of(host) != before and "code" not in status(inst, host)
    wait_for("the controller knows", lambda: inst.target(host.cert_id)["error"] is None, 30)
    assert pids == [host.processes[p].pid for p in ("agent", "keeper")] and all(host.processes[p].running() for p in ("agent", "keeper"))


def test_what_was_asked_for(world):
    """Nothing but these two, and the lists by their content."""
    _, _, _, between = world
    assert {path.split("?")[0] for path in between.asked} == {"/crl/all.pem", "/ca/all.pem"}
    assert all("?sha256=" in path for path in between.asked if path.startswith("/crl"))


def test_memory(world):
    inst, host, _, _ = world
    for name, most in (("agent", 24), ("keeper", 32)):
        with open(f"/proc/{host.processes[name].pid}/status") as f:
            peak = int(dict(line.split(":", 1) for line in f)["VmHWM"].split()[0]) / 1024
        print(f"\n{name}: {peak:.1f} MiB at most")
        assert peak < most or "asan" in FAULTS
