"""Do OpenSSL, GnuTLS and Python cryptography accept every certificate, chain and CRL that we issue, and refuse revoked ones?

The sample PKI is written by tests/lib/tool_pki.c: CAs of each role, a leaf of each profile and key type, CRLs.
"""
import os
import pathlib
import subprocess

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

BUILD = pathlib.Path(os.environ.get("VCC_BUILD", pathlib.Path(__file__).parents[2] / "build"))
ROLES = ("service", "agent", "code-signing")


def run(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    return done.returncode, done.stdout


@pytest.fixture(scope="module", params=[("ec-p256", ""), ("ec-p384", "10.0.0.0/8, 2001:db8::/32"), ("rsa-2048", "10.0.0.0/8")],
                ids=lambda p: p[0])
def pki(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    argv = [str(BUILD / "tests/tool_pki"), str(folder), request.param[0]] + ([request.param[1]] if request.param[1] else [])
    code, out = run(*argv)
    assert code == 0, out
    (folder / "crls.pem").write_text("".join((folder / f"crl-{r}.pem").read_text() for r in ("root",) + ROLES))
    return folder


def leaves(folder, prefix):
    """(file, role of its CA)"""
    found = []
    for path in sorted(folder.glob(prefix + "-*.pem")):
        role = next(r for r in ROLES if path.name.startswith(f"{prefix}-{r}"))
        found.append((path, role))
    assert len(found) >= len(ROLES)
    return found


def openssl_verify(pki, path, role, *more):
    return run("openssl", "verify", "-x509_strict", "-crl_check_all", "-check_ss_sig", "-CAfile", str(pki / "root.pem"),
               "-untrusted", str(pki / f"{role}.pem"), "-CRLfile", str(pki / "crls.pem"), *more, str(path))


def test_openssl_accepts(pki):
    for path, role in leaves(pki, "leaf"):
        code, out = openssl_verify(pki, path, role)
        assert code == 0, out


def test_openssl_accepts_the_purpose(pki):
    for name, role, purpose in (("leaf-service-service-ec-p256", "service", "sslserver"),
                                ("leaf-service-service-ec-p256", "service", "sslclient"),
                                ("leaf-agent-agent-ec-p256", "agent", "sslclient"),
                                ("leaf-agent-gateway-ec-p256", "agent", "sslserver")):
        code, out = openssl_verify(pki, pki / f"{name}.pem", role, "-purpose", purpose)
        assert code == 0, out


def test_openssl_refuses_revoked(pki):
    for path, role in leaves(pki, "revoked"):
        code, out = openssl_verify(pki, path, role)
        assert code != 0 and "revoked" in out, out


def test_openssl_refuses_without_crl(pki):
    code, out = run("openssl", "verify", "-crl_check_all", "-CAfile", str(pki / "root.pem"), "-untrusted", str(pki / "service.pem"),
                    "-CRLfile", str(pki / "crl-root.pem"), str(pki / "leaf-service-service-ec-p256.pem"))
    assert code != 0 and "CRL" in out, out


def certtool_verify(pki, path, role, *more):
    chain = pki / "chain.pem"
    chain.write_text("".join(p.read_text() for p in (path, pki / f"{role}.pem", pki / "root.pem")))
    return run("certtool", "--verify", "--load-ca-certificate", str(pki / "root.pem"), "--infile", str(chain), *more)


def test_gnutls_accepts(pki):
    for path, role in leaves(pki, "leaf"):
        code, out = certtool_verify(pki, path, role)
        assert code == 0 and "Verified. The certificate is trusted." in out, out


def test_gnutls_refuses_revoked(pki):
    for path, role in leaves(pki, "revoked"):
        code, out = certtool_verify(pki, path, role, "--load-crl", str(pki / f"crl-{role}.pem"))
        assert code != 0 and "revoked" in out, out


def test_gnutls_reads_crls(pki):
    for role in ("root",) + ROLES:
        code, out = run("certtool", "--crl-info", "--infile", str(pki / f"crl-{role}.pem"))
        assert code == 0, out
        issuer = "root" if role == "root" else role
        code, out = run("certtool", "--verify-crl", "--load-ca-certificate", str(pki / f"{issuer}.pem"), "--infile",
                        str(pki / f"crl-{role}.pem"))
        assert code == 0 and "Verified" in out, out


def test_cryptography_reads_certificates(pki):
    cas = {r: x509.load_der_x509_certificate((pki / f"{r}.cer").read_bytes()) for r in ("root",) + ROLES}
    for path, role in leaves(pki, "leaf") + leaves(pki, "revoked"):
        cert = x509.load_pem_x509_certificate(path.read_bytes())
        ca = cas[role]
        assert cert.version == x509.Version.v3
        assert cert.issuer == ca.subject
        assert 0 < cert.serial_number < 1 << 127
        aki = cert.extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_KEY_IDENTIFIER).value
        ski = ca.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_KEY_IDENTIFIER).value
        assert aki.key_identifier == ski.digest
        bc = cert.extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS)
        assert bc.critical and not bc.value.ca
        point = cert.extensions.get_extension_for_oid(ExtensionOID.CRL_DISTRIBUTION_POINTS).value[0]
        assert point.full_name[0].value == f"http://pki.vcc.internal/crl/{role}-1/3.crl"
        aia = cert.extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_INFORMATION_ACCESS).value
        assert [p.access_location.value for p in aia] == ["http://pki.vcc.internal/ocsp", f"http://pki.vcc.internal/ca/{role}-1.cer"]
        assert [p.access_method for p in aia] == [AuthorityInformationAccessOID.OCSP, AuthorityInformationAccessOID.CA_ISSUERS]
        if not list(cert.subject):
            assert cert.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).critical


def test_cryptography_reads_cas(pki):
    for role in ROLES:
        ca = x509.load_pem_x509_certificate((pki / f"{role}.pem").read_bytes())
        bc = ca.extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS)
        assert bc.critical and bc.value.ca and bc.value.path_length == 0
        nc = ca.extensions.get_extension_for_oid(ExtensionOID.NAME_CONSTRAINTS)
        assert nc.critical
        assert ca.not_valid_after <= x509.load_pem_x509_certificate((pki / "root.pem").read_bytes()).not_valid_after
    agent = x509.load_pem_x509_certificate((pki / "agent.pem").read_bytes())
    nc = agent.extensions.get_extension_for_oid(ExtensionOID.NAME_CONSTRAINTS).value
    assert [n.value for n in nc.permitted_subtrees] == ["vcc.internal"]
    assert x509.DNSName("") in nc.excluded_subtrees


def test_cryptography_reads_crls(pki):
    for role in ("root",) + ROLES:
        crl = x509.load_der_x509_crl((pki / f"crl-{role}.der").read_bytes())
        ca = x509.load_pem_x509_certificate((pki / f"{role}.pem").read_bytes())
        assert crl.is_signature_valid(ca.public_key())
        assert crl.extensions.get_extension_for_oid(ExtensionOID.CRL_NUMBER).value.crl_number == 7
        entries = list(crl)
        if role == "root":
            assert entries == []
            continue
        idp = crl.extensions.get_extension_for_oid(ExtensionOID.ISSUING_DISTRIBUTION_POINT)
        assert idp.critical and idp.value.full_name[0].value == f"http://pki.vcc.internal/crl/{role}-1/3.crl"
        revoked = x509.load_pem_x509_certificate((pki / f"revoked-{role}.pem").read_bytes())
        assert [e.serial_number for e in entries] == [revoked.serial_number]
        reason = entries[0].extensions.get_extension_for_oid(x509.oid.CRLEntryExtensionOID.CRL_REASON).value.reason
        assert reason == x509.ReasonFlags.superseded
