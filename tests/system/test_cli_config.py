"""Does `vccctl config show --origin` print every key of each program, its value, and the file and line that it comes from?"""
import json
import os
import re
import subprocess

import pytest
from installation import ROOT, write

VCCCTL = os.path.join(ROOT, "build", "bin", "vccctl")
# The least that each program wants, and one drop-in that changes something.
NEEDED = {
    "controller": ("[controller]\ndomain = vcc.internal\npublic_name = pki.vcc.internal\norganisation = VCC\n[public]\nurl = http://pki.vcc.internal\n"
                   "[gateway]\nagent_address = a:1\njoin_address = a:2\n", "[bulk]\n# more at once\nbatch = 7\nhalt_share = 0.125\n[limits]\nallow_short_validity = yes\n"),
    "gateway": ("", "[gateway]\nhandshakes = 9\n"),
    "signer": ("[signer]\npublic_url = http://pki.vcc.internal\n[limits]\ndomains = vcc.internal\n", "[limits]\nservice = 100d\n"),
    "agent": ("[agent]\ncontroller = a:1\n", "[keeper]\nprobes_per_second = 5\n"),
}


def ctl(*words, **env):
    return subprocess.run([VCCCTL, *words], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, env={"HOME": "/nonexistent", "PATH": "/usr/bin", **env})


def keys_of(program):
    """Those of its schema table."""
    with open(os.path.join(ROOT, "shared", "conf", f"{program}_conf.c")) as f:
        return {".".join(m) for m in re.findall(r'\{(?:\.section = )?"(\w+)", (?:\.key = )?"(\w+)", (?:\.kind = )?CONF_', f.read())}


@pytest.fixture(params=sorted(NEEDED))
def conf(request, folder):
    path = os.path.join(folder, f"{request.param}.conf")
    write(path, NEEDED[request.param][0])
    os.makedirs(path + ".d")
    write(os.path.join(path + ".d", "50-more.conf"), NEEDED[request.param][1])
    return request.param, path


def test_every_key_and_where_it_comes_from(conf):
    program, path = conf
    done = ctl("config", "show", "--config", path, "-o", "json")
    assert done.returncode == 0, done
    rows = {r["key"]: r for r in json.loads(done.stdout)}
    assert set(rows) == keys_of(program) and len(rows) >= 5
    for file in (path, path + ".d/50-more.conf"):
        section = ""
        with open(file) as f:
            for number, line in enumerate(f, 1):
                if line.startswith("["):
                    section = line.strip("[]\n")
                elif "=" in line:
                    key, value = (x.strip() for x in line.split("=", 1))
                    row = rows.pop(f"{section}.{key}")
                    assert row["value"] == value and row["origin"] == f"{file}:{number}", row
    assert len(rows) >= 2 and all(r["origin"] == "default" for r in rows.values())
    table = ctl("config", "show", "--origin", "--config", path).stdout
    assert re.search(rf"{re.escape(path)}.d/50-more.conf:\d+$", table, re.M) and re.search(r"default *$", table, re.M)
    assert "default" not in ctl("config", "show", "--config", path).stdout.splitlines()[0] and "ORIGIN" not in ctl("config", "show", "--config", path).stdout


def test_what_is_wrong_is_named_by_file_and_line(conf):
    _, path = conf
    write(path + ".d/60-wrong.conf", "\n[nonsense]\nkey = 1\n")
    done = ctl("config", "show", "--config", path)
    assert done.returncode == 1 and "60-wrong.conf:3" in "".join(done.stderr.split()) and done.stdout == "", done


def test_a_file_of_no_program(folder):
    done = ctl("config", "show", "--config", os.path.join(folder, "my.conf"))
    assert done.returncode == 2 and "controller.conf" in done.stderr
    assert ctl("config", "show", "--config", os.path.join(folder, "agent.conf")).returncode == 1, "not there"


def test_its_own(folder):
    path = os.path.join(folder, "my-vccctl.conf")
    write(path, "[vccctl]\nurl = https://controller:8444\nca = /etc/ca.pem\ntoken_file = /etc/token\n")

    def own(*words, **env):
        return {r["key"].split(".")[1]: (r["value"], r["origin"]) for r in json.loads(ctl("config", "show", *words, "-o", "json", **env).stdout)}
    nothing = own()
    assert nothing["socket"] == ("/run/vcc-controller/admin.sock", "default") and nothing["url"] == ("", "default") and len(nothing) == 6
    found = own(VCCCTL_CONFIG=path)
    assert found["url"] == ("https://controller:8444", f"{path}:2") and found["token_file"] == ("/etc/token", f"{path}:4") and found["socket"] == ("", "default")
    mixed = own("--token-file", "/mine", VCCCTL_CONFIG=path)
    assert mixed["token_file"] == ("/mine", "command line") and mixed["ca"] == ("/etc/ca.pem", f"{path}:3")
    assert own("--url", "https://other:1", VCCCTL_CONFIG=path)["ca"] == ("", "default"), "another controller has another root"
    os.makedirs(os.path.join(folder, ".config"))
    write(os.path.join(folder, ".config", "vccctl.conf"), "[vccctl]\nsocket = /run/other.sock\n")
    assert own(HOME=folder)["socket"] == ("/run/other.sock", f"{folder}/.config/vccctl.conf:2")
