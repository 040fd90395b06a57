"""Proof of possession, as MSAL asks a broker for it. Keyfob has none, and says so when asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from keyfob.errors import ConfigurationError


@dataclass(frozen=True)
class PopAuthScheme:
    """A wish for a token that is bound to one request, as MSAL has it.

    Code that builds one goes on to work; the verbs that it is given to raise `BrokerNotSupported`.
    Ask `is_pop_supported()` first, as with MSAL.

    :param http_method: of the request, in upper case.
    :param url: the request's address.
    :param nonce: what the resource challenged with.
    :raises ConfigurationError: (a ValueError) one of them is missing, or is none.
    """

    HTTP_GET: ClassVar = "GET"
    HTTP_POST: ClassVar = "POST"
    HTTP_PUT: ClassVar = "PUT"
    HTTP_DELETE: ClassVar = "DELETE"
    HTTP_PATCH: ClassVar = "PATCH"

    http_method: str | None = None
    url: str | None = field(default=None, repr=False)
    nonce: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("http_method", "url", "nonce"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise ConfigurationError(f"{name} is missing, or not a text: all three are needed")
        methods = (
            self.HTTP_GET,
            self.HTTP_POST,
            self.HTTP_PUT,
            self.HTTP_DELETE,
            self.HTTP_PATCH,
        )
        if self.http_method not in methods:
            raise ConfigurationError(f"http_method is one of {', '.join(methods)}, in upper case")
