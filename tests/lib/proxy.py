"""A TCP proxy that hurts: cuts after byte k, swallows one direction, throttles. One thread per direction; ends with its owner."""
import socket
import threading
import time


class Pair:
    """One connection through the proxy, and the bytes that passed, both directions together."""

    def __init__(self, client, server):
        self.client, self.server, self.passed = client, server, 0


class Proxy:
    """Forwards 127.0.0.1:port to target. Faults are attributes, read at each piece:
    cut_after     close both sides once this many bytes have passed (both directions together), None = never
    swallow       "up", "down", "all" or None: that direction is read and thrown away, the connection stays open; with "all" nobody
                  learns either that the other side has closed
    rate          bytes per second and direction, None = unlimited
    cuts          how many connections ended after their byte `cut_after`
    hang_up       how many connections end behind the server's first flight: the client has it and finds nobody to answer
    """

    def __init__(self, target, port=0, host="127.0.0.1"):
        self.target = target
        self.cut_after = self.swallow = self.rate = None
        self.connections = self.cuts = 0
        self.hang_up = 0
        self.newest = Pair(None, None)
        self.lock = threading.Lock()
        self.pairs = []
        self.listener = socket.create_server((host, port), backlog=64)
        self.address = f"{host}:{self.listener.getsockname()[1]}"
        self.closing = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def passed(self):
        """Bytes of the newest connection."""
        return self.newest.passed

    def _accept(self):
        while not self.closing:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            host, port = self.target.rsplit(":", 1)
            try:
                server = socket.create_connection((host.strip("[]"), int(port)), 5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)  # the limit was for connecting
            pair = Pair(client, server)
            with self.lock:
                self.connections += 1
                self.newest = pair
                self.pairs.append(pair)
            for a, b, way in ((client, server, "up"), (server, client, "down")):
                threading.Thread(target=self._pump, args=(pair, a, b, way), daemon=True).start()

    def _flight(self, source):
        """What comes without a pause."""
        data = source.recv(16384)
        source.settimeout(0.1)
        try:
            while more := source.recv(16384):
                data += more
        except TimeoutError:
            pass
        source.settimeout(None)
        return data

    def _ends_here(self, way):
        with self.lock:
            if way == "up" or self.hang_up == 0:
                return False
            self.hang_up -= 1
            return True

    def _count(self, pair, data):
        """What of it may pass, and whether the connection ends behind it."""
        with self.lock:
            last = self.cut_after
            room = len(data) if last is None else max(last - pair.passed, 0)
            pair.passed += min(len(data), room)
            cut = last is not None and pair.passed >= last
            if cut and room > 0:
                self.cuts += 1
        return data[:room], cut

    def _pump(self, pair, source, sink, way):
        try:
            if self._ends_here(way):
                sink.sendall(self._flight(source))
                return self._end(source, sink)
            while True:
                data = source.recv(1 if self.rate else 16384)
                if not data:
                    break
                if self.rate:
                    time.sleep(1.0 / self.rate)
                if self.swallow in (way, "all"):
                    continue
                data, cut = self._count(pair, data)
                if data:
                    sink.sendall(data)
                if cut:
                    break
        except OSError:
            pass
        if self.swallow != "all":
            self._end(source, sink)

    @staticmethod
    def _end(*sockets):
        for s in sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut_now(self):
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            self._end(pair.client, pair.server)

    def close(self):
        self.closing = True
        self.listener.close()
        self.cut_now()
