"""A real identity provider, users who come to it without a browser, and one who has one."""

from __future__ import annotations

import contextlib
import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from tests.support.callers import Answer, Caller, request_bytes
from tests.support.npm import is_installed
from tests.support.processes import GatewayFailed, until
from tests.support.programs import program
from tests.support.upstreams import listen
from tests.support.world import Plan, Site, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CLIENT_ID, CLIENT_SECRET = "falcongate", "a secret, with: odd/signs?"  # of these tests alone
_SCRIPTS = Path(__file__).parent / "identity_provider"
_BROWSER_S = 60
_FORM = re.compile(r'<form[^>]*action="([^"]+)"[^>]*>.*?name="prompt" value="(\w+)"', re.DOTALL)


def has_provider() -> bool:
    """Whether Node.js is here with what the provider and the browser's driver are."""
    return is_installed(_SCRIPTS)


@contextlib.contextmanager
def identity_provider(directory: Path, *own_urls: str) -> Iterator[str]:
    """A provider for gateways that operators reach at these addresses; its issuer."""
    directory.mkdir()
    callbacks = [f"{url}/admin/callback" for url in own_urls]
    command = [shutil.which("node") or "node", str(_SCRIPTS / "provider.mjs"), CLIENT_ID, CLIENT_SECRET]
    with program(directory, [*command, *callbacks], NODE_ENV="test") as started:

        def port() -> str:
            if started.process.poll() is not None:
                raise GatewayFailed(f"the provider ended at once:\n{started.err}")
            return started.out.partition("\n")[0]

        yield f"http://localhost:{until(port, 'the provider listens')}"


def settings_of(issuer: str) -> dict[str, Any]:
    """How a gateway is told of it."""
    return {
        "issuer": issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "claims": {"groups": ["operators"]},
    }


def with_browser(profile: Path, gateway: str, user: str) -> dict[str, Any]:
    """What a user sees who comes with a browser, signs in, changes a breaker, and signs out."""
    done = subprocess.run(  # noqa: S603  # our own command
        [
            shutil.which("node") or "node",
            str(_SCRIPTS / "browser.mjs"),
            CHROMIUM or "",
            profile,
            gateway,
            user,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=_BROWSER_S,
    )
    if done.returncode:
        raise GatewayFailed(f"the browser did not get through:\n{done.stderr}")
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


class User:
    """Somebody who follows redirects and fills in forms, and keeps cookies by host and port.

    `places` are the addresses of hosts that have none of their own.
    """

    def __init__(self, places: Mapping[str, tuple[str, int]]) -> None:
        self.places = dict(places)
        self.cookies: dict[str, dict[str, str]] = {}

    def get(self, url: str, *fields: tuple[str, str]) -> Answer:
        """Ask once."""
        return self.send("GET", url, *fields)

    def send(self, method: str, url: str, *fields: tuple[str, str], body: bytes | None = None) -> Answer:
        """Send once, with the cookies of that place, and keep those that it sets."""
        parts = urlsplit(url)
        place = parts.netloc
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        kept = self.cookies.setdefault(place, {})
        lines = list(fields)
        if kept:
            lines.append(("Cookie", "; ".join(f"{name}={value}" for name, value in kept.items())))
        with Caller(self.places.get(place, ("127.0.0.1", parts.port or 80))) as caller:
            caller.send(request_bytes(method, target, lines, body, host=place))
            answer = caller.answer(to=method)
        for line in answer.all("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            kept[name] = value
            if "max-age=0" in line.lower() or not value:
                del kept[name]
        return answer

    def follow(self, url: str, *, until_path: str) -> str:
        """Go on by redirects and forms, from an address to the first one with this path, not asked yet."""
        for _ in range(20):
            if urlsplit(url).path == until_path:
                return url
            answer = self.get(url)
            if answer.status not in (302, 303):
                raise GatewayFailed(f"led nowhere: {url}\n{answer}")
            url = urljoin(url, answer.get("Location") or "")
        raise GatewayFailed(f"led in circles: {url}")

    def sign_in(self, authorization_url: str, login: str) -> str:
        """Do at the provider what is to be done there; the address of the callback, not asked yet."""
        url = authorization_url
        for _ in range(20):
            answer = self.get(url)
            if answer.status == 200:
                form = _FORM.search(answer.content.decode())
                if form is None:
                    raise GatewayFailed(f"no form: {answer}")
                action, prompt = html.unescape(form[1]), form[2]
                said = urlencode({"prompt": prompt, "login": login}).encode()
                kind = ("Content-Type", "application/x-www-form-urlencoded")
                answer = self.send("POST", urljoin(url, action), kind, body=said)
            url = urljoin(url, answer.get("Location") or "")
            if urlsplit(url).path == "/admin/callback":
                return url
        raise GatewayFailed(f"never came back: {url}")


@contextlib.contextmanager
def operated(directory: Path, name: str) -> Iterator[tuple[Site, str]]:
    """A gateway with a second port, where operators come by signing in alone, and where that is."""
    with listen() as free:
        place = "{}:{}".format(*free.getsockname())
    url = f"http://{place}"
    with identity_provider(directory / "provider", url) as issuer:
        sign_in = settings_of(issuer)
        admin = {"bind": place, "url": url, "read_from": [], "change_from": [], "sign_in": sign_in}
        with running(Plan(name, {"admin": admin}, 0), directory / "gateway") as site:
            yield site, url
