"""F04-F11: disks that are full, read-only, failing, or without power; folders that give files other owners and rights than wanted."""
import copy
import os
import random as randoms
import shutil
import signal
import struct
import subprocess
import time

import mounts
from installation import wait_for, write
from scene import FAILED, KEPT, REFUSED, SETTLED, change, cpu_seconds, ends, refused, renewed, restart, unread

SPACE = 1301
LONG = os.environ.get("VCC_LONG") == "1"


# ---- F04, F05 ----

def small(*names, **options):
    """The host's folders of these names on a small file system of their own."""
    def before(host):
        for name in names:
            folder = os.path.join(host.dir, name)
            mounts.tmpfs(folder, **{"size": "256k", **options})
    return before


def full_while(scene, where, wanted, inodes=False, **options):
    host = scene.make(small(where, **options))
    folder = os.path.join(host.dir, where)
    renewed(host)
    kept = sorted(n for n in os.listdir(host.tls) if not n.startswith(".new-"))
    with mounts.Filled(folder, inodes):
        refused(host, FAILED, SPACE, *wanted)
        assert sorted(n for n in os.listdir(host.tls) if n != "ballast") == kept, "nothing half-made is left"
        refused(host, FAILED, SPACE, *wanted)
    renewed(host)


def full_while_staging_files(scene):
    """Key, certificate and chain cannot be written beside the old ones: nothing changes; with space again the next try works."""
    full_while(scene, "targets", ["no space", "targets"])


def full_while_making_the_key(scene):
    full_while(scene, "keeper/keys", ["no space", "keys"], mode="0700")


def full_journal(scene):
    """What cannot be saved is not acknowledged, not decided and not forgotten: the order comes to its end by itself when there is space."""
    host = scene.make(small("keeper"))
    renewed(host)
    journal = f"{host.dir}/keeper/journal"
    with mounts.Filled(f"{host.dir}/keeper"):
        while True:  # up to the last byte of the last page
            try:
                with open(journal, "ab", buffering=0) as f:
                    at = f.tell()
                    f.write(b"\0")
                os.truncate(journal, at)
                break
            except OSError:
                break
        pad = 4096 - os.path.getsize(journal) % 4096
        assert pad < 4096
        served, n = host.served(), len(host.log("keeper"))
        keys = []
        for _ in range(64):  # small decisions still fit into the last page; then none does
            keys.append(host.renew())
            host.link.wait("an end, or no space", lambda: host.link.outcomes(keys[-1]) or "journal: no space" in host.log("keeper")[n:], 40)
            if not host.link.outcomes(keys[-1]):
                break
        assert "VCC" in host.log("keeper")[n:] or "Free space" in host.log("keeper")[n:]
        line = next(x for x in host.log("keeper")[n:].splitlines() if "/journal: no space" in x)
        host.errors.append((SPACE, line, f"{host.dir}/keeper", "Free space"))
        assert host.served() == served == host.check_set()
        status = host.link.status(host.socket)
        assert "VCC-1301" in str(status), status
    receipt = ends(host, keys[-1])
    assert receipt["outcome"] == SETTLED or receipt["code"] == -SPACE, receipt
    renewed(host)


def no_inodes(scene):
    """Bytes are free, inodes are not: the words say which."""
    full_while(scene, "targets", ["no inodes", "targets"], inodes=True, size="4m", nr_inodes="60")


def full_during_a_repair(scene):
    """Somebody changes a file while the disk is full: it is told, and repaired as soon as there is space."""
    host = scene.make(small("targets"))
    renewed(host)
    time.sleep(1.2)
    wanted = open(f"{host.tls}/current/chain.pem").read()
    with mounts.Filled(f"{host.dir}/targets"):
        os.chmod(f"{host.tls}/current/chain.pem", 0o666)
        receipt = host.link.care(1, FAILED)
        host.errors.append((receipt["code"], receipt["cause"], "no space", "targets"))
        assert host.link.drifts[-1]["file"] == "chain.pem"
    wait_for("repaired", lambda: os.stat(f"{host.tls}/current/chain.pem").st_mode & 0o777 == 0o644, 40)
    assert open(f"{host.tls}/current/chain.pem").read() == wanted
    host.link.wait("and that is told", lambda: [r for r in host.link.receipts if r["reason"] == 1 and r["outcome"] == SETTLED])


# ---- F06 ----

def read_only_targets(scene):
    """Also no busy loop: neither the order nor the care works on it for ever."""
    host = scene.make(small("targets"))
    renewed(host)
    mounts.read_only(f"{host.dir}/targets")
    refused(host, FAILED, 1300, "targets", "Read-only")
    pid = host.processes["keeper"].pid
    lines, used = len(host.log("keeper").splitlines()), cpu_seconds(pid)
    time.sleep(3)
    assert cpu_seconds(pid) - used < 0.5 and len(host.log("keeper").splitlines()) - lines < 12
    mounts.read_only(f"{host.dir}/targets", False)
    renewed(host)


def read_only_keeper(scene):
    """Without a journal there is no keeper: it ends, says why at each start, and is itself again when it can write."""
    host = scene.make(small("keeper"))
    renewed(host)
    host.link.close()
    host.processes["keeper"].kill()
    mounts.read_only(f"{host.dir}/keeper")
    n, served, key = len(host.log("keeper")), host.served(), host.renew()
    host.start_keeper(host.env, connect=False)
    wait_for("it does not start", lambda: not host.processes["keeper"].running(), 20)
    line = next(x for x in reversed(host.log("keeper")[n:].splitlines()) if "VCC-1300" in x)
    host.errors.append((1300, line, "Read-only", "Next:"))
    assert host.served() == served == host.check_set()
    mounts.read_only(f"{host.dir}/keeper", False)
    host.start_keeper(host.env)
    host.link.receipt(key, SETTLED)


def immutable_target_folder(scene):
    """A folder that not even root may change (chattr +i)."""
    def before(host):
        mounts.ext4(f"{host.dir}/disk", f"{host.dir}/targets", 16)
    host = scene.make(before)
    renewed(host)
    subprocess.run(["chattr", "+i", host.tls], check=True)
    try:
        refused(host, FAILED, 1300, "targets", "not permitted")
    finally:
        subprocess.run(["chattr", "-i", host.tls], check=True)
    renewed(host)


def unwritable_copy(scene):
    """The folder of a copy is none that the keeper may write to: told as a failure, tried again ever more rarely, the service left alone meanwhile."""
    mounts.private()
    host = scene.make()
    renewed(host)
    fixed = f"{host.dir}/fixed"  # made behind the keeper's start, so it is outside of what it locked itself into; and read-only
    mounts.tmpfs(fixed)
    mounts.read_only(fixed)
    host.key_folders = [fixed]
    change(host, files=host.good["files"] + f"copies = key.pem:{fixed}/tls.key\n")
    receipt = host.link.care(1, FAILED)
    host.errors.append((2017, receipt["cause"], f"{fixed}/tls.key"))
    n = host.log("keeper").count("repair: rest -> write")
    time.sleep(4)
    assert host.log("keeper").count("repair: rest -> write") - n <= 4, "no loop"
    assert len([r for r in host.link.receipts if r["reason"] == 1]) == 1, "told once"
    mounts.read_only(fixed, False)
    restart(host)
    wait_for("with the folder within reach it is done", lambda: os.path.exists(f"{fixed}/tls.key"), 20)
    with open(f"{fixed}/tls.key", "rb") as a, open(f"{host.tls}/current/key.pem", "rb") as b:
        assert a.read() == b.read()
    renewed(host)


# ---- F07, F08 ----

def fsync_fails(scene):
    """Each fsync of a swap once: files and folders of the new generation, then the journal. A failed one is never tried again for the same bytes."""
    host = scene.make(shim=True)
    renewed(host)
    host.shim.set(fsyncs=0)
    renewed(host)
    total, seen = host.shim.get("fsyncs"), {SETTLED: 0, FAILED: 0, KEPT: 0, REFUSED: 0}
    assert total > 8, total
    for n in range(1, total + 1):
        before, old = host.check_set(), set(os.listdir(host.tls))
        host.shim.set(failed=0, fsync_fails=n)
        key = host.renew()
        receipt = ends(host, key)
        host.shim.set(fsync_fails=0)
        seen[receipt["outcome"]] += 1
        if receipt["outcome"] in (FAILED, REFUSED):
            assert host.shim.get("failed") == 1
            host.errors.append((receipt["code"], receipt["cause"]))
            assert host.check_set() == before == host.served()
            assert set(os.listdir(host.tls)) <= old, "what was not surely written is gone"
        elif receipt["outcome"] == KEPT:
            host.link.receipt(key, SETTLED)
    assert seen[FAILED] > 0 and seen[FAILED] < sum(seen.values()), f"{total} syncs: {seen}"
    assert unread(host) == 0, "each order was taken the first time"
    renewed(host)


def short_writes_and_interrupts(scene):
    """One byte at a time, and every other call ends with EINTR."""
    host = scene.make(shim=True)
    renewed(host)
    for fault in ({"short_io": 1}, {"interrupts": 1}, {"short_io": 1, "interrupts": 1}):
        host.shim.set(failed=0, **fault)
        renewed(host)
        assert host.shim.get("failed") > 100, "the storm was felt"
        host.shim.set(short_io=0, interrupts=0)
    restart(host)
    renewed(host)


# ---- F09 ----

class PoweredHost:
    """Targets and the keeper's folder on one ext4, or each on one of its own; `cut()` is what the disks hold when the power goes at this moment."""

    def __init__(self, scene, apart=False, **more):
        self.scene = scene
        self.disks = [["targets"], ["keeper"]] if apart else [["targets", "keeper"]]
        self.host = scene.make(self.before, **more)

    def paths(self, host):
        """Image, where it is mounted, the folders on it."""
        return [(f"{host.dir}.image{i}", f"{host.dir}/disk{i}", names) for i, names in enumerate(self.disks)]

    def before(self, host):
        # nothing is written back by itself; names may reach the disk before the bytes of their files
        for image, disk, names in self.paths(host):
            mounts.ext4(image, disk, 24, OPTIONS)
            for name in names:
                os.mkdir(f"{disk}/{name}", 0o755)
                os.makedirs(f"{host.dir}/{name}", exist_ok=True)
                mounts.bind(f"{disk}/{name}", f"{host.dir}/{name}")

    def sync(self):
        for _, disk, _ in self.paths(self.host):
            subprocess.run(["sync", "-f", disk], check=True)

    def cut(self):
        """The keeper was killed: everything that was not synced is lost. Its folders are then what the disks had."""
        paths = self.paths(self.host)
        for image, _, _ in paths:
            shutil.copyfile(image, f"{image}.cut")
        for image, disk, names in paths:
            for folder in [f"{self.host.dir}/{name}" for name in names] + [disk]:
                mounts.unmount(folder)
            os.rename(f"{image}.cut", image)
            mounts.ext4(image, disk, options=OPTIONS, make=False)
            for name in names:
                mounts.bind(f"{disk}/{name}", f"{self.host.dir}/{name}")

    def drop(self):
        for image, _, _ in self.paths(self.host):
            os.unlink(image)


OPTIONS = "data=writeback,noauto_da_alloc,commit=300"
CUTS = ("keeper.write.rename", "keeper.write.done", "keeper.flip", "link_rename", "keeper.flip.done", "keeper.reload.done", "keeper.receipt.sent", "keeper.prune.done")


def power_cut(scene):
    """Killed at a point of a swap, and what was not synced is gone: the old or the new set, whole, before anybody has mended anything; then the order ends."""
    powered = PoweredHost(scene)
    host = powered.host
    try:
        renewed(host)
        for point in CUTS if LONG else CUTS[1::3]:
            before = host.check_set()
            restart(host, {"VCC_FAILPOINT": f"{point}@1=kill"})
            powered.sync()
            key = host.renew()
            wait_for(f"{point} kills it", lambda: not host.processes["keeper"].running(), 60)
            with scene.unseen():
                powered.cut()
                found = host.check_set()
            assert found in (before, host.link.orders[key]["fingerprint"]), f"{point}: neither the old nor the new set"
            restart(host)
            host.link.receipt(key, SETTLED)
            wait_for("it is served", lambda: host.served() == host.check_set() == host.link.orders[key]["fingerprint"], 20)
    finally:
        powered.drop()


MOMENTS, EACH = (500, 10) if LONG else (50, 10)


def taken(powered, key, random, folder):
    """The disks at some moment of the order, and whether it was told as settled by then. The keeper sees nothing of it."""
    host, seen = powered.host, []
    for n in range(EACH):
        time.sleep(random.uniform(0, 0.06))
        os.kill(host.processes["keeper"].pid, signal.SIGSTOP)
        try:
            time.sleep(0.01)  # what it has asked of the disk is done
            seen.append((f"{folder}/{n}", SETTLED in host.link.outcomes(key)))
            shutil.copyfile(powered.paths(host)[0][0], f"{folder}/{n}")
        finally:
            os.kill(host.processes["keeper"].pid, signal.SIGCONT)
    return seen


def left_after(host, image):
    """What `current` names on this disk: one whole set, or this fails."""
    mounts.ext4(image, f"{image}.d", options=OPTIONS, make=False)
    try:
        left = copy.copy(host)
        left.tls = f"{image}.d/targets/{os.path.basename(host.tls)}"
        return left.check_set()
    finally:
        mounts.unmount(f"{image}.d")
        os.rmdir(f"{image}.d")
        os.unlink(image)


def power_cut_at_any_moment(scene):
    """500 cuts at moments of swaps that nobody chose: on the disk is the old or the new set, whole; and the new one as soon as that was told as settled."""
    powered = PoweredHost(scene, env={"VCC_PROBE_MS": "60000"})  # a machine that has no time for it is no failed swap
    host, random = powered.host, randoms.Random(1)
    folder = f"{host.dir}.moments"
    os.mkdir(folder)
    try:
        renewed(host)
        powered.sync()
        found = {"old": 0, "new": 0}
        while sum(found.values()) < MOMENTS:
            before = host.check_set()
            key = host.renew()
            moments = taken(powered, key, random, folder)
            host.link.receipt(key, SETTLED)
            new = host.link.orders[key]["fingerprint"]
            for image, settled in moments:
                there = left_after(host, image)
                assert there == new or (there == before and not settled), f"{image}: {'told as settled' if settled else 'neither the old nor the new set'}"
                found["new" if there == new else "old"] += 1
        assert all(found.values()), f"cuts on one side of the flip only: {found}"
    finally:
        shutil.rmtree(folder)
        powered.drop()


def power_cut_after_a_restart(scene):
    """Killed between the rename of `current` and its sync, started again, and only when the order is done the power goes: what was proved is still there.

    Two disks: on one, each sync of the journal would take the rename with it."""
    powered = PoweredHost(scene, apart=True, env={"VCC_PROBE_MS": "60000"})
    host = powered.host
    try:
        renewed(host)
        powered.sync()
        restart(host, {"VCC_FAILPOINT": "link_sync@1=kill"})
        key = host.renew()
        wait_for("it is killed", lambda: not host.processes["keeper"].running(), 60)
        restart(host)
        host.link.receipt(key, SETTLED)
        host.link.close()
        host.processes["keeper"].kill()
        with scene.unseen():
            powered.cut()
            assert host.check_set() == host.link.orders[key]["fingerprint"], "the rename was lost"
        restart(host)
        renewed(host)
    finally:
        powered.drop()


def power_cut_without_syncs(scene):
    """The same with every sync left out: here the set must be found broken or old, or this row could not fail."""
    powered = PoweredHost(scene, shim=True)
    host = powered.host
    try:
        renewed(host)
        powered.sync()
        before = host.check_set()
        host.shim.set(fsync_skips=1)
        renewed(host)
        host.link.close()
        host.processes["keeper"].kill()
        with scene.unseen():
            powered.cut()
            lost = host.check_set() == before
            assert lost, "the cut keeps what was never synced: it is no power cut"
        host.shim.calm()
        restart(host)
        renewed(host)
    finally:
        powered.drop()


# ---- F10 ----

def on_three_file_systems(scene):
    """Keeper, targets and copies each on another one: what is renamed was staged beside its place, so no swap can meet EXDEV."""
    def before(host):
        host.copies = f"{host.dir}/fixed"
        for folder in (f"{host.dir}/keeper", f"{host.dir}/targets", host.copies):
            mounts.tmpfs(folder, size="1m")
        host.settings["files"] += f"copies = key.pem:{host.copies}/tls.key, fullchain.pem:{host.copies}/tls.crt\n"
        host.key_folders = [host.copies]
    host = scene.make(before)
    for _ in range(2):
        renewed(host)
        with open(f"{host.copies}/tls.key", "rb") as a, open(f"{host.tls}/current/key.pem", "rb") as b:
            assert a.read() == b.read()


def on_an_overlay(scene):
    """A container's root: the generations of the image lie in a layer whose folders cannot be renamed; they are pruned all the same."""
    def before(host):
        lower = f"{host.dir}.lower"
        os.makedirs(f"{lower}/web")
        host.tls = f"{lower}/web"
        host.first_pair()
        shutil.copytree(f"{lower}/web/g000001", f"{lower}/web/g000002")
        host.tls = f"{host.dir}/targets/web"
        mounts.tmpfs(f"{host.dir}/layers")
        mounts.overlay(f"{host.dir}/targets", lower, f"{host.dir}/layers/up", f"{host.dir}/layers/work")
        host.first_pair = lambda: None
        host.key_folders = [f"{host.dir}/layers"]
    host = scene.make(before)
    try:
        for _ in range(3):
            renewed(host)
        assert len([n for n in os.listdir(host.tls) if n.startswith("g")]) == 2, os.listdir(host.tls)
        assert not [n for n in os.listdir(host.tls) if n.startswith(".new-")]
    finally:
        shutil.rmtree(f"{host.dir}.lower", ignore_errors=True)


def check_of(host):
    return subprocess.run([os.path.join(host.binaries, "vcc-keeper"), "--check", "--config", host.config], capture_output=True, text=True, timeout=20)


def refused_when_read(scene):
    """What cannot be replaced by a rename (a mounted file in the place of a copy) is refused when the target file is read, by --check and by the keeper."""
    mounts.private()
    fixed = ""

    def before(host):
        nonlocal fixed
        fixed = f"{host.dir}/fixed"
        os.mkdir(fixed)
        host.settings["files"] += f"copies = key.pem:{fixed}/first.key\n"
        host.key_folders = [fixed]
    host = scene.make(before)
    renewed(host)
    other = f"{host.dir}/other.key"
    write(f"{fixed}/tls.key", "")
    write(other, "")
    mounts.bind(other, f"{fixed}/tls.key")
    host.write_target(files=host.good["files"] + f"copies = key.pem:{fixed}/tls.key\n")
    done = check_of(host)
    assert done.returncode != 0, done
    host.errors.append((2017, done.stderr, f"{fixed}/tls.key", "mount", "Next:"))
    problem = wait_for("the keeper says so, too", lambda: next(iter(host.link.status(host.socket)["problems"]), None), 20)
    assert problem["code"] == "VCC-2017" and "mount" in problem["text"], problem
    renewed(host)  # by the settings from before
    mounts.unmount(f"{fixed}/tls.key")
    host.write_target(files=host.settings["files"] + "# and again\n")
    wait_for("taken", lambda: not host.link.status(host.socket)["problems"], 20)
    os.unlink(f"{fixed}/tls.key")
    renewed(host)
    assert check_of(host).returncode == 0


# ---- F11 ----

def acl(*entries):
    """A POSIX ACL as its extended attribute: (tag, rights, id)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


NOBODY = 0xFFFFFFFF
FOR_NOBODY = acl((1, 7, NOBODY), (2, 7, 65534), (4, 5, NOBODY), (16, 7, NOBODY), (32, 5, NOBODY))  # u::rwx, u:nobody:rwx, g::r-x, m::rwx, o::r-x


def rights(host):
    """name -> (owner, group, mode, extended attributes) of the generation in use and of its files."""
    import grp
    folder = os.path.join(host.tls, host.current())
    rows = {n: os.path.join(folder, n) for n in ("", *os.listdir(folder))}
    found = {n: (os.stat(p).st_uid, grp.getgrgid(os.stat(p).st_gid).gr_name, oct(os.stat(p).st_mode & 0o7777), os.listxattr(p)) for n, p in rows.items()}
    wanted = {n: (0, "www-data", "0o640" if n == "key.pem" else "0o644", []) for n in rows if n}
    wanted[""] = (0, found[""][1], "0o755", [])
    return found, wanted


def folders_that_give_rights(scene):
    """umask 000 and 077, a setgid folder, a folder with a default ACL: owner, group, mode and no ACL, exactly."""
    host = scene.make()
    renewed(host)
    plain = host.processes["keeper"].argv
    for umask in ("000", "077"):
        host.link.close()
        host.processes["keeper"].stop()
        host.process("keeper", ["/bin/sh", "-c", f'umask {umask}; exec "$0" "$@"', *plain], host.env).start()
        host.link.connect(host.socket)
        renewed(host)
        found, wanted = rights(host)
        assert found == wanted, f"umask {umask}: {found}"
    os.chown(host.tls, 0, 12)
    os.chmod(host.tls, 0o2755)
    renewed(host)
    found, wanted = rights(host)
    assert found == wanted, f"setgid: {found}"
    os.chmod(host.tls, 0o755)
    os.chown(host.tls, 0, 0)
    os.setxattr(host.tls, "system.posix_acl_default", FOR_NOBODY)
    renewed(host)
    found, wanted = rights(host)
    assert found == wanted, f"default ACL: {found}"
    os.removexattr(host.tls, "system.posix_acl_default")


def an_acl_is_a_change(scene):
    """Somebody gives another user the key by an ACL: mode and owner look as before; it is told and undone."""
    host = scene.make()
    renewed(host)
    time.sleep(1.2)
    key = f"{host.tls}/current/key.pem"
    os.setxattr(key, "system.posix_acl_access", acl((1, 6, NOBODY), (2, 4, 65534), (4, 4, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY)))
    assert os.stat(key).st_mode & 0o777 == 0o640
    wait_for("undone", lambda: not os.listxattr(f"{host.tls}/current/key.pem"), 20)
    host.link.wait("told", lambda: any(d["file"] == "key.pem" for d in host.link.drifts))
    change(host, **host.good)
