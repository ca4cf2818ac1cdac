"""The command `ui`: the page, for the browser of this machine."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from ledger.cli.session import open_ledger, say


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port; by default a free one.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def ui(port: int, no_browser: bool) -> None:
    """Show the ledger in the browser of this machine, until Ctrl-C.

    The page only reads, and nothing else may open it: it listens at 127.0.0.1 alone, and the address has a
    token that is new each time. It needs the extra `web`.

    \b
    ledger ui
    ledger ui --port 8765 --no-browser
    """  # noqa: D301 - click reads the backspace
    from ledger.web.errors import WebMissing

    directory = Path(open_ledger().directory)  # refuses --at: the slider is the way to the past here
    try:
        from ledger.web.app import open_page
    except ModuleNotFoundError as error:
        raise WebMissing(error.name or "a package") from error
    page = open_page(directory, port)
    say("Ctrl-C ends it")
    click.echo(page.address)
    if not no_browser:
        webbrowser.open(page.address)
    page.serve()
