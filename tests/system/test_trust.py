"""Does a root that a person made on the signer's host reach every host, also one that was away, with nothing but the trust files changed; and is
a bundle that takes a root away kept back (LIFECYCLE 7)?"""
import json
import os
import re
import shutil
import subprocess

import checks
import pytest
from conftest import new_folder
from cryptography import x509
from cryptography.x509.oid import NameOID
from installation import Installation, wait_for
from rights_estate import Api


@pytest.fixture(scope="module")
def inst():
    folder = new_folder("trust")
    i = Installation(folder)
    try:
        i.init()
        i.start()
        i.here, i.away = i.add_echo(0), i.add_echo(1)
        for host in (i.here, i.away):
            i.wait_served(host)
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


def api(inst, who):
    with open(os.path.join(inst.state, f"{who}.token")) as f:
        return Api(inst, f.read().strip())


def trust(inst):
    return api(inst, "admin").get("trust")


def at_signer(inst, *words):
    """What a person does there: the signer stopped, a command of it, the signer started."""
    signer = inst.processes["signer"]
    signer.stop()
    done = subprocess.run([inst.bin("vcc-signer"), *words, "--config", inst.conf("signer")], capture_output=True, text=True, timeout=120)
    signer.start()
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def roots_on(host):
    with open(f"{host.target_dir}/current/ca.pem") as f:
        pems = re.findall("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", f.read(), re.S)
    return {x509.load_pem_x509_certificate(pem.encode()).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for pem in pems}


def counts(t):
    return {k: t[k] for k in ("proved", "reloaded", "unproved", "behind", "away", "idle") if t[k]}


def has(inst):
    """What each host says that it has; it need not have a service for that."""
    return {a["name"]: a["trust_epoch"] for a in api(inst, "admin").get("agents")["items"]}


def stored(inst):
    return [json.loads(row[0]) for row in checks.rows(inst.facts()["controller"]["db"], "SELECT detail FROM audit WHERE event = 'trust_bundle_stored' ORDER BY seq")]


def stop_agent(host):
    for name in ("agent", "keeper", "hook"):
        host.processes[name].stop()


def test_one_root_is_what_everybody_has(inst):
    t = wait_for("every receipt is stored", lambda: (lambda t: t if t["reloaded"] == 2 else None)(trust(inst)))
    assert t["epoch"] == 1 and [r["issuer_id"] for r in t["roots"]] == ["root-1"] and t["kept_back"] is None and t["items"] == []
    assert counts(t) == {"reloaded": 2} and t["complete"]
    done = subprocess.run([*inst.vccctl_argv, "ca", "trust"], capture_output=True, text=True)
    assert done.returncode == 0 and re.search(r"reloaded\s+2", done.stdout) and "root-1" in done.stdout, done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_a_new_root_reaches_who_is_here(inst):
    before = checks.served_is_issued(inst, inst.here)
    was_away = checks.served_is_issued(inst, inst.away)
    stop_agent(inst.away)
    said = at_signer(inst, "new-root")
    assert "root-2" in said and "service-2" in said and max(map(len, said.splitlines())) <= 80, said
    t = wait_for("the bundle goes to hosts", lambda: (lambda t: t if t["epoch"] == 2 and t["reloaded"] == 1 else None)(trust(inst)))
    assert [r["issuer_id"] for r in t["roots"]] == ["root-1", None] and "VCC Root CA 2" in t["roots"][1]["subject"]
    assert re.search(t["roots"][1]["fingerprint"], said, re.I)  # what the person saw there is what is shown here
    assert counts(t) == {"reloaded": 1, "behind": 1}
    assert [(i["agent"], i["state"], i["trust_epoch"]) for i in t["items"]] == [(inst.away.name, "behind", 1)]
    assert has(inst) == {inst.here.name: 2, inst.away.name: None}
    assert roots_on(inst.here) == {"VCC Root CA 1", "VCC Root CA 2"} and roots_on(inst.away) == {"VCC Root CA 1"}
    assert checks.served_is_issued(inst, inst.here) == before and checks.served_is_issued(inst, inst.away) == was_away
    assert stored(inst) == [{"epoch": 2, "roots": 2, "kept_back": False}]


def test_who_was_away_and_who_joins_have_it(inst):
    inst.away.start_agent()
    wait_for("the host that was away has it", lambda: counts(trust(inst)) == {"reloaded": 2})
    assert roots_on(inst.away) == {"VCC Root CA 1", "VCC Root CA 2"}
    joined = inst.add_echo(2)  # by the pin of the old root
    inst.wait_served(joined)
    wait_for("and the one that joined", lambda: counts(trust(inst)) == {"reloaded": 3})
    assert set(has(inst).values()) == {2}
    assert roots_on(joined) == {"VCC Root CA 1", "VCC Root CA 2"}


def test_what_waits_below_the_next_root_is_nobodys_successor(inst):
    status, asked = api(inst, "admin")("POST", "/api/v1/ca/code-signing-1/rollover", {})
    assert status == 202, asked
    where = f"/api/v1/approvals/{asked['approval_id']}/approve"
    assert api(inst, "approver")("POST", where, {"hash": asked["approval"]["hash"]})[0] == 200
    shown = wait_for("its successor is there", lambda: (lambda r: r if r["phase"] == "trust" else None)(api(inst, "admin").get("ca/code-signing-1/rollover")))
    assert shown["successor_id"] == "code-signing-3"
    assert api(inst, "admin").get("ca/code-signing-3")["parent_id"] == "root-1"


def test_a_bundle_without_a_root_is_kept_back(inst):
    at_signer(inst, "drop-root", "root-1")
    t = wait_for("it is stored", lambda: (lambda t: t if t["kept_back"] else None)(trust(inst)))
    assert t["epoch"] == 2 and t["kept_back"]["epoch"] == 3 and len(t["kept_back"]["roots"]) == 1
    stop_agent(inst.here)
    inst.processes["controller"].stop()
    inst.processes["controller"].start()
    wait_for("the controller is ready", inst.ready)
    inst.here.start_agent()
    wait_for("all are back", lambda: all(a["connected"] for a in api(inst, "admin").get("agents")["items"]))
    t = wait_for("nobody is behind", lambda: (lambda t: t if counts(t) == {"reloaded": 3} else None)(trust(inst)))
    assert t["epoch"] == 2 and t["kept_back"]["epoch"] == 3
    assert roots_on(inst.here) == {"VCC Root CA 1", "VCC Root CA 2"}
    assert [s["epoch"] for s in stored(inst)] == [2, 3] and stored(inst)[1]["kept_back"]


def test_another_history_is_not_believed(inst):
    """The signer's folder is an old copy: a bundle of an epoch that hosts have, and not the one that they have."""
    ca = os.path.join(inst.state, "signer", "ca")
    for name in os.listdir(ca):
        if name in ("bundle-2", "bundle-3") or name.startswith(("root-2.", "service-2.", "agent-2.", "code-signing-2.")):
            os.remove(os.path.join(ca, name))
    at_signer(inst, "new-root")
    wait_for("it is said", lambda: "VCC-3410 bundle-2" in open(inst.processes["controller"].log, errors="replace").read())
    t = trust(inst)
    assert t["epoch"] == 2 and counts(t) == {"reloaded": 3} and [s["epoch"] for s in stored(inst)] == [2, 3]
