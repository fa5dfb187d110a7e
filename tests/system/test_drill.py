"""A drill: an emergency is rehearsed on every host up to the configuration test, nothing is put in use, and a report stays. First with played hosts, whose
messages are counted; then with a real nginx under load, whose configuration breaks, and whose keeper is killed in the middle."""
import datetime
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time

import checks
import pytest
from campaign_fleet import LIFE, CampaignFleet, refused
from conftest import new_folder
from handshakes import Load
from installation import Installation, wait_for
from one_service import addresses, renew
from revocation import listed
from rights_estate import Api

DRILLS = "/api/v1/drills"
CERT_ROW = "SELECT serial, fingerprint, proved, renew_at, open_order, unattended, template_version FROM certificates WHERE cert_id = ?"


@pytest.fixture(scope="module")
def fleet():
    f = CampaignFleet(new_folder("drill"), settings={"controller.supersede.grace": "1h"})
    try:
        f.begin()
        f.started = time.time()
        f.clara = [f.host_of(n) for n in ("d1", "d2")]
        f.vpb = f.host_of("d3", "vpb")
        yield f
    finally:
        f.end()


@pytest.fixture(autouse=True)
def hosts_answer(request):
    """Whatever the test before did to them."""
    yield
    if "fleet" in request.fixturenames:
        f = request.getfixturevalue("fleet")
        for h in (*f.clara, f.vpb):
            h.respond, h.outcome = True, lambda host, message: "ok"


def begin(fleet, as_=None, **body):
    status, answer = fleet.post(DRILLS, {"selector": {"service": "clara"}, **body}, as_)
    assert status == 202, answer
    return answer["drill_id"]


def show(fleet, drill):
    return fleet.admin.get(f"drills/{drill}")


def wait_over(fleet, drill, seconds=60):
    return wait_for("the drill is over and told", lambda: (d := show(fleet, drill))["reported_at"] and d, seconds, 0.1)


def report(fleet, drill):
    """What stays of it, once its hash is found to be the one in the row and in the trail."""
    row, answer = show(fleet, drill), fleet.admin.get(f"drills/{drill}/report")
    data = answer["report"].encode()
    ended = fleet.audited("drill_ended", drill)
    assert len(ended) == 1 and len(fleet.audited("drill_started", drill)) == 1
    assert hashlib.sha256(data).hexdigest() == row["report_sha256"] == answer["report_sha256"] == ended[0]["report_sha256"]
    assert len(data) == row["report_bytes"] == ended[0]["report_bytes"]
    return json.loads(data)


def by_cert(told):
    return {c["cert_id"]: c for c in told["certificates"]}


def issued(fleet, cert_id):
    """Of drills, the newest last: serial, state, not_before_at, not_after_at."""
    return fleet.rows("SELECT hex(serial), state, not_before_at, not_after_at FROM issuances WHERE owner_id = ? AND drill = 1 ORDER BY created_at", cert_id)


# ---- refused ----

def test_refused(fleet):
    for body in ({}, {"selector": {}}, {"selector": {"all": False}}, {"selector": {"service": "clara", "all": True}}, {"selector": "all"}):
        status, answer = fleet.post(DRILLS, body)
        assert status == 422 and answer["code"] in ("VCC-3600", "VCC-3104"), (body, answer)
    refused(fleet.post(DRILLS, {"selector": {"service": "nobody"}}), 404, "VCC-1006")
    refused(fleet.post(DRILLS, {"selector": {"pattern": "no.such.vcc.internal"}}), 422, "VCC-3611")
    refused(fleet.post(DRILLS, {"selector": {"all": True}, "plan_hash": "0" * 64}), 409, "VCC-3601")
    refused(fleet.post(DRILLS, {"selector": {"all": True}, "waves": ["1"]}), 422, "VCC-3104")
    for path in ("no-id", "01a21c67-1a91-77ce-b5f2-5e042364636e"):
        for answer in (fleet.admin("GET", f"{DRILLS}/{path}"), fleet.admin("GET", f"{DRILLS}/{path}/report"), fleet.post(f"{DRILLS}/{path}/cancel", {})):
            refused(answer, 404, "VCC-1006")
    assert fleet.rows("SELECT count(*) FROM drills") == [(0,)]


# ---- the usual way ----

def test_nothing_is_put_in_use(fleet):
    """Every host makes a key and tests a certificate; certificates, targets, staged keys and figures are as before."""
    staged = fleet.clara[0].stage_ready("d1-web")
    before = {c: fleet.rows(CERT_ROW, c) for c in ("d1-web", "d2-web")}
    served = {h.name: h.served_serial(f"{h.name}-web") for h in fleet.clara}
    places = fleet.rows("SELECT target_id, served, proved_at, last_code FROM targets")
    plan = fleet.post(DRILLS, {"selector": {"service": "clara"}, "dry_run": True})[1]
    assert plan["plan"]["kind"] == "drill" and plan["plan"]["batch"] == 0 and plan["plan"]["approval"] == "none" and plan["matching_certificates"] == 2
    drill = begin(fleet, reason="the yearly one", plan_hash=plan["plan_hash"])
    d = wait_over(fleet, drill)
    assert (d["status"], d["total_certificates"], d["tested_count"], d["failed_count"], d["skipped_count"]) == ("completed", 2, 2, 0, 0), d
    assert d["reason"] == "the yearly one" and d["requester"] == "admin" and d["selector"] == "service clara"

    assert {c: fleet.rows(CERT_ROW, c) for c in before} == before, "no row of a certificate was touched"
    assert {h.name: h.served_serial(f"{h.name}-web") for h in fleet.clara} == served
    assert fleet.rows("SELECT target_id, served, proved_at, last_code FROM targets") == places
    assert fleet.rows("SELECT hex(spki_hash) FROM stages WHERE cert_id = 'd1-web'") == [(staged.hex().upper(),)], "the key for an emergency stays"
    assert not fleet.vpb.drills, "who was not meant hears nothing"
    for h in fleet.clara:
        assert len(h.drills) == 1 and h.drills[0]["any_time"] and h.certificates[-1]["renewal_id"] == h.drills[0]["renewal_id"]
        (serial, state, begins, ends), = issued(fleet, f"{h.name}-web")
        assert state == "issued" and ends - begins <= 3600_000 and listed(fleet, serial) is None
        shown = fleet.admin.get(f"certificates/{h.name}-web/issuances")["items"]
        assert [i["drill"] for i in shown if i["serial"] == serial] == [True] and sum(i["drill"] for i in shown) == 1

    orders = fleet.rows("SELECT hex(renewal_id), phase, flags & 16384 FROM orders WHERE campaign_id = ?", bytes.fromhex(drill.replace("-", "")))
    assert [(p, bool(f)) for _, p, f in orders] == [("completed", True)] * 2
    marks = ", ".join(f"x'{o[0]}'" for o in orders)
    told = {e for e, in fleet.rows(f"SELECT event FROM audit WHERE renewal_id IN ({marks})")}
    assert told == {"certificate_intent", "certificate_issued", "drill_certificate_tested"}, "no renewal is recorded"
    assert fleet.rows("SELECT count(*) FROM outbox") == [(0,)]
    one = fleet.admin.get(f"renewals/{fleet.members(drill)[0]['renewal_id']}")
    assert one["flags"] == ["drill"] and one["status"] == "completed" and one["original_certificate"] is None

    r = report(fleet, drill)
    assert (r["tested_count"], r["failed_count"], r["not_reached_count"], r["not_reached_hosts"], r["findings"]) == (2, 0, 0, [], {})
    assert r["requester"].startswith("person:"), "a report outlives the name"
    assert r["milliseconds"]["total"]["count"] == 2 and r["milliseconds"]["total"]["p50"] <= r["milliseconds"]["total"]["p99"]
    assert {c: row["state"] for c, row in by_cert(r).items()} == {"d1-web": "tested", "d2-web": "tested"}
    assert all(row["serial"] and row["fingerprint"] and row["ms"] >= row["request_ms"] >= 0 for row in r["certificates"])
    assert [x["drill_id"] for x in fleet.admin.get("drills")["items"]][0] == drill


def test_one_at_a_time_and_called_back(fleet):
    host, slow = fleet.clara
    slow.respond = False
    seen = len(slow.drills)
    first = begin(fleet)
    slow.wait("the drill came", lambda: len(slow.drills) > seen)
    wait_for("the other one is through", lambda: show(fleet, first)["tested_count"] == 1)
    refused(fleet.admin("GET", f"{DRILLS}/{first}/report"), 409, "VCC-3624")
    second = wait_over(fleet, begin(fleet))
    assert (second["status"], second["tested_count"], second["skipped_count"]) == ("completed", 1, 1), second
    assert by_cert(report(fleet, second["drill_id"]))["d2-web"]["code"] == "VCC-3622"
    assert len(slow.drills) == seen + 1
    status, answer = fleet.post(f"{DRILLS}/{first}/cancel", {"reason": "enough seen"})
    assert status == 200 and answer["status"] == "cancelled" and answer["cause"] == "enough seen"
    d = wait_over(fleet, first)
    assert (d["status"], d["tested_count"], d["skipped_count"], d["failed_count"]) == ("cancelled", 1, 1, 0)
    slow.wait("it was called back", lambda: any(c["renewal_id"] == slow.drills[-1]["renewal_id"] for c in slow.cancels))
    refused(fleet.post(f"{DRILLS}/{first}/cancel", {}), 409, "VCC-3603")
    refused(fleet.post(f"/api/v1/campaigns/{first}/rollback", {}), 409, "VCC-3603")


def test_an_emergency_goes_first(fleet):
    """The drill that runs ends with its begin, and holds up nothing, not even the certificate that it is about to test."""
    host, slow = fleet.clara
    old = {h.name: fleet.cert(f"{h.name}-web")["fingerprint"] for h in fleet.clara}
    slow.outcome = lambda h, m: "nothing" if h.is_drill(m) else "ok"  # the certificate came, and the test takes long
    seen = len(slow.certificates)
    drill = begin(fleet)
    slow.wait("its certificate came", lambda: len(slow.certificates) > seen)
    status, e = fleet.emergency(selector={"service": "clara"}, wait=30)
    assert status == 200 and e["status"] == "completed" and e["successful_count"] == 2, e
    assert all(fleet.cert(f"{h.name}-web")["fingerprint"] != old[h.name] for h in fleet.clara)
    d = wait_over(fleet, drill)
    assert d["status"] == "cancelled" and "emergency" in d["cause"]
    assert by_cert(report(fleet, drill))["d2-web"]["code"] == "VCC-3623"
    serial = issued(fleet, "d2-web")[-1][0]
    wait_for("what nobody told to be destroyed is revoked", lambda: listed(fleet, serial) == "superseded", 30, 0.1)


def test_a_person_and_the_scheduler_go_first(fleet):
    host, slow = fleet.clara
    slow.respond = False
    seen = len(slow.drills)
    drill = begin(fleet)
    slow.wait("the drill came", lambda: len(slow.drills) > seen)
    assert fleet.cert("d2-web")["open_order"] is None
    slow.respond = True
    status, renewed = fleet.post(f"{LIFE}/renew/d2-web", {"force": True})
    assert status in (200, 202), renewed
    wait_for("it is renewed", lambda: fleet.admin.get(f"renewals/{renewed['renewal_id']}")["status"] == "completed")
    d = wait_over(fleet, drill)
    assert (d["status"], d["tested_count"], d["skipped_count"]) == ("completed", 1, 1)
    assert by_cert(report(fleet, drill))["d2-web"]["code"] == "VCC-3623"
    old = fleet.rows("SELECT hex(old_serial) FROM orders WHERE renewal_id = ?", bytes.fromhex(renewed["renewal_id"].replace("-", "")))[0][0]
    slow.respond = False
    drill = begin(fleet)
    slow.wait("the next drill came", lambda: len(slow.drills) > seen + 1)
    slow.respond = True
    assert fleet.post("/api/v1/certificates/d2-web/rollback", {})[0] == 202, "neither is a rollback held up"
    wait_for("it is rolled back", lambda: fleet.cert("d2-web")["serial"] == old and not fleet.cert("d2-web")["open_order"])
    assert wait_over(fleet, drill)["skipped_count"] == 1


def test_what_is_being_renewed_is_left_alone(fleet):
    host, busy = fleet.clara
    busy.respond = False
    seen = len(busy.orders)
    status, renewal = fleet.post(f"{LIFE}/renew/d2-web", {"force": True})
    busy.wait("the order came", lambda: len(busy.orders) > seen)
    d = wait_over(fleet, begin(fleet))
    assert (d["status"], d["tested_count"], d["skipped_count"]) == ("completed", 1, 1)
    assert fleet.cert("d2-web")["open_order"] == renewal["renewal_id"]
    busy.respond = True
    fleet.again(busy)
    fleet.post(f"/api/v1/renewals/{renewal['renewal_id']}/cancel", {})
    wait_for("nothing is open", lambda: not fleet.cert("d2-web")["open_order"])


def test_a_host_cannot_make_it_more_than_a_drill(fleet):
    """Receipts that say that the certificate is served change nothing but the trail."""
    host = fleet.clara[0]
    before = fleet.rows(CERT_ROW, "d1-web")

    def lies(h, m):
        if h.is_drill(m):
            for outcome in (0, 1, 4):
                h.receipt(m, outcome, m["certificate"])
            return "ok"
        return "ok"
    host.outcome = lies
    refusals = fleet.rows("SELECT count(*) FROM audit WHERE event = 'agent_message_refused' AND object = 'd1-web'")[0][0]
    d = wait_over(fleet, begin(fleet))
    assert d["tested_count"] == 2
    assert fleet.rows(CERT_ROW, "d1-web") == before
    assert fleet.rows("SELECT count(*) FROM audit WHERE event = 'agent_message_refused' AND object = 'd1-web'")[0][0] == refusals + 3


def test_rights(fleet):
    fleet.post("/api/v1/principals", {"name": "looks", "roles": ["viewer"]})
    fleet.post("/api/v1/principals", {"name": "of-vpb", "roles": ["operator"], "services": ["vpb"]})
    looks, of_vpb = (Api(fleet, fleet.post("/api/v1/tokens", {"principal": p})[1]["token"]) for p in ("looks", "of-vpb"))
    refused(looks("POST", DRILLS, {"selector": {"all": True}}), 403, "VCC-3101")
    own = begin(fleet, of_vpb, selector={"all": True})
    d = wait_over(fleet, own)
    assert (d["total_certificates"], d["services"], d["requester"]) == (1, ["vpb"], "of-vpb"), "narrowed to its own service"
    foreign = wait_over(fleet, begin(fleet))["drill_id"]
    assert [x["drill_id"] for x in of_vpb.get("drills")["items"]] == [own]
    for path in (foreign, f"{foreign}/report"):
        assert of_vpb("GET", f"{DRILLS}/{path}")[0] == 404
    assert of_vpb("POST", f"{DRILLS}/{foreign}/cancel", {})[0] == 404
    assert foreign in [x["drill_id"] for x in looks.get("drills")["items"]] and looks("GET", f"{DRILLS}/{foreign}/report")[0] == 200
    refused(looks("POST", f"{DRILLS}/{foreign}/cancel", {}), 403, "VCC-3101")


def test_command_line(fleet):
    done = fleet.cli("drill", "--service", "clara", "--reason", "by hand")
    assert done.returncode == 0 and "completed: 2 of 2 tested, 0 failed" in done.stdout, done
    drill = done.stdout.split()[1]
    assert drill in fleet.cli("drill", "list").stdout
    shown = fleet.cli("drill", "show", drill)
    assert shown.returncode == 0 and "d1-web" in shown.stdout and "tested" in shown.stdout and show(fleet, drill)["report_sha256"] in shown.stdout
    file = os.path.join(fleet.dir, "report.json")
    assert fleet.cli("drill", "show", drill, "--export", file).returncode == 0
    data = open(file, "rb").read()
    assert hashlib.sha256(data).hexdigest() == show(fleet, drill)["report_sha256"]
    assert fleet.cli("drill", "show", drill, "-o", "json").stdout.encode() == data, "the same bytes"
    again = fleet.cli("drill", "show", drill, "--export", file)
    assert again.returncode == 1 and open(file, "rb").read() == data, "a file that is there stays"
    assert fleet.cli("drill").returncode == 2 and fleet.cli("drill", "--all", "--service", "clara").returncode == 2
    assert fleet.cli("drill", "show", "01a21c67-1a91-77ce-b5f2-5e042364636e").returncode == 3
    fleet.clara[1].outcome = lambda h, m: "failed"
    failed = fleet.cli("drill", "--service", "clara")
    assert failed.returncode == 6 and "d2-web on d2: VCC-2201" in failed.stdout, failed
    fleet.clara[1].respond = False
    left = fleet.cli("drill", "--service", "clara", "--no-wait")
    assert left.returncode == 0 and left.stdout.startswith("drill ")
    ended = fleet.cli("drill", "cancel", left.stdout.split()[1])
    assert ended.returncode == 0 and "cancelled" in ended.stdout
    assert wait_over(fleet, left.stdout.split()[1])["status"] == "cancelled"


def test_what_fails_and_who_is_away(fleet):
    host, away = fleet.clara
    host.outcome = lambda h, m: "failed"
    wait_for("the controller is up for long enough to know who is away", lambda: time.time() - fleet.started > 16, 30)
    away.gateway.down(away.session)
    wait_for("it is known to be away", lambda: not fleet.admin.get("agents/d2")["connected"])
    try:
        drill = begin(fleet)
        d = wait_over(fleet, drill)
    finally:
        away.gateway.up(away)
    assert (d["status"], d["tested_count"], d["failed_count"], d["not_reached_count"]) == ("completed_with_failures", 0, 2, 1), d
    r = report(fleet, drill)
    rows = by_cert(r)
    assert rows["d1-web"]["state"] == "failed" and rows["d1-web"]["code"] == "VCC-2201" and rows["d1-web"]["cause"] == "the hook failed"
    assert rows["d2-web"]["code"] == "VCC-3620" and "renewal_id" not in rows["d2-web"], "nothing was sent to it"
    assert r["not_reached_hosts"] == ["d2"] and r["findings"] == {"VCC-2201": 1, "VCC-3620": 1}
    assert [n["event"] for n in fleet.admin.get("notifications")["items"] if n["object"] in ("d1-web", "d2-web")] == [], "no trouble is opened by it"
    assert fleet.cert("d1-web")["open_order"] is None and fleet.cert("d1-web")["status"] == "active"


def test_a_controller_that_starts_again_goes_on(fleet):
    host, slow = fleet.clara
    slow.respond = False
    seen = len(slow.drills)
    drill = begin(fleet)
    slow.wait("the drill came", lambda: len(slow.drills) > seen)
    controller = fleet.processes["controller"]
    controller.kill(signal.SIGKILL)
    controller.start()
    fleet.wait_up()
    slow.respond = True
    fleet.gateways[0].connect()
    d = wait_over(fleet, drill)
    assert (d["status"], d["tested_count"]) == ("completed", 2), d
    report(fleet, drill)


# ---- the real thing ----

@pytest.fixture(scope="module")
def real():
    folder = new_folder("drill-nginx")
    os.chmod(folder, 0o755)
    inst = Installation(folder)
    try:
        inst.init()
        inst.start()
        host = inst.prepare_nginx()
        host.join()
        host.write_target()
        host.start_agent()
        inst.wait_served(host)
        yield inst, host
    finally:
        inst.stop()
        shutil.rmtree(folder, ignore_errors=True)


def cli(inst, *words):
    return subprocess.run([*inst.vccctl_argv, *words], capture_output=True, text=True, timeout=180)


def real_report(inst, drill):
    done = cli(inst, "drill", "show", drill, "-o", "json")
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def generations(host):
    return sorted(n for n in os.listdir(host.target_dir) if n.startswith("g0")), os.readlink(os.path.join(host.target_dir, "current"))


def workers(host):
    master = open(os.path.join(host.dir, "service", "nginx.pid")).read().strip()
    return master, subprocess.run(["ps", "-o", "pid=", "--ppid", master], capture_output=True, text=True).stdout.split()


def keys_left(host):
    return [f for d, _, files in os.walk(host.dir) for f in files if "/keys" in d]


def nothing_changed(inst, host, before):
    assert checks.served_is_issued(inst, host) == before["fingerprint"], "the same is served, and it is the issued one"
    assert generations(host) == before["generations"] and workers(host) == before["workers"], "no file is left, and nobody was told to reload"


def measure(inst, host):
    return {"fingerprint": checks.served_is_issued(inst, host), "generations": generations(host), "workers": workers(host)}


def test_nginx_serves_the_same_all_the_time(real):
    inst, host = real
    before, keys = measure(inst, host), keys_left(host)
    with Load(addresses(host), host.names[0], clients=4, how=host.handshake.trusting(os.path.join(inst.state, "ca.pem"))) as load:
        done = cli(inst, "drill", "--all")
    assert done.returncode == 0 and "1 of 1 tested" in done.stdout, done
    assert load.failed == 0 and load.ok > 0 and {f for f in load.seen} == {before["fingerprint"]}, "seen from outside"
    nothing_changed(inst, host, before)
    assert keys_left(host) == keys, "the key of the drill is destroyed"
    row, = real_report(inst, done.stdout.split()[1])["certificates"]
    assert row["served"] == "unchanged" and row["served_before"] == before["fingerprint"]
    assert len(row["served_after"]) == len(addresses(host)) and {x["fingerprint"] for x in row["served_after"]} == {before["fingerprint"]}
    steps = {s["step"]: s for s in row["steps"]}
    assert {"key", "check", "write", "test", "verify"} == set(steps) and steps["test"]["detail"] == "tested", "nginx -t has seen the new files"
    assert row["handshakes"] > 0 and row["handshakes_failed"] == 0


def test_nginx_whose_configuration_is_broken(real):
    """What would stop an emergency is found, in nginx's own words, while it goes on to serve."""
    inst, host = real
    conf = os.path.join(host.dir, "service", "nginx.conf")
    good, before = open(conf).read(), measure(inst, host)
    try:
        with open(conf, "w") as f:
            f.write(good + "\nno_such_directive on;\n")
        done = cli(inst, "drill", "--service", "clara")
        assert done.returncode == 6 and "VCC-2002" in done.stdout and "0 of 1 tested, 1 failed (0 not reached)" in done.stdout, done
    finally:
        with open(conf, "w") as f:
            f.write(good)
    row, = real_report(inst, done.stdout.split()[1])["certificates"]
    assert row["state"] == "failed" and "no_such_directive" in row["cause"] and row["served"] == "unchanged"
    nothing_changed(inst, host, before)
    status = json.loads(subprocess.run([inst.bin("vcc-agent"), "status", "--config", os.path.join(host.dir, "agent.conf"), "-o", "json"], capture_output=True,
                                       text=True).stdout or "{}")
    assert status.get("targets", [{}])[0].get("ok", True), "the host is well: what a drill found stands in its report"
    renew(inst, host)


@pytest.mark.parametrize("stopped", ["order", "certificate"] if os.environ.get("VCC_LONG") == "1" else ["certificate"])
def test_keeper_killed_in_the_middle(real, stopped):
    """It goes on where it was, or begins the step anew; nothing is put in use on the way, nothing is left."""
    inst, host = real
    wait_for("the host is connected", lambda: inst.agent(host.name)["connected"])
    before = measure(inst, host)
    keeper = host.processes["keeper"]
    if stopped == "order":  # before it hears of the drill: the order waits for it
        os.kill(keeper.pid, signal.SIGSTOP)
    done = cli(inst, "drill", "--all", "--no-wait")
    drill = done.stdout.split()[1]
    if stopped == "certificate":
        db = os.path.join(inst.state, "controller", "vcc.db")
        wait_for("the host works on it", lambda: checks.rows(db, "SELECT 1 FROM issuances WHERE drill = 1 AND owner_id = ? AND created_at > ?", host.cert_id,
                                                             (time.time() - 5) * 1000))
    keeper.kill(signal.SIGKILL)
    keeper.start()
    d = wait_for("the drill is over", lambda: (x := json.loads(cli(inst, "drill", "show", drill, "-o", "json").stdout)).get("certificates") and x, 90, 0.3)
    assert d["tested_count"] == 1 and d["certificates"][0]["served"] == "unchanged", d
    nothing_changed(inst, host, before)
