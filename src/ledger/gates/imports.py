"""Imports from outside: whether what a gate's Python processes loaded is what the measured tree holds.

An editable install imports the tree that it was installed from, wherever the tests run: in a linked
work tree they pass on somebody else's code. A normal copy in ``site-packages`` does the same.

See: `ledger.gates.guard`, which leaves the records.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

_SOURCE_DIRS = ("", "src", "lib")
_PROJECT_FILES = frozenset({"pyproject.toml", "setup.py", "setup.cfg"})
# Projects that lie in such directories are material, not what is measured.
_MATERIAL = re.compile(
    r"(^|/)(tests?|testing|testdata|fixtures|data|examples?|docs?|vendor|_vendor|vendored|third_party"
    r"|node_modules|build|dist)(/|$)"
)
# `sys.stdlib_module_names` leaves the standard library's own tests out.
_STANDARD = sys.stdlib_module_names | {"test"}
# Tools load these by their path, under a name that many files share.
_BY_PATH = frozenset({"__main__", "conftest", "setup", "noxfile", "sitecustomize", "usercustomize"})


class LoadedModule(NamedTuple):
    """One module of one process, and the file it came from."""

    name: str
    file: str

    @property
    def top(self) -> str:
        """The name before the first dot."""
        return self.name.partition(".")[0]


class Provided(NamedTuple):
    """What a tree provides for import."""

    modules: dict[str, list[str]]
    """The paths of each module, relative to the tree's root."""
    packages: frozenset[str]
    """Top-level modules and packages with an ``__init__``: everything below such a name is theirs."""
    directories: frozenset[str]
    """Where the tree has Python files."""

    @property
    def names(self) -> frozenset[str]:
        """The top-level names, namespace packages among them."""
        return frozenset(name.partition(".")[0] for name in self.modules)


def list_provided(tree_paths: Iterable[bytes]) -> Provided:
    """Return the modules that a tree provides.

    They lie at its root and at the root of each project in it, and below ``src/`` and ``lib/`` there.

    Args:
        tree_paths: Every path of the tree, relative to its root.
    """
    paths = [os.fsdecode(path) for path in tree_paths]
    sources = _list_source_dirs(paths)
    modules: dict[str, list[str]] = {}
    files = [path for path in paths if path.endswith(".py")]
    for path in files:
        parts = path.removesuffix(".py").split("/")
        for depth in range(len(parts)):
            name = _module_name(parts[depth:])
            if name and "/".join(parts[:depth]) in sources:
                modules.setdefault(name, []).append(path)
    packages = frozenset(name for name in modules if "." not in name)
    return Provided(modules, packages, frozenset(path.rpartition("/")[0] for path in files))


def _list_source_dirs(paths: Iterable[str]) -> frozenset[str]:
    projects = {""}
    for path in paths:
        directory, _, base = path.rpartition("/")
        if base in _PROJECT_FILES and not _MATERIAL.search(directory):
            projects.add(directory)
    return frozenset(f"{project}/{below}".strip("/") for project in projects for below in _SOURCE_DIRS)


def _module_name(parts: list[str]) -> str | None:
    """Return the name under which a file is imported, where its first part lies on ``sys.path``."""
    if parts[-1] == "__init__":
        parts = parts[:-1]
    if not parts or parts[0] in _BY_PATH or parts[0] in _STANDARD:
        return None
    return ".".join(parts) if all(part.isidentifier() for part in parts) else None


def outside_imports(
    loaded: Iterable[LoadedModule], root: Path, provided: Provided, allowed: Collection[str] = ()
) -> list[LoadedModule]:
    """Return the modules that the tree provides and that came from elsewhere, sorted.

    A module came from the tree where its file lies beside files of the tree: a compiled one built
    in place does too. An installed copy below the root does not.

    Args:
        loaded: What the guard noted.
        root: The directory that holds the tree.
        provided: What the tree provides.
        allowed: Top-level names that may come from elsewhere.
    """
    ours = {each for each in loaded if each.top not in allowed and _is_provided(each, provided)}
    if not ours:
        return []
    inside = {os.path.realpath(root / directory) for directory in provided.directories}
    return sorted(each for each in ours if os.path.realpath(Path(each.file).parent) not in inside)


def _is_provided(module: LoadedModule, provided: Provided) -> bool:
    """Whether the tree should have given a module: it has one of this name, or the package around it.

    What was compiled and has no source of its name in the tree can only come from elsewhere.
    """
    if module.name in provided.modules:
        return True
    return module.top in provided.packages and module.file.endswith((".py", ".pyc"))


def made_from_tree(module: LoadedModule, root: Path, provided: Provided, since_ns: int) -> bool:
    """Whether a module's file is a copy that this very execution made of the tree, as nox and tox do.

    Its inode must have changed since ``since_ns`` (a moment of the clock), and its bytes must be
    those of the tree: installers keep builds of older trees.
    """
    try:
        if Path(module.file).stat().st_ctime_ns < since_ns:
            return False
        twins = provided.modules.get(module.name)
        content = Path(module.file).read_bytes()
        return twins is None or any((root / twin).read_bytes() == content for twin in twins)
    except OSError:
        return False


def encode_names(names: Iterable[str]) -> bytes:
    """Return the guard's file ``names``: the top-level names that it shall note."""
    return "".join(f"{name}\n" for name in sorted(names)).encode("utf-8", "surrogateescape")


def read_loaded(directory: Path) -> list[LoadedModule]:
    """Return what the guard noted in a directory, of all processes together."""
    loaded: set[LoadedModule] = set()
    for record in directory.glob("*.modules"):
        fields = record.read_bytes().decode("utf-8", "surrogateescape").split("\0")
        # A process that was killed while it wrote leaves an odd field.
        loaded.update(map(LoadedModule, fields[0:-1:2], fields[1:-1:2]))
    return sorted(loaded)


def describe_outside(modules: Iterable[LoadedModule]) -> list[str]:
    """Return one sentence for each top-level name, with the place that it came from."""
    places: dict[str, str] = {}
    for module in sorted(modules):
        file = Path(module.file)
        directory = file.parent if file.stem == "__init__" else file
        # The package itself says most; of a namespace package, its first part does.
        places.setdefault(module.top, str(directory))
    return [f"{name} was imported from {place}, not from the measured tree" for name, place in places.items()]
