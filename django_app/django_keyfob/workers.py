"""Tokens without a request: for work that goes on in a task queue, and the site's own.

    @login_required(api="orders")
    def export(request):
        build.delay(start_background(request, api="orders"))
        ...

    def build(key):                       # in a worker, which has the same settings
        background(key).api("orders").get("/orders")

In an async view call them by `sync_to_async`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from keyfob.web.long_running import DEFAULT_SECONDS, LongRunning

if TYPE_CHECKING:
    from django.http import HttpRequest

    from django_keyfob.conf import DjangoSite
    from keyfob.web.downstream import ApiSession


def start_background(
    request: HttpRequest,
    *,
    api: str | None = None,
    scopes: Collection[str] | None = None,
    key: str | None = None,
    seconds: int = DEFAULT_SECONDS,
) -> str:
    """Let work in the person's name go on after this request: in that of who is signed in, or of
    who called with a bearer token that was proven.

    :param api: an API that the work calls: its token is had now, while the person is here. Needed
        where somebody called with a bearer token, this or `scopes`.
    :param scopes: the same for scopes of no API of the settings.
    :param key: of the same person's earlier work, to go on under it with new tokens.
    :param seconds: after which it ends; a minute to 90 days.
    :returns: the key for `background`. It is a secret: give it to the worker, and to nobody else.
    :raises InteractionRequired: nobody is signed in, or the API needs the person's consent.
    :raises TokenResponseError: the provider gave no refresh token.
    :raises StoreUnavailable: the token store cannot be reached.
    """
    from django_keyfob.session import keyfob_of

    return _site().start_long_running(
        keyfob_of(request), api=api, scopes=scopes, key=key, seconds=seconds
    )


def background(key: str) -> LongRunning:
    """Tokens for such work: `.token(api=...)` and `.api(name)`, which raise InteractionRequired
    where the work has ended, or the person must come back.

    :param key: what `start_background` returned.
    """
    return _site().long_running(key)


def end_background(key: str) -> None:
    """End such work, and forget its tokens. Nothing happens where it has ended.

    :raises StoreUnavailable: the token store cannot be reached.
    """
    _site().end_long_running(key)


def app_api(name: str) -> ApiSession:
    """A `requests.Session` for an API of DOWNSTREAM_APIS, with the site's own token.

    :raises ConfigurationError: there is no such API, or its scopes are a person's.
    """
    return _site().app_api(name)


def app_token(
    *, api: str | None = None, scopes: Collection[str] | None = None, tenant: str | None = None
) -> str:
    """An access token in the site's own name. Nobody need be signed in.

    :param api: the name of an API of DOWNSTREAM_APIS; or
    :param scopes: at Microsoft one resource with `/.default` behind it.
    :param tenant: with `scopes`: in which tenant, by its id or domain; None for the authority's.
    :raises ConfigurationError: there is no such API, or these are no scopes for this.
    :raises TokenResponseError: the provider refused.
    :raises TransportError: it cannot be reached.
    """
    return _site().app_token(api=api, scopes=scopes, tenant=tenant)


def _site() -> DjangoSite:
    # Models cannot be imported before the apps are ready, and `django_keyfob` imports this module.
    from django_keyfob.conf import current_site

    return current_site()
