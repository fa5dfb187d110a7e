"""Real services for a host of an installation, each started by hand below the host's folder: HAProxy and PostgreSQL as Debian packages them.

A kind says how the service is started on its first, self-signed pair, what its target file says, and what a client does to reach TLS."""
import glob
import os
import signal
import subprocess

from handshakes import Handshake

HAPROXY = """global
    stats socket {base}/admin.sock mode 600 level admin
    maxconn 512
{user}
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend web
    bind 127.0.0.1:{port} ssl crt {tls}/current/combined.pem
    bind {second} ssl crt {tls}/current/combined.pem
    http-request return status 200 content-type text/plain string "ok"
"""

POSTGRESQL = """listen_addresses = '{hosts}'
port = {port}
unix_socket_directories = ''
ssl = on
ssl_cert_file = '{tls}/current/fullchain.pem'
ssl_key_file = '{tls}/current/key.pem'
max_connections = 60
shared_buffers = 1MB
dynamic_shared_memory_type = mmap
max_wal_senders = 0
wal_level = minimal
autovacuum = off
fsync = off
logging_collector = off
"""


class HAProxy:
    """Two listeners on one file; the runtime API exchanges the certificate without a reload."""
    service, template, handshake = "covina", "covina_orchestrator", Handshake()
    signal = signal.SIGTERM

    @staticmethod
    def start(host, second):
        base = os.path.join(host.dir, "service")
        user = "    user haproxy\n    group haproxy" if os.geteuid() == 0 else ""
        host.write(os.path.join(base, "haproxy.cfg"), HAPROXY.format(base=base, port=host.port, second=second, tls=host.target_dir, user=user))
        return ["/usr/sbin/haproxy", "-W", "-f", os.path.join(base, "haproxy.cfg"), "-p", os.path.join(base, "haproxy.pid")]

    @staticmethod
    def target(host):
        base = os.path.join(host.dir, "service")
        return {"files": {"group": "haproxy" if os.geteuid() == 0 else None, "combined": "yes"},
                "reload": {"kind": "haproxy", "socket": f"{base}/admin.sock", "test": f"/usr/sbin/haproxy -c -q -f {base}/haproxy.cfg"}, "verify": {"kind": "tls"}}


class PostgreSQL:
    """One cluster of its own; TLS begins after PostgreSQL's SSLRequest."""
    service, template, handshake = "vpb", "vpb_service", Handshake("postgresql")
    signal = signal.SIGINT  # end the connections, too

    @staticmethod
    def as_user(argv):
        """The server refuses to run as root."""
        return argv if os.geteuid() else ["/usr/bin/setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", "--", *argv]

    @staticmethod
    def program(name):
        found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), key=lambda p: int(p.split("/")[4]))
        return found[-1] if found else f"/usr/lib/postgresql/15/bin/{name}"

    @classmethod
    def start(cls, host, second):
        import pwd
        data = os.path.join(host.dir, "service", "data")
        if not os.path.exists(os.path.join(data, "PG_VERSION")):
            os.makedirs(data, mode=0o700, exist_ok=True)
            if os.geteuid() == 0:
                os.chown(data, pwd.getpwnam("postgres").pw_uid, pwd.getpwnam("postgres").pw_gid)
            done = subprocess.run(cls.as_user([cls.program("initdb"), "-D", data, "-N", "-U", "postgres", "-A", "trust", "--locale=C", "-E", "UTF8"]),
                                  capture_output=True, text=True, cwd="/")
            assert done.returncode == 0, done.stdout + done.stderr
        hosts = f"127.0.0.1, {second.rsplit(':', 1)[0].strip('[]')}"
        with open(os.path.join(data, "postgresql.conf"), "w") as f:
            f.write(POSTGRESQL.format(hosts=hosts, port=host.port, tls=host.target_dir))
        return cls.as_user([cls.program("postgres"), "-D", data])

    @staticmethod
    def target(host):
        data = os.path.join(host.dir, "service", "data")
        return {"files": {"group": "postgres" if os.geteuid() == 0 else None}, "reload": {"kind": "postgresql", "pidfile": f"{data}/postmaster.pid"},
                "verify": {"kind": "starttls-postgresql"}}


KINDS = {"haproxy": HAProxy, "postgresql": PostgreSQL}
