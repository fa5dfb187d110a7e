"""A controller that lies, hooks that fail, files that are not as they must be: nothing half-applied, the old pair is served, the receipt says why."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fake_ca import DAY, Authorities, now, spki, spki_hash
from installation import ROOT, free_port, nginx, wait_for, write
from keeper_host import KeeperHost, temporary
from scene import change
from wire_tables import body_decode, body_encode, encode

VERIFIED, SETTLED, FAILED, REFUSED, KEPT = range(5)
HOOK_FAILED, WAS_DOWN = 8, 4
FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
ENV = {"VCC_PROBE_MS": "1500", "VCC_HEAL_MS": "300"}


@pytest.fixture(scope="module")
def host():
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    folder = temporary()
    h = KeeperHost(folder, FAULTS)
    try:
        h.settings["verify"] = f"kind = tls\nconnect = 127.0.0.1:{h.port}\n"
        h.good = dict(h.settings)
        h.start()
        h.restart_keeper(ENV)
        h.link.wait("hello", lambda: h.link.hello)
        yield h
    finally:
        h.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def good_settings(host):
    yield
    host.link.answer = host.link.issue
    change(host, **host.good)


def script(host, text):
    path = f"{host.dir}/hook.sh"
    write(path, "#!/bin/sh\n" + text, 0o755)
    os.chmod(path, 0o755)
    return f"kind = exec\ncommand = {path} {os.urandom(4).hex()}\n"


def unchanged(host, key, outcome, code):
    before, served = host.current(), host.check_set()
    receipt = host.link.receipt(key, outcome)
    assert receipt["code"] == -code, receipt
    assert receipt["cause"], "a refusal says why"
    assert host.current() == before and host.check_set() == served == host.served()
    left = os.listdir(f"{host.dir}/keeper/keys")
    assert not [name for name in left if name.startswith(str(uuid.UUID(bytes=key[0])))], f"the key of the refused order is gone: {left}"
    return receipt


def test_repaired_by_a_good_order(host):
    key = host.renew()
    host.link.receipt(key, SETTLED)


# ---- wrong answers ----

def answer_other_key(host, order, csr):
    other = ec.generate_private_key(ec.SECP256R1())
    certificate, chain, _ = host.link.issue(order, csr)
    return host.link.cas.leaf(other.public_key(), host.names), chain, hashlib.sha256(spki(csr)).digest()


def answer_other_stage(host, order, csr):
    certificate, chain, _ = host.link.issue(order, csr)
    return certificate, chain, b"x" * 32


def answer_other_name(host, order, csr):
    return host.link.cas.leaf(csr.public_key(), ["evil.clara.vcc.internal"], host.names[0]), host.link.cas.service.der, spki_hash_of(csr)


def answer_more_names(host, order, csr):
    return host.link.cas.leaf(csr.public_key(), host.names + ["evil.clara.vcc.internal"], host.names[0]), host.link.cas.service.der, spki_hash_of(csr)


def answer_other_common_name(host, order, csr):
    return host.link.cas.leaf(csr.public_key(), host.names, "clara.vcc.internal"), host.link.cas.service.der, spki_hash_of(csr)


def answer_expired(host, order, csr):
    certificate = host.link.cas.leaf(csr.public_key(), host.names, not_before=now() - 2 * DAY, not_after=now() - DAY / 24)
    return certificate, host.link.cas.service.der, spki_hash_of(csr)


def answer_future(host, order, csr):
    certificate = host.link.cas.leaf(csr.public_key(), host.names, not_before=now() + DAY, not_after=now() + 2 * DAY)
    return certificate, host.link.cas.service.der, spki_hash_of(csr)


def answer_foreign_ca(host, order, csr):
    foreign = Authorities()
    return foreign.leaf(csr.public_key(), host.names), foreign.service.der + foreign.root.der, spki_hash_of(csr)


def answer_without_chain(host, order, csr):
    return host.link.cas.leaf(csr.public_key(), host.names), b"", spki_hash_of(csr)


def answer_for_code_signing(host, order, csr):
    return host.link.cas.leaf(csr.public_key(), host.names, server=False), host.link.cas.service.der, spki_hash_of(csr)


def answer_an_identity(host, order, csr):
    return host.link.cas.identity(csr.public_key(), "clara01", b"h" * 32), host.link.cas.agent.der, spki_hash_of(csr)


def answer_garbage(host, order, csr):
    return b"\x30\x03\x02\x01\x00", host.link.cas.service.der, spki_hash_of(csr)


def spki_hash_of(csr):
    return hashlib.sha256(spki(csr)).digest()


WRONG = [(answer_other_key, 1405), (answer_other_stage, 2000), (answer_other_name, 1407), (answer_more_names, 1407), (answer_other_common_name, 1407),
         (answer_expired, 1406), (answer_future, 1406), (answer_foreign_ca, 1404), (answer_without_chain, 1404), (answer_for_code_signing, 1404),
         (answer_an_identity, 1404), (answer_garbage, 1403)]


@pytest.mark.parametrize("answer,code", WRONG, ids=[a.__name__[7:] for a, _ in WRONG])
def test_wrong_answer_is_refused_before_anything_is_written(host, answer, code):
    generations = sorted(os.listdir(host.tls))
    host.link.answer = lambda order, csr: answer(host, order, csr)
    unchanged(host, host.renew(), REFUSED, code)
    assert sorted(os.listdir(host.tls)) == generations


def test_clock_far_from_the_controllers(host):
    host.link.skew_ms = 2 * DAY * 1000
    host.link.welcome()
    unchanged(host, host.renew(), REFUSED, 2014)
    host.link.skew_ms = 0
    host.link.welcome()


def bundles(host):
    cas, foreign = host.link.cas, Authorities()
    def body(**more):
        old = dict(epoch=2, previous=hashlib.sha256(cas.bundle_body).digest(), threshold=1, made_at=1, roots=[{"certificate": foreign.root.der}])
        return body_encode("bundle", **dict(old, **more))
    return {"foreign": foreign.bundle(body()), "unsigned": cas.bundle(body(), signers=[cas.service]), "old epoch": cas.bundle(body(epoch=1)),
            "other history": cas.bundle(body(previous=b"p" * 32)), "no roots": cas.bundle(body(roots=[]))}


@pytest.mark.parametrize("which", ["foreign", "unsigned", "old epoch", "other history", "no roots"])
def test_foreign_bundle_is_refused(host, which):
    stored = open(f"{host.dir}/keeper/bundle", "rb").read()
    before = set(host.link.acks)
    host.link.send_raw(bundles(host)[which])
    host.link.wait("an answer", lambda: set(host.link.acks) - before or host.link.acks.get(0))
    ack = host.link.acks.pop(0)
    assert ack["code"] == -2011 and open(f"{host.dir}/keeper/bundle", "rb").read() == stored


# ---- hooks ----

def test_config_test_fails(host):
    change(host, reload=script(host, "exit 0\n") + "test = /bin/false\n")
    unchanged(host, host.renew(), FAILED, 2002)


def test_reload_fails_without_effect(host):
    change(host, reload=script(host, "echo no such service\nexit 3\n"))
    receipt = unchanged(host, host.renew(), FAILED, 2201)
    assert receipt["hook_status"] == 3 and "no such service" in receipt["cause"]
    assert 10 in [s["step"] for s in receipt["steps"]], "rolled back"


def test_the_line_that_names_the_mistake_is_told(host):
    """nginx, HAProxy and Apache say what is wrong first and that something is wrong last."""
    change(host, reload=script(host, "echo '[warn] a name is used twice'\necho '[emerg] unknown directive in site.conf:7'\necho test failed\nexit 1\n"))
    receipt = unchanged(host, host.renew(), FAILED, 2201)
    assert "site.conf:7" in receipt["cause"] and "test failed" not in receipt["cause"]


def test_reload_succeeds_without_effect(host):
    change(host, reload=script(host, "exit 0\n"))
    unchanged(host, host.renew(), FAILED, 2004)


def test_reload_hangs_and_ignores_term(host):
    change(host, reload=script(host, "trap '' TERM\nwhile :; do sleep 1; done\n") + "timeout = 1s\n")
    unchanged(host, host.renew(), FAILED, 2202)
    left = subprocess.run(["pgrep", "-f", f"{host.dir}/hook.sh"], capture_output=True).stdout
    assert left == b"", "killed with its process group"


def test_reload_works_but_says_it_failed(host):
    change(host, reload=script(host, f"{nginx()} -p {host.base} -c {host.base}/nginx.conf -s reload\nexit 1\n"))
    key = host.renew()
    receipt = host.link.receipt(key, SETTLED)
    assert receipt["flags"] & HOOK_FAILED and host.served() == host.link.orders[key]["fingerprint"]


def test_reload_leaves_a_child_that_holds_its_output(host):
    change(host, reload=script(host, f"sleep 20 &\necho $! > {host.dir}/child\n{nginx()} -p {host.base} -c {host.base}/nginx.conf -s reload\n"))
    key = host.renew()
    receipt = host.link.receipt(key, VERIFIED)
    assert next(s for s in receipt["steps"] if s["step"] == 7)["took_ms"] < 10000, "the child was not waited for"
    host.link.receipt(key, SETTLED)
    os.kill(int(open(f"{host.dir}/child").read()), signal.SIGKILL)


def test_reload_by_signal(host):
    change(host, reload=f"kind = signal\npidfile = {host.base}/nginx.pid\nsignal = HUP\ncommand = {nginx()}\n")
    key = host.renew()
    host.link.receipt(key, SETTLED)
    assert host.served() == host.link.orders[key]["fingerprint"]


@pytest.mark.parametrize("which", ["recycled", "other program", "gone", "no number", "link"])
def test_signal_never_reaches_a_wrong_process(host, which):
    victim = subprocess.Popen(["/bin/sleep", "60"])
    try:
        pidfile, command = f"{host.dir}/run/{which.replace(' ', '-')}.pid", ""
        write(pidfile, "x\n" if which == "no number" else "4194303\n" if which == "gone" else f"{victim.pid}\n")
        if which == "recycled":
            os.utime(pidfile, (time.time() - 100, time.time() - 100))
        if which == "other program":
            command = f"command = {nginx()}\n"
        if which == "link":
            os.rename(pidfile, f"{pidfile}.real")
            os.symlink(f"{pidfile}.real", pidfile)
        change(host, reload=f"kind = signal\npidfile = {pidfile}\nsignal = HUP\n{command}")
        unchanged(host, host.renew(), FAILED, 2203)
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


def test_no_hook_process(host):
    host.processes["hook"].stop()
    key = host.renew()
    before = host.current()
    receipt = host.link.receipt(key, FAILED)
    assert receipt["code"] == -1304 and host.current() == before
    host.start_hook()


def end_hook(host):
    host.processes["hook"].kill()
    host.processes["hook"].sweep()


def test_a_hook_that_comes_back_is_asked(host):
    change(host, reload=script(host, f"{nginx()} -p {host.base} -c {host.base}/nginx.conf -s reload\n"))
    end_hook(host)
    key = host.renew()
    host.link.wait("it is certified", lambda: key in host.link.orders)
    time.sleep(0.5)
    host.start_hook()
    receipt = host.link.receipt(key, SETTLED)
    assert host.served() == receipt["fingerprint"]


@pytest.mark.parametrize("times, outcome", [(1, SETTLED), (2, FAILED)])
def test_a_hook_that_ends_in_the_middle_is_asked_once_more(host, times, outcome):
    begun = f"{host.dir}/begun-{times}"
    reload = f"{nginx()} -p {host.base} -c {host.base}/nginx.conf -s reload"
    change(host, reload=script(host, f"echo x >> {begun}\n[ $(wc -l < {begun}) -gt {times} ] || exec sleep 60\n{reload}\n"))
    before, key = host.current(), host.renew()
    for n in range(1, times + 1):
        wait_for("the reload has begun", lambda: os.path.exists(begun) and len(open(begun).readlines()) == n)
        end_hook(host)
        host.start_hook()
    receipt = host.link.receipt(key, outcome)
    if outcome == SETTLED:
        assert host.served() == receipt["fingerprint"]
    else:
        assert receipt["code"] == -1304 and "ended without an answer" in receipt["cause"] and host.current() == before
    assert len(open(begun).readlines()) == times + 1, "no more reloads than that; the way back is one"


def test_restart_is_seen_as_failed_handshakes(host):
    command = f"{nginx()} -p {host.base} -c {host.base}/nginx.conf"
    change(host, reload=script(host, f"{command} -s stop\nsleep 0.5\n{command}\n"))
    key = host.renew()
    try:
        receipt = host.link.receipt(key, SETTLED)
        assert receipt["probes_failed"] > 0 and host.served() == receipt["fingerprint"]
    finally:
        subprocess.run([*command.split(), "-s", "stop"], check=True)
        wait_for("nginx is gone", lambda: host.served() is None)
        host.processes["nginx"].start()
        wait_for("nginx serves", host.served)


def test_service_was_down(host):
    host.processes["nginx"].stop()
    key = host.renew()
    receipt = host.link.receipt(key, KEPT)
    assert receipt["flags"] & WAS_DOWN
    host.processes["nginx"].start()
    host.link.receipt(key, SETTLED)
    assert host.served() == host.check_set() == host.link.orders[key]["fingerprint"]


def test_listener_that_never_answers_is_named_and_may_be_corrected(host):
    """The corrected file counts at once, also while the proof is still sought at the old listeners."""
    dead = f"127.0.0.1:{free_port()}"
    change(host, verify=f"kind = tls\nconnect = 127.0.0.1:{host.port}, {dead}\n")
    key = host.renew()
    receipt = host.link.receipt(key, KEPT)
    assert receipt["code"] == -2005 and dead in receipt["cause"], receipt
    change(host, **host.good)
    host.link.receipt(key, SETTLED)
    assert host.served() == host.check_set() == host.link.orders[key]["fingerprint"]


# ---- target files, as `vcc-agent status` shows them ----

def status(host):
    argv = [os.path.join(FAULTS, "vcc-agent"), "status", "--config", host.config]
    text = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    return json.loads(subprocess.run([*argv, "-o", "json"], capture_output=True, text=True, timeout=20).stdout)["problems"], text


def test_file_that_cannot_be_read_is_shown(host):
    path = f"{host.dir}/targets.d/web.conf"
    good = open(path).read()
    try:
        write(path, good.replace("mode =", "mdoe ="))
        wait_for("the mistake is seen", lambda: status(host)[0])
        problems, text = status(host)
        assert len(problems) == 1 and problems[0]["file"] == "web" and problems[0]["code"] == "VCC-1201" and "mdoe" in problems[0]["text"]
        assert text.returncode == 7 and "VCC-1201" in text.stdout and "web.conf:" in text.stdout
    finally:
        write(path, good)
    wait_for("the file is read", lambda: not status(host)[0])
    assert status(host)[1].returncode == 0


def test_what_the_controller_says_against_a_target_is_shown(host):
    host.link.refuse_targets = (-3007, "there is no template `clara_servce_auth`")
    try:
        change(host, target="service = clara\n")
        wait_for("the refusal is seen", lambda: status(host)[0])
        problems, text = status(host)
        assert problems[0]["code"] == "VCC-3007" and "clara_servce_auth" in text.stdout and text.returncode == 7
    finally:
        host.link.refuse_targets = None
        change(host, target="")
    wait_for("nothing is said against it", lambda: not status(host)[0])


def test_status_without_a_keeper_says_what_to_do(host):
    config = f"{host.dir}/elsewhere.conf"
    write(config, f"[agent]\nstate_dir = {host.dir}/nowhere\nkeeper_socket = {host.dir}/nowhere.sock\n")
    done = subprocess.run([os.path.join(FAULTS, "vcc-agent"), "status", "--config", config], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and ("VCC-2303" if os.geteuid() == 0 else "VCC-1304") in done.stderr, done.stderr


# ---- files ----

def test_key_that_the_service_could_not_read(host):
    change(host, files="owner = root\ngroup = www-data\nmode = 0600\n")
    unchanged(host, host.renew(), FAILED, 2008)


def test_unknown_group(host):
    change(host, files="owner = root\ngroup = no-such-group\nmode = 0640\n")
    unchanged(host, host.renew(), FAILED, 2010)


def test_folder_that_others_may_write(host):
    os.chmod(f"{host.dir}/targets", 0o777)
    try:
        unchanged(host, host.renew(), REFUSED, 1302)
    finally:
        os.chmod(f"{host.dir}/targets", 0o755)


def test_symlinked_parent(host):
    os.rename(f"{host.dir}/targets", f"{host.dir}/elsewhere")
    os.symlink("elsewhere", f"{host.dir}/targets")
    try:
        unchanged(host, host.renew(), REFUSED, 1302)
    finally:
        os.unlink(f"{host.dir}/targets")
        os.rename(f"{host.dir}/elsewhere", f"{host.dir}/targets")


def test_current_leads_elsewhere(host):
    """Out of the folder it is never followed: the link is made ours again, and the next order finds it so."""
    link = f"{host.tls}/current"
    host.link.receipt(host.renew(), SETTLED)
    aside = f"{host.dir}/current.evil"   # in one step: in between, the keeper would have put its own link there
    os.symlink("../../service", aside)
    os.rename(aside, link)
    wait_for("current leads to a generation", lambda: os.readlink(link).startswith("g"))
    assert host.check_set() == host.served()
    key = host.renew()
    host.link.receipt(key, SETTLED)
    assert host.check_set() == host.link.orders[key]["fingerprint"] == host.served()


# ---- state ----

def test_second_keeper(host):
    p = subprocess.run([os.path.join(FAULTS, "vcc-keeper"), "--config", host.config], capture_output=True, text=True, timeout=20)
    assert p.returncode == 1 and "VCC-1305" in p.stderr


def test_joined_once(host):
    done = host.link.join(os.path.join(FAULTS, "vcc-keeper"), "--config", host.config)
    assert done["code"] in (-1305, -3205)
    host.link.close()
    host.processes["keeper"].stop()
    done = host.link.join(os.path.join(FAULTS, "vcc-keeper"), "--config", host.config)
    assert done["code"] == -3205
    host.start_keeper(ENV)


@pytest.mark.parametrize("name", ["host.key", "identity", "bundle", "journal"])
@pytest.mark.parametrize("how", ["cut", "flipped", "zeroed"])
def test_damaged_state_stops_with_a_clear_error(host, name, how):
    host.link.close()
    host.processes["keeper"].stop()
    path = f"{host.dir}/keeper/{name}"
    good = open(path, "rb").read()
    if how == "cut":
        bad = good[:len(good) // 2]
    elif how == "flipped":
        at = len(good) // 3
        bad = good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1:]
    else:
        bad = bytes(len(good))
    with open(path, "r+b") as f:
        f.write(bad)
        f.truncate(len(bad))
    try:
        if (name, how) == ("journal", "cut"):
            return  # a torn tail is what a power cut leaves: tolerated, see test_journal
        p = subprocess.run([os.path.join(FAULTS, "vcc-keeper"), "--config", host.config], capture_output=True, text=True, timeout=20)
        assert p.returncode == 1 and name in p.stderr and "VCC-1" in p.stderr, p.stderr
    finally:
        with open(path, "r+b") as f:
            f.write(good)
            f.truncate(len(good))
        host.start_keeper(ENV)
    assert host.served() == host.check_set()


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_lost_journal_is_told(host, how):
    """The host goes on, as there is nothing to restore it from, but not without a word."""
    said = len(host.log("keeper"))
    assert how == "empty" or "is missing or empty" not in host.log("keeper"), "a first start has none and says nothing"
    host.link.close()
    host.processes["keeper"].stop()
    path = f"{host.dir}/keeper/journal"
    os.unlink(path)
    if how == "empty":
        write(path, "", 0o600)
        os.chown(path, os.stat(f"{host.dir}/keeper").st_uid, -1)
    for _ in range(2):
        host.start_keeper(ENV)
        wait_for("the keeper runs", lambda: "keeper runs" in host.log("keeper")[said:])
        warned = [x for x in host.log("keeper")[said:].splitlines() if "VCC-1308 journal: is missing or empty" in x]
        assert len(warned) == 1 and warned[0].startswith("<4>") and "Next: " in warned[0], warned
        host.link.close()
        host.processes["keeper"].stop()  # and at the next start there is nothing to say
    host.start_keeper(ENV)
    assert host.served() == host.check_set()
