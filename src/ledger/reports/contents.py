"""Contents: all that a report says of a run, as values that are their own JSON. Its script folds them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

from ledger.errors import DroppedBody
from ledger.events import (
    AnyEvent,
    ErrorCaptured,
    GateMeasured,
    PatchApplied,
    PatchRolledBack,
    PolicySet,
    QuestionAnswered,
    QuestionRetired,
    RunStarted,
    TicketClosed,
    TicketOpened,
    TreeEvent,
    tree_after,
)
from ledger.history import History
from ledger.moments import show_moment
from ledger.redaction import bodies_of
from ledger.reports.changes import (
    NO_OBJECTS,
    OLD,
    Budget,
    Change,
    first_contents,
    hide_redacted,
    keep_within,
    parts_of,
    recorded,
)
from ledger.reports.summaries import summarise
from ledger.repository import Repository
from ledger.secrets.masking import mask
from ledger.state import parse_listing
from patches.diff import DiffFailed, diff_chain
from patches.errors import MissingObject, show_path
from patches.model import MODE_GITLINK, Entry

if TYPE_CHECKING:
    from ledger.store.local import LocalStore

PATCHES = 5000
"""How many patches a report asks Git for: the newest; of the others it has what the events recorded."""

_TEXTS = ("note", "message", "reason", "context", "answer", "waived", "output")
_TEXT_BYTES = 16 << 10
_TREE_DIGITS = 12


class Gate(Struct, omit_defaults=True):
    """A measurement: which tree it is of, what it found, and what the policy then asked."""

    name: str
    verdict: str
    mode: str
    tree: str
    state_v: int
    value: float | None = None
    threshold: float | None = None
    metric: str = ""
    reasons: tuple[str, ...] = ()


class Item(Struct, omit_defaults=True, kw_only=True):
    """One event: what it says, its texts by name, and what it did.

    ``tree`` is the candidate's from here on and ``accepted`` the version of the accepted state; both stand
    where they change, ``to`` where the candidate went back to the state of that version. ``opens`` and
    ``closes`` name tickets (a gate) and questions (``?`` and a version).
    """

    v: int
    at: str
    kind: str
    who: str
    says: str
    texts: dict[str, str] = {}
    phase: str = ""
    tree: str = ""
    accepted: int = 0
    to: int = 0
    changes: tuple[Change, ...] = ()
    gate: Gate | None = None
    opens: str = ""
    closes: str = ""


class Contents(Struct, kw_only=True):
    """A report: its run up to a version, the base's paths with their modes, and contents by path."""

    format: int = 1
    version: str = msgspec.field(default_factory=lambda: version("patch-ledger"))
    run: str
    title: str
    until: int
    base: list[tuple[str, str]]
    events: list[Item]
    contents: dict[str, str]
    missing: dict[str, str]
    left_out: list[str]


class _Source(NamedTuple):
    """Where a report's contents come from."""

    store: LocalStore
    repository: Repository
    events: Sequence[AnyEvent]


def read_contents(
    store: LocalStore, repository: Repository, events: Iterable[AnyEvent], limit_bytes: int
) -> Contents:
    """Return what a report says of a run.

    Args:
        store: The ledger's.
        repository: The repository; what it has no objects of is left out.
        events: The run's events from its first to the one to report at.
        limit_bytes: What patches, contents and texts may have together, unpacked.

    Raises:
        UnknownKind: An event changes the tree in a way that this version does not understand.
        DamagedLedger: A body is missing or damaged.
    """
    source = _Source(store, repository, list(events))
    started = source.events[0]
    assert isinstance(started, RunStarted), "a run begins with its start"
    base = parse_listing(store.read_body(started.listing))
    made = _changes(source)
    budget = Budget(limit_bytes)
    keep_within(budget, list(made.values()))
    contents, missing = first_contents(
        list(made.values()), map(show_path, base), _blob_reader(repository, base), budget
    )
    items = _items(source, made)
    cut = _add_texts(source, items, budget)
    return Contents(
        run=started.run,
        title=started.title,
        until=source.events[-1].v,
        base=sorted((show_path(path), f"{entry.mode:06o}") for path, entry in base.items()),
        events=items,
        contents=contents,
        missing=missing,
        left_out=_left_out(made, missing, cut),
    )


def _changes(source: _Source) -> dict[int, tuple[Change, ...]]:
    """Return what each event after the first did to the files, by version."""
    tree_events = [event for event in source.events if isinstance(event, TreeEvent)]
    made = {
        event.v: recorded(event.files, OLD)
        for event in tree_events[1:-PATCHES]
        if not isinstance(event, RunStarted)
    }
    tree_events = tree_events[-PATCHES - 1 :]
    trees = [bytes.fromhex(str(tree_after(event))) for event in tree_events]
    try:
        patches = diff_chain(source.repository.git.path, trees) if len(trees) > 1 else iter(())
        for event, patch in zip(tree_events[1:], patches, strict=True):
            assert not isinstance(event, RunStarted), "a run begins once"
            made[event.v] = parts_of(patch, event.files)
    except DiffFailed:
        for event in tree_events[1:]:
            if event.v not in made and not isinstance(event, RunStarted):
                made[event.v] = recorded(event.files, NO_OBJECTS)
    gone = {event.v for event in source.events if _is_redacted(source.store, event)}
    hide_redacted([(changes, v in gone) for v, changes in made.items()])
    return made


def _is_redacted(store: LocalStore, event: AnyEvent) -> bool:
    if not isinstance(event, PatchApplied):
        return False
    try:
        store.read_body(event.patch)
    except DroppedBody:
        return True
    return False


def _blob_reader(repository: Repository, base: dict[bytes, Entry]) -> Callable[[str], bytes | None]:
    entries = {show_path(path): entry for path, entry in base.items()}

    def read(path: str) -> bytes | None:
        entry = entries[path]
        if entry.mode == MODE_GITLINK:
            return b"Subproject commit " + entry.oid.hex().encode() + b"\n"
        try:
            return repository.objects.read_blob(entry.oid)
        except MissingObject:
            return None

    return read


def _items(source: _Source, made: dict[int, tuple[Change, ...]]) -> list[Item]:
    history, items = History(), list[Item]()
    accepted, phase = 0, ""
    for event, said in zip(source.events, _sayings(source.events), strict=True):
        history.take(event)
        now = _accepted(event, history, accepted)
        item = Item(
            v=event.v,
            at=show_moment(event.at_ns),
            kind=event.kind.partition("/")[0],
            who=event.actor.name or event.actor.kind,
            says=said,
            phase=history.phase if history.phase != phase else "",
            tree=(tree_after(event) or "")[:_TREE_DIGITS],
            accepted=now if now != accepted else 0,
            to=event.to_v if isinstance(event, PatchRolledBack) else 0,
            changes=made.get(event.v, ()),
            gate=_gate(event, history) if isinstance(event, GateMeasured) else None,
        )
        item.opens, item.closes = _turns(event)
        accepted, phase = now, history.phase
        items.append(item)
    return items


def _sayings(events: Sequence[AnyEvent]) -> list[str]:
    """Return what each event says on one line, without secrets: all at once, which is far quicker."""
    said = [summarise(event).replace("\n", " ") for event in events]
    masked = _masked("\n".join(said)).split("\n")
    return masked if len(masked) == len(said) else [_masked(each) for each in said]


def _accepted(event: AnyEvent, history: History, before: int) -> int:
    """Return the version of the accepted state; looked for only where an event may have changed it."""
    if isinstance(event, PatchApplied):
        return event.v if history.is_accepted(event.result_tree) else before
    return history.accepted.v if isinstance(event, TreeEvent | GateMeasured | PolicySet) else before


def _gate(event: GateMeasured, history: History) -> Gate:
    rule = None if history.policy is None else history.policy.gates.get(event.gate)
    return Gate(
        name=event.gate,
        verdict=event.verdict,
        mode="" if rule is None else rule.mode,
        tree=event.tree[:_TREE_DIGITS],
        state_v=event.state_v,
        value=None if rule is None else event.metrics.get(rule.metric),
        threshold=None if rule is None else rule.threshold,
        metric="" if rule is None else rule.metric,
        reasons=tuple(_masked(reason) for reason in (*event.reasons, *event.problems)),
    )


def _turns(event: AnyEvent) -> tuple[str, str]:
    """Return which ticket or question an event opens, and which it closes."""
    match event:
        case TicketOpened():
            return event.gate, ""
        case TicketClosed():
            return "", event.gate
        case ErrorCaptured() if event.same_as is None:
            return f"?{event.v}", ""
        case QuestionAnswered() | QuestionRetired():
            return "", f"?{event.error_v}"
        case _:
            return "", ""


def _add_texts(source: _Source, items: Sequence[Item], budget: Budget) -> int:
    """Give each event its notes, messages and outputs, the newest first; return how many did not fit."""
    cut = 0
    for event, item in zip(reversed(source.events), reversed(items), strict=True):
        quiet = isinstance(event, GateMeasured) and event.verdict == "pass"
        for name, digest in bodies_of(event).items():
            if name not in _TEXTS or (quiet and name == "output"):
                continue
            text = _text(source.store, digest)
            if not text:
                continue
            if budget.takes(text):
                item.texts = {**item.texts, name: text}
            else:
                cut += 1
    return cut


def _text(store: LocalStore, digest: str) -> str:
    try:
        data = store.read_body(digest)
    except DroppedBody as error:
        return f"redacted by {error.dropped_by}"
    shown = mask(data[-_TEXT_BYTES:]).decode("utf-8", "replace").strip("\n")
    return shown if len(data) <= _TEXT_BYTES else f"… the last {_TEXT_BYTES >> 10} KiB:\n{shown}"


def _masked(text: str) -> str:
    return mask(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _left_out(made: dict[int, tuple[Change, ...]], missing: dict[str, str], cut: int) -> list[str]:
    """Return what is not in the report and why, in words."""
    whys = Counter(change.why for change in chain.from_iterable(made.values()) if change.why)
    said = [f"{_count(number, 'patch of a file', 'patches of files')}: {why}" for why, number in whys.items()]
    said += [
        f"{_count(number, 'content of a file', 'contents of files')}: {why}"
        for why, number in Counter(missing.values()).items()
    ]
    if cut:
        said.append(
            f"{_count(cut, 'note or output', 'notes and outputs')}: over the limit of the whole report"
        )
    return said


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
