"""What belongs to the current request: the site, the browser's session, the person."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import current_app, g, session
from werkzeug.local import LocalProxy

from keyfob.web import User, WebApplication, WebSession
from keyfob.web.caller import Caller

if TYPE_CHECKING:
    from keyfob.web.downstream import ApiSession


def current_site() -> WebApplication:
    """The current app's program life, as `Keyfob.init_app` made it."""
    site = current_app.extensions.get("keyfob")
    if site is None:
        raise RuntimeError(
            f"The app {current_app.name!r} has no Keyfob: call Keyfob(app), or init_app(app) of "
            "the Keyfob() that you have, before it serves requests."
        )
    return cast("WebApplication", site)


def web_session() -> WebSession:
    """`g.keyfob`, which is made here. That reads nothing: not even Flask's session, whose proxy
    it gets, so that an untouched page stays without `Vary: Cookie`.
    """
    if "keyfob" not in g:
        renew_web_session()
    return cast("WebSession", g.keyfob)


def renew_web_session() -> None:
    """Forget what this request has read of a session that has just become another one."""
    g.keyfob = current_site().session(session)


def downstream_api(name: str) -> ApiSession:
    """A `requests.Session` for an API of KEYFOB_DOWNSTREAM_APIS, in the signed-in person's name.

    :raises ConfigurationError: there is no such API.
    """
    return web_session().api(name)


#: Who calls this site as an API, in a view with `bearer_required`; false in every other. The same
#: as `g.keyfob.caller`.
current_caller: Caller = LocalProxy(lambda: web_session().caller)  # type: ignore[assignment]
#: The signed-in person; false where there is none. The same as `g.keyfob.user`.
current_user: User = LocalProxy(lambda: web_session().user)  # type: ignore[assignment]
