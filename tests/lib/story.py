"""A story of docs/operations.md, "When it has to come back": its tests, what the programs say in it, and its commands, played on an installation."""
import os
import re
import shlex
import subprocess

from installation import ROOT

PAGE = os.path.join(ROOT, "docs", "operations.md")
CHAPTER = "## When it has to come back\n"
TITLES = re.compile(r"^### (.+)\n<!-- (F\d+): (.+) -->\n", re.M)
NAMED = re.compile(r"`((?:vccctl|vcc-\w+|systemctl|cp) [^`]+)`")


class Story:
    def __init__(self, fault, title, tests, text):
        self.fault, self.title, self.tests, self.text = fault, title, tests, text
        lines = [line[4:].split("   #")[0].split("    #")[0].rstrip() for line in text.splitlines() if line.startswith("    ")]
        self.said = [line for line in lines if line.startswith("VCC-")]
        self.commands = [line for line in lines if not line.startswith("VCC-")]


def stories():
    with open(PAGE) as f:
        chapter = f.read().split(CHAPTER)[1].split("\n## ")[0]
    parts = TITLES.split(chapter)
    return {fault: Story(fault, title, tests.split(), text) for title, fault, tests, text in zip(parts[1::4], parts[2::4], parts[3::4], parts[4::4])}


class Player:
    """systemctl is the processes of the installation; FILE is the backup; paths of the packages are those of its folder."""

    def __init__(self, inst, backup):
        self.inst, self.backup, self.done = inst, backup, []

    def path(self, word):
        return word.replace("/var/lib/vcc-", self.inst.state + "/").replace("FILE", self.backup)

    def play(self, command):
        """The finished process of a command, or None."""
        words = [self.path(w) for w in shlex.split(command)]
        self.done.append(command)
        if words[0] == "systemctl":
            for unit in words[2:]:
                process = self.inst.processes[unit.removeprefix("vcc-")]
                process.stop() if words[1] == "stop" else process.start()
            return None
        if words[0] == "vccctl":
            words = [self.inst.bin("vccctl"), "--socket", os.path.join(self.inst.state, "run", "admin.sock"), *words[1:]]  # as root on this machine
            if "restore" in words and self.backup in words:
                words += ["--config", self.inst.conf("controller")]
        elif words[0].startswith("vcc-"):
            words = [self.inst.bin(words[0]), *words[1:], "--config", self.inst.conf(words[0].removeprefix("vcc-"))]
        return subprocess.run(words, capture_output=True, text=True, timeout=120)
