"""Projections of the log: each has a cursor, can be deleted, and is made again from the events."""
