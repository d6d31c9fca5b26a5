"""TLS with callers: how it is spoken, how it begins, and how a renewed certificate is taken up.

gunicorn knows the files, by its own names; what it would do with them by itself is not asked. Connections
that exist go on with what they began with.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import gevent

from falcongate.wire.certificates import warning_of_end, why_no_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gunicorn.config import Config

    from falcongate.config.settings import ServerSettings
    from falcongate.config.tls import CallerTlsSettings

_log: Final = logging.getLogger("falcongate")
_LOOK_EVERY_S: Final = 2.0
_TELL_EVERY_S: Final = 60.0
_MAX_REASONS: Final = 64
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_VERIFY: Final = {"off": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
# Whoever only looks whether the port is open is nobody to tell of.
_JUST_LEFT: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError)

_Stamp = tuple[int, int, int] | None


class CallerTls:
    """TLS with the callers of one worker. `make` reads the files anew; it raises OSError or ValueError.

    Takes an SSLContext's place in servers that are not ours: they ask it for `wrap_socket` alone.
    """

    def __init__(
        self, make: Callable[[], ssl.SSLContext], files: Iterable[str | None], *, handshake_s: float
    ) -> None:
        self._make = make
        self._files = tuple(file for file in files if file)
        self._handshake_s = handshake_s
        self._stamps = self._stamps_now()
        self._doubted: tuple[_Stamp, ...] | None = None
        self._next_look = monotonic() + _LOOK_EVERY_S
        self._failures = _Failures()
        self._context = make()
        self._warn_of_end()

    def renew(self) -> None:
        """Take up files that have changed, if they can be used. To be called often; does not wait."""
        now = monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY_S
        self._failures.tell(now)
        stamps = self._stamps_now()
        if stamps == self._stamps:
            self._doubted = None
            return
        try:
            self._context = self._make()
        except (OSError, ValueError) as error:
            # Certificate and key are two files: perhaps only one of them has been written yet.
            if stamps == self._doubted:
                self._stamps = stamps
                why = f"{why_no_pair(error)} ({error})"
                _log.error("The renewed certificate cannot be used, the old one goes on: %s", why)
            self._doubted = stamps
        else:
            self._stamps = stamps
            _log.info("Took up the renewed certificate: %s", ", ".join(self._files))
            self._warn_of_end()

    def shake_hands(self, sock: Any) -> Any:
        """The socket inside TLS; None, and it is closed, if the caller did not speak it in time.

        To be called in the caller's own greenlet: it waits, and keeps nobody else waiting.
        """
        secure = sock
        try:
            secure = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            with gevent.Timeout(self._handshake_s, _TookTooLong):
                secure.do_handshake()
        except (OSError, _TookTooLong) as error:
            secure.close()
            self._failures.note(error)
            return None
        return secure

    def wrap_socket(self, sock: Any, **options: Any) -> Any:
        """The same for a server that is not ours: its greenlet ends if there is no TLS."""
        del options  # there is no other way than ours
        self.renew()
        secure = self.shake_hands(sock)
        if secure is None:
            raise gevent.GreenletExit
        return secure

    def _stamps_now(self) -> tuple[_Stamp, ...]:
        return tuple(map(_stamp_of, self._files))

    def _warn_of_end(self) -> None:
        if self._files and (warning := warning_of_end(self._files[0])):
            _log.warning("%s", warning)


class _TookTooLong(Exception):
    """The handshake was not over in time, however steadily it went on."""


class _Failures:
    """Handshakes that failed: told at once, then together, as anybody can cause any number of them."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._next = 0.0

    def note(self, error: Exception) -> None:
        if isinstance(error, _JUST_LEFT):
            _log.debug("A caller left in its TLS handshake: %s", error)
            return
        why = _why_failed(error)
        self._counts[why if why in self._counts or len(self._counts) < _MAX_REASONS else "other"] += 1
        self.tell(monotonic())

    def tell(self, now: float) -> None:
        if not self._counts or now < self._next:
            return
        self._next = now + _TELL_EVERY_S
        reasons = ", ".join(f"{why} ({count})" for why, count in self._counts.most_common())
        _log.info("TLS handshakes of callers failed: %s", reasons)
        self._counts.clear()


def gunicorn_tls(tls: CallerTlsSettings) -> dict[str, Any]:
    """The same in gunicorn's words, so that it knows of it and its command line can win."""
    return {
        "certfile": tls.cert_file,
        "keyfile": tls.key_file,
        "ca_certs": tls.client_ca_file,
        "cert_reqs": int(_VERIFY[tls.client_certificates]),
    }


def caller_tls(server: ServerSettings) -> Callable[[Config, Callable[[], ssl.SSLContext]], CallerTls]:
    """The hook `ssl_context` for these settings; gunicorn shows hooks by their names, so it must have one."""

    def ssl_context(conf: Config, _default: Callable[[], ssl.SSLContext]) -> CallerTls:
        def make() -> ssl.SSLContext:
            return _context(conf, _VERSIONS[server.tls.minimum_version])

        files = (conf.certfile, conf.keyfile, conf.ca_certs)
        return CallerTls(make, files, handshake_s=server.head_timeout_s)

    return ssl_context


def _context(conf: Config, minimum_version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = minimum_version
    # SECURITY: a caller could make us compute handshakes for ever, or tell our answers by their length.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    if conf.ciphers:
        context.set_ciphers(conf.ciphers)
    # Without a password of our own, OpenSSL would ask for one on the terminal.
    context.load_cert_chain(conf.certfile, conf.keyfile, password="")
    if conf.ca_certs:
        context.load_verify_locations(conf.ca_certs)
    context.verify_mode = ssl.VerifyMode(conf.cert_reqs)
    return context


def _why_failed(error: Exception) -> str:
    if isinstance(error, _TookTooLong):
        return "not finished in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    return str(getattr(error, "reason", None) or error).lower().replace("_", " ")


def _stamp_of(file: str) -> _Stamp:
    """What changes when the file, or what a link leads to, is another one."""
    try:
        stat = os.stat(file)  # noqa: PTH116  # the least that it costs
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
