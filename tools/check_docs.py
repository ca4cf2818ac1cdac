"""Checks the documents: links inside the repository resolve, and the commands they show exist.

    python tools/check_docs.py [FILE.md …]

In ``console`` blocks every ``ledger …`` is parsed by the real command line, so a document cannot show an
option that is not there. Nothing is run.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import click

from ledger.cli.app import cli

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})\s*([\w-]*)")
LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s*(\S+)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
CODE_SPAN = re.compile(r"`[^`]*`")
SEPARATORS = {"|", "||", "&&", ";", "&"}


class Line(NamedTuple):
    """A line of a document: its number from 1, its text, and the language of the block around it."""

    number: int
    text: str
    block: str | None


class Problem(NamedTuple):
    """What is wrong in a document, and where."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        path = self.path.relative_to(ROOT) if self.path.is_relative_to(ROOT) else self.path
        return f"{path}:{self.line}: {self.message}"


def read_lines(path: Path) -> Iterator[Line]:
    """Yield a document's lines, those of a block less its indentation; a fence itself belongs to no line."""
    indent, fence, block = "", "", None
    for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        found = FENCE.match(text)
        if block is None and found:
            indent, fence, block = found[1], found[2], found[3]
        elif block is not None and found and found[2].startswith(fence) and not found[3]:
            block = None
        else:
            yield Line(number, text if block is None else text.removeprefix(indent), block)


def slug(heading: str) -> str:
    """Return the anchor that a forge gives a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    """Return a document's anchors; a heading that comes again gets ``-1``, then ``-2``."""
    found: set[str] = set()
    counts: dict[str, int] = {}
    for line in read_lines(path):
        heading = HEADING.match(line.text) if line.block is None else None
        if heading:
            name = slug(heading[1])
            seen = counts.get(name, 0)
            counts[name] = seen + 1
            found.add(f"{name}-{seen}" if seen else name)
    return found


def check_links(path: Path) -> Iterator[Problem]:
    """Yield the links of a document that lead nowhere in the repository."""
    for line in read_lines(path):
        if line.block is not None:
            continue
        for found in LINK.finditer(CODE_SPAN.sub("", line.text)):
            target = found[1] or found[2]
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            name, _, anchor = target.partition("#")
            file = (path.parent / name).resolve() if name else path
            if not file.is_relative_to(ROOT) or not file.exists():
                yield Problem(path, line.number, f"link to {target}: no such file")
            elif anchor and file.suffix == ".md" and anchor not in anchors(file):
                yield Problem(path, line.number, f"link to {target}: no such heading")


def check_commands(path: Path) -> Iterator[Problem]:
    """Yield the ``ledger`` commands of a document's console blocks that the command line refuses."""
    for number, command in shown_commands(path):
        try:
            words = split_words(command)
        except ValueError as error:
            yield Problem(path, number, f"{command}: {error}")
            continue
        for arguments in ledger_arguments(words):
            error = parse_error(arguments)
            if error:
                yield Problem(path, number, f"ledger {shlex.join(arguments)}: {error}")


def split_words(command: str) -> list[str]:
    """Return a shell line's words, operators apart, a comment at its end left out."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)


def shown_commands(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the ``$ …`` lines of console blocks, joined where a backslash or an open quote continues them."""
    pending, start = "", 0
    for line in read_lines(path):
        if line.block != "console":
            pending = ""
        elif pending:
            pending += "\n" + line.text.removeprefix("> ")
        elif line.text.startswith("$ "):
            pending, start = line.text[2:], line.number
        if pending and not is_open(pending):
            yield start, pending
            pending = ""
    if pending:
        yield start, pending


def is_open(command: str) -> bool:
    """Tell whether the shell would go on reading after ``command``."""
    try:
        split_words(command)
    except ValueError:
        return True
    return command.endswith("\\")


def ledger_arguments(words: list[str]) -> Iterator[list[str]]:
    """Yield the arguments of each call of ``ledger`` in a shell line; redirections are not arguments."""
    current: list[str] = []
    for word in [*words, ";"]:
        if word not in SEPARATORS:
            current.append(word)
            continue
        while current and re.fullmatch(r"\w+=.*", current[0]):
            del current[0]
        if current and current[0] == "ledger":
            redirect = next((i for i, each in enumerate(current) if each and set(each) <= set("<>&")), None)
            yield current[1:redirect]
        current = []


def parse_error(arguments: list[str]) -> str | None:
    """Return what the command line says against ``arguments``, or None. Nothing is run."""
    if any(each in {"-h", "--help", "--version"} for each in arguments):
        return None
    command: click.Command = cli
    context = click.Context(cli, info_name="ledger")
    try:
        while isinstance(command, click.Group):
            # A group may have a command that needs no name.
            named = getattr(command, "name_default", list[str])
            _, rest, _ = command.make_parser(context).parse_args(named(list(arguments)))
            if not rest:
                return "a command is missing"
            name, found, arguments = command.resolve_command(context, rest)
            if found is None:
                return f"no command {name}"
            command = found
            context = click.Context(command, info_name=name, parent=context)
        command.make_context(context.info_name, list(arguments), parent=context.parent)
    except click.UsageError as error:
        return error.format_message()
    return None


CHECKS: tuple[Callable[[Path], Iterator[Problem]], ...] = (check_links, check_commands)


def documents() -> list[Path]:
    """Return the repository's Markdown files: tracked, or new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def main(names: list[str]) -> int:
    """Print every problem.

    Returns:
        1 if there is one.
    """
    paths = [Path(name).resolve() for name in names] or documents()
    problems = [problem for path in paths for check in CHECKS for problem in check(path)]
    for problem in problems:
        print(problem)
    print(f"{len(paths)} documents, {len(problems)} problems", file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
