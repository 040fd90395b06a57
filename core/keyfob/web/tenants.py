"""Whether the tenant of somebody who is signed in may still be here, where a function says so.

Those of a list need no such look: the list is in each session's key (`application._tag`).
"""

from __future__ import annotations

from collections.abc import Callable

from keyfob.protocol.id_token import TenantRule, tenant_is_allowed

#: Tenants whose admission is remembered.
_MAX_TENANTS = 1000


class TenantGate:
    """Asks the function in ALLOWED_TENANTS about signed-in people. Safe to share between threads.

    An admission is remembered for a while. A refusal is not: whoever is admitted a moment later,
    and signs in, must not be signed out again.

    :param rule: the setting.
    :param seconds: for how long an admission is remembered.
    """

    def __init__(self, rule: TenantRule | None, seconds: float, clock: Callable[[], float]) -> None:
        self._rule = rule if callable(rule) else None
        self._seconds = seconds
        self._clock = clock
        self._admitted: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<TenantGate {'with' if self.has_rule else 'without'} a function>"

    @property
    def has_rule(self) -> bool:
        """Whether there is anything to ask."""
        return self._rule is not None

    def admits(self, tenant: str) -> bool:
        """Whether people of this `tid` may stay.

        :raises TenantRuleError: the function gave no answer.
        """
        if self._rule is None:
            return True
        now = self._clock()
        asked = self._admitted.get(tenant)
        if asked is not None and 0 <= now - asked < self._seconds:
            return True
        self._admitted.pop(tenant, None)
        if not tenant_is_allowed(tenant or None, self._rule):
            return False
        while len(self._admitted) >= _MAX_TENANTS:
            # Another thread may have been quicker.
            self._admitted.pop(next(iter(list(self._admitted)), ""), None)
        self._admitted[tenant] = now
        return True
