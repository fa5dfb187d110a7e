"""A captured link: it holds the link's key and certificate and may send any frame to either side. It gets nothing signed, issued or believed
that the host key did not sign for this host, and what it breaks mends itself when it is gone."""
import hashlib
import os
import queue
import select
import shutil
import socket
import threading
import time

import checks
import pytest
import wire_tables as wire
from conftest import new_folder
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fake_agent import Closed, FakeAgent
from fake_ca import Authorities, now, signed, spki, spki_hash, verify
from installation import Installation, wait_for

SIGNATURE = -1402
LABELS = {"csr": "vcc csr v1", "agent_identity": "vcc identity v1", "receipt": "vcc receipt v1"}


def csr_of(key):
    return x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


class Captured:
    """Stands between keeper and gateway as the link does. `up(kind, number, fields, frame)` and `down(...)` return the frame to pass on,
    or None."""

    def __init__(self, inst, host):
        path = os.path.join(host.dir, "link", "identity.pem")
        with open(path, "rb") as f:
            self.key = serialization.load_pem_private_key(f.read(), None)
        self.up = self.down = lambda kind, number, fields, frame: frame
        self.agent = FakeAgent(inst.agents_address, path).upgrade()
        self.keeper = socket.socket(socket.AF_UNIX)
        self.keeper.connect(os.path.join(host.dir, "run", "keeper.sock"))
        self.stream = self.keeper.makefile("rwb")
        self.lock, self.keeper_lock = threading.Lock(), threading.Lock()  # a TLS connection is nobody's while another thread is in it
        self.acks, self.seen_up, self.seen_down = queue.Queue(), [], []
        self.number = 1 << 40  # our own frames, apart from the keeper's
        self.to_keeper("state", connected=True)
        for target in (self._from_gateway, self._from_keeper):
            threading.Thread(target=target, daemon=True).start()

    def to_keeper(self, kind, **fields):
        with self.keeper_lock:
            wire.frame_write(self.stream, wire.encode("ipc-link", kind, 0, **fields))

    def to_gateway(self, frame):
        with self.lock:
            self.agent.send(frame)

    def _next(self):
        """The next frame; waits for it without holding the connection."""
        while not self.agent.buffer and not self.agent.sock.pending() and not select.select([self.agent.sock], [], [], 1)[0]:
            pass
        with self.lock:
            return self.agent.recv_any()

    def _from_gateway(self):
        try:
            while True:
                opcode, frame = self._next()
                if opcode == 9:
                    with self.lock:
                        self.agent.send(frame, opcode=10)
                elif opcode == 2:
                    kind, number, fields = wire.decode("agent", frame)
                    self.seen_down.append((kind, fields))
                    if kind == "ack" and fields["id"] >= 1 << 40:
                        self.acks.put(fields)
                    elif frame := self.down(kind, number, fields, frame):
                        try:
                            self.to_keeper("frame", frame=frame)
                        except OSError:  # it has another link by now; what the gateway says is still read
                            pass
        except (Closed, OSError, ValueError):
            pass

    def _from_keeper(self):
        try:
            while (data := wire.frame_read(self.stream)) is not None:
                kind, _, fields = wire.decode("ipc-link", data)
                if kind != "frame":
                    self.seen_up.append((kind, fields))
                    continue
                kind, number, inner = wire.decode("agent", fields["frame"])
                self.seen_up.append((kind, inner))
                if frame := self.up(kind, number, inner, fields["frame"]):
                    self.to_gateway(frame)
        except (Closed, OSError, ValueError):
            pass

    def ask(self, kind, **fields):
        """Sends a message of our own; gives the code of the answer, None when there is none within a while."""
        self.number += 1
        self.to_gateway(wire.encode("agent", kind, self.number, **fields))
        try:
            while (ack := self.acks.get(timeout=4))["id"] != self.number:
                pass
            self.text = ack["text"]
            return ack["code"]
        except queue.Empty:
            return None

    def wait_up(self, kind, seconds=30):
        return wait_for(f"{kind} of the keeper", lambda: next((f for k, f in list(self.seen_up) if k == kind), None), seconds)

    def wait_down(self, kind, seconds=30):
        return wait_for(f"{kind} of the controller", lambda: next((f for k, f in list(self.seen_down) if k == kind), None), seconds)

    def close(self):
        self.agent.close()
        try:
            self.keeper.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.keeper.close()


@pytest.fixture(scope="module")
def world():
    path = new_folder("captured")
    inst = Installation(path)
    try:
        inst.init()
        inst.start()
        inst.edit_template("clara_service_auth", retry_interval="1s", max_renewal_attempts=20)
        hosts = [inst.add_echo(i) for i in range(2)]
        for host in hosts:
            inst.wait_served(host)
        yield inst, hosts[0], hosts[1]
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def link(world):
    """The first host's link is ours. Afterwards the true one takes over and everything is as before."""
    inst, host, _ = world
    checks.served_is_issued(inst, host)
    host.processes["agent"].stop()
    captured = Captured(inst, host)
    wait_for("the captured link is taken for the agent", lambda: inst.agent(host.name)["connected"], 30)
    yield captured
    captured.close()
    host.processes["agent"].start()
    inst.wait_renewed(host, None, 90)  # an order that was kept open ends now
    before = checks.served_is_issued(inst, host)
    inst.vccctl("cert", "renew", host.cert_id, "--force")
    inst.wait_renewed(host, before)
    checks.served_is_issued(inst, host)


def certificates(inst):
    return checks.rows(inst.facts()["controller"]["db"], "SELECT count(*) FROM issuances")[0][0]


def receipts(inst):
    return checks.rows(inst.facts()["controller"]["db"], "SELECT count(*) FROM receipts")[0][0]


def body(key, kind, table, /, **fields):
    data = wire.body_encode(table, **fields)
    return {"body": data, "signature": signed(key, LABELS[kind], data)}


def test_the_link_key_signs_nothing_that_counts(world, link):
    """Request, receipt and identity under the link's own key: refused, nothing issued, the order stays open."""
    inst, host, _ = world
    link.up = lambda kind, number, fields, frame: None if kind in ("csr", "receipt") else frame
    renewal = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    order = link.wait_down("order")
    real = link.wait_up("csr")
    before, known = certificates(inst), receipts(inst)
    mine = ec.generate_private_key(ec.SECP256R1())
    ids = {"renewal_id": order["renewal_id"], "attempt": order["attempt"], "cert_id": host.cert_id, "made_at": int(now() * 1000)}
    assert link.ask("csr", **body(link.key, "csr", "csr", csr=csr_of(mine), **ids)) == SIGNATURE
    # the host key's signature under another body, and under another label
    other = wire.body_encode("csr", csr=csr_of(mine), **ids)
    assert link.ask("csr", body=other, signature=real["signature"]) == SIGNATURE
    assert link.ask("agent_identity", body=real["body"], signature=real["signature"]) == SIGNATURE
    assert link.ask("receipt", body=real["body"], signature=real["signature"]) == SIGNATURE
    # "it is served": nobody saw it
    cert = inst.certificate(host.cert_id)
    lie = {"seq": 1 << 20, "renewal_id": order["renewal_id"], "attempt": order["attempt"], "cert_id": host.cert_id, "outcome": 1,
           "fingerprint": bytes.fromhex(cert["fingerprint"]), "made_at": int(now() * 1000), "probes": 20}
    assert link.ask("receipt", **body(link.key, "receipt", "receipt", **lie)) == SIGNATURE
    for name in (host.name, "somebody"):
        assert link.ask("agent_identity", **body(link.key, "agent_identity", "identity", name=name, made_at=int(now() * 1000), csr=csr_of(mine))) == SIGNATURE
    assert certificates(inst) == before and receipts(inst) == known
    assert [r for r in inst.certificate(host.cert_id)["renewals"] if r["renewal_id"] == renewal][0]["status"] not in ("completed", "failed")


def test_what_it_says_of_files_and_clocks(world, link):
    """Live events need no signature: they speak of this host's own targets alone, and no number is too large."""
    inst, host, other = world
    drift = {"file": "key.pem", "kind": 2, "files": 1, "uid": 0xFFFFFFFF, "mode": 0xFFFFFFFF, "links": 0xFFFFFFFF, "seen_at": 1}

    def told():
        return [e[0] for e in checks.rows(inst.facts()["controller"]["db"], "SELECT object FROM audit WHERE event = 'target_changed_by_somebody' ORDER BY seq")]
    before = told()
    for cert_id in (other.cert_id, "no-such", f"{other.cert_id}:web", host.cert_id):
        link.to_gateway(wire.encode("agent", "drift", 1 << 41, cert_id=cert_id, stem=host.cert_id.removeprefix(f"{host.name}-"), **drift))
        time.sleep(0.5)
    wait_for("its own is told", lambda: told() != before, 20)
    assert told()[len(before):] == [host.cert_id]
    for at in (-2**63, 2**63 - 1, 0, int(now() * 1000)):
        link.to_gateway(wire.encode("agent", "health", 1 << 41, now_at=at))
    wait_for("the last one counts", lambda: abs(inst.agent(host.name)["clock_skew_ms"]) < 60000, 20)


def test_frames_of_the_past_move_nothing(world, link):
    """T5: a request and receipts that the host key did sign, again and altered."""
    inst, host, _ = world
    before = checks.served_is_issued(inst, host)
    inst.vccctl("cert", "renew", host.cert_id, "--force")
    inst.wait_renewed(host, before)
    issued, known = certificates(inst), receipts(inst)
    signed_before = [(k, f) for k, f in link.seen_up if k in ("csr", "receipt")]
    assert len(signed_before) >= 3, "a request, verified, settled"
    for kind, fields in signed_before:
        link.ask(kind, **fields)
        spoilt = bytearray(fields["body"])
        spoilt[-1] ^= 1
        assert link.ask(kind, body=bytes(spoilt), signature=fields["signature"]) == SIGNATURE
    assert certificates(inst) == issued and receipts(inst) == known
    assert not inst.certificate(host.cert_id)["open_order"]


def test_another_host_is_out_of_reach(world, link):
    """Names, certificates and identities of a neighbour, asked for by this link."""
    inst, host, other = world
    issued = certificates(inst)
    target = {"cert_id": "stolen-web", "service": other.service, "template_id": other.template, "stem": "web", "names": f"DNS:{other.names[0]}",
              "reload_kind": "none", "verify_kind": "none", "listeners": "", "digest": b"d" * 32}
    for wish in (target, {**target, "service": host.service, "template_id": host.template}):
        code = link.ask("target", **wish)
        assert code is not None and (code < 0 or "wait for an approval" in link.text), (code, link.text)
    assert link.ask("target", **{**target, "cert_id": other.cert_id, "service": host.service, "template_id": host.template,
                                 "names": f"DNS:{host.names[0]}"}) == -3013
    before = checks.served_is_issued(inst, other)
    inst.vccctl("cert", "renew", other.cert_id, "--force")
    inst.wait_renewed(other, before)
    assert not any(f.get("cert_id") == other.cert_id for _, f in link.seen_down), "orders of others do not come here"
    assert certificates(inst) == issued + 1


def test_the_keeper_signs_requests_for_its_own_link_only(world, link):
    """Whatever request the link brings, the host key signs it as this host's identity and as nothing else."""
    inst, host, other = world
    mine = ec.generate_private_key(ec.SECP256R1())
    link.up = lambda kind, number, fields, frame: None if kind == "agent_identity" else frame
    link.to_keeper("csr", csr=csr_of(mine))
    asked = link.wait_up("agent_identity")
    host_key = serialization.load_pem_private_key(open(os.path.join(host.dir, "keeper", "host.key"), "rb").read(), None).public_key()
    verify(host_key, LABELS["agent_identity"], asked["body"], asked["signature"])
    assert wire.body_decode("identity", asked["body"])["name"] == host.name
    issued = certificates(inst)
    assert link.ask("csr", **asked) == SIGNATURE and link.ask("receipt", **asked) == SIGNATURE
    named = wire.body_decode("identity", asked["body"])
    named["name"] = other.name
    assert link.ask("agent_identity", body=wire.body_encode("identity", **named), signature=asked["signature"]) == SIGNATURE
    assert certificates(inst) == issued
    for wrong in (b"", b"\x30\x03\x02\x01\x00", csr_of(mine)[:-1], b"\x00" * 2048):
        link.to_keeper("csr", csr=wrong)
    before = len([k for k, _ in link.seen_up if k == "agent_identity"])
    link.to_keeper("status_request")
    link.wait_up("status")
    assert len([k for k, _ in link.seen_up if k == "agent_identity"]) == before, "what is no request is not signed"


def test_the_keeper_takes_no_foreign_certificate(world, link):
    """An own CA, another key, other names: refused before anything is written, and no identity is handed out unasked."""
    inst, host, other = world
    before, cas, mine = checks.matching_set(host.target_dir), Authorities(), ec.generate_private_key(ec.SECP256R1())
    swapped = []

    def swap(kind, number, fields, frame):
        if kind != "certificate":
            return frame
        swapped.append(fields)
        wrong = dict(fields)
        if len(swapped) == 1:
            wrong["certificate"], wrong["chain"] = cas.leaf(mine.public_key(), host.names), cas.service.der
        else:
            path = f"{other.target_dir}/current/cert.pem"
            wrong["certificate"] = x509.load_pem_x509_certificate(open(path, "rb").read()).public_bytes(serialization.Encoding.DER)
        return wire.encode("agent", "certificate", number, **wrong)

    link.down = swap
    inst.vccctl("cert", "renew", host.cert_id, "--force")
    wait_for("the certificate was swapped on its way", lambda: swapped, 90)
    receipt = wait_for("the keeper's refusal", lambda: next((wire.body_decode("receipt", f["body"]) for k, f in list(link.seen_up) if k == "receipt"), None), 30)
    assert receipt["outcome"] == 3 and receipt["code"] < 0, receipt
    assert checks.matching_set(host.target_dir) == before
    link.to_keeper("frame", frame=wire.encode("agent", "identity", 1, certificate=cas.identity(mine.public_key(), host.name, spki_hash(mine)), chain=cas.agent.der))
    link.to_keeper("frame", frame=cas.bundle())
    link.to_keeper("status_request")
    link.wait_up("status")
    assert not any(k == "identity" for k, _ in link.seen_up)
    refused = [f for k, f in link.seen_up if k == "agent_ack" and f["code"] == -2011]
    assert refused, "a bundle that no trusted root signed"
    assert checks.matching_set(host.target_dir) == before


def post_join(inst, frame):
    """(kind, fields) of the join port's answer."""
    import http.client
    import ssl
    connection = http.client.HTTPSConnection(inst.join_address, timeout=20, context=ssl._create_unverified_context())
    try:
        connection.request("POST", "/join", frame)
        kind, _, fields = wire.decode("ipc-join", connection.getresponse().read())
        return kind, fields
    finally:
        connection.close()


def of_keeper(link, kind, n):
    """The n-th message of this kind that the keeper sends."""
    return wait_for(f"{kind} of the keeper", lambda: ([f for k, f in list(link.seen_up) if k == kind] + [None] * n)[n - 1], 20)


def test_the_keeper_signs_a_return_for_this_host_only(world, link):
    """The captured link asks for a way back in its own key: what it gets is worth nothing for another key, another host or another day."""
    inst, host, other = world
    root = open(os.path.join(host.dir, "link", "root.der"), "rb").read()
    pin, mine, theirs = hashlib.sha256(root).digest(), ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    host_key = serialization.load_pem_private_key(open(os.path.join(host.dir, "keeper", "host.key"), "rb").read(), None).public_key()
    kind, given = post_join(inst, wire.encode("ipc-join", "return_ask", 0, agent=host.name))
    assert kind == "challenge"
    link.to_keeper("return", pin=b"p" * 32, link_spki=spki(mine), challenge=given["challenge"])
    assert of_keeper(link, "return_done", 1)["code"] == -2300, "a root that this host does not trust"
    link.to_keeper("return", pin=pin, link_spki=spki(mine), challenge=given["challenge"])
    signed_by_host = of_keeper(link, "return_sign", 1)
    verify(host_key, "vcc return v1", signed_by_host["body"], signed_by_host["host_signature"])
    said = wire.body_decode("return", signed_by_host["body"])
    assert said["name"] == host.name and said["link_spki"] == spki(mine)
    before = certificates(inst)

    def post(agent=host.name, key=mine, body=signed_by_host["body"]):
        return post_join(inst, wire.encode("ipc-join", "return", 0, agent=agent, body=body, host_signature=signed_by_host["host_signature"],
                                           link_signature=signed(key, "vcc return v1", body)))[1]["code"]

    assert post(key=theirs) == -3232, "another link key signs"
    named = dict(said, link_spki=spki(theirs))
    assert post(key=theirs, body=wire.body_encode("return", **named)) == -3230, "and is named, too"
    assert post(body=wire.body_encode("return", **dict(said, name=other.name))) == -3230
    assert post(agent=other.name) == -3230
    # as a receipt, a request, an identity it is nothing
    for kind in ("csr", "receipt", "agent_identity"):
        assert link.ask(kind, body=signed_by_host["body"], signature=signed_by_host["host_signature"]) == SIGNATURE
    inst.processes["controller"].kill()
    inst.processes["controller"].start()
    wait_for("the controller is ready", inst.ready)
    assert post() == -3231, "kept for later"
    assert certificates(inst) == before


def test_the_keeper_takes_no_foreign_way_back(world, link):
    """Answers to a return that the controller never gave: refused, and what this host trusts and is stays as it was."""
    inst, host, _ = world
    cas, mine = Authorities(), ec.generate_private_key(ec.SECP256R1())
    root = open(os.path.join(host.dir, "link", "root.der"), "rb").read()
    kept = {name: open(os.path.join(host.dir, "keeper", name), "rb").read() for name in ("identity", "bundle", "host.key")}
    host_hash = hashlib.sha256(spki(serialization.load_pem_private_key(kept["host.key"], None))).digest()
    # the encoded message stands behind the file's checksum
    good = {"agent": host.name, "service": host.service, "domain": inst.domain, "address": inst.agents_address, "now_at": int(now() * 1000),
            "certificate": cas.identity(mine.public_key(), host.name, host_hash), "chain": cas.agent.der, "bundle": kept["bundle"][32:]}
    lies = [(good, -1404), ({**good, "agent": "somebody"}, -1407), ({**good, "agent": "No Name"}, -3202), ({**good, "domain": "else.internal"}, -3202), ({**good, "bundle": b""}, None),
            ({**good, "bundle": cas.bundle(wire.body_encode("bundle", epoch=2, threshold=1, made_at=1, roots=[{"certificate": cas.root.der}]))}, -2011),
            # too far on to follow ours: what comes with it is judged by our own roots
            ({**good, "bundle": cas.bundle(wire.body_encode("bundle", epoch=9, threshold=1, made_at=1, roots=[{"certificate": cas.root.der}]))}, -1404),
            ({**good, "certificate": cas.identity(cas.agent.key.public_key(), host.name, host_hash)}, -1405), ({"code": -3207, "text": "no"}, -3207)]
    for n, (reply, code) in enumerate(lies, 1):
        link.to_keeper("return", pin=hashlib.sha256(root).digest(), link_spki=spki(mine), challenge=b"c" * 40)
        of_keeper(link, "return_sign", n)
        link.to_keeper("return_answer", reply=wire.encode("ipc-join", "join_reply", 0, **reply))
        done = of_keeper(link, "return_done", n)
        assert done["code"] < 0 and code in (done["code"], None) and not done["certificate"], (n, done["code"], done["text"])
    link.to_keeper("return_answer", reply=wire.encode("ipc-join", "join_reply", 0, **good))
    assert of_keeper(link, "return_done", len(lies) + 1)["code"] < 0, "an answer to nothing that was asked"
    for name, data in kept.items():
        assert open(os.path.join(host.dir, "keeper", name), "rb").read() == data, name


def test_the_second_connection_wins_and_is_counted(world, link):
    """The true link beside the captured one: one of them is thrown out, and it is seen."""
    inst, host, _ = world
    host.processes["agent"].start()
    # nothing is sent meanwhile: what the closed side answers to it would push out the last words that are not read yet
    wait_for("the captured link is told", lambda: any(k == "bye" and f["code"] == -3208 for k, f in list(link.seen_down)), 40)
    wait_for("the captured link is cut off", lambda: closed(link), 40)
    host.processes["agent"].stop()
    time.sleep(0.2)


def closed(link):
    try:
        link.to_gateway(wire.encode("agent", "health", 1, now_at=1))
        return False
    except Closed:
        return True
