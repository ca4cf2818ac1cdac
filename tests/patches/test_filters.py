"""Files under Git's conversions: written as Git writes them, recognised as Git stores them."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from worktree_lab import Edit, Files, Lab, executable, symlink

from patches.filters import Filters, _quote, read_settings
from patches.worktree_errors import DirtyPath, FilterFailed

TEXT = b"one\ntwo $Id$\n"
ODD_NAMES = (
    b" lead.t",
    b"\ttab.t",
    b"with space.t",
    b"new\nline.t",
    b"cr\r.t",
    b'quo"te\\.t',
    b"\xe9\xff.t",
    b"end.t\r",
)
ROT13 = (
    "import sys\n"
    "table = bytes.maketrans(b'abcdefghijklmnopqrstuvwxyz', b'nopqrstuvwxyzabcdefghijklm')\n"
    "sys.stdout.buffer.write(sys.stdin.buffer.read().translate(table))\n"
)


def with_attributes(lines: bytes, extra: Files = {}) -> Files:  # noqa: B006 - never changed
    return {b".gitattributes": lines, b"a.t": TEXT, b"d/b.t": TEXT, b"c.bin": b"\0\r\n\n", **extra}


def use_filter(lab: Lab, *, required: bool = True) -> None:
    """Configure the filter ``rot13``, a relative command as projects have them."""
    (lab.root / "rot13.py").write_text(ROT13)
    for side in ("clean", "smudge"):
        lab.git("config", f"filter.rot13.{side}", f"{sys.executable} rot13.py")
    lab.git("config", "filter.rot13.required", str(required).lower())


def change(lab: Lab, edit: Edit) -> None:
    """Apply, and again by `converge` alone: both as Git checks it out; then take it back."""
    touches = lab.apply(edit)
    lab.assert_after(touches)
    assert lab.tree.converge(touches) == ()
    lab.assert_after(touches)
    reverse = [touch._replace(old=touch.new, new=touch.old) for touch in touches]
    assert lab.tree.publish(lab.tree.stage(reverse)) == ()
    assert lab.git("write-tree").strip() == lab.git("rev-parse", "HEAD^{tree}").strip()
    lab.git("diff-files", "--quiet")
    assert lab.tree.converge(touches) == ()
    lab.assert_after(touches)


NORMAL: Edit = {
    b"a.t": b"1\n2\n$Id$",
    b"d/b.t": None,
    b"d/new.t": executable(TEXT),
    b"l.t": symlink(b"a.t"),
    b"c.bin": b"\0\n",
}
SETTINGS: tuple[dict[str, str], ...] = (
    {},
    {"core_autocrlf": "true"},
    {"core_autocrlf": "input"},
    {"core_eol": "crlf"},
    {"core_eol": "lf"},
    {"core_autocrlf": "true", "core_eol": "lf"},
)
ATTRIBUTES = (
    *(b"", b"*.t text\n", b"*.t text=auto\n", b"* text=auto\n", b"*.t text eol=crlf\n"),
    *(b"*.t eol=lf\n", b"*.t eol=crlf\n", b"*.t -text\n", b"*.t text=auto eol=crlf\n", b"*.t text=input\n"),
    *(b"*.t crlf\n", b"*.t -crlf\n", b"*.t crlf=input\n", b"*.t binary\n", b"*.t ident\n", b"*.t -ident\n"),
    *(b"*.t text=odd eol=odd\n", b"*.t -text eol=crlf\n", b"*.t filter=gone\n"),
    *(b"*.t working-tree-encoding=UTF-16\n", b"*.t text working-tree-encoding=UTF-16LE eol=crlf ident\n"),
)


@pytest.mark.parametrize(("attributes", "settings"), list(itertools.product(ATTRIBUTES, SETTINGS[:2])))
def test_written_as_git_writes_it(tmp_path: Path, attributes: bytes, settings: dict[str, str]) -> None:
    change(Lab.create(tmp_path / "repo", with_attributes(attributes), **settings), NORMAL)


@pytest.mark.parametrize("settings", SETTINGS[2:])
@pytest.mark.parametrize("attributes", ATTRIBUTES[:5])
def test_written_as_git_writes_it_under_settings(
    tmp_path: Path, attributes: bytes, settings: dict[str, str]
) -> None:
    change(Lab.create(tmp_path / "repo", with_attributes(attributes), **settings), NORMAL)


@pytest.mark.parametrize(("attributes", "settings"), list(itertools.product(ATTRIBUTES, SETTINGS)))
def test_a_process_is_started_exactly_where_bytes_may_differ(
    tmp_path: Path, attributes: bytes, settings: dict[str, str]
) -> None:
    """The look-up agrees with Git on a text whose every conversion shows."""
    lab = Lab.create(tmp_path / "repo", with_attributes(attributes), **settings)
    converts = Filters(lab.repo, read_settings(lab.repo), str(lab.root).encode()).converts_out(b"a.t")
    differs = lab.path(b"a.t").read_bytes() != TEXT
    assert converts == differs or (b"filter=gone" in attributes and converts)


def test_filter_with_a_relative_command(tmp_path: Path) -> None:
    lab = Lab.create(tmp_path / "repo", with_attributes(b"*.t filter=rot13\n"))
    use_filter(lab)
    lab.git("rm", "--cached", "-r", "-q", ".")
    lab.git("reset", "--quiet", "--hard")
    assert lab.path(b"a.t").read_bytes() != TEXT
    touches = lab.apply(NORMAL)
    assert lab.path(b"a.t").read_bytes() == b"1\n2\n$Iq$"
    assert lab.git("diff-files") == b""
    assert lab.git("write-tree").decode().strip() == lab.tree_after(touches)


def test_dirty_file_under_a_filter(tmp_path: Path) -> None:
    lab = Lab.create(tmp_path / "repo", with_attributes(b"*.t filter=rot13\n"))
    use_filter(lab)
    lab.put(b"a.t", b"mine\n")
    with pytest.raises(DirtyPath) as caught:
        lab.tree.check(lab.touches({b"a.t": b"x", b"d/b.t": b"y"}))
    assert caught.value.paths == (b"a.t",)


@pytest.mark.parametrize("touching_attributes", [False, True])
def test_required_filter_that_fails_changes_nothing(tmp_path: Path, touching_attributes: bool) -> None:
    lab = Lab.create(tmp_path / "repo", with_attributes(b"*.t filter=broken\n"))
    lab.git("config", "filter.broken.smudge", "false")
    lab.git("config", "filter.broken.clean", "cat")
    lab.git("config", "filter.broken.required", "true")
    edit: dict[bytes, bytes] = {b"a.t": b"x\n", b"c.bin": b"y"}
    if touching_attributes:
        edit[b".gitattributes"] = b"*.t filter=broken\n# more\n"
    touches = lab.touches(edit)
    before = lab.snapshot()
    lab.tree.check(touches)
    with pytest.raises(FilterFailed) as caught:
        lab.tree.stage(touches)
    assert b"a.t" in caught.value.paths
    with pytest.raises(FilterFailed):
        lab.tree.converge(touches)
    assert lab.snapshot() == before
    assert not (lab.git_dir / "index.lock").exists()


def test_filter_that_may_fail_gives_the_raw_bytes(tmp_path: Path) -> None:
    lab = Lab.create(tmp_path / "repo", with_attributes(b"*.t filter=broken\n"))
    lab.git("config", "filter.broken.smudge", "false")
    lab.assert_after(lab.apply(NORMAL))


def test_raw_bytes_of_a_filtered_file_are_the_file(tmp_path: Path) -> None:
    """As after `GIT_LFS_SKIP_SMUDGE=1`: the pointer itself is checked out."""
    lab = Lab.create(tmp_path / "repo", with_attributes(b"*.t filter=rot13\n"))
    use_filter(lab)
    assert lab.path(b"a.t").read_bytes() == TEXT
    assert lab.tree.check(lab.touches({b"a.t": b"x"})) is None


def test_crlf_file_of_an_lf_blob_is_clean_under_auto(tmp_path: Path) -> None:
    """What Git stores decides: an editor on another platform wrote CRLF, and `git status` is silent."""
    lab = Lab.create(tmp_path / "repo", with_attributes(b"* text=auto\n"))
    lab.put(b"a.t", TEXT.replace(b"\n", b"\r\n"))
    lab.assert_after(lab.apply({b"a.t": b"new\n"}))


def test_crlf_stored_as_such_stays(tmp_path: Path) -> None:
    lab = Lab.create(
        tmp_path / "repo", {b"dos.t": b"1\r\n2\r\n", b"mixed.t": b"1\r\n2\n"}, core_autocrlf="true"
    )
    change(lab, {b"dos.t": b"1\r\n3\r\n", b"mixed.t": b"1\n2\r\n3"})


@pytest.mark.parametrize(
    "attributes", [b"*.t* eol=crlf\n", b"*.t* filter=rot13\n", b"*.t* working-tree-encoding=UTF-16\n"]
)
def test_odd_names(tmp_path: Path, attributes: bytes) -> None:
    """Spaces, line ends and non-UTF-8 bytes reach Git unchanged, though its batch modes read lines."""
    names = [name for name in ODD_NAMES if b"UTF-16" not in attributes or b"\n" not in name]
    lab = Lab.create(tmp_path / "repo", with_attributes(attributes, dict.fromkeys(names, b"abc\nxyz\n")))
    if b"rot13" in attributes:
        lab.git("config", "filter.rot13.smudge", "tr a-z n-za-m")
        lab.git("config", "filter.rot13.clean", "tr a-z n-za-m")
        lab.git("rm", "--cached", "-r", "-q", ".")
        lab.git("reset", "--quiet", "--hard")
    change(lab, dict.fromkeys(names, b"def\nuvw\n"))


def test_content_that_looks_like_an_answer(tmp_path: Path) -> None:
    lab = Lab.create(tmp_path / "repo", with_attributes(b"*.t eol=crlf\n"))
    oid = lab.git("rev-parse", "HEAD:a.t").strip()
    change(lab, {b"a.t": oid + b" blob 3\nabc\nx missing\n", b"d/b.t": b"", b"e.t": b"\n", b"f.t": b"no end"})


# ── attributes that change in the same patch ─────────────────────────────────────────────────────

CHANGING: dict[str, tuple[bytes | None, Edit]] = {
    "appear": (None, {b".gitattributes": b"*.t eol=crlf\n", b"a.t": b"1\n", b"n.t": b"2\n"}),
    "vanish": (b"*.t eol=crlf\n", {b".gitattributes": None, b"a.t": b"1\n", b"n.t": b"2\n"}),
    "change": (
        b"*.t eol=crlf\n",
        {b".gitattributes": b"*.t ident\n", b"a.t": b"$Id$\n", b"d/b.t": executable(TEXT)},
    ),
    "in a directory": (
        b"*.t eol=crlf\n",
        {b"d/.gitattributes": b"*.t -text\n", b"d/b.t": b"1\n", b"a.t": b"2\n"},
    ),
    "in a new directory": (None, {b"x/y/.gitattributes": b"* eol=crlf\n", b"x/y/z": b"1\n", b"x/z": b"2\n"}),
    "convert themselves": (
        None,
        {b".gitattributes": b"* text eol=crlf\n*.u ident\n", b"a.u": b"$Id$\n", b"a.t": b"1\n"},
    ),
    "below untouched ones": (
        b"*.t eol=crlf\n",
        {b"d/.gitattributes": b"*.u ident\n", b"d/b.t": b"1\n", b"d/c.u": b"$Id$\n"},
    ),
    "as a symlink": (
        None,
        {b".gitattributes": symlink(b"elsewhere"), b"elsewhere": b"*.t eol=crlf\n", b"a.t": b"1\n"},
    ),
    "directory to file": (None, {b"d/b.t": None, b"d": b"1\n", b".gitattributes": b"d eol=crlf\n"}),
    "symlink to directory": (
        None,
        {b"link": None, b"link/.gitattributes": b"* eol=crlf\n", b"link/a": b"1\n"},
    ),
}


@pytest.mark.parametrize("name", CHANGING)
def test_attributes_of_the_result_decide(tmp_path: Path, name: str) -> None:
    before, edit = CHANGING[name]
    base = dict(with_attributes(before or b"", {b"link": symlink(b"d")}))
    if before is None:
        del base[b".gitattributes"]
    lab = Lab.create(tmp_path / "repo", base)
    files, touches = lab.files(), lab.touches(edit)
    assert lab.tree.publish(lab.tree.stage(touches)) == ()
    expected = lab.checkout_of(lab.tree_after(touches))
    # New attributes do not reach files that the patch does not touch.
    expected |= {path: old for path, old in files.items() if path not in edit and path in expected}
    assert lab.files() == expected
    assert lab.git("write-tree").decode().strip() == lab.tree_after(touches)
    lab.git("diff-files", "--quiet", "--", *edit)
    assert lab.tree.converge(touches) == ()
    assert lab.files() == expected


def test_filter_with_a_relative_command_in_a_patch_that_brings_it(tmp_path: Path) -> None:
    """The shadow of the work tree holds the script that the command names, even below a touched directory."""
    lab = Lab.create(
        tmp_path / "repo", {b"tools/rot13.py": ROT13.encode(), b"tools/a.t": b"abc\n", b"a.t": b"abc\n"}
    )
    for side in ("clean", "smudge"):
        lab.git("config", f"filter.rot13.{side}", f"{sys.executable} tools/rot13.py")
    lab.git("config", "filter.rot13.required", "true")
    touches = lab.apply({b".gitattributes": b"*.t filter=rot13\n", b"tools/a.t": b"abcd\n"})
    assert lab.path(b"tools/a.t").read_bytes() == b"nopq\n"
    assert lab.tree.converge(touches) == ()
    assert lab.path(b"tools/a.t").read_bytes() == b"nopq\n"
    assert lab.path(b"a.t").read_bytes() == b"abc\n"


def test_attributes_only_in_the_index(tmp_path: Path) -> None:
    """As Git has it: where the attributes file is not checked out, the index's counts."""
    lab = Lab.create(
        tmp_path / "repo", with_attributes(b"*.t eol=crlf\n", {b"d/.gitattributes": b"x -text\n"})
    )
    lab.path(b".gitattributes").unlink()
    lab.apply({b"a.t": b"1\n"})
    assert lab.path(b"a.t").read_bytes() == b"1\r\n"
    lab.apply({b"d/.gitattributes": b"y -text\n", b"d/b.t": b"1\n"})
    assert lab.path(b"d/b.t").read_bytes() == b"1\r\n"


def test_callers_git_variables_do_not_lead_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As inside a hook, or another repository's command."""
    lab = Lab.create(tmp_path / "repo", with_attributes(b"*.t eol=crlf\n"))
    other = Lab.create(tmp_path / "other", {b"x": b"1"})
    touches = lab.touches(NORMAL)
    with monkeypatch.context() as patched:
        for name in (
            "GIT_DIR",
            "GIT_COMMON_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_OBJECT_DIRECTORY",
            "GIT_PREFIX",
        ):
            patched.setenv(name, str(other.git_dir))
        assert lab.tree.publish(lab.tree.stage(touches)) == ()
    lab.assert_after(touches)


@given(st.binary(min_size=1).filter(lambda path: b"\0" not in path))
def test_quoting_is_undone_by_git(path: bytes) -> None:
    """Against an independent reading of C's rules."""
    quoted = _quote(path)
    assert quoted.isascii()
    assert b"\n" not in quoted
    assert quoted[:1] == quoted[-1:] == b'"'
    assert quoted[1:-1].decode("unicode_escape").encode("latin-1") == path


def test_git_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab.create(tmp_path / "repo", with_attributes(b"*.t eol=crlf\n"))
    touches = lab.touches(NORMAL)
    monkeypatch.setenv("PATH", str(tmp_path))
    before = lab.snapshot()
    with pytest.raises(FilterFailed):
        lab.tree.stage(touches)
    assert lab.snapshot() == before
