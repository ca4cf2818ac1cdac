"""Tracking: runs on an MLflow server, kept honest: ended on every way out, named where they cannot be."""
