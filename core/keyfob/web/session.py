"""Who is here, and tokens for them: one object for one request, lazy, closed with it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from keyfob.errors import (
    IdTokenError,
    InteractionRequired,
    StoreUnavailable,
    SubjectChangedError,
)
from keyfob.protocol.results import TokenResult
from keyfob.web import proofs
from keyfob.web.attached import AttachedTokens
from keyfob.web.metrics import SIGN_OUTS
from keyfob.web.refused_token import refused_token
from keyfob.web.session_entry import SESSION_KEY
from keyfob.web.session_memberships import SessionMemberships
from keyfob.web.token_info import TokenInfo
from keyfob.web.tokens import SessionTokens, tokens_lost
from keyfob.web.whose import wanted_scopes

if TYPE_CHECKING:
    from keyfob.web.downstream import ApiSession

logger = logging.getLogger(__name__)

#: The part of a session's life after which its record's end moves along.
_MOVE_AFTER = 0.1
#: What a refreshed ID token may say that leaves nobody signed in: it is somebody else, or of a
#: tenant that is not let in any more.
ENDS_THE_SIGN_IN = frozenset({SubjectChangedError.code, "tenant_not_allowed"})


class WebSession(SessionMemberships):
    """The browser's session as Keyfob sees it. Nothing is read before it is asked for.

    Flask has it as `g.keyfob`, Django as `request.keyfob`.
    """

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
            site's own; None for any that has the API.
        :raises InteractionRequired: nobody is signed in, or the sign-in was ended elsewhere, or
            the token needs the person.
        :raises IdTokenError: people of their tenant may not be here any more; they are signed out.
        :raises KeyfobError: whatever `token` raises.
        """
        tokens = self._of_session()
        if authority is None and api is not None and self._only is None and self.caller is None:
            authority = self._members.having(api, self._site)
        if authority is not None and (tokens is None or self.authority != authority):
            self._members.named(authority)
            raise InteractionRequired(
                "The page is for people whom another authority signs in",
                api=api or "",
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
        self._settle(())

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
        entry = self._entry()
        if entry is not None:
            self._stay(entry)

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
        return TokenInfo.of(found, self._site.clock())

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
        wanted = None if app_only is not None else self._persons_scopes(api, scopes)
        if wanted is None:
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
            self._settle(wanted, claims or "", new=force_refresh)
            return result
        raise refused_token(
            result, wanted, api=api or "", claims=claims or "", force_refresh=force_refresh
        )

    def _persons_scopes(
        self, api: str | None, scopes: Collection[str] | None
    ) -> tuple[str, ...] | None:
        """Of an API that takes the token of who is here: the usual case, and the quickest.
        None where more must be asked."""
        if api is None or scopes is not None or self._caller is not None:
            return None
        found = self._site.find_api(api)
        return None if found is None or found.app_only else found.scopes

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

    def _settle(self, scopes: Collection[str], claims: str = "", *, new: bool = False) -> None:
        """What was asked for was had: a trip to the provider for it was not in vain, and whoever is
        here stays."""
        entry = self._entry()  # read once: in each request
        if entry is not None and "r" in entry:
            self._end_round(scopes, claims, new=new)
            entry = self._entry()
        if entry is not None:
            self._stay(entry)

    def _stay(self, entry: Mapping[str, Any]) -> None:
        """Let the record's end move along with the session's, now and then: a browser's session
        may slide with each request, and a record that ended earlier would end the sign-in."""
        now, end = self._site.clock(), self._site.document_expiry()
        moved = entry.get("e")
        if isinstance(moved, int) and 0 <= now - moved * 60 < (end - now) * _MOVE_AFTER:
            return
        try:
            self._site.documents.extend(entry["k"], end)
        except StoreUnavailable:
            return
        self._session[SESSION_KEY] = {**entry, "e": int(now // 60)}
