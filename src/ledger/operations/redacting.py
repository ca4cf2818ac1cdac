"""Redacting: bodies of an event dropped for good, and what else still holds their text."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import ExitStack, contextmanager

from msgspec import Struct

from ledger.errors import NothingToRedact
from ledger.events import LEDGER_RUN, AnyEvent, BodyDropped
from ledger.operations.copies import Copy, list_copies
from ledger.projections.questions import forget_questions
from ledger.query.cache import forget_columns
from ledger.redaction import BODY_NAMES, bodies_of, naming
from ledger.run import identify
from ledger.secrets.masking import mask
from ledger.store.locks import locked
from ledger.workspace import LOCK_TIMEOUT_S, Workspace


class Redacted(Struct, frozen=True):
    """What a redaction did, or would do.

    ``event`` is the reference of the event that says so ("" where none was needed: all of them were dropped
    before), ``names`` the fields whose bodies are gone, ``also`` the other events that named the same
    bytes. ``copies`` is where the text may still be: nothing there was touched.
    """

    event: str
    of: str
    names: tuple[str, ...]
    also: tuple[str, ...]
    copies: tuple[Copy, ...]


def redact(
    workspace: Workspace,
    event: AnyEvent,
    *,
    names: Collection[str] = (),
    reason: str = "",
    dry_run: bool = False,
) -> Redacted:
    """Drop bodies that an event names: first an event that says so, then their files, and rows made of them.

    The chain stays valid, since events hold digests. A crash after the event leaves files that should be
    gone: `verify` says so, and the next redaction, of whatever event, removes them.

    Args:
        workspace: Where.
        event: The event that names them.
        names: Fields of it, of `BODY_NAMES`; none: all that it has.
        reason: Why.
        dry_run: Only look.

    Raises:
        NothingToRedact: It names no such body, or one that is a base listing. Nothing was written.
        Busy: Another command is at work, in whichever work tree. Nothing was written.
        GitFailed: Git could not say what holds copies. Nothing was written.
        OSError: A file could not be removed; the event may be recorded. Run it again.
    """
    events = [frame.event for frame in workspace.store.frames()]
    wanted = _choose(event, names, events)
    others = naming(events, wanted.values())
    redacted = Redacted(
        "",
        event.reference,
        tuple(wanted),
        tuple(other.reference for other in others if other.reference != event.reference),
        list_copies(workspace.repository, others, wanted.values()),
    )
    if dry_run:
        return redacted
    with _everything_locked(workspace):
        workspace.refuse_done()
        fresh = [digest for digest in wanted.values() if digest not in workspace.store.dropped()]
        reference = _append(workspace, event, fresh, reason) if fresh else ""
        forget_questions(workspace.store.root / "cache")
        _remove(workspace)
    with workspace.locked():
        pass  # The questions file, too, has lost the text before this returns.
    return Redacted(reference, *(getattr(redacted, name) for name in ("of", "names", "also", "copies")))


def _choose(event: AnyEvent, names: Collection[str], events: Sequence[AnyEvent]) -> dict[str, str]:
    """Return the bodies to drop, by field."""
    named = bodies_of(event)
    wanted = {name: named[name] for name in BODY_NAMES if name in named and (not names or name in names)}
    for name in names:
        if name not in wanted:
            raise NothingToRedact(event.reference, f"the event has no {name}")
    if not wanted:
        raise NothingToRedact(event.reference, "the event has no body that can be dropped")
    listings = {digest for each in events if (digest := bodies_of(each).get("listing"))}
    for name, digest in wanted.items():
        if digest in listings:
            raise NothingToRedact(event.reference, f"its {name} is a base listing too, on which states rest")
    return wanted


def _append(workspace: Workspace, event: AnyEvent, digests: Sequence[str], reason: str) -> str:
    """Record what is to be gone; from here on it is, whatever happens."""
    store = workspace.store
    body = store.write_body(mask(reason.encode())) if reason else None
    dropping = BodyDropped(
        **identify(LEDGER_RUN, workspace.stamp),
        of=event.reference,
        bodies=tuple(dict.fromkeys(digests)),
        reason=body,
    )
    (frame,) = store.append(workspace.named(dropping))
    return f"{LEDGER_RUN}:{frame.event.v}"


def _remove(workspace: Workspace) -> None:
    """Remove the files of every body that was dropped, and the rows that were made of reports."""
    store = workspace.store
    left = [digest for digest in store.dropped() if store.bodies.traces(digest)]
    if not left:
        return
    # Before, so that a crash in between is seen by the bodies; after, for whoever read one meanwhile.
    forget_columns(store)
    for digest in left:
        store.bodies.remove(digest)
    forget_columns(store)


@contextmanager
def _everything_locked(workspace: Workspace) -> Generator[None]:
    """Keep every writing command out, in every work tree: between its body and its event nothing may go."""
    repository = workspace.repository
    linked = repository.common_dir / "worktrees"
    names = {"main", repository.work_tree_name or "main"}
    if linked.is_dir():
        names |= {path.name for path in linked.iterdir()}
    with ExitStack() as held:
        for name in sorted(names):
            held.enter_context(locked(workspace.store.root / "locks" / f"tree.{name}", LOCK_TIMEOUT_S))
        yield
