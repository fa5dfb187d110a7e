"""`vcc-agent observe`: are all TLS listeners of a host found, with what they serve and who runs them, and nothing else?"""
import datetime
import json
import os
import subprocess
import time

import private_net
import pytest
from installation import ROOT
from private_net import PrivateNet
from tls_peers import PEER, certificate, fingerprint

pytestmark = pytest.mark.skipif(private_net.cannot() != "", reason=private_net.cannot())

AGENT = os.path.join(os.environ.get("VCC_BIN", os.path.join(ROOT, "build", "bin")), "vcc-agent")


@pytest.fixture
def net():
    with PrivateNet() as n:
        yield n


def observe(net, *words):
    done = net.run([AGENT, "observe", "--no-report", *words])
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(net):
    return {r["address"]: r for r in json.loads(observe(net, "-o", "json"))["listeners"]}


def test_nothing_listens(net):
    assert json.loads(observe(net, "-o", "json"))["listeners"] == []
    assert observe(net).splitlines()[0].startswith("LISTENER")


def test_what_is_served(net, folder):
    cert, key = certificate(folder, "web", sans="DNS:clara01.clara.vcc.internal,DNS:clara.vcc.internal,IP:192.0.2.1,email:a@b.example")
    peer = net.start([*PEER, cert, key, "127.0.0.1:443", "[::]:8443", "0.0.0.0:9443"])
    net.wait_listening(443, 8443, 9443)
    found = rows(net)
    assert set(found) == {"127.0.0.1:443", "[::]:8443", "0.0.0.0:9443"}
    for row in found.values():
        assert row["tls"] and row["result"] == "served" and row["fingerprint"] == fingerprint(cert)
        assert row["names"] == ["DNS:clara01.clara.vcc.internal", "DNS:clara.vcc.internal", "IP:192.0.2.1"] and row["names_count"] == 4
        assert row["subject"] == row["issuer"] == "CN=web" and row["self_signed"] and row["chain_length"] == 1
        end = datetime.datetime.fromisoformat(row["not_after"].replace("Z", "+00:00")) - datetime.datetime.now(datetime.timezone.utc)
        assert 29 <= end.days <= 30
        assert row["pid"] == peer.pid and row["user"] == "root" and row["exe"].startswith("/usr/bin/python3")


FLOOD = """import resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
kept = []
for port in range(1100, 2300):
    kept.append(socket.create_server(("127.0.0.1", port), backlog=1))
time.sleep(600)
"""


def test_nobody_hides_the_listeners_of_others(net, folder):
    """A local user with more silent sockets than are looked at: the others are found all the same, and it is said that some are left out."""
    cert, key = certificate(folder, "web", sans="DNS:clara01.clara.vcc.internal")
    net.start([*PEER, cert, key, "[::]:8443"])
    net.start(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", FLOOD])
    net.wait_listening(8443, 2299)
    shown = observe(net)
    assert "[::]:8443" in shown and "688 more listening sockets were NOT looked at" in shown and "512 other listening sockets speak no TLS" in shown, shown


def test_every_certificate_can_be_shown(net, folder):
    """Old, weak, long, expired, hostile: an inventory is for what should not be there, too."""
    weak = certificate(folder, "weak", key=("rsa:1024",), more=("-sha1",))
    many = certificate(folder, "many", sans=",".join(f"DNS:host{i:03d}.example" for i in range(120)))
    odd = certificate(folder, "odd", subject="/CN=\x1b[31mred\nline/O=Köln/OU=" + "x" * 60)
    chain = certificate(folder, "chain")
    with open(chain[0], "a") as f:
        f.write(open(many[0]).read())
    for port, pair in ((1001, weak), (1002, many), (1003, odd), (1004, chain)):
        net.start([*PEER, *pair, f"127.0.0.1:{port}"])
    net.start([*PEER, *weak, "--tls12", "127.0.0.1:1005"])
    net.wait_listening(1001, 1002, 1003, 1004, 1005)
    found = rows(net)
    for port, pair in ((1001, weak), (1002, many), (1003, odd), (1005, weak)):
        assert found[f"127.0.0.1:{port}"]["fingerprint"] == fingerprint(pair[0])
    assert found["127.0.0.1:1002"]["names_count"] == 120 and 10 < len(found["127.0.0.1:1002"]["names"]) < 120
    assert found["127.0.0.1:1004"]["chain_length"] == 2
    table = observe(net)
    assert "\x1b" not in table and "\x1b" not in json.dumps(found)
    assert all(len(line) <= 80 for line in table.splitlines()), table


def test_other_protocols(net, folder):
    cert, key = certificate(folder, "web")
    net.start([*PEER, cert, key, "--plain", "220 mail ready\r\n", "127.0.0.1:25"])
    net.start([*PEER, cert, key, "--plain", "\x15\x03\x03", "127.0.0.1:26"])
    net.start([*PEER, cert, key, "--silent", *(f"127.0.0.1:{p}" for p in range(2000, 2040))])
    net.start([*PEER, cert, key, "--starttls", "127.0.0.1:5432"])
    net.wait_listening(25, 26, 5432, *range(2000, 2040))
    begun = time.monotonic()
    found = rows(net)
    assert time.monotonic() - begun < 100, "silent listeners are asked at the same time"
    assert found["127.0.0.1:25"]["result"] == "plain" and not found["127.0.0.1:25"]["tls"]
    assert found["127.0.0.1:26"]["result"] in ("plain", "silent") and not found["127.0.0.1:26"]["tls"]
    assert all(found[f"127.0.0.1:{p}"]["result"] == "silent" for p in range(2000, 2040))
    assert found["127.0.0.1:5432"]["starttls"] and found["127.0.0.1:5432"]["fingerprint"] == fingerprint(cert)


def test_left_alone(net, folder):
    """sshd and the like are not asked: it would only fill their logs. But where TLS comes first, they are."""
    cert, key = certificate(folder, "web")
    for program, ports in (("sshd", (22,)), ("exim4", (25, 465)), ("named", (53, 853))):
        os.symlink("/usr/bin/python3", f"{folder}/{program}")
        net.start([f"{folder}/{program}", PEER[1], cert, key, *(f"127.0.0.1:{p}" for p in ports)])
        net.wait_listening(*ports)
    found = rows(net)
    assert {a.rsplit(":")[-1] for a, r in found.items() if r["result"] == "served"} == {"465", "853"}
    assert {a.rsplit(":")[-1] for a, r in found.items() if not r["tls"]} == {"22", "25", "53"}


def test_table(net, folder):
    cert, key = certificate(folder, "web", subject="/CN=old", days="1", sans="DNS:a-rather-long-name.clara.vcc.internal")
    net.run(["ip", "addr", "add", "2001:db8:1234:5678:9abc:def0:1234:5678/128", "dev", "lo"])
    net.start([*PEER, cert, key, "[2001:db8:1234:5678:9abc:def0:1234:5678]:443", "127.0.0.1:443"])
    net.start([*PEER, cert, key, "--plain", "hello", "127.0.0.1:80"])
    net.wait_listening(443, 80)
    lines = observe(net).splitlines()
    assert all(len(line) <= 80 for line in lines), lines
    assert any(line.startswith("127.0.0.1:443 ") and "self: a-rather-long-name" in line for line in lines)
    assert "[2001:db8:1234:5678:9abc:def0:1234:5678]:443" in lines
    assert lines[-1].startswith("1 other listening sockets speak no TLS")
    assert any("no TLS" in line for line in observe(net, "--all").splitlines() if line.startswith("127.0.0.1:80 "))


@pytest.mark.parametrize("words", [["observe", "more"], ["observe", "-o", "xml"], ["observe", "--dry-run"], ["observe", "--nonsense"]])
def test_usage(words):
    done = subprocess.run([AGENT, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "usage: vcc-agent observe" in done.stderr


def test_nothing_is_written(net, folder):
    """Not a byte, not a file: only sockets and reads."""
    cert, key = certificate(folder, "web")
    net.start([*PEER, cert, key, "127.0.0.1:443"])
    net.wait_listening(443)
    trace = f"{folder}/trace"
    done = net.run(["strace", "-f", "-o", trace, "-e", "trace=open,openat,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,symlink,symlinkat,"
                    "chmod,fchmod,fchmodat,chown,fchown,fchownat,truncate,ftruncate,connect", AGENT, "observe", "--no-report"])
    assert done.returncode == 0 and "127.0.0.1:443" in done.stdout
    for line in open(trace, errors="replace"):
        if "open" in line:
            assert "O_WRONLY" not in line and "O_RDWR" not in line and "O_CREAT" not in line, line
        elif "connect(" in line:
            assert "127.0.0.1" in line or "AF_UNIX" in line and "nscd" in line, line
        else:
            assert "exited with" in line or "---" in line, line
