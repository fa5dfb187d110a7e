"""vccctl report evidence of a campaign that is too large for one pack: are its parts written as files of their own, all of them or an error? The
controller is played; what it puts into a part is tests/unit/test_evidence_pack.c."""
import contextlib
import http.server
import json
import os
import socketserver
import subprocess
import threading
import urllib.parse

import pytest
from installation import ROOT

BINARIES = os.path.abspath(os.environ.get("VCC_BIN", os.path.join(ROOT, "build", "bin")))
CAMPAIGN = "01a21c67-1a91-77ce-b5f2-5e042364636e"


class Unix(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextlib.contextmanager
def controller(folder, parts, broken=0):
    """Has so many parts; one of them cannot be made."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def address_string(self):
            return "vccctl"

        def log_message(self, *args):
            pass

        def answer(self, status, body):
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if status == 200 else "application/problem+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self):
            asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            assert asked["campaign"] == [CAMPAIGN]
            part = int(asked.get("part", ["0"])[0])
            if part == 0:
                self.answer(409, {"code": "VCC-3985", "object": CAMPAIGN, "detail": "more than 2000 certificates"})
            elif part == broken:
                self.answer(503, {"code": "VCC-1500", "object": "store", "detail": "it cannot be read now"})
            elif part > parts:
                self.answer(404, {"code": "VCC-3983", "object": CAMPAIGN, "detail": f"there is no part {part} of it"})
            else:
                self.answer(200, {"vcc_evidence": 1, "part": part})
    path = os.path.join(folder, "admin.sock")
    with Unix(path, Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield path
        server.shutdown()


def ask(sock, *words):
    return subprocess.run([os.path.join(BINARIES, "vccctl"), "--socket", sock, "report", "evidence", "--campaign", CAMPAIGN, *words], capture_output=True, text=True,
                          timeout=60)


@pytest.mark.parametrize("parts", [1, 3])
def test_every_part_is_a_file(folder, parts):
    file = os.path.join(folder, "pack.json")
    with controller(folder, parts) as sock:
        done = ask(sock, "--file", file)
    assert done.returncode == 0 and f"{parts} parts" in done.stderr, done
    assert sorted(n for n in os.listdir(folder) if n.startswith("pack")) == [f"pack.json.{n}" for n in range(1, parts + 1)]
    assert [json.load(open(f"{file}.{n}"))["part"] for n in range(1, parts + 1)] == list(range(1, parts + 1))


def test_a_part_that_fails_is_an_error(folder):
    file = os.path.join(folder, "pack.json")
    with controller(folder, 3, broken=2) as sock:
        done = ask(sock, "--file", file)
    assert done.returncode != 0 and "VCC-1500" in done.stderr and "parts" not in done.stderr, done
    assert [n for n in os.listdir(folder) if n.startswith("pack")] == ["pack.json.1"]


def test_a_file_that_is_there_stays(folder):
    file = os.path.join(folder, "pack.json")
    with open(file + ".2", "w") as f:
        f.write("mine")
    with controller(folder, 3) as sock:
        done = ask(sock, "--file", file)
    assert done.returncode != 0 and "pack.json.2" in done.stderr and open(file + ".2").read() == "mine", done


def test_standard_output_is_never_half_of_it(folder):
    with controller(folder, 3) as sock:
        done = ask(sock)
    assert done.returncode != 0 and done.stdout == "" and "VCC-3985" in done.stderr, done
