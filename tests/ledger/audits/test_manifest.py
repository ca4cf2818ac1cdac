"""Manifests, with coreutils' ``sha256sum`` as the judge of the format."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.audits import manifest
from ledger.audits.tracked import TrackedFiles
from ledger.repository import Repository

ODD = {
    "plain.txt": b"a\n",
    "with space": b"b\n",
    "back\\slash": b"c\n",
    "new\nline": b"d\n",
    "dir/é": b"e\n",
    os.fsdecode(b"latin-\xe9"): b"f\n",
    "#hash": b"",
}


@pytest.fixture
def odd(make_repo: Callable[..., Path]) -> TrackedFiles:
    return TrackedFiles(Repository.open(make_repo(ODD)))


def sums(root: Path, *options: str) -> bytes:
    """Return what ``sha256sum`` writes for the tracked files."""
    command = ["sha256sum", *options, "--", *sorted(ODD)]
    return subprocess.run(command, cwd=root, capture_output=True, check=True).stdout


def rules(files: TrackedFiles) -> list[tuple[str, str]]:
    report = manifest.verify(files, files.root / manifest.NAME)
    return [(each.rule, each.path) for each in report.findings]


def write(files: TrackedFiles) -> Path:
    target = files.root / manifest.NAME
    manifest.write(target, manifest.build(files, target))
    return target


def test_the_bytes_are_those_of_sha256sum(odd: TrackedFiles) -> None:
    """Line for line, escaped names included, and it checks them."""
    written = write(odd).read_bytes()
    assert sorted(written.splitlines()) == sorted(sums(odd.root).splitlines())
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", manifest.NAME], cwd=odd.root, check=True)


@pytest.mark.parametrize("options", [(), ("--binary",), ("--tag",)])
def test_what_sha256sum_writes_is_verified(odd: TrackedFiles, options: tuple[str, ...]) -> None:
    """In each of its line formats; a changed byte is seen in each."""
    (odd.root / manifest.NAME).write_bytes(sums(odd.root, *options))
    report = manifest.verify(odd, odd.root / manifest.NAME)
    assert (report.findings, report.examined) == ((), len(ODD))
    (odd.root / "new\nline").write_bytes(b"D\n")
    assert rules(odd) == [("changed", '"new\\nline"')]


def test_missing_extra_duplicate_and_malformed_are_told_apart(
    odd: TrackedFiles, git: Callable[..., str]
) -> None:
    target = write(odd)
    (odd.root / "plain.txt").unlink()
    (odd.root / "added").write_bytes(b"new\n")
    git("add", "added", cwd=odd.root)
    (odd.root / "ignored").write_bytes(b"not tracked\n")
    lines = target.read_bytes().splitlines(keepends=True)
    target.write_bytes(b"".join(lines) + lines[-1] + b"no line\n")
    found = rules(odd)
    assert sorted(rule for rule, _ in found) == ["duplicate", "extra", "malformed", "missing"]
    assert ("missing", "plain.txt") in found
    assert ("extra", "added") in found


def test_a_symlink_and_a_submodule_stand_in_comments(
    make_repo: Callable[..., Path], git: Callable[..., str]
) -> None:
    """``sha256sum`` passes over them; a link that leads elsewhere is seen all the same."""
    root, inner = make_repo({"a": b"a\n"}), make_repo({"b": b"b\n"}, name="inner")
    (root / "dangling").symlink_to("nowhere")
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub", cwd=root)
    git("add", "--all", cwd=root)
    files = TrackedFiles(Repository.open(root))
    write(files)
    assert rules(files) == []
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", manifest.NAME], cwd=root, check=True)
    (root / "dangling").unlink()
    (root / "dangling").symlink_to("elsewhere")
    git("commit", "--quiet", "--allow-empty", "-m", "moved", cwd=root / "sub")
    git("add", "sub", cwd=root)
    assert rules(files) == [("changed", "dangling"), ("changed", "sub")]


def test_a_name_that_leads_out_is_not_read(odd: TrackedFiles) -> None:
    target = odd.root / manifest.NAME
    target.write_bytes(b"0" * 64 + b"  ../outside\n" + b"0" * 64 + b"  /etc/hostname\n")
    assert {rule for rule, path in rules(odd) if "outside" in path or "hostname" in path} == {"outside"}


def test_another_file_is_not_overwritten(odd: TrackedFiles) -> None:
    before = (odd.root / "plain.txt").read_bytes()
    with pytest.raises(manifest.NotAManifest):
        manifest.write(odd.root / "plain.txt", [])
    assert (odd.root / "plain.txt").read_bytes() == before
    assert not [path for path in odd.root.iterdir() if path.name.startswith(".plain")]


def test_a_file_that_is_gone_is_not_listed_in_silence(odd: TrackedFiles) -> None:
    (odd.root / "plain.txt").unlink()
    with pytest.raises(manifest.NotInWorkTree, match=r"plain\.txt"):
        write(odd)
    assert not (odd.root / manifest.NAME).exists()
    with pytest.raises(manifest.NoManifest):
        rules(odd)
