"""Is an order applied exactly once wherever the link is cut? After two dozen bytes of a reconnect and a renewal; with VCC_LONG=1 after each byte."""
import concurrent.futures
import os
import random
import shutil
import time

import checks
import pytest
from conftest import new_folder
from installation import TEMPLATES, Installation, wait_for
from proxy import Proxy

LONG = os.environ.get("VCC_LONG") == "1"
HOSTS = 16 if LONG else 8  # on two cores 16 go through 6.5 positions a second, 8 through 3.4; with 24 the processors are full
SHORT = 24


@pytest.fixture
def world():
    """(installation, [(host, its proxy)]): the hosts differ in nothing but their number."""
    path = new_folder("cuts")
    inst = Installation(path)
    pairs = []
    try:
        inst.init()
        inst.start()
        for i in range(HOSTS):
            pairs.append((inst.prepare_echo(i * len(TEMPLATES)), Proxy(inst.agents_address)))
        each(pairs, lambda host, proxy: enrol(inst, host, proxy))
        yield inst, pairs
    finally:
        inst.stop()
        for _, proxy in pairs:
            proxy.close()
        shutil.rmtree(path, ignore_errors=True)


def enrol(inst, host, proxy):
    host.enrol({"agent.agent.controller": proxy.address, "agent.agent.reconnect_spread": "100ms"})
    inst.wait_served(host)


def each(pairs, do):
    """All hosts at a time; what each gave."""
    with concurrent.futures.ThreadPoolExecutor(len(pairs)) as pool:
        return list(pool.map(lambda pair: do(*pair), pairs))


def exchange_size(inst, host, proxy):
    """Bytes of a reconnect and one whole renewal."""
    before = checks.served_is_issued(inst, host)
    proxy.cut_now()
    inst.vccctl("cert", "renew", host.cert_id, "--force")
    inst.wait_renewed(host, before)
    time.sleep(0.5)
    return proxy.passed


def positions(total):
    """Long: all. Short: evenly spread, with the first and the last."""
    if LONG:
        return list(range(1, total + 1))
    step = total // SHORT
    first = random.Random(36).randrange(1, step)
    return [1, *range(first, total, step), total]


def completed(inst, renewal_id):
    return inst.renewal(renewal_id)["status"] == "completed"


def applied_once(inst, renewal_id):
    db, key = os.path.join(inst.state, "controller", "vcc.db"), bytes.fromhex(renewal_id.replace("-", ""))
    order = checks.rows(db, "SELECT phase, attempt, failures FROM orders WHERE renewal_id = ?", key)
    assert order == [("completed", 1, 0)], order
    issued = checks.rows(db, "SELECT count(*) FROM issuances WHERE renewal_id = ? AND state <> 'void'", key)
    assert issued[0][0] == 1, f"{issued[0][0]} certificates for one order"


def generation(host):
    return int(os.readlink(os.path.join(host.target_dir, "current"))[1:])


def swaps(host):
    """How often the keeper has put another generation in its place. Numbers do not tell: a rehearsal takes one, too."""
    with open(host.processes["keeper"].log) as f:
        return f.read().count(f"{host.cert_id}: flip -> reload")


def renewed_in_spite_of_a_cut(inst, host, proxy, k):
    """The link is cut at byte k of two connections, one after the other. True when there was a byte k to cut at."""
    before, folder, swapped, cuts = checks.served_is_issued(inst, host), generation(host), swaps(host), proxy.cuts
    proxy.cut_after = k
    proxy.cut_now()
    renewal = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    wait_for("two cuts, or the end without them", lambda: proxy.cuts >= cuts + 2 or completed(inst, renewal), 90)
    proxy.cut_after = None
    inst.wait_renewed(host, before, 90)
    wait_for("completed", lambda: completed(inst, renewal), 30)
    applied_once(inst, renewal)
    assert swaps(host) == swapped + 1 and generation(host) > folder, "swapped once"
    return proxy.cuts > cuts


def share(inst, host, proxy, mine):
    """How many of these positions were cut at."""
    cut = 0
    for k in mine:
        try:
            cut += renewed_in_spite_of_a_cut(inst, host, proxy, k)
        except Exception as e:
            logs = "".join(f"---- {p.name}\n{p.tail()}" for p in host.processes.values())
            raise AssertionError(f"{host.name}, cut after byte {k}: {e!r}\n{logs}") from e
    checks.served_is_issued(inst, host)
    return cut


def test_an_order_is_applied_once_wherever_the_link_is_cut(world):
    inst, pairs = world
    total = max(each(pairs, lambda host, proxy: exchange_size(inst, host, proxy)))
    assert total > 2000
    todo = positions(total)
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(len(pairs)) as pool:
        shares = [pool.submit(share, inst, host, proxy, todo[i::len(pairs)]) for i, (host, proxy) in enumerate(pairs)]
    failures = [str(s.exception()) for s in shares if s.exception()]
    assert not failures, "\n".join(failures)
    cut = sum(s.result() for s in shares)
    print(f"{total} bytes, {len(todo)} positions, {cut} cut, {time.monotonic() - begun:.0f} s")
    assert cut >= len(todo) * 0.9, f"only {cut} of {len(todo)} positions were reached"
