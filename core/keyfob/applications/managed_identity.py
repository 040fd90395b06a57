"""The application that Azure knows by the machine it runs on."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, MutableMapping
from typing import Any

from keyfob.applications.arguments import checked_cache, refuse_no_functions
from keyfob.cache import TokenCache
from keyfob.errors import ConfigurationError
from keyfob.flows import Flow, managed_identity
from keyfob.protocol.managed_identity import identity_of
from keyfob.transport import (
    DEFAULT_TIMEOUT,
    Flights,
    HttpClientTransport,
    RequestsTransport,
    Transport,
    run,
)


class MachineApplication:
    """The arguments of `ManagedIdentityClient`, judged, and what its verb runs."""

    def __init__(
        self,
        managed_identity: Mapping[str, Any],
        *,
        http_client: Any = None,
        token_cache: TokenCache | None = None,
        http_cache: MutableMapping[str, Any] | None = None,
        client_capabilities: Collection[str] | None = None,
        timeout: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._identity = identity_of(managed_identity)
        self._capabilities = _capabilities(client_capabilities)
        self._cache = TokenCache() if token_cache is None else checked_cache(token_cache)
        refuse_no_functions(clock=clock)
        self._clock = clock
        self._http_cache = http_cache
        self._open(http_client, timeout)

    def _open(self, http_client: Any, timeout: float | None) -> None:
        """Make the transport. Nothing is connected yet."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._identity.id or self._identity.kind}>"

    @property
    def token_cache(self) -> TokenCache:
        return self._cache

    def _token(self, resource: str, claims_challenge: str | None) -> Flow[dict[str, Any]]:
        if claims_challenge is not None and not isinstance(claims_challenge, str):
            raise ConfigurationError("A claims challenge is a JSON object, as text")
        return managed_identity.acquire(
            self._identity,
            resource,
            cache=self._cache,
            claims_challenge=claims_challenge,
            client_capabilities=self._capabilities,
            clock=self._clock,
        )


class ManagedIdentityClient(MachineApplication):
    """Gets tokens in the name of an identity that Azure gave to this machine. Safe to share
    between threads.

    Where they come from (Service Fabric; App Service, Functions and Automation; Machine Learning;
    Azure Arc; a virtual machine's IMDS) is told by the environment when one is asked for. The
    constructor does no I/O.

    :param managed_identity: a `SystemAssignedManagedIdentity`, a `UserAssignedManagedIdentity`, or
        a dict of their shape.
    :param http_client: an object that sends HTTP, with MSAL's duck type; by default our own
        transport, which keeps to `timeout`. Service Fabric needs our own, or a `requests.Session`.
    :param token_cache: where tokens are kept; by default a new one in memory.
    :param client_capabilities: such as `["CP1"]`; only Service Fabric takes them.
    :param timeout: seconds for one exchange; None for the transport's own limit. An `http_client`
        has its own.
    :param clock: tells the seconds since 1970.
    :raises ManagedIdentityError: (a ValueError) `managed_identity` is none.
    :raises ConfigurationError: (a ValueError) for what else cannot be.
    """

    _transport: Transport

    def _open(self, http_client: Any, timeout: float | None) -> None:
        if http_client is not None:
            self._transport = HttpClientTransport(http_client)
        else:
            seconds = DEFAULT_TIMEOUT if timeout is None else timeout
            self._transport = RequestsTransport(timeout=seconds)
        self._flights = Flights()

    def acquire_token_for_client(
        self, *, resource: str, claims_challenge: str | None = None
    ) -> dict[str, Any]:
        """A token in the name of the managed identity.

        On a virtual machine whose IMDS is being updated this may take 70 seconds, as Azure wants
        it; never while a valid token is held.

        :param resource: the API's identifier, such as `https://vault.azure.net`; no scope.
        :param claims_challenge: an API's claims challenge: it gets a new token.
        :returns: a dict with `access_token`, from the cache where it holds one; or with `error`.
        :raises ManagedIdentityError: (a ValueError) this machine does not let it be used.
        :raises TokenResponseError: (a ValueError) what answered makes no sense.
        :raises TransportError: (an OSError) nothing answered, or not now.
        """
        flow = self._token(resource, claims_challenge)
        return run(flow, self._transport, flights=self._flights)

    def close(self) -> None:
        """Close the connections. The client may be used again."""
        self._transport.close()


def _capabilities(given: Collection[str] | None) -> tuple[str, ...]:
    """They are sent as one parameter, with commas in between."""
    if given is None:
        return ()
    if isinstance(given, str) or not isinstance(given, (list, tuple, set, frozenset)):
        raise ConfigurationError("client_capabilities is a list of texts, such as ['CP1']")
    if not all(isinstance(one, str) and one and "," not in one for one in given):
        raise ConfigurationError("A client capability is a text without commas, such as 'CP1'")
    return tuple(given)
