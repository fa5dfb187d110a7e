"""A played fleet of several services, asked by the API as several principals: for tests of campaigns."""
import json
import os
import shutil
import subprocess

import checks
from fake_gateway import FakeHost
from installation import wait_for
from played_fleet import PlayedFleet
from rights_estate import Api

LIFE = "/api/v1/certificates/lifecycle"
SERVICES = {"clara": "clara_service_auth", "vpb": "vpb_service", "covina": "covina_orchestrator"}


class CampaignFleet(PlayedFleet):
    """Hosts of several services, all played, and the API as several principals."""

    def begin(self):
        self.init()
        self.start_both()
        self.gateway()
        self.admin = Api(self, open(os.path.join(self.state, "admin.token")).read().strip())
        self.approver = Api(self, open(os.path.join(self.state, "approver.token")).read().strip())
        return self

    def host_of(self, name, service="clara"):
        host = FakeHost(name)
        names = f"{name}.{service}.vcc.internal"
        invite = self.vccctl("agent", "invite", name, "--service", service, "--names", f"{names},{service}.vcc.internal")
        assert host.join(self.gateways[0], invite)["code"] == 0
        self.gateways[0].up(host)
        host.wait("welcome", lambda: host.welcomes)
        host.target(f"{name}-web", service, SERVICES[service], "DNS:covina.vcc.internal" if service == "covina" else f"DNS:{names}")
        self.wait_done(f"{name}-web")
        return host

    def again(self, host):
        """The host connects anew: what was sent meanwhile comes again."""
        host.gateway.down(host.session)
        host.gateway.up(host)

    def post(self, path, body, as_=None):
        return (as_ or self.admin)("POST", path, body)

    def bulk(self, **body):
        return self.post(f"{LIFE}/bulk-renewal", body)

    def emergency(self, as_=None, wait=None, **body):
        """(status, answer) of an emergency; `wait`: seconds of Prefer."""
        body = {"incident_id": "INC-1", "reason": "a test", **body}
        api = as_ or self.admin
        if wait is not None:
            api.headers["Prefer"] = f"wait={wait}"
        try:
            return api("POST", f"{LIFE}/emergency-recertification", body)
        finally:
            api.headers.pop("Prefer", None)

    def approve(self, campaign_id, verb="approve", comment=""):
        """The second person's word about a campaign."""
        a = next(a for a in self.approver.get("approvals")["items"] if a["object"] == campaign_id)
        return self.post(f"/api/v1/approvals/{a['approval_id']}/{verb}", {"hash": a["hash"], "comment": comment}, self.approver)

    def campaign(self, campaign_id):
        return self.admin.get(f"campaigns/{campaign_id}")

    def members(self, campaign_id, **args):
        query = "&".join(f"{k}={v}" for k, v in args.items())
        return self.admin.get(f"campaigns/{campaign_id}/members?limit=500&{query}")["items"]

    def wait_state(self, campaign_id, *states):
        return wait_for(f"the campaign is {states}", lambda: (c := self.campaign(campaign_id))["status"] in states and c, 60, 0.1)

    def rows(self, sql, *values):
        return checks.rows(self.facts_db(), sql, *values)

    def audited(self, event, campaign_id):
        return [json.loads(d) for d, in self.rows("SELECT detail FROM audit WHERE event = ? AND object = ? ORDER BY seq", event, campaign_id)]

    def cli(self, *words, token="admin", stdin=subprocess.DEVNULL):
        argv = [w if not w.endswith("admin.token") else w.replace("admin.token", f"{token}.token") for w in self.vccctl_argv]
        return subprocess.run([*argv, *words], capture_output=True, text=True, stdin=stdin)

    def end(self):
        for g in self.gateways:
            g.close()
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


def refused(answer, status, code):
    assert answer[0] == status and answer[1]["code"] == code, answer
    return answer[1]
