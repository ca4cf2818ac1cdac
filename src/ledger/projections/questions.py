"""The questions file: every question of the ledger as text, in the order in which they were asked.

It is brought up to the log after an append that asks. Only what we wrote is written over: bytes that are
neither the last ones written nor a beginning of what would be are somebody's own. It is made beside its place
and renamed, never through a symlink. Where it is part of the candidate, people decide when it changes.

See: ``docs/format.md``, "The questions file".
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from ledger.errors import DroppedBody, QuestionsInTheWay
from ledger.events import AnyEvent, ErrorCaptured, QuestionAnswered, QuestionRetired
from ledger.repository import Repository
from ledger.store.disk import write_cached
from ledger.store.local import LocalStore
from patches.directories import Blocked, Directories, write_new
from patches.paths import check_path

_ASKS = "What are the possible causes, and how can this be resolved while preserving intended functionality?"
_NONE = "none"
_FOLDER = "questions"
_NS = 1_000_000_000
_GLOB = re.compile(r"([\\*?\[\]])")


class _Written(Struct, frozen=True):
    """What was written last: up to which position, the digest of the whole file, and its path."""

    position: int
    digest: str
    path: str


def render_question(question: ErrorCaptured, read_body: Callable[[str], bytes]) -> str:
    """Return the block of one question; a text that was dropped says by which event."""
    asked = datetime.fromtimestamp(question.at_ns // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    message = _text(question.message, read_body).rstrip("\n")
    context = "" if question.context is None else " ".join(_text(question.context, read_body).split())
    return (
        f"Question for ChatGPT @codex {asked}:\n"
        f"While performing [{question.step}], encountered the following error:\n"
        f"{message}\n"
        f"Context: {context or _NONE}\n"
        f"{_ASKS}\n"
    )


def render_questions(
    events: Iterable[AnyEvent], read_body: Callable[[str], bytes], *, only_open: bool = False
) -> str:
    """Return the blocks of the questions that events ask, in order, an empty line between two."""
    asked: dict[tuple[str, int], ErrorCaptured] = {}
    for event in events:
        match event:
            case ErrorCaptured(same_as=None):
                asked[event.run, event.v] = event
            case QuestionAnswered() | QuestionRetired() if only_open:
                asked.pop((event.run, event.error_v), None)
            case _:
                pass
    return "\n".join(render_question(question, read_body) for question in asked.values())


def forget_questions(cache: Path) -> None:
    """Let every work tree's file be made anew: what was written of the log is not what it says now."""
    for record in cache.joinpath(_FOLDER).glob("*.json"):
        written = _read_record(record)
        if written is not None:
            write_cached(record, msgspec.json.encode(msgspec.structs.replace(written, position=0)))
        write_cached(record.with_suffix(".pending"), b"")


class QuestionsFile:
    """The questions file of one work tree. The caller keeps other writers of the work tree away."""

    def __init__(self, repository: Repository, store: LocalStore) -> None:
        self._repository = repository
        self._store = store
        base = store.root / "cache" / _FOLDER / (repository.work_tree_name or "main")
        self._pending = base.with_name(f"{base.name}.pending")
        self._record = base.with_name(f"{base.name}.json")

    def expect(self) -> None:
        """Note, before it is appended, that a question is asked: whatever happens then, it is written."""
        write_cached(self._pending, b"")

    @property
    def is_behind(self) -> bool:
        """Whether a question may be missing in the file."""
        return self._pending.exists()

    def give_way(self, paths: Iterable[bytes]) -> None:
        """Take the file away where a change is about to bring one of its name, if it is as we wrote it.

        Where nothing comes of the change, the next writing command makes it again.
        """
        written, top = _read_record(self._record), self._repository.work_dir
        if written is None or top is None or os.fsencode(written.path) not in set(paths):
            return
        path = os.fsencode(written.path)
        with Directories(os.fsencode(top)) as files:
            current = _read_regular(files, path, written.path)
            if current is not None and self._wrote(current, written.path):
                self.expect()
                files.unlink(path)

    def project(self, name: str, candidate: str) -> None:
        """Bring the file up to the log by itself: not where it is part of the candidate.

        Args:
            name: Its path from the work tree's top, "" for none.
            candidate: Oid of the candidate tree.

        Raises:
            QuestionsInTheWay: Somebody else's file is there, or a symlink. It is as it was.
            UnsafePath: The path leads outside. Nothing was written.
            OSError: It could not be written.
        """
        try:
            if name and self._repository.work_dir is not None and not self._is_tracked(name, candidate):
                self._exclude(name)
                self.write(name)
        except QuestionsInTheWay:
            # Said once for each question, not at every command from now on; the next one makes up for it.
            self._pending.unlink(missing_ok=True)
            raise
        self._pending.unlink(missing_ok=True)

    def write(self, name: str, *, force: bool = False) -> bool:
        """Write the file where it is not as the log says, and return whether it was written.

        Args:
            name: Its path from the work tree's top.
            force: Write over a file that is somebody else's.

        Raises:
            QuestionsInTheWay, UnsafePath, OSError: As `project`.
        """
        path, top = os.fsencode(name), self._repository.work_dir
        assert top is not None, "a bare repository has no questions file"
        check_path(path)
        with Directories(os.fsencode(top)) as files:
            current = _read_regular(files, path, name)
            position = self._store.position()
            text = self._rest(current, name, position)
            if text is None:
                text = render_questions(self.events(position), self._store.read_body).encode()
                own = current is None or self._wrote(current, name) or text.startswith(current)
                if not own and not force:
                    raise QuestionsInTheWay(name, "it is not what was written last")
            if current is None and not text:
                return False
            if text != current:
                _replace(files, path, text)
        record = _Written(position, sha256(text).hexdigest(), name)
        write_cached(self._record, msgspec.json.encode(record))
        return text != current

    def events(self, last: int) -> Iterator[AnyEvent]:
        """Yield every event of the ledger up to a position."""
        return (frame.event for frame in self._store.frames() if frame.s <= last)

    def _rest(self, current: bytes | None, name: str, last: int) -> bytes | None:
        """Return the file with what was asked since it was written; None where it has to be made anew."""
        written = _read_record(self._record)
        if current is None or written is None or not written.position or not self._wrote(current, name):
            return None
        newest: list[AnyEvent] = []
        for frame in self._store.backward():
            if frame.s <= written.position:
                break
            if frame.s <= last:
                newest.append(frame.event)
        more = render_questions(reversed(newest), self._store.read_body).encode()
        return current + (b"\n" if current and more else b"") + more

    def _wrote(self, current: bytes, name: str) -> bool:
        written = _read_record(self._record)
        return written is not None and (written.path, written.digest) == (name, sha256(current).hexdigest())

    def _is_tracked(self, name: str, candidate: str) -> bool:
        if self._repository.tree(candidate).entry(os.fsencode(name)) is not None:
            return True
        index = self._repository.git.index
        index.read(force=False)
        return name in index

    def _exclude(self, name: str) -> None:
        """Let Git pass over the file, in this clone alone: untracked, it would be an edit past the ledger."""
        if self._repository.git.path_is_ignored(name):
            return
        path = self._repository.common_dir / "info" / "exclude"
        path.parent.mkdir(exist_ok=True)
        line = "/" + _GLOB.sub(r"\\\1", name) + "\n"
        before = path.read_bytes() if path.exists() else b""
        start = b"\n" if before and not before.endswith(b"\n") else b""
        with path.open("ab") as file:
            file.write(start + os.fsencode(line))
        if not self._repository.git.path_is_ignored(name):
            raise QuestionsInTheWay(name, "some .gitignore takes it in")


def _read_record(path: Path) -> _Written | None:
    """Return what was written last; None where nobody knows any more."""
    with suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode(path.read_bytes(), type=_Written)
    return None


def _text(digest: str, read_body: Callable[[str], bytes]) -> str:
    try:
        return read_body(digest).decode("utf-8", "backslashreplace")
    except DroppedBody as dropped:
        return f"[redacted: dropped by {dropped.dropped_by}]"


def _read_regular(files: Directories, path: bytes, name: str) -> bytes | None:
    """Return the bytes of a regular file, None where nothing is.

    Raises:
        QuestionsInTheWay: It is something else, or not below directories.
    """
    try:
        files.open(path.rpartition(b"/")[0])
    except Blocked as blocked:
        if blocked.kind == "absent":
            return None
        what = "a symlink" if blocked.kind == "symlink" else "no directory"
        raise QuestionsInTheWay(name, f"{os.fsdecode(blocked.path)} is {what}") from blocked
    found = files.lstat(path)
    if found is None:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise QuestionsInTheWay(name, "it is no file")
    return files.read(path)


def _replace(files: Directories, path: bytes, data: bytes) -> None:
    head, _, name = path.rpartition(b"/")
    directory = files.make(head)
    beside = b".%b.%d" % (name, os.getpid())
    with suppress(FileNotFoundError):
        os.unlink(beside, dir_fd=directory)
    try:
        write_new(directory, beside, data, 0o666)
        os.rename(beside, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=directory)
        raise
