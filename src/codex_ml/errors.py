"""Errors of the tools around models: one class for each different thing a caller can do about it."""

from __future__ import annotations

from collections.abc import Sequence


class CodexError(Exception):
    """Base of everything that this package raises; ``hint`` says what helps."""

    hint = ""


class TransformersMissing(CodexError):
    """The library that knows tokenizers is not installed. Install the extra."""

    hint = "install it: `pip install 'patch-ledger[ml]'`; without it `ledger tokens` estimates"

    def __init__(self) -> None:
        super().__init__("transformers, which loads tokenizers, is not installed")


class TokenizerNotFound(CodexError):
    """There is no tokenizer under a name, or in a directory. Name another one."""

    hint = "name a directory that has one: `ls DIR` shows `tokenizer.json` or `vocab.txt`"

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"{source}: {reason}")


class TokenizerUnreadable(CodexError):
    """A tokenizer's files are there, and are not what they should be. Get them again."""

    hint = "get its files again: `python -m json.tool DIR/tokenizer.json` shows where one is broken"

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"{source}: its tokenizer cannot be loaded: {reason}")


class InvalidOption(CodexError):
    """An option has a value that means nothing, or that would be ignored. Give another, or none."""

    def __init__(self, option: str, value: object, reason: str) -> None:
        self.option, self.value, self.reason = option, value, reason
        super().__init__(f"{option}={value!r}: {reason}")


class MissingLength(CodexError):
    """A length is needed and neither the caller nor the tokenizer gives one. Give ``max_length``."""

    def __init__(self, option: str) -> None:
        self.option = option
        super().__init__(
            f"{option} needs a length: give max_length, as this tokenizer names no longest input"
        )


class MissingPadToken(CodexError):
    """The tokenizer has no token to pad with. Ask for no padding, or take another tokenizer."""

    def __init__(self, source: str) -> None:
        self.source = source
        super().__init__(f"{source}: the tokenizer has no pad token, and padding was asked for")


class TensorLibraryMissing(CodexError):
    """Tensors were asked for of a library that is not installed. Install it, or ask for others."""

    hint = 'install it: `pip install torch`; or ask for `return_tensors="np"`, which needs none'

    def __init__(self, library: str) -> None:
        self.library = library
        super().__init__(f"tensors of {library} need {library}, which is not installed")


class RaggedBatch(CodexError):
    """Texts of several lengths cannot be one tensor. Ask for padding, or for truncation too."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = tuple(lengths)
        shown = ", ".join(map(str, sorted(set(lengths))[:5]))
        super().__init__(f"a batch with rows of {shown} tokens is no tensor: ask for padding or truncation")


class InvalidInput(CodexError):
    """What was to be encoded or decoded is not text, or not ids of this tokenizer. Give something else."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
