"""Bytecode of the measured tree: kept for what has not changed, and never taken for another content."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from execution_lab import execute, python, surround

from ledger.gates.bytecode import BytecodeCache
from ledger.gates.surroundings import Surroundings
from patches.model import MODE_FILE, MODE_SYMLINK, Entry
from patches.oids import hash_blob

CODE = "import sys; sys.path.insert(0, '.'); import fact, other, pkg.part; print(fact.N)"
OLD_S = 1_700_000_000
PROGRAM = python(CODE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree of three modules, unchanged for long, beside a directory for temporary files."""
    root = tmp_path / "tree"
    (tmp_path / "tmp").mkdir()
    for name in ("fact.py", "other.py", "pkg/part.py"):
        write(root / name, "N = 1\n")
    return root


def write(path: Path, text: str, at_s: int = OLD_S) -> None:
    """Write a file as if it had been changed in a given second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    os.utime(path, (at_s, at_s))


def entries(root: Path) -> dict[bytes, Entry]:
    """Return what git's tree of a directory would list."""
    return {
        os.fsencode(path.relative_to(root)): Entry(
            MODE_SYMLINK if path.is_symlink() else MODE_FILE, hash_blob(path.read_bytes())
        )
        for path in root.rglob("*.py")
    }


def around(root: Path, known: Mapping[bytes, Entry] | None = None) -> Surroundings:
    found = entries(root) if known is None else known
    facts: dict[str, Any] = {"entries": found, "tree_paths": found.keys()}
    temporary = {"TMPDIR": str(root.parent / "tmp")}
    return surround(root, cache_dir=root.parent / "cache", variables=temporary, **facts)


def compiled(root: Path) -> dict[str, int]:
    """Return the cached bytecode of the tree by module, each with when it was written."""
    mirrored = root.parent / "cache/bytecode" / str(root.resolve()).lstrip("/")
    return {
        str(path.relative_to(mirrored)).partition(".")[0]: path.stat().st_mtime_ns
        for path in mirrored.rglob("*.pyc")
    }


def run(root: Path) -> bytes | None:
    return execute(around(root), *PROGRAM).report


def test_what_has_not_changed_is_not_compiled_again(root: Path) -> None:
    """Only the module of the patch is, although nothing but its content differs."""
    assert run(root) == b"1\n"
    before = compiled(root)
    assert before.keys() == {"fact", "other", "pkg/part"}
    write(root / "fact.py", "N = 2\n")
    assert run(root) == b"2\n"
    after = compiled(root)
    assert {name for name in after if after[name] != before[name]} == {"fact"}


def test_the_way_back_is_seen_too(root: Path) -> None:
    """A rollback brings the content, the size and the second of before."""
    printed: list[bytes | None] = []
    for number in (1, 2, 1, 2):
        write(root / "fact.py", f"N = {number}\n")
        printed.append(run(root))
    assert printed == [b"1\n", b"2\n", b"1\n", b"2\n"]


def test_without_a_list_nothing_is_trusted(root: Path) -> None:
    """As after a tree that was changed while it was measured, whoever changed it back."""
    write(root / "fact.py", "N = 2\n")
    execute(
        around(root, known={**entries(root), b"fact.py": Entry(MODE_FILE, hash_blob(b"N = 1\n"))}), *PROGRAM
    )
    write(root / "fact.py", "N = 1\n")
    assert run(root) == b"2\n"  # the trap: what was compiled is not what was said
    around(root).distrust_bytecode()
    assert run(root) == b"1\n"


@pytest.mark.parametrize("text", ["", "rubbish", "zz fact.py\0", "00\0", "\0\0"])
def test_a_damaged_list_is_none(root: Path, text: str) -> None:
    """It is part of a cache: whatever it holds, the tree is measured."""
    assert run(root) == b"1\n"
    (known,) = (root.parent / "cache/bytecode-of").iterdir()
    known.write_text(text, "utf-8")
    write(root / "fact.py", "N = 2\n")
    assert run(root) == b"2\n"


def test_what_was_changed_in_the_second_in_which_it_was_compiled_is_compiled_again(root: Path) -> None:
    """It may have been changed twice in that second, and the first content compiled."""
    assert run(root) == b"1\n"
    now_s = int(max(compiled(root).values()) / 1e9)
    os.utime(root / "fact.py", (now_s, now_s))
    cache = BytecodeCache(root.parent / "cache/bytecode", root, entries(root))
    cache.forget()
    assert compiled(root).keys() == {"other", "pkg/part"}


def test_a_module_found_through_a_symlink_is_compiled_again(root: Path) -> None:
    """The link's blob is the same whatever it leads to holds."""
    write(root.parent / "elsewhere.py", "N = 1\n")
    (root / "fact.py").unlink()
    (root / "fact.py").symlink_to("../elsewhere.py")
    assert run(root) == b"1\n"
    write(root.parent / "elsewhere.py", "N = 2\n")
    assert run(root) == b"2\n"


def test_a_module_that_is_not_in_the_tree_is_compiled_again(root: Path) -> None:
    """An ignored file that a command has generated: nobody knows its content."""
    tracked = entries(root)
    del tracked[b"fact.py"]
    printed: list[bytes | None] = []
    for number in (1, 2):
        write(root / "fact.py", f"N = {number}\n")
        printed.append(execute(around(root, known=tracked), *PROGRAM).report)
    assert printed == [b"1\n", b"2\n"]


def test_names_that_hold_dots_are_told_apart(root: Path) -> None:
    """The name of what pytest compiles has its version in it; where two modules may be meant, neither is trusted."""
    cache = BytecodeCache(root.parent / "cache/bytecode", root, entries(root))
    cache.forget()
    mirrored = root.parent / "cache/bytecode" / str(root.resolve()).lstrip("/")
    mirrored.mkdir(parents=True)
    kept = [mirrored / "fact.cpython-311-pytest-8.4.2.pyc", mirrored / "other.cpython-311.opt-1.pyc"]
    gone = [mirrored / "fact.other.cpython-311.pyc", mirrored / "nothing.cpython-311.pyc", mirrored / "fact"]
    write(root / "fact.other.py", "")
    for path in (*kept, *gone):
        path.touch()
    cache = BytecodeCache(root.parent / "cache/bytecode", root, entries(root))
    cache.forget()
    assert sorted(mirrored.iterdir()) == sorted(kept)


def test_a_tree_among_the_temporary_files_keeps_its_own(root: Path) -> None:
    """All else that was compiled of temporary files goes: tests use the same paths again."""
    cache = BytecodeCache(root.parent / "cache/bytecode", root, entries(root))
    assert run(root) == b"1\n"
    left = root.parent / "cache/bytecode" / str(root.parent / "left/over.cpython-311.pyc").lstrip("/")
    left.parent.mkdir()
    left.touch()
    cache.forget_below(root.parent)
    assert compiled(root).keys() == {"fact", "other", "pkg/part"}
    assert not left.exists()
