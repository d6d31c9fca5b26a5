"""The pages as a reader sees them: blocks with their language, commands, and what is shown under them."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.processes import ROOT

_FENCE = re.compile(r"^ {0,3}```(.*)$")
_NAMED = re.compile(r"^# ([\w./-]+\.\w+)$")
_ENDS_WITH = re.compile(r"# ends with status (\d+)\s*$")
_ASSIGNMENT = re.compile(r"^\w+=")
_WITHIN = re.compile(r"\$\(((?:[^()]|\([^()]*\))*)\)")
_REDIRECTION = re.compile(r"\d*[<>]+&?(\S*)$")
_TOGETHER = re.compile(r"\d*>&\d")
_VARIABLE = re.compile(r"\$\w+|\$\{\w+\}")
_KEYWORDS = frozenset("while until if then elif else do done fi ! { } exec time".split())  # noqa: SIM905  # as bash says it
_SOMETHING = "0123456789ab"
_OPERATORS = frozenset(["|", "||", "&&", ";", "&", "(", ")", "|&"])


@dataclass(frozen=True)
class Block:
    """What stands between two fences; `line` is that of the first of its own lines."""

    language: str
    text: str
    line: int
    is_under: bool
    """Whether nothing but empty lines stands between it and the block before."""

    @property
    def file(self) -> str | None:
        """The file that its first line names, in a comment: a reader writes the block there."""
        named = _NAMED.match(self.text.partition("\n")[0])
        return named[1] if named else None


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """All blocks of a page, in their order."""
    found: list[Block] = []
    language: str | None = None
    lines: list[str] = []
    is_under = False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if fence and language is None:
            language, lines = fence[1].strip(), []
        elif fence and language is not None:
            text = "".join(f"{each}\n" for each in lines)
            found.append(Block(language, text, number - len(lines), is_under))
            language, is_under = None, True
        elif language is not None:
            lines.append(line)
        elif line.strip():
            is_under = False
    if language is not None:
        raise ValueError(f"{page}: a block has no end")
    return tuple(found)


def pages() -> list[Path]:
    """Every page with blocks."""
    every = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in every if blocks(page)]


def name_of(page: Path) -> str:
    """How failures call it."""
    return page.relative_to(ROOT).as_posix()


def is_shell(text: str) -> str:
    """What bash says against a text; empty: nothing."""
    checked = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)  # noqa: S607  # any bash
    return checked.stderr if checked.returncode or "here-document" in checked.stderr else ""


def commands(text: str) -> list[str]:
    """The commands of a script, each as its lines: bash says where one is whole."""
    found: list[str] = []
    begun = ""
    for line in text.splitlines(keepends=True):
        if not begun and (not line.strip() or line.startswith("#")):
            continue
        begun += line
        if not line.endswith("\\\n") and not is_shell(begun):
            found.append(begun)
            begun = ""
    if begun:
        raise ValueError(f"is not whole: {begun!r}: {is_shell(begun)}")
    return found


def prompted(text: str) -> list[str]:
    """The commands of a session at a terminal: what stands behind `$ `, with the lines that go on.

    A line goes on behind a backslash, or with a `> ` right under the command.
    """
    found: list[str] = []
    is_typed, goes_on = False, False
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(line[2:] + "\n")
            is_typed = True
        elif goes_on or (is_typed and line.startswith("> ")):
            found[-1] += line.removeprefix("> ") + "\n"
        else:
            is_typed = False
        goes_on = is_typed and line.endswith("\\")
    return found


def status_of(command: str) -> int:
    """The status that a command should end with: 0, unless a comment behind it says another."""
    said = _ENDS_WITH.search(command)
    return int(said[1]) if said else 0


def calls(command: str) -> Iterator[list[str]]:
    """Each program that a command starts, with its arguments; those within `$(...)`, too.

    What stands in a variable is told as something that may well be an id.
    """
    for within in _WITHIN.findall(command):
        yield from calls(within)
    plain = _VARIABLE.sub(_SOMETHING, _WITHIN.sub(_SOMETHING, _TOGETHER.sub("", command)))
    lexer = shlex.shlex(plain.replace("\\\n", " "), posix=True, punctuation_chars=";|&()")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in _OPERATORS:
            words.append(word)
            continue
        while words and (words[0] in _KEYWORDS or _ASSIGNMENT.match(words[0])):
            words.pop(0)
        called = list(_without_redirections(words))
        if called and called[0] != "for":
            yield called
        words = []


def _without_redirections(words: list[str]) -> Iterator[str]:
    is_place = False
    for word in words:
        redirection = _REDIRECTION.match(word)
        if not is_place and redirection is None:
            yield word
        is_place = redirection is not None and not redirection[1]


def differs(shown: str, told: str) -> str:
    """How what was told differs from what a page shows; empty: it does not.

    `...` stands for anything in a line, and alone in one for any lines. Ids, times of day, and numbers
    with a fraction count as alike.
    """
    pattern = ""
    for line in _alike(shown):
        pattern += "(?:.*\n)*?" if line == "..." else ".*?".join(map(re.escape, line.split("..."))) + "\n"
    text = "".join(f"{line}\n" for line in _alike(told))
    return "" if re.fullmatch(pattern, text) else f"shown:\n{shown}\ntold:\n{told}"


_VOLATILE = (
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?"), "<time>"),
    (re.compile(r"\b\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"), "<time>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<id>"),
    (re.compile(r"\b\d+\.\d+\b(?!\.)"), "<number>"),
)


def _alike(text: str) -> list[str]:
    for volatile, instead in _VOLATILE:
        text = volatile.sub(instead, text)
    return [" ".join(line.split()) for line in text.replace("\r", "").strip("\n").splitlines()]
