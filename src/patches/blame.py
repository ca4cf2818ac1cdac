"""Which version of a file each of its lines comes from, as ``git blame`` tells it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence
from tempfile import TemporaryDirectory

import pygit2

from patches.gitprogram import git_environment
from patches.model import MODE_FILE

_NAME = "file"
_HEADER = re.compile(rb"([0-9a-f]{40}) [0-9]+ [0-9]+(?: [0-9]+)?")
_NOBODY = pygit2.Signature("nobody", "nobody@localhost", 0, 0)


class BlameFailed(RuntimeError):
    """The ``git`` program could not attribute the lines of a file."""


def attribute_lines(versions: Iterable[bytes]) -> list[tuple[int, bytes]]:
    """Return each line of the last version, without its line feed, after the index of the version it is from.

    The versions become commits of a repository in a temporary directory. It is removed; a
    kill leaves it.

    Args:
        versions: The whole content of a file from its first version to its last; at least one. Read once.

    Raises:
        BlameFailed: git is not there, or broke down.
    """
    with TemporaryDirectory(prefix="ledger-blame-") as directory:
        repo = pygit2.init_repository(directory, bare=True)
        made: dict[bytes, int] = {}
        parents: list[pygit2.Oid] = []
        for index, content in enumerate(versions):
            builder = repo.TreeBuilder()
            builder.insert(_NAME, repo.create_blob(content), MODE_FILE)
            parents = [repo.create_commit(None, _NOBODY, _NOBODY, "", builder.write(), parents)]
            made[str(parents[0]).encode()] = index
        command = ["git", "blame", "--line-porcelain", "--no-progress", str(parents[0]), "--", _NAME]
        return _parse_porcelain(_run(command, directory), made)


def _run(command: Sequence[str], directory: str) -> bytes:
    environment = git_environment(GIT_DIR=directory, GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null")
    try:
        done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, check=True)
    except FileNotFoundError as error:
        raise BlameFailed("the git program was not found") from error
    except subprocess.CalledProcessError as error:
        raise BlameFailed(f"git blame: {error.stderr.decode('utf-8', 'replace').strip()}") from error
    return done.stdout


def _parse_porcelain(output: bytes, made: dict[bytes, int]) -> list[tuple[int, bytes]]:
    """Return what ``--line-porcelain`` says (git-blame(1), "The Porcelain Format")."""
    found: list[tuple[int, bytes]] = []
    index = 0
    for line in output.split(b"\n"):
        if line.startswith(b"\t"):
            found.append((index, line[1:]))
        elif header := _HEADER.fullmatch(line):
            index = made[header[1]]
    return found
