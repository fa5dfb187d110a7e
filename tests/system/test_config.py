"""F80: does every program refuse a wrong configuration before it does anything, naming file, line and cause, and say the same with --check?"""
import os
import subprocess

import pytest
from installation import ROOT, Installation

GOOD = {
    "controller": "[controller]\nstate_dir = {d}\ndomain = vcc.internal\npublic_name = pki.vcc.internal\norganisation = Test\n[public]\nurl = http://pki.vcc.internal\n"
                  "[gateway]\nagent_address = pki.vcc.internal:8443\njoin_address = pki.vcc.internal:8442\n",
    "gateway": "[gateway]\nlisten = 127.0.0.1:0\njoin_listen = 127.0.0.1:0\ncontroller_socket = {d}/gateway.sock\nstate_dir = {d}\n",
    "signer": "[signer]\nstate_dir = {d}\nsocket = {d}/signer.sock\npassphrase_file = {d}/passphrase\npublic_url = http://pki.vcc.internal\n[limits]\ndomains = vcc.internal\n",
    "agent": "[agent]\nstate_dir = {d}/link\nkeeper_socket = {d}/keeper.sock\n[keeper]\nstate_dir = {d}/keeper\ntargets_dir = {d}/targets.d\nhook_socket = {d}/hook.sock\n",
}
PROGRAMS = {"vcc-controller": "controller", "vcc-gateway": "gateway", "vcc-signer": "signer", "vcc-agent": "agent", "vcc-keeper": "agent", "vcc-hook": "agent"}
# what is added or changed; what the message must hold
BAD = (
    ("unknown key", lambda t: t + "surprise = 1\n", ("VCC-1201", "surprise")),
    ("unknown section", lambda t: t + "[surprise]\nx = 1\n", ("VCC-120", "surprise")),
    ("no equals sign", lambda t: t + "this is no line\n", ("VCC-1200",)),
    ("relative path", lambda t: t.replace("state_dir = /", "state_dir = ", 1), ("VCC-1202", "state_dir")),
    ("NUL byte", lambda t: t + "x\0y = 1\n", ("VCC-120",)),
)


def write(folder, name, text, mode=0o644):
    path = os.path.join(folder, f"{name}.conf")
    with open(path, "w") as f:
        f.write(text.format(d=folder) if "{d}" in text else text)
    os.chmod(path, mode)
    return path


def start(program, path, *more):
    return subprocess.run([os.path.join(ROOT, "build", "bin", program), "--config", path, *more], capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL)


def refused(done, path, words):
    text = done.stdout + done.stderr
    assert done.returncode not in (0, None) and done.returncode > 0, text
    assert path in text, f"the file is not named: {text}"
    for word in words:
        assert word in text, f"{word!r} is missing in: {text}"
    return text


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("what,change,words", BAD, ids=[b[0] for b in BAD])
def test_wrong_configuration(folder, program, what, change, words):
    path = write(folder, PROGRAMS[program], change(GOOD[PROGRAMS[program]].format(d=folder)))
    refused(start(program, path, "--check"), path, words)
    refused(start(program, path), path, words)


@pytest.mark.parametrize("program", PROGRAMS)
def test_line_is_named(folder, program):
    text = GOOD[PROGRAMS[program]].format(d=folder)
    path = write(folder, PROGRAMS[program], text + "surprise = 1\n")
    line = text.count("\n") + 1
    refused(start(program, path, "--check"), path, (f"{path}:{line}",))


@pytest.mark.parametrize("program", PROGRAMS)
def test_writable_by_others(folder, program):
    path = write(folder, PROGRAMS[program], GOOD[PROGRAMS[program]].format(d=folder), 0o666)
    refused(start(program, path, "--check"), path, ("VCC-1205",))
    refused(start(program, path), path, ("VCC-1205",))


@pytest.mark.parametrize("program", PROGRAMS)
def test_missing_file(folder, program):
    path = os.path.join(folder, "nothing.conf")
    refused(start(program, path, "--check"), path, ("VCC-1204",))


@pytest.mark.parametrize("program", PROGRAMS)
def test_good_configuration_passes(folder, program):
    os.mkdir(os.path.join(folder, "targets.d"))
    path = write(folder, PROGRAMS[program], GOOD[PROGRAMS[program]].format(d=folder))
    done = start(program, path, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_drop_ins_are_named_too(folder):
    path = write(folder, "gateway", GOOD["gateway"].format(d=folder))
    os.mkdir(path + ".d")
    bad = os.path.join(path + ".d", "10-mine.conf")
    with open(bad, "w") as f:
        f.write("[gateway]\nmax_agents = many\n")
    refused(start("vcc-gateway", path, "--check"), bad, ("VCC-1202", "max_agents"))


RULES = os.path.join(ROOT, "packaging", "compliance")
# name of the file in rules_dir, what is changed in the shipped gdpr.json, what the message must hold
BAD_RULES = (("gdpr.json", ('"severity": "error"', '"severity": "loud"'), ("severity",)), ("gdpr.json", ('"check": "drill_within"', '"check": "guess"'), ("check",)),
             ("gdpr.json", ('"rules": [', '"rules": [,'), ("line",)), ("gdrp.json", ("", ""), ("no name",)))


@pytest.mark.parametrize("name,change,words", BAD_RULES, ids=["severity", "check", "syntax", "name"])
def test_wrong_compliance_rules(folder, name, change, words):
    """What keeps the controller from starting is named by --check, before somebody restarts it."""
    rules = os.path.join(folder, "rules")
    os.mkdir(rules)
    with open(os.path.join(RULES, "gdpr.json")) as f:
        text = f.read()
    bad = os.path.join(rules, name)
    with open(bad, "w") as f:
        f.write(text.replace(*change, 1) if change[0] else text)
    path = write(folder, "controller", GOOD["controller"].format(d=folder) + f"[reports]\nrules_dir = {rules}\n")
    refused(start("vcc-controller", path, "--check"), bad, ("VCC-3980", *words))
    with open(bad, "w") as f:
        f.write(text)
    os.rename(bad, os.path.join(rules, "gdpr.json"))
    done = start("vcc-controller", path, "--check")
    assert done.returncode == 0, done.stderr
    os.rename(rules, rules + ".away")
    refused(start("vcc-controller", path, "--check"), rules, ("VCC-3980", "rules_dir"))


@pytest.mark.parametrize("program", [*PROGRAMS, "vccctl"])
def test_version_and_help(program):
    for option in ("--version", "--help"):
        done = subprocess.run([os.path.join(ROOT, "build", "bin", program), option], capture_output=True, text=True, timeout=10)
        assert done.returncode == 0 and done.stdout.strip(), (program, option, done.stderr)
        assert all(len(line) <= 80 for line in done.stdout.splitlines()) or program == "vccctl", done.stdout


def test_a_second_controller_is_refused(folder):
    """F54: one writer per database."""
    inst = Installation(folder)
    try:
        inst.init()
        inst.start()
        done = subprocess.run([inst.bin("vcc-controller"), "--config", inst.conf("controller")], capture_output=True, text=True, timeout=20)
        assert done.returncode != 0 and "VCC-1305" in done.stdout + done.stderr, done.stderr
        assert inst.ready()
    finally:
        inst.stop()
