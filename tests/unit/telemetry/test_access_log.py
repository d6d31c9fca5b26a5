"""One line per request: JSON whatever a caller has sent, and none lost without a word."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace

import gevent
import pytest
from prometheus_client import REGISTRY

from falcongate.config.telemetry import LogSettings
from falcongate.telemetry import access_log
from falcongate.telemetry.access_log import (
    AccessLog,
    access_log_of,
    render_dropped,
    shares_of,
)
from falcongate.telemetry.log_line import render_line
from tests.support.turns import until
from tests.unit.telemetry.records import USUAL


class Reader:
    """Stands for standard output: takes a few bytes at a time, until it has gone."""

    def __init__(self, takes_bytes: int = 1_000_000) -> None:
        self.takes_bytes = takes_bytes
        self.has_gone = self.is_terminal = self.is_full = self.fills = False
        self.goes_after: int | None = None
        self.asked = 0
        self.data = b""

    def write(self, number: int, data: memoryview) -> int:
        """As os.write does it."""
        assert number == 1
        self.asked += 1
        if self.has_gone or (self.goes_after is not None and len(self.data) >= self.goes_after):
            raise BrokenPipeError
        self.is_full = self.fills and not self.is_full
        if self.is_full:
            raise BlockingIOError
        taken = bytes(data[: self.takes_bytes])
        self.data += taken
        return len(taken)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Who reads what is logged."""
    made = Reader()
    monkeypatch.setattr(
        access_log, "os", SimpleNamespace(write=made.write, isatty=lambda _: made.is_terminal)
    )
    return made


def json_log(**shares: float) -> AccessLog:
    """A log for programs; `shares` are of statuses, after an `s`."""
    of_statuses = {int(name[1:]): share for name, share in shares.items()}
    return AccessLog(render_line, render_dropped=render_dropped, shares=of_statuses)


def dropped() -> float:
    """What the metric says."""
    return REGISTRY.get_sample_value("falcongate_log_lines_dropped_total") or 0


@pytest.mark.parametrize("takes_bytes", [1, 7, 1_000_000])
def test_every_line_arrives_in_order_however_little_is_taken_at_a_time(
    reader: Reader, takes_bytes: int
) -> None:
    reader.takes_bytes = takes_bytes
    log = json_log()
    records = [USUAL._replace(status=200 + number) for number in range(4)]
    expected = "".join(render_line(record) for record in records).encode()
    log.write(records[:1])
    log.write(records[1:])
    until(lambda: len(reader.data) >= len(expected))
    assert reader.data == expected


def test_nothing_is_written_while_a_request_waits(reader: Reader) -> None:
    json_log().write([USUAL])
    assert reader.asked == 0
    until(lambda: reader.data.endswith(b"\n"))


def test_lines_that_come_later_are_written_as_well(reader: Reader) -> None:
    log = json_log()
    for count in (1, 2, 3):
        log.write([USUAL])
        until(lambda count=count: reader.data.count(b"\n") == count)  # type: ignore[misc]


def test_many_lines_are_written_at_once(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "_PAUSE_S", 1.0)
    log = json_log()
    log.write([USUAL])
    until(lambda: reader.asked == 1)
    for _ in range(20):
        log.write([USUAL])
        gevent.sleep(0)
    until(lambda: reader.data.count(b"\n") == 21)
    assert reader.asked == 2


def test_a_line_says_how_many_were_dropped(reader: Reader) -> None:
    log = json_log()
    before = dropped()
    flood = [USUAL._replace(path="/" + "a" * 20_000)] * 500
    log.write(flood)
    log.write(flood)
    until(lambda: b"dropped" in reader.data[-100:])
    *lines, last = reader.data.splitlines()
    assert len(lines) > 100
    assert json.loads(last) == {"dropped_lines": 1_000 - len(lines)}
    assert dropped() - before == 1_000 - len(lines)
    reader.data = b""
    log.write([USUAL])
    until(lambda: reader.data.endswith(b"\n"))
    assert reader.data == render_line(USUAL).encode()


def test_a_descriptor_that_does_not_wait_loses_nothing(reader: Reader) -> None:
    reader.takes_bytes = 40
    reader.fills = True
    before = dropped()
    json_log().write([USUAL] * 5)
    until(lambda: reader.data.count(b"\n") == 5)
    assert reader.data == render_line(USUAL).encode() * 5
    assert dropped() == before


def test_of_what_a_reader_left_behind_the_lines_are_counted(reader: Reader) -> None:
    line = len(render_line(USUAL))
    reader.takes_bytes = line
    reader.goes_after = 2 * line
    before = dropped()
    json_log().write([USUAL] * 5)
    until(lambda: dropped() == before + 3)


@pytest.mark.parametrize(("goes_after", "lost"), [(None, 0), (0, 5)])
def test_what_is_left_at_the_end_is_written_or_counted(
    reader: Reader, goes_after: int | None, lost: int
) -> None:
    reader.goes_after = goes_after
    before = dropped()
    log = json_log()
    log._lines += [render_line(USUAL)] * 5  # noqa: SLF001  # as if the process ended at once
    log._write_rest()  # noqa: SLF001
    assert (reader.data.count(b"\n"), dropped() - before) == (5 - lost, lost)


def test_a_reader_that_has_gone_is_nobodys_failure(
    reader: Reader, capsys: pytest.CaptureFixture[str]
) -> None:
    reader.has_gone = True
    before = dropped()
    log = json_log()
    log.write([USUAL])
    until(lambda: dropped() == before + 1)
    assert reader.asked == 1
    reader.has_gone = False
    log.write([USUAL])
    until(lambda: reader.data.endswith(b"\n"))
    assert reader.data == render_line(USUAL).encode()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("sample", "shares"),
    [
        ({}, {}),
        ({"2xx": 1, "404": 1.0}, {}),
        ({"404": 0.5}, {404: 0.5}),
        ({"204": 0, "304": 0.25}, {204: 0, 304: 0.25}),
    ],
)
def test_only_statuses_of_which_some_get_no_line_are_looked_at(
    sample: dict[str, float], shares: dict[int, float]
) -> None:
    assert shares_of(sample) == shares


@pytest.mark.parametrize("sample", [{"4xx": 0.1, "404": 0.9, "401": 1}, {"401": 1, "404": 0.9, "4xx": 0.1}])
def test_a_single_status_goes_before_its_class(sample: dict[str, float]) -> None:
    shares = shares_of(sample)
    assert shares.keys() == set(range(400, 500)) - {401}
    assert shares[404] == 0.9
    assert {shares[status] for status in shares if status != 404} == {0.1}


def test_of_sampled_statuses_the_share_gets_a_line_and_of_all_others_all_do(reader: Reader) -> None:
    drawn = iter([0.0, 0.49, 0.5, 0.99, 0.2, 0.0, 0.7])
    log = AccessLog(
        render_line, render_dropped=render_dropped, shares={200: 0.5, 404: 0}, draw=lambda: next(drawn)
    )
    log.write([USUAL._replace(status=status) for status in (200, 200, 200, 200, 500, 200, 404, 201)])
    until(lambda: reader.data.count(b"\n") >= 5)
    statuses = Counter(json.loads(line)["status"] for line in reader.data.splitlines())
    assert statuses == {200: 3, 500: 1, 201: 1}


@pytest.mark.parametrize(
    ("form", "is_terminal", "is_plain", "begins"),
    [
        ("json", True, False, b"{"),
        ("auto", False, False, b"{"),
        ("auto", True, True, b"2"),
        ("console", False, False, b"2"),
        ("console", True, True, b"2"),
        ("auto", True, False, b"2"),
    ],
)
def test_the_form_is_as_the_operator_says_or_what_the_reader_is(
    reader: Reader,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    *,
    is_terminal: bool,
    is_plain: bool,
    begins: bytes,
) -> None:
    monkeypatch.setattr("falcongate.telemetry.console._moment", lambda _: "22:13:20")
    reader.is_terminal = is_terminal
    log = access_log_of(LogSettings.model_validate({"format": form}), is_plain=is_plain)
    log.write([USUAL])
    until(lambda: reader.data.endswith(b"\n"))
    assert reader.data.startswith(begins)
    has_colours = b"\x1b[" in reader.data
    assert has_colours == (is_terminal and not is_plain and form != "json")
