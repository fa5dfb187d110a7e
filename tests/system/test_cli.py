"""Is vccctl pleasant and exact: 80 columns, exit codes, JSON that stays, errors with a next step?"""
import fcntl
import http.server
import json
import os
import pty
import re
import socketserver
import struct
import subprocess
import termios
import threading
import urllib.parse

import pytest
from installation import ROOT, wait_for

VCCCTL = os.path.join(ROOT, "build", "bin", "vccctl")


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
                                   ("target", "list"), ("template", "list"), ("cert", "expiring", "--days", "3650"), ("audit", "list"), ("audit", "list", "--limit", "3", "--since", "1h"),
                                   ("audit", "show", "1"), ("service", "list"), ("service", "show", "clara"), ("ca", "list"), ("crl",), ("token", "list"),
                                   ("principal", "list")], ids=" ".join)
def test_fits_80_columns_and_gives_json(cli, nginx_installation, words):
    inst, _ = nginx_installation
    status, lines = on_a_terminal([*inst.vccctl_argv, *words])
    assert status == 0 and (lines or "expiring" in words), lines
    wide = [x for x in lines if len(x) > 80]
    assert not wide or words[1:2] == ("show",), wide
    answer = json.loads(cli(*words, "-o", "json").stdout)
    assert answer or words[0] == "cert"
    assert cli(*words, "-o", "csv").returncode == 0


def test_a_token_without_a_place_is_not_made(cli, tmp_path):
    there = tmp_path / "there"
    there.write_text("mine")
    before = json.loads(cli("token", "list", "-o", "json").stdout)
    for path in (there, tmp_path / "no" / "folder"):
        done = cli("token", "create", "--out", str(path))
        assert done.returncode == 1 and "none was made" in done.stderr or "no token was made" in done.stderr, done
    assert there.read_text() == "mine" and json.loads(cli("token", "list", "-o", "json").stdout) == before


def test_a_list_of_ids_may_say_something(cli, tmp_path):
    ids = tmp_path / "ids"
    ids.write_text("# the broken ones, all of them\n\nclara01-web # and why\n")
    done = cli("emergency", "plan", "--incident", "I", "--reason", "x", "--type", "exercise", "--ids-file", str(ids), "-o", "json")
    assert done.returncode == 0 and json.loads(done.stdout)["certificate_list"] == ["clara01-web"], done


def test_an_exported_template_is_edited_in_one_place(cli, tmp_path):
    template = json.loads(cli("template", "export", "vpb_service").stdout)
    path = tmp_path / "t.json"
    path.write_text(json.dumps({**template, "validity_period": "90d"}))
    done = cli("template", "apply", str(path), "--dry-run")
    assert done.returncode == 0 and "validity_period: 100d -> 90d" in done.stdout, done


def test_an_export_of_the_trail_is_verified(cli, nginx_installation, tmp_path):
    path = tmp_path / "trail.jsonl"
    for words in ((), ("--no-names",), ("--since", "1h")):
        assert cli("audit", "export", str(path), *words).returncode == 0, words
        assert cli("audit", "verify", str(path)).returncode == 0, words


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


def test_status_names_what_fails(cli, nginx_installation):
    """Scripts go by the exit status."""
    inst, _ = nginx_installation
    assert cli("status").returncode == 0
    inst.processes["gateway"].stop()
    try:
        done = wait_for("it is seen", lambda: (d := cli("status", "-o", "json")).returncode != 0 and d)
        assert done.returncode == 1 and json.loads(done.stdout)["status"] == "not ready" and json.loads(done.stdout)["checks"]["gateway"] == "failed"
        assert "VCC-3504" in done.stderr and "gateway" in done.stderr and "next:" in done.stderr
    finally:
        inst.processes["gateway"].start()
    wait_for("all is well again", lambda: cli("status").returncode == 0)


def test_denied(cli, nginx_installation):
    inst, host = nginx_installation
    argv = [x if not x.endswith("admin.token") else x.replace("admin.token", "approver.token") for x in inst.vccctl_argv]
    done = cli("cert", "renew", host.cert_id, "--force", argv=argv)
    assert done.returncode == 4 and "VCC-3101" in done.stderr


def test_whoever_asked_is_not_asked_to_agree(cli, nginx_installation):
    """A person at a terminal is told so at once."""
    inst, _ = nginx_installation
    asked = json.loads(cli("principal", "create", "other-approver", "--roles", "approver", "-o", "json").stdout)
    status, lines = on_a_terminal(["timeout", "--foreground", "30", *inst.vccctl_argv, "approval", "approve", asked["approval_id"]])
    assert status == 4 and "VCC-3710" in "".join(lines) and not [x for x in lines if "Type yes" in x], lines
    assert cli("approval", "show", asked["approval_id"], "-o", "json").stdout.count('"waiting"') == 1


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
    assert done.returncode == 2 and "VCC-1205" in done.stderr
    missing = os.path.join(folder, "no-token")
    done = cli("whoami", argv=[missing if x.endswith("admin.token") else x for x in inst.vccctl_argv])
    assert done.returncode == 2 and "VCC-3505" in done.stderr and missing in done.stderr and "List the objects" not in done.stderr, done.stderr


def test_another_root_names_the_option(cli, nginx_installation, folder):
    inst, _ = nginx_installation
    other = os.path.join(folder, "other.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", os.devnull, "-out", other, "-subj", "/CN=other"],
                   check=True, capture_output=True, timeout=60)
    for argv in ([other if x.endswith("ca.pem") else x for x in inst.vccctl_argv], [x for x in inst.vccctl_argv if x != "--ca" and not x.endswith("ca.pem")]):
        done = cli("whoami", argv=argv)
        assert done.returncode == 5 and "VCC-3506" in done.stderr and "is not signed by" in done.stderr and "--ca" in done.stderr.split("next:")[1], done.stderr


def test_watch_ends_with_the_proof(cli, nginx_installation):
    _, host = nginx_installation
    done = cli("cert", "renew", host.cert_id, "--force", "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("proved after ") and " 0 failed handshakes" in last, done.stdout
    assert all(len(x) <= 80 for x in done.stdout.splitlines()), done.stdout


def test_watch_says_why_an_attempt_failed_and_force_tries_again(cli, nginx_installation):
    """The next attempt is an hour away: the watch ends and says so, and so does `cert show`."""
    _, host = nginx_installation
    broken = os.path.join(host.dir, "service", "nginx.conf")
    with open(broken) as f:
        good = f.read()
    try:
        with open(broken, "a") as f:
            f.write("nonsense on;\n")
        done = cli("cert", "renew", host.cert_id, "--force", "--watch")
        assert done.returncode == 6 and "attempt 1 failed: VCC-2002" in done.stdout and "nonsense" in done.stdout, done.stdout
        assert "tried again at " in done.stdout
        shown = cli("cert", "show", host.cert_id)
        assert "attempt 1 failed: VCC-2002" in shown.stdout and "nonsense" in shown.stdout
        assert cli("cert", "renew", host.cert_id).returncode == 1
    finally:
        with open(broken, "w") as f:
            f.write(good)
    done = cli("cert", "renew", host.cert_id, "--force", "--watch")
    assert done.returncode == 0 and "proved after" in done.stdout, done.stdout + done.stderr


def test_watch_says_that_the_agent_is_away(cli, nginx_installation):
    _, host = nginx_installation
    host.processes["agent"].stop()
    try:
        waits = subprocess.Popen([*nginx_installation[0].vccctl_argv, "cert", "renew", host.cert_id, "--force", "--watch"], stdout=subprocess.PIPE, text=True)
        assert waits.stdout.readline().startswith("renewal ")
        assert waits.stdout.readline().split()[:2] == ["pre_validation", "done"]
        assert f"waits for agent {host.name}, which is not connected" in waits.stdout.readline()
        agent = json.loads(cli("agent", "show", host.name, "-o", "json").stdout)
        assert not agent["connected"] and agent["seen_at"] > json.loads(cli("cert", "show", host.cert_id, "-o", "json").stdout)["created_at"]
    finally:
        host.processes["agent"].start()
    assert "proved after" in waits.communicate(timeout=90)[0]


def test_agent_show_says_what_is_not_in_order(cli, nginx_installation):
    _, host = nginx_installation

    def shown():
        return json.loads(cli("agent", "show", host.name, "-o", "json").stdout)
    wait_for("healthy", lambda: shown()["healthy"], 60)
    assert shown()["degraded"] == [] and re.search(r"^not in order +-$", cli("agent", "show", host.name).stdout, re.M)
    path = os.path.join(host.dir, "targets.d", "odd.conf")
    with open(path, "w") as f:
        f.write("[target]\nnames = odd.clara.vcc.internal\n[files]\nmdoe = 0640\n")
    try:
        wait_for("it is told", lambda: shown()["degraded"] == ["targets"])
        assert shown()["healthy"] is False and re.search(r"^not in order +targets$", cli("agent", "show", host.name).stdout, re.M)
    finally:
        os.unlink(path)
    wait_for("it is over", lambda: shown()["healthy"])
    host.processes["agent"].stop()
    try:
        wait_for("away", lambda: not shown()["connected"])
        assert shown()["healthy"] is None and shown()["degraded"] is None, "nobody knows how it is now"
    finally:
        host.processes["agent"].start()
    wait_for("back", lambda: shown()["healthy"], 60)


def every_code():
    """(number, what, next) of each row of the registry."""
    with open(os.path.join(ROOT, "shared", "base", "err.def")) as f:
        rows = re.findall(r'^ERR\((\d+), \w+, \w+, ("(?:[^"\\]|\\.)*"), ("(?:[^"\\]|\\.)*")\)$', f.read(), re.M)
    return [(int(n), json.loads(what), json.loads(step)) for n, what, step in rows]


def test_explain_knows_every_code():
    with open(os.path.join(ROOT, "shared", "base", "err.def")) as f:
        written = sum(line.startswith("ERR(") for line in f)
    codes = every_code()
    assert len(codes) == written > 150
    for number, what, step in codes:
        done = plain("explain", f"VCC-{number}")
        assert done.returncode == 0 and what in done.stdout and f"next     {step}\n" in done.stdout, done
    done = json.loads(plain("explain", "2004", "-o", "json").stdout)
    assert done["code"] == "VCC-2004" and done["kind"] == "local" and "old certificate" in done["what"] and done["next"]


# ---- help and version, without a controller ----

def plain(*words, **more):
    return subprocess.run([VCCCTL, *words], capture_output=True, text=True, timeout=60, **more)


def help_pages():
    """Every page there is: the whole, each noun's, each verb's, init's."""
    verbs = [re.match(r"  (\S+)(?: ([a-z-]+))?(?: |$)", x).groups() for x in plain("--help").stdout.split("\n\n")[1].splitlines() if x[2:3].strip()]
    words = {("--help",), ("init", "--help")}
    for noun, verb in verbs:
        words |= {(noun, "--help"), tuple(w for w in (noun, verb, "--help") if w)}
    return sorted(words)


def test_every_help_page_fits_80_columns():
    pages = help_pages()
    assert len(pages) > 20 and ("agent", "invite", "--help") in pages and ("status", "--help") in pages
    for words in pages:
        done = plain(*words)
        assert done.returncode == 0 and done.stderr == "" and done.stdout.startswith("usage: vccctl "), words
        assert [x for x in done.stdout.splitlines() if len(x) > 80 or x != x.rstrip()] == [], words
        if len(words) == 3:
            assert done.stdout.startswith(f"usage: vccctl {words[0]} {words[1]} "), words


@pytest.mark.parametrize("words", ["--version", "cert list --version", "cert --version", "-o json --version", "--url https://x cert show x --version", "cert show --version", "init --version"])
def test_version_may_stand_anywhere(words):
    done = plain(*words.split())
    assert done.returncode == 0 and re.fullmatch(r"vccctl \d+\.\d+\.\d+\n", done.stdout), done


# ---- tables, of a controller that knows long names ----

LISTENERS = ["127.0.0.1:44443", "[::1]:44443", "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535"]


def target(target_id, agent="clara01", file="web", verify="tls", listeners=1, error=None):
    return {"target_id": target_id, "agent": agent, "file": file, "reload": "postgresql", "verify": verify, "proved_at": "2020-01-02T03:04:05Z",
            "error": error, "listeners": LISTENERS[:listeners]}


TARGETS = {
    "usual": [target("clara01-web"), target("clara01-nginx", listeners=2)],
    "long": [target("clara01-web"), target("c" * 40 + "-" + "d" * 22, "host-" + "a" * 27, "f" * 63, "starttls-postgresql", 3, "VCC-2004"), target("x", listeners=0)],
}


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        at, limit = int(query.get("cursor", ["0"])[0]), int(query["limit"][0])
        page = {"items": self.server.items[at:at + limit], "next_cursor": str(at + limit) if at + limit < len(self.server.items) else None}
        body = json.dumps(page).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "local"

    def log_message(self, *_):
        pass


@pytest.fixture
def answers(folder):
    """An admin socket whose lists are what the test says."""
    server = socketserver.ThreadingUnixStreamServer(os.path.join(folder, "admin.sock"), Answers)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def columns_of(lines):
    """What stands in each column, all rows together, without spaces."""
    starts = [m.start() for m in re.finditer(r"\S+", lines[0])] + [None]
    return ["".join(x[a:b].replace(" ", "") for x in lines[1:]) for a, b in zip(starts, starts[1:])]


@pytest.mark.parametrize("columns", [80, 100, 132, 400])
@pytest.mark.parametrize("name", TARGETS)
def test_no_table_is_cut(answers, name, columns):
    answers.items = TARGETS[name]
    status, lines = on_a_terminal([VCCCTL, "--socket", answers.server_address, "target", "list"], columns)
    assert status == 0 and max(map(len, lines)) <= columns, lines
    shown = columns_of(lines)
    for at, field in enumerate(["target_id", "agent", "file", "reload", "verify"]):
        assert shown[at] == "".join(t[field] for t in TARGETS[name]), "\n".join(lines)
    assert shown[6] == "".join(t["error"] or "-" for t in TARGETS[name])
    assert shown[7] == "".join(",".join(t["listeners"]) or "-" for t in TARGETS[name]), "\n".join(lines)
    if name == "usual" or columns == 400:
        assert all(t["target_id"] in "\n".join(lines) for t in TARGETS[name]), "names are whole where there is room"
    for port in ("127.0.0.1:44443", "[::1]:44443"):
        assert name != "usual" or any(x.endswith((port, port + ",")) for x in lines), "\n".join(lines)


@pytest.mark.parametrize("columns", [20, 40])
def test_a_terminal_too_narrow_for_any_table_shows_all(answers, columns):
    answers.items = TARGETS["long"]
    status, lines = on_a_terminal([VCCCTL, "--socket", answers.server_address, "target", "list"], columns)
    assert status == 0
    shown = columns_of(lines)
    assert shown[0] == "".join(t["target_id"] for t in answers.items) and shown[7] == "".join(",".join(t["listeners"]) or "-" for t in answers.items)


def test_without_a_terminal_a_row_is_a_line(answers):
    answers.items = TARGETS["long"]
    done = plain("--socket", answers.server_address, "target", "list")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1 + len(answers.items)
    assert ", ".join(LISTENERS) in done.stdout
    done = plain("--socket", answers.server_address, "target", "list", "-o", "csv")
    assert done.stdout.splitlines()[2].endswith('"' + ", ".join(LISTENERS) + '"')
    assert json.loads(plain("--socket", answers.server_address, "target", "list", "-o", "json").stdout) == answers.items


def test_all_pages_are_shown(answers):
    answers.items = [target(f"c{i}") for i in range(1201)]
    assert json.loads(plain("--socket", answers.server_address, "target", "list", "-o", "json").stdout) == answers.items
    assert len(plain("--socket", answers.server_address, "target", "list").stdout.splitlines()) == 1202


def test_long_values_are_whole(answers):
    """More than a screen of names: also in CSV."""
    many = [f"[2001:db8::{i:x}]:443" for i in range(200)]
    answers.items = [dict(target("x"), listeners=many)]
    for form in ("table", "csv"):
        assert ", ".join(many) in plain("--socket", answers.server_address, "target", "list", "-o", form).stdout
    _, lines = on_a_terminal([VCCCTL, "--socket", answers.server_address, "target", "list"])
    assert columns_of(lines)[7] == ",".join(many)


def test_a_sheet_calculates_nothing(answers):
    """Names come from hosts and persons."""
    answers.items = [dict(target("x"), target_id="=1+1", listeners=["@a\rb"])]
    done = subprocess.run([VCCCTL, "--socket", answers.server_address, "target", "list", "-o", "csv"], capture_output=True, timeout=60, env=dict(os.environ, HOME="/nonexistent"))
    line = done.stdout.decode().split("\n")[1]
    assert line.startswith("'=1+1,") and line.endswith('"\'@a\rb"'), line


@pytest.mark.parametrize("words,said,step", [
    (("agnet", "list"), "agnet: unknown noun; did you mean `agent`?", "vccctl --help"),
    (("zzzzz",), "zzzzz: unknown noun\n", "vccctl --help"),
    (("agent", "lst"), "lst: unknown verb; did you mean `list`?", "vccctl agent --help"),
    (("agent",), "agent: a verb is missing", "vccctl agent --help"),
    (("agent", "invite", "--servcie", "x"), "--servcie: unknown option; did you mean `--service`?", "vccctl agent invite --help"),
    (("agent", "list", "--outptu=json"), "--outptu=json: unknown option; did you mean `--output`?", "vccctl agent list --help"),
    (("--tokenfile", "x"), "--tokenfile: unknown option; did you mean `--token-file`?", "vccctl --help"),
    (("--url", "https://x:1"), "vccctl: a noun is missing", "vccctl --help"),
    (("cert", "show"), "CERT_ID: a word is missing", "vccctl cert show --help"),
    (("cert", "list", "-o", "xml"), "xml: -o takes", "vccctl cert list --help"),
], ids=lambda x: " ".join(x) if isinstance(x, tuple) else "")
def test_what_is_not_understood_has_a_code_and_a_next_step(words, said, step):
    done = plain(*words)
    assert done.returncode == 2 and done.stdout == "", done
    assert done.stderr.startswith("vccctl: VCC-3500 " + said) and done.stderr.endswith(f"  next: See `{step}`.\n"), done.stderr


EMERGENCY = ("emergency", "plan", "--incident", "INC-1", "--type", "key_compromise", "--reason", "a test", "--ids-file")
REQUEST = ("cert", "issue", "--template", "external_service", "--csr")


@pytest.mark.parametrize("words,name,holds,code,said", [
    (REQUEST, "missing", None, 3505, "cannot open the file: No such file or directory"),
    (REQUEST, ".", None, 3505, "cannot read the file: Is a directory"),
    (REQUEST, "empty", b"", 1401, "it holds no CERTIFICATE REQUEST"),
    (REQUEST, "der", b"\x30\x82\x00\x01\x00", 1401, "it is not PEM"),
    (REQUEST, "endless", 200_000, 1401, "it is too long for a certificate request"),
    (EMERGENCY, "missing", None, 3505, "cannot open the file: No such file or directory"),
    (EMERGENCY, ".", None, 3505, "is not a plain file"),
    (EMERGENCY, "endless", 10_000_000, 1001, "is longer than 6500000 bytes"),
], ids=lambda x: x[0] if isinstance(x, tuple) else None)
def test_a_file_that_cannot_be_what_it_should_is_named(tmp_path, words, name, holds, code, said):
    path = tmp_path / name
    if holds is not None:
        path.write_bytes(holds if isinstance(holds, bytes) else b"x\n" * (holds // 2))
    done = plain("--socket", "/nonexistent", *words, str(path))
    assert done.returncode == 2 and done.stdout == "", done
    assert re.match(rf"vccctl: VCC-{code} {re.escape(str(path))}: .*{said}", done.stderr) and "\n  next: " in done.stderr, done.stderr


def test_the_help_of_a_noun_is_of_it_alone():
    rows = [x for x in plain("agent", "--help").stdout.splitlines() if re.match("  [a-z]", x)]
    assert len(rows) > 5 and all(x.startswith("  agent ") for x in rows), rows
    assert "exit codes" not in plain("agent", "--help").stdout and "exit codes" in plain("--help").stdout
    for words in ((), ("agent",), ("agent", "invite"), ("status",)):
        assert plain("help", *words).stdout == plain(*words, "--help").stdout != "", words


def test_a_code_may_be_typed_in_small_letters():
    assert plain("explain", "vcc-3661").stdout == plain("explain", "VCC-3661").stdout != ""


@pytest.mark.parametrize("given,said", [("99999d", "`99999d` is beyond its bound: more than 0 and at most 30d"), ("31d", "at most 30d"), ("0d", "more than 0"), ("soon", "must be a duration")])
def test_how_long_nobody_is_reminded_has_a_bound(given, said):
    done = plain("--socket", "/nonexistent", "notify", "snooze", "01a21b85-f8c3-77c5-b880-03a71df5c4b6", "--for", given)
    assert done.returncode == 2 and said in done.stderr, done
