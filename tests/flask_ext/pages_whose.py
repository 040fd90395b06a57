"""Pages of a Flask site that calls APIs in somebody's name."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, jsonify, request
from flask.typing import ResponseReturnValue

from flask_ext.site import make_app
from flask_keyfob import bearer_required, login_required, start_background

_CSS = "p {}\n"


def make_whose_app(*args: Any, **more: Any) -> Flask:
    """The tests' app, with these pages in the place of its own."""
    app = make_app(*args, **more)
    app.view_functions["home"] = lambda: jsonify(seen())
    app.view_functions["static"] = lambda filename: Response(_CSS, mimetype="text/css")
    app.add_url_rule("/start", view_func=login_required(api="api")(start), endpoint="start")
    for path in ("/orders/", "/orders/<int:number>", "/orderships", "/ORDERS/7", "/both", "/jobs"):
        app.add_url_rule(path, view_func=ready, endpoint=path.replace(".", "_"))
    for path in ("/as-caller", "/orders/as-caller"):
        app.add_url_rule(path, view_func=as_caller, endpoint=path)
    app.add_url_rule("/start-as-caller", view_func=start_as_caller)
    app.add_url_rule("/lazy", view_func=lazy)
    app.add_url_rule("/shown", view_func=shown)
    return app


def seen() -> dict[str, list[str]]:
    """Which tokens are ready, and whose each is."""
    ready = sorted(g.keyfob.tokens)
    whose = {g.keyfob.api(name).get("/me").json()["id"] for name in ready}
    return {"ready": ready, "whose": sorted(whose)}


def ready(number: int = 0) -> ResponseReturnValue:
    return jsonify(seen())


def lazy() -> ResponseReturnValue:
    if "idle" not in request.args:
        assert g.keyfob.tokens["api"] == g.keyfob.token(api="api")
    return jsonify(seen())


@bearer_required(scopes=["Orders.Read"], app_roles=["Orders.Read.All"])
def as_caller() -> ResponseReturnValue:
    assert g.keyfob.tokens["api"] == g.keyfob.token(api="api")
    return jsonify(seen())


@bearer_required(scopes=["Orders.Read"])
def start_as_caller() -> str:
    return start_background(api="api")


def start() -> str:
    return start_background(api="api")


def shown() -> str:
    assert g.keyfob.tokens["api"]
    return repr(g.keyfob.tokens)
