"""Signer and controller as they are; the gateway and the hosts are played by the test (fake_gateway.py)."""
import os

from fake_gateway import FakeGateway, FakeHost
from installation import Failed, Installation, wait_for


class PlayedFleet(Installation):
    """Signer and controller; the gateway is ours."""

    def __init__(self, folder, **more):
        super().__init__(folder, {"controller.schedule.tick": "200ms", **more.pop("settings", {})}, **more)
        self.gateways = []

    def start_both(self, env=None):
        os.makedirs(os.path.join(self.state, "run"), exist_ok=True)
        for name in ("signer", "controller"):
            self.process(name, [self.bin(f"vcc-{name}"), "--config", self.conf(name)], (env or {}).get(name)).start()
        self.wait_up()

    def wait_up(self):
        def up():
            try:
                checks = self.status()["checks"]
            except (Failed, KeyError):
                return False
            return checks["signer"] == "ok" and checks["store"] == "ok"
        wait_for("signer and store are there", up)

    def gateway(self, name="gw1"):
        g = FakeGateway(os.path.join(self.state, "run", "gateway.sock"), name).connect()
        self.gateways.append(g)
        g.wait("credit", lambda: g.credit)
        return g

    def invite(self, name, **more):
        words = [w for k, v in more.items() for w in (f"--{k}", v)]
        return self.vccctl("agent", "invite", name, "--service", "clara", *words)

    def host(self, gateway, name):
        host = FakeHost(name)
        reply = host.join(gateway, self.invite(name))
        assert reply["code"] == 0, reply
        gateway.up(host)
        host.wait("welcome", lambda: host.welcomes)
        return host

    def facts_db(self):
        return os.path.join(self.state, "controller", "vcc.db")

    def cert(self, cert_id):
        return self.certificate(cert_id)

    def wait_done(self, cert_id, old=None):
        def done():
            try:
                c = self.cert(cert_id)
            except Failed:
                return None
            return c if c.get("served") and not c.get("open_order") and c.get("fingerprint") != old else None
        try:
            return wait_for(f"{cert_id} is proved and its order ended", done, 60, 0.1)
        except Failed as e:
            raise Failed(f"{e}: {self.cert(cert_id)}") from e
