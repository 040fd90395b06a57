"""Everything Keyfob raises, as one tree.

    KeyfobError
    ├── ConfigurationError (ValueError)        a setting or an argument is wrong
    │   ├── MissingKeyError (KeyError)         a dict that was handed in lacks what it must have
    │   ├── ScopesError (AssertionError)       scopes that are no list of scopes
    │   ├── CredentialError                    what proves the client cannot be used
    │   │   ├── PassphraseError (TypeError)        wrong, missing, or one too many
    │   │   ├── ThumbprintError (binascii.Error)   no thumbprint of a certificate
    │   │   └── CredentialFileError (OSError)      a file that cannot be read
    │   └── BrokerNotSupported (ImportError)   an operating system's broker was asked for
    ├── TransportError (OSError)               no usable answer came back; worth another try
    │   ├── ProviderUnreachable                refused, reset, timed out, certificate refused
    │   ├── ProviderUnavailable                answered 5xx or 429
    │   ├── AnswerRefused                      a redirect, or more bytes than are sensible
    │   ├── ApiUnreachable                     a downstream API did not answer
    │   └── GroupsUnknown                      nobody can tell now which groups a person is in
    ├── ProtocolError (ValueError)             an answer came, and it breaks the protocol
    │   ├── MetadataError                      the discovery document
    │   ├── KeySetError                        the signing keys
    │   ├── AuthorizationResponseError         what arrived at the redirect URI
    │   │   └── StateMismatchError
    │   ├── TokenResponseError                 the token endpoint's answer
    │   │   └── NotJsonError (JSONDecodeError) one that is not even JSON
    │   ├── FederationError (RuntimeError)     a federated domain's server, or its answer
    │   ├── DeviceAuthorizationError           the device authorization endpoint's answer
    │   └── UserInfoError                      the userinfo endpoint's answer
    ├── IdTokenError (RuntimeError)            an ID token that proves nothing
    │   ├── NonceMismatchError (ValueError)    one of another sign-in attempt, in MSAL's older verb
    │   └── SubjectChangedError                a refreshed one that names somebody else
    ├── LogoutTokenError (ValueError)          a logout token that ends no session
    ├── ManagedIdentityError (ValueError)      the machine's own identity cannot be used
    │   ├── ArcPlatformNotSupportedError       Azure Arc has no key files on this system
    │   └── ArcKeyFileNotFoundError (FileNotFoundError)
    ├── AccessTokenError (ValueError)          an access token that opens nothing here
    ├── PermissionMissing (PermissionError)    known, and without a scope, role or group
    ├── StepUpRequired                         an API's caller must prove more than its token does
    ├── SignInRefused                          proven who they are, but not let in
    ├── InteractionRequired                    only the person can get this token
    │   └── CallerMustInteract                 ... in their own application: they called an API
    ├── BrowserInteractionTimeoutError (RuntimeError)   the person's browser brought no answer
    ├── LoopbackUnavailable (OSError)          this machine's port for the answer cannot be had
    ├── TokenCacheError (JSONDecodeError)      a serialised token cache that cannot be read
    ├── StoreError                             the token store
    │   └── StoreUnavailable                   it cannot be reached now; worth another try
    └── DownstreamError (ValueError)           a downstream call that must not be sent

Each error has a stable ``code`` for machines, and its facts as attributes. No message, repr or
attribute holds a secret, a token, a code, a verifier or an assertion.
"""

from __future__ import annotations

import binascii
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "AccessTokenError",
    "AnswerRefused",
    "ApiUnreachable",
    "ArcKeyFileNotFoundError",
    "ArcPlatformNotSupportedError",
    "AuthorizationResponseError",
    "BrokerNotSupported",
    "BrowserInteractionTimeoutError",
    "CallerMustInteract",
    "ConfigurationError",
    "CredentialError",
    "CredentialFileError",
    "DeviceAuthorizationError",
    "DownstreamError",
    "FederationError",
    "GroupsUnknown",
    "IdTokenError",
    "InteractionRequired",
    "KeySetError",
    "KeyfobError",
    "LogoutTokenError",
    "LoopbackUnavailable",
    "ManagedIdentityError",
    "MetadataError",
    "MissingKeyError",
    "NonceMismatchError",
    "NotJsonError",
    "PassphraseError",
    "PermissionMissing",
    "ProtocolError",
    "ProviderUnavailable",
    "ProviderUnreachable",
    "ScopesError",
    "SignInRefused",
    "StateMismatchError",
    "StepUpRequired",
    "StoreError",
    "StoreUnavailable",
    "SubjectChangedError",
    "ThumbprintError",
    "TokenCacheError",
    "TokenResponseError",
    "TransportError",
    "UserInfoError",
]


class KeyfobError(Exception):
    """The root. ``code`` is stable and made for machines; ``str()`` is made for people.

    :param message: what happened, and the cure where there is one.
    :param code: the kind of failure, finer than the class; defaults to the class's own.
    """

    code: str = "keyfob"
    #: Whether the same call may succeed a little later.
    retryable: bool = False

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        # The constructors' facts are keywords, which Exception's own way would not hand over; so
        # an error that left a worker process would become another one on its way.
        return _revived, (type(self), self.args, dict(self.__dict__))


def _revived(kind: type[KeyfobError], args: tuple[Any, ...], facts: dict[str, Any]) -> KeyfobError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(facts)
    return error


class ConfigurationError(KeyfobError, ValueError):
    """A setting or an argument is missing, unknown or contradictory.

    ``setting`` is its name, as in the table of settings, or "" where none is to blame.
    """

    code = "configuration"

    def __init__(self, message: str, *, setting: str = "", code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.setting = setting


class MissingKeyError(ConfigurationError, KeyError):
    """A dict that was handed in, such as an account, lacks what it must have."""

    code = "missing_key"

    def __str__(self) -> str:
        # KeyError shows its argument as if it were the key.
        return str(self.args[0])


class ScopesError(ConfigurationError, AssertionError):
    """Scopes are a list, each a text without spaces, and none of them one that is reserved."""

    code = "scopes"


class CredentialError(ConfigurationError):
    """What is to prove the client cannot be used: its shape, its content, or there is none now.

    The message names the part of it; nothing of its content is ever shown.
    """

    code = "credential"

    def __init__(
        self, message: str, *, setting: str = "CLIENT_CREDENTIAL", code: str | None = None
    ) -> None:
        super().__init__(message, setting=setting, code=code)


class PassphraseError(CredentialError, TypeError):
    """The passphrase does not fit its key: it is wrong, missing, or the key is not encrypted."""

    code = "passphrase"


class ThumbprintError(CredentialError, binascii.Error):
    """What is to be a certificate's thumbprint is none."""

    code = "thumbprint"


class CredentialFileError(CredentialError, OSError):
    """A credential's file cannot be read."""

    code = "credential_file"

    def __new__(cls, *args: Any, **_: Any) -> Self:
        # Of the two bases' the first one found would be ValueError's, which makes no OSError.
        return OSError.__new__(cls, *args)


class BrokerNotSupported(ConfigurationError, ImportError):
    """Keyfob signs people in with the browser, and with no operating system's broker."""

    code = "broker_not_supported"


class TransportError(KeyfobError, OSError):
    """No usable answer came back from ``url`` (which is shown without its query)."""

    code = "transport"
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        url: str = "",
        correlation_id: str = "",
        code: str | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.url = url
        self.correlation_id = correlation_id


class ProviderUnreachable(TransportError):
    """The connection was refused, reset, or not answered in time."""

    code = "provider_unreachable"


class ProviderUnavailable(TransportError):
    """The provider answered ``status`` 5xx or 429; ``retry_after`` is in seconds, or None.

    Its ``code`` is ``throttled`` where the provider was not asked again, because such an answer
    came a moment ago; ``retry_after`` is then what is left to wait.
    """

    code = "provider_unavailable"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        retry_after: int | None = None,
        url: str = "",
        correlation_id: str = "",
        code: str | None = None,
    ) -> None:
        super().__init__(message, url=url, correlation_id=correlation_id, code=code)
        self.status = status
        self.retry_after = retry_after


class AnswerRefused(TransportError):
    """The answer was a redirect, or larger than anything sensible, and was not read."""

    code = "answer_refused"


class ApiUnreachable(TransportError):
    """A downstream API refused the connection, reset it, or did not answer in time.

    What is raised is also the exception of requests that belongs there, without its request and
    its frames: those hold the token.
    """

    code = "api_unreachable"


class GroupsUnknown(TransportError):
    """Which groups a person is in is not in their claims, and could not be found out. That never
    counts as "in none".

    Its ``code`` is ``groups_throttled`` where Microsoft Graph asks for patience (``retry_after``,
    in seconds), ``groups_refused`` where it does not let the site ask, and ``groups_not_asked``
    where nobody can be asked.
    """

    code = "groups_unknown"

    def __init__(
        self,
        message: str,
        *,
        retry_after: int | None = None,
        url: str = "",
        code: str | None = None,
    ) -> None:
        super().__init__(message, url=url, code=code)
        self.retry_after = retry_after


class ProtocolError(KeyfobError, ValueError):
    """The provider's answer breaks the protocol."""

    code = "protocol"


class MetadataError(ProtocolError):
    """The discovery document cannot be used (OpenID Connect Discovery 1.0 §4.3)."""

    code = "metadata"


class KeySetError(ProtocolError):
    """The provider's key set cannot be used (RFC 7517)."""

    code = "key_set"


class AuthorizationResponseError(ProtocolError):
    """What arrived at the redirect URI cannot be used (RFC 6749 §4.1.2, RFC 9207)."""

    code = "authorization_response"


class StateMismatchError(AuthorizationResponseError):
    """The response's ``state`` is not that of this sign-in attempt (RFC 6749 §10.12)."""

    code = "state_mismatch"


class TokenResponseError(ProtocolError):
    """The token endpoint's answer cannot be used (RFC 6749 §5.1)."""

    code = "token_response"


class NotJsonError(TokenResponseError, json.JSONDecodeError):
    """The token endpoint's answer is no JSON: a proxy's page, perhaps, or one that breaks off.

    MSAL raises `json.JSONDecodeError` here, which carries the whole answer. This one's ``doc`` is
    always "", and its ``pos``, ``lineno`` and ``colno`` are 0.
    """

    code = "not_json"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        _without_document(self, message)
        if code is not None:
            self.code = code


class FederationError(ProtocolError, RuntimeError):
    """The server that checks a federated domain's passwords refused, or cannot be understood."""

    code = "federation"


class DeviceAuthorizationError(ProtocolError):
    """The device authorization endpoint's answer cannot be used (RFC 8628 §3.2)."""

    code = "device_authorization"


class UserInfoError(ProtocolError):
    """The userinfo endpoint's answer cannot be used (OpenID Connect Core §5.3.4)."""

    code = "userinfo"


class IdTokenError(KeyfobError, RuntimeError):
    """An ID token failed a check (OpenID Connect Core §3.1.3.7). ``code`` names the check."""

    code = "id_token"


class NonceMismatchError(IdTokenError, ValueError):
    """The ID token is another attempt's: `acquire_token_by_authorization_code` was told so."""

    code = "nonce"


class SubjectChangedError(IdTokenError):
    """A refreshed ID token names another subject or issuer (OpenID Connect Core §12.2)."""

    code = "subject_changed"


class LogoutTokenError(KeyfobError, ValueError):
    """A logout token failed a check (OpenID Connect Back-Channel Logout 1.0 §2.6). ``code`` names
    the check."""

    code = "logout_token"


class AccessTokenError(KeyfobError, ValueError):
    """A bearer token failed a check of the API that it was sent to (RFC 6750 §3.1, RFC 9068 §4).
    ``code`` names the check, or is ``missing`` where no token came."""

    code = "access_token"


class PermissionMissing(KeyfobError, PermissionError):
    """Who they are is proven, and what they lack is named.

    ``scopes``, ``roles`` and ``groups`` are those of which something is missing; its ``code`` says
    of which kind: ``insufficient_scope`` (RFC 6750 §3.1), ``role`` or ``group``.
    """

    code = "permission_missing"

    def __init__(
        self,
        message: str,
        *,
        scopes: tuple[str, ...] = (),
        roles: tuple[str, ...] = (),
        groups: tuple[str, ...] = (),
        code: str | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.scopes = scopes
        self.roles = roles
        self.groups = groups


class StepUpRequired(KeyfobError):
    """A caller's token is good, and proves too little: an authentication context is missing, or
    the person proved themselves too long ago.

    ``claims`` is the claims challenge for a token that would do, a JSON object as text.
    """

    code = "insufficient_claims"

    def __init__(self, message: str, *, claims: str = "", code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.claims = claims


class ManagedIdentityError(KeyfobError, ValueError):
    """A managed identity that is none, or a machine that does not let its identity be used.

    ``source`` is where the token was to come from, such as "Azure Arc", or "" where no source was
    asked.
    """

    code = "managed_identity"

    def __init__(self, message: str, *, source: str = "", code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.source = source


class ArcPlatformNotSupportedError(ManagedIdentityError):
    """Azure Arc proves a program by a file, and says not where on this operating system."""

    code = "arc_platform"


class ArcKeyFileNotFoundError(ManagedIdentityError, FileNotFoundError):
    """The key file that Azure Arc named is not there."""

    code = "arc_key_file"

    def __new__(cls, *args: Any, **_: Any) -> Self:
        # Of the two bases' the first one found would be ValueError's, which makes no OSError.
        return FileNotFoundError.__new__(cls, *args)


class SignInRefused(KeyfobError):
    """Who they are is proven, and they may not come in."""

    code = "sign_in_refused"


class InteractionRequired(KeyfobError):
    """Only the person can get this token: by signing in, consenting, or proving more.

    ``scopes`` are those that were asked for, ``api`` the downstream API, by its name in the
    settings, that they are for, or "". ``claims`` is a claims challenge to pass on, ``error`` and
    ``suberror`` are the provider's words, where it was asked. ``force_refresh`` says that a new
    token was wanted, whatever was at hand. ``max_age`` is how many seconds ago the person may have
    proved themselves at the most, None where that makes no difference. ``authority`` is who has to
    sign the person in, by its name in the settings, or None where any may.
    """

    code = "interaction_required"

    def __init__(
        self,
        message: str,
        *,
        scopes: tuple[str, ...] = (),
        api: str = "",
        claims: str = "",
        error: str = "",
        suberror: str = "",
        force_refresh: bool = False,
        max_age: int | None = None,
        authority: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.force_refresh = force_refresh
        self.max_age = max_age
        self.authority = authority
        self.scopes = scopes
        self.api = api
        self.claims = claims
        self.error = error
        self.suberror = suberror


class CallerMustInteract(InteractionRequired):
    """The caller of a web API of ours must do something, and only their own application can show
    them a page: consent, prove more, or bring a newer token.
    """

    code = "caller_interaction"


class BrowserInteractionTimeoutError(KeyfobError, RuntimeError):
    """The browser brought no answer in the time that was given.

    ``code`` is `interaction_timeout`, or `interaction_ended` where the program itself gave up.
    """

    code = "interaction_timeout"


class LoopbackUnavailable(KeyfobError, OSError):
    """No port of this machine's loopback addresses could be had to await the browser at."""

    code = "loopback_unavailable"


class TokenCacheError(KeyfobError, json.JSONDecodeError):
    """A serialised token cache is not one, and nothing was loaded.

    MSAL raises `json.JSONDecodeError` here, which carries the whole document, tokens and all.
    This one has the same attributes, but ``doc`` is always "": ``pos``, ``lineno`` and ``colno``
    say where the document broke, and are 0 where it is JSON but no token cache.
    """

    code = "token_cache"

    def __init__(
        self,
        message: str,
        *,
        pos: int = 0,
        lineno: int = 0,
        colno: int = 0,
        code: str | None = None,
    ) -> None:
        _without_document(self, message)
        if code is not None:
            self.code = code
        self.pos = pos
        self.lineno = lineno
        self.colno = colno


def _without_document(error: json.JSONDecodeError, message: str) -> None:
    """What JSONDecodeError's own constructor does, which wants the document."""
    ValueError.__init__(error, message)
    error.msg = message
    error.doc = ""
    error.pos = error.lineno = error.colno = 0


class StoreError(KeyfobError):
    """The token store could not do what was asked."""

    code = "store"


class StoreUnavailable(StoreError):
    """The token store cannot be reached now.

    Its ``code`` is ``store_refused`` where the store answered, and only takes no writes now.

    ``retry_after`` is in how many seconds it is asked again, or None where nobody knows.
    """

    code = "store_unavailable"
    retryable = True

    def __init__(
        self, message: str, *, retry_after: int | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class DownstreamError(KeyfobError, ValueError):
    """A downstream call that must not be sent, such as a token for a foreign address."""

    code = "downstream"
