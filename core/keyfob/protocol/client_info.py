"""Microsoft's `client_info`: who somebody is in their home tenant, beside the tokens."""

from __future__ import annotations

import base64
import re

from keyfob.protocol.http import strict_json

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+={0,2}")


def home_account_id_in(client_info: object) -> str | None:
    """`uid.utid`, MSAL's `home_account_id`; None where the text does not say it.

    It is not signed: whoever sent it said so, and no more.
    """
    if not isinstance(client_info, str) or not _BASE64URL.fullmatch(client_info):
        return None
    try:
        info = strict_json(base64.urlsafe_b64decode(client_info + "=" * (-len(client_info) % 4)))
    except ValueError:
        return None
    if not isinstance(info, dict):
        return None
    uid, utid = info.get("uid"), info.get("utid")
    if not isinstance(uid, str) or not isinstance(utid, str) or not uid or not utid:
        return None
    return f"{uid}.{utid}"
