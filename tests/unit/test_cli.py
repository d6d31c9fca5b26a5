"""The operator's commands, as far as they print and judge; what they start is `tests/system/test_cli.py`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from falcongate.cli import main

CORPUS = Path(__file__).parents[1] / "corpus/requests/refused"

CONFIG = """
public_paths = ["/api/hr/public/**", "/api/messaging/open"]

[endpoint_timeouts]
upload = 600

[redis]
url = "redis://:a-secret@redis.test/0"

[services.hr]
url = "http://10.0.0.7:8004"
timeout_s = 300
append_slash = true

[services.hr-deep]
url = "https://10.0.0.8"
paths = ["/api/hr/deep"]
preserve_host = true
tls.insecure_skip_verify = true

[services.messaging]
url = ["http://10.0.0.9:3000", "http://10.0.0.9:3001"]
paths = ["/api/messaging", "/socket.io"]
strip_prefix = "/api"
add_prefix = "/v2"
"""


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own settings."""
    for name in ("FALCONGATE_CONFIG", "MICROSERVICE_URLS", "REDIS_URL", "PORT", "WEB_CONCURRENCY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(tmp_path: Path) -> str:
    """The path of a configuration file."""
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return str(path)


@pytest.fixture
def mistaken(tmp_path: Path) -> str:
    """The path of a file with two mistakes."""
    path = tmp_path / "mistaken.toml"
    path.write_text('server_timming = true\n[services.hr]\nurl = "hr:8004"\n', encoding="utf-8")
    return str(path)


def words(line: str) -> list[str]:
    """The columns of a line."""
    return [word.strip() for word in line.split("  ") if word.strip()]


def explained(capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """What `explain` has printed, by its first column."""
    lines: dict[str, list[str]] = {}
    for line in capsys.readouterr().out.splitlines()[2:]:
        key, _, text = line.partition("  ")
        lines.setdefault(key, []).append(text.strip())
    return lines


def test_check_says_what_is_set_and_masks_secrets(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", config]) == 0
    out = capsys.readouterr().out
    assert "3 services" in out
    assert "services.hr.append_slash = true" in out
    assert "endpoint_timeouts.upload = 600" in out
    assert "redis.url = " in out
    assert "a-secret" not in out
    assert "services.hr.idle_timeout_s" not in out
    assert "warning: services.hr-deep.tls.insecure_skip_verify is on" in out


@pytest.mark.parametrize(
    ("program", "settings", "said"),
    [
        ("/bin/redis-server", "", "a Redis of the gateway's own, /bin/redis-server, forgotten at the end"),
        ("/bin/redis-server", 'embedded_directory = "/kept"', "own, /bin/redis-server, kept in /kept"),
        ("/bin/redis-server", 'url = "redis://h"', "the Redis of redis.url"),
        (None, "", "none, each worker keeps its own; set REDIS_URL, or install redis-server"),
    ],
)
def test_check_says_where_the_shared_state_would_be(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    program: str | None,
    settings: str,
    said: str,
) -> None:
    monkeypatch.setattr("falcongate.cli.find_program", lambda: program)
    path = tmp_path / "gateway.toml"
    path.write_text(f"[redis]\n{settings}\n", encoding="utf-8")
    assert main(["check", "--config", str(path)]) == 0
    assert f"{said}.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", [["check"], ["routes"], ["serve"], ["explain", "GET", "/api/hr/x"]], ids=lambda words: words[0]
)
def test_every_command_reports_all_mistakes_and_ends_with_status_2(
    command: list[str], mistaken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--config", mistaken]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "did you mean server_timing?" in printed.err
    assert "services.hr.url" in printed.err


def test_the_schema_is_json_and_knows_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json-schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert "services" in schema["properties"]


def test_routes_are_a_table_in_the_order_of_paths(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["routes", "--config", config]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [words(line) for line in lines[:5]] == [
        ["PATH", "SERVICE", "TARGETS", "TIMEOUT", "PUBLIC", "REWRITING"],
        ["/api/hr", "hr", "http://10.0.0.7:8004", "300 s", "1", "append /"],
        ["/api/hr/deep", "hr-deep", "https://10.0.0.8", "30 s", "-", "-"],
        ["/api/messaging", "messaging", "http://10.0.0.9:3000, http://10.0.0.9:3001", "30 s", "1",
         "strip /api, add /v2"],
        ["/socket.io", "messaging", "http://10.0.0.9:3000, http://10.0.0.9:3001", "30 s", "-", "add /v2"],
    ]  # fmt: skip
    assert len({line.index(words(line)[2]) for line in lines[:5]}) == 1
    assert "  /api/hr/public/**" in lines
    assert "  600 s  upload" in lines


def test_explain_tells_the_whole_way_of_a_request(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "POST", "/api/hr/deep%2Dend/upload?x=%2F", "--config", config]) == 0
    told = explained(capsys)
    assert told["judged as"] == ["/api/hr/deep-end/upload"]
    assert told["route"] == ["/api/hr -> hr"]
    assert "passed over" not in told
    assert told["sends"] == ["POST /api/hr/deep%2Dend/upload/?x=%2F HTTP/1.1"]
    assert told["to"] == ["http://10.0.0.7:8004 (Host: 10.0.0.7:8004)"]
    assert told["first byte"] == ['600 s (endpoint_timeouts."upload")']
    assert told["pauses"] == ["60 s (default)"]
    assert told["public"][0].startswith("no")
    assert told["limit"] == ["none applies"]


def test_explain_names_the_routes_that_were_passed_over(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "--config", config, "GET", "/api/hr/deep/x"]) == 0
    told = explained(capsys)
    assert told["route"] == ["/api/hr/deep -> hr-deep"]
    assert told["passed over"] == ["/api/hr -> hr: shorter"]
    assert told["rewriting"] == ["none: byte for byte"]
    assert told["to"] == ["https://10.0.0.8 (Host: the caller's)"]
    assert told["first byte"] == ["30 s (default)"]


def test_explain_tells_prefixes_targets_and_what_public_paths_lose(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "GET", "http://a.test/api/messaging/open/?q", "--config", config]) == 0
    told = explained(capsys)
    assert told["sends"] == ["GET /v2/messaging/open/?q HTTP/1.1"]
    assert len(told["to"]) == 2
    assert told["public"] == ["yes; removed: Authorization, cookies access_token, refresh_token, sessionid"]


def test_explain_says_where_a_service_s_own_timeout_comes_from(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["explain", "GET", "/api/hr/x", "--config", config])
    assert explained(capsys)["first byte"] == ["300 s (services.hr.timeout_s)"]


@pytest.mark.parametrize(
    "path", ["/health", "/health/", "/health/live/", "/metrics", "/admin/", "/ws/hr", "/ws/hr/x/y"]
)
def test_explain_knows_the_gateway_s_own_paths(
    path: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "GET", path, "--config", config]) == 0
    assert explained(capsys)["answered by"] == ["the gateway itself"]


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", "/api/nobody/x", "404 no-route"),
        ("GET", "/healthy", "404 no-route"),
        ("GET", "/api/hr/../x", "400 ambiguous-path"),
        ("GET", "/api/hr/a%2fb", "400 ambiguous-path"),
        ("GET", "/api/hr#x", "400 ambiguous-path"),
        ("GET", "api/hr", "400 malformed-request"),
        ("GET", "/api/hr/a b", "400 malformed-request"),
        ("TRACE", "/api/hr", "405 method-not-allowed"),
        ("get", "/api/hr", "501 not-implemented"),
        ("GET", "/api/hr/" + "x" * 9_000, "414 uri-too-long"),
        ("GET", "http:///api/hr", "400 malformed-request"),
        ("GET", "/api/hr?x HTTP/1.1\r\nX-Injected: y", "400 malformed-request"),
        ("GET /api/hr HTTP/1.1\r\nX-Injected:", "/api/hr", "400 malformed-request"),
    ],
)
def test_explain_gives_the_reason_of_a_refusal(
    config: str, capsys: pytest.CaptureFixture[str], *, method: str, path: str, answer: str
) -> None:
    assert main(["explain", method, path, "--config", config]) == 1
    (told,) = explained(capsys)["refused"]
    assert told.startswith(f"{answer}: ")


@pytest.mark.parametrize("case", sorted(CORPUS.glob("path-*.http")), ids=lambda path: path.stem)
def test_explain_refuses_what_the_gateway_refuses(
    case: Path, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    method, target = case.read_bytes().split(b"\r\n")[0].rsplit(b" ", 1)[0].split(b" ", 1)
    assert main(["explain", method.decode(), os.fsdecode(target), "--config", config]) == 1
    expected = json.loads(case.with_suffix(".json").read_text("utf-8"))["status"]
    assert explained(capsys)["refused"][0].startswith(f"{expected} ")


@pytest.mark.parametrize("bind", ["8000", ":8000", "127.0.0.1:", "127.0.0.1:http", "unix:/tmp/x"])
def test_a_demonstration_says_what_address_it_wants(bind: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--serve", "--bind", bind])
    assert ended.value.code == 2
    assert "argument --bind: must be" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["0", "-1", "many", "257"])
def test_a_number_of_workers_that_is_none_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--workers", value])
    assert ended.value.code == 2
    assert "must be a number from 1 to 256" in capsys.readouterr().err


def test_serve_hands_its_options_to_gunicorn(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[tuple[Any, ...]] = []

    def execve(*call: object) -> None:
        started.append(call)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execve", execve)
    with pytest.raises(SystemExit):
        main(["serve", "--config", config, "--bind", "127.0.0.1:1", "--workers", "3"])
    ((program, command, environ),) = started
    assert (program, command[0]) == (sys.executable, sys.executable)
    assert command[3:] == [
        "-c", "python:falcongate.server.gunicorn_conf", "--bind", "127.0.0.1:1", "--workers", "3",
        "falcongate.wsgi:app",
    ]  # fmt: skip
    assert environ["FALCONGATE_CONFIG"] == config
    assert "insecure_skip_verify is on" in capsys.readouterr().err
