"""Everything that a token cache holds, to be looked at: expired tokens and special ones too."""

from __future__ import annotations

import json

from keyfob.cache import SerializableTokenCache
from keyfob.cache.entries import Entry


def kept(cache: SerializableTokenCache) -> dict[str, list[Entry]]:
    """The cache's entries by their sections, as copies. Whether it is to be saved stays as it is.

    `search` would leave out what only serves requests with parameters of their own, as
    on-behalf-of has.
    """
    changed = cache.has_state_changed
    document = json.loads(cache.serialize())
    if changed:
        cache.has_state_changed = True
    return {
        section: [entry for entry in entries.values() if isinstance(entry, dict)]
        for section, entries in document.items()
        if isinstance(entries, dict)
    }
