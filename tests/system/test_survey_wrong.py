"""`discover` and `manage` where something is wrong already, or hostile: is it refused with a reason, and is nothing changed?"""
import json
import os
import shutil
import subprocess

import private_net
import pytest
from private_net import PrivateNet
from survey_machine import describe, difference
from tls_peers import PEER, certificate, fingerprint

pytestmark = pytest.mark.skipif(private_net.cannot() != "", reason=private_net.cannot())

MAIN = "pid {base}/nginx.pid;\nerror_log {base}/error.log;\nevents {{}}\nhttp {{\n    access_log off;\n    include conf.d/*.conf;\n}}\n"
SITE = """server {{
    listen 127.0.0.1:{port} ssl;   # the shop
    server_name {name};
    ssl_certificate "{cert}";
    ssl_certificate_key {key};
}}
"""
NAME = "clara.vcc.internal"


class Scene:
    """A host of an installation; beside it, in a network of its own, an nginx that was started by hand."""

    def __init__(self, inst, host, net, folder):
        self.inst, self.host, self.net, self.base = inst, host, net, os.path.join(folder, "nginx")
        self.cert, self.key = certificate(folder, "old", sans=f"DNS:{NAME}")
        os.makedirs(os.path.join(self.base, "conf.d"))
        self.write("nginx.conf", MAIN.format(base=self.base))
        self.site()

    def write(self, name, text):
        with open(os.path.join(self.base, name), "w") as f:
            f.write(text)

    def path(self, name):
        return os.path.join(self.base, name)

    def site(self, **more):
        self.write("conf.d/shop.conf", SITE.format(**{"port": 443, "name": NAME, "cert": self.cert, "key": self.key, **more}))

    def start(self):
        self.nginx = self.net.start(["/usr/sbin/nginx", "-p", self.base, "-c", self.path("nginx.conf"), "-g", "daemon off;"])
        self.net.wait_listening(443)
        return self

    def agent(self, *words, user=None):
        argv = [self.inst.bin("vcc-agent"), words[0], "--config", self.host.config, *words[1:]]
        if user:
            argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *argv]
        return self.net.run(argv, timeout=120)

    def service(self, name="nginx"):
        done = self.agent("discover", "-o", "json")
        assert done.returncode == 0, done.stderr
        return {s["name"]: s for s in json.loads(done.stdout)["services"]}.get(name)

    def unread(self):
        return json.loads(self.agent("discover", "-o", "json").stdout)["unread"]

    def state(self):
        found = {}
        for top in (self.base, self.host.dir):
            for folder, names, files in os.walk(top):
                for name in [*names, *files]:
                    path = os.path.join(folder, name)
                    if "/log" not in path and "/keeper/" not in path and "/survey" not in path and not path.endswith(("error.log", ".sock")):
                        found[path] = describe(path)
        return found

    def refused(self, code, *words, status=None):
        """manage says this code, and nothing is changed; discover does not stumble over it."""
        before = self.state()
        done = self.agent("manage", "nginx", *words)
        assert done.returncode != 0 and f"VCC-{code}" in done.stderr and "Next: " in done.stderr, (done.returncode, done.stdout, done.stderr)
        assert status is None or done.returncode == status, done.returncode
        assert difference(before, self.state()) == {}
        assert self.agent("discover").returncode == 0
        return done.stderr


@pytest.fixture
def scene(nginx_installation, folder):
    inst, host = nginx_installation
    with PrivateNet() as net:
        yield Scene(inst, host, net, folder)


def test_proposal(scene):
    found = scene.start().service()
    assert found["problem"] is None and found["listeners"] == ["127.0.0.1:443"] and found["certificate_file"] == scene.cert
    assert found["set_in"] == [{"file": scene.path("conf.d/shop.conf"), "line": 4}]
    text = found["target_file"]
    assert f"names = {NAME}\n" in text and f"sni = {NAME}\n" in text and "connect = 127.0.0.1:443\n" in text
    assert f"command = /usr/sbin/nginx -p {scene.base} -c {scene.path('nginx.conf')} -s reload" in text
    shown = scene.agent("manage", "nginx", "--dry-run").stdout
    new = f"{scene.host.dir}/targets/nginx/current"
    assert (f'     server_name {NAME};\n-    ssl_certificate "{scene.cert}";\n-    ssl_certificate_key {scene.key};\n'
            f'+    ssl_certificate "{new}/fullchain.pem";\n+    ssl_certificate_key {new}/key.pem;\n }}\n') in shown, shown
    done = scene.agent("discover", "nginx", "--template", "own_template", "-o", "json")
    assert "template = own_template" in json.loads(done.stdout)["services"][0]["target_file"]


def test_two_sites_share_a_snippet_and_a_third_has_its_own(scene, folder):
    other, other_key = certificate(folder, "third", sans="DNS:third.example")
    os.makedirs(scene.path("snippets"))
    scene.write("snippets/tls", f"ssl_certificate {scene.cert};\nssl_certificate_key {scene.key};\n")
    scene.write("conf.d/shop.conf", "".join(f"server {{ listen 127.0.0.1:443 ssl; server_name {n}.vcc.internal; include snippets/tls; }}\n" for n in ("clara", "b"))
                + f"server {{ listen 127.0.0.1:443 ssl; server_name third.example; ssl_certificate {other}; ssl_certificate_key {other_key}; }}\n")
    scene.start()
    names = {s["name"] for s in json.loads(scene.agent("discover", "-o", "json").stdout)["services"]}
    assert names == {"nginx-clara.vcc.internal", "nginx-third.example"}
    shown = scene.agent("manage", "nginx-clara.vcc.internal", "--dry-run").stdout
    assert shown.count("+++ ") == 2 and "snippets/tls" in shown and "third" not in shown.split("# nginx:")[0]


def test_configuration_is_broken_already(scene):
    scene.start()
    scene.write("conf.d/zz.conf", "no_such_directive on;\n")
    assert "no_such_directive" in scene.refused(2410)
    scene.write("conf.d/zz.conf", "server {\n")
    scene.refused(2403, status=3)  # not followed, so no service is found; discover tells why
    assert scene.unread()[0]["problem"]["code"] == "VCC-2402" and "zz.conf:" in scene.unread()[0]["problem"]["object"]


def test_pair_on_disk_is_wrong(scene, folder):
    scene.start()
    other, other_key = certificate(folder, "other", sans=f"DNS:{NAME}")
    shutil.copy(other_key, scene.key)
    assert "does not belong" in scene.refused(2408)
    shutil.copy(other, scene.cert)
    assert "reload it first" in scene.refused(2404, status=4)
    subprocess.run(["openssl", "pkey", "-in", other_key, "-aes128", "-passout", "pass:secret", "-out", scene.key], check=True)
    os.unlink(scene.cert)
    assert "cannot be read" in scene.refused(2404, status=4)


def test_key_behind_a_passphrase(scene, folder):
    encrypted = os.path.join(folder, "encrypted.key")
    subprocess.run(["openssl", "pkey", "-in", scene.key, "-aes128", "-passout", "pass:secret", "-out", encrypted], check=True)
    scene.write("pass", "secret\n")
    scene.site(key=f"{encrypted};\n    ssl_password_file {scene.path('pass')}")
    scene.start()
    assert "without a passphrase" in scene.refused(2408)


def test_what_others_may_write_is_not_followed(scene):
    scene.start()
    for change, back in ((lambda p: os.chmod(p, 0o664), lambda p: os.chmod(p, 0o644)), (lambda p: os.chown(p, 1234, -1), lambda p: os.chown(p, 0, -1))):
        for path in ("conf.d/shop.conf", "nginx.conf", "conf.d"):
            mode = os.stat(scene.path(path)).st_mode & 0o777
            change(scene.path(path))
            scene.refused(2403, status=3)
            assert scene.unread()[0]["problem"]["code"] == "VCC-2400", path
            back(scene.path(path))
            os.chmod(scene.path(path), mode)
    assert scene.service()["problem"] is None


def test_links_are_followed_to_the_real_file_alone(scene, folder):
    real = os.path.join(folder, "available")
    os.makedirs(real)
    os.rename(scene.path("conf.d/shop.conf"), f"{real}/shop")
    os.symlink(f"{real}/shop", scene.path("conf.d/shop.conf"))
    scene.start()
    assert scene.service()["set_in"][0]["file"] == f"{real}/shop"
    os.chmod(real, 0o777)
    scene.refused(2403, status=3)


@pytest.mark.parametrize("what", ["link", "prefix"])
def test_what_root_names_again_cannot_be_turned_elsewhere(scene, folder, what):
    """The configuration is root's, but the way that leads to it, or the folder that modules are loaded from, is somebody else's."""
    theirs = os.path.join(folder, "theirs")
    os.makedirs(theirs)
    os.symlink(scene.path("nginx.conf"), f"{theirs}/n.conf")
    os.chown(theirs, 1234, 1234)
    scene.write("nginx.conf", MAIN.format(base=scene.base).replace("include conf.d", f"include {scene.base}/conf.d"))
    prefix, conf = (scene.base, f"{theirs}/n.conf") if what == "link" else (theirs, scene.path("nginx.conf"))
    scene.net.start(["/usr/sbin/nginx", "-p", prefix, "-c", conf, "-g", "daemon off;"])
    scene.net.wait_listening(443)
    scene.refused(2403, status=3)
    assert scene.unread()[0]["problem"]["code"] == "VCC-2400" and "1234" in scene.unread()[0]["problem"]["cause"]


def test_include_loops_and_floods(scene):
    scene.start()
    scene.write("conf.d/loop.conf", "include conf.d/loop.conf;\n")
    scene.refused(2403, status=3)
    assert scene.unread()[0]["problem"]["code"] == "VCC-2401"
    scene.write("conf.d/loop.conf", "#" * (2 << 20))
    scene.refused(2403, status=3)
    assert scene.unread()[0]["problem"]["code"] == "VCC-2401"
    with open(scene.path("conf.d/loop.conf"), "wb") as f:
        f.write(os.urandom(4096) + b"\0")
    scene.refused(2403, status=3)
    assert scene.unread()[0]["problem"]["code"] == "VCC-2402"
    os.unlink(scene.path("conf.d/loop.conf"))
    os.mkfifo(scene.path("conf.d/loop.conf"))  # nobody waits for a writer
    scene.refused(2403, status=3)


def test_a_stranger_who_calls_himself_nginx(scene, folder):
    """Somebody's own program of that name: root neither runs it nor follows the files that it names."""
    fake = os.path.join(folder, "nginx-fake")
    os.makedirs(fake)
    os.chmod(fake, 0o755)
    shutil.copy("/usr/bin/python3", f"{fake}/nginx")
    os.chown(f"{fake}/nginx", 1234, 1234)
    scene.net.start([f"{fake}/nginx", *PEER[1:], scene.cert, scene.key, "127.0.0.1:443"])
    scene.net.wait_listening(443)
    scene.refused(2403, status=3)
    assert scene.unread()[0]["problem"]["code"] == "VCC-2400"


IMPOSTOR = """import ctypes, runpy, sys
ctypes.CDLL(None).prctl(15, b"nginx", 0, 0, 0)
sys.argv = sys.argv[1:5]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("user,words", [(0, "another program"), (65534, "no unit's main process")])
def test_a_command_line_is_only_what_a_process_says(scene, folder, user, words):
    """Any program can take the name and the command line of an nginx; root would run it for the configuration test."""
    home = subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip()
    try:
        for path in (PEER[1], scene.cert, scene.key):
            shutil.copy(path, home)
        for path in (home, *(os.path.join(home, n) for n in os.listdir(home))):
            os.chown(path, user, user)
        copies = [os.path.join(home, os.path.basename(p)) for p in (PEER[1], scene.cert, scene.key)]
        scene.site(port=8443)
        scene.net.start(["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "/usr/bin/python3", "-c", IMPOSTOR, *copies, "127.0.0.1:8443",
                         "-p", home, "-c", scene.path("nginx.conf")])
        scene.net.wait_listening(8443)
        scene.refused(2403, status=3)
        problem = scene.unread()[0]["problem"]
        assert problem["code"] == "VCC-2404" and words in problem["cause"], problem
    finally:
        shutil.rmtree(home)


def test_the_prefix_is_roots_too(scene, folder):
    """Modules with relative paths are loaded from there, by root."""
    prefix = os.path.join(folder, "prefix")
    os.makedirs(prefix)
    scene.nginx = scene.net.start(["/usr/sbin/nginx", "-p", prefix, "-c", scene.path("nginx.conf"), "-g", "daemon off;"])
    scene.net.wait_listening(443)
    assert scene.service()["problem"] is None
    os.chown(prefix, 1234, -1)
    scene.refused(2403, status=3)
    assert scene.unread()[0]["problem"]["code"] == "VCC-2400" and scene.unread()[0]["problem"]["object"] == prefix


def test_names_that_a_terminal_would_obey(scene):
    scene.start()
    scene.write("conf.d/a\033[2J.conf", "# nothing\n")
    scene.refused(2403, status=3)
    assert scene.unread()[0]["problem"]["code"] == "VCC-2400" and "control characters" in scene.unread()[0]["problem"]["cause"]
    os.unlink(scene.path("conf.d/a\033[2J.conf"))
    scene.site(cert=scene.cert + "\033[2J\007")
    shown = scene.agent("discover").stdout
    assert "[2J" in shown and "\033" not in shown and "\007" not in shown


@pytest.mark.parametrize("words,status,code", [
    (["manage", "no-such"], 3, "2403"),
    (["manage", "../etc"], 3, "2403"),
    (["manage", ".hidden"], 3, "2403"),
    (["manage", "a" * 64], 3, "2403"),
    (["unmanage", "no-such"], 3, "2407"),
    (["unmanage", "../../x"], 3, "2403"),
    (["manage", "nginx", "--template", "No Template"], 4, "2415"),
    (["manage", "nginx", "--from", "certbot"], 1, "2414"),
])
def test_wrong_words(scene, words, status, code):
    scene.start()
    before = scene.state()
    done = scene.agent(*words)
    assert done.returncode == status and f"VCC-{code}" in done.stderr, (done.returncode, done.stderr)
    assert difference(before, scene.state()) == {}


@pytest.mark.parametrize("words", [["manage"], ["manage", "a", "b"], ["manage", "a", "--from", "lego"], ["manage", "a", "--all"], ["unmanage", "a", "--dry-run"],
                                   ["discover", "a", "b"], ["discover", "--dry-run"]])
def test_usage(nginx_installation, words):
    inst, _ = nginx_installation
    done = subprocess.run([inst.bin("vcc-agent"), *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and f"usage: vcc-agent {words[0]}" in done.stderr


def test_only_root_manages(scene):
    scene.start()
    before = scene.state()
    for path in (scene.host.config, scene.host.dir, os.path.dirname(scene.host.dir)):
        os.chmod(path, os.stat(path).st_mode | 0o055)
    before = scene.state()
    done = scene.agent("manage", "nginx", user=65534)
    assert done.returncode == 4 and "VCC-2404" in done.stderr and "sudo" in done.stderr, done.stderr
    assert difference(before, scene.state()) == {}


def test_target_is_there_already(scene):
    scene.start()
    path = os.path.join(scene.host.dir, "targets.d", "nginx.conf")
    with open(path, "w") as f:
        f.write("# somebody's\n")
    try:
        assert "target file exists" in scene.refused(2406, status=4)
    finally:
        os.unlink(path)
    os.makedirs(os.path.join(scene.host.dir, "targets", "nginx"))
    try:
        assert "folder exists" in scene.refused(2406, status=4)
    finally:
        os.rmdir(os.path.join(scene.host.dir, "targets", "nginx"))


def test_without_a_keeper(scene):
    scene.start()
    done = scene.net.run([scene.inst.bin("vcc-agent"), "discover", "-o", "json"])
    found = json.loads(done.stdout)
    assert not found["joined"] and found["services"][0]["problem"]["code"] == "VCC-2405" and found["services"][0]["fingerprint"] == fingerprint(scene.cert)
