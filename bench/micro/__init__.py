"""Small measurements of one thing each."""
