"""Are the dashboard's texts complete in German and English, is none of them elsewhere, and do its files stay as small as promised?"""
import glob
import gzip
import os
import re

import pytest
from installation import ROOT

WEB = os.path.join(ROOT, "controller", "web")
FILES = sorted(glob.glob(os.path.join(WEB, "*.js")))
TEXTS = sorted(glob.glob(os.path.join(WEB, "text*.js")))


def source(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def table():
    rows = re.findall(r"^  (\w+): \['((?:[^'\\]|\\.)*)', '((?:[^'\\]|\\.)*)'\],$", "\n".join(map(source, TEXTS)), re.M)
    return {key: (german, english) for key, german, english in rows}


def test_every_row_has_both_and_the_same_places():
    texts = table()
    lines = re.findall(r"^  \w+: \[", "\n".join(map(source, TEXTS)), re.M)
    assert len(texts) == len(lines) > 150, "each row is one line, and none is there twice"
    for key, (german, english) in texts.items():
        assert german.strip() and english.strip(), key
        assert sorted(re.findall(r"\{(\w+)\}", german)) == sorted(re.findall(r"\{(\w+)\}", english)), key


def used():
    """Keys as they are written, and beginnings of those that are put together."""
    keys, starts = set(), set()
    for path in FILES:
        text = source(path)
        text = text if path not in TEXTS else text[text.index("const REGIONS"):] if os.path.basename(path) == "text.js" else ""
        if text:
            keys |= set(re.findall(r"'(\w+)'", text))
            starts |= set(re.findall(r"(?:t\(|word\(|said\(root, )'(\w+_)'", text)) | set(re.findall(r"(?:t\(|\b\w+: )'(\w+_)'(?: \+|[,\s])", text))
    return keys, starts


def test_what_is_asked_for_is_there():
    texts = table()
    for path in FILES:
        for key in re.findall(r"\bt\('(\w+)'[,)]", source(path)):
            assert key in texts, (os.path.basename(path), key)
    for start in used()[1]:
        assert any(key.startswith(start) for key in texts), start


def test_nothing_is_kept_that_nobody_says():
    keys, starts = used()
    ends = {"_ask", "_about", "_done", "_begin", "_begun"}
    for key in table():
        built = any(key.startswith(s) for s in starts) or any(key.endswith(e) for e in ends) or key.startswith("unit_") or key in ("overview", "agents", "targets", "crypto")
        assert key in keys or built, f"{key} is used nowhere"


def test_each_name_of_the_controller_has_its_words():
    """Figures of a report, with what they mean; reasons of a revocation; what is the matter with a host."""
    texts = table()
    figures = re.findall(r'X\(\w+, "(\w+)", \w+,[\s\\]*"([^"]+)"\)', source(os.path.join(ROOT, "controller", "core", "report_figure.h")))
    assert len(figures) >= 15
    for name, means in figures:
        assert f"report_count_{name}" in texts and texts[f"means_{name}"][1].replace("’", "'") == means, name
    reasons = re.findall(r'\[REASON_\w+\] = "(\w+)"', source(os.path.join(ROOT, "shared", "model", "certificate.c")))
    health = re.findall(r'"(\w+)"', re.search(r"names\[HEALTH_BITS\] = \{(.*?)\}", source(os.path.join(ROOT, "shared", "model", "messages.c")), re.S)[1])
    assert len(reasons) >= 8 and len(health) >= 9
    for key in [f"reason_{name}" for name in reasons] + [f"health_{name}" for name in health]:
        assert key in texts, key


@pytest.mark.parametrize("path", FILES, ids=os.path.basename)
def test_a_module_says_what_it_is_and_makes_no_markup(path):
    text = source(path)
    assert text.startswith(f"/* {os.path.basename(path)} - "), "its first comment"
    assert text.count("\n") < 600
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "dangerouslySetInnerHTML", "eval(", "new Function", "http://", "https://"):
        assert word not in text, word


def test_the_whole_is_small():
    taken = [os.path.join(WEB, "node_modules", name) for name in ("htm/preact/standalone.module.js", "uplot/dist/uPlot.esm.js", "uplot/dist/uPlot.min.css")]
    size = 0
    for path in [*FILES, *glob.glob(os.path.join(WEB, "*.css")), *glob.glob(os.path.join(WEB, "*.html")), *glob.glob(os.path.join(WEB, "*.svg")), *taken]:
        with open(path, "rb") as f:
            size += len(gzip.compress(f.read(), 9))
    assert size < 200 * 1024, f"{size} bytes, packed"
