"""Rows about the gateway's port for agents: CPU of a handshake and memory of an idle connection, beside a raw accept loop of this run."""
import os
import subprocess
import time

from installation import ROOT, run, wait_for
from kernel import cpu_us, pin, rollup_kib

WARM = 200  # connections held before memory is read: what the process allocates once is there by then
WHO = ("raw", "gateway")


class Peers:
    """The raw server and as many clients as asked for, with the identity of a real agent."""

    def __init__(self, inst, host):
        link = os.path.join(host.dir, "link")
        self.tool, self.identity = os.path.join(ROOT, "build", "tests", "bench_peer"), os.path.join(link, "identity.pem")
        ca = os.path.join(inst.dir, "agents-ca.pem")
        run(["openssl", "x509", "-inform", "DER", "-in", os.path.join(inst.state, "etc", "ca", "agent-1.cer"), "-out", ca])
        self.raw = subprocess.Popen([self.tool, "server", self.identity, self.identity, ca], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addresses = {"raw": f"127.0.0.1:{self.raw.stdout.readline().strip()}", "gateway": inst.agents_address}
        self.pids = {"raw": self.raw.pid, "gateway": inst.processes["gateway"].pid}
        for pid in self.pids.values():
            pin(pid, 0)

    def hold(self, who, n):
        """Opens n connections, one after the other; they stay until the client is dropped."""
        client = subprocess.Popen([self.tool, "client", self.addresses[who], str(n), self.identity, self.identity], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        pin(client.pid, -1)
        if client.stdout.readline() != f"held {n}\n":
            raise RuntimeError(f"bench_peer cannot hold {n} connections to {who}")
        return client

    @staticmethod
    def drop(client):
        client.stdin.close()
        told = client.stdout.readline()
        client.wait(60)
        client.stdout.close()
        if told != "lost 0\n":
            raise RuntimeError(f"bench_peer lost connections meanwhile: {told}")
        time.sleep(0.5)  # until the server has seen their ends

    def close(self):
        self.raw.stdin.close()
        self.raw.wait(20)
        self.raw.stdout.close()


def beside(peers, n, many, rounds):
    """CPU of a handshake while `many` connections stand at both."""
    cpu, standing = {w: [] for w in WHO}, {w: peers.hold(w, many) for w in WHO}
    for _ in range(rounds):
        for who in WHO:
            before = cpu_us(peers.pids[who])
            held = peers.hold(who, n)
            cpu[who].append((cpu_us(peers.pids[who]) - before) / n)
            peers.drop(held)
    for client in standing.values():
        peers.drop(client)
    return cpu


def measure(peers, n, rounds):
    cpu, size = {w: [] for w in WHO}, {}
    for _ in range(rounds):
        for who in WHO:
            pid = peers.pids[who]
            warm = peers.hold(who, WARM)
            time.sleep(0.3)
            memory, before = rollup_kib(pid), cpu_us(pid)
            held = peers.hold(who, n)
            cpu[who].append((cpu_us(pid) - before) / n)
            time.sleep(0.5)
            size.setdefault(who, (rollup_kib(pid) - memory) * 1024 / n)  # later rounds find the freed memory of the first
            peers.drop(held)
            peers.drop(warm)
    return cpu, size


def gateway(table, inst, host, n, rounds, many=0):
    """The controller is stopped meanwhile: one identity may then hold many connections, and the gateway keeps them. `many`: also beside so
    many that stand. Gives the floors: us of a handshake, bytes of a connection."""
    host.processes["agent"].stop()
    inst.processes["controller"].stop()
    peers = Peers(inst, host)
    try:
        cpu, size = measure(peers, n, rounds)
        full = beside(peers, n, many, rounds) if many else None
    finally:
        peers.close()
        inst.processes["controller"].start()
        host.processes["agent"].start()
        wait_for("the controller is ready", inst.ready)
    value, floor = min(cpu["gateway"]), min(cpu["raw"])
    met, more = value <= 1.2 * floor, {}
    if full:
        crowded, crowded_floor = min(full["gateway"]), min(full["raw"])
        met = met and crowded <= 1.2 * crowded_floor and crowded <= 1.1 * value
        more = {"connections": many + n, "crowded_us": round(crowded), "crowded_floor_us": round(crowded_floor), "crowded_over_value": round(crowded / value, 3)}
    table.add("handshake-cpu", value, "us", floor, "<= 1.2 x", met, n=n, rounds=rounds,
              all_us={w: [round(x) for x in cpu[w]] for w in WHO}, value_is="vcc-gateway per mTLS agent with websocket upgrade, best of the rounds, interleaved",
              floor_is="a raw OpenSSL accept loop with client certificates that answers the upgrade with fixed bytes", **more)
    return floor, size["raw"]
