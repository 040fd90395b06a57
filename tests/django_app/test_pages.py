"""Answers as responses: pages, problems, redirects, cookies."""

from __future__ import annotations

from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from django.template import Context, Template, TemplateSyntaxError
from django.test import Client, RequestFactory, override_settings

from django_keyfob.exchange import to_response, web_request
from keyfob.web import Answer, Cookie, Page
from keyfob.web.exchange import page_headers

PAGE = Page(
    "A <title>",
    "What happened & why",
    "Advice",
    retry_url="/auth/login?a=1&b=2",
    correlation_id="number",
    code="some_code",
)


@pytest.fixture
def request_() -> HttpRequest:
    return RequestFactory().get("/x")


def test_a_page_is_escaped_and_can_do_nothing(request_: HttpRequest) -> None:
    response = to_response(request_, Answer(400, page=PAGE))
    body = response.content.decode()
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "A &lt;title&gt;" in body
    assert "What happened &amp; why" in body
    assert 'href="/auth/login?a=1&amp;b=2"' in body
    assert "number" in body
    assert "<script" not in body
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    nonce = policy.split("'nonce-")[1].split("'")[0]
    assert f'<style nonce="{nonce}">' in body
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("page", [PAGE, Page("A title", "What happened")])
def test_flask_shows_the_same_page_with_the_same_headers(
    request_: HttpRequest, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    flask = pytest.importorskip("flask", reason="needs Flask")
    from flask_keyfob.translate import response_for
    from flask_keyfob.views import make_blueprint

    monkeypatch.setattr("secrets.token_urlsafe", lambda _: "a-nonce")
    app = flask.Flask(__name__)
    app.register_blueprint(make_blueprint("/auth"))
    ours = to_response(request_, Answer(400, page=page))
    with app.test_request_context("/x"):
        theirs = response_for(Answer(400, page=page))

    # The engines write a quotation mark in two ways, and only one keeps the last line's end.
    assert (
        unescape(ours.content.decode()).strip() == unescape(theirs.get_data(as_text=True)).strip()
    )
    for name in ("Content-Type", *page_headers("", own_template=False)):
        assert ours.headers[name] == theirs.headers[name]


def test_a_sites_own_page_may_bring_its_own_styles(request_: HttpRequest, tmp_path: Path) -> None:
    from django.conf import settings

    (tmp_path / "django_keyfob").mkdir()
    page = tmp_path / "django_keyfob" / "page.html"
    page.write_text(
        '{% extends "django_keyfob/page.html" %}{% block title %}Mine{% endblock %}'
        "{% block style %}<link rel=stylesheet href=/mine.css>{% endblock %}"
    )
    templates = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    with override_settings(TEMPLATES=templates):
        response = to_response(request_, Answer(400, page=PAGE))
    assert b"<title>Mine</title>" in response.content
    assert b"What happened" in response.content
    assert "default-src" not in response.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


def test_a_project_whose_templates_look_into_no_app_has_pages_as_well(
    request_: HttpRequest,
) -> None:
    engines: list[dict[str, Any]]
    for engines in ([], [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]):
        with override_settings(TEMPLATES=engines):
            response = to_response(request_, Answer(400, page=PAGE))
        assert b"A &lt;title&gt;" in response.content


def test_a_redirect_may_be_as_long_as_it_must(request_: HttpRequest) -> None:
    location = "https://issuer.example/?" + "a" * 8000
    response = to_response(request_, Answer(302, location=location))
    assert response.status_code == 302
    assert response.headers["Location"] == location


def test_a_redirect_is_written_in_ascii(request_: HttpRequest) -> None:
    response = to_response(request_, Answer(302, location="/grüße?a=ü%20"))
    assert response.headers["Location"] == "/gr%C3%BC%C3%9Fe?a=%C3%BC%20"


def test_cookies_are_as_they_are_asked_for(request_: HttpRequest) -> None:
    response = to_response(
        request_,
        Answer(302, cookies=(Cookie("a", "1", "/auth", 600, True), Cookie("b", "", "/", 0, False))),
    )
    one, other = response.cookies["a"], response.cookies["b"]
    assert (one.value, one["path"], one["max-age"], one["secure"]) == ("1", "/auth", 600, True)
    assert (one["httponly"], one["samesite"]) == (True, "Lax")
    assert (other.value, other["max-age"], other["secure"]) == ("", 0, "")


def test_the_path_keeps_its_encoding() -> None:
    request = RequestFactory().get("/a%20b/gr%C3%BC%C3%9Fe?q=%20&q=+")
    asked = web_request(request)
    assert asked.full_path == "/a%20b/gr%C3%BC%C3%9Fe?q=%20&q=+"
    assert asked.query == [("q", " "), ("q", " ")]
    assert asked.form == ()


def _render(source: str, request: Any, **more: Any) -> str:
    return Template("{% load keyfob %}" + source).render(Context({"request": request, **more}))


def test_the_login_address_of_a_page_leads_back_to_it() -> None:
    request = RequestFactory().get("/page?a=b&c=d")
    assert _render("{% keyfob_login_url %}", request) == "/auth/login?next=%2Fpage%3Fa%3Db%26c%3Dd"
    assert _render("{% keyfob_login_url next='/x' %}", request) == "/auth/login?next=%2Fx"
    hinted = _render("{% keyfob_login_url next='/x' prompt='login' %}", request)
    assert hinted == "/auth/login?next=%2Fx&amp;prompt=login"
    everything = _render(
        "{% keyfob_login_url '/x' api='a' prompt='b' login_hint='c&' domain_hint='d' %}", request
    )
    assert everything == (
        "/auth/login?next=%2Fx&amp;api=a&amp;prompt=b&amp;login_hint=c%26&amp;domain_hint=d"
    )


def test_the_login_address_takes_local_paths_and_known_names_only() -> None:
    request = RequestFactory().get("/page")
    for foreign in ("//evil.example", "https://evil.example/", "javascript:alert(1)", ""):
        rendered = _render("{% keyfob_login_url next=there %}", request, there=foreign)
        assert rendered == "/auth/login?next=%2F"
    with pytest.raises(TemplateSyntaxError, match="promt"):
        _render("{% keyfob_login_url promt='login' %}", request)


@pytest.mark.parametrize("request_", [None, RequestFactory().post("/page")])
def test_a_page_that_cannot_be_come_back_to_is_not(request_: Any) -> None:
    assert _render("{% keyfob_login_url %}", request_) == "/auth/login?next=%2F"
    with override_settings(LOGIN_REDIRECT_URL="/welcome"):
        assert _render("{% keyfob_login_url %}", request_) == "/auth/login?next=%2Fwelcome"


def test_the_login_address_on_our_own_pages_leads_to_none_of_them() -> None:
    from django.urls import resolve

    request = RequestFactory().get("/auth/callback?code=secret")
    request.resolver_match = resolve("/auth/callback")
    assert _render("{% keyfob_login_url %}", request) == "/auth/login?next=%2F"


def test_the_sign_out_button_is_for_who_is_signed_in() -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    assert _render("{% keyfob_logout_form %}", request).strip() == ""
    request.user = User(username="ada")
    form = _render("{% keyfob_logout_form label=label %}", request, label="<Bye>", csrf_token="t")
    assert 'action="/auth/logout"' in form
    assert 'name="csrfmiddlewaretoken" value="t"' in form
    assert "&lt;Bye&gt;" in form
    assert "class=" not in form
    form = _render("{% keyfob_logout_form class_=given %}", request, given='x" onclick="y')
    assert 'class="x&quot; onclick=&quot;y"' in form


def test_the_callback_without_an_attempt_is_a_page() -> None:
    response = Client().get("/auth/callback?state=x&code=y")
    assert response.status_code == 400
    assert b"This sign-in cannot be completed" in response.content
