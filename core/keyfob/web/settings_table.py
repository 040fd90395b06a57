"""What each setting means, for people: docs/settings.md shows this table."""

from __future__ import annotations

from typing import NamedTuple


class SettingInfo(NamedTuple):
    """One setting for documentation: texts in Markdown, `default` "" where there is none."""

    key: str
    meaning: str
    default: str
    example: str
    #: Whether its value must never be shown.
    secret: bool = False


_TABLE = (
    SettingInfo(
        "CLIENT_ID",
        "The application's id, from its registration.",
        "",
        "`11111111-2222-3333-4444-555555555555`",
    ),
    SettingInfo(
        "CLIENT_SECRET",
        "The application's secret: the secret's *value*, not its id.",
        "",
        "`Abc8Q~...`",
        secret=True,
    ),
    SettingInfo(
        "CLIENT_CREDENTIAL",
        "In the place of `CLIENT_SECRET`: a certificate, an assertion, a workload or managed "
        "identity, or a list of credentials that are tried in order. "
        "[credentials.md](credentials.md) has all shapes.",
        "none",
        '`{"private_key_path": "/etc/site/key.pem", "certificate_path": "/etc/site/cert.pem"}`',
        secret=True,
    ),
    SettingInfo(
        "TENANT_ID",
        "Whose people sign in, in Microsoft's public cloud: a tenant's id or domain, "
        "`organizations` (any work or school account), `consumers` (personal accounts), or "
        "`common` (both).",
        "",
        "`contoso.onmicrosoft.com`",
    ),
    SettingInfo(
        "AUTHORITY",
        "In the place of `TENANT_ID`, a whole address at Microsoft: a sovereign cloud, an Azure AD "
        "B2C user flow, External ID, AD FS.",
        "none",
        "`https://login.microsoftonline.us/contoso.us`",
    ),
    SettingInfo(
        "OIDC_AUTHORITY",
        "In the place of `TENANT_ID`, the issuer of any OpenID Connect provider.",
        "none",
        "`https://id.example.com/realms/staff`",
    ),
    SettingInfo(
        "AUTHORITIES",
        "Further parties who sign people in, by name: each with settings of its own for "
        "`CLIENT_ID`, its credential, its authority, `USER_FLOWS`, `ALLOWED_TENANTS`, `SCOPES`, "
        "`DOWNSTREAM_APIS`, `RESPONSE_MODE`, `CLIENT_CAPABILITIES` and `GROUPS`. "
        "[several-authorities.md](several-authorities.md) has an example.",
        "none",
        '`{"customers": {"AUTHORITY": "https://contoso.ciamlogin.com", "CLIENT_ID": "...", '
        '"CLIENT_SECRET": "..."}}`',
        secret=True,
    ),
    SettingInfo(
        "USER_FLOWS",
        "Azure AD B2C's other user flows, beside the one in `AUTHORITY`, by names of your own: for "
        "signing up, editing the profile, and, by the name `reset_password`, for forgotten "
        "passwords. [user-flows.md](user-flows.md) has more.",
        "`{}`",
        '`{"edit_profile": "B2C_1_edit", "reset_password": "B2C_1_reset"}`',
    ),
    SettingInfo(
        "ALLOWED_TENANTS",
        "Tenant ids that may sign in, when the authority serves many; or a function of the tenant "
        "id that returns true for those, and is asked about signed-in people as well. Without it, "
        "every tenant that the authority serves. Empty is an error. [tenants.md](tenants.md) has "
        "more.",
        "every tenant",
        '`["11111111-2222-3333-4444-555555555555"]`',
    ),
    SettingInfo(
        "ADMIN_CONSENT",
        "Whether there is a view, `auth/admin-consent`, where the administrator of another "
        "organisation agrees that its people use the site; only for an authority that serves many "
        "tenants. Or a list of scopes to agree to, in the place of all that the application is "
        "registered for. [tenants.md](tenants.md) has more.",
        "`False`",
        "`True`",
    ),
    SettingInfo(
        "EASY_AUTH",
        'Whether the identities of App Service\'s own authentication ("EasyAuth") count, where the '
        "site runs behind it. Elsewhere it changes nothing. [app-service.md](app-service.md) has "
        "more.",
        "`False`",
        "`True`",
    ),
    SettingInfo(
        "SCOPES",
        "What to ask for at sign-in, beyond `openid profile offline_access`, which are always "
        "asked for.",
        "`[]`",
        '`["User.Read"]`',
    ),
    SettingInfo(
        "BASE_URL",
        "The site's public address. Set it when the site does not see it by itself, as behind some "
        "proxies: the redirect URI is built on it.",
        "from each request",
        "`https://www.contoso.example`",
    ),
    SettingInfo(
        "RESPONSE_MODE",
        "How the answer to a sign-in comes back: `query` (in the address) or `form_post`.",
        "`query`",
        "`form_post`",
    ),
    SettingInfo(
        "DOWNSTREAM_APIS",
        "APIs to call, by name: `base_url`, and the `scopes` that the person's token needs; "
        "`app_only` and `tenant` for the application's own token; `attach_to` for the paths "
        "where it is ready ([whose-token.md](whose-token.md)); `timeout` (seconds, or two: to "
        "connect, and between two bytes; `[5, 30]`) and `retries` (`2`), see "
        "[calling-apis.md](calling-apis.md). At Microsoft `graph` is there by itself "
        "(`User.Read`).",
        "`graph` at Microsoft",
        '`{"orders": {"base_url": "https://orders.contoso.example", '
        '"scopes": ["api://orders/Read"]}}`',
    ),
    SettingInfo(
        "GROUPS",
        "The groups that the site uses, by names of its own: the object id of each, or what the "
        "claim `groups` calls it. [roles-and-groups.md](roles-and-groups.md) has more.",
        "`{}`",
        '`{"approvers": "11111111-2222-3333-4444-555555555555"}`',
    ),
    SettingInfo(
        "GROUPS_CACHE_SECONDS",
        "For how long a session goes by what Microsoft Graph said about a person's groups, where "
        "their claims have no room for them; 0 to 3600. 0 asks each time.",
        "`300`",
        "`60`",
    ),
    SettingInfo(
        "CLIENT_CAPABILITIES",
        "What the site can handle, as it tells Microsoft: with `cp1` an API may end a token before "
        "its time, and ask for one with other claims, which `downstream_api` answers "
        "([calling-apis.md](calling-apis.md)). `[]` announces nothing.",
        '`["cp1"]` at Microsoft Entra ID',
        "`[]`",
    ),
    SettingInfo(
        "TOKEN_STORE",
        "Where tokens are kept, on the server: `sqlite:///file` (relative to the instance folder "
        "in Flask, to `BASE_DIR` in Django), `sqlite:////absolute/file`; `redis://host/0` and its "
        "kin, for several machines; in Django also `django-db`, the site's own database, and "
        "`django-cache:ALIAS`; `memory://` for development.",
        "Flask: a SQLite file in the instance folder; Django: `django-db`",
        "`sqlite:////var/lib/site/keyfob.sqlite3`",
    ),
    SettingInfo(
        "TOKEN_STORE_KEYS",
        "What tokens are encrypted with: a list from the oldest key to the newest. The newest "
        "encrypts, all decrypt. At least 32 characters each.",
        "derived from the framework's secret key and its fallbacks",
        '`["<old key>", "<new key>"]`',
        secret=True,
    ),
    SettingInfo(
        "TOKEN_STORE_L1_SECONDS",
        "How long a process may go by what it remembers of a session before it asks the token "
        "store again: within so many seconds another machine's sign-out is seen. 0 remembers "
        "nothing. Local stores are asked each time, which costs them next to nothing.",
        "`30`",
        "`5`",
    ),
    SettingInfo(
        "SESSION_MAX_AGE",
        "Seconds after which a sign-in ends, however busy its session; 60 or more.",
        "no limit but the framework's",
        "`43200`",
    ),
    SettingInfo(
        "SESSION_IDLE_AGE",
        "Seconds without a request to a guarded page after which a sign-in ends; 60 or more.",
        "the framework's session lifetime",
        "`1800`",
    ),
    SettingInfo(
        "ACCOUNT_CHECK_INTERVAL",
        "Seconds after which the provider is asked again whether the person may still be here, by "
        "a refresh that nobody notices: so a disabled account does not stay signed in. 60 or more.",
        "never",
        "`900`",
    ),
    SettingInfo(
        "MAX_ACCOUNTS",
        "How many accounts may be signed in in one browser at a time, 1 to 8. With more than one, "
        "people switch between them at `auth/accounts`.",
        "`1`",
        "`3`",
    ),
    SettingInfo(
        "AUDIENCES",
        "What this site is called as a web API, in the tokens of its callers (`aud`): at Microsoft "
        "its application ID URIs beside the client id and `api://` with it, which are accepted "
        "always; elsewhere nothing else is accepted then.",
        "`CLIENT_ID`; at Microsoft also `api://` with it",
        '`["api://orders"]`',
    ),
    SettingInfo(
        "ALLOWED_CLIENTS",
        "Ids of the applications that may call this site's web API. Empty is an error.",
        "every application that the provider gives a token to",
        '`["66666666-7777-8888-9999-000000000000"]`',
    ),
    SettingInfo(
        "API_SCOPES",
        "The web API's scopes, as callers ask for them: they can read them at "
        "`/.well-known/oauth-protected-resource`.",
        "`[]`",
        '`["api://orders/Orders.Read"]`',
    ),
    SettingInfo(
        "TOKEN_DECRYPTION_KEYS",
        "RSA private keys in PEM for a web API whose tokens are encrypted: a list from the oldest "
        "to the newest.",
        "none: encrypted tokens are refused",
        '`["-----BEGIN PRIVATE KEY-----..."]`',
        secret=True,
    ),
    SettingInfo(
        "LEEWAY",
        "How many seconds the provider's clock and this one's may differ; 0 to 600.",
        "`60`",
        "`120`",
    ),
)

#: Every setting's name.
KEYS = tuple(info.key for info in _TABLE)


def describe_settings() -> tuple[SettingInfo, ...]:
    """Every setting, in the order in which documentation shows them."""
    return _TABLE


def settings_as_markdown() -> str:
    """The table of docs/settings.md."""
    lines = ["| key | meaning | default | example |", "|---|---|---|---|"]
    for info in _TABLE:
        default = info.default or "*needed*"
        lines.append(f"| `{info.key}` | {info.meaning} | {default} | {info.example} |")
    return "\n".join(lines) + "\n"
