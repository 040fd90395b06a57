"""Microsoft's `client_info`: who somebody is in their home tenant, beside the tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyfob.protocol.unverified import json_object_in


def home_account_id_in(client_info: object) -> str | None:
    """`uid.utid`, MSAL's `home_account_id`; None where the text does not say it.

    It is not signed: whoever sent it said so, and no more.
    """
    return home_account_id_of(json_object_in(client_info) or {})


def home_account_id_of(info: Mapping[str, Any]) -> str | None:
    """As `home_account_id_in`, of what the text was decoded to."""
    uid, utid = info.get("uid"), info.get("utid")
    if not isinstance(uid, str) or not isinstance(utid, str) or not uid or not utid:
        return None
    return f"{uid}.{utid}"
