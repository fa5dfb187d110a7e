"""Does an order that waits for its relying parties come to its one end, wherever controller, keeper or link are killed? Nothing is asked in vain, no verdict
counts twice, nobody is forgotten."""
import os
import shutil

import checks
import pytest
from campaign_fleet import CampaignFleet
from conftest import new_folder
from fake_gateway import FakeGateway
from installation import ROOT, Installation, wait_for

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
LONG = os.environ.get("VCC_LONG") == "1"
STALE = -2041
# point, at which passage, what the relying party sees, where the order ends
CONTROLLER = [("controller.peer", 1, 0, "completed"), ("controller.peer_stored", 1, STALE, "rolled_back"), ("controller.peers_proved", 1, 0, "completed"),
              ("controller.peers_refused", 1, STALE, "rolled_back"), ("controller.peers_proved_stored", 1, 0, "completed"),
              ("controller.peers_refused_stored", 1, STALE, "rolled_back"), ("controller.peer", 1, STALE, "rolled_back"),
              ("controller.peer_stored", 1, 0, "completed")]
HOST = [("keeper", "keeper.peer.ask"), ("agent", "link.peer"), ("keeper", "keeper.peer.judged")]


def built():
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")


# ---- the controller ----

@pytest.fixture(scope="module")
def fleet():
    built()
    f = CampaignFleet(new_folder("peer-kills"), binaries=FAULTS, settings={"controller.bulk.pause": "0s", "controller.supersede.grace": "1h", "controller.bulk.halt_share": "100%"})
    try:
        f.begin()
        assert f.admin("POST", "/api/v1/services", {"name": "covina", "depends_on": ["clara"]})[0] == 202
        f.web, f.peer = f.host_of("web01"), f.host_of("covina01", "covina")
        f.peer.relies(("web01-web", "127.0.0.1:443", "web01.clara.vcc.internal"))
        wait_for("it is known", lambda: f.admin.get("certificates/web01-web")["relying_parties"], 30, 0.1)
        yield f
    finally:
        f.end()


def again(fleet, env=None):
    """The controller anew, and everybody connected with it."""
    controller = fleet.processes["controller"]
    controller.stop()
    controller.env = env
    controller.start()
    fleet.wait_up()
    fleet.gateways[0].close()
    gateway = fleet.gateways[0] = FakeGateway(os.path.join(fleet.state, "run", "gateway.sock"), "gw1").connect()
    gateway.wait("credit", lambda: gateway.credit)
    for host in (fleet.web, fleet.peer):
        n = len(host.welcomes)
        gateway.up(host)
        host.wait("welcome", lambda: len(host.welcomes) > n)


@pytest.mark.parametrize("point,nth,sees,end", CONTROLLER if LONG else CONTROLLER[:4], ids=str)
def test_kill_controller(fleet, point, nth, sees, end):
    fleet.peer.sees = lambda h, m: sees
    controller = fleet.processes["controller"]
    again(fleet, {"VCC_FAILPOINT": f"{point}@{nth}=kill"})
    before = fleet.cert("web01-web")["fingerprint"]
    status, answer = fleet.bulk(service_pattern="web01.clara.vcc.internal", peer_proof=True)
    assert status == 202, answer
    wait_for("the controller died there", lambda: not controller.running(), 60)
    again(fleet)
    renewal_id = wait_for("its order", lambda: next((m["renewal_id"] for m in fleet.members(answer["campaign_id"])), None), 60, 0.1)
    wait_for("it ends", lambda: fleet.admin.get(f"renewals/{renewal_id}")["status"] == end, 60, 0.1)
    campaign = fleet.wait_state(answer["campaign_id"], "completed" if end == "completed" else "completed_with_failures")
    order = fleet.admin.get(f"renewals/{renewal_id}")
    assert (campaign["successful_count"], campaign["failed_count"]) == ((1, 0) if end == "completed" else (0, 1))
    assert ("peer_refused" in order["flags"]) == (end != "completed") and "peer_unproved" not in order["flags"]
    assert (fleet.cert("web01-web")["fingerprint"] == before) == (end != "completed")
    events = [e for e, in fleet.rows("SELECT event FROM audit WHERE renewal_id = ?", bytes.fromhex(renewal_id.replace("-", "")))]
    assert events.count("relying_parties_proved") == (end == "completed") and events.count("relying_party_refused") == (end != "completed"), events
    assert events.count("certificate_renewal_completed") == (end == "completed")
    assert fleet.rows("SELECT count(*) FROM orders WHERE phase NOT IN ('completed', 'rolled_back', 'failed', 'cancelled')")[0][0] == 0


# ---- keeper and link of the relying party ----

@pytest.fixture(scope="module")
def inst():
    built()
    folder = new_folder("peer-host-kills")
    i = Installation(folder, {"controller.bulk.pause": "0s"}, binaries=FAULTS)
    try:
        i.init()
        i.start()
        i.web = i.add_echo(0)
        i.wait_served(i.web)
        i.peer = i.prepare_host("clara-p01", "clara", "clara_service_auth", "echo", ["clara-p01.clara.vcc.internal"])
        i.peer.enrol({"agent.peer.relies": f"{i.web.cert_id} {i.web.address} {i.web.names[0]}"})
        i.wait_served(i.peer)
        wait_for("it is known", lambda: i.certificate(i.web.cert_id)["relying_parties"], 30, 0.1)
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("process,point", HOST, ids=str)
def test_kill_host(inst, process, point):
    p = inst.peer.processes[process]
    agent = inst.peer.processes["agent"]
    agent.stop()
    if process == "keeper":
        p.stop()
    p.env = {"VCC_FAILPOINT": f"{point}=kill"}
    p.start()
    if process == "keeper":
        agent.start()
    wait_for("the host is there", lambda: inst.get(f"agents/{inst.peer.name}")["connected"], 60, 0.1)
    old = inst.certificate(inst.web.cert_id)["fingerprint"]
    campaign_id = inst.vccctl("bulk", "apply", "--pattern", inst.web.names[0], "--peer-proof", "--yes")["campaign_id"]
    wait_for("it died there", lambda: not p.running(), 60)
    p.env = None
    p.start()
    campaign = wait_for("the campaign ends", lambda: (c := inst.get(f"campaigns/{campaign_id}"))["completed_at"] and c, 90, 0.2)
    assert campaign["status"] == "completed" and campaign["peer_unproved_count"] == 0, campaign
    cert = inst.certificate(inst.web.cert_id)
    assert cert["fingerprint"] != old and cert["relying_parties"][0]["proved"]
    assert checks.rows(os.path.join(inst.state, "controller", "vcc.db"), "SELECT count(*) FROM audit WHERE event = 'relying_parties_proved' AND object = ?",
                       inst.web.cert_id)[0][0] >= 1


def test_a_link_that_cannot_connect(inst):
    """What fails on the relying host itself is said as that it cannot reach the service, and is asked again."""
    agent = inst.peer.processes["agent"]
    agent.stop()
    agent.env = {"VCC_FAILPOINT": "link.peer@1=err:EIO"}
    agent.start()
    wait_for("the host is there", lambda: inst.get(f"agents/{inst.peer.name}")["connected"], 60, 0.1)
    campaign_id = inst.vccctl("bulk", "apply", "--pattern", inst.web.names[0], "--peer-proof", "--yes")["campaign_id"]
    campaign = wait_for("the campaign ends", lambda: (c := inst.get(f"campaigns/{campaign_id}"))["completed_at"] and c, 90, 0.2)
    assert campaign["status"] == "completed", "one failed handshake in the first of two rounds is no verdict"
    agent.stop()
    agent.env = None
    agent.start()
