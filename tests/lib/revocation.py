"""What relying parties see of a certificate: the lists as published, and the answers of the OCSP responder."""
import os
import urllib.error
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp


def get(url, timeout=10, **headers):
    """(status, body, headers); any status is an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={k.replace("_", "-"): v for k, v in headers.items()}), timeout=timeout) as r:
            return r.status, r.read(), r.headers
    except urllib.error.HTTPError as e:
        return e.code, e.read(), e.headers


def crl(inst, issuer="service-1", shard=0):
    status, der, _ = get(f"{inst.public_url}/crl/{issuer}/{shard}.crl")
    return x509.load_der_x509_crl(der) if status == 200 else None


def number(c):
    return c.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def listed(inst, serial, issuer="service-1", shard=0):
    """None = not on its list, else the reason by its name."""
    c = crl(inst, issuer, shard)
    entry = c.get_revoked_certificate_by_serial_number(int(serial, 16)) if c is not None else None
    if entry is None:
        return None
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except x509.ExtensionNotFound:
        return "unspecified"


# ---- OCSP ----

def chain_files(inst, folder):
    """Paths of the root and of every issuing CA, in PEM, by issuer id."""
    os.makedirs(folder, exist_ok=True)
    paths = {"root": os.path.join(inst.state, "ca.pem")}
    for issuer in ("service-1", "agent-1", "code-signing-1"):
        status, der, _ = get(f"{inst.public_url}/ca/{issuer}.cer")
        assert status == 200, issuer
        paths[issuer] = os.path.join(folder, f"{issuer}.pem")
        with open(paths[issuer], "wb") as f:
            f.write(x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM))
    return paths


def ocsp_request(cert, issuer, nonce=None, algorithm=None):
    """DER of a request for one certificate (or a serial of that issuer)."""
    builder = ocsp.OCSPRequestBuilder()
    algorithm = algorithm or hashes.SHA1()
    if isinstance(cert, int):
        name, key = hashes.Hash(algorithm), hashes.Hash(algorithm)
        name.update(issuer.subject.public_bytes())
        key.update(_key_bits(issuer))
        builder = builder.add_certificate_by_hash(name.finalize(), key.finalize(), cert, algorithm)
    else:
        builder = builder.add_certificate(cert, issuer, algorithm)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), False)
    return builder.build().public_bytes(serialization.Encoding.DER)


def _key_bits(cert):
    """The content of the certificate's subjectPublicKey."""
    return cert.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def ocsp_post(inst, der, content_type="application/ocsp-request", timeout=10):
    """(HTTP status, body)"""
    request = urllib.request.Request(f"{inst.public_url}/ocsp", data=der, headers={"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as r:
            return r.status, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


def ocsp_ask(inst, cert, issuer, **more):
    """The answer, read by Python cryptography, its signature and responder checked."""
    status, der = ocsp_post(inst, ocsp_request(cert, issuer, **more))
    assert status == 200, der
    answer = ocsp.load_der_ocsp_response(der)
    if answer.response_status == ocsp.OCSPResponseStatus.SUCCESSFUL:
        ocsp_check(answer, issuer)
    return answer


def ocsp_check(answer, issuer):
    responder, = answer.certificates
    assert responder.issuer == issuer.subject
    issuer.public_key().verify(responder.signature, responder.tbs_certificate_bytes, ec.ECDSA(responder.signature_hash_algorithm))
    responder.public_key().verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(answer.signature_hash_algorithm))
    usage = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.OCSP_SIGNING]
    responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
