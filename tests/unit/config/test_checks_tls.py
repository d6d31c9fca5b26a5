"""What contradicts what in settings of TLS is in the corpus of reports; here is what needs certificates."""

from __future__ import annotations

from pathlib import Path

import pytest

from falcongate.config.checks import contradictions
from falcongate.config.settings import GatewaySettings
from tests.support.certificates import DAY, NOW, Authority


def found(**settings: object) -> list[tuple[str | int, ...]]:
    """Where these settings contradict each other."""
    return [mistake.location for mistake in contradictions(GatewaySettings.model_validate(settings))]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority("ca", tmp_path)


def test_certificates_that_can_be_used(authority: Authority) -> None:
    pair = str(authority.issue("gateway.test"))
    for tls in ({"ca_file": str(authority.file), "cert_file": pair, "key_file": pair}, {"cert_file": pair}):
        assert found(services={"hr": {"url": "https://hr", "tls": tls}}) == []


def test_a_key_of_another_certificate_is_found(authority: Authority) -> None:
    tls = {"cert_file": str(authority.issue("one.test")), "key_file": str(authority.issue("other.test"))}
    assert found(services={"hr": {"url": "https://hr", "tls": tls}}) == [
        ("services", "hr", "tls", "cert_file")
    ]
    (mistake,) = contradictions(GatewaySettings.model_validate({"server": {"tls": tls}}))
    assert mistake.location == ("server", "tls", "cert_file")
    assert mistake.remedy == "cannot be used with its key: the key is another certificate's"


def test_authorities_for_redis_that_can_be_used(authority: Authority) -> None:
    assert found(redis={"url": "rediss://h", "ca_file": str(authority.file)}) == []


def test_tls_with_callers_that_can_be_used(authority: Authority) -> None:
    pair = str(authority.issue("gateway.test"))
    ca = str(authority.file)
    for tls in (
        {"cert_file": pair},
        {"cert_file": pair, "key_file": pair, "minimum_version": "1.3"},
        {"cert_file": pair, "client_ca_file": ca, "client_certificates": "optional"},
        {"minimum_version": "1.3"},
    ):
        assert found(server={"tls": tls}) == []


def test_one_that_has_expired_is_no_mistake(authority: Authority) -> None:
    """It is warned of: a gateway that does not start serves nobody at all."""
    assert found(server={"tls": {"cert_file": str(authority.issue("a", until=NOW - DAY))}}) == []


@pytest.mark.parametrize("asked", ["optional", "required"])
def test_a_rule_may_ask_for_certificates_where_callers_are_asked_for_one(
    authority: Authority, asked: str
) -> None:
    rule = {"identity": "required", "accept": "certificate"}
    tls = {
        "cert_file": str(authority.issue("gateway.test")),
        "client_ca_file": str(authority.file),
        "client_certificates": asked,
    }
    assert found(server={"tls": tls}, access={"machines": rule}) == []
    assert found(access={"machines": rule}) == [("access", "machines", "accept")]
    assert found(access={"machines": {**rule, "accept": ["token", "certificate"]}}) == []
