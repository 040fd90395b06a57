"""Which groups a signed-in person is in: by their claims, or by what Microsoft Graph says."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from keyfob.errors import GroupsUnknown, StoreError
from keyfob.protocol.authority import PERSONAL_ACCOUNTS_TENANT
from keyfob.protocol.memberships import MAX_CHECKED, claimed_groups, is_group_id
from keyfob.web.document import Document, hashed_record_key
from keyfob.web.graph_groups import GraphGroups
from keyfob.web.settings import Settings
from keyfob.web.settings_groups import group_of
from keyfob.web.tokens import TokenSite, tokens_lost

if TYPE_CHECKING:
    from keyfob.web.downstream import ApiSession

logger = logging.getLogger(__name__)

_GRAPH = "graph"
#: Answers that a session's record holds: about 60 bytes each.
_MAX_KEPT = 200

Answers = dict[str, tuple[int, bool]]


class Member(Protocol):
    """Whose groups are asked about; `WebSession` is one, where somebody is signed in."""

    def api(self, name: str) -> ApiSession: ...
    def document(self) -> Document | None: ...


class Groups:
    """Program life: what the settings say about groups, and how Graph is asked.

    :param sleep: waits for so many seconds.
    """

    def __init__(
        self,
        settings: Settings,
        site: TokenSite,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._named = settings.groups
        self._seconds = settings.groups_cache_seconds
        # Elsewhere at Microsoft (B2C, AD FS) there is no Graph that people may ask; and what other
        # providers call distributed claims leads to addresses that nobody here has chosen.
        kind = settings.authority.kind
        self._asks = kind in ("entra", "ciam") and _GRAPH in settings.downstream_apis
        self._site = site
        self._graph = GraphGroups(sleep=sleep)

    def __repr__(self) -> str:
        return f"<Groups: {len(self._named)} named>"

    def has(self, name: str) -> bool:
        """Whether a view may name a group so."""
        return name in self._named or is_group_id(name)

    def named(self, names: Collection[str]) -> dict[str, str]:
        """By what each of the groups is compared that a view names.

        :raises ConfigurationError: GROUPS has no such name.
        """
        return {name: group_of(self._named, name) for name in names}

    def among(self, member: Member, names: Collection[str]) -> frozenset[str]:
        """Those of the groups that the person is in.

        :param names: of GROUPS, or object ids.
        :raises ConfigurationError: GROUPS has no such name.
        :raises GroupsUnknown: nobody can tell.
        :raises InteractionRequired: the session is lost, or the person must let the site ask.
        :raises KeyfobError: whatever a call to an API raises.
        """
        compared = self.named(names)
        held = self._held(member, frozenset(compared.values()))
        return frozenset(name for name, group in compared.items() if group in held)

    def all_of(self, member: Member) -> frozenset[str]:
        """All groups of the person, as the claims or Graph call them. Nothing is remembered: such
        a list has no bound. Errors as `among`."""
        document = _document(member)
        claimed = claimed_groups(document.claims)
        if claimed.is_complete:
            return claimed.names
        if not self._may_ask(document.claims, is_silent=claimed.is_silent):
            return frozenset()
        # The lookup has a patience of its own.
        graph = member.api(_GRAPH).without_retries()
        return self._graph.all_of(graph, whose=hashed_record_key(document.key))

    def _held(self, member: Member, wanted: frozenset[str]) -> frozenset[str]:
        document = _document(member)
        claimed = claimed_groups(document.claims)
        if claimed.is_complete:
            return wanted & claimed.names
        if not self._may_ask(document.claims, is_silent=claimed.is_silent):
            return frozenset()
        ids = frozenset(filter(is_group_id, wanted))
        if ids != wanted and not claimed.is_silent:
            raise GroupsUnknown(
                "The person is in more groups than the claims have room for, and Microsoft Graph "
                "can be asked about object ids only: GROUPS must have those in the place of names",
                code="groups_not_asked",
            )
        known = self._fresh(document)
        if not ids <= known.keys():
            known = self._asked(member, document.key, ids)
        return frozenset(group for group in ids if known[group][1])

    def _may_ask(self, claims: Mapping[str, Any], *, is_silent: bool) -> bool:
        """False where there is nothing to ask about: the person is in no group."""
        if self._asks and claims.get("tid") != PERSONAL_ACCOUNTS_TENANT:
            return True
        if is_silent:
            return False
        raise GroupsUnknown(
            "The claims do not say which groups the person is in, but where else to ask, and that "
            "is not followed: the provider must put all of them into the claim `groups`",
            code="groups_not_asked",
        )

    def _fresh(self, document: Document) -> Answers:
        now = self._site.clock()
        return {
            group: answer
            for group, answer in document.groups.items()
            if 0 <= now - answer[0] < self._seconds
        }

    def _asked(self, member: Member, key: str, ids: frozenset[str]) -> Answers:
        """Answers to all of these: whoever asks at the same time waits for the same ones."""
        with self._site.in_turn(f"groups {key}"):
            document = self._site.documents.read(key)
            if document is None:
                raise tokens_lost(())
            known = self._fresh(document)
            missing = ids - known.keys()
            if missing:
                asked = self._with_others(missing, known)
                now = int(self._site.clock())
                whose = hashed_record_key(key)
                graph = member.api(_GRAPH).without_retries()
                held = self._graph.check(graph, asked, whose=whose)
                known |= {group: (now, group in held) for group in asked}
                self._keep(key, known)
            return known

    def _with_others(self, missing: frozenset[str], known: Answers) -> frozenset[str]:
        """What else the site will want to know, as far as there is room in the same request."""
        room = max(0, MAX_CHECKED - len(missing))
        others = sorted(
            group
            for group in set(self._named.values()) - missing - known.keys()
            if is_group_id(group)
        )
        return missing.union(others[:room])

    def _keep(self, key: str, answers: Answers) -> None:
        """For the session's other requests, wherever they are served. Without, they ask again."""
        if self._seconds <= 0:
            return
        newest = list(answers.items())[-_MAX_KEPT:]  # in the order in which they were asked for
        try:
            with self._site.alone(key):
                document = self._site.documents.fresh(key)
                if document is None:
                    raise tokens_lost(())
                document.groups = dict(newest)
                self._site.documents.replace(document, self._site.document_expiry())
        except StoreError as error:
            logger.warning("What was found out about groups could not be kept: %s", error)


def _document(member: Member) -> Document:
    document = member.document()
    if document is None:
        raise tokens_lost(())
    return document
