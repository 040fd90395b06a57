"""A browser for tests: keeps cookies, follows redirects, fills in forms, knows no JavaScript.

::

    with FormBrowser() as browser:
        page = browser.open("http://localhost:5000/")
        page = page.follow("Sign in")
        page = page.submit(button="Ada Keyring")
        page = page.submit(button="Sign in", password="...")
        assert "Hello Ada" in page.text

Nothing happens by itself: a form that a script would send is sent with ``page.submit()``. Links
and buttons are found by what a person sees, fields by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urljoin, urlsplit

import requests

if TYPE_CHECKING:
    from typing_extensions import Self

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAXIMUM_HOPS = 20


@dataclass
class Button:
    """A button that sends a form."""

    text: str
    name: str | None = None
    value: str = ""
    formaction: str | None = None
    formmethod: str | None = None


@dataclass
class Link:
    """A link with its text."""

    text: str
    href: str


@dataclass
class Form:
    """A form with what it would send."""

    action: str
    method: str
    form_id: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)
    options: dict[str, list[str]] = field(default_factory=dict)
    unchecked: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[Button] = field(default_factory=list)

    def names(self) -> set[str]:
        """The names of all fields."""
        return {n for n, _ in (*self.fields, *self.unchecked)} | set(self.options)


class _Reader(HTMLParser):
    """Collects forms, links, headings, title and visible text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.links: list[Link] = []
        self.title = ""
        self.headings: list[str] = []
        self.words: list[str] = []
        self._open: list[tuple[str, list[str], Callable[[str], None]]] = []
        self._form: Form | None = None
        self._select: str | None = None
        self._option: tuple[str | None, bool] | None = None
        self._silent = 0

    def _collect(self, tag: str, done: Callable[[str], None]) -> None:
        self._open.append((tag, [], done))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in ("script", "style"):
            self._silent += 1
        elif tag == "form":
            method = given.get("method", "get").lower()
            self._form = Form(given.get("action", ""), method, given.get("id", ""))
            self.forms.append(self._form)
        elif tag == "a" and "href" in given:
            href = given["href"]
            self._collect(tag, lambda text: self.links.append(Link(text, href)))
        elif tag in ("h1", "h2"):
            self._collect(tag, self.headings.append)
        elif tag == "title":
            self._collect(tag, lambda text: setattr(self, "title", text))
        else:
            self._field(tag, given)

    def _field(self, tag: str, given: dict[str, str]) -> None:
        form = self._owner(given)
        if form is None or "disabled" in given:
            return
        if tag == "input":
            self._input(form, given)
        elif tag == "button" and given.get("type", "submit") == "submit":
            self._collect(tag, lambda text: form.buttons.append(_button(text, given)))
        elif tag == "textarea" and "name" in given:
            self._collect(tag, lambda text: form.fields.append((given["name"], text)))
        elif tag == "select" and "name" in given:
            self._select = given["name"]
            form.options[self._select] = []
        elif tag == "option" and self._select:
            name, chosen, value = self._select, "selected" in given, given.get("value")
            self._collect(tag, lambda text: _option(form, name, value, text, chosen))

    def _owner(self, given: dict[str, str]) -> Form | None:
        if "form" in given:
            return next((form for form in self.forms if form.form_id == given["form"]), None)
        return self._form

    def _input(self, form: Form, given: dict[str, str]) -> None:
        kind = given.get("type", "text").lower()
        name, value = given.get("name"), given.get("value", "")
        if kind in ("submit", "image"):
            form.buttons.append(_button(value or "Submit", given))
        elif name is None or kind in ("button", "reset", "file"):
            return
        elif kind in ("checkbox", "radio"):
            target = form.fields if "checked" in given else form.unchecked
            target.append((name, given.get("value", "on")))
        else:
            form.fields.append((name, value))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._silent -= 1
        if tag == "form":
            self._form = None
        if tag == "select":
            self._select = None
        for index in range(len(self._open) - 1, -1, -1):
            if self._open[index][0] == tag:
                _, parts, done = self._open.pop(index)
                done(" ".join(" ".join(parts).split()))
                break

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        self.words.append(data)
        for _, parts, _ in self._open:
            parts.append(data)


def _button(text: str, given: dict[str, str]) -> Button:
    return Button(
        text or given.get("aria-label", ""),
        given.get("name"),
        given.get("value", ""),
        given.get("formaction"),
        given.get("formmethod"),
    )


def _option(form: Form, name: str, value: str | None, text: str, chosen: bool) -> None:
    form.options[name].append(text if value is None else value)
    if chosen:
        form.fields.append((name, text if value is None else value))


class Page:
    """What the browser shows: the last answer of a chain of redirects."""

    def __init__(self, browser: FormBrowser, response: requests.Response, hops: list[str]) -> None:
        self.browser = browser
        self.response = response
        self.hops = hops
        """Every address that was visited on the way, the last one included."""
        reader = _Reader()
        if "html" in response.headers.get("Content-Type", ""):
            reader.feed(response.text)
            reader.close()
        self.forms = reader.forms
        self.links = reader.links
        self.title = reader.title
        self.headings = reader.headings
        self.text = " ".join(" ".join(reader.words).split()) or response.text

    @property
    def url(self) -> str:
        """The address of this page, with the fragment of the redirect that led here."""
        return self.hops[-1]

    @property
    def status(self) -> int:
        """The status code."""
        return self.response.status_code

    @property
    def html(self) -> str:
        """The source."""
        return self.response.text

    def follow(self, text: str) -> Page:
        """Follow the link whose text is, or contains, that one."""
        exact = [link for link in self.links if link.text == text]
        found = exact or [link for link in self.links if text in link.text]
        if not found:
            raise LookupError(f"no link {text!r} on {self.url}; there are {self.links}")
        return self.browser.open(urljoin(self.response.url, found[0].href))

    def form(self, *, button: str | None = None, fields: Mapping[str, str] | None = None) -> Form:
        """The form that has this button and these fields, or the only one."""
        names = set(fields or {})
        for form in self.forms:
            if names <= form.names() and (button is None or _find_button(form, button)):
                return form
        raise LookupError(
            f"no form with button {button!r} and fields {sorted(names)} on {self.url}: {self.text}"
        )

    def submit(
        self, *, button: str | None = None, fields: Mapping[str, str] | None = None, **more: str
    ) -> Page:
        """Fill in fields and press a button: the one with that text, or the form's first one.

        ``button`` is matched against the text, then against ``name=value``.
        """
        wanted = {**(fields or {}), **more}
        form = self.form(button=button, fields=wanted)
        pressed = _find_button(form, button) if button else next(iter(form.buttons), None)
        data = [(n, v) for n, v in _values(form) if n not in wanted] + list(wanted.items())
        action, method = form.action, form.method
        if pressed is not None:
            data += [(pressed.name, pressed.value)] if pressed.name else []
            action = action if pressed.formaction is None else pressed.formaction
            method = pressed.formmethod or method
        target = urljoin(self.response.url, action) if action else self.response.url
        return self.browser.send(method, target, data, referrer=self.response.url)

    def __repr__(self) -> str:
        return f"<Page {self.status} {self.url} {self.headings}>"


def _values(form: Form) -> list[tuple[str, str]]:
    given = {name for name, _ in form.fields}
    # A select shows its first option when none is marked.
    firsts = [(n, values[0]) for n, values in form.options.items() if values and n not in given]
    return [*form.fields, *firsts]


def _find_button(form: Form, wanted: str) -> Button | None:
    for matches in (
        lambda b: b.text == wanted,
        lambda b: wanted in b.text,
        lambda b: f"{b.name}={b.value}" == wanted,
    ):
        found = next((button for button in form.buttons if matches(button)), None)
        if found is not None:
            return found
    return None


class FormBrowser:
    """A cookie-keeping client. Close it, or use it as a context manager.

    ``stop_at`` are beginnings of addresses that no redirect shall be followed to: the page then is
    the redirect itself, with the address as its ``url``.
    """

    def __init__(
        self,
        session: requests.Session | None = None,
        *,
        timeout: float = 20,
        stop_at: tuple[str, ...] = (),
    ) -> None:
        self.session = session if session is not None else requests.Session()
        self.session.trust_env = False  # no proxies, no netrc
        self.session.headers["Accept"] = "text/html,application/xhtml+xml,*/*;q=0.8"
        self.timeout = timeout
        self.follow_redirects = True
        self.stop_at = stop_at

    def open(self, url: str) -> Page:
        """Go to an address."""
        return self.send("get", url)

    def send(
        self,
        method: str,
        url: str,
        data: list[tuple[str, str]] | None = None,
        *,
        referrer: str | None = None,
    ) -> Page:
        """Send a form, or fetch an address, and go where redirects lead."""
        hops: list[str] = []
        method, headers = method.upper(), _origin(method, referrer)
        if method == "GET" and data is not None:
            # As browsers do: the form's fields replace the query of its action.
            base = urlsplit(url)._replace(query="", fragment="").geturl()
            url = requests.Request("GET", base, params=data).prepare().url or base
            data = None
        for _ in range(_MAXIMUM_HOPS):
            hops.append(url)
            body = data if method == "POST" else None
            response = self.session.request(
                method, urldefrag(url)[0], data=body, headers=headers,
                timeout=self.timeout, allow_redirects=False,
            )  # fmt: skip
            location = response.headers.get("Location")
            if response.status_code not in _REDIRECTS or not location or not self.follow_redirects:
                return Page(self, response, hops)
            response.close()
            url = urljoin(url, location)
            if url.startswith(self.stop_at):
                return Page(self, response, [*hops, url])
            if response.status_code in (301, 302, 303):
                method, data, headers = "GET", None, {}
        raise RuntimeError(f"more than {_MAXIMUM_HOPS} redirects: {hops}")

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _origin(method: str, referrer: str | None) -> dict[str, str]:
    """Origin and Referer as a browser sends them with a form (Django checks the latter)."""
    if referrer is None:
        return {}
    parts = urlsplit(referrer)
    headers = {"Referer": urldefrag(referrer)[0]}
    if method.lower() == "post":
        headers["Origin"] = f"{parts.scheme}://{parts.netloc}"
    return headers
