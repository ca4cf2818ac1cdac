"""Manifests: the SHA-256 of every tracked file, in the lines that coreutils' ``sha256sum`` writes and checks.

A symlink or submodule has no such line: ``sha256sum`` would follow the one and fail on the other. They stand
in comments, which it passes over and `verify` does not.

See: ``docs/offline.md``, "Manifest"; sha256sum(1), "--check".
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from ledger.audits.tracked import SUBMODULE, SYMLINK, Tracked, TrackedFiles, replace_file
from ledger.errors import LedgerError
from ledger.measurements import Finding, Report
from patches.errors import show_path

NAME = "SHA256SUMS"
Kind: TypeAlias = Literal["file", "symlink", "submodule"]

_KINDS: dict[int, Kind] = {SYMLINK: "symlink", SUBMODULE: "submodule"}
_ESCAPES = {b"\\": b"\\\\", b"\n": b"\\n", b"\r": b"\\r"}
_ESCAPED = re.compile(rb"\\(.?)", re.DOTALL)
_LINE = re.compile(rb"(\\?)([0-9a-fA-F]{64}) [ *](.+)", re.DOTALL)
_TAGGED = re.compile(rb"(\\?)SHA256 ?\((.+)\) ?= ?([0-9a-fA-F]{64})", re.DOTALL)
_COMMENT = re.compile(rb"# (symlink|submodule) (\\?)([0-9a-f]{40,64})  (.+)", re.DOTALL)


class NoManifest(LedgerError):
    """There is no manifest to verify. Nothing was looked at."""

    hint = "`ledger audit manifest --write` makes one"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: no manifest here")


class NotAManifest(LedgerError):
    """A file that is no manifest is where one is to be written. It was left as it is."""

    hint = "name another one: `ledger audit manifest --write -o FILE`"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: this is no manifest, and would be lost")


class NotInWorkTree(LedgerError):
    """A tracked file is not in the work tree, so there is nothing to list. Nothing was written."""

    hint = "`git restore PATH` brings it back, `git rm PATH` lets it go"

    def __init__(self, path: bytes) -> None:
        self.path = path
        super().__init__(f"{show_path(path)}: tracked, and not in the work tree as Git would have it")


class Entry(NamedTuple):
    """One line: what it is about, by which digest (of a symlink's target; a submodule's commit)."""

    path: bytes
    digest: str
    kind: Kind = "file"
    line: int = 0


# ── the format ───────────────────────────────────────────────────────────────────────────────────


def encode_manifest(entries: Iterable[Entry]) -> bytes:
    """Return a manifest's bytes: files sorted by path, then what stands in comments."""
    ordered = sorted(entries, key=lambda entry: (entry.kind != "file", entry.path))
    return b"".join(map(_encode, ordered))


def _encode(entry: Entry) -> bytes:
    name = b"".join(_ESCAPES.get(bytes([byte]), bytes([byte])) for byte in entry.path)
    mark = b"\\" if name != entry.path else b""
    head = b"" if entry.kind == "file" else f"# {entry.kind} ".encode()
    return head + mark + entry.digest.encode() + b"  " + name + b"\n"


def parse_manifest(data: bytes) -> tuple[list[Entry], list[int]]:
    """Return the entries of a manifest, and the numbers of the lines that are none.

    It takes what ``sha256sum`` writes, with ``--binary`` and ``--tag`` too; other comments and empty lines
    are passed over.
    """
    entries: list[Entry] = []
    malformed: list[int] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        text = line.removesuffix(b"\r")
        entry = _parse(text, number)
        if entry is not None:
            entries.append(entry)
        elif text and not text.startswith(b"#"):
            malformed.append(number)
    return entries, malformed


def _parse(text: bytes, number: int) -> Entry | None:
    kind: Kind = "file"
    if match := _LINE.fullmatch(text):
        mark, digest, name = match.groups()
    elif match := _TAGGED.fullmatch(text):
        mark, name, digest = match.groups()
    elif match := _COMMENT.fullmatch(text):
        kind = "symlink" if match[1] == b"symlink" else "submodule"
        mark, digest, name = match.groups()[1:]
    else:
        return None
    if mark:
        unknown = any(each[1] not in (b"\\", b"n", b"r") for each in _ESCAPED.finditer(name))
        if unknown:
            return None
        name = _ESCAPED.sub(lambda each: {b"n": b"\n", b"r": b"\r"}.get(each[1], b"\\"), name)
    return Entry(name.removeprefix(b"./"), digest.decode().lower(), kind, number)


# ── the files ────────────────────────────────────────────────────────────────────────────────────


def build(files: TrackedFiles, target: Path) -> list[Entry]:
    """Return the entries for all tracked files but the manifest itself. Files are read in pieces.

    Raises:
        NotInWorkTree: One is not there.
        OSError: One cannot be read.
    """
    return [_entry(files, file) for file in files.entries() if not _is_target(files, file, target)]


def write(target: Path, entries: Iterable[Entry]) -> None:
    """Write a manifest, whole or not at all.

    Raises:
        NotAManifest: Another file is there.
        OSError: It cannot be written; what was there still is.
    """
    if target.exists():
        before, malformed = parse_manifest(target.read_bytes())
        if malformed or (not before and target.stat().st_size):
            raise NotAManifest(target)
    replace_file(target, encode_manifest(entries))


def verify(files: TrackedFiles, target: Path) -> Report:
    """Return how the work tree differs from a manifest.

    ``findings``: changed and missing files, tracked ones that are not listed (extra), lines twice about one
    (duplicate), lines that are none (malformed). ``warnings``: files that are listed and not tracked.

    Raises:
        NoManifest: There is none.
        OSError: A file cannot be read.
    """
    try:
        data = target.read_bytes()
    except FileNotFoundError as error:
        raise NoManifest(target) from error
    entries, malformed = parse_manifest(data)
    name = os.path.relpath(target, files.root)
    findings = [Finding("malformed", name, line, message="no line of a manifest") for line in malformed]
    tracked = {file.path: file for file in files.entries() if not _is_target(files, file, target)}
    listed: dict[bytes, Entry] = {}
    for entry in entries:
        if entry.path in listed:
            words = f"listed before, in line {listed[entry.path].line}"
            findings.append(
                Finding("duplicate", name, entry.line, message=f"{show_path(entry.path)}: {words}")
            )
            continue
        listed[entry.path] = entry
        findings += _compare(files, entry, tracked.get(entry.path), name)
    findings += [
        Finding("extra", show_path(path), message="tracked, and not in the manifest")
        for path in tracked
        if path not in listed
    ]
    warnings = sum(each.severity == "warning" for each in findings)
    return Report(
        metrics={"findings": float(len(findings) - warnings), "warnings": float(warnings)},
        examined=len(listed),
        unit="files",
        findings=tuple(findings),
    )


def _is_target(files: TrackedFiles, file: Tracked, target: Path) -> bool:
    return files.root / os.fsdecode(file.path) == target


def _entry(files: TrackedFiles, file: Tracked) -> Entry:
    kind = _KINDS.get(file.mode, "file")
    if kind == "submodule":
        # What its own repository has is that one's business; here Git records which commit it is.
        return Entry(file.path, file.oid.hex(), kind)
    if files.find(file) is None:
        raise NotInWorkTree(file.path)
    with files.open(file) as stream:
        return Entry(file.path, hashlib.file_digest(stream, "sha256").hexdigest(), kind)


def _compare(files: TrackedFiles, entry: Entry, file: Tracked | None, manifest: str) -> Iterator[Finding]:
    shown, where = show_path(entry.path), f"line {entry.line} of {manifest}"
    if file is None:
        yield from _compare_untracked(files, entry, where)
    elif file.mode == SYMLINK and entry.kind == "file" and files.find(file) is not None:
        # Made by `sha256sum` itself, which follows it.
        yield from _compare_content(files.root / os.fsdecode(file.path), entry, where)
    elif _KINDS.get(file.mode, "file") != entry.kind:
        yield Finding("changed", shown, message=f"no {entry.kind}, as it was ({where})")
    elif entry.kind != "submodule" and files.find(file) is None:
        yield Finding("missing", shown, message=f"not in the work tree ({where})")
    elif _entry(files, file).digest != entry.digest:
        yield Finding("changed", shown, message=f"not what it was ({where})")


def _compare_untracked(files: TrackedFiles, entry: Entry, where: str) -> Iterator[Finding]:
    shown = show_path(entry.path)
    path = Path(os.path.normpath(files.root / os.fsdecode(entry.path)))
    if not path.is_relative_to(files.root):
        yield Finding("outside", shown, message=f"outside the repository ({where})")
    elif entry.kind != "file" or not path.is_file():
        yield Finding("missing", shown, message=f"neither tracked nor there ({where})")
    else:
        yield Finding("untracked", shown, message=f"not tracked ({where})", severity="warning")
        yield from _compare_content(path, entry, where)


def _compare_content(path: Path, entry: Entry, where: str) -> Iterator[Finding]:
    if not path.is_file():
        yield Finding("missing", show_path(entry.path), message=f"leads to no file ({where})")
        return
    with path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != entry.digest:
            yield Finding("changed", show_path(entry.path), message=f"not what it was ({where})")
