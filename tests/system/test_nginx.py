"""The main job on the real thing: does nginx get a new certificate again and again without one failed handshake, and is the proof true?"""
import os
import subprocess
import time

import checks
import pytest
from installation import ROOT, wait_for
from one_service import RENEWALS, impatient_keeper, renew, renew_under_load

FAULTS = os.path.join(ROOT, "build-faults", "bin")


def test_renewals_without_a_failed_handshake(nginx_installation):
    inst, host = nginx_installation
    keys = {key_of(host)}
    renew_under_load(inst, host, RENEWALS, each=lambda _: keys.add(key_of(host)))
    assert len(keys) == RENEWALS + 1, "each renewal has a fresh key"


def key_of(host):
    return checks.openssl("pkey", "-in", os.path.join(host.target_dir, "current", "key.pem"), "-pubout")


def test_every_verifier_accepts_chain_and_crl(nginx_installation):
    inst, host = nginx_installation
    cert = checks.verify_chain_everywhere(host.target_dir)
    assert any(f"CN={name}" in cert.subject.rfc4514_string() for name in host.names)
    import urllib.request
    from cryptography import x509
    pem = urllib.request.urlopen(f"{inst.public_url}/crl/all.pem", timeout=10).read()
    crls = [b"-----BEGIN X509 CRL-----" + p for p in pem.split(b"-----BEGIN X509 CRL-----")[1:]]
    assert len(crls) >= 2, "a shard of the service CA and the root's"
    for crl in crls:
        x509.load_pem_x509_crl(crl)
        assert subprocess.run(["certtool", "--crl-info"], input=crl, capture_output=True).returncode == 0
    path = os.path.join(inst.dir, "all.pem")
    current = os.path.join(host.target_dir, "current")
    with open(path, "wb") as f:
        f.write(open(f"{current}/ca.pem", "rb").read() + pem)
    checks.openssl("verify", "-crl_check_all", "-CAfile", path, "-untrusted", f"{current}/chain.pem", f"{current}/cert.pem")


def test_superseded_certificates_are_on_the_crl(nginx_installation):
    inst, host = nginx_installation
    old = inst.certificate(host.cert_id)["serial"]
    renew(inst, host)
    from cryptography import x509
    import urllib.request

    def listed():
        pem = urllib.request.urlopen(f"{inst.public_url}/crl/all.pem", timeout=10).read()
        for p in pem.split(b"-----BEGIN X509 CRL-----")[1:]:
            crl = x509.load_pem_x509_crl(b"-----BEGIN X509 CRL-----" + p)
            if crl.get_revoked_certificate_by_serial_number(int(old, 16)) is not None:
                return True
        return False

    end = time.monotonic() + 50
    while not listed():
        assert time.monotonic() < end, "the superseded certificate does not appear on the CRL"
        time.sleep(0.2)


def test_a_restart_hook_shows_in_the_receipt(nginx_installation):
    """A hook that stops and starts the service drops connections: the receipt must say so."""
    inst, host = nginx_installation
    base = os.path.join(host.dir, "service")
    script = os.path.join(base, "restart.sh")
    with open(script, "w") as f:
        f.write(f"#!/bin/sh\nkill -STOP $(cat {base}/nginx.pid) 2>/dev/null\n"
                f"pids=$(cat {base}/nginx.pid; ps -o pid= --ppid $(cat {base}/nginx.pid))\nkill -KILL $pids\nsleep 1.5\n"
                f"{base_nginx()} -p {base} -c {base}/nginx.conf\n")
    os.chmod(script, 0o755)
    target = os.path.join(host.dir, "targets.d", "web.conf")
    before = open(target).read()
    host.processes["nginx"].wanted = False
    lines = [f"command = {script}" if x.startswith("command") else x for x in before.splitlines()]
    try:
        with open(target, "w") as f:
            f.write("\n".join(lines) + "\n")
        renewal = renew(inst, host)
        assert sum(r["handshakes_failed"] for r in renewal["receipts"]) > 0, renewal["receipts"]
    finally:
        with open(target, "w") as f:
            f.write(before)
        pid = int(open(os.path.join(base, "nginx.pid")).read())
        os.kill(pid, 15)
        deadline = time.monotonic() + 10
        while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
            time.sleep(0.1)
        host.processes["nginx"].start()


def base_nginx():
    from installation import nginx
    return nginx()


def test_a_renewal_that_is_healed_tells_each_step_once(nginx_installation):
    """While nginx is down the new pair is kept without proof; when it is back the proof follows, and tells the story from its beginning."""
    inst, host = nginx_installation
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    with impatient_keeper(host, FAULTS, {"VCC_PROBE_MS": "1500", "VCC_HEAL_MS": "300"}):
        host.processes["nginx"].stop()
        order = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
        wait_for("the pair is kept", lambda: inst.renewal(order)["error"])
        host.processes["nginx"].start()
        renewal = wait_for("it is proved", lambda: (r := inst.renewal(order))["status"] == "completed" and r)
    told = [(s["attempt"], s["step"], s["at"]) for s in renewal["steps"]]
    assert len(told) == len(set(told)), told
    assert {"key", "write", "flip", "verify", "settle"} <= {s["step"] for s in renewal["steps"]}
    assert [r["outcome"] for r in renewal["receipts"]] == ["kept", "verified", "settled"]
