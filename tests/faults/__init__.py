"""The world ends somewhere: killed, cut, stalled, reset."""
