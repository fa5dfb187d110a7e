"""Is a change of policy whole or not there, and does it reach every certificate once, wherever the controller is killed?"""
import os
import shutil
import sqlite3

import pytest
from conftest import new_folder
from installation import ROOT, Failed, Installation, wait_for

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
POINTS = [f"controller.{name}{when}" for name in ("policy_edit", "policy_walk") for when in ("", "_stored")]


@pytest.fixture(scope="module")
def inst():
    folder = new_folder("policy-kills")
    i = Installation(folder, binaries=FAULTS)
    try:
        i.init()
        i.start()
        i.host = i.add_echo(0)
        i.wait_served(i.host)
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


def restart(inst, env):
    controller = inst.processes["controller"]
    controller.stop()
    controller.env = env
    controller.start()
    wait_for("ready", inst.ready)


def count(inst, sql):
    db = sqlite3.connect(f"file:{os.path.join(inst.state, 'controller', 'vcc.db')}?mode=ro", uri=True, timeout=20)
    try:
        return db.execute(sql, (inst.host.template,)).fetchone()[0]
    finally:
        db.close()


def version(inst):
    return count(inst, "SELECT max(version) FROM templates WHERE template_id = ?")


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_killed_while_policy_changes(inst, point):
    controller, before = inst.processes["controller"], version(inst)
    validity = {"validity_period": f"{300 + POINTS.index(point)}d"}
    serial = inst.certificate(inst.host.cert_id)["serial"]
    orders = len(inst.get(f"renewals?cert_id={inst.host.cert_id}")["items"])
    restart(inst, {"VCC_FAILPOINT": f"{point}@1=kill"})
    try:
        inst.edit_template(inst.host.template, **validity)
    except Failed:
        pass  # it died of it
    wait_for(f"killed at {point}", lambda: not controller.running())
    restart(inst, None)
    if version(inst) == before:  # never stored, so it is not there at all
        assert point == "controller.policy_edit"
        inst.edit_template(inst.host.template, **validity)
    assert version(inst) == before + 1
    assert count(inst, "SELECT count(*) FROM audit WHERE event = 'template_applied' AND object = ?") == before + 1, "one record a version"
    wait_for("it has reached the certificate", lambda: inst.certificate(inst.host.cert_id)["template_version"] == before + 1)
    inst.wait_served(inst.host)
    assert inst.certificate(inst.host.cert_id)["serial"] != serial
    assert len(inst.get(f"renewals?cert_id={inst.host.cert_id}")["items"]) == orders + 1, "one order, whatever was done twice"
