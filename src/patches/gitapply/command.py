"""``git apply`` from its arguments to its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from patches.errors import PatchError
from patches.gitapply.arguments import BadNumber, read_arguments, usage
from patches.gitapply.gitcommands import GitFailed
from patches.gitapply.optionparser import UsageError
from patches.gitapply.refusals import Fatal
from patches.gitapply.session import Session
from patches.gitapply.voice import Voice

FATAL, USAGE = 128, 129


def run(words: Sequence[str], source: IO[bytes], output: IO[bytes]) -> int:
    """Run ``git apply`` with the arguments ``words`` and return its exit code.

    Leaves the current directory for the top of the work tree.

    Args:
        words: what follows ``apply`` on the command line.
        source: where the patch comes from if no file is named.
        output: where ``--stat`` and its like go.
    """
    voice = Voice()
    try:
        arguments = read_arguments(words)
        return Session(arguments, voice, output).run(arguments.patches, source)
    except UsageError as error:
        for line in error.lines:
            voice.say(line)
        if error.show_usage:
            voice.say(usage())
        return USAGE
    except BadNumber as error:
        voice.say(f"fatal: {error}")
    except (Fatal, GitFailed, PatchError) as error:
        if str(error):
            voice.error(str(error))
    return FATAL
