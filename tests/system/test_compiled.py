"""The gateway with its hot modules compiled, from the wheel that scripts/compile has built of this source."""

from __future__ import annotations

import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.callers import request_bytes
from tests.support.honest import BLOCK, blocks_crc
from tests.support.processes import ROOT
from tests.support.world import Plan, Visit, running


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel was unpacked."""
    this = f"cp{sys.version_info.major}{sys.version_info.minor}"
    wheels = sorted(ROOT.glob(f"dist/falcongate-*-{this}-*.whl"))
    if not wheels:
        pytest.skip("nothing is compiled for this Python; scripts/compile does it")
    folder = tmp_path_factory.mktemp("compiled")
    zipfile.ZipFile(wheels[-1]).extractall(folder)
    for module in folder.glob("falcongate/**/*.py"):
        source = ROOT / module.relative_to(folder)
        if not source.is_file() or module.read_bytes() != source.read_bytes():
            pytest.skip(f"{module.name} is another one than was compiled; scripts/compile does it anew")
    return folder


@pytest.fixture(scope="module")
def world(compiled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """A gateway that runs what was compiled."""
    plan = Plan(
        "compiled",
        scripted=2,
        arguments=("--chdir", str(compiled)),
        # gunicorn puts the folder that it is started from before all others, where it is not yet.
        environ={"PYTHONPATH": f"{compiled}:{ROOT}", "PYTHONSAFEPATH": "1"},
    )
    with running(plan, tmp_path_factory.mktemp("site")) as site:
        visit = Visit(site)
        yield visit
        visit.leave()


def test_its_workers_run_what_was_compiled(world: Visit, compiled: Path) -> None:
    for pid in world.gateway.workers:
        mapped = Path(f"/proc/{pid}/maps").read_text("ascii")
        assert f"{compiled}/falcongate/server/connection." in mapped
        assert f"{ROOT}/falcongate/" not in mapped


def test_requests_with_and_without_a_body_share_a_connection(world: Visit) -> None:
    with world.caller() as caller:
        for number in range(3):
            assert caller.get(f"/api/honest/x?{number}").status == 200
            echo = caller.exchange("POST", "/api/honest/x", body=BLOCK[: 50_000 + number]).json()
            assert echo["body_bytes"] == 50_000 + number


def test_answers_to_requests_that_come_at_once_are_sent_once_and_in_order(world: Visit) -> None:
    with world.caller() as caller:
        caller.send(b"".join(request_bytes("GET", f"/api/honest/x?{number}") for number in range(5)))
        for number in range(5):
            assert str(caller.answer().json()["target"]).endswith(f"?{number}")
        caller.expect_silence()


@pytest.mark.parametrize("framing", ["fixed", "chunked"])
def test_a_large_body_arrives_whole(world: Visit, framing: str) -> None:
    count = 3_000_000
    with world.caller() as caller:
        answer = caller.get(f"/api/honest/{framing}?bytes={count}")
        assert (len(answer.content), zlib.crc32(answer.content)) == (count, blocks_crc(count))


def test_what_is_refused_and_what_fails_is_told(world: Visit) -> None:
    gone = world.service(lambda _: None)
    assert world.get("/api/honest/%2e%2e%2fx").status == 400
    assert world.get("/api/nobody/x").status == 404
    assert world.get(gone.path()).status == 502
    with world.caller() as caller:
        caller.send(b"GET /api/honest/x HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n")
        assert caller.answer().status == 400
    assert world.get("/health/live/").status == 200
