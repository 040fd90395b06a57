"""Who is here, and tokens for them: one object for one request, lazy, closed with it."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Collection, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from keyfob.errors import (
    IdTokenError,
    InteractionRequired,
    StoreError,
    StoreUnavailable,
    SubjectChangedError,
)
from keyfob.protocol.results import TokenResult
from keyfob.web import proofs, rounds
from keyfob.web.attached import AttachedApis, AttachedTokens
from keyfob.web.caller import Caller
from keyfob.web.document import Document
from keyfob.web.groups import Groups
from keyfob.web.identity import Identity, User, session_claims
from keyfob.web.metrics import SIGN_OUTS
from keyfob.web.refused_token import refused_token
from keyfob.web.session_calls import CallSite, SessionCalls
from keyfob.web.session_entry import (
    SESSION_KEY,
    SessionRules,
    Waiting,
    is_live_entry,
    waiting_in,
)
from keyfob.web.tenants import TenantGate
from keyfob.web.token_info import TokenInfo
from keyfob.web.tokens import SessionTokens, tokens_lost
from keyfob.web.whose import ApiSite, OtherTokens, wanted_scopes

if TYPE_CHECKING:
    from keyfob.web.downstream import ApiSession

logger = logging.getLogger(__name__)

#: The part of a session's life after which its record's end moves along.
_MOVE_AFTER = 0.1
#: What a refreshed ID token may say that leaves nobody signed in: it is somebody else, or of a
#: tenant that is not let in any more.
ENDS_THE_SIGN_IN = frozenset({SubjectChangedError.code, "tenant_not_allowed"})


class SiteMembers(Protocol):
    """The authorities of a site; `members.Members` is one."""

    def of_session(self, session: Mapping[str, Any], /) -> Site: ...
    def of_key(self, key: object, /) -> Site: ...
    def named(self, name: str, /) -> Site: ...
    def groups_of(self, authority: str, names: Collection[str], /) -> list[str]: ...
    @property
    def attached(self) -> AttachedApis: ...
    def attaching(self, path: str, /) -> Site: ...


class Site(ApiSite, SessionRules, CallSite, Protocol):
    """What a session needs of the program's life; `WebApplication` is one."""

    @property
    def account_check_interval(self) -> int | None: ...
    @property
    def leeway(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def members(self) -> SiteMembers: ...
    @property
    def attached(self) -> AttachedApis: ...
    @property
    def groups(self) -> Groups: ...
    @property
    def tenant_gate(self) -> TenantGate: ...


class WebSession(SessionCalls):
    """The browser's session as Keyfob sees it. Nothing is read before it is asked for.

    Flask has it as `g.keyfob`, Django as `request.keyfob`.
    """

    def __init__(self, site: Site, session: MutableMapping[str, Any]) -> None:
        self._members = site.members
        self._session = session
        self._tokens: SessionTokens | None = None
        self._user: User | None = None
        self._others = OtherTokens(site.members.named(""))
        #: The tokens of this request that are ready, by API (see `tokens`).
        self._ready: dict[str, str] = {}
        self._is_admitted = False

    def __repr__(self) -> str:
        return "<WebSession>"

    @property
    def _site(self) -> Site:
        """Of the authority that signed in who is here."""
        if self._others.caller is not None:
            return self._members.named("")  # callers of our API come by the site's own
        return self._members.of_session(self._session)

    @property
    def authority(self) -> str:
        """Who signed in the person that is here: a name in AUTHORITIES, "" for the site's own."""
        return self._site.name

    @property
    def call_site(self) -> Site:
        return self._site

    @property
    def tenant(self) -> str:
        return self.user.tid if self.caller is None else self.caller.tid

    @property
    def user(self) -> User:
        """Who is here; false where nobody is signed in. Reads no store."""
        return self.named

    @property
    def named(self) -> User:
        """Whom the browser's session names, also where a framework knows that it is in doubt."""
        if self._user is None:
            entry = self._entry()
            key = entry.get("a") if entry else None
            claims = entry.get("c") if entry else None
            self._user = User(
                key if isinstance(key, str) else None,
                claims if isinstance(claims, dict) else {},
                self._claims,
                complete=bool(entry) and "p" not in (entry or {}),
            )
        return self._user

    @property
    def caller(self) -> Caller | None:
        """Who calls this site as an API, once a bearer check passed in this request."""
        return self._others.caller

    def act_for(self, caller: Caller) -> None:
        """Let the request be this caller's. Whom the browser's session names counts no more: what
        is asked of a caller must never be answered with a cookie's rights."""
        self._others.caller = caller
        self._tokens, self._user = None, None
        self._ready.clear()

    @property
    def is_signed_in(self) -> bool:
        return self._entry() is not None

    @property
    def mark(self) -> str:
        """What tells this sign-in from every other, and is no secret; "" where nobody is here."""
        key = self._key()
        if key is None:
            return ""
        return base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()[:9]).decode()

    def require(
        self,
        *,
        api: str | None = None,
        scopes: Collection[str] | None = None,
        authority: str | None = None,
    ) -> None:
        """What a guarded view asks before it runs. Returns where it may.

        :param api: a downstream API whose token must be at hand, or to be had without the person.
        :param scopes: the same for scopes of no API of the settings.
        :param authority: who must have signed the person in: a name in AUTHORITIES, "" for the
            site's own; None for any.
        :raises InteractionRequired: nobody is signed in, or the sign-in was ended elsewhere, or
            the token needs the person.
        :raises IdTokenError: people of their tenant may not be here any more; they are signed out.
        :raises KeyfobError: whatever `token` raises.
        """
        tokens = self._of_session()
        if authority is not None and (tokens is None or self.authority != authority):
            self._members.named(authority)
            raise InteractionRequired(
                "The page is for people whom another authority signs in",
                authority=authority,
                code="not_signed_in",
            )
        if tokens is not None:
            self._check_tenant()
            self._check_account(tokens)
        asks_token = api is not None or scopes is not None
        own = self._others.own(self._site, api, None)
        if asks_token and self.caller is None and own is None:
            self.token(api=api, scopes=scopes)
            return
        # Another's token says nothing of who is signed in here.
        if tokens is None:
            raise InteractionRequired("Nobody is signed in", code="not_signed_in")
        if not tokens.is_recorded():
            raise tokens_lost(())
        if asks_token:
            self.token(api=api, scopes=scopes)
        self._end_round(())
        self._stay()

    def require_context(self, context: str) -> None:
        """What a view asks that wants a stronger proof: the caller's, where one called, or else
        the signed-in person's.

        :param context: an authentication context, `c1` to `c99`.
        :raises StepUpRequired: the caller's token does not have it.
        :raises InteractionRequired: the person's ID token does not, or not any more.
        :raises KeyfobError: whatever `require` raises.
        """
        if self.caller is not None:
            proofs.judge_caller(self.caller, context)
            return
        wanted = proofs.claims_request("id_token", context)
        self._require_with(claims=wanted)
        now, leeway = self._site.clock(), self._site.leeway
        proofs.judge_context(self._claims(), context, now=now, leeway=leeway)
        self._end_round((), wanted)

    def require_recent(self, max_age: int, *, authority: str | None = None) -> None:
        """What a view asks that wants a fresh proof of the signed-in person.

        :param max_age: seconds since they proved themselves, beyond LEEWAY.
        :param authority: as in `require`.
        :raises InteractionRequired: it was longer ago, or their ID token does not say when.
        :raises KeyfobError: whatever `require` raises.
        """
        self._require_with(max_age=max_age, authority=authority)
        now, leeway = self._site.clock(), self._site.leeway
        proofs.judge_recent(self._claims(), max_age, now=now, leeway=leeway)
        self._end_round((), new=True)

    def _require_with(
        self, *, claims: str = "", max_age: int | None = None, authority: str | None = None
    ) -> None:
        """As `require`; who has to sign in does it with what is wanted next, in one trip."""
        try:
            self.require(authority=authority)
        except InteractionRequired as error:
            if error.code == "not_signed_in":
                error.claims, error.max_age = claims, max_age
            raise

    def keep(self) -> None:
        """What `require` does for the sign-in itself, for guards that know no more than the
        framework's user. Where store or provider cannot be reached, the sign-in goes on.

        :raises InteractionRequired: nobody is signed in, or the sign-in was ended elsewhere, or
            the account may not be here any more.
        :raises IdTokenError: the provider answered wrongly. If it was about somebody else, or
            people of their tenant may not be here any more, the sign-in is over.
        :raises TenantRuleError: whether they may, nobody can tell.
        """
        tokens = self._of_session()
        if tokens is None:
            raise InteractionRequired("Nobody is signed in", code="not_signed_in")
        self._check_tenant()
        self._check_account(tokens)
        if not tokens.is_recorded():
            raise tokens_lost(())
        self._stay()

    def _check_tenant(self) -> None:
        """Whoever came in while their tenant was admitted is out once it is not."""
        gate = self._site.tenant_gate
        if not gate.has_rule or self._is_admitted:
            return
        if not gate.admits(self.named.tid.lower()):
            error = IdTokenError(
                "People of this organisation may not be here any more", code="tenant_not_allowed"
            )
            self._end_where_due(error, channel="tenant")
            raise error
        self._is_admitted = True

    def _check_account(self, tokens: SessionTokens) -> None:
        interval = self._site.account_check_interval
        if not interval:
            return
        try:
            tokens.check_account(interval)
        except StoreUnavailable as error:
            logger.warning("Nobody can tell whether an account may still sign in: %s", error)
        except IdTokenError as error:
            self._end_where_due(error)
            raise

    def token(
        self,
        *,
        api: str | None = None,
        scopes: Collection[str] | None = None,
        force_refresh: bool = False,
        claims: str | None = None,
        app_only: bool | None = None,
    ) -> str:
        """An access token of the signed-in person; on behalf of the caller, where the request came
        with a bearer token that was proven; or the application's own.

        :param api: the name of a downstream API of the settings; or
        :param scopes: what the token must be good for.
        :param force_refresh: a new one from the provider, whatever is at hand.
        :param claims: an API's claims challenge, as JSON text.
        :param app_only: whether the application's own is wanted; None for what the API's settings
            say. Nobody need be signed in for it.
        :raises CallerMustInteract: only the caller can get it, in their own application.
        :raises PermissionMissing: an application calls, and the token is to be a person's.
        :raises InteractionRequired: only the person can get it, by signing in or consenting.
        :raises SubjectChangedError: the provider answered about somebody else; the sign-in is over.
        :raises IdTokenError: their tenant may not be here any more; the sign-in is over.
        :raises TokenResponseError: the provider refused, for a reason that is the site's.
        :raises ConfigurationError: there is no such API, or no such scope.
        :raises StoreUnavailable: the token store cannot be reached.
        :raises TransportError: the provider cannot be reached.
        """
        return self._token(api, scopes, force_refresh, claims, app_only)["access_token"]

    def token_info(
        self,
        *,
        api: str | None = None,
        scopes: Collection[str] | None = None,
        force_refresh: bool = False,
        claims: str | None = None,
    ) -> TokenInfo:
        """As `token`, with the times for whoever keeps it for a while."""
        found = self._token(api, scopes, force_refresh, claims, None)
        expires_on = int(self._site.clock()) + found.get("expires_in", 0)
        return TokenInfo(found["access_token"], expires_on, found.get("refresh_on"))

    def _token(
        self,
        api: str | None,
        scopes: Collection[str] | None,
        force_refresh: bool,
        claims: str | None,
        app_only: bool | None,
    ) -> TokenResult:
        if force_refresh or claims:
            self._ready.pop(api or "", None)
        other = self._others.result(
            self._site,
            api=api,
            scopes=scopes,
            force_refresh=force_refresh,
            claims=claims,
            app_only=app_only,
        )
        if other is not None:
            return other
        wanted = wanted_scopes(self._site, api, scopes)
        tokens = self._of_session()
        if tokens is None:
            raise InteractionRequired(
                "Nobody is signed in", scopes=wanted, api=api or "", code="not_signed_in"
            )
        self._check_tenant()
        result = None if force_refresh or claims else tokens.at_hand(wanted)
        if result is None:
            result = self._renewed(tokens, wanted, api, force_refresh, claims)
        if result is not None and "access_token" in result:
            self._end_round(wanted, claims or "", new=force_refresh)
            self._stay()
            return result
        raise refused_token(
            result, wanted, api=api or "", claims=claims or "", force_refresh=force_refresh
        )

    def api(self, name: str) -> ApiSession:
        """A `requests.Session` for a downstream API, with its address and the token that `token`
        gives for it.

        :param name: as in DOWNSTREAM_APIS.
        :raises ConfigurationError: there is no such API.
        """
        own = self._others.own(self._site, name, None)
        if own is not None:
            return own.api(name)
        site = self._site if self.caller is None else self._members.named("")
        return site.api_session(self, site.api_settings(name))

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

    @property
    def tokens(self) -> AttachedTokens:
        """The tokens that are ready in this request, by API; others are had when asked for."""
        return AttachedTokens(self._ready, self.token)

    def attach(self, path: str) -> None:
        """Have the tokens ready that a request has for its path, before a view runs (`attach_to`):
        of the APIs of who signed in the person, and the application's own.

        :param path: as `AttachedApis` has it.
        :raises KeyfobError: whatever `require` and `token` raise.
        """
        site = self._members.attaching(path) if self._key() is None else self._site
        for name in self._members.attached.names(path):
            own = self._others.own(site, name, None)
            if own is not None:
                self._ready[name] = own.token(api=name)
            elif name in site.attached.names(path):
                if site is not self._site:
                    raise InteractionRequired(
                        "Nobody is signed in",
                        scopes=site.api_settings(name).scopes,
                        api=name,
                        authority=site.name,
                        code="not_signed_in",
                    )
                self.require(api=name)
                self._ready[name] = self.token(api=name)

    @property
    def waiting(self) -> list[Waiting]:
        """The other accounts of this browser, newest first."""
        entry = self._entry()
        return waiting_in(entry, self._members.of_key) if entry else []

    def current(self) -> Waiting | None:
        """The account that is here, as it would wait; None where nobody is."""
        entry = self._entry()
        if entry is None or not isinstance(entry.get("a"), str):
            return None
        begun = entry.get("b")
        return Waiting(entry["k"], entry["a"], begun if isinstance(begun, int) else 0)

    def drop(self, other: Waiting) -> None:
        """End an account that waits: here, and in the token store if it can be reached."""
        entry = self._entry()
        if entry is not None:
            left = [list(each) for each in self.waiting if each != other]
            rest = {name: value for name, value in entry.items() if name != "o"}
            self._session[SESSION_KEY] = {**rest, "o": left} if left else rest
        self._delete(other.key)

    def begin(
        self,
        document_key: str,
        identity: Identity,
        *,
        begun: int | None = None,
        waiting: Sequence[Waiting] = (),
    ) -> None:
        """Write a sign-in into the browser's session, as the one that is here.

        :param begun: when it began, in minutes since 1970, where that is not now.
        :param waiting: the other accounts of this browser.
        """
        counted = (self._entry() or {}).get("r")
        kept, complete = session_claims(identity.claims)
        since = int(self._site.clock() // 60) if begun is None else begun
        entry: dict[str, Any] = {
            "k": document_key,
            "a": identity.key,
            "c": kept,
            # Of one that waited, the record's end may be near: the next guarded page moves it.
            "e": since,
            "b": since,
        }
        if waiting:
            entry["o"] = [list(each) for each in waiting]
        if not complete:
            entry["p"] = 1
        if counted:
            entry["r"] = counted
        self._session[SESSION_KEY] = entry
        self._tokens, self._user, self._is_admitted = None, None, False
        self._ready.clear()

    def document(self) -> Document | None:
        """The token document, read once a request; None where nobody is signed in, or it is lost.

        :raises StoreUnavailable: the token store cannot be reached.
        """
        tokens = self._of_session()
        return None if tokens is None else tokens.document()

    def forget(self) -> None:
        """End the sign-in, of all accounts: here, and in the token store if it can be reached."""
        keys = [self._key(), *(each.key for each in self.waiting)]
        self._session.pop(SESSION_KEY, None)
        self._tokens, self._user = None, None
        self._ready.clear()
        for key in keys:
            if key is not None:
                self._delete(key)

    def _delete(self, key: str) -> None:
        try:
            self._members.of_key(key).documents.delete(key)
        except StoreError as error:
            # The session no longer names the record; it expires by itself.
            logger.warning("A sign-out could not empty the token store: %s", error)

    def count_round(self, wanted: str) -> bool:
        """Count one more trip to the provider; False where that goes in circles.

        :param wanted: what the trip is to bring, as `rounds.want` names it.
        """
        counted = rounds.begun((self._entry() or {}).get("r"), wanted, self._site.clock())
        self._write_rounds(counted)
        return counted is not None

    def _end_round(self, scopes: Collection[str], claims: str = "", *, new: bool = False) -> None:
        before = (self._entry() or {}).get("r")
        if before is not None:
            wanted = rounds.want(scopes, claims, new=new)
            self._write_rounds(rounds.brought(before, wanted, self._site.clock()))

    def _write_rounds(self, counted: list[object] | None) -> None:
        entry = self._entry()
        if entry is None or entry.get("r") == counted:
            return
        rest = {name: value for name, value in entry.items() if name != "r"}
        self._session[SESSION_KEY] = {**rest, "r": counted} if counted else rest

    def _entry(self) -> Mapping[str, Any] | None:
        if self._others.caller is not None:
            return None
        entry = self._session.get(SESSION_KEY)
        return entry if is_live_entry(entry, self._site) else None

    def _key(self) -> str | None:
        entry = self._entry()
        return entry["k"] if entry else None

    def _of_session(self) -> SessionTokens | None:
        key = self._key()
        if key is None:
            return None
        if self._tokens is None:
            self._tokens = SessionTokens(self._site, key)
        return self._tokens

    def _claims(self) -> Mapping[str, Any]:
        document = self.document()
        if document is None:
            raise tokens_lost(())
        return document.claims

    def _renewed(
        self,
        tokens: SessionTokens,
        wanted: tuple[str, ...],
        api: str | None,
        force_refresh: bool,
        claims: str | None,
    ) -> TokenResult | None:
        try:
            return tokens.renewed(wanted, force_refresh=force_refresh, claims=claims)
        except InteractionRequired as error:
            error.api = api or ""
            raise
        except IdTokenError as error:
            self._end_where_due(error)
            raise

    def _end_where_due(self, error: IdTokenError, *, channel: str = "renewal") -> None:
        """Sign the person out, where a refresh brought an ID token of somebody else, or their
        tenant is not let in any more."""
        if error.code in ENDS_THE_SIGN_IN:
            self.forget()
            self._site.observer.count(SIGN_OUTS, channel=channel)

    def _stay(self) -> None:
        """Let the record's end move along with the session's, now and then: a browser's session
        may slide with each request, and a record that ended earlier would end the sign-in."""
        now, end = self._site.clock(), self._site.document_expiry()
        entry = self._entry()
        moved = entry.get("e") if entry else None
        if entry is None or (
            isinstance(moved, int) and 0 <= now - moved * 60 < (end - now) * _MOVE_AFTER
        ):
            return
        try:
            self._site.documents.extend(entry["k"], end)
        except StoreUnavailable:
            return
        self._session[SESSION_KEY] = {**entry, "e": int(now // 60)}
