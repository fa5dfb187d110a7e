"""Sessions of browsers, asked as a browser asks: what opens one, what it may do, what another page may do with it (nothing), what ends it. And the
dashboard's files with their headers. (T16, T17)"""
import gzip
import http.client
import json
import os
import re
import shutil
import ssl

import pytest
from conftest import new_folder
from installation import wait_for
from rights_estate import Estate

CONTENT = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


@pytest.fixture(scope="module")
def estate():
    folder = new_folder("websession")
    e = Estate(folder)
    try:
        e.add_hosts()
        yield e
    finally:
        e.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Client:
    """Says of itself what a page of the dashboard says; `other` replaces or, by None, leaves out a header."""

    def __init__(self, estate, certificate=None):
        self.host = estate.inst.admin_url.split("//")[1]
        self.context = ssl.create_default_context(cafile=os.path.join(estate.inst.state, "ca.pem"))
        if certificate:
            self.context.load_cert_chain(*certificate)
        self.cookie = self.header = None

    def raw(self, method, path, body=None, **other):
        sent = {"Host": self.host, "Sec-Fetch-Site": "same-origin", "Content-Type": None if body is None else "application/json"}
        if method != "GET":
            sent["Origin"] = f"https://{self.host}"
        if self.cookie:
            sent["Cookie"] = f"other=1; __Host-vcc={self.cookie}; more=x"
        if self.header:
            sent["X-Vcc-Session"] = self.header
        sent.update({name.replace("_", "-"): value for name, value in other.items()})
        connection = http.client.HTTPSConnection(self.host, context=self.context, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            data = None if body is None else json.dumps(body).encode()
            for name, value in {**sent, "Content-Length": str(len(data)) if data is not None else "0" if method != "GET" else None}.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(data)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def __call__(self, method, path, body=None, **other):
        status, _, text = self.raw(method, "/api/v1/" + path, body, **other)
        return status, json.loads(text) if text else None

    def login(self, token=None):
        status, headers, text = self.raw("POST", "/api/v1/session", {}, **({"Authorization": f"Bearer {token}"} if token else {}))
        assert status == 201, text
        name, self.cookie, kept = re.fullmatch(r"([^=]+)=([\w-]{43}); (.*)", headers["Set-Cookie"]).groups()
        assert name == "__Host-vcc" and kept == "Max-Age=28800; Path=/; Secure; HttpOnly; SameSite=Strict"
        assert self.cookie not in text.decode() and json.loads(text)["header_token"] is None
        status, session = self("GET", "session")
        assert status == 200, session
        self.header = session["header_token"]
        return self


def code(answer, status, number):
    assert (answer[0], answer[1]["code"]) == (status, f"VCC-{number}"), answer
    return answer[1]


# ---- files ----

def test_the_page_and_what_it_names(estate):
    client = Client(estate)
    status, headers, text = client.raw("GET", "/")
    page = gzip.decompress(text).decode()
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8" and headers["Cache-Control"] == "no-cache"
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(named) == 4 and all(re.fullmatch(r"/w/[0-9a-f]{16}/[\w.]+\.(js|css|svg)", n) for n in named), named
    assert "<style" not in page and not re.search(r"<script(?![^>]* src=)|\son\w+=|style=", page), "nothing inline"
    for path in ["/", *named]:
        status, headers, text = client.raw("GET", path)
        assert status == 200 and headers["Content-Encoding"] == "gzip" and gzip.decompress(text), path
        assert headers["Content-Security-Policy"] == CONTENT and headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer" and headers["X-Frame-Options"] == "DENY" and headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "immutable" in headers["Cache-Control"] or path == "/"
        assert client.raw("HEAD", path)[::2] == (200, b"")
    status, headers, text = client.raw("GET", "/", If_None_Match=client.raw("GET", "/")[1]["ETag"])
    assert status == 304 and text == b""


def test_every_module_is_there(estate):
    client = Client(estate)
    page = gzip.decompress(client.raw("GET", "/")[2]).decode()
    seen, todo, size = set(), set(re.findall(r'"(/w/[^"]+)"', page)), 0
    while todo:
        path = todo.pop()
        seen.add(path)
        status, _, text = client.raw("GET", path)
        assert status == 200, path
        size += len(text)
        if path.endswith(".js"):
            todo |= {path.rsplit("/", 1)[0] + "/" + name for name in re.findall(r"from '\./([\w.]+)'", gzip.decompress(text).decode())} - seen
    assert len(seen) > 20 and size < 200 * 1024


def test_what_is_no_file_of_ours(estate):
    client = Client(estate)
    for path in ("/w/", "/w/x", "/w/0000000000000000/main.js", "/w/../w/main.js", "/w/%2e%2e/%2e%2e/etc/passwd", "/index.html", "/w/" + "a" * 300):
        assert client.raw("GET", path)[0] in (401, 404), path
    for method in ("POST", "PUT", "DELETE"):
        assert client.raw(method, "/", {})[0] == 405
    assert client.raw("GET", "/", Host="evil.example")[0] == 403
    assert client.raw("GET", "/", Host="localhost:1")[0] == 200


def test_an_answer_of_the_api_is_no_page(estate):
    headers = Client(estate).raw("GET", "/healthz")[1]
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin" and "Access-Control-Allow-Origin" not in headers


# ---- what a session may do ----

def test_it_has_the_rights_of_its_token(estate):
    client = Client(estate).login(estate.tokens["admin"])
    me = client("GET", "whoami")[1]
    assert me["principal"] == "admin" and me["by"] == "token"
    assert client("GET", "certificates")[0] == 200
    viewer = Client(estate).login(estate.principal("watcher", ["viewer"], ["clara"]))
    code(viewer("GET", "audit"), 403, 3101)
    code(viewer("POST", "certificates/lifecycle/renew/" + estate.own.cert_id, {}), 403, 3101)
    assert {c["service"] for c in viewer("GET", "certificates")[1]["items"]} == {"clara"}
    status, body = client("POST", "certificates/lifecycle/renew/" + estate.own.cert_id, {"force": True})
    assert status == 202, body
    wait_for("it is renewed", lambda: client("GET", f"renewals/{body['renewal_id']}")[1]["status"] == "completed")


def test_who_tries_without(estate):
    client = Client(estate)
    code(client("GET", "whoami"), 401, 3100)
    for cookie in ("", "A" * 43, "A" * 500, "__Host-vcc"):
        client.cookie = cookie or None
        assert client("GET", "whoami")[0] == 401, cookie
    code(Client(estate)("POST", "session", {}), 401, 3100)
    code(Client(estate)("POST", "session", {}, Authorization="Bearer vcc_pat_short"), 401, 3100)
    code(Client(estate)("POST", "session/logout", {}, Authorization=f"Bearer {estate.tokens['admin']}"), 409, 3169)
    code(Client(estate)("POST", "session/confirm", {}, Authorization=f"Bearer {estate.tokens['admin']}"), 409, 3169)
    assert Client(estate)("GET", "session", Authorization=f"Bearer {estate.tokens['admin']}")[1]["principal"] is None


# ---- what another page may do with it ----

HOSTILE = [
    ({"Sec-Fetch-Site": "cross-site"}, 3166), ({"Sec-Fetch-Site": "same-site"}, 3166), ({"Origin": "https://evil.example"}, 3166), ({"Origin": "null", "Sec-Fetch-Site": None}, 3166),
    ({"Origin": None, "Sec-Fetch-Site": None}, 3166), ({"Host": "evil.example", "Origin": "https://evil.example"}, 3170), ({"X-Vcc-Session": None}, 3167), ({"X-Vcc-Session": "A" * 43}, 3167),
    ({"Origin": None, "Sec-Fetch-Site": "none"}, 3166),
]


@pytest.mark.parametrize("other, number", HOSTILE, ids=lambda v: str(v))
def test_a_page_of_another_origin_changes_nothing(estate, other, number):
    client = Client(estate).login(estate.tokens["admin"])
    before = estate.admin.get("audit?limit=1")["items"][0]["seq"]
    headers = {k.replace("-", "_"): v for k, v in other.items()}
    for path in ("certificates/lifecycle/renew/" + estate.own.cert_id, "agents/nobody/evict", "tokens", "session/logout"):
        answer = client("POST", path, {}, **headers)
        assert answer[0] == 403 and answer[1]["code"] in (f"VCC-{number}",), (path, answer)
    assert not [r for r in estate.admin.get("audit?limit=50")["items"] if r["seq"] > before and r["actor"] == "admin"]
    assert client("GET", "whoami")[0] == 200, "the session itself is as it was"


def test_another_page_reads_nothing_and_opens_no_stream(estate):
    client = Client(estate).login(estate.tokens["admin"])
    for site in ("cross-site", "same-site"):
        for path in ("whoami", "session", "events"):
            code(client("GET", path, Sec_Fetch_Site=site), 403, 3166)


def test_a_form_of_another_page_is_no_login(estate):
    """Neither by a certificate that the browser shows unasked nor by anything else: nobody works under a stranger's name without knowing."""
    for other in ({"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://evil.example"}):
        status, headers, text = Client(estate).raw("POST", "/api/v1/session", {}, Authorization=f"Bearer {estate.tokens['admin']}", **other)
        assert status == 403 and json.loads(text)["code"] == "VCC-3166" and "Set-Cookie" not in headers


# ---- proving it again ----

def test_some_things_need_a_fresh_proof(estate):
    client = Client(estate).login(estate.tokens["admin"])
    for path, body in (("tokens", {"ttl": "1h"}), ("principals", {"name": "x", "roles": ["viewer"]}), ("ca/code-signing-1/rollover", {}),
                       ("certificates/lifecycle/emergency-recertification", {"certificate_ids": ["nobody"], "incident_id": "I", "reason": "r"})):
        code(client("POST", path, body), 403, 3168)
    code(client("POST", "session/confirm", {}), 403, 3171)
    code(client("POST", "session/confirm", {}, Authorization=f"Bearer {estate.tokens['approver']}"), 403, 3171)
    assert client("POST", "session/confirm", {}, Authorization="Bearer vcc_pat_wrong")[0] == 401
    code(client("POST", "session/confirm", {}, Authorization=f"Bearer {estate.tokens['admin']}", X_Vcc_Session=None), 403, 3167)
    code(client("POST", "tokens", {"ttl": "1h"}), 403, 3168)
    status, session = client("POST", "session/confirm", {}, Authorization=f"Bearer {estate.tokens['admin']}")
    assert status == 200 and session["confirmed_until"]
    assert client("POST", "tokens", {"ttl": "1h", "label": "proved"})[0] == 201
    other = Client(estate).login(estate.tokens["admin"])
    code(other("POST", "tokens", {"ttl": "1h"}), 403, 3168)


def test_an_approval_needs_it(estate):
    waiting = estate.admin("POST", "/api/v1/principals", {"name": "second", "roles": ["approver"], "person": "eva"})[1]
    client = Client(estate).login(estate.tokens["approver"])
    path, body = f"approvals/{waiting['approval_id']}/reject", {"hash": waiting["approval"]["hash"], "comment": "a test"}
    code(client("POST", path, body), 403, 3168)
    assert client("POST", "session/confirm", {}, Authorization=f"Bearer {estate.tokens['approver']}")[0] == 200
    assert client("POST", path, body)[0] == 200


def test_an_emergency_needs_it_whatever_its_route(estate):
    """The routes of a renewal, of a bulk renewal and of a campaign ask for less than an emergency does: for one they ask for the proof, too."""
    life, own = "certificates/lifecycle/", estate.own.cert_id
    client = Client(estate).login(estate.tokens["admin"])
    bulk = {"service_pattern": f"{own}.clara.vcc.internal", "trigger": "emergency"}
    before = estate.admin.get("campaigns?limit=1")["items"]
    for body in (bulk, {**bulk, "dry_run": True}):
        code(client("POST", life + "bulk-renewal", body, Idempotency_Key="proof-1"), 403, 3168)
    code(client("POST", life + "renew/" + own, {"trigger": "emergency", "force": True}), 403, 3168)
    assert client("POST", life + "bulk-renewal", {"dry_run": True})[0] == 200, "what is none is planned as before"
    assert estate.admin.get("campaigns?limit=1")["items"] == before
    wait_for("no order is open", lambda: not estate.inst.certificate(own)["open_order"])
    estate.own.processes["agent"].stop()  # nothing of it can end
    try:
        status, begun = estate.admin("POST", "/api/v1/" + life + "bulk-renewal", bulk)
        assert status == 202, begun
        campaign = f"campaigns/{begun['campaign_id']}/"
        order = wait_for("it is ordered", lambda: estate.inst.certificate(own)["open_order"])
        for path in (campaign + "halt", campaign + "resume", campaign + "rollback", campaign + "cancel", f"renewals/{order}/cancel"):
            code(client("POST", path, {}), 403, 3168)
        assert estate.admin.get(campaign[:-1])["status"] == "processing"
        assert client("POST", "session/confirm", {}, Authorization=f"Bearer {estate.tokens['admin']}")[0] == 200
        code(client("POST", campaign + "halt", {}), 409, 3603)  # all of it was sent: judged by what it is, not by who asks
        assert client("POST", f"renewals/{order}/cancel", {})[1]["status"] == "cancelled"
    finally:
        estate.own.processes["agent"].start()
    assert client("POST", life + "bulk-renewal", {**bulk, "dry_run": True}, Idempotency_Key="proof-1")[0] == 200, "the refusal was not kept for the key"


# ---- its end ----

def test_what_ends_it_ends_it_at_once(estate):
    made = estate.admin("POST", "/api/v1/tokens", {"ttl": "1h", "label": "to be revoked"})[1]
    client = Client(estate).login(made["token"])
    assert client("GET", "whoami")[0] == 200
    assert estate.admin("POST", f"/api/v1/tokens/{made['token_id']}/revoke")[0] == 200
    code(client("GET", "whoami"), 401, 3165)
    client = Client(estate).login(estate.tokens["admin"])
    status, headers, _ = client.raw("POST", "/api/v1/session/logout", {})
    assert status == 200 and headers["Set-Cookie"].startswith("__Host-vcc=; Max-Age=0;")
    code(client("GET", "whoami"), 401, 3165)
    code(client("POST", "agents/nobody/evict", {}), 401, 3165)


def test_a_disabled_principal_has_no_session(estate):
    client = Client(estate).login(estate.principal("leaver", ["operator"]))
    assert client("GET", "whoami")[0] == 200
    assert estate.admin("POST", "/api/v1/principals/leaver", {"disabled": True})[0] == 200
    code(client("GET", "whoami"), 401, 3165)


class Stream:
    """The events of somebody who listens, until it ends."""

    def __init__(self, client, token=None):
        self.connection = http.client.HTTPSConnection(client.host, context=client.context, timeout=60)
        headers = {"Authorization": f"Bearer {token}"} if token else {"Cookie": f"__Host-vcc={client.cookie}", "Sec-Fetch-Site": "same-origin"}
        self.connection.request("GET", "/api/v1/events", headers=headers)
        self.answer, self.said = self.connection.getresponse(), b""
        assert self.answer.status == 200

    def over(self):
        piece = self.answer.read1(65536)
        self.said += piece
        return not piece

    def hears(self, word):
        wait_for(f"the stream says {word}", lambda: word.encode() in self.said or (self.over() and False), 60, 0)

    def ends(self):
        wait_for("the stream ends", self.over, 60, 0)  # by itself it would in ten minutes
        self.connection.close()
        return self.said.decode()


def test_a_stream_ends_with_what_it_was_opened_by(estate):
    """Logged out, revoked, disabled, narrowed: nothing more is heard, also not the record of that."""
    admin = Client(estate)
    made = estate.admin("POST", "/api/v1/tokens", {"ttl": "1h", "label": "to listen"})[1]
    left = estate.principal("leaving", ["auditor"])
    narrow = estate.principal("narrowed", ["auditor"])
    client = Client(estate).login(estate.tokens["admin"])
    other = Client(estate).login(estate.tokens["admin"])
    streams = {"session": Stream(client), "other": Stream(other), "token": Stream(admin, made["token"]), "left": Stream(admin, left), "narrow": Stream(admin, narrow)}
    for stream in streams.values():
        stream.hears(":")  # it listens from now on
    assert estate.admin("POST", "/api/v1/principals", {"name": "told-of", "roles": ["viewer"]})[0] == 201
    for stream in streams.values():
        stream.hears("told-of")
    assert client("POST", "session/logout", {})[0] == 200
    assert "session_ended" not in streams["session"].ends()
    assert estate.admin("POST", f"/api/v1/tokens/{made['token_id']}/revoke")[0] == 200
    assert "token_revoked" not in streams["token"].ends()
    assert estate.admin("POST", "/api/v1/principals/leaving", {"disabled": True})[0] == 200
    assert "principal_disabled" not in streams["left"].ends()
    assert estate.admin("POST", "/api/v1/principals/narrowed", {"roles": ["viewer"]})[0] == 200
    streams["narrow"].ends()
    streams["other"].hears("principal_disabled")  # whose session is good hears all of it
    assert other("POST", "session/logout", {})[0] == 200
    streams["other"].ends()


def test_the_trail_knows_who_came_and_went(estate):
    client = Client(estate).login(estate.tokens["admin"])
    client("POST", "session/confirm", {}, Authorization=f"Bearer {estate.tokens['admin']}")
    client("POST", "session/logout", {})
    for event in ("session_opened", "session_confirmed", "session_ended"):
        record = estate.admin.get(f"audit?event={event}&limit=1")["items"][0]
        assert record["actor"] == "admin" and record["object"] == "admin" and record["detail"]["by"] == "token" and record["detail"]["address"] == "127.0.0.1"
    everything = json.dumps(estate.admin.get("audit?limit=500")) + open(os.path.join(estate.inst.dir, "log", "controller.log")).read()
    assert client.cookie not in everything and client.header not in everything


# ---- by a client certificate ----

def test_a_certificate_opens_a_session_and_does_nothing_else(estate):
    estate.principal("ivan", ["operator"], person="ivan")
    files = estate.login_target(estate.own, "ivan")
    request = wait_for("a request", lambda: estate.request("ivan"))
    assert estate.decide(request, "approve")[0] == 200
    wait_for("it is issued", lambda: estate.inst.certificate("ivan")["serial"] and os.path.exists(os.path.join(files, "current")), 90)
    shown = (os.path.join(files, "current", "fullchain.pem"), os.path.join(files, "current", "key.pem"))
    client = Client(estate, shown)
    code(client("GET", "whoami"), 401, 3100)  # a page is no session, whatever the browser shows
    code(client("POST", "agents/nobody/evict", {}), 401, 3100)
    code(client("POST", "session", {}, Sec_Fetch_Site="cross-site"), 403, 3166)
    client.login()
    assert client("GET", "whoami")[1]["by"] == "client certificate"
    assert client("POST", "session/confirm", {})[0] == 200
    bare = Client(estate)
    bare.cookie, bare.header = client.cookie, client.header
    code(bare("POST", "session/confirm", {}), 403, 3171)
    assert client("GET", "whoami", Sec_Fetch_Site=None, Cookie=None)[0] == 200, "a program goes on as before"
    assert estate.admin("POST", "/api/v1/certificates/ivan/revoke", {"reason": "keyCompromise"})[0] == 200
    code(client("GET", "whoami"), 401, 3165)


# ---- what the pages read ----

def test_the_overview_and_the_search(estate):
    client = Client(estate).login(estate.tokens["admin"])
    o = client("GET", "overview")[1]
    assert o["targets"] >= 2 and o["agents"] == o["agents_connected"] == 2 and o["proved_at"] and {"clara", "argus"} <= {s["service"] for s in o["services"]}
    assert sum(o["by_status"].values()) == o["certificates"]
    found = client("GET", f"certificates?q={estate.own.cert_id}%20CLARA")[1]["items"]
    assert [c["cert_id"] for c in found] == [estate.own.cert_id]
    serial = found[0]["serial"]
    assert [c["cert_id"] for c in client("GET", "certificates?q=" + serial[:6].lower() + ":" + serial[6:])[1]["items"]] == [estate.own.cert_id]
    assert client("GET", "certificates?q=nothing-like-it")[1] == {"items": [], "next_cursor": None}
    assert estate.own.cert_id in {c["cert_id"] for c in client("GET", "certificates?status=active")[1]["items"]}
    assert client("GET", "certificates?status=revoked&q=clara0")[1]["items"] == []
    assert client("GET", "certificates?served=no")[1]["items"] == []
    seen, cursor = [], ""
    while cursor is not None:
        page = client("GET", f"certificates?limit=1&q=vcc.internal{cursor and '&cursor=' + cursor}")[1]
        assert len(page["items"]) <= 1
        seen += [c["cert_id"] for c in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [c["cert_id"] for c in client("GET", "certificates?q=vcc.internal")[1]["items"]] and len(seen) >= 2
    for bad in ("q=" + "x" * 200, "status=nonsense", "served=yes"):
        assert client("GET", "certificates?" + bad)[0] == 422, bad


def test_codes_are_explained(estate):
    client = Client(estate).login(estate.tokens["admin"])
    assert client("GET", "errors/VCC-3168")[1]["kind"] == "denied"
    for bad in ("VCC-9998", "3168", "VCC-", "VCC-03168x"):
        assert client("GET", "errors/" + bad)[0] == 404, bad
