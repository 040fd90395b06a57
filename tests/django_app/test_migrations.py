"""The migrations are what the models are."""

from __future__ import annotations

from io import StringIO

from django.core.management import call_command


def test_no_migration_is_missing() -> None:
    out = StringIO()
    call_command("makemigrations", "django_keyfob", check=True, dry_run=True, stdout=out)
    assert "No changes" in out.getvalue()


def test_they_can_be_undone() -> None:
    out = StringIO()
    call_command("sqlmigrate", "django_keyfob", "0001", backwards=True, stdout=out)
    assert "DROP TABLE" in out.getvalue()
