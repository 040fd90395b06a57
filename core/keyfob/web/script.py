"""The script for pages that fetch, and the page that its popups end on."""

from __future__ import annotations

import hashlib
import html
from functools import cache
from pathlib import Path

from keyfob.web.exchange import NO_STORE, Answer, WebRequest

_SOURCE = Path(__file__).with_name("keyfob.js")
#: Seconds that a browser may go by its copy; then it asks whether there is another.
_LIFETIME = 3600
_DONE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>Done</title>
<h1>Done</h1>
<p>You can close this window, and go on in the one that you came from.</p>
<script src="{script}" data-done></script>
</html>
"""


@cache
def script_text() -> str:
    """What is served: the source without its comment and its indentation."""
    lines = _SOURCE.read_text(encoding="utf-8").splitlines()
    return "\n".join(line.strip() for line in lines if not line.startswith("//")) + "\n"


@cache
def _entity_tag() -> str:
    return f'"{hashlib.sha256(script_text().encode()).hexdigest()[:16]}"'


def script(request: WebRequest) -> Answer:
    """The script; it is the same for everybody, and browsers keep it (RFC 9110 §13.1.2)."""
    tag = _entity_tag()
    headers = {
        "Cache-Control": f"private, max-age={_LIFETIME}",
        "ETag": tag,
        "X-Content-Type-Options": "nosniff",
        "Content-Type": "text/javascript; charset=utf-8",
    }
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or tag in (each.strip() for each in known.replace("W/", "").split(",")):
        return Answer(304, text="", headers=headers)
    return Answer(200, text=script_text(), headers=headers)


def done(request: WebRequest) -> Answer:
    """Where a popup ends: it tells the page that waits for it, in this browser and of this site,
    and closes itself."""
    headers = {
        **NO_STORE,
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Content-Type": "text/html; charset=utf-8",
    }
    text = _DONE.format(script=html.escape(request.routes.script))
    return Answer(200, text=text, headers=headers)
