#!/usr/bin/python3
"""A small TLS service for sandboxes: answers each connection's bytes; reads its pair again on SIGHUP, keeps the old one when it cannot.

usage: echo_service.py HOST:PORT TARGET_DIR PIDFILE"""
import os
import selectors
import signal
import socket
import ssl
import sys

address, folder, pidfile = sys.argv[1:4]
host, port = address.rsplit(":", 1)


def context():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(os.path.join(folder, "current", "fullchain.pem"), os.path.join(folder, "current", "key.pem"))
    return c


current = context()


def reload(_signal, _frame):
    global current
    try:
        current = context()
    except (OSError, ssl.SSLError) as e:
        print(f"kept the old pair: {e}", file=sys.stderr, flush=True)


signal.signal(signal.SIGHUP, reload)
listener = socket.create_server((host, int(port)), backlog=512)
listener.setblocking(False)
with open(pidfile + ".new", "w") as f:
    f.write(f"{os.getpid()}\n")
os.rename(pidfile + ".new", pidfile)
selector = selectors.DefaultSelector()
selector.register(listener, selectors.EVENT_READ)


def close(s):
    selector.unregister(s)
    s.close()


while True:
    for key, _ in selector.select(1):
        s = key.fileobj
        if s is listener:
            try:
                raw, _peer = listener.accept()
            except OSError:
                continue
            raw.setblocking(False)
            try:
                s = current.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
            except OSError:
                raw.close()
                continue
            selector.register(s, selectors.EVENT_READ, False)
            continue
        try:
            if not key.data:
                s.do_handshake()
                selector.modify(s, selectors.EVENT_READ, True)
            data = s.recv(4096)
            if not data:
                close(s)
            else:
                s.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            continue
        except OSError:
            close(s)
