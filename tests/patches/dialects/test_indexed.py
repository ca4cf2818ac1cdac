"""Sections below ``Index:`` lines, as svn, cvs and fossil write them."""

from __future__ import annotations

import pytest

from patches.dialects.model import AmbiguousPatch
from patches.dialects.normalisation import needs_normalising, normalise
from patches.dialects.omissions import LeftOut
from patches.dialects.trial import try_patch
from patches.errors import MissingBinary
from patches.options import DEFAULTS, ApplyOptions

RULE = b"=" * 67 + b"\n"
EDIT = b"@@ -1 +1 @@\n-a\n+b\n"
FILES = {b"d/f": b"a\n", b"g": b"a\n"}


def section(name: bytes, old: bytes, new: bytes, body: bytes) -> bytes:
    return b"Index: %s\n%s--- %s\t%s\n+++ %s\t%s\n%s" % (name, RULE, name, old, name, new, body)


def svn(name: bytes, body: bytes = EDIT) -> bytes:
    return section(name, b"(revision 1)", b"(working copy)", body)


ADDED = section(b"d/new", b"(nonexistent)", b"(working copy)", b"@@ -0,0 +1 @@\n+n\n")
DELETED = section(b"d/f", b"(revision 3)", b"(nonexistent)", b"@@ -1 +0,0 @@\n-a\n")
PROPERTIES = b"\nProperty changes on: d/f\n" + b"_" * 67 + b"\nAdded: svn:eol-style\n## -0,0 +1 ##\n+native\n"


def result(
    data: bytes, files: dict[bytes, bytes] = FILES, options: ApplyOptions = DEFAULTS
) -> dict[bytes, bytes | None]:
    """Return what the normalised text makes of the files that it names."""
    assert needs_normalising(data)
    states = try_patch(normalise(data, files.get, options).data, files.get, options)
    return {path: content for path, (content, _, _) in states.items()}


def test_a_new_file_is_where_its_name_says() -> None:
    """Git would take the first directory for a prefix."""
    assert result(ADDED) == {b"d/new": b"n\n"}
    assert result(svn(b"d/f") + ADDED) == {b"d/f": b"b\n", b"d/new": b"n\n"}


def test_a_file_that_is_gone_is_deleted() -> None:
    """It is not left empty."""
    assert result(DELETED) == {b"d/f": None}


def test_names_follow_the_tree() -> None:
    """A diff made a directory above the tree has a component too many, in new files too."""
    moved = {b"f": b"a\n"}
    assert result(svn(b"d/f") + ADDED, moved) == {b"f": b"b\n", b"new": b"n\n"}
    assert result(svn(b"d/f"), {b"d/f": b"a\n", b"f": b"other\n"}) == {b"d/f": b"b\n"}


def test_names_that_fit_twice_are_refused() -> None:
    """Both files have the lines."""
    with pytest.raises(AmbiguousPatch, match=r"d/f\n  f"):
        result(svn(b"d/f"), {b"d/f": b"a\n", b"f": b"a\n"})
    assert result(svn(b"d/f"), {b"d/f": b"a\n", b"f": b"a\n"}, ApplyOptions(strip=0)) == {b"d/f": b"b\n"}


def test_properties_are_left_out_and_that_is_said() -> None:
    """Git has none of them."""
    made = normalise(svn(b"d/f", EDIT + PROPERTIES), FILES.get)
    assert made.steps == ("svn", "left out: svn properties")
    assert b"native" not in made.data


def test_a_section_without_content_is_refused() -> None:
    """The file was copied, or is new and empty: the text does not tell."""
    with pytest.raises(LeftOut, match="d/copy"):
        result(b"Index: d/copy\n" + RULE + svn(b"g"))


def test_a_binary_file_of_svn_is_refused() -> None:
    """Nothing of a patch is passed over in silence."""
    with pytest.raises(MissingBinary, match="logo"):
        result(b"Index: logo\n" + RULE + b"Cannot display: file marked as a binary type.\n" + svn(b"g"))


def test_a_rename_in_the_git_form_of_svn_is_one() -> None:
    """It also has a section that deletes the old name, revisions after names, and ``(nonexistent)``."""
    head = b"Index: d/f\n" + RULE + b"diff --git a/d/f b/d/f\ndeleted file mode 100644\n"
    gone = head + b"--- a/d/f\t(revision 1)\n+++ b/d/f\t(nonexistent)\n@@ -1 +0,0 @@\n-a\n"
    move = b"diff --git a/d/f b/d/h\nrename from d/f\nrename to d/h\n"
    names = b"--- a/d/f\t(revision 1)\n+++ b/d/h\t(working copy)\n"
    copy = b"Index: d/i\n" + RULE + b"diff --git a/g b/d/i\ncopy from g@7\ncopy to d/i\n"
    data = gone + b"Index: d/h\n" + RULE + move + names + EDIT + copy
    assert result(data) == {b"d/f": None, b"d/h": b"b\n", b"d/i": b"a\n"}


def test_cvs_and_fossil_sections_are_read() -> None:
    """CVS says ``/dev/null``; fossil starts a new file at line 0 under its own name."""
    cvs = (
        b"Index: d/n\n"
        + RULE
        + b"RCS file: d/n\ndiff -N d/n\n--- /dev/null\t1 Jan 1970\n+++ d/n\t2 Jan 2026\n"
    )
    assert result(cvs + b"@@ -0,0 +1 @@\n+n\n") == {b"d/n": b"n\n"}
    fossil = b"ADDED    d/n\nIndex: d/n\n" + RULE + b"--- d/n\n+++ d/n\n@@ -0,0 +1,1 @@\n+n\n"
    assert result(fossil) == {b"d/n": b"n\n"}
