"""The questions file: what is in it, when it is written, and whose file is never written over."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent))
from book import Book, File

from ledger.api import Ledger
from ledger.errors import QuestionsInTheWay
from ledger.events import ErrorCaptured
from ledger.workspace import Workspace
from patches.worktree_errors import InTheWay

NAME = "docs/reference/codex_questions.md"
BASE = {b"a.txt": File(b"one\n")}
BLOCK = """\
Question for ChatGPT @codex {time}:
While performing [{step}], encountered the following error:
{message}
Context: {context}
What are the possible causes, and how can this be resolved while preserving intended functionality?
"""


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "repo", BASE)


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        yield opened


def block(event: ErrorCaptured, message: str, context: str = "none") -> str:
    moment = datetime.fromtimestamp(event.at_ns / 1e9, UTC).replace(microsecond=0)
    return BLOCK.format(
        time=moment.isoformat().replace("+00:00", "Z"), step=event.step, message=message, context=context
    )


def text(book: Book) -> str:
    return book.root.joinpath(NAME).read_bytes().decode()


def test_each_question_is_a_block_in_the_order_in_which_it_was_asked(book: Book, ledger: Ledger) -> None:
    """Byte for byte; what joins a question adds nothing, an answer takes nothing away, a later run goes on."""
    first = ledger.capture_error("3:build", "one\ntwo\n", context="making\n the wheel")
    assert text(book) == block(first, "one\ntwo", "making the wheel")
    ledger.capture_error("3:build", "one\ntwo\n")
    ledger.answer(first.reference, "so")
    ledger.finish()
    second = ledger.capture_error("4:prune", "three")
    assert text(book) == block(first, "one\ntwo", "making the wheel") + "\n" + block(second, "three")
    assert ledger.questions_text(only_open=True) == block(second, "three")


def test_git_passes_over_the_file(book: Book, ledger: Ledger) -> None:
    """It is no edit past the ledger, in this clone alone; what else is excluded stays so."""
    exclude = book.root / ".git/info/exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_bytes(b"*.log")
    ledger.capture_error("1:prep", "x")
    ledger.capture_error("1:prep", "y")
    assert exclude.read_bytes() == f"*.log\n/{NAME}\n".encode()
    assert book.git("status", "--porcelain", "--untracked-files=all") == b""
    assert ledger.status().drift == ()


@pytest.mark.parametrize("content", [b"by hand\n", b""])
def test_a_file_of_somebody_else_is_never_written_over(book: Book, ledger: Ledger, content: bytes) -> None:
    """A warning says so, once for each question; an empty one is nobody's loss."""
    path = book.root / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    asked = ledger.capture_error("1:prep", "x")
    if not content:
        assert text(book) == block(asked, "x")
        return
    assert path.read_bytes() == content
    (warning,) = ledger.warnings
    assert "`ledger import errors FILE`" in warning
    with pytest.raises(QuestionsInTheWay):
        ledger.write_questions()
    ledger.enter_phase("P2")
    assert len(ledger.warnings) == 1
    assert ledger.write_questions(force=True) == (NAME, True)
    assert text(book) == block(asked, "x")
    assert ledger.write_questions() == (NAME, False)


def test_an_edit_by_hand_is_kept(book: Book, ledger: Ledger) -> None:
    """Also where it follows what was written."""
    ledger.capture_error("1:prep", "x")
    path = book.root / NAME
    path.write_bytes(path.read_bytes() + b"my own line\n")
    edited = path.read_bytes()
    ledger.capture_error("1:prep", "y")
    assert path.read_bytes() == edited
    assert len(ledger.warnings) == 1


@pytest.mark.parametrize("at", ["docs", "docs/reference", NAME])
def test_nothing_is_written_through_a_symlink(book: Book, ledger: Ledger, tmp_path: Path, at: str) -> None:
    """Wherever on the way it is: what it leads to is as before, and the error is recorded."""
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.joinpath("codex_questions.md").write_bytes(b"")
    link = book.root / at
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside / "codex_questions.md" if at == NAME else outside)
    before = sorted(path.name for path in outside.rglob("*"))
    assert ledger.capture_error("1:prep", "x").v > 0
    assert sorted(path.name for path in outside.rglob("*")) == before
    assert outside.joinpath("codex_questions.md").read_bytes() == b""
    assert len(ledger.warnings) == 1


def test_where_it_is_part_of_the_candidate_people_decide(tmp_path: Path) -> None:
    """Written by itself it would be drift: it is written when asked for, and recorded."""
    book = Book(tmp_path / "repo", {**BASE, NAME.encode(): File(b"")})
    with Ledger.open(book.root) as ledger:
        asked = ledger.capture_error("1:prep", "x")
        assert text(book) == ""
        assert ledger.warnings == []
        assert ledger.status().drift == ()
        assert ledger.write_questions() == (NAME, True)
        assert text(book) == block(asked, "x")
        ledger.record()
        assert ledger.status().drift == ()


def test_a_patch_that_brings_the_file_is_not_stopped_by_ours(book: Book, ledger: Ledger) -> None:
    """Ours gives way; an edit by hand does not. From then on it is part of the candidate."""
    ledger.capture_error("1:prep", "x")
    path = book.root / NAME
    before = path.read_bytes()
    theirs = book.diff(book.write_tree(BASE), book.write_tree({**BASE, NAME.encode(): File(b"theirs\n")}))
    path.write_bytes(before + b"mine\n")
    with pytest.raises(InTheWay):
        ledger.apply(theirs)
    assert path.read_bytes() == before + b"mine\n"
    path.write_bytes(before)
    ledger.apply(theirs)
    ledger.capture_error("1:prep", "y")
    assert path.read_bytes() == b"theirs\n"
    assert ledger.status().drift == ()


def test_the_configuration_names_it_or_wants_none(book: Book, ledger: Ledger) -> None:
    """Elsewhere, or nowhere; a path that leads outside is refused with a warning."""
    configuration = book.root / "ledger.toml"
    configuration.write_text('[questions]\nfile = ""\n', "utf-8")
    first = ledger.capture_error("1:prep", "x")
    assert not book.root.joinpath("docs").exists()
    configuration.write_text('[questions]\nfile = "ask [me].md"\n', "utf-8")
    second = ledger.capture_error("1:prep", "y")
    expected = block(first, "x") + "\n" + block(second, "y")
    assert book.root.joinpath("ask [me].md").read_text("utf-8") == expected
    assert b"ask" not in book.git("status", "--porcelain", "--untracked-files=all")
    configuration.write_text('[questions]\nfile = "../out.md"\n', "utf-8")
    ledger.capture_error("1:prep", "z")
    assert not book.root.parent.joinpath("out.md").exists()
    assert len(ledger.warnings) == 1


def test_a_text_that_was_dropped_is_gone_at_once(book: Book, ledger: Ledger) -> None:
    """The file is made anew before the command returns, and says which event dropped it."""
    asked = ledger.capture_error("1:prep", "a secret of ours")
    other = ledger.capture_error("1:prep", "y")
    dropped = ledger.redact(asked.reference)
    expected = block(asked, f"[redacted: dropped by {dropped.event}]") + "\n" + block(other, "y")
    assert text(book) == expected
    assert ledger.warnings == []


def test_what_a_crash_left_out_the_next_writing_command_writes(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nobody knows any more what was written last."""
    with Ledger.open(book.root) as ledger:
        first = ledger.capture_error("1:prep", "x")
        with monkeypatch.context() as crash:
            crash.setattr(Workspace, "_follow_questions", lambda _: None)
            second = ledger.capture_error("1:prep", "y")
        assert text(book) == block(first, "x")
    (ledger.path / "cache/questions/main.json").unlink()
    with Ledger.open(book.root) as ledger:
        ledger.enter_phase("P2")
        assert text(book) == block(first, "x") + "\n" + block(second, "y")
        assert ledger.warnings == []


STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "answer", "retire", "finish", "crash", "forget"]), st.integers(0, 3)),
    max_size=12,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_after_any_sequence_the_file_is_a_naive_rendering(steps: list[tuple[str, int]]) -> None:
    """Questions of a list in memory: asked, joined, closed, in several runs, with crashes in between."""
    with TemporaryDirectory() as scratch:
        book = Book(Path(scratch) / "repo", BASE)
        blocks: list[str] = []
        open_: dict[str, str] = {}
        run = False
        for what, number in steps:
            with Ledger.open(book.root) as ledger, pytest.MonkeyPatch.context() as patch:
                message = f"error {number}"
                if what == "crash":
                    patch.setattr(Workspace, "_follow_questions", lambda _: None)
                if what in ("ask", "crash"):
                    captured = ledger.capture_error("3:build", message)
                    run = True
                    assert (captured.same_as is None) == (message not in open_)
                    if message not in open_:
                        open_[message] = captured.reference
                        blocks.append(block(captured, message))
                elif what in ("answer", "retire") and message in open_:
                    reference = open_.pop(message)
                    ledger.answer(reference, "so") if what == "answer" else ledger.retire(reference)
                elif what == "finish" and run:
                    ledger.finish()
                    run, open_ = False, {}
                elif what == "forget":
                    for path in ledger.path.glob("cache/questions/*.json"):
                        path.unlink()
        with Ledger.open(book.root) as ledger:
            ledger.enter_phase("P5")
            expected = "\n".join(blocks)
            assert ledger.warnings == []
            assert (text(book) if book.root.joinpath(NAME).exists() else "") == expected
            wanted = sorted(open_.values())
            assert sorted(ledger.status().questions) == wanted
