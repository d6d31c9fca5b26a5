"""Who a caller is by its certificate, from what the TLS library says of it."""

from __future__ import annotations

from typing import Any

import pytest

from falcongate.admission.certificates import ClientCertificates, render_name
from falcongate.denials import Unauthorized
from falcongate.exchange import Caller
from tests.unit.making import make_exchange

CERTIFICATE: dict[str, Any] = {
    "subject": ((("organizationName", "Example, Inc."),), (("commonName", "reports"),)),
    "issuer": ((("commonName", "callers"),),),
    "version": 3,
    "serialNumber": "0A",
    "notBefore": "Jan  1 00:00:00 2020 GMT",
    "notAfter": "Jan  1 00:00:00 2120 GMT",
    "subjectAltName": (
        ("email", "r@a.test"), ("URI", "spiffe://a/reports"), ("DNS", "a.test"), ("DNS", "b.test"),
    ),
}  # fmt: skip


def found(**changes: object) -> Caller | None:
    """Whose certificate it is, with these differences."""
    asked = make_exchange()
    asked.environ["falcongate.client_certificate"] = CERTIFICATE | changes
    return ClientCertificates().find(asked)


def test_its_common_name_is_the_callers() -> None:
    caller = found()
    assert caller is not None
    assert (caller.kind, caller.name, caller.issuer) == ("certificate", "reports", "")
    assert caller.claims == {
        "subject": "CN=reports,O=Example\\, Inc.",
        "common_name": "reports",
        "dns_names": ["a.test", "b.test"],
        "uris": ["spiffe://a/reports"],
        "emails": ["r@a.test"],
        "serial": "0A",
        "issuer": "CN=callers",
    }


@pytest.mark.parametrize(
    ("kinds", "name"),
    [
        (("email", "URI", "DNS"), "a.test"),
        (("email", "URI"), "spiffe://a/reports"),
        (("email",), "r@a.test"),
        ((), "O=Example"),
    ],
)
def test_without_one_it_is_the_first_other_name(kinds: tuple[str, ...], name: str) -> None:
    names = tuple(pair for pair in CERTIFICATE["subjectAltName"] if pair[0] in kinds)
    caller = found(subject=((("organizationName", "Example"),),), subjectAltName=names)
    assert caller is not None
    assert caller.name == name


def test_of_several_common_names_the_most_specific_counts() -> None:
    caller = found(subject=((("commonName", "department"),), (("commonName", "person"),)))
    assert caller is not None
    assert caller.name == "person"


def test_one_that_names_nobody_is_refused() -> None:
    with pytest.raises(Unauthorized, match="names nobody"):
        found(subject=(), subjectAltName=())


def test_one_that_has_ended_on_a_kept_connection_is_refused() -> None:
    with pytest.raises(Unauthorized, match="has expired"):
        found(notAfter="Jan  1 00:00:00 2021 GMT")


def test_without_a_certificate_nobody_is_found() -> None:
    asked = make_exchange()
    assert ClientCertificates().find(asked) is None
    asked.environ["falcongate.client_certificate"] = None
    assert ClientCertificates().find(asked) is None


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a,b+c=d", "a\\,b\\+c\\=d"),
        (' "q" ', '\\ \\"q\\"\\ '),
        ("#1", "\\#1"),
        ("a\\b;<>", "a\\\\b\\;\\<\\>"),
        ("a\0b\n", "a\\00b\\0a"),
        (" ", "\\ "),
        ("Jürgen", "Jürgen"),
        ("", ""),
    ],
)
def test_a_name_cannot_be_written_so_that_it_reads_like_two(value: str, written: str) -> None:
    assert render_name(((("commonName", value),),)) == f"CN={written}"


def test_parts_with_several_values_and_unknown_names() -> None:
    names = ((("domainComponent", "test"),), (("userId", "1"), ("commonName", "a")), (("emailAddress", "x"),))
    assert render_name(names) == "emailAddress=x,UID=1+CN=a,DC=test"
