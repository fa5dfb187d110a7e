"""vcc-agent and vcc-keeper built with ASan and UBSan through joins, renewals and lost peers: no leak, no error, at their end."""
import glob
import os
import shutil
import subprocess

import checks
import pytest
from conftest import new_folder
from installation import ROOT, Installation, wait_for, write
from proxy import Proxy

SANITIZED = ("vcc-agent", "vcc-keeper")


@pytest.fixture
def world():
    if not all(os.path.exists(os.path.join(ROOT, "build-asan", "bin", name)) for name in SANITIZED):
        pytest.skip("make asan has not been run")
    path = new_folder("asan")
    binaries = os.path.join(path, "bin")
    shutil.copytree(os.path.join(ROOT, "build", "bin"), binaries)  # copies: `join` looks for vcc-keeper beside itself
    for name in SANITIZED:
        shutil.copy(os.path.join(ROOT, "build-asan", "bin", name), binaries)
    env = {"ASAN_OPTIONS": f"detect_leaks=1:exitcode=77:log_path={path}/sanitizer", "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={path}/sanitizer"}
    inst = Installation(path, {"controller.identity.agent": "20s"}, binaries=binaries)
    kept = {name: os.environ.get(name) for name in env}
    os.environ.update(env)
    try:
        yield inst
    finally:
        inst.stop()
        for name, value in kept.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        shutil.rmtree(path, ignore_errors=True)


def reports(inst):
    return "".join(open(p, errors="replace").read() for p in glob.glob(f"{inst.dir}/sanitizer.*"))


def ends_cleanly(inst, process):
    process.stop()
    assert process.popen.returncode == 0, f"{process.name} ended with {process.popen.returncode}:\n{process.tail()}\n{reports(inst)}"


def test_a_whole_life_leaks_nothing(world):
    inst = world
    inst.init()
    inst.start()
    proxy = Proxy(inst.agents_address)
    host = inst.prepare_echo(0)
    host.enrol({"agent.agent.controller": proxy.address, "agent.agent.reconnect_spread": "100ms"})
    try:
        inst.wait_served(host)
        agent, keeper = host.processes["agent"], host.processes["keeper"]
        for step in ("identity renewed", "cut", "keeper restarted", "gateway restarted", "identity renewed"):
            before = checks.served_is_issued(inst, host)
            identity = inst.agent(host.name)["identity_serial"]
            if step == "cut":
                proxy.cut_now()
            elif step == "keeper restarted":
                ends_cleanly(inst, keeper)
                keeper.start()
            elif step == "gateway restarted":
                inst.processes["gateway"].stop()
                inst.processes["gateway"].start()
            inst.vccctl("cert", "renew", host.cert_id, "--force")
            inst.wait_renewed(host, before)
            if step == "identity renewed":
                wait_for("a new identity", lambda: inst.agent(host.name)["identity_serial"] != identity, 30, 0.2)
            assert subprocess.run([inst.bin("vcc-agent"), "status", "--config", host.config], stdout=subprocess.DEVNULL).returncode == 0
        inst.vccctl("agent", "ban", host.name)
        wait_for("the agent stops asking", lambda: "does not ask again" in open(agent.log).read(), 30)
        ends_cleanly(inst, agent)
        agent.start()
        wait_for("and asks once after its start", lambda: open(agent.log).read().count("does not ask again") == 2, 30)
        ends_cleanly(inst, agent)
        ends_cleanly(inst, keeper)
        assert reports(inst) == ""
    finally:
        proxy.close()


def test_refused_and_cut_joins_leak_nothing(world):
    inst = world
    inst.init()
    inst.start()
    proxy = Proxy(inst.join_address)
    invite = inst.vccctl("agent", "invite", "j1", "--service", "clara", "--names", f"j1.clara.{inst.domain}")
    token, folder = os.path.join(inst.dir, "token"), os.path.join(inst.dir, "hosts", "j1")
    write(token, invite["token"] + "\n", 0o600)

    def join(address, pin=invite["pin"]):
        done = subprocess.run([inst.bin("vcc-agent"), "join", address, "--pin", pin, "--state-dir", folder, "--token-file", token], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=90)
        return done.returncode, done.stderr

    try:
        assert join("127.0.0.1:1")[0] == 5
        assert join(proxy.address, "sha256:" + "00" * 32)[0] == 4
        for k in (10, 700, 2500, 4000, 5000, 6000):
            proxy.cut_after = k
            join(proxy.address)
        proxy.cut_after = None
        status, text = join(proxy.address)
        assert status == 0, text
        assert join(proxy.address)[0] == 0, "not welcomed yet: it may be repeated"
        write(token, "vcc_join_nonsense\n", 0o600)
        assert join(proxy.address)[0] == 4
        assert reports(inst) == ""
    finally:
        proxy.close()
