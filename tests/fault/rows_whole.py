"""F04 seen from the controller: a whole installation, whose one host runs out of space."""
import os
import shutil
import time

import checks
import invariants
import mounts
from installation import Installation, wait_for
from keeper_host import temporary

RETRY_SOON = 330  # seconds: five minutes and a tenth of them


def no_attempt_is_lost(scene):
    """A host without space is none of the target's attempts: tried again in five minutes, not in an hour or a day; a person may say now."""
    folder = temporary()
    target = os.path.join(folder, "hosts", "clara01", "service", "tls")
    mounts.tmpfs(target, size="256k")
    inst = Installation(folder)
    scene.later(lambda: (inst.stop(), mounts.clear(folder), shutil.rmtree(folder, ignore_errors=True)))
    inst.init()
    inst.start()
    host = inst.add_nginx()
    inst.wait_served(host)
    world = invariants.InstallationWorld(inst, host)
    scene.look_at(world)
    before = checks.served_is_issued(inst, host)
    with mounts.Filled(target):
        order = inst.vccctl("cert", "renew", host.cert_id, "--force")["renewal_id"]

        def phase():
            return checks.rows(world.db, "SELECT phase, attempt, failures, next_at, code, cause FROM orders ORDER BY rowid DESC LIMIT 1")[0]
        found = wait_for("it waits for another try", lambda: phase() if phase()[0] == "retry_wait" else None)
        _, attempt, failures, next_at, code, cause = found
        assert attempt == 1 and failures == 0 and next_at - time.time() * 1000 < RETRY_SOON * 1000 + 1000, found
        world.errors.append((code, cause, target, "no space"))
        assert checks.served_is_issued(inst, host) == before
        shown = inst.renewal(order)
        assert "no space" in str(shown), shown
    inst.vccctl("cert", "renew", host.cert_id, "--force")
    inst.wait_renewed(host, before)
