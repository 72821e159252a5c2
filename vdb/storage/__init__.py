"""Everything on disk: the catalog in DuckDB, the vector files, one commit point for both, and recovery.

The protocol is durability.md sections 3 and 4; the byte tables are in FORMAT.md. `store.Store` is the facade the
layers above use. No other layer opens a file or a DuckDB connection.
"""
