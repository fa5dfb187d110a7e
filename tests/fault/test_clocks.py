"""F46-F48, T23: the host's clock is wrong by hours, days or years, jumps under running programs, or the host sleeps: it is shown, no renewal
comes of it, no key goes, the service serves, waits end in time, and all is well when the clock is right again."""
import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess
import time


import checks
import pytest
from conftest import new_folder
from installation import ROOT, Installation, wait_for, write
from rights_estate import Api

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
HOUR, DAY, YEAR = 3600000, 86400000, 365 * 86400000
PROBE_MS = 4000


class Clock:
    """The clock of one host, shared with its programs; it can be set while they run."""

    def __init__(self, path):
        self.path = path
        write(path, "\0" * 8)

    def set(self, ms):
        with open(self.path, "r+b") as f:  # in place: the programs have mapped it
            f.write(struct.pack("=q", ms))


@pytest.fixture(scope="module")
def world():
    """(installation, host, its clock)"""
    if not os.path.exists(os.path.join(FAULTS, "vcc-agent")):
        pytest.skip("make faults has not been run")
    path = new_folder("clocks")
    inst = Installation(path, {"agent.agent.reconnect_spread": "200ms"}, binaries=FAULTS)
    try:
        inst.init()
        inst.start()
        inst.edit_template("clara_service_auth", retry_interval="1s", max_renewal_attempts=50)
        host = inst.prepare_echo(0)
        clock = Clock(os.path.join(host.dir, "clock"))
        host.join()
        inst.drop_in("agent", host.config)
        host.write_target()
        host.start_agent({"VCC_CLOCK_FILE": clock.path, "VCC_TICK_MS": "300", "VCC_PROBE_MS": str(PROBE_MS)})
        inst.wait_served(host)
        yield inst, host, clock
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(autouse=True)
def right_again(world):
    """Whatever a test did: with a right clock all is as ever."""
    inst, host, clock = world
    clock.set(0)
    wait_for("the clock is right", lambda: status(inst, host)["clock"] == "right" and status(inst, host)["connected"], 30)
    wait_for("nothing is under way", lambda: not inst.certificate(host.cert_id)["open_order"], 60)
    yield
    clock.set(0)
    wait_for("the clock is right", lambda: status(inst, host)["clock"] == "right" and status(inst, host)["connected"], 30)
    wait_for("the controller knows", lambda: abs(inst.agent(host.name)["clock_skew_ms"]) < 60000, 30)
    wait_for("what waited is done", lambda: not inst.certificate(host.cert_id)["open_order"], 60)
    checks.served_is_issued(inst, host)


def status(inst, host):
    done = subprocess.run([inst.bin("vcc-agent"), "status", "--config", host.config, "-o", "json"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def answers(inst, host):
    return subprocess.run([inst.bin("vcc-agent"), "status", "--config", host.config], capture_output=True, timeout=20).returncode in (0, 7)


def status_text(inst, host):
    return subprocess.run([inst.bin("vcc-agent"), "status", "--config", host.config], capture_output=True, text=True, timeout=20).stdout


def phase(inst, host):
    return status(inst, host)["targets"][0]["phase"]


def keys(host):
    """Every private key on the host and where it is."""
    found = {}
    for folder in (os.path.join(host.dir, "keeper"), os.path.join(host.dir, "link"), os.path.realpath(f"{host.target_dir}/current")):
        for base, _, files in os.walk(folder):
            for path in (os.path.join(base, f) for f in files):
                data = open(path, "rb").read()
                if b"PRIVATE KEY" in data:
                    found[path] = hashlib.sha256(data).hexdigest()
    assert len(found) >= 3, found
    return found


def counts(inst):
    """(orders, certificates) ever made."""
    db = os.path.join(inst.state, "controller", "vcc.db")
    return checks.rows(db, "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM issuances)")[0]


def losses(host):
    return open(host.processes["agent"].log).read().count("connection lost")


def near(value, wanted):
    return abs(value - wanted) < 60000


ROWS = [(-HOUR, "controller"), (HOUR, "controller"), (-DAY, "controller"), (DAY, "controller"), (-2 * DAY, "wrong"), (3 * YEAR, "wrong")]
if os.environ.get("VCC_LONG") == "1":
    ROWS += [(-3 * YEAR, "wrong"), (10 * YEAR, "wrong")]


@pytest.mark.parametrize("offset,judged", ROWS, ids=[f"{o // HOUR:+d}h" for o, _ in ROWS])
def test_a_clock_that_jumps_to_a_wrong_time(world, offset, judged):
    inst, host, clock = world
    before, kept, made, lost = checks.served_is_issued(inst, host), keys(host), counts(inst), losses(host)
    clock.set(offset)
    wait_for("the host says it", lambda: near(status(inst, host)["skew_ms"], offset), 20)
    assert status(inst, host)["clock"] == judged
    assert ("the clock is off" in status_text(inst, host)) and ("VCC-2014" in status_text(inst, host)) == (judged == "wrong")
    wait_for("the controller shows it", lambda: near(inst.agent(host.name)["clock_skew_ms"], offset), 30)
    time.sleep(1.5)
    assert counts(inst) == made, "a jump makes no renewal"
    assert keys(host) == kept
    assert losses(host) == lost and status(inst, host)["connected"]
    assert checks.served_is_issued(inst, host) == before

    # an order: within a day the controller's time decides, beyond it a person
    renewal = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    if judged == "wrong":
        wait_for("it is refused with its code", lambda: status(inst, host)["targets"][0].get("last_code") == "VCC-2014", 30)
        assert checks.matching_set(host.target_dir) == before == host.handshake("127.0.0.1", host.port, host.names[0])
        assert "allow-wrong-clock" in subprocess.run([*inst.vccctl_argv, "explain", "VCC-2014"], capture_output=True, text=True).stdout
        assert inst.renewal(renewal)["status"] in ("in_progress", "pending")
    else:
        inst.wait_renewed(host, before)
        assert inst.renewal(renewal)["status"] == "completed"
        checks.served_is_issued(inst, host)


def test_a_person_lets_swaps_go_on(world):
    """More than a day off, and the clock cannot be mended now: a file on the host lets the controller's time count, until the clock is right."""
    inst, host, clock = world
    flag = os.path.join(host.dir, "keeper", "allow-wrong-clock")
    before = checks.served_is_issued(inst, host)
    clock.set(-3 * YEAR)
    wait_for("it is wrong", lambda: status(inst, host)["clock"] == "wrong", 20)
    inst.vccctl("cert", "renew", host.cert_id, "--force")
    wait_for("refused", lambda: status(inst, host)["targets"][0].get("last_code") == "VCC-2014", 30)
    write(flag, "")
    wait_for("allowed", lambda: status(inst, host)["clock"] == "allowed", 10)
    inst.wait_renewed(host, before)
    assert "allow-wrong-clock" in status_text(inst, host)
    checks.served_is_issued(inst, host)
    clock.set(0)
    wait_for("the flag falls with its cause", lambda: not os.path.exists(flag), 20)


@pytest.mark.parametrize("offset", [-2 * DAY, 3 * YEAR])
def test_a_jump_during_a_wait_makes_it_neither_longer_nor_shorter(world, offset):
    """F47: the service is down, the swap waits for its proof. The wait ends when it should, by the clock that nobody sets."""
    inst, host, clock = world
    host.processes["echo"].stop()
    try:
        inst.vccctl("cert", "renew", host.cert_id, "--force")
        wait_for("it waits for a proof", lambda: phase(inst, host) == "probe", 30, 0.02)
        begun = time.monotonic()
        clock.set(offset)
        time.sleep(PROBE_MS / 4000)
        assert phase(inst, host) == "probe", "it did not end at the jump"
        wait_for("the wait ends", lambda: phase(inst, host) == "heal", 40, 0.05)
        assert time.monotonic() - begun > PROBE_MS / 2000
        clock.set(0)
        time.sleep(0.5)
        assert phase(inst, host) == "heal"
    finally:
        host.processes["echo"].start()
    wait_for("healed", lambda: phase(inst, host) == "done", 60)


def test_a_jump_in_the_middle_of_a_swap(world):
    """There and back between certificate and proof: one swap, no way back."""
    inst, host, clock = world
    keeper = host.processes["keeper"]
    plain = dict(keeper.env)
    for point in ("keeper.write", "keeper.flip", "keeper.reload"):
        before = checks.served_is_issued(inst, host)
        keeper.stop()
        keeper.env = {**plain, "VCC_FAILPOINT": f"{point}@1=delay:1200"}
        keeper.start()
        wait_for("the keeper answers", lambda: answers(inst, host), 30)
        wait_for("connected", lambda: status(inst, host)["connected"], 30)
        renewal = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
        time.sleep(0.5)
        clock.set(10 * YEAR)
        time.sleep(0.3)
        clock.set(-3 * YEAR)
        time.sleep(0.2)
        clock.set(0)
        inst.wait_renewed(host, before)
        plain_id = renewal.replace("-", "")
        db = os.path.join(inst.state, "controller", "vcc.db")
        assert checks.rows(db, "SELECT phase, attempt, failures FROM orders WHERE lower(hex(renewal_id)) = ?", plain_id) == [("completed", 1, 0)]
        checks.served_is_issued(inst, host)
    keeper.stop()
    keeper.env = plain
    keeper.start()
    wait_for("the keeper answers", lambda: answers(inst, host), 30)


def test_a_host_that_slept(world):
    """F48: the programs stand still and find the clock three days ahead: one order is done once, and nothing is done three days' worth of times."""
    inst, host, clock = world
    before, made, lost = checks.served_is_issued(inst, host), counts(inst), losses(host)
    generation = os.readlink(f"{host.target_dir}/current")
    sleepers = [host.processes[name] for name in ("keeper", "agent", "hook")]
    for p in sleepers:
        p.kill(signal.SIGSTOP, wait=False)
    renewal = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    time.sleep(4)
    clock.set(3 * DAY)
    said = len(open(host.processes["keeper"].log).read())
    for p in sleepers:
        p.kill(signal.SIGCONT, wait=False)
    wait_for("the jump is seen", lambda: near(status(inst, host)["skew_ms"], 3 * DAY), 30)
    clock.set(0)  # as a time service sets it
    inst.wait_renewed(host, before)
    assert inst.renewal(renewal)["status"] == "completed"
    new = os.readlink(f"{host.target_dir}/current")
    told = open(host.processes["keeper"].log).read()[said:]
    rehearsed = told.count("rehearsal: rest -> write")  # each takes a number and leaves nothing
    assert counts(inst)[0] == made[0] + 1 and int(new[1:]) - int(generation[1:]) <= 3 + rehearsed and new != generation and rehearsed <= 3
    assert losses(host) <= lost + 1
    assert len(told.splitlines()) < 100
    checks.served_is_issued(inst, host)


def test_another_monotonic_clock_after_a_restart(world):
    """Killed in the middle of a swap and started where the monotonic clock stands three days further, as after a reboot it stands lower: what the
    journal holds is finished at once."""
    inst, host, _ = world
    keeper = host.processes["keeper"]
    plain_argv, plain_env = list(keeper.argv), dict(keeper.env)
    before = checks.served_is_issued(inst, host)
    keeper.stop()
    keeper.env = {**plain_env, "VCC_FAILPOINT": "keeper.flip.done@1=kill"}
    keeper.start()
    wait_for("the keeper answers", lambda: answers(inst, host), 30)
    wait_for("connected", lambda: status(inst, host)["connected"], 30)
    renewal = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    wait_for("killed", lambda: not keeper.running(), 30)
    keeper.env = plain_env
    keeper.argv = ["unshare", "-T", "--monotonic", "259200", "--boottime", "259200", "--fork", "--kill-child", *plain_argv]
    keeper.start()
    try:
        inst.wait_renewed(host, before)
        assert inst.renewal(renewal)["status"] == "completed" and status(inst, host)["clock"] == "right"
    finally:
        keeper.kill()  # and with it goes its child
        keeper.argv = plain_argv
        time.sleep(0.3)
        keeper.start()
    wait_for("the keeper answers", lambda: answers(inst, host), 30)


# ---- F70 ----

def test_a_new_ca_where_the_clock_is_behind(world):
    """A CA that was made a moment ago begins an hour before: where the clock is half an hour behind it is valid at once. The host is shown with its
    clock."""
    inst, host, clock = world
    before, behind = checks.served_is_issued(inst, host), HOUR // 2
    clock.set(-behind)
    wait_for("the controller shows it", lambda: near(inst.agent(host.name)["clock_skew_ms"], -behind), 30)
    assert [a["name"] for a in inst.get("agents")["items"] if near(a["clock_skew_ms"], -behind)] == [host.name]
    admin, approver = (Api(inst, open(os.path.join(inst.state, f"{who}.token")).read().strip()) for who in ("admin", "approver"))
    status_, asked = admin("POST", "/api/v1/ca/service-1/rollover", {"reason": "a test"})
    assert status_ == 202, asked
    approval = asked["approval"]
    assert approver("POST", f"/api/v1/approvals/{approval['approval_id']}/approve", {"hash": approval["hash"]})[0] == 200
    wait_for("the successor stands by", lambda: inst.get("ca/service-1/rollover")["phase"] == "trust")
    assert admin("POST", "/api/v1/ca/service-1/rollover/advance", {"reason": "go"})[0] == 200
    inst.wait_renewed(host, before)
    current = os.path.join(host.target_dir, "current")
    new, = checks.openssl("x509", "-in", f"{current}/chain.pem", "-noout", "-subject").decode().splitlines()
    assert "Service CA 2" in new, new
    checks.openssl("verify", "-attime", str(int(time.time() - behind / 1000)), "-CAfile", f"{current}/ca.pem", f"{current}/chain.pem")
