"""HAProxy by its runtime API: is every certificate exchanged without a reload, without a failed handshake, and with everything as before when it fails?"""
import hashlib
import os
import re
import shutil
import socket
import ssl

import checks
import pytest
from installation import ROOT, Process, free_port, wait_for, write
from lone_hook import LoneHook, make_pair
from one_service import addresses, impatient_keeper, one_service, order, renew, renew_under_load
from service_kinds import HAPROXY

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
REFUSED, NAME, LEVEL, ANSWER = -2210, -2208, -2211, -2207


@pytest.fixture(scope="module")
def installation():
    with one_service("haproxy") as pair:
        yield pair


def admin(path, command):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.settimeout(10)
        s.sendall(command + b"\n")
        said = b""
        while piece := s.recv(65536):
            said += piece
    return said.decode()


def admin_path(host):
    return os.path.join(host.dir, "service", "admin.sock")


def info(path):
    return dict(re.findall(r"^(\w+): (.*)$", admin(path, b"show info"), re.M))


def processes(pid):
    """{pid: start time in ticks since the boot} of a process and its children."""
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        pids = [str(pid), *f.read().split()]
    return {p: open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()[19] for p in pids}


def served(address, sni):
    """Fingerprint for a client that sends this SNI, or none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(address, 5) as raw, context.wrap_socket(raw, server_hostname=sni) as tls:
        return hashlib.sha256(tls.getpeercert(True)).hexdigest()


def test_renewals_without_a_reload_and_without_a_failed_handshake(installation):
    inst, host = installation
    pid, path = host.processes["haproxy"].pid, admin_path(host)
    before, before_processes = info(path), processes(pid)
    renew_under_load(inst, host)
    after = info(path)
    assert len(before_processes) > 1 and processes(pid) == before_processes, "master and worker are the same processes, none came or went"
    assert after["Pid"] == before["Pid"] and after["Start_time_sec"] == before["Start_time_sec"]
    assert int(after["Uptime_sec"]) > int(before["Uptime_sec"])
    assert "transaction" not in admin(path, b"show ssl cert"), "nothing is left open"


def test_the_default_certificate_follows(installation):
    """Clients without SNI, or with one that nobody knows, get the first certificate of the line: it must not stay behind."""
    inst, host = installation
    renew(inst, host)
    new = checks.matching_set(host.target_dir)
    for address in addresses(host):
        for sni in (host.names[0], "unknown.example", None):
            assert served(address, sni) == new, (address, sni)


def test_a_restart_loads_the_same(installation):
    """Files are in step with memory: whoever restarts HAProxy later gets the certificate that was proved."""
    inst, host = installation
    renew(inst, host)
    new = checks.served_is_issued(inst, host)
    host.processes["haproxy"].stop()
    host.processes["haproxy"].start()
    wait_for("HAProxy is back", lambda: quiet(lambda: served(addresses(host)[0], host.names[0])))
    assert served(addresses(host)[0], host.names[0]) == new
    assert checks.served_is_issued(inst, host) == new


def test_the_configuration_test_sees_the_future(installation):
    """`haproxy -c` runs before the flip, with the new generation in place of the old one."""
    inst, host = installation
    renewal = renew(inst, host)
    step = [s for s in renewal["steps"] if s["step"] == "test"]
    assert step and step[-1]["code"] in (None, 0, ""), renewal["steps"]


def quiet(call):
    try:
        return call()
    except OSError:
        return None


# ---- what fails ----
@pytest.fixture
def alone(folder):
    """A real HAProxy and the hook, without a keeper: the hook's own words."""
    with LoneHook(folder) as hook:
        hook.port = free_port()
        base = hook.base = os.path.join(folder, "service")
        os.makedirs(base)
        hook.config = HAPROXY.format(base=base, port=hook.port, second=f"127.0.0.2:{hook.port}", tls=hook.tls, user="")
        hook.admin = f"{base}/admin.sock"
        hook.target(f"kind = haproxy\nsocket = {hook.admin}\ntimeout = 5s\n")
        write(f"{base}/haproxy.cfg", hook.config)
        p = Process("haproxy", ["/usr/sbin/haproxy", "-W", "-f", f"{base}/haproxy.cfg"], f"{folder}/haproxy.log")
        hook.haproxy = p
        p.start()
        wait_for("HAProxy listens", lambda: quiet(lambda: served(("127.0.0.1", hook.port), "a.vcc.internal")))
        yield hook
        p.stop()


def of(hook, generation):
    return checks.fingerprint_of(f"{hook.tls}/{generation}/cert.pem")


def now_served(hook):
    return served(("127.0.0.1", hook.port), "a.vcc.internal")


def test_a_wrong_pair_changes_nothing(alone):
    make_pair(f"{alone.tls}/g000002")
    make_pair(f"{alone.tls}/g000003")
    shutil.copy(f"{alone.tls}/g000003/key.pem", f"{alone.tls}/g000002/key.pem")
    alone.flip("g000002")
    reply = alone.ask()
    assert reply["code"] == REFUSED and "do not belong together" in reply["output"], reply
    assert now_served(alone) == of(alone, "g000001")
    assert "transaction" not in admin(alone.admin, b"show ssl cert")
    alone.flip("g000003")
    assert alone.ask()["code"] == 0
    assert now_served(alone) == of(alone, "g000003")


@pytest.mark.parametrize("rsa", [False, True])
def test_the_pair_is_exchanged_and_comes_back(alone, rsa):
    make_pair(f"{alone.tls}/g000002", rsa=rsa)
    for generation in ("g000002", "g000001", "g000002"):
        alone.flip(generation)
        assert alone.ask()["code"] == 0
        assert now_served(alone) == of(alone, generation)


def test_a_certificate_that_is_not_pem(alone):
    make_pair(f"{alone.tls}/g000002")
    write(f"{alone.tls}/g000002/fullchain.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    alone.flip("g000002")
    assert alone.ask()["code"] == REFUSED
    assert now_served(alone) == of(alone, "g000001")


def test_a_chain_that_is_too_long_for_its_buffer(alone):
    make_pair(f"{alone.tls}/g000002")
    with open(f"{alone.tls}/g000002/cert.pem") as f:
        cert = f.read()
    with open(f"{alone.tls}/g000002/fullchain.pem", "a") as f:
        f.write(cert * 40)
    alone.flip("g000002")
    reply = alone.ask()
    assert reply["code"] == ANSWER and "tune.bufsize" in reply["output"], reply
    assert now_served(alone) == of(alone, "g000001")


def restart(alone, config):
    alone.haproxy.stop()
    write(f"{alone.base}/haproxy.cfg", config)
    alone.haproxy.start()
    wait_for("HAProxy listens", lambda: quiet(lambda: now_served(alone)))


def test_a_socket_without_the_right(alone):
    restart(alone, alone.config.replace("level admin", "level operator"))
    assert alone.ask()["code"] == LEVEL


def test_haproxy_has_loaded_another_file(alone):
    """A path into one generation is no path to the target: HAProxy would never get another certificate."""
    restart(alone, alone.config.replace("/current/", "/g000001/"))
    make_pair(f"{alone.tls}/g000002")
    alone.flip("g000002")
    reply = alone.ask()
    assert reply["code"] == NAME and "has not loaded" in reply["output"], reply


def test_a_link_and_a_list_of_certificates(alone):
    os.symlink(f"{alone.tls}/current/combined.pem", f"{alone.base}/site.pem")
    make_pair(f"{alone.dir}/other")
    write(f"{alone.base}/list", f"{alone.dir}/other/combined.pem other.example\n{alone.base}/site.pem a.vcc.internal\n")
    restart(alone, re.sub(r"crt \S+", f"crt-list {alone.base}/list", alone.config, count=1))
    make_pair(f"{alone.tls}/g000002")
    alone.flip("g000002")
    reply = alone.ask()
    assert reply["code"] == 0 and "2 certificates" in reply["output"], reply
    for address in ("127.0.0.1", "127.0.0.2"):
        assert served((address, alone.port), "a.vcc.internal") == of(alone, "g000002")
    assert served(("127.0.0.1", alone.port), "other.example") == checks.fingerprint_of(f"{alone.dir}/other/cert.pem")


def restart_managed(host, config):
    write(f"{host.dir}/service/haproxy.cfg", config)
    host.processes["haproxy"].stop()
    host.processes["haproxy"].start()
    wait_for("HAProxy is back", lambda: quiet(lambda: served(addresses(host)[0], host.names[0])))


def test_a_change_that_fails_is_rolled_back(installation):
    """HAProxy refuses: the old pair is served all the time and lies in current/ again, and the receipt says why."""
    inst, host = installation
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    inst.edit_template(host.template, max_renewal_attempts=1)
    before = checks.served_is_issued(inst, host)
    generation = os.readlink(os.path.join(host.target_dir, "current"))
    with open(f"{host.dir}/service/haproxy.cfg") as f:
        config = f.read()
    with impatient_keeper(host, FAULTS, {"VCC_PROBE_MS": "1500", "VCC_HEAL_MS": "300"}):
        restart_managed(host, config.replace("level admin", "level operator"))
        status, renewal = order(inst, host)
        assert status != 0 and renewal["status"] == "paused", renewal
        assert renewal["error"]["code"] == "VCC-2211", renewal["error"]
        assert renewal["receipts"][-1]["outcome"] == "failed"
        assert os.readlink(os.path.join(host.target_dir, "current")) == generation
        assert checks.matching_set(host.target_dir) == before
        for address in addresses(host):
            assert served(address, host.names[0]) == before
        restart_managed(host, config)
    renew(inst, host)
    assert checks.served_is_issued(inst, host) != before, "with the right given back it goes on"
