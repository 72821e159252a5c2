"""From a question to its rows: read the predicate, plan the search, run it and shape the result."""
