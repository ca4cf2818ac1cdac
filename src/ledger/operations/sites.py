"""Sites: a state of the run in a temporary work tree, ready to be measured."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import partial

from codex_ml.errors import CodexError
from ledger.drift import snapshot_tree
from ledger.gates.documents import InvalidConfiguration
from ledger.history import History
from ledger.isolation import isolated, list_visible
from ledger.operations.measuring import Site
from ledger.policies import Isolation, Rule
from ledger.projections.refs import RunRef
from ledger.references import EventRange
from ledger.repository import Repository
from ledger.store.interface import Store
from ledger.tokens import configured_counter, digest_of, unaccepted_range
from ledger.workspace import Workspace
from patches.model import Entry


def dependencies(
    store: Store, history: History, rules: Mapping[str, Rule], patches: EventRange, repository: Repository
) -> dict[str, str]:
    """Return what results about patches depend on in a work tree; nothing where no gate asks for them."""
    if not any(step.about_patches for rule in rules.values() for step in rule.steps):
        return {}
    cache_dir = repository.ledger_dir / "cache"
    try:
        tokenizer = configured_counter(repository, cache_dir, store.read_body).name
    except (CodexError, InvalidConfiguration, OSError):
        tokenizer = "unusable"  # What is wrong with it the gate's own command says.
    return {"patches": digest_of(history, patches), "tokenizer": tokenizer}


class Stand:
    """A state whose work tree is not made yet; what has to be read of it is read in the caller's thread."""

    def __init__(self, workspace: Workspace, run: str, history: History, rules: Mapping[str, Rule]) -> None:
        """Take the state that ``history`` ends with, its candidate."""
        self._workspace = workspace
        self._history = history
        self._rules = rules
        self.state = history.candidate
        self._patches = unaccepted_range(run, history)
        self._entries: Mapping[bytes, Entry] = dict(workspace.repository.tree(self.state.tree).entries())
        commit = RunRef(workspace.repository, run).commit_at(self.state.v)
        assert commit is not None, "every state has its commit"
        self._commit = commit

    @contextmanager
    def isolated(self, how: Isolation, *, place: int = 0) -> Generator[Site]:
        """Give the state in a temporary work tree; may be called in a thread of its own.

        Args:
            how: How that becomes usable.
            place: Which of several that are there at the same time: tools keep their caches by it.

        Raises:
            SetupFailed, GitFailed: The work tree could not be made.
        """
        cache_dir = self._workspace.repository.ledger_dir / "cache"
        cache_dir /= f"tools-{place + 1}" if place else "tools"
        with isolated(self._workspace.repository, self._commit, how) as repository:
            root = repository.work_dir
            assert root is not None, "an isolated work tree is one"
            links = list_visible(repository, how.link)
            yield Site(
                "isolated",
                self.state.tree,
                root,
                self._entries,
                cache_dir,
                partial(snapshot_tree, repository, links),
                str(self._patches),
                dependencies(self._workspace.store, self._history, self._rules, self._patches, repository),
            )
