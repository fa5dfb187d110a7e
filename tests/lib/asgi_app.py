#!/usr/bin/python3
"""The smallest ASGI service: answers every request with its process id. As a program it calls uvicorn.run() itself, as Clara does.
GET /deaf: the worker that answers does not hear SIGHUP for DEAF_SECONDS.

usage: asgi_app.py PORT TARGET_DIR PIDFILE WORKERS"""
import asyncio
import os
import signal

DEAF_SECONDS = 4


def go_deaf():
    handler = signal.signal(signal.SIGHUP, lambda *_: None)
    asyncio.get_running_loop().call_later(DEAF_SECONDS, signal.signal, signal.SIGHUP, handler)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/deaf":
        go_deaf()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"pid=%d\n" % os.getpid()})


if __name__ == "__main__":
    import sys
    import uvicorn
    import vcc_tls
    port, folder, pidfile, workers = sys.argv[1:5]
    vcc_tls.install(pidfile=pidfile)
    uvicorn.run("asgi_app:app", host="127.0.0.1", port=int(port), workers=int(workers), access_log=False,
                ssl_certfile=f"{folder}/current/fullchain.pem", ssl_keyfile=f"{folder}/current/key.pem")
