"""What happens to orders and connections when the network between agent and gateway cuts, stalls, swallows or repeats?
Cuts after byte k are in test_link_cuts.py."""
import json
import os
import shutil
import subprocess
import time

import checks
import pytest
from conftest import new_folder
from fake_ca import Authorities, spki_hash
from installation import Failed, Installation, wait_for, write
from proxy import Proxy

LONG = os.environ.get("VCC_LONG") == "1"


@pytest.fixture(scope="module")
def world():
    """(installation, host behind the proxy, undisturbed host, proxy)"""
    path = new_folder("link")
    inst = Installation(path)
    proxy = None
    try:
        inst.init()
        inst.start()
        proxy = Proxy(inst.agents_address)
        behind, beside = inst.prepare_echo(0), inst.prepare_echo(1)
        behind.enrol({"agent.agent.controller": proxy.address, "agent.agent.reconnect_spread": "100ms"})
        beside.enrol()
        for host in (behind, beside):
            inst.wait_served(host)
        yield inst, behind, beside, proxy
    finally:
        inst.stop()
        if proxy:
            proxy.close()
        shutil.rmtree(path, ignore_errors=True)


def connected(inst, host):
    return inst.agent(host.name)["connected"]


def status(inst, host):
    """What `vcc-agent status` says on the host."""
    done = subprocess.run([inst.bin("vcc-agent"), "status", "--config", host.config, "-o", "json"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def status_text(inst, host):
    return subprocess.run([inst.bin("vcc-agent"), "status", "--config", host.config], capture_output=True, text=True, timeout=20).stdout


def heal(proxy):
    proxy.cut_after = proxy.swallow = proxy.rate = None
    proxy.cut_now()


def healthy(inst, host, proxy):
    """Whole, over a new connection: one that was just cut is not taken for one that stands."""
    before = proxy.connections
    heal(proxy)
    wait_for("connected anew", lambda: proxy.connections > before and status(inst, host)["connected"] and connected(inst, host), 60)


def applied_once(inst, host, renewal_id):
    db = inst.facts()["controller"]["db"]
    order = checks.rows(db, "SELECT phase, attempt, failures FROM orders WHERE lower(hex(renewal_id)) = ?", renewal_id.replace("-", ""))
    assert order == [("completed", 1, 0)], order
    issued = checks.rows(db, "SELECT count(*) FROM issuances WHERE lower(hex(renewal_id)) = ? AND state <> 'void'", renewal_id.replace("-", ""))
    assert issued[0][0] == 1, f"{issued[0][0]} certificates for one order"


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_half_dead_connection_is_noticed(world, direction):
    """F39, F41: the peer is gone, the connection is not."""
    inst, host, beside, proxy = world
    healthy(inst, host, proxy)
    proxy.swallow = direction
    wait_for("the dead peer is seen", lambda: not connected(inst, host), 45 if direction == "up" else 100, 0.5)
    assert connected(inst, beside)
    heal(proxy)
    wait_for("connected again", lambda: connected(inst, host), 60)


def test_a_dead_gateway_is_noticed_by_the_agent_alone(world):
    """F39: nothing comes from the gateway, not even the end of the connection."""
    inst, host, _, proxy = world
    healthy(inst, host, proxy)
    proxy.swallow = "all"
    wait_for("the agent gives the connection up", lambda: not status(inst, host)["connected"], 60, 0.2)
    assert "29 s" in open(host.processes["agent"].log).read()
    told = wait_for("the reason is told", lambda: status(inst, host).get("link_code"), 10)
    assert told == "VCC-2302" and "VCC-2302" in status_text(inst, host)
    heal(proxy)
    wait_for("connected again", lambda: connected(inst, host), 60)
    now = status(inst, host)
    assert now["connected"] and "link_code" not in now and "link_error" not in now


def test_an_idle_link_is_never_silent_for_a_minute(world):
    """F43: what stands between may drop a connection after a minute without bytes."""
    inst, host, _, proxy = world
    healthy(inst, host, proxy)
    time.sleep(1)
    connections, before = proxy.connections, proxy.passed
    wait_for("a ping and its answer", lambda: proxy.passed > before, 59, 0.2)
    assert proxy.connections == connections


def test_a_slow_link_disturbs_nobody_else(world):
    """F40: one byte a second."""
    inst, host, beside, proxy = world
    proxy.rate = 1
    proxy.cut_now()
    time.sleep(1)
    before = checks.served_is_issued(inst, beside)
    inst.vccctl("cert", "renew", beside.cert_id, "--force")
    inst.wait_renewed(beside, before, 30)
    heal(proxy)
    wait_for("connected again", lambda: connected(inst, host), 60)


def test_the_controller_restarts_and_nobody_reconnects(world):
    """Renewals in flight end, and the gateway keeps every connection."""
    inst, host, beside, proxy = world
    healthy(inst, host, proxy)
    time.sleep(1)
    connections = proxy.connections
    for _ in range(5 if LONG else 3):
        before = {h: checks.served_is_issued(inst, h) for h in (host, beside)}
        for h in (host, beside):
            inst.vccctl("cert", "renew", h.cert_id, "--force")
        inst.processes["controller"].kill()
        inst.processes["controller"].start()
        wait_for("ready", inst.ready, 30)
        for h in (host, beside):
            inst.wait_renewed(h, before[h], 60)
    assert proxy.connections == connections, "the agent connected again"


def test_results_wait_while_the_controller_is_away(world):
    """F37: the swap is done, the link is cut before the result: it is sent later, nothing is swapped twice."""
    inst, host, _, proxy = world
    healthy(inst, host, proxy)
    before = checks.served_is_issued(inst, host)
    renewal = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    end = time.monotonic() + 20
    while checks.fingerprint_of(f"{host.target_dir}/current/cert.pem") == before:
        assert time.monotonic() < end
        time.sleep(0.005)
    proxy.swallow = "up"
    time.sleep(2)
    heal(proxy)
    inst.wait_renewed(host, before, 60)
    applied_once(inst, host, renewal)


def test_a_refused_identity_is_never_called_connected(world):
    """F44: in TLS 1.3 the gateway judges our certificate after the handshake looked done to us."""
    inst, host, _, proxy = world
    agent, keeper = host.processes["agent"], host.processes["keeper"]
    wait_for("connected", lambda: connected(inst, host), 30)
    agent.stop()
    path = os.path.join(host.dir, "link", "identity.pem")
    good = open(path).read()
    write(path, foreign_identity(host.name), 0o600)
    said = len(open(keeper.log).read())
    connections = proxy.connections
    agent.start()
    wait_for("some tries", lambda: proxy.connections >= connections + 3, 60)
    now = status(inst, host)
    assert not now["connected"] and now["link_code"].startswith("VCC-") and not connected(inst, host)
    assert "welcomed" not in open(keeper.log).read()[said:]
    agent.stop()
    write(path, good, 0o600)
    agent.start()
    wait_for("connected again", lambda: connected(inst, host), 60)


def test_a_gateway_that_hangs_up_in_the_handshake_is_tried_again(world):
    """The gateway is gone at the very moment when our side of the handshake is done. When the whole handshake was one call, because the
    answer was there before we looked for it, libwebsockets tells of no error at all."""
    inst, host, _, proxy = world
    heal(proxy)
    agent = host.processes["agent"]
    plain = list(agent.argv)
    agent.stop()
    agent.argv = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=write", "-e", "inject=write:delay_exit=250000", *plain]
    proxy.hang_up = 3
    try:
        agent.start()
        wait_for("three tries", lambda: proxy.hang_up == 0, 60)
        wait_for("connected again", lambda: connected(inst, host), 60)
    finally:
        agent.stop()
        agent.argv = plain
        proxy.hang_up = 0
        agent.start()
    wait_for("connected without delay", lambda: connected(inst, host), 60)


def foreign_identity(name):
    """Key, certificate and chain of another installation."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    cas, key, pem = Authorities(), ec.generate_private_key(ec.SECP256R1()), serialization.Encoding.PEM
    leaf = x509.load_der_x509_certificate(cas.identity(key.public_key(), name, spki_hash(key)))
    text = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return (text + leaf.public_bytes(pem) + cas.agent.cert.public_bytes(pem)).decode()


def test_names_that_fail_or_lie(world):
    """F42: the gateway is known by its root. A name that is gone or leads astray costs tries, not the connection."""
    inst, host, _, proxy = world
    agent = host.processes["agent"]
    plain, hosts = list(agent.argv), os.path.join(inst.dir, "hosts.txt")
    port = proxy.address.rsplit(":", 1)[1]

    def name_is(address):
        with open(hosts, "r+" if os.path.exists(hosts) else "w") as f:  # the same file: it is bound over /etc/hosts
            f.truncate()
            f.write("127.0.0.1 localhost\n" + (f"{address} gateway.test.internal\n" if address else ""))

    name_is("127.0.0.1")
    if subprocess.run(["unshare", "-m", "mount", "--bind", hosts, "/etc/hosts"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here")
    write(f"{host.config}.d/90-name.conf", f"[agent]\ncontroller = gateway.test.internal:{port}\n")
    agent.stop()
    agent.argv = ["unshare", "-m", "sh", "-c", 'mount --bind "$1" /etc/hosts && shift && exec "$@"', "sh", hosts, *plain]
    try:
        agent.start()
        wait_for("connected by name", lambda: status(inst, host)["connected"], 60)
        for address in (None, "127.0.0.9", "127.0.0.1"):  # gone; nobody there; right again
            name_is(address)
            connections = proxy.connections
            proxy.cut_now()
            wait_for(f"connected with the name at {address}", lambda: proxy.connections > connections and status(inst, host)["connected"], 60)
        before = checks.served_is_issued(inst, host)
        inst.vccctl("cert", "renew", host.cert_id, "--force")
        inst.wait_renewed(host, before)
    finally:
        agent.stop()
        agent.argv = plain
        os.unlink(f"{host.config}.d/90-name.conf")
        agent.start()
    wait_for("connected again", lambda: connected(inst, host), 60)


def test_evicted_and_invited_again(world):
    """The host says why it is away, and comes back with its service under a new invite once its two folders are removed."""
    inst, host, _, proxy = world
    healthy(inst, host, proxy)
    inst.vccctl("agent", "evict", host.name)
    wait_for("kicked", lambda: not connected(inst, host), 10, 0.02)
    wait_for("the host knows", lambda: status(inst, host).get("link_code") == "VCC-3206", 30)
    assert "VCC-3206" in status_text(inst, host)
    before = checks.matching_set(host.target_dir)
    for name in ("agent", "keeper"):
        host.processes[name].stop()
    for name in ("link", "keeper"):
        shutil.rmtree(os.path.join(host.dir, name))
    host.join()
    for name in ("keeper", "agent"):
        host.processes[name].start()
    wait_for("connected again", lambda: connected(inst, host), 60)
    inst.wait_served(host)
    assert checks.matching_set(host.target_dir)
    inst.vccctl("cert", "renew", host.cert_id, "--force")
    inst.wait_renewed(host, before)
    checks.served_is_issued(inst, host)


def test_banned(world):
    """Kicked within a second; no welcome, so never called connected; it is final, and the host stops asking."""
    inst, _, beside, _ = world
    wait_for("connected", lambda: connected(inst, beside), 30)
    agent = beside.processes["agent"]
    inst.vccctl("agent", "ban", beside.name)
    begun = time.monotonic()
    wait_for("kicked", lambda: not connected(inst, beside), 5, 0.02)
    assert time.monotonic() - begun < 10
    wait_for("the host knows", lambda: status(inst, beside).get("link_code") == "VCC-3207", 30)
    told = status(inst, beside)
    assert not told["connected"] and "does not ask again" in told["link_error"] and "does not ask again" in status_text(inst, beside)
    said = len(open(agent.log).read())
    beside.processes["keeper"].stop()
    beside.processes["keeper"].start()
    wait_for("the new keeper knows, too", lambda: status_or_none(inst, beside).get("link_code") == "VCC-3207", 30)
    time.sleep(3)  # three times the spread of a reconnect
    more = open(agent.log).read()[said:]
    assert "connected to" not in more and "no connection" not in more and not connected(inst, beside), more
    with pytest.raises(Failed, match="VCC-320[37]"):
        inst.vccctl("agent", "invite", beside.name, "--service", beside.service)
    assert checks.matching_set(beside.target_dir), "the service keeps its certificate"


def status_or_none(inst, host):
    try:
        return status(inst, host)
    except AssertionError:
        return {}
