"""The pages that a browser gets from the loopback port: readable, self-contained, escaped. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from http import HTTPStatus
from string import Template
from typing import Any

from keyfob.errors import ConfigurationError
from keyfob.protocol.urls import parse_http_url

_HTML = "text/html; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"

#: Placeholders that a template may always have; they are empty where the answer does not say.
_ERROR_PLACEHOLDERS = ("error", "error_description", "error_uri")
#: What redeems tokens, or would pass for an answer of this very attempt. No page needs it.
_NOT_FOR_PAGES = frozenset({"code", "state", "client_info", "id_token", "access_token"})
#: More of a provider's text than this is nothing for a person.
_MAX_TEXT = 1000

_STYLE = """
:root { --ink: #14222b; --quiet: #51626d; --paper: #fff; --ground: #eef3f4; --line: #d3dde1;
  --accent: #0b6e75; --on-accent: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eff2; --quiet: #a3b4bd; --paper: #17232a; --ground: #0e171c; --line: #2f414b;
    --accent: #4cc3bd; --on-accent: #06272a; }
}
* { box-sizing: border-box; }
html { font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  color: var(--ink); background: var(--ground); }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem 1rem; }
main { width: 100%; max-width: 32rem; padding: 2rem; background: var(--paper);
  border: 1px solid var(--line); border-radius: 1rem; overflow-wrap: anywhere; }
h1 { margin: 0 0 .75rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0 0 .75rem; }
main > p:last-child { margin-bottom: 0; }
footer { margin-top: 1.75rem; padding-top: 1rem; border-top: 1px solid var(--line);
  color: var(--quiet); font-size: .8125rem; }
footer p { margin: 0 0 .25rem; }
code { font: inherit; font-family: ui-monospace, "Liberation Mono", monospace; user-select: all; }
a { color: var(--accent); }
a:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
"""


@dataclass(frozen=True)
class Reply:
    """One answer to a browser."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def to_bytes(self, *, with_body: bool = True) -> bytes:
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = ""
        lines = [f"HTTP/1.1 {self.status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += [f"Content-Length: {len(self.body)}", "Connection: close", "", ""]
        return "\r\n".join(lines).encode("latin-1") + (self.body if with_body else b"")


@dataclass(frozen=True)
class PageTemplates:
    """The application's own pages, with MSAL's placeholders (`string.Template`); None for ours.

    A template that begins with `<` is HTML, and what is put in is escaped; another is plain text.

    :param welcome: what the browser is sent to first, with `$auth_uri` and `$abort_uri`; None to
        send it to the provider at once.
    :param success: with the answer's parameters, but for the code and others that redeem tokens.
    :param error: likewise, with `$error`, `$error_description` and `$error_uri`, which are empty
        where the provider does not say.
    :raises ConfigurationError: (a ValueError) one of them is not a text.
    """

    welcome: str | None = None
    success: str | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        for name in ("welcome", "success", "error"):
            template = getattr(self, name)
            if template is not None and not isinstance(template, str):
                raise ConfigurationError(f"{name}_template is a text, or None")

    def welcome_page(self, auth_uri: str, abort_uri: str) -> Reply:
        values = {"auth_uri": auth_uri, "abort_uri": abort_uri}
        return _filled(200, self.welcome or "$auth_uri", values)

    def answer_page(self, parameters: Mapping[str, str]) -> Reply:
        """For an answer that was taken: a code, or the provider's refusal."""
        template = self.error if "error" in parameters else self.success
        if template is not None:
            return _filled(200, template, _values(parameters))
        return _refused(parameters) if "error" in parameters else _done()


def wrong_state_page() -> Reply:
    return _page(
        400,
        "This is not the answer that is awaited",
        "It belongs to another sign-in, perhaps to one that was begun before.",
        "The program still waits. Go on in the page that it opened last, or begin again there.",
    )


def no_answer_page() -> Reply:
    return _page(
        400,
        "This answer cannot be used",
        "It has neither what signs you in nor a reason why not.",
        "The program still waits. Go on in the page that it opened, or begin again there.",
    )


def nothing_here_page() -> Reply:
    return _page(
        404,
        "There is nothing to see here",
        "A program on this machine waits here for a sign-in to be finished.",
        "Finish it in the page that the program opened.",
    )


def bad_request_reply(status: int) -> Reply:
    """For what no browser sends here by itself. Its text repeats nothing of the request."""
    headers = {**_headers(_TEXT), **({"Allow": "GET, HEAD, POST"} if status == 405 else {})}
    return Reply(status, headers, b"This request is not served here.\n")


def _done() -> Reply:
    # The code is not redeemed yet: whether it was of use, only the program can say.
    return _page(
        200,
        "You can close this page",
        "The sign-in page has done its part, and the program has its answer.",
        "Go back to the program; it takes over from here.",
    )


def _refused(parameters: Mapping[str, str]) -> Reply:
    values = _values(parameters)
    text = "The sign-in service did not sign you in to the program."
    if values["error"] in ("access_denied", "abort"):
        text = "The sign-in was cancelled, or not allowed by you or your organisation."
    footer = [f"<p>Code: <code>{escape(values['error'])}</code></p>"]
    if values["error_description"]:
        footer.append(f"<p>{escape(values['error_description'])}</p>")
    if values["error_uri"]:
        address = escape(values["error_uri"])
        footer.append(f'<p><a href="{address}" rel="noreferrer">What this error means</a></p>')
    return _page(
        200,
        "You were not signed in",
        text,
        "You can close this page and try again in the program.",
        footer=f"<footer>{''.join(footer)}</footer>",
    )


def _page(status: int, title: str, *paragraphs: str, footer: str = "") -> Reply:
    content = "".join(f"<p>{escape(text)}</p>" for text in paragraphs)
    document = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{content}{footer}</main></body></html>\n"
    )
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'none'; "
    return Reply(status, _headers(_HTML, policy), _encoded(document))


def _filled(status: int, template: str, values: Mapping[str, str]) -> Reply:
    is_html = template.startswith("<")
    shown = {name: escape(text) for name, text in values.items()} if is_html else values
    text = Template(template).safe_substitute(shown)
    return Reply(status, _headers(_HTML if is_html else _TEXT), _encoded(text))


def _headers(content_type: str, policy: str = "") -> dict[str, str]:
    """In no frame, in no cache, and its address told to nobody: it may hold the code."""
    return {
        "Content-Type": content_type,
        "Content-Security-Policy": f"{policy}frame-ancestors 'none'; base-uri 'none'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
    }


def _values(parameters: Mapping[str, str]) -> dict[str, str]:
    """What a page may show of an answer."""
    found: dict[str, Any] = dict.fromkeys(_ERROR_PLACEHOLDERS, "")
    for name, text in parameters.items():
        if name not in _NOT_FOR_PAGES:
            found[name] = _readable(text)
    if found["error_uri"]:
        try:
            # Escaped, `javascript:` would still be a link.
            parse_http_url(found["error_uri"])
        except ValueError:
            found["error_uri"] = ""
    return {**dict.fromkeys(_NOT_FOR_PAGES, ""), **found}


def _readable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:_MAX_TEXT]).strip()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
