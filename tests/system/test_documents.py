"""Do the pages below docs/ say what is so: the guide to the API, run line by line; tables that are made; links that lead somewhere?"""
import glob
import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess

import pytest
from installation import ROOT, Installation

GUIDE = os.path.join(ROOT, "docs", "api.md")
PAGES = sorted([os.path.join(ROOT, "README.md"), *glob.glob(os.path.join(ROOT, "docs", "*.md"))])


def read(path):
    with open(path) as f:
        return f.read()


def blocks(text):
    """(heading, commands) of the marked blocks."""
    heading, found = "", []
    for part in re.finditer(r"^## ([^\n]+)$|^```sh\n(.*?)^```$", text, re.M | re.S):
        if part[1]:
            heading = part[1]
        else:
            found.append((heading, part[2]))
    return found


@pytest.fixture(scope="module")
def guide(new_folder_of_module):
    inst = Installation(new_folder_of_module)
    try:
        inst.init()
        inst.start()
        host = inst.add_echo(0)
        inst.wait_served(host)
        yield inst, host
    finally:
        inst.stop()


@pytest.fixture(scope="module")
def new_folder_of_module(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("guide"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_the_guide_to_the_api_works_as_it_stands(guide):
    """One shell for all blocks, as a reader has it; each line has to end well."""
    inst, host = guide
    facts, text = inst.facts(), read(GUIDE)
    parts = blocks(text)
    assert len(parts) >= 10 and sum(b.count("call ") + b.count("post ") for _, b in parts) > 30
    script = "".join(f"echo '== {heading}' >&2\n{body}" for heading, body in parts)
    env = {"PATH": os.environ["PATH"], "API": facts["admin_url"] + "/api/v1", "CA": facts["admin_ca"], "TOKEN": facts["admin_token_file"],
           "APPROVER": facts["approver_token_file"], "SOCKET": facts["admin_socket"], "CERT_ID": host.cert_id}
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout[-1500:]}\n{done.stderr[-1500:]}"


def test_the_guide_has_every_route():
    made = subprocess.run([os.path.join(ROOT, "build", "tests", "tool_docs"), "routes"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert read(GUIDE).split("<!-- routes -->\n")[1].split("<!-- end -->")[0] == made and made.count("\n") > 80


def test_the_table_of_faults_and_attacks_is_made():
    done = subprocess.run([os.path.join(ROOT, "scripts", "security-table"), "--check"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    ids = re.findall(r"^\| ([FT]\d+) \|", read(os.path.join(ROOT, "docs", "security.md")), re.M)
    assert set(ids) == {f"F{n:02d}" for n in range(1, 82)} | {f"T{n}" for n in range(1, 27)}


def test_results_of_a_run_are_read(folder):
    """What pytest writes, run as scripts/check runs it: parameters of a test are one result, the worst; scenarios of the table keep their names."""
    loader = importlib.machinery.SourceFileLoader("security_table", os.path.join(ROOT, "scripts", "security-table"))
    table = importlib.util.module_from_spec(importlib.util.spec_from_loader("security_table", loader))
    loader.exec_module(table)
    path = os.path.join(folder, "r.xml")
    with open(path, "w") as f:
        f.write('<testsuites><testsuite><testcase classname="system.test_x" name="test_a[1]"/><testcase classname="system.test_x" name="test_a[2]"><failure/></testcase>'
                '<testcase classname="fault.test_table" name="test_row[F01-killed]"/><testcase classname="web.test_y" name="test_b"><skipped/></testcase></testsuite></testsuites>')
    assert list(table.of_junit(path)) == [("tests/system/test_x.py::test_a", "passed"), ("tests/system/test_x.py::test_a", "failed"),
                                          ("tests/fault/test_table.py::F01-killed", "passed"), ("tests/web/test_y.py::test_b", "skipped")]
    table.RESULTS = os.path.join(folder, "results.tsv")
    table.record([path], {"tests/system/test_x.py::test_a"})
    assert {test: result for test, (result, _) in table.read_results().items()} == {"tests/system/test_x.py::test_a": "failed"}


@pytest.mark.parametrize("page", PAGES, ids=os.path.basename)
def test_what_a_page_names_is_there(page):
    """Links to files, and files and folders of the tree that stand in `…`."""
    text = read(page)
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text):
        assert os.path.exists(os.path.join(os.path.dirname(page), target)), target
    for named in re.findall(r"`((?:docs|tests|scripts|packaging|shared|agent|controller)/[\w./-]+\.(?:md|py|c|h|sh|json|def))`", text):
        assert os.path.exists(os.path.join(ROOT, named)) or re.search(r"_[A-Z]{4}\.", named), named  # reload_NAME.c stands for each of them
