"""A session's tokens for Azure SDKs: azure-core's `TokenCredential` and its kin.

azure-core is not needed: its protocols are fulfilled by shape, and type checkers alone see its own
types. What the SDKs read of a token is in `AccessToken` and `AccessTokenInfo`, whose reprs, unlike
azure-core's, do not show it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from keyfob.errors import ConfigurationError

if TYPE_CHECKING:
    from azure.core import credentials as azure
    from typing_extensions import Self

    from keyfob.web.session_calls import SessionCalls


class AccessToken(NamedTuple):
    """What `get_token` returns; `expires_on` is in seconds since 1970."""

    token: str
    expires_on: int

    def __repr__(self) -> str:
        return f"AccessToken(token=<hidden>, expires_on={self.expires_on})"


@dataclass(frozen=True)
class AccessTokenInfo:
    """What `get_token_info` returns; times are in seconds since 1970."""

    token: str = field(repr=False)
    expires_on: int
    token_type: str = "Bearer"
    refresh_on: int | None = None


class SessionCredential:
    """The signed-in person's tokens, as an Azure SDK's credential: for one request of the site.

    `TokenCredential` and `SupportsTokenInfo` of azure-core. Claims challenges that the SDK meets
    are answered (`claims=`); where only the person can, `InteractionRequired` passes through the
    SDK and is handled as everywhere.

    :param session: whose tokens.
    :param api: an API of DOWNSTREAM_APIS whose scopes count, whatever the SDK asks for.
    """

    def __init__(self, session: SessionCalls, api: str | None = None) -> None:
        self._session = session
        self._api = api

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,  # noqa: ARG002 - CLIENT_CAPABILITIES says it for all tokens
        **kwargs: Any,  # noqa: ARG002 - what the protocol may bring in future
    ) -> azure.AccessToken:
        """A token for these scopes.

        :param claims: a claims challenge, a JSON object as text.
        :param tenant_id: the person's own tenant, or None.
        :raises ConfigurationError: another tenant's token is asked for.
        :raises InteractionRequired: only the person can get it.
        """
        found = _found(self._session, self._api, scopes, claims, tenant_id)
        return cast("azure.AccessToken", AccessToken(found.token, found.expires_on))

    def get_token_info(
        self, *scopes: str, options: azure.TokenRequestOptions | None = None
    ) -> azure.AccessTokenInfo:
        """As `get_token`, with `claims` and `tenant_id` among the options."""
        told = options or {}
        return _found(self._session, self._api, scopes, told.get("claims"), told.get("tenant_id"))

    def close(self) -> None:
        """Nothing: the session is the request's."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()


class AsyncSessionCredential:
    """As `SessionCredential`, for the SDKs' `aio` clients: `AsyncTokenCredential` and
    `AsyncSupportsTokenInfo` of azure-core."""

    def __init__(self, session: SessionCalls, api: str | None = None) -> None:
        self._session = session
        self._api = api

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    async def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,  # noqa: ARG002 - as above
        **kwargs: Any,  # noqa: ARG002 - as above
    ) -> azure.AccessToken:
        """As `SessionCredential.get_token`."""
        found = await self._awaited(scopes, claims, tenant_id)
        return cast("azure.AccessToken", AccessToken(found.token, found.expires_on))

    async def get_token_info(
        self, *scopes: str, options: azure.TokenRequestOptions | None = None
    ) -> azure.AccessTokenInfo:
        """As `SessionCredential.get_token_info`."""
        told = options or {}
        return await self._awaited(scopes, told.get("claims"), told.get("tenant_id"))

    async def _awaited(
        self, scopes: tuple[str, ...], claims: str | None, tenant_id: str | None
    ) -> azure.AccessTokenInfo:
        session, api = self._session, self._api
        return await session.in_thread(lambda: _found(session, api, scopes, claims, tenant_id))

    async def close(self) -> None:
        """Nothing: the session is the request's."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.close()


def _found(
    session: SessionCalls,
    api: str | None,
    scopes: tuple[str, ...],
    claims: str | None,
    tenant_id: str | None,
) -> azure.AccessTokenInfo:
    own = session.tenant
    if tenant_id and tenant_id.lower() != own.lower():
        raise ConfigurationError(
            f"A token of the tenant {tenant_id!r} was asked for; the session's are of "
            f"{own or 'no tenant that is known'}. Give the SDK's client no tenant_id",
            code="tenant",
        )
    if api is not None:
        found = session.token_info(api=api, claims=claims)
    else:
        found = session.token_info(scopes=scopes, claims=claims)
    info = AccessTokenInfo(found.token, found.expires_on, refresh_on=found.refresh_on)
    return cast("azure.AccessTokenInfo", info)
