"""Orders: an API that this site calls in the person's name, and what is asked for on the way."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from requests import Response

from flask_keyfob import downstream_api, login_required, roles_required

orders = Blueprint("orders", __name__)


@orders.get("/orders")
@login_required(api="orders")
def own() -> ResponseReturnValue:
    answer = downstream_api("orders").get("/orders")
    return shown("orders.html", answer)


@orders.post("/orders")
@login_required
def place() -> ResponseReturnValue:
    # This needs one more permission. The first time the form is kept while the person is asked.
    answer = downstream_api("ordering").post("/orders", json={"item": request.form["item"]})
    return redirect(url_for("orders.own")) if answer.ok else unavailable(answer)


@orders.get("/approvals")
@roles_required("Orders.Approve")
@login_required(api="orders")
def approvals() -> ResponseReturnValue:
    return shown("approvals.html", downstream_api("orders").get("/approvals"))


@orders.post("/approvals")
@roles_required("Orders.Approve")
def approve() -> ResponseReturnValue:
    # The API wants a second factor here, and says so: the person is asked for that, too.
    answer = downstream_api("ordering").post("/approvals", json={"number": request.form["number"]})
    return redirect(url_for("orders.approvals")) if answer.ok else unavailable(answer)


def shown(template: str, answer: Response) -> ResponseReturnValue:
    if not answer.ok:
        return unavailable(answer)
    return render_template(template, orders=answer.json()["orders"])


def unavailable(answer: Response) -> ResponseReturnValue:
    return render_template("unavailable.html", status=answer.status_code), 502
