"""Fixtures of all Python tests: one installation with nginx that many tests share, and folders that every service user can reach."""
import collections
import os
import shutil
import sys
import tempfile
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
from installation import Installation, Process  # noqa: E402


def last_words(lines=12, seconds=120):
    """The ends of the logs that were written lately."""
    said = []
    for path, name in Process.logs.items():
        try:
            if os.path.getmtime(path) > time.time() - seconds:
                with open(path, errors="replace") as f:
                    said += [f"{name} ({path})", *(f"  {line.rstrip()[:240]}" for line in f.readlines()[-lines:])]
        except OSError:
            pass
    return "\n".join(said)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """What fails shows what the programs said: on another machine their logs are gone afterwards."""
    report = (yield).get_result()
    if report.failed:
        report.sections.append(("what the programs said last", last_words()))


LONG = os.environ.get("VCC_LONG") == "1"


def pytest_configure(config):
    config.addinivalue_line("markers", "sampled(n): cases that are much alike; an ordinary run takes one of n, always the same ones, VCC_LONG=1 takes all")


def pytest_collection_modifyitems(config, items):
    met, kept, left = collections.Counter(), [], []
    for item in items:
        mark = item.get_closest_marker("sampled")
        (left if mark and not LONG and met[item.originalname] % mark.args[0] else kept).append(item)
        met[item.originalname] += 1
    if left:
        items[:] = kept
        config.hook.pytest_deselected(items=left)


def pytest_terminal_summary(terminalreporter):
    """What a file costs, with all programs that it started and that have ended: says where the time of a check goes."""
    used = os.times()
    terminalreporter.write_line(f"{used.user + used.system + used.children_user + used.children_system:.0f} s of processor time")


def new_folder(name):
    folder = tempfile.mkdtemp(prefix=f"vcc-{name}-")
    os.chmod(folder, 0o755)
    return folder


@pytest.fixture
def folder(request):
    path = new_folder("test")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def nginx_installation():
    """(installation, host) with one nginx that is issued and served."""
    path = new_folder("nginx")
    inst = Installation(path)
    try:
        inst.init()
        inst.start()
        host = inst.add_nginx()
        inst.wait_served(host)
        yield inst, host
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)
