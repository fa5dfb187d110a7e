"""The packages of this tree, built once for all tests that want them; and the same ones under an older version, for upgrades."""
import fcntl
import glob
import os
import re
import shutil
import subprocess

from installation import ROOT

FOLDER = os.path.join(ROOT, "build", "packages")
NAMES = ("vcc-controller", "vcc-gateway", "vcc-agent", "vccctl")
ADDED_BEFORE = "# A line that the version before shipped and this one does not.\n"


def cannot():
    """Why no package can be built or installed here; "" = it can."""
    for program, package in (("dh", "debhelper"), ("scdoc", "scdoc"), ("rpmbuild", "rpm"), ("lintian", "lintian")):
        if shutil.which(program) is None:
            return f"{program} is missing (package {package})"
    return ""


def run(*words, **more):
    done = subprocess.run(words, capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def built():
    """{name: path of the .deb}. Make knows what is out of date; two test files may ask at the same time."""
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run("make", "-s", f"-j{os.cpu_count() or 2}", "-C", ROOT, "deb", "rpm")
    return {name: only(f"{name}_*.deb") for name in NAMES}


def only(pattern):
    found = glob.glob(os.path.join(FOLDER, pattern))
    assert len(found) == 1, f"{pattern}: {found}"
    return found[0]


def version(deb):
    return run("dpkg-deb", "-f", deb, "Version").strip()


def repacked(deb, folder, as_version):
    """The same package under another version, with another configuration file: what was installed before."""
    tree = os.path.join(folder, os.path.basename(deb).split("_")[0])
    run("dpkg-deb", "-R", deb, tree)
    control = os.path.join(tree, "DEBIAN", "control")
    with open(control) as f:
        text = f.read()
    own = re.search(r"(?m)^Version: (.*)$", text)[1]
    with open(control, "w") as f:
        f.write(text.replace(f"Version: {own}", f"Version: {as_version}").replace(f"(= {own})", f"(= {as_version})"))
    shipped = os.path.join(tree, "etc", "vcc-agent", "agent.conf")
    if os.path.exists(shipped):
        with open(shipped, "a") as f:
            f.write(ADDED_BEFORE)
    made = os.path.join(folder, f"{os.path.basename(tree)}_{as_version}.deb")
    run("dpkg-deb", "--root-owner-group", "-b", tree, made)
    shutil.rmtree(tree)
    return made


def files(deb):
    """{path: (mode, owner)} of everything in a .deb that is no folder."""
    found = {}
    for line in run("dpkg-deb", "-c", deb).splitlines():
        mode, owner, _size, _day, _time, path = line.split(None, 5)
        if not mode.startswith("d"):
            found[path.split(" -> ")[0].removeprefix(".")] = (mode, owner)
    return found


def rpm_files(rpm):
    """The same of an .rpm."""
    out = run("rpm", "-qp", "--qf", "[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES}\n]", rpm)
    found = {}
    for line in out.splitlines():
        mode, owner, path = line.split(None, 2)
        if not mode.startswith("d"):
            found[path] = (mode, owner)
    return found


def script(deb, name):
    """A maintainer script; "" = there is none."""
    done = subprocess.run(["dpkg-deb", "-I", deb, name], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""
