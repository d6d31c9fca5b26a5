"""Admission decides here without Redis and without waiting."""
