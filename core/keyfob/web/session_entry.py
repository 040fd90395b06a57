"""Our entry in the browser's session, and whether it still counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeGuard

from keyfob.web.document import is_key_of

#: Our one entry in the browser's session.
SESSION_KEY = "_keyfob"


class Waiting(NamedTuple):
    """An account that is signed in in this browser as well, and is not the one that is here.

    :ivar key: of its record; a secret. :ivar account: `Identity.key`. :ivar begun: when it signed
        in, in minutes since 1970.
    """

    key: str
    account: str
    begun: int

    def __repr__(self) -> str:
        return "<Waiting>"


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
    return _is_young_enough(entry.get("b"), rules)


def _is_young_enough(begun: object, rules: SessionRules) -> bool:
    if rules.session_max_age is None:
        return True
    # One without its beginning is from before there was such a limit, and may be of any age.
    return isinstance(begun, int) and rules.clock() < begun * 60 + rules.session_max_age


def waiting_in(
    entry: Mapping[str, Any], rules_of: Callable[[object], SessionRules]
) -> list[Waiting]:
    """The other accounts that our entry names, as far as they count still.

    :param rules_of: gives the rules for a record's key: accounts may be of several authorities.
    """
    found = entry.get("o")
    if not isinstance(found, list):
        return []
    return [
        Waiting(*each)
        for each in found
        if isinstance(each, (list, tuple))
        and len(each) == len(Waiting._fields)
        and is_key_of(rules_of(each[0]).tag, each[0])
        and isinstance(each[1], str)
        and isinstance(each[2], int)
        and _is_young_enough(each[2], rules_of(each[0]))
    ]


def waiting_after(
    before: Sequence[Waiting], current: Waiting | None, new: str, room: int
) -> tuple[list[Waiting], list[Waiting]]:
    """Who waits after a sign-in, newest first, and who does not stay.

    :param before: who waited.
    :param current: who was here and is to stay signed in, or None.
    :param new: the account that signed in, of which nothing older is kept.
    :param room: how many may wait.
    """
    candidates = [each for each in (current, *before) if each is not None]
    kept = [each for each in candidates if each.account != new][:room]
    return kept, [each for each in candidates if each not in kept]
