"""The command `tokens`: how large the patches of a run are for a model that reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ledger.cli.output import count_of, format_options, write_rows
from ledger.cli.session import open_reader, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.tokens import PatchTokens

_COLUMNS = ("event", "live", "files", "largest", "bytes", "tokens", "counted_by")


@click.command()
@click.argument("range_", metavar="[RANGE]", default="")
@click.option(
    "--tokenizer",
    default="",
    metavar="DIR|NAME",
    help="Count with this one, whatever the configuration (`tokens.tokenizer`) says.",
)
@format_options
def tokens(range_: str, tokenizer: str, style: str) -> None:
    """Show how many tokens each patch of a run has, and how they were counted.

    RANGE is `A..B`, what came after A up to B; an event; or a run. Without it: the current run.
    Without a tokenizer the number is an estimate, a quarter of the bytes, and says so.

    \b
    ledger tokens                          the patches of the current run
    ledger tokens @-3..@                   those of the last three events
    ledger tokens port-313:5..12           those of another run
    ledger tokens --tokenizer models/bert  counted exactly
    """  # noqa: D301 - click reads the backspace
    found = open_reader().tokens(range_, tokenizer)
    rows = [
        (each.event, each.live, each.files, each.largest, each.size_bytes, each.tokens, each.counted_by)
        for each in found
    ]
    write_rows(_COLUMNS, rows, style)
    _report_total(found)


def _report_total(found: Sequence[PatchTokens]) -> None:
    """Say on stderr what it comes to, and what the number rests on."""
    from ledger.tokens import ESTIMATE

    total = sum(each.tokens or 0 for each in found)
    size = sum(each.size_bytes for each in found)
    count = count_of(len(found), "patch") if len(found) == 1 else f"{len(found)} patches"
    say(f"{count}, {count_of(size, 'byte')}, {count_of(total, 'token')}")
    dropped = [each.event for each in found if each.tokens is None]
    if dropped:
        say(f"note: not counted, as the bytes were dropped: {', '.join(dropped)}")
    if any(each.counted_by == ESTIMATE for each in found):
        say(f"note: counted by {ESTIMATE}, an estimate; `--tokenizer DIR` counts exactly")
