"""Filtered search: cells of predicates, peers that can express them, sweeps, and what they come to."""
