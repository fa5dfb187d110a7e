"""Revocation lists on one host, with a controller, link and public listener that lie, stall or die: are only good lists ever used, do the old ones stay
otherwise, is it said why, and is it tried again?"""
import hashlib
import os
import shutil
import time

import pytest
from cryptography import x509
from fake_ca import DAY, Authorities, Authority, now
from installation import ROOT, wait_for, write
from keeper_host import KeeperHost, temporary

VERIFIED, SETTLED, FAILED, REFUSED, KEPT = range(5)
CONTENT = 2
FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
ENV = {"VCC_PROBE_MS": "1500", "VCC_HEAL_MS": "300", "VCC_CRL_PACE_MS": "100", "VCC_CRL_RETRY_MS": "200", "VCC_LISTS_MS": "1500"}
POINT = "http://pki.vcc.internal/crl/{}/{}.crl"
MIB = 1 << 20
LONG = os.environ.get("VCC_LONG") == "1"


def new_host(name, env=ENV, lists=True):
    """A host that wants lists, joined and running; `lists`: it has a certificate and its first lists."""
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    h = KeeperHost(temporary(), FAULTS, name)
    h.settings["verify"] += "[trust]\ncrl = yes\n"
    h.number = 10
    h.start_nginx()
    h.write_target()
    assert h.join()["code"] == 0
    h.start_hook()
    h.start_keeper(env)
    if lists:
        h.link.announce(next_lists(h))
        h.link.receipt(h.renew(), SETTLED)
        assert on_host(h) == h.link.files[1]
    return h


def end(h):
    h.stop()
    shutil.rmtree(h.dir, ignore_errors=True)


@pytest.fixture(scope="module")
def host():
    h = new_host("clara01")
    yield h
    end(h)


def lists(host, number, revoked=(), **changes):
    """A good set: a shard of the service CA, one of the agent CA, the root's."""
    cas = host.link.cas
    return (cas.service.crl(number, revoked, POINT.format("service-1", 0), **changes) + cas.agent.crl(number, (), POINT.format("agent-1", 0)) + cas.root.crl(number))


def next_lists(host, **changes):
    host.number += 1
    return lists(host, host.number, **changes)


def on_host(host):
    try:
        with open(f"{host.tls}/current/crl.pem", "rb") as f:
            return f.read()
    except OSError:
        return None


def status(host):
    return host.link.status(host.socket)["lists"]


def comes(host, pem, what="the lists are in use"):
    wait_for(what, lambda: on_host(host) == pem, 30)
    host.link.wait("the receipt names them", lambda: host.link.receipts and host.link.receipts[-1]["crl_hash"] == hashlib.sha256(pem).digest())
    assert "code" not in status(host)


def refused(host, code, seconds=30):
    """The old ones stay, the host says why, to people and to the controller, and tries again."""
    before = on_host(host)
    wait_for(f"{code} is told", lambda: status(host).get("code") == code, seconds)
    n = len(host.link.fetches)
    host.link.wait("the controller is told", lambda: host.link.targets[-1]["code"] == -int(code[4:]))
    if code != "VCC-2025":  # larger than any host takes: nothing is asked for
        host.link.wait("it is tried again", lambda: len(host.link.fetches) > n)
    assert on_host(host) == before is not None and host.processes["keeper"].running()


# ---- the first ones ----

def test_an_order_does_not_wait_for_ever():
    """Nobody announces anything: the order goes on without lists, and says so. When they come, they need no order."""
    h = new_host("clara02", lists=False)
    try:
        begun = time.monotonic()
        receipt = h.link.receipt(h.renew(), SETTLED)
        assert time.monotonic() - begun > 1.4 and on_host(h) is None
        assert any("without revocation lists" in s["detail"] for s in receipt["steps"]), receipt["steps"]
        assert receipt["crl_hash"] == bytes(32) and status(h)["code"] == "VCC-2026"
        assert h.link.fetches == [], "nothing was announced"
        h.link.wait("the controller is told", lambda: h.link.targets[-1]["code"] == -2026)

        first, seq, served = next_lists(h), h.link.receipt_seq, h.served()
        h.link.announce(first)
        receipt = h.link.care(CONTENT, after=seq)
        assert receipt["crl_hash"] == hashlib.sha256(first).digest() and receipt["probes_failed"] == 0
        comes(h, first)
        assert h.served() == served == h.check_set(), "key and certificate stay"
        assert [f["kind"] for f in h.link.fetches] == [1, 0] and h.link.fetches[0]["hash"] == hashlib.sha256(first).digest()
        h.link.wait("the controller is told", lambda: h.link.targets[-1]["code"] == 0)
    finally:
        end(h)


def test_an_order_takes_them_along(host):
    receipt = host.link.receipt(host.renew(), SETTLED)
    assert receipt["crl_hash"] == hashlib.sha256(on_host(host)).digest() and receipt["trust_epoch"] == 1
    assert not any("without" in s["detail"] for s in receipt["steps"])


def test_the_same_ones_are_not_fetched_again(host):
    n, current = len(host.link.fetches), host.current()
    host.link.announce(on_host(host))
    host.link.welcome()
    host.link.announce(on_host(host))
    time.sleep(1)
    assert len(host.link.fetches) == n and host.current() == current


def test_the_first_ones_are_waited_for():
    """The service's own test asks for the file: an order that comes before the lists waits for them."""
    h = new_host("clara03", dict(ENV, VCC_LISTS_MS="30000"), lists=False)
    try:
        path = f"{h.base}/nginx.conf"
        with open(path) as f:
            text = f.read()
        write(path, text.replace("server_name", f"ssl_crl {h.tls}/current/crl.pem; server_name"))
        key = h.renew()
        h.link.wait("the certificate is there", lambda: h.link.orders[key]["certificate"])
        time.sleep(1.5)
        assert h.link.outcomes(key) == [] and h.current() == "g000001"
        pem = next_lists(h)
        h.link.announce(pem)
        receipt = h.link.receipt(key, SETTLED)
        assert on_host(h) == pem and receipt["code"] == 0 and FAILED not in h.link.outcomes(key)
        assert receipt["crl_hash"] == hashlib.sha256(pem).digest()
    finally:
        end(h)


# ---- lies ----

def foreign(host):
    other = Authorities()
    return lists(host, host.number + 1) + other.service.crl(1, (), POINT.format("service-1", 1))


def foreign_with_its_authority(host):
    other = Authorities()
    return lists(host, host.number + 1) + other.service.crl(1, (), POINT.format("service-1", 1)), [host.link.cas.service, host.link.cas.agent, other.service, other.root]


def self_made_authority(host):
    """An issuing CA's key is not enough: no authority below it."""
    rogue = Authority("Rogue", host.link.cas.service)
    return lists(host, host.number + 1) + rogue.crl(1, (), POINT.format("rogue", 0)), [host.link.cas.service, host.link.cas.agent, rogue]


def without_authorities(host):
    return lists(host, host.number + 1), [host.link.cas.agent]


def lower(host):
    return lists(host, host.number - 1)


def expired(host):
    return lists(host, host.number + 1, begin=now() - 2 * DAY, end=now() - 5)


def future(host):
    return lists(host, host.number + 1, begin=now() + 3600, end=now() + DAY)


def certificate_among(host):
    return lists(host, host.number + 1) + host.link.cas.service.pem


def text_among(host):
    return lists(host, host.number + 1) + b"# nothing but a remark\n"


def twice(host):
    return lists(host, host.number + 1) + host.link.cas.root.crl(host.number + 2)


def altered(host):
    good = bytearray(lists(host, host.number + 1))
    at = good.index(b"\n", 200) - 10
    good[at] = ord("A") if good[at] != ord("A") else ord("B")
    return bytes(good)


def empty_list_of_nothing(host):
    return b"-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n"


@pytest.mark.parametrize("lie,code", [(foreign, "VCC-2022"), (foreign_with_its_authority, "VCC-2022"), (self_made_authority, "VCC-2022"),
                                      (without_authorities, "VCC-2022"), (lower, "VCC-2023"), (expired, "VCC-2024"), (future, "VCC-2024"),
                                      (certificate_among, "VCC-1411"), (text_among, "VCC-1411"), (twice, "VCC-1411"), (empty_list_of_nothing, "VCC-1411")],
                         ids=lambda v: getattr(v, "__name__", v))
def test_bad_lists_are_refused_whole(host, lie, code):
    made = lie(host)
    pem, issuers = made if isinstance(made, tuple) else (made, None)
    host.link.announce(pem, issuers)
    refused(host, code)
    good = next_lists(host)
    host.link.announce(good)
    comes(host, good)


def test_an_altered_list_is_refused(host):
    host.link.announce(altered(host))
    before = on_host(host)
    wait_for("it is refused", lambda: status(host).get("code") in ("VCC-1411", "VCC-2022"), 30)
    assert on_host(host) == before
    good = next_lists(host)
    host.link.announce(good)
    comes(host, good)


def test_what_comes_must_be_what_was_announced(host):
    good, other = next_lists(host), lists(host, host.number + 5)
    host.link.announce(good)
    comes(host, good)
    host.link.announce(other, hash=hashlib.sha256(b"something else").digest())
    refused(host, "VCC-2021")
    good = next_lists(host)
    host.link.announce(good)
    comes(host, good)


def test_lists_that_no_host_takes_are_not_fetched(host):
    n = len(host.link.fetches)
    for size in (16 * MIB + 1, 0, (1 << 64) - 1):
        host.link.announce(next_lists(host), size=size)
        refused(host, "VCC-2025")
    time.sleep(1)
    assert len(host.link.fetches) == n
    good = next_lists(host)
    host.link.announce(good)
    comes(host, good)


def test_large_ones_are_taken_in_bounded_memory(host):
    """12 MiB in pieces (a tenth in the short run): in use in the end, and the memory given back."""
    def memory():
        with open(f"/proc/{host.processes['keeper'].pid}/status") as f:
            rows = dict(line.split(":", 1) for line in f)
        return int(rows["VmRSS"].split()[0]) / 1024, int(rows["VmHWM"].split()[0]) / 1024

    before, _ = memory()
    wanted = 12 if LONG else 1
    cas, point = host.link.cas, POINT.format("service-1", 7)
    host.number += 1
    small = cas.service.crl(host.number, range(1 << 100, (1 << 100) + 10000), point)
    more = b"".join(cas.service.crl(host.number, range(1 << 100, (1 << 100) + 10000), POINT.format("service-1", 8 + i)) for i in range(wanted * MIB // len(small)))
    pem = lists(host, host.number) + small + more
    assert wanted * MIB < len(pem) < 16 * MIB
    host.link.announce(pem)
    comes(host, pem)
    after, peak = memory()
    print(f"\nkeeper: {before:.1f} MiB before, {peak:.1f} at most, {after:.1f} after {len(pem) / MIB:.1f} MiB of lists")
    assert "asan" in FAULTS or (peak < before + 4 + 6 * len(pem) / MIB and after < before + 8)
    good = next_lists(host)
    host.link.announce(good)
    comes(host, good)


# ---- pieces ----

def gap(link, want):
    data = link.files[want["kind"]]
    link.piece(want, offset=0, total=len(data), bytes=data[:100])
    link.piece(want, offset=101, total=len(data), bytes=data[101:200])


def beyond(link, want):
    data = link.files[want["kind"]]
    link.piece(want, offset=0, total=len(data), last=True, bytes=data + b"x")


def longer(link, want):
    link.piece(want, offset=0, total=want["limit"] + 1, bytes=b"x" * 100)


def last_too_early(link, want):
    data = link.files[want["kind"]]
    link.piece(want, offset=0, total=len(data), last=True, bytes=data[:100])


def shrinking(link, want):
    data = link.files[want["kind"]]
    link.piece(want, offset=0, total=len(data), bytes=data[:100])
    link.piece(want, offset=100, total=50, bytes=data[100:])


def code_of_the_link(link, want):
    link.piece(want, code=-2020, last=True, text="HTTP status 404")


@pytest.mark.parametrize("deliver", [gap, beyond, longer, last_too_early, shrinking, code_of_the_link], ids=lambda f: f.__name__)
def test_pieces_that_do_not_fit(host, deliver):
    good = next_lists(host)
    host.link.deliver = lambda want: deliver(host.link, want)
    try:
        host.link.announce(good)
        refused(host, "VCC-2020")
    finally:
        host.link.deliver = host.link.pieces
    comes(host, good)


def test_pieces_of_another_request_are_for_nobody(host):
    good, evil = next_lists(host), b"x" * 5000

    def deliver(want):
        host.link.piece(dict(want, request=want["request"] - 1), offset=0, total=len(evil), last=True, bytes=evil)
        host.link.piece(dict(want, request=want["request"] + 1), offset=0, total=len(evil), last=True, bytes=evil)
        host.link.pieces(want)
        host.link.piece(want, offset=len(good), total=len(good) + 1, last=True, bytes=b"y")

    host.link.deliver = deliver
    try:
        host.link.announce(good)
        comes(host, good)
    finally:
        host.link.deliver = host.link.pieces


def test_a_link_that_never_answers(host):
    host.restart_keeper(dict(ENV, VCC_CRL_FETCH_MS="1000"))
    host.link.deliver = lambda want: None
    good = next_lists(host)
    try:
        host.link.announce(good)
        refused(host, "VCC-2020")
    finally:
        host.link.deliver = host.link.pieces
    comes(host, good)
    host.restart_keeper(ENV)


def test_the_link_dies_in_the_middle(host):
    good = next_lists(host)
    host.link.deliver = lambda want: host.link.piece(want, offset=0, total=len(good), bytes=good[:10])
    host.link.announce(good)
    host.link.wait("it is asked for", lambda: host.link.fetches[-1]["hash"] == hashlib.sha256(good).digest())
    host.link.close()
    host.link.deliver = host.link.pieces
    host.link.connect(host.socket)
    host.link.announce(good)
    comes(host, good)


def test_others_while_they_are_under_way(host):
    """The listener has newer ones than those that were announced: they fit the next announcement."""
    first, second = next_lists(host), next_lists(host)
    host.link.deliver = lambda want: None
    host.link.announce(first)
    want = host.link.wait("asked", lambda: host.link.fetches and host.link.fetches[-1]["hash"] == hashlib.sha256(first).digest() and host.link.fetches[-1])
    host.link.deliver = host.link.pieces
    host.link.announce(second)
    host.link.pieces(want)
    comes(host, second)


def test_a_burst_is_one_generation(host):
    """Lists that change all the time: the newest in the end, and never more than one generation in the pace."""
    host.restart_keeper(dict(ENV, VCC_CRL_PACE_MS="3000"))
    seen, pem = set(), next_lists(host)
    host.link.announce(pem)  # the first after a start comes at once
    comes(host, pem)
    until = time.monotonic() + 7
    while time.monotonic() < until:
        pem = next_lists(host)
        host.link.announce(pem)
        for _ in range(5):
            seen.add(host.current())
            time.sleep(0.05)
    comes(host, pem)
    assert 2 <= len(seen) <= 4, seen
    host.restart_keeper(ENV)


# ---- damage, space, clocks ----

def test_no_space_for_them(host):
    good = next_lists(host)
    host.restart_keeper(dict(ENV, VCC_FAILPOINT="keeper.crl.save=err:ENOSPC"))
    host.link.announce(good)
    refused(host, "VCC-1301")
    host.restart_keeper(ENV)
    host.link.announce(good)
    comes(host, good)


@pytest.mark.parametrize("damage", ["cut", "altered", "empty", "gone"])
def test_damaged_lists_are_fetched_again_and_never_used(host, damage):
    path = os.path.join(host.dir, "keeper", "crl")
    before, current, seq = on_host(host), host.current(), host.link.receipt_seq
    host.link.close()
    host.processes["keeper"].kill()
    if damage == "gone":
        os.unlink(path)
    else:
        data = bytearray(open(path, "rb").read())
        data[len(data) // 2] ^= 1
        with open(path, "r+b") as f:
            f.write(data)
            f.truncate({"cut": len(data) // 2, "altered": len(data), "empty": 0}[damage])
    host.start_keeper(ENV)
    time.sleep(1)
    assert on_host(host) == before and host.current() == current, "nothing is made without lists, or from damaged ones"
    assert status(host)["code"] == "VCC-2026"
    host.link.announce(before)
    wait_for("they are there again", lambda: "code" not in status(host), 30)
    time.sleep(0.5)
    assert host.current() == current and host.link.receipt_seq == seq, "the same lists: nothing had to be made"


def test_a_host_whose_clock_is_wrong_judges_by_the_controllers(host):
    """An hour ahead: lists of half an hour are good, and ended ones are not."""
    host.restart_keeper(dict(ENV, VCC_CLOCK_OFFSET_MS="3600000"))
    good = next_lists(host, end=now() + 1800)
    host.link.announce(good)
    comes(host, good)
    host.link.announce(lists(host, host.number + 1, begin=now() - DAY, end=now() - 60))
    refused(host, "VCC-2024")
    good = next_lists(host)
    host.link.announce(good)
    comes(host, good)
    host.restart_keeper(ENV)
    host.link.announce(good)


def test_lists_that_have_ended(host):
    """The controller was away for days: it is told, files are still cared for with the lists that a service has, but no service begins with ended ones."""
    good, settings, days = next_lists(host), dict(host.settings), 2 * DAY
    host.link.announce(good)
    comes(host, good)
    host.link.skew_ms = days * 1000  # it is the same time everywhere
    host.restart_keeper(dict(ENV, VCC_CLOCK_OFFSET_MS=str(days * 1000)))
    try:
        wait_for("it is told", lambda: status(host).get("code") == "VCC-2024", 30)
        with open(f"{host.tls}/current/chain.pem", "a") as f:
            f.write("edited\n")
        wait_for("repaired", lambda: "edited" not in open(f"{host.tls}/current/chain.pem").read(), 30)
        assert on_host(host) == good
        host.write_target(verify=settings["verify"].replace("[trust]\ncrl = yes\n", ""))
        wait_for("crl.pem is gone", lambda: on_host(host) is None, 30)
        host.write_target(**settings)
        wait_for("the file is read", lambda: "lists" in host.link.status(host.socket), 30)
        time.sleep(1.5)
        assert on_host(host) is None and status(host)["code"] == "VCC-2024"
        host.number += 1
        fresh = host.link.cas.root.crl(host.number, begin=now() + days - 60, end=now() + days + DAY)
        host.link.announce(fresh)
        comes(host, fresh)
    finally:
        host.link.skew_ms = 0
        host.restart_keeper(ENV)
    good = next_lists(host)
    host.link.announce(good)
    comes(host, good)


def test_who_wants_no_lists_fetches_none(host):
    settings = dict(host.settings)
    host.write_target(verify=settings["verify"].replace("[trust]\ncrl = yes\n", ""))
    wait_for("crl.pem is gone", lambda: on_host(host) is None and "lists" not in host.link.status(host.socket), 30)
    n = len(host.link.fetches)
    host.link.announce(next_lists(host))
    time.sleep(1.5)
    assert len(host.link.fetches) == n
    host.write_target(**settings)
    wait_for("the newest come at once", lambda: on_host(host) == host.link.files[1], 30)


def test_nobody_goes_back_to_a_revoked_pair(host):
    """F26: the new pair cannot be proved, and clients that read lists would refuse the old one: the new one stays, and is healed."""
    with open(f"{host.tls}/current/cert.pem", "rb") as f:
        old = x509.load_pem_x509_certificate(f.read()).serial_number
    host.number += 1
    pem = lists(host, host.number, [old + 1, old])
    host.link.announce(pem)
    comes(host, pem)
    good = dict(host.settings)
    host.write_target(reload="kind = exec\ncommand = /bin/true\n")
    key = host.renew()
    assert host.link.receipt(key, KEPT)["code"] < 0
    issued = host.link.orders[key]["fingerprint"]
    assert host.check_set() == issued
    host.write_target(**good)
    host.link.receipt(key, SETTLED)
    assert host.served() == host.check_set() == issued
