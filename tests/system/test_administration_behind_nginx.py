"""An nginx on the gateway's own machine: what it makes of everybody, and the remedies."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import until
from tests.support.programs import answers, get, program
from tests.support.upstreams import listen
from tests.support.world import Plan, running

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
CONFIG = """\
daemon off;
pid {directory}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen {listen};
        location / {{
            proxy_pass http://{gateway};
            {fields}
        }}
    }}
}}
"""
WITH_ADDRESS = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"


@contextlib.contextmanager
def behind_nginx(directory: Path, fields: str, **settings: object) -> Iterator[tuple[str, int]]:
    """Where nginx listens, before a gateway with these settings."""
    (directory / "nginx").mkdir()
    with listen() as free:
        place: tuple[str, int] = free.getsockname()
    with running(Plan("nginx", settings, 0), directory / "gateway") as site:
        config = directory / "nginx.conf"
        gateway, own = ("{}:{}".format(*address) for address in (site.gateway.address, place))
        text = CONFIG.format(directory=directory / "nginx", listen=own, gateway=gateway, fields=fields)
        config.write_text(text, "ascii")
        with program(directory / "nginx", [NGINX or "nginx", "-c", str(config), "-e", "stderr"]):
            until(lambda: answers(place), "nginx answers")
            yield place


def test_a_proxy_that_says_nothing_hides_everybody_until_it_is_declared(tmp_path: Path) -> None:
    for name, settings, status in (("plain", {}, 200), ("declared", {"trusted_proxies": ["127.0.0.1"]}, 403)):
        (tmp_path / name).mkdir()
        with behind_nginx(tmp_path / name, "", server=settings) as place:
            assert get(place, "/metrics").status == status


def test_a_proxy_that_says_for_whom_it_speaks_makes_nobody_local(tmp_path: Path) -> None:
    for name, settings in (("undeclared", {}), ("declared", {"trusted_proxies": ["127.0.0.1"]})):
        (tmp_path / name).mkdir()
        with behind_nginx(tmp_path / name, WITH_ADDRESS, server=settings) as place:
            assert get(place, "/metrics").status == 403
            assert get(place, "/health/").json().keys() == {"status"}


def test_with_a_port_of_its_own_nothing_of_administration_is_behind_the_proxy(tmp_path: Path) -> None:
    with listen() as free:
        bind = "{}:{}".format(*free.getsockname())
    with behind_nginx(tmp_path, "", admin={"bind": bind}) as place:
        assert get(place, "/metrics").status == 404
        host, _, port = bind.rpartition(":")
        assert get((host, int(port)), "/metrics").status == 200
