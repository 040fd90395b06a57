"""In the admin, sign-in accounts can be looked at, and taken away; tokens cannot be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import ngettext

from django_keyfob.models import KeyfobAccount
from django_keyfob.sign_out import end_sessions
from keyfob.errors import StoreError

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[KeyfobAccount]
else:
    _Admin = admin.ModelAdmin


@admin.action(description="Sign out everywhere", permissions=["delete"])
def sign_out_everywhere(
    modeladmin: admin.ModelAdmin[Any], request: HttpRequest, queryset: QuerySet[Any]
) -> None:
    """End all sessions of the selected accounts or users. A project's own admin of its users may
    have it, too: `actions = [sign_out_everywhere]`."""
    accounts = KeyfobAccount.objects.all()
    if queryset.model is KeyfobAccount:
        accounts = accounts.filter(pk__in=queryset)
    else:
        accounts = accounts.filter(user__in=queryset)
    try:
        ended = end_sessions(accounts)
    except StoreError as error:
        text = f"Some sessions may not have ended: {error}. Try again."
        modeladmin.message_user(request, text, messages.ERROR)
        return
    text = ngettext("%d session ended.", "%d sessions ended.", ended) % ended
    modeladmin.message_user(request, text, messages.SUCCESS)


@admin.register(KeyfobAccount)
class KeyfobAccountAdmin(_Admin):
    # Deleting is allowed: without it, Django would not let users be deleted either.
    list_display = ("subject", "issuer", "user", "created")
    list_select_related = ("user",)
    search_fields = ("=subject", "=issuer")
    readonly_fields = ("issuer", "subject", "user", "created")
    # Who may take accounts away may end their sessions.
    actions = (sign_out_everywhere,)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(
        self,
        request: HttpRequest,  # noqa: ARG002
        obj: KeyfobAccount | None = None,  # noqa: ARG002
    ) -> bool:
        return False
