"""The order in which greenlets that could all go on do so."""

from __future__ import annotations

from gevent import get_hub, getcurrent


def await_turn() -> None:
    """Let all others go first whose bytes have arrived. Waits for nobody's peer.

    PERF: what many requests have to send goes out in one go then. The processor does one thing
    many times in place of many things once, and those who are sent to are woken up once: a sixth
    of the CPU under load. A lone request loses 2 us by it.
    """
    hub = get_hub()
    callback = hub.loop.run_callback(getcurrent().switch)
    try:
        hub.switch()
    except BaseException:
        # It would wake this greenlet out of whatever it waits for next.
        callback.stop()
        raise
