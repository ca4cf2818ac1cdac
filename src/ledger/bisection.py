"""Bisection: which states of a line to measure next, and what is known of the first that fails. Pure.

See: ``git-bisect(1)``; with several probes at a time a round leaves one part in ``width + 1`` of the line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ledger.counterfactual import Outcome

SKIPPED: tuple[Outcome, ...] = ("flaky", "inconclusive")
"""What says neither good nor bad: the state is passed over, as by ``git bisect skip``."""


class Narrowed(NamedTuple):
    """Where the first failure lies: after ``good``, which passes, and not after ``bad``, which fails."""

    good: int
    bad: int

    @property
    def between(self) -> range:
        """The states of which neither is known."""
        return range(self.good + 1, self.bad)


def narrow(line: Sequence[str], known: Mapping[str, Outcome]) -> Narrowed:
    """Return what the outcomes say of the first state that fails after one that passes.

    Args:
        line: The tree of each state, oldest first; the first passes and the last fails.
        known: The outcome of each tree that has one.
    """
    bad = next(at for at, tree in enumerate(line) if known.get(tree) == "fail")
    good = max(at for at, tree in enumerate(line[:bad]) if known.get(tree) == "pass")
    return Narrowed(good, bad)


def choose_probes(line: Sequence[str], known: Mapping[str, Outcome], width: int) -> list[int]:
    """Return the states to measure next, evenly spread over those that nothing is known of; none at the end.

    Args:
        line: As for `narrow`.
        known: Likewise.
        width: How many at most. No two have the same tree.
    """
    first: dict[str, int] = {}
    for at in narrow(line, known).between:
        if line[at] not in known:
            first.setdefault(line[at], at)
    unknown = list(first.values())
    count = min(width, len(unknown))
    return [unknown[(number + 1) * (len(unknown) + 1) // (count + 1) - 1] for number in range(count)]


def choose_good(line: Sequence[str], known: Mapping[str, Outcome]) -> int:
    """Return the state to begin after where none is named: the newest that passes, else the first of all."""
    return max((at for at, tree in enumerate(line[:-1]) if known.get(tree) == "pass"), default=0)
