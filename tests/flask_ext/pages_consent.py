"""The pages that the contract of consent wants, in Flask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, jsonify, render_template_string, request
from flask.typing import ResponseReturnValue
from flask.views import MethodView

from flask_ext.site import make_app
from flask_keyfob import Keyfob, bearer_required, downstream_api, login_required, step_up

FORM = """<!doctype html>
<title>Order</title>
<form method="post" action="{{ url_for('order', shop=1) }}">
{% if csrf_token is defined %}<input type="hidden" name="csrf_token" value="{{ csrf_token() }}">
{% endif %}
<input name="thing"><input name="note"><button>Order</button>
<button formaction="{{ url_for('late') }}">Order late</button></form>
"""
BOARD = """<!doctype html><title>Board</title>
{{ keyfob_script() }}{{ keyfob_script(nonce='a"b') }}
<button id="load">Load</button><p id="out"></p>
"""


def make_consent_app(settings: Mapping[str, object], **more: Any) -> Flask:
    app = make_app(settings, **more)
    add_pages(app)
    return app


def add_pages(app: Flask) -> None:
    @app.get("/order")
    def form() -> str:
        return render_template_string(FORM)

    @app.post("/order")
    @login_required(api="api")
    def order() -> ResponseReturnValue:
        return jsonify(request.form.to_dict(flat=False))

    @app.post("/exempt")
    @login_required(api="api")
    def exempt() -> ResponseReturnValue:
        return jsonify(request.form.to_dict(flat=False))

    @app.post("/takes-body")
    def takes_body() -> str:
        request.stream.read()
        return downstream_api("api").get("/me").text

    if "csrf" in app.extensions:
        app.extensions["csrf"].exempt(exempt)

    @app.post("/late")
    def late() -> ResponseReturnValue:
        got = request.form.to_dict(flat=False)
        downstream_api("api").get("/me")
        return jsonify(got)

    @app.get("/both")
    @login_required(api="api")
    @login_required(api="mail")
    def both() -> str:
        return "both"

    @app.get("/scoped")
    @login_required(scopes=["extra.read"])
    async def scoped() -> str:
        return "scoped"

    @app.get("/template")
    def template() -> str:
        text = "{{ api('api').get('/me').json().sub }}"
        return render_template_string(text, api=downstream_api)

    @app.get("/streamed-early")
    def streamed_early() -> ResponseReturnValue:
        answer = downstream_api("api").get("/me").content

        def parts() -> Any:
            yield answer

        return app.response_class(parts())

    @app.get("/step-up")
    @step_up("c1")
    def stepped_up() -> str:
        return "stepped up"

    class SteppedUp(MethodView):
        decorators = [step_up("c1")]

        def get(self) -> str:
            return "stepped up"

    app.add_url_rule("/step-up-class", view_func=SteppedUp.as_view("step_up_class"))

    @app.get("/api/pay")
    @bearer_required(scopes=["Orders.Read"])
    @step_up("c1")
    def pay() -> str:
        return "paid"

    class Pay(MethodView):
        decorators = [step_up("c1"), bearer_required(scopes=["Orders.Read"])]

        def get(self) -> str:
            return "paid"

    app.add_url_rule("/api/pay-class", view_func=Pay.as_view("pay_class"))

    @app.get("/recent")
    @login_required(max_age=300)
    def recent() -> str:
        return "recent"

    @app.get("/board")
    def board() -> str:
        return render_template_string(BOARD)


__all__ = ["Keyfob", "make_consent_app"]
