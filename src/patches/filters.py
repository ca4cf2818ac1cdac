"""Git's conversions between a blob and the file in the work tree: line ends, ident, filters, encodings.

Most paths have none in force, and then their bytes are the blob's and no process is started.
Whatever is in force is done by Git itself, in one batched process each way.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from patches.directories import Directories, Found, ancestors_of, open_directory, opened, write_new
from patches.gitprogram import git_environment
from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK, Entry, Oid
from patches.oids import hash_blob
from patches.worktree_errors import FilterFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pygit2

    from patches.gitindex import IndexFile

ATTRIBUTES = b".gitattributes"


class Settings(NamedTuple):
    """The configuration that decides what a file looks like in the work tree."""

    trusts_mode: bool
    has_symlinks: bool
    ignores_case: bool
    autocrlf: str
    """``false``, ``true`` or ``input``."""
    eol_is_crlf: bool
    """Whether ``core.eol`` and the platform end text lines with CRLF."""


class Candidate(NamedTuple):
    """A question: is what was found at ``path`` exactly ``entry``?"""

    path: bytes
    entry: Entry
    found: Found


def read_settings(repo: pygit2.Repository) -> Settings:
    """Return the settings in force in ``repo`` now."""
    config = repo.config

    def boolean(key: str, default: bool) -> bool:
        return config.get_bool(key) if key in config else default

    autocrlf = str(config["core.autocrlf"]).lower() if "core.autocrlf" in config else "false"
    if autocrlf != "input":
        autocrlf = "true" if boolean("core.autocrlf", False) else "false"
    eol = str(config["core.eol"]).lower() if "core.eol" in config else "native"
    return Settings(
        trusts_mode=boolean("core.filemode", True),
        has_symlinks=boolean("core.symlinks", True),
        ignores_case=boolean("core.ignorecase", False),
        autocrlf=autocrlf,
        eol_is_crlf=eol == "crlf" or (eol == "native" and os.linesep == "\r\n"),
    )


class Filters:
    """The conversions of one work tree under one set of attributes.

    Attributes come from the work tree at ``top``: the real one, or a shadow of it
    (`build_shadow`) that holds the attributes of another state. In a shadow every regular
    file goes through Git, which reads the attributes there.
    """

    def __init__(
        self, repo: pygit2.Repository, settings: Settings, top: bytes, *, shadow: bool = False
    ) -> None:
        self._repo = repo
        self.settings = settings
        self._top = top
        self._shadow = shadow
        self._known: dict[bytes, tuple[bool, bool]] = {}

    def converts_out(self, path: bytes) -> bool:
        """Whether the file at ``path`` may differ from its blob when Git writes it."""
        return self._shadow or self._conversions(path)[0]

    def converts_in(self, path: bytes) -> bool:
        """Whether the blob may differ from the file at ``path`` when Git stores it."""
        return self._shadow or self._conversions(path)[1]

    def _conversions(self, path: bytes) -> tuple[bool, bool]:
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = self._read_conversions(path)
        return known

    def _read_conversions(self, path: bytes) -> tuple[bool, bool]:
        """Follow ``convert_attrs`` of Git's convert.c."""
        if self._attribute(path, "ident") is True or any(
            isinstance(self._attribute(path, name), str) for name in ("filter", "working-tree-encoding")
        ):
            return True, True
        text = self._attribute(path, "text")
        if text not in (True, False, "input", "auto"):
            text = self._attribute(path, "crlf")
        if text is False:
            return False, False
        eol = self._attribute(path, "eol")
        if eol in ("lf", "crlf"):
            return eol == "crlf", True
        autocrlf = self.settings.autocrlf
        if text == "input":
            return False, True
        if text in (True, "auto"):
            return autocrlf == "true" or (autocrlf == "false" and self.settings.eol_is_crlf), True
        return autocrlf == "true", autocrlf != "false"

    def _attribute(self, path: bytes, name: str) -> bool | str | None:
        return self._repo.get_attr(path, name)

    def smudge(self, files: Sequence[tuple[bytes, Oid]]) -> list[bytes]:
        """Return the work-tree bytes of each (path, blob), as Git would write them.

        Raises:
            FilterFailed: a required filter failed. Nothing was written.
        """
        batched = [item for item in files if _fits_a_line(item[0])]
        contents = dict(zip(batched, self._smudge_batch(batched), strict=True)) if batched else {}
        for item in files:
            if item not in contents:
                path, oid = item
                arguments = [b"cat-file", b"--filters", b"--path=" + path, oid.hex().encode()]
                contents[item] = self._git(arguments, b"", [path])
        return [contents[item] for item in files]

    def _smudge_batch(self, files: Sequence[tuple[bytes, Oid]]) -> list[bytes]:
        # Git's header gives the size before the filters ran, so a name that no object has
        # marks where each content ends: Git answers "<name> missing".
        mark = b"end-" + os.urandom(16).hex().encode()
        requests = b"".join(b"%s %s\n%s\n" % (oid.hex().encode(), path, mark) for path, oid in files)
        paths = [path for path, _ in files]
        output = self._git([b"cat-file", b"--batch", b"--buffer", b"--filters"], requests, paths)
        answers = output.split(b"\n" + mark + b" missing\n")
        if len(answers) != len(files) + 1:
            raise FilterFailed("cat-file", tuple(paths), "an object is missing")
        return [answer.partition(b"\n")[2] for answer in answers[:-1]]

    def clean(self, paths: Sequence[bytes], files: Directories) -> list[Oid]:
        """Return the blob id that Git would store for each of the present files.

        Raises:
            FilterFailed: a required filter failed.
        """
        # A shadow has the other state's attributes files and directories in the place of these.
        fed = {path for path in paths if self._shadow and self._differs_in_shadow(path)}
        named = [path for path in paths if path not in fed]
        oids: dict[bytes, Oid] = {}
        if named:
            requests = b"".join(b"%s\n" % _quote(path) for path in named)
            lines = self._git([b"hash-object", b"--stdin-paths"], requests, named).split()
            oids.update(zip(named, map(_unhex, lines), strict=True))
        for path in sorted(fed):
            arguments = [b"hash-object", b"--stdin", b"--path=" + path]
            oids[path] = _unhex(self._git(arguments, files.read(path), [path]).strip())
        return [oids[path] for path in paths]

    def _differs_in_shadow(self, path: bytes) -> bool:
        return path.rpartition(b"/")[2] == ATTRIBUTES or Path(os.fsdecode(self._top + b"/" + path)).is_dir()

    def _git(self, arguments: Sequence[bytes], data: bytes, paths: Sequence[bytes]) -> bytes:
        from subprocess import run

        environment = git_environment(
            GIT_DIR=self._repo.path,
            GIT_WORK_TREE=os.fsdecode(self._top),
            GIT_NO_REPLACE_OBJECTS="1",
            GIT_OPTIONAL_LOCKS="0",
        )
        if self._shadow:
            environment["GIT_INDEX_FILE"] = os.fsdecode(self._top + b".index")
        command: list[str | bytes] = ["git", *arguments]
        try:
            done = run(command, input=data, capture_output=True, cwd=self._top, env=environment, check=False)
        except FileNotFoundError as error:
            raise FilterFailed(arguments[0].decode(), tuple(paths), "git is not on PATH") from error
        if done.returncode != 0:
            detail = done.stderr.decode("utf-8", "replace").strip() or f"exit code {done.returncode}"
            raise FilterFailed(arguments[0].decode(), tuple(paths), detail)
        return done.stdout

    def holding(self, candidates: Iterable[Candidate], files: Directories) -> set[bytes]:
        """Return the paths at which exactly the entry was found, by bytes.

        Same type, same executable bit (where the configuration trusts it), and then the bytes
        are the blob's, or become the blob when stored, or are what Git would write for it.
        """
        held: set[bytes] = set()
        unsure: list[Candidate] = []
        for candidate in candidates:
            if not self._same_type(candidate.entry, candidate.found):
                continue
            if candidate.entry.mode == MODE_GITLINK or candidate.found.oid == candidate.entry.oid:
                held.add(candidate.path)
            elif candidate.entry.mode != MODE_SYMLINK and self.converts_in(candidate.path):
                unsure.append(candidate)
        if unsure:
            cleaned = self.clean([candidate.path for candidate in unsure], files)
            held.update(c.path for c, oid in zip(unsure, cleaned, strict=True) if oid == c.entry.oid)
            unsure = [c for c in unsure if c.path not in held and self.converts_out(c.path)]
        if unsure:
            smudged = self.smudge([(c.path, c.entry.oid) for c in unsure])
            held.update(
                c.path for c, data in zip(unsure, smudged, strict=True) if hash_blob(data) == c.found.oid
            )
        return held

    def _same_type(self, entry: Entry, found: Found) -> bool:
        if entry.mode == MODE_GITLINK:
            # A submodule that was never checked out has no directory, and nothing to lose.
            return found.kind in ("directory", "absent")
        if entry.mode == MODE_SYMLINK:
            return found.kind == ("symlink" if self.settings.has_symlinks else "file")
        if found.kind != "file":
            return False
        return not self.settings.trusts_mode or found.executable == (entry.mode == MODE_EXECUTABLE)


def needs_shadow(root: Directories, index: IndexFile, paths: Iterable[bytes]) -> bool:
    """Whether Git would not see the attributes that count for ``paths`` in the work tree as it is.

    That is so where one of ``paths`` is itself an attributes file, or where one that lies on the way
    is not checked out (Git's own commands then take the index's; the batched ones do not).
    """
    directories: set[bytes] = {b""}
    for path in paths:
        if path.rpartition(b"/")[2] == ATTRIBUTES:
            return True
        directories.update(ancestors_of(path))
    names = (directory + b"/" + ATTRIBUTES if directory else ATTRIBUTES for directory in sorted(directories))
    return any(index.entry(name) is not None and root.lstat(name) is None for name in names)


def build_shadow(
    source: Attributes, shadow: bytes, paths: Iterable[bytes], state: Mapping[bytes, Entry | None]
) -> None:
    """Make a directory in which Git sees the attributes of another state of the work tree.

    The directories of ``paths`` are made, with the attributes files that ``state`` gives them,
    or else the present ones (work tree first, then index). Everything else is a symlink to the
    real thing, so that filters given as relative commands, and files to be cleaned, are found.

    Args:
        source: where the attributes files are found.
        shadow: a directory that does not exist yet; `Filters` takes it as ``top``.
        paths: the files that will be converted.
        state: entries of the touched paths (None where the state has none).
    """
    directories = {b""}
    for path in paths:
        directories.update(ancestors_of(path))
    for directory in sorted(directories):
        target = shadow + b"/" + directory if directory else shadow
        Path(os.fsdecode(target)).mkdir(parents=True, exist_ok=True)
        attributes = source.read(directory, state)
        with opened(open_directory(target)) as fd:
            if attributes is not None:
                write_new(fd, ATTRIBUTES, attributes, 0o666)
            _link_others(source.root, directory, fd, directories)


class Attributes(NamedTuple):
    """The attributes files of a work tree, checked out or not."""

    repo: pygit2.Repository
    root: Directories
    entries: IndexFile

    def read(self, directory: bytes, state: Mapping[bytes, Entry | None]) -> bytes | None:
        """Return the attributes file of ``directory``: of ``state``, of the work tree, of the index."""
        path = directory + b"/" + ATTRIBUTES if directory else ATTRIBUTES
        if path in state:
            entry = state[path]
        elif (kind := self.root.look(path).kind) == "file":
            return self.root.read(path)
        else:
            entry = self.entries.entry(path) if kind == "absent" else None
        # Git does not follow a symlinked attributes file.
        regular = entry is not None and entry.mode in (MODE_FILE, MODE_EXECUTABLE)
        return read_blob(self.repo, entry.oid) if entry is not None and regular else None


def _link_others(root: Directories, directory: bytes, fd: int, directories: set[bytes]) -> None:
    prefix = directory + b"/" if directory else b""
    if directory and root.look(directory).kind != "directory":
        return
    for name in root.names(directory):
        if name not in (ATTRIBUTES, b".git") and prefix + name not in directories:
            os.symlink(root.root + b"/" + prefix + name, name, dir_fd=fd)


def read_blob(repo: pygit2.Repository, oid: Oid) -> bytes:
    """Return the bytes of the blob ``oid``.

    Raises:
        KeyError: the object database does not have it.
    """
    from pygit2 import Oid as RepositoryOid

    return repo.read(RepositoryOid(raw=oid))[1]


def _unhex(line: bytes) -> Oid:
    return bytes.fromhex(line.decode("ascii"))


def _fits_a_line(path: bytes) -> bool:
    """Whether ``git cat-file --batch`` reads ``path`` back unchanged from one line."""
    return not path.startswith((b" ", b"\t")) and b"\n" not in path and b"\r" not in path


def _quote(path: bytes) -> bytes:
    """Quote ``path`` as C does, the way ``git hash-object --stdin-paths`` undoes it."""
    return b'"%s"' % b"".join(b"%c" % b if 32 <= b < 127 and b not in b'"\\' else b"\\%03o" % b for b in path)
