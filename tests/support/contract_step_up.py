"""The adapter contract: a web API whose callers must prove more, by real tokens.

The sites have `/api/pay` (`bearer_required`, and `step_up("c1")` below it), and `/api/pay-class`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from keyfob.protocol.www_authenticate import claims_challenge
from support.access_tokens import Mint
from support.contract_base import ContractBase, RunningSite, Site
from support.contract_bearer import assert_refused, call, challenge_of, settings_of
from support.form_browser import FormBrowser
from support.provider import Provider

PATHS = ["/api/pay", "/api/pay-class"]


class StepUpContract(ContractBase):
    @pytest.fixture
    def provider(self) -> Any:
        with Provider(entra=True) as provider:
            yield provider

    @pytest.fixture
    def mint(self, provider: Provider) -> Mint:
        return Mint(provider)

    @pytest.fixture
    def site(self, start: RunningSite, provider: Provider) -> Any:
        return start(settings_of(provider))

    @pytest.mark.parametrize("path", PATHS)
    def test_a_token_that_proves_it_opens_the_api(self, site: Site, mint: Mint, path: str) -> None:
        for acrs in (["c1"], ["p1", "c1"], "c1"):
            assert call(site, path, mint.person(acrs=acrs)).text == "paid"

    @pytest.mark.parametrize("path", PATHS)
    def test_a_client_that_can_answer_a_challenge_gets_one(
        self, site: Site, mint: Mint, path: str
    ) -> None:
        answer = call(site, path, mint.person(acrs=["c2"], xms_cc=["cp1"]))
        assert_refused(answer, 401, "insufficient_claims")
        assert challenge_of(answer)["error"] == "insufficient_claims"
        wanted = {"access_token": {"acrs": {"essential": True, "value": "c1"}}}
        assert json.loads(claims_challenge([answer.headers["WWW-Authenticate"]])) == wanted

    @pytest.mark.parametrize("path", PATHS)
    def test_whoever_cannot_answer_one_gets_none(self, site: Site, mint: Mint, path: str) -> None:
        answer = call(site, path, mint.person())
        assert_refused(answer, 403, "insufficient_claims")
        assert "claims" not in challenge_of(answer)

    @pytest.mark.parametrize("path", PATHS)
    def test_no_token_is_asked_for_before_anything_else(
        self, site: Site, mint: Mint, path: str
    ) -> None:
        assert_refused(call(site, path), 401, "missing")
        assert call(site, path, mint.person(scp="Other", acrs=["c1"])).status_code == 403

    def test_a_browsers_proof_is_no_callers(
        self, site: Site, mint: Mint, provider: Provider, browser: FormBrowser
    ) -> None:
        provider.extra_claims = {"acrs": ["c1"]}
        browser.open(f"{site.url}/private")
        assert browser.open(f"{site.url}/step-up").text == "stepped up"
        cookies = browser.session.cookies.get_dict()
        answer = call(site, "/api/pay", mint.person(), cookies=cookies)
        assert_refused(answer, 403, "insufficient_claims")
