"""Rows about issuing: the signer's CPU for a certificate, the same with the check of the request, certificates a second made durable."""
import json
import os

import peers
from installation import ROOT, run, wait_for
from kernel import cpu_us

WINDOW, COUNT = 200, 8000


def tool(name, *words):
    return [json.loads(line) for line in run([os.path.join(ROOT, "build", "tests", name), *words]).splitlines() if line.startswith("{")]


def signer_alone(inst):
    """A real vcc-signer with its socket; no controller yet."""
    os.makedirs(os.path.join(inst.state, "run"), exist_ok=True)
    signer = inst.process("signer", [inst.bin("vcc-signer"), "--config", inst.conf("signer")]).start()
    wait_for("the signer is ready", lambda: "authorities ready" in signer.tail())
    return signer


def sign(table, inst, rounds):
    """CPU of the signer's process, best of some rounds; the floors are measured between them, so that a disturbance hits all alike."""
    signer, socket = signer_alone(inst), os.path.join(inst.state, "run", "signer.sock")
    raw_sign, raw_verify, check, issue, rates = [], [], [], [], []
    for _ in range(rounds):
        parts = {row["id"]: row["value"] for row in tool("bench_sign", "csr-check")}
        raw_sign.append(parts["raw-sign"])
        raw_verify.append(parts["raw-verify"])
        check.append(parts["csr-check"])
        before = cpu_us(signer.pid)
        done = tool("tool_signer", socket, inst.public_url, "bench", str(COUNT), str(WINDOW))[0]
        issue.append((cpu_us(signer.pid) - before) / done["count"])
        rates.append(done["count"] * 1e6 / done["wall_us"])
    signer.stop()
    floor, value = min(raw_sign), min(issue)
    table.add("sign-rate", value, "us", floor, "<= 1.5 x", value <= 1.5 * floor, per_second=round(max(rates)), in_flight=WINDOW, rounds=rounds,
              all_us=[round(x, 1) for x in issue], value_is="CPU of vcc-signer per certificate: socket, limits, lint, log with fdatasync, signature",
              floor_is="one raw P-256 signature")
    floor, value = min(raw_sign) + min(raw_verify), min(check) + value
    table.add("sign-rate-csr", value, "us", floor, "<= 1.5 x", value <= 1.5 * floor, csr_check_us=min(check),
              value_is="the check of the request, as a controller's worker makes it, and sign-rate", floor_is="one raw verification and one raw signature")


def store(table, folder):
    """What one controller's writer makes durable."""
    peer = peers.cfssl_rate(folder)
    rows = tool("bench_store", folder)
    stored = next(r for r in rows if r["id"] == "issue-stored")
    published = 2200.0
    rate = stored["value"]
    table.add("issue-stored", rate, "per s", published, ">= 6000/s, 20 x cfssl", rate >= 6000 and (peer is None or rate >= 20 * peer),
              in_flight=stored["in_flight"], cpu_us=stored["cpu_us_per_issue"], rows=rows,
              cfssl_per_s="not installable" if peer is None else round(peer, 1), over_cfssl=None if peer is None else round(rate / peer, 1),
              value_is="store alone: issuance, certificate, order, two audit records and outbox message of each issue durable (SQLite file); "
                       "signatures apart, see sign-rate",
              floor_is="OpenBao's published rate of stored certificates; cfssl_per_s: cfssl with SQLite in this run, signed and stored, one client")
