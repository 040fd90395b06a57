"""Several authorities in one site, in Django."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

pytest.register_assert_rewrite("support.contract_authorities")

from django_app.site import running_site  # noqa: E402
from support.bare_site import with_apis  # noqa: E402
from support.contract_authorities import CUSTOMER, OWN, AuthoritiesContract  # noqa: E402
from support.contract_base import FETCH, RunningSite, Site, once, who  # noqa: E402
from support.form_browser import FormBrowser  # noqa: E402
from support.provider import Provider  # noqa: E402


class TestDjangoAuthorities(AuthoritiesContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return running_site

    def test_the_stock_decorator_may_name_an_authoritys_login(
        self, site: Site, browser: FormBrowser
    ) -> None:
        answer = once(browser, f"{site.url}/stock-shop", headers=FETCH)
        assert answer.status_code == 401
        assert answer.json()["login_url"].startswith("/auth/login/customers?")
        assert who(browser.open(f"{site.url}/stock-shop")) == f"Hello {CUSTOMER.name}"

    def test_whose_address_is_proven_is_judged_by_the_authoritys_own_rules(
        self, start: Callable[..., Site], customers: Provider, browser: FormBrowser
    ) -> None:
        """What Entra calls `email_verified` proves nothing; at other providers it does."""
        with Provider(entra=True) as entra:
            other = {key: value for key, value in with_apis(customers).items() if key in OWN}
            other["SCOPES"] = ["email"]
            site = start(with_apis(entra, AUTHORITIES={"customers": other}, SCOPES=["email"]))
            browser.open(f"{site.url}/shop")
            with FormBrowser() as another:
                another.open(f"{site.url}/private")
        emails = set(User.objects.values_list("first_name", "email"))
        assert emails == {("Charles", CUSTOMER.email), ("Ada", "")}

    def test_a_user_of_another_backend_is_of_no_authority(
        self, provider: Provider, customers: Provider
    ) -> None:
        user = User.objects.create_user("grace")
        other = {key: value for key, value in with_apis(customers).items() if key in OWN}
        backends = [
            "django.contrib.auth.backends.ModelBackend",
            "django_keyfob.backends.KeyfobBackend",
        ]
        keyfob = with_apis(provider, AUTHORITIES={"customers": other})
        with override_settings(KEYFOB=keyfob, AUTHENTICATION_BACKENDS=backends):
            client = Client()
            client.force_login(user, backend=backends[0])
            assert client.get("/private").status_code == 200
            assert client.get("/shop")["Location"].startswith("/auth/login/customers?")
