"""The hook under a real systemd: reload of a unit over D-Bus ends as the unit's own reload did, by socket activation as it is packaged."""
import os
import shutil
import socket
import time

import machine
import pytest
from installation import ROOT
from wire_tables import decode, encode, frame_read, frame_write

pytestmark = pytest.mark.skipif(machine.cannot() != "", reason=machine.cannot())
HOOK = os.path.join(ROOT, "build", "bin", "vcc-hook")
SERVICE = "[Service]\nExecStart=/usr/bin/sleep infinity\nExecReload=/bin/sh -c '{reload}'\n"
TARGET = "[target]\ntemplate = clara_service_auth\nnames = a.vcc.internal\n[reload]\nkind = systemd\nunit = {unit}\ntimeout = {timeout}\n[verify]\nkind = none\n"
DRAINS = "[target]\ntemplate = clara_service_auth\nnames = a.vcc.internal\n[reload]\nkind = {kind}\nunit = {unit}\n[verify]\nkind = none\nconnect = 127.0.0.1:443\n"
SOCKET = "[Socket]\nListenStream=/run/vcc-agent/hook.sock\nSocketMode=0600\nAccept=yes\n"


@pytest.fixture(scope="module")
def m(tmp_path_factory):
    if not os.path.exists(HOOK):
        pytest.skip("not built")
    with machine.Machine(str(tmp_path_factory.mktemp("hook"))) as m:
        for name, reload in (("good", "touch /run/reloaded"), ("bad", "exit 3"), ("slow", "sleep 30")):
            m.write(f"/etc/systemd/system/{name}.service", SERVICE.format(reload=reload))
            m.write(f"/etc/vcc-agent/targets.d/{name}.conf", TARGET.format(unit=f"{name}.service", timeout="2s"))
        m.write("/etc/vcc-agent/targets.d/missing.conf", TARGET.format(unit="missing.service", timeout="2s"))
        m.write("/etc/vcc-agent/targets.d/stopped.conf", TARGET.format(unit="stopped.service", timeout="2s"))
        for name, kind, unit in (("database", "postgresql", "good"), ("absent", "systemd", "missing"), ("idle", "systemd", "stopped")):
            m.write(f"/etc/vcc-agent/targets.d/{name}.conf", DRAINS.format(kind=kind, unit=f"{unit}.service"))
        m.write("/etc/systemd/system/stopped.service", SERVICE.format(reload="true"))
        shutil.copy(HOOK, m.path("/usr/local/bin/vcc-hook"))  # the container has its own /tmp
        m.write("/etc/vcc-agent/agent.conf", "[keeper]\n")
        m.write("/etc/systemd/system/hook.socket", SOCKET)
        m.write("/etc/systemd/system/hook@.service", f"[Service]\nExecStart=/usr/local/bin/vcc-hook\nStandardInput=null\nStandardError=journal\n")
        m.run("systemctl", "daemon-reload")
        m.run("systemctl", "start", "good", "bad", "slow", "hook.socket")
        yield m


def ask(m, stem, verb=1, reloaded_ms=0):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(m.path("/run/vcc-agent/hook.sock"))
        s.settimeout(30)
        stream = s.makefile("rwb")
        frame_write(stream, encode("ipc-hook", "request", 5, stem=stem, verb=verb, generation=1, reloaded_ms=reloaded_ms))
        name, number, reply = decode("ipc-hook", frame_read(stream))
        assert (name, number) == ("reply", 5)
        return reply


def test_reload_is_waited_for(m):
    reply = ask(m, "good")
    assert reply["code"] == 0, reply
    assert os.path.exists(m.path("/run/reloaded"))


def test_postgresql_by_its_unit(m):
    os.unlink(m.path("/run/reloaded"))
    reply = ask(m, "database")
    assert reply["code"] == 0, reply
    assert os.path.exists(m.path("/run/reloaded"))


@pytest.mark.parametrize("stem,code", [("database", 0), ("absent", -2204), ("idle", -2204)])
def test_old_workers_below_the_main_process_of_a_unit(m, stem, code):
    reply = ask(m, stem, verb=2, reloaded_ms=int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000))
    assert reply["code"] == code and reply["output"] and reply["old_workers"] == 0, reply


@pytest.mark.parametrize("stem,code", [("bad", -2204), ("missing", -2204), ("stopped", -2204)])
def test_refusals_of_systemd(m, stem, code):
    reply = ask(m, stem)
    assert reply["code"] == code and reply["output"], reply


def test_reload_that_does_not_end(m):
    before = time.monotonic()
    assert ask(m, "slow")["code"] == -2202
    assert time.monotonic() - before < 25


@pytest.mark.parametrize("stem", ["../good", "", ".hidden", "unknown", "a/b"])
def test_names_that_are_no_target(m, stem):
    assert ask(m, stem)["code"] == -2200


def test_unknown_verb(m):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(m.path("/run/vcc-agent/hook.sock"))
        s.settimeout(30)
        stream = s.makefile("rwb")
        frame_write(stream, encode("ipc-hook", "request", 5, stem="good", verb=9, generation=1))
        assert frame_read(stream) is None, "not even decoded"
