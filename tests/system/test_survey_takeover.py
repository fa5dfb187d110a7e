"""`manage --from certbot | certmonger | acme.sh` with the real tools where Debian has them, and Python servers in units: is the other tool's renewal
ended for this certificate alone, does the service take what the keeper brings, and is everything as before at the end?"""
import os

import machine
import pytest
from survey_machine import SurveyMachine, difference

pytestmark = pytest.mark.skipif(machine.cannot() != "", reason=machine.cannot())

LIVE = "/etc/letsencrypt/live"
CERTBOT_CONF = """# renew_before_expiry = 30 days
version = 2.1.0
archive_dir = /etc/letsencrypt/archive/{name}
cert = /etc/letsencrypt/live/{name}/cert.pem
privkey = /etc/letsencrypt/live/{name}/privkey.pem
chain = /etc/letsencrypt/live/{name}/chain.pem
fullchain = /etc/letsencrypt/live/{name}/fullchain.pem

# Options used in the renewal process
[renewalparams]
account = 0123456789abcdef0123456789abcdef
authenticator = standalone
server = https://acme-v02.api.letsencrypt.org/directory
key_type = ecdsa
"""
# As acme.sh writes DOMAIN_ecc/DOMAIN.conf.
ACME_CONF = """Le_Domain='{name}'
Le_Alt='no'
Le_Webroot='/var/www/html'
Le_PreHook=''
Le_PostHook=''
Le_RenewHook=''
Le_API='https://acme-v02.api.letsencrypt.org/directory'
Le_Keylength='ec-256'
Le_OrderFinalize='https://acme-v02.api.letsencrypt.org/acme/finalize/1/2'
Le_LinkCert='https://acme-v02.api.letsencrypt.org/acme/cert/3'
Le_CertCreateTime='1790000000'
Le_CertCreateTimeStr='2026-09-21T13:33:20Z'
Le_NextRenewTimeStr='2026-11-19T13:33:20Z'
Le_NextRenewTime='1795095200'
Le_RealCertPath=''
Le_RealCACertPath=''
Le_RealKeyPath='/etc/ssl/acme/key.pem'
Le_ReloadCmd='__ACME_BASE64__START_c3lzdGVtY3RsIHJlbG9hZCBuZ2lueA==__ACME_BASE64__END_'
Le_RealFullChainPath='/etc/ssl/acme/fullchain.pem'
"""
SITE = """server {{
    listen 127.0.0.1:{port} ssl;
    server_name {name};
    ssl_certificate {cert};   # kept by the other tool
    ssl_certificate_key {key};
}}
"""
APP = """async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
"""
UNIT = """[Unit]
Description=A Python service

[Service]
WorkingDirectory=/srv/app
# the certificate is given here
ExecStart={start}
DynamicUser=no
User=daemon
"""


def pair(m, folder, name, days=60, names=("cert.pem", "privkey.pem")):
    """A self-signed pair; key readable by its owner alone."""
    m.run("install", "-d", folder)
    m.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days), "-subj", f"/CN={name}",
          "-addext", f"subjectAltName=DNS:{name}", "-keyout", f"{folder}/{names[1]}", "-out", f"{folder}/{names[0]}")
    m.run("chmod", "600", f"{folder}/{names[1]}")


def certbot_lineage(m, name):
    """As certbot leaves it after a first issue: archive, links in live, the renewal file."""
    archive = f"/etc/letsencrypt/archive/{name}"
    pair(m, archive, name, days=5, names=("cert1.pem", "privkey1.pem"))
    m.run("cp", f"{archive}/cert1.pem", f"{archive}/chain1.pem")
    m.run("cp", f"{archive}/cert1.pem", f"{archive}/fullchain1.pem")
    m.run("install", "-d", f"{LIVE}/{name}", "/etc/letsencrypt/renewal")
    for kind in ("cert", "privkey", "chain", "fullchain"):
        m.run("ln", "-s", f"../../archive/{name}/{kind}1.pem", f"{LIVE}/{name}/{kind}.pem")
    m.write(f"/etc/letsencrypt/renewal/{name}.conf", CERTBOT_CONF.format(name=name))


def certbot_tries(m, name):
    """Would certbot renew this lineage? It is due and there is no network, so it says that it failed."""
    done = m.run("certbot", "renew", "--non-interactive", "--no-random-sleep-on-renew", check=False, timeout=120)
    return f"Failed to renew certificate {name}" in done.stdout + done.stderr


@pytest.fixture(scope="module")
def m(tmp_path_factory):
    with SurveyMachine(str(tmp_path_factory.mktemp("machine"))) as machine_:
        machine_.install()
        machine_.join()
        machine_.run("rm", "-f", "/etc/nginx/sites-enabled/default")
        machine_.run("systemctl", "restart", "nginx.service")
        yield machine_


def add_site(m, name, port, cert, key):
    m.write(f"/etc/nginx/conf.d/{name}.conf", SITE.format(name=name, port=port, cert=cert, key=key))
    m.run("systemctl", "restart", "nginx.service")


def there_and_back(m, port, stem, tool, during):
    """manage --from TOOL, look, unmanage; `during` is asked in between."""
    sni = stem.split("-", 1)[1] if "-" in stem else ""
    old, before = m.served(port, sni=sni), m.snapshot()
    other = next(t for t in ("certbot", "certmonger", "acme.sh") if t != tool)
    assert "VCC-2414" in m.agent("manage", stem, "--from", other, expect=1).stderr
    assert f"--from {tool}" in m.agent("manage", stem, "--dry-run").stdout, "without --from it goes on, and that is said"
    m.agent("manage", stem, "--from", tool, "--dry-run")
    assert difference(before, m.snapshot()) == {}
    m.agent("manage", stem, "--from", tool)
    m.wait("ours is served", lambda: m.served(port, sni=sni) != old)
    during()
    m.agent("unmanage", stem)
    assert m.served(port, sni=sni) == old
    return difference(before, m.snapshot())


def test_certbot(m):
    name = "certbot.example.org"
    certbot_lineage(m, name)
    certbot_lineage(m, "other.example.org")
    add_site(m, name, 7441, f"{LIVE}/{name}/fullchain.pem", f"{LIVE}/{name}/privkey.pem")
    stem = next(s for s, v in m.services().items() if v["renewer"] == "certbot")
    assert m.services()[stem]["renewer_name"] == name
    assert certbot_tries(m, name)

    def during():
        assert not certbot_tries(m, name), "certbot leaves this lineage alone"
        assert certbot_tries(m, "other.example.org"), "and only this one"
        assert name in m.out("certbot", "certificates")
    assert there_and_back(m, 7441, stem, "certbot", during) == {}
    assert certbot_tries(m, name)


def test_certmonger(m):
    name = "certmonger.example.org"
    m.run("install", "-d", "/etc/ssl/cm")
    m.run("systemctl", "start", "certmonger.service")
    m.run("getcert", "request", "-w", "-c", "SelfSign", "-f", "/etc/ssl/cm/cert.pem", "-k", "/etc/ssl/cm/key.pem", "-N", f"CN={name}", "-D", name, "-I", "web")
    m.run("getcert", "request", "-w", "-c", "SelfSign", "-f", "/etc/ssl/cm/other.pem", "-k", "/etc/ssl/cm/other.key", "-N", "CN=other", "-D", "other", "-I", "other")
    pair = ("/etc/ssl/cm/cert.pem", "/etc/ssl/cm/key.pem")
    m.wait("certmonger has written both", lambda: all(os.path.exists(m.path(p)) and "-----END" in m.read(p) for p in pair))
    add_site(m, name, 7442, *pair)
    stem = next(s for s, v in m.services().items() if v["renewer"] == "certmonger")

    def tracked():
        return [line.split("'")[1] for line in m.out("getcert", "list").splitlines() if line.startswith("Request ID")]
    assert sorted(tracked()) == ["other", "web"]

    def during():
        assert tracked() == ["other"], "certmonger no longer tracks this one, and only this one"
    changed = there_and_back(m, 7442, stem, "certmonger", during)
    # certmonger writes its own records anew whenever it looks at them
    assert all(p.startswith("/var/lib/certmonger/requests") for p in changed), changed
    m.wait("certmonger tracks it again", lambda: sorted(tracked()) == ["other", "web"])
    listing = m.out("getcert", "list", "-i", "web")
    assert "/etc/ssl/cm/cert.pem" in listing and "auto-renew: yes" in listing and "CA: SelfSign" in listing
    m.run("systemctl", "stop", "certmonger.service")


def test_acme_sh(m):
    name = "acme.example.org"
    pair(m, "/etc/ssl/acme", name, names=("fullchain.pem", "key.pem"))
    record = f"/root/.acme.sh/{name}_ecc/{name}.conf"
    m.run("install", "-d", "-m", "0700", f"/root/.acme.sh/{name}_ecc")
    m.write(record, ACME_CONF.format(name=name), 0o600)
    m.write(f"/root/.acme.sh/{name}_ecc/{name}.csr.conf", "[req]\n")
    add_site(m, name, 7443, "/etc/ssl/acme/fullchain.pem", "/etc/ssl/acme/key.pem")
    stem = next(s for s, v in m.services().items() if v["renewer"] == "acme.sh")
    assert m.services()[stem]["renewer_name"] == name

    def during():
        assert not os.path.exists(m.path(record)) and os.path.exists(m.path(record + ".removed")), "as `acme.sh --remove` leaves it"
    assert there_and_back(m, 7443, stem, "acme.sh", during) == {}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("unit,port,start,reload", [
    ("api", 7001, "/usr/bin/python3 -m uvicorn app:asgi --port 7001 --workers 2 --ssl-certfile {c} --ssl-keyfile {k}", "command = /usr/bin/systemctl restart api.service"),
    ("green", 7002, "/usr/bin/gunicorn --bind 127.0.0.1:7002 --workers 2 \\\n    --certfile={c} \\\n    --keyfile={k} app:wsgi", "kind = systemd"),
    ("lone", 7003, "/usr/bin/python3 -m uvicorn app:asgi --port 7003 --ssl-certfile '{c}' --ssl-keyfile '{k}'", "command = /usr/bin/systemctl restart lone.service"),
    ("helped", 7004, "/usr/bin/env --ignore-signal=HUP PYTHONPATH=/usr/share/vcc-agent/python /usr/bin/python3 -m vcc_tls uvicorn app:asgi --port 7004 \\\n"
                     "    --ssl-certfile {c} --ssl-keyfile {k}", "kind = systemd"),
])
def test_python_units(m, unit, port, start, reload):
    pair(m, f"/etc/{unit}", f"{unit}.clara.vcc.internal")
    m.run("chown", "root:daemon", f"/etc/{unit}/privkey.pem")
    m.run("chmod", "640", f"/etc/{unit}/privkey.pem")
    m.write("/srv/app/app.py", APP)
    m.write(f"/etc/systemd/system/{unit}.service", UNIT.format(start=start.format(c=f"/etc/{unit}/cert.pem", k=f"/etc/{unit}/privkey.pem")))
    m.run("systemctl", "daemon-reload")
    m.run("systemctl", "start", f"{unit}.service")
    m.wait(f"{unit} serves", lambda: m.services().get(unit, {"problem": 1})["problem"] is None)
    old, before = m.served(port), m.snapshot()
    assert reload in m.services()[unit]["target_file"] and "group = daemon" in m.services()[unit]["target_file"]
    pid = m.unit(f"{unit}.service", "MainPID")["MainPID"]
    m.agent("manage", unit, "--dry-run")
    assert difference(before, m.snapshot()) == {} and m.unit(f"{unit}.service", "MainPID")["MainPID"] == pid
    m.agent("manage", unit)
    m.wait("ours is served", lambda: (c := m.certificate(f"clara01-{unit}")).get("served") and not c.get("open_order") and m.served(port) != old)
    pid = m.unit(f"{unit}.service", "MainPID")["MainPID"]
    m.renew(f"clara01-{unit}")
    same = m.unit(f"{unit}.service", "MainPID")["MainPID"] == pid
    assert same == ("kind = systemd" in reload), "what handles SIGHUP is not restarted, what would end by it (this uvicorn alone) is"
    m.agent("unmanage", unit)
    assert m.served(port) == old
    assert difference(before, m.snapshot()) == {}
    m.run("systemctl", "stop", f"{unit}.service")
