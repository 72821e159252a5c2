"""The published layout of the arXiv sets for filtered search: read, checked, fetched, made, put into a database."""
