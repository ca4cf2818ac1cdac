"""Canonicalization: the plan as text, and the tree that it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patches.apply import apply_patch
from patches.backups import Backup, BackupGroup, group_backups
from patches.canonicalization import (
    Canonicalization,
    Choice,
    Plan,
    PlanRefused,
    PlanSyntaxError,
    choose,
    encode_plan,
    parse_plan,
    plan_canonicalization,
)
from patches.diff import diff_trees
from patches.errors import PatchError, UnsafePath
from patches.globs import escape_glob, match_paths
from patches.model import MODE_FILE, MODE_GITLINK, Entry, Oid
from patches.moves import tree_updates
from patches.objects import Objects
from patches.parse import parse_patch
from patches.tree import Tree

if TYPE_CHECKING:
    from patch_lab import Bench

TEXT = b"one\ntwo\nthree\n"
FILES = {
    b"a/x.py": TEXT,
    b"a/x.py0": TEXT + b"four\n",
    b"a/x_old.py": b"other\n",
    b"b/y.md.bak": TEXT,
    b"b/y.md01": TEXT + b"newest\n",
    b"c/z.sh": b"",
    b"c/z.sh~": b"#!/bin/sh\n",
    b"c/.z.sh.swp": b"\0",
    b"caf\xe9.py": TEXT,
    b"caf\xe9.py.orig": TEXT,
    b"kept.txt": b"kept\n",
}


def canonicalize(bench: Bench, base: Oid, plan: Plan) -> tuple[Oid, Canonicalization]:
    objects = Objects(bench.repository)
    tree = Tree(objects, base)
    result = plan_canonicalization(tree, plan)
    assert tree.write() == base
    tree.update(tree_updates(result.changes))
    oid = tree.write()
    objects.flush()
    return oid, result


def proposed(bench: Bench, base: Oid) -> tuple[BackupGroup, ...]:
    return group_backups(Tree(Objects(bench.repository), base), changed_at={b"b/y.md01": 1_700_000_000}.get)


def test_the_proposal_leaves_one_file_of_each_group(bench: Bench) -> None:
    """Survivors stand at the canonical paths, backups are gone, all else is as it was."""
    base = bench.tree(FILES)
    result, done = canonicalize(bench, base, Plan(choose(proposed(bench, base))))
    assert result == bench.tree(
        {
            b"a/x.py": TEXT,
            b"a/x_old.py": b"other\n",
            b"b/y.md": TEXT + b"newest\n",
            b"c/z.sh": b"#!/bin/sh\n",
            b"caf\xe9.py": TEXT,
            b"kept.txt": b"kept\n",
        }
    )
    assert {change.path: change.operation for change in done.changes} == {
        b"a/x.py0": "delete",
        b"b/y.md": "rename",
        b"b/y.md.bak": "delete",
        b"c/.z.sh.swp": "delete",
        b"c/z.sh": "modify",
        b"c/z.sh~": "delete",
        b"caf\xe9.py.orig": "delete",
    }


def test_its_checks_hold_afterwards_and_fail_before(bench: Bench) -> None:
    """Every canonical path must exist and no backup may: each of the checks could be otherwise."""
    base = bench.tree(FILES)
    result, done = canonicalize(bench, base, Plan(choose(proposed(bench, base))))
    before, after = (
        [path for path, _ in Tree(Objects(bench.repository), oid).entries()] for oid in (base, result)
    )
    assert done.must_exist == (b"a/x.py", b"b/y.md", b"c/z.sh", b"caf\xe9.py")
    assert all(match_paths(after, escape_glob(path)) == [path] for path in done.must_exist)
    assert len(done.must_not_exist) == 6
    assert all(match_paths(before, escape_glob(path)) == [path] for path in done.must_not_exist)
    assert not any(match_paths(after, escape_glob(path)) for path in done.must_not_exist)


def test_the_recorded_patch_gives_the_same_tree(bench: Bench) -> None:
    """What is recorded are the bytes of a diff: applied to the base, they lead to the same oid."""
    base = bench.tree(FILES)
    result, _ = canonicalize(bench, base, Plan(choose(proposed(bench, base))))
    tree = Tree(Objects(bench.repository), base)
    apply_patch(tree, parse_patch(diff_trees(bench.path, base, result)))
    assert tree.write() == result


def test_the_text_is_for_people(bench: Bench) -> None:
    """Each choice shows what speaks for it; what is doubtful is proposed for nothing."""
    base = bench.tree(FILES)
    text = encode_plan(proposed(bench, base), tree=base)
    assert text.endswith(
        """
[[group]]
# a/x.py: 14 bytes
# a/x.py survives: it is there and not empty
canonical = "a/x.py"
survivor = "a/x.py"
remove = [
  "a/x.py0",  # 0, 19 bytes, +1 -0 lines
  # "a/x_old.py",  # _old, 6 bytes, +1 -3 lines, has little in common with it; is it a backup?
]

[[group]]
# b/y.md: missing
# b/y.md01 survives: the canonical file is missing, and this is the newest of 2 copies
canonical = "b/y.md"
survivor = "b/y.md01"
remove = [
  "b/y.md.bak",  # .bak, 14 bytes, +0 -1 lines
  # survivor: b/y.md01: 01, 21 bytes, changed 2023-11-14 22:13:20 UTC
]

[[group]]
# c/z.sh: 0 bytes
# c/z.sh~ survives: the canonical file is empty, and this is the only copy
canonical = "c/z.sh"
survivor = "c/z.sh~"
remove = [
  "c/.z.sh.swp",  # .swp, 1 bytes, binary or large, junk
  # survivor: c/z.sh~: ~, 10 bytes
]

[[group]]
# "caf\\351.py": 14 bytes
# "caf\\351.py" survives: it is there and not empty
canonical = { b64 = "Y2Fm6S5weQ==" }
survivor = { b64 = "Y2Fm6S5weQ==" }
remove = [
  { b64 = "Y2Fm6S5weS5vcmln" },  # .orig, 14 bytes, identical
]
"""
    )
    plan = parse_plan(text)
    assert plan.choices == choose(proposed(bench, base))
    assert plan.tree == base
    assert plan.lines[b"a/x.py0"] == text.split("\n").index('  "a/x.py0",  # 0, 19 bytes, +1 -0 lines') + 1


def test_an_edited_plan_is_done_as_edited(bench: Bench) -> None:
    """Another survivor, a group that is kept, a backup that stays, a group that is left out."""
    base = bench.tree(FILES)
    plan = parse_plan(
        """
        [[group]]
        canonical = "a/x.py"
        survivor = "a/x.py0"
        remove = ["a/x_old.py"]
        [[group]]
        canonical = "b/y.md"
        survivor = "b/y.md.bak"
        remove = ["b/y.md01"]
        keep = true
        """
    )
    result, done = canonicalize(bench, base, plan)
    expected = {path: content for path, content in FILES.items() if not path.startswith(b"a/")}
    assert result == bench.tree({**expected, b"a/x.py": TEXT + b"four\n"})
    assert done.must_exist == (b"a/x.py",)
    assert [(change.path, change.added, change.removed) for change in done.changes] == [
        (b"a/x.py", 1, 0),
        (b"a/x.py0", 0, 4),
        (b"a/x_old.py", 0, 1),
    ]


@pytest.mark.parametrize(
    ("text", "at_line", "reason"),
    [
        ("[[group]]\ncanonical = \n", 2, "Invalid value"),
        ("[[group]]\ncanonical = 'x'\n\nnonsense = 1\n", 4, "nonsense"),
        ("title = 'x'\n", 1, "title"),
        ("[[group]]\ncanonical='x'\n[[group]]\nsurvivor = 'x'\n", 3, "canonical"),
        ("[[group]]\ncanonical = 1\n", 2, "canonical"),
        ("[[group]]\ncanonical = 'x'\nremove = 'x0'\n", 3, "remove"),
        ("[[group]]\ncanonical = 'x'\nremove = [\n 1]\n", 3, "remove"),
        ("[[group]]\ncanonical = 'x'\nkeep = 'yes'\n", 3, "keep"),
        ("[[group]]\ncanonical = ''\n", 2, "empty"),
        ("[[group]]\ncanonical = { b64 = '?' }\n", 2, "base64"),
        ("[[group]]\ncanonical = { b65 = 'YQ==' }\n", 2, "b65"),
        ("tree = 'HEAD'\n", 1, "tree"),
        ("group = 1\n", 1, "group"),
        ("group = [1]\n", 0, "group"),
    ],
)
def test_what_is_no_plan_is_refused_with_its_line(text: str, at_line: int, reason: str) -> None:
    """A typing error never means something else."""
    with pytest.raises(PlanSyntaxError, match=reason) as refused:
        parse_plan(text)
    assert refused.value.at_line == at_line


@pytest.mark.parametrize(
    ("choices", "refusal", "reason"),
    [
        ("canonical='a/x.py'\nsurvivor='a/x.py'\nremove=['a/x.py9']", PlanRefused, "no file of the tree"),
        ("canonical='a/x.py'\nsurvivor='a/x.py9'", PlanRefused, "no file of the tree"),
        ("canonical='new.py'\nsurvivor='new.py'", PlanRefused, "no file of the tree"),
        ("canonical='a/x.py'\nsurvivor='a/x.py'\nremove=['a']", PlanRefused, "no file of the tree"),
        ("canonical='a/x.py'\nsurvivor='a/x.py'\nremove=['a/x.py']", PlanRefused, "twice"),
        ("canonical='a/x.py'\nsurvivor='a/x.py0'\nremove=['a/x.py0']", PlanRefused, "twice"),
        ("canonical='a/x.py'\nremove=['a/x.py0', 'a/x.py0']", PlanRefused, "twice"),
        ("canonical='a'\nsurvivor='kept.txt'", PlanRefused, "directory is in its place"),
        ("canonical='kept.txt/x'\nsurvivor='a/x.py0'", PlanRefused, "is a file"),
        ("canonical='sub'\nsurvivor='a/x.py0'", PlanRefused, "submodule"),
        ("canonical='x'\nremove=['sub']", PlanRefused, "submodule"),
        ("canonical='../x'\nsurvivor='a/x.py0'", UnsafePath, "is no name|for .git"),
        ("canonical='.git/config'\nsurvivor='a/x.py0'", UnsafePath, "is no name|for .git"),
    ],
)
def test_a_plan_that_does_not_fit_the_tree_is_refused(
    bench: Bench, choices: str, refusal: type[PatchError], reason: str
) -> None:
    """Before anything is changed; the path's own line is named."""
    base = bench.tree({**FILES, b"sub": (MODE_GITLINK, b"\x11" * 20)})
    with pytest.raises(refusal, match=reason) as refused:
        canonicalize(bench, base, parse_plan(f"[[group]]\n{choices}\n"))
    if isinstance(refused.value, PlanRefused):
        assert refused.value.at_line in range(2, 5)


def test_a_file_cannot_become_a_directory_of_another(bench: Bench) -> None:
    """Two new canonical paths, one below the other, are no tree."""
    plan = Plan((Choice(canonical=b"n", survivor=b"a/x.py0"), Choice(canonical=b"n/x", survivor=b"b/y.md01")))
    with pytest.raises(PlanRefused, match="is a file"):
        canonicalize(bench, bench.tree(FILES), plan)


def test_two_groups_cannot_want_one_file(bench: Bench) -> None:
    """The same backup would have two fates."""
    choice = Choice(canonical=b"a/x.py", survivor=b"a/x.py0")
    with pytest.raises(PlanRefused):
        canonicalize(bench, bench.tree(FILES), Plan((choice, Choice(canonical=b"n", remove=(b"a/x.py0",)))))


# ── properties ───────────────────────────────────────────────────────────────────────────────────

NAMES = st.binary(min_size=1, max_size=8) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8
).map(lambda text: text.encode())
BACKUPS = st.builds(
    Backup,
    path=NAMES,
    entry=st.just(Entry(MODE_FILE, bytes(20))),
    size_bytes=st.integers(0, 1 << 40),
    mark=st.sampled_from([".bak", "0", "(1)"]),
    changed_at=st.none() | st.integers(0, 4_000_000_000),
    identical=st.booleans(),
    added=st.none() | st.integers(0, 99),
    removed=st.integers(0, 99),
    junk=st.booleans(),
    doubtful=st.booleans(),
)
GROUPS = st.builds(
    BackupGroup,
    canonical=NAMES,
    entry=st.none(),
    size_bytes=st.none() | st.integers(0, 99),
    changed_at=st.none() | st.integers(0, 4_000_000_000),
    members=st.lists(BACKUPS, max_size=4).map(tuple),
    survivor=st.none() | NAMES,
    reason=st.sampled_from(["it is there", "it is missing"]),
)


@given(groups=st.lists(GROUPS, max_size=4))
def test_any_plan_survives_its_text(groups: list[BackupGroup]) -> None:
    """Whatever the names are: quotes, line breaks, hashes, brackets, bytes that are no text."""
    assert parse_plan(encode_plan(groups)).choices == choose(groups)


STEMS = [b"x", b"y_old", b"a b"]
MARKS = [b"", b"0", b".bak", b"~", b".1", b".orig.bak", b".rej"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.dictionaries(
        st.builds(lambda stem, mark: stem + b".py" + mark, st.sampled_from(STEMS), st.sampled_from(MARKS))
        | st.sampled_from([b"x_copy.py", b"Copy of y.py", b"x (1).py", b"y.py", b"z_old.py"]),
        st.sampled_from([b"", TEXT, TEXT + b"more\n", b"other\n", b"\0"]),
        max_size=8,
    )
)
def test_canonicalizing_again_finds_nothing_certain(bench: Bench, files: dict[bytes, bytes]) -> None:
    """A proposal can always be carried out, loses no surviving content, and leaves nothing for a second one."""
    base = bench.tree(files)
    groups = proposed(bench, base)
    result, done = canonicalize(bench, base, Plan(choose(groups)))
    after = Tree(Objects(bench.repository), result)
    for group in groups:
        if group.survivor is not None:
            entry = after.entry(group.canonical)
            assert entry is not None
            assert Objects(bench.repository).read_blob(entry.oid) == files[group.survivor]
    left = [member for group in proposed(bench, result) for member in group.members]
    assert all(member.doubtful for member in left if member.path not in done.must_exist)
