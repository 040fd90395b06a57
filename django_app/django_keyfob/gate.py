"""What the decorator and the mixin ask before a view runs."""

from __future__ import annotations

from collections.abc import Collection

from django.http import HttpRequest, HttpResponse

from django_keyfob.conf import current_site
from django_keyfob.exchange import to_response, web_request
from django_keyfob.session import keyfob_of
from keyfob.errors import ConfigurationError, KeyfobError


def check_wanted(api: object, scopes: object) -> None:
    """What a decorator, or a mixin, was given.

    :raises TypeError: both, or one text in the place of a list.
    """
    if api is not None and scopes is not None:
        raise TypeError("login_required takes either api= or scopes=, not both")
    if isinstance(scopes, str):
        raise TypeError(f"login_required takes a list of scopes: scopes=[{scopes!r}]")


def refusal(
    request: HttpRequest, *, api: str | None, scopes: Collection[str] | None
) -> HttpResponse | None:
    """None where the view may run, else what to answer in its place.

    Without `api` or `scopes` every user of the site is let in, by whichever backend they came, as
    with the stock decorator. A token needs a sign-in of ours.

    :raises ConfigurationError: there is no such API: the developer's mistake, and no page.
    """
    keyfob = keyfob_of(request)
    if api is None and scopes is None and not keyfob.is_ours and request.user.is_authenticated:
        return None
    try:
        keyfob.require(api=api, scopes=scopes)
    except ConfigurationError:
        raise
    except KeyfobError as error:
        return to_response(request, current_site().handle(web_request(request), error))
    return None
