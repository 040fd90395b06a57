"""`request.keyfob`: free where it is not used, and the right answer for whoever asks."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.views import View

from django_app.site import RunningSite, running_site
from django_keyfob.conf import current_site
from django_keyfob.decorators import login_required
from django_keyfob.middleware import KeyfobMiddleware
from django_keyfob.mixins import LoginRequiredMixin
from django_keyfob.session import KeyfobSession
from keyfob.errors import ConfigurationError
from support.form_browser import FormBrowser

SCRIPT = {"Accept": "application/json"}


@pytest.mark.parametrize("path", ["/plain", "/async-plain"])
def test_a_page_that_does_not_touch_it_reads_nothing(path: str) -> None:
    client = Client()
    client.cookies["sessionid"] = "something"
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = client.get(path)
    assert response.status_code == 200
    assert len(queries) == 0
    assert "Cookie" not in response.headers.get("Vary", "")
    assert not response.wsgi_request.session.accessed  # type: ignore[attr-defined]


def test_looking_who_is_here_makes_the_page_vary_by_cookie() -> None:
    assert "Cookie" in Client().get("/user").headers["Vary"]


def test_a_page_reads_user_and_session_once_and_no_token_store(
    site: RunningSite, browser: FormBrowser
) -> None:
    browser.open(f"{site.url}/private")
    client = Client()
    client.cookies["sessionid"] = browser.session.cookies["sessionid"]
    with CaptureQueriesContext(connection) as queries:
        assert client.get("/user").json()["name"] == "Ada Keyring"
    tables = [query["sql"].split('FROM "')[1].split('"')[0] for query in queries]
    assert tables == ["django_session", "auth_user"]


def test_the_guard_shares_what_it_loaded_with_the_view(
    site: RunningSite, browser: FormBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.open(f"{site.url}/me")
    client = Client()
    client.cookies["sessionid"] = browser.session.cookies["sessionid"]
    # What an answer would need is not made for a view that may run.
    monkeypatch.delattr("django_keyfob.gate.web_request")
    with CaptureQueriesContext(connection) as queries:
        assert client.get("/shared").content == b"Ada Keyring"
    tables = [query["sql"].split('FROM "')[1].split('"')[0] for query in queries]
    assert tables == ["django_session", "auth_user"], "the page before has just read the record"


def test_a_record_that_this_process_does_not_know_is_read_once(
    site: RunningSite, browser: FormBrowser
) -> None:
    browser.open(f"{site.url}/me")
    client = Client()
    client.cookies["sessionid"] = browser.session.cookies["sessionid"]
    current_site().documents.overlook(client.session["_keyfob"]["k"])
    with CaptureQueriesContext(connection) as queries:
        assert client.get("/shared").content == b"Ada Keyring"
    tables = [query["sql"].split('FROM "')[1].split('"')[0] for query in queries]
    assert tables == ["django_session", "auth_user", "django_keyfob_tokenrecord"]


@pytest.mark.parametrize("path", ["/private", "/me", "/call", "/class-based", "/async-me"])
def test_a_script_gets_a_problem_and_no_page(path: str) -> None:
    response = Client().get(path, headers=SCRIPT)
    assert response.status_code == 401
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["WWW-Authenticate"] == 'Keyfob error="login_required"'
    assert response.headers["Cache-Control"] == "no-store"
    problem = response.json()
    assert problem["status"] == 401
    assert problem["code"] == "login_required"
    assert problem["login_url"].startswith("/auth/login?")


@pytest.mark.parametrize("path", ["/private", "/me", "/call", "/class-based", "/async-me"])
def test_a_person_is_sent_to_sign_in_and_back(path: str) -> None:
    response = Client().get(f"{path}?a=b", headers={"Accept": "text/html"})
    assert response.status_code == 302
    location = response.headers["Location"]
    assert location.startswith("/auth/login?next=")
    assert location.removeprefix("/auth/login?next=").replace("%2F", "/").startswith(path)


def test_a_form_that_a_stock_guard_turns_away_is_kept() -> None:
    response = Client().post("/private", {"a": "b"}, headers={"Referer": "http://testserver/form"})
    assert response.status_code == 401
    assert b"/auth/login?next=%2Fauth%2Fresume%3Fform%3D" in response.content


def test_what_was_sent_without_a_form_comes_back_to_the_page_that_sent_it() -> None:
    response = Client().put("/private", headers={"Referer": "http://testserver/form?a=b"})
    assert response.status_code == 303
    assert response.headers["Location"] == "/auth/login?next=%2Fform%3Fa%3Db"


def test_a_redirect_to_somebody_elses_login_page_is_left_alone() -> None:
    def view(_: HttpRequest) -> HttpResponse:
        return HttpResponse(status=302, headers={"Location": "https://other.example/auth/login"})

    request = HttpRequest()
    request.method = "GET"
    request.META = {"HTTP_HOST": "testserver", "HTTP_ACCEPT": "application/json"}
    assert KeyfobMiddleware(view)(request).status_code == 302


def test_login_required_middleware_guards_the_site_and_not_our_views(
    keyfob_settings: dict[str, Any], browser: FormBrowser
) -> None:
    from django.conf import settings

    chain = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    with running_site(keyfob_settings, config={"MIDDLEWARE": chain}) as site:
        assert Client().get("/cart", headers=SCRIPT).status_code == 401
        page = browser.open(f"{site.url}/cart")
        assert page.url == f"{site.url}/cart"
        page = browser.open(f"{site.url}/").submit(button="Sign out")
        assert page.headings == ["You are signed out"]
        assert not site.errors


def test_who_lacks_a_permission_is_not_sent_in_circles(
    site: RunningSite, browser: FormBrowser
) -> None:
    browser.open(f"{site.url}/private")
    page = browser.open(f"{site.url}/needs-permission")
    assert page.status == 403
    assert page.headings == ["This page needs more than you have"]
    assert len(page.hops) < 12
    user = User.objects.get()
    user.user_permissions.add(Permission.objects.get(codename="add_user"))
    assert browser.open(f"{site.url}/needs-permission").text == "permitted"


def test_a_views_own_mistake_stays_its_own(
    keyfob_settings: dict[str, Any], browser: FormBrowser
) -> None:
    with running_site(keyfob_settings) as site:
        assert browser.open(f"{site.url}/broken").status == 500
        assert [str(error) for error in site.errors] == ["the view's own mistake"]


def test_a_wrong_setting_stops_the_server_and_is_named() -> None:
    with (
        override_settings(KEYFOB={"CLIENT_IDD": "x", "TENANT_ID": "common"}),
        pytest.raises(ImproperlyConfigured) as caught,
    ):
        Client(raise_request_exception=True).get("/plain")
    assert 'KEYFOB["CLIENT_IDD"]' in str(caught.value)
    assert "CLIENT_SECRET" in str(caught.value)


@pytest.mark.parametrize("path", ["/call", "/me", "/class-based", "/async-me", "/async-call"])
@pytest.mark.parametrize("debug", [True, False])
def test_a_developers_mistake_is_loud_and_no_page_for_visitors(
    keyfob_settings: dict[str, Any], path: str, debug: bool
) -> None:
    settings = {**keyfob_settings, "DOWNSTREAM_APIS": {}}
    with override_settings(KEYFOB=settings, DEBUG=debug):
        with pytest.raises(ConfigurationError, match="no downstream API 'api'"):
            Client().get(path, headers={"Accept": "text/html"})
        if not debug:
            response = Client(raise_request_exception=False).get(path)
            assert response.status_code == 500
            assert b"DOWNSTREAM_APIS" not in response.content


def test_misused_decorators_and_mixins_say_so_at_once() -> None:
    with pytest.raises(TypeError, match="not both"):
        login_required(api="a", scopes=["b"])
    with pytest.raises(TypeError, match=r"scopes=\['User.Read'\]"):
        login_required(scopes="User.Read")
    with pytest.raises(TypeError, match="api='graph'"):
        login_required("graph")  # type: ignore[call-overload]

    class Both(LoginRequiredMixin, View):
        api = "a"
        scopes = ("b",)

    class One(LoginRequiredMixin, View):
        api = "a"

    with pytest.raises(TypeError, match="not both"):
        Both.as_view()
    with pytest.raises(TypeError, match="not both"):
        One.as_view(scopes=["b"])
    assert One.as_view(api="b")


def test_every_request_has_its_own_object() -> None:
    seen = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request.keyfob)  # type: ignore[attr-defined]
        return HttpResponse()

    middleware = KeyfobMiddleware(view)
    middleware(HttpRequest())
    middleware(HttpRequest())
    assert all(isinstance(each, KeyfobSession) for each in seen)
    assert seen[0] is not seen[1]
