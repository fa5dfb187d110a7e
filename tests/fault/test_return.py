"""Does a host whose identity ended during an outage come back by itself, after whatever happened on its way, and does nobody else?"""
import datetime
import json
import os
import shutil
import subprocess
import time

import checks
import pytest
from conftest import new_folder
from cryptography import x509
from installation import ROOT, Failed, Installation, Process, free_port, run, wait_for, write
from proxy import Proxy

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
LONG = os.environ.get("VCC_LONG") == "1"
YEAR_MS = 365 * 86400000
BACK = 60  # seconds after its return


@pytest.fixture(scope="module")
def world():
    if not os.path.exists(os.path.join(FAULTS, "vcc-agent")):
        pytest.skip("make faults has not been run")
    path = new_folder("return")
    inst = Installation(path, {"controller.identity.agent": "10s"}, binaries=FAULTS)
    try:
        inst.init()
        inst.start()
        host = inst.add_echo(0)
        inst.wait_served(host)
        yield inst, host
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def identity_path(host):
    return os.path.join(host.dir, "link", "identity.pem")


def not_after(host):
    pem = open(identity_path(host), "rb").read()
    leaf = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERTIFICATE"):])
    return leaf.not_valid_after.replace(tzinfo=datetime.timezone.utc).timestamp()


def wait_ended(*hosts):
    wait_for("the identities have ended", lambda: all(time.time() > not_after(h) + 0.2 for h in hosts), 60, 0.1)


def connected(inst, host):
    try:
        return inst.agent(host.name)["connected"]
    except Failed:
        return False


def status(inst, host):
    done = subprocess.run([inst.bin("vcc-agent"), "status", "--config", host.config, "-o", "json"], capture_output=True, text=True, timeout=20)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def log_of(process):
    return open(process.log, errors="replace").read()


def identities(inst, host):
    db = inst.facts()["controller"]["db"]
    return checks.rows(db, "SELECT count(*) FROM issuances WHERE owner = 'agent' AND owner_id = ? AND state <> 'void'", host.name)[0][0]


def returns(inst, host):
    db = inst.facts()["controller"]["db"]
    return checks.rows(db, "SELECT count(*) FROM audit WHERE event = 'agent_returned' AND object = ?", host.name)[0][0]


def restart(process, env=None):
    process.stop()
    process.env = env
    process.start()


class Lone:
    """A host that only joins: link and keeper without a service. Cheap enough to have one for each fault."""

    def __init__(self, inst, name):
        self.inst, self.name = inst, name
        self.dir = os.path.join(inst.dir, "lone", name)
        self.config = os.path.join(self.dir, "agent.conf")
        self.processes = {}
        self.join()

    def join(self):
        invite = self.inst.vccctl("agent", "invite", self.name, "--service", "clara", "--names", f"{self.name}.clara.{self.inst.domain}")
        token = os.path.join(self.inst.dir, "tokens", self.name)
        write(token, invite["token"] + "\n", 0o600)
        os.chmod(os.path.dirname(token), 0o755)
        run([self.inst.bin("vcc-agent"), "join", invite["join_address"], "--pin", invite["pin"], "--state-dir", self.dir, "--token-file", token])
        write(f"{self.config}.d/50.conf", "[agent]\nreconnect_spread = 50ms\n")

    def leave_folders(self):
        for name in ("link", "keeper"):
            shutil.rmtree(os.path.join(self.dir, name))

    def start(self, **env):
        """env: of one program, agent={...}."""
        for name in ("keeper", "agent"):
            log = os.path.join(self.dir, f"{name}.log")
            p = Process(f"{self.name}/{name}", [self.inst.bin(f"vcc-{name}"), "--config", self.config], log, env.get(name))
            self.processes[name] = p.start()
        return self

    def stop(self):
        for name in ("agent", "keeper"):
            if name in self.processes:
                self.processes[name].stop()


POINTS = [("agent", p) for p in ("link.return.begin", "link.return.challenge", "link.return.signed", "link.return.reply", "link.identity",
                                 "link.identity.done", "link.return.saved")]
POINTS += [("keeper", p) for p in ("keeper.return.sign", "keeper.return.trust")]
POINTS += [("controller", p) for p in ("controller.return", "controller.return_stored", "controller.identity_issued", "controller.identity_issued_stored")]
SICK = [("agent", "link.return.challenge=err:EIO"), ("agent", "link.return.saved=err:EIO"), ("agent", "link.return.reply@1=err:EIO"),
        ("keeper", "keeper.return.sign@1=err:EIO"), ("agent", "file_write@2=err:ENOSPC")]


@pytest.fixture(scope="module")
def lone(world):
    """One host for each fault, joined at once: their identities end together."""
    inst, _ = world
    names = [f"k{i:02d}" for i in range(len(POINTS) + len(SICK) + 7)]
    hosts = [Lone(inst, name) for name in names]
    yield hosts
    for host in hosts:
        host.stop()


def test_back_by_itself_with_its_work(world):
    """Off for longer than its identity lives, with an order that waits: back within a minute, without a hand or an approval."""
    inst, host = world
    before, seen = checks.served_is_issued(inst, host), returns(inst, host)
    for name in ("agent", "keeper"):
        host.processes[name].stop()
    renewal = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    wait_ended(host)
    for name in ("keeper", "agent"):
        host.processes[name].start()
    begun = time.monotonic()
    wait_for("connected", lambda: connected(inst, host), BACK)
    inst.wait_renewed(host, before)
    assert time.monotonic() - begun < BACK
    assert inst.renewal(renewal)["status"] == "completed"
    assert returns(inst, host) == seen + 1
    assert checks.served_is_issued(inst, host) != before


def test_everybody_else_was_away(world):
    """Gateway and controller stop in the middle of a swap and stay away for longer than the identity lives; the gateway comes back with
    another certificate. The swap ends, the service serves, the result waits and is delivered, nothing is done twice."""
    inst, host = world
    wait_for("connected", lambda: connected(inst, host), BACK)
    before = checks.served_is_issued(inst, host)
    restart(host.processes["keeper"], {"VCC_FAILPOINT": "keeper.write=delay:1500"})  # certificate in hand, nothing written yet
    wait_for("connected", lambda: connected(inst, host), BACK)
    renewal = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    wait_for("the certificate is on the host", lambda: inst.renewal(renewal)["phase"] in ("issued", "delivered"), 20, 0.02)
    time.sleep(0.2)
    for name in ("gateway", "controller"):
        inst.processes[name].kill()
    with open(os.path.join(host.target_dir, "current", "cert.pem")) as f:
        assert f.read() and checks.fingerprint_of(f"{host.target_dir}/current/cert.pem") == before
    wait_for("the swap ends without anybody", lambda: checks.fingerprint_of(f"{host.target_dir}/current/cert.pem") != before, 30)
    new = checks.matching_set(host.target_dir)
    waiting = wait_for("the receipts wait", lambda: status(inst, host).get("receipts_waiting"), 30)
    assert 1 <= waiting <= 3
    wait_ended(host)
    assert host.handshake("127.0.0.1", host.port, host.names[0]) == new
    told = wait_for("it is told", lambda: status(inst, host).get("link_code"), 30)
    assert told in ("VCC-2302", "VCC-2310"), told
    seen = returns(inst, host)
    own = [os.path.join(inst.state, "gateway", name) for name in os.listdir(os.path.join(inst.state, "gateway"))]
    assert own, "the gateway keeps its key and certificate somewhere"
    for path in own:
        os.unlink(path)
    for name in ("controller", "gateway"):
        inst.processes[name].start()
    wait_for("the controller is ready", inst.ready)
    begun = time.monotonic()
    wait_for("connected", lambda: connected(inst, host), BACK)
    wait_for("the order is completed", lambda: inst.renewal(renewal)["status"] == "completed", BACK)
    assert time.monotonic() - begun < BACK and returns(inst, host) > seen
    plain = renewal.replace("-", "")
    db = inst.facts()["controller"]["db"]
    assert checks.rows(db, "SELECT phase, attempt, failures FROM orders WHERE lower(hex(renewal_id)) = ?", plain) == [("completed", 1, 0)]
    assert checks.rows(db, "SELECT count(*) FROM issuances WHERE lower(hex(renewal_id)) = ? AND state <> 'void'", plain) == [(1,)]
    assert checks.served_is_issued(inst, host) == new
    restart(host.processes["keeper"])


def test_with_a_clock_that_is_years_off(world, lone):
    """Nothing of a return depends on the host's clock; it is only shown."""
    inst, _ = world
    offsets = {lone[0]: 3 * YEAR_MS, lone[1]: -3 * YEAR_MS}
    wait_ended(*offsets)
    for host, offset in offsets.items():
        env = {"VCC_CLOCK_OFFSET_MS": str(offset)}
        host.start(agent=env, keeper=env)
    for host, offset in offsets.items():
        wait_for("connected", lambda h=host: connected(inst, h), BACK)
        skew = wait_for("the skew is shown", lambda h=host: inst.agent(h.name)["clock_skew_ms"], 20)
        assert abs(skew - offset) < 60000, skew
        assert abs(status(inst, host)["skew_ms"] - offset) < 60000
    time.sleep(2)
    for host in offsets:
        assert identities(inst, host) <= 3, "one at joining, one at the return, at most one renewal"
        host.stop()


def test_a_folder_that_knows_no_join_port(world, lone):
    """What an older program wrote still loads: the host says what is missing, and a setting is enough."""
    inst, _ = world
    host = lone[2]
    path = os.path.join(host.dir, "link", "joined")
    lines = [line for line in open(path) if not line.startswith("join =")]
    write(path, "".join(lines))
    wait_ended(host)
    host.start()
    wait_for("it is told", lambda: status(inst, host).get("link_code") == "VCC-2311", 30)
    assert "agent.join" in status(inst, host)["link_error"]
    write(f"{host.config}.d/60.conf", f"[agent]\njoin = {inst.join_address}\n")
    restart(host.processes["agent"])
    wait_for("connected", lambda: connected(inst, host), BACK)
    host.stop()


@pytest.mark.parametrize("n", range(len(POINTS)), ids=[p for _, p in POINTS])
def test_killed_at_any_point(world, lone, n):
    """SIGKILL, started again as systemd would: it comes back, with one identity that works."""
    inst, other = world
    who, point = POINTS[n]
    host = lone[7 + n]
    wait_ended(host)
    process = inst.processes["controller"] if who == "controller" else None
    env = {"VCC_FAILPOINT": f"{point}@1=kill"}
    if process:
        other.processes["agent"].stop()  # its identity is renewed every few seconds, by way of the same points
        restart(process, env)
        wait_for("the controller is ready", inst.ready)
        host.start()
    else:
        host.start(**{who: env})
        process = host.processes[who]
    wait_for(f"killed at {point}", lambda: not process.running(), 30)
    process.env = None
    process.start()
    begun = time.monotonic()
    wait_for("connected", lambda: connected(inst, host), BACK)
    assert time.monotonic() - begun < BACK
    text = open(identity_path(host)).read()
    assert text.count("PRIVATE KEY") == 2 and text.count("BEGIN CERTIFICATE") == 2
    assert identities(inst, host) <= 4
    host.stop()
    if who == "controller":
        other.processes["agent"].start()


@pytest.mark.parametrize("n", range(len(SICK)), ids=[f for _, f in SICK])
def test_a_failure_is_tried_again(world, lone, n):
    """What fails once is done once more; what fails for ever is said with its code, and no program ends or spins."""
    inst, _ = world
    who, fault = SICK[n]
    host = lone[7 + len(POINTS) + n]
    wait_ended(host)
    host.start(**{who: {"VCC_FAILPOINT": fault}})
    if "@" in fault:
        wait_for("connected", lambda: connected(inst, host), BACK)
    else:
        wait_for("it is told", lambda: status(inst, host).get("link_code", "").startswith("VCC-"), 30)
        time.sleep(2)
        assert not connected(inst, host) and host.processes["agent"].running() and host.processes["keeper"].running()
        assert log_of(host.processes["agent"]).count("its host key asks") < 30, "it waits longer each time"
        restart(host.processes[who])
        wait_for("connected", lambda: connected(inst, host), BACK)
    host.stop()


def test_cut_after_any_byte(world, lone):
    """The join port's answers are cut, stalled, swallowed: it tries again until one is whole."""
    inst, _ = world
    host = lone[3]
    wait_ended(host)
    proxy = Proxy(inst.join_address)
    try:
        write(f"{host.config}.d/60.conf", f"[agent]\njoin = {proxy.address}\n")
        proxy.cut_after = 700
        host.start()
        for k in (1500, 2600, 3500, 4300):
            wait_for("another try", lambda n=proxy.connections: proxy.connections > n, 40, 0.02)
            proxy.cut_after = k
        assert not connected(inst, host)
        proxy.cut_after = None
        wait_for("connected", lambda: connected(inst, host), BACK)
    finally:
        proxy.close()
        host.stop()


def test_a_wrong_server_is_told_nothing(world, lone):
    """Somebody else answers at the join port's address: nothing is sent, no trust changes, and the right one heals it."""
    inst, _ = world
    host = lone[4]
    wait_ended(host)
    folder = os.path.join(inst.dir, "stranger")
    os.makedirs(folder, exist_ok=True)
    key, cert, port = f"{folder}/key.pem", f"{folder}/cert.pem", free_port()
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=stranger", "-keyout", key, "-out", cert])
    out = open(f"{folder}/out", "wb")
    server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", cert, "-key", key], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    root = open(os.path.join(host.dir, "link", "root.der"), "rb").read()
    try:
        write(f"{host.config}.d/60.conf", f"[agent]\njoin = 127.0.0.1:{port}\n")
        host.start()
        wait_for("it is told", lambda: "no return at" in log_of(host.processes["agent"]), 40)
        assert not connected(inst, host)
        assert b"POST" not in open(f"{folder}/out", "rb").read()
        assert open(os.path.join(host.dir, "link", "root.der"), "rb").read() == root
    finally:
        server.kill()
        server.wait()
        out.close()
    os.unlink(f"{host.config}.d/60.conf")
    restart(host.processes["agent"])
    wait_for("connected", lambda: connected(inst, host), BACK)
    host.stop()


def test_evicted_stays_out_until_it_is_invited(world, lone):
    """F35: evicted while away. Its host key is known and no longer welcome; an invite brings it back."""
    inst, _ = world
    host = lone[5]
    inst.vccctl("agent", "evict", host.name)
    wait_ended(host)
    before = identities(inst, host)
    host.start()
    wait_for("it is told", lambda: status(inst, host).get("link_code") == "VCC-3206", 30)
    told = status(inst, host)
    assert not told["connected"] and "evicted" in told["link_error"]
    time.sleep(1)
    assert log_of(host.processes["agent"]).count("its host key asks") == 1, "it asks once an hour, not again and again"
    assert identities(inst, host) == before and not connected(inst, host)
    host.stop()
    host.leave_folders()
    host.join()
    host.start()
    wait_for("connected", lambda: connected(inst, host), BACK)
    host.stop()
    if LONG:
        wait_ended(host)
        host.start()
        wait_for("and it returns like any other", lambda: connected(inst, host), BACK)
        host.stop()


def test_banned_is_final(world, lone):
    """F35: banned while away. It is told once, stops asking, and asks once more only when somebody starts it again."""
    inst, _ = world
    host = lone[6]
    inst.vccctl("agent", "ban", host.name)
    wait_ended(host)
    before = identities(inst, host)
    host.start()
    for starts in (1, 2):
        wait_for("it is told", lambda: status(inst, host).get("link_code") == "VCC-3207", 30)
        assert "does not ask again" in status(inst, host)["link_error"]
        time.sleep(1)
        assert log_of(host.processes["agent"]).count("its host key asks") == starts
        restart(host.processes["agent"])
    with pytest.raises(Failed, match="VCC-320[37]"):
        inst.vccctl("agent", "invite", host.name, "--service", "clara")
    assert identities(inst, host) == before and not connected(inst, host)
    host.stop()
