"""The world around the controller fails: its clock goes back (F49), its disk is full (F56), it was away while much became due (F63)."""
import contextlib
import datetime
import glob
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import time

import checks
import mounts
import pytest
from conftest import new_folder
from cryptography import x509
from cryptography.x509 import ocsp
from installation import ROOT, Installation, wait_for, write
from one_service import order, renew
from revocation import chain_files, get, number, ocsp_ask

FAULTS = os.path.join(ROOT, "build-faults", "bin")
HOUR = 3600000


@contextlib.contextmanager
def estate_of(path, settings=None, env=None, disk=None):
    if not os.path.exists(os.path.join(FAULTS, "vcc-controller")):
        pytest.skip("make faults has not been run")
    inst = Installation(path, settings=settings, binaries=FAULTS)
    try:
        if disk:
            disk()
        inst.init()
        inst.start(env)
        host = inst.prepare_service("nginx")
        host.join()
        host.write_target()
        host.start_agent()
        inst.wait_served(host)
        yield inst, host
    finally:
        inst.stop()


def live(inst):
    return os.path.join(inst.state, "controller", "vcc.db")


def rows(inst, sql, *values):
    with contextlib.closing(sqlite3.connect(f"file:{live(inst)}?mode=ro", uri=True, timeout=20)) as base:
        return base.execute(sql, values).fetchall()


def lists(inst):
    """{file: list}"""
    found = {}
    for path in glob.glob(os.path.join(inst.state, "controller", "public", "crl", "*", "*.crl")):
        with open(path, "rb") as f:
            found["/".join(path.split("/")[-2:])] = x509.load_der_x509_crl(f.read())
    return found


def current(inst, host):
    serial = inst.certificate(host.cert_id)["serial"]
    return x509.load_der_x509_certificate(bytes(rows(inst, "SELECT der FROM issuances WHERE lower(hex(serial)) = ?", serial.lower())[0][0]))


# ---- F49 ----

def skew(host):
    """ms by which the controller is ahead, as the host knows it."""
    done = subprocess.run([host.inst.bin("vcc-agent"), "status", "--config", host.config, "-o", "json"], capture_output=True, text=True, timeout=60)
    return -json.loads(done.stdout)["skew_ms"]


def test_the_clock_goes_back():
    """By two hours, under the running programs and then across a restart. It was three hours ahead before: no authority is younger than its clock."""
    path = new_folder("clock-back")
    clock = os.path.join(path, "clock")
    write(clock, "\0" * 8)

    def turn(ms):
        with open(clock, "r+b") as f:
            f.write(struct.pack("=q", ms))

    try:
        with estate_of(path, {"controller.crl.refresh": "5s", "controller.crl.validity": "60m"}, env={name: {"VCC_CLOCK_FILE": clock} for name in ("signer", "controller", "gateway")}) as (inst, host):
            p = inst.processes["controller"]

            def told(ms):
                """The host knows the time that it judges certificates by."""
                turn(ms)
                wait_for("the host knows", lambda: abs(skew(host) - ms) < 60000, 30)

            told(3 * HOUR)
            renew(inst, host)
            before = lists(inst)
            size = rows(inst, "SELECT max(seq) FROM audit")[0][0]
            for restart in (False, True):
                if restart:
                    p.stop()
                    turn(HOUR)
                    p.start()
                    wait_for("the controller", inst.ready)
                told(HOUR)
                begun = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
                renew(inst, host)
                not_before = current(inst, host).not_valid_before.replace(tzinfo=datetime.timezone.utc)
                assert datetime.timedelta(0) <= begun - not_before <= datetime.timedelta(hours=1), "from the clock as it is, back-dated by what the profile says"
                told(3 * HOUR)
            wait_for("new lists", lambda: all(number(lists(inst)[k]) > number(c) for k, c in before.items() if k.startswith("service-1")))
            trail = rows(inst, "SELECT at, behind_ms FROM audit ORDER BY seq")
            assert all(a[0] <= b[0] for a, b in zip(trail, trail[1:])), "time in the trail never runs backward"
            assert any(behind_ms > HOUR for _, behind_ms in trail[size:]), "and says by how much the clock was behind"
            assert not any(behind_ms for _, behind_ms in trail[:size])
            numbers = [int.from_bytes(bytes(s)[:7], "big") for s, in rows(inst, "SELECT serial FROM issuances ORDER BY rowid")]
            assert numbers == sorted(set(numbers))
    finally:
        shutil.rmtree(path, ignore_errors=True)


# ---- F56 ----

@pytest.mark.skipif(bool(mounts.cannot()), reason="mounting needs root")
def test_the_disk_of_the_database_is_full():
    """Changes are refused with a code; reading, lists and OCSP go on; freed space is enough, no restart."""
    path = new_folder("disk-full")
    folder = os.path.join(path, "ctl", "controller")
    try:
        with estate_of(path, disk=lambda: mounts.tmpfs(folder, size="24m", mode="0700")) as (inst, host):
            renew(inst, host)
            pid, serial = inst.processes["controller"].pid, inst.certificate(host.cert_id)["serial"]
            with open(chain_files(inst, os.path.join(path, "cas"))["service-1"], "rb") as f:
                issuer = x509.load_pem_x509_certificate(f.read())
            with mounts.Filled(folder):
                wait_for("changes are refused", lambda: invite(inst, f"h{os.urandom(3).hex()}").returncode != 0, 30)
                done = invite(inst, "more")
                assert done.returncode != 0 and "VCC-150" in done.stderr, done
                status, said = order(inst, host)
                assert status != 0, said
                assert inst.certificate(host.cert_id)["serial"] == serial, "reading goes on"
                assert inst.status()["checks"]["store"] == "failed"
                checks.served_is_issued(inst, host)
                for name, crl in lists(inst).items():
                    got = get(f"{inst.public_url}/crl/{name}")
                    assert got[0] == 200 and number(x509.load_der_x509_crl(got[1])) >= number(crl)
                assert ocsp_ask(inst, current(inst, host), issuer).certificate_status == ocsp.OCSPCertStatus.GOOD
            wait_for("changes go on", lambda: invite(inst, f"h{os.urandom(3).hex()}").returncode == 0, 60)
            wait_for("the order that was cut off ends", lambda: rows(inst, "SELECT count(*) FROM certificates WHERE open_order IS NOT NULL") == [(0,)], 120)
            renew(inst, host)
            checks.served_is_issued(inst, host)
            assert inst.processes["controller"].pid == pid and inst.processes["controller"].running()
            assert inst.status()["checks"]["store"] == "ok"
            assert rows(inst, "PRAGMA integrity_check") == [("ok",)]
    finally:
        with contextlib.suppress(OSError):
            mounts.unmount(folder)
        shutil.rmtree(path, ignore_errors=True)


def invite(inst, name):
    return subprocess.run([*inst.vccctl_argv, "agent", "invite", name, "--service", "clara"], capture_output=True, text=True, timeout=60)


# ---- F63 ----

def multiply(inst, host, n):
    """n more certificates of a host that is away, due at times in the past."""
    now = int(time.time() * 1000)
    with contextlib.closing(sqlite3.connect(live(inst))) as db:
        def copy(table, key, value, **change):
            names = [c[1] for c in db.execute(f"PRAGMA table_info({table})")]
            row = dict(zip(names, db.execute(f"SELECT * FROM {table} WHERE {key} = ?", (value,)).fetchone()), **change)
            db.execute(f"INSERT INTO {table} ({','.join(names)}) VALUES ({','.join('?' * len(names))})", [row[c] for c in names])

        copy("agents", "name", host.name, name="away", host_hash=os.urandom(32), identity=None)
        for i in range(n):
            serial = bytes([0, 0, 0, 0, 0, 0, 1]) + i.to_bytes(9, "big")
            copy("certificates", "cert_id", host.cert_id, cert_id=f"away-{i:04d}", agent="away", serial=serial, not_before_at=now - 400 * 86400000,
                 not_after_at=now + 86400000 * 10, renew_at=now - i * 60000, open_order=None)
        db.commit()


def test_much_became_due_while_it_was_down():
    """Each due item is ordered once, in pieces, and a restart in the middle orders none twice."""
    n, path = 650, new_folder("many-due")
    try:
        with estate_of(path) as (inst, host):
            p = inst.processes["controller"]
            p.stop()
            multiply(inst, host, n)
            begun = rows(inst, "SELECT max(seq) FROM audit")[0][0]
            ordered = "SELECT count(*), count(DISTINCT cert_id) FROM orders WHERE cert_id LIKE 'away-%'"
            p.start()
            wait_for("some are ordered", lambda: rows(inst, ordered)[0][0] >= 100)
            p.kill()
            p.start()
            wait_for("all are ordered", lambda: rows(inst, ordered) == [(n, n)], 120)
            p.stop()
            p.start()
            wait_for("the controller", inst.ready)
            renew(inst, host)
            assert rows(inst, ordered) == [(n, n)]
            trail = rows(inst, "SELECT object, at FROM audit WHERE seq > ? AND event = 'certificate_renewal_scheduled' AND object LIKE 'away-%' ORDER BY seq", begun)
            assert len(trail) == len({o for o, _ in trail}) == n, "one record each"
            assert [o for o, _ in trail[:100]] == [f"away-{i:04d}" for i in range(n - 1, n - 101, -1)], "what waited longest goes first"
            per_second = {}
            for _, at in trail:
                per_second[at // 1000] = per_second.get(at // 1000, 0) + 1
            assert len(per_second) >= 5, per_second
    finally:
        shutil.rmtree(path, ignore_errors=True)
