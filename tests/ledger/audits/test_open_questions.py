"""Open questions in Markdown: which lines ask, and what closes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.audits.openings import find_openings
from ledger.audits.questions import Logged, harvest
from ledger.audits.tracked import TrackedFiles
from ledger.repository import Repository

NOTES = """\
# Notes
- Is this one? It stands elsewhere.

## Open questions
Some words before.
- Which cache is it,
  the old one?
- [ ] **Who** owns the key?
- [x] Where is the log?
- ~~What was that?~~
- Why so slow?
  - Answered: the disk.
1. Must it be sorted (resolved in 0.2)?
- none

Does a line ask too?

### Deeper
- Still one

## Done
- Not any more?
- Question: does it count here?
Q: and this?
TODO? perhaps later

```
## Open questions
- an example
```
"""

BLOCK = """\
Question for ChatGPT @codex 2025-01-02T03:04:05Z:
While performing [3:build], encountered the following error:
cc: not found
Context: a new machine
What are the possible causes, and how can this be resolved while preserving intended functionality?
"""


def test_what_is_asked_and_not_answered_is_found_with_its_line() -> None:
    assert [tuple(each) for each in find_openings(NOTES)] == [
        (6, "Which cache is it,"),
        (8, "Who owns the key?"),
        (16, "Does a line ask too?"),
        (19, "Still one"),
        (23, "does it count here?"),
        (24, "and this?"),
        (25, "perhaps later"),
    ]


@pytest.mark.parametrize("text", ["", "\ufeff", "#", "## Open questions", "```\n- Q: x", "\r\n\0\n- \n" * 3])
def test_what_asks_nothing_gives_nothing(text: str) -> None:
    assert find_openings(text) == []


def test_log_and_markdown_are_one_list(make_repo: Callable[..., Path]) -> None:
    """A block that the log knows is told by the log: answered there, it is not open here."""
    root = make_repo(
        {
            "docs/q.md": BLOCK.encode(),
            "a.md": b"## Open questions\r\n- One?\r\n",
            "a.txt": b"Q: no Markdown?\n",
            "latin.md": b"## Open questions\n- caf\xe9?\n",
        }
    )
    files = TrackedFiles(Repository.open(root))
    found = harvest(files, None)
    assert (found.examined, harvest(files, []).examined) == (3, 4)
    assert [(each.path, each.line) for each in found.findings] == [
        ("a.md", 2),
        ("docs/q.md", 1),
        ("latin.md", 2),
    ]
    assert "cc: not found" in found.findings[1].message
    answered = harvest(files, [Logged("work:4", "3:build", "cc: not found\n", False)])
    assert [each.path for each in answered.findings] == ["a.md", "latin.md"]
    still = harvest(files, [Logged("work:4", "3:build", "cc: not found\n", True)])
    assert still.findings[0].message == "work:4 3:build: cc: not found"
    assert [each.path for each in still.findings] == ["", "a.md", "latin.md"]
