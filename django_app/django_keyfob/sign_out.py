"""Signing users out of every browser."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.base_user import AbstractBaseUser

from django_keyfob.conf import current_site
from django_keyfob.models import KeyfobAccount
from keyfob.web import Identity


def end_sessions(accounts: Iterable[KeyfobAccount]) -> int:
    """End all sessions of these people at this site. Returns how many there were.

    :raises StoreUnavailable: the token store cannot be reached; some may not have ended.
    """
    site = current_site()
    return sum(
        site.sign_out_everywhere(Identity(account.issuer, account.subject, {}).key)
        for account in accounts
    )


def end_sessions_of(user: AbstractBaseUser) -> int:
    """As `django_keyfob.sign_out_everywhere`."""
    return end_sessions(KeyfobAccount.objects.filter(user=user))
