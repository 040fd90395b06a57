"""A token cache that can be written down and read again, in MSAL's form."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from keyfob.cache.index import Document
from keyfob.cache.token_cache import TokenCache
from keyfob.errors import TokenCacheError

#: Deeper nesting is refused on the way in, so that it cannot fail on the way out. Ours is 3 deep.
MAX_DEPTH = 64


class SerializableTokenCache(TokenCache):
    """A `TokenCache` with a serialised form, which MSAL reads, and which reads MSAL's.

    It stores nothing itself. Whoever does loads with `deserialize`, and, when
    `has_state_changed`, saves what `serialize` returns.

    Sections, entries and fields that are not known are kept.

    :param clock: tells the seconds since 1970, wherever a method is not told `now`.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock=clock)
        self._saved_revision = 0

    @property
    def has_state_changed(self) -> bool:
        """Whether anything changed since the last `serialize` or `deserialize`.

        It can be set: to True after a save that failed.
        """
        with self._lock:
            return self._revision != self._saved_revision

    @has_state_changed.setter
    def has_state_changed(self, changed: bool) -> None:
        with self._lock:
            self._saved_revision = -1 if changed else self._revision

    def serialize(self) -> str:
        """The whole cache as JSON, secrets and all; a change that it has not in it sets
        `has_state_changed` again."""
        with self._lock:
            text = json.dumps(self._document.sections, indent=4)
            self._saved_revision = self._revision
            return text

    def deserialize(self, state: str | bytes | None) -> None:
        """Put what `serialize` returned, here or in MSAL, in the place of all that is held.

        :param state: the JSON; None or "" for an empty cache.
        :raises TokenCacheError: it is no token cache. What was held is held still.
        """
        sections, error = _parsed(state) if state else ({}, None)
        if error is not None:
            # Raised here, where no JSONDecodeError, with the document in it, is its context.
            raise error
        document = Document(sections)
        with self._lock:
            self._replace(document)
            self._saved_revision = self._revision


def _parsed(state: str | bytes) -> tuple[dict[str, Any], TokenCacheError | None]:
    """The document in `state`, or what is wrong with it."""
    try:
        document = json.loads(state)
    except json.JSONDecodeError as error:
        return {}, TokenCacheError(
            f"The serialised token cache is not JSON: {error.msg}, line {error.lineno}, "
            f"column {error.colno}",
            pos=error.pos,
            lineno=error.lineno,
            colno=error.colno,
        )
    except (ValueError, TypeError, RecursionError) as error:
        # Bytes that are no text, numbers past Python's limit, no text at all, or a deep nest.
        return {}, TokenCacheError(
            f"The serialised token cache cannot be read ({type(error).__name__})"
        )
    if not isinstance(document, dict):
        return {}, TokenCacheError("The serialised token cache is not a JSON object")
    if _is_deeper_than(document, MAX_DEPTH):
        return {}, TokenCacheError(
            f"The serialised token cache is nested more than {MAX_DEPTH} deep"
        )
    return document, None


def _is_deeper_than(value: Any, depth: int) -> bool:
    """Whether a JSON value is nested more than `depth` deep; level by level, not recursively."""
    level = [value]
    while level and depth:
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
        depth -= 1
    return bool(level)
