"""Has what the controller says its German: each code that a view can show, each sentence beside one, each event, state and kind by its name? A code, sentence or
name that is new fails here until it has. And does a page in German show it, with the English still to be had?"""
import json
import os
import re

import dashboard
import pytest
from conftest import new_folder
from installation import ROOT
from test_texts import WEB, source, table

CODE_TABLES = ("german_hosts.js", "german_codes.js")

# Codes that no view shows, and why.
NOT_SHOWN = {
    "frames between our programs; the log of whoever refused one has it": range(1100, 1200),
    "packages: on the host's terminal": (1312,),
    "vcc-agent discover, manage and unmanage: on the host's terminal": range(2400, 2500),
    "vcc-agent doctor: on the host's terminal": range(2700, 2800),
    "vcc-agent join: on the host's terminal": (3205,),
    "connections: in the log of a gateway": range(3300, 3400),
    "a root's ceremony: on the terminal of the signer's host": (3415, 3416, 3417),
    "shares of the passphrase: on the terminal of the signer's host": (3418, 3419, 3420, 3421),
    "vccctl itself": range(3500, 3600),
    "vccctl audit verify": (3753, 3754, 3755, 3756, 3757, 3760, 3986),
    "relying parties": (3803,),
    "the page of a link in a notification, which has words of its own (notice_words.c)": (3965, 3966, 3970),
    "vccctl restore and its drill, on the controller's host": (3903, 3904, 3909, 3988, 3989),
    "rules, when the controller starts": (3980,),
}

# Where sentences are made that a view shows: plans, halts, renewals, approvals, CAs, rights, logins, and what hosts say of a swap.
SAYING = """
controller/core: policy.c policy_change.c campaign_flow.c selector.c depends.c waves.c
controller/daemon: plan_outlook.c campaign_json.c order_terms.c rollover_ask.c rollovers.c rollover_root.c campaign_plan.c campaign_waves.c campaign_once.c campaign_empty.c
controller/daemon: campaigns.c campaign_drills.c campaign_send.c login_cert.c api_session.c api_identity.c operate.c people.c approvals.c exceptions.c api_exceptions.c api_ca.c
controller/daemon: policy_edit.c signer_client.c api_certificates.c api_lifecycle.c api_revocation.c api_approvals.c api_campaigns.c api_rollover.c
agent/keeper: answer_check.c care_act.c content.c copies.c file_proof.c peer_judge.c peer_look.c place.c probe.c rehearse.c store_password.c swap.c tls_probe.c
agent/hook: drain.c
"""
# Of these: parts of a sentence, and answers to what a page never asks.
NO_SENTENCE = {
    "->", "{} -> {}", ", type {}", "it is {}{}", "at least", "({#} characters, sha256 {})", "{}{#} certificates and {#} identities in force would end with it",
    "there is no such {}", "a certificate of `{}` is served{}",
    ", which is not for this name", 'must be a list of texts like "10%"', "entry {#} is no text", "must be waiting or all", "must be no, or not be given",
    "this is not a cursor of ours", "only `paused` is a list of its own", "`{}` is none of scheduled, emergency, policy_update, service_update, manual",
    "`{}` is none of keyCompromise, superseded, cessationOfOperation, affiliationChanged, privilegeWithdrawn, unspecified",
}

LITERALS = r'"(?:[^"\\]|\\.)*"(?:\s*JSON_INTEGER_FORMAT)?(?:\s*"(?:[^"\\]|\\.)*")*'
REST = r'(?:[^;"]|"(?:[^"\\]|\\.)*")*;'
CALLS = (r"\b(?:refuse|answer_refuse|refused|api_refuse|halt|json_sprintf|json_string|count_rule|end_request|cancel|host_certs_\w+|text_cut|snprintf)\(" + REST
         + r"|return (?=\")" + REST + r"|cause = " + REST)


def plain(text):
    """A C literal, or several beside each other, as the table writes it: {#} for a number, {} for anything else."""
    text = "".join(part or "d" for part, _ in re.findall(r'"((?:[^"\\]|\\.)*)"|(JSON_INTEGER_FORMAT)', text))
    text = text.replace('\\"', '"').replace("%%", "\0")
    text = re.sub(r"%[-+0-9.]*(?:ll|z|h|l)?[du]", "{#}", text)
    return re.sub(r"%[-+0-9.]*[sxo]", "{}", text).replace("\0", "%").strip()


def sentences(path):
    text = re.sub(r"/\*.*?\*/", "", source(path), flags=re.S)
    found = {plain(m[0]) for call in re.finditer(CALLS, text) for m in re.finditer(LITERALS, call[0])}
    return {s for s in found if s.count(" ") >= 2 or s in NO_SENTENCE}


def js_rows(name, pattern):
    text = re.findall(pattern, source(os.path.join(WEB, name)), re.M)
    return [[part.replace("\\'", "'").replace("\\\\", "\\") for part in row] for row in text]


STRING = r"'((?:[^'\\]|\\.)*)'"


def german_codes():
    rows = [row for name in CODE_TABLES for row in js_rows(name, rf"^  (\d+): \[{STRING}, {STRING}, {STRING}\],$")]
    return {int(number): (what, same, todo) for number, what, same, todo in rows}


def said():
    return {english: german for english, german in js_rows("german_said.js", rf"^  \[{STRING}, {STRING}\],$")}


def registry():
    text = source(os.path.join(ROOT, "shared", "base", "err.def"))
    rows = re.findall(r'^ERR\((\d+), \w+, \w+, "((?:[^"\\]|\\.)*)", "((?:[^"\\]|\\.)*)"\)$', text, re.M)
    return {int(number): (what.replace('\\"', '"'), todo.replace('\\"', '"')) for number, what, todo in rows}


def commands(text):
    return {command.replace("DATEI", "FILE") for command in re.findall(r"`([^`]+)`", text)}


# ---- tables ----

def test_each_code_has_its_words_in_both_languages():
    codes, german = registry(), german_codes()
    lines = sum(len(re.findall(r"^  \d+: ", source(os.path.join(WEB, name)), re.M)) for name in CODE_TABLES)
    hidden = {n for numbers in NOT_SHOWN.values() for n in numbers}
    assert len(codes) > 300 and len(german) == lines, "each row is one line, and none is there twice"
    assert sorted(n for n in codes if n not in german and n not in hidden) == [], "without German"
    assert sorted(n for n in german if n not in codes or n in hidden) == [], "German for no code of a view"
    for n, (what, same, todo) in german.items():
        assert same == codes[n][0], f"{n}: the English is another one in err.def"
        assert what.strip() and todo.strip() and what != same, n
        assert commands(codes[n][1]) <= commands(todo), f"{n}: a command is missing"


def test_each_sentence_has_its_german():
    table_, seen = said(), set()
    assert len(table_) == len(re.findall(r"^  \[", source(os.path.join(WEB, "german_said.js")), re.M)) > 200, "each row is one line, and none is there twice"
    for folder, names in (line.split(": ") for line in SAYING.strip().splitlines()):
        for name in names.split():
            found = sentences(os.path.join(ROOT, folder, name))
            assert found, f"{name} says nothing any more"
            missing = sorted(s for s in found if s not in table_ and s not in NO_SENTENCE)
            assert not missing, (name, missing)
            seen |= found
    assert not NO_SENTENCE - seen, NO_SENTENCE - seen
    for english, german in table_.items():
        assert german.strip() and len(re.findall(r"\{#?\}", english)) == german.count("{}"), english


def test_each_name_has_its_words():
    """Events of the trail and of notices in German (in English a name is its own words), the reasons of records; states, steps, kinds and checks in both."""
    words = {name for name, _ in js_rows("german_words.js", rf"^  (\w+): {STRING},$")}
    events = re.findall(r"^\| `(\w+)` \|", source(os.path.join(ROOT, "docs", "audit.md")), re.M)
    notices = re.findall(r'\[NOTICE_\w+\] = "(\w+)"', source(os.path.join(ROOT, "shared", "model", "notice.c")).split("names[NOTICE_EVENT_COUNT]")[1].split("};")[0])
    assert len(events) > 90 and len(notices) > 20
    assert not [name for name in events + notices if name not in words]
    reasons = re.findall(r"^\| `\w+` \| [^|]* \| [^|]* \| ([^|]* [^|]*) \|$", source(os.path.join(ROOT, "docs", "audit.md")), re.M)
    given = {reason for reason, _ in js_rows("german_said.js", rf"^  {STRING}: {STRING},$")}
    assert len(set(reasons)) > 30 and not set(reasons) - given - {"vccctl init", "vccctl restore"}
    texts = table()

    def named(path, pattern, prefix, least, but=()):
        names = [name for name in re.findall(pattern, source(os.path.join(ROOT, path))) if name not in but]
        assert len(names) >= least, (path, prefix)
        assert not [name for name in names if prefix + name not in texts], prefix

    named("shared/model/order.c", r'\[STEP_\w+\] = "(\w+)"', "step_", 10)
    named("shared/model/rollover.c", r'\[ROLLOVER_\w+\] = "(\w+)"', "phase_", 7)
    named("shared/model/messages.c", r'\[RECEIPT_\w+\] = "(\w+)"', "outcome_", 6)
    named("shared/model/approval.c", r'\[APPROVAL_(?:ORDER|TARGET|PRINCIPAL|TOKEN|CAMPAIGN|CA_\w+|TEMPLATE|SERVICE)\] = "(\w+)"', "ask_of_", 10)
    named("shared/model/approval.c", r'\[APPROVAL_(?:WAITING|APPROVED|REJECTED|CANCELLED)\] = "(\w+)"', "approval_", 4)
    named("shared/model/certificate.c", r'\[CERT_\w+\] = "(\w+)"', "status_", 8)
    named("shared/model/agent.c", r'\[AGENT_\w+\] = "(\w+)"', "state_", 4)
    named("controller/daemon/api_system.c", r'add_check\(checks, "(\w+)"', "check_", 4)


# ---- in a browser ----

# Answers of the API with every code of the tables, as the controller would say it; everything else is asked for really.
PLAYED = """(() => {
  const real = window.fetch, codes = CODES, said = SAID, at = '2026-01-02T03:04:05Z';
  const order = ([n, what, next], i) => ({renewal_id: String(i), cert_id: 'c' + n, status: 'paused', renewal_trigger: 'scheduled', created_at: at, error: {code: 'VCC-' + n, message: what, next}});
  const notice = (event, i) => ({event, object: 'o' + i, level: 'error', code: null, error: null, count: 1, last_at: at, standing: 'open', messages: 0, delivered: 0});
  const answers = {
    '/api/v1/renewals?status=paused': () => ({items: codes.map(order), next_cursor: null}),
    '/api/v1/notifications': () => ({items: EVENTS.map(notice), next_cursor: null}),
    '/api/v1/status': () => ({status: 'not ready', checks: {store: 'failed', signer: 'failed', crl: 'failed', gateway: 'failed'}, warnings: codes.map(([n, what]) => 'VCC-' + n + ' ' + what)}),
    ...Object.fromEntries(said.map((_, i) => i).filter((i) => i % 100 === 0).map((i) => ['/api/v1/approvals/played-' + i, () => ({approval_id: 'played-' + i, kind: 'ca_rollover', object: 'service-1', status: 'waiting', requester: 'somebody', created_at: at, expires_at: at, hash: 'ff',
      you_may_decide: false, what: {issuer_id: 'service-1', emergency: true, does: said[i], warnings: said.slice(i, i + 100)}})])),
  };
  window.fetch = (address, options) => {
    const found = Object.keys(answers).find((path) => address === path || address.startsWith(path + (path.includes('?') ? '&' : '?')));
    return found ? Promise.resolve(new Response(JSON.stringify(answers[found]()), {headers: {'content-type': 'application/json'}})) : real(address, options);
  };
})()"""


@pytest.fixture(scope="module")
def site():
    with dashboard.estate(new_folder("german")) as both:
        yield both


def test_a_page_in_german_shows_no_english_that_has_its_german(site):
    e, d = site
    codes, german, sayings = registry(), german_codes(), said()
    filled = {re.sub(r"\{#?\}", lambda m: "7" if m[0] == "{#}" else "x-1", english): tongue for english, tongue in sayings.items()}
    page = d.page(e.tokens["admin"], "de")
    events = re.findall(r"^\| `(\w+)` \|", source(os.path.join(ROOT, "docs", "audit.md")), re.M)
    page.run(PLAYED.replace("CODES", json.dumps([[n, codes[n][0], codes[n][1]] for n in german])).replace("SAID", json.dumps(list(filled))).replace("EVENTS", json.dumps(events)))
    page.size(1280, 30000)  # every row of a list is seen
    english = [row[1] for row in german.values()] + [codes[n][1] for n in german] + [s for s in filled if s.count(" ") > 3] + [name.replace("_", " ") for name in events if "_" in name]
    for path, least in (("#/renewals?status=paused", len(german)), ("#/notices", len(events)), ("#/overview", len(german)),
                        *((f"#/approvals/played-{i}", min(100, len(filled) - i)) for i in range(0, len(filled), 100))):
        page.run(f"location.hash = {path!r}")
        page.until(f"document.querySelectorAll('main .line, main .clear, main li').length >= {least}", f"{path}: all of it is there")
        text = page.run("document.querySelector('main').innerText")
        assert not [s for s in english if s in text], (path, [s for s in english if s in text][:5])
        assert "VCC-2004" in text or path == "#/notices" or "played" in path, "the code stays"
        cut = page.run("[...document.querySelectorAll('main .list .scroll .long[title]')].map((c) => [c.textContent.trim(), c.title].map((s) => s.replaceAll('`', '')))")
        assert not [c for c in cut if not c[0].endswith(c[1].split("\n")[0])], (path, "a cell that may be cut short is told whole")
        if path.startswith("#/renewals"):
            assert {c[1].split("\n")[1] for c in cut} == {row[1].replace("`", "") for row in german.values()}, "and its English"
        assert page.run("document.querySelectorAll('main [lang=en]').length") == 0, (path, page.run("[...document.querySelectorAll('main [lang=en]')].map((e) => e.innerText).slice(0, 5)"))
    assert page.run("[...document.querySelectorAll('main span[title]')].some((s) => s.title && s.innerText !== s.title)"), "the English is told to whoever points at it"
    d.clean(page)


def test_a_refusal_in_german_and_as_it_came(site):
    """At the login, of a renewal and of a page that is not there; the English is one click away, and a code is explained in German."""
    e, d = site
    page = d.page(language="de")
    page.write("input[name=token]", "vcc_pat_wrong")
    page.click("button.first")
    page.sees("VCC-3100 Kein gültiger Zugangstoken")
    assert "no valid token" not in page.text()
    page.click(".problem summary")
    page.sees("no valid token")
    assert not dashboard.axe(page)
    d.clean(page, also=("401",))
    page = d.page(e.tokens["admin"], "de")
    d.go(page, f"#/certificates/{e.own.cert_id}")
    page.click("main .head button.first", "Erneuern")
    page.click("dialog button.first", "Erneuern")
    page.sees("VCC-3002 Das Zertifikat ist noch nicht fällig")
    page.click("dialog .problem a")
    page.until("location.hash === '#/explain/VCC-3002'")
    page.until("document.querySelector('main .facts') && document.querySelector('main .facts').innerText.includes('noch nicht fällig')")
    assert registry()[3002][1] not in page.text()
    page.run("location.hash = '#/certificates/nobody'")
    page.until("document.querySelector('main .problem') && document.querySelector('main .problem').innerText.includes('dieses Zertifikat gibt es nicht')")
    d.clean(page, also=("404", "409"))
