"""The report in a real browser, by clicks: does it say what the API says, does each figure lead to its rows, and are the files that it gives somebody
what vccctl makes and checks?"""
import csv
import io
import json
import os
import subprocess
import time
import urllib.parse

import dashboard
import pytest
from conftest import new_folder
from installation import wait_for

DAY_S = 86400


@pytest.fixture(scope="module")
def site():
    with dashboard.estate(new_folder("reports")) as both:
        e, _ = both
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 40 * DAY_S))
        status, body = e.admin("POST", "/api/v1/reports/exceptions", {"rule": rule_of(e), "template_id": "clara_service_auth", "owner": "platform lead",
                                                                      "reason": "until the <b>new</b> appliance is there", "until": until})
        assert status == 200, body
        yield both


def rule_of(e):
    """A rule about certificates that is judged."""
    report = e.admin.get("reports/compliance")
    return next(r["id"] for p in report["compliance"] for r in p["rules"] if r["about"] == "certificates" and p["certificates"] > 0 and r["result"] != "not_assessable")


@pytest.fixture(scope="module")
def auditor(site):
    e, d = site
    page = d.page(e.principal("reader", ["auditor"]))
    page.folder = os.path.join(e.folder, "downloads")
    os.makedirs(page.folder)
    d.browser.keep_downloads(page, page.folder)
    return page


def in_shell(e, *words):
    return subprocess.run([*e.inst.vccctl_argv, *words], capture_output=True, text=True, check=True, timeout=60).stdout


def downloaded(page, ending):
    """The text of the file that the page gives, whole."""
    def there():
        names = [n for n in os.listdir(page.folder) if n.endswith(ending)]
        return names and os.path.join(page.folder, names[0])
    path = wait_for(f"a file {ending}", there)
    with open(path, encoding="utf-8", newline="") as f:
        return path, f.read()


def shown_figures(page):
    """{figure: number}; those that are worked out of others stand behind them."""
    rows = page.run("[...document.querySelectorAll('main dl.figures > div')].map((d) => [d.querySelector('a').hash, d.querySelector('dd').innerText])")
    return {hash_.split("figure=")[1].split("&")[0]: text for hash_, text in reversed(rows)}


def test_a_report(site, auditor):
    """From the overview to the report of a week, its figures, a figure's rows, and one of these."""
    e, d = site
    d.go(auditor, "#/overview")
    auditor.click("nav.side a[href='#/reports']")
    auditor.until("Boolean(document.querySelector('select[name=period]') && document.querySelector('dl.figures'))", "the report is made")
    auditor.run("(() => { const s = document.querySelector('select[name=period]'); s.value = 'weekly'; s.dispatchEvent(new Event('change', {bubbles: true})); })()")
    auditor.until("location.hash === '#/reports?period=weekly' && Boolean(document.querySelector('dl.figures'))")
    said = e.admin.get("reports/compliance?period=weekly")
    figures = shown_figures(auditor)
    for name, n in said["summary"].items():
        assert figures[name] == f"{n:,}", (name, figures)
    assert auditor.run("document.querySelectorAll('details.card').length") == len(said["compliance"]) >= 3
    auditor.sees(said["statement"])
    total = said["summary"]["total_certificates"]
    auditor.click("dl.figures a[href*='figure=total_certificates']")
    auditor.until(f"document.querySelectorAll('.figures-rows .scroll .line').length === {total}", "a row for each certificate")
    auditor.click(f".figures-rows a[href='#/certificates/{e.own.cert_id}']")
    auditor.until("Boolean(document.querySelector('.four'))", "the certificate itself")
    d.clean(auditor)


def test_each_figure_has_as_many_rows_as_it_says(site, auditor):
    e, d = site
    said = e.admin.get("reports/compliance?period=weekly")
    for figure in ("active_certificates", "renewals_completed", "expiring_soon", "emergency_recertifications"):
        d.go(auditor, f"#/reports/rows?figure={figure}&period=weekly")
        dashboard.settle(auditor)
        n = said["summary"].get(figure, said["risk_assessment"].get(figure))
        auditor.until(f"document.querySelectorAll('.figures-rows .scroll .line').length === {n} && !document.querySelector('.end').innerText.includes('Loading')", figure)
    d.clean(auditor)


def test_rules_say_how_they_were_kept(site, auditor):
    """Each rule has its result as a word; an exception says who answers for it, why and until when, and markup in it is text."""
    e, d = site
    d.go(auditor, "#/reports?period=daily")
    auditor.until("Boolean(document.querySelector('details.card'))")
    auditor.run("for (const x of document.querySelectorAll('details.card')) x.open = true")
    results = {r["id"]: r["result"] for p in e.admin.get("reports/compliance?period=daily")["compliance"] for r in p["rules"]}
    words = dict(auditor.run("[...document.querySelectorAll('table.rules tbody tr')].map((r) => [r.cells[0].innerText.trim(), r.cells[3].innerText.trim()])"))
    assert {name: text.split("\n")[-1].lstrip("●✗○▲ ") for name, text in words.items()} == {k: v.replace("_", " ") for k, v in results.items()}
    auditor.sees("until the <b>new</b> appliance is there")
    auditor.sees("platform lead")
    d.go(auditor, "#/crypto")
    auditor.sees("until the <b>new</b> appliance is there")
    d.clean(auditor)


ELSEWHERE = """(() => {
  const real = window.fetch, row = {rule: 'x-9', template_id: 'gone', source: 'own', in_force: true, owner: 'lead', reason: 'why', until: '2027-01-02T00:00:00Z'};
  window.fetch = async (address, options) => {
    const answer = await real(address, options);
    if (address !== '/api/v1/reports/exceptions') return answer;
    const body = await answer.json();
    return new Response(JSON.stringify({...body, exceptions: [row, ...body.exceptions]}), {headers: {'content-type': 'application/json'}});
  };
})()"""


def test_an_exception_that_is_changed_stays_about_its_rule(site):
    """Also where no rule of the report is the one that it is about, and no template the one that it names."""
    e, d = site
    page = d.page(e.tokens["admin"])
    page.run(ELSEWHERE)
    d.go(page, "#/reports?period=daily")
    page.click("main button[aria-label='Change the exception of x-9 for gone']")
    page.until("document.querySelectorAll('dialog select[name=template_id] option').length > 1", "the templates are offered")
    words, body = dashboard.shell(page)
    assert words[:5] == ["vccctl", "report", "except", "x-9", "gone"] and (body["rule"], body["template_id"]) == ("x-9", "gone")
    assert page.run("document.querySelectorAll('dialog select[name=rule] option').length") > 1
    page.press("Escape")
    d.clean(page)


def test_an_exception_is_made_and_ended_by_clicks(site, auditor):
    """From the rule that it is about, with reason, owner and end; it is in force at once and in the trail; changed; ended. Who only reads is offered none of it."""
    e, d = site
    page = d.page(e.tokens["admin"])
    rule, template = rule_of(e), "external_service"
    own = lambda: [x for x in e.admin.get("reports/exceptions")["exceptions"] if (x["rule"], x["template_id"]) == (rule, template)]
    d.go(page, "#/reports?period=daily")
    page.until("Boolean(document.querySelector('details.card'))")
    page.run("for (const x of document.querySelectorAll('details.card')) x.open = true")
    page.click(f"table.rules button[aria-label='Exception of rule {rule} …']")
    page.until(f"[...document.querySelectorAll('dialog select[name=template_id] option')].some((o) => o.value === '{template}')", "the templates are offered")
    assert page.run("document.querySelector('dialog select[name=rule]').value") == rule
    dashboard.choose(page, "template_id", template)
    page.write("dialog input[name=reason]", "the partner <i>needs</i> it")
    page.write("dialog input[name=owner]", "a@b.example")
    page.click("dialog button.first", "Make the exception")
    assert not own() and page.run("!document.querySelector('dialog form').checkValidity()"), "an owner is a role"
    page.write("dialog input[name=owner]", "integration lead")
    until = page.run("document.querySelector('dialog input[name=until]').value") + "T00:00:00Z"
    body = {"rule": rule, "template_id": template, "owner": "integration lead", "reason": "the partner <i>needs</i> it", "until": until}
    assert dashboard.shell(page) == (["vccctl", "report", "except", rule, template, "--owner", "integration lead", "--until", until, "--reason", body["reason"]], body)
    assert not dashboard.axe(page)
    page.click("dialog button.first", "Make the exception")
    page.until(f"[...document.querySelectorAll('main table tr')].some((r) => r.innerText.includes('{template}') && r.innerText.includes('integration lead') && r.innerText.includes('in force'))", "it is in the list")
    assert [{k: x[k] for k in body} for x in own()] == [body]
    page.sees("the partner <i>needs</i> it")
    page.click(f"main button[aria-label='Change the exception of {rule} for {template}']")
    page.write("dialog input[name=owner]", "security lead")
    page.click("dialog button.first", "Make the exception")
    page.until("[...document.querySelectorAll('main table tr')].some((r) => r.innerText.includes('security lead'))", "it is changed")
    assert [x["owner"] for x in own()] == ["security lead"]
    page.click(f"main button[aria-label='End the exception of {rule} for {template}']")
    page.write("dialog input[name=reason]", "not needed any more")
    words, sent = dashboard.shell(page)
    assert (words, sent) == (["vccctl", "report", "except", rule, template, "--end", "--reason", "not needed any more"], {"rule": rule, "template_id": template, "reason": "not needed any more"})
    page.click("dialog button.danger", "End")
    page.until("!document.querySelector('dialog') && ![...document.querySelectorAll('main table tr')].some((r) => r.innerText.includes('security lead'))", "it is gone")
    assert not own()
    trail = [r["event"] for r in e.admin.get(f"audit?object={template}&limit=20")["items"]]
    assert trail.count("compliance_exception_made") == 2 and trail.count("compliance_exception_ended") == 1
    d.go(auditor, "#/reports?period=daily")
    auditor.until("Boolean(document.querySelector('details.card'))")
    assert "until the <b>new</b> appliance is there" in auditor.text() and not auditor.run("[...document.querySelectorAll('main button')].some((b) => b.innerText.includes('Exception'))")
    d.clean(page)
    d.clean(auditor)


def test_the_files_are_what_vccctl_makes(site, auditor):
    e, d = site
    span = ("2026-01-01T00:00:00Z", time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() + DAY_S)))
    d.go(auditor, "#/reports")
    auditor.until("Boolean(document.querySelector('dl.figures'))")
    auditor.run("(() => { const s = document.querySelector('select[name=period]'); s.value = 'range'; s.dispatchEvent(new Event('change', {bubbles: true})); })()")
    for name, day in zip(("from", "to"), span):
        auditor.until(f"Boolean(document.querySelector('input[name={name}]'))")
        auditor.run(f"document.querySelector('input[name={name}]').value = '{day[:10]}'")
    auditor.click(".filters button", "Show")
    auditor.until("location.hash.includes('from=') && Boolean(document.querySelector('dl.figures'))")
    for button, ending in (("JSON", ".json"), ("CSV", ".csv"), ("Print version", ".html")):
        auditor.click("main .head button", button)
        downloaded(auditor, ending)
    made = e.inst.vccctl("report", "compliance", "--from", span[0], "--to", span[1])
    told = json.loads(downloaded(auditor, ".json")[1])
    sheet = list(csv.reader(io.StringIO(downloaded(auditor, ".csv")[1])))
    sheet_made = list(csv.reader(io.StringIO(in_shell(e, "report", "compliance", "--from", span[0], "--to", span[1], "-o", "csv"))))
    assert told["summary"] == made["summary"] and list(told) == list(made)
    assert [row[0] for row in sheet] == [row[0] for row in sheet_made]
    paper = downloaded(auditor, ".html")[1]
    assert paper.startswith("<!doctype html>") and "until the &lt;b&gt;new&lt;/b&gt; appliance is there" in paper and "<script" not in paper and "<b>new" not in paper
    reader = d.browser.stranger()
    reader.open("data:text/html;charset=utf-8," + urllib.parse.quote(paper))
    assert reader.run("document.querySelectorAll('h2').length") >= 4 and told["statement"] in reader.text()
    d.clean(auditor)


def test_evidence_is_what_vccctl_checks(site, auditor):
    """Of a certificate from its own view, of a campaign from the report; a name that is none is refused as it is elsewhere."""
    e, d = site
    d.go(auditor, f"#/certificates/{e.own.cert_id}")
    auditor.until("Boolean(document.querySelector('.steps'))", "all is there, and nothing moves below the mouse")
    auditor.click("main button", "Evidence pack")
    d.go(auditor, "#/reports")
    auditor.write("form.evidence input", e.campaign)
    auditor.click("form.evidence button")
    for name in (e.own.cert_id, e.campaign):
        path, _ = downloaded(auditor, f"vcc-evidence-{name}.json")
        done = subprocess.run([*e.inst.vccctl_argv, "audit", "verify", path], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (name, done.stdout, done.stderr)
    d.clean(auditor)
    auditor.write("form.evidence input", "nobody")
    auditor.click("form.evidence button")
    auditor.until("document.querySelector('main .problem') && /VCC-\\d{4}/.test(document.querySelector('main .problem').innerText)")
    d.clean(auditor, also=("404",))


def test_a_report_in_german_has_no_english(site, auditor):
    e, d = site
    page = d.page(e.tokens["admin"], "de")
    d.go(page, "#/reports?period=yearly")
    page.until("Boolean(document.querySelector('details.card'))")
    page.run("for (const x of document.querySelectorAll('details')) x.open = true")
    text = page.run("(() => { const main = document.querySelector('main').cloneNode(true); main.querySelectorAll('.rules .muted, .tip, .wrote, .foot').forEach((e) => e.remove()); return main.textContent; })()")
    for word in ("certificates", "passed", "failed", "the ", "not assessable", "Exception", "period"):  # sources and what people wrote are as they are
        assert word not in text, (word, text[max(0, text.index(word) - 100):][:200])
    assert "Compliance-Bericht" in text and "Technischer Nachweis" in text
    d.clean(page)


def test_who_may_not_read_it_is_not_offered_it(site):
    e, d = site
    page = d.page(e.principal("onlooker", ["viewer"]))
    assert not page.run("Boolean(document.querySelector('nav.side a[href=\"#/reports\"]'))")
    d.go(page, f"#/certificates/{e.own.cert_id}")
    page.until("Boolean(document.querySelector('.four'))")
    assert "Evidence pack" not in page.text()
    limited = d.page(e.principal("limited", ["auditor"], ["clara"]))
    assert not limited.run("Boolean(document.querySelector('nav.side a[href=\"#/reports\"]'))")
    d.clean(page)
    d.clean(limited)


def test_revocations_by_their_serials(site, auditor):
    """Each row says which certificate and why, the report says how many, and on paper it is the same."""
    e, d = site
    serial = e.inst.certificate(e.foreign.cert_id)["serial"]
    status, body = e.admin("POST", f"/api/v1/certificates/{e.foreign.cert_id}/revoke", {"reason": "keyCompromise", "confirm": True})
    assert status in (200, 202), body
    said = wait_for("it counts", lambda: (r := e.admin.get("reports/compliance?period=weekly"))["revocations"]["other"] and r)
    d.go(auditor, "#/reports?period=weekly")
    auditor.until("Boolean(document.querySelector('dl.figures'))")
    figures = shown_figures(auditor)
    assert [figures[name] for name in ("revocations", "revocations_superseded", "revocations_other")] == [str(said["revocations"][key]) for key in ("total", "superseded", "other")]
    auditor.click("main .head button", "Print version")
    row = f"<td>revocations for another reason</td><td>{said['revocations']['other']}</td>"
    wait_for("it is on paper", lambda: any(row in open(os.path.join(auditor.folder, n), encoding="utf-8").read() for n in os.listdir(auditor.folder) if n.endswith(".html")))
    auditor.click("dl.figures a[href*='figure=revocations_other']")
    auditor.until(f"document.querySelectorAll('.figures-rows .scroll .line').length === {said['revocations']['other']}")
    rows = auditor.run("[...document.querySelectorAll('.figures-rows .scroll .line')].map((r) => r.innerText)")
    assert any(serial in row and "key compromised" in row for row in rows) and not any("Installation" in row for row in rows), rows
    d.clean(auditor)
