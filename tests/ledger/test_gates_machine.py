"""Generated runs with gates of any outcome, rollbacks, rebases and kills: fold, SQL and a naive model agree."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

sys.path.insert(0, str(Path(__file__).parent))
import gatebook
from book import Book, File, assert_state, damage, recorded_trees
from gatebook import Configuration, GateRule, Model, edited, files_of

from ledger.api import Ledger
from ledger.errors import ChecksFailed, HeadMoved, NotFinal, NothingToCommit, OnlyCandidate, RebaseStopped
from ledger.events import AnyEvent, GateMeasured, PatchApplied, PatchRolledBack, RunRebased
from ledger.history import History
from ledger.operations.gating import GateOptions
from ledger.operations.verdicts import Gated
from ledger.projections.refs import RunRef
from ledger.state import tree_oid
from ledger.store.local import LocalStore
from patches.errors import PatchError
from patches.gitindex import IndexFile
from patches.globs import escape_glob
from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_SYMLINK, Entry
from patches.publication import Publication
from patches.worktree import WorkTree

# ── what is drawn ────────────────────────────────────────────────────────────────────────────────

PATHS = [b"a", b"b.txt", b"d", b"d/x", b"d/y.txt", b"caf\xe9"]
GATES = ["a", "b", "c"]
texts = st.dictionaries(st.integers(0, 11), st.sampled_from(["one", "two", ""]), max_size=3).map(
    lambda changes: "\n".join(gatebook.lines_of("line", changes)).encode() + b"\n"
)
entries = st.one_of(
    st.builds(File, texts, st.sampled_from([MODE_FILE, MODE_FILE, MODE_EXECUTABLE])),
    st.builds(File, st.sampled_from([b"a", b"../out"]), st.just(MODE_SYMLINK)),
)
edits = st.dictionaries(
    st.sampled_from(PATHS), st.one_of(entries, entries, st.none()), min_size=1, max_size=3
)
rules = st.builds(
    GateRule,
    st.sampled_from(["strict", "strict", "soft", "off"]),
    st.sampled_from(["1", "1", "2"]),
    st.sampled_from([0, 0, 0, 1]),
    st.booleans(),
)
profiles = st.fixed_dictionaries(dict.fromkeys(GATES, rules))
configurations = st.builds(
    lambda dev, release, profile: Configuration({"dev": dev, "release": release}, profile),
    profiles,
    profiles,
    st.sampled_from(["dev", "release", "release"]),
)
exit_codes = st.lists(st.sampled_from([0, 0, 0, 0, 1, 1, 126]), min_size=3, max_size=3)
outcomes = st.fixed_dictionaries(dict.fromkeys(GATES, exit_codes))
names = st.one_of(
    st.just(()), st.lists(st.sampled_from(GATES), min_size=1, unique=True).map(sorted).map(tuple)
)
STEPS: list[tuple[type, str]] = [
    (LocalStore, "append"), (WorkTree, "stage"), (WorkTree, "publish"), (Publication, "_place"),
    (Publication, "_remove"), (IndexFile, "replace"), (RunRef, "project"), (RunRef, "_publish"),
]  # fmt: skip
kills = st.one_of(
    st.none(), st.none(), st.tuples(st.sampled_from(STEPS), st.sampled_from([1, 1, 2, 3]), st.booleans())
)
Kill = tuple[tuple[type, str], int, bool] | None


# ── the machine ──────────────────────────────────────────────────────────────────────────────────


class Gates(RuleBasedStateMachine):
    """One repository with a run open; ``model`` is what must have become of it."""

    def __init__(self) -> None:
        super().__init__()
        self.scratch = Path(tempfile.mkdtemp(prefix="gates-"))
        self.patches: dict[int, bytes] = {}
        self.checks: list[tuple[int, str, bytes]] = []
        self.accepted_at: dict[str, dict[int, str]] = {}
        self.serial = self.steps = 0
        self.ref_may_lag = False
        gatebook.STEER.reset()

    @initialize(base=edits, configuration=configurations)
    def begin(self, base: dict[bytes, File | None], configuration: Configuration) -> None:
        self.book = Book(self.scratch / "repo", edited({b"a": File(b"a\n")}, base))
        exclude = self.book.root / ".git/info/exclude"
        exclude.parent.mkdir(exist_ok=True)
        exclude.write_text("/ledger.toml\n", "utf-8")
        self._configure(configuration)
        self.ledger = Ledger.open(self.book.root)
        self._start()

    def _configure(self, configuration: Configuration) -> None:
        self.configuration = configuration
        (self.book.root / "ledger.toml").write_text(configuration.toml(), "utf-8")

    def _start(self) -> None:
        """Start a run on HEAD, and record there what the work tree has."""
        self.name = self.ledger.run("machine").name
        self.model = Model(self.book.line("rev-parse", "HEAD^{tree}"), self.configuration)
        self.patches, self.checks = {}, []
        self.accepted_at[self.name] = {}
        recorded = self.ledger.record()
        if not recorded.already:
            self._take(recorded.event, recorded.tree, by_hand=True)

    def teardown(self) -> None:
        with contextlib.suppress(AttributeError):
            self.ledger.finish(abandon=True)
            for run in self.accepted_at:
                self._assert_every_version(run)
            assert damage(self.ledger) == []
            self.ledger.close()
        shutil.rmtree(self.scratch)

    def _assert_every_version(self, run: str) -> None:
        """Each candidate by fold, replay and SQL; each accepted state by fold and model, by SQL where it changes."""
        events = list(self.ledger.events(run))
        trees = recorded_trees(self.ledger, run)
        accepted = {v: History.of(events, v).accepted.tree for v in trees}
        for v, tree in trees.items():
            if tree != trees.get(v - 1):
                assert_state(self.ledger, self.book, run, v, tree)
            assert self.accepted_at[run].get(v, accepted[v]) == accepted[v]
            if accepted[v] != accepted.get(v + 1) or accepted[v] != accepted.get(v - 1):
                self._assert_accepted_in_sql(run, v, accepted[v])

    def _assert_accepted_in_sql(self, run: str, v: int, tree: str) -> None:
        query = "select mode, oid, path_bytes from accepted_at($run, $v)"
        rows = self.ledger.sql(query, {"run": run, "v": v}).fetchall()
        listed = {path: Entry(int(mode, 8), bytes.fromhex(oid)) for mode, oid, path in rows}
        assert tree_oid(listed).hex() == tree

    # What every rule uses

    @property
    def tree(self) -> str:
        return self.model.candidate.tree

    @property
    def files(self) -> dict[bytes, File]:
        return files_of(self.book, self.tree)

    def _version(self) -> int:
        return next(head.v for head in self.ledger.runs() if head.run == self.name)

    def _event(self, v: int) -> AnyEvent:
        return self.ledger.event(f"{self.name}:{v}")

    def _take(self, reference: str, tree: str, *, by_hand: bool = False) -> None:
        """Take a new state in."""
        v = int(reference.rpartition(":")[2])
        event = self._event(v)
        assert isinstance(event, PatchApplied)
        self.patches[v] = self.ledger.body(event.patch)
        self.model.line.append(gatebook.At(v, tree, by_hand))

    def _do(self, work: Callable[[Ledger], Any], kill: Kill) -> tuple[Any, list[AnyEvent]]:
        """Do something, or let a process that does it die; return its result (None then) and its events."""
        before = self._version()
        if kill is None:
            result = work(self.ledger)
            return result, list(self.ledger._workspace.run_events(self.name, before))
        step, nth, after = kill
        self.ledger.close()

        def dying() -> None:
            with Ledger.open(self.book.root) as ledger:
                gatebook.die_at(step, nth, after=after)
                work(ledger)

        assert gatebook.in_a_fork(dying) in (0, 9)
        self.ledger = Ledger.open(self.book.root)
        self.ref_may_lag = True
        done = list(self.ledger._workspace.run_events(self.name, before))
        # The next writing command finishes what is recorded.
        self.ledger.enter_phase("P2")
        self.model.phase = "P2"
        return None, done

    def _change(self, work: Callable[[Ledger], Any], tree: str, kill: Kill, *, by_hand: bool = False) -> None:
        """Do something that makes a new state, wholly or not at all."""
        result, events = self._do(work, kill)
        made = [event for event in events if isinstance(event, PatchApplied)]
        assert len(made) == 1 or (kill is not None and not made)
        assert result is None or (result.left_alone == () and not result.already)
        for event in made:
            assert event.result_tree == tree
            self._take(event.reference, tree, by_hand=by_hand)

    # Patches

    @rule(edit=edits, kill=kills)
    def apply(self, edit: dict[bytes, File | None], kill: Kill) -> None:
        after = self.book.write_tree(edited(self.files, edit))
        patch = gatebook.plain_diff(self.book, self.tree, after)
        if patch:
            self._change(lambda ledger: ledger.apply(patch), after, kill)

    @rule(which=st.integers(0, 30))
    @precondition(lambda self: self.patches)
    def apply_again(self, which: int) -> None:
        """Any earlier patch, also one that was rolled back or refused: as Git would, or not at all."""
        v = sorted(self.patches)[which % len(self.patches)]
        after = gatebook.git_apply(self.book, self.tree, self.patches[v])
        if self._renames(v, after):
            return
        before = self._version()
        if after is None and not gatebook.has_already(self.book, self.tree, self.patches[v]):
            with pytest.raises(PatchError):
                self.ledger.apply_again(f"{self.name}:{v}")
            # The refusal, and its question.
            self.patches[before + 1] = self.patches[v]
            assert self._version() == before + 2
            return
        applied = self.ledger.apply_again(f"{self.name}:{v}")
        assert applied.already == (after is None or after == self.tree)
        if not applied.already:
            assert applied.tree == after
            self._take(applied.event, applied.tree)

    def _renames(self, v: int, after: str | None) -> bool:
        """Tell whether Git may refuse a patch that is right: it does not move ``d`` to ``d/x``."""
        return after is None and b"\nrename from " in self.patches[v]

    @rule(edit=edits)
    def edit_and_record(self, edit: dict[bytes, File | None]) -> None:
        before, after = self.files, edited(self.files, edit)
        for path in before.keys() - after.keys():
            self.book.put(path, None)
        for path, file in after.items():
            if before.get(path) != file:
                self.book.put(path, file)
        tree = self.book.write_tree(after)
        if tree != self.tree:
            self._change(lambda ledger: ledger.record(), tree, None, by_hand=True)

    @rule(which=st.integers(0, 9), holds=st.booleans(), kill=kills)
    @precondition(lambda self: self.files)
    def move(self, which: int, holds: bool, kill: Kill) -> None:
        self.serial += 1
        files = self.files
        source = sorted(files)[which % len(files)]
        target = b"moved-%d" % self.serial
        after = dict(files)
        after[target] = after.pop(source)
        wanted, unwanted = [escape_glob(target) if holds else "nowhere"], ["never"]
        if not holds:
            with pytest.raises(ChecksFailed):
                self.ledger.move([source], target, must_exist=wanted, must_not_exist=unwanted)
            return
        count = len(self.model.line)
        self._change(
            lambda ledger: ledger.move([source], target, must_exist=wanted, must_not_exist=unwanted),
            self.book.write_tree(after),
            kill,
        )
        if len(self.model.line) > count:
            self.checks.append((self.model.candidate.v, "must-exist", target))
            # As Git does, a move leaves the directory that it emptied: somebody tidies up.
            for parent in Path(os.fsdecode(source)).parents[:-1]:
                if not os.listdir(self.book.root / parent):
                    (self.book.root / parent).rmdir()

    # Gates and policies

    @rule(
        names=names,
        codes=outcomes,
        again=st.sampled_from([0, 0, 0, 1, 2]),
        profile=st.sampled_from(["", "", "", "dev", "release"]),
        isolated=st.sampled_from([False, False, False, True]),
        with_drift=st.booleans(),
    )
    def gate(
        self,
        names: tuple[str, ...],
        codes: dict[str, list[int]],
        again: int,
        profile: str,
        isolated: bool,
        with_drift: bool,
    ) -> None:
        gatebook.STEER.codes = {name: list(each) for name, each in codes.items()}
        options = GateOptions(
            names=names, again=again, profile=profile, with_drift=with_drift, isolated=isolated
        )
        gated = self.ledger.gate(options)
        if profile:
            self.model.set_policy(self.model.recorded, profile)
        self._follow_round(gated, names, codes, again, with_drift=with_drift)

    def _follow_round(
        self,
        gated: Gated,
        names: tuple[str, ...],
        codes: Mapping[str, list[int]],
        again: int,
        *,
        with_drift: bool,
    ) -> None:
        """Let the model take a round in, and compare what it says of it."""
        assert gated.tree == self.tree
        verdicts = self.model.round(names, codes, gatebook.STEER.tools, again)
        assert {result.gate: result.verdict for result in gated.results} == verdicts
        assert gated.accepted == (self.tree in self.model.accepted_trees)
        back = self.model.rolls_back(verdicts, with_drift=with_drift)
        assert (gated.rolled_back is not None) == back
        if back:
            assert gated.rolled_back is not None
            assert gated.rolled_back.left_alone == ()
            self.model.roll_back()
        elif gated.rejected:
            assert gated.kept

    @rule(codes=outcomes, kill=kills.filter(bool), with_drift=st.booleans())
    def gate_killed(self, codes: dict[str, list[int]], kill: Kill, with_drift: bool) -> None:
        """Whatever was recorded counts, and nothing else."""
        gatebook.STEER.codes = {name: list(each) for name, each in codes.items()}
        options = GateOptions(with_drift=with_drift)
        _, events = self._do(lambda ledger: ledger.gate(options), kill)
        for event in events:
            if isinstance(event, GateMeasured):
                command = self.model.rules[event.gate].command
                self.model.measure(
                    event.gate, gatebook.Outcome(command, gatebook.STEER.tools, event.exit_codes[0] or 0)
                )
            elif isinstance(event, PatchRolledBack):
                assert event.to_v == self.model.accepted.v
                assert self.model.candidate.tree not in self.model.accepted_trees
                self.model.roll_back()
        # What was recorded before may have opened or closed tickets: those events say which.
        self.model.tickets = set(self.ledger.history().tickets) if events else self.model.tickets

    @rule(codes=outcomes, with_drift=st.booleans())
    @precondition(lambda self: len(self.model.suffix) > 1)
    def gate_each(self, codes: dict[str, list[int]], with_drift: bool) -> None:
        """Each patch past the accepted state is taken again and measured on what survives."""
        if any(at.by_hand for at in self.model.suffix) and not with_drift:
            return
        wanted = [at.v for at in self.model.suffix]
        self.model.roll_back()
        gatebook.STEER.codes = {name: list(each) * len(wanted) for name, each in codes.items()}
        left = {name: list(each) for name, each in gatebook.STEER.codes.items()}
        trials = self.ledger.gate_each(GateOptions(with_drift=with_drift))
        assert [trial.of for trial in trials] == [f"{self.name}:{v}" for v in wanted]
        for v, trial in zip(wanted, trials, strict=True):
            after = gatebook.git_apply(self.book, self.tree, self.patches[v])
            if trial.refused:
                assert after is None
                continue
            assert trial.applied is not None
            assert trial.gated is not None
            if not trial.applied.already:
                assert trial.applied.tree == after or self._renames(v, after)
                self._take(trial.applied.event, trial.applied.tree)
            used = {name: len(each) for name, each in left.items()}
            counts = self._measured_by(trial.gated)
            self._follow_round(trial.gated, (), left, 0, with_drift=with_drift)
            left = {name: left[name][counts.get(name, 0) :] for name in used}
        for v in range(min(wanted), self._version() + 1):
            event = self._event(v)
            if event.kind == "patch.refused/1":
                self.patches[v] = self.ledger.body(event.patch)  # type: ignore[union-attr]

    def _measured_by(self, gated: Gated) -> dict[str, int]:
        return {result.gate: 1 for result in gated.results if result.event and not result.recorded}

    @rule(configuration=configurations, keep=st.booleans())
    def accept_policy(self, configuration: Configuration, keep: bool) -> None:
        """What the file says counts once it is accepted, and not before."""
        self._configure(configuration)
        profile = "" if keep else configuration.profile
        set_ = self.ledger.accept_policy(profile=profile, reason="because")
        changed = (configuration.profiles, profile or self.model.profile) != (
            self.model.recorded, self.model.profile,
        )  # fmt: skip
        assert (set_ is not None) == changed
        self.model.set_policy(configuration.profiles, profile or self.model.profile)

    @rule(tools=st.sampled_from(["1", "2"]))
    def upgrade_the_tools(self, tools: str) -> None:
        gatebook.STEER.tools = tools

    @rule(phase=st.sampled_from(["P1", "P3", "P6", "P6"]))
    def enter_phase(self, phase: str) -> None:
        self.ledger.enter_phase(phase)
        self.model.phase = phase

    # HEAD

    @rule(candidate=st.booleans())
    def commit(self, candidate: bool) -> None:
        state = self.model.candidate if candidate else self.model.accepted
        head = self.book.line("rev-parse", "HEAD^{tree}")
        if state.tree == head:
            with pytest.raises((NothingToCommit, OnlyCandidate)):
                self.ledger.commit("again", candidate=candidate)
            return
        with identity():
            committed = self.ledger.commit("a state", candidate=candidate)
        assert self.book.line("rev-parse", "HEAD") == committed.commit
        assert self.book.line("rev-parse", "HEAD^{tree}") == state.tree
        assert committed.ahead == len([at for at in self.model.line if at.v > state.v])
        self.model.commits.append((committed.commit, state.v))

    @rule(
        edit=edits,
        start=st.integers(0, 3),
        how=st.sampled_from(["--soft", "--hard", "--mixed"]),
        kill=kills,
        ends=st.sampled_from([False, False, False, True]),
    )
    def head_moves(
        self, edit: dict[bytes, File | None], start: int, how: str, kill: Kill, ends: bool
    ) -> None:
        """HEAD goes to a commit that the run does not explain: the run goes on from there, or ends."""
        self.serial += 1
        at = self.model.line[start % len(self.model.line)]
        upstream = edited(files_of(self.book, at.tree), {**edit, b"up": File(b"%d\n" % self.serial)})
        tree = self.book.write_tree(upstream)
        commit = self.book.line("commit-tree", "-p", "HEAD", "-m", "upstream", tree)
        self.book.git("reset", "--quiet", how, commit)
        version = self._version()
        with pytest.raises(HeadMoved):
            self.ledger.enter_phase("P1")
        with pytest.raises(HeadMoved):
            self.ledger.gate()
        assert self._version() == version
        if ends:
            # The index may be as somebody reset it: nobody asked the ledger to bring it along.
            self.ledger.finish(abandon=True)
            self._start()
            return
        self._rebase(commit, tree, kill)

    def _rebase(self, commit: str, tree: str, kill: Kill) -> None:
        skip: list[int] = []
        plan = gatebook.plan_rebase(self.book, self.model, commit, self.patches, skip)
        while plan.stopped:
            if plan.unknown:
                self.ledger.finish(abandon=True)
                self._start()
                return
            before = (self.book.work_files(), self.book.git("ls-files", "--stage"), self._version())
            with pytest.raises(RebaseStopped) as stopped:
                self.ledger.rebase(skip=skip)
            assert stopped.value.event == f"{self.name}:{plan.stopped}"
            assert before == (
                self.book.work_files(), self.book.git("ls-files", "--stage"), self._version(),
            )  # fmt: skip
            skip.append(plan.stopped)
            plan = gatebook.plan_rebase(self.book, self.model, commit, self.patches, skip)
        rebased, events = self._rebase_or_die(skip, kill)
        made = [event for event in events if isinstance(event, PatchApplied)]
        assert [event.result_tree for event in made] == [each for _, each in plan.survivors]
        if rebased is not None:
            assert rebased.left_alone == ()
            assert rebased.contained == tuple(f"{self.name}:{v}" for v in plan.contained)
        by_hand = {at.v for at in self.model.line if at.by_hand}
        (base,) = [event for event in events if isinstance(event, RunRebased)]
        self.model.line = [gatebook.At(base.v, tree)]
        for (original, _), event in zip(plan.survivors, made, strict=True):
            self._take(event.reference, event.result_tree, by_hand=original in by_hand)

    def _rebase_or_die(self, skip: list[int], kill: Kill) -> tuple[Any, list[AnyEvent]]:
        """Rebase; where that dies before it is recorded, nothing has happened, and it is done again."""
        if kill is not None:
            before = self._version()
            step, nth, after = kill
            self.ledger.close()

            def dying() -> None:
                with Ledger.open(self.book.root) as ledger:
                    gatebook.die_at(step, nth, after=after)
                    ledger.rebase(skip=skip)

            assert gatebook.in_a_fork(dying) in (0, 9)
            self.ledger = Ledger.open(self.book.root)
            self.ref_may_lag = True
            if self._version() > before:
                done = list(self.ledger._workspace.run_events(self.name, before))
                self.ledger.enter_phase("P2")
                self.model.phase = "P2"
                return None, done
        return self._do(lambda ledger: ledger.rebase(skip=skip), None)

    # Runs

    def _is_final(self) -> bool:
        model = self.model
        strict = [name for name, each in model.rules.items() if each.mode == "strict"]
        live = {at.v for at in model.line}
        return (
            bool(strict)
            and self.tree in model.accepted_trees
            and all(model.standing(self.tree, name) == "pass" for name in strict)
            and not model.tickets
            and all(path in self.files for v, _, path in self.checks if v in live)
        )

    @rule()
    def finish(self) -> None:
        if self.model.phase == "P6" and not self._is_final():
            with pytest.raises(NotFinal):
                self.ledger.finish()
            assert any(head.open for head in self.ledger.runs())
            return
        final = self.model.phase == "P6"
        tree = self.tree
        self.ledger.finish()
        last = list(self.ledger.events(self.name))[-1]
        assert (last.final, last.tree) == (final, tree)  # type: ignore[union-attr]
        self._start()

    @rule(what=st.sampled_from(["process", "cache", "refs", "accepted", "staging"]))
    def lose(self, what: str) -> None:
        """Whatever can be made again may go at any time."""
        if what == "refs":
            before = self.book.git("for-each-ref", "refs/ledger")
            for name in self.book.line("for-each-ref", "--format=%(refname)", "refs/ledger").split():
                self.book.git("update-ref", "-d", name)
            self.ledger.enter_phase("P1")
            self.model.phase = "P1"
            kept = [line for line in before.split(b"\n") if f"/{self.name}/".encode() in line]
            after = self.book.git("for-each-ref", f"refs/ledger/{self.name}").splitlines()
            assert after == kept or self.ref_may_lag
        elif what == "accepted":
            self.book.git("update-ref", "-d", f"refs/ledger/{self.name}/accepted")
            self.ref_may_lag = True
        elif what != "process":
            shutil.rmtree(self.ledger.path / what, ignore_errors=True)
        self.ledger.close()
        self.ledger = Ledger.open(self.book.root)

    # What holds after every step

    @invariant()
    def work_tree_and_index_follow(self) -> None:
        if hasattr(self, "model"):
            self.book.assert_followed(self.tree)
            found = self.book.work_files()
            found.pop(b"ledger.toml")
            assert found == self.files

    @invariant()
    def fold_sql_and_model_agree(self) -> None:
        if not hasattr(self, "model"):
            return
        model, v = self.model, self._version()
        history = self.ledger.history(f"{self.name}:{v}")
        assert [(at.v, at.tree) for at in history.live] == [(at.v, at.tree) for at in model.line]
        assert (history.accepted.v, history.accepted.tree) == (model.accepted.v, model.accepted.tree)
        assert history.is_accepted(self.tree) == (self.tree in model.accepted_trees)
        assert set(history.tickets) == model.tickets
        self.accepted_at[self.name][v] = model.accepted.tree
        self.steps += 1
        if self.steps % 4 == 0:  # Asking costs more than doing.
            query = "select candidate_tree, accepted_tree from runs where run = $run"
            assert self._ask(query) == [(self.tree, model.accepted.tree)]
            found = self._ask("select gate from tickets where run = $run and open")
            assert {gate for (gate,) in found} == model.tickets

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        return self.ledger.sql(query, {"run": self.name}).fetchall()


@contextlib.contextmanager
def identity() -> Iterator[None]:
    """Give Git an author and committer for a while."""
    from book import IDENTITY

    before = dict(os.environ)
    os.environ.update(IDENTITY)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.campaign
def test_gates_of_any_outcome_leave_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fold, SQL and a naive model agree on what is live, accepted and open, whatever is done and killed."""
    monkeypatch.setattr("ledger.operations.measuring.run_step", gatebook.STEER.run_step)
    monkeypatch.setattr("ledger.operations.measuring.tool_versions", gatebook.STEER.tool_versions)
    examples = max(8, settings().max_examples // 8)
    # Shrinking a history of real git commands takes minutes; the printed one is short enough.
    run_state_machine_as_test(
        Gates,
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            report_multiple_bugs=False,
        ),
    )
