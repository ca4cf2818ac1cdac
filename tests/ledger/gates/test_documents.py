"""The text of a configuration file: every key's line is exact, whatever TOML is around it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.gates.documents import InvalidConfiguration, find_line, join_key, parse_document

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


class Statement(NamedTuple):
    """Lines of a document, and the key in them whose line is theirs; none for what is no statement."""

    lines: tuple[str, ...]
    key: tuple[str | int, ...]


def statements(table: tuple[str | int, ...], name: str) -> list[Statement]:
    """Return ways to write a value at ``name`` in the table that is open."""
    return [
        Statement((f"{name} = 1",), (*table, name)),
        Statement((f'"{name}" = "[tool.ledger]"  # {name} = 2',), (*table, name)),
        Statement((f"{name}.'dotted key' . z = true",), (*table, name, "dotted key", "z")),
        Statement((f"{name} = [", f'  "{name}",', "", "  [1,", "  2], # ]", "]"), (*table, name)),
        Statement((f"{name} = '''", f"{name} = 1", "[tool.ledger]", 'x = """', "'''"), (*table, name)),
        Statement((f'{name} = """', "[[gates]]\\", "  '''", '\\"""', '"""'), (*table, name)),
        Statement((f"{name} = {{ a = {{ b = '}}' }}, c = [", "1,", "] }"), (*table, name, "a", "b")),
    ]


@st.composite
def documents(draw: st.DrawFn) -> list[Statement]:
    """Draw a document as its statements, with tables, arrays of tables, comments and empty lines."""
    made: list[Statement] = []
    table: tuple[str | int, ...] = ()
    arrays = 0
    for number in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["value", "value", "table", "array", "comment", "empty"]))
        if kind == "value":
            made.append(draw(st.sampled_from(statements(table, f"k{number}"))))
        elif kind == "table":
            table = (f"t{number}", "in side")
            made.append(Statement((f" [ t{number} . 'in side' ] # [x]",), table))
        elif kind == "array":
            table = ("many", arrays)
            arrays += 1
            made.append(Statement(("[[many]]",), table))
        else:
            made.append(Statement(("# '''" if kind == "comment" else "",), ()))
    return made


@given(documents(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_every_key_is_found_where_it_was_written(made: list[Statement], newline: str, ended: bool) -> None:
    lines = [line for statement in made for line in statement.lines]
    written = newline.join(lines) + (newline if ended else "")
    text = written.replace("\r\n", "\n")
    tomllib.loads(written)
    start = 1
    for statement in made:
        if statement.key:
            assert find_line(text, statement.key) == start
        start += len(statement.lines)
    assert find_line(text, ("nowhere",)) == 0


def test_tables_of_this_projects_own_file_are_found() -> None:
    """A real file, beside a search for the headers' own text."""
    text = PYPROJECT.read_text("utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("[tool.") and '"' not in line:
            assert find_line(text, line.strip("[]").split(".")) == number
    assert (
        find_line(text, ("project", "dependencies")) == text[: text.index("dependencies =")].count("\n") + 1
    )


@pytest.mark.parametrize(
    ("key", "text"),
    [((), ""), (("a", "b-c"), "a.b-c"), (("a", 2, "x y"), 'a[2]."x y"'), (("é",), '"é"')],
)
def test_keys_are_named_as_toml_writes_them(key: tuple[str | int, ...], text: str) -> None:
    assert join_key(key) == text.encode("ascii", "backslashreplace").decode().replace("\\xe9", "\\u00e9")


BROKEN = [
    (b"[tool.ledger]\nx = \n", 2, "Invalid value (at line 2, column 5)"),
    (b"[ 'tool' . \"ledger\" ]\n\nx = [1,\n", 4, "(at end of document)"),
    (b"[tool]\nledger = { profile = }\n", 2, "(at line 2, column 22)"),
    (b"[tool]\nledger.profile = dev\n", 2, "(at line 2, column 18)"),
    (b"x = ]\n[tool.ledger]\n", 1, "(at line 1, column 5)"),
    (b"[tool.ledger]\na = 1\nb = '\xff'\n", 3, "not UTF-8: invalid start byte"),
]


@pytest.mark.parametrize(("data", "line", "words"), BROKEN)
def test_a_broken_pyproject_that_may_mean_us_is_an_error(data: bytes, line: int, words: str) -> None:
    """With the parser's own place."""
    with pytest.raises(InvalidConfiguration) as caught:
        parse_document(None, data)
    assert (caught.value.file, caught.value.line) == ("pyproject.toml", line)
    assert words in str(caught.value)


@pytest.mark.parametrize("depth", [900, 5000])
def test_nesting_without_end_is_refused_as_anything_else(depth: int) -> None:
    """The parser gives up with an error of its own kind, which is no fault of ledger."""
    for data in (b"a = " + b"[" * depth, b"a = " + b"[" * depth + b"]" * depth):
        with pytest.raises(InvalidConfiguration, match="nested too deeply"):
            parse_document(data, None)


@pytest.mark.parametrize(
    "data",
    [b"[tool.ruff]\nx = \n", b"[tool.ledgers]\nx = \n", b"\xff", b'name = "ledger" ]', b"[tool.ruff]\nx = 1"],
)
def test_a_pyproject_without_a_word_of_us_is_none_of_our_business(data: bytes) -> None:
    assert parse_document(None, data) is None


def test_a_broken_ledger_toml_is_always_an_error() -> None:
    with pytest.raises(InvalidConfiguration, match=r"^ledger\.toml:2: not TOML: "):
        parse_document(b"a = 1\nb\n", b"[tool.ledger]")
