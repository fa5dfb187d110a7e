#!/usr/bin/python3
"""Verifies an evidence pack (`vccctl report evidence --file FILE`), or an archive of them (`-o FILE.zip`), with nothing but the installation's root
certificate.

usage: verify_evidence.py FILE ROOT

Written apart from vccctl, so that nobody has to trust one program alone: the standard library and python3-cryptography. Exit code 0: all of it is
proved; 6: what is there is proved, but records name something that is missing, or bind a certificate by
its serial number alone; 1: it was changed; 2: nothing was looked at, because FILE or ROOT cannot be read. ROOT is PEM, one or several
certificates. Records that somebody left out are not seen: a pack proves what is in it. That nothing is left out is what the whole trail proves
(`vccctl audit export` and `audit verify`)."""
import base64
import hashlib
import json
import re
import sys
import zipfile

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

MEMBERS = {"pack": 10, "about": 2, "head": 5, "records": 11, "receipts": 4, "certificates": 3, "authorities": 3, "approvals": 2, "templates": 3}
PACK_MAX, INDEX_MAX = 128 << 20, 16 << 20
README = """Evidence of a VCC PKI installation.

certificates/  one pack for each certificate that was requested, issued, renewed, rolled back, revoked, suspended or resumed in the period,
               or whose renewal failed or was paused
campaigns/     one for each campaign, emergency and drill that began in it; large ones in parts
report.json    the compliance report of the period: what the installation says of itself, signed by nobody
index.json     the files with their sizes and SHA-256, and what was left out, with the reason; signed by nobody either

To verify it, with the root certificate of the installation, which you have from elsewhere:

    vccctl audit verify THIS.zip --root ca.pem
    python3 verify_evidence.py THIS.zip ca.pem      (docs/verify_evidence.py of the source; it needs python3-cryptography)

Each pack is proved by itself: unpacked, it is verified in the same way. Everything in a pack hangs on a head of the audit trail that the
installation signed. A pack proves what is in it, and the archive what is in its packs; that nothing was left out is proved by the whole
trail alone: `vccctl audit export`, which `vccctl audit verify` checks, too.
"""  # of every archive
CAMPAIGN_EVENTS = {"campaign_started", "emergency_recertification_started", "drill_started"}


class Bad(Exception):
    """A part that was changed, or does not belong here."""


def need(condition, where, what):
    if not condition:
        raise Bad(f"{where}: {what}")


def only_once(pairs):
    need(len({k for k, _ in pairs}) == len(pairs), "file", "a member stands twice")
    return dict(pairs)


def blob(text):
    need(isinstance(text, str) and re.fullmatch("[A-Za-z0-9_-]+", text), "file", "this is no base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    need(base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text, "file", "base64url that is not written in the one way")
    return data


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def signed_by(key, signature, data, hash_algorithm):
    """Raises InvalidSignature."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, data, ec.ECDSA(hash_algorithm))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, padding.PKCS1v15(), hash_algorithm)
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, data)
    else:
        raise InvalidSignature


def signed_with_label(key, label, body, signature):
    """Our own signatures: over label, NUL and body; the hash goes with the curve."""
    from cryptography.hazmat.primitives import hashes
    large = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size > 256
    signed_by(key, signature, label + b"\0" + body, hashes.SHA384() if large else hashes.SHA256())


# ---- certificates ----

def issued_by(cert, authority):
    """Names, the CA bit and the signature; when it was valid is another question."""
    try:
        if cert.issuer != authority.subject or not authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        signed_by(authority.public_key(), cert.signature, cert.tbs_certificate_bytes, cert.signature_hash_algorithm)
        return True
    except (InvalidSignature, x509.ExtensionNotFound):
        return False


def leads_to_root(cert, between, roots):
    for authority in between:
        if not issued_by(cert, authority):
            return False
        cert = authority
    return any(cert == root or issued_by(cert, root) for root in roots)


def chain_of(pack, issuer_id):
    by_id = {a["issuer_id"]: a for a in pack["authorities"]}
    chain = []
    while issuer_id in by_id and len(chain) < 4:
        authority = by_id[issuer_id]
        issuer_id = authority["parent_id"]
        if not issuer_id:
            return chain
        chain.append(x509.load_der_x509_certificate(blob(authority["der"])))
    raise Bad(f"authorities: {issuer_id} is not there")


# ---- the trail (RFC 6962) ----

def leaf_of(r):
    lines = ["1", str(r["seq"]), str(r["at"]), str(r["behind_ms"]), r["event"], r["actor"], r["object"], r["renewal_id"], r["request_id"], r["reason"],
             r["detail"]]
    need(all(isinstance(x, str) and "\n" not in x for x in lines), "records", "a field is no line of text")
    return sha256(b"\0", "".join(x + "\n" for x in lines).encode())


def root_of(leaf, index, size, path):
    """RFC 9162, 2.1.3.2."""
    need(0 <= index < size, "records", "it lies outside of the trail")
    at, last, node = index, size - 1, leaf
    for other in path:
        need(last > 0, "records", "its way is too long")
        if at & 1 or at == last:
            node = sha256(b"\1", other, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = sha256(b"\1", node, other)
        at, last = at >> 1, last >> 1
    need(last == 0, "records", "its way is too short")
    return node


def named_by(r):
    """What the pack must hold because the record says so: {(kind, key): hash}."""
    detail = json.loads(r["detail"], object_pairs_hook=only_once) if r["detail"] else {}
    named = {}
    if detail.get("receipt"):
        named["receipt", f"{detail['host']} {detail['receipt_seq']}"] = detail["receipt"]
    if detail.get("approval_id") and detail.get("hash"):
        named["approval", detail["approval_id"]] = detail["hash"]
    if r["event"] == "template_applied" and detail.get("sha256"):
        named["template", f"{r['object']} {detail['version']}"] = detail["sha256"]
    if r["event"] == "certificate_issued":
        named["certificate", detail["serial"]] = detail.get("fingerprint", "")
    return named


# ---- the pack ----

def check(pack, roots):
    """{part: how many}, what is missing, and which certificates a serial number alone binds, which whoever has a CA's key can give twice. Raises Bad."""
    need(isinstance(pack, dict) and len(pack) == MEMBERS["pack"] and pack.get("vcc_evidence") == 1, "vcc_evidence", "this is no evidence pack")
    need(pack["statement"] == "technical evidence, not legal conformity", "statement", "it says something else than what evidence is")
    about = pack["about"]
    if isinstance(about, dict) and ("part" in about or "more" in about):  # it is not the whole
        need(type(about.get("part")) is int and about["part"] > 0 and type(about.get("more")) is bool, "about", "it does not say which part it is")
        about = {k: v for k, v in about.items() if k not in ("part", "more")}
    for part, members in (("about", about), ("head", pack["head"])):
        need(isinstance(members, dict) and len(members) == MEMBERS[part], part, "members are missing, or too many")
    for part in ("records", "receipts", "certificates", "authorities", "approvals", "templates"):
        need(isinstance(pack[part], list), part, "it is missing")
        need(all(isinstance(o, dict) and len(o) == MEMBERS[part] for o in pack[part]), part, "members are missing, or too many")

    head, about = pack["head"], pack["about"]
    signer = x509.load_der_x509_certificate(blob(head["certificate"]))
    root = bytes.fromhex(head["root"])
    need(len(root) == 32 and head["root"] == root.hex(), "head", "this is no root")
    need(signer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca and leads_to_root(signer, [], roots), "head", "its signer is none of this root")
    try:
        signed_with_label(signer.public_key(), b"vcc audit head v1", head["size"].to_bytes(8, "big") + root + head["at"].to_bytes(8, "big"),
                          blob(head["signature"]))
    except InvalidSignature:
        raise Bad("head: the signature does not fit") from None

    named, kinds = {}, set()
    for i, r in enumerate(pack["records"]):
        way = [bytes.fromhex(x) for x in r["proof"]]
        need(root_of(leaf_of(r), r["seq"], head["size"], way) == root, f"records[{i}]", "it does not lead to the head")
        named.update(named_by(r))
        if r["object"] == about["id"]:
            kinds.add("campaign" if r["event"] in CAMPAIGN_EVENTS else "certificate")
    need(kinds and about["kind"] == ("campaign" if "campaign" in kinds else "certificate"), "about", "no record is about it")

    for i, r in enumerate(pack["receipts"]):
        spki, body = blob(r["receipt_of"]), blob(r["body"])
        said = named.pop(("receipt", f"{sha256(spki).hex()} {r['receipt_seq']}"), None)
        need(said == sha256(body).hex(), f"receipts[{i}]", "no record names it")
        try:
            signed_with_label(serialization.load_der_public_key(spki), b"vcc receipt v1", body, blob(r["signature"]))
        except InvalidSignature:
            raise Bad(f"receipts[{i}]: its host did not sign it") from None
    for i, a in enumerate(pack["authorities"]):
        above = chain_of(pack, a["issuer_id"])[1:]
        need(leads_to_root(x509.load_der_x509_certificate(blob(a["der"])), above, roots), f"authorities[{i}]", "it is none of this root")
    unbound = []
    for i, c in enumerate(pack["certificates"]):
        cert = x509.load_der_x509_certificate(blob(c["der"]))
        need(leads_to_root(cert, chain_of(pack, c["issuer_id"]), roots), f"certificates[{i}]", "it does not lead to the root")
        need(f"{cert.serial_number:032X}" == c["serial"], f"certificates[{i}]", "it has another serial number")
        said = named.pop(("certificate", c["serial"]), None)
        need(said is not None, f"certificates[{i}]", "no record says that it was issued")
        need(said in ("", sha256(blob(c["der"])).hex()), f"certificates[{i}]", "the record of its serial number has another fingerprint")
        unbound += [c["serial"]] if said == "" else []
    for i, a in enumerate(pack["approvals"]):
        need(named.pop(("approval", a["approval_id"]), None) == sha256(a["what"].encode()).hex(), f"approvals[{i}]", "no record has the hash of its text")
    for i, t in enumerate(pack["templates"]):
        said = named.pop(("template", f"{t['template_id']} {t['version']}"), None)
        need(said == sha256(t["text"].encode()).hex(), f"templates[{i}]", "no record has the hash of its text")
    return {part: len(pack[part]) for part in ("records", "receipts", "certificates", "approvals", "templates")}, sorted(named), unbound


def check_archive(path, roots):
    """What its list names is there, is what the list says, and each pack is proved by itself; nothing lies beside it."""
    sums, missing, unbound, seen = {}, [], [], {"index.json", "README.txt"}
    with zipfile.ZipFile(path) as z:
        def read(name, most):
            with z.open(name) as f:
                data = f.read(most + 1)
            need(len(data) <= most, name, "it is too large")
            return data
        index = json.loads(read("index.json", INDEX_MAX), object_pairs_hook=only_once)
        need(index["vcc_evidence_archive"] == 1, "index.json", "another version")
        for row in index["files"]:
            name, kind = row["path"], row["kind"]
            need(name not in seen, "index.json", f"{name} stands twice")
            seen.add(name)
            need(kind == "report" if name == "report.json" else kind in ("certificate", "campaign"), name, "the list calls it something else than it can be")
            data = read(name, PACK_MAX)
            need(len(data) == row["bytes"] and sha256(data).hex() == row["sha256"], name, "it is not the file that the list names")
            if kind == "report":
                continue
            pack = json.loads(data.decode(), object_pairs_hook=only_once)
            try:
                counts, m, u = check(pack, roots)
            except Exception as e:
                raise Bad(f"{name}: {e}") from None
            about = pack["about"]
            need((about["kind"], about["id"], about.get("part", 0)) == (kind, row["id"], row.get("part", 0)), name, "it is of something else than the list says")
            sums = {part: sums.get(part, 0) + n for part, n in {"packs": 1, **counts}.items()}
            missing, unbound = missing + m, unbound + u
        need(sorted(z.namelist()) == sorted(seen), "archive", "something lies beside what the list names")
        need(read("README.txt", INDEX_MAX) == README.encode(), "README.txt", "it says something else than in every archive")
    return sums, missing, unbound, index["left_out"], "report.json" in seen


def roots_of(path):
    with open(path, "rb") as f:
        blocks = re.findall(b"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", f.read(), re.S)
    if not blocks:
        raise ValueError(f"{path} holds no certificate")
    try:
        return [x509.load_pem_x509_certificate(p) for p in blocks]
    except ValueError:
        raise ValueError(f"{path} holds a certificate that is damaged") from None


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        archive = zipfile.is_zipfile(sys.argv[1])
        with open(sys.argv[1], "rb") as f:
            file = f.read(1 if archive else -1)
        roots = roots_of(sys.argv[2])
    except (OSError, ValueError) as e:  # it says nothing about the evidence
        print(f"nothing was looked at, a file cannot be read: {e}", file=sys.stderr)
        return 2
    pack, left_out, report = {"about": {}}, [], False
    try:
        if archive:
            counts, missing, unbound, left_out, report = check_archive(sys.argv[1], roots)
        else:
            pack = json.loads(file.decode("utf-8"), object_pairs_hook=only_once)
            counts, missing, unbound = check(pack, roots)
    except Exception as e:  # whatever a changed file does to a parser: it is no evidence
        print(f"not what the installation signed: {e}", file=sys.stderr)
        return 1
    print(", ".join(f"{n} {part}" for part, n in counts.items()))
    for kind, key in missing:
        print(f"missing: {kind} {key}")
    for serial in unbound:
        print(f"not bound: certificate {serial}, its record has no fingerprint")
    for row in left_out:
        parts = "".join(f", {member.replace('_', ' ')} {row[member]}" for member in ("part", "from_part") if member in row)
        print(f"left out: {row['kind']} {row['id']}{parts}: {row['reason']}")
    if report:
        print("report.json: signed by nobody, it is what whoever made the archive says")
    print("verified, but for what is missing, not bound or left out" if missing or unbound or left_out else "verified")
    if "part" in pack["about"]:
        print(f"part {pack['about']['part']}; {'more follow' if pack['about']['more'] else 'it is the last one'}")
    print("It proves what is in it, not that nothing was left out: `vccctl audit export` does that.")
    return 6 if missing or unbound or left_out else 0


if __name__ == "__main__":
    sys.exit(main())
