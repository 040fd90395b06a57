"""Whoever calls a web API of ours: the token that came, checked, and remembered for a moment."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from keyfob.errors import (
    AccessTokenError,
    KeyfobError,
    ProtocolError,
    ProviderUnavailable,
    TransportError,
)
from keyfob.protocol.access_token import ProvenAccess, default_audiences
from keyfob.protocol.encrypted_token import DecryptionKeys, is_encrypted
from keyfob.protocol.id_token import tenant_is_allowed
from keyfob.protocol.user_flow import is_of_flows
from keyfob.web.bearer_rule import BearerRule
from keyfob.web.caller import Caller
from keyfob.web.identity import Identity
from keyfob.web.problems import one_line
from keyfob.web.remembered_tokens import RememberedTokens

if TYPE_CHECKING:
    from keyfob.applications import ConfidentialClientApplication
    from keyfob.web.session import WebSession
    from keyfob.web.settings import Settings

logger = logging.getLogger(__name__)

_SCHEME = re.compile(r"[ \t]*bearer(?=[\s,]|$)", re.IGNORECASE | re.ASCII)


class BearerChecks:
    """The web API of one site: program life, shared by all requests and threads.

    :param clock: seconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        client: ConfidentialClientApplication,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._clock = clock
        self._is_microsoft = settings.authority.is_microsoft
        self.audiences = _audiences(settings)
        self._allowed_clients = settings.allowed_clients
        self._allowed_tenants = settings.allowed_tenants
        self._policies = _policies(settings)
        self._decryption_keys = DecryptionKeys(settings.token_decryption_keys)
        self._remembered = RememberedTokens()
        self._rules: dict[BearerRule, BearerRule] = {}

    def __repr__(self) -> str:
        return f"<BearerChecks for {', '.join(sorted(self.audiences))}>"

    def require(self, session: WebSession, rule: BearerRule, authorization: str | None) -> None:
        """What a guarded view asks before it runs. Returns where it may, with `session.caller` set.

        :param session: this request's; what a browser's session says counts no more after that.
        :param authorization: the header's value, None where none came.
        :raises AccessTokenError: no token came, or one that opens nothing here.
        :raises PermissionMissing: the token is good, and allows too little.
        :raises ProviderUnavailable: the provider's keys cannot be had now.
        :raises ConfigurationError: a scope of the rule is another API's.
        """
        caller = self.caller(authorization)
        del authorization  # a developer's mistake that is found below shows its frames
        session.act_for(caller)
        self.judge(caller, rule)

    def judge(self, caller: Caller, rule: BearerRule) -> None:
        """Refuse a caller whose token allows too little.

        :raises PermissionMissing: with what is missing.
        :raises ConfigurationError: a scope of the rule is another API's.
        """
        own = self._rules.get(rule)
        if own is None:
            own = rule.for_api(self.audiences, is_microsoft=self._is_microsoft)
            self._rules[rule] = own
        own.judge(caller)

    def caller(self, authorization: str | None) -> Caller:
        """Whoever sent this header Authorization.

        A token anywhere else, such as in the address, is no token (RFC 6750 §2.3).

        :raises AccessTokenError: with code `missing` where no bearer token came; else the check.
        :raises ProviderUnavailable: the provider's keys cannot be had now.
        """
        token = _bearer_token(authorization)
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        now, keys = self._clock(), self._client.signing_keys
        found = self._remembered.get(digest, keys, now)
        if found is not None:
            self._ask_rule_again(found)
            return found
        inner = self._opened(token) if is_encrypted(token) else token
        proven = self._proven(inner)
        caller = ProvenCaller(proven, inner, is_microsoft=self._is_microsoft)
        self._remembered.put(digest, caller, keys=keys, now=now, expires_at=proven.expires_at)
        return caller

    def _ask_rule_again(self, caller: Caller) -> None:
        """A function may have changed its mind since; a list cannot."""
        rule = self._allowed_tenants
        if callable(rule) and not tenant_is_allowed(caller.tid or None, rule):
            raise AccessTokenError(
                "People of this organisation may not call this API", code="tenant_not_allowed"
            )

    def _opened(self, token: str) -> str:
        if not self._decryption_keys.pems:
            raise AccessTokenError(
                "The access token is encrypted, and this API has no key for it: "
                "TOKEN_DECRYPTION_KEYS is not set",
                code="encrypted",
            )
        return self._decryption_keys.opened(token)

    def _proven(self, token: str) -> ProvenAccess:
        failed: KeyfobError
        try:
            proven = self._client.judge_access_token(token, self.audiences, self._allowed_clients)
        except (TransportError, ProtocolError) as error:
            failed = error
        else:
            if self._policies and not is_of_flows(proven.claims, self._policies):
                raise AccessTokenError(
                    "The access token is of a user flow that this site has not (AUTHORITY, "
                    "USER_FLOWS)",
                    code="user_flow",
                )
            return proven
        logger.warning("A bearer token could not be checked: %s", one_line(failed))
        raise ProviderUnavailable(
            "The provider's signing keys cannot be had now, so that no token can be checked",
            status=503,
            retry_after=getattr(failed, "retry_after", None),
        )


def _audiences(settings: Settings) -> frozenset[str]:
    """At Microsoft the client id is the audience of every token of version 2, however the API is
    called otherwise. Elsewhere it is that of ID tokens, so that what is set stands alone."""
    is_microsoft = settings.authority.is_microsoft
    own = default_audiences(settings.client_id, is_microsoft=is_microsoft)
    if settings.audiences is None:
        return own
    return own | settings.audiences if is_microsoft else settings.audiences


def _policies(settings: Settings) -> frozenset[str]:
    """The user flows whose people may call: all flows of an Azure AD B2C tenant have one issuer,
    one key, and one application. None elsewhere."""
    authorities = (settings.authority, *settings.user_flows.values())
    return frozenset(each.policy for each in authorities if each.kind == "b2c" and each.policy)


def _bearer_token(authorization: str | None) -> str:
    """The token in the header (RFC 6750 §2.1); what it consists of is judged with it."""
    scheme = _SCHEME.match(authorization) if authorization is not None else None
    if authorization is None or scheme is None:
        raise AccessTokenError("No bearer token came with the request", code="missing")
    rest = authorization[scheme.end() :]
    token = rest.strip(" ")
    # A server that is sent two headers joins them with a comma, which no token has.
    if not token or not rest.startswith(" ") or "," in token or " " in token:
        raise AccessTokenError(
            "The header Authorization is not one bearer token: 'Bearer', a space, and the token",
            code="malformed",
        )
    return token


class ProvenCaller(Caller):
    """A caller whose key is made when it is first asked for: most requests never ask."""

    _issuer: str
    _is_microsoft: bool

    def __init__(self, proven: ProvenAccess, token: str, *, is_microsoft: bool) -> None:
        holder = proven.holder
        # Each attribute of a frozen dataclass is set through a call; all at once cost one.
        self.__dict__.update(
            claims=proven.claims,
            token=token,
            is_app=holder.is_app,
            client_id=holder.client_id,
            scopes=holder.scopes,
            roles=holder.roles,
            _issuer=proven.issuer,
            _is_microsoft=is_microsoft,
        )

    @property
    def key(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The same for the same person, whichever way they come."""
        named = {**self.claims, "iss": self._issuer}
        return Identity.from_claims(named, is_microsoft=self._is_microsoft).key
