"""What is read of a machine: files of cgroups in both versions, platforms by their marks."""

from __future__ import annotations

from pathlib import Path

import pytest

from falcongate.server.machine import read_machine, room_for_callers, workers_unasked


def lay_out(root: Path, files: dict[str, str]) -> Path:
    """Files below a root that stands for a machine's."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root


@pytest.mark.parametrize(
    ("files", "memory", "cores"),
    [
        ({}, None, None),
        (
            {
                "proc/self/cgroup": "0::/",
                "sys/fs/cgroup/memory.max": "max\n",
                "sys/fs/cgroup/cpu.max": "max 100000",
            },
            None,
            None,
        ),
        (
            {
                "proc/self/cgroup": "0::/a/b",
                "sys/fs/cgroup/a/memory.max": "536870912\n",
                "sys/fs/cgroup/a/b/memory.max": "max",
                "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n",
            },
            536_870_912,
            1.5,
        ),
        # As on a dyno: version 1, and a path that is another outside.
        (
            {
                "proc/self/cgroup": "9:memory:/user/x\n3:cpu,cpuacct:/user/x\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            1_073_741_824,
            0.5,
        ),
        (
            {
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            None,
            None,
        ),
        ({"proc/self/cgroup": "no such line\n", "sys/fs/cgroup/cpu.max": "some words"}, None, None),
    ],
)
def test_limits_of_cgroups(
    tmp_path: Path, files: dict[str, str], memory: int | None, cores: float | None
) -> None:
    machine = read_machine({}, lay_out(tmp_path, files))
    assert (machine.memory_bytes, machine.quota_cores) == (memory, cores)


@pytest.mark.parametrize(
    ("environ", "files", "platform"),
    [
        ({"DYNO": "web.1"}, {".dockerenv": ""}, "Heroku"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {"run/.containerenv": ""}, "Kubernetes"),
        ({}, {".dockerenv": ""}, "a container"),
        ({"INVOCATION_ID": "1"}, {}, "systemd"),
        ({"INVOCATION_ID": "1", "SHLVL": "1"}, {}, "none"),
        ({}, {}, "none"),
    ],
)
def test_platforms(tmp_path: Path, environ: dict[str, str], files: dict[str, str], platform: str) -> None:
    assert read_machine(environ, lay_out(tmp_path, files)).platform == platform


def test_the_queue_of_callers(tmp_path: Path) -> None:
    assert read_machine({}, tmp_path).backlog is None
    assert read_machine({}, lay_out(tmp_path, {"proc/sys/net/core/somaxconn": "128\n"})).backlog == 128


def test_where_metrics_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "made/at/the/start"
    machine = read_machine({"PROMETHEUS_MULTIPROC_DIR": str(given)})
    assert machine.temporary == str(given)
    assert machine.free_bytes > 0
    assert not given.exists()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert read_machine({}).temporary == str(tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_place_for_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    assert read_machine({}).temporary is None


def test_this_machine_has_cores() -> None:
    assert 1 <= workers_unasked() <= 4
    assert read_machine({}).cores >= 1


@pytest.mark.parametrize(
    ("open_files", "room"), [(None, 1_000), (2_100, 1_000), (2_099, 999), (100, 1), (1, 1)]
)
def test_each_caller_may_need_two_descriptors(open_files: int | None, room: int) -> None:
    assert room_for_callers(1_000, open_files) == room
