"""Three tiers, each verifying its client and its server, below one installation: nginx, HAProxy, a Python service, and who asks them. Four hosts with an agent each;
every key, chain and ca.pem that they use is of their target folders. The configurations are those of docs/services.md, "Three tiers", with the addresses of a test."""
import json
import os
import shutil
import signal
import socket
import ssl

import python_service
from installation import NGINX_HEAD, ROOT, Failed, Host, current_group, current_user, nginx, wait_for, write

NGINX = """worker_processes 2;
error_log {base}/error.log;
worker_shutdown_timeout 60s;
""" + NGINX_HEAD + """    upstream middle {{
        server 127.0.0.1:{next};
        keepalive 8;
    }}
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name {name};
        ssl_certificate        {tls}/current/fullchain.pem;
        ssl_certificate_key    {tls}/current/key.pem;
        ssl_client_certificate {tls}/current/ca.pem;
        ssl_verify_client      on;
        ssl_verify_depth       3;
        ssl_session_tickets    off;
        ssl_protocols          TLSv1.2 TLSv1.3;
        if ($client_name != {client}) {{ return 403; }}

        proxy_ssl_certificate         {tls}/current/fullchain.pem;
        proxy_ssl_certificate_key     {tls}/current/key.pem;
        proxy_ssl_trusted_certificate {tls}/current/ca.pem;
        proxy_ssl_verify              on;
        proxy_ssl_verify_depth        3;
        proxy_ssl_name                {next_name};
        proxy_ssl_server_name         on;
        proxy_ssl_session_reuse       off;
        proxy_ssl_protocols           TLSv1.2 TLSv1.3;
        proxy_http_version            1.1;
        proxy_set_header              X-Nginx-Saw $client_name|$client_issuer;
        proxy_set_header              Connection $kept;
        location / {{ proxy_pass https://middle; }}
    }}
    map $ssl_client_s_dn $client_name   {{ ~(^|,)CN=(?<name>[^,]+) $name; }}
    map $ssl_client_i_dn $client_issuer {{ ~(^|,)CN=(?<issuer>[^,]+) $issuer; }}
    map $uri $kept {{
        /new    close;
        default "";
    }}
}}
"""

HAPROXY = """global
    stats socket {base}/admin.sock mode 600 level admin
    maxconn 512
{user}
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout http-keep-alive 90s
    retries 3
    retry-on conn-failure empty-response
frontend middle
    bind 127.0.0.1:{port} ssl crt {tls}/current/combined.pem ca-file {tls}/current/ca.pem verify required no-tls-tickets
    http-request deny deny_status 403 unless {{ ssl_c_s_dn(cn) -m str {client} }}
    http-request set-header X-Haproxy-Saw "%[ssl_c_s_dn(cn)]|%[ssl_c_i_dn(cn)]"
    use_backend each-anew if {{ path /new }}
    default_backend service
backend service
    http-reuse always
    server s1 127.0.0.1:{next} ssl crt {tls}/current/combined.pem ca-file {tls}/current/ca.pem verify required verifyhost {next_name} sni str({next_name}) no-ssl-reuse check inter 1s
backend each-anew
    option httpclose
    http-reuse never
    server s1 127.0.0.1:{next} ssl crt {tls}/current/combined.pem ca-file {tls}/current/ca.pem verify required verifyhost {next_name} sni str({next_name}) no-ssl-reuse
"""


class Tier(Host):
    """One of them. `stem`, names, service and template say whose certificate it has; `reload` and `files` are lines of its target file."""
    service, template, program = "", "", ""

    def __init__(self, inst, name, names):
        super().__init__(inst, name, self.service, self.template, self.program, names)
        self.base = os.path.join(self.dir, "service")
        os.makedirs(self.base)
        inst.hosts.append(self)

    @property
    def common_name(self):
        return self.names[0] if self.names else self.cert_id

    def self_signed(self):
        """Before it is managed each trusts itself alone."""
        names, self.names = self.names, [self.common_name]
        super().self_signed()
        self.names = names
        shutil.copy(f"{self.target_dir}/before/cert.pem", f"{self.target_dir}/before/ca.pem")

    def values(self):
        return {"base": self.base, "port": self.port, "tls": self.target_dir, "name": self.common_name, "client": self.client, "next": self.next.port,
                "next_name": self.next.common_name}

    def start_service(self):
        self.self_signed()
        process = self.process(self.program, self.argv(), self.env)
        process.start()
        wait_for(f"{self.name}: it listens", self.listens)

    env = None

    def listens(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def verify(self):
        return f"kind = tls\nconnect = {self.address}\nsni = {self.common_name}\n"

    def target_file(self):
        return (f"[target]\ncert_id = {self.cert_id}\nservice = {self.service}\ntemplate = {self.template}\nnames = {', '.join(self.names)}\n"
                f"dir = {self.target_dir}\n[files]\nowner = {current_user()}\n{self.files()}mode = 0640\n"
                f"[reload]\n{self.reload()}timeout = 20s\n[verify]\n{self.verify()}")

    def files(self):
        return f"group = {current_group()}\n"

    def context(self, pair, ca):
        """A client with this folder's key and chain (None = without), that trusts `ca` (a file; None = looks at nothing)."""
        context = ssl.create_default_context(cafile=ca) if ca else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if ca is None:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if pair:
            context.load_cert_chain(f"{pair}/fullchain.pem", f"{pair}/key.pem")
        return context

    def ask(self, pair=None, ca=None, session=None, context=None):
        """The status of a request to this tier alone; None = the handshake was refused by either side. nginx says 400 to a client that it refuses."""
        context = context or self.context(pair, ca)
        try:
            with socket.create_connection(("127.0.0.1", self.port), 20) as raw, \
                    context.wrap_socket(raw, server_hostname=self.common_name, session=session) as tls:
                tls.sendall(f"GET / HTTP/1.1\r\nHost: {self.common_name}\r\nConnection: close\r\n\r\n".encode())
                said = b""
                while piece := tls.recv(4096):
                    said += piece
                self.session = tls.session
        except (ssl.SSLError, ConnectionError):
            return None
        return int(said.split()[1]) if said else None


class Front(Tier):
    service, template, program = "clara", "clara_service_auth", "nginx"

    def argv(self):
        user = "" if os.geteuid() else "user www-data;\n"
        write(f"{self.base}/nginx.conf", NGINX.format(user=user, **self.values()))
        return [nginx(), "-p", self.base, "-c", f"{self.base}/nginx.conf", "-g", "daemon off;"]

    def files(self):
        return f"group = {'www-data' if os.geteuid() == 0 else current_group()}\n"

    def reload(self):
        command = f"{nginx()} -p {self.base} -c {self.base}/nginx.conf"
        return f"kind = exec\ncommand = {command} -s reload\ntest = {command} -t\npidfile = {self.base}/nginx.pid\n"


class Middle(Tier):
    service, template, program = "covina", "covina_orchestrator", "haproxy"

    def argv(self):
        user = "    user haproxy\n    group haproxy" if os.geteuid() == 0 else ""
        write(f"{self.base}/haproxy.cfg", HAPROXY.format(user=user, **self.values()))
        return ["/usr/sbin/haproxy", "-W", "-f", f"{self.base}/haproxy.cfg", "-p", f"{self.base}/haproxy.pid"]

    def files(self):
        return f"group = {'haproxy' if os.geteuid() == 0 else current_group()}\ncombined = yes\n"

    def reload(self):
        return f"kind = haproxy\nsocket = {self.base}/admin.sock\ntest = /usr/sbin/haproxy -c -q -f {self.base}/haproxy.cfg\n"


class Back(Tier):
    service, template, program, env = "vpb", "vpb_service", "python", python_service.ENV

    def argv(self):
        return [python_service.PYTHON, f"{ROOT}/tests/lib/tier_app.py", str(self.port), self.target_dir, f"{self.base}/python.pid", self.client]

    def reload(self):
        return f"kind = signal\npidfile = {self.base}/python.pid\ncommand = {python_service.PYTHON}\nsignal = HUP\n"


class Caller(Tier):
    """A program with a client certificate. It runs from the start, and asks once it is told to."""
    service, template, program, env = "veritas", "veritas_pipeline", "caller", python_service.ENV

    def argv(self):
        self.results = f"{self.base}/results.json"
        return [python_service.PYTHON, f"{ROOT}/tests/lib/tier_caller.py", str(self.front.port), self.front.common_name, self.target_dir,
                f"{self.base}/caller.pid", self.results, *self.expected]

    def listens(self):
        return os.path.exists(f"{self.base}/caller.pid")

    def begin(self):
        write(self.results + ".go", "")
        wait_for("somebody asks", lambda: os.path.exists(self.results) and self.told()["ok"] > 0)

    def told(self):
        with open(self.results) as f:
            return json.load(f)

    def end(self):
        process = self.processes["caller"]
        process.kill(signal.SIGTERM)
        assert process.popen.returncode == 0, process.tail()
        return self.told()

    def reload(self):
        return f"kind = signal\npidfile = {self.base}/caller.pid\ncommand = {python_service.PYTHON}\nsignal = HUP\n"

    def verify(self):
        return "kind = none\n"


class ThreeTiers:
    """front, middle, back and caller of an installation that is running."""

    def __init__(self, inst):
        domain = inst.domain
        self.inst = inst
        self.front = Front(inst, "clara01", [f"clara01.clara.{domain}"])
        self.middle = Middle(inst, "covina01", [f"covina01.covina.{domain}"])
        self.back = Back(inst, "vpb01", [f"vpb01.vpb.{domain}"])
        self.caller = Caller(inst, "veritas01", [])
        self.all = [self.back, self.middle, self.front, self.caller]
        for tier, client, behind in ((self.front, self.caller, self.middle), (self.middle, self.front, self.back), (self.back, self.middle, self.back)):
            tier.client, tier.next = client.common_name, behind
        self.servers = [self.front, self.middle, self.back]
        self.caller.front, self.caller.expected = self.front, [t.client for t in self.servers]

    def start(self):
        for host in self.all:
            host.start_service()
        for host in self.all:
            host.enrol()
        for host in self.all:
            self.wait(host)

    def wait(self, host, before=None):
        """Until another certificate than the one of this fingerprint is in use: proved where the host has a listener."""
        def there():
            try:
                c = self.inst.certificate(host.cert_id)
            except Failed:
                return None
            return c if c.get("serial") and c["fingerprint"] != before and not c.get("open_order") and (c["served"] or host is self.caller) else None
        return wait_for(f"{host.cert_id} has its certificate", there, step=0.2)

    def renew(self, host):
        before = self.inst.certificate(host.cert_id)["fingerprint"]
        self.inst.vccctl("cert", "renew", host.cert_id, "--force")
        return self.wait(host, before)
