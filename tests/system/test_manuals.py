"""Do the manual pages name all that the programs take, are they well formed, and do the completions know the same? Made by `make man`."""
import glob
import os
import re
import subprocess

import pytest
from installation import ROOT

BIN = os.path.join(ROOT, "build", "bin")
MAN = os.path.join(ROOT, "build", "man")
TOOL = os.path.join(ROOT, "build", "tests", "tool_docs")
# Settings: the table, its page.
TABLES = {"controller": "vcc-controller.conf.5", "gateway": "vcc-gateway.conf.5", "signer": "vcc-signer.conf.5", "agent": "vcc-agent.conf.5",
          "target": "vcc-target.conf.5", "channel": "vcc-channel.conf.5"}
PROGRAMS = {"vcc-controller": 8, "vcc-gateway": 8, "vcc-signer": 8, "vcc-agent": 8, "vcc-keeper": 8, "vcc-hook": 8, "vccctl": 1}
# scdoc sets a paragraph behind each heading; mandoc skips it.
HARMLESS = "skipping paragraph macro"


@pytest.fixture(scope="module", autouse=True)
def made():
    subprocess.run(["make", "-s", "man"], cwd=ROOT, check=True, timeout=900)


def pages():
    return sorted(os.path.basename(p)[:-len(".scd.in")] for p in glob.glob(os.path.join(ROOT, "packaging", "man", "*.scd.in")))


def shown(page):
    """As a person reads it, in lines that nothing cuts."""
    done = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=400", os.path.join(MAN, page)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return re.sub(r".\x08", "", done.stdout)


def help_of(*words):
    done = subprocess.run([os.path.join(BIN, words[0]), *words[1:], "--help"], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def options_of(text):
    """Of a help page: the words that begin its rows."""
    return re.findall(r"^  (--?[a-z][a-z-]*)", text, re.M)


def test_every_program_and_file_has_its_page():
    wanted = {f"{p}.{n}" for p, n in PROGRAMS.items()} | set(TABLES.values()) | {"vccctl.conf.5", "vcc-template.5"}
    assert set(pages()) == wanted


@pytest.mark.parametrize("page", pages())
def test_well_formed(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", os.path.join(MAN, page)], capture_output=True, text=True, timeout=60)
    assert [x for x in (done.stdout + done.stderr).splitlines() if HARMLESS not in x] == []
    text = shown(page)
    assert re.findall(r"^(\S.*)$", text, re.M)[1:3] == ["NAME", "SYNOPSIS"] and "SEE ALSO" in text
    for name, section in re.findall(r"\b(vcc[\w.-]*)\((\d)\)", text):
        assert f"{name}.{section}" in pages(), f"{name}({section}) is not there"


@pytest.mark.parametrize("name", TABLES)
def test_every_setting_is_explained(name):
    """The rows are read from the source here, so that a table that the page forgets is seen."""
    with open(os.path.join(ROOT, "shared", "conf", f"{name}_conf.c")) as f:
        source = f.read()
    keys = re.findall(r'^\t(?:\{|[A-Z]+\()(?:\.section = )?"(\w+)", (?:\.key = )?"(\w+)"', source, re.M)
    assert len(keys) > 3
    text = shown(TABLES[name])
    for section, key in keys:
        part = text.split(f"[{section}]\n", 1)[1].split("\n   [")[0]
        assert re.search(rf"^ +{key} = \S.*\n +\S", part, re.M), f"{section}.{key}"


@pytest.mark.parametrize("program", [p for p, section in PROGRAMS.items() if section == 8])
def test_every_command_and_option_of_a_program(program):
    whole, text = help_of(program), shown(f"{program}.8")
    assert "--config" in options_of(whole)
    commands = re.findall(r"^  ([a-z][a-z-]*)", whole.split("--config")[0], re.M)
    for option in options_of(whole):
        assert re.search(rf"^ +{option}\b", text, re.M), option
    for command in commands:
        part = text.split(f"       {program} {command}")
        assert len(part) > 1, command
        for option in options_of(help_of(program, command)):
            assert re.search(rf"^ +{option}\b", text, re.M), (command, option)
    if program == "vcc-agent":
        assert {"join", "status", "doctor", "observe", "discover", "manage", "unmanage"} == set(commands)


# What reads a command line by a list of its own, and whose it is: an option that is read is in the table, and the other way round. (command_options.c
# reads the table itself: test_command_lines.py.)
PARSERS = {"agent/link/link_join.c": [("vcc-agent", "join")],
           "agent/survey/survey.c": [("vcc-agent", v) for v in ("observe", "discover", "manage", "unmanage", "doctor")], "controller/cli/cli_init.c": [("vccctl", "init")]}


@pytest.mark.parametrize("source", PARSERS)
def test_what_is_read_is_in_the_table(source):
    with open(os.path.join(ROOT, source)) as f:
        text = f.read()
    read = set(re.findall(r'\{"([a-z-]+)", (?:required_argument|no_argument|take_\w+|COPY\()', text)) - {"help", "version", "output"}
    told = {o.lstrip("-") for words in PARSERS[source] for o in options_of(help_of(*words))} - {"o"}
    assert read == told and read


def test_every_verb_of_vccctl():
    text = shown("vccctl.1")
    rows = help_of("vccctl").split("\n\n")[1].splitlines()
    verbs = [re.match(r"  (\S+)(?: ([a-z-]+))?(?= |$)", x).groups() for x in rows if x[2:3].strip()]
    assert len(verbs) > 60
    for words in verbs:
        words = [w for w in words if w]
        at = re.search(rf"^ +(vccctl )?{' '.join(words)}\b", text, re.M)
        assert at, words
        for option in options_of(help_of("vccctl", *words)):
            assert re.search(rf"^ +{option}\b", text[at.start():], re.M), (words, option)


def test_every_field_of_a_template():
    with open(os.path.join(ROOT, "controller", "daemon", "template_field.c")) as f:
        names = re.findall(r'^\t\{"(\w+)", read_\w+,', f.read(), re.M)
    text = shown("vcc-template.5")
    assert len(names) > 20 and [n for n in names if not re.search(rf"^ +(.*, )?{n}\b", text, re.M)] == []


def test_an_unknown_place_is_told():
    done = subprocess.run([TOOL, "man"], input="@settings nothing\n", capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "unknown place: @settings nothing" in done.stderr


# ---- completion of vcc-agent ----

def bash(line):
    script = (f"source {MAN}/vcc-agent.bash; COMP_WORDS=({line}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); _vcc_agent; "
              "printf '%s\\n' \"${COMPREPLY[@]}\"")
    return set(subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout.split())


def test_bash_completes_the_agent():
    assert bash("vcc-agent man") == {"manage"}
    assert bash("vcc-agent ''") == {"join", "status", "doctor", "observe", "discover", "manage", "unmanage"}
    assert bash("vcc-agent doctor --") == {"--fix", "--config", "--help"}
    assert bash("vcc-agent manage web --from c") == {"certbot", "certmonger"}
    assert bash("vcc-agent --ch") == {"--check"}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_take_theirs(shell):
    path = os.path.join(MAN, f"vcc-agent.{shell}")
    subprocess.run([shell, "-n", path], check=True, timeout=60)
    with open(path) as f:
        text = f.read()
    assert all(word in text for word in ("unmanage", "dry-run", "certmonger"))


def test_they_are_installed(folder):
    subprocess.run([os.path.join(ROOT, "scripts", "install-units"), folder], check=True, timeout=120)
    for page in pages():
        assert os.path.exists(os.path.join(folder, "usr/share/man", f"man{page[-1]}", page)), page
    for name in ("bash-completion/completions/{}", "zsh/vendor-completions/_{}", "fish/vendor_completions.d/{}.fish"):
        for program in ("vccctl", "vcc-agent"):
            assert os.path.getsize(os.path.join(folder, "usr/share", name.format(program))) > 500
