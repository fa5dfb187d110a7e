"""What else a target's folder can hold, and where: PKCS#12 for Java (keytool reads it), copies at fixed paths, and verify.kind = file."""
import os
import shutil
import socket
import ssl
import subprocess

import pytest
from installation import ROOT, wait_for, write
from keeper_host import BIN, KeeperHost, temporary
from scene import change

VERIFIED, SETTLED, FAILED, REFUSED, KEPT = range(5)
KEYTOOL = shutil.which("keytool")
PASSWORD = "six of one"


class FixedHost(KeeperHost):
    """Its nginx reads copies at fixed paths, never current/."""

    def first_pair(self):
        super().first_pair()
        os.makedirs(self.fixed, exist_ok=True)
        for source, copy in self.copies.items():
            shutil.copy(f"{self.tls}/current/{source}", f"{self.fixed}/{copy}")

    @property
    def fixed(self):
        return f"{self.dir}/fixed"

    copies = {"key.pem": "tls.key", "fullchain.pem": "tls.crt"}

    def start_nginx(self):
        super().start_nginx()
        path = f"{self.base}/nginx.conf"
        with open(path) as f:
            text = f.read()
        write(path, text.replace(f"{self.tls}/current/fullchain.pem", f"{self.fixed}/tls.crt").replace(f"{self.tls}/current/key.pem", f"{self.fixed}/tls.key"))
        self.processes["nginx"].stop()
        self.processes["nginx"].start()
        wait_for("nginx serves", self.served)


@pytest.fixture(scope="module")
def host():
    folder = temporary()
    h = FixedHost(folder)
    write(f"{folder}/secret/p12", PASSWORD + "\nsecond line\n", 0o600)
    h.settings["files"] += (f"pkcs12 = yes\npkcs12_password_file = {folder}/secret/p12\n"
                            f"copies = key.pem:{h.fixed}/tls.key, fullchain.pem:{h.fixed}/tls.crt, keystore.p12:{h.fixed}/app.p12\n")
    h.good = dict(h.settings)
    try:
        h.start()
        yield h
    finally:
        h.stop()
        shutil.rmtree(folder, ignore_errors=True)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def same(host):
    for source, copy in {**host.copies, "keystore.p12": "app.p12"}.items():
        assert read(f"{host.tls}/current/{source}") == read(f"{host.fixed}/{copy}"), copy
    assert sorted(os.listdir(host.fixed)) == ["app.p12", "tls.crt", "tls.key"]


def test_a_service_that_reads_copies_is_renewed(host):
    for _ in range(3):
        key = host.renew()
        receipt = host.link.receipt(key, SETTLED)
        assert receipt["probes_failed"] == 0
        assert host.check_set() == host.link.orders[key]["fingerprint"] == host.served()
        same(host)
        assert os.stat(f"{host.fixed}/tls.key").st_mode & 0o777 == 0o640 and os.stat(f"{host.fixed}/tls.crt").st_mode & 0o777 == 0o644


def test_a_changed_copy_is_put_right_at_the_next_start(host):
    write(f"{host.fixed}/tls.crt", "garbage")
    os.unlink(f"{host.fixed}/app.p12")
    host.restart_keeper()
    wait_for("the copies are right", lambda: os.path.exists(f"{host.fixed}/app.p12") and read(f"{host.fixed}/tls.crt") != b"garbage")
    same(host)


# ---- PKCS#12 ----
def keytool(*words):
    done = subprocess.run([KEYTOOL, *words], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(KEYTOOL is None, reason="no keytool (package openjdk-17-jre-headless)")
def test_java_reads_both_stores(host, folder):
    current = f"{host.tls}/current"
    write(f"{folder}/p", PASSWORD)
    listed = keytool("-list", "-v", "-keystore", f"{current}/keystore.p12", "-storetype", "PKCS12", "-storepass:file", f"{folder}/p")
    assert "Alias name: vcc" in listed and "Entry type: PrivateKeyEntry" in listed and "Certificate chain length: 2" in listed, listed
    # reading the list does not open the key: a copy of the entry does
    keytool("-importkeystore", "-srckeystore", f"{current}/keystore.p12", "-srcstorepass:file", f"{folder}/p", "-destkeystore", f"{folder}/copy.p12",
            "-deststoretype", "PKCS12", "-deststorepass", "another1")
    trusted = keytool("-list", "-v", "-keystore", f"{current}/truststore.p12", "-storetype", "PKCS12", "-storepass:file", f"{folder}/p")
    assert "Alias name: vcc-ca-1" in trusted and "Entry type: trustedCertEntry" in trusted, trusted
    der = keytool("-exportcert", "-rfc", "-alias", "vcc-ca-1", "-keystore", f"{current}/truststore.p12", "-storepass:file", f"{folder}/p")
    assert ssl.PEM_cert_to_DER_cert(der.strip()) == ssl.PEM_cert_to_DER_cert(read(f"{current}/ca.pem").decode().strip())


def test_openssl_and_python_read_the_store(host, folder):
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
    key, cert, rest = pkcs12.load_key_and_certificates(read(f"{host.tls}/current/keystore.p12"), PASSWORD.encode())
    assert key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) == read(f"{host.tls}/current/key.pem")
    assert len(rest) == 1 and cert.issuer == rest[0].subject
    write(f"{folder}/p", PASSWORD)
    done = subprocess.run(["openssl", "pkcs12", "-in", f"{host.tls}/current/keystore.p12", "-info", "-nodes", "-passin", f"file:{folder}/p"], capture_output=True, text=True)
    assert done.returncode == 0 and "PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256" in done.stderr and "MAC: sha256" in done.stderr, done.stderr


def test_stores_are_as_closed_as_the_key(host):
    current = f"{host.tls}/current"
    key, store = os.stat(f"{current}/key.pem"), os.stat(f"{current}/keystore.p12")
    assert (key.st_mode, key.st_uid, key.st_gid) == (store.st_mode, store.st_uid, store.st_gid)
    assert os.stat(f"{current}/truststore.p12").st_mode & 0o777 == 0o644


def unchanged(host, key, outcome, code):
    before, served = host.current(), host.check_set()
    receipt = host.link.receipt(key, outcome)
    assert receipt["code"] == -code and receipt["cause"], receipt
    assert host.current() == before and host.check_set() == served == host.served()
    assert PASSWORD not in host.log("keeper")
    return receipt


@pytest.mark.parametrize("spoil", ["mode", "missing", "short", "link", "folder", "binary"])
def test_a_password_file_that_cannot_be_used(host, spoil):
    path = f"{host.dir}/secret/p12"
    kept = read(path)
    if spoil == "mode":
        os.chmod(path, 0o644)
    elif spoil == "missing":
        os.unlink(path)
    elif spoil == "link":
        os.rename(path, path + ".real")
        os.symlink("p12.real", path)
    elif spoil == "folder":
        os.chmod(f"{host.dir}/secret", 0o777)
    else:
        write(path, {"short": "five5\n", "binary": "\x01\x02\x03\x04\x05\x06\x07\n"}[spoil], 0o600)
    try:
        receipt = unchanged(host, host.renew(), FAILED, 2016)
        assert path in receipt["cause"] or "p12" in receipt["cause"], receipt
    finally:
        os.chmod(f"{host.dir}/secret", 0o755)
        if os.path.lexists(path):
            os.unlink(path)
        write(path, kept.decode(), 0o600)
        if os.path.exists(path + ".real"):
            os.unlink(path + ".real")


# ---- copies that cannot be written ----
@pytest.mark.parametrize("spoil", ["writable by all", "a link instead", "a folder instead", "gone"])
def test_copies_that_cannot_be_written_stop_the_swap(host, spoil):
    """Found at the flip: it is taken back at once, and no copy was touched."""
    before = {n: read(f"{host.fixed}/{n}") for n in os.listdir(host.fixed)}
    aside = f"{host.dir}/aside"
    if spoil == "writable by all":
        os.chmod(host.fixed, 0o777)
    elif spoil == "gone":
        os.rename(host.fixed, aside)
    else:
        os.rename(f"{host.fixed}/app.p12", aside)
        os.symlink(aside, f"{host.fixed}/app.p12") if "link" in spoil else os.mkdir(f"{host.fixed}/app.p12")
    try:
        served = host.check_set()
        key = host.renew()
        receipt = host.link.receipt(key, FAILED)
        # nginx reads the copies itself: without their folder already its configuration test fails
        assert receipt["code"] == (-2002 if spoil == "gone" else -2017), receipt
        assert spoil == "gone" or "fixed" in receipt["cause"], receipt
        assert host.check_set() == served
    finally:
        os.chmod(host.fixed, 0o755) if os.path.exists(host.fixed) else None
        if spoil == "gone":
            os.rename(aside, host.fixed)
        elif spoil != "writable by all":
            os.unlink(f"{host.fixed}/app.p12") if "link" in spoil else os.rmdir(f"{host.fixed}/app.p12")
            os.rename(aside, f"{host.fixed}/app.p12")
    assert {n: read(f"{host.fixed}/{n}") for n in os.listdir(host.fixed)} == before
    host.link.receipt(host.renew(), SETTLED)
    same(host)


def check(host, **sections):
    """vcc-keeper --check of the target file with these sections changed, beside the running one."""
    path = f"{host.dir}/targets.d/other.conf"
    settings = {**host.good, **sections}
    write(path, f"[target]\ncert_id = other\ntemplate = clara_service_auth\nnames = a.clara.vcc.internal\n{settings['target']}[files]\n{settings['files']}"
          f"[reload]\n{settings['reload']}[verify]\n{settings['verify']}")
    try:
        done = subprocess.run([os.path.join(BIN, "vcc-keeper"), "--config", host.config, "--check"], capture_output=True, text=True)
        return done.returncode, done.stderr
    finally:
        os.unlink(path)


def test_check_refuses_what_could_not_be_written(host, folder):
    os.makedirs(f"{folder}/safe")
    os.makedirs(f"{folder}/open", mode=0o777)
    os.chmod(f"{folder}/open", 0o777)
    os.symlink("safe", f"{folder}/link")
    os.mkdir(f"{folder}/safe/taken")
    code, said = check(host, files=f"copies = key.pem:{folder}/safe/a.key\n")
    assert code == 0, said
    for path, words in ((f"{folder}/open/a.key", "others may change"), (f"{folder}/link/a.key", "link"), (f"{folder}/nowhere/a.key", "cannot"),
                        (f"{folder}/safe/taken", "no plain file"), (f"{host.fixed}/tls.key", "copy of target"), (f"{host.tls}/x.key", "another target"),
                        (f"{host.dir}/keeper/x.key", "the agent"), (f"{host.dir}/targets.d/evil.conf", "the agent")):
        code, said = check(host, files=f"copies = key.pem:{path}\n")
        assert code == 1 and "VCC-2017" in said and words in said and path in said, (path, said)


# ---- verify.kind = file ----
def test_verify_file_reads_back_what_was_written(host):
    """Without a listener the files are read back; whoever changes a copy behind the swap is found out, and the old pair comes back."""
    script = f"{host.dir}/hook.sh"
    write(script, f"#!/bin/sh\n[ ! -e {host.dir}/spoil ] || {{ sed -i s/A/B/ {host.fixed}/tls.crt; rm {host.dir}/spoil; }}\n", 0o755)
    change(host, verify="kind = file\n", reload=f"kind = exec\ncommand = {script}\n")
    try:
        key = host.renew()
        host.link.receipt(key, SETTLED)
        same(host)
        before = host.check_set()
        write(f"{host.dir}/spoil", "")
        receipt = host.link.receipt(host.renew(), FAILED)
        assert receipt["code"] == -2018 and "copy" in receipt["cause"], receipt
        assert host.check_set() == before
        wait_for("the copies are back, too", lambda: read(f"{host.fixed}/tls.crt") == read(f"{host.tls}/current/fullchain.pem"))
        same(host)
    finally:
        change(host, **host.good)


def test_verify_file_is_healed_under_another_number(host):
    """The new pair is kept although its hook fails; then a repair gives it another number: once the hook is good, the order ends all the same."""
    script = f"{host.dir}/hook.sh"
    write(script, f"#!/bin/sh\n[ ! -e {host.dir}/spoil ]\n", 0o755)
    change(host, target="on_failure = forward\n", verify="kind = file\n", reload=f"kind = exec\ncommand = {script}\n")
    try:
        write(f"{host.dir}/spoil", "")
        key = host.renew()
        host.link.receipt(key, KEPT)
        kept, number = host.check_set(), host.current()
        write(f"{host.tls}/current/chain.pem", "x")
        wait_for("it is repaired", lambda: host.current() != number and host.check_set() == kept, 30)
        os.unlink(f"{host.dir}/spoil")
        host.link.receipt(key, SETTLED)
        assert host.check_set() == kept
    finally:
        change(host, **host.good)
