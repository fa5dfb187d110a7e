"""One host for tests of the keeper: keeper, hook and a real nginx on loopback below one folder; the controller is a FakeLink."""
import hashlib
import os
import ssl
import subprocess
import tempfile

from fake_link import FakeLink
from installation import ROOT, Process, free_port, nginx, wait_for, write

BIN = os.environ.get("VCC_KEEPER_BIN", os.path.join(ROOT, "build", "bin"))
NGINX = """{user}pid {base}/nginx.pid;
error_log {base}/error.log;
worker_processes 2;
worker_shutdown_timeout 5s;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {base}/t1; proxy_temp_path {base}/t2; fastcgi_temp_path {base}/t3; uwsgi_temp_path {base}/t4; scgi_temp_path {base}/t5;
  server {{
    listen 127.0.0.1:{port} ssl;
    listen {second} ssl;
    server_name {name};
    ssl_certificate {tls}/current/fullchain.pem;
    ssl_certificate_key {tls}/current/key.pem;
    location / {{ return 200 "ok\\n"; }}
  }}
}}
"""


class KeeperHost:
    def __init__(self, folder, binaries=BIN, name="clara01", cas=None):
        self.dir, self.binaries = folder, binaries
        self.link = FakeLink(cas, name)
        self.names = [f"{name}.clara.vcc.internal", "clara.vcc.internal"]
        self.cert_id = f"{name}-web"
        self.config = os.path.join(folder, "agent.conf")
        self.socket = os.path.join(folder, "run", "keeper.sock")
        self.tls = os.path.join(folder, "targets", "web")
        self.base = os.path.join(folder, "service")
        self.port = free_port()
        self.processes = {}
        self.errors = []  # what it said of a failure, (code, text, words that must stand in it): judged by invariants.py
        self.settings = {"reload": f"kind = exec\ncommand = {nginx()} -p {self.base} -c {self.base}/nginx.conf -s reload\n"
                                   f"test = {nginx()} -p {self.base} -c {self.base}/nginx.conf -t\ntimeout = 10s\n",
                         "verify": f"kind = tls\nconnect = 127.0.0.1:{self.port}, 127.0.0.2:{self.port}\n",
                         "files": "owner = root\ngroup = www-data\nmode = 0640\n", "target": ""}
        for d in ("run", "targets.d", "service", "log"):
            os.makedirs(os.path.join(folder, d), exist_ok=True)
        write(self.config, f"[agent]\nstate_dir = {folder}/link\nkeeper_socket = {self.socket}\n[keeper]\nstate_dir = {folder}/keeper\n"
                           f"targets_dir = {folder}/targets.d\nhook_socket = {folder}/run/hook.sock\n")

    def process(self, name, argv, env=None):
        self.processes[name] = Process(name, argv, os.path.join(self.dir, "log", f"{name}.log"), env)
        return self.processes[name]

    def log(self, name):
        with open(os.path.join(self.dir, "log", f"{name}.log"), errors="replace") as f:
            return f.read()

    def reloads(self):
        """How often the service was told to reload."""
        return self.log("hook").count(": reload: ")

    # ---- service ----
    def first_pair(self):
        """A self-signed pair in g000001, as if it had been adopted."""
        first = os.path.join(self.tls, "g000001")
        os.makedirs(first, exist_ok=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                        "/CN=first", "-keyout", f"{first}/key.pem", "-out", f"{first}/cert.pem"], check=True, capture_output=True)
        for name in ("fullchain.pem", "chain.pem"):
            write(f"{first}/{name}", open(f"{first}/cert.pem").read() if name == "fullchain.pem" else "")
        os.symlink("g000001", os.path.join(self.tls, "current"))

    def start_nginx(self):
        self.first_pair()
        write(f"{self.base}/nginx.conf", NGINX.format(user="user www-data;\n" if os.geteuid() == 0 else "", base=self.base, port=self.port,
                                                     second=f"127.0.0.2:{self.port}", name=self.names[0], tls=self.tls))
        self.process("nginx", [nginx(), "-p", self.base, "-c", f"{self.base}/nginx.conf", "-g", "daemon off;"]).start()
        wait_for("nginx serves", self.served)

    def served(self, address="127.0.0.1"):
        """Fingerprint, or None."""
        try:
            pem = ssl.get_server_certificate((address, self.port), timeout=5)
        except OSError:
            return None
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()

    # ---- keeper ----
    def write_target(self, **sections):
        self.settings.update(sections)
        names = ", ".join(self.names)
        write(f"{self.dir}/targets.d/.web.new", f"[target]\ncert_id = {self.cert_id}\ntemplate = clara_service_auth\nnames = {names}\n"
              f"{self.settings['target']}[files]\n{self.settings['files']}[reload]\n{self.settings['reload']}[verify]\n{self.settings['verify']}")
        os.rename(f"{self.dir}/targets.d/.web.new", f"{self.dir}/targets.d/web.conf")

    def join(self, **more):
        return self.link.join(os.path.join(self.binaries, "vcc-keeper"), "--config", self.config, **more)

    def start_hook(self, env=None):
        self.process("hook", [os.path.join(self.binaries, "vcc-hook"), "--config", self.config, "--listen", f"{self.dir}/run/hook.sock"], env).start()
        wait_for("the hook listens", lambda: os.path.exists(f"{self.dir}/run/hook.sock"))

    def start_keeper(self, env=None, connect=True):
        self.process("keeper", [os.path.join(self.binaries, "vcc-keeper"), "--config", self.config], env).start()
        if connect:
            self.link.connect(self.socket)

    def start(self):
        """Joined, running, welcomed."""
        self.start_nginx()
        self.write_target()
        done = self.join()
        assert done["code"] == 0, done
        self.start_hook()
        self.start_keeper()
        self.link.wait("hello", lambda: self.link.hello)

    def restart_keeper(self, env=None, connect=True):
        self.link.close()
        self.processes["keeper"].kill()
        self.start_keeper(env, connect)

    def renew(self, **changes):
        return self.link.order(self.cert_id, self.names, **changes)

    def stop(self):
        self.link.close()
        for name in ("keeper", "hook", *self.processes):
            if name in self.processes:
                self.processes[name].stop()
        for name in self.processes:
            log = self.log(name)
            assert "Sanitizer" not in log and "runtime error" not in log, log[-6000:]

    # ---- invariants ----
    def current(self):
        return os.readlink(os.path.join(self.tls, "current"))

    def check_set(self):
        """I1: current/ holds one complete matching set. Returns the certificate's fingerprint."""
        folder = os.path.join(self.tls, self.current())
        read = {n: open(os.path.join(folder, n)).read() for n in ("key.pem", "cert.pem", "fullchain.pem")}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(folder, "fullchain.pem"), os.path.join(folder, "key.pem"))  # raises when they do not match
        assert read["fullchain.pem"].startswith(read["cert.pem"])
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(read["cert.pem"])).digest()


def new_host(folder, **more):
    os.chmod(folder, 0o755)
    return KeeperHost(folder, **more)


def temporary():
    folder = tempfile.mkdtemp(prefix="vcc-keeper-")
    os.chmod(folder, 0o755)
    return folder
