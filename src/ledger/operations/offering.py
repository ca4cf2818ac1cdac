"""Offering: the patches in what is handed over, each with what is known of where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from ledger.applyflags import NO_FLAGS, ApplyFlags
from ledger.operations.planning import Offer
from ledger.provenance import Provenance
from patches.dialects.series import Message, read_quilt, split_series


def offers_in(data: bytes, *, source: str = "-", flags: ApplyFlags = NO_FLAGS) -> list[Offer]:
    """Return the patches of a text in their order: of a mailbox those of its messages, else the text.

    Args:
        data: The bytes of a file.
        source: Its name.
        flags: How they are to be applied.
    """
    return _offers(split_series(data), data, source, flags)


def offers_in_file(path: Path, *, source: str, flags: ApplyFlags = NO_FLAGS) -> list[Offer]:
    """Return the patches of a file as `offers_in`; of one named ``series``, those of the files that it lists.

    Args:
        path: The file.
        source: Its name, for people.
        flags: How they are to be applied; a series may say otherwise how names are stripped.

    Raises:
        PatchSyntaxError: The series has an option that is not known.
        OSError: A file cannot be read.
    """
    data = path.read_bytes()
    if path.name != "series":
        return offers_in(data, source=source, flags=flags)
    messages = read_quilt(data, lambda name: path.parent.joinpath(name).read_bytes())
    return _offers(messages, b"", source, flags)


def _offers(messages: Sequence[Message], data: bytes, source: str, flags: ApplyFlags) -> list[Offer]:
    if len(messages) == 1 and data:
        (message,) = messages
        text = None if message.data == data else message.data
        return [Offer(data, _provenance(message, source, flags), text)]
    count = len(messages)
    return [
        Offer(
            message.data,
            _provenance(message, message.name or f"{source} ({number} of {count})", flags),
        )
        for number, message in enumerate(messages, start=1)
    ]


def _provenance(message: Message, source: str, flags: ApplyFlags) -> Provenance:
    if message.strip is not None:
        flags = msgspec.structs.replace(flags, strip=message.strip)
    return Provenance(
        source=source,
        flags=flags,
        author=message.author,
        date=message.date,
        message="\n\n".join(filter(None, (message.subject, message.body))),
    )
