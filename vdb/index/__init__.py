"""Indexes as the database knows them: what a user may ask for, and the graphs built from it."""
