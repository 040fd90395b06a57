"""manage.py keyfob_...: what is done from a shell."""

from __future__ import annotations

from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from django_keyfob.models import TokenRecord


def test_expired_records_are_removed_and_counted() -> None:
    for number in range(3):
        TokenRecord.objects.create(key=f"{number}", value=b"", version=1, expires_at=1.0)
    TokenRecord.objects.create(key="live", value=b"", version=1, expires_at=9e9)
    out = StringIO()
    call_command("keyfob_clear_expired", stdout=out)
    assert out.getvalue() == "Removed 3 expired records.\n"
    assert TokenRecord.objects.count() == 1


def test_a_store_that_fails_is_a_command_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TokenRecord._meta, "db_table", "not_there")
    with pytest.raises(CommandError, match=r"manage\.py migrate"):
        call_command("keyfob_clear_expired")


def test_settings_that_cannot_be_used_are_a_command_that_fails() -> None:
    with (
        override_settings(KEYFOB={**settings.KEYFOB, "TOKEN_STORE": "django-cache:none"}),
        pytest.raises(CommandError, match="not in CACHES"),
    ):
        call_command("keyfob_clear_expired", skip_checks=True)
