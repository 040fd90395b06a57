"""The demo site, on Flask: public, signed in, and calling APIs in the person's name."""

import base64
import os

from flask import Flask, render_template

from flask_keyfob import Keyfob, current_user, downstream_api, login_required
from flask_site.orders import orders


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.from_prefixed_env()  # FLASK_SECRET_KEY; Keyfob reads KEYFOB_CLIENT_ID and so on
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"  # no other site sends this one's forms
    orders_url = os.environ.get("ORDERS_API_URL", "http://localhost:5001")
    app.config["KEYFOB_DOWNSTREAM_APIS"] = {
        "orders": {"base_url": orders_url, "scopes": ["api://orders/Orders.Read"]},
        "ordering": {"base_url": orders_url, "scopes": ["api://orders/Orders.Write"]},
    }
    Keyfob(app)
    app.register_blueprint(orders)

    @app.get("/")
    def home() -> str:
        return render_template("home.html")

    @app.get("/me")
    @login_required(api="graph")
    def me() -> str | tuple[str, int]:
        graph = downstream_api("graph")
        profile = graph.get("/me")
        if not profile.ok:
            return render_template("unavailable.html", status=profile.status_code), 502
        photo = graph.get("/me/photo/$value")
        return render_template(
            "me.html", profile=profile.json(), photo=as_data_url(photo) if photo.ok else None
        )

    @app.get("/claims")
    @login_required
    def claims() -> str:
        return render_template("claims.html", claims=sorted(current_user.claims.items()))

    return app


def as_data_url(photo) -> str:  # type: ignore[no-untyped-def]
    """The photo for an <img>: the browser has no token to fetch it with."""
    return f"data:{photo.headers['Content-Type']};base64,{base64.b64encode(photo.content).decode()}"
