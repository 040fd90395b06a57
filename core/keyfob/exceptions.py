"""MSAL's names of errors, for code that catches them: `keyfob.errors` has the whole tree."""

from __future__ import annotations

from keyfob.errors import KeyfobError, ProviderUnavailable

#: What MSAL's own errors derive from.
MsalError = KeyfobError
#: The provider answered 5xx (or, here, 429).
MsalServiceError = ProviderUnavailable

__all__ = ["MsalError", "MsalServiceError"]
