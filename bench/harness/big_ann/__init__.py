"""vdb as an algorithm of the filter track of big-ann-benchmarks."""
