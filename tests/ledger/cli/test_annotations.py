"""What a build's log and page are told of an error."""

from __future__ import annotations

import pytest

from ledger.cli.annotations import annotation
from ledger.events import ErrorCaptured
from ledger.stamps import Actor

ERROR = ErrorCaptured(
    id="x", run="try", v=7, at_ns=0, actor=Actor(), step="3:build, a", message="", same_as=4
)


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ("gate lint: fail\nsrc/a.py:3:7: F401 unused", "file=src/a.py,line=3,col=7,"),
        ("src/a,b.py:3: bad", "file=src/a%2Cb.py,line=3,"),
        ('Traceback\n  File "a.py", line 8, in f\nKeyError', "file=a.py,line=8,"),
        ("no such file", ""),
    ],
)
def test_an_error_is_shown_where_it_is(message: str, place: str) -> None:
    """The first place that the message names; its properties are escaped, and so are the lines."""
    said = message.replace("\n", "%0A")
    assert annotation(ERROR, message, soft=False) == (
        f"::error {place}title=3%3Abuild%2C a (try%3A4)::{said}"
    )


def test_no_line_of_an_error_is_a_command() -> None:
    """All of it is one line, a percent sign is no escape, and a soft failure is a warning."""
    said = annotation(ERROR, "100%\r\n::add-mask::x\n", soft=True)
    assert said.startswith("::warning title=")
    assert said.endswith("::100%25%0D%0A::add-mask::x")
    assert said.splitlines() == [said]
