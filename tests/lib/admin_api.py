"""Asks the admin API over connections that stay open: polling costs neither a process nor a handshake. For tests that ask often."""
import http.client
import json
import ssl
import threading
import urllib.parse


class AdminApi:
    """GET alone: it may be repeated when the controller has closed the connection meanwhile. Each thread has its own connection."""

    def __init__(self, url, ca, token):
        self.address = urllib.parse.urlparse(url).netloc
        self.context = ssl.create_default_context(cafile=ca)
        self.headers = {"Authorization": f"Bearer {token}"}
        self.mine = threading.local()

    def get(self, path):
        """(status, body) of GET /api/v1/`path`; OSError when nobody answers."""
        try:
            return self._ask(path)
        except (OSError, http.client.HTTPException):
            self.mine.connection = None
        try:
            return self._ask(path)
        except http.client.HTTPException as e:
            raise OSError(f"{path}: no answer: {e!r}") from e

    def _ask(self, path):
        if getattr(self.mine, "connection", None) is None:
            self.mine.connection = http.client.HTTPSConnection(self.address, context=self.context, timeout=20)
        self.mine.connection.request("GET", f"/api/v1/{path}", headers=self.headers)
        answer = self.mine.connection.getresponse()
        return answer.status, json.loads(answer.read())
