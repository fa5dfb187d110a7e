"""kill -9 and a full disk at every fault point that `manage` and `unmanage` pass: does the service go on serving, and do `manage` again or `unmanage` end
where they should, with everything as before?"""
import os

import machine
import pytest
from installation import ROOT
from survey_machine import AGENT, SurveyMachine, difference

FAULTS = os.environ.get("VCC_FAULTS_BIN", os.path.join(ROOT, "build-faults", "bin"))
LONG = os.environ.get("VCC_LONG") == "1"
LOG = "/root/faults"
NAME, UNIT = "nginx", "nginx.service"

pytestmark = [pytest.mark.skipif(machine.cannot() != "", reason=machine.cannot()),
              pytest.mark.skipif(not os.path.exists(os.path.join(FAULTS, "vcc-agent")), reason="make faults has not been run")]


@pytest.fixture(scope="module")
def m(tmp_path_factory):
    with SurveyMachine(str(tmp_path_factory.mktemp("machine")), os.path.relpath(os.path.dirname(FAULTS), ROOT)) as machine_:
        machine_.install()
        machine_.join()
        path = machine_.path("/etc/nginx/sites-available/default")
        text = open(path).read()
        for line in ("listen 443 ssl default_server;", "listen [::]:443 ssl default_server;", "include snippets/snakeoil.conf;"):
            text = text.replace(f"# {line}", line)
        open(path, "w").write(text)
        machine_.run("systemctl", "restart", UNIT)
        machine_.wait("nginx listens", lambda: NAME in machine_.services())
        machine_.old, machine_.before = machine_.served(), machine_.snapshot()
        yield machine_


def verb(m, words, failpoint=""):
    return m.run("env", f"VCC_FAULT_LOG={LOG}", f"VCC_FAILPOINT={failpoint}", AGENT, *words, NAME, check=False, timeout=300)


def passes(m, *words):
    """The fault points that an undisturbed run passes, in order: [(name, number of the pass)]."""
    m.run("rm", "-f", LOG)
    done = verb(m, words)
    assert done.returncode == 0, done.stdout + done.stderr
    found, count = [], {}
    for name in m.read(LOG).split():
        count[name] = count.get(name, 0) + 1
        found.append((name, count[name]))
    return found


# A short run: between the record and the first change, before the reload, before the last step; and in the middle of the way back.
SHORT = (("survey.saved", 1), ("survey.reload", 1), ("survey.target", 1), ("survey.undo_file", 1))


def chosen(points):
    return points if LONG else [p for p in SHORT if p in points]


def as_before(m, what):
    assert m.served() == m.old, what
    assert difference(m.before, m.snapshot()) == {}, what
    assert m.agent("unmanage", NAME, expect=3), what
    assert m.run("ls", "/var/lib/vcc-agent/survey").stdout.split() == ["lock"], what


def serving(m, what):
    """Whatever was interrupted, a listener serves the old certificate or ours."""
    assert m.served() in (m.old, m.certificate(f"clara01-{NAME}").get("fingerprint")), what


def asked_for(m):
    """After five certificates in a row that nobody asked for the next one waits for an approval (max_renewals): somebody asks for one."""
    if LONG:
        m.wait("its order has ended", lambda: not m.certificate(f"clara01-{NAME}").get("open_order"))
        m.renew(f"clara01-{NAME}")


def test_kills(m):
    points = passes(m, "manage")
    back = passes(m, "unmanage")
    as_before(m, "undisturbed")
    assert {"survey.undo_save", "survey.saved", "survey.folder", "survey.change", "survey.reload", "survey.target"} <= {n for n, _ in points}, points
    for i, (name, number) in enumerate(chosen(points)):
        done = verb(m, ["manage"], f"{name}@{number}=kill")
        assert done.returncode == -9 or done.returncode == 137, (name, number, done)
        serving(m, name)
        if i % 2 == 0:  # forward: once more, and back in peace
            again = verb(m, ["manage"])
            assert again.returncode in (0, 4), (name, number, again.stdout, again.stderr)  # 4: the kill came after the last step
            m.wait("ours is served", lambda: m.served() != m.old)
            asked_for(m)
            m.agent("unmanage", NAME)
        else:  # straight back; before the record there is nothing to take back
            assert verb(m, ["unmanage"]).returncode in (0, 3), name
        as_before(m, (name, number))
    for name, number in chosen(back):
        m.agent("manage", NAME)
        asked_for(m)
        done = verb(m, ["unmanage"], f"{name}@{number}=kill")
        assert done.returncode == -9 or done.returncode == 137, (name, number, done)
        serving(m, name)
        assert verb(m, ["unmanage"]).returncode in (0, 3), name
        as_before(m, (name, number))


def test_full_disk(m):
    """An error in the middle: the run says so, and has put everything back itself."""
    points = [("survey.change", 1), ("survey.reload", 1)]
    if LONG:
        points = passes(m, "manage")[:-1]  # the sync behind the last step: everything is done
        m.agent("unmanage", NAME)
    for name, number in points:
        done = verb(m, ["manage"], f"{name}@{number}=err:ENOSPC")
        assert done.returncode in (1, 4) and "VCC-" in done.stderr, (name, number, done.stdout, done.stderr)
        as_before(m, (name, number))
