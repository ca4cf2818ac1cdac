"""Old error files in the shapes that were met, in sentences of our own."""

from __future__ import annotations

import json

ASK = "What are the possible causes, and how can this be resolved while preserving intended functionality?"
MESSAGE = "ImportError: no module named 'widgets'"
CONTEXT = "building the parts catalogue"
TIME = "2025-03-04T05:06:07Z"


def block(
    heading: str = f"Question for ChatGPT @codex {TIME}:",
    step: str = "[3:build]",
    message: str = MESSAGE,
    context: str = CONTEXT,
) -> str:
    """A question in the standard form, or nearly."""
    return (
        f"{heading}\nWhile performing {step}, encountered the following error:\n{message}\n"
        f"Context: {context}\n{ASK}\n"
    )


def quoted(text: str) -> str:
    return "".join(f"> {line}\n" for line in text.splitlines())


def fenced(text: str, opening: str = "```", closing: str = "```") -> str:
    return f"{opening}\n{text.rstrip()}\n{closing}\n"


VARIANTS = {
    "standard": block(),
    "another name": block(f"Question for ChatGPT-5 {TIME}:"),
    "both names": block(f"Question for ChatGPT-5 @codex {TIME}:"),
    "from for for": block(f"Question from ChatGPT @codex {TIME}:"),
    "bold": block(f"**Question for ChatGPT-5 {TIME}:**"),
    "a title": block(f"### Question for ChatGPT @codex {TIME}"),
    "quoted": quoted(block()),
    "fenced": fenced(block()),
    "fenced with a language at both ends": fenced(block(), "```text", "```text"),
    "fenced with colons": fenced(block(), ":::", ":::"),
    "an item of a list": block(f"- Question for ChatGPT @codex {TIME}:"),
    "typographic hyphens": block(f"Question for ChatGPT\u20115 {TIME.replace('-', chr(0x2011))}:"),
    "typographic spaces and quotes": block(message=f"“{MESSAGE}”")
    .replace(" for ", "\u00a0for ")
    .replace("ChatGPT ", "ChatGPT\u202f"),
    "an issue": block().replace("following error", "following issue"),
    "broken after the step": block().replace("], encountered", "],\nencountered"),
    "the closing question on the context's line": block().replace(f"\n{ASK}", f"  {ASK}"),
    "all on one line": " ".join(block().split("\n")).strip() + "\n",
    "a step without brackets": block(step="3:build"),
    "a step in quotes": block(step='step "3:build"'),
    "a message in backticks": block(message=f"`{MESSAGE}`."),
    "a message in a fence": block(message=f"```\n{MESSAGE}\n```"),
    "captured at": block("Question for ChatGPT-5:") + f"\n--- captured at {TIME} ---\n",
    "no closing question": block().replace(ASK, "").rstrip() + "\n",
}
"""One error each, the same in all of them."""

ROWS = {
    "all fields": {
        "timestamp": TIME,
        "step": "3:build",
        "error": MESSAGE,
        "context": CONTEXT,
        "question": ASK,
    },
    "step and description": {
        "ts": TIME,
        "step": "3",
        "step_description": "build",
        "error": MESSAGE,
        "context": CONTEXT,
    },
    "a step of two": {"time": TIME, "step": {"id": 3, "desc": "build"}, "error": MESSAGE, "context": CONTEXT},
    "abbreviated": {"at": TIME, "step": "3:build", "err": MESSAGE, "ctx": CONTEXT},
    "the question beside its fields": {
        "time": TIME,
        "step": "3",
        "desc": "build",
        "question_for_chatgpt5": block("Question for ChatGPT-5:"),
    },
    "the question in parts": {
        "question": f"Question for ChatGPT @codex {TIME}:",
        "detail": f"While performing 3:build, encountered the following error: {MESSAGE}",
        "context": CONTEXT,
        "ask": ASK,
    },
    "a message beside a step": {"ts": TIME, "step": "3:build", "msg": MESSAGE, "context": CONTEXT},
}


def rows() -> dict[str, str]:
    """Each row in each of the ways that JSON is written."""
    written: dict[str, str] = {}
    for name, row in ROWS.items():
        written[name] = f"{json.dumps(row)}\n"
        written[f"{name}, pretty-printed"] = f"{json.dumps(row, indent=2)}\n"
        written[f"{name}, in a list"] = f"{json.dumps([row], indent=1)}\n"
    return written


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0a' * 32}\nsize 4711\n"
"""A Git-LFS pointer."""

TEMPLATE = block(
    "Question for ChatGPT @codex {timestamp}:",
    "[STEP_NUMBER:STEP_DESCRIPTION]",
    "[ERROR_MESSAGE]",
    "[BRIEF_CONTEXT]",
)

TABLE = """\
| Timestamp(s) | Step / Phase | Recorded blocker | Status | Still valid? | Disposition | Owner |
| --- | :-- | --- | --- | --- | --- | --- |
| 2025-03-04T05:06:07Z; 2025-03-09 | `make gears` | Gears need `oil \\| grease` | Action required | Yes | | mill |
| 2025-03-05 | 4:paint | The red was brown | Action required | No | Bought another red | |
| 2025-03-05 (`$ts`) | 4:paint | No brush | Retired | No \u2013 sprayed now | We spray | |
| Undated | 5:pack | Boxes too small | Deferred | Deferred | Ask the shop | |
| 2025-03-06 | 6:ship |  | Resolved | No | | |
"""
