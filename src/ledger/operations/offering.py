"""Offering: the patches in what is handed over, each with what is known of where it comes from."""

from __future__ import annotations

from ledger.applyflags import NO_FLAGS, ApplyFlags
from ledger.operations.planning import Offer
from ledger.provenance import Provenance
from patches.dialects.series import Message, split_series


def offers_in(data: bytes, *, source: str = "-", flags: ApplyFlags = NO_FLAGS) -> list[Offer]:
    """Return the patches of a text in their order: of a mailbox those of its messages, else the text.

    Args:
        data: The bytes of a file.
        source: Its name.
        flags: How they are to be applied.
    """
    messages = split_series(data)
    if len(messages) == 1:
        (message,) = messages
        text = None if message.data == data else message.data
        return [Offer(data, _provenance(message, source, flags), text)]
    count = len(messages)
    return [
        Offer(message.data, _provenance(message, f"{source} ({number} of {count})", flags))
        for number, message in enumerate(messages, start=1)
    ]


def _provenance(message: Message, source: str, flags: ApplyFlags) -> Provenance:
    return Provenance(
        source=source,
        flags=flags,
        author=message.author,
        date=message.date,
        message="\n\n".join(filter(None, (message.subject, message.body))),
    )
