"""The user flows of the local provider's Azure AD B2C: signing up, the profile, a new password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keyfob_emulator.sample import FLASK_SITE, PASSWORD
from keyfob_emulator.sample_customers import (
    B2C_DOMAIN,
    B2C_TENANT,
    CLUB,
    CLUB_SECRET,
    EXTERNAL_DOMAIN,
    SHOP,
    SHOP_SECRET,
)

if TYPE_CHECKING:
    from emulator.conftest import Client
    from support.form_browser import Page

ELISA = "elisa@shop.example"
SCOPE = f"openid offline_access https://{B2C_DOMAIN}/shop/Basket.Read"
SIGN_IN, EDIT = f"{B2C_DOMAIN}/b2c_1_susi", f"{B2C_DOMAIN}/b2c_1_edit_profile"
RESET, SIGN_UP = f"{B2C_DOMAIN}/b2c_1_reset_password", f"{B2C_DOMAIN}/b2c_1_sign_up"


@pytest.fixture
def shop(client: Client) -> Client:
    client.client_id, client.secret = SHOP, SHOP_SECRET
    return client


def begin(shop: Client, flow: str, **changes: str) -> Page:
    return shop.open(tenant=flow, scope=SCOPE, **changes)


def claims_from(shop: Client, page: Page, flow: str) -> dict[str, object]:
    response = shop.redeem(shop.answer(page)["code"], tenant=flow)
    assert response.status_code == 200, response.text
    return shop.claims(response.json()["id_token"], flow)


def test_a_profile_is_edited_after_a_sign_in(shop: Client) -> None:
    page = begin(shop, EDIT).submit(button=ELISA).submit(password=PASSWORD)
    assert page.headings == ["Edit your profile"]
    assert page.submit(button="Continue", name="  ").headings == ["Edit your profile"]
    page = page.submit(button="Continue", name="Elisa  Bolt")
    told = claims_from(shop, page, EDIT)
    assert (told["name"], told["tfp"]) == ("Elisa Bolt", "b2c_1_edit_profile")
    assert told["sub"] == "e115a000-0d01-4e11-8005-000000000005"


def test_a_forgotten_password_is_told_to_the_application(shop: Client) -> None:
    page = begin(shop, SIGN_IN).submit(button=ELISA).submit(button="Forgot your password?")
    answer = shop.answer(page)
    assert answer["error"] == "access_denied"
    assert answer["error_description"].startswith("AADB2C90118: ")
    assert answer["state"] == "a state"


def test_a_new_password_signs_in_at_once_and_serves_from_then_on(shop: Client) -> None:
    page = begin(shop, RESET).submit(button=ELISA)
    assert page.headings == ["Set a new password"]
    assert "at least 8" in page.submit(button="Continue", new_password="short").text
    page = page.submit(button="Continue", new_password="quite another one")
    told = claims_from(shop, page, RESET)
    assert told["acr"] == "b2c_1_reset_password"
    assert told["iss"] == f"{shop.server.url}/tfp/{B2C_TENANT}/b2c_1_reset_password/v2.0/"
    shop.browser.session.cookies.clear()
    page = begin(shop, SIGN_IN).submit(button=ELISA)
    assert "wrong" in page.submit(password=PASSWORD).text
    assert shop.answer(page.submit(password="quite another one"))["code"]


def test_who_is_signed_in_sets_a_new_password_all_the_same(shop: Client) -> None:
    begin(shop, SIGN_IN).submit(button=ELISA).submit(password=PASSWORD)
    assert begin(shop, RESET).headings == ["Set a new password"]
    assert begin(shop, EDIT).headings == ["Edit your profile"]
    assert begin(shop, SIGN_UP).headings == ["Sign up"]


def test_a_customer_signs_up(shop: Client) -> None:
    page = begin(shop, SIGN_UP)
    filled = {"email": ELISA, "name": "Mabel Mortise", "new_password": "long enough"}
    assert "already" in page.submit(button="Create", **filled).text
    told = page.submit(button="Create", **{**filled, "email": "nobody"})
    assert "needed" in told.text
    page = page.submit(button="Create", **{**filled, "email": "mabel@shop.example"})
    assert claims_from(shop, page, SIGN_UP)["name"] == "Mabel Mortise"
    account = shop.server.emulator.directory.account("mabel@shop.example")
    assert account is not None
    assert account.tenant_id == B2C_TENANT


@pytest.mark.parametrize("flow", [SIGN_IN, EDIT, RESET, SIGN_UP])
def test_cancelling_has_b2cs_own_number(shop: Client, flow: str) -> None:
    answer = shop.answer(begin(shop, flow).submit(button="Cancel"))
    assert answer["error"] == "access_denied"
    assert answer["error_description"].startswith("AADB2C90091: ")
    assert "error_subcode" not in answer


@pytest.mark.parametrize("flow", [EDIT, RESET, SIGN_UP])
def test_a_flow_with_a_page_of_its_own_never_goes_through_silently(shop: Client, flow: str) -> None:
    begin(shop, SIGN_IN).submit(button=ELISA).submit(password=PASSWORD)
    answer = shop.answer(begin(shop, flow, prompt="none"))
    assert answer["error"] == "interaction_required"
    assert answer["error_description"].startswith("AADB2C90077: ")


def test_a_refresh_token_serves_at_its_own_flow_only(shop: Client) -> None:
    page = begin(shop, EDIT).submit(button=ELISA).submit(password=PASSWORD)
    code = shop.answer(page.submit(button="Continue"))["code"]
    token = shop.redeem(code, tenant=EDIT).json()["refresh_token"]
    refused = shop.refresh(token, tenant=SIGN_IN)
    assert refused.json()["error"] == "invalid_grant"
    assert refused.json()["error_description"].startswith("AADB2C90088: ")
    assert shop.refresh(token, tenant=EDIT).status_code == 200


def test_only_the_page_that_is_due_counts(shop: Client) -> None:
    page = begin(shop, SIGN_IN).submit(button=ELISA)
    (form,) = page.forms
    fields = {**dict(form.fields), "action": "new-password", "new_password": "taken over now"}
    shop.browser.session.post(page.url, data=fields, headers={"Origin": shop.server.url})
    account = shop.server.emulator.directory.account(ELISA)
    assert account is not None
    assert account.password == PASSWORD


def test_external_id_has_one_flow_and_a_prompt_for_signing_up(client: Client) -> None:
    client.client_id, client.secret = CLUB, CLUB_SECRET
    page = client.open(tenant=EXTERNAL_DOMAIN, prompt="create")
    assert page.headings == ["Sign up"]
    filled = {"email": "mabel@club.example", "name": "Mabel", "new_password": "long enough"}
    assert client.answer(page.submit(button="Create", **filled))["code"]
    answer = client.answer(client.open(client_id=FLASK_SITE, prompt="create"))
    assert "AADSTS90023" in answer["error_description"]


def test_elsewhere_nobody_can_forget_a_password(client: Client) -> None:
    page = client.open().submit(button="Ada Keyring")
    assert "Forgot" not in page.text
    (form,) = page.forms
    fields = {**dict(form.fields), "action": "forgotten"}
    del fields["password"]
    answer = client.browser.session.post(page.url, data=fields, allow_redirects=False)
    assert "/sign-in/" in answer.headers["Location"]
