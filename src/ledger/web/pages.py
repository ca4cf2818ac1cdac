"""Pages: templates filled with what is text, whatever is in it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from ledger.reports.texts import visible

STATIC = files("ledger.web") / "static"


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(str(files("ledger.web") / "templates")),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _finalize(value: object) -> object:
    """Return what a template puts out: nothing for None, and no character that hides what a text says."""
    if value is None:
        return ""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def page(template: str, status: int = 200, /, **values: object) -> HTMLResponse:
    """Return a page.

    Args:
        template: The template's name without its ending.
        status: The HTTP status.
        values: What the template shows. Only `Markup` is markup.
    """
    text = _environment().get_template(f"{template}.html").render(view=template, **values)
    return HTMLResponse(text.encode("utf-8", "replace"), status)
