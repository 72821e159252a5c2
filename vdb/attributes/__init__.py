"""Attribute indexes: columns of DuckDB as sorted keys in memory, kept at the state of each commit."""
