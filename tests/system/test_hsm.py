"""CA keys in a PKCS#11 token: made there and never out of it; a token that is gone, locked or another one's stops signing and nothing else, and what
was asked meanwhile is signed when it is back (F59)."""
import glob
import os
import pwd
import shutil
import subprocess

import pytest
from conftest import new_folder
from installation import Installation, run, wait_for
from soft_token import LABEL, MODULE, SoftToken
from test_signer import Signer

IDS = ("agent-1", "code-signing-1", "root-1", "service-1")

pytestmark = pytest.mark.skipif(not os.path.exists(MODULE), reason="softhsm2 is not installed")


PIN_REFUSED = 3  # after which the unit does not start it again


def section(settings):
    return "[pkcs11]\n" + "".join(f"{k} = {v}\n" for k, v in settings.items())


@pytest.fixture
def token(folder, monkeypatch):
    t = SoftToken(f"{folder}/token")
    for key, value in t.env.items():
        monkeypatch.setenv(key, value)
    return t


@pytest.fixture
def signer(folder, token):
    s = Signer(f"{folder}/s")
    s.drop_in("[signer]\npassphrase_file =\n" + section(token.settings()))
    s.init()
    yield s
    s.stop()


def ca_files(signer, pattern):
    return sorted(os.path.basename(p) for p in glob.glob(f"{signer.folder}/signer/ca/{pattern}"))


def end_of(signer):
    assert signer.popen.wait(20) == 1
    return signer.said()


def test_keys_are_made_in_the_token_and_stay(signer, token):
    assert ca_files(signer, "*.p11") == [f"{i}.p11" for i in IDS] and ca_files(signer, "*.key") == []
    assert not os.path.exists(f"{signer.folder}/etc/ca-passphrase"), "nothing is left that a passphrase would open"
    listed = token.tool("--list-objects", "--type", "privkey")
    assert listed.count("Private Key Object; EC") == 4
    assert listed.count("sensitive, always sensitive, never extractable, local") == 4 and "decrypt" not in listed
    signer.init()
    assert token.tool("--list-objects", "--type", "privkey") == listed, "what is there is not made again"
    signer.start()
    first = signer.issue(7)
    assert first["code"] == "" and signer.issue(7)["tbs"] == first["tbs"] and signer.issue(7, "other")["code"] == "VCC-3401"
    assert signer.tool("bench", 400, 64), "more at once than there are sessions"
    assert (signer.status("Seccomp"), signer.status("NoNewPrivs")) == ("2", "1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can work for another user")
def test_what_root_makes_belongs_to_who_runs_the_signer(folder, token):
    """A token in software keeps its objects in files: `init` is root's, the signer is not."""
    nobody = pwd.getpwnam("nobody")
    s = Signer(f"{folder}/s")
    s.drop_in("[signer]\npassphrase_file =\n" + section(token.settings()))
    for top in (f"{s.folder}/signer", token.dir):
        run(["chown", "-R", f"{nobody.pw_uid}:{nobody.pw_gid}", top])
    s.init()
    made = [os.path.join(at, name) for top in (f"{s.folder}/signer", token.dir) for at, _, names in os.walk(top) for name in names]
    assert len([x for x in made if x.endswith(".object")]) > 8 and {os.stat(x).st_uid for x in made} == {nobody.pw_uid}


def test_a_token_that_goes_and_comes_back(signer, token):
    signer.start()
    assert signer.issue(5)["code"] == ""
    token.take_away()
    assert signer.issue(6)["code"] == "VCC-3411"
    assert "VCC-3411 token" in end_of(signer)
    assert "VCC-3413" in signer.start(wait=False), "SoftHSM does not begin without its folder"
    assert ca_files(signer, "*.key") == [], "no key in a file takes its place"
    token.bring_back()
    signer.start()
    assert signer.issue(6)["code"] == "" and signer.tool("hello")["window_top"] == 6
    assert signer.issue(5, "other")["code"] == "VCC-3401", "the log is the same"


def test_a_wrong_pin_is_tried_once(signer, token):
    """A token locks itself after some wrong ones, and systemd starts a signer again and again."""
    token.give_pin("000000")
    assert "VCC-3412 vcc-ca" in signer.start(wait=False, status=PIN_REFUSED)
    token.give_pin("493817")
    assert "was wrong; it is not tried again" in signer.start(wait=False, status=PIN_REFUSED), "the right one neither: nobody knows that it is"
    token.tool("--list-objects")  # somebody logs in
    signer.start()
    assert signer.issue(5)["code"] == ""


def test_no_pin_and_no_token(signer, token):
    os.remove(token.pin_file)
    assert "VCC-1006 pin" in signer.start(wait=False)
    os.chmod(os.path.dirname(token.pin_file), 0o755)
    token.give_pin("493817")
    os.chmod(token.pin_file, 0o644)
    assert "VCC-12" in signer.start(wait=False), "readable for others: refused"
    os.chmod(token.pin_file, 0o600)
    signer.drop_in("[signer]\npassphrase_file =\n" + section({**token.settings(), "token": "another"}))
    assert "there is no token of this label" in signer.start(wait=False)
    signer.drop_in("[signer]\npassphrase_file =\n" + section({**token.settings(), "module": "/usr/lib/no-such.so"}))
    assert "VCC-3413 /usr/lib/no-such.so" in signer.start(wait=False)
    signer.drop_in("[signer]\npassphrase_file = /dev/null/none\n")
    assert "VCC-3413" in signer.start(wait=False) or "VCC-13" in signer.said()


@pytest.mark.parametrize("name,text,says", [
    ("service-1.p11", "pkcs11:token=vcc-ca;id=%00%01;object=service-1\n", "the token does not have this key"),
    ("service-1.p11", "pkcs11:token=other;id=%00%01;object=service-1\n", "a key of another token"),
    ("service-1.p11", "rubbish\n", "does not hold a PKCS#11 URI"),
    ("service-1.p11", "", "does not hold a PKCS#11 URI"),
    ("service-1.p11", "pkcs11:" + "a" * 5000, ""),
    ("service-1.key", "VCCK", "a file beside it"),
])
def test_files_that_name_no_key_of_ours(signer, name, text, says):
    with open(os.open(f"{signer.folder}/signer/ca/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        f.write(text)
    said = signer.start(wait=False)
    assert "VCC-" in said and says in said


def test_exchanged_names_are_found(signer):
    ca = f"{signer.folder}/signer/ca"
    os.rename(f"{ca}/service-1.p11", f"{ca}/x")
    os.rename(f"{ca}/agent-1.p11", f"{ca}/service-1.p11")
    os.rename(f"{ca}/x", f"{ca}/agent-1.p11")
    assert "VCC-3403" in signer.start(wait=False)


def test_a_key_that_can_be_taken_out_is_none(signer, token):
    """One that was put into the token from outside, with the right id."""
    ca = f"{signer.folder}/signer/ca"
    key = f"{token.dir}/own.pem"
    run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-outform", "DER", "-out", key])
    token.tool("--write-object", key, "--type", "privkey", "--id", "0102", "--label", "service-1", "--extractable")
    run(["openssl", "pkey", "-inform", "DER", "-in", key, "-pubout", "-outform", "DER", "-out", f"{key}.pub"])
    token.tool("--write-object", f"{key}.pub", "--type", "pubkey", "--id", "0102", "--label", "service-1")
    with open(f"{ca}/service-1.p11", "w") as f:
        f.write(f"pkcs11:token={LABEL};id=%01%02;object=service-1\n")
    assert "could be taken out of the token" in signer.start(wait=False)


def test_keys_of_files_give_way_to_the_token(folder, token):
    """An installation with keys in files gets its next root, and all below it, in the token."""
    s = Signer(f"{folder}/s")
    s.init()
    s.drop_in(section(token.settings()))
    done = subprocess.run([f"{s.binaries}/vcc-signer", "new-root", "--config", s.config], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert ca_files(s, "*.p11") == ["agent-2.p11", "code-signing-2.p11", "root-2.p11", "service-2.p11"]
    assert ca_files(s, "*.key") == [f"{i}.key" for i in IDS]
    s.start()
    assert len(s.tool("hello")["issuers"]) == 8 and "8 authorities ready" in s.said(), "each has signed once"
    s.stop()
    assert ca_files(s, "bundle-2") == ["bundle-2"]


@pytest.fixture(scope="module")
def whole():
    folder = new_folder("hsm")
    before = dict(os.environ)
    t = SoftToken(f"{folder}/token")
    os.environ.update(t.env)
    inst = Installation(f"{folder}/i", {f"signer.pkcs11.{k}": v for k, v in t.settings().items()})
    try:
        inst.init()
        inst.start()
        host = inst.add_echo(0)
        inst.wait_served(host)
        yield inst, host, t
    finally:
        inst.stop()
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_service_is_served_and_its_lists_and_answers_verify(whole, tmp_path):
    inst, host, _ = whole
    leaf, chain = f"{host.target_dir}/current/cert.pem", f"{host.target_dir}/current/chain.pem"
    root = os.path.join(inst.state, "ca.pem")
    assert "OK" in run(["openssl", "verify", "-CAfile", root, "-untrusted", chain, leaf])
    said = subprocess.run(["openssl", "ocsp", "-issuer", chain, "-cert", leaf, "-url", f"{inst.public_url}/ocsp", "-CAfile", root],
                          capture_output=True, text=True, timeout=60)
    assert "Response verify OK" in said.stderr and "cert.pem: good" in said.stdout
    run(["curl", "-sf", "-o", f"{tmp_path}/all.pem", f"{inst.public_url}/crl/all.pem"])
    with open(f"{tmp_path}/all.pem") as f:
        lists = [f"-----BEGIN X509 CRL{part}" for part in f.read().split("-----BEGIN X509 CRL")[1:]]
    (tmp_path / "one.pem").write_text(next(x for x in lists if "VCC Service CA 1" in crl_issuer(x)))
    checked = subprocess.run(["openssl", "crl", "-in", f"{tmp_path}/one.pem", "-noout", "-CAfile", chain], capture_output=True, text=True)
    assert "verify OK" in checked.stderr


def crl_issuer(pem):
    return subprocess.run(["openssl", "crl", "-noout", "-issuer"], input=pem, capture_output=True, text=True, check=True).stdout


def test_what_is_ordered_while_it_is_gone_is_done_when_it_is_back(whole):
    inst, host, t = whole
    signer = inst.processes["signer"]
    t.take_away()
    try:
        order = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]
        wait_for("the signer has ended", lambda: not signer.running())
        wait_for("the controller says so", lambda: inst.status()["status"] != "ready")
        signer.start()
        wait_for("nor does the next one begin", lambda: not signer.running())
        assert inst.renewal(order)["status"] not in ("completed", "failed")
    finally:
        t.bring_back()
    signer.start()
    wait_for("it is done", lambda: inst.renewal(order)["status"] == "completed", 120)
    inst.wait_served(host)
