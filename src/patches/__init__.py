"""The patch engine: a unified diff is a pure function from one Git tree to another."""
