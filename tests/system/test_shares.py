"""A passphrase that nobody has alone: any k of n custodians start the signer, k-1 do not, and a share that is mistyped, of another set or given twice is
named before the others are asked for."""
import fcntl
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import termios
import time

import pytest
from installation import ROOT
from test_signer import Signer

FAULTS = os.path.join(ROOT, "build-faults", "bin")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    s = Signer(str(tmp_path_factory.mktemp("shares") / "s"))
    s.init()
    return s.folder


@pytest.fixture
def signer(made, folder):
    s = Signer(f"{folder}/s")
    shutil.copytree(f"{made}/signer", f"{s.folder}/signer", dirs_exist_ok=True)
    shutil.copy(f"{made}/etc/ca-passphrase", f"{s.folder}/etc/ca-passphrase")
    yield s
    if s.popen is not None and s.popen.poll() is None:
        s.popen.terminate()
        s.popen.wait(20)


def command(s, *words, text="", ok=True, binaries=None, **more):
    done = subprocess.run([f"{binaries or s.binaries}/vcc-signer", *words, "--config", s.config], capture_output=True, text=True, input=text, timeout=60, **more)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done


def split(s, needed, n):
    """The shares; the passphrase's file is gone afterwards."""
    done = command(s, "split", str(needed), str(n))
    shares = done.stdout.splitlines()
    assert len(shares) == n and f"{needed} of {n} shares" in done.stderr
    path = f"{s.folder}/etc/ca-passphrase"
    if os.path.exists(path):
        with open(path) as f:
            secret = f.read().strip()
        for path_of, _, names in os.walk(s.folder):
            for name in names:
                if name not in ("ca-passphrase", "unlock.sock"):
                    with open(os.path.join(path_of, name), "rb") as f:
                        content = f.read()
                    assert secret.encode() not in content and all(x.encode() not in content for x in shares), name
        os.unlink(path)
    return shares


def begin(s, *words):
    """The signer, or one of its commands, until it waits for shares."""
    since = os.path.getsize(s.log) if os.path.exists(s.log) else 0
    with open(s.log, "ab") as out:
        s.popen = subprocess.Popen([f"{s.binaries}/vcc-signer", *words[:1], "--config", s.config, *words[1:]], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    until(lambda: "waits for" in s.said(since), s)
    return since


def until(condition, s):
    end = time.monotonic() + 60
    while not condition():
        assert s.popen.poll() is None and time.monotonic() < end, s.said()
        time.sleep(0.02)


def give(s, share, ok=True):
    return command(s, "unlock", text=share + "\n", ok=ok)


def test_k_of_n_start_it_and_fewer_do_not(signer):
    shares = split(signer, 3, 5)
    since = begin(signer)
    assert give(signer, shares[4]).stdout == "1 of 3 shares are here\n"
    assert give(signer, shares[1]).stdout == "2 of 3 shares are here\n"
    assert signer.tool("hello") is None, "two of three open nothing"
    assert "authorities ready" not in signer.said(since)
    give(signer, shares[2])
    until(lambda: "authorities ready" in signer.said(since), signer)
    assert signer.issue(1)["code"] == ""
    assert not os.path.exists(f"{signer.folder}/signer/unlock.sock")
    assert "VCC-3419" in give(signer, shares[0], ok=False).stderr, "nobody waits any more"
    for share in shares:
        assert share not in signer.said() and share.replace(" ", "") not in signer.said()
    signer.stop()
    since = begin(signer)  # started again it has forgotten them
    assert give(signer, shares[0]).stdout == "1 of 3 shares are here\n"


def test_wrong_shares_are_named(signer):
    old = split_kept(signer, 2, 3)
    shares = split(signer, 2, 3)
    begin(signer)
    mistyped = shares[0][:-1] + ("0" if shares[0][-1] != "0" else "1")
    for bad, cause in ((mistyped, "mistyped"), (shares[0][:-2], "86 digits"), (old[0], "it is of set"), ("x" + shares[0], "none of 0 to 9"),
                       (shares[0] * 20, "too long")):
        done = give(signer, bad, ok=False)
        assert "VCC-3418" in done.stderr and cause in done.stderr, done.stderr
    give(signer, shares[0].upper().replace(" ", ""))
    done = give(signer, shares[0], ok=False)
    assert "VCC-3418" in done.stderr and "number 1 of set" in done.stderr and "here already" in done.stderr
    assert "VCC-3418" in give(signer, old[1], ok=False).stderr
    give(signer, shares[2])
    until(lambda: "authorities ready" in signer.said(), signer)


def split_kept(s, needed, n):
    return command(s, "split", str(needed), str(n)).stdout.splitlines()


def test_the_file_or_credential_comes_first(signer):
    split_kept(signer, 2, 2)
    signer.start()
    assert signer.issue(1)["code"] == ""


def test_commands_wait_as_well(signer):
    shares = split(signer, 2, 3)
    begin(signer, "drill")
    for share in shares[:2]:
        give(signer, share)
    assert signer.popen.wait(60) == 0
    assert signer.said().count(" signed\n") == 4, signer.said()


def test_other_custodians_by_the_ones_of_before(signer):
    """The keys stay as they are; the old shares are good for nothing."""
    before = {name: os.stat(f"{signer.folder}/signer/ca/{name}").st_mtime_ns for name in os.listdir(f"{signer.folder}/signer/ca")}
    old = split(signer, 2, 2)
    since = begin(signer, "split", "2", "3")
    for share in old:
        give(signer, share)
    assert signer.popen.wait(60) == 0
    new = [line for line in signer.said(since).splitlines() if re.fullmatch("([0-9a-f]{4} ){21}[0-9a-f]{4}", line)]
    assert len(new) == 3
    for name, at in before.items():
        assert os.stat(f"{signer.folder}/signer/ca/{name}").st_mtime_ns == at
    since = begin(signer)
    assert "it is of set" in give(signer, old[0], ok=False).stderr
    give(signer, new[1])
    give(signer, new[2])
    until(lambda: "authorities ready" in signer.said(since), signer)


def test_an_altered_or_damaged_file(signer):
    shares = split(signer, 2, 2)
    path = f"{signer.folder}/signer/ca/shares"
    with open(path) as f:
        text = f.read()
    seal = re.search("passphrase (.*)", text).group(1)
    altered = ("B" if seal[0] != "B" else "C") + seal[1:]
    keep(path, text.replace(seal, altered))
    begin(signer)
    give(signer, shares[0])
    assert "VCC-3420" in give(signer, shares[1], ok=False).stderr
    assert give(signer, shares[1]).stdout == "1 of 2 shares are here\n", "begun anew"
    signer.popen.terminate()
    signer.popen.wait(20)
    for bad in ("", text[:-1], text + "\n"):
        keep(path, bad)
        assert "VCC-3420" in signer.start(wait=False)
    keep(path, text)
    os.chmod(path, 0o644)
    assert "VCC-1205" in signer.start(wait=False)


def keep(path, text):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o600)


def test_split_shares_no_wrong_passphrase(signer):
    """And a wrong command line changes nothing either."""
    path = f"{signer.folder}/etc/ca-passphrase"
    with open(path) as f:
        right = f.read()
    keep(path, "wrong\n")
    done = command(signer, "split", "2", "3", ok=False)
    assert "VCC-1409" in done.stderr and done.stdout == ""
    keep(path, right)
    for words in (("1", "3"), ("4", "3"), ("2", "17"), ("2",), ("2", "3", "4"), ("two", "3")):
        assert command(signer, "split", *words, ok=False).returncode == 2
    with open("/dev/full", "w") as full:
        done = subprocess.run([f"{signer.binaries}/vcc-signer", "split", "2", "3", "--config", signer.config], stdout=full, stderr=subprocess.PIPE, text=True,
                              stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == 1 and "VCC-" in done.stderr, "nobody saw them: the set is not written"
    assert not os.path.exists(f"{signer.folder}/signer/ca/shares")


def test_no_new_passphrase_for_old_keys(signer, made):
    """`init` again: nobody has to come where all is made; what is missing is made under the passphrase of before."""
    shares = split(signer, 2, 2)
    shutil.copytree(f"{made}/etc/ca", f"{signer.folder}/etc/ca", dirs_exist_ok=True)
    again = ("init", "--organisation", "Test", "--public", f"{signer.folder}/etc/ca")
    files = {path: read(path) for path in (f"{signer.folder}/signer/ca/{name}" for name in sorted(os.listdir(f"{signer.folder}/signer/ca")))}
    command(signer, *again)
    assert all(read(path) == was for path, was in files.items())
    os.remove(f"{signer.folder}/etc/ca/service-1.cer")
    command(signer, *again)
    assert os.path.exists(f"{signer.folder}/etc/ca/service-1.cer")
    for end in ("cer", "key"):
        os.remove(f"{signer.folder}/signer/ca/code-signing-1.{end}")
    begin(signer, *again)
    for share in shares:
        give(signer, share)
    assert signer.popen.wait(60) == 0, signer.said()
    assert not os.path.exists(f"{signer.folder}/etc/ca-passphrase")
    since = begin(signer)
    for share in shares:
        give(signer, share)
    until(lambda: "4 authorities ready" in signer.said(since), signer)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def test_a_drill_of_a_copy_waits_below_it(signer, folder):
    """What is given to it does not reach the signer, nor the other way round."""
    shares = split(signer, 2, 3)
    begin(signer)
    live = signer.popen
    copy = f"{folder}/copy"
    shutil.copytree(f"{signer.folder}/signer", copy, ignore=shutil.ignore_patterns("*.sock"))
    try:
        since = begin(signer, "drill", copy)
        for share in shares[:2]:
            command(signer, "unlock", copy, text=share + "\n")
        assert signer.popen.wait(60) == 0
    finally:
        signer.popen.kill()
        signer.popen = live
    assert signer.said(since).count(" signed\n") == 4 and not os.path.exists(f"{copy}/unlock.sock")
    assert give(signer, shares[2]).stdout == "1 of 2 shares are here\n"


def test_why_nobody_takes_a_share_is_told(signer):
    shares = split(signer, 2, 2)
    assert "VCC-3419" in give(signer, shares[0], ok=False).stderr
    said = command(signer, "unlock", signer.config, text=shares[0] + "\n", ok=False).stderr
    assert "VCC-3419" not in said and "Not a directory" in said, said
    begin(signer)
    signer.popen.kill()
    signer.popen.wait(20)
    assert os.path.exists(f"{signer.folder}/signer/unlock.sock") and "VCC-3419" in give(signer, shares[0], ok=False).stderr


def test_who_only_connects_keeps_nobody_waiting_for_good(signer):
    shares = split(signer, 2, 2)
    since = begin(signer)
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as hostile:
        hostile.connect(f"{signer.folder}/signer/unlock.sock")
        hostile.sendall(b"\xff\xff\xff\xff")
        hostile.shutdown(socket.SHUT_WR)
        give(signer, shares[0])
        silent.connect(f"{signer.folder}/signer/unlock.sock")
        end = time.monotonic() + 60
        while subprocess.run([f"{signer.binaries}/vcc-signer", "unlock", "--config", signer.config], input=shares[1] + "\n", text=True,
                             capture_output=True, timeout=60).returncode != 0:  # its turn may come after the patience of the one who asks
            assert time.monotonic() < end
    until(lambda: "authorities ready" in signer.said(since), signer)


def test_a_share_is_typed_unseen(signer):
    shares = split(signer, 2, 2)
    begin(signer)
    main, other = pty.openpty()
    with subprocess.Popen([f"{signer.binaries}/vcc-signer", "unlock", "--config", signer.config], stdin=other, stdout=other, stderr=other) as popen:
        os.close(other)
        seen = b""
        while b"share: " not in seen:
            seen += os.read(main, 1000)
        os.write(main, shares[0].encode() + b"\n")
        while b"1 of 2" not in seen:
            seen += os.read(main, 1000)
        assert popen.wait(60) == 0
    os.close(main)
    assert b"0 of 2 shares are here" in seen and shares[0].encode() not in seen


# What a shell or nohup above the test ignores is heard again.
HEARD = ("env", "--default-signal=HUP,INT,QUIT,TERM,TSTP")


def echoes(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def test_the_terminal_shows_again_what_is_typed(signer):
    """However the question ends; and a share that is in memory gets into no core file."""
    shares = split(signer, 2, 2)
    begin(signer)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGTSTP):
        main, other = pty.openpty()
        popen = subprocess.Popen([*HEARD, f"{signer.binaries}/vcc-signer", "unlock", "--config", signer.config], stdin=other, stdout=other, stderr=other)
        try:
            until(lambda: not echoes(other), signer)
            popen.send_signal(number)
            if number == signal.SIGTSTP:
                os.write(main, shares[0].encode() + b"\n")
                assert popen.wait(60) == 0, "it does not stop while nothing is shown"
            else:
                assert popen.wait(60) == -number
            assert echoes(other)
        finally:
            popen.kill()
            popen.wait()
        os.close(other)
        os.close(main)
    main, other = pty.openpty()
    with subprocess.Popen([f"{signer.binaries}/vcc-signer", "unlock", "--config", signer.config], stdin=other, stdout=other, stderr=other,
                          env=dict(os.environ, VCC_JAIL="on")) as popen:
        until(lambda: not echoes(other), signer)
        with open(f"/proc/{popen.pid}/limits") as f:
            assert re.search(r"Max core file size +0 +0 ", f.read())
        popen.kill()
    os.close(other)
    os.close(main)


def test_shares_are_shown_where_somebody_sees_them(signer):
    """On a terminal one after the other, or to a program; not half and half. Cut short nothing has changed."""
    path = f"{signer.folder}/signer/ca/shares"
    words = [f"{signer.binaries}/vcc-signer", "split", "2", "2", "--config", signer.config]
    main, other = pty.openpty()
    for streams in ({"stdin": other, "stdout": subprocess.PIPE}, {"stdin": subprocess.DEVNULL, "stdout": other}):
        done = subprocess.run(words, stderr=subprocess.PIPE, text=True, timeout=60, **streams)
        assert done.returncode == 1 and "VCC-3421" in done.stderr and not done.stdout and not os.path.exists(path)
    for answers, status in ((b"\n\x04", 1), (b"\n\n", 0)):
        with subprocess.Popen(words, stdin=other, stdout=other, stderr=subprocess.PIPE, text=True) as popen:
            for answer in answers:
                seen = b""
                while b"press Enter" not in seen:
                    seen += os.read(main, 1000)
                os.write(main, bytes([answer]))
            assert popen.wait(60) == status
            assert ("VCC-3421" in popen.stderr.read()) == (status == 1) and os.path.exists(path) == (status == 0)
    os.close(other)
    os.close(main)


def test_shares_that_are_not_kept_are_void(signer):
    old = split_kept(signer, 2, 2)
    done = command(signer, "split", "2", "3", ok=False, binaries=FAULTS, env=dict(os.environ, VCC_FAILPOINT="file_rename@1=err:EIO"))
    assert "the shares that were shown are void" in done.stderr and len(done.stdout.splitlines()) == 3
    with open(f"{signer.folder}/signer/ca/shares.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = command(signer, "split", "2", "3", ok=False)
        assert "VCC-1305" in done.stderr and "another `vcc-signer split`" in done.stderr and done.stdout == ""
    os.unlink(f"{signer.folder}/etc/ca-passphrase")
    since = begin(signer)
    for share in old:
        give(signer, share)
    until(lambda: "authorities ready" in signer.said(since), signer)


def test_systemd_hears_how_many_there_are(signer, folder):
    shares = split(signer, 2, 2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(f"{folder}/notify")
        told.settimeout(60)
        with open(signer.log, "ab") as out:
            signer.popen = subprocess.Popen([f"{signer.binaries}/vcc-signer", "--config", signer.config], stdout=out, stderr=out,
                                            env=dict(os.environ, NOTIFY_SOCKET=f"{folder}/notify"))
        assert b"READY=1" in heard(told, b"shares of the passphrase: 0 of 2")
        give(signer, shares[1])
        heard(told, b"shares of the passphrase: 1 of 2")
        give(signer, shares[0])
        heard(told, b"STATUS=serving")


def heard(told, what):
    while True:
        said = told.recv(4096)
        if what in said:
            return said
