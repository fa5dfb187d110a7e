"""Is every step of a renewal there to be seen, and do the template's fields that steer the workflow steer it?"""
import shutil
import time

import pytest
from conftest import new_folder
from installation import Installation, wait_for

STEPS = ["pre_validation", "key", "issue", "check", "write", "test", "flip", "reload", "verify", "settle", "notify", "revoke_old"]
TEMPLATE = "clara_service_auth"


@pytest.fixture(scope="module")
def inst():
    folder = new_folder("workflow")
    i = Installation(folder, {"controller.supersede.grace": "1s"})
    try:
        i.init()
        i.start()
        i.host = i.add_nginx()
        i.wait_served(i.host)
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


def renew(inst):
    return inst.vccctl("cert", "renew", inst.host.cert_id, "--force")["renewal_id"]


def renewed(inst):
    order = renew(inst)
    return wait_for("the renewal ends", lambda: (lambda r: r if r["completed_at"] else None)(inst.renewal(order)))


def records(inst, order, event="certificate_renewal_step"):
    return [r for r in inst.get(f"audit?renewal_id={order}&limit=100")["items"] if r["event"] == event]


def test_every_step_is_shown_in_its_order(inst):
    order = renewed(inst)["renewal_id"]
    shown = wait_for("the old one is revoked", lambda: (lambda r: r if r["steps"][-1]["step"] == "revoke_old" and r["steps"][-1]["status"] == "done" else None)(
        inst.renewal(order)))
    assert [s["step"] for s in shown["steps"]] == STEPS and all(s["status"] == "done" and s["code"] is None for s in shown["steps"])
    assert [s["at"] for s in shown["steps"]] == sorted(s["at"] for s in shown["steps"])
    by = {s["step"]: s for s in shown["steps"]}
    assert by["notify"]["detail"] == "nothing to tell"
    assert by["issue"]["detail"] == shown["new_certificate"]["serial"] and by["revoke_old"]["at"] == shown["original_certificate"]["revoked_at"]
    first = wait_for("its grace is shown", lambda: next((s for s in inst.renewal(renewed(inst)["renewal_id"])["steps"] if s["status"] == "pending"), None))
    assert first["step"] == "revoke_old" and first["at"]


def test_nothing_begins_while_a_prerequisite_is_missing(inst):
    """pre_validation_required: true waits and says why, false only warns."""
    before = inst.certificate(inst.host.cert_id)["serial"]
    inst.edit_template(TEMPLATE, "--force", vcc_service_type="vpb", retry_interval="1s")
    order = renew(inst)
    shown = wait_for("it is said", lambda: (lambda r: r if r["error"] else None)(inst.renewal(order)))
    step = shown["steps"][0]
    assert shown["error"]["code"] == "VCC-3008" and (step["step"], step["status"], step["code"]) == ("pre_validation", "failed", "VCC-3008")
    assert "vpb" in step["detail"] and [s["step"] for s in shown["steps"]] == ["pre_validation", "notify"] and shown["status"] == "in_progress"
    assert shown["steps"][1]["detail"].startswith("queued renewal_failed, notice ")
    time.sleep(2.5)  # tried again meanwhile: recorded once, sent to nobody
    assert len(records(inst, order)) == 1 and inst.renewal(order)["attempt"] == 0
    inst.edit_template(TEMPLATE, vcc_service_type="vpb", retry_interval="1s", pre_validation_required=False)
    done = wait_for("the renewal ends", lambda: (lambda r: r if r["status"] == "completed" else None)(inst.renewal(order)))
    assert next(s for s in done["steps"][::-1] if s["step"] == "notify")["detail"].startswith("queued trouble_resolved")
    assert done["steps"][0]["status"] == "done" and "vpb" in done["steps"][0]["detail"] and inst.certificate(inst.host.cert_id)["serial"] != before
    inst.edit_template(TEMPLATE, vcc_service_type="clara", pre_validation_required=True)
    assert renewed(inst)["steps"][0]["detail"] == ""


@pytest.mark.parametrize("level", ["minimal", "standard", "enhanced"])
def test_the_audit_level_decides_what_is_recorded(inst, level):
    inst.edit_template(TEMPLATE, audit_level=level)
    order = renewed(inst)["renewal_id"]
    steps = [r["detail"]["step"] for r in records(inst, order)]
    assert sorted(steps) == (sorted(set(STEPS) - {"pre_validation", "issue", "notify", "revoke_old"}) if level == "enhanced" else [])
    for event in ("certificate_intent", "certificate_issued", "certificate_proved", "certificate_renewal_completed"):
        assert len(records(inst, order, event)) == 1, "changes of a state are recorded at every level"
