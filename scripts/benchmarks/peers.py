"""The gateway and its peers: how each is told to do the same work with one thread."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_BIN = Path(sys.executable).parent
_ROWS = [{"id": number, "name": f"person {number}", "role": "engineer"} for number in range(1, 6)]
SMALL = json.dumps({"rows": _ROWS, "next": "/api/files/small?page=2"}).ljust(294)
_VERSIONS = {
    "nginx": ["nginx", "-v"],
    "haproxy": ["haproxy", "-v"],
    "envoy": ["envoy", "--version"],
    "traefik": ["traefik", "version"],
    "caddy": ["caddy", "version"],
    "traefik-redis": ["traefik", "version"],
}


@dataclass(frozen=True)
class Ports:
    """Where a peer listens, where the services are that it forwards to, and Redis (0: none)."""

    own: int
    files: int
    sink: int
    sockets: int
    redis: int


@dataclass(frozen=True)
class Peer:
    """`command` is what starts it; `environment` is added to ours."""

    name: str
    command: list[str]
    environment: dict[str, str]


def program(name: str) -> str | None:
    """A program beside our Python, on the PATH or where Debian has servers; None if it is not there."""
    return shutil.which(name, path=os.pathsep.join((str(_BIN), os.environ.get("PATH", ""), "/usr/sbin")))


def version(peer: str) -> str:
    """A peer's version as it tells it; ours and the stock application have Python's."""
    path = program(_VERSIONS.get(peer, _VERSIONS["nginx"])[0])
    if peer.startswith("falcongate") or peer == "stock":
        return "on Python " + sys.version.split()[0]
    if path is None:
        return "not here"
    command = [path, *_VERSIONS.get(peer, _VERSIONS["nginx"])[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    found = re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
    return found[0] if found else "of an unknown version"


def files_service(folder: Path, port: int) -> list[str]:
    """What starts the service that has a small and a large answer."""
    nginx = program("nginx")
    if nginx is None:
        raise SystemExit("scripts/bench needs nginx for the service behind the peers: apt install nginx")
    (folder / "large").write_bytes(os.urandom(10 * 1024 * 1024))
    routes = (
        f"location ~ ^/api/files/(small|over)$ {{ default_type application/json; return 200 '{SMALL}'; }}"
        f"location /api/files/large {{ alias {folder}/large; }}"
    )
    server = f"server {{ listen 127.0.0.1:{port} backlog=4096; {routes} }}"
    return [nginx, "-c", str(nginx_conf(folder, "files", server))]


def sink_service(port: int) -> list[str]:
    """What starts the service that reads bodies and holds callers."""
    return [sys.executable, str(Path(__file__).with_name("upstream.py")), str(port)]


def sockets_service(port: int) -> list[str]:
    """What starts the service with WebSockets."""
    return [sys.executable, str(Path(__file__).with_name("sockets.py")), "service", str(port)]


def nginx_conf(folder: Path, name: str, inside: str, *, before: str = "") -> Path:
    """The file that has nginx do what is `inside` with one process; `before` stands in front of all."""
    temp = "".join(
        f"{kind}_temp_path {folder}/{name}-{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path = folder / f"{name}.conf"
    path.write_text(
        f"{before} daemon off; worker_processes 1; pid {folder}/{name}.pid;\n"
        f"error_log {folder}/{name}.log crit;\n"
        "events { worker_connections 16384; }\n"
        "http { access_log off; keepalive_requests 100000000; client_max_body_size 1g;\n"
        f"{temp}\n{inside} }}\n"
    )
    return path


def falcongate(folder: Path, ports: Ports, *, name: str = "falcongate", more: str = "") -> Peer | None:
    """The gateway with its defaults, a CORS rule, and `more` of its configuration."""
    path = folder / f"{name}.toml"
    path.write_text(
        f'[services.files]\nurl = "http://127.0.0.1:{ports.files}"\n'
        f'[services.sink]\nurl = "http://127.0.0.1:{ports.sink}"\nmax_connections = 4000\n'
        f'[services.sockets]\nurl = "http://127.0.0.1:{ports.sockets}"\n'
        f'[cors]\norigins = ["https://*.example.com"]\n{more}'
    )
    command = [sys.executable, "-m", "gunicorn", "-c", "python:falcongate.server.gunicorn_conf"]
    command += ["--workers", "1", "--bind", f"127.0.0.1:{ports.own}", "falcongate.wsgi:app"]
    return Peer(name, command, {"FALCONGATE_CONFIG": str(path)})


def _falcongate_traces(folder: Path, ports: Ports) -> Peer | None:
    """No request is sampled, so nothing is ever sent to a receiver."""
    traces = '[traces]\nendpoint = "http://127.0.0.1:4318"\nratio = 0\nslow_s = 86400\n'
    return falcongate(folder, ports, name="falcongate-traces", more=traces)


def _stock(folder: Path, ports: Ports) -> Peer | None:
    del folder
    command = [sys.executable, "-m", "gunicorn", "-k", "gevent", "--workers", "1", "--no-control-socket"]
    command += ["--keep-alive", "75", "--worker-connections", "4000", "--backlog", "4096"]
    command += ["--bind", f"127.0.0.1:{ports.own}", "scripts.benchmarks.stock_app:app"]
    targets = {"files": ports.files, "sink": ports.sink}
    environment = {f"BENCH_{name.upper()}_URL": f"http://127.0.0.1:{port}" for name, port in targets.items()}
    return Peer("stock", command, environment)


def _nginx(folder: Path, ports: Ports, *, is_buffered: bool = True) -> Peer | None:
    nginx = program("nginx")
    if nginx is None:
        return None
    name = "nginx" if is_buffered else "nginx-unbuffered"
    # Without buffering nginx reads as much at once as these hold, 4 and 16 KiB unless told: it should
    # be measured at its best.
    sizes = "proxy_buffer_size 256k; proxy_buffers 4 256k; client_body_buffer_size 256k;"
    off = "" if is_buffered else f"proxy_buffering off; proxy_request_buffering off; {sizes}"
    inside = (
        f"upstream files {{ server 127.0.0.1:{ports.files}; keepalive 64; keepalive_requests 100000000; }}"
        f"upstream sink {{ server 127.0.0.1:{ports.sink}; keepalive 64; keepalive_requests 100000000; }}"
        f"server {{ listen 127.0.0.1:{ports.own} backlog=4096; proxy_http_version 1.1;"
        f' proxy_set_header Connection ""; {off}'
        "location /api/files/ { proxy_pass http://files; } location /api/sink/ { proxy_pass http://sink; }"
        f"location /ws/ {{ proxy_pass http://127.0.0.1:{ports.sockets}; proxy_read_timeout 1h;"
        " proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } }"
    )
    return Peer(name, [nginx, "-c", str(nginx_conf(folder, name, inside))], {})


def _nginx_unbuffered(folder: Path, ports: Ports) -> Peer | None:
    return _nginx(folder, ports, is_buffered=False)


def _haproxy(folder: Path, ports: Ports) -> Peer | None:
    haproxy = program("haproxy")
    if haproxy is None:
        return None
    path = folder / "haproxy.cfg"
    path.write_text(
        "global\n nbthread 1\n maxconn 9000\n"
        "defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
        " http-reuse always\n timeout tunnel 1h\n"
        f"frontend in\n bind 127.0.0.1:{ports.own} backlog 4096\n"
        " use_backend sink if { path_beg /api/sink/ }\n use_backend sockets if { path_beg /ws/ }\n"
        " default_backend files\n"
        f"backend files\n server a 127.0.0.1:{ports.files} pool-max-conn 64\n"
        f"backend sink\n server a 127.0.0.1:{ports.sink} pool-max-conn 64\n"
        f"backend sockets\n server a 127.0.0.1:{ports.sockets}\n"
    )
    return Peer("haproxy", [haproxy, "-db", "-f", str(path)], {})


def _envoy(folder: Path, ports: Ports) -> Peer | None:
    envoy = program("envoy")
    if envoy is None:
        return None

    def cluster(name: str, port: int) -> str:
        limits = "max_connections: 8000, max_pending_requests: 8000, max_requests: 8000"
        address = f"socket_address: {{address: 127.0.0.1, port_value: {port}}}"
        return (
            f"  - name: {name}\n    type: STATIC\n    connect_timeout: 5s\n"
            f"    circuit_breakers: {{thresholds: [{{{limits}}}]}}\n"
            f"    load_assignment: {{cluster_name: {name}, endpoints: [{{lb_endpoints: "
            f"[{{endpoint: {{address: {{{address}}}}}}}]}}]}}\n"
        )

    manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = "envoy.extensions.filters.http.router.v3.Router"
    path = folder / "envoy.yaml"
    path.write_text(
        "static_resources:\n  listeners:\n  - name: in\n"
        f"    address: {{socket_address: {{address: 127.0.0.1, port_value: {ports.own}}}}}\n"
        "    filter_chains:\n    - filters:\n"
        "      - name: envoy.filters.network.http_connection_manager\n        typed_config:\n"
        f"          '@type': type.googleapis.com/{manager}\n          stat_prefix: in\n"
        "          route_config:\n            virtual_hosts:\n            - name: all\n"
        "              domains: ['*']\n              routes:\n"
        "              - {match: {prefix: /api/sink/}, route: {cluster: sink}}\n"
        "              - {match: {prefix: /}, route: {cluster: files}}\n"
        "          http_filters:\n          - name: envoy.filters.http.router\n"
        f"            typed_config: {{'@type': type.googleapis.com/{router}}}\n"
        "  clusters:\n" + cluster("files", ports.files) + cluster("sink", ports.sink)
    )
    command = [envoy, "-c", str(path), "--concurrency", "1", "--use-dynamic-base-id", "-l", "critical"]
    return Peer("envoy", command, {})


def _traefik(folder: Path, ports: Ports) -> Peer | None:
    traefik = program("traefik")
    if traefik is None:
        return None
    path = folder / "traefik.yaml"
    path.write_text(
        "http:\n  routers:\n"
        "    sink: {rule: 'PathPrefix(`/api/sink/`)', service: sink, entryPoints: [in]}\n"
        "    files: {rule: 'PathPrefix(`/api/files/`)', service: files, entryPoints: [in]}\n"
        "  services:\n"
        f"    sink: {{loadBalancer: {{servers: [{{url: 'http://127.0.0.1:{ports.sink}'}}]}}}}\n"
        f"    files: {{loadBalancer: {{servers: [{{url: 'http://127.0.0.1:{ports.files}'}}]}}}}\n"
    )
    command = [
        traefik,
        f"--entrypoints.in.address=127.0.0.1:{ports.own}",
        f"--providers.file.filename={path}",
    ]
    command += ["--log.level=ERROR", "--global.checknewversion=false", "--global.sendanonymoususage=false"]
    return Peer("traefik", command, {"GOMAXPROCS": "1"})


def _caddy(folder: Path, ports: Ports) -> Peer | None:
    caddy = program("caddy")
    if caddy is None:
        return None
    path = folder / "Caddyfile"
    path.write_text(
        "{\n admin off\n auto_https off\n persist_config off\n}\n"
        f"http://127.0.0.1:{ports.own}, http://gateway.test:{ports.own} {{\n"
        f" handle /api/sink/* {{\n  reverse_proxy 127.0.0.1:{ports.sink}\n }}\n"
        f" handle {{\n  reverse_proxy 127.0.0.1:{ports.files}\n }}\n}}\n"
    )
    home = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    command = [caddy, "run", "--config", str(path), "--adapter", "caddyfile"]
    return Peer("caddy", command, {"GOMAXPROCS": "1", **home})


PEERS: dict[str, Callable[[Path, Ports], Peer | None]] = {
    "falcongate": falcongate,
    "falcongate-traces": _falcongate_traces,
    "nginx": _nginx,
    "nginx-unbuffered": _nginx_unbuffered,
    "haproxy": _haproxy,
    "envoy": _envoy,
    "traefik": _traefik,
    "caddy": _caddy,
    "stock": _stock,
}
