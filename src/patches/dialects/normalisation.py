"""The chain of dialects: whatever a patch comes as, into the ordinary patch that the engine applies.

First what is certain is unwrapped and what is in another form converted, then every reading that is left
is tried on the tree. One result is accepted, two are refused: a dialect never guesses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from patches.dialects.broken import BrokenLine, join_broken
from patches.dialects.colours import drop_colours
from patches.dialects.conversion import convert, needs_conversion
from patches.dialects.encodings import drop_mark, read_utf16be, read_utf16le
from patches.dialects.model import AmbiguousPatch, Normalised, Reader
from patches.dialects.repair import repair
from patches.dialects.trial import State, try_patch
from patches.dialects.witness import is_attested
from patches.dialects.wrapping import (
    dedent,
    end_last_line,
    open_fences,
    opens_fence,
    strip_returns,
    unescape_html,
    unquote_mail,
)
from patches.errors import PatchError, PatchSyntaxError
from patches.options import DEFAULTS, ApplyOptions

Step: TypeAlias = tuple[str, Callable[[bytes], bytes | None]]
"""Its name in ``Normalised.steps``, and the text after it; None where there is nothing to do."""

_Fitting: TypeAlias = list[tuple[Normalised, dict[bytes, State]]]
"""Readings that fit, each with what it makes of the files."""

_END_LOST = "final newline"
CERTAIN: tuple[Step, ...] = (
    ("utf-16le", read_utf16le),
    ("utf-16be", read_utf16be),
    ("byte order mark", drop_mark),
    ("crlf", strip_returns),
    ("colours", drop_colours),
    ("quoted mail", unquote_mail),
    ("indentation", dedent),
    (_END_LOST, end_last_line),
)
"""Done wherever they find something: no patch looks like that by itself."""

POSSIBLE: tuple[Step, ...] = (
    ("fences", open_fences),
    ("html", unescape_html),
)
"""Readings that the tree decides about: a file may well hold entities."""

_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_BARE_HUNK = re.compile(rb"^@@(?! -\d)", re.MULTILINE)
_HEAD_BYTES = 64


def needs_normalising(data: bytes) -> bool:
    """Tell cheaply whether the strict engine might take ``data`` for what it is not.

    False is no verdict on the patch: where the engine then refuses it, ``normalise`` may know better.
    """
    return (
        data.startswith(_MARKS)
        or b"\0" in data[:_HEAD_BYTES]
        or b"\r\n" in data[: data.find(b"\n") + 1]
        or not data.endswith(b"\n")
        or _BARE_HUNK.search(data) is not None
        or opens_fence(data)
        or needs_conversion(data)
    )


def unwrap(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return a text without what is certainly none of its patch, and what was done for that."""
    steps: list[str] = []
    for name, take_off in CERTAIN:
        changed = take_off(data)
        if changed is not None:
            data = changed
            steps.append(name)
    return data, tuple(steps)


def normalise(data: bytes, read: Reader, options: ApplyOptions = DEFAULTS) -> Normalised:
    """Return an ordinary patch for whatever ``data`` is; the same bytes where it fits as it is.

    Args:
        data: as it was given.
        read: content of the tree that the patch is for.
        options: how names are stripped and what else the engine is told.

    Raises:
        AmbiguousPatch: several readings fit, and give different trees.
        PatchError: no reading fits; the error is that of the plainest one.
    """
    data, steps = unwrap(data)
    taken = list(steps)
    made = convert(data, _below(read, options.directory), options)
    if made is not None:
        data = made.data
        taken += made.steps
        if _fits(data, read, options):
            return Normalised(data, tuple(taken))
    readings = [Normalised(data, tuple(taken))]
    for name, open_reading in POSSIBLE:
        for reading in tuple(readings):
            changed = open_reading(reading.data)
            if changed is not None:
                readings.append(Normalised(changed, (*reading.steps, name)))
    return _as_they_are(readings, read, options) or _repaired(readings, read, options)


def _below(read: Reader, directory: bytes) -> Reader:
    return (lambda path: read(directory + b"/" + path)) if directory else read


def _fits(data: bytes, read: Reader, options: ApplyOptions) -> bool:
    try:
        try_patch(data, read, options)
    except PatchError:
        # A converted diff may have been damaged on its way like any other: the readings below tell.
        return False
    return True


def _as_they_are(readings: list[Normalised], read: Reader, options: ApplyOptions) -> Normalised | None:
    """Return the reading that fits without repair; None where there is none."""
    fitting: _Fitting = []
    for reading in readings:
        if _BARE_HUNK.search(reading.data):
            continue  # The engine would pass over such a hunk as prose.
        try:
            states = try_patch(reading.data, read, options)
            if _END_LOST in reading.steps:
                _refuse_cut_line(reading.data, states, read, options)
            fitting.append((reading, states))
        except PatchError:
            # This reading does not fit; where none does, the error is raised again after the repair.
            continue
        if not reading.steps and not _is_returned(reading.data):
            break  # As given it fits, and nothing about it says that it was changed on its way.
    return _agreed(fitting, read, options)


def _is_returned(data: bytes) -> bool:
    return b"\r\n" in data[: data.find(b"\n") + 1]


def _repaired(readings: list[Normalised], read: Reader, options: ApplyOptions) -> Normalised:
    fitting, refusals = _joined(readings, read, options)
    # The repair ends every line: what says so is the reading that it is told of.
    for reading in [reading for reading in readings if reading.data.endswith(b"\n")] or readings:
        try:
            made = repair(reading.data, read, options)
            states = try_patch(made.data, read, options)
            if _END_LOST in reading.steps:
                _refuse_cut_line(made.data, states, read, options)
        except PatchError as refusal:
            refusals.append(refusal)
        else:
            fitting.append((Normalised(made.data, (*reading.steps, *made.steps)), states))
    chosen = _agreed(fitting, read, options)
    if chosen is None:
        # A text that could be read in several ways says more than one that could not be read.
        telling = [each for each in refusals if isinstance(each, AmbiguousPatch | BrokenLine)]
        raise (telling or refusals)[0]
    return chosen


def _joined(
    readings: list[Normalised], read: Reader, options: ApplyOptions
) -> tuple[_Fitting, list[PatchError]]:
    """Return the readings of which long lines were broken and fit when joined, and why others cannot be."""
    fitting: _Fitting = []
    refusals: list[PatchError] = []
    for reading in readings:
        try:
            data = join_broken(reading.data, read, options)
            if data is not None:
                states = try_patch(data, read, options)
                fitting.append((Normalised(data, (*reading.steps, "broken lines")), states))
        except BrokenLine as refusal:
            refusals.append(refusal)
        except PatchError:
            # Joined it does not fit either: what is wrong with it is told by the reading as it came.
            continue
    return fitting, refusals


def _refuse_cut_line(data: bytes, states: dict[bytes, State], read: Reader, options: ApplyOptions) -> None:
    """Refuse a text without its last newline where more of that line is missing, as its ids tell."""
    if is_attested(data, states, read, options) is False:
        raise PatchSyntaxError(data.count(b"\n"), "the patch is cut off within its last line")


def _agreed(fitting: _Fitting, read: Reader, options: ApplyOptions) -> Normalised | None:
    """Return the plainest of the readings that fit, which must agree on the tree.

    Where they do not, the one counts that makes of every file what its ``index`` line names.
    """
    if not fitting:
        return None
    chosen, states = fitting[0]
    if any(other != states for _, other in fitting[1:]):
        for reading, made in fitting:
            if is_attested(reading.data, made, read, options):
                return reading
        raise AmbiguousPatch(
            "the patch",
            [", ".join(reading.steps) or "as it is" for reading, _ in fitting],
            "convert it to the one that is meant (dos2unix, iconv, …), and apply that",
        )
    return chosen
