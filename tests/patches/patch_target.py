"""What any bytes may do as a patch: a refusal of ours or a tree, in time, and nothing that leads outside."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

from patch_lab import Bench

from patches.apply import apply_patch
from patches.dialects.normalisation import normalise
from patches.dialects.series import split_series
from patches.errors import PatchError
from patches.model import MODE_EXECUTABLE, MODE_GITLINK, MODE_SYMLINK
from patches.objects import Objects
from patches.options import ApplyOptions, Whitespace
from patches.parse import parse_patch
from patches.threeway import plan_threeway
from patches.tree import Tree

if TYPE_CHECKING:
    from patch_lab import Files

    from patches.model import FileChange, Oid

ALLOWED_S = 1.0  # And as much again for each kilobyte.
LINES = [b"one\n", b"two\n", b"\n", b"\tthree \n", b"}\n", b"five\n", b"}\n", b"seven\n", b"}\n", b"ten"]
OLD: Files = {
    b"a": b"".join(LINES),
    b"d/b": b"x\r\ny\r\nz\r\n",
    b"d/c": (MODE_EXECUTABLE, b"#!/bin/sh\n"),
    b"binary": bytes(range(200)) * 3,
    b"wide": b"wide and " * 9 + b"\n" + b"one\n",
    b"link": (MODE_SYMLINK, b"a"),
    b"empty": b"",
    b"sub": (MODE_GITLINK, b"\x11" * 20),
}
NEW: dict[str, Files] = {
    "edited": {**OLD, b"a": b"".join([*LINES[:3], b"new\n", *LINES[4:]])},
    "wide": {**OLD, b"wide": b"wide and " * 9 + b"\n" + b"more and " * 9 + b"\none\n"},
    "binary": {**OLD, b"binary": bytes(range(200)) * 2 + b"more" + bytes(200)},
    "moved": {b"e/f": OLD[b"a"], b"d/b": OLD[b"d/b"], b"new": b"n\n", b"link": (MODE_SYMLINK, b"d/b")},
    "modes": {**OLD, b"a": (MODE_EXECUTABLE, b"".join(LINES)), b"sub": (MODE_GITLINK, b"\x22" * 20)},
    "emptied": {b"empty": b"now\n", b"a": b""},
}
MAIL = b"From: A <a@b>\nSubject: [PATCH] s\nContent-Type: text/plain%b\n\nFrom: B <b@c>\n\nwhy\n---\n%b-- \n2.55\n"
_WHITESPACE: tuple[Whitespace, ...] = ("nowarn", "warn", "fix", "error", "error-all")


def read_options(first: int, second: int) -> ApplyOptions:
    """Return the options that two bytes ask for; zeros ask for none."""
    return ApplyOptions(
        strip=(None, 0, 1, 2)[first & 3],
        reverse=bool(first & 4),
        recount=bool(first & 8),
        inaccurate_eof=bool(first & 16),
        unidiff_zero=bool(first & 32),
        allow_overlap=bool(first & 64),
        lenient=bool(first & 128),
        context=(None, 0, 1, 2)[second & 3],
        ignore_whitespace=bool(second & 4),
        directory=(b"", b"d", b"..", b"d/../.git")[second >> 3 & 3],
        whitespace=_WHITESPACE[(second >> 5) % len(_WHITESPACE)],
    )


class Target:
    """One repository with one tree, and what may come out of any patch to it."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder)
        self.objects = Objects(self.bench.repository)
        self.old: Oid = self.bench.tree(OLD)

    def seeds(self) -> list[bytes]:
        """Return what to begin with: patches of Git's making, with and without its own headers."""
        seeds: list[bytes] = []
        for files in NEW.values():
            patch = self.bench.diff(self.old, self.bench.tree(files), "-M", "-C", "--find-copies-harder")
            seeds.append(b"\0\0" + patch)
            seeds.append(b"\x80\x04" + patch.replace(b"@@ -", b"@@ -1"))
        plain = self.bench.diff(self.old, self.bench.tree(NEW["edited"]), "-U1")
        plain = plain[plain.index(b"--- ") :]
        seeds += [b"\0\0" + plain, b"\0\0Hello\n```diff\n" + plain + b"```\n"]
        seeds += [b"\0\0> " + plain.replace(b"\n", b"\n> "), b"\0\0" + plain.decode().encode("utf-16")]
        seeds.append(b"\0\0" + plain.replace(b"@@ -3,3 +3,3 @@", b"@@ -9,7 +9,2 @@"))
        wide = self.bench.diff(self.old, self.bench.tree(NEW["wide"]))
        seeds += [b"\0\0" + MAIL % (b"", plain), b"\0\0" + MAIL % (b"; format=flowed; delsp=yes", wide)]
        seeds.append(
            b"\0\0" + wide.replace(b"wide and wide and wide and wide and wide ", b"wide and " * 4 + b"wide\n")
        )
        return seeds

    def read(self, path: bytes) -> bytes | None:
        """Return what a dialect asks for."""
        value = OLD.get(path)
        return value[1] if isinstance(value, tuple) else value

    def check(self, data: bytes) -> None:
        """Read, apply and merge a patch, as it is and as whatever dialect it may be.

        Raises:
            AssertionError: it took too long, or a path that it writes leads outside.
        """
        begin = time.process_time()
        options, text = read_options(*data[:2].ljust(2, b"\0")), data[2:]
        try:
            patch, tree = parse_patch(text, options), Tree(self.objects, self.old)
            check_changes(tree, apply_patch(tree, patch, options))
        except PatchError as error:
            str(error)  # A message that cannot be made is a fault, too.
        for each in dict.fromkeys([text, *(message.data for message in split_series(text))]):
            self._check_dialect(each, options)
        try:
            plan_threeway(Tree(self.objects, self.old), parse_patch(text))
        except PatchError as error:
            str(error)  # A message that cannot be made is a fault, too.
        finally:
            self.objects.forget()
        took_s = time.process_time() - begin
        assert took_s < ALLOWED_S * (1 + len(data) / 1024), f"{took_s:.1f} s for {len(data)} bytes"

    def _check_dialect(self, text: bytes, options: ApplyOptions) -> None:
        try:
            made = normalise(text, self.read, options)
            if not made.steps:
                assert made.data == text
            tree = Tree(self.objects, self.old)
            check_changes(tree, apply_patch(tree, parse_patch(made.data, options), options))
        except PatchError as error:
            str(error)


def check_changes(tree: Tree, changes: tuple[FileChange, ...]) -> None:
    """Hold that nothing in the tree leads outside, in words of our own."""
    tree.write()
    for change in changes:
        if change.new is None:
            continue
        names = change.path.split(b"/")
        assert not {b"", b".", b".."} & set(names), change.path
        assert not any(name.lower().rstrip(b". ") in (b".git", b"git~1") for name in names), change.path
        parents = [b"/".join(names[:count]) for count in range(1, len(names))]
        assert all(tree.entry(parent) is None for parent in parents), change.path
