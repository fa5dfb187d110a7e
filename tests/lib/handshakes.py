"""New TLS connections all the time, from several clients: what a service's users would see while it is renewed."""
import hashlib
import os
import socket
import ssl
import struct
import threading
import time


SSL_REQUEST = struct.pack("!ii", 8, 80877103)
STARTUP = struct.pack("!ii", 41, 196608) + b"user\0postgres\0database\0postgres\0\0"


class Handshake:
    """How a client of this protocol comes to TLS, and how it sees that it was served behind it. With `ca` it trusts nobody else and checks the
    name, as a real client; without, it only looks."""

    def __init__(self, starttls=None, ca=None):
        self.starttls = starttls
        self.context = ssl.create_default_context(cafile=ca) if ca else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if ca is None:
            self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE

    def trusting(self, ca):
        return Handshake(self.starttls, ca)

    def before(self, raw):
        if self.starttls == "postgresql":
            raw.sendall(SSL_REQUEST)
            if raw.recv(1) != b"S":
                raise OSError("no TLS")

    def after(self, tls):
        tls.sendall(STARTUP if self.starttls == "postgresql" else b"GET / HTTP/1.0\r\n\r\n")
        if not tls.recv(64):
            raise OSError("closed without an answer")

    def __call__(self, host, port, sni, seconds=5.0):
        """Fingerprint (SHA-256, hex) of the served certificate."""
        with socket.create_connection((host, port), seconds) as raw:
            self.before(raw)
            with self.context.wrap_socket(raw, server_hostname=sni) as tls:
                der = tls.getpeercert(True)
                self.after(tls)
                return hashlib.sha256(der).hexdigest()


handshake = Handshake()
# Between two connections of a client. Clients that never pause take all the time that the machine has, from the programs that are tested, too.
PAUSE = 0.0 if os.environ.get("VCC_LONG") == "1" else 0.1


class Load:
    """`with Load([(host, port)], sni) as load:` ... load.ok, load.failed, load.seen (fingerprint -> count)."""

    def __init__(self, addresses, sni, clients=3, pause=PAUSE, how=handshake):
        self.addresses, self.sni, self.clients, self.pause = addresses, sni, clients, pause
        self.how = how
        self.ok = self.failed = 0
        self.errors, self.seen = [], {}
        self.lock, self.stopping, self.threads = threading.Lock(), threading.Event(), []

    def one_client(self, n):
        host, port = self.addresses[n % len(self.addresses)]
        while not self.stopping.is_set():
            try:
                fingerprint = self.how(host, port, self.sni)
            except Exception as e:  # whatever it is: a client that ends without a word would make the load look good
                with self.lock:
                    self.failed += 1
                    self.errors.append(f"{host}:{port}: {e!r}")
            else:
                with self.lock:
                    self.ok += 1
                    self.seen[fingerprint] = self.seen.get(fingerprint, 0) + 1
            if self.pause:
                time.sleep(self.pause)

    def __enter__(self):
        self.threads = [threading.Thread(target=self.one_client, args=(i,), daemon=True) for i in range(self.clients)]
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for t in self.threads:
            t.join(10)
        hanging = sum(t.is_alive() for t in self.threads)
        if hanging:
            self.failed += hanging
            self.errors.append(f"{hanging} clients hang")
