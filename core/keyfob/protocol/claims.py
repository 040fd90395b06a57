"""The `claims` parameter: what a token must have or say (OpenID Connect Core §5.5).

Three sources come together in it: an API's claims challenge, what the client announces that it can
handle (`xms_cc`), and claims that a client forwards of its own accord.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from keyfob.errors import ConfigurationError
from keyfob.protocol.http import strict_json


def claims_object(text: object, name: str = "claims_challenge") -> dict[str, Any] | None:
    """A claims parameter, read; None where there is none.

    :param name: the argument's, for the message.
    :raises ConfigurationError: (a ValueError) it is not a JSON object, as text.
    """
    if text is None:
        return None
    try:
        # An API's words: they may be anything.
        document = strict_json(text.encode()) if isinstance(text, str) else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{name} is a JSON object, as text")
    return document


def claims_parameter(
    challenge: str | None,
    capabilities: Collection[str] = (),
    forwarded: str | None = None,
) -> str | None:
    """The `claims` to send, or None where there is nothing to say.

    A challenge that nothing is to be added to goes out word for word.

    :param challenge: an API's claims challenge, a JSON object as text.
    :param capabilities: what the client can handle, such as `cp1`.
    :param forwarded: more claims, a JSON object as text; they go before all others.
    :raises ConfigurationError: (a ValueError) one of the texts is no JSON object.
    """
    asked = claims_object(challenge)
    added = claims_object(forwarded, "forwarded_client_claims")
    if not capabilities and not added:
        return challenge if asked is not None else None
    merged: dict[str, Any] = asked or {}
    if capabilities:
        values = {"xms_cc": {"values": list(capabilities)}}
        merged = _merged(merged, {"access_token": values})
    return json.dumps(_merged(merged, added or {}))


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Both objects in one, member by member; where they disagree, `more` is right."""
    merged = dict(base)
    for name, value in more.items():
        held = merged.get(name)
        if isinstance(held, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(held, value)
        else:
            merged[name] = value
    return merged
