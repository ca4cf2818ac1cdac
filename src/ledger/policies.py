"""Policies: which gates there are, how each is measured, and what its facts must say. Their own wire form.

A policy is recorded whole in ``policy.set``, so that a verdict can be given again from the log alone,
whatever the configuration and the defaults of a later version are.

See: ``docs/format.md``, "Policies".
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

Mode: TypeAlias = Literal["strict", "soft", "off"]
Better: TypeAlias = Literal["lower", "higher"]

PHASES = ("P1", "P2", "P3", "P4", "P5", "P6")
PHASE_NAMES: dict[str, str] = dict(
    zip(PHASES, ("prep", "search", "build", "prune", "error-log", "final"), strict=True)
)


class Step(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One command of a gate, and how its result is read.

    Args:
        command: The argument vector; no shell. ``{scratch}`` is a fresh directory outside the tree,
            ``{paths}`` as a whole argument stands for those of ``paths`` that the tree has, or ``.``;
            ``{range}`` for the patches that led to the tree since what was accepted before it.
        format: The name of a parser in `ledger.gates.reports`; ``exit`` means the exit code alone.
        report: Where the tool leaves its report: ``-`` for standard output, else a path (relative to
            the tree's root, or below ``{scratch}``).
        exit_codes: Those that mean "nothing found", for the format ``exit``.
    """

    command: tuple[str, ...]
    format: str = "exit"
    report: str = "-"
    paths: tuple[str, ...] = ()
    exit_codes: tuple[int, ...] = (0,)

    @property
    def about_patches(self) -> bool:
        """Whether its result depends on the patches that led to the tree, besides the tree."""
        return "{range}" in self.command

    def __post_init__(self) -> None:
        """Let equal steps be written alike: the encoder leaves out only what *is* the default."""
        for name, default in zip(self.__struct_fields__[1:], self.__struct_defaults__, strict=True):
            if getattr(self, name) == default:
                msgspec.structs.force_setattr(self, name, default)


class Rule(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One gate: how it is measured, and what decides.

    One named metric decides: it passes at ``threshold`` or better. ``min_examined`` is how much must
    have been looked at; ``baseline`` asks that the metric be no worse than in the accepted state;
    ``allow_fewer`` and ``allow_flaky`` waive that no fewer tests ran than there, and that all
    outcomes on one tree are the same. ``fed_by`` names a gate whose execution leaves this gate's
    report too, and ``feeder`` is the digest of what that one runs (see `resolve_feeders`). ``env`` names
    environment variables that the command sees besides the usual ones, ``outside`` packages that may
    be imported from outside the measured tree. ``reason`` says why a gate is off.
    """

    mode: Mode
    steps: tuple[Step, ...]
    metric: str
    better: Better = "lower"
    threshold: float = 0.0
    min_examined: int = 1
    baseline: bool = False
    allow_fewer: bool = False
    allow_flaky: bool = False
    timeout_s: float = 1800.0
    env: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    fed_by: str = ""
    feeder: str = ""
    outside: tuple[str, ...] = ()
    reason: str = ""

    @property
    def definition(self) -> str:
        """Digest of what shapes the facts: commands, formats, environment. Thresholds are not in it."""
        shape = (self.steps, self.env, self.fed_by, self.feeder, self.outside)
        return sha256(b"ledger-gate/1\n" + msgspec.json.encode(shape)).hexdigest()


def resolve_feeders(gates: Mapping[str, Rule]) -> dict[str, Rule]:
    """Return the rules with each fed gate naming by digest what its feeder runs.

    Without it a verdict that came from another gate's command would outlive a change of that command.
    """
    resolved = dict(gates)
    for name, rule in gates.items():
        other = gates.get(rule.fed_by)
        shape = () if other is None else (other.steps, other.env, other.outside)
        feeder = sha256(b"ledger-feeder/1\n" + msgspec.json.encode(shape)).hexdigest() if shape else ""
        if feeder != rule.feeder:
            resolved[name] = msgspec.structs.replace(rule, feeder=feeder)
    return resolved


class PhaseRule(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What phases allow: ``order`` forbids going back, ``patches`` names the phases that take patches."""

    order: bool = False
    patches: tuple[str, ...] = PHASES

    @property
    def restricts(self) -> bool:
        """Whether there is a phase that takes no patches."""
        return set(self.patches) != set(PHASES)


class Isolation(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a temporary work tree becomes usable: commands run in it, paths linked into it."""

    setup: tuple[tuple[str, ...], ...] = ()
    link: tuple[str, ...] = ()


class Policy(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One profile: its gates by name, and the rules for phases, isolation and finalization."""

    gates: dict[str, Rule]
    phases: PhaseRule = PhaseRule()
    isolated: Isolation = Isolation()
    must_exist: tuple[str, ...] = ()
    must_not_exist: tuple[str, ...] = ()

    @property
    def strict(self) -> tuple[str, ...]:
        """The names of the strict gates, sorted."""
        return tuple(sorted(name for name, rule in self.gates.items() if rule.mode == "strict"))
