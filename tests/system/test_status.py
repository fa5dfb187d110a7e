"""Does `vcc-agent status` tell a person what is wanted, issued, on disk and served, what comes next and what went wrong last, in 80 columns; and is health, as
the controller is told it, green exactly then?"""
import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
import threading
import time

import pytest
from cryptography import x509
from installation import ROOT, free_port, wait_for, write
from keeper_host import KeeperHost, temporary
from scene import change

VERIFIED, SETTLED, FAILED, REFUSED, KEPT = range(5)
CLOCK, STALE, DOWN, REHEARSAL, WATCH, FILES, TARGETS, JOURNAL = (1 << n for n in range(8))
FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
ENV = {"VCC_PROBE_MS": "1500", "VCC_HEAL_MS": "300", "VCC_LOOK_MS": "600"}


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
        h.good = dict(h.settings)
        yield h
    finally:
        h.stop()
        shutil.rmtree(h.dir, ignore_errors=True)


@pytest.fixture(autouse=True)
def green_again(host):
    yield
    host.write_target(**host.good)
    wait_for("all is well again", lambda: said(host)[0] == 0 and host.link.health["degraded"] == 0, 60)


def said(host, *words):
    """(exit status, text) of `vcc-agent status` on a terminal of 80 columns; nothing that it says is wider."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    p = subprocess.Popen([os.path.join(FAULTS, "vcc-agent"), "status", "--config", host.config, *words], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        text += part
    os.close(ours)
    lines = text.decode().replace("\r\n", "\n")
    if not words:
        assert all(len(line) <= 80 for line in lines.splitlines()), lines
    return p.wait(20), lines


def document(host):
    return host.link.status(host.socket)


def row(host, stem="web"):
    return next(t for t in document(host)["targets"] if t["stem"] == stem)


def becomes(host, state, degraded, code=7):
    """The target gets into this state, and the controller hears of it. Returns the text for people and the row for programs."""
    wait_for(f"it is {state}", lambda: row(host)["served_state"] == state, 30)
    wait_for("the controller is told", lambda: host.link.health["degraded"] == degraded, 30)
    status, text = said(host)
    assert status == code, text
    return text, row(host)


def nginx_serves(host, folder):
    """As after a mistake in its configuration: another pair is served, and a reload does not change that."""
    path = f"{host.base}/nginx.conf"
    text = open(path).read()
    write(path, re.sub(r"(ssl_certificate(?:_key)? )\S+/(\w+\.pem;)", rf"\1{folder}/\2", text))
    subprocess.run([host.processes["nginx"].argv[0], "-p", host.base, "-c", path, "-s", "reload"], check=True, capture_output=True)
    return text


def other_pair(host):
    folder = os.path.join(host.dir, "other")
    os.makedirs(folder, exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=other",
                    "-keyout", f"{folder}/key.pem", "-out", f"{folder}/fullchain.pem"], check=True, capture_output=True)
    return folder


def serial_on_disk(host):
    with open(f"{host.tls}/current/cert.pem", "rb") as f:
        return f"{x509.load_pem_x509_certificate(f.read()).serial_number:032X}"


def test_served(host):
    text, t = becomes(host, "served", 0, code=0)
    assert t["ok"] and t["issued"].upper() == t["on_disk_serial"].upper() == serial_on_disk(host)
    assert t["fingerprint"] == t["on_disk_fingerprint"] == t["served"] == host.check_set().hex() and t["on_disk"] == host.current()
    assert "last_code" not in t and document(host)["degraded"] == [] and document(host)["watch"] == "complete"
    line = next(x for x in text.splitlines() if x.startswith(host.cert_id))
    assert line.split()[1:5] == ["managed", t["fingerprint"][:8], host.current(), "yes"], line
    assert re.search(r" (\d+d|\d+h\d+m) +rehearsal \d+[hm]$", line), line


def test_the_document_for_programs_is_the_keepers(host):
    status, text = said(host, "-o", "json")
    theirs = json.loads(text)
    assert status == 0 and theirs["targets"][0]["cert_id"] == host.cert_id and theirs["targets"][0]["next_step"] == "rehearsal"


def test_issued_but_not_served_has_an_age(host):
    conf = nginx_serves(host, other_pair(host))
    try:
        text, t = becomes(host, "stale", STALE)
        assert host.link.health["stale"] == 1 and t["served_since"] and t["last_code"] in ("VCC-2004", "VCC-2006")
        assert re.search(r"NO \d+s ", text) and re.search(r"issued but not served since \d{4}-\d\d-\d\d \d\d:\d\d UTC \(\d+s\)", text)
        assert t["fingerprint"] != t["served"] and f"serves {t['served'][:8]}" in text and t["last_code"] in text
        assert t["issued"] == t["on_disk_serial"], "on disk is what was issued"
        time.sleep(2.1)
        age = re.search(r"NO (\d+)s ", said(host)[1])
        assert int(age[1]) >= 2, "it grows"
    finally:
        write(f"{host.base}/nginx.conf", conf)


def test_nobody_answers_is_down_not_stale(host):
    host.processes["nginx"].stop()
    try:
        text, t = becomes(host, "down", DOWN)
        assert re.search(r" down \d+s ", text) and "nobody answers since" in text and " NO " not in text
        assert t["last_code"] == "VCC-2005" and [x["fingerprint"] for x in t["listeners"]] == [None, None] and host.link.health["stale"] == 0
    finally:
        host.process("nginx", host.processes["nginx"].argv).start()


def test_one_listener_that_does_not_answer(host):
    dead = f"127.0.0.1:{free_port()}"
    change(host, verify=f"kind = tls\nconnect = 127.0.0.1:{host.port}, {dead}\n")
    text, _ = becomes(host, "partly", DOWN)
    assert " partly " in text and f"{dead} does not answer" in text


def test_a_closed_window_and_when_it_opens(host):
    begin = time.time() + 7200
    hours = "{}-{}".format(*(time.strftime("%H:%M", time.gmtime(t)) for t in (begin, begin + 3600)))
    change(host, verify=host.good["verify"] + f"[window]\nallow = * {hours} Etc/UTC\n")
    issued = row(host)["issued"]
    wait_for("the window is read", lambda: row(host).get("window"))
    key = host.renew()
    wait_for("it waits", lambda: row(host)["phase"] == "window")
    status, text = said(host)
    assert status == 0, "waiting for its window is no trouble: " + text
    assert re.search(r" window (119|120)m$| window 2h$", text, re.M) and f"waits for a window (* {hours} Etc/UTC)" in " ".join(text.split())
    assert f"opens {time.strftime('%Y-%m-%d %H:%M', time.gmtime(begin))} UTC" in " ".join(text.split())
    assert row(host)["issued"] == issued == row(host)["on_disk_serial"], "what waits is not issued yet"
    change(host, **host.good)
    host.link.receipt(key, SETTLED)
    wait_for("the new one is the issued one", lambda: row(host)["issued"] not in (issued, None) and row(host)["issued"].upper() == serial_on_disk(host))


def test_a_renewal_while_the_service_is_down_heals_and_leaves_no_error(host):
    host.processes["nginx"].stop()
    key = host.renew()
    host.link.receipt(key, KEPT)
    text, t = becomes(host, "down", DOWN)
    assert t["phase"] == "heal" and t["last_code"].startswith("VCC-2") and t["last_code"] in text and re.search(r" reload \d+s$", text, re.M)
    assert t["fingerprint"] == host.link.orders[key]["fingerprint"].hex(), "kept: it is the issued one"
    host.process("nginx", host.processes["nginx"].argv).start()
    host.link.receipt(key, SETTLED)
    wait_for("no error is left", lambda: "last_code" not in row(host), 30)
    status, text = said(host)
    assert status == 0 and "VCC-" not in text, text


def test_a_reload_that_fails_but_works_leaves_no_error(host):
    """The order is completed and flagged; what its hook said is in its receipt, and not for ever in front of people."""
    script = f"{host.dir}/reload-and-fail"
    reload = host.good["reload"].split("command = ")[1].split("\n")[0]
    write(script, f"#!/bin/sh\n{reload}\nexit 3\n", 0o755)
    change(host, reload=f"kind = exec\ncommand = {script}\ntimeout = 10s\n")
    receipt = host.link.receipt(host.renew(), SETTLED)
    assert receipt["code"] == -2201
    status, text = said(host)
    assert status == 0 and "VCC-" not in text and "last_code" not in row(host), text


def test_an_order_that_failed_is_told_until_one_goes_well(host):
    change(host, reload=host.good["reload"].replace("test = ", "test = /bin/false "))
    host.link.receipt(host.renew(), FAILED)
    status, text = said(host)
    assert status == 7 and "VCC-2002" in text and "vcc-agent doctor" in text and row(host)["ok"] is False
    host.restart_keeper(ENV)
    host.link.wait("it is back", lambda: host.link.health)
    assert row(host)["last_code"] == "VCC-2002", "a restart does not make it good"
    change(host, **host.good)
    host.link.receipt(host.renew(), SETTLED)
    wait_for("it is over", lambda: said(host)[0] == 0)
    assert "VCC-2002" not in said(host)[1]


def test_a_cancelled_order_is_no_trouble(host):
    host.link.answering = False
    try:
        key = host.renew()
        wait_for("it waits for its certificate", lambda: row(host)["phase"] == "csr")
        status, text = said(host)
        assert status == 0 and re.search(r" ask again \d+s$", text, re.M), text
        host.link.send("cancel", renewal_id=key[0], attempt=key[1], code=0, cert_id=host.cert_id)
        host.link.receipt(key, FAILED)
    finally:
        host.link.answering = True
    status, text = said(host)
    assert status == 0 and row(host)["ok"] and row(host)["last_code"] == "VCC-2012"
    host.link.receipt(host.renew(), SETTLED)
    wait_for("the next one ends it", lambda: "last_code" not in row(host))


def test_a_refused_file(host):
    path = f"{host.dir}/targets.d/shop.conf"
    write(path, "[target]\nnames = shop.clara.vcc.internal\n[files]\nmdoe = 0640\n")
    try:
        wait_for("the controller is told", lambda: host.link.health["degraded"] == TARGETS)
        status, text = said(host)
        assert status == 7 and re.search(r"^shop\.conf: VCC-1201 ", text, re.M) and "mdoe" in text
        assert document(host)["problems"][0]["from"] == "file" and row(host)["ok"]
    finally:
        os.unlink(path)


def test_files_that_cannot_be_compared_and_then_can(host):
    """The trouble goes with its cause, without an order and without a rehearsal."""
    os.chmod(f"{host.dir}/targets", 0o777)
    try:
        with open(f"{host.tls}/current/chain.pem", "a") as f:
            f.write("\n")
        wait_for("it is told", lambda: row(host).get("last_code") == "VCC-1302")
        wait_for("the controller is told", lambda: host.link.health["degraded"] == FILES)
        assert said(host)[0] == 7
    finally:
        os.chmod(f"{host.dir}/targets", 0o755)
    host.restart_keeper(ENV)  # else it is compared again within a minute
    wait_for("it is over", lambda: "last_code" not in row(host))


def test_a_second_writer_is_named(host):
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
        wait_for("the alarm", lambda: row(host)["care"]["second_writer"])
        wait_for("the controller is told", lambda: host.link.health["degraded"] & FILES)
        wait_for("it waits for the next repair", lambda: "cert.pem was changed" in said(host)[1])
        status, text = said(host)
        assert status == 7 and "a second writer undoes the repairs" in text and re.search(r" repair \d+s$", text, re.M)
    finally:
        stop.set()
        thread.join()
    host.restart_keeper(ENV)


def test_a_failed_rehearsal_is_not_green(host):
    host.restart_keeper(dict(ENV, VCC_REHEARSE_MS="500"))
    change(host, reload=host.good["reload"].replace("test = ", "test = /bin/false "))
    wait_for("the controller is told", lambda: host.link.health and host.link.health["degraded"] & REHEARSAL)
    status, text = said(host)
    assert status == 7 and "VCC-2002 at the last rehearsal: a renewal would not work now" in " ".join(text.split())
    change(host, **host.good)
    wait_for("one went well", lambda: host.link.health["degraded"] == 0)
    host.restart_keeper(ENV)


def test_changes_that_the_kernel_lost(host):
    """F13: everything is looked at and repaired, and for a while it is told that this happens here."""
    host.restart_keeper(dict(ENV, VCC_FAILPOINT="keeper.watch.overflow@1=err:EIO", VCC_OVERFLOW_MS="6000"))
    wait_for("it is in order", lambda: document(host)["watch"] == "complete" and row(host)["served_state"] == "served")
    with open(f"{host.tls}/current/chain.pem", "a") as f:
        f.write("# mine\n")
    wait_for("the controller is told", lambda: host.link.health["degraded"] & WATCH)
    status, text = said(host)
    assert document(host)["watch"] == "overflow" and document(host)["watch_overflows"] == 1 and "lost changes of files" in text
    wait_for("it is repaired", lambda: "mine" not in open(f"{host.tls}/current/chain.pem").read())
    wait_for("it is history", lambda: host.link.health["degraded"] == 0)
    assert document(host)["watch"] == "complete" and document(host)["watch_overflows"] == 1
    host.restart_keeper(ENV)


def test_no_watches_left(host):
    limit = "/proc/sys/user/max_inotify_watches"
    if not os.access(limit, os.W_OK):
        pytest.skip("the limit cannot be changed here")
    before = open(limit).read()
    try:
        with open(limit, "w") as f:
            f.write("0")
        host.link.health = None
        host.restart_keeper(ENV)
        wait_for("the controller is told", lambda: host.link.health and host.link.health["degraded"] == WATCH)
        assert document(host)["watch"] == "watches" and document(host)["degraded"] == ["watch"]
        assert "found by the clock alone" in said(host)[1]
    finally:
        with open(limit, "w") as f:
            f.write(before)
    host.restart_keeper(ENV)


def test_a_group_reads_as_one_certificate(host):
    path = f"{host.dir}/targets.d/archive-of-everything-that-is.conf"
    text = open(f"{host.dir}/targets.d/web.conf").read()
    write(path, text.split("[reload]")[0] + "[reload]\nkind = none\n[verify]\nkind = none\n")
    try:
        wait_for("two files", lambda: len(document(host)["targets"]) == 2)
        host.link.receipt(host.renew(), SETTLED)
        wait_for("it is whole", lambda: said(host)[0] == 0)
        lines = said(host)[1].splitlines()
        at = next(i for i, x in enumerate(lines) if x.startswith(host.cert_id))
        assert lines[at].split()[1:3] == ["2", "files"] and lines[at].count(row(host)["fingerprint"][:8]) == 1
        assert lines[at + 1].startswith("  archive-of-everything-that-is") and lines[at + 2].split()[:3] == ["managed", host.current(), "-"]
        assert lines[at + 3].split()[:4] == ["web", "managed", host.current(), "yes"]
    finally:
        os.unlink(path)
    wait_for("one file", lambda: len(document(host)["targets"]) == 1)


def test_many_targets_with_long_names_fit_into_the_answer(host):
    """64 target files are allowed: the whole answer arrives, however long names and paths are."""
    names, text = [], open(f"{host.dir}/targets.d/web.conf").read()
    for i in range(63):
        stem = f"n{i:02d}-" + "x" * 40
        names.append(f"{host.dir}/targets.d/{stem}.conf")
        connect = ", ".join(f"127.0.{i}.{k}:{20000 + i}" for k in range(1, 17))
        write(names[-1] + ".new", text.replace(f"cert_id = {host.cert_id}\n", f"cert_id = {stem}-{'y' * 18}\n").split("[reload]")[0]
              + f"[reload]\nkind = none\n[verify]\nkind = tls\nconnect = {connect}\n")
        os.rename(names[-1] + ".new", names[-1])
    try:
        wait_for("all are there", lambda: len(document(host)["targets"]) == 64)
        status, words = said(host)
        assert status == 0 and words.count("first order") == 63 and words.count("\nn0") == 10, words
    finally:
        for name in names:
            os.unlink(name)
    wait_for("they are gone", lambda: len(document(host)["targets"]) == 1)
