"""The timeline against an editor's two stacks: what can be undone and redone is a function of the events."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from ledger.events import ApplyOptions, PatchApplied, PatchRolledBack, RunRebased, TreeEvent
from ledger.stamps import Actor
from ledger.timeline import Operation, Timeline

States = tuple[str, ...]
SAID = {
    "id": "",
    "run": "port",
    "at_ns": 0,
    "actor": Actor(),
    "base_tree": "",
    "result_tree": "",
    "files": (),
}

actions = st.lists(
    st.one_of(
        st.just(("change", 1)),
        st.just(("change", 1)),
        st.tuples(st.sampled_from(["undo", "undo", "redo", "redo"]), st.integers(1, 3)),
        st.tuples(st.just("gate"), st.integers(1, 3)),
        st.just(("rebase", 1)),
    ),
    max_size=30,
)


class Editor:
    """A run in plain lists. ``states`` are names of patches; two stacks hold what they were before."""

    def __init__(self) -> None:
        self.states: States = ()
        self.undone: list[States] = []
        self.done: list[States] = []

    def change(self, states: States) -> None:
        self.done.append(self.states)
        self.undone = []
        self.states = states

    def undo(self) -> None:
        self.undone.append(self.states)
        self.states = self.done.pop()

    def redo(self) -> None:
        self.done.append(self.states)
        self.states = self.undone.pop()


class Log:
    """The events that a run gets, and its live states: version and patch of each."""

    def __init__(self) -> None:
        self.events: list[TreeEvent] = []
        self.live: list[tuple[int, str]] = []
        self.names: dict[int, str] = {}

    def apply(self, name: str, undoes: int | None = None) -> None:
        v = len(self.events) + 1
        self.events.append(
            PatchApplied(
                **SAID,
                v=v,
                cause="diff",
                patch="",
                patch_size_bytes=0,
                options=ApplyOptions(),
                undoes=UNSET if undoes is None else undoes,
            )
        )
        self.live.append((v, name))
        self.names[v] = name

    def roll_back(self, count: int, undoes: int | None = None) -> None:
        v, gone = len(self.events) + 1, tuple(v for v, _ in self.live[-count:])
        said = UNSET if undoes is None else undoes
        self.events.append(PatchRolledBack(**SAID, v=v, to_v=0, patches=gone, undoes=said))
        del self.live[-count:]

    def invert(self, operation: Operation) -> None:
        """Take an operation back by events, as `ledger.operations.undoing` says it does."""
        if operation.added:
            self.roll_back(operation.added, operation.v)
        for v in operation.removed:
            self.apply(self.names[v], operation.v)

    def rebase(self) -> None:
        v = len(self.events) + 1
        self.events.append(RunRebased(**SAID, v=v, head="", branch=None, listing="", dropped=()))
        self.live = []

    @property
    def timeline(self) -> Timeline:
        return timeline_of(self.events)

    @property
    def states(self) -> States:
        return tuple(name for _, name in self.live)


def timeline_of(events: Sequence[TreeEvent]) -> Timeline:
    timeline = Timeline()
    for event in events:
        timeline.take(event)
    return timeline


@given(actions)
def test_undo_and_redo_are_those_of_an_editor(todo: list[tuple[str, int]]) -> None:
    """Whatever came before: the states after each undo and redo are what the stacks say, and so is what is left."""
    editor, log = Editor(), Log()
    for number, (action, count) in enumerate(todo):
        timeline = log.timeline
        if action == "change":
            editor.change((*editor.states, f"patch {number}"))
            log.apply(f"patch {number}")
        elif action == "gate" and log.live:
            gone = min(count, len(log.live))
            editor.change(editor.states[:-gone])
            log.roll_back(gone)
        elif action == "rebase":
            editor = Editor()
            log.rebase()
        elif action == "undo":
            for operation in timeline.undoable[: -count - 1 : -1]:
                editor.undo()
                log.invert(operation)
        elif action == "redo":
            for operation in timeline.redoable[: -count - 1 : -1]:
                editor.redo()
                log.invert(operation)
        assert log.states == editor.states
        timeline = log.timeline
        assert (len(timeline.undoable), len(timeline.redoable)) == (len(editor.done), len(editor.undone))


@given(actions, st.integers(1, 6))
def test_so_many_undos_and_redos_return_to_the_start(todo: list[tuple[str, int]], count: int) -> None:
    """Undo n times and redo n times: the same states, and the same operations to undo and redo."""
    log = Log()
    for number, (action, _) in enumerate(todo):
        if action == "change":
            log.apply(f"patch {number}")
        elif action == "gate" and log.live:
            log.roll_back(1)
    before, sizes = log.states, len(log.timeline.undoable)
    count = min(count, sizes)
    for _ in range(count):
        log.invert(log.timeline.undoable[-1])
    for _ in range(count):
        log.invert(log.timeline.redoable[-1])
    assert log.states == before
    assert (len(log.timeline.undoable), len(log.timeline.redoable)) == (sizes, 0)


def test_an_event_that_names_nothing_it_takes_back_is_an_operation_of_its_own() -> None:
    """As those of before there was a timeline, and those of `ledger gate`: undoing one brings its patches back."""
    log = Log()
    log.apply("one")
    log.apply("two")
    log.roll_back(2)
    assert log.timeline.undoable[-1] == Operation(3, removed=(1, 2))
    log.invert(log.timeline.undoable[-1])
    assert log.states == ("one", "two")
    assert log.timeline.redoable == [Operation(4, added=2)]
    assert list(log.timeline.redoable[-1].versions) == [4, 5]


def test_an_event_that_names_what_is_not_next_is_an_operation_of_its_own() -> None:
    """A later version, or a strange writer, may take something else back: the fold says what is there."""
    log = Log()
    log.apply("one")
    log.apply("two", undoes=17)
    assert [operation.v for operation in log.timeline.undoable] == [1, 2]
    assert log.timeline.redoable == []
