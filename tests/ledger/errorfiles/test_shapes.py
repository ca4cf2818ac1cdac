"""Every shape of an old error file gives the error that was written into it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from errorshapes import (
    ASK,
    CONTEXT,
    MESSAGE,
    POINTER,
    ROWS,
    TABLE,
    TEMPLATE,
    TIME,
    VARIANTS,
    block,
    fenced,
    quoted,
    rows,
)

from ledger.errorfiles import ErrorFile, FoundError, parse_error_file, parse_questions


def parse(text: str) -> ErrorFile:
    return parse_error_file(text, "old.txt")


def errors(text: str) -> list[FoundError]:
    return [piece.error for piece in parse(text).pieces if piece.error is not None]


def left(text: str) -> dict[str, str]:
    found = parse(text)
    return {found.lines_of(piece): piece.why for piece in found.of_kind("left")}


@pytest.mark.parametrize("name", VARIANTS)
def test_each_variant_of_the_heading_is_the_same_error(name):
    (error,) = errors(VARIANTS[name])
    assert (error.step, error.message.strip("“”"), error.asked_at) == ("3:build", MESSAGE, TIME)
    assert error.context.strip() == CONTEXT
    assert error.state == "open"
    assert error.marks == (("no closing question",) if name == "no closing question" else ())
    assert not left(VARIANTS[name])


@pytest.mark.parametrize(("name", "text"), rows().items())
def test_each_shape_of_a_row_is_the_same_error(name, text):
    (error,) = errors(text)
    assert (error.step, error.message, error.asked_at) == ("3:build", MESSAGE, TIME)
    assert error.context == CONTEXT
    assert not left(text)


def test_a_row_without_a_time_gets_none():
    (error,) = errors('{"step": "1", "err": "it broke", "ctx": "env"}')
    assert error.asked_at == ""


def test_objects_one_after_another_on_a_line_are_all_found():
    text = json.dumps(ROWS["all fields"])
    assert len(errors(f"{text}{text} {text},{text}\n")) == 4


def test_no_field_of_a_row_is_lost():
    row = {
        "step": "1",
        "error": "e",
        "context": "c",
        "path": "a/b",
        "rc": 3,
        "argv": ["x", "y"],
        "empty": "",
        "n": None,
    }
    (error,) = errors(json.dumps(row))
    assert error.context.splitlines() == ["c", "path: a/b", "rc: 3", 'argv: ["x", "y"]']


def test_a_row_of_a_command_that_failed_tells_what_it_said_or_how_it_ended():
    said, silent = errors(
        '{"step": "1", "rc": 1, "stderr": "no oil\\n"}\n{"step": "1", "rc": 2, "stdout": "ok"}'
    )
    assert (said.message, said.context) == ("no oil", "rc: 1")
    assert (silent.message, silent.context) == ("exit code 2", "rc: 2\nstdout: ok")


def test_a_field_that_comes_twice_keeps_both_values():
    (error,) = errors('{"step": "1", "error": "first", "error": "second"}')
    assert (error.message, error.context) == ("first", "error (2): second")


def test_half_a_character_is_escaped():
    (error,) = errors(r'{"step": "1", "error": "odd \ud800 one"}')
    assert error.message == r"odd \ud800 one"


@pytest.mark.parametrize(
    ("row", "state", "answer"),
    [
        ({"status": "resolved", "resolution": "oiled it"}, "answered", "oiled it"),
        ({"resolution": "oiled it"}, "answered", "oiled it"),
        ({"resolution": "TBD"}, "open", ""),
        ({"resolved": True}, "answered", "marked as true"),
        ({"status": "wontfix", "resolution": "nobody uses it"}, "retired", "nobody uses it"),
        ({"status": "not resolved", "resolution": "tried oil"}, "open", ""),
    ],
)
def test_a_row_may_say_that_it_is_closed(row, state, answer):
    (error,) = errors(json.dumps({"step": "1", "error": "it squeaks", **row}))
    assert (error.state, error.answer) == (state, answer)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"level": "info", "msg": "all well", "step": "1"}', "a row of level info"),
        ('{"action": "moved", "path": "a"}', "a row that tells no error"),
        ('{"step": "1", "error": null}', "a row that tells no error"),
        ('{"step": "1", "rc": 0, "stderr": "a warning"}', "a row that tells no error"),
        ('{"step": "1", "error": "e"', "a JSON object that is cut off"),
        ('{"step": "1", "error": "e', "a JSON object that is cut off"),
        (
            '{"step": "1", error: "e"}',
            "invalid JSON: expecting property name enclosed in double quotes (column 15)",
        ),
        ('{"a":' * 100_000, "a JSON object that is nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "a JSON object with a number that is too long"),
    ],
)
def test_a_damaged_line_is_left_over_with_its_reason_and_the_others_are_taken(line, why):
    good = json.dumps(ROWS["all fields"])
    text = f"{good}\n{line}\n{good}\n"
    assert len(errors(text)) == 2
    assert left(text) == {"2": why}


@pytest.mark.parametrize(
    "tail",
    ['", "n": 1234567}', '", "n": true}', '\\u00e4\\\\"}', '", "n": -Infinity}', '", "n": {"m": []}}\n'],
)
def test_a_row_may_be_long(tail):
    """A window slides over it: whatever stands at its end is not taken for damage."""
    for size in range(16330, 16390):
        (error,) = errors('{"step": "1", "error": "' + "e" * size + tail)
        assert error.message.count("e") == size


def test_an_error_in_a_later_line_of_an_object_says_which():
    assert left('{\n "step": "1",\n error: "e"\n}\n')["1"].endswith("(its line 3, column 2)")


def test_a_pointer_of_git_lfs_is_left_over_and_what_stands_behind_it_is_taken():
    for content in (json.dumps(ROWS["all fields"]), block()):
        assert [error.message for error in errors(POINTER + content)] == [MESSAGE]
        assert left(POINTER + content) == {"1-3": "a Git LFS pointer: its 4711 bytes are not here"}
    assert left(POINTER.rstrip("\n")) == {"1-3": "a Git LFS pointer: its 4711 bytes are not here"}


@pytest.mark.parametrize(
    "text", [TEMPLATE, fenced(TEMPLATE), quoted(TEMPLATE), json.dumps({"step": "{step}", "error": "{err}"})]
)
def test_a_bare_template_is_no_error_and_is_counted(text):
    assert not errors(text)
    assert len(parse(text).of_kind("template")) == 1


@pytest.mark.parametrize(
    "time",
    [
        "$ts",
        "${TS}",
        "$(date -u +%FT%TZ)",
        "{timestamp}",
        "{{timestamp}}",
        "%Y-%m-%dT%H:%M:%SZ",
        "[TIMESTAMP]",
    ],
)
def test_a_time_that_was_never_filled_in_is_marked_and_not_taken_for_a_time(time):
    for text in (
        block(f"Question for ChatGPT-5 {time}:"),
        json.dumps({"ts": time, "step": "3:build", "error": MESSAGE}),
    ):
        (error,) = errors(text)
        assert error.asked_at == ""
        assert [mark.partition(":")[0] for mark in error.marks] == ["time not filled in"]


@pytest.mark.parametrize(
    "time",
    [
        "2025-03-04",
        "20250304T050607Z",
        "2025-03-04 05:06:07 UTC",
        "2025-03-04T05:06Z",
        "2025-03-04T05:06:07.123456+00:00",
    ],
)
def test_a_time_is_kept_as_it_stands(time):
    (error,) = errors(block(f"Question for ChatGPT-5 {time}:"))
    assert error.asked_at == time


@pytest.mark.parametrize(
    ("message", "sign"),
    [
        ("no file /tmp/pytest-of-me/pytest-12/test_it0/x.json", "a temporary directory of pytest"),
        ("MagicMock has no len", "a mock object"),
        ("boom", "a message that tests make up"),
        ("RuntimeError('boom!')", "a message that tests make up"),
        ("simulated failure", "a message that tests make up"),
    ],
)
def test_what_a_test_suite_wrote_is_marked(message, sign):
    for text in (block(message=message), json.dumps({"step": "1", "error": message})):
        (error,) = errors(text)
        assert error.marks == (f"written by a test suite: {sign}",)


@pytest.mark.parametrize(
    "message",
    ["the boom of the crane fell", "pytest-of-course is no package", "a test error was raised by make"],
)
def test_what_only_sounds_like_a_test_is_not_marked(message):
    (error,) = errors(block(message=message))
    assert error.marks == ()


ANSWERED = [
    block() + "\n**Answer (2025-04-01):** Install the widgets.\n",
    quoted(block()) + "\n**Answer:** Install the widgets.\n",
    fenced(block() + "\nPossible causes:\n1) none installed\n\nResolution:\nInstall the widgets.\n"),
    fenced(block()) + "\nResolution: Install the widgets.\n",
    block() + "\n### Resolution:\nInstall the widgets.\n\n## Another chapter\n",
    "## While performing [3:build], encountered `no widgets`.\n**Cause:** None.\n**Fix:** Install the widgets.\n",
    block().replace(ASK, f"{ASK} **Answer:** Install the widgets."),
]


@pytest.mark.parametrize("text", ANSWERED)
def test_an_answer_after_a_question_is_its_answer(text):
    (error,) = errors(text)
    assert error.state == "answered"
    assert "Install the widgets." in error.answer


@pytest.mark.parametrize(
    "after", ["Answer: TBD", "**Answer:**", "Possible causes: an old disk", "Answer: pending\n\nText."]
)
def test_a_cause_alone_or_a_blank_is_no_answer(after):
    (error,) = errors(f"{block()}\n{after}\n")
    assert (error.state, error.answer) == ("open", "")


def test_an_answer_ends_with_its_chapter():
    text = f"{block()}\nAnswer: oil it.\nTwice a day.\n\n## Elsewhere\nunrelated\n"
    (error,) = errors(text)
    assert error.answer == "Answer: oil it.\nTwice a day."
    assert left(text) == {"10": "a title", "11": "text outside of any question"}


def test_an_answer_belongs_to_the_question_before_it():
    first, second = errors(f"{block()}\nAnswer: oil it.\n\n{block(message='another')}\n")
    assert (first.state, second.state) == ("answered", "open")


def test_a_message_keeps_its_lines_and_its_blank_lines():
    message = "Traceback:\n\n  File 'a', line 1\n# not a title\nIt broke"
    (error,) = errors(block(message=message))
    assert error.message == message


def test_words_between_the_parts_are_kept():
    text = block().replace("While", "Somebody is waiting.\nWhile", 1).replace(ASK, f"{ASK} Please hurry.")
    (error,) = errors(text)
    assert error.context.splitlines() == ["Somebody is waiting.", CONTEXT, "Please hurry."]


def test_a_table_gives_its_rows_with_their_states():
    found = parse(f"# Log\n\n{TABLE}")
    rows_ = [piece.error for piece in found.pieces if piece.error]
    assert [(row.step, row.message, row.state, row.answer) for row in rows_] == [
        ("make gears", "Gears need `oil | grease`", "open", ""),
        ("4:paint", "The red was brown", "answered", "Bought another red"),
        ("4:paint", "No brush", "retired", "We spray"),
        ("5:pack", "Boxes too small", "open", ""),
    ]
    assert [row.asked_at for row in rows_] == [
        "2025-03-04T05:06:07Z; 2025-03-09",
        "2025-03-05",
        "2025-03-05 (`$ts`)",
        "",
    ]
    assert rows_[2].marks == ("time not filled in: $ts",)
    assert "Owner: mill" in rows_[0].context
    assert "Timestamp(s): Undated" in rows_[3].context
    assert [found.lines_of(piece) for piece in found.of_kind("left")] == ["1", "9"]


@pytest.mark.parametrize(
    "head",
    [
        "| Capability | Status | Gaps |",
        "| Command | Purpose |",
        "| Issue | Status |",
        "| Question ID | Status | Step |",
    ],
)
def test_a_table_of_something_else_is_left_over(head):
    rule = "|" + "---|" * (head.count("|") - 1)
    text = f"{head}\n{rule}\n{head}\n"
    assert left(text) == {"1-3": "a table that is not of errors and their states"}


@pytest.mark.parametrize(
    "text",
    [
        "# Question for ChatGPT\n\n1. Why?\n",
        "Ask a question for ChatGPT @codex whenever something fails.\n",
        "Questions for ChatGPT-5: what is it that we want?\n",
        "Question for ChatGPT about the roof\n",
    ],
)
def test_what_only_mentions_a_question_is_left_over(text):
    assert not errors(text)
    assert left(text)


def test_questions_and_rows_may_be_mixed():
    row = json.dumps(ROWS["all fields"])
    assert len(errors(f"{row}\n{block()}{row}\n")) == 3
    assert len(errors(f"# A log\n\n{block()}\n{row}\n")) == 2


def test_the_same_error_at_the_same_time_is_a_copy_and_at_another_time_is_not():
    text = block() + block() + block(f"Question for ChatGPT-5 {TIME[:-4]}:59Z:")
    assert [error.marks for error in errors(text)] == [(), ("a copy",), ()]


def test_whoever_lists_questions_gets_line_state_and_words():
    found = parse_questions(f"# Log\n\n{block()}\nAnswer: oil it.\n\n{TEMPLATE}\n{TABLE}", "log.md")
    assert [(each.line, each.state, each.message) for each in found] == [
        (3, "answered", MESSAGE),
        (19, "open", "Gears need `oil | grease`"),
        (20, "answered", "The red was brown"),
        (21, "retired", "No brush"),
        (22, "open", "Boxes too small"),
    ]
    assert found[1].status == "Action required; Yes"
