"""Link identities: renewed at half life with the host key's signature, the connection moves to the new one, and no work is lost."""
import concurrent.futures
import datetime
import os
import shutil
import signal
import time

import checks
import pytest
import wire_tables
from conftest import new_folder
from fake_agent import Closed, FakeAgent
from installation import Failed, Installation, wait_for


@pytest.fixture(scope="module")
def short_lived():
    path = new_folder("identity")
    inst = Installation(path, {"controller.identity.agent": "16s"})
    try:
        inst.init()
        inst.start()
        host = inst.add_echo(0)
        inst.wait_served(host)
        yield inst, host
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def identity(inst, host):
    return inst.agent(host.name)["identity_serial"]


def test_identity_is_renewed_again_and_again_with_work_in_flight(short_lived):
    inst, host = short_lived
    seen = {identity(inst, host)}
    end = time.monotonic() + 90
    renewals = 0
    while len(seen) < 4:
        assert time.monotonic() < end, f"only {len(seen)} identities after 90 s"
        before = checks.served_is_issued(inst, host)
        inst.vccctl("cert", "renew", host.cert_id, "--force")
        inst.wait_renewed(host, before, 40)
        renewals += 1
        seen.add(identity(inst, host))
    assert renewals >= 3
    log = open(host.processes["agent"].log).read()
    assert log.count("moving to the new identity; next try in 0 ms") >= 3, "F81: the connection moves at once"
    db = inst.facts()["controller"]["db"]
    assert checks.rows(db, "SELECT count(*) FROM orders WHERE phase NOT IN ('completed')")[0][0] == 0
    wait_for("connected", lambda: inst.agent(host.name)["connected"], 20)


def test_an_identity_ends_the_connection_that_rides_on_it(short_lived):
    """F81: the link's key and certificate, kept by somebody who does not renew: cut off when the certificate ends, and not let in again."""
    inst, host = short_lived
    path = os.path.join(inst.dir, "kept.pem")
    host.processes["agent"].stop()
    shutil.copy(os.path.join(host.dir, "link", "identity.pem"), path)
    end = not_after(path)
    peer = FakeAgent(inst.agents_address, path, timeout=60).upgrade()
    codes = []
    with pytest.raises(Closed):
        while True:
            kind, _, fields = wire_tables.decode("agent", peer.recv())
            codes += [fields["code"]] if kind == "bye" else []
    peer.close()
    assert codes == [-3305], codes
    assert time.time() >= end - 1
    with pytest.raises((Closed, OSError)):
        FakeAgent(inst.agents_address, path).upgrade().recv()


def test_an_ended_identity_is_replaced_by_the_host_key(short_lived):
    """The host was off for longer than its identity lives: it comes back without a hand."""
    inst, host = short_lived
    wait_for("it has ended", lambda: time.time() > not_after(os.path.join(host.dir, "link", "identity.pem")), 60, 0.2)
    host.processes["agent"].start()
    wait_for("connected", lambda: inst.agent(host.name)["connected"], 60)
    inst.wait_served(host)
    assert "its host key asks for a new one" in open(host.processes["agent"].log).read()


def test_an_eviction_while_the_signer_works_stays(short_lived):
    """The certificate of a host that is evicted before the signer has answered: revoked it was, revoked it stays, and nobody gets it."""
    inst, _ = short_lived
    host = inst.prepare_echo(1)
    inst.hosts.remove(host)  # it never becomes one of ours
    signer = inst.processes["signer"]
    signer.kill(signal.SIGSTOP, wait=False)
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            joining = pool.submit(host.join)
            wait_for("the invite is redeemed", lambda: any(a["name"] == host.name for a in inst.vccctl("agent", "list")), 20, 0.2)
            inst.vccctl("agent", "evict", host.name)
            signer.kill(signal.SIGCONT, wait=False)
            with pytest.raises(Failed, match="VCC-3206"):
                joining.result(60)
    finally:
        signer.kill(signal.SIGCONT, wait=False)
        host.processes["echo"].stop()
    db = os.path.join(inst.state, "controller", "vcc.db")
    assert checks.rows(db, "SELECT state FROM issuances WHERE owner_id = ?", host.name) == [("revoked",)]


def not_after(path):
    from cryptography import x509
    pem = open(path, "rb").read()
    leaf = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERTIFICATE"):])
    return leaf.not_valid_after.replace(tzinfo=datetime.timezone.utc).timestamp()


def test_scheduled_renewal_in_seconds(short_lived):
    """A template valid for seconds renews by itself."""
    inst, host = short_lived
    before = checks.served_is_issued(inst, host)
    inst.edit_template(host.template, validity_period="30s", renewal_threshold="10s", emergency_threshold="5s", max_renewals=0)
    first = inst.wait_renewed(host, before)["fingerprint"]  # by the changed policy
    second = inst.wait_renewed(host, first, 60)
    newest = inst.certificate(host.cert_id)["renewals"][0]
    assert newest["renewal_trigger"] == "scheduled" and newest["requested_by"] == "scheduler", newest
    assert second["fingerprint"] != first
