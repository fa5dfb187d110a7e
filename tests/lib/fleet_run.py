"""A simulated fleet (vcc-fleet) beside an installation: invites, start, its report, its end."""
import json
import os
import signal
import ssl
import subprocess
import time
from http.client import HTTPSConnection

from installation import Failed, wait_for

BATCH = 1000  # invites of one call


class FleetRun:
    """Folder and process of one fleet. `options`: words for vcc-fleet."""

    def __init__(self, inst, agents, services=("clara",), name="fleet"):
        self.inst, self.agents, self.services, self.name = inst, agents, services, name
        self.dir = os.path.join(inst.dir, name)
        self.json = os.path.join(self.dir, "report.json")
        self.popen = None

    def call(self, method, path, body=None, timeout=120, headers=None):
        """(status, answer) of the admin API."""
        host, port = self.inst.admin_url.removeprefix("https://").rsplit(":", 1)
        context = ssl.create_default_context(cafile=os.path.join(self.inst.state, "ca.pem"))
        context.check_hostname = False
        connection = HTTPSConnection(host, int(port), context=context, timeout=timeout)
        try:
            with open(os.path.join(self.inst.state, "admin.token")) as f:
                token = f.read().strip()
            connection.request(method, f"/api/v1/{path}", None if body is None else json.dumps(body),
                               {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        finally:
            connection.close()

    def names(self):
        return [f"{self.name}-{i:05d}" for i in range(self.agents)]

    def joined(self):
        folder = os.path.join(self.dir, "state")
        simulated = {n.removesuffix(".member") for n in os.listdir(folder) if n.endswith(".member")} if os.path.isdir(folder) else set()
        real = os.path.join(folder, "real")
        return simulated | {n for n in os.listdir(real) if os.path.exists(os.path.join(real, n, "link", "identity.pem"))} if os.path.isdir(real) else simulated

    def invite(self):
        """Tokens for those who have not joined, services in turn."""
        os.makedirs(self.dir, mode=0o700, exist_ok=True)
        there = self.joined()
        rows = [{"name": n, "service": self.services[i % len(self.services)], "ttl": "24h"} for i, n in enumerate(self.names()) if n not in there]
        path = os.path.join(self.dir, "tokens")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            for i in range(0, len(rows), BATCH):
                status, answer = self.call("POST", "invites/batch", {"invites": rows[i:i + BATCH]})
                if status != 201:
                    raise Failed(f"invites: {status} {answer}")
                self.pin = answer["items"][0]["pin"]  # the root of today
                f.writelines(row["token"] + "\n" for row in answer["items"])
        return path

    def start(self, *options, processes=1):
        """Enrols who has not joined before; comes back at once."""
        words = [self.inst.bin("vcc-fleet")]
        if len(self.joined()) < self.agents:
            tokens = self.invite()
            words += [self.inst.join_address, "--pin", self.pin, "--tokens", tokens]
        if os.path.exists(self.json):
            os.unlink(self.json)  # an earlier run's
        log = open(os.path.join(self.dir, "fleet.log"), "ab")
        with log:
            self.popen = subprocess.Popen([*words, "--state-dir", os.path.join(self.dir, "state"), "--agents", str(self.agents), "--processes", str(processes),
                                           "--json", self.json, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def report(self):
        try:
            with open(self.json) as f:
                return json.load(f)
        except FileNotFoundError:
            return None

    def wait(self, what, condition, seconds=600):
        """The first report that fits."""
        def fits():
            if self.popen.poll() is not None:
                with open(os.path.join(self.dir, "fleet.log"), errors="replace") as f:
                    raise Failed(f"{what}: the fleet has ended with {self.popen.returncode}: {f.read()[-500:]}")
            report = self.report()
            return report if report and report["pids"] and report["now_at_ms"] and condition(report) else None
        try:
            return wait_for(what, fits, seconds, 0.1)
        except Failed as e:
            raise Failed(f"{e}; {self.report()}") from e

    def ready(self, seconds=900):
        return self.wait("every agent serves its certificate", lambda r: r["ready"] + r["real"]["ready"] == self.agents, seconds)

    def mark(self):
        """Counts and times begin anew; gauges go on."""
        before = self.report()["marked_at_ms"]
        self.popen.send_signal(signal.SIGUSR1)
        return self.wait("the fleet has marked", lambda r: r["marked_at_ms"] > before, 30)

    def storm(self):
        """All connections are cut at once."""
        self.popen.send_signal(signal.SIGUSR2)

    def emergency(self, fresh=False, wait=None, **more):
        body = {"incident_id": f"INC-{time.monotonic_ns()}", "reason": "a test", "incident_type": "other", "fresh_keys": fresh, "selector": {"all": True}, **more}
        headers = {"Prefer": f"wait={wait}"} if wait is not None else None
        return self.call("POST", "certificates/lifecycle/emergency-recertification", body, headers=headers)

    def stop(self):
        if self.popen is not None and self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(60)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait(10)
        return self.popen.returncode if self.popen is not None else None
