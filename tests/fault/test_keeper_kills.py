"""kill -9 of the keeper and of the hook at every fault point that a swap, a refused answer or a rollback passes, with a controller that only repeats itself.
Each scene takes a part of its points, with VCC_LONG=1 all.

After the restart: one complete matching set in current/, what nginx serves is a pair that was in current/ once, the order ends with the outcome of an
undisturbed run, applied once."""
import collections
import os
import re
import shutil
import time

import pytest
from installation import ROOT, wait_for, write
from keeper_host import KeeperHost, temporary
from sampling import sample

VERIFIED, SETTLED, FAILED, REFUSED, KEPT, TESTED = range(6)
FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
ENV = {"VCC_PROBE_MS": "1500", "VCC_HEAL_MS": "300"}
NO_EFFECT = "kind = exec\ncommand = /bin/true\n"
LONG = os.environ.get("VCC_LONG") == "1"
PASSES = 3 if LONG else 1  # of a point that is passed often, so many are tried


def make_host():
    folder = temporary()
    h = KeeperHost(folder, FAULTS)
    h.settings["verify"] = f"kind = tls\nconnect = 127.0.0.1:{h.port}\n"
    h.fixed = f"{folder}/fixed"
    os.mkdir(h.fixed)
    h.settings["files"] += f"copies = key.pem:{h.fixed}/tls.key, fullchain.pem:{h.fixed}/tls.crt\n"
    h.good = dict(h.settings)
    h.start()
    h.link.wait("the keeper tells its target", lambda: h.link.targets)
    h.good_digest = h.link.targets[-1]["digest"]
    return h


def check_copies(host):
    """They are what current/ holds, and nothing half-written lies beside them."""
    for source, copy in (("key.pem", "tls.key"), ("fullchain.pem", "tls.crt")):
        with open(f"{host.tls}/current/{source}", "rb") as a, open(f"{host.fixed}/{copy}", "rb") as b:
            assert a.read() == b.read(), f"{copy} is not {source} of current/"
    assert sorted(os.listdir(host.fixed)) == ["tls.crt", "tls.key"]


@pytest.fixture(scope="module")
def host():
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    h = make_host()
    try:
        yield h
    finally:
        h.stop()
        shutil.rmtree(h.dir, ignore_errors=True)


def swap(host):
    return host.renew(), SETTLED


def rollback(host):
    host.link.targets.clear()
    host.write_target(reload=NO_EFFECT)
    # or it was killed before it could: then it reads the file when it starts again
    host.link.wait("the keeper has read the file", lambda: any(t["digest"] != host.good_digest for t in host.link.targets) or
                   not host.processes["keeper"].running())
    return host.renew(), FAILED


def two_swaps(host):
    """What can be gone back from."""
    host.deployed = [host.renew()]
    host.link.receipt(host.deployed[0], SETTLED)
    host.deployed.append(host.renew())
    host.link.receipt(host.deployed[1], SETTLED)


def back(host):
    return host.link.back(host.deployed[1], host.deployed[0]), SETTLED


def refused(host):
    host.link.answer = lambda order, csr: (host.link.issue(order, csr)[0], b"", host.link.issue(order, csr)[2])
    return host.renew(), REFUSED


def in_use(host):
    host.link.receipt(host.renew(), SETTLED)
    host.generations = generations(host)


def generations(host):
    return sorted(n for n in os.listdir(host.tls) if re.fullmatch(r"g[0-9]+", n))


def drill(host):
    """Up to the test, and no further."""
    return host.renew(kind="drill", any_time=True), TESTED


SCENES = {"swap": swap, "rollback": rollback, "refused": refused, "back": back, "drill": drill}
BEFORE = {"back": two_swaps, "drill": in_use}


def settle(host):
    host.link.answer = host.link.issue
    host.write_target(**host.good)


def restart(host, process, env):
    if process == "keeper":
        host.restart_keeper(dict(ENV, **env))
    else:
        host.processes["hook"].stop()
        host.start_hook(env)


def passed(host, scene, process):
    """Fault points of one undisturbed run: {name: (passes before the order, passes after it)}."""
    log = f"{host.dir}/keeper/{process}.points"  # a folder that the jail lets the keeper write
    BEFORE.get(scene, lambda _: None)(host)
    if process == "keeper":
        host.restart_keeper(ENV)
    restart(host, process, {"VCC_FAULT_LOG": log})
    wait_for("the keeper rests", lambda: host.link.status(host.socket)["connected"])
    before = collections.Counter(open(log).read().split() if os.path.exists(log) else [])
    key, outcome = SCENES[scene](host)
    host.link.receipt(key, outcome)
    after = collections.Counter(open(log).read().split()) - before
    os.unlink(log)
    settle(host)
    return {name: (before[name], n) for name, n in after.items()}


def chosen(scene, counts):
    """Of the points of a scene all with VCC_LONG=1, otherwise an eighth, in each scene others."""
    return sample(sorted(counts.items()), 8, scene)


def kill_and_heal(host, scene, process, point, nth, early_last=0):
    """Was it killed? `early_last`: up to this pass the point must kill; later passes depend on timing (probes, acks), and so does what a start passes."""
    pid = host.processes["keeper"].pid
    BEFORE.get(scene, lambda _: None)(host)
    restart(host, process, {"VCC_FAILPOINT": f"{point}@{nth}=kill"})
    pid = host.processes["keeper"].pid
    before = host.served()
    key, outcome = SCENES[scene](host)
    killed = process != "keeper"
    if process == "keeper":
        dead = lambda: not host.processes["keeper"].running()  # noqa: E731
        wait_for(f"{point} kills the keeper, or the order ends", lambda: dead() or outcome in host.link.outcomes(key), 60)
        if not dead():
            time.sleep(0.5)  # what comes after the last receipt
        killed = dead()
        assert killed or nth > early_last, "the point was not passed"
        host.check_set()
        restart(host, "keeper", {})
    receipt = host.link.receipt(key, outcome)
    fingerprint = host.check_set()
    assert host.served() == fingerprint
    check_copies(host)
    if outcome == SETTLED:
        assert receipt["fingerprint"] == fingerprint == host.link.orders[key]["fingerprint"]
        assert scene == "back" or len([b for b in host.link.csrs if b["renewal_id"] == key[0]]) >= 1
    else:
        assert fingerprint == before, "the old pair"
    assert host.link.outcomes(key).count(outcome) == 1, "told once"
    if scene == "drill":
        wait_for("nothing is left of it", lambda: generations(host) == host.generations)
    settle(host)
    if process == "hook":
        restart(host, "hook", {})
    assert pid != host.processes["keeper"].pid or process == "hook"
    return killed


def kill_after_start(host, scene, point, early, n):
    """Of a point that a start passes, too: how often it does depends on its moment (what there is to clear away), so any one pass may be missed. From the last
    one that there can be downwards the first that kills is one of the scene's own."""
    tries = [early + 1 + i for i in range(min(n, PASSES))]
    killed = [nth for nth in tries if kill_and_heal(host, scene, "keeper", point, nth)]
    for nth in range(early + n, 0, -1):
        if killed:
            return
        if nth not in tries and kill_and_heal(host, scene, "keeper", point, nth):
            killed.append(nth)
    assert killed, "no pass of it killed the keeper"


@pytest.mark.parametrize("scene", list(SCENES))
def test_keeper_is_killed_at_every_point(host, scene):
    counts = passed(host, scene, "keeper")
    assert len(counts) > 8, counts
    for point, (early, n) in chosen(scene, counts):
        nth = 0
        try:
            if early > 0:
                kill_after_start(host, scene, point, early, n)
                continue
            for nth in range(1, min(n, PASSES) + 1):
                kill_and_heal(host, scene, "keeper", point, nth, 1 if point.startswith("keeper.") else 0)
        except Exception as e:
            raise AssertionError(f"{scene}: killed at {point}@{nth or 'after the start'}: {e}\n{host.log('keeper')[-3000:]}") from e


@pytest.mark.parametrize("scene", ["swap", "rollback"])
def test_hook_is_killed_at_every_point(host, scene):
    """The hook forks per request, so each request passes a point for the first time: it is killed at both tries. What the keeper then does differs
    by point; it must end, with a whole set served."""
    for point in ("hook.test", "hook.test.done", "hook.reload", "hook.reload.done"):
        host.restart_keeper(ENV)
        restart(host, "hook", {"VCC_FAILPOINT": f"{point}=kill"})
        key, _ = SCENES[scene](host)
        host.link.wait(f"{point}: the order ends", lambda: set(host.link.outcomes(key)) & {SETTLED, FAILED, KEPT})
        assert host.check_set() == host.served()
        check_copies(host)
        settle(host)
        restart(host, "hook", {})


def test_points_cover_the_swap(host):
    """Every point that the keeper's sources name for a swap is passed by one of the scenes."""
    named = set()
    for room in ("agent/keeper", "agent/hook"):
        for name in os.listdir(os.path.join(ROOT, room)):
            if name.endswith(".c"):
                named |= set(re.findall(r'fault_point\("([^"]+)"\)', open(os.path.join(ROOT, room, name)).read()))
    seen = set()
    for scene in SCENES:
        seen |= set(passed(host, scene, "keeper"))
    # joining and coming back, care and rehearsals (test_keeper_care.py), lists (test_crl_kills.py), groups (test_keeper_groups.py), lost changes
    # (test_status.py); copies and the hook have theirs in test_crash_matrix.py
    elsewhere = re.compile(r"hook\.|keeper\.(join|return|rename|care|rehearse|crl|flip\.place|watch|copies|stage|peer)\b|.*\.(join|return)\.")
    assert {n for n in named if not elsewhere.match(n)} - seen == set()
