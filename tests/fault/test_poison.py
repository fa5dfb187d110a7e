"""An order whose handling kills the controller, or always fails: after three times it rests, is told with its code, and everything else goes on. A person
may have it tried once more; mended, it is renewed. Where it kills: when it is made, and when something happens with it."""
import os

import pytest
from campaign_fleet import CampaignFleet
from conftest import new_folder
from installation import ROOT, Failed, wait_for

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
LIFE = "/api/v1/certificates/lifecycle"
NAMES = ("good1", "bad", "good2")
TRIES = 3


@pytest.fixture
def fleet():
    if not os.path.exists(os.path.join(FAULTS, "vcc-controller")):
        pytest.skip("make faults has not been run")
    f = CampaignFleet(new_folder("poison"), binaries=FAULTS)
    try:
        f.begin()
        f.hosts_by = {n: f.host_of(n) for n in NAMES}
        yield f
    finally:
        f.end()


def restart(fleet, point=None):
    controller = fleet.processes["controller"]
    controller.stop()
    controller.env = {"VCC_FAILPOINT": point} if point else None
    controller.start()
    controller.starts = 1
    fleet.wait_up()
    fleet.gateways[0].connect()


def answers(fleet):
    try:
        checks = fleet.status()["checks"]
    except (Failed, KeyError):
        return False
    return checks["store"] == checks["signer"] == "ok"


def again(fleet):
    """Starts it as systemd would; True when it was dead."""
    controller = fleet.processes["controller"]
    if controller.running():
        return False
    controller.start()
    wait_for("it is up, or has died again", lambda: not controller.running() or answers(fleet), 30)
    if controller.running():
        try:
            fleet.gateways[0].connect()
        except (OSError, Failed, AssertionError):
            pass  # it dies of what the hosts say
    return True


def until(fleet, what, condition):
    """The value; the controller is started whenever it has died meanwhile."""
    def look():
        again(fleet)
        try:
            return condition()
        except (Failed, OSError, AssertionError, KeyError, TypeError):
            return None
    return wait_for(what, look, 120, 0.1)


def begin(fleet):
    """A campaign over all; the controller may die of it, with or without an answer."""
    try:
        fleet.emergency(selector={"service": "clara"}, wait=0)
    except Exception:  # noqa: BLE001 - whatever a dying server gives
        pass
    return until(fleet, "the campaign is there", lambda: fleet.admin.get("campaigns")["items"][0]["campaign_id"])


@pytest.mark.parametrize("point", ["controller.begin", "controller.handle"])
def test_what_kills_rests_and_the_rest_goes_on(fleet, point):
    old = {n: fleet.cert(f"{n}-web")["fingerprint"] for n in NAMES}
    restart(fleet, f"{point}:bad-web=kill")
    campaign = begin(fleet)
    c = until(fleet, "the campaign is closed", lambda: (c := fleet.campaign(campaign))["completed_at"] and c)
    controller = fleet.processes["controller"]
    assert controller.starts == 1 + TRIES, "three deaths, and no more"
    assert (c["status"], c["successful_count"], c["failed_count"]) == ("completed_with_failures", 2, 1), c
    member, = [m for m in fleet.members(campaign) if m["cert_id"] == "bad-web"]
    assert member["code"] == "VCC-3031" and member["state"] == "failed", member
    assert fleet.cert("bad-web")["fingerprint"] == old["bad"]
    assert all(fleet.cert(f"{n}-web")["fingerprint"] != old[n] for n in ("good1", "good2"))
    # it rests over an orderly restart, too, and whatever its host says
    controller.stop()
    controller.start()
    fleet.wait_up()
    fleet.gateways[0].connect()
    fleet.again(fleet.hosts_by["bad"])
    assert fleet.vccctl("cert", "renew", "good1-web", "--force")["renewal_id"]
    until(fleet, "others are renewed", lambda: fleet.cert("good1-web")["open_order"] is None)
    assert controller.starts == 2 + TRIES
    if point == "controller.handle":  # nor does the host wake it by taking its file away
        bad = fleet.hosts_by["bad"]
        bad.target("bad-web", "clara", "clara_service_auth", "DNS:bad.clara.vcc.internal", retired=True, last=True)
        wait_for("the file is gone", lambda: fleet.cert("bad-web")["retired_at"])
        assert controller.running() and controller.starts == 2 + TRIES
        bad.target("bad-web", "clara", "clara_service_auth", "DNS:bad.clara.vcc.internal")
        wait_for("it is there again", lambda: not fleet.cert("bad-web")["retired_at"])
        assert controller.running() and controller.starts == 2 + TRIES
    # a person's word: once more
    try:
        fleet.vccctl("cert", "renew", "bad-web", "--force")
    except Failed:
        pass
    wait_for("it has died of it", lambda: not controller.running(), 30)
    until(fleet, "it is back and stays", lambda: answers(fleet))
    assert fleet.cert("bad-web")["fingerprint"] == old["bad"]
    # mended
    restart(fleet)
    fleet.vccctl("cert", "renew", "bad-web", "--force")
    fleet.wait_done("bad-web", old["bad"])
    assert fleet.rows("SELECT count(*) FROM issuances WHERE owner_id = 'bad-web' AND state = 'intent'") == [(0,)]


def test_what_always_breaks_rests_and_the_rest_goes_on(fleet):
    """No death: its step cannot be made, whatever comes."""
    old = fleet.cert("bad-web")["fingerprint"]
    fleet.hosts_by["bad"].respond = False
    renewal = fleet.vccctl("cert", "renew", "bad-web", "--force")["renewal_id"]
    restart(fleet, "controller.handle:bad-web=err:EIO")
    bad = fleet.hosts_by["bad"]
    bad.respond = True

    def rests():
        fleet.again(bad)  # it sends its request once more
        return (r := fleet.get(f"renewals/{renewal}"))["status"] == "paused" and r
    shown = wait_for("it rests", rests, 60, 0.5)
    assert shown["error"]["code"] == "VCC-3031", shown
    fleet.vccctl("cert", "renew", "good1-web", "--force")
    wait_for("others are renewed", lambda: fleet.cert("good1-web")["open_order"] is None)
    restart(fleet)
    fleet.vccctl("cert", "renew", "bad-web", "--force")
    fleet.wait_done("bad-web", old)


def test_what_kills_the_signer_rests_and_the_rest_is_signed(fleet):
    """The signer ends whenever it has one request in hand, of many that come together. In the end that one alone is not sent again."""
    old = {n: fleet.cert(f"{n}-web")["fingerprint"] for n in NAMES}
    signer = fleet.processes["signer"]
    signer.stop()
    signer.env = {"VCC_FAILPOINT": "signer.judge:bad.clara.vcc.internal=kill"}
    campaign = begin(fleet)  # all of it is asked at once when the signer is there
    signer.start()

    def closed():
        if not signer.running():
            signer.start()
        return (c := fleet.campaign(campaign))["completed_at"] and c
    c = wait_for("the campaign is closed", closed, 400, 0.1)
    assert (c["status"], c["successful_count"], c["failed_count"]) == ("completed_with_failures", 2, 1), c
    member, = [m for m in fleet.members(campaign) if m["cert_id"] == "bad-web"]
    assert member["code"] == "VCC-3031" and "signer" in member["error"], member
    assert all(fleet.cert(f"{n}-web")["fingerprint"] != old[n] for n in ("good1", "good2")) and fleet.cert("bad-web")["fingerprint"] == old["bad"]
    starts = signer.starts
    restart(fleet)  # nor does anybody ask again by himself
    fleet.again(fleet.hosts_by["bad"])
    fleet.vccctl("cert", "renew", "good1-web", "--force")
    wait_for("others are renewed", lambda: fleet.cert("good1-web")["open_order"] is None)
    assert signer.running() and signer.starts == starts
    signer.stop()
    signer.env = None
    signer.start()
    wait_for("the signer is back", lambda: answers(fleet), 60)
    fleet.vccctl("cert", "renew", "bad-web", "--force")
    fleet.wait_done("bad-web", old["bad"])
