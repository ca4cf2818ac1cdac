"""The work tree and the index brought from one state to another, path by path.

Nothing here decides what a patch does: it gets, for each touched path, the recorded entry and
the entry that the patch makes of it, and writes only where the recorded one still is. The
same classification by bytes finishes what a crash left.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from patches.directories import Directories, Found, ancestors_of, open_directory, opened, sync_file, write_new
from patches.errors import UnsafePath
from patches.filters import (
    Attributes,
    Candidate,
    Filters,
    build_shadow,
    needs_shadow,
    read_blob,
    read_settings,
)
from patches.gitindex import IndexFile, IndexUpdate, unsupported_feature
from patches.inspection import Inspection
from patches.model import MODE_EXECUTABLE, MODE_GITLINK, MODE_SYMLINK, Entry, Oid
from patches.publication import Publication, remove_siblings
from patches.touches import LeftAlone, Staged, StagedTouch, Touch, order_touches
from patches.worktree_errors import IndexLocked, PublishStopped

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    import pygit2

__all__ = ["IndexLocked", "LeftAlone", "Staged", "Touch", "WorkTree", "unsupported_feature"]

_LOCK_TIMEOUT_S = 1.0


class _Survey(NamedTuple):
    touches: tuple[Touch, ...]
    found: dict[bytes, Found]
    looked_at_ns: int


class _Work(NamedTuple):
    """What `WorkTree.converge` has to do: nothing, write, or report."""

    settled: list[tuple[Touch, os.stat_result | None]]
    pending: list[Touch]
    left: list[LeftAlone]


class WorkTree:
    """The work tree and index of one repository that is not bare.

    The caller holds a lock that keeps every other process of ours away, and has written every
    new blob to the object database. The order is `check`, `stage`, (the commit point), `publish`;
    after a crash, `converge` with the same touches, as often as needed. An instance may be kept
    across patches: the index is parsed again only when somebody else wrote it.

    Args:
        staging: a directory inside the git directory, made when missing. Everything in it is ours
            and is removed at will.
    """

    def __init__(self, repo: pygit2.Repository, staging: Path) -> None:
        if repo.is_bare:
            raise RuntimeError("a bare repository has no work tree")
        self._repo = repo
        self._root = os.fsencode(repo.workdir.rstrip("/") or "/")
        self._staging = staging
        staging.mkdir(parents=True, exist_ok=True)
        self._index = IndexFile(Path(repo.path), staging)
        self._survey: _Survey | None = None

    # Before the commit point

    def check(self, touches: Iterable[Touch]) -> None:
        """Refuse unless every touched path, in work tree and index, is exactly ``old`` and free for ``new``.

        Reads only (the staging area excepted). All offending paths of all kinds are collected;
        the class raised is that of the gravest.

        Raises:
            ThroughSymlink: a parent of a touched path is a symlink that the patch does not remove.
            InTheWay: an untracked or ignored file, or a directory that holds one, is where a new
                path must go.
            DirtyPath: the work tree or the index holds something else than ``old``.
            NotWritable: a directory that must change is not writable.
            IndexLocked: another process is writing the index.
            IndexUnreadable: the index is damaged, split or sparse.
            FilterFailed: a required clean filter failed.
        """
        ordered = order_touches(touches)
        self._survey = None
        self._index.refuse_lock(_LOCK_TIMEOUT_S)
        self._index.read()
        with Directories(self._root) as files:
            looked_at_ns = time.time_ns()
            found = {touch.path: files.look(touch.path) for touch in ordered}
            with self._filters(files, found, {}) as filters:
                Inspection(files, ordered, found, filters).run(self._index)
        self._survey = _Survey(ordered, found, looked_at_ns)

    def stage(self, touches: Iterable[Touch]) -> Staged:
        """Write the new files aside, in their final form: filters run, mode set, data synced.

        Nothing is visible yet. Where the same touches were not just checked, they are first.
        Whatever an earlier, abandoned stage left is removed, and so is everything staged here
        when something fails.

        Raises:
            FilterFailed: a required filter failed. Nothing is left on disk.
            UnsafePath: a symlink's target is empty or holds a NUL byte. Nothing is left on disk.
            OSError: no space, or the like. Nothing is left on disk.
            WorkTreeError: as `check`.
        """
        ordered = order_touches(touches)
        if self._survey is None or self._survey.touches != ordered:
            self.check(ordered)
        survey = self._survey
        assert survey is not None
        self._index.clear_lock()
        self._clear_staging()
        return self._stage(ordered, ordered, survey.found, survey.looked_at_ns)

    def discard(self, staged: Staged) -> None:
        """Remove the files of ``staged``, which will not be published."""
        del staged  # There is one staging area, and it holds nothing else.
        self._survey = None
        self._clear_staging()

    # After the commit point

    def publish(self, staged: Staged) -> tuple[LeftAlone, ...]:
        """Make ``staged`` visible: deletions, renames into place, then the index, once.

        Git's own ``index.lock`` is held meanwhile. Each path is looked at again just before it
        is written; what somebody edited since the check is left alone and reported (its index
        entry follows the patch, so Git shows the edit). Every file is replaced in one
        rename: whatever moment a crash hits, each path is whole, old or new, and `converge` goes on
        from there. The names are synced before this returns: what was published stays published.

        Raises:
            IndexLocked: another process holds the index. Nothing was changed: `converge` later.
            IndexUnreadable: somebody damaged or split the index since the check. Nothing was changed.
            PublishStopped: the system refused a step: `converge` finishes.
        """
        self._survey = None
        return self._publish(staged, ())

    def converge(self, touches: Iterable[Touch]) -> tuple[LeftAlone, ...]:
        """Finish a patch whose publication a crash interrupted, or that was never begun.

        Each path: the new content is there → done; the old → the new is written; anything else
        was edited by somebody → left alone and reported. Then the index. Idempotent, and itself safe
        to be killed anywhere. Leftovers of killed processes (staged files, our ``index.lock``)
        are removed.

        Raises:
            IndexLocked: another process holds the index. Nothing was changed.
            IndexUnreadable: the index is damaged, split or sparse. Nothing was changed.
            PublishStopped: the system refused a step: run it again.
            FilterFailed: a required filter failed. Nothing was changed.
        """
        ordered = order_touches(touches)
        self._recover()
        with Directories(self._root) as files:
            looked_at_ns = time.time_ns()
            remove_siblings(files, ordered)
            found = {touch.path: files.look(touch.path) for touch in ordered}
            if read_settings(self._repo).ignores_case:
                _tell_letters_apart(ordered, found)
            work = self._sort_out(files, ordered, found)
        staged = self._stage(work.pending, ordered, found, looked_at_ns)
        return (*work.left, *self._publish(staged, work.settled))

    def adopt(self, touches: Iterable[Touch]) -> tuple[LeftAlone, ...]:
        """Let the index follow edits that somebody made in the work tree, which is not written.

        A touch counts where the work tree has exactly its outcome: ``new`` (see
        `Filters.holding`), or nothing that could be ``old`` where that goes. What was taken back
        or edited again is passed over: Git shows it as an edit. An index entry that is neither
        ``old`` nor ``new`` is left alone and reported. Idempotent, and safe to be killed anywhere.

        Raises:
            IndexLocked: another process holds the index. Nothing was changed.
            IndexUnreadable: the index is damaged, split or sparse. Nothing was changed.
            PublishStopped: the index could not be written: the old one is there.
            FilterFailed: a required filter failed. Nothing was changed.
        """
        ordered = order_touches(touches)
        self._recover()
        with Directories(self._root) as files:
            found = {touch.path: files.look(touch.path) for touch in ordered}
            candidates = [Candidate(t.path, t.new, found[t.path]) for t in ordered if t.new]
            with self._filters(files, found, {}) as filters:
                held = filters.holding(candidates, files)
        updates = [
            IndexUpdate(*touch, found[touch.path].stat)
            for touch in ordered
            if touch.path in held or _is_gone(touch, found[touch.path])
        ]
        with self._locked_index():
            return self._replace_entries(updates)

    # Inside

    def _recover(self) -> None:
        """Remove what killed processes of ours left, and read the index."""
        self._survey = None
        self._index.clear_lock()
        self._clear_staging()
        self._index.read()

    @contextmanager
    def _filters(
        self, files: Directories, paths: Iterable[bytes], state: Mapping[bytes, Entry | None]
    ) -> Generator[Filters]:
        """Give the conversions under the present attributes, overlaid with those of ``state``."""
        paths = list(paths)
        settings = read_settings(self._repo)
        if not needs_shadow(files, self._index, paths):
            yield Filters(self._repo, settings, self._root)
            return
        top = self._staging.absolute() / "shadow"
        shutil.rmtree(top, ignore_errors=True)
        try:
            build_shadow(Attributes(self._repo, files, self._index), os.fsencode(top), paths, state)
            yield Filters(self._repo, settings, os.fsencode(top), shadow=True)
        finally:
            shutil.rmtree(top, ignore_errors=True)

    def _sort_out(self, files: Directories, touches: Sequence[Touch], found: Mapping[bytes, Found]) -> _Work:
        with self._filters(files, found, {touch.path: touch.new for touch in touches}) as filters:
            new = filters.holding([Candidate(t.path, t.new, found[t.path]) for t in touches if t.new], files)
        candidates = [Candidate(t.path, t.old, found[t.path]) for t in touches if t.old and t.path not in new]
        with self._filters(files, found, {touch.path: touch.old for touch in touches}) as filters:
            old = filters.holding(candidates, files)
        parents = {parent for touch in touches if touch.new for parent in ancestors_of(touch.path)}
        work = _Work([], [], [])
        for touch in touches:
            at = found[touch.path]
            if touch.path in new and at.kind != "absent":
                work.settled.append((touch, at.stat))
            elif touch.path in old or _is_free(touch, at):
                work.pending.append(touch)
            elif _is_gone(touch, at) or (touch.new is None and touch.path in parents):
                work.settled.append((touch, None))
            else:
                work.settled.append((touch, None))
                work.left.append(LeftAlone(touch.path, "was edited meanwhile"))
        return work

    def _stage(
        self,
        touches: Sequence[Touch],
        whole: Sequence[Touch],
        found: Mapping[bytes, Found],
        looked_at_ns: int,
    ) -> Staged:
        """Write the new files of ``touches``; the attributes are those that ``whole`` leads to."""
        done = False
        try:
            state = {touch.path: touch.new for touch in whole}
            with Directories(self._root) as files, self._filters(files, state, state) as filters:
                contents = self._contents(touches, filters)
            staged = self._write_aside(touches, contents, found, links=filters.settings.has_symlinks)
            done = True
        finally:
            if not done:
                self._clear_staging()
        return Staged(staged, looked_at_ns)

    def _write_aside(
        self,
        touches: Sequence[Touch],
        contents: Mapping[bytes, bytes],
        found: Mapping[bytes, Found],
        *,
        links: bool,
    ) -> tuple[StagedTouch, ...]:
        staged: list[StagedTouch] = []
        written: list[bytes] = []
        with opened(open_directory(self._staging)) as fd:
            for touch in touches:
                data, name = contents.get(touch.path), None
                if touch.new is not None and data is not None:
                    name = b"%d" % len(staged)
                    if links and touch.new.mode == MODE_SYMLINK:
                        os.symlink(data, name, dir_fd=fd)
                    else:
                        write_new(fd, name, data, 0o777 if touch.new.mode == MODE_EXECUTABLE else 0o666)
                        written.append(name)
                staged.append(StagedTouch(touch, name, found[touch.path]))
            # In a second pass: the first sync takes most of the others' data along.
            for name in written:
                sync_file(fd, name)
        return tuple(staged)

    def _contents(self, touches: Sequence[Touch], filters: Filters) -> dict[bytes, bytes]:
        """Return the final bytes of every new file and symlink."""
        contents: dict[bytes, bytes] = {}
        converted: list[tuple[bytes, Oid]] = []
        for touch in touches:
            if touch.new is None or touch.new.mode == MODE_GITLINK:
                continue
            if touch.new.mode != MODE_SYMLINK and filters.converts_out(touch.path):
                converted.append((touch.path, touch.new.oid))
                continue
            data = contents[touch.path] = read_blob(self._repo, touch.new.oid)
            if touch.new.mode == MODE_SYMLINK and (not data or b"\0" in data):
                raise UnsafePath(touch.path, "no symlink can have this target")
        if converted:
            contents.update(zip((path for path, _ in converted), filters.smudge(converted), strict=True))
        return contents

    def _publish(
        self, staged: Staged, settled: Sequence[tuple[Touch, os.stat_result | None]]
    ) -> tuple[LeftAlone, ...]:
        with self._locked_index():
            with Directories(self._root) as files:
                publication = Publication(files, self._staging, staged.looked_at_ns)
                try:
                    publication.run(staged.files, [touch for touch, _ in settled])
                    publication.sync()
                except OSError as error:
                    raise PublishStopped(publication.path, error) from error
            stats = publication.stats
            updates = [IndexUpdate(*file.touch, stats.get(file.touch.path)) for file in staged.files]
            updates += [IndexUpdate(*touch, st) for touch, st in settled]
            return (*publication.left, *self._replace_entries(updates))

    @contextmanager
    def _locked_index(self) -> Generator[None]:
        """Hold Git's own lock on the index, which is read; what was staged goes when all went well."""
        self._index.acquire_lock(_LOCK_TIMEOUT_S)
        try:
            self._index.read()
            yield
        finally:
            self._index.release_lock()
        self._clear_staging()

    def _replace_entries(self, updates: Sequence[IndexUpdate]) -> tuple[LeftAlone, ...]:
        try:
            left = self._index.replace(updates)
        except OSError as error:
            raise PublishStopped(b".git/index", error) from error
        return tuple(LeftAlone(path, "is changed in the index") for path in left)

    def _clear_staging(self) -> None:
        self._staging.mkdir(parents=True, exist_ok=True)  # Somebody may have deleted it.
        with os.scandir(self._staging) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    Path(entry.path).unlink()


def _is_gone(touch: Touch, found: Found) -> bool:
    """Whether what ``touch`` removes is not there; a directory can only be a submodule that still is."""
    if touch.new is not None:
        return False
    if found.kind == "directory":
        return touch.old is None or touch.old.mode != MODE_GITLINK
    return found.kind in ("absent", "blocked")


def _is_free(touch: Touch, found: Found) -> bool:
    """Whether nothing is in the place of ``new``: a crash can leave a submodule half exchanged."""
    if touch.new is None:
        return False
    if touch.old is None:
        return found.kind in ("absent", "blocked", "directory")
    return found.kind == "absent" and MODE_GITLINK in (touch.old.mode, touch.new.mode)


def _tell_letters_apart(touches: Sequence[Touch], found: dict[bytes, Found]) -> None:
    """Give the file that both ``README`` and ``readme`` lead to (case-insensitive file systems) to one.

    To the new name where it has the new bytes, which is then done, else to the old name.
    """
    leaving = [
        touch for touch in touches if touch.new is None and found[touch.path].kind in ("file", "symlink")
    ]
    for touch in touches:
        at = found[touch.path].stat
        if touch.old is not None or touch.new is None or at is None:
            continue
        for other in leaving:
            st = found[other.path].stat
            if other.path.lower() == touch.path.lower() and st is not None and os.path.samestat(at, st):
                loser = other if found[touch.path].oid == touch.new.oid else touch
                found[loser.path] = Found("absent")
