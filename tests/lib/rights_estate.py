"""A small estate for tests of rights: two services on two hosts, one principal for each role, with and without a limit to one service."""
import http.client
import json
import os
import re
import ssl

from installation import ROOT, Installation, current_group, current_user, wait_for, write

OWN, FOREIGN = "clara", "argus"
ROLES = ("viewer", "operator", "approver", "auditor", "admin")


class Api:
    """Asks as one token over one connection that stays open."""

    def __init__(self, inst, token=None, certificate=None):
        self.address = inst.admin_url.split("//")[1]
        self.context = ssl.create_default_context(cafile=os.path.join(inst.state, "ca.pem"))
        if certificate:
            self.context.load_cert_chain(*certificate)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.connection = None

    def __call__(self, method, path, body=None):
        """(status, body) of a request below the root."""
        for attempt in (0, 1):
            if self.connection is None:
                self.connection = http.client.HTTPSConnection(self.address, context=self.context, timeout=30)
            headers = dict(self.headers, **({"Content-Type": "application/json"} if body is not None else {}))
            try:
                self.connection.request(method, path, None if body is None else json.dumps(body), headers)
                answer = self.connection.getresponse()
                if answer.headers.get_content_type() == "text/event-stream":  # it has no end
                    self.connection.close()
                    self.connection = None
                    return answer.status, {}
                text = answer.read()
                if answer.headers.get_content_type() == "application/x-ndjson":
                    return answer.status, [json.loads(line) for line in text.splitlines()]
                if answer.headers.get_content_type() == "text/plain":
                    return answer.status, text.decode()
                return answer.status, json.loads(text) if text else None
            except (http.client.HTTPException, OSError):
                self.connection = None
                if attempt:
                    raise

    def get(self, path):
        status, body = self("GET", "/api/v1/" + path)
        assert status == 200, (path, status, body)
        return body


def routes():
    """Rows of docs/rights.md: (method, path, permission, scope, {role: may})."""
    rows = []
    with open(os.path.join(ROOT, "docs", "rights.md")) as f:
        for line in f:
            m = re.match(r"\| (GET|POST|PUT|PATCH|DELETE) (\S+) \| (\S+) \| (\S+) \| (.*) \|$", line)
            if m:
                may = dict(zip(ROLES, (word == "yes" for word in m[5].split(" | "))))
                rows.append((m[1], m[2], m[3], m[4], may))
    return rows


class Estate:
    def __init__(self, folder, settings=None, binaries=None):
        self.inst = Installation(folder, {"controller.limits.audit_head_interval": "300ms", **(settings or {})}, binaries)
        self.inst.init()
        self.inst.start()
        self.tokens = {who: open(os.path.join(self.inst.state, f"{who}.token")).read().strip() for who in ("admin", "approver")}
        self.admin, self.approver = (Api(self.inst, self.tokens[who]) for who in ("admin", "approver"))

    def add_hosts(self):
        """One host of each service, and on each a second target whose names wait for an approval."""
        self.own, self.foreign = self.inst.prepare_echo(0), self.inst.prepare_echo(2)
        self.own.names.append(f"{OWN}.{self.inst.domain}")  # inside its invite: an edit of the file that needs nobody
        for host in (self.own, self.foreign):
            host.enrol()
        for host in (self.own, self.foreign):
            self.inst.wait_served(host)
        newest = self.admin.get("audit?limit=1")["items"][0]["seq"]
        wait_for("a signed head covers them", lambda: (h := self.admin.get("audit/heads?limit=1")["items"]) and h[0]["size"] > newest)

    def second_target(self, host, name, stem="more"):
        """A target file, of files alone, that asks for a name outside the invite; gives its cert_id."""
        cert_id = f"{host.name}-{stem}"
        write(os.path.join(host.dir, "targets.d", f"{stem}.conf"),
              f"[target]\ncert_id = {cert_id}\nservice = {host.service}\ntemplate = {host.template}\nnames = {name}\n"
              f"[files]\nowner = {current_user()}\ngroup = {current_group()}\nmode = 0640\n[reload]\nkind = none\n[verify]\nkind = none\n")
        return cert_id

    def login_target(self, host, cert_id, template="operator_admin", name=""):
        """A target file that asks for a client certificate of the principal `cert_id`; gives the folder of its files."""
        folder = os.path.join(host.dir, "targets", cert_id)
        write(os.path.join(host.dir, "targets.d", f"{cert_id}.conf"),
              f"[target]\ncert_id = {cert_id}\nservice = {host.service}\ntemplate = {template}\nnames = {name}\n"
              f"[files]\nowner = {current_user()}\ngroup = {current_group()}\nmode = 0640\n[reload]\nkind = none\n[verify]\nkind = none\n")
        return folder

    def request(self, cert_id):
        """The waiting request about this object, when there is one."""
        return next((a for a in self.approver.get("approvals")["items"] if a["object"] == cert_id), None)

    def approve(self, answer, by=None):
        """The answer to agreeing to what another answer said waits."""
        status, body = answer
        assert status == 202 and body["status"] == "awaiting_approval", answer
        return self.decide(body["approval"], "approve", by)

    def decide(self, approval, verb, by=None, shown=None):
        return (by or self.approver)("POST", f"/api/v1/approvals/{approval['approval_id']}/{verb}", {"hash": shown or approval["hash"]})

    def principal(self, name, roles, services=None, person=None, as_=None):
        """Made by the admin, agreed to by the approver where that is needed."""
        admin = as_ or self.admin
        answer = admin("POST", "/api/v1/principals", {"name": name, "roles": list(roles), "services": services, "person": person})
        if answer[0] == 202:
            answer = self.approve(answer)
            assert answer[0] == 200, answer
        else:
            assert answer[0] == 201, answer
        return self.token(name, as_=as_)

    def token(self, name, as_=None, **fields):
        answer = (as_ or self.admin)("POST", "/api/v1/tokens", dict(fields, principal=name))
        if answer[0] == 202:
            answer = self.approve(answer)
        assert answer[0] in (200, 201), answer
        return answer[1]["token"]

    def api(self, token):
        return Api(self.inst, token)

    def stop(self):
        self.inst.stop()
