"""Told by all, knows none: metrics and log lines, made from plain values."""
