"""Configurations: what the repository's own files say now, and the profile that a name means in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ledger.errors import UnknownName
from ledger.repository import Repository

if TYPE_CHECKING:
    from ledger.gates.configuration import Configuration


def configuration_of(repository: Repository) -> Configuration:
    """Return what ``ledger.toml`` or ``pyproject.toml`` says now, at the top of the work tree.

    Raises:
        InvalidConfiguration: It cannot be read.
    """
    # Here: the parser of configurations is nothing that every command has to load.
    from ledger.gates.configuration import read_configuration

    return read_configuration(
        repository.read_top_file("ledger.toml"), repository.read_top_file("pyproject.toml")
    )


def read_configuration_file(file: Path) -> tuple[Configuration, bool]:
    """Return what one file says, wherever it lies, and whether it names the profile that counts.

    A file with a ``[tool.ledger]`` table is read as a ``pyproject.toml``, any other as a ``ledger.toml``.

    Raises:
        InvalidConfiguration: It cannot be read, or is a ``pyproject.toml`` without that table.
        OSError: There is no such file.
    """
    from ledger.gates.configuration import read_configuration
    from ledger.gates.documents import InvalidConfiguration, parse_document

    data = file.read_bytes()
    try:
        document = parse_document(None, data)
        if document is None and file.name == "pyproject.toml":
            raise InvalidConfiguration(file.name, 0, "tool.ledger", "there is no such table")
        shape = (None, data) if document is not None else (data, None)
        document = document or parse_document(data, None)
        assert document is not None, "one of the two it is"
        return read_configuration(*shape), "profile" in document.names(())
    except InvalidConfiguration as error:
        named = InvalidConfiguration(str(file), error.line, error.key, error.reason, error.allowed)
        raise named from error


def choose_profile(configuration: Configuration, name: str) -> str:
    """Return the profile of a name, the configuration's own where there is no name.

    Raises:
        UnknownName: There is no such profile.
    """
    if name and name not in configuration.profiles:
        raise UnknownName("profile", name, sorted(configuration.profiles))
    return name or configuration.profile
