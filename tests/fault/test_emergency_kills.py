"""Controller, gateway or signer killed at random moments of an emergency over a whole fleet: does every certificate end exactly once, none unknown, none
unaudited, and does every agent serve what the controller says? The agents are vcc-fleet's: real connections, frames, keys and decisions.

Ten moments of a small fleet; with VCC_LONG=1 a hundred of a thousand agents. A moment is told by its number: victim and fraction are the same in each run."""
import collections
import http.client
import json
import os
import random
import shutil
import struct
import subprocess
import threading
import time

import checks
import pytest
from conftest import new_folder
from fleet_run import FleetRun
from installation import Failed, Installation, wait_for

LONG = os.environ.get("VCC_LONG") == "1"
AGENTS = 1000 if LONG else 150
MOMENTS = 100 if LONG else 10
SERVICES = ("clara", "covina", "argus", "vpb")
VICTIMS = ("controller", "gateway", "signer")
ONCE = ("certificate_renewal_scheduled", "certificate_issued", "certificate_renewal_completed")
EMERGENCY = "certificates/lifecycle/emergency-recertification"


@pytest.fixture(scope="module")
def inst():
    folder = new_folder("emergency-kills")
    i = Installation(folder, {"controller.limits.audit_head_interval": "1s"})
    try:
        i.init()
        i.start()
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def fleet(inst):
    f = FleetRun(inst, AGENTS, SERVICES, "kills")
    try:
        f.start("--spread", "1s", "--joins", "128", "--settle-time", "200ms", "--deploy-time", "0-500ms", "--for", "1d", "--served", os.path.join(inst.dir, "served"))
        f.ready(600)
        f.seconds = undisturbed(inst, f)
        f.kills = []
        yield f
    finally:
        f.stop()


def rows(inst, sql, *values):
    return checks.rows(os.path.join(inst.state, "controller", "vcc.db"), sql, *values)


def uuid_bytes(text):
    return bytes.fromhex(text.replace("-", ""))


# ---- the emergency -----------------------------------------------------------------------------------------------------------

def asked(fleet, key):
    """The campaign, however often its controller dies before it answers: a request with a key is done once. Where it was done and the answer was lost
    with the process (409), the campaign is found by its incident."""
    body = {"incident_id": f"INC-{key}", "reason": "a test", "selector": {"pattern": "*.vcc.internal"}}
    end, answer = time.monotonic() + 120, None
    while time.monotonic() < end:
        try:
            status, answer = fleet.call("POST", EMERGENCY, body, headers={"Idempotency-Key": key, "Prefer": "wait=0"})
            if status in (200, 202):
                return answer["campaign_id"]
            if answer["code"] == "VCC-3153":
                return next(c["campaign_id"] for c in fleet.inst.get("campaigns?limit=500")["items"] if c["incident_id"] == f"INC-{key}")
            assert status >= 500, answer
        except (OSError, http.client.HTTPException, ValueError):
            pass  # it is dying, or not there
        time.sleep(0.2)
    raise Failed(f"nobody takes the emergency: {answer}")


def closed(inst, campaign):
    """The campaign, once it has ended."""
    def done():
        try:
            c = inst.get(f"campaigns/{campaign}")
        except (Failed, http.client.HTTPException):
            return None
        return c if c["completed_at"] else None
    return wait_for("the emergency has ended", done, 600, 0.2)


def undisturbed(inst, fleet):
    """Seconds that an emergency takes when nobody is killed."""
    begun = time.monotonic()
    closed(inst, asked(fleet, "undisturbed"))
    return time.monotonic() - begun


NEWEST = "FROM orders WHERE campaign_id = (SELECT max(campaign_id) FROM campaigns)"
# how far an emergency is: what is counted, of how many certificates
WAYS = ("SELECT 0", f"SELECT count(*) {NEWEST} AND serial IS NOT NULL", f"SELECT count(*) {NEWEST} AND fingerprint IS NOT NULL",
        f"SELECT count(*) {NEWEST} AND verified_at > 0", f"SELECT count(*) {NEWEST} AND phase = 'completed'")


class Kill(threading.Thread):
    """One death at the moment that the seed gives, and a new start, as systemd would. The moment is a share of the certificates that are asked for, signed,
    proved or settled, or a time after the beginning; and some milliseconds more."""

    def __init__(self, inst, seed, span):
        super().__init__()
        draw = random.Random(seed)
        self.victim, self.way, self.share = draw.choice(VICTIMS), draw.choice(WAYS), draw.random()
        self.after = draw.uniform(0, span / 4) if self.way == WAYS[0] else draw.uniform(0, 0.02)
        self.pause = draw.uniform(0.05, 0.5)
        self.inst, self.process, self.ended = inst, inst.processes[self.victim], 0
        self.before = rows(inst, "SELECT count(*) FROM campaigns")[0][0]

    def wait(self):
        """Until the newest campaign is that far; not for ever."""
        end = time.monotonic() + 60
        while self.way != WAYS[0] and time.monotonic() < end:
            if rows(self.inst, "SELECT count(*) FROM campaigns")[0][0] > self.before and rows(self.inst, self.way)[0][0] >= self.share * AGENTS:
                return
            time.sleep(0.005)

    def run(self):
        self.wait()
        time.sleep(self.after)
        self.process.kill()
        self.ended = rows(self.inst, WAYS[-1])[0][0] if self.way != WAYS[0] else 0
        time.sleep(self.pause)
        self.process.start()


# ---- what must hold ------------------------------------------------------------------------------------------------------------

def every_one_ended_once(inst, fleet, campaign):
    c = inst.get(f"campaigns/{campaign}")
    assert (c["status"], c["successful_count"]) == ("completed", AGENTS), c
    assert (c["failed_count"], c["pending_count"], c["skipped_count"], c["dropped_count"]) == (0, 0, 0, 0), c
    members, after = {}, ""
    while True:
        page = inst.get(f"campaigns/{campaign}/members?limit=500{after}")
        members.update({m["cert_id"]: m for m in page["items"]})
        if not page.get("next_cursor"):
            break
        after = f"&cursor={page['next_cursor']}"
    assert set(members) == {f"{n}-web" for n in fleet.names()}
    found = rows(inst, "SELECT cert_id, phase, renewal_id, fingerprint FROM orders WHERE campaign_id = ?", uuid_bytes(campaign))
    assert collections.Counter(cert_id for cert_id, *_ in found) == dict.fromkeys(members, 1), "one order each"
    assert {phase for _, phase, *_ in found} == {"completed"}
    for cert_id, _, renewal_id, _ in found:
        assert uuid_bytes(members[cert_id]["renewal_id"]) == renewal_id, "the API names the same order"
    issued = rows(inst, "SELECT o.cert_id, count(*) FROM issuances i JOIN orders o ON i.renewal_id = o.renewal_id WHERE o.campaign_id = ? GROUP BY o.cert_id",
                  uuid_bytes(campaign))
    assert dict(issued) == dict.fromkeys(members, 1), "one X.509 certificate each"


def nothing_is_left(inst):
    """No open order, no message that waits, no intent without an end."""
    def none():
        return (rows(inst, "SELECT count(*) FROM certificates WHERE open_order IS NOT NULL")[0][0] == 0
                and rows(inst, "SELECT count(*) FROM outbox")[0][0] == 0 and rows(inst, "SELECT count(*) FROM issuances WHERE state = 'intent'")[0][0] == 0)
    wait_for("nothing is under way", none, 120, 0.2)


def served_as_said(inst, fleet):
    """What every agent serves is what the controller calls current, proved, and nothing else."""
    def looked():
        """What the fleet has written since we ask."""
        asked_at = time.time() * 1000
        fleet.wait("a new report", lambda r: r["now_at_ms"] > asked_at, 60)
        with open(os.path.join(inst.dir, "served")) as f:
            return dict(line.split() for line in f)
    serves = {f"{name}-web": fingerprint for name, fingerprint in looked().items()}
    said = {cert_id: (fingerprint.hex(), proved) for cert_id, fingerprint, proved in
            rows(inst, "SELECT cert_id, fingerprint, proved FROM certificates WHERE cert_id IN (SELECT cert_id FROM targets)")}
    assert said == {cert_id: (fingerprint, 1) for cert_id, fingerprint in serves.items()}


def one_lives(inst, fleet):
    """The old ones are superseded: one X.509 certificate of each lives."""
    def alone():
        live = rows(inst, "SELECT owner_id, count(*) FROM issuances WHERE owner = 'certificate' AND state IN ('issued', 'active', 'renewed') GROUP BY owner_id")
        return dict(live) == {f"{n}-web": 1 for n in fleet.names()}
    wait_for("one of each lives", alone, 120, 0.2)


def signed_and_known(inst):
    """Every serial in the signer's own log has its row, with the same content, and was signed for that content only."""
    path = os.path.join(inst.state, "signer", "signing.log")
    with open(path, "rb") as f:
        data = f.read()
    signed, at = {}, 16
    while at + 24 <= len(data):
        n, = struct.unpack_from(">I", data, at)
        record, at = data[at + 24:at + 24 + n], at + 24 + n
        i = 9
        while i < len(record):
            kind = record[i]
            if kind in (1, 2):  # new, repeated
                serial, content = record[i + 2:i + 18], record[i + 18:i + 50]
                assert signed.setdefault(serial, content) == content, "one serial, one content"
                i += 50
            else:
                i += {3: lambda: 2 + record[i + 1] + 44, 4: lambda: len(record) - i}[kind]()
    known = dict(rows(inst, "SELECT serial, tbs_hash FROM issuances"))
    unknown = set(signed) - set(known)
    assert not unknown, f"{len(unknown)} certificates are signed and not known"
    assert all(known[s] == content for s, content in signed.items())
    return len(signed)


# ---- the moments ------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("seed", range(1, MOMENTS + 1))
def test_killed_in_an_emergency(inst, fleet, seed):
    kill = Kill(inst, seed, fleet.seconds)
    kill.start()
    try:
        campaign = asked(fleet, f"moment-{seed}")
    finally:
        kill.join()
    fleet.kills.append(kill)
    closed(inst, campaign)
    nothing_is_left(inst)
    every_one_ended_once(inst, fleet, campaign)
    served_as_said(inst, fleet)
    one_lives(inst, fleet)
    assert rows(inst, "SELECT count(*) FROM campaigns")[0][0] == seed + 1, "nothing was begun twice"


def test_stopped_at_37_per_cent(inst, fleet):
    """F60: everything that could go on without the others dies when 37 % have ended; nothing is done twice, nothing forgotten."""
    before = rows(inst, "SELECT count(*) FROM campaigns")[0][0]
    campaign = asked(fleet, "at-37")
    wait_for("37 % have ended", lambda: rows(inst, WAYS[-1])[0][0] >= 0.37 * AGENTS, 120, 0.005)
    for name in VICTIMS:
        inst.processes[name].kill()
    assert rows(inst, WAYS[-1])[0][0] < AGENTS, "it is under way"
    for name in ("signer", "controller", "gateway"):
        inst.processes[name].start()
    closed(inst, campaign)
    nothing_is_left(inst)
    every_one_ended_once(inst, fleet, campaign)
    served_as_said(inst, fleet)
    one_lives(inst, fleet)
    assert rows(inst, "SELECT count(*) FROM campaigns")[0][0] == before + 1


def test_nothing_is_unknown_or_unaudited(inst, fleet):
    """Over all moments: what the signer has signed is known, and the exported trail has each order's beginning, issue and end once."""
    campaigns = rows(inst, "SELECT campaign_id FROM campaigns")
    assert len(campaigns) >= len(fleet.kills) + 1 > 1, "the moments come first"
    midst = [k for k in fleet.kills if 0 < k.ended < AGENTS]
    print(f"{len(fleet.kills)} moments, {len(midst)} when some had ended and others not; ended before the kill: {[k.ended for k in fleet.kills]}")
    assert len({k.victim for k in fleet.kills}) == len(VICTIMS) and sum(k.ended < AGENTS for k in fleet.kills) >= len(fleet.kills) / 2
    assert signed_and_known(inst) >= len(campaigns) * AGENTS
    newest = inst.get("audit?limit=1")["items"][0]["seq"]
    wait_for("a head covers it", lambda: inst.get("audit/heads?limit=1")["items"][0]["size"] > newest, 60, 0.3)
    path = os.path.join(inst.dir, "trail.jsonl")
    subprocess.run([*inst.vccctl_argv, "audit", "export", path], check=True, timeout=600)
    told = {event: collections.Counter() for event in ONCE}
    with open(path) as f:
        for line in f:
            record = json.loads(line)
            if record.get("event") in told and record.get("renewal_id"):
                told[record["event"]][record["renewal_id"]] += 1
    orders = [r for r, in rows(inst, "SELECT lower(hex(renewal_id)) FROM orders WHERE campaign_id IS NOT NULL")]
    assert len(orders) == len(campaigns) * AGENTS
    for event, times in told.items():
        times = {k.replace("-", ""): n for k, n in times.items()}
        wrong = {o: times.get(o, 0) for o in orders if times.get(o, 0) != 1}
        assert not wrong, f"{event}: not once for {len(wrong)} orders, such as {next(iter(wrong.items()))}"
    done = subprocess.run([inst.bin("vccctl"), "--socket", "/nonexistent", "audit", "verify", path, "--root", os.path.join(inst.state, "ca.pem"), "-o", "json"],
                          capture_output=True, text=True, timeout=600)
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["rows"] == report["size"] > newest and report["unsigned"]["rows"] <= 50, (done.stderr, report)
