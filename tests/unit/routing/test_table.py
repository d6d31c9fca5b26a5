"""Which route a path has, against a plain model of the same rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.config.settings import GatewaySettings
from falcongate.refusals import NoRoute
from falcongate.routing.table import RouteTable

SEGMENTS = st.sampled_from(["a", "b", "ab", "a.b"])
PREFIXES = st.lists(SEGMENTS, min_size=1, max_size=3).map(lambda segments: "/" + "/".join(segments))
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "a.b", "axb", "", "\u20ac"]), max_size=5).map(
    lambda segments: "/" + "/".join(segments)
)
PATTERNS = st.tuples(
    st.lists(st.sampled_from(["a", "b", "a.b", "*"]), min_size=1, max_size=3),
    st.sampled_from(["", "/", "/**", "/**/"]),
).map(lambda parts: "/" + "/".join(parts[0]) + parts[1])
ENDPOINTS = st.tuples(
    st.sampled_from(["", "/"]), st.lists(SEGMENTS, min_size=1, max_size=2), st.sampled_from(["", "/"])
).map(lambda parts: parts[0] + "/".join(parts[1]) + parts[2])


def table(**settings: object) -> RouteTable:
    """The table of these settings; a service is given by its paths alone."""
    services = settings.pop("services", {"s": ["/"]})
    assert isinstance(services, dict)
    made = {
        name: service if isinstance(service, dict) else {"url": "http://service", "paths": service}
        for name, service in services.items()
    }
    return RouteTable(GatewaySettings.model_validate({"services": made, **settings}))


def segments_of(path: str) -> list[str]:
    """What stands between the slashes."""
    return path[1:].split("/")


def begins_with(path: str, prefix: str) -> bool:
    """The rule for prefixes, said plainly."""
    wanted = [] if prefix == "/" else segments_of(prefix.rstrip("/"))
    return segments_of(path)[: len(wanted)] == wanted


def fits(path: str, pattern: str) -> bool:
    """The rule for public paths, said plainly."""
    wanted = segments_of(pattern.rstrip("/"))
    has_any_rest = wanted[-1] == "**"
    if has_any_rest:
        wanted, found = wanted[:-1], segments_of(path)
    else:
        found = segments_of(path.removesuffix("/"))
    if len(found) < len(wanted) or (len(found) > len(wanted) and not has_any_rest):
        return False
    return all(want in ("*", have) and have for want, have in zip(wanted, found, strict=False))


def holds(path: str, endpoint: str) -> bool:
    """The rule for endpoints, said plainly."""
    wanted, found = endpoint.strip("/").split("/"), segments_of(path)
    places = [0] if endpoint.startswith("/") else range(len(found))
    return any(found[place : place + len(wanted)] == wanted for place in places)


@given(st.lists(PREFIXES | st.just("/"), unique=True, max_size=6), PATHS)
def test_the_longest_prefix_of_whole_segments_wins(prefixes: list[str], path: str) -> None:
    routes = table(services={f"s{number}": [prefix] for number, prefix in enumerate(prefixes)})
    expected = sorted((prefix for prefix in prefixes if begins_with(path, prefix)), key=len, reverse=True)
    assert [route.prefix for route in routes.candidates(path)] == expected
    if expected:
        assert routes.match(path).route.prefix == expected[0]
    else:
        with pytest.raises(NoRoute):
            routes.match(path)


@given(st.lists(PATTERNS, max_size=4), PATHS)
def test_a_path_is_public_where_a_whole_pattern_fits(patterns: list[str], path: str) -> None:
    expected = any(fits(path, pattern) for pattern in patterns)
    assert table(public_paths=patterns).match(path).is_public == expected


@given(st.lists(ENDPOINTS, unique_by=lambda text: text.rstrip("/"), max_size=5), PATHS)
def test_the_longest_endpoint_that_a_path_holds_gives_the_timeout(endpoints: list[str], path: str) -> None:
    timeouts = {endpoint: 100.0 + number for number, endpoint in enumerate(endpoints)}
    held = [endpoint for endpoint in endpoints if holds(path, endpoint)]
    match = table(endpoint_timeouts=timeouts).match(path)
    if not held:
        assert (match.timeout_s, match.timeout_from) == (30, "services.s.timeout_s")
        return

    def weight(text: str) -> tuple[int, int, bool]:
        return text.strip("/").count("/"), len(text.strip("/")), text.startswith("/")

    longest = max(held, key=weight)
    assert match.timeout_s == timeouts[longest]
    assert match.timeout_from == f'endpoint_timeouts."{longest}"'


def test_a_service_without_paths_has_the_path_of_its_name() -> None:
    routes = table(services={"hr": {"url": "http://hr:8004", "timeout_s": 300}})
    assert routes.match("/api/hr/x").route.prefix == "/api/hr"
    assert routes.match("/api/hr/x").timeout_s == 300
    for path in ("/api/hrx", "/api/h", "/hr", "/api", "/API/hr", "/api/hr;x/y", "/api//hr"):
        with pytest.raises(NoRoute):
            routes.match(path)


def test_a_slash_at_the_end_of_a_prefix_means_nothing() -> None:
    assert table(services={"s": ["/a/"]}).match("/a").route.prefix == "/a"


def test_a_websocket_is_found_by_the_name_of_its_service_and_its_path_stays() -> None:
    routes = table(services={"messaging": ["/api/messaging", "/socket.io"], "hr": ["/api/hr"]})
    match = routes.match_for_websocket("messaging", "/ws/messaging/x")
    assert match is not None
    assert match.route.service == "messaging"
    assert match.route.settings.strip_prefix is None
    assert routes.match_for_websocket("nobody", "/ws/nobody") is None
    assert [route.prefix for route in routes.routes] == ["/api/messaging", "/socket.io", "/api/hr"]


def test_of_two_equally_long_endpoints_the_one_with_a_place_wins() -> None:
    routes = table(endpoint_timeouts={"upload": 10, "/upload": 20})
    assert routes.match("/upload").timeout_s == 20
    assert routes.match("/x/upload").timeout_s == 10


def test_a_repeated_path_is_answered_from_memory_and_memory_has_a_bound() -> None:
    routes = table(services={"s": ["/a"]})
    first = routes.match("/a/x")
    assert routes.match("/a/x") is first
    for number in range(5_000):
        assert routes.match(f"/a/{number}").route is first.route
    assert routes.match("/a/x") is not first
    long = "/a/" + "x" * 1_000
    assert routes.match(long) is not routes.match(long)


def test_without_public_paths_nothing_is_public() -> None:
    assert not table().match("/").is_public
    assert not table().match("/x").is_public
