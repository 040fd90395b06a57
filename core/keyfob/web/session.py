"""Who is here, and tokens for them: one object for one request, lazy, closed with it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from keyfob.applications import ConfidentialClientApplication
from keyfob.errors import (
    ConfigurationError,
    InteractionRequired,
    StoreError,
    SubjectChangedError,
    TokenResponseError,
)
from keyfob.web.document import (
    Document,
    delete_document,
    load_document,
    replace_document,
)
from keyfob.web.identity import Identity, User, session_claims
from keyfob.web.settings import DownstreamApi
from keyfob.web.stores import SealedStore

if TYPE_CHECKING:
    from keyfob.web.downstream import ApiSession

logger = logging.getLogger(__name__)

#: Our one entry in the browser's session.
SESSION_KEY = "_keyfob"
#: Rounds through the provider without getting a token, before a page stops the person.
MAX_ROUNDS = 2

#: Errors that the person can do something about, by signing in or consenting anew (OpenID Connect
#: Core §3.1.2.6, RFC 6749 §5.2). Other errors are the site's own.
_CURED_BY_THE_PERSON = frozenset(
    {
        "invalid_grant",
        "interaction_required",
        "login_required",
        "consent_required",
        "account_selection_required",
    }
)


class Site(Protocol):
    """What a session needs of the program's life; `WebApplication` is one."""

    @property
    def client(self) -> ConfidentialClientApplication: ...
    @property
    def store(self) -> SealedStore: ...
    def document_expiry(self) -> float: ...
    def api_settings(self, name: str) -> DownstreamApi: ...
    def api_session(self, session: WebSession, api: DownstreamApi) -> ApiSession: ...
    def lock(self, key: str) -> AbstractContextManager[object]: ...


class WebSession:
    """The browser's session as Keyfob sees it. Nothing is read before it is asked for.

    Flask has it as `g.keyfob`, Django as `request.keyfob`.
    """

    def __init__(self, site: Site, session: MutableMapping[str, Any]) -> None:
        self._site = site
        self._session = session
        self._document: Document | None = None
        self._user: User | None = None

    def __repr__(self) -> str:
        return "<WebSession>"

    @property
    def user(self) -> User:
        """Who is here; false where nobody is signed in. Reads no store."""
        if self._user is None:
            entry = self._entry()
            key = entry.get("a") if entry else None
            claims = entry.get("c") if entry else None
            self._user = User(
                key if isinstance(key, str) else None,
                claims if isinstance(claims, dict) else {},
                self._claims,
            )
        return self._user

    @property
    def is_signed_in(self) -> bool:
        return self._entry() is not None

    def token(
        self,
        *,
        api: str | None = None,
        scopes: Collection[str] | None = None,
        force_refresh: bool = False,
        claims: str | None = None,
    ) -> str:
        """An access token of the signed-in person.

        :param api: the name of a downstream API of the settings; or
        :param scopes: what the token must be good for.
        :param force_refresh: a new one from the provider, whatever is at hand.
        :param claims: an API's claims challenge, as JSON text.
        :raises InteractionRequired: only the person can get it, by signing in or consenting.
        :raises StoreUnavailable: the token store cannot be reached.
        :raises TransportError: the provider cannot be reached.
        """
        wanted = self._wanted(api, scopes)
        key = self._key()
        if key is None:
            raise InteractionRequired(
                "Nobody is signed in", scopes=wanted, api=api or "", code="not_signed_in"
            )
        with self._site.lock(key):
            document = self._load(key)
            result = self._acquire(document, wanted, force_refresh, claims)
        if result is not None and "access_token" in result:
            self._end_rounds()
            token: str = result["access_token"]
            return token
        raise self._refused(result, wanted, api, claims)

    def api(self, name: str) -> ApiSession:
        """A `requests.Session` for a downstream API, with its address and the person's token.

        :param name: as in DOWNSTREAM_APIS.
        :raises ConfigurationError: there is no such API.
        """
        return self._site.api_session(self, self._site.api_settings(name))

    def begin(self, document_key: str, identity: Identity) -> None:
        """Write a new sign-in into the browser's session."""
        rounds = (self._entry() or {}).get("r")
        entry: dict[str, Any] = {
            "k": document_key,
            "a": identity.key,
            "c": session_claims(identity.claims),
        }
        if isinstance(rounds, int):
            entry["r"] = rounds
        self._session[SESSION_KEY] = entry
        self._document, self._user = None, None

    def document(self) -> Document | None:
        """The token document, read once a request; None where nobody is signed in, or it is lost.

        :raises StoreUnavailable: the token store cannot be reached.
        """
        key = self._key()
        if key is None:
            return None
        if self._document is None:
            self._document = load_document(self._site.store, key)
        return self._document

    def forget(self) -> None:
        """End the sign-in: here, and in the token store if it can be reached."""
        key = self._key()
        self._session.pop(SESSION_KEY, None)
        self._document, self._user = None, None
        if key is None:
            return
        try:
            delete_document(self._site.store, key)
        except StoreError as error:
            # The session no longer names the record; it expires by itself.
            logger.warning("A sign-out could not empty the token store: %s", error)

    def count_round(self) -> bool:
        """Count one more trip to the provider for a token; False where that goes in circles."""
        entry = self._entry() or {}
        rounds = entry.get("r", 0)
        if not isinstance(rounds, int) or rounds >= MAX_ROUNDS:
            self._end_rounds()
            return False
        self._session[SESSION_KEY] = {**entry, "r": rounds + 1}
        return True

    def _end_rounds(self) -> None:
        entry = self._entry()
        if entry and "r" in entry:
            self._session[SESSION_KEY] = {k: v for k, v in entry.items() if k != "r"}

    def _entry(self) -> Mapping[str, Any] | None:
        entry = self._session.get(SESSION_KEY)
        return entry if isinstance(entry, dict) and isinstance(entry.get("k"), str) else None

    def _key(self) -> str | None:
        entry = self._entry()
        return entry["k"] if entry else None

    def _claims(self) -> Mapping[str, Any]:
        document = self.document()
        if document is None:
            raise _lost((), "")
        return document.claims

    def _wanted(self, api: str | None, scopes: Collection[str] | None) -> tuple[str, ...]:
        if (api is None) == (scopes is None):
            raise ConfigurationError("token() takes either api= or scopes=")
        if api is not None:
            return self._site.api_settings(api).scopes
        if isinstance(scopes, str):
            raise ConfigurationError("scopes is a list of texts")
        return tuple(scopes or ())

    def _load(self, key: str) -> Document:
        document = self.document()
        if document is None or document.key != key:
            raise _lost((), "")
        return document

    def _acquire(
        self, document: Document, scopes: Collection[str], force_refresh: bool, claims: str | None
    ) -> dict[str, Any] | None:
        client = self._site.client.with_cache(document.cache)
        try:
            result = client.acquire_token_silent_with_error(
                list(scopes),
                document.account(client.authority.environment),
                force_refresh=force_refresh,
                claims_challenge=claims,
            )
        except SubjectChangedError:
            self.forget()
            raise
        if document.cache.has_state_changed:
            self._save(document)
        return result

    def _save(self, document: Document) -> None:
        if not replace_document(self._site.store, document, self._site.document_expiry()):
            logger.info("A session changed, or was signed out, while its token was refreshed")
        # Either way what the store has now is another version.
        self._document = None

    def _refused(
        self,
        result: Mapping[str, Any] | None,
        scopes: tuple[str, ...],
        api: str | None,
        claims: str | None,
    ) -> Exception:
        error = str((result or {}).get("error", ""))
        if result is None or error in _CURED_BY_THE_PERSON:
            return InteractionRequired(
                "The person must sign in, or consent, for this token",
                scopes=scopes,
                api=api or "",
                claims=claims or str((result or {}).get("claims", "")),
                error=error,
                suberror=str((result or {}).get("suberror", "")),
            )
        logger.error("The provider refused a token: %s", result.get("error_description") or error)
        return TokenResponseError(f"The provider refused a token: {error}", code=error)


def _lost(scopes: tuple[str, ...], api: str) -> InteractionRequired:
    return InteractionRequired(
        "The token store has lost this session", scopes=scopes, api=api, code="tokens_lost"
    )
