"""Is every trouble told once and ended once, wherever the controller is killed: when a failure is stored, when it is resolved, when a threshold is crossed?"""
import os

import pytest
from campaign_fleet import LIFE, CampaignFleet
from conftest import new_folder
from installation import ROOT, wait_for

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
LONG = os.environ.get("VCC_LONG") == "1"
# receipts of the story: failed, verified, settled
POINTS = [(f"controller.receipt{when}", n) for n in (1, 2, 3) for when in ("", "_stored")]


@pytest.fixture(scope="module")
def fleet():
    f = CampaignFleet(new_folder("notice-kills"), settings={"controller.limits.max_renewals_default": "0", "controller.limits.approval_share": "100%"}, binaries=FAULTS)
    try:
        f.begin()
        f.edit_template("clara_service_auth", "--force", retry_interval="1s", renewal_threshold="30d", emergency_threshold="7d")
        f.host = f.host_of("n1")
        yield f
    finally:
        f.end()


def restart(fleet, env):
    controller = fleet.processes["controller"]
    controller.stop()
    controller.env = env
    controller.start()
    fleet.wait_up()
    fleet.gateways[0].connect()
    fleet.gateways[0].up(fleet.host)


def told_right(fleet, renewal_id):
    """What stands in the queue is what the history says: as many failures as were counted, and one end."""
    history = b"".join(s for s, in fleet.rows("SELECT steps FROM order_histories WHERE hex(renewal_id) = ? ORDER BY seq", renewal_id)).decode()
    words = [line.split(" ", 5) for line in history.splitlines()]  # attempt, step, code, at, took_ms, detail
    steps = [w[5].split(",")[0] for w in words if w[1] == "notify"]
    failures = fleet.rows("SELECT count(*) FROM audit WHERE event = 'certificate_renewal_step' AND hex(renewal_id) = ? AND detail LIKE '%\"code\"%'", renewal_id)[0][0]
    assert steps[0] == "queued renewal_failed" and steps[-1] == "queued trouble_resolved" and len(steps) == failures + 1, (steps, failures)
    trouble = fleet.rows("SELECT count, state, closed_at IS NOT NULL FROM notices WHERE hex(renewal_id) = ? AND event = 'renewal_failed'", renewal_id)
    assert trouble == [(failures, "closed", 1)]
    assert fleet.rows("SELECT count(*) FROM notices WHERE hex(renewal_id) = ? AND event = 'trouble_resolved'", renewal_id) == [(1,)]
    assert fleet.rows("SELECT * FROM notice_members") == []


@pytest.mark.parametrize("point,n", POINTS if LONG else POINTS[:3], ids=str)
def test_kill(fleet, point, n):
    failed = []

    def outcome(_host, message):
        if not failed:
            failed.append(message["attempt"])
            return "failed"
        return "ok"
    fleet.host.outcome = outcome
    restart(fleet, {"VCC_FAILPOINT": f"{point}@{n}=kill"})
    status, answer = fleet.post(f"{LIFE}/renew/n1-web", {"force": True})
    assert status == 202
    wait_for("it dies there", lambda: not fleet.processes["controller"].running(), 60)
    restart(fleet, None)
    wait_for("the order ends", lambda: fleet.admin.get(f"renewals/{answer['renewal_id']}")["status"] == "completed", 120, 0.2)
    told_right(fleet, answer["renewal_id"].replace("-", "").upper())


@pytest.mark.parametrize("point", ["controller.alert", "controller.alert_stored"])
def test_kill_at_the_threshold(fleet, point):
    """Before it is stored it is told after the restart, afterwards not again."""
    fleet.host.outcome = lambda h, m: "ok"
    fleet.edit_template("clara_service_auth", "--force", retry_interval="1s", renewal_threshold="30d", emergency_threshold="7d")
    wait_for("it is closed", lambda: fleet.rows("SELECT count(*) FROM notices WHERE key LIKE '%emergency_threshold' AND closed_at IS NULL") == [(0,)], 60, 0.2)
    restart(fleet, {"VCC_FAILPOINT": f"{point}=kill"})
    before = fleet.rows("SELECT count(*) FROM audit WHERE event = 'certificate_emergency_threshold_reached'")[0][0]
    try:  # all of its life is an emergency now, though it is not due
        fleet.edit_template("clara_service_auth", "--force", retry_interval="1s", renewal_threshold="30d", emergency_threshold="740d")
    except Exception:  # noqa: BLE001 - whatever a dying server gives
        pass
    wait_for("it dies there", lambda: not fleet.processes["controller"].running(), 60)
    restart(fleet, None)
    count = "SELECT count(*) FROM audit WHERE event = 'certificate_emergency_threshold_reached'"
    wait_for("it is told", lambda: fleet.rows(count)[0][0] == before + 1, 60, 0.2)
    assert [c for c, in fleet.rows("SELECT count FROM notices WHERE key = 'clara emergency_threshold' AND closed_at IS NULL")] == [1]
    fleet.edit_template("clara_service_auth", "--force", retry_interval="1s", renewal_threshold="30d", emergency_threshold="7d")
    fleet.vccctl("cert", "renew", "n1-web", "--force")
    wait_for("it is over", lambda: fleet.rows("SELECT count(*) FROM notice_members") == [(0,)], 60, 0.2)
    assert fleet.rows(count)[0][0] == before + 1
