"""Diffs whose counts, numbers, names or whitespace are wrong, written anew from what the file has.

Every section that fits as it is stays as it is. In any other each hunk is placed by its content, and
is accepted only where one place and one result are possible.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from patches.dialects.loose import LooseHunk, LooseLine, Section, read_sections
from patches.dialects.model import AmbiguousPatch, Normalised
from patches.dialects.placing import LEVELS, Place, Placer
from patches.dialects.rendering import Edit, render_hunks
from patches.dialects.targets import Target, find_target, names_are_bare
from patches.dialects.trial import State, try_patch
from patches.errors import EmptyPatch, PatchError, PatchSyntaxError, show_path
from patches.lines import split_lines
from patches.names import is_dev_null
from patches.selection import is_selected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from patches.dialects.model import Reader
    from patches.options import ApplyOptions


def repair(data: bytes, read: Reader, options: ApplyOptions) -> Normalised:
    """Return the patch with every section that does not fit written anew.

    The engine is to apply it with the same ``options``. A file that these do not choose may be left out.

    Raises:
        AmbiguousPatch: a hunk has several places, or its result could be one or another.
        PatchError: there is nothing to repair, or a hunk is nowhere in its file.
    """
    sections = read_sections(data)
    if not sections:
        raise EmptyPatch
    states: dict[bytes, State] = {}

    def read_now(path: bytes) -> bytes | None:
        return states[path][0] if path in states else read(path)

    if options.reverse:
        raise PatchSyntaxError(1, "the patch does not fit, and is not repaired in reverse")
    bare_names = any(names_are_bare(section.header, read, options) for section in sections)
    repeats: Counter[bytes] = Counter()
    pieces: list[bytes] = []
    steps: dict[str, None] = {}
    for section in sections:
        piece, done = _repaired(section, read_now, options, bare_names=bare_names)
        if done:
            _count_repeats(section, repeats)
        states.update(try_patch(piece, read_now, options) if piece else {})
        pieces.append(piece)
        steps.update(dict.fromkeys(done))
    if not steps:
        raise PatchSyntaxError(1, "there is nothing to repair in it, and it does not fit")
    return Normalised(b"".join(pieces), tuple(steps))


def _count_repeats(section: Section, repeats: Counter[bytes]) -> None:
    """Refuse a file that is written anew over and over: each time costs as much as the file is large."""
    name = b"".join(line for line in section.header if line.startswith(b"+++ "))
    repeats[name] += 1
    if repeats[name] > _MOST_REPEATS:
        raise PatchSyntaxError(
            section.hunks[0].at_line, f"more than {_MOST_REPEATS} diffs of one file have to be repaired"
        )


_MOST_REPEATS = 64


def _repaired(
    section: Section, read: Reader, options: ApplyOptions, *, bare_names: bool
) -> tuple[bytes, list[str]]:
    refusal = _refusal(section, read, options)
    if refusal is None and _is_returned_addition(section):
        return section.raw.replace(b"\r\n", b"\n"), ["crlf"]
    if refusal is None and not bare_names:
        plain = _with_plain_header(section)
        return plain, [] if plain == section.raw else ["crlf"]
    target = find_target(section.header, read, options, bare_names=bare_names) if section.hunks else None
    if target is None or (refusal is None and not target.stripped_none):
        if refusal is not None:
            raise refusal
        return section.raw, []
    if not is_selected(target.path, options.paths):
        return b"", []
    old = [] if target.adds else split_lines(read(target.path) or b"")
    steps = ["strip 0"] if target.stripped_none else []
    edits = _Rewriting(target, old, section.hunks, steps).edits()
    if target.deletes and edits != [Edit(0, len(old), ())]:
        raise PatchSyntaxError(section.hunks[0].at_line, "a deleted file still has content")
    if not edits:
        raise PatchSyntaxError(section.hunks[0].at_line, "the hunks change nothing in this file")
    if refusal is not None and not steps:
        raise refusal  # Lines, numbers and names were right: what was wrong is not for a repair to decide.
    return target.header + render_hunks(old, edits), steps


def _is_returned_addition(section: Section) -> bool:
    """Tell whether a new file's header lines end in CR LF, as Git writes none: its content got them too."""
    return section.raw[: section.raw.find(b"\n")].endswith(b"\r") and any(
        line.startswith(b"new file mode") or is_dev_null(line.removeprefix(b"--- "))
        for line in section.header
    )


def _with_plain_header(section: Section) -> bytes:
    """Return a section without carriage returns in its header: our engine takes them, Git does not."""
    return b"\n".join([*section.header, *section.raw.split(b"\n")[len(section.header) :]])


def _refusal(section: Section, read: Reader, options: ApplyOptions) -> PatchError | None:
    """Return why the section does not fit as it is; None where it does."""
    bare = next((hunk for hunk in section.hunks if hunk.start is None), None)
    if bare is not None:
        # The engine would pass over it as prose.
        return PatchSyntaxError(bare.at_line, "a hunk without line numbers")
    try:
        try_patch(section.raw, read, options)
    except PatchError as refusal:
        return refusal
    return None


class _Rewriting:
    """The hunks of one section on one file; adds the names of what it did to ``steps``."""

    def __init__(
        self, target: Target, old: list[bytes], hunks: Sequence[LooseHunk], steps: list[str]
    ) -> None:
        self._path = target.path
        self._adds = target.adds
        self._old = old
        self._hunks = hunks
        self._steps = steps
        texts = [line.text for hunk in hunks for line in hunk.lines]
        returns = sum(text.endswith(b"\r") for text in texts)
        self._one_ending = returns in (0, len(texts))

    def edits(self) -> list[Edit]:
        placer = Placer(self._path, [line.removesuffix(b"\n") for line in self._old], self._hunks)
        placed = sorted(zip(placer.places(), self._hunks, strict=True), key=lambda pair: pair[0].at)
        if [hunk for _, hunk in placed] != list(self._hunks):
            self._steps.append("reordered")
        edits: list[Edit] = []
        for place, hunk in placed:
            self._refuse_cut_off(place, hunk)
            self._name_step(place, hunk)
            found = self._of_hunk(place, hunk)
            if edits and found and found[0].start < edits[-1].stop:
                raise PatchSyntaxError(hunk.at_line, "the hunk changes lines that another one changes")
            if edits and found and found[0].start == edits[-1].stop == found[0].stop:
                raise PatchSyntaxError(hunk.at_line, "the hunk adds lines where another one does")
            edits += found
        return edits

    def _refuse_cut_off(self, place: Place, hunk: LooseHunk) -> None:
        """Refuse the text's last hunk where the lines that it lacks by its counts may have been cut off.

        Raises:
            AmbiguousPatch: the file has as many lines as the header counts.
        """
        if hunk.counted or not hunk.is_last or hunk.start is None:
            return
        old = sum(line.mark != b"+" for line in hunk.lines)
        new = sum(line.mark != b"-" for line in hunk.lines)
        lacking = hunk.counts[0] - old, hunk.counts[1] - new
        if min(lacking) >= 0 and max(lacking) > 0 and place.at + hunk.counts[0] <= len(self._old):
            raise AmbiguousPatch(
                f"{show_path(self._path)}: the hunk at patch line {hunk.at_line} lacks lines that it counts",
                ("the text was cut off", "its header counts wrong"),
                "if nothing is missing, apply it with --recount",
            )

    def _name_step(self, place: Place, hunk: LooseHunk) -> None:
        names = ["" if hunk.counted else "recounted", LEVELS[place.level][0]]
        if hunk.start is not None and hunk.start - 1 != place.at and self._old:
            names.append("relocated")
        self._steps += [name for name in names if name]

    def _of_hunk(self, place: Place, hunk: LooseHunk) -> list[Edit]:
        """Return the changes of one hunk, each without context."""
        relaxed = self._returns_differ(place, hunk)
        if relaxed and LEVELS[place.level][0] != "line endings":
            self._steps.append("line endings")
        edits: list[Edit] = []
        at = start = place.at
        new: list[bytes] = []
        for line in (*hunk.lines, _END):
            if line.mark == b"+":
                new.append(self._added(line, place, hunk, relaxed=relaxed))
                continue
            if line.mark == b" ":
                if new or at > start:
                    edits.append(self._checked(Edit(start, at, tuple(new)), hunk, relaxed=relaxed))
                    new = []
                start = at + 1
            at += 1
        self._check_last_line(place, hunk, edits)
        return edits

    def _returns_differ(self, place: Place, hunk: LooseHunk) -> bool:
        """Tell whether the file's lines end otherwise than the patch's.

        Raises:
            AmbiguousPatch: some of them do, so that it is not only the way the patch was sent.
        """
        if self._adds or not place.level:
            return False
        expected = [line.text for line in hunk.lines if line.mark != b"+"]
        there = [line.removesuffix(b"\n") for line in self._old[place.at : place.at + len(expected)]]
        differ = [_returns(have) != _returns(want) for have, want in zip(there, expected, strict=True)]
        doubled = any(_returns(line) > 1 for line in (*there, *expected))
        if any(differ) and (doubled or not (all(differ) and self._one_ending)):
            raise AmbiguousPatch(
                f"{show_path(self._path)}: line endings of the hunk at patch line {hunk.at_line}",
                ("it changes line endings", "it lost them on the way"),
                "the file or the patch mixes CR LF and LF",
            )
        return any(differ)

    def _added(self, line: LooseLine, place: Place, hunk: LooseHunk, *, relaxed: bool) -> bytes:
        text = line.text
        if relaxed:
            # All lines there end alike, and otherwise than the patch's.
            text = text.removesuffix(b"\r") if text.endswith(b"\r") else text + b"\r"
        if LEVELS[place.level][0] == "spaces of context" and text[:1] in (b" ", b"\t"):
            self._check_indentation(text, place, hunk)
        return text + (b"\n" if line.ends else b"")

    def _check_indentation(self, text: bytes, place: Place, hunk: LooseHunk) -> None:
        """Refuse an added line whose indentation may have been changed like its context's."""
        size = sum(line.mark != b"+" for line in hunk.lines)
        mark = text[:1]
        if any(
            line[:1] in (b" ", b"\t") and line[:1] != mark for line in self._old[place.at : place.at + size]
        ):
            raise AmbiguousPatch(
                f"{show_path(self._path)}: indentation in the hunk at patch line {hunk.at_line}",
                ("the added lines are indented as the patch shows", "they were indented as the file is"),
                "the whitespace of the patch was changed: send it as an attachment",
            )

    def _checked(self, edit: Edit, hunk: LooseHunk, *, relaxed: bool) -> Edit:
        """Refuse a change that may have been one of line endings, before the patch lost them."""
        if not relaxed:
            return edit
        old = {line.rstrip(b"\r\n") for line in self._old[edit.start : edit.stop]}
        if any(line.rstrip(b"\r\n") in old for line in edit.new):
            raise AmbiguousPatch(
                f"{show_path(self._path)}: line endings of the hunk at patch line {hunk.at_line}",
                ("it changes line endings", "it lost them on the way"),
            )
        return edit

    def _check_last_line(self, place: Place, hunk: LooseHunk, edits: list[Edit]) -> None:
        """Settle the newline of the file's last line where the patch and the file disagree about it.

        Raises:
            AmbiguousPatch: the last line is changed, and nothing tells whether the new one has a newline.
        """
        expected = [line for line in hunk.lines if line.mark != b"+"]
        stop = place.at + len(expected)
        if not expected or not self._old:
            return
        if any(not line.ends for line in expected[:-1]) or (stop < len(self._old) and not expected[-1].ends):
            raise PatchSyntaxError(hunk.at_line, "a line without newline that is not the file's last one")
        if stop < len(self._old) or expected[-1].ends == self._old[-1].endswith(b"\n"):
            return
        self._steps.append("final newline")
        if edits and edits[-1].stop == len(self._old):
            raise AmbiguousPatch(
                f"{show_path(self._path)}: the file's last line in the hunk at patch line {hunk.at_line}",
                ("its new text ends in a newline", "its new text ends without one, as the file does"),
                "say which with a line '\\ No newline at end of file', or none",
            )


def _returns(line: bytes) -> int:
    return len(line) - len(line.rstrip(b"\r"))


_END = LooseLine(b" ", b"")
