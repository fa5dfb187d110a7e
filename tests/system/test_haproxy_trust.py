"""A running HAProxy that verifies its clients and its servers: does it take new authorities and revocation lists from the target's folder, by a new worker and
without a failed request, and is what left the files really gone?"""
import os
import re
import socket
import ssl
import threading

import pytest
from cryptography.hazmat.primitives import serialization
from fake_ca import Authorities
from installation import Process, free_port, wait_for, write
from lone_hook import LoneHook
from target_folder import PEM, crl, leaf, pem
from test_haproxy import admin, info

TIMEOUT = -2202
NAME = "vpb.vcc.internal"  # of target_folder's leaves

CONFIG = """global
    stats socket {base}/admin.sock mode 600 level admin
    maxconn 100
defaults
    mode http
    retries 0
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend web
    bind 127.0.0.1:{port} ssl crt {tls}/current/combined.pem ca-file {tls}/current/ca.pem{crl} verify required no-tls-tickets
    default_backend behind
backend behind
    server s 127.0.0.1:{behind} ssl crt {tls}/current/combined.pem ca-file {tls}/current/ca.pem verify required verifyhost {name} no-ssl-reuse
"""


class Pair:
    """Key and certificate of somebody below these authorities."""

    def __init__(self, folder, cas):
        self.dir = folder
        key, self.cert = leaf(cas)
        self.key_pem = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        self.chain_pem = self.cert.public_bytes(PEM).decode() + pem(cas.service)
        write(f"{folder}/pair.pem", self.key_pem + self.chain_pem, 0o640)

    def context(self, server=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        if not server:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(f"{self.dir}/pair.pem")
        return context


class Behind:
    """A TLS server that answers "200" on each connection, with the pair that it has at the moment."""

    def __init__(self, pair):
        self.pair, self.stopping = pair, threading.Event()
        self.listener = socket.create_server(("127.0.0.1", free_port()))
        self.listener.settimeout(0.1)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.stopping.is_set():
            try:
                raw, _ = self.listener.accept()
            except socket.timeout:
                continue
            try:
                raw.settimeout(10)
                with self.pair.context(server=True).wrap_socket(raw, server_side=True) as tls:
                    tls.recv(4096)
                    tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            except OSError:
                pass  # HAProxy does not trust us

    def stop(self):
        self.stopping.set()
        self.thread.join(10)
        self.listener.close()


class Trusting:
    """The hook and a real HAProxy; `write(...)`: a new generation, flipped to."""

    def __init__(self, folder, hook, cas, lists=False):
        self.dir, self.hook, self.cas, self.n = folder, hook, cas, 1
        self.own = Pair(f"{folder}/own", cas)
        self.base, self.port = f"{folder}/service", free_port()
        self.admin = f"{self.base}/admin.sock"
        self.behind = Behind(Pair(f"{folder}/behind", cas))
        os.makedirs(self.base)
        hook.target(f"kind = haproxy\nsocket = {self.admin}\ntimeout = 5s\n")
        self.flip([cas], [] if lists else None)
        write(f"{self.base}/haproxy.cfg", CONFIG.format(base=self.base, port=self.port, tls=hook.tls, behind=self.behind.port, name=NAME,
                                                      crl=f" crl-file {hook.tls}/current/crl.pem" if lists else ""))
        self.process = Process("haproxy", ["/usr/sbin/haproxy", "-W", "-f", f"{self.base}/haproxy.cfg"], f"{folder}/haproxy.log").start()
        wait_for("HAProxy answers", lambda: os.path.exists(self.admin) and self.ask(self.own.context()) == "200")

    def flip(self, trusted, revoked=None, ca_text=None, more=""):
        """`revoked`: serials on crl.pem, None = no lists."""
        self.n += 1
        folder = f"{self.hook.tls}/g{self.n:06d}"
        files = {"key.pem": self.own.key_pem, "fullchain.pem": self.own.chain_pem, "combined.pem": self.own.key_pem + self.own.chain_pem,
                 "ca.pem": ca_text or pem(*(c.root for c in trusted))}
        if revoked is not None:
            files["crl.pem"] = "".join(crl(c.service, *revoked) + crl(c.root) for c in trusted) + more
        for name, text in files.items():
            write(f"{folder}/{name}", text, 0o640)
        self.hook.flip(f"g{self.n:06d}")

    def new(self, *args, **kwargs):
        self.flip(*args, **kwargs)
        return self.hook.ask()

    def ask(self, context, session=None):
        """The status of one request on a new connection; None where HAProxy refuses the client."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 10) as raw, context.wrap_socket(raw, server_hostname=NAME, session=session) as tls:
                tls.sendall(f"GET / HTTP/1.0\r\nHost: {NAME}\r\n\r\n".encode())
                said = b""
                while piece := tls.recv(4096):
                    said += piece
                self.session, self.resumed = tls.session, tls.session_reused
        except (ssl.SSLError, ConnectionError):
            return None
        m = re.match(rb"HTTP/1\.\d (\d+)", said)
        return m.group(1).decode() if m else None

    def worker(self):
        return info(self.admin)["Pid"]

    def stop(self):
        self.process.stop()
        self.behind.stop()


@pytest.fixture
def scene(folder, request):
    with LoneHook(folder) as hook:
        t = Trusting(folder, hook, Authorities(), getattr(request, "param", False))
        yield t
        t.stop()


def test_a_root_comes_and_the_old_one_goes(folder, scene):
    """Clients and the server behind change from the old root to the new one; both are served while both are trusted."""
    new = Authorities()
    old_client, new_client = (Pair(f"{folder}/{n}", c).context() for n, c in (("old", scene.cas), ("new", new)))
    old_server, new_server = scene.behind.pair, Pair(f"{folder}/new-behind", new)
    assert scene.ask(old_client) == "200" and scene.ask(new_client) is None
    scene.behind.pair = new_server
    assert scene.ask(old_client) == "503", "the server behind is not trusted yet"
    first = scene.worker()
    assert scene.new([scene.cas])["code"] == 0 and scene.worker() == first, "the same authorities: no new worker"
    reply = scene.new([scene.cas, new])
    assert reply["code"] == 0 and "new worker" in reply["output"], reply
    second = scene.worker()
    assert second != first
    for server in (new_server, old_server):
        scene.behind.pair = server
        assert (scene.ask(old_client), scene.ask(new_client)) == ("200", "200")
    assert scene.new([new])["code"] == 0
    assert scene.ask(old_client) is None, "a root that left the file is gone"
    assert scene.ask(new_client) == "503", "for the server behind, too"
    scene.behind.pair = new_server
    assert scene.ask(new_client) == "200" and scene.ask(old_client) is None
    third = scene.worker()
    assert scene.new([new])["code"] == 0 and scene.worker() == third
    assert scene.new([scene.cas])["code"] == 0 and scene.ask(new_client) is None, "and back"
    assert scene.process.running(), "the master is the same"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_outlives_its_root(folder, scene, version):
    """A client that resumes shows no certificate."""
    context = Pair(f"{folder}/old", scene.cas).context()
    context.minimum_version = context.maximum_version = version
    assert scene.ask(context) == "200"
    session = scene.session
    assert scene.ask(context, session) == "200" and scene.resumed, "it does resume while it is trusted"
    session = scene.session
    assert scene.new([Authorities()])["code"] == 0
    assert scene.ask(context, session) is None and scene.ask(context) is None


@pytest.mark.parametrize("scene", [True], indirect=True)
def test_who_is_revoked_is_refused_at_once(folder, scene):
    one, other = Pair(f"{folder}/one", scene.cas), Pair(f"{folder}/other", scene.cas)
    assert (scene.ask(one.context()), scene.ask(other.context())) == ("200", "200")
    reply = scene.new([scene.cas], [one.cert.serial_number])
    assert reply["code"] == 0 and "new worker" in reply["output"], reply
    assert (scene.ask(one.context()), scene.ask(other.context())) == (None, "200")
    assert scene.new([scene.cas], [], more=crl(scene.cas.agent, *range(1, 20000)))["code"] == 0, "of any length"
    assert scene.ask(one.context()) == "200"


def test_a_configuration_that_cannot_be_loaded_is_told(scene):
    """The old worker goes on, with what it trusted."""
    new = Authorities()
    old_client = scene.own.context()
    first = scene.worker()
    with open(f"{scene.base}/haproxy.cfg") as f:
        config = f.read()
    write(f"{scene.base}/haproxy.cfg", config + "nonsense\n")
    reply = scene.new([scene.cas, new])
    assert reply["code"] == TIMEOUT and "log" in reply["output"], reply
    assert scene.ask(old_client) == "200" and scene.worker() == first
    write(f"{scene.base}/haproxy.cfg", config)
    assert scene.hook.ask()["code"] == 0 and scene.worker() != first


def test_nobody_is_refused_meanwhile(scene):
    new, client, failed, asked = Authorities(), scene.own.context(), [], []
    stopping = threading.Event()

    def ask():
        while not stopping.is_set():
            status = scene.ask(client)
            (asked if status == "200" else failed).append(status)
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    for trusted in ([scene.cas, new], [scene.cas], [new, scene.cas], [scene.cas]):
        assert scene.new(trusted)["code"] == 0
    stopping.set()
    for t in threads:
        t.join()
    print(f"{len(asked)} requests, {len(failed)} failed")
    assert not failed and len(asked) > 20
