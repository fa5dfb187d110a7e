"""A running uvicorn (alone, with workers, below gunicorn) takes its next certificate without a restart; clients follow their trust files.

    python3 -m vcc_tls [--pidfile FILE] uvicorn app:app --ssl-certfile … --ssl-keyfile …      no change of the program
    import vcc_tls; vcc_tls.install()                                                         or these two, before uvicorn.run()
    from vcc_tls import post_worker_init, when_ready                                          or this, in gunicorn.conf.py

Then SIGHUP (below gunicorn SIGUSR1) reads the files again; README.md beside this file has the recipes. Needs Linux for the swap; elsewhere
install() changes nothing. Never: a handshake with files that do not fit together, a worker that ends because of a bad file, a key in a log."""
from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import functools
import hashlib
import logging
import os
import runpy
import signal
import ssl
import sys
import threading
import time
from multiprocessing.connection import wait as wait_ended
from typing import Any, Callable, Optional, Sequence

SIGHUP = getattr(signal, "SIGHUP", None)  # Windows, where developers sit, has none
SERVER_LOG, CLIENT_LOG = logging.getLogger("uvicorn.error"), logging.getLogger("vcc_tls")
STARTUP_FAILURE = 3  # uvicorn's own status for a server that could not start
KEPT = ("options", "minimum_version", "maximum_version", "verify_mode", "verify_flags", "num_tickets", "sni_callback")

_signals: set = set()  # taken by install()
_live: list = []       # (event loop, Context) of each server that was started in this process


# ---- the context: one object for its users, a new one inside for each state of the files -----------------------------------------


class Context(ssl.SSLContext):
    """Makes each new connection with the newest context that `build` could make.

    A new context instead of load_cert_chain() on the old one: nothing is half loaded when a file is bad, an authority or CRL that left the
    files is really gone, and no TLS session from before is resumed. Connections that exist keep theirs until they end.
    `build` returns (context, what it holds); `files` are its files; `follow`: look at them before each connection instead of waiting for reload()."""

    def __new__(cls, protocol: int, *_args: Any, **_kwargs: Any) -> "Context":
        return super().__new__(cls, protocol)

    def __init__(self, protocol: int, build: Callable[[], tuple], files: Sequence[str], log: logging.Logger, first: Optional[ssl.SSLContext] = None,
                 follow: bool = False):
        self._build, self._files, self._log, self._follow = build, tuple(files), log, follow
        self._lock, self._alpn = threading.Lock(), None
        self._seen = self._stamp()
        self._newest = first or build()[0]

    def _stamp(self) -> tuple:
        """Changes with every flip of `current` and every write to a file behind it."""
        def one(path: str) -> Optional[tuple]:
            try:
                s = os.stat(path)
            except OSError:
                return None
            return s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns
        return tuple(one(path) for path in self._files)

    def reload(self) -> bool:
        """Whether new connections use the files as they are now; if not, the log says why, and the old state stays in use."""
        with self._lock:
            return self._reload()

    def _reload(self) -> bool:
        self._seen = self._stamp()  # before reading: what changes after it is seen the next time
        try:
            context, what = self._build()
            if self._alpn is not None:
                context.set_alpn_protocols(self._alpn)
        except (OSError, ValueError) as e:
            self._log.error("vcc_tls: the old certificate and trust stay in use, these files cannot be used: %s: %s; %s", ", ".join(self._files), e,
                            "they are read again when they change" if self._follow else "mend them and send the signal again")
            return False
        self._newest = context
        self._log.info("vcc_tls: new connections use %s", what)
        return True

    def _current(self) -> ssl.SSLContext:
        if self._follow and self._stamp() != self._seen:
            with self._lock:
                if self._stamp() != self._seen:
                    self._reload()
        return self._newest

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self._current().wrap_bio(*args, **kwargs)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        return self._current().wrap_socket(*args, **kwargs)

    def set_alpn_protocols(self, alpn_protocols: Sequence[str]) -> None:
        with self._lock:
            self._alpn = list(alpn_protocols)
            self._newest.set_alpn_protocols(self._alpn)

    def load_cert_chain(self, *_args: Any, **_kwargs: Any) -> None:
        raise TypeError("vcc_tls: the certificate of this context comes from its files alone")

    def _ignore(self, *_args: Any, **_kwargs: Any) -> None:
        """Libraries add the public authorities unasked (requests, Debian's urllib3): here trust comes from the files alone."""

    load_verify_locations = load_default_certs = set_default_verify_paths = _ignore


def _pinned(*paths: Any) -> list:
    """The paths with each folder resolved once: a flip of `current` between two reads cannot mix two generations."""
    folders: dict = {}

    def one(path: Any) -> Optional[str]:
        if not path:
            return None
        folder, name = os.path.split(os.fspath(path))
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        return os.path.join(folders[folder], name)
    return [one(path) for path in paths]


def _crl_beside(ca: Any) -> str:
    return os.path.join(os.path.dirname(os.fspath(ca)), "crl.pem")


def _trust_crl(context: ssl.SSLContext, ca: str) -> str:
    """With a crl.pem beside the authorities, peers on it, and peers whose issuer's list is missing or too old, are refused."""
    crl = _crl_beside(ca)
    if context.verify_mode == ssl.CERT_NONE or not os.path.exists(crl):
        return ""
    try:
        context.load_verify_locations(crl)
    except OSError as e:
        raise OSError(f"{crl}: {e}") from e
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    return " and crl.pem"


def _fingerprint(certfile: str) -> str:
    """SHA-256 of the first certificate, as receipts and `vccctl cert show` have it."""
    with open(certfile, encoding="ascii", errors="replace") as f:
        body = f.read().partition(ssl.PEM_HEADER)[2].partition(ssl.PEM_FOOTER)[0]
    return hashlib.sha256(base64.b64decode(body)).hexdigest()


# ---- servers: uvicorn in this process --------------------------------------------------------------------------------------------


def _server_context(config: Any) -> Context:
    """For one uvicorn.Config that is loaded. What the program itself set on config.ssl is kept, as far as Python can read it back: KEPT and ciphers."""
    from uvicorn.config import create_ssl_context
    first = config.ssl
    ciphers = ":".join(c["name"] for c in first.get_ciphers() if c["protocol"] != "TLSv1.3")

    def build() -> tuple:
        certfile, keyfile, ca = _pinned(config.ssl_certfile, config.ssl_keyfile, config.ssl_ca_certs)
        context = create_ssl_context(certfile=certfile, keyfile=keyfile, password=config.ssl_keyfile_password, ssl_version=config.ssl_version,
                                     cert_reqs=config.ssl_cert_reqs, ca_certs=ca, ciphers=ciphers or None)
        for name in KEPT:
            if getattr(context, name) != getattr(first, name):
                setattr(context, name, getattr(first, name))
        trust = f", clients trusted by {ca}" + _trust_crl(context, ca) if ca else ""
        return context, f"certificate {_fingerprint(certfile)} of {certfile}{trust}"

    files = [os.fspath(f) for f in (config.ssl_certfile, config.ssl_keyfile, config.ssl_ca_certs) if f]
    return Context(first.protocol, build, files, SERVER_LOG, first)


def _pin_files(create_ssl_context: Callable) -> Callable:
    """uvicorn's own first reading must not meet a flip either: certificate of one generation, key of the next."""
    @functools.wraps(create_ssl_context)
    def wrapped(certfile: Any, keyfile: Any = None, *args: Any, ca_certs: Any = None, **kwargs: Any) -> ssl.SSLContext:
        certfile, keyfile, ca_certs = _pinned(certfile, keyfile, ca_certs)
        return create_ssl_context(certfile, keyfile, *args, ca_certs=ca_certs, **kwargs)
    return wrapped


def _swap_at_startup(startup: Callable) -> Callable:
    """Puts a Context in the place of config.ssl just before uvicorn gives it to its sockets."""
    @functools.wraps(startup)
    async def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        config = self.config
        if isinstance(config.ssl, ssl.SSLContext) and not isinstance(config.ssl, Context) and config.ssl_certfile:
            config.ssl = _server_context(config)
            _live.append((asyncio.get_running_loop(), config.ssl))
            config.ssl.reload()  # the files may have changed while the program started
        await startup(self, *args, **kwargs)
    return wrapped


def _on_signal(*_: Any) -> None:
    """The event loop does the work, one signal after the other: a handler may interrupt anything, also another reload."""
    for entry in list(_live):
        try:
            entry[0].call_soon_threadsafe(entry[1].reload)
        except RuntimeError:  # that server has ended
            _live.remove(entry)


def install(signum: Optional[int] = SIGHUP, pidfile: Optional[str] = None) -> None:
    """From now on each uvicorn server of this process, and of its workers, reads its files again on `signum`. Call it in the main thread.

    `pidfile` is written when the signal cannot end the process any more. What is done once is not done again."""
    if signum is None:
        return
    import uvicorn.config
    from uvicorn.server import Server
    from uvicorn.supervisors import Multiprocess
    if not _signals:
        uvicorn.config.create_ssl_context = _pin_files(uvicorn.config.create_ssl_context)
        Server.startup = _swap_at_startup(Server.startup)
        Multiprocess.__init__ = _helper_in_workers(Multiprocess.__init__)
        Multiprocess.run = _signal_to_workers(Multiprocess.run)
    if signum not in _signals:
        _signals.add(signum)
        signal.signal(signum, _on_signal)
    if pidfile:
        _write_pidfile(pidfile)


def _write_pidfile(path: str) -> None:
    with open(os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644), "w", encoding="ascii") as f:
        f.write(f"{os.getpid()}\n")
    os.rename(f"{path}.new", path)


# ---- servers: workers ------------------------------------------------------------------------------------------------------------


def _worker(target: Callable, *args: Any, **kwargs: Any) -> None:
    """What a worker of uvicorn runs first. It is a new interpreter: nothing of its parent's install() is left."""
    install()
    target(*args, **kwargs)


def _helper_in_workers(init: Callable) -> Callable:
    @functools.wraps(init)
    def wrapped(self: Any, config: Any, target: Callable, sockets: list) -> None:
        init(self, config, functools.partial(_worker, target), sockets)
    return wrapped


def _catches(pid: int, signum: int) -> bool:
    """A worker that does not catch the signal yet would die of it; it has not read its files yet either, so it needs none."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
            caught = next(line for line in f if line.startswith("SigCgt:"))
    except (OSError, StopIteration):
        return False
    return bool(int(caught.split()[1], 16) >> (signum - 1) & 1)


def _signal_to_workers(run: Callable) -> Callable:
    """uvicorn's parent hands SIGHUP on. It does so instead of its own way, which (in newer versions) starts all workers anew, with a bad pair too."""
    @functools.wraps(run)
    def wrapped(self: Any) -> None:
        def forward(*_: Any) -> None:
            for process in list(self.processes):
                with contextlib.suppress(ProcessLookupError):
                    if _catches(process.pid, SIGHUP):
                        os.kill(process.pid, SIGHUP)
        signal.signal(SIGHUP, forward)
        if not hasattr(self, "keep_subprocess_alive"):
            threading.Thread(target=_end_without_workers, args=(self,), daemon=True).start()
        run(self)
    return wrapped


def _end_without_workers(parent: Any) -> None:
    """A uvicorn that does not replace its workers must not stay "active" when none is left (say, started with a bad pair): systemd starts it again."""
    while not parent.should_exit.wait(1):
        sentinels = [process.sentinel for process in list(parent.processes)]
        if len(sentinels) == parent.config.workers and len(wait_ended(sentinels, 0)) == len(sentinels) and not parent.should_exit.is_set():
            SERVER_LOG.error("vcc_tls: no worker is left, so the parent ends too; the workers' last lines above say why")
            time.sleep(0.1)
            os._exit(STARTUP_FAILURE)


# gunicorn takes these two from its configuration: `from vcc_tls import post_worker_init, when_ready`, or `gunicorn -c python:vcc_tls`.


def post_worker_init(worker: Any) -> None:
    """SIGUSR1 is what gunicorn hands on to each worker, for its log files; those are opened anew as well."""
    install(signal.SIGUSR1)

    def reopen_and_swap(*_: Any) -> None:
        worker.log.reopen_files()
        _on_signal()
    signal.signal(signal.SIGUSR1, reopen_and_swap)


def when_ready(arbiter: Any) -> None:
    """SIGHUP still starts all workers anew, for new code. With a bad pair each of them would end, again and again, and gunicorn would stay "active":
    so the workers stay as they are then, and a gunicorn that is started with a bad pair ends."""
    start_anew = arbiter.handle_hup

    def pair_is_good(otherwise: str) -> bool:
        certfile, keyfile = _pinned(arbiter.cfg.certfile, arbiter.cfg.keyfile)
        try:
            if certfile:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certfile, keyfile)
        except OSError as e:
            arbiter.log.error("vcc_tls: %s: %s, %s cannot be used: %s", otherwise, arbiter.cfg.certfile, arbiter.cfg.keyfile, e)
            return False
        return True

    def handle_hup() -> None:
        if pair_is_good("the workers are not started anew"):
            start_anew()
    if not pair_is_good("gunicorn is not started"):
        sys.exit(STARTUP_FAILURE)
    arbiter.handle_hup = handle_hup


# ---- clients ---------------------------------------------------------------------------------------------------------------------


def client_context(folder: str, pair: bool = False) -> Context:
    """For httpx, aiohttp, websockets, urllib …: trusts ca.pem of `folder` (DIR/current) alone, refuses what is on its crl.pem if there is one, and
    with `pair` shows fullchain.pem. Looks at the files before each new connection: no signal, no restart. Raises when they are bad at the start."""
    names = ("ca.pem", "fullchain.pem", "key.pem") if pair else ("ca.pem",)
    files = [os.path.join(folder, name) for name in names]

    def build() -> tuple:
        ca, *chain_and_key = _pinned(*files)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(ca)
        crl = _trust_crl(context, ca)
        if pair:
            context.load_cert_chain(*chain_and_key)
        return context, f"trust of {ca}{crl}" + (f", certificate {_fingerprint(chain_and_key[0])}" if pair else "")

    return Context(ssl.PROTOCOL_TLS_CLIENT, build, [*files, _crl_beside(files[0])], CLIENT_LOG, follow=True)


def requests_adapter(context: ssl.SSLContext) -> Any:
    """session.mount("https://", requests_adapter(client_context(DIR/current))): requests has no other way to be given a context."""
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, ssl_context=context, **kwargs)

        def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
            return super().proxy_manager_for(*args, ssl_context=context, **kwargs)

    return Adapter()


# ---- python3 -m vcc_tls ----------------------------------------------------------------------------------------------------------


def main() -> None:
    p = argparse.ArgumentParser(prog="python3 -m vcc_tls", description="Runs a Python program whose uvicorn servers read their TLS files again on SIGHUP.")
    p.add_argument("--pidfile", metavar="FILE", help="write the process id there once SIGHUP is safe")
    p.add_argument("program", help="module, as in `python3 -m MODULE` (uvicorn, backend.app), or a file FILE.py")
    p.add_argument("arguments", nargs=argparse.REMAINDER)
    a = p.parse_args()
    install(pidfile=a.pidfile)
    sys.argv = [a.program, *a.arguments]
    if a.program.endswith(".py"):
        sys.path.insert(0, os.path.dirname(os.path.abspath(a.program)))
        runpy.run_path(a.program, run_name="__main__")
    else:
        runpy.run_module(a.program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    import vcc_tls  # workers import functions of this module by its name
    vcc_tls.main()
