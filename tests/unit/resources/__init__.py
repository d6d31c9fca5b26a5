"""Tests of `falcongate/resources`, without a server."""
