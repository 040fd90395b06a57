"""The pages of the tests' site. The adapter contract relies on the first eight."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required, permission_required
from django.contrib.auth.decorators import login_required as stock_login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template import engines
from django.urls import include, path
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from django_keyfob.decorators import login_required
from django_keyfob.mixins import LoginRequiredMixin

HOME = """{% load keyfob %}<!doctype html>
<title>Site</title>
{% with who=request.keyfob.user %}
<p id="who">{% if who %}Hello {{ who.name }}{% else %}Nobody{% endif %}</p>
{% endwith %}
<p><a href="{% keyfob_login_url %}">Sign in</a></p>
{% keyfob_logout_form %}
"""


def _home(request: HttpRequest) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(HOME).render({}, request))


home = login_not_required(_home)


@csrf_exempt
@stock_login_required
def private(request: HttpRequest) -> HttpResponse:
    return HttpResponse("posted") if request.method == "POST" else _home(request)


def call(request: Any) -> HttpResponse:
    return JsonResponse(request.keyfob.api("api").get("/me").json(), safe=False)


me = login_required(api="api")(call)


@stock_login_required
def claims(request: Any) -> HttpResponse:
    return JsonResponse(dict(request.keyfob.user.claims))


def user(request: Any) -> HttpResponse:
    who = request.keyfob.user
    return JsonResponse(
        {
            "name": who.name,
            "username": who.username,
            "key": who.key,
            "is_authenticated": who.is_authenticated,
        }
    )


def whole_session(request: HttpRequest) -> HttpResponse:
    return JsonResponse(dict(request.session))


def cart(request: HttpRequest) -> HttpResponse:
    if "add" in request.GET:
        request.session["cart"] = [*request.session.get("cart", []), request.GET["add"]]
    return JsonResponse(request.session.get("cart", []), safe=False)


@login_required(authority="customers")
def shop(request: HttpRequest) -> HttpResponse:
    return _home(request)


WAYS_IN = """{% load keyfob %}
{% keyfob_login_url "/x" %}
{% keyfob_login_url "/x" authority="customers" %}
"""


@login_not_required
def ways_in(request: Any) -> HttpResponse:
    links = engines["django"].from_string(WAYS_IN).render({}, request).split()
    return JsonResponse([*links, request.keyfob.authority], safe=False)


# Only Django's own tests use what follows.


@login_not_required
def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


@stock_login_required(login_url="/auth/login/customers")
def stock_shop(request: HttpRequest) -> HttpResponse:
    return _home(request)


@permission_required("auth.add_user")
def needs_permission(request: HttpRequest) -> HttpResponse:
    return HttpResponse("permitted")


def stock_logout(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponseRedirect("/")


def refreshed(request: Any) -> HttpResponse:
    return HttpResponse("yes" if request.keyfob.token(api="api", force_refresh=True) else "no")


@login_required(api="api")
def shared(request: Any) -> HttpResponse:
    return HttpResponse(request.keyfob.user.claims["name"])


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("the view's own mistake")


class ClassBased(LoginRequiredMixin, View):
    api = "api"

    def get(self, request: HttpRequest) -> HttpResponse:
        return call(request)


class AsyncClassBased(LoginRequiredMixin, View):
    async def get(self, request: Any) -> HttpResponse:
        return HttpResponse((await request.keyfob.auser()).name)


@login_required(api="api")
async def async_me(request: Any) -> HttpResponse:
    token = await request.keyfob.atoken(api="api")
    who = await request.keyfob.auser()
    return JsonResponse({"name": who.name, "again": request.keyfob.user.name, "token": bool(token)})


async def async_call(request: Any) -> HttpResponse:
    await request.keyfob.atoken(api="api")
    return HttpResponse("called")


@login_not_required
async def async_plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


async def async_who(request: Any) -> HttpResponse:
    return HttpResponse(str((await request.auser()).is_authenticated))


urlpatterns = [
    path("", home),
    path("private", private),
    path("ours", login_required(_home)),
    path("me", me),
    path("call", call),
    path("claims", claims),
    path("user", user),
    path("session", whole_session),
    path("cart", cart),
    path("shop", shop),
    path("ways-in", ways_in),
    path("plain", plain),
    path("stock-shop", stock_shop),
    path("needs-permission", needs_permission),
    path("stock-logout", stock_logout),
    path("refreshed", refreshed),
    path("shared", shared),
    path("broken", broken),
    path("class-based", ClassBased.as_view()),
    path("async-class-based", AsyncClassBased.as_view()),
    path("async-me", async_me),
    path("async-who", async_who),
    path("async-call", async_call),
    path("async-plain", async_plain),
    path("admin/", admin.site.urls),
    path("auth/", include("django_keyfob.urls")),
]
