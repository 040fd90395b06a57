"""Whose token a call has, where it is not that of the person in this browser: the application's
own, or one on behalf of whoever called with a bearer token."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from keyfob.errors import ConfigurationError
from keyfob.protocol.results import TokenResult
from keyfob.web.caller import Caller
from keyfob.web.caller_tokens import CallerTokens
from keyfob.web.own_tokens import OwnTokens
from keyfob.web.settings_apis import DownstreamApi
from keyfob.web.tokens import TokenSite


class ApiSite(TokenSite, Protocol):
    """An authority of the site, and the APIs that its people's tokens are for."""

    @property
    def own_tokens(self) -> OwnTokens: ...
    def find_api(self, name: str) -> DownstreamApi | None: ...
    def api_settings(self, name: str) -> DownstreamApi: ...


class OtherTokens:
    """For one request. Nothing is read before it is asked for.

    :param default: the site's own authority: web APIs are its, and so are their callers.
    :param caller: whoever called with a bearer token that was proven.
    """

    def __init__(self, default: ApiSite, caller: Caller | None = None) -> None:
        self._default = default
        self.caller = caller
        self._tokens: CallerTokens | None = None

    def __repr__(self) -> str:
        return "<OtherTokens>"

    def own(self, site: ApiSite, api: str | None, app_only: bool | None) -> OwnTokens | None:
        """Where the application's own token is to be had; None where a person's is meant.

        :param site: of the person who is here. An API that their authority does not have may be the
            site's own.
        :param app_only: what the call says; None for what the API's settings say.
        """
        if api is None or app_only is False:
            return self._default.own_tokens if app_only else None
        for each in (site, self._default):
            found = each.find_api(api)
            if found is not None:
                return each.own_tokens if app_only or found.app_only else None
        return None

    def result(
        self,
        site: ApiSite,
        *,
        api: str | None,
        scopes: Collection[str] | None,
        force_refresh: bool,
        claims: str | None,
        app_only: bool | None,
    ) -> TokenResult | None:
        """What `WebSession.token` gives, with all that the provider said of it; None where the
        token of the person who is here is meant."""
        own = self.own(site, api, app_only)
        if own is not None:
            return own.result(api=api, scopes=scopes, force_refresh=force_refresh, claims=claims)
        if self.caller is None:
            return None
        wanted = wanted_scopes(self._default, api, scopes)
        if self._tokens is None or self._tokens.caller is not self.caller:
            self._tokens = CallerTokens(self._default, self.caller)
        return self._tokens.result(
            wanted, api=api or "", force_refresh=force_refresh, claims=claims
        )


def wanted_scopes(
    site: ApiSite, api: str | None, scopes: Collection[str] | None
) -> tuple[str, ...]:
    """What a token must be good for.

    :raises ConfigurationError: there is no such API, or it is not said clearly.
    """
    if (api is None) == (scopes is None):
        raise ConfigurationError("token() takes either api= or scopes=")
    if api is not None:
        return site.api_settings(api).scopes
    if isinstance(scopes, str):
        raise ConfigurationError("scopes is a list of texts")
    return tuple(scopes or ())
