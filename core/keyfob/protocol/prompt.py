"""What a sign-in page is to do, whoever is signed in there (OpenID Connect Core §3.1.2.1)."""

from __future__ import annotations

from typing import Final


class Prompt:
    """The values of `prompt`, by MSAL's names."""

    #: Show nothing: an error comes back where the person would have to do something.
    NONE: Final = "none"
    #: Ask them to prove themselves again.
    LOGIN: Final = "login"
    #: Ask for consent again.
    CONSENT: Final = "consent"
    #: Let them choose the account.
    SELECT_ACCOUNT: Final = "select_account"
    #: Begin with a new account (OpenID Connect's Initiating User Registration).
    CREATE: Final = "create"
