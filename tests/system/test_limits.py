"""Is who asks too often told when to come back, and does nobody else feel it?"""
import http.client
import json
import os
import re
import shutil
import ssl
import subprocess

import pytest
from conftest import new_folder
from installation import wait_for
from rights_estate import Estate

ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
WHOAMI = "/api/v1/whoami"


@pytest.fixture(scope="module")
def estate():
    folder = new_folder("limits")
    e = Estate(folder, {"controller.limits.requests_per_second": "20"})
    try:
        yield e
    finally:
        e.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Caller:
    """(status, headers, body) over one connection."""

    def __init__(self, e, token=None):
        context = ssl.create_default_context(cafile=os.path.join(e.inst.state, "ca.pem"))
        self.connection = http.client.HTTPSConnection(e.inst.admin_url.split("//")[1], context=context, timeout=30)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def __call__(self, path=WHOAMI):
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())


def is_refusal(answer, code):
    status, headers, body = answer
    return (status == 429 and body["code"] == code and body["retryable"] is True and int(headers["retry-after"]) >= 1 and
            ID.fullmatch(body["request_id"]) and headers["x-request-id"] == body["request_id"])


def test_so_many_a_second(estate):
    api, other = (Caller(estate, estate.principal(name, ["viewer"])) for name in ("hasty", "calm"))
    answers = [api() for _ in range(1000)]
    refused = [a for a in answers if a[0] == 429]
    assert refused and [a[0] for a in answers[:40]] == [200] * 40, "twice as many at once as in a second"
    assert {a[0] for a in answers} == {200, 429} and all(is_refusal(a, "VCC-3155") for a in refused)
    assert other()[0] == 200, "one principal's haste is nobody else's"
    inst = estate.inst
    done = subprocess.run([inst.bin("vccctl"), "--socket", os.path.join(inst.state, "run", "admin.sock"), "status"], capture_output=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    wait_for("its bucket fills", lambda: api()[0] == 200)


def test_it_is_the_principal_that_counts(estate):
    """More tokens are not more requests."""
    first = estate.principal("many-tokens", ["viewer"])
    callers = [Caller(estate, first), *(Caller(estate, estate.token("many-tokens")) for _ in range(4))]
    answers = [callers[i % 5]() for i in range(1000)]
    assert any(is_refusal(a, "VCC-3155") for a in answers)


def test_without_a_token_the_address_counts(estate):
    nobody = Caller(estate)
    assert {nobody("/healthz")[0] for _ in range(1000)} == {200, 429}
    assert Caller(estate, estate.tokens["admin"])()[0] == 200
