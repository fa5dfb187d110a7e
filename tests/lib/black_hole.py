"""A host behind a router that can turn into an MTU black hole: large packets of one direction vanish, and nobody is told.

Three network namespaces: ours, where gateways listen; the router's; the host's. Traffic stays within them. Needs root.

    ours, `address` ---- north [router] south ---- `host_address`, host"""
import contextlib
import json
import os
import shutil
import signal
import subprocess

SMALL, USUAL = 500, 1500


def cannot():
    """Why there is no such network here; "" = there is."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "`ip` is missing (package iproute2)"
    probe = f"vcc{os.getpid()}p"
    done = ip("netns", "add", probe, check=False)
    if done.returncode != 0:
        return f"no network namespaces here: {done.stderr.strip()}"
    try:
        veth = ip("-n", probe, "link", "add", "one", "type", "veth", "peer", "name", "other", check=False)
    finally:
        ip("netns", "delete", probe)
    return "" if veth.returncode == 0 else f"no veth here: {veth.stderr.strip()}"


def ip(*words, check=True):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or not check, f"ip {' '.join(words)}: {done.stderr}"
    return done


class BlackHole:
    """with BlackHole() as net: a process under `net.inside` runs in the host's namespace. Open until close_up()."""

    def __init__(self):
        pid = os.getpid()
        self.host, self.router, self.ours = f"vcc{pid}h", f"vcc{pid}r", f"vcc{pid}v"  # two namespaces, one veth
        base = pid % 16384 * 8  # of 198.18.0.0/15, which is for tests of networks
        at = [f"198.{18 + (base >> 16)}.{base >> 8 & 255}.{(base & 255) + i}" for i in range(8)]
        self.address, self.router_up, self.router_down, self.host_address = at[1], at[2], at[5], at[6]
        self.host_net = f"{at[4]}/30"
        self.inside = ["ip", "netns", "exec", self.host]

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_exception):
        self.remove()

    def _make(self):
        for name in (self.router, self.host):
            ip("netns", "add", name)
        ip("link", "add", self.ours, "type", "veth", "peer", "name", "north", "netns", self.router)
        ip("-n", self.router, "link", "add", "south", "type", "veth", "peer", "name", "eth0", "netns", self.host)
        for netns, device, address in ((None, self.ours, self.address), (self.router, "north", self.router_up), (self.router, "south", self.router_down),
                                       (self.host, "eth0", self.host_address)):
            where = ["-n", netns] if netns else []
            ip(*where, "address", "add", f"{address}/30", "dev", device)
            ip(*where, "link", "set", device, "mtu", str(USUAL), "up")
        ip("-n", self.host, "link", "set", "lo", "up")
        # what is still to be cut into packets passes a veth whatever its size
        ip("-n", self.host, "link", "set", "eth0", "gso_max_segs", "1")
        ip("link", "set", self.ours, "gso_max_segs", "1")
        ip("-n", self.host, "route", "add", "default", "via", self.router_down)
        ip("route", "add", self.host_net, "via", self.router_up)
        ip("netns", "exec", self.router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def close_up(self, way):
        """From now on large packets "up" (from the host) or "down" vanish. The router's device drops them below IP: no ICMP message tells."""
        ip("-n", self.router, "link", "set", "south" if way == "up" else "north", "mtu", str(SMALL))

    def open(self):
        for device in ("north", "south"):
            ip("-n", self.router, "link", "set", device, "mtu", str(USUAL))

    def vanished(self):
        """Packets, so far."""
        devices = json.loads(ip("-n", self.router, "-j", "-s", "link").stdout)
        return sum(d["stats64"]["rx"]["dropped"] for d in devices if d["ifname"] in ("north", "south"))

    def remove(self):
        """All of it; what still runs inside was started by us."""
        for name in (self.host, self.router):
            for pid in ip("netns", "pids", name, check=False).stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            ip("netns", "delete", name, check=False)
        ip("link", "delete", self.ours, check=False)
