"""init: does it make the hierarchy that was promised, does it come through a kill at any moment, and does it never overwrite?"""
import hashlib
import os
import re
import sqlite3
import stat
import subprocess

import pytest
from cryptography import x509

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BIN = os.path.join(ROOT, "build", "bin")
FAULTS = os.path.join(ROOT, "build-faults", "bin")
CAS = ("root-1", "service-1", "agent-1", "code-signing-1")
OPTIONS = ["--org", "Land Brandenburg", "--domain", "vcc.internal", "--permit-ip", "10.0.0.0/8", "--admin-contact", "pki@vcc.internal",
           "--security-contact", "csirt@vcc.internal", "--public-listen", "127.0.0.1:8080", "--agent-listen", "127.0.0.1:8443"]


def init(state, options=OPTIONS, binaries=BIN, **env):
    return subprocess.run([os.path.join(binaries, "vccctl"), "init", "--state-dir", state, *options], capture_output=True, text=True, timeout=120,
                          env=dict(os.environ, **env))


def openssl(*words, ok=True):
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout


def contents(state):
    found = {}
    for folder, _, names in os.walk(state):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                found[path] = hashlib.sha256(f.read()).hexdigest()
    return found


def query(state, sql):
    db = sqlite3.connect(f"file:{state}/controller/vcc.db?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def check_complete(state, templates=13):
    """What every finished installation must look like, however it came about."""
    for ca in CAS:
        cer = f"{state}/signer/ca/{ca}.cer"
        with open(cer, "rb") as a, open(f"{state}/etc/ca/{ca}.cer", "rb") as b:
            assert a.read() == b.read()
        openssl("verify", "-CAfile", f"{state}/ca.pem", cer)
        key = f"{state}/signer/ca/{ca}.key"
        assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
        openssl("pkey", "-in", key, "-noout", "-passin", "pass:", ok=False)
    assert sorted(r[0] for r in query(state, "select issuer_id from issuers")) == sorted(CAS)
    assert query(state, "select count(*) from templates") == [(templates,)]
    assert query(state, "select name, roles from principals order by name") == [("admin", 16), ("approver", 4)]
    assert query(state, "select count(*) from services") == [(6,)]
    assert query(state, "select issuer_id, shard, number from crls") == [("root-1", 0, 1)]
    assert query(state, "select count(*), max(seq) from audit where event = 'installation_created'") == [(1, 0)]
    assert {r[0] for r in query(state, "select name from settings")} >= {"domain", "organisation", "public_url", "bundle", "installed"}
    for person in ("admin", "approver"):
        path = f"{state}/{person}.token"
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        with open(path) as f:
            token = f.read().strip()
        assert re.fullmatch(r"vcc_pat_[A-Za-z0-9_-]{48}", token)
        assert query(state, f"select hash from tokens where principal = '{person}'") == [(hashlib.sha256(token.encode()).digest(),)]
    assert stat.S_IMODE(os.stat(f"{state}/etc/ca-passphrase").st_mode) == 0o600
    for name in ("controller", "signer"):
        done = subprocess.run([f"{BIN}/vcc-{name}", "--config", f"{state}/etc/{name}.conf", "--check"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    state = str(tmp_path_factory.mktemp("init") / "ctl")
    done = init(state)
    assert done.returncode == 0, done.stderr
    return state, done.stdout


def test_complete(installed):
    check_complete(installed[0])


def test_summary_tells_what_counts(installed):
    state, said = installed
    with open(f"{state}/etc/ca/root-1.cer", "rb") as f:
        pin = "sha256:" + hashlib.sha256(f.read()).hexdigest()
    assert pin in said and "vcc.internal and below" in said and "10.0.0.0/8" in said and "vccctl agent invite" in said
    lines = [x for x in said.splitlines() if state not in x and BIN not in x]
    assert max(map(len, lines)) <= 80


def test_constraints(installed):
    state, _ = installed

    def load(ca):
        with open(f"{state}/etc/ca/{ca}.cer", "rb") as f:
            return x509.load_der_x509_certificate(f.read())

    def ext(c, kind):
        return c.extensions.get_extension_for_class(kind)

    root = load("root-1")
    assert root.public_key().curve.name == "secp384r1"
    assert ext(root, x509.BasicConstraints).value.path_length is None
    years = {"root-1": 10, "service-1": 3, "agent-1": 3, "code-signing-1": 6}
    for ca in CAS:
        c = load(ca)
        days = (c.not_valid_after - c.not_valid_before).days
        assert abs(days - years[ca] * 365.25) < 3
        if ca == "root-1":
            continue
        assert c.public_key().curve.name == "secp256r1"
        assert ext(c, x509.BasicConstraints).critical and ext(c, x509.BasicConstraints).value.path_length == 0
        assert ext(c, x509.NameConstraints).critical
        assert ext(c, x509.CRLDistributionPoints).value[0].full_name[0].value == "http://127.0.0.1:8080/crl/root-1/0.crl"
        assert ext(c, x509.AuthorityInformationAccess).value[0].access_location.value == "http://127.0.0.1:8080/ca/root-1.cer"
    service = ext(load("service-1"), x509.NameConstraints).value
    assert {(type(n).__name__, str(n.value)) for n in service.permitted_subtrees} >= {("DNSName", "vcc.internal"), ("IPAddress", "10.0.0.0/8")}
    agent = ext(load("agent-1"), x509.NameConstraints).value
    assert ("UniformResourceIdentifier", "vcc.internal") in {(type(n).__name__, str(n.value)) for n in agent.permitted_subtrees}
    assert {type(n).__name__ for n in agent.excluded_subtrees} == {"DNSName", "IPAddress"}


def test_root_crl(installed):
    state, _ = installed
    text = openssl("crl", "-inform", "der", "-in", f"{state}/etc/ca/root-1.crl", "-CAfile", f"{state}/ca.pem", "-noout", "-text")
    assert "No Revoked Certificates" in text
    with open(f"{state}/etc/ca/root-1.crl", "rb") as f:
        crl = x509.load_der_x509_crl(f.read())
    assert 365 < (crl.next_update - crl.last_update).days <= 400


def test_other_implementation_accepts(installed):
    state, _ = installed
    chain = openssl("x509", "-inform", "der", "-in", f"{state}/etc/ca/service-1.cer")
    with open(f"{state}/ca.pem") as f:
        chain += f.read()
    done = subprocess.run(["certtool", "--verify-chain"], input=chain, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_never_overwrites(installed):
    state, _ = installed
    before = contents(state)
    for options in (OPTIONS, [*OPTIONS, "--crypto", "brief"], ["--org", "X", *OPTIONS[2:]]):
        done = init(state, options)
        assert done.returncode == 1 and "VCC-3503" in done.stderr
    assert contents(state) == before


def test_wrong_options(folder):
    for change, says in ((["--domain", "a b"], "domain"), (["--permit-ip", "10.0.0.1/8"], "permit-ip"), (["--crypto", "old"], "crypto"),
                         (["--org", "x" * 65], "org"), (["--org", "a\n[signer]"], "org"), (["--org", "a ; b"], "cannot be written"),
                         (["--colour"], "--help"), (["word"], "word")):
        done = init(f"{folder}/ctl", [*OPTIONS, *change])
        assert done.returncode == 2 and says in done.stderr, (change, done.stderr)
    done = init(f"{folder}/ctl", OPTIONS[2:])
    assert done.returncode == 2 and "--org" in done.stderr
    assert os.listdir(folder) == []


def test_brief_crypto_and_own_domain(folder):
    options = [x.replace("vcc.internal", "pki.example.org") for x in OPTIONS]
    done = init(f"{folder}/ctl", [*options, "--domain", "second.example", "--crypto", "brief"])
    assert done.returncode == 0, done.stderr
    check_complete(f"{folder}/ctl", templates=8)
    rows = query(f"{folder}/ctl", "select template_id, version, key_type, patterns from templates")
    assert {r[1] for r in rows} == {1}
    assert ("clara_service_auth", 1, "rsa-2048", "DNS:*.clara.pki.example.org,DNS:clara.pki.example.org") in rows


def fault_points():
    points = set()
    for folder in ("cli", "daemon", "signer"):
        path = os.path.join(ROOT, "controller", folder)
        for name in os.listdir(path):
            if name.endswith(".c"):
                with open(os.path.join(path, name)) as f:
                    points |= set(re.findall(r'fault_point\("(init[^"]+)"\)', f.read()))
    return sorted(points)


# In the order in which init passes them; (point, pass).
KILLS = (("init.configuration", 1), ("init.configuration", 2), ("init_passphrase", 1), ("init.key", 1), ("init.key", 2), ("init.certificate", 1),
         ("init.certificate", 2), ("init.publish", 1), ("init.publish", 2), ("init.token", 1), ("init.token", 2), ("init.commit", 1), ("init.committed", 1))


def test_killed_at_every_point(folder):
    """One installation, cut short at each point in turn, then finished: it is whole, and nothing was made twice."""
    state = f"{folder}/ctl"
    assert {p for p, _ in KILLS} == set(fault_points())
    made = {}
    for point, turn in KILLS:
        done = init(state, binaries=FAULTS, VCC_FAILPOINT=f"{point}@{turn}=kill", VCC_JAIL="off")
        assert done.returncode != 0, f"{point}@{turn} was not reached"
        assert not os.path.exists(f"{state}/etc/installation")
        now = {path: digest for path, digest in contents(state).items() if not os.path.basename(path).startswith((".", "vcc.db"))}
        assert {path: now.get(path) for path in made} == made, f"{point}@{turn}: a file was made again"
        made = now
    done = init(state, binaries=FAULTS, VCC_JAIL="off")
    assert done.returncode == 0, done.stderr
    check_complete(state)


def test_disk_full_and_again(folder):
    for point in ("init.key", "init.certificate", "init.commit", "init.token"):
        state = f"{folder}/{point}"
        done = init(state, binaries=FAULTS, VCC_FAILPOINT=f"{point}=err:ENOSPC", VCC_JAIL="off")
        assert done.returncode == 1 and "VCC-" in done.stderr, point
        done = init(state, binaries=FAULTS, VCC_JAIL="off")
        assert done.returncode == 0, done.stderr
        check_complete(state)


def test_begun_with_other_options_is_refused(folder):
    state = f"{folder}/ctl"
    assert init(state, binaries=FAULTS, VCC_FAILPOINT="init.key@2=kill", VCC_JAIL="off").returncode != 0
    before = contents(state)
    done = init(state, [*OPTIONS, "--domain", "other.example"])
    assert done.returncode == 1 and "VCC-3503" in done.stderr and "other options" in done.stderr
    assert contents(state) == before
    assert init(state).returncode == 0
    check_complete(state)


def test_drop_ins_are_kept(folder):
    """Settings that lie beside the configuration before init are used, not touched."""
    state = f"{folder}/ctl"
    os.makedirs(f"{state}/etc/controller.conf.d")
    with open(f"{state}/etc/controller.conf.d/50-own.conf", "w") as f:
        f.write("[limits]\nmax_renewals_default = 9\n")
    assert init(state).returncode == 0
    check_complete(state)
    assert query(state, "select max_renewals from templates where template_id = 'operator_admin'") == [(0,)]
