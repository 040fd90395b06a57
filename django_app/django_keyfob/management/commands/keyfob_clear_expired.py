"""manage.py keyfob_clear_expired: for a nightly job."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from django_keyfob.conf import current_site
from keyfob.errors import KeyfobError
from keyfob.web.clearing import clear_expired, counted


class Command(BaseCommand):
    help = "Removes expired sign-ins and tokens from Keyfob's token store."

    def handle(self, **_: Any) -> None:
        try:
            removed = clear_expired(current_site().store, self.stderr.write)
        except KeyfobError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(counted(removed))
