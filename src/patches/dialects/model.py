"""The seam of the dialects: what a text is read against, and what it is turned into."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from msgspec import Struct

from patches.errors import PatchError

Reader: TypeAlias = Callable[[bytes], bytes | None]
"""Content of a path in the tree that the patch is for; None where there is no such file."""


class Normalised(Struct, frozen=True):
    """An ordinary patch, and how it was got from the bytes that were given."""

    data: bytes
    """A Git or unified patch that the strict engine applies."""
    steps: tuple[str, ...]
    """What was done, in order (``utf-16le``, ``fences``, …); empty where the bytes are as given."""


class AmbiguousPatch(PatchError):
    """The text has several readings that give different trees. Nothing is guessed: the person decides.

    ``candidates`` describes the readings.
    """

    def __init__(self, what: str, candidates: Iterable[str], hint: str = "") -> None:
        self.what = what
        self.candidates = tuple(candidates)
        listed = "".join(f"\n  {candidate}" for candidate in self.candidates)
        super().__init__(f"{what}: it can be read in several ways{listed}" + (hint and f"\nhint: {hint}"))
