"""Does a root give way to another one, step by step, by two persons, with hosts that are away for a part of it or for all of it, with the way back
until the end; and has everybody forgotten the old one at the end (LIFECYCLE 6, 7)?"""
import json
import os
import re
import shutil
import sqlite3
import subprocess
import urllib.request

import checks
import pytest
from conftest import new_folder
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from installation import Installation, wait_for, write
from rights_estate import Api

OLD, NEW = "VCC Root CA 1", "VCC Root CA 2"
ROLLOVER = "/api/v1/ca/root-1/rollover"
DAY = 86400 * 1000


@pytest.fixture(scope="module")
def inst():
    folder = new_folder("root")
    i = Installation(folder, {"controller.identity.agent": "10s"})
    try:
        i.init()
        i.start()
        i.long = join(i.prepare_echo(2))  # away for all of it, until its identity has ended
        i.wait_served(i.long)
        stop_agent(i.long)
        i.processes["controller"].stop()
        del i.settings["controller.identity.agent"]
        os.remove(f"{i.conf('controller')}.d/50-settings.conf")
        i.drop_in("controller", i.conf("controller"))
        with sqlite3.connect(i.facts()["controller"]["db"]) as db:
            db.execute("UPDATE agents SET seen_at = seen_at - ? WHERE name = ?", (31 * DAY, i.long.name))
        i.processes["controller"].start()
        wait_for("ready", i.ready)
        i.here, i.away = join(i.prepare_echo(0)), join(i.prepare_echo(1))
        for host in (i.here, i.away):
            i.wait_served(host)
        yield i
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


def join(host, invite=None):
    """As Host.enrol(), with lists; `invite`: one that was made before."""
    inst = host.inst
    if invite is None:
        host.join()
    else:
        token = os.path.join(host.dir, "token")
        write(token, invite["token"] + "\n", 0o600)
        subprocess.run([inst.bin("vcc-agent"), "join", invite["join_address"], "--pin", invite["pin"], "--state-dir", host.dir, "--token-file", token],
                       check=True, capture_output=True, timeout=60)
    inst.drop_in("agent", host.config)
    write(os.path.join(host.dir, "targets.d", f"{host.stem}.conf"), host.target_file() + "[trust]\ncrl = yes\n")
    host.start_agent()
    return host


def stop_agent(host):
    for name in ("agent", "keeper", "hook"):
        host.processes[name].stop()


def api(inst, who):
    with open(os.path.join(inst.state, f"{who}.token")) as f:
        return Api(inst, f.read().strip())


def vccctl(inst, *words):
    done = subprocess.run([*inst.vccctl_argv, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def problem(answer, status, code):
    assert answer[0] == status and answer[1]["code"] == code, answer
    return answer[1]


def at_signer(inst, *words):
    signer = inst.processes["signer"]
    signer.stop()
    done = subprocess.run([inst.bin("vcc-signer"), *words, "--config", inst.conf("signer")], capture_output=True, text=True, timeout=120)
    signer.start()
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def agree(inst, asked):
    approval = asked["approval"]
    where = f"/api/v1/approvals/{approval['approval_id']}/approve"
    assert api(inst, "admin")("POST", where, {"hash": approval["hash"]})[0] == 403  # never the one who asked
    answer = api(inst, "approver")("POST", where, {"hash": approval["hash"]})
    assert answer[0] == 200, answer


def rollover(inst):
    return api(inst, "admin").get("ca/root-1/rollover")


def phase(inst, wanted):
    return wait_for(f"root-1 is {wanted}", lambda: (r := rollover(inst))["phase"] == wanted and r)


def trust(inst):
    return api(inst, "admin").get("trust")


def state(inst, issuer):
    return api(inst, "admin").get(f"ca/{issuer}")["state"]


def certificates(path):
    with open(path) as f:
        pems = re.findall("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", f.read(), re.S)
    return [x509.load_pem_x509_certificate(pem.encode()) for pem in pems]


def name_of(name):
    return name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def roots_on(host):
    return {name_of(c.subject) for c in certificates(f"{host.target_dir}/current/ca.pem")}


def signer_of(host):
    return name_of(certificates(f"{host.target_dir}/current/cert.pem")[0].issuer)


def renew(inst, host):
    before = inst.certificate(host.cert_id)["fingerprint"]
    inst.vccctl("cert", "renew", host.cert_id, "--force")
    inst.wait_renewed(host, before)


def published(inst, path):
    with urllib.request.urlopen(f"{inst.public_url}{path}", timeout=10) as answer:
        return answer.read()


def list_signers(inst, host=None):
    """Of the lists that are published, or of those that a host's service reads."""
    if host is None:
        text = published(inst, "/crl/all.pem")
    else:
        with open(f"{host.target_dir}/current/crl.pem", "rb") as f:
            text = f.read()
    pems = re.findall(b"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", text, re.S)
    return {name_of(x509.load_pem_x509_crl(p + b"\n").issuer) for p in pems}


def ready_to_advance(inst):
    return wait_for("every host has both roots", lambda: (r := rollover(inst))["trust"]["missing"] == 0 and r)


def connected(inst, *hosts):
    wait_for("they are here", lambda: all(api(inst, "admin").get(f"agents/{h.name}")["connected"] for h in hosts))


def test_nothing_begins_before_a_person_made_the_next_root(inst):
    assert "new-root" in problem(api(inst, "admin")("POST", ROLLOVER, {"reason": "it grows old"}), 409, "VCC-3883")["detail"]
    problem(api(inst, "admin")("POST", ROLLOVER, {"emergency": True}), 409, "VCC-3883")
    assert api(inst, "admin").get("approvals")["items"] == []


def test_two_persons_and_every_host_before_anything_is_signed(inst):
    stop_agent(inst.away)
    wait_for("it is seen to be away", lambda: not api(inst, "admin").get(f"agents/{inst.away.name}")["connected"])
    said = at_signer(inst, "new-root")
    wait_for("the bundle goes to hosts", lambda: trust(inst)["epoch"] == 2)
    asked = wait_for("it can be asked for", lambda: (a := api(inst, "admin")("POST", ROLLOVER, {"reason": "it grows old"}))[0] == 202 and a[1])
    what = asked["approval"]["what"]
    assert what["successor_id"] == "root-2" and re.search(what["successor_fingerprint"], said, re.I), (what, said)
    agree(inst, asked)
    shown = phase(inst, "trust")
    assert state(inst, "root-2") == "standing_by" and state(inst, "service-2") == "standing_by" and state(inst, "service-1") == "active"
    assert "VCC Service CA 2" not in list_signers(inst)  # hosts would refuse the whole set
    for issuer in ("service-1", "service-2", "root-1"):
        problem(api(inst, "admin")("POST", f"/api/v1/ca/{issuer}/rollover", {"reason": "x"}), 409, "VCC-3880")

    # one that was seen lately and has it not yet holds the switch up, one that was not seen for a month does not
    shown = wait_for("it is counted", lambda: (r := rollover(inst))["trust"]["missing"] == 1 and r)
    assert [(i["state"], i["agent"]) for i in shown["items"] if i["state"] == "trust"] == [("trust", inst.away.name)], shown
    code, _, err = vccctl(inst, "ca", "rollover", "root-1", "--advance")
    assert code == 4 and "VCC-3882" in err, err
    assert signer_of(inst.here) == "VCC Service CA 1"
    inst.away.start_agent()
    shown = ready_to_advance(inst)
    inst.early = inst.prepare_echo(5)
    inst.early_invite = inst.vccctl("agent", "invite", inst.early.name, "--service", inst.early.service, "--names", ",".join(inst.early.names), "--ttl", "1h")
    assert roots_on(inst.away) == roots_on(inst.here) == {OLD, NEW} and shown["trust"]["epoch"] == 2


def test_everything_new_comes_from_below_the_next_root(inst):
    stop_agent(inst.away)
    wait_for("it is seen to be away", lambda: not api(inst, "admin").get(f"agents/{inst.away.name}")["connected"])
    code, out, err = vccctl(inst, "ca", "rollover", "root-1", "--advance")
    assert code == 0 and "root-2" in out, out + err
    code, out, err = vccctl(inst, "ca", "rollover", "root-1", "--watch")
    assert code == 0 and "draining" in out, out + err
    inst.wait_served(inst.here)
    assert signer_of(inst.here) == "VCC Service CA 2" and signer_of(inst.away) == "VCC Service CA 1"
    assert {i: state(inst, i) for i in ("root-1", "service-1", "agent-1", "code-signing-1")} == dict.fromkeys(("root-1", "service-1", "agent-1", "code-signing-1"), "draining")
    assert {state(inst, i) for i in ("root-2", "service-2", "agent-2", "code-signing-2")} == {"active"}

    # who knows only one of the two roots finds a path with what the service shows
    folder = f"{inst.here.target_dir}/current"
    chain = certificates(f"{folder}/fullchain.pem")
    assert [(name_of(c.subject), name_of(c.issuer)) for c in chain[1:]] == [("VCC Service CA 2", NEW), (NEW, OLD)]
    for only in (OLD, NEW):
        anchor = os.path.join(inst.dir, "anchor.pem")
        pem, = [c for c in certificates(f"{folder}/ca.pem") if name_of(c.subject) == only]
        write(anchor, pem.public_bytes(Encoding.PEM).decode())
        done = subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", anchor, "-untrusted", f"{folder}/fullchain.pem", f"{folder}/cert.pem"], capture_output=True, text=True)
        assert done.returncode == 0, (only, done.stdout + done.stderr)
    every = {f"VCC {role} CA {n}" for role in ("Root", "Service", "Agent", "Code Signing") for n in (1, 2)}
    wait_for("their lists are there, too", lambda: every == list_signers(inst))
    wait_for("and on the host", lambda: every == list_signers(inst, inst.here))
    wait_for("the host's identity changes without waiting for half of its life",
             lambda: not [i for i in rollover(inst)["items"] if i["state"] == "identity" and i["agent"] == inst.here.name])
    connected(inst, inst.here)
    problem(api(inst, "admin")("POST", f"{ROLLOVER}/retire", {"consumers": []}), 409, "VCC-3882")


def test_the_way_back(inst):
    assert api(inst, "admin")("POST", f"{ROLLOVER}/rollback", {"reason": "something breaks"})[0] == 200
    assert {state(inst, i) for i in ("root-1", "service-1", "agent-1", "code-signing-1")} == {"active"}
    assert {state(inst, i) for i in ("root-2", "service-2", "agent-2", "code-signing-2")} == {"standing_by"}
    connected(inst, inst.here)
    renew(inst, inst.here)
    assert signer_of(inst.here) == "VCC Service CA 1"
    inst.away.start_agent()
    connected(inst, inst.away, inst.here)
    status, asked = api(inst, "admin")("POST", ROLLOVER, {"reason": "once more"})
    assert status == 202 and asked["approval"]["what"]["successor_id"] == "root-2", asked
    agree(inst, asked)
    phase(inst, "trust")
    ready_to_advance(inst)
    assert api(inst, "admin")("POST", f"{ROLLOVER}/advance", {"reason": "go"})[0] == 200
    phase(inst, "draining")
    shown = wait_for("nothing is left of who was seen lately", lambda: (r := rollover(inst))["left"] and r["left"]["agents"] == 0 and r)
    assert shown["left"]["agents_unseen"] == 1
    assert signer_of(inst.here) == signer_of(inst.away) == "VCC Service CA 2"
    connected(inst, inst.here, inst.away)


def test_hosts_join_by_the_pin_of_either_root(inst):
    """Invited before the switch, and after it."""
    inst.wait_served(join(inst.early, inst.early_invite))
    assert signer_of(inst.early) == "VCC Service CA 2" and inst.early_invite["pin"] == inst.pin
    joined = inst.joined = join(inst.prepare_echo(3))
    inst.wait_served(joined)
    assert signer_of(joined) == "VCC Service CA 2" and roots_on(joined) == {OLD, NEW}


def test_a_kill_in_between_forgets_nothing(inst):
    before = rollover(inst)
    for name in ("controller", "signer", *[n for n in inst.processes if n.startswith("gateway")]):
        inst.processes[name].kill()
        inst.processes[name].start()
    wait_for("ready", inst.ready)
    after = rollover(inst)
    assert {k: after[k] for k in ("phase", "successor_id", "campaigns", "draining_at")} == {k: before[k] for k in ("phase", "successor_id", "campaigns", "draining_at")}
    connected(inst, inst.here, inst.away, inst.joined)
    renew(inst, inst.here)
    assert signer_of(inst.here) == "VCC Service CA 2"


def test_hosts_forget_the_old_root_when_nothing_hangs_on_it(inst):
    asked = wait_for("its end may be asked for", lambda: (a := api(inst, "admin")("POST", f"{ROLLOVER}/retire", {"consumers": ["the archive"], "reason": "done"}))[0] == 202 and a[1])
    agree(inst, asked)
    shown = wait_for("it waits for a person", lambda: (r := rollover(inst))["closed"] and r["code"] and r)
    assert shown["phase"] == "retiring" and "drop-root" in shown["cause"] and trust(inst)["epoch"] == 2, shown
    problem(api(inst, "admin")("POST", f"{ROLLOVER}/rollback", {}), 409, "VCC-3881")
    at_signer(inst, "drop-root", "root-1")
    shown = phase(inst, "retired")
    t = trust(inst)
    assert t["epoch"] == 3 and [r["issuer_id"] for r in t["roots"]] == ["root-2"] and t["kept_back"] is None, t
    for host in (inst.here, inst.away, inst.joined, inst.early):
        assert roots_on(host) == {NEW}
    assert {state(inst, i) for i in ("root-1", "service-1", "agent-1", "code-signing-1")} == {"retired"}
    assert {f"{i}.closed" for i in ("service-1", "agent-1", "code-signing-1")} <= set(os.listdir(os.path.join(inst.state, "signer", "ca")))
    below = {f"VCC {role} CA 2" for role in ("Root", "Service", "Agent", "Code Signing")}
    wait_for("only lists below the next root are handed out", lambda: list_signers(inst) == below)
    events = checks.rows(inst.facts()["controller"]["db"], "SELECT event, object FROM audit WHERE event IN ('ca_retired', 'trust_bundle_released') ORDER BY seq")
    assert [tuple(e) for e in events] == [("trust_bundle_released", "bundle-3"), ("ca_retired", "root-1")]


def test_without_the_old_root_everything_goes_on(inst):
    for name in inst.processes:
        inst.processes[name].kill()
        inst.processes[name].start()
    for host in (inst.here, inst.away):
        stop_agent(host)
        host.start_agent()
    wait_for("ready", inst.ready)
    connected(inst, inst.here, inst.away, inst.joined)
    renew(inst, inst.here)
    assert signer_of(inst.here) == "VCC Service CA 2"
    another = join(inst.prepare_echo(4))
    inst.wait_served(another)
    assert roots_on(another) == {NEW} and rollover(inst)["phase"] == "retired"
    code, out, err = vccctl(inst, "ca", "trust")  # with the file of the old root
    assert code == 0, out + err


def test_a_fleet_joins_by_the_root_of_today(inst):
    """What the sandbox was made with is the old root."""
    folder = os.path.join(inst.dir, "fleet")
    os.makedirs(os.path.join(folder, "state"), mode=0o700)
    with open(os.path.join(folder, "sandbox.json"), "w") as f:
        json.dump({"agent_address": inst.join_address, "agent_pin": inst.pin, "vccctl": inst.vccctl_argv}, f)
    report = os.path.join(folder, "report.json")
    fleet = subprocess.Popen([inst.bin("vcc-fleet"), "--sandbox", folder, "--state-dir", os.path.join(folder, "state"), "--agents", "2", "--spread", "0", "--for", "10m", "--json", report])
    try:
        def ready():
            with open(report) as f:
                return json.load(f)["ready"] == 2
        wait_for("both have their certificates", lambda: os.path.exists(report) and ready(), 120)
    finally:
        fleet.terminate()
        assert fleet.wait(60) == 0


def test_who_was_away_for_all_of_it_finds_a_path(inst):
    """Two bundles behind, its identity ended, by an authority that nobody takes any more: the host key, then one bundle after the other."""
    inst.long.start_agent()
    connected(inst, inst.long)
    wait_for("it has taken both bundles, one after the other", lambda: roots_on(inst.long) == {NEW})
    wait_for("and gets its certificate", lambda: signer_of(inst.long) == "VCC Service CA 2")
    assert api(inst, "admin").get(f"agents/{inst.long.name}")["trust_epoch"] == 3
    assert checks.rows(inst.facts()["controller"]["db"], "SELECT object FROM audit WHERE event = 'agent_returned'") == [(inst.long.name,)]
    wait_for("and lists", lambda: OLD not in list_signers(inst, inst.long) and NEW in list_signers(inst, inst.long))
    below = {f"VCC {role} CA 2" for role in ("Root", "Service", "Agent", "Code Signing")}
    wait_for("as those who were here do since a minute", lambda: list_signers(inst, inst.here) == list_signers(inst, inst.joined) == below)
    for host in inst.hosts:  # at no moment a set of lists that a host could not judge
        with open(host.processes["keeper"].log, errors="replace") as f:
            assert "VCC-2022" not in f.read(), host.name


def test_the_trail_is_whole_for_who_has_both_roots(inst):
    path, both = os.path.join(inst.dir, "trail.jsonl"), os.path.join(inst.dir, "both.pem")
    inst_out = subprocess.run([*inst.vccctl_argv, "audit", "export", path], capture_output=True, text=True, timeout=120)
    assert inst_out.returncode == 0, inst_out.stderr
    write(both, "".join(api(inst, "admin").get(f"ca/{root}")["pem"] for root in ("root-1", "root-2")))
    done = subprocess.run([inst.bin("vccctl"), "audit", "verify", path, "--root", both], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
