"""A fleet whose hosts are partly real: vcc-hook, vcc-keeper, vcc-agent and a TLS service each. One emergency over all of them, counted apart; a second run
is the same hosts; and whatever becomes of vcc-fleet, no process of theirs stays."""
import os
import signal
import subprocess

import checks
import pytest
from fleet_run import FleetRun
from fresh_installation import fresh_installation
from handshakes import handshake
from installation import wait_for

SIMULATED, REAL = 20, 2
PROGRAMS = {"vcc-agent", "vcc-fleet", "vcc-hook", "vcc-keeper"}


@pytest.fixture(scope="module")
def inst():
    with fresh_installation("fleet-real") as i:
        yield i


@pytest.fixture
def fleet(inst):
    f = FleetRun(inst, SIMULATED + REAL, ("clara", "argus"), "mixed")
    f.start("--spread", "1s", "--real", "9%")
    yield f
    f.stop()


def folders(f):
    real = os.path.join(f.dir, "state", "real")
    return {name: os.path.join(real, name) for name in sorted(os.listdir(real))}


def served(folder):
    """Fingerprint that a handshake shows, at the address and with the name of the target file."""
    with open(os.path.join(folder, "targets.d", "web.conf")) as t:
        target = dict(line.strip().split(" = ", 1) for line in t if " = " in line)
    host, port = target["connect"].rsplit(":", 1)
    return handshake(host, int(port), target["sni"])


def alive(pids):
    return [p for p in pids if os.path.exists(f"/proc/{p}") and open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"]


def emergency(inst, f):
    """Over the fleet; the closed campaign and the report then."""
    f.mark()
    status, answer = f.emergency(wait=0, selector={"ids": [f"{n}-web" for n in f.names()]})
    assert status in (200, 202), answer
    campaign = wait_for("the campaign is closed", lambda: (c := inst.get(f"campaigns/{answer['campaign_id']}"))["completed_at"] and c, 240, 0.2)
    return campaign, f.wait("all are proved", lambda r: r["real"]["proved"] == REAL and r["counts"]["settled_acked"] == SIMULATED, 60)


def check_served(inst, f):
    """What the real hosts serve is what the controller has as proved, and what the fleet says that they serve."""
    found = {name: served(folder) for name, folder in folders(f).items()}
    assert found == {name: inst.certificate(f"{name}-web")["fingerprint"] for name in found}
    return found


def test_real_hosts_among_simulated_ones(inst, fleet):
    r = fleet.ready(300)
    real = r["real"]
    assert (r["agents"], r["members"], r["counts"]["joined"], real["count"], real["joined"]) == (SIMULATED + REAL, SIMULATED, SIMULATED, REAL, REAL), r
    assert len(real["pids"]) == 4 * REAL and {os.path.basename(os.readlink(f"/proc/{p}/exe")) for p in real["pids"]} == PROGRAMS
    for name in folders(fleet):
        wait_for("the first certificate is proved", lambda: inst.certificate(f"{name}-web")["served"] and not inst.certificate(f"{name}-web")["open_order"], 60, 0.2)
    first = check_served(inst, fleet)
    campaign, r = emergency(inst, fleet)
    assert (campaign["status"], campaign["successful_count"], campaign["failed_count"]) == ("completed", SIMULATED + REAL, 0), campaign
    assert (r["counts"]["verified_acked"], r["real"]["proved"], r["real"]["certificates"], r["real"]["restarts"]) == (SIMULATED, REAL, REAL, 0), r
    assert r["real"]["last_proved_at_ms"] > r["marked_at_ms"]
    second = check_served(inst, fleet)
    assert len(second) == REAL and not set(first.values()) & set(second.values())

    assert fleet.stop() == 0
    assert not alive(real["pids"]), "they end with the fleet"
    fleet.start("--spread", "1s")
    r = fleet.ready(120)
    assert (r["real"]["count"], r["real"]["joined"], r["counts"]["joined"]) == (REAL, 0, 0), "it is the same hosts"
    assert {name: served(folder) for name, folder in folders(fleet).items()} == second
    campaign, r = emergency(inst, fleet)
    assert campaign["successful_count"] == SIMULATED + REAL, campaign
    check_served(inst, fleet)

    before = r["real"]["pids"]
    os.kill(next(p for p in before if os.readlink(f"/proc/{p}/exe").endswith("vcc-keeper")), signal.SIGKILL)
    r = fleet.wait("what ended is started again", lambda r: r["real"]["restarts"] == 1 and len(r["real"]["pids"]) == 4 * REAL, 60)
    assert set(r["real"]["pids"]) != set(before)
    assert len(alive(r["real"]["pids"])) == 4 * REAL
    fleet.popen.kill()
    wait_for("nothing outlives it", lambda: not alive(r["real"]["pids"] + r["pids"]), 30, 0.1)


def test_a_real_host_without_names(inst):
    """Its certificate is a client's: nobody proves it for the controller, and the fleet's own look still sees it."""
    f = FleetRun(inst, 2, ("veritas",), "client")
    try:
        f.start("--spread", "1s", "--real", "50%", "--served", os.path.join(f.dir, "served"))
        r = f.ready(120)
        assert (r["real"]["count"], r["ready"]) == (1, 1)
        (name,) = folders(f)
        with open(os.path.join(f.dir, "served")) as s:
            shown = dict(line.split() for line in s)
        assert shown[name] == wait_for("it is issued", lambda: inst.certificate(f"{name}-web")["fingerprint"])
    finally:
        assert f.stop() == 0


def test_refusals(inst, tmp_path):
    def refused(*words):
        done = subprocess.run([inst.bin("vcc-fleet"), *words], capture_output=True, text=True, timeout=60)
        assert done.stderr.startswith("vcc-fleet: VCC-") and "--real" in done.stderr, done
        return done.returncode
    assert refused("--agents", "5", "--state-dir", str(tmp_path / "s"), "--real", "101%") == 2
    f = FleetRun(inst, 2, ("clara",), "none")
    tokens = f.invite()
    words = [inst.join_address, "--pin", inst.pin, "--tokens", tokens, "--agents", "2", "--state-dir", os.path.join(f.dir, "state")]
    assert refused(*words, "--real", "100%") == 1, "one is simulated at least"
    assert checks.rows(os.path.join(inst.state, "controller", "vcc.db"), "SELECT count(*) FROM agents WHERE name LIKE 'none-%'") == [(0,)]
