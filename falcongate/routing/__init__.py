"""Whose request it is: a safe path, and the route it leads to. Pure; nothing here waits."""
