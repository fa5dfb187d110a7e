"""Each allocation and each call to the kernel fails once, in turn: every command and every program's --check then does its work all the same, or ends
with a code and says why; nothing crashes, and what was begun can be done again.

One place of each command and kind, a hundred of each program's --check; VCC_LONG=1 up to a thousand."""
import contextlib
import os
import re
import shutil
import subprocess

import pytest
from conftest import new_folder
from fresh_installation import fresh_installation
from installation import ROOT, Installation
from shim import Shim

LONG = os.environ.get("VCC_LONG") == "1"
FAULTS = {"malloc_fails": "mallocs", "call_fails": "calls"}
PROGRAMS = ("controller", "gateway", "signer")
# What only asks; what changes something is said once more behind it.
COMMANDS = ("status", "whoami", "explain VCC-1301", "agent list", "cert list", "cert expiring", "crl", "target list", "template list",
            "template show argus_api", "template export argus_api", "audit list", "audit show 0", "audit heads", "audit export", "principal list",
            "token list", "approval list", "bulk plan", "campaign list", "ca list", "ca show service-1", "ca trust", "service list",
            "report compliance", "notify list", "drill list", "config show", "check", "completion bash")
# What answers the same each time: an answer that lacks something is no success.
STILL = [["explain", "VCC-1301"], ["export", "argus_api"], ["completion", "bash"], ["show", "service-1"]]
PLACES = 1000 if LONG else 1  # of each command and kind


@pytest.fixture(scope="module")
def inst():
    with fresh_installation("calls") as i:
        yield i


@pytest.fixture(scope="module")
def shim():
    folder = new_folder("shim")
    try:
        yield Shim(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(argv, shim, **fault):
    shim.calm()
    shim.set(**fault)
    return subprocess.run(argv, env={**os.environ, **shim.env}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def places(total, most, turn=0):
    """All of them, or some; each turn takes others."""
    return sorted({1 + (turn * 7 + i * total // most) % total for i in range(most)}) if total > most else range(1, total + 1)


def each(argv, shim, most=PLACES, turn=0):
    """Every fault at its places. Returns how many were felt."""
    felt, good = 0, run(argv, shim)
    assert good.returncode in (0, 6), good
    for fault, counter in FAULTS.items():
        for n in places(shim.get(counter), most, turn):
            done = run(argv, shim, **{fault: n})
            where = f"{' '.join(argv)}: {fault} {n}: exit {done.returncode}: {done.stderr.strip()[-400:]}"
            assert done.returncode >= 0, f"ended by a signal: {where}"
            assert "anitizer" not in done.stderr, where
            if done.returncode == 0 and argv[-2:] in STILL:
                assert done.stdout == good.stdout, f"another answer, and no word of it: {where}"
            if done.returncode not in (0, good.returncode):
                assert re.search(r"VCC-\d{4} \S.*: .*[Nn]ext: \S|memory|usage: ", done.stderr, re.S), f"no clear error: {where}"
            felt += shim.get("failed")
    return felt


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(inst, shim, command):
    felt = each([*inst.vccctl_argv, *command.split()], shim, turn=COMMANDS.index(command))
    assert felt > 0 or command.split()[0] in ("explain", "completion")


@pytest.mark.parametrize("program", PROGRAMS)
def test_checks_of_settings(inst, shim, program):
    assert each([inst.bin(f"vcc-{program}"), "--check", "--config", inst.conf(program)], shim, max(PLACES, 100)) > 3


def test_check_of_an_agent(shim):
    config = os.path.join(ROOT, "packaging", "etc", "vcc-agent", "agent.conf")
    for program in ("vcc-agent", "vcc-hook"):
        assert each([os.path.join(ROOT, "build", "bin", program), "--check", "--config", config], shim, max(PLACES, 100)) > 3


def test_a_new_token_is_whole(inst, shim):
    """A change that failed half-way is there or not: asked again it succeeds, and the file with the secret is a good one or none."""
    path = os.path.join(inst.dir, "new.token")
    argv = [*inst.vccctl_argv, "token", "create", "--label", "calls", "--out", path]

    def again():
        with contextlib.suppress(FileNotFoundError):
            with open(path) as f:
                assert re.fullmatch(r"vcc_pat_[\w-]{48}\n", f.read())
            assert os.stat(path).st_mode & 0o777 == 0o600
            os.unlink(path)

    subprocess.run(argv, check=True, capture_output=True)
    again()
    felt = 0
    for fault, counter in FAULTS.items():
        run(argv, shim)
        total = shim.get(counter)
        again()
        for n in places(total, 3 * PLACES):
            done = run(argv, shim, **{fault: n})
            assert done.returncode >= 0, f"{fault} {n}: {done}"
            felt += shim.get("failed")
            assert done.returncode != 0 or os.path.exists(path), f"{fault} {n}: {done}"
            again()
    assert felt > 0


def test_init_is_done_again(shim):
    """A half-made installation is finished by the next `init`, a whole one is left as it is, and then all its settings are good."""
    folder = new_folder("init")
    try:
        most = 40 if LONG else 2
        first = Installation(os.path.join(folder, "first"))
        assert run(first.init_argv(), shim).returncode == 0
        totals = {fault: shim.get(counter) for fault, counter in FAULTS.items()}
        for fault, total in totals.items():
            for n in places(total, most):
                made = Installation(os.path.join(folder, f"{fault}-{n}"))
                argv = made.init_argv()
                done = run(argv, shim, **{fault: n})
                assert done.returncode >= 0, f"{fault} {n}: {done}"
                again = subprocess.run(argv, capture_output=True, text=True)
                assert "VCC-3503" in again.stderr if done.returncode == 0 else again.returncode == 0, f"{fault} {n}: {done}, then {again}"
                for program in PROGRAMS:
                    subprocess.run([made.bin(f"vcc-{program}"), "--check", "--config", made.conf(program)], check=True, capture_output=True)
                shutil.rmtree(made.dir)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
