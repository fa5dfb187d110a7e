"""kill -9 of controller and signer at every fault point of joining, first issue, renewal, supersession and revocation, with hosts that the test plays.

After the restart the order ends, the certificate is proved, no certificate is without intent and audit record, nothing is active twice, an acked
receipt is never lost, and an invite has one winner."""
import json
import os
import re
import shutil
import threading
import time

import checks
import pytest
from conftest import new_folder
from cryptography.hazmat.primitives.asymmetric import ec
from fake_gateway import FakeHost, request
from installation import ROOT, Failed, wait_for
from played_fleet import PlayedFleet
from sampling import sample
from wire_tables import body_encode

FAULTS = os.path.join(ROOT, "build-faults", "bin")
NAMES = "DNS:{0}.clara.vcc.internal"


def spelled(folder, prefix):
    names = set()
    for name in sorted(os.listdir(os.path.join(ROOT, folder))):
        if name.endswith(".c"):
            with open(os.path.join(ROOT, folder, name)) as f:
                names.update(re.findall(rf'"({prefix}\.[a-z_]+)"', f.read()))
    return names


# Which act passes a point; what stands nowhere here is found by test_every_point_is_tried.
ACTS = {
    "join": ["join", "identity_issued"],
    "first": ["target", "intent", "issued", "receipt"],
    "renew": ["order", "supersede"],
    "identity": ["identity"],
    "schedule": ["schedule"],
    "cancel": ["cancel"],
    "revoke": ["revoke", "crl"],
    "hold": ["suspend", "resume"],
    "replace": ["replace"],
    "evict": ["agent_state"],
    "retry": ["timer"],
    "stage": ["stage", "stage_drop"],
}
CONTROLLER = [(act, f"controller.{p}{end}") for act, points in ACTS.items() for p in points for end in ("", "_stored")]
CONTROLLER += [("first", "controller.receipt@2"), ("first", "controller.receipt_stored@2")]
LONG = os.environ.get("VCC_LONG") == "1"
SIGNER = [("first", p) for p in ("signer.taken", "signer.logged", "signer.signed", "signer.answered")]


@pytest.fixture(scope="module")
def fleet():
    if not os.path.exists(os.path.join(FAULTS, "vcc-controller")):
        pytest.skip("make faults has not been run")
    path = new_folder("kills")
    inst = PlayedFleet(path, binaries=FAULTS)
    try:
        inst.init()
        inst.start_both()
        inst.template_short = short_template(inst)
        yield inst
    finally:
        for g in inst.gateways:
            g.close()
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def short_template(inst):
    """One whose certificates are renewed after seconds, and tried again after one."""
    path = os.path.join(inst.dir, "short.json")
    with open(path, "w") as f:
        f.write('{"template_id": "clara_short", "name": "short", "validity_seconds": 30, "key_type": "ECDSA", "key_size": 256, "key_usage": ["digitalSignature"], '
                '"extended_key_usage": ["serverAuth"], "subject_alt_names": ["*.clara.vcc.internal"], "vcc_service_type": "clara", "renewal_threshold": "20s", '
                '"emergency_threshold": "1s", "retry_interval": "1s", "max_renewals": 0, "auto_renewal_enabled": true}')
    inst.vccctl("template", "apply", path)
    return "clara_short"


class Keeper(threading.Thread):
    """Keeps the played gateway connected, as a real one would."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway, self.ending = gateway, False

    def run(self):
        while not self.ending:
            if not self.gateway.alive():
                try:
                    self.gateway.connect(1)
                except OSError:
                    pass
            time.sleep(0.05)


def asks(inst, *words):
    """The controller may be dead or die meanwhile."""
    try:
        return inst.vccctl(*words)
    except Failed:
        return None


def no_orphans(inst):
    db = inst.facts_db()
    bare = checks.rows(db, "SELECT count(*) FROM issuances i WHERE i.state NOT IN ('intent', 'void') AND NOT EXISTS (SELECT 1 FROM audit a WHERE "
                           "a.event = 'certificate_intent' AND a.object = i.owner_id AND instr(a.detail, hex(i.serial)) > 0)")
    assert bare[0][0] == 0, "a certificate without intent"
    twice = checks.rows(db, "SELECT owner_id FROM issuances WHERE owner = 'certificate' AND state = 'active' GROUP BY owner_id HAVING count(*) > 1")
    assert twice == []
    many = checks.rows(db, "SELECT used_by FROM invites WHERE used_at IS NOT NULL AND used_by IS NULL")
    assert many == []


def kill_and_restart(inst, process, point, act, died_within=30):
    """Runs `act` until the process died at the point; starts it again without."""
    p = inst.processes[process]
    p.stop()
    name, _, nth = point.partition("@")
    p.env = {"VCC_FAILPOINT": f"{name}{'@' + nth if nth else ''}=kill"}
    p.start()
    end = time.monotonic() + died_within
    while time.monotonic() < end and p.running():
        act()
        time.sleep(0.1)
    died = not p.running()
    p.stop()
    p.env = None
    p.start()
    inst.wait_up()
    assert died, f"{point} was not passed"


@pytest.mark.parametrize("act,point", sample(CONTROLLER, 5), ids=str)
def test_kill_controller(fleet, act, point):
    run(fleet, "controller", act, point)


@pytest.mark.parametrize("act,point", SIGNER if LONG else SIGNER[:2], ids=str)
def test_kill_signer(fleet, act, point):
    run(fleet, "signer", act, point)


def run(inst, process, act, point):
    name = "k" + point.split(".")[1].replace("_", "").replace("@", "")
    gateway = inst.gateway(name)
    keeper = Keeper(gateway)
    keeper.start()
    try:
        globals()["act_" + act](inst, gateway, process, name, point)
        no_orphans(inst)
    finally:
        keeper.ending = True
        gateway.close()


def act_join(inst, gateway, process, name, point):
    host, invite = FakeHost(name), inst.invite(name)
    body = host.join_body(invite["token"], invite["pin"])
    kill_and_restart(inst, process, point, lambda: gateway.post_join(body))

    def reply():
        return gateway.join_reply(gateway.post_join(body), 10)
    answer = wait_for("the lost reply comes again", lambda: quietly(reply), 60)
    assert answer["code"] == 0
    assert FakeHost(name).join(gateway, invite)["code"] in (-3200, -3202)
    host.joined(answer)
    gateway.up(host)
    host.wait("welcome", lambda: host.welcomes)


def quietly(call):
    try:
        return call()
    except AssertionError:
        return None


def act_first(inst, gateway, process, name, point):
    host = inst.host(gateway, name)
    cert_id, sent = f"{name}-web", []

    def go():
        if not sent and host.session is not None and gateway.alive():
            sent.append(host.target(cert_id, "clara", "clara_service_auth", NAMES.format(name)))
    kill_and_restart(inst, process, point, go)
    go()
    inst.wait_done(cert_id)
    host.wait("receipts are acked", lambda: not host.receipts)
    assert len({(c["renewal_id"], c["attempt"]) for c in host.certificates}) == 1, "applied once"


def issued(inst, gateway, name, template="clara_service_auth"):
    host = inst.host(gateway, name)
    host.target(f"{name}-web", "clara", template, NAMES.format(name))
    return host, inst.wait_done(f"{name}-web")


def act_renew(inst, gateway, process, name, point):
    host, first = issued(inst, gateway, name)
    kill_and_restart(inst, process, point, lambda: asks(inst, "cert", "renew", f"{name}-web", "--force"))
    if inst.cert(f"{name}-web")["fingerprint"] == first["fingerprint"]:
        asks(inst, "cert", "renew", f"{name}-web", "--force")
    inst.wait_done(f"{name}-web", first["fingerprint"])
    serial = bytes.fromhex(first["serial"])

    def revoked():
        state = checks.rows(inst.facts_db(), "SELECT state, revoke_reason FROM issuances WHERE serial = ?", serial)
        return state == [("revoked", 4)]
    wait_for("the old one is revoked as superseded", revoked, 30)
    host.wait("receipts are acked", lambda: not host.receipts)


def act_identity(inst, gateway, process, name, point):
    host = inst.host(gateway, name)
    body = body_encode("identity", name=name, made_at=1, csr=request(ec.generate_private_key(ec.SECP256R1())))

    def ask():
        host.send_signed("agent_identity", "vcc identity v1", body)
    kill_and_restart(inst, process, point, ask)
    end = time.monotonic() + 60
    while not host.identities and time.monotonic() < end:
        ask()
        time.sleep(0.5)
    assert host.identities


def act_schedule(inst, gateway, process, name, point):
    host, first = issued(inst, gateway, name, inst.template_short)
    kill_and_restart(inst, process, point, lambda: None, 60)
    inst.wait_done(f"{name}-web", first["fingerprint"])
    host.targets[f"{name}-web"]["retired"] = True
    host.target(f"{name}-web", "clara", inst.template_short, NAMES.format(name), retired=True)


def act_cancel(inst, gateway, process, name, point):
    host = inst.host(gateway, name)
    host.respond = False
    host.target(f"{name}-web", "clara", "clara_service_auth", NAMES.format(name))
    host.wait("order", lambda: host.orders)
    kill_and_restart(inst, process, point, lambda: asks(inst, "cert", "revoke", f"{name}-web", "--reason", "cessationOfOperation", "--yes"))
    if inst.cert(f"{name}-web")["status"] != "revoked":
        asks(inst, "cert", "revoke", f"{name}-web", "--reason", "cessationOfOperation", "--yes")
    host.wait("cancel", lambda: host.cancels)
    assert inst.cert(f"{name}-web")["open_order"] is None


def act_revoke(inst, gateway, process, name, point):
    host, first = issued(inst, gateway, name)
    kill_and_restart(inst, process, point, lambda: asks(inst, "cert", "revoke", f"{name}-web", "--reason", "keyCompromise", "--yes"))
    asks(inst, "cert", "revoke", f"{name}-web", "--reason", "keyCompromise", "--yes")
    assert inst.cert(f"{name}-web")["status"] == "revoked"
    state = checks.rows(inst.facts_db(), "SELECT state, revoke_reason FROM issuances WHERE serial = ?", bytes.fromhex(first["serial"]))
    assert state == [("revoked", 1)]
    assert host.session is not None


def act_hold(inst, gateway, process, name, point):
    """On hold and back: whichever of the two was cut, it is done or not done, and can be asked for again."""
    _, first = issued(inst, gateway, name)

    def both():
        asks(inst, "cert", "suspend", f"{name}-web")
        asks(inst, "cert", "resume", f"{name}-web")
    kill_and_restart(inst, process, point, both)
    serial = bytes.fromhex(first["serial"])
    held, = checks.rows(inst.facts_db(), "SELECT held_at FROM issuances WHERE serial = ?", serial)[0]
    assert (held is not None) == (inst.cert(f"{name}-web")["status"] == "suspended")
    both()
    assert inst.cert(f"{name}-web")["status"] == "active"
    assert checks.rows(inst.facts_db(), "SELECT held_at FROM issuances WHERE serial = ?", serial) == [(None,)]


def act_replace(inst, gateway, process, name, point):
    _, first = issued(inst, gateway, name)
    kill_and_restart(inst, process, point, lambda: asks(inst, "cert", "revoke", f"{name}-web", "--reason", "keyCompromise", "--replace"))
    if inst.cert(f"{name}-web")["fingerprint"] == first["fingerprint"]:
        asks(inst, "cert", "revoke", f"{name}-web", "--reason", "keyCompromise", "--replace")
    inst.wait_done(f"{name}-web", first["fingerprint"])
    serial = bytes.fromhex(first["serial"])
    wait_for("the old one is revoked", lambda: checks.rows(inst.facts_db(), "SELECT state, revoke_reason FROM issuances WHERE serial = ?",
                                                          serial) == [("revoked", 1)], 30)


def act_evict(inst, gateway, process, name, point):
    host = inst.host(gateway, name)
    kill_and_restart(inst, process, point, lambda: asks(inst, "agent", "evict", name))
    asks(inst, "agent", "evict", name)
    gateway.wait("kick", lambda: any(k["code"] == -3206 for k in gateway.kicks))
    assert host.session is None


def act_retry(inst, gateway, process, name, point):
    host = inst.host(gateway, name)
    failures = []

    def outcome(_host, message):
        if len(failures) < 1:
            failures.append(message["attempt"])
            return "failed"
        return "ok"
    host.outcome = outcome
    host.target(f"{name}-web", "clara", inst.template_short, NAMES.format(name))
    kill_and_restart(inst, process, point, lambda: None, 60)
    inst.wait_done(f"{name}-web")
    assert len({c["attempt"] for c in host.certificates}) >= 2
    host.target(f"{name}-web", "clara", inst.template_short, NAMES.format(name), retired=True)


def long_template(inst, bits=256):
    """One of its own: its key type is changed and changed back."""
    path = os.path.join(inst.dir, "long.json")
    with open(os.path.join(inst.dir, "short.json")) as f:
        fields = json.load(f)
    fields.update(template_id="clara_long", name="long", validity_seconds=30 * 86400, renewal_threshold="10d", emergency_threshold="1d", key_size=bits)
    with open(path, "w") as f:
        json.dump(fields, f)
    asks(inst, "template", "apply", path, "--force")
    return "clara_long"


def next_key(inst, cert_id):
    shown = asks(inst, "cert", "show", cert_id)
    return shown and shown.get("next_key_since")


def act_stage(inst, gateway, process, name, point):
    """A key is offered and taken, and dropped when the template wants another type. Whatever was cut, the next offer is taken, and the order that
    begins with it ends."""
    host, _ = issued(inst, gateway, name, long_template(inst))
    cert_id = f"{name}-web"

    def go():
        if host.session is None or not gateway.alive():
            return
        host.stage(cert_id)
        time.sleep(0.5)
        if "stage_drop" in point and next_key(inst, cert_id):
            long_template(inst, 384)
            time.sleep(1)
            long_template(inst)
    kill_and_restart(inst, process, point, go, 60)
    long_template(inst)
    wait_for("a key is staged", lambda: host.session is not None and host.stage(cert_id) and next_key(inst, cert_id), 30, 0.5)
    wait_for("what the change of type had ordered is over", lambda: asks(inst, "cert", "renew", cert_id, "--force"), 60, 0.5)
    wait_for("its order ended", lambda: (shown := asks(inst, "cert", "show", cert_id)) and shown["served"] and not shown["open_order"], 60, 0.2)
    reserved = checks.rows(inst.facts_db(), "SELECT count(*) FROM stages s WHERE s.renewal_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM orders o WHERE "
                                            "o.renewal_id = s.renewal_id AND o.phase NOT IN ('completed', 'failed', 'cancelled', 'rolled_back'))")
    assert reserved == [(0,)], "a key is reserved for an order that is over"
    host.target(cert_id, "clara", "clara_long", NAMES.format(name), retired=True)


def test_every_point_is_tried():
    tried = {p.split("@")[0] for _, p in CONTROLLER + SIGNER}
    known = {n for n in spelled("controller/daemon", "controller") | spelled("controller/signer", "signer")}
    elsewhere = re.compile(r"controller\.(return|run|release|rename|rename_identity|head"  # test_return.py, test_clones.py, test_audit_kills.py
                           r"|decision|approval|principal|token|token_revoke|break_glass"  # test_rights_kills.py
                           r"|campaign|campaign_(new|send|sent|drop|dropped|word|back|read)|policy_(edit|walk|page)"  # test_campaign_kills.py, test_policy_kills.py
                           r"|alert|notify|notify_sent|notify_remind"  # test_notice_kills.py, test_delivery_kills.py
                           r"|rollover|rollover_word|drill_report|drill_make|bundle|forget"  # test_rollover_kills.py, test_drill_kills.py, test_root_kills.py, test_root_rollover_kills.py
                           r"|peer|peers_(proved|refused)"  # test_peer_kills.py
                           r"|begin|handle"  # test_poison.py
                           r"|issue|approved|kept"  # test_issue_kills.py, test_idempotency_kills.py
                           r"|backup_made|restore_accept|archive_written|prune)(_stored)?$")  # test_backup_kills.py, test_restore_kills.py, test_prune.py
    # signer.passphrase_file is a setting, not a point
    assert {n for n in known - tried if not elsewhere.match(n)} - {"controller.domain", "signer.rotate"} \
        - {"signer.successor_key", "signer.successor_certificate", "signer.close", "signer.judge"} \
        - {"signer.passphrase_file"} \
        - {"signer.cross", "signer.root_list", "signer.bundle"} == set()  # test_rollover_kills.py, test_poison.py, test_root_kills.py


# ---- the store refuses once: nothing is acked, the agent is asked again, the order ends ----

REFUSED = [("first", "controller.target"), ("first", "controller.intent"), ("first", "controller.issued"), ("first", "controller.receipt@1"),
           ("first", "controller.receipt@2"), ("renew", "controller.order"), ("renew", "controller.supersede"), ("join", "controller.join"),
           ("join", "controller.identity_issued"), ("identity", "controller.identity"), ("identity", "controller.identity_issued")]


@pytest.mark.parametrize("act,point", sample(REFUSED, 3), ids=str)
def test_store_refuses_once(fleet, act, point):
    inst = fleet
    p = inst.processes["controller"]
    p.stop()
    name, _, nth = point.partition("@")
    p.env = {"VCC_FAILPOINT": f"{name}@{nth or 1}=err:ENOSPC"}
    p.start()
    inst.wait_up()
    gateway = inst.gateway("refuse")
    keeper = Keeper(gateway)
    keeper.start()
    try:
        globals()["refused_" + act](inst, gateway, "r" + act[0] + point.split(".")[1].replace("_", "").replace("@", ""))
        no_orphans(inst)
    finally:
        keeper.ending = True
        gateway.close()
        p.stop()
        p.env = None
        p.start()
        inst.wait_up()


def refused_first(inst, gateway, name):
    host = inst.host(gateway, name)
    host.target(f"{name}-web", "clara", "clara_service_auth", NAMES.format(name))
    inst.wait_done(f"{name}-web")
    host.wait("receipts are acked", lambda: not host.receipts)


def refused_renew(inst, gateway, name):
    _, first = issued(inst, gateway, name)
    if asks(inst, "cert", "renew", f"{name}-web", "--force") is None:
        inst.vccctl("cert", "renew", f"{name}-web", "--force")
    inst.wait_done(f"{name}-web", first["fingerprint"])

    def revoked():
        return checks.rows(inst.facts_db(), "SELECT state FROM issuances WHERE serial = ?", bytes.fromhex(first["serial"])) == [("revoked",)]
    wait_for("the old one is revoked", revoked, 30)


def refused_join(inst, gateway, name):
    host, invite = FakeHost(name), inst.invite(name)
    first = host.join(gateway, invite)
    assert first["code"] < 0 and not first["certificate"]
    assert host.join(gateway, invite)["code"] == 0


def refused_identity(inst, gateway, name):
    host = FakeHost(name)
    invite = inst.invite(name)
    if host.join(gateway, invite)["code"] < 0:  # where the join's own identity was the one that was refused
        assert host.join(gateway, invite)["code"] == 0
    gateway.up(host)
    host.wait("welcome", lambda: host.welcomes)
    body = body_encode("identity", name=name, made_at=1, csr=request(ec.generate_private_key(ec.SECP256R1())))
    end = time.monotonic() + 30
    while not host.identities and time.monotonic() < end:
        host.send_signed("agent_identity", "vcc identity v1", body)
        time.sleep(0.3)
    assert host.identities


# ---- the signer was away for two hours: what waited for it begins too long ago for it, and is made anew ----

@pytest.mark.skipif(not os.path.exists(os.path.join(FAULTS, "vcc-controller")), reason="make faults has not been run")
def test_a_request_that_waited_for_too_long_is_made_anew(folder):
    inst = PlayedFleet(folder, binaries=FAULTS)
    try:
        inst.init()
        inst.start_both()
        gateway = inst.gateway()
        host = inst.host(gateway, "late01")
        inst.processes["signer"].stop()
        host.target("late01-web", "clara", "clara_service_auth", NAMES.format("late01"))
        wait_for("the order waits for the signer", lambda: checks.rows(inst.facts_db(), "SELECT 1 FROM issuances WHERE owner_id = 'late01-web' AND state = 'intent'"))
        inst.processes["controller"].stop()
        for name in ("signer", "controller"):
            inst.processes[name].env = {"VCC_CLOCK_OFFSET_MS": str(2 * 3600 * 1000)}
            inst.processes[name].start()
        inst.wait_up()
        gateway.connect()
        inst.wait_done("late01-web")
        assert [c["attempt"] for c in host.certificates] == [2]
        states = checks.rows(inst.facts_db(), "SELECT state FROM issuances WHERE owner_id = 'late01-web' ORDER BY serial")
        assert [s for s, in states] == ["void", "active"]
    finally:
        for g in inst.gateways:
            g.close()
        inst.stop()
