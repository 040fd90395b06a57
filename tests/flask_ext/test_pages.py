"""What people see, and what arrives at our views that should not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from jinja2 import ChoiceLoader, DictLoader

from flask_ext.site import RunningSite, running_site
from flask_ext.support import configured, get, settings_for
from flask_keyfob import Keyfob, login_url, logout_form
from support.form_browser import FormBrowser
from support.provider import Provider

HOSTILE = "<script>alert(1)</script>\"'><img src=x>{{ 7*7 }}"


@pytest.fixture
def app() -> Flask:
    app = configured()
    Keyfob(app)
    return app


def test_a_page_is_whole_and_allows_itself_nothing(app: Flask) -> None:
    answer = get(app, "/auth/callback?state=x")
    assert answer.status_code == 400
    assert answer.mimetype == "text/html"
    assert "<script" not in answer.text
    assert 'lang="en"' in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    nonce = re.search(r"style-src 'nonce-([^']+)'", policy)
    assert nonce
    assert f'<style nonce="{nonce[1]}">' in answer.text
    assert nonce[0] not in get(app, "/auth/callback?state=x").headers["Content-Security-Policy"]


def test_a_refusal_by_the_provider_is_told_in_our_words(
    site: RunningSite, browser: FormBrowser, provider: Provider
) -> None:
    def refuse(pairs: list[tuple[str, str]]) -> None:
        state = dict(pairs)["state"]
        pairs[:] = [("error", HOSTILE), ("error_description", HOSTILE), ("state", state)]

    provider.mutate_callback = refuse
    page = browser.open(f"{site.url}/private?a={HOSTILE}")
    assert page.status == 502
    assert page.headings == ["The sign-in service refused"]
    assert "<script" not in page.html
    assert "<img" not in page.html
    provider.mutate_callback = None
    assert page.follow("Try again").url.startswith(f"{site.url}/private?a=")


def test_a_hostile_name_is_text(
    site: RunningSite, browser: FormBrowser, provider: Provider
) -> None:
    provider.mutate_claims = lambda claims: claims.update(name=HOSTILE)
    page = browser.open(f"{site.url}/private")
    assert "<script" not in page.html
    assert "alert(1)" in page.text


def test_a_site_has_its_own_page() -> None:
    own = "{{ page.title }}|{{ current_user.name }}|{{ keyfob_login_url() }}"
    app = configured()
    app.jinja_loader = ChoiceLoader([DictLoader({"keyfob/page.html": own})])
    Keyfob(app)
    answer = get(app, "/auth/callback?state=x&code=secret")
    assert "This sign-in cannot be completed|" in answer.text
    assert "secret" not in answer.text, "the address of a callback is nothing to come back to"
    policy = answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_login_links_and_the_logout_form(app: Flask) -> None:
    with app.test_request_context("/a b?c=d&e=%2F"):
        assert login_url() == "/auth/login?next=%2Fa%2520b%3Fc%3Dd%26e%3D%252F"
        assert login_url("//evil.example") == "/auth/login?next=%2F"
        assert login_url("/x", api="graph", prompt="login") == (
            "/auth/login?next=%2Fx&api=graph&prompt=login"
        )
        assert logout_form() == ""
    with app.test_request_context("/form", method="POST"):
        assert login_url() == "/auth/login?next=%2F"
    with app.test_request_context("/") as context:
        key = f"{app.extensions['keyfob'].tag}of-the-session"
        context.session["_keyfob"] = {"k": key, "a": "somebody", "c": {}}
        form = logout_form("<Out>", class_='x" onclick="y')
        assert '<button type="submit">&lt;Out&gt;</button>' in form
        assert 'class="x&#34; onclick=&#34;y"' in form
        assert 'action="/auth/logout"' in form


@pytest.mark.parametrize("path", ["login", "callback", "logout"])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"a=" + b"x" * 600_000, "application/x-www-form-urlencoded"),
        (b"a=%00%ff&&=&a&a=\xff\xfe", "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "application/x-www-form-urlencoded; charset=utf-16"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"--x\r\nbroken", "multipart/form-data"),
        (b"{]", "application/json"),
        (b"", ""),
    ],
    ids=["large", "bytes", "charset", "multipart", "no boundary", "json", "empty"],
)
def test_malformed_posts_are_no_server_error(
    site: RunningSite, path: str, body: bytes, content_type: str
) -> None:
    answer = site.app.test_client().post(f"/auth/{path}", data=body, content_type=content_type)
    assert answer.status_code < 500
    assert answer.headers["Cache-Control"] == "no-store"
    if len(body) > 65_536:
        assert answer.status_code == 400


@pytest.mark.parametrize("limits", [{"MAX_CONTENT_LENGTH": 10}, {"MAX_FORM_PARTS": 1}])
def test_the_sites_own_limits_are_no_server_error(
    provider: Provider, limits: dict[str, object]
) -> None:
    with running_site(settings_for(provider), config=limits) as site:
        body: dict[str, Any] = {"state": "x" * 20, "code": "y" * 20}
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
            answer = site.app.test_client().post("/auth/callback", data=body, content_type=kind)
            assert answer.status_code in (303, 400)
        assert not site.errors


@pytest.mark.parametrize(
    "host", ["[", "[::1", "a b", 'x"y', "localhost:x", "é", "evil.example", ""]
)
def test_a_host_that_is_none_of_ours_starts_no_sign_in(site: RunningSite, host: str) -> None:
    answer = site.app.test_client().get("/auth/login", headers={"Host": host})
    assert answer.status_code == 503
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "query",
    [
        "posted=x",
        "state=%ff%00",
        "state=a&state=a",
        "a=b&" * 2000,
        "%",
        "code=x&state=" + "y" * 9000,
    ],
    ids=["unsealed", "bytes", "twice", "many", "percent", "long"],
)
def test_a_callback_that_answers_nothing_gets_a_page(site: RunningSite, query: str) -> None:
    answer = site.app.test_client().get(f"/auth/callback?{query}")
    assert answer.status_code == 400
    assert "Try again" in answer.text
