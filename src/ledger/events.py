"""The events: what happened, as values that are their own wire form.

An event knows neither its position in a log nor any other frame, so it can be copied to
another ledger and stay the same event. Object ids are 40 hexadecimal digits, modes are Git's
six octal digits, times are nanoseconds since 1970 UTC. Paths are strings, or ``{"b64": …}``
where their bytes are not UTF-8. Free text (patches, notes, error messages) is never in an
event: it is a body, named by its SHA-256.

See: ``docs/format.md``, "Events".
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Literal, TypeAlias, get_args

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ledger.applyflags import NO_FLAGS, ApplyFlags
from ledger.filerecords import FileRecord, WirePath
from ledger.measurements import Verdict
from ledger.policies import Policy
from ledger.stamps import Actor
from ledger.upcasts import Fields, upcast

NO_DIGEST = "0" * 64
"""``prev`` of a run's first event."""

LEDGER_RUN = "ledger"
"""The run of everything that concerns no run."""

RUN_NAME = re.compile(r"[a-z](?:[a-z0-9]|[.-](?=[a-z0-9])){0,63}")

Cause: TypeAlias = Literal["diff", "drift", "mv", "restore", "undo", "rebase"]
"""Why a tree changed."""


class Event(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What every event says: identity, place in its run, time, and who claims it.

    ``v`` counts from 1 within the run and ``prev`` is the digest of the run's event before;
    both are stamped by the store under its lock (0 and "" until then). ``request`` is there where the
    writer gave the id: the digest of what was asked for, so that a retry can be told from another request.
    """

    id: str
    run: str
    v: int = 0
    prev: str = ""
    at_ns: int
    actor: Actor
    request: str | UnsetType = UNSET

    @property
    def kind(self) -> str:
        """The kind with its version, as in ``patch.applied/1``."""
        return str(self.__struct_config__.tag)

    @property
    def reference(self) -> str:
        """The canonical reference, ``<run>:<v>``."""
        return f"{self.run}:{self.v}"


class RunStarted(Event, frozen=True, kw_only=True, tag="run.started/1"):
    """A run began on ``base_tree``, HEAD's tree at that moment.

    ``listing`` is the body that names every file of the base (``git ls-tree -r -z``), so that
    the log alone rebuilds any state. ``work_tree`` is Git's name of the linked work tree, ""
    for the main one.
    """

    title: str
    work_tree: str
    head: str | None
    branch: str | None
    base_tree: str
    listing: str


class RunFinished(Event, frozen=True, kw_only=True, tag="run.finished/1"):
    """A run ended with ``tree`` as its candidate.

    ``final`` says that it was finalized: ``tree`` is accepted, and everything that the policy asks
    for holds on it. ``waived`` is the body that says why something open was passed over.
    """

    tree: str
    final: bool = False
    waived: str | None = None


class ApplyOptions(Struct, frozen=True):
    """Everything besides the bytes and the base that shaped a result.

    ``engine`` and ``strip`` say how the body ``patch`` is replayed; ``flags`` what whoever handed it over
    asked for, which is left out where that was nothing. Replay needs no flags: what they made of the given
    bytes is the patch.
    """

    engine: int = 1
    strip: int = 1
    flags: ApplyFlags | UnsetType = UNSET

    @property
    def replayable(self) -> bool:
        """Whether this version knows how to replay the patch."""
        return (self.engine, self.strip) == (1, 1)

    @property
    def asked(self) -> ApplyFlags:
        """The flags, also where none was given."""
        return NO_FLAGS if isinstance(self.flags, UnsetType) else self.flags


class PatchApplied(Event, frozen=True, kw_only=True, tag="patch.applied/1"):
    """A patch (body ``patch``) brought the candidate from ``base_tree`` to ``result_tree``.

    ``source`` is the file name it came from, "-" for standard input; ``note`` a body. ``of`` is the
    version of the event whose patch this is, taken again; ``configures`` are those of its paths that
    configure the gates themselves. ``secrets`` says what kinds of secrets it adds and where, which somebody
    allowed. ``conflicts`` are those of its paths that a three-way merge left in conflict, with the markers in
    them. ``given`` is the body with the bytes that were handed over where the patch is not those,
    ``normalised`` what was done to them to read them; ``author``, ``date`` and the body ``message`` are
    those of the mail that it came in. Each is left out where there is none.
    """

    cause: Cause
    base_tree: str
    result_tree: str
    patch: str
    patch_size_bytes: int
    options: ApplyOptions
    files: tuple[FileRecord, ...]
    source: str = ""
    note: str | None = None
    of: int | None = None
    configures: tuple[WirePath, ...] = ()
    secrets: tuple[str, ...] | UnsetType = UNSET
    conflicts: tuple[WirePath, ...] | UnsetType = UNSET
    given: str | UnsetType = UNSET
    normalised: tuple[str, ...] | UnsetType = UNSET
    author: str | UnsetType = UNSET
    date: str | UnsetType = UNSET
    message: str | UnsetType = UNSET


class PatchRefused(Event, frozen=True, kw_only=True, tag="patch.refused/1"):
    """A patch did not apply to the candidate ``base_tree``; nothing changed.

    ``error`` is the name of the error class, ``reason`` the body that holds its message. ``given`` and
    ``normalised`` are as in `PatchApplied`.
    """

    base_tree: str
    patch: str
    patch_size_bytes: int
    options: ApplyOptions
    error: str
    reason: str
    source: str = ""
    given: str | UnsetType = UNSET
    normalised: tuple[str, ...] | UnsetType = UNSET


class CommitSeen(Event, frozen=True, kw_only=True, tag="commit.seen/1"):
    """HEAD is at a commit whose tree is the state at version ``state_v`` of the run.

    ``of`` is the version of the patch whose mail gave it its author, date or message.
    """

    commit: str
    tree: str
    state_v: int
    of: int | UnsetType = UNSET


class PhaseEntered(Event, frozen=True, kw_only=True, tag="phase.entered/1"):
    """The run went to a phase (``P1`` … ``P6``); ``note`` is a body."""

    phase: str
    note: str | None = None


class PolicySet(Event, frozen=True, kw_only=True, tag="policy.set/1"):
    """From here on the profile ``profile`` of ``profiles`` decides what is accepted.

    ``source`` names the configuration it came from ("" where there was none: the defaults), and
    ``weakened`` says in words where it asks for less than the policy before; ``reason`` is a body.
    """

    profile: str
    profiles: dict[str, Policy]
    source: str = ""
    weakened: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def policy(self) -> Policy:
        """The profile in force."""
        return self.profiles[self.profile]


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


class ErrorCaptured(Event, frozen=True, kw_only=True, tag="error.captured/1"):
    """Step ``step`` (as in ``3:build``) met an error: a question, open until it is answered or retired.

    ``message`` and ``context`` are bodies. ``same_as`` is the version of the open question that this joins.
    """

    step: str
    message: str
    context: str | None = None
    same_as: int | None = None


class QuestionAnswered(Event, frozen=True, kw_only=True, tag="question.answered/1"):
    """The question of the error at ``error_v`` has an answer, a body."""

    error_v: int
    answer: str


class QuestionRetired(Event, frozen=True, kw_only=True, tag="question.retired/1"):
    """The question of the error at ``error_v`` needs no answer any more; ``reason`` is a body."""

    error_v: int
    reason: str | None = None


class PatchRolledBack(Event, frozen=True, kw_only=True, tag="patch.rolled_back/1"):
    """The states past version ``to_v`` are the candidate's no more; ``patches`` are the versions taken back.

    ``result_tree`` is the tree at ``to_v`` and ``files`` the way there from ``base_tree``. ``measured``
    names the measurements that led to it.
    """

    base_tree: str
    result_tree: str
    to_v: int
    patches: tuple[int, ...]
    files: tuple[FileRecord, ...]
    measured: tuple[int, ...] = ()
    with_drift: bool = False


class CheckFound(Struct, frozen=True, omit_defaults=True):
    """One check of a tree: whether a path that ``glob`` matches must or must not be there, and what is."""

    rule: Literal["must-exist", "must-not-exist"]
    glob: str
    matches: int
    found: tuple[WirePath, ...] = ()
    """The first few that match."""

    @property
    def holds(self) -> bool:
        """Whether the tree is as the check asks."""
        return (self.matches > 0) == (self.rule == "must-exist")


class ChecksVerified(Event, frozen=True, kw_only=True, tag="checks.verified/1"):
    """Checks on ``tree``, the state at ``state_v``; all of them hold where ``outcome`` is pass."""

    tree: str
    state_v: int
    checks: tuple[CheckFound, ...]
    outcome: Literal["pass", "fail"]


class RunRebased(Event, frozen=True, kw_only=True, tag="run.rebased/1"):
    """The run goes on from the tree of commit ``head``, without the states before.

    ``files`` lead from the candidate ``base_tree`` to ``result_tree``, the new base, whose listing
    is a body. What of the run survives follows in the same append, as patches with cause ``rebase``;
    ``dropped`` are versions whose patches the new base has, or that were left out.
    """

    base_tree: str
    result_tree: str
    head: str
    branch: str | None
    listing: str
    files: tuple[FileRecord, ...]
    dropped: tuple[int, ...] = ()


class LedgerRecovered(Event, frozen=True, kw_only=True, tag="ledger.recovered/1"):
    """A torn tail, never acknowledged, was set aside in ``quarantine/`` before ``position``."""

    position: int
    quarantine: str
    size_bytes: int


class RunImported(Event, frozen=True, kw_only=True, tag="run.imported/1"):
    """The events of run ``of`` up to ``last_v`` were copied from another ledger, in this append or before.

    ``digest`` is that of the last one, ``source`` the name of the file. The run's home is elsewhere:
    nobody goes on with it here.
    """

    of: str
    last_v: int
    digest: str
    source: str = ""


class BodyDropped(Event, frozen=True, kw_only=True, tag="body.dropped/1"):
    """The bodies ``bodies`` that event ``of`` (``<run>:<v>``) names were deleted; ``reason`` is a body.

    Every other event that names one of them has lost it too.
    """

    of: str
    bodies: tuple[str, ...]
    reason: str | None = None


class RetiredRun(Struct, frozen=True):
    """A run whose events and bodies retention took: its name, its last version, and that event's digest."""

    run: str
    last_v: int
    digest: str
    finished_at_ns: int


class RetentionApplied(Event, frozen=True, kw_only=True, tag="retention.applied/1"):
    """The finished runs ``runs`` were taken out of the ledger: what ended before ``before_ns``."""

    before_ns: int
    runs: tuple[RetiredRun, ...]


class UnknownEvent(Struct, frozen=True, kw_only=True):
    """An event of a kind that this version does not know: kept, shown, never rewritten."""

    kind: str
    id: str
    run: str
    v: int
    prev: str
    at_ns: int
    actor: Actor
    request: str | UnsetType = UNSET
    result_tree: str | None = None
    """Present where the kind is marked as changing the tree."""

    @property
    def reference(self) -> str:
        """The canonical reference, ``<run>:<v>``."""
        return f"{self.run}:{self.v}"


class _Kind(Struct):
    kind: str


KnownEvent: TypeAlias = (
    RunStarted
    | RunRebased
    | RunFinished
    | PhaseEntered
    | PolicySet
    | PatchApplied
    | PatchRefused
    | PatchRolledBack
    | ChecksVerified
    | GateMeasured
    | TicketOpened
    | TicketClosed
    | ErrorCaptured
    | QuestionAnswered
    | QuestionRetired
    | CommitSeen
    | LedgerRecovered
    | RunImported
    | BodyDropped
    | RetentionApplied
)
AnyEvent: TypeAlias = KnownEvent | UnknownEvent
TreeEvent: TypeAlias = RunStarted | RunRebased | PatchApplied | PatchRolledBack
"""The kinds that change the candidate."""

_known = msgspec.json.Decoder(KnownEvent)
_unknown = msgspec.json.Decoder(UnknownEvent)
_kind = msgspec.json.Decoder(_Kind)
_encoder = msgspec.json.Encoder()
KINDS = frozenset(str(kind.__struct_config__.tag) for kind in get_args(KnownEvent))


def encode_event(event: Event) -> bytes:
    """Return the canonical JSON of an event: the bytes that its digest covers."""
    return _encoder.encode(event)


def parse_event(data: bytes | Raw) -> AnyEvent:
    """Return the event that ``data`` holds, upcast where it is of an old version of its kind.

    An unknown kind gives an `UnknownEvent`, and so does a version later than the one known here.

    Raises:
        msgspec.DecodeError: The bytes are no event.
    """
    try:
        return _known.decode(data)
    except msgspec.ValidationError:
        # Only what is not of a newest version comes here, so upcasting costs the others nothing.
        if _kind.decode(data).kind in KINDS:
            raise
        fields = upcast(msgspec.json.decode(data), KINDS)
        if fields is None:
            return _unknown.decode(data)
        known: KnownEvent = msgspec.convert(fields, KnownEvent)
        return known


def parse_fields(data: bytes | Raw) -> Fields:
    """Return all fields of an event, upcast as `parse_event` does; those of an unknown kind as they are."""
    fields: Fields = msgspec.json.decode(data)
    return (None if fields["kind"] in KINDS else upcast(fields, KINDS)) or fields


def event_digest(data: bytes | Raw) -> str:
    """Return the digest that the run's next event carries as ``prev``."""
    digest = sha256(b"ledger-event/1\n")
    digest.update(data)
    return digest.hexdigest()


def body_digest(data: bytes) -> str:
    """Return the name of a body: its SHA-256 in hexadecimal."""
    return sha256(data).hexdigest()


def tree_after(event: AnyEvent) -> str | None:
    """Return the candidate that an event leaves, None where it leaves the one before."""
    if isinstance(event, RunStarted):
        return event.base_tree
    return event.result_tree if isinstance(event, TreeEvent) else None
