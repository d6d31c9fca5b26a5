"""What tests of every kind share: one gateway per kind of worker, started when first needed."""

from __future__ import annotations

import contextlib
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import hypothesis
import pytest

from tests.support.fixtures import moody_service, redis_server
from tests.support.world import Plan, Site, Visit, running

SHARED_SETTINGS = {
    "public_paths": ["/api/honest/public/**", "/api/honest/one/*/end", "/api/honest/exact"],
    "endpoint_timeouts": {"slow-endpoint": 60},
    "server": {"trusted_proxies": ["127.0.0.2"]},
    "cors": {
        "origins": ["https://app.example.com", "https://*.example.org", "http://localhost:5173"],
        "request_headers": ["accept", "authorization", "content-type", "x-file-name"],
    },
    "services": {
        "stripped": {"strip_prefix": "/api/stripped"},
        "added": {"add_prefix": "/v2"},
        "replaced": {"strip_prefix": "/api/replaced", "add_prefix": "/v3"},
        "slashed": {"append_slash": True},
        "hosted": {"preserve_host": True},
        "rfc7239": {"forwarded_header": True},
        "small": {"max_body_bytes": 1000},
        "auth_service": {"paths": ["/api/auth_service", "/api/token", "/api/login"]},
        "messaging": {"paths": ["/api/messaging", "/socket.io"]},
        "nested": {"paths": ["/api/honest/nested"], "add_prefix": "/nested-got-it"},
    },
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long `tests/fuzz` may look for inputs that nobody thought of."""
    parser.addoption("--fuzz-seconds", type=float, default=3.0, help="seconds for each module of tests/fuzz")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker that keeps a test to our own worker, and let programs be interrupted."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # A shell's job in the background ignores it, and so would every program that a test starts.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # How long an example takes says how busy the machine is.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")
    config.addinivalue_line(
        "markers", "own_worker(reason): not run under stock gunicorn's gevent worker, and why not"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several files run at a time, begin with those of few tests: each of these takes long."""
    if hasattr(config, "workerinput"):
        sizes = Counter(item.path for item in items)
        items.sort(key=lambda item: sizes[item.path])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what uses `worker_kind` under both workers, unless it says why not."""
    if "worker_kind" in metafunc.fixturenames:
        own = any(metafunc.definition.iter_markers("own_worker"))
        metafunc.parametrize("worker_kind", ["falcongate"] if own else ["falcongate", "gevent"])


server = redis_server("function")
moody = moody_service("function")

SHARED = Plan("shared", SHARED_SETTINGS, scripted=120, scripted_settings={"timeout_s": 20})


@pytest.fixture(scope="session")
def site_for(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Plan, str], Site]]:
    """Sites by plan and kind of worker; each starts when it is first asked for and then stays."""
    with contextlib.ExitStack() as stack:
        sites: dict[tuple[str, str], Site] = {}

        def site(plan: Plan, kind: str) -> Site:
            if (plan.name, kind) not in sites:
                directory = tmp_path_factory.mktemp(f"{plan.name}-{kind}")
                sites[plan.name, kind] = stack.enter_context(running(replace(plan, kind=kind), directory))
            return sites[plan.name, kind]

        yield site


@pytest.fixture
def site(site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
    """The shared site. A module with settings of its own overrides this fixture."""
    return site_for(SHARED, worker_kind)


@pytest.fixture
def world(site: Site) -> Iterator[Visit]:
    """This test's visit to the site."""
    visit = Visit(site)
    try:
        yield visit
    finally:
        visit.leave()
