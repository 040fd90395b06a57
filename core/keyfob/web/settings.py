"""The settings of one site: found, checked, and fixed for the life of the program.

Everything that is wrong is reported at once, by the name it has where it was set.
`settings_table.py` describes each setting for people; docs/settings.md is written from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, cast

from keyfob.applications.credentials import judge_credential
from keyfob.errors import ConfigurationError
from keyfob.protocol.authority import (
    Authority,
    microsoft_authority,
    oidc_authority,
    tenant_authority,
)
from keyfob.protocol.id_token import TenantRule
from keyfob.web import settings_bearer as bearer
from keyfob.web import settings_values as values
from keyfob.web.settings_apis import (
    DownstreamApi,
    client_capabilities,
    downstream_apis,
    scope_names,
)
from keyfob.web.settings_authorities import named_authorities
from keyfob.web.settings_consent import AdminConsent, admin_consent
from keyfob.web.settings_easy_auth import easy_auth
from keyfob.web.settings_flows import user_flows
from keyfob.web.settings_groups import DEFAULT_GROUPS_SECONDS, MAX_GROUPS_SECONDS, group_names
from keyfob.web.settings_table import KEYS
from keyfob.web.settings_tenants import allowed_tenants
from keyfob.web.settings_values import Reader, UnfitValue
from keyfob.web.stores.urls import parse_store_url

#: MSAL's shapes of a credential, and ours (docs/credentials.md): a secret, a dict, or several.
ClientCredential: TypeAlias = "str | Mapping[object, object] | Sequence[object]"
ResponseMode: TypeAlias = Literal["query", "form_post"]

DEFAULT_LEEWAY = 60
#: Seconds in which another machine's sign-out is seen.
DEFAULT_L1_SECONDS = 30
MAX_LEEWAY = 600
#: Each takes some 70 bytes of the browser's session, which may be a cookie.
MAX_ACCOUNTS = 8
#: A TOKEN_STORE_KEYS entry has at least so many characters: 32 random bytes as base64 have 43.
MIN_KEY_LENGTH = 32

_AUTHORITIES: dict[str, Callable[[str], Authority]] = {
    "TENANT_ID": tenant_authority,
    "AUTHORITY": microsoft_authority,
    "OIDC_AUTHORITY": oidc_authority,
}
_AGES = ("SESSION_MAX_AGE", "SESSION_IDLE_AGE", "ACCOUNT_CHECK_INTERVAL")
#: Seconds. Below a minute a page of a form would outlive its session; above a year it is a typo.
_AGE_BOUNDS = (60, 366 * 86_400)
_CREDENTIALS = ("CLIENT_SECRET", "CLIENT_CREDENTIAL")
#: What each entry of AUTHORITIES has for itself.
OF_AUTHORITY = (
    "CLIENT_ID",
    *_CREDENTIALS,
    *_AUTHORITIES,
    "USER_FLOWS",
    "ALLOWED_TENANTS",
    "RESPONSE_MODE",
    "SCOPES",
    "DOWNSTREAM_APIS",
    "CLIENT_CAPABILITIES",
    "GROUPS",
)
_NEW_KEY = 'python -c "import secrets; print(secrets.token_urlsafe(32))"'


@dataclass(frozen=True, repr=False)
class Settings:
    """Settings that have passed every check. Immutable; safe to share between threads.

    :ivar client_id: the application's id.
    :ivar client_credential: what proves it: a secret, or one of the other shapes. Not in the repr.
    :ivar authority: who signs people in.
    :ivar user_flows: Azure AD B2C's other flows, as authorities, by name.
    :ivar allowed_tenants: tenant ids in lower case, a rule, or None for every tenant that the
        authority serves.
    :ivar admin_consent: what the administrator of another organisation is asked to agree to, or
        None where there is no view for that.
    :ivar easy_auth: whether App Service is there and signs people in; False where it is not there,
        whatever the site says.
    :ivar scopes: asked for at sign-in beyond `openid profile offline_access`.
    :ivar base_url: the site's public address without a trailing slash, or None.
    :ivar response_mode: how the answer to a sign-in arrives.
    :ivar downstream_apis: by name.
    :ivar groups: the groups that the site uses, by its own names: object ids in lower case, or
        names as the claims have them.
    :ivar groups_cache_seconds: for how long an answer about groups is believed.
    :ivar client_capabilities: what Microsoft is told that the site can handle, such as `cp1`.
    :ivar token_store: a store's name or URL, or None for the adapter's default. Not in the repr.
    :ivar token_store_keys: oldest to newest, or () for keys derived from the framework's secret
        key. Not in the repr.
    :ivar token_store_l1_seconds: how long this process may go by what it remembers of a session.
    :ivar session_max_age: seconds after which a session ends, however busy; None for no such limit.
    :ivar session_idle_age: seconds without a request after which it ends; None for the framework's.
    :ivar account_check_interval: seconds after which the provider is asked whether the person may
        still be here; None for never.
    :ivar max_accounts: how many accounts one browser's session may hold.
    :ivar audiences: what the site is called as a web API, in its callers' tokens; None for its
        client id, and at Microsoft also `api://` with it. At Microsoft it adds to those.
    :ivar allowed_clients: ids of the applications that may call it; None for every one.
    :ivar api_scopes: its scopes, for its callers to read.
    :ivar token_decryption_keys: private keys in PEM, oldest to newest. Not in the repr.
    :ivar leeway: clock difference that is forgiven, in seconds.
    :ivar authorities: the settings for each further authority, by name.
    """

    client_id: str
    client_credential: ClientCredential = field(repr=False, hash=False)
    authority: Authority
    user_flows: Mapping[str, Authority] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )
    allowed_tenants: TenantRule | None = None
    admin_consent: AdminConsent | None = None
    easy_auth: bool = False
    scopes: tuple[str, ...] = ()
    base_url: str | None = None
    response_mode: ResponseMode = "query"
    downstream_apis: Mapping[str, DownstreamApi] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )
    groups: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    groups_cache_seconds: int = DEFAULT_GROUPS_SECONDS
    client_capabilities: tuple[str, ...] = ()
    token_store: str | None = field(default=None, repr=False)
    token_store_keys: tuple[str, ...] = field(default=(), repr=False)
    token_store_l1_seconds: int = DEFAULT_L1_SECONDS
    session_max_age: int | None = None
    session_idle_age: int | None = None
    account_check_interval: int | None = None
    max_accounts: int = 1
    audiences: frozenset[str] | None = None
    allowed_clients: frozenset[str] | None = None
    api_scopes: tuple[str, ...] = ()
    token_decryption_keys: tuple[str, ...] = field(default=(), repr=False)
    leeway: int = DEFAULT_LEEWAY
    authorities: Mapping[str, Settings] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )

    def __repr__(self) -> str:
        shown = (
            f"{each.name}={getattr(self, each.name)!r}" if each.repr else f"{each.name}=<hidden>"
            for each in fields(self)
        )
        return f"Settings({', '.join(shown)})"

    def check_user_flow(self, name: str) -> None:
        """Tell a developer of a link to a flow that is not there; a visitor's link is passed over.

        :raises ConfigurationError: USER_FLOWS has none of this name.
        """
        if name not in self.user_flows:
            known = ", ".join(sorted(self.user_flows)) or "none"
            raise ConfigurationError(
                f"There is no user flow {name!r}; USER_FLOWS has {known}", setting="USER_FLOWS"
            )


def load_settings(
    explicit: Mapping[str, object], environ: Mapping[str, str], *, source: str
) -> Settings:
    """Find and check a site's settings.

    :param explicit: the framework's values, by upper-case key without prefix.
    :param environ: asked as `KEYFOB_<KEY>` where `explicit` is silent; usually `os.environ`. An
        empty text is silence.
    :param source: 'flask' or 'django': how messages name a key, and which stores there are.
    :returns: the settings, complete with defaults.
    :raises ConfigurationError: with one line for each thing that is missing, unknown,
        contradictory or wrong, and the first one's key as `setting`.
    """
    reader = Reader(explicit, environ, source)
    reader.check_names(KEYS)
    own = _of_authority(reader)
    of_site: dict[str, Any] = {
        "admin_consent": admin_consent(reader, own["authority"]),
        "easy_auth": easy_auth(reader, own["authority"], own["client_id"], environ),
    }
    shared = _shared(reader, django=source == "django")
    authorities = {
        name: _of_authority(nested) for name, nested in named_authorities(reader, OF_AUTHORITY)
    }
    reader.raise_problems()
    others = {name: Settings(**found, **shared) for name, found in authorities.items()}
    return Settings(**own, **of_site, **shared, authorities=MappingProxyType(others))


def _of_authority(reader: Reader) -> dict[str, Any]:
    """What each authority of a site has for itself."""
    client_id = _required(reader, "CLIENT_ID", values.text)
    credential = _credential(reader)
    authority = _authority(reader)
    tenants = allowed_tenants(reader, authority)
    modes = ("query", "form_post")
    return {
        "client_id": client_id,
        "client_credential": credential,
        "authority": authority,  # without one there was a problem
        "user_flows": user_flows(reader, authority),
        "allowed_tenants": tenants,
        "response_mode": reader.read(
            "RESPONSE_MODE", lambda value: values.one_of(value, modes), "query"
        ),
        "scopes": reader.read("SCOPES", scope_names, ()),
        "downstream_apis": downstream_apis(reader, authority),
        "client_capabilities": client_capabilities(reader, authority),
        "groups": group_names(reader, authority, tenants),
    }


def _shared(reader: Reader, *, django: bool) -> dict[str, Any]:
    """What a site has once, whoever signs in."""
    store = partial(_store_name, django=django)
    seconds = partial(values.whole_number, least=0, most=MAX_LEEWAY, unit="seconds")
    believed = partial(values.whole_number, least=0, most=MAX_GROUPS_SECONDS, unit="seconds")
    accounts = partial(values.whole_number, least=1, most=MAX_ACCOUNTS, unit="accounts")
    return {
        "base_url": reader.read("BASE_URL", _optional(values.address), None),
        "token_store": reader.read("TOKEN_STORE", _optional(store), None),
        "token_store_keys": reader.read("TOKEN_STORE_KEYS", _store_keys, ()),
        "token_store_l1_seconds": reader.read(
            "TOKEN_STORE_L1_SECONDS", seconds, DEFAULT_L1_SECONDS
        ),
        **{name.lower(): reader.read(name, _age, None) for name in _AGES},
        "audiences": _some(reader, "AUDIENCES"),
        "allowed_clients": _some(reader, "ALLOWED_CLIENTS"),
        "api_scopes": reader.read("API_SCOPES", bearer.api_scopes, ()),
        "token_decryption_keys": reader.read("TOKEN_DECRYPTION_KEYS", bearer.decryption_keys, ()),
        "groups_cache_seconds": reader.read(
            "GROUPS_CACHE_SECONDS", believed, DEFAULT_GROUPS_SECONDS
        ),
        "max_accounts": reader.read("MAX_ACCOUNTS", accounts, 1),
        "leeway": reader.read("LEEWAY", seconds, DEFAULT_LEEWAY),
    }


def _some(reader: Reader, key: str) -> frozenset[str] | None:
    """Names that are accepted. Set to nothing is a mistake, and not the default: whoever wrote it
    meant to keep some out."""
    found = reader.find(key)
    if found is None:
        if empty := reader.find_empty(key):
            reader.problem(key, "is empty, which accepts nothing", in_environ=empty.in_environ)
        return None
    return reader.converted(found, bearer.names, None)


def _age(value: object) -> int | None:
    least, most = _AGE_BOUNDS
    return values.whole_number(value, least=least, most=most, unit="seconds")


def _optional(convert: Callable[[object], str]) -> Callable[[object], str | None]:
    """The same converter, for a setting whose default is None."""
    return convert


def _required(reader: Reader, key: str, convert: Callable[[object], str]) -> str:
    found = reader.find(key)
    if found is None:
        reader.problem(key, "is missing: it is the id that the application was registered under")
        return ""
    return reader.converted(found, convert, "")


def _credential(reader: Reader) -> ClientCredential:
    found = reader.find_one_of(_CREDENTIALS)
    if found is None:
        reader.problem("CLIENT_SECRET", "is missing: it proves that this site is the application")
        return ""
    convert = values.secret if found.key == "CLIENT_SECRET" else _client_credential
    return reader.converted(found, convert, "")


def _client_credential(value: object) -> ClientCredential:
    """A secret, or any other shape: in the environment as JSON. Nothing is read yet."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        value = _parsed(value)
    if isinstance(value, (list, tuple)):
        found = tuple(values.secret(each) if isinstance(each, str) else each for each in value)
        _judge_credential(found)
        return found
    if isinstance(value, Mapping) or callable(value):
        _judge_credential(value)
        return MappingProxyType(dict(cast("Mapping[object, object]", value)))
    return values.secret(value)


def _parsed(text: str) -> object:
    """What it is as JSON; a secret may begin with a brace, too."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _judge_credential(value: object) -> None:
    try:
        judge_credential(value, "")
    except ConfigurationError as error:
        # Without a name in front, the text goes on where the setting's name ended.
        raise UnfitValue(str(error).strip()) from None


def _authority(reader: Reader) -> Authority | None:
    found = reader.find_one_of(_AUTHORITIES)
    if found is None:
        reader.problem(
            "TENANT_ID",
            "is missing: it says who signs people in (a tenant's id or domain, 'organizations', "
            "'common' or 'consumers'). Or set AUTHORITY or OIDC_AUTHORITY in its place",
        )
        return None
    tidy = values.text if found.key == "TENANT_ID" else values.any_address
    build = _AUTHORITIES[found.key]

    def convert(value: object) -> Authority | None:
        return build(tidy(value))

    return reader.converted(found, convert, None)


def _store_name(value: object, *, django: bool) -> str:
    plain = values.text(value)
    parse_store_url(plain, django=django)
    return plain


def _store_keys(value: object) -> tuple[str, ...]:
    keys = values.items(value, values.secret)
    short = [number for number, key in enumerate(keys, 1) if len(key) < MIN_KEY_LENGTH]
    if short:
        raise UnfitValue(
            f"has a key of less than {MIN_KEY_LENGTH} characters (number {short[0]} of "
            f"{len(keys)}). Make one with: {_NEW_KEY}"
        )
    return keys
