"""lone_gateway.py - a real vcc-gateway with a fake controller above it and hand-made agents below."""

import os
import shutil
import subprocess
import tempfile
import time

import fake_agent
import fake_pki
import wire_tables
from fake_controller import FakeController, welcome

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def binary(name):
    """From build/bin, or another build's folder in VCC_BIN."""
    folder = os.environ.get("VCC_BIN", os.path.join(ROOT, "build", "bin"))
    return os.path.join(folder, name)


class LoneGateway:
    def __init__(self, env=None, settings=None, **controller):
        self.dir = tempfile.mkdtemp(prefix="vcc-gw-")
        self.pki = fake_pki.Pki()
        self.config = os.path.join(self.dir, "gateway.conf")
        self.socket = os.path.join(self.dir, "controller.sock")
        self.state = os.path.join(self.dir, "state")
        keys = {"listen": "127.0.0.1:0", "join_listen": "127.0.0.1:0", "controller_socket": self.socket, "state_dir": self.state}
        keys.update(settings or {})
        with open(self.config, "w") as f:
            f.write("[gateway]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()))
        os.chmod(self.config, 0o644)
        self.env = dict(os.environ, **(env or {}))
        self.controller = FakeController(self.socket, self.pki, **controller)
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.process = None
        self.start()

    def start(self):
        before = len(self.controller.events)
        self.process = subprocess.Popen([binary("vcc-gateway"), "--config", self.config], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, env=self.env)
        hello = self.controller.wait("hello")
        self.address, self.join_address = hello["listen"], hello["join_listen"]
        if before == 0 and self.controller.certify:
            self.controller.wait("identity")
        self.wait_for_log("agents on")

    def wait_for_log(self, text, timeout=30):
        until = time.monotonic() + timeout
        while text not in self.log_text():
            assert self.process.poll() is None, self.log_text()
            assert time.monotonic() < until, f"`{text}` not logged:\n{self.log_text()}"
            time.sleep(0.02)

    def log_text(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(30) == 0, self.log_text()

    def close(self):
        try:
            self.stop()
        finally:
            if self.process is not None and self.process.poll() is None:
                self.process.kill()
            self.controller.stop()
            self.log.close()
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def identity(self, name, **options):
        return self.pki.agent(name, self.dir, **options)[0]

    def agent(self, name="agent", greet=True, **options):
        """A connected agent: (peer, session), already welcomed if `greet`."""
        peer = fake_agent.FakeAgent(self.address, self.identity(name, **options)).upgrade()
        session = self.controller.wait("up", match=lambda up: up["agent"] == name)["session"]
        if greet:
            self.controller.send(session, welcome(name))
            kind, _, _ = wire_tables.decode("agent", peer.recv())
            assert kind == "welcome"
        return peer, session

    def memory(self):
        """Resident KiB; 0 for sanitizer builds, which keep freed memory on purpose."""
        if "asan" in binary(""):
            return 0
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(next(line for line in f if line.startswith("VmRSS:")).split()[1])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))
