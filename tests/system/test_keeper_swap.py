"""The swap on a real nginx: what is issued is served, nothing is dropped, every step is accounted for."""
import os
import shutil
import subprocess

import pytest
from fake_ca import spki
from handshakes import Load
from installation import wait_for, write
from keeper_host import KeeperHost, temporary
from wire_tables import encode

VERIFIED, SETTLED, FAILED, REFUSED, KEPT = range(5)


@pytest.fixture(scope="module")
def host():
    folder = temporary()
    h = KeeperHost(folder)
    try:
        h.start()
        yield h
    finally:
        h.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_first_swap(host):
    before = host.check_set()
    key = host.renew()
    verified = host.link.receipt(key, VERIFIED)
    issued = host.link.orders[key]["fingerprint"]
    assert verified["fingerprint"] == issued and verified["old_fingerprint"] == before
    settled = host.link.receipt(key, SETTLED)
    assert settled["probes"] >= 40 and settled["probes_failed"] == 0, "20 in a row on each of two listeners, none failed"
    assert [row["proved"] for row in settled["listeners"]] == [True, True]
    assert host.check_set() == issued == host.served() == host.served("127.0.0.2")
    assert sorted(os.listdir(f"{host.tls}/current/")) == ["ca.pem", "cert.pem", "chain.pem", "fullchain.pem", "key.pem"]
    assert os.stat(f"{host.tls}/current/key.pem").st_mode & 0o777 == 0o640
    assert len(os.listdir(f"{host.dir}/keeper/keys")) == 1, "the key in use, for repairs"
    steps = [(s["step"], s["code"]) for s in settled["steps"]]
    assert [s for s, _ in steps] == [1, 3, 4, 5, 6, 7, 8, 9] and not any(c for _, c in steps)
    assert next(s for s in settled["steps"] if s["step"] == 5)["detail"] == "tested"


def test_five_renewals_without_a_dropped_handshake(host):
    addresses = [("127.0.0.1", host.port), ("127.0.0.2", host.port)]
    keys = set()
    with Load(addresses, host.names[0]) as load:
        for _ in range(5):
            key = host.renew()
            receipt = host.link.receipt(key, SETTLED)
            assert receipt["probes_failed"] == 0
            keys.add(open(f"{host.tls}/current/key.pem").read())
            assert host.check_set() == host.link.orders[key]["fingerprint"]
    assert len(keys) == 5, "a fresh key each time"
    assert load.failed == 0 and load.ok > 20, load.errors[:5]
    generations = [n for n in os.listdir(host.tls) if n.startswith("g")]
    assert len(generations) == 2, "the last two issuances are kept"
    assert len(os.listdir(f"{host.dir}/keeper/keys")) == 1, "one key: the one in use"


def test_repeated_messages_change_nothing(host):
    key = host.renew()
    host.link.receipt(key, SETTLED)
    n, generation = len(host.link.receipts), host.current()
    order = host.link.orders[key]
    host.link.send("order", **order["message"])
    number = host.link.send("certificate", **order["certificate"])
    host.link.wait("ack", lambda: number in host.link.acks)
    assert len(host.link.receipts) == n and host.current() == generation


def test_rsa_key(host):
    key = host.renew(key_type=2)
    host.link.receipt(key, SETTLED)
    assert host.served() == host.link.orders[key]["fingerprint"]


def test_unknown_certificate_is_refused_for_good(host):
    number = host.link.send("order", renewal_id=os.urandom(16), attempt=1, cert_id="clara01-other", names="DNS:x.vcc.internal", common_name="x")
    host.link.wait("ack", lambda: number in host.link.acks)
    assert host.link.acks[number]["code"] == -2010


def test_link_identity_is_renewed_by_the_host_key(host):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from fake_link import frame_write
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    frame_write(host.link.stream, encode("ipc-link", "csr", 0, csr=csr))
    identity = host.link.wait("identity", lambda: host.link.identities and host.link.identities[-1])
    assert spki(x509.load_der_x509_certificate(identity["certificate"]).public_key()) == spki(key)


def test_status(host):
    status = host.link.status(host.socket)
    target = status["targets"][0]
    assert status["agent"] == "clara01" and status["connected"] is True
    assert target["cert_id"] == host.cert_id and target["fingerprint"] == target["served"] == host.check_set().hex()


def test_target_file_taken_away_and_back(host):
    path = f"{host.dir}/targets.d/web.conf"
    text = open(path).read()
    os.unlink(path)
    host.link.wait("retired", lambda: host.link.targets[-1]["retired"])
    write(f"{path}.new", text)
    os.rename(f"{path}.new", path)
    host.link.wait("managed again", lambda: not host.link.targets[-1]["retired"])
    key = host.renew()
    host.link.receipt(key, SETTLED)
    assert host.check_set() == host.link.orders[key]["fingerprint"]


@pytest.mark.parametrize("stem,cert_id", [("xsecond", "clara01-second"), ("asecond", "clara01-second"), ("acopy", None)])
def test_one_folder_belongs_to_one_target(host, stem, cert_id):
    """A second file with the folder of the first would take `current` from it: the controller would believe what is not served. Whatever it
    is called, the one in use stays; also against a plain copy of its own file."""
    before = host.current()
    text = open(f"{host.dir}/targets.d/web.conf").read().replace(f"cert_id = {host.cert_id}\n", f"cert_id = {cert_id or host.cert_id}\ndir = {host.tls}\n")
    write(f"{host.dir}/targets.d/{stem}.conf", text)
    wait_for("the refusal is logged", lambda: "belongs to target web already" in host.log("keeper"))
    check = subprocess.run([os.path.join(host.binaries, "vcc-keeper"), "--check", "--config", host.config], capture_output=True, text=True)
    assert check.returncode != 0 and "VCC-2010" in check.stderr, check
    os.unlink(f"{host.dir}/targets.d/{stem}.conf")
    assert "leads elsewhere" not in host.log("keeper")
    assert all(t["cert_id"] == host.cert_id for t in host.link.targets)
    assert host.current() == before


def test_a_file_that_names_another_certificate_ends_the_first(host):
    path = f"{host.dir}/targets.d/web.conf"
    text = open(path).read()
    for cert_id in ("clara01-other", "clara01-third", host.cert_id):
        before = len(host.link.targets)
        write(f"{path}.new", text.replace(f"cert_id = {host.cert_id}\n", f"cert_id = {cert_id}\n"))
        os.rename(f"{path}.new", path)
        host.link.wait("the old one ends and the new one begins",
                       lambda: [t["retired"] for t in host.link.targets[before:]] == [True, False] and host.link.targets[-1]["cert_id"] == cert_id)
    host.link.receipt(host.renew(), SETTLED)
