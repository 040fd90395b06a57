"""manage.py keyfob_sign_out: end sessions from a shell."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_keyfob.models import KeyfobAccount
from django_keyfob.sign_out import end_sessions
from keyfob.errors import KeyfobError


class Command(BaseCommand):
    help = "Ends all sessions, in every browser, of these users or of everybody of an issuer."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", nargs="*", help="whom to sign out")
        parser.add_argument(
            "--all-of",
            metavar="ISSUER",
            help="everybody of this tenant (its id) or, outside Microsoft's, of this issuer",
        )

    def handle(self, *, username: list[str], all_of: str | None, **_: Any) -> None:
        if bool(username) == bool(all_of):
            raise CommandError("Name users, or an issuer with --all-of")
        accounts = self._of_issuer(all_of) if all_of else self._of_users(username)
        try:
            ended = end_sessions(accounts)
        except KeyfobError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{ended} session{'' if ended == 1 else 's'} ended")

    @staticmethod
    def _of_issuer(issuer: str) -> list[KeyfobAccount]:
        accounts = list(KeyfobAccount.objects.filter(issuer=issuer))
        if not accounts:
            raise CommandError(f"Nobody of {issuer!r} has ever signed in here")
        return accounts

    @staticmethod
    def _of_users(names: list[str]) -> list[KeyfobAccount]:
        """Of all of them, or of none: a misspelt name ends nobody's sessions."""
        model = get_user_model()
        manager: Any = model._default_manager  # noqa: SLF001 - of any class; it finds by user name
        users = []
        for name in names:
            try:
                users.append(manager.get_by_natural_key(name))
            except model.DoesNotExist:
                raise CommandError(f"There is no user {name!r}") from None
        return list(KeyfobAccount.objects.filter(user__in=users))
