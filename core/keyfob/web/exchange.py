"""What passes between the web layer and a framework: values, no framework."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Routes:
    """Where the framework has put our views: absolute paths, mount point included."""

    login: str
    callback: str
    logout: str
    logged_out: str


@dataclass(frozen=True)
class WebRequest:
    """One request, as the framework understood it.

    :param scheme: `http` or `https`; likewise `host` with its port: what the framework believes,
        after whatever proxy headers it was told to trust.
    :param root_path: the mount point, "" at the root.
    :param headers: by lower-case name.
    :param session: the browser's session, of any framework.
    """

    method: str
    scheme: str
    host: str
    path: str
    routes: Routes
    session: MutableMapping[str, Any] = field(repr=False)
    root_path: str = ""
    query_string: str = field(default="", repr=False)
    query: Pairs = field(default=(), repr=False)
    form: Pairs = field(default=(), repr=False)
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"

    @property
    def full_path(self) -> str:
        return f"{self.path}?{self.query_string}" if self.query_string else self.path


@dataclass(frozen=True)
class Cookie:
    """A cookie to set; with an empty value, one to delete. Always HttpOnly."""

    name: str
    value: str = field(repr=False)
    path: str
    max_age: int
    secure: bool
    same_site: Literal["Lax", "Strict", "None"] = "Lax"


@dataclass(frozen=True)
class Page:
    """A page for a person: what happened, and what they can do."""

    title: str
    text: str
    advice: str = ""
    #: The address that tries again, "" where trying again makes no sense.
    retry_url: str = ""
    retry_label: str = "Try again"
    home_url: str = "/"
    #: For the site's support: what they need to find this in their logs and the provider's.
    correlation_id: str = ""
    code: str = ""


@dataclass(frozen=True)
class Answer:
    """What the framework is to answer: a redirect, a page, or a problem for a script (RFC 9457)."""

    status: int
    location: str = field(default="", repr=False)
    page: Page | None = None
    problem: Mapping[str, Any] | None = None
    cookies: tuple[Cookie, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def redirect(location: str, *, cookies: Sequence[Cookie] = (), status: int = 302) -> Answer:
    return Answer(status, location=location, cookies=tuple(cookies), headers=NO_STORE)


#: No answer of ours is the same for two people, or twice.
NO_STORE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def first(pairs: Pairs, name: str) -> str | None:
    """The first value of a parameter."""
    return next((value for key, value in pairs if key == name), None)
