"""The tests' database: made once in each process, emptied after each test."""

from __future__ import annotations

from functools import cache

from django.apps import apps
from django.core.management import call_command
from django.db import connection


@cache
def make_database() -> None:
    """Run the migrations, ours and Django's."""
    call_command("migrate", verbosity=0, interactive=False)


def empty_database() -> None:
    """Remove what tests leave: all rows but those that the migrations made."""
    kept = {"contenttypes.contenttype", "auth.permission"}
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        cursor.execute("PRAGMA foreign_keys = OFF")
        for model in apps.get_models(include_auto_created=True):
            if model._meta.label_lower not in kept and model._meta.db_table in tables:
                cursor.execute(f'DELETE FROM "{model._meta.db_table}"')
        cursor.execute("PRAGMA foreign_keys = ON")
