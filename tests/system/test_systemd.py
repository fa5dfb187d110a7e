"""All roles as units of a real systemd, on one machine, with the Debian nginx as a unit: do sandboxes, sockets, users and hooks fit together?

Only here are the units' hardening, socket activation and users real; everything else uses the same programs without them."""
import json
import os
import re
import subprocess

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
import handshakes  # noqa: E402
import machine  # noqa: E402
from machine import Machine, MachineFailed  # noqa: E402
from one_service import RENEWALS  # noqa: E402

pytestmark = pytest.mark.skipif(machine.cannot() != "", reason=machine.cannot())

CONTROLLER = ("vcc-signer", "vcc-controller", "vcc-gateway")
HOST = ("vcc-keeper", "vcc-agent")
ROLES = CONTROLLER + HOST
SOCKETS = ("vcc-keeper.socket", "vcc-hook.socket")
NAME = "clara01.clara.vcc.internal"
CERT = "clara01-web"
TARGET = "/var/lib/vcc-agent/targets/web"
TEST_SEEN = "/root/tested"

# More than the shipped unit would need here: port 80 is nginx's, the names end in the machine itself.
INIT = ("vccctl", "init", "--org", "VCC System Test", "--domain", "vcc.internal", "--permit-ip", "127.0.0.0/8", "--public-name", "pki.vcc.internal",
        "--admin-contact", "pki@vcc.internal", "--security-contact", "csirt@vcc.internal", "--public-listen", "127.0.0.1:81", "--public-url",
        "http://pki.vcc.internal:81")
SITE = f"""server {{
    listen 127.0.0.1:443 ssl;
    listen [::1]:443 ssl;
    server_name {NAME};
    ssl_certificate {TARGET}/current/fullchain.pem;
    ssl_certificate_key {TARGET}/current/key.pem;
    location / {{ return 200 "ok\\n"; }}
}}
"""
TARGET_FILE = f"""[target]
service = clara
template = clara_service_auth
names = {NAME}, clara.vcc.internal
[files]
owner = root
group = www-data
mode = 0640
[reload]
kind = systemd
unit = nginx.service
test = %s
timeout = 20s
[verify]
kind = tls
connect = 127.0.0.1:443, [::1]:443
sni = {NAME}
"""
# Writes down which certificate the configuration test found below current/, then is the real test.
TEST_SCRIPT = f"""#!/bin/sh
openssl x509 -in {TARGET}/current/cert.pem -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f >> {TEST_SEEN}
exec /usr/sbin/nginx -t
"""
LOAD = f"""import json, sys
sys.path.insert(0, "/root")
from handshakes import Handshake, Load
ca = sys.argv[1] if len(sys.argv) > 1 else None
with Load([("127.0.0.1", 443), ("::1", 443)], "{NAME}", clients=4, pause={handshakes.PAUSE}, how=Handshake(ca=ca)) as load:
    print("running", flush=True)
    sys.stdin.read()
print(json.dumps({{"ok": load.ok, "failed": load.failed, "errors": load.errors[:5], "seen": load.seen}}))
"""


class Load:
    """New connections from inside the machine, by clients that trust `ca` alone (None: that only look); `result` after the block."""

    def __init__(self, m, ca=None):
        self.m, self.ca, self.result = m, [ca] if ca else [], None

    def __enter__(self):
        self.m.write("/root/load.py", LOAD)
        self.process = subprocess.Popen(self.m.argv("/usr/bin/python3", "/root/load.py", *self.ca), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "running\n"
        return self

    def __exit__(self, *_):
        out, _ = self.process.communicate(timeout=60)
        self.result = json.loads(out)


def served(m, address="127.0.0.1"):
    """Fingerprint that nginx serves."""
    code = f"import sys; sys.path.insert(0, '/root'); from handshakes import handshake; print(handshake('{address}', 443, '{NAME}'))"
    return m.out("/usr/bin/python3", "-c", code).strip()


def units_tell(m):
    return m.out("systemctl", "--no-pager", "-l", "status", *(f"{r}.service" for r in ROLES), check=False) + m.journal("vcc-*", lines=80)


def wait(m, what, condition, **more):
    """A failed wait shows what the units have to say."""
    try:
        return m.wait_for(what, condition, **more)
    except MachineFailed as e:
        raise MachineFailed(f"{e}\n{units_tell(m)}") from None


def certificate(m):
    """`vccctl cert show`, or {} while there is none."""
    done = m.run("vccctl", "cert", "show", CERT, "-o", "json", check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def settled(m):
    c = certificate(m)
    return c if c.get("served") and not c.get("open_order") else None


def ready(m):
    done = m.run("vccctl", "status", "-o", "json", check=False)
    return done.returncode == 0 and json.loads(done.stdout).get("status") == "ready"


def connected(m):
    return m.json("vccctl", "agent", "show", "clara01", "-o", "json").get("connected")


def renew(m, expect=0):
    done = m.run("vccctl", "cert", "renew", CERT, "--force", "--watch", "-o", "json", check=False, timeout=300)
    assert done.returncode == expect, done.stdout + done.stderr + units_tell(m)
    return json.loads(done.stdout)


def write_target(m, test):
    m.write("/etc/vcc-agent/targets.d/web.conf", TARGET_FILE % test)


# ---- stages -----------------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A machine with programs, units, users and folders, and nothing else of ours."""
    with Machine(str(tmp_path_factory.mktemp("machine")), keep=("nginx.service",)) as m:
        subprocess.run([os.path.join(ROOT, "scripts", "install-units"), m.path("")], check=True)
        m.run("systemd-sysusers")
        m.run("systemd-tmpfiles", "--create", "vcc-controller.conf", "vcc-gateway.conf", "vcc-agent.conf")
        m.run("systemctl", "daemon-reload")
        m.write("/etc/hosts", "127.0.0.1 localhost pki.vcc.internal\n::1 localhost\n")
        with open(os.path.join(ROOT, "tests", "lib", "handshakes.py")) as f:
            m.write("/root/handshakes.py", f.read())
        yield m


@pytest.fixture(scope="module")
def running(installed):
    """Controller and host are set up as an operator would, nginx serves a self-signed pair; then it becomes managed."""
    m = installed
    m.run(*INIT)
    wait(m, "the controller is ready", lambda: ready(m))
    invite = m.json("vccctl", "agent", "invite", "clara01", "--service", "clara", "-o", "json")
    m.run("vcc-agent", "join", invite["join_address"], "--pin", invite["pin"], text_in=invite["token"] + "\n")
    wait(m, "the agent is connected", lambda: connected(m))

    before = f"{TARGET}/before"
    m.run("install", "-d", "-o", "vcc-keeper", "-g", "vcc-keeper", TARGET, before)
    m.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={NAME}", "-keyout",
          f"{before}/key.pem", "-out", f"{before}/fullchain.pem")
    m.run("cp", f"{before}/fullchain.pem", f"{before}/cert.pem")
    m.run("ln", "-s", "before", f"{TARGET}/current")
    m.run("rm", "-f", "/etc/nginx/sites-enabled/default")
    m.run("systemctl", "enable", "nginx.service")
    m.write("/etc/nginx/conf.d/clara.conf", SITE)
    m.run("systemctl", "restart", "nginx.service")
    m.self_signed = served(m)

    with Load(m) as load:
        write_target(m, "/usr/sbin/nginx -t")
        m.first = wait(m, "the first certificate is issued and served", lambda: settled(m))
    m.first_load = load.result
    return m


# ---- questions --------------------------------------------------------------------------------------------------------------------

def test_before_init_units_are_skipped_not_failed(installed):
    m = installed
    m.run("systemctl", "start", *(f"{r}.service" for r in ROLES), *SOCKETS)
    for unit in (*(f"{r}.service" for r in ROLES), *SOCKETS):
        state = m.unit(unit, "ActiveState", "ConditionResult", "LoadState")
        assert state == {"ActiveState": "inactive", "ConditionResult": "no", "LoadState": "loaded"}, unit
    assert m.failed_units() == []


def test_units_are_sound(installed):
    """systemd-analyze finds no wrong line in them."""
    m = installed
    names = [u for u in os.listdir(os.path.join(ROOT, "packaging", "units"))]
    done = m.run("systemd-analyze", "verify", "--man=no", *(f"/usr/lib/systemd/system/{n}" for n in names), check=False)
    assert done.returncode == 0 and "vcc-" not in done.stderr, done.stderr


def test_first_issue_replaces_the_self_signed_pair(running):
    m = running
    assert m.first["fingerprint"] == served(m) == served(m, "::1") != m.self_signed
    assert m.first_load["failed"] == 0, m.first_load["errors"]
    assert set(m.first_load["seen"]) <= {m.self_signed, m.first["fingerprint"]}
    key = m.path(f"{TARGET}/current/key.pem")
    owner = m.out("stat", "-L", "-c", "%U:%G %a", f"{TARGET}/current/key.pem").strip()
    assert owner == "root:www-data 640"
    assert "PRIVATE KEY" in open(key).read()


def test_every_unit_is_active_and_none_failed(running):
    m = running
    for unit in (*(f"{r}.service" for r in ROLES), *SOCKETS, "nginx.service"):
        assert m.active(unit), f"{unit}\n{units_tell(m)}"
    assert m.failed_units() == []
    assert m.out("systemctl", "is-system-running", check=False).strip() == "running"
    for role in ROLES:
        assert m.out("systemctl", "is-enabled", f"{role}.service").strip() == "enabled", "survives a reboot"


def test_roles_run_as_users_of_their_own(running):
    m = running
    uids = {}
    for role in ROLES:
        threads = m.threads(m.unit(f"{role}.service", "MainPID")["MainPID"])
        uids[role] = {t["Uid"] for t in threads}
        assert uids[role] == {"\t".join(4 * [m.out("id", "-u", role).strip()])}
    assert len({u for us in uids.values() for u in us}) == len(ROLES)


def plain_filters(m, role):
    """Seccomp filters that the unit alone brings: the same unit around a program that does not lock itself in."""
    text = m.read(f"/usr/lib/systemd/system/{role}.service")
    text = re.sub(r"(?m)^ExecStart=.*$", "ExecStart=/usr/bin/sleep 1000", text).replace("Type=notify", "Type=exec")
    text = re.sub(r"(?m)^(Wants|Requires|After|RuntimeDirectory|RuntimeDirectoryMode|StateDirectory|StateDirectoryMode)=.*\n", "", text)
    m.write(f"/run/systemd/system/plain-{role}.service", text)
    m.run("systemctl", "daemon-reload")
    m.run("systemctl", "start", f"plain-{role}.service")
    try:
        return int(m.threads(m.unit(f"plain-{role}.service", "MainPID")["MainPID"])[0]["Seccomp_filters"])
    finally:
        m.run("systemctl", "stop", f"plain-{role}.service")


KEEPER_CAPABILITIES = (1 << 0) | (1 << 2) | (1 << 3)  # chown, dac_read_search, fowner


def test_every_thread_is_locked_in(running):
    m = running
    for role in ROLES:
        by_unit = plain_filters(m, role)
        threads = m.threads(m.unit(f"{role}.service", "MainPID")["MainPID"])
        assert threads
        for t in threads:
            assert t["Seccomp"] == "2" and t["NoNewPrivs"] == "1", (role, t["Name"])
            assert int(t["Seccomp_filters"]) > by_unit, f"{role}: the program adds its own filter to those of the unit"
            assert int(t["CapEff"], 16) == (KEEPER_CAPABILITIES if role == "vcc-keeper" else 0), role
            assert int(t["CapPrm"], 16) == int(t["CapEff"], 16), role


def test_renewals_drop_no_connection(running):
    """A service that systemd manages, reloaded over D-Bus: again and again, and never a connection refused or the service started anew."""
    m = running
    m.run("cp", f"{TARGET}/current/ca.pem", "/root/ca.pem")
    before, seen = m.unit("nginx.service", "MainPID", "NRestarts", "ExecMainStartTimestampMonotonic"), [served(m)]
    with Load(m, "/root/ca.pem") as load:
        for _ in range(RENEWALS):
            renewal = renew(m)
            assert renewal["status"] == "completed" and renewal["error"] is None
            seen.append(renewal["new_certificate"]["fingerprint"])
            assert served(m) == served(m, "::1") == seen[-1]
            last = renewal["receipts"][-1]
            assert last["outcome"] == "settled" and last["listeners"] == 2 and last["handshakes"] >= 40 and last["handshakes_failed"] == 0
    print(f"{RENEWALS} renewals: {load.result['ok']} handshakes, {load.result['failed']} failed")
    assert load.result["failed"] == 0 and load.result["ok"] > 20 * RENEWALS, load.result
    assert set(seen) == set(load.result["seen"]) and len(set(seen)) == RENEWALS + 1
    assert m.unit("nginx.service", *before) == before, "the same process all the time"
    assert CERT in m.out("vcc-agent", "status"), "exit status 0: what is issued is served"
    tests = [s for s in renewal["steps"] if s["detail"] == "tested"]
    assert tests and all(s["code"] is None for s in tests), "nginx -t ran in the mount namespace of vcc-hook"


def test_what_one_role_keeps_no_other_can_read(running):
    m = running
    rooms = {"vcc-signer": "/var/lib/vcc-signer/ca", "vcc-controller": "/var/lib/vcc-controller/vcc.db", "vcc-gateway": "/var/lib/vcc-gateway",
             "vcc-keeper": "/var/lib/vcc-agent/keeper", "vcc-agent": "/var/lib/vcc-agent/link"}
    for owner, room in rooms.items():
        for role in ROLES:
            done = m.run("runuser", "-u", role, "--", "sh", "-c", f"ls '{room}' && test -r '{room}'", check=False)
            assert (done.returncode == 0) == (role == owner), f"{role} looks at {room}: {done.stdout}{done.stderr}"
    for role in ROLES:
        done = m.run("runuser", "-u", role, "--", "cat", f"{TARGET}/current/key.pem", check=False)
        assert done.returncode != 0, f"{role} without its unit's capabilities reads a service key"


def test_the_keeper_does_not_see_the_passwords(running):
    """Its capability would read them."""
    m = running
    pid = m.unit("vcc-keeper.service", "MainPID")["MainPID"]
    for path in ("/etc/shadow", "/etc/gshadow"):
        assert m.run("cat", path).stdout != ""
        assert m.run("nsenter", "--target", pid, "--mount", "cat", path, check=False).stdout == ""


def connects(m, user, socket_path):
    code = f"import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect('{socket_path}'); s.send(b'x'); print(len(s.recv(1)))"
    done = m.run("runuser", "-u", user, "--", "/usr/bin/python3", "-c", code, check=False)
    if done.returncode != 0:
        return "refused" if "PermissionError" in done.stderr or "ConnectionReset" in done.stderr or "BrokenPipe" in done.stderr else "open"
    return "refused" if done.stdout.strip() == "0" else "open"


def test_foreign_users_are_turned_away(running):
    """Also where the socket file lets them knock: the peer's user id decides."""
    m = running
    for path in ("/run/vcc-signer/signer.sock", "/run/vcc-controller/gateway.sock", "/run/vcc-agent/keeper.sock", "/run/vcc-agent/hook.sock"):
        assert connects(m, "nobody", path) == "refused", path
    done = m.run("runuser", "-u", "nobody", "--", "vccctl", "status", check=False)
    assert done.returncode in (4, 5), done.stdout + done.stderr


def test_killed_roles_come_back_and_work(running):
    m = running
    for role in ROLES:
        unit = f"{role}.service"
        old = m.unit(unit, "MainPID")["MainPID"]
        m.run("kill", "-9", old)
        wait(m, f"{unit} is started again", lambda: m.active(unit) and m.unit(unit, "MainPID")["MainPID"] not in ("0", old))
    wait(m, "the controller is ready again", lambda: ready(m))
    wait(m, "the agent is connected again", lambda: connected(m))
    assert renew(m)["status"] == "completed"


def test_restarted_units_heal(running):
    m = running
    for role in ROLES:
        m.run("systemctl", "restart", f"{role}.service")
    wait(m, "the controller is ready again", lambda: ready(m))
    wait(m, "the agent is connected again", lambda: connected(m))
    assert renew(m)["status"] == "completed"
    assert m.failed_units() == []


KNOCK = """import socket, sys, time
refused = tried = 0
end = time.monotonic() + 120
print("running", flush=True)
import threading
done = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
while not done.is_set() and time.monotonic() < end:
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        try:
            s.connect("/run/vcc-signer/signer.sock")
        except (ConnectionRefusedError, FileNotFoundError):
            refused += 1
        except BlockingIOError:
            pass  # this client alone has filled the queue
    tried += 1
    time.sleep(0.1)
print(tried, refused)
"""


def knocked(m, meanwhile):
    m.write("/root/knock.py", KNOCK)
    with subprocess.Popen(m.argv("/usr/bin/python3", "/root/knock.py"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        assert p.stdout.readline() == "running\n"
        meanwhile()
        out, _ = p.communicate(timeout=180)
    return map(int, out.split())


def test_the_signers_socket_outlives_it_but_not_its_stop(running):
    """Killed or started again, it refuses nobody, because systemd holds the socket; stopped by a person, it stays stopped whoever knocks."""
    m = running

    def killed_and_restarted():
        old = m.unit("vcc-signer.service", "MainPID")["MainPID"]
        m.run("kill", "-9", old)
        wait(m, "the signer is started again", lambda: m.active("vcc-signer.service") and m.unit("vcc-signer.service", "MainPID")["MainPID"] not in ("0", old))
        m.run("systemctl", "restart", "vcc-signer.service")

    tried, refused = knocked(m, killed_and_restarted)
    assert refused == 0 and tried > 10, (tried, refused)
    tried, refused = knocked(m, lambda: (m.run("systemctl", "stop", "vcc-signer.service"), m.run("sleep", "3")))
    assert refused > 10 and not m.active("vcc-signer.service"), (tried, refused)
    m.run("systemctl", "start", "vcc-signer.service")
    wait(m, "the controller is ready again", lambda: ready(m))
    assert renew(m)["status"] == "completed"


def test_the_passphrase_may_be_a_credential(running):
    """As the unit's comment promises: systemd hands it over, no file of it is readable for the signer's user."""
    m = running
    m.run("mv", "/etc/vcc-signer/ca-passphrase", "/root/ca-passphrase")
    m.run("chown", "root:root", "/root/ca-passphrase")
    m.write("/etc/vcc-signer/signer.conf.d/50-credential.conf", "[signer]\npassphrase_file =\n")
    m.write("/etc/systemd/system/vcc-signer.service.d/credential.conf", "[Service]\nLoadCredential=ca-passphrase:/root/ca-passphrase\n")
    m.run("systemctl", "daemon-reload")
    m.run("systemctl", "restart", "vcc-signer.service")
    wait(m, "the controller is ready again", lambda: ready(m))


def test_the_passphrase_may_be_in_shares(running):
    """Whoever starts the unit does not wait with it; the keys open when the second custodian was there, and its status says how many were."""
    m = running
    m.run("systemctl", "restart", "vcc-signer.service")
    wait(m, "the controller is ready", lambda: ready(m))
    drop_in = "/etc/systemd/system/vcc-signer.service.d/credential.conf"
    m.run("mv", drop_in, "/root/credential.conf")
    m.run("install", "-o", "vcc-signer", "-m", "0600", "/root/ca-passphrase", "/etc/vcc-signer/ca-passphrase")
    m.write("/etc/vcc-signer/signer.conf.d/50-credential.conf", "[signer]\npassphrase_file = /etc/vcc-signer/ca-passphrase\n")
    shares = m.out("vcc-signer", "split", "2", "3").splitlines()
    assert len(shares) == 3
    m.run("rm", "/etc/vcc-signer/ca-passphrase")
    m.run("systemctl", "daemon-reload")
    m.run("systemctl", "restart", "vcc-signer.service")
    assert "shares of the passphrase: 0 of 2" in m.unit("vcc-signer.service", "StatusText")["StatusText"] and not ready(m)
    assert m.run("runuser", "-u", "vcc-controller", "--", "vcc-signer", "unlock", text_in=shares[0] + "\n", check=False).returncode != 0
    m.run("vcc-signer", "unlock", text_in=shares[2] + "\n")
    assert "shares of the passphrase: 1 of 2" in m.unit("vcc-signer.service", "StatusText")["StatusText"] and not ready(m)
    m.run("vcc-signer", "unlock", text_in=shares[0] + "\n")
    wait(m, "the controller is ready again", lambda: ready(m))
    m.run("rm", "/var/lib/vcc-signer/ca/shares")
    m.run("mv", "/root/credential.conf", drop_in)
    m.write("/etc/vcc-signer/signer.conf.d/50-credential.conf", "[signer]\npassphrase_file =\n")
    m.run("systemctl", "daemon-reload")
    m.run("systemctl", "restart", "vcc-signer.service")
    wait(m, "the controller is ready again", lambda: ready(m))


def test_everything_comes_back_after_a_reboot(running):
    m = running
    old = served(m)
    m.reboot()
    for unit in (*(f"{r}.service" for r in ROLES), *SOCKETS, "nginx.service"):
        wait(m, f"{unit} is active", lambda u=unit: m.active(u))
    wait(m, "the controller is ready again", lambda: ready(m))
    wait(m, "the agent is connected again", lambda: connected(m))
    assert served(m) == old
    assert renew(m)["status"] == "completed"
    assert m.failed_units() == []


def test_a_broken_service_configuration_stops_the_renewal(running):
    """The configuration test saw the new pair, failed, and nothing changed; mended, the next renewal goes through."""
    m = running
    template = m.json("vccctl", "template", "show", "clara_service_auth", "-o", "json")
    template["max_renewal_attempts"] = 1
    m.write("/root/template.json", json.dumps(template))
    applied = m.run("vccctl", "template", "apply", "/root/template.json", "-o", "json", check=False)
    waits = json.loads(applied.stdout)
    assert applied.returncode == 4 and waits["status"] == "awaiting_approval", "a change of policy is the business of two persons"
    m.run("vccctl", "--url", "https://127.0.0.1:8444", "--ca", "/etc/vcc-controller/ca.pem", "--token-file", "/var/lib/vcc-controller/approver.token", "approval", "approve",
          waits["approval_id"], "--hash", waits["approval"]["hash"])
    m.write("/usr/local/sbin/nginx-test", TEST_SCRIPT, 0o755)
    write_target(m, "/usr/local/sbin/nginx-test")
    m.write("/etc/nginx/conf.d/broken.conf", "this_is_no_directive on;\n")
    old = served(m)

    renewal = renew(m, expect=1)
    assert renewal["error"]["code"] == "VCC-2002", renewal["error"]
    assert served(m) == served(m, "::1") == old, "the old certificate keeps being served"
    seen = m.read(TEST_SEEN).split()
    assert seen and old not in seen, "the test found the new certificate below current/ while the old one was served"
    assert m.out("openssl", "x509", "-in", f"{TARGET}/current/cert.pem", "-noout", "-fingerprint", "-sha256").strip().split("=")[1].replace(":", "").lower() == old

    m.run("rm", "/etc/nginx/conf.d/broken.conf")
    again = renew(m)
    assert again["status"] == "completed" and served(m) == again["new_certificate"]["fingerprint"] != old
    assert m.read(TEST_SEEN).split()[-1] == again["new_certificate"]["fingerprint"]


def test_nothing_was_denied_or_failed_on_the_way(running):
    """Requests of the hook are gone, no unit is failed, and no role hit its own system call filter or sandbox."""
    m = running
    assert m.failed_units() == []
    assert "vcc-hook@" not in m.out("systemctl", "list-units", "--all", "--plain", "--no-legend", "vcc-hook@*")
    journal = m.out("journalctl", "--no-pager", "-o", "cat", "-u", "vcc-*")
    for word in ("Operation not permitted", "Permission denied", "Read-only file system"):
        lines = [line for line in journal.splitlines() if word in line]
        assert lines == [], lines[:5]
