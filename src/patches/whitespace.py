"""Whitespace errors as ``core.whitespace`` and the attribute ``whitespace`` define them: found, and mended.

Git's whitespace is the space, the tab, the carriage return and the newline; nothing else.

See: ``core.whitespace`` in ``git-config(1)``; "Checking whitespace errors" of ``gitattributes(5)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from patches.errors import PatchError
from patches.hunks import new_lines
from patches.model import MODE_SYMLINK, FilePatch, Hunk

_ADDED = ord("+")
BLANKS = b" \t\r\n"
_INDENT = re.compile(rb"[ \t]*")
_SPACES = re.compile(rb" +")

WhitespaceError: TypeAlias = Literal[
    "trailing whitespace",
    "new blank line at EOF",
    "space before tab in indent",
    "indent with spaces",
    "tab in indent",
    "no newline at the end of file",
]


class BadWhitespaceRule(PatchError):
    """The rule asks for indentation that has neither tabs nor spaces."""

    def __init__(self) -> None:
        super().__init__("cannot enforce both tab-in-indent and indent-with-non-tab")


class WhitespaceRule(Struct, frozen=True, kw_only=True):
    """What counts as an error. The defaults are Git's."""

    blank_at_eol: bool = True
    blank_at_eof: bool = True
    space_before_tab: bool = True
    indent_with_non_tab: bool = False
    tab_in_indent: bool = False
    cr_at_eol: bool = False
    """A carriage return before the newline belongs to the end of the line."""
    incomplete_line: bool = False
    tab_width: int = 8


DEFAULT_RULE = WhitespaceRule()
NO_RULE = WhitespaceRule(blank_at_eol=False, blank_at_eof=False, space_before_tab=False)

# In the order in which an abbreviation is looked up.
_NAMES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("trailing-space", ("blank_at_eol", "blank_at_eof")),
    ("space-before-tab", ("space_before_tab",)),
    ("indent-with-non-tab", ("indent_with_non_tab",)),
    ("cr-at-eol", ("cr_at_eol",)),
    ("blank-at-eol", ("blank_at_eol",)),
    ("blank-at-eof", ("blank_at_eof",)),
    ("tab-in-indent", ("tab_in_indent",)),
    ("incomplete-line", ("incomplete_line",)),
)


def parse_rule(text: str) -> WhitespaceRule:
    """Return the rule that a comma-separated list makes of Git's default. Unknown words say nothing.

    Raises:
        BadWhitespaceRule: it forbids tabs and spaces both.
    """
    fields: dict[str, bool | int] = {}
    for item in text.split(","):
        word = item.lstrip(" \t\r\n")
        wanted = not word.startswith("-")
        word = word.removeprefix("-")
        if not word:
            continue
        width = word.removeprefix("tabwidth=")
        if width != word and width.isdigit() and 0 < int(width) < 64:
            fields["tab_width"] = int(width)
        names = next((names for full, names in _NAMES if full.startswith(word)), ())
        fields.update(dict.fromkeys(names, wanted))
    rule = replace(DEFAULT_RULE, **fields)
    if rule.tab_in_indent and rule.indent_with_non_tab:
        raise BadWhitespaceRule
    return rule


def rule_for(attribute: str | None, configured: WhitespaceRule) -> WhitespaceRule:
    """Return the rule of one path.

    Args:
        attribute: its attribute ``whitespace`` as ``git check-attr`` prints it; None where it has none.
        configured: the rule of ``core.whitespace``.

    Raises:
        BadWhitespaceRule: the attribute forbids tabs and spaces both.
    """
    if attribute is None:
        return configured
    if attribute == "unset":
        return replace(NO_RULE, tab_width=configured.tab_width)
    if attribute == "set":
        return WhitespaceRule(indent_with_non_tab=True, incomplete_line=True, tab_width=configured.tab_width)
    return parse_rule(attribute)


def adapted_rule(file: FilePatch, rule: WhitespaceRule) -> WhitespaceRule:
    """Return a path's rule as far as it holds for one patch of it.

    A file of CRLF lines may have more of them, and the target of a symlink never has a newline.
    """
    if not rule.cr_at_eol and any(b"\r\n" in hunk.old for hunk in file.hunks):
        rule = replace(rule, cr_at_eol=True)
    if rule.incomplete_line and (file.new_mode or file.old_mode) == MODE_SYMLINK:
        rule = replace(rule, incomplete_line=False)
    return rule


def added_errors(
    hunks: Iterable[Hunk], rule: WhitespaceRule, *, context: bool = False
) -> Iterator[tuple[int, list[WhitespaceError], bytes]]:
    """Yield the errors of the lines that hunks add: where in the patch, which ones, and the line.

    Args:
        hunks: of one file.
        rule: what counts there.
        context: lines of context are looked at too.
    """
    for hunk in hunks:
        for at_line, mark, line in new_lines(hunk):
            if (context or mark == _ADDED) and (errors := find_errors(line, rule)):
                yield at_line, errors, line


def is_blank(line: bytes) -> bool:
    """Tell whether a line holds nothing but whitespace."""
    return not line.strip(BLANKS)


def find_errors(line: bytes, rule: WhitespaceRule) -> list[WhitespaceError]:
    """Return the errors of one line, which has its newline unless it is a file's last and lacks it."""
    errors: list[WhitespaceError] = []
    body = line.removesuffix(b"\n")
    if rule.cr_at_eol:
        body = body.removesuffix(b"\r")
    text = body.rstrip(BLANKS) if rule.blank_at_eol else body
    if len(text) < len(body):
        errors.append("trailing whitespace")
    indent = _indent(text)
    spaces_before_tab = b" \t" in indent
    if rule.space_before_tab and spaces_before_tab:
        errors.append("space before tab in indent")
    if rule.indent_with_non_tab and len(indent) - (indent.rfind(b"\t") + 1) >= rule.tab_width:
        errors.append("indent with spaces")
    # A tab behind a space was already said to be wrong.
    if rule.tab_in_indent and re.search(rb"(?:^|\t)\t" if rule.space_before_tab else rb"\t", indent):
        errors.append("tab in indent")
    if rule.incomplete_line and not line.endswith(b"\n"):
        errors.append("no newline at the end of file")
    return errors


def mend_line(line: bytes, rule: WhitespaceRule) -> bytes:
    """Return a line without the errors that can be mended."""
    body, end = line, b""
    if rule.incomplete_line and body and not body.endswith(b"\n"):
        end = b"\n"
    if rule.blank_at_eol:
        if body.endswith(b"\n"):
            body, end = body[:-1], b"\n"
            if body.endswith(b"\r"):
                body, end = body[:-1], b"\r\n" if rule.cr_at_eol else b"\n"
        body = body.rstrip(BLANKS)
    return _mend_indent(body, rule) + end


def _indent(text: bytes) -> bytes:
    match = _INDENT.match(text)
    return match[0] if match is not None else b""


def _mend_indent(body: bytes, rule: WhitespaceRule) -> bytes:
    indent = _indent(body)
    if not indent:
        return body
    after_tab = indent.rfind(b"\t") + 1
    too_many_spaces = rule.indent_with_non_tab and b" " * rule.tab_width in indent
    if too_many_spaces or (rule.space_before_tab and b" \t" in indent):
        stop = len(indent) if rule.indent_with_non_tab else after_tab
        head = _SPACES.sub(lambda run: _tabs_for(run, stop, rule.tab_width), body[:stop])
        return head + body[stop:]
    if rule.tab_in_indent and after_tab:
        return body[:after_tab].expandtabs(rule.tab_width) + body[after_tab:]
    return body


def _tabs_for(run: re.Match[bytes], stop: int, width: int) -> bytes:
    """Return the tabs that stand for a run of spaces; what is left over vanishes before a tab."""
    tabs, spaces = divmod(len(run[0]), width)
    return b"\t" * tabs + b" " * (spaces if run.end() == stop else 0)
