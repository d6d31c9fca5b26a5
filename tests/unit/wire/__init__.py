"""Bytes on a socket, towards callers and towards services alike."""
