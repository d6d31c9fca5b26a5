"""Whose request it is."""
