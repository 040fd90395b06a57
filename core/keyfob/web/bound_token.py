"""A token that is attached to calls: where it may go, and what a refusal of it is answered with.

For every HTTP client the same; `downstream_auth` and `downstream_httpx` only translate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from keyfob.errors import DownstreamError
from keyfob.protocol.urls import origin
from keyfob.protocol.www_authenticate import claims_challenge
from keyfob.web.renewals import ENOUGH


class GiveToken(Protocol):
    """Gives an access token; a new one from the provider where it is asked for that.

    `claims` is an API's claims challenge, a JSON object as text, or "".
    """

    def __call__(self, *, new: bool, claims: str = "") -> str: ...


class AttachedToken:
    """The token for one API, and nobody else.

    :param give: gives the token; asked at each call.
    :param allowed_origin: scheme, host and port that it may go to, as `urls.origin` writes them.
    :param clock: seconds that only grow.
    """

    def __init__(
        self, give: GiveToken, allowed_origin: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._give = give
        self._origin = allowed_origin
        self._root = f"{allowed_origin}/"
        self._clock = clock
        #: The header that the last refusal brought, what it was refused for, and when.
        self._brought = ("", "", 0.0)

    def __repr__(self) -> str:
        return f"<AttachedToken for {self._origin}>"

    def is_for(self, url: str) -> bool:
        """Whether the token may go to this address: to exactly its own origin (RFC 6454 §4)."""
        if url.startswith(self._root):
            return True  # whatever follows it; the usual case
        try:
            return origin(url) == self._origin
        except ValueError:
            return False

    def header(self, url: str, given: str | None) -> str:
        """The value of `Authorization` for a call.

        :param given: such a header that the caller has set.
        :raises DownstreamError: the address is another's, or the caller sends something else.
        :raises KeyfobError: whatever giving a token raises.
        """
        if not self.is_for(url):
            raise DownstreamError(f"The token is for {self._origin} only", code="foreign_origin")
        if given is not None:
            raise DownstreamError(
                f"The header Authorization is set by hand, and the token for {self._origin} "
                "belongs there; leave it out, or pass auth= for this call",
                code="authorization",
            )
        return f"Bearer {self._give(new=False)}"

    def after_refusal(self, sent: str, www_authenticate: Sequence[str]) -> str | None:
        """The header for one more attempt, after an API answered 401.

        With a claims challenge the new token is one for those claims.

        :param sent: the header that was refused.
        :param www_authenticate: the answer's headers of that name (RFC 6750 §3).
        :returns: None where a new token was had for the same reason a moment ago, or there is no
            other one.
        :raises InteractionRequired: only the person can get it; with the challenge as `claims`.
        :raises KeyfobError: whatever giving a token raises.
        """
        claims = claims_challenge(www_authenticate)
        brought, why, at = self._brought
        if sent == brought and claims == why and self._clock() - at < ENOUGH:
            return None
        token = self._give(new=True, claims=claims) if claims else self._give(new=True)
        header = f"Bearer {token}"
        self._brought = (header, claims, self._clock())
        return header if header != sent else None
