"""One host with many targets: a real nginx with as many names, each with a certificate of its own, all with real agent, keeper and hook."""
import os
import shutil
import subprocess

from installation import current_group, current_user, nginx, wait_for, write

SERVER = """    server {{ listen 127.0.0.1:{port} ssl; server_name {name}; ssl_certificate {tls}/current/fullchain.pem; ssl_certificate_key {tls}/current/key.pem;
        location / {{ return 200 "ok\\n"; }} }}
"""
TARGET = """[target]
cert_id = {cert_id}
service = {service}
template = {template}
names = {name}
dir = {tls}
[files]
owner = {user}
group = {group}
mode = 0640
[reload]
kind = exec
command = {nginx} -p {base} -c {base}/nginx.conf -s reload
test = {nginx} -p {base} -c {base}/nginx.conf -t
timeout = 60s
[verify]
connect = 127.0.0.1:{port}
sni = {name}
"""


def stems(n):
    return [f"t{i:02d}" for i in range(n)]


def folder_of(host, stem):
    return os.path.join(host.dir, "service", stem)


def prepare(inst, n):
    """(host, cert_ids): nginx serves n self-signed names, the target files lie there, nothing is managed yet."""
    pattern = f"*.clara.{inst.domain}"
    host = inst.prepare_host(f"clara{n}", "clara", "clara_service_auth", "nginx", [pattern])
    base, servers = os.path.join(host.dir, "service"), ""
    group = "www-data" if os.geteuid() == 0 else current_group()
    for stem in stems(n):
        shutil.copytree(os.path.join(host.target_dir, "before"), os.path.join(folder_of(host, stem), "before"))
        os.symlink("before", os.path.join(folder_of(host, stem), "current"))
        name = pattern.replace("*", stem)
        servers += SERVER.format(port=host.port, name=name, tls=folder_of(host, stem))
        write(os.path.join(host.dir, "targets.d", f"{stem}.conf"),
              TARGET.format(cert_id=f"{host.name}-{stem}", service=host.service, template=host.template, name=name, tls=folder_of(host, stem), base=base,
                            user=current_user(), group=group, nginx=nginx(), port=host.port))
    path = os.path.join(base, "nginx.conf")
    with open(path) as f:
        text = f.read()
    write(path, text[:text.index("    server {")] + servers + "}\n")
    subprocess.run([nginx(), "-p", base, "-c", path, "-s", "reload"], check=True, capture_output=True)
    return host, [f"{host.name}-{stem}" for stem in stems(n)]


def manage(inst, host, cert_ids):
    """Joined, running; until every certificate is proved served and nothing is under way."""
    host.join()
    host.start_agent()

    def served():
        rows = {r["cert_id"]: r for r in inst.get("certificates?limit=500")["items"]}
        return all(i in rows and rows[i]["served"] and not rows[i]["open_order"] for i in cert_ids)

    wait_for(f"{len(cert_ids)} certificates are issued and served", served, 300, 0.5)
