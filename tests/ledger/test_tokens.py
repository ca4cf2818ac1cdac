"""Tokens of patches, and the gate that gives each a budget: what is counted, by what, and for which patches."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File, damage

from codex_ml.errors import TokenizerNotFound
from codex_ml.interfaces.tokenizer import Tokenizer, fingerprint
from ledger.api import Ledger
from ledger.events import GateMeasured, PatchApplied
from ledger.operations.gating import GateOptions
from ledger.reference_errors import UnknownReference
from ledger.tokens import ESTIMATE, PatchTokens, decode

LEDGER = Path(sys.executable).with_name("ledger")
SMALL, OTHER = {b"small": File(b"one\n")}, {b"other": File(b"two\n" * 2)}
LARGE = {b"large": File(b"a long line of words\n" * 100), b"tiny": File(b"x\n")}
BUDGET = "[tokens]\n{}\n[gates.tokens]\nmode = 'strict'\nthreshold = 100\n" + "".join(
    f"[gates.{name}]\nmode = 'off'\n" for name in ("lint", "tests", "cov")
)
GATE = GateOptions(names=("tokens",))


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(
        tmp_path / "repo", {b"README": File(b"base\n"), b"ledger.toml": File(BUDGET.format("").encode())}
    )


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        yield opened
        assert damage(opened) == []


def put(book: Book, ledger: Ledger, *edits: dict[bytes, File | None] | dict[bytes, File]) -> str:
    """Apply one patch that makes all the edits to the candidate, and return its event."""
    tree = ledger.status().candidate or book.line("rev-parse", "HEAD^{tree}")
    files = {
        path: File(book.git("cat-file", "blob", e.oid.hex()), e.mode)
        for path, e in book.listing(tree).items()
    }
    for edit in edits:
        for path, file in edit.items():
            files.pop(path, None)
            if file is not None:
                files[path] = file
    return ledger.apply(book.diff(tree, book.write_tree(files))).event


def body_of(ledger: Ledger, event: str) -> bytes:
    patch = ledger.event(event)
    assert isinstance(patch, PatchApplied)
    return ledger.body(patch.patch)


def measured(ledger: Ledger) -> list[GateMeasured]:
    return [event for event in ledger.events() if isinstance(event, GateMeasured)]


def accepted_in_sql(ledger: Ledger) -> tuple[int, str]:
    """Return version and tree of the accepted state of the only run, as the views have it."""
    (row,) = ledger.sql("select v, lower(hex(tree)) from columns.newest_accepted").fetchall()
    return row


# ── counting ─────────────────────────────────────────────────────────────────────────────────────


def test_without_a_tokenizer_it_is_an_estimate_that_says_so(book: Book, ledger: Ledger) -> None:
    """A quarter of the bytes, rounded up; the file with the most changed lines is named."""
    event = put(book, ledger, LARGE)
    size = len(body_of(ledger, event))
    expected = PatchTokens(event, True, 2, "large", size, (size + 3) // 4, ESTIMATE)
    assert ledger.tokens() == [expected]
    assert not (ledger.path / "cache/tokens").exists()


@pytest.mark.needs("tokenizer")
def test_with_a_tokenizer_the_count_is_that_of_its_own_library(
    book: Book, ledger: Ledger, bert: Path
) -> None:
    """Of the patch's bytes, in whatever encoding they are, without special tokens and uncut."""
    from tokenizers import Tokenizer as Rust

    rust = Rust.from_file(str(bert / "tokenizer.json"))
    rust.no_truncation()
    rust.no_padding()
    put(book, ledger, LARGE)
    put(book, ledger, {b"latin": File("Le café est fermé l'été, déjà vu.\n".encode("cp1252") * 20)})
    found = ledger.tokens(tokenizer=str(bert))
    texts = [
        body_of(ledger, found[0].event).decode("utf-8"),
        body_of(ledger, found[1].event).decode("cp1252"),
    ]
    assert [each.tokens for each in found] == [
        len(rust.encode(text, add_special_tokens=False).ids) for text in texts
    ]
    assert found[0].tokens is not None
    assert found[0].tokens > 512
    assert {each.counted_by for each in found} == {f"model@{fingerprint(bert)}"}


@pytest.mark.needs("tokenizer")
def test_what_was_counted_is_not_counted_again_until_the_cache_goes(
    book: Book, ledger: Ledger, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that is broken is as good as none."""
    put(book, ledger, SMALL)
    loads: list[object] = []
    load = Tokenizer.from_pretrained

    def counted(source: Path) -> Tokenizer:
        loads.append(source)
        return load(source)

    monkeypatch.setattr(Tokenizer, "from_pretrained", counted)
    first = ledger.tokens(tokenizer=str(bert))
    assert ledger.tokens(tokenizer=str(bert)) == first
    assert len(loads) == 1
    (cached,) = (ledger.path / "cache/tokens").iterdir()
    for content in (b"", b"{", b"[]", b'{"a": "b"}', b"\xff"):
        cached.write_bytes(content)
        assert ledger.tokens(tokenizer=str(bert)) == first
    assert len(loads) == 6
    cached.unlink()
    (ledger.path / "cache/tokens").rmdir()
    put(book, ledger, OTHER)
    assert ledger.tokens(tokenizer=str(bert))[0] == first[0]


@pytest.mark.parametrize(
    "data", [b"\x00\x01\xff", b"\xff\xfe", b"", "Привет, мир. Как дела?".encode("cp1251")]
)
def test_bytes_in_no_encoding_are_still_some_text(data: bytes) -> None:
    assert isinstance(decode(data), str)
    assert bool(decode(data)) == (data not in (b"", b"\xff\xfe"))


@pytest.mark.needs("tokenizer")
def test_a_patch_whose_bytes_were_dropped_is_not_counted_in_silence(
    book: Book, ledger: Ledger, bert: Path
) -> None:
    """Its tokens are unknown, and the gate is inconclusive; an estimate needs no bytes."""
    event = put(book, ledger, SMALL)
    ledger.redact(event, reason="private")
    assert [each.tokens for each in ledger.tokens(tokenizer=str(bert))] == [None]
    assert ledger.tokens()[0].tokens
    (book.root / "ledger.toml").write_text(BUDGET.format(f"tokenizer = '{bert}'"), "utf-8")
    ledger.record()
    (result,) = ledger.gate(GATE).results
    assert result.verdict == "inconclusive"
    assert f"{event}: its tokens cannot be counted" in result.reasons[0]


def test_a_range_names_what_came_after_up_to_its_end(book: Book, ledger: Ledger) -> None:
    first, second, third = put(book, ledger, SMALL), put(book, ledger, OTHER), put(book, ledger, LARGE)
    run = first.partition(":")[0]
    start = int(first.rpartition(":")[2])

    def events(range_: str) -> list[str]:
        return [each.event for each in ledger.tokens(range_)]

    assert events("") == events(run) == events("..") == events("0..") == [first, second, third]
    assert events("@") == events("@-1..") == events("@-1..@") == [third]
    assert events(f"{run}:{start}..{start + 1}") == events(f"{start}..{start + 1}") == [second]
    assert events(f"{first}..{third}") == [second, third]
    assert events(f"..{second}") == [first, second]
    assert events("1") == events("@..@") == []


@pytest.mark.parametrize(
    "range_", ["3..1", "1..99", "x..y", "1..2..3", "nobody", "nobody:1..2", "-1..", "1...2"]
)
def test_what_is_no_range_says_why(book: Book, ledger: Ledger, range_: str) -> None:
    put(book, ledger, SMALL)
    with pytest.raises(UnknownReference):
        ledger.tokens(range_)


def test_a_range_lies_in_one_run(book: Book, ledger: Ledger) -> None:
    first = put(book, ledger, SMALL)
    with pytest.raises(UnknownReference):
        ledger.tokens(f"{first}..ledger:1")


def test_a_patch_that_was_taken_back_is_shown_as_such(book: Book, ledger: Ledger) -> None:
    """As of the end of the range: before that it was live."""
    put(book, ledger, SMALL)
    assert ledger.gate(GATE).accepted
    event = put(book, ledger, LARGE)
    assert ledger.gate(GATE).rolled_back is not None
    run, _, v = event.partition(":")
    assert [each.live for each in ledger.tokens()] == [True, False]
    assert [each.live for each in ledger.tokens(f"{run}:0..{v}")] == [True, True]


# ── the command ──────────────────────────────────────────────────────────────────────────────────


def run(book: Book, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LEDGER, *arguments], cwd=book.root, capture_output=True, text=True, check=False)


def test_the_command_prints_rows_and_says_what_they_come_to(book: Book, ledger: Ledger) -> None:
    event = put(book, ledger, SMALL)
    (counted,) = ledger.tokens()
    done = run(book, "tokens", "--json")
    assert json.loads(done.stdout) == [
        {
            "schema": "ledger.tokens/1",
            "event": event,
            "live": True,
            "files": 1,
            "largest": "small",
            "bytes": counted.size_bytes,
            "tokens": counted.tokens,
            "counted_by": "bytes/4",
        }
    ]
    assert done.stderr.splitlines() == [
        f"1 patch, {counted.size_bytes} bytes, {counted.tokens} tokens",
        "note: counted by bytes/4, an estimate; `--tokenizer DIR` counts exactly",
    ]


def test_a_tokenizer_that_is_not_there_is_a_mistake_in_usage(book: Book, ledger: Ledger) -> None:
    put(book, ledger, SMALL)
    done = run(book, "tokens", "--tokenizer", "./missing")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ./missing: no such directory\nhint: ")
    with pytest.raises(TokenizerNotFound):
        ledger.tokens(tokenizer="missing/too")


def test_counting_needs_nothing_to_be_written(book: Book, ledger: Ledger) -> None:
    """Neither a lock nor the work tree: the log and everything else stay byte for byte."""
    put(book, ledger, SMALL)
    before = {path: path.read_bytes() for path in book.root.rglob("*") if path.is_file()}
    ledger.tokens()
    assert {path: path.read_bytes() for path in book.root.rglob("*") if path.is_file()} == before


@pytest.mark.needs("tokenizer")
def test_the_configuration_names_the_tokenizer_and_a_relative_one_from_the_top(
    book: Book, ledger: Ledger, bert: Path
) -> None:
    put(book, ledger, SMALL)
    (book.root / "model").symlink_to(bert)
    (book.root / "ledger.toml").write_text(BUDGET.format("tokenizer = 'model'"), "utf-8")
    exact = ledger.tokens(tokenizer=str(bert))
    assert ledger.tokens() == exact
    assert [each.counted_by for each in exact] != [ESTIMATE]
    (book.root / "sub").mkdir()
    done = subprocess.run(
        [LEDGER, "tokens", "--json"], cwd=book.root / "sub", capture_output=True, check=True
    )
    assert [each["tokens"] for each in json.loads(done.stdout)] == [each.tokens for each in exact]


# ── the gate ─────────────────────────────────────────────────────────────────────────────────────


def test_a_patch_above_the_budget_is_rejected_and_rolled_back(book: Book, ledger: Ledger) -> None:
    """One within it was accepted before; the findings begin with the largest patch, and name its file."""
    put(book, ledger, SMALL)
    assert ledger.gate(GATE).accepted
    good = ledger.history().candidate.tree
    large = put(book, ledger, LARGE)
    put(book, ledger, OTHER)
    gated = ledger.gate(GATE)
    assert gated.rejected
    assert gated.rolled_back is not None
    assert gated.rolled_back.tree == good == accepted_in_sql(ledger)[1]
    book.assert_followed(good)
    (row, *others) = ledger.sql(
        "select f.rule, f.path, f.message, g.value, g.examined, g.unit, g.threshold "
        "from findings f join gates g using (event) where g.verdict = 'fail' order by f.message desc"
    ).fetchall()
    tokens = next(each.tokens for each in ledger.tokens() if each.event == large)
    assert {row[0], *(each[0] for each in others)} >= {large}
    found = next(each for each in (row, *others) if each[0] == large)
    assert found[1:] == (
        "large", f"{tokens} tokens in 2 files, counted by bytes/4", float(tokens or 0), 2, "patches", 100.0,
    )  # fmt: skip


def test_the_same_tree_by_other_patches_is_measured_anew(book: Book, ledger: Ledger) -> None:
    """Too large at once, the same change is accepted in two steps: fold and SQL say so alike."""
    half, rest = {b"one": File(b"words\n" * 25)}, {b"two": File(b"words\n" * 25)}
    put(book, ledger, half, rest)
    tree = ledger.history().candidate.tree
    rejected = ledger.gate(GATE)
    assert rejected.rejected
    assert ledger.history().candidate.tree != tree
    put(book, ledger, half)
    put(book, ledger, rest)
    assert ledger.history().candidate.tree == tree
    gated = ledger.gate(GATE)
    assert [result.recorded for result in gated.results] == [False]
    assert gated.accepted
    assert accepted_in_sql(ledger) == (ledger.history().accepted.v, tree)
    facts = measured(ledger)
    assert [each.verdict for each in facts] == ["fail", "pass"]
    assert len({each.tree for each in facts}) == 1
    assert len({each.tools["patches"] for each in facts}) == 2
    assert ledger.sql("select distinct flaky from gates").fetchall() == [(False,)]


def test_the_same_patches_are_measured_once(book: Book, ledger: Ledger) -> None:
    """Also after the candidate was accepted, and where a later patch was taken back."""
    put(book, ledger, SMALL)
    assert ledger.gate(GATE).accepted
    assert ledger.gate(GATE).results[0].recorded
    put(book, ledger, OTHER)
    ledger.undo()
    again = ledger.gate(GATE)
    assert again.accepted
    assert len({each.tree for each in measured(ledger)}) == 1


def test_only_patches_since_what_was_accepted_count(book: Book, ledger: Ledger) -> None:
    put(book, ledger, SMALL)
    put(book, ledger, OTHER)
    ledger.gate(GATE)
    put(book, ledger, {b"third": File(b"3\n")})
    ledger.gate(GATE)
    assert [each.examined for each in measured(ledger)] == [2, 1]
    assert [each.metrics["patches"] for each in measured(ledger)] == [2.0, 1.0]
    run_ = measured(ledger)[0].run
    assert measured(ledger)[0].commands == (("ledger", "tokens", f"{run_}:1..4", "--json"),)


def test_without_a_patch_nothing_is_concluded(book: Book, ledger: Ledger) -> None:
    (result,) = ledger.gate(GATE).results
    assert result.verdict == "inconclusive"
    assert "examined no patches" in result.reasons[0]


def test_in_a_tree_of_its_own_it_counts_the_same(book: Book, ledger: Ledger) -> None:
    put(book, ledger, SMALL)
    gated = ledger.gate(GateOptions(names=("tokens",), isolated=True))
    assert gated.accepted
    assert measured(ledger)[0].place == "isolated"
    assert ledger.gate(GATE).results[0].recorded


@pytest.mark.needs("tokenizer")
def test_another_tokenizer_is_another_measurement(book: Book, ledger: Ledger, bert: Path) -> None:
    put(book, ledger, SMALL)
    ledger.gate(GATE)
    (book.root / "ledger.toml").write_text(BUDGET.format(f"tokenizer = '{bert}'"), "utf-8")
    gated = ledger.gate(GateOptions(names=("tokens",), isolated=True))
    assert gated.results[0].recorded  # the measured tree's own configuration is as it was
    ledger.record()
    ledger.gate(GATE)
    assert [each.tools["tokenizer"].partition("@")[0] for each in measured(ledger)] == [ESTIMATE, "model"]
    exact = ledger.tokens(tokenizer=str(bert))
    assert measured(ledger)[-1].metrics["max_tokens"] == exact[-1].tokens


def test_a_tokenizer_that_cannot_be_used_is_inconclusive(book: Book, ledger: Ledger) -> None:
    """Nothing is rolled back, and the reason is the command's own."""
    put(book, ledger, {b"ledger.toml": File(BUDGET.format("tokenizer = './missing'").encode())})
    gated = ledger.gate(GATE)
    assert (gated.results[0].verdict, gated.rolled_back) == ("inconclusive", None)
    assert "a tokenizer that cannot be used" in gated.results[0].reasons[0]
    assert b"missing: no such directory" in ledger.body(measured(ledger)[0].output)


def test_it_is_in_no_policy_until_the_configuration_mentions_it(tmp_path: Path) -> None:
    book = Book(tmp_path / "plain", {b"README": File(b"base\n")})
    with Ledger.open(book.root) as ledger:
        assert "tokens" not in ledger.policy().policy.gates
        (book.root / "ledger.toml").write_text("[gates.tokens]\n", "utf-8")
        assert ledger.policy().profiles["release"].gates["tokens"].mode == "strict"
        rule = ledger.policy().policy.gates["tokens"]
        assert (rule.mode, rule.threshold) == ("soft", 4000)
