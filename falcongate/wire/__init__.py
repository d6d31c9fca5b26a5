"""Bytes on a socket, towards callers and towards services alike.

A `Channel` is a socket with deadlines, `framing` knows where a message ends, a `Body` is one
that is arriving. Nothing here knows what a request is for.
"""
