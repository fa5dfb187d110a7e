"""Can a captured program leave its place? Each running program is made to try, under its own filter, folders and rights (tool_escape), and what the
kernel says of every one of its threads is compared with a table."""
import ctypes
import glob
import os
import platform
import signal
import socket
import struct
import subprocess
import time

import pytest
from installation import wait_for

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
TOOL = os.path.join(ROOT, "build", "tests", "tool_escape")
ROLES = ("controller", "gateway", "signer", "link", "keeper", "dialer")
CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
RIGHTS = {"keeper": CHOWN | DAC_OVERRIDE | DAC_READ_SEARCH | FOWNER}  # everybody else has none
HERE, MAKE, WRITE, NONBLOCK = -100, os.O_CREAT | os.O_WRONLY, os.O_WRONLY, socket.SOCK_NONBLOCK
UNIX, INET, INET6, NETLINK, PACKET, VSOCK, ALG = 1, 2, 10, 16, 17, 40, 38
STREAM, DGRAM, RAW = 1, 2, 3
ABSTRACT, LANDLOCK_CREATE_RULESET = "vcc-test-abstract", 444
NEW_USER, NEW_FOLDERS, THREAD, NEW_FILES_SIGNALS = 0x10000000, 0x00020000, 0x00010000, 0x00000f00


NOBODY = [  # what no program may do, whoever it is
    ("runs a program", "execve", ("=/bin/true", 0, 0)),
    ("runs a program by descriptor", "execveat", (HERE, "=/bin/true", 0, 0, 0)),
    ("forks", "fork", ()),
    ("forks by clone", "clone", (17, 0, 0, 0, 0)),
    ("a process with its own users", "clone", (NEW_USER | 17, 0, 0, 0, 0)),
    ("a thread with its own folders", "clone", (NEW_FOLDERS | THREAD | NEW_FILES_SIGNALS, 0, 0, 0, 0)),
    ("own users", "unshare", (NEW_USER,)),
    ("own folders", "unshare", (NEW_FOLDERS,)),
    ("somebody's namespace", "setns", (0, 0)),
    ("traces another", "ptrace", (16, 1, 0, 0)),
    ("reads another's memory", "process_vm_readv", (1, 0, 0, 0, 0, 0)),
    ("takes another's descriptor", "pidfd_getfd", (0, 0, 0)),
    ("signals another", "kill", (1, 0)),
    ("signals by descriptor", "pidfd_send_signal", (0, 0, 0, 0)),
    ("mounts", "mount", ("=/tmp", "=/mnt", "=none", 4096, 0)),
    ("unmounts", "umount2", ("=/proc", 2)),
    ("another root", "pivot_root", ("=/", "=/")),
    ("chroot", "chroot", ("=/tmp",)),
    ("becomes another user", "setuid", (65534,)),
    ("becomes another group", "setresgid", (0, 0, 0)),
    ("takes capabilities", "capset", (0, 0)),
    ("a device", "mknodat", (HERE, "=/tmp/vcc-test-device", 0o20600, 0x103)),
    ("opens by handle", "open_by_handle_at", (HERE, 0, 0)),
    ("a file without a name, to run", "memfd_create", ("=x", 0)),
    ("asks the kernel past the filter", "io_uring_setup", (8, 0)),
    ("loads into the kernel", "bpf", (0, 0, 0)),
    ("a module", "init_module", (0, 0, "=")),
    ("another kernel", "kexec_load", (0, 0, 0, 0)),
    ("watches the processor", "perf_event_open", (0, 0, -1, -1, 0)),
    ("handles faults", "userfaultfd", (0,)),
    ("the kernel's key ring", "keyctl", (0, -3, 0, 0, 0)),
    ("a key of the kernel", "add_key", ("=user", "=x", "=y", 1, -3)),
    ("sets the clock", "clock_settime", (0, "%00000000000000000000000000000000")),
    ("another name for the host", "sethostname", ("=x", 1)),
    ("another way to count calls", "personality", (0x0400000,)),
    ("memory that is written and run", "mmap", (0, 4096, 7, 0x22, -1, 0)),
    ("runs what it wrote", "mprotect", (0, 4096, 5)),
    ("may be traced again", "prctl", (4, 1, 0, 0, 0)),
    ("limits another", "prlimit64", (1, 4, 0, 0)),
    ("a packet socket", "socket", (PACKET, RAW, 0)),
    ("a raw socket", "socket", (INET, RAW, 1)),
    ("asks by ICMP", "socket", (INET, DGRAM, 1)),
    ("another transport", "socket", (INET, STREAM, 262)),
    ("filters the network", "socket", (NETLINK, RAW, 12)),
    ("speaks to the audit of the kernel", "socket", (NETLINK, RAW, 9)),
    ("speaks to the host of a virtual machine", "socket", (VSOCK, STREAM, 0)),
    ("the kernel's ciphers", "socket", (ALG, 5, 0)),
    ("a program that runs as its owner", "openat", (HERE, "=/tmp/vcc-test-setuid", MAKE, 0o4755)),
    ("makes a program run as its owner", "chmod", ("=/tmp/vcc-test-setuid", 0o4755)),
]
SHADOW = ("reads the passwords", "openat", (HERE, "=/etc/shadow", 0, 0))
WITH_ETC = ("controller", "link", "keeper")  # users, hosts and zones are there, and replaced by rename; of their shadow see test_systemd.py
FILES = [  # out of reach: Landlock
    ("reads root's folder", "openat", (HERE, "=/root", os.O_DIRECTORY, 0)),
    ("reads another process", "openat", (HERE, "=/proc/1/environ", 0, 0)),
    ("reads what the kernel logs", "openat", (HERE, "=/dev/kmsg", 0, 0)),
    ("writes to /tmp", "openat", (HERE, "=/tmp/vcc-test-escape", MAKE, 0o600)),
    ("writes to /etc", "openat", (HERE, "=/etc/vcc-test-escape", MAKE, 0o600)),
    ("writes to cron", "openat", (HERE, "=/etc/cron.d/vcc-test-escape", MAKE, 0o600)),
    ("writes to libraries", "openat", (HERE, "=/usr/lib/vcc-test-escape", MAKE, 0o600)),
    ("writes to the kernel's settings", "openat", (HERE, "=/proc/sys/kernel/core_pattern", WRITE, 0)),
]
MAY = {  # sockets by role; everything else in the list is refused
    "controller": {"local", "internet", "internet6", "names", "datagrams"},
    "gateway": {"local"},
    "signer": set(),
    "link": {"local", "internet", "internet6", "names", "datagrams"},
    "keeper": {"local"},
    "dialer": {"internet", "internet6"},
}
SOCKETS = {
    "local": (UNIX, STREAM | NONBLOCK, 0),
    "internet": (INET, STREAM | NONBLOCK, 0),
    "internet6": (INET6, STREAM | NONBLOCK, 0),
    "datagrams": (INET, DGRAM | NONBLOCK, 0),
    "names": (NETLINK, RAW, 0),
}


@pytest.fixture(scope="module")
def running(nginx_installation):
    if os.geteuid() != 0 or platform.machine() != "x86_64":
        pytest.skip("needs root and x86-64 to put a call into a program")
    inst, host = nginx_installation
    names = {"link": host.processes["agent"], "keeper": host.processes["keeper"]}
    names.update({r: inst.processes[next(p for p in inst.processes if p.startswith(r))] for r in ("controller", "gateway", "signer")})
    pids = {role: p.pid for role, p in names.items()}
    with open(f"/proc/{pids['keeper']}/task/{pids['keeper']}/children") as f:
        (pids["dialer"],) = map(int, f.read().split())
    yield inst, host, pids
    for role, p in names.items():
        assert p.running(), f"{role} went on after all that"


def attempt(pid, call, args):
    """The kernel's answer: a number, or an error's name. A program that just computes is waited for."""
    for _ in range(200):
        done = subprocess.run([TOOL, str(pid), call, *map(str, args)], capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return done.stdout.strip()
        assert "does not wait" in done.stderr or done.returncode == 3, done.stderr
        time.sleep(0.02)
    raise AssertionError(done.stderr)


def close(pid, answer):
    if answer.isdigit():
        attempt(pid, "close", (answer,))


@pytest.mark.parametrize("role", ROLES)
def test_nobody_may(running, role):
    pid = running[2][role]
    answers = {what: attempt(pid, call, args) for what, call, args in NOBODY}
    assert {what: a for what, a in answers.items() if a != "EPERM"} == {}
    assert attempt(pid, "clone3", (0, 0)) == "ENOSYS", "the C library then asks by clone, whose flags can be judged"
    assert not os.path.exists("/tmp/vcc-test-setuid")


@pytest.mark.parametrize("role", ROLES)
def test_files_out_of_reach(running, role):
    pid = running[2][role]
    attempts = FILES if role in WITH_ETC else [*FILES, SHADOW]
    answers = {what: attempt(pid, call, args) for what, call, args in attempts}
    assert {what: a for what, a in answers.items() if a not in ("EACCES", "EPERM")} == {}


@pytest.mark.parametrize("role", ROLES)
def test_secrets_of_the_others(running, role):
    """Each reads its own keys and nobody else's."""
    inst, host, pids = running
    secrets = {"signer": glob.glob(f"{inst.dir}/**/ca/*.key", recursive=True), "keeper": glob.glob(f"{host.dir}/keeper/*"),
               "service": glob.glob(f"{host.target_dir}/g*/key.pem"), "link": glob.glob(f"{host.dir}/link/*"),
               "controller": glob.glob(f"{inst.dir}/**/*.db", recursive=True)}
    for owner, paths in secrets.items():
        assert paths, owner
        for path in filter(os.path.isfile, paths):
            answer = attempt(pids[role], "openat", (HERE, f"={path}", 0, 0))
            close(pids[role], answer)
            mine = owner == role or (owner == "service" and role == "keeper")
            assert mine or answer == "EACCES", (role, path, answer)


@pytest.mark.parametrize("role", ROLES)
def test_sockets(running, role):
    pid = running[2][role]
    for what, args in SOCKETS.items():
        answer = attempt(pid, "socket", args)
        if what in MAY[role]:
            assert answer.isdigit(), (what, answer)
            assert role == "controller" or attempt(pid, "listen", (answer, 1)) == "EPERM"
            close(pid, answer)
        else:
            assert answer == "EPERM", (what, answer)


@pytest.mark.parametrize("role", ROLES)
def test_abstract_sockets(running, role):
    """They have no folder and no mode: only Landlock's scope keeps a program from them, in kernels that have it (6.12 on)."""
    if ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1) < 6:
        pytest.skip("this kernel has no scopes")
    pid = running[2][role]
    with socket.socket(socket.AF_UNIX) as s:
        s.bind("\0" + ABSTRACT)
        s.listen()
        fd = attempt(pid, "socket", SOCKETS["local"])
        if not fd.isdigit():
            return
        address = struct.pack("H", UNIX) + b"\0" + ABSTRACT.encode()
        try:
            assert attempt(pid, "connect", (fd, "%" + address.hex(), len(address))) == "EPERM"
        finally:
            close(pid, fd)


def test_what_the_kernel_says_of_every_thread(running):
    for role, pid in running[2].items():
        threads = glob.glob(f"/proc/{pid}/task/*/status")
        assert threads
        for path in threads:
            with open(path) as f:
                status = {k: v.strip() for k, v in (line.split(":", 1) for line in f)}
            assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1"), (role, status["Name"])
            assert int(status["Seccomp_filters"]) >= 1
            rights = RIGHTS.get(role, 0)
            assert {k: int(status[k], 16) & ~rights for k in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd")} == \
                   dict.fromkeys(("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"), 0), role
        with open(f"/proc/{pid}/limits") as f:
            core = next(line.split() for line in f if line.startswith("Max core"))
        assert core[4:6] == ["0", "0"], role


def test_the_keeper_ends_without_its_dialer(running):
    """It could not see a service any more, and would take a good certificate for a bad one. Whoever supervises it starts it again."""
    _, host, pids = running
    keeper = host.processes["keeper"]
    os.kill(pids["dialer"], signal.SIGKILL)
    wait_for("the keeper ends", lambda: not keeper.running())
    with open(keeper.log, errors="replace") as f:
        assert "VCC-1304 cannot reach the process that connects to listeners of this host" in f.read()
    keeper.start()
    wait_for("it runs again", lambda: "certificates" in open(keeper.log, errors="replace").read().rpartition("keeper runs")[2])
