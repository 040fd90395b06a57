"""From a proven person to a user of the site."""

from __future__ import annotations

import functools
import logging
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, router, transaction
from django.http import HttpRequest
from django.utils.module_loading import import_string

from django_keyfob.models import MAX_LENGTH, KeyfobAccount
from django_keyfob.profile import login_name, profile_fields, text_field, username_field
from keyfob.errors import ConfigurationError, IdTokenError, SignInRefused
from keyfob.web import Identity

logger = logging.getLogger("keyfob.django")

# Names that are taken, or others creating the same user at this moment.
_ATTEMPTS = 12


class KeyfobBackend(ModelBackend):
    """Finds the user of a person whom the provider has proven, and makes one at first.

    A person is known by what the provider never gives to anybody else (`KeyfobAccount`). Users who
    are there already are never taken over, whatever their user name or e-mail address.

    Subclass it, and name the subclass in AUTHENTICATION_BACKENDS, to create or update users in
    another way. Both hooks may raise `keyfob.errors.SignInRefused`, with a text for the person.
    """

    def authenticate(  # type: ignore[override]  # no passwords: other backends take those
        self,
        request: HttpRequest | None,  # noqa: ARG002  for subclasses
        *,
        keyfob_identity: Identity | None,
    ) -> AbstractBaseUser | None:
        if not isinstance(keyfob_identity, Identity):
            return None
        user = self.user_of(keyfob_identity)
        return user if self.user_can_authenticate(user) else None

    async def aauthenticate(  # type: ignore[override]
        self, request: HttpRequest | None, *, keyfob_identity: Identity | None
    ) -> AbstractBaseUser | None:
        return await sync_to_async(self.authenticate)(request, keyfob_identity=keyfob_identity)

    def create_user(self, identity: Identity) -> AbstractBaseUser:
        """A new, saved user. Called in a transaction, and once more if the name was taken."""
        model = _user_model()
        fields: dict[str, Any] = profile_fields(model, identity)
        fields[username_field(model)] = self._free_name(model, identity)
        user = model(**fields)
        user.set_unusable_password()
        user.save(using=router.db_for_write(model))
        return user

    def update_user(self, user: AbstractBaseUser, identity: Identity) -> None:
        """Bring the profile up to date, at each sign-in. What the claims do not have stays."""
        if not self.user_can_authenticate(user):
            return
        changed = {
            name: value
            for name, value in profile_fields(type(user), identity).items()
            if getattr(user, name) != value and not _is_taken(user, name, value)
        }
        for name, value in changed.items():
            setattr(user, name, value)
        if changed:
            user.save(update_fields=list(changed))

    def user_of(self, identity: Identity) -> AbstractBaseUser:
        """The person's user, found or made."""
        _check(identity)
        database = router.db_for_write(KeyfobAccount)
        refused: IntegrityError | None = None
        for _ in range(_ATTEMPTS):
            if user := self._known(identity, database):
                self._update(user, identity, database)
                return user
            try:
                with transaction.atomic(using=database):
                    user = self.create_user(identity)
                    KeyfobAccount.objects.using(database).create(
                        issuer=identity.issuer, subject=identity.subject, user=user
                    )
            except IntegrityError as error:
                # The name was taken, or the same person's other request was first: look again.
                refused = error
                continue
            return user
        raise ConfigurationError(
            f"No user could be created: the model {_user_model()._meta.label} wants values that "  # noqa: SLF001
            "Keyfob does not know. Write create_user() in a subclass of "
            "django_keyfob.backends.KeyfobBackend, and name it in AUTHENTICATION_BACKENDS",
            setting="AUTHENTICATION_BACKENDS",
        ) from refused

    def _update(self, user: AbstractBaseUser, identity: Identity, database: str) -> None:
        try:
            with transaction.atomic(using=database):
                self.update_user(user, identity)
        except IntegrityError as error:
            # An e-mail address that must be unique, say. An old profile keeps nobody out. The
            # database's own text may have the address in it.
            logger.warning("A user's profile could not be updated (%s)", type(error).__name__)

    def _known(self, identity: Identity, database: str) -> AbstractBaseUser | None:
        accounts = KeyfobAccount.objects.using(database).select_related("user")
        account = accounts.filter(issuer=identity.issuer, subject=identity.subject).first()
        if account is None:
            return None
        if (account.issuer, account.subject) != (identity.issuer, identity.subject):
            # Some databases (MySQL) take a for A. The person whose account it is not stays out.
            logger.error("Two people differ by letter case only, which this database cannot tell")
            raise SignInRefused("Your account cannot be told from somebody else's here.")
        user: AbstractBaseUser = account.user
        return user

    def _free_name(self, model: type[AbstractBaseUser], identity: Identity) -> str:
        number = 0
        while True:
            name = login_name(model, identity, number)
            # In any letter case: nobody is to look like somebody else.
            taken = model._default_manager.filter(  # noqa: SLF001  Django's documented API
                **{f"{username_field(model)}__iexact": name}
            )
            if not taken.exists():
                return name
            number += 1


@functools.cache  # asked with every request; emptied where a test changes the settings
def is_keyfob_backend(path: str) -> bool:
    """Whether an entry of AUTHENTICATION_BACKENDS is ours, or made from ours."""
    try:
        backend = import_string(path)
    except ImportError:
        return False
    return isinstance(backend, type) and issubclass(backend, KeyfobBackend)


def _user_model() -> type[AbstractBaseUser]:
    return get_user_model()


def _is_taken(user: AbstractBaseUser, name: str, value: str) -> bool:
    """Whether a value that must be unique (an e-mail address, in some models) is another's."""
    field = text_field(type(user), name)
    if field is None or not field.unique:
        return False
    others = type(user)._default_manager.exclude(pk=user.pk)  # noqa: SLF001
    return bool(others.filter(**{name: value}).exists())


def _check(identity: Identity) -> None:
    for value in (identity.issuer, identity.subject):
        if len(value) > MAX_LENGTH or not value.isprintable():
            raise IdTokenError(
                f"The ID token's issuer or subject has more than {MAX_LENGTH} characters, or some "
                "that are not text",
                code="unusable_subject",
            )
