"""Consent on the way, kept forms and proofs in Django."""

from __future__ import annotations

import re
from functools import partial

import pytest
from asgiref.sync import async_to_sync
from django.template import engines
from django.test import AsyncClient, RequestFactory

pytest.register_assert_rewrite("support.contract_consent", "support.contract_kept_forms")

from django_app.site import running_site  # noqa: E402
from support.contract_base import RunningSite, Site, once  # noqa: E402
from support.contract_consent import ConsentContract  # noqa: E402
from support.contract_kept_forms import KeptFormContract, sent  # noqa: E402
from support.form_browser import FormBrowser  # noqa: E402

PAGES = {"ROOT_URLCONF": "django_app.pages_consent"}


class TestDjangoConsent(KeptFormContract, ConsentContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return partial(running_site, config=PAGES)

    @pytest.mark.parametrize("path", ["/async-late", "/late-class"])
    def test_async_and_class_based_views_keep_a_form(
        self, site: Site, browser: FormBrowser, path: str
    ) -> None:
        page = browser.open(f"{site.url}/order")
        csrf = [(name, value) for name, value in page.forms[0].fields if "csrf" in name]
        page = browser.send("post", site.url + path, [*csrf, ("a", "b")], referrer=page.url)
        assert sent(page.follow("Continue").submit(button="Send it")) == {"a": ["b"]}

    @pytest.mark.parametrize(
        ("path", "text"), [("/async-step-up", "stepped up"), ("/recent-class", "recent")]
    )
    def test_async_views_and_mixins_want_proofs(
        self, site: Site, browser: FormBrowser, path: str, text: str
    ) -> None:
        assert browser.open(site.url + path).text == text

    def test_a_form_without_djangos_token_is_refused_and_never_kept(
        self, site: Site, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/order")
        browser.open(f"{site.url}/private")
        form, headers = {"thing": "x"}, {"Origin": site.url}
        answer = once(browser, f"{site.url}/order", "POST", data=form, headers=headers)
        assert answer.status_code == 403
        assert "forms" not in answer.headers.get("Set-Cookie", "")

    def test_the_sessions_new_csrf_token_takes_the_old_ones_place(
        self, site: Site, browser: FormBrowser
    ) -> None:
        page = browser.open(f"{site.url}/order")
        before = browser.session.cookies["csrftoken"]
        page = page.submit(button="Order", thing="x").follow("Continue")
        assert browser.session.cookies["csrftoken"] != before  # Django rotates it at a sign-in
        got = page.submit(button="Send it").response.json()
        assert len(got["csrfmiddlewaretoken"]) == 1
        assert got["thing"] == ["x"]

    def test_under_asgi_a_form_is_kept_as_well(self, site: Site) -> None:
        client = AsyncClient()
        headers = {"Origin": "http://testserver"}
        answer = async_to_sync(client.post)("/late-class", {"a": "b"}, headers=headers)
        assert answer.status_code == 401
        found = re.search(r"resume%3Fform%3D[A-Za-z0-9_-]{22}", answer.content.decode())
        assert found
        assert any(name.endswith("-forms") for name in answer.cookies)

    def test_the_script_has_the_pages_nonce(self, rf: RequestFactory) -> None:
        script = engines["django"].from_string("{% load keyfob %}{% keyfob_script %}")
        request = rf.get("/")
        assert "nonce" not in script.render({}, request)
        assert ' nonce="n1" ' in script.render({"csp_nonce": "n1"}, request)
        request.csp_nonce = "n2"  # type: ignore[attr-defined]
        assert ' nonce="n2" ' in script.render({}, request)

    @pytest.fixture
    def rf(self) -> RequestFactory:
        return RequestFactory()
