"""Do notifications reach people by real receivers: signed, by mail over STARTTLS, once, tried again, given up in sight; and can no channel be led into the house?"""
import json
import os
import subprocess

import pytest
from campaign_fleet import LIFE, CampaignFleet, refused
from conftest import new_folder
from installation import wait_for
from receivers import Channels, HttpReceiver, Listener, MailReceiver, signed

LOOPBACK = "127.0.0.0/8, ::1/128"
SECRET = "a secret that both sides know"
TRIES = 7  # over six seconds: what waits is seen waiting
TOKEN = "token-" + 4000 * "0"  # JWTs may be as long


class World(CampaignFleet):
    """The fleet with its receivers and channels."""

    def prepare(self):
        certs = os.path.join(self.dir, "receivers")
        self.hook, self.bad, self.other, self.plain = HttpReceiver(certs), HttpReceiver(certs), HttpReceiver(certs), HttpReceiver()
        self.mail, self.silent = MailReceiver(certs, login=("pki", "geheim")), Listener()
        self.naked = MailReceiver(os.path.join(certs, "naked"), starttls=False)
        c = self.channels = Channels(self.dir)
        tls = {"allow": LOOPBACK}
        never = {"rule": {"level": "never"}}
        c.add("hook", channel={"kind": "webhook", "url": self.hook.url, "ca_file": self.hook.cert, **tls}, webhook={"secret_file": c.secret("hmac", SECRET)})
        c.add("mail", channel={"kind": "smtp", "url": f"smtp://127.0.0.1:{self.mail.port}", "ca_file": self.mail.cert, **tls},
              smtp={"from": "vcc-pki@vcc.internal", "user": "pki", "password_file": c.secret("password", "geheim")})
        for name, password in (("naked", None), ("stranger", "wrong")):
            r = self.mail if password else self.naked
            login = {"user": "pki", "password_file": c.secret("wrong", password)} if password else {}
            c.add(name, channel={"kind": "smtp", "url": f"smtp://127.0.0.1:{r.port}", "ca_file": r.cert, **tls}, smtp={"from": "vcc-pki@vcc.internal", **login}, **never)
        c.add("bad", channel={"kind": "webhook", "url": self.bad.url, "ca_file": self.bad.cert, **tls}, rule={"services": "vpb"})
        c.add("plain", channel={"kind": "webhook", "url": self.plain.url, "plain": "yes", **tls}, webhook={"template": "ntfy", "topic": "pki", "token_file": c.secret("token", TOKEN)}, **never)
        wrong = {
            "other-ca": {"url": self.hook.url, "ca_file": self.other.cert, **tls},
            "name": {"url": f"https://localhost:{self.silent.port}/"},
            "literal": {"url": f"https://127.0.0.1:{self.silent.port}/"},
            "number": {"url": f"https://2130706433:{self.silent.port}/"},
            "mapped": {"url": f"https://[::ffff:127.0.0.1]:{self.silent.port}/"},
            "metadata": {"url": "https://169.254.169.254/latest/meta-data"},
            "tenant": {"url": "https://[fd00::1]/"},
            "far-plain": {"url": "http://10.1.2.3/", "plain": "yes", "allow": "10.0.0.0/8"},
        }
        for name, channel in wrong.items():
            c.add(name, channel={"kind": "webhook", **channel}, **never)
        return self

    def end(self):
        for r in (self.hook, self.bad, self.other, self.plain, self.mail, self.naked, self.silent):
            r.close()
        super().end()


@pytest.fixture(scope="module")
def world():
    folder = new_folder("notify")
    settings = {"notify.dir": os.path.join(folder, "notify.d"), "notify.group_wait": "0s", "notify.group_interval": "0s", "notify.retry": "100ms",
                "notify.tries": str(TRIES), "notify.timeout": "10s", "schedule.tick": "100ms", "limits.max_renewals_default": "0", "limits.approval_share": "100%"}
    w = World(folder, settings={f"controller.{k}": v for k, v in settings.items()})
    try:
        w.prepare().begin()
        for name in ("clara_service_auth", "vpb_service"):
            w.edit_template(name, "--force", retry_interval="1s", max_renewal_attempts=1, renewal_threshold="30d", emergency_threshold="7d",
                            notification_recipients=["ops@vcc.internal"])
        w.c1, w.v1 = w.host_of("c1"), w.host_of("v1", "vpb")
        yield w
    finally:
        w.end()


def test(world, channel):
    done = world.cli("notify", "test", channel, "-o", "json")
    return done.returncode, json.loads(done.stdout)


test.__test__ = False


def deliveries(world, **args):
    return world.admin.get("notifications/deliveries?limit=500" + "".join(f"&{k}={v}" for k, v in args.items()))["items"]


def dead(world, channel):
    return {d["delivery_id"] for d in deliveries(world, state="dead", channel=channel)}


def newly_dead(world, channel, before):
    return [d for d in deliveries(world, state="dead", channel=channel) if d["delivery_id"] not in before]


def renew(world, name):
    status, answer = world.post(f"{LIFE}/renew/{name}-web", {"force": True})
    assert status == 202, answer
    return answer["renewal_id"]


def wait_status(world, renewal_id, status):
    return wait_for(f"it is {status}", lambda: (r := world.admin.get(f"renewals/{renewal_id}"))["status"] == status and r, 60, 0.1)


def told(receiver, event):
    """Messages that this event is in."""
    return [b for b in receiver.bodies() if event in [n["event"] for n in b.get("notifications", [])]]


def mails(world, word):
    return [m for m in world.mail.got if word in m[2]["Subject"] or word in MailReceiver.text(m[2])]


def test_a_channel_is_tried(world):
    code, answer = test(world, "hook")
    assert code == 0 and answer["delivered"] is True and answer["code"] is None, answer
    assert signed(world.hook.got[-1], SECRET) and world.hook.bodies()[-1]["event"] == "test"
    code, answer = test(world, "mail")
    assert code == 0, answer
    sender, to, mail = world.mail.got[-1]
    assert sender == "vcc-pki@vcc.internal" and to == ["pki@vcc.internal"] and "notify test" in MailReceiver.text(mail)
    code, answer = test(world, "plain")
    assert code == 0 and json.loads(world.plain.got[-1][3])["topic"] == "pki", answer
    assert world.plain.got[-1][2].get("Authorization") == f"Bearer {TOKEN}"
    assert world.rows("SELECT count(*) FROM audit WHERE event = 'notification_channel_tested' AND object = 'mail'") == [(1,)]
    refused(world.post("/api/v1/notifications/test", {"channel": "nobody"}), 404, "VCC-3950")


@pytest.mark.parametrize("channel,code", [("other-ca", "VCC-3953"), ("naked", "VCC-3953"), ("stranger", "VCC-3957"), ("name", "VCC-3951"), ("literal", "VCC-3951"), ("number", "VCC-3951"), ("mapped", "VCC-3951"),
                                          ("metadata", "VCC-3951"), ("tenant", "VCC-3951"), ("far-plain", "VCC-3951")])
def test_no_way_into_the_house(world, channel, code):
    before = len(world.hook.got)
    status, answer = test(world, channel)
    assert status == 1 and answer["delivered"] is False and answer["code"] == code and answer["next"], answer
    assert world.silent.seen == 0 and len(world.hook.got) == before


@pytest.mark.parametrize("mode,code", [("redirect", "VCC-3955"), ("500", "VCC-3954"), ("401", "VCC-3957"), ("hang", "VCC-3956"), ("late", None), ("endless", None)])
def test_what_a_receiver_may_do(world, mode, code):
    world.bad.mode, world.bad.to = mode, f"https://127.0.0.1:{world.silent.port}/"
    try:
        status, answer = test(world, "bad")
    finally:
        world.bad.mode = "ok"
    assert answer["code"] == code and (status == 0) == (code is None), answer
    assert world.silent.seen == 0 and "secret-of-the-house" not in json.dumps(answer)


def test_a_trouble_by_every_channel_once(world):
    hook, mail = len(world.hook.got), len(world.mail.got)
    world.c1.outcome = lambda h, m: "failed"
    first = renew(world, "c1")
    wait_status(world, first, "paused")
    body = wait_for("the webhook is told", lambda: told(world.hook, "renewal_paused") or told(world.hook, "renewal_failed"))[0]
    assert body["installation"] == "vcc.internal" and body["level"] == "error" and "c1-web" in body["text"] and "vccctl cert show c1-web" in body["text"]
    assert signed(world.hook.got[hook], SECRET) and world.hook.got[hook][2]["Idempotency-Key"] == body["message_id"]
    wait_for("and by mail", lambda: len(world.mail.got) > mail)
    sender, to, message = world.mail.got[mail]
    assert to == ["pki@vcc.internal", "ops@vcc.internal"] and "ERROR" in message["Subject"] and message["Auto-Submitted"] == "auto-generated"
    wait_status(world, renew(world, "c1"), "paused")  # the same trouble: nobody is told again
    world.c1.outcome = lambda h, m: "ok"
    wait_status(world, renew(world, "c1"), "completed")
    over = wait_for("its end is told", lambda: told(world.hook, "trouble_resolved"))[0]
    assert over["notifications"][0]["trouble"]["notification_id"] == body["notifications"][0]["notification_id"]
    wait_for("by mail, too", lambda: mails(world, "trouble_resolved"))
    wait_for("nothing waits", lambda: not deliveries(world, state="waiting"))
    assert len(world.hook.got) == hook + 2 and len(world.mail.got) == mail + 2


def test_a_bulk_summary_and_an_emergency(world):
    status, c = world.bulk(service_pattern="*.clara.vcc.internal")
    assert status == 202
    world.wait_state(c["campaign_id"], "completed")
    wait_for("the summary is told", lambda: mails(world, c["campaign_id"]))
    (_, to, mail), = mails(world, c["campaign_id"])
    assert to == ["pki@vcc.internal"] and "successful_count: 1" in MailReceiver.text(mail)
    status, e = world.emergency(certificate_ids=["c1-web"], incident_type="exercise")
    assert status == 200
    def texts():  # one mail or two: it may be over before the first is on its way
        return " ".join(MailReceiver.text(m[2]) for m in mails(world, e["campaign_id"]))
    wait_for("begin and end are told", lambda: "emergency_started" in texts() and "emergency_ended" in texts())
    assert all(m[1] == ["csirt@vcc.internal"] for m in mails(world, e["campaign_id"]))
    assert "CRITICAL" in mails(world, e["campaign_id"])[0][2]["Subject"] and mails(world, e["campaign_id"])[0][2]["Importance"] == "high"


def test_a_failing_receiver_is_tried_again_with_the_same_id_and_holds_up_nothing(world):
    seen = len(world.bad.got)
    world.bad.mode = "500"
    world.v1.outcome = lambda h, m: "failed"
    wait_status(world, renew(world, "v1"), "paused")
    wait_for("it is tried", lambda: len(world.bad.got) >= seen + 2)
    world.bad.mode = "hang"
    world.v1.outcome = lambda h, m: "ok"
    wait_status(world, renew(world, "v1"), "completed")  # the receiver hangs: certificates go on
    world.bad.mode = "ok"
    wait_for("everything is through", lambda: not deliveries(world, state="waiting"))
    bodies = world.bad.bodies()[seen:]
    failed = [b["message_id"] for b in bodies if any(n["event"] in ("renewal_failed", "renewal_paused") for n in b["notifications"])]
    assert len(failed) >= 2 and len(set(failed)) == 1, failed


def test_a_mail_server_that_has_no_time_and_one_that_refuses(world):
    before = dead(world, "mail")
    seen = len(world.mail.got)
    world.mail.refuse = "451 come back later"
    world.c1.outcome = lambda h, m: "failed"
    wait_status(world, renew(world, "c1"), "paused")
    waiting = wait_for("it waits", lambda: [d for d in deliveries(world, state="waiting", channel="mail") if d["code"]])
    assert waiting[0]["code"] == "VCC-3954" and "451" in waiting[0]["error"] and len(world.mail.got) == seen
    world.mail.refuse = None
    wait_for("it is there", lambda: len(world.mail.got) > seen)
    assert world.mail.got[seen][2]["Message-ID"] == f"<{waiting[0]['message_id']}@vcc.internal>" and dead(world, "mail") == before
    world.mail.refuse = "554 never"
    world.c1.outcome = lambda h, m: "ok"
    wait_status(world, renew(world, "c1"), "completed")
    given_up, = wait_for("it is given up at once", lambda: newly_dead(world, "mail", before))
    assert given_up["attempts"] == 1 and "554" in given_up["error"]
    world.mail.refuse = None


def test_what_is_given_up_is_seen(world):
    def audited():
        return len(world.rows("SELECT 1 FROM audit WHERE event = 'notification_given_up' AND object = 'bad'"))
    before, records = dead(world, "bad"), audited()
    world.bad.mode = "500"
    world.v1.outcome = lambda h, m: "failed"
    wait_status(world, renew(world, "v1"), "paused")
    given_up = wait_for("it is given up", lambda: newly_dead(world, "bad", before), 120, 0.2)
    assert given_up[0]["attempts"] == TRIES and given_up[0]["code"] == "VCC-3954" and "500" in given_up[0]["error"] and given_up[0]["next_at"] is None
    shown = json.loads(world.cli("notify", "list", "--state", "dead", "-o", "json").stdout)
    assert {d["delivery_id"] for d in shown if d["channel"] == "bad"} == dead(world, "bad")
    assert audited() == records + 1
    state, = [c for c in world.admin.get("notifications/channels")["items"] if c["channel"] == "bad"]
    assert state["given_up"] == audited() and state["code"] == "VCC-3954"
    findings = [f for f in json.loads(world.cli("doctor", "-o", "json").stdout) if f["check"] == "channels"]
    assert {(f["verdict"], f["object"]) for f in findings if f["object"] in ("", "bad")} == {("error", "bad"), ("warning", "")}, findings
    world.bad.mode = "400"  # the message itself is refused: no second try
    before, seen = dead(world, "bad"), len(world.bad.got)
    world.v1.outcome = lambda h, m: "ok"
    wait_status(world, renew(world, "v1"), "completed")
    wait_for("that is given up at once", lambda: newly_dead(world, "bad", before))
    assert len(world.bad.got) == seen + 1
    world.bad.mode = "ok"


def test_who_may_what(world):
    status, answer = world.post("/api/v1/principals", {"name": "looks", "roles": ["viewer"]})
    assert status == 201, answer
    viewer = type(world.admin)(world, world.post("/api/v1/tokens", {"principal": "looks", "ttl": "1h"})[1]["token"])
    assert viewer.get("notifications/channels")["items"]
    refused(viewer("POST", "/api/v1/notifications/test", {"channel": "hook"}), 403, "VCC-3101")
    text = json.dumps([world.admin.get("notifications/channels"), world.admin.get("notifications/deliveries")])
    assert SECRET not in text and "geheim" not in text
    assert world.cli("notify", "list", "--state", "lost").returncode == 2


def test_a_broken_channel_is_named_and_holds_up_nothing(world):
    folder = os.path.join(world.dir, "check")
    channels = Channels(folder)
    conf = os.path.join(folder, "controller.conf")
    text = open(world.conf("controller")).read().split("[notify]")[0] + f"[notify]\ndir = {channels.dir}\n"
    with open(os.open(conf, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
        f.write(text)

    def check():
        return subprocess.run([world.bin("vcc-controller"), "--config", conf, "--check"], capture_output=True, text=True)
    assert check().returncode == 0 and check().stdout == f"{conf}: ok\n"
    secret = channels.secret("open", "x")
    os.chmod(secret, 0o644)
    for name, sections, word in (
            ("a", {"channel": {"kind": "webhook", "url": "ftp://x/"}}, "channel.url"),
            ("b", {"channel": {"kind": "smtp", "url": "smtp://x"}}, "smtp.from"),
            ("c", {"channel": {"kind": "webhook", "url": "https://x/"}, "webhook": {"template": "teams"}}, "teams"),
            ("d", {"channel": {"kind": "webhook", "url": "https://x/"}, "webhook": {"secret_file": secret}}, "open"),
            ("e", {"channel": {"kind": "webhook", "url": "https://x/", "alow": "1"}}, "alow"),
            ("f", {"channel": {"kind": "webhook", "url": "https://user:secret@x/"}}, "channel.url"),
            ("g", {"channel": {"kind": "webhook", "url": "https://x/"}, "quiet": {"hours": "at night"}}, "quiet.hours")):
        path = os.path.join(channels.dir, channels.add(name, **sections) + ".conf")
        done = check()
        assert done.returncode == 1 and word in done.stderr and done.stderr.startswith("vcc-controller: VCC-") and done.stdout == "", (name, done.stdout, done.stderr)
        os.unlink(path)
