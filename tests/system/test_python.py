"""Python services below the real agent, with the helper of packaging/python: uvicorn alone, inside a program, with workers, below gunicorn. Does each get a new
certificate again and again without a failed handshake or a restart, in every worker, and does the proof see a worker that still has the old one?"""
import os
import shutil
import signal
import time

import checks
import pytest
from conftest import new_folder
from installation import Installation, wait_for
from one_service import renew, renew_under_load
from python_service import SERVERS, ask, served_by_each

LONG = os.environ.get("VCC_LONG") == "1"
KINDS = ("uvicorn", "program", "workers", "gunicorn")


@pytest.fixture(scope="module")
def hosts():
    """{way to run it: host}, all in one installation; issued and served."""
    path = new_folder("python")
    inst = Installation(path)
    try:
        inst.init()
        inst.start()
        found = {kind: inst.add_python(n + 1, kind) for n, kind in enumerate(KINDS)}
        for host in found.values():
            inst.wait_served(host)
        yield found
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", KINDS)
def test_renewals_without_a_failed_handshake_or_a_restart(hosts, kind):
    host = hosts[kind]
    pids = set(served_by_each(host.port, SERVERS[kind]))

    def each(fingerprint):
        assert served_by_each(host.port, SERVERS[kind]) == {p: {fingerprint} for p in pids}, "each worker serves it, and is the same as before"

    renew_under_load(host.inst, host, each=each)


def test_a_killed_service_comes_back_managed(hosts):
    """A killed service comes back with the issued certificate, and its new pid file serves the next renewal."""
    host = hosts["workers"]
    host.processes["python"].kill(signal.SIGKILL)

    def started_anew():
        host.inst.supervise()  # again, if the port was still held
        _, found, log = host.processes["python"].tail(200).partition(f"Started parent process [{host.processes['python'].pid}]")
        return found and log.count("Application startup complete") == 2

    wait_for("it is started again", started_anew)
    issued = checks.served_is_issued(host.inst, host)
    assert renew(host.inst, host)["status"] == "completed"
    assert checks.served_is_issued(host.inst, host) != issued


def test_a_worker_that_stays_on_the_old_certificate_is_seen(hosts):
    """One worker of two does not hear the signal: nothing is called done before it serves the new certificate, too. The keeper signals again by itself after
    half a minute; the short run does it for it."""
    host = hosts["workers"]
    old = checks.served_is_issued(host.inst, host)
    deaf, _ = ask(host.port, path="/deaf")
    renewal_id = host.inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    wait_for("the other worker serves the new certificate", lambda: any(f != {old} for f in served_by_each(host.port, 2).values()))
    for _ in range(20):
        assert served_by_each(host.port, 2)[deaf] == {old}, "the worker heard the signal"
        assert host.inst.renewal(renewal_id)["status"] == "in_progress"
        time.sleep(0.1)
    wait_for("the worker hears", lambda: ask(host.port, path="/hear")[0] == deaf)
    if not LONG:
        os.kill(host.processes["python"].pid, signal.SIGHUP)
    new = host.inst.wait_renewed(host, old)["fingerprint"]
    assert new == checks.served_is_issued(host.inst, host)
    assert all(f == {new} for f in served_by_each(host.port, 2).values())
