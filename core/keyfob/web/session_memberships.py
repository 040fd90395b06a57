"""What a signed-in person may do: their app roles, and their groups."""

from __future__ import annotations

from collections.abc import Collection

from keyfob.web.session_state import SessionState


class SessionMemberships(SessionState):
    """What a `WebSession` has for roles and groups."""

    def has_role(self, role: str) -> bool:
        """Whether the signed-in person has an app role, as of their sign-in; False for nobody.

        :raises InteractionRequired: the token store has lost this session.
        :raises StoreUnavailable: the token store cannot be reached.
        """
        return role in self.user.roles

    def in_group(self, group: str) -> bool:
        """Whether the signed-in person is in a group; False for nobody.

        :param group: a name in GROUPS, or an object id.
        :raises KeyfobError: as `groups_among`.
        """
        return bool(self.groups_among((group,)))

    def groups_among(self, groups: Collection[str]) -> frozenset[str]:
        """Those of the groups that the signed-in person is in; none for nobody. Where their claims
        do not say, Microsoft Graph is asked, and its answer kept for GROUPS_CACHE_SECONDS.

        :param groups: names in GROUPS, or object ids.
        :raises ConfigurationError: GROUPS has no such name.
        :raises GroupsUnknown: nobody can tell.
        :raises InteractionRequired: the session is lost, or the person must let the site ask.
        :raises KeyfobError: whatever else `token` raises.
        """
        own = self._members.groups_of(self.authority, groups)
        return self._site.groups.among(self, own) if own and self.user else frozenset()

    def all_groups(self) -> frozenset[str]:
        """All groups of the signed-in person, by object id or as their claims have them; none for
        nobody. Where the claims do not say, Microsoft Graph lists them, each time, page by page.
        Errors as `groups_among`.
        """
        return self._site.groups.all_of(self) if self.user else frozenset()

    def check_group_names(self, groups: Collection[str]) -> None:
        """:raises ConfigurationError: GROUPS has no such name."""
        self._members.groups_of(self.authority, groups)
