"""Canonicalization: what becomes of groups of backups, as an editable plan and as changes of a tree.

A plan is TOML. Each ``[[group]]`` names the path that stays (``canonical``), the file whose content it
gets (``survivor``: moved over it as by ``git mv -f`` where it is another one), and what goes
(``remove``). A path that is not UTF-8 is written ``{ b64 = "…" }``. What no group names is not touched.
"""

from __future__ import annotations

import json
import re
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from patches.errors import FileRefused, PatchError, show_path
from patches.model import MODE_GITLINK, FileChange, Oid
from patches.moves import Rename, change_tree
from patches.paths import check_path

if TYPE_CHECKING:
    from patches.backups import Backup, BackupGroup
    from patches.tree import Tree

_HEADER = """\
# One canonical file for each group; its backups go.
#
#   canonical  the path that stays
#   survivor   the file whose content it gets; another one is moved over it
#   remove     the backups that go; leave out what shall stay
#   keep       true leaves the whole group as it is; taking the group out does the same
"""
_GROUP = re.compile(r"\s*\[\[\s*group\s*\]\]")
_AT_KEY = re.compile(r"at `\$(?:\.group\[(\d+)\])?(?:\.(\w+))?")
_UNKNOWN_KEY = re.compile(r"unknown field `([^`]*)`")
_AT_LINE = re.compile(r"at line (\d+)")


class PlanSyntaxError(PatchError):
    """The text is no plan: it is not TOML, or says what a plan cannot say. ``at_line`` is 0 where unknown."""

    def __init__(self, at_line: int, reason: str) -> None:
        super().__init__(f"plan line {at_line}: {reason}" if at_line else f"plan: {reason}")
        self.at_line = at_line
        self.reason = reason


class PlanRefused(FileRefused):
    """The plan names a path that the tree does not have, or gives one path two fates.

    ``at_line`` is the path's line in the plan, 0 where it is not known.
    """

    def __init__(self, path: bytes, reason: str, at_line: int) -> None:
        super().__init__(path, f"{reason} (plan line {at_line})" if at_line else reason)
        self.at_line = at_line


class Choice(Struct, frozen=True, kw_only=True):
    """What becomes of one group. Without a ``survivor`` the canonical path is left as it is, or missing."""

    canonical: bytes
    survivor: bytes | None = None
    remove: tuple[bytes, ...] = ()
    keep: bool = False


class Plan(Struct, frozen=True):
    """Choices, the tree that they were made for (None: any), and the line of each path in the plan's text."""

    choices: tuple[Choice, ...]
    tree: Oid | None = None
    lines: dict[bytes, int] = {}


class Canonicalization(Struct, frozen=True):
    """What a plan does to a tree, and which paths must be there afterwards, and which must not.

    See: `patches.globs.escape_glob`, which makes globs of paths.
    """

    changes: tuple[FileChange, ...]
    must_exist: tuple[bytes, ...]
    must_not_exist: tuple[bytes, ...]


def choose(groups: Iterable[BackupGroup]) -> tuple[Choice, ...]:
    """Return what is proposed: the survivor takes the canonical path, every backup but doubtful ones goes."""
    return tuple(
        Choice(
            canonical=group.canonical,
            survivor=group.survivor,
            remove=tuple(
                member.path
                for member in group.members
                if member.path != group.survivor and not member.doubtful
            ),
        )
        for group in groups
    )


def plan_canonicalization(tree: Tree, plan: Plan) -> Canonicalization:
    """Return what a plan does to ``tree``, which stays as it is.

    The changes are ready for ``tree.update`` (see `patches.moves.tree_updates`). Whether the tree is
    the plan's own is for the caller to decide.

    Raises:
        PlanRefused: a path to move or remove does not exist or is a submodule; a path is named
            twice; or a file or directory is in the canonical path's way.
        UnsafePath: a canonical path leads outside or into ``.git``.
    """
    renames: list[Rename] = []
    removed: list[bytes] = []
    kept: list[bytes] = []
    for choice in plan.choices:
        if choice.keep:
            continue
        if choice.survivor is not None:
            kept.append(choice.canonical)
            if choice.survivor != choice.canonical:
                renames.append(Rename(choice.survivor, choice.canonical))
        removed += choice.remove
    named = [choice.canonical for choice in plan.choices if not choice.keep]
    _check_paths(tree, plan, [*removed, *(rename.source for rename in renames)], named)
    moved = {rename.target for rename in renames}
    for path in kept:
        if path not in moved:
            _check_file(tree, plan, path)
        else:
            _check_place(tree, plan, path, moved)
    gone = sorted([*removed, *(rename.source for rename in renames)])
    return Canonicalization(change_tree(tree, renames, removed), tuple(sorted(kept)), tuple(gone))


def _check_paths(tree: Tree, plan: Plan, going: Sequence[bytes], canonical: Sequence[bytes]) -> None:
    seen: set[bytes] = set()
    for path in [*canonical, *going]:
        if path in seen:
            raise PlanRefused(path, "is named twice: a path has one fate", plan.lines.get(path, 0))
        seen.add(path)
    for path in going:
        _check_file(tree, plan, path)


def _check_file(tree: Tree, plan: Plan, path: bytes) -> None:
    entry = tree.entry(path)
    if entry is None:
        raise PlanRefused(path, "is no file of the tree", plan.lines.get(path, 0))
    if entry.mode == MODE_GITLINK:
        raise PlanRefused(path, "is a submodule", plan.lines.get(path, 0))


def _check_place(tree: Tree, plan: Plan, path: bytes, made: set[bytes]) -> None:
    check_path(path, symlink=True)  # Stricter than a file needs: nobody backs up .gitmodules.
    if any(True for _ in tree.entries(path)):
        raise PlanRefused(path, "a directory is in its place", plan.lines.get(path, 0))
    if tree.entry(path) is not None:
        _check_file(tree, plan, path)
    parent = path.rpartition(b"/")[0]
    while parent:
        if tree.entry(parent) is not None or parent in made:
            raise PlanRefused(path, f"its parent {show_path(parent)} is a file", plan.lines.get(path, 0))
        parent = parent.rpartition(b"/")[0]


# ── the text ─────────────────────────────────────────────────────────────────────────────────────


def encode_plan(groups: Iterable[BackupGroup], *, tree: Oid | None = None) -> str:
    """Return the proposed plan as TOML; comments show what speaks for and against each choice.

    Doubtful backups stand there commented out. ``parse_plan`` of it is ``choose(groups)``.

    Args:
        groups: as `patches.backups.group_backups` found them.
        tree: the tree that they are in, to be recorded in the plan.
    """
    head = [_HEADER] if tree is None else [_HEADER, f"tree = {json.dumps(tree.hex())}\n"]
    return "\n".join([*head, *map(_encode_group, groups)])


def _encode_group(group: BackupGroup) -> str:
    facts = "missing"
    if group.size_bytes is not None:
        facts = ", ".join([f"{group.size_bytes} bytes", *_changed(group.changed_at)])
    lines = ["[[group]]", f"# {show_path(group.canonical)}: {facts}"]
    if group.survivor is not None:
        lines.append(f"# {show_path(group.survivor)} survives: {group.reason}")
    else:
        lines.append(f"# nothing survives: {group.reason}")
    lines.append(f"canonical = {_encode_path(group.canonical)}")
    if group.survivor is not None:
        lines.append(f"survivor = {_encode_path(group.survivor)}")
    lines.append("remove = [")
    for member in group.members:
        if member.path == group.survivor:
            lines.append(f"  # survivor: {show_path(member.path)}: {_describe(member)}")
        else:
            comment = "# " if member.doubtful else ""
            lines.append(f"  {comment}{_encode_path(member.path)},  # {_describe(member)}")
    return "\n".join([*lines, "]\n"])


def _describe(member: Backup) -> str:
    """Return what is known of a backup, for a comment."""
    facts = [member.mark, f"{member.size_bytes} bytes", *_changed(member.changed_at)]
    if member.identical:
        facts.append("identical")
    elif member.added is None:
        facts.append("binary or large")
    elif member.added or member.removed:
        facts.append(f"+{member.added} -{member.removed} lines")
    if member.junk:
        facts.append("junk")
    if member.doubtful:
        facts.append("has little in common with it; is it a backup?")
    return ", ".join(facts)


def _changed(at: int | None) -> list[str]:
    from datetime import UTC, datetime

    return [] if at is None else [f"changed {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"]


def _encode_path(path: bytes) -> str:
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        return f'{{ b64 = "{b2a_base64(path, newline=False).decode()}" }}'
    # JSON's escapes are TOML's too; TOML wants one more.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


class _EncodedPath(Struct, forbid_unknown_fields=True):
    b64: bytes


_Path: TypeAlias = str | _EncodedPath


class _Table(Struct, forbid_unknown_fields=True):
    """One ``[[group]]``."""

    canonical: _Path
    survivor: _Path | None = None
    remove: tuple[_Path, ...] = ()
    keep: bool = False


class _Document(Struct, forbid_unknown_fields=True):
    tree: Annotated[str, Meta(pattern=r"^[0-9a-f]{40}$")] | None = None
    group: tuple[_Table, ...] = ()


def parse_plan(text: str) -> Plan:
    """Return the plan that ``text`` holds.

    Raises:
        PlanSyntaxError: it is not TOML, has an unknown key, lacks one, or a value is of the wrong type.
    """
    import tomllib

    try:
        document = msgspec.convert(tomllib.loads(text), _Document)
    except tomllib.TOMLDecodeError as error:
        line = _AT_LINE.search(str(error))
        raise PlanSyntaxError(int(line[1]) if line else 0, str(error)) from error
    except msgspec.ValidationError as error:
        raise PlanSyntaxError(_Lines(text).find_error(str(error)), str(error)) from error
    lines = _Lines(text)
    choices = tuple(lines.read_table(at, table) for at, table in enumerate(document.group))
    return Plan(choices, None if document.tree is None else bytes.fromhex(document.tree), lines.paths)


class _Lines:
    """The lines of one plan's text, for what its values stand on: TOML's parser does not tell."""

    def __init__(self, text: str) -> None:
        self.paths: dict[bytes, int] = {}
        self._lines = text.split("\n")
        self._starts = [at for at, line in enumerate(self._lines) if _GROUP.match(line)]

    def read_table(self, at: int, table: _Table) -> Choice:
        """Return one group, its paths in bytes and their lines kept."""
        return Choice(
            canonical=self._path(at, "canonical", table.canonical),
            survivor=None if table.survivor is None else self._path(at, "survivor", table.survivor),
            remove=tuple(self._path(at, "remove", path) for path in table.remove),
            keep=table.keep,
        )

    def find_error(self, message: str) -> int:
        """Return the line that a message of ``msgspec`` is about."""
        place, unknown = _AT_KEY.search(message), _UNKNOWN_KEY.search(message)
        at = int(place[1]) if place and place[1] else -1
        key = place[2] if place and place[2] else unknown[1] if unknown else None
        return self._find(key, at) if key else self._line(at)

    def _path(self, at: int, key: str, value: _Path) -> bytes:
        path = value.encode("utf-8") if isinstance(value, str) else value.b64
        if not path:
            raise PlanSyntaxError(self._find(key, at), f"a path of {key!r} is empty")
        self.paths[path] = self._find_path(path, key, at)
        return path

    def _line(self, at: int) -> int:
        """Return the line of the group ``at``; 0 where the text has none, as for an inline table."""
        return self._starts[at] + 1 if 0 <= at < len(self._starts) else 0

    def _span(self, at: int) -> range:
        """Return the lines of a group, or those before the first (-1), as indices."""
        bounds = [0, *self._starts, len(self._lines)]
        return range(bounds[at + 1], bounds[at + 2]) if at + 2 < len(bounds) else range(0)

    def _find(self, key: str, at: int) -> int:
        pattern = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[=\].]")
        return next((line + 1 for line in self._span(at) if pattern.match(self._lines[line])), self._line(at))

    def _find_path(self, path: bytes, key: str, at: int) -> int:
        start, literal = self._find(key, at), _encode_path(path)
        shown = ((line + 1, self._lines[line]) for line in self._span(at) if line + 1 >= start)
        found = (line for line, text in shown if literal in text and not text.lstrip().startswith("#"))
        return next(found, start)
