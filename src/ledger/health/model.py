"""Checks: what the doctor says of one thing in a repository."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from ledger.repository import Repository
from ledger.workspace import Workspace

State: TypeAlias = Literal["ok", "warning", "error", "not-applicable"]


class Check(Struct, frozen=True):
    """One thing that was looked at: its state, what was found, and what helps ("" where nothing has to)."""

    name: str
    state: State
    found: str
    hint: str = ""


class Patient(NamedTuple):
    """A repository whose log can be read, and its workspace, for reading alone."""

    repository: Repository
    workspace: Workspace
