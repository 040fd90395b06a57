"""What a person's claims become on a user of Django's. All of it is for show: none identifies."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.core.validators import validate_email
from django.db import models

from django_keyfob.conf import current_site
from keyfob.web import Identity

#: What Django's own user names may have in them.
_NOT_IN_USERNAMES = re.compile(r"[^\w.@+-]")
#: No mail goes there (RFC 2606), and nobody else has it.
_NO_MAIL_DOMAIN = "no-mail.invalid"


def proven_email(identity: Identity) -> str:
    """The e-mail address, where the provider says that it is the person's; otherwise "".

    Entra says so in `xms_edov` (the domain's owner was verified), and only there: what it calls
    `email_verified` is what anybody's administrator typed ("nOAuth"), as is an address without
    either. Other providers say it in `email_verified`.
    """
    claims, email = identity.claims, identity.claims.get("email")
    if current_site().members.named(identity.authority).settings.authority.kind == "entra":
        proven = claims.get("xms_edov") in (True, "1", "true", "True")
    else:
        proven = claims.get("email_verified") is True
    if not proven or not isinstance(email, str):
        return ""
    try:
        validate_email(email)
    except ValidationError:
        return ""
    return email


def profile_fields(model: type[AbstractBaseUser], identity: Identity) -> dict[str, str]:
    """The names and the proven e-mail address, as far as the model has fields for them and the
    claims have values."""
    first, last = _names(identity.claims)
    found = {"first_name": first, "last_name": last}
    email_field = getattr(model, "EMAIL_FIELD", "") or ""
    if email_field and email_field != username_field(model):
        found[email_field] = proven_email(identity)
    fields = {}
    for name, value in found.items():
        field = text_field(model, name)
        if field is not None and value and fits(field, value, cut=name != email_field):
            fields[name] = value[: field.max_length]
    return fields


def login_name(model: type[AbstractBaseUser], identity: Identity, number: int) -> str:
    """A value for the model's USERNAME_FIELD that may be free; another one for each `number`."""
    field = text_field(model, username_field(model))
    longest = (field.max_length if field is not None else None) or 150
    if isinstance(field, models.EmailField):
        # An address that others would take for the person's own must be their own.
        if number == 0 and (email := proven_email(identity)) and len(email) <= longest:
            return email
        return f"{secrets.token_hex(8)}@{_NO_MAIL_DOMAIN}"
    name = _username(identity.claims)
    if number == 0 and name:
        return model.normalize_username(name)[:longest]
    suffix = f"-{number + 1}" if name and number < 5 else f"-{secrets.token_hex(5)}"
    return model.normalize_username(name or "user")[: longest - len(suffix)] + suffix


def username_field(model: type[AbstractBaseUser]) -> str:
    # The stubs do not know it of the base class.
    return str(model.USERNAME_FIELD)  # pyright: ignore[reportArgumentType]


def text_field(model: type[models.Model], name: str) -> models.CharField[Any, Any] | None:
    """The model's field of that name, if it is one for text."""
    try:
        field = model._meta.get_field(name)  # noqa: SLF001  Django's documented API
    except FieldDoesNotExist:
        return None
    return field if isinstance(field, models.CharField) else None


def fits(field: models.CharField[Any, Any], value: str, *, cut: bool) -> bool:
    return cut or field.max_length is None or len(value) <= field.max_length


def _username(claims: Mapping[str, Any]) -> str:
    for name in ("preferred_username", "upn", "nickname", "name"):
        text = _NOT_IN_USERNAMES.sub("_", printable(claims.get(name)))
        if text.strip("_"):
            return text
    return ""


def _names(claims: Mapping[str, Any]) -> tuple[str, str]:
    given, family = printable(claims.get("given_name")), printable(claims.get("family_name"))
    if given or family:
        return given, family
    first, _, last = printable(claims.get("name")).partition(" ")
    return first, last


def printable(value: object) -> str:
    """Text without what databases refuse (NUL, half characters) and pages should not show."""
    if not isinstance(value, str):
        return ""
    kept = "".join(character if character.isprintable() else " " for character in value)
    return " ".join(kept.split())
