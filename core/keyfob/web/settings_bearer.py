"""The settings of a site that is a web API: what its callers' tokens may say."""

from __future__ import annotations

import json
import re

from keyfob.errors import ConfigurationError
from keyfob.protocol.encrypted_token import DecryptionKeys
from keyfob.protocol.scopes import is_scope
from keyfob.web import settings_values as values
from keyfob.web.settings_values import UnfitValue

_PEM = re.compile(r"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----", re.DOTALL)


def names(value: object) -> frozenset[str]:
    """A list that says who, or what, is accepted; an empty one would mean nobody."""
    found = frozenset(values.items(value))
    if not found:
        raise UnfitValue("is an empty list, which accepts nothing; leave it out for the default")
    return found


def api_scopes(value: object) -> tuple[str, ...]:
    found = values.items(value)
    for each in found:
        if not is_scope(each):
            raise UnfitValue(f"has {values.shown(each)} in it, which is not one scope")
    return found


def decryption_keys(value: object) -> tuple[str, ...]:
    """PEM texts: a list, the JSON of one, or one text with several after each other."""
    found = [value] if isinstance(value, str) else value
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            raise UnfitValue("begins with '[' and is not a JSON list") from None
    if not isinstance(found, (list, tuple)) or not all(isinstance(each, str) for each in found):
        raise UnfitValue("must be a list of private keys in PEM, as texts")
    pems = tuple(pem for each in found for pem in _PEM.findall(each))
    if len(pems) < len(found) or not pems:
        raise UnfitValue("has a text in it that is no key in PEM ('-----BEGIN PRIVATE KEY-----')")
    try:
        DecryptionKeys(pems).check()
    except ConfigurationError as error:
        raise UnfitValue(str(error).removeprefix("TOKEN_DECRYPTION_KEYS ")) from None
    return pems
