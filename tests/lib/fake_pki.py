"""fake_pki.py - a root, an agents' CA and leaves below it, made with Python's cryptography, for tests of gateway and link."""

import datetime
import hashlib
import os
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DOMAIN = "vcc.internal"


def now():
    return datetime.datetime.utcnow()


def spki(public_key):
    return public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class Pki:
    counter = 1

    def __init__(self, name="Test"):
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        self.root = self._ca(f"{name} Root", self.root_key, None, self.root_key, None)
        self.ca_key = ec.generate_private_key(ec.SECP256R1())
        self.ca = self._ca(f"{name} Agents", self.ca_key, self.root, self.root_key, 0)

    def _serial(self):
        Pki.counter += 1
        return int.from_bytes(struct.pack(">Q", Pki.counter)[1:] + os.urandom(9), "big") | 1 << 112

    def _ca(self, name, key, issuer, issuer_key, path_length):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.subject if issuer else subject)
                .public_key(key.public_key()).serial_number(self._serial())
                .not_valid_before(now() - datetime.timedelta(hours=1)).not_valid_after(now() + datetime.timedelta(days=3650))
                .add_extension(x509.BasicConstraints(True, path_length), True)
                .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
                .sign(issuer_key, hashes.SHA256()))

    def leaf(self, public_key, uri, usages, host_hash=None, seconds=3600, before=60):
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test")]
        if host_hash is not None:
            attributes.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, host_hash))
        return (x509.CertificateBuilder().subject_name(x509.Name(attributes)).issuer_name(self.ca.subject)
                .public_key(public_key).serial_number(self._serial())
                .not_valid_before(now() - datetime.timedelta(seconds=before))
                .not_valid_after(now() + datetime.timedelta(seconds=seconds))
                .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), False)
                .add_extension(x509.BasicConstraints(False, None), True)
                .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), True)
                .add_extension(x509.ExtendedKeyUsage(usages), False)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.ca_key.public_key()), False)
                .sign(self.ca_key, hashes.SHA256()))

    def gateway(self, csr_der, name="gw", seconds=3600, before=60):
        csr = x509.load_der_x509_csr(csr_der)
        assert csr.is_signature_valid
        return self.leaf(csr.public_key(), f"spiffe://{DOMAIN}/gateway/{name}", [ExtendedKeyUsageOID.SERVER_AUTH],
                         seconds=seconds, before=before)

    def agent(self, name, folder, seconds=3600, uri=None, host_hash=None):
        """Writes NAME.pem (key, certificate, CA) and returns (path, certificate)."""
        key = ec.generate_private_key(ec.SECP256R1())
        if host_hash is None:
            host_hash = hashlib.sha256(name.encode()).hexdigest()
        certificate = self.leaf(key.public_key(), uri or f"spiffe://{DOMAIN}/agent/{name}", [ExtendedKeyUsageOID.CLIENT_AUTH],
                                host_hash=host_hash, seconds=seconds)
        path = os.path.join(folder, f"{name}-{certificate.serial_number:x}.pem")
        with open(path, "wb") as f:
            f.write(key_pem(key) + pem(certificate) + pem(self.ca))
        return path, certificate

    def chain(self):
        return der(self.ca) + der(self.root)

    def pin(self):
        return hashlib.sha256(der(self.root)).hexdigest()


def serial_bytes(certificate):
    return certificate.serial_number.to_bytes(16, "big")


def milliseconds(moment):
    return int(moment.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)


__all__ = ["Pki", "DOMAIN", "der", "pem", "key_pem", "spki", "serial_bytes", "milliseconds"]
