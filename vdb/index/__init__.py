"""Indexes as the database knows them: what a user may ask for, and the graphs and codes built from it."""
