#!/usr/bin/python3
"""The last of three tiers: requires a client certificate, answers the middle tier alone, and says whom each tier saw.

usage: tier_app.py PORT TARGET_DIR PIDFILE CLIENT   CLIENT: common name of who may ask"""
import json
import ssl
import sys

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

import vcc_tls

SAW = (b"x-nginx-saw", b"x-haproxy-saw")


def person(certificate):
    """NAME|ISSUER, the common names, of what getpeercert() gives."""
    def common_name(names):
        return next((value for name in names for key, value in name if key == "commonName"), "")
    return f"{common_name(certificate['subject'])}|{common_name(certificate['issuer'])}"


class Protocol(H11Protocol):
    """uvicorn does not tell an application who its client is."""

    def connection_made(self, transport):
        super().connection_made(transport)
        peer, app = person(transport.get_extra_info("ssl_object").getpeercert()), self.app

        async def with_peer(scope, receive, send):
            await app(dict(scope, peer=peer), receive, send)
        self.app = with_peer


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    headers = dict(scope["headers"])
    saw = [headers.get(name, b"").decode("latin-1") for name in SAW] + [scope["peer"]]
    allowed = scope["peer"].split("|")[0] == sys.argv[4]
    body = json.dumps({"saw": saw}).encode()
    await send({"type": "http.response.start", "status": 200 if allowed else 403,
                "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    port, folder, pidfile, _ = sys.argv[1:5]
    vcc_tls.install(pidfile=pidfile)
    uvicorn.run(app, host="127.0.0.1", port=int(port), http=Protocol, access_log=False, timeout_keep_alive=75, log_level="info",
                ssl_certfile=f"{folder}/current/fullchain.pem", ssl_keyfile=f"{folder}/current/key.pem",
                ssl_cert_reqs=ssl.CERT_REQUIRED, ssl_ca_certs=f"{folder}/current/ca.pem")
