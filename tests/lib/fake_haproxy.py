"""An admin socket that behaves as a test wants: HAProxy's own answers by default, any lie on request. Keeps what it was sent."""
import os
import socket
import threading


class FakeHAProxy:
    """answer(command, fake) -> bytes, None (HAProxy's own answer), or a generator of pieces. A command is everything up to its newline, with payload."""

    def __init__(self, path, names, answer=None):
        self.path, self.names, self.answer = path, list(names), answer
        self.seen, self.transaction, self.error = [], None, None
        self.stopping = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        if os.path.lexists(path):
            os.unlink(path)
        self.listener.bind(path)
        self.listener.listen(8)
        self.listener.settimeout(0.1)
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(10)
        self.listener.close()
        if os.path.lexists(self.path):
            os.unlink(self.path)

    def serve(self):
        while not self.stopping.is_set():
            try:
                c, _ = self.listener.accept()
            except socket.timeout:
                continue
            with c:
                c.settimeout(20)
                try:
                    self.one(c)
                except OSError:
                    pass  # the other side went away

    def read(self, c):
        """One command line; with `<<` at its end also the payload up to the blank line."""
        data = b""
        while not (data.endswith(b"\n\n") if b"<<\n" in data else data.endswith(b"\n")):
            piece = c.recv(7)
            if not piece:
                break
            data += piece
        return data

    def one(self, c):
        command = self.read(c)
        self.seen.append(command)
        said = self.answer(command, self) if self.answer else None
        if said is None:
            said = self.own(command)
        for piece in [said] if isinstance(said, bytes) else said:
            if self.stopping.is_set():
                return
            c.sendall(piece)

    def own(self, command):
        """HAProxy 2.6, word for word."""
        words = command.split(b"\n", 1)[0].split()
        verb, name = words[0], words[3].decode() if len(words) > 3 else ""
        if verb == b"show":
            head = f"# transaction\n*{self.transaction}\n" if self.transaction else ""
            return (head + "# filename\n" + "".join(f"{n}\n" for n in self.names) + "\n").encode()
        if verb == b"set":
            if name not in self.names:
                return f"Can't replace a certificate which is not referenced by the configuration!\nCan't update {name}!\n\n".encode()
            done = "updated" if self.transaction else "created"
            self.transaction = self.transaction or name
            return f"Transaction {done} for certificate {self.transaction}!\n\n".encode()
        if self.transaction is None:
            return f"No ongoing transaction! !\nCan't commit {name}!\n\n".encode() if verb == b"commit" else b"No ongoing transaction!\n\n"
        if self.transaction != name:
            return f"The ongoing transaction is about '{self.transaction}' but you are trying to {verb.decode()} '{name}'\n\n".encode()
        self.transaction = None
        if verb == b"commit":
            return f"Committing {name}.\nSuccess!\n\n".encode()
        return f"Transaction aborted for certificate '{name}'!\n\n".encode()

    def verbs(self):
        return [c.split(b" ", 1)[0].decode() for c in self.seen]
