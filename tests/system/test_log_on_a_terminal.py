"""The access log on a terminal: to be read, and obeyed by nobody."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from tests.support.callers import Caller
from tests.support.processes import ROOT, environment, render_toml, until
from tests.support.programs import answers, get
from tests.support.redis_servers import SERVER, free_port
from tests.support.tokens import now_s

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

SIGNING_SECRET = "s3cr3t-" + "k" * 40


@contextlib.contextmanager
def on_a_terminal(directory: Path, **environ: str) -> Iterator[tuple[int, tuple[str, int]]]:
    """A gateway whose standard output is a terminal: our end of that, and where it listens."""
    config = directory / "gateway.toml"
    settings = {
        "services": {"gone": {"url": "http://127.0.0.1:1"}},
        "issuers": {"ours": {"algorithms": "HS256", "secret": SIGNING_SECRET}},
        "access": {"known": {"identity": "optional"}},
    }
    config.write_text(render_toml(settings), "utf-8")
    address = ("127.0.0.1", free_port())
    ours, its = pty.openpty()
    os.set_blocking(ours, False)
    command = [sys.executable, "-m", "falcongate", "serve", "--config", str(config), "--workers", "1"]
    process = subprocess.Popen(  # noqa: S603  # our own command
        [*command, "--bind", f"127.0.0.1:{address[1]}"],
        cwd=ROOT,
        env=environment() | environ,
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: answers(address), "the gateway answers", within_s=30)
        yield ours, address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        os.close(ours)
        os.close(its)


@pytest.mark.parametrize("is_plain", [False, True])
def test_on_a_terminal_lines_are_readable_and_obey_nobody(tmp_path: Path, *, is_plain: bool) -> None:
    """Of all that a caller says, signs that a terminal obeys come through in the subject of its token."""
    evil = jwt.encode({"sub": "\x1b]0;x\x07\x1b[2J\r\nGET", "exp": now_s() + 600}, SIGNING_SECRET)
    with on_a_terminal(tmp_path, **({"NO_COLOR": "1"} if is_plain else {})) as (terminal, address):
        with Caller(address) as caller:
            caller.send(b"GET /api/gone/\\x1b[2J?secret=1 HTTP/1.1\r\nHost: a\r\n\r\n")
            assert caller.answer().status == 400
        with Caller(address) as caller:
            assert caller.get("/api/gone/evil", [("Authorization", f"Bearer {evil}")]).status == 502
        get(address, "/api/gone/x")
        seen = b""

        def has_come() -> bool:
            nonlocal seen
            with contextlib.suppress(BlockingIOError):
                seen += os.read(terminal, 65_536)
            return b"/api/gone/x" in seen and seen.endswith(b"\n")

        until(has_come, "the line is on the terminal")
    text = seen.decode("ascii")
    lines = [line for line in text.splitlines() if "/api/" in line]
    assert r"GET /api/gone/\\x1b[2J ambiguous-path" in lines[0]
    assert r"token:\x1b]0;x\x07\x1b[2J\r\nGET" in next(line for line in lines if "/evil" in line)
    line = re.sub(r"\x1b\[\d+m", "", lines[-1])
    pattern = (
        r"\d\d:\d\d:\d\d\.\d{3} 502 GET /api/gone/x -> gone http://127.0.0.1:1 (\(2 attempts\) )?"
        r"service-unreachable \(.*refused\) [\d.]+ ms \d+ bytes 127.0.0.1 [0-9a-f]+"
    )
    assert re.fullmatch(pattern, line), line
    ours = {"\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[2m", "\x1b[0m"}
    found = set(re.findall(r"\x1b.{0,4}?m", text))
    assert found == set() if is_plain else found <= ours
    assert "\x1b" not in re.sub(r"\x1b\[(?:3[123]|2|0)m", "", text)
    assert "secret" not in text
