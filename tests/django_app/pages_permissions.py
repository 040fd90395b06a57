"""A Django site with pages for some people: what `support.contract_permissions` opens, and more."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from django_app.site import running_site
from django_app.urls import urlpatterns as all_sites_pages
from django_keyfob.decorators import groups_required, login_required, roles_required
from django_keyfob.mixins import GroupsRequiredMixin, LoginRequiredMixin, RolesRequiredMixin
from support.contract_permissions import GROUP_ID

SHOWN = (
    "{% load keyfob %}"
    '{% if request.keyfob|has_role:"Orders.Approve" %}True{% else %}False{% endif %} '
    '{% if request.keyfob|in_group:"approvers" %}True{% else %}False{% endif %}'
    "{% if request.keyfob.user %} {{ roles }}{% endif %}"
)


def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse("open")


async def async_view(request: HttpRequest) -> HttpResponse:
    return HttpResponse("open")


def shown(request: Any) -> HttpResponse:
    context = {"roles": ",".join(sorted(request.keyfob.user.roles))}
    return HttpResponse(engines["django"].from_string(SHOWN).render(context, request))


def without_request(request: Any) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(SHOWN).render({}))


@login_required
def listed(request: Any) -> HttpResponse:
    return HttpResponse(" ".join(sorted(request.keyfob.all_groups())))


@login_required
async def async_shown(request: Any) -> HttpResponse:
    keyfob = request.keyfob
    found = [await keyfob.ahas_role("Orders.Approve"), await keyfob.ain_group("approvers")]
    among = await keyfob.agroups_among(["approvers", "auditors"])
    return HttpResponse(f"{found} {sorted(among)} {sorted(await keyfob.aall_groups())}")


class ClassBased(RolesRequiredMixin, GroupsRequiredMixin, LoginRequiredMixin, View):
    any_of_roles = ("Orders.Approve",)
    all_of_groups = ("approvers",)

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("open")


class AsyncClassBased(GroupsRequiredMixin, RolesRequiredMixin, View):
    any_of_groups = ("approvers", "auditors")
    all_of_roles = ("Orders.Approve",)

    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("open")


role, group = roles_required("Orders.Approve", "Admin"), groups_required("approvers")
GUARDED: dict[str, Any] = {
    "role": role(view),
    "all-roles": roles_required(all_of=["Reader", "Orders.Approve"])(view),
    "group": group(view),
    "group-id": groups_required(GROUP_ID)(view),
    "all-groups": groups_required(all_of=["approvers", "auditors"])(view),
    "unknown-group": groups_required("aprovers")(view),
    "both": role(group(login_required(view))),
    "async-role": role(async_view),
    "async-group": group(async_view),
    "class-based": ClassBased.as_view(),
    "async-class-based-permissions": AsyncClassBased.as_view(),
}
urlpatterns = [
    *(path(name, csrf_exempt(guarded)) for name, guarded in GUARDED.items()),
    path("shown", shown),
    path("without-request", without_request),
    path("async-shown", async_shown),
    path("listed", listed),
    *all_sites_pages,
]

#: As `running_site`, with these pages.
permissions_site: Any = partial(running_site, config={"ROOT_URLCONF": __name__})
