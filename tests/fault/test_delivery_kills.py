"""Is every message to people delivered, and never under two ids, wherever the controller is killed: before and after a message is begun, and before and after its end is stored?"""
import datetime
import os
import random
import signal
import struct

import pytest
from campaign_fleet import LIFE, CampaignFleet
from conftest import new_folder
from installation import ROOT, wait_for
from receivers import Channels, HttpReceiver

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
LONG = os.environ.get("VCC_LONG") == "1"


@pytest.fixture(scope="module")
def fleet():
    folder = new_folder("delivery-kills")
    settings = {"notify.dir": os.path.join(folder, "notify.d"), "notify.group_wait": "0s", "notify.group_interval": "0s", "notify.retry": "100ms",
                "schedule.tick": "100ms", "limits.max_renewals_default": "0", "limits.approval_share": "100%"}
    f = CampaignFleet(folder, settings={f"controller.{k}": v for k, v in settings.items()}, binaries=FAULTS)
    f.hook = HttpReceiver(os.path.join(folder, "receiver"))
    Channels(folder).add("hook", channel={"kind": "webhook", "url": f.hook.url, "ca_file": f.hook.cert, "allow": "127.0.0.0/8"})
    try:
        f.begin()
        f.edit_template("clara_service_auth", "--force", retry_interval="1s", max_renewal_attempts=1, renewal_threshold="30d", emergency_threshold="7d")
        f.host = f.host_of("n1")
        yield f
    finally:
        f.hook.close()
        f.end()


def restart(fleet, env=None):
    controller = fleet.processes["controller"]
    controller.stop()
    controller.env = env
    controller.start()
    fleet.wait_up()
    fleet.gateways[0].connect()
    fleet.gateways[0].up(fleet.host)


def renew(fleet):
    status, answer = fleet.post(f"{LIFE}/renew/n1-web", {"force": True})
    assert status == 202, answer
    return answer["renewal_id"]


def ids_by_notice(fleet):
    """{notification: the ids of all messages that it came in}"""
    seen = {}
    for body in fleet.hook.bodies():
        for n in body["notifications"]:
            seen.setdefault(n["notification_id"], []).append(body["message_id"])
    return seen


def all_sent(fleet):
    states = fleet.rows("SELECT state, count(*) FROM deliveries WHERE channel <> 'gone' GROUP BY state")
    return states and [s for s, _ in states] == ["sent"]


def wait_status(fleet, renewal_id, status):
    wait_for(f"the order is {status}", lambda: fleet.admin.get(f"renewals/{renewal_id}")["status"] == status, 120, 0.2)


# point, how often the receiver sees the message of that moment
POINTS = [("controller.notify", 1), ("controller.notify_stored", 1), ("controller.notify_sent", 2), ("controller.notify_sent_stored", 1)]


@pytest.mark.parametrize("point,times", POINTS, ids=str)
def test_kill(fleet, point, times):
    wait_for("it is quiet", lambda: not fleet.rows("SELECT 1 FROM deliveries WHERE state = 'waiting'"))
    before = set(ids_by_notice(fleet))
    restart(fleet, {"VCC_FAILPOINT": f"{point}=kill"})
    fleet.host.outcome = lambda h, m: "failed"
    order = renew(fleet)
    wait_for("it dies there", lambda: not fleet.processes["controller"].running(), 60)
    restart(fleet)
    wait_status(fleet, order, "paused")
    wait_for("everything is sent", lambda: all_sent(fleet), 60, 0.2)
    new = {n: ids for n, ids in ids_by_notice(fleet).items() if n not in before}
    assert len(new) == 1 and [len(ids) for ids in new.values()] == [times], new
    assert all(len(set(ids)) == 1 for ids in new.values()), new
    fleet.host.outcome = lambda h, m: "ok"
    wait_status(fleet, renew(fleet), "completed")
    wait_for("its end is sent", lambda: all_sent(fleet), 60, 0.2)


@pytest.mark.parametrize("point", ["controller.notify_remind", "controller.notify_remind_stored"])
def test_kill_at_an_escalation(fleet, point):
    """Before it is stored it comes after the restart, afterwards not again."""
    drop_in = f"{fleet.conf('controller')}.d/60-escalate.conf"
    with open(drop_in, "w") as f:
        f.write("[notify]\nescalate = 1s\n")
    restart(fleet, {"VCC_FAILPOINT": f"{point}=kill"})
    fleet.host.outcome = lambda h, m: "failed"
    order = renew(fleet)
    wait_for("it dies there", lambda: not fleet.processes["controller"].running(), 60)
    restart(fleet)
    wait_status(fleet, order, "paused")
    wait_for("it is escalated", lambda: fleet.rows("SELECT 1 FROM deliveries WHERE kind = 'escalation' AND state = 'sent'"), 60, 0.2)
    os.unlink(drop_in)
    restart(fleet)
    wait_for("everything is sent", lambda: all_sent(fleet), 60, 0.2)
    assert fleet.rows("SELECT escalations FROM notices WHERE closed_at IS NULL AND key <> '' AND level = 'error'") == [(1,)]
    assert fleet.rows("SELECT count(*) FROM deliveries WHERE kind = 'escalation' AND notice_id IN (SELECT notice_id FROM notices WHERE closed_at IS NULL)") == [(1,)]
    fleet.host.outcome = lambda h, m: "ok"
    wait_status(fleet, renew(fleet), "completed")
    wait_for("its end is sent", lambda: all_sent(fleet), 60, 0.2)


def test_an_orderly_end_while_a_receiver_hangs(fleet):
    """It ends at once, and what was on its way comes after the start, under the same id."""
    before = len(fleet.hook.got)
    fleet.hook.mode = "hang"
    fleet.host.outcome = lambda h, m: "failed"
    wait_status(fleet, renew(fleet), "paused")
    wait_for("it is on its way", lambda: len(fleet.hook.got) > before)
    controller = fleet.processes["controller"]
    controller.kill(signal.SIGTERM)
    assert controller.popen.returncode == 0
    fleet.hook.mode = "ok"
    restart(fleet)
    wait_for("it is sent", lambda: all_sent(fleet), 60, 0.2)
    assert len(fleet.hook.got) == before + 2 and len({b["message_id"] for b in fleet.hook.bodies()[before:]}) == 1
    fleet.host.outcome = lambda h, m: "ok"
    wait_status(fleet, renew(fleet), "completed")
    wait_for("its end is sent", lambda: all_sent(fleet), 60, 0.2)


def test_a_channel_that_is_no_more(fleet):
    """What waits for it is not kept for ever: it is given up in sight."""
    channel = Channels(fleet.dir).add("gone", channel={"kind": "webhook", "url": "https://127.0.0.1:1/", "allow": "127.0.0.0/8"})
    restart(fleet)
    fleet.host.outcome = lambda h, m: "failed"
    wait_status(fleet, renew(fleet), "paused")
    wait_for("it is tried", lambda: fleet.rows("SELECT 1 FROM deliveries WHERE channel = 'gone' AND attempts > 0"))
    os.unlink(os.path.join(fleet.dir, "notify.d", f"{channel}.conf"))
    restart(fleet)
    wait_for("it is given up", lambda: [s for s, in fleet.rows("SELECT DISTINCT state FROM deliveries WHERE channel = 'gone'")] == ["dead"], 60, 0.2)
    assert fleet.rows("SELECT DISTINCT code FROM deliveries WHERE channel = 'gone'") == [(-3950,)]
    fleet.host.outcome = lambda h, m: "ok"
    wait_status(fleet, renew(fleet), "completed")
    wait_for("its end is sent", lambda: not fleet.rows("SELECT 1 FROM deliveries WHERE state = 'waiting' AND channel <> 'gone'"), 60, 0.2)


def test_what_was_held_in_a_quiet_time_comes_as_one(fleet):
    """Held over a kill, too; the clock then goes to the end of the quiet time."""
    night, clock = HttpReceiver(os.path.join(fleet.dir, "receiver")), os.path.join(fleet.dir, "clock")
    now = datetime.datetime.now(datetime.timezone.utc)
    hours = "-".join((now + datetime.timedelta(hours=h)).strftime("%H:%M") for h in (-1, 1))
    channel = Channels(fleet.dir).add("night", channel={"kind": "webhook", "url": night.url, "ca_file": night.cert, "allow": "127.0.0.0/8"},
                                      quiet={"hours": f"* {hours} UTC"})
    with open(clock, "wb") as f:
        f.write(struct.pack("@q", 0))

    def held():
        return fleet.rows("SELECT count(*) FROM deliveries WHERE channel = 'night' AND held AND state = 'waiting'")[0][0]
    restart(fleet, {"VCC_CLOCK_FILE": clock})
    fleet.host.outcome = lambda h, m: "failed"
    wait_status(fleet, renew(fleet), "paused")
    wait_for("it is held", lambda: held() >= 1)
    fleet.processes["controller"].kill(signal.SIGKILL)
    restart(fleet, {"VCC_CLOCK_FILE": clock})
    fleet.host.outcome = lambda h, m: "ok"
    wait_status(fleet, renew(fleet), "completed")
    wait_for("and so is its end", lambda: held() >= 2)
    assert night.got == []
    with open(clock, "r+b") as f:
        f.write(struct.pack("@q", 2 * 3600 * 1000))
    wait_for("it comes", lambda: night.got and held() == 0, 60, 0.2)
    bodies = night.bodies()
    assert len(bodies) == 1 and "from a quiet time" in bodies[0]["title"], bodies
    assert {n["event"] for n in bodies[0]["notifications"]} >= {"trouble_resolved"} and len(bodies[0]["notifications"]) >= 2
    night.close()
    os.unlink(os.path.join(fleet.dir, "notify.d", f"{channel}.conf"))
    restart(fleet)
    wait_for("everything is sent", lambda: all_sent(fleet), 60, 0.2)


def test_kills_at_random_moments(fleet):
    """Troubles come and go while the controller is killed: each notification arrives, under one id."""
    rng = random.Random(7)
    for _ in range(20 if LONG else 3):
        fleet.host.outcome = lambda h, m: "failed"
        order = renew(fleet)
        wait_for("a while", lambda: fleet.admin.get(f"renewals/{order}")["status"] == "paused", 120, 0.05)
        wait_for("its moment", lambda: rng.random() < 0.3, 5, 0.02)
        fleet.processes["controller"].kill(signal.SIGKILL)
        restart(fleet)
        fleet.host.outcome = lambda h, m: "ok"
        wait_status(fleet, renew(fleet), "completed")
    wait_for("everything is sent", lambda: all_sent(fleet), 60, 0.2)
    seen = ids_by_notice(fleet)
    told = {n: m for n, m in fleet.rows("SELECT lower(hex(notice_id)), count(DISTINCT message_id) FROM deliveries WHERE channel = 'hook' GROUP BY notice_id")}
    assert {n for n, in fleet.rows("SELECT lower(hex(notice_id)) FROM notices")} == set(told)
    assert {n.replace("-", ""): len(set(ids)) for n, ids in seen.items()} == told
