"""Random trees, random edits of them, and every form in which git writes what changed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import reduce
from types import MappingProxyType
from typing import Any, NamedTuple

from hypothesis import strategies as st

from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK
from patches.options import ApplyOptions

NAMES = [b"a", b"b", b"c d", b"caf\xe9", "ü".encode(), b"q\"\\\t\n", b"x.c", b"x-c", b"\xff", b" l", b"t ", b"a b"]  # fmt: skip
WORDS = [
    b"alpha",
    b"beta",
    b"",
    b"}",
    b"-- a/x",
    b"++ b/x",
    b"@@ -1 +1 @@",
    b"diff --git a/a b/a",
    b"\\ No newline",
    b"caf\xe9",
    b"\tx",
    b"cr\rx",
]
ACTIONS = ("edit", "edit", "edit", "add", "drop", "move", "copy", "mode", "type", "swap", "all", "nest", "flat", "ends")  # fmt: skip

Files = dict[bytes, tuple[int, bytes]]


class Author:
    """Makes trees and edits them, from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def content(self) -> bytes:
        chance = self.random.random()
        if chance < 0.2:
            return b"\0" + self.random.randbytes(self.random.choice([0, 3, 400]))
        end = self.random.choice([b"\n", b"\n", b"\r\n"])
        lines = [
            self.random.choice(WORDS) + b"%d" % self.random.randrange(5) + end
            for _ in range(self.random.choice([0, 1, 5, 30]))
        ]
        text = b"".join(lines)
        text = b"\xef\xbb\xbf" + text if self.random.random() < 0.1 else text
        return text[:-1] if self.random.random() < 0.2 else text

    def edited(self, data: bytes) -> bytes:
        separator = b"\0" if data.startswith(b"\0") else b"\n"
        lines = data.split(separator)
        for _ in range(self.random.randint(1, 3)):
            at = self.random.randint(0, len(lines))
            lines[at : at + self.random.choice([0, 0, 1, 4])] = [
                self.random.choice(WORDS) for _ in range(self.random.randint(0, 3))
            ]
        return separator.join(lines)

    def entry(self) -> tuple[int, bytes]:
        mode = self.random.choice([MODE_FILE] * 5 + [MODE_EXECUTABLE, MODE_SYMLINK, MODE_GITLINK])
        if mode == MODE_GITLINK:
            return mode, self.random.randbytes(20)
        return mode, self.random.choice([b"t", b"../u"]) if mode == MODE_SYMLINK else self.content()

    def path(self, files: Files) -> bytes | None:
        *folders, name = [self.random.choice(NAMES) for _ in range(self.random.randint(1, 3))]
        # Git 2.39 cannot read its own header where a directory ends in a space; 2.55 can.
        path = b"/".join([*(folder.strip() for folder in folders), name])
        taken = any(path == p or p.startswith(path + b"/") or path.startswith(p + b"/") for p in files)
        return None if taken else path

    def tree(self) -> Files:
        files: Files = {}
        for _ in range(self.random.randint(0, 12)):
            path = self.path(files)
            if path is not None:
                files[path] = self.entry()
        return files

    def changed(self, files: Files) -> Files:
        """Return another tree, some edits away."""
        files = dict(files)
        for _ in range(self.random.randint(1, 5)):
            some = self.random.choice(sorted(files)) if files else None
            action = self.random.choice(ACTIONS)
            if some is None or action == "add":
                new = self.path(files)
                if new is not None:
                    files[new] = self.entry()
            elif action in ("nest", "flat"):
                self._change_depth(files, some, action)
            elif action in ("move", "copy", "swap", "drop"):
                self._change_place(files, some, action)
            else:
                self._change_file(files, some, action)
        return files

    def _change_file(self, files: Files, path: bytes, action: str) -> None:
        """Edit a file, its mode, both at a new place (``all``), its line ends, or make it another thing."""
        mode, data = files[path]
        if action == "type":
            files[path] = self.entry()
        elif mode in (MODE_FILE, MODE_EXECUTABLE):
            if action == "ends":
                data = data.replace(b"\r\n", b"\n") if b"\r\n" in data else data.replace(b"\n", b"\r\n")
            elif action != "mode":
                data = self.edited(data)
            files[path] = (MODE_FILE + MODE_EXECUTABLE - mode if action in ("mode", "all") else mode, data)
            if action == "all":
                self._change_place(files, path, "move")

    def _change_place(self, files: Files, path: bytes, action: str) -> None:
        if action == "swap":
            other = self.random.choice(sorted(files))
            files[path], files[other] = files[other], files[path]
            return
        new = self.path(files)
        if action == "copy" and new is not None:
            files[new] = files[path]
        elif action == "drop":
            del files[path]
        elif new is not None:
            files[new] = files.pop(path)

    def _change_depth(self, files: Files, path: bytes, action: str) -> None:
        """Put a directory where a file is, with the file or another in it, or a file where a directory is."""
        if action == "nest":
            inner = files.pop(path)
            files[path.rstrip(b" ") + b"/" + self.random.choice(NAMES)] = self.random.choice(
                [inner, self.entry()]
            )
            return
        folder, slash, _ = path.rpartition(b"/")
        if slash:
            inside = [each for each in files if each.startswith(folder + b"/")]
            kept = [files.pop(each) for each in inside]
            files[folder] = self.random.choice([*kept, self.entry()])


class Form(NamedTuple):
    """One way to write a patch, and how it is then read: by the engine, and by git."""

    diff: tuple[str, ...] = ()
    options: Mapping[str, Any] = MappingProxyType({})
    apply: tuple[str, ...] = ()

    def and_then(self, other: Form) -> Form:
        return Form(
            self.diff + other.diff,
            {**self.options, **other.options},
            self.apply + other.apply,
        )

    @property
    def breaks(self) -> bool:
        """Rewritten files are deleted and made anew, and may be the source of a rename (``-B``)."""
        return any(option.startswith("-B") for option in self.diff)

    def engine(self, *, lenient: bool = False, reverse: bool = False) -> ApplyOptions:
        return ApplyOptions(lenient=lenient, reverse=reverse, **self.options)

    def flags(self, *, reverse: bool = False) -> tuple[str, ...]:
        return (*self.apply, "-R") if reverse else self.apply


RENAMES = [
    Form(),
    Form(("--no-renames",)),
    Form(("-M",)),
    Form(("-M10%", "-C10%")),
    Form(("-C", "--find-copies-harder")),
    Form(("-B", "-M")),
    Form(("-B10%/10%", "-C", "--find-copies-harder")),
    Form(("-B", "--no-renames")),
]
CONTEXT = [
    Form(),
    Form(("-U0",), {"unidiff_zero": True}, ("--unidiff-zero",)),
    *(Form((f"-U{n}",)) for n in (1, 2, 4, 10)),
    Form(("-W",)),
    Form(("-U1", "--inter-hunk-context=4")),
]
PREFIXES = [
    Form(),
    Form(),
    Form(("--no-prefix",), {"strip": 0}, ("-p0",)),
    Form(("--src-prefix=x/y/", "--dst-prefix=z w/ü/"), {"strip": 2}, ("-p2",)),
    Form((), {"strip": 1}, ("-p1",)),
]
WHOLE = ("--binary", "--full-index")
DETAILS = [
    Form(WHOLE),
    Form(WHOLE),
    Form(("--binary", "--abbrev=7")),
    Form(("--full-index",)),
    Form(("--abbrev=4",)),
    Form((*WHOLE, "--text")),
    Form((*WHOLE, "--patience")),
    Form((*WHOLE, "--histogram", "--no-indent-heuristic")),
    Form((*WHOLE, "--patch-with-stat", "--summary")),
    Form((*WHOLE, "--patch-with-raw")),
    Form((*WHOLE, "--irreversible-delete")),
    Form(WHOLE, {"recount": True}, ("--recount",)),
]

forms = st.tuples(*map(st.sampled_from, (RENAMES, CONTEXT, PREFIXES, DETAILS))).map(
    lambda parts: reduce(Form.and_then, parts)
)
"""Every way to find renames, with every context, prefix and detail."""
