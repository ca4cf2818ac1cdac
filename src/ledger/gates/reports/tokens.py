"""The tokens of patches, as ``ledger tokens --json`` counts them."""

from __future__ import annotations

from msgspec import Struct

from ledger.gates.reports.source import Count, Source
from ledger.measurements import Finding, Report

_LISTED = 100


class _Patch(Struct):
    event: str
    live: bool
    files: Count
    largest: str
    tokens: Count | None
    counted_by: str


def parse_tokens(source: Source) -> Report:
    """Return the report of ``ledger tokens --json``.

    Metrics: ``max_tokens`` (of the largest patch), ``tokens`` (of all) and ``patches``. Those that were
    rolled back are passed over. Every other one is a finding, the largest first, as only the policy knows
    its budget; beyond a hundred the small ones are not listed. One whose bytes are gone is a problem.
    """
    live = [patch for patch in source.json(list[_Patch]) if patch.live]
    counted = [(patch.tokens, patch) for patch in live if patch.tokens is not None]
    counted.sort(key=lambda each: -each[0])
    metrics = {
        "max_tokens": float(counted[0][0] if counted else 0),
        "tokens": float(sum(tokens for tokens, _ in counted)),
        "patches": float(len(live)),
    }
    return Report(
        metrics=metrics,
        examined=len(live),
        unit="patches",
        findings=tuple(_finding(tokens, patch) for tokens, patch in counted[:_LISTED]),
        problems=tuple(
            f"{patch.event}: its tokens cannot be counted, as its bytes were dropped"
            for patch in live
            if patch.tokens is None
        ),
    )


def _finding(tokens: int, patch: _Patch) -> Finding:
    files = "1 file" if patch.files == 1 else f"{patch.files} files"
    return Finding(
        rule=patch.event,
        path=patch.largest,
        message=f"{tokens} tokens in {files}, counted by {patch.counted_by}",
        severity="note",
    )
