"""Secrets in the tracked files of a repository, less those that its baseline knows.

Values never leave this module: a finding says the kind and the line, a baseline holds hashes.

See: `ledger.secrets`, whose detectors keep secrets out of what the ledger records.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ledger.audits.baseline import Baseline, Known, Seen, encode_baseline, hash_secret, parse_baseline
from ledger.audits.tracked import SUBMODULE, Content, TrackedFiles, replace_file
from ledger.measurements import Finding, Report, Severity
from ledger.secrets.patchtext import SETTINGS_SUFFIXES
from ledger.secrets.prefilter import REACH_BYTES, Stretch, find_stretches
from ledger.secrets.randomness import find_random_strings
from patches.errors import show_path

BLOCK_BYTES = 1 << 20


class Block(NamedTuple):
    """A part of a file: whole lines, unless one is longer. ``line`` is the first one's number."""

    data: bytes
    line: int
    before: bytes
    """The line before the first one, which may allow a secret in it."""


class Scan(NamedTuple):
    """What a scan saw: secrets, what only may be one, and how many files were read."""

    seen: tuple[Seen, ...]
    doubtful: tuple[Seen, ...]
    files: int


def read_baseline(path: Path, *, required: bool = False) -> Baseline:
    """Return the baseline in a file; an empty one where there is none, unless it must be there.

    Raises:
        BadBaseline: It is not one.
        OSError: It cannot be read.
    """
    if not required and not path.exists():
        return Baseline()
    return parse_baseline(path.read_bytes(), str(path))


def write_baseline(path: Path, found: Scan, before: Baseline) -> int:
    """Write what was found as the baseline, whole or not at all; return how many entries it has.

    Labels of ``before`` are kept, and entries of what is no longer found are gone.
    """
    from detect_secrets import __version__

    from ledger.secrets.detectors import plugin_names

    seen = [*found.seen, *(each for each in found.doubtful if each.hash)]
    data = encode_baseline(seen, before, plugin_names(), __version__.VERSION)
    replace_file(path, data)
    return len(parse_baseline(data))


def scan(files: TrackedFiles, skip: Path | None = None) -> Scan:
    """Look for secrets in every tracked file and symlink. Memory does not grow with a file's size.

    Args:
        files: Those of a work tree. Submodules are repositories of their own.
        skip: The baseline's own path: it holds hashes that look drawn at random.

    Raises:
        OSError: A file cannot be read: whether it holds a secret is not known.
    """
    own = None if skip is None else skip.absolute()
    seen: list[Seen] = []
    doubtful: list[Seen] = []
    count = 0
    for file in files.entries():
        path = show_path(file.path)
        if file.mode == SUBMODULE or files.root / os.fsdecode(file.path) == own:
            continue
        with files.open(file) as stream:
            for each, sure in scan_file(stream, path):
                (seen if sure else doubtful).append(each)
        count += 1
    return Scan(tuple(dict.fromkeys(seen)), tuple(dict.fromkeys(doubtful)), count)


def scan_file(stream: Content, path: str) -> Iterator[tuple[Seen, bool]]:
    """Yield what looks like a secret in a file, and whether it surely does."""
    for block in read_blocks(stream):
        for stretch in find_stretches(block.data):
            if stretch.shape != "bare" or path.endswith(SETTINGS_SUFFIXES):
                yield from _search(block, stretch, path)
        for offset in find_random_strings(block.data):
            line = block.line + block.data.count(b"\n", 0, offset)
            yield Seen("random string", path, line, "", ""), False


def read_blocks(stream: Content) -> Iterator[Block]:
    """Yield a file in blocks that end with a line; of a line that is longer, in blocks that overlap."""
    rest, line, before = b"", 1, b""
    while data := stream.read(BLOCK_BYTES):
        block = rest + data
        cut = block.rfind(b"\n") + 1
        if cut:
            yield Block(block[:cut], line, before)
            before = block[block.rfind(b"\n", 0, cut - 1) + 1 : cut - 1][-REACH_BYTES:]
            line += block.count(b"\n", 0, cut)
            rest = block[cut:]
        elif len(block) > BLOCK_BYTES:
            yield Block(block, line, before)
            rest = block[-2 * REACH_BYTES :]
        else:
            rest = block
    if rest:
        yield Block(rest, line, before)


def _search(block: Block, stretch: Stretch, path: str) -> Iterator[tuple[Seen, bool]]:
    from ledger.secrets import detectors

    at = stretch.start
    for text in block.data[stretch.start : stretch.end].split(b"\n"):
        line = block.line + block.data.count(b"\n", 0, at)
        for found in detectors.search(text, path):
            if not _is_allowed(block, at, path):
                seen = Seen(found.kind, path, line, hash_secret(found.value), hash_secret(found.part))
                yield seen, found.sure
        at += len(text) + 1


def _is_allowed(block: Block, at: int, path: str) -> bool:
    """Tell whether the line around an offset, or the one before, says that it may hold a secret."""
    from ledger.secrets.detectors import is_allowlisted

    start = block.data.rfind(b"\n", 0, at) + 1
    end = block.data.find(b"\n", at)
    line = block.data[start : end if end >= 0 else len(block.data)]
    before = block.data[block.data.rfind(b"\n", 0, start - 1) + 1 : start - 1] if start else block.before
    texts = (each.decode("utf-8", "replace").rstrip("\r") for each in (line, before))
    return is_allowlisted(path, *texts)


def judge_scan(scan: Scan, baseline: Baseline) -> Report:
    """Return the report: ``findings`` are secrets that the baseline does not know, or knows to be real.

    ``warnings`` are what only may be a secret.
    """
    found = [_judge(each, baseline.find(each), "error", "not in the baseline") for each in scan.seen]
    for each in scan.doubtful:
        words = "may be a secret" if each.hash else "a string that looks drawn at random"
        found.append(_judge(each, baseline.find(each), "warning", words))
    findings = tuple(each for each in found if each is not None)
    counts = Counter(each.severity for each in findings)
    return Report(
        metrics={"findings": float(counts["error"]), "warnings": float(counts["warning"])},
        examined=scan.files,
        unit="files",
        findings=findings,
    )


def _judge(seen: Seen, known: Known | None, severity: Severity, words: str) -> Finding | None:
    if known is None:
        return Finding(seen.kind, seen.path, seen.line, message=words, severity=severity)
    if known.is_secret:
        return Finding(seen.kind, seen.path, seen.line, message="a real secret, as its audit says")
    return None
