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

#: On purpose. Each is in docs/migrating-from-msal.md.
ACCEPTED = (
    Accepted("*", "request * / header / x-client-sku", "it is Keyfob that asks", _HEADERS),
    Accepted("*", "request * / header / x-client-ver", "it is Keyfob that asks", _HEADERS),
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
)

#: Not on purpose: each goes when what it says has come, and fails the tests from then on.
NOT_YET = (
    Accepted("*", "request * / header / x-client-*-telemetry", "telemetry headers"),
    Accepted("*", "request * / header / x-ms-lib-capability", "the header about throttling"),
    Accepted(
        "*",
        "result * initiate_auth_code_flow / claims_challenge",
        "an attempt without a challenge has no such member at all",
    ),
    Accepted("silent, not consented", "requests", "a refusal is remembered for a minute"),
    Accepted("silent, signed out everywhere", "requests", "a refusal is remembered for a minute"),
    Accepted("*the token endpoint is down", "result *", "keyfob.exceptions.MsalServiceError"),
    Accepted("silent, *the provider is down", "result *", "keyfob.exceptions.MsalServiceError"),
)
