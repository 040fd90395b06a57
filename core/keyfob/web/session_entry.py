"""Our entry in the browser's session, and whether it still counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeGuard

from keyfob.web.document import is_key_of

#: Our one entry in the browser's session.
SESSION_KEY = "_keyfob"


class SessionRules(Protocol):
    """What tells whether an entry in a browser's session still counts."""

    @property
    def clock(self) -> Callable[[], float]: ...
    @property
    def tag(self) -> str: ...
    @property
    def session_max_age(self) -> int | None: ...


def is_live_entry(entry: object, rules: SessionRules) -> TypeGuard[Mapping[str, Any]]:
    """Whether our entry in a browser's session is this site's, as it is set up now, and not older
    than a sign-in may be."""
    if not isinstance(entry, dict) or not is_key_of(rules.tag, entry.get("k")):
        return False
    if rules.session_max_age is None:
        return True
    begun = entry.get("b")
    # One without its beginning is from before there was such a limit, and may be of any age.
    return isinstance(begun, int) and rules.clock() < begun * 60 + rules.session_max_age
