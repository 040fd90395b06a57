"""Work in a person's name that goes on without a request: in a task queue, on another machine.

A long-running process is a token document without a browser. It begins with a request, of a
browser's session or of a web API's caller, and is named by a key, which the worker is given. It
ends when its time has come, when it is ended, or with `sign_out_everywhere`. The person's sign-out
in a browser does not end it (OpenID Connect Back-Channel Logout 1.0 §2.7).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from keyfob.applications import ConfidentialClientApplication
from keyfob.cache import SerializableTokenCache
from keyfob.errors import (
    ConfigurationError,
    IdTokenError,
    InteractionRequired,
    PermissionMissing,
    TokenResponseError,
)
from keyfob.protocol.results import TokenResult
from keyfob.web.caller import Caller
from keyfob.web.caller_tokens import as_callers, whose
from keyfob.web.document import WORK, Document, is_key_of, new_key
from keyfob.web.identity import Identity
from keyfob.web.own_tokens import OwnSite
from keyfob.web.refused_token import refused_token
from keyfob.web.session import ENDS_THE_SIGN_IN, WebSession
from keyfob.web.session_calls import CallSite, SessionCalls
from keyfob.web.tenants import TenantGate
from keyfob.web.token_info import TokenInfo
from keyfob.web.tokens import SessionTokens, TokenSite
from keyfob.web.whose import ApiSite, wanted_scopes

#: Seconds that work may go on: at least, by default, and at the most. Microsoft's refresh tokens
#: live 90 days.
MIN_SECONDS, DEFAULT_SECONDS, MAX_SECONDS = 60, 86_400, 90 * 86_400


class WorkSite(ApiSite, OwnSite, CallSite, Protocol):
    """What long-running work needs of the site; `WebApplication` is one."""

    @property
    def tenant_gate(self) -> TenantGate: ...


def start(
    site: WorkSite,
    who: Caller | WebSession,
    *,
    api: str | None = None,
    scopes: Collection[str] | None = None,
    key: str | None = None,
    seconds: int = DEFAULT_SECONDS,
) -> str:
    """See `WebApplication.start_long_running`."""
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise ConfigurationError(
            f"Long-running work goes on for {MIN_SECONDS} to {MAX_SECONDS} seconds, and not for "
            f"{seconds}"
        )
    if api is not None and scopes is not None:
        raise ConfigurationError("start_long_running takes either api= or scopes=, not both")
    if api is not None and site.api_settings(api).app_only:
        raise ConfigurationError(
            f"The API {api!r} has 'app_only': nobody's work is needed for the site's own token"
        )
    caller = who.caller if isinstance(who, WebSession) else who
    document = Document("", {}, SerializableTokenCache(), ends_at=site.clock() + seconds)
    session_key = ""
    if caller is not None:
        wanted = site.api_settings(api).scopes if api is not None else tuple(scopes or ())
        _on_behalf_of(site, document, caller, wanted, api or "")
    elif isinstance(who, WebSession):
        if api is not None or scopes is not None:
            who.token(api=api, scopes=scopes)
        session_key = _of_session(site, document, who)
    filed = _filed(site, document, key)
    # A sign-out everywhere may have come in between: it ends the sessions first, then the work that
    # it finds, which this was not yet among.
    if session_key and site.documents.fresh(session_key) is None:
        end(site, filed)
        raise InteractionRequired("The person was signed out meanwhile", code="tokens_lost")
    return filed


def end(site: TokenSite, key: str) -> None:
    """See `WebApplication.end_long_running`."""
    if is_key_of(site.tag, key, WORK):
        site.documents.delete(key)


class LongRunning(SessionCalls):
    """Tokens for work in a person's name, for one task. Nothing is read before it is asked for.

    :param key: what `start_long_running` returned.
    """

    def __init__(self, site: WorkSite, key: str) -> None:
        self._site = site
        self._key = key
        self._tokens: SessionTokens | None = None

    def __repr__(self) -> str:
        return "<LongRunning>"

    @property
    def call_site(self) -> WorkSite:
        return self._site

    @property
    def tenant(self) -> str:
        document = self._own_tokens((), "").document()
        tenant = "" if document is None else document.claims["tid"]
        return tenant if isinstance(tenant, str) else ""

    def token(
        self,
        *,
        api: str | None = None,
        scopes: Collection[str] | None = None,
        force_refresh: bool = False,
        claims: str | None = None,
    ) -> str:
        """An access token of the person in whose name the work is done; of the site itself, for an
        API with `app_only`.

        :param api: the name of a downstream API of the settings; or
        :param scopes: what the token must be good for.
        :param force_refresh: a new one from the provider, whatever is at hand.
        :param claims: an API's claims challenge, as JSON text.
        :raises InteractionRequired: the person must come back: the work has ended, or the provider
            wants something of them. Its `code` is `work_ended` for the former.
        :raises IdTokenError: people of their tenant may not be here any more; the work has ended.
        :raises KeyfobError: whatever else `WebSession.token` raises.
        """
        return self._result(api, scopes, force_refresh, claims)["access_token"]

    def token_info(
        self,
        *,
        api: str | None = None,
        scopes: Collection[str] | None = None,
        force_refresh: bool = False,
        claims: str | None = None,
    ) -> TokenInfo:
        """As `token`, with the times for whoever keeps it for a while."""
        found = self._result(api, scopes, force_refresh, claims)
        return TokenInfo.of(found, self._site.clock())

    def _result(
        self,
        api: str | None,
        scopes: Collection[str] | None,
        force_refresh: bool,
        claims: str | None,
    ) -> TokenResult:
        wanted = wanted_scopes(self._site, api, scopes)
        if api is not None and self._site.api_settings(api).app_only:
            return self._site.own_tokens.result(api=api, force_refresh=force_refresh, claims=claims)
        tokens = self._of_work(wanted, api or "")
        result = None if force_refresh or claims else tokens.at_hand(wanted)
        if result is None:
            try:
                result = tokens.renewed(wanted, force_refresh=force_refresh, claims=claims)
            except InteractionRequired as error:
                raise _ended(wanted, api or "") from error
            except IdTokenError as error:
                if error.code in ENDS_THE_SIGN_IN:
                    end(self._site, self._key)
                raise
        if result is not None and "access_token" in result:
            return result
        raise refused_token(
            result, wanted, api=api or "", claims=claims or "", force_refresh=force_refresh
        )

    def _of_work(self, wanted: Collection[str], api: str) -> SessionTokens:
        if self._tokens is None:
            own = self._own_tokens(wanted, api)
            document = own.document()
            if document is None:
                raise _ended(wanted, api)
            self._check_tenant(document)
            shared = document.shares
            self._tokens = SessionTokens(self._site, shared) if shared else own
        return self._tokens

    def _check_tenant(self, document: Document) -> None:
        """Work for people of a tenant ends once a function in ALLOWED_TENANTS has them out, as
        their sessions do, whatever tokens are still at hand."""
        gate = self._site.tenant_gate
        if gate.has_rule and not gate.admits(document.claims["tid"].lower()):
            end(self._site, self._key)
            raise IdTokenError(
                "People of this organisation may not be here any more", code="tenant_not_allowed"
            )

    def _own_tokens(self, wanted: Collection[str], api: str) -> WorkTokens:
        # A browser's session has a key, too, which its cookie may show to the person.
        if not is_key_of(self._site.tag, self._key, WORK):
            raise _ended(wanted, api)
        return WorkTokens(self._site, self._key)


class WorkTokens(SessionTokens):
    """The tokens that some work has of its own."""

    def __repr__(self) -> str:
        return "<WorkTokens>"

    def _client(self, document: Document) -> ConfidentialClientApplication:
        if document.user_flow:
            return super()._client(document)
        client = self._site.tenants.of_person(document.claims["tid"], offline=True)
        return client.with_cache(document.cache)


def _ended(wanted: Collection[str], api: str) -> InteractionRequired:
    return InteractionRequired(
        "This work has ended: its time was over, or it was ended, or the person was signed out",
        scopes=tuple(wanted),
        api=api,
        code="work_ended",
    )


def _on_behalf_of(
    site: WorkSite, document: Document, caller: Caller, wanted: Collection[str], api: str
) -> None:
    """Exchange the caller's token for a refresh token: soon nobody will have a newer one."""
    if caller.is_app:
        raise PermissionMissing(
            "Long-running work is done in a person's name, and an application calls in its own",
            code="person_needed",
        )
    if not wanted:
        raise ConfigurationError(
            "start_long_running needs api= or scopes= for the caller of an API: the provider is "
            "asked now, while the caller's token still lives"
        )
    document.claims = whose(caller.key, caller.tid)
    client = site.tenants.of_person(caller.tid, offline=True).with_cache(document.cache)
    _exchange(client, caller, wanted, api)
    _check_refreshable(document, client.authority.environment)


def _exchange(
    client: ConfidentialClientApplication, caller: Caller, wanted: Collection[str], api: str
) -> None:
    """Fill the client's cache. No frame of a later error has what came."""
    result = client.acquire_token_on_behalf_of(caller.token, list(wanted))
    if "access_token" not in result:
        error = refused_token(result, wanted, api=api)
        raise as_callers(error) if isinstance(error, InteractionRequired) else error


def _of_session(site: WorkSite, document: Document, session: WebSession) -> str:
    """Take over a copy of the session's tokens, or their address. Returns the session's key."""
    shown = session.document()
    found = None if shown is None else site.documents.fresh(shown.key)
    if found is None:
        raise InteractionRequired(
            "Nobody is signed in" if shown is None else "The token store has lost this session",
            code="tokens_lost" if session.is_signed_in else "not_signed_in",
        )
    authority = site.client_for(found.user_flow).authority
    _check_refreshable(found, authority.environment)
    identity = Identity.from_claims(found.claims, is_microsoft=authority.is_microsoft)
    tenant = found.claims.get("tid")
    document.claims = whose(found.whose or identity.key, tenant if isinstance(tenant, str) else "")
    document.user_flow = found.user_flow
    if authority.is_microsoft:
        document.cache.deserialize(found.cache.serialize())
    else:
        # Elsewhere a refresh token may serve once, and who uses a copy ends the session with it
        # (RFC 9700 §4.14.2). So there is one, and the work ends with the session.
        document.shares = found.key
    return found.key


def _check_refreshable(document: Document, environment: str) -> None:
    if document.account(environment) is None or not any(document.cache.search("RefreshToken")):
        raise TokenResponseError(
            "The provider gave no refresh token, and without one no work can go on without the "
            "person; does it let this application have offline_access?",
            code="no_refresh_token",
        )


def _filed(site: WorkSite, document: Document, key: str | None) -> str:
    """Save it, in the place of the same person's earlier work if there is such."""
    ends_at = document.ends_at or 0.0
    if key is not None and is_key_of(site.tag, key, WORK):
        before = site.documents.fresh(key)
        if before is not None and before.claims["account"] == document.claims["account"]:
            document.key, document.version = key, before.version
            # Extended also in the list that `sign_out_everywhere` goes by.
            if site.documents.replace(document, ends_at) and site.documents.extend(key, ends_at):
                return key
    document.key, document.version = new_key(site.tag, WORK), 0
    site.documents.create(document, ends_at)
    return document.key
