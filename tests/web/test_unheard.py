"""What is asked for and not answered: a page that asks nothing is connected all the same, an answer that ends in its middle is none, and what was done
though nobody heard of it is not done twice."""
import copy
import http.client
import http.server
import json
import os
import ssl
import threading

import dashboard
import pytest
from conftest import new_folder
from installation import free_port, wait_for


@pytest.fixture(scope="module")
def site():
    with dashboard.estate(new_folder("unheard")) as both:
        yield both


# ---- a page that asks nothing ----

def test_who_asks_nothing_is_connected(site):
    """Longer than the controller may be silent. It is asked without what keeps a session alive, and a session that is over is told there as well."""
    e, d = site
    made = e.principal("silent", ["viewer"])
    page = d.page(made)
    page.sees("Refreshed every 10 s")
    page.run("location.hash = '#/nowhere'")
    page.until("Boolean(document.querySelector('main a[href=\"#/overview\"]'))", "there is no such page")
    page.run("(() => { const real = window.fetch; window.sent = []; window.fetch = (a, o) => { window.sent.push([a, Object.keys(o.headers)]); return real(a, o); }; })()")
    page.until("/interrupted/.test(document.querySelector('header').innerText) || window.sent.length >= 3", "three looks of ten seconds each")
    assert "interrupted" not in page.run("document.querySelector('header').innerText")
    page.sees("Refreshed every 10 s")
    assert page.run("window.sent") == [["/api/v1/session", []]] * len(page.run("window.sent")), "and nothing that would keep the session alive"
    assert e.admin("POST", "/api/v1/principals/silent", {"disabled": True})[0] == 200
    page.sees("The session is over")
    d.clean(page)


# ---- an answer that ends in its middle ----

class Between(http.server.BaseHTTPRequestHandler):
    """Hands on what is asked, to the controller and back. `server.stalls`: of an answer whose address has it the first half comes; `server.drips`: in
    pieces of a second each."""
    protocol_version = "HTTP/1.1"

    def do(self):
        s = self.server
        sent = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "origin", "connection")} | {"Host": s.to}
        if "Origin" in self.headers:
            sent["Origin"] = "https://" + s.to
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPSConnection(s.to, context=s.context, timeout=60)
        connection.request(self.command, self.path, body, sent)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if s.stalls and s.stalls in self.path:
            self.wfile.write(data[:len(data) // 2])
            s.go_on.wait(120)
            self.close_connection = True
        elif s.drips and s.drips in self.path:
            for i in range(15):
                self.wfile.write(data[len(data) * i // 15:len(data) * (i + 1) // 15])
                s.go_on.wait(1)
        else:
            self.wfile.write(data)

    do_GET = do_POST = do

    def log_message(self, *_):
        pass


@pytest.fixture
def between(site):
    """(what hands on, the dashboard behind it)"""
    e, d = site
    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Between)
    server.daemon_threads = True
    server.to, server.context = d.address, ssl.create_default_context(cafile=os.path.join(e.inst.state, "ca.pem"))
    server.stalls = server.drips = None
    server.go_on = threading.Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(e.folder, "hostile.pem"), os.path.join(e.folder, "hostile.pem.key"))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    behind = copy.copy(d)
    behind.url = f"https://127.0.0.1:{server.server_address[1]}"
    try:
        yield server, behind
    finally:
        server.go_on.set()
        server.shutdown()
        thread.join(20)
        server.server_close()


# What is thrown then is the reason in some browsers, and in others a name of their own, as without a reason.
OWN_NAME = "(() => { const real = AbortController.prototype.abort; AbortController.prototype.abort = function () { real.call(this); }; })()"


@pytest.mark.parametrize("name, thrown", [("reason", "0"), ("own", OWN_NAME)], ids=["reason", "own"])
def test_an_answer_that_stalls_is_none(site, between, name, thrown):
    """Its head came, and the half of its body: the view says what is the matter and does not load for ever. All is well again after it."""
    e, _ = site
    server, d = between
    page = d.page(e.principal("stalled-" + name, ["viewer"]))
    page.sees("Refreshed every 10 s")
    page.run(thrown)
    server.stalls = "/certificates?"
    page.run("location.hash = '#/certificates'")
    page.until("Boolean(document.querySelector('main .problem')) && document.querySelector('main .problem').innerText.includes('did not answer for 8 s')"
               " && document.querySelector('main .problem').innerText.includes('This page goes on trying') && !document.querySelector('main').innerText.includes('Loading')")
    server.stalls = None
    server.go_on.set()
    page.until("!document.querySelector('main .problem') && document.querySelectorAll('.certs .scroll .line').length > 0", "it goes on")


def test_a_long_file_may_be_slow_but_not_silent(site, between):
    """As long as pieces come it is waited for, beyond the limit of one answer; when none comes any more it is not. The limit is a sixth of what it is, in this page."""
    e, _ = site
    server, d = between
    page = d.page(e.principal("reader", ["viewer"]))
    page.sees("Refreshed every 10 s")
    page.run("(() => { const real = window.setTimeout; window.setTimeout = (fn, ms, ...more) => real(fn, ms === 60000 ? 10000 : ms, ...more); })()")
    text = "import(performance.getEntriesByType('resource').find((r) => r.name.endsWith('/api.js')).name).then((api) => api.text('certificates?limit=100')).then((s) => JSON.parse(s).items.length, (e) => e.body)"
    server.drips = "/certificates?limit=100"
    assert page.run(text) == len(e.admin.get("certificates?limit=100")["items"])
    server.drips, server.stalls = None, "/certificates?limit=100"
    told = page.run(text)
    assert told["title"] == "unanswered" and told["seconds"], told


# ---- done, and nobody heard of it ----

KEYS = "(() => { const real = window.fetch; window.keys = []; window.fetch = (a, o) => { if (o.method === 'POST') window.keys.push(o.headers['Idempotency-Key']); return real(a, o); }; })()"


def fill(page, comment):
    page.click("main .head button.first")
    page.click("dialog input[name=force]")
    page.write("dialog input[name=comment]", comment)


def lose(page):
    """The controller does what is asked, and its answer does not arrive."""
    page.ask("Fetch.enable", patterns=[{"urlPattern": "*/lifecycle/renew/*", "requestStage": "Response"}])
    page.click("dialog button.first")
    lost = wait_for("the controller has answered", lambda: page.paused and page.paused[-1])
    assert lost["responseStatusCode"] == 202, lost
    page.ask("Fetch.failRequest", requestId=lost["requestId"], errorReason="ConnectionClosed")
    page.ask("Fetch.disable")


def orders(e, cert, comment):
    return [r for r in e.admin.get(f"audit?object={cert}&limit=200")["items"] if r["reason"] == comment]


def test_a_dialog_that_is_opened_anew_means_another_act(site):
    """Between them what was done may have been undone: an answer that was kept would say that it is done."""
    e, d = site
    cert, comment = e.own.cert_id, "once more"
    wait_for("no order is open", lambda: not e.inst.certificate(cert)["open_order"])
    page = d.page(e.tokens["admin"])
    page.run(KEYS)
    d.go(page, f"#/certificates/{cert}")
    fill(page, comment)
    lose(page)
    page.until("Boolean(document.querySelector('dialog .problem'))", "it says so")
    page.click("dialog button", "Cancel")
    wait_for("it is renewed", lambda: not e.inst.certificate(cert)["open_order"])
    before = len(orders(e, cert, comment))
    fill(page, comment)
    page.click("dialog button.first")
    page.until("!document.querySelector('dialog')", "it is answered")
    wait_for("another one was asked for", lambda: len(orders(e, cert, comment)) > before > 0)
    first, second = page.run("window.keys")
    assert first != second
    wait_for("it is over", lambda: not e.inst.certificate(cert)["open_order"])


@pytest.mark.parametrize("language, again, trying", [("en", "it is done once", "goes on trying"), ("de", "es geschieht nur einmal", "versucht es weiter")], ids=["en", "de"])
def test_what_nobody_heard_of_is_done_once(site, language, again, trying):
    """The controller renews, its answer is lost, and the person presses again when the renewal is over: it is answered as the first time. Asked for after that
    it is another one."""
    e, d = site
    cert, comment = e.own.cert_id, f"lost on its way, {language}"
    wait_for("no order is open", lambda: not e.inst.certificate(cert)["open_order"])
    page = d.page(e.tokens["admin"], language)
    page.run(KEYS)
    d.go(page, f"#/certificates/{cert}")
    fill(page, comment)
    lose(page)
    page.until(f"document.querySelector('dialog .problem') && document.querySelector('dialog .problem').innerText.includes({json.dumps(again)})", "it says what pressing again does")
    assert trying not in page.run("document.querySelector('dialog .problem').innerText")
    wait_for("it is renewed", lambda: not e.inst.certificate(cert)["open_order"])
    serial, records = e.inst.certificate(cert)["serial"], [r["seq"] for r in orders(e, cert, comment)]
    assert records
    page.click("dialog button.first")
    page.until("!document.querySelector('dialog')", "it is answered")
    assert [r["seq"] for r in orders(e, cert, comment)] == records and not e.inst.certificate(cert)["open_order"] and e.inst.certificate(cert)["serial"] == serial
    fill(page, comment)
    page.click("dialog button.first")
    page.until("!document.querySelector('dialog')", "it is answered")
    wait_for("another one was asked for", lambda: len(orders(e, cert, comment)) > len(records))
    first, second, third = page.run("window.keys")
    assert first == second != third
    wait_for("it is over", lambda: not e.inst.certificate(cert)["open_order"])
