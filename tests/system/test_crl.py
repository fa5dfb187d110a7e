"""Are the revocation lists kept fresh, the root's among them, with numbers that never fall?"""
import os
import shutil
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta

import pytest
from conftest import new_folder
from cryptography import x509
from installation import ROOT, Installation, wait_for
from played_fleet import PlayedFleet
from revocation import get, listed

FAULTS = os.path.join(ROOT, "build-faults", "bin")
DAYS_LATER = 320


def crl(inst, path):
    try:
        der = urllib.request.urlopen(inst.public_url + path, timeout=5).read()
    except (urllib.error.URLError, OSError):
        return None
    return x509.load_der_x509_crl(der)


def wait_crl(what, inst, path, above=0):
    """An empty list is a list: its truth value is its length, so it travels in a tuple."""
    def found():
        c = crl(inst, path)
        return (c,) if c is not None and number(c) > above else None
    return wait_for(what, found, 40)[0]


def number(c):
    return c.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def start(inst, offset_days=0):
    env = {"VCC_CLOCK_OFFSET_MS": str(offset_days * 86400 * 1000)}
    for name in ("signer", "controller"):
        inst.process(name, [inst.bin(f"vcc-{name}"), "--config", inst.conf(name)], env).start()


@pytest.mark.skipif(not os.path.exists(os.path.join(FAULTS, "vcc-controller")), reason="make faults has not been run")
def test_the_roots_list_is_renewed_before_it_ends(folder):
    inst = Installation(folder, binaries=FAULTS)
    try:
        inst.init()
        start(inst)
        first = wait_crl("the root's list is published", inst, "/crl/root-1/0.crl")
        assert first.next_update - datetime.utcnow() < timedelta(days=400)
        for name in ("controller", "signer"):
            inst.processes[name].stop()
        start(inst, DAYS_LATER)
        later = wait_crl("the root's list is renewed", inst, "/crl/root-1/0.crl", number(first))
        assert later.next_update > first.next_update + timedelta(days=DAYS_LATER - 10)
        root = x509.load_pem_x509_certificate(open(os.path.join(inst.state, "ca.pem"), "rb").read())
        assert later.is_signature_valid(root.public_key())
    finally:
        inst.stop()


def test_lists_of_issuing_cas_are_refreshed(folder):
    inst = Installation(folder, {"controller.crl.validity": "60s", "controller.crl.refresh": "3s"})
    try:
        inst.init()
        inst.start()
        host = inst.add_echo(0)
        inst.wait_served(host)
        first = wait_crl("the shard is published", inst, "/crl/service-1/0.crl")
        time.sleep(2)  # what the first issue still changes
        first = wait_crl("the shard is published", inst, "/crl/service-1/0.crl")
        again = wait_crl("it is made anew", inst, "/crl/service-1/0.crl", number(first))
        assert again.last_update - first.last_update >= timedelta(seconds=2)
        assert number(again) - number(first) < 10, "lists are made when they are due, not in a loop"
        idp = again.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
        assert idp.critical and idp.value.full_name[0].value == f"{inst.public_url}/crl/service-1/0.crl"
    finally:
        inst.stop()


# ---- what relying parties and their proxies see ----

@pytest.fixture(scope="module")
def played():
    path = new_folder("crl")
    inst = PlayedFleet(path, settings={"controller.crl.validity": "60s", "controller.crl.refresh": "4s", "controller.supersede.grace": "0s"})
    try:
        inst.init()
        inst.start_both()
        inst.gateway()
        yield inst
    finally:
        for g in inst.gateways:
            g.close()
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def issued(inst, name, template="clara_service_auth"):
    host = inst.host(inst.gateways[0], name)
    host.target(f"{name}-web", "clara", template, f"DNS:{name}.clara.vcc.internal")
    return inst.wait_done(f"{name}-web")


def test_a_proxy_can_keep_a_list(played):
    wait_crl("the root's list is published", played, "/crl/root-1/0.crl")
    url = f"{played.public_url}/crl/root-1/0.crl"
    status, body, headers = get(url)
    assert status == 200 and headers["Content-Type"] == "application/pkix-crl" and "max-age=60" in headers["Cache-Control"]
    c = x509.load_der_x509_crl(body)
    assert datetime.strptime(headers["Last-Modified"], "%a, %d %b %Y %H:%M:%S GMT") == c.last_update
    assert datetime.strptime(headers["Expires"], "%a, %d %b %Y %H:%M:%S GMT") == c.next_update
    for tag in (headers["ETag"], f'"x", {headers["ETag"]}', "W/" + headers["ETag"], "*"):
        assert get(url, If_None_Match=tag)[:2] == (304, b"")
    assert get(url, If_None_Match='"another"')[0] == 200
    assert get(url, If_Modified_Since=headers["Last-Modified"])[0] == 304
    assert get(url, If_Modified_Since="Thu, 01 Jan 1970 00:00:00 GMT")[0] == 200
    assert get(url, If_None_Match='"another"', If_Modified_Since=headers["Last-Modified"])[0] == 200, "the tag decides"


def test_a_revocation_changes_the_tag(played):
    cert = issued(played, "tag01")
    url = f"{played.public_url}/crl/service-1/0.crl"
    wait_crl("the shard is published", played, "/crl/service-1/0.crl")
    before = get(url)[2]["ETag"]
    played.vccctl("cert", "revoke", "tag01-web", "--reason", "cessationOfOperation", "--yes")
    wait_for("it is on the list", lambda: listed(played, cert["serial"]) == "cessationOfOperation", 50)
    assert get(url, If_None_Match=before)[0] == 200


@pytest.mark.skipif(not os.path.exists(os.path.join(FAULTS, "vcc-controller")), reason="make faults has not been run")
def test_an_ended_one_goes_after_one_list_beyond_its_end(folder):
    """RFC 5280, 3.3."""
    inst = PlayedFleet(folder, binaries=FAULTS)
    try:
        inst.init()
        inst.start_both()
        inst.gateway()
        cert = issued(inst, "ended01")
        ends = datetime.fromisoformat(cert["expires_at"].rstrip("Z"))
        inst.vccctl("cert", "revoke", "ended01-web", "--reason", "keyCompromise", "--yes")
        wait_for("it is on the list", lambda: listed(inst, cert["serial"]) == "keyCompromise", 50)
        for days, there in ((731, True), (732, False)):
            before = number(crl_of(inst))
            for name in ("controller", "signer"):
                inst.processes[name].stop()
            for name in ("signer", "controller"):
                inst.processes[name].env = {"VCC_CLOCK_OFFSET_MS": str(int(days * 86400 * 1000))}
                inst.processes[name].start()
            later = wait_crl("there is a newer list", inst, "/crl/service-1/0.crl", before)
            assert later.last_update > ends
            assert (later.get_revoked_certificate_by_serial_number(int(cert["serial"], 16)) is not None) == there, f"after {days} days"
    finally:
        for g in inst.gateways:
            g.close()
        inst.stop()


@pytest.mark.skipif(not os.path.exists(os.path.join(FAULTS, "vcc-controller")), reason="make faults has not been run")
def test_a_shard_of_ended_certificates_ends(folder):
    """Or lists would be made for ever of what nobody has any more."""
    inst = PlayedFleet(folder, binaries=FAULTS)

    def number_from(counter):
        db = sqlite3.connect(inst.facts_db())
        db.execute("INSERT OR REPLACE INTO counters (name, value) VALUES ('serial', ?)", (counter,))
        db.commit()
        db.close()

    def restart(days):
        for name in ("controller", "signer"):
            inst.processes[name].stop()
        number_from(60001)  # what is issued from now on lies in another shard
        for name in ("signer", "controller"):
            inst.processes[name].env = {"VCC_CLOCK_OFFSET_MS": str(int(days * 86400 * 1000))}
            inst.processes[name].start()

    try:
        inst.init()
        number_from(50001)
        inst.start_both()
        inst.gateway()
        shard = int(issued(inst, "over01")["serial"][:14], 16) // 10000
        assert shard == 5
        path = f"/crl/service-1/{shard}.crl"
        first = wait_crl("its list is published", inst, path)
        restart(730.5)
        wait_crl("one beyond the end", inst, path, number(first))
        restart(733)
        wait_crl("the controller is there", inst, "/crl/service-1/0.crl")
        wait_for("no list any more", lambda: get(inst.public_url + path)[0] == 404, 60)
    finally:
        for g in inst.gateways:
            g.close()
        inst.stop()


def crl_of(inst):
    status, body, _ = get(f"{inst.public_url}/crl/service-1/0.crl")
    return x509.load_der_x509_crl(body) if status == 200 else None


def test_lists_lie_on_disk_as_they_are_published(played):
    folder = os.path.join(played.state, "controller", "public", "crl")
    cert = issued(played, "disk01")
    played.vccctl("cert", "revoke", "disk01-web", "--reason", "superseded", "--yes")
    wait_for("it is on the list", lambda: listed(played, cert["serial"]) == "superseded", 50)

    def same():
        for path in ("service-1/0.crl", "root-1/0.crl", "agent-1/0.crl", "all.pem"):
            try:
                with open(os.path.join(folder, path), "rb") as f:
                    if f.read() != get(f"{played.public_url}/crl/{path}")[1]:
                        return False
            except FileNotFoundError:
                return False
        return True
    wait_for("the files are the published ones", same, 50)
    assert not [n for _, _, names in os.walk(folder) for n in names if not n.endswith((".crl", ".pem"))], "nothing half written is left"


def test_vccctl_shows_the_lists(played):
    shown = subprocess.run([*played.vccctl_argv, "crl"], capture_output=True, text=True)
    assert shown.returncode == 0 and "root-1" in shown.stdout and "ENTRIES" in shown.stdout
    rows = {(r["issuer"], r["shard"]): r for r in played.vccctl("crl")}
    c = crl_of(played)
    row = rows["service-1", 0]
    assert row["number"] >= number(c) and row["url"] == f"{played.public_url}/crl/service-1/0.crl" and not row["expired"]
    assert rows["root-1", 0]["entries"] == 0 and rows["root-1", 0]["bytes"] > 100


def test_numbers_never_fall(played):
    """Over restarts, kills among them."""
    last = {}
    for kill in (True, False):
        p = played.processes["controller"]
        (p.kill if kill else p.stop)()
        p.start()
        played.wait_up()
        played.gateways[0].connect()
        for row in played.vccctl("crl"):
            key = row["issuer"], row["shard"]
            assert row["number"] >= last.get(key, 0)
            last[key] = row["number"]


def test_a_list_that_is_not_renewed_is_told(folder):
    """FAULTS F67: without the signer."""
    inst = PlayedFleet(folder, settings={"controller.crl.validity": "60s", "controller.crl.refresh": "2s"})
    try:
        inst.init()
        inst.start_both()
        wait_crl("a list is published", inst, "/crl/agent-1/0.crl")
        inst.processes["signer"].stop()
        warning, = wait_for("it is told", lambda: inst.status()["warnings"], 120, 1)
        assert warning.startswith("VCC-3804 ")
        wait_for("the log has it, too", lambda: "VCC-3804" in open(inst.processes["controller"].log, errors="replace").read())
        inst.processes["signer"].start()
        wait_for("it is over", lambda: not inst.status()["warnings"], 60)
    finally:
        inst.stop()
