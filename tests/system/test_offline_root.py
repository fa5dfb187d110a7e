"""A root whose key is on another machine signs the next authority: request, answer, import on two folders; and nothing that was altered, is old, is
another's or was taken already gets in.

With cheap keys: each command opens them, and what that costs is asked by test_keyfile.c."""
import glob
import os
import re
import shutil
import subprocess

import pytest
from cheap_keys import cheapen
from installation import run
from test_signer import Signer

DAY = 86400


def command(s, *words, ok=True):
    """One of the commands on the machine of `s`."""
    done = subprocess.run([f"{s.binaries}/vcc-signer", *words, "--config", s.config], capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done


def keep(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    s = Signer(str(tmp_path_factory.mktemp("offline") / "s"))
    s.init()
    cheapen(s.folder)
    return s.folder


@pytest.fixture
def machines(made, folder):
    """(here, there): the root's key is there alone, and nothing else is."""
    here, there = Signer(f"{folder}/here"), Signer(f"{folder}/there")
    for s in (here, there):
        shutil.copy(f"{made}/etc/ca-passphrase", f"{s.folder}/etc/ca-passphrase")
    shutil.copytree(f"{made}/signer", f"{here.folder}/signer", dirs_exist_ok=True)
    for path in (p for role in ("agent-1", "code-signing-1") for p in glob.glob(f"{here.folder}/signer/ca/{role}.*")):
        os.remove(path)  # each key takes its second to open
    os.makedirs(f"{there.folder}/signer/ca", mode=0o700)
    for name in ("root-1.cer", "bundle-1"):
        shutil.copy(f"{made}/signer/ca/{name}", f"{there.folder}/signer/ca/{name}")
    shutil.move(f"{here.folder}/signer/ca/root-1.key", f"{there.folder}/signer/ca/root-1.key")
    yield here, there
    here.stop()


def ask(here, role="service"):
    done = command(here, "root-request", role)
    groups = re.search(r"SHA-256 ((?:[0-9a-f]{4} ){15}[0-9a-f]{4})\n", done.stderr).group(1)
    assert f"--hash '{groups[:39]}'" in done.stderr
    return keep(f"{here.folder}/request", done.stdout), groups.replace(" ", "")


def answer(there, request, digits):
    return keep(f"{there.folder}/answer", command(there, "root-sign", request, "--hash", digits[:4] + " " + digits[4:32]).stdout)


def ca(s):
    return {os.path.basename(p) for p in glob.glob(f"{s.folder}/signer/ca/*")}


def test_the_whole_way(machines):
    here, there = machines
    before = ca(here)
    request, digits = ask(here)
    assert ca(here) - before == {"service-2.key", "service-2.request"} and ca(there) == {"root-1.cer", "root-1.key", "bundle-1"}
    assert ask(here)[1] == digits, "asked again it is the same request"
    got = answer(there, request, digits)
    assert open(got).read().count("BEGIN CERTIFICATE") == 1
    command(here, "root-import", got)
    assert ca(here) - before == {"service-2.key", "service-2.cer"}
    root = f"{here.folder}/root.pem"
    run(["openssl", "x509", "-inform", "DER", "-in", f"{here.folder}/signer/ca/root-1.cer", "-out", root])
    assert "OK" in run(["openssl", "verify", "-CAfile", root, got])
    said = run(["openssl", "x509", "-in", got, "-noout", "-text"])
    assert "CA:TRUE, pathlen:0" in said and "VCC Service CA 2" in said and "DNS:vcc.internal" in said
    here.start()
    assert "service-2" in here.tool("hello")["issuers"]
    assert "the signer runs" in command(here, "root-request", "service", ok=False).stderr


def test_each_role_and_no_root(machines, made):
    here, there = machines
    for role in ("agent", "code-signing"):
        for end in ("cer", "key"):
            shutil.copy(f"{made}/signer/ca/{role}-1.{end}", f"{here.folder}/signer/ca/{role}-1.{end}")
        request, digits = ask(here, role)
        command(here, "root-import", answer(there, request, digits))
        assert f"{role}-2.cer" in ca(here)
    for word in ("root", "service-2", ""):
        assert "VCC-3405" in command(here, "root-request", word, ok=False).stderr


def test_a_root_that_is_here_is_not_asked(machines, made):
    here, _ = machines
    shutil.copy(f"{made}/signer/ca/root-1.key", f"{here.folder}/signer/ca/root-1.key")
    assert "VCC-3415" in command(here, "root-request", "service", ok=False).stderr
    assert "service-2.key" not in ca(here)


@pytest.mark.parametrize("what,to", [("authority service-2", "authority service-3"), ("authority service-2", "authority root-2"),
                                     ("authority service-2", "authority agent-2"), ("made 1", "made 2"), ("made 1", "made  1"),
                                     ("root root-1", "root root-2")])
def test_an_altered_request_is_not_signed(machines, what, to):
    """Altered on its way it has another hash; and with the hash of the altered one it still has to be a request that this root would sign."""
    here, there = machines
    request, digits = ask(here)
    text = open(request).read()
    assert what in text
    bad = keep(f"{there.folder}/bad", text.replace(what, to, 1))
    assert "VCC-34" in command(there, "root-sign", bad, "--hash", digits, ok=False).stderr
    own = run(["sha256sum", bad]).split()[0]
    done = subprocess.run([f"{there.binaries}/vcc-signer", "root-sign", bad, "--hash", own, "--config", there.config], capture_output=True, text=True,
                          timeout=120)
    if done.returncode == 0:  # another name for the same key: what comes of it is not what was asked for
        assert to.startswith("authority ")
        assert "VCC-3416" in command(here, "root-import", keep(f"{there.folder}/answer", done.stdout), ok=False).stderr
    else:
        assert re.search("VCC-34(05|15|17)", done.stderr), done.stderr


def test_a_wrong_or_short_hash(machines):
    here, there = machines
    request, digits = ask(here)
    for given in (digits[:31], "0" * 64, digits + "0"):
        assert "VCC-3415" in command(there, "root-sign", request, "--hash", given, ok=False).stderr
    assert subprocess.run([f"{there.binaries}/vcc-signer", "root-sign", request, "--config", there.config], capture_output=True).returncode == 2


def test_another_key_in_the_request(machines):
    """Whoever carries it exchanges the key and has no proof for it."""
    here, there = machines
    request, _ = ask(here)
    run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/", "-keyout", f"{there.folder}/k", "-outform",
         "DER", "-out", f"{there.folder}/csr"])
    own = run(["base64", "-w0", f"{there.folder}/csr"])
    bad = keep(f"{there.folder}/bad", re.sub(r"\nkey .*\n", f"\nkey {own}\n", open(request).read()))
    digits = run(["sha256sum", bad]).split()[0]
    got = answer(there, bad, digits)  # the person did not compare: he typed what the stick said
    done = command(here, "root-import", got, ok=False)
    assert "VCC-3416" in done.stderr and "service-2.cer" not in ca(here)


def test_an_answer_is_taken_once(machines):
    here, there = machines
    request, digits = ask(here)
    got = answer(there, request, digits)
    command(here, "root-import", got)
    assert "VCC-3416" in command(here, "root-import", got, ok=False).stderr
    again = answer(there, request, digits)  # signed again it has the same content, and is for nobody
    assert "VCC-3416" in command(here, "root-import", again, ok=False).stderr
    request, digits = ask(here)
    assert "service-3" in open(request).read()
    assert "VCC-3416" in command(here, "root-import", got, ok=False).stderr, "nor for the next request"


def test_what_is_here_is_not_written_over(machines):
    """Killed before the request goes, it goes when the answer comes again; a CA with another certificate stays as it is, and none comes without its key."""
    here, there = machines
    folder = f"{here.folder}/signer/ca"
    request, digits = ask(here)
    got = answer(there, request, digits)
    os.rename(f"{folder}/service-2.key", f"{folder}/away")
    assert "its key" in command(here, "root-import", got, ok=False).stderr and "service-2.cer" not in ca(here)
    os.rename(f"{folder}/away", f"{folder}/service-2.key")
    command(here, "root-import", got)
    shutil.copy(request, f"{folder}/service-2.request")
    command(here, "root-import", got)
    assert "service-2.request" not in ca(here)
    shutil.copy(request, f"{folder}/service-2.request")
    with open(f"{folder}/service-2.cer", "rb") as f:
        before = f.read()
    again = answer(there, request, digits)  # ECDSA: the same content with another signature
    done = command(here, "root-import", again, ok=False)
    assert "VCC-3416 service-2" in done.stderr and "is here" in done.stderr
    with open(f"{folder}/service-2.cer", "rb") as f:
        assert f.read() == before


def test_an_unreadable_request_is_made_anew(machines):
    here, there = machines
    request, digits = ask(here)
    for bad in ("", "rubbish\n", open(request).read() + "more\n"):
        keep(f"{here.folder}/signer/ca/service-2.request", bad)
        request, now = ask(here)
        assert now != digits
    command(here, "root-import", answer(there, request, now))


def test_answers_of_others(machines, made):
    here, there = machines
    request, digits = ask(here)
    got = answer(there, request, digits)
    for name in ("root-1", "service-1"):
        run(["openssl", "x509", "-inform", "DER", "-in", f"{made}/signer/ca/{name}.cer", "-out", f"{there.folder}/other.pem"])
        assert "VCC-3416" in command(here, "root-import", f"{there.folder}/other.pem", ok=False).stderr
    pem = open(got).read()
    for bad in ("", pem + pem, pem.replace("A", "B", 1)):
        assert "VCC-3416" in command(here, "root-import", keep(f"{there.folder}/bad", bad), ok=False).stderr
    der = bytearray(subprocess.run(["openssl", "x509", "-in", got, "-outform", "DER"], capture_output=True, check=True).stdout)
    der[-1] ^= 1  # the signature alone
    with open(f"{there.folder}/bad.der", "wb") as f:
        f.write(der)
    run(["openssl", "x509", "-inform", "DER", "-in", f"{there.folder}/bad.der", "-out", f"{there.folder}/bad.pem"])
    assert "did not sign it" in command(here, "root-import", f"{there.folder}/bad.pem", ok=False).stderr
    assert "service-2.cer" not in ca(here)
    command(here, "root-import", got)


def aged(path, days):
    """The same file as it would have been written so many days ago."""
    text = open(path).read()
    return re.sub(r"made (\d+)", lambda m: f"made {int(m.group(1)) - days * DAY * 1000}", text)


def test_an_old_request_is_made_anew(machines):
    here, there = machines
    request, digits = ask(here)
    got = answer(there, request, digits)
    old = aged(request, 31)
    keep(request, old)
    assert "VCC-3417" in command(there, "root-sign", request, "--hash", run(["sha256sum", request]).split()[0], ok=False).stderr
    keep(f"{here.folder}/signer/ca/service-2.request", old)
    assert "VCC-3417" in command(here, "root-import", got, ok=False).stderr
    assert ask(here)[1] != digits, "another key, another serial, another day"


def test_machines_that_disagree(machines):
    """The root's machine would give wider names than were asked for."""
    here, there = machines
    request, digits = ask(here)
    there.drop_in("[limits]\ndomains = vcc.internal, example.org\n")
    assert "byte for byte" in command(here, "root-import", answer(there, request, digits), ok=False).stderr
