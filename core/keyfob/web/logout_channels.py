"""The provider signs people out of this site: through their browser, or by itself.

*Front-channel* (OpenID Connect Front-Channel Logout 1.0): the provider's page has a frame with our
address in it, and `iss` and `sid` in the query. The frame is another site's to the browser, so that
no cookie need come along: the index finds the sessions. Nothing proves who asks; whoever knows a
`sid`, which only the provider and its sites do, can end the sessions of that `sid`, and no more.

*Back-channel* (OpenID Connect Back-Channel Logout 1.0): the provider posts a signed token, which
proves everything. What forged ones cost us is bounded: their length, how often they make us fetch
keys (see `flows.provider`), and what they write into the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from keyfob.errors import KeyfobError, LogoutTokenError, StoreError
from keyfob.protocol.authority import Authority
from keyfob.protocol.logout_token import LogoutOrder
from keyfob.protocol.signed_token import is_name
from keyfob.web.exchange import NO_STORE, Answer, Pairs, WebRequest
from keyfob.web.metrics import LOGOUT_REFUSALS, SIGN_OUTS
from keyfob.web.problems import one_line

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication

#: Characters. Issuers are addresses.
_MAX_ISSUER = 2048
#: Seconds after which a provider may try again what could not be done.
_RETRY_AFTER = "10"
#: Refused logout tokens that the log tells of at once, and then one each so many seconds.
REFUSALS_LOGGED, REFUSALS_INTERVAL = 10, 30.0

logger = logging.getLogger(__name__)


def front(site: WebApplication, request: WebRequest, end: Callable[[], None]) -> Answer:
    """End the sessions of the provider's session that the query names, whoever's browser this is;
    where it names none, this browser's own, if its cookies came (§2 and §3).

    An empty page: nobody reads it, and it says to nobody whether there was such a session.

    :param end: lets the framework empty this browser's session.
    """
    headers = _frame_headers(site.settings.authority)
    issuers, sids = _values(request.query, "iss"), _values(request.query, "sid")
    if len(issuers) != len(sids) or len(sids) > 1:
        return Answer(400, headers=headers)
    try:
        if not sids:
            _end_own(site, request, end)
        elif is_name(sids[0]) and len(issuers[0]) <= _MAX_ISSUER:
            ended = site.index.end(iss=issuers[0], sid=sids[0])
            site.observer.record(SIGN_OUTS, ended, channel="frontchannel")
            logger.info("The provider ended %d sessions through a browser", ended)
    except StoreError as error:
        logger.warning("A front-channel logout could not reach the token store: %s", error)
        return Answer(503, headers={**headers, "Retry-After": _RETRY_AFTER})
    return Answer(200, headers=headers)


def back(site: WebApplication, request: WebRequest) -> Answer:
    """End the sessions that a logout token names (§2.5 to §2.8).

    200 also where there was none. 400 for a token that is not to be believed, with the reason as
    JSON; 503 where we cannot tell, or cannot end them, now.
    """
    tokens = _values(request.form, "logout_token")
    try:
        if len(tokens) != 1:
            raise LogoutTokenError("A logout request has one logout_token", code="missing")
        order = site.client.judge_logout_token(tokens[0])
        ended = _end_ordered(site, order)
    except LogoutTokenError as error:
        site.observer.count(LOGOUT_REFUSALS, error=error)
        if site.logout_refusals.take(site.clock()):
            logger.warning("A logout token was refused (%s): %s", error.code, one_line(error))
        return _refused(400, "invalid_request", str(error))
    except KeyfobError as error:
        logger.warning("A back-channel logout could not be done: %s", one_line(error))
        return _refused(503, "temporarily_unavailable", "The sessions could not be ended now")
    site.observer.record(SIGN_OUTS, ended, channel="backchannel")
    logger.info("The provider ended %d sessions", ended)
    return Answer(200, headers=NO_STORE)


def _end_ordered(site: WebApplication, order: LogoutOrder) -> int:
    seen = site.index.private_name("logout token", order.issuer, order.token_id)
    if site.store.version(seen) is not None:
        raise _replayed()
    if order.sid is not None:
        ended = site.index.end(iss=order.issuer, sid=order.sid)
    else:
        ended = site.index.end(iss=order.issuer, sub=order.subject)
    # Only now: a provider whose order could not be carried out may send it again.
    if not site.store.create(seen, b"1", order.expires_at):
        raise _replayed()
    return ended


def _replayed() -> LogoutTokenError:
    return LogoutTokenError("The logout token was used before", code="replayed")


def _end_own(site: WebApplication, request: WebRequest, end: Callable[[], None]) -> None:
    """End this browser's session, if the request is a frame's.

    Without `sid` nothing tells whose wish it is, and a mere link from anywhere, which browsers
    send with Lax cookies, must sign nobody out. Where a frame's cookies come along, the site has
    made them SameSite=None, or the provider is at the same site.
    """
    session = site.session(request.session)
    is_theirs = session.is_signed_in and session.authority == site.name
    if request.headers.get("sec-fetch-dest", "") in ("iframe", "frame") and is_theirs:
        session.forget()
        end()
        site.observer.count(SIGN_OUTS, channel="frontchannel")


def _frame_headers(authority: Authority) -> Mapping[str, str]:
    """Only the provider's pages may show the frame. A browser asks us before it knows: for another
    page the sessions end all the same, but it learns nothing."""
    others = [f"https://{host}" for host in authority.aliases if host != authority.environment]
    ancestors = " ".join([authority.origin, *others])
    return {
        **NO_STORE,
        "Pragma": "no-cache",
        "Content-Security-Policy": f"default-src 'none'; frame-ancestors {ancestors}",
        "X-Content-Type-Options": "nosniff",
    }


def _refused(status: int, error: str, description: str) -> Answer:
    headers = dict(NO_STORE)
    if status == 503:
        headers["Retry-After"] = _RETRY_AFTER
    return Answer(status, json={"error": error, "error_description": description}, headers=headers)


def _values(pairs: Pairs, name: str) -> list[str]:
    return [value for key, value in pairs if key == name]
