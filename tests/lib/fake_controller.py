"""fake_controller.py - speaks the controller's side of the gateway protocol, so that a gateway can be tested alone.

It grants credit, certifies the gateway's key and keeps what it hears in order. Use:
    with FakeController(socket_path, pki) as c:
        c.wait("hello"); up = c.wait("up"); c.send(up["session"], welcome("name"))
"""

import os
import socket
import struct
import threading
import time

import fake_pki
import wire_tables


class Frame(dict):
    """Fields by name, with .name."""

    name = None
    taken = False


def _exactly(sock, n):
    data = b""
    while len(data) < n:
        part = sock.recv(n - len(data))
        if not part:
            return None
        data += part
    return data


def _receive(sock):
    """One frame, or None at the end."""
    head = _exactly(sock, 4)
    return None if head is None else _exactly(sock, struct.unpack(">I", head)[0])


def welcome(agent, not_after_ms=0):
    return wire_tables.encode("agent", "welcome", 1, epoch=b"\x01" * 16, agent=agent, now_at=int(time.time() * 1000),
                              identity_not_after_at=not_after_ms, bundle_epoch=1)


class FakeController:
    def __init__(self, path, pki, credit=1000, certify=True, identity_seconds=3600, identity_before=60):
        self.path, self.pki, self.credit, self.certify = path, pki, credit, certify
        self.identity_seconds, self.identity_before = identity_seconds, identity_before
        self.events = []
        self.changed = threading.Condition()
        self.connection = None
        self.joins = lambda body: b""
        self.listener = None
        self.start()

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(5)
        self.thread = threading.Thread(target=self._serve, args=(self.listener,), daemon=True)
        self.thread.start()

    def stop(self):
        """As if the controller ended."""
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.changed:
            connection, self.connection = self.connection, None
        if connection is not None:
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _serve(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.changed:
                self.connection = connection
            if self.credit:
                self.grant(self.credit)
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection):
        while True:
            try:
                data = _receive(connection)
            except OSError:
                return
            if data is None:
                return
            name, _, fields = wire_tables.decode("gw", data)
            frame = Frame(fields)
            frame.name = name
            if frame.name == "identity" and self.certify:
                leaf = self.pki.gateway(frame["csr"], seconds=self.identity_seconds, before=self.identity_before)
                self._out("identity_reply", code=0, certificate=fake_pki.der(leaf), chain=self.pki.chain())
            elif frame.name == "join":
                body = self.joins(frame["body"])
                if body is not None:
                    self._out("join_reply", request=frame["request"], body=body)
            with self.changed:
                self.events.append(frame)
                self.changed.notify_all()

    def _out(self, name, **fields):
        with self.changed:
            connection = self.connection
        if connection is not None:
            data = wire_tables.encode("gw", name, 1, **fields)
            connection.sendall(struct.pack(">I", len(data)) + data)

    def wait(self, name, timeout=30, match=lambda frame: True):
        """The oldest event of that name that no wait has given out yet."""
        until = time.monotonic() + timeout
        with self.changed:
            while True:
                for frame in self.events:
                    if frame.name == name and not frame.taken and match(frame):
                        frame.taken = True
                        return frame
                left = until - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no {name} within {timeout} s; heard {[e.name for e in self.events if not e.taken][-50:]}")
                self.changed.wait(left)

    def count(self, name):
        with self.changed:
            return sum(1 for e in self.events if e.name == name)

    def grant(self, frames):
        self._out("credit", frames=frames)

    def send(self, session, frame, urgent=False):
        self._out("send", session=session, id=1, urgent=urgent, frame=frame)

    def kick(self, session, code, text="kicked"):
        self._out("kick", session=session, code=code, text=text)
