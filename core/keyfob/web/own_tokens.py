"""Tokens in the application's own name (RFC 6749 §4.4): nobody need be signed in, and no request
need be there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Protocol

from keyfob.errors import ConfigurationError, ProviderUnavailable, TokenResponseError
from keyfob.protocol.results import TokenResult
from keyfob.web.problems import PASSING_ERRORS, one_line
from keyfob.web.settings_apis import DownstreamApi
from keyfob.web.settings_values import UnfitValue
from keyfob.web.settings_whose import check_own_scopes, is_no_tenant
from keyfob.web.tenant_clients import TenantClients
from keyfob.web.tokens import GivesTokens

if TYPE_CHECKING:
    from keyfob.web.downstream import ApiSession

logger = logging.getLogger(__name__)


class OwnSite(Protocol):
    """What the site's own tokens need of it; `WebApplication` is one."""

    @property
    def tenants(self) -> TenantClients: ...
    @property
    def clock(self) -> Callable[[], float]: ...
    def api_settings(self, name: str) -> DownstreamApi: ...
    def api_session(self, session: GivesTokens, api: DownstreamApi) -> ApiSession: ...


class OwnTokens:
    """Program life: one cache in memory for all requests and threads. However many need a token at
    once, the provider is asked for it once."""

    def __init__(self, site: OwnSite) -> None:
        self._site = site

    def __repr__(self) -> str:
        return "<OwnTokens>"

    def token(
        self,
        *,
        api: str | None = None,
        scopes: Collection[str] | None = None,
        tenant: str | None = None,
        force_refresh: bool = False,
        claims: str | None = None,
    ) -> str:
        """An access token of the application.

        :param api: the name of a downstream API of the settings; or
        :param scopes: one resource with `/.default` behind it; elsewhere than at Microsoft whatever
            the provider has.
        :param tenant: with `scopes`: in which tenant, by its id or domain; None for the
            authority's.
        :param force_refresh: a new one from the provider, whatever is at hand.
        :param claims: an API's claims challenge, as JSON text.
        :raises ConfigurationError: there is no such API, or these are no scopes for this.
        :raises TokenResponseError: the provider refused.
        :raises TransportError: it cannot be reached.
        """
        found = self.result(
            api=api, scopes=scopes, tenant=tenant, force_refresh=force_refresh, claims=claims
        )
        return found["access_token"]

    def result(
        self,
        *,
        api: str | None = None,
        scopes: Collection[str] | None = None,
        tenant: str | None = None,
        force_refresh: bool = False,
        claims: str | None = None,
    ) -> TokenResult:
        """As `token`, with all that the provider said of it."""
        if (api is None) == (scopes is None):
            raise ConfigurationError("token() takes either api= or scopes=")
        if api is not None:
            settings = self._site.api_settings(api)
            scopes, tenant = settings.scopes, settings.tenant
        wanted = self._judged(scopes or (), tenant, api)
        client = self._site.tenants.own(tenant)
        if force_refresh:
            self._drop(wanted)
        result = client.acquire_token_for_client(wanted, claims_challenge=claims)
        if "access_token" in result:
            return result
        error = one_line(result.get("error", ""))[:100]
        logger.error(
            "The provider refused the site's own token: %s %s",
            error,
            one_line(result.get("error_description") or ""),
        )
        message = f"The provider refused the site's own token: {error}"
        if error in PASSING_ERRORS:
            raise ProviderUnavailable(message, status=503)
        raise TokenResponseError(message, code=error)

    def api(self, name: str) -> ApiSession:
        """A `requests.Session` for a downstream API, with its address and the site's own token.

        :param name: as in DOWNSTREAM_APIS.
        :raises ConfigurationError: there is no such API, or its scopes are a person's.
        """
        api = self._site.api_settings(name)
        self._judged(api.scopes, api.tenant, name)
        return self._site.api_session(self, api)

    def _drop(self, scopes: Collection[str]) -> None:
        """Forget the tokens for these scopes: an API has refused one."""
        cache = self._site.tenants.own(None).token_cache
        for entry in cache.search("AccessToken", target=scopes, now=self._site.clock()):
            cache.modify("AccessToken", entry)

    def _judged(self, scopes: Collection[str], tenant: str | None, api: str | None) -> list[str]:
        authority = self._site.tenants.own(None).authority
        if isinstance(scopes, str):
            raise ConfigurationError("scopes is a list of texts")
        where = f"DOWNSTREAM_APIS[{api!r}]['scopes']" if api else "scopes"
        try:
            check_own_scopes(scopes, authority)
        except UnfitValue as error:
            raise ConfigurationError(f"{where} {error}", setting="DOWNSTREAM_APIS") from None
        named = tenant or (authority.tenant if authority.kind == "entra" else "")
        if is_no_tenant(named):
            cure = f"DOWNSTREAM_APIS[{api!r}]['tenant']" if api else "tenant="
            raise ConfigurationError(
                f"An application has tokens of its own in one tenant, and the authority is "
                f"{named!r}: name the tenant by {cure}",
                setting="DOWNSTREAM_APIS",
            )
        return list(scopes)
