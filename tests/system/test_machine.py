"""Does the container of the system tests run a real systemd, and does nothing of it stay behind?"""
import os
import signal
import sys

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
import machine  # noqa: E402

pytestmark = pytest.mark.skipif(machine.cannot() != "", reason=machine.cannot())
UNIT = "[Service]\nType=exec\nExecStart=/usr/bin/sleep 1000\nRestart=always\nRestartSec=0\n[Install]\nWantedBy=multi-user.target\n"


def lives(pid):
    """A zombie that its adoptive parent has not looked at yet does not live."""
    try:
        with open(f"/proc/{pid}/status") as f:
            return "State:\tZ" not in f.read()
    except (FileNotFoundError, ProcessLookupError):
        return False


def mounts():
    with open("/proc/self/mountinfo") as f:
        return f.read()


def test_boots_runs_units_and_leaves_nothing(tmp_path):
    before = mounts()
    with machine.Machine(str(tmp_path)) as m:
        m.write("/etc/systemd/system/trivial.service", UNIT)
        m.run("systemctl", "daemon-reload")
        m.run("systemctl", "start", "trivial.service")
        first = m.unit("trivial.service", "MainPID")["MainPID"]
        assert m.threads(first)[0]["Name"] == "sleep"
        m.run("kill", "-9", first)
        m.wait_for("the unit is started again", lambda: m.active("trivial.service") and m.unit("trivial.service", "MainPID")["MainPID"] not in ("0", first))
        assert m.out("ip", "-o", "link").count("\n") == 1, "loopback alone"
        assert not os.path.exists("/etc/systemd/system/trivial.service"), "the host's own files stay as they are"
        assert mounts() == before
        m.run("systemctl", "enable", "trivial.service", check=False)
        m.reboot()
        assert m.read("/etc/systemd/system/trivial.service") == UNIT and m.active("trivial.service")
        pid = m.pid
    assert not lives(pid)
    assert mounts() == before


def test_a_killed_starter_leaves_no_orphan(tmp_path):
    m = machine.Machine(str(tmp_path))
    try:
        m.start()
        pid = m.pid
        m.nspawn.send_signal(signal.SIGKILL)
        m.nspawn.wait(30)
    finally:
        m.stop()
    assert not lives(pid)
