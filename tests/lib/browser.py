"""A headless Chromium, driven over its own pipe (DevTools protocol): pages, clicks, pictures, and all that a page asked for or complained about."""
import base64
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

DEADLINE = 60.0
# The engine without the desktop around it: a page costs it a tenth of the processor time, and one that nobody looks at costs it nothing.
SHELL = ("/usr/bin/chromium-headless-shell",)
# What has client certificates and a machine's policies.
WHOLE = ("/usr/bin/chromium", "--headless=new")
# Nothing that it does by itself may reach out of the machine, or change what a page looks like.
QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--disable-extensions", "--disable-default-apps", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio", "--disable-features=Translate,OptimizationHints,MediaRouter",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1", "--remote-debugging-pipe", "--lang=en-GB", "--force-color-profile=srgb")


class Browser:
    """`keys`: base64 of the SHA-256 of public keys whose certificates are taken as they are (the installation's own authority is unknown to it)."""

    def __init__(self, keys=(), identity=None):
        self.folder = tempfile.mkdtemp(prefix="vcc-browser-")
        if identity:
            self.give_identity(identity)
        self.answers, self.pages, self.number = {}, {}, 0
        self.changed = threading.Condition()
        to_read, self.to = os.pipe()
        self.source, from_write = os.pipe()
        argv = [*(WHOLE if identity else SHELL), *QUIET, f"--user-data-dir={self.folder}", f"--ignore-certificate-errors-spki-list={','.join(keys)}", "about:blank"]
        place = f"import os, sys; os.dup2({to_read}, 103); os.dup2({from_write}, 104); os.dup2(103, 3); os.dup2(104, 4); os.execv(sys.argv[1], sys.argv[1:])"
        with open(os.path.join(self.folder, "said"), "wb") as said:
            self.process = subprocess.Popen(["/usr/bin/python3", "-c", place, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                                            pass_fds=(to_read, from_write), start_new_session=True, env=dict(os.environ, HOME=self.folder, TZ="UTC"))
        os.close(to_read)
        os.close(from_write)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def give_identity(self, pkcs12):
        """A client certificate with its key, in the store where this browser looks for its user's."""
        store = os.path.join(self.folder, ".pki", "nssdb")
        os.makedirs(store)
        subprocess.run(["certutil", "-d", "sql:" + store, "-N", "--empty-password"], check=True, capture_output=True, timeout=60)
        subprocess.run(["pk12util", "-d", "sql:" + store, "-i", pkcs12, "-W", "", "-K", ""], check=True, capture_output=True, timeout=60)

    def read(self):
        text = b""
        while True:
            try:
                piece = os.read(self.source, 1 << 16)
            except OSError:
                piece = b""
            if not piece:
                break
            text += piece
            *whole, text = text.split(b"\0")
            for message in whole:
                self.take(json.loads(message))
        with self.changed:
            self.answers["end"] = True
            self.changed.notify_all()

    def take(self, message):
        with self.changed:
            if "id" in message:
                self.answers[message["id"]] = message
            elif page := self.pages.get(message.get("sessionId")):
                page.hear(message["method"], message["params"])
            self.changed.notify_all()

    def ask(self, method, session=None, **params):
        with self.changed:
            self.number += 1
            number = self.number
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        with self.changed:
            assert self.changed.wait_for(lambda: number in self.answers or "end" in self.answers, DEADLINE), f"{method}: no answer"
            assert number in self.answers, f"{method}: the browser has ended"
            answer = self.answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def page(self, context=None):
        """The first and the last few stay; others are shut, because a dashboard that nobody looks at goes on drawing."""
        with self.changed:  # what is still said of them is heard by nobody
            shut = [self.pages.pop(session) for session in list(self.pages)[1:-3]]
        for old in shut:
            self.ask("Target.closeTarget", targetId=old.target)
        target = self.ask("Target.createTarget", url="about:blank", **({"browserContextId": context} if context else {}))["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target)
        with self.changed:
            self.pages[session] = page
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.ask(f"{domain}.enable")
        return page

    def stranger(self):
        """A page without the cookies of the others."""
        return self.page(self.ask("Target.createBrowserContext")["browserContextId"])

    def keep_downloads(self, page, folder):
        """What the page gives to its user becomes files of this folder."""
        info = page.ask("Target.getTargetInfo")["targetInfo"]
        self.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=folder, browserContextId=info["browserContextId"])

    def close(self):
        try:
            os.write(self.to, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
            self.process.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait(20)
        self.reader.join(20)
        for fd in (self.to, self.source):
            os.close(fd)
        shutil.rmtree(self.folder, ignore_errors=True)


class Page:
    """`complaints`: what the console, the content policy or an uncaught error said; `asked`: every address that was asked for; `paused`: what waits by
    Fetch.enable for what becomes of it."""

    def __init__(self, browser, session, target):
        self.browser, self.session, self.target = browser, session, target
        self.complaints, self.asked, self.refused, self.paused = [], [], [], []

    def ask(self, method, **params):
        return self.browser.ask(method, self.session, **params)

    def hear(self, method, p):
        if method == "Runtime.exceptionThrown":
            self.complaints.append(p["exceptionDetails"].get("exception", {}).get("description") or p["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(a.get("value", a.get("description"))) for a in p["args"]))
        elif method == "Log.entryAdded" and p["entry"]["level"] == "error":
            self.complaints.append(f"{p['entry']['source']}: {p['entry']['text']} {p['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.asked.append((p["request"]["method"], p["request"]["url"]))
        elif method == "Network.loadingFailed" and not p.get("canceled"):
            self.refused.append(p["errorText"])
        elif method == "Fetch.requestPaused":
            self.paused.append(p)

    def run(self, script):
        """The value of a JavaScript expression; a promise is awaited."""
        r = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in r, (script[:200], r["exceptionDetails"])
        return r["result"].get("value")

    def until(self, script, what=None, seconds=DEADLINE):
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"{what or script}: not within {seconds:.0f} s; the page says: {self.text()[:1500]} {self.complaints[-5:]}"
            time.sleep(0.05)
        return value

    def text(self):
        return self.run("document.body ? document.body.innerText : ''") or ""

    def open(self, url):
        self.ask("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'", url)

    def sees(self, text):
        return self.until(f"document.body && document.body.innerText.includes({json.dumps(text)})", f"{text!r} is seen")

    def click(self, selector, text=None):
        """The first visible element of the selector (with this text), as a person would: by the mouse, where it is."""
        found = f"[...document.querySelectorAll({json.dumps(selector)})].find((e) => e.checkVisibility() && !e.disabled" + (f" && e.textContent.trim() === {json.dumps(text)}" if text else "") + ")"
        self.until(f"Boolean({found})", f"{selector} {text or ''}")
        x, y = self.until(f"(async () => {{ const place = () => {{ const e = {found}, r = e && e.getBoundingClientRect(); return r ? [r.x + r.width / 2, r.y + r.height / 2] : null; }};"
                          f" const e = {found}; if (e) e.scrollIntoView({{block: 'center'}}); const before = place(); await new Promise((done) => setTimeout(done, 20)); const now = place();"
                          " return before && now && before[0] === now[0] && before[1] === now[1] && now; })()", f"{selector} {text or ''} stays where it is")
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def write(self, selector, text):
        self.until(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); if (!e || !e.checkVisibility()) return false; e.focus(); e.select && e.select(); return document.activeElement === e; }})()", selector)
        self.ask("Input.insertText", text=text)

    def press(self, key):
        code = {"Enter": 13, "Escape": 27, "Tab": 9, "End": 35, " ": 32}.get(key, 0)
        text = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def size(self, width, height):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def dark(self, on):
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if on else "light"}])

    def picture(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))
