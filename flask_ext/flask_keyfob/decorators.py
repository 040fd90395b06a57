"""Who may see a view."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps
from typing import Any, TypeVar, cast, overload

from flask import current_app, request

from flask_keyfob.proxies import current_site, web_session
from flask_keyfob.translate import response_for, web_request
from keyfob.errors import ConfigurationError, KeyfobError

View = TypeVar("View", bound=Callable[..., Any])


@overload
def login_required(view: View, /) -> View: ...
@overload
def login_required(
    *, api: str | None = None, scopes: Collection[str] | None = None
) -> Callable[[View], View]: ...
def login_required(
    view: Any = None, /, *, api: str | None = None, scopes: Collection[str] | None = None
) -> Any:
    """Let only signed-in people into a view: others are sent to sign in, scripts get a 401.

    Stands below the route's decorator. Also for a MethodView (`decorators = [login_required]`).

    :param api: a downstream API that the view calls. Where the token for it is missing, consent
        is asked for on the way in.
    :param scopes: the same for scopes that belong to no API of the settings.
    """
    if api is not None and scopes is not None:
        raise TypeError("login_required takes either api= or scopes=, not both")
    if isinstance(scopes, str):
        raise TypeError(f"login_required takes a list of scopes: scopes=[{scopes!r}]")
    if view is None:
        return lambda each: _guarded(each, api, scopes)
    return _guarded(view, api, scopes)


def _guarded(view: View, api: str | None, scopes: Collection[str] | None) -> View:
    if isinstance(view, type):
        raise TypeError(f"Write decorators = [login_required] inside {view.__name__}, not above it")
    if not callable(view):
        raise TypeError(f"login_required takes names for what it is given: api={view!r}")

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            web_session().require(api=api, scopes=scopes)
        except ConfigurationError:
            raise  # a mistake of the developer's: loud, and no page
        except KeyfobError as error:
            if request.method == "OPTIONS":
                # A CORS preflight carries no cookies (Fetch standard): it learns which methods
                # there are, from Flask. The view itself may list OPTIONS, and is not run.
                return current_app.make_default_options_response()
            return response_for(current_site().handle(web_request(), error))
        return current_app.ensure_sync(view)(*args, **kwargs)

    return cast("View", guarded)
