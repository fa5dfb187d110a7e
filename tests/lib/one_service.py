"""An installation with one real service, renewed again and again under a stream of new connections."""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile

import checks
from handshakes import Load
from installation import Installation

RENEWALS = 20 if os.environ.get("VCC_LONG") == "1" else 4


@contextlib.contextmanager
def one_service(kind, binaries=None, agent_env=None):
    """(installation, host): issued and served."""
    path = tempfile.mkdtemp(prefix=f"vcc-{kind}-")
    os.chmod(path, 0o755)
    inst = Installation(path, binaries=binaries)
    try:
        inst.init()
        inst.start()
        host = inst.prepare_service(kind)
        host.join()
        host.write_target()
        host.start_agent(agent_env)
        inst.wait_served(host)
        yield inst, host
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def addresses(host):
    second = [(host.second.rsplit(":", 1)[0].strip("[]"), host.port)] if host.second else []
    return [("127.0.0.1", host.port), *second]


def order(inst, host):
    """Orders a renewal and follows it to its end: exit status, record."""
    done = subprocess.run([*inst.vccctl_argv, "cert", "renew", host.cert_id, "--force", "--watch", "-o", "json"], capture_output=True, text=True, timeout=180)
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else done.stderr


def renew(inst, host):
    status, renewal = order(inst, host)
    assert status == 0, renewal
    return renewal


def check_load(load, n):
    """Nobody was refused while `n` certificates came, and the clients were there all the time."""
    print(f"{n} renewals: {load.ok} handshakes, {load.failed} failed")
    assert load.failed == 0, load.errors[:5]
    assert load.ok > n * 5 and len(load.seen) > n, "the load ran all the time and saw every certificate"


def renew_under_load(inst, host, n=RENEWALS, clients=4, each=lambda fingerprint: None):
    """n renewals, each proved on every listener, while clients that trust the root alone connect all the time. `each` is asked after each one.
    Returns (load, last receipts)."""
    proofs, listeners = [], addresses(host)
    with Load(listeners, host.names[0], clients=clients, how=host.handshake.trusting(os.path.join(inst.state, "ca.pem"))) as load:
        for _ in range(n):
            renewal = renew(inst, host)
            fingerprint = checks.served_is_issued(inst, host)
            assert renewal["new_certificate"]["fingerprint"] == fingerprint
            assert renewal["status"] == "completed" and renewal["error"] is None
            last = renewal["receipts"][-1]
            assert last["outcome"] == "settled" and last["fingerprint"] == fingerprint and last["listeners"] == len(listeners), last
            proofs.append(last)
            each(fingerprint)
    check_load(load, n)
    assert sum(p["handshakes_failed"] for p in proofs) == 0
    assert all(p["handshakes"] >= 20 * len(listeners) for p in proofs), "20 in a row on each listener"
    return load, proofs


@contextlib.contextmanager
def impatient_keeper(host, binaries, env):
    """The same keeper with fault points compiled in: its waits can be shortened. Afterwards the real one is back."""
    keeper, agent = host.processes["keeper"], host.processes["agent"]
    real = keeper.argv, keeper.env

    def exchange(argv, environment):
        agent.stop()  # its pause after a keeper that went away would be the longest part of a test
        keeper.stop()
        keeper.argv, keeper.env = argv, environment
        keeper.start()
        agent.start()

    exchange([os.path.join(binaries, "vcc-keeper"), *real[0][1:]], env)
    try:
        yield keeper
    finally:
        exchange(*real)
