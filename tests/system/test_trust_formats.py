"""[trust] formats: do OpenSSL (CApath), and what reads PKCS#12, find in each generation the authorities and lists that ca.pem and crl.pem hold, is a change of
any of these files found and undone, and does new trust reach all of them?"""
import contextlib
import hashlib
import os
import shutil
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from fake_ca import Authority, now, when
from installation import ROOT, connects, free_port, wait_for, write
from keeper_host import KeeperHost, temporary
from tamper import TAMPER, whole
from wire_tables import body_encode

VERIFIED, SETTLED, FAILED, REFUSED, KEPT = range(5)
REPAIR, CONTENT, PROVE, HEAL, REHEARSE = range(1, 6)
FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
ENV = {"VCC_PROBE_MS": "1500", "VCC_HEAL_MS": "300", "VCC_LOOK_MS": "1000"}
PASSWORD = "six of one"


def lists(host, number, revoked=()):
    """PEM of a good set. Without points, as the certificates here name none: OpenSSL would find the lists to be about others."""
    cas = host.link.cas
    return cas.service.crl(number, revoked) + cas.agent.crl(number) + cas.root.crl(number)


@pytest.fixture(scope="module")
def host():
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    folder = temporary()
    h = KeeperHost(folder, FAULTS)
    write(f"{folder}/secret/p12", PASSWORD + "\n", 0o600)
    h.settings["files"] += f"pkcs12_password_file = {folder}/secret/p12\n"
    h.settings["verify"] += "[trust]\ncrl = yes\nformats = pem, p12, capath\n"
    try:
        h.start_nginx()
        h.write_target()
        done = h.join()
        assert done["code"] == 0, done
        h.start_hook()
        h.start_keeper(ENV)
        h.link.announce(lists(h, 7, [4711]))
        h.link.receipt(h.renew(), SETTLED)
        yield h
    finally:
        h.stop()
        shutil.rmtree(folder, ignore_errors=True)


def current(host, name=""):
    return os.path.join(host.tls, "current", name).rstrip("/")


def content(folder):
    """name -> SHA-256, mode; links are followed."""
    return {n: hashlib.sha256(open(os.path.join(folder, n), "rb").read()).hexdigest() for n in sorted(os.listdir(folder))}


def openssl(*arguments, ok=True):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout + done.stderr


def as_rehash_makes_it(host, folder):
    """The folder that `openssl rehash` makes of the same certificates and lists."""
    os.makedirs(folder)
    for name, label in (("ca.pem", "CERTIFICATE"), ("crl.pem", "X509 CRL")):
        end = f"-----END {label}-----\n"
        for i, block in enumerate(open(current(host, name)).read().split(end)[:-1]):
            write(f"{folder}/{i:02}-{name}", block + end)
    openssl("rehash", folder)
    return {n: h for n, h in content(folder).items() if not n.endswith(".pem")}


def check_capath(host, tmp_path):
    wanted = as_rehash_makes_it(host, str(tmp_path / f"rehash-{time.monotonic_ns()}"))
    assert content(current(host, "capath")) == wanted, "the same names with the same content"
    for name in wanted:
        st = os.lstat(current(host, f"capath/{name}"))
        assert st.st_mode == 0o100644 and st.st_nlink == 1 and st.st_gid == os.stat(current(host, "cert.pem")).st_gid, name
    return wanted


def test_capath_is_what_openssl_rehash_makes(host, tmp_path):
    names = check_capath(host, tmp_path)
    assert sorted(n.split(".")[1] for n in names) == ["0", "r0", "r0", "r0"]


def test_openssl_verifies_by_capath(host, tmp_path):
    arguments = ["verify", "-CApath", current(host, "capath"), "-no-CAfile", "-no-CAstore", "-untrusted", current(host, "chain.pem")]
    openssl(*arguments, current(host, "cert.pem"))
    openssl(*arguments, "-crl_check", current(host, "cert.pem"))
    openssl(*arguments, "-crl_check_all", current(host, "cert.pem"))
    # what the lists are for
    cas = host.link.cas
    builder = cas.service.builder(x509.Name([]), cas.root.key.public_key(), now() - 60, now() + 3600, serial=4711)
    revoked = builder.add_extension(x509.BasicConstraints(False, None), True).sign(cas.service.key, hashes.SHA256())
    write(str(tmp_path / "revoked.pem"), revoked.public_bytes(Encoding.PEM).decode())
    openssl(*arguments, str(tmp_path / "revoked.pem"))
    assert "certificate revoked" in openssl(*arguments, "-crl_check", str(tmp_path / "revoked.pem"), ok=False)
    # without the lists nobody passes: they are really taken from there
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in os.listdir(current(host, "capath")):
        if ".r" not in name:
            shutil.copy(current(host, f"capath/{name}"), bare)
    arguments[2] = str(bare)
    openssl(*arguments, current(host, "cert.pem"))
    assert "unable to get certificate CRL" in openssl(*arguments, "-crl_check", current(host, "cert.pem"), ok=False)


def client_pair(host, path, serial):
    """A pair of the service CA for a client, with the chain."""
    cas, key = host.link.cas, ec.generate_private_key(ec.SECP256R1())
    cert = (cas.service.builder(x509.Name([]), key.public_key(), now() - 60, now() + 3600, serial=serial)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH]), False).sign(cas.service.key, hashes.SHA256()))
    write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode() +
          "".join(c.public_bytes(Encoding.PEM).decode() for c in (cert, cas.service.cert)), 0o600)
    return path


def trusting(host, command, *more):
    """The command line of an OpenSSL client or server that trusts what lies in capath/, and nothing else."""
    return ["openssl", command, "-CApath", current(host, "capath"), "-no-CAfile", "-no-CAstore", "-verify_return_error", "-crl_check_all", *more]


def said_by_client(host, port, *more):
    """Exit status and words of a client that sends a line and is answered or not; its trust is capath/."""
    argv = trusting(host, "s_client", "-connect", f"127.0.0.1:{port}", "-servername", host.names[0], "-verify_hostname", host.names[0], "-quiet", *more)
    done = subprocess.run(argv, input="GET / HTTP/1.0\r\n\r\n", capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def strict_server(host):
    """openssl s_server with the target's own files: it wants clients whose chain and lists it finds in capath/."""
    port = free_port()
    argv = trusting(host, "s_server", "-accept", f"127.0.0.1:{port}", "-Verify", "2", "-www", "-key", current(host, "key.pem"), "-cert", current(host, "cert.pem"),
                    "-cert_chain", current(host, "chain.pem"))
    server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for("it listens", lambda: connects("127.0.0.1", port))
        yield port
    finally:
        server.kill()
        server.wait(10)


def test_a_client_and_a_server_whose_trust_is_capath(host, tmp_path):
    """Both sides of a real connection, with the lists: who is revoked is not let in, and a list that is missing lets nobody in."""
    status, said = said_by_client(host, host.port)
    assert status == 0 and "ok" in said, said
    good, revoked = client_pair(host, str(tmp_path / "good.pem"), 4712), client_pair(host, str(tmp_path / "revoked.pem"), 4711)

    def as_client(pair, port):
        return said_by_client(host, port, "-cert", pair, "-key", pair, "-cert_chain", pair)

    with strict_server(host) as port:
        status, said = as_client(good, port)
        assert status == 0 and "200 ok" in said, said
        status, said = as_client(revoked, port)
        assert "200 ok" not in said and "certificate revoked" in said, said


def test_a_truststore_without_a_keystore(host):
    assert not os.path.exists(current(host, "keystore.p12"))
    key, cert, rest = pkcs12.load_key_and_certificates(open(current(host, "truststore.p12"), "rb").read(), PASSWORD.encode())
    assert key is None and cert is None and [c.public_bytes(Encoding.DER) for c in rest] == [host.link.cas.root.der]
    text = openssl("pkcs12", "-in", current(host, "truststore.p12"), "-nokeys", "-passin", f"file:{host.dir}/secret/p12")
    assert "friendlyName: vcc-ca-1" in text and text.count("BEGIN CERTIFICATE") == 1
    assert "2.16.840.1.113894.746875.1.1" in text, "Java's mark of a trusted certificate"


@pytest.mark.parametrize("kind", TAMPER)
@pytest.mark.parametrize("which", ["capath/*.0", "capath/*.r0", "truststore.p12"])
def test_a_change_of_these_files_is_told_and_undone(host, which, kind):
    stem, end = which.split("*") if "*" in which else (which, "")
    name = which if not end else next(f"{stem}{n}" for n in sorted(os.listdir(current(host, "capath"))) if n.endswith(end))
    before, told, seq = whole(current(host)), len(host.link.drifts), host.link.receipt_seq
    time.sleep(1.1)  # a change within a second of a repair would be taken for a second writer's
    TAMPER[kind](current(host, name))
    host.link.care(REPAIR, after=seq)
    drift = host.link.drifts[told]
    assert drift["file"] == name and drift["stem"] == "web"
    after = whole(current(host))
    if which == "truststore.p12":  # made anew, with another salt
        del before[name], after[name]
    else:
        before.pop("truststore.p12"), after.pop("truststore.p12")
    assert after == before


def test_an_authority_that_somebody_adds_is_removed(host):
    """It would be trusted by everybody who reads the folder."""
    told, seq = len(host.link.drifts), host.link.receipt_seq
    time.sleep(1.1)
    write(current(host, "capath/12345678.0"), Authority("Intruder").cert.public_bytes(Encoding.PEM).decode())
    host.link.care(REPAIR, after=seq)
    assert host.link.drifts[told]["file"] == "capath/12345678.0"
    assert "12345678.0" not in os.listdir(current(host, "capath"))


def test_the_folder_gone_or_closed(host):
    away = os.path.join(host.dir, "away")  # in one step: of a folder that is emptied, a file may be missed first
    for change in (lambda p: os.rename(p, away), lambda p: os.chmod(p, 0o700)):
        told, seq = len(host.link.drifts), host.link.receipt_seq
        wanted = content(current(host, "capath"))
        time.sleep(1.1)
        change(current(host, "capath"))
        host.link.care(REPAIR, after=seq)
        assert host.link.drifts[told]["file"] == "capath" and content(current(host, "capath")) == wanted
        assert os.stat(current(host, "capath")).st_mode & 0o7777 == 0o755


def test_what_was_made_is_still_known_after_a_restart(host):
    generation, seq, told = host.current(), host.link.receipt_seq, len(host.link.drifts)
    host.restart_keeper(ENV)
    wait_for("it looks again", lambda: host.link.status(host.socket)["targets"])
    time.sleep(1.5)
    assert host.current() == generation and host.link.receipt_seq == seq and len(host.link.drifts) == told, "nothing is taken for changed"
    host.link.close()
    host.processes["keeper"].kill()
    victim = next(n for n in os.listdir(current(host, "capath")) if n.endswith(".r0"))
    os.unlink(current(host, f"capath/{victim}"))
    host.start_keeper(ENV)
    receipt = host.link.care(REPAIR, after=seq)
    assert victim in receipt["cause"] and os.path.exists(current(host, f"capath/{victim}"))


def test_new_trust_reaches_every_format(host, tmp_path):
    """Two roots of one name: HASH.0 and HASH.1."""
    cas, seq = host.link.cas, host.link.receipt_seq
    other = Authority("Root")
    body = body_encode("bundle", epoch=2, previous=hashlib.sha256(cas.bundle_body).digest(), threshold=1, made_at=int(now() * 1000),
                       roots=[{"certificate": r.der} for r in (cas.root, other)])
    frame, cas.bundle_body = cas.bundle(body), body
    host.link.send_raw(frame)
    host.link.care(CONTENT, after=seq)
    names = check_capath(host, tmp_path)
    assert sorted(n.split(".")[1] for n in names) == ["0", "1", "r0", "r0", "r0"]
    openssl("verify", "-CApath", current(host, "capath"), "-no-CAfile", "-no-CAstore", "-untrusted", current(host, "chain.pem"), "-crl_check_all",
            current(host, "cert.pem"))
    write(str(tmp_path / "other.pem"), other.cert.public_bytes(Encoding.PEM).decode())
    openssl("verify", "-CApath", current(host, "capath"), "-no-CAfile", "-no-CAstore", str(tmp_path / "other.pem"))
    assert len(pkcs12.load_key_and_certificates(open(current(host, "truststore.p12"), "rb").read(), PASSWORD.encode())[2]) == 2


def test_new_lists_reach_every_format(host, tmp_path):
    """Somebody is revoked: crl.pem and capath/ say so, the trust store and the pair stay as they are."""
    seq, served = host.link.receipt_seq, host.served()
    pair = client_pair(host, str(tmp_path / "later.pem"), 4713)
    arguments = ["verify", "-CApath", current(host, "capath"), "-no-CAfile", "-no-CAstore", "-untrusted", current(host, "chain.pem"), "-crl_check_all", pair]
    openssl(*arguments)
    before = content(current(host, "capath"))
    host.link.announce(lists(host, 8, [4711, 4713]))
    host.link.care(CONTENT, after=seq)
    names = check_capath(host, tmp_path)
    assert names.keys() == before.keys() and {n for n in names if names[n] != before[n]} <= {n for n in names if ".r" in n}
    assert "certificate revoked" in openssl(*arguments, ok=False)
    assert host.served() == served == host.check_set()


def test_a_rehearsal_makes_them_too(host):
    """A password file that cannot be read is found by the daily rehearsal, not by the next renewal."""
    before, seq = whole(current(host)), host.link.receipt_seq
    os.chmod(f"{host.dir}/secret/p12", 0o644)
    host.restart_keeper(dict(ENV, VCC_REHEARSE_MS="500"))
    receipt = host.link.care(REHEARSE, FAILED, after=seq)
    assert receipt["code"] == -2016 and whole(current(host)) == before
    os.chmod(f"{host.dir}/secret/p12", 0o600)
    seq = host.link.receipt_seq
    receipt = host.link.care(REHEARSE, after=seq)
    assert receipt["code"] == 0 and whole(current(host)) == before
    host.restart_keeper(ENV)


def test_formats_are_settings_of_their_own(host):
    settings, seq = dict(host.settings), host.link.receipt_seq
    host.write_target(verify=settings["verify"].replace("formats = pem, p12, capath", "formats = pem"))
    host.link.care(CONTENT, after=seq)
    assert not os.path.exists(current(host, "capath")) and not os.path.exists(current(host, "truststore.p12"))
    assert os.path.exists(current(host, "crl.pem")) and os.path.exists(current(host, "ca.pem"))
    seq = host.link.receipt_seq
    host.write_target(**settings)
    host.link.care(CONTENT, after=seq)
    assert os.path.exists(current(host, "capath")) and os.path.exists(current(host, "truststore.p12"))
    # a renewal with all of it, and what is pruned is gone with its folder
    for _ in range(3):
        host.link.receipt(host.renew(), SETTLED)
    wait_for("only a few generations stay", lambda: len([n for n in os.listdir(host.tls) if n.startswith("g")]) <= 3)
    assert not [n for n in os.listdir(host.tls) if n.startswith(".")]
    host.check_set()
