"""A file's content after its part of the patch: by hunks, by a binary patch, or by a merge."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from patches.binary import BinaryDamage, apply_delta
from patches.fitting import fit_hunks
from patches.gitapply.refusals import Refused
from patches.gitapply.voice import NORMAL
from patches.oids import hash_blob

if TYPE_CHECKING:
    from patches.fitting import Placement
    from patches.gitapply.gitcommands import Blobs
    from patches.gitapply.merging import Merge
    from patches.gitapply.parts import Part
    from patches.gitapply.voice import Voice
    from patches.options import ApplyOptions
    from patches.whitespace import WhitespaceRule

_OID_DIGITS = 40


class Contents:
    """Works out contents under one set of options."""

    def __init__(
        self,
        options: ApplyOptions,
        rules: Mapping[bytes, WhitespaceRule],
        blobs: Blobs | None,
        voice: Voice,
        *,
        rejects: bool,
        adds: bool,
        merge: Merge | None,
    ) -> None:
        self._options = options
        self._rules = rules
        self._blobs = blobs
        self._voice = voice
        self._rejects = rejects
        self._adds = adds
        self._merge = merge

    def apply(self, part: Part, before: bytes, current: Callable[[Part], bytes]) -> None:
        """Set the part's content to what it makes of ``before``.

        Args:
            part: one file's patch.
            before: the content that it meets.
            current: gives what is at a path that the part would create.

        Raises:
            Refused: it does not fit.
        """
        if self._merge is not None:
            merged = self._merge.merge(part, before, current, lambda base: self._patched(part, base))
            if merged is not None:
                part.content = merged
                return
            if part.merges_directly:
                raise Refused
            self._voice.say("Falling back to direct application...")
        part.content = self._patched(part, before)

    def _patched(self, part: Part, before: bytes) -> bytes:
        return self._binary(part, before) if part.file.binary else self._text(part, before)

    def _text(self, part: Part, before: bytes) -> bytes:
        rule = self._rules[part.path]
        mends_all = self._voice.whitespace_errors > 0
        fit = fit_hunks(before, part.hunks, self._options, rule, adds=self._adds, mends_all=mends_all)
        for number, (hunk, placement) in enumerate(zip(part.hunks, fit.placements, strict=True)):
            if placement is not None:
                self._say(number, placement)
                continue
            self._voice.say(b"error: while searching for:\n" + hunk.old, above=NORMAL)
            self._voice.error(f"patch failed: {os.fsdecode(part.first_path)}:{hunk.old_start}")
            if not self._rejects:
                raise Refused
            part.rejected.add(number)
        return fit.content

    def _say(self, number: int, placement: Placement) -> None:
        """Say what is remarkable about where a hunk went."""
        self._voice.fixed_lines += placement.mended
        if placement.blank_line_at_end is not None and self._options.whitespace != "nowarn":
            self._voice.whitespace_error(placement.blank_line_at_end, ("new blank line at EOF",), b"+")
        offset = -placement.offset if self._options.reverse else placement.offset
        if offset:
            # Git's plural rule: only 1 is singular.
            lines = "line" if offset == 1 else "lines"
            text = f"Hunk #{number + 1} succeeded at {placement.line} (offset {offset} {lines})."
            self._voice.say(text, above=NORMAL)
        if placement.reduced:
            context = f"({placement.leading}/{placement.trailing})"
            self._voice.say(f"Context reduced to {context} to apply fragment at {placement.line}")

    def _binary(self, part: Part, before: bytes) -> bytes:
        """Return what a binary patch makes of ``before``, which must be exactly what it was made from."""
        file, name = part.file, os.fsdecode(part.first_path)
        if not (_is_full(file.old_oid) and _is_full(file.new_oid)):
            raise Refused(f"cannot apply binary patch to '{name}' without full index line")
        have = hash_blob(before).hex()
        if part.old_path is None:
            if before:
                raise Refused(f"the patch applies to an empty '{name}' but it is not empty")
        elif have != file.old_oid.decode():
            raise Refused(
                f"the patch applies to '{name}' ({have}), which does not match the current contents."
            )
        if not file.new_oid.strip(b"0"):
            return b""
        known = None if self._blobs is None else self._blobs.find(file.new_oid)
        if known is not None:
            return known[1]
        content = self._inflated(part, before)
        made = hash_blob(content).hex()
        if made != file.new_oid.decode():
            wanted = file.new_oid.decode()
            raise Refused(
                f"binary patch to '{name}' creates incorrect result (expecting {wanted}, got {made})"
            )
        return content

    def _inflated(self, part: Part, before: bytes) -> bytes:
        forward, name = part.file.forward, os.fsdecode(part.path)
        if forward is None:
            self._voice.error(f"missing binary patch data for '{name}'")
        elif forward.kind == "literal":
            return forward.data
        else:
            try:
                return apply_delta(before, forward.data)
            except BinaryDamage:
                self._voice.error(f"the delta does not fit the content of '{name}'")
        raise Refused(f"binary patch does not apply to '{os.fsdecode(part.first_path)}'")


def _is_full(oid: bytes) -> bool:
    return len(oid) == _OID_DIGITS and not oid.strip(b"0123456789abcdefABCDEF")
