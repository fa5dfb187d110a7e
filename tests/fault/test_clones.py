"""Two hosts with one identity, made by really copying the folders of a running one: is it seen, who stays, what happens to the other, and is
anything lost or broken on either side?"""
import json
import os
import shutil
import subprocess
import time


import checks
import pytest
from conftest import new_folder
from installation import ROOT, Failed, Host, Installation, wait_for, write

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
PROGRAMS = ("keeper", "agent")


@pytest.fixture(scope="module")
def inst():
    if not os.path.exists(os.path.join(FAULTS, "vcc-agent")):
        pytest.skip("make faults has not been run")
    path = new_folder("clones")
    inst = Installation(path, {"agent.agent.reconnect_spread": "300ms"}, binaries=FAULTS)
    try:
        inst.init()
        inst.start()
        inst.edit_template("clara_service_auth", retry_interval="1s", max_renewal_attempts=10)
        yield inst
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def new_host(inst, n):
    host = inst.prepare_host(f"twin{n:02d}", "clara", "clara_service_auth", "echo", [f"twin{n:02d}.clara.{inst.domain}"])
    host.enrol()
    inst.wait_served(host)
    return host


def all_but(host, *names):
    """For copytree: these of the host's folders stay out (the keeper has a file `run` of its own)."""
    return lambda folder, _: names if folder == host.dir else ()


def copy_of(inst, host, name):
    """Another machine with everything that is on this one, as it is at this moment; its service listens at its own address."""
    twin = Host(inst, host.name, host.service, host.template, host.kind, host.names)
    twin.dir = os.path.join(inst.dir, "hosts", name)
    twin.config = os.path.join(twin.dir, "agent.conf")
    twin.target_dir = os.path.join(twin.dir, "service", "tls")
    shutil.copytree(host.dir, twin.dir, symlinks=True, ignore=all_but(host, "run", "log"))
    for base, _, files in os.walk(twin.dir):
        for path in (os.path.join(base, f) for f in files if f.endswith(".conf")):
            with open(path) as f:
                text = f.read().replace(host.dir + "/", twin.dir + "/").replace(host.address, twin.address)
            write(path, text)
    inst.hosts.append(twin)
    twin.start_service()
    return twin


def stop(host, *names):
    for name in names or ("agent", "keeper", "hook"):
        host.processes[name].stop()


def start(host, *names):
    for name in names or PROGRAMS:
        host.processes[name].start()


def shown(inst, host):
    return inst.agent(host.name)


def status(inst, host):
    done = subprocess.run([inst.bin("vcc-agent"), "status", "--config", host.config, "-o", "json"], capture_output=True, text=True, timeout=20)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def wait_in(inst, host, seconds=60):
    wait_for("this one is in", lambda: status(inst, host).get("connected"), seconds)


def wait_out(inst, host, code="VCC-3233", seconds=60):
    wait_for(f"this one is out with {code}", lambda: status(inst, host).get("link_code") == code, seconds)


def renew(inst, host):
    before = checks.fingerprint_of(f"{host.target_dir}/current/cert.pem")
    inst.vccctl("cert", "renew", host.cert_id, "--force")
    inst.wait_renewed(host, before)
    return checks.served_is_issued(inst, host)


def release(inst, host):
    """Also after a kill, when nobody knows whether it was stored."""
    try:
        inst.vccctl("agent", "release", host.name)
    except Failed:
        pass


def losses(host):
    return open(host.processes["agent"].log).read().count("connection lost")


def db(inst):
    return os.path.join(inst.state, "controller", "vcc.db")


def receipts(inst, host):
    """(number of receipts of this host key, highest number)"""
    return checks.rows(db(inst), "SELECT count(*), max(seq) FROM receipts WHERE agent = ?", host.name)[0]


def audited(inst, host):
    rows = checks.rows(db(inst), "SELECT detail FROM audit WHERE event = 'agent_connected_twice' AND object = ?", host.name)
    return [json.loads(r[0])["copy"] for r in rows]


def test_a_copied_host_is_seen_and_stays_out(inst):
    """F34: the first one stays and works, the copy is refused with a stable code, until a person decides."""
    host = new_host(inst, 1)
    assert shown(inst, host)["copy"] is None
    twin = copy_of(inst, host, "twin01-copy")
    old = checks.matching_set(twin.target_dir)
    twin.start_agent()
    proved = wait_for("two hosts are seen", lambda: (a := shown(inst, host))["copy"] == "proved" and a, 60)
    assert proved["copy_since"] and audited(inst, host) == ["proved"]
    assert [a["copy"] for a in inst.vccctl("agent", "list") if a["name"] == host.name] == ["proved"]
    table = subprocess.run([*inst.vccctl_argv, "agent", "show", host.name], capture_output=True, text=True).stdout
    assert "proved" in table, table
    log = open(inst.processes["controller"].log).read()
    assert "<3>" in log and f"two hosts have the identity of {host.name}" in log
    wait_out(inst, twin)
    wait_in(inst, host)
    told = status(inst, twin)
    assert not told["connected"] and "there first" in told["link_error"]
    wait_for("where the copy is", lambda: shown(inst, host)["copy_address"], 30)

    # the first one works as ever, the copy's service keeps what it has
    quiet = losses(host)
    new = renew(inst, host)
    assert checks.matching_set(twin.target_dir) == old and twin.handshake("127.0.0.1", twin.port, twin.names[0]) == old
    # the copy asks again, also as another run of its keeper: nobody is disturbed
    for names in (("agent",), PROGRAMS, ("agent",)):
        stop(twin, *reversed(names))
        start(twin, *names)
        wait_out(inst, twin)
    assert losses(host) == quiet and shown(inst, host)["connected"]
    assert open(inst.processes["controller"].log).read().count("VCC-3233") < 10, "it asks now and then"
    # the controller starts again: it still knows
    inst.processes["controller"].kill()
    inst.processes["controller"].start()
    wait_for("ready", inst.ready)
    stop(twin, "agent")
    start(twin, "agent")
    wait_out(inst, twin)
    wait_for("the first one is in", lambda: shown(inst, host)["connected"], 30)
    assert checks.served_is_issued(inst, host) == new and audited(inst, host) == ["proved"]

    # a person ends the copy and says so; a later run of the host is let in again
    stop(twin)
    assert inst.vccctl("agent", "release", host.name)["copy"] is None
    with pytest.raises(Failed, match="VCC-1007"):
        inst.vccctl("agent", "release", host.name)
    stop(host, "agent", "keeper")
    start(host)
    wait_in(inst, host)
    renew(inst, host)
    after = shown(inst, host)
    assert after["copy"] is None and after["copy_since"] is None and after["copy_address"] is None
    # and a copy that is not gone after all is seen again
    start(twin)
    wait_for("two hosts are seen again", lambda: shown(inst, host)["copy"] == "proved", 60)
    wait_out(inst, twin)
    wait_in(inst, host)

    # or a person evicts, and the real host joins anew with a new host key: the copy's key is nobody's any more
    inst.vccctl("agent", "evict", host.name)
    wait_out(inst, host, "VCC-3206")
    stop(host, "agent", "keeper")
    for name in ("link", "keeper"):
        shutil.rmtree(os.path.join(host.dir, name))
    host.join()
    start(host)
    wait_in(inst, host)
    stop(twin, "agent")
    start(twin, "agent")
    wait_out(inst, twin, "VCC-3301")
    inst.wait_served(host)
    renew(inst, host)
    assert shown(inst, host)["copy"] is None
    stop(twin)


def test_receipts_of_two_hosts_with_one_sequence(inst):
    """The host is cut off with results in hand while its copy works on: the numbers collide, and no result of either is lost."""
    host = new_host(inst, 2)
    twin = copy_of(inst, host, "twin02-copy")
    count, top = receipts(inst, host)
    assert count == top
    keeper = host.processes["keeper"]
    stop(host, "keeper")
    keeper.env = {"VCC_FAILPOINT": "keeper.write=delay:2000"}  # certificate in hand, nothing written yet
    start(host, "keeper")
    wait_in(inst, host)
    before = checks.fingerprint_of(f"{host.target_dir}/current/cert.pem")
    renewal = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    wait_for("the certificate is on the host", lambda: inst.renewal(renewal)["phase"] in ("issued", "delivered"), 20, 0.02)
    time.sleep(0.2)
    stop(host, "agent")
    wait_for("it is swapped", lambda: checks.fingerprint_of(f"{host.target_dir}/current/cert.pem") != before, 30)
    wait_for("its results wait", lambda: status(inst, host)["receipts_waiting"] >= 2, 30)
    keeper.env = None
    # the copy goes on in its place: it has no key for that certificate, and does the order in an attempt of its own
    twin.start_agent()
    wait_in(inst, twin)
    wait_for("the order is done by the copy", lambda: inst.renewal(renewal)["status"] == "completed", 60)
    mine = receipts(inst, host)
    assert mine[0] == mine[1] >= top + 3
    # the host comes back with receipts whose numbers are taken
    start(host, "agent")
    wait_for("two hosts are seen", lambda: shown(inst, host)["copy"] == "proved", 60)
    wait_in(inst, host)
    wait_out(inst, twin)
    wait_for("its results are delivered", lambda: status(inst, host)["receipts_waiting"] == 0, 60)
    now = receipts(inst, host)
    assert now[0] == now[1] >= mine[1] + 2, "stored one after the other, none over another"
    assert open(keeper.log).read().count("another one of this host key has its number") >= 2
    assert inst.renewal(renewal)["status"] == "completed"
    # what is next goes to the one that stays, in sequence
    new = renew(inst, host)
    last = receipts(inst, host)
    assert last[0] == last[1] >= now[1] + 2
    assert checks.matching_set(twin.target_dir)

    # what is known of the two is known after a kill at any point of telling it
    for point in ("controller.release", "controller.release_stored", "controller.run", "controller.run_stored"):
        stop(twin, "agent", "keeper")
        controller = inst.processes["controller"]
        controller.stop()
        controller.env = {"VCC_FAILPOINT": f"{point}@1=kill"}
        controller.start()
        wait_for("ready", inst.ready)
        wait_for("the first one is in", lambda: shown(inst, host)["connected"], 30)
        release(inst, host)
        start(twin)
        wait_for(f"killed at {point}", lambda: not controller.running(), 60)
        controller.env = None
        controller.start()
        wait_for("ready", inst.ready)
        if point.startswith("controller.release"):
            release(inst, host)
            stop(twin, "agent")  # it may have been refused meanwhile, and would ask again in some minutes
            start(twin, "agent")
        wait_for("two hosts are seen", lambda: shown(inst, host)["copy"] == "proved", 60)
        wait_in(inst, host)
        wait_out(inst, twin)
    assert checks.served_is_issued(inst, host) == new


def test_a_host_restored_from_a_snapshot_is_only_suspected(inst):
    """There is but one host, of which time went back: told to people, served all the same, with numbers that go on."""
    host = new_host(inst, 3)
    stop(host, "agent", "keeper")
    snapshot = os.path.join(inst.dir, "snapshot")
    shutil.copytree(host.dir, snapshot, symlinks=True, ignore=all_but(host, "run", "log", "service"))
    start(host)
    wait_in(inst, host)
    for _ in range(2):
        renew(inst, host)
    stop(host, "agent", "keeper")
    start(host)
    wait_in(inst, host)
    count = receipts(inst, host)
    stop(host, "agent", "keeper")
    for name in ("link", "keeper"):
        shutil.rmtree(os.path.join(host.dir, name))
        shutil.copytree(os.path.join(snapshot, name), os.path.join(host.dir, name), symlinks=True)
    start(host)
    wait_in(inst, host)
    wait_for("it is suspected", lambda: shown(inst, host)["copy"] == "suspected", 30)
    assert audited(inst, host) == ["suspected"]
    renew(inst, host)
    now = receipts(inst, host)
    assert now[0] == now[1] > count[1]
    stop(host, "agent", "keeper")
    start(host)
    wait_in(inst, host)
    assert audited(inst, host) == ["suspected"], "told once"
    assert inst.vccctl("agent", "release", host.name)["copy"] is None
