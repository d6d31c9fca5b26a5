"""What workers' files add up to: the same that prometheus_client's own collector makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import mmap_dict
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from falcongate.telemetry import exposition, families
from falcongate.telemetry.exposition import OPENMETRICS, TEXT, Exposition
from falcongate.telemetry.families import Family, series_of
from falcongate.telemetry.metric_files import DIRECTORY_VARIABLE, absorb

LABELS = st.sampled_from(["", "hr", 'with "quotes"', "back\\slash", "two\nlines", "ü"])
VALUES = st.integers(0, 1_000).map(float)


def write(directory: Path, worker: int, counts: dict[str, float], seconds: dict[str, list[float]]) -> None:
    """The files of one worker."""
    counter = MmapedDict(str(directory / f"counter_{worker}.db"))
    for label, value in counts.items():
        counter.write_value(mmap_key("c", "c_total", ["l"], [label], 'a "help"\nof two lines'), value, 0)
    histogram = MmapedDict(str(directory / f"histogram_{worker}.db"))
    for label, values in seconds.items():
        for at, bound in enumerate(("0.5", "1.0", "10.0", "+Inf")):
            key = mmap_key("h", "h_bucket", ["l", "le"], [label, bound], "help")
            histogram.write_value(key, values[at % len(values)], 0)
        histogram.write_value(mmap_key("h", "h_sum", ["l"], [label], "help"), sum(values), 0)
    for mode in ("livesum", "livemin", "livemax"):
        gauge = MmapedDict(str(directory / f"gauge_{mode}_{worker}.db"))
        for label, value in counts.items():
            gauge.write_value(mmap_key(f"g_{mode}", f"g_{mode}", ["l"], [label], "help"), value, 0)
        gauge.close()
    counter.close()
    histogram.close()


def told_by_prometheus(directory: Path) -> set[tuple[str, tuple[tuple[str, str], ...], float]]:
    """What its collector makes of the files."""
    files = [str(path) for path in directory.glob("*.db")]
    return {
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in MultiProcessCollector.merge(files)
        for sample in family.samples
    }


@pytest.fixture(scope="module", autouse=True)
def small_files() -> Iterator[None]:
    """Many are made."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mmap_dict, "_INITIAL_MMAP_SIZE", 4_096)
        yield


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.mark.parametrize("parse", ["prometheus", "openmetrics"])
@settings(max_examples=50)  # it waits for the disk
@given(
    workers=st.lists(
        st.tuples(
            st.dictionaries(LABELS, VALUES, max_size=4),
            st.dictionaries(LABELS, st.lists(VALUES, min_size=1, max_size=4), max_size=3),
        ),
        min_size=1,
        max_size=4,
    ),
    gone=st.sets(st.integers(0, 3)),
)
def test_it_is_what_prometheus_makes_of_them(
    directory: Path,
    parse: str,
    workers: list[tuple[dict[str, float], dict[str, list[float]]]],
    gone: set[int],
) -> None:
    for path in directory.iterdir():
        path.unlink()
    for number, (counts, seconds) in enumerate(workers):
        write(directory, number, counts, seconds)
    for worker in gone:
        for gauge in directory.glob(f"gauge_*_{worker}.db"):
            gauge.unlink()
    expected = told_by_prometheus(directory)
    absorb(directory, gone)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(families, "copy_of_environment", lambda: {DIRECTORY_VARIABLE: str(directory)})
        content_type = TEXT if parse == "prometheus" else OPENMETRICS
        text = Exposition(lambda: ()).render(content_type).decode()
    read = (
        text_string_to_metric_families
        if parse == "prometheus"
        else openmetrics.text_string_to_metric_families
    )
    told = {
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in read(text)
        for sample in family.samples
    }
    assert told == expected


def test_a_gauge_is_told_as_its_metric_says(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in directory.iterdir():
        path.unlink()
    write(directory, 1, {"a": 3}, {})
    write(directory, 2, {"a": 5}, {})
    monkeypatch.setattr(families, "copy_of_environment", lambda: {DIRECTORY_VARIABLE: str(directory)})
    told = families.collect(lambda: None)
    values = {name: family.samples[0][1] for name, family in told.items()}
    assert values == {"c": 8, "g_livesum": 8, "g_livemin": 3, "g_livemax": 5}


def test_what_two_releases_word_otherwise_is_one_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for worker, (help_, value) in enumerate((("before", 3.0), ("after", 5.0))):
        for kind, metric, sample, labels in (
            ("counter", "c", "c_total", {"l": "hr"}),
            ("histogram", "h", "h_bucket", {"l": "hr", "le": "+Inf"}),
            ("gauge_livemin", "g", "g", {"l": "hr"}),
        ):
            shared = MmapedDict(str(tmp_path / f"{kind}_{worker}.db"))
            shared.write_value(mmap_key(metric, sample, list(labels), list(labels.values()), help_), value, 0)
            shared.close()
    monkeypatch.setattr(families, "copy_of_environment", lambda: {DIRECTORY_VARIABLE: str(tmp_path)})
    told = families.collect(lambda: None)
    assert [value for _, value in told["c"].samples] == [8]
    assert [value for _, value in told["g"].samples] == [3]
    assert [value for _, value in told["h"].buckets['{l="hr"}'].values()] == [8]


def test_a_directory_that_is_gone_is_not_made_up_for_by_one_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = str(tmp_path / "gone")
    monkeypatch.setattr(families, "copy_of_environment", lambda: {DIRECTORY_VARIABLE: gone})
    with pytest.raises(OSError, match="gone"):
        families.collect(lambda: None)


def test_a_rendering_gives_way_to_requests(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()
    write(directory, 1, {f"label-{number}": 1 for number in range(2_000)}, {})
    monkeypatch.setattr(families, "copy_of_environment", lambda: {DIRECTORY_VARIABLE: str(directory)})
    monkeypatch.setattr(exposition, "_SLICE_S", 0.0)
    monkeypatch.setattr(exposition, "_REST_S", 0.0)
    turns = []

    def request() -> None:
        while True:
            turns.append(1)
            gevent.sleep(0)

    other = gevent.spawn(request)
    Exposition(lambda: ()).render(TEXT)
    other.kill()
    assert len(turns) > 30


def test_scrapes_at_the_same_time_share_one_rendering() -> None:
    asked = []

    def more() -> tuple[Family, ...]:
        asked.append(1)
        gevent.sleep(0.01)
        return (_one("shared_by_all"),)

    shared = Exposition(more)
    renderings = [gevent.spawn(shared.render, TEXT) for _ in range(5)]
    renderings.append(gevent.spawn(shared.render, OPENMETRICS))
    gevent.joinall(renderings, raise_error=True)
    texts = [rendering.get() for rendering in renderings]
    assert len(asked) == 2
    assert len(set(texts[:5])) == 1
    assert all(b"shared_by_all" in text for text in texts)
    shared.render(TEXT)
    assert len(asked) == 3


def test_a_rendering_that_fails_fails_for_all_and_the_next_is_a_new_one() -> None:
    fails = [True]

    def more() -> tuple[Family, ...]:
        gevent.sleep(0.01)
        if fails.pop():
            raise OSError("the disk is gone")
        return ()

    shared = Exposition(more)
    renderings = [gevent.spawn(shared.render, TEXT) for _ in range(2)]
    for rendering in renderings:
        rendering.join()
        assert isinstance(rendering.exception, OSError)
    fails.append(False)
    assert shared.render(TEXT)


def _one(name: str) -> Family:
    family = Family(name, "gauge", "help")
    family.add(series_of(name, name, {}, "help"), 1)
    return family
