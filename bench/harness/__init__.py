"""vdb inside the harnesses of others: a folder each, to be copied into their tree (README.md)."""
