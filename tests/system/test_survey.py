"""discover -> manage --dry-run -> manage -> renew -> unmanage on Debian's own nginx, Apache, HAProxy and PostgreSQL: does the service go on serving what
it served until the first swap is proved, and is everything as before at the end?"""
import json

import machine
import pytest
from survey_machine import SurveyMachine, difference

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

    m.agent("manage", name)
    cert = m.wait("the first certificate is served", lambda: (c := m.certificate(cert_id)).get("served") and not c.get("open_order") and c)
    first = m.served(port, starttls=starttls)
    assert first == cert["fingerprint"] != old
    changed = difference(before, m.snapshot())
    assert all(p.startswith(("/etc/vcc-agent/targets.d", "/var/lib/vcc-agent/targets", "/etc/nginx", "/etc/apache2", "/etc/haproxy", "/etc/postgresql"))
               for p in changed), changed.keys()
    m.agent("manage", name, expect=4)

    renewal = m.renew(cert_id)
    assert renewal["status"] == "completed" and renewal["error"] is None
    assert m.served(port, starttls=starttls) == renewal["new_certificate"]["fingerprint"] != first
    m.run("systemctl", "restart", unit)
    m.wait("it serves ours after a restart, too", lambda: m.services().get(name, {}).get("managed"))

    m.agent("unmanage", name)
    assert m.served(port, starttls=starttls) == old
    assert difference(before, m.snapshot()) == {}
    m.wait("the certificate is retired", lambda: m.certificate(cert_id).get("retired_at"))
    m.agent("unmanage", name, expect=3)
    assert m.services()[name]["problem"] is None, "it could be managed again"
