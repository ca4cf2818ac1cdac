"""The hunks that did not fit, left beside the file as ``<file>.rej``."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from patches.gitapply.voice import SILENT

if TYPE_CHECKING:
    from patches.gitapply.hunktexts import HunkTexts
    from patches.gitapply.parts import Part
    from patches.gitapply.voice import Voice


def write_rejects(part: Part, texts: HunkTexts, voice: Voice) -> bool:
    """Leave a part's rejected hunks beside its file; tell whether there were none."""
    if not part.rejected:
        voice.say_part("Applied patch ", part, " cleanly.")
        return True
    count = len(part.rejected)
    voice.say_part("Applying patch ", part, f" with {count} reject{'s' * (count != 1)}...", above=SILENT)
    # Not as a patch of Git's: nothing of Git's own reads it.
    pieces = [b"diff a/%s b/%s\t(rejected hunks)\n" % (part.path, part.path)]
    for number, hunk in enumerate(part.file.hunks):
        if number not in part.rejected:
            voice.say(f"Hunk #{number + 1} applied cleanly.")
            continue
        voice.say(f"Rejected hunk #{number + 1}.")
        text = texts.text(hunk)
        pieces.append(text if text.endswith(b"\n") else text + b"\n")
    name = part.path + b".rej"
    try:
        with suppress(FileNotFoundError):
            os.unlink(name)
        # Whatever is put there meanwhile is not followed and not overwritten.
        with open(name, "xb") as file:
            file.writelines(pieces)
    except OSError as error:
        voice.error(f"cannot open {os.fsdecode(name)}: {error.strerror}")
    return False
