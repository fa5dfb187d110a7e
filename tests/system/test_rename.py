"""`agent rename`: does the host get an identity of its new name, do its certificates, keys and orders stay, and does the old name lead to it for ever?"""
import os
import shutil
import sqlite3
import subprocess
import threading

import checks
import pytest
from conftest import new_folder
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from fake_gateway import FakeHost
from installation import ROOT, Failed, Installation, wait_for
from played_fleet import PlayedFleet
from rights_estate import Api

FAULTS = os.path.join(ROOT, "build-faults", "bin")
TAKEN = "VCC-3236"
SUPERSEDED = 4  # RFC 5280


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


def ended_identities(inst, name):
    """Why identities of this host were revoked."""
    db = sqlite3.connect(f"file:{os.path.join(inst.state, 'controller', 'vcc.db')}?mode=ro", uri=True)
    rows = db.execute("SELECT revoke_reason FROM issuances WHERE owner = 'agent' AND owner_id = ? AND state = 'revoked'", (name,)).fetchall()
    db.close()
    return [r[0] for r in rows]


def test_certificates_stay_and_the_identity_follows(inst):
    host = inst.add_echo(0)
    before = inst.wait_served(host)
    old = host.name
    shown = inst.vccctl("agent", "rename", old, "brandenburg-7")
    assert shown["name"] == "brandenburg-7" and shown["host_key"] == inst.admin.get("agents/brandenburg-7")["host_key"]
    assert shown["connected"] and shown["former_names"] == [old] and [t["cert_id"] for t in shown["targets"]] == [before["cert_id"]], "as `agent show` says it, once the host has come back"
    answer = inst.admin("POST", "/api/v1/agents/brandenburg-7/rename", {"new_name": "brandenburg-7"})
    assert answer[0] == 200 and set(answer[1]) == set(inst.admin.get("agents/brandenburg-7")) and answer[1]["connected"] and len(answer[1]["targets"]) == 1
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
    assert inst.vccctl("agent", "rename", host.name, "next")["name"] == "next"  # the same order again: nothing to do
    assert len([e for e in inst.admin.get("audit?object=next")["items"] if e["event"] == "agent_renamed"]) == 1
    status, answer = post(host.name, {"new_name": "another"})
    assert status == 404 and "next" in answer["detail"], answer
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


@pytest.fixture
def played():
    folder = new_folder("rename-played")
    fleet = PlayedFleet(folder)
    try:
        fleet.init()
        fleet.start_both()
        yield fleet
    finally:
        for g in fleet.gateways:
            g.close()
        fleet.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_an_invite_for_a_name_that_was_given_up_is_of_no_use(played):
    gateway = played.gateway()
    host = played.host(gateway, "one")
    early = played.invite("two")
    played.vccctl("agent", "rename", "one", "two")
    played.vccctl("agent", "rename", "two", "three")
    reply = FakeHost("two").join(gateway, early)
    assert reply["code"] == -3236, reply
    assert host.gateway.kicks[-1]["code"] == -3235


def test_nobody_joins_under_the_new_name_while_it_is_being_stored(played):
    """The row of the new name is not there yet: an invite for it must not be taken for one of a name that nobody has."""
    gateway = played.gateway()
    host = played.host(gateway, "one")
    key = played.vccctl("agent", "show", "one")["host_key"]
    other, invite = FakeHost("two"), played.invite("two")
    shown = []
    lock = sqlite3.connect(played.facts_db(), isolation_level=None, timeout=30)
    lock.execute("BEGIN IMMEDIATE")  # the store waits
    order = threading.Thread(target=lambda: shown.append(played.vccctl("agent", "rename", "one", "two")))
    try:
        order.start()
        gateway.wait("it is cut off", lambda: any(k["code"] == -3235 for k in gateway.kicks))
        reply = gateway.join_reply(gateway.post_join(other.join_body(invite["token"], invite["pin"])))
    finally:
        lock.rollback() if lock.in_transaction else None
        lock.close()
        order.join()
    assert reply["code"] == -3235, reply
    assert shown[0]["host_key"] == key and played.vccctl("agent", "show", "two")["host_key"] == key
    assert other.join(gateway, invite)["code"] != 0
    host.name = "two"
    gateway.up(host)
    host.wait("welcome", lambda: host.welcomes[-1]["agent"] == "two")


def test_the_old_identity_ends_when_the_new_one_is_used(played):
    gateway = played.gateway()
    host = played.host(gateway, "one")
    pin = played.invite("any")["pin"]
    old = host.identity
    played.vccctl("agent", "rename", "one", "two")
    gateway.up(host)  # it knows no other name yet
    host.wait("welcome by the new name", lambda: host.welcomes[-1]["agent"] == "two")
    state = lambda cert: serial_state(played, cert.serial_number)  # noqa: E731
    assert state(old) == "active"
    host.link_key = ec.generate_private_key(ec.SECP256R1())
    wait_for("a new identity, not sooner than 5 s after the last", lambda: host.come_back(gateway, pin)["code"] == 0)
    new, host.name = host.identity, "two"
    assert new.serial_number != old.serial_number and state(old) == "active", "issued is not used"
    welcomes, kicks = len(host.welcomes) + 1, len(gateway.kicks) + 1
    gateway.up(host)
    host.wait("welcome by the new identity", lambda: len(host.welcomes) == welcomes)
    gateway.wait("the connection by the old one is ended", lambda: len(gateway.kicks) == kicks)
    assert gateway.kicks[-1]["code"] == -3208, gateway.kicks[-1]
    wait_for("the old identity is superseded", lambda: state(old) == "revoked")
    assert state(new) == "active"
    for name in ("one", "two"):  # whichever name a link says
        host.identity, host.name = old, name
        gateway.up(host)
        kicks += 1
        gateway.wait("it is refused", lambda: len(gateway.kicks) == kicks)
        assert gateway.kicks[-1]["code"] == -3305, gateway.kicks[-1]
    assert len(host.welcomes) == welcomes
    host.come_back(gateway, pin)  # and still this is its host: the host key gets it a new one
    gateway.up(host)
    host.wait("welcome", lambda: len(host.welcomes) > welcomes)


def serial_state(inst, number):
    db = sqlite3.connect(f"file:{inst.facts_db()}?mode=ro", uri=True)
    (state,), = db.execute("SELECT state FROM issuances WHERE serial = ?", (number.to_bytes(16, "big"),)).fetchall()
    db.close()
    return state


@pytest.mark.skipif(not os.path.exists(os.path.join(FAULTS, "vcc-controller")), reason="make faults has not been run")
@pytest.mark.parametrize("inst", (FAULTS,), indirect=True)
@pytest.mark.sampled(2)
@pytest.mark.parametrize("point", ("controller.rename", "controller.rename_stored", "controller.rename_identity", "controller.rename_identity_stored", "keeper.rename"))
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
    inst.vccctl("agent", "rename", host.name, "survivor")  # whether it was done or not
    has_identity(inst, host, "survivor")
    wait_for("the identity of the old name has ended", lambda: ended_identities(inst, "survivor") == [SUPERSEDED])
    renew(inst, before["cert_id"])
    assert inst.admin.get("agents/survivor")["former_names"] == [host.name]
    assert names_in_store(inst, host.name) == set()
