"""Stores: where events are appended, with expected versions, and read back in order."""
