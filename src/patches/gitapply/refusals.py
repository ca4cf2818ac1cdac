"""How far a refusal reaches: one file of a patch, or the whole command."""

from __future__ import annotations


class Refused(Exception):
    """One file's patch does not apply; the message says why, or all was said."""


class Fatal(Exception):
    """The whole command ends here; the message says why, or all was said."""
