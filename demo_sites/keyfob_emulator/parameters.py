"""The parameters of one request, read the way RFC 6749 section 3.1 wants them read."""

from __future__ import annotations

from collections.abc import Mapping

from keyfob_emulator.errors import problem


class Parameters:
    """Parameters by name. One without a value counts as left out; none may be repeated."""

    def __init__(self, values: Mapping[str, list[str]]) -> None:
        self._values = values

    def get(self, name: str) -> str | None:
        """The parameter's value, None when left out, AADSTS9000411 when sent twice."""
        values = self._values.get(name, [])
        if len(values) > 1:
            raise problem(9000411, parameter=name)
        return values[0] or None if values else None

    def require(self, name: str) -> str:
        """The parameter's value, AADSTS900144 when left out."""
        value = self.get(name)
        if value is None:
            raise problem(900144, parameter=name)
        return value

    def refuse_repeated(self) -> None:
        """AADSTS9000411 when any parameter was sent more than once."""
        for name in self._values:
            self.get(name)
