"""What one value may be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, TypeAdapter, ValidationError

from falcongate.config import values

ALLOWED: dict[str, list[str]] = {
    "TargetUrls": [
        "http://hr", "http://lms_app:8004", "https://a.b.example:65535", "http://10.0.0.7:1",
        "http://[::1]:8000",
        "http://hr.", "http://[::ffff:10.0.0.7]",
    ],
    "PathPrefix": ["/", "/api/hr", "/api/hr/", "/api/...", "/api/.well-known", "/a~b/x=y:z@"],
    "PathPattern": ["/login", "/api/*/public", "/api/**", "/api/*/**", "/*", "/api/x/"],
    "Endpoint": ["upload", "/api/hr/health", "a/b/", "parse-resume"],
    "Origin": [
        "https://app.example.com", "https://*.example.com", "http://localhost:5173", "http://[::1]:5173",
        "http://example.com:443",
    ],
    "Method": ["GET", "M-SEARCH"],
    "Token": ["access_token", "x-file-name", "*x"],
    "FieldValue": ["", "x", "max-age=1; a"],
    "Cidr": ["10.0.0.0/8", "10.0.0.7", "::/0", "fd00::1", "10.0.0.0/255.0.0.0"],
    "PublicUrl": ["", "https://api.example.com"],
    "ReceiverUrl": ["", "http://127.0.0.1:4318", "https://otlp.example.com/otlp", "https://a/b/c.d"],
    "SecretFieldValue": ["", "x", "Bearer abc; d"],
    "RedisUrl": [
        "redis://redis", "rediss://:secret@redis.example:6380/1?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=2", "redis+sentinel://a:26379,b/shared",
        "rediss+sentinel://me:secret@a,[::1]:2/shared/0?ssl_cert_reqs=none",
    ],
    "ServiceName": ["hr", "auth_service", "a.b", "9", "x" * 63],
}  # fmt: skip
REFUSED: dict[str, list[Any]] = {
    "TargetUrls": [
        "", "hr", "hr:8004", "//hr", "ftp://hr", "http://", "http:///", "http://hr/x", "http://hr//",
        "http://hr?",
        "http://hr#", "http://hr:", "http://hr:0", "http://hr:65536", "http://hr:8\u0663", "http://@hr",
        "http://a@hr",
        "http://a:b@hr", "http://h r", " http://hr", "http://hr\n", "http://h\tr", "http://a..b", "http://.a",
        "http://[::1", "http://::1", "http://[hr]", "http://[1.2.3.4]", "http://b\u00fccher",
        [], ["http://a", "b"],
        7, True, {"url": "http://hr"},
    ],
    "PathPrefix": [
        "", "api", "//", "/api//hr", "/api/../hr", "/..", "/api/.", "/api/./", "/api/*", "/api?x", "/api#",
        "/api/%2e", "/a;b", "/a b", "/a\\b", "/api/hr\n", "/\u00fc",
    ],
    "PathPattern": ["", "login", "/", "/**", "/**/x", "/api/x*", "/api/***", "/api/../*", "/api//*",
    "/api/*\n"],
    "Endpoint": ["", "/", "a//b", "//a", "..", "a/../b", "*", "a?b", "upload\n"],
    "Origin": [
        "", "*", "null", "app.example.com", "https://", "https://app.example.com/", "https://App.example.com",
        "https://app.example.com:443", "http://app.example.com:80", "http://a:0", "http://a:65536",
        "https://*",
        "https://*.", "https://a.*.b", "https://a..b", "ws://a", "https://a@b", "https://a\n",
        "https://[::1]x",
    ],
    "Method": ["", "get", "GET POST", "*", "GET\n"],
    "Token": ["", "*", "x file", "x:y", "x=y", "x;", "\u00fc", "x\n"],
    "FieldValue": [" x", "x ", "a\nb", "a\rb", "a\0b", "\u00fc", "a\n"],
    "Cidr": ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0", "router", "10.0.0.0/8/8", "fd00::1/8",
    "::1%eth0/128"],
    "PublicUrl": ["api.example.com", "https://api.example.com/v2", "https://a@b"],
    "ReceiverUrl": [
        "otlp", "ftp://a", "https://a@b", "https://a:b@c/d", "https://a?x", "https://a/b?x=1", "https://a/b#c",
        "https://a//b", "https://a/../b", "https://a/%2e", "https://a:0/b", "https:///b", "https://a/b\n",
    ],
    "SecretFieldValue": [" x", "x ", "a\nb", "a\rb", "a\0b", "\u00fc", "a\n"],
    "RedisUrl": ["", "redis", "redis://", "redis:///0", "http://redis", "redis://redis:port", "unix://",
    "redis://h:0", "redis+sentinel://a:1", "redis+sentinel:///shared", "redis+sentinel://a,,b/shared",
    "redis+sentinel://a:0/shared", "redis+sentinel://a:x/shared", "redis+sentinel://a/shared/x"],
    "ServiceName": ["", ".a", "-a", "_a", "a b", "a/b", "x" * 64, "\u00fc", "a\n"],
    "Seconds": [0, -1, 86_401, "", "soon", float("nan"), float("inf"), True, False, None, [1]],
}  # fmt: skip


def valid(kind: str, value: object) -> object:
    """The value as a setting of this type would hold it."""
    return TypeAdapter[object](getattr(values, kind)).validate_python(value)


def message_on(kind: str, value: str) -> str:
    """What is said of a value; nothing, if it is allowed."""
    try:
        valid(kind, value)
    except ValidationError as error:
        return " ".join(detail["msg"] for detail in error.errors())
    return ""


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, many in ALLOWED.items() for value in many]
)
def test_this_is_allowed_and_stays_as_it_is(kind: str, value: str) -> None:
    held = valid(kind, value)

    assert (held.get_secret_value() if isinstance(held, SecretStr) else held) in (value, (value,))


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, many in REFUSED.items() for value in many]
)
def test_this_is_refused(kind: str, value: object) -> None:
    with pytest.raises(ValidationError):
        valid(kind, value)


@pytest.mark.parametrize(
    ("written", "held"),
    [
        ("HTTP://HR:80/", "http://hr"),
        ("https://hr:443", "https://hr"),
        ("http://hr:443", "http://hr:443"),
        ("http://hr:08004", "http://hr:8004"),
        ("http://[FD00::1]:80", "http://[fd00::1]"),
    ],
)
def test_one_address_has_one_spelling(written: str, held: str) -> None:
    assert valid("TargetUrls", written) == (held,)
    assert valid("PublicUrl", written) == held


def test_an_address_with_a_path_has_one_spelling_too() -> None:
    assert valid("ReceiverUrl", "HTTPS://Host:443/Otlp/") == "https://host/Otlp"
    assert valid("ReceiverUrl", "http://host/") == "http://host"


@pytest.mark.parametrize(("written", "held"), [(5, 5), (0.5, 0.5), ("300", 300), (86_400, 86_400)])
def test_seconds_are_numbers(written: object, held: float) -> None:
    assert valid("Seconds", written) == held


@given(data=st.data())
def test_no_message_holds_the_value(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(REFUSED)))
    begin = data.draw(st.one_of(st.sampled_from(REFUSED[kind]), st.text()))
    value = f"{begin}h1dd3n{data.draw(st.text())}"

    assert "h1dd3n" not in message_on(kind, value)
