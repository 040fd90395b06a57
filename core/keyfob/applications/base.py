"""What makes a client application: its arguments, judged, and what they are made into."""

from __future__ import annotations

import dataclasses
import os
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from keyfob.applications import arguments
from keyfob.applications.authorities import resolve_provider
from keyfob.applications.credentials import credentials_of
from keyfob.cache import AuthorityType, TokenCache
from keyfob.errors import ConfigurationError
from keyfob.flows import Flow, cloud_shell, need, silent
from keyfob.flows.client import Client
from keyfob.protocol.authority import Authority
from keyfob.protocol.id_token import TenantRule
from keyfob.protocol.keys import KeySet
from keyfob.protocol.managed_identity.cloud_shell import is_cloud_shell
from keyfob.protocol.pkce import RandomBytes
from keyfob.protocol.results import Account, TokenResult
from keyfob.protocol.token_endpoint import optional_texts
from keyfob.transport import CONFIDENTIAL_PAUSE

if TYPE_CHECKING:
    from typing_extensions import Self


#: What a verb that looks into the cache comes to: a hit, which it returns; or else the flow that is
#: to be run, with the transport's options. A plain tuple: a hit is had in microseconds.
Asked: TypeAlias = "tuple[TokenResult | None, Flow[dict[str, Any] | None] | None, dict[str, Any]]"

NOTHING_ASKED: Asked = (None, None, {})


class Application:
    """One application, registered at one provider: its arguments are `ClientApplication`'s."""

    #: For `azure_region`, by MSAL's names: find out where this machine is; or no region at all,
    #: whatever the environment says.
    ATTEMPT_REGION_DISCOVERY = True
    DISABLE_MSAL_FORCE_REGION = False

    #: Whether it can have tokens in its own name, and so a region of its own.
    _has_own_tokens = True
    #: Seconds without a request to a token endpoint that asked for a pause, and not for how long.
    _pause = CONFIDENTIAL_PAUSE

    def __init__(
        self,
        client_id: str,
        client_credential: Any = None,
        authority: Any = None,
        validate_authority: bool = True,
        token_cache: TokenCache | None = None,
        http_client: Any = None,
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
        timeout: float | None = None,
        client_claims: Mapping[str, Any] | None = None,
        app_name: str | None = None,
        app_version: str | None = None,
        client_capabilities: Collection[str] | None = None,
        azure_region: str | bool | None = None,
        exclude_scopes: Collection[str] | None = None,
        http_cache: Any = None,
        instance_discovery: bool | str | None = None,
        allow_broker: bool | None = None,
        enable_pii_log: bool | None = None,
        oidc_authority: str | None = None,
        *,
        leeway: int = 60,
        allowed_tenants: TenantRule | None = None,
        clock: Callable[[], float] = time.time,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        del enable_pii_log  # MSAL's switch for its broker; nothing personal is logged here
        arguments.refuse_brokers({"allow_broker": allow_broker})
        if isinstance(allowed_tenants, str):
            raise ConfigurationError(
                "allowed_tenants is a list of tenants", setting="ALLOWED_TENANTS"
            )
        checked = arguments.checked_client_id(client_id)
        arguments.refuse_no_functions(clock=clock, random_bytes=random_bytes)
        self._client = Client(
            client_id=checked,
            provider=resolve_provider(
                authority,
                oidc_authority,
                validate_authority=validate_authority,
                instance_discovery=instance_discovery,
                azure_region=azure_region,
                may_be_regional=self._has_own_tokens,
            ),
            cache=TokenCache() if token_cache is None else arguments.checked_cache(token_cache),
            credentials=credentials_of(
                checked,
                client_credential,
                client_claims=client_claims,
                random_bytes=random_bytes,
                clock=clock,
            ),
            capabilities=arguments.names(client_capabilities, "client_capabilities"),
            leeway=arguments.checked_leeway(leeway),
            allowed_tenants=allowed_tenants,
            excluded_scopes=arguments.excluded_scopes(exclude_scopes),
            app_name=arguments.header_text(app_name, "app_name"),
            app_version=arguments.header_text(app_version, "app_version"),
            clock=clock,
            random_bytes=random_bytes,
        )
        self._open(http_client, verify, proxies, timeout, http_cache)

    def _open(
        self,
        http_client: Any,
        verify: bool | str,
        proxies: Mapping[str, str] | None,
        timeout: float | None,
        http_cache: Any,
    ) -> None:
        """Make the transport. Nothing is connected yet."""
        raise NotImplementedError

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

    @token_cache.setter
    def token_cache(self, token_cache: TokenCache) -> None:
        """MSAL's attribute can be set. To serve several people, use `with_cache`."""
        self._client = dataclasses.replace(self._client, cache=arguments.checked_cache(token_cache))

    @property
    def signing_keys(self) -> KeySet | None:
        """The provider's signing keys that were fetched last; None before. Never from the network:
        it is another object after each fetch."""
        return self._client.provider.last_keys

    def with_cache(self, token_cache: TokenCache) -> Self:
        """The same application with another cache, such as one person's.

        What was fetched of the provider, and the connections to it, are shared: making one costs
        next to nothing.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._client = self._client.with_cache(arguments.checked_cache(token_cache))
        return twin

    def variant(
        self, *, tenant: str | None = None, exclude_scopes: Collection[str] | None = None
    ) -> Self:
        """The same application, with the same cache and connections, in another tenant of the same
        host, or asking for less. Keep it: what is fetched of the tenant is kept in it.

        :param tenant: its id or domain; None for the authority's own.
        :param exclude_scopes: as the constructor's; None for the same as here.
        :raises ConfigurationError: what is given cannot be.
        """
        changed: dict[str, Any] = {}
        if tenant is not None:
            changed["provider"] = self._client.provider.in_tenant(tenant)
        if exclude_scopes is not None:
            changed["excluded_scopes"] = arguments.excluded_scopes(exclude_scopes)
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._client = dataclasses.replace(self._client, **changed)
        return twin

    def is_pop_supported(self) -> bool:
        """Whether `auth_scheme=PopAuthScheme(...)` can be asked for. It needs a broker: never."""
        return False

    def get_accounts(self, username: str | None = None) -> list[Account]:
        """The accounts in the cache, never from the network.

        :param username: only those with this user name, in any case of letters.
        """
        optional_texts(username=username)
        types = [AuthorityType.ADFS, AuthorityType.MSSTS]
        if is_cloud_shell(os.environ):
            types.append(cloud_shell.AUTHORITY_TYPE)
        found = self._client.cache.accounts(
            self._client.environments, username=username, authority_types=types
        )
        return cast("list[Account]", found)

    def remove_account(self, account: Mapping[str, Any]) -> None:
        """Forget an account with all its tokens. The provider is not told.

        :param account: one of `get_accounts()`.
        :raises MissingKeyError: (a ValueError and a KeyError) it is none.
        """
        home = silent.home_account_id_of(account)
        if not silent.is_elsewhere(self._client, account):
            self._client.cache.remove_account_everywhere(
                home, self._client.environments, self.client_id
            )

    def token_at_hand(
        self, scopes: Collection[str], account: Mapping[str, Any] | None
    ) -> TokenResult | None:
        """A token for an account, from the cache only, never from the network.

        :param scopes: what the token must be good for.
        :param account: one of `get_accounts()`.
        :returns: a dict with `access_token`; None where there is no such token, or one that should
            be renewed: then `acquire_token_silent` is to be asked.
        """
        if account is None:
            return None
        wanted = silent.need(account, scopes)
        if silent.is_elsewhere(self._client, account):
            return None
        found = need.at_hand(self._client, wanted)
        return cast("TokenResult | None", found)

    def _silent(
        self,
        scopes: Collection[str],
        account: Mapping[str, Any] | None,
        authority: str | None,
        force_refresh: bool,
        claims_challenge: str | None,
        forwarded_client_claims: str | None,
        auth_scheme: object,
        options: dict[str, Any],
    ) -> Asked:
        """What `acquire_token_silent` and its sibling were asked for."""
        if auth_scheme is not None or authority is not None:
            arguments.refuse_auth_scheme(auth_scheme)
            arguments.warn_of_authority(authority)
        if account is None:
            return NOTHING_ASKED
        wanted = silent.need(
            account,
            scopes,
            force_refresh=force_refresh,
            claims_challenge=claims_challenge,
            forwarded_claims=forwarded_client_claims,
        )
        if silent.is_elsewhere(self._client, account):
            return NOTHING_ASKED
        if account.get("authority_type") == cloud_shell.AUTHORITY_TYPE:
            client, rest = self._for_one_call(options)
            return None, self._cloud_shell(client, scopes), rest
        return self._asked(wanted, options)

    def _asked(self, wanted: need.Need, options: dict[str, Any]) -> Asked:
        """What a need comes to, with a verb's further arguments: a hit costs no flow."""
        client = self._client
        if options:
            client, options = self._for_one_call(options)
        hit: Any
        hit, seen = need.look(client, wanted)
        if hit is not None:
            return hit, None, options
        return None, need.obtain(client, wanted, seen), options

    @staticmethod
    def _cloud_shell(client: Client, scopes: Collection[str]) -> Flow[dict[str, Any]]:
        """The token of who sits in Azure Cloud Shell; it is asked for each time."""
        metadata = yield from client.metadata()
        return (
            yield from cloud_shell.acquire(
                scopes,
                client_id=client.client_id,
                environment=client.environment,
                realm=metadata.realm,
                cache=client.cache,
                data=client.extra.data,
                clock=client.clock,
            )
        )

    def _for_one_call(self, options: dict[str, Any]) -> tuple[Client, dict[str, Any]]:
        """What a verb's further arguments make of the client; and those for the transport."""
        extra, rest = arguments.split_options(options)
        arguments.judge_ssh_request(extra)
        if not extra.data and not extra.params:
            return self._client, rest
        return dataclasses.replace(self._client, extra=extra), rest
