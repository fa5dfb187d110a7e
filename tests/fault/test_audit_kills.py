"""kill -9 of controller and signer while a head of the audit trail is signed and stored. After the restart heads go on, the signer and the store agree about
them, and an export with all of them is verified."""
import json
import os
import shutil
import subprocess
import time

import pytest
from conftest import new_folder
from installation import ROOT, Failed, wait_for
from played_fleet import PlayedFleet

FAULTS = os.path.join(ROOT, "build-faults", "bin")
POINTS = [("controller", "controller.head"), ("controller", "controller.head_stored"), ("signer", "signer.taken"), ("signer", "signer.logged"),
          ("signer", "signer.signed"), ("signer", "signer.answered")]


@pytest.fixture(scope="module")
def inst():
    if not os.path.exists(os.path.join(FAULTS, "vcc-controller")):
        pytest.skip("make faults has not been run")
    path = new_folder("audit-kills")
    fleet = PlayedFleet(path, binaries=FAULTS, settings={"controller.limits.audit_head_interval": "300ms"})
    try:
        fleet.init()
        fleet.start_both()
        yield fleet
    finally:
        fleet.stop()
        shutil.rmtree(path, ignore_errors=True)


def change(inst, n):
    try:
        inst.vccctl("agent", "invite", f"host{n:03d}", "--service", "clara")
    except Failed:
        pass


def heads(inst):
    try:
        return inst.get("audit/heads?limit=500")["items"]
    except Failed:
        return []


def covered(inst):
    newest = heads(inst)
    return newest and newest[0]["size"] == inst.get("audit?limit=1")["items"][0]["seq"] + 1


@pytest.mark.parametrize("process,point", POINTS, ids=str)
def test_killed_while_a_head_is_made(inst, process, point):
    wait_for("a head covers everything", lambda: covered(inst))
    before = heads(inst)
    p = inst.processes[process]
    p.stop()
    p.env = {"VCC_FAILPOINT": f"{point}=kill"}
    p.start()
    end, n = time.monotonic() + 60, POINTS.index((process, point)) * 100
    while p.running() and time.monotonic() < end:
        change(inst, n)
        n += 1
        time.sleep(0.2)
    assert not p.running(), f"{point} was not passed"
    p.stop()
    p.env = None
    p.start()
    inst.wait_up()
    wait_for("heads go on", lambda: covered(inst) and heads(inst)[0]["size"] > before[0]["size"])
    assert heads(inst)[-len(before):] == before, "none is lost or changed"
    assert inst.status()["warnings"] == []
    path = os.path.join(inst.dir, "trail.jsonl")
    subprocess.run([*inst.vccctl_argv, "audit", "export", path], check=True, timeout=60)
    done = subprocess.run([*inst.vccctl_argv, "audit", "verify", path, "-o", "json"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and json.loads(done.stdout)["heads"] == len(heads(inst)), done.stderr
