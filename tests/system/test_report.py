"""Are the figures of the compliance report those that an independent reader of the audit trail comes to, does each lead to its rows, and is an evidence
pack proved by two programs that have nothing but the root, and refused by both when any part of it was changed?"""
import copy
import csv
import datetime
import io
import json
import os
import re
import subprocess
import time
import uuid
import zipfile
from html.parser import HTMLParser

import pytest
from campaign_fleet import CampaignFleet, refused
from conftest import new_folder
from installation import ROOT, wait_for

DAY = 86400
REPORT = "/api/v1/reports/compliance"
KEYS = ["report_period", "generated_at", "summary", "vcc_service_breakdown", "renewal_performance", "risk_assessment"]


class ReportFleet(CampaignFleet):
    """Renewals by persons, by the scheduler and by a policy, one that fails, one certificate that somebody had to approve, an emergency."""

    def orders(self, cert_id):
        return self.admin.get(f"renewals?cert_id={cert_id}")["items"]

    def renew(self, cert_id):
        old = self.cert(cert_id)["fingerprint"]
        self.vccctl("cert", "renew", cert_id, "--force")
        self.wait_done(cert_id, old)

    def live(self):
        self.d1, self.d2, self.v1 = self.host_of("d1"), self.host_of("d2"), self.host_of("v1", "vpb")
        self.edit_template("vpb_service", validity_period="20s", renewal_threshold="15s", emergency_threshold="1s", max_renewals=0)
        wait_for("the scheduler renewed", lambda: any(o["renewal_trigger"] == "scheduled" and o["status"] == "completed" for o in self.orders("v1-web")), 100, 0.2)
        self.edit_template("vpb_service", validity_period="100d", renewal_threshold="30d", emergency_threshold="7d", max_renewals=0)
        wait_for("it lasts again", lambda: (c := self.cert("v1-web"))["days_until_expiry"] > 90 and not c["open_order"], 60, 0.2)
        self.renew("d1-web")
        self.d1.target("d1-odd", "clara", "clara_service_auth", "DNS:odd.clara.vcc.internal")  # outside of its invite
        a = wait_for("somebody is asked", lambda: next((a for a in self.approver.get("approvals")["items"] if a["object"] == "d1-odd"), None))
        assert self.post(f"/api/v1/approvals/{a['approval_id']}/approve", {"hash": a["hash"]}, self.approver)[0] == 200
        self.wait_done("d1-odd")
        self.edit_template("clara_service_auth", max_renewal_attempts=1)
        self.campaign_id = self.emergency(wait=30, selector={"service": "vpb"}, incident_id="INC-7")[1]["campaign_id"]
        self.wait_state(self.campaign_id, "completed")
        self.d2.outcome = lambda host, message: "failed"
        self.vccctl("cert", "renew", "d2-web", "--force")
        wait_for("it is paused", lambda: self.orders("d2-web")[0]["status"] == "paused", 60, 0.2)


@pytest.fixture(scope="module")
def fleet():
    f = ReportFleet(new_folder("report"), settings={"controller.limits.audit_head_interval": "300ms", "controller.limits.approval_share": "100%",
                                                    "controller.limits.allow_short_validity": "yes"})
    try:
        f.begin()
        f.live()
        yield f
    finally:
        f.end()


def report(fleet, query="?period=monthly", as_=None):
    status, answer = (as_ or fleet.admin)("GET", REPORT + query)
    assert status == 200, answer
    return answer


def rows(fleet, path):
    """All that the address in `sources` lists."""
    found, cursor = [], ""
    while True:
        status, answer = fleet.admin("GET", f"{path}&limit=2{cursor}")
        assert status == 200, answer
        found += answer["items"]
        if not answer["next_cursor"]:
            return found
        cursor = "&cursor=" + answer["next_cursor"]


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def recomputed(fleet, since):
    """From the export of the trail and the list of certificates alone."""
    exported = fleet.cli("audit", "export").stdout.splitlines()
    records = [r for r in map(json.loads, exported) if "seq" in r and r["at"] >= since * 1000]
    certs = fleet.admin.get("certificates?limit=500")["items"]
    orders = {}
    for r in records:
        if r["renewal_id"]:
            orders.setdefault(r["renewal_id"], []).append(r)
    ended, done, failed, alone, minutes = [], [], [], [], []
    for trail in orders.values():
        first = next((r for r in trail if r["event"] == "certificate_renewal_scheduled"), None)
        if first is None or json.loads(first["detail"])["renewal_reason"] == "first issue":
            continue
        last = [r for r in trail if r["event"] in ("certificate_renewal_completed", "certificate_renewal_failed", "certificate_renewal_paused",
                                                   "certificate_renewal_cancelled")]
        if not last:
            continue
        ended.append(first["renewal_id"])
        kind = last[-1]["event"].rsplit("_", 1)[1]
        failed += [first["renewal_id"]] if kind in ("failed", "paused") else []
        if kind == "completed":
            done.append(first["renewal_id"])
            minutes.append((last[-1]["at"] - first["at"]) / 60000)
            alone += [first["renewal_id"]] if first["actor"] in ("scheduler", "controller") else []
    emergencies = [r["object"] for r in records if r["event"] == "emergency_recertification_started"]
    soon = [c["cert_id"] for c in certs if c["expires_at"] and 0 < seconds(c["expires_at"]) - time.time() <= 30 * DAY]
    return {"certs": certs, "ended": ended, "done": done, "failed": failed, "alone": alone, "minutes": minutes, "emergencies": emergencies, "soon": soon}


# ---- the figures ----

def test_the_figures_are_those_of_the_trail(fleet):
    r, own = report(fleet), recomputed(fleet, time.time() - 30 * DAY)
    assert list(r)[:6] == KEYS and r["report_period"] == "monthly"
    active = [c for c in own["certs"] if c["status"] in ("active", "expiring")]
    s, p = r["summary"], r["renewal_performance"]
    assert list(s) == ["total_certificates", "active_certificates", "renewals_completed", "emergency_recertifications", "compliance_violations"]
    assert s["total_certificates"] == len(own["certs"]) == 4 and s["active_certificates"] == len(active)
    assert s["renewals_completed"] == len(own["done"]) >= 4 and s["emergency_recertifications"] == len(own["emergencies"]) == 1
    assert len(own["failed"]) == 1 and own["alone"], own
    assert p["success_rate"] == pytest.approx(len(own["done"]) / len(own["ended"]))
    assert p["automated_renewals_percentage"] == pytest.approx(100 * len(own["alone"]) / len(own["done"]))
    assert p["average_duration_minutes"] == pytest.approx(sum(own["minutes"]) / len(own["minutes"]), abs=0.02)
    by = r["vcc_service_breakdown"]
    assert list(by)[:5] == ["clara", "covina", "argus", "veritas", "vpb"]
    assert by["clara"]["total"] == 3 and by["clara"]["renewals_failed"] == 1 and by["clara"]["renewals_completed"] == sum(
        o["renewal_id"] in own["done"] for c in ("d1-web", "d1-odd", "d2-web") for o in fleet.orders(c))
    assert by["argus"] == dict.fromkeys(by["argus"], 0)
    assert r["risk_assessment"]["expiring_soon"] == len(own["soon"])
    assert sum(x["total"] for x in by.values()) == s["total_certificates"] and sum(x["renewals_completed"] for x in by.values()) == s["renewals_completed"]
    assert r["statement"] == "Technical evidence, not legal conformity."


def test_each_figure_leads_to_its_rows(fleet):
    r, own = report(fleet), recomputed(fleet, time.time() - 30 * DAY)
    ids = {name: [row["id"] for row in rows(fleet, source["rows"])] for name, source in r["sources"].items()}
    for name in ("total_certificates", "active_certificates", "renewals_completed", "emergency_recertifications"):
        assert len(ids[name]) == r["summary"][name], name
    assert sorted(ids["total_certificates"]) == sorted(c["cert_id"] for c in own["certs"])
    for name, found in (("renewals_ended", own["ended"]), ("renewals_completed", own["done"]), ("renewals_failed", own["failed"]),
                        ("renewals_automated", own["alone"]), ("emergency_recertifications", own["emergencies"])):
        assert sorted(ids[name]) == sorted(found), name
    assert ids["high_risk_certificates"] == [x["cert_id"] for x in r["risk_assessment"]["high_risk_certificates"]]
    assert len(ids["high_risk_certificates"]) == r["risk_assessment"]["high_risk_count"] and "d2-web" in ids["high_risk_certificates"]
    violating = rows(fleet, r["sources"]["compliance_violations"]["rows"])
    assert sum(x["severity"] == "error" for row in violating for x in row["rules"]) == r["summary"]["compliance_violations"]
    for profile in r["compliance"]:
        for rule in profile["rules"]:
            if rule["rows"]:
                assert len(rows(fleet, rule["rows"])) == rule["fail"], rule
    only = fleet.admin.get("reports/rows?figure=renewals_completed&service=vpb")["items"]
    assert only and {x["service_name"] for x in only} == {"vpb"}


def test_periods(fleet):
    for period, days in (("daily", 1), ("weekly", 7), ("monthly", 30), ("quarterly", 91), ("yearly", 365)):
        r = report(fleet, f"?period={period}")
        assert r["report_period"] == period and seconds(r["to"]) - seconds(r["from"]) == pytest.approx(days * DAY) and r["to"] == r["generated_at"]
    whole = report(fleet)["summary"]["renewals_completed"]
    completed = sorted(o["completed_at"] for c in ("d1-web", "d2-web", "v1-web") for o in fleet.orders(c) if o["status"] == "completed")
    middle = completed[-1]  # the end of the period does not belong to it
    parts = [report(fleet, f"?from=2020-01-01T00:00:00Z&to={middle}"), report(fleet, f"?from={middle}&to=2100-01-01T00:00:00Z")]
    assert [p["summary"]["renewals_completed"] for p in parts] == [whole - 1, 1]
    assert parts[0]["report_period"] == f"2020-01-01T00:00:00Z/{middle}" and any("limits.keep_orders" in n for n in parts[0]["notes"])
    empty = report(fleet, "?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z")
    assert empty["renewal_performance"] == {"success_rate": None, "average_duration_minutes": None, "automated_renewals_percentage": None}


def test_refused(fleet):
    for query in ("?from=2026-01-01T00:00:00Z", "?to=2026-01-01T00:00:00Z", "?from=x&to=y", "?from=2026-01-02T00:00:00Z&to=2026-01-02T00:00:00Z",
                  "?period=daily&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"):
        refused(fleet.admin("GET", REPORT + query), 422, "VCC-3981")
    refused(fleet.admin("GET", REPORT + "?period=hourly"), 422, "VCC-3104")
    for query in ("?figure=nothing", "?figure=total_certificates&rule=B1", "?figure=compliance_violations&rule=Z9", "?figure=compliance_violations&rule=G9"):
        refused(fleet.admin("GET", "/api/v1/reports/rows" + query), 422, "VCC-3982")
    refused(fleet.admin("GET", "/api/v1/reports/evidence"), 422, "VCC-3104")
    refused(fleet.admin("GET", "/api/v1/reports/evidence?certificate=d1-web&campaign=x"), 422, "VCC-3104")
    refused(fleet.admin("GET", "/api/v1/reports/evidence?certificate=nobody"), 404, "VCC-3983")
    refused(fleet.admin("GET", "/api/v1/reports/evidence?campaign=01a21c67-1a91-77ce-b5f2-5e042364636e"), 404, "VCC-3983")
    assert fleet.approver("GET", REPORT)[0] == 403


# ---- rules ----

def test_rules(fleet):
    r = report(fleet)
    rules = {rule["id"]: rule for profile in r["compliance"] for rule in profile["rules"]}
    counts = {p["profile"]: p["certificates"] for p in r["compliance"]}
    certs = {c["cert_id"]: c for c in fleet.admin.get("certificates?limit=500")["items"]}
    templates = {t["template_id"]: t for t in fleet.admin.get("certificates/lifecycle/templates")["templates"]}
    for profile, n in counts.items():
        of = [c for c in certs.values() if profile in templates[c["template_id"]]["compliance_profiles"]]
        assert n == len(of), profile
        for rule in (x for p in r["compliance"] if p["profile"] == profile for x in p["rules"]):
            judged = sum(rule[k] for k in ("pass", "fail", "not_assessable", "exception"))
            assert judged == (0 if rule["check"] == "none" else n if rule["about"] == "certificates" else min(n, 1)), rule
            assert rule["source"] and rule["version"] >= 1 and rule["valid_from"] and (rule["reason"] or rule["result"] == "pass"), rule
    long = [c for c in certs.values() if "GDPR" in templates[c["template_id"]]["compliance_profiles"] and
            seconds(c["expires_at"]) - seconds(c["not_before"]) > 100 * DAY + 600]
    assert rules["G6-validity"]["fail"] == len(long) >= 2 and rules["G6-validity"]["severity"] == "warn" and rules["G6-validity"]["result"] == "fail"
    assert rules["G5"]["result"] == "pass" and rules["G5"]["pass"] == counts["GDPR"]  # P-256
    assert rules["G9"]["result"] == "fail" and rules["A6"]["result"] == "fail"  # no drill was held, and one person decides alone
    assert rules["A13"]["result"] == "not_assessable" and rules["A13"]["pass"] == 0
    assert all(rule["result"] != "pass" for rule in rules.values() if rule["check"] == "none")
    gap = next(g for g in r["risk_assessment"]["compliance_gaps"] if g["rule"] == "G6-validity")
    assert set(gap["certificates"]) == {c["cert_id"] for c in long} and gap["count"] == len(long)
    risk = next(x for x in r["risk_assessment"]["high_risk_certificates"] if x["cert_id"] == "d2-web")
    assert "renewal_paused" in risk["reasons"]
    german = report(fleet, "?lang=de")
    assert german["statement"].startswith("Technischer Nachweis") and german["summary"] == r["summary"]


def test_exceptions(fleet):
    """Somebody answers for a rule that fails, until a date; it is recorded, and over when it is ended."""
    def g6():
        return next(x for p in report(fleet)["compliance"] for x in p["rules"] if x["id"] == "G6-validity")
    before, path = g6(), "/api/v1/reports/exceptions"
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 90 * DAY))
    good = {"rule": "G6-validity", "template_id": "clara_service_auth", "owner": "clara-owner", "reason": "the model host cannot yet", "until": until}
    for change, status, code in (({"rule": "Z1"}, 422, "VCC-3987"), ({"rule": "G9"}, 422, "VCC-3987"), ({"template_id": "none"}, 404, "VCC-1006"),
                                 ({"owner": "anna@vcc.internal"}, 422, "VCC-3104"), ({"owner": ""}, 422, "VCC-3104"), ({"reason": ""}, 422, "VCC-3104"),
                                 ({"until": "2020-01-01T00:00:00Z"}, 422, "VCC-3104"), ({"until": "2999-01-01T00:00:00Z"}, 422, "VCC-3104"),
                                 ({"until": None}, 404, "VCC-1006")):
        refused(fleet.post(path, {**good, **change}), status, code)
    assert fleet.post(path, good, fleet.approver)[0] == 403 and g6() == before
    done = fleet.cli("report", "except", "G6-validity", "clara_service_auth", "--owner", "clara-owner", "--until", until, "--reason", good["reason"], "-o", "json")
    assert done.returncode == 0 and json.loads(done.stdout)["in_force"] is True, done.stderr
    now = g6()
    assert now["exception"] == before["fail"] + before["exception"] and now["fail"] == 0 and now["result"] in ("exception", "not_assessable")
    assert any(e["owner"] == "clara-owner" and e["reason"] == good["reason"] and e["in_force"] for e in now["exceptions"])
    assert fleet.audited("compliance_exception_made", "clara_service_auth") == [{"rule": "G6-validity", "owner": "clara-owner", "until": until}]
    own = [e for e in json.loads(fleet.cli("report", "exceptions", "-o", "json").stdout) if e["source"] == "own"]
    assert [(e["rule"], e["template_id"]) for e in own] == [("G6-validity", "clara_service_auth")]
    assert fleet.cli("report", "except", "G6-validity", "clara_service_auth", "--reason", "x").returncode == 2
    done = fleet.cli("report", "except", "G6-validity", "clara_service_auth", "--end", "--reason", "it can now")
    assert done.returncode == 0, done.stderr
    assert g6() == before and len(fleet.audited("compliance_exception_ended", "clara_service_auth")) == 1


# ---- for people ----

class Page(HTMLParser):
    """Every tag is closed, and what could load or run anything is noted."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.loads = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag in ("script", "link", "img", "iframe", "a") or any(k.startswith("on") or k in ("src", "href") for k, _ in attrs):
            self.loads.append((tag, attrs))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_command_line(fleet):
    done = fleet.cli("report", "compliance", "--period", "weekly", "-o", "json")
    r = json.loads(done.stdout)
    assert done.returncode == 0 and r["report_period"] == "weekly" and r["summary"] == report(fleet)["summary"]
    table = fleet.cli("report", "compliance")
    assert table.returncode == 0 and "d2-web" in table.stdout and "renewal_paused" in table.stdout and "not legal conformity" in table.stdout
    sheet = list(csv.reader(io.StringIO(fleet.cli("report", "compliance", "-o", "csv").stdout)))
    values = dict(sheet[1:])
    assert sheet[0] == ["key", "value"] and values["summary.total_certificates"] == "4" and values["vcc_service_breakdown.clara.renewals_failed"] == "1"
    for lang, title in (("en", "Certificate compliance report"), ("de", "Compliance-Bericht Zertifikate")):
        page = Page()
        page.feed(fleet.cli("report", "compliance", "-o", "html", "--lang", lang).stdout)
        assert not page.open and not page.loads and title in page.text and "d2-web" in page.text and "B16" in page.text
    rows_ = json.loads(fleet.cli("report", "rows", "--figure", "renewals_failed", "-o", "json").stdout)
    assert len(rows_) == 1 and rows_[0]["status"] == "paused"
    assert fleet.cli("cert", "list", "-o", "html").returncode == 2 and "d1-odd" in fleet.cli("report", "rows").stdout
    assert fleet.cli("report", "compliance", "--from", "x", "--to", "y").returncode == 1


def test_each_figure_says_of_which_time_it_is(fleet):
    begins = json.loads(fleet.cli("audit", "show", "0", "-o", "json").stdout)["at"]
    now = report(fleet)
    assert any(n.startswith(f"the audit trail begins at {begins}: the period begins before that") for n in now["notes"]), now["notes"]
    first = fleet.orders("d1-web")[-1]["completed_at"]
    assert not any("audit trail begins" in n for n in report(fleet, f"?from={first}&to={now['generated_at']}")["notes"])
    past = ("report", "compliance", "--from", "2020-01-01", "--to", "2020-01-02")
    r = json.loads(fleet.cli(*past, "-o", "json").stdout)
    assert r["from"] == "2020-01-01T00:00:00.000Z" or r["from"] == "2020-01-01T00:00:00Z"
    text, page, german = (fleet.cli(*past, *words).stdout for words in ((), ("-o", "html"), ("-o", "html", "--lang", "de")))
    for shown, said in ((text, "the period lies before that"), (page, "the period lies before that"), (german, f"Das Protokoll beginnt am {begins}: Der Zeitraum liegt davor")):
        assert said in shown and (begins in shown), shown
    for part in ("Summary", "Services", "Risks"):
        assert re.search(rf"<h2>{part}, as of 20[0-9T:.-]+Z", page), page
    assert "<h2>Summary, in the period</h2>" in page and "<h2>Zusammenfassung, im Zeitraum</h2>" in german and re.search("<h2>Zusammenfassung, Stand 20", german)
    assert "severity error" in page and "Stufe Fehler" in german and "severity error" in text
    blocks = text.split("\n\n")
    assert blocks[1].startswith("as of 20") and "certificates" in blocks[1] and blocks[2].startswith("in the period\n") and "renewals completed" in blocks[2], text


def test_figures_have_the_digits_that_were_measured(fleet):
    r = report(fleet)["renewal_performance"]
    text, page = fleet.cli("report", "compliance").stdout, fleet.cli("report", "compliance", "-o", "html").stdout
    share, minutes = re.search(r"^of those that ended +(\S+)%$", text, re.M), re.search(r"^average duration +(\d+\.\d) (seconds|minutes)$", text, re.M)
    assert share and minutes and -1e-9 <= 100 * r["success_rate"] - float(share[1]) < 0.1001, text
    tenth = 0.1 / (60 if minutes[2] == "seconds" else 1)
    assert float(minutes[1]) * 10 * tenth == pytest.approx(r["average_duration_minutes"], abs=0.51 * tenth) and r["average_duration_minutes"] > 0
    for figure in (f"those that ended</th><td class=\"n\">{share[1]}%</td>", f"Average duration</th><td class=\"n\">{minutes[1]} {minutes[2]}</td>"):
        assert figure in page, page
    german = fleet.cli("report", "compliance", "-o", "html", "--lang", "de").stdout
    assert f">{share[1].replace('.', ',')}\u00a0%<" in german and f">{minutes[1].replace('.', ',')} {'Sekunden' if minutes[2] == 'seconds' else 'Minuten'}<" in german, german


def test_a_period_that_ends_before_it_begins(fleet):
    done = fleet.cli("report", "compliance", "--from", "2026-11-02", "--to", "2026-11-01")
    assert done.returncode == 1 and "`2026-11-02T00:00:00Z` is not before `to`, `2026-11-01T00:00:00Z`" in done.stderr, done.stderr
    assert "must be a time" in fleet.cli("report", "rows", "--from", "2026-13-01", "--to", "2026-11-01").stderr


# ---- evidence ----

def verifiers(fleet, path):
    """Exit codes of the two programs; neither has the controller."""
    root = os.path.join(fleet.state, "ca.pem")
    ours = subprocess.run([fleet.bin("vccctl"), "--socket", "/nonexistent", "audit", "verify", path, "--root", root, "-o", "json"], capture_output=True,
                          text=True, timeout=120)
    other = subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "docs", "verify_evidence.py"), path, root], capture_output=True, text=True, timeout=120)
    return (ours.returncode, other.returncode), ours.stdout + ours.stderr + other.stdout + other.stderr


def signed(fleet):
    """The newest head covers what has happened."""
    def covered():
        newest = fleet.admin.get("audit?limit=1")["items"][0]["seq"]
        return fleet.admin.get("audit/heads?limit=1")["items"][0]["size"] > newest
    wait_for("the newest head covers all", covered, 60, 0.2)


def pack_of(fleet, name, *words):
    path = os.path.join(fleet.dir, name)
    signed(fleet)
    done = fleet.cli("report", "evidence", *words, "--file", path)
    assert done.returncode == 0, done.stderr
    assert fleet.cli("report", "evidence", *words, "--file", path).returncode == 1, "a file that is there stays"
    with open(path) as f:
        return path, json.load(f)


@pytest.fixture(scope="module")
def pack(fleet):
    return pack_of(fleet, "certificate.json", "--certificate", "d1-web")


def test_evidence_of_a_certificate(fleet, pack):
    path, p = pack
    codes, said = verifiers(fleet, path)
    assert codes == (0, 0), said
    serials = {i["serial"] for i in fleet.admin.get("certificates/d1-web/issuances")["items"]}
    assert {c["serial"] for c in p["certificates"]} == serials and len(serials) == 2 and p["receipts"] and p["templates"]
    issued = next(r for r in p["records"] if r["event"] == "certificate_issued")
    version = json.loads(issued["detail"])["template_version"]
    assert any(t["version"] == version and json.loads(t["text"])["template_id"] == "clara_service_auth" for t in p["templates"])
    assert not any("admin" == r["actor"] for r in p["records"]), "persons stand under pseudonyms"


def test_evidence_of_a_campaign(fleet):
    path, p = pack_of(fleet, "campaign.json", "--campaign", fleet.campaign_id)
    codes, said = verifiers(fleet, path)
    assert codes == (0, 0), said
    assert p["about"] == {"kind": "campaign", "id": fleet.campaign_id} and any(r["event"] == "emergency_recertification_completed" for r in p["records"])
    assert len(p["certificates"]) == 1 and p["receipts"]


def test_a_part_of_a_campaign_is_proved_by_itself(fleet):
    where = f"/api/v1/reports/evidence?campaign={fleet.campaign_id}"
    signed(fleet)
    (status, whole), (second, part) = fleet.admin("GET", where), fleet.admin("GET", where + "&part=1")
    assert status == second == 200 and {r["seq"] for r in part["records"]} == {r["seq"] for r in whole["records"]}, "it has one part"
    path = os.path.join(fleet.dir, "part.json")
    with open(path, "w") as f:
        json.dump(part, f)
    codes, said = verifiers(fleet, path)
    assert codes == (0, 0), said
    refused(fleet.admin("GET", where + "&part=2"), 404, "VCC-3983")
    for wrong in (where + "&part=0", where + "&part=x", "/api/v1/reports/evidence?certificate=d1-web&part=1"):
        refused(fleet.admin("GET", wrong), 422, "VCC-3104")


def test_evidence_of_a_period(fleet):
    """As it is typed: everything that happened, in one archive that both programs prove."""
    path = os.path.join(fleet.dir, "q3.zip")
    signed(fleet)
    done = fleet.cli("report", "evidence", "--since", "-90d", "-o", path)
    assert done.returncode == 0, done.stderr
    codes, said = verifiers(fleet, path)
    assert codes == (0, 0), said
    with zipfile.ZipFile(path) as z:
        names = set(z.namelist())
        report = json.loads(z.read("report.json"))
    begun = {str(uuid.UUID(bytes=c)) for c, in fleet.rows("SELECT campaign_id FROM campaigns")}
    issued = {o for o, in fleet.rows("SELECT DISTINCT object FROM audit WHERE event = 'certificate_issued' AND object IN (SELECT cert_id FROM certificates)")}
    assert issued and names == {f"certificates/{o}.json" for o in issued} | {f"campaigns/{c}.json" for c in begun} | {"report.json", "README.txt", "index.json"}
    assert fleet.campaign_id in begun and report["statement"] == "Technical evidence, not legal conformity."
    assert fleet.cli("report", "evidence", "--since", "2020-01-01", "--until", "2020-02-01", "-o", path).returncode == 1, "a file that is there stays"


def test_evidence_of_what_was_approved(fleet):
    path, p = pack_of(fleet, "approved.json", "--certificate", "d1-odd")
    assert verifiers(fleet, path)[0] == (0, 0) and len(p["approvals"]) == 1 and "odd.clara.vcc.internal" in p["approvals"][0]["what"]
    for member in ("approval_id", "what"):
        changed = copy.deepcopy(p)
        changed["approvals"][0][member] = other(changed["approvals"][0][member])
        with open(path, "w") as f:
            json.dump(changed, f)
        codes, said = verifiers(fleet, path)
        assert codes == (1, 1) and "approvals[0]" in said, said


def other(value):
    """Something else of the same form."""
    if isinstance(value, int):
        return value + 1
    if re.fullmatch("[0-9a-f]{64}", value):
        return value[:-1] + ("0" if value[-1] != "0" else "1")
    if re.fullmatch(r"[A-Za-z0-9_-]{20,}", value):
        return value[:9] + ("A" if value[9] != "A" else "B") + value[10:]
    return value + "x"


def places(p):
    """Every value of the pack, of long lists the first and the last element."""
    for name, part in p.items():
        if isinstance(part, list):
            for i in {0, len(part) - 1} if part else ():
                for member, value in part[i].items():
                    if isinstance(value, list):
                        yield from ((name, i, member, k) for k in {0, len(value) - 1} if value)
                    else:
                        yield (name, i, member)
        elif isinstance(part, dict):
            yield from ((name, member) for member in part)
        else:
            yield (name,)


def test_whatever_is_changed_both_refuse(fleet, pack):
    path, p = pack[0] + ".changed", pack[1]
    every = list(places(p))
    assert {x[0] for x in every} == set(p) - {"approvals"}, "each part is tried"
    for place in every:
        changed = copy.deepcopy(p)
        at = changed
        for step in place[:-1]:
            at = at[step]
        at[place[-1]] = other(at[place[-1]])
        with open(path, "w") as f:
            json.dump(changed, f)
        codes, said = verifiers(fleet, path)
        assert codes == (1, 1), (place, codes, said)


def test_what_was_left_out_nobody_claims_to_see(fleet, pack):
    """A whole record can be taken out, with what it names: both programs say what a pack does not prove."""
    path, p = pack[0] + ".out", copy.deepcopy(pack[1])
    p["records"] = [r for r in p["records"] if r["event"] != "certificate_renewal_scheduled"]
    assert 0 < len(p["records"]) < len(pack[1]["records"])
    with open(path, "w") as f:
        json.dump(p, f)
    for file in (path, pack[0]):
        codes, said = verifiers(fleet, file)
        assert codes == (0, 0), said
        assert "not that nothing was left out" in fleet.cli("audit", "verify", file, "--root", os.path.join(fleet.state, "ca.pem")).stdout
        assert "not that nothing was left out" in said, "the other program says it, too"


def test_what_is_missing_is_told(fleet, pack):
    path, p = pack[0] + ".less", pack[1]
    for part in ("receipts", "certificates", "templates"):
        less = copy.deepcopy(p)
        del less[part][0]
        with open(path, "w") as f:
            json.dump(less, f)
        codes, said = verifiers(fleet, path)
        assert codes == (6, 6) and "missing" in said, (part, codes, said)
    for change in (lambda x: x.pop("receipts"), lambda x: x.update(note="all is well"), lambda x: x["records"][0].update(note="and here"),
                   lambda x: x["receipts"].append(x["receipts"][0]), lambda x: x["authorities"].clear(), lambda x: x["records"].clear()):
        changed = copy.deepcopy(p)
        change(changed)
        with open(path, "w") as f:
            json.dump(changed, f)
        codes, said = verifiers(fleet, path)
        assert codes == (1, 1), (codes, said)


# ---- revocations; the last test: it ends a certificate ----

def test_what_gave_way_is_told_apart_from_other_revocations(fleet):
    """As the database has it, and each figure with its rows."""
    fleet.vccctl("cert", "revoke", "d1-odd", "--reason", "keyCompromise", "--yes")
    begun = int((time.time() - 30 * DAY) * 1000)

    def stored():
        found = fleet.rows("SELECT upper(hex(serial)), revoke_reason FROM issuances WHERE state = 'revoked' AND issuer_id LIKE 'service-%' AND revoked_at >= ?", begun)
        return {serial: reason for serial, reason in found}
    wait_for("it is revoked", lambda: 1 in stored().values())
    r, reasons = report(fleet), stored()
    superseded = {s for s, reason in reasons.items() if reason == 4}
    assert superseded and r["revocations"] == {"total": len(reasons), "superseded": len(superseded), "other": len(reasons) - len(superseded)}
    for figure, serials in (("revocations", set(reasons)), ("revocations_superseded", superseded), ("revocations_other", set(reasons) - superseded)):
        listed = rows(fleet, r["sources"][figure]["rows"])
        assert sorted(row["id"] for row in listed) == sorted(serials) and {row["kind"] for row in listed} == {"revocation"}, figure
    assert all((row["status"] == "superseded") == (row["id"] in superseded) for row in rows(fleet, r["sources"]["revocations"]["rows"]))
    refused(fleet.admin("GET", "/api/v1/reports/rows?figure=revocations&service=clara"), 422, "VCC-3982")
