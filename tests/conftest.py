"""Fixtures of all Python tests: one installation with nginx that many tests share, and folders that every service user can reach."""
import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
from installation import Installation  # noqa: E402


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
