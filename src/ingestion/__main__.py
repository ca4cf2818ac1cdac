"""What encoding files are in, one line each: ``python -m ingestion FILE…``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import NamedTuple

from ingestion.encoding_detect import detect, read_bytes
from ingestion.errors import IngestionError, NotAFile
from ingestion.utils import marked_encodings, newline_kind

INPUT_OUTPUT = 8  # as `ledger` has it
INTERRUPTED = 130
STDIN = "-"

_DESCRIPTION = """\
Print the encoding of each file, whether it has a byte order mark, how its lines end (lf, crlf, cr, mixed,
none), what the answer rests on, and whether it is a guess, with the share of it among all readings."""
_EPILOG = """\
evidence: bom, utf-8 (valid as it), escapes (ISO-2022), declared (PEP 263, XML, HTML, CSS): not guessed;
zeros (UTF-16 or UTF-32 without a mark), statistics, default: guessed.

exit codes: 0 done, 2 usage, 8 a file cannot be read or is no text (the others are printed all the same)."""


class Summary(NamedTuple):
    """What is said about one file."""

    path: str
    encoding: str
    bom: bool
    newline: str
    evidence: str
    guessed: bool
    confidence: float

    def line(self) -> str:
        """Return it for people."""
        bom = "bom" if self.bom else "no bom"
        sure = f"guessed, {self.confidence:.0%}" if self.guessed else "not guessed"
        return f"{self.path}: {self.encoding}, {bom}, {self.newline}, {self.evidence} ({sure})"


def summarize(path: str, data: bytes) -> Summary:
    """Return what ``data`` is, which was read from ``path``.

    Raises:
        BinaryContent: it is no text.
        UndecodableText: it is UTF-8 but for a few bytes.
    """
    found = detect(data, name=path)
    return Summary(
        path=path,
        encoding=found.encoding,
        bom=found.encoding in marked_encodings(data),
        newline=newline_kind(data.decode(found.encoding)),
        evidence=found.evidence,
        guessed=found.guessed,
        confidence=round(found.confidence, 3),
    )


def main(words: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ingestion",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file, or - for standard input")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(words)
    code = 0
    for path in options.files:
        try:
            summary = summarize(path, _read(path))
        except IngestionError as error:
            print(f"error: {_printable(str(error))}", file=sys.stderr)
            code = INPUT_OUTPUT
            continue
        print(json.dumps(summary._asdict()) if options.json else _printable(summary.line()))
    return code


def _read(path: str) -> bytes:
    if path != STDIN:
        return read_bytes(path)
    if sys.stdin is None:  # it was closed before we started
        raise NotAFile(path, "standard input is closed")
    return sys.stdin.buffer.read()


def _printable(line: str) -> str:
    """Return ``line`` as one line that any terminal takes; a path may hold anything."""
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    encoding = sys.stdout.encoding or "utf-8"
    return shown.encode(encoding, "backslashreplace").decode(encoding)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader had enough. Python would complain once more when it flushes at exit.
        sys.stdout = None
        sys.exit(INPUT_OUTPUT)
