"""Does every command of a program take its options before, between and behind its words, and say which word is wrong?"""
import os
import re
import subprocess

import pytest
from installation import ROOT

BIN = os.path.join(ROOT, "build", "bin")
NEEDED = {"init": ["--organisation", "O", "--public", "D"], "vcc-controller init": ["--ca", "D", "--tokens", "D"], "root-sign": ["--hash", "12ab"]}
WORDS = {"split": ["2", "3"], "drop-root": ["root-1"], "root-request": ["service"], "root-sign": [__file__], "root-import": [__file__], "restore": ["/nowhere/backup"]}
OPTIONAL = {"drill": ["/nowhere"], "unlock": ["/nowhere"]}


def told(program, *words):
    done = subprocess.run([os.path.join(BIN, program), *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    return done.returncode, done.stdout, done.stderr


def commands(program):
    status, out, _ = told(program, "--help")
    found = re.findall(r"^  ([a-z][a-z-]*)", out.split("--config")[0], re.M)
    assert status == 0 and found
    return found


COMMANDS = [(program, command) for program in ("vcc-signer", "vcc-controller", "vcc-keeper") for command in commands(program)]


@pytest.mark.parametrize("program,command", COMMANDS)
def test_options_stand_anywhere(program, command):
    options = NEEDED.get(f"{program} {command}") or NEEDED.get(command, [])
    words = WORDS.get(command) or OPTIONAL.get(command, [])
    settings = ["--config", "/nowhere/at-all.conf"]
    for line in ([*settings, *options, *words], [*words, *options, *settings], [*words[:1], *settings, *words[1:], *options], [*options, *settings, "--", *words]):
        status, out, err = told(program, command, *line)
        assert status == 1 and "/nowhere/at-all.conf" in out + err, (line, out, err)


@pytest.mark.parametrize("program,command", COMMANDS)
def test_what_is_wrong_is_named(program, command):
    options = NEEDED.get(f"{program} {command}") or NEEDED.get(command, [])
    words = WORDS.get(command) or OPTIONAL.get(command, [])
    lines = [([*words, *options, "--nonsense"], "--nonsense"), ([*words, *options, "--config"], "--config"), ([*words, *options, "odd-word"], "odd-word")]
    if command in WORDS:
        lines.append(([*options, *words[:-1]], "a word is missing"))
    if options:
        lines.append((words, f"{options[0]}: it is needed"))
    for line, named in lines:
        status, out, err = told(program, command, *line)
        assert status == 2 and out == "" and named in err.splitlines()[0] and f"usage: {program} {command}" in err, (line, out, err)
        assert re.search(r"VCC-\d{4} ", err) and " Next: " in err


@pytest.mark.parametrize("program,command", [*COMMANDS, *(("vcc-agent", c) for c in commands("vcc-agent")), ("vccctl", "init")])
def test_help_is_asked_for_in_two_ways(program, command):
    status, out, err = told(program, command, "--help")
    assert status == 0 and err == "" and out.startswith(f"usage: {program} {command}")
    assert told(program, command, "-h") == (status, out, err)
