"""Link identities: renewed at half life with the host key's signature, the connection moves to the new one, and no work is lost."""
import shutil
import time

import checks
import pytest
from conftest import new_folder
from installation import Installation, wait_for


@pytest.fixture(scope="module")
def short_lived():
    path = new_folder("identity")
    inst = Installation(path, {"controller.identity.agent": "16s"})
    try:
        inst.init()
        inst.start()
        host = inst.add_echo(0)
        inst.wait_served(host)
        yield inst, host
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def identity(inst, host):
    return inst.vccctl("agent", "show", host.name)["identity_serial"]


def test_identity_is_renewed_again_and_again_with_work_in_flight(short_lived):
    inst, host = short_lived
    seen = {identity(inst, host)}
    end = time.monotonic() + 90
    renewals = 0
    while len(seen) < 4:
        assert time.monotonic() < end, f"only {len(seen)} identities after 90 s"
        before = checks.served_is_issued(inst, host)
        inst.vccctl("cert", "renew", host.cert_id, "--force")
        inst.wait_renewed(host, before, 40)
        renewals += 1
        seen.add(identity(inst, host))
    assert renewals >= 3
    db = inst.facts()["controller"]["db"]
    assert checks.rows(db, "SELECT count(*) FROM orders WHERE phase NOT IN ('completed')")[0][0] == 0
    wait_for("connected", lambda: inst.vccctl("agent", "show", host.name)["connected"], 20)


def test_scheduled_renewal_in_seconds(short_lived):
    """A template valid for seconds renews by itself."""
    inst, host = short_lived
    inst.edit_template(host.template, validity_period="30s", renewal_threshold="10s", emergency_threshold="5s", max_renewals=0)
    before = checks.served_is_issued(inst, host)
    inst.vccctl("cert", "renew", host.cert_id, "--force")
    first = inst.wait_renewed(host, before)["fingerprint"]
    second = inst.wait_renewed(host, first, 60)
    newest = inst.vccctl("cert", "show", host.cert_id)["renewals"][0]
    assert newest["renewal_trigger"] == "scheduled" and newest["requested_by"] == "scheduler", newest
    assert second["fingerprint"] != first
