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
from sampling import sample  # noqa: E402


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


def pytest_configure(config):
    config.addinivalue_line("markers", "sampled(n): cases that are much alike; an ordinary run takes one of n (sampling.py)")


def pytest_collection_modifyitems(config, items):
    cases = collections.defaultdict(list)
    for item in items:
        if item.get_closest_marker("sampled"):
            cases[item.parent, item.originalname].append(item)
    left = set()
    for (_, name), all_of_one in cases.items():
        left |= set(all_of_one) - set(sample(all_of_one, all_of_one[0].get_closest_marker("sampled").args[0], name))
    if left:
        items[:] = [item for item in items if item not in left]
        config.hook.pytest_deselected(items=list(left))


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
