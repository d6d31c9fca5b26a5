"""What masters say of themselves, and whom nobody listens to."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from falcongate.server import notice
from falcongate.server.notice import Notice

HERE = Notice(os.getpid(), "http://127.0.0.1:8000", "3fa9c2d1", new=2, wanted=2)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it is said."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"falcongate-run-{os.geteuid()}"


def test_what_is_said_is_read_until_something_else_is_said(directory: Path) -> None:
    assert list(notice.read_all()) == []
    notice.write(HERE)
    assert notice.read(os.getpid()) == HERE
    notice.write(replace(HERE, reloads=2).ended(2, "refused", "a\nb").ended(1, "done"))
    (said,) = notice.read_all()
    assert [said.end_of(number) for number in (1, 2, 3)] == [("done", ""), ("refused", "a\nb"), None]
    notice.withdraw(os.getpid())
    assert notice.read(os.getpid()) is None
    notice.withdraw(os.getpid())
    assert directory.stat().st_mode & 0o777 == 0o700


def test_who_is_gone_says_nothing_and_is_forgotten(directory: Path) -> None:
    notice.write(HERE)
    gone = subprocess.run(  # our own command
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    left = directory / f"{int(gone.stdout)}.json"
    left.write_text(
        (directory / f"{os.getpid()}.json").read_text("utf-8").replace(str(os.getpid()), left.stem)
    )
    assert [each.pid for each in notice.read_all()] == [os.getpid()]
    notice.write(HERE)
    assert not left.exists()


def test_another_process_of_the_same_number_is_not_it(directory: Path) -> None:
    notice.write(HERE)
    path = directory / f"{os.getpid()}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"began": "1"}))
    assert notice.read(os.getpid()) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"began": 1, "pid": "x"}', '{"began": 1, "more": 2}', "\xff"]
)
def test_what_cannot_be_read_says_nothing(directory: Path, text: str) -> None:
    notice.write(HERE)
    (directory / "123.json").write_text(text, "latin-1")
    assert list(notice.read_all()) == [HERE]


def test_where_others_may_write_nothing_is_said_and_nobody_is_heard(directory: Path) -> None:
    notice.write(HERE)
    directory.chmod(0o770)
    assert list(notice.read_all()) == []
    with pytest.raises(PermissionError):
        notice.write(HERE)


def test_a_link_to_a_directory_is_none(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    directory.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError):
        notice.write(HERE)


def test_only_the_last_ends_are_said() -> None:
    said = HERE
    for number in range(1, 30):
        said = said.ended(number, "done")
    assert len(said.ends) == 8
    assert said.end_of(29) == ("done", "")
    assert said.end_of(1) is None


@pytest.mark.parametrize("target", ["/dev/zero", "elsewhere.json"])
def test_what_is_no_file_of_its_own_is_not_read(directory: Path, tmp_path: Path, target: str) -> None:
    notice.write(HERE)
    own = directory / f"{os.getpid()}.json"
    (tmp_path / "elsewhere.json").write_text(own.read_text("utf-8"), "utf-8")
    own.unlink()
    own.symlink_to(tmp_path / target)
    assert list(notice.read_all()) == []


def test_a_pipe_holds_nobody_up(directory: Path) -> None:
    notice.write(HERE)
    os.mkfifo(directory / "7.json")
    assert list(notice.read_all()) == [HERE]
