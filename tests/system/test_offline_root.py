"""A root whose key is on another machine signs the next authority: request, answer, import on two folders; and nothing that was altered, is old, is
another's or was taken already gets in. The same way goes its revocation list."""
import glob
import os
import re
import shutil
import subprocess

import pytest
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
    return s.folder


@pytest.fixture
def machines(made, folder):
    """(here, there): the root's key is there alone, and nothing else is."""
    here, there = Signer(f"{folder}/here"), Signer(f"{folder}/there")
    for s in (here, there):
        shutil.copy(f"{made}/etc/ca-passphrase", f"{s.folder}/etc/ca-passphrase")
    shutil.copytree(f"{made}/signer", f"{here.folder}/signer", dirs_exist_ok=True)
    for path in (p for role in ("agent-1", "code-signing-1") for p in glob.glob(f"{here.folder}/signer/ca/{role}.*")):
        os.remove(path)  # no test here needs them
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


# ---- the revocation list of the root ----------------------------------------------------------------------------------------------

def serial_of(folder, ca_id):
    return run(["openssl", "x509", "-inform", "DER", "-in", f"{folder}/signer/ca/{ca_id}.cer", "-noout", "-serial"]).strip().split("=")[1].zfill(32)


def wish(here, number, *serials):
    """The controller asks for the list; it is told that a person has to go."""
    here.start()
    asked = here.tool("list", number, *serials)
    here.stop()
    assert asked["code"] == "VCC-3405" and asked["size"] == 0 and "root-request list" in asked["text"], asked
    with open(f"{here.folder}/signer/ca/root-1.list-request") as f:
        return f.read()


def ask_list(here):
    done = command(here, "root-request", "list")
    groups = re.search(r"SHA-256 ((?:[0-9a-f]{4} ){15}[0-9a-f]{4})\n", done.stderr).group(1)
    return keep(f"{here.folder}/request", done.stdout), groups.replace(" ", "")


def shown(here):
    path = f"{here.folder}/signer/ca/root-1.crl"
    return run(["openssl", "crl", "-inform", "DER", "-in", path, "-noout", "-text"]) if os.path.exists(path) else ""


def test_a_list_all_the_way(machines):
    here, there = machines
    serial = serial_of(here.folder, "service-1")
    text = wish(here, 7, serial)
    assert "number 7\n" in text and f"revoked {serial} at 1700000000 reason 5 " in text
    assert wish(here, 8, serial) == text, "asked again within the hour: what is under way stays good"
    request, digits = ask_list(here)
    assert open(request).read() == text
    done = command(there, "root-sign", request, "--hash", digits[:32])
    assert "list 7 of root-1" in done.stderr and f"revoked {serial}" in done.stderr and "cessationOfOperation" in done.stderr
    got = keep(f"{there.folder}/answer", done.stdout)
    command(here, "root-import", got)
    assert ca(here) & {"root-1.crl", "root-1.list-request"} == {"root-1.crl"}
    said = shown(here)
    assert re.search(r"CRL Number: ?\n\s+7\n", said) and serial.lstrip("0") in said and "Cessation Of Operation" in said
    run(["openssl", "x509", "-inform", "DER", "-in", f"{here.folder}/signer/ca/root-1.cer", "-out", f"{here.folder}/root.pem"])
    assert "verify OK" in subprocess.run(["openssl", "crl", "-in", got, "-noout", "-CAfile", f"{here.folder}/root.pem"], capture_output=True, text=True).stderr
    assert "VCC-3416" in command(here, "root-import", got, ok=False).stderr, "once"
    assert "VCC-3405" in command(here, "root-request", "list", ok=False).stderr, "nothing waits any more"
    here.start()
    asked = here.tool("list", 9, serial)
    here.stop()
    assert asked["code"] == "VCC-3405" and "list 7, which is here, says the same" in asked["text"], asked
    assert "root-1.list-request" not in ca(here), "nobody has to go for what is here already"
    assert "number 8\n" in wish(here, 3), "its number is above the one of the list that is here"


def test_a_list_of_several_cas_and_the_next_one(machines, made):
    """By name agent-1 comes first, by serial number service-1 does; what was signed once is followed by a list with one more."""
    here, there = machines
    serials = {name: serial_of(made, name) for name in ("agent-1", "code-signing-1", "service-1")}
    assert sorted(serials.values()) != [serials[name] for name in sorted(serials)]
    for number, names in ((7, ("agent-1", "service-1")), (8, ("agent-1", "code-signing-1", "service-1"))):
        wanted = sorted(serials[name] for name in names)
        wish(here, number, *wanted)
        request, digits = ask_list(here)
        done = command(there, "root-sign", request, "--hash", digits)
        command(here, "root-import", keep(f"{there.folder}/answer", done.stdout))
        said = shown(here)
        assert re.search(rf"CRL Number: ?\n\s+{number}\n", said)
        assert [s.zfill(32) for s in re.findall(r"Serial Number: ([0-9A-F]+)\n", said)] == wanted


def test_a_root_that_cannot_be_asked_keeps_no_other_from_it(machines, made):
    """Of two roots the first has a request that is too old, or has its key here."""
    here, _ = machines
    folder = f"{here.folder}/signer/ca"
    text = wish(here, 7, "0F" * 16)
    own = run(["sha256sum", f"{folder}/root-1.cer"]).split()[0]
    other = f"{here.folder}/other"
    second_root(made, other, folder)
    theirs = run(["sha256sum", f"{folder}/root-2.cer"]).split()[0]
    later = text.replace("root root-1", "root root-2").replace(own, theirs)
    keep(f"{folder}/root-2.list-request", later)
    assert ask_list(here) and open(f"{here.folder}/request").read() == text
    keep(f"{folder}/root-1.list-request", re.sub(r"(from|to) (\d+)", lambda m: f"{m.group(1)} {int(m.group(2)) - 31 * DAY * 1000}", text))
    assert ask_list(here) and open(f"{here.folder}/request").read() == later
    keep(f"{folder}/root-1.list-request", text)
    shutil.copy(f"{made}/signer/ca/root-1.key", f"{folder}/root-1.key")
    assert ask_list(here) and open(f"{here.folder}/request").read() == later
    os.remove(f"{folder}/root-2.list-request")
    assert "its key is here" in command(here, "root-request", "list", ok=False).stderr
    here.start()
    assert here.tool("list", 8, "0F" * 16)["code"] == ""
    assert "root-1.list-request" not in ca(here), "the key that is here signed: nothing has to be carried"


def second_root(made, folder, to):
    """Another root's certificate, without its key."""
    s = Signer(folder)
    shutil.copy(f"{made}/etc/ca-passphrase", f"{s.folder}/etc/ca-passphrase")
    shutil.copytree(f"{made}/signer", f"{s.folder}/signer", dirs_exist_ok=True)
    command(s, "new-root")
    shutil.copy(f"{s.folder}/signer/ca/root-2.cer", f"{to}/root-2.cer")


def test_another_wish_takes_the_place_of_the_first(machines):
    """The answer to the first is not taken any more: it does not say what was revoked since. Each number is used once."""
    here, there = machines
    one, two = sorted((serial_of(here.folder, "service-1"), "0F" * 16))
    wish(here, 7, one)
    request, digits = ask_list(here)
    got = keep(f"{there.folder}/first", command(there, "root-sign", request, "--hash", digits).stdout)
    assert "number 8\n" in wish(here, 7, one, two)
    done = command(here, "root-import", got, ok=False)
    assert "VCC-3416" in done.stderr and "number 8" in done.stderr and shown(here) == ""
    request, digits = ask_list(here)
    command(here, "root-import", answer(there, request, digits))
    assert shown(here).count("Serial Number: ") == 2
    old = keep(f"{there.folder}/old", open(request).read().replace("number 8", "number 7"))
    done = command(there, "root-sign", old, "--hash", run(["sha256sum", old]).split()[0], ok=False)
    assert "VCC-3401" in done.stderr, "the root's machine has its own log"


def test_a_list_with_nothing_in_it(machines):
    here, there = machines
    wish(here, 5)
    request, digits = ask_list(here)
    done = command(there, "root-sign", request, "--hash", digits)
    assert "nothing is revoked" in done.stderr
    command(here, "root-import", keep(f"{there.folder}/answer", done.stdout))
    assert "No Revoked Certificates" in shown(here)


@pytest.mark.parametrize("what,to,code", [("number 7", "number 07", 3415), ("root root-1", "root root-2", 3405), ("root root-1", "root service-1", 3405),
                                          ("number 7", "number 0", 3415), ("reason 5", "reason 7", 3415), ("reason 5", "reason 300", 3415),
                                          (" invalid 0\n", " invalid 0\n\n", 3415)])
def test_an_altered_wish_is_not_signed(machines, what, to, code):
    here, there = machines
    wish(here, 7, "0F" * 16)
    request, digits = ask_list(here)
    text = open(request).read()
    assert what in text
    bad = keep(f"{there.folder}/bad", text.replace(what, to, 1))
    assert "VCC-34" in command(there, "root-sign", bad, "--hash", digits, ok=False).stderr
    own = run(["sha256sum", bad]).split()[0]
    done = command(there, "root-sign", bad, "--hash", own, ok=False)
    assert f"VCC-{code}" in done.stderr and done.stdout == "", done.stderr


def test_a_list_for_too_long_or_too_late(machines):
    here, there = machines
    wish(here, 7)
    text = open(ask_list(here)[0]).read()
    longer = keep(f"{there.folder}/longer", re.sub(r"to (\d+)", lambda m: f"to {int(m.group(1)) + 200 * DAY * 1000}", text))
    assert "VCC-3400" in command(there, "root-sign", longer, "--hash", run(["sha256sum", longer]).split()[0], ok=False).stderr
    late = keep(f"{there.folder}/late", re.sub(r"(from|to) (\d+)", lambda m: f"{m.group(1)} {int(m.group(2)) - 31 * DAY * 1000}", text))
    assert "VCC-3417" in command(there, "root-sign", late, "--hash", run(["sha256sum", late]).split()[0], ok=False).stderr
    keep(f"{here.folder}/signer/ca/root-1.list-request", open(late).read())
    assert "VCC-3417" in command(here, "root-request", "list", ok=False).stderr
    assert wish(here, 7) != open(late).read(), "the next wish takes the place of one that is too old"


def test_other_lists_are_no_answer(machines, made):
    here, there = machines
    wish(here, 7, "0F" * 16)
    request, digits = ask_list(here)
    got = answer(there, request, digits)
    pem = open(got).read()
    for bad in (pem + pem, pem.replace("A", "B", 1), pem.replace("X509 CRL", "CERTIFICATE")):
        assert "VCC-3416" in command(here, "root-import", keep(f"{there.folder}/bad", bad), ok=False).stderr
    there.drop_in("[limits]\ndomains = vcc.internal\n")
    empty = keep(f"{there.folder}/empty", re.sub("revoked .*\n", "", open(request).read()).replace("number 7", "number 9"))
    done = command(there, "root-sign", empty, "--hash", run(["sha256sum", empty]).split()[0])
    assert "not the list that waits here" in command(here, "root-import", keep(f"{there.folder}/other", done.stdout), ok=False).stderr
    assert "root-1.crl" not in ca(here)
    command(here, "root-import", got)


def test_too_much_for_a_root(machines):
    here, _ = machines
    here.start()
    asked = here.tool("list", 7, *(f"{n:032X}" for n in range(1, 66)))
    assert asked["code"] == "VCC-3400" and "64 authorities" in asked["text"], asked
    asked = here.tool("list", 2**63)
    assert asked["code"] == "VCC-3400" and "number is beyond" in asked["text"], asked
    assert "root-1.list-request" not in ca(here)
