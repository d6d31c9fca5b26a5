"""Inputs that nobody thought of, for as long as there is time: no crash, no hang, no two readings."""
