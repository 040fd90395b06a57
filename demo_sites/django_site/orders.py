"""Orders: an API that this site calls in the person's name, and what is asked for on the way."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from requests import Response

from django_keyfob import decorators as keyfob


@require_http_methods(["GET", "POST"])
@keyfob.login_required(api="orders")
def orders(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return shown(request, "orders.html", request.keyfob.api("orders").get("/orders"))
    # This needs one more permission. The first time the form is kept while the person is asked.
    order = {"item": request.POST["item"]}
    answer = request.keyfob.api("ordering").post("/orders", json=order)
    return redirect("orders") if answer.ok else unavailable(request, answer)


@require_http_methods(["GET", "POST"])
@keyfob.roles_required("Orders.Approve")
@keyfob.login_required(api="orders")
def approvals(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return shown(request, "approvals.html", request.keyfob.api("orders").get("/approvals"))
    # The API wants a second factor here, and says so: the person is asked for that, too.
    order = {"number": request.POST["number"]}
    answer = request.keyfob.api("ordering").post("/approvals", json=order)
    return redirect("approvals") if answer.ok else unavailable(request, answer)


def shown(request: HttpRequest, template: str, answer: Response) -> HttpResponse:
    if not answer.ok:
        return unavailable(request, answer)
    return render(request, template, {"orders": answer.json()["orders"]})


def unavailable(request: HttpRequest, answer: Response) -> HttpResponse:
    return render(request, "unavailable.html", {"status": answer.status_code}, status=502)
