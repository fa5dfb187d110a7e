"""Does a root give way although an issuing CA below it was rolled back before? What the successor signed in between is in use, and that CA stands by: it
is neither the one that signs nor one that drains."""
import shutil

import pytest
from conftest import new_folder
from installation import Installation, wait_for
from rights_estate import Api
from test_root import agree, api, at_signer, join, phase, ready_to_advance, rollover, signer_of, state, trust, vccctl


@pytest.fixture(scope="module")
def inst():
    folder = new_folder("root-after-back")
    i = Installation(folder)
    try:
        i.init()
        i.start()
        i.hosts_here = [join(i.prepare_echo(n)) for n in range(2)]
        for host in i.hosts_here:
            i.wait_served(host)
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


def of(inst, issuer):
    return api(inst, "admin").get(f"ca/{issuer}/rollover")


def there_and_back(inst, issuer):
    """Everything comes from the successor, and then the one before signs again."""
    status, asked = api(inst, "admin")("POST", f"/api/v1/ca/{issuer}/rollover", {"reason": "it grows old"})
    assert status == 202, asked
    agree(inst, asked)
    wait_for("the successor is there", lambda: of(inst, issuer)["phase"] == "trust")
    assert api(inst, "admin")("POST", f"/api/v1/ca/{issuer}/rollover/advance", {"reason": "go"})[0] == 200
    wait_for("everything comes from it", lambda: (r := of(inst, issuer))["phase"] == "draining" and r["left"] and r["left"]["agents"] == 0)
    assert api(inst, "admin")("POST", f"/api/v1/ca/{issuer}/rollover/rollback", {"reason": "something breaks"})[0] == 200


def test_what_stands_by_gives_way_with_its_root(inst):
    for issuer in ("service-1", "agent-1"):
        there_and_back(inst, issuer)
    assert {i: state(inst, i) for i in ("service-1", "service-2", "agent-1", "agent-2")} == {
        "service-1": "active", "service-2": "standing_by", "agent-1": "active", "agent-2": "standing_by"}
    assert {signer_of(h) for h in inst.hosts_here} == {"VCC Service CA 2"}

    at_signer(inst, "new-root")
    wait_for("the bundle goes to hosts", lambda: trust(inst)["epoch"] == 2)
    asked = wait_for("it can be asked for", lambda: (a := api(inst, "admin")("POST", "/api/v1/ca/root-1/rollover", {"reason": "the root"}))[0] == 202 and a[1])
    agree(inst, asked)
    phase(inst, "trust")
    ready_to_advance(inst)
    code, out, err = vccctl(inst, "ca", "rollover", "root-1", "--advance")
    assert code == 0, out + err
    phase(inst, "draining")
    shown = wait_for("nothing hangs on the old root", lambda: (r := rollover(inst))["left"] and r["left"]["agents"] == 0 and r)
    assert (shown["left"]["reissuable"], shown["left"]["identities"]) == (0, 0), shown
    assert {signer_of(h) for h in inst.hosts_here} == {"VCC Service CA 3"}
    wait_for("the gateway has another identity, and the one before it is not waited for", lambda: rollover(inst)["left"]["gateways"] == 0)
    campaign = api(inst, "admin").get(f"campaigns/{shown['campaign_id']}")
    assert (campaign["successful_count"], campaign["skipped_count"]) == (2, 0), campaign

    # an operator may halt what follows from it, and not bring the certificates of the old root back
    assert api(inst, "admin")("POST", "/api/v1/principals", {"name": "olga", "roles": ["operator"]})[0] == 201
    token = api(inst, "admin")("POST", "/api/v1/tokens", {"principal": "olga"})[1]["token"]
    answer = Api(inst, token)("POST", f"/api/v1/campaigns/{shown['campaign_id']}/rollback", {})
    assert answer[0] == 403 and answer[1]["code"] == "VCC-3101" and "ca:manage" in answer[1]["detail"], answer
    assert api(inst, "admin").get(f"campaigns/{shown['campaign_id']}")["successful_count"] == 2
