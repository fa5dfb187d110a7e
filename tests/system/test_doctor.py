"""Does `vcc-agent doctor` find what would stop the next renewal, name object, cause, code and next step, and mend only what cannot harm?"""
import datetime
import json
import os
import re
import shutil
import subprocess
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from installation import ROOT, free_port, wait_for, write
from keeper_host import KeeperHost, temporary
from scene import change

SETTLED = 1
FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
ENV = {"VCC_PROBE_MS": "1500", "VCC_HEAL_MS": "300", "VCC_LOOK_MS": "600"}
CHECKS = ["keeper", "link", "identity", "journal", "clock", "watches", "space", "rights", "hook", "files", "listeners", "disk", "rehearsal", "orders", "lists",
          "reload", "python", "drain", "renewers", "writers", "manage", "keys"]


@pytest.fixture(scope="module")
def host():
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    h = KeeperHost(temporary(), FAULTS)
    try:
        h.start_nginx()
        h.write_target()
        done = h.join()
        assert done["code"] == 0, done
        link_identity(h, 14)
        h.start_hook()
        h.start_keeper(ENV)
        h.link.receipt(h.renew(), SETTLED)
        h.good = dict(h.settings)
        yield h
    finally:
        h.stop()
        shutil.rmtree(h.dir, ignore_errors=True)


def link_identity(host, days):
    """The link's own folder as joining leaves it, with an identity that ends in so many days."""
    folder = f"{host.dir}/link"
    os.makedirs(folder, mode=0o700, exist_ok=True)
    os.chmod(folder, 0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    now, name = datetime.datetime.utcnow(), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "id")])
    cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
            .not_valid_before(now - datetime.timedelta(days=30)).not_valid_after(now + datetime.timedelta(days=days)).sign(key, hashes.SHA256()))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + cert.public_bytes(Encoding.PEM)
    write(f"{folder}/identity.pem", pem.decode(), 0o600)
    write(f"{folder}/joined", "agent = clara01\n")


def run(host, *words, **env):
    """Without measuring keys, which takes seconds."""
    return subprocess.run([os.path.join(FAULTS, "vcc-agent"), "doctor", "--config", host.config, *words], capture_output=True, text=True, timeout=120,
                          env=dict(os.environ, VCC_KEYS_MS="0", **env))


def doctor(host):
    """(exit status, {check: answer}, text). Both forms say the same, and the one for people is at most 80 columns wide."""
    shown = run(host)
    done = run(host, "-o", "json")
    assert shown.returncode in (0, 7), shown.stderr
    assert all(len(x) <= 80 for x in shown.stdout.splitlines()), shown.stdout
    answer = json.loads(done.stdout)
    assert [c["check"] for c in answer["checks"]] == CHECKS
    for f in (f for c in answer["checks"] for f in c["findings"]):
        assert re.fullmatch(r"VCC-\d{4}", f["code"]) and f["object"] and f["cause"] and f["next"], f
    return shown.returncode, {c["check"]: c for c in answer["checks"]}, " ".join(shown.stdout.split())


def found(host, check, code, level="error"):
    """The one finding of this code; the exit status fits."""
    status, checks, text = doctor(host)
    rows = [f for f in checks[check]["findings"] if f["code"] == code]
    assert rows and rows[0]["level"] == level, (check, checks[check], text)
    assert status == 7 or level == "warning"
    assert code in text and re.sub(r"\d+", "#", rows[0]["cause"]) in re.sub(r"\d+", "#", text), "said to people, too (ages and counts grow)"
    return rows[0]


def settled(host, what="nothing is wrong"):
    """A finding of the keeper goes away when it has looked again."""
    wait_for(what, lambda: run(host).returncode == 0, 60, 0.3)


def test_nothing_is_wrong(host):
    status, checks, text = doctor(host)
    assert status == 0 and "errors: 0" in text, text
    for name in ("keeper", "link", "identity", "journal", "watches", "space", "rights", "hook", "files", "listeners", "disk", "orders", "reload", "drain", "writers"):
        assert not checks[name]["findings"] and checks[name]["note"], (name, checks[name])
    assert "asked just now: 2" in checks["listeners"]["note"] and "13d" in checks["identity"]["note"]


def test_what_keys_cost_is_measured_here(host):
    done = subprocess.run([os.path.join(FAULTS, "vcc-agent"), "doctor", "--config", host.config], capture_output=True, text=True, timeout=120)
    text = " ".join(done.stdout.split())
    ec, rsa = (float(re.search(rf"{name}(?: \(in use\))? (\d+\.\d) ms", text)[1]) for name in ("ec-p256", "rsa-3072"))
    assert "ec-p256 (in use)" in text and 0 <= ec < rsa, text


def test_a_keeper_that_does_not_run(host):
    host.link.close()
    host.processes["keeper"].kill()
    try:
        row = found(host, "keeper", "VCC-2700")
        assert row["object"] == host.socket and "vcc-keeper" in row["next"]
        checks = doctor(host)[1]
        assert checks["rehearsal"]["skipped"] and not checks["listeners"]["skipped"], "what needs no keeper is looked at"
        assert not checks["listeners"]["findings"]
        os.rename(f"{host.dir}/link/joined", f"{host.dir}/link/away")
        try:
            assert "vcc-agent join" in found(host, "keeper", "VCC-2303")["next"]
        finally:
            os.rename(f"{host.dir}/link/away", f"{host.dir}/link/joined")
    finally:
        host.start_keeper(ENV)
    settled(host)


def test_a_link_that_is_down(host):
    host.link.close()
    try:
        assert found(host, "link", "VCC-1304")["cause"] == "vcc-agent is not running"
    finally:
        host.link.connect(host.socket)
    settled(host)


def test_an_identity_that_ended(host):
    link_identity(host, -3)
    try:
        assert "ended 3d ago" in found(host, "identity", "VCC-2310")["cause"]
    finally:
        link_identity(host, 14)


def test_a_wrong_clock(host):
    host.link.skew_ms = 3 * 86400 * 1000
    host.restart_keeper(ENV)
    try:
        wait_for("it is noticed", lambda: host.link.status(host.socket)["clock"] == "wrong")
        row = found(host, "clock", "VCC-2014")
        assert "-259200 s" in row["cause"] and "allow-wrong-clock" in row["next"]
    finally:
        host.link.skew_ms = 0
        host.restart_keeper(ENV)
    settled(host)


def test_lost_changes(host):
    host.restart_keeper(dict(ENV, VCC_FAILPOINT="keeper.watch.overflow@1=err:EIO"))
    wait_for("it is in order", lambda: host.link.status(host.socket)["watch"] == "complete")
    os.utime(f"{host.tls}/current/chain.pem")
    os.chmod(f"{host.tls}/current/chain.pem", 0o600)
    wait_for("it happened", lambda: host.link.status(host.socket)["watch"] == "overflow")
    found(host, "watches", "VCC-2702", "warning")
    host.restart_keeper(ENV)
    settled(host)


def test_a_disk_that_is_nearly_full(host):
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "doctor", f"{host.dir}/link"], capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        link_identity(host, 14)
        row = found(host, "space", "VCC-1301")
        assert row["object"] == f"{host.dir}/link" and re.search(r"[34] MiB", row["cause"])
    finally:
        subprocess.run(["umount", f"{host.dir}/link"], check=True)


def test_open_state_folders_are_closed_by_fix_alone(host):
    folder = f"{host.dir}/keeper"
    os.chmod(folder, 0o755)
    found(host, "rights", "VCC-2705")
    assert os.stat(folder).st_mode & 0o7777 == 0o755, "looking changes nothing"
    done = run(host, "--fix")
    text = " ".join(done.stdout.split())
    assert done.returncode == 0 and "mended rights VCC-2705" in text and "Done: mode 0700 now" in text and "mended: 1" in text, done.stdout
    assert os.stat(folder).st_mode & 0o7777 == 0o700
    assert doctor(host)[0] == 0


def test_a_folder_of_target_files_that_others_may_write_is_not_mended(host):
    folder = f"{host.dir}/targets.d"
    os.chmod(folder, 0o777)
    try:
        assert "Look through the files" in found(host, "rights", "VCC-2705")["next"]
        assert run(host, "--fix").returncode == 7 and os.stat(folder).st_mode & 0o7777 == 0o777
    finally:
        os.chmod(folder, 0o755)
    settled(host)


def test_no_hook(host):
    path = f"{host.dir}/run/hook.sock"
    os.rename(path, path + ".away")
    try:
        assert found(host, "hook", "VCC-2706")["object"] == path
    finally:
        os.rename(path + ".away", path)


def test_target_files(host):
    shop, odd = f"{host.dir}/targets.d/shop.conf", f"{host.dir}/targets.d/odd.conf"
    write(shop, "[target]\nnames = shop.clara.vcc.internal\n[files]\nmdoe = 0640\n")
    write(odd, "[target]\ntemplate = clara_service_auth\nnames = odd.clara.vcc.local\n[reload]\nkind = none\n[verify]\nkind = none\n")
    try:
        row = found(host, "files", "VCC-1201")
        assert row["object"] == f"{shop}:4" and "mdoe" in row["cause"]
        assert found(host, "files", "VCC-2715", "warning")["object"] == "odd"
        os.unlink(odd)
        host.link.refuse_targets = (-3011, "names are outside of the invite's")
        change(host, files=host.good["files"].replace("0640", "0600"))
        wait_for("the controller's word is there", lambda: any(p["from"] == "controller" for p in host.link.status(host.socket)["problems"]))
        row = found(host, "files", "VCC-3011")
        assert row["object"] == "web.conf" and row["cause"] == "the controller says: names are outside of the invite's"
    finally:
        host.link.refuse_targets = None
        for path in (shop, odd):
            if os.path.exists(path):
                os.unlink(path)
        change(host, **host.good)
    settled(host)


def test_listeners_that_are_down(host):
    host.processes["nginx"].stop()
    try:
        rows = [f for f in doctor(host)[1]["listeners"]["findings"] if f["code"] == "VCC-2005"]
        assert [f["cause"] for f in rows] == [f"127.0.0.{i}:{host.port} refuses the connection" for i in (1, 2)]
        assert found(host, "listeners", "VCC-2005")["object"] == "web"
    finally:
        host.process("nginx", host.processes["nginx"].argv).start()
    settled(host)


def test_issued_but_not_served(host):
    other = f"{host.dir}/other"
    os.makedirs(other, exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=other",
                    "-keyout", f"{other}/key.pem", "-out", f"{other}/fullchain.pem"], check=True, capture_output=True)
    path = f"{host.base}/nginx.conf"
    text = open(path).read()
    argv = [host.processes["nginx"].argv[0], "-p", host.base, "-c", path, "-s", "reload"]
    write(path, re.sub(r"(ssl_certificate(?:_key)? )\S+/(\w+\.pem;)", rf"\1{other}/\2", text))
    subprocess.run(argv, check=True, capture_output=True)
    try:
        wait_for("the keeper sees it", lambda: host.link.status(host.socket)["targets"][0]["served_state"] == "stale")
        row = found(host, "listeners", "VCC-2004")
        assert row["object"] == "web" and re.search(r"127\.0\.0\.1:\d+ serves \w{8}, issued is \w{8}, for \d+s$", row["cause"]) and "current/" in row["next"]
    finally:
        write(path, text)
    settled(host)


def test_a_second_writer(host):
    path, stop = f"{host.tls}/current/cert.pem", threading.Event()

    def write_on():
        while not stop.wait(0.1):
            try:
                with open(path, "a") as f:
                    f.write("# mine\n")
            except OSError:
                pass

    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        wait_for("the alarm", lambda: host.link.status(host.socket)["targets"][0]["care"]["second_writer"])
        assert "a second writer undoes the repairs" in found(host, "writers", "VCC-2710")["cause"]
    finally:
        stop.set()
        thread.join()
    host.restart_keeper(ENV)
    settled(host)


def test_a_failed_rehearsal(host):
    host.restart_keeper(dict(ENV, VCC_REHEARSE_MS="500"))
    change(host, reload=host.good["reload"].replace("test = ", "test = /bin/false "))
    try:
        wait_for("it failed", lambda: host.link.status(host.socket)["targets"][0]["care"].get("rehearsal_code"))
        row = found(host, "rehearsal", "VCC-2002")
        assert row["object"] == "web" and "a renewal would not work now" in row["cause"]
    finally:
        change(host, **host.good)
    settled(host)
    host.restart_keeper(ENV)


def test_reloads_that_cannot_work(host):
    change(host, reload="kind = exec\ncommand = /nowhere/nginx -s reload\n")
    try:
        assert "command: /nowhere/nginx cannot be run" == found(host, "reload", "VCC-2707")["cause"]
        change(host, reload="kind = none\n")
        assert "nginx reads its files at a reload only" in found(host, "reload", "VCC-2707")["cause"]
        change(host, reload="kind = systemd\nunit = no-such-unit.service\n")
        assert found(host, "reload", "VCC-2707")["object"] == "web"
    finally:
        change(host, **host.good)
    settled(host)


def test_old_workers_without_a_limit(host):
    path = f"{host.base}/nginx.conf"
    text = open(path).read()
    write(path, text.replace("worker_shutdown_timeout 5s;\n", ""))
    try:
        row = found(host, "drain", "VCC-2709", "warning")
        assert path in row["cause"] and "worker_shutdown_timeout" in row["next"]
    finally:
        write(path, text)


def test_usage(host):
    assert run(host, "web").returncode == 2 and run(host, "--all").returncode == 2
    done = run(host, "--help")
    assert done.returncode == 0 and "--fix" in done.stdout and all(len(x) <= 80 for x in done.stdout.splitlines())
