"""An installation without hosts, in a folder of its own; nothing of it is left behind."""
import contextlib
import shutil

from conftest import new_folder
from installation import Installation


@contextlib.contextmanager
def fresh_installation(name, settings=None):
    folder = new_folder(name)
    inst = Installation(folder, settings)
    try:
        inst.init()
        inst.start()
        yield inst
    finally:
        inst.stop()
        shutil.rmtree(folder, ignore_errors=True)
