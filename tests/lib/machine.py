"""A machine with a real systemd: a container whose root is an overlay over this machine's own root. Nothing of it stays behind.

All mounts live in a mount namespace of their own and end with the container. The container has no network but its own loopback. Ends only
processes it started: the container's pid 1 (held by a pidfd, so that no other process can be meant) and systemd-nspawn."""
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import time

DEADLINE = 120.0
PR_SET_PDEATHSIG = 1

# The overlay is writable in memory only. What the host has enabled but a test does not want is masked before the first start.
BOOT = r"""set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
root=$1/root name=$2
shift 2
: > "$root/etc/machine-id"
echo "$name" > "$root/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s\n' "$name" > "$root/etc/hosts"
for unit in "$@"; do
	ln -sfn /dev/null "$root/etc/systemd/system/$unit"
done
# what disks and kernel lines of a real machine need is looked for at each start and each daemon-reload, by a dozen programs
mkdir -p "$root/etc/systemd/system-generators"
for path in /lib/systemd/system-generators/systemd-*; do
	case $path in *sysv*) continue ;; esac # services that come as a script of init
	ln -sfn /dev/null "$root/etc/systemd/system-generators/${path##*/}"
done
# a /run of our own: nspawn keeps locks and mount points there
mount -t tmpfs -o mode=0755 tmpfs /run
trap 'kill -TERM "$child"; wait "$child"; exit' TERM
while :; do
	# seccomp of nspawn itself off: a test wants to see the filters of the units and programs alone
	SYSTEMD_SECCOMP=0 systemd-nspawn -q --register=no --keep-unit --private-network --resolv-conf=off --timezone=off \
		--link-journal=no --machine="$name" -b -D "$root" --console=pipe &
	child=$! code=0
	wait "$child" || code=$?
	# 133: it wants to be started again, because `reboot` was typed inside
	[ "$code" = 133 ] || exit "$code"
done
"""
MASKED = ("nginx.service", "postgresql.service", "haproxy.service", "apache2.service", "systemd-timesyncd.service", "apt-daily.timer", "apt-daily-upgrade.timer",
          "man-db.timer", "fstrim.timer", "e2scrub_all.timer", "e2scrub_reap.service", "dpkg-db-backup.timer", "getty.target", "console-getty.service",
          "networking.service", "ssh.service", "cron.service")


class MachineFailed(Exception):
    """What did not work, with the machine's own words."""


def cannot():
    """Why no machine can run here; "" = it can."""
    if os.geteuid() != 0:
        return "booting a container needs root"
    if shutil.which("systemd-nspawn") is None:
        return "systemd-nspawn is missing (package systemd-container)"
    if shutil.which("nsenter") is None or shutil.which("unshare") is None:
        return "nsenter and unshare are missing (package util-linux)"
    return ""


class Machine:
    """with Machine(folder) as m: m.run("systemctl", "status")"""

    def __init__(self, folder, name="vcc-machine", keep=()):
        self.folder, self.name = os.path.abspath(folder), name
        self.masked = [u for u in MASKED if u not in keep]
        self.nspawn, self.pid, self.pidfd = None, None, None
        self.console = os.path.join(self.folder, "console.log")

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_exception):
        self.stop()

    # ---- life ----
    def start(self):
        root = os.path.join(self.folder, "root")
        os.makedirs(root, exist_ok=True)
        libc = ctypes.CDLL(None, use_errno=True)

        def end_with_parent():
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

        with open(self.console, "ab") as console:
            self.nspawn = subprocess.Popen(["unshare", "-m", "sh", "-c", BOOT, "boot", root, self.name, *self.masked], stdin=subprocess.DEVNULL, stdout=console,
                                           stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=end_with_parent)
        return self._wait_booted()

    def _wait_booted(self):
        end = time.monotonic() + DEADLINE
        while self.pid is None:
            if self.nspawn.poll() is not None:
                raise MachineFailed(f"systemd-nspawn ended with {self.nspawn.returncode}:\n{self.console_tail()}")
            if time.monotonic() > end:
                raise MachineFailed(f"the container has no pid 1:\n{self.console_tail()}")
            time.sleep(0.05)
            self._find_init()
        self.wait_for("systemd has started everything", lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"))
        return self

    def reboot(self):
        """As `reboot` typed inside: everything ends, and starts again on the same disk."""
        self.run("systemctl", "reboot", check=False)
        if not self._init_gone(DEADLINE):
            raise MachineFailed(f"the container does not go down:\n{self.console_tail()}")
        os.close(self.pidfd)
        self.pid = self.pidfd = None
        self._wait_booted()

    def _find_init(self):
        """The descendant of systemd-nspawn that is process 1 of its own namespace; pinned by a pidfd."""
        todo = [self.nspawn.pid]
        while todo:
            pid = todo.pop()
            try:
                with open(f"/proc/{pid}/task/{pid}/children") as f:
                    todo += [int(c) for c in f.read().split()]
                with open(f"/proc/{pid}/status") as f:
                    ns = [line.split()[1:] for line in f if line.startswith("NSpid:")]
                with open(f"/proc/{pid}/comm") as f:
                    comm = f.read().strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if ns and len(ns[0]) > 1 and ns[0][-1] == "1" and comm == "systemd":
                self.pidfd = os.pidfd_open(pid)
                self.pid = pid
                return

    def stop(self):
        """Ends the container, surely: by systemd-nspawn, else by killing its pid 1; then looks that it is gone."""
        if self.nspawn is not None and self.nspawn.poll() is None:
            self.nspawn.send_signal(signal.SIGTERM)
            try:
                self.nspawn.wait(30)
            except subprocess.TimeoutExpired:
                pass
        if self.pidfd is not None:
            if not self._init_gone(5):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
                if not self._init_gone(30):
                    raise MachineFailed(f"pid 1 of the container ({self.pid}) does not end")
            os.close(self.pidfd)
            self.pidfd = None
        if self.nspawn is not None and self.nspawn.poll() is None:
            self.nspawn.kill()
            self.nspawn.wait(30)
        self.nspawn = self.pid = None

    def _init_gone(self, seconds):
        """A pidfd becomes readable when its process has ended."""
        return bool(select.select([self.pidfd], [], [], seconds)[0])

    # ---- commands ----
    def argv(self, *words):
        return ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--", "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
                "LC_ALL=C.UTF-8", "HOME=/root", "PAGER=cat", *words]

    def run(self, *words, check=True, text_in=None, timeout=DEADLINE):
        """Runs a command inside and returns the finished process."""
        done = subprocess.run(self.argv(*words), input=text_in, stdin=subprocess.DEVNULL if text_in is None else None, capture_output=True, text=True, errors="replace",
                              timeout=timeout)
        if check and done.returncode != 0:
            raise MachineFailed(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def out(self, *words, **more):
        return self.run(*words, **more).stdout

    def json(self, *words, **more):
        return json.loads(self.out(*words, **more))

    def popen(self, *words, **more):
        """A command inside that goes on; the caller ends it."""
        return subprocess.Popen(self.argv(*words), stdin=subprocess.DEVNULL, **more)

    # ---- files: the container's own view, from outside ----
    def path(self, inside):
        return f"/proc/{self.pid}/root{inside}"

    def write(self, inside, text, mode=0o644):
        path = self.path(inside)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)

    def read(self, inside):
        with open(self.path(inside), errors="replace") as f:
            return f.read()

    # ---- systemd ----
    def unit(self, name, *properties):
        """Properties of a unit as a dict."""
        text = self.out("systemctl", "show", name, "-p", ",".join(properties))
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def active(self, name):
        return self.run("systemctl", "is-active", "-q", name, check=False).returncode == 0

    def failed_units(self):
        return [line.split()[0] for line in self.out("systemctl", "list-units", "--failed", "--plain", "--no-legend").splitlines() if line.strip()]

    def journal(self, *units, lines=40):
        words = [w for u in units for w in ("-u", u)]
        return self.out("journalctl", "--no-pager", "-o", "short-precise", "-n", str(lines), *words, check=False)

    def threads(self, pid):
        """/proc/PID/task/*/status of a process, by the container's number, as dicts."""
        found = []
        tasks = self.path(f"/proc/{pid}/task")
        for tid in os.listdir(tasks):
            with open(os.path.join(tasks, tid, "status")) as f:
                found.append(dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line))
        return found

    def wait_for(self, what, condition, seconds=DEADLINE, step=0.25):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            if self.nspawn.poll() is not None:
                raise MachineFailed(f"{what}: the container ended\n{self.console_tail()}")
            time.sleep(step)
        raise MachineFailed(f"{what}: not within {seconds:.0f} s")

    def console_tail(self, n=20):
        try:
            with open(self.console, errors="replace") as f:
                return "".join(f.readlines()[-n:])
        except OSError:
            return ""
