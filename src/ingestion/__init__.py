"""Text from strangers' files: which encoding it is in, and the text itself, the same on every machine."""

from __future__ import annotations

from ingestion.encoding_detect import Detection, detect, detect_encoding
from ingestion.errors import BinaryContent, IngestionError, NotAFile, UndecodableText, UnknownEncoding
from ingestion.io_text import read_text

__all__ = [
    "BinaryContent",
    "Detection",
    "IngestionError",
    "NotAFile",
    "UndecodableText",
    "UnknownEncoding",
    "detect",
    "detect_encoding",
    "read_text",
]
