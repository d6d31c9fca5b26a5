"""Socket.IO servers and clients that tests start as programs, in Python and JavaScript."""
