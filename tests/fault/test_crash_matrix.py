"""kill -9 of every process (the controller's own points: test_controller_kills.py) at every fault point that a renewal passes: does everything end well after the restart?

After each kill: one complete matching set in current/, the service serves it, the order is completed, every certificate has its intent and audit record,
and nothing was issued twice for one order's attempt."""
import os
import re
import shutil
import time

import checks
import pytest
from conftest import new_folder
from installation import ROOT, Failed, Installation, wait_for, write
from sampling import sample

FAULTS = os.path.join(ROOT, "build-faults", "bin")
SOURCES = {"controller": "controller/daemon controller/store", "signer": "controller/signer", "gateway": "controller/gateway", "agent": "agent/link", "keeper": "agent/keeper",
           "hook": "agent/hook"}
# Passed by init, by joining, by coming back, by making room, by a backup, a restore or pruning, by renewing the process's own identity, by a failed swap, by what happens between renewals or by a group, not
# by a look of a relying party, by a change of the root, by a drill that is read again, not by a renewal; each has its own test.
ELSEWHERE = re.compile(r"^(init[._]|.*join|.*return|.*identity|.*rollback|.*back[._]|signer\.rotate|store_migrate|.*discard|keeper\.bundle|.*admin_tls|.*crl|.*invite|.*revoke|.*void|keeper\.retire|"
                       r"link\.fetch|.*\.peer|signer\.bundle|keeper\.(care|rehearse|rename|flip\.place|watch|stage)|store_copy|store_restore|controller\.(backup|restore|archive|prune|campaign_read))")
# Passed only where the service is HAProxy and has copies at fixed paths.
RICHER = re.compile(r"^(hook\.(haproxy|drain)|keeper\.copies)")

COMMITS = {"store_commit", "store_committed"}


def points(process):
    """Names of fault points in the sources of one process; a name made of parts counts when it is spelled out in a table."""
    names = set()
    for folder in SOURCES[process].split():
        for name in sorted(os.listdir(os.path.join(ROOT, folder))):
            if name.endswith(".c"):
                with open(os.path.join(ROOT, folder, name)) as f:
                    text = f.read()
                    names.update(re.findall(r'fault_point\("([^"]+)"\)', text))
                    if process == "hook":  # its names stand in the table of verbs
                        names.update(re.findall(r'"(hook\.[a-z_.]+)"', text))
    names = {n for n in names if not ELSEWHERE.match(n)}
    # each commit of a renewal is a moment of its own
    return sorted(f"{n}@{k}" for n in names & COMMITS for k in range(1, 6)) + sorted(names - COMMITS)


MATRIX = sample([(p, n) for p in SOURCES for n in points(p)], 7)


@pytest.fixture(scope="module")
def installation():
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    path = new_folder("crash")
    inst = Installation(path, binaries=FAULTS)
    try:
        inst.init()
        inst.start()
        inst.edit_template("clara_service_auth", retry_interval="2s", max_renewal_attempts=20, renewal_threshold="60d", emergency_threshold="7d")
        inst.edit_template("covina_orchestrator", retry_interval="2s", max_renewal_attempts=20)
        plain, rich = inst.add_nginx(), inst.prepare_service("haproxy")
        rich.join()
        fixed = os.path.join(rich.dir, "fixed")
        os.mkdir(fixed)
        write(os.path.join(rich.dir, "targets.d", f"{rich.stem}.conf"), rich.target_file().replace("[files]\n", f"[files]\ncopies = key.pem:{fixed}/tls.key\n"))
        rich.start_agent()
        for host in plain, rich:
            inst.wait_served(host)
        yield inst, plain, rich
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def process_of(inst, host, name):
    return inst.processes[name] if name in inst.processes else host.processes[name]


def order_renewal(inst, host):
    """The controller may be the process that dies: then the order is made again."""
    try:
        inst.vccctl("cert", "renew", host.cert_id, "--force")
    except Failed:
        pass


def no_certificate_without_intent_and_audit(inst):
    db = inst.facts()["controller"]["db"]
    unknown = checks.rows(db, "SELECT count(*) FROM issuances i WHERE i.owner = 'certificate' AND i.state NOT IN ('intent', 'void') AND NOT EXISTS "
                              "(SELECT 1 FROM audit a WHERE a.event = 'certificate_intent' AND a.object = i.owner_id)")
    assert unknown[0][0] == 0
    doubled = checks.rows(db, "SELECT renewal_id, count(*) FROM issuances WHERE owner = 'certificate' AND state = 'active' GROUP BY owner_id HAVING count(*) > 1")
    assert doubled == [], "two active issuances of one certificate"


@pytest.mark.parametrize("process,point", MATRIX, ids=[f"{p}-{n}" for p, n in MATRIX])
def test_kill(installation, process, point):
    inst, plain, rich = installation
    host = rich if RICHER.match(point) else plain
    before = checks.served_is_issued(inst, host)
    p = process_of(inst, host, process)
    p.stop()
    p.env = {"VCC_FAILPOINT": f"{point}=kill"}
    p.start()
    if process == "hook":
        time.sleep(0.3)
    died = False
    end = time.monotonic() + 25
    ordered = 0.0
    while time.monotonic() < end and not died:
        if time.monotonic() - ordered > 5:
            order_renewal(inst, host)
            ordered = time.monotonic()
        time.sleep(0.05)
        died = not p.running() or (process == "hook" and hook_child_died(p))
        if not died and renewed(inst, host, before):
            break
    p.stop()
    p.env = None
    p.start()
    wait_for("the controller is ready again", inst.ready, 30)
    if not renewed(inst, host, before):
        order_renewal(inst, host)
    inst.wait_renewed(host, before, 90)
    wait_for("served is issued", lambda: quietly(lambda: checks.served_is_issued(inst, host)), 20)
    no_certificate_without_intent_and_audit(inst)
    with open(f"{rich.dir}/fixed/tls.key") as copy, open(f"{rich.target_dir}/current/key.pem") as key:
        assert copy.read() == key.read()
    assert died, f"a renewal does not pass {point}"


def hook_child_died(p):
    """The hook forks per request: its listener lives on when the child was killed, and says so."""
    return "was killed by signal 9" in p.tail(5)


def renewed(inst, host, before):
    try:
        c = inst.certificate(host.cert_id)
    except Failed:
        return False
    return bool(c["served"]) and not c["open_order"] and c["fingerprint"] != before


def quietly(check):
    try:
        return check()
    except (AssertionError, OSError, Failed):
        return None
