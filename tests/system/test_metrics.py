"""Does /metrics tell Prometheus what is, in both formats and from the start; who may read it; does it cost one reading however many scrape; and do the shipped
alert rules and dashboards rest on metrics that exist, silent in a healthy installation and loud where they should be?"""
import concurrent.futures
import glob
import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request

import pytest
from conftest import new_folder
from installation import ROOT, Installation, Process, free_port, wait_for, write
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_plain

RULES = os.path.join(ROOT, "packaging", "prometheus", "vcc-pki.rules.yml")
BOARDS = sorted(glob.glob(os.path.join(ROOT, "packaging", "grafana", "*.json")))
OPEN = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
BRIEF = {"certificate_renewals_total", "certificate_renewal_duration_seconds", "certificates_expiring_count", "emergency_recertifications_total",
         "certificate_deployment_success_rate", "clara_model_certificates_active", "vcc_service_certificate_health"}
OF_EACH = ("vcc_pki_certificate_", "vcc_pki_served_", "vcc_pki_deployment_", "vcc_pki_rehearsal_", "vcc_pki_agent_")


class Site:
    def __init__(self, folder):
        self.inst = Installation(folder, {"controller.metrics.silent_after": "2s"})
        self.inst.init()
        self.inst.start()
        self.context = ssl.create_default_context(cafile=os.path.join(self.inst.state, "ca.pem"))
        self.first = self.text()
        self.hosts = [self.inst.add_echo(i) for i in range(2)]
        for h in self.hosts:
            self.inst.wait_served(h)

    def token(self, name="admin"):
        with open(os.path.join(self.inst.state, f"{name}.token")) as f:
            return f.read().strip()

    def ask(self, path="/metrics", token="admin", accept=None, method="GET", body=None):
        """(status, content type, text)"""
        q = urllib.request.Request(self.inst.admin_url + path, method=method, data=json.dumps(body).encode() if body is not None else None)
        if token:
            q.add_header("Authorization", "Bearer " + (self.token(token) if token in ("admin", "approver") else token))
        if accept:
            q.add_header("Accept", accept)
        if body is not None:
            q.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(q, context=self.context, timeout=60) as a:
                return a.status, a.headers["Content-Type"], a.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.headers["Content-Type"], e.read().decode()

    def text(self):
        status, _, text = self.ask()
        assert status == 200, text
        return text

    def value(self, name, **labels):
        """The sum of the samples with these labels; None where there is none."""
        found = [s.value for s in samples(self.text()) if s.name == name and all(s.labels.get(k) == v for k, v in labels.items())]
        return sum(found) if found else None

    def wait_value(self, name, want, **labels):
        return wait_for(f"{name}{labels} is {want}", lambda: self.value(name, **labels) == want, 120, 0.3)


def samples(text, parse=parse_plain):
    return [s for family in parse(text) for s in family.samples]


def table():
    """{name: type} of docs/metrics.md."""
    with open(os.path.join(ROOT, "docs", "metrics.md")) as f:
        return dict(re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \|", f.read(), re.M))


@pytest.fixture(scope="module")
def site():
    folder = new_folder("metrics")
    s = Site.__new__(Site)
    try:
        s.__init__(folder)
        yield s
    finally:
        if hasattr(s, "inst"):
            s.inst.stop()
        shutil.rmtree(folder, ignore_errors=True)


# ---- what is shipped ----

def test_the_page_is_that_of_the_table():
    out = subprocess.run([os.path.join(ROOT, "build", "tests", "tool_docs"), "metrics"], capture_output=True, text=True, check=True).stdout
    with open(os.path.join(ROOT, "docs", "metrics.md")) as f:
        assert f.read() == out, "run `make docs`"


def names_in(expression):
    words = re.findall(r"[a-z_][a-z0-9_]*", re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(?:by|without|on|ignoring|group_left)\s*\([^)]*\)', " ", expression))
    return {w for w in words if "_" in w and not re.fullmatch(r"(clamp_min|sort_desc|histogram_quantile)", w)}


def known(name, metrics):
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    return name in metrics or metrics.get(base) == "histogram"


def test_rules_and_dashboards_name_what_there_is():
    metrics = table()
    assert BRIEF <= set(metrics)
    with open(RULES) as f:
        rules = f.read()
    said = {"rules": [e for block in re.findall(r"expr: (?:\|-\n((?:            .*\n)+)|(.*)\n)", rules) for e in block if e]}
    for path in BOARDS:
        with open(path) as f:
            board = json.load(f)
        assert board["uid"].startswith("vcc-pki-") and {"datasource", "job"} <= {v["name"] for v in board["templating"]["list"]}, path
        assert {p["type"] for p in board["panels"]} <= {"stat", "timeseries", "table"}, "no plug-ins"
        said[path] = [t["expr"] for p in board["panels"] for t in p["targets"]]
        assert all("rate(" not in e or "[$__rate_interval]" in e for e in said[path] if re.search(r"\brate\(", e)), path
    assert len(BOARDS) == 3 and len(said["rules"]) >= 12
    for where, expressions in said.items():
        for e in expressions:
            used = names_in(e) - {"up"}
            assert used or "up{" in e, (where, e)
            assert all(known(n, metrics) for n in used), (where, e, [n for n in used if not known(n, metrics)])


def rule_file(folder, expressions):
    """Each as a recording rule, with what Grafana fills in: promtool parses them as Prometheus does."""
    filled = [re.sub(r"\$\{?\w+\}?", ".*", re.sub(r"\$__(rate_)?interval", "5m", e)) for e in expressions]
    path = os.path.join(folder, "boards.rules.yml")
    write(path, json.dumps({"groups": [{"name": "boards", "rules": [{"record": f"board:{i}", "expr": e} for i, e in enumerate(filled)]}]}))
    return subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True)


def test_prometheus_can_read_every_expression_of_the_dashboards(tmp_path):
    for path in BOARDS:
        with open(path) as f:
            expressions = [t["expr"] for p in json.load(f)["panels"] for t in p["targets"]]
        done = rule_file(tmp_path, expressions)
        assert done.returncode == 0 and f"{len(expressions)} rules found" in done.stdout, (path, done.stdout, done.stderr)
    assert rule_file(tmp_path, ["sum by (job (vcc_pki_gateways)"]).returncode != 0


def test_every_alert_names_a_code_that_explain_knows():
    with open(RULES) as f:
        text = f.read()
    alerts = re.findall(r"- alert: (\w+)", text)
    codes = re.findall(r'runbook_url: "urn:vcc:error:(VCC-\d{4})"', text)
    assert len(alerts) == len(codes) == len(re.findall(r"summary:", text)) == len(re.findall(r"description:", text)) == len(re.findall(r"severity:", text))
    for code in set(codes):
        done = subprocess.run([os.path.join(ROOT, "build", "bin", "vccctl"), "explain", code], capture_output=True, text=True)
        assert done.returncode == 0 and code in done.stdout, code


def test_the_rules_fire_where_they_should():
    """promtool's own tests: a healthy installation, and each alert."""
    folder = os.path.dirname(RULES)
    assert "SUCCESS" in subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=True).stdout
    done = subprocess.run(["promtool", "test", "rules", os.path.join(folder, "vcc-pki.rules.test.yml")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with open(os.path.join(folder, "vcc-pki.rules.test.yml")) as f:
        tested = f.read()
    with open(RULES) as f:
        for alert in re.findall(r"- alert: (\w+)", f.read()):
            assert f"- name: {alert}\n" in tested and f"alertname: {alert}, exp_alerts: []" in tested, alert


# ---- the text ----

def test_everything_closed_is_there_from_the_start(site):
    """Before there is a host: every family, and every series of a closed set at 0."""
    first = samples(site.first)
    families = {s.name for s in first}
    for name, kind in table().items():
        wanted = name + "_bucket" if kind == "histogram" else name
        assert wanted in families or name.startswith(OF_EACH) or f"# TYPE {name} " in site.first, name
    renewals = {(s.labels["service_name"], s.labels["renewal_trigger"], s.labels["status"]): s.value for s in first if s.name == "certificate_renewals_total"}
    for service in ("clara", "covina", "argus", "veritas", "vpb"):
        for trigger in ("scheduled", "emergency", "policy_update", "service_update", "manual"):
            for status in ("completed", "failed", "rolled_back", "cancelled"):
                assert renewals[service, trigger, status] == 0
    assert {s.labels["incident_type"] for s in first if s.name == "emergency_recertifications_total" and s.value == 0} == {
        "key_compromise", "host_compromise", "ca_compromise", "algorithm", "misissuance", "exercise", "other"}
    assert {s.labels["days_threshold"] for s in first if s.name == "certificates_expiring_count"} == {"7", "30", "60", "90"}
    assert [s.value for s in first if s.name == "certificate_deployment_success_rate"] == [1]
    assert [s.value for s in first if s.name == "clara_model_certificates_active"] == [0]
    assert {s.value for s in first if s.name == "vcc_service_certificate_health"} == {1}


def test_both_formats_say_the_same(site):
    status, kind, plain = site.ask(accept="text/plain")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    status, kind, text = site.ask(accept=OPEN)
    assert (status, kind) == (200, "application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert text.endswith("# EOF\n")

    def series(found):
        return {(s.name, tuple(sorted((k, float(v) if k == "le" else v) for k, v in s.labels.items()))) for s in found}
    assert series(samples(plain)) == series(samples(text, parse_open))


def test_promtool_finds_fault_with_one_inherited_name(site):
    done = subprocess.run(["promtool", "check", "metrics"], input=site.text(), capture_output=True, text=True)
    faults = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert len(faults) == 1 and faults[0].startswith("certificates_expiring_count "), faults


def test_no_serial_number_is_a_label(site):
    serials = {site.inst.certificate(h.cert_id)["serial"] for h in site.hosts}
    assert all(s not in site.text() and s.lower() not in site.text() for s in serials)


# ---- who ----

def test_who_may_read_it(site):
    inst = site.inst
    assert site.ask(token=None)[0] == 401
    assert site.ask(token="vcc_pat_" + "A" * 49)[0] == 401
    for name, services, status in (("scraper", None, 200), ("half", ["clara"], 403)):
        made = site.ask("/api/v1/principals", method="POST", body={"name": name, "roles": ["viewer"], "services": services, "person": None})
        assert made[0] == 201, made
        token = json.loads(site.ask("/api/v1/tokens", method="POST", body={"principal": name})[2])["token"]
        assert site.ask(token=token)[0] == status, name
    assert site.ask("/metrics?x=1")[0] == 422
    local = subprocess.run(["curl", "-s", "--unix-socket", os.path.join(inst.state, "run", "admin.sock"), "http://local/metrics"], capture_output=True, text=True)
    assert "certificate_renewals_total" in local.stdout


# ---- what it tells ----

def test_a_renewal_counts(site):
    host = site.hosts[0]
    before = {n: site.value(n, **labels) for n, labels in (("certificate_renewals_total", {"service_name": "clara", "status": "completed"}),
                                                          ("certificate_renewal_duration_seconds_count", {}), ("vcc_pki_order_to_verified_seconds_count", {}),
                                                          ("vcc_pki_signatures_total", {"result": "signed"}))}
    assert site.value("vcc_pki_certificates", service_name="clara", state="active") == 1
    assert site.value("vcc_service_certificate_health", service_name="clara") == 1
    assert site.value("vcc_pki_deployment_live", cert_id=host.cert_id) == 1
    ends = site.value("vcc_pki_certificate_not_after_timestamp_seconds", cert_id=host.cert_id)
    assert site.value("vcc_pki_served_not_after_timestamp_seconds", cert_id=host.cert_id) == ends
    info, = [s.labels for s in samples(site.text()) if s.name == "vcc_pki_certificate_info" and s.labels["cert_id"] == host.cert_id]
    assert (info["issuer"], info["key"]) == ("service-1", "ec-p256") and info["template"], info
    site.inst.vccctl("cert", "renew", host.cert_id, "--force", "--watch")
    site.wait_value("certificate_renewals_total", before["certificate_renewals_total"] + 1, service_name="clara", status="completed", renewal_trigger="manual")
    assert site.value("certificate_renewal_duration_seconds_count") == before["certificate_renewal_duration_seconds_count"] + 1
    assert site.value("vcc_pki_order_to_verified_seconds_count") == before["vcc_pki_order_to_verified_seconds_count"] + 1
    assert site.value("vcc_pki_signatures_total", result="signed") > before["vcc_pki_signatures_total"]
    assert site.value("vcc_pki_step_duration_seconds_count", step="verify") >= 1
    assert site.value("certificate_deployment_success_rate") == 1
    wait_for("its new end is told", lambda: site.value("vcc_pki_certificate_not_after_timestamp_seconds", cert_id=host.cert_id) > ends, 60, 0.3)
    wait_for("also as what is served", lambda: site.value("vcc_pki_served_not_after_timestamp_seconds", cert_id=host.cert_id) > ends, 60, 0.3)


def test_an_emergency_counts(site):
    n = site.value("emergency_recertifications_total", incident_type="exercise")
    status, _, text = site.ask("/api/v1/certificates/lifecycle/emergency-recertification", method="POST", body={
        "certificate_ids": [site.hosts[1].cert_id], "incident_id": "INC-1", "reason": "test of figures", "incident_type": "exercise"})
    assert status in (200, 202), text
    site.wait_value("emergency_recertifications_total", n + 1, incident_type="exercise")
    site.wait_value("certificate_renewals_total", 1, service_name="covina", renewal_trigger="emergency", status="completed")
    site.wait_value("vcc_pki_campaigns", 1, state="completed")


def test_what_somebody_changes_counts(site):
    n = site.value("vcc_pki_drift_events_total")
    with open(os.path.join(site.hosts[0].target_dir, "current", "chain.pem"), "ab") as f:
        f.write(b"# changed\n")
    wait_for("the change is counted", lambda: site.value("vcc_pki_drift_events_total") > n, 60, 0.3)


def test_many_scrapers_cost_one_reading(site):
    """64 at once: hardly more than one reading of the database."""
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: site.ask(), range(64)))
    assert {a[0] for a in answers} == {200}
    read_at = [next(s.value for s in samples(a[2]) if s.name == "vcc_pki_figures_timestamp_seconds") for a in answers]
    assert len(set(read_at)) <= 1 + (max(read_at) - min(read_at)) / 2.0, sorted(set(read_at))


def test_a_hundred_scrapes_a_second_hold_no_renewal_up(site):
    """Every scrape is answered, every order ends with its certificate served, and each of them stands in the trail once."""
    path, token, statuses, over = "/metrics", site.token(), [], threading.Event()
    host, port = urllib.parse.urlsplit(site.inst.admin_url).netloc.split(":")

    def scrape(_):
        connection = http.client.HTTPSConnection(host, int(port), context=site.context, timeout=60)
        while not over.is_set():
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
            over.wait(0.04)
        connection.close()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        scrapers = [pool.submit(scrape, i) for i in range(4)]
        orders = []
        try:
            for _ in range(3):
                for h in site.hosts:
                    old = site.inst.certificate(h.cert_id)["serial"]
                    orders.append(site.inst.vccctl("cert", "renew", h.cert_id, "--force", "--watch")["renewal_id"])
                    wait_for("another is served", lambda: site.inst.certificate(h.cert_id)["serial"] != old, 60, 0.2)
        finally:
            over.set()
        for s in scrapers:
            s.result()
    assert len(statuses) > 40 and set(statuses) == {200}
    assert len(set(orders)) == 6 and {site.inst.renewal(o)["status"] for o in orders} == {"completed"}
    trail = json.loads(site.ask("/api/v1/audit?event=certificate_renewal_completed&limit=500")[2])["items"]
    assert sorted(r["renewal_id"] for r in trail if r["renewal_id"] in orders) == sorted(orders)


def test_what_is_gone_has_no_series(site):
    host = site.inst.add_echo(2)
    site.inst.wait_served(host)
    wait_for("it has series", lambda: site.value("vcc_pki_deployment_live", cert_id=host.cert_id) == 1, 60, 0.3)
    os.unlink(os.path.join(host.dir, "targets.d", f"{host.stem}.conf"))
    wait_for("they are gone", lambda: f'cert_id="{host.cert_id}"' not in site.text(), 120, 0.3)
    assert site.value("vcc_pki_certificates", service_name=host.service) is not None


# ---- a real Prometheus ----

class Prometheus:
    def __init__(self, site, folder):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/api/v1/"
        token = os.path.join(folder, "token")
        write(token, site.token(), 0o600)
        write(os.path.join(folder, "prometheus.yml"), json.dumps({
            "global": {"scrape_interval": "3s", "evaluation_interval": "1s", "scrape_timeout": "3s"}, "rule_files": [RULES],
            "scrape_configs": [{"job_name": "vcc-pki", "scheme": "https", "authorization": {"credentials_file": token},
                                "tls_config": {"ca_file": os.path.join(site.inst.state, "ca.pem")},
                                "static_configs": [{"targets": [site.inst.admin_url.split("//")[1]]}]}]}))
        self.process = Process("prometheus", ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                                              f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=1h"], os.path.join(folder, "prometheus.log")).start()

    def get(self, path):
        try:
            with urllib.request.urlopen(self.url + path, timeout=20) as a:
                return json.load(a)["data"]
        except OSError:
            return None

    def up(self):
        targets = self.get("targets")
        return bool(targets) and [t["health"] for t in targets["activeTargets"]] == ["up"]

    def alerts(self):
        """{name: state}; where it does not answer: {"?": "?"}."""
        found = self.get("alerts")
        return {"?": "?"} if found is None else {a["labels"]["alertname"]: a["state"] for a in found["alerts"]}

    def only(self, allowed):
        return set(self.alerts()) <= set(allowed)


@pytest.fixture
def prometheus(site, folder):
    p = Prometheus(site, folder)
    try:
        yield p
    finally:
        p.process.stop()


def test_prometheus_scrapes_and_judges(site, prometheus):
    """Nothing is wrong in a healthy installation but what these tests have changed; a host and a controller that are gone are told, and no more when they are back."""
    quiet = {"TamperDetected": "firing"}  # of test_what_somebody_changes_counts
    wait_for("it scrapes", prometheus.up, 120, 0.3)
    assert prometheus.get("rules")["groups"][0]["rules"]
    wait_for("no alert is there", lambda: prometheus.only(quiet), 120, 0.3)
    names = prometheus.get("label/__name__/values")
    assert {n for n in BRIEF if n != "certificate_renewal_duration_seconds"} <= set(names)
    agent = site.hosts[1].processes["agent"]
    agent.stop()
    site.wait_value("vcc_pki_agents", 1, state="silent")
    wait_for("that is told", lambda: "AgentSilent" in prometheus.alerts(), 120, 0.3)
    agent.start()
    wait_for("it is back", lambda: prometheus.only(quiet), 120, 0.3)
    controller = site.inst.processes["controller"]
    controller.stop()
    wait_for("the controller is missed", lambda: "ControllerAbsent" in prometheus.alerts(), 120, 0.3)
    controller.start()
    wait_for("it is ready", site.inst.ready, 120)
    wait_for("it scrapes again", lambda: prometheus.only(quiet), 120, 0.3)


# ---- settings; the controller is started anew, so these come last ----

def test_open_and_without_detail(site):
    """`metrics.open`, and fewer of each than there are."""
    inst = site.inst
    before = site.value("certificate_renewals_total")
    inst.settings.update({"controller.metrics.open": "yes", "controller.metrics.targets": "1"})
    inst.drop_in("controller", inst.conf("controller"))
    inst.processes["controller"].stop()
    inst.processes["controller"].start()
    wait_for("it is ready", inst.ready)
    status, _, text = site.ask(token=None)
    assert status == 200
    assert site.ask(token="vcc_pat_" + "A" * 49)[0] == 401, "who shows a token is judged by it"
    assert site.ask("/api/v1/certificates", token=None)[0] == 401
    found = samples(text)
    assert next(s.value for s in found if s.name == "vcc_pki_detail_series") == 0
    assert not [s for s in found if s.name.startswith(OF_EACH)]
    assert site.value("vcc_pki_targets", state="live") == 2
    assert site.value("certificate_renewals_total") <= before, "counted since the start"
    assert site.value("certificate_deployment_success_rate") == 1, "what ended before the start is read from the database"
