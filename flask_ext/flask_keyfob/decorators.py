"""Who may see a view."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, overload

from flask_keyfob.guard import View, guarded
from flask_keyfob.proxies import web_session
from keyfob.web.proofs import seconds


@overload
def login_required(view: View, /) -> View: ...
@overload
def login_required(
    *,
    api: str | None = None,
    scopes: Collection[str] | None = None,
    max_age: int | None = None,
    authority: str | None = None,
) -> Callable[[View], View]: ...
def login_required(
    view: Any = None,
    /,
    *,
    api: str | None = None,
    scopes: Collection[str] | None = None,
    max_age: int | None = None,
    authority: str | None = None,
) -> Any:
    """Let only signed-in people into a view: others are sent to sign in, scripts get a 401.

    Stands below the route's decorator. Also for a MethodView (`decorators = [login_required]`).

    :param api: a downstream API that the view calls. Where the token for it is missing, consent
        is asked for on the way in.
    :param scopes: the same for scopes that belong to no API of the settings.
    :param max_age: seconds in which the person must have proved who they are, at the provider;
        whoever did it longer ago does it again on the way in.
    :param authority: who must have signed the person in: a name in AUTHORITIES, "" for the site's
        own. Without it, any of them.
    :raises ConfigurationError: `max_age` is no whole number of seconds.
    """
    if api is not None and scopes is not None:
        raise TypeError("login_required takes either api= or scopes=, not both")
    if isinstance(scopes, str):
        raise TypeError(f"login_required takes a list of scopes: scopes=[{scopes!r}]")

    age = None if max_age is None else seconds(max_age)

    def check() -> None:
        if age is not None:
            web_session().require_recent(age, authority=authority)
        web_session().require(api=api, scopes=scopes, authority=authority)

    def decorate(each: View) -> View:
        if not callable(each):
            raise TypeError(f"login_required takes names for what it is given: api={each!r}")
        return guarded(each, check, "login_required")

    return decorate if view is None else decorate(view)
