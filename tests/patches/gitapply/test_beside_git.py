"""``python -m patches apply`` and ``git apply`` on the same work tree: same files, index, output, exit code."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from patches.gitapply.command import run

NUMBERS = b"".join(b"line %d\n" % n for n in range(1, 21))
Content = bytes | str | None
"""Bytes of a file, the target of a symlink, or nothing."""


class Outcome(NamedTuple):
    code: int
    stdout: bytes
    stderr: bytes
    files: dict[str, tuple[str, bytes]]
    staged: bytes


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, sealed_commands: dict[str, str]) -> Path:
    """A repository with one commit; copies of it are patched."""
    top = tmp_path_factory.mktemp("base") / "repo"
    subprocess.run(["git", "init", "-q", "-b", "main", top], check=True, env=sealed_commands)
    put(
        top,
        {"file": NUMBERS, "sub/deep/other": b"one\ntwo\nthree\n", "bin": bytes(range(256)), "link": "file"},
    )
    put(top, {"script": b"#!/bin/sh\necho\n", "crlf": NUMBERS.replace(b"\n", b"\r\n"), "empty": b""})
    (top / "script").chmod(0o755)
    for words in (["add", "-A"], ["commit", "-qm", "base"]):
        subprocess.run(["git", *words], cwd=top, check=True, env=sealed_commands)
    return top


def put(top: Path, files: Mapping[str, Content]) -> None:
    for name, content in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        path.unlink(missing_ok=True)
        if isinstance(content, str):
            path.symlink_to(content)
        elif content is not None:
            path.write_bytes(content)


def git(top: Path, *words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=top, check=True, capture_output=True).stdout


def read_files(top: Path) -> dict[str, tuple[str, bytes]]:
    found: dict[str, tuple[str, bytes]] = {}
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        if name == ".git" or name.startswith(".git/"):
            continue
        if path.is_symlink():
            found[name] = "link", os.fsencode(path.readlink())
        elif path.is_dir():
            found[name] = "directory", b""
        else:
            found[name] = oct(path.stat().st_mode), path.read_bytes()
    return found


class Pair:
    """Two copies of one work tree, for git and for us."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.base = base
        # Both have the same name: messages may show it.
        self.theirs, self.ours = folder / "theirs" / "repo", folder / "ours" / "repo"
        for copy in (self.theirs, self.ours):
            shutil.copytree(base, copy, symlinks=True)
            git(copy, "update-index", "-q", "--refresh")

    def patch(self, edits: Mapping[str, Content], *options: str) -> bytes:
        """Return what `git diff` says of edits, which are then undone in both copies."""
        put(self.ours, edits)
        git(self.ours, "add", "-A")
        diff = git(self.ours, "diff", "--cached", *options)
        git(self.ours, "reset", "-q", "--hard")
        return diff

    def edit(self, edits: Mapping[str, Content], *commands: tuple[str, ...]) -> None:
        for copy in (self.theirs, self.ours):
            put(copy, edits)
            for words in commands:
                git(copy, *words)

    def run(
        self, words: list[str], patch: bytes, monkeypatch: pytest.MonkeyPatch,
        capture: pytest.CaptureFixture[bytes], *, below: str = ".",
    ) -> tuple[Outcome, Outcome]:  # fmt: skip
        """Run both commands; return what git did, and what we did."""
        done = subprocess.run(
            ["git", "apply", *words], cwd=self.theirs / below, input=patch, capture_output=True, check=False
        )
        monkeypatch.chdir(self.ours / below)
        capture.readouterr()
        output = io.BytesIO()
        code = run(words, io.BytesIO(patch), output)
        said = capture.readouterr().err
        return (
            self._outcome(self.theirs, done.returncode, done.stdout, done.stderr),
            self._outcome(self.ours, code, output.getvalue(), said),
        )

    def _outcome(self, top: Path, code: int, stdout: bytes, stderr: bytes) -> Outcome:
        staged = git(top, "ls-files", "--stage") + git(top, "status", "--porcelain")
        return Outcome(code, stdout, stderr, read_files(top), staged)


@pytest.fixture
def pair(base: Path, tmp_path: Path) -> Pair:
    return Pair(base, tmp_path)


CHANGED = NUMBERS.replace(b"line 3\n", b"line three\n").replace(b"line 17\n", b"line 17\nline 17 b\n")
EDITS: dict[str, tuple[dict[str, Content], tuple[str, ...]]] = {
    "modify": ({"file": CHANGED}, ()),
    "add and delete": ({"new/deep/file": b"new\n", "sub/deep/other": None}, ()),
    "rename": ({"file": None, "moved/to": CHANGED}, ("-M",)),
    "copy": ({"copied": CHANGED, "file": CHANGED + b"end\n"}, ("-C",)),
    "binary": ({"bin": bytes(range(255, -1, -1)), "other": b"\0\1\2" * 99}, ("--binary",)),
    "symlink": ({"link": "script", "second": "sub"}, ()),
    "type change": ({"link": b"a file now\n", "script": "file"}, ()),
    "file for directory": ({"sub/deep/other": None, "sub/deep": b"a file\n"}, ()),
    "no newline": ({"file": CHANGED[:-1], "empty": b"filled"}, ()),
    "crlf": ({"crlf": CHANGED.replace(b"\n", b"\r\n")}, ()),
    "unusual names": ({'with "quote"': b"1\n", "with\ttab": b"2\n", "ümlaut": b"3\n"}, ()),
    "without context": ({"file": CHANGED}, ("-U0",)),
}
WAYS = [
    [], ["--check"], ["--index"], ["--cached"], ["--stat", "--summary"], ["--numstat"], ["--numstat", "-z"],
    ["-v"], ["--stat", "--apply"], ["--unidiff-zero", "--index"], ["--whitespace=fix"], ["--no-add"],
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
@pytest.mark.parametrize("name", EDITS)
def test_a_patch_does_what_it_does_with_git(name, way, pair, monkeypatch, capfdbinary) -> None:
    """Files, modes, index, output, messages and exit code are git's."""
    edits, options = EDITS[name]
    patch = pair.patch(edits, *options)
    theirs, ours = pair.run(way, patch, monkeypatch, capfdbinary)
    assert ours == theirs


@pytest.mark.parametrize("name", ["modify", "add and delete", "rename", "binary", "symlink", "no newline"])
def test_a_patch_is_taken_back_as_by_git(name, pair, monkeypatch, capfdbinary) -> None:
    """With ``-R`` on what it made."""
    edits, options = EDITS[name]
    patch = pair.patch(edits, *options)
    pair.edit(edits, ("add", "-A"))
    theirs, ours = pair.run(["-R", "--index"], patch, monkeypatch, capfdbinary)
    assert ours == theirs


CONFLICTING = {"file": NUMBERS.replace(b"line 3\n", b"line drei\n")}


@pytest.mark.parametrize(
    "way", [[], ["--reject"], ["-3"], ["-3", "--cached"], ["-v"], ["-q"], ["--check"], ["-C1"]], ids=" ".join
)
def test_a_patch_that_does_not_fit_is_refused_as_by_git(way, pair, monkeypatch, capfdbinary) -> None:
    """Rejected hunks, conflicts in the index and messages too."""
    patch = pair.patch({"file": CHANGED, "new": b"n\n"})
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    pair.edit(CONFLICTING, (*identity, "commit", "-qam", "ours"))
    theirs, ours = pair.run(way, patch, monkeypatch, capfdbinary)
    assert ours == theirs


@pytest.mark.parametrize("way", [[], ["--index"], ["--cached"], ["-3"], ["--reject"]], ids=" ".join)
def test_files_in_the_way_are_spared_as_by_git(way, pair, monkeypatch, capfdbinary) -> None:
    """An untracked file where one is created, an edit where the index is to match, a file that is gone."""
    patch = pair.patch({"file": CHANGED, "new": b"n\n", "sub/deep/other": b"one\n"})
    pair.edit({"file": NUMBERS + b"more\n", "new": b"mine\n", "sub/deep/other": None})
    theirs, ours = pair.run(way, patch, monkeypatch, capfdbinary)
    assert ours == theirs


@pytest.mark.parametrize(
    "way", [[], ["--index"], ["--directory=x"], ["-v", "--exclude=*other"]], ids=" ".join
)
def test_a_subdirectory_limits_what_is_touched_as_with_git(way, pair, monkeypatch, capfdbinary) -> None:
    """Paths outside it are skipped."""
    patch = pair.patch({"file": CHANGED, "sub/deep/other": b"one\n2\nthree\n"})
    theirs, ours = pair.run(way, patch, monkeypatch, capfdbinary, below="sub")
    assert ours == theirs


@pytest.mark.parametrize("action", ["nowarn", "warn", "fix", "error", "error-all"])
@pytest.mark.parametrize("rule", ["", "tab-in-indent", "indent-with-non-tab,tabwidth=4", "-trailing"])
def test_whitespace_errors_are_treated_as_by_git(action, rule, pair, monkeypatch, capfdbinary) -> None:
    """Shown, counted, mended or refused, by the configured rule and by the one of an attribute."""
    bad = b"".join(b"\tx \n  \ty\n        z\t\n    w\n" for _ in range(3))
    patch = pair.patch({"file": NUMBERS + bad + b"\n\n", "sub/deep/other": bad})
    pair.edit({".gitattributes": b"sub/** whitespace=space\n"}, ("config", "core.whitespace", rule))
    theirs, ours = pair.run([f"--whitespace={action}"], patch, monkeypatch, capfdbinary)
    assert ours == theirs


@pytest.mark.parametrize(
    "attributes", [b"", b"* text=auto\n", b"* text eol=crlf\n", b"crlf -text\nfile eol=crlf\n"]
)
@pytest.mark.parametrize("autocrlf", ["false", "true", "input"])
def test_line_ends_are_converted_as_by_git(attributes, autocrlf, pair, monkeypatch, capfdbinary) -> None:
    """Between the work tree, which has either, and the patch."""
    patch = pair.patch({"file": CHANGED, "new": b"a\nb\n"}) + pair.patch(EDITS["crlf"][0])
    pair.edit({".gitattributes": attributes}, ("config", "core.autocrlf", autocrlf))
    theirs, ours = pair.run([], patch, monkeypatch, capfdbinary)
    assert ours == theirs


@pytest.mark.parametrize(
    "words",
    [
        ["--sta"], ["--wh=fix"], ["--no-sta", "--check"], ["--apply", "--chec"], ["--no-such"],
        ["--whitespace=never"], ["--exclude"], ["--check=x"], ["-Cx"], ["--no-exclude"],
        ["--3way", "--reject"], ["missing.patch"], ["--", "-missing"], ["-vq"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_arguments_mean_what_they_mean_to_git(words, pair, monkeypatch, capfdbinary) -> None:
    """Abbreviated, negated, clustered, wrong: the exit code and the result are git's."""
    patch = pair.patch({"file": CHANGED})
    theirs, ours = pair.run(words, patch, monkeypatch, capfdbinary)
    assert ours._replace(stderr=b"") == theirs._replace(stderr=b"")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--in"], 129, "ambiguous option: in"),
        (["-p", "x"], 128, "option -p expects a non-negative integer, got 'x'"),
        (["--directory=../up"], 129, "unable to normalize directory: '../up'"),
        (["-h"], 129, "usage: python -m patches apply"),
    ],
    ids=["in", "p", "directory", "h"],
)
def test_what_older_git_let_pass_is_refused(words, code, said, pair, monkeypatch, capfdbinary) -> None:
    """In the words of the newest."""
    _, ours = pair.run(words, b"", monkeypatch, capfdbinary)
    assert ours.code == code
    assert said in ours.stderr.decode()


def test_new_files_are_intended_to_be_added(pair, monkeypatch, capfdbinary) -> None:
    """With ``-N`` the index knows their names and not their content, and all else stays (older Git drops it)."""
    patch = pair.patch({"new": b"n\n", "file": CHANGED})
    before = git(pair.ours, "ls-files", "--stage").splitlines()
    _, ours = pair.run(["-N"], patch, monkeypatch, capfdbinary)
    new = b"100644 e69de29bb2d1d6434b8b29ae775ad8c2e48c5391 0\tnew"
    assert git(pair.ours, "ls-files", "--stage").splitlines() == sorted(
        [*before, new], key=lambda line: line[50:]
    )
    assert git(pair.ours, "status", "--porcelain") == b" M file\n A new\n"
    assert ours.code == 0


def test_plain_files_need_no_repository(tmp_path, monkeypatch) -> None:
    """Outside of one, names are relative to the current directory."""
    (tmp_path / "file").write_bytes(NUMBERS)
    monkeypatch.chdir(tmp_path)
    patch = b"--- a/file\n+++ b/file\n@@ -1,2 +1,2 @@\n-line 1\n+line one\n line 2\n"
    assert run([], io.BytesIO(patch), io.BytesIO()) == 0
    assert (tmp_path / "file").read_bytes() == NUMBERS.replace(b"line 1\n", b"line one\n", 1)
    assert run(["--index"], io.BytesIO(patch), io.BytesIO()) == 128


def test_plain_files_need_no_git(tmp_path, monkeypatch) -> None:
    """Without the git program a patch of plain files applies, and only a repository is refused."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    patch = b"--- /dev/null\n+++ b/file\n@@ -0,0 +1 @@\n+new\n"
    assert run([], io.BytesIO(patch), io.BytesIO()) == 0
    assert (tmp_path / "file").read_bytes() == b"new\n"
    (tmp_path / ".git").mkdir()
    assert run(["-R"], io.BytesIO(patch), io.BytesIO()) == 128
    assert (tmp_path / "file").read_bytes() == b"new\n"


@pytest.mark.parametrize("path", [b"../out", b".git/hooks/post-commit", b"link/through", b".GIT/config"])
def test_nothing_outside_is_written(path, pair, monkeypatch, capfdbinary) -> None:
    """Not above the work tree, not in the repository, not through a symlink."""
    pair.edit({"link": "sub"})
    patch = b"diff --git a/%s b/%s\nnew file mode 100644\n--- /dev/null\n+++ b/%s\n@@ -0,0 +1 @@\n+x\n" % (
        (path,) * 3
    )
    theirs, ours = pair.run([], patch, monkeypatch, capfdbinary)
    assert ours == theirs
    assert ours.code
