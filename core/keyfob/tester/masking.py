"""Keeping secrets off the screen and out of the log. Pure.

Two lines of defence. What is known to be a token is shown masked, in its place; and whatever is
written at all is searched for every piece of every secret that was ever in this program's hands.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from keyfob.cache import SerializableTokenCache
from keyfob.tester.kept import kept

#: So many characters of a secret, in a row, are never shown.
RUN = 9
#: What is shown of a long one, so that kinds of tokens can be told apart.
_HEAD = 4
#: Shorter than this, even four characters would help somebody who guesses.
_LONG = 40
_HIDDEN = "…"

#: What is secret in a token response, or beside it in a cache.
SECRET_FIELDS = (
    "access_token",
    "refresh_token",
    "id_token",
    "device_code",
    "secret",
)


def masked(secret: str) -> str:
    """A secret's kind and size: `eyJ0…(1,482 characters)`; of a short one only the size."""
    size = f"{len(secret):,} character{'' if len(secret) == 1 else 's'}"
    return f"{secret[:_HEAD] if len(secret) >= _LONG else ''}{_HIDDEN}({size})"


def printable(text: str) -> str:
    """The text without what a terminal would take for commands; the ends of lines stay."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


class Secrets:
    """Everything that was secret since the program began, in pieces of `RUN` characters."""

    def __init__(self) -> None:
        self._runs: set[str] = set()

    def __repr__(self) -> str:
        return f"<Secrets: {len(self._runs)} pieces>"

    def add(self, *values: object) -> None:
        """Remember texts as secret. Other values, and texts shorter than `RUN`, are passed over:
        hiding those would make holes in everything."""
        for value in values:
            if isinstance(value, str):
                text = printable(value)
                self._runs.update(text[i : i + RUN] for i in range(len(text) - RUN + 1))

    def add_result(self, result: Mapping[str, Any] | None) -> None:
        """Remember what is secret in a token response, or in a device flow."""
        self.add(*((result or {}).get(name) for name in SECRET_FIELDS))

    def add_cache(self, cache: SerializableTokenCache) -> None:
        """Remember every token of a cache."""
        for entries in kept(cache).values():
            self.add(*(entry.get("secret") for entry in entries))

    def scrub(self, text: str) -> str:
        """The text without control characters, and without `RUN` characters of any secret."""
        text = printable(text)
        while True:
            # What is taken out may bring together what then is such a piece: rare, but no proof.
            scrubbed = self._scrub_once(text)
            if scrubbed == text:
                return text
            text = scrubbed

    def _scrub_once(self, text: str) -> str:
        hidden = bytearray(len(text))
        for start in range(len(text) - RUN + 1):
            if text[start : start + RUN] in self._runs:
                hidden[start : start + RUN] = b"\x01" * RUN
        if not any(hidden):
            return text
        return "".join(
            _HIDDEN if is_hidden else "".join(text[i] for i in places)
            for is_hidden, places in groupby(range(len(text)), key=hidden.__getitem__)
        )
