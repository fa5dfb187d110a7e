"""The example units of packaging/python under a real systemd: does `systemctl reload` swap the certificate in every worker, also when it comes while the
service starts, and without a new process?"""
import json
import os
import shutil

import machine
import pytest
from fake_ca import Authorities
from installation import ROOT
from target_folder import Target

pytestmark = pytest.mark.skipif(machine.cannot() != "", reason=machine.cannot())
TLS = "/var/lib/vcc-agent/targets/vpb"
PORTS = {"example-uvicorn.service": 8000, "example-gunicorn.service": 8001}


@pytest.fixture(scope="module")
def m(tmp_path_factory):
    with machine.Machine(str(tmp_path_factory.mktemp("python"))) as m:
        m.run("useradd", "--system", "vpb")
        for source, place in (("packaging/python/vcc_tls.py", "/usr/share/vcc-agent/python/vcc_tls.py"), ("tests/lib/asgi_app.py", "/opt/vpb/app.py"),
                              ("tests/lib/python_service.py", "/opt/vpb/python_service.py"),
                              *((f"packaging/python/{u}", f"/etc/systemd/system/{u}") for u in PORTS)):
            os.makedirs(os.path.dirname(m.path(place)), exist_ok=True)
            shutil.copy(os.path.join(ROOT, source), m.path(place))
        m.run("systemctl", "daemon-reload")
        m.target = Target(m.path(TLS), Authorities())
        m.run("chgrp", "-R", "vpb", TLS)
        yield m


def next_pair(m):
    fingerprint = m.target.next()
    m.run("chgrp", "-R", "vpb", TLS)
    return fingerprint


def served(m, unit):
    """{pid: fingerprints}, asked inside the machine."""
    program = f"import json, python_service as p; print(json.dumps({{k: sorted(v) for k, v in p.served_by_each({PORTS[unit]}, 2).items()}}))"
    return {int(pid): set(f) for pid, f in json.loads(m.out("env", "PYTHONPATH=/opt/vpb", "/usr/bin/python3", "-c", program)).items()}


def wait_served(m, unit, fingerprint):
    def by_all():
        try:
            seen = served(m, unit)
        except machine.MachineFailed:  # does not listen yet
            return None
        return seen if all(f == {fingerprint} for f in seen.values()) else None
    try:
        return set(m.wait_for(f"{unit}: every worker serves {fingerprint}", by_all))
    except machine.MachineFailed:
        print(m.journal(unit))
        raise


@pytest.mark.parametrize("unit", PORTS)
def test_reload_swaps_in_process(m, unit):
    m.run("systemctl", "start", unit)
    fingerprint = next_pair(m)
    m.run("systemctl", "reload", unit)
    pids = wait_served(m, unit, fingerprint)
    for _ in range(3):
        fingerprint = next_pair(m)
        m.run("systemctl", "reload", unit)
        assert wait_served(m, unit, fingerprint) == pids
    assert m.unit(unit, "NRestarts", "ActiveState") == {"NRestarts": "0", "ActiveState": "active"}, m.journal(unit)
    main = m.unit(unit, "MainPID")["MainPID"]
    m.run("systemctl", "stop", unit)
    assert not os.path.exists(m.path(f"/proc/{main}"))


@pytest.mark.parametrize("unit", PORTS)
def test_reloads_while_it_starts_end_nobody(m, unit):
    m.run("systemctl", "start", "--no-block", unit)
    for _ in range(10):
        fingerprint = next_pair(m)
        m.run("systemctl", "reload", unit, check=False)
    m.run("systemctl", "reload", unit)
    wait_served(m, unit, fingerprint)
    assert m.unit(unit, "NRestarts", "ActiveState") == {"NRestarts": "0", "ActiveState": "active"}, m.journal(unit)
    m.run("systemctl", "stop", unit)


def test_examples_have_no_mistake_that_systemd_sees(m):
    done = m.run("systemd-analyze", "verify", *(f"/etc/systemd/system/{u}" for u in PORTS), check=False)
    assert done.returncode == 0 and "example-" not in done.stderr, done.stderr
