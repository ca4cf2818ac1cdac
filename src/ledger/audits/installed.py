"""Installed distributions: what the metadata of a Python environment says of their licences.

No code of the environment runs but its interpreter, which is asked where it looks for packages.

See: PyPA, "Core metadata specifications"; PEP 639 (``License-Expression``, ``License-File``).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, cast

from ledger.errors import LedgerError
from patches.gitprogram import git_environment

if TYPE_CHECKING:
    from email.message import Message

_ASK = "import json, sys; sys.stdout.write(json.dumps(sys.path))"
_TIMEOUT_S = 30.0
_TEXT_LIMIT = 1 << 20
_USUAL = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENSE.rst", "LICENCE", "COPYING")


class NoEnvironment(LedgerError):
    """There is no Python environment at a path, or its interpreter does not run. Nothing was written."""

    hint = "name its interpreter or its directory: `ledger audit licenses --python .venv`"

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: no Python environment: {reason}")


class Package(NamedTuple):
    """What one distribution's metadata says of its licence.

    Args:
        name: As the metadata spells it.
        version: "" where it names none.
        expression: ``License-Expression``.
        classifiers: What follows ``License ::``, its last part alone.
        license: ``License``: a name, or a whole text.
        texts: The licence files that the metadata names.
    """

    name: str
    version: str
    expression: str = ""
    classifiers: tuple[str, ...] = ()
    license: str = ""
    texts: tuple[str, ...] = ()


def find_interpreter(chosen: str, directory: Path) -> Path:
    """Return the interpreter of the environment to look at.

    Args:
        chosen: An interpreter, or an environment's directory; "" for the usual one: ``.venv`` in the
            directory, else the active one (VIRTUAL_ENV), else that of this process.
        directory: The top of the work tree.

    Raises:
        NoEnvironment: There is none where ``chosen`` says.
    """
    if chosen:
        path = Path(chosen)
        found = path if path.is_file() else _interpreter_in(path)
        if found is None:
            raise NoEnvironment(path, "there is no interpreter" if path.exists() else "there is nothing")
        return found
    active = os.environ.get("VIRTUAL_ENV", "")
    usual = (_interpreter_in(place) for place in (directory / ".venv", *([Path(active)] if active else [])))
    return next((found for found in usual if found is not None), Path(sys.executable))


def _interpreter_in(environment: Path) -> Path | None:
    places = (environment / "bin" / "python", environment / "Scripts" / "python.exe")
    return next((place for place in places if place.is_file()), None)


def list_packages(interpreter: Path) -> list[Package]:
    """Return the distributions of an interpreter's environment, by name; the first of a name is what counts.

    Raises:
        NoEnvironment: The interpreter does not run.
    """
    found: dict[str, Package] = {}
    for each in distributions(path=_search_path(interpreter)):
        package = _read(each)
        if package is not None:
            found.setdefault(package.name.lower(), package)
    return [found[name] for name in sorted(found)]


def _search_path(interpreter: Path) -> list[str]:
    # -I: neither the current directory nor PYTHONPATH is part of the environment.
    command = [str(interpreter), "-I", "-c", _ASK]
    try:
        done = subprocess.run(
            command, env=git_environment(), capture_output=True, timeout=_TIMEOUT_S, check=True
        )
        paths: list[str] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise NoEnvironment(interpreter, str(error)) from error
    return paths


def _read(distribution: Distribution) -> Package | None:
    """Return a distribution's package; None where its metadata is gone, as an uninstalled one leaves it."""
    try:
        metadata = cast("Message", distribution.metadata)
    except UnicodeDecodeError:
        # It is installed all the same, and of its licence nothing can be said.
        return Package(f"(unreadable metadata in {distribution.locate_file('')})", "")
    name = metadata.get("Name")
    if not name:
        return None
    classifiers = map(str, metadata.get_all("Classifier") or [])
    return Package(
        name=str(name),
        version=str(metadata.get("Version", "")),
        expression=str(metadata.get("License-Expression", "")),
        classifiers=tuple(dict.fromkeys(name for each in classifiers if (name := _license_of(each)))),
        license=_said(metadata.get("License")),
        texts=tuple(_texts(distribution, [str(each) for each in metadata.get_all("License-File") or _USUAL])),
    )


def _said(value: object) -> str:
    """Return a field's text, "" for the word that old build tools wrote where nothing was said."""
    text = "" if value is None else str(value).strip()
    return "" if text.upper() == "UNKNOWN" else text


def _license_of(classifier: str) -> str:
    """Return the licence that a classifier names, "" where it is about something else or names none."""
    parts = [part.strip() for part in classifier.split("::")]
    return parts[-1] if parts[0] == "License" and parts[-1] not in ("License", "OSI Approved") else ""


def _texts(distribution: Distribution, names: list[str]) -> Iterator[str]:
    """Yield the licence files: below ``licenses`` of the metadata, or beside it as older tools put them."""
    for name in names:
        if ".." in PurePosixPath(name).parts:
            continue
        try:
            text = distribution.read_text(f"licenses/{name}") or distribution.read_text(name)
        except UnicodeDecodeError:
            continue
        if text:
            yield text[:_TEXT_LIMIT]
