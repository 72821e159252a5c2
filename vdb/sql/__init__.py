"""SQL over vectors: statements parsed by DuckDB, nearest-neighbour patterns answered by vdb, the rest by DuckDB."""
