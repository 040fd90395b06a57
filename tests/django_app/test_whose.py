"""The contract about whose token a call has, with Django; and its asynchronous side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections
from django.test import AsyncClient

pytest.register_assert_rewrite("support.contract_whose")

from django_app.site import running_site  # noqa: E402
from django_keyfob import app_api, app_token, background, end_background  # noqa: E402
from django_keyfob.middleware import KeyfobMiddleware  # noqa: E402
from keyfob.errors import InteractionRequired  # noqa: E402
from support.contract_base import RunningSite, Site  # noqa: E402
from support.contract_whose import WhoseContract  # noqa: E402
from support.form_browser import FormBrowser  # noqa: E402
from support.provider import Provider  # noqa: E402


class TestDjangoWhose(WhoseContract):
    pages: dict[str, Any] = {"config": {"ROOT_URLCONF": "django_app.pages_whose"}}

    @pytest.fixture
    def running_site(self) -> RunningSite:
        return running_site

    def in_a_worker(self, site: Site, key: str = "", *, end: bool = False) -> dict[str, str]:
        def work() -> dict[str, str]:
            try:
                if not key:
                    assert app_token(api="jobs")
                    return {"own": app_api("jobs").get("/me").json()["id"]}
                if end:
                    end_background(key)
                assert background(key).token(api="api")
                return {"whose": background(key).api("api").get("/me").json()["id"]}
            except InteractionRequired as error:
                return {"error": error.code}
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as worker:
            return worker.submit(work).result()

    def test_an_async_view_reads_what_is_ready(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/orders/7")
        answer = get("/orders/async", str(browser.session.cookies["sessionid"]))
        assert answer.json() == {"ready": ["api"], "length": len(provider.last_access_token)}

    def test_async_requests_are_sent_to_sign_in_as_well(self, site: Site) -> None:
        answer = get("/orders/async", Accept="text/html")
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/auth/login?next=%2Forders%2Fasync")
        assert get("/orders/async", Accept="application/json").status_code == 401
        assert get("/orderships").json() == {"ready": [], "whose": []}

    def test_a_site_that_attaches_nothing_is_not_asked_about_its_views(
        self, start: Any, provider: Provider, site: Site
    ) -> None:
        def get_response(request: Any) -> Any:
            raise AssertionError

        assert hasattr(KeyfobMiddleware(get_response), "process_view")
        start(provider.settings(), **self.pages)
        assert not hasattr(KeyfobMiddleware(get_response), "process_view")


def get(path: str, cookie: str = "", **headers: str) -> Any:
    client = AsyncClient()
    if cookie:
        client.cookies["sessionid"] = cookie
    return async_to_sync(client.get)(path, headers=headers)
