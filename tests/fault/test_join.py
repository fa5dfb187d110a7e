"""Does joining end well after a lost answer, a kill at any point, a wrong server, and does the token stay where it was given?"""
import base64
import glob
import hashlib
import itertools
import os
import random
import shutil
import signal
import ssl
import subprocess
import threading
import time

import checks
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from conftest import new_folder
from installation import ROOT, Failed, Installation, Process, free_port, run, wait_for, write
from proxy import Proxy

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
LONG = os.environ.get("VCC_LONG") == "1"
DENIED, AWAY = 4, 5
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def world():
    if not os.path.exists(os.path.join(FAULTS, "vcc-agent")):
        pytest.skip("make faults has not been run")
    path = new_folder("join")
    inst = Installation(path, binaries=FAULTS)
    try:
        inst.init()
        inst.start()
        yield inst
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


class Host:
    """One host that only joins: a state folder and the invite of a name."""

    def __init__(self, inst, name=None, invite=None):
        self.inst = inst
        self.name = name or f"j{next(numbers):05d}"
        self.dir = os.path.join(inst.dir, "hosts", f"{self.name}-{random.randrange(1 << 30)}")
        self.invite = invite or inst.vccctl("agent", "invite", self.name, "--service", "clara", "--names", f"{self.name}.clara.{inst.domain}")
        self.token = os.path.join(inst.dir, "tokens", os.path.basename(self.dir))
        write(self.token, self.invite["token"] + "\n", 0o600)
        os.chmod(os.path.dirname(self.token), 0o755)

    def argv(self, address=None, pin=None, token=True):
        return [self.inst.bin("vcc-agent"), "join", address or self.invite["join_address"], "--pin", pin or self.invite["pin"], "--state-dir", self.dir,
                *(["--token-file", self.token] if token else [])]

    def join(self, address=None, pin=None, env=None, seconds=90):
        done = subprocess.run(self.argv(address, pin), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, env=dict(os.environ, **(env or {})))
        return done.returncode, done.stdout + done.stderr

    def host_hash(self):
        path = os.path.join(self.dir, "keeper", "host.key")
        if not os.path.exists(path):
            return None
        key = load_pem_private_key(open(path, "rb").read(), None)
        return hashlib.sha256(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()

    def known_hash(self):
        rows = checks.rows(self.inst.facts()["controller"]["db"], "SELECT lower(hex(host_hash)) FROM agents WHERE name = ?", self.name)
        assert len(rows) <= 1
        return rows[0][0] if rows else None

    def connects(self, then=lambda: None):
        """The daemons start with what joining left, and are welcomed."""
        log = os.path.join(self.dir, "log.txt")
        config = os.path.join(self.dir, "agent.conf")
        write(f"{config}.d/50.conf", "[agent]\nreconnect_spread = 50ms\n")
        running = [Process(p, [self.inst.bin(p), "--config", config], log).start() for p in ("vcc-keeper", "vcc-agent")]
        try:
            wait_for(f"{self.name} is connected", lambda: self.inst.agent(self.name)["connected"], 30)
            return then()
        finally:
            for p in reversed(running):
                p.stop()


def test_join_ends_the_first_time(world):
    host = Host(world)
    status, text = host.join()
    assert status == 0 and f"joined as {host.name}" in text, text
    assert host.known_hash() == host.host_hash()
    host.connects()
    status, text = host.join()
    assert status != 0 and "VCC-3205" in text, text


def test_join_beside_the_running_agent(world):
    """Not "another process holds a lock": that agent is what the operator wants to have."""
    host = Host(world)
    assert host.join()[0] == 0
    status, text = host.connects(host.join)
    assert status != 0 and "VCC-3205" in text and "its agent runs" in text, text


# Names of points, and the n-th file operation of either process. The folder and configuration part comes first.
POINTS = [f"{p}@1" for p in ("link.join.reply", "link.identity", "link.identity.done", "link.joined", "keeper.join.key", "keeper.join.trust")]
POINTS += [f"{p}@{n}" for p in ("file_write", "file_sync", "file_rename", "dir_sync") for n in range(1, 6)]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("point", POINTS)
def test_killed_and_repeated(world, point):
    host = Host(world)
    status, text = host.join(env={"VCC_FAILPOINT": f"{point}=kill"})
    first = host.host_hash()
    if point in POINTS[:6]:
        assert status != 0, "the fault point was not passed"
    if status != 0:
        status, text = host.join()
        assert status == 0, text
    assert first is None or host.host_hash() == first, "the host key stays"
    assert host.known_hash() == host.host_hash()
    host.connects()


def test_a_disk_that_is_full_for_a_moment(world):
    for point in ("file_write@1", "file_write@2", "file_write@3", "file_rename@2"):
        host = Host(world)
        status, text = host.join(env={"VCC_FAILPOINT": f"{point}=err:ENOSPC"})
        if status != 0:
            assert "VCC-" in text and "Next:" in text, text
            status, text = host.join()
        assert status == 0, text
        assert host.known_hash() == host.host_hash()


@pytest.mark.parametrize("who", ["vcc-agent", "vcc-keeper"])
def test_killed_at_any_moment(world, who):
    """SIGKILL from outside to the command or the keeper's half; nothing of it lives on, and the repetition ends."""
    proxy = Proxy(world.join_address)
    chance = random.Random(who)
    try:
        for _ in range(6 if LONG else 3):
            host = Host(world)
            proxy.rate = 3000
            p = subprocess.Popen(host.argv(proxy.address), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            end = time.monotonic() + chance.random() * 1.5
            while time.monotonic() < end and p.poll() is None:
                time.sleep(0.01)
            family = below(p.pid)
            for pid in family:
                if who == "vcc-keeper" and name_of(pid) == who:
                    os.kill(pid, signal.SIGKILL)
            if who == "vcc-agent":
                p.kill()
            p.wait(60)
            proxy.rate = None
            proxy.cut_now()
            wait_for("the rest of it has ended", lambda: not any(os.path.exists(f"/proc/{pid}") for pid in family), 30)
            if p.returncode != 0:
                status, text = host.join()
                assert status == 0, text
            assert host.known_hash() == host.host_hash()
            host.connects()
    finally:
        proxy.close()


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip()
    except OSError:
        return ""


def below(pid):
    """Every process below this one."""
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            children = [int(x) for x in open(path).read().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *below(child)]
    return found


def test_the_answer_is_lost(world):
    """The invite is used up and the answer gone: the same host gets it again, no other host does."""
    host = Host(world)
    status, _ = host.join(env={"VCC_FAILPOINT": "link.join.reply=kill"})
    assert status != 0 and host.known_hash() == host.host_hash()
    thief = Host(world, host.name, host.invite)
    status, text = thief.join()
    assert status == DENIED and "VCC-3200" in text, text
    assert not os.path.exists(f"{thief.dir}/link/joined") and not os.path.exists(f"{thief.dir}/keeper/identity")
    status, text = host.join()
    assert status == 0, text
    assert host.known_hash() == host.host_hash()
    status, text = thief.join()
    assert status == DENIED and "VCC-3200" in text, text
    assert host.known_hash() == host.host_hash()
    host.connects()


def test_cut_after_any_byte_and_repeated(world):
    proxy = Proxy(world.join_address)
    try:
        assert Host(world).join(proxy.address)[0] == 0
        time.sleep(0.2)
        total = proxy.passed
        assert total > 2000
        step = 3 if LONG else total // 10  # each is two joins: all bytes would take an hour
        used_up = 0
        for k in [*range(1, total, step), total - 1, total - 30]:
            host = Host(world)
            proxy.cut_after = k
            status, text = host.join(proxy.address)
            proxy.cut_after = None
            used_up += host.known_hash() is not None
            if status != 0:
                assert status == AWAY and "VCC-2302" in text and "Next:" in text, (k, status, text)
                status, text = host.join(proxy.address)
                assert status == 0, (k, text)
            assert host.known_hash() == host.host_hash(), k
        assert used_up, "no cut fell behind the redemption"
    finally:
        proxy.close()


def test_one_byte_at_a_time(world):
    """A slow line is no reason to fail; one that never ends is, and within the deadline."""
    proxy = Proxy(world.join_address)
    try:
        proxy.rate = 4000
        host = Host(world)
        status, text = host.join(proxy.address)
        assert status == 0, text
        proxy.rate = 10
        begun = time.monotonic()
        host = Host(world)
        status, text = host.join(proxy.address, seconds=150)
        assert status == AWAY and "VCC-2302" in text, text
        assert time.monotonic() - begun < 120
        assert host.host_hash() is None, "nothing is made before the server is known"
    finally:
        proxy.close()


def stranger(folder):
    """A TLS server with a certificate of its own; gives (address, process)."""
    key, cert = os.path.join(folder, "stranger.key"), os.path.join(folder, "stranger.pem")
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=stranger", "-keyout", key,
         "-out", cert])
    port = free_port()
    p = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", cert, "-key", key, "-quiet", "-www"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return f"127.0.0.1:{port}", p


def test_a_wrong_pin_or_server_is_told_nothing(world):
    host = Host(world)
    wrong = "sha256:" + "5a" * 32
    status, text = host.join(pin=wrong)
    assert status == DENIED and "VCC-2300" in text and host.invite["pin"].split(":")[1] in text, text
    address, server = stranger(world.dir)
    try:
        wait_for("the stranger listens", lambda: listens(address), 10)
        status, text = host.join(address)
        assert status == DENIED and "VCC-2300" in text, text
    finally:
        server.kill()
        server.wait()
    assert host.host_hash() is None and not os.path.exists(f"{host.dir}/link/joined")
    assert host.known_hash() is None
    status, text = host.join()
    assert status == 0, text


def listens(address):
    import socket
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
        return True
    except OSError:
        return False


def test_nobody_there(world):
    host = Host(world)
    status, text = host.join(f"127.0.0.1:{free_port()}")
    assert status == AWAY and "VCC-2302" in text and "refused" in text, text
    for address in ("nowhere..invalid:443", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999"):
        status, text = host.join(address)
        assert status != 0 and "VCC-" in text and address in text, text


@pytest.mark.parametrize("words", [["a:1", "--pin", "md5:aa"], ["a:1"], ["--pin", "sha256:" + "a" * 64], ["a:1", "--pin", "sha256:" + "a" * 64, "--state-dir", "relative"],
                                   ["a:1", "--pin", "sha256:" + "a" * 64, "--nonsense"], ["a:1", "--pin", "sha256:" + "a" * 63]])
def test_usage(world, words):
    done = subprocess.run([world.bin("vcc-agent"), "join", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "usage:" in done.stderr


def test_wrong_tokens(world):
    host = Host(world)
    good = host.invite["token"]
    other = world.vccctl("agent", "invite", f"j{next(numbers):05d}", "--service", "clara", "--names", f"x.clara.{world.domain}")["token"]
    altered = good[:20] + ("A" if good[20] != "A" else "B") + good[21:]
    for token in ("", "vcc_join_", "vcc_join_AAAA", good[:-1], good + "A", altered, "x" * 500):
        write(host.token, token + "\n", 0o600)
        status, text = host.join()
        assert status != 0 and "VCC-" in text and (len(token) < 20 or token not in text), text
        assert host.known_hash() is None
    write(host.token, good + "\n", 0o644)
    status, text = host.join()
    assert status != 0 and "VCC-1205" in text, "a token that others may read is no secret"
    write(host.token, good + "\r\n", 0o600)
    status, text = host.join()
    assert status == 0, text
    assert other not in text


def test_the_token_is_nowhere_but_where_it_was_given(world):
    """Not in an argument or environment of any process, not in a log, the database or a state folder."""
    host = Host(world)
    token = host.invite["token"]
    os.unlink(host.token)
    body = token[len("vcc_join_"):]
    seed = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))[:32]
    proxy = Proxy(world.join_address)
    seen, texts = set(), []
    ended = threading.Event()

    def watch():
        while not ended.is_set():
            for path in glob.glob("/proc/[0-9]*"):
                try:
                    name = open(f"{path}/comm").read().strip()
                    if name.startswith("vcc"):
                        texts.append(open(f"{path}/cmdline", "rb").read() + open(f"{path}/environ", "rb").read())
                        seen.add(name)
                except OSError:
                    continue
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        proxy.rate = 3000
        p = subprocess.Popen(host.argv(proxy.address, token=False), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out, _ = p.communicate(token.encode() + b"\n", 90)
    finally:
        ended.set()
        watcher.join()
        proxy.close()
    assert p.returncode == 0, out
    host.connects()
    assert {"vcc-agent", "vcc-keeper", "vcc-controller"} <= seen and len(texts) > 20
    forms = (token.encode(), body[:40].encode(), seed, seed.hex().encode())
    assert not any(f in text for f in forms for text in (*texts, out))
    for base, _, files in os.walk(world.dir):
        for path in (os.path.join(base, name) for name in files):
            if os.path.isfile(path):
                data = open(path, "rb").read()
                assert not any(f in data for f in forms), path


def test_evicted_and_invited_again(world):
    """The same machine comes back under a new invite, once its folders are removed; before that it is told what to do."""
    host = Host(world)
    assert host.join()[0] == 0
    host.connects()
    first = host.host_hash()
    world.vccctl("agent", "evict", host.name)
    host.invite = world.vccctl("agent", "invite", host.name, "--service", "clara", "--names", f"{host.name}.clara.{world.domain}")
    write(host.token, host.invite["token"] + "\n", 0o600)
    status, text = host.join()
    assert status != 0 and "VCC-3205" in text and "Remove" in text, text
    for name in ("link", "keeper"):
        shutil.rmtree(os.path.join(host.dir, name))
    status, text = host.join()
    assert status == 0, text
    assert host.host_hash() != first and host.known_hash() == host.host_hash()
    host.connects()


def test_banned_for_good(world):
    host = Host(world)
    assert host.join()[0] == 0
    host.connects()
    world.vccctl("agent", "ban", host.name)
    with pytest.raises(Failed, match="VCC-320[37]"):
        world.vccctl("agent", "invite", host.name, "--service", "clara")
    # the same host key under another name: refused by its key
    other = Host(world)
    for name in ("link", "keeper"):
        os.makedirs(f"{other.dir}/{name}", mode=0o700)
    shutil.copy(f"{host.dir}/keeper/host.key", f"{other.dir}/keeper/host.key")
    status, text = other.join()
    assert status == DENIED and "VCC-3203" in text, text
    assert other.known_hash() is None
