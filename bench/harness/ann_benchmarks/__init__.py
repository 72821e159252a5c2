"""vdb as an algorithm of ann-benchmarks."""
