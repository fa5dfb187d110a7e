"""Is a change of policy whole or not there, with its campaign, and does it reach every certificate once, wherever the controller is killed?"""
import os
import shutil
import sqlite3

import pytest
from conftest import new_folder
from installation import ROOT, Failed, Installation, wait_for

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
AFTER = {"controller.campaign_send_stored": "controller.campaign_sent"}
POINTS = [AFTER.get(f"controller.{name}{when}", f"controller.{name}{when}") for name in ("policy_edit", "policy_page", "campaign_send", "campaign") for when in ("", "_stored")]


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


@pytest.mark.sampled(2)
@pytest.mark.parametrize("point", POINTS, ids=str)
def test_killed_while_policy_changes(inst, point):
    controller, before = inst.processes["controller"], version(inst)
    campaigns = count(inst, "SELECT count(*) FROM campaigns WHERE selector = 'template ' || ?")
    validity = {"validity_period": f"{300 + POINTS.index(point)}d", "max_renewals": 0}  # nobody is asked after some
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
    campaign = inst.get("campaigns?limit=1")["items"][0]["campaign_id"]
    c = wait_for("its campaign is over", lambda: (c := inst.get(f"campaigns/{campaign}"))["completed_at"] and c, 60)
    assert (c["kind"], c["status"], c["total_certificates"], c["successful_count"]) == ("policy", "completed", 1, 1), c
    assert c["selector"] == f"template {inst.host.template}" and c["reason"].startswith(f"version {before + 1}")
    assert count(inst, "SELECT count(*) FROM campaigns WHERE selector = 'template ' || ?") == campaigns + 1, "one campaign for a version"
    assert not count(inst, "SELECT count(*) FROM policy_walks WHERE object = 'template:' || ?"), "and no walk without its end"


def test_killed_between_renew_times(inst):
    """The commits of single certificates before a page is stored: done again, and the page's members join once."""
    controller, before = inst.processes["controller"], version(inst)
    for n, when in enumerate(("", "_stored")):
        restart(inst, {"VCC_FAILPOINT": f"controller.policy_walk{when}@1=kill"})
        try:
            inst.edit_template(inst.host.template, renewal_threshold=f"{20 + n}d")
        except Failed:
            pass
        wait_for("killed on the way", lambda: not controller.running())
        restart(inst, None)
        campaign = inst.get("campaigns?limit=1")["items"][0]["campaign_id"]
        c = wait_for("its campaign is over", lambda: (c := inst.get(f"campaigns/{campaign}"))["completed_at"] and c, 60)
        assert (c["status"], c["total_certificates"]) == ("completed", 0), "its due time alone is another one"
        assert version(inst) == before + 1 + n


@pytest.mark.parametrize("point", ["controller.policy_edit", "controller.policy_page", "controller.campaign_send"])
def test_the_store_refuses_once(inst, point):
    """Memory follows what is stored: a page, its end included, is done again, and an edit that was refused is not there."""
    before = version(inst)
    validity = {"validity_period": f"{200 + before}d", "max_renewals": 0}
    restart(inst, {"VCC_FAILPOINT": f"{point}@1=err:ENOSPC"})
    try:
        inst.edit_template(inst.host.template, **validity)
    except Failed:
        assert point == "controller.policy_edit"
        assert inst.get(f"certificates/lifecycle/templates/{inst.host.template}")["version"] == before == version(inst)
        inst.edit_template(inst.host.template, **validity)
    wait_for("it has reached the certificate", lambda: inst.certificate(inst.host.cert_id)["template_version"] == before + 1)
    campaign = inst.get("campaigns?limit=1")["items"][0]["campaign_id"]
    c = wait_for("its campaign is over", lambda: (c := inst.get(f"campaigns/{campaign}"))["completed_at"] and c, 60)
    assert (c["status"], c["total_certificates"], c["successful_count"]) == ("completed", 1, 1), c
    assert not count(inst, "SELECT count(*) FROM policy_walks WHERE object = 'template:' || ?")
    assert inst.get(f"certificates/lifecycle/templates/{inst.host.template}")["update"] is None
    restart(inst, None)
