"""A web API in Flask, as the bearer contract wants it."""

from __future__ import annotations

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from flask.views import MethodView

from flask_ext.site import make_app
from flask_keyfob import bearer_required, current_caller, current_user
from keyfob.errors import StepUpRequired
from support.contract_bearer import CHALLENGE

BOTH = bearer_required(scopes=["Orders.Read"], app_roles=["Orders.Read.All"])


def who_calls() -> ResponseReturnValue:
    return jsonify(
        name=current_caller.name,
        is_app=current_caller.is_app,
        scopes=sorted(current_caller.scopes),
        roles=sorted(current_caller.roles),
        user=bool(current_user),
    )


class ClassBased(MethodView):
    decorators = [BOTH]

    def get(self) -> ResponseReturnValue:
        return who_calls()

    def post(self) -> ResponseReturnValue:
        return who_calls()


def make_api(*args: object, **more: object) -> Flask:
    app = make_app(*args, **more)  # type: ignore[arg-type]

    @app.route("/orders", methods=["GET", "POST"])
    @BOTH
    def orders() -> ResponseReturnValue:
        return who_calls()

    @app.get("/people")
    @bearer_required(scopes=["Orders.Read"])
    def people() -> ResponseReturnValue:
        return who_calls()

    @app.get("/daemons")
    @bearer_required(app_roles=["Orders.Read.All"])
    def daemons() -> ResponseReturnValue:
        return who_calls()

    @app.get("/admins")
    @bearer_required(scopes=["Orders.Read"], roles=["Admin"])
    def admins() -> ResponseReturnValue:
        return who_calls()

    @app.get("/stepped-up")
    @bearer_required(scopes=["Orders.Read"])
    def stepped_up() -> ResponseReturnValue:
        raise StepUpRequired("A stronger proof is needed", claims=CHALLENGE)

    @app.get("/whoami")
    def whoami() -> ResponseReturnValue:
        return jsonify(user=bool(current_user), caller=bool(current_caller))

    app.add_url_rule("/class-based", view_func=ClassBased.as_view("class_based"))
    return app
