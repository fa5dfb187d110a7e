"""Is vccctl pleasant and exact: 80 columns, exit codes, JSON that stays, errors with a next step?"""
import fcntl
import json
import os
import pty
import struct
import subprocess
import termios

import pytest


@pytest.fixture(scope="module")
def cli(nginx_installation):
    inst, _ = nginx_installation

    def call(*words, argv=None):
        return subprocess.run([*(argv or inst.vccctl_argv), *words], capture_output=True, text=True, timeout=60, env=dict(os.environ, HOME="/nonexistent"))
    return call


def on_a_terminal(argv, columns=80):
    """Exit status and lines of a program whose output is a terminal of 80 columns."""
    main, sub = pty.openpty()
    fcntl.ioctl(sub, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    p = subprocess.Popen(argv, stdin=sub, stdout=sub, stderr=sub, env=dict(os.environ, HOME="/nonexistent"))
    os.close(sub)
    text = b""
    while True:
        try:
            data = os.read(main, 65536)
        except OSError:
            break
        if not data:
            break
        text += data
    os.close(main)
    return p.wait(30), text.decode().replace("\r", "").splitlines()


@pytest.mark.parametrize("words", [("status",), ("whoami",), ("agent", "list"), ("agent", "show", "clara01"), ("cert", "list"), ("cert", "show", "clara01-web"),
                                   ("target", "list"), ("template", "list"), ("cert", "expiring", "--days", "3650")], ids=" ".join)
def test_fits_80_columns_and_gives_json(cli, nginx_installation, words):
    inst, _ = nginx_installation
    status, lines = on_a_terminal([*inst.vccctl_argv, *words])
    assert status == 0 and (lines or words[1] == "expiring"), lines
    wide = [x for x in lines if len(x) > 80]
    assert not wide or words[1:2] == ("show",), wide
    answer = json.loads(cli(*words, "-o", "json").stdout)
    assert answer or words[0] == "cert"
    assert cli(*words, "-o", "csv").returncode == 0


@pytest.mark.parametrize("words,code,text", [
    (("cert", "show", "nothing"), 3, "VCC-1006"),
    (("cert", "show", "../x"), 3, "VCC-1006"),
    (("agent", "show", "nobody"), 3, "VCC-1006"),
    (("cert", "renew", "clara01-web"), 1, "VCC-3002"),
    (("cert", "revoke", "clara01-web"), 2, "--reason"),
    (("cert", "revoke", "clara01-web", "--reason", "boredom"), 1, "VCC-3104"),
    (("agent", "invite", "Bad_Name", "--service", "clara"), 1, "VCC-"),
    (("agent", "invite", "h9"), 2, "--service"),
    (("nonsense",), 2, "unknown noun"),
    (("cert", "nonsense"), 2, "unknown verb"),
    (("cert", "list", "--nonsense"), 2, "unknown option"),
    (("cert", "list", "too", "many"), 2, "unexpected word"),
    (("cert", "show"), 2, "missing"),
    (("cert", "list", "-o", "xml"), 2, "xml"),
    (("template", "apply", "/nonexistent.json"), 2, "VCC-"),
    (("explain", "VCC-9999"), 3, "VCC-1006"),
], ids=lambda x: " ".join(x) if isinstance(x, tuple) else None)
def test_exit_codes_and_words(cli, words, code, text):
    done = cli(*words)
    assert done.returncode == code, (done.returncode, done.stderr)
    assert text in done.stderr and done.stdout == "", done
    assert "next:" in done.stderr


def test_unreachable_controller(cli, nginx_installation):
    inst, _ = nginx_installation
    done = cli("status", argv=[inst.bin("vccctl"), "--socket", "/nonexistent.sock"])
    assert done.returncode == 5 and "VCC-3501" in done.stderr
    done = cli("status", argv=[inst.bin("vccctl"), "--url", "https://127.0.0.1:1"])
    assert done.returncode == 5


def test_denied(cli, nginx_installation):
    inst, host = nginx_installation
    argv = [x if not x.endswith("admin.token") else x.replace("admin.token", "approver.token") for x in inst.vccctl_argv]
    done = cli("cert", "renew", host.cert_id, "--force", argv=argv)
    assert done.returncode == 4 and "VCC-3101" in done.stderr


def test_local_socket_and_configuration_file(cli, nginx_installation, folder):
    inst, _ = nginx_installation
    done = cli("whoami", "-o", "json", argv=[inst.bin("vccctl"), "--socket", os.path.join(inst.state, "run", "admin.sock")])
    assert done.returncode == 0 and json.loads(done.stdout)["principal"].startswith("local:uid-")
    conf = os.path.join(folder, "vccctl.conf")
    with open(conf, "w") as f:
        f.write(f"[vccctl]\nurl = {inst.admin_url}\nca = {inst.state}/ca.pem\ntoken_file = {inst.state}/admin.token\n")
    os.chmod(conf, 0o600)
    done = subprocess.run([inst.bin("vccctl"), "whoami", "-o", "json"], capture_output=True, text=True, env=dict(os.environ, VCCCTL_CONFIG=conf))
    assert done.returncode == 0 and json.loads(done.stdout)["principal"] == "admin", done.stderr


def test_a_token_file_that_others_can_read_is_refused(cli, nginx_installation, folder):
    inst, _ = nginx_installation
    loose = os.path.join(folder, "token")
    with open(loose, "w") as f:
        f.write(open(os.path.join(inst.state, "admin.token")).read())
    os.chmod(loose, 0o644)
    argv = [loose if x.endswith("admin.token") else x for x in inst.vccctl_argv]
    done = cli("whoami", argv=argv)
    assert done.returncode == 4 and "VCC-1205" in done.stderr


def test_watch_ends_with_the_proof(cli, nginx_installation):
    _, host = nginx_installation
    done = cli("cert", "renew", host.cert_id, "--force", "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("proved after ") and " 0 failed handshakes" in last, done.stdout
    assert all(len(x) <= 80 for x in done.stdout.splitlines()), done.stdout


def test_explain_knows_every_code(cli):
    done = cli("explain", "VCC-2004")
    assert done.returncode == 0 and "old certificate" in done.stdout and "next" in done.stdout
