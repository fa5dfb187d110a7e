"""`agent replace`: does another host take the name with new keys, does the old one lose everything when the new one serves, and does a banned key stay out for good?"""
import os
import shutil
import subprocess

import pytest
from conftest import new_folder
from installation import Failed, Host, Installation, current_group, current_user, run, wait_for, write
from rights_estate import Api


BANNED = "VCC-3203"


@pytest.fixture
def inst():
    folder = new_folder("replace")
    i = Installation(folder)
    try:
        i.init()
        i.start()
        i.admin = Api(i, open(os.path.join(i.state, "admin.token")).read().strip())
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


def another(inst, old):
    """A new machine of the same name: nothing of the old one is on it."""
    host = Host(inst, old.name, old.service, old.template, old.kind, old.names)
    host.dir = old.dir + "-new"
    host.config = os.path.join(host.dir, "agent.conf")
    host.target_dir = os.path.join(host.dir, "service", "tls")
    inst.hosts.append(host)
    os.makedirs(host.dir)
    host.start_service()
    return host


def join(inst, host, invite):
    token = os.path.join(host.dir, "token")
    write(token, invite["token"] + "\n", 0o600)
    run([inst.bin("vcc-agent"), "join", invite["join_address"], "--pin", invite["pin"], "--state-dir", host.dir, "--token-file", token])


def take_over(inst, host, invite):
    join(inst, host, invite)
    inst.drop_in("agent", host.config)
    host.write_target()
    host.start_agent()


def issuances(inst, cert_id):
    return {i["serial"]: i for i in inst.admin.get(f"certificates/{cert_id}/issuances")["items"]}


def events(inst, name):
    return [e["event"] for e in inst.admin.get(f"audit?object={name}")["items"]]


def replaced(inst, old, before):
    """The new host serves its own certificate, and what the old one holds is revoked."""
    def done():
        c = inst.certificate(before["cert_id"])
        return c if c["served"] and c["serial"] != before["serial"] and not c["open_order"] else None
    now = wait_for("the new host serves its own", done)
    gone = wait_for("what the old host holds is revoked", lambda: (lambda i: i if i["revoked_at"] else None)(issuances(inst, before["cert_id"])[before["serial"]]))
    assert now["cert_id"] == before["cert_id"] and now["names"] == before["names"] and now["agent"] == old.name
    return gone


def test_a_broken_host_is_replaced(inst):
    old = inst.add_echo(0)
    before = inst.wait_served(old)
    host_key = inst.admin.get(f"agents/{old.name}")["host_key"]
    invite = inst.vccctl("agent", "replace", old.name)
    assert invite["replaces"] and invite["names"] == inst.admin.get(f"agents/{old.name}")["names"]
    assert inst.admin.get(f"agents/{old.name}")["connected"], "nothing happens before the new host joins"
    new = another(inst, old)
    take_over(inst, new, invite)
    assert replaced(inst, old, before)["revoke_reason"] == "superseded"
    agent = inst.admin.get(f"agents/{old.name}")
    assert agent["host_key"] != host_key and agent["state"] == "active" and agent["connected"]
    # the old machine is on: it is let in neither by its identity nor by its host key
    log = os.path.join(old.dir, "log", "keeper.log")
    wait_for("the old host is told", lambda: "VCC-3206" in open(log).read())
    old.processes["agent"].stop()
    old.processes["agent"].start()
    agent_log = os.path.join(old.dir, "log", "agent.log")
    tries = open(agent_log).read().count("connection lost")
    wait_for("the old host is turned away", lambda: open(agent_log).read().count("connection lost") > tries or "refused" in open(agent_log).read())
    assert inst.admin.get(f"agents/{old.name}")["host_key"] == agent["host_key"]
    assert "agent_replaced" in events(inst, old.name)
    # its token worked once
    with pytest.raises(Failed):
        join(inst, another_folder(inst, old, "third"), invite)
    # the next renewal goes to the new host
    second = inst.certificate(before["cert_id"])["fingerprint"]
    inst.vccctl("cert", "renew", before["cert_id"], "--force")
    inst.wait_renewed(new, second)


def another_folder(inst, old, suffix):
    host = Host(inst, old.name, old.service, old.template, old.kind, old.names)
    host.dir = f"{old.dir}-{suffix}"
    host.config = os.path.join(host.dir, "agent.conf")
    os.makedirs(host.dir, exist_ok=True)
    return host


def test_the_old_key_does_not_take_its_own_place(inst):
    """The machine itself, with the key that is to be replaced: refused, and the token is still good for the one with a new key."""
    old = inst.add_echo(0)
    before = inst.wait_served(old)
    invite = inst.vccctl("agent", "replace", old.name)
    for name in ("agent", "keeper", "hook"):
        old.processes[name].stop()
    only_the_host_key(old)
    with pytest.raises(Failed) as e:
        join(inst, old, invite)
    assert "VCC-3237" in str(e.value), e.value
    assert "agent_replaced" not in events(inst, old.name) and issuances(inst, before["cert_id"])[before["serial"]]["revoked_at"] is None
    new = another(inst, old)
    take_over(inst, new, invite)
    replaced(inst, old, before)


def only_the_host_key(host):
    """All that is left of the machine's state."""
    shutil.rmtree(os.path.join(host.dir, "link"))
    for name in os.listdir(os.path.join(host.dir, "keeper")):
        path = os.path.join(host.dir, "keeper", name)
        if name != "host.key":
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def test_a_banned_name_returns_only_so_and_its_key_never(inst):
    old = inst.add_echo(0)
    before = inst.wait_served(old)
    assert inst.admin("POST", f"/api/v1/agents/{old.name}/ban", None)[0] == 200
    status, body = inst.admin("POST", "/api/v1/invites", {"name": old.name, "service": old.service})
    assert status == 409 and body["code"].startswith("VCC-3") and "agent replace" in body["detail"], body
    # the banned machine itself does not come back by such an invite
    first = inst.vccctl("agent", "replace", old.name)
    for name in ("agent", "keeper", "hook"):
        old.processes[name].stop()
    only_the_host_key(old)
    with pytest.raises(Failed) as e:
        join(inst, old, first)
    assert BANNED in str(e.value), e.value
    new = another(inst, old)
    take_over(inst, new, inst.vccctl("agent", "replace", old.name))
    assert replaced(inst, old, before)["revoke_reason"] == "keyCompromise"
    # now the name is the new host's, and the old key is still out, by any name
    other = inst.vccctl("agent", "invite", "someone", "--service", old.service)
    with pytest.raises(Failed) as e:
        join(inst, old, other)
    assert BANNED in str(e.value), e.value
    assert [a["name"] for a in inst.admin.get("agents")["items"]] == [old.name]


def test_who_and_what(inst):
    status, body = inst.admin("POST", "/api/v1/agents/nobody/replace", {})
    assert (status, body["code"]) == (404, "VCC-1006")
    done = subprocess.run([*inst.vccctl_argv, "agent", "replace", "nobody"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 3
    assert inst.admin("POST", "/api/v1/agents/nobody/replace", {"names": ["evil"]})[0] == 404


# ---- a signing host ----

def signing_target(host):
    """A second target of the host: a key that signs code."""
    cert_id = f"{host.name}-models"
    write(os.path.join(host.dir, "targets.d", "models.conf"),
          f"[target]\ncert_id = {cert_id}\nservice = clara\ntemplate = clara_model_signing\n[files]\nowner = {current_user()}\ngroup = {current_group()}\nmode = 0600\n"
          "[reload]\nkind = none\n[verify]\nkind = file\n")
    return cert_id


def agreed(inst, cert_id, n):
    """A second person agrees, and the n-th certificate is there."""
    request = wait_for("an approval is asked for", lambda: next((a for a in inst.approver.get("approvals")["items"] if a["object"] == cert_id), None), 120)
    assert inst.approver("POST", f"/api/v1/approvals/{request['approval_id']}/approve", {"hash": request["hash"]})[0] == 200
    wait_for("it is proved", lambda: (i := list(issuances(inst, cert_id).values())) and len(i) == n and i[-1]["state"] == "active", 120)
    return list(issuances(inst, cert_id).values())


@pytest.mark.parametrize("banned", [False, True], ids=["broken", "banned"])
def test_what_a_replaced_host_signed_stays_good_unless_it_was_banned(inst, banned):
    """A code-signing certificate is never revoked as superseded: that would take every signature without a time stamp with it."""
    inst.approver = Api(inst, open(os.path.join(inst.state, "approver.token")).read().strip())
    old = inst.add_echo(0)
    before = inst.wait_served(old)
    cert_id = signing_target(old)
    signed_with, = agreed(inst, cert_id, 1)
    if banned:
        assert inst.admin("POST", f"/api/v1/agents/{old.name}/ban")[0] == 200
    invite = inst.vccctl("agent", "replace", old.name)
    new = another(inst, old)
    take_over(inst, new, invite)
    signing_target(new)
    kept, current = agreed(inst, cert_id, 2)
    assert kept["serial"] == signed_with["serial"] and current["serial"] != kept["serial"]
    replaced(inst, old, dict(before, cert_id=old.cert_id))  # by then the service's own is revoked, and whatever else was to be
    if banned:
        wait_for("a key of a banned host is a lost key", lambda: issuances(inst, cert_id)[kept["serial"]]["revoke_reason"] == "keyCompromise")
    else:
        kept = issuances(inst, cert_id)[kept["serial"]]
        assert kept["revoked_at"] is None and kept["revoke_asked_at"] is None and kept["supersede_at"] is None, kept
