"""fake_agent.py - an agent's websocket made by hand, so that a test can also do what no library would.

    peer = FakeAgent(address, identity_pem, root_pem); peer.upgrade(); peer.send(frame); peer.recv()
"""

import base64
import os
import socket
import ssl
import struct

import wire_tables

BINARY, TEXT, CONTINUATION, CLOSE, PING, PONG = 2, 1, 0, 8, 9, 10
SUBPROTOCOL = "vcc-agent.v1"


def health(number=1, stale=0):
    """A small frame that an agent may send at any time."""
    return wire_tables.encode("agent", "health", number, now_at=1, stale=stale)


class Closed(Exception):
    """The other side ended the connection; .code and .reason when it said why."""

    def __init__(self, code=None, reason=""):
        super().__init__(f"closed: {code} {reason}")
        self.code, self.reason = code, reason


def tls_context(identity=None, maximum=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if maximum is not None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = maximum
    if identity is not None:
        context.load_cert_chain(identity)
    return context


def split(address):
    host, port = address.rsplit(":", 1)
    return host.strip("[]"), int(port)


class FakeAgent:
    def __init__(self, address, identity=None, context=None, timeout=20, server_name=None):
        self.timeout = timeout
        self.raw = socket.create_connection(split(address), timeout=timeout)
        try:
            self.sock = (context or tls_context(identity)).wrap_socket(self.raw, server_hostname=server_name)
        except BaseException:
            self.raw.close()
            raise
        self.buffer = b""

    def upgrade(self, subprotocol=SUBPROTOCOL, path="/", extra="", host="gateway"):
        key = base64.b64encode(os.urandom(16)).decode()
        request = (f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n")
        if subprotocol:
            request += f"Sec-WebSocket-Protocol: {subprotocol}\r\n"
        self.sock.sendall((request + extra + "\r\n").encode())
        head = self._until(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise Closed(reason=head.split(b"\r\n")[0].decode())
        return self

    def _more(self):
        try:
            part = self.sock.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError):
            raise
        except (ConnectionError, ssl.SSLError) as e:
            raise Closed(reason=str(e)) from e
        if not part:
            raise Closed()
        self.buffer += part

    def _until(self, mark):
        while mark not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def _take(self, n):
        while len(self.buffer) < n:
            self._more()
        part, self.buffer = self.buffer[:n], self.buffer[n:]
        return part

    @staticmethod
    def frame(payload, opcode=BINARY, fin=True, masked=True, rsv=0, length=None):
        """`length`: announced instead of the true one."""
        n = len(payload) if length is None else length
        head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        mask_bit = 0x80 if masked else 0
        if n < 126:
            head += bytes([mask_bit | n])
        elif n < 65536:
            head += bytes([mask_bit | 126]) + struct.pack(">H", n)
        else:
            head += bytes([mask_bit | 127]) + struct.pack(">Q", n)
        if not masked:
            return head + payload
        mask = os.urandom(4)
        return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))

    def write(self, data):
        try:
            self.sock.sendall(data)
        except (ConnectionError, ssl.SSLError) as e:
            raise Closed(reason=str(e)) from e

    def send(self, payload, **options):
        self.write(self.frame(payload, **options))

    def recv_any(self):
        """(opcode, payload) of the next frame, whatever it is."""
        first, second = self._take(2)
        n = second & 0x7f
        if n == 126:
            n = struct.unpack(">H", self._take(2))[0]
        elif n == 127:
            n = struct.unpack(">Q", self._take(8))[0]
        assert not second & 0x80, "a server does not mask"
        return first & 0x0f, self._take(n)

    def recv(self, answer_pings=True):
        """The next binary message; pings are answered. Raises Closed."""
        while True:
            opcode, payload = self.recv_any()
            if opcode == BINARY:
                return payload
            if opcode == PING and answer_pings:
                self.send(payload, opcode=PONG)
            if opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else None
                raise Closed(code, payload[2:].decode(errors="replace"))

    def pump(self):
        """Answers the pings that wait; messages are dropped."""
        self.sock.settimeout(0.01)
        try:
            while True:
                self.recv()
        except (TimeoutError, ssl.SSLWantReadError):
            pass
        finally:
            self.sock.settimeout(self.timeout)

    def settimeout(self, seconds):
        self.timeout = seconds
        self.sock.settimeout(seconds)

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass
