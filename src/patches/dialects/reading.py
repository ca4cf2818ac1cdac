"""How a text that is given as a patch is read: as it is, and where that does not apply, in its dialect.

See: ``docs/patches.md``, "What is read".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from patches.dialects.broken import BrokenLine
from patches.dialects.conversion import needs_conversion
from patches.dialects.model import AmbiguousPatch, Normalised
from patches.dialects.normalisation import needs_normalising, normalise, unwrap
from patches.errors import (
    AmbiguousHunk,
    ConflictRefused,
    MissingObject,
    PatchError,
    PatchTooLarge,
    UnsafePath,
    WhitespaceRefused,
)
from patches.parse import parse_patch

if TYPE_CHECKING:
    from patches.dialects.model import Reader
    from patches.model import Patch
    from patches.options import ApplyOptions

_Made = TypeVar("_Made")
_UNDERSTOOD = (AmbiguousHunk, ConflictRefused, PatchTooLarge, UnsafePath, WhitespaceRefused)
"""Why a patch is refused that was read as it was meant: no dialect would help."""


class Reading(NamedTuple, Generic[_Made]):
    """One way to read a text, and what came of it: ``made``, or the ``error``.

    ``patch`` is None where the text could not be read as one.
    """

    text: bytes
    steps: tuple[str, ...]
    patch: Patch | None
    error: PatchError | None
    made: _Made | None = None


class PatchReader(Generic[_Made]):
    """Reads patches for one tree."""

    def __init__(self, read: Reader, options: ApplyOptions, apply: Callable[[bytes, Patch], _Made]) -> None:
        """Say what for.

        Args:
            read: content of the tree.
            options: how a patch is read.
            apply: gives what a text, and the patch that it is, makes of the tree, which is to stay as it was
                where that is refused.
        """
        self._read = read
        self._options = options
        self._apply = apply

    def read(self, text: bytes) -> Reading[_Made]:
        """Return how a text reads, and what came of it.

        Raises:
            MissingObject: the tree has not all of its content. Whatever else is refused is the reading's.
        """
        if needs_normalising(text):
            # As it is, the engine could take a part of it for prose, or for another patch.
            return self._in_dialect(text) or self._as(Normalised(*unwrap(text)))
        reading = self._as(Normalised(text, ()))
        if reading.error is None or isinstance(reading.error, _UNDERSTOOD):
            return reading
        loose = self._in_dialect(text)
        return reading if loose is None else loose._replace(patch=loose.patch or reading.patch)

    def _as(self, normalised: Normalised) -> Reading[_Made]:
        text, steps = normalised.data, normalised.steps
        patch: Patch | None = None
        try:
            patch = parse_patch(text, self._options)
            return Reading(text, steps, patch, None, self._apply(text, patch))
        except MissingObject:
            raise
        except PatchError as error:
            return Reading(text, steps, patch, error)

    def _in_dialect(self, text: bytes) -> Reading[_Made] | None:
        """Return how a text reads in its dialect; None where it fits in none, or is in none."""
        try:
            normalised = normalise(text, self._read, self._options)
        except (AmbiguousPatch, BrokenLine) as error:
            return Reading(text, (), None, error)
        except MissingObject:
            raise
        except PatchError as error:
            bare, steps = unwrap(text)
            # Of what no engine reads as it is, only its own form says what is wrong; of all else, the engine.
            return Reading(text, steps, None, error) if needs_conversion(bare) else None
        return self._as(normalised) if normalised.steps else None
