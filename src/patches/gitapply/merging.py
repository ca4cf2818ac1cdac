"""The merge of one file through what its patch was made from, with Git's words about it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from patches.gitapply import gitcommands
from patches.gitapply.refusals import Refused
from patches.model import MODE_GITLINK, MODE_SYMLINK
from patches.textmerge import (
    ConflictStyle,
    Driver,
    MergedContent,
    choose_driver,
    choose_marker_size,
    merge_contents,
)

if TYPE_CHECKING:
    from patches.gitapply.gitcommands import Blobs
    from patches.gitapply.parts import Part
    from patches.gitapply.targets import Files
    from patches.gitapply.voice import Voice
    from patches.options import Favor

_STYLES: dict[str, ConflictStyle] = {"merge": "merge", "diff3": "diff3", "zdiff3": "zdiff3"}


class MergeWay(NamedTuple):
    """How contents are merged here."""

    configuration: Mapping[str, str]
    files: Files
    favor: Favor | None

    def merge(self, part: Part, base: bytes, ours: bytes, theirs: bytes) -> MergedContent:
        """Merge as the configuration and the path's attributes say."""
        style = self.configuration.get("merge.conflictstyle", "merge")
        return merge_contents(
            base,
            ours,
            theirs,
            favor=self.favor,
            style=_STYLES.get(style, "merge"),
            driver="binary" if part.new_mode == MODE_SYMLINK else self._driver(part.path),
            marker_size=choose_marker_size(self.files.attribute(part.path, "conflict-marker-size")),
        )

    def _driver(self, path: bytes) -> Driver:
        said = self.files.attribute(path, "merge") or None
        default = self.configuration.get("merge.default", "text")
        attribute = {"set": True, "unset": False}.get(said, said) if said else None
        return choose_driver(attribute, default, lambda name: f"merge.{name}.driver" in self.configuration)


class Merge:
    """Merges parts of a patch into the present contents."""

    def __init__(self, way: MergeWay, blobs: Blobs, voice: Voice) -> None:
        self._way = way
        self._blobs = blobs
        self._voice = voice

    def merge(
        self,
        part: Part,
        before: bytes,
        current: Callable[[Part], bytes],
        patched: Callable[[bytes], bytes],
    ) -> bytes | None:
        """Return what the part's change makes of the present content; None leaves it to the hunks.

        Args:
            part: one file's patch; it gets the stages of a conflict.
            before: what is at its old path.
            current: gives what is at a path that the part would create.
            patched: gives the part's result for a content.
        """
        base = self._base(part)
        if base is None:
            return None
        if part.merges_directly:
            self._voice.say("Performing three-way merge...")
        name = os.fsdecode(part.path)
        try:
            theirs = patched(base)
        except Refused as refusal:
            if str(refusal):
                self._voice.error(str(refusal))
            return None
        try:
            ours = current(part) if part.creates else before
        except Refused as refusal:
            self._voice.error(str(refusal))
            self._voice.error(f"cannot read the current contents of '{name}'")
            return None
        merged = self._way.merge(part, base, ours, theirs)
        if merged.binary and merged.conflicted:
            self._voice.warn(f"Cannot merge binary files: {name} (ours vs. theirs)")
        if merged.conflicted:
            stages = gitcommands.write_blobs([base, ours, theirs])
            part.stages = (None if part.creates else stages[0], stages[1], stages[2])
        self._voice.say(f"Applied patch to '{name}' {'with conflicts' if merged.conflicted else 'cleanly'}.")
        return merged.data

    def _base(self, part: Part) -> bytes | None:
        """Return what the part was made from, where merging it can lead anywhere."""
        if part.deletes or MODE_GITLINK in (part.old_mode, part.new_mode):
            return None
        if part.creates:
            return b"" if part.merges_directly else None
        if part.renames and not part.added and not part.removed:
            return None
        found = self._blobs.find(part.file.old_oid)
        if found is None:
            self._voice.error("repository lacks the necessary blob to perform 3-way merge.")
        return None if found is None else found[1]
