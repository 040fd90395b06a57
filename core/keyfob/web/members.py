"""The authorities of one site: which of them a request is about.

Each is served by a `WebApplication` of its own, with its own client, keys and records. An address
names one (`auth/login/customers`), and so does the record that a browser's session names. Each has
a redirect URI of its own, so that no answer of one can pass for another's (RFC 9700 §4.4, mix-up).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from keyfob.errors import ConfigurationError
from keyfob.web.attached import AttachedApis
from keyfob.web.session_entry import SESSION_KEY

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication


class Members:
    """The site's own authority, and the further ones by name.

    :param default: serves where no other is named.
    :param others: by name.
    """

    def __init__(self, default: WebApplication, others: Mapping[str, WebApplication]) -> None:
        self.all = (default, *others.values())
        #: The site's own authority, where there is no other: most sites need not look.
        self.only = None if others else default
        self._default = default
        self._others = others
        self._by_tag = {member.tag: member for member in self.all}
        if len(self._by_tag) < len(self.all):
            raise ConfigurationError(
                "AUTHORITIES has the same CLIENT_ID at the same authority twice",
                setting="AUTHORITIES",
            )
        self._tag_length = len(default.tag)
        #: Where requests have tokens ready, whichever authority's API it is.
        self.attached = AttachedApis.of_all([member.attached for member in self.all])

    def __repr__(self) -> str:
        return f"<Members {', '.join(member.name or 'default' for member in self.all)}>"

    def find(self, name: str) -> WebApplication | None:
        """The authority of that name, "" for the site's own; None where there is none."""
        return self._others.get(name) if name else self._default

    def named(self, name: str) -> WebApplication:
        """As `find`, for a name that a developer wrote.

        :raises ConfigurationError: there is none.
        """
        found = self.find(name)
        if found is None:
            known = ", ".join(sorted(self._others)) or "none"
            raise ConfigurationError(
                f"There is no authority {name!r}; AUTHORITIES has {known}", setting="AUTHORITIES"
            )
        return found

    def groups_of(self, authority: str, names: Collection[str]) -> list[str]:
        """Those of the groups' names that an authority has. Of what only another one has, nobody
        of this one is a member, and to ask is no mistake: one page may serve the people of all.

        :raises ConfigurationError: no GROUPS has such a name.
        """
        groups = self.named(authority).groups
        own = [name for name in names if groups.has(name)]
        groups.named([name for name in names if not any(m.groups.has(name) for m in self.all)])
        return own

    def with_flow(self, member: WebApplication, flow: str) -> WebApplication:
        """The authority itself, where it has such a user flow, or else the first one that has.

        :raises ConfigurationError: no USER_FLOWS has it.
        """
        having = (each for each in (member, *self.all) if flow in each.settings.user_flows)
        found = next(having, member)
        found.settings.check_user_flow(flow)
        return found

    def of_key(self, key: object) -> WebApplication:
        """The authority whose record this is; the site's own for what is nobody's."""
        tag = key[: self._tag_length] if isinstance(key, str) else ""
        return self._by_tag.get(tag, self._default)

    def of_session(self, session: Mapping[str, Any]) -> WebApplication:
        """Who signed in the person that is here; the site's own where nobody is."""
        if not self._others:
            return self._default
        entry = session.get(SESSION_KEY)
        return self.of_key(entry.get("k") if isinstance(entry, dict) else None)

    def having(self, api: str, at: WebApplication) -> str | None:
        """The authority whose people's token an API takes, where those of the one here have no such
        API; None where they have, or nobody has.

        :param at: the authority of who is here.
        """
        for member in (at, *self.all):
            found = member.find_api(api)
            if found is not None:
                return None if member is at or found.app_only else member.name
        return None

    def attaching(self, path: str) -> WebApplication:
        """Whose people a path is for where nobody is signed in: the first authority's that has a
        person's token ready there; the site's own where none has."""
        for member in self.all:
            for name in member.attached.names(path):
                if not member.api_settings(name).app_only:
                    return member
        return self._default
