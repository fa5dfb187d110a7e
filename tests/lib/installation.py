"""A complete installation below one folder on loopback: signer, controller, gateway, and hosts with agent, keeper, hook and a real service.

Used by scripts/sandbox, scripts/demo and the system tests. Starts every process itself and ends only those."""
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time

import python_service
from admin_api import AdminApi
from handshakes import handshake
from service_kinds import KINDS

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
TEMPLATES = (("clara", "clara_service_auth"), ("covina", "covina_orchestrator"), ("argus", "argus_api"), ("vpb", "vpb_service"))
DEADLINE = 60.0
_used_ports = set()


class Failed(Exception):
    """An operator would see this: what did not work, and where to look."""


def free_port():
    """A port that was free a moment ago and that we have not handed out before; outside the kernel's own range.
    VCC_PORTS="FIRST-LAST" keeps test runs beside each other apart."""
    first, last = map(int, os.environ.get("VCC_PORTS", "20000-31999").split("-"))
    for _ in range(500):
        port = random.SystemRandom().randrange(first, last + 1)
        if port in _used_ports:
            continue
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        _used_ports.add(port)
        return port
    raise Failed("no free port on 127.0.0.1")


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "w") as f:
        f.write(text)
    os.chmod(path, mode)


def wait_for(what, condition, seconds=DEADLINE, step=0.05):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(step)
    raise Failed(f"{what}: not within {seconds:.0f} s")


class Process:
    """One process of ours with its log; started again when asked."""

    logs = {}  # of everything that this run has started: {path: name}

    def __init__(self, name, argv, log, env=None):
        self.name, self.argv, self.log, self.env, self.popen = name, argv, log, env, None
        self.wanted = self.swept = False
        self.starts = 0
        self.end = signal.SIGTERM

    def start(self):
        self.wanted, self.swept = True, False
        self.starts += 1
        Process.logs[self.log] = self.name
        environment = dict(os.environ, **(self.env or {}))
        environment.pop("NOTIFY_SOCKET", None)
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, start_new_session=True)
        return self

    @property
    def pid(self):
        return self.popen.pid if self.popen else None

    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def kill(self, sig=signal.SIGKILL, wait=True):
        if self.running():
            self.popen.send_signal(sig)
            if wait:
                self.popen.wait(20)

    def stop(self):
        self.wanted = False
        if self.running():
            self.popen.send_signal(self.end)
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait(10)
        self.sweep()

    def sweep(self):
        """Ends what the process left in its session, as systemd does with a unit's control group: workers of a killed nginx keep its port. Once: its number
        may be another's soon."""
        if self.popen is not None and not self.swept and not self.running():
            self.swept = True
            try:
                os.killpg(self.popen.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def tail(self, n=15):
        try:
            with open(self.log, errors="replace") as f:
                return "".join(f.readlines()[-n:])
        except OSError:
            return ""


class Host:
    """One host: agent, keeper, hook and one service with one target. `ip`: of the service; `inside`: what its programs start under, such as
    `ip netns exec NAME`."""

    def __init__(self, inst, name, service, template, kind, names, ip="127.0.0.1", inside=()):
        self.inst, self.name, self.service, self.template, self.kind, self.names = inst, name, service, template, kind, names
        self.dir = os.path.join(inst.dir, "hosts", name)
        self.config = os.path.join(self.dir, "agent.conf")
        self.stem = "web"
        self.cert_id = f"{name}-web"
        self.target_dir = os.path.join(self.dir, "service", "tls")
        self.port, self.ip, self.inside = free_port(), ip, list(inside)
        self.address = f"{ip}:{self.port}"
        self.second = None
        self.handshake = KINDS[kind].handshake if kind in KINDS else handshake
        self.server = "uvicorn"  # of kind python: how it is run (python_service.py)
        self.processes = {}

    def process(self, name, argv, env=None):
        log = os.path.join(self.dir, "log", f"{name}.log")
        os.makedirs(os.path.dirname(log), exist_ok=True)
        self.processes[name] = Process(f"{self.name}/{name}", [*self.inside, *argv], log, env)
        return self.processes[name]

    # ---- service ----
    def self_signed(self):
        """What the service serves before it is managed."""
        first = os.path.join(self.target_dir, "before")
        os.makedirs(first, mode=0o755, exist_ok=True)
        key, cert = os.path.join(first, "key.pem"), os.path.join(first, "fullchain.pem")
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={self.names[0]}",
             "-keyout", key, "-out", cert])
        os.chmod(key, 0o640)
        shutil.copy(cert, os.path.join(first, "cert.pem"))
        with open(key) as k, open(cert) as c:
            write(os.path.join(first, "combined.pem"), k.read() + c.read(), 0o640)
        if self.kind == "postgresql" and os.geteuid() == 0:
            shutil.chown(key, group="postgres")
        link = os.path.join(self.target_dir, "current")
        if not os.path.islink(link):
            os.symlink("before", link)

    def start_service(self):
        self.self_signed()
        base = os.path.join(self.dir, "service")
        if self.kind not in ("echo", "python"):
            self.second = f"[::1]:{self.port}" if have_ipv6() else f"127.0.0.2:{self.port}"
        if self.kind in KINDS:
            p = self.process(self.kind, KINDS[self.kind].start(self, self.second))
            p.end = KINDS[self.kind].signal
            p.start()
        elif self.kind == "nginx":
            write(os.path.join(base, "nginx.conf"), NGINX.format(base=base, port=self.port, second=self.second, name=self.names[0],
                                                                tls=self.target_dir, user="" if os.geteuid() else "user www-data;\n"))
            os.makedirs(os.path.join(base, "logs"), exist_ok=True)
            self.process("nginx", [nginx(), "-p", base, "-c", os.path.join(base, "nginx.conf"), "-g", "daemon off;"]).start()
        elif self.kind == "python":
            self.process("python", python_service.argv(self.server, self.port, self.target_dir, os.path.join(base, "python.pid")), python_service.ENV).start()
        else:
            self.process("echo", ["/usr/bin/python3", os.path.join(ROOT, "tests", "lib", "echo_service.py"), self.address, self.target_dir,
                                  os.path.join(base, "echo.pid")]).start()
        wait_for(f"{self.name}: the service listens", lambda: connects(self.ip, self.port))

    def write(self, path, text, mode=0o644):
        write(path, text, mode)

    def target_file(self):
        base = os.path.join(self.dir, "service")
        if self.kind in KINDS:
            sections = KINDS[self.kind].target(self)
            files = {"owner": current_user(), "mode": "0640", **sections["files"]}
            files["group"] = files["group"] or current_group()
            verify = {**sections["verify"], "connect": f"{self.address}, {self.second}", "sni": self.names[0]}
            head = {"cert_id": self.cert_id, "service": self.service, "template": self.template, "names": ", ".join(self.names), "dir": self.target_dir}
            return "".join(f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in section.items())
                           for name, section in (("target", head), ("files", files), ("reload", {**sections["reload"], "timeout": "20s"}), ("verify", verify)))
        if self.kind == "nginx":
            reload = f"kind = exec\ncommand = {nginx()} -p {base} -c {base}/nginx.conf -s reload\ntest = {nginx()} -p {base} -c {base}/nginx.conf -t\n"
            group, connect = ("www-data" if os.geteuid() == 0 else current_group()), f"{self.address}, {self.second}"
        elif self.kind == "python":
            signum = python_service.reload_signal(self.server).name.removeprefix("SIG")
            reload = f"kind = signal\npidfile = {base}/python.pid\ncommand = {python_service.PYTHON}\nsignal = {signum}\n"
            group, connect = current_group(), self.address
        else:
            reload = f"kind = signal\npidfile = {base}/echo.pid\nsignal = HUP\n"
            group, connect = current_group(), self.address
        return (f"[target]\ncert_id = {self.cert_id}\nservice = {self.service}\ntemplate = {self.template}\nnames = {', '.join(self.names)}\n"
                f"dir = {self.target_dir}\n[files]\nowner = {current_user()}\ngroup = {group}\nmode = 0640\n"
                f"[reload]\n{reload}timeout = 20s\n[verify]\nkind = tls\nconnect = {connect}\nsni = {self.names[0]}\n")

    # ---- agent ----
    def enrol(self, settings=None):
        """From an unmanaged service to a managed one: join, target file, programs. `settings`: of this host alone, {"agent.agent.controller": ...}."""
        self.join()
        self.inst.drop_in("agent", self.config, settings)
        self.write_target()
        self.start_agent()

    def join(self):
        names = ["--names", ",".join(self.names)] if self.names else []
        invite = self.inst.vccctl("agent", "invite", self.name, "--service", self.service, *names, "--ttl", "15m")
        token = os.path.join(self.dir, "token")
        write(token, invite["token"] + "\n", 0o600)
        run([self.inst.bin("vcc-agent"), "join", invite["join_address"], "--pin", invite["pin"], "--state-dir", self.dir, "--token-file", token])
        os.unlink(token)
        return invite

    def write_target(self):
        write(os.path.join(self.dir, "targets.d", f"{self.stem}.conf"), self.target_file())

    def start_agent(self, env=None):
        os.makedirs(os.path.join(self.dir, "run"), mode=0o755, exist_ok=True)
        hook_socket = os.path.join(self.dir, "run", "hook.sock")
        self.process("hook", [self.inst.bin("vcc-hook"), "--config", self.config, "--listen", hook_socket], env).start()
        self.process("keeper", [self.inst.bin("vcc-keeper"), "--config", self.config], env).start()
        self.process("agent", [self.inst.bin("vcc-agent"), "--config", self.config], env).start()

    def facts(self):
        target = {"cert_id": self.cert_id, "kind": self.kind, "address": self.address, "sni": self.names[0], "dir": self.target_dir,
                  "service_pid": self.processes[self.kind].pid}
        return {"name": self.name, "service": self.service, "agent_pid": self.processes["agent"].pid, "keeper_pid": self.processes["keeper"].pid,
                "config": self.config, "state_dir": self.dir, "targets": [target]}


class Installation:
    """settings: {"controller.section.key": value}; `file.section.key` with file = controller, gateway, signer, agent or target."""

    def __init__(self, folder, settings=None, binaries=None, domain="vcc.internal"):
        self.dir, self.domain = os.path.abspath(folder), domain
        self.binaries = binaries or os.path.abspath(os.environ.get("VCC_BIN", os.path.join(ROOT, "build", "bin")))
        self.settings = {"controller.supersede.grace": "0s", "controller.supersede.grace_unproved": "0s", "controller.limits.allow_short_validity": "yes",
                         "controller.limits.max_renewals_default": "0", "controller.limits.approval_share": "100%", "agent.agent.reconnect_spread": "1s"}
        self.settings.update(settings or {})
        self.processes, self.hosts = {}, []
        self.ordered = []  # renewals that the controller has accepted
        self.api = None
        self.state = os.path.join(self.dir, "ctl")

    def bin(self, name):
        return os.path.join(self.binaries, name)

    def conf(self, name):
        return os.path.join(self.state, "etc", f"{name}.conf")

    def drop_in(self, name, path, more=None):
        """Settings for one configuration file as a drop-in beside it."""
        sections = {}
        for key, value in {**self.settings, **(more or {})}.items():
            file, section, key = key.split(".", 2)
            if file == name:
                sections.setdefault(section, []).append(f"{key} = {value}")
        if sections:
            text = "".join(f"[{s}]\n" + "\n".join(lines) + "\n" for s, lines in sections.items())
            write(f"{path}.d/50-settings.conf", text)

    def init_argv(self, agents_ip="127.0.0.1"):
        """Chooses the ports and writes what `vccctl init` finds there; the command that makes the rest."""
        ports = {n: free_port() for n in ("admin", "agents", "join", "public")}
        self.admin_url = f"https://127.0.0.1:{ports['admin']}"
        self.public_url = f"http://127.0.0.1:{ports['public']}"
        self.join_address = f"127.0.0.1:{ports['join']}"
        self.agents_address = f"{agents_ip}:{ports['agents']}"
        os.makedirs(os.path.join(self.state, "etc"), exist_ok=True)
        for name in ("controller", "gateway", "signer"):
            self.drop_in(name, self.conf(name))
        return [self.bin("vccctl"), "init", "--state-dir", self.state, "--org", "VCC Sandbox", "--domain", self.domain, "--permit-ip", "127.0.0.0/8",
             "--public-name", f"pki.{self.domain}", "--admin-contact", f"pki@{self.domain}", "--security-contact", f"csirt@{self.domain}",
             "--public-url", self.public_url, "--public-listen", f"127.0.0.1:{ports['public']}", "--admin-listen", f"127.0.0.1:{ports['admin']}",
             "--agent-listen", self.agents_address, "--join-listen", f"127.0.0.1:{ports['join']}"]

    def init(self, agents_ip="127.0.0.1"):
        run(self.init_argv(agents_ip))

    @property
    def pin(self):
        """SHA-256 of the root certificate's DER, as agents pin it."""
        der = run_bytes(["openssl", "x509", "-in", os.path.join(self.state, "ca.pem"), "-outform", "DER"])
        return "sha256:" + hashlib.sha256(der).hexdigest()

    def process(self, name, argv, env=None):
        log = os.path.join(self.dir, "log", f"{name}.log")
        os.makedirs(os.path.dirname(log), exist_ok=True)
        self.processes[name] = Process(name, argv, log, env)
        return self.processes[name]

    def start(self, env=None, gateways=1):
        env = env or {}
        os.makedirs(os.path.join(self.state, "run"), exist_ok=True)
        for name in ("signer", "controller", "gateway"):
            self.process(name, [self.bin(f"vcc-{name}"), "--config", self.conf(name)], env.get(name)).start()
        wait_for("the controller is ready", self.ready)

    def status(self):
        """What `vccctl status` shows, without starting it."""
        return self.get("status")

    def ready(self):
        try:
            return self.status()["status"] == "ready"
        except Failed:
            return False

    @property
    def vccctl_argv(self):
        return [self.bin("vccctl"), "--url", self.admin_url, "--ca", os.path.join(self.state, "ca.pem"), "--token-file",
                os.path.join(self.state, "admin.token")]

    def vccctl(self, *words):
        answer = json.loads(run([*self.vccctl_argv, *words, "-o", "json"]))
        if words[:2] == ("cert", "renew") and "renewal_id" in answer:
            self.ordered.append(answer["renewal_id"])
        return answer

    def get(self, path):
        """The answer to GET /api/v1/`path`, asked as the admin."""
        api = self.api
        try:
            if api is None:
                with open(os.path.join(self.state, "admin.token")) as f:
                    self.api = api = AdminApi(self.admin_url, os.path.join(self.state, "ca.pem"), f.read().strip())
            status, body = api.get(path)
        except (OSError, ValueError) as e:
            self.api = None  # a controller that was made anew has another root
            raise Failed(f"GET {path}: {e}") from e
        if status in (401, 403):
            self.api = None  # ... or other tokens
        if status != 200:
            raise Failed(f"GET {path}: {status} {body}")
        return body

    def renewal(self, renewal_id):
        return self.get(f"renewals/{renewal_id}")

    # What `vccctl NOUN show` says, without starting it: tests ask again and again, and a program that has to start costs fifteen times as much.
    def certificate(self, cert_id):
        return self.get(f"certificates/{cert_id}")

    def agent(self, name):
        return self.get(f"agents/{name}")

    def target(self, name):
        return self.get(f"targets/{name}")

    def edit_template(self, template_id, *words, **fields):
        """A new version of a template with these fields changed. `words`: of the command, such as --force."""
        text = run([*self.vccctl_argv, "template", "export", template_id])
        derived = ("validity_period_days", "validity_seconds", "renewal_threshold_days", "emergency_threshold_days", "version", "created_at", "update")
        template = {k: v for k, v in json.loads(text).items() if k not in derived}
        template.update(fields)
        path = os.path.join(self.dir, f"{template_id}.json")
        write(path, json.dumps(template))
        return self.vccctl("template", "apply", path, *words)

    def prepare_host(self, name, service, template, kind, names, server=None, **place):
        """A host whose service runs with a self-signed pair, not yet managed. `place`: ip and inside of Host."""
        host = Host(self, name, service, template, kind, names, **place)
        host.server = server or host.server
        self.hosts.append(host)
        os.makedirs(host.dir, exist_ok=True)
        host.start_service()
        return host

    def prepare_nginx(self, n=1):
        names = [f"clara{n:02d}.clara.{self.domain}", f"clara.{self.domain}"]
        return self.prepare_host(f"clara{n:02d}", "clara", "clara_service_auth", "nginx", names)

    def add_nginx(self, n=1):
        host = self.prepare_nginx(n)
        host.enrol()
        return host

    def prepare_service(self, kind, n=1):
        """A host with this real service, unmanaged."""
        if kind == "nginx":
            return self.prepare_nginx(n)
        if kind == "python":
            return self.prepare_python(n)
        service = KINDS[kind].service
        names = [f"{service}{n:02d}.{service}.{self.domain}", f"{service}.{self.domain}"]
        return self.prepare_host(f"{service}{n:02d}", service, KINDS[kind].template, kind, names)

    def add_service(self, kind, n=1):
        host = self.prepare_service(kind, n)
        host.enrol()
        return host

    def prepare_python(self, n=1, server="uvicorn"):
        names = [f"vpb{n:02d}.vpb.{self.domain}", f"vpb.{self.domain}"]
        return self.prepare_host(f"vpb{n:02d}", "vpb", "vpb_service", "python", names, server)

    def add_python(self, n=1, server="uvicorn"):
        host = self.prepare_python(n, server)
        host.enrol()
        return host

    def prepare_echo(self, i, **place):
        service, template = TEMPLATES[i % len(TEMPLATES)]
        name = f"{service}-e{i + 1:02d}"
        names = [f"argus.{self.domain}"] if service == "argus" else [f"{name}.{service}.{self.domain}"]
        return self.prepare_host(name, service, template, "echo", names, **place)

    def add_echo(self, i):
        host = self.prepare_echo(i)
        host.enrol()
        return host

    def wait_served(self, host, seconds=DEADLINE):
        """Until the issued certificate is proved served."""
        def served():
            try:
                c = self.certificate(host.cert_id)
            except Failed:
                return None
            return c if c.get("serial") and c.get("served") and not c.get("open_order") else None
        return wait_for(f"{host.cert_id} is issued and served", served, seconds, 0.2)

    def wait_renewed(self, host, old_fingerprint, seconds=DEADLINE):
        """Until another certificate than the old one is proved served and no order is open."""
        def renewed():
            try:
                c = self.certificate(host.cert_id)
            except Failed:
                return None
            return c if c.get("served") and not c.get("open_order") and c.get("fingerprint") != old_fingerprint else None
        return wait_for(f"{host.cert_id} is renewed", renewed, seconds, 0.2)

    def all_processes(self):
        return [*self.processes.values(), *(p for h in self.hosts for p in h.processes.values())]

    def supervise(self):
        """Restarts what died, as systemd would; returns True when a pid changed."""
        changed = False
        for p in self.all_processes():
            if p.wanted and not p.running():
                p.sweep()
                p.start()
                changed = True
        return changed

    def facts(self):
        p = self.processes
        return {"admin_url": self.admin_url, "admin_ca": os.path.join(self.state, "ca.pem"), "admin_token_file": os.path.join(self.state, "admin.token"),
                "approver_token_file": os.path.join(self.state, "approver.token"), "admin_socket": os.path.join(self.state, "run", "admin.sock"),
                "public_url": self.public_url, "agent_address": self.join_address, "agent_pin": self.pin, "trust_bundle": os.path.join(self.state, "ca.pem"),
                "vccctl": self.vccctl_argv,
                "controller": {"pid": p["controller"].pid, "signer_pid": p["signer"].pid, "gateway_pids": [p["gateway"].pid],
                               "config": self.conf("controller"), "state_dir": os.path.join(self.state, "controller"),
                               "db": os.path.join(self.state, "controller", "vcc.db")},
                "agents": [h.facts() for h in self.hosts]}

    def write_facts(self, path):
        with open(path + ".new", "w") as f:
            json.dump(self.facts(), f, indent=2)
        os.rename(path + ".new", path)

    def stop(self):
        for h in self.hosts:
            for name in dict.fromkeys(("agent", "keeper", "hook", h.kind, *h.processes)):
                if name in h.processes:
                    h.processes[name].stop()
        for name in ("gateway", "controller", "signer"):
            if name in self.processes:
                self.processes[name].stop()


# begins an nginx that writes nothing outside its folder: what a test adds stands before it (of the whole program) or follows (of its servers)
NGINX_HEAD = """{user}pid {base}/nginx.pid;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {base}/tmp-body;
    proxy_temp_path {base}/tmp-proxy;
    fastcgi_temp_path {base}/tmp-fastcgi;
    uwsgi_temp_path {base}/tmp-uwsgi;
    scgi_temp_path {base}/tmp-scgi;
"""

NGINX = """worker_processes auto;
error_log {base}/logs/error.log;
""" + NGINX_HEAD + """    server {{
        listen 127.0.0.1:{port} ssl;
        listen {second} ssl;
        server_name {name};
        ssl_certificate {tls}/current/fullchain.pem;
        ssl_certificate_key {tls}/current/key.pem;
        ssl_session_tickets off;
        location / {{ return 200 "ok\\n"; }}
    }}
}}
"""


def nginx():
    return shutil.which("nginx") or "/usr/sbin/nginx"


def have_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def current_user():
    import pwd
    return pwd.getpwuid(os.geteuid()).pw_name


def current_group():
    import grp
    return grp.getgrgid(os.getegid()).gr_name


def connects(host, port):
    try:
        with socket.create_connection((host, port), 1):
            return True
    except OSError:
        return False


def run_bytes(argv):
    done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        text = (done.stdout + done.stderr).decode(errors="replace")
        raise Failed(f"{os.path.basename(argv[0])} {' '.join(argv[1:4])} ... ended with {done.returncode}:\n{text}")
    return done.stdout


def run(argv):
    return run_bytes(argv).decode(errors="replace")
