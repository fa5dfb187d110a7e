"""Can whoever was told of a matter take it over by the link in the message, and nobody by any other link, nor by looking at it? Are those who may approve told at their own addresses?"""
import base64
import glob
import http.client
import json
import os
import re
import signal
import ssl

import pytest
from campaign_fleet import LIFE, CampaignFleet, refused
from conftest import new_folder
from installation import wait_for, write
from receivers import Channels, HttpReceiver, MailReceiver

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
URL = "https://pki.example:8444"
LINK = re.compile(r"https://\S+/notice/[A-Za-z0-9_-]+")


class World(CampaignFleet):
    def prepare(self):
        certs = os.path.join(self.dir, "notify.d", "tls")  # within reach of a running controller
        self.hook, self.chat, self.mail, self.shut, self.open = HttpReceiver(certs), HttpReceiver(certs), MailReceiver(certs), HttpReceiver(certs), HttpReceiver(certs)
        c, allow = Channels(self.dir), "127.0.0.0/8"
        c.add("hook", channel={"kind": "webhook", "url": self.hook.url, "ca_file": self.hook.cert, "allow": allow})
        c.add("chat", channel={"kind": "webhook", "url": self.chat.url, "ca_file": self.chat.cert, "allow": allow}, webhook={"template": "ntfy", "topic": "pki"})
        c.add("mail", channel={"kind": "smtp", "url": f"smtp://127.0.0.1:{self.mail.port}", "ca_file": self.mail.cert, "allow": allow}, smtp={"from": "vcc-pki@vcc.internal"})
        self.channels = c
        self.alerts_go("shut", self.shut)
        self.alerts_go("open", self.open, link="yes")
        return self

    def alerts_go(self, name, receiver, **more):
        to = {"kind": "alertmanager", "url": receiver.url, "ca_file": receiver.cert, "allow": "127.0.0.0/8"}
        self.channels.add(name, channel=to, **({"alertmanager": more} if more else {}))

    def end(self):
        for r in (self.hook, self.chat, self.mail, self.shut, self.open):
            r.close()
        super().end()

    def ask(self, method, url, body=None, **headers):
        """(status, headers, text) from the admin listener, with nothing that says who asks."""
        context = ssl.create_default_context(cafile=os.path.join(self.state, "ca.pem"))
        connection = http.client.HTTPSConnection(self.admin_url.split("//")[1], context=context, timeout=30)
        try:
            connection.request(method, url[url.index("/notice/"):], body, {k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def submit(self, url, body="do=ack", **headers):
        return self.ask("POST", url, body, **{**FORM, **headers})

    def notice(self, notice_id):
        return self.admin.get(f"notifications/{notice_id}")

    def acts(self, notice_id):
        return [json.loads(d) for d, in self.rows("SELECT detail FROM audit WHERE object = ? AND event IN ('notification_acknowledged', 'notification_snoozed') ORDER BY seq", notice_id)]


@pytest.fixture(scope="module")
def world():
    folder = new_folder("people")
    settings = {"notify.dir": os.path.join(folder, "notify.d"), "notify.group_wait": "0s", "notify.group_interval": "0s", "notify.retry": "100ms", "schedule.tick": "100ms",
                "limits.max_renewals_default": "0", "limits.approval_share": "100%", "contacts.approver": "second@vcc.internal", "contacts.admin": "pki@vcc.internal"}
    w = World(folder, settings={f"controller.{k}": v for k, v in settings.items()})
    try:
        w.prepare().begin()
        w.edit_template("clara_service_auth", "--force", retry_interval="1s", max_renewal_attempts=1, renewal_threshold="30d", emergency_threshold="7d")
        w.played = {name: w.host_of(name) for name in ("c1", "c2", "c3", "c4", "c5")}
        yield w
    finally:
        w.end()


def settings_now(world, text):
    """Written beside the others and read again by the running controller."""
    log = world.processes["controller"].log
    before = os.path.getsize(log)
    write(f"{world.conf('controller')}.d/60-more.conf", text)
    os.kill(world.processes["controller"].pid, signal.SIGHUP)

    def said():
        with open(log) as f:
            f.seek(before)
            return (new := f.read()) and ("was read again" in new or "was not taken" in new) and new
    return wait_for("it says what became of it", said)


def trouble(world, name):
    """A matter that stays open: its id."""
    world.played[name].outcome = lambda h, m: "failed"
    status, answer = world.post(f"{LIFE}/renew/{name}-web", {"force": True})
    assert status == 202, answer
    wait_for("it gives up", lambda: world.admin.get(f"renewals/{answer['renewal_id']}")["status"] == "paused", 60, 0.1)
    n, = [n for n in world.admin.get("notifications?state=queued&service=clara")["items"] if n["key"]]
    return n["notification_id"]


def mend(world, *names):
    for name in names:
        world.played[name].outcome = lambda h, m: "ok"
        status, answer = world.post(f"{LIFE}/renew/{name}-web", {"force": True})
        wait_for("it is well", lambda a=answer: world.admin.get(f"renewals/{a['renewal_id']}")["status"] == "completed", 60, 0.1)


def hook_link(world, notice_id):
    """The newest that the webhook was sent."""
    found = [n.get("ack_url") for b in world.hook.bodies() for n in b["notifications"] if n["notification_id"] == notice_id]
    return found[-1] if found else None


def mails(world, notice_id):
    """[(recipients, text)] about the matter."""
    return [(to, text) for _, to, mail in list(world.mail.got) if notice_id in (text := MailReceiver.text(mail))]


def links(world, notice_id):
    """Of the webhook, and of the mail."""
    url = wait_for("the webhook is told", lambda: hook_link(world, notice_id))
    mail = wait_for("the mail comes", lambda: next((t for _, t in mails(world, notice_id) if LINK.search(t)), None))
    return url, LINK.search(mail)[0]


def test_without_an_address_there_is_no_link(world):
    n = trouble(world, "c1")
    wait_for("both are told", lambda: mails(world, n) and [b for b in world.hook.bodies() if n in json.dumps(b)])
    assert hook_link(world, n) is None and not any("/notice/" in text for _, text in mails(world, n))
    mend(world, "c1")
    for wrong in ("http://pki.example", "https://pki.example/", "https://", "https://a b", "https://pki.example/x?y"):
        assert "was not taken" in settings_now(world, f"[notify]\nlink_url = {wrong}\n")
    assert "was read again" in settings_now(world, f"[notify]\nlink_url = {URL}\n")


@pytest.fixture(scope="module")
def matter(world):
    """An open one, with the links that the webhook and the mail have of it."""
    n = trouble(world, "c1")
    return n, *links(world, n)


def test_looking_changes_nothing(world, matter):
    n, hook, mail = matter
    assert hook.startswith(URL + "/notice/") and mail.startswith(URL + "/notice/") and hook != mail
    before = world.notice(n)
    for url in (hook, mail):
        for method in ("GET", "HEAD", "GET"):
            status, headers, text = world.ask(method, url)
            assert status == 200 and headers["Cache-Control"] == "no-store" and "Set-Cookie" not in headers
            assert headers["Content-Security-Policy"] == "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    assert "c1-web" in text and "<script" not in text and text.count("<form") == 2 and "Nobody has taken it over" in text
    status, _, german = world.ask("GET", mail, Accept_Language="de-DE,de;q=0.9,en;q=0.8")
    assert status == 200 and '<html lang="de">' in german and '<html lang="en">' in text and "Die Meldung hat noch niemand übernommen" in german and "Erneuerung" in german and "renewal_" not in german and "Nobody" not in german
    values = re.compile(r' value="([^"]*)"')
    assert values.findall(german) == values.findall(text) and "c1-web" in german and "<script" not in german
    assert world.ask("GET", mail, Accept_Language="en-GB,de;q=0.5")[2] == text
    status, _, refusal = world.ask("GET", mail[:-1], Accept_Language="de")
    assert status == 403 and "VCC-3965" in refusal and "Dieser Link wurde nicht hier gemacht oder wurde verändert" in refusal
    after = world.notice(n)
    changing = ("count", "last_at", "reminders", "next_reminder_at")
    assert {k: v for k, v in after.items() if k not in changing} == {k: v for k, v in before.items() if k not in changing} and world.acts(n) == []
    assert world.ask("GET", hook, Sec_Fetch_Site="cross-site")[0] == 200  # from a mail that is read in a browser
    assert world.ask("GET", hook, Host="pki.example:8444")[0] == 200
    status, _, text = world.ask("GET", hook, Host="evil.example")
    assert status == 403 and "VCC-31" in text
    chat = [json.loads(b) for _, _, _, b in world.chat.got]
    assert any(b["click"].startswith(URL + "/notice/") for b in chat)


def test_only_our_own_form_counts(world, matter):
    n, url, _ = matter
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}, {"Host": "evil.example"},
                    {"Origin": URL}):  # another name than this request's
        status, _, text = world.submit(url, **headers)
        assert status == 403 and "VCC-31" in text, (headers, text)
    for body in ("", "do=", "do=ACK", "do=ack&snooze=4h", "snooze=99d", "snooze=4h&", "do=ack\0"):
        status, _, text = world.submit(url, body)
        assert status == 422 and "VCC-3104" in text, body
    assert world.submit(url, "do=ack" + "x" * 300)[0] == 413
    status, _, text = world.ask("POST", url, json.dumps({"do": "ack"}), Content_Type="application/json")
    assert status == 415 and "VCC-31" in text
    for method in ("PUT", "DELETE"):
        assert world.ask(method, url, "do=ack", **FORM)[0] == 405
    assert world.acts(n) == [] and world.notice(n)["acknowledged_at"] is None


def raw(url):
    text = url.rsplit("/", 1)[1]
    return bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def with_bytes(url, data):
    return url.rsplit("/", 1)[0] + "/" + base64.urlsafe_b64encode(bytes(data)).rstrip(b"=").decode()


def test_no_other_link_counts(world, matter):
    """Changed, forged, with the signature of another one, cut."""
    n, hook, mail = matter
    bad = [hook + "A", hook[:-1], URL + "/notice/", URL + "/notice/" + "A" * 139]
    for at in (0, 5, 12, 30, -40, -1):  # version, end, notification, recipient, signature
        data = raw(hook)
        data[at] ^= 1
        bad.append(with_bytes(hook, data))
    swapped = raw(hook)
    swapped[-32:] = raw(mail)[-32:]
    longer = raw(hook)
    longer[1:9] = (2 ** 60).to_bytes(8, "big")
    bad += [with_bytes(hook, swapped), with_bytes(hook, longer), with_bytes(hook, raw(hook)[:-32] + bytes(32))]
    for url in bad:
        for ask in (world.submit, lambda u: world.ask("GET", u)):
            status, _, text = ask(url)
            assert status in (403, 404) and ("VCC-3965" in text or status == 404) and "c1-web" not in text, (url, status, text)
    assert world.acts(n) == []
    key, = glob.glob(os.path.join(world.state, "**", "notice.key"), recursive=True)
    assert os.stat(key).st_mode & 0o777 == 0o600 and os.path.getsize(key) == 32
    with open(key, "rb") as f:
        secret = f.read()
    for store in glob.glob(os.path.join(world.state, "**", "vcc.db*"), recursive=True):
        with open(store, "rb") as f:
            assert secret not in f.read()


def test_a_snooze_and_an_acknowledgement_once_each(world, matter):
    n, hook, mail = matter
    own = {"Origin": "https://" + world.admin_url.split("//")[1], "Sec_Fetch_Site": "same-origin"}
    for _ in range(2):
        status, headers, _ = world.submit(hook, "snooze=4h", **own)
        assert status == 303 and headers["Location"] == hook[len(URL):]
    quiet = world.notice(n)["snoozed_until"]
    assert quiet and [a["by"] for a in world.acts(n)] == ["link"]
    assert world.submit(hook, "snooze=4h")[0] == 303 and world.notice(n)["snoozed_until"] == quiet
    assert "no reminders until" in world.ask("GET", hook)[2]

    assert world.submit(mail)[0] == 303
    taken = world.notice(n)["acknowledged_at"]
    for again in (mail, hook):
        assert world.submit(again)[0] == 303
        assert world.submit(again, "snooze=7d")[0] == 303
    shown = world.notice(n)
    assert taken and shown["acknowledged_at"] == taken and shown["snoozed_until"] == quiet and shown["next_reminder_at"] is None and len(world.acts(n)) == 2
    text = world.ask("GET", mail)[2]
    assert "Somebody has taken it over" in text and "<form" not in text
    snoozed, acked = (world.admin.get(f"audit?object={n}&event=notification_{e}")["items"] for e in ("snoozed", "acknowledged"))
    assert [(r["actor"], r["actor_id"]) for r in snoozed] == [("link:hook", None)]
    assert [r["actor"] for r in acked] == ["pki@vcc.internal"] and acked[0]["actor_id"].startswith("person:")


def test_a_matter_that_is_over(world, matter):
    n, hook, _ = matter
    mend(world, "c1")
    status, _, text = world.ask("GET", hook)
    assert status == 200 and "The matter is over" in text and "<form" not in text
    status, _, text = world.submit(hook)
    assert status == 409 and "VCC-3961" in text and len(world.acts(n)) == 2


def test_a_link_ends(world):
    assert "was read again" in settings_now(world, f"[notify]\nlink_url = {URL}\nlink_life = 1s\n")
    n = trouble(world, "c2")
    url, _ = links(world, n)
    wait_for("it has ended", lambda: world.ask("GET", url)[0] == 410)
    status, _, text = world.submit(url)
    assert status == 410 and "VCC-3966" in text and world.acts(n) == []
    mend(world, "c2")


def test_alertmanager_has_a_link_where_it_was_asked_for(world):
    """Its alerts are for whoever can read them: without a word in its channel there is none, with it one that names the channel."""
    assert "was read again" in settings_now(world, f"[notify]\nlink_url = {URL}\n")
    n = trouble(world, "c2")

    def alerts(receiver):
        """Of this matter, and of none that was before it."""
        return [a for b in receiver.bodies() for a in b if a["annotations"].get("object") == "c2-web" and a["startsAt"] == world.notice(n)["at"]]
    shut, with_link = (wait_for("it is told", lambda r=r: alerts(r)) for r in (world.shut, world.open))
    assert not [a for a in shut if "/notice/" in json.dumps(a)]
    url = with_link[-1]["annotations"]["ack_url"]
    assert url.startswith(URL + "/notice/") and raw(url)[9:25].hex() == n.replace("-", "") and not [a for a in with_link if "/notice/" in json.dumps(a["labels"])]
    for link, status in (("no", 403), ("yes", 200)):  # who thinks better of it takes back those that are out
        world.alerts_go("open", world.open, link=link)
        assert "was read again" in settings_now(world, f"[notify]\nlink_url = {URL}\n")
        assert world.ask("GET", url)[0] == status
    assert world.submit(url)[0] == 303 and world.notice(n)["acknowledged_at"]
    record, = world.admin.get(f"audit?object={n}&event=notification_acknowledged")["items"]
    assert record["actor"] == "link:open"
    assert not [a for a in alerts(world.shut) if "/notice/" in json.dumps(a)]
    mend(world, "c2")


def test_who_was_forgotten_takes_nothing_over(world):
    """A link is as good as whoever it was sent to: told of something here by a contact, a principal, a template or a channel, at the moment when it is used."""
    gina = "gina@vcc.internal"
    assert world.post("/api/v1/principals", {"name": "gina", "roles": ["viewer"], "mail": gina})[0] == 201
    assert "was read again" in settings_now(world, f"[notify]\nlink_url = {URL}\n[contacts]\nadmin = {gina}\n")
    n = trouble(world, "c3")
    hook, mail = links(world, n)
    chat = wait_for("the chat is told", lambda: next((c for b in reversed(world.chat.bodies()) if (c := b.get("click")) and "c3-web" in json.dumps(b)), None))

    def held(url):
        """By looking, by taking over and by keeping quiet alike; with nothing of the matter shown."""
        for status, _, text in (world.ask("GET", url), world.submit(url), world.submit(url, "snooze=4h")):
            assert status == 403 and "VCC-3970" in text and "c3-web" not in text, (status, text)
        assert "von nichts mehr benachrichtigt" in world.ask("GET", url, Accept_Language="de")[2]
        assert world.acts(n) == [] and world.notice(n)["acknowledged_at"] is None and world.notice(n)["snoozed_until"] is None
    assert world.ask("GET", mail)[0] == 200
    assert "was read again" in settings_now(world, f"[notify]\nlink_url = {URL}\n")  # a contact no more, but a principal
    assert world.ask("GET", mail)[0] == 200
    assert world.post("/api/v1/principals/gina", {"disabled": True})[0] == 200
    held(mail)
    world.edit_template("clara_service_auth", "--force", escalation_recipients=[gina])
    assert world.ask("GET", mail)[0] == 200
    world.edit_template("clara_service_auth", "--force", escalation_recipients=[])
    held(mail)
    assert world.cli("audit", "forget", "gina").returncode == 0
    held(mail)
    assert world.rows("SELECT name FROM audit_persons WHERE name IN ('gina', ?)", gina) == [], "the name does not come back by it"
    assert world.ask("GET", hook)[0] == 200 and world.ask("GET", chat)[0] == 200
    os.remove(os.path.join(world.dir, "notify.d", "chat.conf"))
    assert "was read again" in settings_now(world, f"[notify]\nlink_url = {URL}\n")
    held(chat)
    assert world.submit(hook)[0] == 303 and len(world.acts(n)) == 1
    mend(world, "c3")


# ---- who may approve ----

def approvals(world):
    return {a["approval_id"] for a in world.admin.get("approvals")["items"]}


def ask_for(world, name, **more):
    """A new approver, which a second person has to agree to: the request, and who was told of it."""
    status, answer = world.post("/api/v1/principals", {"name": name, "roles": ["approver"], **more})
    assert status == 202, answer
    request = answer["approval_id"]
    to = wait_for("a mail tells of it", lambda: next((to for _, to, m in list(world.mail.got) if f"approval_id: {request}" in MailReceiver.text(m)), None))
    return request, set(to)


def agree(world, request):
    a = world.approver.get(f"approvals/{request}")
    assert world.post(f"/api/v1/approvals/{request}/approve", {"hash": a["hash"]}, world.approver)[0] == 200


def test_those_who_may_approve_are_told_at_their_own_addresses(world):
    request, to = ask_for(world, "eva", person="eva", mail="eva@vcc.internal")
    assert to == {"second@vcc.internal"}, "nobody has an address yet"
    agree(world, request)
    request, to = ask_for(world, "vera", person="vera", mail="vera@vcc.internal", services=["vpb"])
    assert to == {"second@vcc.internal", "eva@vcc.internal"}
    agree(world, request)
    done = world.cli("principal", "set-role", "approver", "--mail", "first@vcc.internal", "-o", "json")
    assert done.returncode == 0 and json.loads(done.stdout)["mail"] == "first@vcc.internal", done.stderr
    request, to = ask_for(world, "otto")
    assert to == {"second@vcc.internal", "eva@vcc.internal", "first@vcc.internal"}, "who decides for another service is not told"
    assert world.post(f"/api/v1/approvals/{request}/reject", {"hash": world.approver.get(f"approvals/{request}")["hash"]}, world.approver)[0] == 200
    assert world.cli("principal", "disable", "eva").returncode == 0
    assert world.cli("principal", "set-role", "approver", "--mail", "none").returncode == 0
    assert world.admin.get("principals/approver")["mail"] is None
    _, to = ask_for(world, "olga")
    assert to == {"second@vcc.internal"}
    details = " ".join(d for d, in world.rows("SELECT detail FROM audit WHERE event LIKE 'principal%'"))
    assert "@" not in details and '"mail":true' in details.replace(" ", ""), "whether, never which"


def test_what_is_no_address(world):
    for wrong in ("", "x", "a@b, c@d", "a@b\nBcc: c@d", "@", "a" * 130 + "@vcc.internal", 7, ["a@b"]):
        refused(world.post("/api/v1/principals/approver", {"mail": wrong}), 422, "VCC-3104")
    refused(world.post("/api/v1/principals/admin", {"mail": "admin@vcc.internal"}), 403, "VCC-3701")  # nobody changes what is one's own
