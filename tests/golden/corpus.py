"""The corpus of patches as the tools that people use make them, and as nobody should.

Each folder of ``patches/`` holds the patches of one origin and a ``cases.toml`` that says of each where it
comes from, the tree it is for (``before``), and the tree it gives (``after``) or the names of the errors that
are a right answer (``error``). Trees are in ``patches/trees/``, once each. ``steps`` are what is done to the
text before the engine reads it, where that is certain.
"""

from __future__ import annotations

import tomllib
from base64 import b64decode
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "patches"
MODE_FILE = 0o100644

Files = dict[bytes, tuple[int, bytes]]
"""A tree: path to mode and content; of a submodule the content is its commit's id."""


class Case(NamedTuple):
    """One patch, what it is for, and what is right."""

    name: str
    data: bytes
    before: str
    after: str | None
    errors: tuple[str, ...]
    options: tuple[str, ...]
    steps: tuple[str, ...] | None
    comes_from: str


def read_cases() -> list[Case]:
    """Return every case, by origin and in the order of its file."""
    cases: list[Case] = []
    for index in sorted(FOLDER.glob("*/cases.toml")):
        for name, said in tomllib.loads(index.read_text("utf-8")).items():
            cases.append(_case(index.parent, name, said))
    return cases


def _case(folder: Path, name: str, said: dict[str, Any]) -> Case:
    steps = said.get("steps")
    return Case(
        f"{folder.name}/{name}",
        (folder / f"{name}.patch").read_bytes(),
        said["before"],
        said.get("after"),
        tuple(said.get("error", ())),
        tuple(said.get("options", ())),
        None if steps is None else tuple(steps),
        said["comes_from"],
    )


@cache
def read_tree(name: str) -> Files:
    """Return a tree of the corpus."""
    files: Files = {}
    rows = tomllib.loads((FOLDER / "trees" / f"{name}.toml").read_text("utf-8")).get("file", [])
    for row in rows:
        path = b64decode(row["path_b64"]) if "path_b64" in row else row["path"].encode()
        content = b64decode(row["content_b64"]) if "content_b64" in row else row["content"].encode()
        files[path] = (int(row.get("mode", f"{MODE_FILE:o}"), 8), content)
    return files
