"""Judging what a client application's constructor and verbs are given. No I/O."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import Any

from keyfob.cache import TokenCache
from keyfob.errors import BrokerNotSupported, ConfigurationError
from keyfob.flows.client import NOTHING_EXTRA, Extra
from keyfob.protocol.scopes import OPENID_SCOPES

_BROKER_OPTIONS = (
    "allow_broker",
    "enable_broker_on_windows",
    "enable_broker_on_mac",
    "enable_broker_on_linux",
    "enable_broker_on_wsl",
)


def checked_client_id(client_id: object) -> str:
    if not isinstance(client_id, str) or not client_id:
        raise ConfigurationError("client_id is missing, or not a text", setting="CLIENT_ID")
    return client_id


def checked_cache(token_cache: object) -> TokenCache:
    """
    :raises ConfigurationError: (a ValueError) it is none of Keyfob's, such as MSAL's.
    """
    if not isinstance(token_cache, TokenCache):
        raise ConfigurationError(
            "token_cache is a keyfob.TokenCache or keyfob.SerializableTokenCache. What MSAL "
            "serialised, SerializableTokenCache().deserialize(...) reads"
        )
    return token_cache


def checked_leeway(leeway: object) -> int:
    if isinstance(leeway, bool) or not isinstance(leeway, int) or leeway < 0:
        raise ConfigurationError("leeway is a whole number of seconds, 0 or more", setting="LEEWAY")
    return leeway


def refuse_no_functions(**functions: object) -> None:
    for name, function in functions.items():
        if not callable(function):
            raise ConfigurationError(f"{name} is a function")


def header_text(text: Any, name: str) -> str | None:
    """What is sent in a header, where not everything fits (RFC 9110 §5.5)."""
    if text is None:
        return None
    if not isinstance(text, str) or not all(" " <= character <= "~" for character in text):
        raise ConfigurationError(f"{name} can only have ASCII's visible characters and spaces")
    return text


def names(value: Collection[str] | None, name: str) -> tuple[str, ...]:
    """A list of texts; none of them empty."""
    if value is None:
        return ()
    if not isinstance(value, (list, tuple, set, frozenset)) or not all(
        isinstance(item, str) and item for item in value
    ):
        raise ConfigurationError(f"{name} is a list of texts")
    return tuple(value)


def accepted(value: Collection[str] | None, name: str) -> Collection[str] | None:
    """What is accepted, or None where nothing is said about it. A text is no list: it would have
    every piece of itself in it."""
    return value if value is None or isinstance(value, frozenset) else names(value, name)


def excluded_scopes(scopes: Collection[str] | None) -> frozenset[str]:
    """Of the scopes that are always asked for, those that are not to be."""
    found = frozenset(names(scopes, "exclude_scopes"))
    if "openid" in found:
        raise ConfigurationError("openid cannot be excluded: without it nobody signs in")
    return found & OPENID_SCOPES


def refuse_brokers(options: Mapping[str, Any]) -> None:
    """Keyfob talks to providers itself; a site that asks for a broker is not given less silently.

    :raises BrokerNotSupported: one is asked for.
    """
    for name in _BROKER_OPTIONS:
        if options.get(name):
            raise BrokerNotSupported(
                f"{name}: Keyfob has no broker. Leave it out, and people sign in with the browser"
            )


def refuse_credential(client_credential: object) -> None:
    """What everybody has a copy of keeps no secret (RFC 8252 §8.5).

    :raises ConfigurationError: there is one.
    """
    if client_credential is not None:
        raise ConfigurationError(
            "A public client has no credential; where there is one to keep, use "
            "ConfidentialClientApplication",
            setting="CLIENT_CREDENTIAL",
        )


def split_options(options: dict[str, Any]) -> tuple[Extra, dict[str, Any]]:
    """A verb's further arguments: what is added to its requests, and what the transport is told.

    :raises ConfigurationError: `data` or `params` is no dict of texts.
    """
    if not options:
        return NOTHING_EXTRA, {}
    rest = dict(options)
    data, params = rest.pop("data", None), rest.pop("params", None)
    return Extra(_texts(data, "data"), _texts(params, "params")), rest


def _texts(value: Any, name: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} is a dict of texts")
    return {str(key): str(item) for key, item in value.items() if item is not None}


def judge_ssh_request(extra: Extra) -> None:
    """An SSH certificate is bound to a key: the request must name it, in two ways.

    :raises ConfigurationError: (a ValueError) it does not.
    """
    if extra.token_type.lower() != "ssh-cert":
        return
    for name in ("req_cnf", "key_id"):
        if not extra.data.get(name):
            raise ConfigurationError(f"A request for an SSH certificate needs {name} in data")


def refuse_auth_scheme(auth_scheme: object) -> None:
    """Proof of possession is a broker's, which Keyfob has not.

    :raises BrokerNotSupported: (a ValueError) one is asked for.
    """
    if auth_scheme is not None:
        raise BrokerNotSupported("auth_scheme needs a broker, which Keyfob has not: leave it out")


def warn_of_authority(authority: object) -> None:
    if authority is not None:
        warnings.warn(
            "authority has no effect here: make another application for another authority",
            UserWarning,
            stacklevel=4,
        )


def warn_deprecated(name: str, instead: str) -> None:
    """Called by the verb itself, so that the warning names who called that."""
    warnings.warn(f"{name} is deprecated: use {instead}", DeprecationWarning, stacklevel=3)


def warn_of_password() -> None:
    """Likewise."""
    warnings.warn(
        "Passwords in a public client are deprecated: use acquire_token_interactive or "
        "initiate_device_flow",
        DeprecationWarning,
        stacklevel=3,
    )
