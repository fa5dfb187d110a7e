"""Is the gateway a stateless pipe that keeps its agents? Roster, credit, liveness, ends of identities, its own certificate, its limits.
(FAULTS F38, F39, F40, F43, F81; LIMITS A4)"""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import fake_agent  # noqa: E402
import fake_pki  # noqa: E402
import wire_tables  # noqa: E402
from fake_agent import PING, PONG, Closed, FakeAgent, health  # noqa: E402
from fake_controller import welcome  # noqa: E402
from lone_gateway import LoneGateway, binary  # noqa: E402

LONG = 60


@pytest.fixture
def gateway():
    with LoneGateway() as g:
        yield g


def until(condition, seconds=LONG):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("not within the time")


def roster(controller):
    """The sessions between the next roster_begin and roster_end."""
    begin = controller.wait("roster_begin")
    end = controller.wait("roster_end")
    i, j = (next(n for n, e in enumerate(controller.events) if e is mark) for mark in (begin, end))
    ups = [e for e in controller.events[i:j] if e.name == "up"]
    for up in ups:
        up.taken = True
    assert begin["sessions"] == end["sessions"] == len(ups)
    return {up["agent"]: up["session"] for up in ups}


def test_up_tells_what_the_certificate_says(gateway):
    peer = FakeAgent(gateway.address, gateway.identity("clara01", seconds=3600)).upgrade()
    up = gateway.controller.wait("up")
    assert up["agent"] == "clara01" and len(up["identity"]) == 16 and any(up["identity"]) and any(up["host_hash"])
    assert abs(up["not_after_at"] / 1000 - time.time() - 3600) < LONG
    assert up["address"] == "%s:%d" % peer.sock.getsockname()
    peer.close()
    assert gateway.controller.wait("down")["session"] == up["session"]


def test_agents_stay_while_the_controller_restarts(gateway):
    controller = gateway.controller
    assert roster(controller) == {}
    peers = {}
    for name in ("a1", "a2", "a3"):
        peers[name], _ = gateway.agent(name)
    boot = [e for e in controller.events if e.name == "hello"][0]["boot_id"]
    for _ in range(3):
        controller.stop()
        until(lambda: "the controller is away" in gateway.log_text())
        for peer in peers.values():
            peer.send(health())  # dropped: nobody will acknowledge it
        heard = len(controller.events)
        controller.start()
        assert controller.wait("hello")["boot_id"] == boot
        sessions = roster(controller)
        assert set(sessions) == set(peers)
        assert not [e for e in controller.events[heard:] if e.name in ("frame", "down")]
        for name, peer in peers.items():
            controller.send(sessions[name], welcome(name))
            assert wire_tables.decode("agent", peer.recv())[0] == "welcome"
            peer.send(health())
            controller.wait("frame", match=lambda f: f["session"] == sessions[name])
    for peer in peers.values():
        peer.close()


def test_who_left_meanwhile_is_not_in_the_roster(gateway):
    controller = gateway.controller
    roster(controller)
    stays, _ = gateway.agent("stays")
    leaves, _ = gateway.agent("leaves")
    controller.stop()
    leaves.close()
    time.sleep(0.5)
    comes = FakeAgent(gateway.address, gateway.identity("comes")).upgrade()
    controller.start()
    controller.wait("hello")
    assert set(roster(controller)) == {"stays", "comes"}
    stays.close()
    comes.close()


def test_two_connections_of_one_agent_are_two_sessions(gateway):
    """Which one counts is the controller's decision."""
    first, one = gateway.agent("twin")
    second, two = gateway.agent("twin")
    assert one != two
    gateway.controller.kick(one, -3208)
    with pytest.raises(Closed):
        while True:
            first.recv()
    second.send(health())
    gateway.controller.wait("frame", match=lambda f: f["session"] == two)
    second.close()


def test_urgent_frames_overtake(gateway):
    """While the agent does not read, urgent ones go to the front of what the gateway still holds."""
    peer, session = gateway.agent("slow")
    routine = wire_tables.encode("agent", "bundle", 1, body=b"r" * 16000)
    urgent = wire_tables.encode("agent", "cancel", 2)
    for _ in range(14):
        gateway.controller.send(session, routine)
    gateway.controller.send(session, urgent, urgent=True)
    names = [wire_tables.decode("agent", peer.recv())[0] for _ in range(15)]
    assert sorted(names) == ["bundle"] * 14 + ["cancel"]
    peer.close()


def test_without_credit_frames_wait_and_none_is_lost():
    with LoneGateway(credit=0) as g:
        peers = [g.agent(f"c{i}") for i in range(5)]
        for n in range(4):
            for peer, _ in peers:
                peer.send(health(n + 1))
        time.sleep(1)
        assert g.controller.count("frame") == 0
        g.controller.grant(3)
        until(lambda: g.controller.count("frame") == 3)
        time.sleep(0.5)
        assert g.controller.count("frame") == 3
        g.controller.grant(100)
        until(lambda: g.controller.count("frame") == 20)
        for _, session in peers:
            frames = [wire_tables.decode("agent", e["frame"])[1] for e in g.controller.events
                      if e.name == "frame" and e["session"] == session]
            assert frames == [1, 2, 3, 4]
        for peer, _ in peers:
            peer.close()


def test_a_flood_without_credit_does_not_grow_the_gateway():
    """An agent that floods while nobody grants credit fills one frame and the sockets, not the gateway."""
    with LoneGateway(credit=0) as g:
        peer, _ = g.agent("flood")
        base = g.memory()
        peer.settimeout(3)
        data = FakeAgent.frame(wire_tables.encode("agent", "receipt", 1, body=b"x" * 8000)) * 100
        with pytest.raises((TimeoutError, ssl.SSLWantWriteError, Closed)):
            for _ in range(1000):
                peer.write(data)
        assert g.memory() - base <= 8192
        other, session = g.agent("other")
        g.controller.send(session, welcome("other"))
        assert wire_tables.decode("agent", other.recv())[0] == "welcome"
        peer.close()
        other.close()


def test_dead_peer_is_seen_and_a_living_one_stays(gateway):
    """F39, F43: one answers pings, one is silent as behind a blackhole: down with VCC-3304 within 30 s."""
    alive, living = gateway.agent("alive")
    dead, silent = gateway.agent("dead")
    started = time.monotonic()
    pings = 0
    while time.monotonic() - started < 2 * LONG:
        alive.settimeout(1)
        try:
            opcode, payload = alive.recv_any()
            if opcode == PING:
                pings += 1
                alive.send(payload, opcode=PONG)
        except (TimeoutError, ssl.SSLWantReadError):
            pass
        downs = [e for e in gateway.controller.events if e.name == "down"]
        if downs and pings >= 2:
            break
    assert [(d["session"], d["code"]) for d in downs] == [(silent, -3304)]
    assert pings >= 2
    alive.settimeout(LONG)
    alive.send(health())
    gateway.controller.wait("frame", match=lambda f: f["session"] == living)
    alive.close()
    dead.close()


def test_a_gateway_that_stood_still_blames_nobody(gateway):
    """After SIGSTOP longer than the limits, agents that answer are kept."""
    peer, session = gateway.agent("patient")
    gateway.process.send_signal(signal.SIGSTOP)
    time.sleep(35)
    gateway.process.send_signal(signal.SIGCONT)
    started = time.monotonic()
    peer.settimeout(1)
    while time.monotonic() - started < 12:
        try:
            opcode, payload = peer.recv_any()
            if opcode == PING:
                peer.send(payload, opcode=PONG)
        except (TimeoutError, ssl.SSLWantReadError):
            pass
    peer.settimeout(LONG)
    peer.send(health())
    gateway.controller.wait("frame", match=lambda f: f["session"] == session)
    assert gateway.controller.count("down") == 0
    peer.close()


def test_connection_ends_with_its_certificate(gateway):
    """F81: not before, and whatever the agent sends."""
    peer, session = gateway.agent("brief", seconds=6)
    other, _ = gateway.agent("long")
    peer.settimeout(LONG)
    with pytest.raises(Closed):
        while True:
            kind, _, fields = wire_tables.decode("agent", peer.recv())
            assert kind == "bye" and fields["code"] == -3305
    assert gateway.controller.wait("down")["code"] == -3305
    other.send(health())
    gateway.controller.wait("frame")
    other.close()


def served_serial(address):
    peer = FakeAgent(address)
    der = peer.sock.getpeercert(binary_form=True)
    peer.close()
    return der


def test_own_certificate_is_renewed_under_live_connections():
    """At half life, with a fresh key, on both ports, and nobody notices."""
    with LoneGateway(identity_seconds=8, identity_before=0) as g:
        peer, session = g.agent("held")
        first = served_serial(g.join_address)
        g.controller.wait("identity")
        second = until(lambda: (der := served_serial(g.join_address)) != first and der)
        keys = [x509.load_der_x509_certificate(d).public_key().public_numbers() for d in (first, second)]
        assert keys[0] != keys[1]
        peer.send(health())
        g.controller.wait("frame", match=lambda f: f["session"] == session)
        late, _ = g.agent("late")
        late.close()
        peer.close()


def test_key_and_name_survive_a_restart(gateway):
    """The second start serves at once, with the same certificate and without asking; the files are closed to others."""
    serial = served_serial(gateway.join_address)
    name = [e for e in gateway.controller.events if e.name == "hello"][0]["name"]
    gateway.stop()
    assert oct(os.stat(os.path.join(gateway.state, "identity.pem")).st_mode & 0o777) == "0o600"
    asked = gateway.controller.count("identity")
    os.truncate(os.path.join(gateway.dir, "log"), 0)
    gateway.start()
    assert served_serial(gateway.join_address) == serial
    assert [e for e in gateway.controller.events if e.name == "hello"][-1]["name"] == name
    assert gateway.controller.count("identity") == asked
    peer, _ = gateway.agent("again")
    peer.close()


def test_wrong_own_certificate_is_not_used(gateway):
    """A certificate for another key, or of a foreign CA, changes nothing."""
    before = served_serial(gateway.join_address)
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = gateway.pki.leaf(key.public_key(), f"spiffe://{fake_pki.DOMAIN}/gateway/x", [ExtendedKeyUsageOID.SERVER_AUTH])
    gateway.controller._out("identity_reply", code=0, certificate=fake_pki.der(leaf), chain=gateway.pki.chain())
    gateway.controller._out("identity_reply", code=0, certificate=b"\x30\x00", chain=b"")
    gateway.wait_for_log("gateway certificate")
    assert served_serial(gateway.join_address) == before
    peer, _ = gateway.agent("fine")
    peer.close()


def test_max_agents_is_a_limit():
    with LoneGateway(settings={"max_agents": 3}) as g:
        peers = [g.agent(f"m{i}")[0] for i in range(3)]
        with pytest.raises((Closed, OSError)):
            FakeAgent(g.address, g.identity("m9")).upgrade()
        assert "VCC-3302" in g.log_text()
        peers.pop().close()
        g.controller.wait("down")
        peer, _ = g.agent("m4")
        for p in peers + [peer]:
            p.close()


def test_a_herd_of_agents_comes_to_stand():
    """All at once, more than the handshake cap and the backlog of one turn: every one comes to stand (LIMITS T1, T14)."""
    count = 300
    with LoneGateway() as g:
        context = fake_agent.tls_context(g.identity("herd"))
        raws = []
        for _ in range(count):
            raws.append(socket.create_connection(fake_agent.split(g.address), timeout=LONG))
        for raw in raws:
            raw.close()
        peers = [FakeAgent(g.address, context=context, timeout=LONG).upgrade() for _ in range(count)]
        until(lambda: g.controller.count("up") == count)
        for peer in peers:
            peer.close()
        until(lambda: g.controller.count("down") == count)
        assert g.process.poll() is None


def test_out_of_descriptors_is_survived():
    """T14: EMFILE makes a pause, not a busy loop; what is held goes on."""
    with LoneGateway(settings={"max_agents": 20}) as g:
        peer, session = g.agent("held")
        subprocess.run(["prlimit", f"--pid={g.process.pid}", f"--nofile={g.descriptors() + 2}:{1024}"], check=True)
        waiting = []
        for _ in range(10):
            waiting.append(socket.create_connection(fake_agent.split(g.address), timeout=LONG))
        g.wait_for_log("cannot accept")
        used = sum(map(int, open(f"/proc/{g.process.pid}/stat").read().split(")")[1].split()[11:13]))
        time.sleep(3)
        after = sum(map(int, open(f"/proc/{g.process.pid}/stat").read().split(")")[1].split()[11:13]))
        assert after - used < 150  # ticks of 10 ms: half a second of three would be a loop
        peer.send(health())
        g.controller.wait("frame", match=lambda f: f["session"] == session)
        for s in waiting:
            s.close()
        subprocess.run(["prlimit", f"--pid={g.process.pid}", "--nofile=1024:1024"], check=True)
        other, _ = g.agent("later")
        other.close()
        peer.close()


def test_locks_itself_in(gateway):
    """Every thread, once it serves."""
    if "asan" in binary(""):
        pytest.skip("sanitizers are not locked in")
    for task in os.listdir(f"/proc/{gateway.process.pid}/task"):
        with open(f"/proc/{gateway.process.pid}/task/{task}/status") as f:
            status = dict(line.split(":", 1) for line in f)
        assert status["Seccomp"].strip() == "2" and status["NoNewPrivs"].strip() == "1"
        assert int(status["CapEff"], 16) == 0


def test_refuses_to_start_without_the_libuv_plugin():
    """T4: the poll loop would be unusable beyond a thousand agents, so a missing package is said at the start."""
    plugin = subprocess.run(["sh", "-c", "ls /usr/lib/*/libwebsockets-evlib_uv.so"], capture_output=True, text=True).stdout.strip()
    if os.geteuid() != 0 or not plugin:
        pytest.skip("needs root for a mount namespace")
    with LoneGateway() as g:
        g.stop()
        hidden = subprocess.run(["unshare", "-m", "sh", "-c", f"mount --bind /dev/null {plugin} && exec {binary('vcc-gateway')} --config {g.config}"],
                                capture_output=True, text=True, timeout=LONG, env=g.env)
        assert hidden.returncode != 0
        assert "VCC-3306" in hidden.stderr and "libwebsockets-evlib-uv" in hidden.stderr


@pytest.mark.parametrize("text,says", [
    ("[gateway]\nnonsense = 1\n", "gateway.conf:2"),
    ("[gateway]\nlisten = nowhere\n", "gateway.listen"),
    ("[gateway]\nlisten = 192.0.2.1:0\njoin_listen = 127.0.0.1:0\n", "192.0.2.1"),
    ("[gateway]\nmax_agents = 0\n", "gateway.conf:2"),
])
def test_wrong_configuration_is_named(tmp_path, text, says):
    path = tmp_path / "gateway.conf"
    path.write_text(text + ("" if "state_dir" in text else f"state_dir = {tmp_path}/state\n"))
    path.chmod(0o644)
    done = subprocess.run([binary("vcc-gateway"), "--config", str(path)], capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 1 and says in done.stderr and "Next:" in done.stderr
    if "192.0.2.1" not in text:
        check = subprocess.run([binary("vcc-gateway"), "--config", str(path), "--check"], capture_output=True, text=True, timeout=LONG)
        assert check.returncode == 1 and says in check.stderr


def test_second_gateway_on_the_same_state_is_refused(gateway):
    done = subprocess.run([binary("vcc-gateway"), "--config", gateway.config], capture_output=True, text=True, timeout=LONG, env=gateway.env)
    assert done.returncode == 1 and "VCC-1305" in done.stderr


def test_killed_gateway_comes_back_and_agents_reconnect(gateway):
    """kill -9 between any two messages: a new boot id, an empty roster, nothing else to repair."""
    boot = [e for e in gateway.controller.events if e.name == "hello"][0]["boot_id"]
    peer, _ = gateway.agent("before")
    gateway.process.kill()
    gateway.process.wait()
    with pytest.raises((Closed, OSError)):
        while True:
            peer.recv()
    os.truncate(os.path.join(gateway.dir, "log"), 0)
    for e in gateway.controller.events:
        e.taken = True
    gateway.start()
    assert [e for e in gateway.controller.events if e.name == "hello"][-1]["boot_id"] != boot
    assert roster(gateway.controller) == {}
    peer, _ = gateway.agent("before")
    peer.close()
