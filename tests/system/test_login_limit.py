"""Does an address that guesses tokens come to an end of it, without anybody else noticing?"""
import base64
import http.client
import os
import shutil
import zlib

import pytest
from conftest import new_folder
from rights_estate import Api, Estate


@pytest.fixture(scope="module")
def estate():
    folder = new_folder("logins")
    e = Estate(folder)
    try:
        yield e
    finally:
        e.stop()
        shutil.rmtree(folder, ignore_errors=True)


def spelled(prefix, body):
    return (prefix + base64.urlsafe_b64encode(body + zlib.crc32(prefix.encode() + body).to_bytes(4, "big")).rstrip(b"=").decode())


def guess():
    """Of the right form, so that only the store can tell."""
    return spelled("vcc_pat_", os.urandom(32))


class From(Api):
    """A client at another address of this machine."""

    def __init__(self, inst, token, source):
        super().__init__(inst, token)
        host, port = self.address.split(":")
        self.connection = http.client.HTTPSConnection(host, int(port), context=self.context, timeout=30, source_address=(source, 0))


def test_guesses_end_and_others_go_on(estate):
    known = base64.urlsafe_b64decode(estate.tokens["admin"].removeprefix("vcc_pat_") + "=")[:36]
    assert spelled("vcc_pat_", known[:-4]) == estate.tokens["admin"], "guesses are spelled as tokens are"
    estate.admin.get("whoami")
    fresh = estate.principal("newcomer", ["viewer"], person="late")
    answers = [Api(estate.inst, guess())("GET", "/api/v1/whoami") for _ in range(25)]
    assert [status for status, _ in answers] == [401] * 20 + [429] * 5
    assert answers[-1][1]["code"] == "VCC-3661" and answers[-1][1]["retryable"] is True
    assert estate.admin.get("whoami"), "a token in use is not stopped by somebody else's guesses"
    assert Api(estate.inst, fresh)("GET", "/api/v1/whoami")[0] == 429, "nothing new is believed from there for a while"
    assert From(estate.inst, guess(), "127.0.0.2")("GET", "/api/v1/whoami")[0] == 401
    assert From(estate.inst, fresh, "127.0.0.3")("GET", "/api/v1/whoami")[0] == 200, "elsewhere it works"
    assert Api(estate.inst, "vcc_pat_short")("GET", "/api/v1/whoami")[0] == 401, "what is no token is no try"
    log = open(os.path.join(estate.inst.dir, "log", "controller.log")).read()
    assert log.count("wrong tokens came from 127.0.0.1") == 1 and "vcc_pat_" not in log


def test_a_revoked_token_counts_as_wrong(estate):
    made = estate.admin("POST", "/api/v1/tokens", {"principal": "newcomer", "label": "to be revoked"})[1]
    elsewhere = From(estate.inst, made["token"], "127.0.0.9")
    assert elsewhere("GET", "/api/v1/whoami")[0] == 200
    assert estate.admin("POST", f"/api/v1/tokens/{made['token_id']}/revoke")[0] == 200
    assert [elsewhere("GET", "/api/v1/whoami")[0] for _ in range(22)] == [401] * 20 + [429] * 2
