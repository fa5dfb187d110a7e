"""The rules that scripts rely on, verb by verb against a controller whose answers the test chooses: exit codes 0 to 8, no colours, progress on
stderr and only for somebody who sits there, 80 columns."""
import fcntl
import hashlib
import glob
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
import time

import pytest
from installation import ROOT

VCCCTL = os.path.join(ROOT, "build", "bin", "vccctl")
ID = "01a21b85-f8c3-77c5-b880-03a71df5c4b6"
TIME = "2020-01-02T03:04:05Z"
OK = {"status": "ready", "checks": {"store": "ok", "signer": "ok", "crl": "ok", "gateway": "ok"}, "warnings": []}
EMPTY = {"items": [], "next_cursor": None}
EXPIRING = {"total_expiring": 0, "critical_count": 0, "warning_count": 0, "certificates": {"critical": [], "warning": []}}
WELL = {"status": OK, "certificates": EMPTY, "agents": EMPTY, "certificates/lifecycle/expiring": EXPIRING}
LONG = "a-word-that-is-long-" * 3


def campaign(status, done=1, waiting=0, running=0, **more):
    return {"campaign_id": ID, "status": status, "total_certificates": 2, "successful_count": done, "failed_count": 2 - done - waiting - running, "skipped_count": 0,
            "pending_count": waiting + running, "in_progress_count": running, "waiting_count": waiting, "held_count": 0, "offline_count": 0, "duration_minutes": 0.1,
            "completed_at": TIME if status.startswith("completed") else None, "failed_renewals": [], "cause": "", **more}


def problem(status, code, detail="the cause"):
    return status, {"type": f"urn:vcc:error:{code}", "title": "t", "status": status, "code": code, "object": "the-object", "detail": detail, "next": "n", "request_id": ID,
                    "retryable": False}


class Answers(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        rows = self.server.rows.get(self.path.split("?")[0].removeprefix("/api/v1/"), problem(404, "VCC-1006"))
        if isinstance(rows, list):
            row = rows.pop(0) if len(rows) > 1 else rows[0]
        else:
            row = rows
        status, body = row if isinstance(row, tuple) else (200, row)
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer

    def address_string(self):
        return "local"

    def log_message(self, *_):
        pass


@pytest.fixture
def controller(folder):
    server = socketserver.ThreadingUnixStreamServer(os.path.join(folder, "admin.sock"), Answers)
    server.daemon_threads, server.rows = True, {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def environment(**more):
    return {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin", "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **more}


def run(controller, *words, **env):
    return subprocess.run([VCCCTL, "--socket", controller.server_address, *words], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, env=environment(**env))


def seated(controller, *words, terminal=(1, 2), columns=80, **env):
    """Exit status and what was written to stdout and stderr, those in `terminal` being one."""
    ends, mine = {}, {}
    for fd in (1, 2):
        if fd in terminal:
            mine[fd], ends[fd] = pty.openpty()
            fcntl.ioctl(ends[fd], termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        else:
            mine[fd], ends[fd] = os.pipe()
    p = subprocess.Popen([VCCCTL, "--socket", controller.server_address, *words], stdin=subprocess.DEVNULL, stdout=ends[1], stderr=ends[2], env=environment(**env))
    texts = {1: b"", 2: b""}

    def read(fd):
        while True:
            try:
                data = os.read(mine[fd], 65536)
            except OSError:
                return
            if not data:
                return
            texts[fd] += data
    for fd in ends.values():
        os.close(fd)
    readers = [threading.Thread(target=read, args=(fd,)) for fd in mine]
    for r in readers:
        r.start()
    code = p.wait(120)
    for r in readers:
        r.join(60)
    for fd in mine.values():
        os.close(fd)
    return code, texts[1].decode(), texts[2].decode()


PLAN = "certificates/lifecycle/bulk-renewal"
RENEW = "certificates/lifecycle/renew/c1"
WATCH = ["campaign", "watch", ID]
# words, what the controller answers by path, exit code, what stderr says
CODES = [
    (["cert", "list"], {**WELL, "certificates": {"items": [{"cert_id": "c1"}], "next_cursor": None}}, 0, ""),
    (["status"], WELL, 0, ""),
    (["check"], WELL, 0, ""),
    (["cert", "cancel", "c1"], {"certificates/c1": {"cert_id": "c1", "open_order": None}}, 0, ""),
    (WATCH, {f"campaigns/{ID}": campaign("completed", 2)}, 0, ""),
    (["cert", "renew", "c1"], {RENEW: problem(409, "VCC-3002")}, 1, "VCC-3002"),
    (["cert", "renew", "c1"], {RENEW: problem(422, "VCC-3104")}, 1, "VCC-3104"),
    (["cert", "renew", "c1"], {RENEW: problem(500, "VCC-1001")}, 1, "VCC-1001"),
    (["status"], {"status": {**OK, "status": "not ready", "checks": {**OK["checks"], "signer": "failed"}}}, 1, "signer"),
    (["cert", "show", "c1"], {"certificates/c1": (200, "no object")}, 1, "VCC-3502"),
    (["cert", "renew"], {}, 2, "missing"),
    (["nonsense"], {}, 2, "unknown noun"),
    (["cert", "list", "-o", "xml"], {}, 2, "xml"),
    (["cert", "create", "c1"], {}, 2, "--agent"),
    (["cert", "show", "c1"], {}, 3, "VCC-1006"),
    (["campaign", "show", "no-id"], {}, 3, "VCC-1006"),
    (["cert", "list"], {"certificates": problem(401, "VCC-3100")}, 4, "VCC-3100"),
    (["cert", "list"], {"certificates": problem(403, "VCC-3101")}, 4, "VCC-3101"),
    (WATCH, {f"campaigns/{ID}": campaign("awaiting_approval", 0, 2)}, 4, ""),
    (["cert", "create", "c1", "--agent", "a", "--template", "t"], {"certificates": (201, {"cert_id": "c1", "approved": False, "agent": "a"})}, 4, ""),
    (["cert", "list"], {"certificates": problem(503, "VCC-3106")}, 5, "VCC-3106"),
    (["cert", "list"], {"certificates": problem(429, "VCC-3155")}, 5, "VCC-3155"),
    (["--socket", "/nonexistent.sock", "status"], {}, 5, "VCC-3501"),
    (WATCH, {f"campaigns/{ID}": campaign("halted", 1, 1)}, 6, ""),
    (WATCH, {f"campaigns/{ID}": campaign("completed_with_failures", 1)}, 6, ""),
    ([*WATCH, "--wait", "1s"], {f"campaigns/{ID}": campaign("processing", 1, 0, 1)}, 6, ""),
    (["check"], {**WELL, "agents": {"items": [{"name": "a1", "state": "active", "connected": False, "seen_at": TIME}], "next_cursor": None}}, 7, ""),
    (["check"], {**WELL, "status": {**OK, "status": "not ready", "checks": {**OK["checks"], "store": "failed"}}}, 7, ""),
    (["bulk", "apply", "--plan-hash", "0" * 64], {PLAN: problem(409, "VCC-3601")}, 8, "VCC-3601"),
]


@pytest.mark.parametrize("words,rows,code,said", CODES, ids=[f"{i}-{row[2]}" for i, row in enumerate(CODES)])
def test_exit_code(controller, words, rows, code, said):
    controller.rows = {path: list(row) if isinstance(row, list) else row for path, row in rows.items()}
    done = run(controller, *words)
    assert done.returncode == code, done
    if code == 0 or not said:
        assert done.stderr == "", done
    else:
        assert said in done.stderr and "next:" in done.stderr, done


def test_every_code_has_a_row():
    assert {row[2] for row in CODES} == set(range(9))


# ---- the table of verbs ----

def test_every_file_of_verbs_is_one_line_of_the_table():
    """A file that the table forgets is left out of the program by the linker, and nothing says so."""
    room = os.path.join(ROOT, "controller", "cli")
    listed = re.findall(r"^\tFILE\((\w+)\)", open(os.path.join(room, "verb.h")).read(), re.M)
    files = {stem: path for path in glob.glob(os.path.join(room, "*.c")) for stem in re.findall(r"^const struct verb cli_(\w+)_verbs\[\] =", open(path).read(), re.M)}
    assert sorted(listed) == sorted(files) and len(files) > 20, set(listed) ^ set(files)
    page = subprocess.run([VCCCTL, "--help"], capture_output=True, text=True, timeout=30).stdout
    for stem, path in files.items():
        table = open(path).read().split(f"cli_{stem}_verbs[] =")[1]
        verbs = re.findall(r'^\t\{"([\w-]+)",\s*(?:NULL|"([\w-]+)"),\s*"', table, re.M)
        assert verbs, path
        for words in verbs:
            assert re.search(rf"^  {' '.join(filter(None, words))}( |$)", page, re.M), words


# ---- progress ----

COLOUR, MOVE = re.compile(r"\x1b\[[0-9;]*m"), re.compile(r"\x1b\[[0-9;]*[A-HJK]")


def watched():
    return {f"campaigns/{ID}": [campaign("processing", 0, 1, 1), campaign("processing", 1, 0, 1), campaign("processing", 1, 0, 1), campaign("completed", 2)]}


@pytest.mark.parametrize("terminal,told", [((), False), ((1,), False), ((2,), True), ((1, 2), True)])
@pytest.mark.parametrize("form", ["table", "json"])
def test_progress_is_for_a_terminal_on_stderr(controller, terminal, told, form):
    controller.rows = watched()
    code, out, err = seated(controller, *WATCH, "-o", form, terminal=terminal)
    assert code == 0 and ("in progress" in err) == told and (told or err == ""), (out, err)
    assert "in progress" not in out and "\x1b" not in out and not COLOUR.search(err)
    if form == "json":
        assert json.loads(out)["status"] == "completed"
    else:
        assert out.startswith("completed: 2 of 2 renewed")
    assert max(map(len, MOVE.sub("", err).replace("\r", "\n").split("\n"))) <= 80
    assert err.count("\x1b[2J") == told, "one screen, drawn over"


# ---- colours ----

@pytest.mark.parametrize("words,rows", [(["status"], WELL), (["cert", "show", "c1"], {}), (["check"], CODES[-3][1]), (WATCH, {f"campaigns/{ID}": campaign("halted", 1, 1)}), (["--help"], {})])
def test_there_are_no_colours(controller, words, rows):
    """Whatever NO_COLOR says: nothing that is printed depends on it. Only the screen that follows a campaign is drawn over, and not on a dumb terminal."""
    said = []
    for env in ({}, {"NO_COLOR": "1"}, {"NO_COLOR": ""}, {"CLICOLOR_FORCE": "1"}, {"TERM": "dumb"}):
        controller.rows = rows
        said.append(seated(controller, *words, **env))
        assert not COLOUR.search(said[-1][1] + said[-1][2]), said[-1]
        assert "\x1b" not in said[-1][1] + (said[-1][2] if words != WATCH or "TERM" in env else ""), said[-1]
    assert all(s == said[0] for s in said[:-1]) and said[-1][:2] == said[0][:2]


def test_what_a_controller_sends_moves_no_cursor(controller):
    controller.rows = {"certificates": {"items": [{"cert_id": "c1\x1b[2J", "service": "s\x07", "agent": "a", "status": "active\x9b31m"}], "next_cursor": None},
                       "certificates/c1": problem(409, "VCC-3002", "bad \x1b[31mword\x07")}
    for words in (["cert", "list"], ["cert", "show", "c1"]):
        _, out, err = seated(controller, *words)
        assert not set("\x1b\x07\x9b") & set(out + err), (out, err)


@pytest.mark.parametrize("shown,words", [
    (campaign("awaiting_approval", 0, 2), ["another person runs", f"`vccctl approval approve {ID}`"]),
    (campaign("completed", 2, 0, confirmation="asked"), ["another person confirms", f"`vccctl approval approve {ID}`"]),
    (campaign("halted", 1, 1), ["`vccctl campaign resume`, `cancel` or `rollback`"]),
    (campaign("cancelled", 1, 1, waiting_count=1), ["1 were not sent"]),
    (campaign("completed", 2, 0), []),
], ids=["waits", "unconfirmed", "halted", "cancelled", "done"])
def test_the_end_names_the_next_step(controller, shown, words):
    """The one who asked at night is told what is left, also where everything is renewed and nobody has confirmed it."""
    controller.rows = {f"campaigns/{ID}": shown}
    _, out, err = seated(controller, *WATCH)
    assert all(w in out for w in words) and ("next:" in out) == any("vccctl" in w for w in words), out + err
    assert max(map(len, out.replace("\r", "").split("\n"))) <= 80, out


@pytest.mark.parametrize("plan,words", [
    ({"revoke_old": "after:4h", "approval": "after"}, ["when the new one is proved, in 4h at the latest", "confirm it afterwards"]),
    ({"revoke_old": "now", "approval": "before", "loses_service": ["c1", "c2"]}, ["2 lose service", "before another person agrees"]),
    ({"revoke_old": "proved", "approval": "none", "loses_service": []}, []),
], ids=["after", "now", "proved"])
@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_what_an_emergency_does_is_said_before(controller, verb, plan, words):
    """In words, with the number that has to be typed, not in the plan alone."""
    answer = {"matching_certificates": 2, "certificate_list": ["c1", "c2"], "plan_hash": "01" * 32, "plan": {"selector": "everything", "renewed": 2, "all_certificates": 2, **plan}}
    controller.rows = {"certificates/lifecycle/emergency-recertification": answer}
    _, out, err = seated(controller, "emergency", verb, "--incident", "I", "--reason", "r", "--type", "exercise", "--all")
    said = " ".join((out if verb == "plan" else err).split())
    assert all(w in said for w in words) and ("lose service:" in said) == any("lose service" in w for w in words), out + err


def test_how_long_ago_and_how_long_until(controller):
    """What was is older than nothing, whatever the two clocks say; what is over keeps its sign."""
    at = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + s)) for s in (-90, 4000, -4, -3 * 86400, 3 * 86400 + 60)]
    row = {**campaign("completed"), "kind": "bulk", "selector": "s"}
    controller.rows = {"campaigns": {"items": [{**row, "created_at": t} for t in at], "next_cursor": None},
                       "certificates": {"items": [{"cert_id": "c1", "renew_at": t, "expires_at": t} for t in at], "next_cursor": None}}
    began = [line.split()[-1] for line in run(controller, "campaign", "list").stdout.splitlines()[1:]]
    assert re.fullmatch(r"9\ds", began[0]) and re.fullmatch(r"[4-9]s|\d\ds", began[2]) and (began[1], began[3], began[4]) == ("0s", "3d", "0s"), began
    ends = [line.split()[-1] for line in run(controller, "cert", "list").stdout.splitlines()[1:]]
    assert re.fullmatch(r"-9\ds|-1\d\ds", ends[0]) and ends[1] == "66m" and ends[3:] == ["-3d", "3d"] and re.fullmatch(r"0s|-\d\ds", ends[2]), ends


def test_an_empty_list_says_so(controller):
    controller.rows = {"campaigns": EMPTY, "ca": EMPTY, "renewals": EMPTY, "crls": EMPTY, "certificates/lifecycle/templates": {"templates": []}}
    for words, what in ((["campaign", "list"], "campaigns"), (["ca", "list"], "CAs"), (["cert", "list", "--paused"], "renewals"), (["crl"], "CRLs"), (["template", "list"], "templates")):
        done = run(controller, *words)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", f"no {what}\n"), done
        for form in ("json", "csv"):
            done = run(controller, *words, "-o", form)
            assert done.returncode == 0 and done.stdout and done.stderr == "", done


def test_whom_a_campaign_waits_for_has_a_name(controller):
    """In a screen that has room for it, and at an end that is none; what just began is no news."""
    slow = {"cert_id": "clara01-web", "agent": "clara01", "state": "ordered", "since": TIME, "seconds": 312.5, "waits_for": "the host's proof that it is served"}
    shown = campaign("processing", 1, 0, 1, slowest=[slow, {**slow, "agent": "clara02", "seconds": 0.2}], requester="alice", selector="everything", kind="bulk")
    controller.rows = {f"campaigns/{ID}": shown}
    out = run(controller, "campaign", "watch", ID, "--once").stdout
    assert "clara01: clara01-web, 00:05:12, the host's proof that it is served" in out and "clara02" not in out, out
    waves = [{"wave": i + 1, "total": 1, "canary": False, "status": "over"} for i in range(9)]
    controller.rows = {f"campaigns/{ID}": {**shown, "waves": waves, "failed_count": 9}, f"campaigns/{ID}/members": {"items": [{"cert_id": "c", "code": "VCC-2001", "error": "e"}] * 4}}
    assert len(run(controller, "campaign", "watch", ID, "--once").stdout.splitlines()) <= 24


# ---- 80 columns ----

CERT = {"cert_id": f"c-{LONG}"[:63], "service": "s" * 32, "agent": "a" * 32, "status": "requested", "served": False, "expires_at": TIME, "renew_at": TIME}
WIDE = [
    (["cert", "list"], {"certificates": {"items": [CERT] * 3, "next_cursor": None}}),
    (["cert", "list"], {"certificates": problem(403, "VCC-3101", LONG * 3)}),
    (["campaign", "list"], {"campaigns": {"items": [{**campaign("completed_with_failures"), "kind": "emergency", "selector": LONG, "created_at": TIME}], "next_cursor": None}}),
    (["drill", "list"], {"drills": {"items": [{"drill_id": ID, "status": "completed", "selector": LONG, "total_certificates": 10000, "tested_count": 10000, "failed_count": 100,
                                               "not_reached_count": 100, "skipped_count": 100, "created_at": TIME}], "next_cursor": None}}),
    (WATCH, {f"campaigns/{ID}": campaign("halted", 1, 1, cause="", failed_renewals=[{"cert_id": "c" * 63, "code": "VCC-2001", "error": "the service was not reloaded " * 5}])}),
    (["cert", "show", "c1"], {"certificates/c1": {**CERT, "fingerprint": "0123456789abcdef" * 4, "serial": "01" * 16, "names": ["DNS:" + "n" * 60, "DNS:b"]}}),
    (["emergency", "plan", "--incident", "I", "--reason", "r", "--type", "exercise", "--all"],
     {"certificates/lifecycle/emergency-recertification": {"matching_certificates": 1, "certificate_list": ["c1"], "plan_hash": "0123456789abcdef" * 4, "plan": {"selector": LONG}}}),
    (["check"], {**WELL, "agents": {"items": [{"name": "a" * 32, "state": "active", "connected": False, "seen_at": TIME}], "next_cursor": None}}),
    (["status"], {"status": {**OK, "status": "not ready", "checks": {**OK["checks"], "store": "failed", "signer": "failed", "crl": "failed", "gateway": "failed"}}}),
    (["notify", "channels"],
     {"notifications/channels": {"items": [{"channel": "mattermost-operations", "kind": "webhook", "level": "critical", "sent": 12345, "failed": 123, "given_up": 12, "sent_at": TIME,
                                            "code": "VCC-3953", "error": "no trustworthy TLS " * 4, "read_at": TIME, "reload_error": "VCC-1201 " + LONG}] * 3, "next_cursor": None}}),
    (["cert", "renew"], {}),
    (["explain", "VCC-3504"], {}),
    (["cert", "cancel", "--help"], {}),
    (["config", "show", "--help"], {}),
    (["cert", "create", "--help"], {}),
]


@pytest.mark.parametrize("words,rows", WIDE, ids=lambda x: "-".join(x[:2]) if isinstance(x, list) else None)
def test_80_columns(controller, words, rows):
    controller.rows = rows
    _, out, err = seated(controller, *words)
    lines = (out + err).replace("\r", "\n").split("\n")
    one_word = [x for x in lines if len(x) > 80 and len(max(x.split(), key=len)) < 80]
    assert out + err and one_word == [], one_word


def test_a_reading_of_channels_that_was_refused_is_told(controller):
    row = {"channel": "c", "kind": "webhook", "level": "info", "sent": 1, "failed": 0, "given_up": 0, "sent_at": None, "code": None, "error": None, "read_at": TIME}
    for error, told in (("VCC-1201 bad.conf:4", True), (None, False)):
        controller.rows = {"notifications/channels": {"items": [{**row, "reload_error": error}] * 2, "next_cursor": None}}
        assert run(controller, "notify", "channels").stdout.count("reload refused: VCC-1201 bad.conf:4") == told
        assert run(controller, "notify", "channels", "-o", "csv").stdout.split("\n")[0].endswith(",read_at,reload_error")


def test_where_a_report_went_fits(controller, folder):
    digest = hashlib.sha256(b"{}").hexdigest()
    row = {"drill_id": ID, "status": "completed", "reported_at": TIME, "report_sha256": digest}
    controller.rows = {f"drills/{ID}": row, f"drills/{ID}/report": {**row, "report": "{}"}}
    code, _, err = seated(controller, "drill", "show", ID, "--export", os.path.join(folder, "r"))
    lines = err.replace("\r", "").split("\n")
    assert code == 0 and digest in lines and max(map(len, lines[1:])) <= 80, lines


def test_what_one_copies_stays_whole(controller):
    """Below its name where there is no room beside it; to a file all stands in one line."""
    mark = "0123456789abcdef" * 4
    controller.rows = {"certificates/c1": {**CERT, "fingerprint": mark}}
    for columns, line in ((80, rf"fingerprint\n {{16}}{mark}\n"), (100, rf"fingerprint +{mark}\n"), (64, rf"fingerprint\n{mark}\n"), (40, rf"fingerprint +{mark}\n")):
        assert re.search(line, seated(controller, "cert", "show", "c1", columns=columns)[1].replace("\r", "")), columns
    assert re.search(rf"^fingerprint +{mark}$", run(controller, "cert", "show", "c1").stdout, re.M)


class Quiet(Answers):
    """A stream of events in which nothing happens: three bytes each fifteen seconds, then one event."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.server.asked += 1
        for _ in range(13):
            time.sleep(15)
            self.wfile.write(b":\n\n")
            self.wfile.flush()
        self.wfile.write(b'id: 7\ndata: {"seq":7,"at":"2020-01-02T03:04:05.000Z","event":"crl_published","actor":"controller","object":"o","reason":"r"}\n\n')


@pytest.mark.skipif(os.environ.get("VCC_LONG") != "1", reason="three minutes of silence")
def test_event_tail_waits_as_long_as_nothing_happens(folder):
    server = socketserver.ThreadingUnixStreamServer(os.path.join(folder, "admin.sock"), Quiet)
    server.daemon_threads, server.asked = True, 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    done = subprocess.run([VCCCTL, "--socket", server.server_address, "event", "tail", "--count", "1"], capture_output=True, text=True, timeout=600)
    server.shutdown()
    server.server_close()
    assert done.returncode == 0 and "crl_published" in done.stdout and server.asked == 1, done
