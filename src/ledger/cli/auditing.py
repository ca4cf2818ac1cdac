"""Commands that check a whole repository or environment offline: `audit` and its kinds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ledger.cli.failures import DONE, INCONCLUSIVE, REJECTED
from ledger.cli.globaloptions import session_of
from ledger.cli.output import count_of, format_options, write_record, write_rows
from ledger.cli.session import say

if TYPE_CHECKING:
    from ledger.api import Ledger
    from ledger.audits.questions import Logged
    from ledger.measurements import Report

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _directory_argument(command: _Command) -> _Command:
    return click.argument("directory", metavar="[DIR]", default="", type=click.Path())(command)


def _open(directory: str) -> Ledger:
    """Return the ledger of the repository that ``directory`` is in, relative to ``-C``; closed at the end."""
    from ledger.api import Ledger

    context = click.get_current_context()
    ledger = Ledger.open(session_of(context).directory / directory)
    context.call_on_close(ledger.close)
    return ledger


def report_audit(name: str, report: Report, style: str, *, failing: bool = True) -> None:
    """Print a report, on stderr what it comes to, and end with the exit code that says so.

    Args:
        name: The audit's.
        report: What it found.
        style: How to print it. As JSON it is the report that the format ``audit`` of a gate reads.
        failing: Whether findings are a failure.
    """
    if style == "json":
        import msgspec

        write_record({"audit": name, **msgspec.to_builtins(report)}, style)
    elif report.findings or style != "table":
        rows = [(f.severity, f.rule, _where(f.path, f.line), f.message) for f in report.findings]
        write_rows(("severity", "rule", "where", "what"), rows, style)
    found, doubtful = (int(report.metrics.get(each, 0)) for each in ("findings", "warnings"))
    warnings = f", {count_of(doubtful, 'warning')}" if doubtful else ""
    say(f"{name}: {count_of(found, 'finding')}{warnings} ({report.unit} examined: {report.examined})")
    for problem in report.problems:
        say(f"inconclusive: {problem}")
    code = DONE
    if found and failing:
        code = REJECTED
    elif report.problems or not report.examined:
        code = INCONCLUSIVE
    if code is not DONE:
        click.get_current_context().exit(code.code)


def _where(path: str, line: int) -> str:
    return f"{path}:{line}" if line else path


@click.group()
def audit() -> None:
    """Check a repository or an environment, without network: secrets, licences, digests, tools, questions.

    Each is also a gate, where the configuration names it. Exits with 1 where something was found, 4 where
    nothing could be told.
    """


@audit.command()
@_directory_argument
@click.option("--baseline", default="", metavar="FILE", help="Known secrets [default: .secrets.baseline].")
@click.option("--update-baseline", is_flag=True, help="Write what is found there instead of reporting it.")
@format_options
def secrets(directory: str, baseline: str, update_baseline: bool, style: str) -> None:
    """Look for secrets in the tracked files of the repository that DIR is in. Values are never shown.

    The baseline is detect-secrets' own: `detect-secrets audit` labels its entries, and one that is labelled
    a real secret is a finding again.

    \b
    ledger audit secrets
    """  # noqa: D301 - click reads the backspace
    from ledger.audits import secrets as audit
    from ledger.audits.baseline import NAME
    from ledger.audits.tracked import TrackedFiles

    files = TrackedFiles(_open(directory).repository)
    path = Path(baseline) if baseline else files.root / NAME
    known = audit.read_baseline(path, required=bool(baseline) and not update_baseline)
    found = audit.scan(files, skip=path)
    if update_baseline:
        count = audit.write_baseline(path, found, known)
        say(f"wrote {path}: {count_of(count, 'secret')}; `detect-secrets audit {path}` labels them")
        return
    report_audit("secrets", audit.judge_scan(found, known), style)


@audit.command()
@_directory_argument
@click.option("--python", default="", metavar="PATH", help="The environment, or its interpreter.")
@click.option("--list", "list_", is_flag=True, help="Print every package with its licence.")
@format_options
def licenses(directory: str, python: str, list_: bool, style: str) -> None:
    """Compare the licences of the installed packages with the policy, `[tool.ledger.licenses]`.

    The environment is .venv at the top of the repository that DIR is in, else the active one, else the
    ledger's own. Needs `patch-ledger[audit]`.

    \b
    ledger audit licenses
    """  # noqa: D301 - click reads the backspace
    from ledger.audits import installed
    from ledger.audits import licenses as audit
    from ledger.configurations import configuration_of

    repository = _open(directory).repository
    policy = configuration_of(repository).licenses
    interpreter = installed.find_interpreter(python, repository.work_dir or repository.git_dir)
    found = audit.judge_packages(installed.list_packages(interpreter), policy)
    say(f"environment of {interpreter}")
    if list_:
        columns = ("package", "version", "license", "from", "standing")
        rows = [(e.package.name, e.package.version, e.expression, e.source, e.standing) for e in found]
        write_rows(columns, rows, style)
        return
    say(audit.count_licenses(found))
    report_audit("licenses", audit.report_packages(found, policy), style)


@audit.command()
@_directory_argument
@click.option("-o", "--file", "file", default="", metavar="FILE", help="The manifest [default: SHA256SUMS].")
@click.option("--write", is_flag=True, help="Write the manifest instead of verifying it.")
@format_options
def manifest(directory: str, file: str, write: bool, style: str) -> None:
    """Verify the SHA-256 of the tracked files against a manifest, or write it.

    Its lines are those of `sha256sum`, with paths from the repository's top: `sha256sum -c` checks it there.
    Symlinks and submodules stand in comments.

    \b
    ledger audit manifest
    """  # noqa: D301 - click reads the backspace
    from ledger.audits import manifest as audit
    from ledger.audits.tracked import TrackedFiles

    files = TrackedFiles(_open(directory).repository)
    target = Path(file).absolute() if file and file != "-" else files.root / audit.NAME
    if not write:
        report_audit("manifest", audit.verify(files, target), style)
        return
    entries = audit.build(files, target)
    if file == "-":
        sys.stdout.buffer.write(audit.encode_manifest(entries))
        return
    audit.write(target, entries)
    say(f"wrote {file or target}: {count_of(len(entries), 'file')}")


@audit.command()
@_directory_argument
@click.option("--fail-on-open", is_flag=True, help="Exit with 1 where one is open.")
@format_options
def questions(directory: str, fail_on_open: bool, style: str) -> None:
    """List open questions: of the log, and of the tracked Markdown of the repository that DIR is in.

    In Markdown those count that stand under a heading "Open questions", or after "Question:" or "TODO?".

    \b
    ledger audit questions
    """  # noqa: D301 - click reads the backspace
    from ledger.audits.questions import harvest
    from ledger.audits.tracked import TrackedFiles

    ledger = _open(directory)
    report = harvest(TrackedFiles(ledger.repository), _logged(ledger))
    report_audit("questions", report, style, failing=fail_on_open)


def _logged(ledger: Ledger) -> list[Logged] | None:
    """Return every question of the log, of all runs; None where nothing was ever recorded."""
    from ledger.audits.questions import Logged

    if not ledger.path.exists():
        return None
    rows = ledger.sql("select event, step, message, open from questions order by asked_at, event").fetchall()
    return [
        Logged(event, step, ledger.body(message).decode("utf-8", "backslashreplace"), open_)
        for event, step, message, open_ in rows
    ]


@audit.command()
@_directory_argument
@click.option("--only", multiple=True, metavar="NAME", help="Try only this; may be given several times.")
@format_options
def capabilities(directory: str, only: tuple[str, ...], style: str) -> None:
    """Try what this installation can do, as `doctor` does, and report what the core lacks.

    \b
    ledger audit capabilities
    """  # noqa: D301 - click reads the backspace
    from ledger.audits.capabilities import discover, report_status

    report_audit("capabilities", report_status(discover(ledger_place(directory), only)), style)


def ledger_place(directory: str) -> Path:
    """Return where the ledger of a directory's repository lies; the directory itself outside of one."""
    from ledger.errors import NotARepository
    from ledger.repository import Repository

    place = session_of(click.get_current_context()).directory / directory
    try:
        return Repository.open(place).common_dir
    except NotARepository:
        return place
