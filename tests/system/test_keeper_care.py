"""Between orders: is what somebody does to the link and the files undone, whatever happens meanwhile, is new trust swapped in and proved, is a service that serves
something else healed, and does a rehearsal show that a renewal would work, without changing anything?"""
import hashlib
import os
import shutil
import subprocess
import time

import pytest
from fake_ca import Authority, now
from installation import ROOT, wait_for, write
from keeper_host import KeeperHost, temporary
from scene import change
from tamper import edit, safely, whole
from wire_tables import body_encode

VERIFIED, SETTLED, FAILED, REFUSED, KEPT = range(5)
REPAIR, CONTENT, PROVE, HEAL, REHEARSE = range(1, 6)
UNPROVED, RELOADED, PROVED = range(3)
FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
ENV = {"VCC_PROBE_MS": "1500", "VCC_HEAL_MS": "300", "VCC_LOOK_MS": "1000"}
VERIFY_CLIENTS = "ssl_verify_client optional; ssl_client_certificate {tls}/current/ca.pem;"


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
        h.start_hook()
        h.start_keeper(ENV)
        h.link.receipt(h.renew(), SETTLED)
        yield h
    finally:
        h.stop()
        shutil.rmtree(h.dir, ignore_errors=True)


def last(host):
    return host.link.receipt_seq


def files(host):
    return whole(f"{host.tls}/current")


@pytest.mark.parametrize("what", ["elsewhere", "older", "gone", "folder", "file"])
def test_the_link_itself_is_put_back(host, what):
    wanted, current = files(host), f"{host.tls}/current"
    time.sleep(1.1)
    seq = last(host)
    if what in ("elsewhere", "older"):  # in one step: what is gone for a moment is put back in that moment
        other = f"{host.dir}/other"
        os.symlink("before" if what == "elsewhere" else sorted(n for n in os.listdir(host.tls) if n.startswith("g"))[0], other)
        os.rename(other, current)
    else:
        os.unlink(current)
    if what == "folder":
        os.mkdir(current)
    elif what == "file":
        write(current, "x")
    receipt = host.link.care(REPAIR, after=seq)
    assert "current" in receipt["cause"], receipt
    assert os.path.islink(current) and files(host) == wanted


def test_a_whole_generation_that_is_gone_is_made_again(host):
    wanted = files(host)
    time.sleep(1.1)
    seq = last(host)
    shutil.rmtree(os.path.join(host.tls, host.current()))
    host.link.care(REPAIR, after=seq)
    assert files(host) == wanted


def test_changes_while_the_keeper_was_away_are_found_at_its_start(host):
    wanted = files(host)
    host.link.close()
    host.processes["keeper"].kill()
    edit(f"{host.tls}/current/key.pem")
    seq = last(host)
    host.start_keeper(ENV)
    receipt = host.link.care(REPAIR, after=seq)
    assert "key.pem" in receipt["cause"] and files(host) == wanted


@pytest.mark.parametrize("pause", ["0", "0.001"])
def test_changes_without_end_put_no_look_off(host, pause):
    """Who touches one file all the time (a service's user owns its key) must not keep the keeper from seeing what happens to the others."""
    wanted, seq = files(host), last(host)
    folder = os.path.join(host.tls, host.current())
    touch = "import os, sys, time\nwhile True:\n    os.utime(sys.argv[1])\n    os.utime(sys.argv[2])\n    time.sleep(float(sys.argv[3]))\n"
    flood = subprocess.Popen(["/usr/bin/python3", "-c", touch, f"{folder}/cert.pem", f"{folder}/chain.pem", pause])
    try:
        time.sleep(2)
        edit(f"{folder}/ca.pem")
        began = time.monotonic()
        host.link.care(REPAIR, after=seq)
        assert time.monotonic() - began < 20, "not only by the look of every minute"
    finally:
        flood.kill()
        flood.wait()
    assert files(host) == wanted


def test_no_watches_left_is_degraded_not_blind(host):
    """F13: the limit of watches is used up: every target is compared each second, and health says so."""
    limit = "/proc/sys/user/max_inotify_watches"
    if not os.access(limit, os.W_OK):
        pytest.skip("the limit cannot be changed here")
    before = open(limit).read()
    wanted, n = files(host), len(host.log("keeper"))
    try:
        write(limit, "0")
        host.restart_keeper(ENV)
        wait_for("it says so", lambda: "cannot be watched" in host.log("keeper")[n:])
        seq = last(host)
        edit(f"{host.tls}/current/chain.pem")
        host.link.care(REPAIR, after=seq)
        assert files(host) == wanted
    finally:
        with open(limit, "w") as f:
            f.write(before)
    host.restart_keeper(ENV)


def new_bundle(host, roots, epoch):
    cas = host.link.cas
    body = body_encode("bundle", epoch=epoch, previous=hashlib.sha256(cas.bundle_body).digest(), threshold=1, made_at=int(now() * 1000),
                       roots=[{"certificate": r.der} for r in roots])
    frame = cas.bundle(body)
    cas.bundle_body = body
    host.link.send_raw(frame)


def test_a_new_trust_bundle_is_swapped_in_and_told(host):
    served, seq = host.served(), last(host)
    other = Authority("Root 2")
    new_bundle(host, [host.link.cas.root, other], 2)
    receipt = host.link.care(CONTENT, after=seq)
    assert receipt["trust_epoch"] == 2 and receipt["trust_proof"] == RELOADED and receipt["probes_failed"] == 0
    assert open(f"{host.tls}/current/ca.pem").read().count("BEGIN CERTIFICATE") == 2
    assert host.served() == served == host.check_set(), "key and certificate stay"


def nginx_reloads(host):
    subprocess.run(["/usr/sbin/nginx", "-p", host.base, "-c", f"{host.base}/nginx.conf", "-s", "reload"], check=True, capture_output=True)


def asked(host):
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{host.port}"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout


def test_trust_is_proved_by_what_the_server_asks_for(host):
    """nginx names the roots that it accepts in its CertificateRequest: these are the ones in ca.pem, or they are not."""
    path, seq = f"{host.base}/nginx.conf", last(host)
    text = open(path).read()
    write(path, text.replace("server_name", VERIFY_CLIENTS.format(tls=host.tls) + " server_name"))
    nginx_reloads(host)
    for _ in range(10):  # also the last old worker is gone
        wait_for("nginx asks for certificates", lambda: "Acceptable client certificate CA names" in asked(host))
    new_bundle(host, [host.link.cas.root, Authority("Root 3")], 3)
    receipt = host.link.care(CONTENT, after=seq)
    assert receipt["trust_epoch"] == 3 and receipt["trust_proof"] == PROVED, receipt
    write(path, text)
    nginx_reloads(host)


def test_trust_that_the_service_does_not_stand_goes_back(host):
    """The service's own test refuses the new files: the old ones stay, it is told, and tried again until it works."""
    before, seq, settings = files(host), last(host), dict(host.settings)
    host.write_target(reload=settings["reload"].replace("test = ", "test = /bin/false "))
    wait_for("the file is read", lambda: host.link.targets)
    time.sleep(0.5)
    new_bundle(host, [host.link.cas.root, Authority("Root 4")], 4)
    receipt = host.link.care(CONTENT, FAILED, after=seq)
    assert receipt["code"] == -2002 and receipt["trust_epoch"] == 0 and files(host) == before
    host.write_target(**settings)
    receipt = host.link.care(CONTENT, after=seq)
    assert receipt["trust_epoch"] == 4


def test_trust_that_the_service_was_not_told_of_goes_back(host):
    """The reload fails, and the same certificate is served as before: that says nothing about the roots."""
    before, seq, settings = files(host), last(host), dict(host.settings)
    host.write_target(reload=settings["reload"].replace("command = ", "command = /bin/false "))
    wait_for("the file is read", lambda: host.link.targets)
    time.sleep(0.5)
    new_bundle(host, [host.link.cas.root, Authority("Root 5")], 5)
    receipt = host.link.care(CONTENT, FAILED, after=seq)
    assert receipt["code"] == -2201 and receipt["trust_epoch"] == 0 and files(host) == before
    host.write_target(**settings)
    receipt = host.link.care(CONTENT, after=seq)
    assert receipt["trust_epoch"] == 5 and receipt["trust_proof"] == RELOADED


def test_settings_of_the_files_take_effect_without_an_order(host):
    seq, settings = last(host), dict(host.settings)
    host.write_target(files="owner = root\ngroup = www-data\nmode = 0440\ncombined = yes\n")
    host.link.care(CONTENT, after=seq)
    assert os.stat(f"{host.tls}/current/key.pem").st_mode & 0o777 == 0o440
    combined = open(f"{host.tls}/current/combined.pem").read()
    assert "PRIVATE KEY" in combined and combined.count("BEGIN CERTIFICATE") == 2
    seq = last(host)
    host.write_target(**settings)
    host.link.care(CONTENT, after=seq)
    assert not os.path.exists(f"{host.tls}/current/combined.pem")


def test_a_service_that_serves_something_else_is_found_and_healed(host):
    """Issued but not served: a state of its own, with its age, until a reload makes it true again."""
    path, seq = f"{host.base}/nginx.conf", last(host)
    text = open(path).read()
    other = os.path.join(host.dir, "other")
    os.makedirs(other, exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=other",
                    "-keyout", f"{other}/key.pem", "-out", f"{other}/fullchain.pem"], check=True, capture_output=True)
    write(path, text.replace(f"{host.tls}/current/", f"{other}/"))
    nginx_reloads(host)
    told = host.link.wait("it is told", lambda: next((t for t in host.link.targets if t["stale_since_at"]), None))
    assert told["code"] in (-2004, -2006) and told["stale_since_at"] > 0
    host.link.care(HEAL, FAILED, after=seq)
    assert host.link.status(host.socket)["targets"][0]["care"]["stale_since"]
    write(path, text)  # mended by a person; the keeper's next reload takes it
    receipt = host.link.care(HEAL, after=seq)
    assert receipt["code"] == 0 and host.served() == host.check_set()
    host.link.wait("it is told that all is well", lambda: host.link.targets[-1]["stale_since_at"] == 0)


def test_what_is_not_served_is_healed_also_when_another_order_fails_meanwhile(host):
    """A pair that was kept without proof is being healed; an order takes over and fails before it changes anything: the healing goes on."""
    good, no_effect = dict(host.settings), "kind = exec\ncommand = /bin/true\n"
    change(host, target="on_failure = forward\n", reload=no_effect)
    host.link.receipt(host.renew(), KEPT)
    kept = host.check_set()
    assert host.served() != kept
    change(host, reload=no_effect + "test = /bin/false\n")
    assert host.link.receipt(host.renew(), FAILED)["code"] == -2002
    assert host.served() != kept == host.check_set()
    change(host, **good)
    wait_for("it is served", lambda: host.served() == kept, 60)
    assert host.check_set() == kept
    host.link.receipt(host.renew(), SETTLED)  # what is proved by this is not proved once more beside the next test


def test_a_service_that_is_down_is_not_reloaded(host):
    n, seq = host.reloads(), last(host)
    assert n > 0
    host.processes["nginx"].stop()
    host.link.wait("it is told", lambda: host.link.targets[-1]["code"] == -2005)
    time.sleep(2)
    assert host.reloads() == n, "a reload would not start it"
    assert host.link.targets[-1]["stale_since_at"] == 0
    host.process("nginx", host.processes["nginx"].argv).start()
    host.link.wait("it is told", lambda: host.link.targets[-1]["code"] == 0)
    assert last(host) == seq


def test_what_was_told_as_down_is_told_as_well_when_an_order_heals_it(host):
    """The proof comes from the order, before the next look: nothing is left for a look to find, and the controller must hear of it all the same."""
    host.processes["nginx"].stop()
    key = host.renew()
    host.link.receipt(key, KEPT)
    host.link.wait("it is told that nobody answers", lambda: host.link.targets[-1]["code"] == -2005)
    host.process("nginx", host.processes["nginx"].argv).start()
    host.link.receipt(key, SETTLED)
    host.link.wait("it is told that all is well", lambda: host.link.targets[-1]["code"] == 0)
    assert host.served() == host.check_set() == host.link.orders[key]["fingerprint"]


def test_a_rehearsal_shows_that_a_renewal_would_work(host):
    before, served, seq = files(host), host.served(), last(host)
    generation = host.current()
    host.restart_keeper(dict(ENV, VCC_REHEARSE_MS="500"))
    receipt = host.link.care(REHEARSE, after=seq)
    assert receipt["code"] == 0 and receipt["stem"] == "web"
    assert files(host) == before and host.current() == generation and host.served() == served
    assert len([n for n in os.listdir(host.tls) if n.startswith("g")]) <= 3, "the throw-away is gone"
    host.link.wait("the target says so", lambda: host.link.targets[-1]["rehearsed_at"] > 0)


def test_a_rehearsal_that_fails_says_why_and_changes_nothing(host):
    before, seq, settings = files(host), last(host), dict(host.settings)
    host.write_target(reload=settings["reload"].replace("test = ", "test = /bin/false "))
    receipt = host.link.care(REHEARSE, FAILED, after=seq)
    assert receipt["code"] == -2002 and files(host) == before
    seq = last(host)
    host.write_target(**settings)
    host.link.care(REHEARSE, after=seq)
    host.restart_keeper(ENV)


def test_an_order_that_comes_while_a_rehearsal_makes_its_key(host):
    """The rehearsal ends there: neither its key nor its generation comes afterwards."""
    for _ in range(3):
        host.restart_keeper(dict(ENV, VCC_REHEARSE_MS="200"))
        key = host.renew()
        host.link.receipt(key, SETTLED)
    host.restart_keeper(ENV)
    issued = host.link.orders[key]["fingerprint"]
    wait_for("what is issued is served", lambda: host.served() == issued == safely(host.check_set))
    assert len([n for n in os.listdir(host.tls) if n.startswith("g")]) <= 3


def test_a_kill_in_the_middle_of_a_rehearsal(host):
    """The throw-away generation lies beside the one in use: the next start takes it away, and the service never saw it."""
    before, served, generation = files(host), host.served(), host.current()
    host.restart_keeper(dict(ENV, VCC_REHEARSE_MS="500", VCC_FAILPOINT="keeper.rehearse.written=kill"), connect=False)  # it may die before anybody is there
    wait_for("it is dead", lambda: not host.processes["keeper"].running(), 20)
    written = {n for n in os.listdir(host.tls) if n.startswith("g")}
    host.restart_keeper(ENV)
    wait_for("it is taken away", lambda: len(written) - len({n for n in os.listdir(host.tls) if n.startswith("g")} & written) == 1, 20)
    assert files(host) == before and host.current() == generation and host.served() == served


@pytest.mark.parametrize("point", ["keeper.care.write", "keeper.care.write.done", "keeper.care.flip", "keeper.care.flip.done", "keeper.care.reported"])
def test_a_kill_in_the_middle_of_a_repair(host, point):
    wanted, served = files(host), host.served()
    host.restart_keeper(dict(ENV, VCC_FAILPOINT=f"{point}=kill"))
    time.sleep(1.1)
    edit(f"{host.tls}/current/fullchain.pem")
    wait_for("it is dead", lambda: not host.processes["keeper"].running())
    host.restart_keeper(ENV)
    wait_for("repaired", lambda: safely(files, host) == wanted, 20)
    assert host.served() == served == host.check_set()


def test_an_order_in_the_middle_of_care_comes_first(host):
    seq = last(host)
    time.sleep(1.1)
    edit(f"{host.tls}/current/cert.pem")
    key = host.renew()
    host.link.receipt(key, SETTLED)
    issued = host.link.orders[key]["fingerprint"]
    wait_for("what is issued is served", lambda: host.served() == issued == safely(host.check_set))
    assert all(r["code"] == 0 for r in host.link.receipts if r["seq"] > seq)


def test_no_space_is_told_and_repaired_later(host):
    """F04: no new generation can be written: nothing changes, it is told, and done when there is space."""
    wanted, seq = files(host), last(host)
    host.restart_keeper(dict(ENV, VCC_FAILPOINT="keeper.care.write=err:ENOSPC"))
    time.sleep(1.1)
    edit(f"{host.tls}/current/cert.pem")
    receipt = host.link.care(REPAIR, FAILED, after=seq)
    assert receipt["code"] == -1301
    host.restart_keeper(ENV)
    wait_for("repaired", lambda: safely(files, host) == wanted, 20)


def window_text(minutes_from_now, minutes):
    """A window of every day that begins so many minutes from now (UTC)."""
    begin = time.time() + 60 * minutes_from_now
    return "* {}-{} Etc/UTC".format(*(time.strftime("%H:%M", time.gmtime(t)) for t in (begin, begin + 60 * minutes)))


def test_a_closed_window_holds_the_swap_and_an_emergency_passes_it(host):
    issued, settings = host.check_set(), dict(host.settings)
    host.write_target(verify=settings["verify"] + f"[window]\nallow = {window_text(120, 60)}\n")
    wait_for("the window is told", lambda: "Etc/UTC" in host.link.targets[-1]["window"])
    key = host.renew()
    wait_for("it waits", lambda: host.link.status(host.socket)["targets"][0]["phase"] == "window")
    host.restart_keeper(ENV)
    time.sleep(1.5)
    assert host.link.status(host.socket)["targets"][0]["phase"] == "window" and host.served() == issued and not host.link.outcomes(key)
    seq = last(host)
    edit(f"{host.tls}/current/cert.pem")
    host.link.care(REPAIR, after=seq)  # the care goes on meanwhile
    assert host.check_set() == issued
    with host.link.lock:
        order = host.link.orders[key]
        order["certificate"] = dict(order["certificate"], any_time=True)
    host.link.send("certificate", **order["certificate"])  # the controller has found that it cannot wait any longer
    host.link.receipt(key, SETTLED)
    assert host.served() == order["fingerprint"] == host.check_set()
    emergency = host.renew(any_time=True)
    host.link.wait("its certificate", lambda: host.link.orders[emergency]["certificate"])
    assert host.link.orders[emergency]["certificate"]["any_time"]
    host.link.receipt(emergency, SETTLED)
    host.write_target(**settings)
