"""App Service's own authentication ("EasyAuth") in the place of a trip to the provider.

The platform signs people in, in front of the site, and tells it who they are in headers. Only the
ID token among them is believed, and that as any other: signature, issuer, audience, times, tenant.
See docs/decisions/app-service.md.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from keyfob.cache import SerializableTokenCache
from keyfob.errors import IdTokenError, KeyfobError
from keyfob.protocol.scopes import scopes_of_one_resource
from keyfob.web.document import Document
from keyfob.web.exchange import Answer, Pairs, WebRequest, first, redirect
from keyfob.web.session_entry import SESSION_KEY
from keyfob.web.trips import login_url

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication

logger = logging.getLogger(__name__)

#: Whom the platform has signed in: what this says is not believed, only whether it changes.
PRINCIPAL = "x-ms-client-principal-id"
_ID_TOKEN = "x-ms-token-aad-id-token"
_REFRESH_TOKEN = "x-ms-token-aad-refresh-token"
_LOGIN = "/.auth/login/aad"
_LOGOUT = "/.auth/logout"
#: Where our entry in the browser's session has the platform's principal.
_BOUND_TO = "z"
#: Of our login view: the browser comes from the platform's, so it is not sent there again.
_BEEN_THERE = "platform"
#: What makes a trip more than a sign-in: the provider has to be asked, as without the platform.
_ASKS_THE_PROVIDER = ("api", "ask", "prompt", "iss", "flow")


class BoundSession(MutableMapping[str, Any]):
    """The browser's session, in which our entry is there only while the platform's principal is
    the one it began with.

    The platform's session is another than ours. Who signs out there, or comes back as somebody
    else, is not here any more.

    :param session: the framework's.
    :param principal: the platform's header, "" where it has signed nobody in.
    """

    def __init__(self, session: MutableMapping[str, Any], principal: str) -> None:
        self.inner = session
        self._mark = _mark_of(principal)

    def __repr__(self) -> str:
        return "<BoundSession>"

    def __getitem__(self, name: str) -> Any:
        value = self.inner[name]
        if name == SESSION_KEY and not self.is_bound(value):
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        if name == SESSION_KEY:
            value = {**value, _BOUND_TO: self._mark}
        self.inner[name] = value

    def __delitem__(self, name: str) -> None:
        del self.inner[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.inner)

    def __len__(self) -> int:
        return len(self.inner)

    def is_bound(self, entry: object) -> bool:
        """Whether our entry began with the platform's principal of now."""
        return isinstance(entry, Mapping) and entry.get(_BOUND_TO) == self._mark


def _mark_of(principal: str) -> str:
    digest = hashlib.sha256(principal.encode("utf-8", "replace")).digest()
    return base64.urlsafe_b64encode(digest[:9]).decode()


def is_to_sign_in(site: WebApplication, given: Pairs) -> bool:
    """Whether this visit to the login view is the platform's business. It knows one account: a
    further one is the provider's."""
    adds = ("add",) if site.settings.max_accounts > 1 else ()
    return site.settings.easy_auth and not any(
        first(given, name) is not None for name in (*_ASKS_THE_PROVIDER, *adds)
    )


def proven_claims(site: WebApplication, request: WebRequest) -> Mapping[str, Any] | None:
    """Whom the platform has signed in; None where there is no ID token, or one that has run out.

    :raises IdTokenError: the token proves nothing: somebody made it, or the platform signs people
        in to another application or at another provider.
    """
    token = request.headers.get(_ID_TOKEN)
    if not token:
        return None
    try:
        return site.client.judge_id_token(token)
    except IdTokenError as error:
        if error.code == "exp":
            return None
        raise


def way_to_sign_in(request: WebRequest, given: Pairs, next_path: str) -> Answer | None:
    """To the platform's login, from where the browser comes back to ours; None where it has just
    been there, which would go in circles: then the provider itself is asked.
    """
    if first(given, _BEEN_THERE) is not None:
        return None
    back = login_url(request.routes.login, next_path, **{_BEEN_THERE: "1"})
    return redirect(f"{_LOGIN}?{urlencode({'post_login_redirect_uri': back})}")


def take_tokens(
    site: WebApplication, request: WebRequest, document: Document, claims: Mapping[str, Any]
) -> None:
    """Make the platform's refresh token the session's, where it has one (its token store is on, and
    `offline_access` among its scopes), and it is the same person's.

    Without one there are no tokens for APIs yet: the first that is wanted sends the browser to the
    provider, as a missing consent does.
    """
    token = request.headers.get(_REFRESH_TOKEN)
    if not token:
        return
    cache = SerializableTokenCache()
    scopes = scopes_of_one_resource(list(site.settings.scopes), site.settings.scopes)
    try:
        result = site.client.with_cache(cache).acquire_token_by_refresh_token(token, scopes)
    except KeyfobError as error:
        logger.warning("App Service's refresh token could not be redeemed: %s", error)
        return
    if "error" in result:
        logger.warning("App Service's refresh token was refused: %s", str(result["error"])[:100])
        return
    named = result.get("id_token_claims") or {}
    if any(named.get(name) != claims.get(name) for name in ("iss", "sub", "tid")):
        logger.warning("App Service's refresh token is another person's than its ID token")
        return
    document.cache = cache


def sign_out_url(site: WebApplication, request: WebRequest, back: str) -> str:
    """Where the platform signs people out; "" where it has signed nobody in.

    :param back: the path to come back to.
    """
    if not site.settings.easy_auth or not request.headers.get(PRINCIPAL):
        return ""
    return f"{_LOGOUT}?{urlencode({'post_logout_redirect_uri': back})}"
