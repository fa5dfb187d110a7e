"""Revocation on the hosts: does a service that asks its clients for certificates refuse a revoked one within a minute, by its own means, and nobody else?"""
import datetime
import http.client
import os
import re
import shutil
import ssl
import subprocess
import time
import urllib.request

import pytest
from conftest import new_folder
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from installation import ROOT, Installation, nginx, wait_for, write

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
GOAL = 60  # seconds from the revocation to a service that knows it
ENV = {"VCC_CRL_PACE_MS": "2000", "VCC_CRL_RETRY_MS": "2000"}
VERIFY = ("ssl_verify_client on;\n        ssl_verify_depth 3;\n        ssl_client_certificate {tls}/current/ca.pem;\n        ssl_crl {tls}/current/crl.pem;\n"
          "        ssl_session_cache off;\n        server_name")


def pem(thing):
    return thing.public_bytes(serialization.Encoding.PEM).decode()


def lists_before(host):
    """What a service has that asked for lists before it was managed: of nobody that matters."""
    folder = os.path.join(host.target_dir, "before")
    key = serialization.load_pem_private_key(open(f"{folder}/key.pem", "rb").read(), None)
    cert = x509.load_pem_x509_certificate(open(f"{folder}/cert.pem", "rb").read())
    now = datetime.datetime.utcnow()
    crl = x509.CertificateRevocationListBuilder().issuer_name(cert.subject).last_update(now).next_update(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    write(f"{folder}/ca.pem", pem(cert))
    write(f"{folder}/crl.pem", pem(crl))


def asks_for_clients(host):
    """The service's configuration names current/crl.pem before the host has any list."""
    lists_before(host)
    path = os.path.join(host.dir, "service", "nginx.conf")
    write(path, open(path).read().replace("server_name", VERIFY.format(tls=host.target_dir), 1))
    subprocess.run([nginx(), "-p", os.path.dirname(path), "-c", path, "-s", "reload"], check=True, capture_output=True)


def enrol(host, env=None, trust="[trust]\ncrl = yes\n"):
    host.join()
    host.inst.drop_in("agent", host.config)
    write(os.path.join(host.dir, "targets.d", f"{host.stem}.conf"), host.target_file() + trust)
    host.start_agent(env)


@pytest.fixture(scope="module")
def world():
    """(installation, nginx host that wants lists, two hosts whose certificates are its clients)"""
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    path = new_folder("crl-hosts")
    inst = Installation(path, binaries=FAULTS)
    try:
        inst.init()
        inst.start()
        host, clients = inst.prepare_nginx(), [inst.prepare_echo(0), inst.prepare_echo(1)]
        asks_for_clients(host)
        enrol(host, ENV)
        for c in clients:
            c.enrol()
        for h in (host, *clients):
            inst.wait_served(h)
        yield inst, host, clients
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def asked(host, client=None):
    """HTTP status of the service for this client; 400 = it does not like the certificate, or misses one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client is not None:
        context.load_cert_chain(os.path.join(client, "fullchain.pem"), os.path.join(client, "key.pem"))
    connection = http.client.HTTPSConnection("127.0.0.1", host.port, timeout=20, context=context)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


def pair_of(host):
    """A copy of what a client has now: a revoked certificate does not stay where it was."""
    folder = os.path.join(host.inst.dir, "pairs", f"{host.name}-{time.monotonic_ns()}")
    shutil.copytree(os.path.join(host.target_dir, "current") + "/", folder)
    return folder


def lists_of(host):
    with open(os.path.join(host.target_dir, "current", "crl.pem")) as f:
        return f.read()


def published(inst):
    return urllib.request.urlopen(f"{inst.public_url}/crl/all.pem", timeout=10).read().decode()


def target(inst, host):
    return inst.target(host.cert_id)


def log(host, name="keeper"):
    return open(host.processes[name].log, errors="replace").read()


def test_the_first_generation_has_its_lists(world):
    """The service's own test asks for current/crl.pem: with the very first swap it is there, complete, and the controller knows."""
    inst, host, clients = world
    assert "failed" not in [r["outcome"] for r in inst.certificate(host.cert_id)["renewals"][-1].get("receipts", [])]
    assert len(inst.certificate(host.cert_id)["renewals"]) == 1 and "VCC-2002" not in log(host)
    assert os.readlink(os.path.join(host.target_dir, "current")).startswith("g")
    wait_for("the lists are the published ones", lambda: lists_of(host) == published(inst), 30)
    assert asked(host) == 400
    for c in clients:
        assert asked(host, pair_of(c)) == 200
    shown = wait_for("the controller knows", lambda: (t := target(inst, host)) and t["crl_current"] and t, 30)
    assert shown["trust_proof"] == "proved" and shown["error"] is None
    assert target(inst, clients[0])["crl_current"] is None


def test_the_authorities_are_published(world):
    inst, _, _ = world
    text = urllib.request.urlopen(f"{inst.public_url}/ca/all.pem", timeout=10).read()
    certs = [x509.load_pem_x509_certificate(b"-----BEGIN" + p) for p in text.split(b"-----BEGIN")[1:]]
    assert len(certs) == 3 and all(c.extensions.get_extension_for_class(x509.BasicConstraints).value.ca for c in certs)
    root = x509.load_pem_x509_certificate(open(os.path.join(inst.state, "ca.pem"), "rb").read())
    assert all(c.issuer == root.subject != c.subject for c in certs)


def test_a_revoked_client_is_refused_within_a_minute(world):
    inst, host, (revoked, other) = world
    bad, good = pair_of(revoked), pair_of(other)
    assert asked(host, bad) == asked(host, good) == 200
    before = os.readlink(os.path.join(host.target_dir, "current"))
    begun = time.monotonic()
    inst.vccctl("cert", "revoke", revoked.cert_id, "--reason", "keyCompromise", "--yes")
    wait_for("the revoked client is refused", lambda: asked(host, bad) == 400, 10 * GOAL, 0.1)
    took = time.monotonic() - begun
    print(f"\nrevoked client refused after {took:.1f} s (goal {GOAL} s)")
    for _ in range(10):  # by every worker
        assert asked(host, good) == 200
    assert os.readlink(os.path.join(host.target_dir, "current")) != before
    shown = wait_for("the controller knows", lambda: (t := target(inst, host)) and t["crl_current"] and t, 30)
    assert shown["error"] is None and shown["cared_at"]
    wait_for("no old worker is left", lambda: all(asked(host, bad) == 400 for _ in range(10)), 60)


def test_nobody_else_fetches(world):
    """A link without a target that wants lists does not speak to the public listener at all."""
    inst, _, clients = world
    for c in clients:
        assert "revocation lists" not in log(c) + log(c, "agent")
    for c in clients:
        status = subprocess.run([inst.bin("vcc-agent"), "status", "--config", c.config, "-o", "json"], capture_output=True, text=True)
        assert '"lists"' not in status.stdout


def test_lists_in_the_status_for_people(world):
    import json
    inst, host, _ = world
    status = json.loads(subprocess.run([inst.bin("vcc-agent"), "status", "--config", host.config, "-o", "json"], capture_output=True, text=True).stdout)
    assert status["lists"]["hash"] == target(inst, host)["crl_hash"] and "code" not in status["lists"]
    human = subprocess.run([*inst.vccctl_argv, "target", "show", host.cert_id], capture_output=True, text=True).stdout
    assert re.search(r"^lists current +yes$", human, re.M), human


def test_a_rehearsal_has_its_lists_too(world):
    inst, host, _ = world
    keeper = host.processes["keeper"]
    keeper.stop()
    keeper.env = dict(ENV, VCC_REHEARSE_MS="300")
    keeper.start()
    try:
        wait_for("rehearsed", lambda: target(inst, host)["rehearsed_at"], 60)
        assert target(inst, host)["error"] is None
    finally:
        keeper.stop()
        keeper.env = ENV
        keeper.start()


def test_lists_are_not_wanted_any_more(world):
    inst, host, _ = world
    file = os.path.join(host.dir, "targets.d", f"{host.stem}.conf")
    conf = os.path.join(host.dir, "service", "nginx.conf")
    text = open(conf).read()
    write(conf, "\n".join(line for line in text.splitlines() if "ssl_crl" not in line))
    write(file, host.target_file())
    wait_for("crl.pem is gone", lambda: not os.path.exists(f"{host.target_dir}/current/crl.pem"), 60)
    wait_for("the controller knows", lambda: target(inst, host)["crl_current"] is None and target(inst, host)["crl_hash"] is None, 30)
    write(file, host.target_file() + "[trust]\ncrl = yes\n")
    wait_for("crl.pem is there again", lambda: os.path.exists(f"{host.target_dir}/current/crl.pem"), 60)
    write(conf, text)
    wait_for("the controller knows", lambda: target(inst, host)["crl_current"], 30)
