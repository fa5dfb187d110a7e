"""Is a line of ours that names a code found in the journal by it, and does the catalog explain every code?"""
import os
import re
import subprocess

from installation import ROOT

CATALOG = os.path.join(ROOT, "packaging", "catalog", "vcc-pki.catalog")
# In a mount namespace of its own, so that the machine's journal is not touched: a socket where the journal's is, and stderr as the journal would be.
LISTEN = """
import os, socket, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
os.makedirs("/run/systemd/journal")
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/run/systemd/journal/socket")
s.settimeout(60)
theirs, ours = os.pipe()
st = os.fstat(ours)
p = subprocess.Popen(sys.argv[1:], stderr=ours, env=dict(os.environ, JOURNAL_STREAM=f"{st.st_dev}:{st.st_ino}"))
p.wait(60)
sys.stdout.write(s.recv(65536).decode())
"""


def test_a_refusal_carries_its_code(folder):
    argv = ["unshare", "-m", "/usr/bin/python3", "-c", LISTEN, os.path.join(ROOT, "build", "bin", "vcc-controller"), "--config", os.path.join(folder, "none.conf")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    fields = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert fields["SYSLOG_IDENTIFIER"] == "vcc-controller" and fields["VCC_CODE"] == "VCC-1204", done
    assert fields["VCC_CODE"] in fields["MESSAGE"] and fields["PRIORITY"] == "3"
    with open(CATALOG) as f:
        assert f"-- {fields['MESSAGE_ID']}\nSubject: VCC-1204: " in f.read()


def test_the_catalog_is_that_of_the_registry():
    out = subprocess.run([os.path.join(ROOT, "build", "tests", "tool_docs"), "catalog"], capture_output=True, text=True, check=True).stdout
    with open(CATALOG) as f:
        assert f.read() == out, "run `make docs`"
    with open(os.path.join(ROOT, "shared", "base", "err.def")) as f:
        numbers = re.findall(r"^ERR\((\d+),", f.read(), re.M)
    assert numbers and all(f"\nSubject: VCC-{n}: " in out for n in numbers)


def test_the_journal_takes_the_catalog(folder):
    """journalctl reads it and finds a code by its id."""
    os.makedirs(os.path.join(folder, "usr/lib/systemd/catalog"))
    with open(CATALOG) as f:
        text = f.read()
    with open(os.path.join(folder, "usr/lib/systemd/catalog/vcc-pki.catalog"), "w") as f:
        f.write(text)
    subprocess.run(["journalctl", f"--root={folder}", "--update-catalog"], check=True, capture_output=True, timeout=60)
    ident = re.search(r"^-- ([0-9a-f]{32})\nSubject: VCC-2004: ", text, re.M)[1]
    said = subprocess.run(["journalctl", f"--root={folder}", "--dump-catalog", ident], check=True, capture_output=True, text=True, timeout=60).stdout
    assert "VCC-2004: the service still serves the old certificate" in said and "What to do: " in said
