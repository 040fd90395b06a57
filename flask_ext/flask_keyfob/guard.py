"""What every decorator of ours does: ask before a view runs, and answer in its place."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import current_app, request

from flask_keyfob.proxies import current_site
from flask_keyfob.translate import response_for, web_request
from keyfob.errors import ConfigurationError, KeyfobError

View = TypeVar("View", bound=Callable[..., Any])


def guarded(view: View, check: Callable[[], object], name: str) -> View:
    """The view, which runs where the check raises nothing.

    :param check: raises the KeyfobError that keeps a request out.
    :param name: the decorator's, for messages.
    """
    if isinstance(view, type):
        raise TypeError(f"Write decorators = [{name}] inside {view.__name__}, not above it")
    if not callable(view):
        raise TypeError(f"{name} guards a view, and was given {view!r}")

    @wraps(view)
    def guarded_view(*args: Any, **kwargs: Any) -> Any:
        try:
            check()
        except ConfigurationError:
            raise  # a mistake of the developer's: loud, and no page
        except KeyfobError as error:
            if request.method == "OPTIONS":
                # A CORS preflight carries no cookies (Fetch standard): it learns which methods
                # there are, from Flask. The view itself may list OPTIONS, and is not run.
                return current_app.make_default_options_response()
            return response_for(current_site().handle(web_request(), error))
        return current_app.ensure_sync(view)(*args, **kwargs)

    return cast("View", guarded_view)
