"""A link, gateway and controller in one, for tests of the keeper: joins it, welcomes it, orders, signs, acknowledges, lies."""
import hashlib
import os
import queue
import socket
import subprocess
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from fake_ca import Authorities, join_token, now, spki, verify
from wire_tables import body_decode, decode, encode, frame_read, frame_write


class Failed(Exception):
    pass


def uuid7():
    ms = int(time.time() * 1000)
    b = bytearray(ms.to_bytes(6, "big") + os.urandom(10))
    b[6], b[8] = 0x70 | b[6] & 15, 0x80 | b[8] & 63
    return bytes(b)


def names_text(names):
    return ",".join(sorted(("IP:" if n[0].isdigit() else "DNS:") + n for n in names))


def canonical(names):
    """As struct names sorts: DNS before IP."""
    dns = sorted(n for n in names if not n[0].isdigit())
    ips = sorted(n for n in names if n[0].isdigit())
    return ",".join([f"DNS:{n}" for n in dns] + [f"IP:{n}" for n in ips])


class FakeLink:
    """`answer(order, csr)` may be replaced: gives (certificate DER, chain DER, stage) for a request."""

    def __init__(self, cas=None, name="clara01", service="clara"):
        self.cas, self.name, self.service = cas or Authorities(), name, service
        self.link_key = ec.generate_private_key(ec.SECP256R1())
        self.host_key = None
        self.sock = self.stream = None
        self.lost = False     # the keeper has closed the connection
        self.orders = {}      # (renewal_id, attempt) -> order fields
        self.receipts = []    # decoded bodies, in order of arrival, without repeats
        self.receipt_seq = 0
        self.seen = queue.Queue()
        self.drifts = []      # messages as they came, with the time of arrival
        self.acks, self.steps, self.targets, self.identities, self.csrs = {}, [], [], [], []
        self.hello = self.health = None
        self.next_id = 1000
        self.skew_ms = 0
        self.files = {}       # kind of fetch (0 authorities, 1 lists) -> bytes
        self.fetches = []     # what the keeper asked for
        self.deliver = self.pieces
        self.looks = []       # from outside, that the keeper wants
        self.acking = True
        self.refuse_targets = None  # (code, text): the answer to every target file
        self.answering = True
        self.answer = self.issue
        self.lock = threading.Condition()
        self.raw = bytearray()  # every frame, both ways
        self.given_up = set()   # orders that a newer one took over, or that a test left unanswered: they end without a receipt

    # ---- joining ----
    def join(self, keeper, *arguments, tamper=None, env=None):
        """Returns the fields of join_done. `tamper(reply)` may change the controller's answer."""
        p = subprocess.Popen([keeper, "join", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ, **(env or {})))
        token, token_key = join_token(self.name)
        try:
            frame_write(p.stdin, encode("ipc-link", "join_start", 0, token=token, pin=self.cas.pin, root=self.cas.root.der,
                                        link_spki=spki(self.link_key), link_version="test"))
            frame = frame_read(p.stdout)
            if frame is None:
                raise Failed("the keeper ended")
            kind, _, sign = decode("ipc-link", frame)
            if kind == "join_done":
                return sign
            token_key.public_key().verify(sign["token_signature"], b"vcc join v1\0" + sign["body"])
            body = body_decode("join", sign["body"])
            host = load_der_public_key(body["host_spki"])
            verify(host, "vcc join v1", sign["body"], sign["host_signature"])
            assert body["name"] == self.name and body["pin"] == self.cas.pin
            self.host_key = host
            host_hash = hashlib.sha256(body["host_spki"]).digest()
            reply = {"agent": self.name, "service": self.service, "domain": self.cas.domain, "address": "127.0.0.1:8443",
                     "names": "DNS:*.clara.vcc.internal,DNS:clara.vcc.internal", "now_at": int(now() * 1000),
                     "certificate": self.cas.identity(self.link_key.public_key(), self.name, host_hash), "chain": self.cas.agent.der,
                     "bundle": self.cas.bundle()}
            if tamper:
                tamper(reply, host_hash)
            frame_write(p.stdin, encode("ipc-link", "join_answer", 0, reply=encode("ipc-join", "join_reply", 0, **reply)))
            frame = frame_read(p.stdout)
            if frame is None:
                raise Failed("the keeper ended")
            return decode("ipc-link", frame)[2]
        finally:
            p.stdin.close()
            p.wait(20)
            p.stdout.close()

    # ---- connection ----
    def connect(self, path, seconds=20.0, welcome=True):
        end = time.monotonic() + seconds
        while True:
            self.sock = socket.socket(socket.AF_UNIX)
            try:
                self.sock.connect(path)
                break
            except OSError:
                self.sock.close()
                if time.monotonic() > end:
                    raise Failed(f"{path}: nobody listens")
                time.sleep(0.02)
        self.stream, self.lost = self.sock.makefile("rwb"), False
        frame_write(self.stream, encode("ipc-link", "state", 0, connected=True))
        threading.Thread(target=self.read, args=(self.stream,), daemon=True).start()
        if welcome:
            self.welcome()

    def close(self):
        if self.sock:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.sock.close()
            self.sock = self.stream = None

    def send(self, kind, number=None, /, **fields):
        self.next_id += 1
        number = number or self.next_id
        self.send_raw(encode("agent", kind, number, **fields))
        return number

    def send_raw(self, frame):
        self.raw += frame
        try:
            frame_write(self.stream, encode("ipc-link", "frame", 0, frame=frame))
        except (OSError, ValueError, AttributeError):
            pass  # the keeper was killed: what counts comes again after the next welcome

    def welcome(self):
        self.send("welcome", epoch=b"e" * 16, agent=self.name, now_at=int(now() * 1000) + self.skew_ms, receipt_seq=self.receipt_seq,
                  identity_not_after_at=int(now() * 1000) + 86400000, bundle_epoch=1)
        for order in list(self.orders.values()):
            if order["open"] and order.get("back"):
                order["numbers"].append(self.send("rollback", **order["certificate"]))
            elif order["open"]:
                order["numbers"].append(self.send(order["kind"], **order["message"]))
                if order["certificate"]:
                    self.send("certificate", **order["certificate"])

    def read(self, stream):
        try:
            while (frame := frame_read(stream)) is not None:
                kind, _, fields = decode("ipc-link", frame)
                self.raw += frame
                with self.lock:
                    if kind == "frame":
                        self.take(*decode("agent", fields["frame"]))
                    elif kind == "identity":
                        self.identities.append(fields)
                    elif kind == "fetch":
                        self.fetches.append(dict(fields, arrived=time.time()))
                        self.deliver(fields)
                    elif kind == "peer_look":
                        self.looks.append(fields)
                    self.lock.notify_all()
        except (OSError, ValueError):
            pass
        if stream is self.stream:
            self.lost = True

    # ---- what a controller does ----
    def take(self, kind, number, fields):
        getattr(self, f"take_{kind}", lambda *_: None)(number, fields)

    def take_hello(self, _, fields):
        self.hello = fields

    def take_health(self, _, fields):
        self.health = fields

    def take_target(self, number, fields):
        self.targets.append(fields)
        code, text = self.refuse_targets or (0, "")
        self.send("ack", id=number, code=code, text=text)

    def take_drift(self, _, fields):
        self.drifts.append(dict(fields, arrived=time.time()))

    def take_step(self, _, fields):
        self.steps.append(fields)

    def take_agent_ack(self, _, fields):
        self.acks[fields["id"]] = fields

    def take_agent_identity(self, _, fields):
        verify(self.host_key, "vcc identity v1", fields["body"], fields["signature"])
        body = body_decode("identity", fields["body"])
        csr = x509.load_der_x509_csr(body["csr"])
        host_hash = hashlib.sha256(spki(self.host_key)).digest()
        self.send("identity", certificate=self.cas.identity(csr.public_key(), self.name, host_hash), chain=self.cas.agent.der)

    def take_csr(self, _, fields):
        verify(self.host_key, "vcc csr v1", fields["body"], fields["signature"])
        body = body_decode("csr", fields["body"])
        csr = x509.load_der_x509_csr(body["csr"])
        assert csr.is_signature_valid
        self.csrs.append(body)
        order = self.orders.get((body["renewal_id"], body["attempt"]))
        if order is None or not self.answering or order["certificate"]:
            if order and order["certificate"]:
                self.send("certificate", **order["certificate"])
            return
        certificate, chain, stage = self.answer(order["message"], csr)
        order["fingerprint"] = hashlib.sha256(certificate).digest()
        message = order["message"]
        order["certificate"] = dict(renewal_id=message["renewal_id"], attempt=message["attempt"], cert_id=message["cert_id"],
                                    trigger=message["trigger"], deadline_at=message["deadline_at"], post_validation=message["post_validation"], any_time=message["any_time"],
                                    stage=stage, certificate=certificate, chain=chain)
        self.send("certificate", **order["certificate"])

    def issue(self, order, csr):
        names = [n.split(":", 1)[1] for n in order["names"].split(",")]
        return self.cas.leaf(csr.public_key(), names, order["common_name"]), self.cas.service.der, hashlib.sha256(spki(csr)).digest()

    def take_receipt(self, number, fields):
        verify(self.host_key, "vcc receipt v1", fields["body"], fields["signature"])
        body = body_decode("receipt", fields["body"])
        if body["seq"] > self.receipt_seq:
            self.receipt_seq = body["seq"]
            self.receipts.append(body)
            order = self.orders.get((body["renewal_id"], body["attempt"]))
            if order and body["outcome"] in (1, 2, 3, 5):
                order["open"] = False
        if self.acking:
            self.send("ack", id=number, seq=body["seq"])

    # ---- revocation lists ----
    def announce(self, lists, issuers=None, **changes):
        """The controller tells of them, and the public listener has them."""
        self.files = {0: b"".join(a.pem for a in issuers or [self.cas.service, self.cas.agent]), 1: lists}
        message = dict(hash=hashlib.sha256(lists).digest(), size=len(lists), made_at=int(now() * 1000))
        message.update(changes)
        self.send("crl", **message)

    def pieces(self, want, size=30000):
        data = self.files[want["kind"]]
        for at in range(0, len(data), size):
            part = data[at:at + size]
            self.piece(want, offset=at, total=len(data), last=at + len(part) == len(data), bytes=part)

    def piece(self, want, **fields):
        try:
            frame_write(self.stream, encode("ipc-link", "piece", 0, request=want["request"], **fields))
        except (OSError, ValueError, AttributeError):
            pass

    def order(self, cert_id, names, attempt=1, renewal_id=None, key_type=0, post_validation=True, kind="order", **changes):
        """Returns (renewal_id, attempt). kind: the message, also drill."""
        message = dict(renewal_id=renewal_id or uuid7(), attempt=attempt, cert_id=cert_id, trigger=4, key_type=key_type, names=canonical(names),
                       common_name=names[0], deadline_at=int(now() * 1000) + 600000, post_validation=post_validation, any_time=False)
        message.update(changes)
        key = (message["renewal_id"], message["attempt"])
        with self.lock:
            self.orders[key] = {"kind": kind, "message": message, "open": True, "certificate": None, "fingerprint": None, "numbers": []}
        self.orders[key]["numbers"].append(self.send(kind, **message))
        return key

    def back(self, key, before):
        """The order `key` is rolled back to the certificate of the order `before`; returns (renewal_id, attempt)."""
        new = (key[0], key[1] + 1)
        message = dict(self.orders[before]["certificate"], renewal_id=new[0], attempt=new[1], any_time=True)
        with self.lock:
            self.orders[new] = {"kind": "rollback", "message": message, "open": True, "certificate": message, "fingerprint": self.orders[before]["fingerprint"], "numbers": [],
                                "back": True}
        self.orders[new]["numbers"].append(self.send("rollback", **message))
        return new

    # ---- waiting ----
    def wait(self, what, condition, seconds=60.0):
        end = time.monotonic() + seconds
        with self.lock:
            while True:
                value = condition()
                if value:
                    return value
                left = end - time.monotonic()
                if left <= 0 or not self.lock.wait(min(left, 1.0)) and time.monotonic() > end:
                    raise Failed(f"{what}: not within {seconds:.0f} s; receipts {[(r['outcome'], r['code'], r['cause']) for r in self.receipts]}")

    def outcomes(self, key):
        return [r["outcome"] for r in self.receipts if (r["renewal_id"], r["attempt"]) == key]

    def care(self, reason, outcome=1, after=0, seconds=60.0):
        """The first account of the care for a target with a higher number than `after`. reason: number of enum refresh_reason."""
        return self.wait(f"receipt of care {reason}", lambda: next((r for r in self.receipts if r["seq"] > after and r["reason"] == reason and
                                                                   r["outcome"] == outcome), None), seconds)

    def receipt(self, key, outcome, seconds=60.0):
        """outcome: 0 verified, 1 settled, 2 failed, 3 refused, 4 kept"""
        return self.wait(f"receipt {outcome}", lambda: next((r for r in self.receipts if (r["renewal_id"], r["attempt"]) == key and
                                                            r["outcome"] == outcome), None), seconds)

    def status(self, path):
        import json
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            stream = s.makefile("rwb")
            frame_write(stream, encode("ipc-link", "status_request", 0))
            return json.loads(decode("ipc-link", frame_read(stream))[2]["json"])
