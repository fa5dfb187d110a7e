"""Is any private key byte outside the folder where it was made: in database, logs, configuration, or frames between the processes?"""
import base64
import os
import re
import socket
import threading

import checks
import pytest
from conftest import new_folder
from installation import Installation
import shutil


class UnixTap:
    """Sits between link and keeper: records every byte, forwards it."""

    def __init__(self, path):
        self.path, self.real = path, path + ".real"
        self.seen = bytearray()
        self.closing = False

    def insert(self):
        os.rename(self.path, self.real)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen(8)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.closing:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.real)
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    def _pump(self, a, b):
        try:
            while data := a.recv(65536):
                self.seen += data
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def secrets_of(folder):
    """Every private key below the folder: its PEM's inner base64 lines, its DER and the bare scalar."""
    found = []
    for base, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(base, name)
            try:
                data = open(path, "rb").read()
            except OSError:
                continue
            for body in re.findall(rb"-----BEGIN (?:EC )?PRIVATE KEY-----\s+(.+?)-----END", data, re.S):
                der = base64.b64decode(body)
                text = checks.openssl("pkey", "-inform", "DER", "-text", "-noout", stdin=der).decode()
                scalar = bytes.fromhex("".join(re.search(r"priv:\n((?:\s+[0-9a-f:]+\n)+)", text).group(1).split()).replace(":", ""))[-32:]
                found.append((path, scalar))
    return found


@pytest.fixture(scope="module")
def tapped():
    path = new_folder("secrets")
    inst = Installation(path)
    try:
        inst.init()
        inst.start()
        host = inst.add_nginx()
        inst.wait_served(host)
        link, gateway = UnixTap(os.path.join(host.dir, "run", "keeper.sock")), UnixTap(os.path.join(inst.state, "run", "gateway.sock"))
        for tap, restarted in ((link, host.processes["agent"]), (gateway, inst.processes["gateway"])):
            tap.insert()
            restarted.stop()
            restarted.start()
        for _ in range(3):
            before = checks.fingerprint_of(f"{host.target_dir}/current/cert.pem")
            inst.vccctl("cert", "renew", host.cert_id, "--force")
            inst.wait_renewed(host, before)
        yield inst, host, link, gateway
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def test_no_private_key_leaves_its_folder(tapped):
    inst, host, link, gateway = tapped
    keys = secrets_of(inst.dir)
    assert len(keys) >= 5, "host, link, service, gateway and admin keys are there to be looked for"
    assert len(link.seen) > 2000 and len(gateway.seen) > 2000, "the taps have seen the renewals"
    places = {"frames link-keeper": bytes(link.seen), "frames gateway-controller": bytes(gateway.seen)}
    for base, _, files in os.walk(inst.dir):
        for name in files:
            path = os.path.join(base, name)
            if not os.path.islink(path):
                try:
                    places[path] = open(path, "rb").read()
                except OSError:
                    continue
    for origin, scalar in keys:
        texts = (scalar, scalar.hex().encode(), scalar.hex().upper().encode(), base64.b64encode(scalar)[2:-4])
        for place, data in places.items():
            if os.path.dirname(place) == os.path.dirname(origin) or place.startswith(host.target_dir + "/") or place.startswith(os.path.join(host.dir, "keeper")) \
               and origin.startswith((host.target_dir, os.path.join(host.dir, "keeper"))):
                continue
            assert not any(t in data for t in texts), f"the key of {origin} stands in {place}"
    for place, data in places.items():
        assert b"vcc_join_" not in data or "/log/" not in place, f"a join token stands in {place}"


def test_ca_keys_are_encrypted(tapped):
    inst, _, _, _ = tapped
    folder = os.path.join(inst.state, "signer")
    for base, _, files in os.walk(folder):
        for name in files:
            data = open(os.path.join(base, name), "rb").read()
            assert b"PRIVATE KEY" not in data, f"{name} holds a readable key"


def test_a_whole_installation_leaves_no_token_in_logs(tapped):
    inst, host, _, _ = tapped
    token = open(os.path.join(inst.state, "admin.token")).read().strip()
    for folder in (os.path.join(inst.dir, "log"), os.path.join(host.dir, "log")):
        for name in os.listdir(folder):
            assert token not in open(os.path.join(folder, name), errors="replace").read(), name
