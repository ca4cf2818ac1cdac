"""Many new objects as one pack: Git's program indexes and checks it, and makes it visible at once."""

from __future__ import annotations

import zlib
from hashlib import sha1
from typing import TYPE_CHECKING

from patches.gitprogram import git_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FASTEST = 1


class PackFailed(RuntimeError):
    """The ``git`` program could not take a pack; nothing of it is in the repository."""


def encode_pack(objects: Sequence[tuple[int, bytes]]) -> Iterator[bytes]:
    """Yield the bytes of a pack, object by object, without deltas.

    Args:
        objects: kind (1 commit, 2 tree, 3 blob, 4 tag) and content of each.

    See: ``gitformat-pack(5)``.
    """
    header = b"PACK\0\0\0\2" + len(objects).to_bytes(4, "big")
    digest = sha1(header, usedforsecurity=False)
    yield header
    for kind, data in objects:
        size = len(data)
        code = bytearray((kind << 4 | size & 15,))
        size >>= 4
        while size:
            code[-1] |= 0x80
            code.append(size & 0x7F)
            size >>= 7
        encoded = bytes(code) + zlib.compress(data, _FASTEST)
        digest.update(encoded)
        yield encoded
    yield digest.digest()


def write_pack(git_dir: str, objects: Sequence[tuple[int, bytes]]) -> None:
    """Add all objects to a repository; a crash leaves all of them there, or none and a stray temporary file.

    Raises:
        PackFailed: git is not there or refused; none of the objects was added.
    """
    import subprocess

    command = ["git", f"--git-dir={git_dir}", "index-pack", "--stdin"]
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=git_environment(),
        ) as process:
            _, errors = process.communicate(b"".join(encode_pack(objects)))
    except FileNotFoundError as error:
        raise PackFailed("the git program was not found") from error
    if process.returncode:
        raise PackFailed(f"git index-pack: {errors.decode('utf-8', 'replace').strip()}")
