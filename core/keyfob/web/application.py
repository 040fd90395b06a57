"""One site with Keyfob: program life, made once, shared by all requests and threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keyfob.errors import ConfigurationError, InteractionRequired, KeyfobError
from keyfob.web import (
    accounts,
    bearer_answers,
    challenge,
    consent_trip,
    logout_channels,
    long_running,
    resume,
    script,
    sign_in,
    sign_out,
)
from keyfob.web.caller import Caller
from keyfob.web.exchange import Answer, Pairs, WebRequest
from keyfob.web.identity import Identity
from keyfob.web.members import Members
from keyfob.web.metrics import SIGN_OUTS
from keyfob.web.observe import Observer
from keyfob.web.onboarding import Onboarded
from keyfob.web.problems import NO_AUTHORITY, page_answer
from keyfob.web.session import WebSession
from keyfob.web.session_entry import SESSION_KEY
from keyfob.web.settings import Settings
from keyfob.web.site_life import SiteLife
from keyfob.web.stores import TokenStore

if TYPE_CHECKING:
    from keyfob.web.downstream import ApiSession


class WebApplication(SiteLife):
    """What a framework's adapter calls. It decides; the adapter translates.

    :param settings: the site's settings.
    :param store: where session documents are kept, unsealed: it is given only sealed ones.
    :param secrets: the framework's secret keys, oldest to newest, for a site that sets no
        TOKEN_STORE_KEYS.
    :param session_lifetime: gives the seconds a browser's session may last.
    :param clock: seconds since the epoch; injected by tests.
    :param observer: is told what happens, in figures; default: one for the logs and OpenTelemetry.
    :param name: the authority's name in AUTHORITIES, "" for the site's own.

    :ivar members: this authority and the site's others; each has a `WebApplication` of its own.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        store: TokenStore,
        secrets: Sequence[str | bytes],
        session_lifetime: Callable[[], float] = lambda: 14 * 86400.0,
        clock: Callable[[], float] = time.time,
        observer: Observer | None = None,
        name: str = "",
    ) -> None:
        super().__init__(
            settings,
            store=store,
            secrets=secrets,
            session_lifetime=session_lifetime,
            clock=clock,
            observer=observer,
            name=name,
        )
        others = {
            other: type(self)(
                found,
                store=store,
                secrets=secrets,
                session_lifetime=session_lifetime,
                clock=clock,
                observer=self.observer,
                name=other,
            )
            for other, found in settings.authorities.items()
        }
        self.members = Members(self, others)
        for each in others.values():
            each.members = self.members

    # What a request needs. Each goes to the authority that it is about.

    def session(self, session: MutableMapping[str, Any]) -> WebSession:
        """The request's view of its browser session. Costs nothing until it is used."""
        return WebSession(self, session)

    def login(
        self,
        request: WebRequest,
        establish: Callable[[Identity], None] | None = None,
        authority: str = "",
    ) -> Answer:
        """Start a sign-in, ours or a third party's (OpenID Connect Core §4).

        :param establish: as `callback` has it, for whom App Service has signed in already.
        :param authority: as the address names it, like everywhere below.
        """
        member = self.members.find(authority)
        if member is None:
            return _unknown(request)
        return sign_in.start(member, _at(member, request), establish or _nobody)

    def callback(
        self,
        request: WebRequest,
        establish: Callable[[Identity], None],
        onboarded: Onboarded = lambda _: None,
        authority: str = "",
    ) -> Answer:
        """Finish a sign-in, or an administrator's consent.

        :param establish: lets the framework make the person its own: change the session's id, log
            the user in. Called once all is proven; may raise SignInRefused.
        :param onboarded: tells the site of a tenant that joins, before ALLOWED_TENANTS is asked
            about it and anybody of it is let in; may raise SignInRefused.
        """
        member = self.members.find(authority)
        if member is None:
            return _unknown(request)
        return sign_in.finish(member, _at(member, request), establish, onboarded)

    def admin_consent(self, request: WebRequest) -> Answer:
        """Ask an administrator of another organisation to agree for its people, at the site's own
        authority."""
        return consent_trip.start(self, request)

    def accounts(self, request: WebRequest) -> list[accounts.Account]:
        """The accounts that are signed in in this browser: the one that is here, then the others.

        :raises StoreUnavailable: the token store cannot be reached.
        """
        return accounts.listed(self, request)

    def choose_account(self, request: WebRequest, establish: Callable[[Identity], None]) -> Answer:
        """Switch to another account of this browser, or take one out: `accounts.choose` has the
        form's fields. The framework has checked that it is a POST of its own form.

        :param establish: as for `callback`.
        """
        return accounts.choose(self, request, establish)

    def logout(self, request: WebRequest, end: Callable[[], None]) -> Answer:
        """Sign out here, then at the provider (RP-Initiated Logout 1.0). The framework has checked
        that it is a POST of its own form.

        :param end: lets the framework empty the session.
        """
        member = self.members.of_session(request.session)
        return sign_out.start(member, _at(member, request), end)

    def logged_out(
        self, request: WebRequest, next_url: str | None = None, authority: str = ""
    ) -> Answer:
        """What the provider sends the browser back to after it signed out."""
        member = self.members.find(authority)
        if member is None:
            return _unknown(request)
        return sign_out.finish(member, _at(member, request), next_url)

    def frontchannel_logout(
        self, request: WebRequest, end: Callable[[], None], authority: str = ""
    ) -> Answer:
        """The provider signs a person out, in a frame (Front-Channel Logout 1.0).

        :param end: lets the framework empty this browser's session.
        """
        member = self.members.find(authority)
        return logout_channels.front(member, request, end) if member else _unknown(request)

    def backchannel_logout(self, request: WebRequest, authority: str = "") -> Answer:
        """The provider signs a person out, by a POST of its own (Back-Channel Logout 1.0)."""
        member = self.members.find(authority)
        return logout_channels.back(member, request) if member else _unknown(request)

    def sign_out_everywhere(self, account_key: str) -> int:
        """End all sessions of a person at this site, in every browser and on every machine, and
        what goes on in their name without one (`start_long_running`).

        Their sessions at the provider, and at other sites, stay: whoever is still signed in there
        may sign in here again.

        :param account_key: `User.key`, or `Identity.key`.
        :returns: how many sessions were ended.
        :raises StoreUnavailable: the token store cannot be reached; some may not have ended.
        """
        ended = sum(member.index.end(account=account_key) for member in self.members.all)
        self.observer.record(SIGN_OUTS, ended, channel="everywhere")
        return ended

    def resume(self, request: WebRequest, fresh: Pairs) -> Answer:
        """Show a form that was kept until its person could come in, or send it on.

        :param fresh: the framework's own proof against forgery, as names and values of fields.
        """
        return resume.answer(self, request, fresh)

    @staticmethod
    def script(request: WebRequest) -> Answer:
        """The script for pages that fetch."""
        return script.script(request)

    @staticmethod
    def done(request: WebRequest) -> Answer:
        """Where that script's popups end."""
        return script.done(request)

    # Without a request, or for what goes on after it

    def app_token(
        self,
        *,
        api: str | None = None,
        scopes: Collection[str] | None = None,
        tenant: str | None = None,
    ) -> str:
        """An access token in the application's own name. Needs no request, and nobody signed in.

        :raises KeyfobError: whatever `OwnTokens.token` raises.
        """
        return self.own_tokens.token(api=api, scopes=scopes, tenant=tenant)

    def app_api(self, name: str) -> ApiSession:
        """A `requests.Session` for a downstream API, with the application's own token.

        :raises ConfigurationError: there is no such API, or its scopes are a person's.
        """
        return self.own_tokens.api(name)

    def start_long_running(
        self,
        who: Caller | WebSession,
        *,
        api: str | None = None,
        scopes: Collection[str] | None = None,
        key: str | None = None,
        seconds: int = long_running.DEFAULT_SECONDS,
    ) -> str:
        """Let work in a person's name go on after this request.

        :param who: the request's session; or the caller of a web API of ours.
        :param api: an API that the work calls: its token is had now, while the person is here.
            Needed for a caller, this or `scopes`.
        :param scopes: the same for scopes of no API of the settings.
        :param key: of the same person's earlier work, to go on under it with new tokens.
        :param seconds: after which it ends; a minute to 90 days.
        :returns: the key for `long_running`: the earlier one, where that work had not ended, or a
            new one. Whoever has it, and the site's keys, acts for the person: it is a secret.
        :raises InteractionRequired: nobody is signed in, or the API needs the person's consent.
        :raises CallerMustInteract: the same for a caller.
        :raises TokenResponseError: the provider gave no refresh token.
        :raises StoreUnavailable: the token store cannot be reached.
        """
        member = self
        if isinstance(who, WebSession) and who.caller is None:
            member = self.members.named(who.authority)
        return long_running.start(member, who, api=api, scopes=scopes, key=key, seconds=seconds)

    def long_running(self, key: str) -> long_running.LongRunning:
        """Tokens for such work, in any process that shares the token store and its keys.

        :param key: what `start_long_running` returned.
        """
        return long_running.LongRunning(self.members.of_key(key), key)

    def end_long_running(self, key: str) -> None:
        """End such work, and forget its tokens. Nothing happens where it has ended.

        :raises StoreUnavailable: the token store cannot be reached.
        """
        long_running.end(self.members.of_key(key), key)

    def handle(self, request: WebRequest, error: KeyfobError) -> Answer:
        """What to answer where an error ended a view."""
        wanted = error.authority if isinstance(error, InteractionRequired) else None
        members = self.members
        member = members.of_session(request.session) if wanted is None else members.named(wanted)
        return challenge.answer(member, _at(member, request), error)

    def protected_resource(self, request: WebRequest) -> Answer:
        """What this site is as a web API, for its callers' programs (RFC 9728)."""
        return bearer_answers.protected_resource(self, request)

    def csrf_token(self, session: Mapping[str, Any]) -> str:
        """For the sign-out form, in frameworks without a protection of their own."""
        return self._form_tokens.token(self._session_key(session))

    def is_csrf_token(self, value: str | None, session: Mapping[str, Any]) -> bool:
        """Whether `csrf_token` gave this value for this session."""
        key = self._session_key(session)
        return bool(key) and self._form_tokens.is_token(value, key)

    def close(self) -> None:
        """Close the connections to the provider, the APIs and the store."""
        for member in self.members.all:
            member.close_connections()
        self.store.close()

    @staticmethod
    def _session_key(session: Mapping[str, Any]) -> str:
        entry = session.get(SESSION_KEY)
        key = entry.get("k") if isinstance(entry, dict) else None
        return key if isinstance(key, str) else ""


def _at(member: WebApplication, request: WebRequest) -> WebRequest:
    """The request, with the views of that authority."""
    return replace(request, routes=request.routes.of(member.name)) if member.name else request


def _unknown(request: WebRequest) -> Answer:
    status, page = NO_AUTHORITY
    return page_answer(status, page, home_url=request.home)


def _nobody(_: Identity) -> None:
    raise ConfigurationError("An adapter that lets nobody in cannot use EASY_AUTH")
