"""Is a certificate in an evidence pack the one that its record means? Whoever has a CA's key signs a second one with the same serial number; both
programs have to refuse it, and to say so where an old record cannot tell the two apart. The trail is one of the test's own: no controller."""
import base64
import hashlib
import json
import os
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from fake_ca import Authorities, Authority, now, signed
from installation import ROOT

BINARIES = os.path.abspath(os.environ.get("VCC_BIN", os.path.join(ROOT, "build", "bin")))
NAME = "clara.vcc.internal"


def blob(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Trail:
    """One record, which is the whole trail, and a head that the service CA signed."""

    def __init__(self, folder):
        self.folder, self.ca = str(folder), Authorities()
        self.certificate = self.ca.leaf(ec.generate_private_key(ec.SECP256R1()).public_key(), [NAME])
        self.serial = x509.load_der_x509_certificate(self.certificate).serial_number
        self.second = self.ca.leaf(ec.generate_private_key(ec.SECP256R1()).public_key(), [NAME], serial=self.serial)
        with open(os.path.join(self.folder, "ca.pem"), "wb") as f:
            f.write(self.ca.root.pem)

    def pack(self, certificate, **detail):
        record = {"seq": 0, "at": 1, "behind_ms": 0, "event": "certificate_issued", "actor": "controller", "object": "clara01-web", "renewal_id": "",
                  "request_id": "", "reason": "", "detail": json.dumps({"serial": f"{self.serial:032X}", "attempt": 1, **detail})}
        lines = ["1", *(str(value) for value in record.values())]
        root = hashlib.sha256(b"\0" + "".join(line + "\n" for line in lines).encode()).digest()
        at = int(now() * 1000)
        head = (1).to_bytes(8, "big") + root + at.to_bytes(8, "big")
        authorities = [{"issuer_id": name, "parent_id": parent, "der": blob(authority.der)}
                       for name, parent, authority in (("service-1", "root-1", self.ca.service), ("root-1", "", self.ca.root))]
        return {"vcc_evidence": 1, "about": {"kind": "certificate", "id": "clara01-web"}, "statement": "technical evidence, not legal conformity",
                "head": {"size": 1, "root": root.hex(), "at": at, "signature": blob(signed(self.ca.service.key, "vcc audit head v1", head)),
                         "certificate": blob(self.ca.service.der)},
                "records": [{**record, "proof": []}], "receipts": [], "authorities": authorities, "approvals": [], "templates": [],
                "certificates": [{"serial": f"{self.serial:032X}", "issuer_id": "service-1", "der": blob(certificate)}]}

    def judged(self, pack):
        path, root = os.path.join(self.folder, "pack.json"), os.path.join(self.folder, "ca.pem")
        with open(path, "w") as f:
            json.dump(pack, f)
        done = [subprocess.run(words, capture_output=True, text=True, timeout=60) for words in
                ([os.path.join(BINARIES, "vccctl"), "--socket", "/nonexistent", "audit", "verify", path, "--root", root],
                 ["/usr/bin/python3", os.path.join(ROOT, "docs", "verify_evidence.py"), path, root])]
        return tuple(d.returncode for d in done), [d.stdout + d.stderr for d in done]


@pytest.fixture(scope="module")
def trail(tmp_path_factory):
    return Trail(tmp_path_factory.mktemp("bound"))


def test_the_certificate_that_the_record_means(trail):
    codes, said = trail.judged(trail.pack(trail.certificate, fingerprint=hashlib.sha256(trail.certificate).hexdigest()))
    assert codes == (0, 0), said


def test_a_part_says_that_it_is_one(trail):
    pack = trail.pack(trail.certificate, fingerprint=hashlib.sha256(trail.certificate).hexdigest())
    for number, more, said_by_both in ((1, True, "part 1; more follow"), (3, False, "part 3; it is the last one")):
        codes, said = trail.judged({**pack, "about": {**pack["about"], "part": number, "more": more}})
        assert codes == (0, 0) and all(said_by_both in s for s in said), said
    for wrong in ({"part": 1}, {"more": True}, {"part": 0, "more": True}, {"part": "1", "more": True}, {"part": 1, "more": 1}, {"part": True, "more": True},
                  {"part": 1, "more": True, "of": 2}, {"parts": 1, "more": True}):
        codes, said = trail.judged({**pack, "about": {**pack["about"], **wrong}})
        assert codes == (1, 1) and all("about" in s for s in said), (wrong, said)


def test_a_second_one_with_its_serial_number(trail):
    assert x509.load_der_x509_certificate(trail.second).serial_number == trail.serial and trail.second != trail.certificate
    codes, said = trail.judged(trail.pack(trail.second, fingerprint=hashlib.sha256(trail.certificate).hexdigest()))
    assert codes == (1, 1) and all("certificates[0]" in s and "has another fingerprint" in s for s in said), said


def test_a_record_of_before_binds_neither(trail):
    for certificate in (trail.certificate, trail.second):
        codes, said = trail.judged(trail.pack(certificate))
        assert codes == (6, 6) and all("not bound" in s for s in said), said


def test_a_record_that_is_no_fingerprint(trail):
    for wrong in ("x", "0" * 64, "0" * 65, hashlib.sha256(trail.certificate).hexdigest() + "0", hashlib.sha256(trail.certificate).hexdigest().upper()):
        codes, said = trail.judged(trail.pack(trail.certificate, fingerprint=wrong))
        assert codes == (1, 1), (wrong, said)


def test_an_authority_below_another(trail):
    """Three tiers: the service CA has one between itself and the root. Neither program takes the one below a stranger."""
    middle = Authority("Middle", trail.ca.root, 1)
    issuing, foreign = Authority("Issuing", middle, 0), Authority("Issuing", Authority("Middle"), 0)
    for below, expected in ((issuing, 0), (foreign, 1)):
        certificate = trail.ca.leaf(ec.generate_private_key(ec.SECP256R1()).public_key(), [NAME], issuer=issuing, serial=trail.serial)
        pack = trail.pack(certificate, fingerprint=hashlib.sha256(certificate).hexdigest())
        pack["authorities"] = [{"issuer_id": name, "parent_id": parent, "der": blob(authority.der)} for name, parent, authority in
                               (("service-1", "middle-1", below), ("middle-1", "root-1", middle), ("root-1", "", trail.ca.root))]
        codes, said = trail.judged(pack)
        assert codes == (expected, expected), said
