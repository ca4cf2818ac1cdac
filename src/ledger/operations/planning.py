"""Planning a patch: read as it is or in its dialect, screened, applied in memory. Nothing is written.

What is recorded is always an ordinary patch: one that the engine takes with its defaults, so that replay
depends on no flag, no dialect and no configuration.

See: ``docs/adr/0020-a-recorded-patch-is-an-ordinary-one.md``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ledger.applyflags import NO_FLAGS
from ledger.operations.screening import Screened, screen, screen_rest
from ledger.provenance import Provenance
from ledger.repository import Repository
from patches.apply import apply_patch
from patches.dialects.reading import PatchReader
from patches.errors import EmptyPatch, MissingObject, PatchError, show_path
from patches.model import MODE_GITLINK, FileChange, Patch
from patches.options import DEFAULTS, ApplyOptions
from patches.parse import parse_patch, reverse_patch
from patches.submodules import check_submodules
from patches.whitespace import adapted_rule, added_errors

if TYPE_CHECKING:
    from patches.threeway import Conflict
    from patches.tree import Tree


class Offer(NamedTuple):
    """A patch that is handed over: its bytes, and what is known of where they come from.

    ``text`` is what of ``data`` the engine is to read, where that is not all of it: a mail's patch, decoded.
    """

    data: bytes
    provenance: Provenance
    text: bytes | None = None
    of: int | None = None


class Planned(NamedTuple):
    """What a patch makes of tree ``base``; ``patch`` is an ordinary one, None: Git is to make it.

    There are no ``changes`` where the tree has its result already.
    """

    changes: tuple[FileChange, ...]
    base: str
    result: str
    patch: bytes | None
    provenance: Provenance
    screened: Screened
    of: int | None = None
    conflicts: tuple[Conflict, ...] = ()
    whitespace_errors: tuple[str, ...] = ()
    """With ``--whitespace=warn``, those of added lines, in words."""


class Refusal(NamedTuple):
    """Why a patch does not apply, as it was read last. ``patch`` is None where it could not be read."""

    error: PatchError
    patch: Patch | None
    text: bytes
    base: str
    provenance: Provenance

    def explained(self) -> PatchError:
        """Return the error, which says what was done to the text before it was refused."""
        if self.provenance.normalised:
            self.error.add_note(f"normalised: {', '.join(self.provenance.normalised)}")
        return self.error

    def name_patch(self) -> None:
        """Let the error say which of several patches it is about."""
        if source := self.provenance.source:
            self.error.add_note(f"the patch is {'standard input' if source == '-' else source}")


class _Made(NamedTuple):
    """What a patch makes of a tree."""

    changes: tuple[FileChange, ...]
    result: str
    screened: Screened
    conflicts: tuple[Conflict, ...]


def plan_all(
    repository: Repository, base: str, offers: Iterable[Offer], *, allow_secrets: bool
) -> tuple[Planned, ...] | Refusal:
    """Return what patches would make of a tree, one after the other, or why the first of them does not apply.

    Each is read as it is, and where that does not apply, in the dialect that it is written in. One whose
    result the tree has already changes nothing. New objects are in the repository's memory, for the caller
    to write or to forget.

    Raises:
        SecretFound: One adds what looks like secrets.
        MissingObject: The repository does not give an object of the tree.
    """
    planned: list[Planned] = []
    for offer in offers:
        outcome = _plan(repository, base, offer, allow_secrets=allow_secrets)
        if isinstance(outcome, Refusal):
            return outcome
        planned.append(outcome)
        base = outcome.result
    return tuple(planned)


def _plan(repository: Repository, base: str, offer: Offer, *, allow_secrets: bool) -> Planned | Refusal:
    options = offer.provenance.flags.options()
    maker = _Maker(repository, base, offer, allow_secrets=allow_secrets)
    reading = PatchReader(maker.content, options, maker.make).read(maker.given)
    if isinstance(reading.error, EmptyPatch) and offer.provenance.flags.allow_empty:
        return Planned((), base, base, offer.data, offer.provenance, Screened())
    if reading.error is not None:
        if reading.patch is None or not has_result(repository, base, reading.patch, options):
            provenance = _provenance(offer, reading.steps, reading.text)
            return Refusal(reading.error, reading.patch, reading.text, base, provenance)
        return Planned((), base, base, offer.data, offer.provenance, Screened())
    made = reading.made
    assert made is not None, "a reading without an error has made something"
    plain = offer.provenance.flags == NO_FLAGS and reading.text == offer.data
    patch = offer.data if plain else _ordinary(repository, base, made.result, (offer.data, reading.text))
    provenance = _provenance(offer, reading.steps, patch)
    return Planned(
        made.changes,
        base,
        made.result,
        patch,
        provenance,
        made.screened,
        offer.of,
        made.conflicts,
        _whitespace_errors(repository, reading.patch, options),
    )


class _Maker:
    """Says what one offer, read in one way or another, makes of one tree."""

    def __init__(self, repository: Repository, base: str, offer: Offer, *, allow_secrets: bool) -> None:
        self._repository, self._base, self._offer = repository, base, offer
        self._options = offer.provenance.flags.options()
        self._allow_secrets = allow_secrets

    @property
    def given(self) -> bytes:
        """What of the offer is to be read."""
        return self._offer.data if self._offer.text is None else self._offer.text

    def make(self, text: bytes, patch: Patch) -> _Made:
        """Return what a text, and the patch that it is, makes of the tree.

        Raises:
            PatchError: It does not apply.
            SecretFound: It adds what looks like one.
        """
        screened = self._screen(text, patch)
        tree = self._repository.tree(self._base)
        changes, conflicts = self._apply(tree, patch)
        check_submodules(tree.objects, changes)
        return _Made(changes, tree.write().hex(), screened, conflicts)

    def content(self, path: bytes) -> bytes | None:
        """Return the content of a path of the tree; None where there is no file."""
        tree = self._repository.tree(self._base)
        entry = tree.entry(path)
        return None if entry is None or entry.mode == MODE_GITLINK else tree.objects.read_blob(entry.oid)

    def _apply(self, tree: Tree, patch: Patch) -> tuple[tuple[FileChange, ...], tuple[Conflict, ...]]:
        """Apply a patch to ``tree``; return what changed, and what is in conflict where that is kept."""
        flags = self._offer.provenance.flags
        if not flags.three_way:
            rules = self._repository.whitespace_rules() if self._options.whitespace != "nowarn" else None
            return apply_patch(tree, patch, self._options, rules=rules), ()
        # Here, as the forms below: an ordinary patch needs none of it.
        from patches.threeway import ThreewayMerge, apply_threeway, path_merges, read_merge_options

        git = self._repository.git
        merge = ThreewayMerge(tree.objects, read_merge_options(git, flags.favor), path_merges(git))
        merged = apply_threeway(tree, patch, self._options, merge, keep=flags.conflicts == "keep")
        return merged.changes, merged.conflicts

    def _screen(self, text: bytes, patch: Patch) -> Screened:
        """Look through a text and what was given, whichever of its files are chosen."""
        reverse = self._options.reverse
        if reverse or self._options.paths:
            patch = parse_patch(text, msgspec.structs.replace(self._options, reverse=False, paths=()))
        screened = screen(text, patch, allow=self._allow_secrets, reverse=reverse)
        if text == self._offer.data:
            return screened
        return screened.and_more(screen_rest(self._offer.data, text, allow=self._allow_secrets))


def _whitespace_errors(repository: Repository, patch: Patch | None, options: ApplyOptions) -> tuple[str, ...]:
    if patch is None or options.whitespace != "warn":
        return ()
    rule_of = repository.whitespace_rules()
    return tuple(
        f"{show_path(path)}: patch line {at_line}: {', '.join(errors)}"
        for file in patch.files
        if (path := file.new_path) is not None
        for at_line, errors, _ in added_errors(file.hunks, adapted_rule(file, rule_of(path)))
    )


def _provenance(offer: Offer, steps: tuple[str, ...], patch: bytes | None) -> Provenance:
    given = None if patch == offer.data else offer.data
    return msgspec.structs.replace(offer.provenance, given=given, normalised=steps)


def _ordinary(repository: Repository, base: str, result: str, texts: Iterable[bytes]) -> bytes | None:
    """Return the first of ``texts`` that leads from one tree to another with the engine's defaults."""
    for text in dict.fromkeys(texts):
        tree = repository.tree(base)
        try:
            apply_patch(tree, parse_patch(text))
        except PatchError:
            continue
        if tree.write().hex() == result:
            return text
    return None


def has_result(repository: Repository, oid: str, patch: Patch, options: ApplyOptions = DEFAULTS) -> bool:
    """Tell whether a patch can be taken back from a tree and then gives exactly this tree again.

    Raises:
        MissingObject: The repository does not give an object that it takes.
    """
    tree = repository.tree(oid)
    try:
        apply_patch(tree, reverse_patch(patch), options)
        apply_patch(tree, patch, options)
    except MissingObject:
        raise
    except PatchError:
        return False
    return tree.write().hex() == oid
