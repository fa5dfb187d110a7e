"""discover -> manage --dry-run -> manage -> renew -> unmanage on Debian's own nginx, Apache, HAProxy and PostgreSQL: does the service go on serving what
it served until the first swap is proved, and is everything as before at the end?"""
import json

import machine
import pytest
from survey_machine import MachineLoad, SurveyMachine, difference

pytestmark = pytest.mark.skipif(machine.cannot() != "", reason=machine.cannot())


@pytest.fixture(scope="module")
def m(tmp_path_factory):
    with SurveyMachine(str(tmp_path_factory.mktemp("machine"))) as machine_:
        machine_.install()
        machine_.join()
        yield machine_


def nginx(m):
    path = m.path("/etc/nginx/sites-available/default")
    text = open(path).read()
    for line in ("listen 443 ssl default_server;", "listen [::]:443 ssl default_server;", "include snippets/snakeoil.conf;"):
        assert f"# {line}" in text
        text = text.replace(f"# {line}", line)
    open(path, "w").write(text)


def apache(m):
    m.run("a2enmod", "-q", "ssl")
    m.run("a2ensite", "-q", "default-ssl")


def haproxy(m):
    m.run("sh", "-c", "umask 077; cat /etc/ssl/certs/ssl-cert-snakeoil.pem /etc/ssl/private/ssl-cert-snakeoil.key > /etc/haproxy/site.pem")
    with open(m.path("/etc/haproxy/haproxy.cfg"), "a") as f:
        f.write("\nfrontend www\n\tbind :443 ssl crt /etc/haproxy/site.pem alpn h2  # the site\n\thttp-request return status 200\n")


def postgresql(m):
    # the package makes a cluster with TLS when ssl-cert is there; on this machine it may have come later
    m.run("pg_dropcluster", "--stop", "15", "main", check=False)
    m.run("pg_createcluster", "15", "main")
    m.run("systemctl", "daemon-reload")


SERVICES = {
    # name: (prepare, unit, port, STARTTLS, words of its target file)
    "nginx": (nginx, "nginx.service", 443, False, ["kind = systemd", "unit = nginx.service", "test = /usr/sbin/nginx -t", "group = www-data"]),
    "apache": (apache, "apache2.service", 443, False, ["kind = systemd", "unit = apache2.service", "test = /usr/sbin/apache2ctl configtest", "group = www-data"]),
    "haproxy": (haproxy, "haproxy.service", 443, False, ["kind = haproxy", "socket = /run/haproxy/admin.sock", "combined = yes", "group = haproxy"]),
    "postgresql": (postgresql, "postgresql@15-main.service", 5432, True, ["kind = postgresql", "unit = postgresql@15-main.service", "kind = starttls-postgresql",
                                                                      "group = postgres"]),
}


@pytest.fixture(params=SERVICES)
def service(request, m):
    prepare, unit, port, starttls, words = SERVICES[request.param]
    prepare(m)
    m.run("systemctl", "restart", unit)
    name = request.param
    m.wait(f"{name} listens", lambda: name in m.services())
    yield name, unit, port, starttls, words
    m.run("systemctl", "stop", unit)


@pytest.mark.sampled(2)
def test_there_and_back(m, service):
    name, unit, port, starttls, words = service
    cert_id = f"clara01-{name}"
    old = m.served(port, starttls=starttls)
    before = m.snapshot()

    found = m.services()[name]
    assert found["problem"] is None and found["unit"] == unit and not found["managed"], found
    for word in [*words, "service = clara", "template = clara_service_auth", "names = clara01.clara.vcc.internal"]:
        assert word in found["target_file"].splitlines(), found["target_file"]
    assert f"127.0.0.1:{port}" in found["target_file"] or f"[::1]:{port}" in found["target_file"]
    assert difference(before, m.snapshot()) == {}, "discover changes nothing"

    shown = m.agent("manage", name, "--dry-run").stdout
    assert f"{name}/current/" in shown and "reload" in shown and found["target_file"].splitlines()[1] in shown
    assert difference(before, m.snapshot()) == {}, "--dry-run changes nothing"
    assert m.served(port, starttls=starttls) == old

    with MachineLoad(m, [("127.0.0.1", port)], starttls="postgresql" if starttls else None) as load:
        m.agent("manage", name)
        cert = m.wait("the first certificate is served", lambda: (c := m.certificate(cert_id)).get("served") and not c.get("open_order") and c)
        first = m.served(port, starttls=starttls)
        assert first == cert["fingerprint"] != old
        renewal = m.renew(cert_id)
    second = renewal["new_certificate"]["fingerprint"]
    assert renewal["status"] == "completed" and renewal["error"] is None and m.served(port, starttls=starttls) == second != first
    assert load.result["failed"] == 0 and load.result["ok"] > 20, load.result
    assert set(load.result["seen"]) == {old, first, second}, "the old one was served until the first swap, and nothing else ever"
    changed = difference(before, m.snapshot())
    assert all(p.startswith(("/etc/vcc-agent/targets.d", "/var/lib/vcc-agent/targets", "/etc/nginx", "/etc/apache2", "/etc/haproxy", "/etc/postgresql"))
               for p in changed), changed.keys()
    m.agent("manage", name, expect=4)
    m.run("systemctl", "restart", unit)
    m.wait("it serves ours after a restart, too", lambda: m.services().get(name, {}).get("managed"))

    with MachineLoad(m, [("127.0.0.1", port)], starttls="postgresql" if starttls else None) as load:
        m.agent("unmanage", name)
    assert load.result["failed"] == 0 and set(load.result["seen"]) == {old, second}, load.result
    assert m.served(port, starttls=starttls) == old
    assert difference(before, m.snapshot()) == {}
    m.wait("the certificate is retired", lambda: m.certificate(cert_id).get("retired_at"))
    m.agent("unmanage", name, expect=3)
    assert m.services()[name]["problem"] is None, "it could be managed again"


def test_the_controller_sees_the_host(m):
    """The hourly look, in the sandbox of its unit: it sees who holds the sockets, and tells the controller."""
    m.run("systemctl", "start", "nginx.service")
    m.wait("nginx listens", lambda: "nginx" in m.services())
    m.run("systemctl", "start", "vcc-agent-observe.service")
    assert m.unit("vcc-agent-observe.service", "Result")["Result"] == "success"
    rows = m.wait("the controller knows", lambda: {r["address"]: r for r in m.json("vccctl", "agent", "show", "clara01", "-o", "json")["inventory"]["listeners"]
                                                   if r["unit"] == "nginx.service"})
    assert rows["0.0.0.0:443"]["program"] == "nginx" and rows["0.0.0.0:443"]["user"] == "root" and rows["0.0.0.0:443"]["self_signed"]
    assert rows["0.0.0.0:443"]["fingerprint"] == m.served()
    timer = m.unit("vcc-agent-observe.timer", "ActiveState", "UnitFileState")
    assert timer == {"ActiveState": "active", "UnitFileState": "enabled"}


def test_edited_in_between(m):
    """What the operator wrote after `manage` stays after `unmanage`; only our paths go."""
    m.run("systemctl", "start", "nginx.service")
    m.wait("nginx listens", lambda: "nginx" in m.services())
    old, path = m.served(), m.path("/etc/nginx/snippets/snakeoil.conf")
    text = open(path).read()
    m.agent("manage", "nginx")
    managed = open(path).read()
    assert "/targets/nginx/current/" in managed
    with open(path, "w") as f:
        f.write("# mine\n" + managed + "ssl_session_timeout 5m;\n")
    done = m.agent("unmanage", "nginx")
    assert "it was edited meanwhile" in done.stdout
    assert open(path).read() == "# mine\n" + text + "ssl_session_timeout 5m;\n"
    assert m.served() == old

    m.agent("manage", "nginx")
    with open(path, "a") as f:  # a path of ours that we did not write: unmanage must not take the folder away under it
        f.write("ssl_trusted_certificate /var/lib/vcc-agent/targets/nginx/current/ca.pem;\n")
    done = m.agent("unmanage", "nginx", expect=6)
    assert "VCC-2413" in done.stderr and "VCC-2412" in done.stderr and m.run("test", "-e", "/var/lib/vcc-agent/targets/nginx/current/ca.pem")
    m.run("sed", "-i", "/ssl_trusted_certificate/d", "/etc/nginx/snippets/snakeoil.conf")
    m.agent("unmanage", "nginx")
    assert m.served() == old
    m.write("/etc/nginx/snippets/snakeoil.conf", text)


def test_the_doctor(m):
    """Where everything is as it should be there is nothing but a warning of the stock configuration; each thing that is not is named; nothing is changed."""
    if "# listen 443 ssl default_server;" in m.read("/etc/nginx/sites-available/default"):
        nginx(m)  # this test runs alone
    m.run("systemctl", "restart", "nginx.service")
    m.wait("nginx listens", lambda: "nginx" in m.services())
    m.agent("manage", "nginx")
    m.wait("ours is served", lambda: (c := m.certificate("clara01-nginx")).get("served") and not c.get("open_order"))

    def findings(expect):
        return {(c["check"], f["code"]): f for c in json.loads(m.agent("doctor", "-o", "json", expect=expect).stdout)["checks"] for f in c["findings"]}
    try:
        before, found = m.snapshot(), findings(0)
        found.pop(("clock", "VCC-2703"), None)  # the test's host may have no time service
        assert list(found) == [("drain", "VCC-2709")] and "/etc/nginx/nginx.conf" in found["drain", "VCC-2709"]["cause"], found
        m.agent("doctor", "--fix")
        assert difference(before, m.snapshot()) == {}
        m.write("/etc/cron.d/old", "0 3 * * * root cp /srv/x.pem /var/lib/vcc-agent/targets/nginx/current/cert.pem\n")
        assert "/etc/cron.d/old" in findings(0)["renewers", "VCC-2710"]["cause"]
        m.run("systemctl", "stop", "nginx.service")
        found = findings(7)
        assert found["reload", "VCC-2707"]["cause"] == "nginx.service is not active" and "systemctl start nginx.service" in found["reload", "VCC-2707"]["next"]
        assert "refuses the connection" in found["listeners", "VCC-2005"]["cause"]
        m.run("systemctl", "stop", "vcc-hook.socket")
        assert findings(7)["hook", "VCC-2706"]["object"] == "/run/vcc-agent/hook.sock"
    finally:
        m.run("rm", "-f", "/etc/cron.d/old")
        m.run("systemctl", "start", "vcc-hook.socket")
        m.run("systemctl", "start", "nginx.service")
    m.agent("unmanage", "nginx")


def test_started_by_hand(m):
    """No unit: reloaded by nginx's own command, renewed by vcc-hook the same way."""
    m.run("systemctl", "stop", "nginx.service")
    m.run("install", "-d", "/srv/hand")
    m.write("/srv/hand/n.conf", "pid /run/hand.pid;\nerror_log /srv/hand/log;\nevents {}\nhttp { access_log off; server { listen 127.0.0.1:7444 ssl; server_name _;\n"
            "  ssl_certificate /etc/ssl/certs/ssl-cert-snakeoil.pem; ssl_certificate_key /etc/ssl/private/ssl-cert-snakeoil.key; } }\n")
    m.run("/usr/sbin/nginx", "-c", "/srv/hand/n.conf")
    try:
        m.wait("nginx listens", lambda: "nginx" in m.services())
        old, before = m.served(7444), m.snapshot()
        config = m.read("/srv/hand/n.conf")
        assert m.services()["nginx"]["unit"] == "" and "command = /usr/sbin/nginx -c /srv/hand/n.conf -s reload" in m.services()["nginx"]["target_file"]
        m.agent("manage", "nginx")
        m.wait("ours is served", lambda: (c := m.certificate("clara01-nginx")).get("served") and not c.get("open_order"))
        assert m.served(7444) != old
        m.renew("clara01-nginx")
        m.agent("unmanage", "nginx")
        assert m.served(7444) == old and m.read("/srv/hand/n.conf") == config and difference(before, m.snapshot()) == {}
        # a service that does not run: everything goes back all the same
        m.agent("manage", "nginx")
        m.run("/usr/sbin/nginx", "-c", "/srv/hand/n.conf", "-s", "stop")
        m.wait("nginx is gone", lambda: "nginx" not in m.services())
        assert "does not run" in m.agent("unmanage", "nginx").stdout
        assert m.read("/srv/hand/n.conf") == config and difference(before, m.snapshot()) == {}
    finally:
        m.run("/usr/sbin/nginx", "-c", "/srv/hand/n.conf", "-s", "stop", check=False)
