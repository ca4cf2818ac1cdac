"""``.gitmodules``: its sections follow moved submodules, and what Git would refuse in it is refused.

The file's format is Git's own, so Git reads and writes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from patches.errors import UnsafePath
from patches.model import MODE_EXECUTABLE, MODE_FILE
from patches.paths import check_path

if TYPE_CHECKING:
    from patches.model import Entry, FileChange
    from patches.objects import Objects

GITMODULES = b".gitmodules"


class GitmodulesFailed(RuntimeError):
    """The ``git`` program could not read or edit ``.gitmodules``: it is damaged, or git is not there."""


def rename_submodules(text: bytes, moved: Mapping[bytes, bytes]) -> bytes:
    """Return ``.gitmodules`` with the new paths of moved submodules.

    Raises:
        GitmodulesFailed: Git cannot edit it.
    """
    with _configured(text) as (configure, read):
        for key, path in _paths(configure):
            if path in moved:
                configure(os.fsdecode(key), os.fsdecode(moved[path]))
        return read()


def list_submodules(text: bytes) -> frozenset[bytes]:
    """Return the paths that ``.gitmodules`` has sections for.

    Raises:
        GitmodulesFailed: Git cannot read it.
    """
    with _configured(text) as (configure, _):
        return frozenset(path for _, path in _paths(configure))


def _paths(configure: Callable[..., bytes]) -> list[tuple[bytes, bytes]]:
    """Return each section's key of a path, and that."""
    # 1: there are none at all.
    listed = configure("-z", "--get-regexp", r"^submodule\..*\.path$", allowed=1)
    records = (record.partition(b"\n") for record in listed.split(b"\0"))
    return [(key, path) for key, found, path in records if found]


def check_submodules(objects: Objects, changes: Sequence[FileChange]) -> None:
    """Refuse a change of ``.gitmodules`` that makes Git's next update run a command or write elsewhere.

    What was in the file before is the user's. Git's own commands look at these, too, each version at
    those that were known then; ``git apply`` does not.

    Raises:
        UnsafePath: a submodule's name or path leads outside, a value would be taken for an option, a
            command would be run, or a control character hides what a value is.
        GitmodulesFailed: the git program is not there.

    See: ``fsck_gitmodules_fn`` in Git's ``fsck.c``; CVE-2018-11235, CVE-2018-17456, CVE-2019-19604,
    CVE-2020-5260, CVE-2025-48384.
    """
    change = next((change for change in changes if change.path == GITMODULES), None)
    if change is None or not _is_file(change.new):
        return
    offences = dict(_offences(objects.read_blob(change.new.oid))) if change.new else {}
    if offences and change.old is not None and _is_file(change.old):
        for setting, _ in _offences(objects.read_blob(change.old.oid)):
            offences.pop(setting, None)
    for reason in offences.values():
        raise UnsafePath(GITMODULES, reason)


def _is_file(entry: Entry | None) -> bool:
    return entry is not None and entry.mode in (MODE_FILE, MODE_EXECUTABLE)


def _offences(text: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield each setting that is none to be taken from a stranger, with the reason.

    A file that Git cannot read makes Git do nothing.
    """
    with _configured(text) as (configure, _):
        listed = configure("-z", "--list", "--no-includes", allowed=255)
    for record in filter(None, listed.split(b"\0")):
        key, _, value = record.partition(b"\n")
        section, _, rest = key.partition(b".")
        name, dot, variable = rest.rpartition(b".")
        if section == b"submodule" and dot:
            reason = _offence(name, variable, value)
            if reason:
                yield record, f"submodule {name.decode('utf-8', 'backslashreplace')!r}: {reason}"


def _offence(name: bytes, variable: bytes, value: bytes) -> str:
    if not name or b".." in name.replace(b"\\", b"/").split(b"/"):
        return "its name leads outside .git/modules"
    if variable == b"update" and value.startswith(b"!"):
        return "its update setting is a command"
    if variable not in (b"path", b"url"):
        return ""
    field = variable.decode()
    if value.startswith(b"-"):
        return f"its {field} would be taken for an option"
    if any(code < ord(" ") for code in value) or b"%0a" in value.lower():
        return f"its {field} holds a control character"
    if variable == b"path":
        try:
            check_path(value.rstrip(b"/"))
        except UnsafePath as unsafe:
            return f"its path: {unsafe.reason}"
    return ""


@contextmanager
def _configured(text: bytes) -> Generator[tuple[Callable[..., bytes], Callable[[], bytes]]]:
    """Give ``git config`` on a file with this text, and what reads the text as it is then."""
    import subprocess
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from patches.gitprogram import git_environment

    environment = git_environment(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL=os.devnull, LC_ALL="C")

    def configure(*words: str, allowed: int = 0) -> bytes:
        command = ["git", "config", "--file", str(file), *words]
        try:
            done = subprocess.run(command, capture_output=True, check=False, env=environment)
        except FileNotFoundError as error:
            raise GitmodulesFailed("the git program was not found") from error
        if not 0 <= done.returncode <= allowed:
            raise GitmodulesFailed(f".gitmodules: {done.stderr.decode('utf-8', 'replace').strip()}")
        return done.stdout

    with TemporaryDirectory(prefix="gitmodules-") as scratch:
        file = Path(scratch, "gitmodules")
        file.write_bytes(text)
        yield configure, file.read_bytes
