"""What passes between the web layer and a framework: values, no framework."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from keyfob.web.caller import Caller
from keyfob.web.next_url import local_path

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Routes:
    """Where the framework has put our views: absolute paths, mount point included.

    Those of a further authority are the same with its name behind them, which the framework
    routes as well; but the sign-out is one for all.
    """

    login: str
    callback: str
    logout: str
    logged_out: str
    authority: str = ""
    resume: str = ""
    done: str = ""
    script: str = ""

    def of(self, authority: str) -> Routes:
        """The views of an authority, by its name.

        :param authority: "" for the site's own, whose these are.
        """
        if authority == self.authority:
            return self
        base, tail = self.base, f"/{authority}" if authority else ""
        return replace(
            base,
            login=base.login + tail,
            callback=base.callback + tail,
            logged_out=base.logged_out + tail,
            authority=authority,
        )

    @property
    def base(self) -> Routes:
        """The views of the site's own authority."""
        if not self.authority:
            return self
        tail = f"/{self.authority}"
        return replace(
            self,
            login=self.login.removesuffix(tail),
            callback=self.callback.removesuffix(tail),
            logged_out=self.logged_out.removesuffix(tail),
            authority="",
        )

    @property
    def folder(self) -> str:
        """The path that our views are in, of all authorities."""
        return posixpath.dirname(self.base.callback.rstrip("/")) or "/"

    def has(self, path: str) -> bool:
        """Whether the path is one of these views, of any authority."""
        base = self.base
        own = (base.login, base.callback, base.logout, base.logged_out)
        return any(path == view or path.startswith(f"{view}/") for view in own)


@dataclass(frozen=True)
class PostedForm:
    """A form that a view was sent, as far as it can be sent again.

    :param files: how many files came with it; their content is not here.
    """

    fields: Pairs = field(repr=False)
    files: int = 0


def no_form() -> PostedForm | None:
    """What was posted is no form, or cannot be read any more."""
    return None


@dataclass(frozen=True)
class WebRequest:
    """One request, as the framework understood it.

    :param scheme: `http` or `https`; likewise `host` with its port: what the framework believes,
        after whatever proxy headers it was told to trust.
    :param root_path: the mount point, "" at the root.
    :param headers: by lower-case name.
    :param session: the browser's session, of any framework.
    :param form: the posted pairs, where the view is one of ours.
    :param posted_form: reads the form that another view was sent, where there is reason to.
    :param caller: whose bearer token passed a check in this request, or None.
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
    posted_form: Callable[[], PostedForm | None] = field(default=no_form, repr=False)
    caller: Caller | None = None

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"

    @property
    def home(self) -> str:
        """The site's front page. A proxy may pass on anything as mount point: checked as any
        other path."""
        return local_path(f"{self.root_path}/")

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
class ResumedForm:
    """A form that was kept, for its person to send it again.

    :param action: our address that it is posted to, and that sends it on.
    :param target: where it goes, to be shown.
    :param shown: its fields by name, with as much of their content as may be shown.
    :param fields: what is posted, in hidden fields.
    :param passwords: the names of those that were not kept, and must be typed again.
    :param files: how many files were not kept.
    """

    action: str = field(repr=False)
    target: str
    shown: Pairs = field(repr=False)
    fields: Pairs = field(repr=False)
    passwords: Sequence[str] = ()
    files: int = 0
    enctype: str = "application/x-www-form-urlencoded"


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
    #: Only on the page where a kept form is sent again.
    form: ResumedForm | None = None


@dataclass(frozen=True)
class Answer:
    """What the framework is to answer: a redirect, a page, a problem for a script (RFC 9457),
    another object for a program, or a text of the type that is in `headers`; an empty page where it
    is none of them."""

    status: int
    location: str = field(default="", repr=False)
    page: Page | None = None
    problem: Mapping[str, Any] | None = None
    json: Mapping[str, Any] | None = None
    text: str | None = None
    cookies: tuple[Cookie, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def redirect(location: str, *, cookies: Sequence[Cookie] = (), status: int = 302) -> Answer:
    return Answer(status, location=location, cookies=tuple(cookies), headers=NO_STORE)


def page_headers(nonce: str, *, own_template: bool) -> dict[str, str]:
    """What a browser may do with one of our pages: show it, in no frame, and no more.

    :param nonce: of the page's style sheet, new for each page.
    :param own_template: whether the page is made by the site's own template, whose style sheets,
        scripts and images are its own affair.
    """
    policy = "frame-ancestors 'none'; base-uri 'none'"
    if not own_template:
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; img-src 'self'; form-action 'self'; "
            + policy
        )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


#: No answer of ours is the same for two people, or twice.
NO_STORE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def first(pairs: Pairs, name: str) -> str | None:
    """The first value of a parameter."""
    return next((value for key, value in pairs if key == name), None)
