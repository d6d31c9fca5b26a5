"""The head of a request: accepts one meaning or refuses.

Pure: bytes in, values out. llhttp rejects most ambiguous framing; here is what it lets through
and we must not (Transfer-Encoding in HTTP/1.0, a request without a version, `HTTP/2.0`), and
the sizes. What a path or a host means is not decided here.
"""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from falcongate.refusals import HeadTooLarge, MalformedRequest, TargetTooLong, UnsupportedCoding
from falcongate.wire.fields import Field, FieldBlock, fields_of, known_fields
from falcongate.wire.framing import FramingError, parse_content_length

if TYPE_CHECKING:
    from falcongate.config.settings import ServerSettings

# PERF: the methods and targets of nearly all requests; whatever else there is goes through llhttp.
_REQUEST_LINE: Final = re.compile(
    rb"(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (/[!-\"$-\[\]-~]*) HTTP/1\.([01])\r\n"
)
_OTHER_REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP/1\.([01])\r\n")
_SALVAGED_METHOD: Final = re.compile(rb"(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) ")
_SALVAGED_FIELD: Final = re.compile(
    rb"(?<=\r\n)(?:origin|x-request-id):[ ]?[!-~]{1,255}(?=\r\n)", re.IGNORECASE
)
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_METHOD_BEGINS: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,40}(?: |$)")


# What httptools asks a protocol for; absent attributes would cost it an exception each.
_CALLBACKS: Final = (
    "on_url", "on_header", "on_headers_complete", "on_body",
    "on_message_begin", "on_message_complete", "on_chunk_header", "on_chunk_complete",
)  # fmt: skip
_NO_CALLBACKS: Final = SimpleNamespace(**dict.fromkeys(_CALLBACKS))


class RequestHead:
    """What the head of one request says.

    `block` has its fields, in their order, without those whose name has an underscore, and the
    same as WSGI wants it. `content_length` is None when there is no such field, or when the body
    comes in chunks. `is_http11` is False for HTTP/1.0.
    """

    __slots__ = (
        "block",
        "content_length",
        "is_chunked",
        "is_http11",
        "keep_alive",
        "method",
        "target",
    )

    def __init__(self, method: str, target: str, *, is_http11: bool, block: FieldBlock) -> None:
        self.method = method
        self.target = target
        self.is_http11 = is_http11
        self.block = block
        self.content_length: int | None = None
        self.is_chunked = False
        self.keep_alive = is_http11


def check_unfinished(data: bytes, settings: ServerSettings) -> None:
    """Refuse early what can no longer become a request: too long, or not HTTP/1.1 at all."""
    if len(data) > settings.max_request_line_bytes and b"\n" not in data:
        raise TargetTooLong
    if len(data) > settings.max_head_bytes:
        raise HeadTooLarge
    if _BARE_LF.search(data) or not _METHOD_BEGINS.match(data):
        raise MalformedRequest("The request does not begin like an HTTP/1.1 request.")


def salvage_head(data: bytes) -> RequestHead:
    """What can be told of a head that is refused: enough for its page to read the answer, and no more."""
    method = _SALVAGED_METHOD.match(data)
    fields = [Field(line) for line in _SALVAGED_FIELD.findall(data)[:2]]
    return RequestHead(
        method[1].decode("ascii") if method else "GET", "/", is_http11=True, block=_block_of(b"", fields)
    )


def parse_head(data: bytes, settings: ServerSettings, previous: FieldBlock) -> RequestHead:
    """Read a whole head, from the request line to the empty line.

    `previous` is the block of the request before on this connection. Raises a Refusal that says
    what is wrong; then the connection cannot be used again.
    """
    line_end = data.find(b"\r\n")
    if line_end > settings.max_request_line_bytes:
        raise TargetTooLong
    if len(data) > settings.max_head_bytes:
        raise HeadTooLarge
    line = _REQUEST_LINE.match(data)
    if line is None:
        line = _OTHER_REQUEST_LINE.match(data)
        if line is None:
            raise MalformedRequest("The request line is not a method, a target and HTTP/1.1.")
        _judge(data)
    block = previous
    if len(data) != line_end + len(previous.data) or not data.endswith(previous.data):
        fields = known_fields(data)
        if fields is None:
            _judge(data)
            fields = fields_of(data)
        if len(fields) > settings.max_headers:
            raise HeadTooLarge
        block = _block_of(data[line_end:], fields)
    method, target, minor = line.groups()
    head = RequestHead(
        method.decode("latin-1"), target.decode("latin-1"), is_http11=minor == b"1", block=block
    )
    if block.has_framing:
        _find_framing(head)
    return head


def _judge(data: bytes) -> None:
    """Have llhttp accept or refuse a head. It judges; taking apart is cheaper in one go."""
    parser = HttpRequestParser(_NO_CALLBACKS)
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass  # llhttp stops behind the head; whether anybody upgrades is decided later
    except HttpParserInvalidMethodError:
        raise UnsupportedCoding("The request method is not known.") from None
    except HttpParserError:
        raise MalformedRequest from None


def _block_of(data: bytes, fields: list[Field]) -> FieldBlock:
    environ: dict[str, str] = {}
    kept = []
    for field in fields:
        key = field.key
        if not key:
            continue
        kept.append(field)
        if key in environ:
            # One line of cookies is one line of cookies (RFC 6265, 5.4); all else is a list.
            separator = "; " if key == "HTTP_COOKIE" else ","
            environ[key] = f"{environ[key]}{separator}{field.text}"
        else:
            environ[key] = field.text
    return FieldBlock(data, kept, environ)


def _find_framing(head: RequestHead) -> None:
    """How long the body is, and whether the connection may carry another request (RFC 9112, 6, 9.3)."""
    environ = head.block.environ
    if "HTTP_CONNECTION" in environ:
        tokens = {token.strip() for token in environ["HTTP_CONNECTION"].lower().split(",")}
        head.keep_alive = "close" not in tokens and (head.is_http11 or "keep-alive" in tokens)
    if "HTTP_TRANSFER_ENCODING" in environ:
        if "CONTENT_LENGTH" in environ or not head.is_http11:
            raise MalformedRequest("The request says in two ways how long its body is.")
        if environ["HTTP_TRANSFER_ENCODING"].lower() != "chunked":
            raise UnsupportedCoding("The transfer coding is not chunked.")
        head.is_chunked = True
    elif "CONTENT_LENGTH" in environ:
        try:
            head.content_length = parse_content_length(environ["CONTENT_LENGTH"].encode("latin-1"))
        except FramingError:
            raise MalformedRequest("The Content-Length is malformed.") from None
