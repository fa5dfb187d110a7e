"""Does the admin API keep its promises: fields, codes, limits, who may do what, and refusals that help?"""
import http.client
import json
import os
import socket
import ssl

import pytest
from installation import wait_for

LIFE = "/api/v1/certificates/lifecycle"


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


@pytest.fixture(scope="module")
def api(nginx_installation):
    inst, _ = nginx_installation
    context = ssl.create_default_context(cafile=os.path.join(inst.state, "ca.pem"))
    tokens = {who: open(os.path.join(inst.state, f"{who}.token")).read().strip() for who in ("admin", "approver")}

    def call(method, path, body=None, who="admin", token=None, raw=None, headers=None, local=False):
        host = inst.admin_url.split("//")[1]
        c = Unix(os.path.join(inst.state, "run", "admin.sock")) if local else http.client.HTTPSConnection(host, context=context, timeout=30)
        h = dict(headers or {})
        if not local and (token or who):
            h["Authorization"] = "Bearer " + (token or tokens[who])
        data = raw if raw is not None else None if body is None else json.dumps(body)
        if data is not None:
            h.setdefault("Content-Type", "application/json")
        c.request(method, path, data, h)
        answer = c.getresponse()
        text = answer.read()
        c.close()
        kind = answer.getheader("Content-Type", "")
        return answer.status, json.loads(text) if "json" in kind and text else text, answer
    return call


def problem(result, status, code):
    got, body, answer = result
    assert got == status, (got, body)
    assert answer.getheader("Content-Type") == "application/problem+json"
    for field in ("type", "title", "status", "code", "object", "detail", "next", "request_id", "retryable"):
        assert field in body, field
    assert body["code"] == code and body["status"] == status, body
    return body


def test_health_needs_no_token(api):
    assert api("GET", "/healthz", who=None)[0] == 200
    status, body, _ = api("GET", "/readyz", who=None)
    assert status == 200 and body["status"] == "ready" and set(body["checks"]) == {"store", "signer", "crl", "gateway"}


@pytest.mark.parametrize("token", ["vcc_pat_wrong", "nonsense", "vcc_pat_" + "A" * 48, ""])
def test_unknown_tokens(api, token):
    headers = {"Authorization": "Bearer " + token} if token else {}
    result = api("GET", "/api/v1/whoami", who=None, headers=headers)
    problem(result, 401, "VCC-3100")


def test_whoami_and_roles(api):
    admin, approver = (api("GET", "/api/v1/whoami", who=w)[1] for w in ("admin", "approver"))
    assert admin["roles"] == ["admin"] and "approval:decide" not in admin["permissions"]
    assert "approval:decide" in approver["permissions"] and "certificate:renew" not in approver["permissions"]


def test_local_socket_is_admin_by_uid(api):
    status, body, _ = api("GET", "/api/v1/whoami", local=True)
    assert status == 200 and body["roles"] == ["admin"] and body["principal"].startswith("local:uid-")


@pytest.mark.parametrize("method,path,body", [
    ("POST", LIFE + "/renew/{cert}", {"trigger": "manual", "force": True}),
    ("POST", "/api/v1/invites", {"name": "h1", "service": "clara"}),
    ("POST", "/api/v1/agents/{agent}/evict", {}),
    ("POST", "/api/v1/agents/{agent}/ban", {}),
    ("POST", "/api/v1/certificates/{cert}/revoke", {"reason": "superseded"}),
    ("POST", LIFE + "/templates/argus_api", {"template_id": "argus_api"}),
])
def test_an_approver_changes_nothing(api, nginx_installation, method, path, body):
    _, host = nginx_installation
    path = path.format(cert=host.cert_id, agent=host.name)
    problem(api(method, path, body, who="approver"), 403, "VCC-3101")


def test_renew_answers_and_refusals(api, nginx_installation):
    inst, host = nginx_installation
    problem(api("POST", LIFE + "/renew/does-not-exist", {"trigger": "manual"}), 404, "VCC-1006")
    problem(api("POST", f"{LIFE}/renew/{host.cert_id}", {"trigger": "nonsense"}), 422, "VCC-3104")
    problem(api("POST", f"{LIFE}/renew/{host.cert_id}", {"trigger": "scheduled", "force": False}), 409, "VCC-3002")
    problem(api("POST", f"{LIFE}/renew/{host.cert_id}", {"force": "yes"}), 422, "VCC-3104")
    problem(api("POST", f"{LIFE}/renew/{host.cert_id}", {"surprise": 1}), 422, "VCC-3104")
    status, body, answer = api("POST", f"{LIFE}/renew/{host.cert_id}", {"trigger": "manual", "force": True})
    assert status == 202 and set(body) == {"renewal_id", "cert_id", "status", "estimated_completion", "trigger"}
    assert answer.getheader("Location") == f"/api/v1/renewals/{body['renewal_id']}"

    def over():
        return (r := api("GET", answer.getheader("Location"))[1])["status"] == "completed" and r
    r = wait_for("the renewal completes", over, 60)
    for field in ("renewal_id cert_id original_certificate new_certificate renewal_trigger policy status phase steps retry_count error created_at "
                  "completed_at estimated_completion").split():
        assert field in r, field
    assert [s["step"] for s in r["steps"] if s["step"] in ("issue", "flip", "verify")], r["steps"]
    assert r["error"] is None and r["renewal_trigger"] == "manual"


def test_an_open_order_refuses_a_second(api, nginx_installation):
    _, host = nginx_installation
    first = api("POST", f"{LIFE}/renew/{host.cert_id}", {"force": True})
    second = api("POST", f"{LIFE}/renew/{host.cert_id}", {"force": True})
    assert first[0] == 202
    problem(second, 409, "VCC-3001")
    wait_for("completes", lambda: api("GET", f"/api/v1/renewals/{first[1]['renewal_id']}")[1]["status"] == "completed", 60)


def test_the_brief_fields(api, nginx_installation):
    _, host = nginx_installation
    status, body, _ = api("GET", f"{LIFE}/vcc-service/{host.service}/certificates")
    assert status == 200 and body["service_name"] == host.service and body["certificate_count"] == len(body["certificates"]) == 1
    assert set(body["certificates"][0]) == {"cert_id", "subject", "expires_at", "status", "days_until_expiry"}
    problem(api("GET", f"{LIFE}/vcc-service/nothing/certificates"), 404, "VCC-1006")
    status, body, _ = api("GET", f"{LIFE}/expiring?days_ahead=3650")
    assert status == 200 and set(body) == {"total_expiring", "critical_count", "warning_count", "certificates"} and body["total_expiring"] == 1
    problem(api("GET", f"{LIFE}/expiring?days_ahead=many"), 422, "VCC-3104")
    templates = {t["template_id"]: t for t in api("GET", LIFE + "/templates")[1]["templates"]}
    for tid, days, threshold, auto in (("clara_service_auth", 730, 60, True), ("clara_model_signing", 1825, 90, False), ("covina_orchestrator", 365, 30, True),
                                       ("argus_api", 730, 45, True), ("veritas_pipeline", 365, 30, True)):
        t = templates[tid]
        assert (t["validity_period_days"], t["renewal_threshold_days"], t["auto_renewal_enabled"]) == (days, threshold, auto), tid
    assert {"vpb_service", "external_service", "operator_admin"} <= set(templates)


def test_templates_are_versioned_and_checked(api):
    status, t, _ = api("GET", LIFE + "/templates/veritas_pipeline")
    assert status == 200
    edit = {k: v for k, v in t.items() if k not in ("validity_period_days", "validity_seconds", "renewal_threshold_days", "emergency_threshold_days", "version", "created_at")}
    edit.update(description="changed", renewal_threshold="40d", emergency_threshold="7d")
    status, body, _ = api("POST", LIFE + "/templates/veritas_pipeline", edit)
    assert status == 202 and body["template_id"] == "veritas_pipeline" and body["version"] == t["version"] + 1, body
    assert api("GET", LIFE + "/templates/veritas_pipeline")[1]["renewal_threshold_days"] == 40
    edit["renewal_threshold"] = "360d"
    bad = problem(api("POST", LIFE + "/templates/veritas_pipeline", edit), 422, "VCC-3010")
    assert "renewal_threshold" in bad["detail"] + bad["object"]
    problem(api("POST", LIFE + "/templates/veritas_pipeline", dict(edit, surprise=1)), 422, "VCC-3104")


def test_bodies_are_limited(api, nginx_installation):
    _, host = nginx_installation
    path = f"{LIFE}/renew/{host.cert_id}"
    problem(api("POST", path, raw="{"), 422, "VCC-3104")
    problem(api("POST", path, raw="[1]"), 422, "VCC-3104")
    problem(api("POST", path, raw='{"force": true, "force": false}'), 422, "VCC-3104")
    problem(api("POST", path, raw='{"a":' + "[" * 40 + "]" * 40 + "}"), 422, "VCC-3104")
    problem(api("POST", path, raw='{"a":[' + "1," * 100001 + "1]}"), 422, "VCC-3104")
    try:
        assert api("POST", path, raw='{"a":"' + "x" * (1 << 20) + '"}')[0] == 413
    except OSError:
        pass  # refused by its length: the rest was not read, which a client may see before the answer


def test_a_body_of_another_type_is_refused_by_its_type(api):
    """Nobody takes it for a field at fault: what a client has to change is its header."""
    path = "/api/v1/tokens"
    for kind in ("application/x-www-form-urlencoded", "text/plain", "text/json", "application/jsonx", "application/json-patch+json", "application/problem+json", ";", "json"):
        said = problem(api("POST", path, raw="{}", headers={"Content-Type": kind}), 415, "VCC-3108")
        assert said["object"] == "Content-Type" and kind in said["detail"] and not said["retryable"] and "application/json" in said["next"], said
    for kind in ("application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=utf-8", "application/json ;a=b"):
        problem(api("POST", path, raw="{", headers={"Content-Type": kind}), 422, "VCC-3104")
    for path, routes in api("GET", "/api/v1/openapi.json")[1]["paths"].items():
        for method, route in routes.items():
            assert ("415" in route["responses"]) == (method != "get"), (method, path)


@pytest.mark.parametrize("field", ["reason", "comment"])
def test_a_reason_is_one_line_of_text(api, field):
    """On every route, before anything is done or written down: the trail is read on terminals."""
    for path, routes in api("GET", "/api/v1/openapi.json")[1]["paths"].items():
        for method, route in routes.items():
            if method == "get":
                continue
            said = problem(api(method.upper(), path.replace("{", "").replace("}", ""), {field: "\x1b[2J"}, who="approver" if route["x-permission"] == "approval:decide" else "admin"), 422, "VCC-3104")
            assert said["object"] == field and "control characters" in said["detail"], said
    for bad in ("two\nlines", "a\ttab", "\x07", "\x7f", "\r", "\x9b31m", "\u202eback", "\u2066in", "\u2028"):
        problem(api("POST", "/api/v1/agents/nobody/evict", {field: bad}), 422, "VCC-3104")
    break_glass = "/api/v1/audit?event=break_glass_access&limit=1"
    before = api("GET", break_glass)[1]["items"]
    problem(api("POST", "/api/v1/agents/nobody/evict", {field: "\x1b[2J"}, local=True), 422, "VCC-3104")
    assert api("GET", break_glass)[1]["items"] == before, "no break-glass record of what did not begin"
    problem(api("POST", "/api/v1/agents/nobody/evict", {field: "sehr böse ☠"}), 404, "VCC-1006")


def test_unknown_paths_and_methods(api):
    problem(api("GET", "/api/v1/nothing"), 404, "VCC-3102")
    problem(api("GET", "/nothing"), 404, "VCC-3102")
    problem(api("DELETE", "/api/v1/agents"), 405, "VCC-3103")
    problem(api("GET", "/api/v1/certificates/%2e%2e"), 404, api("GET", "/api/v1/certificates/%2e%2e")[1]["code"])


def test_lists_page_by_cursor(api):
    seen, cursor = [], ""
    for _ in range(50):
        body = api("GET", f"/api/v1/renewals?limit=1{cursor}")[1]
        seen += [i["renewal_id"] for i in body["items"]]
        if not body["next_cursor"]:
            break
        cursor = "&cursor=" + body["next_cursor"]
    assert len(seen) >= 2 and len(set(seen)) == len(seen)
    whole = [i["renewal_id"] for i in api("GET", "/api/v1/renewals?limit=500")[1]["items"]]
    assert whole == seen
    for bad in ("limit=0", "limit=501", "limit=x", "cursor=%21"):
        problem(api("GET", f"/api/v1/renewals?{bad}"), 422, "VCC-3104")


def test_public_listener_gives_only_revocation_and_cas(nginx_installation):
    inst, _ = nginx_installation
    import urllib.error
    import urllib.request
    for path, ok in (("/ca/root-1.cer", True), ("/ca/service-1.cer", True), ("/ca/agent-1.cer", True), ("/crl/all.pem", True), ("/crl/root-1/0.crl", True),
                     ("/ca/nothing.cer", False), ("/ca/../../etc/passwd", False), ("/api/v1/whoami", False), ("/healthz", False), ("/crl/service-1/99999.crl", False)):
        try:
            status = urllib.request.urlopen(inst.public_url + path, timeout=10).status
        except urllib.error.HTTPError as e:
            status = e.code
        assert (status == 200) == ok, (path, status)


def test_a_comment_stands_in_the_trail(api):
    """Why a certificate was put on hold, and why it may go on, as whoever did it wrote."""
    cert_id = api("GET", "/api/v1/certificates")[1]["items"][0]["cert_id"]
    for verb, event in (("suspend", "certificate_suspended"), ("resume", "certificate_resumed")):
        status, body = api("POST", f"/api/v1/certificates/{cert_id}/{verb}", {"comment": f"a test of {verb}"})[:2]
        assert status in (200, 202), body
        record = api("GET", f"/api/v1/audit?event={event}&limit=1")[1]["items"][0]
        assert record["object"] == cert_id and record["reason"] == f"a test of {verb}", record
