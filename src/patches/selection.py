"""Which files of a patch are taken, and under which paths: ``--directory``, ``--include``, ``--exclude``."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from patches.globs import match_flat
from patches.model import FilePatch
from patches.options import ApplyOptions, PathRule


def select_files(files: Sequence[FilePatch], options: ApplyOptions) -> tuple[FilePatch, ...]:
    """Return the files that ``options`` choose, with their paths under its directory."""
    placed = [_placed(file, options.directory) for file in files] if options.directory else files
    return tuple(file for file in placed if is_selected(file.new_path or file.old_path or b"", options.paths))


def is_selected(path: bytes, rules: Sequence[PathRule]) -> bool:
    """Tell whether ``rules`` choose ``path``: the first that matches decides.

    What none matches is chosen, unless there is a rule that includes: then only what is included is.
    """
    for rule in rules:
        if match_flat(path, rule.glob):
            return rule.include
    return not any(rule.include for rule in rules)


def _placed(file: FilePatch, directory: bytes) -> FilePatch:
    def place(path: bytes | None) -> bytes | None:
        return None if path is None else directory + b"/" + path

    return replace(
        file,
        old_path=place(file.old_path),
        new_path=place(file.new_path),
        other_path=place(file.other_path),
        copied_from=place(file.copied_from),
    )
