"""vcc-signer as a process: one certificate per serial through kills, no start with wrong keys, full disks, its own jail, and how fast."""
import base64
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest
from cryptography import x509
from installation import wait_for

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
TOOL = os.path.join(ROOT, "build", "tests", "tool_signer")
URL = "http://127.0.0.1:8080"


class Signer:
    def __init__(self, folder, binaries="build"):
        self.at = int(time.time()) - 60  # the same content in every run of the tool
        self.folder, self.binaries, self.popen = folder, os.path.join(ROOT, binaries, "bin"), None
        self.config, self.socket, self.log = f"{folder}/etc/signer.conf", f"{folder}/run/signer.sock", f"{folder}/log"
        os.makedirs(f"{folder}/etc/signer.conf.d")
        os.makedirs(f"{folder}/run")
        os.makedirs(f"{folder}/signer")
        with open(self.config, "w") as f:
            f.write(f"[signer]\nstate_dir = {folder}/signer\nsocket = {self.socket}\npassphrase_file = {folder}/etc/ca-passphrase\n"
                    f"controller_user =\npublic_url = {URL}\n[limits]\ndomains = vcc.internal\n")

    def init(self):
        subprocess.run([f"{self.binaries}/vcc-signer", "init", "--config", self.config, "--organisation", "Test", "--public", f"{self.folder}/etc/ca"],
                       check=True, timeout=60)

    def drop_in(self, text):
        with open(f"{self.config}.d/50-test.conf", "w") as f:
            f.write(text)

    def start(self, binaries=None, wait=True, status=1, **env):
        said = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen([f"{os.path.join(ROOT, binaries, 'bin') if binaries else self.binaries}/vcc-signer", "--config", self.config],
                                          stdout=out, stderr=out, env=dict(os.environ, **env))
        end = time.monotonic() + 60
        while wait and "authorities ready" not in self.said(said):
            assert self.popen.poll() is None, self.said(said)
            assert time.monotonic() < end, "the signer does not get ready"
            time.sleep(0.02)
        if not wait:
            assert self.popen.wait(60) == status
        return self.said(said)

    def said(self, since=0):
        with open(self.log, errors="replace") as f:
            f.seek(since)
            return f.read()

    def stop(self):
        if self.popen is not None and self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            assert self.popen.wait(20) == 0, self.said()

    def tool(self, *words):
        done = subprocess.run([TOOL, self.socket, URL, *map(str, words)], capture_output=True, text=True, timeout=120)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def issue(self, counter, how="same", ago=0):
        return self.tool("issue", counter, how, self.at - ago)

    def cpu(self):
        with open(f"/proc/{self.popen.pid}/stat") as f:
            fields = f.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def status(self, key):
        with open(f"/proc/{self.popen.pid}/status") as f:
            return next(x.split()[1] for x in f if x.startswith(key + ":"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Keys are made once; each test works on a copy."""
    s = Signer(str(tmp_path_factory.mktemp("signer") / "s"))
    s.init()
    return s.folder


@pytest.fixture
def signer(made, folder):
    s = Signer(f"{folder}/s")
    shutil.copytree(f"{made}/signer", f"{s.folder}/signer", dirs_exist_ok=True)
    shutil.copy(f"{made}/etc/ca-passphrase", f"{s.folder}/etc/ca-passphrase")
    yield s
    s.stop()


def test_hello_and_one_certificate(signer):
    signer.start()
    assert signer.tool("hello") == {"window_top": 0, "issuers": ["agent-1", "code-signing-1", "root-1", "service-1"]}
    first = signer.issue(7)
    assert first["code"] == "" and len(first["fingerprint"]) == 64
    assert signer.tool("hello")["window_top"] == 7
    assert signer.issue(7)["code"] == ""
    assert signer.issue(7, "other")["code"] == "VCC-3401"
    assert signer.issue(8, "hash")["code"] == "VCC-3406"
    assert signer.issue(9, "name")["code"] == "VCC-3400"
    assert signer.issue(9, ago=3600)["code"] == "VCC-3407"
    signer.stop()
    signer.start()
    assert signer.tool("hello")["window_top"] == 7
    assert signer.issue(7)["code"] == "" and signer.issue(7)["tbs"] == first["tbs"]
    assert signer.issue(7, "other")["code"] == "VCC-3401"


@pytest.mark.parametrize("point,logged", [("signer.taken", False), ("signer.logged", True), ("signer.signed", True), ("signer.answered", True)])
def test_killed_between_request_and_answer(signer, point, logged):
    signer.start("build-faults", VCC_FAILPOINT=f"{point}=kill")
    first = signer.issue(5)  # answered only when the kill comes behind the answer
    assert (first is not None) == (point == "signer.answered")
    assert signer.popen.wait(20) == -signal.SIGKILL
    signer.start()
    assert signer.tool("hello")["window_top"] == (5 if logged else 0)
    if logged:  # what is in the log is the one content of that serial
        assert signer.issue(5, "other")["code"] == "VCC-3401"
    again = signer.issue(5)
    assert again["code"] == "" and again["tbs"] == (first or again)["tbs"]
    assert signer.issue(5, "other")["code"] == "VCC-3401"


def test_full_disk_signs_nothing(signer):
    signer.start("build-faults", VCC_FAILPOINT="journal_append@1=err:ENOSPC")
    assert signer.issue(5)["code"] == "VCC-1301"
    assert signer.tool("hello")["window_top"] == 0
    assert signer.issue(5, "other")["code"] == ""  # the first was never signed: its number is free
    assert signer.issue(5)["code"] == "VCC-3401"


def test_failed_sync_ends_the_process(signer):
    signer.start("build-faults", VCC_FAILPOINT="journal_sync@1=err:EIO")
    assert signer.issue(5) is None
    assert signer.popen.wait(20) == 1
    signer.start()
    assert signer.issue(5)["code"] == ""


def test_a_roots_list_names_several_cas_by_serial_and_is_followed(signer):
    serials = {}
    for name in ("agent-1", "code-signing-1", "service-1"):
        with open(f"{signer.folder}/signer/ca/{name}.cer", "rb") as f:
            serials[name] = f"{x509.load_der_x509_certificate(f.read()).serial_number:032X}"
    two = sorted((serials["agent-1"], serials["service-1"]))
    assert two != [serials["agent-1"], serials["service-1"]]  # by name they would stand the other way round
    signer.start()
    first = signer.tool("list", 2, *two)
    assert first["code"] == "" and first["size"] > 0, first
    refused = signer.tool("list", 3, *reversed(two))
    assert refused["code"] == "VCC-1408" and refused["size"] == 0, refused
    following = signer.tool("list", 4, *sorted(serials.values()))
    assert following["code"] == "" and following["size"] > first["size"], following


def costs(s):
    """Operations and KiB that each key's file asks of who opens it, with its salt."""
    found = {}
    for name in sorted(os.listdir(f"{s.folder}/signer/ca")):
        if name.endswith(".key"):
            with open(f"{s.folder}/signer/ca/{name}", "rb") as f:
                head = f.read(48)
            assert head[:4] == b"VCCK"
            found[name] = (*struct.unpack(">II", head[8:16]), head[16:32])
    assert len(found) == 4 and len(set(found.values())) == 1, found  # one lock for all: a start costs what one costs
    return found["root-1.key"][:2]


def test_a_passphrase_that_init_drew_is_not_stretched(signer):
    assert costs(signer) == (1, 8192)
    with open(f"{signer.folder}/etc/ca-passphrase") as f:
        assert len(base64.urlsafe_b64decode(f.read().strip() + "=")) == 32
    # what is made later goes under the lock of the keys that are there
    for name in ("agent-1.key", "agent-1.cer"):
        os.unlink(f"{signer.folder}/signer/ca/{name}")
    signer.init()
    assert costs(signer) == (1, 8192)
    signer.start()


@pytest.mark.parametrize("how", ["file", "credential"])
def test_a_passphrase_that_was_given_is_stretched(folder, monkeypatch, how):
    """Whatever it looks like: who gave it may know it by heart."""
    s = Signer(f"{folder}/s")
    os.makedirs(f"{folder}/credentials")
    path = f"{s.folder}/etc/ca-passphrase" if how == "file" else f"{folder}/credentials/ca-passphrase"
    with open(path, "w") as f:
        f.write("c29tZSB3b3JkcyB0aGF0IGEgcGVyc29uIGNhbiBrZWU\n")
    os.chmod(path, 0o600)
    if how == "credential":
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", f"{folder}/credentials")
    s.init()
    assert costs(s) == (3, 262144)
    # nor is it taken for a drawn one later
    shutil.rmtree(f"{s.folder}/signer/ca")
    shutil.rmtree(f"{s.folder}/etc/ca")
    s.init()
    assert costs(s) == (3, 262144)


def test_wrong_passphrase_does_not_start(signer):
    with open(f"{signer.folder}/etc/ca-passphrase", "w") as f:
        f.write("wrong\n")
    assert "VCC-1409" in signer.start(wait=False)
    with open(f"{signer.folder}/etc/ca-passphrase", "w") as f:
        f.write("\n")
    assert "VCC-1409" in signer.start(wait=False)
    os.chmod(f"{signer.folder}/etc/ca-passphrase", 0o644)
    assert "VCC-1205" in signer.start(wait=False)
    os.unlink(f"{signer.folder}/etc/ca-passphrase")
    assert "VCC-" in signer.start(wait=False)


def test_key_of_another_certificate_does_not_start(signer):
    ca = f"{signer.folder}/signer/ca"
    os.rename(f"{ca}/agent-1.key", f"{ca}/x")
    shutil.copy(f"{ca}/service-1.key", f"{ca}/agent-1.key")
    assert "VCC-3403" in signer.start(wait=False)
    os.unlink(f"{ca}/agent-1.key")
    assert "VCC-3403" in signer.start(wait=False)
    os.rename(f"{ca}/x", f"{ca}/agent-1.key")
    with open(f"{ca}/agent-1.key", "r+b") as f:
        f.seek(-20, os.SEEK_END)
        byte = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte[0] ^ 1]))
    assert "VCC-14" in signer.start(wait=False)


def test_authority_of_a_foreign_root_does_not_start(signer, folder):
    other = Signer(f"{folder}/other")
    other.init()
    for suffix in ("cer", "key"):
        shutil.copy(f"{other.folder}/signer/ca/root-1.{suffix}", f"{signer.folder}/signer/ca/root-1.{suffix}")
    os.unlink(f"{signer.folder}/signer/ca/root-1.key")
    assert "VCC-3403" in signer.start(wait=False)


def test_root_may_be_offline(signer):
    os.unlink(f"{signer.folder}/signer/ca/root-1.key")
    signer.start()
    assert signer.issue(1)["code"] == ""


def test_passphrase_from_credential(signer, folder):
    os.makedirs(f"{folder}/credentials")
    os.rename(f"{signer.folder}/etc/ca-passphrase", f"{folder}/credentials/ca-passphrase")
    signer.drop_in("[signer]\npassphrase_file =\n")
    assert "VCC-1409" in signer.start(wait=False)
    signer.start(CREDENTIALS_DIRECTORY=f"{folder}/credentials")
    assert signer.issue(1)["code"] == ""


def test_a_lost_log_is_not_begun_anew(signer):
    """Without its log the signer would not know any more which serials it gave to what."""
    signer.start()
    assert signer.issue(1)["code"] == ""
    signer.stop()
    log = f"{signer.folder}/signer/signing.log"
    os.rename(log, f"{log}.kept")
    assert "VCC-1308" in signer.start(wait=False)
    open(log, "w").close()
    assert "VCC-1308" in signer.start(wait=False)
    os.rename(f"{log}.kept", log)
    signer.start()
    assert signer.issue(2)["code"] == ""


def test_second_signer_does_not_start(signer):
    signer.start()
    first = signer.popen
    said = signer.start(wait=False)
    assert "VCC-1305" in said
    signer.popen = first
    assert signer.issue(1)["code"] == ""


def test_nothing_is_read_while_another_has_the_folder(signer):
    """Whoever makes or closes CAs holds the lock: half of them must not be what this one starts with."""
    ca = f"{signer.folder}/signer/ca"
    os.rename(f"{ca}/agent-1.key", f"{ca}/x")  # as in the middle of it
    with open(f"{signer.folder}/signer/.signing.log.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = signer.start(wait=False)
    assert "VCC-1305" in said and "VCC-3403" not in said, said
    os.rename(f"{ca}/x", f"{ca}/agent-1.key")
    signer.start()
    assert signer.issue(1)["code"] == ""


def test_locked_in(signer):
    signer.start()
    wait_for("its workers are there", lambda: signer.status("Threads") == str(min(os.cpu_count(), 4)))
    assert (signer.status("Seccomp"), signer.status("NoNewPrivs")) == ("2", "1")
    assert int(signer.status("CapEff"), 16) == 0


def test_strangers_and_silence_harm_nobody(signer):
    signer.start()
    silent = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for s in silent:
        s.connect(signer.socket)
    for junk in (b"\xff\xff\xff\xff", b"\0\0\0\x04\x94\x01\xff\xc1", b"GET / HTTP/1.0\r\n\r\n", b"\0\0\0\0"):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(signer.socket)
            s.settimeout(20)
            s.sendall(junk)
            while s.recv(65536):
                pass  # hello, then the end
    assert signer.issue(1)["code"] == ""
    for s in silent:
        s.close()


def test_memory_stays(signer):
    """A constant window: twenty thousand serials more must not show."""
    signer.start()
    assert signer.tool("bench", 2000, 200)
    before = int(signer.status("VmRSS"))
    assert signer.tool("bench", 20000, 200)
    grown = int(signer.status("VmRSS")) - before
    assert grown < 4096, f"{grown} KiB more"


def test_speed_is_printed(signer, capsys):
    signer.start()
    for window in (1, 200):
        cpu = signer.cpu()
        done = signer.tool("bench", 10000, window)
        us = (signer.cpu() - cpu) * 1e6 / done["count"]
        with capsys.disabled():
            print(f"\nsigner, window {window}: {us:.0f} us CPU a certificate, {us / done['raw_sign_us']:.2f} x one raw signature, "
                  f"{done['count'] * 1e6 / done['wall_us']:.0f}/s", file=sys.stderr)
        assert done["count"] == 10000
