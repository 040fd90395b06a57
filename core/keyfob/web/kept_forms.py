"""Forms that came before their person could be let in: kept, and sent again by one click.

A form is kept in the token store, sealed, for an hour. What finds it there is half in an address
and half in a cookie of this browser; where somebody was signed in, it is shown to nobody else.
Nothing of it is sent by itself. See docs/decisions/kept-forms.md.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from keyfob.errors import StoreError
from keyfob.web.exchange import Cookie, Pairs, PostedForm, ResumedForm, WebRequest, first
from keyfob.web.next_url import local_path
from keyfob.web.own_pages import is_from_here
from keyfob.web.redirect_uri import cookie_is_secure

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication

logger = logging.getLogger(__name__)

#: Seconds that a form is kept.
KEPT_LIFETIME = 3600
#: The largest form that is kept: bytes of its names and values, and how many there are.
MAX_BYTES = 65_536
MAX_FIELDS = 1000
#: What those who are not signed in may have kept, in one process: so many at once, and one more
#: each so many seconds.
STRANGERS_FORMS = 50
STRANGERS_INTERVAL = 2.0
#: The same for each person who is.
PERSONS_FORMS = 20
PERSONS_INTERVAL = 60.0
#: What is shown of a form: fields, and characters of each.
MAX_SHOWN = 20
MAX_SHOWN_LENGTH = 60

_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
_PASSWORD = re.compile(r"passw|passphrase|passcode|pwd", re.IGNORECASE)
_NOT_SHOWN = re.compile(
    r"secret|token|csrf|otp|pin|code|card|cvc|cvv|iban|ssn|key|auth|account|session", re.IGNORECASE
)
_PART = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True)
class KeptForm:
    """A form as it is in the store.

    :param target: the local path that it was sent to.
    :param person: `User.key` of who sent it, "" for somebody who was not signed in.
    :param passwords: the names of fields whose content is not kept.
    :param files: how many files came with it, which are not kept.
    :param api: the downstream API that it needed a token for, "" for none.
    :param authority: who is to sign the person in, by its name; "" for the site's own.
    """

    target: str
    person: str = field(repr=False)
    fields: Pairs = field(repr=False)
    passwords: tuple[str, ...] = ()
    files: int = 0
    enctype: str = _FORM_TYPES[0]
    api: str = ""
    authority: str = ""

    def to_bytes(self) -> bytes:
        return json.dumps(vars(self), separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, value: bytes) -> KeptForm:
        content: dict[str, Any] = json.loads(value)
        content["fields"] = [(name, text) for name, text in content["fields"]]
        content["passwords"] = tuple(content["passwords"])
        return cls(**content)


class Kept(NamedTuple):
    """What `keep` has done: the form, the address that shows it again, and the cookie that it takes
    to find it there."""

    form: KeptForm
    url: str
    cookie: Cookie


@dataclass(frozen=True)
class Found:
    """A kept form, and what it takes to take it out."""

    form: KeptForm
    record_key: str = field(repr=False)
    version: int

    def take(self, site: WebApplication) -> bool:
        """Whether it was still there: it is sent on once, however often that is asked for.

        :raises StoreUnavailable: it cannot be told.
        """
        return site.store.delete(self.record_key, self.version)


def has_body(request: WebRequest) -> bool:
    """Whether something was sent that would be lost."""
    headers = request.headers
    return headers.get("content-length", "0").strip() not in ("", "0") or (
        "transfer-encoding" in headers
    )


def keep(
    site: WebApplication, request: WebRequest, *, api: str = "", for_newcomer: bool = False
) -> Kept | None:
    """Keep the form that this request brought, if it is one that a page of ours sent.

    :param api: the downstream API that it needs a token for.
    :param for_newcomer: whoever is here is not whom the view wants: somebody else is to sign in.
    :returns: None where nothing was kept.
    """
    # Not `user`: a framework may know that the person is in doubt, and it is theirs all the same.
    person = "" if for_newcomer else site.session(request.session).named.key or ""
    form = _form_to_keep(site, request, api, person)
    if form is None:
        return None
    mark, browser = secrets.token_urlsafe(16), _browser(site, request.cookies)
    browser = browser or secrets.token_urlsafe(16)
    expires = site.clock() + KEPT_LIFETIME
    try:
        if not site.store.create(_record_key(site, mark, browser), form.to_bytes(), expires):
            return None
    except StoreError as error:
        logger.warning("A form could not be kept: %s", error)
        return None
    cookie = Cookie(
        _cookie_name(site),
        browser,
        request.home,
        KEPT_LIFETIME,
        cookie_is_secure(request, site.settings.base_url),
    )
    return Kept(form, resume_url(request, mark), cookie)


def resume_url(request: WebRequest, mark: str) -> str:
    return f"{request.routes.resume}?{urlencode({'form': mark})}"


def find(site: WebApplication, request: WebRequest) -> Found | None:
    """The form that this request's address and cookie name together.

    :raises StoreUnavailable: the token store cannot be reached.
    """
    mark, browser = first(request.query, "form") or "", _browser(site, request.cookies)
    if not _PART.fullmatch(mark) or not browser:
        return None
    key = _record_key(site, mark, browser)
    record = site.store.load(key)
    if record is None:
        return None
    try:
        form = KeptForm.from_bytes(record.value)
    except (ValueError, KeyError, TypeError):  # another version of Keyfob's
        site.store.discard(key, record)
        return None
    # Checked again: the rules for such paths may have changed since, too.
    return Found(form, key, record.version) if local_path(form.target, default="") else None


def resumed(form: KeptForm, action: str, fresh: Pairs) -> ResumedForm:
    """The form as its person sees it again.

    :param fresh: the framework's own proof against forgery, as it is now, in the place of the one
        that the form had, if it had one.
    """
    names = {name for name, _ in form.fields}
    replaced = {name: value for name, value in fresh if name in names}
    fields = [pair for pair in form.fields if pair[0] not in replaced]
    return ResumedForm(
        action=action,
        target=_shown(form.target, 200),
        shown=list(_shown_fields(fields)),
        fields=[*replaced.items(), *fields],
        passwords=form.passwords,
        files=form.files,
        enctype=form.enctype,
    )


def _form_to_keep(
    site: WebApplication, request: WebRequest, api: str, person: str
) -> KeptForm | None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    target = local_path(request.full_path, default="")
    if request.method != "POST" or kind not in _FORM_TYPES or not target:
        return None
    if not request.routes.resume or not is_from_here(request, site.settings.base_url):
        return None
    if not _has_room(site, person):
        return None
    posted = request.posted_form()
    if posted is None or not _fits(posted):
        return None
    if not posted.fields and kind == _FORM_TYPES[0] and has_body(request):
        return None  # somebody has read the body already
    return KeptForm(
        target,
        person,
        [pair for pair in posted.fields if not _PASSWORD.search(pair[0])],
        tuple(name for name, _ in posted.fields if _PASSWORD.search(name)),
        posted.files,
        kind,
        api,
        site.name,
    )


def _has_room(site: WebApplication, person: str) -> bool:
    """Whether one more is kept for them: nobody is to fill the store with forms."""
    now = site.clock()
    return site.persons_forms.take(person, now) if person else site.strangers_forms.take(now)


def _fits(posted: PostedForm) -> bool:
    """Whether a page can send it again, and there is room for it."""
    texts = [text for pair in posted.fields for text in pair]
    try:
        size = sum(len(text.encode()) for text in texts)
    except UnicodeEncodeError:  # a lone surrogate: it was no text
        return False
    # A page's hidden field cannot hold a NUL.
    has_nul = any("\0" in text for text in texts)
    return len(posted.fields) <= MAX_FIELDS and size <= MAX_BYTES and not has_nul


def _shown_fields(fields: Pairs) -> Iterable[tuple[str, str]]:
    for name, value in fields[:MAX_SHOWN]:
        hidden = _NOT_SHOWN.search(name) and value
        yield _shown(name), "\u2022\u2022\u2022" if hidden else _shown(value)
    if len(fields) > MAX_SHOWN:
        yield f"and {len(fields) - MAX_SHOWN} more", ""


def _shown(text: str, length: int = MAX_SHOWN_LENGTH) -> str:
    """As much of a text as a page may show: it cannot pretend to be something else there."""
    kept = text if len(text) <= length else f"{text[:length]}\u2026"
    return "".join(each if each.isprintable() else " " for each in kept)


def _browser(site: WebApplication, cookies: Mapping[str, str]) -> str:
    value = cookies.get(_cookie_name(site), "")
    return value if _PART.fullmatch(value) else ""


def _cookie_name(site: WebApplication) -> str:
    return f"keyfob-{_site_name(site)}-forms"


def _record_key(site: WebApplication, mark: str, browser: str) -> str:
    return f"kept form {_site_name(site)} {mark} {browser}"


def _site_name(site: WebApplication) -> str:
    """One for all authorities of a site: a form is the site's."""
    return site.members.named("").cookie_site
