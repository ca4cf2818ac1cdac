"""Configurations: what the repository's own files say now, and the profile that a name means in them."""

from __future__ import annotations

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


def choose_profile(configuration: Configuration, name: str) -> str:
    """Return the profile of a name, the configuration's own where there is no name.

    Raises:
        UnknownName: There is no such profile.
    """
    if name and name not in configuration.profiles:
        raise UnknownName("profile", name, sorted(configuration.profiles))
    return name or configuration.profile
