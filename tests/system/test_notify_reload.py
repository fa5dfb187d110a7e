"""Does the controller take channels and settings anew by SIGHUP, whole or not at all; is what was given up sent once more when somebody asks; is a fleet that goes silent one matter?"""
import json
import os
import signal
import ssl
import time
import urllib.request

import pytest
from campaign_fleet import LIFE, CampaignFleet, refused
from conftest import new_folder
from installation import wait_for, write
from prometheus_client.parser import text_string_to_metric_families as parse
from receivers import Channels, HttpReceiver, MailReceiver

NONE = "01890000-0000-7000-8000-000000000000"


class World(CampaignFleet):
    def prepare(self):
        certs = os.path.join(self.dir, "notify.d", "tls")  # within reach of a running controller
        self.team, self.late, self.mail = HttpReceiver(certs), HttpReceiver(certs), MailReceiver(certs, starttls=True)
        self.channels = Channels(self.dir)
        self.channels.add("team", channel=self.webhook(self.team))
        return self

    @staticmethod
    def webhook(receiver):
        return {"kind": "webhook", "url": receiver.url, "ca_file": receiver.cert, "allow": "127.0.0.0/8"}

    @property
    def controller(self):
        return self.processes["controller"]

    def log(self):
        with open(self.controller.log) as f:
            return f.read()

    def metric(self, name, **labels):
        status, text = self.admin_text("/metrics")
        assert status == 200
        found = [s.value for family in parse(text) for s in family.samples if s.name == name and all(s.labels.get(k) == v for k, v in labels.items())]
        return sum(found) if found else None

    def wait_metric(self, name, want, **labels):
        """What is asked for within a second of another scrape is the same text."""
        return wait_for(f"{name}{labels} is {want}", lambda: self.metric(name, **labels) == want, 60, 0.3)

    def admin_text(self, path):
        q = urllib.request.Request(self.admin_url + path, headers={"Authorization": "Bearer " + open(os.path.join(self.state, "admin.token")).read().strip()})
        context = ssl.create_default_context(cafile=os.path.join(self.state, "ca.pem"))
        with urllib.request.urlopen(q, context=context, timeout=60) as a:
            return a.status, a.read().decode()

    def read_again(self):
        """SIGHUP, and the line that says what became of it."""
        before = len(self.log())
        os.kill(self.controller.pid, signal.SIGHUP)

        def said():
            new = self.log()[before:]
            return new if "was read again" in new or "was not taken" in new else None
        return wait_for("it says what became of it", said)

    def recorded(self, n):
        """The last records of a reading."""
        return [(o, json.loads(d)) for o, d in self.rows("SELECT object, detail FROM audit WHERE event = 'configuration_reloaded' ORDER BY seq DESC LIMIT ?", n)][::-1]

    def settings_now(self, text):
        write(f"{self.conf('controller')}.d/60-more.conf", text)

    def channel(self, name):
        return next((c for c in self.admin.get("notifications/channels")["items"] if c["channel"] == name), None)

    def end(self):
        for r in (self.team, self.late, self.mail):
            r.close()
        super().end()


@pytest.fixture(scope="module")
def world():
    folder = new_folder("notify-reload")
    settings = {"notify.dir": os.path.join(folder, "notify.d"), "notify.group_wait": "0s", "notify.group_interval": "0s", "notify.retry": "100ms", "notify.tries": "2",
                "notify.fleet_silent": "1s", "schedule.tick": "100ms", "limits.max_renewals_default": "0", "limits.approval_share": "100%"}
    w = World(folder, settings={f"controller.{k}": v for k, v in settings.items()})
    try:
        w.prepare().begin()
        w.edit_template("clara_service_auth", "--force", retry_interval="1s", max_renewal_attempts=1, renewal_threshold="30d", emergency_threshold="7d")
        w.played = [w.host_of(f"c{i}") for i in range(1, 5)]
        yield w
    finally:
        w.end()


def fail(world, host, name):
    host.outcome = lambda h, m: "failed"
    status, answer = world.post(f"{LIFE}/renew/{name}-web", {"force": True})
    assert status == 202, answer
    wait_for("it gives up", lambda: world.admin.get(f"renewals/{answer['renewal_id']}")["status"] == "paused", 60, 0.1)
    return next(n for n in world.admin.get("notifications?state=queued&service=clara")["items"] if n["key"])["notification_id"]


def mend(world, host, name):
    host.outcome = lambda h, m: "ok"
    status, answer = world.post(f"{LIFE}/renew/{name}-web", {"force": True})
    wait_for("it is well", lambda: world.admin.get(f"renewals/{answer['renewal_id']}")["status"] == "completed", 60, 0.1)


def deliveries(world, channel, state, notice=None):
    return [d for d in world.admin.get(f"notifications/deliveries?channel={channel}&state={state}")["items"] if notice in (None, d["notification_id"])]


def test_a_channel_comes_and_goes(world):
    assert world.metric("vcc_pki_config_last_reload_success") == 1 and world.channel("late") is None
    started = world.metric("vcc_pki_config_last_reload_success_timestamp_seconds")
    world.channels.add("late", channel=world.webhook(world.late), rule={"services": "clara"})
    assert "2 channels" in world.read_again()
    assert world.channel("late")["reload_error"] is None
    done = world.cli("notify", "test", "late", "-o", "json")
    assert done.returncode == 0 and json.loads(done.stdout)["delivered"] is True, done.stdout
    world.wait_metric("vcc_pki_notifications_total", 1, channel="late", result="delivered")
    assert world.metric("vcc_pki_config_last_reload_success_timestamp_seconds") > started
    n = fail(world, world.played[0], "c1")
    wait_for("both are told", lambda: all(any(m["notification_id"] == n for b in r.bodies() for m in b["notifications"]) for r in (world.team, world.late)))
    world.late.mode = "hang"
    mend(world, world.played[0], "c1")
    wait_for("the message hangs", lambda: world.channel("late")["busy"])
    os.unlink(os.path.join(world.channels.dir, "late.conf"))
    assert "1 channels" in world.read_again() and world.channel("late") is None, "what hangs holds nobody up"
    world.late.stop.set()
    wait_for("nothing waits for it", lambda: not deliveries(world, "late", "waiting"), 90)
    world.late.mode = "ok"
    assert world.rows("SELECT count(*) FROM audit WHERE event = 'configuration_reloaded'") == [(2,)]


def test_what_is_not_valid_changes_nothing(world):
    world.channels.add("bad", channel={"kind": "webhook", "url": "https://x.example/", "alow": "10.0.0.0/8"})
    world.settings_now("[notify]\ntries = 3\n")
    said = world.read_again()
    assert "was not taken" in said and "bad.conf:4" in said, said
    world.wait_metric("vcc_pki_config_last_reload_success", 0)
    team = world.channel("team")
    assert "bad.conf:4" in team["reload_error"] and world.channel("bad") is None
    assert "bad.conf:4" in world.cli("notify", "channels").stdout
    os.unlink(os.path.join(world.channels.dir, "bad.conf"))
    world.settings_now("[notify]\ntries = many\n")
    assert "60-more.conf:2" in world.read_again()
    world.settings_now("[notify]\ntries = 2\n")
    assert "0 settings are new, 1 channels" in world.read_again()
    assert world.channel("team")["reload_error"] is None
    world.wait_metric("vcc_pki_config_last_reload_success", 1)


def test_what_needs_a_restart_is_said(world):
    world.settings_now("[schedule]\ntick = 3s\n[contacts]\napprover = second@vcc.internal, third@vcc.internal\n")
    said = world.read_again()
    assert "schedule.tick is another in the file" in said and "1 settings are new" in said, said
    assert world.recorded(2) == [("contacts.approver", {"another": True}), ("", {"changed": 1, "channels": 1})], "addresses of persons are not in the trail"


def test_each_setting_has_a_record_that_says_what_it_is_now(world):
    world.settings_now("[limits]\napproval_share = 25%\napproval_life = 3d\n[notify]\ndigest = 12h\n[bulk]\npriority = vpb, clara\n[metrics]\nopen = yes\n[emergency]\n"
                       "approval = before\n[contacts]\napprover = second@vcc.internal, third@vcc.internal\n")
    assert "6 settings are new" in world.read_again()
    said = world.recorded(7)
    assert dict(said) == {"limits.approval_share": {"to": "25%"}, "limits.approval_life": {"to": "3d"}, "notify.digest": {"to": "12h"}, "bulk.priority": {"to": "vpb, clara"},
                          "metrics.open": {"to": "yes"}, "emergency.approval": {"to": "before"}, "": {"changed": 6, "channels": 1}}, said
    assert len(world.rows("SELECT DISTINCT request_id FROM audit WHERE event = 'configuration_reloaded' AND seq > (SELECT max(seq) - 7 FROM audit "
                          "WHERE event = 'configuration_reloaded')")) == 1


def test_asked_for_twice_at_once(world):
    before = len(world.log())
    for _ in range(5):
        os.kill(world.controller.pid, signal.SIGHUP)
    wait_for("it is read", lambda: "was read again" in world.log()[before:])
    assert "0 settings are new, 1 channels" in world.read_again() and world.channel("team")["reload_error"] is None


def test_approvers_are_told_that_a_request_waits(world):
    world.channels.add("mail", channel={"kind": "smtp", "url": f"smtp://127.0.0.1:{world.mail.port}", "ca_file": world.mail.cert, "allow": "127.0.0.0/8"},
                       smtp={"from": "vcc-pki@vcc.internal"}, rule={"events": "approval_waiting"})
    world.settings_now("[limits]\napproval_share = 25%\n[contacts]\napprover = second@vcc.internal, third@vcc.internal\n")
    said = world.read_again()
    assert "was read again" in said and "holds after a restart" not in said, said
    path = os.path.join(world.dir, "clara.json")
    template = {k: v for k, v in json.loads(world.cli("template", "export", "clara_service_auth").stdout).items() if k not in (
        "validity_period_days", "validity_seconds", "renewal_threshold_days", "emergency_threshold_days", "version", "created_at", "update")}
    write(path, json.dumps({**template, "retry_interval": "2s"}))
    asked = world.cli("template", "apply", path, "--force")
    assert [a["kind"] for a in world.approver.get("approvals")["items"]] == ["template"], asked.stdout + asked.stderr
    wait_for("they are told", lambda: world.mail.got)
    assert sorted(world.mail.got[0][1]) == ["second@vcc.internal", "third@vcc.internal"]


def test_what_was_given_up_is_sent_once_more(world):
    refused(world.post("/api/v1/notifications/retry", {}), 422, "VCC-3104")
    refused(world.post("/api/v1/notifications/retry", {"notification_id": NONE}), 409, "VCC-3964")
    world.team.mode = "500"
    n = fail(world, world.played[1], "c2")
    dead = wait_for("it is given up", lambda: deliveries(world, "team", "dead", n))[0]
    world.team.mode, seen = "ok", len(world.team.got)
    done = world.cli("notify", "retry", n, "--reason", "it answers again", "-o", "json")
    assert done.returncode == 0 and json.loads(done.stdout)["queued"] == 1, done.stderr
    wait_for("it is sent", lambda: deliveries(world, "team", "sent", n))
    body = world.team.bodies()[seen]
    assert n in [m["notification_id"] for m in body["notifications"]] and body["message_id"] != dead["message_id"]
    assert world.rows("SELECT reason FROM audit WHERE event = 'notification_retried' AND object = ?", n) == [("it answers again",)]
    refused(world.post("/api/v1/notifications/retry", {"notification_id": n}), 409, "VCC-3964")
    dead = [world.channel(d["channel"]) is not None for d in world.admin.get("notifications/deliveries?state=dead&limit=500")["items"]]
    assert False in dead, "what hung when its channel went"
    done = world.cli("notify", "retry", "--dead", "-o", "json")
    assert done.returncode == 0 and json.loads(done.stdout) == {"queued": dead.count(True), "skipped": dead.count(False)}, (done, dead)
    assert world.cli("notify", "retry").returncode == 2
    mend(world, world.played[1], "c2")


def test_after_a_reading_nothing_waits_for_a_pause_of_before(world):
    world.settings_now("[notify]\nretry = 1h\ntries = 30\n")
    world.read_again()
    world.team.mode = "500"
    failed = world.channel("team")["failed"]
    fail(world, world.played[1], "c2")
    wait_for("it pauses for an hour", lambda: world.channel("team")["failed"] > failed and not world.channel("team")["busy"])
    world.team.mode = "ok"
    world.settings_now("")
    world.read_again()
    mend(world, world.played[1], "c2")
    wait_for("what is new is told", lambda: any(m["event"] == "trouble_resolved" for b in world.team.bodies()[-1:] for m in b["notifications"]))


def test_what_is_told_once_is_over_when_it_is_told(world):
    """Nobody has to end it."""
    told = wait_for("one is there", lambda: [m for m in world.admin.get("notifications?state=closed")["items"] if m["event"] == "trouble_resolved"])
    assert all(m["closed_at"] for m in told)
    wait_for("none stays", lambda: not [m for m in world.admin.get("notifications?state=queued")["items"] if m["event"] == "trouble_resolved"])


def test_a_fleet_that_goes_silent_is_one_matter(world):
    def of(event, state):
        return [n for n in world.admin.get(f"notifications?state={state}")["items"] if n["event"] == event]
    for h in world.played[:2]:
        h.gateway.down(h.session)
    wait_for("two of four are away", lambda: world.metric("vcc_pki_agents", state="connected") == 2)
    assert not of("fleet_silent", "queued"), "two hosts are no fleet"
    world.played[2].gateway.down(world.played[2].session)
    n, = wait_for("it is told", lambda: of("fleet_silent", "queued"))
    assert (n["level"], n["detail"]["silent"], n["detail"]["known"]) == ("critical", 3, 4)
    wait_for("the team hears", lambda: any(m["event"] == "fleet_silent" for b in world.team.bodies() for m in b["notifications"]))
    world.controller.stop()
    world.controller.start()
    world.wait_up()
    world.gateways[0].connect()
    world.gateways[0].up(world.played[3])
    wait_for("one is here", lambda: world.metric("vcc_pki_agents", state="connected") == 1)
    assert of("fleet_silent", "queued"), "who was missing before the restart is missing still"
    for h in world.played[:3]:
        world.gateways[0].up(h)
    wait_for("it ends by itself", lambda: of("fleet_silent", "closed") and not of("fleet_silent", "queued"))
    wait_for("that is told, too", lambda: any(m["event"] == "fleet_back" for b in world.team.bodies() for m in b["notifications"]))
    assert len(of("fleet_silent", "closed")) == 1


def test_who_was_evicted_is_not_missed(world):
    before = world.rows("SELECT count(*) FROM notices WHERE event = 'fleet_silent'")
    for h in world.played[:2]:
        world.vccctl("agent", "evict", h.name)
    world.played[2].gateway.down(world.played[2].session)
    wait_for("one of four is here", lambda: world.metric("vcc_pki_agents", state="connected") == 1)
    time.sleep(8)  # it is looked at every five seconds
    assert world.rows("SELECT count(*) FROM notices WHERE event = 'fleet_silent'") == before


@pytest.mark.parametrize("restart", (False, True), ids=["at once", "after a restart"])
def test_who_is_evicted_meanwhile_is_not_waited_for(world, restart):
    """What was told ends, and what comes later is told again."""
    def told(state):
        return [n["notification_id"] for n in world.admin.get(f"notifications?state={state}&limit=500")["items"] if n["event"] == "fleet_silent"]
    assert not told("queued")
    lost = [world.host_of(f"m{n}{'ab'[restart]}") for n in range(3)]
    for h in lost:
        h.gateway.down(h.session)
    n, = wait_for("it is told", lambda: told("queued"))
    if restart:
        world.controller.stop()
        world.controller.start()
        world.wait_up()
        world.gateways[0].connect()
        world.gateways[0].up(world.played[3])
        wait_for("one is here", lambda: world.metric("vcc_pki_agents", state="connected") == 1)
        time.sleep(6)  # it is looked at every five seconds
        assert told("queued") == [n]
    for h in lost:
        world.vccctl("agent", "evict", h.name)
    wait_for("it ends", lambda: n in told("closed") and not told("queued"))
