"""vccctl report evidence --since WHEN -o FILE.zip: is everything that the trail of the period names in it, or named as left out; is it written whole or
not at all, and the same each time; do both programs refuse it when a byte of it is another? The controller is played; tests/system/test_report.py has a real one."""
import contextlib
import hashlib
import http.server
import json
import os
import subprocess
import threading
import time
import urllib.parse
import zipfile

import pytest
from installation import ROOT
from test_evidence_bound import Trail
from test_evidence_parts import BINARIES, CAMPAIGN, Unix

LONG = os.environ.get("VCC_LONG") == "1"
# what makes a certificate or a campaign part of a period, as docs/operations.md says it
TABLE = {"certificate_requested", "certificate_issued", "certificate_renewal_completed", "certificate_renewal_failed", "certificate_renewal_paused", "certificate_renewal_rolled_back",
         "certificate_revoked", "certificate_suspended", "certificate_resumed", "campaign_started", "emergency_recertification_started", "drill_started"}
EVENTS = {"certificate_issued": ["zeta", "clara01-web", "large"], "certificate_revoked": ["clara01-web", "a-host"], "campaign_started": [CAMPAIGN]}


class Played:
    """Has a trail, a report, packs for some, and none for others."""

    def __init__(self, folder):
        self.sock, self.asked = os.path.join(folder, "admin.sock"), []
        self.packs = {"zeta": b'{"vcc_evidence":1,"of":"zeta"}', "clara01-web": b'{"vcc_evidence":1,"of":"clara"}'}
        self.refusals = {"large": (422, "VCC-3985"), "a-host": (404, "VCC-3983")}
        self.unsigned = {}  # name: so often there is no head yet
        self.at, self.parts, self.truncate = 1750000000000, 2, None
        self.bad_parts = {}  # number: (status, code)
        self.events, self.page = EVENTS, 2

    def answer(self, path, asked):
        """(status, body)"""
        if path == "/api/v1/audit":
            names = self.events.get(asked["event"][0], [])
            at = int(asked.get("cursor", ["0"])[0])
            items = [{"object": name, "at_ms": self.at} for name in names[at:at + self.page]]
            return 200, {"items": items, "next_cursor": str(at + self.page) if at + self.page < len(names) else None}
        if path.endswith("/compliance"):
            return 200, {"from": asked["from"][0], "to": asked["to"][0]}
        if "campaign" in asked:
            part = int(asked.get("part", ["0"])[0])
            if part == 0:
                return 422, {"code": "VCC-3985", "object": "x", "detail": "large"}
            if part in self.bad_parts:
                status, code = self.bad_parts[part]
                return status, {"code": code, "object": "x", "detail": "cannot be"}
            return (200, {"vcc_evidence": 1, "part": part}) if part <= self.parts else (404, {"code": "VCC-3983", "object": "x", "detail": "no such part"})
        name = asked["certificate"][0]
        if self.unsigned.get(name, 0) > 0:
            self.unsigned[name] -= 1
            return 503, {"code": "VCC-3984", "object": name, "detail": "no head"}
        if name in self.refusals:
            return self.refusals[name][0], {"code": self.refusals[name][1], "object": name, "detail": "cannot be"}
        return 200, self.packs[name]

    @contextlib.contextmanager
    def running(self):
        played = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def address_string(self):
                return "vccctl"

            def log_message(self, *args):
                pass

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                played.asked.append(self.path)
                asked = urllib.parse.parse_qs(url.query)
                status, body = played.answer(url.path, asked)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if status == 200 else "application/problem+json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[:10] if played.truncate and played.truncate in asked.get("certificate", []) else data)
        with Unix(self.sock, Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield self
            server.shutdown()

    def ask(self, *words, seconds=120):
        return subprocess.run([os.path.join(BINARIES, "vccctl"), "--socket", self.sock, "report", "evidence", *words], capture_output=True, text=True, timeout=seconds)


@pytest.fixture
def played(folder):
    with Played(folder).running() as p:
        yield p


PERIOD = ("--since", "2025-06-01", "--until", "2025-07-01T00:00:00Z")


def test_all_of_a_period_or_the_reason_why_not(folder, played):
    played.unsigned["zeta"] = 1
    file = os.path.join(folder, "q3.zip")
    done = played.ask("--since", "-18000d", "-o", file)
    assert done.returncode == 6 and "large: left out" in done.stderr and "6 files" not in done.stderr, done
    with zipfile.ZipFile(file) as z:
        assert z.testzip() is None
        names = [f"campaigns/{CAMPAIGN}.0000{n}.json" for n in (1, 2)] + ["certificates/clara01-web.json", "certificates/zeta.json"]
        assert z.namelist() == [*names, "report.json", "README.txt", "index.json"]
        assert {i.date_time for i in z.infolist()} == {(1980, 1, 1, 0, 0, 0)} and {i.external_attr >> 16 for i in z.infolist()} == {0o100644}
        index = json.loads(z.read("index.json"))
        assert [f["path"] for f in index["files"]] == [*names, "report.json"] and [f.get("part") for f in index["files"]][:3] == [1, 2, None]
        for f in index["files"]:
            data = z.read(f["path"])
            assert (len(data), hashlib.sha256(data).hexdigest()) == (f["bytes"], f["sha256"])
        assert [(x["id"], x["code"]) for x in index["left_out"]] == [("large", "VCC-3985")]
        assert z.read("certificates/zeta.json") == played.packs["zeta"] and b"audit verify" in z.read("README.txt")
    assert os.listdir(folder).count("q3.zip") == 1 and not [n for n in os.listdir(folder) if n.startswith("q3.zip.")]
    assert any("since=" in a and "event=certificate_issued" in a and "cursor=2" in a for a in played.asked)
    assert {e for a in played.asked for e in urllib.parse.parse_qs(urllib.parse.urlsplit(a).query).get("event", [])} == TABLE


def test_a_part_that_cannot_be_had_is_named(folder, played):
    """One that is too large, and the next ones are there; one without a head, and nobody knows how many follow."""
    played.parts, played.bad_parts = 4, {2: (422, "VCC-3985")}
    file = os.path.join(folder, "q.zip")
    done = played.ask(*PERIOD, "-o", file)
    assert done.returncode == 6 and f"{CAMPAIGN}: left out" in done.stderr and "part 2" in done.stderr, done
    with zipfile.ZipFile(file) as z:
        index = json.loads(z.read("index.json"))
        assert [f["part"] for f in index["files"] if f["kind"] == "campaign"] == [1, 3, 4] and "certificates/zeta.json" in z.namelist()
        assert [(x["kind"], x["id"], x["code"], x.get("part")) for x in index["left_out"]] == [("campaign", CAMPAIGN, "VCC-3985", 2), ("certificate", "large", "VCC-3985", None)]
    played.bad_parts = {1: (404, "VCC-3983")}
    done = played.ask(*PERIOD, "-o", os.path.join(folder, "r.zip"))
    assert done.returncode == 6, done
    with zipfile.ZipFile(os.path.join(folder, "r.zip")) as z:
        first = json.loads(z.read("index.json"))["left_out"][0]
        assert (first["kind"], first["id"], first["code"], first.get("from_part"), first.get("part")) == ("campaign", CAMPAIGN, "VCC-3983", 1, None)
    played.bad_parts = {2: (403, "VCC-3103")}
    assert played.ask(*PERIOD, "-o", os.path.join(folder, "s.zip")).returncode == 4 and not os.path.exists(os.path.join(folder, "s.zip")), "what is no matter of one part ends it"


def test_the_mode_is_that_of_any_file(folder, played):
    for mask, mode in ((0o077, 0o600), (0o027, 0o640), (0o002, 0o664)):
        file, before = os.path.join(folder, f"{mask:o}.zip"), os.umask(mask)
        try:
            done = played.ask(*PERIOD, "-o", file)
        finally:
            os.umask(before)
        assert done.returncode == 6 and os.stat(file).st_mode & 0o777 == mode, (oct(mask), done)


def test_the_same_packs_give_the_same_bytes(folder, played):
    del played.refusals["large"]
    played.packs["large"] = b'{"vcc_evidence":1}' + b" " * 300000
    files = [os.path.join(folder, n) for n in ("a.zip", "b.zip")]
    for file, zone in zip(files, ("UTC", "Asia/Tokyo")):
        os.environ["TZ"] = zone
        try:
            done = played.ask(*PERIOD, "--file", file)
        finally:
            del os.environ["TZ"]
        assert done.returncode == 0, done
        time.sleep(2.1)  # an archive's clock counts every other second
    a, b = (open(f, "rb").read() for f in files)
    assert a == b and len(a) < 20000
    with zipfile.ZipFile(files[0]) as z:
        index = json.loads(z.read("index.json"))
        assert (index["since"], index["until"]) == ("2025-06-01T00:00:00Z", "2025-07-01T00:00:00Z")


def test_what_happened_later_is_of_another_period(folder, played):
    played.at = 1760000000000
    file = os.path.join(folder, "q.zip")
    assert played.ask(*PERIOD, "-o", file).returncode == 0
    with zipfile.ZipFile(file) as z:
        assert z.namelist() == ["report.json", "README.txt", "index.json"]


def test_whole_or_not_at_all(folder, played):
    file = os.path.join(folder, "q.zip")
    played.truncate = "zeta"
    done = played.ask(*PERIOD, "-o", file)
    assert done.returncode not in (0, 6) and os.listdir(folder) == ["admin.sock"], (done, os.listdir(folder))
    played.truncate = None
    played.refusals["zeta"] = (403, "VCC-3103")
    done = played.ask(*PERIOD, "-o", file)
    assert done.returncode == 4 and os.listdir(folder) == ["admin.sock"], done
    with open(file, "w") as f:
        f.write("mine")
    del played.refusals["zeta"]
    done = played.ask(*PERIOD, "-o", file)
    assert done.returncode == 1 and open(file).read() == "mine" and sorted(os.listdir(folder)) == ["admin.sock", "q.zip"], done
    assert played.ask(*PERIOD, "-o", os.path.join(folder, "none", "q.zip")).returncode == 1


@pytest.mark.skipif(not LONG, reason="two minutes")
def test_all_packs_together_wait_for_a_head(folder, played):
    played.unsigned = {"zeta": 10 ** 6, "clara01-web": 10 ** 6}
    file, begun = os.path.join(folder, "q.zip"), time.monotonic()
    done = played.ask(*PERIOD, "-o", file, seconds=300)
    assert done.returncode == 6 and 100 < time.monotonic() - begun < 180, done
    with zipfile.ZipFile(file) as z:
        assert {(x["id"], x["code"]) for x in json.loads(z.read("index.json"))["left_out"]} == {("large", "VCC-3985"), ("clara01-web", "VCC-3984"), ("zeta", "VCC-3984")}


@pytest.mark.skipif(not LONG, reason="20,000 packs")
def test_as_many_packs_as_there_may_be_and_the_report(folder, played):
    names = [f"c{n:05}" for n in range(20001)]
    played.page, played.packs, file = 500, dict.fromkeys(names, b"{}"), os.path.join(folder, "q.zip")
    played.events = {"certificate_issued": names}
    done = played.ask(*PERIOD, "-o", file)
    assert done.returncode == 1 and "VCC-3985" in done.stderr and not [a for a in played.asked if "certificate=" in a], "refused before anything is fetched"
    played.events = {"certificate_issued": names[:20000]}
    done = played.ask(*PERIOD, "-o", file, seconds=600)
    assert done.returncode == 0, done
    with zipfile.ZipFile(file) as z:
        assert len(json.loads(z.read("index.json"))["files"]) == 20001 and "report.json" in z.namelist()


@pytest.mark.parametrize("words", [("--since", "-90d"), ("--since", "-90d", "-o", "json"), ("--since", "soon", "-o", "q.zip"), ("-o", "q.zip"), ("--since", "-1d", "--campaign", CAMPAIGN, "-o", "q.zip"),
                                   ("--since", "2025-02-30", "-o", "q.zip"), ("--since", "2025-07-01", "--until", "2025-06-01", "-o", "q.zip"), ("--until", "1d", "-o", "q.zip"),
                                   ("--since", "--90d", "-o", "q.zip"), ("--certificate", "x", "-o", "q.pdf")])
def test_what_is_not_understood(folder, played, words):
    done = played.ask(*words)
    assert done.returncode == 2 and not played.asked, done


# ---- verifying ----

def judged(path, root):
    """Exit codes of the two programs, and what they say."""
    ours = subprocess.run([os.path.join(BINARIES, "vccctl"), "--socket", "/nonexistent", "audit", "verify", path, "--root", root, "-o", "json"], capture_output=True, text=True, timeout=60)
    other = subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "docs", "verify_evidence.py"), path, root], capture_output=True, text=True, timeout=60)
    return (ours.returncode, other.returncode), ours.stdout + ours.stderr + other.stdout + other.stderr


@pytest.fixture
def archive(folder):
    """A real pack in an archive that vccctl made: (its path, its root)."""
    trail = Trail(folder)
    sub = os.path.join(folder, "played")
    os.mkdir(sub)
    with Played(sub).running() as p:
        fingerprint = hashlib.sha256(trail.certificate).hexdigest()
        p.packs["clara01-web"] = json.dumps(trail.pack(trail.certificate, fingerprint=fingerprint)).encode()
        done = p.ask("--certificate", "clara01-web", "-o", os.path.join(folder, "one.zip"))
        assert done.returncode == 0, done
    return os.path.join(folder, "one.zip"), os.path.join(folder, "ca.pem")


def rewrite(path, change):
    """The archive made anew, with {name: bytes} as `change` leaves them; a list of pairs may hold a name twice."""
    with zipfile.ZipFile(path) as z:
        parts = {n: z.read(n) for n in z.namelist()}
    parts = change(parts) or parts
    to = path + ".changed.zip"
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in parts.items() if isinstance(parts, dict) else parts:
            z.writestr(name, data)
    return to


def test_an_archive_is_proved_part_by_part(archive):
    path, root = archive
    codes, said = judged(path, root)
    assert codes == (0, 0) and '"packs": 1' in said and "verified" in said, said


PACK = "certificates/clara01-web.json"


REPORT = {"path": "report.json", "kind": "report", "bytes": 0, "sha256": ""}


def with_report(data, **row):
    """The archive of one certificate has none: one is put into it, and the list made to fit."""
    def change(parts):
        index = json.loads(parts["index.json"])
        index["files"].append({**REPORT, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), **row})
        parts["index.json"] = json.dumps(index).encode()
        parts[index["files"][-1]["path"]] = data
    return change


def forged_as_report(parts):
    """A pack that nobody signed, under the name of a pack, which the list calls the report."""
    bad_pack(parts)
    index_with(kind="report")(parts)


def index_with(**row):
    def change(parts):
        index = json.loads(parts["index.json"])
        index["files"][0].update(row)
        parts["index.json"] = json.dumps(index).encode()
    return change


def bad_pack(parts):
    """Changed, and the list made to fit: what signs the pack does not."""
    parts[PACK] = parts[PACK].replace(b'"clara01-web"', b'"clara02-web"')
    index_with(sha256=hashlib.sha256(parts[PACK]).hexdigest(), bytes=len(parts[PACK]))(parts)


def bomb(parts):
    parts[PACK] = b" " * (129 << 20)
    index_with(sha256=hashlib.sha256(parts[PACK]).hexdigest(), bytes=len(parts[PACK]))(parts)


@pytest.mark.parametrize("name,change", [
    ("another byte", lambda p: p.update({PACK: p[PACK] + b" "})), ("another pack", bad_pack), ("another hash", index_with(sha256="0" * 64)), ("another size", index_with(bytes=1)),
    ("another name of it", index_with(id="clara02-web")), ("another kind", index_with(kind="campaign")), ("a part", index_with(part=1)), ("no such file", index_with(path="x")),
    ("no list", lambda p: p.pop("index.json") and None), ("no README", lambda p: p.pop("README.txt") and None), ("a file beside it", lambda p: p.update({"note.txt": b"x"})),
    ("a name twice", lambda p: [*p.items(), (PACK, b"{}")]), ("a list that is none", lambda p: p.update({"index.json": b"[1]"})),
    ("a forged pack that is called the report", forged_as_report), ("a pack that is called the report", index_with(kind="report")), ("a kind that there is not", index_with(kind="note")),
    ("no kind", index_with(kind=None)), ("a report under another name", with_report(b"{}", path="certificates/x.json")), ("a second report", with_report(b"{}", path="./report.json")),
    ("a report that is called a pack", with_report(b"{}", kind="certificate", id="clara01-web")), ("another README", lambda p: p.update({"README.txt": p["README.txt"] + b"\n"})),
    ("a README of somebody else", lambda p: p.update({"README.txt": b"Verified already: nothing to do."})), ("an empty README", lambda p: p.update({"README.txt": b""})),
    ("a list with a member twice", lambda p: p.update({"index.json": b'{"vcc_evidence_archive":1,"vcc_evidence_archive":1,"files":[],"left_out":[]}'})), ("a bomb", bomb)])
def test_whatever_is_changed_is_seen(archive, name, change):
    path, root = archive
    codes, said = judged(rewrite(path, change), root)
    assert codes == (1, 1) and "Traceback" not in said, (name, codes, said[:2000])


def test_what_was_left_out_is_said(archive):
    path, root = archive

    def change(parts):
        index = json.loads(parts["index.json"])
        index["left_out"].append({"kind": "certificate", "id": "x", "code": "VCC-3985", "reason": "too much"})
        parts["index.json"] = json.dumps(index).encode()
    codes, said = judged(rewrite(path, change), root)
    assert codes == (6, 6) and "left out" in said, said


def test_the_report_is_signed_by_nobody(archive):
    """Whoever has the archive can put another report into it: nobody is told that it was proved."""
    path, root = archive
    assert '"signed_by_nobody": []' in judged(path, root)[1] and "signed by nobody" not in judged(path, root)[1]
    for data in (b'{"statement":"as it was"}', b'{"statement":"all is well"}'):
        to = rewrite(path, with_report(data))
        codes, said = judged(to, root)
        assert codes == (0, 0) and "report.json: signed by nobody" in said and json.loads(said[:said.rindex("}") + 1])["signed_by_nobody"] == ["report.json"], said
        table = subprocess.run([os.path.join(BINARIES, "vccctl"), "--socket", "/nonexistent", "audit", "verify", to, "--root", root], capture_output=True, text=True, timeout=60)
        assert table.returncode == 0 and "report.json: signed by nobody" in table.stdout, table


def test_a_damaged_archive(archive):
    path, root = archive
    with open(path, "rb") as f:
        data = f.read()
    for at in (60, len(data) // 2, len(data) - 60, len(data) - 10):
        for damaged in (data[:at], data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1:]):
            with open(path + ".x", "wb") as f:
                f.write(damaged)
            (ours, _), said = judged(path + ".x", root)
            assert ours in (0, 1) and "Traceback" not in said, said
            if ours == 0:  # a byte that says nothing: a field that a reader passes over
                assert len(damaged) == len(data)


def test_what_cannot_be_read_is_not_called_changed(archive, folder):
    path, root = archive
    nothing = os.path.join(folder, "no-root.pem")
    with open(nothing, "w") as f:
        f.write("no certificate\n")
    missing = os.path.join(folder, "missing")
    for file, by, named in ((missing + ".zip", root, missing), (missing + ".json", root, missing), (folder, root, folder), (path, missing, missing), (path, nothing, nothing)):
        codes, said = judged(file, by)
        assert codes == (2, 2) and said.count(named) >= 2 and "VCC-1006" not in said and "not what the installation signed" not in said and "Traceback" not in said, said
