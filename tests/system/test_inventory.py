"""What a host serves, as the controller knows it: is a report signed, kept, shown to whom it may be shown, and never more than it should be?"""
import json
import os
import socket
import sqlite3
import subprocess

import private_net
import pytest
from installation import wait_for
from private_net import PrivateNet
from tls_peers import PEER, certificate, fingerprint
from wire_tables import body_encode, decode, encode, frame_read, frame_write

pytestmark = pytest.mark.skipif(private_net.cannot() != "", reason=private_net.cannot())


@pytest.fixture
def net():
    with PrivateNet() as n:
        yield n


def observe(net, inst, host, *words):
    done = net.run([inst.bin("vcc-agent"), "observe", "--config", host.config, "-o", "json", *words])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def inventory(inst, host):
    return inst.vccctl("agent", "show", host.name)["inventory"]


def audit(inst, event):
    db = sqlite3.connect(f"file:{inst.state}/controller/vcc.db?mode=ro", uri=True, timeout=20)
    try:
        return db.execute("SELECT detail FROM audit WHERE event = ? ORDER BY seq", (event,)).fetchall()
    finally:
        db.close()


def test_a_program_whose_name_is_no_text(nginx_installation, net, folder):
    """Any user can start one: it is shown, and the rest of the report is not lost with it."""
    inst, host = nginx_installation
    cert, key = certificate(folder, "odd", sans="DNS:odd.example")
    program = os.path.join(folder, os.fsdecode(b"we\xffb"))
    os.symlink("/usr/bin/python3", program)
    net.start([program, *PEER[1:], cert, key, "127.0.0.1:443"])
    net.wait_listening(443)
    assert observe(net, inst, host)["report"] == "sent"
    kept = wait_for("the controller knows", lambda: (i := inventory(inst, host)) and any(r["fingerprint"] == fingerprint(cert) for r in i["listeners"]) and i)
    assert kept["listeners"][0]["program"] == "we?b"
    db = sqlite3.connect(f"file:{inst.state}/controller/vcc.db?mode=ro", uri=True, timeout=20)
    assert {a for a, in db.execute("SELECT actor FROM audit WHERE event = 'host_inventory_changed'")} == {f"agent:{host.name}"}
    db.close()


def ask(host, kind, **fields):
    """One message to the keeper's socket; None when it hangs up."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(os.path.join(host.dir, "run", "keeper.sock"))
        stream = s.makefile("rwb")
        frame_write(stream, encode("ipc-link", kind, **fields))
        raw = frame_read(stream)
        return decode("ipc-link", raw)[2] if raw else None


def test_report(nginx_installation, net, folder):
    inst, host = nginx_installation
    cert, key = certificate(folder, "web", sans="DNS:a.example,IP:192.0.2.1")
    peer = net.start([*PEER, cert, key, "127.0.0.1:443", "[::]:8443"])
    net.start([*PEER, cert, key, "--plain", "hello", "127.0.0.1:80"])
    net.wait_listening(443, 8443, 80)
    before = len(audit(inst, "host_inventory_changed"))
    assert observe(net, inst, host)["report"] == "sent"
    kept = wait_for("the controller knows", lambda: (i := inventory(inst, host)) and i["listeners_found"] == 2 and i)
    assert [r["address"] for r in kept["listeners"]] == ["127.0.0.1:443", "[::]:8443"], "only what speaks TLS"
    for row in kept["listeners"]:
        assert row["fingerprint"] == fingerprint(cert) and row["self_signed"] and row["names"] == ["DNS:a.example", "IP:192.0.2.1"]
        assert row["program"].startswith("python3") and row["user"] == "root" and row["unit"] is None and row["cert_id"] is None
        assert row["names_count"] == 2 and row["chain_length"] == 1 and row["expires_at"] > kept["observed_at"]
    assert len(audit(inst, "host_inventory_changed")) == before + 1

    # the same again is no news, but newer
    assert observe(net, inst, host)["report"] == "sent"
    wait_for("the newer report", lambda: inventory(inst, host)["observed_at"] > kept["observed_at"])
    assert len(audit(inst, "host_inventory_changed")) == before + 1

    # what a listener of ours serves is told by its certificate's name
    ours = host.target_dir + "/current"
    net.end(peer)
    net.start([*PEER, f"{ours}/fullchain.pem", f"{ours}/key.pem", "127.0.0.1:443"])
    net.wait_listening(443)
    observe(net, inst, host)
    rows = wait_for("the other report", lambda: (i := inventory(inst, host)) and i["listeners_found"] == 1 and i["listeners"])
    assert rows[0]["cert_id"] == host.cert_id and not rows[0]["self_signed"] and rows[0]["chain_length"] == 2
    assert len(audit(inst, "host_inventory_changed")) == before + 2
    table = subprocess.run([*inst.vccctl_argv, "agent", "show", host.name], capture_output=True, text=True).stdout
    assert "127.0.0.1:443" in table and "LISTENER" in table and host.cert_id in table, table


def test_more_than_fits(nginx_installation, net, folder):
    inst, host = nginx_installation
    cert, key = certificate(folder, "long", subject="/CN=" + "c" * 60 + "/O=" + "o" * 60, sans=",".join(f"DNS:{'x' * 40}{i:03d}.example" for i in range(60)))
    net.start([*PEER, cert, key, *(f"127.0.0.1:{p}" for p in range(3000, 3100))])
    net.wait_listening(*range(3000, 3100))
    assert observe(net, inst, host)["report"] == "sent"
    kept = wait_for("the controller knows", lambda: (i := inventory(inst, host)) and i["listeners_found"] == 100 and i)
    assert len(kept["listeners"]) == 64 and all(r["names_count"] == 60 and len(r["names"]) < 60 for r in kept["listeners"])
    # page by page, each listener once
    seen, cursor = [], ""
    while cursor is not None:
        page = json.loads(subprocess.run(["curl", "-s", "--cacert", f"{inst.state}/ca.pem", "-H", "Authorization: Bearer " + open(f"{inst.state}/admin.token").read().strip(),
                                          f"{inst.admin_url}/api/v1/agents/{host.name}/inventory?limit=25" + (f"&cursor={cursor}" if cursor else "")],
                                         capture_output=True, check=True).stdout)
        assert len(page["items"]) <= 25
        seen += [r["address"] for r in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == 64 == len(set(seen))


def test_controller_away(nginx_installation, net, folder):
    """The keeper keeps the newest report and sends it after the next welcome."""
    inst, host = nginx_installation
    cert, key = certificate(folder, "away", sans="DNS:away.example")
    net.start([*PEER, cert, key, "127.0.0.1:443"])
    net.wait_listening(443)
    agent = host.processes["agent"]
    agent.stop()
    try:
        wait_for("the keeper knows", lambda: ask(host, "status_request", detail=0) and observe(net, inst, host)["report"] == "kept")
    finally:
        agent.start()
    wait_for("it arrives", lambda: any(r["fingerprint"] == fingerprint(cert) for r in inventory(inst, host)["listeners"]))


def test_wrong_reports(nginx_installation):
    inst, host = nginx_installation
    good = body_encode("inventory", observed_at=1, found=0, rows=[])
    before = inventory(inst, host)
    for body in (b"", b"\x80", good + b"\x00", good[:-1], os.urandom(500)):
        answer = ask(host, "inventory", body=body)
        assert answer["code"] < 0 and not answer["sent"], body
    assert inventory(inst, host) == before
    assert ask(host, "status_request", detail=0) is not None, "the keeper lives"


def test_the_link_may_not_report(nginx_installation):
    """A captured link gets no signature of the host key for what it says."""
    _, host = nginx_installation
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(os.path.join(host.dir, "run", "keeper.sock"))
        stream = s.makefile("rwb")
        frame_write(stream, encode("ipc-link", "state", connected=False, code=0, text=""))
        frame_write(stream, encode("ipc-link", "inventory", body=body_encode("inventory", observed_at=1, found=0, rows=[])))
        answer = decode("ipc-link", frame_read(stream))[2]
        assert answer["code"] == -1310 and not answer["sent"]
    # the real link takes its place again
    wait_for("the host is connected", lambda: json.loads(subprocess.run(
        [host.inst.bin("vcc-agent"), "status", "--config", host.config, "-o", "json"], capture_output=True, text=True).stdout or "{}").get("connected"))


def test_who_may_see_it(nginx_installation):
    inst, _ = nginx_installation
    done = subprocess.run([*inst.vccctl_argv, "agent", "show", "nobody"], capture_output=True, text=True)
    assert done.returncode == 3 and "VCC-1006" in done.stderr
    url = f"{inst.admin_url}/api/v1/agents/clara01/inventory"
    argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", f"{inst.state}/ca.pem"]
    assert subprocess.run([*argv, url], capture_output=True, text=True).stdout == "401"
    token = open(f"{inst.state}/approver.token").read().strip()
    assert subprocess.run([*argv, "-H", f"Authorization: Bearer {token}", url], capture_output=True, text=True).stdout in ("200", "403")
