"""The prefilter: it misses nothing that a detector would find, and no input makes it slow."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.plugins import keyword
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes import CLEAN, FAKES

from ledger.secrets.detectors import KEYWORD, KINDS, search
from ledger.secrets.prefilter import REACH_BYTES, find_stretches

PLUGINS: dict[str, Any] = {kind: get_mapping_from_secret_type_to_class()[kind]() for kind in KINDS}
PATTERNS = [
    pytest.param(kind, pattern, id=f"{kind}-{number}")
    for kind, plugin in sorted(PLUGINS.items())
    if kind != KEYWORD
    for number, pattern in enumerate(plugin.denylist)
]
COMPARISON = keyword.PRECEDED_BY_EQUAL_COMPARISON_SIGNS_QUOTES_REQUIRED_REGEX
ASSIGNMENTS = {
    pattern: kind
    for patterns, kind in (
        (keyword.CONFIG_DENYLIST_REGEX_TO_GROUP, "bare"),
        (keyword.GOLANG_DENYLIST_REGEX_TO_GROUP, "bare"),
        (keyword.COMMON_C_DENYLIST_REGEX_TO_GROUP, "token"),
        (keyword.C_PLUS_PLUS_REGEX_TO_GROUP, "token"),
        (keyword.QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP, "token"),
    )
    for pattern in patterns
    if pattern is not COMPARISON
}
LATIN = st.characters(max_codepoint=0xFF, exclude_characters="\r\n")
EXAMPLES = settings(
    max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None
)


def kinds(line: str, path: str = "") -> set[str]:
    return {found.kind for found in search(line.encode("latin-1"), path)}


@pytest.mark.parametrize("kind", sorted(FAKES))
def test_every_kind_is_met_and_named(kind: str) -> None:
    """A line of each shape passes the prefilter, alone and deep in a long text, and its detector knows it."""
    line = FAKES[kind]
    assert find_stretches(line.encode())
    text = CLEAN * 40 + line + CLEAN * 40
    (stretch,) = [stretch for stretch in find_stretches(text.encode()) if stretch.shape == "token"]
    assert line in text[stretch.start : stretch.end]
    assert kind in kinds(line)


def test_what_is_asked_is_what_the_library_has() -> None:
    """No detector of it is left out unseen: the others are addresses, and entropy, which only warns."""
    others = {"Public IP (ipv4)", "Base64 High Entropy String", "Hex High Entropy String"}
    assert set(get_mapping_from_secret_type_to_class()) == KINDS | others


@pytest.mark.parametrize(("kind", "pattern"), PATTERNS)
@EXAMPLES
@given(data=st.data())
def test_nothing_that_a_detector_finds_is_missed(kind: str, pattern: re.Pattern[str], data: Any) -> None:
    """Whatever a plugin's own pattern matches, with whatever around it, has a stretch that holds the find."""
    line = data.draw(st.from_regex(pattern, alphabet=LATIN)).replace("\n", " ")
    found = list(PLUGINS[kind].analyze_string(line))
    stretches = find_stretches(line.encode("latin-1"))
    for value in found:
        assert any(value in line[stretch.start : stretch.end] for stretch in stretches), line


@pytest.mark.parametrize("pattern", [pytest.param(each, id=str(n)) for n, each in enumerate(ASSIGNMENTS)])
@EXAMPLES
@given(data=st.data())
def test_no_assignment_to_a_telling_name_is_missed(pattern: re.Pattern[str], data: Any) -> None:
    """By the library's rules for every kind of file; without quotes they count for files of settings only."""
    line = data.draw(st.from_regex(pattern, alphabet=LATIN)).replace("\n", " ")
    match = pattern.search(line)
    shapes = {stretch.shape for stretch in find_stretches(line.encode("latin-1"))}
    if match is not None:
        assert shapes if ASSIGNMENTS[pattern] == "bare" else "token" in shapes, line


def test_ordinary_source_is_passed_by() -> None:
    """Digests, ports, look-ups and names of secrets are none: the library is not even loaded for them."""
    assert [s for s in find_stretches(CLEAN.encode()) if s.shape == "token"] == []
    code = (
        "import sys; from ledger.secrets.masking import mask; text = sys.stdin.buffer.read();"
        "assert mask(text) is text; print('detect_secrets' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=CLEAN.encode(), capture_output=True, check=True)
    assert done.stdout == b"False\n"


def test_little_of_real_source_is_looked_at_twice() -> None:
    """Of this project's own code, less than one line in five hundred."""
    source = b"".join(path.read_bytes() for path in Path(__file__).parents[3].glob("src/**/*.py"))
    lines = [stretch for stretch in find_stretches(source) if stretch.shape == "token"]
    assert len(lines) < source.count(b"\n") / 500


@pytest.mark.parametrize(
    "unit",
    [
        b"eyJ",
        b"secret",
        b"://a",
        b"key_",
        b"gl",
        b"A3T",
        b"-us",
        b"pass ",
        b"AKIA0",
        b"aws key",
        b"://:@",
        b".",
    ],
)
def test_no_input_makes_it_slow(unit: bytes) -> None:
    """Half a mebibyte of what a pattern begins with, on one line, takes no more than a moment."""
    data = unit * ((1 << 19) // len(unit))
    started = time.process_time()
    find_stretches(data)
    assert time.process_time() - started < 5


def test_a_secret_in_a_line_without_end_is_found() -> None:
    """Only what is around a hit is looked at, and both sides of it."""
    line = "x" * 100_000 + FAKES["GitHub Token"] + "y" * 100_000
    (stretch,) = find_stretches(line.encode())
    assert stretch.end - stretch.start < 3 * REACH_BYTES
    assert "GitHub Token" in kinds(line[stretch.start : stretch.end])
