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
from typing import TYPE_CHECKING

from keyfob.errors import AccessTokenError, CallerMustInteract, StepUpRequired
from keyfob.web import bearer_answers
from keyfob.web.exchange import NO_STORE, Answer, WebRequest

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication

#: Microsoft's reasons for an `invalid_grant` that concern the token alone.
_TOKEN_ENDED = frozenset({"", "bad_token", "token_expired"})


def answer(
    site: WebApplication,
    request: WebRequest,
    error: CallerMustInteract,
    *,
    consent_url: Callable[[], str],
) -> Answer:
    """The answer, for a program.

    :param consent_url: gives an absolute address of ours, to be opened in a browser.
    """
    if error.claims:
        proof = StepUpRequired("An API that this one calls asks for more", claims=error.claims)
        return bearer_answers.refusal(site, request, proof)
    if error.error == "invalid_grant" and error.suberror in _TOKEN_ENDED:
        ended = AccessTokenError("The provider takes this token no more", code="token_ended")
        return bearer_answers.refusal(site, request, ended)
    return _consent(site, request, error, consent_url())


def _consent(
    site: WebApplication, request: WebRequest, error: CallerMustInteract, url: str
) -> Answer:
    code = "interaction_required"
    if "consent_required" in (error.error, error.suberror):
        code = "consent_required"
    title = "The person must consent, or sign in, in a browser"
    parameters = {"error": code, "error_description": title}
    return Answer(
        403,
        problem={
            "type": "about:blank",
            "title": title,
            "status": 403,
            "code": code,
            "scopes": list(error.scopes),
            "api": error.api,
            "consent_url": url,
        },
        headers={
            **NO_STORE,
            "Vary": "Authorization",
            "WWW-Authenticate": bearer_answers.challenge(site, request, parameters),
        },
    )
