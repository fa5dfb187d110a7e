"""Is what nobody does anything about told again, and to others, until somebody takes it over; is what comes in a quiet time told as one; does Alertmanager show what is open, and no longer than that?"""
import json
import os
import shutil
import urllib.request

import pytest
from campaign_fleet import LIFE, CampaignFleet, refused
from conftest import new_folder
from installation import Process, connects, free_port, wait_for
from receivers import Channels, HttpReceiver

ALERTMANAGER = shutil.which("prometheus-alertmanager")


class World(CampaignFleet):
    def prepare(self):
        certs = os.path.join(self.dir, "receivers")
        self.team, self.boss, self.night = HttpReceiver(certs), HttpReceiver(certs), HttpReceiver(certs)
        c = self.channels = Channels(self.dir)

        def webhook(r):
            return {"kind": "webhook", "url": r.url, "ca_file": r.cert, "allow": "127.0.0.0/8"}
        c.add("team", channel=webhook(self.team), rule={"services": "clara"})
        c.add("boss", channel=webhook(self.boss), rule={"level": "never", "escalation": "yes"})
        c.add("broken", channel={"kind": "webhook", "url": "https://x.example/", "alow": "10.0.0.0/8"}, rule={"services": "vpb"})
        self.daily = HttpReceiver(certs)
        c.add("daily", channel=webhook(self.daily), rule={"events": "digest"})
        c.add("night", channel=webhook(self.night), rule={"services": "vpb"}, quiet={"hours": "* 00:00-12:00 UTC, * 12:00-00:00 UTC"})
        self.am_port = free_port()
        c.add("alerts", channel={"kind": "alertmanager", "url": f"http://127.0.0.1:{self.am_port}", "plain": "yes", "allow": "127.0.0.0/8"}, alertmanager={"link": "yes"})
        return self

    def end(self):
        for r in (self.team, self.boss, self.night, self.daily):
            r.close()
        super().end()


@pytest.fixture(scope="module")
def world():
    folder = new_folder("notify-again")
    settings = {"notify.dir": os.path.join(folder, "notify.d"), "notify.group_wait": "0s", "notify.group_interval": "0s", "notify.retry": "200ms", "notify.link_url": "https://pki.example:8444",
                "notify.escalate": "2s", "notify.digest": "5s", "notify.repeat": "3s", "schedule.tick": "100ms", "limits.max_renewals_default": "0", "limits.approval_share": "100%"}
    w = World(folder, settings={f"controller.{k}": v for k, v in settings.items()})
    try:
        w.prepare().begin()
        for name in ("clara_service_auth", "vpb_service"):
            w.edit_template(name, "--force", retry_interval="1s", max_renewal_attempts=1, renewal_threshold="30d", emergency_threshold="7d")
        w.c1, w.v1 = w.host_of("c1"), w.host_of("v1", "vpb")
        yield w
    finally:
        w.end()


def fail(world, host, name):
    host.outcome = lambda h, m: "failed"
    status, answer = world.post(f"{LIFE}/renew/{name}-web", {"force": True})
    assert status == 202, answer
    wait_for("it gives up", lambda: world.admin.get(f"renewals/{answer['renewal_id']}")["status"] == "paused", 60, 0.1)
    n, = [n for n in world.admin.get(f"notifications?state=queued&service={'clara' if name[0] == 'c' else 'vpb'}")["items"] if n["object"] == f"{name}-web" and n["key"]]
    return n["notification_id"]


def mend(world, host, name):
    host.outcome = lambda h, m: "ok"
    status, answer = world.post(f"{LIFE}/renew/{name}-web", {"force": True})
    wait_for("it is well", lambda: world.admin.get(f"renewals/{answer['renewal_id']}")["status"] == "completed", 60, 0.1)


def kinds(receiver, notice):
    return [b["kind"] for b in receiver.bodies() if notice in [n["notification_id"] for n in b["notifications"]]]


def test_what_goes_well_is_told_in_the_digest_alone(world):
    """Renewals are in exactly one of them; the team hears of none."""
    def digests():
        return [b["notifications"][0]["detail"] for b in world.daily.bodies()]
    before, team = sum(d["renewed"] for d in digests()), len(world.team.got)
    for _ in range(3):
        status, answer = world.post(f"{LIFE}/renew/c1-web", {"force": True})
        assert status == 202
        wait_for("it is renewed", lambda: world.admin.get(f"renewals/{answer['renewal_id']}")["status"] == "completed", 60, 0.1)
    wait_for("a digest has them", lambda: sum(d["renewed"] for d in digests()) == before + 3, 120, 0.2)
    n = len(digests())
    wait_for("the next one comes", lambda: len(digests()) > n, 120, 0.2)
    assert sum(d["renewed"] for d in digests()) == before + 3 and len(world.team.got) == team
    assert all(b["since"] > a["since"] for a, b in zip(digests(), digests()[1:]))


def test_it_escalates_is_repeated_and_ends_with_an_acknowledgement(world):
    n = fail(world, world.c1, "c1")
    wait_for("the team is told, and told again", lambda: "reminder" in kinds(world.team, n), 60)
    assert kinds(world.team, n)[:2] == ["first", "escalation"] and kinds(world.boss, n) == ["escalation"]
    assert any("nobody has acknowledged" in b["title"] for b in world.boss.bodies())
    status, answer = world.post(f"/api/v1/notifications/{n}/ack", {"reason": "I look at it"})
    assert status == 200 and answer["acknowledged_at"] and answer["next_reminder_at"] is None
    assert answer["standing"] == "acknowledged" and answer["acknowledged_by"] == world.admin.get("whoami")["principal"]
    assert 2 <= answer["delivered"] <= answer["messages"]
    rows = world.rows("SELECT reason FROM audit WHERE event = 'notification_acknowledged' AND object = ?", n)
    assert rows == [("I look at it",)]
    wait_for("what was queued is through", lambda: not world.admin.get("notifications/deliveries?state=waiting&channel=team")["items"])
    assert world.admin.get(f"notifications/{n}")["reminders"] == kinds(world.team, n).count("reminder")
    mend(world, world.c1, "c1")
    refused(world.post(f"/api/v1/notifications/{n}/ack", {}), 409, "VCC-3961")
    refused(world.post("/api/v1/notifications/01890000-0000-7000-8000-000000000000/ack", {}), 404, "VCC-1006")


def test_a_snoozed_one_rests(world):
    n = fail(world, world.c1, "c1")
    done = world.cli("notify", "snooze", n, "--for", "4h", "-o", "json")
    shown = json.loads(done.stdout)
    assert done.returncode == 0 and shown["snoozed_until"] == shown["next_reminder_at"], done.stderr
    assert world.cli("notify", "snooze", n).returncode == 2
    refused(world.post(f"/api/v1/notifications/{n}/snooze", {"for": "31d"}), 422, "VCC-3104")
    done = world.cli("notify", "ack", n)
    assert done.returncode == 0 and "acknowledged" in done.stdout
    mend(world, world.c1, "c1")


def test_a_channel_that_cannot_be_read_keeps_what_is_for_it(world):
    state, = [c for c in world.admin.get("notifications/channels")["items"] if c["channel"] == "broken"]
    assert state["code"] == "VCC-1201" and "alow" in state["error"] and state["kind"] is None
    refused(world.post("/api/v1/notifications/test", {"channel": "broken"}), 500, "VCC-1201")
    fail(world, world.c1, "c1")
    waiting = wait_for("it waits", lambda: world.admin.get("notifications/deliveries?channel=broken&state=waiting")["items"])
    assert all(d["attempts"] == 0 for d in waiting)
    mend(world, world.c1, "c1")


def test_in_a_quiet_time_nothing_but_what_is_critical(world):
    n = fail(world, world.v1, "v1")
    held = wait_for("it is held", lambda: [d for d in world.admin.get("notifications/deliveries?channel=night")["items"] if d["held"]])
    assert held[0]["state"] == "waiting" and held[0]["attempts"] == 0 and kinds(world.night, n) == []
    mend(world, world.v1, "v1")


def test_alertmanager_shows_what_is_open(world):
    conf = os.path.join(world.dir, "alertmanager.yml")
    with open(conf, "w") as f:
        f.write("route: {receiver: none}\nreceivers: [{name: none}]\n")
    am = Process("alertmanager", [ALERTMANAGER, f"--config.file={conf}", f"--storage.path={world.dir}/am", f"--web.listen-address=127.0.0.1:{world.am_port}",
                                  "--cluster.listen-address="], os.path.join(world.dir, "log", "alertmanager.log")).start()
    try:
        wait_for("it listens", lambda: connects("127.0.0.1", world.am_port))

        def alerts(active):
            with urllib.request.urlopen(f"http://127.0.0.1:{world.am_port}/api/v2/alerts?active=true") as answer:
                found = [a for a in json.load(answer) if a["labels"].get("service") == "clara"]
            return [a for a in found if a["status"]["state"] == "active"] if active else found
        fail(world, world.c1, "c1")
        alert = wait_for("the alert is active", lambda: alerts(True), 60, 0.2)[0]
        assert alert["labels"]["severity"] == "error" and alert["labels"]["matter"].startswith("clara VCC-") and alert["annotations"]["object"] == "c1-web"
        assert alert["annotations"]["ack_url"].startswith("https://pki.example:8444/notice/")
        mend(world, world.c1, "c1")
        wait_for("it is resolved", lambda: not alerts(True), 60, 0.2)
    finally:
        am.stop()


def restart(world, **notify):
    """The controller with other settings."""
    with open(f"{world.conf('controller')}.d/60-more.conf", "w") as f:
        f.write("[notify]\n" + "".join(f"{k} = {v}\n" for k, v in notify.items()))
    controller = world.processes["controller"]
    controller.stop()
    controller.start()
    world.wait_up()
    world.gateways[0].connect()
    for host in (world.c1, world.v1):
        world.gateways[0].up(host)


def test_each_renewal_where_somebody_wants_to_hear_of_it(world):
    restart(world, success="each", group_wait="3s")
    seen, orders = len(world.team.got), []
    for _ in range(2):
        status, answer = world.post(f"{LIFE}/renew/c1-web", {"force": True})
        assert status == 202
        wait_for("it is renewed", lambda: world.admin.get(f"renewals/{answer['renewal_id']}")["status"] == "completed", 60, 0.1)
        orders.append(answer["renewal_id"])

    def told():
        return [[n["renewal_id"] for n in b["notifications"] if n["event"] == "renewal_completed"] for b in world.team.bodies()[seen:]]
    wait_for("both are told", lambda: sorted(r for ids in told() for r in ids) == sorted(orders))
    assert world.team.bodies()[seen]["level"] == "success"
    restart(world, success="none", group_wait="3s")
    digests = len(world.daily.got)
    status, answer = world.post(f"{LIFE}/renew/c1-web", {"force": True})
    wait_for("it is renewed", lambda: world.admin.get(f"renewals/{answer['renewal_id']}")["status"] == "completed", 60, 0.1)
    assert world.rows("SELECT count(*) FROM notices WHERE hex(renewal_id) = ?", answer["renewal_id"].replace("-", "").upper()) == [(0,)]
    assert len(world.daily.got) == digests


def test_what_is_for_a_channel_that_is_no_more_is_given_up_and_others_go_on(world):
    def of(state):
        return world.admin.get(f"notifications/deliveries?channel=broken&state={state}")["items"]
    waiting = of("waiting")
    assert waiting
    os.unlink(os.path.join(world.channels.dir, "broken.conf"))
    restart(world, success="none", group_wait="0s")
    wait_for("it is given up", lambda: not of("waiting"))
    dead = of("dead")
    assert {d["delivery_id"] for d in waiting} <= {d["delivery_id"] for d in dead} and {d["code"] for d in dead} == {"VCC-3950"}
    n = fail(world, world.c1, "c1")
    wait_for("the team is told", lambda: kinds(world.team, n))
    mend(world, world.c1, "c1")
