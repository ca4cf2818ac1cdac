"""Real input for the demo: released source distributions, fetched with pip and committed as versions."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

NAME = "click"
# Their build backend is one small wheel without requirements: pip runs it even to download.
VERSIONS = ("8.1.8", "8.2.0", "8.2.1", "8.3.0")
TIMEOUT_S = 120


class FetchFailed(Exception):
    """pip could not fetch a release; the message is the last that pip said."""


def fetch(cache: Path) -> list[Path]:
    """Return the source distributions of ``VERSIONS``, from ``cache`` where they are there.

    They are fetched side by side, each into a folder of its own, so ``cache`` holds whole files only.

    Raises:
        FetchFailed: one could not be fetched; what the others brought stays in ``cache``.
    """
    cache.mkdir(parents=True, exist_ok=True)
    running = {
        version: start_pip(cache, version) for version in VERSIONS if not archive(cache, version).exists()
    }
    failures: list[str] = []
    for version, process in running.items():
        try:
            said = process.communicate(timeout=TIMEOUT_S)[0].strip().splitlines()
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            said = [f"no answer for {TIMEOUT_S} seconds"]
        fetched = cache / version / archive(cache, version).name
        if process.returncode == 0 and fetched.exists():
            fetched.replace(archive(cache, version))
        else:
            failures.append(said[-1] if said else f"pip ended with {process.returncode}")
    if failures:
        raise FetchFailed(failures[-1])
    return [archive(cache, version) for version in VERSIONS]


def archive(cache: Path, version: str) -> Path:
    """Return where the source distribution of ``version`` is kept."""
    return cache / f"{NAME}-{version}.tar.gz"


def start_pip(cache: Path, version: str) -> subprocess.Popen[str]:
    """Start pip on one version's source distribution."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-input", "--no-deps", "--retries", "1"]
    command += ["--no-binary", NAME, "--dest", str(cache / version), f"{NAME}=={version}"]
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )


def read_files(source: Path) -> Iterator[tuple[PurePosixPath, bytes, bool]]:
    """Yield path, content and executable bit of an archive's regular files, without its top folder.

    Links and devices are left out, and so is every path that could leave the folder it is unpacked to.
    """
    with tarfile.open(source) as opened:
        for member in opened:
            path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            safe = path.parts and not path.is_absolute() and not {"..", ".git"} & set(path.parts)
            content = opened.extractfile(member) if member.isreg() and safe else None
            if content is not None:
                yield path, content.read(), bool(member.mode & 0o100)


def write_files(source: Path, root: Path) -> None:
    """Unpack an archive's regular files below ``root``."""
    for path, content, executable in read_files(source):
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o755 if executable else 0o644)
