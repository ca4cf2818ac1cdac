"""Audits: checks of a whole repository or environment that need no network and change nothing.

`tracked` gives the files of a repository as Git lists them; each other module is one audit, or the pure part
of one. An audit returns a `ledger.measurements.Report`, so that a gate measures what a person sees.
"""
