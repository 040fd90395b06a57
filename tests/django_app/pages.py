"""What tests look for on a page."""

from __future__ import annotations

from support.form_browser import Page


def who(page: Page) -> str:
    """Whom the page greets."""
    return page.html.partition('<p id="who">')[2].partition("</p>")[0]
