"""What every kind of client application offers: silent tokens, accounts, refresh tokens."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from keyfob.cache import TokenCache
from keyfob.errors import ConfigurationError
from keyfob.flows import Flow, auth_code, silent
from keyfob.flows.client import Client
from keyfob.flows.provider import Provider
from keyfob.protocol.authority import Authority, microsoft_authority, oidc_authority
from keyfob.protocol.client_auth import ClientSecret
from keyfob.protocol.id_token import TenantRule
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.pkce import RandomBytes
from keyfob.transport import (
    DEFAULT_TIMEOUT,
    HttpClientTransport,
    RequestsTransport,
    Transport,
    run,
)

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")

DEFAULT_AUTHORITY = "https://login.microsoftonline.com/common"


class ClientApplication:
    """One application, registered at one provider. Safe to share between threads.

    The constructor does no network I/O: metadata is fetched when first needed, and kept.

    :param client_id: the application's id.
    :param client_credential: the application's secret, for confidential clients.
    :param authority: Microsoft's authority with its tenant; by default that of everybody.
    :param oidc_authority: the issuer of any OpenID Connect provider, in its place.
    :param token_cache: where tokens are kept; by default a new one in memory.
    :param http_client: an object that sends HTTP, with MSAL's duck type; `verify`, `proxies` and
        `timeout` are then its own affair.
    :param verify: as requests has it; likewise `proxies`.
    :param timeout: seconds for one exchange with the provider; None for the transport's own limit.
    :param app_name: what Microsoft's logs call the application; other providers are not told.
    :param app_version: likewise its version.
    :param exclude_scopes: of `openid profile offline_access`, what is not to be asked for;
        `openid` cannot be left out.
    :param leeway: seconds of clock difference that are forgiven.
    :param allowed_tenants: the ids of the tenants whose people may sign in, where the authority
        serves many; or a function that is given a tenant's id, in lower case, and whose answer is
        true for those. None for all that the authority serves.
    :param clock: tells the seconds since 1970, for everything that expires.
    :param random_bytes: gives so many random bytes that nobody can guess: `state`, `nonce` and the
        code verifier are made of them.
    :raises ConfigurationError: (a ValueError) for what cannot be.
    """

    def __init__(
        self,
        client_id: str,
        client_credential: str | None = None,
        authority: str | None = None,
        *,
        oidc_authority: str | None = None,
        token_cache: TokenCache | None = None,
        http_client: Any = None,
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
        timeout: float | None = None,
        app_name: str | None = None,
        app_version: str | None = None,
        exclude_scopes: Collection[str] | None = None,
        leeway: int = 60,
        allowed_tenants: TenantRule | None = None,
        clock: Callable[[], float] = time.time,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        _judge_client_id(client_id)
        if isinstance(allowed_tenants, str):
            raise ConfigurationError(
                "allowed_tenants is a list of tenants", setting="ALLOWED_TENANTS"
            )
        self._client = Client(
            client_id=client_id,
            provider=Provider(_authority(authority, oidc_authority)),
            cache=TokenCache() if token_cache is None else token_cache,
            secret=_secret(client_id, client_credential),
            leeway=leeway,
            allowed_tenants=allowed_tenants,
            excluded_scopes=_excluded(exclude_scopes),
            app_name=_header_text(app_name, "app_name"),
            app_version=_header_text(app_version, "app_version"),
            clock=clock,
            random_bytes=random_bytes,
        )
        self._transport: Transport
        if http_client is not None:
            self._transport = HttpClientTransport(http_client)
        else:
            seconds = DEFAULT_TIMEOUT if timeout is None else timeout
            self._transport = RequestsTransport(verify=verify, proxies=proxies, timeout=seconds)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.client_id} at {self._client.provider.authority.url}>"

    @property
    def client_id(self) -> str:
        return self._client.client_id

    @property
    def authority(self) -> Authority:
        return self._client.provider.authority

    @property
    def token_cache(self) -> TokenCache:
        return self._client.cache

    def with_cache(self, token_cache: TokenCache) -> Self:
        """The same application with another cache, such as one person's.

        What was fetched of the provider, and the connections to it, are shared: making one costs
        next to nothing.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._client = dataclasses.replace(self._client, cache=token_cache)
        return twin

    def metadata(self) -> ProviderMetadata:
        """The provider's metadata, fetched if it is not at hand.

        :raises MetadataError: there is none, or it cannot be used.
        :raises TransportError: the provider cannot be reached.
        """
        return self._run(self._client.metadata())

    def close(self) -> None:
        """Close the connections to the provider. The application may be used again."""
        self._transport.close()

    def get_accounts(self, username: str | None = None) -> list[dict[str, Any]]:
        """The accounts in the cache, never from the network.

        :param username: only those with this user name, in any case of letters.
        """
        return self._client.cache.accounts([self._client.environment], username=username)

    def remove_account(self, account: Mapping[str, Any]) -> None:
        """Forget an account with all its tokens. The provider is not told."""
        home = account.get("home_account_id")
        if not isinstance(home, str):
            raise ConfigurationError("The account has no home_account_id")
        self._client.cache.remove_account_everywhere(
            home, [self._client.environment], self.client_id
        )

    def token_at_hand(
        self, scopes: Collection[str], account: Mapping[str, Any] | None
    ) -> dict[str, Any] | None:
        """A token for an account, from the cache only, never from the network.

        :param scopes: what the token must be good for.
        :param account: one of `get_accounts()`.
        :returns: a dict with `access_token`; None where there is no such token, or one that should
            be renewed: then `acquire_token_silent` is to be asked.
        """
        return silent.at_hand(self._client, scopes, account)

    def acquire_token_silent(
        self,
        scopes: Collection[str],
        account: Mapping[str, Any] | None,
        *,
        force_refresh: bool = False,
        claims_challenge: str | None = None,
    ) -> dict[str, Any] | None:
        """A token for an account, from the cache or by its refresh token.

        :param scopes: what the token must be good for.
        :param account: one of `get_accounts()`.
        :param force_refresh: do not take an access token from the cache.
        :param claims_challenge: an API's claims challenge; answered by a new token.
        :returns: a dict with `access_token`; None where nothing gives one, or the provider refused.
        """
        result = self.acquire_token_silent_with_error(
            scopes, account, force_refresh=force_refresh, claims_challenge=claims_challenge
        )
        return result if result and "error" not in result else None

    def acquire_token_silent_with_error(
        self,
        scopes: Collection[str],
        account: Mapping[str, Any] | None,
        *,
        force_refresh: bool = False,
        claims_challenge: str | None = None,
    ) -> dict[str, Any] | None:
        """As `acquire_token_silent`, but a refusal of the provider comes back, with `error`."""
        return self._run(
            silent.acquire(
                self._client,
                scopes,
                account,
                force_refresh=force_refresh,
                claims_challenge=silent.merged_claims(claims_challenge),
            )
        )

    def acquire_token_by_refresh_token(
        self, refresh_token: str, scopes: Collection[str]
    ) -> dict[str, Any]:
        """Take over a refresh token from elsewhere, account and all (RFC 6749 §6).

        :returns: a dict with `access_token`, or one with `error`.
        """
        return self._run(silent.migrate_refresh_token(self._client, refresh_token, scopes))

    def initiate_auth_code_flow(
        self,
        scopes: Collection[str],
        redirect_uri: str | None = None,
        state: str | None = None,
        prompt: str | None = None,
        login_hint: str | None = None,
        domain_hint: str | None = None,
        claims_challenge: str | None = None,
        max_age: int | None = None,
        response_mode: str | None = None,
    ) -> auth_code.AuthCodeFlow:
        """Begin a sign-in (RFC 6749 §4.1 with PKCE, OpenID Connect Core §3.1).

        :param scopes: beyond `openid profile offline_access`.
        :param redirect_uri: where the answer is to come, as it is registered.
        :param state: what the answer must repeat: a secret that serves once; made here where None.
        :param prompt: `none`, `login`, `consent`, `select_account` or `create`.
        :param login_hint: who is expected, such as a user name; the person may be somebody else.
        :param domain_hint: Microsoft's: the domain whose sign-in page is to be shown at once.
        :param claims_challenge: an API's claims challenge, a JSON object as text, to pass on.
        :param max_age: seconds since the person last proved themselves.
        :param response_mode: `query` or `form_post`; the provider's default where None.
        :returns: the attempt; send the browser to its `auth_uri`, and keep all of it, on the
            server and for this browser only, until it comes back.
        """
        return self._run(
            auth_code.initiate(
                self._client,
                scopes,
                redirect_uri=redirect_uri,
                state=state,
                prompt=prompt,
                login_hint=login_hint,
                domain_hint=domain_hint,
                claims_challenge=silent.merged_claims(claims_challenge),
                max_age=max_age,
                response_mode=response_mode,
            )
        )

    def acquire_token_by_auth_code_flow(
        self,
        auth_code_flow: Mapping[str, Any],
        auth_response: Mapping[str, str],
        scopes: Collection[str] | None = None,
    ) -> dict[str, Any]:
        """Finish a sign-in with what came back to the redirect URI.

        :param auth_code_flow: what `initiate_auth_code_flow` returned; forget it afterwards.
        :param auth_response: the parameters that came back.
        :returns: the token response with proven `id_token_claims`, or a dict with `error`.
        :raises StateMismatchError: (a ValueError) the response belongs to another attempt.
        :raises IdTokenError: (a RuntimeError) the ID token proves nothing; nothing was cached.
        """
        return self._run(
            auth_code.redeem(self._client, auth_code_flow, auth_response, scopes=scopes)
        )

    def _run(self, flow: Flow[T]) -> T:
        return run(flow, self._transport)


def _judge_client_id(client_id: object) -> None:
    if not isinstance(client_id, str) or not client_id:
        raise ConfigurationError("client_id is missing, or not a text", setting="CLIENT_ID")


def _authority(authority: str | None, oidc: str | None) -> Authority:
    if authority is not None and oidc is not None:
        raise ConfigurationError(
            "authority and oidc_authority exclude each other", setting="OIDC_AUTHORITY"
        )
    if oidc is not None:
        return oidc_authority(oidc)
    return microsoft_authority(authority or DEFAULT_AUTHORITY)


def _secret(client_id: str, credential: object) -> ClientSecret | None:
    if credential is None or credential == "":
        return None
    if not isinstance(credential, str):
        raise ConfigurationError(
            "client_credential must be a secret, as text; certificates and assertions are not in "
            "this version",
            setting="CLIENT_CREDENTIAL",
        )
    return ClientSecret(client_id, credential)


def _header_text(text: str | None, name: str) -> str | None:
    """It is sent in a header, where not everything fits (RFC 9110 §5.5)."""
    if text is not None and not all(" " <= character <= "~" for character in text):
        raise ConfigurationError(f"{name} can only have ASCII's visible characters and spaces")
    return text


def _excluded(scopes: Collection[str] | None) -> frozenset[str]:
    if scopes is None:
        return frozenset()
    if isinstance(scopes, str) or not isinstance(scopes, (list, tuple, set, frozenset)):
        raise ConfigurationError("exclude_scopes is a list of scopes")
    if "openid" in scopes:
        raise ConfigurationError("openid cannot be excluded: without it nobody signs in")
    return frozenset(scopes)
