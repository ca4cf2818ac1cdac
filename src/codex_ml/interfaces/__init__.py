"""Interfaces to models' tools: what they ignore or guess is an error here."""
