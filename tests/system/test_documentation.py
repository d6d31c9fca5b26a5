"""Every block on every page is of a language that something here reads; one test a page."""

from __future__ import annotations

import configparser
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from falcongate.cli import _parser
from scripts.benchmarks import run
from tests.support.pages import Block, blocks, calls, commands, is_shell, name_of, pages, prompted
from tests.support.processes import ROOT

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
FOREIGN = frozenset(
    """
    apt-get awk cat cd certbot chmod cp curl date diff dig docker echo export git grep gunicorn head
    helm heroku honcho install journalctl jq kill kubectl ls mkdir mv nginx openssl pip podman pre-commit
    printf ps redis-cli redis-server rm scp sed seq sleep ssh sudo systemctl systemd-analyze
    systemd-creds systemd-run tail tar tee test timeout tr true useradd wait watch wc xargs
    """.split()  # noqa: SIM905  # one a line would be a page
)
"""Programs that are not ours: what they are told is read as bash, and no more."""


def checks_bash(block: Block) -> None:
    """Of whole commands, which `test_documentation_run.py` runs."""
    assert commands(block.text)


def checks_console(block: Block) -> None:
    """What cannot be run here: programs that exist, of ours with options that exist."""
    typed = prompted(block.text)
    assert typed, "a session at a terminal has commands behind `$ `"
    for command in typed:
        assert not is_shell(command), is_shell(command)
        _checks_command(command)


def _checks_command(command: str) -> None:
    for program, *arguments in calls(command):
        name = program.removeprefix(".venv/bin/")
        if name == "falcongate":
            _checks_ours(arguments)
        elif name in ("python", "python3"):
            _checks_module(arguments)
        elif name == "scripts/bench":
            _checks_bench(arguments)
        elif name.startswith(("scripts/", ".ci/")):
            assert (ROOT / name).is_file(), f"there is no {name}"
        else:
            assert name in FOREIGN, f"{name} is no program that these tests know"


def _checks_ours(arguments: list[str]) -> None:
    try:
        _parser().parse_args(arguments)
    except SystemExit as ended:
        if ended.code:
            raise AssertionError(f"falcongate does not take {arguments}") from None


def _checks_bench(arguments: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["scripts/bench", *arguments])
        run._parse()  # noqa: SLF001  # what it takes is known there alone


def _checks_module(arguments: list[str]) -> None:
    if arguments[:1] == ["-m"]:
        assert importlib.util.find_spec(arguments[1]), f"there is no {arguments[1]}"


def checks_json(block: Block) -> None:
    """A document, or one in each line."""
    try:
        json.loads(block.text)
    except json.JSONDecodeError:
        for line in block.text.splitlines():
            json.loads(line)


def checks_yaml(block: Block) -> None:
    """Any number of documents."""
    assert list(yaml.safe_load_all(block.text))


def checks_ini(block: Block) -> None:
    """Such as a unit of systemd, where a name may stand more than once, or a file of variables."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), interpolation=None)
    is_divided = re.search(r"^\[", block.text, re.MULTILINE)
    parser.read_file(io.StringIO(block.text if is_divided else f"[variables]\n{block.text}"))
    assert parser.sections()


def checks_http(block: Block) -> None:
    """The head of a request or of an answer, or some of its fields."""
    head = block.text.partition("\n\n")[0].splitlines()
    if re.fullmatch(r"HTTP/1\.1 \d{3} .+|[A-Z]+ \S+ HTTP/1\.1", head[0]):
        head = head[1:]
    for line in head:
        assert re.fullmatch(r"[A-Za-z0-9-]+: \S.*", line), line


def checks_nginx(block: Block, folder: Path) -> None:
    """`nginx -t`, of a whole configuration or of what may stand in a `location`."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    text = block.text
    if "server {" not in text:
        text = f"server {{ listen 127.0.0.1:1; location / {{ proxy_pass http://127.0.0.1:2; {text} }} }}"
    if "http {" not in text:
        places = "".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = f"events {{}} http {{ access_log off; {places} {text} }}"
    file = folder / "nginx.conf"
    file.write_text(f"pid {folder}/pid; {text}", "utf-8")
    _runs([NGINX, "-t", "-q", "-e", "stderr", "-c", str(file)])


def checks_promql(block: Block, folder: Path) -> None:
    """Each line that is not empty is an expression."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian: prometheus) is not installed")
    rules = [
        {"alert": "Shown", "expr": line} for line in block.text.splitlines() if line and line[0] not in " #"
    ]
    file = folder / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "shown", "rules": rules}]}), "utf-8")
    _runs([promtool, "check", "rules", str(file)])


def checks_js(block: Block, folder: Path) -> None:
    """Read by Node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node (Debian: nodejs) is not installed")
    file = folder / "shown.mjs"
    file.write_text(block.text, "utf-8")
    _runs([node, "--check", str(file)])


def _runs(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603  # programs above
    assert done.returncode == 0, done.stdout + done.stderr


def checks_python(block: Block) -> None:
    """Compiled here, and run by `test_documentation_run.py`."""
    compile(block.text, "shown", "exec")


def checks_diff(block: Block) -> None:
    """Applied to a copy of the tree by `test_documentation_run.py`; the files are there."""
    files = re.findall(r"^--- a/(\S+)$", block.text, re.MULTILINE)
    assert files
    assert not [file for file in files if not (ROOT / file).is_file()]


def checks_procfile(block: Block) -> None:
    """Names of processes, and bash behind them."""
    for line in block.text.splitlines():
        name, colon, command = line.partition(": ")
        assert name.isalnum()
        assert colon
        _checks_command(command)


def checks_mermaid(block: Block) -> None:
    """Drawn by whoever shows the page; what kind of picture it is stands in its first line."""
    assert re.match(r"(flowchart|sequenceDiagram|stateDiagram-v2)\b", block.text)


def passes(_: Block) -> None:
    """Read elsewhere: `toml` in `architecture/test_docs.py`; `text` is what commands say, or a drawing."""


ALONE: dict[str, Callable[[Block], None]] = {
    "bash": checks_bash,
    "console": checks_console,
    "diff": checks_diff,
    "http": checks_http,
    "ini": checks_ini,
    "json": checks_json,
    "mermaid": checks_mermaid,
    "procfile": checks_procfile,
    "python": checks_python,
    "text": passes,
    "toml": passes,
    "yaml": checks_yaml,
}
WITH_A_FILE: dict[str, Callable[[Block, Path], None]] = {
    "js": checks_js,
    "nginx": checks_nginx,
    "promql": checks_promql,
}


def checks(block: Block, folder: Path) -> None:
    """Check a block by its language; AssertionError or ValueError if it is not as it must be."""
    assert block.language in {**ALONE, **WITH_A_FILE}, f"no test knows the language {block.language!r}"
    if block.language in ALONE:
        ALONE[block.language](block)
    else:
        WITH_A_FILE[block.language](block, folder)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_block_of_a_page_is_sound(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        try:
            checks(block, tmp_path)
        except (AssertionError, ValueError, yaml.YAMLError, configparser.Error) as error:
            raise AssertionError(f"{name_of(page)}:{block.line}: {error}") from None


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("bash", "if true\n"),
        ("bash", "# nothing\n"),
        ("console", "falcongate check\n"),
        ("console", "$ falcongate reloads | tee x\n"),
        ("console", "$ falcongate breaker look\n"),
        ("console", "$ rnu-this\n"),
        ("http", "no field\n"),
        ("ini", "no section\n"),
        ("json", "{\n"),
        ("python", "def\n"),
        ("yaml", "a: [\n"),
        ("cobol", "\n"),
        ("", "\n"),
    ],
)
def test_what_is_not_sound_is_found(language: str, text: str, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, ValueError, SyntaxError, yaml.YAMLError, configparser.Error)):
        checks(Block(language, text, 1, is_under=False), tmp_path)
