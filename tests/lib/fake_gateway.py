"""A gateway, and hosts behind it, for tests of the controller: joins, connects, answers orders, signs receipts, lies when told to."""
import base64
import calendar
import hashlib
import os
import queue
import socket
import struct
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fake_ca import signed, spki
from wire_tables import body_decode, body_encode, decode, encode

DEADLINE = 60.0


def now_ms():
    return int(time.time() * 1000)


def token_parts(text):
    """(seed, name) of a join token."""
    raw = base64.urlsafe_b64decode(text[len("vcc_join_"):] + "==")
    return raw[:32], raw[32:-4].decode()


def request(key):
    """PKCS#10 with an empty subject."""
    return x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


class FakeGateway:
    """Speaks to the controller's gateway socket. Sessions belong to FakeHosts; frames for them are handed to host.take()."""

    def __init__(self, path, name="gw1"):
        self.path, self.name = path, name
        self.boot_id = os.urandom(16)
        self.sock = None
        self.sessions = {}
        self.kicks = []
        self.joins = {}
        self.replies = {}
        self.credit = 0
        self.next_session, self.next_request = 1, 1
        self.changed = threading.Condition()

    def connect(self, seconds=DEADLINE):
        """Also again, after the controller was away: tells hello and the roster."""
        end = time.monotonic() + seconds
        while True:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(self.path)
                break
            except OSError:
                sock.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self.sock = sock
        threading.Thread(target=self._read, args=(sock,), daemon=True).start()
        self.out("hello", name=self.name, boot_id=self.boot_id, version="test", listen="127.0.0.1:1", join_listen="127.0.0.1:2")
        self.out("roster_begin", sessions=len(self.sessions))
        for session, host in list(self.sessions.items()):
            self._up(session, host)
        self.out("roster_end", sessions=len(self.sessions))
        return self

    def close(self):
        sock, self.sock = self.sock, None
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def alive(self):
        return self.sock is not None

    def out(self, message, number=0, /, **fields):
        data = encode("gw", message, number, **fields)
        try:
            self.sock.sendall(struct.pack(">I", len(data)) + data)
        except (OSError, AttributeError):
            pass  # the controller is away: a real gateway drops application frames, too

    def _exactly(self, sock, n):
        data = b""
        while len(data) < n:
            part = sock.recv(n - len(data))
            if not part:
                return None
            data += part
        return data

    def _read(self, sock):
        try:
            while (head := self._exactly(sock, 4)) is not None:
                data = self._exactly(sock, struct.unpack(">I", head)[0])
                if data is None:
                    break
                self._take(*decode("gw", data))
        except OSError:
            pass
        if self.sock is sock:
            self.sock = None
        with self.changed:
            self.changed.notify_all()

    def _take(self, message, number, fields):
        if message == "send":
            host = self.sessions.get(fields["session"])
            if host is not None:
                host.inbox.put(fields["frame"])
        with self.changed:
            if message == "kick":
                self.kicks.append(fields)
                host = self.sessions.pop(fields["session"], None)
                if host is not None and host.session == fields["session"]:
                    host.session = None
            elif message == "credit":
                self.credit += fields["frames"]
            elif message == "join_reply":
                self.joins[fields["request"]] = decode("ipc-join", fields["body"])[2]
            elif message == "identity_reply":
                self.replies[number] = fields
            self.changed.notify_all()
        if message == "kick":
            self.out("down", session=fields["session"], code=fields["code"])

    def wait(self, what, condition, seconds=DEADLINE):
        end = time.monotonic() + seconds
        with self.changed:
            while not (value := condition()):
                left = end - time.monotonic()
                assert left > 0, f"{what}: not within {seconds} s"
                self.changed.wait(left)
            return value

    # ---- joining ----
    def post_join(self, body):
        """Sends, does not wait; gives the request's number."""
        with self.changed:
            number = self.next_request
            self.next_request += 1
        self.out("join", request=number, address="127.0.0.1:50000", body=body)
        return number

    def join_reply(self, number, seconds=DEADLINE):
        return self.wait("join reply", lambda: self.joins.get(number), seconds)

    # ---- sessions ----
    def _up(self, session, host):
        self.out("up", session=session, identity=host.identity_serial(), agent=host.name, host_hash=host.host_hash,
                 not_after_at=host.not_after_ms(), address="127.0.0.1:40000")

    def up(self, host):
        with self.changed:
            session = self.next_session
            self.next_session += 1
            self.sessions[session] = host
        host.gateway, host.session = self, session
        self._up(session, host)
        return session

    def down(self, session):
        self.sessions.pop(session, None)
        self.out("down", session=session, code=0)

    def identity(self, csr, number=77, seconds=DEADLINE):
        """The gateway's own certificate."""
        self.out("identity", number, csr=csr)
        return self.wait("identity reply", lambda: self.replies.pop(number, None), seconds)


class FakeHost:
    """Link, keeper and service of one host. It keeps what a journal would keep: orders, unacked receipts."""

    def __init__(self, name):
        self.name = name
        self.host_key = ec.generate_private_key(ec.SECP256R1())
        self.link_key = ec.generate_private_key(ec.SECP256R1())
        self.host_hash = hashlib.sha256(spki(self.host_key)).digest()
        self.boot_id, self.generation = os.urandom(16), 1
        self.gateway = self.session = None
        self.identity = None
        self.bundle_epoch = 1
        self.targets = {}     # cert_id -> fields of the target message
        self.keys = {}        # (renewal_id, attempt) -> private key
        self.requests = {}    # (renewal_id, attempt) -> the signed request body, re-sent until answered
        self.served = {}      # cert_id -> certificate
        self.receipts = []    # unacked: (seq, body)
        self.receipt_seq = 0
        self.rollbacks = []
        self.staged, self.restages = {}, []  # cert_id -> the next key
        self.said, self.heard = [], []       # names of all messages, in order
        self.orders, self.certificates = [], []  # every message that came, repeats too
        self.drills = []      # the same of orders that are drills; no certificate of theirs is ever served
        self.cancels, self.acks, self.identities, self.welcomes, self.bundles = [], [], [], [], []
        self.relies_on, self.looks = None, []
        self.sees = lambda host, message: 0  # code of the answer to a peer_look; None: none
        self.lists = []       # what was told of published revocation lists
        self.respond = True   # answer orders and certificates as a keeper does
        self.outcome = lambda host, message: "ok"
        self.make_key = lambda order: ec.generate_private_key(ec.SECP256R1())
        self.message_id = 1000
        self.inbox = queue.Queue()
        self.changed = threading.Condition()
        self.lock = threading.RLock()
        threading.Thread(target=self._work, daemon=True).start()

    # ---- joining ----
    def join_body(self, token, pin, name=None, **lies):
        seed, token_name = token_parts(token)
        body = body_encode("join", pin=bytes.fromhex(pin.removeprefix("sha256:")), name=name or token_name, host_spki=spki(self.host_key),
                           link_spki=spki(self.link_key), made_at=now_ms(), version="test")
        token_key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        fields = {"body": body, "token_key": token_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw),
                  "token_signature": signed(token_key, "vcc join v1", body), "host_signature": signed(self.host_key, "vcc join v1", body),
                  "link_signature": signed(self.link_key, "vcc join v1", body)}
        fields.update({k: v(self, body) if callable(v) else v for k, v in lies.items()})
        return encode("ipc-join", "join", 0, **fields)

    def join(self, gateway, invite, **lies):
        """The reply; a good one is kept."""
        reply = gateway.join_reply(gateway.post_join(self.join_body(invite["token"], invite["pin"], **lies)))
        if reply["code"] == 0:
            self.joined(reply)
        return reply

    def joined(self, reply):
        self.identity = x509.load_der_x509_certificate(reply["certificate"])

    # ---- returning ----
    def challenge(self, gateway, name=None):
        return gateway.join_reply(gateway.post_join(encode("ipc-join", "return_ask", 0, agent=name or self.name)))["challenge"]

    def return_body(self, pin, challenge, agent=None, host_key=None, link_key=None, **lies):
        """`agent`, `host_key`, `link_key`: who is named outside and who really signs; `lies`: fields of the signed body."""
        fields = {"pin": bytes.fromhex(pin.removeprefix("sha256:")), "name": self.name, "host_hash": self.host_hash, "link_spki": spki(self.link_key),
                  "challenge": challenge, "made_at": now_ms(), "version": "test"}
        fields.update(lies)
        body = body_encode("return", **fields)
        return encode("ipc-join", "return", 0, agent=agent or self.name, body=body, host_signature=signed(host_key or self.host_key, "vcc return v1", body),
                      link_signature=signed(link_key or self.link_key, "vcc return v1", body))

    def come_back(self, gateway, pin, **lies):
        """The reply; a good one is kept."""
        body = self.return_body(pin, lies.pop("challenge", None) or self.challenge(gateway), **lies)
        reply = gateway.join_reply(gateway.post_join(body))
        if reply["code"] == 0:
            self.joined(reply)
        return reply

    def identity_serial(self):
        return self.identity.serial_number.to_bytes(16, "big")

    def not_after_ms(self):
        return calendar.timegm(self.identity.not_valid_after.timetuple()) * 1000

    # ---- sending ----
    def send(self, message, number=0, /, **fields):
        if self.session is not None and self.gateway.alive():
            self.said.append(message)
            self.gateway.out("frame", session=self.session, frame=encode("agent", message, number, **fields))

    def number(self):
        with self.lock:
            self.message_id += 1
            return self.message_id

    def send_signed(self, message, label, body, key=None, number=None):
        number = number or self.number()
        self.send(message, number, body=body, signature=signed(key or self.host_key, label, body))
        return number

    def say_hello(self, **lies):
        fields = {"version": "test", "name": self.name, "host_hash": self.host_hash, "boot_id": self.boot_id, "generation": self.generation,
                  "now_at": now_ms(), "bundle_epoch": self.bundle_epoch, "targets": len(self.targets)}
        fields.update(lies)
        self.send("hello", self.number(), **fields)

    def served_serial(self, cert_id):
        served = self.served.get(cert_id)
        return served.serial_number.to_bytes(16, "big") if served else bytes(16)

    def target(self, cert_id, service, template, names, **more):
        """A target file; sent now and after each welcome."""
        fields = {"cert_id": cert_id, "service": service, "template_id": template, "stem": "web", "names": names, "reload_kind": "none",
                  "verify_kind": "tls", "listeners": "127.0.0.1:443", "digest": hashlib.sha256((cert_id + names + template).encode()).digest(),
                  "served": self.served_serial(cert_id)}
        fields.update(more)
        self.targets[cert_id] = fields
        number = self.number()
        self.send("target", number, **fields)
        return number

    def receipt(self, order, outcome, certificate=None, **lies):
        """Makes, keeps and sends one. outcome: number of enum receipt_outcome."""
        with self.lock:
            self.receipt_seq += 1
            seq = self.receipt_seq
            fields = {"seq": seq, "renewal_id": order["renewal_id"], "attempt": order["attempt"], "cert_id": order["cert_id"], "outcome": outcome,
                      "made_at": now_ms(), "probes": 25}
            if certificate is not None:
                fields["fingerprint"] = hashlib.sha256(certificate).digest()
                fields["serial"] = x509.load_der_x509_certificate(certificate).serial_number.to_bytes(16, "big")
            fields.update(lies)
            body = body_encode("receipt", **fields)
            self.receipts.append((seq, body))
            self.send_signed("receipt", "vcc receipt v1", body)
            return seq

    # ---- staged keys ----
    def stage(self, cert_id, key=None, sign_with=None, csr=None):
        """Makes the next key of a certificate and offers it; its number. `key`: one that was made before; `sign_with`: instead of the host key."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        self.staged[cert_id] = key
        body = body_encode("stage", cert_id=cert_id, made_at=now_ms(), csr=csr or request(key))
        return self.send_signed("stage", "vcc stage v1", body, sign_with)

    def stage_ready(self, cert_id, **more):
        """The same, until the controller has it."""
        assert self.acked(self.stage(cert_id, **more))["code"] == 0
        return hashlib.sha256(spki(self.staged[cert_id])).digest()

    def _take_staged(self, m):
        """The key that the certificate is for, if it is the staged one."""
        key = self.staged.get(m["cert_id"])
        if key is None or hashlib.sha256(spki(key)).digest() != m["stage"]:
            return False
        self.keys[(m["renewal_id"], m["attempt"])] = self.staged.pop(m["cert_id"])
        return True

    def on_restage(self, number, m):
        self.restages.append(m)
        self.staged.pop(m["cert_id"], None)

    def send_request(self, key):
        self.send_signed("csr", "vcc csr v1", self.requests[key])

    # ---- receiving ----
    def _work(self):
        while True:
            frame = self.inbox.get()
            name, number, fields = decode("agent", frame)
            self.heard.append(name)
            with self.lock:
                getattr(self, "on_" + name, lambda *_: None)(number, fields)
            with self.changed:
                self.changed.notify_all()

    def wait(self, what, condition, seconds=DEADLINE):
        end = time.monotonic() + seconds
        with self.changed:
            while not (value := condition()):
                left = end - time.monotonic()
                assert left > 0, f"{self.name}: {what}: not within {seconds} s"
                self.changed.wait(min(left, 0.2))
            return value

    def on_welcome(self, number, w):
        targets = list(self.targets.values())  # whoever waits for the welcome tells a new one himself
        self.welcomes.append(w)
        self.receipts = [(seq, body) for seq, body in self.receipts if seq > w["receipt_seq"]]
        self.say_hello()
        if not self.respond:
            return
        for fields in targets:
            self.send("target", self.number(), **dict(fields, served=self.served_serial(fields["cert_id"])))
        for key in list(self.requests):
            self.send_request(key)
        for _, body in self.receipts:
            self.send_signed("receipt", "vcc receipt v1", body)
        self.tell_relies()

    def on_crl(self, number, m):
        self.lists.append(m)

    def on_order(self, number, order):
        self.orders.append(order)
        if not self.respond:
            return
        key = (order["renewal_id"], order["attempt"])
        self.send("agent_ack", self.number(), id=number)
        if key in self.keys:
            if key in self.requests:
                self.send_request(key)
            return
        self.keys[key] = self.make_key(order)
        self.requests[key] = body_encode("csr", renewal_id=order["renewal_id"], attempt=order["attempt"], cert_id=order["cert_id"], made_at=now_ms(),
                                         csr=request(self.keys[key]))
        self.send_request(key)

    def on_drill(self, number, order):
        self.drills.append(order)
        self.on_order(number, order)

    def is_drill(self, m):
        return any(d["renewal_id"] == m["renewal_id"] for d in self.drills)

    def on_certificate(self, number, m):
        known = any(c["renewal_id"] == m["renewal_id"] and c["attempt"] == m["attempt"] for c in self.certificates)
        self.certificates.append(m)
        if not self.respond:
            return
        key = (m["renewal_id"], m["attempt"])
        self.requests.pop(key, None)
        self.send("agent_ack", self.number(), id=number)
        if known:
            return
        if m["staged"] and not self._take_staged(m):
            self.receipt(m, 3, code=-2030, cause="the staged key is not here any more")
            return
        outcome = self.outcome(self, m)
        if outcome == "ok":
            assert hashlib.sha256(spki(self.keys[key])).digest() == m["stage"]
        if outcome == "ok" and self.is_drill(m):
            self.receipt(m, 5, m["certificate"])
        elif outcome == "ok":
            self.served[m["cert_id"]] = x509.load_der_x509_certificate(m["certificate"])
            self.receipt(m, 0, m["certificate"])
            self.receipt(m, 1, m["certificate"])
        elif outcome == "failed":
            self.receipt(m, 2, m["certificate"], code=-2201, cause="the hook failed")

    def on_rollback(self, number, m):
        """Puts the certificate before in use again, when its key is still kept here."""
        known = any(c["renewal_id"] == m["renewal_id"] and c["attempt"] == m["attempt"] for c in self.rollbacks)
        self.rollbacks.append(m)
        if not self.respond:
            return
        self.send("agent_ack", self.number(), id=number)
        if known:
            return
        kept = any(hashlib.sha256(spki(k)).digest() == m["stage"] for k in self.keys.values())
        outcome = self.outcome(self, m) if kept else "no key"
        if outcome == "ok":
            self.served[m["cert_id"]] = x509.load_der_x509_certificate(m["certificate"])
            self.receipt(m, 0, m["certificate"])
            self.receipt(m, 1, m["certificate"])
        elif outcome == "no key":
            self.receipt(m, 3, m["certificate"], code=-3618, cause="no generation that was kept has it")
        elif outcome == "failed":
            self.receipt(m, 2, m["certificate"], code=-2201, cause="the hook failed")

    def on_cancel(self, number, m):
        self.cancels.append(m)
        self.send("agent_ack", self.number(), id=number)

    def on_ack(self, number, m):
        self.acks.append(m)
        self.receipts = [(seq, body) for seq, body in self.receipts if seq != m["seq"]]

    # ---- as a relying party ----
    def relies(self, *rows):
        """Tells, now and after each welcome, what its services rely on: (cert_id, address, name)."""
        self.relies_on = [dict(cert_id=c, address=a, name=n) for c, a, n in rows]
        self.tell_relies()

    def tell_relies(self):
        if self.relies_on is not None:
            self.send_signed("relies", "vcc relies v1", body_encode("relies", made_at=now_ms(), rows=self.relies_on))

    def saw(self, m, code=0, key=None, **lies):
        """The answer to a peer_look."""
        fields = {k: m[k] for k in ("renewal_id", "attempt", "cert_id", "fingerprint")}
        fields.update(seen=m["fingerprint"] if code == 0 else bytes(32), code=code, cause="" if code == 0 else "as the test wants it", handshakes=20,
                      others=0 if code == 0 else 20, trust_epoch=1, made_at=now_ms())
        fields.update(lies)
        return self.send_signed("peer_saw", "vcc peer saw v1", body_encode("peer_saw", **fields), key)

    def on_peer_look(self, number, m):
        self.looks.append(m)
        code = self.sees(self, m)
        if code is not None:
            self.saw(m, code)

    def on_identity(self, number, m):
        self.identities.append(m)

    def on_bundle(self, number, m):
        self.bundles.append(m)

    def acked(self, number, seconds=DEADLINE):
        return self.wait(f"ack of {number}", lambda: next((a for a in self.acks if a["id"] == number), None), seconds)


__all__ = ["FakeGateway", "FakeHost", "body_decode", "request", "token_parts"]
