"""Backups: which names are one's, which never are, and which file of a group is to survive."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patches.backupnames import read_name
from patches.backups import Backup, BackupGroup, group_backups
from patches.model import MODE_EXECUTABLE, MODE_GITLINK, MODE_SYMLINK
from patches.objects import Objects
from patches.tree import Tree

if TYPE_CHECKING:
    from patch_lab import Bench, Files

TEXT = b"def mean(total, count):\n    return total / count\n\n\ndef total(values):\n    return sum(values)\n"
OTHER = b"class Window:\n    title = 'x'\n\n    def close(self):\n        self.open = False\n"


def groups_of(bench: Bench, files: Files, times: dict[bytes, int] | None = None) -> dict[bytes, BackupGroup]:
    tree = Tree(Objects(bench.repository), bench.tree(files))
    return {group.canonical: group for group in group_backups(tree, changed_at=(times or {}).get)}


def names(group: BackupGroup) -> list[bytes]:
    return [member.path for member in group.members]


# ── names ────────────────────────────────────────────────────────────────────────────────────────

CERTAIN = [
    "x.py0", "x.py1", "x.py001", "RUNBOOK.md01", "README.md2", "x.py.bkup", "x.py.bak", "x.py.BAK", "x.py.backup", "x.py.old",
    "x.py.orig", "x.py.save", "x.py.tmp", "x.py.bak1", "x.py.bak.1", "x.py_old", "x.py-bak", "x.py~", "x.py.~1~", "x - Copy.py",
    "x - Copy (2).py", "Copy of x.py", "Copy (2) of x.py", "x.py.2024-01-31", "x.py_20240131", "x.py-20240131-1530",
    "x.py.bak1.orig", "x.py~.old", "Makefile.old", ".gitignore.bak",
]  # fmt: skip
AGREEING = [
    "x copy.py", "x copy 2.py", "x_copy.py", "x_copy2.py", "x_backup.py", "x_old.py", "x_bak.py", "x-old.py", "x.bak.py", "x.old.py",
    "x.py.1", "x.py.12",
]  # fmt: skip
BESIDE = [
    "x (1).py",
    "x(1).py",
    "x.py2",
    "x.py3",
    "x.html5",
    "x.c0",
    "x.foo1",
    "data.bak",
    ".config.old",
    "x.orig",
]
JUNK = [".x.py.swp", ".x.py.swo", "#x.py#", ".#x.py", "x.py.rej"]
NEVER = [
    "libfoo.so.1", "libfoo.so.1.2.3", "git.1", "page.1", "test_1.py", "test_2.py", "v1", "v2", "old.py", "copy.py", "backup.py", "_old.py",
    "x.mp3", "x.mp4", "file.h5", "x.hdf5", "archive.7z", "data.json.gz", "x.tar.bz2", "0001_initial.py", "V2__users.sql", "x.f90",
    "x.f77", "x.md5", "x.sha256", "font.woff2", "x.m4", "x.sqlite3", "x.json5", "x.j2", "x.jinja2", "x.ps1", "app.log.1", "x.tar.gz.1",
    "Makefile2", "x.py", "2024-01-31.md", "post-2024-01-31.md", "x.20240131.md", ".bak", "~", "#", ".swp", "x.r00", "x.z01", "data2",
    "x.py.2024-13-31", "x.py.99999", "holdcopy.py", "photocopy.md", "untold.md",
]  # fmt: skip


def strength(name: str) -> str | None:
    readings = read_name(name.encode())
    return readings[-1].strength if readings else None


@pytest.mark.parametrize("name", CERTAIN)
def test_some_names_are_a_backups_alone(bench: Bench, name: str) -> None:
    """The canonical file is missing, and the backup is to take its place."""
    assert strength(name) == "certain"
    groups = groups_of(bench, {b"d/" + name.encode(): TEXT})
    assert [group.survivor for group in groups.values()] == [b"d/" + name.encode()]
    assert set(groups) <= {b"d/x.py", b"d/README.md", b"d/RUNBOOK.md", b"d/Makefile", b"d/.gitignore"}


@pytest.mark.parametrize("name", AGREEING)
def test_a_weaker_name_needs_its_canonical_file_or_another_backup(bench: Bench, name: str) -> None:
    """One name that only may be a backup's is none; two that agree, in content too, are."""
    assert strength(name) == "agree"
    path = name.encode()
    assert groups_of(bench, {path: TEXT}) == {}
    assert names(groups_of(bench, {path: TEXT, b"x.py": TEXT + b"\n"})[b"x.py"]) == [path]
    second = b"x_original_copy.py" if path == b"x_copy.py" else b"x_copy.py"
    agreeing = groups_of(bench, {path: TEXT, b"x_copy.py": TEXT, b"x-backup.py": TEXT})
    assert set(names(agreeing[b"x.py"])) == {path, b"x_copy.py", b"x-backup.py"}
    assert groups_of(bench, {path: TEXT, second: OTHER}) == {}


@pytest.mark.parametrize("name", BESIDE)
def test_the_weakest_names_need_their_canonical_file(bench: Bench, name: str) -> None:
    """Or a group that others establish."""
    assert strength(name) == "beside"
    canonical = read_name(name.encode())[-1].canonical
    assert groups_of(bench, {name.encode(): TEXT}) == {}
    found = groups_of(bench, {name.encode(): TEXT, canonical: TEXT})
    assert [member.identical for member in found[canonical].members] == [True]


@pytest.mark.parametrize("name", JUNK)
def test_scratch_files_of_editors_never_survive(bench: Bench, name: str) -> None:
    """They go, and where nothing else is there nothing takes the canonical path."""
    groups = groups_of(bench, {name.encode(): TEXT})
    assert groups[b"x.py"].survivor is None
    assert groups[b"x.py"].members[0].junk
    assert groups_of(bench, {name.encode(): TEXT, b"x.py0": b"1\n"})[b"x.py"].survivor == b"x.py0"


@pytest.mark.parametrize("name", NEVER)
def test_names_that_end_so_in_their_own_right_are_no_backups(bench: Bench, name: str) -> None:
    """Not even where a file is beside them that could be meant."""
    path = name.encode()
    shorter = {re.sub(rb"[._ -]?\d+$", b"", path), re.sub(rb"[_-]?(old|copy|backup|\d)+(?=\.)", b"", path)}
    beside = {other: TEXT for other in shorter if other not in (b"", b".py", path)}
    assert read_name(path) == ()
    assert groups_of(bench, {**beside, path: TEXT}) == {}


def test_marks_are_taken_off_as_far_as_there_is_a_canonical_file(bench: Bench) -> None:
    """A backup of a backup belongs to the canonical file, and to the backup only without one."""
    assert set(groups_of(bench, {b"x_old.py.bak": TEXT, b"x.py": TEXT})) == {b"x.py"}
    assert set(groups_of(bench, {b"x_old.py.bak": TEXT})) == {b"x_old.py"}
    whole = groups_of(bench, {b"x.py": TEXT, b"x_old.py": TEXT, b"x_old.py.bak": TEXT, b"x.py0.orig": TEXT})
    assert names(whole[b"x.py"]) == [b"x.py0.orig", b"x_old.py", b"x_old.py.bak"]
    assert [member.mark for member in whole[b"x.py"].members] == ["0 .orig", "_old", "_old .bak"]


@given(st.binary(min_size=1, max_size=12).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_any_name_can_be_read(name: bytes) -> None:
    """Every reading is shorter than the one before and never empty, so reading ends."""
    sizes = [len(name), *(len(reading.canonical) for reading in read_name(name))]
    assert sizes == sorted(set(sizes), reverse=True)
    assert sizes[-1] > 0


# ── groups ───────────────────────────────────────────────────────────────────────────────────────


def test_directories_keep_their_groups_apart(bench: Bench) -> None:
    """A canonical file elsewhere establishes nothing here."""
    groups = groups_of(bench, {b"a/x.py": TEXT, b"b/x_old.py": TEXT, b"a/x_old.py": TEXT, b"v1/x.py": TEXT})
    assert set(groups) == {b"a/x.py"}
    assert groups[b"a/x.py"].directory == b"a"


def test_the_canonical_file_survives_unless_it_is_empty(bench: Bench) -> None:
    """Whatever is newer or larger; what speaks against it is said."""
    files = {b"x.py": TEXT, b"x.py0": TEXT * 3, b"x.py1": b""}
    group = groups_of(bench, files, {b"x.py": 10, b"x.py0": 20})[b"x.py"]
    assert group.survivor == b"x.py"
    assert "1 of the backups changed after it" in group.reason
    assert groups_of(bench, {**files, b"x.py": b""})[b"x.py"].survivor == b"x.py0"
    assert groups_of(bench, {b"x.py": b"", b"x.py1": b""})[b"x.py"].survivor == b"x.py"


@pytest.mark.parametrize(
    ("times", "survivor"),
    [
        ({}, b"x.py1"),
        ({b"x.py0": 2, b"x.py1": 1}, b"x.py0"),
        ({b"x.py0": 2}, b"x.py0"),
        ({b"x.py0": 2, b"x.py1": 2}, b"x.py1"),
        ({b"x.py2": 9}, b"x.py1"),
    ],
)
def test_without_it_the_newest_survives_then_the_largest(
    bench: Bench, times: dict[bytes, int], survivor: bytes
) -> None:
    """A file whose time is not known counts as the oldest; an empty one never survives."""
    files = {b"x.py0": TEXT, b"x.py1": TEXT * 2, b"x.py2": b"", b"x.py.rej": TEXT * 9}
    group = groups_of(bench, files, times)[b"x.py"]
    assert group.survivor == survivor
    assert group.entry is None
    assert "missing" in group.reason


def test_members_say_how_they_differ_from_the_survivor(bench: Bench) -> None:
    """Identical by oid, lines for text, nothing for what is binary."""
    files = {
        b"x.py": TEXT,
        b"x.py0": (MODE_EXECUTABLE, TEXT),
        b"x.py1": TEXT + b"print()\n",
        b"x.py2": TEXT + b"\0",
        b"x.py.bak": TEXT.replace(b"sum", b"max"),
    }
    facts = {
        member.path: (member.identical, member.added, member.removed)
        for member in groups_of(bench, files)[b"x.py"].members
    }
    assert facts == {
        b"x.py0": (True, 0, 0),
        b"x.py1": (False, 1, 0),
        b"x.py2": (False, None, None),
        b"x.py.bak": (False, 1, 1),
    }


def test_a_weak_name_with_other_content_is_doubtful(bench: Bench) -> None:
    """``test_copy.py`` beside ``test.py`` may test copying; a certain name is never doubted."""
    files = {b"test.py": TEXT, b"test_copy.py": OTHER, b"test.py.bak": OTHER, b"test_old.py": TEXT + b"#\n"}
    group = groups_of(bench, files)[b"test.py"]
    assert [member.path for member in group.members if member.doubtful] == [b"test_copy.py"]
    licence = b"".join(b"# licence, line %d\n" % n for n in range(50))
    only_licence = groups_of(bench, {b"x.py": licence + TEXT, b"x_copy.py": licence + OTHER})
    assert only_licence[b"x.py"].members[0].doubtful


def test_a_stranger_never_takes_the_canonical_path(bench: Bench) -> None:
    """Where the canonical file is missing or empty, one weak name with other content is not enough."""
    missing = groups_of(bench, {b"x.py0": TEXT, b"x_copy.py": OTHER * 9})[b"x.py"]
    assert (missing.survivor, [member.doubtful for member in missing.members]) == (b"x.py0", [False, True])
    empty = groups_of(bench, {b"test.py": b"", b"test_copy.py": OTHER})[b"test.py"]
    assert (empty.survivor, [member.doubtful for member in empty.members]) == (b"test.py", [True])
    junk = groups_of(bench, {b".x.py.swp": b"\0", b"x_copy.py": OTHER})[b"x.py"]
    assert (junk.survivor, [member.doubtful for member in junk.members]) == (None, [False, True])
    newer = groups_of(
        bench, {b"x.py0": TEXT, b"x_copy.py": TEXT + b"new()\n"}, {b"x.py0": 1, b"x_copy.py": 2}
    )
    assert newer[b"x.py"].survivor == b"x_copy.py"


def test_only_regular_files_are_members(bench: Bench) -> None:
    """A symlink may lead to the very backup, and a submodule is no copy of anything."""
    link, submodule = (MODE_SYMLINK, b"x.yaml.1"), (MODE_GITLINK, b"\x11" * 20)
    assert groups_of(bench, {b"x.yaml": link, b"x.yaml.1": TEXT, b"x.yaml.bak": TEXT}) == {}
    assert groups_of(bench, {b"x.py": TEXT, b"x.py.bak": link, b"x.py0": submodule}) == {}
    locked = groups_of(bench, {b"x.py": TEXT, b".#x.py": (MODE_SYMLINK, b"ada@host.1:2")})
    assert locked[b"x.py"].members[0].junk
    assert groups_of(bench, {b"x.py/a": TEXT, b"x (1).py": TEXT}) == {}


def test_names_that_are_not_utf8_are_names(bench: Bench) -> None:
    """Bytes in, bytes out."""
    group = groups_of(bench, {b"caf\xe9/\xe9.py": TEXT, b"caf\xe9/\xe9.py.bak": TEXT})[b"caf\xe9/\xe9.py"]
    assert names(group) == [b"caf\xe9/\xe9.py.bak"]


def test_hundreds_of_groups_are_found_among_thousands_of_files(bench: Bench) -> None:
    """Every planted backup is found, and none of the numbered files beside them."""
    marks = ["0", "001", ".bak", ".orig", "~", ".2024-01-31"]
    files: dict[bytes, bytes] = {}
    planted: set[bytes] = set()
    for n in range(300):
        directory = b"d%d/" % (n % 20)
        files[directory + b"m%d.py" % n] = TEXT
        files[directory + b"test_%d.py" % n] = TEXT
        files[directory + b"libm%d.so.1" % n] = b"\0"
        backup = directory + b"m%d.py" % n + marks[n % len(marks)].encode()
        files[backup] = TEXT + b"%d\n" % n
        planted.add(backup)
    groups = groups_of(bench, files)
    assert len(groups) == 300
    members: list[Backup] = [member for group in groups.values() for member in group.members]
    assert {member.path for member in members} == planted
    assert all((member.added, member.removed) == (1, 0) for member in members)
