"""Receivers of notifications: an HTTPS server that behaves as told and remembers what came, and a mail server with STARTTLS."""
import hashlib
import hmac
import json
import os
import socket
import ssl
import threading
import time
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from installation import free_port, run


def certificate(folder, name="receiver", sans="IP:127.0.0.1,DNS:localhost"):
    """(certificate, key): self-signed, its own authority."""
    os.makedirs(folder, exist_ok=True)
    cert, key = os.path.join(folder, f"{name}.pem"), os.path.join(folder, f"{name}.key")
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName={sans}", "-keyout", key, "-out", cert])
    return cert, key


class HttpReceiver:
    """`mode`: ok, 400, 429, 500, hang, late, redirect, endless; changed at any time. `got`: (method, path, headers, body) of all requests."""

    def __init__(self, folder=None):
        self.mode, self.got, self.to, self.connections = "ok", [], None, 0
        self.stop = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def setup(self):
                receiver.connections += 1
                super().setup()

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                receiver.got.append((self.command, self.path, dict(self.headers), body))
                receiver.answer(self)
            do_PUT = do_GET = do_POST

            def log_message(self, *_):
                pass
        self.port = free_port()
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.tls = folder is not None
        if self.tls:
            self.cert, key = certificate(folder, f"http-{self.port}")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.cert, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/in"

    def answer(self, handler):
        mode = self.mode
        if mode == "hang":
            self.stop.wait(60)
            return
        if mode == "late":
            time.sleep(0.3)
        status = int(mode) if mode.isdigit() else 302 if mode == "redirect" else 200
        handler.send_response(status)
        if mode == "redirect":
            handler.send_header("Location", self.to)
        if mode == "429":
            handler.send_header("Retry-After", "1")
        if mode != "endless":
            handler.send_header("Content-Length", "0")
        handler.end_headers()
        try:
            while mode == "endless" and not self.stop.is_set():
                handler.wfile.write(b"secret-of-the-house " * 4096)
        except OSError:
            pass

    def bodies(self):
        return [json.loads(b) for _, _, _, b in self.got]

    def close(self):
        self.stop.set()
        self.server.shutdown()
        self.server.server_close()


def signed(request, secret):
    """Does the request carry the signature that the documentation describes?"""
    _, _, headers, body = request
    mac = hmac.new(secret.encode(), headers["X-VCC-Timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    return headers.get("X-VCC-Signature") == f"v1={mac}"


class MailReceiver:
    """`refuse`: the next answers to DATA. `got`: (sender, recipients, message)."""

    def __init__(self, folder, starttls=True, login=None):
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import AuthResult
        self.got, self.refuse = [], None
        self.cert, key = certificate(folder, "mail")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, key)
        receiver = self

        class Handler:
            async def handle_DATA(self, server, session, envelope):
                if receiver.refuse:
                    return receiver.refuse
                receiver.got.append((envelope.mail_from, list(envelope.rcpt_tos), message_from_bytes(envelope.content)))
                return "250 taken"

        def authenticate(server, session, envelope, mechanism, data):
            return AuthResult(success=(data.login.decode(), data.password.decode()) == login, handled=False)
        self.port = free_port()
        options = {"authenticator": authenticate, "auth_required": True} if login else {}
        self.controller = Controller(Handler(), hostname="127.0.0.1", port=self.port, tls_context=context if starttls else None,
                                     require_starttls=starttls, **options)
        self.controller.start()

    @staticmethod
    def text(message):
        return message.get_payload(decode=True).decode()

    def close(self):
        self.controller.stop()


class Listener:
    """A port that takes connections and says nothing; `seen` counts them."""

    def __init__(self):
        self.seen, self.port = 0, free_port()
        self.socket = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        try:
            while True:
                self.socket.accept()
                self.seen += 1
        except OSError:
            pass

    def close(self):
        self.socket.close()


class Channels:
    """Files in notify.d of an installation that has not been started yet."""

    def __init__(self, folder):
        self.dir = os.path.join(folder, "notify.d")
        os.makedirs(self.dir, exist_ok=True)

    def secret(self, name, text):
        path = os.path.join(self.dir, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(text + "\n")
        return path

    def add(self, name, **sections):
        """sections: channel={...}, smtp={...}"""
        with open(os.path.join(self.dir, f"{name}.conf"), "w") as f:
            for section, keys in sections.items():
                f.write(f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()))
        return name
