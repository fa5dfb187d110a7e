"""A database as the first release kept it (schema 001): from a stored dump, or from a newer one by leaving out what came later."""
import contextlib
import glob
import os
import sqlite3

from installation import ROOT

FIXTURE = os.path.join(ROOT, "tests", "store", "first_release.sql")
APPLICATION = 1447248720
LATER = ("audit", "audit_nodes")  # records of that form had other leaves: there are none


def schema(number=None):
    """SQL of the files up to `number`; None = all."""
    files = sorted(glob.glob(os.path.join(ROOT, "controller", "store", "schema", "*.sql")))
    texts = []
    for path in files:
        if number is None or int(os.path.basename(path)[:3]) <= number:
            with open(path) as f:
                texts.append(f.read())
    return "\n".join(texts)


def numbers():
    return [int(os.path.basename(p)[:3]) for p in sorted(glob.glob(os.path.join(ROOT, "controller", "store", "schema", "*.sql")))]


def layout(db):
    """What makes up a schema, without the order in which it was made."""
    return sorted((kind, name, " ".join(sql.split())) for kind, name, sql in db.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def new(path, number):
    db = sqlite3.connect(path)
    db.executescript(f"PRAGMA application_id={APPLICATION};" + schema(number) + f";PRAGMA user_version={number};")
    return db


def stored(path):
    with contextlib.closing(new(path, 1)) as db:
        with open(FIXTURE) as f:
            db.executescript(f.read())
    os.chmod(path, 0o600)


def tables(db):
    return [t for t, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name") if not t.startswith("sqlite_")]


def columns(db, table):
    return [c[1] for c in db.execute(f"PRAGMA table_info({table})")]


def value(table, column, v):
    return int(v != "") if (table, column) == ("principals", "person") else v


def go_back(newer, path):
    """Makes the database of `newer` one of the first release at `path`."""
    with contextlib.closing(sqlite3.connect(newer)) as old, contextlib.closing(new(path, 1)) as db:
        for table in tables(db):
            if table in LATER:
                continue
            names = [c for c in columns(db, table) if c in columns(old, table)]
            quoted = ",".join(f'"{c}"' for c in names)
            for row in old.execute(f"SELECT {quoted} FROM {table}"):
                db.execute(f"INSERT INTO {table} ({quoted}) VALUES ({','.join('?' * len(names))})", [value(table, c, v) for c, v in zip(names, row)])
        db.commit()
    os.chmod(path, 0o600)


def rows(path):
    """{table: [row as {column: value}]} of the tables of the first release."""
    with contextlib.closing(sqlite3.connect(":memory:")) as first, contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        first.executescript(schema(1))
        return {t: [dict(zip(columns(db, t), r)) for r in db.execute(f"SELECT * FROM {t} ORDER BY 1, 2")] for t in tables(first) if t not in LATER}
