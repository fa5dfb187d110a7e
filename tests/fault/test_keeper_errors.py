"""No space, a failing disk, no permission at every fault point of a swap (an eighth of them; VCC_LONG=1 all): refused with a clear error or finished; never half applied, never stuck.

A journal whose sync failed ends the keeper (what is on disk then, only reading again can tell); systemd starts it again, so does this test."""
import os
import shutil
import time

import pytest
from test_keeper_kills import FAULTS, SCENES, chosen, make_host, passed, restart, settle

SETTLED, FAILED, REFUSED, KEPT = 1, 2, 3, 4


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


def ends(host, key, seconds=60):
    """Keeps the keeper running until the order has ended."""
    end = time.monotonic() + seconds
    while not set(host.link.outcomes(key)) & {SETTLED, FAILED, REFUSED, KEPT}:
        assert time.monotonic() < end, f"the order never ends\n{host.log('keeper')[-3000:]}"
        if not host.processes["keeper"].running():
            restart(host, "keeper", {})
        time.sleep(0.05)
    return next(r for r in host.link.receipts if (r["renewal_id"], r["attempt"]) == key and r["outcome"] in (SETTLED, FAILED, REFUSED, KEPT))


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"] if os.environ.get("VCC_LONG") == "1" else ["ENOSPC"])
@pytest.mark.parametrize("scene", ["swap", "rollback"])
def test_error_at_every_point(host, scene, error):
    for point, (early, _) in chosen(scene, passed(host, scene, "keeper")):
        before = host.check_set()
        restart(host, "keeper", {"VCC_FAILPOINT": f"{point}@{early + 1}=err:{error}"})
        key, _ = SCENES[scene](host)
        try:
            receipt = ends(host, key)
            if receipt["outcome"] != SETTLED:
                assert receipt["code"] < 0 and receipt["cause"], receipt
            if receipt["outcome"] in (FAILED, REFUSED):
                assert host.check_set() == before, "the old pair"
            assert host.check_set() == host.served()
        except AssertionError as e:
            raise AssertionError(f"{scene}: {point} = {error}: {e}") from e
        settle(host)


def test_a_full_disk_is_only_a_pause(host):
    """Nothing can be written for a while: no flip, no busy loop, and the next order works."""
    restart(host, "keeper", {"VCC_FAILPOINT": "file_write=err:ENOSPC"})
    before = host.check_set()
    key = host.renew()
    receipt = ends(host, key)
    assert receipt["outcome"] == FAILED and receipt["code"] == -1301 and host.check_set() == before == host.served()
    restart(host, "keeper", {})
    assert ends(host, host.renew())["outcome"] == SETTLED
