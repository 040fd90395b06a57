"""Microsoft and OpenID Connect sign-in for Django, and the API tokens that come with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_keyfob.workers import (
    app_api,
    app_token,
    background,
    end_background,
    start_background,
)

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

__all__ = [
    "app_api",
    "app_token",
    "background",
    "end_background",
    "sign_out_everywhere",
    "start_background",
]


def sign_out_everywhere(user: AbstractBaseUser) -> int:
    """End all of a user's sessions that began with Keyfob, in every browser and on every machine.

    Their sessions at the provider stay: whoever is still signed in there may sign in here again. To
    keep somebody out, set `is_active` to False first. Sessions of other backends are not ended.

    :returns: how many sessions were ended.
    :raises StoreUnavailable: the token store cannot be reached; some may not have ended.
    """
    # Models cannot be imported before the apps are ready, and this module is one of them.
    from django_keyfob.sign_out import end_sessions_of

    return end_sessions_of(user)
