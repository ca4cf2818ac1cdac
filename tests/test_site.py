"""The site: every page is in it, it asks no other host for anything, and it says what the pages say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from generate_promise_docs import missing_tests
from generate_terminal_docs import draw, read_transcript
from generated import publish
from site_hooks import PLOT, draw_plot, name_sources

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))


class Loaded(HTMLParser):
    """What a browser fetches for a page by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in {"script", "img", "iframe", "source"}:
            self.addresses.append(given.get("src") or "")
        elif tag == "link" and given.get("rel") not in {"canonical", "prev", "next"}:
            self.addresses.append(given.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(target)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def test_every_page_is_in_it(site: Path) -> None:
    names = {path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in PAGES}
    built = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert built == (names - {"README.html"}) | {"index.html", "404.html"}


def test_it_asks_no_other_host_for_anything(site: Path) -> None:
    for path in site.rglob("*.html"):
        page = Loaded()
        page.feed(path.read_text("utf-8"))
        assert page.addresses != []
        outside = [each for each in page.addresses if re.match(r"(?:https?:)?//", each)]
        assert outside == [], path.name
        # The theme loads Mermaid from elsewhere as soon as a page has a diagram for it.
        assert 'class="mermaid"' not in path.read_text("utf-8"), path.name


def test_the_search_knows_every_page(site: Path) -> None:
    found = (site / "search/search_index.json").read_text("utf-8")
    assert all(f'"{page.stem}.html' in found or f"/{page.stem}.html" in found for page in PAGES[1:])


def test_links_to_sources_are_named_and_links_between_pages_stay() -> None:
    text = "[the fold](../src/ledger/state.py), [cli.md](cli.md#exit-codes), [x](https://example.com/a)"
    assert name_sources(text, "model.md") == (
        "the fold (`src/ledger/state.py`), [cli.md](cli.md#exit-codes), [x](https://example.com/a)"
    )
    with pytest.raises(FileNotFoundError, match="gone"):
        name_sources("[x](../src/gone.py)", "model.md")


def test_a_plot_has_every_value_at_its_height() -> None:
    """The heights are those of the text, from the axis up: read back out of the picture."""
    text = (ROOT / "docs/performance.md").read_text("utf-8")
    block = PLOT.search(text)
    assert block is not None
    drawn = draw_plot(block)
    lines = re.findall(r'<polyline points="([^"]+)"', drawn)
    values = [
        [float(each) for each in found.split(",")] for found in re.findall(r'line "[^"]+" \[(.*)\]', block[1])
    ]
    assert len(lines) == len(values) > 1
    for line, expected in zip(lines, values, strict=True):
        heights = [float(point.split(",")[1]) for point in line.split()]
        assert [(260 - height) / 228 * 60 for height in heights] == pytest.approx(expected, abs=0.05)


def test_a_generated_page_that_was_changed_by_hand_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs/verdicts.md").read_text("utf-8")
    assert publish("docs/verdicts.md", text, "tools/x.py", ["--check"]) == 0
    assert publish("docs/verdicts.md", text + "\n", "tools/x.py", ["--check"]) == 1
    assert "run tools/x.py" in capsys.readouterr().err
    assert (ROOT / "docs/verdicts.md").read_text("utf-8") == text


def test_a_promise_whose_test_is_gone_is_noticed() -> None:
    held = (
        "`test_site.py` and `ledger/test_frames.py`: `test_every_flipped_bit_is_found`, `test_that_never_was`"
    )
    assert [*missing_tests(held)] == ["test_that_never_was"]
    assert [*missing_tests("`ledger/test_gone.py`")] == ["ledger/test_gone.py"]


def test_the_picture_says_what_the_readme_says() -> None:
    """A reader of XML finds every character of the transcript in it, and no address but the name of SVG."""
    lines = read_transcript()
    assert lines[0] == "$ ledger apply ../worse.diff"
    assert any(line.startswith("rejected: ") for line in lines)
    picture = draw(lines)
    texts = ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")
    assert ["".join(text.itertext()) for text in texts] == lines
    assert re.findall(r"https?://[^\"]+", picture) == ["http://www.w3.org/2000/svg"]
    assert (ROOT / "docs/images/terminal.svg").read_text("utf-8") == picture
