"""File systems of a test's own: small ones, read-only ones, images. They live in a mount namespace of this process and its children, so nothing is left
behind whatever ends it."""
import ctypes
import os
import subprocess

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
MS_RDONLY, MS_REMOUNT, MS_BIND = 1, 32, 4096
_libc = ctypes.CDLL(None, use_errno=True)
_private = False


def cannot():
    """Why no file system can be mounted here; "" = it can."""
    return "" if os.geteuid() == 0 else "mounting needs root"


def _mount(source, target, kind, flags=0, options=None):
    text = [s.encode() if s is not None else None for s in (source, target, kind)]
    if _libc.mount(*text, ctypes.c_ulong(flags), options.encode() if options else None) != 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e), target)


def private():
    """From here on mounts of this thread and of all that it starts are seen by nobody else."""
    global _private
    if _private:
        return
    if _libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    _private = True


def tmpfs(folder, **options):
    private()
    os.makedirs(folder, exist_ok=True)
    _mount("tmpfs", folder, "tmpfs", 0, ",".join(f"{k}={v}" for k, v in {"mode": "0755", **options}.items()))


def bind(source, target):
    private()
    _mount(source, target, None, MS_BIND)


def overlay(folder, lower, upper, work):
    private()
    for d in (folder, upper, work):
        os.makedirs(d, exist_ok=True)
    _mount("overlay", folder, "overlay", 0, f"lowerdir={lower},upperdir={upper},workdir={work}")


def read_only(folder, yes=True):
    _mount("none", folder, None, MS_REMOUNT | (MS_RDONLY if yes else 0))


def ext4(image, folder, megabytes=48, options="", make=True):
    """An ext4 of its own in a file. The folder's bytes reach the image only by syncs (and by the kernel's writeback, half a minute later)."""
    private()
    os.makedirs(folder, exist_ok=True)
    if make:
        with open(image, "wb") as f:
            f.truncate(megabytes << 20)
        subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", image], check=True, capture_output=True)
    subprocess.run(["mount", "-t", "ext4", "-o", ",".join(x for x in ("loop", options) if x), image, folder], check=True, capture_output=True)


def unmount(folder):
    if _libc.umount2(folder.encode(), 2) != 0:  # MNT_DETACH: whoever still holds it
        raise OSError(ctypes.get_errno(), "umount", folder)


class Filled:
    """with Filled(folder): there is no byte left (or no inode)."""

    def __init__(self, folder, inodes=False):
        self.folder, self.inodes = os.path.join(folder, "ballast"), inodes

    def __enter__(self):
        os.makedirs(self.folder, exist_ok=True)
        try:
            if self.inodes:
                for i in range(1 << 20):
                    os.close(os.open(f"{self.folder}/{i}", os.O_CREAT | os.O_WRONLY, 0o600))
            with open(f"{self.folder}/bytes", "wb", buffering=0) as f:
                while True:
                    f.write(bytes(4096))
        except OSError:
            pass
        return self

    def __exit__(self, *_):
        subprocess.run(["rm", "-rf", self.folder], check=True)


def clear(folder):
    """Takes away every file system below `folder`."""
    with open("/proc/self/mountinfo") as f:
        points = [line.split()[4] for line in f]
    for point in reversed([p for p in points if p == folder or p.startswith(folder + "/")]):
        unmount(point)
