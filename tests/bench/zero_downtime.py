"""Row about what clients see: handshakes that fail while nginx, HAProxy and PostgreSQL are renewed, beside the same reloads by hand."""
import contextlib
import os
import signal
import socket
import subprocess
import time

from checks import fingerprint_of
from handshakes import Load
from installation import wait_for
from one_service import addresses


def nginx_by_hand(host):
    base = os.path.join(host.dir, "service")
    subprocess.run(["nginx", "-p", base, "-c", f"{base}/nginx.conf", "-s", "reload"], capture_output=True, check=True)


def haproxy_by_hand(host):
    def admin(command):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(host.dir, "service", "admin.sock"))
            s.sendall(command)
            said = b""
            while piece := s.recv(4096):
                said += piece
        return said
    name = f"{host.target_dir}/current/combined.pem".encode()
    with open(name, "rb") as f:
        admin(b"set ssl cert " + name + b" <<\n" + f.read() + b"\n")
    if b"Success" not in admin(b"commit ssl cert " + name + b"\n"):
        raise RuntimeError("HAProxy does not take the certificate by hand")


def postgresql_by_hand(host):
    os.kill(host.processes["postgresql"].pid, signal.SIGHUP)


BY_HAND = {"nginx": nginx_by_hand, "haproxy": haproxy_by_hand, "postgresql": postgresql_by_hand}


def flip_by_hand(host, to):
    """To another pair and reload; until it is served on both listeners."""
    tls = host.target_dir
    new = fingerprint_of(os.path.join(tls, to, "cert.pem"))
    os.symlink(to, os.path.join(tls, ".bench"))
    os.rename(os.path.join(tls, ".bench"), os.path.join(tls, "current"))
    BY_HAND[host.kind](host)
    for address in addresses(host):
        wait_for(f"{host.kind} serves it", lambda: host.handshake(*address, host.names[0]) == new)
    time.sleep(0.3)  # until the old workers are gone


def by_hand(host, n):
    current = os.readlink(os.path.join(host.target_dir, "current"))
    other = next(g for g in sorted(os.listdir(host.target_dir), reverse=True) if g.startswith("g") and g != current)
    for i in range(2 * ((n + 1) // 2)):  # an even number: the pair in use is the issued one again
        flip_by_hand(host, other if i % 2 == 0 else current)


def renewals(inst, hosts, n):
    """All services at the same time, as after a campaign's order."""
    for _ in range(n):
        before = {h: inst.vccctl("cert", "show", h.cert_id)["fingerprint"] for h in hosts}
        for h in hosts:
            inst.vccctl("cert", "renew", h.cert_id, "--force")
        for h in hosts:
            inst.wait_renewed(h, before[h])


def under_load(hosts, work):
    """{kind: (ok, failed)} of clients that connect without pause while `work` runs."""
    with contextlib.ExitStack() as stack:
        loads = {h.kind: stack.enter_context(Load(addresses(h), h.names[0], clients=2, pause=0.002, how=h.handshake)) for h in hosts}
        work()
    for kind, load in loads.items():
        for error in load.errors[:3]:
            print(f"zero-downtime: {kind}: {error}")
    return {kind: (load.ok, load.failed) for kind, load in loads.items()}


def zero_downtime(table, inst, hosts, n):
    renewals(inst, hosts, 1)  # a second generation for the reloads by hand
    ours = under_load(hosts, lambda: renewals(inst, hosts, n))
    for h in hosts:
        for name in ("agent", "keeper"):
            h.processes[name].stop()
    floor = under_load(hosts, lambda: [by_hand(h, n) for h in hosts])
    for h in hosts:
        for name in ("keeper", "agent"):
            h.processes[name].start()
    failed, floor_failed = sum(f for _, f in ours.values()), sum(f for _, f in floor.values())
    table.add("zero-downtime", failed, "failed", floor_failed, "0", failed == 0, renewals_each=n, handshakes={k: ok + bad for k, (ok, bad) in ours.items()},
              failed={k: bad for k, (_, bad) in ours.items()}, floor_handshakes={k: ok + bad for k, (ok, bad) in floor.items()},
              value_is="handshakes that failed for clients that connect without pause while nginx, HAProxy and PostgreSQL are renewed at the same time",
              floor_is="the same services, flipped and reloaded by hand (nginx -s reload, runtime API, SIGHUP), as often")
