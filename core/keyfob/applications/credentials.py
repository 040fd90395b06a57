"""Judging `client_credential`, in all its shapes, and making of it what flows prove a client with.

No I/O, and nothing is parsed: keys and files are read when they are first needed.
"""

from __future__ import annotations

import difflib
import json
import os
import secrets
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from keyfob.applications import key_sources
from keyfob.applications.key_sources import Part
from keyfob.cache import TokenCache
from keyfob.errors import ConfigurationError, CredentialError, ManagedIdentityError
from keyfob.flows.credentials import (
    CalledAssertion,
    Credential,
    Credentials,
    FederatedTokenFile,
    GivenAssertion,
    ManagedIdentityAssertion,
    SecretCredential,
    SignedCredential,
)
from keyfob.protocol.client_auth import ClientSecret
from keyfob.protocol.pkce import RandomBytes
from keyfob.protocol.scopes import is_scope

NAME = "client_credential"
#: What a managed identity's token is for, that proves an application in the public cloud.
TOKEN_EXCHANGE = "api://AzureADTokenExchange"
SYSTEM_ASSIGNED = {"ManagedIdentityIdType": "SystemAssigned", "Id": None}

#: The member that each shape is known by, and those that may stand beside it.
_SHAPES: Mapping[str, tuple[str, ...]] = {
    "client_assertion": (),
    "private_key": ("thumbprint", "public_certificate", "passphrase", "kid"),
    "private_key_path": ("certificate_path", "thumbprint", "passphrase", "kid"),
    "private_key_pfx_path": ("public_certificate", "passphrase", "kid"),
    "federated_token_file": (),
    "workload_identity": (),
    "managed_identity": ("audience",),
}
_MEMBERS = sorted({*_SHAPES, *(name for names in _SHAPES.values() for name in names)})


@dataclass(frozen=True)
class _Made:
    """What credentials are made with, beside what they are."""

    client_id: str
    claims: Mapping[str, Any]
    random_bytes: RandomBytes
    clock: Callable[[], float]


def judge_credential(credential: object, name: str = NAME) -> None:
    """Whether a credential has one of the shapes; nothing is read.

    :raises CredentialError: (a ValueError) it has none. The message begins with `name`.
    """
    made = _Made("", {}, secrets.token_bytes, time.time)
    _all(made, credential, name)


def credentials_of(
    client_id: str,
    credential: object,
    *,
    client_claims: Mapping[str, Any] | None,
    random_bytes: RandomBytes = secrets.token_bytes,
    clock: Callable[[], float] = time.time,
) -> Credentials:
    """The ways in which an application proves itself; none for None and an empty text.

    :param client_claims: for every assertion that is signed here; they win over its own.
    :raises CredentialError: (a ValueError) `credential` has no shape that is known.
    :raises ConfigurationError: (a ValueError) `client_claims` is no JSON object.
    """
    made = _Made(client_id, _claims(client_claims), random_bytes, clock)
    if credential is None or credential == "":
        return Credentials()
    found = _all(made, credential, NAME)
    if any(isinstance(each, GivenAssertion) for each in found):
        warnings.warn(
            f"The assertion in {NAME} is a text, which expires: give a function that makes them",
            DeprecationWarning,
            stacklevel=3,
        )
    return Credentials(found)


def _all(made: _Made, credential: object, name: str) -> list[Credential]:
    if not isinstance(credential, (list, tuple)):
        return [_one(made, credential, name)]
    if not credential:
        raise CredentialError(f"{name} is an empty list; put a credential into it")
    return [_one(made, each, f"{name}[{index}]") for index, each in enumerate(credential)]


def _one(made: _Made, credential: object, name: str) -> Credential:
    if isinstance(credential, str) and credential:
        return SecretCredential(ClientSecret(made.client_id, credential))
    if not isinstance(credential, Mapping):
        _refuse_kind(credential, name)
    # What is None was looked up and not found; MSAL takes it for missing as well.
    members = {key: value for key, value in credential.items() if value is not None}
    shape = _shape(members, name)
    return _MAKERS[shape](made, Part(members, name), shape)


def _refuse_kind(credential: object, name: str) -> NoReturn:
    if callable(credential):
        raise CredentialError(
            f"{name} is a function: one that makes assertions is given as "
            '{"client_assertion": function}'
        )
    found = "empty" if credential == "" else f"of type {type(credential).__name__}"
    raise CredentialError(
        f"{name} is {found}: it is a secret (a text), a dict such as "
        '{"private_key_pfx_path": ..., "passphrase": ...}, or a list of them'
    )


def _shape(members: Mapping[Any, Any], name: str) -> str:
    for key in members:
        if key not in _MEMBERS:
            near = difflib.get_close_matches(str(key).lower(), _MEMBERS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it may have {', '.join(_MEMBERS)}"
            raise CredentialError(f"{name} has a member that means nothing here; {hint}")
    found = [key for key in _SHAPES if key in members]
    if not found:
        raise CredentialError(f"{name} needs one of {', '.join(_SHAPES)}")
    if len(found) > 1:
        raise CredentialError(
            f"{name} has {found[0]!r} and {found[1]!r}, which are two credentials: keep one, or "
            "make a list of two dicts, which are tried in order"
        )
    for key in members:
        if key != found[0] and key not in _SHAPES[found[0]]:
            raise CredentialError(f"{name}[{key!r}] means nothing beside {found[0]!r}")
    return found[0]


def _assertion(made: _Made, part: Part, shape: str) -> Credential:
    del made
    value = part.members[shape]
    if callable(value):
        # What it returns is judged when it is called.
        function = cast("Callable[..., str | bytes]", value)
        return CalledAssertion(function, _wants_context(function), part.name_of(shape))
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str) or not value or not value.isascii():
        raise CredentialError(
            f"{part.name_of(shape)} is a function that makes assertions, or an assertion as a text"
        )
    return GivenAssertion(value)


def _wants_context(function: Callable[..., Any]) -> bool:
    """Whether it cannot be called without an argument."""
    from inspect import Parameter, signature

    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):
        return False  # one of C's that does not tell
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return any(each.kind in kinds and each.default is Parameter.empty for each in parameters)


def _key(made: _Made, part: Part, shape: str) -> Credential:
    sources = {
        "private_key": key_sources.given,
        "private_key_path": key_sources.pem_files,
        "private_key_pfx_path": key_sources.pfx_file,
    }
    return SignedCredential(sources[shape](part), made.claims, made.random_bytes)


def _token_file(made: _Made, part: Part, shape: str) -> Credential:
    del made
    return FederatedTokenFile(os.fspath(part.path(shape)), part.name_of(shape))


def _workload_identity(made: _Made, part: Part, shape: str) -> Credential:
    del made
    if part.members[shape] is not True:
        raise CredentialError(f"{part.name_of(shape)} can only be True")
    return FederatedTokenFile(None, part.name_of(shape))


def _managed_identity(made: _Made, part: Part, shape: str) -> Credential:
    from keyfob.flows import managed_identity
    from keyfob.protocol.managed_identity import UserAssignedManagedIdentity, identity_of

    value, audience = part.members[shape], part.members.get("audience", TOKEN_EXCHANGE)
    if value is True:
        value = SYSTEM_ASSIGNED
    elif isinstance(value, str) and value:
        value = UserAssignedManagedIdentity(client_id=value)
    try:
        identity = identity_of(value)
    except ManagedIdentityError:
        raise CredentialError(
            f"{part.name_of(shape)} is True for the machine's own identity, the client id of one "
            "that was given to it, a SystemAssignedManagedIdentity, a UserAssignedManagedIdentity, "
            "or a dict of their shape"
        ) from None
    if not isinstance(audience, str) or not is_scope(audience):
        raise CredentialError(f"{part.name_of('audience')} is one address, as {TOKEN_EXCHANGE}")
    # Its tokens are the machine's, and no person's: they are in no cache of the application's.
    cache = TokenCache()
    return ManagedIdentityAssertion(
        lambda: managed_identity.acquire(identity, audience, cache=cache, clock=made.clock),
        part.name_of(shape),
    )


_MAKERS: Mapping[str, Callable[[_Made, Part, str], Credential]] = {
    "client_assertion": _assertion,
    "private_key": _key,
    "private_key_path": _key,
    "private_key_pfx_path": _key,
    "federated_token_file": _token_file,
    "workload_identity": _workload_identity,
    "managed_identity": _managed_identity,
}


def _claims(client_claims: object) -> Mapping[str, Any]:
    if client_claims is None:
        return {}
    if not isinstance(client_claims, Mapping):
        raise ConfigurationError("client_claims is a dict, for the client's assertions")
    try:
        # A copy, so that nothing changes under a lock that we do not hold.
        return dict(json.loads(json.dumps(dict(client_claims), allow_nan=False)))
    except (TypeError, ValueError, RecursionError):
        raise ConfigurationError(
            "client_claims has a value in it that JSON cannot express"
        ) from None
