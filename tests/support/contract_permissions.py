"""The adapter contract: pages for people with a role, or in a group."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from support.contract_base import FETCH, ContractBase, Site, once
from support.form_browser import FormBrowser
from support.provider import HOME_TENANT, Provider
from support.provider_http import Reply, Request

GROUP_ID = "aaaaaaaa-0000-4000-8000-000000000001"
OTHER_ID = "bbbbbbbb-0000-4000-8000-000000000002"
OVERAGE = {"_claim_names": {"groups": "src1"}}
ROLE_PAGES = ("/role", "/async-role")
GROUP_PAGES = ("/group", "/group-id", "/async-group")
#: Pages that ask for a role, or a group, or both.
PAGES = (*ROLE_PAGES, *GROUP_PAGES, "/all-roles", "/all-groups", "/both", "/class-based")


class PermissionContract(ContractBase):
    @pytest.fixture
    def provider(self) -> Iterator[Provider]:
        with Provider(entra=True) as provider:
            yield provider

    @pytest.fixture
    def site(self, start: Callable[..., Site], provider: Provider) -> Site:
        groups = {"approvers": GROUP_ID, "auditors": OTHER_ID}
        return start({**provider.settings(HOME_TENANT), "GROUPS": groups})

    def test_who_is_not_signed_in_signs_in_and_comes_back(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        provider.extra_claims = {"roles": ["Admin"]}
        page = browser.open(f"{site.url}/role?x=1")
        assert page.url == f"{site.url}/role?x=1"
        assert page.text == "open"

    @pytest.mark.parametrize("path", PAGES)
    def test_scripts_of_nobody_are_told_where_to_sign_in(
        self, site: Site, browser: FormBrowser, path: str
    ) -> None:
        answer = once(browser, site.url + path, headers=FETCH)
        assert answer.status_code == 401
        assert answer.json()["code"] == "login_required"

    def test_a_role_opens_what_it_opens(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        provider.extra_claims = {"roles": ["Orders.Approve"], "groups": []}
        for path in ROLE_PAGES:
            assert browser.open(site.url + path).text == "open"
        for path in ("/all-roles", "/both", "/class-based"):
            assert browser.open(site.url + path).status == 403

    @pytest.mark.parametrize("claims", [{"groups": [GROUP_ID]}, OVERAGE, {}], ids=str)
    def test_a_group_opens_what_it_opens(
        self, site: Site, provider: Provider, browser: FormBrowser, claims: dict[str, object]
    ) -> None:
        provider.extra_claims, provider.groups = claims, [GROUP_ID]
        for path in GROUP_PAGES:
            assert browser.open(site.url + path).text == "open"
        for path in ("/all-groups", "/both", "/class-based"):
            assert browser.open(site.url + path).status == 403
        assert len(provider.requests_to("member_groups")) == (0 if "groups" in claims else 1)

    def test_both_open_what_asks_for_both(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        provider.extra_claims = {"roles": ["Orders.Approve", "Reader"], **OVERAGE}
        provider.groups = [GROUP_ID, OTHER_ID]
        for path in PAGES:
            assert browser.open(site.url + path).text == "open"

    @pytest.mark.parametrize("path", PAGES)
    def test_who_lacks_it_gets_a_page_and_is_never_sent_away(
        self, site: Site, provider: Provider, browser: FormBrowser, path: str
    ) -> None:
        provider.extra_claims = {"roles": ["Reader"], "groups": [OTHER_ID]}
        browser.open(f"{site.url}/auth/login")
        signed_in = len(provider.requests_to("authorize"))
        for method in ("GET", "POST", "GET"):
            answer = once(browser, site.url + path, method)
            assert answer.status_code == 403
            assert "Location" not in answer.headers
            assert "may not open this page" in answer.text
            assert "Use another account" in answer.text
            assert GROUP_ID not in answer.text
            assert "Orders.Approve" not in answer.text
        script = once(browser, site.url + path, headers=FETCH)
        assert script.status_code == 403
        assert script.headers["Content-Type"].startswith("application/problem+json")
        assert script.json()["code"] in ("role", "group")
        assert len(provider.requests_to("authorize")) == signed_in

    def test_another_account_may_have_it(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        page = browser.open(f"{site.url}/role?x=1")
        assert page.status == 403
        provider.extra_claims = {"roles": ["Admin"]}
        page = page.follow("Use another account")
        assert page.url == f"{site.url}/role?x=1"
        assert page.text == "open"
        assert provider.requests_to("authorize")[-1].query["prompt"] == "select_account"

    def test_a_graph_that_asks_for_patience_closes_the_page_for_that_long(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        provider.extra_claims, provider.groups = OVERAGE, [GROUP_ID]
        provider.raw["member_groups"] = lambda request: Provider.json(
            {}, 429, **{"Retry-After": "50"}
        )
        page = browser.open(f"{site.url}/group")
        assert page.status == 503
        assert 45 <= int(page.response.headers["Retry-After"]) <= 50
        assert "cannot find out" in page.text
        script = once(browser, f"{site.url}/group", headers=FETCH)
        assert (script.status_code, script.json()["code"]) == (503, "groups_throttled")
        assert len(provider.requests_to("member_groups")) == 1

    def test_consent_for_graph_is_asked_for_on_the_way_in(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        provider.extra_claims, provider.groups = OVERAGE, [GROUP_ID]
        browser.open(f"{site.url}/auth/login")

        def refuse(request: Request) -> Reply:
            if request.form["grant_type"] == "refresh_token":
                return Provider.json(
                    {"error": "invalid_grant", "suberror": "consent_required"}, 400
                )
            return provider.answer("token", request)

        provider.raw["token"] = refuse
        page = browser.open(f"{site.url}/group?x=1")
        assert page.url == f"{site.url}/group?x=1"
        assert page.text == "open"
        scopes = provider.requests_to("authorize")[-1].query["scope"].split()
        assert "User.Read" in scopes

    def test_templates_ask_as_well(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        assert browser.open(f"{site.url}/shown").text == "False False"
        provider.extra_claims = {"roles": ["Orders.Approve", "Admin"], **OVERAGE}
        provider.groups = [GROUP_ID]
        browser.open(f"{site.url}/auth/login")
        assert browser.open(f"{site.url}/shown").text == "True True Admin,Orders.Approve"
        provider.extra_claims = {"groups": []}
        browser.open(f"{site.url}/auth/login")
        assert browser.open(f"{site.url}/shown").text.strip() == "False False"

    def test_a_template_that_cannot_be_told_is_a_page_of_its_own(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        provider.extra_claims = OVERAGE
        provider.raw["member_groups"] = lambda request: Provider.json({"value": None})
        browser.open(f"{site.url}/auth/login")
        assert browser.open(f"{site.url}/shown").status == 503

    def test_all_groups_can_be_listed(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        provider.extra_claims, provider.groups = OVERAGE, [GROUP_ID, OTHER_ID]
        provider.groups_page = 1
        assert browser.open(f"{site.url}/listed").text == f"{GROUP_ID} {OTHER_ID}"


class UnknownGroupContract(ContractBase):
    """A mistake of the developer's is loud, and no page of ours."""

    def test_a_name_that_the_settings_do_not_have_is_a_500(
        self, running_site: Callable[..., object], provider: Provider, browser: FormBrowser
    ) -> None:
        settings = {**provider.settings(), "GROUPS": {"approvers": GROUP_ID}}
        with running_site(settings) as site:  # type: ignore[attr-defined]
            assert browser.open(f"{site.url}/unknown-group").status == 500
            (error,) = site.errors
            assert "did you mean 'approvers'" in str(error)
