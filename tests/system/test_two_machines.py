"""Two machines with a real systemd and nothing of ours but the packages: does the ten-minute story work as it is typed, does either side come back from a
reboot in the middle of a renewal, and what do the units say?

The clock is printed, never judged: `pytest -s` shows it."""
import re
import shutil
import subprocess
import time

import machine
import packages
import pytest
from survey_machine import SurveyMachine

pytestmark = pytest.mark.skipif(packages.cannot() + machine.cannot() != "", reason=packages.cannot() + machine.cannot())

CERT = "clara01-nginx"
NAME = "clara01.clara.vcc.internal"
ADDRESSES = ("10.77.0.1", "10.77.0.2")
HOSTS = f"127.0.0.1 localhost\n::1 localhost\n{ADDRESSES[0]} pki.vcc.internal\n{ADDRESSES[1]} {NAME} clara.vcc.internal\n"
SITE = f"""server {{
    listen 443 ssl;
    listen [::]:443 ssl;
    server_name {NAME} clara.vcc.internal;
    ssl_certificate /etc/ssl/certs/ssl-cert-snakeoil.pem;
    ssl_certificate_key /etc/ssl/private/ssl-cert-snakeoil.key;
    location / {{ return 200 "ok\\n"; }}
}}
"""


class Named(SurveyMachine):
    def __init__(self, folder, name, keep=()):
        super().__init__(folder, keep=keep)
        self.name = name


class Pair:
    """A controller host and a service host, and one cable between them. The cable goes with the machine that is rebooted: it is laid again."""

    def __init__(self, control, host):
        self.control, self.host = control, host
        self.begun = time.monotonic()

    def connect(self):
        pids = [str(m.pid) for m in (self.control, self.host)]
        for m in (self.control, self.host):  # what is left of the one before: the kernel takes it away when it comes to it
            m.run("ip", "link", "delete", "cable", check=False)
        subprocess.run(["nsenter", f"--net=/proc/{pids[0]}/ns/net", "ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", pids[1]], check=True)
        for m, address in zip((self.control, self.host), ADDRESSES):
            m.run("ip", "address", "add", f"{address}/24", "dev", "cable")
            m.run("ip", "link", "set", "cable", "up")

    def reboot(self, m):
        m.reboot()
        self.connect()

    def type(self, m, line, text_in=None, expect=0):
        """A line as a person types it as root, with the clock beside it."""
        from_ = time.monotonic()
        done = m.run("sh", "-c", f"cd /root; {line}", text_in=text_in, check=False, timeout=600)
        print(f"[{int(from_ - self.begun) // 60:2d}:{int(from_ - self.begun) % 60:02d} +{time.monotonic() - from_:5.1f} s] {m.name}# {line}")
        assert done.returncode == expect, f"{line}: {done.returncode}\n{done.stdout}{done.stderr}\n{m.journal('vcc-*', lines=40)}"
        return done.stdout

    def settled(self):
        c = self.control.certificate(CERT)
        return c if c.get("served") and not c.get("open_order") else None

    def connected(self):
        return self.control.json_or("vccctl", "agent", "show", "clara01", "-o", "json").get("connected")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Booted and connected, the packages in /root, nginx with the certificate that Debian made for it."""
    debs = packages.built()
    folder = str(tmp_path_factory.mktemp("pair"))
    with Named(f"{folder}/pki", "pki") as control, Named(f"{folder}/clara01", "clara01", keep=("nginx.service",)) as host:
        for m, names in ((control, ("vcc-controller", "vcc-gateway", "vccctl")), (host, ("vcc-agent",))):
            m.write("/etc/hosts", HOSTS)
            # Nothing but the machine's own policy may keep units down; an index of all manual pages is no question here.
            m.run("rm", "-f", "/usr/sbin/policy-rc.d", "/var/lib/man-db/auto-update")
            for name in names:
                shutil.copy(debs[name], m.path("/root"))
        host.run("make-ssl-cert", "generate-default-snakeoil", "--force-overwrite")
        host.run("rm", "-f", "/etc/nginx/sites-enabled/default")
        host.write("/etc/nginx/conf.d/clara.conf", SITE)
        host.run("systemctl", "enable", "nginx.service")  # it has to come back from a reboot, too
        host.run("systemctl", "restart", "nginx.service")
        p = Pair(control, host)
        p.connect()
        yield p


@pytest.fixture(scope="module")
def told(pair):
    """The story up to the managed service."""
    p, control, host = pair, pair.control, pair.host
    p.begun = time.monotonic()
    p.type(control, "dpkg -i ./vcc-controller_*.deb ./vcc-gateway_*.deb ./vccctl_*.deb")
    p.type(control, 'vccctl init --org "Land Brandenburg" --domain vcc.internal --admin-contact pki@vcc.internal --security-contact csirt@vcc.internal')
    said = p.type(control, "vccctl agent invite clara01 --service clara --ttl 15m")
    line = re.search(r"vcc-agent join pki\.vcc\.internal:8442 --pin sha256:[0-9a-f]{64}", said)
    token = re.search(r"(?m)^\s*(vcc_join_\S+)\s*$", said)
    assert line and token, f"the line to paste, and the token on a line of its own:\n{said}"
    p.type(host, "dpkg -i ./vcc-agent_*.deb")
    p.type(host, line[0], text_in=token[1] + "\n")
    assert "nginx" in p.type(host, "vcc-agent discover")
    p.type(host, "vcc-agent manage nginx --dry-run && vcc-agent manage nginx")
    control.wait("the certificate is issued and served", p.settled)
    return p


def serves(p):
    """What a third party would see: asked over the cable."""
    return p.control.served(443, address=ADDRESSES[1], sni=NAME)


def test_the_story_as_typed(told):
    p, control, host = told, told.control, told.host
    first = p.settled()["fingerprint"]
    assert serves(p) == first
    live = "/var/lib/vcc-agent/targets/nginx/current/cert.pem"
    whole = host.read(live)
    p.type(host, f"truncate -s0 {live}")
    host.wait("the file is whole again", lambda: host.read(live) == whole)
    assert CERT in p.type(control, "vccctl cert list")
    assert "0 failed handshakes" in p.type(control, f"vccctl cert renew {CERT} --force --watch 2>&1")
    assert serves(p) == p.settled()["fingerprint"] != first
    assert CERT in p.type(control, "timeout 5 vccctl event tail --since 5m", expect=124)
    p.type(control, "vccctl drill --service clara")
    p.type(control, 'vccctl emergency plan --service clara --incident INC-42 --reason "key compromise" --type key_compromise')
    # what was just done is evidence as soon as a signed head of the trail covers it
    control.wait("a signed head covers the renewal", lambda: control.run("vccctl", "report", "evidence", "--certificate", CERT, check=False).returncode == 0)
    p.type(control, f"vccctl report evidence --certificate {CERT} --file q3.zip && vccctl audit verify q3.zip --root /etc/vcc-controller/ca.pem")
    p.type(host, "vcc-agent status")


def test_status_says_it_in_words(told):
    p = told
    keeper = p.host.wait("the keeper's words", lambda: re.search(r"Status: \"(1 target, 0 stale, connected; next: \w+ clara01-nginx.*)\"",
                                                                 p.host.out("systemctl", "--no-pager", "status", "vcc-keeper.service", check=False)))
    print(keeper[1])
    control = p.control.out("systemctl", "--no-pager", "status", "vcc-controller.service", check=False)
    assert 'Status: "serving, 1 agent connected"' in control, control


@pytest.mark.parametrize("side", ["host", "control"])
def test_reboot_in_the_middle_of_a_renewal(told, side):
    p = told
    before = p.control.wait("nothing is under way", p.settled)["fingerprint"]
    p.control.run("vccctl", "cert", "renew", CERT, "--force")
    p.reboot(getattr(p, side))
    p.control.wait("the host is connected again", p.connected)
    after = p.control.wait("the renewal is done", lambda: (p.settled() or {}).get("fingerprint") not in (None, before) and p.settled())
    assert serves(p) == after["fingerprint"]
    assert p.control.failed_units() == [] and p.host.failed_units() == []


BROKEN = {"control": {"vcc-signer": "vcc-signer/signer", "vcc-controller": "vcc-controller/controller", "vcc-gateway": "vcc-gateway/gateway"},
          "host": {"vcc-keeper": "vcc-agent/agent", "vcc-agent": "vcc-agent/agent"}}


@pytest.mark.parametrize("side,unit", [(side, unit) for side, units in BROKEN.items() for unit in units])
def test_a_unit_that_cannot_start_says_why(told, side, unit):
    """The last line of the program: a code, and the file that has the mistake."""
    m = getattr(told, side)
    mistake = f"/etc/{BROKEN[side][unit]}.conf.d/99-mistake.conf"
    m.write(mistake, "[mistake]\nmade = yes\n")
    m.run("systemctl", "restart", f"{unit}.service", check=False)
    try:
        def last_line():
            lines = m.out("journalctl", "--no-pager", "-o", "cat", "-t", unit, "-n", "1").splitlines()
            return lines[-1] if lines and "99-mistake.conf" in lines[-1] else None
        line = m.wait("the program says why", last_line)
        code = re.search(r"VCC-\d{4}", line)
        assert code, line
    finally:
        m.run("rm", mistake)
        m.run("systemctl", "restart", f"{unit}.service")
    m.wait("it runs again", lambda: m.active(f"{unit}.service"))
    m.wait("it stays", lambda: m.failed_units() == [])
