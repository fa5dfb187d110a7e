"""Does scripts/sandbox keep its word: a killed process comes back with its new pid in sandbox.json, and SIGTERM leaves nothing behind?"""
import json
import os
import signal
import ssl
import socket
import subprocess
import time

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def session_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return int(f.read().rsplit(")", 1)[1].split()[3])
    except (FileNotFoundError, ProcessLookupError):
        return None


def members(sessions):
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and session_of(pid) in sessions]


def until(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return value


@pytest.fixture
def sandbox(folder):
    argv = [os.path.join(ROOT, "scripts", "sandbox"), os.path.join(folder, "sandbox"), "--service", "nginx", "--for", "300"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as p:
        try:
            path = p.stdout.readline().strip()
            assert os.path.exists(path), "the sandbox is issued and served"
            yield p, path
        finally:
            p.send_signal(signal.SIGTERM)
            p.wait(60)


def facts(path):
    with open(path) as f:
        return json.load(f)


def pids(info):
    host = info["agents"][0]
    return {"controller": info["controller"]["pid"], "signer": info["controller"]["signer_pid"], "gateway": info["controller"]["gateway_pids"][0],
            "agent": host["agent_pid"], "keeper": host["keeper_pid"], "service": host["targets"][0]["service_pid"]}


def served(target):
    """Whether the service answers a handshake (the chain is the business of other tests)."""
    host, port = target["address"].rsplit(":", 1)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((host, int(port)), 2) as raw, context.wrap_socket(raw, server_hostname=target["sni"]) as tls:
            return len(tls.getpeercert(True)) > 0
    except OSError:
        return False


def test_killed_processes_come_back_and_sigterm_ends_all(sandbox):
    process, path = sandbox
    sessions = set()
    for name, pid in pids(facts(path)).items():
        sessions.add(pid)
        os.kill(pid, signal.SIGKILL)
        new = until(f"{name} comes back", lambda: (p := pids(facts(path))[name]) != pid and p)
        assert session_of(new) == new, f"{name} runs"
    target = facts(path)["agents"][0]["targets"][0]
    until("nginx serves again, though its old workers held the port", lambda: served(target))
    stable = pids(facts(path))
    time.sleep(1)
    assert pids(facts(path)) == stable, "nothing dies again and again"
    sessions.update(stable.values())
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    until("no process of its sessions is left", lambda: not members(sessions), 10)
