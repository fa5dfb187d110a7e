"""Does every route keep to the table of rights, as every role, limited to a service or not? Are tokens and approvals what they promise?"""
import json
import os
import pty
import re
import shutil
import socket
import sqlite3
import subprocess
import uuid

import pytest
from conftest import new_folder
from installation import ROOT, wait_for
from rights_estate import FOREIGN, OWN, ROLES, Api, Estate, routes

LIFE = "/api/v1/certificates/lifecycle"
# What a POST sends where the caller may go on: refused for its form, so that nothing happens.
HARMLESS = {"surprise": 1}
# These take no body: who may, asks about what does not exist.
NO_BODY = ("/evict", "/ban", "/release", "/remove")


@pytest.fixture(scope="module")
def estate():
    folder = new_folder("rights")
    e = Estate(folder, {"controller.limits.max_renewals_default": "0"})
    try:
        e.add_hosts()
        e.waiting = {OWN: e.second_target(e.own, f"other.{OWN}.vcc.internal"), FOREIGN: e.second_target(e.foreign, f"api.{FOREIGN}.vcc.internal")}
        e.campaigns = {s: e.admin("POST", f"{LIFE}/vcc-service/{s}/renew-all", {})[1]["campaign_id"] for s in (OWN, FOREIGN)}
        for campaign in e.campaigns.values():
            wait_for("the campaign is over", lambda: e.admin.get(f"campaigns/{campaign}")["completed_at"])
        e.drills = {s: e.admin("POST", "/api/v1/drills", {"selector": {"service": s}})[1]["drill_id"] for s in (OWN, FOREIGN)}
        for drill in e.drills.values():
            wait_for("the drill is over", lambda: e.admin.get(f"drills/{drill}")["reported_at"])
        e.requests = wait_for("both targets wait for an approval", lambda: requests_of(e))
        e.by = {}
        for role in ROLES:
            for services in (None, [OWN]):
                name = f"{role}-{'limited' if services else 'free'}"
                e.by[role, bool(services)] = Api(e.inst, e.principal(name, [role], services))
        yield e
    finally:
        e.stop()
        shutil.rmtree(folder, ignore_errors=True)


def requests_of(e):
    found = {a["object"]: a for a in e.approver.get("approvals")["items"] if a["kind"] == "target"}
    return {s: found[e.waiting[s]] for s in e.waiting} if set(e.waiting.values()) <= set(found) else None


def problem(answer, status, code):
    assert answer[0] == status and answer[1]["code"] == code, answer
    return answer[1]


# ---- the table ----

def test_the_table_is_made_from_the_program():
    out = subprocess.run([os.path.join(ROOT, "build", "tests", "tool_docs"), "rights"], capture_output=True, text=True, check=True).stdout
    with open(os.path.join(ROOT, "docs", "rights.md")) as f:
        assert f.read() == out
    assert len(routes()) >= 35 and {scope for _, _, _, scope, _ in routes()} == {"whole", "open", "filtered", "object", "named", "own"}


def test_without_a_token_there_is_only_health(estate):
    nobody = Api(estate.inst)
    for method, path, permission, _, _ in routes():
        status, _ = nobody(method, path.replace("{", "").replace("}", ""), HARMLESS if method == "POST" else None)
        assert status == 401 if permission != "none" else status in (200, 503), (method, path, status)


def fill(estate, path, service):
    host = estate.own if service == OWN else estate.foreign
    if "{renewal_id}" in path:
        path = path.replace("{renewal_id}", estate.admin.get(f"renewals?cert_id={host.cert_id}")["items"][0]["renewal_id"])
    if "{notification_id}" in path:
        path = path.replace("{notification_id}", estate.admin.get(f"notifications?service={service}")["items"][0]["notification_id"])
    template = "clara_service_auth"
    for name, value in {"cert_id": host.cert_id, "target_id": host.cert_id, "service_name": service, "template_id": template, "seq": "0", "issuer_id": "service-1",
                        "approval_id": estate.requests[service]["approval_id"], "token_id": str(uuid.uuid4()), "campaign_id": estate.campaigns[service],
                        "drill_id": estate.drills[service], "code": "VCC-3100"}.items():
        path = path.replace("{%s}" % name, value)
    return path.replace("{name}", host.name if "/agents/" in path else "admin")


def ask(estate, api, method, path, scope, service, may_go_on):
    """The request whose answer tells whether the rights let it pass."""
    where = fill(estate, path, service)
    if method == "GET":
        host = estate.own if service == OWN else estate.foreign
        return api(method, where + {"expiring": "?days_ahead=3650", "evidence": f"?certificate={host.cert_id}"}.get(path.rsplit("/", 1)[1], ""))
    if path.endswith(NO_BODY) and may_go_on:
        return api(method, where.replace(estate.own.name, "nobody").replace(estate.foreign.name, "nobody"))
    if scope == "named" and service == FOREIGN and path.endswith("/services"):
        return api(method, where, {"name": service})
    if scope == "named" and service == FOREIGN and path.endswith("/invites/batch"):
        return api(method, where, {"invites": [{"name": "nobody", "service": service}]})
    if scope == "named" and service == FOREIGN:
        needed = {"/invites": {"name": "nobody"}, "/certificates": {"csr": "no request"}}  # what has to be there before anybody looks at the service
        return api(method, where, {"service": service, **needed.get("/" + path.rsplit("/", 1)[1], {})})
    if path.endswith(("/backup", "/restore/accept")):
        return api(method, where)
    return api(method, where, HARMLESS)


@pytest.mark.parametrize("limited", [False, True], ids=["free", "limited"])
@pytest.mark.parametrize("role", ROLES)
def test_every_route_as_every_role(estate, role, limited):
    api = estate.by[role, limited]
    for method, path, permission, scope, may in routes():
        for service in (OWN, FOREIGN):
            outside = limited and service == FOREIGN
            passes = may[role] and not (limited and scope == "whole") and not (outside and scope in ("object", "named"))
            status, body = answer = ask(estate, api, method, path, scope, service, passes)
            what = (role, limited, method, path, service, answer)
            if permission != "none" and not may[role]:
                problem(answer, 403, "VCC-3101")
            elif limited and scope == "whole":
                problem(answer, 403, "VCC-3700")
            elif outside and scope == "object":
                problem(answer, 404, "VCC-1006")
            elif outside and scope == "named":
                problem(answer, 403, "VCC-3101")
            elif method == "GET" and path.endswith("/rollover"):
                problem(answer, 404, "VCC-1006")  # none was begun
            elif method == "GET":
                assert status == 200, what
                text = json.dumps(body)
                if path.endswith("/expiring"):
                    assert body["total_expiring"] == (1 if limited else 2), what
                elif scope == "filtered":
                    assert OWN in text and (FOREIGN in text) != limited, what
            elif path.endswith(NO_BODY) or "{token_id}" in path:
                problem(answer, 404, "VCC-1006")
            elif scope == "named" and service == FOREIGN:
                assert status == (201 if path.endswith(("/invites", "/invites/batch")) else 200 if path.endswith("/services") else 422), what
            elif path.endswith("/backup"):  # takes no body; one may be under way
                assert status in (202, 409), what
            elif path.endswith("/restore/accept"):
                problem(answer, 409, "VCC-3908")
            else:
                assert status == 422, what
    assert all(e["connected"] for e in estate.admin.get("agents")["items"]), "somebody was evicted by this test"


# ---- tokens ----

def test_a_token_only_takes_away(estate):
    whole = estate.by["operator", True]
    principal = whole.get("whoami")["principal"]
    narrow = whole("POST", "/api/v1/tokens", {"label": "narrow", "ttl": "1h", "services": [OWN]})[1]
    assert narrow["token"].startswith("vcc_pat_") and narrow["principal"] == principal and narrow["services"] == [OWN]
    assert estate.api(narrow["token"]).get("whoami")["by"] == "token"
    for more in ({"roles": ["admin"]}, {"services": [FOREIGN]}, {"services": [OWN, FOREIGN]}, {"roles": ["operator", "approver"]}):
        problem(whole("POST", "/api/v1/tokens", more), 403, "VCC-3702")
        problem(estate.admin("POST", "/api/v1/tokens", dict(more, principal=principal)), 403, "VCC-3702")
    problem(estate.api(narrow["token"])("POST", "/api/v1/tokens", {"ttl": "2h"}), 403, "VCC-3702")
    both = estate.principal("two-roles", ["viewer", "auditor"])
    viewer = estate.token("two-roles", roles=["viewer"])
    assert "audit:read" in estate.api(both).get("whoami")["permissions"]
    child = estate.api(viewer)("POST", "/api/v1/tokens", {"ttl": "1h"})[1]["token"]
    for token in (viewer, child):
        assert estate.api(token).get("whoami")["roles"] == ["viewer"]
    problem(estate.api(viewer)("POST", "/api/v1/tokens", {"ttl": "1h", "roles": ["auditor"]}), 403, "VCC-3702")
    # the principal's own rights shrink: so does what its tokens give
    assert estate.admin("POST", "/api/v1/principals/two-roles", {"roles": ["auditor"]})[0] == 200
    problem(estate.api(viewer)("GET", "/api/v1/whoami"), 403, "VCC-3101")


def test_a_token_ends(estate):
    short = estate.token("viewer-free", ttl="2s")
    assert estate.api(short)("GET", "/api/v1/whoami")[0] == 200
    wait_for("it expires", lambda: estate.api(short)("GET", "/api/v1/whoami")[0] == 401, 20)
    made = estate.admin("POST", "/api/v1/tokens", {"principal": "viewer-free", "ttl": "1h", "label": "to be revoked"})[1]
    api = estate.api(made["token"])
    assert api("GET", "/api/v1/whoami")[0] == 200
    problem(estate.by["operator", False]("POST", f"/api/v1/tokens/{made['token_id']}/revoke"), 404, "VCC-1006")
    status, body = estate.admin("POST", f"/api/v1/tokens/{made['token_id']}/revoke")
    assert status == 200 and body["revoked_at"]
    problem(api("GET", "/api/v1/whoami"), 401, "VCC-3100")
    assert estate.admin("POST", f"/api/v1/tokens/{made['token_id']}/revoke")[1]["revoked_at"] == body["revoked_at"]


def test_of_tokens_one_sees_ones_own(estate):
    viewer = estate.by["viewer", False]
    assert {t["principal"] for t in viewer.get("tokens")["items"]} == {"viewer-free"}
    problem(viewer("GET", "/api/v1/tokens?principal=admin"), 403, "VCC-3101")
    problem(viewer("POST", "/api/v1/tokens", {"principal": "admin"}), 403, "VCC-3101")
    problem(estate.by["admin", True]("POST", "/api/v1/tokens", {"principal": "viewer-free"}), 403, "VCC-3101")
    assert {"admin", "approver", "viewer-free"} <= {t["principal"] for t in estate.admin.get("tokens?limit=500")["items"]}
    for t in estate.admin.get("tokens?limit=500")["items"]:
        assert "token" not in t and "hash" not in t


@pytest.mark.parametrize("body", [{"ttl": "367d"}, {"ttl": "0s"}, {"ttl": "soon"}, {"label": "a\nb"}, {"label": "x" * 64}, {"roles": []}, {"roles": ["root"]},
                                  {"services": []}, {"services": ["Clara"]}, {"principal": 7}, {"surprise": 1}])
def test_odd_tokens_are_refused(estate, body):
    assert estate.admin("POST", "/api/v1/tokens", body)[0] == 422


def test_a_principal_has_so_many_tokens(estate):
    estate.principal("hoarder", ["viewer"])
    for _ in range(49):
        assert estate.admin("POST", "/api/v1/tokens", {"principal": "hoarder", "ttl": "1h"})[0] == 201
    problem(estate.admin("POST", "/api/v1/tokens", {"principal": "hoarder"}), 409, "VCC-3705")


def test_the_last_use_is_written_once_an_hour(estate):
    api = estate.api(estate.token("viewer-free", label="used"))
    for _ in range(20):
        api.get("whoami")

    def used():
        return next(t for t in estate.admin.get("tokens?principal=viewer-free")["items"] if t["label"] == "used")["used_at"]
    first = wait_for("its use is stored", used)
    for _ in range(20):
        api.get("whoami")
    assert used() == first


# ---- principals ----

@pytest.mark.parametrize("name", ["Root", "root", "root ", " admin", "ＲＯＯＴ", "röot", "agent:clara01", "local:uid-0", "init", "scheduler", "a/b", "..", "", "x" * 48])
def test_names_that_normalise_to_power(estate, name):
    problem(estate.admin("POST", "/api/v1/principals", {"name": name, "roles": ["viewer"]}), 422, "VCC-3703" if len(name) < 48 else "VCC-3104")
    if name:
        problem(estate.admin("POST", "/api/v1/principals", {"name": "proper", "roles": ["viewer"], "person": name}), 422, "VCC-3703")


def test_principals_are_unique_and_nobody_edits_himself(estate):
    problem(estate.admin("POST", "/api/v1/principals", {"name": "admin", "roles": ["viewer"]}), 409, "VCC-1007")
    problem(estate.admin("POST", "/api/v1/principals/admin", {"roles": ["admin", "approver"]}), 403, "VCC-3701")
    problem(estate.admin("POST", "/api/v1/principals/nobody", {"roles": ["viewer"]}), 404, "VCC-1006")
    second = estate.api(estate.principal("admin-two", ["admin"], person="admin"))  # the same person by another principal
    problem(second("POST", "/api/v1/principals/admin", {"roles": ["viewer"]}), 403, "VCC-3701")
    problem(second("POST", "/api/v1/principals/admin-two", {"roles": ["viewer"]}), 403, "VCC-3701")
    assert estate.api(estate.principal("admin-three", ["admin"], person="else"))("POST", "/api/v1/principals/admin-two", {"services": [OWN]})[0] == 200


def test_a_disabled_principal_is_nobody(estate):
    api = estate.api(estate.principal("leaver", ["viewer"], person="lea"))
    assert estate.admin("POST", "/api/v1/principals/leaver", {"disabled": True})[1]["disabled"] is True
    problem(api("GET", "/api/v1/whoami"), 401, "VCC-3100")
    problem(estate.admin("POST", "/api/v1/tokens", {"principal": "leaver"}), 409, "VCC-3704")
    assert estate.admin("POST", "/api/v1/principals/leaver", {"disabled": False})[0] == 200
    assert api("GET", "/api/v1/whoami")[0] == 200


# ---- approvals ----

def test_an_approver_is_made_by_two(estate):
    asked = estate.admin("POST", "/api/v1/principals", {"name": "bob", "roles": ["approver"], "person": "bob"})
    assert asked[0] == 202
    problem(estate.admin("GET", "/api/v1/principals/bob"), 404, "VCC-1006")
    problem(estate.decide(asked[1]["approval"], "approve", by=estate.admin), 403, "VCC-3101")
    shown = estate.approver.get(f"approvals/{asked[1]['approval_id']}")
    assert shown["what"]["before"] is None and shown["what"]["after"]["roles"] == ["approver"] and shown["you_may_decide"] is True
    assert estate.approve(asked)[1]["status"] == "approved"
    problem(estate.decide(asked[1]["approval"], "approve"), 409, "VCC-3712")
    # its token is shown to whoever agreed, and to nobody else
    asked = estate.admin("POST", "/api/v1/tokens", {"principal": "bob", "label": "first"})
    assert asked[0] == 202 and "token" not in asked[1]
    status, agreed = estate.approve(asked)
    assert status == 200 and estate.api(agreed["token"]).get("whoami")["principal"] == "bob"
    assert "token" not in estate.approver.get(f"approvals/{asked[1]['approval_id']}")
    # by its own token it makes others alone; a token without the role needs nobody either
    assert estate.api(agreed["token"])("POST", "/api/v1/tokens", {"ttl": "1h"})[0] == 201
    assert estate.admin("POST", "/api/v1/principals/bob", {"roles": ["approver", "viewer"]})[0] == 200
    assert estate.admin("POST", "/api/v1/tokens", {"principal": "bob", "roles": ["viewer"]})[0] == 201
    # to take away needs nobody, to give it back does
    assert estate.admin("POST", "/api/v1/principals/bob", {"disabled": True})[0] == 200
    assert estate.admin("POST", "/api/v1/principals/bob", {"disabled": False})[0] == 202


def test_never_ones_own(estate):
    """Whatever tokens and principals one person has: the other side is another person."""
    first = estate.api(estate.principal("dora", ["admin", "approver"], person="dora"))
    asked = first("POST", "/api/v1/principals", {"name": "eve", "roles": ["approver"]})
    problem(estate.decide(asked[1]["approval"], "approve"), 403, "VCC-3710")  # who handed her that token could have asked with it himself
    dora, again = (estate.api(first("POST", "/api/v1/tokens", {"ttl": "1h"})[1]["token"]) for _ in range(2))
    second = estate.api(estate.principal("dora-two", ["approver"], person="dora"))
    asked = dora("POST", "/api/v1/principals", {"name": "eve", "roles": ["approver"]})
    assert asked[0] == 202
    for api in (dora, again, second):
        assert api.get(f"approvals/{asked[1]['approval_id']}")["you_may_decide"] is False
        for verb in ("approve", "reject"):
            problem(estate.decide(asked[1]["approval"], verb, by=api), 403, "VCC-3710")
    assert estate.decide(asked[1]["approval"], "reject")[1]["status"] == "rejected"
    # a helper that she made, and one whose token she made, ask for her
    helper = estate.api(estate.principal("helper", ["admin"], person="zed", as_=dora))
    asked = helper("POST", "/api/v1/principals", {"name": "eve", "roles": ["approver"]})
    problem(estate.decide(asked[1]["approval"], "approve", by=dora), 403, "VCC-3710")
    known = estate.api(estate.token("admin-free", as_=dora))
    asked = known("POST", "/api/v1/principals", {"name": "eve", "roles": ["approver"]})
    problem(estate.decide(asked[1]["approval"], "approve", by=second), 403, "VCC-3710")
    assert estate.approve(asked)[0] == 200


def test_what_is_approved_is_what_was_shown(estate):
    estate.principal("frank", ["viewer"], person="frank")
    asked = estate.admin("POST", "/api/v1/principals/frank", {"roles": ["approver"]})
    request = asked[1]["approval"]
    problem(estate.decide(request, "approve", shown="0" * 64), 409, "VCC-3711")
    for bad in ({}, {"hash": "short"}, {"hash": 7}, {"hash": request["hash"], "surprise": 1}):
        problem(estate.approver("POST", f"/api/v1/approvals/{request['approval_id']}/approve", bad), 422, "VCC-3104")
    assert estate.admin("POST", "/api/v1/principals/frank", {"services": [OWN]})[0] == 200  # it is another principal now
    status, body = estate.decide(request, "approve")
    assert status == 409 and body["code"] in ("VCC-3711", "VCC-3712"), body
    ended = wait_for("the request ends by itself", lambda: (a := estate.approver.get(f"approvals/{request['approval_id']}"))["status"] != "waiting" and a, 90)
    assert ended["status"] == "cancelled" and ended["decider"] == "controller"
    assert estate.admin.get("principals/frank")["roles"] == ["viewer"]


def test_names_outside_the_invite_wait_for_a_person(estate):
    request, cert_id = estate.requests[OWN], estate.waiting[OWN]
    assert request["requester"] == f"agent:{estate.own.name}" and request["what"]["names"] == [f"DNS:other.{OWN}.vcc.internal"]
    problem(estate.decide(request, "approve", by=estate.by["operator", False]), 403, "VCC-3101")
    # the host asks for something else: what was shown is over, and nobody approves it unseen
    estate.second_target(estate.own, f"third.{OWN}.vcc.internal")
    newer = wait_for("a newer request", lambda: next((a for a in estate.approver.get("approvals")["items"]
                                                      if a["object"] == cert_id and a["hash"] != request["hash"]), None))
    problem(estate.decide(request, "approve"), 409, "VCC-3712")
    assert estate.decide(newer, "approve", by=estate.by["approver", True])[0] == 200
    wait_for("it is issued", lambda: estate.inst.certificate(cert_id)["serial"], 90)
    foreign = estate.requests[FOREIGN]
    problem(estate.decide(foreign, "approve", by=estate.by["approver", True]), 404, "VCC-1006")
    assert estate.decide(foreign, "reject")[1]["status"] == "rejected"
    assert not estate.inst.certificate(estate.waiting[FOREIGN])["serial"]


def test_an_order_after_max_renewals_waits(estate):
    host = estate.own
    estate.inst.edit_template(host.template, "--force", max_renewals=1)

    def order():
        return estate.admin.get(f"renewals?cert_id={host.cert_id}&limit=1")["items"][0]
    both, waiting = list(host.names), None
    for _ in range(3):  # each accepted edit of the file is an unattended renewal
        before = order()["renewal_id"]
        host.names = both if len(host.names) == 1 else both[:1]
        host.write_target()
        waiting = wait_for("an order", lambda: (o := order())["renewal_id"] != before and o["status"] in ("completed", "awaiting_approval") and o, 90)
        if waiting["status"] == "awaiting_approval":
            break
    assert waiting["status"] == "awaiting_approval", waiting
    request = estate.approver.get(f"approvals/{waiting['renewal_id']}")
    assert request["kind"] == "order" and request["service"] == OWN and request["what"]["max_renewals"] == 1
    assert estate.decide(request, "approve")[0] == 200
    wait_for("it goes on", lambda: order()["renewal_id"] == waiting["renewal_id"] and order()["status"] == "completed", 90)
    problem(estate.decide(request, "reject"), 409, "VCC-3712")


def test_nobody_decides(folder):
    e = Estate(folder, {"controller.limits.approval_life": "3s"})
    try:
        asked = e.admin("POST", "/api/v1/principals", {"name": "late", "roles": ["approver"]})[1]
        over = wait_for("it is cancelled", lambda: (a := e.approver.get(f"approvals/{asked['approval_id']}"))["status"] != "waiting" and a, 60)
        assert over["status"] == "cancelled" and over["comment"]
        problem(e.decide(asked["approval"], "approve"), 409, "VCC-3712")
        problem(e.admin("GET", "/api/v1/principals/late"), 404, "VCC-1006")
        assert e.approver.get("approvals")["items"] == [] and len(e.approver.get("approvals?state=all")["items"]) == 1
    finally:
        e.stop()


# ---- client certificates ----

def certificates(estate):
    return {c["cert_id"] for c in estate.admin.get("certificates")["items"]}


def login(estate, folder):
    current = os.path.join(folder, "current")
    return Api(estate.inst, certificate=(os.path.join(current, "fullchain.pem"), os.path.join(current, "key.pem")))


def test_a_client_certificate_stands_for_its_principal(estate, folder):
    """From a target file to a login, which a second person has to agree to; and what ends it ends at once."""
    inst = estate.inst
    estate.principal("ivan", ["operator"], [OWN], person="ivan")
    files = estate.login_target(estate.own, "ivan")
    request = wait_for("a request", lambda: estate.request("ivan"))
    assert request["what"]["purpose"] == "admin" and request["what"]["template_id"] == "operator_admin"
    assert not inst.certificate("ivan")["serial"] and not os.path.exists(os.path.join(files, "current"))
    assert estate.decide(request, "approve")[0] == 200
    wait_for("it is issued", lambda: inst.certificate("ivan")["serial"] and os.path.exists(os.path.join(files, "current")), 90)
    wait_for("its order is over", lambda: not inst.certificate("ivan")["open_order"], 90)
    api = login(estate, files)
    who = api.get("whoami")
    assert who["principal"] == "ivan" and who["by"] == "client certificate" and who["roles"] == ["operator"] and who["services"] == [OWN]
    problem(api("GET", f"/api/v1/agents/{estate.foreign.name}"), 404, "VCC-1006")
    problem(api("GET", "/api/v1/principals"), 403, "VCC-3101")
    argv = [inst.bin("vccctl"), "--url", inst.admin_url, "--ca", os.path.join(inst.state, "ca.pem"), "--cert", f"{files}/current/fullchain.pem",
            "--key", f"{files}/current/key.pem", "whoami", "-o", "json"]
    assert json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)["principal"] == "ivan"
    # a certificate of another template, of the same host and authority, opens nothing
    problem(login(estate, estate.own.target_dir)("GET", "/api/v1/whoami"), 401, "VCC-3100")
    # what ends it
    estate.admin("POST", "/api/v1/principals/ivan", {"disabled": True})
    problem(api("GET", "/api/v1/whoami"), 401, "VCC-3100")
    estate.admin("POST", "/api/v1/principals/ivan", {"disabled": False})
    assert api("GET", "/api/v1/whoami")[0] == 200
    assert estate.admin("POST", "/api/v1/certificates/ivan/revoke", {"reason": "keyCompromise"})[0] == 200
    problem(api("GET", "/api/v1/whoami"), 401, "VCC-3100")


def test_no_other_certificate_opens_the_admin_port(estate, folder):
    key, cert = os.path.join(folder, "key.pem"), os.path.join(folder, "cert.pem")
    for name in ("EC", "RSA"):
        made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if name == "EC" else ["-newkey", "rsa:2048"]
        serial = estate.inst.certificate(estate.own.cert_id)["serial"]  # a serial number of ours on a stranger's certificate
        subprocess.run(["openssl", "req", "-x509", *made, "-nodes", "-days", "3", "-subj", "/CN=admin", "-set_serial", f"0x{serial}", "-keyout", key,
                        "-out", cert], check=True, capture_output=True)
        assert problem(Api(estate.inst, certificate=(cert, key))("GET", "/api/v1/whoami"), 401, "VCC-3100")["object"] == "client certificate"
        assert Api(estate.inst, certificate=(cert, key))("GET", "/healthz")[0] == 200


def test_a_template_that_becomes_one_for_admins_opens_nothing(estate):
    """A host's certificate is named like a principal, and an administrator turns its template into one for admin certificates."""
    inst = estate.inst
    estate.principal("mallory", ["admin"], person="mallory")
    files = estate.login_target(estate.foreign, "mallory", estate.foreign.template, estate.foreign.names[0])
    wait_for("it is issued", lambda: "mallory" in certificates(estate) and inst.certificate("mallory")["serial"] and os.path.exists(os.path.join(files, "current")), 90)
    wait_for("its order is over", lambda: not inst.certificate("mallory")["open_order"], 90)
    problem(login(estate, files)("GET", "/api/v1/whoami"), 401, "VCC-3100")
    inst.edit_template(estate.foreign.template, "--force", certificate_purpose="admin", extended_key_usage=["clientAuth"], key_usage=["digitalSignature"],
                       validity_period="90d", renewal_threshold="30d")
    wait_for("the change has reached it", lambda: not inst.certificate("mallory")["approved"], 90)
    problem(login(estate, files)("GET", "/api/v1/whoami"), 401, "VCC-3100")


# ---- past all of it ----

def local(inst, method, path, body):
    data = json.dumps(body).encode()
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(os.path.join(inst.state, "run", "admin.sock"))
        s.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode() + data)
        text = b""
        while piece := s.recv(65536):
            text += piece
    return int(text.split()[1]), json.loads(text.split(b"\r\n\r\n", 1)[1])


def audit(inst, event):
    db = sqlite3.connect(f"file:{os.path.join(inst.state, 'controller', 'vcc.db')}?mode=ro", uri=True, timeout=20)
    try:
        return db.execute("SELECT coalesce(who.name, actor), coalesce(whom.name, object), detail FROM audit"
                          " LEFT JOIN audit_persons AS who ON who.alias = actor LEFT JOIN audit_persons AS whom ON whom.alias = object"
                          " WHERE event = ? ORDER BY seq", (event,)).fetchall()
    finally:
        db.close()


def test_break_glass_is_loud(estate):
    before = len(audit(estate.inst, "break_glass_access"))
    assert local(estate.inst, "GET", "/api/v1/principals", {})[0] == 200
    assert len(audit(estate.inst, "break_glass_access")) == before
    status, made = local(estate.inst, "POST", "/api/v1/principals", {"name": "by-root", "roles": ["viewer"]})
    assert status == 201 and made["changed_by"].startswith("local:uid-")
    rows = audit(estate.inst, "break_glass_access")
    assert len(rows) == before + 1 and json.loads(rows[-1][2]) == {"method": "POST", "path": "/api/v1/principals"}
    with open(os.path.join(estate.inst.dir, "log", "controller.log"), errors="replace") as f:
        assert any("break-glass: POST /api/v1/principals by local:uid-" in line for line in f)
    # root asks for an approver like everybody else, and cannot decide
    status, asked = local(estate.inst, "POST", "/api/v1/principals", {"name": "by-root-two", "roles": ["approver"]})
    assert status == 202
    assert local(estate.inst, "POST", f"/api/v1/approvals/{asked['approval_id']}/approve", {"hash": asked["approval"]["hash"]})[0] == 403


def test_every_change_has_its_record(estate):
    def records():
        return [(event, *row[:2]) for event in ("principal_created", "principal_changed", "principal_disabled", "token_created", "token_revoked",
                                                "approval_requested", "approval_granted", "approval_rejected") for row in audit(estate.inst, event)]
    before = records()
    admin = estate.admin
    admin("POST", "/api/v1/principals", {"name": "kim", "roles": ["viewer"], "person": "kim"})
    admin("POST", "/api/v1/principals/kim", {"services": [OWN]})
    token = admin("POST", "/api/v1/tokens", {"principal": "kim"})[1]
    admin("POST", f"/api/v1/tokens/{token['token_id']}/revoke")
    asked = []  # a request about a person is named by its id: the trail shows names as pseudonyms alone
    for verb in ("reject", "approve"):
        asked.append(admin("POST", "/api/v1/principals/kim", {"roles": ["approver"]})[1]["approval"])
        assert estate.decide(asked[-1], verb)[0] == 200
    admin("POST", "/api/v1/principals/kim", {"disabled": True})
    new = records()
    for row in before:
        new.remove(row)
    assert sorted(new) == sorted([("principal_created", "admin", "kim"), ("principal_changed", "admin", "kim"), ("principal_changed", "approver", "kim"),
                                  ("principal_disabled", "admin", "kim"), ("token_created", "admin", "kim"), ("token_revoked", "admin", "kim"),
                                  *(("approval_requested", "admin", a["approval_id"]) for a in asked),
                                  ("approval_rejected", "approver", asked[0]["approval_id"]), ("approval_granted", "approver", asked[1]["approval_id"])])
    detail = "".join(row[2] for event in ("principal_created", "principal_changed", "approval_requested") for row in audit(estate.inst, event))
    assert "kim" not in detail


def test_no_token_is_kept_or_logged(estate):
    tokens = [estate.token("viewer-free", label="marker"), *estate.tokens.values()]
    for top, _, files in os.walk(os.path.join(estate.inst.state, "controller")):
        for name in files:
            with open(os.path.join(top, name), "rb") as f:
                data = f.read()
            assert not any(t.encode() in data for t in tokens), name
    for name in ("controller", "gateway", "signer"):
        with open(os.path.join(estate.inst.dir, "log", f"{name}.log"), "rb") as f:
            data = f.read()
        assert not any(t.encode() in data for t in tokens), name


# ---- vccctl ----

def vccctl(estate, who, *words, code=0):
    argv = [estate.inst.bin("vccctl"), "--url", estate.inst.admin_url, "--ca", os.path.join(estate.inst.state, "ca.pem"), "--token-file", who, *words]
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout or done.stderr


def on_a_terminal(estate, who, *words, answer):
    """(exit code, what was on the screen) of a person who types `answer`."""
    ours, theirs = pty.openpty()
    argv = [estate.inst.bin("vccctl"), "--url", estate.inst.admin_url, "--ca", os.path.join(estate.inst.state, "ca.pem"), "--token-file", who, *words]
    p = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, answer.encode())
    screen = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # it has ended
            break
        if not part:
            break
        screen += part
    os.close(ours)
    return p.wait(60), re.sub(r"\s*\n\s*", " ", screen.decode())


def test_the_command_line(estate, folder):
    admin, approver = (os.path.join(estate.inst.state, f"{who}.token") for who in ("admin", "approver"))
    vccctl(estate, admin, "principal", "create", "gina", "--roles", "viewer", "--services", f"{OWN},{FOREIGN}")
    assert "gina" in vccctl(estate, admin, "principal", "list")
    assert json.loads(vccctl(estate, admin, "principal", "show", "gina", "-o", "json"))["services"] == [OWN, FOREIGN]
    mine = os.path.join(folder, "gina.token")
    out = vccctl(estate, admin, "token", "create", "gina", "--label", "laptop", "--ttl", "1h", "--out", mine)
    assert "vcc_pat_" not in out and os.stat(mine).st_mode & 0o777 == 0o600
    who = json.loads(vccctl(estate, mine, "whoami", "-o", "json"))
    assert who["principal"] == "gina" and who["person"] == "gina" and who["token"]["label"] == "laptop" and who["limited_to_services"] is True
    assert "VCC-3101" in vccctl(estate, mine, "principal", "list", code=4)
    assert "laptop" in vccctl(estate, mine, "token", "list")
    asked = json.loads(vccctl(estate, admin, "principal", "set-role", "gina", "--roles", "approver", "--services", "all", "-o", "json", code=4))
    ident = asked["approval_id"]
    shown = json.loads(vccctl(estate, approver, "approval", "show", ident, "-o", "json"))
    assert ident in vccctl(estate, approver, "approval", "list")
    assert "VCC-3711" in vccctl(estate, approver, "approval", "approve", ident, "--hash", "1" * 64, code=1)
    assert "VCC-3101" in vccctl(estate, admin, "approval", "approve", ident, "--hash", shown["hash"], code=4)
    assert "--hash" in vccctl(estate, approver, "approval", "approve", ident, code=2)  # nobody agrees to what was not seen
    status, screen = on_a_terminal(estate, approver, "approval", "approve", ident, answer="\n")
    assert status == 4 and shown["hash"] in screen and '"after"' in screen and "Type yes" in screen, screen
    assert json.loads(vccctl(estate, approver, "approval", "show", ident, "-o", "json"))["status"] == "waiting"
    assert '"after"' in vccctl(estate, approver, "approval", "approve", ident, "--hash", shown["hash"], "--comment", "seen her")
    assert json.loads(vccctl(estate, admin, "principal", "show", "gina", "-o", "json"))["roles"] == ["approver"]
    vccctl(estate, admin, "principal", "disable", "gina")
    assert "VCC-3100" in vccctl(estate, mine, "whoami", code=4)
    token = json.loads(vccctl(estate, admin, "token", "list", "gina", "-o", "json"))[0]["token_id"]
    vccctl(estate, admin, "token", "revoke", token)
    vccctl(estate, admin, "principal", "create", "x y", "--roles", "viewer", code=1)
    vccctl(estate, admin, "principal", "create", "harry", code=2)
    vccctl(estate, admin, "approval", "show", "nonsense", code=3)


# ---- the end of a host (last: it takes one away) ----

def test_an_agent_is_removed_after_it_was_evicted(estate):
    name, cert_id = estate.foreign.name, estate.foreign.cert_id
    limited, free = estate.by["operator", True], estate.by["operator", False]
    problem(limited("POST", f"/api/v1/agents/{name}/remove"), 404, "VCC-1006")
    problem(free("POST", f"/api/v1/agents/{name}/remove"), 409, "VCC-1007")
    assert estate.inst.certificate(cert_id)["orphaned"] is False
    assert free("POST", f"/api/v1/agents/{name}/evict")[0] == 200
    assert json.loads(vccctl(estate, os.path.join(estate.inst.state, "admin.token"), "agent", "remove", name, "-o", "json"))["state"] == "removed"
    assert name not in {a["name"] for a in estate.admin.get("agents")["items"]}
    assert name in {a["name"] for a in estate.admin.get("agents?state=all")["items"]}
    assert estate.inst.certificate(cert_id)["orphaned"] is True and audit(estate.inst, "agent_removed")
    problem(free("POST", f"/api/v1/agents/{name}/remove"), 409, "VCC-1007")
    # a ban is not lifted by it
    assert free("POST", f"/api/v1/agents/{estate.own.name}/ban")[0] == 200
    problem(free("POST", f"/api/v1/agents/{estate.own.name}/remove"), 409, "VCC-3207")
