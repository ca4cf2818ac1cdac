"""Errors of reading text: one class for each different thing a caller can do about it."""

from __future__ import annotations


class IngestionError(Exception):
    """Base of everything that reading text raises."""


class NotAFile(IngestionError):
    """There is no file to read at a path. Name another one."""

    def __init__(self, path: str, reason: str) -> None:
        """Keep the path and what is wrong with it."""
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class BinaryContent(IngestionError):
    """The bytes are no text in any encoding that is known here. Name the encoding if they are."""

    def __init__(self, source: str) -> None:
        """Keep what was read."""
        self.source = source
        super().__init__(f"{source}: binary content, not text")


class UndecodableText(IngestionError):
    """The bytes are not valid in the encoding that the caller named. Name another, or "auto"."""

    def __init__(self, source: str, encoding: str, offset: int) -> None:
        """Keep what was read, the encoding, and the first byte that does not fit."""
        self.source, self.encoding, self.offset = source, encoding, offset
        super().__init__(f"{source}: not valid {encoding} at byte {offset}")


class UnknownEncoding(IngestionError):
    """Python knows no text encoding of the name that the caller gave."""

    def __init__(self, encoding: str) -> None:
        """Keep the name."""
        self.encoding = encoding
        super().__init__(f"unknown encoding: {encoding}")
