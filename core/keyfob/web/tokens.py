"""One session's tokens: at hand, or renewed while nobody else renews them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any, Protocol

from keyfob.applications import ConfidentialClientApplication
from keyfob.errors import (
    InteractionRequired,
    ProtocolError,
    StoreError,
    StoreUnavailable,
    TransportError,
)
from keyfob.protocol.results import TokenResult
from keyfob.web.document import Document
from keyfob.web.documents import Documents
from keyfob.web.metrics import REFRESH_DURATION
from keyfob.web.observe import Observer
from keyfob.web.problems import SAYS_NOTHING_OF_THE_PERSON
from keyfob.web.tenant_clients import TenantClients

logger = logging.getLogger(__name__)

#: Seconds after which a check of the account that the provider did not answer is tried again.
_CHECK_AGAIN = 60.0


class GivesTokens(Protocol):
    """Whoever has a token for an API: a session, long-running work, the site itself."""

    def token(
        self, *, api: str | None = None, force_refresh: bool = False, claims: str | None = None
    ) -> str: ...


class TokenSite(Protocol):
    """What a session's tokens need of the program's life; `WebApplication` is one."""

    @property
    def client(self) -> ConfidentialClientApplication: ...
    @property
    def documents(self) -> Documents: ...
    @property
    def clock(self) -> Callable[[], float]: ...
    @property
    def observer(self) -> Observer: ...
    @property
    def tag(self) -> str: ...
    @property
    def tenants(self) -> TenantClients: ...
    def document_expiry(self) -> float: ...
    def in_turn(self, key: str) -> AbstractContextManager[None]: ...
    def alone(self, key: str) -> AbstractContextManager[None]: ...


class SessionTokens:
    """The token document of one session, for one request. Nothing is read before it is asked for.

    :param key: what the browser's session names the document by.
    """

    def __init__(self, site: TokenSite, key: str) -> None:
        self._site = site
        self._key = key
        self._document: Document | None = None

    def __repr__(self) -> str:
        return "<SessionTokens>"

    def document(self) -> Document | None:
        """The document, to look into; None where the store has lost it.

        :raises StoreUnavailable: the token store cannot be reached.
        """
        if self._document is None:
            self._document = self._site.documents.read(self._key)
        return self._document

    def is_recorded(self) -> bool:
        """Whether the token store still knows this sign-in. The browser's session alone does not
        tell: Flask's is a cookie, and a copy of it, or a slow answer, outlives the sign-out."""
        if self._document is not None:
            return True
        try:
            return self._site.documents.holds(self._key)
        except StoreUnavailable as error:
            # A page that needs no token works without the store.
            logger.warning("Nobody can tell whether a sign-in was ended elsewhere: %s", error)
            return True

    def at_hand(self, wanted: Collection[str]) -> TokenResult | None:
        """A token that needs neither the provider nor a lock: the usual case."""
        document = self.document()
        if document is None:
            return None
        return self._held(document, wanted)

    def renewed(
        self, wanted: Collection[str], *, force_refresh: bool = False, claims: str | None = None
    ) -> TokenResult | None:
        """A token by the provider, unless somebody else has just got one.

        What this request read earlier may hold a refresh token that was used since.

        :returns: as `acquire_token_silent_with_error`.
        :raises InteractionRequired: the store has lost the document.
        :raises StoreUnavailable: it cannot be reached, or others took too long.
        """
        with self._site.in_turn(self._key):
            if not force_refresh and not claims:
                # Whoever was before may have brought it: no need to queue up with other machines.
                self._fresh(wanted)
                result = self.at_hand(wanted)
                if result is not None:
                    return result
            with self._site.alone(self._key):
                document = self._fresh(wanted)
                return self._acquire(document, wanted, force_refresh, claims, purpose="token")

    def check_account(self, interval: float) -> None:
        """Ask the provider, once in so many seconds, whether the person may still be here.

        It is asked by a refresh. Where it cannot be reached, or its answer says nothing about the
        person, the session goes on, and it is asked again a minute later.

        :raises InteractionRequired: it refused, or there is nothing to ask it with: a sign-in
            without a page would tell.
        :raises IdTokenError: the ID token that came along proves nothing, or somebody else.
        """
        shared = self.document()
        if shared is None or not self._is_due(shared, interval):
            return
        try:
            with self._site.in_turn(self._key):
                # Whoever was before may have asked in vain.
                if self._is_due(shared, interval):
                    self._ask_about_account(shared, interval)
        except (TransportError, StoreUnavailable) as error:
            self._check_again_later(shared, interval, error)

    def _ask_about_account(self, shared: Document, interval: float) -> None:
        try:
            with self._site.alone(self._key):
                document = self._fresh(())
                if not self._is_due(document, interval):
                    return
                scopes = document.usual_scopes()
                result = self._acquire(document, scopes, True, None, purpose="account_check")  # noqa: FBT003
        except (TransportError, StoreError, ProtocolError) as error:
            self._check_again_later(shared, interval, error)
            return
        refusal = "" if result is None else result.get("error", "")
        if refusal in SAYS_NOTHING_OF_THE_PERSON:
            self._check_again_later(shared, interval, refusal)
        elif result is None or "error" in result:
            raise InteractionRequired(
                "The provider must confirm that the person may still be here",
                error=refusal,
                code="account_check",
            )

    def _check_again_later(self, shared: Document, interval: float, reason: object) -> None:
        logger.warning("Nobody can tell whether an account may still sign in: %s", reason)
        # What this request read since is its own; the others see the one that is shared.
        shared.checked_at = self._site.clock() - interval + _CHECK_AGAIN
        self._document = shared

    def _is_due(self, document: Document, interval: float) -> bool:
        return not 0 <= self._site.clock() - document.checked_at < interval

    def _fresh(self, wanted: Collection[str]) -> Document:
        document = self._document = self._site.documents.fresh(self._key)
        if document is None:
            self._site.documents.overlook(self._key)
            raise tokens_lost(wanted)
        return document

    def _acquire(
        self,
        document: Document,
        scopes: Collection[str],
        force_refresh: bool,
        claims: str | None,
        *,
        purpose: str,
    ) -> TokenResult | None:
        with self._site.observer.timing(REFRESH_DURATION, purpose=purpose) as attributes:
            result = self._ask(document, scopes, force_refresh, claims)
            attributes.update(_outcome(result))
        # A refusal changes nothing that is worth keeping, and must not stand in a success' way.
        if result is not None and "access_token" in result and document.cache.has_state_changed:
            self._save(document)
        return result

    def _client(self, document: Document) -> ConfidentialClientApplication:
        return self._site.client.with_cache(document.cache)

    def _held(self, document: Document, wanted: Collection[str]) -> TokenResult | None:
        """What the document has, never from the network."""
        client = self._client(document)
        return client.token_at_hand(wanted, document.account(client.authority.environment))

    def _ask(
        self, document: Document, scopes: Collection[str], force_refresh: bool, claims: str | None
    ) -> TokenResult | None:
        """A token by the provider."""
        client = self._client(document)
        return client.acquire_token_silent_with_error(
            list(scopes),
            document.account(client.authority.environment),
            force_refresh=force_refresh,
            claims_challenge=claims,
        )

    def _save(self, document: Document) -> None:
        """Keep what changed, unless what the store has is newer: another holder of the lease took
        over from this one, or the person was signed out. This request's token serves all the same.
        """
        document.note_check()
        try:
            saved = self._keep(document)
        except StoreUnavailable as error:
            # The provider has used up what the store has; this process will save it when it can.
            logger.warning("A refreshed token could not be saved yet: %s", error)
            return
        except StoreError as error:
            logger.error("A refreshed token could not be saved: %s", error)  # noqa: TRY400 - no trace helps
            return
        if not saved:
            logger.info("A session changed, or was signed out, while its token was refreshed")
            self._document = None

    def _keep(self, document: Document) -> bool:
        ends_at = document.ends_at
        return self._site.documents.replace(
            document, self._site.document_expiry() if ends_at is None else ends_at
        )


def _outcome(result: TokenResult | None) -> dict[str, str]:
    """What became of a refresh, as `REFRESH_DURATION` tells it."""
    if result is None:
        return {"outcome": "unavailable"}
    if "error" in result:
        return {"outcome": "refused", "error": result["error"]}
    return {"outcome": "shared" if result.get("token_source") == "cache" else "renewed"}


def tokens_lost(scopes: Collection[str], api: str = "") -> InteractionRequired:
    """What is raised where the browser's session names a document that the store has not."""
    details: dict[str, Any] = {"scopes": tuple(scopes), "api": api}
    return InteractionRequired(
        "The token store has lost this session", code="tokens_lost", **details
    )
