"""The dashboard in a real browser, over an installation with hosts: does each view show what is, in both languages, light and dark, wide and narrow,
without a complaint, an outside request, a sideways scroll or a serious finding of axe-core? VCC_PICTURES=DIR keeps a picture of each."""
import json
import os
import shlex
import subprocess
import time

import dashboard
import pytest
from conftest import new_folder
from installation import wait_for

PICTURES = dashboard.PICTURES


@pytest.fixture(scope="module")
def site():
    with dashboard.estate(new_folder("views")) as both:
        yield both


@pytest.fixture(scope="module")
def admin(site):
    e, d = site
    return d.page(e.tokens["admin"])


def views(e):
    own = e.own.cert_id
    order = e.admin.get(f"renewals?cert_id={own}")["items"][0]["renewal_id"]
    return {"overview": "#/overview", "certificates": "#/certificates", "search": "#/certificates?q=clara", "certificate": f"#/certificates/{own}", "renewals": "#/renewals",
            "renewal": f"#/renewals/{order}", "campaigns": "#/campaigns", "campaign": f"#/campaigns/{e.campaign}", "approvals": "#/approvals",
            "approval": f"#/approvals/{e.asked['approval_id']}", "agents": "#/agents", "agent": f"#/agents/{e.own.name}", "targets": "#/targets", "services": "#/services",
            "service": "#/services/argus", "templates": "#/templates", "template": "#/templates/clara_service_auth?with=1", "crypto": "#/crypto", "ca": "#/ca", "one ca": "#/ca/service-1", "report": "#/reports?period=weekly",
            "report rows": "#/reports/rows?figure=total_certificates&period=weekly", "audit": "#/audit",
            "notices": "#/notices", "principals": "#/principals", "explain": "#/explain/VCC-3168"}


# ---- every view ----

@pytest.mark.parametrize("language", ["en", "de"])
def test_every_view_in_light_and_dark_wide_and_narrow(site, language):
    e, d = site
    page = d.page(e.tokens["admin"], language)
    for name, path in views(e).items():
        d.go(page, path)
        dashboard.settle(page)
        for dark in (False, True) if language == "en" or name == "overview" else (False,):
            page.dark(dark)
            for width, height in sorted(((1280, 900), (400, 800)), reverse=not dark):
                page.size(width, height)
                page.until(f"innerWidth === {width} && document.documentElement.dataset.theme === '{'dark' if dark else 'light'}'")
                wide = page.run("document.documentElement.scrollWidth")
                assert wide <= width, f"{name}: {wide} pixels at {width}"
                if PICTURES:
                    page.picture(os.path.join(PICTURES, f"{name}-{language}-{'dark' if dark else 'light'}-{width}.png"))
            if language == "en" or name in ("overview", "certificate", "report"):
                found = dashboard.axe(page)
                assert not found, (name, dark, found)
    d.clean(page, also=("/rollover",))  # a CA that never gave way has none


HUNDRED_THOUSAND = """(() => {
  const real = window.fetch, row = (n) => ({cert_id: 'c' + String(n).padStart(6, '0'), service: 's', agent: 'a', names: [], status: 'active', served: true, expires_at: null, renew_at: null, open_order: null});
  window.asked = 0;
  window.fetch = (address, options) => {
    if (!address.startsWith('/api/v1/certificates?q=many&')) return real(address, options);
    window.asked++;
    const from = Number(new URLSearchParams(address.split('?')[1]).get('cursor') || 0);
    const body = {items: Array.from({length: 200}, (_, i) => row(from + i)), next_cursor: from + 200 < 100000 ? String(from + 200) : null};
    return Promise.resolve(new Response(JSON.stringify(body), {headers: {'content-type': 'application/json'}}));
  };
})()"""


def test_a_long_list_is_no_long_page(site):
    """A hundred thousand rows, page by page as somebody scrolls: what is in the document are those that are seen, and they are the right ones."""
    e, d = site
    page = d.page(e.tokens["admin"])
    page.run(HUNDRED_THOUSAND)
    d.go(page, "#/certificates?q=many")
    rows, box = "[...document.querySelectorAll('.certs .scroll .line')]", "document.querySelector('.certs .scroll')"
    page.until(f"{rows}.length > 5 && {rows}[0].textContent.includes('c000000')")
    assert page.run("window.asked") <= 2, "nothing is asked for before somebody comes near"
    page.until(f"(() => {{ {box}.scrollTop = {box}.scrollHeight; return document.querySelector('.certs .end').textContent.includes('that is all'); }})()", "the end is reached", 600)
    page.until(f"{rows}.some((r) => r.textContent.includes('c099999'))", "the last one is seen")
    assert page.run("window.asked") == 500 and page.run(f"{rows}.length") < 80
    page.run(f"{box}.scrollTop = 50000 * 46")
    page.until(f"{rows}.some((r) => r.textContent.includes('c050000'))", "the one in the middle")
    assert page.run(f"{rows}.every((r, i, all) => i === 0 || Number(all[i].textContent.slice(1, 7)) === Number(all[i - 1].textContent.slice(1, 7)) + 1)")
    d.clean(page)


def test_what_a_view_gives_to_a_shell_works_there(site, admin):
    """The command that stands below each view, and the address behind it."""
    e, d = site
    admin.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    for name, path in views(e).items():
        d.go(admin, path)
        dashboard.settle(admin)
        admin.until("Boolean(document.querySelector('.foot code'))", name)
        command = shlex.split(admin.run("document.querySelector('.foot code').textContent"))
        assert command[0] == "vccctl"
        done = subprocess.run([*e.inst.vccctl_argv, *command[1:]], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (name, command, done.stderr)
        line = dashboard.copied(admin, "curl")
        assert line.startswith("curl --cacert ca.pem ") and line.endswith("'"), line
        address = line.rsplit("'", 2)[1].removeprefix(d.url)
        assert e.admin("GET", address)[0] == 200, (name, address)
        admin.run("window.copied = null")


def test_a_view_has_an_address(site, admin):
    """Opened anew by its address, it is the same view."""
    e, d = site
    d.go(admin, f"#/certificates/{e.own.cert_id}")
    admin.sees("Issued")
    admin.ask("Page.reload")
    admin.until("document.readyState === 'complete' && Boolean(document.querySelector('.four'))")
    admin.sees(e.own.cert_id)
    d.go(admin, "#/no/such")
    admin.sees("There is no such view")
    d.go(admin, "#/overview")


def test_without_a_session_there_is_only_the_login(site):
    _, d = site
    page = d.page()
    page.sees("Access token")
    page.write("input[name=token]", "vcc_pat_wrong")
    page.click("button.first")
    page.sees("VCC-3100")
    assert page.run("document.querySelector('input[name=token]').value") == ""
    assert not dashboard.axe(page)


def tab_to(page, selector, most=60):
    """The Tab key alone, until what has the focus is this; and whoever looks sees where it is."""
    for _ in range(most):
        if page.run(f"document.activeElement.matches({selector!r})"):
            assert page.run("getComputedStyle(document.activeElement).outlineStyle !== 'none'"), selector
            return
        page.press("Tab")
    raise AssertionError(f"{selector}: not within {most} steps; the focus is on {page.run('document.activeElement.outerHTML.slice(0, 200)')}")


def test_a_renewal_by_the_keyboard_alone(site):
    """From the overview to the certificate, through its dialog and out again: no mouse."""
    e, d = site
    page, before = d.page(e.tokens["admin"]), e.inst.certificate(e.own.cert_id)["serial"]
    page.press("g")
    page.press("z")
    page.until(f"[...document.querySelectorAll('.certs .scroll a')].some((a) => a.hash === '#/certificates/{e.own.cert_id}')")
    tab_to(page, f".certs a[href='#/certificates/{e.own.cert_id}']")
    page.press("Enter")
    page.until("Boolean(document.querySelector('.four')) && Boolean(document.querySelector('main .head button.first'))")
    tab_to(page, "main .head button.first")
    page.press("Enter")
    page.until("Boolean(document.querySelector('dialog[open]'))")
    for _ in range(20):  # the focus stays in the dialog, or is the browser's
        page.press("Tab")
        assert page.run("document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))")
    page.press("Escape")
    page.until("!document.querySelector('dialog') && document.activeElement.matches('main .head button.first')", "the focus is where it was")
    page.press("Enter")
    page.until("Boolean(document.querySelector('dialog[open]'))")
    tab_to(page, "dialog input[name=force]")
    page.press(" ")
    assert page.run("document.querySelector('dialog input[name=force]').checked")
    tab_to(page, "dialog button.first")
    page.press("Enter")
    page.until("!document.querySelector('dialog')", "it was ordered")
    wait_for("it is renewed", lambda: (c := e.inst.certificate(e.own.cert_id))["serial"] != before and not c["open_order"])
    d.clean(page)


def test_what_needs_somebody_is_found_by_its_number(site):
    """A host that went away and files that somebody changed: the overview counts them, its link lists exactly these, page by page, and vccctl the same."""
    e, d = site
    page = d.page(e.tokens["admin"])
    tls = os.path.join(e.own.dir, "service", "tls", "current", "chain.pem")
    with open(tls, "a", encoding="ascii") as f:
        f.write("\n")
    wait_for("it was noticed", lambda: e.admin.get("overview")["attention"]["changed_files"])
    for host in (e.own, e.foreign):
        host.processes["agent"].stop()
    try:
        wait_for("both are away", lambda: e.admin.get("overview")["agents_connected"] == 0)
        for path, link, shown, rows in (("#/agents?show=away", "agents?connected=no", ["agent", "list", "--away"], [e.foreign.name, e.own.name]),
                                        ("#/targets?show=changed", "targets?show=changed", ["target", "list", "--changed"], [e.own.cert_id])):
            d.go(page, "#/overview")
            page.click(f".needs a[href={json.dumps(path)}]")
            page.until(f"JSON.stringify([...document.querySelectorAll('.list .scroll .line a:first-child b')].map((b) => b.innerText)) === {json.dumps(json.dumps(rows, separators=(',', ':')))}", path)
            assert shlex.split(page.run("document.querySelector('.foot code').textContent")) == ["vccctl", *shown]
            listed = e.inst.vccctl(*shown)
            assert [row.get("name", row.get("cert_id")) for row in (listed if isinstance(listed, list) else listed["items"])] == rows
            found, cursor = [], ""
            for _ in rows:
                answer = e.admin.get(f"{link}&limit=1{cursor}")
                found += [row.get("name", row.get("cert_id")) for row in answer["items"]]
                cursor = f"&cursor={answer['next_cursor']}" if answer["next_cursor"] else ""
            assert found == rows, (link, found)
        assert e.admin.get("targets?show=trouble")["items"] == []
    finally:
        for host in (e.own, e.foreign):
            host.processes["agent"].start()
    wait_for("both are back", lambda: e.admin.get("overview")["agents_connected"] == 2)
    assert e.admin.get("agents?connected=no")["items"] == []
    d.clean(page)


def test_keyboard_and_search(site, admin):
    e, d = site
    d.go(admin, "#/overview")
    admin.run("document.activeElement.blur()")
    admin.press("g")
    admin.press("z")
    admin.until("location.hash === '#/certificates' && Boolean(document.querySelector('.certs .scroll'))", "the list is there, not only its address")
    admin.press("/")
    assert admin.run("document.activeElement.id") == "search"
    admin.write("#search", e.own.cert_id)
    admin.press("Enter")
    admin.until(f"location.hash.includes('q={e.own.cert_id}') && document.querySelectorAll('.certs .scroll .line').length === 1", "one is found")
    admin.run("document.activeElement.blur()")
    admin.press("?")
    admin.until("Boolean(document.querySelector('dialog[open]'))")
    admin.press("Escape")
    admin.until("!document.querySelector('dialog[open]')")
