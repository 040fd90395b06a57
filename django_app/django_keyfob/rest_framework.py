"""Bearer tokens for Django REST framework: one authentication class, and permissions.

    class OrderViewSet(viewsets.ModelViewSet):
        authentication_classes = [KeyfobAuthentication]
        permission_classes = [bearer_permission(scopes=["Orders.Read"])]

Nothing else of Keyfob's imports this module, and none of it is needed without the framework.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from django.http import HttpRequest

try:
    from rest_framework import status  # type: ignore[import-untyped]
    from rest_framework.authentication import BaseAuthentication  # type: ignore[import-untyped]
    from rest_framework.exceptions import APIException, AuthenticationFailed  # type: ignore[import-untyped]
    from rest_framework.permissions import AllowAny, BasePermission  # type: ignore[import-untyped]
except ImportError as error:
    raise ImportError(
        "django_keyfob.rest_framework needs Django REST framework: pip install keyfob[drf]"
    ) from error

from django_keyfob.bearer import forget_session_user
from django_keyfob.conf import current_site
from django_keyfob.exchange import web_request
from django_keyfob.session import keyfob_of
from keyfob.errors import (
    AccessTokenError,
    ConfigurationError,
    PermissionMissing,
    ProviderUnavailable,
)
from keyfob.web.bearer_answers import challenge, challenge_for
from keyfob.web.bearer_rule import BearerRule, bearer_rule
from keyfob.web.caller import Caller


class CallerUser:
    """`request.user` for a caller: no row of the database, and nobody whom Django's own
    permissions know.

    :ivar caller: whose token came; `request.auth` is the same.
    """

    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False
    is_superuser = False

    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    def __repr__(self) -> str:
        return f"<CallerUser: {'an application' if self.caller.is_app else 'a person'}>"

    def __str__(self) -> str:
        return self.caller.name or self.pk

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CallerUser) and self.pk == other.pk

    def __hash__(self) -> int:
        return hash(self.pk)

    @property
    def pk(self) -> str:
        """The same for the same person, as `request.keyfob.user.key` is."""
        return self.caller.key

    id = pk

    def get_username(self) -> str:
        return self.pk

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Nothing: what a caller may do stands in their token."""
        del perm, obj
        return False

    def has_perms(self, perm_list: Collection[str], obj: object = None) -> bool:
        del perm_list, obj
        return False

    def has_module_perms(self, module: str) -> bool:
        del module
        return False


class Unavailable(APIException):  # type: ignore[misc]
    """The provider's keys cannot be had, so that no token can be checked."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "provider_unavailable"
    wait = 10


class KeyfobAuthentication(BaseAuthentication):  # type: ignore[misc]
    """Takes bearer tokens that are for this API; `request.auth` is the `Caller`.

    Who brought none is left to the other authentication classes. A view that takes tokens says
    what they must allow: without a `bearer_permission`, a request with a good token ends in a
    ConfigurationError, unless the view is for everybody (AllowAny).
    """

    def authenticate(self, request: Any) -> tuple[Any, Caller] | None:
        """The user and the caller; None where no bearer token came.

        :raises AuthenticationFailed: one came that opens nothing here.
        """
        plain: HttpRequest = request._request  # noqa: SLF001 - the framework's way to Django's own
        keyfob = keyfob_of(plain)
        _vary(request)
        try:
            caller = current_site().bearer.caller(request.headers.get("Authorization"))
        except AccessTokenError as error:
            if error.code == "missing":
                return None
            keyfob.challenge = challenge_for(current_site(), web_request(plain), error)
            raise AuthenticationFailed(str(error), code=error.code) from None
        except ProviderUnavailable as error:
            raise Unavailable(str(error)) from None
        _refuse_unguarded(request)
        keyfob.act_for(caller)
        forget_session_user(plain)
        return self.user_for(caller), caller

    def authenticate_header(self, request: Any) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The challenge of a 401."""
        plain: HttpRequest = request._request  # noqa: SLF001
        return keyfob_of(plain).challenge or challenge(current_site(), web_request(plain), {})

    def user_for(self, caller: Caller) -> Any:
        """`request.user` for a caller. Override it to give them a user of the database."""
        return CallerUser(caller)


class BearerPermission(BasePermission):  # type: ignore[misc]
    """What `bearer_permission` makes a class of."""

    rule: ClassVar[BearerRule | None] = None
    message = "A bearer token is required."
    code = "missing"

    def has_permission(self, request: Any, view: object) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Whether the caller's token allows what `rule` asks."""
        del view
        caller = request.auth
        if self.rule is None or not isinstance(caller, Caller):
            return False
        plain: HttpRequest = request._request  # noqa: SLF001
        try:
            current_site().bearer.judge(caller, self.rule)
        except PermissionMissing as error:
            self.message, self.code = str(error), error.code
            keyfob = keyfob_of(plain)
            # The middleware adds it to the 403; another permission may still let the caller in.
            keyfob.challenge = challenge_for(current_site(), web_request(plain), error)
            return False
        keyfob_of(plain).challenge = ""  # what another one lacked is no matter any more
        return True


def bearer_permission(
    *,
    scopes: Collection[str] | None = None,
    all_scopes: Collection[str] | None = None,
    roles: Collection[str] | None = None,
    all_roles: Collection[str] | None = None,
    app_roles: Collection[str] | None = None,
    all_app_roles: Collection[str] | None = None,
) -> type[BearerPermission]:
    """A permission class that asks what the decorator `bearer_required` asks, by the same names.

    :raises TypeError: nothing is named that would let anybody in.
    """
    rule = bearer_rule(
        scopes=scopes,
        all_scopes=all_scopes,
        roles=roles,
        all_roles=all_roles,
        app_roles=app_roles,
        all_app_roles=all_app_roles,
        name="bearer_permission",
    )
    return type("BearerPermission", (BearerPermission,), {"rule": rule})


def _vary(request: Any) -> None:
    """No cache is to give one caller's answer to another, as older Djangos' own would."""
    headers = getattr((request.parser_context or {}).get("view"), "headers", None)
    if headers is not None:
        others = [name for name in (headers.get("Vary"), "Authorization") if name]
        headers["Vary"] = ", ".join(dict.fromkeys(others))


def _refuse_unguarded(request: Any) -> None:
    """Any good token, a person's or an application's, with whatever scope, would open a view that
    asks for no more than that somebody is there."""
    view = (request.parser_context or {}).get("view")
    permissions = view.get_permissions() if view is not None else []
    if not all(isinstance(each, AllowAny) for each in permissions) and not any(
        _asks_the_token(each) for each in permissions
    ):
        raise ConfigurationError(
            f"{type(view).__name__} takes bearer tokens and does not say what they must allow: add "
            "bearer_permission(scopes=[...]) to its permission_classes"
        )


def _asks_the_token(permission: object) -> bool:
    if isinstance(permission, BearerPermission):
        return True
    parts = (getattr(permission, name, None) for name in ("op1", "op2"))
    return any(_asks_the_token(part) for part in parts if part is not None)
