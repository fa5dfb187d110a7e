"""A slow key is made off the loop: does everything else of the keeper go on meanwhile, and is the key then used?"""
import os
import shutil
import subprocess
import time

import pytest
from installation import ROOT, wait_for, write
from keeper_host import KeeperHost, temporary

VERIFIED, SETTLED, FAILED, REFUSED, KEPT = range(5)
P256, RSA_4096 = 0, 4
FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
OTHER = "clara01-other"


def add_target(host):
    """A second target beside nginx, without a listener."""
    write(f"{host.dir}/targets.d/other.conf", f"[target]\ncert_id = {OTHER}\ntemplate = clara_service_auth\nnames = other.clara.vcc.internal\n"
          f"dir = {host.dir}/other\n[verify]\nkind = none\n")


@pytest.fixture(scope="module")
def host():
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    folder = temporary()
    h = KeeperHost(folder, FAULTS)
    add_target(h)
    try:
        h.start()
        wait_for("both targets are known", lambda: {t["cert_id"] for t in h.link.targets} == {OTHER, h.cert_id})
        yield h
    finally:
        h.stop()
        shutil.rmtree(folder, ignore_errors=True)


def order_other(host):
    return host.link.order(OTHER, ["other.clara.vcc.internal"], key_type=P256)


def csr_of(host, key):
    return next((c for c in host.link.csrs if (c["renewal_id"], c["attempt"]) == key), None)


def test_a_key_that_takes_long_holds_up_nobody(host):
    host.restart_keeper({"VCC_FAILPOINT": "keeper.key@1=delay:15000"})
    slow = host.renew(key_type=RSA_4096)
    wait_for("the key is being made", lambda: any(t["phase"] == "key" for t in host.link.status(host.socket)["targets"]))
    quick = order_other(host)
    host.link.receipt(quick, SETTLED)
    assert csr_of(host, slow) is None, "the other target was done first"
    receipt = host.link.receipt(slow, SETTLED)
    assert receipt["probes_failed"] == 0
    assert host.served() == host.link.orders[slow]["fingerprint"]


def test_a_real_rsa_4096_key_and_a_keeper_that_answers(host):
    host.restart_keeper({})
    slow = host.renew(key_type=RSA_4096)
    answers, worst, quick = 0, 0.0, []
    while csr_of(host, slow) is None:
        before = time.monotonic()
        host.link.status(host.socket)
        worst, answers = max(worst, time.monotonic() - before), answers + 1
        if answers == 1:
            quick.append(order_other(host))
        time.sleep(0.01)
        assert time.monotonic() - before < 30
    host.link.receipt(quick[0], SETTLED)
    host.link.receipt(slow, SETTLED)
    assert answers >= 1 and worst < 5, "seconds would mean that the loop made the key itself"
    text = subprocess.run(["openssl", "pkey", "-in", f"{host.tls}/current/key.pem", "-noout", "-text"], capture_output=True, text=True, check=True).stdout
    assert "4096 bit" in text
