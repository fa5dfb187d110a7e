"""A small CA for tests that speak as the controller: root, service CA, agent CA, leaves, trust bundles. Times are Unix seconds."""
import base64
import datetime
import hashlib
import ipaddress
import os
import zlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from wire_tables import body_encode, encode

DER, RAW = serialization.Encoding.DER, serialization.Encoding.Raw
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
DAY = 86400


def now():
    return datetime.datetime.now(datetime.timezone.utc).timestamp()


def spki(key):
    return (key if not hasattr(key, "public_key") else key.public_key()).public_bytes(DER, SPKI)


def spki_hash(key):
    return hashlib.sha256(spki(key)).digest()


def when(seconds):
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)


def signed(key, label, body):
    data = label.encode() + b"\0" + body
    return key.sign(data) if isinstance(key, ed25519.Ed25519PrivateKey) else key.sign(data, ec.ECDSA(hashes.SHA256()))


def verify(key, label, body, signature):
    key.verify(signature, label.encode() + b"\0" + body, ec.ECDSA(hashes.SHA256()))


class Authority:
    def __init__(self, cn, issuer=None, path_length=None):
        self.key, self.issuer = ec.generate_private_key(ec.SECP256R1()), issuer or self
        self.name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"), x509.NameAttribute(NameOID.COMMON_NAME, cn)])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = self.builder(self.name, self.key.public_key(), now() - DAY, now() + 3650 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(True, path_length), True).add_extension(usage, True)
        self.cert = builder.sign(self.issuer.key, hashes.SHA256())
        self.der = self.cert.public_bytes(DER)

    def builder(self, subject, public, not_before, not_after, serial=None):
        issuer = self.issuer if not hasattr(self, "cert") else self
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.name).public_key(public)
                .serial_number(serial or int.from_bytes(b"\x01" + os.urandom(15), "big"))
                .not_valid_before(when(not_before)).not_valid_after(when(not_after))
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False))


    @property
    def pem(self):
        return self.cert.public_bytes(serialization.Encoding.PEM)

    def crl(self, number, revoked=(), point="", begin=None, end=None, key=None):
        """PEM of a revocation list; `point`: URI of its distribution point, "" = none. Times are Unix seconds."""
        builder = (x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(when(begin or now() - 60)).next_update(when(end or now() + DAY))
                   .add_extension(x509.CRLNumber(number), False))
        if point:
            builder = builder.add_extension(x509.IssuingDistributionPoint([x509.UniformResourceIdentifier(point)], None, False, False, None, False, False), True)
        for serial in revoked:
            builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when(now() - 60)).build())
        return builder.sign(key or self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Authorities:
    """One trust: root, service CA, agent CA, bundle of epoch 1."""

    def __init__(self, domain="vcc.internal"):
        self.domain = domain
        self.root = Authority("Root")
        self.service = Authority("Service CA", self.root, 0)
        self.agent = Authority("Agent CA", self.root, 0)
        self.bundle_body = body_encode("bundle", epoch=1, threshold=1, made_at=int(now() * 1000), roots=[{"certificate": self.root.der}])

    @property
    def pin(self):
        return hashlib.sha256(self.root.der).digest()

    def bundle(self, body=None, signers=None):
        body = body or self.bundle_body
        rows = [{"key": spki_hash(a.key), "signature": signed(a.key, "vcc bundle v1", body)} for a in signers or [self.root]]
        return encode("agent", "bundle", 0, body=body, signatures=rows)

    def leaf(self, public, names, cn=None, issuer=None, not_before=None, not_after=None, server=True):
        """DER of a service certificate for the public key."""
        issuer = issuer or self.service
        sans = [x509.IPAddress(ipaddress.ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
        subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"), x509.NameAttribute(NameOID.COMMON_NAME, cn or names[0])])
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        ekus = [ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CODE_SIGNING]
        builder = (issuer.builder(subject, public, not_before or now() - 60, not_after or now() + DAY)
                   .add_extension(x509.BasicConstraints(False, None), True).add_extension(usage, True)
                   .add_extension(x509.ExtendedKeyUsage(ekus), False).add_extension(x509.SubjectAlternativeName(sans), False))
        return builder.sign(issuer.key, hashes.SHA256()).public_bytes(DER)

    def identity(self, link_public, name, host_hash, issuer=None, point=""):
        issuer = issuer or self.agent
        subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"), x509.NameAttribute(NameOID.SERIAL_NUMBER, host_hash.hex())])
        uri = x509.UniformResourceIdentifier(f"spiffe://{self.domain}/agent/{name}")
        builder = (issuer.builder(subject, link_public, now() - 60, now() + DAY)
                   .add_extension(x509.BasicConstraints(False, None), True)
                   .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), True)
                   .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
                   .add_extension(x509.SubjectAlternativeName([uri]), False))
        if point:
            builder = builder.add_extension(x509.CRLDistributionPoints([x509.DistributionPoint([x509.UniformResourceIdentifier(point)], None, None, None)]), False)
        return builder.sign(issuer.key, hashes.SHA256()).public_bytes(DER)


def join_token(name):
    """(text, key)"""
    key = ed25519.Ed25519PrivateKey.generate()
    seed = key.private_bytes(RAW, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    data = seed + name.encode()
    check = zlib.crc32(b"vcc_join_" + data).to_bytes(4, "big")
    return "vcc_join_" + base64.urlsafe_b64encode(data + check).rstrip(b"=").decode(), key
