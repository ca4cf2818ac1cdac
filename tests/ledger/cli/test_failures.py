"""Failures: every error has its exit code and a hint, and every exit code is in the help."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import ingestion
import ledger
import patches
from check_docs import ledger_arguments, parse_error, split_words
from ingestion.errors import IngestionError
from ledger.bisect_errors import UnmeasurableEnd, WrongEnd
from ledger.cli import failures
from ledger.cli.app import cli
from ledger.cli.failures import EXIT_CODES, INTERNAL, exit_code_of
from ledger.errors import LedgerError, NewerFormat, PhaseForbids, RebaseStopped
from ledger.operations.authorship import Mail, NoMessage
from ledger.reference_errors import NoSuchPath
from ledger.sharing_errors import AmbiguousRun, ElsewhereAtHead, NotHere
from ledger.transfer_errors import BundleTooLarge, MissingBase
from ledger.travel_errors import BranchExists, PathInTheWay, StateUnavailable
from patches import diff, packs, submodules, worktree_errors
from patches.dialects.omissions import LeftOut
from patches.errors import PatchError

for package in (ingestion, patches, ledger):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            import_module(module.name)  # A class that nobody has loaded is below no base.


def concrete(base: type[BaseException]) -> Iterator[type[BaseException]]:
    """Yield the classes below ``base`` that nothing derives from."""
    below = base.__subclasses__()
    if not below:
        yield base
    for kind in below:
        yield from concrete(kind)


def below(base: type[BaseException]) -> Iterator[type[BaseException]]:
    """Yield every class below ``base``."""
    for kind in base.__subclasses__():
        yield kind
        yield from below(kind)


ERRORS = [
    *concrete(LedgerError),
    *concrete(PatchError),
    *concrete(IngestionError),
    diff.DiffFailed,
    packs.PackFailed,
    submodules.GitmodulesFailed,
]
HINTED = [kind for kind in ERRORS if issubclass(kind, LedgerError | PatchError)]
WITHOUT_A_COMMAND = {"GitFailed", "MissingObject", "PublishStopped"}
OF_ITS_FACTS = {
    NewerFormat: [NewerFormat(Path("ledger"), "ledger/2", "ledger/1")],
    NoMessage: [
        NoMessage("port", []),
        NoMessage("port", [Mail("port:3", 3, "Ann <a@b.c>", "", "Why")]),
    ],
    PhaseForbids: [
        PhaseForbids("port", "P1", ["P3"]),
        PhaseForbids("port", "", ["P3"]),
        PhaseForbids("port", "P1", []),
        PhaseForbids("port", "P3", (), "P1"),
    ],
    NoSuchPath: [NoSuchPath("port:3", b"app.py", [b"src/app.py"], directory=False)],
    BundleTooLarge: [BundleTooLarge(Path("runs.zip"), 1 << 40, 1 << 30)],
    MissingBase: [MissingBase("port", None, "4b" * 20), MissingBase("port", "ab" * 20, "4b" * 20)],
    StateUnavailable: [
        StateUnavailable("port:3", "4b" * 20, None),
        StateUnavailable("port:3", "4b" * 20, "ab" * 20),
    ],
    PathInTheWay: [PathInTheWay("port:3", "src/app.py", "src")],
    BranchExists: [BranchExists("port", "ab" * 20)],
    LeftOut: [LeftOut(b"new/a.txt", "only one side has it", "make it with `diff -ruN`")],
    WrongEnd: [WrongEnd("tests", "port:3", "port:9", good=good) for good in (True, False)],
    UnmeasurableEnd: [UnmeasurableEnd("tests", "port:3", "inconclusive", [])],
    RebaseStopped: [RebaseStopped("port:3", "a.txt: does not exist")],
    AmbiguousRun: [AmbiguousRun("port", ["4b4b/port", "abab/port"])],
    NotHere: [NotHere("port")],
    ElsewhereAtHead: [ElsewhereAtHead("port", "4b" * 20, "ab" * 20)],
}
"""Errors whose hint names what they are about."""


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_an_exit_code(kind: type[BaseException]) -> None:
    """No error that we raise about input or surroundings is reported as a fault of ours."""
    assert exit_code_of(kind.__new__(kind)) is not INTERNAL


def hints(kind: type[BaseException]) -> list[str]:
    """Return what an error's hint says, for each of the facts it may be of."""
    return [
        getattr(error, "hint", "") or failures._HINTS.get(kind.__name__, "")
        for error in OF_ITS_FACTS.get(kind, [kind])
    ]


@pytest.mark.parametrize("kind", HINTED, ids=lambda kind: kind.__name__)
def test_every_error_has_a_hint_with_a_command(kind: type[BaseException]) -> None:
    """What to do is a command, in backticks; the exceptions say all there is to say in their message."""
    for hint in hints(kind):
        assert ("`" in hint) != (kind.__name__ in WITHOUT_A_COMMAND or kind.__name__ == "RunName")


@pytest.mark.parametrize("kind", HINTED, ids=lambda kind: kind.__name__)
def test_every_command_in_a_hint_can_be_run(kind: type[BaseException]) -> None:
    """The real command line takes it as it stands, with words in capitals for what only its user knows."""
    for hint in hints(kind):
        for command in re.findall(r"`(ledger [^`]+)`", hint):
            for arguments in ledger_arguments(split_words(command)):
                assert parse_error(arguments) is None, command


def test_hints_are_for_errors_that_exist() -> None:
    """A class that was renamed takes its hint along."""
    known = {kind.__name__ for kind in below(PatchError)}
    assert set(failures._HINTS) <= known
    assert worktree_errors.DirtyPath.__name__ in known


def test_the_help_lists_every_exit_code() -> None:
    """The table in the code is the table that a user reads."""
    assert cli.epilog is not None
    for code in EXIT_CODES:
        assert f"{code.code:>3}  {code.meaning}" in cli.epilog
    assert len({code.code for code in EXIT_CODES}) == len(EXIT_CODES)
