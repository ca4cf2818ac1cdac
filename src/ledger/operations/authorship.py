"""Authorship: whose a commit is, when it was written and why, where its patches came in mails.

A commit that is exactly one mail's patch gets what `git am` would give it. Where several patches are in it,
whose it is would be a guess: it is asked, and the mails are offered.

See: ``git-am(1)``; ``docs/patches.md``, "Commits of mails".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import Struct, UnsetType

from ledger.errors import LedgerError
from ledger.events import PatchApplied
from ledger.history import History, StateAt
from ledger.operations.patching import message_of
from ledger.reference_errors import UnknownReference
from ledger.store.interface import Store


class NoMessage(LedgerError):
    """A commit would have no message. ``mails`` are those that its patches came in. Nothing was written."""

    def __init__(self, run: str, mails: Sequence[Mail]) -> None:
        self.run, self.mails = run, tuple(mails)
        listed = "".join(f"\n  {mail.event}  {mail.author}: {mail.subject}" for mail in mails)
        which = (
            f"several patches are in it, and came with their own:{listed}"
            if mails
            else "no patch brought it one"
        )
        super().__init__(f"run {run}: what is the commit's message? {which}")
        taken = (
            f"`ledger commit -C {mails[-1].event}` takes author, date and message of that one, "
            if mails
            else ""
        )
        self.hint = f'{taken}`ledger commit -m "WHY"` gives it yours'


class BadAuthor(LedgerError):
    """Git makes no author of a name, an address and a date. Nothing was written."""

    hint = "say whose it is: `ledger commit --author 'Name <address>' --date '2026-11-28 12:00 +0000'`"

    def __init__(self, author: str, date: str, reason: str) -> None:
        self.author, self.date, self.reason = author, date, reason
        super().__init__(f"no author of a commit: {author!r}, {date!r}: {reason}")


class Authorship(Struct, frozen=True, kw_only=True):
    """What is asked of a commit's author, date and message; empty where nothing is.

    ``reuse`` is the version of the patch whose mail has them; with ``reset_author`` the author is whoever
    commits, and the date is now.
    """

    message: str = ""
    author: str = ""
    date: str = ""
    reuse: int | None = None
    reset_author: bool = False


class Mail(Struct, frozen=True):
    """What a patch brought along: its event, and the author, date and message that its mail had."""

    event: str
    v: int
    author: str
    date: str
    message: str

    @property
    def subject(self) -> str:
        """The message's first line."""
        return self.message.partition("\n")[0]


class Chosen(Struct, frozen=True):
    """A commit's message, author and date, and the version of the patch that brought one of them.

    ``author`` is ``Name <address>``; it and ``date`` are "" for whoever commits, now.
    """

    message: str
    author: str
    date: str
    of: int | None


def choose(
    store: Store, history: History, head_tree: str, state: StateAt, asked: Authorship, run: str
) -> Chosen:
    """Return what a commit of ``state`` on ``head_tree`` says: what is asked, else what its one mail has.

    Raises:
        NoMessage: None is asked for, and no mail has it alone.
        UnknownReference: The patch that is to be reused came with none.
    """
    mail = _reused(store, history, asked.reuse, run) or _alone(store, history, head_tree, state)
    message = asked.message or (strip_space(mail.message) if mail else "")
    if not message.strip():
        raise NoMessage(run, list(_mails_since(store, history, head_tree, state)))
    author, date = asked.author, asked.date
    if mail is not None and not asked.reset_author:
        # An author of one's own has not written it when the mail's did.
        date = date or ("" if author else mail.date)
        author = author or mail.author
    taken = mail is not None and (author == mail.author or not asked.message)
    return Chosen(message, author, date, mail.v if mail and taken else None)


def split_author(author: str) -> tuple[str, str]:
    """Return name and address of ``Name <address>``; all of it is the name where there is no address."""
    name, bracket, address = author.rpartition("<")
    return (name.strip(), address.rstrip("> ")) if bracket else (author.strip(), "")


def strip_space(message: str) -> str:
    """Return a message as Git cleans it: no space at line ends, no blank line but one between others."""
    lines = [line.rstrip(" \t\r") for line in message.split("\n")]
    return "\n".join(line for before, line in pairwise(["", *lines]) if line or before).strip("\n") + "\n"


def _reused(store: Store, history: History, v: int | None, run: str) -> Mail | None:
    if v is None:
        return None
    patch = history.patches.get(v)
    mail = None if patch is None else mail_of(store, history, patch)
    if mail is None:
        raise UnknownReference(f"{run}:{v}", "no patch that came in a mail")
    return mail


def _alone(store: Store, history: History, head_tree: str, state: StateAt) -> Mail | None:
    """Return the mail of the patch that all of the commit is; None where it is more than one, or had none."""
    patch = history.patches.get(state.v)
    if patch is None or patch.base_tree != head_tree:
        return None
    return mail_of(store, history, patch)


def _mails_since(store: Store, history: History, head_tree: str, state: StateAt) -> Iterator[Mail]:
    """Yield the mails of the patches that led from HEAD's tree to a state."""
    since: list[PatchApplied] = []
    for at in reversed(history.live):
        if at.tree == head_tree and at.v < state.v:
            break
        if at.v <= state.v and at.v in history.patches:
            since.append(history.patches[at.v])
    for patch in reversed(since):
        mail = mail_of(store, history, patch)
        if mail is not None:
            yield mail


def mail_of(store: Store, history: History, patch: PatchApplied) -> Mail | None:
    """Return what a patch's mail said, also where a rebase or ``--again`` took the patch along."""
    event, v = patch.reference, patch.v
    while isinstance(patch.author, UnsetType) and isinstance(patch.message, UnsetType):
        if patch.of is None or patch.of not in history.patches:
            return None
        patch = history.patches[patch.of]
    author = "" if isinstance(patch.author, UnsetType) else patch.author
    date = "" if isinstance(patch.date, UnsetType) else patch.date
    return Mail(event, v, author, date, message_of(store, patch.message))
