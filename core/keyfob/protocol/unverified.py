"""What stands in a token or beside it, read without asking who wrote it.

None of it is to be believed, unless it was verified before: as of a token in our own cache.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from keyfob.protocol.http import strict_json

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+={0,2}")


def json_object_in(part: object, *, unique_names: bool = False) -> dict[str, Any] | None:
    """The JSON object in a piece of base64url (RFC 7515 §2), or None where there is none.

    :param unique_names: as in `strict_json`.
    """
    if not isinstance(part, str) or not _BASE64URL.fullmatch(part):
        return None
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        value = strict_json(raw, unique_names=unique_names)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def unverified_claims(jwt: object) -> dict[str, Any] | None:
    """The claims of a JWT, or None where it is none that can be read."""
    parts = jwt.split(".") if isinstance(jwt, str) else []
    return json_object_in(parts[1]) if len(parts) > 1 else None
