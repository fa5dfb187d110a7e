"""Row about one renewal on a real nginx: time from order to proof."""
import os
import statistics
import subprocess
import time
from datetime import datetime

from checks import fingerprint_of
from handshakes import handshake
from installation import wait_for

PROOF = 3  # new answers in a row on each listener: what "verified" means


def listeners(host):
    for address in (host.address, host.second):
        name, _, port = address.rpartition(":")
        yield name.strip("[]"), int(port)


def hand_made(host, to):
    """Flip to another pair, reload, handshakes until each listener has given three new answers in a row: milliseconds."""
    tls, base = host.target_dir, os.path.join(host.dir, "service")
    new = fingerprint_of(os.path.join(tls, to, "cert.pem"))
    begun = time.monotonic()
    os.symlink(to, os.path.join(tls, ".bench"))
    os.rename(os.path.join(tls, ".bench"), os.path.join(tls, "current"))
    subprocess.run(["nginx", "-p", base, "-c", f"{base}/nginx.conf", "-s", "reload"], capture_output=True, check=True)
    for name, port in listeners(host):
        row = 0
        while row < PROOF:
            row = row + 1 if handshake(name, port, host.names[0]) == new else 0
    return (time.monotonic() - begun) * 1000


def by_hand(host, n):
    """The same service without us: to another generation and back, so that the pair in use is the issued one again."""
    tls = host.target_dir
    current = os.readlink(os.path.join(tls, "current"))
    other = next(g for g in sorted(os.listdir(tls), reverse=True) if g.startswith("g") and g != current and os.path.isdir(os.path.join(tls, g)))
    times = []
    for i in range(2 * ((n + 1) // 2)):
        times.append(hand_made(host, other if i % 2 == 0 else current))
        time.sleep(0.3)  # until the old workers are gone
    return times


def renew(inst, host):
    """Milliseconds from the accepted order to the proof that the new certificate is served, by the controller's clock."""
    before = inst.vccctl("cert", "show", host.cert_id)["fingerprint"]
    order = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
    inst.wait_renewed(host, before)
    r = inst.renewal(order)
    created, verified = (datetime.fromisoformat(r[k].replace("Z", "+00:00")) for k in ("created_at", "verified_at"))
    return (verified - created).total_seconds() * 1000, sum(x["handshakes_failed"] for x in r["receipts"])


def order_proof(table, inst, host, n):
    """Half of the reloads by hand before, half after: the machine is shared."""
    renew(inst, host)  # a second generation for the reloads by hand
    times, failed, floors = [], 0, []
    for part in range(2):
        for name in ("agent", "keeper"):
            host.processes[name].stop()
        floors += by_hand(host, 6)
        for name in ("keeper", "agent"):
            host.processes[name].start()
        wait_for("the agent is back", lambda: inst.vccctl("agent", "show", host.name).get("connected"))
        for _ in range(n // 2):
            took, lost = renew(inst, host)
            times.append(took)
            failed += lost
    times.sort()
    floor, p50, p99 = statistics.median(floors), times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.99))]
    table.add("order-proof-1", p50, "ms", floor, "<= +60 ms, p99 +250 ms", p50 <= floor + 60 and p99 <= floor + 250, n=len(times), p99_ms=round(p99, 1),
              over_ms=round(p50 - floor, 1), p99_over_ms=round(p99 - floor, 1), all_ms=[round(x) for x in times], floor_all_ms=[round(x) for x in floors],
              failed_handshakes=failed, value_is="p50 from order accepted to verified on nginx with two listeners, P-256",
              floor_is="the same flip, reload and three handshakes in a row on each listener by hand; median")
