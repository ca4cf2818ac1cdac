"""An adapter around transformers' ``AutoTokenizer``: text to ids and back, nothing ignored in silence.

transformers passes over what it cannot do: a length of 0, truncation where no length is known, an id that
there is not. Here each is an error. The library is imported when a tokenizer is first loaded, and looks for
files on this machine alone unless it is told otherwise.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypeAlias, cast

from codex_ml.errors import (
    InvalidInput,
    InvalidOption,
    MissingLength,
    MissingPadToken,
    RaggedBatch,
    TensorLibraryMissing,
    TokenizerNotFound,
    TokenizerUnreadable,
    TransformersMissing,
)

Padding: TypeAlias = bool | Literal["longest", "max_length", "do_not_pad"]
Tensors: TypeAlias = Literal["np", "pt"]

_PADDINGS: Mapping[object, str] = {
    False: "do_not_pad",
    True: "longest",
    "do_not_pad": "do_not_pad",
    "longest": "longest",
    "max_length": "max_length",
}
_TENSORS = ("np", "pt")
_NO_LENGTH = 10**20
"""From here on a tokenizer's longest input means that it names none (transformers writes 1e30)."""

TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
"""The files of which a tokenizer's directory has at least one."""

_SHAPING = frozenset({".json", ".txt", ".model", ".jinja"})


@dataclass(frozen=True, slots=True)
class Encoding:
    """What came of one text or of a batch; a field is also to be had by name: ``encoding["input_ids"]``.

    One text gives flat lists of *n* ids, a batch of *b* texts *b* lists, of different lengths unless they
    were padded. Tensors are of shape (b, n) and 64-bit integers; one text is then a batch of one.

    Args:
        input_ids: The ids.
        attention_mask: 1 where there is a token, 0 where there is padding; the shape is that of the ids.
        token_type_ids: Which of two texts each token is of; None where the model knows no such thing.
    """

    input_ids: Any
    attention_mask: Any
    token_type_ids: Any = None

    def __getitem__(self, name: str) -> Any:
        """Return a field by its name."""
        if name not in self.__slots__:
            raise KeyError(name)
        return getattr(self, name)


class _Fast(Protocol):
    """What is used of transformers' own tokenizers."""

    model_max_length: float
    pad_token: str | None

    def __call__(self, text: list[str], **options: Any) -> Mapping[str, Any]: ...
    def __len__(self) -> int: ...
    def decode(self, token_ids: list[int], *, skip_special_tokens: bool) -> str: ...
    def num_special_tokens_to_add(self, pair: bool = False) -> int: ...


class Tokenizer:
    """One loaded tokenizer. `from_pretrained` makes it; calling it encodes."""

    def __init__(self, backend: _Fast, source: str) -> None:
        self._backend = backend
        self.source = source

    @classmethod
    def from_pretrained(
        cls, source: str | os.PathLike[str], *, local_files_only: bool = True, revision: str | None = None
    ) -> Self:
        """Load a tokenizer.

        Args:
            source: A directory, or the name of a model.
            local_files_only: Whether a name is looked for only in the cache on this machine. A directory
                is read without a network in any case.
            revision: Which version of a named model; a branch, tag or commit.

        Raises:
            TokenizerNotFound: There is no such directory or cached name, or it has no tokenizer.
            TokenizerUnreadable: Its files are broken, or need code of their own, which is never run.
            TransformersMissing: The extra ``ml`` is not installed.
        """
        name = os.fspath(source)
        local = _is_directory(name)
        loader = _import_loader()
        try:
            backend = loader.from_pretrained(
                name,
                local_files_only=local_files_only or local,
                revision=revision or "main",
                trust_remote_code=False,
            )
        except OSError as error:
            if local:
                raise TokenizerUnreadable(name, _first_line(error)) from error
            reason = "not in the cache of this machine" if local_files_only else _first_line(error)
            raise TokenizerNotFound(name, reason) from error
        except Exception as error:  # the library below raises `Exception` itself for a broken file
            raise TokenizerUnreadable(name, _first_line(error)) from error
        return cls(cast("_Fast", backend), name)

    @property
    def vocabulary_size(self) -> int:
        """How many ids there are, added tokens included."""
        return len(self._backend)

    @property
    def max_length(self) -> int | None:
        """The longest input of the model in tokens, None where the tokenizer names none."""
        length = self._backend.model_max_length
        return int(length) if length < _NO_LENGTH else None

    def __call__(
        self,
        text: str | Sequence[str],
        *,
        padding: Padding = False,
        truncation: bool = False,
        max_length: int | None = None,
        return_tensors: Tensors | None = None,
        add_special_tokens: bool = True,
    ) -> Encoding:
        """Encode one text or a batch of texts.

        Args:
            text: One text, or a list or tuple of them.
            padding: ``True`` or ``longest``: to the longest row; ``max_length``: to that length;
                ``False`` or ``do_not_pad``: not at all.
            truncation: Whether to cut at ``max_length``, or at the model's longest input where that is None.
            max_length: In tokens, special ones included; at least as many as there are special ones.
            return_tensors: ``np`` or ``pt``; None for lists.
            add_special_tokens: Whether to add the model's own, such as ``[CLS]``.

        Raises:
            InvalidInput: It is no text.
            InvalidOption: An option's value means nothing, or would be ignored.
            MissingLength: A length is needed, and none is known.
            MissingPadToken: Padding was asked for, and there is no token for it.
            RaggedBatch: Tensors were asked for, and rows differ in length.
            TensorLibraryMissing: ``pt`` was asked for, and torch is not installed.
        """
        single = isinstance(text, str)
        texts = [text] if single else _check_batch(text)
        _check_texts(texts)
        _check_flags(truncation=truncation, add_special_tokens=add_special_tokens)
        _check_tensors(return_tensors)
        strategy = self._check_padding(padding)
        specials = self._backend.num_special_tokens_to_add() if add_special_tokens else 0
        length = self._check_length(max_length, strategy, truncation=truncation, specials=specials)
        if not texts:
            return _shaped([], [], None, return_tensors)
        found = self._backend(
            texts,
            padding=strategy,
            truncation=truncation,
            max_length=length,
            add_special_tokens=add_special_tokens,
            return_attention_mask=True,
            verbose=False,
        )
        ids, mask, types = found["input_ids"], found["attention_mask"], found.get("token_type_ids")
        if single and return_tensors is None:
            return Encoding(ids[0], mask[0], None if types is None else types[0])
        return _shaped(ids, mask, types, return_tensors)

    def encode(self, text: str, **options: Any) -> list[int]:
        """Return the ids of one text. Options and errors are those of a call, tensors excepted."""
        if not isinstance(cast("object", text), str):
            raise InvalidInput(f"one text is expected, not {type(text).__name__}; `encode_batch` takes more")
        return cast("list[int]", self(text, **options).input_ids)

    def encode_batch(self, texts: Sequence[str], **options: Any) -> list[list[int]]:
        """Return the ids of each text. Options and errors are those of a call, tensors excepted."""
        if isinstance(texts, str):
            raise InvalidInput("a list of texts is expected, not one text; `encode` takes one")
        return cast("list[list[int]]", self(texts, **options).input_ids)

    def count(self, text: str) -> int:
        """Return how many tokens a text has, special ones not counted, however long it is."""
        return len(self.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """Return the text of ids: a list, or one row of a tensor.

        Raises:
            InvalidInput: One of them is no id of this tokenizer.
        """
        return self._backend.decode(self._check_ids(ids), skip_special_tokens=skip_special_tokens)

    def decode_batch(self, rows: Sequence[Sequence[int]], *, skip_special_tokens: bool = True) -> list[str]:
        """Return the text of each row of ids: a list of lists, or a tensor.

        Raises:
            InvalidInput: One of them is no id of this tokenizer.
        """
        return [self.decode(row, skip_special_tokens=skip_special_tokens) for row in rows]

    def _check_ids(self, ids: object) -> list[int]:
        listed = getattr(ids, "tolist", None)  # arrays and tensors
        plain: object = ids if listed is None else listed()
        if isinstance(plain, int | str | bytes) or not isinstance(plain, Sequence):
            raise InvalidInput(f"a list of ids is expected, not {type(ids).__name__}")
        size = len(self._backend)
        checked: list[int] = []
        for each in cast("Sequence[object]", plain):
            if not isinstance(each, int) or isinstance(each, bool):
                raise InvalidInput(f"an id is a number, not {type(each).__name__}")
            if not 0 <= each < size:
                raise InvalidInput(f"{each} is no id of this tokenizer, whose ids are 0 to {size - 1}")
            checked.append(each)
        return checked

    def _check_padding(self, padding: object) -> str:
        known = isinstance(padding, bool | str) and padding in _PADDINGS
        if not known:
            raise InvalidOption("padding", padding, "expected True, False, longest, max_length or do_not_pad")
        if _PADDINGS[padding] != "do_not_pad" and self._backend.pad_token is None:
            raise MissingPadToken(self.source)
        return _PADDINGS[padding]

    def _check_length(
        self, max_length: object, padding: str, *, truncation: bool, specials: int
    ) -> int | None:
        """Return the length that counts, None where none is needed."""
        needed = truncation or padding == "max_length"
        if max_length is None:
            if needed and self.max_length is None:
                raise MissingLength("truncation" if truncation else 'padding="max_length"')
            return self.max_length if needed else None
        if not isinstance(max_length, int) or isinstance(max_length, bool):
            raise InvalidOption("max_length", max_length, "expected a number of tokens")
        if max_length < 1:
            raise InvalidOption("max_length", max_length, "expected at least one token")
        if not needed:
            reason = 'does nothing without truncation or padding="max_length"'
            raise InvalidOption("max_length", max_length, reason)
        if truncation and max_length < specials:
            raise InvalidOption("max_length", max_length, f"the model adds {specials} special tokens already")
        return max_length


def _is_directory(name: str) -> bool:
    """Tell a directory from a model's name.

    Raises:
        TokenizerNotFound: It can only be a directory and is none, or has no file of a tokenizer.
    """
    path = Path(name)
    if path.is_dir():
        if not any((path / each).is_file() for each in TOKENIZER_FILES):
            raise TokenizerNotFound(name, "the directory has no file of a tokenizer")
        return True
    if not name or path.exists() or path.is_absolute() or name.startswith(".") or name.count("/") > 1:
        raise TokenizerNotFound(name or "''", "not a directory" if path.exists() else "no such directory")
    return False


def _import_loader() -> Any:
    """Return transformers' loader, imported without its advice that models need more libraries."""
    if find_spec("transformers") is None:
        raise TransformersMissing
    quiet = "TRANSFORMERS_NO_ADVISORY_WARNINGS"
    ours = "transformers" not in sys.modules and quiet not in os.environ
    if ours:
        os.environ[quiet] = "1"
    try:
        from transformers import AutoTokenizer
    finally:
        if ours:
            del os.environ[quiet]
    return AutoTokenizer


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _check_batch(texts: object) -> list[str]:
    if not isinstance(texts, list | tuple):
        raise InvalidInput(f"a text or a list of texts is expected, not {type(texts).__name__}")
    return list(cast("Sequence[str]", texts))


def _check_texts(texts: Sequence[object]) -> None:
    for each in texts:
        if not isinstance(each, str):
            raise InvalidInput(f"a text is expected, not {type(each).__name__}")
        if not each.isascii():
            try:
                each.encode("utf-8")
            except UnicodeEncodeError as error:
                reason = f"not valid Unicode at character {error.start}"
                raise InvalidInput(f"a text is {reason}: it was decoded with surrogates") from error


def _check_flags(**flags: object) -> None:
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise InvalidOption(name, value, "expected True or False")


def _check_tensors(kind: object) -> None:
    if kind is None:
        return
    if kind not in _TENSORS:
        raise InvalidOption("return_tensors", kind, 'expected "np", "pt" or None')
    if kind == "pt" and find_spec("torch") is None:
        raise TensorLibraryMissing("torch")


def _shaped(
    ids: list[list[int]], mask: list[list[int]], types: list[list[int]] | None, kind: Tensors | None
) -> Encoding:
    """Return rows as they are, or as tensors."""
    if kind is None:
        return Encoding(ids, mask, types)
    lengths = [len(row) for row in ids]
    if len(set(lengths)) > 1:
        raise RaggedBatch(lengths)
    shape = (len(ids), lengths[0] if lengths else 0)
    return Encoding(*(None if rows is None else _tensor(rows, shape, kind) for rows in (ids, mask, types)))


def _tensor(rows: list[list[int]], shape: tuple[int, int], kind: Tensors) -> Any:
    import numpy as np

    array = np.array(rows, dtype=np.int64).reshape(shape)
    if kind == "np":
        return array
    import torch  # pyright: ignore[reportMissingImports]

    return cast("Any", torch).from_numpy(array)


def locate(source: str | os.PathLike[str]) -> Path:
    """Return the directory that a tokenizer is in: ``source`` itself, or where the cache has that name.

    Raises:
        TokenizerNotFound: There is none.
        TransformersMissing: A name was given, and the extra ``ml``, which knows the cache, is not installed.
    """
    name = os.fspath(source)
    if _is_directory(name):
        return Path(name)
    if find_spec("huggingface_hub") is None:
        raise TransformersMissing
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = (try_to_load_from_cache(name, each) for each in TOKENIZER_FILES)
        path = next((each for each in found if isinstance(each, str)), None)
    except HFValidationError as error:
        raise TokenizerNotFound(name, "neither a directory nor the name of a model") from error
    if path is None:
        raise TokenizerNotFound(name, "not in the cache of this machine")
    return Path(path).parent


def fingerprint(directory: Path) -> str:
    """Return sixteen hexadecimal digits over the files in a tokenizer's directory that can shape its result.

    Raises:
        OSError: One of them cannot be read.
    """
    digest = sha256()
    for path in sorted(directory.iterdir()):
        if path.suffix in _SHAPING and path.is_file():
            content = path.read_bytes()
            digest.update(b"%b\0%d\0%b" % (os.fsencode(path.name), len(content), content))
    return digest.hexdigest()[:16]
