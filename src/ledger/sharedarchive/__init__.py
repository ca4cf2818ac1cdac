"""The archive of a shared ledger: finished runs of every home as Parquet files that any engine reads.

See: ``docs/scale.md``, "The archive".
"""
