"""Heads of requests: any that are sound, and many that are not quite."""

from __future__ import annotations

from hypothesis import strategies as st

# Pieces that llhttp's and other readers' opinions of differ.
SPACES = st.sampled_from([b" "] * 6 + [b"", b"  ", b"\t", b"\x0b", b"\xa0"])
VALUES = st.sampled_from(
    [b"a", b"", b"5", b"5, 5", b"+5", b"05", b"0x5", b"chunked", b"Chunked", b"chunked, chunked",
     b"gzip, chunked", b"identity", b"x chunked",
     b"close", b"keep-alive", b"close, upgrade", b"\xe9", b"a\0", b"a\rb",
     b"a\nb: c", b"a\r\n b", b'"', b"100-continue", b"\x7f", b"\x01", b"9" * 19]
)  # fmt: skip
NAMES = st.sampled_from(
    [b"Host", b"Content-Length", b"content-length", b"Transfer-Encoding", b"TRANSFER-ENCODING", b"Connection",
     b"Upgrade", b"Content_Length", b"Transfer_Encoding", b"X", b"X ", b" X", b"", b"X\0", b"X\xe9",
     b"X:", b"\tX"]
)  # fmt: skip
ENDS = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b" \r\n"])
FIELDS = st.tuples(NAMES, st.sampled_from([b":"] * 8 + [b"", b" :"]), SPACES, VALUES, ENDS).map(b"".join)
SOUND_FIELDS = st.sampled_from(
    [b"Host: a\r\n", b"Content-Length: 5\r\n", b"Content-Length: 6\r\n", b"Transfer-Encoding: chunked\r\n",
     b"Connection: close\r\n", b"Connection: Keep-Alive, x\r\n", b"Upgrade: h2c\r\n",
     b"Content_Length: 7\r\n", b"Cookie: a=1\r\n", b"X: 1\r\n"]
)  # fmt: skip
METHODS = st.sampled_from(
    [b"GET"] * 4 + [b"POST", b"REPORT", b"CONNECT", b"get", b"G\xe9T", b"", b"PRI", b"NONSENSE"]
)
TARGETS = st.sampled_from(
    [b"/"] * 4 + [b"/a?b", b"*", b"http://a/", b"a:1", b"/\xe9", b"/a b", b"/#a", b"/a\\b", b""]
)
VERSIONS = st.sampled_from(
    [b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1.10", b""]
)
START_LINES = st.tuples(METHODS, SPACES, TARGETS, SPACES, VERSIONS, ENDS).map(b"".join)
HEADS = st.tuples(START_LINES, st.lists(FIELDS | SOUND_FIELDS, max_size=4)).map(
    # As much as the server gives: to the first empty line.
    lambda parts: (parts[0] + b"".join(parts[1]) + b"\r\n").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
)
SOUND_HEADS = st.tuples(
    st.sampled_from([b"GET / HTTP/1.1\r\n", b"POST /a?b HTTP/1.0\r\n", b"REPORT * HTTP/1.1\r\n"]),
    st.lists(SOUND_FIELDS, max_size=4),
).map(lambda parts: parts[0] + b"".join(parts[1]) + b"\r\n")
