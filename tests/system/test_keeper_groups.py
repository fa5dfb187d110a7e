"""One certificate at several places of a host (a group): is it one key, all verified or all back, and never a silent mix, whatever fails or is killed?"""
import hashlib
import os
import shutil
import ssl

import pytest
from installation import ROOT, connects, free_port, wait_for, write
from keeper_host import KeeperHost, temporary

VERIFIED, SETTLED, FAILED, REFUSED, KEPT = range(5)
FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
ENV = {"VCC_PROBE_MS": "1500", "VCC_HEAL_MS": "300"}
NO_EFFECT = "kind = exec\ncommand = /bin/true\n"


class Member:
    """A second place of the host's certificate: a small TLS service with its own target file."""

    def __init__(self, host, stem):
        self.host, self.stem = host, stem
        self.dir = os.path.join(host.dir, "targets", stem)
        self.port = free_port()
        self.pidfile = os.path.join(host.base, f"{stem}.pid")
        self.reload = f"kind = signal\npidfile = {self.pidfile}\nsignal = HUP\n"
        self.verify = f"kind = tls\nconnect = 127.0.0.1:{self.port}\nsni = {host.names[0]}\n"
        os.makedirs(self.dir, exist_ok=True)
        shutil.copytree(os.path.join(host.tls, "g000001"), os.path.join(self.dir, "g000001"))
        os.symlink("g000001", os.path.join(self.dir, "current"))
        host.process(stem, ["/usr/bin/python3", os.path.join(ROOT, "tests", "lib", "echo_service.py"), f"127.0.0.1:{self.port}", self.dir, self.pidfile]).start()
        wait_for(f"{stem} listens", lambda: connects("127.0.0.1", self.port))

    def write_target(self, names=None, target="", reload=None, verify=None):
        text = (f"[target]\ncert_id = {self.host.cert_id}\ntemplate = clara_service_auth\nnames = {', '.join(names or self.host.names)}\n{target}"
                f"[files]\nowner = root\ngroup = root\nmode = 0640\n[reload]\n{reload or self.reload}timeout = 10s\n[verify]\n{verify or self.verify}")
        path = os.path.join(self.host.dir, "targets.d", f".{self.stem}.new")
        write(path, text)
        os.rename(path, os.path.join(self.host.dir, "targets.d", f"{self.stem}.conf"))

    def current(self):
        return os.readlink(os.path.join(self.dir, "current"))

    def served(self):
        pem = ssl.get_server_certificate(("127.0.0.1", self.port), timeout=5)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()

    def key(self):
        return open(os.path.join(self.dir, "current", "key.pem")).read()


@pytest.fixture(scope="module")
def group():
    """(host with nginx, two members), a faults build so that waits are short and kills possible."""
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    host = KeeperHost(temporary(), FAULTS)
    try:
        host.start_nginx()
        members = [Member(host, "api"), Member(host, "bus")]
        host.write_target()
        for m in members:
            m.write_target()
        done = host.join()
        assert done["code"] == 0, done
        host.start_hook()
        host.start_keeper(ENV)
        host.link.wait("three targets", lambda: len(host.link.targets) >= 3)
        yield host, members
    finally:
        host.stop()
        shutil.rmtree(host.dir, ignore_errors=True)


def places(host, members):
    return [host.current(), *(m.current() for m in members)]


def all_serve(host, members, fingerprint):
    assert [host.check_set(), host.served(), *(m.served() for m in members)] == [fingerprint] * (2 + len(members))
    assert len({open(os.path.join(host.tls, "current", "key.pem")).read(), *(m.key() for m in members)}) == 1, "one key"


def renewed(host, members):
    key = host.renew()
    receipt = host.link.receipt(key, SETTLED)
    all_serve(host, members, host.link.orders[key]["fingerprint"])
    return receipt


def test_a_group_is_one_order_one_key_and_one_receipt(group):
    host, members = group
    assert sorted(t["stem"] for t in host.link.targets[:3]) == ["api", "bus", "web"] and len({t["cert_id"] for t in host.link.targets}) == 1
    for _ in range(2):
        receipt = renewed(host, members)
        assert len(receipt["listeners"]) == 4 and all(row["proved"] for row in receipt["listeners"])
        assert receipt["probes_failed"] == 0
        assert len(set(places(host, members))) == 1, "one generation number in all places"


def write_read(host, *changes):
    """Each change writes one target file; all are read by the keeper when this returns."""
    n = len(host.link.targets)
    for change in changes:
        change()
    host.link.wait("the files are read", lambda: len(host.link.targets) >= n + len(changes))


def fails(host, members, member, **wrong):
    """The order ends in all places as they were; the receipt names the place."""
    before, served = places(host, members), host.served()
    write_read(host, lambda: member.write_target(**wrong))
    receipt = host.link.receipt(host.renew(), FAILED)
    assert places(host, members) == before
    all_serve(host, members, served)
    write_read(host, member.write_target)
    return receipt


def test_one_that_does_not_take_it_takes_all_back(group):
    host, members = group
    receipt = fails(host, members, members[1], reload=NO_EFFECT)
    assert receipt["code"] == -2004, receipt


def test_one_whose_test_fails_stops_all_before_the_flip(group):
    host, members = group
    receipt = fails(host, members, members[0], reload=members[0].reload + "test = /bin/false\n")
    assert receipt["code"] == -2002 and "api" in receipt["cause"], receipt


def test_one_that_nothing_can_prove_is_judged_by_its_hook(group):
    host, members = group
    receipt = fails(host, members, members[0], reload="kind = exec\ncommand = /bin/false\n", verify="kind = none\n")
    assert receipt["code"] == -2201 and "api" in receipt["cause"], receipt


def test_forward_by_setting_keeps_the_new_one_everywhere(group):
    host, members = group
    forward = "on_failure = forward\n"
    write_read(host, lambda: host.write_target(target=forward), lambda: members[0].write_target(target=forward),
               lambda: members[1].write_target(target=forward, reload=NO_EFFECT))
    key = host.renew()
    kept = host.link.receipt(key, KEPT)
    assert kept["code"] == -2004 and len(set(places(host, members))) == 1
    write_read(host, lambda: members[1].write_target(target=forward))  # mended: the healing goes on until it is served
    host.link.receipt(key, SETTLED)
    all_serve(host, members, host.link.orders[key]["fingerprint"])
    write_read(host, lambda: host.write_target(target=""), *(m.write_target for m in members))
    renewed(host, members)


def test_targets_that_do_not_agree_are_all_left_as_they_were(group):
    host, members = group
    n = len(host.link.targets)
    members[0].write_target(names=["clara.vcc.internal"])
    wait_for("the refusal is logged", lambda: "target.names differs from target api" in host.log("keeper"))
    check = os.path.join(host.binaries, "vcc-keeper")
    assert os.spawnv(os.P_WAIT, check, [check, "--check", "--config", host.config]) != 0
    assert len(host.link.targets) == n, "nothing was told"
    members[0].write_target()
    wait_for("nothing is refused any more", lambda: os.spawnv(os.P_WAIT, check, [check, "--check", "--config", host.config]) == 0)
    renewed(host, members)


@pytest.mark.parametrize("where", ["keeper.flip.place@1", "keeper.flip.place@2", "keeper.flip.place@3", "keeper.write.rename@2"])
def test_a_kill_between_two_places_leaves_no_mix(group, where):
    host, members = group
    host.restart_keeper(dict(ENV, VCC_FAILPOINT=f"{where}=kill"))
    key = host.renew()
    wait_for("it is dead", lambda: not host.processes["keeper"].running())
    host.restart_keeper(ENV)
    host.link.receipt(key, SETTLED)
    all_serve(host, members, host.link.orders[key]["fingerprint"])
    assert len(set(places(host, members))) == 1


@pytest.mark.parametrize("where", [f"keeper.flip.place@{n}" for n in (4, 5, 6)])
def test_a_kill_on_the_way_back_leaves_no_mix(group, where):
    host, members = group
    before, served = places(host, members), host.served()
    write_read(host, lambda: members[1].write_target(reload=NO_EFFECT))
    host.restart_keeper(dict(ENV, VCC_FAILPOINT=f"{where}=kill"))
    key = host.renew()
    wait_for("it is dead", lambda: not host.processes["keeper"].running())
    host.restart_keeper(ENV)
    host.link.receipt(key, FAILED)
    assert places(host, members) == before
    write_read(host, members[1].write_target)
    all_serve(host, members, served)


def test_a_member_that_leaves_ends_alone(group):
    host, members = group
    path = os.path.join(host.dir, "targets.d", "bus.conf")
    os.unlink(path)
    told = host.link.wait("its end is told", lambda: next((t for t in host.link.targets if t["retired"]), None))
    assert told["stem"] == "bus" and not told["last"]
    old = members[1].served()
    renewed(host, members[:1])
    assert members[1].served() == old, "what is no longer managed is left as it is"
    members[1].write_target()
    host.link.wait("it is back", lambda: host.link.targets[-1]["stem"] == "bus" and not host.link.targets[-1]["retired"])
    renewed(host, members)
