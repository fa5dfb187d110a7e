"""A dashboard to look at: an installation with hosts, a browser, and what its pages must never do."""
import base64
import hashlib
import os
import ssl
import subprocess

from browser import Browser
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from installation import ROOT

AXE = os.path.join(ROOT, "tests", "web")


def key_hash(certificate):
    """As Chromium wants it: base64 of the SHA-256 of the public key."""
    spki = certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


def served_key(address):
    host, port = address.split(":")
    return key_hash(x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode()))


class Dashboard:
    def __init__(self, inst, keys=()):
        self.inst, self.url = inst, inst.admin_url
        self.address = self.url.split("//")[1]
        self.browser = Browser([served_key(self.address), *keys])

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
        """Nothing was complained about, and nobody else was asked."""
        complaints = [c for c in page.complaints if not any(word in c for word in also)]
        assert not complaints, complaints
        others = [url for _, url in page.asked if not url.startswith((self.url + "/", "data:", "about:", "blob:"))]
        assert not others, others

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
