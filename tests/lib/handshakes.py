"""New TLS connections without pause, from several clients: what a service's users would see while it is renewed."""
import hashlib
import socket
import ssl
import struct
import threading
import time


SSL_REQUEST = struct.pack("!ii", 8, 80877103)
STARTUP = struct.pack("!ii", 41, 196608) + b"user\0postgres\0database\0postgres\0\0"


class Handshake:
    """How a client of this protocol comes to TLS, and how it sees that it was served behind it."""

    def __init__(self, starttls=None):
        self.starttls = starttls

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
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with socket.create_connection((host, port), seconds) as raw:
            self.before(raw)
            with context.wrap_socket(raw, server_hostname=sni) as tls:
                der = tls.getpeercert(True)
                self.after(tls)
                return hashlib.sha256(der).hexdigest()


handshake = Handshake()


class Load:
    """`with Load([(host, port)], sni) as load:` ... load.ok, load.failed, load.seen (fingerprint -> count)."""

    def __init__(self, addresses, sni, clients=3, pause=0.0, how=handshake):
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
            except OSError as e:
                with self.lock:
                    self.failed += 1
                    self.errors.append(f"{host}:{port}: {e}")
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
