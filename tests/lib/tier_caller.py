#!/usr/bin/python3
"""Who asks three tiers: steady requests end to end, each answer checked. Three workers keep their connection for a while, two make a new one each time.
A failed request is one without the right answer. One exception, as every HTTP client makes it (RFC 9112, 9.3.1): a connection that was kept, and that the
server has closed before it answered anything, is opened anew once; these are counted apart.

usage: tier_caller.py PORT NAME TARGET_DIR PIDFILE RESULTS EXPECTED...   EXPECTED: common names that the tiers have to see, in their order
It begins when RESULTS.go is there."""
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time

import vcc_tls
from tier_app import person

KEEPERS, KEEPER_PAUSE, KEPT = 3, 0.025, 40  # workers, seconds, requests on one connection
NEWCOMERS, NEWCOMER_PAUSE = 2, 0.06
CLOSED = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


class Connection(http.client.HTTPSConnection):
    """To an address of this machine, under the name of who should be there."""

    def __init__(self, port, name, context):
        super().__init__(name, port, context=context, timeout=20)
        self.tls = context

    def connect(self):
        self.sock = self.tls.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 20), server_hostname=self.host)


class Caller:
    def __init__(self, port, name, context, expected):
        self.port, self.name, self.context, self.expected = port, name, context, list(expected)
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.begin = time.monotonic()
        self.told = {"ok": 0, "failed": 0, "reopened": 0, "connections": 0, "slowest_ms": 0, "errors": [], "seen": {}}

    def ask(self, connection, path):
        """What the tiers saw, the certificate of the first of them included; raises when anything is not as it should be."""
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise ValueError(f"{answer.status} {body[:200]}")
        saw = json.loads(body)["saw"]
        if [s.split("|")[0] for s in saw] != self.expected:
            raise ValueError(f"the tiers saw {saw}")
        return [person(connection.sock.getpeercert()) if connection.sock else "", *saw]

    def new(self):
        with self.lock:
            self.told["connections"] += 1
        return Connection(self.port, self.name, self.context)

    def one(self, connection, kept, path):
        """The connection for the next request."""
        begin, again = time.monotonic(), 0
        try:
            try:
                saw = self.ask(connection, path)
            except CLOSED:
                if not kept:
                    raise
                again, connection = 1, self.new()
                saw = self.ask(connection, path)
        except Exception as e:  # whatever it is: a worker that ends without a word would make the result look good
            connection.close()
            with self.lock:
                self.told["failed"] += 1
                self.told["errors"] = (self.told["errors"] + [f"{time.monotonic() - self.begin:.2f} s {path} kept={kept} again={again}: {e!r}"])[-20:]
            return self.new()
        key = " ".join(s.split("|")[1] if s else "-" for s in saw)
        with self.lock:
            t = self.told
            t["ok"] += 1
            t["reopened"] += again
            t["slowest_ms"] = max(t["slowest_ms"], round((time.monotonic() - begin) * 1000))
            t["seen"][key] = t["seen"].get(key, 0) + 1
        return connection

    def keeper(self):
        while not self.stopping.is_set():
            connection = self.new()
            for n in range(KEPT):
                connection = self.one(connection, n > 0, "/kept")
                if self.stopping.wait(KEEPER_PAUSE):
                    break
            connection.close()

    def newcomer(self):
        while not self.stopping.is_set():
            self.one(self.new(), False, "/new").close()
            self.stopping.wait(NEWCOMER_PAUSE)

    def run(self, results):
        threads = [threading.Thread(target=t) for t in [self.keeper] * KEEPERS + [self.newcomer] * NEWCOMERS]
        for t in threads:
            t.start()
        while not self.stopping.wait(0.2):
            self.tell(results)
        for t in threads:
            t.join()
        self.tell(results)

    def tell(self, results):
        with self.lock:
            told = dict(self.told, seconds=round(time.monotonic() - self.begin, 2), workers=threading.active_count() - 1)
            text = json.dumps(told)
        with open(results + ".new", "w") as f:
            f.write(text)
        os.rename(results + ".new", results)


def main():
    port, name, folder, pidfile, results, *expected = sys.argv[1:]
    context = vcc_tls.client_context(f"{folder}/current", pair=True)
    caller = Caller(int(port), name, context, expected)
    signal.signal(signal.SIGHUP, lambda *_: None)  # the context looks at its files before each connection
    signal.signal(signal.SIGTERM, lambda *_: caller.stopping.set())
    with open(pidfile, "w") as f:
        f.write(f"{os.getpid()}\n")
    while not os.path.exists(results + ".go"):
        time.sleep(0.1)
    caller.begin = time.monotonic()
    caller.run(results)


if __name__ == "__main__":
    main()
