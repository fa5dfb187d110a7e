"""Runs the Python test files that lines of its input name, one after the other, each in a process of its own. What all of them load has been
loaded once: to load pytest takes longer than many a file. A line out, when a file has ended: its exit status.

usage: pytests.py SECONDS

What a file says is in build/logs/NAME.log, what became of its tests in build/results/NAME.xml. One that takes longer than SECONDS is ended."""
import contextlib
import ctypes
import importlib
import os
import select
import signal
import sys

import pytest

PR_SET_PDEATHSIG = 1
COMMON = ("cryptography.x509", "installation", "sqlite3", "urllib.request", "websockets")


def load():
    """pytest's parts are loaded by a run that runs no test."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # those of other packages
    with open(os.devnull, "r+") as quiet, contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        os.dup2(quiet.fileno(), 0)  # no test reads what is meant for this process
        pytest.main(["--version"])
    for name in COMMON:
        importlib.import_module(name)


def log_of(path):
    return f"build/logs/{os.path.basename(path)[:-3]}.log"


def run(path):
    log = os.open(log_of(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    return int(pytest.main(["-q", "-rfEs", "--no-header", "-p", "no:cacheprovider", f"--junitxml=build/results/{os.path.basename(path)[:-3]}.xml", path]))


def main(limit):
    lines = os.fdopen(os.dup(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a test that is interrupted ends what it began, and is waited for
    load()
    for line in lines:
        path = line.strip()
        child = os.fork()
        if child == 0:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # without its lane it would run beside its own repetition
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.exit(run(path))
        ended = os.pidfd_open(child)
        if not select.select([ended], [], [], limit)[0]:
            os.kill(child, signal.SIGKILL)
            with open(log_of(path), "a") as log:
                log.write(f"\nnot finished after {limit} s\n")
        os.close(ended)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


main(int(sys.argv[1]))
