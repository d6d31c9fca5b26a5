"""Keys of an issuer that several workers know together: who fetches them, when, and when not."""

from __future__ import annotations

from collections.abc import Mapping

import gevent
import pytest
from gevent.event import Event

from falcongate.admission import key_sets
from falcongate.admission.key_sets import KeysAway, KeySet, Pace
from falcongate.outages import KeysUnavailable
from falcongate.state.in_process import Fault
from falcongate.state.memory_store import MemoryState
from tests.support.tokens import Signer
from tests.unit.admission.proving import URL, Published

FIRST, SECOND = Signer("k1"), Signer("k2", number=2)


class Workers:
    """Workers on one shared state, whose time is moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1_000.0
        self.store = MemoryState(lambda: round(self.now_s * 1_000))
        self.published = Published(FIRST)
        self._count = 0
        monkeypatch.setattr(key_sets, "monotonic", lambda: self.now_s)

    def start(self) -> KeySet:
        """Another worker, which knows no keys yet."""
        self._count += 1
        pace = Pace(refresh_s=300, cooldown_s=30)
        owner = f"w{self._count}"
        return KeySet(URL, self.published.fetch, self.store, pace=pace, owner=owner, are_proven=True)

    def refresh(self, *workers: KeySet) -> None:
        """What each of them does once a second."""
        for worker in workers:
            worker.used_at = self.now_s
            worker.refresh_if_due()
            gevent.idle()


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    return Workers(monkeypatch)


def knows(keys: KeySet, signer: Signer) -> bool:
    return bool(keys.candidates("RS256", signer.key_id))


def test_one_worker_fetches_for_all(workers: Workers) -> None:
    started = [workers.start() for _ in range(3)]

    assert all(worker.load() and knows(worker, FIRST) for worker in started)
    assert len(workers.published.asked) == 1


def test_a_worker_that_starts_while_the_issuer_is_down_has_the_others_keys(workers: Workers) -> None:
    workers.start().load()
    workers.published.is_away = True
    workers.now_s += 3_000

    assert workers.start().load()


def test_keys_are_fetched_anew_by_one_worker_before_they_are_old(workers: Workers) -> None:
    one, other = workers.start(), workers.start()
    assert one.load()
    assert other.load()
    workers.published.signers = [SECOND]
    workers.now_s += 239
    workers.refresh(one, other)
    assert len(workers.published.asked) == 1

    workers.now_s += 62
    workers.refresh(one, other)

    assert len(workers.published.asked) == 2
    assert [knows(worker, SECOND) for worker in (one, other)] == [True, True]
    assert not knows(one, FIRST)


def test_keys_that_nobody_uses_are_not_fetched_anew(workers: Workers) -> None:
    keys = workers.start()
    keys.load()
    workers.now_s += 1_000
    keys.refresh_if_due()
    gevent.idle()

    assert len(workers.published.asked) == 1


def test_while_the_issuer_is_down_what_is_known_holds(workers: Workers) -> None:
    keys = workers.start()
    keys.load()
    generation = keys.generation
    workers.published.is_away = True
    for _ in range(20):
        workers.now_s += 300
        workers.refresh(keys)

    assert keys.load()
    assert knows(keys, FIRST)
    assert keys.generation == generation
    workers.published.is_away = False
    workers.now_s += 6
    workers.refresh(keys)
    workers.published.is_away = True
    assert knows(keys, FIRST)


def test_an_answer_that_is_no_set_of_keys_is_as_none(workers: Workers) -> None:
    keys = workers.start()
    keys.load()
    answers: list[Mapping[str, object]] = [{}, {"keys": "x"}, {"error": "x"}]
    workers.published.fetch = lambda _url: answers.pop()  # type: ignore[method-assign]
    while answers:
        workers.now_s += 400
        broken = workers.start()
        broken.load()
        broken._fetch = workers.published.fetch  # noqa: SLF001 - the answer is what is changed
        workers.refresh(broken)

    assert knows(broken, FIRST)


def test_an_issuer_may_take_all_its_keys_back(workers: Workers) -> None:
    keys = workers.start()
    keys.load()
    workers.published.signers = []
    workers.now_s += 301
    workers.refresh(keys)

    assert keys.load()
    assert not knows(keys, FIRST)


def test_a_new_key_is_looked_for_once_for_all_workers(workers: Workers) -> None:
    one, other = workers.start(), workers.start()
    one.load()
    other.load()
    workers.published.signers.append(SECOND)
    workers.now_s += 1

    assert one.look("k2")
    assert other.look("k2")
    assert [knows(worker, SECOND) for worker in (one, other)] == [True, True]
    assert len(workers.published.asked) == 2


def test_who_has_waited_for_an_issuer_in_vain_does_not_ask_it_again(workers: Workers) -> None:
    keys = workers.start()
    keys.load()
    workers.now_s += 1
    is_asked, gives_up = Event(), Event()

    def stall(url: str) -> Mapping[str, object] | None:
        workers.published.asked.append(url)
        is_asked.set()
        gives_up.wait()
        raise KeysAway("it has stalled")

    keys._fetch = stall  # noqa: SLF001 - the answer is what is changed
    first = gevent.spawn(keys.look, "k2")
    is_asked.wait()
    workers.now_s += 5
    second = gevent.spawn(keys.look, "k3")
    gevent.idle()
    gives_up.set()
    gevent.joinall([first, second])

    assert isinstance(first.exception, KeysUnavailable)
    assert isinstance(second.exception, KeysUnavailable)
    assert len(workers.published.asked) == 2


def test_a_key_that_is_not_there_is_not_looked_for_again_on_any_worker(workers: Workers) -> None:
    one, other = workers.start(), workers.start()
    one.load()
    other.load()
    assert not one.look("evil")
    for _ in range(5):
        workers.now_s += 4
        assert not one.look("evil")
    with gevent.Timeout(5):
        looking = gevent.spawn(other.look, "evil")
        gevent.idle()
        workers.now_s += 1
        assert not looking.get()
    assert len(workers.published.asked) == 2

    workers.now_s += 31
    assert not one.look("evil")
    assert len(workers.published.asked) == 3


def test_any_number_of_made_up_names_leads_to_few_looks(workers: Workers) -> None:
    keys = workers.start()
    keys.load()
    for number in range(1_000):
        assert not keys.look(f"evil{number}")
        workers.now_s += 0.01

    assert len(workers.published.asked) <= 1 + 10 / 3 + 1


def test_those_who_wait_for_the_same_wait_together(workers: Workers) -> None:
    keys, arrived, go = workers.start(), Event(), Event()
    fetch = workers.published.fetch

    def slow(url: str) -> Mapping[str, object] | None:
        arrived.set()
        go.wait(5)
        return fetch(url)

    keys._fetch = slow  # noqa: SLF001 - how long it takes is what is changed
    waiting = [gevent.spawn(keys.load) for _ in range(20)]
    assert arrived.wait(5)
    go.set()

    assert all(greenlet.get(timeout=5) for greenlet in waiting)
    assert len(workers.published.asked) == 1


def test_an_unknown_key_while_the_issuer_is_down_may_be_a_good_one(workers: Workers) -> None:
    keys = workers.start()
    keys.load()
    workers.published.is_away = True

    for _ in range(10):
        with pytest.raises(KeysUnavailable):
            keys.look("k2")
    assert len(workers.published.asked) == 2


def test_who_asks_while_nothing_can_be_had_is_not_kept_waiting(workers: Workers) -> None:
    workers.published.is_away = True
    keys = workers.start()
    for _ in range(5):
        with pytest.raises(KeysUnavailable):
            keys.load()
    workers.published.is_away = False
    workers.now_s += 6
    with pytest.raises(KeysUnavailable):
        keys.load()
    gevent.idle()

    assert keys.load()
    assert len(workers.published.asked) == 2


def test_what_an_issuer_does_not_have_is_not_asked_for_again_at_once(workers: Workers) -> None:
    workers.published.missing = {URL}
    keys = workers.start()

    assert [keys.load() for _ in range(3)] == [False] * 3
    assert len(workers.published.asked) == 1
    workers.published.missing = set()
    workers.now_s += 31
    assert keys.load()


def test_without_the_shared_state_each_worker_fetches_for_itself(workers: Workers) -> None:
    workers.store.fault = Fault.AWAY
    one, other = workers.start(), workers.start()

    assert one.load()
    assert other.load()
    assert len(workers.published.asked) == 2
    workers.published.signers.append(SECOND)
    assert one.look("k2")


def test_what_is_shared_and_older_than_our_own_is_left(workers: Workers) -> None:
    one, other = workers.start(), workers.start()
    one.load()
    workers.now_s += 10
    workers.store.fault = Fault.AWAY
    workers.published.signers = [SECOND]
    other.load()
    workers.store.fault = None
    workers.now_s += 1
    # Somebody has just looked, so that this worker has no turn.
    workers.store.lease(f"keys-look:{URL}", limit=1, owner="another", ttl_s=60)
    looking = gevent.spawn(other.look, "k3")
    gevent.idle()
    workers.now_s += 2
    assert not looking.get(timeout=5)

    assert knows(other, SECOND)
