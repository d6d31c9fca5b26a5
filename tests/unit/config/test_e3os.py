"""The shipped deployment holds what was agreed: services, shortcuts, timeouts, public paths, CORS."""

from __future__ import annotations

from pathlib import Path

import pytest

from falcongate.config.load import load
from falcongate.config.settings import GatewaySettings

FILE = str(Path(__file__).parents[3] / "conf/e3os.toml")
SERVICES = {
    "auth_service": ("AUTH_SERVICE_URL", "http://auth-service:8001", 60),
    "applications-engine": ("JOB_APPLICATIONS_URL", "http://job-applications:8003", 300),
    "talent-engine": ("TALENT_ENGINE_URL", "http://talent-engine:8002", 300),
    "messaging": ("MESSAGING_URL", "http://messaging:3000", 30),
    "lms": ("LMS_APP_URL", "http://lms-app:8004", 300),
    "notifications": ("NOTIFICATIONS_SERVICE_URL", "http://app:3001", 30),
    "hr": ("HR_SERVICE_URL", "http://hr:8004", 300),
    "rostering": ("ROSTERING_SERVICE_URL", "http://rostering:3005", 120),
    "project-manager": ("PROJECT_MANAGER_URL", "http://project-manager:8005", 120),
}
SHORTCUTS = [
    "token", "login", "logout", "verify-otp", "verify-2fa", "debug-cookies", "test-cookies",
    "simple-cookie-test", "docs", "doc", "user", "tenant",
    "public-key", "jwks", "jitsi", "reviews", "investments", "events",
]  # fmt: skip
DJANGO = {"auth_service", "applications-engine", "talent-engine", "lms", "hr", "project-manager"}
HEALTH = [
    "hr/public/health", "rostering/public/health", "rostering/api/v1/health", "project-manager/api/health",
]  # fmt: skip
PUBLIC = [
    "applications-engine/applications/parse-resume/autofill/", "applications-engine/apply-jobs/**",
    "applications-engine/applications/code/**", "applications-engine/applications/applicant/upload/",
    "talent-engine/requisitions/by-link/**", "talent-engine/requisitions/unique_link/**",
    "talent-engine/requisitions/public/published/**", "talent-engine/requisitions/public/close/**",
    "talent-engine/requisitions/upcoming/public/jobs",
    "talent-engine/requisitions/public/update-applications/**",
    "user/users/all-tenants/", "user/public-register/", "hr/public/health/", "rostering/public/health/",
    "rostering/api/v1/health", "rostering/docs/**", "reviews/public/submit/", "project-manager/api/docs/",
    "project-manager/api/schema/", "project-manager/api/health/", "token/**", "login", "verify-otp",
    "verify-2fa",
    "public-key/**", "jwks/**",
]  # fmt: skip
DOMAINS = ["e3os.co.uk", "e3os.ai", "e3os.care", "e3os.net", "e3os.online"]
LOCAL_PORTS = [5173, 5174, 4000, 8000, 3001]
FRONT_ENDS = ["crm-frontend-react", "finance-manager-ruby", "task-manager-two-plum"]
REQUEST_HEADERS = [
    "accept", "accept-encoding", "authorization", "content-type", "dnt", "origin", "user-agent",
    "x-csrftoken", "x-requested-with",
    "x-file-size", "x-file-name",
]  # fmt: skip
EXPOSED = [
    "Content-Type", "Authorization", "X-Request-ID", "X-Gateway-Request-ID", "RateLimit",
    "RateLimit-Policy", "Retry-After",
]  # fmt: skip


@pytest.fixture(scope="module")
def settings() -> GatewaySettings:
    """The deployment without any variable."""
    return load({}, FILE)


def test_the_nine_services_have_their_default_addresses_and_timeouts(settings: GatewaySettings) -> None:
    found = {name: (service.url, service.timeout_s) for name, service in settings.services.items()}

    assert found == {name: ((url,), timeout_s) for name, (_, url, timeout_s) in SERVICES.items()}


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_its_variable_and_no_other_s(name: str) -> None:
    settings = load({SERVICES[name][0]: "http://lms_app:8999"}, FILE)

    moved = [other for other, service in settings.services.items() if service.url == ("http://lms_app:8999",)]
    assert moved == [name]


def test_shortcuts_lead_to_the_auth_service_and_socket_io_to_messaging(settings: GatewaySettings) -> None:
    paths = {name: sorted(service.paths) for name, service in settings.services.items() if service.paths}

    assert paths == {
        "auth_service": sorted(f"/api/{name}" for name in ["auth_service", *SHORTCUTS]),
        "messaging": ["/api/messaging", "/socket.io"],
    }


def test_only_the_prefix_of_notifications_is_stripped(settings: GatewaySettings) -> None:
    stripped = {
        name: service.strip_prefix for name, service in settings.services.items() if service.strip_prefix
    }

    assert stripped == {"notifications": "/api/notifications"}
    assert not any(service.add_prefix for service in settings.services.values())


def test_the_django_services_and_no_others_get_a_missing_slash(settings: GatewaySettings) -> None:
    assert {name for name, service in settings.services.items() if service.append_slash} == DJANGO


def test_endpoints_have_their_timeouts(settings: GatewaySettings) -> None:
    assert settings.endpoint_timeouts == {
        "screen-resumes": 900,
        "parse-resume": 600,
        "upload": 600,
        **{f"/api/{path}": 30 for path in HEALTH},
    }


def test_no_exchange_is_ended_before_its_longest_timeout(settings: GatewaySettings) -> None:
    assert all(service.total_timeout_s > 900 for service in settings.services.values())


def test_these_paths_are_public_and_no_others(settings: GatewaySettings) -> None:
    assert sorted(settings.public_paths) == sorted(f"/api/{path}" for path in PUBLIC)


def test_the_front_ends_may_call(settings: GatewaySettings) -> None:
    cors = settings.cors

    assert sorted(cors.origins) == sorted([
        *(f"https://{domain}" for domain in DOMAINS),
        *(f"https://*.{domain}" for domain in DOMAINS),
        *(f"http://localhost:{port}" for port in LOCAL_PORTS),
        *(f"https://{name}.vercel.app" for name in FRONT_ENDS),
    ])  # fmt: skip
    assert cors.allow_credentials
    assert set(cors.methods) == {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    assert set(cors.request_headers) == set(REQUEST_HEADERS)
    assert set(cors.expose_headers) == set(EXPOSED)


def test_an_address_reads_and_writes_and_administers_at_the_agreed_rates(settings: GatewaySettings) -> None:
    limits = {
        (limit.methods, limit.paths): (limit.rate, limit.key, limit.mode)
        for limit in settings.limits.values()
    }

    assert limits == {
        (("GET",), ("/api/**",)): (("200/m",), ("caller_address",), "enforce"),
        (("POST",), ("/api/**",)): (("100/m",), ("caller_address",), "enforce"),
        (("POST",), ("/circuit-breaker/**",)): (("10/m",), ("caller_address",), "enforce"),
    }


def test_a_service_is_spared_as_agreed() -> None:
    settings = load({}, FILE)
    for service in settings.services:
        breaker = settings.breaker_of(service)
        assert (breaker.enabled, breaker.max_failures, breaker.open_s, breaker.probes) == (True, 3, 120, 3)


def test_messaging_may_be_upgraded() -> None:
    messaging = load({}, FILE).services["messaging"]
    assert messaging.websocket
    assert "/socket.io" in messaging.paths


def test_tokens_are_proven_with_the_keys_of_their_tenant_and_nobody_is_refused_yet(
    settings: GatewaySettings,
) -> None:
    (issuer,), (rule,) = settings.issuers.values(), settings.access.values()

    assert (issuer.algorithms, issuer.jwks_url) == (
        ("RS256",),
        "http://auth-service:8001/api/jwks/{tenant_id}/",
    )
    assert (rule.identity, rule.mode, rule.services, rule.paths) == ("required", "shadow", (), ())
    assert (settings.tokens.cookie, settings.tokens.query) == ("access_token", None)
    assert settings.tokens.headers == {"X-User-ID": "sub", "X-Tenant-ID": "tenant_id"}


def test_keys_come_from_where_the_auth_service_is() -> None:
    settings = load({"AUTH_SERVICE_URL": "http://elsewhere:1"}, FILE)

    assert settings.issuers["auth"].jwks_url == "http://elsewhere:1/api/jwks/{tenant_id}/"


def test_what_stands_in_comments_for_older_tokens_is_valid(tmp_path: Path) -> None:
    text = Path(FILE).read_text("utf-8")
    for line in (
        "[issuers.auth-old]",
        'algorithms = "HS256"',
        'secret = "${JWT_SECRET_KEY}"',
        'query = "token"',
    ):
        assert f"# {line}\n" in text
        text = text.replace(f"# {line}\n", f"{line}\n")
    file = tmp_path / "e3os.toml"
    file.write_text(text, "utf-8")

    settings = load({"JWT_SECRET_KEY": "x" * 32}, str(file))

    assert settings.issuers["auth-old"].algorithms == ("HS256",)
    assert settings.tokens.query == "token"
