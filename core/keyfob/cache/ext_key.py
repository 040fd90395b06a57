"""The extended cache key: keeps tokens for different extra parameters apart."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

#: Parameters of a token request that never tell two tokens apart: they are the grant itself, prove
#: who asks, or have a field of their own in the entry.
EXCLUDED = frozenset(
    {
        "assertion",
        "claims",
        "client_assertion",
        "client_assertion_type",
        "client_id",
        "client_info",
        "client_secret",
        "code",
        "code_verifier",
        "device_code",
        "grant_type",
        "key_id",
        "password",
        "redirect_uri",
        "refresh_token",
        "req_cnf",
        "requested_token_use",
        "scope",
        "token_type",
        "user_federated_identity_credential",
        "user_id",
        "username",
    }
)


def compute_ext_cache_key(data: Mapping[str, object] | None) -> str:
    """The extended cache key of a token request, as all MSALs compute it.

    :param data: the form of the request, with MSAL's pseudo-field `client_claims` where claims
        were forwarded. Fields in `EXCLUDED` and empty ones do not count.
    :returns: the key, 43 characters in lower case; "" where no field counts.
    """
    parts = []
    for name in sorted(data or ()):
        value = (data or {})[name]
        if name not in EXCLUDED and value:
            parts += [_counted(name), _counted(str(value))]
    if not parts:
        return ""
    digest = hashlib.sha256(b"".join(parts)).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii").lower()


def _counted(text: str) -> bytes:
    # With its length in front, no two sets of parameters can run together into the same bytes.
    raw = text.encode("utf-8", "surrogatepass")
    return b"%d:%s" % (len(raw), raw)
