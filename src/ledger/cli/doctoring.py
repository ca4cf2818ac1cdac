"""The command that says what is wrong and what to do: `doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ledger.cli.failures import DAMAGED, DONE, INCONCLUSIVE, REJECTED, ExitCode
from ledger.cli.globaloptions import session_of
from ledger.cli.output import count_of, format_options, write_record, write_rows
from ledger.cli.session import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.audits.capabilities import Status
    from ledger.health import Check

_CODES = {"format": DAMAGED, "chain": DAMAGED, "gate-tools": INCONCLUSIVE}
"""What an error of a check comes to, where it is not a failed verification."""


@click.command()
@click.option("--only", multiple=True, metavar="NAME", help="Try only this; may be given several times.")
@format_options
def doctor(only: tuple[str, ...], style: str) -> None:
    """Say what is wrong with the ledger here, and with this installation, and what helps.

    Of the repository: format, log, locks, work tree, index, refs, leftovers, the tools of its gates; nothing
    is written or healed, and `ledger verify` proves the rest. Of the installation everything is tried for
    real, without network; --only NAME tries that alone and leaves the repository out. Exits with 5 where the
    log is damaged, with 1 where something of the core does not work or a check is an error, with 4 where a
    strict gate lacks its tool; with 0 where there are only warnings.

    \b
    ledger doctor
    ledger doctor --only git --only locks --json
    """  # noqa: D301 - click reads the backspace
    from ledger.audits.capabilities import discover
    from ledger.cli.auditing import ledger_place

    checks = [] if only else _examine()
    status = discover(ledger_place(""), only)
    if style == "json":
        write_record(doctor_document(status, checks), style)
    else:
        _write_tables(status, checks, style)
    for check in checks:
        if check.state in ("warning", "error"):
            say(f"{check.state}: {check.name}: {check.found}: {check.hint}")
    for each in status.capabilities:
        if not each.available:
            say(f"{each.name}: no {each.purpose}: {each.hint}")
    broken = sum(each.part == "core" and not each.available for each in status.capabilities)
    say(f"{count_of(broken, 'part')} of the core broken" if broken else "the core works")
    if checks:
        wrong, doubtful = (sum(check.state == state for check in checks) for state in ("error", "warning"))
        say(f"the repository: {count_of(wrong, 'error')}, {count_of(doubtful, 'warning')}")
    code = _exit_code(broken, checks)
    if code is not DONE:
        click.get_current_context().exit(code.code)


def doctor_document(status: Status, checks: Sequence[Check]) -> dict[str, object]:
    """Return what programs get: of the installation, and of the repository what each check found."""
    import msgspec

    document: dict[str, object] = msgspec.to_builtins(status)
    healthy = status.healthy and all(check.state != "error" for check in checks)
    return {**document, "healthy": healthy, "checks": msgspec.to_builtins(list(checks))}


def _examine() -> list[Check]:
    """Return what was found in the repository around, nothing outside of one."""
    from ledger.errors import NotARepository
    from ledger.reading import LedgerReader

    try:
        reader = LedgerReader.open(session_of(click.get_current_context()).directory)
    except NotARepository:
        return []
    return list(reader.health())


def _write_tables(status: Status, checks: Sequence[Check], style: str) -> None:
    """Print both as rows of one form, so that a program reads one table."""
    columns = ("what", "part", "state", "version", "found")
    rows = [(check.name, "repository", check.state, "", check.found) for check in checks]
    for each in status.capabilities:
        state = "ok" if each.available else "error" if each.part == "core" else "warning"
        rows.append((each.name, each.part, state, each.version, each.evidence or each.why_not))
    write_rows(columns, rows, style)


def _exit_code(broken: int, checks: Sequence[Check]) -> ExitCode:
    codes = {_CODES.get(check.name, REJECTED) for check in checks if check.state == "error"}
    codes |= {REJECTED} if broken else set()
    return next((code for code in (DAMAGED, REJECTED, INCONCLUSIVE) if code in codes), DONE)
