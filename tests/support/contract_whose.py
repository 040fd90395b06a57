"""The adapter contract: whose token a call has, and having it ready before the view."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from support.access_tokens import Mint
from support.callers import ADA, ON_BEHALF_OF, attached_apis, entra, forms
from support.contract_base import FETCH, ContractBase, Site, once
from support.form_browser import FormBrowser
from support.provider import Provider


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class WhoseContract(ContractBase):
    #: What `running_site` needs for a site with this contract's pages.
    pages: dict[str, Any]

    @pytest.fixture
    def provider(self) -> Iterator[Provider]:
        with entra() as provider:
            yield provider

    @pytest.fixture
    def site(self, start: Callable[..., Site], provider: Provider) -> Site:
        return start(attached_apis(provider), **self.pages)

    # Ready before the view

    @pytest.mark.parametrize("path", ["/orders/", "/orders/7", "/orders/7?x=1"])
    def test_a_page_under_the_path_has_the_token_ready(
        self, site: Site, provider: Provider, browser: FormBrowser, path: str
    ) -> None:
        page = browser.open(site.url + path)
        assert page.url == site.url + path  # after a sign-in, with consent on the way
        assert page.response.json() == {"ready": ["api"], "whose": [ADA.oid]}
        assert len(provider.requests_to("authorize")) == 1
        assert once(browser, site.url + path).json()["ready"] == ["api"]
        assert len(provider.requests_to("token")) == 1

    def test_a_script_is_told_and_never_redirected(self, site: Site, browser: FormBrowser) -> None:
        answer = once(browser, f"{site.url}/orders/7", headers=FETCH)
        assert answer.status_code == 401
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        assert answer.json()["code"] == "login_required"
        assert answer.json()["scopes"] == ["api://one/orders.read"]

    def test_missing_consent_is_asked_for_on_the_way(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/auth/login")
        provider.raw["token"] = without_refresh(provider, "consent_required")
        page = browser.open(f"{site.url}/orders/7")
        assert page.response.json()["whose"] == [ADA.oid]
        assert len(provider.requests_to("authorize")) == 2

    @pytest.mark.parametrize("path", ["/", "/orderships", "/ORDERS/7", "/lazy"])
    def test_other_pages_have_none_and_ask_for_nothing(
        self, site: Site, provider: Provider, browser: FormBrowser, path: str
    ) -> None:
        before = len(provider.requests)
        answer = once(browser, site.url + path + "?idle=1")
        assert answer.json() == {"ready": [], "whose": []}
        assert "Cookie" not in answer.headers.get("Vary", "")
        assert len(provider.requests) == before

    def test_an_applications_own_token_needs_nobody(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        answer = once(browser, f"{site.url}/jobs")
        assert answer.json() == {"ready": ["jobs"], "whose": [provider.client_id]}
        assert len(forms(provider, "client_credentials")) == 1

    def test_a_page_may_have_several(self, site: Site, browser: FormBrowser) -> None:
        page = browser.open(f"{site.url}/both")
        assert page.response.json()["ready"] == ["api", "jobs"]

    def test_any_other_is_had_when_it_is_asked_for(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        assert once(browser, f"{site.url}/lazy").status_code == 302
        page = browser.open(f"{site.url}/lazy")
        assert page.response.json() == {"ready": ["api"], "whose": [ADA.oid]}

    def test_a_preflight_is_none_of_it(self, site: Site, browser: FormBrowser) -> None:
        headers = {"Origin": "https://other.example", "Access-Control-Request-Method": "GET"}
        answer = once(browser, f"{site.url}/orders/7", "OPTIONS", headers=headers)
        assert answer.status_code in (200, 204)

    def test_what_is_not_there_is_not_found(self, site: Site, browser: FormBrowser) -> None:
        assert once(browser, f"{site.url}/orders/no/such/page").status_code == 404

    def test_files_and_our_own_pages_never_ask(
        self, start: Callable[..., Site], provider: Provider, browser: FormBrowser
    ) -> None:
        settings = attached_apis(provider)
        named: Any = settings["DOWNSTREAM_APIS"]
        named["api"] = {**named["api"], "attach_to": ["/"]}
        site = start(settings, **self.pages)
        assert once(browser, f"{site.url}/static/orders.css").text == "p {}\n"
        location = once(browser, f"{site.url}/auth/login").headers["Location"]
        assert location.startswith(provider.base)
        assert "/auth/login" in once(browser, f"{site.url}/").headers["Location"]
        assert browser.open(f"{site.url}/").response.json()["ready"] == ["api"]

    def test_a_mount_point_is_no_part_of_the_path(
        self, start: Callable[..., Site], provider: Provider, browser: FormBrowser
    ) -> None:
        site = start(attached_apis(provider), script_name="/shop", **self.pages)
        page = browser.open(f"{site.url}/orders/7")
        assert page.response.json()["ready"] == ["api"]
        # Another app's path, which happens to be the mount point of this one.
        site = start(attached_apis(provider), script_name="/orders", **self.pages)
        assert once(browser, f"{site.url}/?idle=1").json() == {"ready": [], "whose": []}

    @pytest.mark.parametrize("path", ["/%6frders/7", "/orders%2F7", "/orders//7", "//orders/7"])
    def test_no_spelling_of_the_path_comes_by_without(
        self, site: Site, browser: FormBrowser, path: str
    ) -> None:
        """Whatever reaches the view has a token, or was sent to sign in."""
        address = site.url + path
        prepared = requests.Request("GET", address).prepare()
        prepared.url = address
        answer = browser.session.send(prepared, allow_redirects=False, timeout=20)
        assert answer.status_code in (301, 302, 308, 404)

    # On behalf of the caller

    @pytest.fixture
    def token(self, provider: Provider) -> str:
        """Of a person, for this site as an API."""
        return Mint(provider).person()

    def test_a_caller_has_tokens_on_their_behalf(
        self, site: Site, provider: Provider, token: str
    ) -> None:
        for path in ("/as-caller", "/orders/as-caller"):
            answer = requests.get(site.url + path, headers=bearing(token), timeout=20)
            assert answer.json()["whose"] == [ADA.oid]
        (form,) = forms(provider, ON_BEHALF_OF)
        assert form["assertion"] == token

    @pytest.mark.parametrize("path", ["/as-caller", "/orders/as-caller"])
    def test_nobody_acts_for_a_token_that_proves_nothing(
        self, site: Site, provider: Provider, token: str, browser: FormBrowser, path: str
    ) -> None:
        """Nor does a browser's session help: it is not the caller's."""
        browser.open(f"{site.url}/orders/7")
        for headers in ({}, bearing(token[:-6] + "AAAAAA"), bearing(Mint(provider).id_token())):
            answer = once(browser, site.url + path, headers={**FETCH, **headers})
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert forms(provider, ON_BEHALF_OF) == []

    def test_an_application_that_calls_has_no_person(self, site: Site, provider: Provider) -> None:
        headers = bearing(Mint(provider).app())
        answer = requests.get(f"{site.url}/as-caller", headers=headers, timeout=20)
        assert answer.status_code == 403
        assert answer.json()["code"] == "person_needed"
        assert forms(provider, ON_BEHALF_OF) == []

    def test_a_callers_work_goes_on_as_well(
        self, site: Site, provider: Provider, token: str
    ) -> None:
        answer = requests.get(f"{site.url}/start-as-caller", headers=bearing(token), timeout=20)
        assert self.in_a_worker(site, answer.text.strip()) == {"whose": ADA.oid}

    def test_a_bearer_token_under_the_path_is_left_to_the_views_own_guard(
        self, site: Site, provider: Provider
    ) -> None:
        answer = requests.get(f"{site.url}/orders/7", headers=bearing("made-up"), timeout=20)
        assert answer.json() == {"ready": [], "whose": []}
        assert provider.requests == []

    def test_a_caller_who_must_consent_is_told_so(
        self, site: Site, provider: Provider, token: str
    ) -> None:
        provider.raw["token"] = lambda request: Provider.json({"error": "consent_required"}, 400)
        answer = requests.get(f"{site.url}/as-caller", headers=bearing(token), timeout=20)
        assert answer.status_code == 403
        assert answer.headers["WWW-Authenticate"].startswith('Bearer error="consent_required"')
        problem = answer.json()
        assert problem["scopes"] == ["api://one/orders.read"]
        del provider.raw["token"]
        with FormBrowser() as person:
            assert person.open(problem["consent_url"]).status == 200
        assert "orders.read" in provider.requests_to("authorize")[-1].query["scope"]

    def test_a_caller_who_must_prove_more_gets_the_challenge(
        self, site: Site, provider: Provider, token: str
    ) -> None:
        claims = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
        refusal = {"error": "interaction_required", "claims": claims}
        provider.raw["token"] = lambda request: Provider.json(refusal, 400)
        answer = requests.get(f"{site.url}/as-caller", headers=bearing(token), timeout=20)
        assert answer.status_code == 401
        challenge = answer.headers["WWW-Authenticate"]
        assert challenge.startswith('Bearer error="insufficient_claims"')
        assert claims not in challenge  # but as base64

    # Without a request

    def test_work_goes_on_in_the_persons_name(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        key = browser.open(f"{site.url}/start").text.strip()
        browser.open(f"{site.url}/auth/login")
        worked = self.in_a_worker(site, key)
        assert worked == {"whose": ADA.oid}
        assert self.in_a_worker(site, key, end=True) == {"error": "work_ended"}

    def test_a_worker_has_the_applications_own_token(self, site: Site, provider: Provider) -> None:
        assert self.in_a_worker(site) == {"own": provider.client_id}
        assert len(forms(provider, "client_credentials")) == 1

    def in_a_worker(self, site: Site, key: str = "", *, end: bool = False) -> dict[str, str]:
        """What a worker does outside of all requests, in another thread."""
        raise NotImplementedError

    # Nothing of it is shown

    def test_no_token_is_in_a_log(
        self, site: Site, provider: Provider, browser: FormBrowser, token: str
    ) -> None:
        key = browser.open(f"{site.url}/start").text.strip()
        browser.open(f"{site.url}/both")
        requests.get(f"{site.url}/as-caller", headers=bearing(token), timeout=20)
        shown = browser.open(f"{site.url}/shown").text
        text = json.dumps(site.log) + shown
        secrets = [key, token, *provider._access, *provider._refresh]
        assert [secret for secret in secrets if secret in text] == []
        assert "api ready" in shown


def without_refresh(provider: Provider, error: str) -> Callable[[Any], Any]:
    """A token endpoint that redeems codes, and refuses to refresh."""

    def answer(request: Any) -> Any:
        if request.form.get("grant_type") == "refresh_token":
            return Provider.json({"error": error}, 400)
        return provider.answer("token", request)

    return answer
