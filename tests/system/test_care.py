"""Seen from the controller: what a host does for its targets between orders is stored, shown and audited; a group of places is one certificate."""
import json
import os
import shutil
import subprocess
import time

import checks
import pytest
from conftest import new_folder
from installation import ROOT, Installation, connects, current_group, current_user, free_port, wait_for, write


@pytest.fixture(scope="module")
def world():
    path = new_folder("care")
    inst = Installation(path)
    try:
        inst.init()
        inst.start()
        host = inst.add_echo(0)
        inst.wait_served(host)
        yield inst, host
    finally:
        inst.stop()
        shutil.rmtree(path, ignore_errors=True)


def target(inst, name):
    return inst.target(name)


def audited(inst, event):
    return [json.loads(row[0]) for row in checks.rows(inst.facts()["controller"]["db"], "SELECT detail FROM audit WHERE event = ? ORDER BY seq", event)]


def test_a_change_of_a_file_is_audited_repaired_and_shown(world):
    inst, host = world
    served = checks.served_is_issued(inst, host)
    before = open(f"{host.target_dir}/current/cert.pem").read()
    os.truncate(f"{host.target_dir}/current/cert.pem", 0)
    wait_for("repaired", lambda: os.path.exists(f"{host.target_dir}/current/cert.pem") and open(f"{host.target_dir}/current/cert.pem").read() == before, 10, 0.01)
    wait_for("the receipt is stored", lambda: target(inst, host.cert_id)["cared_at"], 20)
    shown = target(inst, host.cert_id)
    assert shown["changes"] == 1 and shown["changed_at"] and shown["error"] is None and shown["stale_since"] is None
    assert audited(inst, "target_changed_by_somebody")[0]["file"] == "cert.pem"
    assert audited(inst, "target_repaired")[0]["reason"] == "repair"
    assert checks.served_is_issued(inst, host) == served


def test_trust_is_told_with_its_proof(world):
    inst, host = world
    shown = target(inst, host.cert_id)
    assert shown["trust_epoch"] == 1 and shown["trust_proof"] == "reloaded"


def second_place(host, stem):
    folder, port, pidfile = os.path.join(host.dir, "service", stem), free_port(), os.path.join(host.dir, "service", f"{stem}.pid")
    shutil.copytree(os.path.join(host.target_dir, "before"), os.path.join(folder, "before"))
    os.symlink("before", os.path.join(folder, "current"))
    host.process(stem, ["/usr/bin/python3", os.path.join(ROOT, "tests", "lib", "echo_service.py"), f"127.0.0.1:{port}", folder, pidfile]).start()
    wait_for(f"{stem} listens", lambda: connects("127.0.0.1", port))
    write(os.path.join(host.dir, "targets.d", f"{stem}.conf"),
          f"[target]\ncert_id = {host.cert_id}\nservice = {host.service}\ntemplate = {host.template}\nnames = {', '.join(host.names)}\ndir = {folder}\n"
          f"[files]\nowner = {current_user()}\ngroup = {current_group()}\n[reload]\nkind = signal\npidfile = {pidfile}\n"
          f"[verify]\nconnect = 127.0.0.1:{port}\nsni = {host.names[0]}\n")
    return port


def test_a_group_is_one_certificate_with_several_targets(world):
    """The new place gets the certificate in use without an order; the next order is for both; one that leaves ends alone."""
    from handshakes import handshake
    inst, host = world
    orders = len(inst.certificate(host.cert_id)["renewals"])
    port = second_place(host, "api")
    name = f"{host.cert_id}:api"
    for p in ("keeper",):  # a folder of its own outside the keeper's: what is locked in stays locked
        host.processes[p].stop()
        host.processes[p].start()
    issued = inst.certificate(host.cert_id)["fingerprint"]
    wait_for("the new place serves it, too", lambda: handshake("127.0.0.1", port, host.names[0]) == issued, 60)
    wait_for("two targets", lambda: len(inst.certificate(host.cert_id)["targets"]) == 2, 20)
    assert len(inst.certificate(host.cert_id)["renewals"]) == orders, "no order was needed"
    assert target(inst, name)["file"] == "api"

    inst.vccctl("cert", "renew", host.cert_id, "--force")
    inst.wait_renewed(host, issued)
    issued = inst.certificate(host.cert_id)["fingerprint"]
    assert handshake("127.0.0.1", port, host.names[0]) == issued == checks.served_is_issued(inst, host)
    human = subprocess.run([*inst.vccctl_argv, "cert", "show", host.cert_id], capture_output=True, text=True).stdout
    assert name in human and f"{host.cert_id} " in human

    os.unlink(os.path.join(host.dir, "targets.d", "api.conf"))
    wait_for("one target", lambda: len(inst.certificate(host.cert_id)["targets"]) == 1, 20)
    shown = inst.certificate(host.cert_id)
    assert shown["retired_at"] is None and shown["status"] == "active"
    time.sleep(0.5)
    inst.vccctl("cert", "renew", host.cert_id, "--force")
    inst.wait_renewed(host, issued)
