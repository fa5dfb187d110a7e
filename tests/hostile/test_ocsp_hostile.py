"""Hostile peers of the public listener's OCSP part: garbage, too much, too slow, too many. Nothing falls over, nobody else waits, and the memory stays."""
import os
import random
import shutil
import socket
import time
import urllib.parse

import pytest
from conftest import new_folder
from cryptography import x509
from cryptography.x509 import ocsp
from played_fleet import PlayedFleet
from revocation import cert_id, chain_files, der, der_integer, ocsp_ask, ocsp_post, ocsp_request, request_of

Status = ocsp.OCSPResponseStatus
GROWTH_KIB = 24 * 1024


class World:
    def __init__(self, inst):
        self.inst = inst
        path = chain_files(inst, os.path.join(inst.dir, "cas"))["service-1"]
        self.issuer = x509.load_pem_x509_certificate(open(path, "rb").read())

    def good(self):
        """It still answers, and truly."""
        answer = ocsp_ask(self.inst, 4711, self.issuer)
        return answer.response_status == Status.SUCCESSFUL and answer.certificate_status == ocsp.OCSPCertStatus.UNKNOWN

    def answers(self):
        end = time.monotonic() + 20
        while not self.good():  # more was asked for than can be signed: a moment later it can
            assert time.monotonic() < end
            time.sleep(0.1)

    def connect(self):
        url = urllib.parse.urlparse(self.inst.public_url)
        return socket.create_connection((url.hostname, url.port), 30)

    def rss(self):
        with open(f"/proc/{self.inst.processes['controller'].pid}/status") as f:
            return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


@pytest.fixture(scope="module")
def world():
    path = new_folder("ocsp-hostile")
    inst = PlayedFleet(path)
    try:
        inst.init()
        inst.start_both()
        w = World(inst)
        w.answers()
        yield w
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def status_of(body):
    return ocsp.load_der_ocsp_response(body).response_status


def test_garbage_is_malformed(world):
    rng = random.Random(7)
    good = ocsp_request(4711, world.issuer, nonce=b"n" * 16)
    for i in range(1500):
        bad = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        status, body = ocsp_post(world.inst, bytes(bad[:rng.randrange(1, len(bad) + 1)] if i % 3 == 0 else bad))
        assert status == 200 and status_of(body) in (Status.MALFORMED_REQUEST, Status.UNAUTHORIZED, Status.SUCCESSFUL, Status.TRY_LATER)
    for i in range(300):
        status, body = ocsp_post(world.inst, rng.randbytes(rng.randrange(1, 4096)))
        assert status == 200 and status_of(body) == Status.MALFORMED_REQUEST
    world.answers()


def test_what_is_too_much(world):
    one = cert_id(1, world.issuer)
    deep = b""
    for _ in range(900):
        deep = der(0x30, deep)
    for bad in (request_of(*[one] * 9), request_of(one, nonce=b"x" * 129), request_of(one, nonce=b""), deep[:4000], b"\x30\x84\xff\xff\xff\xff",
                b"\x30\x80" + one, request_of(der(0x30, one[2:], der_integer(1))), request_of(one, extensions=der(0x30, b"\x06\x03\x2a\x03\x04\x01\x01\xff", der(4, b"\x05\0")))):
        status, body = ocsp_post(world.inst, bad)
        assert status == 200 and status_of(body) == Status.MALFORMED_REQUEST, bad[:40].hex()
    assert ocsp_post(world.inst, b"\x30" * 4097)[0] == 413
    eight = request_of(*[cert_id(i, world.issuer) for i in range(1, 9)])
    world.answers()
    status, body = ocsp_post(world.inst, eight)
    assert status == 200 and len(body) > 8 * len(cert_id(1, world.issuer)) and status_of(body) == Status.SUCCESSFUL


def test_slow_bodies_keep_nobody_waiting(world):
    """A crowd that sends a byte now and then: others are answered meanwhile, and the crowd is let go."""
    crowd = [world.connect() for _ in range(200)]
    head = b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Type: application/ocsp-request\r\nContent-Length: 100\r\n\r\n"
    try:
        for c in crowd:
            c.sendall(head + b"\x30")
        end = time.monotonic() + 40
        world.answers()
        while crowd and time.monotonic() < end:
            for c in list(crowd):
                try:
                    c.settimeout(0.001)
                    c.sendall(b"\x30")
                    if c.recv(1000) == b"":
                        raise OSError
                except TimeoutError:
                    continue
                except OSError:
                    c.close()
                    crowd.remove(c)
            time.sleep(1)
        assert not crowd, f"{len(crowd)} connections are still held open"
    finally:
        for c in crowd:
            c.close()
    world.answers()


def test_numbers_without_end_take_no_memory(world):
    for i in range(300):
        ocsp_post(world.inst, ocsp_request(i + 1, world.issuer, nonce=os.urandom(32)))
    before = world.rss()
    for i in range(1000):
        ocsp_post(world.inst, ocsp_request(1000 + i, world.issuer))
    assert world.rss() - before < GROWTH_KIB
    world.answers()


def test_who_goes_away_before_the_answer(world):
    body = ocsp_request(4711, world.issuer, nonce=b"n" * 16)
    head = f"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Type: application/ocsp-request\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for _ in range(300):
        c = world.connect()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        c.sendall(head + body)
        c.close()
    world.answers()
