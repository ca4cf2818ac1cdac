"""One run of the command: the patches in turn, each checked as a whole and then written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from msgspec.structs import replace

from patches.errors import EmptyPatch, PatchSyntaxError
from patches.gitapply import gitcommands, report
from patches.gitapply.ancestor import write_fake_ancestor
from patches.gitapply.checks import Checks
from patches.gitapply.contents import Contents
from patches.gitapply.gitcommands import Blobs
from patches.gitapply.hunktexts import HunkTexts
from patches.gitapply.merging import Merge, MergeWay
from patches.gitapply.reading import read_parts
from patches.gitapply.refusals import Fatal
from patches.gitapply.results import Results
from patches.gitapply.settings import settle
from patches.gitapply.targets import Files, Index
from patches.gitapply.voice import SILENT, added_errors
from patches.gitapply.whitespacereport import report_added_lines
from patches.parse import CORRUPT_BINARY, UNKNOWN_BINARY
from patches.whitespace import rule_for

if TYPE_CHECKING:
    from patches.gitapply.arguments import Arguments
    from patches.gitapply.parts import Part
    from patches.gitapply.voice import Voice
    from patches.whitespace import WhitespaceRule

_NOTHING_VALID = 'No valid patches in input (allow with "--allow-empty")'
_PIECE_BYTES = 1 << 20
_LARGEST_PATCH_BYTES = (1023 << 20) - 1


class _Failed(Exception):
    """A patch did not apply: nothing more is tried, and the index stays."""


class Session:
    """Applies patches one after the other; the index is written once, behind the last."""

    def __init__(self, arguments: Arguments, voice: Voice, output: IO[bytes]) -> None:
        """Find the repository and go to the top of its work tree.

        Raises:
            Fatal: the arguments contradict each other, or need a repository.
        """
        self._arguments = arguments
        self._voice = voice
        self._output = output
        self._place = gitcommands.find_place()
        self._configuration = gitcommands.read_configuration()
        self._settings = settle(arguments, self._configuration, self._place)
        self._options = self._settings.options
        self._applies = self._settings.applies
        voice.verbosity = self._settings.verbosity
        voice.limits_whitespace_errors = self._options.whitespace != "error-all"
        if self._place.top is not None:
            os.chdir(self._place.top)
        # In a bare repository, or inside of one, there are no attributes files.
        self._files = Files(self._configuration, has_attributes=self._place.top is not None)
        self._blobs = Blobs() if self._settings.in_repository else None
        self._index = Index(self._blobs) if self._blobs is not None and self._settings.uses_index else None
        self._widths = report.Widths()
        self._results: list[Results] = []

    def run(self, names: Sequence[str], source: IO[bytes]) -> int:
        """Apply the patches that are named, or the one on ``source``, and return the exit code.

        Raises:
            Fatal: a patch cannot be read, or the command cannot go on; the index stays.
            GitFailed: likewise.
        """
        fine = True
        try:
            for name in names or ("-",):
                if name == "-":
                    fine &= self._apply(_read_all(source), "<stdin>")
                else:
                    path = self._from_here(name)
                    fine &= self._apply(self._read_file(path), path)
        except _Failed:
            return 1
        finally:
            if self._blobs is not None:
                self._blobs.close()
        self._sum_up_whitespace()
        for results in self._results:
            results.finish()
        return 0 if fine else 1

    def _from_here(self, name: str) -> str:
        """Return a file's name as seen from the top of the work tree."""
        return name if name.startswith("/") else os.fsdecode(self._place.prefix) + name

    def _read_file(self, path: str) -> bytes:
        try:
            with open(path, "rb") as file:
                return _read_all(file)
        except OSError as error:
            raise Fatal(f"can't open patch '{path}': {error.strerror}") from error

    def _apply(self, data: bytes, name: str) -> bool:
        """Apply one patch; tell whether that went without a remark."""
        self._voice.patch_name = name
        parts = self._parse(data, name)
        texts = HunkTexts(data)
        for part in parts:
            self._widths.add(part)
        self._files.prepare(path for part in parts for path in (part.old_path, part.new_path) if path)
        rules = self._rules(parts)
        if self._options.whitespace != "nowarn":
            report_added_lines(parts, rules, self._options, self._voice)
            self._heed_whitespace()
        fine = True
        if parts and (self._applies or self._arguments.check):
            fine = self._check_and_write(parts, rules, texts)
        if fine:
            self._tell(parts)
        return fine

    def _parse(self, data: bytes, name: str) -> list[Part]:
        try:
            return read_parts(data, self._options, self._place.prefix, self._voice)
        except EmptyPatch:
            if self._arguments.allow_empty:
                return []
            raise Fatal(_NOTHING_VALID) from None
        except PatchSyntaxError as error:
            shown = "" if error.shown is None else ": " + os.fsdecode(error.shown)
            refusal = f"{error.fault} at {name}:{error.at_line}{shown}"
            if error.fault in (CORRUPT_BINARY, UNKNOWN_BINARY):
                self._voice.error(refusal)
                refusal = _NOTHING_VALID
            raise Fatal(refusal) from error

    def _check_and_write(
        self, parts: list[Part], rules: dict[bytes, WhitespaceRule], texts: HunkTexts
    ) -> bool:
        settings, index = self._settings, self._index
        if index is not None and not settings.cached:
            index.prepare(path for part in parts for path in (part.old_path, part.new_path) if path)
        contents = Contents(
            self._options, rules, self._blobs, self._voice,
            rejects=self._arguments.reject, adds=not self._arguments.no_add, merge=self._merge(),
        )  # fmt: skip
        checks = Checks(
            parts, self._files, index, contents, self._voice,
            cached=settings.cached, unsafe_paths=settings.unsafe_paths, merges=self._arguments.threeway,
        )  # fmt: skip
        if not checks.run() and not self._arguments.reject:
            raise _Failed
        self._heed_whitespace()
        if not self._applies:
            return True
        files = None if settings.cached else self._files
        results = Results(files, index, checks.symlinks, self._voice, intends=settings.intends)
        self._results.append(results)
        fine = results.write(parts, texts)
        if not fine and self._arguments.reject:
            raise _Failed
        return fine

    def _merge(self) -> Merge | None:
        if not self._arguments.threeway or self._blobs is None:
            return None
        way = MergeWay(self._configuration, self._files, self._arguments.favor)
        return Merge(way, self._blobs, self._voice)

    def _rules(self, parts: list[Part]) -> dict[bytes, WhitespaceRule]:
        """Return what counts as a whitespace error in each file."""
        rules: dict[bytes, WhitespaceRule] = {}
        for part in parts:
            rule = rule_for(self._files.attribute(part.path, "whitespace"), self._settings.rule)
            if part.has_old_crlf:
                rule = replace(rule, cr_at_eol=True)
            if rule.incomplete_line and part.makes_symlink:
                rule = replace(rule, incomplete_line=False)  # The target of a symlink has no newline.
            rules[part.path] = rule
        return rules

    def _heed_whitespace(self) -> None:
        """Write nothing once there are whitespace errors that count as such."""
        if self._voice.whitespace_errors and self._options.whitespace in ("error", "error-all"):
            self._applies = False

    def _sum_up_whitespace(self) -> None:
        voice = self._voice
        if self._options.whitespace in ("error", "error-all") and voice.whitespace_errors:
            voice.sum_up_hidden()
            raise Fatal(added_errors(voice.whitespace_errors))
        voice.sum_up_whitespace(applied=self._applies)

    def _tell(self, parts: list[Part]) -> None:
        """Print what was asked for about the patch."""
        asked = self._arguments
        if asked.fake_ancestor is not None:
            write_fake_ancestor(parts, self._from_here(asked.fake_ancestor))
        if self._voice.verbosity <= SILENT:
            return
        if asked.stat:
            self._output.write(report.format_stat(parts, self._widths))
        if asked.numstat:
            self._output.write(report.format_numstat(parts, nul_terminated=asked.nul_terminated))
        if asked.summary:
            self._output.write(report.format_summary(parts))
        self._output.flush()


def _read_all(source: IO[bytes]) -> bytes:
    # Asked for so much at once, Python would take the memory before it knows what there is.
    pieces: list[bytes] = []
    size = 0
    while piece := source.read(_PIECE_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > _LARGEST_PATCH_BYTES:
            raise Fatal("patch too large")
    return b"".join(pieces)
