"""Does an issuing CA give way to a new one, step by step, by two persons, with the way back until the end, and with a host that was away all the
while (LIFECYCLE 2, 6, 7; FAULTS F68-F71)?"""
import json
import os
import shutil
import ssl
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import checks
import pytest
from conftest import new_folder
from cryptography import x509
from installation import Installation, wait_for, write
from rights_estate import Api

ROLLOVER = "/api/v1/ca/service-1/rollover"


@pytest.fixture(scope="module")
def inst():
    folder = new_folder("rollover")
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


def problem(answer, status, code):
    assert answer[0] == status and answer[1]["code"] == code, answer
    return answer[1]


def vccctl(inst, *words):
    done = subprocess.run([*inst.vccctl_argv, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def approve(inst, asked):
    approval = asked["approval"]
    where = f"/api/v1/approvals/{approval['approval_id']}/approve"
    assert api(inst, "admin")("POST", where, {"hash": approval["hash"]})[0] == 403  # never the one who asked
    answer = api(inst, "approver")("POST", where, {"hash": approval["hash"]})
    assert answer[0] == 200, answer
    return answer[1]


def ask(inst, issuer="service-1", **body):
    status, asked = api(inst, "admin")("POST", f"/api/v1/ca/{issuer}/rollover", body)
    assert status == 202 and asked["approval"]["kind"] == "ca_rollover", (status, asked)
    return asked


def rollover(inst, issuer="service-1"):
    return api(inst, "admin").get(f"ca/{issuer}/rollover")


def phase(inst, wanted, issuer="service-1"):
    return wait_for(f"{issuer} is {wanted}", lambda: (r := rollover(inst, issuer))["phase"] == wanted and r)


def ca(inst, issuer):
    return api(inst, "admin").get(f"ca/{issuer}")


def issuer_of(inst, host):
    """Common name of who signed what the service serves now, by the file that it reads; proved served before."""
    with open(os.path.join(host.target_dir, "current", "cert.pem"), "rb") as f:
        return x509.load_pem_x509_certificate(f.read()).issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


def admin_issuer(inst):
    host, port = inst.admin_url.split("//")[1].split(":")
    cert = x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode())
    return cert.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


def events(inst, event):
    return [(o, json.loads(d)) for o, d in checks.rows(inst.facts()["controller"]["db"], "SELECT object, detail FROM audit WHERE event = ?", event)]


def renew(inst, host):
    wait_for("no order is open", lambda: not [r for r in api(inst, "admin").get(f"certificates/{host.cert_id}")["renewals"]
                                              if r["status"] in ("pending", "in_progress")])
    before = inst.certificate(host.cert_id)["fingerprint"]
    inst.vccctl("cert", "renew", host.cert_id, "--force")
    return inst.wait_renewed(host, before)


def test_what_is_refused(inst):
    admin = api(inst, "admin")
    problem(admin("POST", "/api/v1/ca/root-1/rollover", {}), 409, "VCC-3883")
    problem(admin("POST", "/api/v1/ca/nobody/rollover", {}), 404, "VCC-1006")
    assert "was not begun" in problem(admin("GET", ROLLOVER), 404, "VCC-1006")["detail"]
    for call, verb in (("GET", ""), ("POST", "/advance"), ("POST", "/rollback"), ("POST", "/retire")):
        why = problem(admin(call, f"/api/v1/ca/nobody/rollover{verb}", {"consumers": []} if verb == "/retire" else {} if call == "POST" else None), 404, "VCC-1006")
        assert why["object"] == "nobody" and why["detail"].startswith("there is no such CA") and "ca list" in why["detail"], why
    code, out, err = vccctl(inst, "ca", "rollover", "nobody")
    assert code == 3 and "nobody" in err and "there is no such CA" in err and "vccctl ca list" in err, out + err
    for verb in ("advance", "rollback"):
        problem(admin("POST", f"{ROLLOVER}/{verb}", {}), 404, "VCC-1006")
    problem(admin("POST", f"{ROLLOVER}/retire", {"consumers": []}), 404, "VCC-1006")
    problem(admin("POST", f"{ROLLOVER}/retire", {}), 422, "VCC-3104")  # silence is no list
    problem(admin("POST", f"{ROLLOVER}/retire", {"consumers": ["x" * 200]}), 422, "VCC-3104")
    problem(admin("POST", f"{ROLLOVER}/retire", {"consumers": [f"host {i}" for i in range(65)]}), 422, "VCC-3104")
    for verb in ("", "/advance", "/rollback", "/retire"):
        problem(api(inst, "approver")("POST", ROLLOVER + verb, {"consumers": []} if verb == "/retire" else {}), 403, "VCC-3101")
    assert vccctl(inst, "ca", "rollover", "service-1", "--retire", "--reason", "x")[0] == 2
    assert vccctl(inst, "ca", "rollover", "service-1", "--watch", "--rollback")[0] == 2
    assert vccctl(inst, "ca", "rollover", "root-1", "--emergency")[0] != 0


def test_one_request_however_many_ask_at_once(inst):
    """Those that come before the first is in the store are refused, too."""
    with ThreadPoolExecutor(8) as crowd:
        apis = [api(inst, "admin") for _ in range(8)]
        for each in apis:
            each.get("whoami")
        answers = list(crowd.map(lambda each: each("POST", "/api/v1/ca/code-signing-1/rollover", {"reason": "all at once"}), apis))
    assert sorted(status for status, _ in answers) == [202] + 7 * [409], answers
    (asked,) = [body for status, body in answers if status == 202]
    answer = api(inst, "approver")("POST", f"/api/v1/approvals/{asked['approval_id']}/reject", {"hash": asked["approval"]["hash"]})
    assert answer[0] == 200 and api(inst, "admin").get("approvals")["items"] == [], answer


def test_one_person_asks_and_another_agrees(inst):
    # looking asks for nothing, and beginning needs a reason
    status, out, err = vccctl(inst, "ca", "rollover", "service-1")
    assert status == 3 and "--reason" in err, out + err
    for how in ("--begin", "--emergency"):
        assert vccctl(inst, "ca", "rollover", "service-1", how)[0] == 2
    assert api(inst, "admin").get("approvals")["items"] == []
    status, out, _ = vccctl(inst, "ca", "rollover", "service-1", "--reason", "it grows old", "-o", "json")
    asked = json.loads(out)
    assert status == 4 and asked["approval"]["what"]["successor_id"] == "service-2" and asked["approval"]["what"]["reason"] == "it grows old"
    problem(api(inst, "admin")("POST", ROLLOVER, {}), 409, "VCC-3880")  # one request at a time
    problem(api(inst, "admin")("GET", ROLLOVER), 404, "VCC-1006")  # nothing was begun
    status, out, _ = vccctl(inst, "ca", "rollover", "service-1")
    assert status == 4 and asked["approval_id"] in out and "it grows old" in out, out
    status, _, err = vccctl(inst, "ca", "rollover", "service-1", "--advance")
    assert status == 4 and asked["approval_id"] in err and "second person" in err, err
    status, out, _ = vccctl(inst, "ca", "rollover", "service-1", "--watch")
    assert status == 4 and asked["approval_id"] in out, out
    approve(inst, asked)
    shown = phase(inst, "trust")
    assert shown["successor_id"] == "service-2" and shown["reason"] == "it grows old" and shown["code"] is None, shown
    assert shown["trust"]["missing"] == 0 and "same root" in shown["trust"]["why"]
    problem(api(inst, "admin")("POST", ROLLOVER, {}), 409, "VCC-3880")

    # the same rights, another key, and nothing comes from it yet
    old, new = ca(inst, "service-1"), ca(inst, "service-2")
    a, b = (x509.load_pem_x509_certificate(c["pem"].encode()) for c in (old, new))
    assert new["state"] == "standing_by" and old["state"] == "active" and new["permitted"] == old["permitted"]
    assert a.public_key() != b.public_key() and b.issuer == a.issuer
    for kind in (x509.NameConstraints, x509.BasicConstraints, x509.KeyUsage):
        assert a.extensions.get_extension_for_class(kind).value == b.extensions.get_extension_for_class(kind).value
    renew(inst, inst.here)
    assert issuer_of(inst, inst.here) == "VCC Service CA 1"

    # everybody finds it, and its list and its responder are there before its first certificate
    def published(path):
        try:
            with urllib.request.urlopen(f"{inst.public_url}{path}", timeout=10) as answer:
                return answer.read()
        except OSError:
            return None
    assert published("/ca/service-2.cer") and b"BEGIN" in published("/ca/all.pem")
    wait_for("its list", lambda: published("/crl/service-2/0.crl"))
    wait_for("its responder", lambda: any(r["issuer"] == "service-2" and r["expires_at"] for r in api(inst, "admin").get("crls")["ocsp"]["responders"]))
    assert [o for o, _ in events(inst, "ca_rollover_started")] == ["service-1"] and [o for o, _ in events(inst, "ca_successor_made")] == ["service-1"]


def test_the_way_back_before_and_after_the_switch(inst):
    admin = api(inst, "admin")
    assert vccctl(inst, "ca", "rollover", "service-1", "--rollback", "--reason", "not today")[0] == 0
    assert rollover(inst)["phase"] == "rolled_back" and rollover(inst)["cause"] == "not today"
    status, out, err = vccctl(inst, "ca", "rollover", "service-1")
    assert status == 0 and "not today" in out and api(inst, "admin").get("approvals")["items"] == [], out + err
    problem(admin("POST", f"{ROLLOVER}/advance", {}), 409, "VCC-3881")

    # once more: the successor that stands by is taken, and no other is made
    asked = ask(inst, reason="again")
    assert asked["approval"]["what"]["successor_id"] == "service-2" and rollover(inst)["waiting"] == asked["approval_id"]
    approve(inst, asked)
    assert phase(inst, "trust")["waiting"] is None
    problem(admin("POST", f"{ROLLOVER}/retire", {"consumers": []}), 409, "VCC-3881")
    assert admin("POST", f"{ROLLOVER}/advance", {"reason": "go"})[0] == 200
    phase(inst, "draining")
    for host in (inst.here, inst.away):
        inst.wait_served(host)
        assert issuer_of(inst, host) == "VCC Service CA 2"
    assert ca(inst, "service-2")["state"] == "active" and ca(inst, "service-1")["state"] == "draining"
    assert ca(inst, "service-1")["successor_id"] == "service-2"
    wait_for("our own listener has one of the successor, too", lambda: admin_issuer(inst) == "VCC Service CA 2")

    assert admin("POST", f"{ROLLOVER}/rollback", {"reason": "something breaks"})[0] == 200
    assert rollover(inst)["phase"] == "rolled_back"
    assert ca(inst, "service-2")["state"] == "standing_by" and ca(inst, "service-1")["state"] == "active"
    for host in (inst.here, inst.away):
        renew(inst, host)
        assert issuer_of(inst, host) == "VCC Service CA 1"
    assert len([c for c in admin.get("ca")["items"] if c["role"] == "service"]) == 2


def test_who_asks_for_one_more_campaign_hears_of_it_when_it_is_stored(inst):
    """Counting is always under way: no word of a person is lost for that, and what is answered is done."""
    admin = api(inst, "admin")
    approve(inst, ask(inst, reason="one more"))
    phase(inst, "trust")
    assert admin("POST", f"{ROLLOVER}/advance", {"reason": "go"})[0] == 200
    before = phase(inst, "draining")["campaigns"]
    # nothing is left: said, and no campaign is made of nothing
    wait_for("nothing is left", lambda: (rollover(inst)["left"] or {}).get("reissuable") == 0)
    status, shown = admin("POST", f"{ROLLOVER}/advance", {})
    assert status == 200 and shown["campaigns"] == before
    admin("POST", f"{ROLLOVER}/rollback", {"reason": "back"})
    for host in (inst.here, inst.away):
        renew(inst, host)
    # a campaign that was cancelled is followed by another at a person's word alone
    approve(inst, ask(inst, reason="and again"))
    phase(inst, "trust")
    for host in (inst.here, inst.away):
        host.processes["agent"].stop()
    assert admin("POST", f"{ROLLOVER}/advance", {"reason": "go"})[0] == 200
    campaign = phase(inst, "draining")["campaign_id"]
    for turn in range(1, 6):
        assert admin("POST", f"/api/v1/campaigns/{campaign}/cancel", {})[0] == 200
        wait_for("it is cancelled", lambda: not rollover(inst)["campaign_open"])
        status, shown = admin("POST", f"{ROLLOVER}/advance", {})
        assert status == 200 and shown["campaigns"] == turn + 1 and shown["campaign_id"] != campaign, shown
        campaign = shown["campaign_id"]
    assert [a for a, in checks.rows(inst.facts()["controller"]["db"], "SELECT actor FROM audit WHERE event = 'campaign_started' AND object = ?", campaign)] != ["controller"]
    admin("POST", f"{ROLLOVER}/rollback", {"reason": "back"})
    for host in (inst.here, inst.away):
        host.processes["agent"].start()
        renew(inst, host)


def test_a_host_that_is_away_holds_the_end_up_and_nothing_else(inst):
    admin = api(inst, "admin")
    approve(inst, ask(inst, reason="this time"))
    phase(inst, "trust")
    inst.away.processes["agent"].stop()
    wait_for("it is seen to be away", lambda: not admin.get(f"agents/{inst.away.name}")["connected"])
    status, out, _ = vccctl(inst, "ca", "rollover", "service-1", "--advance")
    assert status == 0 and "service-2" in out, out
    status, out, err = vccctl(inst, "ca", "rollover", "service-1", "--watch")
    assert status == 0 and "draining" in out and inst.away.cert_id in out and "away" in out, out + err
    inst.wait_served(inst.here)
    assert issuer_of(inst, inst.here) == "VCC Service CA 2" and issuer_of(inst, inst.away) == "VCC Service CA 1"
    shown = rollover(inst)
    assert shown["left"]["reissuable"] == 1 and shown["left"]["agents"] == 1 and shown["left"]["agents_away"] == 1
    assert [(i["state"], i["id"], i["agent"]) for i in shown["items"] if i["state"] == "away"] == [("away", inst.away.cert_id, inst.away.name)]

    # 100 % of those seen within 30 days: one is missing, and only an emergency overrides that
    problem(admin("POST", f"{ROLLOVER}/retire", {"consumers": []}), 409, "VCC-3882")
    problem(admin("POST", f"{ROLLOVER}/retire", {"consumers": [], "override": True}), 409, "VCC-3882")
    assert vccctl(inst, "ca", "rollover", "service-1", "--retire", "--no-consumers", "--reason", "r")[0] == 4

    inst.away.processes["agent"].start()
    wait_for("it got its own when it returned", lambda: issuer_of(inst, inst.away) == "VCC Service CA 2")
    wait_for("nothing is left", lambda: rollover(inst)["left"]["agents"] == 0)


def test_a_kill_in_between_forgets_nothing(inst):
    before = rollover(inst)
    for name in ("controller", "signer"):
        inst.processes[name].kill()
        inst.processes[name].start()
    wait_for("ready", inst.ready)
    after = rollover(inst)
    assert {k: after[k] for k in ("phase", "successor_id", "campaign_id", "campaigns", "draining_at")} == \
        {k: before[k] for k in ("phase", "successor_id", "campaign_id", "campaigns", "draining_at")}
    assert ca(inst, "service-1")["state"] == "draining"
    renew(inst, inst.here)
    assert issuer_of(inst, inst.here) == "VCC Service CA 2"


def test_retired_by_two_with_the_list_of_the_others(inst):
    admin = api(inst, "admin")
    wait_for("it is counted", lambda: (rollover(inst)["left"] or {}).get("agents") == 0)
    consumers = os.path.join(inst.dir, "consumers")
    write(consumers, "# told by phone\nload balancer of the data centre, net@vcc.internal\n\nthe archive\n")
    status, out, err = vccctl(inst, "ca", "rollover", "service-1", "--retire", "--consumers-file", consumers, "--reason", "done", "-o", "json")
    assert status == 4, out + err
    asked = json.loads(out)
    assert asked["approval"]["kind"] == "ca_retirement"
    assert asked["approval"]["what"]["consumers"] == ["load balancer of the data centre, net@vcc.internal", "the archive"]
    problem(admin("POST", f"{ROLLOVER}/retire", {"consumers": []}), 409, "VCC-3880")
    approve(inst, asked)
    shown = phase(inst, "retired")
    assert shown["closed"] and not shown["overridden"] and shown["consumers"] == 2
    assert ca(inst, "service-1")["state"] == "retired" and ca(inst, "service-1")["revoked_at"] is None
    (who, record), = events(inst, "ca_retired")
    assert who == "service-1" and record["consumers"] == 2 and record["consumers_hash"] == shown["consumers_hash"]
    for verb in ("advance", "rollback"):
        problem(admin("POST", f"{ROLLOVER}/{verb}", {}), 409, "VCC-3881")
    problem(admin("POST", ROLLOVER, {}), 409, "VCC-3881")
    assert "service-1.closed" in [name for _, _, names in os.walk(inst.dir) for name in names]

    # what the old one signed stays good, its list goes on, and everything new comes from the successor, after a restart, too
    for name in ("controller", "signer"):
        inst.processes[name].kill()
        inst.processes[name].start()
    wait_for("ready", inst.ready)
    renew(inst, inst.here)
    assert issuer_of(inst, inst.here) == "VCC Service CA 2" and rollover(inst)["phase"] == "retired"
    with urllib.request.urlopen(f"{inst.public_url}/crl/service-1/0.crl", timeout=10) as answer:
        assert x509.load_der_x509_crl(answer.read()).issuer == x509.load_pem_x509_certificate(ca(inst, "service-1")["pem"].encode()).subject


def test_an_emergency_stops_the_old_one_at_once(inst):
    """The key of the CA that issues now is not to be trusted: closed first, re-issued without a gate, revoked by two with what breaks."""
    admin, where = api(inst, "admin"), "/api/v1/ca/service-2/rollover"
    inst.away.processes["agent"].stop()
    wait_for("it is seen to be away", lambda: not admin.get(f"agents/{inst.away.name}")["connected"])
    life, incident = "/api/v1/certificates/lifecycle/emergency-recertification", {"incident_id": "INC-7", "reason": "stolen", "incident_type": "ca_compromise"}
    problem(admin("POST", life, incident), 422, "VCC-3604")
    problem(admin("POST", life, dict(incident, issuer_id="service-2", selector={"all": True})), 422, "VCC-3604")
    problem(admin("POST", life, dict(incident, issuer_id="nobody")), 404, "VCC-1006")
    problem(admin("POST", life, dict(incident, issuer_id="root-1")), 409, "VCC-3883")
    problem(admin("POST", life, dict(incident, issuer_id="service-2", incident_type="other", selector={"all": True})), 422, "VCC-3104")
    words = ["--incident", "INC-7", "--reason", "stolen", "--type", "ca_compromise", "--issuer", "service-2"]
    assert vccctl(inst, "emergency", "plan", *words, "--all")[0] == 2 and vccctl(inst, "emergency", "plan", *words[:-2])[0] == 2
    status, out, err = vccctl(inst, "emergency", "plan", *words, "-o", "json")
    plan = json.loads(out)
    assert status == 0 and set(plan["certificate_list"]) == {inst.here.cert_id, inst.away.cert_id} and plan["plan"]["approval"] == "before", out + err
    status, out, err = vccctl(inst, "emergency", "apply", *words, "-o", "json", "--yes")
    asked = json.loads(out)
    assert status == 4 and asked["approval"]["what"]["emergency"] and asked["approval"]["what"]["successor_id"] == "service-3", out + err
    assert asked["approval"]["what"]["reason"] == "INC-7: stolen"
    approve(inst, asked)
    shown = phase(inst, "draining", "service-2")
    assert shown["closed"] and shown["emergency"]
    inst.wait_served(inst.here)
    assert issuer_of(inst, inst.here) == "VCC Service CA 3"
    problem(admin("POST", f"{where}/rollback", {}), 409, "VCC-3881")
    problem(admin("POST", f"{where}/retire", {"consumers": []}), 409, "VCC-3882")
    status, asked = admin("POST", f"{where}/retire", {"consumers": [], "override": True, "reason": "it cannot wait"})
    assert status == 202 and asked["approval"]["what"]["breaks"]["agents"] == 1, asked
    approve(inst, asked)
    shown = phase(inst, "retired", "service-2")
    assert shown["overridden"]
    old = ca(inst, "service-2")
    assert old["state"] == "revoked" and old["revocation_reason"] == "cACompromise"

    def listed():
        with urllib.request.urlopen(f"{inst.public_url}/crl/root-1/0.crl", timeout=10) as answer:
            return x509.load_der_x509_crl(answer.read()).get_revoked_certificate_by_serial_number(int(old["serial"], 16))
    wait_for("the root's list names it", listed)
    inst.away.processes["agent"].start()
    wait_for("who was away gets its own", lambda: issuer_of(inst, inst.away) == "VCC Service CA 3")


def test_an_order_that_met_a_closed_ca_goes_on_with_its_successor(inst):
    """It was on its way to the signer when the CA was closed."""
    admin = api(inst, "admin")
    inst.processes["signer"].stop()
    renewal_id = inst.vccctl("cert", "renew", inst.here.cert_id, "--force")["renewal_id"]
    wait_for("it waits for the signer", lambda: admin.get(f"renewals/{renewal_id}")["phase"] == "signing")
    approve(inst, ask(inst, "service-3", emergency=True))
    folder, = [d for d, _, names in os.walk(inst.dir) if "service-3.key" in names]
    with open(os.path.join(folder, "service-3.closed"), "w"):
        pass
    inst.processes["signer"].start()
    done = wait_for("it ends", lambda: (r := admin.get(f"renewals/{renewal_id}"))["completed_at"] and r)
    assert done["status"] in ("completed", "cancelled"), done  # cancelled: the campaign of the emergency came first with an order of its own
    inst.wait_served(inst.here)
    assert issuer_of(inst, inst.here) == "VCC Service CA 4"


def test_nobody_changes_to_a_ca_that_was_revoked(inst):
    """The successor that stands by, and the one that gave way: each may be revoked meanwhile (`ca revoke`)."""
    admin, where = api(inst, "admin"), "/api/v1/ca/code-signing-1/rollover"

    def revoke(issuer):
        status, asked = admin("POST", f"/api/v1/ca/{issuer}/revoke", {"reason": "keyCompromise", "force": True})
        assert status == 202, asked
        approve(inst, asked)
    approve(inst, ask(inst, "code-signing-1"))
    phase(inst, "trust", "code-signing-1")
    revoke("code-signing-2")
    assert "revoked" in problem(admin("POST", f"{where}/advance", {}), 409, "VCC-3881")["detail"]
    assert "roll back" in problem(admin("POST", where, {"emergency": True}), 409, "VCC-3881")["detail"]  # the old one signs yet
    assert ca(inst, "code-signing-1")["state"] == "active"
    assert admin("POST", f"{where}/rollback", {"reason": "another one"})[0] == 200
    asked = ask(inst, "code-signing-1")
    assert asked["approval"]["what"]["successor_id"] == "code-signing-3"
    approve(inst, asked)
    phase(inst, "trust", "code-signing-1")
    assert admin("POST", f"{where}/advance", {})[0] == 200
    revoke("code-signing-1")
    assert "revoked" in problem(admin("POST", f"{where}/rollback", {"reason": "back"}), 409, "VCC-3881")["detail"]
    assert ca(inst, "code-signing-3")["state"] == "active"


def emergency_of(inst, issuer):
    """The second person agrees to an emergency that was asked for."""
    approve(inst, ask(inst, issuer, emergency=True, reason="stolen"))


def end(inst, issuer):
    """The one before is over: its successor may give way in its turn."""
    override = rollover(inst, issuer)["emergency"]

    def asked():
        status, body = api(inst, "admin")("POST", f"/api/v1/ca/{issuer}/rollover/retire", {"consumers": [], "override": override})
        return status == 202 and body
    approve(inst, wait_for("its end may be asked for", asked))
    phase(inst, "retired", issuer)


def test_an_ordinary_rollover_becomes_an_emergency(inst):
    """While it drains, with a host that is away: closed at once, no way back, and a campaign that revokes what it replaced."""
    admin, where = api(inst, "admin"), "/api/v1/ca/service-4/rollover"
    end(inst, "service-3")
    ordinary, urgent = ask(inst, "service-4", reason="it grows old"), ask(inst, "service-4", emergency=True, reason="stolen")  # one holds up no other
    problem(admin("POST", where, {}), 409, "VCC-3880")
    problem(admin("POST", where, {"emergency": True}), 409, "VCC-3880")
    approve(inst, ordinary)
    assert not phase(inst, "trust", "service-4")["emergency"]
    inst.away.processes["agent"].stop()
    wait_for("it is seen to be away", lambda: not admin.get(f"agents/{inst.away.name}")["connected"])
    assert admin("POST", f"{where}/advance", {})[0] == 200
    before = phase(inst, "draining", "service-4")
    assert before["campaign_open"] and not before["closed"]
    approve(inst, urgent)
    shown = wait_for("another campaign, and the signer's word", lambda: (r := rollover(inst, "service-4"))["closed"] and r["campaigns"] == 1 and r)
    assert shown["emergency"] and shown["campaign_id"] != before["campaign_id"] and shown["reason"] == "stolen"
    assert admin.get(f"campaigns/{before['campaign_id']}")["status"] == "cancelled"
    assert admin.get(f"campaigns/{shown['campaign_id']}")["trigger"] == "emergency"
    assert "service-4.closed" in [name for _, _, names in os.walk(inst.dir) for name in names]
    problem(admin("POST", f"{where}/rollback", {}), 409, "VCC-3881")
    problem(admin("POST", where, {"emergency": True}), 409, "VCC-3880")
    assert [d["successor_id"] for o, d in events(inst, "ca_rollover_emergency") if o == "service-4"] == ["service-5"]
    inst.wait_served(inst.here)
    assert issuer_of(inst, inst.here) == "VCC Service CA 5" and ca(inst, "service-4")["state"] == "draining"
    inst.away.processes["agent"].start()
    wait_for("who was away gets its own", lambda: issuer_of(inst, inst.away) == "VCC Service CA 5")


def test_an_emergency_before_the_successor_is_there_and_of_the_successor_itself(inst):
    admin = api(inst, "admin")
    end(inst, "code-signing-1")
    inst.processes["signer"].stop()
    approve(inst, ask(inst, "code-signing-3"))
    phase(inst, "preparing", "code-signing-3")
    # the root's key is elsewhere: the request says so, the CA is closed all the same, and its successor follows when the key is there
    key, = [os.path.join(d, "root-1.key") for d, _, names in os.walk(inst.dir) if "root-1.key" in names and os.path.basename(d) == "ca"]
    os.rename(key, key + ".away")
    inst.processes["signer"].start()
    wait_for("the signer refuses", lambda: "offline" in rollover(inst, "code-signing-3")["cause"])
    asked = ask(inst, "code-signing-3", emergency=True, reason="stolen")
    assert any("root-1" in w and "closed all the same" in w for w in asked["approval"]["what"]["warnings"]), asked
    approve(inst, asked)
    shown = wait_for("it is closed", lambda: (r := rollover(inst, "code-signing-3"))["closed"] and r)
    assert shown["emergency"] and shown["phase"] == "preparing" and ca(inst, "code-signing-3")["state"] == "draining"
    problem(admin("POST", "/api/v1/ca/code-signing-3/rollover/rollback", {}), 409, "VCC-3881")
    inst.processes["signer"].stop()
    os.rename(key + ".away", key)
    inst.processes["signer"].start()
    assert phase(inst, "draining", "code-signing-3")["closed"] and ca(inst, "code-signing-4")["state"] == "active"
    # the one that took its place is stolen, too, before the first is retired
    problem(admin("POST", "/api/v1/ca/code-signing-4/rollover", {}), 409, "VCC-3880")
    emergency_of(inst, "code-signing-4")
    assert phase(inst, "draining", "code-signing-4")["closed"] and ca(inst, "code-signing-5")["state"] == "active"


def test_an_emergency_of_one_that_only_waits_for_trust(inst):
    """Also: a CA that signed nothing that a campaign could issue again is stopped by the words of an emergency."""
    approve(inst, ask(inst, "agent-1"))
    phase(inst, "trust", "agent-1")
    words = ["--incident", "INC-8", "--reason", "stolen", "--type", "ca_compromise", "--issuer"]
    for issuer, status, code in (("nobody", 3, "VCC-1006"), ("root-1", 1, "VCC-3883"), ("service-1", 1, "VCC-3881")):
        for verb in ("plan", "apply"):
            done, _, err = vccctl(inst, "emergency", verb, *words, issuer)
            assert done in (status, 4) and code in err and "3611" not in err, (done, err)
    status, out, err = vccctl(inst, "emergency", "plan", *words, "agent-1", "-o", "json")
    plan = json.loads(out)
    assert status == 0 and plan["certificate_list"] == [] and any("identities" in w for w in plan["plan"]["warnings"]), out + err
    status, out, err = vccctl(inst, "emergency", "apply", *words, "agent-1", "-o", "json")
    asked = json.loads(out)
    assert status == 4 and any("cuts them off" in w for w in asked["approval"]["what"]["warnings"]), out + err
    approve(inst, asked)
    shown = wait_for("it is closed", lambda: (r := rollover(inst, "agent-1"))["phase"] == "draining" and r["closed"] and r)
    assert shown["emergency"] and ca(inst, "agent-2")["state"] == "active"
    (notice,) = [n for n in api(inst, "admin").get("notifications")["items"] if n["event"] == "emergency_waiting" and n["object"] == "agent-1"]
    assert notice["level"] == "critical" and {"role:approver", "role:security"} <= set(r.strip() for r in notice["recipients"]), notice
