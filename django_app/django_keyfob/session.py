"""`request.keyfob`: Keyfob's view of Django's session, which holds two sign-ins that must agree."""

from __future__ import annotations

import logging
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Iterator,
    MutableMapping,
    Sequence,
)
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.contrib import auth
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from django_keyfob.conf import DjangoSite, current_site
from keyfob.errors import ConfigurationError, InteractionRequired, KeyfobError
from keyfob.web import SESSION_KEY, Identity, User, WebSession
from keyfob.web.session_entry import Waiting, is_live_entry

T = TypeVar("T")

logger = logging.getLogger("keyfob.django")

#: Where our entry remembers Django's user that it belongs to.
_USER = "u"
#: What leaves Django's user anonymous, and may be cured by a sign-in without a page.
_IN_DOUBT = frozenset({"tokens_lost", "account_check"})


class KeyfobSession(WebSession):
    """Who is signed in through Keyfob, and tokens for them. A request has it as `keyfob`.

    Nothing is read before it is asked for. In an async view, use `auser` and `atoken`.
    """

    def __init__(self, site: DjangoSite, request: HttpRequest) -> None:
        self._request = request
        #: Django's own user, and what the middleware has put in its place.
        self.users: tuple[Any, Any] = (None, None)
        self._doubt: InteractionRequired | None = None
        self._is_kept = False
        #: The header WWW-Authenticate for a 403, where the answer is made by others.
        self.challenge = ""
        super().__init__(site, BrowserSession(request, self))

    @property
    def mapping(self) -> MutableMapping[str, Any]:
        """The browser's session, for the web layer."""
        return self._session

    @property
    def user(self) -> User:
        """Who is here; false where Django's user is nobody."""
        named = self.named
        found = getattr(self._request, "user", None) if named else None
        if found is None or found.is_authenticated:
            return named
        return User(None, {}, dict)

    @property
    def is_ours(self) -> bool:
        """Whether Django's user came through us."""
        return SESSION_KEY in self.mapping

    def require(
        self,
        *,
        api: str | None = None,
        scopes: Collection[str] | None = None,
        authority: str | None = None,
    ) -> None:
        """As every web session's. What is known to be in doubt is not asked about again."""
        if self._doubt is not None:
            raise self._doubt
        try:
            super().require(api=api, scopes=scopes, authority=authority)
        except InteractionRequired as error:
            self._note_doubt(error)
            raise
        self._is_kept = True

    def goes_on(self) -> bool:
        """Whether Django's user, who came through us, may still be here; asked once a request."""
        if self._doubt is None and not self._is_kept:
            try:
                self.keep()
            except InteractionRequired as error:
                self._note_doubt(error)
                return False
            except KeyfobError as error:
                logger.warning("Nobody can tell whether a sign-in goes on: %s", error)
                if not self.is_ours:
                    return False  # the provider answered about somebody else
            self._is_kept = True
        return self._doubt is None

    def begin(
        self,
        document_key: str,
        identity: Identity,
        *,
        begun: int | None = None,
        waiting: Sequence[Waiting] = (),
    ) -> None:
        """Write a sign-in into the browser's session, as the one that is here."""
        super().begin(document_key, identity, begun=begun, waiting=waiting)
        self._doubt = None

    def _note_doubt(self, error: InteractionRequired) -> None:
        if error.code in _IN_DOUBT:
            self._doubt = error

    def forget(self) -> None:
        """End the sign-in: Keyfob's and Django's, which are one."""
        super().forget()
        if auth.SESSION_KEY in self._request.session:
            auth.logout(self._request)

    def reset(self) -> None:
        """Forget what was read: the session has changed under it."""
        self._tokens, self._user = None, None
        self._doubt, self._is_kept = None, False

    async def auser(self) -> User:
        """As `user`, which may be used afterwards as well."""
        return await sync_to_async(lambda: self.user)()

    async def ahas_role(self, role: str) -> bool:
        """As `has_role`."""
        return await sync_to_async(self.has_role)(role)

    async def ain_group(self, group: str) -> bool:
        """As `in_group`."""
        return await sync_to_async(self.in_group)(group)

    async def agroups_among(self, groups: Collection[str]) -> frozenset[str]:
        """As `groups_among`."""
        return await sync_to_async(self.groups_among)(groups)

    async def aall_groups(self) -> frozenset[str]:
        """As `all_groups`."""
        return await sync_to_async(self.all_groups)()

    async def atoken(
        self,
        *,
        api: str | None = None,
        scopes: Collection[str] | None = None,
        force_refresh: bool = False,
        claims: str | None = None,
        app_only: bool | None = None,
    ) -> str:
        """As `token`."""
        return await sync_to_async(self.token)(
            api=api, scopes=scopes, force_refresh=force_refresh, claims=claims, app_only=app_only
        )

    def in_thread(self, call: Callable[[], T]) -> Awaitable[T]:
        """In the thread that Django's own database connections belong to."""
        return sync_to_async(call)()


class BrowserSession(MutableMapping[str, Any]):
    """Django's session, in which our entry is there only while its own user is.

    Somebody may sign in with a password over a Keyfob session, sign out by other means, or be
    deactivated. Then what our entry says is about somebody who is no longer here.
    """

    def __init__(self, request: HttpRequest, keyfob: KeyfobSession) -> None:
        self._request = request
        self.keyfob = keyfob

    def __repr__(self) -> str:
        return "<BrowserSession>"

    @property
    def _session(self) -> SessionBase:
        try:
            return self._request.session
        except AttributeError:
            raise ConfigurationError(
                "Keyfob needs 'django.contrib.sessions.middleware.SessionMiddleware' in "
                "MIDDLEWARE, before 'django_keyfob.middleware.KeyfobMiddleware'",
                setting="MIDDLEWARE",
            ) from None

    def __getitem__(self, name: str) -> Any:
        value = self._session[name]
        if name == SESSION_KEY and not self._is_current(value):
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        session = self._session
        if name == SESSION_KEY:
            value = {**value, _USER: session.get(auth.SESSION_KEY)}
        session[name] = value

    def __delitem__(self, name: str) -> None:
        del self._session[name]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._session.keys()))

    def __len__(self) -> int:
        return len(self._session.keys())

    def _is_current(self, entry: Any) -> bool:
        if not belongs_to_session(entry, self._session):
            return False
        # Django looks whether the user still exists, is active, and has the same password.
        user = getattr(self._request, "user", None)
        own, judged = self.keyfob.users
        if user is judged:
            # Ours to judge: whoever is in doubt may still renew the sign-in without a page.
            user = own
        return user is None or bool(user.is_authenticated)


def belongs_to_session(entry: Any, session: SessionBase) -> bool:
    """Whether our entry is about the user that Django has there now, and who came through us."""
    from django_keyfob.backends import is_keyfob_backend

    return (
        isinstance(entry, dict)
        and isinstance(entry.get(_USER), str)
        and entry[_USER] == session.get(auth.SESSION_KEY)
        and is_keyfob_backend(session.get(auth.BACKEND_SESSION_KEY, ""))
    )


def is_over(session: SessionBase) -> bool:
    """Whether a sign-in through us is over, though Django's session goes on: it began under other
    settings, or it is too old. Sessions that never were ours, such as a test's `force_login`, are
    not."""
    from django_keyfob.backends import is_keyfob_backend

    entry = session.get(SESSION_KEY)
    if not isinstance(entry, dict) or not is_keyfob_backend(
        session.get(auth.BACKEND_SESSION_KEY, "")
    ):
        return False
    return not is_live_entry(entry, current_site().members.of_key(entry.get("k")))


def keyfob_of(request: HttpRequest) -> KeyfobSession:
    """The request's Keyfob session, also where the middleware is missing."""
    found = getattr(request, "keyfob", None)
    if not isinstance(found, KeyfobSession):
        found = KeyfobSession(current_site(), request)
        request.keyfob = found  # type: ignore[attr-defined]  # that is how middleware adds things
    return found
