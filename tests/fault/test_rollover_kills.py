"""Is nothing of a rollover done twice or forgotten, wherever controller or signer are killed: one successor, one record of each step, one way to the end?"""
import json
import os
import shutil
import ssl
import subprocess
import time

import checks
import pytest
from asking import Asking
from conftest import new_folder
from installation import ROOT, wait_for
from played_fleet import PlayedFleet
from rights_estate import Api

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
LONG = os.environ.get("VCC_LONG") == "1"
# process, point, at which passage, role of the CA, where it ends. A day has four successors of a role, nine of all.
CASES = [("controller", "controller.rollover", 1, "service", "retired"), ("signer", "signer.successor_key", 1, "code-signing", "retired"),
         ("controller", "controller.rollover_word", 2, "agent", "rolled_back"),
         ("controller", "controller.rollover_stored", 1, "service", "retired"), ("controller", "controller.rollover", 2, "service", "retired"),
         ("controller", "controller.rollover_word_stored", 1, "service", "retired"), ("signer", "signer.successor_certificate", 1, "code-signing", "retired"),
         ("signer", "signer.close", 1, "code-signing", "retired"), ("controller", "controller.rollover_stored", 3, "code-signing", "retired")]
ONCE = {"retired": ["ca_rollover_started", "ca_successor_made", "ca_rollover_issuing", "ca_rollover_draining", "ca_retired"],
        "rolled_back": ["ca_rollover_started", "ca_successor_made", "ca_rollover_issuing", "ca_rollover_rolled_back"]}


class Site(Asking):
    def __init__(self, folder):
        self.inst = PlayedFleet(folder, binaries=FAULTS)
        try:
            self.inst.init()
            self.inst.start_both()
            self.gateway = self.inst.gateway()
            self.host = self.inst.host(self.gateway, "roll01")
            self.host.target("roll01-web", "clara", "clara_service_auth", "DNS:roll01.clara.vcc.internal")
            self.inst.wait_done("roll01-web")
        except BaseException:
            self.end()
            raise

    def end(self):
        for g in self.inst.gateways:
            g.close()
        self.inst.stop()

    def newest(self, role):
        cas = [c for c in self.ask("admin", "GET", "ca").get("items", []) if c["role"] == role and c["state"] == "active"]
        return cas[0]["issuer_id"] if cas else None

    def agree(self):
        for a in self.ask("approver", "GET", "approvals").get("items", []):
            if a["kind"].startswith("ca_"):
                self.ask("approver", "POST", f"approvals/{a['approval_id']}/approve", {"hash": a["hash"]})

    def drive(self, issuer, end):
        """What a person would do next; the phase."""
        at = self.ask("admin", "GET", f"ca/{issuer}/rollover")
        phase = at.get("phase") if at.get("issuer_id") else "none" if at.get("code") == "VCC-1006" else None
        if phase == "none":
            self.ask("admin", "POST", f"ca/{issuer}/rollover", {})
        elif phase == "trust":
            self.ask("admin", "POST", f"ca/{issuer}/rollover/advance", {})
        elif phase in ("issuing", "draining") and end == "rolled_back":
            self.ask("admin", "POST", f"ca/{issuer}/rollover/rollback", {"reason": "so"})
        elif phase == "draining":
            self.ask("admin", "POST", f"ca/{issuer}/rollover/retire", {"consumers": []})
        self.agree()
        return phase

    def restart(self, process, env=None):
        p = self.inst.processes[process]
        p.stop()
        p.env = env
        p.start()
        self.inst.wait_up()
        if not self.gateway.alive():
            self.gateway.connect()


@pytest.fixture(scope="module")
def site():
    if not os.path.exists(os.path.join(FAULTS, "vcc-controller")):
        pytest.skip("make faults has not been run")
    folder = new_folder("rollover-kills")
    s = Site(folder)
    yield s
    s.end()
    shutil.rmtree(folder, ignore_errors=True)


def events(site, event, issuer):
    rows = checks.rows(site.inst.facts_db(), "SELECT detail FROM audit WHERE event = ? AND object = ?", event, issuer)
    return [json.loads(d) for d, in rows]


@pytest.mark.parametrize("process,point,nth,role,end", CASES if LONG else CASES[:3], ids=str)
def test_killed_in_between(site, process, point, nth, role, end):
    issuer = wait_for("a CA of the role issues", lambda: site.newest(role))
    made = {c["issuer_id"] for c in site.ask("admin", "GET", "ca")["items"]}
    site.restart(process, {"VCC_FAILPOINT": f"{point}@{nth}=kill"})
    deadline = time.monotonic() + 60
    while site.inst.processes[process].running() and time.monotonic() < deadline:
        site.drive(issuer, end)
        time.sleep(0.1)
    assert not site.inst.processes[process].running(), f"{point} was not passed"
    site.restart(process)
    wait_for(f"it is {end}", lambda: site.drive(issuer, end) == end, 60, 0.2)

    # one of each
    shown = site.ask("admin", "GET", f"ca/{issuer}/rollover")
    for event in ONCE[end]:
        assert len(events(site, event, issuer)) == 1, (event, events(site, event, issuer))
    now = {c["issuer_id"]: c for c in site.ask("admin", "GET", "ca")["items"]}
    assert set(now) - made == {shown["successor_id"]}
    files = sorted(name for _, _, names in os.walk(os.path.join(site.inst.dir)) for name in names if name.startswith(f"{role}-") and name.endswith(".key"))
    assert files == sorted(f"{i}.key" for i, c in now.items() if c["role"] == role), files
    assert site.newest(role) == (shown["successor_id"] if end == "retired" else issuer)

    # and the host has what it should, once
    if role == "service":
        wait_for("the host has its own", lambda: checks.rows(site.inst.facts_db(), "SELECT issuer_id FROM issuances WHERE owner_id = 'roll01-web' AND state = 'active'")
                 == [(shown["successor_id"],)])
    bare = checks.rows(site.inst.facts_db(), "SELECT count(*) FROM issuances i WHERE i.state NOT IN ('intent', 'void') AND NOT EXISTS (SELECT 1 FROM audit a "
                       "WHERE a.event = 'certificate_intent' AND a.object = i.owner_id AND instr(a.detail, hex(i.serial)) > 0)")
    assert bare == [(0,)]


@pytest.mark.skipif(not os.path.exists(os.path.join(FAULTS, "vcc-controller")), reason="make faults has not been run")
@pytest.mark.parametrize("word", ["rollback", "emergency"])
def test_the_campaign_of_what_is_over_ends_though_killed_in_between(folder, word):
    """The word and the end of its campaign are two changes. The host is away, so nothing else ends it."""
    site = Site(folder)
    try:
        site.gateway.close()
        wait_for("it gives way", lambda: site.drive("service-1", "nowhere") == "trust")
        site.ask("admin", "POST", "ca/service-1/rollover/advance", {})
        shown = wait_for("a campaign waits for the host", lambda: (r := site.ask("admin", "GET", "ca/service-1/rollover")).get("campaign_open") and r)
        point = "controller.rollover_word_stored" if word == "rollback" else "controller.decision_stored"
        p = site.inst.processes["controller"]
        p.stop()
        p.env = {"VCC_FAILPOINT": f"{point}@1=kill"}
        p.start()
        site.inst.wait_up()
        if word == "rollback":
            site.ask("admin", "POST", "ca/service-1/rollover/rollback", {"reason": "so"})
        else:
            site.ask("admin", "POST", "ca/service-1/rollover", {"emergency": True, "reason": "stolen"})
            site.agree()
        wait_for("it was killed", lambda: not p.running())
        p.stop()
        p.env = None
        p.start()
        site.inst.wait_up()
        wait_for("its campaign is cancelled", lambda: site.ask("admin", "GET", f"campaigns/{shown['campaign_id']}").get("status") == "cancelled")
        after = wait_for("it is where the word says", lambda: (r := site.ask("admin", "GET", "ca/service-1/rollover"))
                         and (r["phase"] == "rolled_back" if word == "rollback" else r["emergency"] and r["closed"] and r["campaign_id"] != shown["campaign_id"]) and r)
        rows = checks.rows(site.inst.facts_db(), "SELECT count(*) FROM audit WHERE event = 'campaign_cancelled' AND object = ?", shown["campaign_id"])
        assert rows == [(1,)] and (after["campaign_open"] or word == "rollback"), (rows, after)
    finally:
        site.end()


class LaterFleet(PlayedFleet):
    """Its processes live 300 days from now, vccctl does not: to it the admin port's next certificate is not valid yet, from the moment it is there.
    The local socket has none."""

    def start_later(self):
        for name in ("signer", "controller"):
            self.processes[name].env = {"VCC_CLOCK_OFFSET_MS": str(300 * 24 * 3600 * 1000)}
            self.processes[name].start()
        self.wait_up()

    @property
    def vccctl_argv(self):
        return [self.bin("vccctl"), "--socket", os.path.join(self.state, "run", "admin.sock")]

    def status(self):
        return json.loads(subprocess.run([*self.vccctl_argv, "status", "-o", "json"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL).stdout or "{}")

    def approver(self):
        with open(os.path.join(self.state, "approver.token")) as f:
            api = Api(self, f.read().strip())
        api.context.check_hostname = False
        api.context.verify_mode = ssl.CERT_NONE
        return api


@pytest.mark.skipif(not os.path.exists(os.path.join(FAULTS, "vcc-controller")), reason="make faults has not been run")
def test_who_grows_old_is_asked_about_by_itself_and_once(folder):
    """After 300 days a service CA of three years lives shorter than its longest template and 90 days, the agents' CA does not."""
    inst = LaterFleet(folder, binaries=FAULTS)

    def waiting():
        return {a["object"]: a for a in inst.vccctl("approval", "list") if a["kind"] == "ca_rollover"}
    try:
        inst.init()
        inst.start_both()
        time.sleep(1)
        assert waiting() == {}
        for run in range(2):
            for name in ("controller", "signer"):
                inst.processes[name].stop()
            inst.start_later()
            asked = wait_for("both are asked about", lambda: len(w := waiting()) == 2 and w)
            assert set(asked) == {"service-1", "code-signing-1"}
            assert asked["service-1"]["requester"] == "scheduler" and "signs for up to 730 d" in asked["service-1"]["what"]["reason"]
        rows = checks.rows(inst.facts_db(), "SELECT object FROM approvals WHERE kind = 'ca_rollover' ORDER BY object")
        assert rows == [("code-signing-1",), ("service-1",)]
        assert checks.rows(inst.facts_db(), "SELECT count(*) FROM rollovers") == [(0,)]  # nothing is done before a person agrees

        # a person's way back is a no, and is not asked about again at the next look
        one = asked["service-1"]
        assert inst.approver()("POST", f"/api/v1/approvals/{one['approval_id']}/approve", {"hash": one["hash"]})[0] == 200
        wait_for("it gives way", lambda: inst.vccctl("ca", "rollover", "service-1")["phase"] == "trust")
        inst.vccctl("ca", "rollover", "service-1", "--rollback", "--reason", "not this week")
        inst.processes["controller"].stop()
        inst.processes["controller"].start()
        inst.wait_up()
        time.sleep(2)  # it looks at its start
        assert set(waiting()) == {"code-signing-1"}
    finally:
        inst.stop()
