"""The shipped deployment, started with nothing but the variables of its services."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from falcongate.config.load import load
from falcongate.routing.table import RouteTable
from tests.support.callers import Answer, Caller
from tests.support.honest import HonestUpstream
from tests.support.processes import ROOT, GatewayProcess

VARIABLES = {
    "auth_service": "AUTH_SERVICE_URL",
    "applications-engine": "JOB_APPLICATIONS_URL",
    "talent-engine": "TALENT_ENGINE_URL",
    "messaging": "MESSAGING_URL",
    "lms": "LMS_APP_URL",
    "notifications": "NOTIFICATIONS_SERVICE_URL",
    "hr": "HR_SERVICE_URL",
    "rostering": "ROSTERING_SERVICE_URL",
    "project-manager": "PROJECT_MANAGER_URL",
}
SHORTCUTS = [
    "token", "token/refresh", "token/validate", "login", "logout", "verify-otp", "verify-2fa",
    "debug-cookies", "test-cookies", "simple-cookie-test", "docs", "doc", "user", "tenant",
    "public-key", "jwks", "jitsi", "reviews", "investments", "events",
]  # fmt: skip
PUBLIC = [
    "applications-engine/applications/parse-resume/autofill/", "applications-engine/apply-jobs/x/y",
    "applications-engine/applications/code/7", "applications-engine/applications/applicant/upload/",
    "talent-engine/requisitions/by-link/x", "talent-engine/requisitions/unique_link/x",
    "talent-engine/requisitions/public/published/x", "talent-engine/requisitions/public/close/x",
    "talent-engine/requisitions/upcoming/public/jobs",
    "talent-engine/requisitions/public/update-applications/x",
    "user/users/all-tenants/", "user/public-register/", "hr/public/health/", "rostering/public/health/",
    "rostering/api/v1/health", "rostering/docs/x", "reviews/public/submit/", "project-manager/api/docs/",
    "project-manager/api/schema/", "project-manager/api/health/", "token/refresh", "token", "login",
    "verify-otp", "verify-2fa", "public-key/x", "jwks/x",
]  # fmt: skip
PRIVATE = [
    "hr/employees", "hr/x/public/health/", "rostering/api/v1/health/x", "user/users", "login/x", "logout",
    "project-manager/api/docs/x", "talent-engine/requisitions", "messaging/x/login", "lms/token",
]  # fmt: skip
ORIGINS = [
    "https://e3os.co.uk.evil.test", "https://app.e3os.co.uk", "https://a.b.e3os.ai", "https://x.e3os.care",
    "https://x.e3os.net", "https://x.y.z.e3os.online", "http://localhost:5173", "http://localhost:5174",
    "http://localhost:4000", "http://localhost:8000", "http://localhost:3001",
    "https://crm-frontend-react.vercel.app", "https://finance-manager-ruby.vercel.app",
    "https://task-manager-two-plum.vercel.app",
]  # fmt: skip
REFUSED_ORIGINS = [
    ORIGINS.pop(0), "http://app.e3os.ai", "https://evil-e3os.ai", "https://app.e3os.io", "http://localhost:3000",
    "https://localhost:5173", "https://other.vercel.app", "http://crm-frontend-react.vercel.app",
]  # fmt: skip
DJANGO = ["auth_service", "applications-engine", "talent-engine"]


DEFAULTS = {
    "auth_service": ("http://auth-service:8001", 60),
    "applications-engine": ("http://job-applications:8003", 300),
    "talent-engine": ("http://talent-engine:8002", 300),
    "messaging": ("http://messaging:3000", 30),
    "lms": ("http://lms-app:8004", 300),
    "notifications": ("http://app:3001", 30),
    "hr": ("http://hr:8004", 300),
    "rostering": ("http://rostering:3005", 120),
    "project-manager": ("http://project-manager:8005", 120),
}


def test_default_urls_and_timeouts() -> None:
    settings = load({}, str(ROOT / "conf/e3os.toml"))
    found = {name: (service.url, service.timeout_s) for name, service in settings.services.items()}
    assert found == {name: ((url,), timeout_s) for name, (url, timeout_s) in DEFAULTS.items()}


@pytest.mark.parametrize(
    ("path", "timeout_s"),
    [
        ("/api/applications-engine/applications/screen-resumes/7", 900),
        ("/api/applications-engine/applications/parse-resume/autofill/", 600),
        ("/api/lms/upload", 600),
        ("/api/lms/uploads", 300),
        ("/api/hr/public/health/", 30),
        ("/api/rostering/public/health/", 30),
        ("/api/rostering/api/v1/health", 30),
        ("/api/project-manager/api/health/", 30),
        ("/api/hr/employees", 300),
        ("/api/login/", 60),
        ("/socket.io/", 30),
    ],
)
def test_timeouts_by_endpoint(path: str, timeout_s: float) -> None:
    settings = load({}, str(ROOT / "conf/e3os.toml"))
    assert RouteTable(settings).match(path).timeout_s == timeout_s


@pytest.fixture(scope="module")
def deployed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[GatewayProcess, dict[str, HonestUpstream]]]:
    services = {name: HonestUpstream() for name in VARIABLES}
    environ = {variable: services[name].url for name, variable in VARIABLES.items()}
    environ["FALCONGATE_CONFIG"] = str(ROOT / "conf/e3os.toml")
    gateway = GatewayProcess(tmp_path_factory.mktemp("e3os"), None, environ=environ)
    yield gateway, services
    gateway.stop()
    for service in services.values():
        service.stop()


@pytest.fixture
def gateway(deployed: tuple[GatewayProcess, dict[str, HonestUpstream]]) -> GatewayProcess:
    return deployed[0]


def _ask(gateway: GatewayProcess, method: str, target: str, *fields: tuple[str, str]) -> Answer:
    with Caller(gateway.address) as caller:
        return caller.exchange(method, target, fields)


def test_it_starts_without_any_variable(tmp_path) -> None:  # noqa: ANN001
    gateway = GatewayProcess(tmp_path, None, environ={"FALCONGATE_CONFIG": str(ROOT / "conf/e3os.toml")})
    gateway.stop()


@pytest.mark.parametrize("service", VARIABLES)
def test_each_service_is_where_its_variable_says(
    deployed: tuple[GatewayProcess, dict[str, HonestUpstream]], service: str
) -> None:
    gateway, services = deployed
    target = f"/api/{service}/a%20b//c/?x=&x=1"
    arrives = target if service != "notifications" else "/a%20b//c/?x=&x=1"
    answer = _ask(gateway, "GET", target)
    assert answer.body.json()["target"] == arrives
    assert answer.get("X-Gateway-Service") == service
    assert services[service].begun[-1] == arrives


@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("rest", ["", "/", "/x/?y=1"])
def test_shortcuts_lead_to_the_auth_service(gateway: GatewayProcess, shortcut: str, rest: str) -> None:
    answer = _ask(gateway, "GET", f"/api/{shortcut}{rest}")
    assert answer.body.json()["target"] == f"/api/{shortcut}{rest}"
    assert answer.get("X-Gateway-Service") == "auth_service"


def test_socket_io_leads_to_messaging(gateway: GatewayProcess) -> None:
    answer = _ask(gateway, "POST", "/socket.io/?EIO=4&transport=polling&sid=x")
    assert answer.body.json()["target"] == "/socket.io/?EIO=4&transport=polling&sid=x"
    assert answer.get("X-Gateway-Service") == "messaging"


@pytest.mark.parametrize("service", DJANGO)
def test_the_django_services_get_their_missing_slash(gateway: GatewayProcess, service: str) -> None:
    assert _ask(gateway, "POST", f"/api/{service}/x?y").body.json()["target"] == f"/api/{service}/x/?y"
    assert _ask(gateway, "GET", f"/api/{service}/x?y").body.json()["target"] == f"/api/{service}/x?y"


def test_rostering_gets_no_slash(gateway: GatewayProcess) -> None:
    assert _ask(gateway, "POST", "/api/rostering/x").body.json()["target"] == "/api/rostering/x"


CREDENTIALS = [("Authorization", "Bearer x"), ("Cookie", "access_token=1; theme=dark")]


@pytest.mark.parametrize("path", PUBLIC)
def test_public_paths_carry_no_credentials(gateway: GatewayProcess, path: str) -> None:
    headers = dict(_ask(gateway, "GET", f"/api/{path}", *CREDENTIALS).body.json()["headers"])
    assert "Authorization" not in headers
    assert headers["Cookie"] == "theme=dark"


@pytest.mark.parametrize("path", PRIVATE)
def test_other_paths_keep_them(gateway: GatewayProcess, path: str) -> None:
    headers = dict(_ask(gateway, "GET", f"/api/{path}", *CREDENTIALS).body.json()["headers"])
    assert (headers["Authorization"], headers["Cookie"]) == ("Bearer x", "access_token=1; theme=dark")


@pytest.mark.parametrize("origin", ORIGINS)
def test_the_front_ends_may_call(gateway: GatewayProcess, origin: str) -> None:
    asked = [
        ("Access-Control-Request-Method", "PATCH"),
        ("Access-Control-Request-Headers", "x-csrftoken,x-file-size"),
    ]
    answer = _ask(gateway, "OPTIONS", "/api/hr/x", ("Origin", origin), *asked)
    assert answer.get("Access-Control-Allow-Origin") == origin
    assert answer.get("Access-Control-Allow-Credentials") == "true"
    methods = {part.strip() for part in (answer.get("Access-Control-Allow-Methods") or "").split(",")}
    assert methods >= {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    allowed = {part.strip().lower() for part in (answer.get("Access-Control-Allow-Headers") or "").split(",")}
    wanted = (
        "accept accept-encoding authorization content-type dnt origin user-agent x-csrftoken "
        "x-requested-with x-file-size x-file-name"
    )
    assert allowed >= set(wanted.split())


@pytest.mark.parametrize("origin", REFUSED_ORIGINS)
def test_other_pages_may_not(gateway: GatewayProcess, origin: str) -> None:
    answer = _ask(gateway, "GET", "/api/hr/x", ("Origin", origin))
    assert answer.all("Access-Control-Allow-Origin") == []


def test_what_pages_may_read(gateway: GatewayProcess) -> None:
    answer = _ask(gateway, "GET", "/api/hr/x", ("Origin", ORIGINS[0]))
    exposed = {
        part.strip().lower() for part in (answer.get("Access-Control-Expose-Headers") or "").split(",")
    }
    assert exposed >= {
        "content-type",
        "authorization",
        "x-request-id",
        "ratelimit",
        "ratelimit-policy",
        "retry-after",
    }


def test_without_a_token_nothing_is_refused_and_the_log_says_that_it_would_be(
    gateway: GatewayProcess,
) -> None:
    answer = _ask(gateway, "GET", "/api/hr/x", ("X-User-ID", "root"))

    assert answer.status == 200
    assert "X-User-Id" not in {name.title() for name, _ in answer.body.json()["headers"]}
    assert gateway.logged(answer.get("X-Request-ID") or "")["would_refuse"] == ["signed-in"]
    public = _ask(gateway, "GET", "/api/hr/public/health/")
    assert "would_refuse" not in gateway.logged(public.get("X-Request-ID") or "")
