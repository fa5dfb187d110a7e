"""How much of the machine can each unit reach, by systemd's own measure (0.0 closed, 10.0 open)?"""
import os
import re
import shutil
import subprocess

import pytest
from installation import ROOT

UNITS = os.path.join(ROOT, "packaging", "units")
LIMIT = {"vcc-controller": 1.5, "vcc-gateway": 1.5, "vcc-signer": 1.5, "vcc-agent": 1.5, "vcc-keeper": 2.5, "vcc-agent-observe": 2.5}
# Units with no limit, and why. The reason has to stand in the unit, too, where whoever hardens it will look.
EXEMPT = {"vcc-hook@": "are inherited by what it runs"}

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing (package systemd)")


def score(path):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", path], capture_output=True, text=True, env=dict(os.environ, LC_ALL="C.UTF-8"))
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", done.stdout)
    assert found, done.stdout + done.stderr
    open_doors = "\n".join(line for line in done.stdout.splitlines() if "✗" in line)
    return float(found[1]), open_doors


def test_every_service_has_a_limit_or_a_reason():
    services = {name.removesuffix(".service") for name in os.listdir(UNITS) if name.endswith(".service")}
    assert services == set(LIMIT) | set(EXEMPT)


@pytest.mark.parametrize("unit", LIMIT)
def test_exposure(unit):
    value, open_doors = score(os.path.join(UNITS, f"{unit}.service"))
    assert value <= LIMIT[unit], f"{unit}: {value}\n{open_doors}"


@pytest.mark.parametrize("unit", EXEMPT)
def test_an_exemption_says_why(unit):
    with open(os.path.join(UNITS, f"{unit}.service")) as f:
        comment = " ".join(line[1:].strip() for line in f if line.startswith("#"))
    assert EXEMPT[unit] in comment, comment


def test_an_open_unit_is_found(tmp_path):
    """The measure sees what it should: the keeper's unit without its sandbox is over its limit."""
    path = tmp_path / "vcc-keeper.service"
    with open(os.path.join(UNITS, "vcc-keeper.service")) as f:
        path.write_text("".join(line for line in f if not re.match(r"(Protect|Private|Restrict|SystemCall|Capability)", line)))
    assert score(str(path))[0] > LIMIT["vcc-keeper"]
