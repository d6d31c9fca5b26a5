"""The gateway as its operators run it: gunicorn processes, started, watched and ended."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.support.callers import Caller, request_bytes
from tests.support.upstreams import listen
from tests.support.wire import WireError

ROOT = Path(__file__).resolve().parents[2]
_ALARM = re.compile(
    r"Traceback \(most recent call last\)|Exception ignored|\[(?:ERROR|CRITICAL)\]"
    r'|"level": ?"(?:error|critical)"|gunicorn\.errors|BrokenPipe|Fatal Python',
    re.IGNORECASE,
)
_SERVER_TABLE = re.compile(r'^\["?server"?\]$', re.MULTILINE)
_OWN_REDIS = ("redis-server", "valkey-server")
_PASSED_ON = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "COVERAGE_PROCESS_START", "COVERAGE_FILE")


def environment() -> dict[str, str]:
    """What a program of ours is given of this environment, and where it finds the package."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"PYTHONPATH": str(ROOT)}


class GatewayFailed(AssertionError):
    """A process did what no process should, whatever the test's own assertions say."""


def until(happened: Callable[[], Any], what: str, *, within_s: float = 15.0) -> Any:  # noqa: ANN401
    """Ask again and again until the answer is true, and return it; fail at the deadline."""
    deadline = time.monotonic() + within_s
    while not (answer := happened()):
        if time.monotonic() > deadline:
            raise WireError(f"did not happen within {within_s} s: {what}")
        time.sleep(0.01)
    return answer


def is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def render_toml(document: Mapping[str, Any]) -> str:
    """A configuration as TOML; tables may nest, lists hold plain values only."""
    lines: list[str] = []
    _render_table(document, (), lines)
    return "\n".join(lines) + "\n"


def _render_table(table: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    if path:
        lines.append(f"[{'.'.join(json.dumps(part) for part in path)}]")
    tables = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    lines += [f"{json.dumps(key)} = {json.dumps(table[key])}" for key in table if key not in tables]
    for key, value in tables.items():
        _render_table(value, (*path, key), lines)


def _quick_to_stop(config: str) -> str:
    """The same, but nobody has to wait while it goes on listening, unless the test says for how long."""
    if "drain_listen_s" in config:
        return config
    found = _SERVER_TABLE.search(config)
    before, after = (config[: found.end()], config[found.end() :]) if found else (f"{config}\n[server]", "")
    return f"{before}\ndrain_listen_s = 0\n{after}"


class GatewayProcess:
    """One gunicorn master with its workers, on a listening socket that the test made.

    `pid` is the master's; a `launcher` is a command that has it as its only child. `tls` is how it is
    spoken to, `at` the address of its host.
    """

    def __init__(
        self,
        directory: Path,
        config: str | None,
        *,
        workers: int = 1,
        kind: str = "falcongate",
        environ: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        launcher: tuple[str, ...] = (),
        tls: ssl.SSLContext | None = None,
        at: str = "127.0.0.1",
    ) -> None:
        self.directory = directory
        self.kind = kind
        self._allowed: list[re.Pattern[str]] = []
        self._deaths_allowed = False
        directory.mkdir(parents=True, exist_ok=True)
        env = environment() | {"PYTHONUNBUFFERED": "1"}
        if config is not None:
            path = directory / "gateway.toml"
            path.write_text(_quick_to_stop(config), encoding="utf-8")
            env["FALCONGATE_CONFIG"] = str(path)
        self.tls = tls
        # The socket exists before the process does: no other test can take its port in between.
        with listen(at, backlog=2048) as listener:
            self.address: tuple[str, int] = listener.getsockname()
            command = [*launcher, sys.executable, "-m", "gunicorn", "-c", "conf/gunicorn.py"]
            command += ["--bind", f"fd://{listener.fileno()}", "--workers", str(workers)]
            command += ["--worker-class", "gevent"] if kind == "gevent" else []
            self._process = self._spawn(
                [*command, *arguments, "falcongate.wsgi:app"], env | dict(environ or {}), listener
            )
        self._wait_until_ready()
        if launcher:
            (self.pid,) = self.children()
        self.workers = until(lambda: self._children_if(workers), f"{workers} workers run")

    def _spawn(
        self, command: list[str], env: Mapping[str, str], listener: socket.socket
    ) -> subprocess.Popen[bytes]:
        with self._file("stdout").open("wb") as out, self._file("stderr").open("wb") as err:
            process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=(listener.fileno(),),
                start_new_session=True,
            )
        self.pid = process.pid
        return process

    def _file(self, stream: str) -> Path:
        return self.directory / f"{stream}.log"

    def _wait_until_ready(self) -> None:
        try:
            until(self._is_live, "the gateway answers /health/live/", within_s=30)
        except BaseException:
            self.kill()
            raise

    def _is_live(self) -> bool:
        if self._process.poll() is not None:
            raise GatewayFailed(f"the gateway ended at once:\n{self.stderr()[-4000:]}")
        try:
            with Caller(self.address, tls=self.tls) as caller:
                caller.send(request_bytes("GET", "/health/live/", [("Connection", "close")]))
                return caller.answer(within_s=2).status == 200
        except (OSError, WireError):
            return False

    def children(self) -> list[int]:
        """Process ids of the workers that run now."""
        return sorted(pid for pid, name in self._children() if name not in _OWN_REDIS)

    def own_redis(self) -> list[int]:
        """Process id of the Redis that it has started for its workers, if any runs."""
        return [pid for pid, name in self._children() if name in _OWN_REDIS]

    def _children(self) -> Iterator[tuple[int, str]]:
        with contextlib.suppress(OSError):
            pids = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
            for pid in map(int, pids.split()):
                with contextlib.suppress(OSError):
                    yield pid, Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()

    def _children_if(self, count: int) -> list[int]:
        children = self.children()
        return children if len(children) == count else []

    def stdout(self) -> str:
        """Everything on standard output so far."""
        return self._file("stdout").read_text(encoding="utf-8", errors="replace")

    def stderr(self) -> str:
        """Everything on standard error so far."""
        return self._file("stderr").read_text(encoding="utf-8", errors="replace")

    def log_lines(self) -> list[dict[str, Any]]:
        """The access log so far, one document a request."""
        lines = self.stdout().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def logged(self, request_id: str) -> dict[str, Any]:
        """The log line of one request, waited for."""
        line: dict[str, Any] = until(
            lambda: next((line for line in self.log_lines() if line.get("request_id") == request_id), None),
            f"a log line for {request_id}",
        )
        return line

    def memory_bytes(self, pid: int, name: str = "VmRSS") -> int:
        """One memory figure of a worker, from its /proc status: VmRSS now, VmHWM at its highest."""
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        match = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
        if match is None:
            raise GatewayFailed(f"no {name} of process {pid}")
        return int(match[1]) * 1024

    def forget_peak(self, pid: int) -> None:
        """Let VmHWM begin again at the present size."""
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")

    def signal(self, number: signal.Signals, pid: int | None = None) -> None:
        """Send a signal to a worker, or to the master."""
        os.kill(pid or self.pid, number)

    def allow(self, pattern: str) -> None:
        """From now on a line like this on standard error is expected."""
        self._allowed.append(re.compile(pattern))

    def allow_deaths(self) -> None:
        """From now on workers may end: the test ends them."""
        self._deaths_allowed = True

    def reload(self) -> set[int]:
        """Replace the workers, wait until as many new ones serve and the old ones know; the old ones."""
        old = set(self.children())
        told = self.stderr().count("retires")
        self.allow_deaths()
        self.signal(signal.SIGHUP)
        until(lambda: self.stderr().count("retires") - told == len(self.workers), "the old ones know")
        assert len(set(self.children()) - old) == len(self.workers)
        return old

    def alarms(self, since: int = 0) -> list[str]:
        """Lines of standard error, from the offset on, that no healthy gateway writes."""
        lines = self.stderr()[since:].splitlines()
        return [
            line
            for line in lines
            if _ALARM.search(line) and not any(pattern.search(line) for pattern in self._allowed)
        ]

    def check(self, since: int = 0) -> None:
        """Fail if a process logged an unexpected exception or a worker died unasked."""
        if alarms := self.alarms(since):
            raise GatewayFailed(f"on standard error: {alarms[0]}\n{self.stderr()[since:][-6000:]}")
        if not self._deaths_allowed and self.children() != self.workers:
            now = self.children()
            raise GatewayFailed(f"workers were {self.workers}, now {now}\n{self.stderr()[-4000:]}")

    def is_running(self) -> bool:
        """Whether the master still runs."""
        return self._process.poll() is None

    def wait(self, *, within_s: float) -> int:
        """Wait for the end of the master; its exit status."""
        return self._process.wait(within_s)

    def stop(self, *, within_s: float = 20) -> None:
        """End it as a platform does, and fail if anything on its way was not as it should be."""
        try:
            if self.is_running():
                self.check()
                self.signal(signal.SIGTERM)
                self.wait(within_s=within_s)
        except subprocess.TimeoutExpired:
            raise GatewayFailed(f"still there {within_s} s after SIGTERM\n{self.stderr()[-4000:]}") from None
        finally:
            self.kill()
        if alarms := self.alarms():
            raise GatewayFailed(f"while stopping: {alarms[0]}\n{self.stderr()[-6000:]}")

    def kill(self) -> None:
        """End every process of it, however it is; harmless if it is gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)


@contextlib.contextmanager
def takes(deadline_s: float, *, late_s: float = 1.5) -> Iterator[None]:
    """The block lasts as long as a deadline says; `late_s` is what a busy machine may add."""
    start = time.monotonic()
    yield
    took = time.monotonic() - start
    if not deadline_s - 0.1 <= took <= deadline_s + late_s:
        raise WireError(f"should have taken {deadline_s} s, took {took:.2f} s")
