"""Metrics beyond the built-in ones: distances written in Python, compiled, and known to a database by their names."""
