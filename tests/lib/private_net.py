"""A network namespace of the test's own, with nothing but loopback: what is observed there is what the test put there."""
import os
import shutil
import signal
import subprocess
import time


def cannot():
    """Why there can be none; "" = it can."""
    if os.geteuid() != 0:
        return "a network namespace needs root"
    if shutil.which("nsenter") is None or shutil.which("unshare") is None or shutil.which("ip") is None:
        return "unshare, nsenter or ip are missing"
    return ""


class PrivateNet:
    """with PrivateNet() as net: net.run([...]); net.start([...])"""

    def __enter__(self):
        # the holder keeps the namespace alive and ends with this process
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up && echo up && exec sleep 100000"], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "up\n"
        self.started = []
        return self

    def __exit__(self, *_):
        for process in reversed(self.started):
            self.end(process)
        self.holder.kill()
        self.holder.wait()

    def argv(self, argv):
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", *argv]

    def run(self, argv, **more):
        """Runs to its end; returns the finished process."""
        return subprocess.run(self.argv(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", **more)

    def start(self, argv, **more):
        """Goes on until the end of the block, with everything that it starts itself."""
        process = subprocess.Popen(self.argv(argv), stdin=subprocess.DEVNULL, start_new_session=True, **more)
        self.started.append(process)
        return process

    @staticmethod
    def end(process):
        try:
            os.killpg(process.pid, signal.SIGTERM)
            for _ in range(100):
                if process.poll() is not None:
                    break
                time.sleep(0.05)
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()

    def listening(self, port):
        """Somebody listens on this port."""
        out = self.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"]).stdout
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in out.splitlines() if ":" in line.split()[0])

    def wait_listening(self, *ports, seconds=30):
        end = time.monotonic() + seconds
        while not all(self.listening(p) for p in ports):
            assert time.monotonic() < end, f"nobody listens on {ports}"
            time.sleep(0.05)
