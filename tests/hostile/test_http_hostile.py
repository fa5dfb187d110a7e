"""Does the admin API refuse what is not one well-formed request with one well-formed JSON object (T8), and what normalises to power (T18)?"""
import json
import os
import shutil
import socket
import ssl
import time

import pytest
from conftest import new_folder
from rights_estate import Estate


class Site:
    def __init__(self, folder):
        self.estate = Estate(folder)
        self.inst = self.estate.inst
        self.admin = self.estate.admin
        self.context = ssl.create_default_context(cafile=os.path.join(self.inst.state, "ca.pem"))

    def raw(self, data, seconds=3):
        """Everything that the server answers to these bytes until it closes or says no more."""
        host, port = self.inst.admin_url.split("//")[1].split(":")
        got = b""
        with socket.create_connection((host, int(port)), timeout=20) as plain, self.context.wrap_socket(plain, server_hostname=host) as s:
            s.sendall(data)
            s.settimeout(seconds)
            try:
                while True:
                    piece = s.recv(65536)
                    if not piece:
                        break
                    got += piece
            except (socket.timeout, OSError):
                pass
        return got


@pytest.fixture(scope="module")
def site():
    folder = new_folder("http-hostile")
    s = Site(folder)
    try:
        yield s
    finally:
        s.estate.stop()
        shutil.rmtree(folder, ignore_errors=True)


# ---- more than one request in one ----

BODY = b'{"name":"smuggled","roles":["viewer"]}'
INNER = b"POST /api/v1/principals HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{auth}Content-Length: " + str(len(BODY)).encode() + b"\r\n\r\n" + BODY
# What stands between the request line and the empty line of an outer POST whose body holds INNER.
SMUGGLING = {
    "length-and-chunked": b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
    "chunked-and-length": b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n{inner}",
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
    "chunked-obfuscated": b"Transfer-Encoding: xchunked\r\n\r\n{inner}",
    "chunked-tab": b"Transfer-Encoding:\tchunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{inner}",
    "two-lengths": b"Content-Length: 2\r\nContent-Length: 200\r\n\r\n{{}}{inner}",
    "two-equal-lengths": b"Content-Length: 2, 2\r\n\r\n{{}}{inner}",
    "length-plus": b"Content-Length: +2\r\n\r\n{{}}{inner}",
    "length-negative": b"Content-Length: -2\r\n\r\n{{}}{inner}",
    "length-hex": b"Content-Length: 0x2\r\n\r\n{{}}{inner}",
    "length-huge": b"Content-Length: 99999999999999999999\r\n\r\n{{}}{inner}",
    "no-length": b"\r\n{{}}{inner}",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_nothing_is_smuggled(site, name):
    """A body whose end can be read in two ways is refused, and what follows it is never taken for a request."""
    auth = b"Authorization: Bearer " + site.estate.tokens["admin"].encode() + b"\r\n"
    inner = INNER.replace(b"{auth}", auth)
    head = b"POST /api/v1/agents/nobody/evict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + auth
    got = site.raw(head + SMUGGLING[name].replace(b"{inner}", inner).replace(b"{{}}", b"{}"))
    assert b" 201 " not in got and got.count(b"HTTP/1.1 2") == 0, got[:600]
    assert site.admin("GET", "/api/v1/principals/smuggled")[0] == 404, got[:600]


HEADS = {
    "bare-lf": b"GET /api/v1/whoami HTTP/1.1\nHost: x\n{auth}\n",
    "fold": b"GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\nX-A: b\r\n {auth}\r\n",
    "space-before-colon": b"GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer {token}\r\n\r\n",
    "nul": b"GET /api/v1/whoami\0 HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    "no-version": b"GET /api/v1/whoami\r\nHost: x\r\n{auth}\r\n",
    "odd-method": b"get /api/v1/whoami HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    "trace": b"TRACE /api/v1/whoami HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    "connect": b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 200,
}
# libwebsockets takes a line's end without CR, a colon after a space, a method in small letters. Each is one request then as before: there is nobody in front of us
# who could read it as two.
TAKEN = {"odd-method", "bare-lf", "no-version", "space-before-colon", "fold"}


@pytest.mark.parametrize("name", HEADS)
def test_odd_heads_give_one_answer_at_most(site, name):
    auth = b"Authorization: Bearer " + site.estate.tokens["admin"].encode() + b"\r\n"
    got = site.raw(HEADS[name].replace(b"{auth}", auth).replace(b"{token}", site.estate.tokens["admin"].encode()))
    assert got.count(b"HTTP/1.") <= 1, got
    assert b" 200 " not in got or name in TAKEN, got[:400]


def test_a_request_in_pieces_is_one(site):
    """Two requests in one write are two answers, in order."""
    auth = b"Authorization: Bearer " + site.estate.tokens["admin"].encode() + b"\r\n"
    got = site.raw((b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\n" + auth + b"\r\n"))
    assert got.count(b"HTTP/1.1 200") == 2 and got.index(b'"status":"ok"') < got.index(b'"principal"'), got


# ---- JSON ----

REFUSED = [
    "", " ", "{", "}", "[", "]", "{]", "[}", '{"a"}', '{"a":}', '{"a":1,}', "{,}", '{"a":1 "b":2}', "{a:1}", "{'a':1}", '{"a":1}x', '{"a":1}{', "nul", "True", "undefined",
    '{"a":+1}', '{"a":01}', '{"a":1.}', '{"a":.1}', '{"a":1e}', '{"a":0x1}', '{"a":Infinity}', '{"a":NaN}', '{"a":-}', '{"a":1e+}', '{"a":--1}', '{"a":1e999}', '{"a":99999999999999999999}',
    '{"a":"\\x"}', '{"a":"\\u12"}', '{"a":"\\ud800"}', '{"a":"\\udc00\\ud800"}', '{"a":"\n"}', '{"a":"\t"}', '{"a":"\x01"}', '{"a":"', '{"a":"\\', '{"a":"\\"}',
    '{"a\\u0000":1}', '{"a":"\\u0000"}', '{"a":1,"a":1}', '{"a":{"b":1,"b":2}}', '{"a":1,"\\u0061":2}', "/*c*/{}", '{"a":1}//c', '{"a":[1,,2]}', '{"a":[1,]}', '{"a":[,1]}',
    "[" * 40, '{"a":' * 33 + "1" + "}" * 33, "[[[[]]]", '{"a":' + "[" * 100000, "\ufeff{}", "\x00{}", "{}\x00", "[]", '"a"', "1", "null", "true",
]
REFUSED_BYTES = [b'{"a":"\xff"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xf4\x90\x80\x80"}', b'{"a":"\xe4"}', b'{"\x80":1}', '{"a":1}'.encode("utf-16"), b"\xfe\xff"]


@pytest.fixture(scope="module")
def post(site):
    from contract import Caller
    caller = Caller(site.inst, None, site.estate.tokens["admin"])

    def send(data):
        status, _, text = caller.raw("POST", "/api/v1/principals", data)
        return status, json.loads(text)
    return send


def test_what_is_not_one_json_object_is_refused(post):
    for text in [t.encode() for t in REFUSED] + REFUSED_BYTES:
        status, body = post(text)
        assert status == 422 and body["code"] == "VCC-3104", (text[:60], status, body)
        if text.strip():  # refused as text, before any field is looked at
            assert body["object"] in ("body", "a", "Content-Type"), (text[:60], body)


@pytest.mark.parametrize("text", ['{"name":"j1","roles":["viewer"]}', ' \r\n\t{"name" : "j2" , "roles" : [ "viewer" ] } \n', '{"na\\u006de":"j3","roles":["viewer"]}',
                                  '{"name":"j4","roles":["viewer"],"comment":"\\ud834\\udd1e \\u00e4 \\/ \\\\ \U0001d11e"}', '{"name":"j5","roles":["viewer"],"person":null}'])
def test_what_json_allows_is_taken(post, text):
    status, body = post(text.encode())
    assert status == 201 and body["name"].startswith("j"), body


def test_size_depth_and_count_have_an_end(post, site):
    deep = '{"comment":' + "[" * 31 + "]" * 31 + "}"
    assert "deeper" not in post(deep.encode())[1]["detail"] and "deeper" in post(deep.replace("[", "[[", 1).replace("]", "]]", 1).encode())[1]["detail"]
    many = '{"comment":[' + ",".join("1" for _ in range(99999)) + "]}"
    assert "values" not in post(many.encode())[1]["detail"] and "more than 100000 values" in post(many.replace("1", "1,1,1", 1).encode())[1]["detail"]
    assert post(b'{"comment":"' + b"x" * (1 << 20) + b'"}')[0] == 413
    # the route that takes ids
    from contract import Caller
    caller = Caller(site.inst, None, site.estate.tokens["admin"])
    where = "/api/v1/certificates/lifecycle/emergency-recertification"
    ids = json.dumps({"incident_id": "x", "reason": "y", "dry_run": True, "certificate_ids": [f"a-rather-long-name-of-a-certificate-{i:06}" for i in range(100000)]}).encode()
    assert len(ids) > 4 << 20
    status, _, text = caller.raw("POST", where, ids)
    assert status == 200 and json.loads(text)["matching_certificates"] == 0, text[:300]
    assert caller.raw("POST", where, b'{"reason":"' + b"x" * (8 << 20) + b'"}')[0] == 413


# ---- names that normalise to power (T18) ----

@pytest.mark.parametrize("name", ["Root", "root", "ROOT", "root ", " root", "ｒｏｏｔ", "rооt", "admin\u200b", "Admin", "ADMIN", "admin ", "ad\u00admin", "local:uid-0", "local", "system", "scheduler", "controller",
                                  "agent:x", "person:x", "adm\u0131n", "ﬁrst", "a/b", "..", ".", "a\u0000b", "", "-a", "a" * 300, "é", "e\u0301", "redacted"])
def test_names_have_one_form(post, name):
    for field in ("name", "person"):
        body = {"name": "somebody", "roles": ["viewer"], "person": None}
        body[field] = name
        status, answer = post(json.dumps(body).encode())
        if field == "person" and name == "":
            assert status == 422
            continue
        assert status == 422 and answer["code"] in ("VCC-3703", "VCC-3104"), (field, name, status, answer)


def test_names_of_a_path_are_compared_byte_by_byte(site):
    for name in ("Admin", "ADMIN", "admin%20", "admin.", "ａdmin"):
        status, _ = site.admin("GET", f"/api/v1/principals/{name if name.isascii() else '%EF%BD%81dmin'}")
        assert status in (400, 404), name
    assert site.admin("GET", "/api/v1/principals/%61dmin")[0] == 200, "one decoding, and only one"
    assert site.admin("GET", "/api/v1/principals/%2561dmin")[0] == 404


@pytest.mark.parametrize("path", ["principals/admin%0d%0aXX", "principals/admin%0dXX", "principals/admin%0aXX", "principals?limit=1%0d%0aX&frob=1", "principals?limit=1%0a",
                                  "whoami%0d%0aX-Mark:%20mine", "whoami%0aAuthorization:%20Bearer%20mine", "whoami%0aHTTP/1.1%0d%0aX-Mark:%20mine", "principals/admin%20HTTP/1.1%0d%0aX-Mark:%20mine"])
def test_an_encoded_line_end_does_not_end_the_request_line(site, path):
    """Decoded, it would end the address there, and what stands behind it would be headers of whoever made the link."""
    got = site.raw(f"GET /api/v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: {site.admin.headers['Authorization']}\r\nConnection: close\r\n\r\n".encode())
    assert b" 400 " in got.split(b"\r\n")[0] and b"VCC-3102" in got, got


def test_a_version_behind_an_encoded_line_end_makes_the_address_shorter_and_nothing_else(site):
    """The library takes it for the request's own. It is the answer to the shorter address, asked by the same person, and no second one."""
    who = {"Authorization": site.admin.headers["Authorization"]}
    got = site.raw(f"GET /api/v1/whoami%0aHTTP/1.1 HTTP/1.1\r\nHost: x\r\nAuthorization: {who['Authorization']}\r\nConnection: close\r\n\r\n".encode())
    assert got.count(b"HTTP/1.1 ") == 1 and b" 200 " in got.split(b"\r\n")[0] and b'"principal":"admin"' in got, got
    alone = site.raw(b"GET /api/v1/whoami%0aHTTP/1.1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b" 401 " in alone.split(b"\r\n")[0], alone


# ---- what the HTTP library decides by itself ----

@pytest.mark.parametrize("line", ["TRACE /api/v1/agents", "BREW /api/v1/agents", "GET /api/v1/agents/%zz", "GET /api/v1/agents?limit=%zz", "GET /api/v1/agents/%4"])
def test_what_the_parser_refuses_sends_nothing_back(site, line):
    """A TRACE that echoes its headers would hand a token to whoever made a browser send it."""
    got = site.raw(f"{line} HTTP/1.1\r\nHost: x\r\nAuthorization: {site.admin.headers['Authorization']}\r\nX-Mark: tell-nobody\r\n\r\n".encode())
    assert b" 403 " in got.split(b"\r\n")[0] and b"tell-nobody" not in got and b"vcc_pat_" not in got, got


@pytest.mark.parametrize("header,status", [("X-Long: " + "a" * 7000, 200), ("X-Long: " + "a" * 9000, None), ("Authorization: Bearer " + "a" * 9000, None), ("If-Match: " + "a" * 600, 413)])
def test_a_head_has_a_size(site, header, status):
    got = site.raw(f"GET /healthz HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())
    assert (got == b"") if status is None else f" {status} ".encode() in got.split(b"\r\n")[0], got
    assert b" 200 " in site.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


def test_of_two_keys_the_first_counts(site):
    def post(*keys):
        body = b'{"name":"two-keys","roles":["viewer"]}'
        head = "".join(f"{name}: {key}\r\n" for name, key in keys)
        return site.raw(f"POST /api/v1/principals HTTP/1.1\r\nHost: x\r\nAuthorization: {site.admin.headers['Authorization']}\r\n{head}Content-Type: application/json\r\n"
                        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    first, second = ("Idempotency-Key", "first"), ("idempotency-key", "second")
    assert b" 201 " in post(first, second)
    assert b"idempotency-replayed" in post(first) and b"idempotency-replayed" in post(("IDEMPOTENCY-KEY", "first"), second)
    assert b" 409 " in post(second), "the second of two keys stands for nothing"


# ---- a caller who waits ----

def turns(site):
    return site.admin("GET", "/api/v1/status")[1]["loop"]["turns"]


@pytest.mark.parametrize("then", ["says more", "goes away"])
def test_whoever_waits_for_an_answer_keeps_the_loop_asleep(site, then):
    """A stream of events that is quiet: neither bytes that nobody asked for nor the caller's end may wake the loop again and again."""
    host, port = site.inst.admin_url.split("//")[1].split(":")
    with socket.create_connection((host, int(port)), timeout=20) as plain, site.context.wrap_socket(plain, server_hostname=host) as s:
        s.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: {site.admin.headers['Authorization']}\r\n\r\n".encode())
        assert b" 200 " in s.recv(4096)
        if then == "says more":
            s.sendall(b"GET / HTTP/1.1\r\n")
        else:
            s.close()
        time.sleep(0.5)
        before = turns(site)
        time.sleep(2)
        assert turns(site) - before < 2000


def test_requests_that_follow_each_other_unasked_are_all_answered(site):
    one = f"GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\nAuthorization: {site.admin.headers['Authorization']}\r\n\r\n".encode()
    assert site.raw(one * 3).count(b"HTTP/1.1 200") == 3


def connection_to(site, listener):
    if listener == "local":
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        s.connect(os.path.join(site.inst.state, "run", "admin.sock"))
        return s
    host, port = (site.inst.admin_url if listener == "admin" else site.inst.public_url).split("//")[1].split(":")
    plain = socket.create_connection((host, int(port)), timeout=20)
    return site.context.wrap_socket(plain, server_hostname=host) if listener == "admin" else plain


@pytest.mark.parametrize("behind", ["more of it", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"])
@pytest.mark.parametrize("before", ["", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"])
@pytest.mark.parametrize("listener", ["admin", "local", "public"])
def test_what_follows_a_body_unasked_ends_the_connection_and_holds_nobody_up(site, listener, before, behind):
    """The library told the end of such a body again and again, and the loop never ran again."""
    path = "/ocsp" if listener == "public" else "/api/v1/principals"
    with connection_to(site, listener) as s:
        s.sendall(f"{before}POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}{behind}".encode())
        s.settimeout(20)
        try:
            while s.recv(65536):
                pass
        except OSError:
            pass  # a reset is an end, too; a deadline is not, and then the next line does not come
        assert site.admin("GET", "/api/v1/whoami")[0] == 200
