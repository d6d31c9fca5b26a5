"""The repository as these tests read it: its folders, modules, functions and pages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "falcongate"
DOCS = ROOT / "docs"

_NOT_OURS = {".git", ".venv", ".hypothesis", "build", "__pycache__", "node_modules"}


def modules(folder: Path = PACKAGE) -> list[Path]:
    """Every Python module below a folder."""
    return sorted(folder.rglob("*.py"))


def pages() -> list[Path]:
    """Every page of prose."""
    return [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def name_of(path: Path) -> str:
    """A file's name as a contributor would write it: its path from the root."""
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function of a module, by its qualified name, with its length in lines."""
    yield from _functions_in(ast.parse(path.read_text("utf-8")), "")


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file that a clone of the repository would hold."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if any(part in _NOT_OURS or part.endswith(("_cache", ".egg-info")) for part in parts):
            continue
        if path.is_file():
            try:
                yield path, path.read_text("utf-8")
            except UnicodeDecodeError:
                continue  # raw requests of the corpus: bytes, not prose


def _functions_in(node: ast.AST, within: str) -> Iterator[tuple[str, int]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{within}{child.name}"
            if not isinstance(child, ast.ClassDef):
                yield name, (child.end_lineno or child.lineno) - child.lineno + 1
            yield from _functions_in(child, f"{name}.")
        else:
            yield from _functions_in(child, within)
