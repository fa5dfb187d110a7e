#!/usr/bin/python3
"""The smallest ASGI service: answers every request with its process id. As a program it calls uvicorn.run() itself, as Clara does.

usage: asgi_app.py PORT TARGET_DIR PIDFILE"""
import os


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"pid=%d\n" % os.getpid()})


if __name__ == "__main__":
    import sys
    import uvicorn
    import vcc_tls
    port, folder, pidfile = sys.argv[1:4]
    vcc_tls.install(pidfile=pidfile)
    uvicorn.run(app, host="127.0.0.1", port=int(port), access_log=False, ssl_certfile=f"{folder}/current/fullchain.pem", ssl_keyfile=f"{folder}/current/key.pem")
