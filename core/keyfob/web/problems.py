"""Each failure a person can meet, in words for them: what happened, and what they can do."""

from __future__ import annotations

import logging
import re
import uuid
from dataclasses import replace

from keyfob.errors import (
    ApiUnreachable,
    AuthorizationResponseError,
    ConfigurationError,
    DownstreamError,
    GroupsUnknown,
    IdTokenError,
    InteractionRequired,
    KeyfobError,
    PermissionMissing,
    ProtocolError,
    ProviderUnavailable,
    SignInRefused,
    StoreUnavailable,
    TransportError,
)
from keyfob.protocol.authorization import AuthorizationRefusal
from keyfob.web.exchange import NO_STORE, Answer, Page

logger = logging.getLogger(__name__)

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_TRY_LATER = "Try again in a minute."

#: What a provider's refusal means to the person (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6).
_REFUSALS: dict[str, tuple[int, Page]] = {
    "access_denied": (
        403,
        Page(
            "Sign-in was cancelled",
            "You, or your organisation, did not allow this site to sign you in.",
            "If that was not what you wanted, try again. If your organisation's approval is "
            "needed, ask its administrator.",
        ),
    ),
    "login_required": (
        401,
        Page("You need to sign in", "The sign-in service does not know you in this browser yet."),
    ),
    "interaction_required": (
        401,
        Page("You need to sign in", "The sign-in service needs something from you first."),
    ),
    "account_selection_required": (
        401,
        Page("You need to choose an account", "Several accounts are signed in in this browser."),
    ),
    "consent_required": (
        403,
        Page(
            "Your consent is needed",
            "This site asks for something that you have not agreed to yet.",
        ),
    ),
    "temporarily_unavailable": (
        503,
        Page("The sign-in service is busy", "It cannot sign you in right now.", _TRY_LATER),
    ),
    "server_error": (
        502,
        Page("The sign-in service failed", "It could not sign you in.", _TRY_LATER),
    ),
}

_OTHER_REFUSAL = (
    502,
    Page(
        "The sign-in service refused",
        "It did not sign you in to this site.",
        "Try again. If it happens again, give the numbers below to the site's support.",
    ),
)

NO_ATTEMPT = (
    400,
    Page(
        "This sign-in cannot be completed",
        "It was not started in this browser, or too long ago, or it was completed already.",
        "Start again. If it happens each time, let this site set cookies, and stay at one address "
        "of it (localhost and 127.0.0.1 are two).",
        code="no_attempt",
    ),
)

_FOREIGN_ISSUER = (
    400,
    Page(
        "This sign-in cannot be started",
        "The link that you followed asks for another sign-in service than this site's.",
        "You can sign in here without that link.",
    ),
)

#: The browser comes from a sign-in and is signed out again, again and again.
SESSION_NOT_KEPT = (
    400,
    Page(
        "You are not kept signed in",
        "You signed in, but your browser did not bring this site's session cookie back.",
        "Let this site set cookies, and try again. If it happens to everybody, the site's settings "
        "are wrong: its session cookie must not be Secure where people come by plain http, not "
        "SameSite=Strict, not for another domain, and not larger than 4 kB.",
        code="session_not_kept",
    ),
)

#: A sign-in that the provider does not confirm any more.
SIGN_IN_ENDED = (
    401,
    Page(
        "Your sign-in has ended",
        "You were signed in to this site, and the sign-in service no longer confirms it.",
        "Sign in again, and you go on to the page that you wanted.",
        retry_label="Sign in again",
        code="login_required",
    ),
)
#: A form that was kept until its person has signed in, or agreed to something.
FORM_KEPT = (
    401,
    Page(
        "One more step",
        "You have to sign in first, or to agree to something. What you filled in is kept for an "
        "hour, and nothing was done with it yet.",
        "Afterwards you see it again, and send it with one click.",
        retry_label="Continue",
        code="form_kept",
    ),
)
FILES_NOT_KEPT = "Files are not kept: you will have to choose them again in the form itself."
#: A kept form that is not there: the address is a copy, or the form was sent on.
FORM_GONE = (
    410,
    Page(
        "There is nothing to send",
        "It was sent already, or it is more than an hour old, or it was kept in another browser.",
        "If it was not sent, go back to the form and fill it in again.",
        code="form_gone",
    ),
)
FORM_NOT_YOURS = (
    403,
    Page(
        "This is not yours to send",
        "Somebody else filled this form in, before you signed in in this browser.",
        "If that was you, with another account: sign out, sign in with that one, and open this "
        "address again.",
        code="form_of_another",
    ),
)
FORM_OF_A_STRANGER = (
    403,
    Page(
        "Nothing was sent",
        "The request did not come from a page of this site.",
        "Go back to the site, and send the form from there.",
        code="foreign_form",
    ),
)
#: A form that was sent before its person could be let in, and that was not kept.
FORM_NOT_TAKEN = (
    401,
    Page(
        "Nothing was sent",
        "You have to sign in first, so nothing of what you sent was taken.",
        "Sign in again, go back to the form, and send it once more.",
        retry_label="Sign in again",
        code="login_required",
    ),
)

#: Who they are is known, and that they may not: signing in again would change nothing.
_NOT_ALLOWED = (
    403,
    Page(
        "You may not open this page",
        "You are signed in, and your account does not have the permission that it needs.",
        "If you should have it, ask who runs the site, or your organisation's administrator. A "
        "permission that you were just given counts from your next sign-in.",
        retry_label="Use another account",
    ),
)
_GROUPS_UNKNOWN = (
    503,
    Page(
        "This page is not available",
        "The site cannot find out right now whether you may open it.",
        "Try again in a minute. If it happens again, give the numbers below to the site's support.",
    ),
)
_FIXED: tuple[tuple[type[KeyfobError], tuple[int, Page]], ...] = (
    (PermissionMissing, _NOT_ALLOWED),
    (GroupsUnknown, _GROUPS_UNKNOWN),
)

#: Errors of a provider that go away by themselves (RFC 6749 §4.1.2.1; some send them from the
#: token endpoint).
PASSING_ERRORS = frozenset({"temporarily_unavailable", "server_error"})
#: What refuses the site rather than the person (RFC 6749 §5.2): its secret has expired, say.
REFUSALS_OF_THE_SITE = frozenset({"invalid_client", "unauthorized_client"})
#: What ends nobody's sign-in.
SAYS_NOTHING_OF_THE_PERSON = PASSING_ERRORS | REFUSALS_OF_THE_SITE

NO_AUTHORITY = (
    404,
    Page(
        "There is no such sign-in",
        "The address names a sign-in service that this site does not use.",
        "Go to the site's own pages, and sign in from there.",
        code="no_authority",
    ),
)
FORGED_FORM = (
    403,
    Page(
        "You were not signed out",
        "The request did not come from a page of this site, or from one that was out of date.",
        "Go back to the site and press its sign-out button again.",
    ),
)
#: A posted choice of an account without the proof that it is from our own page.
FORGED_CHOICE = (
    403,
    Page(
        "Your accounts are as they were",
        "What was sent did not come from a page of this site, or the page was too old.",
        "Open the list of your accounts again, and choose there.",
        code="csrf",
    ),
)

_MALFORMED = (
    400,
    Page(
        "This sign-in cannot be completed",
        "What came back from the sign-in service cannot be used.",
        "Start again.",
    ),
)


#: The provider gave no authentication context, or no `auth_time` that is new enough.
_NOT_PROVED_MORE = (
    403,
    Page(
        "This page needs a stronger proof of who you are",
        "You signed in again, and the sign-in service still did not confirm what this page asks "
        "for, such as a second factor.",
        "Try again, and do what the sign-in service asks. If it asks for nothing, it is not set "
        "up for this page: tell who runs the site.",
    ),
)
_NOT_PROVED_ANEW = (
    403,
    Page(
        "This page needs you to sign in anew",
        "The sign-in service did not confirm that you have just proved who you are.",
        "Try again, and give your password when you are asked. If you are not asked, tell who runs "
        "the site.",
    ),
)
_NOT_PROVED = {"step_up": _NOT_PROVED_MORE, "too_long_ago": _NOT_PROVED_ANEW}
_NOT_GIVEN = (
    403,
    Page(
        "This page needs more than you have",
        "Signing in again did not give this site what it needs to show the page.",
        "Try again, and agree to what is asked. If it happens again, ask who runs the site.",
    ),
)
#: What an ID token may say that is no fault of the provider's.
_OF_ID_TOKENS = {
    "tenant_not_allowed": (
        403,
        Page(
            "You cannot sign in here",
            "People of your organisation may not sign in to this site.",
            "Sign in with another account, or ask who runs the site.",
        ),
    ),
    "auth_time": _NOT_PROVED_ANEW,
}


def page_for(error: KeyfobError) -> tuple[int, Page]:
    """The page for a failure, and its status."""
    if isinstance(error, ProviderUnavailable):
        status, title = 503, "The sign-in service is not available"
        return status, Page(title, "It answered that it cannot help right now.", _TRY_LATER)
    if fixed := next((found for kind, found in _FIXED if isinstance(error, kind)), None):
        return fixed
    if isinstance(error, ApiUnreachable):
        return 503, Page(
            "This page is not available",
            "A service that it needs could not be reached.",
            _TRY_LATER,
        )
    if isinstance(error, TransportError):
        text = "The sign-in service could not be reached, or did not answer as it should."
        return 503 if error.retryable else 502, Page(
            "The sign-in service is not available", text, _TRY_LATER
        )
    if isinstance(error, AuthorizationResponseError):
        return _FOREIGN_ISSUER if error.code == "foreign_issuer" else _MALFORMED
    if isinstance(error, SignInRefused):
        return 403, Page("You cannot sign in here", str(error))
    if isinstance(error, IdTokenError) and error.code in _OF_ID_TOKENS:
        return _OF_ID_TOKENS[error.code]
    if isinstance(error, InteractionRequired):
        return _NOT_PROVED.get(error.code, _NOT_GIVEN)
    if isinstance(error, StoreUnavailable):
        return 503, Page(
            "This site is not ready",
            "It cannot reach the place where it keeps sign-ins.",
            _TRY_LATER,
        )
    if isinstance(error, (IdTokenError, ProtocolError)) and not isinstance(error, DownstreamError):
        return 502, Page(
            "The sign-in service answered wrongly",
            "Its answer cannot be trusted, so it was not used.",
            "Try again. If it happens again, give the numbers below to the site's support.",
        )
    if isinstance(error, ConfigurationError):
        return 503, Page(
            "This site is not set up to sign you in",
            f"{str(error).removesuffix('.')}.",
            "Whoever runs it can mend that.",
        )
    return 503, Page("This did not work", "The site could not do this.", _TRY_LATER)


def refusal_page(refusal: AuthorizationRefusal) -> tuple[int, Page]:
    """The page for what the provider answered in place of a code or a token."""
    status, page = _REFUSALS.get(refusal.error, _OTHER_REFUSAL)
    return status, replace(page, code=refusal.error)


def page_answer(
    status: int,
    page: Page,
    *,
    retry_url: str = "",
    home_url: str = "/",
    error: KeyfobError | None = None,
    correlation_id: str = "",
    detail: str = "",
) -> Answer:
    """A page with its number, which the log has too, beside what only the site's people may see."""
    number = correlation_id or getattr(error, "correlation_id", "")
    if not isinstance(number, str) or not _CORRELATION_ID.fullmatch(number):
        number = str(uuid.uuid4())
    code = page.code or (error.code if error is not None else "")
    logger.warning(
        "Answered %d, %s (%s), correlation id %s: %s",
        status,
        page.title,
        code,
        number,
        one_line(detail or error or page.text),
    )
    headers = dict(NO_STORE)
    if status == 503:
        headers["Retry-After"] = str(_retry_after(error))
    return Answer(
        status,
        page=replace(
            page, retry_url=retry_url, home_url=home_url, correlation_id=number, code=code
        ),
        headers=headers,
    )


def one_line(text: object) -> str:
    """A provider's text as the log may have it: it cannot pass for entries of the log."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:1000])


def _retry_after(error: KeyfobError | None) -> int:
    """Seconds. A provider may ask for more patience than a person has: an hour is the most."""
    asked = getattr(error, "retry_after", None)
    return max(1, min(asked, 3600)) if isinstance(asked, int) else 10
