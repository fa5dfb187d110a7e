#!/usr/bin/python3
"""Writes the seeds of the fuzz targets that read text or PEM below tests/fuzz/corpus; those of frames and records come from build/tests/tool_corpus.

usage: tests/fuzz/seeds.py"""
import base64
import glob
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
CORPUS = os.path.join(ROOT, "tests", "fuzz", "corpus")


def put(target, name, data):
    folder = os.path.join(CORPUS, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def shipped(pattern):
    for path in sorted(glob.glob(os.path.join(ROOT, pattern))):
        with open(path, "rb") as f:
            yield os.path.basename(path), f.read()


def token(prefix, body):
    body += struct.pack(">I", zlib.crc32(prefix + body))
    return prefix + base64.urlsafe_b64encode(body).rstrip(b"=")


def tokens():
    seed = bytes(range(32))
    put("fuzz_token", "pat", b"\0" + token(b"vcc_pat_", seed))
    put("fuzz_token", "join", b"\1" + token(b"vcc_join_", seed + b"clara01"))
    put("fuzz_token", "make", b"\2" + seed + b"clara01.site")


def selectors():
    for kind, value in enumerate((b"", b"argus", b"vpb_service", b"clara01", b"*.argus.internal", b"")):
        put("fuzz_selector", f"selector-{kind}", bytes((0, kind)) + value)
    put("fuzz_selector", "name", b"\1\0*.clara01.example.net")
    put("fuzz_selector", "address", b"\1\1xn--bcher-kva.example")
    put("fuzz_selector", "windows", b"\2\0Mon-Fri 22:00-04:00 Europe/Berlin, * 03:00-04:00 UTC")
    put("fuzz_selector", "search", b"\3\0clara 0A:1B web")


def templates():
    for name, data in shipped("packaging/templates/*.json"):
        put("fuzz_template", name, json.dumps(json.loads(data)).encode())


def notices():
    for name, data in shipped("packaging/notify/*.json"):
        put("fuzz_notice", name, struct.pack(">H", len(data)) + data + b'a "value" \\ with\nall of it \xc3\xa4 {{title}}')
    behind = b'{"body": "{{title}}\\nn\\{{text}}"}'
    put("fuzz_notice", "backslash", struct.pack(">H", len(behind)) + behind + b'a "value" \\')
    put("fuzz_notice", "value", struct.pack(">H", 0) + b'\x01\x7f"\\{{text}}\xff')


def settings():
    put("fuzz_conf", "target", b"[target]\nname = web\nservice = argus\nnames = clara01.example.net, 192.0.2.1\n\n[files]\nfolder = /etc/ssl/web\n"
                               b"owner = root\ngroup = ssl-cert\nmode = 0640\n\n[reload]\nkind = exec\ncommand = /usr/sbin/nginx -s reload\n\n"
                               b"[verify]\nkind = tls\nconnect = 127.0.0.1:443\n")
    for name, data in shipped("packaging/etc/vcc-agent/*.conf"):
        put("fuzz_conf", name, data)


EXPORT = [
    {"vcc_audit_export": 1, "from": 0, "frontier": []},
    {"issuer": "agent-1", "certificate": "AA"},
    {"person": "person:" + "A" * 40, "name": "erika", "salt": "00"},
    {"seq": 0, "at": 1800000000000, "behind_ms": 0, "event": "token_created", "actor": "person:" + "A" * 40, "object": 'a"b\n', "renewal_id": "",
     "request_id": "", "reason": "", "detail": '{"label":"x\\n"}'},
    {"seq": 1, "at": 1800000000500, "behind_ms": 3, "event": "break_glass_access", "actor": "local:uid-0", "object": "", "renewal_id": "",
     "request_id": "", "reason": "why", "detail": ""},
    {"size": 2, "root": "00", "at": 1, "issuer": "agent-1", "signature": "AA"},
    {"end": True, "rows": 2, "heads": 1, "persons": 1, "receipts": 0},
]


def exports():
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in EXPORT).encode()
    put("fuzz_siem", "json", b"\0\x07" + text)
    put("fuzz_siem", "syslog", b"\1\x40" + text)


def metrics():
    for metric in range(0, 72, 6):
        put("fuzz_metric", f"metric-{metric}", bytes((metric, metric // 6 % 2)) + b'a "b" \\ c\nd\0argus\0\xc3\xa4\0n\\n\0')


def openssl(folder, *argv):
    subprocess.run(["openssl", *argv], cwd=folder, check=True, capture_output=True)


def certificates():
    with tempfile.TemporaryDirectory() as folder:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "9000", "-subj", "/CN=root", "-addext",
                "nameConstraints=permitted;DNS:example.net")
        openssl(folder, "req", *key, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=clara01.example.net", "-addext",
                "subjectAltName=DNS:clara01.example.net,IP:192.0.2.1,URI:spiffe://vcc.internal/agent/clara01")
        openssl(folder, "x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-out", "leaf.pem", "-days", "8000", "-copy_extensions",
                "copy")
        openssl(folder, "req", "-in", "leaf.csr", "-outform", "DER", "-out", "leaf.der")
        read = {name: open(os.path.join(folder, name), "rb").read() for name in ("ca.pem", "leaf.pem", "leaf.der")}
    put("fuzz_pem", "one", read["ca.pem"])
    put("fuzz_pem", "chain", read["leaf.pem"] + read["ca.pem"])
    put("fuzz_pem", "text-between", b"leaf\r\n" + read["leaf.pem"].replace(b"\n", b"\r\n") + b"\n" + read["ca.pem"])
    put("fuzz_csr", "whole", b"\0" + read["leaf.der"])
    for part, data in ((1, b"\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x03\x0c\x04host"), (3, b"\xa0\x00")):
        put("fuzz_csr", f"part-{part}", bytes((part,)) + data)


def facts():
    for n in range(4):
        put("fuzz_tbs", f"facts-{n}", bytes((n * 37 + i * 11) % 256 for i in range(120)) + b"clara01.example.net,192.0.2.1\0argus")


def requests():
    head = b"Host: 127.0.0.1\r\nUser-Agent: curl/7.88.1\r\nAccept: application/json\r\n"
    for listener in (0, 1):
        start = bytes((listener,))
        put("fuzz_http", f"get-{listener}", start + b"GET /api/v1/certificates?limit=5&q=a%20b HTTP/1.1\r\n" + head + b"If-None-Match: \"x\"\r\n\r\n")
        put("fuzz_http", f"post-{listener}", start + b"POST /api/v1/campaigns HTTP/1.1\r\n" + head + b"Authorization: Bearer vcc_pat_x\r\nIdempotency-Key: 1\r\n"
            b"Prefer: wait=5\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"host\":\"a\"}\n")
        put("fuzz_http", f"two-{listener}", start + 2 * (b"HEAD /healthz HTTP/1.1\r\n" + head + b"\r\n"))
        put("fuzz_http", f"more-{listener}", start + b"HEAD /healthz HTTP/1.1\r\n" + head + b"\r\nHEAD /healthz HTTP/1.1\r\n" + head + b"Content-Length: 2\r\n\r\n{}more")
        put("fuzz_http", f"chunked-{listener}", start + b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        put("fuzz_http", f"expect-{listener}", start + b"PATCH /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}")
        put("fuzz_http", f"old-{listener}", start + b"GET /crl/a.crl HTTP/1.0\r\nIf-Modified-Since: Sat, 28 Nov 2026 00:00:00 GMT\r\n\r\n")


def packs():
    """A pack of one certificate, made by a controller with one played host."""
    sys.path[:0] = [os.path.join(ROOT, "tests", "lib"), os.path.join(ROOT, "tests")]
    from conftest import new_folder
    from installation import wait_for
    from played_fleet import PlayedFleet
    folder = new_folder("seeds")
    fleet = PlayedFleet(folder, settings={"controller.limits.audit_head_interval": "300ms"})
    try:
        fleet.init()
        fleet.start_both()
        fleet.host(fleet.gateway(), "a").target("a-web", "clara", "clara_service_auth", "DNS:a.clara.vcc.internal")
        fleet.wait_done("a-web")
        wait_for("a head covers it", lambda: fleet.get("audit/heads?limit=1")["items"][0]["size"] > fleet.get("audit?limit=1")["items"][0]["seq"])
        root = subprocess.run(["openssl", "x509", "-in", os.path.join(fleet.state, "ca.pem"), "-outform", "DER"], check=True, capture_output=True).stdout
        pack = json.dumps(fleet.get("reports/evidence?certificate=a-web"), separators=(",", ":")).encode()
        put("fuzz_evidence", "certificate", struct.pack(">H", len(root)) + root + pack)
    finally:
        fleet.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    for name in ("token", "selector", "template", "notice", "conf", "siem", "metric", "pem", "csr", "tbs", "http", "evidence"):
        shutil.rmtree(os.path.join(CORPUS, f"fuzz_{name}"), ignore_errors=True)
    for make in (tokens, selectors, templates, notices, settings, exports, metrics, certificates, facts, requests, packs):
        make()


main()
