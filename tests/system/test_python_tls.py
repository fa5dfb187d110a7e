"""The helper for Python services, alone: does a signal swap certificate and trust in every worker without a failed handshake, does a bad file change
nothing, and do clients follow their trust? (Below a real agent: test_python.py.)"""
import http.client
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time

import pytest
from fake_ca import Authorities
from handshakes import Load
from installation import Process, connects, free_port, wait_for, write
from python_service import ENV, NAME, PYTHON, ROOT, SERVERS, argv, ask, reload_signal, served_by_each
from target_folder import Target

sys.path.insert(0, os.path.join(ROOT, "packaging", "python"))
import vcc_tls  # noqa: E402



class Service:
    """One Python service on a target folder."""

    def __init__(self, folder, server, target, *more, command=None, wait=True):
        self.wait, self.port, self.server, self.pidfile, self.log = wait, free_port(), server, os.path.join(folder, "service.pid"), os.path.join(folder, "service.log")
        words = [w.replace("PORT", str(self.port)) for w in command] if command else argv(server, self.port, target.dir, self.pidfile, *more)
        self.process = Process(server, words, self.log, ENV)

    def __enter__(self):
        self.process.start()
        try:
            if self.wait:
                wait_for("the service listens", lambda: connects("127.0.0.1", self.port) or not self.process.running())
                served_by_each(self.port, SERVERS[self.server])
        except Exception:
            self.process.stop()
            print(self.text())
            raise
        return self

    def __exit__(self, *_):
        self.process.stop()

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def signal(self):
        """To the process of the pid file, as vcc-hook does."""
        with open(self.pidfile) as f:
            pid = int(f.read())
        assert pid == self.process.pid
        os.kill(pid, reload_signal(self.server))

    def serves(self, fingerprint, seconds=30):
        """Until each worker serves this certificate alone; their pids."""
        end = time.monotonic() + seconds
        while True:
            seen = served_by_each(self.port, SERVERS[self.server])
            if all(f == {fingerprint} for f in seen.values()):
                return set(seen)
            assert time.monotonic() < end, f"{fingerprint} is not served by all: {seen}\n{self.text()}"


@pytest.fixture(scope="module")
def cas():
    return Authorities()


@pytest.fixture
def target(folder, cas):
    return Target(os.path.join(folder, "tls"), cas)


# ---- servers ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", SERVERS)
def test_a_signal_swaps_the_pair_of_every_worker_under_load(folder, target, server):
    with Service(folder, server, target) as service:
        with Load([("127.0.0.1", service.port)], NAME, clients=4, pause=0.01) as load:
            pids = None
            for _ in range(5):
                fingerprint = target.next()
                service.signal()
                now_serving = service.serves(fingerprint)
                assert pids in (None, now_serving), "nobody was started anew"
                pids = now_serving
            wait_for("more than fifty came through", lambda: load.ok > 50)
        assert load.failed == 0, load.errors[:5]
        assert len(load.seen) >= 5
        assert service.text().count(f"vcc_tls: new connections use certificate {fingerprint} of") == SERVERS[server]


@pytest.mark.parametrize("server", ["uvicorn", "workers", "gunicorn"])
def test_a_bad_pair_changes_nothing_and_is_told_in_one_line(folder, target, server):
    with Service(folder, server, target) as service:
        fingerprint = target.next()
        service.signal()
        pids = service.serves(fingerprint)
        with Load([("127.0.0.1", service.port)], NAME) as load:
            for kind in ("other key", "empty", "garbage", "no key"):
                before = len(service.text())
                target.bad(kind)
                service.signal()
                new = wait_for(f"{kind}: each worker says so", lambda: (t := service.text()[before:]).count("vcc_tls") >= SERVERS[server] and t)
                lines = [x for x in new.splitlines() if "vcc_tls" in x or "Traceback" in x]
                assert len(lines) == SERVERS[server] and all("ERROR" in x and "key.pem" in x and "stay in use" in x for x in lines), new
                assert service.serves(fingerprint) == pids, kind
                last, fingerprint = fingerprint, target.next()
                service.signal()
                assert service.serves(fingerprint) == pids, f"mended after {kind}"
        assert load.failed == 0, load.errors[:5]


def test_a_connection_that_exists_goes_on(folder, target):
    with Service(folder, "uvicorn", target, "--timeout-keep-alive", "60") as service:
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", service.port, context=context, timeout=10)
        connection.request("GET", "/")
        first = connection.getresponse().read()
        service_socket = connection.sock
        fingerprint = target.next()
        service.signal()
        service.serves(fingerprint)
        connection.request("GET", "/")
        assert connection.getresponse().read() == first and connection.sock is service_socket
        connection.close()


@pytest.mark.parametrize("server", ["uvicorn", "workers", "gunicorn"])
def test_signals_while_it_starts_end_nobody_and_lose_nothing(folder, target, server):
    """From the moment the pid file is there, signals come without pause while the files change: the last state is served by all."""
    with Service(folder, server, target, wait=False) as service:
        wait_for("the pid file", lambda: os.path.exists(service.pidfile), step=0.001)
        end, pause = time.monotonic() + 60, 0.02
        pids = set()
        while len(pids) < SERVERS[server]:
            assert time.monotonic() < end, service.text()
            fingerprint = target.next()
            service.signal()
            time.sleep(pause)
            pause = min(pause * 1.2, 10)  # a worker that is slow to start comes to its signal handler in the end
            if connects("127.0.0.1", service.port):
                pids.update(int(p) for p in re.findall(r"Started server process \[(\d+)\]", service.text()))
        fingerprint = target.next()
        service.signal()
        serving = service.serves(fingerprint)
        if server != "gunicorn":  # gunicorn's worker dies of the signal before it has read its configuration's hook, and is replaced
            assert serving == pids


def test_a_parent_without_workers_ends(folder, target):
    """Started with a bad pair all workers of uvicorn end; then its parent must not look alive."""
    target.bad("other key")
    with Service(folder, "workers", target, wait=False) as service:
        assert service.process.popen.wait(30) == vcc_tls.STARTUP_FAILURE
        assert "no worker is left" in service.text()


def test_gunicorn_with_a_bad_pair_does_not_start(folder, target):
    target.bad("other key")
    with Service(folder, "gunicorn", target, wait=False) as service:
        assert service.process.popen.wait(30) == vcc_tls.STARTUP_FAILURE
        assert "gunicorn is not started" in service.text()


def test_gunicorn_keeps_its_workers_when_told_to_start_anew_with_a_bad_pair(folder, target):
    with Service(folder, "gunicorn", target) as service:
        fingerprint = target.next()
        service.signal()
        pids = service.serves(fingerprint)
        target.bad("other key")
        os.kill(service.process.pid, signal.SIGHUP)
        wait_for("it says so", lambda: "the workers are not started anew" in service.text())
        assert service.serves(fingerprint) == pids
        fingerprint = target.next()
        os.kill(service.process.pid, signal.SIGHUP)
        wait_for("new workers alone", lambda: not any(os.path.exists(f"/proc/{p}") for p in pids))
        anew = service.serves(fingerprint)
        assert not anew & pids
        fingerprint = target.next()
        service.signal()
        assert service.serves(fingerprint) == anew, "new workers know the signal, too"


def test_gunicorn_reopens_its_logs_as_before(folder, target):
    log = os.path.join(folder, "gunicorn.log")
    with Service(folder, "gunicorn", target, "--error-logfile", log) as service:
        os.rename(log, log + ".1")
        fingerprint = target.next()
        service.signal()
        service.serves(fingerprint)
        wait_for("both workers write to the new file", lambda: os.path.exists(log) and open(log).read().count(f"use certificate {fingerprint}") == 2)


PROGRAM = """
import sys, threading, ssl, uvicorn, vcc_tls
from asgi_app import app
vcc_tls.install(pidfile=sys.argv[3])
config = uvicorn.Config(app, port=int(sys.argv[1]), access_log=False, ssl_certfile=sys.argv[2] + "/fullchain.pem", ssl_keyfile=sys.argv[2] + "/key.pem")
config.load()
config.ssl.minimum_version = ssl.TLSVersion.TLSv1_3
server = uvicorn.Server(config)
thread = threading.Thread(target=server.run)
thread.start()
thread.join()
"""


def test_a_server_in_a_thread_keeps_what_its_program_set(folder, target):
    program = os.path.join(folder, "program.py")
    write(program, PROGRAM)
    command = [PYTHON, program, "PORT", target.current, os.path.join(folder, "service.pid")]
    with Service(folder, "program", target, command=command) as service:
        fingerprint = target.next()
        service.signal()
        service.serves(fingerprint)
        old = ssl._create_unverified_context()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            ask(service.port, old)


# ---- servers that verify their clients -------------------------------------------------------------------------------------------


def client_of(target):
    context = ssl._create_unverified_context()
    context.load_cert_chain(f"{target.current}/fullchain.pem", f"{target.current}/key.pem")
    return context


def accepted(service, context):
    """The refusal of a client certificate comes with its first read in TLS 1.3."""
    try:
        ask(service.port, context)
        return True
    except (ssl.SSLError, ConnectionError) as e:
        assert "ALERT" in str(e) or isinstance(e, ConnectionError), e
        return False


def test_the_trust_in_clients_is_swapped_as_well(folder, target, cas):
    others = Authorities()
    ours, theirs = Target(os.path.join(folder, "ours"), cas), Target(os.path.join(folder, "theirs"), others)
    command = [*argv("uvicorn", "PORT", target.dir, os.path.join(folder, "service.pid"))]
    command += ["--ssl-cert-reqs", "2", "--ssl-ca-certs", f"{target.current}/ca.pem"]
    with Service(folder, "uvicorn", target, command=command, wait=False) as service:
        def told(word):
            count = service.text().count(word)
            service.signal()
            wait_for("the files are read again", lambda: service.text().count(word) > count)

        wait_for("the service listens", lambda: connects("127.0.0.1", service.port))
        first = client_of(ours)
        assert accepted(service, first) and not accepted(service, client_of(theirs))
        target.next(trusted=others)
        told("clients trusted by")
        assert not accepted(service, first), "an authority that is gone from ca.pem is gone, and its clients resume no session"
        assert accepted(service, client_of(theirs))
        target.next(revoked=[])
        told("and crl.pem")
        assert accepted(service, first)
        target.next(revoked=[ours.cert.serial_number])
        told("and crl.pem")
        assert not accepted(service, first), "revoked"
        with open(f"{target.current}/crl.pem", "w") as f:
            f.write("not a list\n")
        told("crl.pem: ")
        assert not accepted(service, first), "still revoked: a bad list replaces nothing"
        assert accepted(service, client_of(Target(os.path.join(folder, "more"), cas)))


# ---- clients ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def peer(folder, target):
    """A service that clients talk to, under its own folder."""
    with Service(folder, "uvicorn", target) as service:
        yield service


def test_a_client_follows_ca_and_crl(folder, cas, target, peer):
    trust = Target(os.path.join(folder, "trust"), cas)
    context = vcc_tls.client_context(trust.current)
    assert ask(peer.port, context)
    trust.next(trusted=Authorities())
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        ask(peer.port, context)
    trust.next(revoked=[])
    assert ask(peer.port, context)
    trust.next(revoked=[target.cert.serial_number])
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        ask(peer.port, context)
    trust.next()
    assert ask(peer.port, context), "no list any more"


def test_nobody_takes_the_old_trust_while_another_thread_reads_the_new(folder, cas):
    """Several threads after a long rest, in which the files changed: the first reads them, the others wait for it."""
    trust, building, go = Target(os.path.join(folder, "trust"), cas), threading.Event(), threading.Event()
    context = vcc_tls.client_context(trust.current)
    build = context._build

    def slowly():
        building.set()
        assert go.wait(30)
        return build()
    context._build, old = slowly, context._newest
    trust.next(trusted=Authorities())
    taken = []
    threads = [threading.Thread(target=lambda: taken.append(context._current())) for _ in range(4)]
    threads[0].start()
    assert building.wait(30)
    for t in threads[1:]:
        t.start()
    time.sleep(0.3)
    go.set()
    for t in threads:
        t.join(30)
    assert len(taken) == 4 and old not in taken and len(set(map(id, taken))) == 1


def test_a_client_keeps_its_trust_when_the_files_are_bad(folder, cas, target, peer, caplog):
    trust = Target(os.path.join(folder, "trust"), cas)
    context = vcc_tls.client_context(trust.current)
    trust.flip({"ca.pem": "no certificate\n"})
    for _ in range(3):
        assert ask(peer.port, context)
    assert len([r for r in caplog.records if "stay in use" in r.message and "ca.pem" in r.message]) == 1, "said once, not at each connection"
    trust.next(trusted=Authorities())
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(peer.port, context)


def test_a_client_is_not_made_from_bad_files(folder):
    with pytest.raises(OSError):
        vcc_tls.client_context(os.path.join(folder, "nothing"))


def test_a_client_shows_its_next_certificate(folder, target, cas):
    own = Target(os.path.join(folder, "own"), cas)
    command = [*argv("uvicorn", "PORT", target.dir, os.path.join(folder, "service.pid")), "--ssl-cert-reqs", "2", "--ssl-ca-certs", f"{target.current}/ca.pem"]
    with Service(folder, "uvicorn", target, command=command, wait=False) as service:
        wait_for("the service listens", lambda: connects("127.0.0.1", service.port))
        context = vcc_tls.client_context(own.current, pair=True)
        assert accepted(service, context)
        target.next(revoked=[own.cert.serial_number])
        service.signal()
        wait_for("the old certificate is refused", lambda: not accepted(service, context))
        own.next()
        assert accepted(service, context)


@pytest.mark.parametrize("library", ["requests", "httpx"])
def test_libraries_take_the_context(folder, cas, target, peer, library):
    trust = Target(os.path.join(folder, "trust"), cas)
    context = vcc_tls.client_context(trust.current)
    module = pytest.importorskip(library)
    if library == "requests":
        client = module.Session()
        client.mount("https://", vcc_tls.requests_adapter(context))
        error = module.exceptions.SSLError
    else:
        client, error = module.Client(verify=context), module.ConnectError
    url, headers = f"https://localhost:{peer.port}/", {"Connection": "close"}

    def get():
        return client.get(url, headers=headers).text

    # the certificate names vpb.vcc.internal: reach it by its name without a name service
    import socket
    real = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *rest, **more: real("127.0.0.1" if host == NAME else host, *rest, **more)
    try:
        with pytest.raises(error):
            get()  # another name than the certificate's
        url = f"https://{NAME}:{peer.port}/"
        assert get().startswith("pid=")
        trust.next(trusted=Authorities())
        with pytest.raises(error):
            get()
        trust.next()
        assert get().startswith("pid=")
    finally:
        socket.getaddrinfo = real


def test_nothing_else_enters_the_context(folder, cas, target, peer):
    """Libraries add the public authorities unasked; a certificate that would be lost at the next reload is refused."""
    context = vcc_tls.client_context(Target(os.path.join(folder, "trust"), Authorities()).current)
    context.load_verify_locations(f"{target.current}/ca.pem")
    context.load_default_certs()
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(peer.port, context)
    with pytest.raises(TypeError, match="from its files alone"):
        context.load_cert_chain(f"{target.current}/fullchain.pem", f"{target.current}/key.pem")


def test_windows_has_no_such_signal():
    """Developers' machines: install() leaves everything as it is."""
    done = subprocess.run([PYTHON, "-c", "import signal; del signal.SIGHUP; import vcc_tls, uvicorn; before = uvicorn.Server.startup; vcc_tls.install(); "
                           "assert uvicorn.Server.startup is before"], env=dict(os.environ, **ENV), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
