"""Where checkpoints are kept: a Git note on a commit, an annotated tag of it, a file.

Notes lie under ``refs/notes/ledger``, tags under ``refs/tags/ledger/checkpoint/<ledger>/<size>``, where
``<ledger>`` is the first twelve digits of what the ledger is called: several clones of a repository have a
ledger each, and can push to one place. Neither HEAD nor a branch is ever moved.
"""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pygit2

from ledger.checkpoint_errors import BadNote, CheckpointInTheWay
from ledger.checkpoints import Checkpoint, SignedCheckpoint, parse_checkpoints
from ledger.errors import GitFailed
from ledger.repository import Repository
from ledger.signednotes import encode_note
from ledger.store.disk import write_durably
from patches.gitprogram import git_environment

NOTES_REF = "refs/notes/ledger"
_TAGS = "refs/tags/ledger/checkpoint/"


class Kept(NamedTuple):
    """A checkpoint and where it was found; ``local`` is what the repository itself holds."""

    place: str
    signed: SignedCheckpoint
    local: bool

    @property
    def checkpoint(self) -> Checkpoint:
        """What it says."""
        return self.signed.checkpoint


class Unreadable(NamedTuple):
    """A place where a checkpoint was expected, and why there is none."""

    place: str
    reason: str


def find_checkpoints(repository: Repository) -> tuple[list[Kept], list[Unreadable]]:
    """Return what the repository's own notes and tags hold, and which of them are no checkpoints."""
    found: list[Kept] = []
    unreadable: list[Unreadable] = []
    for place, data in (*_notes(repository.git, NOTES_REF), *_tags(repository.git)):
        try:
            found += (Kept(place, signed, local=True) for signed in parse_checkpoints(data))
        except BadNote as error:
            unreadable.append(Unreadable(place, error.reason))
    return found, unreadable


def read_checkpoints(repository: Repository, source: str | Path) -> list[Kept]:
    """Return the checkpoints in a file, or what a Git revision names: a tag, notes, a commit's note, a blob.

    Raises:
        BadNote: There is no such file or revision, or it holds something else.
        OSError: The file cannot be read.
    """
    path = Path(source)
    if isinstance(source, Path) or (source and path.exists()):
        return _parse(str(source), path.read_bytes(), local=False)
    parts = _named(repository.git, source)
    return [kept for place, data in parts for kept in _parse(place, data, local=True)]


def _parse(place: str, data: bytes, *, local: bool) -> list[Kept]:
    try:
        return [Kept(place, signed, local) for signed in parse_checkpoints(data)]
    except BadNote as error:
        raise BadNote(error.reason, place) from error


def _named(git: pygit2.Repository, name: str) -> list[tuple[str, bytes]]:
    """Return what a Git revision has to say: a tag's message, every note under a ref, a commit's, a blob."""
    for ref in (name, f"refs/{name}"):
        if ref.startswith("refs/notes/") and ref in git.references:
            return list(_notes(git, ref))
    try:
        thing = git.revparse_single(name)
    except (KeyError, ValueError, pygit2.GitError):
        raise BadNote("there is no such file, and no such tag or commit here", name) from None
    if isinstance(thing, pygit2.Tag):
        return [(name, _message(thing))]
    data = thing.data if isinstance(thing, pygit2.Blob) else _note(git, str(thing.id))
    if data is None:
        raise BadNote(f"{thing.type_str} {str(thing.id)[:12]} has no note under {NOTES_REF}", name)
    return [(name, data)]


def _message(tag: pygit2.Tag) -> bytes:
    return tag.read_raw().partition(b"\n\n")[2]


def _note(git: pygit2.Repository, commit: str) -> bytes | None:
    """Return the note on a commit, None where it has none."""
    try:
        return git[git.lookup_note(commit, NOTES_REF).id].read_raw()
    except KeyError:
        return None


def _notes(git: pygit2.Repository, ref: str) -> Iterator[tuple[str, bytes]]:
    """Yield every note under a ref; how Git fans their names out over directories does not matter."""
    top = git.references.get(ref)
    if top is not None:
        for name, blob in sorted(_blobs(top.peel(pygit2.Tree), "")):
            yield _on(ref, name), blob.data


def _on(ref: str, commit: str) -> str:
    return f"{ref} on {commit[:12]}"


def _blobs(tree: pygit2.Tree, prefix: str) -> Iterator[tuple[str, pygit2.Blob]]:
    for entry in tree:
        if isinstance(entry, pygit2.Tree):
            yield from _blobs(entry, prefix + (entry.name or ""))
        elif isinstance(entry, pygit2.Blob):
            yield prefix + (entry.name or ""), entry


def _tags(git: pygit2.Repository) -> Iterator[tuple[str, bytes]]:
    for name in sorted(git.references):
        if name.startswith(_TAGS):
            target = git[git.references[name].target]
            yield name, _message(target) if isinstance(target, pygit2.Tag) else b""


def write_git_note(repository: Repository, commit: str, signed: SignedCheckpoint) -> str:
    """Keep a checkpoint as the Git note on a commit; what other ledgers keep there stays.

    Returns:
        Where it is now.

    Raises:
        CheckpointInTheWay: The commit's note holds something else. Nothing was written.
        GitFailed: Git refused. Nothing was written.
    """
    place = _on(NOTES_REF, commit)
    old = _note(repository.git, commit) or b""
    others = [
        kept.signed
        for kept in _occupants(place, old, local=True)
        if kept.checkpoint.ledger != signed.checkpoint.ledger
    ]
    data = b"\n".join(encode_note(each.note) for each in (*others, signed))
    if data != old:
        blob = _git(repository, "hash-object", "-w", "--stdin", data=data)
        _git(repository, "notes", f"--ref={NOTES_REF}", "add", "--force", "-C", blob, commit)
    return place


def write_git_tag(repository: Repository, commit: str, signed: SignedCheckpoint) -> str:
    """Keep a checkpoint as an annotated tag of a commit.

    Returns:
        The tag's name.

    Raises:
        CheckpointInTheWay: The tag exists and says something else. Nothing was written.
        GitFailed: Git refused. Nothing was written.
    """
    name = f"{_TAGS}{signed.checkpoint.ledger[:12]}/{signed.checkpoint.size}"
    data = encode_note(signed.note)
    old = next((message for tag, message in _tags(repository.git) if tag == name), None)
    if old is None:
        # The note has its own signature: a second one, of Git's, would stand in the message behind it.
        short = name.removeprefix("refs/tags/")
        _git(
            repository,
            "tag",
            "--annotate",
            "--no-sign",
            "--cleanup=verbatim",
            "-F",
            "-",
            short,
            commit,
            data=data,
        )
    elif old != data:
        raise CheckpointInTheWay(name, "a tag that says something else, for example without the signature")
    return name


def read_target(path: Path, ledger: str) -> list[Kept]:
    """Return the checkpoints in a file that is to hold the next one.

    Raises:
        CheckpointInTheWay: It holds something else, or another ledger's checkpoint, or is no regular file.
        NotADirectoryError: No directory is there to put it into. Nothing was written yet.
    """
    if not path.exists():
        directory = path.resolve().parent
        if not directory.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "no such directory to keep it in", str(directory))
        return []
    if not path.is_file():
        raise CheckpointInTheWay(str(path), "not a regular file")
    found = _occupants(str(path), path.read_bytes(), local=False)
    for kept in found:
        if kept.checkpoint.ledger != ledger:
            raise CheckpointInTheWay(str(path), f"holds a checkpoint of ledger {kept.checkpoint.ledger[:12]}")
    return found


def write_file(path: Path, signed: SignedCheckpoint) -> str:
    """Let a file hold a checkpoint, in one rename; `read_target` was asked before.

    Returns:
        Where it is now.

    Raises:
        OSError: The disk is full or failing. The file is as it was.
    """
    # Through a symlink: the place that it names may be the one that is out of reach.
    write_durably(path.resolve(), encode_note(signed.note))
    return str(path)


def _occupants(place: str, data: bytes, *, local: bool) -> list[Kept]:
    """Return the checkpoints at a place that is to be written."""
    try:
        return _parse(place, data, local=local) if data else []
    except BadNote as error:
        raise CheckpointInTheWay(place, f"holds something else: {error.reason}") from error


def _git(repository: Repository, *arguments: str, data: bytes = b"") -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=repository.work_dir or repository.git_dir,
        env=git_environment(),
        input=data,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        message = done.stderr.decode("utf-8", "replace").strip()
        raise GitFailed(f"git {arguments[0]}", done.returncode, message)
    return done.stdout.decode("ascii").strip()
