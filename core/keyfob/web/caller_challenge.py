"""What the caller of a web API of ours is answered where an API that ours calls wants something of
the person: we can show them no page, their own application can.

* A claims challenge is handed on: 401 `insufficient_claims`, with the claims as base64, as
  Microsoft's clients read it. They get a token for our API that answers it.
* A token that serves no more: 401 `invalid_token` (RFC 6750 §3.1), to bring a newer one.
* Consent: 403. A newer token would not help. `consent_url` is where the person can consent to what
  our application asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keyfob.errors import CallerMustInteract
from keyfob.protocol.www_authenticate import build_challenge, encode_claims
from keyfob.web.exchange import NO_STORE, Answer
from keyfob.web.problems import one_line

#: Microsoft's reasons for an `invalid_grant` that concern the token alone.
_TOKEN_ENDED = frozenset({"", "bad_token", "token_expired"})


def answer(error: CallerMustInteract, *, consent_url: Callable[[], str]) -> Answer:
    """The answer, for a program.

    :param consent_url: gives an absolute address of ours, to be opened in a browser.
    """
    if error.claims:
        said, title = "insufficient_claims", "A token with more claims is needed"
        return _problem(401, said, title, claims=encode_claims(error.claims))
    if error.error == "invalid_grant" and error.suberror in _TOKEN_ENDED:
        return _problem(401, "invalid_token", "A newer token is needed")
    more: dict[str, Any] = {
        "scopes": list(error.scopes),
        "api": error.api,
        "consent_url": consent_url(),
    }
    title = "The person must consent, or sign in, in a browser"
    return _problem(403, _reason(error), title, **more)


def _reason(error: CallerMustInteract) -> str:
    if "consent_required" in (error.error, error.suberror):
        return "consent_required"
    return "interaction_required"


def _problem(status: int, code: str, title: str, claims: str = "", **more: object) -> Answer:
    challenge = build_challenge(
        "Bearer", {"error": code, "error_description": one_line(title), "claims": claims}
    )
    problem = {"type": "about:blank", "title": title, "status": status, "code": code, **more}
    if claims:
        problem["claims"] = claims
    return Answer(status, problem=problem, headers={**NO_STORE, "WWW-Authenticate": challenge})
