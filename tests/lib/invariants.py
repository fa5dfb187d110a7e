"""What must hold after every fault, for all tests that break something on purpose.

I1 target paths hold one complete matching pair at any moment      I5 the audit tree verifies
I2 what is served is the pair of the active generation             I6 no private key byte outside its folder
I3 nothing that was acknowledged is lost                           I7 every order ends in exactly one final state
I4 no certificate without durable intent and audit record          I8 an error names object, cause, next step and a stable code

    with Watched(host.tls) as watch: ...            # I1 while something happens
    check("I2 I3 I7", KeeperWorld(host), watch)     # the others behind it"""
import base64
import hashlib
import json
import os
import re
import subprocess
import uuid

import checks
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from installation import ROOT, wait_for

NAMES = ("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8")
SETTLED, FAILED, REFUSED, KEPT = 1, 2, 3, 4
FINAL = {SETTLED, FAILED, REFUSED}
PEM_KEY = re.compile(rb"-----BEGIN (?:EC |RSA )?PRIVATE KEY-----\s+.+?-----END (?:EC |RSA )?PRIVATE KEY-----", re.S)


# ---- I1 ----

class Watched:
    """A process that reads key and chain through DIR/current again and again. `broken` after the end, or at `mark()`."""

    def __init__(self, *folders):
        self.folders, self.children = folders, []
        self.looks, self.broken, self.keys = 0, [], set()

    def start(self):
        program = os.path.join(ROOT, "tests", "lib", "pair_watch.py")
        for folder in self.folders:
            self.children.append(subprocess.Popen(["/usr/bin/python3", program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        self.ask()  # it looks from now on
        self.looks, self.broken = 0, []
        return self

    def ask(self):
        for child in self.children:
            child.stdin.write("\n")
            child.stdin.flush()
            said = json.loads(child.stdout.readline())
            self.looks += said["looks"]
            self.broken += said["broken"]
            self.keys |= set(said["keys"])

    def end(self):
        if self.children:
            self.ask()
        for child in self.children:
            child.stdin.close()
            child.wait(20)
            child.stdout.close()
        self.children = []

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.end()


def always_one_pair(watch):
    assert watch.looks > 0, "nobody looked"
    assert not watch.broken, f"I1: {watch.broken[:5]}"


# ---- I6 ----

def secrets_of_pem(data):
    """The secret numbers of every private key in these bytes."""
    for pem in PEM_KEY.findall(data):
        try:
            key = serialization.load_pem_private_key(pem, None)
        except (ValueError, TypeError):
            continue
        if isinstance(key, ec.EllipticCurvePrivateKey):
            yield key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8, "big")
        elif isinstance(key, rsa.RSAPrivateKey):
            n = key.private_numbers()
            yield from (x.to_bytes((x.bit_length() + 7) // 8, "big") for x in (n.p, n.q, n.d))


def files_of(folder, skip=()):
    """path -> bytes of every plain file; folders in `skip` are left out."""
    found = {}
    for base, folders, files in os.walk(folder):
        folders[:] = [d for d in folders if os.path.join(base, d) not in skip]
        for name in files:
            path = os.path.join(base, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            try:
                with open(path, "rb") as f:
                    found[path] = f.read()
            except OSError:
                continue
    return found


def spellings(secret):
    """A secret as it would stand in a frame, a log line, a PEM block or JSON: raw, hexadecimal, base64 in each of its three phases."""
    yield from (secret, secret.hex().encode(), secret.hex().upper().encode())
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret)
        yield text[(4 if shift else 0):-4]


def nowhere_else(secrets, places):
    """places: name -> bytes in which no secret may stand."""
    assert secrets, "there are keys to look for"
    for secret in secrets:
        texts = [t for t in spellings(secret) if len(t) >= 16]
        for place, data in places.items():
            assert not any(t in data for t in texts), f"I6: a private key stands in {place}"


# ---- I8 ----

def registry():
    """number -> (what, next step), from the one list of codes."""
    with open(os.path.join(ROOT, "shared", "base", "err.def")) as f:
        rows = re.findall(r'^ERR\((\d+), \w+, \w+, "((?:[^"\\]|\\.)*)", "((?:[^"\\]|\\.)*)"\)', f.read(), re.M)
    return {int(n): (what, step) for n, what, step in rows}


def error_is_clear(code, text, *objects):
    """`code`: number of any sign or VCC-nnnn. The text must say which thing and why, in words that are not only the code's own."""
    number = int(re.sub(r"\D", "", str(code)))
    known = registry()
    assert number in known, f"I8: {code} is not in the registry"
    what, step = known[number]
    assert len(step) > 10, f"I8: {code} has no next step"
    assert text and text.strip(), f"I8: {code} without a cause"
    for word in objects:
        assert word in text, f"I8: {code}: `{text}` does not name {word}"
    assert text.strip() != what or not objects, f"I8: {code}: nothing beyond the code's own words"


# ---- worlds ----

class KeeperWorld:
    """A KeeperHost with its FakeLink: the controller's side is the test itself, so there is no store to ask (I4, I5)."""

    def __init__(self, host):
        self.host, self.link = host, host.link

    def folders(self):
        return [self.host.tls]

    def I1(self, watch):
        always_one_pair(watch)

    def I2(self, _watch):
        def served():
            try:
                return self.host.served() == self.host.check_set()
            except (OSError, AssertionError):
                return False
        wait_for("I2: the pair in current/ is served", served, 30, 0.1)

    def I3(self, _watch):
        """What the keeper took with an ack has an end, and no receipt that it made is missing."""
        for key, order in self.link.orders.items():
            taken = any(self.link.acks.get(n, {"code": -1})["code"] == 0 for n in order["numbers"])
            assert not taken or self.link.outcomes(key) or key in self.link.given_up, f"I3: an order that was acknowledged has no receipt: {key}"
        numbers = [r["seq"] for r in self.link.receipts]
        assert numbers == sorted(numbers), f"I3: receipts came out of order: {numbers}"
        if numbers:
            missing = set(range(numbers[0], numbers[-1] + 1)) - set(numbers)
            assert not missing, f"I3: receipts {missing} were made and never came"

    def I6(self, watch):
        host = self.host
        own = [host.tls, os.path.join(host.dir, "targets"), os.path.join(host.dir, "keeper"), *getattr(host, "key_folders", ())]
        secrets = set()
        for data in (*(k.encode() for k in watch.keys), *(d for f in own for d in files_of(f).values())):
            secrets |= set(secrets_of_pem(data))
        places = {"frames": bytes(self.link.raw), **files_of(host.dir, skip=own)}
        assert len(self.link.raw) > 500, "frames were captured"
        nowhere_else(secrets, places)

    def I7(self, _watch):
        for key in self.link.orders:
            if key in self.link.given_up:
                continue
            outcomes = self.link.outcomes(key)
            final = [o for o in outcomes if o in FINAL]
            assert len(final) == 1 or not final and outcomes[-1:] == [KEPT], f"I7: {key} ended as {outcomes}"

    def I8(self, _watch):
        assert self.host.errors, "I8: the scenario saw no error"
        for error in self.host.errors:
            error_is_clear(*error)


class InstallationWorld:
    """A complete installation and the hosts of it that are looked at."""

    def __init__(self, inst, *hosts):
        self.inst, self.hosts = inst, hosts
        self.errors = []

    @property
    def db(self):
        return os.path.join(self.inst.state, "controller", "vcc.db")

    def folders(self):
        return [h.target_dir for h in self.hosts]

    def I1(self, watch):
        always_one_pair(watch)

    def I2(self, _watch):
        for host in self.hosts:
            def served(host=host):
                try:
                    return checks.served_is_issued(self.inst, host)
                except (OSError, AssertionError):
                    return None
            wait_for(f"I2: {host.name} serves what is issued", served, 30, 0.2)

    def I3(self, _watch):
        """Every receipt that a host does not send any more is stored; every renewal that was ordered is known."""
        for host in self.hosts:
            state = checks.rows(self.db, "SELECT count(*), min(seq), max(seq) FROM receipts WHERE agent = ?", host.name)[0]
            if state[0]:
                assert state[2] - state[1] + 1 == state[0], f"I3: {host.name}: receipts {state}"
        for renewal in self.inst.ordered:
            known = checks.rows(self.db, "SELECT count(*) FROM orders WHERE renewal_id = ?", uuid.UUID(renewal).bytes)
            assert known == [(1,)], f"I3: renewal {renewal} was accepted and is gone"

    def I4(self, _watch):
        no_certificate_without_intent_and_audit(self.db)

    def I5(self, _watch):
        audit_tree_verifies(self.db)

    def I6(self, watch):
        own = [os.path.join(self.inst.state, n) for n in ("controller", "gateway", "signer")]
        own += [os.path.join(h.dir, n) for h in self.inst.hosts for n in ("keeper", "link", "service", "targets")]
        secrets = set()
        for folder in own:
            for path, data in files_of(folder).items():
                if not path.endswith((".db", ".db-wal", ".log")):
                    secrets |= set(secrets_of_pem(data))
        for key in watch.keys:
            secrets |= set(secrets_of_pem(key.encode()))
        places = files_of(self.inst.dir, skip=own)
        for name in ("vcc.db", "vcc.db-wal"):
            path = os.path.join(self.inst.state, "controller", name)
            if os.path.exists(path):
                with open(path, "rb") as f:
                    places[path] = f.read()
        nowhere_else(secrets, places)

    def I7(self, _watch):
        def ended():
            return not checks.rows(self.db, "SELECT count(*) FROM orders WHERE phase NOT IN ('completed', 'failed', 'rolled_back', 'cancelled', 'paused')")[0][0]
        wait_for("I7: every order has ended", ended, 60, 0.2)
        twice = checks.rows(self.db, "SELECT object, renewal_id, count(*) FROM audit WHERE event IN ('renewal_completed', 'renewal_cancelled') AND renewal_id IS NOT NULL "
                                     "GROUP BY renewal_id HAVING count(*) > 1")
        assert not twice, f"I7: {twice}"

    def I8(self, _watch):
        assert self.errors, "I8: the scenario saw no error"
        for error in self.errors:
            error_is_clear(*error)


def check(names, world, watch):
    """names: "I1 I2 ..."."""
    for name in names.split():
        getattr(world, name)(watch)


# ---- I4, I5: the controller's store ----

def no_certificate_without_intent_and_audit(db):
    unknown = checks.rows(db, "SELECT count(*) FROM issuances i WHERE i.owner = 'certificate' AND i.state NOT IN ('intent', 'void') AND NOT EXISTS "
                              "(SELECT 1 FROM audit a WHERE a.event = 'certificate_intent' AND a.object = i.owner_id)")
    assert unknown[0][0] == 0, "I4: a certificate without intent and audit record"
    doubled = checks.rows(db, "SELECT renewal_id, count(*) FROM issuances WHERE owner = 'certificate' AND state = 'active' GROUP BY owner_id HAVING count(*) > 1")
    assert doubled == [], "I4: two active issuances of one certificate"


def _id_text(value):
    return str(uuid.UUID(bytes=value)) if value else ""


def audit_tree_verifies(db):
    """Every record again as the leaf that was hashed, every stored node again from its leaves (RFC 6962, 2.1), in the order of appends."""
    nodes = []
    frontier = []  # complete subtrees from the left: (leaves, hash)
    rows = checks.rows(db, "SELECT seq, at, behind_ms, event, actor, object, renewal_id, request_id, reason, detail FROM audit ORDER BY seq")
    for n, (seq, at, behind, event, actor, thing, renewal, request, reason, detail) in enumerate(rows):
        assert seq == n, f"I5: record {n} is missing"
        text = f"1\n{seq}\n{at}\n{behind}\n{event}\n{actor}\n{thing}\n{_id_text(renewal)}\n{_id_text(request)}\n{reason}\n{detail}\n"
        node = hashlib.sha256(b"\0" + text.encode()).digest()
        size, level = 1, 0
        while frontier and frontier[-1][0] == size:
            node = hashlib.sha256(b"\1" + frontier.pop()[1] + node).digest()
            size, level = 2 * size, level + 1
            if level % 4 == 0:
                nodes.append(node)  # every fourth level is stored; those between follow from them
        frontier.append((size, node))
    stored = [h for _, h in checks.rows(db, "SELECT position, hash FROM audit_nodes ORDER BY position")]
    assert rows and len(stored) == len(nodes), f"I5: {len(stored)} nodes are stored, {len(nodes)} follow from {len(rows)} records"
    assert stored == nodes, "I5: the tree does not fit the records"
