"""Every page does what it says: its files are written and its commands typed, in order, one test a page."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.fixtures import redis_server
from tests.support.pages import blocks, name_of, pages
from tests.support.reader import Reader, copy_tree
from tests.support.redis_servers import SERVER, RedisServer

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

PROGRAMS = ("bash", "curl", "patch")
ELSEWHERE = ("docs/extending.md", "docs/getting-started.md", "docs/migrating.md", "docs/operating.md")
"""Pages that take longest; `test_documentation_run_long.py` has them, beside these."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What readers copy."""
    folder = tmp_path_factory.mktemp("tree") / "falcongate"
    copy_tree(folder)
    return folder


server = redis_server("module")


def run(page: Path, tree: Path, folder: Path, server: RedisServer) -> None:
    """Do all that a page says."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    with server.client() as client:
        client.flushall()
    reader = Reader(tree, folder / "falcongate", server.url)
    try:
        for block in blocks(page):
            try:
                reader.reads(block)
            except AssertionError as error:
                raise AssertionError(f"{name_of(page)}:{block.line}: {error}") from None
    finally:
        reader.leaves()


def is_run(page: Path) -> bool:
    """Whether a page has commands."""
    return any(block.language == "bash" for block in blocks(page))


@pytest.mark.parametrize(
    "page", [page for page in pages() if is_run(page) and name_of(page) not in ELSEWHERE], ids=name_of
)
def test_a_page_does_what_it_says(page: Path, tree: Path, tmp_path: Path, server: RedisServer) -> None:
    run(page, tree, tmp_path, server)
