"""A real host goes back to the certificate before: nginx serves it again, whatever is killed meanwhile; and keeps the new one when it cannot."""
import os
import shutil
import time

import pytest
from conftest import new_folder
from handshakes import handshake
from installation import Failed, Installation, wait_for
from rights_estate import Api


@pytest.fixture(scope="module")
def inst():
    folder = new_folder("rollback")
    i = Installation(folder, {"controller.supersede.grace": "1h", "controller.schedule.tick": "200ms"})
    try:
        i.init()
        i.start()
        i.host = i.add_nginx()
        i.wait_served(i.host)
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


def served(host):
    return {handshake(ip.strip("[]"), int(port), host.names[0]) for ip, port in (a.rsplit(":", 1) for a in (host.address, host.second))}


def campaign(inst):
    """A campaign of the one certificate that was completed: (id, what it replaced, what it brought)."""
    old = inst.certificate(inst.host.cert_id)["fingerprint"]
    begun = inst.vccctl("bulk", "apply", "--yes")
    wait_for("it is completed", lambda: shown(inst, begun["campaign_id"])["status"] == "completed")
    return begun["campaign_id"], old, inst.wait_renewed(inst.host, old)["fingerprint"]


def shown(inst, campaign_id):
    return inst.get(f"campaigns/{campaign_id}")


def closed(inst, campaign_id):
    return wait_for("it is closed again", lambda: (lambda c: c if c["completed_at"] and c["rolled_back_count"] + c["kept_count"] else None)(shown(inst, campaign_id)))


def back(inst, campaign_id):
    inst.vccctl("campaign", "rollback", campaign_id)
    return closed(inst, campaign_id)


def is_back(inst, old, new):
    cert = inst.certificate(inst.host.cert_id)
    assert cert["fingerprint"] == old and cert["served"] and cert["status"] == "active" and not cert["open_order"]
    assert served(inst.host) == {old}
    states = {i["fingerprint"]: (i["state"], i["revoke_reason"]) for i in inst.get(f"certificates/{inst.host.cert_id}/issuances")["items"]}
    assert states[old] == ("active", None) and states[new] == ("revoked", "superseded")


def test_it_serves_the_one_before(inst):
    campaign_id, old, new = campaign(inst)
    assert back(inst, campaign_id)["rolled_back_count"] == 1
    is_back(inst, old, new)
    order = inst.get(f"renewals?cert_id={inst.host.cert_id}&limit=1")["items"][0]
    assert order["status"] == "rolled_back"
    trail = [r["event"] for r in inst.get(f"audit?renewal_id={order['renewal_id']}&limit=100")["items"]]
    assert trail.count("certificate_rollback_asked") == trail.count("certificate_renewal_rolled_back") == 1


def test_the_host_cares_for_what_it_went_back_to(inst):
    """Its files are repaired from the old key, and the next renewal goes as ever."""
    campaign_id, old, new = campaign(inst)
    back(inst, campaign_id)
    path = os.path.join(inst.host.target_dir, "current", "fullchain.pem")
    os.chmod(path, 0o644)
    with open(path, "w") as f:
        f.write("spoiled\n")
    wait_for("it is repaired", lambda: "BEGIN CERTIFICATE" in open(path).read())
    time.sleep(1)
    is_back(inst, old, new)
    inst.vccctl("cert", "renew", inst.host.cert_id, "--force")
    after = inst.wait_renewed(inst.host, old)
    assert served(inst.host) == {after["fingerprint"]}


def test_a_host_that_was_away(inst):
    campaign_id, old, new = campaign(inst)
    inst.host.processes["agent"].stop()
    inst.vccctl("campaign", "rollback", campaign_id)
    time.sleep(1)
    assert shown(inst, campaign_id)["in_progress_count"] == 1 and served(inst.host) == {new}
    inst.processes["controller"].kill()
    inst.supervise()
    wait_for("the controller is back", inst.ready)
    inst.host.processes["agent"].start()
    assert closed(inst, campaign_id)["rolled_back_count"] == 1
    is_back(inst, old, new)


@pytest.mark.parametrize("after_ms", (0, 60, 250) if os.environ.get("VCC_LONG") != "1" else range(0, 600, 20))
def test_killed_on_the_way(inst, after_ms):
    """Keeper, link and controller die in the middle of it: it serves one of the two, whole, and comes to the same end."""
    campaign_id, old, new = campaign(inst)
    inst.vccctl("campaign", "rollback", campaign_id)
    time.sleep(after_ms / 1000)
    for p in (inst.host.processes["keeper"], inst.host.processes["agent"], inst.processes["controller"]):
        p.kill()
        assert served(inst.host) <= {old, new}
    inst.supervise()
    wait_for("the controller is back", inst.ready)
    assert closed(inst, campaign_id)["rolled_back_count"] == 1
    is_back(inst, old, new)


def test_a_service_that_would_not_start_with_it_keeps_the_new_one(inst):
    """Its configuration test fails: the member says why, and the old certificate ends after its grace."""
    campaign_id, old, new = campaign(inst)
    conf = os.path.join(inst.host.dir, "service", "nginx.conf")
    good = open(conf).read()
    inst.host.write(conf, good.replace("ssl_session_tickets off;", "nonsense on;"))
    try:
        assert back(inst, campaign_id)["kept_count"] == 1
    finally:
        inst.host.write(conf, good)
    member = inst.get(f"campaigns/{campaign_id}/members")["items"][0]
    assert member["state"] == "kept" and member["code"] == "VCC-2002" and "nonsense" in member["error"], member
    cert = inst.certificate(inst.host.cert_id)
    assert cert["fingerprint"] == new and cert["served"] and not cert["open_order"] and served(inst.host) == {new}
    issuance = next(i for i in inst.get(f"certificates/{inst.host.cert_id}/issuances")["items"] if i["fingerprint"] == old)
    assert issuance["state"] == "renewed" and issuance["supersede_at"]
    again = inst.vccctl("campaign", "rollback", campaign_id)                   # nothing of it is left to go back
    assert again["kept_count"] == 1


def test_one_certificate_by_its_name(inst):
    old = inst.certificate(inst.host.cert_id)["fingerprint"]
    inst.vccctl("cert", "renew", inst.host.cert_id, "--force")
    new = inst.wait_renewed(inst.host, old)["fingerprint"]
    order = inst.vccctl("cert", "rollback", inst.host.cert_id)["renewal_id"]
    wait_for("it is back", lambda: inst.renewal(order)["status"] == "rolled_back")
    is_back(inst, old, new)
    inst.vccctl("cert", "suspend", inst.host.cert_id)
    with pytest.raises(Failed, match="VCC-3004"):
        inst.vccctl("cert", "rollback", inst.host.cert_id)
    inst.vccctl("cert", "resume", inst.host.cert_id)


def test_no_key_is_kept(inst):
    campaign_id, old, new = campaign(inst)
    current = os.readlink(os.path.join(inst.host.target_dir, "current"))
    for name in os.listdir(inst.host.target_dir):
        if name.startswith("g") and name != current:
            shutil.rmtree(os.path.join(inst.host.target_dir, name))
    assert back(inst, campaign_id)["kept_count"] == 1
    member = inst.get(f"campaigns/{campaign_id}/members")["items"][0]
    assert member["code"] == "VCC-3618" and served(inst.host) == {new}


def test_not_to_one_whose_ca_was_revoked(inst):
    """The last one: the CA ends here."""
    admin, approver = (Api(inst, open(os.path.join(inst.state, f"{who}.token")).read().strip()) for who in ("admin", "approver"))

    def agree(path, **body):
        asked = admin("POST", f"/api/v1/ca/service-1/{path}", body)[1]["approval"]
        assert approver("POST", f"/api/v1/approvals/{asked['approval_id']}/approve", {"hash": asked["hash"]})[0] == 200
    agree("revoke", reason="keyCompromise", force=True)
    agree("rollover")
    wait_for("the successor is there", lambda: admin.get("ca/service-1/rollover")["phase"] == "trust")
    old = inst.certificate(inst.host.cert_id)["fingerprint"]
    assert admin("POST", "/api/v1/ca/service-1/rollover/advance", {})[0] == 200
    new = inst.wait_renewed(inst.host, old)["fingerprint"]
    with pytest.raises(Failed, match="VCC-3807"):
        inst.vccctl("cert", "rollback", inst.host.cert_id)
    assert served(inst.host) == {new}
