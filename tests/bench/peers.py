"""What others do, measured in the same run where Debian has them: cfssl with SQLite issues and stores, certmonger looks after one certificate.
Never: a failure of the run because one of them is not there."""
import contextlib
import http.client
import json
import os
import shutil
import sqlite3
import subprocess
import time

from installation import ROOT, connects, free_port, run, wait_for
from kernel import group_kib

TABLES = """CREATE TABLE certificates (serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, ca_label blob, status blob NOT NULL, reason int,
  expiry timestamp, revoked_at timestamp, pem blob NOT NULL, PRIMARY KEY (serial_number, authority_key_identifier));
CREATE TABLE ocsp_responses (serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, body blob NOT NULL, expiry timestamp,
  PRIMARY KEY (serial_number, authority_key_identifier));"""
P256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def there(program, package):
    """The program, installed if that is possible; None where it is not."""
    if shutil.which(program) is None:
        subprocess.run([os.path.join(ROOT, "scripts", "install"), package], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return shutil.which(program)


@contextlib.contextmanager
def serving(argv, log, env=None):
    with open(log, "wb") as out:
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **(env or {})})
    try:
        yield p
    finally:
        p.terminate()
        try:
            p.wait(10)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait(10)


def cfssl_prepare(folder):
    """Arguments of the server, and the request that it is to sign."""
    os.makedirs(folder)
    run(["openssl", "req", "-x509", *P256, "-days", "3650", "-subj", "/CN=peer", "-addext", "basicConstraints=critical,CA:TRUE",
         "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.pem"])
    run(["openssl", "req", "-new", *P256, "-subj", "/CN=web.vcc.internal", "-addext", "subjectAltName=DNS:web.vcc.internal",
         "-keyout", f"{folder}/web.key", "-out", f"{folder}/web.csr"])
    db = sqlite3.connect(f"{folder}/certs.db")
    db.executescript(TABLES)
    db.close()
    for name, value in (("db", {"driver": "sqlite3", "data_source": f"{folder}/certs.db"}),
                        ("config", {"signing": {"default": {"expiry": "2160h", "usages": ["digital signature", "server auth", "client auth"]}}})):
        with open(f"{folder}/{name}.json", "w") as f:
            json.dump(value, f)
    with open(f"{folder}/web.csr") as f:
        return ["-ca", f"{folder}/ca.pem", "-ca-key", f"{folder}/ca.key", "-config", f"{folder}/config.json", "-db-config", f"{folder}/db.json"], f.read()


def cfssl_rate(folder, seconds=4):
    """Certificates a second that cfssl with SQLite has signed and stored for one client after the other (for two at a time it answers `database is
    locked`), or None without cfssl."""
    program = there("cfssl", "golang-cfssl")
    if program is None:
        return None
    folder = os.path.join(folder, "cfssl")
    words, request = cfssl_prepare(folder)
    port, body = free_port(), json.dumps({"certificate_request": request})
    try:
        with serving([program, "serve", "-address", "127.0.0.1", "-port", str(port), "-loglevel", "3", *words], f"{folder}/log"):
            wait_for("cfssl listens", lambda: connects("127.0.0.1", port))
            connection, n, begun = http.client.HTTPConnection("127.0.0.1", port, timeout=30), 0, time.monotonic()
            while time.monotonic() < begun + seconds:
                connection.request("POST", "/api/v1/cfssl/sign", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                if not json.loads(answer.read())["success"]:
                    raise RuntimeError(f"cfssl answers {answer.status}")
                n += 1
            took = time.monotonic() - begun
        with contextlib.closing(sqlite3.connect(f"{folder}/certs.db")) as db:
            stored = db.execute("SELECT count(*) FROM certificates").fetchone()[0]
        if stored != n:
            raise RuntimeError(f"cfssl has signed {n} and stored {stored}")
        return n / took
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def certmonger_mib(folder):
    """Memory of certmonger with one certificate of its local authority, counted as an agent's is, or None without it."""
    program, client = there("certmonger", "certmonger"), shutil.which("getcert")
    if program is None or client is None:
        return None
    folder = os.path.join(folder, "certmonger")
    for name in ("requests", "cas", "local"):
        os.makedirs(os.path.join(folder, name), mode=0o700)
    socket = os.path.join(folder, "socket")
    env = {"CERTMONGER_CONFIG_DIR": folder, **{f"CERTMONGER_{k}_DIR": os.path.join(folder, k.split("_")[0].lower()) for k in ("REQUESTS", "CAS", "LOCAL_CA")}}
    try:
        with serving([program, "-L", "-P", socket, "-n"], os.path.join(folder, "log"), env) as p:
            wait_for("certmonger listens", lambda: os.path.exists(socket))
            address = {**os.environ, "CERTMONGER_PVT_ADDRESS": f"unix:path={socket}"}
            subprocess.run([client, "request", "-c", "local", "-f", f"{folder}/web.pem", "-k", f"{folder}/web.key", "-N", "CN=web", "-D", "web.vcc.internal", "-w"],
                           env=address, check=True, timeout=120, stdout=subprocess.DEVNULL)
            time.sleep(2)
            return group_kib([p.pid]) / 1024
    finally:
        shutil.rmtree(folder, ignore_errors=True)
