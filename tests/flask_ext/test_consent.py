"""Consent on the way, kept forms and proofs in Flask, with and without Flask-WTF."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

pytest.register_assert_rewrite("support.contract_consent", "support.contract_kept_forms")

from flask_ext.pages_consent import make_consent_app  # noqa: E402
from flask_ext.site import running_site  # noqa: E402
from flask_keyfob import Keyfob, downstream_api, login_required, step_up  # noqa: E402
from keyfob.errors import ConfigurationError  # noqa: E402
from support.bare_site import with_apis  # noqa: E402
from support.contract_base import RunningSite, Site, once  # noqa: E402
from support.contract_consent import ConsentContract  # noqa: E402
from support.contract_kept_forms import KeptFormContract, fill_in, sent  # noqa: E402
from support.form_browser import FormBrowser  # noqa: E402
from support.provider import Person, Provider  # noqa: E402


class TestFlaskConsent(KeptFormContract, ConsentContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return partial(running_site, make=make_consent_app)

    def test_a_before_request_handler_may_need_consent(
        self, start: Callable[..., Site], provider: Provider, browser: FormBrowser
    ) -> None:
        def before_init(app: Flask) -> None:
            @app.before_request
            def load() -> None:
                from flask import g, request

                if request.path == "/loaded":
                    g.me = downstream_api("api").get("/me").json()

            @app.get("/loaded")
            def loaded() -> Any:
                from flask import g

                return g.me["sub"]

        def init(app: Flask) -> None:
            Keyfob(app)
            before_init(app)

        site = start(with_apis(provider), init=init)
        page = browser.open(f"{site.url}/loaded?x=1")
        assert (page.url, page.text) == (f"{site.url}/loaded?x=1", Person().sub)

    def test_an_async_view_may_need_consent(
        self, start: Callable[..., Site], provider: Provider, browser: FormBrowser
    ) -> None:
        def init(app: Flask) -> None:
            Keyfob(app)

            @app.get("/async")
            async def view() -> str:
                return str(downstream_api("api").get("/me").json()["sub"])

            @app.get("/async-stepped-up")
            @step_up("c2")
            async def async_stepped_up() -> str:
                return "stepped up"

        site = start(with_apis(provider), init=init)
        assert browser.open(f"{site.url}/async").text == Person().sub
        assert browser.open(f"{site.url}/async-stepped-up").text == "stepped up"

    def test_flask_talismans_nonce_is_used(
        self, start: Callable[..., Site], provider: Provider, browser: FormBrowser
    ) -> None:
        def init(app: Flask) -> None:
            Keyfob(app)

            @app.before_request
            def nonce() -> None:
                from flask import request

                request.csp_nonce = "n0nce"  # type: ignore[attr-defined]

        site = start(with_apis(provider), init=init)
        text = browser.open(f"{site.url}/board").html
        assert '<script src="/auth/keyfob.js" nonce="n0nce" defer></script>' in text


class TestFlaskWithCsrfProtection:
    @pytest.fixture
    def provider(self) -> Any:
        with Provider() as provider:
            yield provider

    @pytest.fixture
    def site(self, provider: Provider) -> Any:
        def init(app: Flask) -> None:
            from flask_wtf.csrf import CSRFProtect  # type: ignore[import-untyped]

            Keyfob(app)
            CSRFProtect(app)

        with running_site(with_apis(provider), init=init, make=make_consent_app) as site:
            yield site
            assert site.errors == []

    def test_a_kept_form_passes_the_check_of_a_session_that_is_new(
        self, site: Site, provider: Provider
    ) -> None:
        with FormBrowser() as browser:
            page = fill_in(browser, site, thing="a book")
            assert page.status == 401
            page = page.follow("Continue")
            page = page.submit(button="Send it")
            assert sent(page)["thing"] == ["a book"]
            assert len(page.response.json()["csrf_token"]) == 1

    def test_a_form_without_the_token_is_refused_and_never_kept(self, site: Site) -> None:
        with FormBrowser() as browser:
            browser.open(f"{site.url}/private")
            answer = once(
                browser,
                f"{site.url}/order",
                "POST",
                data={"thing": "x"},
                headers={"Origin": site.url},
            )
            assert answer.status_code == 400
            assert "forms" not in answer.headers.get("Set-Cookie", "")


def test_a_wrong_context_or_age_is_told_when_the_view_is_written() -> None:
    for wrong in ("c0", "mfa", "", 1):
        with pytest.raises(ConfigurationError):
            step_up(wrong)  # type: ignore[arg-type]
    for age in (0, -1, "300", 1.5):
        with pytest.raises(ConfigurationError):
            login_required(max_age=age)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        step_up("c1")(object())  # type: ignore[type-var]


def test_the_examples_of_the_page_on_consent_work_as_printed(browser: FormBrowser) -> None:
    text = (Path(__file__).parents[2] / "docs" / "consent.md").read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in text.split("```python\n")[1:]]
    code = "\n".join(blocks).replace("): ...", "): return 'shown'")

    def init(app: Flask) -> None:
        Keyfob(app)
        exec(code, {"app": app, "login_required": login_required})

    with Provider() as provider:
        apis = {
            name: {"base_url": f"{provider.base}/api", "scopes": [f"{name}.read"]}
            for name in ("orders", "graph")
        }
        settings = {**provider.settings(), "DOWNSTREAM_APIS": apis}
        with running_site(settings, init=init) as site:
            for path in ("/overview", "/payments", "/delete-everything"):
                assert browser.open(site.url + path).text == "shown"
            assert len(code.split("@app.get")) == 4
            assert not site.errors
