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
    status, body, _ = get(f"{inst.public_url}/crl/{issuer}/{shard}.crl")
    return x509.load_der_x509_crl(body) if status == 200 else None


def number(c):
    return c.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def listed(inst, serial, issuer="service-1", shard=None):
    """None = not on its list (or on none of the first forty), else the reason by its name."""
    lists = (crl(inst, issuer, n) for n in (range(40) if shard is None else [shard]))
    entry = next((e for c in lists if c is not None and (e := c.get_revoked_certificate_by_serial_number(int(serial, 16)))), None)
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
        status, body, _ = get(f"{inst.public_url}/ca/{issuer}.cer")
        assert status == 200, issuer
        paths[issuer] = os.path.join(folder, f"{issuer}.pem")
        with open(paths[issuer], "wb") as f:
            f.write(x509.load_der_x509_certificate(body).public_bytes(serialization.Encoding.PEM))
    return paths


def der(tag, *parts):
    content = b"".join(parts)
    n = len(content)
    length = bytes([n]) if n < 0x80 else bytes([0x81, n]) if n < 0x100 else bytes([0x82, n >> 8, n & 255])
    return bytes([tag]) + length + content


def der_integer(n):
    return der(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))


ALGORITHMS = {"sha1": bytes.fromhex("06052b0e03021a"), "sha256": bytes.fromhex("0609608648016503040201"), "sha384": bytes.fromhex("0609608648016503040202"),
              "sha512": bytes.fromhex("0609608648016503040203")}
NONCE = bytes.fromhex("06092b0601050507300102")


def cert_id(serial, issuer, algorithm="sha1"):
    digest = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}[algorithm]
    name, key = hashes.Hash(digest()), hashes.Hash(digest())
    name.update(issuer.subject.public_bytes())
    key.update(_key_bits(issuer))
    return der(0x30, der(0x30, ALGORITHMS[algorithm], b"\x05\0"), der(4, name.finalize()), der(4, key.finalize()), der_integer(serial))


def request_of(*cert_ids, nonce=None, extensions=b""):
    """DER of a request, written by hand so that anything can be said."""
    if nonce is not None:
        extensions += der(0x30, NONCE, der(4, der(4, nonce)))
    more = der(0xa2, der(0x30, extensions)) if extensions else b""
    return der(0x30, der(0x30, der(0x30, *(der(0x30, c) for c in cert_ids)), more))


def ocsp_request(cert, issuer, nonce=None, algorithm="sha1"):
    """DER of a request for one certificate (or a serial of that issuer)."""
    return request_of(cert_id(cert if isinstance(cert, int) else cert.serial_number, issuer, algorithm), nonce=nonce)


def _key_bits(cert):
    """The content of the certificate's subjectPublicKey."""
    return cert.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def ocsp_post(inst, request, content_type="application/ocsp-request", timeout=10):
    """(HTTP status, body)"""
    request = urllib.request.Request(f"{inst.public_url}/ocsp", data=request, headers={"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as r:
            return r.status, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


def ocsp_ask(inst, cert, issuer, **more):
    """The answer, read by Python cryptography, its signature and responder checked."""
    status, body = ocsp_post(inst, ocsp_request(cert, issuer, **more))
    assert status == 200, body
    answer = ocsp.load_der_ocsp_response(body)
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
