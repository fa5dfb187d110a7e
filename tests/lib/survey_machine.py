"""A machine with the whole of VCC and with Debian's own servers in their stock configuration, for `vcc-agent discover | manage | unmanage`.

What the tests compare before and after is everything that a purge or an upgrade would look at: files of /etc, units, target paths, enabled units."""
import hashlib
import json
import os
import stat
import subprocess

import handshakes
from installation import ROOT
from machine import Machine, MachineFailed

INIT = ("vccctl", "init", "--org", "VCC Survey Test", "--domain", "vcc.internal", "--permit-ip", "127.0.0.0/8", "--public-name", "pki.vcc.internal",
        "--admin-contact", "pki@vcc.internal", "--security-contact", "csirt@vcc.internal", "--public-listen", "127.0.0.1:81", "--public-url",
        "http://pki.vcc.internal:81")
KEEP = ("nginx.service", "apache2.service", "haproxy.service", "postgresql.service")
PLACES = ("/etc", "/usr/lib/systemd/system", "/var/lib/vcc-agent/targets", "/run/systemd/system", "/root/.acme.sh", "/var/lib/certmonger/requests")
# Written by the system itself while it runs, whatever a test does.
VOLATILE = ("/etc/resolv.conf", "/etc/machine-id", "/etc/adjtime", "/etc/.updated", "/etc/mtab")
AGENT = "/usr/bin/vcc-agent"
LOAD = """import json, sys
sys.path.insert(0, "/root")
from handshakes import Handshake, Load
with Load({addresses}, {sni!r}, clients=3, pause={pause}, how=Handshake({starttls!r})) as load:
    print("running", flush=True)
    sys.stdin.read()
print(json.dumps({{"ok": load.ok, "failed": load.failed, "errors": load.errors[:5], "seen": load.seen}}))
"""


class MachineLoad:
    """New connections from inside the machine, all the time; `result` after the block."""

    def __init__(self, m, addresses, sni=None, starttls=None):
        self.m, self.result = m, None
        m.write("/root/load.py", LOAD.format(addresses=addresses, sni=sni, starttls=starttls, pause=handshakes.PAUSE))

    def __enter__(self):
        self.process = subprocess.Popen(self.m.argv("/usr/bin/python3", "/root/load.py"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "running\n"
        return self

    def __exit__(self, *_):
        out, _ = self.process.communicate(timeout=60)
        self.result = json.loads(out)


class SurveyMachine(Machine):
    def __init__(self, folder, binaries=None, keep=KEEP):
        super().__init__(folder, keep=keep)
        self.binaries = binaries

    def install(self):
        env = dict(os.environ, **({"B": self.binaries} if self.binaries else {}))
        subprocess.run([os.path.join(ROOT, "scripts", "install-units"), self.path("")], check=True, env=env)
        self.run("systemd-sysusers")
        self.run("systemd-tmpfiles", "--create", "vcc-controller.conf", "vcc-gateway.conf", "vcc-agent.conf")
        self.run("systemctl", "daemon-reload")
        self.write("/etc/hosts", "127.0.0.1 localhost pki.vcc.internal\n::1 localhost\n")
        self.run("make-ssl-cert", "generate-default-snakeoil", "--force-overwrite")
        with open(os.path.join(ROOT, "tests", "lib", "handshakes.py")) as f:
            self.write("/root/handshakes.py", f.read())

    def join(self):
        self.run(*INIT)
        self.wait("the controller is ready", lambda: self.json_or("vccctl", "status", "-o", "json").get("status") == "ready")
        invite = self.json("vccctl", "agent", "invite", "clara01", "--service", "clara", "-o", "json")
        self.run(AGENT, "join", invite["join_address"], "--pin", invite["pin"], text_in=invite["token"] + "\n")
        self.wait("the agent is connected", lambda: self.json_or("vccctl", "agent", "show", "clara01", "-o", "json").get("connected"))

    # ---- asking ----
    def json_or(self, *words):
        done = self.run(*words, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def wait(self, what, condition, **more):
        """A failed wait shows what the units have to say."""
        try:
            return self.wait_for(what, condition, **more)
        except MachineFailed as e:
            raise MachineFailed(f"{e}\n{self.journal('vcc-*', lines=60)}") from None

    def agent(self, *words, expect=0, **more):
        done = self.run(AGENT, *words, check=False, timeout=300, **more)
        assert done.returncode == expect, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.journal('vcc-*', lines=30)}"
        return done

    def services(self):
        return {s["name"]: s for s in json.loads(self.agent("discover", "-o", "json").stdout)["services"]}

    def served(self, port=443, address="127.0.0.1", sni="", starttls=False):
        """Fingerprint of what a listener serves."""
        words = ["openssl", "s_client", "-connect", f"[{address}]:{port}" if ":" in address else f"{address}:{port}"]
        words += ["-servername", sni] if sni else ["-noservername"]
        words += ["-starttls", "postgres"] if starttls else []
        pem = self.out(*words, text_in="")
        der = subprocess.run(["openssl", "x509", "-outform", "DER"], input=pem.encode(), capture_output=True, check=True).stdout
        return hashlib.sha256(der).hexdigest()

    def certificate(self, cert_id):
        return self.json_or("vccctl", "cert", "show", cert_id, "-o", "json")

    def renew(self, cert_id):
        done = self.run("vccctl", "cert", "renew", cert_id, "--force", "--watch", "-o", "json", check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr + self.journal("vcc-*", lines=60)
        return json.loads(done.stdout)

    # ---- before and after ----
    def snapshot(self):
        """{path: (type, mode, owner, xattrs, content)} and the enabled state of every unit."""
        found = {}
        for place in PLACES:
            top = self.path(place)
            if not os.path.lexists(top):
                continue
            for folder, names, files in os.walk(top):
                for name in [".", *names, *files]:
                    path = os.path.normpath(os.path.join(folder, name))
                    inside = place + path[len(top):]
                    if inside not in VOLATILE:
                        found[inside] = describe(path)
        units = self.out("systemctl", "list-unit-files", "--no-legend", "--no-pager", "--plain", check=False)
        found["unit files"] = sorted(line.split()[:2] for line in units.splitlines() if line.strip())
        return found


def describe(path):
    st = os.lstat(path)
    content = ""
    if stat.S_ISREG(st.st_mode):
        with open(path, "rb") as f:
            content = hashlib.sha256(f.read()).hexdigest()
    elif stat.S_ISLNK(st.st_mode):
        content = os.readlink(path)
    attributes = {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)}
    return stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, attributes, content


def difference(before, after):
    return {k: (before.get(k), after.get(k)) for k in before.keys() | after.keys() if before.get(k) != after.get(k)}
