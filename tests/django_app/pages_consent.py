"""The pages that the contract of consent wants, in Django: a ROOT_URLCONF of its own."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.template import engines
from django.urls import path
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from django_app.urls import urlpatterns as usual
from django_keyfob.decorators import bearer_required, login_required, step_up
from django_keyfob.mixins import BearerRequiredMixin, LoginRequiredMixin, StepUpMixin

FORM = """<!doctype html>
<title>Order</title>
<form method="post" action="{% url 'order' %}?shop=1">{% csrf_token %}
<input name="thing"><input name="note"><button>Order</button>
<button formaction="{% url 'late' %}">Order late</button></form>
"""
BOARD = """{% load keyfob %}<!doctype html><title>Board</title>
{% keyfob_script %}{% keyfob_script nonce='a"b' %}
<button id="load">Load</button><p id="out"></p>
"""
TEMPLATE = "{% with me=request.keyfob.user.me %}{{ me }}{% endwith %}{{ sub }}"


def render(source: str, request: HttpRequest, **context: Any) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(source).render(context, request))


def got(request: HttpRequest) -> HttpResponse:
    return JsonResponse(dict(request.POST.lists()))


def order(request: HttpRequest) -> HttpResponse:
    return render(FORM, request) if request.method == "GET" else taken(request)


@login_required(api="api")
def taken(request: HttpRequest) -> HttpResponse:
    return got(request)


def late(request: Any) -> HttpResponse:
    answer = got(request)
    request.keyfob.token(api="api")
    return answer


@csrf_exempt
def takes_body(request: Any) -> HttpResponse:
    request.read()
    return HttpResponse(request.keyfob.token(api="api"))


@login_required(api="api")
@login_required(api="mail")
def both(request: HttpRequest) -> HttpResponse:
    return HttpResponse("both")


@login_required(scopes=["extra.read"])
async def scoped(request: HttpRequest) -> HttpResponse:
    return HttpResponse("scoped")


def template(request: Any) -> HttpResponse:
    def sub() -> Any:
        return request.keyfob.api("api").get("/me").json()["sub"]

    return render(TEMPLATE, request, sub=sub)


def streamed_early(request: Any) -> StreamingHttpResponse:
    answer = request.keyfob.api("api").get("/me").content
    return StreamingHttpResponse(iter([answer]))


@step_up("c1")
def stepped_up(request: HttpRequest) -> HttpResponse:
    return HttpResponse("stepped up")


@step_up("c1")
async def async_stepped_up(request: HttpRequest) -> HttpResponse:
    return HttpResponse("stepped up")


class SteppedUp(StepUpMixin, View):
    step_up = "c1"

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("stepped up")


@bearer_required(scopes=["Orders.Read"])
@step_up("c1")
def pay(request: HttpRequest) -> HttpResponse:
    return HttpResponse("paid")


class Pay(BearerRequiredMixin, StepUpMixin, View):
    scopes = ["Orders.Read"]
    step_up = "c1"

    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("paid")


class Recent(LoginRequiredMixin, View):
    max_age = 300

    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("recent")


@login_required(max_age=300)
def recent(request: HttpRequest) -> HttpResponse:
    return HttpResponse("recent")


async def async_late(request: Any) -> HttpResponse:
    answer = got(request)
    await request.keyfob.atoken(api="api")
    return answer


class LateForm(View):
    def post(self, request: Any) -> HttpResponse:
        request.keyfob.token(api="api")
        return got(request)


def board(request: HttpRequest) -> HttpResponse:
    return render(BOARD, request)


urlpatterns = [
    path("order", order, name="order"),
    path("exempt", csrf_exempt(taken)),
    path("takes-body", takes_body),
    path("late", late, name="late"),
    path("both", both),
    path("scoped", scoped),
    path("template", template),
    path("streamed-early", streamed_early),
    path("step-up", stepped_up),
    path("step-up-class", SteppedUp.as_view()),
    path("async-step-up", async_stepped_up),
    path("api/pay", pay),
    path("api/pay-class", Pay.as_view()),
    path("recent", recent),
    path("recent-class", Recent.as_view()),
    path("async-late", async_late),
    path("late-class", LateForm.as_view()),
    path("board", board),
    *usual,
]
