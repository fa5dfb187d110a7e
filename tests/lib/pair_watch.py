#!/usr/bin/python3
"""I1 from outside: looks through TARGET_DIR/current again and again, as a service would that starts at that very moment.

usage: pair_watch.py TARGET_DIR; each line on stdin is answered by one line of JSON: looks, broken (texts), keys (every private key seen, PEM);
counting begins anew. The folder is opened once per look: what an operator's program may straddle is the flip, not the set."""
import json
import os
import select
import sys
import time

from cryptography import x509
from cryptography.hazmat.primitives import serialization

PAUSE = 0.0005 if os.environ.get("VCC_LONG") == "1" else 0.01  # s between two looks
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


def public_of_key(pem):
    return serialization.load_pem_private_key(pem, None).public_key().public_bytes(serialization.Encoding.DER, SPKI)


def public_of_certificate(pem):
    return x509.load_pem_x509_certificate(pem).public_key().public_bytes(serialization.Encoding.DER, SPKI)


class Watch:
    def __init__(self, folder):
        self.current = os.path.join(folder, "current")
        self.verdicts = {}  # (key, chain) -> "" or what is wrong
        self.seen = False
        self.forget()

    def forget(self):
        self.looks, self.broken, self.keys = 0, [], set()

    def judge(self, key, chain):
        if (key, chain) not in self.verdicts:
            try:
                good = public_of_key(key) == public_of_certificate(chain)
                self.verdicts[key, chain] = "" if good else "key and certificate do not match"
            except ValueError as e:
                self.verdicts[key, chain] = f"key or certificate cannot be read: {e}"
        return self.verdicts[key, chain]

    def read(self, folder, name):
        fd = os.open(name, os.O_RDONLY, dir_fd=folder)
        try:
            parts = []
            while data := os.read(fd, 65536):
                parts.append(data)
            return b"".join(parts)
        finally:
            os.close(fd)

    def look(self):
        """What is wrong, or ""."""
        try:
            folder = os.open(self.current, os.O_RDONLY | os.O_DIRECTORY)
            link = os.path.basename(os.readlink(f"/proc/self/fd/{folder}"))
        except FileNotFoundError:
            return "current leads to nothing" if self.seen else ""
        except OSError as e:
            return f"current cannot be opened: {e.strerror}"
        try:
            key, chain = self.read(folder, "key.pem"), self.read(folder, "fullchain.pem")
        except OSError as e:
            # a reader that was held up for so long that the next but one swap is over finds its folder removed: not a moment of the link
            return "" if self.moved_on(link) else f"{link}: {e.filename}: {e.strerror}"
        finally:
            os.close(folder)
        self.keys.add(key)
        wrong = self.judge(key, chain)
        return f"{link}: {wrong}" if wrong and not self.moved_on(link) else ""

    def moved_on(self, link):
        try:
            return os.readlink(self.current) != link
        except OSError:
            return False

    def run(self):
        while True:
            if select.select([sys.stdin], [], [], 0)[0]:
                if not sys.stdin.readline():
                    return
                print(json.dumps({"looks": self.looks, "broken": self.broken, "keys": [k.decode(errors="replace") for k in self.keys]}), flush=True)
                self.forget()
            wrong = self.look()
            self.looks += 1
            self.seen = self.seen or os.path.lexists(self.current)
            if wrong and len(self.broken) < 20 and wrong not in [b.split(" ", 1)[1] for b in self.broken]:
                self.broken.append(f"{time.time():.3f} {wrong}")
            time.sleep(PAUSE)


if __name__ == "__main__":
    Watch(sys.argv[1]).run()
