"""What must follow from measurements, in plain lists and dicts: the oracle of the machine over gates.

Nothing of `ledger.history` or `ledger.gates.judge` is used. A run here is a line of states, each with its
files; a measurement is an exit code; a policy is a few words for each gate.
"""

from __future__ import annotations

import gc
import os
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from book import Book, File

from ledger.gates.execution import Execution
from patches.filters import read_blob
from patches.model import MODE_EXECUTABLE

Edit = Mapping[bytes, "File | None"]


def edited(files: Mapping[bytes, File], edit: Edit) -> dict[bytes, File]:
    """Return ``files`` after an edit; a file takes the place of a directory, and the other way round."""
    after = dict(files)
    for path, file in edit.items():
        after.pop(path, None)
        if file is not None:
            for other in list(after):
                if other.startswith(path + b"/") or path.startswith(other + b"/"):
                    del after[other]
            after[path] = file
    return after


def files_of(book: Book, tree: str) -> dict[bytes, File]:
    """Return what a tree holds, read by Git."""
    listed = book.listing(tree)
    return {path: File(read_blob(book.repo, entry.oid), entry.mode) for path, entry in listed.items()}


class GateRule(NamedTuple):
    """A gate's rule: ``command`` is what defines it, ``threshold`` the highest exit code that passes."""

    mode: str
    command: str = "1"
    threshold: int = 0
    allow_flaky: bool = False

    def toml(self, name: str) -> str:
        needs = 'needs = ["a"]\n' if name == "c" else ""
        reason = 'reason = "not wanted"\n' if self.mode == "off" else ""
        return (
            f'mode = "{self.mode}"\n{reason}command = "check {name} {self.command}"\nformat = "exit"\n'
            f"threshold = {self.threshold}\nallow-flaky = {str(self.allow_flaky).lower()}\n{needs}"
        )


Rules = Mapping[str, GateRule]


class Configuration(NamedTuple):
    """What ``ledger.toml`` says: the rules of each profile, and the phases that take patches."""

    profiles: Mapping[str, Rules]
    profile: str = "dev"

    def toml(self) -> str:
        lines = [f'profile = "{self.profile}"']
        lines += [f'[gates.{name}]\nmode = "off"' for name in ("lint", "tests", "cov")]
        for profile, rules in self.profiles.items():
            lines += [f"[profiles.{profile}.gates.{name}]\n{rule.toml(name)}" for name, rule in rules.items()]
        return "\n".join(lines) + "\n"


class Outcome(NamedTuple):
    """One measurement: how the gate was defined, with which tools it ran, and its exit code."""

    command: str
    tools: str
    exit_code: int

    def verdict(self, rule: GateRule) -> str:
        if self.command != rule.command or self.exit_code == 126:
            return "inconclusive"
        return "fail" if min(self.exit_code, 1) > rule.threshold else "pass"


class At(NamedTuple):
    """A state of the line: the version that made it, its tree, and whether a person made it."""

    v: int
    tree: str
    by_hand: bool = False


class Model:
    """One run."""

    def __init__(self, base: str, configuration: Configuration) -> None:
        self.line = [At(1, base)]
        self.recorded = dict(configuration.profiles)
        self.profile = configuration.profile
        self.measured: dict[tuple[str, str], list[Outcome]] = {}
        self.accepted_trees: set[str] = set()
        self.tickets: set[str] = set()
        self.phase = ""
        self.commits: list[tuple[str, int]] = []

    @property
    def rules(self) -> Rules:
        return self.recorded[self.profile]

    @property
    def candidate(self) -> At:
        return self.line[-1]

    @property
    def accepted(self) -> At:
        found = self.line[0]
        for at in self.line:
            if at.tree in self.accepted_trees:
                found = at
        return found

    @property
    def suffix(self) -> list[At]:
        return [at for at in self.line if at.v > self.accepted.v]

    def standing(self, tree: str, gate: str) -> str | None:
        """Return what all measurements of a tree come to under the present rule."""
        rule = self.rules[gate]
        runs = [each for each in self.measured.get((tree, gate), []) if each.command == rule.command]
        if not runs:
            return None
        verdicts = [each.verdict(rule) for each in runs if each.tools == runs[-1].tools]
        if "fail" in verdicts and not ("pass" in verdicts and rule.allow_flaky):
            return "fail"
        return "pass" if "pass" in verdicts else "inconclusive"

    def _accept(self, tree: str) -> None:
        strict = [name for name, rule in self.rules.items() if rule.mode == "strict"]
        if strict and all(self.standing(tree, name) == "pass" for name in strict):
            self.accepted_trees.add(tree)

    def set_policy(self, profiles: Mapping[str, Rules], profile: str) -> None:
        if (profiles, profile) != (self.recorded, self.profile):
            self.recorded, self.profile = dict(profiles), profile
            for tree in {tree for tree, _ in self.measured}:
                self._accept(tree)

    def is_recorded(self, gate: str, tools: str) -> bool:
        """Tell whether nothing would be run: the last conclusive measurement still counts."""
        rule = self.rules[gate]
        found = [
            each
            for each in self.measured.get((self.candidate.tree, gate), [])
            if each.verdict(rule) != "inconclusive"
        ]
        return bool(found) and found[-1].tools == tools

    def measure(self, gate: str, outcome: Outcome) -> str:
        """Take one measurement of the candidate in, and return its verdict."""
        tree, rule = self.candidate.tree, self.rules[gate]
        self.measured.setdefault((tree, gate), []).append(outcome)
        self._accept(tree)
        verdict = outcome.verdict(rule)
        if verdict != "inconclusive":
            self.settle_ticket(gate)
        return verdict

    def settle_ticket(self, gate: str) -> None:
        standing = self.standing(self.candidate.tree, gate)
        if standing == "pass":
            self.tickets.discard(gate)
        elif standing == "fail" and self.rules[gate].mode == "soft":
            self.tickets.add(gate)

    def round(
        self, names: Sequence[str], outcomes: Mapping[str, list[int]], tools: str, again: int
    ) -> dict[str, str]:
        """Return each gate's verdict after one round; of the model, all but the rollback follows.

        ``outcomes`` are the exit codes that each gate would give, one after the other.
        """
        chosen = sorted(names or [name for name, rule in self.rules.items() if rule.mode != "off"])
        known = {} if again else {name: "" for name in chosen if self.is_recorded(name, tools)}
        codes = {name: iter(each) for name, each in outcomes.items()}
        last: dict[str, str] = {}
        left_out: set[str] = set()
        for _ in range(max(again, 1)):
            now = {name: str(self.standing(self.candidate.tree, name)) for name in known}
            for name in chosen:
                if name in known:
                    continue
                if name == "c" and now.get("a", "pass") != "pass":
                    left_out.add(name)
                    continue
                outcome = Outcome(self.rules[name].command, tools, next(codes[name]))
                now[name] = last[name] = self.measure(name, outcome)
                left_out.discard(name)
        for name in known:
            self.settle_ticket(name)
        return {name: self._result(name, last, left_out) for name in chosen}

    def _result(self, name: str, last: Mapping[str, str], left_out: set[str]) -> str:
        if (name in left_out and name not in last) or last.get(name) == "inconclusive":
            return "inconclusive"
        return str(self.standing(self.candidate.tree, name))

    def rolls_back(self, verdicts: Mapping[str, str], *, with_drift: bool) -> bool:
        """Tell whether a strict failure takes the states past the accepted one away."""
        failed = any(each == "fail" and self.rules[name].mode == "strict" for name, each in verdicts.items())
        drift = any(at.by_hand for at in self.suffix)
        there = self.candidate.tree != self.accepted.tree
        return failed and there and (with_drift or not drift)

    def roll_back(self) -> None:
        self.line = self.line[: self.line.index(self.accepted) + 1]


class Rebase(NamedTuple):
    """What a rebase comes to: the survivors' trees by version, and what the new base has already.

    Where Git refuses a rename it may be wrong (``d`` to ``d/x``): then nothing is known (``unknown``).
    """

    survivors: list[tuple[int, str]]
    contained: list[int]
    stopped: int = 0
    unknown: bool = False


def plan_rebase(
    book: Book, model: Model, head: str, patches: Mapping[int, bytes], skip: Sequence[int]
) -> Rebase:
    """Return what Git makes of the live patches on the tree of a commit."""
    plan = Rebase([], [])
    tree = book.line("rev-parse", f"{head}^{{tree}}")
    past = _contained(book, model, head, tree)
    for at in model.line[1:]:
        if at.v <= past:
            plan.contained.append(at.v)
        elif at.v not in skip:
            after = git_apply(book, tree, patches[at.v])
            if after is not None and after != tree:
                plan.survivors.append((at.v, after))
                tree = after
            elif after is not None or has_already(book, tree, patches[at.v]):
                plan.contained.append(at.v)
            else:
                return plan._replace(stopped=at.v, unknown=b"\nrename from " in patches[at.v])
    return plan


def _contained(book: Book, model: Model, head: str, tree: str) -> int:
    reached = set(book.line("rev-list", head).split())
    live = {at.v for at in model.line}
    past = max((v for commit, v in model.commits if commit in reached and v in live), default=0)
    for at in reversed(model.line[1:]):
        if at.v > past:
            patch = plain_diff(book, model.line[0].tree, at.tree)
            if patch and has_already(book, tree, patch):
                return at.v
    return past


def git_apply(book: Book, tree: str, patch: bytes, *options: str) -> str | None:
    """Return the tree that ``git apply`` makes, None where it refuses."""
    index = book.root / ".git/rebase-index"
    book.git("read-tree", tree, index=index)
    try:
        book.git("apply", "--cached", "--whitespace=nowarn", *options, "-", data=patch, index=index)
    except AssertionError:
        return None
    return book.git("write-tree", index=index).decode().strip()


def plain_diff(book: Book, old: str, new: str) -> bytes:
    """Return Git's patch without renames: Git refuses its own where ``d`` becomes ``d/x``."""
    return book.git("diff", "--binary", "--full-index", "--no-renames", old, new)


def has_already(book: Book, tree: str, patch: bytes) -> bool:
    """Tell whether a patch can be taken back from a tree and then gives exactly this tree again."""
    before = git_apply(book, tree, patch, "--reverse")
    return before is not None and git_apply(book, before, patch) == tree


def lines_of(text: str, changes: Mapping[int, str]) -> Iterator[str]:
    """Yield the numbered lines of a file, some of them changed."""
    for number in range(12):
        yield changes.get(number, f"{text} {number}")


# ── gates that run no process, and processes that die ────────────────────────────────────────────


class Steering:
    """What the gates find, and with which tools: they run no process here."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.tools = "1"
        self.codes: dict[str, list[int]] = {}

    def run_step(self, step: Any, surroundings: Any, **_: Any) -> Execution:
        code = self.codes[step.command[1]].pop(0)
        return Execution(
            command=step.command, exit_code=code, output=b"", report=None, started_at_ns=1, duration_ns=1
        )

    def tool_versions(self, command: Any, surroundings: Any) -> dict[str, str]:
        return {"check": self.tools}


STEER = Steering()
"""One for all: the functions that it stands for are patched once."""


def die_at(step: tuple[type, str], nth: int, *, after: bool) -> None:
    """Let this process end without a word at the n-th call of a step, before or after it."""
    owner, name = step
    original = getattr(owner, name)
    calls = 0

    def dying(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth and not after:
            os._exit(9)
        result = original(*args, **options)
        if calls == nth:
            os._exit(9)
        return result

    setattr(owner, name, dying)


def in_a_fork(work: Callable[[], object]) -> int:
    """Do something in a process of its own and return its exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Threads of the runner do not matter.
        pid = os.fork()
    if pid == 0:
        code = 70
        gc.disable()  # To collect a DuckDB of the parent, whose threads are not here, would crash.
        try:
            work()
            code = 0
        except Exception:  # noqa: BLE001 - whatever it is, the parent must hear of it
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# ── gates that are real processes ────────────────────────────────────────────────────────────────

CHECKED = {
    b".gitignore": File(b"*.ignored\n"),
    b"a.txt": File(b"".join(b"line %d\n" % number for number in range(20))),
    b"dir/c.txt": File(b"sea\n"),
    b"run.sh": File(b"#!/bin/sh\n", MODE_EXECUTABLE),
    b"check.sh": File(
        b'echo "$1" >> "$CALLS"\n'
        b'if test -e "$CALLS.$1"; then exit $(cat "$CALLS.$1"); fi\n'
        b"if test -e bad-$1; then exit 1; fi\n"
    ),
    b"ledger.toml": File(
        b"gates.lint.mode = 'off'\ngates.tests.mode = 'off'\ngates.cov.mode = 'off'\n"
        b"[gates.one]\ncommand = 'sh check.sh one'\nformat = 'exit'\nenv = ['CALLS']\n"
        b"[gates.two]\ncommand = 'sh check.sh two'\nformat = 'exit'\nenv = ['CALLS']\nneeds = ['one']\n"
    ),
}


class Checked:
    """A repository whose two gates fail where a file says so: ``bad-one`` in the tree, or outside of it."""

    def __init__(self, scratch: Path, files: Mapping[bytes, File] = CHECKED) -> None:
        self.book = Book(scratch / "repo", files)
        self.base = dict(files)
        self.calls = scratch / "calls"

    def patch(self, edit: Edit, files: Mapping[bytes, File] | None = None) -> bytes:
        """Return the patch that makes an edit of ``files``, by default of the base."""
        before = self.base if files is None else files
        return self.book.diff(self.book.write_tree(before), self.book.write_tree(edited(before, edit)))

    def tree(self, *edits: Edit) -> str:
        files: Mapping[bytes, File] = self.base
        for edit in edits:
            files = edited(files, edit)
        return self.book.write_tree(files)

    def exits(self, gate: str, code: int | None) -> None:
        """Let a gate end with an exit code, whatever it measures; None: as the tree says."""
        steer = self.calls.with_name(f"calls.{gate}")
        if code is None:
            steer.unlink()
        else:
            steer.write_text(f"{code}\n", "utf-8")

    @property
    def called(self) -> list[str]:
        """The gates that have run, in order."""
        return self.calls.read_text("utf-8").split() if self.calls.exists() else []
