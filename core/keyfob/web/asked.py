"""What a trip to the provider is to bring, and how it travels there through the login address."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from keyfob.protocol.scopes import OPENID_SCOPES, is_scope
from keyfob.web.exchange import Pairs, WebRequest, first

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication

_ASKED = "asked scopes"


class Asked(NamedTuple):
    """What a trip to the provider is to bring."""

    scopes: list[str]
    claims: str | None = None
    #: The mark of the session that is to be renewed without a page; "" for none.
    renews: str = ""
    #: Seconds since the person proved themselves, at the most; None where it makes no difference.
    max_age: int | None = None


def seal_asked(
    site: WebApplication,
    scopes: Sequence[str],
    claims: str,
    *,
    renews: str = "",
    max_age: int | None = None,
) -> str:
    """What to ask for, sealed so that a link cannot ask for anything else, nor end a session.

    :param renews: the mark of the session that is to be renewed without a page.
    :param max_age: seconds since the person proved themselves, at the most.
    """
    asked = {"s": list(scopes), "c": claims, "r": renews, "m": max_age}
    return site.sealer.seal_text(json.dumps(asked).encode(), context=_ASKED, now=site.clock())


def asked_for(site: WebApplication, request: WebRequest, given: Pairs, api: str) -> Asked:
    """The scopes of the settings, of the API that is asked for, and those that were sealed.

    Outside Microsoft's, a refresh token reaches what its own sign-in was granted and no more: what
    this session had is asked for again, or two APIs would take each other's tokens in turn.
    """
    scopes = dict.fromkeys(site.settings.scopes)
    if api:
        scopes.update(dict.fromkeys(site.api_settings(api).scopes))
    # An account that is added is another person's: what this one agreed to is not theirs.
    adds = site.settings.max_accounts > 1 and first(given, "add") is not None
    if not site.settings.authority.is_microsoft and not adds:
        scopes.update(dict.fromkeys(_granted_before(site, request)))
    sealed = first(given, "ask")
    content = (
        site.sealer.unseal_text(sealed, context=_ASKED, max_age=3600, now=site.clock())
        if sealed
        else None
    )
    if content is None:
        return Asked(list(scopes))
    asked = json.loads(content)
    scopes.update(dict.fromkeys(asked["s"]))
    renews = asked.get("r", "")
    # A link that was made for another session, or another sign-in of this one, renews nothing.
    still = renews if renews == site.session(request.session).mark else ""
    return Asked(list(scopes), asked["c"] or None, still, asked.get("m"))


def _granted_before(site: WebApplication, request: WebRequest) -> list[str]:
    session = site.session(request.session)
    if session.authority != site.name:
        return []  # another authority knows none of them, and is not to hear of them
    document = session.document()
    granted = document.granted_scopes() if document is not None else frozenset()
    # A provider may name its grants as it likes; only what a request can say is asked for.
    return sorted(s for s in granted - OPENID_SCOPES if is_scope(s))
