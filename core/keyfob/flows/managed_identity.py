"""Tokens in the name of the machine's identity: from the cache, or from where Azure gives them.

The flow stands on its own: a token of a managed identity also serves as another client's
assertion (workload identity federation).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from keyfob.cache import AccessTokenEntry, CredentialType, TokenCache
from keyfob.cache.entries import epoch
from keyfob.errors import (
    ArcKeyFileNotFoundError,
    ConfigurationError,
    ManagedIdentityError,
)
from keyfob.flows import Flow, call, once, pause, send
from keyfob.flows.need import cache_hit, is_aging, is_fresh, put_off_renewal
from keyfob.protocol.managed_identity import (
    Identity,
    ManagedIdentitySource,
    app_service,
    azure_arc,
    detect,
    imds,
    machine_learning,
    service_fabric,
)
from keyfob.protocol.scopes import is_scope

#: Where MSAL files these tokens.
ENVIRONMENT = "localhost"
REALM = "managed_identity"
#: Seconds. A token that lives so long is renewed from the middle of its life on.
_LONG_LIFE = 7200


def _read_file(path: str, limit: int) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(limit + 1)


@dataclass(frozen=True)
class Machine:
    """What the flow sees of the machine. Its functions may block, and are called as effects.

    :param environ: gives the environment's variables.
    :param platform: as `sys.platform` says it.
    :param exists: whether there is a file.
    :param read: a file's beginning: so many bytes, and one more where it is longer.
    """

    environ: Callable[[], Mapping[str, str]] = lambda: dict(os.environ)
    platform: str = sys.platform
    exists: Callable[[str], bool] = os.path.exists
    read: Callable[[str, int], bytes] = _read_file

    def source(self, environ: Mapping[str, str]) -> ManagedIdentitySource:
        """Where the tokens come from here. Blocks for a moment: it looks for a file."""
        himds = azure_arc.himds_path(environ, self.platform)
        return detect(environ, himds_installed=himds is not None and self.exists(himds))


@dataclass(frozen=True)
class _Asked:
    """One token that is to be fetched."""

    identity: Identity
    resource: str
    machine: Machine
    environ: Mapping[str, str] = field(repr=False)
    clock: Callable[[], float]
    #: Whether whoever asks can wait: nobody waits for a token while they hold a valid one.
    patient: bool
    token_to_replace: str | None = field(repr=False)
    client_capabilities: Collection[str]


def acquire(
    identity: Identity,
    resource: str,
    *,
    cache: TokenCache,
    claims_challenge: str | None = None,
    client_capabilities: Collection[str] = (),
    machine: Machine | None = None,
    clock: Callable[[], float] = time.time,
) -> Flow[dict[str, Any]]:
    """The identity's token for `resource`.

    :param identity: from `keyfob.protocol.managed_identity.identity_of`.
    :param resource: the API's identifier, such as `https://vault.azure.net`; no scope.
    :param claims_challenge: an API's claims challenge: it gets a new token.
    :param client_capabilities: such as `CP1`; only Service Fabric is told.
    :returns: a dict with `access_token`, or one with `error`.
    :raises ManagedIdentityError: the identity cannot be used here.
    :raises TokenResponseError: the source's answer is none.
    :raises TransportError: there is no answer. Each of them only where no valid token is held.
    """
    if not _is_resource(resource):
        raise ConfigurationError(
            "resource is one API's identifier, such as https://vault.azure.net", setting="resource"
        )
    held, now = _fresh(cache, identity, resource, clock()), clock()
    if held is not None and not claims_challenge and not is_aging(held, now):
        return cache_hit(held, now)

    def begin() -> Flow[dict[str, Any]]:
        return _from_cache_or_anew(
            identity,
            resource,
            cache=cache,
            claims_challenge=claims_challenge,
            client_capabilities=client_capabilities,
            machine=Machine() if machine is None else machine,
            clock=clock,
        )

    key = ("managed identity", id(cache), identity.cache_client_id, resource, claims_challenge)
    return (yield from once(key, begin))


def _from_cache_or_anew(
    identity: Identity,
    resource: str,
    *,
    cache: TokenCache,
    claims_challenge: str | None,
    client_capabilities: Collection[str],
    machine: Machine,
    clock: Callable[[], float],
) -> Flow[dict[str, Any]]:
    now = clock()
    fresh = _fresh(cache, identity, resource, now)
    held = None if claims_challenge else fresh
    if held is not None and not is_aging(held, now):
        return cache_hit(held, now)
    try:
        asked = _Asked(
            identity=identity,
            resource=resource,
            machine=machine,
            environ=(yield from call(machine.environ)),
            clock=clock,
            patient=held is None,
            token_to_replace=fresh["secret"] if fresh is not None and claims_challenge else None,
            client_capabilities=client_capabilities,
        )
        found = yield from _fetch(asked)
    except Exception:
        # A proactive refresh that fails, for whatever reason, costs nobody a valid token.
        if held is None:
            raise
        return cache_hit(put_off_renewal(cache, held, now), now)
    if "error" not in found:
        return _remember(cache, identity, resource, found, clock())
    return found if held is None else cache_hit(put_off_renewal(cache, held, now), now)


def _is_resource(given: object) -> bool:
    return isinstance(given, str) and is_scope(given)


def _fetch(asked: _Asked) -> Flow[dict[str, Any]]:
    source = yield from call(lambda: asked.machine.source(asked.environ))
    if source is ManagedIdentitySource.CLOUD_SHELL:
        raise ManagedIdentityError(
            "Azure Cloud Shell has no managed identity: its tokens are the person's who sits "
            "there. Use PublicClientApplication(...).acquire_token_interactive(scopes, "
            'prompt="none")',
            source=source.value,
            code="cloud_shell",
        )
    return (yield from _FETCHERS[source](asked))


def _from_service_fabric(asked: _Asked) -> Flow[dict[str, Any]]:
    request = service_fabric.build_request(
        asked.environ,
        asked.resource,
        token_to_replace=asked.token_to_replace,
        client_capabilities=asked.client_capabilities,
    )
    try:
        response = yield from send(request)
    except ConfigurationError as reason:
        raise ManagedIdentityError(
            f"Azure Service Fabric is known by its certificate's thumbprint alone. {reason}",
            source=ManagedIdentitySource.SERVICE_FABRIC.value,
            code="cannot_pin",
        ) from None
    return service_fabric.parse_answer(response, resource=asked.resource, now=asked.clock())


def _from_app_service(asked: _Asked) -> Flow[dict[str, Any]]:
    request = app_service.build_request(asked.environ, asked.identity, asked.resource)
    response = yield from send(request)
    return app_service.parse_answer(response, resource=asked.resource, now=asked.clock())


def _from_machine_learning(asked: _Asked) -> Flow[dict[str, Any]]:
    request = machine_learning.build_request(asked.environ, asked.identity, asked.resource)
    response = yield from send(request)
    return machine_learning.parse_answer(response, resource=asked.resource, now=asked.clock())


def _from_azure_arc(asked: _Asked) -> Flow[dict[str, Any]]:
    environ, machine = asked.environ, asked.machine
    azure_arc.key_folder(environ, machine.platform)  # or this system has none: nothing is sent
    challenge = yield from send(azure_arc.build_request(environ, asked.identity, asked.resource))
    path = azure_arc.parse_challenge(challenge, environ, machine.platform)
    if isinstance(path, dict):
        return path
    content = yield from _key_file(machine, path)
    key = azure_arc.judge_key(content, path)
    request = azure_arc.build_request(environ, asked.identity, asked.resource, key)
    response = yield from send(request)
    return azure_arc.parse_answer(
        response, asked.identity, resource=asked.resource, now=asked.clock()
    )


def _key_file(machine: Machine, path: str) -> Flow[bytes]:
    source = ManagedIdentitySource.AZURE_ARC.value
    try:
        return (yield from call(lambda: machine.read(path, azure_arc.MAX_KEY_BYTES)))
    except FileNotFoundError:
        raise ArcKeyFileNotFoundError(
            f"Azure Arc's key file {path} is not there; is the endpoint on this machine, and the "
            "agent's folder visible to this program?",
            source=source,
        ) from None
    except OSError as error:
        raise ManagedIdentityError(
            f"Azure Arc's key file {path} cannot be read ({type(error).__name__}): this program's "
            "user must be in the group himds on Linux, or Hybrid agent extension applications on "
            "Windows",
            source=source,
            code="arc_key_file",
        ) from None


def _from_vm(asked: _Asked) -> Flow[dict[str, Any]]:
    """IMDS; asked once more after what its documentation says to be passing."""
    retried = 0
    while True:
        request = imds.build_request(asked.environ, asked.identity, asked.resource)
        response = yield from send(request)
        seconds = imds.pause_before_retry(response, retried) if asked.patient else None
        if seconds is None:
            return imds.parse_answer(response, resource=asked.resource, now=asked.clock())
        yield from pause(seconds)
        retried += 1


_FETCHERS: Mapping[ManagedIdentitySource, Callable[[_Asked], Flow[dict[str, Any]]]] = {
    ManagedIdentitySource.SERVICE_FABRIC: _from_service_fabric,
    ManagedIdentitySource.APP_SERVICE: _from_app_service,
    ManagedIdentitySource.MACHINE_LEARNING: _from_machine_learning,
    ManagedIdentitySource.AZURE_ARC: _from_azure_arc,
    ManagedIdentitySource.DEFAULT_TO_VM: _from_vm,
}


# The cache


def _fresh(
    cache: TokenCache, identity: Identity, resource: str, now: float
) -> AccessTokenEntry | None:
    held = cache.find_access_token(
        home_account_id=None,
        environment=ENVIRONMENT,
        client_id=identity.cache_client_id,
        realm=REALM,
        scopes=[resource],
        now=now,
        ignore_case=False,
    )
    if held is not None and is_fresh(held, now):
        return held
    return None if identity.is_user_assigned else _of_msal(cache, resource, now)


def _of_msal(cache: TokenCache, resource: str, now: float) -> AccessTokenEntry | None:
    """MSAL files the tokens of the machine's own identity under no client id at all."""
    best: AccessTokenEntry | None = None
    query = {
        "home_account_id": None,
        "environment": ENVIRONMENT,
        "client_id": None,
        "realm": REALM,
    }
    for entry in cache.search(CredentialType.ACCESS_TOKEN, [resource], query, now=now):
        if not _is_whole(entry):
            continue
        found = cast("AccessTokenEntry", entry)
        if is_fresh(found, now) and (
            best is None or float(found["expires_on"]) > float(best["expires_on"])
        ):
            best = found
    return best


def _is_whole(entry: Mapping[str, Any]) -> bool:
    """Whether it has what a token needs; a cache may come from anywhere."""
    secret, kind = entry.get("secret"), entry.get("token_type", "Bearer")
    return (
        isinstance(secret, str)
        and secret != ""
        and isinstance(kind, str)
        and kind.lower() == "bearer"
        and epoch(entry.get("expires_on")) is not None
        and all(
            entry.get(name) is None or epoch(entry[name]) is not None
            for name in ("cached_at", "refresh_on")
        )
    )


def _remember(
    cache: TokenCache, identity: Identity, resource: str, found: dict[str, Any], now: float
) -> dict[str, Any]:
    response = dict(found)
    result = {**found, "token_source": "identity_provider"}
    if found["expires_in"] >= _LONG_LIFE:
        response["refresh_in"] = found["expires_in"] // 2
        result["refresh_on"] = int(now) + response["refresh_in"]
    cache.add(
        {
            "client_id": identity.cache_client_id,
            "scope": [resource],
            "environment": ENVIRONMENT,
            "realm": REALM,
            "response": response,
            "params": {},
            "data": {},
        },
        now=now,
    )
    return result
