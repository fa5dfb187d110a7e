"""Are the revocation lists kept fresh, the root's among them, with numbers that never fall?"""
import os
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from installation import ROOT, Installation, wait_for

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
