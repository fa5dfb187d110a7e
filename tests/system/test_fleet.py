"""Does the simulated fleet do what was asked, and does the controller account for each of its hosts? Enrolment, bulk renewal, an emergency over
all, reloads that fail and hosts that are away in the numbers that were ordered; all connections cut at once; a second run that is the same hosts."""
import json
import os
import subprocess

import checks
import pytest
from fleet_run import FleetRun
from fresh_installation import fresh_installation
from installation import wait_for

LIFE = "certificates/lifecycle"
AGENTS = 200 if os.environ.get("VCC_LONG") == "1" else 60
SERVICES = ("clara", "covina", "argus", "vpb")


@pytest.fixture(scope="module")
def inst():
    with fresh_installation("fleet", {"controller.bulk.batch": "500", "controller.bulk.pause": "0s", "controller.bulk.halt_share": "100%"}) as i:
        yield i


@pytest.fixture
def fleet(inst, request):
    """A fleet with a name of its own: its hosts are no others' hosts."""
    runs = []

    def start(name, agents, *options, services=SERVICES):
        f = FleetRun(inst, agents, services, name)
        f.start("--spread", "1s", *options)
        runs.append(f)
        return f
    yield start
    for f in runs:
        assert f.stop() == 0


def rows(inst, sql, *values):
    return checks.rows(os.path.join(inst.state, "controller", "vcc.db"), sql, *values)


def ids(f):
    return [f"{n}-web" for n in f.names()]


def renew(f):
    """An emergency over the fleet; the campaign."""
    status, answer = f.emergency(wait=0, selector={"ids": ids(f)})
    assert status == 202, answer
    return answer["campaign_id"]


def campaign(inst, campaign_id):
    return inst.get(f"campaigns/{campaign_id}")


def counts(inst, campaign_id, **wanted):
    """The campaign, once it counts as wanted."""
    return wait_for(f"the campaign has {wanted}", lambda: (c := campaign(inst, campaign_id)) and all(c[k] == v for k, v in wanted.items()) and c, 120, 0.2)


def served(inst, f):
    """Serials that the hosts have proved."""
    found = dict(rows(inst, "SELECT cert_id, hex(served) FROM targets WHERE cert_id LIKE ?", f.name + "-%"))
    assert len(found) == f.agents
    return found


def test_enrols_renews_and_answers_an_emergency(inst, fleet):
    f = fleet("well", AGENTS)
    r = f.ready(300)
    assert (r["counts"]["joined"], r["counts"]["joins_refused"], r["connected"]) == (AGENTS, 0, AGENTS)
    first = served(inst, f)
    f.mark()
    status, answer = f.call("POST", f"{LIFE}/bulk-renewal", {"service_pattern": "*.vcc.internal"})
    assert status == 202, answer
    counts(inst, answer["campaign_id"], successful_count=AGENTS, failed_count=0, pending_count=0)
    second = served(inst, f)
    assert not set(first.values()) & set(second.values())
    counts(inst, renew(f), successful_count=AGENTS, failed_count=0, pending_count=0)
    assert not set(second.values()) & set(served(inst, f).values())
    r = f.wait("every receipt is durable", lambda r: r["counts"]["settled_acked"] == 2 * AGENTS, 60)
    assert (r["counts"]["orders"], r["counts"]["verified_acked"], r["counts"]["bad_frames"]) == (2 * AGENTS, 2 * AGENTS, 0)
    assert r["times"]["order_proof"]["n"] == 2 * AGENTS and r["times"]["order_csr"]["p99_ms"] > 0


def test_a_second_run_is_the_same_hosts(inst, fleet):
    f = fleet("again", 12)
    f.ready()
    before = served(inst, f)
    assert f.stop() == 0
    f.start("--spread", "1s")
    r = f.ready(60)
    assert (r["counts"]["joined"], r["counts"]["orders"]) == (0, 0), "it was enrolled or served before"
    assert served(inst, f) == before
    counts(inst, renew(f), successful_count=12)


def test_failing_reloads_and_hosts_that_are_away_are_counted_as_ordered(inst, fleet):
    f = fleet("broken", 40, "--fail-share", "10%", "--offline-share", "20%", "--probe-time", "300ms", "--return-at", "20s", services=("clara",))
    r = f.wait("those who leave have left", lambda r: r["offline"] == 8 and r["ready"] == 40, 300)
    assert r["connected"] == 32
    before = served(inst, f)
    f.mark()
    one = renew(f)
    wait_for("those who are there and not broken are done", lambda: campaign(inst, one)["successful_count"] >= 28, 120, 0.2)
    f.wait("they are back", lambda r: r["offline"] == 0 and r["connected"] == 40, 120)
    # who was away is done, too; the broken keep what they served, whatever was tried
    wait_for("all but the broken are done", lambda: campaign(inst, one)["successful_count"] == 36, 120, 0.2)
    f.wait("the broken have tried", lambda r: r["counts"]["failed"] >= 4 and r["counts"]["verified_acked"] == 36, 120)
    after = served(inst, f)
    assert sum(before[c] == after[c] for c in before) == 4


def test_all_connections_are_cut_and_come_back(inst, fleet):
    f = fleet("storm", 40)
    f.ready()
    f.mark()
    f.storm()
    r = f.wait("all are back", lambda r: r["counts"]["connects"] == 40 and r["connected"] == 40, 120)
    assert r["counts"]["orders"] == 0 and r["times"]["connect"]["n"] == 40
    counts(inst, renew(f), successful_count=40)


def test_clocks_and_slow_links_change_nothing(inst, fleet):
    f = fleet("odd", 20, "--clock-skew", "20m", "--slow-link", "50%", "--deploy-time", "50ms-300ms")
    f.ready()
    counts(inst, renew(f), successful_count=20, failed_count=0)


def test_refusals(inst, tmp_path):
    fleet = inst.bin("vcc-fleet")

    def refused(*words):
        done = subprocess.run([fleet, *words], capture_output=True, text=True, timeout=60)
        assert done.stderr.startswith("vcc-fleet: VCC-"), done
        return done.returncode
    state = ["--state-dir", str(tmp_path / "s")]
    assert refused("--agents", "0", *state) == 2
    assert refused("--agents", "60001", *state) == 2
    assert refused("--agents", "5") == 2
    assert refused("--agents", "20000", "--processes", "1", *state) == 2
    assert refused("--agents", "5", "--fail-share", "101%", *state) == 2
    assert refused("--agents", "5", "--deploy-time", "2s-1s", *state) == 2
    assert refused("--agents", "5", "--for", "0", *state) == 2
    assert refused("--agents", "5", *state) == 1, "nobody has joined there"
    assert subprocess.run([fleet, "--version"], capture_output=True, text=True).stdout.startswith("vcc-fleet ")
    told = subprocess.run([fleet, "--help"], capture_output=True, text=True).stdout
    assert "--offline-share" in told and max(map(len, told.splitlines())) <= 80, told


def test_it_ends_by_itself(inst, fleet):
    f = FleetRun(inst, 3, ("clara",), "brief")
    f.start("--for", "3s")
    assert f.popen.wait(60) == 0
    assert f.report()["phase"] == "ended"


def invite(inst, *words):
    done = subprocess.run([*inst.vccctl_argv, "agent", "invite", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def test_no_invite_goes_beyond_its_service(inst, tmp_path):
    """Who may act for one service alone could else let a host take any name at all."""
    before = rows(inst, "SELECT count(*) FROM invites")[0][0]
    for names, bad in (("*.argus.vcc.internal", "*.argus"), ("*.evil.org", "*.evil.org"), ("a.clara.vcc.internal,api.argus.vcc.internal", "api.argus"), ("*.*.vcc.internal", "*"),
                       ("*.vcc.internal", "*.vcc.internal"), ("IP:192.0.2.1", "IP:192.0.2.1")):
        code, out, err = invite(inst, "ee", "--service", "clara", "--names", names)
        assert code != 0 and out == "" and bad in err, (names, code, out, err)
    code, _, err = invite(inst, "ee", "--service", "clara", "--names", "*.argus.vcc.internal")
    assert code == 1 and "VCC-3011" in err and "clara" in err
    for words in (("ee", "--service", "clarra"), ("ee", "--service", "clarra", "--count", "3")):
        code, _, err = invite(inst, *words)
        assert code == 1 and "VCC-3238" in err and "service list" in err, err
    wishes = tmp_path / "wishes"
    wishes.write_text("fa clara fa.clara.vcc.internal\nfb clara fb.vpb.vcc.internal\n")
    assert invite(inst, "--file", str(wishes))[0] == 1
    assert rows(inst, "SELECT count(*) FROM invites")[0][0] == before
    for n, names in enumerate(("*.clara.vcc.internal", "clara.vcc.internal", "x.clara.vcc.internal,clara.vcc.internal")):
        assert invite(inst, f"within-{n}", "--service", "clara", "--names", names)[0] == 0, names
    assert invite(inst, "within-4", "--service", "veritas")[0] == 0, "of a service whose certificates have no names"


def test_many_invites_are_made_at_once_or_not_at_all(inst, tmp_path):
    before = rows(inst, "SELECT count(*) FROM invites")[0][0]
    code, out, _ = invite(inst, "row", "--service", "clara", "--count", "12", "-o", "json")
    made = json.loads(out)["items"]
    assert code == 0 and [m["name"] for m in made] == [f"row-{i:02d}" for i in range(1, 13)] and len({m["token"] for m in made}) == 12
    wishes = tmp_path / "wishes"
    wishes.write_text("# two hosts\nfile-a\nfile-b vpb file-b.vpb.vcc.internal,vpb.vcc.internal\n")
    code, out, _ = invite(inst, "--file", str(wishes), "--service", "clara", "-o", "json")
    assert code == 0 and [(m["name"], m["service"]) for m in json.loads(out)["items"]] == [("file-a", "clara"), ("file-b", "vpb")]
    assert rows(inst, "SELECT count(*) FROM invites")[0][0] == before + 14
    f = FleetRun(inst, 1)
    good = {"name": "one-more", "service": "clara"}
    for bad in ({"name": "Not A Name", "service": "clara"}, {"name": "x", "service": "clara", "more": 1}, "x", {"name": "x"}):
        status, answer = f.call("POST", "invites/batch", {"invites": [good, bad]})
        assert status in (400, 422) and answer["code"].startswith("VCC-"), answer
    assert f.call("POST", "invites/batch", {"invites": []})[0] in (400, 422)
    assert f.call("POST", "invites/batch", {"invites": [good] * 1001})[0] in (400, 422)
    assert rows(inst, "SELECT count(*) FROM invites")[0][0] == before + 14
    assert len(rows(inst, "SELECT seq FROM audit WHERE event = 'invite_created' AND object LIKE 'row-%'")) == 12
    wishes.write_text("a b c d\n")
    assert invite(inst, "--file", str(wishes))[0] == 2
    assert invite(inst, "--service", "clara")[0] == 2
    assert invite(inst, "row", "--service", "clara", "--count", "0")[0] == 2


def test_next_keys_are_ready(inst, fleet):
    """An order over staged keys is one message down; fresh keys take the trip; a second run has the keys that the first one had."""
    f = fleet("next", 20, "--stage-after", "1s")
    f.ready(300)
    staged = f.wait("every host has a next key", lambda r: r["keys_staged"] == f.agents, 120)
    assert staged["counts"]["staged"] >= f.agents
    f.mark()
    counts(inst, renew(f), successful_count=f.agents)
    c = f.wait("all have settled", lambda r: r["counts"]["settled_acked"] == f.agents, 120)["counts"]
    assert (c["staged_used"], c["certificates"], c["orders"], c["requests"]) == (f.agents, f.agents, 0, 0), c
    f.wait("every host has a next key again", lambda r: r["keys_staged"] == f.agents, 120)
    f.mark()
    status, answer = f.emergency(fresh=True, wait=0, selector={"ids": ids(f)})
    counts(inst, answer["campaign_id"], successful_count=f.agents)
    c = f.wait("all have settled", lambda r: r["counts"]["settled_acked"] == f.agents, 120)["counts"]
    assert (c["staged_used"], c["orders"], c["requests"]) == (0, f.agents, f.agents), c
    f.wait("and once more", lambda r: r["keys_staged"] == f.agents, 120)
    assert f.stop() == 0
    f.start("--spread", "1s")
    r = f.wait("all are back", lambda r: r["connected"] == f.agents, 120)
    assert r["keys_staged"] == f.agents and r["counts"]["staged"] == 0
    counts(inst, renew(f), successful_count=f.agents)
    assert f.report()["counts"]["staged_used"] == f.agents
