"""Peers that count requests in Redis: how each is told to limit the same requests with one thread.

Two limits that are never reached for `/api/files/small`, and one that is over at once for
`/api/files/over`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scripts.benchmarks.peers import Peer, falcongate, nginx_conf, program

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.benchmarks.peers import Ports

NEVER, SOON = 1_000_000, 20
_MODULES = ("ndk_http_module.so", "ngx_http_lua_module.so")
_MODULE_FOLDERS = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules")
_LUA_REDIS = Path("/usr/share/lua/5.1/nginx/redis.lua")


def redis_service(port: int) -> list[str] | None:
    """What starts the Redis of all peers; None if there is none."""
    redis = program("redis-server") or program("valkey-server")
    return redis and [redis, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]


def falcongate_limits(folder: Path, ports: Ports, *, name: str = "falcongate-limits") -> Peer | None:
    """The gateway with these limits."""
    limits = (
        f'[redis]\nurl = "redis://127.0.0.1:{ports.redis}"\n'
        f'[limits.address]\nrate = "{NEVER}/m"\npaths = ["/api/files/small"]\n'
        f'[limits.service]\nrate = "{NEVER}/m"\nkey = "service"\npaths = ["/api/files/small"]\n'
        f'[limits.over]\nrate = "{SOON}/h"\npaths = ["/api/files/over"]\n'
    )
    return falcongate(folder, ports, name=name, more=limits)


def _nginx_lua(folder: Path, ports: Ports) -> Peer | None:
    """One INCR and no more: not even what ends a window."""
    nginx = program("nginx")
    found = next((each for each in _MODULE_FOLDERS if Path(each, _MODULES[-1]).exists()), None)
    if nginx is None or found is None or not _LUA_REDIS.exists():
        return None
    count = (
        'local r = require("nginx.redis"):new() r:set_timeout(1000)'
        f' local ok = r:connect("127.0.0.1", {ports.redis})'
        " if not ok then return ngx.exit(503) end"
        ' local count = r:incr("limit:" .. ngx.var.name .. ":" .. ngx.var.remote_addr)'
        " r:set_keepalive(60000, 100)"
        " if count > tonumber(ngx.var.most) then return ngx.exit(429) end"
    )
    limited = f"access_by_lua_block {{ {count} }} proxy_pass http://files;"
    inside = (
        f"upstream files {{ server 127.0.0.1:{ports.files}; keepalive 64; keepalive_requests 100000000; }}"
        f"server {{ listen 127.0.0.1:{ports.own} backlog=4096; proxy_http_version 1.1;"
        ' proxy_set_header Connection "";'
        f" location /api/files/small {{ set $name small; set $most {NEVER * 100}; {limited} }}"
        f" location /api/files/over {{ set $name over; set $most {SOON}; {limited} }} }}"
    )
    modules = "".join(f"load_module {found}/{module};" for module in _MODULES)
    return Peer("nginx-lua", [nginx, "-c", str(nginx_conf(folder, "nginx-lua", inside, before=modules))], {})


def _traefik_redis(folder: Path, ports: Ports) -> Peer | None:
    traefik = program("traefik")
    if traefik is None:
        return None
    redis = f"redis: {{endpoints: ['127.0.0.1:{ports.redis}']}}"
    path = folder / "traefik-redis.yaml"
    path.write_text(
        "http:\n  routers:\n"
        "    small: {rule: 'PathPrefix(`/api/files/small`)', service: files, entryPoints: [in],"
        " middlewares: [address]}\n"
        "    over: {rule: 'PathPrefix(`/api/files/over`)', service: files, entryPoints: [in],"
        " middlewares: [over]}\n"
        "  middlewares:\n"
        f"    address: {{rateLimit: {{average: {NEVER}, period: 1m, burst: {NEVER}, {redis}}}}}\n"
        f"    over: {{rateLimit: {{average: 1, period: 1h, burst: {SOON}, {redis}}}}}\n"
        "  services:\n"
        f"    files: {{loadBalancer: {{servers: [{{url: 'http://127.0.0.1:{ports.files}'}}]}}}}\n"
    )
    command = [
        traefik,
        f"--entrypoints.in.address=127.0.0.1:{ports.own}",
        f"--providers.file.filename={path}",
    ]
    command += ["--log.level=ERROR", "--global.checknewversion=false", "--global.sendanonymoususage=false"]
    return Peer("traefik-redis", command, {"GOMAXPROCS": "1"})


LIMITED_PEERS: dict[str, Callable[[Path, Ports], Peer | None]] = {
    "falcongate-limits": falcongate_limits,
    "nginx-lua": _nginx_lua,
    "traefik-redis": _traefik_redis,
}
