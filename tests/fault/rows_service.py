"""F16-F27 and T9: services and hooks that hang, lie, die, serve something else; what the controller says that must never reach a command."""
import glob
import hashlib
import os
import signal
import subprocess
import time

from fake_ca import now, spki
from fake_link import uuid7
from installation import nginx, wait_for, write
from scene import FAILED, KEPT, REFUSED, SETTLED, VERIFIED, change, read_anew, refused, renewed, script
from test_keeper_groups import NO_EFFECT, Member

HOOK_FAILED, WAS_DOWN = 8, 4


def nginx_command(host):
    return f"{nginx()} -p {host.base} -c {host.base}/nginx.conf"


# ---- F16-F20: the hook ----

def hook_hangs(scene):
    """Ignores TERM: killed with all that it started, and the old pair is back."""
    host = scene.host
    change(host, reload=script(host, "sleep 1000 &\ntrap '' TERM\nwhile :; do sleep 1; done\n") + "timeout = 1s\n")
    refused(host, FAILED, 2202)
    assert subprocess.run(["pgrep", "-f", f"{host.dir}/hook.sh"], capture_output=True).stdout == b"", "killed with its process group"


def hook_leaves_a_child(scene):
    """A child that holds the output is not waited for."""
    host = scene.host
    change(host, reload=script(host, f"sleep 86400 &\necho $! > {host.dir}/child\n{nginx_command(host)} -s reload\n"))
    key = host.renew()
    try:
        receipt = host.link.receipt(key, VERIFIED)
        assert next(s for s in receipt["steps"] if s["step"] == 7)["took_ms"] < 10000
        host.link.receipt(key, SETTLED)
    finally:
        try:
            os.kill(int(open(f"{host.dir}/child").read()), signal.SIGKILL)
        except ProcessLookupError:
            pass


def hook_says_yes_and_does_nothing(scene):
    host = scene.host
    change(host, reload=NO_EFFECT)
    receipt = refused(host, FAILED, 2004)
    assert 10 in [s["step"] for s in receipt["steps"]], "rolled back"


def hook_says_no_and_did_it(scene):
    """What is served counts: verified, with the hook's failure beside it."""
    host = scene.host
    change(host, reload=script(host, f"{nginx_command(host)} -s reload\nexit 1\n"))
    key = host.renew()
    receipt = host.link.receipt(key, SETTLED)
    assert receipt["flags"] & HOOK_FAILED and host.served() == host.link.orders[key]["fingerprint"]


def reload_kills_the_service(scene):
    """The old pair is back in place and the failure told; the reload of the way back is the attempt to start it."""
    host = scene.host
    change(host, reload=script(host, f"if [ -e {host.base}/nginx.pid ]; then {nginx_command(host)} -s stop; else {nginx_command(host)}; fi\n"))
    before = host.check_set()
    key, begun = host.renew(), time.monotonic()
    receipt = host.link.receipt(key, FAILED)
    assert time.monotonic() - begun < 100 and receipt["code"] in (-2004, -2005), receipt
    host.errors.append((receipt["code"], receipt["cause"]))
    assert host.check_set() == before
    wait_for("the way back has started it", lambda: host.served() == before, 20)
    subprocess.run([*nginx_command(host).split(), "-s", "stop"], check=True)
    wait_for("it is gone", lambda: host.served() is None and not os.path.exists(f"{host.base}/nginx.pid"))
    host.processes["nginx"].start()
    wait_for("our own serves", host.served)


# ---- F21-F23: what is served ----

def service_was_down(scene):
    """Not the swap's fault: the new pair stays, told as such, and proved when the service is back."""
    host = scene.host
    host.processes["nginx"].stop()
    key = host.renew()
    receipt = host.link.receipt(key, KEPT)
    assert receipt["flags"] & WAS_DOWN, receipt
    host.errors.append((receipt["code"], receipt["cause"]))
    host.processes["nginx"].start()
    host.link.receipt(key, SETTLED)
    assert host.served() == host.check_set() == host.link.orders[key]["fingerprint"]


def another_virtual_host(scene):
    """Two certificates on one port: asked by name, ours is found; asked by a name that the other answers, the receipt says what was seen."""
    host = scene.host
    path, other = f"{host.base}/nginx.conf", f"{host.dir}/other"
    text = open(path).read()
    os.makedirs(other, exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=other",
                    "-keyout", f"{other}/key.pem", "-out", f"{other}/cert.pem"], check=True, capture_output=True)
    block = f"""  server {{ listen 127.0.0.1:{host.port} ssl default_server; server_name other.example;
    ssl_certificate {other}/cert.pem; ssl_certificate_key {other}/key.pem; location / {{ return 200 "other\\n"; }} }}
"""
    first = host.check_set()
    before = host.served()
    write(path, text.replace("  server {", block + "  server {", 1).replace(f"server_name {host.names[0]};", f"server_name {' '.join(host.names)};"))
    subprocess.run([*nginx_command(host).split(), "-s", "reload"], check=True, capture_output=True)
    try:
        wait_for("the other one answers who names nobody", lambda: host.served() not in (before, None))
        key = host.renew()
        receipt = host.link.receipt(key, SETTLED)
        assert receipt["fingerprint"] == host.check_set() != first
        change(host, verify=host.good["verify"] + "sni = other.example\n")
        key = host.renew()
        receipt = host.link.wait("an end", lambda: next((r for r in host.link.receipts if (r["renewal_id"], r["attempt"]) == key and
                                                         r["outcome"] in (FAILED, KEPT)), None))
        assert receipt["code"] == -2006, receipt
        host.errors.append((receipt["code"], receipt["cause"]))
        assert receipt["listeners"] and receipt["listeners"][0]["proved"] is False, receipt
    finally:
        write(path, text)
        subprocess.run([*nginx_command(host).split(), "-s", "reload"], check=True, capture_output=True)
        change(host, **host.good)
    if receipt["outcome"] == KEPT:
        host.link.receipt(key, SETTLED)
    wait_for("ours alone", lambda: host.served() == host.check_set(), 20)


# ---- F24-F26 ----

def key_that_the_service_cannot_read(scene):
    """Found by an access check as that user, before the flip."""
    host = scene.host
    change(host, files="owner = root\ngroup = www-data\nmode = 0600\n")
    generation = host.current()
    refused(host, FAILED, 2008)
    assert host.current() == generation


def group_of_five(scene):
    """The third of five places does not take it: all are as they were, with one pair; mended, all have the new one."""
    members = []

    def before(host):
        members.extend(Member(host, stem) for stem in ("api", "bus", "cam", "dev"))

    host = scene.make()
    before(host)
    for m in members:
        m.write_target()
    host.link.wait("five targets", lambda: len({t["stem"] for t in host.link.targets}) == 5)

    def places():
        return [host.current(), *(m.current() for m in members)]

    def all_serve(fingerprint):
        assert [host.check_set(), host.served(), *(m.served() for m in members)] == [fingerprint] * 6

    key = host.renew()
    host.link.receipt(key, SETTLED)
    first = host.link.orders[key]["fingerprint"]
    all_serve(first)
    was = places()
    read_anew(host, lambda: members[1].write_target(reload=NO_EFFECT), members[1].stem)
    receipt = host.link.receipt(host.renew(), FAILED)
    assert receipt["code"] == -2004, receipt
    host.errors.append((receipt["code"], receipt["cause"]))
    assert places() == was
    all_serve(first)
    read_anew(host, members[1].write_target, members[1].stem)
    key = host.renew()
    host.link.receipt(key, SETTLED)
    all_serve(host.link.orders[key]["fingerprint"])


def the_old_pair_has_expired(scene):
    """The new pair cannot be proved, and the old one is worth nothing any more: it stays on the new one and says so, until it is served."""
    host = scene.host
    link = host.link
    ends_at = now() + 4
    link.answer = lambda order, csr: (link.cas.leaf(csr.public_key(), host.names, not_after=ends_at), link.cas.service.der, hashlib.sha256(spki(csr)).digest())
    link.receipt(host.renew(), SETTLED)
    link.answer = link.issue
    wait_for("the old pair has expired", lambda: now() > ends_at + 1, 20)
    change(host, reload=NO_EFFECT)
    key = host.renew()
    receipt = link.receipt(key, KEPT)
    assert receipt["code"] < 0, receipt
    host.errors.append((receipt["code"], receipt["cause"]))
    assert host.check_set() == link.orders[key]["fingerprint"], "the new one stays"
    change(host, **host.good)
    link.receipt(key, SETTLED)
    assert host.served() == host.check_set() == link.orders[key]["fingerprint"]


# ---- F27 ----

def pidfile_of_somebody_else(scene):
    """A process file that is older than its process, or of another program: nobody is signalled."""
    host = scene.host
    for which in ("recycled", "other program"):
        victim = subprocess.Popen(["/bin/sleep", "60"])
        try:
            pidfile, command = f"{host.dir}/run/{which.replace(' ', '-')}.pid", ""
            write(pidfile, f"{victim.pid}\n")
            if which == "recycled":
                os.utime(pidfile, (time.time() - 100, time.time() - 100))
            else:
                command = f"command = {nginx()}\n"
            change(host, reload=f"kind = signal\npidfile = {pidfile}\nsignal = HUP\n{command}")
            refused(host, FAILED, 2203)
            assert victim.poll() is None, which
        finally:
            victim.kill()
            victim.wait()


# ---- T9 ----

EVIL = ["$(touch {mark})", "`touch {mark}`", "; touch {mark} ;", "\n touch {mark}\n", "--config={mark}", "| touch {mark}", "%n%n%s", "../../{mark}"]


def nothing_reaches_a_command(scene):
    """Texts of a shell in every field that comes from the controller. The hook gets the words of the target file, an empty environment, nothing else."""
    host = scene.host
    mark, told = f"{host.dir}/run/mark", f"{host.dir}/run/told"
    text = script(host, f'printf "%s\\n" "$@" > {told}.args\n/usr/bin/env > {told}.env\n{nginx_command(host)} -s reload\n')
    change(host, reload=text)
    good = host.current()
    for evil in (e.format(mark=mark) for e in EVIL):
        for fields in ({"cert_id": evil}, {"names": f"DNS:{evil}"}, {"common_name": evil}, {"names": f"DNS:{host.names[0]},DNS:{evil}", "common_name": evil}):
            message = dict(renewal_id=uuid7(), attempt=1, cert_id=host.cert_id, trigger=4, key_type=0, names=f"DNS:{host.names[0]}",
                           common_name=host.names[0], deadline_at=int(now() * 1000) + 600000, post_validation=True, any_time=False)
            time.sleep(0.005)  # the newer order counts, and its number tells by the millisecond
            link, number = host.link, host.link.send("order", **dict(message, **fields))
            link.wait("refused, or a key that nobody will sign", lambda: number in link.acks or
                      any(m["renewal_id"] == message["renewal_id"] for m in (*link.receipts, *link.csrs)), 20)
    assert host.current() == good
    host.link.answer = lambda order, csr: (host.link.cas.leaf(csr.public_key(), host.names, cn=EVIL[0].format(mark=mark)), host.link.cas.service.der,
                                           hashlib.sha256(spki(csr)).digest())
    refused(host, REFUSED, 1407)
    host.link.answer = host.link.issue
    receipt = renewed(host)
    assert receipt["outcome"] == SETTLED
    words = host.settings["reload"].split("command = ")[1].split("\n")[0].split()[1:]
    assert open(f"{told}.args").read().split("\n")[:-1] == words
    names = {line.split("=", 1)[0] for line in open(f"{told}.env").read().splitlines()}
    assert names <= {"PATH", "LANG", "LC_ALL", "PWD", "SHLVL", "_"}, names
    left = [p for p in glob.glob(f"{host.dir}/**/*mark*", recursive=True)]
    assert not left and not os.path.exists("/mark"), left
