"""The link and the public listener, which anybody between may play: are only plain, whole, bounded answers handed on, is nothing followed, and does the link
stay alive and small whatever comes? The keeper is played, too."""
import contextlib
import os
import queue
import shutil
import socket
import threading
import time

import pytest
from conftest import new_folder
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fake_ca import Authorities, spki_hash
from installation import ROOT, Process, free_port, wait_for, write
from wire_tables import decode, encode, frame_read, frame_write

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
ISSUERS, LISTS = 0, 1
MIB = 1 << 20
HASH = bytes(range(32))
DEADLINE = 30


class Listener:
    """A public listener. `answer(connection, request)` plays one exchange; what was asked is kept."""

    def __init__(self):
        self.port = free_port()
        self.requests, self.connections, self.answer = [], 0, lambda c, r: None
        self.sent = 0
        self.open()

    def open(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.listen(50)
        threading.Thread(target=self.run, args=(self.socket,), daemon=True).start()

    def run(self, listening):
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                part = connection.recv(4096)
                if not part:
                    return
                request += part
            self.requests.append(request.decode())
            self.answer(connection, request)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Keeper:
    """The keeper's end of the local socket."""

    def __init__(self, path):
        self.path = path
        if os.path.exists(path):
            os.unlink(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(5)
        self.stream = self.sock = None
        self.pieces = queue.Queue()
        self.reading = threading.Event()
        self.reading.set()
        self.request = 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.sock, self.stream = sock, sock.makefile("rwb")
            with contextlib.suppress(OSError, ValueError):
                while self.reading.wait() and (frame := frame_read(self.stream)) is not None:
                    kind, _, fields = decode("ipc-link", frame)
                    if kind == "piece":
                        self.pieces.put(fields)

    def fetch(self, kind=LISTS, limit=MIB, **more):
        self.request += 1
        wait_for("the link is there", lambda: self.stream, DEADLINE)
        frame_write(self.stream, encode("ipc-link", "fetch", 0, request=self.request, kind=kind, hash=HASH, limit=limit, **more))
        return self.request

    def result(self, request, seconds=DEADLINE):
        """(code, text, bytes) of one request; checks that the pieces are in order and without gaps."""
        data = bytearray()
        while True:
            p = self.pieces.get(timeout=seconds)
            if p["request"] != request:
                assert p["request"] < request
                continue
            if p["code"]:
                assert p["last"] and not p["bytes"]
                return p["code"], p["text"], bytes(data)
            assert p["offset"] == len(data) and 0 < len(p["bytes"]) <= 32768
            data += p["bytes"]
            assert p["last"] == (len(data) == p["total"])
            if p["last"]:
                return 0, "", bytes(data)

    def drop(self):
        stream, self.stream = self.stream, None
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        stream.close()

    def close(self):
        self.listener.close()


class World:
    def __init__(self, point="http://127.0.0.1:{port}/base/crl/agent-1/0.crl"):
        self.dir = new_folder("link-fetch")
        self.listener, self.keeper = Listener(), Keeper(f"{self.dir}/keeper.sock")
        cas, key, pem = Authorities(), ec.generate_private_key(ec.SECP256R1()), serialization.Encoding.PEM
        leaf = x509.load_der_x509_certificate(cas.identity(key.public_key(), "clara01", spki_hash(key), point=point.format(port=self.listener.port)))
        os.makedirs(f"{self.dir}/link", mode=0o700)
        text = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()) + leaf.public_bytes(pem) + cas.agent.cert.public_bytes(pem)
        write(f"{self.dir}/link/identity.pem", text.decode(), 0o600)
        write(f"{self.dir}/link/joined", f"[joined]\nagent = clara01\ndomain = vcc.internal\naddress = 127.0.0.1:{free_port()}\n")
        with open(f"{self.dir}/link/root.der", "wb") as f:
            f.write(cas.root.der)
        write(f"{self.dir}/agent.conf", f"[agent]\nstate_dir = {self.dir}/link\nkeeper_socket = {self.keeper.path}\n")
        self.agent = Process("agent", [os.path.join(FAULTS, "vcc-agent"), "--config", f"{self.dir}/agent.conf"], f"{self.dir}/agent.log", {"VCC_FETCH_MS": "1500"})
        self.agent.start()

    def log(self):
        with open(self.agent.log, errors="replace") as f:
            return f.read()

    def memory(self):
        with open(f"/proc/{self.agent.pid}/status") as f:
            rows = dict(line.split(":", 1) for line in f)
        return int(rows["VmRSS"].split()[0]), int(rows["VmHWM"].split()[0])

    def close(self):
        self.agent.stop()
        log = self.log()
        self.listener.close()
        self.keeper.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert self.agent.popen.returncode == 0 and "Sanitizer" not in log and "runtime error" not in log, log[-6000:]


@pytest.fixture(scope="module")
def world():
    if not os.path.exists(os.path.join(FAULTS, "vcc-agent")):
        pytest.skip("make faults has not been run")
    w = World()
    yield w
    w.close()


def good(body, status="200 OK", more=""):
    return lambda c, _: c.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body)


def raw(data, linger=0.0):
    def play(connection, _):
        connection.sendall(data)
        time.sleep(linger)
    return play


def works(world, body=b"good" * 1000):
    """And again, after whatever was done to it."""
    world.listener.answer = good(body)
    assert world.keeper.result(world.keeper.fetch()) == (0, "", body)
    assert world.agent.running() and world.agent.starts == 1


def test_nothing_is_fetched_unasked(world):
    time.sleep(1)
    assert world.listener.connections == 0


def test_one_plain_request_to_the_address_in_the_certificate(world):
    works(world)
    assert world.listener.connections == 1
    head = world.listener.requests[-1].split("\r\n")
    assert head[0] == f"GET /base/crl/all.pem?sha256={HASH.hex()} HTTP/1.1"
    fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in head[1:] if line}
    assert fields["host"] == f"127.0.0.1:{world.listener.port}" and fields["connection"] == "close" and "origin" not in fields
    world.listener.answer = good(b"certificates")
    assert world.keeper.result(world.keeper.fetch(ISSUERS)) == (0, "", b"certificates")
    assert world.listener.requests[-1].startswith("GET /base/ca/all.pem HTTP/1.1\r\n")


@pytest.mark.parametrize("size", [1, 2, 4079, 4080, 4081, 32767, 32768, 32769, MIB])
def test_sizes(world, size):
    works(world, os.urandom(size))


ANSWERS = {
    "301": (b"HTTP/1.1 301 Moved\r\nLocation: {other}\r\nContent-Length: 0\r\n\r\n", -2020, "301"),
    "302": (b"HTTP/1.1 302 Found\r\nLocation: {other}\r\nContent-Length: 4\r\n\r\nbody", -2020, "302"),
    "302-relative": (b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", -2020, "302"),
    "303": (b"HTTP/1.1 303 See\r\nLocation: {other}\r\n\r\n", -2020, "303"),
    "307": (b"HTTP/1.1 307 Go\r\nLocation: {other}\r\nContent-Length: 0\r\n\r\n", -2020, "307"),
    "308": (b"HTTP/1.1 308 Go\r\nLocation: {other}\r\nContent-Length: 0\r\n\r\n", -2020, "308"),
    "302-without-location": (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", -2020, "302"),
    "404": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nnot found\n", -2020, "404"),
    "500": (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", -2020, "500"),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", -2020, "204"),
    "206": (b"HTTP/1.1 206 Partial\r\nContent-Length: 4\r\n\r\nbody", -2020, "206"),
    "100": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", -2020, "100"),
    "no-length": (b"HTTP/1.1 200 OK\r\n\r\nbody", -2020, "length"),
    "http-1.0-no-length": (b"HTTP/1.0 200 OK\r\n\r\nbody", -2020, "length"),
    "length-0": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", -2020, "length"),
    "length-negative": (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nbody", -2020, "length"),
    "length-odd": (b"HTTP/1.1 200 OK\r\nContent-Length: 4x\r\n\r\nbody", -2020, "length"),
    "length-long": (b"HTTP/1.1 200 OK\r\nContent-Length: 00000000000000000000000000000000004\r\n\r\nbody", -2020, "length"),
    "length-twice": (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 9\r\n\r\nbody", -2020, "length"),
    "length-overflow": (b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551620\r\n\r\nbody", -2020, "length"),
    "too-long": (b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\nbody", -2025, "1048577"),
    "far-too-long": (b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\nbody", -2025, "9223372036854775807"),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", -2020, "length"),
    "chunked-overflow": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff0000000\r\nbody\r\n0\r\n\r\n", -2020, "length"),
    "chunked-negative": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n80000000\r\nbody\r\n0\r\n\r\n", -2020, "length"),
    "chunked-and-length": (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", -2020, "length"),
    "gzip": (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Encoding: gzip\r\n\r\nbody", -2020, "length"),
    "cut": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbody", -2020, "before the end"),
    "cut-in-the-head": (b"HTTP/1.1 200 OK\r\nContent-Le", -2020, ""),
    "empty": (b"", -2020, ""),
    "rubbish": (os.urandom(4096), -2020, ""),
    "long-line": (b"HTTP/1.1 200 " + b"A" * 100000, -2020, ""),
    "many-headers": (b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(20000)), -2020, ""),
    "long-header": (b"HTTP/1.1 200 OK\r\nX: " + b"A" * 100000 + b"\r\nContent-Length: 4\r\n\r\nbody", None, ""),
    "websocket": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", -2020, ""),
    "binary-status": (b"HTTP/1.1 \xff\xfe\x00 OK\r\nContent-Length: 4\r\n\r\nbody", -2020, ""),
}


@pytest.mark.parametrize("name", list(ANSWERS))
def test_answers_that_are_not_taken(world, name):
    other = Listener()
    answer, code, word = ANSWERS[name]
    world.listener.answer = raw(answer.replace(b"{other}", f"http://127.0.0.1:{other.port}/crl/all.pem".encode()), 0.2)
    asked = len(world.listener.requests)
    got, text, _ = world.keeper.result(world.keeper.fetch())
    if code is not None:
        assert got == code and word in text and text.isprintable(), (got, text)
    assert len(world.listener.requests) == asked + 1 and other.connections == 0, "nothing is followed"
    other.close()
    works(world)


def test_more_than_was_promised_is_not_taken(world):
    world.listener.answer = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody" + b"more" * 50000)
    assert world.keeper.result(world.keeper.fetch()) == (0, "", b"body")
    works(world)


def trickle(connection, _):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.1)


def trickled_head(connection, _):
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Wait: for ever\r\n" * 10000:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def silence(connection, _):
    connection.recv(1)


@pytest.mark.parametrize("play", [trickle, trickled_head, silence], ids=lambda f: f.__name__)
def test_an_answer_that_does_not_end(world, play):
    world.listener.answer = play
    begun = time.monotonic()
    code, text, _ = world.keeper.result(world.keeper.fetch())
    assert code == -2020 and "in time" in text and 1.4 < time.monotonic() - begun < 15
    works(world)


def test_nobody_listens(world):
    world.listener.close()
    try:
        code, text, _ = world.keeper.result(world.keeper.fetch())
        assert code == -2020 and text.isprintable() and text
    finally:
        world.listener.open()
    works(world)


def flood(world, size):
    def play(connection, _):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size // 65536):
            connection.sendall(b"z" * 65536)
            world.listener.sent += 65536
    return play


def test_a_keeper_that_does_not_read_holds_the_sender_up(world):
    """Nothing piles up in the link; when the keeper reads again, the rest comes."""
    world.agent.stop()
    world.agent.env = {"VCC_FETCH_MS": "60000"}
    world.keeper.stream = None
    world.agent.start()
    world.agent.starts = 1
    works(world)
    time.sleep(0.5)
    before, _ = world.memory()
    size = 16 * MIB
    world.listener.sent, world.listener.answer = 0, flood(world, size)
    world.keeper.reading.clear()
    request = world.keeper.fetch(limit=size)
    time.sleep(2)
    held = world.listener.sent
    now_, _ = world.memory()
    assert held < 8 * MIB, f"{held} bytes went on their way though nobody read"
    assert now_ < before + 1024, f"{before} KiB before, {now_} KiB with a keeper that does not read"
    world.keeper.reading.set()
    code, _, data = world.keeper.result(request, 60)
    assert code == 0 and len(data) == size
    time.sleep(1)
    after, peak = world.memory()
    print(f"\nlink: {before} KiB idle before, {peak} at most, {after} idle after 16 MiB")
    if "asan" not in FAULTS:
        assert after < before + 300 and peak < before + 2048


def test_a_new_request_ends_the_one_under_way(world):
    world.listener.answer = trickle
    first = world.keeper.fetch()
    wait_for("it is under way", lambda: not world.keeper.pieces.empty(), DEADLINE)
    asked = len(world.listener.requests)
    world.listener.answer = good(b"second")
    second = world.keeper.fetch()
    assert world.keeper.result(second) == (0, "", b"second") and first < second
    assert len(world.listener.requests) == asked + 1
    for i in range(20):  # as fast as it goes: the last one counts
        world.listener.answer = good(b"n%d" % i)
        last = world.keeper.fetch()
    assert world.keeper.result(last)[2].startswith(b"n")
    works(world)


@pytest.mark.parametrize("moment", ["asked", "middle"])
def test_the_keeper_goes_away(world, moment):
    world.listener.answer = silence if moment == "asked" else trickle
    asked = len(world.listener.requests)
    world.keeper.fetch()
    wait_for("it is under way", lambda: len(world.listener.requests) > asked, DEADLINE)
    if moment == "middle":
        wait_for("bytes came", lambda: not world.keeper.pieces.empty(), DEADLINE)
    world.keeper.drop()
    wait_for("the link is there again", lambda: world.keeper.stream, DEADLINE)
    with contextlib.suppress(queue.Empty):
        while True:
            world.keeper.pieces.get(timeout=0.3)
    works(world)


@pytest.mark.parametrize("point", ["", "https://127.0.0.1:{port}/crl/agent-1/0.crl", "http://127.0.0.1:{port}/lists/0.crl", "http://user@127.0.0.1:{port}/crl/agent-1/0.crl"])
def test_an_identity_that_names_no_address(point):
    if not os.path.exists(os.path.join(FAULTS, "vcc-agent")):
        pytest.skip("make faults has not been run")
    w = World(point)
    try:
        code, text, _ = w.keeper.result(w.keeper.fetch())
        assert code == -2027 and text and w.listener.connections == 0
    finally:
        w.close()


@pytest.mark.parametrize("point", ["link.fetch", "link.fetch.piece"])
def test_a_link_that_is_killed_on_the_way(point):
    """Started again it fetches what is asked for again."""
    if not os.path.exists(os.path.join(FAULTS, "vcc-agent")):
        pytest.skip("make faults has not been run")
    w = World()
    try:
        w.listener.answer = good(b"x" * 50000)
        w.agent.stop()
        w.agent.env, w.keeper.stream = {"VCC_FAILPOINT": f"{point}=kill"}, None
        w.agent.start()
        w.keeper.fetch()
        wait_for("it is dead", lambda: not w.agent.running(), DEADLINE)
        w.agent.env, w.keeper.stream = None, None
        w.agent.start()
        assert w.keeper.result(w.keeper.fetch()) == (0, "", b"x" * 50000)
    finally:
        w.close()
