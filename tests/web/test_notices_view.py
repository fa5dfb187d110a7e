"""Notices in a real browser: how each stands, who has it, what became of its messages, and does somebody take one over or keep it quiet by clicks? And does a
page say so when the controller does not answer any more, and when a table is wider than its window?"""
import json
import os
import signal
import subprocess

import dashboard
import pytest
from conftest import new_folder
from rights_estate import Api

PICTURES = dashboard.PICTURES


@pytest.fixture(scope="module")
def site():
    with dashboard.estate(new_folder("noticesview")) as both:
        yield both


def rows_of(page):
    """{heading: text} of each row that is seen."""
    return page.run("[...document.querySelectorAll('.notes .scroll .line')].map((r) => Object.fromEntries([...r.children].map((c) => [c.dataset.top, c.innerText.replace(/\\s+/g, ' ').trim()])))")


def of(e, notice_id):
    return e.admin.get(f"notifications/{notice_id}")


def beyond(page, width):
    """Everything of each row that is seen, its times and buttons as well, stands within its list, and nothing scrolls sideways."""
    out = page.run("[...document.querySelectorAll('.list')].flatMap((l) => [...l.querySelectorAll('.line > *, .line > * button, .line > * time')].filter((c) => c.checkVisibility()"
                   " && (c.getBoundingClientRect().right > l.getBoundingClientRect().right + 1 || c.getBoundingClientRect().width < 1)).map((c) => (c.dataset.top || '') + ': ' + c.innerText))")
    assert not out, (width, out)
    assert page.run("[...document.querySelectorAll('.list, .list .scroll')].every((e) => e.scrollWidth <= e.clientWidth + 1) && document.documentElement.scrollWidth <= innerWidth"), width


# ---- as the controller has it ----

def test_one_is_snoozed_and_taken_over_by_clicks(site):
    """The same as vccctl does; who has it is shown to whoever may read the trail, and who may not do it is not offered it."""
    e, d = site
    n = next(x for x in e.admin.get("notifications?state=queued")["items"] if x["event"] == "approval_waiting")
    assert (n["standing"], n["acknowledged_by"], n["messages"], n["delivered"]) == ("open", None, 0, 0)
    page = d.page(e.tokens["admin"])
    d.go(page, "#/notices")
    row = "[...document.querySelectorAll('.notes .scroll .line')].find((r) => r.innerText.includes(%s))" % json.dumps(n["object"])
    page.until(f"Boolean({row})")
    assert page.run("[...document.querySelectorAll('.notes .top span')].map((s) => s.innerText)") == ["Event", "Level", "Error", "State", "Delivered", "Time", "Act"]
    page.click(f".notes button[aria-label^='Snooze: '][aria-label$='{n['object']}']")
    dashboard.choose(page, "for", "1d")
    assert dashboard.shell(page) == (["vccctl", "notify", "snooze", n["notification_id"], "--for", "1d"], {"for": "1d"})
    assert not dashboard.axe(page)
    page.click("dialog button.first", "Snooze")
    page.until(f"!document.querySelector('dialog') && {row} && {row}.innerText.includes('snoozed')", "it is said in the list")
    assert of(e, n["notification_id"])["standing"] == "snoozed" and of(e, n["notification_id"])["snoozed_until"]
    page.click(f".notes button[aria-label^='Acknowledge: '][aria-label$='{n['object']}']")
    page.write("dialog input[name=reason]", "I look at it")
    assert dashboard.shell(page) == (["vccctl", "notify", "ack", n["notification_id"], "--reason", "I look at it"], {"reason": "I look at it"})
    page.click("dialog button.first", "Acknowledge")
    page.until(f"!document.querySelector('dialog') && {row} && {row}.innerText.includes('acknowledged')", "it is said in the list")
    who = e.admin.get("whoami")["principal"]
    told = of(e, n["notification_id"])
    assert (told["standing"], told["acknowledged_by"]) == ("acknowledged", who) and told["acknowledged_at"]
    page.until(f"{row}.innerText.includes({json.dumps('by ' + who)})")
    assert not page.run(f"Boolean({row}.querySelector('button'))"), "nothing is left to do"
    assert [r["reason"] for r in e.admin.get(f"audit?object={n['notification_id']}&event=notification_acknowledged")["items"]] == ["I look at it"]
    shown = subprocess.run([*e.inst.vccctl_argv, "notify", "list"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert any(n["object"] in line and "acknowledged" in line for line in shown.splitlines()) and "queued" not in shown, shown
    token = e.principal("onlooker", ["viewer"])
    for seen in (Api(e.inst, token).get(f"notifications/{n['notification_id']}"),
                 next(x for x in Api(e.inst, token).get("notifications")["items"] if x["notification_id"] == n["notification_id"])):
        assert (seen["standing"], seen["acknowledged_by"]) == ("acknowledged", None), "a name stands in the trail, and that is not for everybody"
    onlooker = d.page(token)
    d.go(onlooker, "#/notices")
    onlooker.until(f"Boolean({row}) && {row}.innerText.includes('acknowledged')")
    assert not onlooker.run("Boolean(document.querySelector('.notes button'))") and "Act" not in onlooker.run("document.querySelector('.notes .top').innerText")
    d.clean(page)
    d.clean(onlooker)


# ---- every standing ----

PLAYED = """(() => {
  const real = window.fetch, at = '2027-01-02T03:04:05Z';
  const row = (id, standing, more) => ({notification_id: id, at, level: 'error', event: 'renewal_failed', state: standing === 'closed' ? 'closed' : 'queued', key: id, service: 'clara', object: id + '-web',
    renewal_id: null, code: 'VCC-2203', error: 'the pid file does not name a process of the service', recipients: [], detail: null, count: 3, last_at: at, closed_at: standing === 'closed' ? at : null, channels: ['team'],
    acknowledged_at: null, snoozed_until: null, next_reminder_at: null, reminders: 0, escalations: 0, standing, acknowledged_by: null, messages: 4, delivered: 3, ...more});
  const rows = [row('a', 'open'), row('b', 'acknowledged', {acknowledged_at: at, acknowledged_by: 'petra.example'}), row('c', 'snoozed', {snoozed_until: at}), row('d', 'closed', {messages: 0, delivered: 0})];
  window.listed = [];
  window.fetch = (address, options) => {
    if (!address.startsWith('/api/v1/notifications?')) return real(address, options);
    window.listed.push(address);
    const items = address.includes('state=queued') ? rows.slice(0, 3) : rows;
    return Promise.resolve(new Response(JSON.stringify({items, next_cursor: null}), {headers: {'content-type': 'application/json'}}));
  };
})()"""

WORDS = {"en": ("Closed ones as well", ["open", "acknowledged", "snoozed", "closed"], "by petra.example", "3 of 4", "no message"),
         "de": ("Auch geschlossene", ["offen", "übernommen", "ruht", "geschlossen"], "von petra.example", "3 von 4", "keine Nachricht")}


@pytest.mark.parametrize("language", ["en", "de"])
def test_each_standing_wide_and_narrow(site, language):
    """Open ones at first; closed ones when somebody wants them. What is said is seen at any width: nothing of a row is cut away."""
    e, d = site
    box, standings, by, some, none = WORDS[language]
    page = d.page(e.tokens["admin"], language)
    page.run(PLAYED)
    d.go(page, "#/notices")
    page.until("document.querySelectorAll('.notes .scroll .line').length === 3", "open ones alone")
    assert all("state=queued" in address for address in page.run("window.listed"))
    page.click(".filters input[type=checkbox]")
    page.until("document.querySelectorAll('.notes .scroll .line').length === 4", box)
    page.sees(box)
    rows = [list(r.values()) for r in rows_of(page)]
    for r, standing in zip(rows, standings):
        assert standing in r[3], rows
    assert by in rows[1][3] and "2027" in rows[1][3] and "2027" in rows[2][3] and [r[4] for r in rows] == [some] * 3 + [none]
    for width, height in ((1280, 900), (1024, 768), (720, 800), (400, 800)):
        page.size(width, height)
        page.until(f"innerWidth === {width} && document.querySelectorAll('.notes .scroll .line').length === 4")
        page.until("new Set([...document.querySelectorAll('.notes .scroll .line')].map((r) => r.offsetHeight)).size === 1"
                   " && Math.abs(document.querySelector('.notes .scroll > div').offsetHeight - 4 * document.querySelector('.notes .scroll .line').offsetHeight) < 2", "each row has the room that the list counts with")
        cut = page.run("[...document.querySelectorAll('.notes .scroll .line')].flatMap((r) => [...r.children].filter((c) => c.scrollHeight > c.clientHeight + 3 || c.scrollWidth > c.clientWidth + 1"
                       " || c.getBoundingClientRect().bottom > r.getBoundingClientRect().bottom + 1 || !c.checkVisibility()).map((c) => c.dataset.top + ': ' + c.innerText))")
        if PICTURES:
            page.picture(os.path.join(PICTURES, f"notices-{language}-{width}.png"))
        assert not cut, (width, cut)
        beyond(page, width)
        assert page.run("[...document.querySelectorAll('.notes .scroll .line')].filter((r) => r.querySelectorAll('button').length > 0).length") == 2, "the acts of what is open or snoozed"
        assert page.run("[...document.querySelectorAll('.notes .scroll .line')].every((r) => r.innerText.includes('VCC-2203'))")
        assert page.run("document.documentElement.scrollWidth") <= width
        assert not dashboard.axe(page)
    d.clean(page)


@pytest.mark.parametrize("path", ["certificates", "targets", "agents", "renewals", "campaigns", "approvals", "principals", "notices"])
def test_no_column_is_cut_away(site, path):
    """At sizes between wide and narrow, with the navigation beside the list and without."""
    e, d = site
    page = d.page(e.tokens["admin"])
    d.go(page, "#/" + path)
    page.until("document.querySelectorAll('.list .scroll .line').length > 0")
    for width in (1280, 1024, 970, 800, 720):
        page.size(width, 768)
        page.until(f"innerWidth === {width} && Math.abs(document.querySelector('.list .scroll > div').offsetHeight / document.querySelector('.list .scroll .line').offsetHeight % 1) < .01",
                   "the list counts with the height that a row has")
        beyond(page, width)
    d.clean(page)


# ---- what is wider than the window ----

@pytest.mark.parametrize("path", ["#/overview", "#/reports?period=weekly"])
def test_a_table_that_is_wider_than_the_window_says_so(site, path):
    """With an edge and in words, until its end is seen; the keyboard reaches it."""
    e, d = site
    page = d.page(e.tokens["admin"])
    page.size(400, 800)
    d.go(page, path)
    page.until("[...document.querySelectorAll('main .wide')].length > 0")
    found = "[...document.querySelectorAll('main .wide')].find((w) => w.checkVisibility() && w.scrollWidth > w.clientWidth + 1 && (w.querySelector('.heat') || w.getAttribute('aria-label') === 'Services'))"
    page.until(f"Boolean({found})")
    edge = lambda side: f"parseFloat(getComputedStyle({found})['border{side}Width']) >= 3"
    page.until(f"{edge('Right')} && {found}.parentElement.innerText.includes('scroll sideways')")
    assert page.run(f"[{found}.tabIndex, {found}.getAttribute('role'), Boolean({found}.getAttribute('aria-label'))]") == [0, "region", True]
    if PICTURES:
        page.picture(os.path.join(PICTURES, f"wide-{path[2:6]}.png"))
    page.run(f"{found}.scrollLeft = 100000")
    page.until(f"{edge('Left')} && !({edge('Right')})", "the last column is seen")
    page.size(1280, 900)
    page.until("[...document.querySelectorAll('main .wide')].filter((w) => w.querySelector('.heat')).every((w) => w.scrollWidth <= w.clientWidth + 1 && !/more-/.test(w.parentElement.className))")
    d.clean(page)


# ---- German ----

def test_a_token_that_is_none_is_refused_in_german(site):
    _, d = site
    page = d.page(language="de")
    page.write("input[name=token]", "vcc_pat_wrong")
    page.click("button.first")
    page.sees("das ist kein ganzer vcc_pat_-Token")


# ---- nobody answers: the last test ----

@pytest.mark.parametrize("roles,alive", [(["auditor"], "● Live"), (["viewer"], "Refreshed every 10 s")])
def test_a_controller_that_hangs_is_not_live(site, roles, alive):
    """The connection stands and nothing comes: the page says since when, a view that is opened meanwhile says why there is nothing and what to do, and all is well again after it."""
    e, d = site
    page = d.page(e.principal(f"watcher-{roles[0]}", roles))
    page.sees(alive)
    controller = e.inst.processes["controller"]
    controller.popen.send_signal(signal.SIGSTOP)
    try:
        page.run("location.hash = '#/certificates'")
        page.until("/did not answer for \\d+ s/.test(document.querySelector('main').innerText) && document.querySelector('main .problem').innerText.includes('systemctl status vcc-controller')"
                   " && !document.querySelector('main').innerText.includes('Loading')", "the view says what is the matter")
        page.until("/Connection interrupted, last heard \\d+ s ago/.test(document.querySelector('header').innerText)", "it is live no more", 90)
        first = int(page.run("document.querySelector('header').innerText.match(/heard (\\d+) s/)[1]"))
        page.until(f"Number(document.querySelector('header').innerText.match(/heard (\\d+) s/)[1]) > {first}", "it grows")
        page.click("header button[lang=de]")
        page.until("/Verbindung unterbrochen, zuletzt gehört vor \\d+ s/.test(document.querySelector('header').innerText)")
        page.click("header button[lang=en]")
    finally:
        controller.popen.send_signal(signal.SIGCONT)
    page.until(f"document.querySelector('header').innerText.includes({json.dumps(alive)}) && !document.querySelector('main .problem') && document.querySelectorAll('.certs .scroll .line').length > 0", "it goes on", 90)
