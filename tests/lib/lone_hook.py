"""vcc-hook alone, asked as the keeper asks it: one target folder with generations, one target file, one request per connection."""
import os
import socket
import subprocess

from installation import ROOT, Process, wait_for, write
from wire_tables import decode, encode, frame_read, frame_write

TEST, RELOAD, DRAIN, DRAIN_END = range(4)


def make_pair(folder, name="a.vcc.internal", rsa=False):
    """A self-signed set of files as a generation holds them."""
    os.makedirs(folder, exist_ok=True)
    kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "30", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
                    "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"], check=True, capture_output=True)
    combine(folder, f"{folder}/key.pem", f"{folder}/cert.pem")


def combine(folder, key, cert):
    with open(key) as k, open(cert) as c:
        key, cert = k.read(), c.read()
    write(f"{folder}/fullchain.pem", cert)
    write(f"{folder}/combined.pem", key + cert, 0o640)


class LoneHook:
    def __init__(self, folder):
        self.dir = folder
        self.tls = os.path.join(folder, "tls")
        self.socket = os.path.join(folder, "hook.sock")
        self.binaries = os.environ.get("VCC_HOOK_BIN", os.path.join(ROOT, "build", "bin"))
        os.makedirs(os.path.join(folder, "targets.d"))
        write(f"{folder}/agent.conf", f"[keeper]\nstate_dir = {folder}/keeper\ntargets_dir = {folder}/targets.d\nhook_socket = {self.socket}\n")
        make_pair(f"{self.tls}/g000001")
        self.flip("g000001")
        self.process = Process("hook", [os.path.join(self.binaries, "vcc-hook"), "--config", f"{folder}/agent.conf", "--listen", self.socket], f"{folder}/hook.log")

    def __enter__(self):
        self.process.start()
        wait_for("the hook listens", self.listens)
        return self

    def listens(self):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.socket) == 0

    def __exit__(self, *_):
        self.process.stop()
        with open(f"{self.dir}/hook.log", errors="replace") as f:
            log = f.read()
        assert "Sanitizer" not in log and "runtime error" not in log, log[-6000:]

    def flip(self, to):
        link = os.path.join(self.tls, "current")
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(to, link)

    def target(self, reload, files="combined = yes\n", stem="web"):
        write(f"{self.dir}/targets.d/{stem}.conf", f"[target]\ntemplate = clara_service_auth\nnames = a.vcc.internal\ndir = {self.tls}\n[files]\n{files}"
              f"[reload]\n{reload}[verify]\nkind = none\n")

    def ask(self, verb=RELOAD, stem="web", generation=1, seconds=30, **more):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(seconds)
            wait_for("the hook accepts", lambda: s.connect_ex(self.socket) == 0)  # its socket is there a moment before it listens
            stream = s.makefile("rwb")
            frame_write(stream, encode("ipc-hook", "request", 5, stem=stem, verb=verb, generation=generation, **more))
            name, number, reply = decode("ipc-hook", frame_read(stream))
            assert (name, number) == ("reply", 5)
            return reply

    def log(self):
        with open(f"{self.dir}/hook.log", errors="replace") as f:
            return f.read()
