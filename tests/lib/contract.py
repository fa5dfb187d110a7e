"""The admin API as openapi.json describes it, and calls whose answers are held against that description."""
import copy
import http.client
import json
import os
import ssl

import jsonschema
from rights_estate import ROLES


def close(schema):
    """Of an answer every field has to be described: what is not listed is forbidden."""
    if isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for part in schema.values():
            close(part)
    elif isinstance(schema, list):
        for part in schema:
            close(part)
    return schema


class Operation:
    def __init__(self, method, path, doc):
        self.method, self.path, self.doc = method.upper(), path, doc
        self.roles = set(doc.get("x-roles", ROLES))
        self.permission = doc["x-permission"]
        self.params = [p for p in doc["parameters"] if "$ref" not in p]
        body = doc.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        self.body = body if "requestBody" in doc else None
        self.fields = body.get("properties", {})
        self.needed = body.get("required", [])
        self.paged = any(p.get("$ref", "").endswith("/cursor") for p in doc["parameters"])

    def __repr__(self):
        return f"{self.method} {self.path}"

    def args(self):
        return [p for p in self.params if p["in"] == "query"]


class Contract:
    def __init__(self, doc):
        self.doc = doc
        self.strict = close(copy.deepcopy(doc))
        self.resolver = jsonschema.RefResolver("", self.strict)
        self.operations = [Operation(m, path, op) for path, item in doc["paths"].items() for m, op in item.items()]

    def find(self, method, path):
        return next(o for o in self.operations if (o.method, o.path) == (method, path))

    def resolve(self, node):
        while "$ref" in node:
            node = self.resolver.resolve(node["$ref"])[1]
        return node

    def hold(self, operation, status, headers, body):
        """The answer is one that the description has."""
        said = self.strict["paths"][operation.path][operation.method.lower()]["responses"]
        assert str(status) in said, (operation, status, body)
        answer = self.resolve(said[str(status)])
        (media, content), = answer["content"].items()
        assert headers.get_content_type() == media, (operation, status, headers.get_content_type())
        if "json" in media and "ndjson" not in media:
            errors = list(jsonschema.Draft202012Validator(content["schema"], resolver=self.resolver).iter_errors(body))
            assert not errors, (operation, status, [(list(e.absolute_path), e.message[:200]) for e in errors[:5]])
        request_id = headers.get("X-Request-Id")
        assert request_id and len(request_id) == 36, (operation, status)
        if media == "application/problem+json":
            assert body["request_id"] == request_id and body["status"] == status, (operation, body)
        if status == 202 and body.get("campaign_id", "") is not None:
            assert headers.get("Location", "").startswith("/api/v1/"), (operation, body)
        return status, body


class Caller:
    """One principal's connection."""

    def __init__(self, inst, contract, token=None):
        self.contract = contract
        self.address = inst.admin_url.split("//")[1]
        self.context = ssl.create_default_context(cafile=os.path.join(inst.state, "ca.pem"))
        self.token, self.connection = token, None

    def raw(self, method, path, data=None, headers=None):
        """(status, headers, body as bytes)"""
        sent = {"Content-Type": "application/json"} if data is not None else {}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        sent.update(headers or {})
        for attempt in (0, 1):
            if self.connection is None:
                self.connection = http.client.HTTPSConnection(self.address, context=self.context, timeout=60)
            try:
                self.connection.request(method, path, data, {k: v for k, v in sent.items() if v is not None})
                answer = self.connection.getresponse()
                if answer.headers.get_content_type() == "text/event-stream":  # it has no end
                    self.connection.close()
                    self.connection = None
                    return answer.status, answer.headers, b""
                return answer.status, answer.headers, answer.read()
            except (http.client.HTTPException, OSError):
                self.connection = None
                if attempt:
                    raise

    def __call__(self, operation, path, body=None, headers=None, raw=None):
        """(status, body), held against the contract."""
        data = raw if raw is not None else None if body is None else json.dumps(body)
        status, got, text = self.raw(operation.method, path, data, headers)
        no_json = got.get_content_type() in ("application/x-ndjson", "text/plain")
        return self.contract.hold(operation, status, got, text if no_json else json.loads(text) if text else None)
