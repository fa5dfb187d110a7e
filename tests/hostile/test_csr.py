"""Hostile certificate requests: two hundred that lie in what they ask for or in how they are written. Each is refused with a code, or its key alone is used; nothing
falls over, and the memory stays (T2, T19, T20)."""
import base64
import os
import shutil

import pytest
from conftest import new_folder
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa, x25519
from installation import Installation, wait_for
from rights_estate import Api

GROWTH_KIB = 16 * 1024
NAME = "good.external.vcc.internal"
MARK = b"h0stile"  # stands in everything that must not come out again
EC = ec.generate_private_key(ec.SECP256R1())


# ---- DER by hand ----

def tlv(tag, *parts):
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def seq(*parts):
    return tlv(0x30, *parts)


def set_(*parts):
    return tlv(0x31, *parts)


def oid(dotted):
    numbers = [int(n) for n in dotted.split(".")]
    out = b""
    for n in [numbers[0] * 40 + numbers[1], *numbers[2:]]:
        digits = [n & 0x7F]
        while n := n >> 7:
            digits.insert(0, n & 0x7F | 0x80)
        out += bytes(digits)
    return tlv(0x06, out)


def integer(n):
    return tlv(0x02, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def bits(data):
    return tlv(0x03, b"\0", data)


def spki_of(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


ECDSA_SHA256, RSA_SHA256, RSA_KEY = seq(oid("1.2.840.10045.4.3.2")), seq(oid("1.2.840.113549.1.1.11"), tlv(5)), seq(oid("1.2.840.113549.1.1.1"), tlv(5))
CN, EMAIL, SAN, EXTENSIONS, CHALLENGE = "2.5.4.3", "1.2.840.113549.1.9.1", "2.5.29.17", "1.2.840.113549.1.9.14", "1.2.840.113549.1.9.7"


def request(subject=b"", attributes=b"", spki=None, version=0, key=None, signature=None, alg=ECDSA_SHA256):
    """By a key of its own, unless one is given: a key is certified once."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    info = seq(integer(version), seq(subject), spki if spki is not None else spki_of(key), tlv(0xA0, attributes))
    if signature is None:
        signature = key.sign(info, ec.ECDSA(hashes.SHA256())) if isinstance(key, ec.EllipticCurvePrivateKey) else key.sign(info, padding.PKCS1v15(), hashes.SHA256())
    return seq(info, alg, bits(signature))


def attribute(kind, *values):
    return seq(oid(kind), set_(*values))


def extensions(*rows):
    return attribute(EXTENSIONS, seq(*rows))


def extension(kind, value, critical=False):
    return seq(oid(kind), tlv(1, b"\xff") if critical else b"", tlv(4, value))


def rdn(kind, tag, value):
    return set_(seq(oid(kind), tlv(tag, value)))


def rsa_spki(modulus, exponent=65537):
    return seq(RSA_KEY, bits(seq(integer(modulus), integer(exponent))))


def ec_spki(point, curve="1.2.840.10045.3.1.7"):
    return seq(seq(oid("1.2.840.10045.2.1"), oid(curve)), bits(point))


# ---- what they lie about: the key is good, and all that is used ----

NAUGHTY = [b"", b"undefined", b"NULL", b"true", b"-1", b"1e309", b"\xef\xbb\xbf", "Ω≈ç√∫".encode(), "表ポあA鷗ŒéＢ".encode(), "‪‪test‪".encode(), "🏳0🌈".encode(), b"<script>alert(1)</script>",
           b"'; DROP TABLE certificates; --", b"../../../etc/passwd", b"$(touch /tmp/h0stile)", b"%s%n%n%n", b"\r\nBcc: root", b"\x1b[2J", b"\xff\xfe\xfd", b"\x00", b"admin\x00.evil",
           b"CN=admin,O=VCC", b"a" * 64, b"a" * 65, b"a" * 2000, b"*", b"*.vcc.internal", b"good.external.vcc.internal.", "xn--".encode(), b"\x80\x80\x80\x80"]
STRINGS = {"utf8": 0x0C, "numeric": 0x12, "printable": 0x13, "teletex": 0x14, "videotex": 0x15, "ia5": 0x16, "graphic": 0x19, "visible": 0x1A, "general": 0x1B, "universal": 0x1C,
           "character": 0x1D, "bmp": 0x1E}
SANS = {"another": tlv(0x82, b"h0stile.example"), "wildcard": tlv(0x82, b"*.vcc.internal"), "nul": tlv(0x82, b"good.external.vcc.internal\0.h0stile"), "empty dns": tlv(0x82),
        "email": tlv(0x81, b"root@h0stile.example"), "uri": tlv(0x86, b"spiffe://vcc.internal/agent/h0stile"), "ipv4": tlv(0x87, b"\x7f\0\0\1"), "ipv6": tlv(0x87, b"\0" * 16),
        "ip of 5": tlv(0x87, b"12345"), "other": tlv(0xA0, oid("1.3.6.1.4.1.311.20.2.3"), tlv(0xA0, tlv(0x0C, MARK))), "directory": tlv(0xA4, seq(rdn(CN, 0x0C, MARK))),
        "registered": tlv(0x88, b"\x2a\x03"), "x400": tlv(0xA3, b""), "edi": tlv(0xA5, b""), "none": b"", "many": tlv(0x82, b"a.h0stile") * 200}
ASKED = {"ca": extension("2.5.29.19", seq(tlv(1, b"\xff")), True), "ca with length": extension("2.5.29.19", seq(tlv(1, b"\xff"), integer(9))),
         "sign certificates": extension("2.5.29.15", tlv(3, b"\x01\x06"), True), "no usage": extension("2.5.29.15", tlv(3, b"\0")), "any purpose": extension("2.5.29.37", seq(oid("2.5.29.37.0"))),
         "no purpose": extension("2.5.29.37", seq()), "code signing": extension("2.5.29.37", seq(oid("1.3.6.1.5.5.7.3.3"))), "ocsp": extension("2.5.29.37", seq(oid("1.3.6.1.5.5.7.3.9"))),
         "unknown critical": extension("1.2.3.4.5", MARK, True), "name constraints": extension("2.5.29.30", seq(tlv(0xA0, seq(tlv(0x82))))),
         "policies": extension("2.5.29.32", seq(*(seq(oid(f"2.23.140.1.{i}")) for i in range(100)))), "policy constraints": extension("2.5.29.36", seq(tlv(0x80, b"\0"))),
         "inhibit any": extension("2.5.29.54", integer(0)), "key identifier": extension("2.5.29.14", tlv(4, MARK)), "lists": extension("2.5.29.31", seq()),
         "authority": extension("1.3.6.1.5.5.7.1.1", seq()), "no check": extension("1.3.6.1.5.5.7.48.1.5", tlv(5)), "template": extension("1.3.6.1.4.1.311.20.2", tlv(0x1E, b"\0S")),
         "san twice": extension(SAN, seq(tlv(0x82, b"a.h0stile"))) * 2, "bomb": b"".join(extension(f"1.2.3.{i}", MARK) for i in range(120)), "garbage": extension(SAN, b"\xff\xff\xff"),
         "empty": b"", "nested": extension("1.2.3", seq(seq(seq(seq(seq(seq(MARK))))))) }


def liars():
    for i, text in enumerate(NAUGHTY):
        yield f"naughty {i}", request(rdn(CN, 0x0C, text))
        yield f"naughty name {i}", request(rdn(CN, 0x0C, MARK), extensions(extension(SAN, seq(tlv(0x82, text)))))
    for name, tag in STRINGS.items():
        yield f"string {name}", request(rdn(CN, tag, b"\0" + MARK))
    for name, tag in (("integer", 2), ("bits", 3), ("null", 5), ("sequence", 0x30), ("context", 0x80), ("boolean", 1), ("time", 0x17)):
        yield f"name as {name}", request(set_(seq(oid(CN), tlv(tag, b"" if tag in (5, 0x30) else b"\0"))))
    for name, value in SANS.items():
        yield f"san {name}", request(rdn(CN, 0x0C, MARK), extensions(extension(SAN, seq(value))))
    for name, value in ASKED.items():
        yield f"asks for {name}", request(rdn(CN, 0x0C, MARK), extensions(value))
    yield "two names in one", request(set_(seq(oid(CN), tlv(0x0C, MARK)), seq(oid(EMAIL), tlv(0x16, MARK))))
    yield "many names", request(rdn(CN, 0x0C, b"a" + MARK) * 100)
    yield "challenge", request(b"", attribute(CHALLENGE, tlv(0x0C, MARK)))
    yield "extensions twice", request(b"", extensions(ASKED["ca"]) + extensions(ASKED["any purpose"]))
    yield "attribute without value", request(b"", seq(oid(EXTENSIONS), set_()))
    yield "attribute of two values", request(b"", attribute(EXTENSIONS, seq(), seq(ASKED["ca"])))
    yield "other attribute", request(b"", attribute("1.2.3.4", MARK[:0] + tlv(4, MARK)))


# ---- how they are written: refused ----

def huge_rsa(size, exponent=65537, signature=None):
    modulus = (1 << size) - 1
    return request(b"", b"", rsa_spki(modulus, exponent), signature=signature if signature is not None else b"\1" * (size // 8), alg=RSA_SHA256)


def broken():
    good = request(rdn(CN, 0x0C, MARK), extensions(ASKED["ca"]))
    for at in range(0, len(good), max(1, len(good) // 24)):
        yield f"cut at {at}", good[:at]
    for at in range(len(good) - 1, 0, -max(1, len(good) // 20)):
        yield f"bit turned at {at}", good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]
    yield "bytes behind", good + b"\0"
    yield "twice", good + good
    yield "empty", b""
    yield "null", tlv(5)
    yield "empty sequence", seq()
    yield "three empty sequences", seq(seq(), seq(), bits(b""))
    yield "endless length", b"\x30\x80" + good[4:] + b"\0\0"
    yield "long form", b"\x30\x84\0\0" + len(good[4:]).to_bytes(2, "big") + good[4:]
    yield "huge length", b"\x30\x84\xff\xff\xff\xff" + good[4:]
    yield "length of lengths", b"\x30\xff" + good[2:]
    yield "nested a thousand times", b"\x30\x82\x0f\xa0" + b"\x30\x80" * 2000
    yield "nested well", (lambda f: f(f, 900))(lambda f, n: seq(f(f, n - 1)) if n else b"")
    yield "too long", request(rdn(CN, 0x0C, b"a" * 5000))
    yield "far too long", request(rdn(CN, 0x0C, b"a" * 60000))
    for version in (1, 2, 255, 1 << 64):
        yield f"version {version}", request(version=version)
    yield "negative version", seq(seq(tlv(2, b"\xff"), seq(), spki_of(EC), tlv(0xA0)), ECDSA_SHA256, bits(b"x"))
    # signatures
    other = ec.generate_private_key(ec.SECP256R1())
    yield "of another key", request(spki=spki_of(other))
    yield "no signature", request(signature=b"")
    yield "signature of zeros", request(signature=seq(integer(0), integer(0)))
    yield "signature of the order", request(signature=seq(integer(0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551), integer(1)))
    yield "signature with a tail", request(signature=EC.sign(b"x", ec.ECDSA(hashes.SHA256())) + b"\0")
    yield "signature a megabyte short", request(signature=b"\x30\x84\x00\x10\x00\x00")
    for name, alg in (("sha1", seq(oid("1.2.840.10045.4.1"))), ("md5", seq(oid("1.2.840.113549.1.1.4"), tlv(5))), ("rsa", RSA_SHA256), ("none", seq()), ("unknown", seq(oid("1.2.3"))),
                      ("pss", seq(oid("1.2.840.113549.1.1.10"), seq())), ("parameters", seq(oid("1.2.840.10045.4.3.2"), tlv(5)))):
        yield f"signed by {name}", request(alg=alg)
    # keys
    for size in (512, 1024, 2047, 2056, 4104, 8192, 16384):
        yield f"rsa of {size}", huge_rsa(size, signature=b"\1" * min(size // 8, 64))
    yield "rsa of 16384 with its signature", huge_rsa(16384)
    real = rsa.generate_private_key(65537, 2048)
    n = real.public_key().public_numbers().n
    for name, exponent in (("0", 0), ("1", 1), ("2", 2), ("3", 3), ("even", 65536), ("large", (1 << 2047) + 1), ("of 65 bits", (1 << 64) + 1)):
        yield f"exponent {name}", request(b"", b"", rsa_spki(n, exponent), key=real, alg=RSA_SHA256)
    yield "even modulus", request(b"", b"", rsa_spki(n - 1), key=real, alg=RSA_SHA256)
    yield "negative modulus", request(b"", b"", seq(RSA_KEY, bits(seq(tlv(2, n.to_bytes(256, "big")), integer(65537)))), key=real, alg=RSA_SHA256)
    yield "modulus 0", request(b"", b"", rsa_spki(0), key=real, alg=RSA_SHA256)
    yield "rsa with a third number", request(b"", b"", seq(RSA_KEY, bits(seq(integer(n), integer(65537), integer(1)))), key=real, alg=RSA_SHA256)
    yield "rsa as bits of ten", request(b"", b"", seq(RSA_KEY, bits(b"\x30\x08" + b"\0" * 8)), key=real, alg=RSA_SHA256)
    yield "rsa key for a template of elliptic curves", request(b"", b"", key=real, alg=RSA_SHA256)
    numbers = EC.public_key().public_numbers()
    x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
    yield "point compressed", request(spki=ec_spki(bytes([2 + (numbers.y & 1)]) + x))
    yield "point hybrid", request(spki=ec_spki(bytes([6 + (numbers.y & 1)]) + x + y))
    yield "point at infinity", request(spki=ec_spki(b"\0"))
    yield "point of zeros", request(spki=ec_spki(b"\4" + b"\0" * 64))
    yield "point off the curve", request(spki=ec_spki(b"\4" + x + bytes([y[0] ^ 1]) + y[1:]))
    yield "point beyond the field", request(spki=ec_spki(b"\4" + b"\xff" * 64))
    yield "point of another curve", request(spki=ec_spki(b"\4" + x + y, "1.3.132.0.10"))
    yield "curve of its own", request(spki=seq(seq(oid("1.2.840.10045.2.1"), seq(integer(1), seq(oid("1.2.840.10045.1.1"), integer(7)))), bits(b"\4" + x + y)))
    yield "no curve", request(spki=seq(seq(oid("1.2.840.10045.2.1")), bits(b"\4" + x + y)))
    yield "no key", request(spki=seq())
    yield "no bits", request(spki=seq(seq(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")), bits(b"")))
    yield "unused bits", request(spki=seq(seq(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")), tlv(3, b"\7", b"\4" + x + y)))
    yield "p384", request(spki=spki_of(ec.generate_private_key(ec.SECP384R1())))
    for name, key in (("dsa", dsa.generate_private_key(1024)), ("x25519", x25519.X25519PrivateKey.generate()), ("ed25519", ed25519.Ed25519PrivateKey.generate())):
        yield f"key {name}", request(spki=spki_of(key))


def pem(der, label="CERTIFICATE REQUEST"):
    text = base64.b64encode(der).decode()
    return f"-----BEGIN {label}-----\n" + "".join(text[i:i + 64] + "\n" for i in range(0, len(text), 64)) + f"-----END {label}-----\n"


def spellings():
    good = pem(request())
    yield "nothing", ""
    yield "words", "please"
    yield "another label", pem(request(), "CERTIFICATE")
    yield "a private key", pem(request(), "PRIVATE KEY")
    yield "two", good + good
    yield "text before", "x\n" + good
    yield "text behind", good + "x"
    yield "headers", good.replace("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n\n", 1)
    yield "carriage returns", good.replace("\n", "\r\n")
    yield "one line", good.replace("\n", "")
    yield "no end", good[:-40]
    yield "nul", good[:60] + "\0" + good[60:]
    yield "not base64", good.replace(good[80:84], "????", 1)
    yield "padding inside", good.replace(good[80:84], "AA==", 1)
    yield "a megabyte", "-----BEGIN CERTIFICATE REQUEST-----\n" + "A" * 900000
    for value in (None, 7, [], {}, True, ["a"]):
        yield f"no text: {value}", value


# ---- the tests ----

@pytest.fixture(scope="module")
def inst():
    folder = new_folder("csr-hostile")
    i = Installation(folder)
    try:
        i.init()
        i.start()
        i.admin = Api(i, open(os.path.join(i.state, "admin.token")).read().strip())
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


def status_of(inst, name):
    with open(f"/proc/{inst.processes['controller'].pid}/status") as f:
        return int(next(line for line in f if line.startswith(name)).split()[1])


def ask(inst, csr, cert_id):
    return inst.admin("POST", "/api/v1/certificates", {"csr": csr, "template_id": "external_service", "names": [NAME], "cert_id": cert_id})


def issued(inst, answer):
    assert answer[0] == 202, answer
    cert_id = answer[1]["cert_id"]
    wait_for(f"{cert_id} is issued", lambda: inst.certificate(cert_id)["status"] == "issued")
    return x509.load_pem_x509_certificate(inst.admin.get(f"certificates/{cert_id}/pem")["certificate"].encode())


def shape(cert):
    """Everything of a certificate but serial, times, where its list is, and key with its identifier."""
    rows = {e.oid.dotted_string: (e.critical, e.value.public_bytes()) for e in cert.extensions}
    return cert.subject.public_bytes(), {k: v for k, v in rows.items() if k not in ("2.5.29.14", "2.5.29.31")}


def test_there_are_two_hundred():
    assert len(list(liars())) + len(list(broken())) + len(list(spellings())) >= 200
    assert len({name for name, _ in liars()}) == len(list(liars()))


def test_only_the_key_of_a_liar_is_used(inst):
    plain = issued(inst, ask(inst, pem(request()), "plain"))
    pid, before = inst.processes["controller"].pid, status_of(inst, "VmRSS")
    refused = []
    for n, (name, der) in enumerate(liars()):
        answer = ask(inst, pem(der), f"liar-{n}")
        if answer[0] != 202:
            assert answer[0] == 422 and answer[1]["code"] == "VCC-1401", (name, answer)  # as DER it is no request
            refused.append(name)
            continue
        cert = issued(inst, answer)
        assert shape(cert) == shape(plain), name
        der = cert.public_bytes(serialization.Encoding.DER)
        assert MARK not in der and cert.public_key() is not None, name
    assert set(refused) <= {"attribute without value"}, refused
    assert inst.processes["controller"].pid == pid and status_of(inst, "VmRSS") - before < GROWTH_KIB


def test_what_is_no_request_is_refused(inst):
    pid, before, certificates = inst.processes["controller"].pid, status_of(inst, "VmRSS"), len(inst.admin.get("certificates?limit=500")["items"])
    codes = {}
    for name, text in [*((name, pem(der)) for name, der in broken()), *spellings()]:
        answer = ask(inst, text, "broken")
        assert answer[0] in (413, 422) and answer[1]["code"] in ("VCC-1400", "VCC-1401", "VCC-1402", "VCC-3014", "VCC-3104", "VCC-3105"), (name, answer)
        codes[name] = answer[1]["code"]
        assert MARK.decode() not in str(answer[1]), name
    assert codes["of another key"] == "VCC-1402" and codes["rsa of 16384"] == "VCC-1400" and codes["exponent 3"] == "VCC-1400" and codes["point off the curve"] == "VCC-1400"
    assert codes["rsa key for a template of elliptic curves"] == "VCC-3014" and codes["bytes behind"] == "VCC-1401"
    assert len(inst.admin.get("certificates?limit=500")["items"]) == certificates
    assert inst.processes["controller"].pid == pid and status_of(inst, "VmRSS") - before < GROWTH_KIB


def test_nothing_is_computed_with_large_keys(inst):
    """A modulus of 16384 bit with an exponent as large would cost seconds each: a hundred of them cost what reading costs."""
    def spent():
        with open(f"/proc/{inst.processes['controller'].pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    text, start = pem(huge_rsa(16384, (1 << 13000) + 1, b"\1" * 64)), spent()
    for _ in range(100):
        assert ask(inst, text, "large")[1]["code"] == "VCC-1400"
    assert spent() - start < 5


def test_it_goes_on(inst):
    assert issued(inst, ask(inst, pem(request(key=EC)), "after-all")).public_key().public_numbers() == EC.public_key().public_numbers()
    assert inst.ready()
