"""Can a crowd of unfinished requests on one listener of the controller lock out the callers of another, or hold a request open for ever?"""
import contextlib
import os
import socket
import ssl
import time
import urllib.parse

import pytest

CROWD = 400
UNFINISHED = b"POST /crl/all.pem HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n "


def plain(inst):
    url = urllib.parse.urlparse(inst.public_url)
    return socket.create_connection((url.hostname, url.port), 30)


def admin(inst):
    url = urllib.parse.urlparse(inst.admin_url)
    context = ssl.create_default_context(cafile=os.path.join(inst.state, "ca.pem"))
    return context.wrap_socket(socket.create_connection((url.hostname, url.port), 30), server_hostname="127.0.0.1")


def local(inst):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(os.path.join(inst.state, "run", "admin.sock"))
    return s


def answer(connection, request):
    """Everything until the controller closes the connection."""
    with connection:
        connection.sendall(request)
        text = b""
        while piece := connection.recv(65536):
            text += piece
    return text


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


def status(text):
    return int(text.split()[1])


@pytest.mark.parametrize("crowded", [admin, plain])
def test_a_crowd_of_unfinished_requests_stays_on_its_listener(nginx_installation, crowded):
    inst, _ = nginx_installation
    request = UNFINISHED.replace(b"/crl/all.pem", b"/api/v1/invites") if crowded is admin else UNFINISHED[:-30]
    with contextlib.ExitStack() as stack:
        for _ in range(CROWD):
            c = stack.enter_context(crowded(inst))
            c.sendall(request)
        assert status(answer(local(inst), get("/api/v1/whoami"))) == 200
        if crowded is not plain:
            assert status(answer(plain(inst), get("/crl/all.pem"))) == 200
        if crowded is not admin:
            assert status(answer(admin(inst), get("/healthz"))) == 200


@pytest.mark.parametrize("listener", [admin, local])
def test_a_body_of_a_byte_a_second_ends(nginx_installation, listener):
    inst, _ = nginx_installation
    end = time.monotonic() + 120
    with listener(inst) as c:
        c.sendall(UNFINISHED.replace(b"/crl/all.pem", b"/api/v1/invites"))
        c.settimeout(1)
        while True:
            assert time.monotonic() < end, "the request is still open"
            try:
                c.sendall(b" ")
                if c.recv(4096) == b"":
                    break
            except (ssl.SSLWantReadError, socket.timeout):
                continue
            except OSError:
                break


def test_early_refusals_are_problem_documents(nginx_installation):
    inst, _ = nginx_installation
    for connect, request, expected in ((plain, UNFINISHED, 405), (admin, get("/x").replace(b"Host", b"Transfer-Encoding: chunked\r\nHost"), 400),
                                       (local, UNFINISHED.replace(b"1000", b"99999999"), 413)):
        text = answer(connect(inst), request)
        assert status(text) == expected and b"application/problem+json" in text and b'"code":"VCC-31' in text, text


def test_a_post_without_a_length_is_answered_and_closed(nginx_installation):
    inst, _ = nginx_installation
    text = answer(local(inst), b"POST /api/v1/agents/nobody/evict HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status(text) == 404, text


@pytest.mark.parametrize("connect", [admin, local, plain])
@pytest.mark.parametrize("request_", [b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", get("/healthz").replace(b"Connection: close\r\n", b"") + b"CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_tunnel_is_refused_and_holds_no_connection(nginx_installation, connect, request_):
    """libwebsockets makes a connection of plain bytes of it that no timeout ends: as many as a listener takes would lock everybody out."""
    inst, _ = nginx_installation
    c = connect(inst)
    c.settimeout(200)
    text = answer(c, request_)
    assert text.count(b" 405 ") == 1 and b"VCC-3103" in text, text
