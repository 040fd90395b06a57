"""What every kind of client application offers: sign-in, silent tokens, accounts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar, cast

from keyfob.applications.arguments import accepted, refuse_auth_scheme, warn_deprecated
from keyfob.applications.base import Application, Asked
from keyfob.flows import Flow, auth_code, silent
from keyfob.flows import password as password_flow
from keyfob.flows.bearer import bearer_at_hand, judge_bearer
from keyfob.flows.logout import back_channel_logout
from keyfob.protocol.access_token import ProvenAccess
from keyfob.protocol.logout_token import LogoutOrder
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.results import TokenResult
from keyfob.transport import (
    DEFAULT_TIMEOUT,
    Flights,
    HttpClientTransport,
    RequestsTransport,
    ThrottledTransport,
    Transport,
    for_one_call,
    run,
)

T = TypeVar("T")


class ClientApplication(Application):
    """One application, registered at one provider. Safe to share between threads.

    The constructor does no network I/O: metadata is fetched when first needed, and kept.

    Every verb that asks the provider takes further arguments by name: `data` (more fields of the
    form, of texts; those that no standard names keep the tokens apart in the cache), `params` (a
    query for the token endpoint), and what the HTTP client takes for one request: with Keyfob's
    own, `timeout`, `verify` and `proxies`.

    :param client_id: the application's id.
    :param client_credential: what proves a confidential client; see
        `ConfidentialClientApplication`.
    :param authority: Microsoft's authority with its tenant; by default that of everybody.
    :param validate_authority: False for a host that Microsoft does not know.
    :param token_cache: where tokens are kept; by default a new one in memory.
    :param http_client: an object that sends HTTP, with MSAL's duck type; `verify`, `proxies` and
        `timeout` are then its own affair.
    :param verify: as requests has it; likewise `proxies`.
    :param timeout: seconds for one exchange with the provider; None for the transport's own limit.
    :param client_claims: claims to put into each client assertion that is signed here.
    :param app_name: what Microsoft's logs call the application; other providers are not told.
    :param app_version: likewise its version.
    :param client_capabilities: what the application can handle, such as `["cp1"]`: claims
        challenges.
    :param azure_region: of Microsoft's regional token endpoints, for tokens in the application's
        own name.
    :param exclude_scopes: of `openid profile offline_access`, what is not to be asked for;
        `openid` cannot be left out.
    :param http_cache: a mapping that several applications, or several runs, may share.
    :param instance_discovery: False never to ask Microsoft about a host; or another address to ask.
    :param allow_broker: Keyfob has no broker; anything true is refused.
    :param enable_pii_log: MSAL's, without effect: nothing personal is logged.
    :param oidc_authority: the issuer of any OpenID Connect provider, in `authority`'s place.
    :param leeway: seconds of clock difference that are forgiven.
    :param allowed_tenants: the ids of the tenants whose people may sign in, where the authority
        serves many; or a function that is given a tenant's id, in lower case, and whose answer is
        true for those. None for all that the authority serves.
    :param clock: tells the seconds since 1970, for everything that expires.
    :param random_bytes: gives so many random bytes that nobody can guess: `state`, `nonce` and the
        code verifier are made of them.
    :raises ConfigurationError: (a ValueError) for what cannot be.
    """

    _transport: Transport
    _flights: Flights

    def _open(
        self,
        http_client: Any,
        verify: bool | str,
        proxies: Mapping[str, str] | None,
        timeout: float | None,
        http_cache: Any,
    ) -> None:
        plain: Transport
        if http_client is not None:
            plain = HttpClientTransport(http_client)
        else:
            seconds = DEFAULT_TIMEOUT if timeout is None else timeout
            plain = RequestsTransport(verify=verify, proxies=proxies, timeout=seconds)
        self._transport = ThrottledTransport(
            plain, http_cache, pause=self._pause, clock=self._client.clock
        )
        self._flights = Flights()

    def metadata(self) -> ProviderMetadata:
        """The provider's metadata, fetched if it is not at hand.

        :raises MetadataError: there is none, or it cannot be used.
        :raises TransportError: the provider cannot be reached.
        """
        return self._run(self._client.metadata())

    def judge_logout_token(self, logout_token: object) -> LogoutOrder:
        """Whose sessions a logout token ends (OpenID Connect Back-Channel Logout 1.0 §2.6). Whoever
        calls it remembers which tokens came before.

        :param logout_token: what was posted to the back-channel logout address.
        :raises LogoutTokenError: it ends nobody's.
        :raises TransportError: the provider's keys cannot be fetched.
        """
        return self._run(back_channel_logout(self._client, logout_token))

    def judge_access_token(
        self,
        access_token: object,
        audiences: Collection[str] | None = None,
        allowed_clients: Collection[str] | None = None,
    ) -> ProvenAccess:
        """Who an access token speaks for that was sent to this application's own web API, and what
        it allows (RFC 9068 §4). Whether that is enough is for the caller to say.

        :param access_token: what came as bearer token, not encrypted.
        :param audiences: what the API is called in tokens; by default the application's id, and at
            Microsoft `api://` with it.
        :param allowed_clients: the ids of applications that may call; None for every one.
        :raises AccessTokenError: it opens nothing here.
        :raises MetadataError: the provider's metadata cannot be used; likewise KeySetError.
        :raises TransportError: the provider's metadata or keys cannot be fetched.
        """
        asked = (
            self._client,
            access_token,
            accepted(audiences, "audiences"),
            accepted(allowed_clients, "allowed_clients"),
        )
        found = bearer_at_hand(*asked)
        return found if found is not None else self._run(judge_bearer(*asked))

    def close(self) -> None:
        """Close the connections to the provider. The application may be used again."""
        self._transport.close()

    def acquire_token_silent(
        self,
        scopes: Collection[str],
        account: Mapping[str, Any] | None,
        authority: str | None = None,
        force_refresh: bool = False,
        claims_challenge: str | None = None,
        forwarded_client_claims: str | None = None,
        auth_scheme: object = None,
        **options: Any,
    ) -> TokenResult | None:
        """A token for an account, from the cache or by its refresh token.

        :param scopes: what the token must be good for.
        :param account: one of `get_accounts()`.
        :param authority: without effect, as with MSAL; make another application for another one.
        :param force_refresh: do not take an access token from the cache.
        :param claims_challenge: an API's claims challenge; answered by a new token.
        :param forwarded_client_claims: claims of the application's own, a JSON object as text; its
            tokens are kept apart.
        :param auth_scheme: for a broker, which Keyfob has not.
        :returns: a dict with `access_token`; None where nothing gives one, or the provider refused.
        """
        asked = self._silent(
            scopes,
            account,
            authority,
            force_refresh,
            claims_challenge,
            forwarded_client_claims,
            auth_scheme,
            options,
        )
        result = self._answered(asked)
        return result if result and "error" not in result else None

    def acquire_token_silent_with_error(
        self,
        scopes: Collection[str],
        account: Mapping[str, Any] | None,
        authority: str | None = None,
        force_refresh: bool = False,
        claims_challenge: str | None = None,
        forwarded_client_claims: str | None = None,
        auth_scheme: object = None,
        **options: Any,
    ) -> TokenResult | None:
        """As `acquire_token_silent`, but a refusal of the provider comes back, with `error`.

        It also has `classification` where the provider told a `suberror`: "" where only signing in
        again helps.
        """
        asked = self._silent(
            scopes,
            account,
            authority,
            force_refresh,
            claims_challenge,
            forwarded_client_claims,
            auth_scheme,
            options,
        )
        return self._answered(asked)

    def acquire_token_by_refresh_token(
        self, refresh_token: str, scopes: Collection[str], **options: Any
    ) -> TokenResult:
        """Take over a refresh token from elsewhere, account and all (RFC 6749 §6).

        :param scopes: what the first access token is to be good for.
        :returns: a dict with `access_token`, or one with `error`.
        """
        client, rest = self._for_one_call(options)
        return self._token(silent.migrate_refresh_token(client, refresh_token, scopes), rest)

    def initiate_auth_code_flow(
        self,
        scopes: Collection[str],
        redirect_uri: str | None = None,
        state: str | None = None,
        prompt: str | None = None,
        login_hint: str | None = None,
        domain_hint: str | None = None,
        claims_challenge: str | None = None,
        max_age: int | None = None,
        response_mode: str | None = None,
    ) -> auth_code.AuthCodeFlow:
        """Begin a sign-in (RFC 6749 §4.1 with PKCE, OpenID Connect Core §3.1).

        :param scopes: beyond `openid profile offline_access`.
        :param redirect_uri: where the answer is to come, as it is registered.
        :param state: what the answer must repeat: a secret that serves once; made here where None.
        :param prompt: `none`, `login`, `consent`, `select_account` or `create`.
        :param login_hint: who is expected, such as a user name; the person may be somebody else.
        :param domain_hint: Microsoft's: the domain whose sign-in page is to be shown at once.
        :param claims_challenge: an API's claims challenge, a JSON object as text, to pass on.
        :param max_age: seconds since the person last proved themselves.
        :param response_mode: `query` or `form_post`; the provider's default where None.
        :returns: the attempt; send the browser to its `auth_uri`, and keep all of it, on the
            server and for this browser only, until it comes back.
        """
        return self._run(
            auth_code.initiate(
                self._client,
                scopes,
                redirect_uri=redirect_uri,
                state=state,
                prompt=prompt,
                login_hint=login_hint,
                domain_hint=domain_hint,
                claims_challenge=claims_challenge,
                max_age=max_age,
                response_mode=response_mode,
            )
        )

    def acquire_token_by_auth_code_flow(
        self,
        auth_code_flow: Mapping[str, Any],
        auth_response: Mapping[str, str],
        scopes: Collection[str] | None = None,
        **options: Any,
    ) -> TokenResult:
        """Finish a sign-in with what came back to the redirect URI.

        :param auth_code_flow: what `initiate_auth_code_flow` returned; forget it afterwards.
        :param auth_response: the parameters that came back.
        :param scopes: of those the attempt began with, what the access token is to be good for.
        :returns: the token response with proven `id_token_claims`, or a dict with `error`.
        :raises StateMismatchError: (a ValueError) the response belongs to another attempt.
        :raises IdTokenError: (a RuntimeError) the ID token proves nothing; nothing was cached.
        """
        client, rest = self._for_one_call(options)
        flow = auth_code.redeem(client, auth_code_flow, auth_response, scopes=scopes)
        return self._token(flow, rest)

    def get_authorization_request_url(
        self,
        scopes: Collection[str],
        login_hint: str | None = None,
        state: str | None = None,
        redirect_uri: str | None = None,
        response_type: str = "code",
        prompt: str | None = None,
        nonce: str | None = None,
        domain_hint: str | None = None,
        claims_challenge: str | None = None,
    ) -> str:
        """MSAL's older way to begin a sign-in, without PKCE. Deprecated: use
        `initiate_auth_code_flow`.

        :param state: check yourself that the answer repeats it: it ties the answer to this browser.
        :param nonce: give the same to `acquire_token_by_authorization_code`.
        :param response_type: `code`; `id_token` or `token` bring those to the browser.
        :returns: the address to send the browser to.
        """
        warn_deprecated("get_authorization_request_url", "initiate_auth_code_flow")
        return self._run(
            auth_code.authorization_url(
                self._client,
                scopes,
                response_type=response_type,
                nonce=nonce,
                claims_challenge=claims_challenge,
                login_hint=login_hint,
                state=state,
                redirect_uri=redirect_uri,
                prompt=prompt,
                domain_hint=domain_hint,
            )
        )

    def acquire_token_by_authorization_code(
        self,
        code: str,
        scopes: Collection[str],
        redirect_uri: str | None = None,
        nonce: str | None = None,
        claims_challenge: str | None = None,
        forwarded_client_claims: str | None = None,
        **options: Any,
    ) -> TokenResult:
        """MSAL's older way to finish a sign-in. Deprecated: use `acquire_token_by_auth_code_flow`,
        which checks `state` and uses PKCE.

        :param redirect_uri: the same as at the beginning.
        :param nonce: the same as at the beginning; then the ID token must repeat it.
        :returns: a dict with `access_token`, or one with `error`.
        :raises NonceMismatchError: (a ValueError) the ID token belongs to another attempt.
        """
        warn_deprecated("acquire_token_by_authorization_code", "acquire_token_by_auth_code_flow")
        client, rest = self._for_one_call(options)
        flow = auth_code.redeem_code(
            client,
            code,
            scopes,
            redirect_uri=redirect_uri,
            nonce=nonce,
            claims_challenge=claims_challenge,
            forwarded_claims=forwarded_client_claims,
        )
        return self._token(flow, rest)

    def acquire_token_by_username_password(
        self,
        username: str,
        password: str,
        scopes: Collection[str],
        claims_challenge: str | None = None,
        auth_scheme: object = None,
        **options: Any,
    ) -> TokenResult:
        """A person's token by their password (RFC 6749 §4.3). Keep away from it: the application
        sees the password, and there is no second factor (RFC 9700 §2.4). At Microsoft also for
        people of federated domains, whose own server is then asked.

        :param username: as they would type it, such as `ada@contoso.example`.
        :param claims_challenge: an API's claims challenge, a JSON object as text.
        :param auth_scheme: for a broker, which Keyfob has not.
        :returns: a dict with `access_token`, or one with `error`.
        :raises FederationError: (a RuntimeError and ValueError) the federated domain's server
            refused, or cannot be understood.
        """
        refuse_auth_scheme(auth_scheme)
        client, rest = self._for_one_call(options)
        flow = password_flow.acquire(
            client,
            username,
            password,
            scopes,
            claims_challenge=claims_challenge,
        )
        return self._token(flow, rest)

    def _run(self, flow: Flow[T], options: Mapping[str, Any] | None = None) -> T:
        transport = for_one_call(self._transport, options) if options else self._transport
        return run(flow, transport, flights=self._flights)

    def _answered(self, asked: Asked) -> TokenResult | None:
        hit, flow, options = asked
        if flow is None:
            return hit
        return cast("TokenResult | None", self._run(flow, options))

    def _token(self, flow: Flow[dict[str, Any]], options: Mapping[str, Any]) -> TokenResult:
        return cast("TokenResult", self._run(flow, options))
