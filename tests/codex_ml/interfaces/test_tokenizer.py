"""The tokenizer adapter on a real BERT: what it gives, beside two others, and what it refuses."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from codex_ml import errors
from codex_ml.interfaces import tokenizer as module
from codex_ml.interfaces.tokenizer import Tokenizer, fingerprint, locate

pytestmark = pytest.mark.needs("tokenizer")

TEXTS = [
    "hello world",
    "",
    "Tokenizers don't lose UNAFFABLE words, e.g. supercalifragilisticexpialidocious!",
    "Ünïcödé naïve café — “quotes” … 你好世界 привет",
    "def mean(total, count):\n\treturn total / count  # 3.14 <= x\r\n",
    "a\x00b\ufffdc\u200b\x7f\x01 end",
    "[CLS] and [MASK] are special",
    "🙂 emoji and 🇨🇭 flags",
    "x" * 101,
]


@pytest.fixture(scope="session")
def tokenizer(bert: Path) -> Tokenizer:
    return Tokenizer.from_pretrained(bert)


# ── two others, for comparison ───────────────────────────────────────────────────────────────────


class WordPiece:
    """BERT's own tokenization from its published description and a vocabulary: basic, then longest first."""

    def __init__(self, vocabulary: Path) -> None:
        words = vocabulary.read_text("utf-8").split("\n")
        self.ids = {word: number for number, word in enumerate(words) if word}

    def encode(self, text: str) -> list[int]:
        return [self.ids[piece] for word in self.words(text) for piece in self.pieces(word)]

    def words(self, text: str) -> Iterator[str]:
        clean = "".join(self.clean(char) for char in text).lower()
        plain = "".join(c for c in unicodedata.normalize("NFD", clean) if unicodedata.category(c) != "Mn")
        yield from "".join(f" {c} " if self.stands_alone(c) else c for c in plain).split()

    def clean(self, char: str) -> str:
        if char in "\t\n\r" or unicodedata.category(char) == "Zs":
            return " "
        return "" if char in "\0\ufffd" or unicodedata.category(char) in ("Cc", "Cf") else char

    def stands_alone(self, char: str) -> bool:
        ascii_mark = char.isascii() and char.isprintable() and not char.isalnum() and char != " "
        return ascii_mark or unicodedata.category(char).startswith("P") or 0x4E00 <= ord(char) <= 0x9FFF

    def pieces(self, word: str) -> list[str]:
        found: list[str] = []
        while word and len(word) <= 100:
            prefix = "##" if found else ""
            end = next((n for n in range(len(word), 0, -1) if prefix + word[:n] in self.ids), 0)
            if end == 0:
                return ["[UNK]"]
            found.append(prefix + word[:end])
            word = word[end:]
        return ["[UNK]"] if word else found


@pytest.mark.parametrize("text", [text for text in TEXTS if "[" not in text])
def test_ids_are_those_of_word_piece_as_it_is_described(tokenizer: Tokenizer, bert: Path, text: str) -> None:
    """Written for this test from the description of the algorithm, with nothing but the vocabulary."""
    expected = WordPiece(bert / "vocab.txt").encode(text)
    assert tokenizer.encode(text, add_special_tokens=False) == expected
    assert tokenizer.count(text) == len(expected)


@pytest.mark.parametrize("padding", [False, True, "longest", "max_length", "do_not_pad"])
@pytest.mark.parametrize("truncation", [False, True])
def test_a_batch_is_as_transformers_gives_it(
    tokenizer: Tokenizer, bert: Path, padding: Any, truncation: bool
) -> None:
    """Ids, mask and types, for every way of padding and cutting."""
    from transformers import AutoTokenizer

    own = AutoTokenizer.from_pretrained(str(bert), local_files_only=True)
    length = 16 if truncation or padding == "max_length" else None
    options: dict[str, Any] = {"padding": padding, "truncation": truncation, "max_length": length}
    expected = own(TEXTS, **options)
    got = tokenizer(TEXTS, **options)
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        assert got[name] == expected[name]
    assert tokenizer.encode_batch(TEXTS, **options) == expected["input_ids"]


def test_the_bytes_of_the_rust_library_alone_give_the_same(tokenizer: Tokenizer, bert: Path) -> None:
    from tokenizers import Tokenizer as Rust

    rust = Rust.from_file(str(bert / "tokenizer.json"))
    rust.no_padding()
    rust.no_truncation()
    assert tokenizer.encode_batch(TEXTS) == [each.ids for each in rust.encode_batch(TEXTS)]


# ── what it gives ────────────────────────────────────────────────────────────────────────────────


def test_the_smoke_test_of_the_runbook_holds(tokenizer: Tokenizer) -> None:
    out = tokenizer(["hello world"], padding="max_length", truncation=True, max_length=8, return_tensors="np")
    assert out["input_ids"].shape == (1, 8)
    assert out["input_ids"].tolist() == [[101, 7592, 2088, 102, 0, 0, 0, 0]]
    assert out.attention_mask.tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]]
    assert str(out.input_ids.dtype) == "int64"
    with pytest.raises(KeyError, match="labels"):
        out["labels"]


def test_tensors_of_torch_have_the_same_shape_and_are_said_to_be_missing_where_it_is(
    tokenizer: Tokenizer,
) -> None:
    def ask() -> Any:
        return tokenizer(["hello"], padding="max_length", truncation=True, max_length=8, return_tensors="pt")

    if util.find_spec("torch") is not None:
        assert ask()["input_ids"].shape[-1] == 8
        return
    with pytest.raises(errors.TensorLibraryMissing) as caught:
        ask()
    assert "pip install torch" in caught.value.hint


def test_one_text_gives_flat_lists_and_a_tensor_of_one_row(tokenizer: Tokenizer) -> None:
    assert tokenizer("hello").input_ids == [101, 7592, 102] == tokenizer.encode("hello")
    assert tokenizer("hello", return_tensors="np").input_ids.shape == (1, 3)


@pytest.mark.parametrize(("tensors", "shape"), [(None, None), ("np", (0, 0))])
def test_an_empty_batch_is_an_empty_batch(tokenizer: Tokenizer, tensors: Any, shape: Any) -> None:
    got = tokenizer([], return_tensors=tensors).input_ids
    assert got == [] if shape is None else got.shape == shape


def test_text_longer_than_the_model_takes_is_counted_whole(tokenizer: Tokenizer) -> None:
    assert tokenizer.max_length == 512
    assert tokenizer.count("hello " * 2000) == 2000
    assert len(tokenizer.encode("hello " * 2000, truncation=True)) == 512


def test_decoding_brings_back_the_text_of_lists_and_tensors(tokenizer: Tokenizer) -> None:
    batch = tokenizer(["hello world", "a cat"], padding=True, return_tensors="np").input_ids
    assert tokenizer.decode_batch(batch) == ["hello world", "a cat"]
    assert tokenizer.decode(batch[1].tolist()) == "a cat"
    assert tokenizer.decode([101, 7592], skip_special_tokens=False) == "[CLS] hello"
    assert tokenizer.decode([]) == ""


# ── what it refuses ──────────────────────────────────────────────────────────────────────────────

BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"max_length": 0, "truncation": True}, "max_length=0: expected at least one token"),
    ({"max_length": -1, "truncation": True}, "max_length=-1"),
    ({"max_length": True, "truncation": True}, "expected a number"),
    ({"max_length": 2.0, "truncation": True}, "expected a number"),
    ({"max_length": 1, "truncation": True}, "adds 2 special tokens"),
    ({"max_length": 8}, "does nothing without"),
    ({"padding": "left"}, "padding='left'"),
    ({"padding": 1}, "padding=1"),
    ({"padding": None}, "padding=None"),
    ({"truncation": "longest_first"}, "expected True or False"),
    ({"add_special_tokens": None}, "expected True or False"),
    ({"return_tensors": "tf"}, "return_tensors='tf'"),
    ({"return_tensors": "jax"}, "return_tensors='jax'"),
    ({"return_tensors": "mlx"}, "return_tensors='mlx'"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_an_option_that_means_nothing_is_refused(
    tokenizer: Tokenizer, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(errors.InvalidOption) as caught:
        tokenizer(["hello"], **options)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", [b"bytes", 3, None, {"a": 1}, ["a", b"b"], ["a", None], [["a"]], "\udcff"])
def test_what_is_no_text_is_refused(tokenizer: Tokenizer, text: Any) -> None:
    with pytest.raises(errors.InvalidInput):
        tokenizer(text)


def test_one_text_and_several_are_not_mistaken_for_one_another(tokenizer: Tokenizer) -> None:
    with pytest.raises(errors.InvalidInput, match="encode_batch"):
        tokenizer.encode(["a"])  # pyright: ignore[reportArgumentType]
    with pytest.raises(errors.InvalidInput, match="`encode` takes one"):
        tokenizer.encode_batch("a")


@pytest.mark.parametrize("ids", [[-1], [30522], [1.5], ["7"], [True], "text", 7, None])
def test_what_is_no_id_is_refused(tokenizer: Tokenizer, ids: Any) -> None:
    """The library itself takes an id that there is not for nothing, and a negative one for a crash."""
    with pytest.raises(errors.InvalidInput):
        tokenizer.decode(ids)


def test_rows_of_several_lengths_are_no_tensor(tokenizer: Tokenizer) -> None:
    with pytest.raises(errors.RaggedBatch) as caught:
        tokenizer(["hello", "hello hello"], return_tensors="np")
    assert caught.value.lengths == (3, 4)


@pytest.fixture
def bare(bert: Path, tmp_path: Path) -> Path:
    """A directory with ``tokenizer.json`` alone: it names no longest input, and no token to pad with."""
    made = tmp_path / "bare"
    made.mkdir()
    shutil.copy(bert / "tokenizer.json", made)
    return made


def test_without_any_length_cutting_and_padding_to_one_are_refused(bare: Path) -> None:
    loaded = Tokenizer.from_pretrained(bare)
    assert loaded.max_length is None
    with pytest.raises(errors.MissingLength, match="truncation"):
        loaded("hello", truncation=True)
    assert loaded.encode("hello hello hello", truncation=True, max_length=4) == [101, 7592, 7592, 102]


def test_a_length_to_pad_to_is_needed(bare: Path) -> None:
    (bare / "tokenizer_config.json").write_text('{"pad_token": "[PAD]"}', "utf-8")
    with pytest.raises(errors.MissingLength, match="max_length"):
        Tokenizer.from_pretrained(bare)("hello", padding="max_length")


def test_padding_without_a_pad_token_is_refused(bare: Path) -> None:
    data = json.loads((bare / "tokenizer.json").read_text("utf-8"))
    (bare / "tokenizer.json").write_text(json.dumps(data | {"padding": None}), "utf-8")
    with pytest.raises(errors.MissingPadToken):
        Tokenizer.from_pretrained(bare)(["a", "b c"], padding=True)


# ── where it comes from ──────────────────────────────────────────────────────────────────────────


def test_a_directory_is_read_without_any_network(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")

    def connect(*_: object) -> None:
        raise AssertionError("a network was asked for")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    assert Tokenizer.from_pretrained(str(bert)).encode("hello") == [101, 7592, 102]
    with pytest.raises(errors.TokenizerNotFound, match="not in the cache"):
        Tokenizer.from_pretrained("nobody/nothing-of-this-name")


def test_a_missing_directory_a_file_and_an_empty_directory_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(errors.TokenizerNotFound, match="no such directory"):
        Tokenizer.from_pretrained(tmp_path / "missing")
    with pytest.raises(errors.TokenizerNotFound, match="no file of a tokenizer"):
        Tokenizer.from_pretrained(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(errors.TokenizerNotFound, match="not a directory"):
        Tokenizer.from_pretrained(tmp_path / "file")
    with pytest.raises(errors.TokenizerNotFound):
        Tokenizer.from_pretrained("")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": "1.0"}', '{"model": {"type": "None"}}'])
def test_a_broken_file_is_an_error_that_names_the_directory(bare: Path, content: str) -> None:
    (bare / "tokenizer.json").write_text(content, "utf-8")
    with pytest.raises(errors.TokenizerUnreadable, match="bare: its tokenizer cannot be loaded"):
        Tokenizer.from_pretrained(bare)


def test_code_in_a_tokenizers_directory_is_never_run(bare: Path, tmp_path: Path) -> None:
    (bare / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}), "utf-8"
    )
    (bare / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n", "utf-8")
    with suppress(errors.TokenizerUnreadable):  # or it is loaded without that code: either will do
        Tokenizer.from_pretrained(bare)
    assert not (tmp_path / "ran").exists()


def test_without_transformers_the_error_says_what_to_install(
    bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = util.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "transformers" else found(name))
    with pytest.raises(errors.TransformersMissing) as caught:
        Tokenizer.from_pretrained(bert)
    assert "pip install" in caught.value.hint


def test_importing_the_adapter_loads_no_library_and_loading_prints_nothing(bert: Path) -> None:
    code = (
        "import sys\nfrom codex_ml.interfaces.tokenizer import Tokenizer\n"
        "assert not {'transformers', 'numpy', 'tokenizers'} & set(sys.modules)\n"
        f"Tokenizer.from_pretrained({str(bert)!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_name_in_the_cache_is_found_without_a_network(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache's layout: a ref that names a commit, and a directory of that commit."""
    cache = tmp_path / "hub"
    model = cache / "models--some--bert"
    (model / "refs").mkdir(parents=True)
    (model / "refs/main").write_text("0" * 40, "utf-8")
    snapshot = model / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    shutil.copy(bert / "tokenizer.json", snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    assert locate("some/bert") == snapshot
    assert Tokenizer.from_pretrained(locate("some/bert")).encode("hello") == [101, 7592, 102]
    for name in ("some/other", "no name at all", "a--b/c..d"):
        with pytest.raises(errors.TokenizerNotFound):
            locate(name)
    assert locate(bert) == bert


def test_a_fingerprint_changes_with_what_shapes_the_result(bare: Path) -> None:
    before = fingerprint(bare)
    (bare / "README.md").write_text("words", "utf-8")
    assert fingerprint(bare) == before
    (bare / "tokenizer_config.json").write_text("{}", "utf-8")
    assert fingerprint(bare) != before
