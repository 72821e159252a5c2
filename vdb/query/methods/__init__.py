"""The methods of answering a query: each says what it costs, how hard to try, and runs."""
