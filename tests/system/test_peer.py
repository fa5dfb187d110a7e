"""Peer proof: a relying party's agent looks from its own host at what a renewed certificate is served by, and a campaign waits for what it says. A wrong
virtual host, an old worker and a missing intermediate are found from outside, though the host's own listeners are right; who is away is named; a host
looks at nothing but what its owner has declared."""
import json
import os
import shutil
import subprocess
import time

import pytest
from conftest import new_folder
from installation import NGINX, Installation, connects, free_port, nginx, run, wait_for, write

LIFE = "/api/v1/certificates/lifecycle"
OUTER = {
    "right": "server {{ listen 127.0.0.1:{door} ssl; server_name {name}; ssl_certificate {tls}/current/fullchain.pem; ssl_certificate_key {tls}/current/key.pem; }}",
    "leaf alone": "server {{ listen 127.0.0.1:{door} ssl; server_name {name}; ssl_certificate {tls}/current/cert.pem; ssl_certificate_key {tls}/current/key.pem; }}",
    "other virtual host": "server {{ listen 127.0.0.1:{door} ssl default_server; server_name _; ssl_certificate {base}/other.pem; ssl_certificate_key {base}/other.key; }}\n"
                          "server {{ listen 127.0.0.1:{door} ssl; server_name elsewhere.{name}; ssl_certificate {tls}/current/fullchain.pem; "
                          "ssl_certificate_key {tls}/current/key.pem; }}",
    "closed": "",
}
HAPROXY = """defaults
    mode tcp
    timeout connect 2s
    timeout client 5s
    timeout server 5s
frontend door
    bind 127.0.0.1:{door}
    default_backend workers
backend workers
    balance roundrobin
    server new 127.0.0.1:{new}
    server old 127.0.0.1:{old}
"""


class Site:
    """clara01 is served by nginx, with a door to the outside of its own; covina's services go through it, and argus says that its do."""

    def __init__(self, folder, binaries=None, settings=None):
        self.inst = Installation(folder, {"controller.bulk.peer_wait": "60s", "controller.supersede.grace": "1h", "controller.bulk.pause": "0s", **(settings or {})},
                                 binaries=binaries)
        self.inst.init()
        self.inst.start()
        self.host = self.inst.prepare_nginx()
        self.door = free_port()
        self.base = os.path.join(self.host.dir, "service")
        self.name = self.host.names[0]
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=another.example",
             "-keyout", f"{self.base}/other.key", "-out", f"{self.base}/other.pem"])
        self.outside("right", reload=False)
        text = NGINX.format(base=self.base, port=self.host.port, second=self.host.second, name=self.name, tls=self.host.target_dir,
                            user="" if os.geteuid() else "user www-data;\n")
        write(f"{self.base}/nginx.conf", text.rstrip().removesuffix("}") + f"    include {self.base}/outer.conf;\n}}\n")
        self.host.enrol()
        self.database = self.inst.add_service("postgresql")
        self.peer, self.stranger = self.inst.prepare_echo(1), self.inst.prepare_echo(2)
        place = f"{self.host.cert_id} 127.0.0.1:{self.door} {self.name}"
        self.peer.enrol({"agent.peer.relies": f"{place}, {self.database.cert_id} {self.database.address} {self.database.names[0]} postgresql"})
        self.stranger.enrol({"agent.peer.relies": place})
        for host in self.inst.hosts:
            self.inst.wait_served(host)
        self.reload()
        self.depend("clara", self.database.service)

    def depend(self, *services):
        path = os.path.join(self.inst.dir, "covina.json")
        write(path, json.dumps({"name": "covina", "depends_on": list(services)}))
        run([*self.inst.vccctl_argv, "service", "apply", path])

    def outside(self, kind, reload=True):
        write(f"{self.base}/outer.conf", OUTER[kind].format(door=self.door, name=self.name, tls=self.host.target_dir, base=self.base) + "\n")
        if reload:
            self.reload()

    def reload(self):
        """Until the old workers are gone: they would still answer."""
        pid = int(open(f"{self.base}/nginx.pid").read())
        before = set(children(pid))
        run([nginx(), "-p", self.base, "-c", f"{self.base}/nginx.conf", "-s", "reload"])
        wait_for("the workers are new", lambda: (now := set(children(pid))) and not now & before, 30)

    def cert(self):
        return self.inst.certificate(self.host.cert_id)

    def says(self, agent):
        return {p["agent"]: p for p in self.cert()["relying_parties"]}.get(agent.name)

    def campaign(self, *words, end=True):
        """An applied campaign over the service, at its end; what `campaign show` says."""
        done = self.cli("service", "renew-all", "clara", "--peer-proof", "--yes", *words)
        assert done.returncode == 0, done.stderr
        campaign_id = json.loads(done.stdout)["campaign_id"]
        if end:
            wait_for("the campaign ends", lambda: self.shown(campaign_id)["completed_at"], 120, 0.2)
        return self.shown(campaign_id)

    def shown(self, campaign_id):
        return self.inst.get(f"campaigns/{campaign_id}")

    def renewal(self, campaign):
        members = self.inst.get(f"campaigns/{campaign['campaign_id']}/members")["items"]
        return self.inst.renewal(next(m["renewal_id"] for m in members if m["cert_id"] == self.host.cert_id))

    def cli(self, *words):
        return subprocess.run([*self.inst.vccctl_argv, *words, "-o", "json"], capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL)


def children(pid):
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return done.stdout.split()


@pytest.fixture(scope="module")
def site():
    folder = new_folder("peer")
    s = None
    try:
        s = Site(folder)
        wait_for("both have told", lambda: s.says(s.peer) and s.says(s.stranger), 30)
        yield s
    finally:
        if s is not None:
            s.inst.stop()
        shutil.rmtree(folder, ignore_errors=True)


def refused(site, code):
    """The campaign failed by this code, the host serves what it did before, and the relying party's word stands beside it."""
    before = site.cert()["fingerprint"]
    campaign = site.campaign()
    renewal = site.renewal(campaign)
    wait_for("the host has gone back", lambda: site.renewal(campaign)["status"] == "rolled_back", 60, 0.2)
    assert campaign["status"] == "completed_with_failures" and campaign["failed_count"] == 1, campaign
    assert campaign["failed_renewals"][0]["code"] == code and site.peer.name in campaign["failed_renewals"][0]["error"]
    renewal = site.renewal(campaign)
    assert "peer_refused" in renewal["flags"] and renewal["error"]["code"] == code and renewal["error"]["next"]
    says = renewal["relying_parties"][0]
    assert says["agent"] == site.peer.name and says["proved"] is False and says["code"] == code and says["handshakes"] == 20, says
    assert says["wanted_fingerprint"] == renewal["new_certificate"]["fingerprint"]
    assert site.cert()["fingerprint"] == before and renewal["new_certificate"]["status"] == "revoked"
    return says


def test_who_counts(site):
    """A host of a service that depends on this one does; what another says of itself changes nothing."""
    assert site.says(site.peer)["counts"] and not site.says(site.stranger)["counts"]
    assert site.says(site.peer)["address"] == f"127.0.0.1:{site.door}" and site.says(site.peer)["proved"] is None
    assert "relying_party_declared" in [r["event"] for r in site.inst.get(f"audit?object={site.peer.name}")["items"]]


def test_right(site):
    before = site.cert()["fingerprint"]
    campaign = site.campaign()
    renewal = site.renewal(campaign)
    assert campaign["status"] == "completed" and campaign["peer_proof"] and campaign["peer_unproved_count"] == 0, campaign
    assert renewal["flags"] == ["peer_proof"] or set(renewal["flags"]) == {"peer_proof", "staged"}, renewal["flags"]
    assert site.cert()["fingerprint"] != before
    says = site.says(site.peer)
    assert says["proved"] and says["seen_fingerprint"] == site.cert()["fingerprint"] and says["renewal_id"] == renewal["renewal_id"]
    assert (says["handshakes"], says["handshakes_failed"], says["code"]) == (20, 0, None) and says["trust_epoch"] >= 1
    assert site.says(site.stranger)["proved"] is None, "who does not count is not asked"
    assert "relying_parties_proved" in [r["event"] for r in site.inst.get(f"audit?renewal_id={renewal['renewal_id']}")["items"]]


def said(site, *words):
    done = subprocess.run([*site.inst.vccctl_argv, *words], capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def test_of_one_renewal(site):
    """`cert renew --peer-proof` is what a campaign of one would be; an order that was made without the demand does not pass for it."""
    code, text = said(site, "cert", "renew", site.host.cert_id, "--force", "--peer-proof", "--watch")
    assert code == 0 and "seen by all 1 that rely on it" in text, text
    cert, says = site.cert(), site.says(site.peer)
    renewal = site.inst.get(f"certificates/{site.host.cert_id}")["renewals"][0]
    assert "peer_proof" in renewal["flags"] and "peer_unproved" not in renewal["flags"] and renewal["campaign_id"] is None
    assert says["proved"] and says["seen_fingerprint"] == cert["fingerprint"] and says["renewal_id"] == renewal["renewal_id"]

    shown = json.loads(site.cli("service", "show", "clara").stdout)["peer_proof"]
    assert shown == {"relied_on_count": 1, "proved_count": 1, "refused_count": 0, "relying_agents": [site.peer.name]}, shown
    path = os.path.join(site.inst.dir, "clara.json")
    write(path, site.cli("service", "show", "clara").stdout)
    assert site.cli("service", "apply", path, "--dry-run").returncode == 0, "what is shown can be given back"

    site.outside("other virtual host")
    try:
        before = site.cert()["fingerprint"]
        code, text = said(site, "cert", "renew", site.host.cert_id, "--force", "--peer-proof", "--watch")
        assert code == 1 and "VCC-2042" in text and site.peer.name in text, text
        assert site.cert()["fingerprint"] == before
        assert json.loads(site.cli("cert", "proof", site.host.cert_id).stdout)
        shown = json.loads(site.cli("service", "show", "clara").stdout)["peer_proof"]
        assert (shown["proved_count"], shown["refused_count"]) == (0, 1), shown
    finally:
        site.outside("right")


def test_a_demand_is_not_lost_on_an_order_that_waits(site):
    agent = site.host.processes["agent"]
    agent.stop()
    wait_for("it is away", lambda: not site.inst.get(f"agents/{site.host.name}")["connected"], 60, 0.2)
    try:
        assert site.cli("cert", "renew", site.host.cert_id, "--force").returncode == 0
        code, text = said(site, "cert", "renew", site.host.cert_id, "--now", "--peer-proof")
        assert code == 1 and "VCC-3001" in text, text
        site.cli("cert", "cancel", site.host.cert_id)
    finally:
        agent.start()
        wait_for("it is back", lambda: site.inst.get(f"agents/{site.host.name}")["connected"], 60, 0.2)


def test_a_campaign_says_how_many_were_seen(site):
    code, text = said(site, "service", "renew-all", "clara", "--peer-proof", "--yes", "--watch")
    assert code == 0 and "relying parties have seen 1 of 1" in text, text


def test_without_the_demand_nobody_is_asked(site):
    before = site.says(site.peer)["judged_at"]
    done = site.cli("service", "renew-all", "clara", "--yes", "--watch")
    assert done.returncode == 0, done.stderr
    assert site.says(site.peer)["judged_at"] == before


def test_a_wrong_virtual_host(site):
    site.outside("other virtual host")
    try:
        says = refused(site, "VCC-2042")
        assert "another.example" in says["error"] and says["seen_fingerprint"] != says["wanted_fingerprint"]
        assert says["error"].startswith("20 of 20")
    finally:
        site.outside("right")


def test_a_missing_intermediate(site):
    """nginx hands out the leaf alone on its outer listener. The host's own listeners are whole; the roots that covina's services hold do not suffice."""
    site.outside("leaf alone")
    try:
        says = refused(site, "VCC-2043")
        assert says["seen_fingerprint"] == says["wanted_fingerprint"], "it is the right certificate"
        assert "issuer" in says["error"], says["error"]
    finally:
        site.outside("right")


def test_an_old_worker(site):
    """Behind a balancer an old server still has the certificate before: only some of the handshakes show it."""
    site.outside("closed")
    old = os.path.join(site.inst.dir, "old")
    shutil.copytree(os.path.realpath(os.path.join(site.host.target_dir, "current")), os.path.join(old, "tls", "current"))
    os.makedirs(f"{old}/logs")
    port, second = free_port(), free_port()
    write(f"{old}/nginx.conf", NGINX.format(base=old, port=port, second=f"127.0.0.1:{second}", name=site.name, tls=f"{old}/tls",
                                            user="" if os.geteuid() else "user www-data;\n"))
    write(f"{old}/haproxy.cfg", HAPROXY.format(door=site.door, new=site.host.port, old=port))
    started = [site.inst.process("old-nginx", [nginx(), "-p", old, "-c", f"{old}/nginx.conf", "-g", "daemon off;"]),
               site.inst.process("door", ["/usr/sbin/haproxy", "-db", "-f", f"{old}/haproxy.cfg"])]
    try:
        for p in started:
            p.start()
        wait_for("both listen", lambda: connects("127.0.0.1", port) and connects("127.0.0.1", site.door))
        says = refused(site, "VCC-2041")
        assert 0 < says["handshakes_failed"] < 20, "some of them showed the new one"
    finally:
        for p in started:
            p.stop()
        site.outside("right")


def test_on_demand(site):
    """`vccctl cert proof`: the same look without a renewal; exit code 6 when not all have seen it."""
    done = site.cli("cert", "proof", site.host.cert_id)
    assert done.returncode == 0, done.stdout + done.stderr
    row = {p["agent"]: p for p in json.loads(done.stdout)}[site.peer.name]
    assert row["proved"] and row["renewal_id"] is None
    site.outside("closed")
    try:
        done = site.cli("cert", "proof", site.host.cert_id)
        assert done.returncode == 6
        row = {p["agent"]: p for p in json.loads(done.stdout)}[site.peer.name]
        assert row["code"] == "VCC-2040" and row["seen_fingerprint"] is None and row["error"].startswith("20 of 20")
    finally:
        site.outside("right")
    table = subprocess.run([*site.inst.vccctl_argv, "cert", "show", site.host.cert_id], capture_output=True, text=True).stdout
    assert "RELYING PARTY" in table and site.peer.name in table


def test_a_database(site):
    """TLS begins after a few bytes in the clear."""
    done = site.cli("cert", "proof", site.database.cert_id)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [(p["agent"], p["handshakes"], p["handshakes_failed"]) for p in json.loads(done.stdout)] == [(site.peer.name, 20, 0)]


def test_nobody_relies_on_it(site):
    done = site.cli("cert", "proof", site.peer.cert_id)
    assert done.returncode == 1 and "VCC-2047" in done.stderr, done.stderr
    done = site.cli("service", "renew-all", "covina", "--peer-proof", "--yes", "--watch")
    assert done.returncode == 0, done.stderr
    campaign = next(c for c in site.inst.get("campaigns")["items"] if c["selector"] == "service covina")
    assert campaign["status"] == "completed" and campaign["peer_unproved_count"] == campaign["successful_count"] == 1, campaign
    member = site.inst.get(f"campaigns/{campaign['campaign_id']}/members")["items"][0]
    assert member["state"] == "done" and member["code"] == "VCC-2047"
    assert "peer_unproved" in site.inst.renewal(member["renewal_id"])["flags"]


def test_one_that_is_away(site):
    """Waited for, then the campaign goes on without, and names it. One that comes back in time is asked then."""
    agent = site.peer.processes["agent"]
    agent.stop()
    wait_for("it is away", lambda: not site.inst.get(f"agents/{site.peer.name}")["connected"], 60, 0.2)
    campaign = site.campaign(end=False)
    wait_for("it is waited for", lambda: site.renewal(site.shown(campaign["campaign_id"]))["phase"] == "settled", 60, 0.2)
    assert not site.shown(campaign["campaign_id"])["completed_at"]
    agent.start()
    wait_for("it is through", lambda: site.shown(campaign["campaign_id"])["completed_at"], 60, 0.2)
    assert site.shown(campaign["campaign_id"])["peer_unproved_count"] == 0

    agent.stop()
    short_wait(site, "2s")
    try:
        campaign = site.campaign()
        assert campaign["status"] == "completed" and campaign["peer_unproved_count"] == 1, campaign
        renewal = site.renewal(campaign)
        assert "peer_unproved" in renewal["flags"] and renewal["error"]["code"] == "VCC-2046" and site.peer.name in renewal["error"]["message"]
        member = site.inst.get(f"campaigns/{campaign['campaign_id']}/members")["items"][0]
        assert member["state"] == "done" and member["code"] == "VCC-2046"
    finally:
        short_wait(site, "60s")
        agent.start()
        wait_for("it is back", lambda: site.inst.get(f"agents/{site.peer.name}")["connected"], 60, 0.2)


def short_wait(site, wait):
    site.inst.settings["controller.bulk.peer_wait"] = wait
    site.inst.drop_in("controller", site.inst.conf("controller"))
    controller = site.inst.processes["controller"]
    controller.stop()
    controller.start()
    wait_for("the controller is ready", site.inst.ready)
    wait_for("the hosts are back", lambda: site.inst.get(f"agents/{site.host.name}")["connected"], 60, 0.2)


def test_the_plan_names_it(site):
    """What was planned with the demand is not applied without."""
    plans = [json.loads(site.cli("bulk", "plan", "--pattern", "*.clara.vcc.internal", *more).stdout) for more in ((), ("--peer-proof",))]
    assert plans[0]["plan"]["peer_proof"] is False and plans[1]["plan"]["peer_proof"] is True
    assert plans[0]["plan_hash"] != plans[1]["plan_hash"]
    done = site.cli("bulk", "apply", "--pattern", "*.clara.vcc.internal", "--plan-hash", plans[1]["plan_hash"], "--yes")
    assert done.returncode == 8, done.stderr


def test_what_is_no_longer_declared_counts_no_more(site):
    conf = f"{site.stranger.config}.d/50-settings.conf"
    text = open(conf).read()
    write(conf, "\n".join(line for line in text.splitlines() if not line.startswith("relies")) + "\n")
    for name in ("agent", "keeper"):
        site.stranger.processes[name].stop()
    for name in ("keeper", "agent"):
        site.stranger.processes[name].start()
    wait_for("it has told", lambda: site.says(site.stranger) is None, 60, 0.2)
    assert site.says(site.peer) is not None


def test_bad_settings(site):
    for value in ("clara01-web 127.0.0.1:1", "clara01-web nowhere name", "clara01-web 127.0.0.1:1 a.b c", "a 127.0.0.1:1 x.y, a 127.0.0.1:2 x.y",
                  "-x 127.0.0.1:1 a.b", ", ".join(f"c{i} 127.0.0.1:1 a.b" for i in range(17))):
        path = os.path.join(site.inst.dir, "bad.conf")
        write(path, f"[peer]\nrelies = {value}\n")
        for program in ("vcc-agent", "vcc-keeper"):
            done = subprocess.run([site.inst.bin(program), "--config", path, "--check"], capture_output=True, text=True)
            assert done.returncode != 0 and "peer.relies" in done.stderr, (value, done.stderr)
