"""What one value may be: addresses, paths, origins, names, numbers.

Each type says in an operator's words what is allowed. SECURITY: no message may hold the value,
as that may have come from a file of secrets; whether it is shown is decided in `mistakes.py`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr
from pydantic.functional_validators import AfterValidator

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")

_STATUSES: Final = re.compile(r"[1-5](?:xx|[0-9][0-9])")
_SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[(?P<ipv6>[0-9a-f:.]+)\])"
    r"(?::(?P<port>\d{1,5}))?/?",
    re.IGNORECASE | re.ASCII,
)
_SEGMENT = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()+,=:@-]+"
_PATH_PREFIX = re.compile(rf"/|(?:/{_SEGMENT})+/?")
_PATH_PATTERN = re.compile(rf"(?:/(?:\*|{_SEGMENT}))+(?:/\*\*)?/?")
_ENDPOINT = re.compile(rf"/?{_SEGMENT}(?:/{_SEGMENT})*/?")
_SENTINEL_SERVICE = re.compile(r"/[A-Za-z0-9._-]+(?:/\d+)?/?", re.ASCII)
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?:(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:]+\])(?::(?P<port>\d{1,5}))?",
    re.ASCII,
)
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*", re.ASCII)
_REDIS_QUERY = re.compile(r"(?:ssl_cert_reqs=none|db=\d{1,3})?", re.ASCII)
_TOKEN = re.compile(r"(?!\*\Z)[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_METHOD = re.compile(r"[A-Z]+(?:-[A-Z]+)*")
_FIELD_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?|")


SECONDS_IN: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LENGTH: Final = re.compile(r"([0-9]{1,7})([smhd])")


def _address(url: str) -> str:
    """Scheme, host and port in one spelling, so that the same address is the same text."""
    found = _ADDRESS.fullmatch(url)
    if found is None:
        raise ValueError(_why_no_address(url))
    scheme, port = found["scheme"].lower(), int(found["port"] or 0)
    if found["ipv6"]:
        try:
            ipaddress.IPv6Address(found["ipv6"])
        except ValueError:
            raise ValueError("must hold an IPv6 address between [ and ]") from None
    if found["port"] and not 1 <= port <= 65_535:
        raise ValueError("must have a port from 1 to 65535")
    shown_port = f":{port}" if port and port != DEFAULT_PORTS[scheme] else ""
    return f"{scheme}://{found['host'].lower()}{shown_port}"


def _why_no_address(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    if not mark or scheme.lower() not in DEFAULT_PORTS:
        return "must begin with http:// or https://"
    if "@" in rest:
        return "must not hold a user name or password"
    if re.search(r"[/?#]", rest):
        return "must be scheme, host and port only, like http://host:8000"
    return "must be like http://host:8000"


def _address_or_empty(url: str) -> str:
    return url and _address(url)


def _receiver(url: str) -> str:
    """An address as above, and perhaps a path under which a receiver keeps its own."""
    if not url:
        return ""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if path and not _PATH_PREFIX.fullmatch(f"/{path}"):
        raise ValueError("must be scheme, host, port and perhaps a path, like https://host:4318/otlp")
    return _address(f"{scheme}{mark}{host}") + f"{slash}{path}".rstrip("/")


def is_protected(url: str) -> bool:
    """Whether nobody between can read or change what is sent there: by TLS, or because it is this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)


def _fullmatch(pattern: re.Pattern[str], meaning: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"must be {meaning}")
        return value

    return AfterValidator(check)


def _secret_field_value(value: SecretStr) -> SecretStr:
    if not _FIELD_VALUE.fullmatch(value.get_secret_value()):
        raise ValueError("must be printable ASCII on one line")
    return value


def _origin(value: str) -> str:
    found = _ORIGIN.fullmatch(value)
    if found is None:
        raise ValueError(
            "must be an origin in small letters like https://app.example.com or https://*.example.com"
        )
    port = int(found["port"] or 0)
    if found["port"] and not 1 <= port <= 65_535:
        raise ValueError("must have a port from 1 to 65535")
    if port == DEFAULT_PORTS[found["scheme"]]:
        raise ValueError(f"must not name port {port}: browsers leave it out for {found['scheme']}")
    return value


def _cidr(value: str) -> str:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError("must be an address or a network like 10.0.0.0/8") from None
    if "/" in value and str(network.network_address) != str(ipaddress.ip_interface(value).ip):
        raise ValueError("must be a network like 10.0.0.0/8: no bit set behind its length")
    return value


def _redis_url(value: SecretStr) -> SecretStr:
    if not _is_redis_url(value.get_secret_value()):
        raise ValueError(
            "must be like redis://host:6379/0, rediss://host:6379/0, unix:///run/redis.sock"
            " or redis+sentinel://host:26379,host:26379/service"
        )
    return value


def _is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_sentinel = parts.scheme in ("redis+sentinel", "rediss+sentinel")
        hosts = parts.netloc.rpartition("@")[2].split(",") if is_sentinel else []
        is_each_a_host = all(map(_is_host, hosts))
        port = None if is_sentinel else parts.port
    except ValueError:
        return False
    # Others would be found wrong by redis-py, in every worker.
    if not _REDIS_QUERY.fullmatch(parts.query) or parts.fragment:
        return False
    if is_sentinel:
        return is_each_a_host and _SENTINEL_SERVICE.fullmatch(parts.path) is not None
    if parts.scheme == "unix":
        return bool(parts.path)
    is_server = parts.scheme in ("redis", "rediss") and bool(parts.hostname) and port != 0
    return is_server and (parts.path in ("", "/") or parts.path[1:].isdecimal())


def _is_host(text: str) -> bool:
    parts = urlsplit(f"//{text}")
    return bool(parts.hostname) and parts.port != 0


def seconds_of(length: object, *, most_days: int = 30) -> float:
    """`90s`, `15m`, `2h`, `7d` in seconds. Raises ValueError."""
    found = _LENGTH.fullmatch(length) if isinstance(length, str) else None
    seconds = int(found[1]) * SECONDS_IN[found[2]] if found else 0
    if not 0 < seconds <= most_days * SECONDS_IN["d"]:
        raise ValueError(f"must be a length of time like 90s, 15m, 2h or 7d, of {most_days} days at most")
    return float(seconds)


def _one_or_many(value: object) -> object:
    """A single text stands for a list of one."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        raise ValueError("must be a text in quotes, or a list of them")  # noqa: TRY004  # see `_no_boolean`
    return value


def _not_empty(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("must have at least one entry")
    return values


def _empty_is_unset(value: object) -> object:
    return None if value == "" else value


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        # Python takes true for 1. Of a validator, pydantic knows ValueError only.
        raise ValueError("must be a number")  # noqa: TRY004
    return value


# Must come last, or pydantic leaves the limits before it out of the schema for editors.
NotBoolean = BeforeValidator(_no_boolean)
# TOML cannot say "nothing", and `${NAME:-}` is the empty text.
EmptyIsUnset = BeforeValidator(_empty_is_unset)
Seconds = Annotated[float, Field(gt=0, le=86_400), NotBoolean]
Share = Annotated[float, Field(ge=0, le=1), NotBoolean]
Statuses = Annotated[str, _fullmatch(_STATUSES, "a status like 404, or a class of them like 4xx")]
OneOrMany = BeforeValidator(_one_or_many, json_schema_input_type=str | tuple[str, ...])
AtLeastOne = AfterValidator(_not_empty)
TargetUrls = Annotated[tuple[Annotated[str, AfterValidator(_address)], ...], AtLeastOne, OneOrMany]
PathPrefix = Annotated[
    str, _fullmatch(_PATH_PREFIX, "a path like /api/hr, without dot segments or wildcards")
]
PathPattern = Annotated[
    str,
    _fullmatch(
        _PATH_PATTERN, "a path like /api/hr/public, with '*' for one segment and a final '**' for any rest"
    ),
]
Endpoint = Annotated[str, _fullmatch(_ENDPOINT, "whole path segments like upload or /api/hr/health")]
Origin = Annotated[str, AfterValidator(_origin)]
Token = Annotated[str, _fullmatch(_TOKEN, "the name of one header or cookie")]
HostName = Annotated[str, _fullmatch(_HOST_NAME, "the name of a host, like api.example.com")]
Method = Annotated[str, _fullmatch(_METHOD, "a method in capital letters, like GET")]
FieldValue = Annotated[str, _fullmatch(_FIELD_VALUE, "printable ASCII on one line")]
SecretFieldValue = Annotated[SecretStr, AfterValidator(_secret_field_value)]
ReceiverUrl = Annotated[str, AfterValidator(_receiver)]
Cidr = Annotated[str, AfterValidator(_cidr)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
PublicUrl = Annotated[str, AfterValidator(_address_or_empty)]
ServiceName = Annotated[str, _fullmatch(_SERVICE_NAME, "letters, digits, '.', '_' and '-', 63 at most")]
