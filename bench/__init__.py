"""Measures vdb against its peers: same vectors, same threads, one run. See README.md."""
