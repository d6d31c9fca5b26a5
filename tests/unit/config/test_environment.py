"""Both ways to write MICROSERVICE_URLS say the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.config.environment import parse_microservice_urls

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True)
URLS = st.builds(
    "{}://{}{}".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["10.0.0.7", "job_applications", "[::1]", "a.b-c.example"]),
    st.sampled_from(["", ":8000", "/"]),
)
SERVICES = st.dictionaries(NAMES, st.lists(URLS, min_size=1, max_size=3), max_size=4)
SPACES = st.sampled_from(["", " ", "\n"])


@given(SERVICES, SPACES, st.sampled_from(["", ",", ",,"]))
def test_names_with_equal_signs_say_what_they_were_made_from(
    services: dict[str, list[str]], space: str, end: str
) -> None:
    entries = [f"{name}{space}={space}{url}" for name, urls in services.items() for url in urls]
    text = f"{space},{space}".join(entries) + end

    assert parse_microservice_urls(text) == (services, [])


@given(SERVICES, st.one_of(st.none(), st.just(2)))
def test_json_says_what_it_was_made_from(services: dict[str, list[str]], indent: int | None) -> None:
    said = {name: urls[0] if len(urls) == 1 else urls for name, urls in services.items()}

    assert parse_microservice_urls(f" {json.dumps(said, indent=indent)}\n") == (said, [])


@pytest.mark.parametrize(
    ("text", "services", "found"),
    [
        ("hr=http://a,lms", {"hr": ["http://a"]}, ["'lms'"]),
        ("=http://a", {}, ["'=http://a'"]),
        ("hr=", {}, ["'hr='"]),
        ("hr=http://a?b=c", {"hr": ["http://a?b=c"]}, []),
        ('["http://a"]', {}, ["a list"]),
        ('{"hr": "http://a", "hr": "http://b"}', {"hr": "http://b"}, ["'hr'"]),
        ('{"hr": ', {}, [""]),
        ('{"\\ud800": "http://a"}', {"?": "http://a"}, []),
    ],
)
def test_what_cannot_be_read_is_shown(text: str, services: dict[str, object], found: list[str]) -> None:
    parsed, problems = parse_microservice_urls(text)

    assert parsed == services
    assert [problem.found for problem in problems] == found
    assert all(problem.key == "MICROSERVICE_URLS" for problem in problems)
