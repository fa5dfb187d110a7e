"""Python services as VCC runs them, with the helper of packaging/python: their command lines, and what each of their workers serves."""
import hashlib
import os
import re
import signal
import socket
import ssl
import threading
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
ENV = {"PYTHONPATH": f"{ROOT}/packaging/python:{ROOT}/tests/lib", "PYTHONDONTWRITEBYTECODE": "1"}
PYTHON = "/usr/bin/python3"
NAME = "vpb.vcc.internal"
SERVERS = {"uvicorn": 1, "asyncio": 1, "program": 1, "workers": 2, "program-workers": 2, "gunicorn": 2}  # the ways to run one; processes that answer


def argv(server, port, tls, pidfile, *more):
    """`more`: further options of the server."""
    pair = f"{tls}/current/fullchain.pem", f"{tls}/current/key.pem"
    if server.startswith("program"):
        return [PYTHON, f"{ROOT}/tests/lib/asgi_app.py", str(port), tls, pidfile, str(SERVERS[server])]
    if server == "gunicorn":
        return ["/usr/bin/gunicorn", "-c", "python:vcc_tls", "--pid", pidfile, "-k", "uvicorn.workers.UvicornWorker", "-w", "2", "-b", f"127.0.0.1:{port}",
                "--certfile", pair[0], "--keyfile", pair[1], *more, "asgi_app:app"]
    loop = ["--loop", "asyncio"] if server == "asyncio" else []
    workers = ["--workers", "2"] if server == "workers" else []
    return [PYTHON, "-m", "vcc_tls", "--pidfile", pidfile, "uvicorn", "asgi_app:app", "--host", "127.0.0.1", "--port", str(port), "--no-access-log",
            "--ssl-certfile", pair[0], "--ssl-keyfile", pair[1], *loop, *workers, *more]


def reload_signal(server):
    return signal.SIGUSR1 if server == "gunicorn" else signal.SIGHUP


def ask(port, context=None, path="/"):
    """(pid, fingerprint) of one request on a new connection."""
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 10) as raw, context.wrap_socket(raw, server_hostname=NAME) as tls:
        tls.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = b""
        while data := tls.recv(4096):
            answer += data
        pid = re.search(rb"pid=(\d+)", answer)
        if pid is None:
            raise ConnectionError("closed without an answer")
        return int(pid.group(1)), hashlib.sha256(tls.getpeercert(True)).hexdigest()


def served_by_each(port, workers, seconds=30):
    """{pid: set of fingerprints} once `workers` processes have answered. Several clients at a time, or one worker would take all."""
    seen, lock, end = {}, threading.Lock(), time.monotonic() + seconds

    def client():
        while time.monotonic() < end and len(seen) < workers:
            for _ in range(5):
                pid, fingerprint = ask(port)
                with lock:
                    seen.setdefault(pid, set()).add(fingerprint)

    threads = [threading.Thread(target=client) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(seen) == workers, f"{workers} workers should answer, these did: {sorted(seen)}"
    return seen
