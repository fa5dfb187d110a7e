"""The row about one small order pushed to everybody: the gateway's CPU beside a raw loop of SSL_write of this run. The gateway is real; the
controller above it is played and hands over all frames at once, so that the gateway's own work is what is measured."""
import os
import struct
import subprocess
import time

import fake_pki
import wire_tables
from fake_agent import split
from installation import ROOT, wait_for
from kernel import cpu_us, pin
from lone_gateway import LoneGateway

SIZE = 200  # bytes of a pushed frame, as in bench_peer.c


def frame():
    """An order of just this size."""
    for n in range(1, SIZE):
        data = wire_tables.encode("agent", "order", 7, renewal_id=bytes(16), attempt=1, cert_id="push-web", names="DNS:" + "n" * n, common_name="push",
                                  deadline_at=1)
        if len(data) == SIZE:
            return data
    raise AssertionError("no order has this size")


def client(tool, address, n, identity):
    p = subprocess.Popen([tool, "client", address, str(n), identity, identity], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pin(p.pid, -1)
    if p.stdout.readline() != f"held {n}\n":
        raise RuntimeError(f"bench_peer cannot hold {n} connections to {address}")
    return p


def got(p):
    p.stdin.write(".")
    p.stdin.flush()
    return int(p.stdout.readline().split()[1])


def pushed(pid, peer, n, push):
    """CPU of the process for one message to each, until all have come."""
    before, there = cpu_us(pid), got(peer)
    push()
    wait_for("all messages have come", lambda: got(peer) >= there + n, 120, 0.2)
    return (cpu_us(pid) - before) / n


def push_cpu(table, n, rounds):
    tool = os.path.join(ROOT, "build", "tests", "bench_peer")
    peers, raw = [], None
    with LoneGateway(settings={"max_agents": str(n + 10)}) as gateway:
        try:
            identity = gateway.identity("push")
            ca = os.path.join(gateway.dir, "agents.pem")
            with open(ca, "wb") as f:
                f.write(fake_pki.pem(gateway.pki.ca))
            raw = subprocess.Popen([tool, "server", identity, identity, ca], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            addresses = {"raw": f"127.0.0.1:{raw.stdout.readline().strip()}", "gateway": "127.0.0.1:%d" % split(gateway.address)[1]}
            for who, pid in (("raw", raw.pid), ("gateway", gateway.process.pid)):
                pin(pid, 0)
                peers.append(client(tool, addresses[who], n, identity))
            wait_for("the gateway has told of all", lambda: gateway.controller.count("up") >= n, 60, 0.2)
            blob = b""
            for event in gateway.controller.events:
                if event.name == "up":
                    data = wire_tables.encode("gw", "send", 1, session=event["session"], id=1, urgent=False, frame=frame())
                    blob += struct.pack(">I", len(data)) + data

            def by_raw():
                raw.stdin.write(".")
                raw.stdin.flush()
            cpu = {"raw": [], "gateway": []}
            for _ in range(rounds):
                cpu["raw"].append(pushed(raw.pid, peers[0], n, by_raw))
                cpu["gateway"].append(pushed(gateway.process.pid, peers[1], n, lambda: gateway.controller.connection.sendall(blob)))
                time.sleep(0.2)
        finally:
            for p in peers:
                p.stdin.close()
                p.wait(60)
                p.stdout.close()
            if raw is not None:
                raw.stdin.close()
                raw.wait(20)
                raw.stdout.close()
    value, floor = min(cpu["gateway"]), min(cpu["raw"])
    table.add("push-cpu", value, "us", floor, "<= 1.3 x", value <= 1.3 * floor, n=n, bytes=SIZE, all_us={w: [round(x, 1) for x in cpu[w]] for w in cpu},
              value_is="vcc-gateway for one order to one agent: read from the controller's socket, checked, sent; best of the rounds",
              floor_is="a raw loop of SSL_write of the same bytes over the same connections")
