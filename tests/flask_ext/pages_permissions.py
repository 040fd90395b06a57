"""A Flask site with pages for some people: `Pages` of support.contract_permissions."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Flask, g, render_template_string
from flask.views import MethodView

from flask_ext.site import make_app, running_site
from flask_keyfob import current_user, groups_required, login_required, roles_required
from support.contract_permissions import GROUP_ID

SHOWN = (
    "{{ g.keyfob.has_role('Orders.Approve') }} {{ g.keyfob.in_group('approvers') }}"
    "{% if current_user %} {{ current_user.roles | sort | join(',') }}{% endif %}"
)


class ClassBased(MethodView):
    decorators = (groups_required("approvers"), roles_required("Orders.Approve"))

    def get(self) -> str:
        return "open"


def make_site(*args: Any, **kwargs: Any) -> Flask:
    app = make_app(*args, **kwargs)

    def view() -> str:
        return "open"

    async def async_view() -> str:
        return "open"

    role, group = roles_required("Orders.Approve", "Admin"), groups_required("approvers")
    guards: dict[str, Any] = {
        "/role": role(view),
        "/all-roles": roles_required(all_of=["Reader", "Orders.Approve"])(view),
        "/group": group(view),
        "/group-id": groups_required(GROUP_ID)(view),
        "/all-groups": groups_required(all_of=["approvers", "auditors"])(view),
        "/unknown-group": groups_required("aprovers")(view),
        "/both": role(group(login_required(view))),
        "/async-role": role(async_view),
        "/async-group": group(async_view),
        "/class-based": ClassBased.as_view("class_based"),
    }
    for path, guarded in guards.items():
        app.add_url_rule(path, path, guarded, methods=["GET", "POST"])

    @app.get("/shown")
    def shown() -> str:
        return render_template_string(SHOWN)

    @app.get("/listed")
    @login_required
    def listed() -> str:
        assert current_user
        return " ".join(sorted(g.keyfob.all_groups()))

    return app


#: As `running_site`, with these pages.
permissions_site: Any = partial(running_site, make=make_site)
