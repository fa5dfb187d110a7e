"""What relying parties see of a certificate: the lists as published, and the answers of the OCSP responder."""
import urllib.error
import urllib.request

from cryptography import x509


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
