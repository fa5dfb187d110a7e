"""`agent rename`: does the host get an identity of its new name, do its certificates, keys and orders stay, and does the old name lead to it for ever?"""
import os
import shutil
import sqlite3
import subprocess

import checks
import pytest
from conftest import new_folder
from cryptography import x509
from fake_gateway import FakeHost
from installation import ROOT, Failed, Installation, wait_for
from played_fleet import PlayedFleet
from rights_estate import Api

FAULTS = os.path.join(ROOT, "build-faults", "bin")
TAKEN, RENAMED = "VCC-3236", "VCC-3235"


@pytest.fixture(params=(None,))
def inst(request):
    folder = new_folder("rename")
    i = Installation(folder, binaries=request.param)
    try:
        i.init()
        i.start()
        i.admin = Api(i, open(os.path.join(i.state, "admin.token")).read().strip())
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


def identity(host):
    """The name in the link's certificate."""
    with open(os.path.join(host.dir, "link", "identity.pem"), "rb") as f:
        cert = x509.load_pem_x509_certificate(f.read().split(b"-----END PRIVATE KEY-----")[-1].strip())
    return cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.UniformResourceIdentifier)[0]


def connected(inst, name):
    def is_connected():
        try:
            return inst.admin.get(f"agents/{name}")["connected"]
        except (KeyError, OSError):
            return False
    wait_for(f"{name} is connected", is_connected)


def has_identity(inst, host, name):
    wait_for(f"the link is {name}", lambda: identity(host).endswith(f"/agent/{name}"))
    connected(inst, name)


def renew(inst, cert_id):
    old = inst.certificate(cert_id)["fingerprint"]
    inst.vccctl("cert", "renew", cert_id, "--force")
    def done():
        c = inst.certificate(cert_id)
        return c if c["served"] and c["fingerprint"] != old and not c["open_order"] else None
    return wait_for(f"{cert_id} is renewed", done)


def names_in_store(inst, name):
    """Tables that still mean a host by this name; those that tell of the past may."""
    past = {("receipts", "agent"), ("former_names", "name"), ("campaign_members", "agent")}
    path = os.path.join(inst.state, "controller", "vcc.db")
    found = set()
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        for _, column, *_ in db.execute(f"PRAGMA table_info({table})").fetchall():
            owner = column == "owner_id" or column == "agent" or (table == "agents" and column == "name")
            if owner and (table, column) not in past and db.execute(f'SELECT count(*) FROM {table} WHERE "{column}" = ?', (name,)).fetchone()[0]:
                found.add((table, column))
    db.close()
    return found


def test_certificates_stay_and_the_identity_follows(inst):
    host = inst.add_echo(0)
    before = inst.wait_served(host)
    old = host.name
    shown = inst.vccctl("agent", "rename", old, "brandenburg-7")
    assert shown["name"] == "brandenburg-7" and shown["host_key"] == inst.admin.get("agents/brandenburg-7")["host_key"]
    has_identity(inst, host, "brandenburg-7")
    agent = inst.admin.get("agents/brandenburg-7")
    assert agent["former_names"] == [old] and [t["cert_id"] for t in agent["targets"]] == [before["cert_id"]]
    assert inst.admin("GET", f"/api/v1/agents/{old}")[0] == 404
    now = inst.certificate(before["cert_id"])
    assert (now["fingerprint"], now["agent"], now["names"]) == (before["fingerprint"], "brandenburg-7", before["names"])
    assert names_in_store(inst, old) == set()
    event, = [e for e in inst.admin.get("audit?object=brandenburg-7")["items"] if e["event"] == "agent_renamed"]
    assert event["detail"] == {"from": old, "to": "brandenburg-7"}
    renew(inst, before["cert_id"])
    # every process once more: the cert_id of a target file without one is still made of the first name
    for process in ("controller", "gateway"):
        inst.processes[process].stop()
        inst.processes[process].start()
    for process in ("keeper", "agent"):
        host.processes[process].stop()
        host.processes[process].start()
    connected(inst, "brandenburg-7")
    renew(inst, before["cert_id"])
    assert [t["cert_id"] for t in inst.admin.get("agents/brandenburg-7")["targets"]] == [before["cert_id"]]
    checks.served_is_issued(inst, host)


def test_a_host_that_was_away_follows_twice(inst):
    """Two names later it still finds home, by its connection and by its host key."""
    host = inst.add_echo(0)
    before = inst.wait_served(host)
    first = host.name
    host.processes["agent"].stop()
    inst.vccctl("agent", "rename", first, "second")
    inst.vccctl("agent", "rename", "second", "third")
    assert inst.admin.get("agents/third")["former_names"] == sorted([first, "second"])
    host.processes["agent"].start()
    has_identity(inst, host, "third")
    renew(inst, before["cert_id"])
    # back to the name it had first
    inst.vccctl("agent", "rename", "third", first)
    has_identity(inst, host, first)
    assert inst.admin.get(f"agents/{first}")["former_names"] == ["second", "third"]
    renew(inst, before["cert_id"])


def test_an_order_that_is_open_goes_on(inst):
    host = inst.add_echo(0)
    before = inst.wait_served(host)
    host.processes["agent"].stop()
    inst.vccctl("cert", "renew", before["cert_id"], "--force")
    inst.vccctl("agent", "rename", host.name, "later")
    order = inst.admin.get(f"renewals?cert_id={before['cert_id']}")["items"][0]
    assert order["agent"] == "later" and order["status"] in ("pending", "in_progress")
    host.processes["agent"].start()
    wait_for("the order ends", lambda: inst.certificate(before["cert_id"])["fingerprint"] != before["fingerprint"] and
             not inst.certificate(before["cert_id"])["open_order"])
    assert inst.admin.get(f"renewals/{order['renewal_id']}")["status"] == "completed"


def test_a_store_from_before_finds_the_host_by_its_key(inst, tmp_path):
    """The backup knows the old name only, the host's identity the new one only."""
    host = inst.add_echo(0)
    before = inst.wait_served(host)
    inst.vccctl("backup", str(tmp_path / "b"))
    inst.vccctl("agent", "rename", host.name, "unheard-of")
    has_identity(inst, host, "unheard-of")
    inst.processes["controller"].stop()
    done = subprocess.run([*inst.vccctl_argv, "restore", str(tmp_path / "b"), "--config", inst.conf("controller")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    inst.processes["controller"].start()
    has_identity(inst, host, host.name)
    assert inst.admin.get(f"agents/{host.name}")["former_names"] == []
    assert inst.certificate(before["cert_id"])["served"]


def test_refused(inst):
    host = inst.add_echo(0)
    inst.wait_served(host)
    other = inst.vccctl("agent", "invite", "other", "--service", "clara")
    assert other["name"] == "other"
    post = lambda name, body: inst.admin("POST", f"/api/v1/agents/{name}/rename", body)  # noqa: E731
    assert post(host.name, {"new_name": host.name})[0] == 200
    for body in ({}, {"new_name": ""}, {"new_name": "Up"}, {"new_name": "a" * 33}, {"new_name": 7}, {"new_name": "x", "more": 1}):
        status, answer = post(host.name, body)
        assert status == 422, (body, answer)
    assert post("nobody", {"new_name": "x"})[0] == 404
    inst.vccctl("agent", "rename", host.name, "next")
    has_identity(inst, host, "next")
    with pytest.raises(Failed) as e:
        inst.vccctl("agent", "invite", host.name, "--service", "clara")
    assert TAKEN in str(e.value)
    second = inst.add_echo(1)
    inst.wait_served(second)
    for name in ("next", host.name):
        status, answer = post(second.name, {"new_name": name})
        assert answer["code"] == TAKEN, answer
    inst.vccctl("agent", "evict", "next")
    assert post("next", {"new_name": "again"})[0] in (403, 409)


def test_an_invite_for_a_name_that_was_given_up_is_of_no_use():
    folder = new_folder("rename-played")
    fleet = PlayedFleet(folder)
    try:
        fleet.init()
        fleet.start_both()
        gateway = fleet.gateway()
        host = fleet.host(gateway, "one")
        early = fleet.invite("two")
        fleet.vccctl("agent", "rename", "one", "two")
        fleet.vccctl("agent", "rename", "two", "three")
        reply = FakeHost("two").join(gateway, early)
        assert reply["code"] == -3236, reply
        assert host.gateway.kicks[-1]["code"] == -3235
    finally:
        for g in fleet.gateways:
            g.close()
        fleet.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.skipif(not os.path.exists(os.path.join(FAULTS, "vcc-controller")), reason="make faults has not been run")
@pytest.mark.parametrize("inst", (FAULTS,), indirect=True)
@pytest.mark.parametrize("point", ("controller.rename", "controller.rename_stored", "keeper.rename"))
def test_a_kill_leaves_one_name(inst, point):
    host = inst.add_echo(0)
    before = inst.wait_served(host)
    of = host if point.startswith("keeper") else inst
    process = of.processes[point.split(".")[0]]
    process.stop()
    process.env = {**(process.env or {}), "VCC_FAILPOINT": f"{point}=kill"}
    process.start()
    connected(inst, host.name)
    try:
        inst.vccctl("agent", "rename", host.name, "survivor")
    except Failed:
        pass  # the answer died with the controller
    wait_for("it was killed", lambda: not process.running())
    process.env = {k: v for k, v in process.env.items() if k != "VCC_FAILPOINT"}
    process.start()
    wait_for("the controller is ready", inst.ready)
    inst.vccctl("agent", "rename", host.name, "survivor") if point == "controller.rename" else None
    has_identity(inst, host, "survivor")
    renew(inst, before["cert_id"])
    assert inst.admin.get("agents/survivor")["former_names"] == [host.name]
    assert names_in_store(inst, host.name) == set()
