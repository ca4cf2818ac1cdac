"""Commands that bring files to their canonical place: `mv` and `canonicalize`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ledger.cli.output import count_of, format_options, write_rows
from ledger.cli.session import (
    allow_secrets_option,
    id_option,
    open_ledger,
    readable,
    report_applied,
    repository_path,
    say,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from patches.backups import BackupGroup


@click.command()
@click.argument("paths", metavar="SOURCE... DESTINATION", nargs=-1, required=True)
@click.option("-f", "--force", is_flag=True, help="Overwrite a recorded file at the destination.")
@click.option("-k", "skip_errors", is_flag=True, help="Leave out what cannot be moved.")
@click.option("--must-exist", multiple=True, metavar="GLOB", help="Refuse unless the result has such a path.")
@click.option("--must-not-exist", multiple=True, metavar="GLOB", help="Refuse if the result has such a path.")
@click.option("-m", "--message", default="", help="Why: kept with the event.")
@allow_secrets_option
@id_option
def mv(
    paths: tuple[str, ...],
    force: bool,
    skip_errors: bool,
    must_exist: tuple[str, ...],
    must_not_exist: tuple[str, ...],
    message: str,
    allow_secrets: bool,
) -> None:
    """Move or rename files and directories as `git mv` does, and record it.

    Globs are Git's (`:(glob)`: `*` stops at a slash, `**` does not), from the repository's top. They are
    checked on the result before anything is visible.

    \b
    ledger mv old.py src/new.py
    ledger mv -f app.py1 app.py --must-exist app.py --must-not-exist 'app.py?*'
    """  # noqa: D301 - click reads the backspace
    if len(paths) < 2:
        raise click.UsageError("name what to move, and where to")
    ledger = open_ledger()
    *sources, destination = [repository_path(ledger, path) for path in paths]
    applied = ledger.move(
        sources,
        destination,
        force=force,
        skip_errors=skip_errors,
        must_exist=must_exist,
        must_not_exist=must_not_exist,
        note=readable(message),
        allow_secrets=allow_secrets,
    )
    report_applied(applied, "mv")


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--plan", "plan_file", metavar="FILE", help="Write the proposal there, to be edited.")
@click.option("--apply", "apply_file", metavar="FILE", help="Carry out a plan.")
@click.option("-m", "--message", default="", help="Why: kept with the event.")
@allow_secrets_option
@id_option
@format_options
def canonicalize(
    paths: tuple[str, ...],
    plan_file: str | None,
    apply_file: str | None,
    message: str,
    allow_secrets: bool,
    style: str,
) -> None:
    """Find suffixed backups of one file (x.py0, x.py.bak, "x (1).py", x_copy.py …) and merge them into it.

    PATH is a directory to look in, or a file whose group is meant; by default everything. Lists the groups
    with what is proposed. --plan writes that as TOML, to be edited; --apply carries it out
    as one event: the survivor takes the canonical path, its backups go, and what must and must not
    exist afterwards is verified before anything is visible.

    \b
    ledger canonicalize src
    ledger canonicalize --plan plan.toml && $EDITOR plan.toml
    ledger canonicalize --apply plan.toml
    """  # noqa: D301 - click reads the backspace
    from patches.canonicalization import encode_plan, parse_plan

    if plan_file and apply_file:
        raise click.UsageError("--plan writes a plan and --apply carries one out: one at a time")
    ledger = open_ledger()
    if apply_file:
        plan = parse_plan(Path(apply_file).read_text("utf-8"))
        applied = ledger.canonicalize(plan, note=readable(message), allow_secrets=allow_secrets)
        report_applied(applied, apply_file)
        return
    tree, groups = ledger.find_backups([repository_path(ledger, path) for path in paths])
    if plan_file:
        Path(plan_file).write_text(encode_plan(groups, tree=bytes.fromhex(tree)), "utf-8")
        say(f"wrote {plan_file}: {count_of(len(groups), 'group')}; `ledger canonicalize --apply {plan_file}`")
        return
    _write_groups(groups, style)
    say(f"{count_of(len(groups), 'group')}; `ledger canonicalize --plan FILE` writes the proposal")


def _write_groups(groups: Sequence[BackupGroup], style: str) -> None:
    from datetime import UTC, datetime

    from patches.errors import show_path

    def time_of(at: int | None) -> datetime | None:
        return None if at is None else datetime.fromtimestamp(at, UTC)

    rows: list[tuple[object, ...]] = []
    for group in groups:
        canonical = show_path(group.canonical)
        if group.entry is not None:
            role = "survives" if group.survivor == group.canonical else "replaced"
            rows.append((canonical, canonical, role, group.size_bytes, time_of(group.changed_at), None, None))
        for member in group.members:
            role = "survives" if member.path == group.survivor else "doubtful" if member.doubtful else "goes"
            if member.identical:
                role += ", identical"
            changed = time_of(member.changed_at)
            row = (canonical, show_path(member.path), role, member.size_bytes, changed)
            rows.append((*row, member.added, member.removed))
    write_rows(("canonical", "path", "proposal", "size_bytes", "changed_at", "added", "removed"), rows, style)
