"""The tests; what they share is in `support` and `conftest.py`."""
