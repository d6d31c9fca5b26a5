"""The pages that take longest do what they say; they are apart so that they run beside the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pages import name_of
from tests.support.processes import ROOT
from tests.support.redis_servers import SERVER, RedisServer
from tests.system.test_documentation_run import ELSEWHERE, run, server, tree

__all__ = ["server", "tree"]

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")


@pytest.mark.parametrize("page", [ROOT / name for name in ELSEWHERE], ids=name_of)
def test_a_page_does_what_it_says(page: Path, tree: Path, tmp_path: Path, server: RedisServer) -> None:
    run(page, tree, tmp_path, server)
