"""Is the audit trail what it says: complete, signed, kept by hosts, and is every change of it found by somebody who has only an export?"""
import base64
import contextlib
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import sqlite3
import ssl
import subprocess
import urllib.parse

import pytest
from conftest import new_folder
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from installation import Failed, Installation, wait_for
from played_fleet import PlayedFleet

LONG = os.environ.get("VCC_LONG") == "1"


@pytest.fixture(scope="module")
def place():
    path = new_folder("audit")
    inst = Installation(path, {"controller.limits.audit_head_interval": "300ms"})
    try:
        inst.init()
        inst.start()
        host = inst.add_echo(0)
        inst.wait_served(host)
        yield inst, host
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def vccctl(inst, *words, form="json"):
    """(exit status, output, what it says beside it)"""
    done = subprocess.run([*inst.vccctl_argv, *words, "-o", form], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def kept(inst, host):
    out = subprocess.run([inst.bin("vcc-agent"), "status", "-o", "json", "--config", host.config], capture_output=True, text=True, timeout=60).stdout
    return json.loads(out) if out else {}  # the keeper is just starting


def wait_quiet(inst, host):
    """Until the host keeps the head of the whole trail: nothing happens any more."""
    def quiet():
        heads = kept(inst, host).get("audit_heads") or [{"size": 0}]
        newest = inst.get("audit?limit=1")["items"][0]
        return heads[0] if heads[0]["size"] == newest["seq"] + 1 else None
    return wait_for("the host keeps the newest head", quiet, 60, 0.3)


def export(inst, path, *words):
    subprocess.run([*inst.vccctl_argv, "audit", "export", path, *words], check=True, timeout=120)
    with open(path) as f:
        return f.readlines()


@pytest.fixture(scope="module")
def exported(place):
    """(folder, lines of an export, file with what the host keeps)"""
    inst, host = place
    inst.vccctl("cert", "renew", host.cert_id, "--force", "--reason", "the test wants a second one")
    inst.wait_served(host)
    wait_quiet(inst, host)
    folder = os.path.join(inst.dir, "exports")
    os.makedirs(folder)
    lines = export(inst, os.path.join(folder, "all.jsonl"))
    heads = os.path.join(folder, "heads.json")
    with open(heads, "w") as f:
        json.dump(kept(inst, host), f)
    return folder, lines, heads


def verify(inst, path, *words, form="json"):
    # no controller: neither its address nor a token
    argv = [inst.bin("vccctl"), "--socket", "/nonexistent", "audit", "verify", path, "--root", os.path.join(inst.state, "ca.pem"), *words, "-o", form]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


# ---- what is recorded ----

def test_every_record_says_who_what_why_and_in_which_request(place, exported):
    inst, host = place
    records = json.loads(vccctl(inst, "audit", "list", "--limit", "10000")[1])
    assert [r["seq"] for r in records] == list(range(len(records) - 1, -1, -1))
    for r in records:
        assert r["actor"] and r["reason"] and r["request_id"] and r["event"], r
    assert {"installation_created", "agent_joined", "certificate_renewal_scheduled", "certificate_issued", "certificate_proved"} <= {r["event"] for r in records}
    scheduled = [r for r in records if r["event"] == "certificate_renewal_scheduled" and r["actor"] == "admin"]
    assert scheduled[0]["reason"] == "the test wants a second one" and scheduled[0]["detail"]["trigger"] == "manual"
    assert scheduled[0]["actor_id"].startswith("person:")


def test_filters(place, exported):
    inst, host = place

    def listed(*words):
        status, out, err = vccctl(inst, "audit", "list", "--limit", "10000", *words)
        assert status == 0, err
        return json.loads(out)
    every = listed()
    assert {r["object"] for r in listed("--object", host.cert_id)} == {host.cert_id}
    assert len(listed("--object", host.cert_id)) == sum(r["object"] == host.cert_id for r in every) > 5
    assert len(listed("--actor", "admin")) == sum(r["actor"] == "admin" for r in every) > 0
    assert listed("--actor", "nobody-of-that-name") == []
    assert len(listed("--event", "certificate_issued")) == sum(r["event"] == "certificate_issued" for r in every) == 2
    middle = every[len(every) // 2]
    assert listed("--since", middle["at"])[-1]["at"] >= middle["at"]
    order = next(r["renewal_id"] for r in every if r["renewal_id"])
    assert {r["renewal_id"] for r in listed("--order", order)} == {order}
    assert vccctl(inst, "audit", "list", "--event", "something_else")[0] == 1
    assert vccctl(inst, "audit", "list", "--since", "yesterday")[0] == 2
    page, cursor = [], ""
    while True:  # page by page it is the same list
        answer = inst.get(f"audit?limit=7{cursor}")
        page += answer["items"]
        if not answer["next_cursor"]:
            break
        cursor = "&cursor=" + answer["next_cursor"]
    assert page[-len(every):] == every


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(path, leaf, index, size):
    """RFC 9162, 2.1.3.2, once more and on its own."""
    at, last, acc = index, size - 1, leaf
    for other in path:
        assert last > 0
        if at & 1 or at == last:
            acc = node(other, acc)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            acc = node(acc, other)
        at, last = at >> 1, last >> 1
    assert last == 0
    return acc


def leaf_of(row):
    lines = ["1", row["seq"], row["at"], row["behind_ms"], row["event"], row["actor"], row["object"], row["renewal_id"], row["request_id"], row["reason"], row["detail"]]
    return hashlib.sha256(b"\x00" + "".join(f"{x}\n" for x in lines).encode()).digest()


def test_one_record_with_its_proof(place, exported):
    inst, _ = place
    rows = [json.loads(x) for x in exported[1] if x.startswith('{"seq"')]
    for row in rows[::7]:
        shown = inst.get(f"audit/{row['seq']}")
        assert bytes.fromhex(shown["leaf"]) == leaf_of(row)
        assert shown["head"]["size"] == shown["proof"]["size"] > row["seq"]
        assert root_of([bytes.fromhex(x) for x in shown["proof"]["path"]], leaf_of(row), row["seq"], shown["proof"]["size"]).hex() == shown["head"]["root"]
    status, out, _ = vccctl(inst, "audit", "show", "0", form="table")
    assert status == 0 and "installation_created" in out and "the installation was set up" in out
    assert vccctl(inst, "audit", "show", "99999999")[0] == 3
    proof = inst.get("audit/consistency?from=3&to=9")
    assert proof["from"] == 3 and proof["to"] == 9 and len(proof["path"]) >= 2


# ---- heads ----

def test_heads_are_signed_stored_and_kept_by_the_host(place, exported):
    inst, host = place
    heads = json.loads(vccctl(inst, "audit", "heads")[1])
    assert [h["size"] for h in heads] == sorted((h["size"] for h in heads), reverse=True)
    assert any(h["witness"] == host.name for h in heads)
    newest = wait_quiet(inst, host)
    assert newest["root"] == json.loads(vccctl(inst, "audit", "heads")[1])[0]["root"]
    # the keeper knows it after a restart, too
    host.processes["keeper"].stop()
    host.processes["keeper"].start()
    wait_for("the keeper is back", lambda: kept(inst, host).get("connected"))
    assert newest["size"] in [h["size"] for h in kept(inst, host)["audit_heads"]]


def test_verify_needs_only_the_file_the_root_and_what_the_host_keeps(place, exported):
    inst, _ = place
    folder, lines, heads = exported
    path = os.path.join(folder, "all.jsonl")
    rows = sum(x.startswith('{"seq"') for x in lines)
    status, out, err = verify(inst, path, "--head", heads)
    report = json.loads(out)
    assert status == 0 and report["rows"] == report["size"] == rows and report["from"] == 0, err
    assert report["unsigned"]["rows"] == report["unwitnessed"]["rows"] == 0 and report["redacted"] == 0
    report = json.loads(verify(inst, path)[1])  # nobody vouches for any of it
    assert report["unwitnessed"]["rows"] == rows and report["unwitnessed"]["age_seconds"] >= 0 and report["unwitnessed"]["since"]
    status, out, _ = verify(inst, path, "--head", heads, form="table")
    assert status == 0 and "verified" in out and "unwitnessed" in out
    assert verify(inst, path, "--head", path)[0] == 2, "a file without a head"
    assert verify(inst, "/nonexistent")[0] == 2, "nothing was looked at"
    other = os.path.join(folder, "other.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", os.devnull, "-out", other, "-subj", "/CN=x"],
                   check=True, capture_output=True)
    done = subprocess.run([inst.bin("vccctl"), "audit", "verify", path, "--root", other], capture_output=True, text=True)
    assert done.returncode == 1 and "VCC-3755" in done.stderr


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_what_a_host_said_is_proved_by_its_own_signature(place, exported):
    """T25: the trail names each receipt by its hash, the receipt stands beside it, and nobody but the host's key can have made it."""
    inst, host = place
    folder, lines, heads = exported
    named, given, joined = {}, {}, {}
    for line in map(json.loads, lines):
        detail = json.loads(line["detail"]) if line.get("detail") else {}
        if "receipt" in detail:
            named.setdefault(detail["receipt"], (detail["host"], line["object"], line["renewal_id"]))
        if line.get("event") == "agent_joined":
            joined[detail["host"]] = line["object"]
        if "receipt_of" in line:
            spki, body = unb64(line["receipt_of"]), unb64(line["body"])
            serialization.load_der_public_key(spki).verify(unb64(line["signature"]), b"vcc receipt v1\0" + body, ec.ECDSA(hashes.SHA256()))
            given[hashlib.sha256(body).hexdigest()] = hashlib.sha256(spki).hexdigest()
    assert len(given) >= 4 and given == {receipt: who for receipt, (who, _, _) in named.items()}, "two renewals: verified and settled"
    assert {joined[who] for who in given.values()} == {host.name}
    report = json.loads(verify(inst, os.path.join(folder, "all.jsonl"), "--head", heads)[1])
    assert report["receipts"] == len(given) and report["receipts_missing"] == 0
    path, at = os.path.join(folder, "denied.jsonl"), next(i for i, x in enumerate(lines) if x.startswith('{"receipt_of"'))
    for change in (lambda x: dict(x, receipt_seq=x["receipt_seq"] + 1), lambda x: dict(x, signature=x["body"][:96]), lambda x: dict(x, body=x["body"][4:])):
        changed = json.dumps(change(json.loads(lines[at])), separators=(",", ":")) + "\n"
        with open(path, "w") as f:
            f.writelines([*lines[:at], changed, *lines[at + 1:]])
        status, _, err = verify(inst, path, "--head", heads)
        assert status == 1 and ("VCC-3760" in err or "VCC-3753" in err), err


def test_a_part_of_the_trail_is_verified_by_the_edge_before_it(place, exported):
    inst, _ = place
    folder, lines, heads = exported
    rows = [json.loads(x) for x in lines if x.startswith('{"seq"')]
    middle = rows[len(rows) // 2]
    when = inst.get(f"audit/{middle['seq']}")["at"]
    path = os.path.join(folder, "part.jsonl")
    part = export(inst, path, "--since", when, "--no-names")
    first = json.loads(part[0])["from"]
    assert 0 < first <= middle["seq"] and not any('"person":"' in x for x in part)
    status, out, err = verify(inst, path, "--head", heads)
    assert status == 0 and json.loads(out)["from"] == first and json.loads(out)["redacted"] > 0, err
    with open(path, "w") as f:
        f.writelines([part[0].replace('"from":%d' % first, '"from":%d' % (first - 1))] + part[1:])
    assert verify(inst, path, "--head", heads)[0] == 1


def test_changes_are_found_and_named(place, exported):
    inst, _ = place
    folder, lines, heads = exported
    at = [i for i, x in enumerate(lines) if x.startswith('{"seq"')]
    rng = random.Random(7)
    path = os.path.join(folder, "changed.jsonl")
    for turn in range(40 if LONG else 12):
        changed, where = list(lines), rng.choice(at[:-1])
        kind = ("flip", "drop", "swap", "insert", "cut", "actor")[turn % 6]
        if kind == "flip":
            x = rng.randrange(len(changed[where]) - 1)
            changed[where] = changed[where][:x] + chr(ord(changed[where][x]) ^ 1) + changed[where][x + 1:]
        elif kind == "drop":
            del changed[where]
        elif kind == "swap":
            changed[where], changed[where + 1] = changed[where + 1], changed[where]
        elif kind == "insert":
            changed.insert(where, changed[where])
        elif kind == "cut":
            changed = changed[:where]
        else:
            row = json.loads(changed[where])
            row["reason"] += "!"
            changed[where] = json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n"
        with open(path, "w", errors="surrogateescape") as f:
            f.writelines(changed)
        status, out, err = verify(inst, path, "--head", heads)
        assert status == 1 and "VCC-37" in err, (kind, where, out, err)
        if kind in ("drop", "swap", "insert"):
            assert "row " in err or "line " in err


# ---- rights ----

def test_for_a_siem(place, exported, tmp_path):
    """Each record once, as a line of JSON or of syslog (RFC 5424), with the names that the trail knows by pseudonym alone."""
    inst, _ = place
    rows = [json.loads(line) for line in exported[1] if line.startswith('{"seq"')]
    for form in ("jsonl", "rfc5424"):
        path = str(tmp_path / form)
        lines = [line.rstrip("\n") for line in export(inst, path, "--format", form)]
        if form == "rfc5424":
            heads = [re.fullmatch(r"<(10[89])>1 (\S+Z) \S+ vcc-controller - audit - @cee: (\{.*\})", line) for line in lines]
            assert all(heads), lines[:3]
            records = [json.loads(m[3]) for m in heads]
            assert all(m[2] == r["at"] for m, r in zip(heads, records))
        else:
            records = [json.loads(line) for line in lines]
        assert [r["seq"] for r in records] == list(range(len(records))) and len(records) >= len(rows)
        for said, row in zip(records, rows):
            assert said["event"] == row["event"] and said.get("detail", {}) == (json.loads(row["detail"]) if row["detail"] else {})
        assert "admin" in {r.get("actor") for r in records} and not any(r.get("actor", "").startswith("person:") for r in records)
    done = subprocess.run([*inst.vccctl_argv, "audit", "export", "--format", "cef"], capture_output=True, text=True)
    assert done.returncode == 2 and "cef" in done.stderr


def test_who_may_read_the_trail(place, exported):
    inst, _ = place
    argv = [inst.bin("vccctl"), "--url", inst.admin_url, "--ca", os.path.join(inst.state, "ca.pem"), "--token-file", os.path.join(inst.state, "approver.token")]
    for words in (("list",), ("heads",), ("show", "0"), ("export",), ("forget", "admin")):
        done = subprocess.run([*argv, "audit", *words], capture_output=True, text=True)
        assert done.returncode == 4 and "VCC-" in done.stderr, words


# ---- persons ----

def test_a_person_is_forgotten_and_the_trail_stays_whole(place, exported):
    inst, host = place
    folder, _, _ = exported
    assert vccctl(inst, "audit", "forget", "approver")[0] == 1, "can still act"
    assert vccctl(inst, "audit", "forget", "nobody")[0] == 3
    wait_quiet(inst, host)
    inst.processes["controller"].stop()
    with contextlib.closing(sqlite3.connect(database(inst))) as db:
        db.execute("UPDATE principals SET disabled = 1 WHERE name = 'approver'")
        db.commit()
    inst.processes["controller"].start()
    wait_for("the controller is ready", inst.ready)
    before = [r for r in json.loads(vccctl(inst, "audit", "list", "--limit", "10000")[1]) if r["object"] == "approver"]
    assert before
    status, out, err = vccctl(inst, "audit", "forget", "approver", "--reason", "left the authority")
    assert status == 0, err
    alias = json.loads(out)["pseudonym"]
    records = json.loads(vccctl(inst, "audit", "list", "--limit", "10000")[1])
    assert not any("approver" in json.dumps(r) for r in records)
    assert [r["seq"] for r in records if r["object"] == "redacted"][-len(before):] == [r["seq"] for r in before]
    last = next(r for r in records if r["event"] == "audit_person_forgotten")
    assert last["reason"] == "left the authority" and last["actor"] == "admin"
    wait_quiet(inst, host)
    path, heads = os.path.join(folder, "redacted.jsonl"), os.path.join(folder, "heads2.json")
    lines = export(inst, path)
    with open(heads, "w") as f:
        json.dump(kept(inst, host), f)
    assert any(alias in x for x in lines) and not any("approver" in x for x in lines)
    status, out, err = verify(inst, path, "--head", heads, "--head", exported[2])
    assert status == 0 and json.loads(out)["redacted"] == len(before) + 1, err


# ---- history rewritten, by somebody who owns the controller ----

def database(inst):
    return os.path.join(inst.state, "controller", "vcc.db")


def snapshot(path, to):
    """A copy with what still stands in the log beside it."""
    with contextlib.closing(sqlite3.connect(path)) as a, contextlib.closing(sqlite3.connect(to)) as b:
        a.backup(b)


def put_back(path, kept_file):
    for end in ("-wal", "-shm"):
        if os.path.exists(path + end):
            os.unlink(path + end)
    shutil.move(kept_file, path)


def position(level, index):
    last = ((index + 1) << level) - 1
    return 2 * last - bin(last).count("1") + level


COLUMNS = "seq, at, behind_ms, event, actor, object, renewal_id, request_id, reason, detail"


def leaf_in(db, seq):
    row = dict(zip(COLUMNS.split(", "), db.execute(f"SELECT {COLUMNS} FROM audit WHERE seq = ?", (seq,)).fetchone()))
    for name in ("renewal_id", "request_id"):
        h = row[name].hex() if row[name] else ""
        row[name] = "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:])) if h else ""
    return leaf_of(row)


def node_in(db, level, index):
    """Every fourth level is stored."""
    if level == 0:
        return leaf_in(db, index)
    if level % 4 == 0:
        return db.execute("SELECT hash FROM audit_nodes WHERE position = ?", (position(level, index),)).fetchone()[0]
    return node(node_in(db, level - 1, 2 * index), node_in(db, level - 1, 2 * index + 1))


def rewrite(db_path, seq, reason):
    """Another reason in record `seq`, and every node of the tree above it made to fit."""
    with contextlib.closing(sqlite3.connect(db_path)) as db:
        db.execute("UPDATE audit SET reason = ? WHERE seq = ?", (reason, seq))
        size = db.execute("SELECT max(seq) + 1 FROM audit").fetchone()[0]
        level, index = 4, seq >> 4
        while (index + 1) << level <= size:
            value = node(node_in(db, level - 1, 2 * index), node_in(db, level - 1, 2 * index + 1))
            assert db.execute("UPDATE audit_nodes SET hash = ? WHERE position = ?", (value, position(level, index))).rowcount == 1
            level, index = level + 4, index >> 4
        db.commit()


def test_rewritten_history_is_told_by_signer_and_host(place, exported):
    inst, host = place
    folder, lines, heads = exported
    wait_quiet(inst, host)
    path = os.path.join(folder, "rewritten.jsonl")
    inst.processes["controller"].stop()
    db = database(inst)
    snapshot(db, db + ".kept")
    rewrite(db, 5, "somebody else's idea")
    inst.processes["controller"].start()
    wait_for("the controller is up", lambda: not isinstance(inst_status(inst), Failed))
    told = wait_for("the alarm is in the trail", lambda: [r for r in inst.get("audit?limit=50")["items"] if r["event"] in ("audit_signer_head_ahead", "audit_head_contradicted")])
    assert told[0]["object"] in ("signer", host.name)
    assert any("VCC-3751" in w for w in inst_status(inst)["warnings"])
    export(inst, path)
    status, _, err = verify(inst, path)
    assert status == 1 and "VCC-3754" in err, "its own signed heads say so"
    # somebody with the signer's key could sign other heads; without any signed ones only the host's is left
    with open(path) as f:
        unsigned = [x for x in f if not x.startswith('{"size"')]
    end = json.loads(unsigned[-1])
    end["heads"] = 0
    with open(path, "w") as f:
        f.writelines(unsigned[:-1] + [json.dumps(end, separators=(",", ":")) + "\n"])
    assert verify(inst, path)[0] == 0
    status, _, err = verify(inst, path, "--head", heads)
    assert status == 1 and "VCC-3754" in err and "row" in err
    # the old store again: nobody complains, and heads go on
    inst.processes["controller"].stop()
    put_back(db, db + ".kept")
    inst.processes["controller"].start()
    wait_for("the controller is ready", inst.ready)
    wait_quiet(inst, host)
    assert not any("VCC-3751" in w for w in inst_status(inst)["warnings"])


def inst_status(inst):
    try:
        return inst.status()
    except Failed as e:
        return e


def test_after_a_restore_a_person_lets_the_heads_begin_anew(place, exported):
    """The store of an hour ago: the signer refuses, and goes on when told; what the host keeps still tells of the lost rows."""
    inst, host = place
    db = database(inst)
    inst.processes["controller"].stop()
    snapshot(db, db + ".old")
    inst.processes["controller"].start()
    wait_for("the controller is ready", inst.ready)
    wait_quiet(inst, host)
    lost = kept(inst, host)["audit_heads"][0]
    inst.processes["controller"].stop()
    put_back(db, db + ".old")
    inst.processes["controller"].start()
    wait_for("the alarm", lambda: any("VCC-3751" in w for w in getattr(inst_status(inst), "get", lambda *_: [])("warnings", [])))
    size = inst.get("audit/heads?limit=1")["items"][0]["size"]
    argv = [inst.bin("vcc-signer"), "audit-restart", "--config", inst.conf("signer")]
    refused = subprocess.run(argv, capture_output=True, text=True)
    assert refused.returncode == 1 and "VCC-" in refused.stderr, "the signer runs"
    inst.processes["signer"].stop()
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    inst.processes["signer"].start()
    wait_for("heads go on", lambda: inst.get("audit/heads?limit=1")["items"][0]["size"] > size)
    path, heads = os.path.join(inst.dir, "restored.jsonl"), os.path.join(inst.dir, "lost.json")
    export(inst, path)
    with open(heads, "w") as f:
        json.dump(lost, f)
    assert verify(inst, path)[0] == 0
    status, _, err = verify(inst, path, "--head", heads)
    assert status == 1 and ("VCC-3754" in err or "VCC-3756" in err)


# ---- a long trail ----

def fill(db_path, n):
    """Appends n records with their nodes, as the store would have."""
    with contextlib.closing(sqlite3.connect(db_path)) as db:
        size, at = db.execute("SELECT max(seq) + 1, max(at) FROM audit").fetchone()
        edge = [node_in(db, level, (size >> level) - 1) if size >> level & 1 else None for level in range(40)]
        for seq in range(size, size + n):
            row = {"seq": seq, "at": at, "behind_ms": 0, "event": "target_rehearsed", "actor": "agent:filler", "object": f"filler{seq % 1000:03d}-web",
                   "renewal_id": "", "request_id": "", "reason": "daily rehearsal", "detail": '{"filler":"%0200d"}' % seq}
            db.execute("INSERT INTO audit (seq, at, behind_ms, event, actor, object, reason, detail) VALUES (?,?,?,?,?,?,?,?)",
                       [row[k] for k in ("seq", "at", "behind_ms", "event", "actor", "object", "reason", "detail")])
            value, level, index = leaf_of(row), 0, seq
            while index & 1:
                value, level, index = node(edge[level], value), level + 1, index >> 1
                if level % 4 == 0:
                    db.execute("INSERT INTO audit_nodes VALUES (?, ?)", (position(level, index), value))
            edge[level] = value
        db.commit()
    return size + n


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(x for x in f if x.startswith("VmRSS:")).split()[1])


def test_a_long_trail_is_streamed_in_bounded_memory():
    """Also to readers that are slow, or go away in the middle."""
    folder = new_folder("audit-long")
    inst = PlayedFleet(folder)
    try:
        inst.init()
        size = fill(database(inst), 200_000 if LONG else 20_000)
        inst.start_both()
        # a thousand rows are enough for a head at once
        wait_for("a head", lambda: inst.get("audit/heads?limit=1")["items"])
        assert inst.get("audit/heads?limit=1")["items"][0]["size"] >= size
        pid = inst.processes["controller"].pid
        inst.get("audit?limit=1")
        before = rss_kib(pid)
        address = urllib.parse.urlparse(inst.admin_url).netloc
        with open(os.path.join(inst.state, "admin.token")) as f:
            headers = {"Authorization": "Bearer " + f.read().strip()}
        context = ssl.create_default_context(cafile=os.path.join(inst.state, "ca.pem"))

        def begin():
            c = http.client.HTTPSConnection(address, context=context, timeout=30)
            c.request("GET", "/api/v1/audit/export", headers=headers)
            return c, c.getresponse()
        slow, answer = begin()
        assert answer.status == 200 and answer.getheader("Content-Type") == "application/x-ndjson"
        answer.read(1000)
        for _ in range(8):  # more than may run at once: those that went away do not count
            gone, other = begin()
            assert other.status == 200
            other.read(100)
            gone.close()
            wait_for("a place for another export", lambda: exports_go(begin))
        path = os.path.join(folder, "long.jsonl")
        export(inst, path)
        assert rss_kib(pid) - before < 60_000, "the trail has %d kB" % (os.path.getsize(path) // 1000)
        status, out, err = verify(inst, path)
        assert status == 0 and json.loads(out)["rows"] >= size, err
        assert json.loads(out)["unsigned"]["rows"] < 100
        found = inst.get("audit?object=filler007-web&limit=500")
        assert len(found["items"]) == size // 1000 and found["next_cursor"] is None
        slow.close()
        cut_off(inst, context, address)
    finally:
        inst.stop()
        shutil.rmtree(folder, ignore_errors=True)


def cut_off(inst, context, address):
    """Whoever loses the right in the middle gets no more of it, and sees that it is not the whole."""
    inst.vccctl("principal", "create", "reader", "--roles", "auditor")
    token = inst.vccctl("token", "create", "reader")
    c = http.client.HTTPSConnection(address, context=context, timeout=60)
    c.request("GET", "/api/v1/audit/export", headers={"Authorization": "Bearer " + token["token"]})
    answer = c.getresponse()
    assert answer.status == 200
    text = answer.read(1000)
    inst.vccctl("token", "revoke", token["token_id"])
    with pytest.raises((http.client.IncompleteRead, ConnectionError, ssl.SSLError)):
        while piece := answer.read(65536):
            text += piece
    assert b'"end":true' not in text[-200:]
    c.close()


def exports_go(begin):
    c, answer = begin()
    c.close()
    return answer.status == 200
