"""In the admin, sign-in accounts can be looked at, and taken away; tokens cannot be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest

from django_keyfob.models import KeyfobAccount

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[KeyfobAccount]
else:
    _Admin = admin.ModelAdmin


@admin.register(KeyfobAccount)
class KeyfobAccountAdmin(_Admin):
    # Deleting is allowed: without it, Django would not let users be deleted either.
    list_display = ("subject", "issuer", "user", "created")
    list_select_related = ("user",)
    search_fields = ("=subject", "=issuer")
    readonly_fields = ("issuer", "subject", "user", "created")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(
        self,
        request: HttpRequest,  # noqa: ARG002
        obj: KeyfobAccount | None = None,  # noqa: ARG002
    ) -> bool:
        return False
