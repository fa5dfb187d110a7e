"""A target folder without a keeper: generations with a new pair each, flipped by rename, good and bad ones; for tests of what services make of them."""
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from fake_ca import now, when
from installation import write
from python_service import NAME

PEM = serialization.Encoding.PEM


def pem(*authorities):
    return "".join(a.cert.public_bytes(PEM).decode() for a in authorities)


def leaf(cas):
    """(key, certificate) for server and client."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = cas.service.builder(x509.Name([]), key.public_key(), now() - 60, now() + 86400)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False)
    return key, builder.sign(cas.service.key, hashes.SHA256())


def crl(authority, *serials):
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.name).last_update(when(now() - 60)).next_update(when(now() + 3600))
    for serial in serials:
        builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when(now() - 60)).build())
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(PEM).decode()


class Target:
    """A target folder as the keeper makes it: whole generations, `current` flipped by rename."""

    def __init__(self, folder, cas):
        self.dir, self.cas, self.n = folder, cas, 0
        self.current = os.path.join(folder, "current")
        self.next()

    def next(self, trusted=None, revoked=None):
        """A new generation, flipped to; returns its fingerprint. `revoked`: serials on its crl.pem, None = no such file."""
        self.key, self.cert = leaf(self.cas)
        key = self.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        cert = self.cert.public_bytes(PEM).decode()
        chain = pem(self.cas.service)
        files = {"key.pem": key, "cert.pem": cert, "fullchain.pem": cert + chain, "ca.pem": pem((trusted or self.cas).root)}
        if revoked is not None:
            files["crl.pem"] = crl(self.cas.service, *revoked) + crl(self.cas.root)
        self.flip(files)
        return self.cert.fingerprint(hashes.SHA256()).hex()

    def flip(self, files):
        self.n += 1
        name = f"g{self.n:06d}"
        for file, text in files.items():
            write(os.path.join(self.dir, name, file), text, 0o640 if file == "key.pem" else 0o644)
        os.symlink(name, self.current + ".new")
        os.rename(self.current + ".new", self.current)

    def bad(self, kind):
        """A generation that cannot be served."""
        good = {n: open(os.path.join(self.current, n)).read() for n in ("key.pem", "fullchain.pem")}
        if kind == "other key":
            good["key.pem"] = leaf(self.cas)[0].private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        elif kind == "empty":
            good["fullchain.pem"] = ""
        elif kind == "garbage":
            good["fullchain.pem"] = good["fullchain.pem"].replace("MII", "AAA")
        else:
            del good["key.pem"]
        self.flip(good)
