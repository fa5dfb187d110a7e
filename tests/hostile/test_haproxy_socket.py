"""Whatever sits on HAProxy's admin socket: does the hook say what is wrong, in time, without a key byte in what it says, and with nothing left open?"""
import os
import socket
import subprocess
import time

import pytest
from fake_haproxy import FakeHAProxy
from installation import write
from lone_hook import DRAIN_END, LoneHook, make_pair

TARGET, FAILED, TIMEOUT, SOCKET, ANSWER, NAME, BUSY, REFUSED, LEVEL, FILES = (-n for n in (2200, 2201, 2202, 2206, 2207, 2208, 2209, 2210, 2211, 2212))
OTHER = "/etc/haproxy/other.pem"


@pytest.fixture
def hook(folder):
    with LoneHook(folder) as h:
        os.mkdir(f"{folder}/run")
        h.admin = f"{folder}/run/admin.sock"
        h.name = f"{h.tls}/current/combined.pem"
        h.target(f"kind = haproxy\nsocket = {h.admin}\ntimeout = 2s\n")
        yield h
        with open(f"{h.tls}/g000001/key.pem") as f:
            secret = f.read().splitlines()[1:-1]
        assert not any(line in h.log() for line in secret if line), "key bytes in the log"


def secret_free(hook, reply):
    with open(f"{hook.tls}/g000001/key.pem") as f:
        body = "".join(f.read().splitlines()[1:-1])
    text = str(reply["output"]).replace("\n", "")
    assert not any(body[i:i + 8] in text for i in range(len(body) - 8)), "key bytes in the answer"


def test_what_is_sent_is_exactly_one_transaction(hook):
    with FakeHAProxy(hook.admin, [OTHER, hook.name]) as fake:
        reply = hook.ask()
    assert reply["code"] == 0, reply
    with open(hook.name, "rb") as f:
        pem = f.read()
    name = hook.name.encode()
    assert fake.seen == [b"show ssl cert\n", b"set ssl cert " + name + b" <<\n" + pem + b"\n", b"commit ssl cert " + name + b"\n"]
    assert fake.transaction is None


def test_copies_are_names_of_the_file(hook):
    os.mkdir(f"{hook.dir}/certs")
    copies = {"fullchain.pem": "site.pem", "key.pem": "site.pem.key"}
    for source, copy in copies.items():
        with open(f"{hook.tls}/current/{source}") as f:
            write(f"{hook.dir}/certs/{copy}", f.read())
    listed = ", ".join(f"{source}:{hook.dir}/certs/{copy}" for source, copy in copies.items())
    hook.target(f"kind = haproxy\nsocket = {hook.admin}\ntimeout = 2s\n", f"copies = {listed}\n")
    with FakeHAProxy(hook.admin, [f"{hook.dir}/certs/site.pem", OTHER]) as fake:
        assert hook.ask()["code"] == 0
    assert fake.seen[2] == f"commit ssl cert {hook.dir}/certs/site.pem\n".encode()
    with open(f"{hook.tls}/current/key.pem", "rb") as k, open(f"{hook.tls}/current/fullchain.pem", "rb") as c:
        assert k.read() + c.read() in fake.seen[1]


def test_every_name_of_the_file_is_exchanged(hook):
    os.symlink(f"{hook.tls}/current/combined.pem", f"{hook.dir}/site.pem")
    names = [hook.name, f"{hook.tls}//current/combined.pem", f"{hook.dir}/site.pem", OTHER]
    with FakeHAProxy(hook.admin, names) as fake:
        assert hook.ask()["code"] == 0
    assert fake.verbs() == ["show"] + ["set", "commit"] * 3


def test_the_current_generation_is_sent_also_on_the_way_back(hook):
    make_pair(f"{hook.tls}/g000002")
    for name in ("g000002", "g000001"):
        hook.flip(name)
        with FakeHAProxy(hook.admin, [hook.name]) as fake:
            assert hook.ask()["code"] == 0
        with open(f"{hook.tls}/{name}/combined.pem", "rb") as f:
            assert f.read() in fake.seen[1]


def test_slow_but_right(hook):
    def pieces(data):
        for byte in data:
            time.sleep(0.005)
            yield bytes([byte])
    with FakeHAProxy(hook.admin, [hook.name], lambda c, f: pieces(f.own(c))):
        assert hook.ask()["code"] == 0


# ---- who is there ----
def test_no_socket(hook):
    reply = hook.ask()
    assert reply["code"] == SOCKET and "No such file" in reply["output"], reply


def test_nobody_listens(hook):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(hook.admin)
    reply = hook.ask()
    assert reply["code"] == SOCKET and "refused" in reply["output"], reply


def test_a_file_is_no_socket(hook):
    write(hook.admin, "x")
    reply = hook.ask()
    assert reply["code"] == SOCKET and "not a socket" in reply["output"], reply


def test_a_link_is_not_followed(hook):
    with FakeHAProxy(f"{hook.dir}/run/real.sock", [hook.name]) as fake:
        os.symlink("real.sock", hook.admin)
        assert hook.ask()["code"] == SOCKET
        assert fake.seen == []


def test_a_folder_that_everybody_may_write(hook):
    os.chmod(f"{hook.dir}/run", 0o777)
    with FakeHAProxy(hook.admin, [hook.name]) as fake:
        reply = hook.ask()
    assert reply["code"] == SOCKET and "everybody" in reply["output"] and fake.seen == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_served_by_a_stranger(hook):
    """A folder that a group may write to (as Debian's is) is only as good as who serves the socket."""
    os.chown(f"{hook.dir}/run", 0, 65534)
    os.chmod(f"{hook.dir}/run", 0o2775)
    code = f"import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.bind({hook.admin!r})\ns.listen(1)\nprint('up',flush=True)\nc,_=s.accept()\nsys.stdout.write(repr(c.recv(99)))"
    with subprocess.Popen(["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3", "-c", code], cwd="/",
                          stdout=subprocess.PIPE, text=True) as stranger:
        assert stranger.stdout.readline() == "up\n"
        reply = hook.ask()
        assert stranger.stdout.read() == "b''", "not a byte was sent"
    assert reply["code"] == SOCKET and "uid 65534" in reply["output"], reply


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_served_by_the_owner_of_the_folder(hook):
    """HAProxy that was started as its own user, in its own folder."""
    os.chown(f"{hook.dir}/run", 65534, 65534)
    code = ("import sys\nsys.path.insert(0, sys.argv[1])\nfrom fake_haproxy import FakeHAProxy\nwith FakeHAProxy(sys.argv[2], [sys.argv[3]]) as f:\n"
            "    print('up', flush=True)\n    sys.stdin.read()\nprint(f.verbs())")
    lib = os.path.join(os.path.dirname(__file__), "..", "lib")
    argv = ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3", "-c", code, lib, hook.admin, hook.name]
    with subprocess.Popen(argv, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as own:
        assert own.stdout.readline() == "up\n"
        reply = hook.ask()
        said, _ = own.communicate(timeout=20)
    assert reply["code"] == 0 and "set" in said, (reply, said)


# ---- what it says ----
def never(_command, fake):
    while not fake.stopping.is_set():
        time.sleep(0.05)
        yield b""


def drip(_command, fake):
    while not fake.stopping.is_set():
        time.sleep(0.02)
        yield b"#"


def flood(_command, fake):
    while not fake.stopping.is_set():
        yield b"# filename\n" + b"/x/y\n" * 4096


@pytest.mark.parametrize("answer,code", [
    (never, TIMEOUT), (drip, TIMEOUT), (flood, ANSWER), (lambda c, f: b"", ANSWER), (lambda c, f: b"\0" * 100, ANSWER), (lambda c, f: os.urandom(4000), ANSWER),
    (lambda c, f: b"HTTP/1.1 400 Bad Request\r\n\r\n", ANSWER), (lambda c, f: c, ANSWER), (lambda c, f: b"Permission denied\n\n", LEVEL),
    (lambda c, f: b"Unknown command, but maybe one of the following ones is a better match:\n", ANSWER), (lambda c, f: b"# filename\n\n", NAME),
    (lambda c, f: b"# filename\n" + b"/" * 5000 + b"\n\n", NAME)])
def test_first_answer_is_wrong(hook, answer, code):
    before = time.monotonic()
    with FakeHAProxy(hook.admin, [hook.name], answer) as fake:
        reply = hook.ask()
    assert reply["code"] == code and reply["output"], reply
    assert "set" not in fake.verbs(), "no key was sent"
    assert time.monotonic() - before < 20


@pytest.mark.parametrize("answer,code", [
    (never, TIMEOUT), (drip, TIMEOUT), (flood, ANSWER), (lambda c, f: b"", ANSWER), (lambda c, f: c, ANSWER), (lambda c, f: c[60:], ANSWER),
    (lambda c, f: b"Permission denied\n\n", LEVEL), (lambda c, f: b"unable to load certificate from file 'x'.\nCan't load the payload\nCan't update x!\n\n", REFUSED),
    (lambda c, f: b"Can't replace a certificate which is not referenced by the configuration!\n\n", NAME),
    (lambda c, f: b"Transaction created for certificate /etc/haproxy/other.pem!\n\n", ANSWER)])
def test_the_answer_to_the_key_is_wrong(hook, answer, code):
    with FakeHAProxy(hook.admin, [hook.name], lambda c, f: answer(c, f) if c.startswith(b"set") else None) as fake:
        reply = hook.ask()
    assert reply["code"] == code and reply["output"], reply
    assert "commit" not in fake.verbs()
    secret_free(hook, reply)
    if answer not in (never, drip):  # then the fake cannot listen again in time
        assert fake.verbs()[-1] == "abort"


@pytest.mark.parametrize("answer,code", [
    (lambda c, f: b"inconsistencies between private key and certificate loaded 'x'.\nCan't commit x!\n\n", REFUSED), (lambda c, f: b"Can't commit x!\n\n", REFUSED),
    (lambda c, f: f.seen[1][40:], ANSWER), (lambda c, f: b"", ANSWER), (lambda c, f: b"Committing x....\n", ANSWER),
    (lambda c, f: b"The transaction must contain at least a certificate and a private key!\nCan't commit x!\n\n", REFUSED)])
def test_a_commit_that_fails_is_aborted(hook, answer, code):
    with FakeHAProxy(hook.admin, [hook.name], lambda c, f: answer(c, f) if c.startswith(b"commit") else None) as fake:
        reply = hook.ask()
    assert reply["code"] == code and reply["output"], reply
    assert fake.verbs() == ["show", "set", "commit", "abort"] and fake.transaction is None
    secret_free(hook, reply)


def test_a_commit_that_hangs_is_aborted(hook):
    def hang(command, fake):
        if command.startswith(b"commit"):
            time.sleep(2.5)  # beyond reload.timeout
            return b""
        return None
    with FakeHAProxy(hook.admin, [hook.name], hang) as fake:
        reply = hook.ask()
        assert reply["code"] == TIMEOUT, reply
        end = time.monotonic() + 10
        while "abort" not in fake.verbs() and time.monotonic() < end:
            time.sleep(0.05)
        assert fake.verbs()[-1] == "abort"


# ---- somebody else at work ----
def test_another_certificate_is_being_changed(hook):
    with FakeHAProxy(hook.admin, [hook.name, OTHER]) as fake:
        fake.transaction = OTHER
        reply = hook.ask()
    assert reply["code"] == BUSY and fake.verbs() == ["show"] and fake.transaction == OTHER, (reply, fake.verbs())


def test_what_a_killed_hook_left_open_is_ended_first(hook):
    with FakeHAProxy(hook.admin, [hook.name, OTHER]) as fake:
        fake.transaction = hook.name
        assert hook.ask()["code"] == 0
    assert fake.verbs() == ["show", "abort", "set", "commit"] and fake.transaction is None


def test_a_change_that_begins_at_the_same_time_gets_not_our_key(hook):
    """HAProxy 2.6 puts a payload into any open transaction: theirs must end, or they would commit our pair as theirs."""
    def meanwhile(command, fake):
        if command.startswith(b"set"):
            fake.transaction = OTHER
        return None
    with FakeHAProxy(hook.admin, [hook.name, OTHER], meanwhile) as fake:
        reply = hook.ask()
    assert reply["code"] == BUSY, reply
    assert fake.seen[-1] == f"abort ssl cert {OTHER}\n".encode() and fake.transaction is None


@pytest.mark.parametrize("name", ["/tmp/a;quit", "/tmp/a b.pem", "relative.pem", "/tmp/a\\ b.pem", "/tmp/a<<b"])
def test_names_that_the_command_line_would_split_are_not_used(hook, name):
    if name.startswith("/"):
        path = os.path.join(hook.dir, os.path.basename(name))
        os.symlink(hook.name, path)
        name = path
    with FakeHAProxy(hook.admin, [name]) as fake:
        assert hook.ask()["code"] == NAME
    assert fake.verbs() == ["show"]


# ---- our own files ----
@pytest.mark.parametrize("spoil", ["blank line", "control", "no newline", "empty", "missing", "link", "long", "current", "elsewhere", "folder"])
def test_files_that_are_not_as_they_must_be(hook, spoil):
    path = f"{hook.tls}/g000001/key.pem"
    with open(path) as f:
        pem = f.read()
    lines = pem.splitlines(True)
    text = {"blank line": "".join(lines[:3] + ["\n"] + lines[3:]), "control": pem.replace("\n", "\r\n"), "no newline": pem.rstrip("\n"), "empty": "",
            "long": pem + lines[-2] * 6000}.get(spoil)
    if text is not None:
        with open(path, "w") as f:
            f.write(text)
    elif spoil == "missing":
        os.unlink(path)
    elif spoil == "link":
        os.rename(path, f"{hook.dir}/elsewhere.pem")
        os.symlink(f"{hook.dir}/elsewhere.pem", path)
    elif spoil == "current":
        hook.flip("nothing")
    elif spoil == "elsewhere":
        os.rename(f"{hook.tls}/g000001", f"{hook.dir}/g000001")
        hook.flip("../g000001")
    else:
        os.chmod(hook.tls, 0o777)
    with FakeHAProxy(hook.admin, [hook.name]) as fake:
        reply = hook.ask()
    assert reply["code"] == FILES and reply["output"], reply
    assert "set" not in fake.verbs()
    os.chmod(hook.tls, 0o755)
    if spoil == "elsewhere":
        os.rename(f"{hook.dir}/g000001", f"{hook.tls}/g000001")
    if not os.path.exists(path):
        write(path, pem)


def test_a_target_without_a_socket_is_no_target(hook):
    hook.target("kind = haproxy\n")
    assert hook.ask()["code"] == TARGET


def test_whose_processes_are_ended(hook):
    """Who may put a socket there names the process whose old workers root ends: only his own are believed."""
    path = f"{hook.dir}/targets.d/web.conf"
    with open(path) as f:
        text = f.read()
    write(path, text.replace("kind = none\n", "kind = tls\nconnect = 127.0.0.1:443\n"))
    os.chown(f"{hook.dir}/run", 65534, -1)
    said = f"Name: HAProxy\nPid: {os.getpid()}\n".encode()
    now = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
    with FakeHAProxy(hook.admin, [hook.name], lambda command, fake: said):
        reply = hook.ask(DRAIN_END, reloaded_ms=now)
        assert reply["code"] == ANSWER and "not one of uid 65534" in reply["output"], reply
        os.chown(f"{hook.dir}/run", 0, -1)
        assert hook.ask(DRAIN_END, reloaded_ms=now)["code"] != ANSWER
