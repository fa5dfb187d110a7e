"""Does every route answer what /api/v1/openapi.json says: as every role, to good, bad and missing input? The cases are made from that
description, so that a new route is tried as soon as it is there."""
import http.client
import json
import os
import shutil
import uuid
from urllib.parse import quote

import jsonschema
import pytest
from conftest import new_folder
from contract import Caller, Contract
from installation import wait_for
from rights_estate import OWN, ROLES, Estate, routes

LIFE = "/api/v1/certificates/lifecycle"
# What a route needs beside the fields that are always needed.
ALSO = {"/api/v1/services": {"name": OWN}, LIFE + "/templates/{template_id}": {"validity_period": "730d"}, LIFE + "/emergency-recertification": {"certificate_ids": ["nobody"]}}
# These make what is not there.
MAKES = {"/api/v1/services/{service_name}"}
# Of each type what is not of it.
WRONG = {"string": 7, "boolean": "yes", "integer": "many", "number": "many", "array": "one", "object": "none"}


class Site:
    def __init__(self, folder):
        self.estate = Estate(folder, {"controller.limits.max_renewals_default": "0"})
        self.inst = self.estate.inst
        try:
            self.estate.add_hosts()
            self.host = self.estate.own
            waiting = self.estate.second_target(self.host, f"other.{OWN}.vcc.internal")
            self.request = wait_for("a request waits", lambda: self.estate.request(waiting))
            self.contract = Contract(self.estate.admin.get("openapi.json"))
            self.campaign = self.estate.admin("POST", LIFE + "/bulk-renewal", {"service_pattern": f"{self.host.cert_id}.{OWN}.vcc.internal"})[1]["campaign_id"]
            wait_for("it is over", lambda: self.estate.admin.get(f"campaigns/{self.campaign}")["completed_at"])
            self.drill = self.estate.admin("POST", "/api/v1/drills", {"selector": {"service": OWN}})[1]["drill_id"]
            wait_for("the drill is over", lambda: self.estate.admin.get(f"drills/{self.drill}")["reported_at"])
            self.notice = self.estate.admin.get("notifications?state=queued")["items"][0]["notification_id"]
            self.let_a_ca_give_way("code-signing-1")
            self.tokens = {role: self.estate.principal(f"a-{role}", [role]) for role in ROLES}
            self.by = {role: Caller(self.inst, self.contract, token) for role, token in self.tokens.items()}
            self.nobody = Caller(self.inst, self.contract)
        except BaseException:
            self.estate.stop()
            raise

    def let_a_ca_give_way(self, issuer_id):
        status, asked = self.estate.admin("POST", f"/api/v1/ca/{issuer_id}/rollover", {})
        assert status == 202, asked
        assert self.estate.approver("POST", f"/api/v1/approvals/{asked['approval_id']}/approve", {"hash": asked["approval"]["hash"]})[0] == 200
        wait_for("its successor is there", lambda: self.estate.admin.get(f"ca/{issuer_id}/rollover")["phase"] == "trust")

    def fill(self, operation, known=True):
        """The path with an object that is there, or with one that is not."""
        there = {"cert_id": self.host.cert_id, "target_id": self.host.cert_id, "service_name": self.host.service, "template_id": "clara_service_auth",
                 "seq": "0", "issuer_id": "code-signing-1", "approval_id": self.request["approval_id"], "token_id": str(uuid.UUID(int=7)),
                 "renewal_id": self.estate.admin.get(f"renewals?cert_id={self.host.cert_id}")["items"][0]["renewal_id"] if "{renewal_id}" in operation.path else "",
                 "notification_id": self.notice, "campaign_id": self.campaign, "drill_id": self.drill, "code": "VCC-3100",
                 "name": self.host.name if "/agents/" in operation.path else "a-viewer"}
        path = operation.path
        for p in operation.params:
            if p["in"] == "path":
                path = path.replace("{%s}" % p["name"], there.get(p["name"], "nobody") if known else "nobody-of-that-name")
        return path


@pytest.fixture(scope="module")
def site():
    folder = new_folder("contract")
    s = None
    try:
        s = Site(folder)
        yield s
    finally:
        if s:
            s.estate.stop()
        shutil.rmtree(folder, ignore_errors=True)


def endless(operation):
    return any("text/event-stream" in a.get("content", {}) for a in operation.doc["responses"].values())


# ---- the description ----

def test_it_is_whole(site):
    doc = site.contract.doc
    assert doc["openapi"].startswith("3.1.") and set(doc) == {"openapi", "info", "servers", "paths", "components", "security"}
    assert {(o.method, o.path) for o in site.contract.operations} == {(m, p) for m, p, _, _, _ in routes()}
    ids = [o.doc["operationId"] for o in site.contract.operations]
    assert len(set(ids)) == len(ids) >= 50
    table = {(m, p): (permission, scope, {r for r in ROLES if may[r]}) for m, p, permission, scope, may in routes()}
    for o in site.contract.operations:
        permission, scope, may = table[o.method, o.path]
        assert (o.permission, o.doc["x-scope"], o.roles) == (permission, scope, may), o
        assert any(s in o.doc["responses"] for s in ("200", "201", "202")), f"{o} has no row in contract.c"
        assert ("{" in o.path) == any(p["in"] == "path" for p in o.params), o
        assert (o.doc.get("security") == []) == (o.permission == "none"), o
        assert o.method == "GET" or o.body is not None, f"{o} does not say what it takes"


def test_its_schemas_are_schemas(site):
    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                assert site.contract.resolve(node), node
            if "schema" in node and isinstance(node["schema"], dict):
                jsonschema.Draft202012Validator.check_schema(node["schema"])
            for part in node.values():
                walk(part)
        elif isinstance(node, list):
            for part in node:
                walk(part)
    walk(site.contract.doc)
    used = json.dumps(site.contract.doc)
    for name, schema in site.contract.doc["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert f'"#/components/schemas/{name}"' in used, f"{name} is used nowhere"


# ---- who ----

def test_whoever_lacks_the_permission_gets_nothing(site):
    """Every route as nobody, with a wrong token and as every role that may not: refused, whatever is asked."""
    stranger = Caller(site.inst, site.contract, "vcc_pat_" + "A" * 49)
    for o in site.contract.operations:
        body = {} if o.method != "GET" else None
        path = site.fill(o)
        if o.permission == "none":
            assert site.nobody(o, path)[0] in (200, 503)
        else:
            assert site.nobody(o, path, body)[0] == 401 and stranger(o, path, body)[0] == 401, o
        for role in set(ROLES) - o.roles:
            status, answer = site.by[role](o, path, body)
            assert (status, answer["code"]) == (403, "VCC-3101"), (o, role)


# ---- reading ----

@pytest.mark.parametrize("role", ROLES)
def test_what_is_read_is_as_described(site, role):
    for o in site.contract.operations:
        if o.method != "GET" or role not in o.roles or endless(o):
            continue
        one_of = f"?certificate={site.host.cert_id}" if o.path.endswith("/evidence") else ""
        status, body = site.by[role](o, site.fill(o) + one_of)
        assert status == 200, (o, status, body)
        if o.paged:
            assert len(site.by[role](o, site.fill(o) + "?limit=1")[1]["items"]) <= 1, o


def bad_args(o):
    yield "surprise=1", "surprise"
    for p in o.args():
        s, name = p["schema"], p["name"]
        if s.get("type") == "integer":
            yield f"{name}=many", name
            yield f"{name}=-1", name
            yield f"{name}=99999999999999999999", name
        elif "enum" in s or s.get("format") in ("uuid", "date-time"):
            yield f"{name}=nonsense", name
        yield f"{name}", name
        yield f"{name}=1&{name}=1", name
        yield f"{name}=%ff%fe", name
    if o.paged:
        for text in ("limit=0", "limit=501", "limit=ten", "limit=1&limit=1", "cursor=***", "cursor=" + "A" * 200):
            yield text, text.split("=")[0]


def test_bad_queries_are_refused_by_name(site):
    for o in site.contract.operations:
        if o.method != "GET" or o.permission == "none":
            continue
        caller = site.by["admin" if "admin" in o.roles else sorted(o.roles)[0]]
        for query, name in bad_args(o):
            status, body = caller(o, f"{site.fill(o)}?{query}")
            assert status == 400 or (status == 422 and body["object"] == name), (o, query, status, body)
        if "{" in o.path:
            for text in ("nobody", "%ff", quote("ä", safe=""), "x" * 79, "x" * 200):
                path = o.path
                for p in o.params:
                    path = path.replace("{%s}" % p["name"], text) if p["in"] == "path" else path
                status, _, answer = caller.raw("GET", path)
                assert status in (400, 403, 404), (o, text, status, answer[:200])


def test_dots_of_a_path_lead_past_nobody(site):
    """Segments of dots are resolved once, before route and rights are looked up: they reach what their sender may reach anyhow."""
    for path in ("/api/v1/agents/../audit", "/api/v1/agents/%2e%2e/audit", "/api/v1/agents/..%2faudit", "/healthz/../api/v1/audit", "/api/v1/./audit", "//api/v1/audit"):
        assert site.nobody.raw("GET", path)[0] == 401, path
        assert site.by["viewer"].raw("GET", path)[0] == 403, path
    for path in ("/api/v1/agents/%252e%252e/audit", "/api/v1/agents/..;/audit", "/api/v1/agents/..%5caudit", "/api/v1/agents/..%c0%afaudit"):
        assert site.by["auditor"].raw("GET", path)[0] in (400, 403, 404), path


def test_no_argument_is_dropped(site):
    """An argument that is too long or broken is never taken for absent: its filter would be gone, and everything answered."""
    rows = [("object=" + "x" * 300, 413), ("limit=1&object=" + "x" * 300, 413), ("object=" + "x" * 300 + "&limit=0", 413),
            ("&".join(f"x{i}=1" for i in range(20)), 413), ("object=" + "x" * 9000, None), ("object=%00", None),
            ("object=%", 403), ("object=%zz", 403), ("=1", 422), ("&object=a", 200), ("object=%c0%af", 422)]
    for query, status in rows:
        try:
            got, _, body = site.by["auditor"].raw("GET", "/api/v1/audit?" + query)
        except (http.client.HTTPException, OSError):
            got, body = None, b""
        assert got == status, (query[:40], got, body[:200])


# ---- changing: what is refused ----

def test_bad_bodies_are_refused_by_name(site):
    """With an object that is there, so that the body is what is wrong. Nothing of this changes anything."""
    before = site.estate.admin.get("audit?limit=1")["items"][0]["seq"]
    for o in site.contract.operations:
        if o.method == "GET":
            continue
        for role in o.roles:
            caller, path = site.by[role], site.fill(o)
            if "{token_id}" in o.path:
                path = path.replace(str(uuid.UUID(int=7)), site.estate.admin.get(f"tokens?principal=a-{role}")["items"][0]["token_id"])
            for raw in ("{", "[]", "null", "7", '"text"', '{"a":1,"a":2}', "{}{}", '{"a":01}', '{"a":NaN}', '{"a":"\\ud800"}', '{"a":"\x01"}', b'{"a":"\xff"}', "\ufeff{}".encode()):
                assert caller(o, path, raw=raw)[0] == 422, (o, raw)
            assert caller(o, path, raw="a=1", headers={"Content-Type": "application/x-www-form-urlencoded"})[0] == 415, o
            whole = dict({name: sample(name, o.fields[name]) for name in o.needed}, **ALSO.get(o.path, {}))
            status, body = caller(o, path, dict(whole, surprise=1))
            assert status == 422 and ("surprise" in (body["object"], body["detail"]) or "surprise" in body["detail"]), (o, body)
            for name in o.needed:
                status, body = caller(o, path, {k: v for k, v in whole.items() if k != name})
                assert status == 422 and name in body["object"] + body["detail"], (o, name, body)
            for name, field in o.fields.items():
                types = field.get("type", [])
                wrong = WRONG.get(next((t for t in ([types] if isinstance(types, str) else types) if t != "null"), None))
                if wrong is None:
                    continue
                if name == "comment":
                    continue
                status, body = caller(o, path, dict(whole, **{name: wrong}))
                assert status == 422 and name in body["object"] + body["detail"] and "unknown" not in body["detail"], (o, name, body)
                if "enum" in field or "enum" in field.get("items", {}):
                    value = "nonsense" if "enum" in field else ["nonsense"]
                    status, body = caller(o, path, dict(whole, **{name: value}))
                    assert status == 422 and "unknown" not in body["detail"], (o, name, body)
    after = [r for r in site.estate.admin.get("audit?limit=50")["items"] if r["seq"] > before and r["actor"].startswith("a-")]
    assert not after, after


@pytest.mark.parametrize("path, body", [
    (LIFE + "/bulk-renewal", {"dry_run": True, "plan_hash": ""}),
    (LIFE + "/vcc-service/{service_name}/renew-all", {"dry_run": True, "plan_hash": ""}),
    (LIFE + "/emergency-recertification", {"selector": {"all": True}, "incident_id": "I", "reason": "r", "dry_run": True, "plan_hash": ""}),
    (LIFE + "/emergency-recertification", {"selector": {"all": True}, "incident_id": "I", "reason": "r", "dry_run": True, "invalidity_date": ""}),
    ("/api/v1/invites", {"name": "nobody", "service": "clara", "ttl": ""}),
    ("/api/v1/tokens", {"ttl": ""}),
], ids=lambda v: next((k for k in v if v[k] == ""), "") if isinstance(v, dict) else v.rsplit("/", 1)[1])
def test_an_empty_text_is_no_missing_field(site, path, body):
    """A script that lost its plan_hash must not renew what nobody looked at."""
    o = site.contract.find("POST", path)
    field = next(k for k in body if body[k] == "")
    status, answer = site.by["admin"](o, site.fill(o), body)
    assert (status, answer["code"], answer["object"]) == (422, "VCC-3104", field)
    assert site.by["admin"](o, site.fill(o), dict(body, **{field: None}))[0] != 422


def sample(name, field):
    """A value of the right type that means nothing here."""
    if "enum" in field:
        return field["enum"][0]
    types = field.get("type", "string")
    kind = types if isinstance(types, str) else next(t for t in types if t != "null")
    if kind == "array":
        items = field.get("items", {})
        return [items["enum"][0]] if "enum" in items else ["nothing"]
    return {"string": "0" * 64 if name == "hash" else "nothing-there", "boolean": False, "integer": 1, "number": 1, "object": {}}[kind]


def test_what_is_not_there_is_not_found(site):
    for o in site.contract.operations:
        if o.method == "GET" or "{" not in o.path or o.path in MAKES:
            continue
        for role in o.roles:
            body = {name: sample(name, o.fields[name]) for name in o.needed}
            status, answer = site.by[role](o, site.fill(o, known=False), body)
            assert status in (404, 422), (o, role, status, answer)


# ---- what is said to it is not passed on ----

def test_secrets_that_are_sent_stand_in_no_log(site):
    """Markers where people put secrets by mistake: as tokens, in fields, keys and queries, as bodies that are no JSON. (T14)"""
    marker = "MARKER-" + uuid.uuid4().hex
    admin, o = site.by["admin"], None
    for o in site.contract.operations:
        path = site.fill(o)
        for headers in ({"Authorization": f"Bearer vcc_pat_{marker}"}, {"Authorization": f"Basic {marker}"}, {"Cookie": f"token={marker}"}, {"Idempotency-Key": marker}, {"Prefer": marker}):
            if o.method == "GET" and endless(o):
                continue
            admin.raw(o.method, path, "{}" if o.method != "GET" and "Authorization" in headers else "{" if o.method != "GET" else None, headers)
        if o.method == "GET":
            admin.raw("GET", f"{path}?surprise={marker}")
            for p in o.args():
                if not endless(o):
                    admin.raw("GET", f"{path}?{p['name']}={marker}")
        else:
            admin.raw(o.method, path, f'{{"surprise": "{marker}"}}')
            admin.raw(o.method, path, f'{{"{marker}')
            for name in o.fields:
                if name != "comment":
                    admin.raw(o.method, path, json.dumps({name: {"token": marker}, "surprise": marker}))
    texts = 0
    for base, _, files in os.walk(os.path.dirname(site.inst.state)):
        for name in files:
            if name.endswith(".log"):
                with open(os.path.join(base, name), errors="replace") as f:
                    text = f.read()
                texts += len(text)
                assert marker not in text, name
    assert texts > 1000, "there are logs to look at"
    assert marker not in json.dumps(site.estate.admin.get("audit?limit=500")), "nor in the trail"


# ---- changing: what is done ----

def test_changes_answer_as_described(site):
    """Of each changing route one that is done, or waits for a second person."""
    c, done = site.contract, set()

    def do(role, method, path, body=None, **params):
        o = c.find(method, path)
        done.add((method, path))
        for name, value in params.items():
            path = path.replace("{%s}" % name, value)
        status, answer = site.by[role](o, path, body)
        assert status in (200, 201, 202), (o, status, answer)
        return answer

    do("admin", "POST", "/api/v1/principals", {"name": "robot", "roles": ["viewer"]})
    asked = do("admin", "POST", "/api/v1/principals", {"name": "second", "roles": ["approver"], "person": "eva"})
    do("approver", "POST", "/api/v1/approvals/{approval_id}/reject", {"hash": asked["approval"]["hash"]}, approval_id=asked["approval_id"])
    do("admin", "POST", "/api/v1/principals/{name}", {"services": [OWN]}, name="robot")
    token = do("admin", "POST", "/api/v1/tokens", {"principal": "robot", "ttl": "1h", "label": "of a test"})
    do("admin", "POST", "/api/v1/tokens/{token_id}/revoke", token_id=token["token_id"])
    do("admin", "POST", "/api/v1/principals/{name}", {"disabled": True}, name="robot")
    do("admin", "POST", "/api/v1/audit/forget", {"principal": "robot"})
    asked = do("admin", "POST", "/api/v1/tokens", {"principal": "a-approver", "ttl": "1h"})
    do("approver", "POST", "/api/v1/approvals/{approval_id}/reject", {"hash": asked["approval"]["hash"]}, approval_id=asked["approval_id"])
    asked = site.request
    do("approver", "POST", "/api/v1/approvals/{approval_id}/approve", {"hash": asked["hash"]}, approval_id=asked["approval_id"])
    do("operator", "POST", "/api/v1/invites", {"name": "new", "service": OWN})

    def settled():
        return all(not o["open_order"] for o in site.estate.admin.get("certificates")["items"])
    wait_for("no order is open", settled, 120)
    do("operator", "POST", LIFE + "/renew/{cert_id}", {"force": True}, cert_id=site.host.cert_id)
    wait_for("no order is open", settled, 120)
    do("operator", "POST", "/api/v1/certificates/{cert_id}/suspend", cert_id=site.host.cert_id)
    do("operator", "POST", "/api/v1/certificates/{cert_id}/resume", cert_id=site.host.cert_id)
    wait_for("no order is open", settled, 120)
    do("operator", "POST", "/api/v1/certificates/{cert_id}/revoke", {"reason": "superseded", "replace": True}, cert_id=site.host.cert_id)
    do("admin", "POST", "/api/v1/services", {"name": OWN, "windows": []})
    do("admin", "POST", "/api/v1/services/{service_name}", {"depends_on": [], "policy": {"max_renewal_attempts": 4}, "dry_run": True}, service_name=OWN)
    do("admin", "POST", "/api/v1/backup")
    wait_for("no order is open", settled, 120)
    do("operator", "POST", LIFE + "/bulk-renewal", {"dry_run": True})
    do("operator", "POST", LIFE + "/bulk-renewal", {"service_pattern": f"*.{OWN}.vcc.internal"})
    wait_for("no order is open", settled, 120)
    do("operator", "POST", LIFE + "/vcc-service/{service_name}/renew-all", {"dry_run": True}, service_name=OWN)
    do("operator", "POST", LIFE + "/vcc-service/{service_name}/renew-all", service_name=OWN)
    wait_for("no order is open", settled, 120)
    incident = {"incident_id": "INC-1", "reason": "a test", "incident_type": "exercise"}
    do("operator", "POST", LIFE + "/emergency-recertification", dict(incident, selector={"all": True}, dry_run=True))
    do("operator", "POST", LIFE + "/emergency-recertification", dict(incident, certificate_ids=[site.host.cert_id]))
    wait_for("no order is open", settled, 120)
    template = {k: v for k, v in site.estate.admin.get("certificates/lifecycle/templates/veritas_pipeline").items() if k not in ("validity_period_days", "validity_seconds")}
    do("admin", "POST", LIFE + "/templates/{template_id}", dict(template, description="changed"), template_id="veritas_pipeline")
    other = site.estate.foreign
    wait_for("no order is open", settled, 120)
    do("operator", "POST", "/api/v1/certificates/{cert_id}/revoke", {"reason": "superseded", "confirm": True}, cert_id=other.cert_id)
    do("operator", "POST", "/api/v1/agents/{name}/evict", name=other.name)
    do("operator", "POST", "/api/v1/agents/{name}/remove", name=other.name)
    do("admin", "POST", "/api/v1/ca/{issuer_id}/revoke", {"reason": "superseded", "force": True}, issuer_id="code-signing-1")
    do("admin", "POST", "/api/v1/agents/{name}/ban", name=site.host.name)
    left = {(o.method, o.path) for o in c.operations if o.method != "GET"} - done
    # A second host with one identity is made in test_clones.py, a campaign is stopped in test_bulk.py. Routes that this does not know are held to the contract by their refusals.
    assert ("POST", "/api/v1/agents/{name}/release") in left

