"""A browser, and real ledgers to look at, which commands have made in a sealed environment."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request

SAMPLES = Path(__file__).with_name("samples.py")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def sample(
    tmp_path_factory: pytest.TempPathFactory, sealed_commands: dict[str, str]
) -> Callable[[str], Path]:
    """Makes a ledger of `samples.py` when it is first asked for: ``sample("all")``."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name) / "repo"
            command = [sys.executable, SAMPLES, name, made[name]]
            done = subprocess.run(command, env=sealed_commands, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr.decode()
        return made[name]

    return make


@pytest.fixture(scope="module")
def served(sample: Callable[[str], Path], sealed_commands: dict[str, str]) -> Iterator[Callable[[str], str]]:
    """Serves a sample by `ledger ui` when it is first asked for, and returns the address that it printed."""
    servers: dict[str, tuple[subprocess.Popen[str], str]] = {}

    def serve(name: str) -> str:
        if name not in servers:
            command = [sys.executable, "-m", "ledger.cli", "-C", sample(name), "ui", "--no-browser"]
            server = subprocess.Popen(command, env=sealed_commands, stdout=subprocess.PIPE, text=True)
            assert server.stdout is not None
            servers[name] = server, server.stdout.readline().strip()
        return servers[name][1]

    yield serve
    for server, _ in servers.values():
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0, "Ctrl-C ends it, as asked"
        assert server.stdout is not None
        server.stdout.close()


@pytest.fixture(scope="module")
def browser(sealed_commands: dict[str, str]) -> Iterator[Browser]:
    """The system's Chromium, which looks up no name: whatever is not on this machine is not there."""
    from playwright.sync_api import sync_playwright

    # Chromium's sandbox needs rights that containers do not give; it meets nothing but this project's pages.
    arguments = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as driver:
        yield driver.chromium.launch(executable_path=found, args=arguments, env={**sealed_commands})


class Watched:
    """A page, and all that went wrong in it: errors, refused scripts, dialogs, and requests for elsewhere."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", self._dialog)
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.faults.append(message.text)

    def _dialog(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "file:///", "blob:")):
            self.faults.append(f"asked {request.url}")

    def assert_harmless(self) -> None:
        """Nothing of what was shown ran, and nothing was asked of another host."""
        assert self.page.evaluate("window.__pwned") is None
        assert self.faults == []

    def assert_fits(self) -> None:
        """Nothing is wider than the window."""
        wide = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0

    def assert_accessible(self, *schemes: Literal["light", "dark"]) -> None:
        """axe-core finds nothing serious, in the colours of day and of night by default."""
        from axe_playwright_python.sync_playwright import Axe

        for scheme in schemes or ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            found: list[Any] = Axe().run(self.page).response["violations"]
            told = [
                (each["id"], [node["html"] for node in each["nodes"]][:3])
                for each in found
                if each["impact"] in ("serious", "critical")
            ]
            assert told == [], scheme


@pytest.fixture
def watch(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """Opens a page: ``watch(url, width=390)``."""
    opened: list[Any] = []

    def open_page(url: str, *, width: int = 1280, height: int = 900) -> Watched:
        context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
        opened.append(context)
        context.set_default_timeout(10_000)
        watched = Watched(context.new_page())
        watched.page.goto(url)
        return watched

    yield open_page
    for context in opened:
        context.close()


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Writes a picture of a page for the documents, where ``--write-pictures`` asks for it."""
    wanted = bool(request.config.getoption("--write-pictures"))

    def take(page: Page, name: str) -> None:
        if not wanted:
            return
        from io import BytesIO

        from PIL import Image

        shot = Image.open(BytesIO(page.screenshot(animations="disabled")))
        target = ROOT / "docs/images" / f"{name}.png"
        target.parent.mkdir(exist_ok=True)
        shot.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)

    return take
