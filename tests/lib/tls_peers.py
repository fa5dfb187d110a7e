"""Little TLS servers with a certificate to order, for tests that look at what is served. Run as a program it is the server:

tls_peers.py CERT KEY [--starttls | --plain TEXT | --silent | --tls12] HOST:PORT..."""
import hashlib
import os
import socket
import ssl
import subprocess
import sys
import threading

PEER = ["/usr/bin/python3", os.path.abspath(__file__)]


def certificate(folder, stem, subject="/CN=web", days="30", sans=None, key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), more=()):
    """(certificate file, key file), self-signed."""
    cert, private = f"{folder}/{stem}.pem", f"{folder}/{stem}.key"
    names = ["-addext", f"subjectAltName={sans}"] if sans else []
    subprocess.run(["openssl", "req", "-x509", "-newkey", *key, "-nodes", "-days", days, "-subj", subject, *names, *more, "-keyout", private, "-out", cert],
                   check=True, capture_output=True)
    return cert, private


def fingerprint(cert):
    der = subprocess.run(["openssl", "x509", "-in", cert, "-outform", "DER"], check=True, capture_output=True).stdout
    return hashlib.sha256(der).hexdigest()


def serve(listener, context, kind, text):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=answer, args=(client, context, kind, text), daemon=True).start()


def answer(client, context, kind, text):
    try:
        if kind == "--plain":
            client.sendall(text.encode())
            client.recv(4096)
        elif kind == "--silent":
            client.recv(4096)
            threading.Event().wait()
        elif kind == "--starttls":
            if client.recv(8) != bytes([0, 0, 0, 8, 4, 210, 22, 47]):
                return
            client.sendall(b"S")
        if context is not None:
            client = context.wrap_socket(client, server_side=True)
            client.recv(1)
    except OSError:
        pass
    finally:
        client.close()


def main():
    words = sys.argv[1:]
    cert, key, words = words[0], words[1], words[2:]
    kind = text = ""
    if words[0].startswith("--"):
        kind, words = words[0], words[1:]
        if kind == "--plain":
            text, words = words[0], words[1:]
    context = None
    if kind not in ("--plain", "--silent"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(cert, key)
        if kind == "--tls12":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
    threads = []
    for word in words:
        host, port = word.rsplit(":", 1)
        listener = socket.create_server((host.strip("[]"), int(port)), family=socket.AF_INET6 if "[" in host else socket.AF_INET)
        threads.append(threading.Thread(target=serve, args=(listener, context, kind, text)))
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
