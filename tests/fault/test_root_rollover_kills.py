"""Is nothing of a change of the root done twice or forgotten, wherever controller or signer are killed: one set of authorities, one record of each
step, and the host has at the end what it should, by the new root alone? One change after the other on one installation."""
import json
import os
import re
import shutil
import subprocess
import time

import checks
import pytest
from asking import Asking
from conftest import new_folder
from installation import ROOT, Installation, wait_for, write
from sampling import sample

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
# process, point, at which passage. Twenty-four authorities are room for five changes.
CASES = [("controller", "controller.rollover", 1), ("controller", "controller.forget_stored", 1), ("controller", "controller.rollover_word_stored", 1),
         ("signer", "signer.close", 2), ("controller", "controller.forget", 1)]
ONCE = ("ca_rollover_started", "ca_successor_made", "ca_rollover_issuing", "ca_rollover_draining", "ca_retired")


class Site(Asking):
    def __init__(self, folder):
        self.inst = Installation(folder, binaries=FAULTS)
        self.dropped = set()
        try:
            self.inst.init()
            self.inst.start()
            self.host = self.inst.add_echo(0)
            self.inst.wait_served(self.host)
        except BaseException:
            self.inst.stop()
            raise

    def root(self):
        return [c["issuer_id"] for c in self.ask("admin", "GET", "ca").get("items", []) if c["role"] == "root" and c["state"] == "active"]

    def at_signer(self, *words):
        """A person's command; the signer goes on with the faults that it had."""
        signer = self.inst.processes["signer"]
        signer.stop()
        subprocess.run([self.inst.bin("vcc-signer"), *words, "--config", self.inst.conf("signer")], check=True, capture_output=True, timeout=120)
        signer.start()

    def drive(self, root):
        """What a person would do next; the phase."""
        at = self.ask("admin", "GET", f"ca/{root}/rollover")
        phase = at.get("phase") if at.get("issuer_id") else "none" if at.get("code") == "VCC-1006" else None
        if phase == "none":
            self.ask("admin", "POST", f"ca/{root}/rollover", {"reason": "so"})
        elif phase == "trust":
            self.ask("admin", "POST", f"ca/{root}/rollover/advance", {})
        elif phase == "draining":
            self.ask("admin", "POST", f"ca/{root}/rollover/retire", {"consumers": []})
        elif phase == "retiring" and at["code"] and root not in self.dropped:
            self.dropped.add(root)
            self.at_signer("drop-root", root)
        for a in self.ask("approver", "GET", "approvals").get("items", []):
            self.ask("approver", "POST", f"approvals/{a['approval_id']}/approve", {"hash": a["hash"]})
        return phase

    def restart(self, process, env=None):
        p = self.inst.processes[process]
        p.stop()
        p.env = env
        p.start()
        wait_for("ready", self.inst.ready)


@pytest.fixture(scope="module")
def site():
    if not os.path.exists(os.path.join(FAULTS, "vcc-controller")):
        pytest.skip("make faults has not been run")
    folder = new_folder("root-roll-kills")
    s = Site(folder)
    yield s
    s.inst.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("process,point,nth", sample(CASES, 5), ids=str)
def test_killed_in_between(site, process, point, nth):
    root, = wait_for("a root issues", site.root)
    after = f"root-{int(root[5:]) + 1}"
    made = {c["issuer_id"] for c in site.ask("admin", "GET", "ca")["items"]}
    site.at_signer("new-root")
    site.restart(process, {"VCC_FAILPOINT": f"{point}@{nth}=kill"})
    deadline = time.monotonic() + 60
    while site.inst.processes[process].running() and time.monotonic() < deadline:
        site.drive(root)
        time.sleep(0.1)
    assert not site.inst.processes[process].running(), (f"{point} was not passed", site.ask("admin", "GET", f"ca/{root}/rollover"),
                                                        site.ask("admin", "POST", f"ca/{root}/rollover/retire", {"consumers": []}))
    site.restart(process)
    wait_for("it is retired", lambda: site.drive(root) == "retired", 120, 0.2)

    # a file of root-1 is good until root-2 gives way: people take the next one before that
    now = {c["issuer_id"]: c for c in site.ask("admin", "GET", "ca")["items"]}
    write(os.path.join(site.inst.state, "ca.pem"), site.ask("admin", "GET", f"ca/{after}")["pem"])
    db = site.inst.facts()["controller"]["db"]
    for event in ONCE:
        assert checks.rows(db, "SELECT count(*) FROM audit WHERE event = ? AND object = ?", event, root) == [(1,)], event
    n = after[5:]
    assert set(now) - made == {after, f"service-{n}", f"agent-{n}", f"code-signing-{n}"}
    assert {i for i, c in now.items() if c["state"] == "active"} == set(now) - made
    trust = site.ask("admin", "GET", "trust")
    assert [r["issuer_id"] for r in trust["roots"]] == [after] and trust["kept_back"] is None, trust
    released = [json.loads(d)["roots"] for d, in checks.rows(db, "SELECT detail FROM audit WHERE event = 'trust_bundle_released' AND object = ?", f"bundle-{trust['epoch']}")]
    assert released == [1], released

    with open(f"{site.host.target_dir}/current/ca.pem") as f:
        assert len(re.findall("BEGIN CERTIFICATE", f.read())) == 1
    last = checks.rows(db, "SELECT issuer_id FROM issuances WHERE owner_id = ? AND state = 'active'", site.host.cert_id)
    assert last == [(f"service-{n}",)], last
    wait_for("the host is here", lambda: site.ask("admin", "GET", f"agents/{site.host.name}").get("connected"))
    bare = checks.rows(db, "SELECT count(*) FROM issuances i WHERE i.state NOT IN ('intent', 'void') AND NOT EXISTS (SELECT 1 FROM audit a "
                       "WHERE a.event = 'certificate_intent' AND a.object = i.owner_id AND instr(a.detail, hex(i.serial)) > 0)")
    assert bare == [(0,)]
