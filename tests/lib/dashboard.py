"""A dashboard to look at: an installation with hosts, a browser, and what its pages must never do."""
import base64
import contextlib
import hashlib
import json
import os
import shlex
import shutil
import ssl
import subprocess
import time

from browser import Browser
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from installation import ROOT, wait_for
from rights_estate import Estate

AXE = os.path.join(ROOT, "tests", "web")
PICTURES = os.environ.get("VCC_PICTURES")  # a folder for them


def key_hash(certificate):
    """As Chromium wants it: base64 of the SHA-256 of the public key."""
    spki = certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


def served_key(address):
    host, port = address.split(":")
    return key_hash(x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode()))


class Dashboard:
    def __init__(self, inst, keys=(), browser=Browser):
        self.inst, self.url = inst, inst.admin_url
        self.address = self.url.split("//")[1]
        self.browser = browser([served_key(self.address), *keys])

    def page(self, token=None, language="en", stranger=True):
        """A page in which somebody is logged in."""
        page = self.browser.stranger() if stranger else self.browser.page()
        page.size(1280, 900)
        page.ask("Emulation.setLocaleOverride", locale="de-DE" if language == "de" else "en-GB")
        page.ask("Page.addScriptToEvaluateOnNewDocument", source=f"localStorage.getItem('vcc-language') || localStorage.setItem('vcc-language', '{language}')")
        page.open(self.url + "/")
        if token:
            self.login(page, token)
        return page

    def login(self, page, token):
        page.write("input[name=token]", token)
        page.click("button.first")
        page.until("Boolean(document.querySelector('main#main h1'))", "somebody is logged in")

    def go(self, page, path, seen="main#main h1"):
        page.run(f"location.hash = {path!r}")
        page.until(f"location.hash === {path!r} && Boolean(document.querySelector({seen!r})) && !document.querySelector('main .problem')", path)

    def clean(self, page, also=()):
        """Nothing was complained about since the last time, and nobody else was asked."""
        complaints = [c for c in page.complaints if not any(word in c for word in also)]
        assert not complaints, complaints
        others = [url for _, url in page.asked if not url.startswith((self.url + "/", "data:", "about:", "blob:"))]
        assert not others, others
        page.complaints.clear()
        page.asked.clear()

    def close(self):
        self.browser.close()


def axe(page):
    """Serious and critical findings of axe-core. The content policy lets no script of others in: it is evaluated from outside."""
    path = os.path.join(AXE, "node_modules", "axe-core", "axe.min.js")
    if page.run("typeof window.axe") == "undefined":
        with open(path, encoding="utf-8") as f:
            page.ask("Runtime.evaluate", expression=f.read())
    found = page.run("axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations.filter((v) => ['serious', 'critical'].includes(v.impact))"
                     ".map((v) => v.id + ': ' + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + ' ' + (n.any[0] ? n.any[0].message : '')).join(' | ')))")
    return found


def modules():
    """axe-core by its lock file."""
    subprocess.run([os.path.join(ROOT, "scripts", "web-modules"), AXE], check=True, timeout=300)


LIFE = "/api/v1/certificates/lifecycle"


def self_signed(path):
    """A certificate for another server on this machine, and the hash of its key."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path + ".key", "-out", path], check=True, capture_output=True)
    with open(path, "rb") as f:
        return key_hash(x509.load_pem_x509_certificate(f.read()))


@contextlib.contextmanager
def estate(folder, settings=None):
    """(estate, dashboard): two hosts of two services, one needing the other; a campaign that is over, and a target that waits for an approval."""
    modules()
    e = Estate(folder, {"controller.limits.max_renewals_default": "0", **(settings or {})})
    d = None
    try:
        e.folder = folder
        e.add_hosts()
        e.waiting = e.second_target(e.own, "other.clara.vcc.internal")
        e.admin("POST", "/api/v1/services", {"name": "argus", "depends_on": ["clara"]})
        e.campaign = e.admin("POST", LIFE + "/bulk-renewal", {})[1]["campaign_id"]
        wait_for("the campaign is over", lambda: e.admin.get(f"campaigns/{e.campaign}")["completed_at"])
        e.asked = wait_for("a target waits for an approval", lambda: e.request(e.waiting))
        d = Dashboard(e.inst, [self_signed(os.path.join(folder, "hostile.pem"))])
        yield e, d
    finally:
        if d:
            d.close()
        e.stop()
        shutil.rmtree(folder, ignore_errors=True)


def settle(page):
    """What the view asked for is there."""
    page.until("!document.querySelector('main .problem') && [...document.querySelectorAll('main > *')].some((e) => !e.matches('.head, .foot, .filters, p.muted'))"
               " && ![...document.querySelectorAll('main p.muted, main .end')].some((p) => /^(Wird geladen|Loading)/.test(p.textContent))")


def shell(page):
    """What the open dialog gives to a shell: the words of vccctl, and the body that curl sends."""
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.run("window.copied = null")
    page.click("dialog .foot button", "curl")
    page.until("Boolean(window.copied)")
    words = shlex.split(page.run("window.copied"))
    return shlex.split(page.run("document.querySelector('dialog .foot code').textContent")), json.loads(words[words.index("-d") + 1])


def choose(page, name, value):
    """As a person does in the open dialog: the browser tells of both at once."""
    page.run(f"(() => {{ const s = document.querySelector('dialog select[name={name}]'); s.value = {json.dumps(value)}; for (const kind of ['input', 'change']) s.dispatchEvent(new Event(kind, {{bubbles: true}})); }})()")


def copied(page, button):
    """What the button copies; what arrives meanwhile may move it away from below the mouse."""
    end = time.monotonic() + 60
    while not (line := page.run("window.copied")):
        assert time.monotonic() < end, page.text()[:1500]
        page.click(".foot button", button)
        time.sleep(0.2)
    return line
