"""Every page does what it says: its files are written and its commands typed, in order, one test a page."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.pages import blocks, name_of, pages
from tests.support.reader import Reader
from tests.support.redis_servers import SERVER

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

PROGRAMS = ("bash", "curl", "patch", "openssl", "redis-cli")
ELSEWHERE = ("docs/extending.md", "docs/migrating.md", "docs/operating.md")
"""Pages that take longest; `test_documentation_run_long.py` has them, beside these."""


def run(page: Path, folder: Path) -> None:
    """Do all that a page says."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    reader = Reader(folder / "falcongate")
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
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    run(page, tmp_path)
