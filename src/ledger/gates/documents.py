"""Documents: the text of a configuration file, what its values mean, and the line of each.

See: https://toml.io/en/v1.0.0
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from math import isfinite
from pathlib import PurePosixPath
from typing import Annotated, Any, NamedTuple, TypeAlias, cast

import msgspec
from msgspec import Meta

from ledger.errors import LedgerError

Key: TypeAlias = tuple[str | int, ...]
"""Where a value stands in a document: names of tables, positions in arrays."""

Parser: TypeAlias = Callable[[object], Any]
"""Returns what a TOML value means; raises `Unfit`."""


class InvalidConfiguration(LedgerError):
    """The configuration says something that means nothing. Nothing was written.

    ``line`` counts from 1, 0 where no line is to blame; ``allowed`` are the names that would do.
    """

    hint = "`ledger policy show` prints every key there is, with the value in force"

    def __init__(self, file: str, line: int, key: str, reason: str, allowed: Sequence[str] = ()) -> None:
        self.file, self.line, self.key, self.reason, self.allowed = file, line, key, reason, tuple(allowed)
        place = f"{file}:{line}" if line else file
        names = f"\n  allowed: {', '.join(allowed)}" if allowed else ""
        super().__init__(": ".join(part for part in (place, key, reason) if part) + names)


class Unfit(Exception):
    """A value is not what its key takes."""

    def __init__(self, reason: str, allowed: Sequence[str] = ()) -> None:
        self.reason, self.allowed = reason, tuple(allowed)


def nearest(name: str, known: Collection[str]) -> str:
    """Return a question about the known name that ``name`` was meant for, "" where none is close."""
    close = get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


# ── values ───────────────────────────────────────────────────────────────────────────────────────


class Word(NamedTuple):
    """What a value has to be: for msgspec, and for a person."""

    kind: Any
    words: str

    def __call__(self, value: object) -> Any:
        """Return the value as its kind."""
        try:
            found = msgspec.convert(value, self.kind)
        except msgspec.ValidationError as error:
            raise Unfit(f"expected {self.words}, got {describe(value)}") from error
        if isinstance(found, float) and not isfinite(found):
            raise Unfit(f"expected {self.words}, got {value}")
        return found


_Filled: TypeAlias = Annotated[str, Meta(min_length=1)]
_Variable: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z")]
_Argument: TypeAlias = Annotated[str, Meta(pattern=r"^[^\0]*\Z")]

TEXT = Word(_Filled, "a string that is not empty")
FREE_TEXT = Word(str, "a string")
TEXTS = Word(tuple[_Filled, ...], "an array of strings that are not empty")
FLAG = Word(bool, "true or false")
NUMBER = Word(float, "a number")
LABELS = Word(dict[str, str], "a table of strings")
VARIABLES = Word(tuple[_Variable, ...], "an array of names of environment variables")
COUNT = Word(Annotated[int, Meta(ge=1)], "an integer from 1")
CODES = Word(
    Annotated[tuple[Annotated[int, Meta(ge=0, le=255)], ...], Meta(min_length=1)],
    "an array of exit codes from 0 to 255",
)
_seconds = Word(Annotated[float, Meta(gt=0)], 'more than 0 seconds, or a text such as "10m"')
_arguments = Word(Annotated[tuple[_Argument, ...], Meta(min_length=1)], "a command")


def describe(value: object) -> str:
    """Return what a value is, in TOML's words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return repr(value)
    if isinstance(value, dict):
        return "a table"
    return "an array" if isinstance(value, list) else "a date or time"


def choice(*allowed: str) -> Parser:
    """Return what parses one of a few names."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            near = nearest(value, allowed) if isinstance(value, str) else ""
            raise Unfit(f"{describe(value)} is none of the names that can stand here{near}", allowed)
        return value

    return parse


def parse_command(value: object) -> tuple[str, ...]:
    """Return an argument vector: of a text as a shell would split it, or of an array as it is."""
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError as error:
            raise Unfit(f"cannot be split into arguments: {error}") from error
    command: tuple[str, ...] = _arguments(value)
    if not command[0]:
        raise Unfit("the name of the program is empty")
    return command


def parse_commands(value: object) -> tuple[tuple[str, ...], ...]:
    """Return the argument vectors of an array of commands."""
    if not isinstance(value, list):
        raise Unfit(f"expected an array of commands, got {describe(value)}")
    return tuple(parse_command(each) for each in cast("list[object]", value))


_DURATION = re.compile(r"(?=\d)(?:(\d+)h)? ?(?:(\d+)m)? ?(?:(\d+(?:\.\d+)?)s)?")


def parse_duration(value: object) -> float:
    """Return seconds: of a number, or of a text such as ``10m`` or ``1h 30m``."""
    if not isinstance(value, str):
        return _seconds(value)
    match = _DURATION.fullmatch(value)
    if match is None:
        raise Unfit(f"expected {_seconds.words}, got {value!r}")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    total = hours * 3600 + minutes * 60 + seconds
    if total == 0 or not isfinite(total):
        raise Unfit(f"expected {_seconds.words}, got {value!r}")
    return total


_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(?:([KMGT])i?)?B?")


def parse_size(value: object) -> int:
    """Return bytes: of a number, or of a text such as ``512MiB``. All units are powers of 1024."""
    match = _SIZE.fullmatch(str(value)) if isinstance(value, str | int) else None
    size = float(match[1]) * 1024 ** " KMGT".index(match[2] or " ") if match else 0
    if size < 1:
        raise Unfit(f'expected a number of bytes, or a text such as "512MiB", got {describe(value)}')
    return int(size)


def parse_inside(value: object) -> tuple[str, ...]:
    """Return paths or globs that stay inside the tree."""
    paths: tuple[str, ...] = TEXTS(value)
    for path in paths:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise Unfit(f"{path!r} leads out of the tree; paths are relative to its root")
    return paths


# ── documents ────────────────────────────────────────────────────────────────────────────────────


def find_line(text: str, key: Sequence[str | int]) -> int:
    """Return the line where the statement begins that first mentions ``key``, from 1; 0 where none does.

    A statement of TOML ends at a line's end, and a beginning that is cut inside one is no TOML. So of
    the beginnings that parse, the shortest that holds the key ends with the statement looked for, and
    the one before it ends where that begins: no grammar but the parser's is needed.

    Args:
        text: A whole document that parses.
        key: Names of tables and keys, and positions in arrays.
    """
    if not _holds(text, key):
        return 0
    lines = text.split("\n")
    before, holding = 0, len(lines)
    while True:
        middle = (before + holding) // 2
        # Nearest first: what is skipped lies inside one statement.
        for cut in (*range(middle, before, -1), *range(middle + 1, holding)):
            held = _holds("\n".join(lines[:cut]) + "\n", key)
            if held is not None:
                break
        else:
            return before + 1
        before, holding = (before, cut) if held else (cut, holding)


def _holds(text: str, key: Sequence[str | int]) -> bool | None:
    """Return whether a document has a key; None where it does not parse."""
    try:
        return _look_up(tomllib.loads(text), key) is not None
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def _look_up(value: Any, key: Sequence[str | int]) -> Any:
    """Return what stands at a key, None where nothing does: TOML has no null."""
    for part in key:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class Document(NamedTuple):
    """One configuration file: its text, and the table in it that is ours."""

    file: str
    text: str
    root: Key
    table: object

    def fault(self, key: Key, reason: str, allowed: Sequence[str] = ()) -> InvalidConfiguration:
        """Return the error about one key."""
        whole = (*self.root, *key)
        return InvalidConfiguration(self.file, find_line(self.text, whole), join_key(whole), reason, allowed)

    def parse(self, key: Key, parsers: Mapping[str, Parser]) -> dict[str, Any]:
        """Return the values of the table at ``key``."""
        table = _look_up(self.table, key)
        if not isinstance(table, dict):
            raise self.fault(key, f"expected a table, got {describe(table)}")
        found: dict[str, Any] = {}
        for name, value in cast("dict[str, object]", table).items():
            if name not in parsers:
                close = nearest(name, parsers)
                raise self.fault((*key, name), f"there is no such key{close}", tuple(parsers))
            try:
                found[name] = parsers[name](value)
            except Unfit as unfit:
                raise self.fault((*key, name), unfit.reason, unfit.allowed) from unfit
        return found

    def names(self, key: Key) -> Iterator[str]:
        """Yield the names of the tables in the table at ``key``."""
        table = _look_up(self.table, key)
        if table is not None and not isinstance(table, dict):
            raise self.fault(key, f"expected a table, got {describe(table)}")
        for name in cast("dict[str, object]", table or {}):
            if not _NAME.fullmatch(name):
                raise self.fault((*key, name), "a name has letters, digits, dots, dashes and underscores")
            yield name


def join_key(key: Key) -> str:
    """Return a key as TOML writes it, positions in brackets."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if _BARE.fullmatch(part) else f".{json.dumps(part)}"
    return text.removeprefix(".")


_MENTION = re.compile(
    r"""["']?tool["']?[ \t]*\.[ \t]*["']?ledger\b|^[ \t]*["']?ledger["']?[ \t]*[.=]""", re.MULTILINE
)
"""Where a text that is no TOML may have meant ``[tool.ledger]``."""


def parse_document(ledger_toml: bytes | None, pyproject: bytes | None) -> Document | None:
    """Return the file that counts, None where no file says anything.

    Raises:
        InvalidConfiguration: It is no TOML, and no ``pyproject.toml`` without a word of ``tool.ledger``.
    """
    if ledger_toml is not None:
        return Document("ledger.toml", *_parse("ledger.toml", ledger_toml, ()))
    if pyproject is None:
        return None
    try:
        document = Document("pyproject.toml", *_parse("pyproject.toml", pyproject, ("tool", "ledger")))
    except InvalidConfiguration:
        if _MENTION.search(pyproject.decode("utf-8", "replace")):
            raise
        return None
    return None if document.table is None else document


def _parse(file: str, data: bytes, root: Key) -> tuple[str, Key, object]:
    """Return a file's text, and what stands at ``root`` in it."""
    try:
        # The parser takes CRLF for LF; so must every count of lines.
        text = data.decode("utf-8").replace("\r\n", "\n")
        return text, root, _look_up(tomllib.loads(text), root)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidConfiguration(file, line, "", f"not UTF-8: {error.reason}") from error
    except RecursionError as error:
        raise InvalidConfiguration(file, 0, "", "arrays or tables are nested too deeply") from error
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found[1]) if found else data.count(b"\n") + 1
        raise InvalidConfiguration(file, line, "", f"not TOML: {error}") from error
