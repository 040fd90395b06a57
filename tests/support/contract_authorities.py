"""The adapter contract: several authorities in one site, each with addresses of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from support.bare_site import with_apis
from support.contract_base import FETCH, ContractBase, Site, once, who
from support.form_browser import FormBrowser
from support.logout_tokens import order_by
from support.provider import Person, Provider

CUSTOMER = Person(
    sub="customer-1",
    name="Charles Till",
    preferred_username="charles@shop.example",
    email="charles@shop.example",
)
OWN = ("CLIENT_ID", "CLIENT_SECRET", "OIDC_AUTHORITY", "DOWNSTREAM_APIS")


class AuthoritiesContract(ContractBase):
    @pytest.fixture
    def customers(self) -> Iterator[Provider]:
        with Provider(extra_claims={"sid": "session-1"}) as customers:
            customers.person = CUSTOMER
            yield customers

    @pytest.fixture
    def site(self, start: Callable[..., Site], provider: Provider, customers: Provider) -> Site:
        other = {key: value for key, value in with_apis(customers).items() if key in OWN}
        return start(with_apis(provider, AUTHORITIES={"customers": other}))

    def test_a_view_for_one_authority_signs_in_there(
        self, site: Site, provider: Provider, customers: Provider, browser: FormBrowser
    ) -> None:
        page = browser.open(f"{site.url}/shop?x=1")
        assert page.url == f"{site.url}/shop?x=1"
        assert who(page) == f"Hello {CUSTOMER.name}"
        assert provider.requests_to("authorize") == []
        (asked,) = customers.requests_to("authorize")
        assert asked.query["redirect_uri"] == f"{site.url}/auth/callback/customers"

    def test_a_view_for_anybody_lets_both_in(self, site: Site, browser: FormBrowser) -> None:
        browser.open(f"{site.url}/shop")
        assert who(browser.open(f"{site.url}/private")) == f"Hello {CUSTOMER.name}"
        with FormBrowser() as another:
            assert who(another.open(f"{site.url}/private")) == f"Hello {Person().name}"

    def test_a_view_for_one_authority_is_not_for_the_people_of_another(
        self, site: Site, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/private")
        answer = once(browser, f"{site.url}/shop")
        assert urlsplit(answer.headers["Location"]).path == "/auth/login/customers"
        assert who(browser.open(f"{site.url}/shop")) == f"Hello {CUSTOMER.name}"

    def test_scripts_are_told_the_right_address(self, site: Site, browser: FormBrowser) -> None:
        answer = once(browser, f"{site.url}/shop", headers=FETCH)
        assert answer.status_code == 401
        assert answer.json()["login_url"].startswith("/auth/login/customers?")

    def test_links_lead_to_the_authority_of_who_is_here_or_the_one_that_is_named(
        self, site: Site, browser: FormBrowser
    ) -> None:
        plain, named = "/auth/login?next=%2Fx", "/auth/login/customers?next=%2Fx"
        ways = f"{site.url}/ways-in"
        assert browser.open(ways).response.json() == [plain, named, ""]
        browser.open(f"{site.url}/shop")
        assert browser.open(ways).response.json() == [named, named, "customers"]

    def test_the_api_is_called_with_the_authoritys_token(
        self, site: Site, customers: Provider, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/shop")
        page = browser.open(f"{site.url}/me")
        assert page.url == f"{site.url}/me"
        assert page.response.json()["sub"] == CUSTOMER.sub
        assert len(customers.requests_to("authorize")) == 2

    def test_the_sign_out_reaches_the_authority(
        self, site: Site, provider: Provider, customers: Provider, browser: FormBrowser
    ) -> None:
        page = browser.open(f"{site.url}/shop").submit(button="Sign out")
        assert page.url.startswith(f"{site.url}/auth/logged-out/customers?state=")
        assert len(customers.requests_to("end_session")) == 1
        assert provider.requests_to("end_session") == []
        assert who(browser.open(f"{site.url}/")) == "Nobody"

    def test_the_authority_signs_out_by_its_own_address(
        self, site: Site, customers: Provider, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/shop")
        with FormBrowser() as nobody:
            posted = [("logout_token", order_by(customers, sid="session-1"))]
            for path, status in (("", 400), ("/nobody", 404), ("/customers", 200)):
                url = f"{site.url}/auth/backchannel-logout{path}"
                assert nobody.send("post", url, posted).status == status
        assert once(browser, f"{site.url}/shop").status_code == 302

    @pytest.mark.parametrize("view", ["login", "callback", "logged-out", "frontchannel-logout"])
    def test_an_authority_that_there_is_not_gets_a_page(
        self, site: Site, browser: FormBrowser, view: str
    ) -> None:
        page = browser.open(f"{site.url}/auth/{view}/nobody")
        assert page.status == 404
        assert page.headings == ["There is no such sign-in"]
