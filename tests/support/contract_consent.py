"""The adapter contract: consent wherever it is missing, proofs, and the script.

The sites have, beside the usual pages: `/both` (needs two APIs), `/template` (whose template needs
one), `/scoped` (async, needs scopes of no API), `/streamed-early`, `/step-up`, `/step-up-class`,
`/recent`, and `/board` (which has the script).
"""

from __future__ import annotations

import re
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from keyfob.web.script import script_text
from support.contract_base import FETCH, ContractBase, Site, once
from support.form_browser import FormBrowser
from support.provider import Person, Provider


class ConsentContract(ContractBase):
    # Everywhere

    @pytest.mark.parametrize("path", ["/template", "/streamed-early"])
    def test_consent_is_asked_for_wherever_it_turns_out_to_be_missing(
        self, site: Site, provider: Provider, browser: FormBrowser, path: str
    ) -> None:
        browser.open(f"{site.url}/private")
        page = browser.open(f"{site.url}{path}?x=1")
        assert page.url == f"{site.url}{path}?x=1"
        assert page.status == 200
        assert Person().sub in page.text

    def test_a_page_that_needs_two_apis_makes_a_trip_for_each(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/private")
        page = browser.open(f"{site.url}/both?x=1")
        assert page.url == f"{site.url}/both?x=1"
        assert page.text == "both"
        assert len(provider.requests_to("authorize")) == 3
        browser.open(f"{site.url}/both")
        assert len(provider.requests_to("authorize")) == 3

    def test_scopes_of_no_api_are_asked_for_on_the_way_in(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/private")
        answer = once(browser, f"{site.url}/scoped", headers=FETCH)
        assert answer.status_code == 401
        assert answer.json()["code"] == "interaction_required"
        assert answer.json()["scopes"] == ["extra.read"]
        page = browser.open(f"{site.url}/scoped?x=1")
        assert (page.url, page.text) == (f"{site.url}/scoped?x=1", "scoped")
        assert "extra.read" in provider.requests_to("authorize")[-1].query["scope"].split()
        assert len(provider.requests_to("authorize")) == 2

    # Proofs

    @pytest.mark.parametrize("path", ["/step-up", "/step-up-class"])
    def test_a_page_is_stepped_up_to(
        self, site: Site, provider: Provider, browser: FormBrowser, path: str
    ) -> None:
        browser.open(f"{site.url}/private")
        page = browser.open(f"{site.url}{path}?x=1")
        assert (page.url, page.text) == (f"{site.url}{path}?x=1", "stepped up")
        assert len(provider.requests_to("authorize")) == 2

    def test_a_context_that_is_never_given_ends_on_a_page(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        provider.contexts = ()
        page = browser.open(f"{site.url}/step-up")
        assert page.status == 403
        assert "stronger proof" in page.text
        assert len(provider.requests_to("authorize")) <= 3

    def test_a_page_wants_a_fresh_proof(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        provider.proved_at = time.time() - 4000
        browser.open(f"{site.url}/private")
        assert browser.open(f"{site.url}/recent").text == "recent"
        assert provider.requests_to("authorize")[-1].query["max_age"] == "300"
        provider.extra_claims = {"auth_time": int(time.time()) - 4000}
        browser.open(f"{site.url}/auth/login")
        page = browser.open(f"{site.url}/recent")
        assert page.status == 403
        assert "sign in anew" in page.text

    def test_a_script_is_told_of_a_step_up(self, site: Site, browser: FormBrowser) -> None:
        browser.open(f"{site.url}/private")
        answer = once(browser, f"{site.url}/step-up", headers=FETCH)
        assert answer.status_code == 401
        assert answer.json()["code"] == "step_up_required"
        assert "essential" not in answer.text
        browser.open(site.url + answer.json()["login_url"])
        assert browser.open(f"{site.url}/step-up").text == "stepped up"

    # The script

    def test_the_script_is_small_and_cached(self, site: Site) -> None:
        url = f"{site.url}/auth/keyfob.js"
        answer = requests.get(url, timeout=20)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "max-age" in answer.headers["Cache-Control"]
        assert "no-store" not in answer.headers["Cache-Control"]
        assert "Set-Cookie" not in answer.headers
        assert answer.text == script_text()
        assert len(answer.content) <= 2048
        tag = answer.headers["ETag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}'):
            again = requests.get(url, headers={"If-None-Match": known}, timeout=20)
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["ETag"] == tag
        other = requests.get(url, headers={"If-None-Match": '"other"'}, timeout=20)
        assert other.status_code == 200

    def test_the_popups_last_page_has_no_inline_script(self, site: Site) -> None:
        answer = requests.get(f"{site.url}/auth/done?0.5", timeout=20)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert re.findall(r"<script([^>]*)>([^<]*)<", answer.text) == [
            (' src="/auth/keyfob.js" data-done', "")
        ]

    def test_a_page_includes_the_script_by_one_word(self, site: Site) -> None:
        text = requests.get(f"{site.url}/board", timeout=20).text
        assert '<script src="/auth/keyfob.js" defer></script>' in text
        assert '<script src="/auth/keyfob.js" nonce="a&#34;b" defer></script>' in text.replace(
            "&quot;", "&#34;"
        )

    def test_the_popups_address_leads_to_its_last_page(
        self, site: Site, browser: FormBrowser
    ) -> None:
        problem = once(browser, f"{site.url}/me", headers=FETCH).json()
        query = parse_qs(urlsplit(problem["login_url"]).query)
        login = f"{site.url}/auth/login?next=/auth/done%3F0.25&api={query['api'][0]}"
        assert browser.open(login).url == f"{site.url}/auth/done?0.25"
