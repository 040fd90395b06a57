"""The adapter contract: several accounts in one browser, and a page to switch between them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.bare_site import with_apis
from support.contract_base import GRACE, ContractBase, Site, once, who
from support.form_browser import FormBrowser, Page
from support.provider import Person, Provider


class AccountsContract(ContractBase):
    @pytest.fixture
    def site(self, start: Callable[..., Site], provider: Provider) -> Site:
        return start(with_apis(provider, MAX_ACCOUNTS=3))

    @pytest.fixture
    def two(self, site: Site, provider: Provider, browser: FormBrowser) -> Page:
        """The list of accounts of a browser in which Ada signed in, and then Grace."""
        browser.open(f"{site.url}/me")
        page = browser.open(f"{site.url}/auth/accounts?next=/private")
        provider.person = GRACE
        page.follow("Add an account")
        return browser.open(f"{site.url}/auth/accounts?next=/private")

    def test_the_page_shows_who_is_here_and_who_waits(self, two: Page) -> None:
        assert two.headings == ["Your accounts"]
        for text in ("Grace <b>Padlock</b>", "This is you now", Person().name):
            assert text in two.text
        assert "<b>Padlock" not in two.html
        assert two.response.headers["Cache-Control"].count("no-store")
        assert "default-src 'none'" in two.response.headers["Content-Security-Policy"]

    def test_adding_leads_back_to_where_the_person_was(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/private")
        page = browser.open(f"{site.url}/auth/accounts?next=/private%3Fx=1")
        provider.person = GRACE
        assert page.follow("Add an account").url == f"{site.url}/private?x=1"

    def test_switching_leads_back_as_the_other_person(
        self, site: Site, two: Page, browser: FormBrowser
    ) -> None:
        page = two.submit(button="Switch")
        assert page.url == f"{site.url}/private"
        assert who(page) == f"Hello {Person().name}"
        assert browser.open(f"{site.url}/me").response.json()["sub"] == Person().sub
        page = browser.open(f"{site.url}/auth/accounts").submit(button="Switch")
        assert page.url == f"{site.url}/"
        assert browser.open(f"{site.url}/me").response.json()["sub"] == GRACE.sub

    def test_the_framework_takes_it_for_a_sign_in(
        self, site: Site, two: Page, browser: FormBrowser
    ) -> None:
        before = browser.open(f"{site.url}/user").response.json()["key"]
        two.submit(button="Switch")
        user = browser.open(f"{site.url}/user").response.json()
        assert user["name"] == Person().name
        assert user["key"] != before

    def test_what_one_account_had_in_the_session_is_not_the_others(
        self, site: Site, two: Page, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/cart?add=book")
        two.submit(button="Switch")
        assert browser.open(f"{site.url}/cart").response.json() == []

    def test_one_account_can_be_signed_out(
        self, site: Site, two: Page, browser: FormBrowser
    ) -> None:
        two.submit(button="Sign out")
        page = browser.open(f"{site.url}/auth/accounts")
        assert Person().name not in page.text
        assert "Grace" in page.text

    def test_the_sign_out_ends_all(self, site: Site, two: Page, browser: FormBrowser) -> None:
        copied = browser.session.cookies.copy()
        browser.open(f"{site.url}/").submit(button="Sign out")
        assert who(browser.open(f"{site.url}/")) == "Nobody"
        with FormBrowser(stop_at=()) as copy:
            copy.session.cookies.update(copied)
            names = [Person().name, "Grace"]
            page = once(copy, f"{site.url}/auth/accounts").text
            assert not any(f"Switch to {name}" in page for name in names)

    def test_a_choice_that_is_not_from_our_page_is_refused(
        self, site: Site, two: Page, browser: FormBrowser
    ) -> None:
        account = dict(two.forms[-1].fields)["account"]
        fields = [("account", account), ("action", "switch")]
        refused = browser.send("post", f"{site.url}/auth/accounts", fields)
        assert refused.status == 403
        assert refused.headings == ["Your accounts are as they were"]
        assert "Grace" in who(browser.open(f"{site.url}/"))

    def test_who_is_not_signed_in_is_sent_to_sign_in(
        self, site: Site, browser: FormBrowser
    ) -> None:
        for method in ("GET", "POST"):
            answer = once(browser, f"{site.url}/auth/accounts", method)
            assert answer.status_code in (302, 303)
            assert answer.headers["Location"].startswith("/auth/login")

    def test_with_room_for_one_the_page_offers_another_account(
        self, start: Callable[..., Site], provider: Provider, browser: FormBrowser
    ) -> None:
        site = start(with_apis(provider))
        browser.open(f"{site.url}/private")
        page = browser.open(f"{site.url}/auth/accounts?next=/private")
        provider.person = GRACE
        assert "Grace" in who(page.follow("Use another account"))
        page = browser.open(f"{site.url}/auth/accounts")
        assert Person().name not in page.text

    def test_the_session_stays_small(self, site: Site, two: Page, browser: FormBrowser) -> None:
        assert max(len(cookie.value or "") for cookie in browser.session.cookies) < 700
