"""The protocols as docs/wire.md tells them: messages by name, so that a test can speak as any of the processes."""
import os
import re
import struct

import msgpack

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
ZERO = {"bytes": b"", "text": "", "boolean": False, "rows": []}


def _load():
    tables, rows, bodies = {}, {}, {}
    section, fields = None, None
    with open(os.path.join(ROOT, "docs", "wire.md")) as f:
        for line in f:
            if m := re.match(r"## (.+)", line):
                section = m[1].strip()
            elif m := re.match(r"### (?:(\d+) )?(\S+)", line):
                fields = []
                if section == "Signed bodies":
                    bodies[m[2]] = fields
                else:
                    tables.setdefault(section, {})[m[2]] = (int(m[1]), fields)
            elif m := re.match(r'Each row "([^"]+)"', line):
                fields = rows.setdefault(m[1], [])
            elif m := re.match(r"\| (\d+) \| (\S+) \| ([^|]+?) \| ([^|]*?) *\|", line):
                fields.append((int(m[1]), m[2], m[3].split()[0], m[4]))
    return tables, rows, bodies


TABLES, ROWS, BODIES = _load()


def _default(kind, limit):
    if kind == "bytes" and limit.startswith("exactly"):
        return bytes(int(limit.split()[1]))
    return ZERO.get(kind, 0)


def _pack(fields, values):
    unknown = set(values) - {name for _, name, _, _ in fields}
    assert not unknown, unknown
    out = {}
    for no, name, kind, limit in fields:
        value = values.get(name, _default(kind, limit))
        if kind == "rows":
            value = [_pack(ROWS[re.search(r'"([^"]+)"', limit)[1]], row) for row in value]
        out[no] = value
    return out


def _unpack(fields, values):
    out = {}
    for no, name, kind, limit in fields:
        out[name] = values[no]
        if kind == "rows":
            out[name] = [_unpack(ROWS[re.search(r'"([^"]+)"', limit)[1]], row) for row in values[no]]
    return out


def encode(table, name, number=0, /, **values):
    kind, fields = TABLES[table][name]
    return msgpack.packb([1, kind, number, _pack(fields, values)], use_bin_type=True)


def decode(table, frame):
    """(name, id, fields)"""
    version, kind, number, values = msgpack.unpackb(frame, raw=False, strict_map_key=False)
    assert version == 1
    for name, (k, fields) in TABLES[table].items():
        if k == kind:
            return name, number, _unpack(fields, values)
    raise ValueError(f"{table}: no message {kind}")


def body_encode(name, /, **values):
    return msgpack.packb(_pack(BODIES[name], values), use_bin_type=True)


def body_decode(name, data):
    return _unpack(BODIES[name], msgpack.unpackb(data, raw=False, strict_map_key=False))


def frame_write(stream, data):
    stream.write(struct.pack(">I", len(data)) + data)
    stream.flush()


def frame_read(stream):
    """None at the end."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    return stream.read(struct.unpack(">I", head)[0])
