"""Bearer tokens in Django REST framework."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("support.contract_bearer")

import requests  # noqa: E402
from django.core.cache import cache  # noqa: E402

from django_app.site import RunningSite, running_site  # noqa: E402
from keyfob.protocol.www_authenticate import claims_challenge  # noqa: E402
from support.access_tokens import Mint  # noqa: E402
from support.contract_bearer import (  # noqa: E402
    assert_refused,
    call,
    challenge_of,
    settings_of,
)
from support.form_browser import FormBrowser  # noqa: E402
from support.provider import Provider  # noqa: E402
from support.wrong_tokens import WRONG  # noqa: E402


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


@pytest.fixture
def mint(provider: Provider) -> Mint:
    return Mint(provider)


@pytest.fixture
def site(provider: Provider) -> Iterator[RunningSite]:
    config = {"ROOT_URLCONF": "django_app.pages_rest"}
    with running_site(settings_of(provider), config=config) as site:
        yield site


def error_of(answer: requests.Response) -> str:
    return challenge_of(answer).get("error", "")


def test_a_caller_is_the_user_and_the_auth(site: RunningSite, mint: Mint) -> None:
    answer = call(site, token=mint.person())
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["user"] == "Ada Keyring"
    assert found["pk"] == found["key"]
    assert found["is_authenticated"] is found["same"] is True
    assert call(site, token=mint.app()).status_code == 200
    assert call(site, "/orders", mint.person(), "POST", json={}).status_code == 200
    assert not site.errors


def test_who_brings_nothing_gets_a_401_and_a_challenge(site: RunningSite) -> None:
    answer = call(site)
    assert answer.status_code == 401
    where = f"{site.url}/.well-known/oauth-protected-resource"
    assert challenge_of(answer) == {"resource_metadata": where}


def test_the_whole_table_of_wrong_tokens_is_refused(site: RunningSite, mint: Mint) -> None:
    for name, wrong in WRONG.items():
        token = wrong.make(mint)
        if len(token) > 30_000:
            continue
        answer = call(site, token=token)
        status = 403 if wrong.code in ("insufficient_scope", "role") else 401
        assert answer.status_code == status, name
        assert error_of(answer) == ("insufficient_scope" if status == 403 else "invalid_token")
        assert token not in answer.text
    assert not site.errors


def test_permissions_ask_for_roles_and_combine(site: RunningSite, mint: Mint) -> None:
    assert call(site, "/admins", mint.person(roles=["Admin"])).status_code == 200
    refused = call(site, "/admins", mint.person())
    assert refused.status_code == 403
    assert error_of(refused) == "insufficient_scope"
    either = call(site, "/either", mint.person())
    assert either.status_code == 200
    assert "WWW-Authenticate" not in either.headers
    by_the_view = call(site, "/refused-by-the-view", mint.person())
    assert by_the_view.status_code == 403
    assert "WWW-Authenticate" not in by_the_view.headers
    neither = call(site, "/neither", mint.person())
    assert neither.status_code == 403
    assert challenge_of(neither)["scope"] == "Orders.Write"


def test_a_view_that_does_not_say_what_a_token_must_allow_is_a_mistake(
    site: RunningSite, mint: Mint
) -> None:
    assert call(site, "/unguarded").status_code == 401
    assert not site.errors
    assert call(site, "/unguarded", mint.person()).status_code == 500
    assert "bearer_permission" in str(site.errors[0])


def test_a_view_for_everybody_is_for_callers_too(site: RunningSite, mint: Mint) -> None:
    assert call(site, "/public").json()["is_authenticated"] is False
    assert call(site, "/public", mint.person()).json()["is_authenticated"] is True
    assert call(site, "/public", "x").status_code == 401
    assert not site.errors


def test_no_token_passes_where_a_person_must_be_signed_in(site: RunningSite, mint: Mint) -> None:
    for token in (mint.app(), mint.person(scp="Anything")):
        assert call(site, "/of-the-person", token).status_code == 401
        assert call(site, "/of-the-person-too", token).status_code == 401


def test_a_method_may_ask_for_a_step_up(site: RunningSite, mint: Mint) -> None:
    assert call(site, "/payments", mint.person(acrs=["c1"])).status_code == 200
    answer = call(site, "/payments", mint.person(xms_cc=["cp1"]))
    assert_refused(answer, 401, "insufficient_claims")
    assert claims_challenge([answer.headers["WWW-Authenticate"]])
    assert_refused(call(site, "/payments", mint.person()), 403, "insufficient_claims")
    assert not site.errors


def test_a_session_does_not_pass_for_a_token(
    site: RunningSite, mint: Mint, browser: FormBrowser
) -> None:
    browser.stop_at = (f"{site.url}/somewhere",)
    browser.open(f"{site.url}/auth/login?next=/somewhere")
    cookies = browser.session.cookies.get_dict()
    assert "sessionid" in cookies
    assert call(site, cookies=cookies).status_code == 401
    assert call(site, "/both-ways", cookies=cookies).status_code == 403
    assert call(site, "/both-ways", mint.person()).status_code == 200
    found = call(site, token=mint.person(), cookies=cookies).json()
    assert found["pk"] == found["key"]


def test_a_provider_that_is_away_is_503(site: RunningSite, provider: Provider, mint: Mint) -> None:
    provider.raw["keys"] = lambda _: Provider.json({}, 503)
    answer = call(site, token=mint.person())
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


def test_callers_are_throttled_each_for_themselves(site: RunningSite, mint: Mint) -> None:
    cache.clear()
    grace = mint.person(oid="55555555-0000-4000-8000-777777777777", sub="person-0002")
    assert call(site, "/throttled", mint.person()).status_code == 200
    assert call(site, "/throttled", mint.person()).status_code == 429
    assert call(site, "/throttled", grace).status_code == 200


def test_every_answer_says_that_another_caller_may_get_another(
    site: RunningSite, mint: Mint
) -> None:
    for path, token in (("/orders", mint.person()), ("/orders", None), ("/public", None)):
        vary = call(site, path, token).headers["Vary"].split(", ")
        assert vary.count("Authorization") == 1, path
        assert "Accept" in vary


def test_a_project_may_have_users_of_its_own_for_callers(site: RunningSite, mint: Mint) -> None:
    assert call(site, "/own-users", mint.person()).json()["pk"] == 7


def test_without_the_framework_the_rest_works_and_the_import_says_what_is_missing() -> None:
    code = """
import sys
sys.modules["rest_framework"] = None
import django
django.setup()
import django_keyfob.bearer, django_keyfob.mixins, django_keyfob.middleware
try:
    import django_keyfob.rest_framework
except ImportError as error:
    print(error)
"""
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    found = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ).stdout
    assert found == (
        "django_keyfob.rest_framework needs Django REST framework: pip install keyfob[drf]\n"
    )
