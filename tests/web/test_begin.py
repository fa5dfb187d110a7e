"""What people begin and change with the dashboard, by clicks: a bulk renewal from its plan and back, a drill, an invite that a host joins by, a new version of
a template, a CA that gives way; the pictures of numbers; and a campaign of ten thousand, of which nothing is left out in silence."""
import json
import os
import shlex
import subprocess

import dashboard
import pytest
from conftest import new_folder
from dashboard import choose, shell
from installation import run, wait_for, write

LIFE = dashboard.LIFE


@pytest.fixture(scope="module")
def site():
    with dashboard.estate(new_folder("begin"), {"controller.supersede.grace": "1h"}) as both:
        e, _ = both
        shorten(e, "clara_service_auth")
        wait_for("a certificate ends within the next days", lambda: sum(e.admin.get("overview")["days"]["ends"]) == 1)
        idle(e)
        yield both


@pytest.fixture(scope="module")
def admin(site):
    e, d = site
    return d.page(e.tokens["admin"])


def shorten(e, template):
    """A new version: what is issued by it ends after sixty days."""
    path = f"{LIFE}/templates/{template}"
    follows = ("version", "created_at", "update", "validity_period_days", "validity_seconds", "renewal_threshold_days", "emergency_threshold_days")
    body = {name: value for name, value in e.admin("GET", path)[1].items() if name not in follows}
    status, answer = e.admin("POST", path, {**body, "validity_period": "60d", "renewal_threshold": "20d", "emergency_threshold": "5d"})
    assert status == 202, answer


def idle(e):
    wait_for("no order is open", lambda: not any(c["open_order"] for c in e.admin.get("certificates")["items"]))


def proves(d, e, page, who="admin"):
    """The dialog that asks who it is, answered; a proof of a moment ago is good for a while."""
    page.sees("Please prove who you are")
    page.write("dialog input[name=token]", e.tokens[who])
    page.click("dialog button.first", "Confirm")


# ---- campaigns ----

def test_a_bulk_renewal_from_its_plan_and_one_wave_of_it_back(site, admin):
    """The plan names hosts, services, count and hash; what is begun is this plan; one wave is rolled back, and the other stays."""
    e, d = site
    idle(e)
    before = {h.cert_id: e.inst.certificate(h.cert_id)["serial"] for h in (e.own, e.foreign)}
    d.go(admin, "#/campaigns")
    admin.click("main .head button", "Bulk renewal …")
    admin.write("dialog input[name=canary]", "1")
    admin.write("dialog input[name=waves]", "rest")
    admin.write("dialog input[name=comment]", "by clicks")
    admin.click("dialog button.first", "Show the plan")
    admin.until("Boolean(document.querySelector('dialog .plan'))", "the plan")
    plan = admin.run("document.querySelector('dialog .plan').innerText")
    assert "2 of" in plan and "Wave 1: 1, Wave 2: 1" in plan and "clara" in plan and "argus" in plan
    assert not dashboard.axe(admin)
    words, body = shell(admin)
    assert words[:3] == ["vccctl", "bulk", "apply"] and body["plan_hash"] in plan and body["canary"] == "1" and body["waves"] == ["rest"] and words[-1] == body["plan_hash"]
    assert all(e.inst.certificate(c)["serial"] == s for c, s in before.items()), "nothing was done yet"
    admin.click("dialog button.first", "Begin now")
    admin.until("location.hash.startsWith('#/campaigns/')", "its campaign is shown")
    campaign = admin.run("location.hash").rsplit("/", 1)[1]
    wait_for("it is over", lambda: e.admin.get(f"campaigns/{campaign}")["completed_at"])
    shown = e.admin.get(f"campaigns/{campaign}")
    assert (shown["plan_hash"], shown["reason"], len(shown["waves"])) == (body["plan_hash"], "by clicks", 2)
    admin.until("document.querySelectorAll('.wave button.danger').length === 2", "each wave can go back")
    first = e.admin.get(f"campaigns/{campaign}/members?limit=1")["items"][0]["cert_id"]
    after = {c: e.inst.certificate(c)["serial"] for c in before}
    admin.click(".wave button.danger")
    admin.sees("Roll back wave 1?")
    words, body = shell(admin)
    assert words == ["vccctl", "campaign", "rollback", campaign, "--wave", "1"] and body == {"wave": 1}
    admin.click("dialog button.danger", "Roll back")
    wait_for("the first wave is back", lambda: e.admin.get(f"campaigns/{campaign}")["waves"][0]["rolled_back"] == 1)
    admin.until("document.querySelectorAll('.square.back').length >= 2", "a square says so, beside the key")
    other = next(c for c in before if c != first)
    assert e.inst.certificate(first)["serial"] == before[first] and e.inst.certificate(other)["serial"] == after[other]
    d.clean(admin)


def test_the_progress_of_a_campaign_as_a_picture_and_as_a_table(site, admin):
    e, d = site
    d.go(admin, f"#/campaigns/{e.campaign}")
    admin.until("Boolean(document.querySelector('.chart canvas'))", "the picture is drawn")
    said = e.admin.get(f"campaigns/{e.campaign}/progress")
    proved = [p["proved"] for p in said["points"]]
    assert proved == sorted(proved) and proved[-1] == e.admin.get(f"campaigns/{e.campaign}")["successful_count"] == said["total_certificates"] == 2
    admin.click("main details summary", "As a table")
    admin.until("(() => { const rows = [...document.querySelectorAll('main details[open] tbody tr')]; return rows.length > 0 && rows.at(-1).cells[1].innerText === '2'; })()", "the last row counts all")
    assert not dashboard.axe(admin)
    d.clean(admin)


def test_the_calendar_of_days_counts_what_the_overview_counts(site, admin):
    e, d = site
    d.go(admin, "#/overview")
    admin.until("Boolean(document.querySelector('.chart canvas'))", "the picture is drawn")
    days = e.admin.get("overview")["days"]
    assert len(days["ends"]) == len(days["renews"]) == 90 and days["first"].endswith("T00:00:00Z")
    told = {i: (a, b) for i, (a, b) in enumerate(zip(days["ends"], days["renews"])) if a + b}
    admin.click("main details summary", "As a table")
    rows = admin.run("[...document.querySelectorAll('main details[open] tbody tr')].filter((r) => r.cells.length === 3).map((r) => [Number(r.cells[1].innerText), Number(r.cells[2].innerText)])")
    assert [tuple(r) for r in rows] == list(told.values()) and sum(days["ends"]) == sum(days["renews"]) == 1
    for dark in (True, False):
        before = admin.run("document.querySelector('.chart canvas').toDataURL()")
        admin.dark(dark)
        admin.until(f"document.documentElement.dataset.theme === '{'dark' if dark else 'light'}' && Boolean(document.querySelector('.chart canvas'))")
        if dark:
            admin.until(f"document.querySelector('.chart canvas').toDataURL() !== {json.dumps(before)}", "it is drawn in the other colours")
    d.clean(admin)


TEN_THOUSAND = """(() => {
  const real = window.fetch, wave = (n, total, done, failed, left) => ({wave: n, canary: n === 1, total, status: left ? 'released' : 'over', waiting: left, in_progress: 0, done, failed, skipped: 0, rolled_back: 0, kept: 0});
  window.asked = [];
  window.fetch = async (address, options) => {
    const path = address.replace('/api/v1/campaigns/', '');
    if (!path.startsWith(CAMPAIGN)) return real(address, options);
    if (path.includes('/progress')) return real(address, options);
    const answer = await real(address, options);
    const body = await answer.json();
    window.asked.push(path);
    if (path.includes('/members')) {
      const state = new URLSearchParams(path.split('?')[1]).get('state') || 'done', from = Number(new URLSearchParams(path.split('?')[1]).get('cursor') || 0), all = state === 'failed' ? 1 : 10000;
      const row = (n) => ({position: n + 1, cert_id: 'c' + n, service: 's', agent: 'a', state, code: state === 'failed' ? 'VCC-4001' : null, error: null, changed_at: null});
      return new Response(JSON.stringify({items: Array.from({length: Math.min(200, all - from)}, (_, i) => row(from + i)), next_cursor: from + 200 < all ? String(from + 200) : null}), {headers: {'content-type': 'application/json'}});
    }
    Object.assign(body, {total_certificates: 10000, successful_count: 8999, failed_count: 1, waves: [wave(1, 100, 99, 1, 0), wave(2, 9900, 8900, 0, 1000)]});
    return new Response(JSON.stringify(body), {headers: {'content-type': 'application/json'}});
  };
})()"""


@pytest.mark.parametrize("width", [1280, 400])
def test_of_ten_thousand_nothing_is_left_out_in_silence(site, width):
    """Squares stand for many, and say for how many; a single failure is a square; every number is there; all of them are a list away."""
    e, d = site
    page = d.page(e.tokens["admin"])
    page.size(width, 900)
    page.run(TEN_THOUSAND.replace("CAMPAIGN", json.dumps(e.campaign)))
    d.go(page, f"#/campaigns/{e.campaign}")
    page.sees("One square stands for up to 50 of 9,900 certificates.")
    assert page.run("document.querySelectorAll('.wave .square.bad').length") == 1
    assert page.run("document.querySelectorAll('.wave .square').length") < 250 and not any("/members?limit" in path for path in page.run("window.asked"))
    counts = page.run("[...document.querySelectorAll('.counts')].map((p) => p.innerText)")
    assert counts == ["99 proved, 1 failed", "8,900 proved, 1,000 waiting"]
    assert page.run("document.documentElement.scrollWidth") <= width
    page.click(".counts a", "1 failed")
    page.until("document.querySelectorAll('.runs .scroll .line').length === 1", "the one that failed")
    page.run("(() => { const s = document.querySelector('.filters select'); s.value = ''; s.dispatchEvent(new Event('change', {bubbles: true})); })()")
    page.sees("200 rows loaded, there are more.")
    assert not dashboard.axe(page)
    d.clean(page)


def test_a_drill_by_clicks_and_its_report(site):
    e, d = site
    idle(e)
    page = d.page(e.tokens["admin"])
    folder = os.path.join(e.folder, "drills")
    os.makedirs(folder)
    d.browser.keep_downloads(page, folder)
    before = e.inst.certificate(e.own.cert_id)["serial"]
    d.go(page, "#/campaigns")
    page.click("main .head button", "Drill …")
    page.until("[...document.querySelectorAll('dialog select[name=which] option')].some((o) => o.value === 'clara')", "the services are offered")
    page.run("(() => { const s = document.querySelector('dialog select[name=which]'); s.value = 'clara'; s.dispatchEvent(new Event('input', {bubbles: true})); })()")
    page.write("dialog input[name=comment]", "every spring")
    page.click("dialog button.first", "Show the plan")
    proves(d, e, page)
    page.until("Boolean(document.querySelector('dialog .plan'))", "its plan")
    page.click("dialog button.first", "Begin the drill")
    page.until("location.hash.startsWith('#/campaigns/')", "it is shown")
    drill = page.run("location.hash").rsplit("/", 1)[1]
    wait_for("it has its report", lambda: e.admin.get(f"drills/{drill}")["reported_at"])
    page.click("main button", "Report of the drill")
    path = wait_for("its file", lambda: (n := os.listdir(folder)) and n[0].endswith(".json") and os.path.join(folder, n[0]))
    digest = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]
    assert digest == e.admin.get(f"drills/{drill}")["report_sha256"], "its bytes are those of the trail"
    assert e.inst.certificate(e.own.cert_id)["serial"] == before
    d.clean(page, also=("403",))


def test_an_emergency_of_a_ca_waits_for_a_second_person(site):
    """ca_compromise names a CA and no selection; it is offered to whoever manages CAs, and to nobody else."""
    e, d = site
    page = d.page(e.tokens["admin"])
    d.go(page, "#/campaigns")
    page.click("main .head button.danger")
    page.write("dialog input[name=incident]", "INC-9")
    page.write("dialog input[name=why]", "its key was copied")
    choose(page, "type", "ca_compromise")
    page.until("[...document.querySelectorAll('dialog select[name=issuer] option')].some((o) => o.value === 'service-1') && !document.querySelector('dialog select[name=kind]')", "the CAs are offered")
    first = page.run("document.querySelector('dialog select[name=issuer]').value")
    assert first and shell(page)[1]["issuer_id"] == first, "the first of the list, when it has come"
    page.sees("Only when a second person agrees")
    choose(page, "issuer", "service-1")
    page.click("dialog button.first", "Show the plan")
    proves(d, e, page)
    page.until("document.querySelector('dialog .plan') && document.querySelector('dialog .plan').innerText.includes('second person')", "the plan says who has to agree")
    words, body = shell(page)
    assert body["issuer_id"] == "service-1" and "selector" not in body and words[words.index("--issuer") + 1] == "service-1"
    page.click("dialog button.danger", "Begin now")
    page.until("location.hash.startsWith('#/approvals/')", "what waits is shown")
    page.until("document.getElementById('said').textContent === 'Waits for a second person'", "and nobody is told that it has begun")
    asked = e.admin.get("approvals/" + page.run("location.hash").rsplit("/", 1)[1])
    assert (asked["kind"], asked["object"]) == ("ca_rollover", "service-1")
    assert e.decide(asked, "reject")[0] == 200 and e.admin.get("ca/service-1")["state"] == "active"
    operator = d.page(e.principal("worker", ["operator"]))
    d.go(operator, "#/campaigns")
    operator.click("main .head button.danger")
    operator.until("Boolean(document.querySelector('dialog select[name=type]'))")
    assert "ca_compromise" not in operator.run("[...document.querySelectorAll('dialog select[name=type] option')].map((o) => o.value)")
    d.clean(page, also=("403",))


HELD = """(() => {
  const real = window.fetch, gate = new Promise((open) => { window.letGo = open; });
  window.fetch = async (address, options) => {
    const answer = await real(address, options);
    if (options.method === 'POST' && options.body.includes('dry_run')) await gate;
    return answer;
  };
})()"""


@pytest.mark.parametrize("view, button, field, first, next_, show", [
    ("#/campaigns", "Bulk renewal …", "canary", "1", "2", "Show the plan"),
    ("#/templates/external_service", "New version …", "max_renewal_attempts", "8", "9", "Show what it does")])
def test_what_changes_while_a_plan_is_made_has_no_plan(site, view, button, field, first, next_, show):
    """What is shown is of the fields as they are, and never of those of a moment before."""
    e, d = site
    page = d.page(e.tokens["admin"])
    d.go(page, view)
    page.click("main .head button", button)
    page.write(f"dialog input[name={field}]", first)
    page.run(HELD)
    page.click("dialog button.first", show)
    page.until("document.querySelector('dialog form button[type=submit]').disabled", "it is asked for")
    page.write(f"dialog input[name={field}]", next_)
    page.run("window.letGo()")
    page.until("!document.querySelector('dialog form button[type=submit]').disabled", "it has come")
    assert page.run("[document.querySelector('dialog form button[type=submit]').innerText, Boolean(document.querySelector('dialog .plan'))]") == [show, False]
    page.click("dialog button.first", show)
    page.until("Boolean(document.querySelector('dialog .plan'))", "that of the fields as they are")
    assert str(shell(page)[1][field]) == next_
    d.clean(page)


def test_a_dialog_gives_to_a_shell_what_it_holds(site, admin):
    """Also what came later than the dialog, and of fields that a choice takes away nothing."""
    e, d = site
    d.go(admin, "#/campaigns")
    admin.click("main .head button", "Drill …")
    admin.until("document.querySelectorAll('dialog select[name=which] option').length >= 2", "the services are offered")
    first = admin.run("document.querySelector('dialog select[name=which]').value")
    assert first and shell(admin)[1]["selector"] == {"service": first}
    for kind, selector in (("agent", {"agent": ""}), ("all", {"all": True}), ("service", {"service": first})):
        choose(admin, "kind", kind)
        words, body = shell(admin)
        assert body["selector"] == selector and words[2] == "--" + kind
    admin.press("Escape")
    admin.until("!document.querySelector('dialog')")
    d.clean(admin)


# ---- hosts, templates, CAs ----

def test_an_invite_is_shown_once_and_a_host_joins_by_it(site, admin):
    e, d = site
    host = e.inst.prepare_echo(4)
    d.go(admin, "#/agents")
    admin.click("main .head button", "Invite a host …")
    admin.write("dialog input[name=name]", host.name)
    admin.write("dialog input[name=service]", host.service)
    words, body = shell(admin)
    assert words[1:4] == ["agent", "invite", host.name] and body == {"name": host.name, "service": host.service}
    admin.click("dialog button.first", "Make the invite")
    admin.until("Boolean(document.querySelector('dialog pre.token'))", "the token")
    token, line = admin.run("[document.querySelector('pre.token').innerText, document.querySelector('pre.line').innerText]")
    words = shlex.split(line)
    assert words[:2] == ["vcc-agent", "join"] and token not in line
    assert not dashboard.axe(admin)
    file = os.path.join(host.dir, "token")
    write(file, token + "\n", 0o600)
    run([e.inst.bin("vcc-agent"), *words[1:], "--state-dir", host.dir, "--token-file", file])
    assert e.admin.get(f"agents/{host.name}")["state"] == "active"
    admin.click("dialog button.first", "Close")
    admin.until("!document.querySelector('dialog')")
    assert token not in admin.run("document.documentElement.outerHTML") and token not in json.dumps(e.admin.get("invites"))
    d.clean(admin)


def test_what_is_typed_stays_when_its_effect_is_shown(site, admin):
    e, d = site
    d.go(admin, "#/templates/external_service")
    admin.click("main .head button", "New version …")
    admin.write("dialog input[name=description]", "of partners")
    admin.write("dialog input[name=retry_interval]", "20m")
    admin.click("dialog button.first", "Show what it does")
    admin.until("Boolean(document.querySelector('dialog .plan'))", "its effect")
    admin.write("dialog input[name=max_renewal_attempts]", "7")
    admin.until("!document.querySelector('dialog .plan')", "a change makes it void")
    body = shell(admin)[1]
    assert (body["description"], body["retry_interval"], body["max_renewal_attempts"], body["dry_run"]) == ("of partners", "20m", 7, True)
    admin.click("dialog button.first", "Show what it does")
    admin.until("document.querySelectorAll('dialog .diff tbody tr').length === 3", "all of it is sent")
    admin.press("Escape")
    admin.until("!document.querySelector('dialog')")
    d.clean(admin)


def test_a_template_is_changed_by_what_was_shown(site, admin):
    """First what the change does, then exactly this, on the version that was shown; who comes second on the same version is refused."""
    e, d = site
    path = f"{LIFE}/templates/external_service"
    before = e.admin("GET", path)[1]
    d.go(admin, "#/templates/external_service")
    other = d.page(e.tokens["admin"])
    d.go(other, "#/templates/external_service")
    for page, attempts in ((admin, 4), (other, 5)):
        page.click("main .head button", "New version …")
        page.write("dialog input[name=max_renewal_attempts]", str(attempts))
        page.click("dialog button.first", "Show what it does")
        page.until("Boolean(document.querySelector('dialog .plan'))", "its effect")
    assert admin.run("[...document.querySelectorAll('dialog .diff tbody th')].map((e) => e.innerText)") == ["max_renewal_attempts"]
    assert e.admin("GET", path)[1]["version"] == before["version"], "nothing was done yet"
    assert not dashboard.axe(admin)
    words, body = shell(admin)
    assert words[-2:] == ["--if-version", str(before["version"])] and body["max_renewal_attempts"] == 4 and "dry_run" not in body
    admin.click("dialog button.first", "Apply")
    admin.until("!document.querySelector('dialog')", "it is applied")
    after = e.admin("GET", path)[1]
    changed = {name for name in after if after[name] != before[name]} - {"version", "created_at", "update"}
    assert changed == {"max_renewal_attempts"} and after["version"] == before["version"] + 1
    other.until(f"document.querySelector('main .head').innerText.includes('Version {after['version']}')", "the page below the dialog shows the new version")
    words, body = shell(other)
    assert words[-2:] == ["--if-version", str(before["version"])] and body["max_renewal_attempts"] == 5
    other.click("dialog button.first", "Apply")
    other.until("document.querySelector('dialog .problem') && /VCC-\\d{4}/.test(document.querySelector('dialog .problem').innerText)", "refused")
    assert e.admin("GET", path)[1]["version"] == after["version"]
    d.clean(admin)
    d.clean(other, also=("412", "409"))


def test_a_ca_gives_way_by_clicks(site):
    """Asked for with a proof, agreed to by a second person, taken back by the first."""
    e, d = site
    page = d.page(e.tokens["admin"])
    d.go(page, "#/ca")
    page.click("main a[href='#/ca/code-signing-1']")
    page.sees("This CA has no successor yet.")
    page.click("main button.danger", "Ask for a rollover")
    page.write("dialog input[name=comment]", "its time has come")
    page.until("document.querySelector('dialog form button[type=submit]').disabled", "the name has to be typed")
    page.run("document.querySelector('dialog input:not([name])').focus()")
    page.ask("Input.insertText", text="code-signing-1")
    page.click("dialog button.danger", "Ask for a rollover")
    proves(d, e, page)
    page.until("location.hash.startsWith('#/approvals/')", "what waits is shown")
    asked = e.admin.get("approvals/" + page.run("location.hash").rsplit("/", 1)[1])
    d.go(page, "#/ca/code-signing-1")
    page.sees("Waits for a second person")
    assert e.decide(asked, "approve")[0] == 200
    wait_for("its successor is there", lambda: e.admin("GET", "/api/v1/ca/code-signing-1/rollover")[1].get("phase") == "trust")
    page.until("document.querySelector('.phases li[aria-current]') && document.querySelector('.phases li[aria-current]').innerText.includes('Hosts trust it')", "where it is")
    assert not dashboard.axe(page)
    assert page.run("[...document.querySelectorAll('main section .row.push button')].map((b) => b.innerText)") == ["Go on", "Roll back", "Make it an emergency"]
    page.click("main button.danger", "Roll back")
    page.write("dialog input[name=comment]", "not yet")
    page.run("document.querySelector('dialog input:not([name])').focus()")
    page.ask("Input.insertText", text="code-signing-1")
    page.click("dialog button.danger", "Roll back")
    page.sees("Rolled back")
    assert e.admin.get("ca/code-signing-1/rollover")["phase"] == "rolled_back" and e.admin.get("ca/code-signing-1")["state"] == "active"
    viewer = d.page(e.principal("watcher", ["viewer"]))
    d.go(viewer, "#/ca/code-signing-1")
    viewer.sees("Rolled back")
    assert not viewer.run("document.querySelectorAll('main section button.danger, main section button.first').length")
    d.clean(page, also=("403", "404"))


def test_a_ca_is_revoked_by_clicks(site):
    """What ends with it stands in the dialog and has to be said; asked for with a proof; a second person agrees, and it is revoked. A root is not offered."""
    e, d = site
    page = d.page(e.tokens["admin"])
    d.go(page, "#/ca/root-1")
    page.sees("has no successor yet")
    assert "Ask for revocation" not in page.text()
    d.go(page, "#/ca/service-1")
    live = e.admin.get("ca/service-1")["live"]
    assert live["certificates"] > 0
    page.click("main .head button.danger", "Ask for revocation")
    told = page.run("document.querySelector('dialog .clear.bad').innerText")
    assert f"{live['certificates']} certificates and {live['identities']} identities of hosts that are in force end with it" in told
    assert all(f"{s['service']}: {s['certificates']}" in told for s in live["services"])
    page.run("document.querySelector('dialog input:not([name])').focus()")
    page.ask("Input.insertText", text="service-1")
    assert dashboard.shell(page) == (["vccctl", "ca", "revoke", "service-1", "--reason", "keyCompromise"], {"reason": "keyCompromise", "force": False})
    page.click("dialog button.danger", "Ask for revocation")
    assert page.run("Boolean(document.querySelector('dialog[open]')) && !document.querySelector('dialog form').checkValidity()"), "it is not sent without the word"
    assert not dashboard.axe(page)
    page.press("Escape")
    assert not e.admin("GET", "/api/v1/approvals")[1]["items"] or all(a["object"] != "service-1" for a in e.admin.get("approvals")["items"])
    d.go(page, "#/ca/code-signing-1")
    page.click("main .head button.danger", "Ask for revocation")
    page.sees("Nothing is in force below this CA.")
    dashboard.choose(page, "reason", "cessationOfOperation")
    page.write("dialog input[name=comment]", "nobody signs any more")
    page.run("document.querySelector('dialog input:not([name])').focus()")
    page.ask("Input.insertText", text="code-signing-1")
    assert dashboard.shell(page)[0] == ["vccctl", "ca", "revoke", "code-signing-1", "--reason", "cessationOfOperation"]
    page.click("dialog button.danger", "Ask for revocation")
    proves(d, e, page)
    page.until("location.hash.startsWith('#/approvals/')", "what waits is shown")
    asked = e.admin.get("approvals/" + page.run("location.hash").rsplit("/", 1)[1])
    assert (asked["kind"], asked["object"], asked["what"]["reason"]) == ("ca_revocation", "code-signing-1", "cessationOfOperation")
    d.go(page, "#/ca/code-signing-1")
    page.until("document.querySelector('main .head .state') && [...document.querySelectorAll('main .clear.due')].some((p) => p.innerText.includes('Waits for a second person: Revocation of CA'))")
    assert not page.run("[...document.querySelectorAll('main .head button')].some((b) => b.innerText === 'Ask for revocation')"), "it is not asked for twice"
    assert e.decide(asked, "approve")[0] == 200
    page.until("document.querySelector('main .head .state') && document.querySelector('main .head .state').innerText.includes('revoked')", "and the page says so")
    assert e.admin.get("ca/code-signing-1")["revocation_reason"] == "cessationOfOperation"
    viewer = d.page(e.principal("observer", ["viewer"]))
    d.go(viewer, "#/ca/service-1")
    viewer.sees("In force below this CA")
    assert viewer.run("document.querySelectorAll('main .head button').length") == 0
    d.clean(page, also=("403", "404"))
    d.clean(viewer, also=("404",))


OF_ROOT = """(() => {
  const real = window.fetch;
  window.fetch = (address, options) => (address !== '/api/v1/ca/root-1/rollover' || !window.phase ? real(address, options) : Promise.resolve(new Response(JSON.stringify({
    issuer_id: 'root-1', successor_id: 'root-2', phase: window.phase, emergency: false, code: null, cause: '', actor: 'admin', reason: 'its time', created_at: '2026-01-02T03:04:05Z',
    prepared_at: null, issuing_at: null, draining_at: null, ended_at: null, campaign_id: null, campaign_open: false, trust: {missing: 0, unproved: 0}, left: null, items: []}),
    {headers: {'content-type': 'application/json'}})));
})()"""


def test_a_root_gives_way_by_words_of_its_own(site):
    """What the same steps do to a root is something else, and an emergency is not among them."""
    e, d = site
    page = d.page(e.tokens["admin"])
    d.go(page, "#/ca/root-1")
    page.sees("This CA has no successor yet.")
    page.click("main button.danger", "Ask for a rollover")
    page.sees("Somebody made the next root on the signer’s host")
    assert not page.run("document.querySelectorAll('dialog input[type=checkbox]').length")
    page.press("Escape")
    page.run(OF_ROOT)
    for phase, next_, buttons in (
            ("trust", "hosts load the trust bundle with both roots", ["Go on", "Roll back"]), ("draining", "a person asks to retire the old CA", ["Go on", "Roll back", "Ask to retire it"]),
            ("retiring", "then hosts are given the trust bundle without it", []), ("retired", "hosts have forgotten the old root", [])):
        page.run(f"window.phase = {phase!r}")
        d.go(page, "#/ca")
        d.go(page, "#/ca/root-1")
        page.sees(next_)
        assert page.run("[...document.querySelectorAll('main section .row.push button')].map((b) => b.innerText)") == buttons, phase
        if phase == "draining":
            page.click("main button.danger", "Ask to retire it")
            page.sees("Close all that stands below root-1 for good?")
            page.sees("hosts are given the trust bundle without it: whoever shows them something of it is refused from then on. There is no way back.")
            page.press("Escape")
            page.until("!document.querySelector('dialog')")
    d.clean(page, also=("404",))


def test_dialogs_in_german_and_dark_and_narrow(site):
    """Each dialog that begins something: no English in the German one, nothing wider than its window, nothing serious from axe-core."""
    e, d = site
    page = d.page(e.tokens["admin"], "de")
    page.dark(True)
    page.size(400, 800)
    for view, button in (("#/campaigns", "Sammelerneuerung …"), ("#/campaigns", "Übung …"), ("#/campaigns", "Notfall …"), ("#/agents", "Host einladen …"),
                         ("#/templates/external_service", "Neue Version …"), ("#/ca/service-1", "Wechsel verlangen"), ("#/ca/root-1", "Wechsel verlangen"),
                         (f"#/certificates/{e.own.cert_id}", "Erneuern"), (f"#/certificates/{e.own.cert_id}", "Widerrufen")):
        d.go(page, view)
        page.click("main button", button)
        page.until("Boolean(document.querySelector('dialog[open] .foot'))", button)
        assert page.run("document.documentElement.scrollWidth <= 400 && document.querySelector('dialog').scrollWidth <= 400"), button
        found = dashboard.axe(page)
        assert not found, (button, found)
        text = page.run("[...document.querySelectorAll('dialog h2, dialog p, dialog button, dialog label')].map((e) => e.innerText).join(' ')")
        for word in (" the ", " and ", "Show", "Cancel", "Service", "Reason"):
            assert word not in text, (button, word, text)
        if dashboard.PICTURES:
            page.picture(os.path.join(dashboard.PICTURES, f"dialog-{button.split()[0]}-de-dark-400.png"))
        page.press("Escape")
        page.until("!document.querySelector('dialog')")
    d.clean(page, also=("404",))
