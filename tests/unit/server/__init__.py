"""The first and the last to touch a request: bytes become WSGI calls, answers become bytes."""
