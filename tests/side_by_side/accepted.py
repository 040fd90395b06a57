"""Where Keyfob differs from MSAL: on purpose, or because something is yet to come."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Accepted:
    """A difference that is known.

    :param scenario: its name, with wildcards; likewise `place`, as `Difference.place` names it.
    :param why: in short.
    :param documented: the words by which the migration page's table begins the row about it.
    """

    scenario: str
    place: str
    why: str
    documented: str = ""

    def covers(self, scenario: str, place: str) -> bool:
        return fnmatchcase(scenario, self.scenario) and fnmatchcase(place, self.place)


_HEADERS = "Client headers"
_CASE = "Letters of a scope"
_ONE_REFRESH_TOKEN = "Refresh tokens by scope set"
_ON_BEHALF = "On-behalf-of"
_TELEMETRY = "Telemetry headers"
_ASSERTIONS = "Client assertions"
_AHEAD = "A proactive refresh that fails"

#: On purpose. Each is in docs/migrating-from-msal.md.
ACCEPTED = (
    Accepted("*", "request * / header / x-client-sku", "it is Keyfob that asks", _HEADERS),
    Accepted("*", "request * / header / x-client-ver", "it is Keyfob that asks", _HEADERS),
    Accepted("device*", "request * devicecode / header / accept", "it asks for JSON", _HEADERS),
    Accepted(
        "ADFS",
        "request * / header / x-anchormailbox",
        "a hint for Microsoft's own routing, which ADFS has not",
        _HEADERS,
    ),
    Accepted("silent, aging, the provider is down", "*", "the valid token serves", _AHEAD),
    Accepted("silent, aging, the provider *", "* / refresh_on", "put off for a minute", _AHEAD),
    Accepted("SSH certificate", "*", "it never stands for a bearer token", "SSH certificates"),
    Accepted("a region", "requests", "a region that is named is not looked for", "Regions"),
    Accepted(
        "password, federated*",
        "request * usernamemixed / form",
        "the same message in other bytes",
        "WS-Trust",
    ),
    Accepted(
        "device*",
        "result * initiate_device_flow / _scope",
        "what was asked for, for the cache where the answer does not say",
        "Device flow",
    ),
    Accepted("silent, other letters", "*", "Microsoft's scopes ignore case; no refresh", _CASE),
    Accepted(
        "one person, two APIs",
        "cache / RefreshToken / *",
        "the newest refresh token takes the place of the older, and reaches as far",
        _ONE_REFRESH_TOKEN,
    ),
    Accepted(
        "silent, another API",
        "cache / RefreshToken / *",
        "the entry's key says all that the refresh token was good for",
        _ONE_REFRESH_TOKEN,
    ),
    Accepted(
        "silent, reserved scope",
        "cache / AccessToken / *",
        "scopes are judged before the cache is looked at, which drops what expired",
        "Scopes that cannot be asked for",
    ),
    Accepted(
        "silent, not consented",
        "requests",
        "the person may consent any moment: such a refusal is not remembered",
        "Refusals that a person can cure",
    ),
    Accepted("on behalf of, twice", "*", "the second call finds the first one's token", _ON_BEHALF),
    Accepted(
        "on behalf of*",
        "cache / AccessToken / *",
        "such a token is kept for the very assertion, as an extended entry",
        _ON_BEHALF,
    ),
    Accepted(
        "*",
        "request * refresh_token / header / x-client-current-telemetry",
        "that a person's token expired is told as such: reason 3 in the place of 2",
        _TELEMETRY,
    ),
    Accepted(
        "Azure AD B2C, no API",
        "cache / RefreshToken / *",
        "an answer whose scope is empty leaves open what was granted: what was asked for",
        "An answer without an access token",
    ),
    Accepted(
        "certificate*",
        "request * / form / client_assertion / claims / nbf",
        "it says from when it is good",
        _ASSERTIONS,
    ),
    Accepted(
        "certificate*",
        "request * / form / client_assertion / header / x5*",
        "base64url has no padding in a JWS; and all of the chain is sent",
        _ASSERTIONS,
    ),
    Accepted(
        "on behalf of*",
        "request * jwt-bearer / header / x-client-current-telemetry",
        "the cache was asked, and had none: reason 2 in the place of 0",
        _TELEMETRY,
    ),
)

#: Not on purpose: each goes when what it says has come, and fails the tests from then on.
NOT_YET: tuple[Accepted, ...] = ()
