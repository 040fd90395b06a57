"""Tokens on behalf of whoever called a web API of ours (Microsoft's on-behalf-of).

They are a document in the token store, as a browser session's are: filed under the hash of the
caller's token, ended with it, sealed, shared by all processes and machines, and reached by
`sign_out_everywhere`. docs/decisions/on-behalf-of-cache.md says why.
"""

from __future__ import annotations

from collections.abc import Collection

from keyfob.applications import ConfidentialClientApplication
from keyfob.cache import SerializableTokenCache
from keyfob.errors import CallerMustInteract, InteractionRequired, PermissionMissing, SignInRefused
from keyfob.protocol.results import TokenResult
from keyfob.web.caller import Caller
from keyfob.web.document import Document, caller_key
from keyfob.web.refused_token import refused_token
from keyfob.web.tokens import SessionTokens, TokenSite

#: Seconds. A caller's token that says it lives longer has its tokens kept no longer than this.
MAX_CALLER_AGE = 86_400


class CallerTokens(SessionTokens):
    """The tokens on behalf of one caller, for one request. Nothing is read before it is asked for.

    :param caller: whose bearer token has passed every check.
    """

    def __init__(self, site: TokenSite, caller: Caller) -> None:
        super().__init__(site, caller_key(site.tag, caller.token))
        self.caller = caller

    def __repr__(self) -> str:
        return "<CallerTokens>"

    def result(
        self,
        wanted: Collection[str],
        *,
        api: str = "",
        force_refresh: bool = False,
        claims: str | None = None,
    ) -> TokenResult:
        """As `WebSession.token`, with all that the provider said of it.

        :raises PermissionMissing: an application calls: there is no person to act for.
        :raises CallerMustInteract: only the person can get it, in the application that called.
        """
        if self.caller.is_app:
            raise PermissionMissing(
                "This needs the token of a person, and an application calls in its own name; an "
                "API with 'app_only' would take the site's own token",
                code="person_needed",
            )
        result = None if force_refresh or claims else self.at_hand(wanted)
        if result is None:
            result = self.renewed(wanted, force_refresh=force_refresh, claims=claims)
        if result is not None and "access_token" in result:
            return result
        error = refused_token(result, wanted, api=api)
        raise as_callers(error, claims) if isinstance(error, InteractionRequired) else error

    def _fresh(self, wanted: Collection[str]) -> Document:  # noqa: ARG002 - none is lost
        found = self._site.documents.fresh(self._key)
        if found is None:
            self._site.documents.overlook(self._key)
            found = Document(
                self._key, whose(self.caller.key, self.caller.tid), SerializableTokenCache()
            )
            found.ends_at = self._ends_at()
        self._document = found
        return found

    def _ends_at(self) -> float:
        latest = self._site.clock() + MAX_CALLER_AGE
        end = self.caller.claims.get("exp")
        is_number = isinstance(end, (int, float)) and not isinstance(end, bool)
        return min(float(end), latest) if is_number and end is not None else latest

    def _client(self, document: Document) -> ConfidentialClientApplication:
        client = self._site.tenants.of_person(self.caller.tid, offline=False)
        return client.with_cache(document.cache)

    def _held(self, document: Document, wanted: Collection[str]) -> TokenResult | None:
        return self._client(document).token_at_hand_on_behalf_of(self.caller.token, list(wanted))

    def _ask(
        self, document: Document, scopes: Collection[str], force_refresh: bool, claims: str | None
    ) -> TokenResult:
        if force_refresh:
            # An API has refused one. The verb serves what it holds, so nothing is held.
            document.cache = SerializableTokenCache()
        return self._client(document).acquire_token_on_behalf_of(
            self.caller.token, list(scopes), claims_challenge=claims
        )

    def _keep(self, document: Document) -> bool:
        if document.version:
            return super()._keep(document)
        end = document.ends_at or self._ends_at()
        try:
            return self._site.documents.create(document, end)
        except SignInRefused:
            return False  # the person was signed out everywhere meanwhile


def as_callers(error: InteractionRequired, claims: str | None = None) -> CallerMustInteract:
    """The same, where it is the caller of an API who must do something.

    :param claims: the downstream API's claims challenge, where the provider named no claims itself.
    """
    return CallerMustInteract(
        "The caller must sign in, or consent, in their own application",
        scopes=error.scopes,
        api=error.api,
        claims=error.claims or claims or "",
        error=error.error,
        suberror=error.suberror,
        force_refresh=error.force_refresh,
        authority="",
    )


def whose(account: str, tenant: str) -> dict[str, str]:
    """What the record of a caller, or of work, says of the person: no more than whose it is, as the
    index files it, and where their tokens are to be had.

    :param account: `Identity.key`.
    :param tenant: the `tid` of the token that proved them.
    """
    return {"account": account, "tid": tenant}
