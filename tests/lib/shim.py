"""tests/fault/shims/shim.c as an object: a program started with `shim.env` runs under it, and the test turns its faults on and off."""
import mmap
import os
import struct
import subprocess

from installation import ROOT

FIELDS = ("fsync_fails", "fsync_skips", "fsyncs", "short_io", "interrupts", "malloc_fails", "mallocs", "no_entropy", "entropy_asked", "failed",
          "call_fails", "calls")


class Shim:
    def __init__(self, folder):
        """Builds it below `folder`, which the program may read."""
        os.makedirs(folder, exist_ok=True)
        self.library, path = os.path.join(folder, "shim.so"), os.path.join(folder, "shim.numbers")
        if not os.path.exists(self.library):
            subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", self.library,
                            os.path.join(ROOT, "tests", "fault", "shims", "shim.c")], check=True)
        with open(path, "wb") as f:
            f.write(bytes(8 * len(FIELDS)))
        with open(path, "r+b") as f:
            self.numbers = mmap.mmap(f.fileno(), 8 * len(FIELDS))
        self.env = {"LD_PRELOAD": self.library, "VCC_SHIM_FILE": path}

    def get(self, name):
        return struct.unpack_from("=q", self.numbers, 8 * FIELDS.index(name))[0]

    def set(self, **values):
        for name, value in values.items():
            struct.pack_into("=q", self.numbers, 8 * FIELDS.index(name), value)

    def calm(self):
        self.set(**{name: 0 for name in FIELDS})
