"""Does a browser that has a client certificate of the purpose `admin` open a session by it: the real browser, its own store, its own handshake?"""
import json
import os
import shutil
import subprocess

import mounts
import pytest
from browser import Browser
from conftest import new_folder
from dashboard import Dashboard, axe, modules
from installation import wait_for
from rights_estate import Estate

pytestmark = pytest.mark.skipif(mounts.cannot() != "", reason=mounts.cannot())


@pytest.fixture(scope="module")
def estate():
    folder = new_folder("certificate")
    e = Estate(folder)
    try:
        modules()
        e.folder = folder
        e.add_hosts()
        yield e
    finally:
        e.stop()
        shutil.rmtree(folder, ignore_errors=True)


def identity(e, name):
    """A PKCS #12 file of a certificate of the purpose `admin`, issued for a principal to a host that is managed."""
    files = os.path.join(e.login_target(e.own, name), "current")
    request = wait_for("a request", lambda: e.request(name))
    assert e.decide(request, "approve")[0] == 200
    wait_for("it is issued", lambda: e.inst.certificate(name)["serial"] and os.path.exists(files), 90)
    path = os.path.join(e.folder, name + ".p12")
    subprocess.run(["openssl", "pkcs12", "-export", "-in", os.path.join(files, "fullchain.pem"), "-inkey", os.path.join(files, "key.pem"), "-name", name, "-passout", "pass:", "-out", path],
                   check=True, capture_output=True, timeout=60)
    return path


def choose_by_policy(address):
    """There is nobody to choose a certificate in a dialog: a policy of the machine does, in a file system that this process alone sees."""
    mounts.tmpfs("/etc/chromium")
    os.makedirs("/etc/chromium/policies/managed")
    with open("/etc/chromium/policies/managed/vcc.json", "w", encoding="utf-8") as f:
        json.dump({"AutoSelectCertificateForUrls": [json.dumps({"pattern": address, "filter": {}})]}, f)


def test_a_browser_logs_in_by_its_certificate_and_proves_it_again(estate):
    """Without a token: the page, a change, what needs a fresh proof; and when the certificate is revoked the session is over."""
    e = estate
    e.principal("ivan", ["admin"], person="ivan")
    file = identity(e, "ivan")
    choose_by_policy(e.inst.admin_url)
    d = Dashboard(e.inst, browser=lambda keys: Browser(keys, identity=file))
    try:
        page = d.page(stranger=False)
        page.click("button", "Log in with a client certificate")
        page.until("Boolean(document.querySelector('main#main h1'))", "somebody is logged in")
        page.sees("ivan")
        assert page.run("fetch('/api/v1/whoami').then((r) => r.json()).then((w) => w.by)") == "client certificate"
        d.go(page, "#/campaigns")
        page.click("main .head button", "Drill …")
        page.until("[...document.querySelectorAll('dialog select[name=which] option')].some((o) => o.value === 'clara')", "the services are offered")
        page.run("(() => { const s = document.querySelector('dialog select[name=which]'); s.value = 'clara'; s.dispatchEvent(new Event('input', {bubbles: true})); })()")
        page.click("dialog button.first", "Show the plan")
        page.sees("The client certificate of this session is shown once more.")
        assert not axe(page)
        page.click("dialog button.first", "Confirm")
        page.until("Boolean(document.querySelector('dialog .plan'))", "its plan")
        page.click("dialog button", "Cancel")
        assert e.admin("POST", "/api/v1/certificates/ivan/revoke", {"reason": "keyCompromise"})[0] == 200
        page.run("location.hash = '#/certificates'")
        page.sees("The session is over")
        page.click("button", "Log in with a client certificate")
        page.until("/VCC-\\d{4}/.test(document.body.innerText)", "a revoked one opens none")
        d.clean(page, also=("401", "403"))
    finally:
        d.close()
