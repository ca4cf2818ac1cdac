"""What the drop-in asks the ``git`` program: where it is, the configuration, attributes, objects, the index.

The repository may be of any kind that Git knows (SHA-256, split index, reftable); the index is written by
Git too, under its own lock. Outside a repository only the configuration is asked for.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple, cast

_LITERAL = {"GIT_LITERAL_PATHSPECS": "1"}
_INTENT_TO_ADD = 1 << 29
_FLAGS = re.compile(rb"flags: ([0-9a-f]+)\n")
_COMMAND_LINE_BYTES = 64 << 10


class GitFailed(Exception):
    """A ``git`` command that had to work did not; ``message`` is what it said."""

    def __init__(self, command: str, message: str) -> None:
        super().__init__(message or f"git {command} failed")
        self.command = command


class Place(NamedTuple):
    """Where the command was started."""

    git_dir: bytes | None
    """None outside a repository."""
    top: bytes | None
    """The top of the work tree that the current directory is in; None where it is in none."""
    prefix: bytes
    """The current directory below ``top``, with a slash at its end, or empty."""


class IndexEntry(NamedTuple):
    """One entry of the index that is not in conflict."""

    mode: int
    oid: bytes
    """In hexadecimal digits."""


def _run(
    words: Sequence[str | bytes], data: bytes = b"", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    everything = os.environ | dict(environment or {})
    try:
        return subprocess.run(["git", *words], input=data, capture_output=True, env=everything, check=False)
    except FileNotFoundError as error:
        raise GitFailed(os.fsdecode(words[0]), "the git program was not found") from error


def _output(
    words: Sequence[str | bytes], data: bytes = b"", environment: Mapping[str, str] | None = None
) -> bytes:
    done = _run(words, data, environment)
    if done.returncode:
        message = done.stderr.decode("utf-8", "replace").strip()
        raise GitFailed(os.fsdecode(words[0]), message.removeprefix("fatal: ").removeprefix("error: "))
    return done.stdout


def find_place() -> Place:
    """Return the repository and work tree of the current directory."""
    outside = Place(None, None, b"")
    if "GIT_DIR" not in os.environ and not any(map(_may_be_repository, [Path.cwd(), *Path.cwd().parents])):
        return outside
    done = _run(["rev-parse", "--absolute-git-dir", "--is-inside-work-tree"])
    lines = done.stdout.splitlines()
    if done.returncode or len(lines) != 2:
        return outside
    git_dir, inside = lines
    if inside != b"true":
        return Place(git_dir, None, b"")
    top = _output(["rev-parse", "--show-toplevel"]).removesuffix(b"\n")
    prefix = _output(["rev-parse", "--show-prefix"]).removesuffix(b"\n")
    return Place(git_dir, top, prefix)


def _may_be_repository(directory: Path) -> bool:
    return (directory / ".git").exists() or (
        (directory / "objects").exists() and (directory / "HEAD").exists()
    )


def read_configuration() -> dict[str, str]:
    """Return the last value of every setting by its name; a setting without value is ``true``."""
    try:
        output = _run(["config", "-z", "--list"]).stdout
    except GitFailed:
        return {}  # Patching plain files needs no git.
    settings: dict[str, str] = {}
    for item in output.split(b"\0"):
        name, newline, value = item.partition(b"\n")
        settings[os.fsdecode(name)] = os.fsdecode(value) if newline else "true"
    return settings


def read_attributes(paths: Sequence[bytes], names: Sequence[str]) -> dict[bytes, dict[str, str]]:
    """Return those of the attributes ``names`` that ``paths`` have now."""
    data = b"".join(path + b"\0" for path in paths)
    fields = _output(["check-attr", "-z", "--stdin", *names], data).split(b"\0")
    found: dict[bytes, dict[str, str]] = {path: {} for path in paths}
    for path, name, value in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        if value != b"unspecified":
            found[path][os.fsdecode(name)] = os.fsdecode(value)
    return found


class Blobs:
    """Blobs of the repository, read through one ``git cat-file`` that is started when it is first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def find(self, name: bytes) -> tuple[bytes, bytes] | None:
        """Return full oid and content of the blob ``name``, which may be abbreviated; None for none."""
        if not name or name.strip(b"0123456789abcdef"):
            return None
        if self._process is None:
            self._process = subprocess.Popen(
                ["git", "cat-file", "--batch"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        requests, answers = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        requests.write(name + b"\n")
        requests.flush()
        words = answers.readline().split()
        if len(words) != 3 or not words[2].isdigit():
            return None
        content = answers.read(int(words[2]) + 1)[:-1]
        return (words[0], content) if words[1] == b"blob" else None

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


def write_blob(content: bytes) -> bytes:
    """Add a blob to the repository and return its oid in hexadecimal digits."""
    return _output(["hash-object", "-w", "--stdin"], content).strip()


def write_blobs(contents: Sequence[bytes]) -> list[bytes]:
    """Add blobs to the repository and return their oids in hexadecimal digits."""
    if len(contents) <= 1:
        return [write_blob(content) for content in contents]
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="patches-") as folder:
        paths = [Path(folder) / str(number) for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        names = "".join(f"{path}\n" for path in paths)
        return _output(["hash-object", "-w", "--no-filters", "--stdin-paths"], os.fsencode(names)).split()


def clean_through_git(path: bytes, content: bytes) -> bytes:
    """Return what Git would store for ``content`` of the file ``path``, all its filters applied."""
    oid = _output([b"hash-object", b"-w", b"--stdin", b"--path=" + path], content).strip()
    return _output([b"cat-file", b"blob", oid])


def smudge_through_git(path: bytes, content: bytes) -> bytes:
    """Return what Git would write into the file ``path`` for ``content``, all its filters applied."""
    return _output([b"cat-file", b"--filters", b"--path=" + path, write_blob(content)])


def read_index() -> dict[bytes, IndexEntry]:
    """Return the entries of the index, less those in conflict."""
    entries: dict[bytes, IndexEntry] = {}
    for item in _output(["ls-files", "--stage", "-z", "--full-name"]).split(b"\0"):
        facts, _, path = item.partition(b"\t")
        fields = facts.split()
        if fields and fields[2] == b"0":
            entries[path] = IndexEntry(int(fields[0], 8), fields[1])
    return entries


def _chunks(paths: Iterable[bytes]) -> Iterable[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for path in paths:
        chunk.append(path)
        size += len(path) + 1
        if size > _COMMAND_LINE_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def is_intended_to_add(path: bytes) -> bool:
    """Tell whether ``path`` is in the index without content (``git add --intent-to-add``)."""
    flags = _FLAGS.search(_output([b"ls-files", b"--debug", b"--", path], environment=_LITERAL))
    return flags is not None and bool(int(flags[1], 16) & _INTENT_TO_ADD)


def changed_since_added(paths: Iterable[bytes]) -> frozenset[bytes]:
    """Return which of ``paths`` have another file status in the work tree than the index remembers."""
    found: set[bytes] = set()
    for chunk in _chunks(paths):
        found.update(
            _output(
                [b"diff-files", b"--name-only", b"-z", b"--ignore-submodules", b"--", *chunk],
                environment=_LITERAL,
            ).split(b"\0")
        )
    return frozenset(found - {b""})


def check_out(path: bytes) -> None:
    """Write the index's content of ``path`` into the work tree.

    Raises:
        GitFailed: it cannot be written.
    """
    _output([b"checkout-index", b"--", path])


class IndexUpdate(NamedTuple):
    """What one path becomes in the index: its stages with mode and oid, none where it goes."""

    path: bytes
    stages: Mapping[int, IndexEntry]


def write_index(updates: Sequence[IndexUpdate], *, index_file: str | None = None) -> None:
    """Set the index's entries of some paths, and let Git look at the files of all.

    Args:
        updates: a later one of the same path counts.
        index_file: another index than the repository's, which may be absent.

    Raises:
        GitFailed: it is locked, or Git refuses an entry.
    """
    environment = {} if index_file is None else {"GIT_INDEX_FILE": index_file}
    lines: list[bytes] = []
    for update in updates:
        lines.append(b"0 %s\t%s\0" % (b"0" * 40, update.path))
        for stage, entry in update.stages.items():
            lines.append(b"%06o %s %d\t%s\0" % (entry.mode, entry.oid, stage, update.path))
    _output(["update-index", "-z", "--index-info"], b"".join(lines), environment=environment)
    if index_file is None:
        _run(["update-index", "-q", "--refresh"])


def record_conflicts() -> None:
    """Let Git remember the conflicts of the work tree, or solve them as it has seen them solved."""
    _run(["rerere"])


def intend_to_add(paths: Sequence[bytes]) -> None:
    """Enter files of the work tree into the index without their content.

    Raises:
        GitFailed: the index is locked.
    """
    words = ["add", "--force", "--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul"]
    _output(words, b"\0".join(paths), environment=_LITERAL)
