"""The packages: what is in them, who owns it, what they do when installed, upgraded, removed and purged on a machine with a real systemd. Are they the same
for both families, and the same bytes from the same tree?"""
import json
import os
import re
import shutil
import subprocess

import machine
import packages
import pytest
from installation import ROOT
from survey_machine import MachineLoad, SurveyMachine

LONG = os.environ.get("VCC_LONG") == "1"
pytestmark = pytest.mark.skipif(packages.cannot() != "", reason=packages.cannot())
real = pytest.mark.skipif(machine.cannot() != "", reason=machine.cannot())

PROGRAMS = {"vcc-controller": ["vcc-controller", "vcc-signer"], "vcc-gateway": ["vcc-gateway"], "vcc-agent": ["vcc-agent", "vcc-hook", "vcc-keeper"],
            "vccctl": ["vccctl"]}
UNITS = {"vcc-controller": ["vcc-controller.service", "vcc-signer.service"], "vcc-gateway": ["vcc-gateway.service"],
         "vcc-agent": ["vcc-agent.service", "vcc-agent-observe.service", "vcc-agent-observe.timer", "vcc-hook.socket", "vcc-hook@.service", "vcc-keeper.service",
                       "vcc-keeper.socket"], "vccctl": []}
WAIT = ("vcc-signer.service", "vcc-controller.service", "vcc-gateway.service", "vcc-keeper.socket", "vcc-hook.socket", "vcc-keeper.service", "vcc-agent.service",
        "vcc-agent-observe.timer")
FOLDERS = {"/etc/vcc-agent": "root:root 755", "/var/lib/vcc-signer": "vcc-signer:vcc-signer 700", "/var/lib/vcc-controller": "vcc-controller:vcc-controller 750",
           "/var/lib/vcc-gateway": "vcc-gateway:vcc-gateway 700", "/var/lib/vcc-agent/link": "vcc-agent:vcc-agent 700",
           "/var/lib/vcc-agent/keeper": "vcc-keeper:vcc-keeper 700", "/var/lib/vcc-agent/targets": "vcc-keeper:vcc-keeper 755"}
BEFORE = "0.0.9"
CERT = "clara01-web"
NAME = "clara01.clara.vcc.internal"
TARGET = "/var/lib/vcc-agent/targets/web"
SITE = f"""server {{
    listen 127.0.0.1:443 ssl;
    server_name {NAME};
    ssl_certificate {TARGET}/current/fullchain.pem;
    ssl_certificate_key {TARGET}/current/key.pem;
    location / {{ return 200 "ok\\n"; }}
}}
"""
TARGET_FILE = f"""[target]
service = clara
template = clara_service_auth
names = {NAME}
[files]
group = www-data
mode = 0640
[reload]
kind = systemd
unit = nginx.service
test = /usr/local/sbin/slow-test
timeout = 60s
[verify]
kind = tls
connect = 127.0.0.1:443
sni = {NAME}
"""
# Long enough for an upgrade to come in the middle of a renewal, and marks that it does.
SLOW_TEST = "#!/bin/sh\ntouch /run/testing\nsleep 3\nexec /usr/sbin/nginx -t\n"


@pytest.fixture(scope="module")
def debs():
    return packages.built()


# ---- what is in them --------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", packages.NAMES)
def test_contents(debs, name):
    found = packages.files(debs[name])
    assert all(owner == "root/root" for _, owner in found.values()), "what belongs to a service's user is made by tmpfiles.d"
    programs = {p for p in found if p.startswith("/usr/bin/")}
    assert programs == {f"/usr/bin/{p}" for p in PROGRAMS[name]}
    assert {p for p in found if "/systemd/system/" in p} == {f"/lib/systemd/system/{u}" for u in UNITS[name]}
    for path, (mode, _) in found.items():
        example = path.startswith("/usr/share/doc/") and path.endswith(".py")
        assert mode == ("-rwxr-xr-x" if path in programs or example and mode == "-rwxr-xr-x" else "-rw-r--r--"), path
    for program in PROGRAMS[name]:
        section = 1 if program == "vccctl" else 8
        assert f"/usr/share/man/man{section}/{program}.{section}.gz" in found, program
    assert f"/usr/share/doc/{name}/copyright" in found
    if UNITS[name]:
        for place in (f"/usr/lib/sysusers.d/{name}.conf", f"/usr/lib/tmpfiles.d/{name}.conf", f"/usr/lib/systemd/system-preset/80-{name}.preset"):
            assert place in found, place


def test_data_is_in_the_package_that_needs_it(debs):
    templates = {f"/usr/share/vcc-controller/templates/{t}" for t in os.listdir(os.path.join(ROOT, "packaging", "templates"))}
    assert templates <= set(packages.files(debs["vcc-controller"]))
    assert {"/usr/share/bash-completion/completions/vccctl", "/usr/share/zsh/vendor-completions/_vccctl",
            "/usr/share/fish/vendor_completions.d/vccctl.fish"} <= set(packages.files(debs["vccctl"]))
    assert "/usr/share/vcc-agent/python/vcc_tls.py" in packages.files(debs["vcc-agent"])
    assert packages.script(debs["vcc-agent"], "conffiles").split() == ["/etc/vcc-agent/agent.conf"]
    assert packages.script(debs["vcc-controller"], "conffiles") == "", "what init writes is no part of the package"


@pytest.mark.parametrize("name", packages.NAMES)
def test_debug_symbols_belong_to_the_programs(debs, name, tmp_path):
    packages.run("dpkg-deb", "-x", debs[name], str(tmp_path))
    symbols = packages.files(packages.only(f"{name}-dbgsym_*.deb"))
    for program in PROGRAMS[name]:
        notes = packages.run("readelf", "-nS", str(tmp_path / "usr/bin" / program))
        build_id = re.search(r"Build ID: ([0-9a-f]+)", notes)[1]
        assert f"/usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug" in symbols, program
        assert ".debug_info" not in notes, f"{program} is stripped"


def test_what_a_build_needs_is_said_once():
    """Beside the list for this tree: the compiler is everywhere; clang is the fuzzers', the plug-in is needed when it runs, and the dashboard's modules and
    the manual pages are made before."""
    with open(os.path.join(ROOT, "scripts", "packages")) as f:
        listed = set(f.read().split("# build\n")[1].split("\n#")[0].split())
    with open(os.path.join(ROOT, "packaging", "debian", "control")) as f:
        needed = set(re.findall(r"[a-z][a-z0-9.+-]+(?= \(|,|$)", re.search(r"^Build-Depends: (.*(?:\n .*)*)", f.read(), re.M)[1], re.M))
    assert needed - {"debhelper-compat", "dh-sequence-installsysusers", "python3"} == \
        listed - {"build-essential", "clang", "libclang-rt-14-dev", "libwebsockets-evlib-uv", "npm", "scdoc"}


def test_lintian_finds_nothing(debs):
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", *debs.values()], capture_output=True, text=True)
    assert done.returncode == 0 and not re.search(r"(?m)^[WE]:", done.stdout), done.stdout + done.stderr


@pytest.mark.parametrize("name", packages.NAMES)
def test_no_byte_tells_where_it_was_built(debs, name, tmp_path):
    for deb in (debs[name], packages.only(f"{name}-dbgsym_*.deb")):
        folder = tmp_path / os.path.basename(deb)
        packages.run("dpkg-deb", "-R", deb, str(folder))
        done = subprocess.run(["grep", "-rlaF", ROOT, str(folder)], capture_output=True, text=True)
        assert done.stdout == "", done.stdout


@pytest.mark.skipif(not LONG, reason="a second complete build")
def test_two_builds_in_different_folders_are_equal(debs, tmp_path):
    tree = tmp_path / "another-place"
    copied = ("LICENSE", "Makefile", "README.md", "agent", "controller", "docs", "packaging", "scripts", "shared")
    tree.mkdir()
    for name in copied:
        packages.run("cp", "-a", os.path.join(ROOT, name), str(tree))
    (tree / "build").mkdir()
    packages.run("cp", "-a", os.path.join(ROOT, "build", "man"), str(tree / "build"))
    control = subprocess.run(["dpkg-deb", "--ctrl-tarfile", debs["vccctl"]], capture_output=True, check=True).stdout
    when = subprocess.run(["tar", "-tv", "--utc", "--full-time", "./control"], input=control, capture_output=True, check=True).stdout.split()
    epoch = packages.run("date", "-u", "-d", f"{when[3].decode()} {when[4].decode()}", "+%s").strip()
    packages.run(str(tree / "scripts" / "make-packages"), "deb", str(tmp_path / "out"), env=dict(os.environ, SOURCE_DATE_EPOCH=epoch, CCACHE_DISABLE="1"))
    made = [n for n in sorted(os.listdir(packages.FOLDER)) if n.endswith((".deb", ".spdx.json")) and not n.startswith(".")]
    assert len(made) > len(PROGRAMS), made
    for deb in made:
        with open(os.path.join(packages.FOLDER, deb), "rb") as a, open(tmp_path / "out" / deb, "rb") as b:
            assert a.read() == b.read(), deb


def test_bill_of_materials_names_every_library(debs):
    with open(packages.only("*.spdx.json")) as f:
        bill = json.load(f)
    ids = {p["SPDXID"]: p for p in bill["packages"]}
    assert bill["spdxVersion"] == "SPDX-2.3" and len(ids) == len(bill["packages"])
    for relation in bill["relationships"]:
        assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= set(ids) | {"SPDXRef-DOCUMENT"}, relation
    for name, deb in debs.items():
        linked = packages.run("dpkg-deb", "-f", deb, "Depends")
        for library in re.findall(r"\b(lib[\w.+-]+)", linked):
            assert {"spdxElementId": f"SPDXRef-{name}", "relationshipType": "DEPENDS_ON", "relatedSpdxElement": f"SPDXRef-{library}"} in bill["relationships"]
            assert ids[f"SPDXRef-{library}"]["versionInfo"] != "NOASSERTION", library
        digest = packages.run("sha256sum", deb).split()[0]
        assert ids[f"SPDXRef-{name}"]["checksums"] == [{"algorithm": "SHA256", "checksumValue": digest}]
    assert ids["SPDXRef-htm"]["checksums"][0]["algorithm"] == "SHA512", "the module in the dashboard"


# ---- the other family -------------------------------------------------------------------------------------------------------------

def as_rpm(path):
    """Where the other family keeps what Debian keeps at `path`; None = Debian alone has it."""
    if path.startswith("/usr/share/doc/"):
        return None
    path = re.sub(r"^/lib/systemd/", "/usr/lib/systemd/", path)
    return path.replace("/zsh/vendor-completions/", "/zsh/site-functions/")


def unzipped(path):
    return re.sub(r"(/man/.*)\.gz$", r"\1", path)


@pytest.mark.parametrize("name", packages.NAMES)
def test_rpm_has_the_same_files(debs, name):
    deb = {unzipped(as_rpm(p)): facts for p, facts in packages.files(debs[name]).items() if as_rpm(p)}
    rpm = {unzipped(p): facts for p, facts in packages.rpm_files(packages.only(f"{name}-*.x86_64.rpm")).items()
           if not p.startswith(("/usr/share/doc/", "/usr/share/licenses/"))}
    assert rpm == deb


@pytest.mark.parametrize("name", packages.NAMES)
def test_rpm_does_the_same_when_installed(debs, name):
    rpm = packages.only(f"{name}-*.x86_64.rpm")
    scripts = packages.run("rpm", "-qp", "--scripts", rpm)
    postinst, prerm = packages.script(debs[name], "postinst"), packages.script(debs[name], "prerm")
    for tool in ("systemd-sysusers", "systemd-tmpfiles"):
        assert (tool in scripts) == (tool in postinst), tool
    told = {"preset": set(re.findall(r"deb-systemd-helper enable '([^']+)'", postinst)),
            "disable --now": set(re.findall(r"'(vcc-[^']+)'", prerm)),
            "try-restart": {u for line in postinst.splitlines() if "deb-systemd-invoke $_dh_action" in line for u in re.findall(r"'(vcc-[^']+)'", line)}}
    for word, units in told.items():
        line = re.search(rf"systemctl {word} (.*?) \|\|", scripts)
        assert set(line[1].split() if line else ()) == units, word
    configuration = set(packages.run("rpm", "-qpc", rpm).split())
    assert configuration == set(packages.script(debs[name], "conffiles").split())


# ---- a machine --------------------------------------------------------------------------------------------------------------------

class PackageMachine(SurveyMachine):
    def install(self):
        self.write("/etc/hosts", "127.0.0.1 localhost pki.vcc.internal\n::1 localhost\n")
        # Nothing but the machine's own policy may keep units down; an index of all manual pages is no question here.
        self.run("rm", "-f", "/usr/sbin/policy-rc.d", "/var/lib/man-db/auto-update")
        with open(os.path.join(ROOT, "tests", "lib", "handshakes.py")) as f:
            self.write("/root/handshakes.py", f.read())

    def dpkg(self, *words, check=True):
        return self.run("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--force-confdef", "--force-confold", *words, check=check, timeout=600)

    def serves(self):
        return self.served(443, sni=NAME)

    def settled(self):
        c = self.certificate(CERT)
        return c if c.get("served") and not c.get("open_order") else None

    def version_of(self, name):
        return self.out("dpkg-query", "-W", "-f", "${Version}", name)


@pytest.fixture(scope="module")
def m(debs, tmp_path_factory):
    """A machine with the packages of before and of now in /root, none of them installed."""
    folder = tmp_path_factory.mktemp("packages")
    with PackageMachine(str(folder / "machine"), keep=("nginx.service",)) as m:
        m.install()
        for name, deb in debs.items():
            shutil.copy(packages.repacked(deb, str(folder), BEFORE), m.path(f"/root/{name}-before.deb"))
            shutil.copy(deb, m.path(f"/root/{name}-now.deb"))
        m.before = [f"/root/{n}-before.deb" for n in packages.NAMES]
        m.now = [f"/root/{n}-now.deb" for n in packages.NAMES]
        m.version = packages.version(debs["vccctl"])
        yield m


@pytest.fixture(scope="module")
def installed(m):
    m.dpkg("-i", *m.before)
    return m


@pytest.fixture(scope="module")
def serving(installed):
    """Set up as an operator would; nginx serves a managed certificate."""
    m = installed
    m.join()
    m.write("/usr/local/sbin/slow-test", SLOW_TEST, 0o755)
    m.run("rm", "-f", "/etc/nginx/sites-enabled/default")
    m.run("systemctl", "restart", "nginx.service")
    m.write("/etc/nginx/conf.d/clara.conf", SITE)
    m.write("/etc/vcc-agent/targets.d/web.conf", TARGET_FILE)
    m.wait("the first certificate is issued and served", m.settled)
    return m


@real
def test_installed_it_waits(installed):
    m = installed
    for unit in WAIT:
        state = m.unit(unit, "ActiveState", "ConditionResult", "UnitFileState")
        assert state == {"ActiveState": "inactive", "ConditionResult": "no", "UnitFileState": "enabled"}, unit
    assert m.failed_units() == []
    for folder, owner in FOLDERS.items():
        assert m.out("stat", "-c", "%U:%G %a", folder).strip() == owner, folder


@real
def test_status_in_words(serving):
    m = serving
    m.wait("the keeper tells its targets", lambda: m.unit("vcc-keeper.service", "StatusText")["StatusText"].startswith("1 target, 0 stale, connected; next: "))
    m.wait("the controller tells its agents", lambda: m.unit("vcc-controller.service", "StatusText")["StatusText"] == "serving, 1 agent connected")
    for unit in ("vcc-signer", "vcc-controller", "vcc-gateway", "vcc-keeper", "vcc-agent"):
        facts = m.unit(f"{unit}.service", "StatusText", "WatchdogUSec", "WatchdogTimestampMonotonic")
        assert facts["StatusText"] and facts["WatchdogUSec"] != "0" and facts["WatchdogTimestampMonotonic"] != "0", (unit, facts)


@real
def test_upgrade_in_the_middle_of_a_renewal(serving):
    """Every package at once, while the configuration test of a renewal runs: no handshake fails, and the renewal comes to its end."""
    m = serving
    m.write("/etc/vcc-agent/agent.conf", m.read("/etc/vcc-agent/agent.conf") + "# of the operator\n")
    before = m.serves()
    nginx = m.unit("nginx.service", "MainPID")
    m.run("rm", "-f", "/run/testing")
    with MachineLoad(m, [("127.0.0.1", 443)], NAME) as load:
        m.run("vccctl", "cert", "renew", CERT, "--force")
        m.wait("the renewal is in its middle", lambda: os.path.exists(m.path("/run/testing")))
        m.dpkg("-i", *m.now)
        after = m.wait("the renewal is done", lambda: m.settled() if m.serves() != before else None)
    assert load.result["failed"] == 0 and load.result["ok"] > 20, load.result
    assert set(load.result["seen"]) == {before, after["fingerprint"]}, "the old one, then the new one"
    assert m.unit("nginx.service", "MainPID") == nginx
    assert {m.version_of(name) for name in packages.NAMES} == {m.version}
    assert m.failed_units() == []
    assert m.read("/etc/vcc-agent/agent.conf").endswith("# of the operator\n"), "the operator's file stays"
    assert packages.ADDED_BEFORE not in m.read("/etc/vcc-agent/agent.conf.dpkg-dist"), "the shipped one lies beside it"


@real
@pytest.mark.parametrize("name", ["vcc-controller", "vcc-agent"])
def test_downgrade_is_refused(serving, name):
    m = serving
    done = m.dpkg("-i", f"/root/{name}-before.deb", check=False)
    assert done.returncode != 0 and "VCC-1312" in done.stderr, done.stderr
    assert m.version_of(name) == m.version
    assert m.out("dpkg-query", "-W", "-f", "${Status}", name) == "install ok installed"
    assert "older" in m.out("vccctl", "explain", "VCC-1312")
    for unit in WAIT:
        m.wait(f"{unit} is active", lambda u=unit: m.active(u))
    assert m.failed_units() == []


@real
def test_removed_and_purged_services_keep_serving(serving):
    m = serving
    fingerprint = m.serves()
    with MachineLoad(m, [("127.0.0.1", 443)], NAME) as load:
        m.dpkg("-r", *packages.NAMES)
        assert not any(m.active(unit) for unit in WAIT) and m.failed_units() == []
        told = m.dpkg("-P", *packages.NAMES).stderr
        m.run("systemctl", "reload", "nginx.service")
    assert load.result["failed"] == 0 and set(load.result["seen"]) == {fingerprint}, load.result
    m.run("systemctl", "restart", "nginx.service")
    assert m.serves() == fingerprint, "also after a start from nothing"
    assert f"{os.path.dirname(TARGET)} stays" in told, told
    for gone in ("/etc/vcc-agent", "/etc/vcc-controller", "/etc/vcc-signer", "/etc/vcc-gateway", "/var/lib/vcc-agent/keeper", "/var/lib/vcc-agent/link",
                 "/var/lib/vcc-controller", "/var/lib/vcc-signer", "/var/lib/vcc-gateway", "/lib/systemd/system/vcc-agent.service"):
        assert not os.path.lexists(m.path(gone)), gone
    kept = [line for line in m.out("find", "/var/backups", "-path", "*/vcc-controller-*").splitlines() if line.endswith((".key", "vcc.db"))]
    assert any(line.endswith("vcc.db") for line in kept) and any("/vcc-signer/ca/" in line for line in kept), kept
    top = m.out("find", "/var/backups", "-maxdepth", "1", "-name", "vcc-controller-*", "-printf", "%u %m").strip()
    assert top == "root 700"
