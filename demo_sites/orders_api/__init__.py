"""The demo's web API, on Flask: protected by bearer tokens, and calling Graph for its callers."""

from typing import Any

from flask import Flask, abort, request

from flask_keyfob import Keyfob, bearer_required, current_caller, downstream_api, step_up
from orders_api.orders import Orders


def create_app() -> Flask:
    """The API, as `python -m orders_api` serves it."""
    app = Flask(__name__)
    app.config.from_prefixed_env()  # FLASK_SECRET_KEY; Keyfob reads KEYFOB_CLIENT_ID and so on
    app.config["KEYFOB_API_SCOPES"] = ["api://orders/Orders.Read", "api://orders/Orders.Write"]
    Keyfob(app)
    orders = Orders()

    @app.get("/orders")
    @bearer_required(scopes=["Orders.Read"])
    def own_orders() -> dict[str, Any]:
        return {"orders": [order.shown() for order in orders.of(current_caller.key)]}

    @app.post("/orders")
    @bearer_required(scopes=["Orders.Write"])
    def place() -> tuple[dict[str, Any], int]:
        item = posted("item")
        if not 0 < len(item) <= 60:
            abort(422)
        # On behalf of the caller: Graph sees the person, and this API as the client.
        me = downstream_api("graph").get("/me")
        if not me.ok:
            abort(502)
        name, office = me.json()["displayName"], me.json()["officeLocation"] or "at home"
        return orders.place(current_caller.key, item, name, office).shown(), 201

    @app.get("/approvals")  # for people, and for programs in their own name
    @bearer_required(scopes=["Orders.Read"], roles=["Admin"], app_roles=["Orders.Read.All"])
    def waiting() -> dict[str, Any]:
        return {"orders": [order.shown() for order in orders.waiting()]}

    @app.post("/approvals")
    @bearer_required(scopes=["Orders.Write"], roles=["Admin"])
    @step_up("c1")
    def approve() -> dict[str, Any]:
        order = orders.approve(posted("number"))
        return order.shown() if order else abort(404)

    return app


def posted(name: str) -> str:
    """A member of the JSON object that was sent."""
    body = request.get_json()
    return str(body.get(name, "")).strip() if isinstance(body, dict) else abort(400)
