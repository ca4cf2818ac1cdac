"""What a run comes to in MLflow: pure, from its events to points, files, tags, params and a status.

A measurement of a gate is a point of each of its numbers, at the step of its version. What may change in the
course of a run is a tag, what its first events say for good a param. Patches are files, byte for byte.

See: ``docs/mlflow.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from codex_ml.tracking.mirror import BATCH_METRICS, Chunk, Face, Point, Source, Status, metric_key
from ledger.events import (
    AnyEvent,
    GateMeasured,
    PatchApplied,
    PhaseEntered,
    PolicySet,
    RunFinished,
    RunStarted,
)
from ledger.history import History
from ledger.measurements import Verdict
from ledger.policies import Rule

IDENTITY_TAG = "ledger.run_id"
CURSOR_TAG = "ledger.cursor"
LEFT_OUT_TAG = "ledger.left_out"

PATCH_LIMIT_BYTES = 10 << 20
"""A larger patch stays in the ledger alone."""

_CHUNK_FILES, _CHUNK_BYTES = 100, 16 << 20
_VERDICTS: Mapping[Verdict, float] = {"pass": 1.0, "fail": 0.0, "inconclusive": -1.0}
_NS_PER_MS, _NS_PER_S = 1_000_000, 1e9
_NONE = "none"
_NOTE_SIZE, _NOTES = 300, 50


class Story(NamedTuple):
    """All events of one run, from its first, and the digest of the last."""

    events: Sequence[AnyEvent]
    digest: str

    @property
    def started(self) -> RunStarted:
        """The first event."""
        first = self.events[0]
        assert isinstance(first, RunStarted), "a run begins with its start"
        return first

    @property
    def v(self) -> int:
        """The version of the last event."""
        return self.events[-1].v

    def digest_at(self, v: int) -> str:
        """Return the digest of one event, "" where the run has no such version."""
        if v == self.v:
            return self.digest
        # Each event names the one before it; versions count from 1.
        return self.events[v].prev if 0 < v < self.v else ""


def source_of(story: Story) -> Source:
    """Return what finds the run again in MLflow: its first event's id, the same in every copy of it."""
    started = story.started
    return Source(IDENTITY_TAG, started.id, started.run, started.at_ns // _NS_PER_MS)


def cursor_at(story: Story, v: int) -> str:
    """Return the cursor behind version ``v``."""
    return f"{v} {story.digest_at(v)}"


def version_of(cursor: str) -> int:
    """Return the version that a cursor stands behind, 0 at the beginning and where it is none."""
    word = cursor.partition(" ")[0]
    return int(word) if word.isascii() and word.isdigit() else 0


def file_name(v: int) -> str:
    """Return the artifact of the patch of one version."""
    return f"patches/{v:04d}.diff"


def chunks_after(
    story: Story, v: int, left_out: Mapping[int, str], read: Callable[[str], bytes]
) -> Iterator[Chunk]:
    """Yield what the events past version ``v`` come to, in order; the last chunk's cursor is the run's end.

    Args:
        story: The run.
        v: How far MLflow has come, 0: nowhere.
        left_out: The patches that are not sent, each with why: their files say that instead.
        read: Gives a body.
    """
    points: list[Point] = []
    files: dict[str, bytes] = {}
    size = 0
    for event in story.events[v:]:
        of_event = points_of(event)
        if points and len(points) + len(of_event) > BATCH_METRICS:
            yield Chunk(cursor_at(story, event.v - 1), tuple(points), files)
            points, files, size = [], {}, 0
        points += of_event
        if isinstance(event, PatchApplied):
            absent = event.v in left_out
            data = _absence(event, left_out[event.v]) if absent else read(event.patch)
            files[file_name(event.v)] = data
            size += len(data)
        if len(files) >= _CHUNK_FILES or size >= _CHUNK_BYTES:
            yield Chunk(cursor_at(story, event.v), tuple(points), files)
            points, files, size, v = [], {}, 0, event.v
    if story.v > v:
        yield Chunk(cursor_at(story, story.v), tuple(points), files)


def points_of(event: AnyEvent) -> list[Point]:
    """Return the points of a measurement: its metrics, what was examined, how long it took, its verdict."""
    if not isinstance(event, GateMeasured):
        return []
    numbers = {
        **event.metrics,
        "verdict": _VERDICTS[event.verdict],
        "examined": float(event.examined),
        "duration_s": event.duration_ns / _NS_PER_S,
    }
    at_ms = event.at_ns // _NS_PER_MS
    return [Point(metric_key(event.gate, name), value, event.v, at_ms) for name, value in numbers.items()]


def patches_left_out(events: Sequence[AnyEvent], dropped: Collection[str]) -> dict[int, str]:
    """Return the patches that are not sent, by version, each with why.

    Args:
        events: All of the run's.
        dropped: The digests of bodies that somebody dropped.
    """
    found: dict[int, str] = {}
    for event in events:
        if not isinstance(event, PatchApplied):
            continue
        if event.patch in dropped:
            found[event.v] = "it was dropped"
        elif event.secrets:
            found[event.v] = "it adds what looks like a secret"
        elif event.patch_size_bytes > PATCH_LIMIT_BYTES:
            found[event.v] = f"it is larger than {PATCH_LIMIT_BYTES >> 20} MiB"
    return found


def taken_back(story: Story, shown: str, until_v: int, left_out: Mapping[int, str]) -> dict[str, bytes]:
    """Return what takes the place of files that were sent before their patches were left out.

    Args:
        story: The run.
        shown: What MLflow says was left out.
        until_v: How far MLflow has come.
        left_out: What is left out now.
    """
    known = {part.partition(" ")[0] for part in shown.split("; ")}
    return {
        file_name(v): _absence(story.events[v - 1], why)
        for v, why in left_out.items()
        if v <= until_v and f":{v}" not in known
    }


def _absence(event: AnyEvent, why: str) -> bytes:
    return f"The patch of {event.reference} is not here: {why}.\n".encode()


def face_of(story: Story, left_out: Mapping[int, str], notes: Sequence[str], tags: Mapping[str, str]) -> Face:
    """Return what a run shows in MLflow as its events are now.

    Args:
        story: The run.
        left_out: The patches that are not sent, each with why.
        notes: The notes of the run, for its description.
        tags: Those of the configuration.

    Raises:
        UnknownKind: An event changes the tree in a way that this version does not understand.
    """
    history = History.of(story.events)
    ended = next((event for event in story.events if isinstance(event, RunFinished)), None)
    return Face(
        {**tags, **_tags(story, history, left_out, notes)},
        _params(story),
        _status(history, ended),
        None if ended is None else ended.at_ns // _NS_PER_MS,
    )


def _params(story: Story) -> dict[str, str]:
    """Return what the run began with: facts that no later event changes."""
    started = story.started
    first = next((event for event in story.events if isinstance(event, PolicySet)), None)
    said = {
        "title": started.title,
        "base_tree": started.base_tree,
        "head": started.head,
        "branch": started.branch,
        "profile": "" if first is None else first.profile,
    }
    rules = {} if first is None else first.policy.gates
    said |= {metric_key("gate", name): describe_rule(rule) for name, rule in rules.items()}
    # MLflow's stores differ in what becomes of an empty value.
    return {key: value for key, value in said.items() if value}


def _tags(
    story: Story, history: History, left_out: Mapping[int, str], notes: Sequence[str]
) -> dict[str, str]:
    started, policy = story.started, history.policy
    gates = {} if policy is None else policy.gates
    phases = [f"{event.phase} at :{event.v}" for event in story.events if isinstance(event, PhaseEntered)]
    accepted = history.accepted
    commits = [started.head or "", *(commit for commit, _ in history.commits)]
    said = {
        "ledger.run": started.run,
        "ledger.events": str(story.v),
        "ledger.phase": history.phase,
        "ledger.phases": ", ".join(phases),
        "ledger.profile": history.policy_set.profile if history.policy_set else "",
        "ledger.policy": "; ".join(f"{name}: {describe_rule(rule)}" for name, rule in gates.items()),
        "ledger.weakened": "; ".join(f"{each.event} {each.what}" for each in history.weakened),
        "ledger.candidate": f"{history.candidate.tree} at :{history.candidate.v}",
        "ledger.accepted": f"{accepted.tree} at :{accepted.v}" if history.is_accepted(accepted.tree) else "",
        "ledger.patches": str(len(history.patches)),
        "ledger.tickets": ", ".join(sorted(history.tickets)),
        "ledger.questions": str(len(history.questions)),
        LEFT_OUT_TAG: "; ".join(f":{v} {why}" for v, why in left_out.items()),
    }
    shown = {
        "mlflow.user": started.actor.name or started.actor.kind,
        "mlflow.source.name": "ledger",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.branch": started.branch,
        "mlflow.source.git.commit": commits[-1],
        "mlflow.note.content": _description(started.title, notes),
    }
    # A tag of ours that has come to say nothing has to say so: what was said before would stay. MLflow's own
    # never come to that.
    return {
        **{key: value or _NONE for key, value in said.items()},
        **{key: value for key, value in shown.items() if value},
    }


def describe_rule(rule: Rule) -> str:
    """Return a gate's rule in a few words."""
    if rule.mode == "off":
        return f"off ({rule.reason})" if rule.reason else "off"
    return f"{rule.mode}, {rule.metric} {'≤' if rule.better == 'lower' else '≥'} {rule.threshold:g}"


def _description(title: str, notes: Sequence[str]) -> str:
    shown = [f"- {_shorten(note)}" for note in notes[:_NOTES]]
    if len(notes) > _NOTES:
        shown.append(f"- and {len(notes) - _NOTES} more notes in the ledger")
    return "\n".join([title, "", *shown] if shown else [title])


def _shorten(note: str) -> str:
    line = " ".join(note.split())
    return line if len(line) <= _NOTE_SIZE else f"{line[:_NOTE_SIZE]} …"


def _status(history: History, ended: RunFinished | None) -> Status:
    """Return how a run stands: failed where it ended, not final, on a tree on which a gate fails."""
    if ended is None:
        return "RUNNING"
    gates = {} if history.policy is None else history.policy.gates
    fails = any(
        history.standing(ended.tree, name, rule) == "fail"
        for name, rule in gates.items()
        if rule.mode != "off"
    )
    return "FAILED" if fails and not ended.final else "FINISHED"
