"""A token, and how long it lasts."""

from __future__ import annotations

from typing import NamedTuple

from keyfob.protocol.results import TokenResult


class TokenInfo(NamedTuple):
    """An access token, for whoever keeps it for a while.

    :ivar token: the token itself, which is not in the repr.
    :ivar expires_on: when it ends, in seconds since 1970.
    :ivar refresh_on: from when the provider would have it renewed, or None.
    """

    token: str
    expires_on: int
    refresh_on: int | None = None

    @classmethod
    def of(cls, result: TokenResult, now: float) -> TokenInfo:
        """Of what a verb gave, which counts from now.

        :param now: seconds since 1970.
        """
        expires_on = int(now) + result.get("expires_in", 0)
        return cls(result["access_token"], expires_on, result.get("refresh_on"))

    def __repr__(self) -> str:
        return f"TokenInfo(token=<hidden>, expires_on={self.expires_on})"
