"""What must hold after every fault: one complete matching set in current/, served = issued, audit and intent for every certificate."""
import os
import sqlite3
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

FILES = ("key.pem", "cert.pem", "chain.pem", "fullchain.pem", "ca.pem")


def openssl(*words, stdin=None):
    done = subprocess.run(["openssl", *words], input=stdin, capture_output=True)
    assert done.returncode == 0, (words, done.stderr.decode(errors="replace"))
    return done.stdout


def first_certificate(path):
    with open(path, "rb") as f:
        return x509.load_pem_x509_certificate(f.read())


def fingerprint_of(cert_pem):
    return first_certificate(cert_pem).fingerprint(hashes.SHA256()).hex()


def public_bytes(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def matching_set(target_dir):
    """I1: current is a relative link to one folder whose files belong together. Returns the certificate's fingerprint."""
    link = os.readlink(os.path.join(target_dir, "current"))
    assert not os.path.isabs(link) and "/" not in link.rstrip("/"), link
    current = os.path.join(target_dir, link)  # one and the same generation, whatever is swapped meanwhile
    for name in FILES:
        assert os.path.getsize(os.path.join(current, name)) > 0, name
    with open(f"{current}/key.pem", "rb") as f:
        key = serialization.load_pem_private_key(f.read(), None)
    assert public_bytes(key.public_key()) == public_bytes(first_certificate(f"{current}/cert.pem").public_key()), "key and certificate do not match"
    with open(f"{current}/cert.pem") as c, open(f"{current}/chain.pem") as h, open(f"{current}/fullchain.pem") as f:
        assert f.read().split() == (c.read() + h.read()).split(), "fullchain.pem is not cert.pem and chain.pem"
    openssl("verify", "-CAfile", f"{current}/ca.pem", "-untrusted", f"{current}/chain.pem", f"{current}/cert.pem")
    assert os.stat(f"{current}/key.pem").st_mode & 0o007 == 0, "the key is readable by others"
    return fingerprint_of(f"{current}/cert.pem")


def served_is_issued(inst, host):
    """I2: every listener serves the certificate of the active generation, and the controller says the same."""
    on_disk = matching_set(host.target_dir)
    addresses = [(host.ip, host.port)]
    if host.second:
        addresses.append((host.second.rsplit(":", 1)[0].strip("[]"), host.port))
    for address in addresses:
        assert host.handshake(*address, host.names[0]) == on_disk, f"{address} serves something else"
    cert = inst.certificate(host.cert_id)
    assert cert["fingerprint"] == on_disk and cert["served"] is True, cert
    return on_disk


def rows(db, sql, *values):
    connection = sqlite3.connect(f"file:{db}?mode=ro", uri=True, timeout=20)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def verify_chain_everywhere(target_dir):
    """The served files are accepted by OpenSSL, GnuTLS and Python cryptography."""
    current = os.path.join(target_dir, "current")
    openssl("verify", "-x509_strict", "-CAfile", f"{current}/ca.pem", "-untrusted", f"{current}/chain.pem", f"{current}/cert.pem")
    chain = b"".join(open(f"{current}/{n}", "rb").read() for n in ("cert.pem", "chain.pem", "ca.pem"))
    done = subprocess.run(["certtool", "--verify", "--load-ca-certificate", f"{current}/ca.pem"], input=chain, capture_output=True)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    cert = x509.load_pem_x509_certificate(open(f"{current}/cert.pem", "rb").read())
    issuer = x509.load_pem_x509_certificate(open(f"{current}/chain.pem", "rb").read())
    cert.verify_directly_issued_by(issuer) if hasattr(cert, "verify_directly_issued_by") else None
    for extension in cert.extensions:
        assert extension.value is not None
    return cert
