"""Two tables: who of the provider's people is which user, and the sessions' sealed tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser

#: OpenID Connect Core §2 lets `sub` have 255 characters. Both together fit an index in MySQL.
MAX_LENGTH = 255


class KeyfobAccount(models.Model):
    """A person whom the provider has proven, and their user here.

    `issuer` and `subject` are `tid` and `oid` for Microsoft's accounts, `iss` and `sub` for others:
    what is never given to anybody else, unlike an e-mail address or a user name.
    """

    issuer: models.CharField[str, str] = models.CharField(max_length=MAX_LENGTH)
    subject: models.CharField[str, str] = models.CharField(max_length=MAX_LENGTH)
    user: models.ForeignKey[AbstractBaseUser, AbstractBaseUser] = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="keyfob_accounts"
    )
    created: models.DateTimeField[datetime, datetime] = models.DateTimeField(
        default=timezone.now, editable=False
    )

    objects: ClassVar[models.Manager[KeyfobAccount]] = models.Manager()

    class Meta:
        verbose_name = "sign-in account"
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="keyfob_one_account_each")
        ]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"


class TokenRecord(models.Model):
    """One record of the token store `django-db`. Key and value are sealed before they get here."""

    key: models.CharField[str, str] = models.CharField(max_length=64, primary_key=True)
    value: models.BinaryField[bytes, bytes] = models.BinaryField()
    version: models.BigIntegerField[int, int] = models.BigIntegerField()
    #: Seconds since 1970: what every token store counts in.
    expires_at: models.FloatField[float, float] = models.FloatField(db_index=True)

    objects: ClassVar[models.Manager[TokenRecord]] = models.Manager()

    class Meta:
        verbose_name = "token record"

    def __str__(self) -> str:
        return "token record"
