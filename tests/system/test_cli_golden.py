"""Does `vccctl -o json` keep its shape, verb by verb (tests/cli/golden), and do check, event tail and completion do what they say?

A golden file says which fields there are and of which type, not their values. VCC_GOLDEN=write makes those that are missing."""
import http.client
import json
import os
import shutil
import signal
import subprocess
import time

import pytest
from conftest import new_folder
from installation import ROOT, wait_for
from rights_estate import OWN, Estate

GOLDEN = os.path.join(ROOT, "tests", "cli", "golden")
VCCCTL = os.path.join(ROOT, "build", "bin", "vccctl")
# Verbs that only read, with words that name something that is there.
READING = ["status", "whoami", "check", "explain VCC-3002", "agent list", "agent show {agent}", "target list", "target show {cert}", "cert list", "cert show {cert}",
           "cert expiring --days 3650", "template list", "template show clara_service_auth", "principal list", "principal show admin", "token list",
           "approval list", "approval show {approval}", "ca list", "ca show service-1", "ca trust", "crl", "audit list", "audit show 0", "audit heads", "campaign list", "campaign show {campaign}", "bulk plan", "service list", "service show clara"]
# Verbs that change something and answer with it, in this order.
CHANGING = ["agent invite golden-1 --service clara", "principal create golden --roles viewer --machine", "principal set-role golden --roles auditor", "token create golden --ttl 1h", "cert renew {cert} --force",
            "cert suspend {cert}", "cert resume {cert}"]


class Site:
    def __init__(self, folder):
        self.estate = Estate(folder, {"controller.limits.max_renewals_default": "0"})
        self.inst = self.estate.inst
        self.estate.add_hosts()
        host = self.estate.own
        waiting = self.estate.second_target(host, f"other.{OWN}.vcc.internal")
        request = wait_for("a request waits", lambda: self.estate.request(waiting))
        campaign = self.estate.admin("POST", "/api/v1/certificates/lifecycle/bulk-renewal", {"service_pattern": f"*.{OWN}.vcc.internal"})[1]["campaign_id"]
        self.wait_idle()
        self.words = {"agent": host.name, "cert": host.cert_id, "approval": request["approval_id"], "campaign": campaign}

    def wait_idle(self):
        wait_for("no order is open", lambda: not any(c["open_order"] for c in self.estate.admin.get("certificates")["items"]), 120)

    def run(self, line, *more, **args):
        return subprocess.run([*self.inst.vccctl_argv, *line.format(**self.words).split(), *more], capture_output=True, text=True, timeout=120,
                              env=dict(os.environ, HOME="/nonexistent"), **args)


@pytest.fixture(scope="module")
def site():
    folder = new_folder("golden")
    s = None
    try:
        s = Site(folder)
        yield s
    finally:
        if s:
            s.estate.stop()
        shutil.rmtree(folder, ignore_errors=True)


def shape(value):
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(v) for v in value[:1]]
    return "true or false" if isinstance(value, bool) else "number" if isinstance(value, (int, float)) else "null" if value is None else "text"


# Objects whose names are data: whatever is in them.
OPEN = ("detail", "what", "services", "blast_radius")


def differences(want, got, where=""):
    """What of `got` is not as `want` says. null and an empty list fit everything."""
    if want in ("null", []) or got in (None, []):
        return []
    if isinstance(want, dict) and isinstance(got, dict):
        if where.rsplit(".", 1)[-1] in OPEN:
            return []
        found = [f"{where}.{k} is gone" for k in want if k not in got] + [f"{where}.{k} is new" for k in got if k not in want]
        return found + [d for k in want if k in got for d in differences(want[k], got[k], f"{where}.{k}")]
    if isinstance(want, list) and isinstance(got, list):
        return [d for item in got for d in differences(want[0], item, f"{where}[]")]
    return [] if want == shape(got) else [f"{where} is {shape(got)}, not {want}"]


def hold(line, text):
    name = "-".join(w for w in line.split() if not w.startswith(("{", "VCC-", "clara", "golden", "admin", "service-1", "--", "3650", "1h", "viewer", "auditor", "0")))
    path = os.path.join(GOLDEN, f"{name}.json")
    got = json.loads(text)
    if not os.path.exists(path) and os.environ.get("VCC_GOLDEN") == "write":
        with open(path, "w") as f:
            json.dump(shape(got), f, indent=1, sort_keys=True)
            f.write("\n")
    with open(path) as f:
        want = json.load(f)
    assert not differences(want, got), (name, differences(want, got))


@pytest.mark.parametrize("line", READING)
def test_the_shape_of_what_is_read(site, line):
    p = site.run(line, "-o", "json")
    assert p.returncode in ((0, 7) if line == "check" else (0,)) and not p.stderr, p.stderr
    hold(line, p.stdout)


def test_the_shape_of_what_is_changed(site):
    for line in CHANGING:
        p = site.run(line, "-o", "json")
        assert p.returncode == 0, (line, p.stderr)
        hold(line, p.stdout)
        site.wait_idle()


def test_every_golden_file_is_looked_at():
    assert len([n for n in os.listdir(GOLDEN) if n.endswith(".json")]) == len(READING) + len(CHANGING)


# ---- check ----

def test_check_and_its_exit_codes(site):
    def well():
        return site.run("check").returncode == 0
    wait_for("everything is well", well, 60)
    p = site.run("check --nagios")
    assert p.returncode == 0 and p.stdout.startswith("VCC OK - ") and "| critical=0 warning=0 certificates=" in p.stdout, p.stdout
    site.estate.foreign.processes["agent"].stop()
    wait_for("it is seen", lambda: site.run("check").returncode == 7, 60)
    found = json.loads(site.run("check", "-o", "json").stdout)
    assert [(f["severity"], f["kind"], f["object"]) for f in found] == [("warning", "agent", site.estate.foreign.name)], found
    p = site.run("check --nagios")
    assert p.returncode == 1 and p.stdout.startswith("VCC WARNING - ") and p.stdout.count("\n") == 1, p.stdout
    p = subprocess.run([VCCCTL, "check", "--nagios", "--socket", "/nonexistent"], capture_output=True, text=True, timeout=30)
    assert p.returncode == 3 and p.stdout.startswith("VCC UNKNOWN - "), p.stdout
    assert subprocess.run([VCCCTL, "check", "--socket", "/nonexistent"], capture_output=True, timeout=30).returncode == 5


# ---- events ----

def test_event_tail_shows_what_happened_and_what_happens(site):
    lines = site.run("event tail --since 1h --count 20", "-o", "json").stdout.splitlines()
    events = [json.loads(x) for x in lines]
    assert len(events) == 20 and [e["seq"] for e in events] == list(range(events[0]["seq"], events[0]["seq"] + 20))
    p = subprocess.Popen([*site.inst.vccctl_argv, "event", "tail"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(2)
        assert site.run("principal create tailed --roles viewer --machine").returncode == 0
        line = p.stdout.readline()
        while "principal_created" not in line:
            line = p.stdout.readline()
        assert "tailed by admin" in line, line
        # the controller goes away and comes back: nothing is left out
        controller = site.inst.processes["controller"]
        controller.stop()
        controller.start()
        wait_for("ready", site.inst.ready)
        assert site.run("principal create tailed-2 --roles viewer --machine").returncode == 0
        while "tailed-2" not in line:
            line = p.stdout.readline()
            assert line, p.stderr.read()
    finally:
        p.send_signal(signal.SIGTERM)
        p.wait(10)
    assert site.run("event tail --since never").returncode == 2
    viewer = site.estate.principal("no-auditor", ["viewer"])
    assert site.estate.api(viewer)("GET", "/api/v1/events")[0] == 403


def test_a_stream_goes_on_after_the_last_id(site):
    size = site.estate.admin.get("audit?limit=1")["items"][0]["seq"]
    api = site.estate.admin
    c = http.client.HTTPSConnection(api.address, context=api.context, timeout=30)
    c.request("GET", "/api/v1/events", headers=dict(api.headers, **{"Last-Event-ID": str(size - 3)}))
    answer = c.getresponse()
    assert answer.status == 200 and answer.headers.get_content_type() == "text/event-stream"
    ids = []
    while len(ids) < 3:
        line = answer.readline().decode()
        if line.startswith("id: "):
            ids.append(int(line[4:]))
    assert ids == [size - 2, size - 1, size]
    c.close()
    status, body = api("GET", "/api/v1/events?since=yesterday")
    assert status == 422 and body["object"] == "since"


# ---- completion ----

def complete_bash(*words):
    script = f"source <({VCCCTL} completion bash); COMP_WORDS=(vccctl {' '.join(repr(w) for w in words)}); COMP_CWORD={len(words)}; _vccctl; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, check=True).stdout.split()


def complete_zsh(*words):
    """Without a line editor, so what it offers is caught where it is handed over."""
    script = ("compadd() { local w; for w in \"$@\"; do [[ $w == -- || $w != ${words[CURRENT]}* ]] || print -r -- $w; done }; _files() { : }; compdef() { : }; "
              f"source <({VCCCTL} completion zsh); words=(vccctl {' '.join(repr(w) for w in words)}); CURRENT={len(words) + 1}; _vccctl")
    return subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, timeout=30, check=True).stdout.split()


def complete_fish(*words):
    script = f"{VCCCTL} completion fish | source; complete -C 'vccctl {' '.join(words)}'"
    return [x.split("\t")[0] for x in subprocess.run(["fish", "-c", script], capture_output=True, text=True, timeout=30, check=True).stdout.splitlines()]


@pytest.mark.parametrize("complete", [complete_bash, complete_zsh, complete_fish])
def test_completion_knows_the_verb_table(complete):
    help_page = subprocess.run([VCCCTL, "--help"], capture_output=True, text=True, timeout=30).stdout
    nouns = complete("")
    for noun in ("cert", "agent", "event", "check", "init", "completion"):
        assert noun in nouns and f"  {noun}" in help_page
    assert {"list", "show", "renew"} <= set(complete("cert", "")) and "list" not in complete("event", "")
    assert complete("cert", "ren") == ["renew"]
    assert "--force" in complete("cert", "renew", "--f") and "--force" not in complete("cert", "list", "--f")
    assert complete("--url", "https://x", "cert", "ren") == ["renew"], "a global option and its value are passed over"
    assert complete("init", "--security") == ["--security-contact"]
    assert set(complete("-o", "")) >= {"table", "json", "csv"}
    for words in (("ca", "rollover"), ("cert", "revoke"), ("cert", "list")):
        assert complete(*words, "--reas") == ["--reason"], "once, whether the verb has one of its own or not"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_its_shell(shell, folder):
    path = os.path.join(folder, "script")
    with open(path, "w") as f:
        subprocess.run([VCCCTL, "completion", shell], stdout=f, check=True, timeout=30)
    subprocess.run([shell, "-n", path], check=True, timeout=30)
    assert subprocess.run([VCCCTL, "completion", "tcsh"], capture_output=True, timeout=30).returncode == 2


def test_completion_may_have_global_options_before_it():
    def run(*words):
        return subprocess.run([VCCCTL, *words], capture_output=True, text=True, timeout=30)
    plain = run("completion", "bash")
    assert plain.returncode == 0 and "_vccctl" in plain.stdout
    for before in (("--url", "https://x:8444"), ("--url=https://x:8444", "--ca", "/tmp/ca.pem"), ("-o", "json")):
        said = run(*before, "completion", "bash")
        assert (said.returncode, said.stdout) == (0, plain.stdout), said.stderr
    said = run("--url", "https://x:8444", "init")
    assert said.returncode == 2 and "--url" in said.stderr, "it sets up this machine, and says what it does not take"
    assert run("--url").returncode == 2 and "noun" in run("--url", "https://x:8444").stderr
