"""A run's events made one after another, without a tool: what is measured is what the test says.

Trees are small sets of files, and their names are Git's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ledger.events import (
    ApplyOptions,
    CheckFound,
    ChecksVerified,
    ErrorCaptured,
    Event,
    GateMeasured,
    PatchApplied,
    PatchRolledBack,
    PhaseEntered,
    PolicySet,
    QuestionAnswered,
    QuestionRetired,
    RunFinished,
    RunRebased,
    RunStarted,
    TicketClosed,
    TicketOpened,
    body_digest,
)
from ledger.filerecords import FileRecord
from ledger.history import StateAt
from ledger.policies import Policy, Rule, Step
from ledger.run import Identity, identify
from ledger.stamps import Stamp
from ledger.state import tree_oid
from ledger.store.interface import Store
from patches.model import MODE_FILE, Entry
from patches.oids import hash_blob

Files = Mapping[str, str]
"""Path → content."""


def rule(mode: Any = "strict", command: str = "check", **fields: Any) -> Rule:
    """Return a rule whose metric is the number of findings."""
    return Rule(mode=mode, steps=(Step(command=(command,)),), **{"metric": "findings", **fields})


def entries(files: Files) -> dict[bytes, Entry]:
    """Return what Git's tree of ``files`` lists."""
    return {path.encode(): Entry(MODE_FILE, hash_blob(text.encode())) for path, text in files.items()}


def tree(files: Files) -> str:
    """Return the oid of the tree that holds ``files``."""
    return tree_oid(entries(files)).hex()


def listing(files: Files) -> bytes:
    """Return what ``git ls-tree -r -z`` prints of the tree."""
    listed = sorted(entries(files).items())
    return b"".join(b"100644 blob %b\t%b\0" % (entry.oid.hex().encode(), path) for path, entry in listed)


def difference(old: Files, new: Files) -> tuple[FileRecord, ...]:
    """Return the file rows that lead from one tree to another."""
    before, after = entries(old), entries(new)
    records: list[FileRecord] = []
    for path in sorted(before.keys() | after.keys()):
        was, is_ = before.get(path), after.get(path)
        if was != is_:
            record = FileRecord(
                path=path.decode(),
                operation="add" if was is None else "delete" if is_ is None else "modify",
                old_mode=None if was is None else f"{was.mode:06o}",
                old_oid=None if was is None else was.oid.hex(),
                mode=None if is_ is None else f"{is_.mode:06o}",
                oid=None if is_ is None else is_.oid.hex(),
            )
            records.append(record)
    return tuple(records)


class Chronicle:
    """One run; ``files`` is its candidate, ``contents`` what the tree at each version holds."""

    def __init__(self, stamp: Stamp, base: Files, run: str = "port", head: str | None = None) -> None:
        self.stamp, self.run, self.files = stamp, run, base
        self.events: list[Event] = []
        self.bodies = {body_digest(data): data for data in (b"", listing(base))}
        self.contents: dict[int, Files] = {}
        self.live: list[StateAt] = []
        self.add(
            RunStarted(
                **self.identity(),
                title=run,
                work_tree="",
                head=head,
                branch="main",
                base_tree=tree(base),
                listing=body_digest(listing(base)),
            )
        )
        self._now_is(base)

    def identity(self) -> Identity:
        return identify(self.run, self.stamp)

    @property
    def v(self) -> int:
        return len(self.events)

    @property
    def tree(self) -> str:
        return self.live[-1].tree

    def body(self, data: bytes) -> str:
        """Take a body in and return its name."""
        self.bodies[body_digest(data)] = data
        return body_digest(data)

    def add(self, event: Event) -> int:
        """Take an event in and return its version."""
        self.events.append(msgspec.structs.replace(event, v=len(self.events) + 1))
        return self.v

    def _now_is(self, files: Files) -> None:
        self.files = files
        self.contents[self.v] = files
        self.live.append(StateAt(self.v, tree(files)))

    def set_policy(self, profiles: Mapping[str, Policy], profile: str, **fields: Any) -> int:
        return self.add(PolicySet(**self.identity(), profile=profile, profiles=dict(profiles), **fields))

    def patch(self, files: Files, **fields: Any) -> int:
        """Bring the candidate to ``files``."""
        v = self.add(
            PatchApplied(
                **self.identity(),
                **{
                    "cause": "diff",
                    "base_tree": self.tree,
                    "result_tree": tree(files),
                    "patch": body_digest(b""),
                    "patch_size_bytes": 0,
                    "options": ApplyOptions(),
                    "files": difference(self.files, files),
                    **fields,
                },
            )
        )
        self._now_is(files)
        return v

    def roll_back(self, to_v: int, measured: Sequence[int] = ()) -> int:
        """Take away every live state past the one of ``to_v``."""
        files = self.contents[to_v]
        v = self.add(
            PatchRolledBack(
                **self.identity(),
                base_tree=self.tree,
                result_tree=tree(files),
                to_v=to_v,
                patches=tuple(at.v for at in self.live if at.v > to_v),
                files=difference(self.files, files),
                measured=tuple(measured),
            )
        )
        self.live = [at for at in self.live if at.v <= to_v]
        self.files = files
        return v

    def rebase(self, files: Files, head: str = "ab" * 20) -> int:
        """Go on from a new base that holds ``files``."""
        v = self.add(
            RunRebased(
                **self.identity(),
                base_tree=self.tree,
                result_tree=tree(files),
                head=head,
                branch="main",
                listing=self.body(listing(files)),
                files=difference(self.files, files),
                dropped=tuple(at.v for at in self.live[1:]),
            )
        )
        self.live = []
        self._now_is(files)
        return v

    def measure(self, gate: str, rule: Rule, on: str = "", **facts: Any) -> int:
        """Record what a gate found: nothing to complain about in three files, unless ``facts`` say otherwise."""
        found = {
            "tree": on or self.tree,
            "state_v": self.live[-1].v,
            "definition": rule.definition,
            "commands": tuple(step.command for step in rule.steps),
            "place": "work-tree",
            "tools": {"python": "3.13.1", "check": "1.0"},
            "configuration": {},
            "exit_codes": (0,),
            "started_at_ns": self.stamp.clock(),
            "duration_ns": 1_000_000,
            "metrics": {"findings": 0.0},
            "examined": 3,
            "unit": "files",
            "problems": (),
            "baseline": {},
            "baseline_v": 1,
            "verdict": "pass",
            "reasons": (),
            "report": None,
            "output": body_digest(b""),
            "profile": "release",
        }
        return self.add(GateMeasured(**self.identity(), gate=gate, **{**found, **facts}))

    def enter_phase(self, phase: str) -> int:
        return self.add(PhaseEntered(**self.identity(), phase=phase))

    def open_ticket(self, gate: str, measured_v: int) -> int:
        return self.add(TicketOpened(**self.identity(), gate=gate, measured_v=measured_v))

    def close_ticket(self, gate: str, ticket_v: int, measured_v: int) -> int:
        at = self.live[-1].v
        closed = TicketClosed(
            **self.identity(), gate=gate, ticket_v=ticket_v, measured_v=measured_v, fixed_v=at
        )
        return self.add(closed)

    def capture_error(self, step: str, message: str, same_as: int | None = None) -> int:
        said = self.body(message.encode())
        return self.add(ErrorCaptured(**self.identity(), step=step, message=said, same_as=same_as))

    def answer(self, error_v: int, text: str) -> int:
        said = self.body(text.encode())
        return self.add(QuestionAnswered(**self.identity(), error_v=error_v, answer=said))

    def retire(self, error_v: int) -> int:
        return self.add(QuestionRetired(**self.identity(), error_v=error_v))

    def check(self, *checks: CheckFound) -> int:
        outcome = "pass" if all(check.holds for check in checks) else "fail"
        at = self.live[-1]
        verified = ChecksVerified(
            **self.identity(), tree=at.tree, state_v=at.v, checks=checks, outcome=outcome
        )
        return self.add(verified)

    def finish(self, *, final: bool = False) -> int:
        return self.add(RunFinished(**self.identity(), tree=self.tree, final=final))

    def write_to(self, store: Store, run: str = "", until_v: int | None = None) -> None:
        """Append the events up to ``until_v`` to a store, as a run of that name."""
        for data in self.bodies.values():
            store.write_body(data)
        store.append(
            [
                msgspec.structs.replace(event, **identify(run or self.run, self.stamp), v=0)
                for event in self.events[:until_v]
            ],
            1,
        )
