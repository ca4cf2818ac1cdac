"""Events of gates: measurements, and the tickets that they open and close."""

from __future__ import annotations

from typing import Literal

from ledger.events.base import Event
from ledger.measurements import Verdict


class GateMeasured(Event, frozen=True, kw_only=True, tag="gate.measured/1"):
    """A gate measured ``tree``, the state at version ``state_v``.

    Facts: the commands as they ran, the digest of the gate's definition, versions of tools, blob
    oids of the tools' configuration files (by path), exit codes (None where a command did not end
    by itself), metrics, what was examined, why nothing can be concluded (``problems``). ``baseline`` has
    the metrics of the accepted state at version ``baseline_v``, the number of what was examined there
    as ``examined``. ``report`` and ``output`` are bodies. ``verdict`` and ``reasons`` are what the
    policy in force made of the facts.
    """

    gate: str
    tree: str
    state_v: int
    definition: str
    commands: tuple[tuple[str, ...], ...]
    place: Literal["work-tree", "isolated"]
    tools: dict[str, str]
    configuration: dict[str, str]
    exit_codes: tuple[int | None, ...]
    started_at_ns: int
    duration_ns: int
    metrics: dict[str, float]
    examined: int
    unit: str
    problems: tuple[str, ...]
    baseline: dict[str, float]
    baseline_v: int
    verdict: Verdict
    reasons: tuple[str, ...]
    report: str | None
    output: str
    profile: str

    @property
    def environment(self) -> str:
        """What besides tree and definition a result depends on: outcomes are compared within one."""
        return " ".join(f"{name}={version}" for name, version in sorted(self.tools.items()))


class TicketOpened(Event, frozen=True, kw_only=True, tag="ticket.opened/1"):
    """A soft gate failed at version ``measured_v``; the gate has no other open ticket."""

    gate: str
    measured_v: int


class TicketClosed(Event, frozen=True, kw_only=True, tag="ticket.closed/1"):
    """The gate of the ticket opened at ``ticket_v`` passed at ``measured_v``, on the state of ``fixed_v``."""

    gate: str
    ticket_v: int
    measured_v: int
    fixed_v: int
