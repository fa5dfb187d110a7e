"""nginx, HAProxy and a Python service, each verifying its client and its server, under steady requests from end to end: is nobody refused while every certificate
is renewed, and while the root changes, from the first host that trusts the new one to the last that forgets the old one (LIFECYCLE 7)?"""
import contextlib
import os
import re
import shutil
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import checks
import pytest
from conftest import new_folder
from cryptography import x509
from cryptography.x509.oid import NameOID
from installation import Installation, wait_for
from rights_estate import Api
from test_haproxy import admin
from three_tiers import ThreeTiers

OLD, NEW = "VCC Root CA 1", "VCC Root CA 2"


@pytest.fixture(scope="module")
def tiers():
    folder = new_folder("tiers")
    i = Installation(folder)
    try:
        i.init()
        i.start()
        t = ThreeTiers(i)
        t.start()
        wait_for("a request comes through", lambda: t.front.ask(current(t.caller)) == 200)
        t.first = {host.name: keep(host, f"{folder}/first/{host.name}") for host in t.all}
        t.caller.begin()
        yield t
    finally:
        i.stop()
        shutil.rmtree(folder, ignore_errors=True)


def current(host):
    return f"{host.target_dir}/current"


def keep(host, to):
    """A copy of what the host has now."""
    shutil.copytree(f"{current(host)}/", to)
    return to


def client_of(tiers, tier):
    return next(t for t in tiers.all if t.common_name == tier.client)


def api(inst, who):
    with open(os.path.join(inst.state, f"{who}.token")) as f:
        return Api(inst, f.read().strip())


@contextlib.contextmanager
def under_requests(tiers, what, least=20):
    """Nobody is refused meanwhile, nor a moment before and after; says how many asked."""
    before = tiers.caller.told()
    yield
    wait_for("they go on", lambda: tiers.caller.told()["ok"] >= before["ok"] + least)
    time.sleep(1)
    now = tiers.caller.told()
    d = {k: round(now[k] - before[k], 2) for k in ("ok", "failed", "reopened", "connections", "seconds")}
    print(f"{what}: {d['ok']} requests in {d['seconds']:.1f} s ({d['ok'] / d['seconds']:.0f}/s), {d['connections']} new connections, {d['failed']} failed, "
          f"{d['reopened']} kept connections opened anew, slowest so far {now['slowest_ms']} ms")
    assert d["failed"] == 0, now["errors"]
    assert now["workers"] == 5, "all workers are there"


def certificates(host, name):
    with open(f"{current(host)}/{name}") as f:
        pems = re.findall("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", f.read(), re.S)
    return [x509.load_pem_x509_certificate(p.encode()) for p in pems]


def common_name(name):
    return name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def roots_in(host):
    return {common_name(c.subject) for c in certificates(host, "ca.pem")}


def signer_of(host):
    return common_name(certificates(host, "cert.pem")[0].issuer)


def asks_for(tier):
    """The common names of the authorities that a listener names to its clients."""
    done = subprocess.run(["openssl", "s_client", "-connect", tier.address, "-servername", tier.common_name], input=b"", capture_output=True, timeout=30)
    part = re.search(r"Acceptable client certificate CA names\n(.*?)\n(Requested|Client Certificate|Peer|---)", done.stdout.decode(errors="replace"), re.S)
    return set(re.findall(r"CN ?= ?(.*)", part.group(1))) if part else set()


# ---- before ----------------------------------------------------------------------------------------------------------------------


def test_each_tier_verifies_its_client(tiers):
    """Without a certificate nobody is let in, with one of our CA only who is meant."""
    for tier in tiers.servers:
        mine = client_of(tiers, tier)
        assert tier.ask(current(mine), f"{current(mine)}/ca.pem") == 200, f"{tier.name} does not let in {mine.name}"
        assert tier.ask() in (None, 400), f"{tier.name} lets in who shows nothing"
        assert tier.ask(f"{tier.target_dir}/before") in (None, 400), f"{tier.name} believes a stranger"
        for other in tiers.all:
            assert other is mine or tier.ask(current(other)) == 403, f"{tier.name} lets in {other.name}"


def test_renewals_one_after_the_other_and_all_at_once(tiers):
    with under_requests(tiers, "four renewals, one after the other"):
        for host in tiers.all:
            tiers.renew(host)
    with under_requests(tiers, "four renewals at once"), ThreadPoolExecutor(4) as pool:
        list(pool.map(tiers.renew, tiers.all))
    for tier in tiers.servers:
        assert not tiers.inst.renewal(tiers.inst.ordered[-1])["error"]
        checks.matching_set(tier.target_dir)


# ---- the change of the root ------------------------------------------------------------------------------------------------------


def at_signer(inst, *words):
    """What a person does there: the signer stopped, a command of it, the signer started."""
    signer = inst.processes["signer"]
    signer.stop()
    done = subprocess.run([inst.bin("vcc-signer"), *words, "--config", inst.conf("signer")], capture_output=True, text=True, timeout=120)
    signer.start()
    assert done.returncode == 0, done.stdout + done.stderr


def trust(inst):
    return api(inst, "admin").get("trust")


def test_both_roots_are_trusted_everywhere(tiers):
    inst = tiers.inst
    with under_requests(tiers, "both roots reach every tier"):
        at_signer(inst, "new-root")
        wait_for("every host has told", lambda: (t := trust(inst))["epoch"] == 2 and t["behind"] == 0 and t["away"] == 0)
    t = trust(inst)
    assert (t["proved"], t["reloaded"], t["unproved"]) == (2, 2, 0), "nginx and HAProxy name the roots to their clients"
    for host in tiers.all:
        assert roots_in(host) == {OLD, NEW}
    assert asks_for(tiers.front) == {OLD, NEW} and asks_for(tiers.middle) == {OLD, NEW}
    assert f"{current(tiers.middle)}/ca.pem - 2 certificate(s)" in admin(f"{tiers.middle.base}/admin.sock", b"show ssl ca-file")


def test_renewals_with_both_roots(tiers):
    with under_requests(tiers, "four renewals at once, with both roots"), ThreadPoolExecutor(4) as pool:
        list(pool.map(tiers.renew, tiers.all))


ROLLOVER = "/api/v1/ca/root-1/rollover"


def rollover(inst):
    return api(inst, "admin").get("ca/root-1/rollover")


def asked_for(inst, path, body):
    """What one person asks for and another agrees to."""
    asked = wait_for("it can be asked for", lambda: (a := api(inst, "admin")("POST", path, body))[0] == 202 and a[1])
    approval = asked["approval"]
    status, answer = api(inst, "approver")("POST", f"/api/v1/approvals/{approval['approval_id']}/approve", {"hash": approval["hash"]})
    assert status == 200, answer


def test_everything_is_issued_below_the_new_root(tiers):
    inst = tiers.inst
    with under_requests(tiers, "everything is issued below the new root"):
        asked_for(inst, ROLLOVER, {"reason": "it grows old"})
        wait_for("every host has both roots", lambda: (r := rollover(inst))["phase"] == "trust" and r["trust"]["missing"] == 0)
        status, answer = api(inst, "admin")("POST", f"{ROLLOVER}/advance", {})
        assert status == 200, answer
        wait_for("nothing is left", lambda: (r := rollover(inst))["phase"] == "draining" and r["left"]["agents"] == 0)
    for host in tiers.all:
        assert signer_of(host) == "VCC Service CA 2" and roots_in(host) == {OLD, NEW}
        checks.matching_set(host.target_dir)
    assert any(seen.split("VCC")[1:] == [" Service CA 2 "] * 3 + [" Service CA 2"] for seen in tiers.caller.told()["seen"]), "requests came through all of them"


def test_who_comes_late_finds_a_path(tiers):
    """With the certificate and the trust of before the change; and sessions begin that shall end with the old root."""
    tiers.sessions = []
    for tier in tiers.servers:
        first = tiers.first[client_of(tiers, tier).name]
        assert tier.ask(first, f"{first}/ca.pem") == 200
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = tier.context(first, None)
            context.minimum_version = context.maximum_version = version
            assert tier.ask(context=context) == 200
            tiers.sessions.append((tier, context, tier.session))


def test_the_old_root_is_forgotten(tiers):
    inst = tiers.inst
    with under_requests(tiers, "the old root is dropped everywhere"):
        asked_for(inst, f"{ROLLOVER}/retire", {"consumers": []})
        at_signer(inst, "drop-root", "root-1")
        wait_for("every host has told", lambda: (t := trust(inst))["epoch"] == 3 and t["behind"] == 0 and t["away"] == 0)
        wait_for("it is over", lambda: rollover(inst)["phase"] == "retired")
    for host in tiers.all:
        assert roots_in(host) == {NEW}
    assert asks_for(tiers.front) == {NEW} and asks_for(tiers.middle) == {NEW}
    for tier in tiers.servers:
        mine = client_of(tiers, tier)
        assert tier.ask(current(mine), f"{current(mine)}/ca.pem") == 200
        assert tier.ask(tiers.first[mine.name]) in (None, 400), f"{tier.name} lets in a client of the old root"
    for tier, context, session in tiers.sessions:
        assert tier.ask(context=context, session=session) in (None, 400), f"{tier.name} lets in who resumes a session, {context.maximum_version}"


def test_renewals_below_the_new_root(tiers):
    with under_requests(tiers, "four renewals at once, below the new root"), ThreadPoolExecutor(4) as pool:
        list(pool.map(tiers.renew, tiers.all))


def test_nobody_failed_from_the_first_request_to_the_last(tiers):
    told = tiers.caller.end()
    print({k: v for k, v in told.items() if k != "errors"})
    assert told["failed"] == 0 and told["workers"] == 0, told["errors"]
    assert told["ok"] > 200 and told["connections"] > 50
