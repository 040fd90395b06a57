"""What every adapter must do, over real HTTP. Subclass `AdapterContract` and say how a site runs:

    class TestMyFramework(AdapterContract):
        @pytest.fixture
        def running_site(self):
            return running_site

`running_site(settings, *, script_name="", behind_proxy=False)` is a context manager that gives an
object with `url`, `errors` (exceptions that became a 500) and `log` (lines). The site has these
pages: `/` (public) and `/private`, which greet in `<p id="who">` and have the links; `/me` (needs
the API `api`) and `/call` (the same, undecorated); `/claims`, `/user`, `/session`, `/cart`.
"""

from __future__ import annotations

import json
import re

import pytest

from support.contract_apis import ApiContract
from support.contract_base import GRACE, RunningSite, Site, once, who
from support.contract_callbacks import CallbackContract
from support.contract_logouts import LogoutContract
from support.form_browser import FormBrowser
from support.provider import Person, Provider, claims_of

__all__ = ["AdapterContract", "RunningSite"]


class AdapterContract(CallbackContract, ApiContract, LogoutContract):
    """The behaviours: signing in and out and the session, and those of the parts."""

    # In and out

    def test_a_public_page_knows_nobody(self, site: Site, browser: FormBrowser) -> None:
        page = browser.open(f"{site.url}/")
        assert (page.status, who(page)) == (200, "Nobody")
        user = browser.open(f"{site.url}/user").response.json()
        assert user == {"name": "", "username": "", "key": None, "is_authenticated": False}

    def test_the_link_signs_in_and_leads_back(self, site: Site, browser: FormBrowser) -> None:
        page = browser.open(f"{site.url}/").follow("Sign in")
        assert page.url == f"{site.url}/"
        assert who(page) == f"Hello {Person().name}"

    def test_a_private_page_signs_in_and_leads_back(self, site: Site, browser: FormBrowser) -> None:
        page = browser.open(f"{site.url}/private?x=1&y=%C3%A9%20z")
        assert page.url == f"{site.url}/private?x=1&y=%C3%A9%20z"
        assert who(page) == f"Hello {Person().name}"

    def test_the_person_is_there(self, site: Site, browser: FormBrowser) -> None:
        browser.open(f"{site.url}/private")
        user = browser.open(f"{site.url}/user").response.json()
        assert (user["name"], user["username"]) == (Person().name, Person().preferred_username)
        assert user["is_authenticated"] is True
        assert re.fullmatch(r"[\w-]{22}", user["key"])
        assert browser.open(f"{site.url}/claims").response.json()["sub"] == Person().sub

    def test_a_name_is_escaped(self, site: Site, provider: Provider, browser: FormBrowser) -> None:
        provider.person = GRACE
        assert who(browser.open(f"{site.url}/private")) == (
            "Hello Grace &lt;b&gt;Padlock&lt;/b&gt;"
        )

    def test_signing_out_ends_both_sessions(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        page = browser.open(f"{site.url}/private").submit(button="Sign out")
        assert page.status == 200
        assert page.url.startswith(f"{site.url}/auth/logged-out?state=")
        assert "signed out of this site and of the sign-in service" in page.text
        (told,) = provider.requests_to("end_session")
        assert claims_of(told.query["id_token_hint"])["sub"] == Person().sub
        assert told.query["post_logout_redirect_uri"] == f"{site.url}/auth/logged-out"
        assert who(browser.open(f"{site.url}/")) == "Nobody"
        assert "_keyfob" not in browser.open(f"{site.url}/session").response.json()
        assert page.follow("Sign in again").url == f"{site.url}/"

    def test_signing_out_needs_a_post(self, site: Site, browser: FormBrowser) -> None:
        browser.open(f"{site.url}/private")
        assert once(browser, f"{site.url}/auth/logout").status_code == 405
        assert who(browser.open(f"{site.url}/")) != "Nobody"

    @pytest.mark.parametrize("forged", [{}, {"keyfob_csrf": "x", "csrfmiddlewaretoken": "x"}])
    def test_nobody_else_signs_a_person_out(
        self, site: Site, provider: Provider, browser: FormBrowser, forged: dict[str, str]
    ) -> None:
        browser.open(f"{site.url}/private")
        answer = once(
            browser,
            f"{site.url}/auth/logout",
            "POST",
            data=forged,
            headers={"Origin": "https://evil.example", "Referer": "https://evil.example/"},
        )
        assert answer.status_code in (400, 403)
        assert who(browser.open(f"{site.url}/")) != "Nobody"
        assert provider.requests_to("end_session") == []

    def test_a_copied_session_ends_with_the_sign_out(
        self, site: Site, browser: FormBrowser
    ) -> None:
        """Flask's session is a cookie: without its record it gives no token, and no claims."""
        page = browser.open(f"{site.url}/me")
        with FormBrowser() as thief:
            thief.session.cookies.update(browser.session.cookies)
            browser.open(f"{site.url}/").submit(button="Sign out")
            thief.follow_redirects = False
            for path in ("/me", "/claims"):
                assert thief.open(site.url + path).status == 302
        assert page.status == 200

    # The session

    def test_the_session_changes_its_name_and_keeps_its_things(
        self, site: Site, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/cart?add=book")
        before = browser.session.cookies.get_dict()
        assert browser.open(f"{site.url}/private").status == 200
        after = browser.session.cookies.get_dict()
        assert all(after.get(name) != value for name, value in before.items())
        assert browser.open(f"{site.url}/cart").response.json() == ["book"]
        # What was known of it before is worth nothing.
        with FormBrowser() as attacker:
            attacker.session.cookies.update(before)
            assert who(attacker.open(f"{site.url}/")) == "Nobody"

    def test_signing_out_empties_the_session(self, site: Site, browser: FormBrowser) -> None:
        browser.open(f"{site.url}/private")
        browser.open(f"{site.url}/cart?add=book")
        browser.open(f"{site.url}/").submit(button="Sign out")
        assert browser.open(f"{site.url}/cart").response.json() == []

    def test_the_next_person_gets_nothing_of_the_last(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/private")
        browser.open(f"{site.url}/cart?add=book")
        ada = browser.open(f"{site.url}/user").response.json()["key"]
        provider.person = GRACE
        browser.open(f"{site.url}/auth/login")
        assert browser.open(f"{site.url}/user").response.json()["key"] != ada
        assert browser.open(f"{site.url}/cart").response.json() == []

    def test_the_session_holds_no_token_and_little_else(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/me")
        entry = browser.open(f"{site.url}/session").response.json()["_keyfob"]
        held = json.dumps(entry) + json.dumps(browser.session.cookies.get_dict())
        assert len(json.dumps(entry)) < 400
        assert len(held) < 1200
        for token in [*provider._access, *provider._refresh]:
            assert token not in held
        assert "eyJhbGciOi" not in held
