"""What somebody with rights on a host may do to a file that is not his, and what the files of a generation look like. Each kind takes a path."""
import hashlib
import os
import threading
import time

from installation import write


def edit(path):
    with open(path, "a") as f:
        f.write("\n# edited\n")


def above_all_targets(path):
    """A name outside every watched folder, on the same file system."""
    return f"{os.path.dirname(path.split('/current/')[0])}/mine-{time.monotonic_ns()}"


def rename_over(path):
    mine = above_all_targets(path)
    write(mine, "something else\n")
    os.rename(mine, path)


def chmod(path):
    os.chmod(path, 0o666)


def chown(path):
    os.chown(path, 12345, -1)


def hard_link(path):
    os.link(path, above_all_targets(path))


TAMPER = {"edit": edit, "rename over": rename_over, "delete": os.unlink, "chmod": chmod, "chown": chown, "hard link": hard_link}


def safely(function, *arguments):
    """Its result, or None where somebody was faster."""
    try:
        return function(*arguments)
    except OSError:
        return None


def whole(folder):
    """What must be the same after each repair, folders inside included: name -> (SHA-256, mode, owner, group, names)."""
    rows = {}
    for at, folders, files in os.walk(folder + "/"):
        for name in folders + files:
            path = os.path.join(at, name)
            st = os.lstat(path)
            data = b"" if name in folders else open(path, "rb").read()
            rows[os.path.relpath(path, folder)] = (hashlib.sha256(data).hexdigest(), st.st_mode, st.st_uid, st.st_gid, 1 if name in folders else st.st_nlink)
    return rows


class Rival:
    """with Rival(action): a second writer that does `action` every 100 ms and does not care what becomes of it."""

    def __init__(self, action, pause=0.1):
        self.action, self.pause, self.done = action, pause, 0
        self.stop, self.thread = threading.Event(), threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stop.wait(self.pause):
            safely(self.action)
            self.done += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
