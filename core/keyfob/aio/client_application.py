"""What every kind of client application offers, in an event loop: sign-in and silent tokens."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from keyfob.aio.transports import choose_transport
from keyfob.applications.arguments import accepted, refuse_auth_scheme, warn_deprecated
from keyfob.applications.base import Application, Asked
from keyfob.cache import TokenCache
from keyfob.flows import Flow, auth_code, silent
from keyfob.flows import password as password_flow
from keyfob.flows.bearer import bearer_at_hand, judge_bearer
from keyfob.flows.logout import back_channel_logout
from keyfob.protocol.access_token import ProvenAccess
from keyfob.protocol.id_token import TenantRule
from keyfob.protocol.logout_token import LogoutOrder
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.pkce import RandomBytes
from keyfob.protocol.results import TokenResult
from keyfob.transport.async_driver import AsyncTransport, run_async
from keyfob.transport.async_flights import AsyncFlights
from keyfob.transport.async_http_client import for_one_async_call
from keyfob.transport.throttle import AsyncThrottledTransport

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")


class ClientApplication(Application):
    """`keyfob.ClientApplication`, with its network verbs as coroutines. Safe to share between
    tasks, event loops and threads.

    Its arguments are those of the synchronous one, and:

    :param http_client: a synchronous client; its exchanges run in threads.
    :param async_http_client: an `httpx.AsyncClient`, or an object whose `get` and `post` are
        coroutine functions, in its place. It is used in the one event loop that it belongs to.
    """

    _transport: AsyncTransport
    _flights: AsyncFlights

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
        async_http_client: Any = None,
        leeway: int = 60,
        allowed_tenants: TenantRule | None = None,
        clock: Callable[[], float] = time.time,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._async_http_client = async_http_client
        super().__init__(
            client_id,
            client_credential=client_credential,
            authority=authority,
            validate_authority=validate_authority,
            token_cache=token_cache,
            http_client=http_client,
            verify=verify,
            proxies=proxies,
            timeout=timeout,
            client_claims=client_claims,
            app_name=app_name,
            app_version=app_version,
            client_capabilities=client_capabilities,
            azure_region=azure_region,
            exclude_scopes=exclude_scopes,
            http_cache=http_cache,
            instance_discovery=instance_discovery,
            allow_broker=allow_broker,
            enable_pii_log=enable_pii_log,
            oidc_authority=oidc_authority,
            leeway=leeway,
            allowed_tenants=allowed_tenants,
            clock=clock,
            random_bytes=random_bytes,
        )

    def _open(
        self,
        http_client: Any,
        verify: bool | str,
        proxies: Mapping[str, str] | None,
        timeout: float | None,
        http_cache: Any,
    ) -> None:
        plain = choose_transport(
            http_client, self._async_http_client, verify=verify, proxies=proxies, timeout=timeout
        )
        self._transport = AsyncThrottledTransport(
            plain, http_cache, pause=self._pause, clock=self._client.clock
        )
        self._flights = AsyncFlights()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def judge_logout_token(self, logout_token: object) -> LogoutOrder:
        """As `keyfob.ClientApplication.judge_logout_token`."""
        return await self._run(back_channel_logout(self._client, logout_token))

    async def judge_access_token(
        self,
        access_token: object,
        audiences: Collection[str] | None = None,
        allowed_clients: Collection[str] | None = None,
    ) -> ProvenAccess:
        """As `keyfob.ClientApplication.judge_access_token`."""
        asked = (
            self._client,
            access_token,
            accepted(audiences, "audiences"),
            accepted(allowed_clients, "allowed_clients"),
        )
        found = bearer_at_hand(*asked)
        return found if found is not None else await self._run(judge_bearer(*asked))

    async def aclose(self) -> None:
        """Close this event loop's connections. The application may be used again."""
        await self._transport.aclose()

    async def metadata(self) -> ProviderMetadata:
        """As `keyfob.ClientApplication.metadata`."""
        return await self._run(self._client.metadata())

    async def acquire_token_silent(
        self,
        scopes: Collection[str],
        account: Mapping[str, Any] | None,
        authority: str | None = None,
        force_refresh: bool = False,
        claims_challenge: str | None = None,
        forwarded_client_claims: str | None = None,
        auth_scheme: object = None,
        **options: Any,
    ) -> TokenResult | None:
        """As `keyfob.ClientApplication.acquire_token_silent`."""
        asked = self._silent(
            scopes,
            account,
            authority,
            force_refresh,
            claims_challenge,
            forwarded_client_claims,
            auth_scheme,
            options,
        )
        result = await self._answered(asked)
        return result if result and "error" not in result else None

    async def acquire_token_silent_with_error(
        self,
        scopes: Collection[str],
        account: Mapping[str, Any] | None,
        authority: str | None = None,
        force_refresh: bool = False,
        claims_challenge: str | None = None,
        forwarded_client_claims: str | None = None,
        auth_scheme: object = None,
        **options: Any,
    ) -> TokenResult | None:
        """As `keyfob.ClientApplication.acquire_token_silent_with_error`."""
        asked = self._silent(
            scopes,
            account,
            authority,
            force_refresh,
            claims_challenge,
            forwarded_client_claims,
            auth_scheme,
            options,
        )
        return await self._answered(asked)

    async def acquire_token_by_refresh_token(
        self, refresh_token: str, scopes: Collection[str], **options: Any
    ) -> TokenResult:
        """As `keyfob.ClientApplication.acquire_token_by_refresh_token`."""
        client, rest = self._for_one_call(options)
        return await self._token(silent.migrate_refresh_token(client, refresh_token, scopes), rest)

    async def initiate_auth_code_flow(
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
        """As `keyfob.ClientApplication.initiate_auth_code_flow`."""
        return await self._run(
            auth_code.initiate(
                self._client,
                scopes,
                redirect_uri=redirect_uri,
                state=state,
                prompt=prompt,
                login_hint=login_hint,
                domain_hint=domain_hint,
                claims_challenge=claims_challenge,
                max_age=max_age,
                response_mode=response_mode,
            )
        )

    async def acquire_token_by_auth_code_flow(
        self,
        auth_code_flow: Mapping[str, Any],
        auth_response: Mapping[str, str],
        scopes: Collection[str] | None = None,
        **options: Any,
    ) -> TokenResult:
        """As `keyfob.ClientApplication.acquire_token_by_auth_code_flow`."""
        client, rest = self._for_one_call(options)
        flow = auth_code.redeem(client, auth_code_flow, auth_response, scopes=scopes)
        return await self._token(flow, rest)

    async def get_authorization_request_url(
        self,
        scopes: Collection[str],
        login_hint: str | None = None,
        state: str | None = None,
        redirect_uri: str | None = None,
        response_type: str = "code",
        prompt: str | None = None,
        nonce: str | None = None,
        domain_hint: str | None = None,
        claims_challenge: str | None = None,
    ) -> str:
        """As `keyfob.ClientApplication.get_authorization_request_url`, and deprecated likewise."""
        warn_deprecated("get_authorization_request_url", "initiate_auth_code_flow")
        return await self._run(
            auth_code.authorization_url(
                self._client,
                scopes,
                response_type=response_type,
                nonce=nonce,
                claims_challenge=claims_challenge,
                login_hint=login_hint,
                state=state,
                redirect_uri=redirect_uri,
                prompt=prompt,
                domain_hint=domain_hint,
            )
        )

    async def acquire_token_by_authorization_code(
        self,
        code: str,
        scopes: Collection[str],
        redirect_uri: str | None = None,
        nonce: str | None = None,
        claims_challenge: str | None = None,
        forwarded_client_claims: str | None = None,
        **options: Any,
    ) -> TokenResult:
        """As `keyfob.ClientApplication.acquire_token_by_authorization_code`, and deprecated
        likewise."""
        warn_deprecated("acquire_token_by_authorization_code", "acquire_token_by_auth_code_flow")
        client, rest = self._for_one_call(options)
        flow = auth_code.redeem_code(
            client,
            code,
            scopes,
            redirect_uri=redirect_uri,
            nonce=nonce,
            claims_challenge=claims_challenge,
            forwarded_claims=forwarded_client_claims,
        )
        return await self._token(flow, rest)

    async def acquire_token_by_username_password(
        self,
        username: str,
        password: str,
        scopes: Collection[str],
        claims_challenge: str | None = None,
        auth_scheme: object = None,
        **options: Any,
    ) -> TokenResult:
        """As `keyfob.ClientApplication.acquire_token_by_username_password`."""
        refuse_auth_scheme(auth_scheme)
        client, rest = self._for_one_call(options)
        flow = password_flow.acquire(
            client, username, password, scopes, claims_challenge=claims_challenge
        )
        return await self._token(flow, rest)

    async def _run(self, flow: Flow[T], options: Mapping[str, Any] | None = None) -> T:
        transport = for_one_async_call(self._transport, options) if options else self._transport
        return await run_async(flow, transport, flights=self._flights)

    async def _answered(self, asked: Asked) -> TokenResult | None:
        hit, flow, options = asked
        if flow is None:
            return hit
        return cast("TokenResult | None", await self._run(flow, options))

    async def _token(self, flow: Flow[dict[str, Any]], options: Mapping[str, Any]) -> TokenResult:
        return cast("TokenResult", await self._run(flow, options))
