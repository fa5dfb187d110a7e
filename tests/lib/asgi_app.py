#!/usr/bin/python3
"""The smallest ASGI service: answers every request with its process id. As a program it calls uvicorn.run() itself, as Clara does.
After GET /deaf the worker that answered does not hear SIGHUP any more, until it answers GET /hear.

usage: asgi_app.py PORT TARGET_DIR PIDFILE WORKERS"""
import os
import signal

heard_by = []


def hear(path):
    if path == "/deaf" and not heard_by:
        heard_by.append(signal.signal(signal.SIGHUP, lambda *_: None))
    if path == "/hear" and heard_by:
        signal.signal(signal.SIGHUP, heard_by.pop())


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    hear(scope["path"])
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
